"""Program -> what it divides sizes by, and what it divides indices by that may be 0 although no axis is empty.

In x[c//(C//G)], that is G, and C//G, which is 0 where there are more groups than channels.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..bounds import never_negative
from ..expr import ints
from ..integer import FloorDiv, Int, Mod
from ..program import Program
from ..within import positive_names


def divisors(program: Program) -> list[Int]:
    """In the order in which they can be computed."""
    positive, known = positive_names(program), {*program.sizes, *program.parameters}

    def may_be_zero(top: Int, bottom: Int) -> bool:
        if not bottom.symbols() <= known or bottom.elements() or bottom.name in program.parameters:
            return False
        whole = top.symbols() <= known and not top.elements()
        return whole or not (never_negative(bottom - 1, {}, positive) or never_negative(-bottom - 1, {}, positive))

    quotients = [q for value in _values(program) for q in _quotients(value)]
    return [*dict.fromkeys(bottom for top, bottom in quotients if not bottom.is_constant and may_be_zero(top, bottom))]


def _values(program: Program) -> Iterator[Int]:
    for i in program.inputs:
        yield from i.dims
    for e in program.equations:
        yield from e.subs
        yield from ints(e.body)
        for r in e.ranges.values():
            yield from (r.lo, r.hi)


def _quotients(value: Int) -> list[tuple[Int, Int]]:
    """What is divided, and by what; inner ones first."""
    return [(a.top, a.bottom) for a in reversed([*value.atoms()]) if isinstance(a, FloorDiv | Mod)]
