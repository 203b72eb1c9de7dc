"""Where an equation rules: what a general one leaves to base cases, and one base case to another.

    h[-1,n] = h0[n]          t = −1
    h[t,n]  = e(t, n)        not t = −1, unless the range of t says so
    D[i,0]  = i              not i = 0 beside D[0,0] = 1, which is more literal
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from .bounds import never_negative, outside
from .conditions import between
from .expr import Expr, Op, compare, conjunction
from .integer import Int
from .program import Equation, Program


def where_it_rules(program: Program, e: Equation, values: Mapping[str, Int], positive: Collection[str]) -> Iterator[Expr]:
    """The conditions under which an equation, and no other one of its tensor, holds where its letters have these values."""
    for other in program.definitions[e.tensor]:
        if other is e and e.is_base:
            return  # it gives way to what stands before it: the more literal ones, and earlier ones that are as literal
        if other.is_base:
            yield from _overruled(e, other, values) if e.is_base else _hole(e, other, values, positive)


def _hole(e: Equation, base: Equation, values: Mapping[str, Int], positive: Collection[str]) -> Iterator[Expr]:
    """not (i is where the base case rules), unless the general range excludes that already; where i is in that range is no question."""
    at = [(i, s) for i, s in zip(e.indices, base.subs, strict=True) if s.name not in base.ranges]
    if any(outside(s, e.ranges[i], {}, positive) for i, s in at):
        return
    places = [compare("==", values[i], s) for i, s in at]
    for i, s in zip(e.indices, base.subs, strict=True):
        if s.name in base.ranges:
            own, there = e.ranges[i], base.ranges[str(s.name)]
            from_lo, to_hi = between(there, values[i])
            places += [from_lo] if not never_negative(own.lo - there.lo, {}, positive) else []
            places += [to_hi] if not never_negative(there.hi - own.hi, {}, positive) else []
    yield Op("not", (conjunction(places),))


def _overruled(e: Equation, other: Equation, values: Mapping[str, Int]) -> Iterator[Expr]:
    """not (where another base case rules)."""
    places: list[Expr] = []
    for mine, theirs in zip(e.subs, other.subs, strict=True):
        here = mine.subst(values)
        places += between(other.ranges[str(theirs.name)], here) if theirs.name in other.ranges else [compare("==", here, theirs)]
    yield Op("not", (conjunction(places),))
