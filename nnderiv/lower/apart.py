"""Program -> program in which a tensor that is another thing at each place of an axis is computed place by place.

    dz[n,g,k] = where(g == 0, a[n,k], 0) + where(g == 1, b[n,k], 0)     is     dz[n,0,k] = a[n,k],   dz[n,1,k] = b[n,k]

That is the gradient of what is read at z[n,0,k] and z[n,1,k]: gates in one tensor, pairs that are rotated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..conditions import placed
from ..expr import Expr, additive_terms, signed, subst_indices
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
        places = [(sign, next(((at, rest) for i, at, rest in placed(t) if i.name == a and at.is_constant), None)) for sign, t in terms]
        if all(found is not None for _, found in places):
            return list(_each(e, a, [(sign, *found) for sign, found in places if found is not None]))
    return []


def _each(e: Equation, a: str, terms: list[tuple[int, Int, Expr]]) -> Iterator[Equation]:
    """The equation of each place at which something stands; elsewhere the tensor is 0."""
    ranges = {i: r for i, r in e.ranges.items() if i != a}
    for k in range(e.ranges[a].size.constant):
        here = {a: Int.of(k)}
        own = [(sign, subst_indices(t, here)) for sign, place, t in terms if place == k]
        if own:
            yield replace(e, subs=tuple(s.subst(here) for s in e.subs), body=signed(own), ranges=ranges)
