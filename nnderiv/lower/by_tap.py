"""A window, tap by tap of its kernel, each tap of all windows in one run of memory: for (u, v), tap in windows.taps: Y += tap*K[:, u, v].

`by_place` takes this way where the windows are those of one tensor, alone in its subscripts, with steps that are known to be
positive. The run goes on behind the last window of an axis (`_Taps` in `helpers.taps`): what does not slide is widened by zeros, and
of the result only what belongs to a window is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Protocol

from ..bounds import never_negative
from ..expr import (
    COMPARISONS,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    conjuncts,
    free_symbols,
    is_condition,
    is_indicator,
    is_where,
    map_children,
    reads,
    walk,
)
from ..facts import Facts
from ..fresh import Fresh
from ..integer import Int
from ..polynomial import guarded_factors, product
from ..program import Equation, Range
from ..within import readable
from .arrays import Array, Frame, cut, expand, permute
from .fold import Axis, Fold
from .items.form import ADD, ONLY_WHERE, Code, Operation, Term, call, function
from .items.layout import listed
from .texts import axis_text, multiplied, tuple_text
from .windows import is_plain_window, sliding

PLAIN = ("*", "neg", "+", "where", "and", "or", "not", *COMPARISONS)  # harmless on what is of no use
EMPTY = {"sum": "0", "max": "-np.inf", "min": "np.inf"}  # what a reduction of nothing is
START = {op: "np.zeros({shape}, {dtype})" if start == "0" else f"np.full({{shape}}, {start}, {{dtype}})" for op, start in EMPTY.items()}
MERGE = {"sum": ADD, "max": function("np.maximum", 2), "min": function("np.minimum", 2)}


@dataclass(frozen=True)
class Slide:
    """How windows lie on the axes of a tensor, as `_Taps` takes it: kernel and image index by axis; the indices that do not slide."""

    kernel: tuple[str, ...]
    image: tuple[str, ...]
    lead: tuple[str, ...]
    sizes: tuple[str, ...]
    axes: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return (*self.lead, *self.image)


class EachPlace(Protocol):
    """What the emitter of statements does for the loops over windows."""

    code: Code
    fresh: Fresh
    dtype: str
    threads: int
    positive: frozenset[str]  # names of what is at least 1
    shared: dict[tuple[str, ...], Any]  # what was made in this block for some windows, for others of the same kind
    facts: Facts

    def value(self, frame: Frame, e: Expr) -> Array: ...
    def condition(self, frame: Frame, e: Expr) -> Array: ...
    def inside(self, head: str, binds: str = "") -> AbstractContextManager[None]: ...
    def line(self, text: str, binds: str = "") -> None: ...
    def extent(self, size: Int) -> str: ...
    def frame(self, e: Equation) -> Frame: ...
    def fold_frame(self, fold: Fold) -> Frame: ...
    def fold_axis(self, inner: Frame, axis: Axis) -> str: ...
    def mark_allocated(self, name: str) -> None: ...
    def assign(self, place: str, array: Array, frame: Frame, labels: tuple[str, ...]) -> None: ...


# -- recognition -------------------------------------------------------------------------------------------------------------
def slide_of(frame: Frame, window: Read, kernel: Collection[str]) -> Slide | None:
    """How a read slides, if each subscript is an index over the whole axis, or one of the kernel and one of the image."""
    pairs, lead, sizes, axes = [], [], [], []
    store = frame.storage[window.tensor]
    for s, r in zip(store.places(window.subs), store.axes, strict=True):
        indices = frame.vectors(s)
        inner, outer = [i for i in indices if i in kernel], [i for i in indices if i not in kernel]
        if not inner and len(outer) == 1 and s.name == outer[0] and frame.ranges[outer[0]] == r:
            lead.append(outer[0])
        elif len(inner) == len(outer) == 1 and (split := s.split(outer[0])) and never_negative(split[0] - 1, {}, frame.positive):
            pairs.append((inner[0], outer[0]))
            sizes.append(frame.extent(r.size))
            axes.append(axis_text(frame, s - r.lo, [inner[0], outer[0]]))
        else:
            return None
    found = tuple(k for k, _ in pairs)
    if store.dropped or frame.loops or {*found} != {*kernel}:
        return None
    return Slide(found, tuple(i for _, i in pairs), tuple(lead), tuple(sizes), tuple(axes))


def windows_in(frame: Frame, e: Expr, kernel: Collection[str]) -> list[Read]:
    """The reads in which the kernel slides."""
    slide = (r for r in dict.fromkeys(reads(e)) if {*kernel} & {i for g in sliding(frame, r) for i in g})
    return [r for r in slide if is_plain_window(frame, r)]


def suits(frame: Frame, e: Expr, window: Read | None, slide: Slide) -> bool:
    """Whether e does nothing but multiply, add and compare with what it reads from the windows."""
    if e == window or isinstance(e, Num):
        return True
    if is_apart(frame, e, slide):
        return {*free_symbols(e)} & {*frame.order} <= {*slide.labels}
    if isinstance(e, IntValue):
        return not {*e.value.symbols()} & {*slide.image} and not e.value.elements()
    if isinstance(e, Read):
        mine = [i for s in e.subs for i in frame.vectors(s)]
        if {*mine} & {*slide.image} and {*mine} & {*slide.kernel}:
            return False
        plain = all(s.name in slide.labels for s in e.subs if {*s.symbols()} & {*slide.image})
        return plain and {*mine} <= {*slide.labels, *slide.kernel} and len(mine) == len({*mine}) and _is_whole(frame, e, slide)
    return isinstance(e, Op) and e.op in PLAIN and all(suits(frame, c, window, slide) for c in e.args)


def is_apart(frame: Frame, e: Expr, slide: Slide) -> bool:
    """Whether e is computed once, before the loop."""
    arithmetic = isinstance(e, Op) and not is_condition(e)
    return arithmetic and not free_symbols(e) & {*slide.kernel} and bool(reads(e)) and bool(free_symbols(e) & {*frame.order})


def _is_whole(frame: Frame, r: Read, slide: Slide) -> bool:
    """Whether the image's indices run along whole axes."""
    return all(frame.ranges[str(s.name)] == axis for s, axis in zip(r.subs, frame.storage[r.tensor].axes, strict=False)
               if s.name in slide.image)


