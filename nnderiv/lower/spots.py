"""Terms that are 0 but at one place along an axis: the adjoint of reading at data, or on a diagonal.

    where(y[n] == k, e[n,k], 0)     for each n, e[n,y[n]] stands at k = y[n]
    where(i == j, e[i,j], 0)        e[i,i] stands on the diagonal
"""

from __future__ import annotations

from dataclasses import dataclass

from ..conditions import placed
from ..expr import Expr, Read, all_reads, subst_indices
from ..integer import Int
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


def find_spot(e: Equation, term: Expr) -> Spot | None:
    """The place and the values of one additive term of an equation, if it is of this kind."""
    for index, place, rest in placed(term):
        if _is_place(e, index, place):
            return Spot(str(index.name), place, subst_indices(rest, {str(index.name): place}))
    return None


def _is_place(e: Equation, index: Int, place: Int) -> bool:
    """Whether an index of the left-hand side, with more than a few values, is a function of its other indices."""
    r = e.ranges.get(str(index.name)) if index.name in e.indices else None
    if r is None or r.size.is_constant and r.size.constant <= FEW or index.name in place.symbols():
        return False
    return bool(place.symbols() & set(e.indices) & e.ranges.keys())


def at_hand(frame: Frame, spot: Spot) -> bool:
    """Whether what a spot reads is there, where tensors are seen through views."""
    return not frame.views or all((r.tensor, r.subs) in frame.views or not any(map(frame.vectors, r.subs)) for r in spot.reads)
