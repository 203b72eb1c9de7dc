"""Terms that are 0 but at one place along an axis: the adjoint of reading at data, on a diagonal, or at one place for all.

    where(y[n] == k, e[n,k], 0)     for each n, e[n,y[n]] stands at k = y[n]
    where(i == j, e[i,j], 0)        e[i,i] stands on the diagonal
    where(t + 1 == T, e[t,n], 0)    e[T-1,n] stands in the last row
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..bounds import never_negative
from ..conditions import placed
from ..expr import ZERO, Expr, Read, Reduce, all_reads, conjunction, free_symbols, subst_indices, where
from ..integer import Int
from ..polynomial import factors, guarded_factors, product
from ..program import Equation
from .arrays import Frame

FEW = 8  # entries along an axis, which are as soon compared with the place


@dataclass(frozen=True)
class Spot:
    """values, to be added where the index `axis` is `place`."""

    axis: str
    place: Int
    values: Expr

    @property
    def reads(self) -> list[Read]:
        """What the values and the place read."""
        return [*all_reads(self.values), *(Read(x.tensor, x.subs) for x in self.place.elements())]


def find_spot(e: Equation, term: Expr, positive: Collection[str]) -> Spot | None:
    """The place and the values of one additive term of an equation, if it is of this kind."""
    for index, place, rest in placed(_lifted(term)):
        if index in e.indices and _is_place(e, index, place, positive):
            return Spot(index, place, subst_indices(rest, {index: place}))
    return None


def _lifted(term: Expr) -> Expr:
    """Σ_k where(y[n] == c and b[k], e[k], 0) as where(y[n] == c, Σ_k where(b[k], e[k], 0), 0): what does not move stands before the sum."""
    parts = factors(term)
    sums = [f for f in parts if isinstance(f, Reduce) and f.op == "sum"]
    if len(sums) != 1:
        return term
    conditions, body = guarded_factors(sums[0].body)
    still = [c for c in conditions if not free_symbols(c) & {*sums[0].indices}]
    inner = where(conjunction([c for c in conditions if c not in still]), product(body), ZERO)
    lifted = product([Reduce("sum", sums[0].indices, inner) if f is sums[0] else f for f in parts])
    return where(conjunction(still), lifted, ZERO) if still else term


def _is_place(e: Equation, index: str, place: Int, positive: Collection[str]) -> bool:
    """Whether an index with more than a few values is a function of others on the left-hand side, or one place, not before the first."""
    r = e.ranges[index]
    if r.size.is_constant and r.size.constant <= FEW:
        return False
    return bool(place.symbols() & {*e.indices}) or never_negative(place - r.lo, {}, positive)


def at_hand(frame: Frame, spot: Spot) -> bool:
    """Whether what a spot reads is there, where tensors are seen through views."""
    return not frame.views or all((r.tensor, r.subs) in frame.views or not any(map(frame.vectors, r.subs)) for r in spot.reads)