def vanishes(e: Expr, slide: Slide) -> bool:
    """Whether e is 0 where a factor over the whole image is, one that has nothing to do with the kernel."""
    _, parts = guarded_factors(e)
    return any({*slide.image} <= free_symbols(f) and not free_symbols(f) & {*slide.kernel} for f in parts)


# -- emission ----------------------------------------------------------------------------------------------------------------
@dataclass
class ByTap:
    """The loop over the taps of one expression."""

    body: EachPlace
    frame: Frame
    slide: Slide
    shape: tuple[str, ...] = ()

    def taps(self, name: str, window: Read | None = None, outside: str | None = "") -> str:
        """windows = _Taps(…), windows.put(X); the same windows once only. outside: what stands there; None: it does not matter."""
        body, slide = self.body, self.slide
        leading = tuple_text(self.frame.size(i) for i in slide.lead)
        plain = f"_Taps({leading}, {tuple_text(slide.sizes)}, {tuple_text(slide.axes)}, {body.dtype}"
        made = f"{plain}, outside={outside})" if outside else f"{plain})"
        source = self.source(window) if window else ""
        known = body.shared.get((plain if outside is None else made, source)) if source else None
        variable = known or body.fresh(name)
        if not known:
            body.line(f"{variable} = {made}", variable)
        self.shape = self.shape or body.shared.get(slide.axes + slide.sizes, ())
        if not self.shape:
            self.shape = tuple(body.fresh("wide") for _ in slide.image)
            body.positive |= {*self.shape}
            body.line(f"{listed(self.shape)} = {variable}.shape", self.shape[0])
            body.shared[slide.axes + slide.sizes] = self.shape
        if source and not known:
            body.line(f"{variable}.put({source})", variable)
            body.shared[made, source] = variable
            body.shared[plain, source] = variable
        return variable

    def source(self, window: Read) -> str:
        labels = tuple(next((i for i in self.frame.vectors(s) if i not in self.slide.kernel), "") for s in window.subs)
        return permute(Array(self.frame.storage[window.tensor].variable, labels), self.slide.labels).text

    @property
    def wide(self) -> Frame:
        """Inside the loop: the kernel's indices are integers, and there are as many windows as there is memory for."""
        frame, slide = self.frame, self.slide
        ranges = {i: frame.ranges[i] for i in slide.lead}
        for i, name in zip(slide.image, self.shape, strict=True):
            ranges[i] = Range(frame.ranges[i].lo, frame.ranges[i].lo + Int.symbol(name))
        return replace(frame, order=slide.labels, ranges=ranges, positive=self.body.positive, views=dict(frame.views),
                       loops={**frame.loops, **{k: frame.ranges[k] for k in slide.kernel}})

    def memory(self, name: str, labels: Sequence[str], text: str = "np.zeros({shape}, {dtype})") -> Array:
        frame, variable = self.wide, self.body.fresh(name)
        shape = tuple_text(frame.size(i) for i in labels)
        self.body.line(f"{variable} = {text.format(shape=shape, dtype=self.body.dtype)}", variable)
        frame.stored(total := Array(variable, tuple(labels)))
        return total

    def widened(self, e: Expr, window: Read | None) -> Expr:
        """The expression with what does not slide in memory between zeros."""
        if e == window:
            return e
        apart = is_apart(self.frame, e, self.slide)
        if apart or isinstance(e, Read) and {*self.slide.image} & free_symbols(e):
            narrow = replace(self.frame, order=(*self.slide.labels, *(i for i in self.frame.order if i not in self.slide.labels)))
            value = self.body.value(narrow, e)
            if not {*self.slide.image} & {*value.labels}:
                return in_place_of(self.body, narrow, e, narrow.keep(value))
            key = (value.text, *self.shape, *map(self.frame.size, value.labels))
            rows = Array(self.body.shared[key], value.labels) if key in self.body.shared else self.memory("rows", value.labels)
            if key not in self.body.shared:
                self.body.code.put(cut(rows, self.frame, self.slide.image).text, (value.term,), narrow.shape(value.labels))
            if isinstance(e, Read):
                self.body.shared[key] = rows.text
            return in_place_of(self.body, self.wide, e, rows)
        return map_children(lambda c: self.widened(c, window), e)

    def loop(self, used: Collection[str], taps: Sequence[tuple[str, str]], write: Callable[[Frame], None]) -> None:
        """for (u, v), tap in windows.taps: …; several at once side by side. taps: (what is walked through, the variable)."""
        at = tuple_text(self.slide.kernel) if {*used} & {*self.slide.kernel} else "_"
        entries = [f"{at if k == 0 else '_'}, {tap}" for k, (_, tap) in enumerate(taps)]
        over = [walked for walked, _ in taps]
        head = f"for {entries[0]} in {over[0]}:"
        if len(taps) > 1:
            head = f"for {', '.join(f'({x})' for x in entries)} in zip({', '.join(over)}):"
        with self.body.inside(head, taps[0][1]):
            write(self.wide)

    def counts(self, kernel: Sequence[str]) -> Array:
        """Memory for numbers of taps: for each window a byte, or as many as it takes."""
        return self.memory("counts", self.slide.labels, zeros_for_counts(self.frame, kernel))

    def merge(self, operation: Operation, place: str, value: Array, frame: Frame, real: bool = True) -> None:
        """place op= value."""
        labels = self.slide.labels
        self.body.code.merge(place, operation, expand(value, labels).term, frame.shape(labels), real)


