"""Program -> what it divides sizes by, and what it divides indices by that may be 0 although no axis is empty.

In x[c//(C//G)], that is G, and C//G, which is 0 where there are more groups than channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..bounds import never_negative
from ..expr import ints
from ..integer import FloorDiv, Int, Mod
from ..program import Program, Ranges
from ..within import positive_names


@dataclass(frozen=True)
class Divisor:
    """What divides, and how many values the indices have that it divides: where one has none, nothing is divided."""

    value: Int
    counts: tuple[Int, ...] = ()


def divisors(program: Program) -> list[Divisor]:
    """In the order in which they can be computed."""
    positive, known = positive_names(program), {*program.sizes, *program.parameters}

    def may_be_zero(top: Int, bottom: Int) -> bool:
        if bottom.is_constant or not bottom.symbols() <= known or bottom.elements() or bottom.name in program.parameters:
            return False
        whole = top.symbols() <= known and not top.elements()
        return whole or not (never_negative(bottom - 1, {}, positive) or never_negative(-bottom - 1, {}, positive))

    def counts(top: Int, ranges: Ranges) -> tuple[Int, ...]:
        sizes = {r.size: None for i, r in ranges.items() if i in top.symbols()}
        return tuple(size for size in sizes if size.symbols() <= known and not size.elements())

    return [*dict.fromkeys(Divisor(bottom, counts(top, ranges)) for value, ranges in _values(program)
                           for top, bottom in _quotients(value) if may_be_zero(top, bottom))]


def _values(program: Program) -> Iterator[tuple[Int, Ranges]]:
    """All integers that are computed, with the ranges of the indices in them."""
    for i in program.inputs:
        yield from ((d, {}) for d in i.dims)
    for e in program.equations:
        yield from ((x, e.ranges) for x in (*e.subs, *ints(e.body), *(end for r in e.ranges.values() for end in (r.lo, r.hi))))


def _quotients(value: Int) -> list[tuple[Int, Int]]:
    """What is divided, and by what; inner ones first."""
    return [(a.top, a.bottom) for a in reversed([*value.atoms()]) if isinstance(a, FloorDiv | Mod)]
