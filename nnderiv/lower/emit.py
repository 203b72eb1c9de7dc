"""Scheduled equations -> statements (`form`), one array operation each; a Python loop for a true cycle.

`Body` writes the body of one function. Each statement knows the equation that it computes, and the shape of its result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from typing import Any

from ..bounds import never_negative
from ..expr import (
    COMPARISONS,
    INF,
    ONE,
    ZERO,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    additive_terms,
    factors,
    free_symbols,
    ints,
    is_reciprocal,
    reads,
    signed,
    walk,
)
from ..fresh import Fresh
from ..integer import Int
from ..normal import positive_names
from ..program import Equation, Program, Range, Ranges
from ..ranges import bound_indices
from ..regular import is_regular
from . import accumulate, cost
from .arrays import Array, Frame, Storage, expand, integer_value, permute, read, target, tuple_text
from .by_diagonal import ByDiagonal
from .by_image import ByImage, Product, windowed_product
from .by_part import Member, Part, largest, member, results, together
from .by_place import for_each_place, reduced, scattered
from .contract import labels_of, sum_of_products, times
from .diagonals import find as find_diagonals
from .facts import Facts
from .fold import Fold, find_fold
from .form import (
    ADD,
    DIVIDE,
    MULTIPLY,
    NEGATIVE,
    POWER,
    SQUARE,
    SUBTRACT,
    Block,
    Code,
    Operation,
    Statement,
    call,
    function,
    is_variable,
    renamed,
)
from .fuse import Softmaxes
from .quotients import exponents
from .schedule import Compute, Loop, Node, Sweep
from .side_by_side import side_by_side
from .storage import equations_of

FUNCTIONS = {
    **{name: function(f"np.{name}") for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "abs", "sign")},
    "erf": call("_erf({0})", 0),
    "sigmoid": function("_sigmoid"),
    "relu": function("np.maximum", 1, ", 0"),
    "softplus": function("_softplus"),
}


BOUNDED = ("tanh", "sigmoid", "erf", "sin", "cos", "sign")


class Body:
    """The statements of one function, and where every tensor is stored."""

    def __init__(self, program: Program, storage: dict[str, Storage], exported: Iterable[str], dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        self.without, self.threads = frozenset(without), threads
        self.program, self.storage = program, storage
        self.positive = positive_names(program)
        self.exported = set(exported)  # handed to the caller: never a view of something else
        self.code, self.dtype = Code(), dtype
        self.fresh = Fresh({*program.names, dtype, "np", "residuals"})
        self.sizes: dict[Int, str] = {}
        self.extents: dict[Int, str] = {}
        self.allocated: set[str] = set()
        self.softmaxes: Softmaxes = {}
        self.as_written = False
        self.facts = Facts(program.definitions, program.sizes, program.kinds)
        self.shown: dict[tuple[object, ...], str] = {}  # equations by (tensor, subs, body), as they are to be read
        self.loops: Ranges = {}
        self.kept: set[str] = set()  # what somebody reads later
        self.shared: dict[tuple[str, ...], Any] = {}
        self.depth = 0

    def line(self, text: str, binds: str = "") -> None:
        self.code.line(text, binds)

    @contextmanager
    def inside(self, head: str, binds: str = "") -> Iterator[None]:
        """What is written meanwhile stands inside a block."""
        outer, self.code.items = self.code.items, []
        self.depth += 1
        yield
        self.depth -= 1
        self.code.items = [*outer, Block(head, tuple(self.code.items), binds)]
        self.code.note = -1  # what follows does not belong to the last equation in the block

    # -- nodes -------------------------------------------------------------------------------------------------------
    def name_sizes(self, equations: Sequence[Equation]) -> None:
        """Sizes that are more than a name get one."""
        for e in equations:
            for index, r in e.ranges.items():
                size, shown = r.size, str(r.size)
                if size in self.extents or size.is_constant:
                    continue
                if not never_negative(size, {}, self.positive):
                    self.extents[size] = self.fresh(f"n_{index}")
                    self.line(f"{self.extents[size]} = max(0, {shown})  # values of {index}")
                elif "//" in shown or "(" in shown:
                    self.extents[size] = self.sizes[size] = self.fresh(f"n_{index}")
                    self.line(f"{self.sizes[size]} = {shown}  # values of {index}")

    def extent(self, size: Int) -> str:
        """The text of the size of a range; see `Frame`."""
        return Frame((), {}, self.positive, {}, self.sizes, self.extents).extent(size)

    def run(self, nodes: Sequence[Node]) -> None:
        done: set[int] = set()
        for k, node in enumerate(nodes):
            if k in done:
                continue
            group = self.images(nodes, k)
            if group:
                done |= group.keys()
                ByImage(self).run(list(group.values()), [self.comment(p.equation) for p in group.values()])
            elif parts := self.parts(nodes, k):
                done |= parts.keys()
                self.by_part(list(parts.values()), [e for j, n in enumerate(nodes) if j not in parts for e in equations_of(n)])
            elif rows := side_by_side(self.program, self.storage, nodes, k):
                done |= rows.keys()
                self.stack(list(rows.values()))
            elif isinstance(node, Compute):
                self.compute(node.equation, node.guards)
            elif isinstance(node, Loop):
                self.loop(node)
            else:
                self.sweep(node)

    def stack(self, rows: Sequence[Equation]) -> None:
        """The rows of a tensor, side by side."""
        self.code.begin(", ".join(map(self.comment, rows)))
        operands = [read(self.frame(e), e.body.tensor, e.body.subs).term for e in rows if isinstance(e.body, Read)]
        places = ", ".join(f"{{{k}}}" for k in range(len(rows)))
        shape = tuple(r.size for r in self.storage[rows[0].tensor].axes)
        remark = tuple_text(map(self.extent, shape))
        stack = call(f"np.stack(({places}))", *[0] * len(rows))
        self.code.items.append(Statement(rows[0].tensor, stack, tuple(operands), shape, True, self.code.note, remark=remark))
        self.allocated.add(rows[0].tensor)

    def parts(self, nodes: Sequence[Node], k: int) -> dict[int, Member]:
        """Node k and those after it that are to be computed part by part."""
        constant = any(r.size.is_constant for e in equations_of(nodes[k]) for r in e.ranges.values())
        if self.loops or "by_part" in self.without or self.threads == 1 and not constant:
            return {}
        return together(nodes, k, lambda j: self.member(nodes, j), self.threads)

    def member(self, nodes: Sequence[Node], j: int) -> Member | None:
        m = member(nodes[j], self.storage)
        if m is None or not self.is_whole(m.equation) or self.images(nodes, j):
            return None
        along = self.softmaxes[m.tensor][2] if m.tensor in self.softmaxes else ()
        scatters = any(find_fold(self.program, m.equation, t) for _, t in additive_terms(m.equation.body))
        return None if m.lead in along or scatters else m

    def by_part(self, members: Sequence[Member], others: Sequence[Equation]) -> None:
        """The equations in a function that computes a part; what others need is stored as a whole, or added up."""
        totals = {total for total, *_ in self.softmaxes.values()}
        needed = {*self.kept, *self.exported, *(name for e in others for name in e.reads)}
        here, count, function = members[0].lead, self.fresh("count"), self.fresh("part")
        local = {m.tensor for m in members if not m.summed and m.tensor not in needed}
        self.positive |= {count}
        self.code.note = -1
        for m in members:
            if m.tensor not in local | totals and not m.summed:
                shape = tuple_text(self.extent(r.size) for r in self.storage[m.tensor].axes)
                self.line(f"{m.tensor} = np.empty({shape}, {self.dtype})", m.tensor)
        part = Part(here, Range(Int.of(0), Int.symbol(count)), frozenset(local))
        for name in local:
            store = self.storage[name]
            self.storage[name] = replace(store, axes=(part.range, *store.axes[1:]))
        sums = {m.tensor: self.fresh(f"{m.tensor}_part") for m in members if m.summed}
        with self.inside(f"def {function}({here}):"):
            self.line(f"{count} = {here}.stop - {here}.start", count)
            for m in members:
                if m.tensor not in totals:
                    self.part_of(part, m, sums.get(m.tensor, ""))
            self.code.note = -1
            if sums:
                self.line(f"return {', '.join(sums.values())},")
        self.code.note = -1
        target = f"{', '.join(sums)}, = " if sums else ""
        self.line(f"{target}{self.all_parts(function, members)}", *list(sums)[:1])
        self.allocated |= {m.tensor for m in members}

    def all_parts(self, function: str, members: Sequence[Member]) -> str:
        """The call that computes all parts: how many there are is decided there, or here if the sizes are known on one thread."""
        count, arrays, sums = members[0].whole.size, largest(members), results(members)
        if self.threads == 1:
            step, k = cost.step(count, arrays, sums), self.fresh("first")
            return f"_part_by_part({function}, [slice({k}, min({k} + {step}, {count})) for {k} in range(0, {count}, {step})])"
        amounts = [_greatest("*".join(self.extent(s) for s in sizes) or "1" for sizes in found) for found in (arrays, sums) if found]
        return f"_in_parts({', '.join([function, str(len(members)), self.extent(count), *amounts])})"

    def part_of(self, part: Part, m: Member, total: str) -> None:
        """One equation, for the part at hand; its sum over the part is `total`."""
        inner, e = m.within(part.range), m.equation
        frame, labels = self.frame(inner), tuple(i for i in e.indices if i in e.ranges)
        for r in part.views(m):
            view = f"{self.storage[r.tensor].variable}[{part.slice}]"
            frame.views[r.tensor, r.subs] = Array(view, tuple(str(s.name) for s in r.subs), 9, True)
        self.code.begin(self.comment(e))
        array = self.fill(frame, self.right(frame, inner), labels, False)
        self.assign(total or (m.tensor if m.tensor in part.local else f"{m.tensor}[{part.slice}]"), array, frame, labels)

    def images(self, nodes: Sequence[Node], k: int) -> dict[int, Product]:
        """Node k and those after it that are to be computed image by image in one loop."""
        first = self.windowed(nodes[k])
        if first is None:
            return {}
        found, computed = {k: first}, {e.tensor for e in equations_of(nodes[k])}
        for j in range(k + 1, len(nodes)):
            other = self.windowed(nodes[j])
            if other and other.batch == first.batch and other.size == first.size and computed.isdisjoint(other.equation.reads):
                found[j] = other
            computed |= {e.tensor for e in equations_of(nodes[j])}
        return found

    def windowed(self, node: Node) -> Product | None:
        if not isinstance(node, Compute) or node.guards or self.loops or "by_image" in self.without or not self.is_whole(node.equation):
            return None
        return windowed_product(self.program, self.frame(node.equation), node.equation)

    def comment(self, e: Equation) -> str:
        return self.shown.get((e.tensor, e.subs, e.body), str(e))

    def loop(self, node: Loop) -> None:
        for e in equations_of(node):
            if not self.storage[e.tensor].dropped:
                self.allocate(e.tensor)
        if "accumulate" not in self.without and (found := accumulate.find(node, self.storage)) is not None:
            self.accumulate(node, found)
            return
        if "by_diagonal" not in self.without:
            diagonals = find_diagonals(self.program, node, self.storage, self.loops, self.positive)
            if diagonals is not None:
                ByDiagonal(self, diagonals).run()
                return
        with self.each(node.variable, node.range, node.forwards):
            self.run(node.body)

    @contextmanager
    def each(self, variable: str, span: Range, forwards: bool) -> Iterator[None]:
        """A Python loop over a range, one way or the other."""
        lo, hi, last, before = map(self.integer, (span.lo, span.hi, span.hi - 1, span.lo - 1))
        steps = f"{last}, {before}, -1" if not forwards else hi if span.lo == 0 else f"{lo}, {hi}"
        around, self.loops = self.loops, {**self.loops, variable: span}
        with self.inside(f"for {variable} in range({steps}):", variable):
            yield
        self.loops = around

    def accumulate(self, node: Loop, found: accumulate.Accumulation) -> None:
        """The other operand goes into the rows of all steps; then they are accumulated in place."""
        shown = self.shown.get((found.equation.tensor, found.equation.subs, found.equation.body), str(found.equation))
        whole = accumulate.whole(node, found)
        self.shown[whole.tensor, whole.subs, whole.body] = shown
        self.statement(whole)
        view = accumulate.rows(self.storage[whole.tensor].variable, node, found.axis)
        self.line(f"_accumulate(np.{found.ufunc}, {view}, {found.axis})", whole.tensor)

    def sweep(self, node: Sweep) -> None:
        names = list(dict.fromkeys(e.tensor for e in node.equations))
        for name in names:
            self.allocate(name)
        function = self.fresh("sweep")
        # All read what the last sweep left; what is written meanwhile may yet be overwritten by a base case.
        written = dict(self.storage)
        with self.inside(f"def {function}():"):
            for name in names:
                before = self.fresh(f"{name}_before")
                self.line(f"{before} = {name}.copy()" if self.storage[name].axes else f"{before} = {name}", before)
                self.storage[name] = replace(self.storage[name], variable=before)
            for e in sorted(node.equations, key=lambda e: -len(e.indices)):  # base cases last: they rule
                self.compute(e, ())
        self.storage.update(written)
        self.line("with np.errstate(all=\"ignore\"):")
        self.line(f"    _until_settled({function}, [{', '.join(names)}])")

    def allocate(self, name: str) -> None:
        store = self.storage[name]
        if name in self.allocated or not store.axes:
            return
        self.allocated.add(name)
        shape = tuple_text(self.extent(r.size) for r in store.axes)
        first = f"  # {name}[{', '.join(str(r.lo) for r in store.axes)}] stands first" if any(r.lo != 0 for r in store.axes) else ""
        self.line(f"{store.variable} = np.zeros({shape}, {self.dtype}){first}", store.variable)

    def integer(self, value: Int) -> str:
        return self.sizes.get(value) or str(value)

    # -- one equation ------------------------------------------------------------------------------------------------
    def frame(self, e: Equation) -> Frame:
        vectors = [i for i in e.indices if i in e.ranges]
        order = (*vectors, *(i for i in bound_indices(e.body) if i not in vectors))
        return self.frame_of(order, dict(e.ranges))

    def frame_of(self, order: tuple[str, ...], ranges: Ranges) -> Frame:
        return Frame(order, ranges, self.positive, self.storage, self.sizes, self.extents, dict(self.loops), self.code,
                     infinite=self.program.unbounded, rows="rows" not in self.without)

    def compute(self, e: Equation, guards: tuple[tuple[str, Range], ...]) -> None:
        if any(e.tensor == total for total, *_ in self.softmaxes.values()):
            return  # it is computed with the softmax that needs it
        around, self.loops = self.loops, {**self.loops, **dict(guards)}
        conditions = [self.guard(v, r) for v, r in guards]
        if conditions:
            with self.inside(f"if {' and '.join(conditions)}:"):
                self.statement(e)
        else:
            self.statement(e)
        self.loops = around

    def guard(self, variable: str, r: Range) -> str:
        if r.size == 1:
            return f"{variable} == {self.integer(r.lo)}"
        return f"{self.integer(r.lo)} <= {variable} < {self.integer(r.hi)}"

    def statement(self, e: Equation) -> None:
        frame = self.frame(e)
        labels = tuple(i for i in e.indices if i in e.ranges)
        if self.storage[e.tensor].dropped or self.is_whole(e):
            self.code.begin(self.comment(e))
            array = self.fill(frame, self.right(frame, e), labels, e.tensor in self.exported)
            self.assign(self.storage[e.tensor].variable, array, frame, labels)
            return
        self.allocate(e.tensor)
        self.code.begin(self.comment(e))
        array = self.right(frame, e)
        if labels and array.labels and array.labels != labels:
            array = expand(array, labels)
        self.assign(target(frame, e.tensor, e.subs), array, frame, labels)

    def assign(self, place: str, array: Array, frame: Frame, labels: tuple[str, ...]) -> None:
        """The array to a variable or a place; the statement that computes it is the one that writes it."""
        shape, code = frame.shape(labels), self.code
        remark = tuple_text(frame.size(i) for i in labels) if labels else ""
        is_place = not is_variable(place)
        if array.text in code.renamable and not is_place:
            code.items = list(renamed(code.items, {array.text: place}))
            return
        last = code.items[-1] if code.items else None
        if isinstance(last, Statement) and last.target == array.text and last.shape == shape and last.note == code.note:
            code.items[-1] = replace(last, target=place, is_place=is_place, remark=remark)
            return
        copies = call("{0}", 0, binding=array.binding, owns=not array.labels or array.text.endswith(".copy()"))
        code.items.append(Statement(place, copies, (array.term,), shape, True, code.note, is_place=is_place, remark=remark))

    def is_whole(self, e: Equation) -> bool:
        """Whether this equation alone fills its tensor's storage, at once."""
        if e.is_base or len(self.program.definitions[e.tensor]) > 1 or e.tensor in self.allocated:
            return False
        return [e.ranges.get(str(s.name)) for s in e.subs] == list(self.storage[e.tensor].axes)

    def fill(self, frame: Frame, array: Array, labels: tuple[str, ...], exported: bool) -> Array:
        """The array over all the labels, with memory of its own if it is handed out."""
        if not labels:
            return Array(f"{self.dtype}.type({array.text})")
        shape = tuple_text(frame.size(i) for i in labels)
        if not array.labels:
            return frame.make(call(f"np.full({shape}, {{0}}, {self.dtype})", 0), [array], labels)
        if array.labels != labels:
            return frame.make(call(f"np.broadcast_to({{0}}, {shape}).copy()", 0), [expand(array, labels)], labels)
        return Array(f"{array.at_least(9)}.copy()", labels) if array.is_view and exported else array

    # -- right-hand sides --------------------------------------------------------------------------------------------
    def right(self, frame: Frame, e: Equation) -> Array:
        """The body; terms that scatter into the left-hand side are folded in."""
        if e.tensor in self.softmaxes:
            _, scores, along, name = self.softmaxes[e.tensor]
            x = self.read(frame, scores)
            if name == "_softmax" and self.may_be_masked(scores):
                name = "_masked_softmax"
            return frame.make(function(name, 1, f", {_axes(x, along)}"), [x], x.labels)
        parts: list[tuple[int, Expr]] = []
        folds: list[tuple[int, Fold]] = []
        for sign, term in additive_terms(e.body):
            fold = find_fold(self.program, e, term)
            folds += [(sign, fold)] if fold else []
            parts += [] if fold else [(sign, term)]
        total = self.value(frame, signed(parts)) if parts or not folds else None
        for sign, fold in folds:
            folded = self.folded(frame, e, fold)
            if total is None:
                total = folded if sign > 0 else frame.make(NEGATIVE, [folded], folded.labels)
            else:
                total = frame.combine(ADD if sign > 0 else SUBTRACT, total, folded)
        assert total is not None
        return total

    def folded(self, frame: Frame, e: Equation, fold: Fold) -> Array:
        """_fold(V, shape, …) or _scatter(V, shape, …): the adjoint of reading at subscripts that are not plain."""
        inner = self.fold_frame(fold)
        if fold.scatter is None and "by_place" not in self.without:
            sizes, axes = [frame.size(i) for i in e.indices if i in e.ranges], [self.fold_axis(inner, a) for a in fold.axes]
            by_place = scattered(self, inner, fold, sizes, axes)
            if by_place is not None:
                return replace(by_place, labels=tuple(i for i in e.indices if i in e.ranges))
        array = self.value(inner, fold.values)
        array = permute(self.broadcast(inner, array, inner.sort(fold.labels)), fold.labels)
        labels = tuple(i for i in e.indices if i in e.ranges)
        shape = tuple_text(frame.size(i) for i in labels)
        if fold.scatter is not None:
            indices = [integer_value(inner, v, fold.scatter_labels) for v in fold.scatter]
            shown = ", ".join(f"{{{k + 1}}}" for k in range(len(indices)))
            scatter = call(f"_scatter({{0}}, {tuple_text(frame.size(i) for i in fold.moved)}, {shown})", *[0] * (len(indices) + 1))
            return permute(frame.make(scatter, [array, *indices], fold.moved), labels)
        axes = [self.fold_axis(inner, a) for a in fold.axes]
        return frame.make(call(f"_fold({{0}}, {shape}, {', '.join(axes)})", 0), [array], labels)

    def fold_frame(self, fold: Fold) -> Frame:
        self.name_new_sizes(fold.ranges)
        return self.frame_of(fold.order, fold.ranges)

    def mark_allocated(self, name: str) -> None:
        self.allocated.add(name)

    def name_new_sizes(self, ranges: dict[str, Range]) -> None:
        self.name_sizes([Equation("", (), ZERO, ranges)])

    def fold_axis(self, inner: Frame, axis: tuple[Int, tuple[tuple[str, Int], ...]] | None) -> str:
        if axis is None:
            return "None"
        start, spans = axis
        shown = [f"({inner.size(i)}, {inner.integer(step)})" for i, step in spans]
        return tuple_text([inner.integer(start), *shown])

    def broadcast(self, frame: Frame, array: Array, labels: tuple[str, ...]) -> Array:
        if array.labels == labels:
            return array
        shape = tuple_text(frame.size(i) for i in labels)
        value = expand(array, labels).text if array.labels else f"{self.dtype}.type({array.text})"
        return frame.keep(Array(f"np.broadcast_to({value}, {shape})", labels, 9, True))

    # -- expressions -------------------------------------------------------------------------------------------------
    def value(self, frame: Frame, e: Expr) -> Array:
        if isinstance(e, Num):
            return _number(e)
        if isinstance(e, Const):
            return Array("np.inf" if e.name == "inf" else "np.pi")
        if isinstance(e, IntValue):
            return self.integer_as_real(frame, e.value)
        if isinstance(e, Read):
            return self.read(frame, e)
        if isinstance(e, Reduce):
            return self.reduce(frame, e)
        assert isinstance(e, Op)
        if e.op in ("+", "neg"):
            return self.sum_(frame, e)
        if e.op in ("*", "/"):
            return self.product(frame, e)
        if e.op == "**":
            return self.power(frame, e)
        if e.op == "where":
            return self.where(frame, e)
        return self.function(frame, e)

    def read(self, frame: Frame, e: Read) -> Array:
        """A read; one that is more than basic indexing is a statement of its own, so that it is made once."""
        array = read(frame, e.tensor, e.subs)
        return permute(frame.keep(array.origin), array.labels) if "(" in array.origin.text else array

    def integer_as_real(self, frame: Frame, value: Int) -> Array:
        labels = tuple(frame.vectors(value))
        if not labels and not value.elements():
            text = frame.integer(value)
            return Array(text, (), 9 if text.isidentifier() or text.isdigit() else 5)
        array = integer_value(frame, value, labels)
        return frame.make(call(f"{{0}}.astype({self.dtype})", 9), [array], labels)

    def aligned(self, frame: Frame, arrays: Sequence[Array]) -> tuple[list[Array], tuple[str, ...]]:
        labels = frame.sort({x for a in arrays for x in a.labels})
        return [expand(a, labels) for a in arrays], labels

    def sum_(self, frame: Frame, e: Op) -> Array:
        """Terms over the same indices first, so that small sums stay small."""
        terms = additive_terms(e)
        groups: dict[frozenset[str], Array] = {}
        minus: set[frozenset[str]] = set()  # groups whose sum is to be subtracted
        for sign, t in sorted(terms, key=lambda t: -t[0]):
            a = self.value(frame, t)
            labels = frozenset(a.labels)
            if labels not in groups:
                groups[labels] = a
                minus |= {labels} if sign < 0 else set()
            else:
                same = (sign < 0) == (labels in minus)
                groups[labels] = frame.combine(ADD if same else SUBTRACT, groups[labels], a)
        total: Array | None = None
        for labels, a in sorted(groups.items(), key=lambda g: g[0] in minus):
            if total is None:
                total = frame.make(NEGATIVE, [a], a.labels) if labels in minus else a
            else:
                total = frame.combine(SUBTRACT if labels in minus else ADD, total, a)
        assert total is not None
        return total

    def product(self, frame: Frame, e: Op) -> Array:
        """Factors over few indices first, where they are among those of another, so that small products stay small."""
        if (scaled := self.scaled_sum(frame, e)) is not None:
            return scaled
        above, below = _fraction(e)
        found = [(self.value(frame, f), MULTIPLY) for f in above] + [(self.operand(frame, Op("/", (ONE, f)), f), DIVIDE) for f in below]
        if self.as_written:
            return _in_turn(frame, found)
        groups: dict[frozenset[str], list[tuple[Array, Operation]]] = {}
        for x in sorted(found, key=lambda x: x[1] is DIVIDE):
            groups.setdefault(frozenset(x[0].labels), []).append(x)
        if "few" not in self.without:
            self.few_together(frame, groups)
        for labels in sorted(groups, key=len):
            wider = [g for g in groups if labels < g and groups[g][0][1] is MULTIPLY]
            if wider:
                host, members = min(wider, key=len), groups.pop(labels)
                groups[host] = self.beside(frame, members, groups[host])
        return _in_turn(frame, sorted((x for g in groups.values() for x in g), key=lambda x: x[1] is DIVIDE))

    def few_together(self, frame: Frame, groups: dict[frozenset[str], list[tuple[Array, Operation]]]) -> None:
        """X[n,c,i] g[c] / s[n]: g/s has entries for n, c only, and X is walked through once, not twice."""
        for a, b in combinations(sorted(groups, key=lambda g: (len(g), groups[g][0][1] is DIVIDE)), 2):
            fits = a and not a <= b and any(a | b < host and groups[host][0][1] is MULTIPLY for host in groups)
            if fits and a in groups and b in groups and a | b not in groups:
                first, second = sorted((a, b), key=lambda g: groups[g][0][1] is DIVIDE)
                parts = [*groups.pop(first), *groups.pop(second)]
                groups[a | b] = self.in_one(frame, parts)

    def in_one(self, frame: Frame, parts: list[tuple[Array, Operation]]) -> list[tuple[Array, Operation]]:
        """One factor, or one divisor, for all."""
        if parts[0][1] is MULTIPLY:
            return [(_in_turn(frame, parts), MULTIPLY)]
        return [(_in_turn(frame, [(x, MULTIPLY) for x, _ in parts]), DIVIDE)]

    @contextmanager
    def exactly(self) -> Iterator[None]:
        """Products in the order in which they are written: what a maximum is compared with must have the same bits as the maximum."""
        before, self.as_written = self.as_written, True
        yield
        self.as_written = before

    def scaled_sum(self, frame: Frame, e: Op) -> Array | None:
        """c · Σ …, with c the same for all entries: the contraction decides where c is multiplied in."""
        parts = factors(e)
        sums = [f for f in parts if isinstance(f, Reduce) and f.op == "sum"]
        others = [f for f in parts if f not in sums]
        if len(sums) != 1 or not others or any(free_symbols(f) & set(frame.order) for f in others) or parts.count(sums[0]) > 1:
            return None
        return self.reduce(frame, Reduce("sum", sums[0].indices, sums[0].body), others)

    def beside(
        self, frame: Frame, few: list[tuple[Array, Operation]], many: list[tuple[Array, Operation]]
    ) -> list[tuple[Array, Operation]]:
        """The factors of both: those over few indices multiplied among themselves, and numbers into the first of the many."""
        first, operation = few[0]
        for x, o in few[1:] if first.labels and operation is MULTIPLY else ():
            first = frame.combine(o, first, x)
        if first.labels:
            return [many[0], (first, operation), *(few[1:] if operation is DIVIDE else ()), *many[1:]]
        total = many[0][0]
        for x, o in few:
            total = frame.combine(o, x, total) if o is MULTIPLY else frame.combine(o, total, x)
        return [(total, MULTIPLY), *many[1:]]

    def operand(self, frame: Frame, e: Op, x: Expr) -> Array:
        """x, for e to work on; a number of NumPy where Python would raise an error or think of complex numbers: 1/(i − j), sqrt(i − j)."""
        array = self.value(frame, x)
        if array.labels or _is_numpy(x) or is_regular(e, frame.known, self.positive):
            return array
        return Array(f"{self.dtype}.type({array.text})")

    def power(self, frame: Frame, e: Op) -> Array:
        base, exponent = self.operand(frame, e, e.args[0]), e.args[1]
        if isinstance(exponent, Num) and base.labels:
            if exponent.value == 2:
                return frame.make(SQUARE, [base], base.labels)
            if exponent.value == 3:
                return frame.combine(MULTIPLY, frame.make(SQUARE, [base], base.labels), base)
            if exponent.value.denominator == 2 and 0 < exponent.value < 4:
                total = frame.make(FUNCTIONS["sqrt"], [base], base.labels)
                for _ in range(int(exponent.value)):
                    total = frame.combine(MULTIPLY, base, total)
                return total
        return frame.combine(POWER, base, self.value(frame, exponent))

    def function(self, frame: Frame, e: Op) -> Array:
        if e.op in ("max", "min") and len(e.args) == 2:
            a, b = (self.value(frame, x) for x in e.args)
            if not a.labels and not b.labels and not _is_numpy(e):
                return Array(f"{e.op}({a.text}, {b.text})")  # of Python numbers: NumPy's would widen float32
            return frame.combine(function(f"np.{e.op}imum", 2), a, b)
        if e.op == "exp" and (difference := self.difference_from_lse(frame, e.args[0])) is not None:
            return difference
        if e.op == "log" and "shifted" not in self.without and (exps := exponents(e.args[0])):
            return self.log_of_exps(frame, exps)
        x = self.operand(frame, e, e.args[0])
        if e.op == "silu":
            total = frame.combine(MULTIPLY, x, frame.make(FUNCTIONS["sigmoid"], [x], x.labels))
        elif e.op == "gelu":
            inner = frame.make(FUNCTIONS["erf"], [frame.combine(MULTIPLY, x, Array("0.5**0.5", (), 8))], x.labels)
            total = frame.combine(MULTIPLY, frame.combine(MULTIPLY, Array("0.5"), x), frame.combine(ADD, Array("1"), inner))
        elif e.op == "sqrt" and not x.labels and not _is_numpy(e.args[0]) and is_regular(e, frame.known, self.positive):
            return Array(f"{x.at_least(9)}**0.5", (), 8)
        else:
            total = frame.make(FUNCTIONS[e.op], [x], x.labels)
        # A Python number in, a Python number out: it must not widen float32.
        return total if x.labels or _is_numpy(e.args[0]) else Array(f"float({total.text})")

    def log_of_exps(self, frame: Frame, exps: Sequence[Expr]) -> Array:
        """log(exp(a) + exp(b) + …), shifted."""
        arrays, labels = self.aligned(frame, [self.value(frame, x) for x in exps])
        places = ", ".join(f"{{{k}}}" for k in range(len(arrays)))
        return frame.make(call(f"_log_of_exps({places})", *[0]*len(arrays)), arrays, labels)

    def difference_from_lse(self, frame: Frame, e: Expr) -> Array | None:
        """exp(S − lse) where rows of S may be −inf altogether."""
        terms = additive_terms(e)
        lse = [t for s, t in terms if s < 0 and isinstance(t, Read) and self.is_lse(t.tensor)]
        if len(lse) != 1:
            return None
        rest = signed([(s, t) for s, t in terms if t is not lse[0]])
        if not self.may_be_infinite(lse[0].tensor):
            return None
        return frame.combine(function("_exp_difference", 2), self.value(frame, rest), self.value(frame, lse[0]))

    def is_lse(self, name: str) -> bool:
        return any(isinstance(d.body, Reduce) and d.body.op == "logsumexp" for d in self.program.definitions.get(name, ()))

    def may_be_masked(self, e: Expr, seen: frozenset[str] = frozenset()) -> bool:
        """Whether e may be −inf for finite weights: by an explicit inf, a log, or an input that is added; a product of inputs is none."""
        if isinstance(e, Read):
            if e.tensor in seen:
                return False
            definitions = self.program.definitions.get(e.tensor, ())
            return not definitions or any(self.may_be_masked(d.body, seen | {e.tensor}) for d in definitions)
        if e == INF or isinstance(e, Op) and e.op in ("log", "/", "**", "where"):
            return not isinstance(e, Op) or e.op == "log" or any(self.may_be_masked(a, seen) for a in e.args)
        if isinstance(e, Reduce):
            inner = [f for f in factors(e.body) if reads(f)]
            if e.op == "sum" and len(inner) > 1 and all(isinstance(f, Read) for f in inner):
                return False
            return self.may_be_masked(e.body, seen)
        return isinstance(e, Op) and e.op not in BOUNDED and any(self.may_be_masked(a, seen) for a in e.args)

    def may_be_infinite(self, name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether −inf can reach this tensor: an explicit inf, a log, or an empty reduction somewhere behind it."""
        if name in seen:
            return False
        for d in self.program.definitions.get(name, ()):
            for node in walk(d.body):
                if node == INF or isinstance(node, Op) and node.op == "log":
                    return True
                if isinstance(node, Read) and self.may_be_infinite(node.tensor, seen | {name}):
                    return True
        return name not in self.program.definitions

    # -- conditions --------------------------------------------------------------------------------------------------
    def where(self, frame: Frame, e: Op) -> Array:
        condition = self.condition(frame, e.args[0])
        if e.args[1:] == (ONE, ZERO) and condition.labels:
            return frame.make(call(f"{{0}}.astype({self.dtype})", 9), [condition], condition.labels)
        if e.args[2] == ZERO and self.may_multiply(frame, e.args[1], condition):
            return frame.combine(MULTIPLY, self.value(frame, e.args[1]), condition)
        a, b = (self.value(frame, x) for x in e.args[1:])
        if not condition.labels and a.labels == b.labels:
            return Array(f"({a.text} if {condition.text} else {b.text})", a.labels, 9, True)
        (c, a, b), labels = self.aligned(frame, [condition, a, b])
        shown = [x if x.labels else Array(f"{self.dtype}.type({x.text})") for x in (a, b)]
        return frame.make(WHERE, [c, *shown], labels)

    def may_multiply(self, frame: Frame, e: Expr, condition: Array) -> bool:
        """Whether where(c, e, 0) is e·c with a mask that has as many entries: np.where is slow where the next entry is hard to guess."""
        labels = free_symbols(e) & set(frame.order)
        return "indicator" not in self.without and bool(labels) and labels <= set(condition.labels) and self.facts.is_finite(e)

    def only_where(self, frame: Frame, e: Expr, array: Array) -> Array:
        """The array where a condition without array indices holds, and 0 otherwise, whatever the array holds then."""
        condition = self.condition(frame, e)
        if not array.labels:
            return Array(f"({array.text} if {condition.text} else {self.dtype}.type(0))")
        return frame.make(WHERE, [condition, array, Array(f"{self.dtype}.type(0)")], array.labels)

    def condition(self, frame: Frame, e: Expr) -> Array:
        assert isinstance(e, Op)
        if e.op in ("true", "false"):
            return Array("True" if e.op == "true" else "False")
        if e.op in ("and", "or"):
            return self.junction(frame, e)
        if e.op == "not":
            inner = self.condition(frame, e.args[0])
            if not inner.labels:
                return Array(f"not ({inner.text})", (), 4)
            return frame.make(call("~{0}", 9, binding=7), [inner], inner.labels, real=False)
        assert e.op in COMPARISONS
        if all(isinstance(x, IntValue | Num) for x in e.args):
            return self.integer_comparison(frame, e)
        with self.exactly():
            a, b = (self.value(frame, x) for x in e.args)
        return frame.combine(call(f"{{0}} {e.op} {{1}}", 5, 5, binding=4), a, b, real=False)

    def junction(self, frame: Frame, e: Op) -> Array:
        """and, or: conditions over few indices first."""
        parts = sorted((self.condition(frame, a) for a in e.args), key=lambda a: len(a.labels))
        if not parts[-1].labels:
            return Array(f" {e.op} ".join(f"({a.text})" for a in parts), (), 2)
        total, both = parts[0], call(f"{{0}} {'&' if e.op == 'and' else '|'} {{1}}", 9, 9, binding=4)
        for a in parts[1:]:
            total = frame.combine(both, total, a, real=False)
        return total

    def integer_comparison(self, frame: Frame, e: Op) -> Array:
        values = [x.value for x in e.args if isinstance(x, IntValue | Num)]
        labels = frame.sort({i for v in values if isinstance(v, Int) for i in frame.vectors(v)})
        operands = []
        for v in values:
            if isinstance(v, Int):
                operands.append(integer_value(frame, v, labels if frame.vectors(v) else ()))
            else:
                operands.append(Array(str(v) if v.denominator == 1 else repr(float(v)), (), 9 if v >= 0 else 5))
        return frame.make(call(f"{{0}} {e.op} {{1}}", 5, 5, binding=4), operands, labels, real=False)

    # -- reductions --------------------------------------------------------------------------------------------------
    def reduce(self, frame: Frame, e: Reduce, scale: Sequence[Expr] = ()) -> Array:
        if e.op in ("max", "min") and not self.as_written:
            with self.exactly():
                return self.reduce(frame, e, scale)
        walk_windows = None if "by_place" in self.without else reduced(self, frame, e) or for_each_place(self, frame, e)
        if walk_windows is not None:
            for f in sorted(scale, key=is_reciprocal):
                walk_windows = times(frame, walk_windows, f, lambda x: self.value(frame, x))
            return walk_windows
        if e.op == "sum":
            return sum_of_products(
                frame, e.body, e.indices, self.value, lambda c, a: self.only_where(frame, c, a), scale)
        edge = {"max": "-np.inf", "min": "np.inf"}.get(e.op, "")
        if edge and isinstance(e.body, Read) and not any(s.elements() for s in e.body.subs):
            body = read(frame, e.body.tensor, e.body.subs, edge)
        else:
            frame = self.reduced_first(frame, e)
            body = self.value(frame, e.body)
        labels = frame.sort(set(body.labels) | set(e.indices))
        if set(e.indices) - set(body.labels):
            body = self.broadcast(frame, body, labels)
        axis = _axes(body, frame.sort(e.indices))
        left = tuple(x for x in body.labels if x not in e.indices)
        if e.op == "logsumexp":
            return frame.make(call(f"_logsumexp({{0}}, {axis})", 0), [body], left)
        return frame.make(call(f"{{0}}.{e.op}({axis}, initial={edge})", 9), [body], left)

    def reduced_first(self, frame: Frame, e: Reduce) -> Frame:
        """The frame with what is reduced in front, where the array is made here of smaller ones: long rows are merged, none is summed."""
        labels = labels_of(frame, e.body)
        rest = cost.entries(frame.ranges[i].size for i in labels - {*e.indices})
        stored = any(labels_of(frame, r) == labels for r in reads(e.body))
        if "front" in self.without or stored or rest < cost.entries(frame.ranges[i].size for i in e.indices):
            return frame
        return replace(frame, order=(*frame.sort(e.indices), *(i for i in frame.order if i not in e.indices)))


WHERE = Operation("np.where({0}, {1}, {2})", (0, 0, 0), into="_masked({1}, {0}, {2})", only=1)


def _axes(array: Array, indices: Sequence[str]) -> str:
    axes = [array.labels.index(i) for i in indices]
    return str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"


def _greatest(texts: Iterable[str]) -> str:
    found = list(dict.fromkeys(texts))
    return found[0] if len(found) == 1 else f"max({', '.join(found)})"


def _in_turn(frame: Frame, found: Sequence[tuple[Array, Operation]]) -> Array:
    """The product of all, one after the other."""
    first, operation = found[0]
    total = first if operation is MULTIPLY else frame.combine(DIVIDE, Array("1"), first)
    for array, operation in found[1:]:
        total = frame.combine(operation, total, array)
    return total


def _fraction(e: Op) -> tuple[list[Expr], list[Expr]]:
    above: list[Expr] = []
    below: list[Expr] = []
    for f in factors(e):
        if isinstance(f, Op) and f.op == "/" and f.args[0] == ONE:
            below.append(f.args[1])
        elif isinstance(f, Num) and f.value.numerator == 1 and f.value.denominator != 1:
            below.append(Num(f.value**-1))
        else:
            above.append(f)
    return above, below


def _number(e: Num) -> Array:
    v = e.value
    text = str(v.numerator) if v.denominator == 1 else repr(float(v))
    return Array(text, (), 9 if v >= 0 else 5)


def _is_numpy(e: Expr) -> bool:
    """Whether the value of e comes from arrays rather than from Python numbers alone."""
    return bool(reads(e)) or any(v.elements() for v in ints(e))
