"""Signs of expressions, by what is written: x² + 1 is above 0, |x| is at least 0, −|x| is at most 0, whatever x is.

Nothing is asked of tensors but by `known`, and ∞ counts as above 0: whether a value is finite is asked of `facts`, where sizes
count as positive, too, since an empty array has no entries to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from .expr import Expr, Num, Op, Reduce
from .polynomial import additive_terms, factors, is_reciprocal


def above_0(e: Expr) -> bool:
    """Whether e is above some positive number by what is written: softplus(x) + 0.001, x² + 1, max(x, 0.1), and roots of such."""
    if isinstance(e, Op) and e.op == "+":
        return all(s > 0 and at_least_0(t) for s, t in additive_terms(e)) and any(above_0(t) for _, t in additive_terms(e))
    if isinstance(e, Op) and e.op == "max":
        return any(map(above_0, e.args))
    return isinstance(e, Num) and e.value > 0 or isinstance(e, Op) and e.op == "sqrt" and above_0(e.args[0])


def at_least_0(e: Expr, known: Callable[[Expr], bool] = lambda f: False) -> bool:
    """Whether e ≥ 0 by what is written: sums of |x|, x²; `known`: whether a factor is that does not say so itself, a tensor's element."""
    return all(_sign(s, t, known) in (0, 1) for s, t in additive_terms(e))


def never_positive(e: Expr) -> bool:
    """Whether e ≤ 0 by what is written: sums of −|x|, −x², …"""
    return all(_sign(s, t, lambda f: False) in (0, -1) for s, t in additive_terms(e))


def _sign(sign: int, e: Expr, known: Callable[[Expr], bool]) -> int | None:
    """The sign of a term, by the numbers in it and by what is never negative; None if it is not known."""
    for f in factors(e):
        if isinstance(f, Num):
            sign *= (f.value > 0) - (f.value < 0)
        elif isinstance(f, Op) and f.op == "min" and any(isinstance(a, Num) and a.value <= 0 for a in f.args):
            sign = -sign
        elif not (_is_never_negative(f, known) or known(f)):
            return None
    return sign


def _is_never_negative(f: Expr, known: Callable[[Expr], bool]) -> bool:
    """The same of one factor."""
    if isinstance(f, Reduce):
        return f.op in ("sum", "mean") and at_least_0(f.body, known)
    if not isinstance(f, Op):
        return False
    if f.op == "+" or is_reciprocal(f):
        return at_least_0(f.args[1] if is_reciprocal(f) else f, known)
    return f.op in ("abs", "relu", "softplus", "exp", "sigmoid", "sqrt") or _is_even(f) or above_0(f)


def _is_even(e: Op) -> bool:
    """Whether e is a square, or a fourth power, …"""
    return e.op == "**" and isinstance(e.args[1], Num) and e.args[1].value % 2 == 0
