"""Checks of plain callables on vectors (lists of numbers of any kind); knows no symbols.

    slope of f at x along v     (f(x + h v) − f(x − h v)) / 2h                    central difference, error O(h²)
    adjoint                     ⟨J v, w⟩ = ⟨v, Jᵀ w⟩  for every v and w            the dot test

Both sides of each are returned, so that whoever asks can show them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .numbers import combine

Vector = Sequence[Any]
Map = Callable[[Vector], Vector]
FLOOR = 1e-6  # below this, numbers are what cancellation has left of greater ones
STEPS = tuple(Fraction(1, 10**k) for k in (3, 4, 5, 6))  # one of them lies between rounding and curvature


def dot(a: Vector, b: Vector) -> Any:
    """Σ aᵢ bᵢ"""
    total: Any = Fraction(0)
    for x, y in zip(a, b, strict=True):
        total = combine("+", total, combine("*", x, y))
    return total


def size_of_dot(a: Vector, b: Vector) -> float:
    """Σ |aᵢ bᵢ|, the scale on which a rounding error of the dot product is measured."""
    return float(sum((abs(float(combine("*", x, y))) for x, y in zip(a, b, strict=True)), 0.0))


def axpy(step: Any, v: Vector, x: Vector) -> list[Any]:
    """x + step · v"""
    return [combine("+", a, combine("*", step, b)) for a, b in zip(x, v, strict=True)]


def central_difference(f: Map, x: Vector, v: Vector, step: Any) -> list[Any]:
    """(f(x + h v) − f(x − h v)) / 2h"""
    ahead, behind = f(axpy(step, v, x)), f(axpy(-step, v, x))
    return [combine("/", combine("-", a, b), 2 * step) for a, b in zip(ahead, behind, strict=True)]


@dataclass(frozen=True)
class Comparison:
    """Two values that should be equal, and the scale on which they may differ by rounding."""

    left: Any
    right: Any
    scale: float

    @property
    def error(self) -> float:
        """|left − right| / scale; 0 only where they are equal, infinite where one is not a number."""
        if combine("==", self.left, self.right):
            return 0.0
        difference = float(abs(combine("-", self.left, self.right)))
        return difference / max(self.scale, FLOOR) if difference < float("inf") else float("inf")


def dot_test(jvp: Map, vjp: Map, v: Vector, w: Vector) -> Comparison:
    """⟨J v, w⟩ against ⟨v, Jᵀ w⟩"""
    forwards, backwards = jvp(v), vjp(w)
    scale = max(size_of_dot(forwards, w), size_of_dot(v, backwards))
    return Comparison(dot(forwards, w), dot(v, backwards), scale)


def difference_test(f: Map, vjp: Map, x: Vector, v: Vector, w: Vector, steps: Sequence[Any] = STEPS) -> Comparison:
    """The slope of ⟨f, w⟩ along v by central differences against ⟨v, Jᵀ w⟩: the best agreement over some steps.

    A right gradient agrees at the step that lies between rounding and curvature; a wrong one agrees at none.
    """
    backwards = vjp(w)
    right = dot(v, backwards)
    found = []
    for step in steps:
        slopes = central_difference(f, x, v, step)
        found.append(Comparison(dot(slopes, w), right, max(size_of_dot(slopes, w), size_of_dot(v, backwards))))
    return min(found, key=lambda c: c.error)


def closeness(a: Vector, b: Vector) -> float:
    """max |aᵢ − bᵢ| / max(1, max |bᵢ|); equal infinities agree, nan agrees with nothing."""
    scale = max([1.0, *(abs(float(y)) for y in b if abs(float(y)) < float("inf"))])
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        p, q = float(x), float(y)
        gap = 0.0 if p == q else abs(p - q) / scale
        worst = max(worst, gap if gap == gap else float("inf"))
    return worst
