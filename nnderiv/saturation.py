"""A bound on an exponential, as a bound on its argument:

    min(u exp(a) + v, w)         u exp(min(a, log((w − v)/u))) + v               for numbers u > 0 and (w − v)/u > 0
    max(w, v − u exp(a))         v − u exp(min(a, log((v − w)/u)))
    relu(v − u exp(a))           v − u exp(log(v/u) − relu(log(v/u) − a))

Both sides are the same, and so are their derivatives, the shares of a tie included; on the right, nothing overflows.
"""

from __future__ import annotations

from fractions import Fraction

from .expr import ZERO, Expr, Num, Op, add, additive_terms, factors, neg, num, product


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
    limit = ZERO if (w - v)/u == 1 else Op("log", (num((w - v)/u),))
    held = Op("min", (a, limit)) if e.op != "relu" else add([limit, neg(Op("relu", (add([limit, neg(a)]),)))])
    return add([product([num(u), Op("exp", (held,))]), num(v)])


def _linear(e: Expr) -> tuple[Fraction, Expr, Fraction] | None:
    """(u, a, v) of u exp(a) + v with numbers u ≠ 0 and v."""
    u, v = Fraction(0), Fraction(0)
    a: Expr = ZERO
    for s, t in additive_terms(e):
        c = Fraction(s)
        rest: list[Expr] = []
        for f in factors(t):
            c, rest = (c*f.value, rest) if isinstance(f, Num) else (c, [*rest, f])
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
