"""Which indices the products of `by_image` have, in which order they stand in memory, and whether no columns are needed for them."""

from __future__ import annotations

from ..expr import Read, free_symbols
from .arrays import Frame
from .windowed import Product, steps_of


class Indices:
    """The indices of products, each with a frame by the tensor that it computes."""

    frames: dict[str, Frame]
    by_row: bool  # the windows are _Rows

    def lead(self, p: Product) -> tuple[str, ...]:
        """The indices of what slides, beside those of the images and those that slide."""
        frame = self.frames[p.equation.tensor]
        if p.window is not None:
            found = [i for s in p.window.subs for i in frame.vectors(s)]
        else:
            found = [i for i, axis in zip(p.equation.indices, p.fold.axes, strict=True) if axis is None] if p.fold else []
        return tuple(i for i in found if i not in (*p.kernel, *p.image, p.batch))

    def own(self, p: Product) -> list[str]:
        """The indices of the other side alone."""
        return [i for i in self.frames[p.equation.tensor].order if i not in (*self.columns_of(p), p.batch)]

    def groups(self, p: Product) -> list[str]:
        """The indices that every part of the product has, as those of groups of channels."""
        beside = p.others if p.kind == "gather" else p.sided if p.kind == "kernel" else ()
        found = [i for i in self.lead(p) if i in p.equation.indices and any(i in free_symbols(f) for f in beside)]
        if p.kind == "scatter":
            found = [i for i in self.lead(p) if all(any(i in free_symbols(f) for f in fs) for fs in (p.others, p.sided))]
        return found

    def columns_of(self, p: Product) -> tuple[str, ...]:
        """The indices of the columns of one image."""
        return (*self.lead(p), *p.kernel, *p.image)

    def rows_of(self, p: Product) -> tuple[str, ...]:
        """The indices of what a tap of the first axis sees in one image."""
        return (*self.lead(p), *p.kernel[1:], *p.image)

    def beside_of(self, p: Product) -> tuple[str, ...]:
        """The indices of what stands beside it in one image: of the product, or of the other side."""
        return (*self.own(p), *p.image)

    def work_of(self, p: Product) -> tuple[str, ...]:
        """The indices of a product of matrices, for one image: of the columns and of the other side, without those of both."""
        groups = self.groups(p)
        return (*(i for i in self.columns_of(p) if i not in groups), *self.own(p))

    def weights_of(self, p: Product) -> tuple[str, ...]:
        """The indices of the matrix in it that all images have."""
        return tuple(i for i in self.work_of(p) if i not in p.image)

    def multiplications(self, p: Product) -> tuple[str, ...]:
        """The indices of all multiplications for one image."""
        return (*self.columns_of(p), *self.own(p))

    def images(self, p: Product) -> tuple[str, ...]:
        """The indices that lead in the memory of images."""
        return (p.batch, *self.lead(p)) if self.by_row else (*self.lead(p), p.batch)

    def columns_labels(self, p: Product) -> tuple[str, ...]:
        groups = self.groups(p)
        return (*groups, *p.kernel, *(i for i in self.lead(p) if i not in groups), p.batch, *p.image)

    def rows_labels(self, p: Product) -> tuple[str, ...]:
        frame, lone = self.frames[p.equation.tensor], p.sided[0]
        present = {i for f in p.sided for i in free_symbols(f)}
        if len(p.sided) == 1 and isinstance(lone, Read) and all(s.name in frame.ranges for s in lone.subs):
            rest = [str(s.name) for s in lone.subs]
        else:
            rest = [i for i in frame.order if i in present]
        return (*(i for i in rest if i not in (*p.image, p.batch)), p.batch, *p.image)

    # -- without columns ----------------------------------------------------------------------------------------------
    def may_go_by_row(self, p: Product) -> bool:
        """Whether all that is multiplied for an image are two matrices, and windows go entry by entry.

        With a stride each tap of the last axis would be read entry by entry, which costs what the product gains.
        """
        if p.window is None or not (self.gives_matrices(p) if p.kind == "gather" else self.takes_matrices(p)):
            return False
        return all(step == 1 for step in steps_of(p.window, p.image))

    def gives_matrices(self, p: Product) -> bool:
        """Whether the product for an image is a matrix, which lies together in what is computed."""
        indices, lead, k = p.equation.indices, {*self.lead(p)}, len(p.image)
        own = {*self.own(p)} - {*p.sum.indices}
        if not own or not lead <= {*p.sum.indices} or not lead | own <= {i for f in p.others for i in free_symbols(f)}:
            return False
        return indices[0] == p.batch and indices[-k:] == p.image and {*indices[1:-k]} == own

    def takes_matrices(self, p: Product) -> bool:
        """Whether the sum over all images is of products of matrices, and nothing more."""
        beside = {i for f in p.sided for i in free_symbols(f)} & {*self.frames[p.equation.tensor].order}
        return p.equation.body == p.sum and {*p.sum.indices} == {p.batch, *p.image} and beside == {p.batch, *self.own(p), *p.image}

    def is_by_tap(self, p: Product) -> bool:
        """Whether both sides have the same indices beside the window's, as channel by channel: no columns are needed then."""
        return p.kind != "scatter" and not self.own(p) and {*self.lead(p)} == {*self.groups(p)}
