"""An equation -> the statements that compute it, under what guards it, with what is folded in and added at places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..expr import Expr, Read, is_zero
from ..facts import Facts
from ..integer import Int
from ..polynomial import additive_terms, signed
from ..program import Equation, Program, Range
from ..within import never_meet, runs_along
from .arrays import Array, Frame, Storage, expand
from .by_place import at
from .equations.fuse import Softmaxes
from .fold import Fold, find_fold
from .folds import Folds
from .infinities import may_be_masked
from .items.form import ADD, NEGATIVE, SUBTRACT, Operation, call, function
from .items.layout import closing_of
from .reads import always_inside, integer_value, target
from .schedule import Compute, Node
from .slabs import Slab, find_slab
from .spots import Spot, at_hand, find_spot
from .texts import axes_text, slice_of, span, tuple_text
from .windowed import Product, windowed_product


class Statements(Folds):
    """What computes one equation."""

    def __init__(self, program: Program, storage: dict[str, Storage], facts: Facts, exported: Iterable[str], dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        super().__init__(program, storage, facts, dtype, without, threads)
        self.exported = set(exported)  # handed to the caller: never a view of something else
        self.kept: set[str] = set()  # what somebody reads later
        self.softmaxes: Softmaxes = {}
        self.wholes: dict[str, Int] = {}  # by the size of a part: how many there are
        self.shown: dict[tuple[object, ...], str] = {}  # equations by (tensor, subs, body), as they are to be read

    def comment(self, e: Equation) -> str:
        """What it says; one of several parts of an axis says which."""
        text = self.shown.get((e.tensor, e.subs, e.body), str(e))
        others = [d for d in self.program.definitions.get(e.tensor, ()) if d.subs == e.subs]
        parts = [i for i in e.indices if any(d.ranges[i] != e.ranges[i] for d in others)] if len(others) > 1 else []
        return text + (f"  for {', '.join(e.ranges[i].clause(i) for i in parts)}" if parts else "")

    def allocate(self, name: str) -> None:
        store = self.storage[name]
        if name in self.allocated or not store.axes:
            return
        self.allocated.add(name)
        shape = tuple_text(self.extent(r.size) for r in store.axes)
        first = f"  # {name}[{', '.join(str(r.lo) for r in store.axes)}] stands first" if any(r.lo != 0 for r in store.axes) else ""
        made = "empty" if self.is_filled(name) else "zeros"
        if made == "zeros":
            self.zeros.add(name)
        self.line(f"{store.variable} = np.{made}({shape}, {self.dtype}){first}", store.variable)

    def is_filled(self, name: str) -> bool:
        """Whether the equations of a tensor, each at once, fill its storage, one part of an axis after the other."""
        axes, equations = self.storage[name].axes, self.program.definitions[name]
        if self.loops or name in self.program.components:
            return False
        parts = [[e.ranges.get(str(s.name), Range(s, s + 1)) for s in e.subs] for e in equations]
        apart = [k for k, axis in enumerate(axes) if any(part[k] != axis for part in parts)]
        if len(apart) != 1:
            return False
        ends = {part[apart[0]].lo: part[apart[0]].hi for part in parts}
        at = axes[apart[0]].lo
        for _ in parts:
            at = ends.get(at, at)
        return at == axes[apart[0]].hi and len(ends) == len(parts)

    def compute(self, e: Equation, guards: tuple[tuple[str, Range], ...]) -> None:
        if any(e.tensor == total for total, *_ in self.softmaxes.values()):
            return  # it is computed with the softmax that needs it
        around, self.loops = self.loops, {**self.loops, **dict(guards)}
        conditions = [self.guard(v, r, around.get(v)) for v, r in guards]
        if conditions:
            with self.inside(f"if {' and '.join(conditions)}:"):
                self.statement(e)
        else:
            self.statement(e)
        self.loops = around

    def guard(self, variable: str, r: Range, steps: Range | None) -> str:
        """The condition for a step to be in this range; what all steps of the loop are within need not be said."""
        if r.size == 1:
            return f"{variable} == {self.integer(r.lo)}"
        if steps is not None and steps.hi == r.hi:
            return f"{variable} >= {self.integer(r.lo)}"
        if steps is not None and steps.lo == r.lo:
            return f"{variable} < {self.integer(r.hi)}"
        return f"{self.integer(r.lo)} <= {variable} < {self.integer(r.hi)}"

    def statement(self, e: Equation) -> None:
        if self.storage[e.tensor].dropped or self.is_whole(e):
            frame, labels = self.frame(e), e.indices
            self.code.begin(self.comment(e))
            array = self.fill(frame, self.right(frame, e), labels, e.tensor in self.exported and not self.is_first(e))
            self.assign(self.storage[e.tensor].variable, array, frame, labels)
            return
        if self.stays_zero(e):
            self.code.begin(self.comment(e))
            self.allocate(e.tensor)
            return
        self.allocate(e.tensor)
        with self.where_there_is(e):
            self.part(e)

    def stays_zero(self, e: Equation) -> bool:
        """Whether an equation says of a part of a tensor what holds there as soon as there is memory for it."""
        made = self.zeros if e.tensor in self.allocated else set() if self.is_filled(e.tensor) else {e.tensor}
        if not is_zero(e.body) or e.tensor not in made or self.loops or self.swept or not self.storage[e.tensor].axes:
            return False
        others = [d for d in self.program.definitions[e.tensor] if not is_zero(d.body)]
        return all(never_meet(e, d, self.positive) for d in others)

    def part(self, e: Equation) -> None:
        """Some places of a tensor that is stored already."""
        frame, labels = self.frame(e), e.indices
        self.code.begin(self.comment(e))
        array = self.right(frame, e)
        if labels and array.labels and array.labels != labels:
            array = expand(array, labels)
        self.assign(target(frame, e.tensor, e.subs), array, frame, labels)

    @contextmanager
    def where_there_is(self, e: Equation) -> Iterator[None]:
        """What is written meanwhile stands in a block where a place on the left may be none, since its axis may be empty: `if T:`."""
        frame, store = self.frame(e), self.storage[e.tensor]
        left = [r.hi - s if s.name or s.is_constant else r.size for s, r in zip(e.subs, store.axes, strict=True)
                if not frame.vectors(s) and not always_inside(frame, s, r)]
        if not left:
            yield
            return
        certain = self.certain
        self.certain |= {n.name for n in left if n.name is not None}
        with self.inside(f"if {' and '.join(dict.fromkeys(map(self.extent, left)))}:"):
            yield
        self.certain = certain

    def is_whole(self, e: Equation) -> bool:
        """Whether this equation alone fills its tensor's storage, at once."""
        if e.is_base or len(self.program.definitions[e.tensor]) > 1 or e.tensor in self.allocated:
            return False
        return runs_along(e.subs, self.storage[e.tensor].axes, e.ranges)

    def is_first(self, e: Equation) -> bool:
        """Whether an equation is a read of what was computed for it alone, or all of that and the first result that is: its memory may
        be handed out."""
        if not isinstance(e.body, Read) or e.body.tensor in {*self.kept, *self.exported, *self.program.kinds}:
            return False
        readers = [x for x in self.program.equations if e.body.tensor in x.reads]
        results = [x for x in readers if x.tensor in self.exported and isinstance(x.body, Read)]
        sources = self.program.definitions[e.body.tensor]
        is_all = all(s.name in e.ranges for s in e.body.subs) and len({*e.body.subs}) == len(e.body.subs)
        return (readers == [e] or is_all and results[0] == e) and (len(sources) > 1 or not isinstance(sources[0].body, Read))

    def fill(self, frame: Frame, array: Array, labels: tuple[str, ...], exported: bool) -> Array:
        """The array over all the labels, with memory of its own if it is handed out."""
        if not labels:
            opening = len(f"{self.dtype}.type")
            made = array.text.startswith(f"{self.dtype}.type(") and closing_of(array.text, opening) == len(array.text) - 1
            return array if made else frame.number(array)
        shape = tuple_text(frame.size(i) for i in labels)
        if not array.labels:
            return frame.make(call(f"np.full({shape}, {{0}}, {self.dtype})", 0), [array], labels)
        if array.labels != labels:
            return frame.make(call(f"np.broadcast_to({{0}}, {shape}).copy()", 0), [expand(array, labels)], labels)
        return Array(f"{array.at_least(9)}.copy()", labels) if array.is_view and exported else array

    def right(self, frame: Frame, e: Equation, is_apart: bool = False) -> Array:
        """The body; terms that scatter into the left-hand side are folded in. is_apart: it is an array of its own."""
        if e.tensor in self.softmaxes:
            _, scores, along, name = self.softmaxes[e.tensor]
            x = self.read(frame, scores)
            if name == "_softmax" and may_be_masked(self.program, scores):
                name = "_masked_softmax"
            return frame.make(function(name, 1, f", {axes_text(x, along)}"), [x], x.labels)
        parts: list[tuple[int, Expr]] = []
        folds: list[tuple[int, Fold]] = []
        spots: list[tuple[int, Spot]] = []
        slabs: list[tuple[int, Slab]] = []
        for sign, term in additive_terms(e.body):
            spot = None if "spots" in self.without or self.loops else find_spot(e, term, self.positive)
            spot = None if spot and not at_hand(frame, spot) else spot
            fold = None if spot else find_fold(self.program, e, term)
            slab = self.slab(frame, e, term) if not (fold or spot) and (is_apart or self.is_whole(e)) else None
            folds += [(sign, fold)] if fold else []
            spots += [(sign, spot)] if spot else []
            slabs += [(sign*slab.sign, slab)] if slab else []
            parts += [] if fold or spot or slab else [(sign, term)]
        total = self.value(frame, signed(parts)) if parts or not [*folds, *spots, *slabs] else None
        for sign, fold in folds:
            folded = self.folded(frame, e, fold)
            if total is None:
                total = folded if sign > 0 else frame.make(NEGATIVE, [folded], folded.labels)
            else:
                total = frame.combine(ADD if sign > 0 else SUBTRACT, total, folded)
        for sign, slab in slabs:
            total = self.cut_out(frame, e, total, sign, slab)
        for sign, spot in spots:
            total = self.spotted(frame, e, total, sign, spot)
        assert total is not None
        return total

    def spotted(self, frame: Frame, e: Equation, total: Array | None, sign: int, spot: Spot) -> Array:
        """What there is so far, with the values of a spot added or subtracted at its places."""
        labels = e.indices
        place = spot.place - e.ranges[spot.axis].lo
        places = expand(integer_value(frame, place, tuple(i for i in labels if i in frame.vectors(place))), labels)
        one_row = not places.labels  # from which values can be subtracted: dh[T - 1:] -= …
        minus = "-" if one_row and sign < 0 else ""
        add = f"_add_at({{0}}, {{1}}, {minus}{{2}}, {labels.index(spot.axis)}"
        operation = Operation(f"{add})", (0, 0, 7 if minus else 0), 9, f"{add}, out={{out}})", only=0)
        if one_row:
            one = span(self.integer, place, place + 1, e.ranges[spot.axis].size)  # and none where the axis is empty
            row = at("", labels, (spot.axis,), {spot.axis: one})
            if total is None:
                return self.beside_zeros(frame, replace(frame, ranges={**frame.ranges, spot.axis: Range(place, place + 1)}), labels, row,
                                         signed([(sign, spot.values)]))
            operation = replace(operation, row=row, row_sign=minus or "+")
        values = self.value(frame, spot.values if one_row else signed([(sign, spot.values)]))
        operands = [self.begun(frame, total, labels), places, expand(values, labels) if values.labels else values]
        return frame.make(operation, operands, labels)

    def slab(self, frame: Frame, e: Equation, term: Expr) -> Slab | None:
        """The part of an array of its own outside which a term is 0; what goes to places of another array is made at once."""
        if "slabs" in self.without or self.loops or frame.views:
            return None
        return find_slab(e, term, self.storage, self.positive, self.facts.is_finite)

    def cut_out(self, frame: Frame, e: Equation, total: Array | None, sign: int, slab: Slab) -> Array:
        """What there is so far, with the values of a slab added or subtracted there."""
        labels = e.indices
        self.name_parts(slab.ranges)
        inner, minus = replace(frame, ranges=slab.ranges), "-" if sign < 0 else ""
        spans = {i: slice_of(inner, Int.symbol(i) - r.lo, i, r) for i in labels if slab.ranges[i] != (r := e.ranges[i])}
        row = at("", labels, (*spans,), spans)
        if total is None:
            return self.beside_zeros(frame, inner, labels, row, signed([(sign, slab.values)]))
        values = self.value(inner, slab.values)
        add = f"_add_within({{0}}, {minus}{{1}}, np.s_{row}"
        operation = Operation(f"{add})", (0, 7 if minus else 0), 9, f"{add}, out={{out}})", only=0, row=row, row_sign=minus or "+")
        return frame.make(operation, [self.begun(frame, total, labels), expand(values, labels) if values.labels else values], labels)

    def beside_zeros(self, frame: Frame, inner: Frame, labels: tuple[str, ...], row: str, values: Expr) -> Array:
        """Zeros, but for the values in a part: they are written there, and not added to anything."""
        zeros = self.begun(frame, None, labels)
        self.code.renamable.add(zeros.text)
        array = self.value(inner, values)
        self.code.put(f"{zeros.text}{row}", ((expand(array, labels) if array.labels else array).term,), inner.shape(labels))
        return zeros

    def begun(self, frame: Frame, total: Array | None, labels: tuple[str, ...]) -> Array:
        """What there is so far, over all the labels: zeros, if there is nothing yet."""
        if total is None:
            return frame.make(call(f"np.zeros({tuple_text(frame.size(i) for i in labels)}, {self.dtype})"), [], labels)
        return self.fill(frame, total, labels, False)

    def windowed(self, node: Node) -> Product | None:
        if not isinstance(node, Compute) or node.guards or self.loops or "by_image" in self.without or not self.is_whole(node.equation):
            return None
        return windowed_product(self.program, self.frame(node.equation), node.equation)
