"""Where the statements of one function go: the code so far, names and sizes that are known in it, and where every tensor is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..bounds import never_ends_early, never_negative
from ..expr import Expr, bound_indices
from ..fresh import Fresh
from ..integer import Int
from ..program import Equation, Program, Ranges
from ..within import positive_names
from .arrays import Array, Frame, Storage
from .fold import Fold
from .items.form import Block, Code, Statement, call, is_variable, renamed
from .shares import Shares
from .texts import tuple_text


class Writer:
    """What all that is written into one function rests on."""

    def __init__(self, program: Program, storage: dict[str, Storage], absent: frozenset[str], dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        self.without, self.threads = frozenset(without), threads
        self.absent = absent  # what may be no number where data say that it does not count
        self.program, self.storage = program, storage
        self.positive = positive_names(program)
        self.certain = self.positive - {*program.sizes}  # these are at least 1 even where something is empty
        self.code, self.dtype = Code(), dtype
        self.fresh = Fresh({*program.names, dtype, "np", "residuals"})
        self.sizes: dict[Int, str] = {}
        self.extents: dict[Int, str] = {}
        self.allocated: set[str] = set()
        self.zeros: set[str] = set()  # of these, what began as zeros
        self.loops: Ranges = {}
        self.swept: frozenset[str] = frozenset()  # what a sweep computes: meanwhile anything may stand there, 0/0 too
        self.shares: dict[Expr, tuple[Shares, str, Int]] = {}  # sums at steps of a loop, what computes them there, and of which step
        self.shared: dict[tuple[str, ...], Any] = {}  # what was made in this block for some windows, for others of the same kind
        self.overflows = False  # whether an exponential may, and is divided by
        self.discards = False  # whether something is computed of zeros that are read outside, to be left out in the end

    def line(self, text: str, binds: str = "") -> None:
        self.code.line(text, binds)

    @contextmanager
    def inside(self, head: str, binds: str = "") -> Iterator[None]:
        """What is written meanwhile stands inside a block; inside the last one, if that is under the same condition."""
        outer, self.code.items = self.code.items, []
        if head.startswith("if ") and outer and isinstance(last := outer[-1], Block) and last.head == head:
            outer, self.code.items = outer[:-1], [*last.items]
        shared = dict(self.shared)
        yield
        self.shared = shared
        self.code.items = [*outer, Block(head, tuple(self.code.items), binds)]
        self.code.note = -1  # what follows does not belong to the last equation in the block

    def name_sizes(self, ranges: Ranges) -> None:
        """Sizes that are more than a name get one."""
        for index, r in ranges.items():
            size, shown = r.size, str(r.size)
            if size in self.extents or size.is_constant:
                continue
            if not never_ends_early(size, self.positive - self.certain, self.positive):
                self.extents[size] = self.fresh(f"n_{index}")
                self.line(f"{self.extents[size]} = max(0, {shown})  # values of {index}")
            elif "//" in shown or "(" in shown:
                self.extents[size] = self.sizes[size] = self.fresh(f"n_{index}")
                self.line(f"{self.sizes[size]} = {shown}  # values of {index}")

    def name_parts(self, ranges: Ranges) -> None:
        """Those get one that slices need, since they may end before they begin even where nothing is empty."""
        self.name_sizes({i: r for i, r in ranges.items() if not never_negative(r.size, {}, self.positive)})

    def extent(self, size: Int) -> str:
        """The text of the size of a range; see `Frame`."""
        return Frame((), {}, self.positive, {}, self.certain, sizes=self.sizes, extents=self.extents).extent(size)

    def integer(self, value: Int) -> str:
        return self.sizes.get(value) or str(value)

    def frame(self, e: Equation) -> Frame:
        order = (*e.indices, *(i for i in bound_indices(e.body) if i not in e.indices))
        return self.frame_of(order, dict(e.ranges))

    def frame_of(self, order: tuple[str, ...], ranges: Ranges) -> Frame:
        return Frame(order, ranges, self.positive, self.storage, self.certain, self.sizes, self.extents,
                     dict(self.loops), self.code,
                     infinite=self.program.unbounded | self.absent | self.swept,
                     rows="rows" not in self.without, rolls="rolls" not in self.without,
                     digits="digits" not in self.without, differences="differences" not in self.without,
                     log_products="log_products" not in self.without, indicator="indicator" not in self.without, dtype=self.dtype)

    def fold_axis(self, inner: Frame, axis: tuple[Int, tuple[tuple[str, Int], ...]] | None) -> str:
        if axis is None:
            return "None"
        start, spans = axis
        shown = [f"({inner.size(i)}, {inner.integer(step)})" for i, step in spans]
        return tuple_text([inner.integer(start), *shown])

    def fold_frame(self, fold: Fold) -> Frame:
        self.name_sizes(fold.ranges)
        return self.frame_of(fold.order, fold.ranges)

    def mark_allocated(self, name: str) -> None:
        self.allocated.add(name)

    def assign(self, place: str, array: Array, frame: Frame, labels: tuple[str, ...]) -> None:
        """The array to a variable or a place; the statement that computes it is the one that writes it."""
        shape, code = frame.shape(labels), self.code
        remark = tuple_text(frame.size(i) for i in labels) if labels else ""
        is_place = not is_variable(place)
        if array.text in code.renamable and not is_place:
            code.items = list(renamed(code.items, {array.text: place}))
            match code.items[-1]:
                case Statement(is_place=True, remark="") as written if written.variable == place:
                    code.items[-1] = replace(written, remark=remark)
            return
        last = code.items[-1] if code.items else None
        if isinstance(last, Statement) and last.target == array.text and last.shape == shape and last.note == code.note:
            code.items[-1] = replace(last, target=place, is_place=is_place, remark=remark)
            return
        copies = call("{0}", 0, binding=array.binding, owns=not array.labels or array.text.endswith(".copy()"))
        code.items.append(Statement(place, copies, (array.term,), shape, True, code.note, is_place=is_place, remark=remark))