def zeros_for_counts(frame: Frame, kernel: Sequence[str]) -> str:
    """The call for memory in which places of a kernel are counted: for each window a byte, or as many as it takes."""
    places = prod((frame.ranges[k].size for k in kernel), start=Int.of(1))
    small = places.is_constant and places.constant < 256
    return f"np.zeros({{shape}}, {'np.uint8' if small else f'np.min_scalar_type({multiplied(map(frame.size, kernel))})'})"


def byte_of(body: EachPlace, frame: Frame, condition: Expr) -> Array:
    """A mask as numbers, 1 where it holds."""
    found = body.condition(frame, condition)
    return frame.make(call("{0}.view(np.uint8)", 9), [found], found.labels, real=False)


def in_place_of(body: EachPlace, frame: Frame, e: Expr, array: Array) -> Read:
    """The array of an expression as a tensor that is read in its place, and is as finite as that."""
    body.facts.finite[array.text] = body.facts.is_finite(e)
    return frame.stored(array)


def with_lead(slide: Slide, first: Collection[str]) -> Slide:
    """Those indices first that a factor of the kernel has: each of its entries then belongs to one long row."""
    return replace(slide, lead=(*(i for i in slide.lead if i in first), *(i for i in slide.lead if i not in first)))


def beside_the_kernel(e: Expr, window: Read | None, slide: Slide) -> set[str]:
    return {i for r in reads(e) if r != window and free_symbols(r) & {*slide.kernel} for i in free_symbols(r)}


