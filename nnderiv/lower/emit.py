"""Scheduled equations -> statements (`form`), one array operation each; a Python loop for a true cycle.

`Body` writes the body of one function. Each statement knows the equation that it computes, and the shape of its result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from ..expr import Expr, Read
from ..integer import Int
from ..program import Equation, Range
from . import accumulate
from .arrays import expand, permute
from .by_diagonal import ByDiagonal
from .by_image import ByImage
from .by_part import Groups
from .diagonals import find as find_diagonals
from .equations.scan import vanishes
from .infinities import is_logsumexp
from .items.form import Statement, call
from .parts import Parts
from .reads import read
from .schedule import Compute, Loop, Node, Sweep
from .shares import Shares, of_steps
from .side_by_side import side_by_side
from .storage import equations_of
from .texts import tuple_text
from .windowed import Product


class Body(Parts):
    """The statements of one function."""

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
