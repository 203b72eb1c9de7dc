"""Two nested loops -> one, over their anti-diagonals: what D[i−1,j], D[i,j−1], D[i−1,j−1] leave of a table to do at once.

    for i: for j: D[i,j] = f(D[i−1,j], D[i,j−1])         for d: D[i,j] = f(…) for all i + j = d, one array operation

Where one loop runs backwards and the other does not, i − j is the same along what is done at once. `find` says whether all that the
loops compute can go so: each read must be a constant distance away, and lie on an earlier diagonal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..bounds import inside, never_negative
from ..conditions import equalities
from ..expr import Expr, Op, Read, conjuncts, ints, map_children, reads, subst_indices
from ..integer import Int
from ..program import Equation, Program, Range, Ranges
from . import cost
from .arrays import Storage
from .fold import find_fold
from .schedule import Compute, Loop
from .storage import equations_of


@dataclass(frozen=True)
class Cell:
    """An equation of the innermost step, and the i and j where it holds. It stands at (i, j), or at a place on one axis or both."""

    equation: Equation
    rows: Range
    columns: Range


@dataclass(frozen=True)
class Diagonals:
    """The loops over i and j; slope 1: along i + j = d, −1: along i − j = d. axes: where i and j stand in each tensor computed."""

    i: str
    j: str
    slope: int
    forwards: bool
    cells: tuple[Cell, ...]
    axes: Mapping[str, tuple[int, int]]
    rows: Range
    columns: Range

    @cached_property
    def span(self) -> Range:
        """What d runs over."""
        lo, hi = (self.columns.lo, self.columns.hi - 1) if self.slope == 1 else (1 - self.columns.hi, -self.columns.lo)
        return Range(self.rows.lo + lo, self.rows.hi + hi)

    def row(self, d: Int, column: Int) -> Int:
        """i, from d and j."""
        return d - self.slope * column

    def column(self, d: Int, row: Int) -> Int:
        """j, from d and i."""
        return self.slope * (d - row)

    def rows_of(self, cell: Cell, d: Int) -> Range:
        """The i for which (i, j) is on the diagonal and in the cell's range."""
        ends = [self.row(d, cell.columns.lo), self.row(d, cell.columns.hi - 1)]
        first, last = ends[::-1] if self.slope == 1 else ends
        return Range(Int.extreme("max", cell.rows.lo, first), Int.extreme("min", cell.rows.hi, last + 1))

    def place(self, e: Equation) -> tuple[Int, Int]:
        """Where an equation stands: i, or a place, on one axis, and j, or a place, on the other."""
        row, column = self.axes[e.tensor]
        return e.subs[row], e.subs[column]


def find(program: Program, node: Loop, storage: Mapping[str, Storage], loops: Ranges, positive: frozenset[str]) -> Diagonals | None:
    """The loops as loops over diagonals, if that is possible and pays; `loops` are those around them."""
    inner = [n for n in node.body if isinstance(n, Loop)]
    if len(inner) != 1:
        return None
    axes = _axes(node, inner[0])
    cells = list(_cells(node, inner[0], axes))
    slope = 1 if inner[0].forwards == node.forwards else -1
    found = Diagonals(node.variable, inner[0].variable, slope, node.forwards,
                      tuple(c for c in cells if c), axes, node.range, inner[0].range)
    if not all(cells) or any(not never_negative(r.size, {}, positive) for r in (found.rows, found.columns)):
        return None
    check = _Check(program, found, storage, loops, positive)
    return found if all(map(check.is_regular, found.cells)) and cost.by_diagonal(_rest(found)) else None


def _axes(node: Loop, inner: Loop) -> dict[str, tuple[int, int]]:
    """Where the loop variables stand, by the equations that stand at both."""
    found = {}
    for e in equations_of(inner):
        names = [s.name for s in e.subs]
        if node.variable in names and inner.variable in names:
            found[e.tensor] = (names.index(node.variable), names.index(inner.variable))
    return found


def _cells(node: Loop, inner: Loop, axes: dict[str, tuple[int, int]]) -> Iterator[Cell | None]:
    """The equations of one step, in order; None for what cannot be one. What stands beside the inner loop joins it."""
    for n in node.body:
        for m in inner.body if n is inner else (n,):
            cell = m if n is inner or not isinstance(m, Compute) else _inside(m, node, inner, axes)
            if not isinstance(cell, Compute):
                yield None
                continue
            ranges = {node.variable: node.range, inner.variable: inner.range, **dict(cell.guards)}
            e = cell.equation.with_body(_aligned(cell.equation.body, axes, (node.variable, inner.variable), {}))
            yield Cell(e, ranges[node.variable], ranges[inner.variable]) if e.tensor in axes else None


