"""A reduction -> an array: a product of matrices, dot products of rows, place by place of a window, or along the axes of an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from ..expr import ONE, Expr, Op, Read, Reduce, free_symbols, is_indicator, reads, reads_data
from ..polynomial import fraction, guarded_factors, is_reciprocal, product
from ..within import readable
from . import cost
from .arrays import Array, Frame, expand, labels_of, permute
from .by_group import product_by_group
from .by_place import for_each_place, reduced
from .by_tap import EMPTY
from .choices import Choices
from .contract import sum_of_products, times
from .equations.scan import vanishes
from .infinities import is_logsumexp
from .items.form import call
from .log_products import logarithm, share_product
from .reads import read
from .running_logs import running_logsumexp
from .slabs import Slab, cut_sum
from .texts import axes_text, tuple_text


class Reductions(Choices):
    """The arrays of sums, counts and extremes, in the frame of their equation."""

    def broadcast(self, frame: Frame, array: Array, labels: tuple[str, ...]) -> Array:
        if array.labels == labels:
            return array
        shape = tuple_text(frame.size(i) for i in labels)
        value = expand(array, labels).text if array.labels else f"{self.dtype}.type({array.text})"
        return frame.keep(Array(f"np.broadcast_to({value}, {shape})", labels, 9, True))

    def reduce(self, frame: Frame, e: Reduce, scale: Sequence[Expr] = ()) -> Array:
        if e.op in ("max", "min") and not self.as_written:
            with self.exactly():
                return self.reduce(frame, e, scale)
        if e.op == "sum" and (part := self.part_of_sum(frame, e)) is not None:
            return self.reduce(replace(frame, ranges=part.ranges), Reduce("sum", e.indices, part.values), scale)
        if "by_place" not in self.without and (walked := self.place_by_place(frame, e, scale)) is not None:
            return walked
        is_lse, is_outside = partial(is_logsumexp, self.program), partial(vanishes, self.program, frame.known)
        if e.op == "sum" and (found := self.count(frame, e)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum" and (found := self.share_of_step(frame, e)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum" and (found := share_product(frame, self.value, e, is_lse, is_outside)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum" and "by_group" not in self.without and (found := product_by_group(frame, self.value, e)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum":
            finite = all(map(self.facts.is_finite, guarded_factors(e.body)[1]))
            return sum_of_products(
                frame, e.body, e.indices, self.value, lambda c, a: self.only_where(frame, c, a, finite), scale)
        if e.op == "logsumexp" and (found := logarithm(frame, self.value, e)) is not None:
            return found
        if "running" not in self.without and (found := running_logsumexp(frame, self.value, e)) is not None:
            return found
        return self.along_axes(frame, e)

    def count(self, frame: Frame, e: Reduce) -> Array | None:
        """For how many entries a condition on data holds: no array of ones and zeros to be added up."""
        c = e.body.args[0] if is_indicator(e.body) else None
        if c is None or not reads_data(c) or labels_of(frame, c) != {*e.indices}:
            return None
        return frame.number(Array(f"np.count_nonzero({self.condition(frame, c).text})"))

    def share_of_step(self, frame: Frame, e: Reduce) -> Array | None:
        """A sum of shares for which there is a function (`shares.of_steps`)."""
        if e not in self.shares:
            return None
        found, name, step = self.shares[e]
        w = permute(self.value(frame, found.w), (*found.rows, *found.columns))
        operands = [Array(name), Array(frame.integer(step)), w]
        total = frame.make(call("{0}({1}, {2})", 9, 0, 0), operands, (*found.rows, found.own))
        return permute(total, frame.sort(total.labels))

    def part_of_sum(self, frame: Frame, e: Reduce) -> Slab | None:
        """The parts of what a sum runs over, if its terms are 0 outside of these."""
        if "slabs" in self.without or frame.loops or frame.views:
            return None
        part = cut_sum(e, frame.ranges, frame.storage, self.positive, self.facts.is_finite)
        if part is not None:
            self.name_parts(part.ranges)
        return part

    def place_by_place(self, frame: Frame, e: Reduce, scale: Sequence[Expr]) -> Array | None:
        """A reduction over windows, times these factors, where they are walked through."""
        inner, outer = self.what_is_summed(e)
        total = reduced(self, frame, inner)
        if total is None:
            total, outer = for_each_place(self, frame, e), []
        return None if total is None else self.scaled(frame, total, [*outer, *scale])

    def scaled(self, frame: Frame, total: Array, by: Iterable[Expr]) -> Array:
        """An array times these factors, divided by what is in a denominator last."""
        for f in sorted(by, key=is_reciprocal):
            total = times(frame, total, f, lambda x: self.value(frame, x))
        return total

    def along_axes(self, frame: Frame, e: Reduce) -> Array:
        """max, min or logsumexp along axes of one array."""
        edge = EMPTY["min" if e.op == "min" else "max"]
        if isinstance(e.body, Read) and not any(s.elements() for s in e.body.subs) and self.may_leave(frame, e.body):
            body = read(frame, e.body.tensor, e.body.subs, edge)
        else:
            frame = self.reduced_first(frame, e)
            body = self.value(frame, e.body)
        labels = frame.sort(set(body.labels) | set(e.indices))
        if set(e.indices) - set(body.labels):
            body = self.broadcast(frame, body, labels)
        axis = axes_text(body, frame.sort(e.indices))
        left = tuple(x for x in body.labels if x not in e.indices)
        if e.op == "logsumexp":
            return frame.make(call(f"_logsumexp({{0}}, {axis})", 0), [body], left)
        if len(e.indices) == 1 and body.labels[0] != e.indices[0] and cost.may_be_few(frame.ranges[e.indices[0]].size):
            return frame.make(call(f"_extreme(np.{e.op}imum, {{0}}, {axis}, {edge})", 0), [body], left)
        return frame.make(call(f"{{0}}.{e.op}({axis}, initial={edge})", 9), [body], left)

    def what_is_summed(self, e: Reduce) -> tuple[Reduce, list[Expr]]:
        """Σ_k x[k] and s, 1/c of Σ_k x[k] s/c: finite factors that are the same for all places, of which there may be none."""
        above, below = fraction(e.body) if e.op == "sum" and isinstance(e.body, Op) and e.body.op in ("*", "/") else ([e.body], [])
        divided = [(f, Op("/", (ONE, f))) for f in below]
        outer = [f for f in [*above, *(f for _, f in divided)] if free_symbols(f).isdisjoint(e.indices) and self.facts.is_finite(f)]
        left = [f for f in above if f not in outer]
        if not outer or not left:
            return e, []
        body = product(left)
        for f, reciprocal in divided:
            body = body if reciprocal in outer else Op("/", (body, f))
        return replace(e, body=body), outer

    def may_leave(self, frame: Frame, r: Read) -> bool:
        """Whether some place at which a tensor is read may lie outside it, also where sizes are 0."""
        sizes = self.positive & {*self.program.sizes}
        return bool(readable(self.program.hulls[r.tensor], r.subs, frame.known, self.positive, sizes))

    def reduced_first(self, frame: Frame, e: Reduce) -> Frame:
        """The frame with what is reduced in front, where the array is made here of smaller ones: long rows are merged, none is summed."""
        labels = labels_of(frame, e.body)
        rest = cost.entries(frame.ranges[i].size for i in labels - {*e.indices})
        stored = any(labels_of(frame, r) == labels for r in reads(e.body))
        if "front" in self.without or stored or rest < cost.entries(frame.ranges[i].size for i in e.indices):
            return frame
        return replace(frame, order=(*frame.sort(e.indices), *(i for i in frame.order if i not in e.indices)))



