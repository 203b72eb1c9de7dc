"""Scheduled equations -> statements (`form`), one array operation each; a Python loop for a true cycle.

`Body` writes the body of one function. Each statement knows the equation that it computes, and the shape of its result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from ..expr import Expr, Read, is_zero
from ..integer import Int
from ..polynomial import additive_terms, signed
from ..program import Equation, Program, Range
from ..within import never_meet, runs_along
from . import accumulate, cost
from .arrays import Array, Frame, Storage, expand, permute
from .by_diagonal import ByDiagonal
from .by_image import ByImage
from .by_part import Groups, Member, Part, largest, member, results
from .by_place import at
from .diagonals import find as find_diagonals
from .equations.fuse import Softmaxes
from .equations.scan import vanishes
from .facts import Facts
from .fold import Fold, find_fold
from .folds import Folds
from .infinities import is_logsumexp, may_be_masked
from .items.form import ADD, NEGATIVE, SUBTRACT, Line, Operation, Statement, call, function, mentioned_by, statements
from .items.layout import closing_of, listed
from .reads import always_inside, integer_value, read, target
from .schedule import Compute, Loop, Node, Sweep
from .shares import Shares, of_steps
from .side_by_side import side_by_side
from .slabs import Slab, find_slab
from .spots import Spot, at_hand, find_spot
from .storage import equations_of
from .texts import axes_text, extreme_of, multiplied, slice_of, span, tuple_text
from .windowed import Product, windowed_product


class Body(Folds):
    """The statements of one function."""

    def __init__(self, program: Program, storage: dict[str, Storage], facts: Facts, exported: Iterable[str], dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        super().__init__(program, storage, facts, dtype, without, threads)
        self.exported = set(exported)  # handed to the caller: never a view of something else
        self.kept: set[str] = set()  # what somebody reads later
        self.softmaxes: Softmaxes = {}
        self.wholes: dict[str, Int] = {}  # by the size of a part: how many there are
        self.shown: dict[tuple[object, ...], str] = {}  # equations by (tensor, subs, body), as they are to be read

    # -- nodes ---------------------------------------------------------------------------------------------------------
    def run(self, nodes: Sequence[Node]) -> None:
        done: set[int] = set()
        by_part = None if self.loops or "by_part" in self.without else Groups(nodes, done, partial(self.member, nodes), self.threads)
        for k, node in enumerate(nodes):
            if k in done:
                continue
            group = self.images(nodes, k)
            if group:
                done.update(group)
                ByImage(self).run(list(group.values()), [self.comment(p.equation) for p in group.values()])
            elif parts := by_part.of(k) if by_part else {}:
                done.update(parts)
                self.by_part(list(parts.values()), [e for j, n in enumerate(nodes) if j not in parts for e in equations_of(n)])
            elif rows := side_by_side(self.program, self.storage, nodes, k):
                done.update(rows)
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

    def member(self, nodes: Sequence[Node], j: int) -> Member | None:
        m = member(nodes[j], self.storage)
        if m is None or not self.is_whole(m.equation) or self.images(nodes, j):
            return None
        along = self.softmaxes[m.tensor][2] if m.tensor in self.softmaxes else ()
        terms = [t for _, t in additive_terms(m.equation.body)]
        scatters = any(find_fold(self.program, m.equation, t) for t in terms)
        spots = [spot for t in terms if (spot := find_spot(m.equation, t, self.positive))]
        elsewhere = any(spot.axis == m.lead or not m.holds(spot.reads) for spot in spots)
        return None if m.lead in along or scatters or elsewhere else m

    def by_part(self, members: Sequence[Member], others: Sequence[Equation]) -> None:
        """The equations in a loop over the parts, or a function that computes one; what others need is stored as a whole, or added up."""
        totals = {total for total, *_ in self.softmaxes.values()}
        needed = {*self.kept, *self.exported, *(name for e in others for name in e.reads)}
        here, count = members[0].lead, self.fresh("count")
        local = {m.tensor for m in members if not m.summed and m.tensor not in needed}
        self.positive |= {count}
        self.wholes[count] = members[0].whole.size
        self.code.note = -1
        sums = {m.tensor: self.fresh(f"{m.tensor}_part") for m in members if m.summed} if self.threads > 1 else {}
        for m in members:
            if m.tensor not in local | totals | sums.keys():
                self.set_aside(m)
        part = Part(here, count, frozenset(local))
        for name in local:
            store = self.storage[name]
            self.storage[name] = replace(store, axes=(part.range, *store.axes[1:]))
        present = [m for m in members if m.tensor not in totals]
        if self.threads > 1:
            function = self.fresh("part")
            with self.inside(f"def {function}({here}):"):
                self.each_part(part, present, sums)
                if sums:
                    self.line(f"return {listed(sums.values())}")
            self.code.note = -1
            self.line(f"{listed(sums)} = "*bool(sums) + f"_in_parts({', '.join(self.amounts(members, function))})", *list(sums)[:1])
        else:
            with self.inside(f"for {here} in _parts({', '.join(self.amounts(members))}):", here):
                self.each_part(part, present, sums)
        self.allocated |= {m.tensor for m in members}

    def set_aside(self, m: Member) -> None:
        """Memory for what is computed part by part: all of it, or a sum to which each part adds."""
        shape = tuple_text(self.extent(r.size) for r in self.storage[m.tensor].axes)
        number = f"{self.dtype}.type(0)" if m.summed and not m.equation.indices else ""
        begin = "zeros" if m.summed else "empty"
        self.line(f"{m.tensor} = " + (number or f"np.{begin}({shape}, {self.dtype})"), m.tensor)

    def amounts(self, members: Sequence[Member], function: str = "") -> list[str]:
        """How many there are, and the entries of arrays for each, and of sums; products of matrices have larger parts. On threads, the
        function before them, and for how many equations it counts."""
        arrays, sums = largest(members), results(members)
        entries = [extreme_of("max", (multiplied(map(self.extent, sizes)) for sizes in found)) for found in (arrays, sums) if found]
        count = self.extent(members[0].whole.size)
        if function:
            return [function, str(sum(m.passes(max(map(cost.entries, arrays))) for m in members)), count, *entries]
        if any(m.has_matrices for m in members):
            entries[1:] = [extreme_of("max", [*entries[1:], str(cost.PART)])]
        return [count, *entries]

    def each_part(self, part: Part, members: Sequence[Member], sums: Mapping[str, str]) -> None:
        """What a part computes; the sums have names of their own, or are added up here."""
        for m in members:
            self.part_of(part, m, sums.get(m.tensor, ""))
        self.code.note = -1
        if any(part.count in mentioned_by(s) for s in statements(self.code.items)):
            self.code.items.insert(0, Line(f"{part.count} = {part.slice}.stop - {part.slice}.start", binds=part.count))

    def part_of(self, part: Part, m: Member, total: str) -> None:
        """One equation, for the part at hand; its sum over the part is `total`, or added to that over the others."""
        inner, e = m.within(part.range), m.equation
        frame, labels = self.frame(inner), e.indices
        for r in m.reads:
            view = self.storage[r.tensor].variable + (f"[{part.slice}]" if r.tensor not in part.local else "")
            if m.leads(r):
                frame.views[r.tensor, r.subs] = Array(view, tuple(str(s.name) for s in r.subs), 9, True)
        self.code.begin(self.comment(e))
        array = self.fill(frame, self.right(frame, inner), labels, False)
        if m.summed and not total:
            self.code.merge(m.tensor, ADD, array.term, frame.shape(labels))
        else:
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
        """What it says; one of several parts of an axis says which."""
        text = self.shown.get((e.tensor, e.subs, e.body), str(e))
        others = [d for d in self.program.definitions.get(e.tensor, ()) if d.subs == e.subs]
        parts = [i for i in e.indices if any(d.ranges[i] != e.ranges[i] for d in others)] if len(others) > 1 else []
        return text + (f"  for {', '.join(e.ranges[i].clause(i) for i in parts)}" if parts else "")

    def loop(self, node: Loop) -> None:
        for e in equations_of(node):
            if not self.storage[e.tensor].dropped:
                self.allocate(e.tensor)
        if "accumulate" not in self.without and (found := accumulate.find(self.program, node, self.storage)) is not None:
            self.all_steps(node, found)
            return
        if "accumulate" not in self.without and (several := accumulate.find_several(self.program, node, self.storage)) is not None:
            self.all_steps_of_several(node, several)
            return
        if "by_diagonal" not in self.without:
            diagonals = find_diagonals(self.program, node, self.storage, self.loops, self.positive)
            if diagonals is not None:
                ByDiagonal(self, diagonals).run()
                return
        around, self.shares = self.shares, {**self.shares, **self.share_out(node)}
        with self.each(node.variable, node.range, node.forwards):
            self.run(node.body)
        self.shares = around

    def share_out(self, node: Loop) -> dict[Expr, tuple[Shares, str, Int]]:
        """Before a loop, functions that sum up shares at its steps: each by its sum."""
        made: dict[Expr, tuple[Shares, str, Int]] = {}
        if self.loops or "log_products" in self.without:
            return made
        computed, is_lse = {e.tensor for e in equations_of(node)}, partial(is_logsumexp, self.program)
        for e in [x.equation for x in node.body if isinstance(x, Compute)]:
            ranges = {node.variable: node.range, **e.ranges}
            for s in of_steps(e, node.variable, computed, is_lse, partial(vanishes, self.program, ranges)):
                frame, name = self.frame_of((node.variable, *s.rows, s.own, *s.columns), ranges), self.fresh(f"{e.tensor}_shares")
                self.code.begin(f"{name}: {s.total}")
                c = read(frame, s.c.tensor, s.c.subs, "np.inf")  # where it is outside, w is, and nothing has a share
                x, y = (self.value(frame, part) for part in (s.x, s.y))
                labels = ((node.variable, *s.rows, s.own), (s.own, *s.columns), (node.variable, *s.rows, *s.columns))
                operands = tuple(permute(a, order).term for a, order in zip((x, y, c), labels, strict=True))
                self.code.items.append(Statement(name, call("_shares({0}, {1}, {2})", 0, 0, 0), operands, (), False, self.code.note))
                made[s.total] = s, name, Int.symbol(node.variable) - node.range.lo
        return made

    @contextmanager
    def each(self, variable: str, span: Range, forwards: bool) -> Iterator[None]:
        """A Python loop over a range, one way or the other."""
        lo, hi, last, before = map(self.integer, (span.lo, span.hi, span.hi - 1, span.lo - 1))
        steps = f"{last}, {before}, -1" if not forwards else hi if span.lo == 0 else f"{lo}, {hi}"
        around, self.loops = self.loops, {**self.loops, variable: span}
        with self.inside(f"for {variable} in range({steps}):", variable):
            yield
        self.loops = around

    def all_steps(self, node: Loop, found: accumulate.Accumulation) -> None:
        """The other operand goes into the rows of all steps; then they are accumulated in place."""
        shown = self.shown.get((found.equation.tensor, found.equation.subs, found.equation.body), str(found.equation))
        whole = found.whole(node)
        self.shown[whole.tensor, whole.subs, whole.body] = shown
        self.statement(whole)
        y, axis = self.storage[whole.tensor].variable, found.axis
        rows, ufunc = accumulate.rows(y, node, found), f"np.{found.ufunc}"
        if found.is_plain and found.ufunc == "logaddexp":
            self.line(f"{y}[:] = _running_logsumexp({y}, {axis}{'' if node.forwards else ', -1'})", whole.tensor)
        elif found.is_plain:
            self.line(f"_accumulate({ufunc}, {rows}, {axis})", whole.tensor)
        else:
            by = {"add": ", chosen=True" if found.is_chosen else "", "logaddexp": ", _logaddexp"}.get(found.ufunc, f", {ufunc}")
            self.line(f"_scan({self.factor(found, node)}, {rows}, {axis}{by})", whole.tensor)

    def all_steps_of_several(self, node: Loop, found: accumulate.Several) -> None:
        """What does not wait goes into the rows of all steps; then they are gone through in place."""
        shown, whole = str(found.equation), found.whole(node)
        self.shown[whole.tensor, whole.subs, whole.body] = self.shown.get((whole.tensor, whole.subs, found.equation.body), shown)
        self.statement(whole)
        y, axis, frame = self.storage[whole.tensor].variable, found.axis, self.frame(whole)
        back = f"[{':, ' * axis}::-1]"
        factors = []
        for f in found.factors:
            array = expand(self.right(frame, whole.with_body(f), is_apart=True), whole.indices)
            turns = not node.forwards and node.variable in array.labels
            factors.append(array.at_least(9) + f"[{':, ' * array.labels.index(node.variable)}::-1]" if turns else array.text)
        rows = y if node.forwards else y + back
        self.line(f"_recur(({', '.join(factors)}), {rows}, {axis})", whole.tensor)

    def factor(self, found: accumulate.Accumulation, node: Loop) -> str:
        """The factors of the rows before, in the order of the steps of a loop, aligned with the rows of the tensor on the left."""
        e, steps = accumulate.factor(node, found, self.program)
        frame, labels = self.frame(e), e.indices
        array = expand(self.right(frame, e), labels)
        if node.variable not in array.labels or steps == ":":
            return array.text
        return f"{array.at_least(9)}[{':, ' * array.labels.index(node.variable)}{steps}]"

    def sweep(self, node: Sweep) -> None:
        names = list(dict.fromkeys(e.tensor for e in node.equations))
        scalars = [name for name in names if not self.storage[name].axes]
        for name in names:
            self.allocate(name)
        for name in scalars:  # an array meanwhile, which the function can write to
            self.line(f"{name} = np.zeros((), {self.dtype})", name)
        self.allocated |= {*scalars}
        function = self.fresh("sweep")
        # All read what the last sweep left; what is written meanwhile may yet be overwritten by a base case.
        written, self.swept = dict(self.storage), frozenset(names)
        with self.inside(f"def {function}():"):
            for name in names:
                before = self.fresh(f"{name}_before")
                self.line(f"{before} = {name}.copy()", before)
                self.storage[name] = replace(self.storage[name], variable=before)
            for e in sorted(node.equations, key=lambda e: -len(e.indices)):  # base cases last: they rule
                self.compute(e, ())
        self.storage.update(written)
        self.swept = frozenset()
        self.line("with np.errstate(all=\"ignore\"):")
        self.line(f"    _until_settled({function}, [{', '.join(names)}])")
        for name in scalars:
            self.line(f"{name} = {name}[()]", name)

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

    # -- one equation --------------------------------------------------------------------------------------------------
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
        known = self.certain, dict(self.shared)
        self.certain |= {n.name for n in left if n.name is not None}
        with self.inside(f"if {' and '.join(dict.fromkeys(map(self.extent, left)))}:"):
            yield
        self.certain, self.shared = known

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
            fold = find_fold(self.program, e, term)
            spot = None if fold or "spots" in self.without or self.loops else find_spot(e, term, self.positive)
            spot = None if spot and not at_hand(frame, spot) else spot
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
