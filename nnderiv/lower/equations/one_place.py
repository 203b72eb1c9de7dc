"""Program -> program in which a sum over an index that must be at one place is what stands there.

    Σ_k [k = y[n]] log(p[n,k])        [0 ≤ y[n] < K] log(p[n,y[n]])
    Σ_k [k = n + 1] x[n,k]            [n + 1 < K] x[n,n+1]

So are the labels of a loss chosen by a condition; looked up, they cost what they are, and not a whole row each.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from ...conditions import placed
from ...expr import ZERO, Expr, Reduce, conjunction, map_sums, subst_indices, where
from ...integer import Int
from ...polynomial import guarded_factors
from ...program import Program, Ranges
from ...within import positive_names, readable
from ..fold import axes_at


def one_place(program: Program) -> Program:
    """See the module's docstring; what reads leave out is said by conditions, and what a recurrence waits for stays as it is."""
    picked, waiting = partial(_picked, program, positive=positive_names(program)), program.components
    return program.with_equations(
        e if e.tensor in waiting else e.with_body(map_sums(partial(picked, ranges=e.ranges), e.body)) for e in program.equations)


def _picked(program: Program, node: Reduce, ranges: Ranges, positive: Collection[str]) -> Expr:
    """The sum without the indices that a condition puts at a place."""
    for index, place, rest in placed(node.body):
        if index in node.indices:
            inside = [] if _vanishes(program, rest, index, ranges) else readable((ranges[index],), (place,), ranges, positive)
            body = where(conjunction(inside), subst_indices(rest, {index: place}), ZERO)
            left = tuple(i for i in node.indices if i != index)
            return _picked(program, Reduce("sum", left, body), ranges, positive) if left else body
    return node


def _vanishes(program: Program, rest: Expr, index: str, ranges: Ranges) -> bool:
    """Whether what is summed is a lone read, which is 0 wherever the index would be outside its range."""
    _, parts = guarded_factors(rest)
    return len(parts) == 1 and ranges[index] in axes_at(program, Int.symbol(index), parts)
