"""Program -> program that computes, along an axis of which one place alone is read, that place alone.

    O[t,f] = Σ_s P[t,s] V[s,f],   y[f] = O[T-1,f]          is          y[f] = Σ_s P[T-1,s] V[s,f]

and likewise P, and the queries that P comes from: so the last state of a sequence asks for one row of an attention, and a class token
for another. The gradients are derived from the program that is left, and so are as narrow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from ...bounds import OneLess, inside, never_ends_early
from ...expr import (
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    all_reads,
    conjunction,
    map_children,
    own_reads,
    reads,
    subst_indices,
    walk,
    where,
)
from ...gaps import AT_ZERO
from ...integer import Int
from ...laws_of_conditions import settle_choices
from ...program import Equation, Program, Range
from ...terms import Context, Term
from ...tidy import Surroundings
from ...within import is_an_end, positive_names
from .pieces import inline_copies

Places = Mapping[int, Int]  # axis -> the place along it that is read
T = TypeVar("T")


def narrow(program: Program, sizes: Mapping[str, Int]) -> Program:
    """See the module's docstring; a program of which nothing can be left out is given back itself. Some sizes may be known."""
    narrowed = _Narrowed(program, _found(program, sizes), sizes)
    if not narrowed.found:
        return program
    shapes = {name: _left(axes, narrowed.found.get(name, {})) for name, axes in program.shapes.items()}
    program = replace(program, equations=tuple(map(narrowed.equation, program.equations)), shapes=shapes)
    ctx = Surroundings(program)
    equations = (_decided(e, ctx) if e.tensor in narrowed.found else e for e in program.equations)
    return inline_copies(replace(program, equations=tuple(equations)))


def _decided(e: Equation, ctx: Context) -> Equation:
    """The equation without choices that the place decides, as all come before the last one."""
    bound = {i: r for i, r in e.ranges.items() if i not in e.indices}
    return e.with_body(settle_choices(Term(bound, (), e.body), e.ranges, ctx).body)


def _found(program: Program, sizes: Mapping[str, Int]) -> dict[str, Places]:
    """The tensors of which, along some axes, one place is read and no other; each has one equation, and does not depend on itself."""
    kept = {*program.outputs, *program.components, *(r.tensor for fact in program.givens for r in all_reads(fact))}
    able = {name for name in program.definitions if name not in kept and program.whole(name) is not None}
    positive, found = positive_names(program), dict[str, Places]()
    less = {**OneLess(program.sizes), **sizes}
    while True:
        read = _read(program, found)
        more = {name: places for name in able if (places := _alone(program.dims[name], read.get(name, ()), positive, less))}
        if more != found:
            found = more
        elif counted := _Narrowed(program, found, sizes).counted():
            able, found = able - counted, {}
        else:
            return found


def _read(program: Program, found: Mapping[str, Places]) -> dict[str, set[tuple[Int, ...]]]:
    """Where each tensor is read, if those that are narrowed already are computed at their places alone; indices are told by no name."""
    read: dict[str, set[tuple[Int, ...]]] = {}
    for e in program.equations:
        values = _values(e, found)
        for r in all_reads(e.body):
            subs = tuple(s.subst(values) for s in r.subs)
            read.setdefault(r.tensor, set()).add(tuple(Int.symbol("") if s.symbols() & e.ranges.keys() else s for s in subs))
    return read


def _alone(
    axes: tuple[Range, ...], read: Collection[tuple[Int, ...]], positive: Collection[str], less: Mapping[str, Int]
) -> Places:
    """The axes along which all reads are at one place, in range wherever the axis is not empty."""
    def is_there(place: Int, axis: Range) -> bool:
        return inside(place, axis, {}, positive) and (
            is_an_end(place, axis) or inside(place.subst(less), axis.subst(less), {}, positive))

    places = {k: {subs[k] for subs in read} for k in range(len(axes))}
    alone = {k: next(iter(found)) for k, found in places.items() if len(found) == 1}
    return {k: place for k, place in alone.items() if not place.elements() and is_there(place, axes[k])}


def _values(e: Equation, found: Mapping[str, Places]) -> dict[str, Int]:
    """What the indices of an equation are, at the places that are read of its tensor."""
    return {e.indices[k]: place for k, place in found.get(e.tensor, {}).items()}


