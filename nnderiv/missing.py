"""Which inputs may have entries that are no number: y in where(m[n] > 0, (y[n] - q[n])**2, 0), of which m says whether they count.

In where(m[n] > 0, x[n,d], 0), the data say it of rows, and these are numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from .expr import Expr, Op, Read, all_reads, children, conjuncts, free_symbols, has_reduction, reads
from .graph import reach

if TYPE_CHECKING:
    from .program import Equation, Program


def missing(program: Program) -> frozenset[str]:
    """Inputs of whose entries, each by itself, other data say whether they are looked at."""
    plainly: dict[str, set[str]] = {}  # what is read where no other data choose, by what reads it
    summed = set[str]()
    for e in program.equations:
        found = {r.tensor for r in not_chosen(e.body, program)}
        plainly.setdefault(e.tensor, set()).update(found)
        summed |= found if has_reduction(e.body) else set()
    read = {r.tensor for e in program.equations for r in reads(e.body)}
    looked_at = reach({*program.outputs, *summed}, plainly)
    return frozenset(i.name for i in program.inputs if i.kind == "real" and i.dims and i.name in read) - looked_at


def rests_on(e: Expr, absent: Collection[str], program: Program) -> bool:
    """Whether an expression may be no number where some tensors are none."""
    return any(r.tensor in absent for r in not_chosen(e, program))


def resting_on(absent: Collection[str], equations: Iterable[Equation], program: Program) -> frozenset[str]:
    """These tensors, and what may be no number where they are none."""
    if not absent:
        return frozenset()
    readers: dict[str, set[str]] = {}
    for e in equations:
        for r in not_chosen(e.body, program):
            readers.setdefault(r.tensor, set()).add(e.tensor)
    return frozenset(reach(absent, readers))


def not_chosen(e: Expr, program: Program) -> set[Read]:
    """What an expression reads where no other data choose, entry by entry, between what reads it and what does not."""
    if isinstance(e, Read):
        return {e}
    if not (isinstance(e, Op) and e.op == "where"):
        return {r for c in children(e) for r in not_chosen(c, program)}
    test, *branches = e.args
    asked = [({r.tensor for r in all_reads(c)} | free_symbols(c) & {*program.kinds}, free_symbols(c)) for c in conjuncts(test)]
    both = set.intersection(*({r.tensor for r in reads(b)} for b in branches))

    def is_chosen(r: Read) -> bool:
        letters = free_symbols(r) - {*program.sizes, *program.kinds}
        return r.tensor not in both and any(data - {r.tensor} and letters <= said for data, said in asked)

    return {r for b in branches for r in not_chosen(b, program) if not is_chosen(r)}
