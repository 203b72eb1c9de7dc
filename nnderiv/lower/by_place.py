"""A window, place by place of its kernel: for u, v: np.maximum(Y, windows[:, :, u, :, v], out=Y), and the adjoint, places[…] += ….

The view of all windows is made once; each step of the loop takes one place of the kernel in all windows at once, which
NumPy does in long runs, where the view itself would be read in runs as short as the kernel is wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from ..bounds import inside, never_negative
from ..expr import Expr, Op, Read, Reduce, free_symbols, has_reduction, is_condition, is_indicator, map_children, reads
from ..integer import Int
from ..polynomial import guarded_factors
from ..program import Range
from . import by_tap, cost
from .arrays import Array, Frame, expand, permute
from .by_tap import EMPTY, MERGE, START, EachPlace
from .fold import Fold
from .items.form import ADD, call
from .reads import view_of_windows, without_margins
from .texts import tuple_text
from .windows import sliding, walked


# -- reductions --------------------------------------------------------------------------------------------------------------
def reduced(body: EachPlace, frame: Frame, e: Reduce) -> Array | None:
    """The reduction, place by place, where it is one over windows and `cost` prefers it."""
    kernel = walked(frame, e.body, e.indices) if e.op in MERGE else ()
    labels = frame.sort(free_symbols(e) & set(frame.order))
    if not labels or not _pays(frame, e.body, kernel):
        return None
    outside = ""
    if e.op != "sum" and isinstance(window := e.body, Read):
        outside, frame = EMPTY[e.op], without_margins(frame, window.tensor, window.subs)
        if window not in by_tap.windows_in(frame, window, kernel):
            return None  # read place by place it would be 0 outside, and no view says otherwise
    if not _tiles(frame, e.body, kernel) and (tapped := by_tap.reduced(body, frame, e, kernel, outside)) is not None:
        return tapped
    if e.op == "sum" and is_indicator(e.body) and {*e.indices} == {*kernel}:
        return _counted(body, frame, e.body, kernel, labels)
    rest = tuple(i for i in e.indices if i not in kernel)
    total = _memory(body, frame, START[e.op], labels)
    inner, term = _within(body, frame, e.body, kernel, outside)
    with _loop(body, frame, kernel):
        value = expand(body.value(inner, Reduce(e.op, rest, term) if rest else term), labels)
        body.code.merge(total.text, MERGE[e.op], value.term, frame.shape(labels))
    return total


def _counted(body: EachPlace, frame: Frame, indicator: Op, kernel: Sequence[str], labels: tuple[str, ...]) -> Array:
    """How many places of each window a condition holds at: bytes are added up, if these are enough."""
    counts, shape = body.fresh("counts"), tuple_text(frame.size(i) for i in labels)
    body.line(f"{counts} = {by_tap.zeros_for_counts(frame, kernel).format(shape=shape)}", counts)
    frame.stored(total := Array(counts, labels))
    inner, condition = _within(body, frame, indicator.args[0], kernel, "")
    with _loop(body, frame, kernel):
        byte = expand(by_tap.byte_of(body, inner, condition), labels)
        body.code.merge(counts, ADD, byte.term, frame.shape(labels), real=False)
    return frame.make(call(f"{{0}}.astype({body.dtype})", 9), [total], labels)


def _pays(frame: Frame, e: Expr, kernel: Sequence[str]) -> bool:
    if not kernel or _is_contraction(frame, e) or any(frame.ranges[i].lo != 0 for i in kernel):
        return False
    others = [i for i in frame.order if i not in kernel and i in free_symbols(e)]
    return cost.walks_kernel(frame.shape(kernel), frame.shape(others))


def _tiles(frame: Frame, e: Expr, kernel: Sequence[str]) -> bool:
    """Whether windows lie side by side inside their tensor: what is read once need not be copied to be read in long runs."""
    for r in by_tap.windows_in(frame, e, kernel):
        store = frame.storage[r.tensor]
        for s, axis in zip(store.places(r.subs), store.axes, strict=True):
            group = frame.vectors(s)
            spans = [(i, split[0]) for i in group if (split := s.split(i)) is not None]
            if len(group) > 1 and not (_are_apart(frame, spans) and inside(s, axis, frame.known, frame.positive)):
                return False
    return True


def _are_apart(frame: Frame, spans: Sequence[tuple[str, Int]]) -> bool:
    """Whether k1*step1 + k2*step2 is another place for all k1, k2: one step is longer than all of the other ones together."""
    if len(spans) != 2 or not all(never_negative(step - 1, {}, frame.positive) for _, step in spans):
        return len(spans) < 2
    (i, long), (k, short) = spans
    return any(never_negative(a - (frame.ranges[x].size - 1)*b - 1, {}, frame.positive) for a, b, x in ((long, short, k), (short, long, i)))


def _is_contraction(frame: Frame, e: Expr) -> bool:
    """Whether a factor has an index of its own beside those of the windows, or two windows have, so that this is a product of matrices."""
    _, parts = guarded_factors(e)
    windows = [f for f in parts if isinstance(f, Read) and sliding(frame, f)]
    seen = {i for w in windows for i in free_symbols(w)}
    alone = [w for w in windows if free_symbols(w) & set(frame.order) - {i for f in parts if f != w for i in free_symbols(f)}]
    return len(alone) > 1 or bool(windows) and any(free_symbols(f) & set(frame.order) - seen for f in parts if f not in windows)


# -- gradients of the kernel -------------------------------------------------------------------------------------------------
def for_each_place(body: EachPlace, frame: Frame, e: Reduce) -> Array | None:
    """Σ over an image, for every place of a kernel: dK[c,u,v] = Σ dY[n,c,i,j] X[n,c,i+u,j+v], without a product of matrices."""
    labels = frame.sort(free_symbols(e) & set(frame.order))
    kernel = walked(frame, e.body, labels) if e.op == "sum" else ()
    if not _pays(frame, e.body, kernel) or _tiles(frame, e.body, kernel):
        return None
    if (tapped := by_tap.for_each_tap(body, frame, e, kernel)) is not None:
        return tapped
    total = _memory(body, frame, "np.empty({shape}, {dtype})", labels)
    inner, term = _within(body, frame, e.body, kernel, "")
    with _loop(body, frame, kernel):
        value = body.value(inner, Reduce(e.op, e.indices, term))
        body.code.put(at(total.text, labels, kernel), (value.term,), inner.shape(value.labels))
    return total


# -- scattering --------------------------------------------------------------------------------------------------------------
def scattered(body: EachPlace, inner: Frame, fold: Fold, sizes: Sequence[Int]) -> Array | None:
    """The fold, place by place: zeros, and a view of them to which each place of the kernel adds."""
    shape, axes = [*map(inner.extent, sizes)], [body.fold_axis(inner, a) for a in fold.axes]
    kernel = inner.sort(i for axis in fold.axes if axis for i, _ in axis[1][1:])
    if has_reduction(fold.values) or not _pays(inner, fold.values, kernel):
        return None
    alone = all(_are_apart(inner, axis[1]) for axis in fold.axes if axis)
    if not alone and (tapped := by_tap.scattered(body, inner, fold, shape)) is not None:
        return tapped
    total, places = body.fresh("part"), body.fresh("places")
    body.code.renamable.add(total)
    if _are_inside(inner, fold, sizes):
        body.line(f"{total} = np.zeros({tuple_text(shape)}, {body.dtype})", total)
        body.line(f"{places} = _places_in({', '.join([total, *axes])})", places)
    else:
        body.line(f"{total}, {places} = _room({tuple_text(shape)}, {tuple_text(axes)}, {body.dtype})", total)
    within, term = _within(body, inner, fold.values, kernel, "")
    left = [i for i in fold.labels if i not in kernel]
    with _loop(body, inner, kernel):
        value = by_tap.masked(body, within, term)
        value = expand(permute(value, [i for i in left if i in value.labels]), left)
        place = at(places, fold.labels, kernel)
        if alone:
            body.code.put(place, (value.term,), within.shape(value.labels))
        else:
            body.code.merge(place, ADD, value.term, within.shape(left))
    return Array(total, tuple(fold.labels))


def _are_inside(inner: Frame, fold: Fold, sizes: Sequence[Int]) -> bool:
    """Whether all places lie in an array of these sizes, so that there are no margins around it."""
    def place(start: Int, spans: Sequence[tuple[str, Int]]) -> Int:
        return sum((Int.symbol(i)*step for i, step in spans), start)

    return all(inside(place(*axis), Range(Int.of(0), size), inner.ranges, inner.positive)
               for axis, size in zip(fold.axes, sizes, strict=True) if axis)


# -- the loop ----------------------------------------------------------------------------------------------------------------
def _memory(body: EachPlace, frame: Frame, template: str, labels: Sequence[str]) -> Array:
    shape = tuple_text(frame.size(i) for i in labels)
    memory = frame.make(call(template.format(shape=shape, dtype=body.dtype)), [], tuple(labels))
    body.code.renamable.add(memory.text)
    return memory


def _loop(body: EachPlace, frame: Frame, kernel: Sequence[str]) -> AbstractContextManager[None]:
    sizes = ", ".join(frame.size(i) for i in kernel)
    return body.inside(f"for {', '.join(kernel)} in {'range' if len(kernel) == 1 else 'np.ndindex'}({sizes}):", kernel[0])


def at(variable: str, labels: Sequence[str], kernel: Sequence[str], shown: Mapping[str, str] | None = None) -> str:
    """The variable, indexed by the kernel's indices; `shown` says how those are written that are not written as they are."""
    parts = [(shown or {}).get(i, i) if i in kernel else ":" for i in labels]
    while parts[-1] == ":":
        parts.pop()
    return f"{variable}[{', '.join(parts)}]"


