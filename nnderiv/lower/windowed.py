"""Which equations are products of matrices with a window in them, of whole images: what `by_image` computes, some images at a time.

    gather   Y[n,o,i,j]  = Σ K[o,c,u,v] X[n,c,i+u,j+v]
    kernel   dK[o,c,u,v] = Σ dY[n,o,i,j] X[n,c,i+u,j+v]
    scatter  dX[n,c,a,b] = Σ K[o,c,u,v] dY[n,o,a−u,b−v]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ..bounds import never_negative
from ..expr import Expr, IntValue, Read, Reduce, free_symbols, reads, walk
from ..integer import Int
from ..polynomial import additive_terms, guarded_factors
from ..program import Equation, Program
from .arrays import Frame
from .cost import copies_runs
from .fold import Fold, find_fold
from .windows import bulk, is_plain_window, sliding


@dataclass(frozen=True)
class Product:
    """A sum of products with a window in it. kind: gather, kernel or scatter, see above."""

    kind: str
    equation: Equation
    sum: Reduce
    batch: str
    size: Int
    kernel: tuple[str, ...]
    image: tuple[str, ...]
    window: Read | None = None      # gather, kernel
    fold: Fold | None = None        # scatter
    sign: int = 1
    sided: tuple[Expr, ...] = ()    # the factors over the image: dY
    others: tuple[Expr, ...] = ()


def windowed_product(program: Program, frame: Frame, e: Equation) -> Product | None:
    """The product of an equation that is to be computed image by image, if it has one."""
    return _scatter(program, frame, e) or _gather(frame, e)


def _gather(frame: Frame, e: Equation) -> Product | None:
    """Y[n,o,i] = Σ K[o,c,u] X[n,c,i+u], or the gradient of its kernel, dK[o,c,u] = Σ dY[n,o,i] X[n,c,i+u]."""
    sums = [n for n in walk(e.body) if isinstance(n, Reduce) and n.op == "sum" and any(sliding(frame, r) for r in reads(n.body))]
    if len(sums) != 1:
        return None
    conditions, parts = guarded_factors(sums[0].body)
    windows = [f for f in parts if isinstance(f, Read) and sliding(frame, f) and is_plain_window(frame, f)]
    if conditions or len(windows) != 1:
        return None
    window, others = windows[0], [f for f in parts if f is not windows[0]]
    if any(sliding(frame, r) for f in others for r in reads(f)):
        return None
    pairs = _pairs(frame, window, sums[0])
    if pairs is None or _are_patches(frame, window, pairs):
        return None
    kernel, image = tuple(u for u, _ in pairs), tuple(i for _, i in pairs)
    present = {i for f in others for i in free_symbols(f)} & set(frame.order)
    free = set(e.indices)
    store = frame.storage[window.tensor]
    plain = [s.name for s, r in zip(store.places(window.subs), store.axes, strict=True)
             if s.name in frame.ranges and s.name and frame.ranges[s.name] == r]
    if not plain or store.dropped:
        return None
    summed = set(sums[0].indices)
    over_kernel = present.issuperset(kernel) and present.isdisjoint(image) and free.issuperset(image) and summed.issuperset(kernel)
    over_image = present.issuperset(image) and present.isdisjoint(kernel) and free.issuperset(kernel) and summed.issuperset(image)
    kind = "gather" if over_kernel else "kernel" if over_image else ""
    batch = plain[0]
    own = present - {i for s in window.subs for i in frame.vectors(s)}
    if frame.ranges[batch].lo != 0 or not own and not _is_by_channel(frame, window, pairs, present | {batch}):
        return None
    suits = batch in free and batch not in present if kind == "gather" else batch in sums[0].indices and batch in present
    if not kind or not suits or kind == "kernel" and (guarded_factors(e.body)[0] or not _is_multiple(e.body, sums[0])):
        return None  # place by place of the kernel, numbers alone are multiplied in
    if not _is_whole_in(frame, e.body, batch):
        return None
    return Product(kind, e, sums[0], batch, frame.ranges[batch].hi, kernel, image, window, sided=tuple(others) if kind == "kernel" else (),
                   others=() if kind == "kernel" else tuple(others))


def _pairs(frame: Frame, window: Read, total: Reduce) -> list[tuple[str, str]] | None:
    """(place in the kernel, place in the image) for each subscript that slides; in doubt, the sum is over the kernel."""
    found = []
    for s in window.subs:
        weights = {i: (bulk(frame, window, s, i), i not in total.indices) for i in frame.vectors(s)}
        group = sorted(weights, key=lambda i: weights[i])
        if len(group) > 2 or len(group) == 2 and weights[group[0]] == weights[group[1]]:
            return None
        if len(group) == 2:
            found.append((group[0], group[1]))
    return found


def _are_patches(frame: Frame, window: Read, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether windows do not overlap, and lie in memory in long runs: as a view they are a matrix after one copy."""
    sizes = [frame.ranges[u].size for u, _ in pairs]
    steps = steps_of(window, [i for _, i in pairs])
    apart = all(s is not None and never_negative(s - n, {}, frame.positive) for s, n in zip(steps, sizes, strict=True))
    return bool(pairs) and apart and copies_runs(sizes[-1])


