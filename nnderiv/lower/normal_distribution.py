"""1 + erf(x/√2) -> 2Φ(x): GELU and its slope have the distribution of a standard normal number, which is one function of x."""

from __future__ import annotations

from fractions import Fraction

from ..expr import ONE, Expr, Num, Op
from ..polynomial import factors, product

HALF, TWO = Num(Fraction(1, 2)), Num(Fraction(2))
ROOT = Op("sqrt", (TWO,))


def twice(x: Expr) -> Expr:
    """2Φ(x)."""
    return ONE + Op("erf", (Op("/", (x, ROOT)),))


def argument(e: Expr) -> Expr | None:
    """x, if e is 2Φ(x)."""
    match e:
        case Op("+", (one, Op("erf", (Op("/", (x, root)),)))) if (one, root) == (ONE, ROOT):
            return x
    return None


def with_normal(e: Expr) -> Expr:
    """The product with Φ(x) as a function of its own, `normal`, of which there is none in the notation."""
    found = [(f, argument(f)) for f in factors(e)]
    return product([f if x is None else TWO*Op("normal", (x,)) for f, x in found]) if any(x is not None for _, x in found) else e
