"""Where a read is inside its tensor: the conditions that the ranges of indices leave open; and whether it is all of the tensor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .bounds import OneLess, inside, never_negative
from .expr import Expr, compare
from .integer import Int
from .program import Equation, Program, Range


def positive_names(program: Program) -> frozenset[str]:
    """Sizes, and the parameters that are required to be at least 1."""
    required = {r.left.name for r in program.requirements if r.op == ">=" and r.right == 1}
    return frozenset(program.sizes) | {n for n in required if n is not None}


def runs_along(subs: Sequence[Int], axes: Sequence[Range], ranges: Mapping[str, Range]) -> bool:
    """Whether each subscript is an index, and runs along the whole of its axis."""
    return [ranges.get(str(s.name)) for s in subs] == [*axes]


def covers(subs: Sequence[Int], axes: Sequence[Range], ranges: Mapping[str, Range]) -> bool:
    """Whether a read looks at each entry of a tensor once, in any order: each axis has an index of its own that runs along it."""
    return len({*subs}) == len(subs) and runs_along(subs, axes, ranges)


def fills(program: Program, e: Equation) -> bool:
    """Whether an equation alone defines its tensor, wherever that can be read."""
    return len(program.definitions[e.tensor]) == 1 and covers(e.subs, program.hulls[e.tensor], e.ranges)


def never_meet(e: Equation, other: Equation, positive: Collection[str]) -> bool:
    """Whether two equations of a tensor define no place both."""
    axes = ((e.along(k), other.along(k)) for k in range(len(e.subs)))
    return any(never_negative(b.lo - a.hi, {}, positive) or never_negative(a.lo - b.hi, {}, positive) for a, b in axes)


def readable(
    hull: tuple[Range, ...], subs: tuple[Int, ...], ranges: Mapping[str, Range], positive: Collection[str], sizes: Collection[str] = (),
    same: Mapping[str, Int] | None = None,
) -> list[Expr]:
    """The conditions under which a read is in range, without those that always hold.

    sizes: those that may be 0 nevertheless. An index over such a size has no values then, but x[T-1] is a place that no index moves, and
    x[u-2] one that three values of u move.
    same: those that must equal what others come to, and that. P[i] beside tok[i] asks nothing, as both are of one size when it runs.
    """
    if same:
        hull, subs = tuple(r.subst(same) for r in hull), tuple(s.subst(same) for s in subs)
        ranges = {i: r.subst(same) for i, r in ranges.items()}
    conditions: list[Expr] = []
    less = OneLess(sizes)

    def holds(apart: Int) -> bool:
        if not never_negative(apart, ranges, positive):
            return False
        return not sizes or never_negative(apart.subst(less), {i: r.subst(less) for i, r in ranges.items()}, positive)

    for sub, axis in zip(subs, hull, strict=True):
        if not inside(sub, axis, ranges, positive):
            known = not sub.elements()
            if not (known and holds(sub - axis.lo)):
                conditions.append(compare("<=", axis.lo, sub))
            if not (known and holds(axis.hi - 1 - sub)):
                conditions.append(compare("<", sub, axis.hi))
        elif sizes and not sub.elements() and not sub.symbols() & ranges.keys():
            conditions += _there(sub, axis, positive, less)
    return conditions


def _there(place: Int, axis: Range, positive: Collection[str], less: Mapping[str, Int]) -> list[Expr]:
    """The conditions under which a place that is on an axis is so even where sizes are 0."""
    below, above = (never_negative(x.subst(less), {}, positive) for x in (place - axis.lo, axis.hi - 1 - place))
    if not (below and above) and is_an_end(place, axis):
        return [compare("<", Int.of(0), axis.size)]
    return [*([] if below else [compare("<=", axis.lo, place)]), *([] if above else [compare("<", place, axis.hi)])]


def is_an_end(place: Int, axis: Range) -> bool:
    """Whether a place is on the axis wherever that is not empty."""
    return place in (axis.lo, axis.hi - 1)
