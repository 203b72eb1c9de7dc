"""Numbers that know what they are: beside the value, the degrees of the rational function of the inputs that it is.

    x, an input           (1, 0)                f + g     (max(p₁ + q₂, p₂ + q₁), q₁ + q₂)
    a number              (0, 0)                f · g     (p₁ + p₂, q₁ + q₂)
    exp f and its like    (∞, ∞)                f / g     (p₁ + q₂, q₁ + p₂)

The interpreter, fed with them, bounds the degree (p, q) of numerator and denominator of each element. If f and g differ as
rational functions, then they agree at a random point with a probability of at most deg/|S|, where deg is the degree of the
numerator of f − g and each input is drawn from |S| numbers (Schwartz 1980, Zippel 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, isinf
from typing import Any

from .dual import Dual
from .numbers import FUNCTIONS, combine, power


@dataclass(frozen=True, eq=False)
class Degree:
    """value, with the degrees of its numerator and denominator as a function of the inputs; comparisons look at the value."""

    value: Any
    top: float = 1
    bottom: float = 0

    def __add__(self, other: Any) -> Degree:
        if isinstance(other, Dual):  # a dual number of such numbers, never the other way round
            return NotImplemented
        o = _degree(other)
        return Degree(combine("+", self.value, o.value), max(self.top + o.bottom, o.top + self.bottom), self.bottom + o.bottom)

    def __neg__(self) -> Degree:
        return Degree(-self.value, self.top, self.bottom)

    def __sub__(self, other: Any) -> Degree:
        if isinstance(other, Dual):
            return NotImplemented
        return self + -_degree(other)

    def __mul__(self, other: Any) -> Degree:
        if isinstance(other, Dual):
            return NotImplemented
        o = _degree(other)
        return Degree(combine("*", self.value, o.value), self.top + o.top, self.bottom + o.bottom)

    def __truediv__(self, other: Any) -> Degree:
        if isinstance(other, Dual):
            return NotImplemented
        o = _degree(other)
        return Degree(combine("/", self.value, o.value), self.top + o.bottom, self.bottom + o.top)

    def __radd__(self, other: Any) -> Degree:
        return _degree(other) + self

    def __rsub__(self, other: Any) -> Degree:
        return _degree(other) - self

    def __rmul__(self, other: Any) -> Degree:
        return _degree(other) * self

    def __rtruediv__(self, other: Any) -> Degree:
        return _degree(other) / self

    def __pow__(self, other: Any) -> Degree:
        if isinstance(other, Dual):
            return NotImplemented
        exponent = other.value if isinstance(other, Degree) else Fraction(other) if isinstance(other, int) else other
        value = power(self.value, exponent)
        if isinstance(exponent, Fraction) and exponent.denominator == 1:
            n, ends = abs(int(exponent)), (self.top, self.bottom) if exponent >= 0 else (self.bottom, self.top)
            return Degree(value, n * ends[0] if n else 0, n * ends[1] if n else 0)
        return Degree(value, inf, inf)

    def __rpow__(self, other: Any) -> Degree:
        return _degree(other) ** self

    def __lt__(self, other: Any) -> bool:
        if isinstance(other, Dual):
            return NotImplemented
        return bool(combine("<", self.value, _degree(other).value))

    def __le__(self, other: Any) -> bool:
        if isinstance(other, Dual):
            return NotImplemented
        return bool(combine("<=", self.value, _degree(other).value))

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, Dual):
            return NotImplemented
        return bool(combine(">", self.value, _degree(other).value))

    def __ge__(self, other: Any) -> bool:
        if isinstance(other, Dual):
            return NotImplemented
        return bool(combine(">=", self.value, _degree(other).value))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dual):
            return NotImplemented
        return bool(combine("==", self.value, _degree(other).value))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __abs__(self) -> Degree:
        return self.apply_function("abs")

    def apply_function(self, name: str) -> Degree:
        value = FUNCTIONS[name](self.value)
        if name in ("relu", "abs", "sign"):  # a rational function on each side of the kink
            return Degree(value, self.top, self.bottom)
        constant = self.top == self.bottom == 0
        return Degree(value, 0, 0) if constant and isinstance(value, Fraction) else Degree(value, inf, inf)


def _degree(value: Any) -> Degree:
    return value if isinstance(value, Degree) else Degree(value, 0, 0)


def of_difference(a: Any, b: Any) -> tuple[float, float]:
    """The degrees of numerator and denominator of a − b."""
    difference = _degree(a) - _degree(b)
    return difference.top, difference.bottom


def chance(top: float, bottom: float, numbers: int) -> float:
    """At most how likely a difference of this degree, that is not 0, is 0 at a random point where it is defined."""
    return inf if isinf(top + bottom) else top / (numbers - bottom) if top + bottom < numbers else 1.0


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Degree) else value