def _inside(node: Compute, outer: Loop, inner: Loop, axes: dict[str, tuple[int, int]]) -> Compute | None:
    """A computation beside the inner loop as one inside it: the index that follows the inner loop is its variable."""
    e = node.equation
    followed = {r.subs[axes[r.tensor][1]].name for r in reads(e.body) if r.tensor in axes}
    names = [s.name for s in e.subs]
    if len(followed) != 1 or outer.variable not in names or (name := followed.pop()) not in e.ranges or name not in names or name is None:
        return None
    if inner.variable in e.ranges and name != inner.variable:
        return None
    axes.setdefault(e.tensor, (names.index(outer.variable), names.index(name)))
    values = {name: Int.symbol(inner.variable)}
    moved = replace(e, subs=tuple(s.subst(values) for s in e.subs), body=subst_indices(e.body, values),
                    ranges={i: r for i, r in e.ranges.items() if i != name})
    return Compute(moved, (*node.guards, (inner.variable, e.ranges[name])))


def _aligned(body: Expr, axes: Mapping[str, tuple[int, int]], variables: tuple[str, str], places: Mapping[str, Int]) -> Expr:
    """The same with reads of the table that follow the loops: where(j == 0, D[i+1,0], 0) is where(j == 0, D[i+1,j], 0)."""
    if isinstance(body, Op) and body.op == "where":
        inside = {**places, **{x: place for c in conjuncts(body.args[0]) for x, place in _equality(c, variables)}}
        first, rest = _aligned(body.args[1], axes, variables, inside), _aligned(body.args[2], axes, variables, places)
        return Op("where", (body.args[0], first, rest))
    if isinstance(body, Read) and body.tensor in axes:
        subs = list(body.subs)
        for k, x in zip(axes[body.tensor], variables, strict=True):
            if x in places and not subs[k].symbols() & {*variables} and (subs[k] - places[x]).is_constant:
                subs[k] = subs[k] - places[x] + Int.symbol(x)
        return Read(body.tensor, tuple(subs))
    return map_children(lambda c: _aligned(c, axes, variables, places), body)


def _equality(c: Expr, variables: tuple[str, str]) -> Iterator[tuple[str, Int]]:
    """(x, place), if the condition says that x == place."""
    yield from ((str(x.name), place) for x, place in equalities(c) if x.name in variables and not place.symbols() & {*variables})


@dataclass(frozen=True)
class _Check:
    program: Program
    found: Diagonals
    storage: Mapping[str, Storage]
    loops: Ranges
    positive: frozenset[str]

    def is_regular(self, cell: Cell) -> bool:
        """Whether the cell waits for nothing on its own diagonal, and all that it reads there is a view."""
        e = cell.equation
        if find_fold(self.program, e, e.body) or any(self.moves(x.subs) for v in ints(e.body) for x in v.elements()):
            return False
        return all(self.is_before(cell, r) if r.tensor in self.found.axes else self.is_plain(cell, r) for r in reads(e.body))

    def moves(self, subs: tuple[Int, ...]) -> list[int]:
        """The axes along which a read moves with i or j."""
        return [k for k, s in enumerate(subs) if s.symbols() & {self.found.i, self.found.j}]

    def is_before(self, cell: Cell, r: Read) -> bool:
        """Whether what is read of the table is a constant distance away, on an earlier diagonal, or computed earlier at the same place."""
        axes = self.found.axes[r.tensor]
        steps = [r.subs[k] - place for k, place in zip(axes, self.found.place(cell.equation), strict=True)]
        if not all(s.is_constant for s in steps) or not set(self.moves(r.subs)) <= {*axes}:
            return False
        across, down = (s.constant for s in steps)
        if across == down == 0:
            order = [c.equation.tensor for c in self.found.cells]
            here = next(k for k, c in enumerate(self.found.cells) if c is cell)
            return r.tensor not in order[here:] and self.holds_same(cell, r)
        distance = across + self.found.slope * down
        return (distance < 0 if self.found.forwards else distance > 0) and self.is_stored(cell, r, axes)

    def holds_same(self, cell: Cell, r: Read) -> bool:
        """Whether a tensor that lives for one step is read just where it was computed."""
        made = [c for c in self.found.cells if c.equation.tensor == r.tensor]
        same = all((c.rows, c.columns) == (cell.rows, cell.columns) for c in made)
        return same if self.storage[r.tensor].dropped else self.is_stored(cell, r, self.found.axes[r.tensor])

    def is_plain(self, cell: Cell, r: Read) -> bool:
        """Whether another tensor is read at i + c, or j + c, or both, on an axis each."""
        axes = self.moves(r.subs)
        by = [next((x for x in (self.found.i, self.found.j) if (r.subs[k] - Int.symbol(x)).is_constant), None) for k in axes]
        return None not in by and len({*by}) == len(by) and self.is_stored(cell, r, axes)

    def is_stored(self, cell: Cell, r: Read, axes: list[int] | tuple[int, ...]) -> bool:
        store, ranges = self.storage[r.tensor], {**self.loops, self.found.i: cell.rows, self.found.j: cell.columns}
        return not store.dropped and all(inside(r.subs[k], store.axes[k], ranges, self.positive) for k in axes)


def _rest(found: Diagonals) -> list[Int]:
    """The sizes of what one entry of the table holds at most."""
    rest = [[c.equation.ranges[i].size for i in c.equation.indices] for c in found.cells]
    return max(rest, key=cost.entries)
