"""Program -> program in which what is compared with a number is compared as it stands, and what lies between −k and k by its magnitude.

    c·x + d > e                             x > (e − d)/c, or x < (e − d)/c where c < 0, for numbers c, d, e
    x > x/100                               x > 0
    relu(x) < c                             x < c, for c > 0
    [x < k]·[x > −k], with halves in ties   [|x| < k]

So x + 3 is not computed for a mask, and what a function holds between two numbers has one slope.
"""

from __future__ import annotations

from fractions import Fraction

from ...conditions import TURNED
from ...expr import Expr, Num, Op, map_children, num, reads, walk
from ...logarithms import multiplied_out
from ...polynomial import factors, monomials, product, without
from ...program import Program
from .slopes import Choice, slope


def thresholds(program: Program) -> Program:
    """See the module's docstring."""
    return program.with_bodies(lambda e: _visit(e.body))


def _visit(node: Expr) -> Expr:
    new = map_children(_visit, node)
    if not isinstance(new, Op):
        return new
    if new.op in TURNED:
        return compared(new)
    return _in_magnitude(new) if new.op == "*" else new


def compared(e: Op) -> Op:
    """A comparison of which one side is a number, if it is one of multiples of an expression and numbers; as it is, otherwise."""
    terms = monomials(multiplied_out(e.args[0] - e.args[1])) if any(map(reads, e.args)) else []
    varying = [(c, parts) for c, parts in terms if parts]
    if len(varying) != 1:
        return e
    ((c, parts),) = varying
    bound = -sum((d for d, others in terms if not others), Fraction(0))/c
    if len(parts) == 1 and isinstance(x := parts[0], Op) and x.op == "relu" and bound > 0:
        return compared(Op(e.op if c > 0 else TURNED[e.op], (x.args[0], num(bound))))
    as_written = {n: k for k, n in reversed([*enumerate(n for a in e.args for n in walk(a))])}  # sides and factors in their order
    x = product(sorted(parts, key=lambda f: as_written.get(f, 0)))
    if num(bound) in e.args and x in e.args:
        return e
    return Op(e.op if c > 0 else TURNED[e.op], (x, num(bound)))


def _in_magnitude(e: Op) -> Expr:
    """A product in which the slopes of min(x, k) and max(x, −k) are one."""
    parts = factors(e)
    below = {key: f for f in parts if (key := _slope(f, "<")) is not None}
    for f in parts:
        key = _slope(f, ">")
        if key is not None and key[1] < 0 and (other := below.get((key[0], -key[1]))) is not None:
            size, k = Op("abs", (key[0],)), num(-key[1])
            one = slope(Op("<", (size, k)))
            return product([one if g is f else g for g in without(parts, [other])])
    return e


def _slope(f: Expr, op: str) -> tuple[Expr, Fraction] | None:
    """(x, k) where f is the slope of a maximum or a minimum that asks whether x < k, or x > k."""
    found = Choice.of(f)
    if found is None or not found.is_slope or found.more.op != op or not isinstance(found.more.args[1], Num):
        return None
    return found.more.args[0], found.more.args[1].value