def reduced(body: EachPlace, frame: Frame, e: Reduce, kernel: Sequence[str], outside: str) -> Array | None:
    """Y[n,c,i,j] = Σ_uv K[c,u,v] X[n,c,i+u,j+v], max_uv X[n,c,s·i+u,s·j+v]."""
    windows = windows_in(frame, e.body, kernel)
    slide = slide_of(frame, windows[0], kernel) if len(windows) == 1 else None
    if slide is not None and (within := is_equal_inside(frame, e.body, windows[0])) is not None:
        e, outside = replace(e, body=within), "np.nan"
    free = free_symbols(e) & {*frame.order}
    if slide is None or {*e.indices} != {*kernel} or free != {*slide.labels} or not suits(frame, e.body, windows[0], slide):
        return None
    work = ByTap(body, frame, with_lead(slide, beside_the_kernel(e.body, windows[0], slide)))
    taps, tap = work.taps("windows", windows[0], outside), body.fresh("tap")
    inside = work.widened(e.body, windows[0])
    counted = inside.args[0] if e.op == "sum" and is_indicator(inside) else None
    total = work.counts(kernel) if counted is not None else work.memory("total", work.slide.labels, START[e.op])

    def write(wide: Frame) -> None:
        wide.views[windows[0].tensor, windows[0].subs] = Array(tap, work.slide.labels)
        if counted is None:
            work.merge(MERGE[e.op], total.text, body.value(wide, inside), wide)
        else:
            work.merge(ADD, total.text, byte_of(body, wide, counted), wide, real=False)

    work.loop(names_beside(inside, windows[0]), [(f"{taps}.taps", tap)], write)
    found = cut(total, frame, work.slide.image)
    found = frame.make(call(f"{{0}}.astype({body.dtype})", 9), [found], found.labels) if counted is not None else found
    return permute(found, frame.sort(work.slide.labels))


def is_equal_inside(frame: Frame, e: Expr, window: Read) -> Expr | None:
    """where(a == b, x, 0), where e is that for a window's reads inside their tensor, and 0 elsewhere: nan, outside, is equal to nothing."""
    if not (is_where(e, ZERO) and isinstance(e.args[1], Op)):
        return None
    within, inside = e.args[1], readable(frame.storage[window.tensor].axes, window.subs, frame.ranges, frozenset())
    if within.op != "where" or within.args[2] != ZERO or not {*conjuncts(e.args[0])} <= {*inside}:
        return None
    condition = within.args[0]
    return within if isinstance(condition, Op) and condition.op == "==" and window in condition.args else None


def names_beside(e: Expr, window: Read | None) -> set[str]:
    """The indices in an expression, those of the windows left out."""
    found = (n for n in walk(e) if isinstance(n, IntValue) or isinstance(n, Read) and n != window)
    return {i for n in found for i in free_symbols(n)}


def for_each_tap(body: EachPlace, frame: Frame, e: Reduce, kernel: Sequence[str]) -> Array | None:
    """dK[c,u,v] = Σ_nij dY[n,c,i,j] X[n,c,i+u,j+v]: one product along all windows for each tap."""
    windows = windows_in(frame, e.body, kernel)
    slide = slide_of(frame, windows[0], kernel) if len(windows) == 1 else None
    conditions, parts = guarded_factors(e.body)
    if slide is None or conditions or windows[0] not in parts or not {*slide.image} <= {*e.indices} <= {*slide.labels}:
        return None
    rest = product([f for f in parts if f != windows[0]])
    if not suits(frame, rest, None, slide) or free_symbols(rest) & {*frame.order} != {*slide.labels} or parts.count(windows[0]) > 1:
        return None
    left = tuple(i for i in slide.lead if i not in e.indices)
    work = ByTap(body, frame, with_lead(slide, left))
    taps, tap = work.taps("windows", windows[0]), body.fresh("tap")
    rows = work.widened(rest, None)
    assert isinstance(rows, Read)
    labels, wide = frame.sort((*kernel, *left)), work.wide
    total = frame.make(call(f"np.empty({tuple_text(frame.size(i) for i in labels)}, {body.dtype})"), [], labels)
    body.code.renamable.add(total.text)
    along = multiplied(wide.size(i) for i in work.slide.labels if i not in left)
    flat = f"reshape({', '.join([*(frame.size(i) for i in left), along])})"

    def write(wide: Frame) -> None:
        at = ", ".join(i if i in kernel else ":" for i in labels)
        both = (Term(f"{tap}.{flat}"), Term(f"{rows.tensor}.{flat}"))
        body.code.put(f"{total.text}[{at}]", both, wide.shape(left), call("np.vecdot({0}, {1})", 0, 0))

    work.loop({*kernel}, [(f"{taps}.exact()", tap)], write)
    return total


