"""Peak memory of one call: the most that NumPy holds at once beyond the inputs, outputs included, as `tracemalloc` counts it.

Libraries that allocate outside Python (PyTorch, JAX) cannot be counted this way, so only NumPy is compared with NumPy.
"""

from __future__ import annotations

import gc
import tracemalloc

from .work import Run


def peak(run: Run) -> float:
    """MiB."""
    run()
    gc.collect()
    tracemalloc.start()
    try:
        kept = run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
        del kept
