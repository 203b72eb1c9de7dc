"""Program -> program in which a costly function that is a tensor already, there or a step further, is read and not computed again.

    E[t,k,j] = exp(a[t,k] + A[k,j] − l[t+1,j])
    dA[j,k] = Σ_t dl[t,k] exp(a[t−1,j] + A[j,k] − l[t,k])     is     dA[j,k] = Σ_t dl[t,k] E[t−1,j,k]

Such tensors are, for one, what a recurrence need not wait for (`hoist`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ...bounds import inside
from ...expr import Expr, Op, Read, map_children, reads
from ...graph import reach
from ...program import Equation, Program
from ...within import positive_names
from .calls import COSTLY, Table, calls, table

Tables = Mapping[object, list[Table]]  # function -> where it is a tensor


def common(program: Program) -> Program:
    """See the module's docstring."""
    tables: dict[object, list[Table]] = {}
    for e in program.equations:
        for call in calls(e, e.body) if _is_of_several(e.body) and len(program.definitions[e.tensor]) == 1 else ():
            if (there := table(e, call)) is not None:
                tables.setdefault(call.key, []).append(there)
    if not tables:
        return program
    positive = positive_names(program)
    return program.with_bodies(lambda e: _reading(program, e, e.body, tables, positive))


def _is_of_several(e: Expr) -> bool:
    """Whether it is a costly function that looks at more than one tensor."""
    return isinstance(e, Op) and e.op in COSTLY and len({r.tensor for r in reads(e)}) > 1


def _reading(program: Program, e: Equation, node: Expr, tables: Tables, positive: frozenset[str]) -> Expr:
    """An expression of the equation in which tensors are read for the functions that they are."""
    if not _is_of_several(node):
        return map_children(lambda child: _reading(program, e, child, tables, positive), node)
    for call in calls(e, node):
        for there in tables.get(call.key, ()):
            if there.equation is e:
                break  # of two that are the same, the first one is computed
            places = there.places(call)
            covers = all(inside(s, r, e.ranges, positive) for s, r in zip(places, there.ranges, strict=True))
            if covers and e.tensor not in reach([there.equation.tensor], program.edges):
                return Read(there.equation.tensor, places)
    return node