def _within(body: EachPlace, frame: Frame, e: Expr, kernel: Sequence[str], outside: str) -> tuple[Frame, Expr]:
    """The frame inside the loop: the kernel's indices are integers, and windows are views that they index.

    With the expression, in which parts that do not need the kernel's indices are computed before the loop.
    """
    left = tuple(i for i in frame.order if i not in kernel)
    e = _hoisted(body, frame, e, set(kernel))
    inner = replace(frame, order=left, ranges={i: r for i, r in frame.ranges.items() if i not in kernel},
                    loops={**frame.loops, **{i: frame.ranges[i] for i in kernel}},
                    views={r: _step(view, kernel) for r, view in frame.views.items()})
    for r in by_tap.windows_in(frame, e, kernel):
        view = frame.keep(view_of_windows(frame, r.tensor, r.subs, outside, left), hint="windows")
        inner.views[r.tensor, r.subs] = _step(view, kernel)
    return inner, e


def _step(view: Array, kernel: Sequence[str]) -> Array:
    """A view of all places, at the place at hand."""
    if not {*view.labels} & {*kernel}:
        return view
    return Array(at(view.text, view.labels, kernel), tuple(i for i in view.labels if i not in kernel), 9, True)


def _hoisted(body: EachPlace, frame: Frame, e: Expr, kernel: set[str]) -> Expr:
    """The expression with a variable for each largest part that computes with arrays and needs none of the kernel's indices.

    A sign stays where it is: exp(S − lse) is known by what it subtracts.
    """
    if is_condition(e) or not isinstance(e, Op):
        return e
    if free_symbols(e) & kernel or e.op == "neg":
        return map_children(lambda c: _hoisted(body, frame, c, kernel), e)
    if not reads(e) or not free_symbols(e) & set(frame.order):
        return e
    return by_tap.in_place_of(body, frame, e, frame.keep(body.value(frame, e)))
