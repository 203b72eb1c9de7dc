"""Program -> program in which loops follow a recurrence that hid their order behind a name.

    u[i,j] = A[i,j] - Σ_k where(k < j, F[i,k] F[k,j], 0)       F[i,j] = where(i > j, (A[i,j] - Σ_k …)/F[j,j], …)
    F[i,j] = where(i > j, u[i,j]/F[j,j], …)

Nobody asks for u[i,j] where i ≤ j; as a tensor it would wait there for rows of F that come later. Only where no loop follows the
recurrence as it is, for what has a name is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from ...expr import (
    ZERO,
    Expr,
    Read,
    Reduce,
    bound_indices,
    conjunction,
    has_reduction,
    map_children,
    reads,
    rebound,
    subst_indices,
    walk,
    where,
)
from ...fresh import Fresh
from ...program import Equation, Program
from ...within import fills, positive_names, readable
from ..schedule import depth, schedule
from .known import own_cycles

LARGE = 2000  # nodes of expressions; in what is larger the names stay


def untangle(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    for cycle in own_cycles(program, known):
        if _is_swept(program, cycle):
            program = _untangled(program, cycle)
    return program


def _untangled(program: Program, cycle: frozenset[str]) -> Program:
    """Names are written in where they are read, one after the other, until loops follow; if none ever do, all stays as it is."""
    new = program
    while (d := next(_candidates(new, cycle), None)) is not None and not _is_large(new, cycle, d):
        new = replace(new, equations=tuple(_written_in(new, e, d) if e.tensor in cycle - {d.tensor} else e for e in new.equations))
        if not _is_swept(new, cycle):
            return new
    return program


def _is_large(program: Program, cycle: frozenset[str], d: Equation) -> bool:
    """Whether the recurrence would be, with d written in."""
    nodes = [n for e in program.equations if e.tensor in cycle for n in walk(e.body)]
    times = sum(isinstance(n, Read) and n.tensor == d.tensor for n in nodes)
    return len(nodes) + times*sum(1 for _ in walk(d.body)) > LARGE


def _is_swept(program: Program, cycle: frozenset[str]) -> bool:
    """Whether no loop follows what is left of a recurrence."""
    return depth(schedule(program, [e for e in program.equations if e.tensor in cycle])) == inf


def _candidates(program: Program, cycle: frozenset[str]) -> Iterator[Equation]:
    """Equations that others of the cycle can do without: those whose sums are computed no more often then."""
    bodies = {e.tensor: e.body for e in program.equations if e.tensor in cycle}
    read = {name: {r.tensor for r in reads(body)} for name, body in bodies.items()}
    summed = {r.tensor for body in bodies.values() for n in walk(body) if isinstance(n, Reduce) for r in reads(n)}
    found = [e for e in program.equations if e.tensor in cycle and e.tensor not in e.reads and fills(program, e)
             and any(e.tensor in names for names in read.values())]
    yield from (e for e in found if e.tensor not in summed)
    yield from (e for e in found if e.tensor in summed and not has_reduction(e.body))


def _written_in(program: Program, e: Equation, d: Equation) -> Equation:
    """The equation with the right-hand side of d wherever it reads what d defines; 0 where that is outside."""
    fresh, positive, ranges = Fresh(program.names), positive_names(program), dict(e.ranges)

    def visit(node: Expr) -> Expr:
        if not (isinstance(node, Read) and node.tensor == d.tensor):
            return map_children(visit, node)
        names = {i: fresh(i) if i in ranges else i for i in bound_indices(d.body)}
        ranges.update({names[i]: d.ranges[i] for i in names})
        body = subst_indices(rebound(d.body, names), d.places(node.subs))
        return where(conjunction(readable(program.hulls[d.tensor], node.subs, e.ranges, positive)), body, ZERO)

    return replace(e, body=visit(e.body), ranges=ranges)
