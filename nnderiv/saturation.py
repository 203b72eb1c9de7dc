"""A bound on an exponential, as a bound on its argument:

    min(u exp(a) + v, w)         (w − v) exp(min(a − log l, 0)) + v          for numbers u > 0 and l = (w − v)/u > 0
    max(w, v − u exp(a))         v − (v − w) exp(min(a − log l, 0))                              l = (v − w)/u
    relu(v − u exp(a))           v − v exp(−relu(log l − a))                                     l = v/u

Both sides are the same, and so are their derivatives, the shares of a tie included; on the right, nothing overflows, and at
the bound is the bound itself, not exp(log l).
"""

from __future__ import annotations

from fractions import Fraction

from .expr import ZERO, Expr, Num, Op, add, neg, num
from .polynomial import monomials, product


def saturated(e: Op) -> Expr:
    """See the module's docstring."""
    bounds = [a for a in e.args if isinstance(a, Num)]
    others = [a for a in e.args if not isinstance(a, Num)]
    if len(others) != 1 or len(bounds) != (e.op != "relu"):
        return e
    found = _linear(others[0])
    if found is None:
        return e
    u, a, v = found
    w = bounds[0].value if bounds else Fraction(0)
    if (u > 0) != (e.op == "min") or (w - v)/u <= 0:
        return e
    limit = (w - v)/u
    beyond = a if limit == 1 else add([a, neg(Op("log", (num(limit),)))])
    held = Op("min", (beyond, ZERO)) if e.op != "relu" else neg(Op("relu", (neg(beyond),)))
    return add([product([num(w - v), Op("exp", (held,))]), num(v)])


def _linear(e: Expr) -> tuple[Fraction, Expr, Fraction] | None:
    """(u, a, v) of u exp(a) + v with numbers u ≠ 0 and v."""
    u, v = Fraction(0), Fraction(0)
    a: Expr = ZERO
    for c, rest in monomials(e):
        if not rest:
            v += c
            continue
        x, *more = rest
        inner = (Fraction(1), x.args[0], Fraction(0)) if isinstance(x, Op) and x.op == "exp" else None
        inner = _linear(x) if inner is None and isinstance(x, Op) and x.op == "+" else inner
        if more or inner is None or u:
            return None
        u, a, v = c*inner[0], inner[1], v + c*inner[2]
    return (u, a, v) if u else None
