"""Arithmetic over mixed number types: Fraction stays exact, meets float as float and mpf as mpf; functions by type.

A number type of one's own (a dual number, say) takes part by defining the operators and `apply_function(name)`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from numbers import Number, Real
from typing import Any

import mpmath
from mpmath.libmp import from_rational

INFINITY = float("inf")
DIGITS = 50
FLAT, ASTRONOMIC = 1000, 10**1000  # where tanh and erf are 1 to all digits; an exponent of what nobody compares with anything
LONGEST = 2**15  # bits of a number that is kept exact
_CONTEXT = mpmath.MPContext()
_CONTEXT.dps = DIGITS
_CLOSED = (Fraction, _CONTEXT.mpf)  # two of the one type need no other, but where 0 divides
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}


def exact(value: Fraction) -> Any:
    """A Fraction as an mpf of the working precision."""
    return _CONTEXT.make_mpf(from_rational(value.numerator, value.denominator, _CONTEXT.prec, "n"))


def shown(value: Any) -> str:
    """A fraction as it is, another number to six digits."""
    return str(value) if isinstance(value, Fraction | int) else f"{float(value):.6g}"


def is_mpf(value: Any) -> bool:
    return hasattr(value, "_mpf_")


def as_number(value: Any) -> Any:
    """What a number in the inputs is computed with: a whole number becomes a Fraction. None for what is no real number.

    What Python can add and multiply is one, a symbol of SymPy too, unless it says that it is a number of another kind.
    """
    if isinstance(value, bool | int):
        return Fraction(int(value))
    if is_mpf(value):
        return _CONTEXT.mpf(value)
    of_another_kind = isinstance(value, Number) and not isinstance(value, Real)  # complex; Decimal, which Fraction does not go with
    return value if hasattr(value, "__radd__") and hasattr(value, "__rmul__") and not of_another_kind else None


def as_integer(value: Any) -> int | None:
    """A whole number in the inputs; None for what is none."""
    is_whole = isinstance(value, int) or isinstance(value, Real) and math.isfinite(value) and math.floor(value) == value
    return int(value) if is_whole else None


def _to_mpf(value: Any) -> Any:
    return exact(value) if isinstance(value, Fraction) else _CONTEXT.mpf(value) if isinstance(value, float) else value


def combine(op: str, a: Any, b: Any) -> Any:
    """a op b; a Fraction gives way to the other type. A division by zero of floats is ±inf or nan, as in IEEE arithmetic."""
    if type(a) is type(b) and type(a) in _CLOSED and (op != "/" or b != 0):
        return _held_exact(_OPERATORS[op](a, b))
    if is_mpf(b):
        a = _to_mpf(a)
    elif is_mpf(a):
        b = _to_mpf(b)
    if hasattr(a, "apply_function") or hasattr(b, "apply_function"):
        return _OPERATORS[op](a, b)
    if op == "*" and (a == 0 and isinstance(b, float) or b == 0 and isinstance(a, float)):
        return float(a) * float(b)
    if op == "/" and b == 0:
        return _divide_by_zero(float(a), float(b))
    if op == "/" and isinstance(a, Fraction) and isinstance(b, float) and math.isinf(b):
        return Fraction(0)  # exactly, so that other exact numbers stay so
    try:
        return _OPERATORS[op](a, b)
    except OverflowError:
        return _OPERATORS[op](rounded(a), rounded(b))


def _held_exact(value: Any) -> Any:
    """The value; to so many digits only, where its fraction has thousands: twice as many with each of some squares."""
    return exact(value) if type(value) is Fraction and _bits(value) > LONGEST else value


def _bits(value: Fraction) -> int:
    """Those of the longer one of numerator and denominator."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def rounded(value: Any) -> float:
    """A number as a float, infinite where it is larger than these are."""
    try:
        return float(value)
    except OverflowError:
        return INFINITY if value > 0 else -INFINITY


def _divide_by_zero(a: float, b: float) -> float:
    return math.nan if a == 0 or math.isnan(a) else math.copysign(INFINITY, a) * math.copysign(1.0, b)


def agree(a: Any, b: Any) -> bool:
    """Equal as fractions; to 40 of 50 digits as mpf; to rounding where a float came in."""
    difference = combine("-", a, b)
    if isinstance(a, float) or isinstance(b, float):
        return bool(abs(float(difference)) <= 1e-9 * (1 + abs(float(a))))
    if is_mpf(a) or is_mpf(b):
        return bool(combine("<=", abs(difference), combine("*", 1 + abs(a), Fraction(1, 10 ** (DIGITS - 10)))))
    return bool(difference == 0)


def is_finite(x: Any) -> bool:
    return bool(x == x and abs(x) != INFINITY)


