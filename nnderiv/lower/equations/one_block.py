"""Program -> program in which a sum over blocks, of which an index lies in one, is what that block adds.

    Σ_hj [0 ≤ f − h·(F//H) < F//H] dS[h,j] K[j,f]        Σ_j [1 ≤ F//H] dS[f // max(F//H, 1),j] K[j,f]

So stands, in a gradient, what is read at h·(F//H) + d where blocks may be empty: only where they are not, their number is that of f.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ...bounds import never_negative
from ...conditions import between, facts
from ...expr import ZERO, Expr, Reduce, compare, conjunction, map_sums, subst_indices, where
from ...integer import Int
from ...polynomial import guarded_factors, product
from ...program import Program, Ranges
from ...within import positive_names
from ..fold import axes_at


def one_block(program: Program) -> Program:
    """See the module's docstring."""
    picked = partial(_picked, program, positive=positive_names(program))
    return program.with_bodies(lambda e: map_sums(partial(picked, ranges=e.ranges), e.body))


def _picked(program: Program, node: Reduce, ranges: Ranges, positive: frozenset[str]) -> Expr:
    """The sum with the blocks that it runs over each chosen by an index."""
    conditions, parts = guarded_factors(node.body)
    found = next(_blocks(node.indices, conditions), None)
    if found is None:
        return node
    h, top, size, given = found
    least = size if never_negative(size - 1, {}, positive) else Int.extreme("max", size, Int.of(1))
    values = {h: top // least}
    kept = [compare("<=", Int.of(1), size)] if least != size else []
    if ranges[h] not in axes_at(program, Int.symbol(h), parts):  # no read is outside where h is
        kept += between(ranges[h], values[h])
    kept += [subst_indices(c, values) for c in conditions if c not in given]
    body = where(conjunction(kept), product([subst_indices(f, values) for f in parts]), ZERO)
    left = tuple(i for i in node.indices if i != h)
    return _picked(program, Reduce("sum", left, body), ranges, positive) if left else body


def _blocks(indices: Sequence[str], conditions: Sequence[Expr]) -> Iterator[tuple[str, Int, Int, tuple[Expr, Expr]]]:
    """(h, top, size, conditions) where two of the conditions say 0 ≤ top − h·size < size."""
    known = [(c, fact) for c in conditions for fact in facts(c)]
    for low, first in known:
        for high, second in known:
            size = first + second + 1  # first = top − h·size, second = size − 1 − first
            for h in indices:
                split = first.split(h)
                if split is not None and split[0] == -size and not size.is_constant and h not in split[1].symbols():
                    yield h, split[1], size, (low, high)