def scattered(body: EachPlace, inner: Frame, fold: Fold, shape: Sequence[str]) -> Array | None:
    """dX[n,c,a,b] = Σ_uv K[c,u,v] dY[n,c,a−u,b−v]: each tap of all windows is added where it reads."""
    if inner.loops or not all(axis is None or len(axis[1]) == 2 for axis in fold.axes):
        return None
    pairs = [axis[1] for axis in fold.axes if axis]
    if not all(never_negative(image[1] - 1, {}, inner.positive) for image, _ in pairs):
        return None
    kernel, image = tuple(k for _, (k, _) in pairs), tuple(i for (i, _), _ in pairs)
    lead = tuple(i for i in fold.labels if i not in (*kernel, *image))
    windows = windows_in(inner, fold.values, kernel)
    slide = Slide(kernel, image, lead, tuple(size for axis, size in zip(fold.axes, shape, strict=True) if axis),
                  tuple(body.fold_axis(inner, (axis[0], axis[1][::-1])) for axis in fold.axes if axis))
    window = windows[0] if len(windows) == 1 else None
    same = window is None or (found := slide_of(inner, window, kernel)) is not None and (
        (found.kernel, found.image, found.sizes, found.axes) == (kernel, image, slide.sizes, slide.axes) and {*found.lead} == {*lead})
    if len(windows) > 1 or not same or not suits(inner, fold.values, window, slide) or not vanishes(fold.values, slide):
        return None
    work = ByTap(body, inner, with_lead(slide, beside_the_kernel(fold.values, window, slide)))
    total = body.fresh("part")
    body.code.renamable.add(total)
    body.line(f"{total} = np.zeros({tuple_text(shape)}, {body.dtype})", total)
    places, place, tap = work.taps("places"), body.fresh("place"), body.fresh("tap")
    inside = work.widened(fold.values, window)
    taps = work.taps("windows", window, outside=None if is_selection(inside) else "") if window is not None else ""
    over = [(f"{places}.taps", place)]
    if taps:
        over.append((f"{taps}.taps" if is_selection(inside) else f"{taps}.exact()", tap))

    def write(wide: Frame) -> None:
        if window is not None:
            wide.views[window.tensor, window.subs] = Array(tap, work.slide.labels)
        work.merge(ADD, place, masked(body, wide, inside), wide)

    work.loop(names_beside(inside, window), over, write)
    axes = iter(image)
    left = tuple(next(axes) if axis else i for axis, i in zip(fold.axes, _left(fold), strict=True))
    body.line(f"{places}.get({permute(Array(total, left), work.slide.labels).text})", total)
    return Array(total, tuple(fold.labels))


def masked(body: EachPlace, frame: Frame, e: Expr) -> Array:
    """The value; where a condition on whole arrays selects one, by its bits."""
    if is_selection(e) and isinstance(e, Op) and isinstance(e.args[0], Op) and isinstance(e.args[1], Read):
        condition = e.args[0]
        value, (a, b) = body.value(frame, e.args[1]), (body.value(frame, x) for x in condition.args)
        mask = frame.combine(call(f"{{0}} {condition.op} {{1}}", 5, 5, binding=4), a, b, real=False)
        if value.labels == mask.labels == frame.order:
            return frame.make(ONLY_WHERE, [mask, value], value.labels)
    return body.value(frame, e)


def is_selection(e: Expr) -> bool:
    """where(a == b, x, 0)."""
    if not is_where(e, ZERO):
        return False
    condition = e.args[0]
    return isinstance(condition, Op) and condition.op in COMPARISONS and all(isinstance(x, Read) for x in (*condition.args, e.args[1]))


def _left(fold: Fold) -> list[str]:
    """For each axis of what is added to, the first of its indices."""
    labels, found = iter(fold.labels), []
    for axis in fold.axes:
        found.append(next(labels))
        for _ in axis[1][1:] if axis else ():
            next(labels)
    return found
