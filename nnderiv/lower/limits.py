"""max(x, c) and min(x, c) with numbers c, relu, and one of them inside another -> x, held between two numbers.

NumPy's `clip` goes through a long array in a third of the time of `np.maximum` with an array and a number.
"""

from __future__ import annotations

from fractions import Fraction

from ..expr import Expr, Num, Op
from .items.form import Operation

Limits = tuple[Expr, Fraction | None, Fraction | None]


def limits(e: Expr) -> Limits:
    """(x, low, high): e is x, held between the numbers low and high; None where there is no limit."""
    if not isinstance(e, Op):
        return e, None, None
    if e.op == "relu":
        return _held("max", *limits(e.args[0]), Fraction(0))
    if e.op in ("max", "min") and len(e.args) == 2:
        a, b = e.args
        if isinstance(b, Num):
            return _held(e.op, *limits(a), b.value)
        if isinstance(a, Num):
            return _held(e.op, *limits(b), a.value)
    return e, None, None


def _held(op: str, x: Expr, low: Fraction | None, high: Fraction | None, c: Fraction) -> Limits:
    """max(min(max(x, low), high), c) is min(max(x, low, c), max(high, c)), and so for min."""
    pick, lower, upper = (max, c, None) if op == "max" else (min, None, c)
    return (x, lower if low is None else pick(low, c), upper if high is None else pick(high, c))


def clip(low: Fraction | None, high: Fraction | None) -> Operation:
    """x.clip(low, high)."""
    shown = f"{_text(low, '-np.inf')}, {_text(high, 'np.inf')}"
    return Operation(f"{{0}}.clip({shown})", (9,), 9, f"{{0}}.clip({shown}, out={{out}})")


def _text(limit: Fraction | None, otherwise: str) -> str:
    return otherwise if limit is None else str(limit) if limit.denominator == 1 else repr(float(limit))
