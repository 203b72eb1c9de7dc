"""A term that scatters -> an array: `_fold`, `_scatter`, a loop over the places of a kernel, or a view in another shape; see `fold`."""

from __future__ import annotations

from dataclasses import replace

from ..expr import reads
from ..gaps import divides_by_outside
from ..integer import Int
from ..program import Equation
from . import cost
from .arrays import Array, Frame, permute
from .by_group import outer_by_group
from .by_place import scattered
from .by_tap import EMPTY
from .fold import Fold, side_by_side
from .items.form import call
from .reads import integer_value
from .texts import tuple_text
from .values import Values


class Folds(Values):
    """The array of each term that adds at subscripts that are not plain."""

    def folded(self, frame: Frame, e: Equation, fold: Fold) -> Array:
        """_fold(V, shape, …) or _scatter(V, shape, …): the adjoint of reading at subscripts that are not plain."""
        whole = e.indices
        if order := self.in_order(fold, frame.shape(whole)):
            return self.reshaped(frame, fold, order, whole)
        inner = self.fold_frame(fold)
        self.discards |= divides_by_outside(fold.values, fold.ranges, self.program)
        if fold.scatter is None and "by_place" not in self.without:
            by_place = scattered(self, inner, fold, frame.shape(whole))
            if by_place is not None:
                return replace(by_place, labels=whole)
        if fold.scatter is None and (interleaved := side_by_side(fold, frame.shape(whole))) is not None:
            return self.reshaped(frame, fold, interleaved, whole)
        if "by_group" not in self.without and (found := outer_by_group(frame, inner, self.value, fold)) is not None:
            return permute(found, whole)
        array = self.value(inner, fold.values)
        array = permute(self.broadcast(inner, array, inner.sort(fold.labels)), fold.labels)
        if fold.scatter is not None:
            return permute(self.at_places(frame, inner, fold, fold.scatter, array), whole)
        shape, axes = tuple_text(frame.size(i) for i in whole), [self.fold_axis(inner, a) for a in fold.axes]
        return frame.make(call(f"_fold({{0}}, {shape}, {', '.join(axes)})", 0), [array], whole)

    def at_places(self, frame: Frame, inner: Frame, fold: Fold, places: tuple[Int, ...], array: Array) -> Array:
        """_scatter(V, shape, …): each entry goes to a place that is data."""
        indices = [integer_value(inner, v, fold.scatter_labels) for v in places]
        shown = ", ".join(f"{{{k + 1}}}" for k in range(len(indices)))
        by = f", by=np.{fold.op}imum, start={EMPTY[fold.op]}" if fold.op in ("max", "min") else ""
        name = "_scatter_logsumexp" if fold.op == "logsumexp" else "_scatter"
        scatter = call(f"{name}({{0}}, {tuple_text(frame.size(i) for i in fold.moved)}, {shown}{by})", *[0] * (len(indices) + 1))
        return frame.make(scatter, [array, *indices], fold.moved)

    def in_order(self, fold: Fold, shape: tuple[Int, ...]) -> tuple[str, ...]:
        """The order of labels in which the entries, one after the other, are an array of this shape, if they are to be written so."""
        order = side_by_side(fold, shape) if fold.scatter is None else None
        return () if order is None or self.is_interleaved(fold, order) else order

    def is_interleaved(self, fold: Fold, order: tuple[str, ...]) -> bool:
        """Whether few neighbours come from different rows, as in an image that is enlarged, and are not read from where they are so."""
        ordered = any(tuple(s.name for s in r.subs) == order for r in reads(fold.values))
        return not ordered and cost.interleaves(fold.ranges[order[-1]].size)

    def reshaped(self, frame: Frame, fold: Fold, order: tuple[str, ...], labels: tuple[str, ...]) -> Array:
        """A fold to which each entry is added at a place of its own, one after the other."""
        inner = self.fold_frame(replace(fold, order=(*order, *(i for i in fold.order if i not in order))))
        value = self.value(inner, fold.values)
        array = permute(self.broadcast(inner, value, order), order)
        copied = ".copy()" if array.is_view and value.origin.labels != order else ""  # what cannot be a view has memory of its own
        reshape = call(f"{{0}}{copied}.reshape({', '.join(map(frame.size, labels))})", 9, owns=False)
        return replace(frame.make(reshape, [array], labels), is_view=array.is_view and not copied)