def _is_by_channel(frame: Frame, window: Read, pairs: Sequence[tuple[str, str]], present: Collection[str]) -> bool:
    """Whether these indices are all that do not slide in the window, and windows go forwards."""
    lead = {i for s in window.subs for i in frame.vectors(s)} - {i for pair in pairs for i in pair}
    steps = steps_of(window, [i for _, i in pairs])
    return lead <= {*present} and all(s is not None and never_negative(s - 1, {}, frame.positive) for s in steps)


def steps_of(window: Read, image: Iterable[str]) -> list[Int | None]:
    """How far the window moves from one place in the image to the next, along each axis; None where that is no one number."""
    splits = [s.split(i) for i in image for s in window.subs if i in s.symbols()]
    return [split and split[0] for split in splits]


def _is_multiple(e: Expr, part: Expr) -> bool:
    """Whether e is part, times numbers and scalars."""
    _, factors = guarded_factors(e)
    return part in factors and all(not free_symbols(f) for f in factors if f != part)


def _scatter(program: Program, frame: Frame, e: Equation) -> Product | None:
    """dX[n,c,a] = Σ K[o,c,u] dY[n,o,a−u], as its fold says it: a product of matrices, added where the windows read."""
    terms = additive_terms(e.body)
    fold = find_fold(program, e, terms[0][1]) if len(terms) == 1 else None
    if fold is None or fold.scatter is not None or not all(axis is None or len(axis[1]) == 2 for axis in fold.axes):
        return None
    sums = [n for n in walk(fold.values) if isinstance(n, Reduce)]
    if len(sums) != 1 or sums[0].op != "sum" or not _is_multiple(fold.values, sums[0]):
        return None
    image = tuple(axis[1][0][0] for axis in fold.axes if axis)
    kernel = tuple(axis[1][1][0] for axis in fold.axes if axis)
    conditions, parts = guarded_factors(sums[0].body)
    sided = tuple(f for f in parts if not free_symbols(f).isdisjoint(image))
    others = tuple(f for f in parts if f not in sided)
    within = {i for f in sided for i in free_symbols(f)}
    beside = {i for f in others for i in free_symbols(f)}
    whole = [i for i, axis in zip(e.indices, fold.axes, strict=True) if axis is None]
    if conditions or not whole or not within.issuperset(image) or not within.isdisjoint(kernel) or not beside.issuperset(kernel):
        return None
    if not {*whole} <= within | beside:  # the same at all places of an axis
        return None
    batch = whole[0]
    if e.ranges[batch].lo != 0 or batch not in within or batch in beside or not set(sums[0].indices) <= within & beside:
        return None
    if not _is_whole_in(frame, fold.values, batch):
        return None
    return Product("scatter", e, sums[0], batch, e.ranges[batch].hi, kernel, image, fold=fold, sign=terms[0][0], sided=sided, others=others)


def _is_whole_in(frame: Frame, e: Expr, batch: str) -> bool:
    """Whether the images stand in e only as the whole axis of a tensor, alone in its subscript."""
    for node in walk(e):
        if isinstance(node, IntValue) and batch in node.value.symbols():
            return False
        if isinstance(node, Read) and batch in {i for s in node.subs for i in s.symbols()}:
            store = frame.storage[node.tensor]
            at = [k for k, s in enumerate(node.subs) if batch in s.symbols()]
            if len(at) > 1 or node.subs[at[0]].name != batch or store.dropped or store.axes[at[0]] != frame.ranges[batch]:
                return False
    return True
