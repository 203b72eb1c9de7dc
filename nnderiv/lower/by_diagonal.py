"""A table whose entries wait for their neighbours, anti-diagonal by anti-diagonal (`diagonals`):

    D_d = _diagonals(D, 1, 2)                        D_d[n,i,d] is D[n,i,d-i]: a view
    for d in range(I + J - 1):
        first = max(0, d - J + 1)
        stop = min(I, d + 1)
        D_d[:, first:stop, d] = ...                  all (i, j) with i + j = d

Along a diagonal only i is an index; j is d − i. Reads of the table and of what the loop does not compute become slices of such views.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..expr import reads, subst_indices
from ..integer import Int
from ..program import Equation, Range
from .arrays import Array, Frame, Storage, expand
from .diagonals import Cell, Diagonals
from .items.form import Statement, call
from .reads import read, target
from .texts import tuple_text

if TYPE_CHECKING:
    from .emit import Body


@dataclass(frozen=True)
class Along:
    """A cell on diagonal d: i runs over `span`, or stands at a place (None); `values` says what the other variable is."""

    equation: Equation
    row: Int
    span: Range | None
    values: dict[str, Int]


class ByDiagonal:
    """Writes the loop over the diagonals into a body."""

    def __init__(self, body: Body, found: Diagonals):
        self.body, self.found = body, found
        self.name = body.fresh("d")
        self.d = Int.symbol(self.name)
        self.views: dict[tuple[str, tuple[int | None, int]], str] = {}  # a tensor and its axes of i and j -> its diagonals
        self.spans: dict[Range, Range] = {}  # what i runs over on a diagonal -> the same by names

    def run(self) -> None:
        for cell in self.found.cells:
            self.open(cell)
        with self.body.each(self.name, self.found.span, self.found.forwards):
            for cell in self.found.cells:
                self.cell(cell)

    # -- views of diagonals ------------------------------------------------------------------------------------------
    def open(self, cell: Cell) -> None:
        """Views of the diagonals of what the cell writes, and of what it reads along j."""
        e = cell.equation
        for tensor, subs in [(e.tensor, e.subs), *((r.tensor, r.subs) for r in reads(e.body))]:
            row, column = self.axes(tensor, subs)
            if column is not None and not self.body.storage[tensor].dropped and (tensor, (row, column)) not in self.views:
                self.view(tensor, row, column)

    def axes(self, tensor: str, subs: tuple[Int, ...]) -> tuple[int | None, int | None]:
        """The axes along which tensor[subs] moves with i and with j."""
        if tensor in self.found.axes:
            return self.found.axes[tensor]
        row, column = (next((k for k, s in enumerate(subs) if x in s.symbols()), None) for x in (self.found.i, self.found.j))
        return row, column

    def view(self, tensor: str, row: int | None, column: int) -> None:
        body, store = self.body, self.body.storage[tensor]
        text = store.variable if self.found.slope == 1 else f"{store.variable}[{':, '*column}::-1]"
        first = row
        if row is None:  # the same for all i
            axes = tuple(map(str, range(len(store.axes))))
            sizes = [body.extent(r.size) for r in (*store.axes[:column], self.found.rows, *store.axes[column:])]
            wide = expand(Array(text, axes), (*axes[:column], "i", *axes[column:]))
            text, first, column_of = f"np.broadcast_to({wide.text}, {tuple_text(sizes)})", column, column + 1
        else:
            column_of = column
        name = self.views[tensor, (row, column)] = body.fresh(f"{tensor}_{self.name}")
        diagonals = call(f"_diagonals({{0}}, {first}, {column_of})", 0, owns=False)
        body.code.note = -1
        body.code.items.append(Statement(name, diagonals, (Array(text).term,), tuple(r.size for r in store.axes)))

    def settled(self, at: Along, tensor: str, subs: tuple[Int, ...]) -> tuple[str, list[Int], Storage]:
        """tensor[subs] with the axes that move settled by an index: the text so far, and the subscripts and axes that are left."""
        store, (row, column) = self.body.storage[tensor], self.axes(tensor, subs)
        i = (subs[row] - store.axes[row].lo if row is not None else at.row - self.found.rows.lo).subst(at.values)
        parts: list[tuple[str, list[tuple[Int, Range]]]] = []
        for k, (s, r) in enumerate(zip(subs, store.axes, strict=True)):
            if k == row or k == column and row is None:
                parts.append(self.along_row(at, i))
            if k == column:
                j = (s - r.lo).subst(at.values)
                diagonal = i + j if self.found.slope == 1 else i - j + r.size - 1
                parts.append((self.body.integer(diagonal), []))
            elif k != row:
                parts.append((":", [(s, r)]))
        texts = [text for text, _ in parts]
        while texts[-1] == ":":
            texts.pop()
        left = [x for _, kept in parts for x in kept]
        variable = self.views[tensor, (row, column)] if column is not None else store.variable
        text = f"{variable}[{', '.join(texts)}]"
        return text, [s for s, _ in left], Storage(text, tuple(r for _, r in left))

    def along_row(self, at: Along, i: Int) -> tuple[str, list[tuple[Int, Range]]]:
        if at.span is None:
            return self.body.integer(i), []
        ends = (self.body.integer(i.subst({self.found.i: x})) for x in (at.span.lo, at.span.hi))
        return ":".join(ends), [(Int.symbol(self.found.i), at.span)]

    # -- one equation ------------------------------------------------------------------------------------------------
    def cell(self, cell: Cell) -> None:
        """The equation, for all of the diagonal that lies in its range."""
        found, (row, column) = self.found, self.found.place(cell.equation)
        d, integer = self.d, self.body.integer
        if row.name == found.i and column.name == found.j:
            span = self.span(cell)
            at = Along(cell.equation, row, span, {found.j: found.column(d, row)})
            partly = (cell.rows, cell.columns) != (found.rows, found.columns)
            condition = f"{span.lo} < {span.hi}" if partly else ""
        elif column.name == found.j:
            at = Along(cell.equation, row, None, {found.j: found.column(d, row)})
            condition = f"{integer(cell.columns.lo)} <= {integer(found.column(d, row))} < {integer(cell.columns.hi)}"
        else:
            i = found.row(d, column)
            at = Along(cell.equation, i, None, {found.i: i})
            inside = f"{integer(cell.rows.lo)} <= {integer(i)} < {integer(cell.rows.hi)}"
            condition = inside if row.name == found.i else f"{self.name} == {integer(row + found.slope*column)}"
        if condition:
            with self.body.inside(f"if {condition}:"), self.where_there_is(at):
                self.statement(at)
        else:
            self.statement(at)

    def where_there_is(self, at: Along) -> AbstractContextManager[None]:
        """A place on both axes may be none, where one of these is empty: the other has diagonals all the same."""
        moves = {s.name for s in at.equation.subs} & {self.found.i, self.found.j}
        return nullcontext() if moves else self.body.where_there_is(at.equation)

    def span(self, cell: Cell) -> Range:
        """What i runs over, by names that the step gives to its ends."""
        ends = self.found.rows_of(cell, self.d)
        if ends not in self.spans:
            first, stop = (Int.symbol(self.body.fresh(x)) for x in ("first", "stop"))
            self.spans[ends] = Range(first, stop)
            self.body.extents[stop - first] = str(stop - first)
            sign = "+" if self.found.slope == 1 else "-"
            self.body.code.note = -1
            self.body.line(f"{first} = {self.body.integer(ends.lo)}", str(first))
            self.body.line(f"{stop} = {self.body.integer(ends.hi)}"
                           f"  # {first} <= {self.found.i} < {stop} where {self.found.i} {sign} {self.found.j} == {self.name}", str(stop))
        return self.spans[ends]

    def statement(self, at: Along) -> None:
        body, e = self.body, at.equation
        own, (row, column) = body.storage[e.tensor], self.found.axes[e.tensor]
        gone = {column} if at.span else {row, column}
        inner = Equation(e.tensor, tuple(s for k, s in enumerate(e.subs) if k not in gone), subst_indices(e.body, at.values),
                         {**e.ranges, self.found.i: at.span} if at.span else e.ranges, position=e.position)
        if own.dropped:
            body.storage[e.tensor] = self.within_a_step(own, row, at)
        frame, labels = body.frame(inner), inner.indices
        self.look(frame, at)
        body.code.begin(body.comment(e))
        array = body.right(frame, inner)
        if own.dropped:
            body.assign(own.variable, body.fill(frame, array, labels, False), frame, labels)
            return
        text, subs, store = self.settled(at, e.tensor, e.subs)
        if labels and array.labels and array.labels != labels:
            array = expand(array, labels)
        body.assign(target(replace(frame, storage={e.tensor: store}), e.tensor, subs, text), array, frame, labels)

    def look(self, frame: Frame, at: Along) -> None:
        """What the equation reads that moves, as views."""
        for r in reads(at.equation.body):
            if any(k is not None for k in self.axes(r.tensor, r.subs)) and not self.body.storage[r.tensor].dropped:
                _, subs, store = self.settled(at, r.tensor, r.subs)
                key = r.tensor, tuple(s.subst(at.values) for s in r.subs)
                frame.views[key] = read(replace(frame, storage={**frame.storage, r.tensor: store}, views={}), r.tensor, subs)

    def within_a_step(self, own: Storage, row: int, at: Along) -> Storage:
        """A tensor that lives for one step has all the i of the diagonal at once."""
        assert at.span is not None
        before = sum(k not in own.dropped for k in range(row))
        return Storage(own.variable, (*own.axes[:before], at.span, *own.axes[before:]), own.dropped - {row})