@dataclass(frozen=True)
class _Narrowed:
    """The equations of a program for the places alone that are read. Where an axis is empty nothing is read, and that is 0."""

    program: Program
    found: Mapping[str, Places]
    sizes: Mapping[str, Int]

    @cached_property
    def zero(self) -> set[tuple[str, Range]]:
        """Of the tensors that are narrowed, with the axes: those that are 0 if the axis is empty, because of what they read."""
        return _zero(self.program, self.found)

    def equation(self, e: Equation) -> Equation:
        places, values = self.found.get(e.tensor, {}), _values(e, self.found)
        body = subst_indices(self.visit(e.body, self.own(e)), values)
        ranges = {i: r.subst(values) for i, r in e.ranges.items() if i not in values}
        return replace(e, subs=_left(e.subs, places), body=body, ranges=ranges, by_hand=e.by_hand - values.keys())

    def own(self, e: Equation) -> set[Range]:
        """Axes that are not empty where the equation's tensor is read."""
        return {self.program.dims[e.tensor][k] for k in self.found.get(e.tensor, {})}

    def visit(self, node: Expr, own: Collection[Range], reduced: bool = False) -> Expr:
        """An expression that reads what is left; where an axis is empty that is not among `own`, a read is 0, and so is a sum over none."""
        if isinstance(node, Reduce):
            changed = Reduce(node.op, node.indices, self.visit(node.body, own, True))
            missing = self.missing(own_reads(node.body), own)
            zero = {axis for _, axis in missing if _vanishes(node.body, (), {t for t, a in missing & self.zero if a == axis})}
            return _where_any((axis for _, axis in missing if axis not in zero), changed)
        if not isinstance(node, Read):
            return map_children(lambda child: self.visit(child, own, reduced), node)
        missing = self.missing([(node.tensor, node.subs)], own) - self.zero
        left = Read(node.tensor, _left(node.subs, self.found.get(node.tensor, {})))
        return left if reduced else _where_any((axis for _, axis in missing), left)

    def missing(self, read: Iterable[tuple[str, tuple[Int, ...]]], own: Collection[Range]) -> set[tuple[str, Range]]:
        """What is narrowed of what is read, with the axes, not among `own`, that may be empty."""
        axes = {(name, self.program.dims[name][k]) for name, _ in read for k in self.found.get(name, {})}
        return {(name, axis) for name, axis in axes
                if axis not in own and not never_ends_early(axis.size.subst(self.sizes) - 1, self.program.sizes, ())}

    def counted(self) -> set[str]:
        """Tensors of which a reduction that is no sum would have to know that there is nothing to read."""
        found = set()
        for e in self.program.equations:
            others = [n for n in walk(e.body) if isinstance(n, Reduce) and n.op != "sum"]
            found |= {name for n in others for name, _ in self.missing(own_reads(n.body), self.own(e))}
        return found


def _where_any(axes: Iterable[Range], e: Expr) -> Expr:
    """e where there is something along these axes, and 0 elsewhere."""
    return where(conjunction([_is_any(size) for size in sorted({r.size for r in axes}, key=str)]), e, ZERO)


def _is_any(size: Int) -> Expr:
    """size > 0, as a comparison of real numbers: of integers it would be settled, for sizes count as at least 1 in formulas."""
    return Op(">", (IntValue(size), ZERO))


def _left(parts: Sequence[T], places: Places) -> tuple[T, ...]:
    """What belongs to the axes that are left."""
    return tuple(part for k, part in enumerate(parts) if k not in places)


def _zero(program: Program, found: Mapping[str, Places]) -> set[tuple[str, Range]]:
    """Of the tensors that are narrowed, with the axes: those that are 0 if the axis is empty, because of what they read."""
    zero: set[tuple[str, Range]] = set()
    for e in program.equations:
        for axis in {program.dims[e.tensor][k] for k in found.get(e.tensor, {})}:
            along = {name for name, axes in program.dims.items() for k, r in enumerate(axes) if r == axis and k not in found.get(name, {})}
            if _vanishes(e.body, {i for i, r in e.ranges.items() if r == axis}, along | {name for name, r in zero if r == axis}):
                zero.add((e.tensor, axis))
    return zero


def _vanishes(node: Expr, empty: Collection[str], zero: Collection[str]) -> bool:
    """Whether an expression is 0 where some tensors are, and some indices have no values: a sum is, and what is made of zeros."""
    if isinstance(node, Num):
        return node == ZERO
    if isinstance(node, Read):
        return node.tensor in zero
    if isinstance(node, Reduce):
        return node.op == "sum" and (bool({*node.indices} & {*empty}) or _vanishes(node.body, empty, zero))
    if not isinstance(node, Op):
        return False
    parts = [_vanishes(x, empty, zero) for x in node.args]
    if node.op == "*":
        return any(parts)
    if node.op == "where":
        return all(parts[1:])
    if node.op == "/":
        return parts[0] and not any(reads(x) for x in node.args[1:])
    return node.op in ("+", "neg", *AT_ZERO) and all(parts)
