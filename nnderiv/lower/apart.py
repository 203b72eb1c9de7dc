"""Program -> program in which a tensor that is another thing at each place of an axis is computed place by place.

    dz[n,g,k] = where(g == 0, a[n,k], 0) + where(g == 1, b[n,k], 0)     is     dz[n,0,k] = a[n,k],   dz[n,1,k] = b[n,k]

That is the gradient of what is read at z[n,0,k] and z[n,1,k]: gates in one tensor, pairs that are rotated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..conditions import equalities
from ..expr import ZERO, Expr, Op, additive_terms, conjunction, conjuncts, factors, product, signed, subst_indices, where
from ..integer import Int
from ..program import Equation, Program

MANY = 16  # places, of which each is a statement


def apart(program: Program) -> Program:
    """See the module's docstring."""
    equations = tuple(row for e in program.equations for row in _rows(program, e) or [e])
    return program if len(equations) == len(program.equations) else replace(program, equations=equations)


def _rows(program: Program, e: Equation) -> list[Equation]:
    """The equations of the single places along the first axis that has them; none where there is no such axis."""
    if e.is_base or len(program.definitions[e.tensor]) > 1:
        return []
    terms = additive_terms(e.body)
    for a in e.indices:
        r = e.ranges.get(a)
        if r is None or not (r.lo == 0 and r.size.is_constant and 1 < r.size.constant <= MANY):
            continue
        placed = [(sign, _placed(t, a)) for sign, t in terms]
        if all(found is not None for _, found in placed):
            return list(_each(e, a, [(sign, *found) for sign, found in placed if found is not None]))
    return []


def _each(e: Equation, a: str, terms: list[tuple[int, Int, Expr]]) -> Iterator[Equation]:
    """The equation of each place at which something stands; elsewhere the tensor is 0."""
    ranges = {i: r for i, r in e.ranges.items() if i != a}
    for k in range(e.ranges[a].size.constant):
        here = {a: Int.of(k)}
        own = [(sign, subst_indices(t, here)) for sign, place, t in terms if place == k]
        if own:
            yield replace(e, subs=tuple(s.subst(here) for s in e.subs), body=signed(own), ranges=ranges)


def _placed(term: Expr, a: str) -> tuple[Int, Expr] | None:
    """(the place, the rest) of where(a == place and …, x, 0)·…"""
    parts = factors(term)
    for f in parts:
        if not (isinstance(f, Op) and f.op == "where" and f.args[2] == ZERO):
            continue
        conditions = conjuncts(f.args[0])
        for c in conditions:
            for index, place in equalities(c):
                if index.name == a and place.is_constant:
                    rest = where(conjunction([x for x in conditions if x is not c]), f.args[1], ZERO)
                    return place, product([rest if x is f else x for x in parts])
    return None