def power(base: Any, exponent: Any) -> Any:
    """base ** exponent; exact for a Fraction and a whole exponent; nan where it is not real."""
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if hasattr(base, "apply_function"):
        return base**exponent
    if hasattr(exponent, "apply_function"):
        return exponent.__rpow__(base)  # not base**exponent: a Fraction would turn into a float first
    if whole and (isinstance(base, Fraction) and abs(exponent) <= 10_000 or not isinstance(base, Fraction)):
        if isinstance(base, Fraction) and abs(exponent) * _bits(base) > LONGEST:
            base = exact(base)
        return combine("/", Fraction(1), base ** int(-exponent)) if exponent < 0 else base ** int(exponent)
    if isinstance(base, float) or isinstance(exponent, float):
        return _float_power(float(base), float(exponent))
    if base == 0 and exponent < 0:
        return INFINITY  # as 1/0 is, and not mpmath's error
    result = (exact(base) if isinstance(base, Fraction) else base) ** (exact(exponent) if isinstance(exponent, Fraction) else exponent)
    return math.nan if isinstance(result, complex) or hasattr(result, "_mpc_") else result


def _float_power(base: float, exponent: float) -> float:
    try:
        result = base**exponent
    except ZeroDivisionError:
        return INFINITY
    except OverflowError:
        return INFINITY
    return math.nan if isinstance(result, complex) else result


# -- functions -----------------------------------------------------------------------------------------------------------
def _held(m: Any, x: Any, most: int) -> Any:
    """x between −most and most: mpmath asks for as many bits as a result is large, or near to what it never is."""
    return max(min(x, most), -most) if m is _CONTEXT else x


def _exp(m: Any, x: Any) -> Any:
    return m.exp(_held(m, x, ASTRONOMIC))


def _sigmoid(m: Any, x: Any) -> Any:
    return 1 / (1 + _exp(m, -x)) if x >= 0 else _exp(m, x) / (1 + _exp(m, x))


def _softplus(m: Any, x: Any) -> Any:
    return max(x, 0) + m.log(1 + _exp(m, -abs(x)))


_SMOOTH: dict[str, Callable[[Any, Any], Any]] = {
    "exp": _exp,
    "log": lambda m, x: m.log(x),
    "sqrt": lambda m, x: m.sqrt(x),
    "tanh": lambda m, x: m.tanh(_held(m, x, FLAT)),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "gelu": lambda m, x: x * (1 + m.erf(_held(m, x, FLAT) / m.sqrt(2))) / 2,
    "silu": lambda m, x: x * _sigmoid(m, x),
    "erf": lambda m, x: m.erf(_held(m, x, FLAT)),
    "sin": lambda m, x: m.sin(x),
    "cos": lambda m, x: m.cos(x),
    "pi": lambda m, x: m.pi + x,
}
_PIECEWISE: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: x if x > 0 else x * 0,
    "abs": abs,
    "sign": lambda x: Fraction((x > 0) - (x < 0)),
}
# Limits at ±inf that are exact: a masked position must not turn exact numbers into floats.
_AT_MINUS_INFINITY = {"exp": 0, "sigmoid": 0, "softplus": 0, "relu": 0, "tanh": -1, "erf": -1, "sign": -1}
_AT_INFINITY = {"sigmoid": 1, "tanh": 1, "erf": 1, "sign": 1}
_AT_ZERO = {"exp": 1, "sqrt": 0, "tanh": 0, "gelu": 0, "silu": 0, "erf": 0, "sin": 0, "cos": 1}


def _function(name: str) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        if hasattr(x, "apply_function"):
            return x.apply_function(name)
        if name in _AT_MINUS_INFINITY and x == -INFINITY:
            return Fraction(_AT_MINUS_INFINITY[name])
        if name in _AT_INFINITY and x == INFINITY:
            return Fraction(_AT_INFINITY[name])
        if name in _PIECEWISE:
            return _PIECEWISE[name](x)
        if isinstance(x, Fraction):
            if x == 0 and name in _AT_ZERO:
                return Fraction(_AT_ZERO[name])
            x = exact(x)
        return _SMOOTH[name](_CONTEXT, x) if is_mpf(x) and not hasattr(x, "_mpc_") and _is_real(name, x) else _float(name, x)

    return apply


def _is_real(name: str, x: Any) -> bool:
    return not (name in ("log", "sqrt") and x <= 0 and (name == "log" or x < 0))


def _float(name: str, x: Any) -> float:
    """The value at a float, with IEEE arithmetic's answers at the edges instead of Python's exceptions."""
    x = float(x)
    if name == "log" and x <= 0:
        return -INFINITY if x == 0 else math.nan
    if name == "sqrt" and x < 0 or name in ("sin", "cos") and math.isinf(x):
        return math.nan
    try:
        return float(_SMOOTH[name](math, x))
    except OverflowError:
        return INFINITY


FUNCTIONS: dict[str, Callable[[Any], Any]] = {name: _function(name) for name in (*_SMOOTH, *_PIECEWISE)}
