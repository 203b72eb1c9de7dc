"""Dual numbers a + b·ε, ε² = 0: the interpreter, fed with them, gives an exact directional derivative.

They know nothing of the one rule: each function's derivative stands here a second time, so that agreement is evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .numbers import FUNCTIONS, combine, is_finite, power


class Kink(ArithmeticError):
    """Two numbers that are compared are equal and grow apart: there is no derivative here."""


@dataclass(frozen=True, eq=False)
class Dual:
    """value + slope·ε; comparisons look at the value, and refuse a place where an arbitrarily small step decides.

    No step decides between infinities: what is −inf stays so.
    """

    value: Any
    slope: Any

    def __add__(self, other: Any) -> Dual:
        o = _dual(other)
        return Dual(combine("+", self.value, o.value), combine("+", self.slope, o.slope))

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -_dual(other)

    def __mul__(self, other: Any) -> Dual:
        o = _dual(other)
        return Dual(combine("*", self.value, o.value), combine("+", combine("*", self.slope, o.value), combine("*", self.value, o.slope)))

    def __truediv__(self, other: Any) -> Dual:
        o = _dual(other)
        value = combine("/", self.value, o.value)
        return Dual(value, combine("/", combine("-", self.slope, combine("*", value, o.slope)), o.value))

    def __radd__(self, other: Any) -> Dual:
        return _dual(other) + self

    def __rsub__(self, other: Any) -> Dual:
        return _dual(other) - self

    def __rmul__(self, other: Any) -> Dual:
        return _dual(other) * self

    def __rtruediv__(self, other: Any) -> Dual:
        return _dual(other) / self

    def __pow__(self, other: Any) -> Dual:
        if not isinstance(other, Dual) or other.slope == 0:
            p = other.value if isinstance(other, Dual) else other
            if self.slope == 0:
                return Dual(power(self.value, p), self.slope)
            derivative = combine("*", p, power(self.value, combine("-", p, Fraction(1))))
            return Dual(power(self.value, p), combine("*", derivative, self.slope))
        value = power(self.value, other.value)
        inner = combine("+", combine("*", other.slope, FUNCTIONS["log"](self.value)),
                        combine("/", combine("*", other.value, self.slope), self.value))
        return Dual(value, combine("*", value, inner))

    def __rpow__(self, other: Any) -> Dual:
        return _dual(other) ** self

    def __lt__(self, other: Any) -> bool:
        return self.compare("<", other)

    def __le__(self, other: Any) -> bool:
        return self.compare("<=", other)

    def __gt__(self, other: Any) -> bool:
        return self.compare(">", other)

    def __ge__(self, other: Any) -> bool:
        return self.compare(">=", other)

    def compare(self, op: str, other: Any) -> bool:
        o = _dual(other)
        if combine("==", self.value, o.value) and is_finite(self.value) and not combine("==", self.slope, o.slope):
            raise Kink(f"{self.value} meets {o.value}")
        return bool(combine(op, self.value, o.value))

    def __eq__(self, other: object) -> bool:
        return bool(combine("==", self.value, _dual(other).value))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def apply_function(self, name: str) -> Dual:
        x, y = self.value, FUNCTIONS[name](self.value)
        if name in ("relu", "abs", "sign") and combine("==", x, Fraction(0)) and not combine("==", self.slope, Fraction(0)):
            raise Kink(f"{name}({x})")
        return Dual(y, combine("*", _SLOPES[name](x, y), self.slope) if self.slope != 0 else self.slope)


def slope(value: Any) -> Any:
    """How a value changes: 0 for a number that no step moves."""
    return _dual(value).slope


def _dual(value: Any) -> Dual:
    return value if isinstance(value, Dual) else Dual(value, Fraction(0))


def _f(name: str, x: Any) -> Any:
    return FUNCTIONS[name](x)


_ONE = Fraction(1)
_SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda x, y: y,
    "log": lambda x, y: combine("/", _ONE, x),
    "sqrt": lambda x, y: combine("/", Fraction(1, 2), y),
    "tanh": lambda x, y: combine("/", _ONE, power((combine("+", _f("exp", x), _f("exp", -x))) / 2, Fraction(2))),
    "sigmoid": lambda x, y: y * (1 - y),
    "softplus": lambda x, y: _f("sigmoid", x),
    "erf": lambda x, y: 2 / _f("sqrt", _f("pi", Fraction(0))) * _f("exp", -(x * x)),
    "gelu": lambda x, y: (1 + _f("erf", combine("/", x, _f("sqrt", Fraction(2))))) / 2
    + combine("*", x, _f("exp", -(x * x) / 2)) / _f("sqrt", 2 * _f("pi", Fraction(0))),
    "silu": lambda x, y: combine("+", _f("sigmoid", x), combine("*", x, _f("sigmoid", x) * (1 - _f("sigmoid", x)))),
    "sin": lambda x, y: _f("cos", x),
    "cos": lambda x, y: -_f("sin", x),
    "relu": lambda x, y: Fraction(int(x > 0)),
    "abs": lambda x, y: Fraction(int(x > 0) - int(x < 0)),
    "sign": lambda x, y: Fraction(0),
    "pi": lambda x, y: _ONE,
}
