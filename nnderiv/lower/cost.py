"""The cost model: every choice between two ways of computing the same is made here, by counting.

Sizes that are numbers count as they are, named ones as TYPICAL. Times are in units of one entry that NumPy handles in passing,
about half a nanosecond; what was measured to fit the constants is in `benchmarks`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ..integer import Int

TYPICAL = 32          # what a size that is a name counts as
CALL = 4_000          # one step of a Python loop, with the NumPy calls in it
SCATTERED = 8         # an entry read along an axis of a few places, in place of one along a long row
PART = TYPICAL**3     # entries of the largest array from which parts on several threads pay
WIDE = 128            # entries of a row from which it is accumulated whole, by a call of its own
IDLE = 1.4            # a tap of all windows is at most so many times as long as what is needed of it
SMALL = 1_000_000     # multiplications up to which BLAS takes matrices as they are: no copies, no threads
BLOCK = 100_000       # entries of the columns of the images that are worked on at a time


def typical(size: Int) -> int:
    return max(1, size.constant) if size.is_constant else TYPICAL


def entries(sizes: Iterable[Int]) -> int:
    """How many entries an array of these sizes has, typically."""
    return prod(typical(s) for s in sizes)


def walks_kernel(kernel: Iterable[Int], rest: Iterable[Int]) -> bool:
    """Whether a window is reduced place by place, in a loop over the kernel, rather than along the short axes of one view.

    loop: places · (CALL + entries)          view: places · entries · SCATTERED
    """
    places, others = entries(kernel), entries(rest)
    return places * (CALL + others) < places * others * SCATTERED
