"""A `Work` is one piece of work, said several ways: the text in the notation, NumPy by hand, and the forward pass in other libraries.

All ways do the same: the outputs, and the gradients of every input in `wrt`, from the same float32 inputs and seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nnderiv as nd

Run = Callable[[], Any]


@dataclass(frozen=True)
class Work:
    name: str
    text: str
    inputs: Mapping[str, Any]                            # arrays, int parameters, real scalars
    wrt: tuple[str, ...]
    seeds: Mapping[str, np.ndarray] = field(default_factory=dict)
    hand: Callable[..., Any] | None = None               # (inputs and seeds by name) -> (outputs, gradients in the order of wrt)
    torch: Mapping[str, Callable[..., Any]] = field(default_factory=dict)   # way -> inputs by name -> output or outputs
    jax: Callable[..., Any] | None = None
    autograd: Callable[..., Any] | None = None           # -> a scalar
    other: Mapping[str, Callable[[], Run]] = field(default_factory=dict)    # library -> what makes its run

    @property
    def seed(self) -> np.ndarray | None:
        """The seed of the only output; None for a scalar one."""
        return next(iter(self.seeds.values()), None)


def module(work: Work, **options: Any) -> Any:
    """The emitted module, loaded."""
    return nd.derive(work.text, wrt=work.wrt).compile(**options)


def run_of(work: Work, emitted: Any) -> Run:
    """Forward, then backward, on the work's inputs; returns the gradients."""

    def run() -> Any:
        _, residuals = emitted.forward(**work.inputs)
        return emitted.backward(residuals, **work.seeds)

    return run


def agree(name: str, mine: Any, theirs: Any) -> None:
    """Raises unless the gradients are the same to the rounding of float32, relative to the largest entry of each.

    A gradient that is 0 but for rounding is measured by the others' largest entry.
    """
    wanted = [np.asarray(w) for w in theirs]
    scales = [float(abs(w).max(initial=0)) for w in wanted]
    for got, want, scale in zip(mine, wanted, scales, strict=True):
        tolerance = 1e-3 * scale + 1e-6 * max(scales)
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-3, atol=tolerance, err_msg=f"{name}: the gradients differ")
