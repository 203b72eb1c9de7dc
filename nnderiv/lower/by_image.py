"""Windows in a product of matrices, image by image, so that the columns stay in cache.

    gather   Y[n,o,i,j]  = Σ K[o,c,u,v] X[n,c,i+u,j+v]     columns[...] = windows[n];  Y[n] = K @ columns
    kernel   dK[o,c,u,v] = Σ dY[n,o,i,j] X[n,c,i+u,j+v]    columns[...] = windows[n];  dK += dY[n] @ columns.T
    scatter  dX[n,c,a,b] = Σ K[o,c,u,v] dY[n,o,a−u,b−v]    part = K.T @ dY[n];  for u, v: places[n, :, u, :, v] += part[:, u, v]

`windows` and `places` are views of the padded images. Their rows are wide: j runs on to the end of a padded row, so that the
rows of one column follow each other in memory and are copied, multiplied and added as one. What a kernel reads there is
multiplied by zeros, or not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..expr import Expr, Read, Reduce, additive_terms, free_symbols, guarded_factors, map_children, product, tensor, walk
from ..integer import Int
from ..program import Equation, Program, Range
from .arrays import Array, Frame, Storage, axes_of_windows, expand, is_inside, permute, target, tuple_text, view_of_windows
from .by_place import EachPlace, at
from .fold import Fold, find_fold
from .form import ADD, SUBTRACT, Statement, Term, call
from .windows import bulk, is_plain_window, sliding


@dataclass(frozen=True)
class Product:
    """A sum of products with a window in it. kind: gather, kernel or scatter, as in the module's docstring."""

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
    wide: bool = False              # whether rows may be wide: the image's steps may all be 1


# -- recognition -------------------------------------------------------------------------------------------------------------
def windowed_product(program: Program, frame: Frame, e: Equation) -> Product | None:
    """The product of an equation that is to be computed image by image, if it has one."""
    return _scatter(program, frame, e) or _gather(frame, e)


def _gather(frame: Frame, e: Equation) -> Product | None:
    sums = [n for n in walk(e.body) if isinstance(n, Reduce) and n.op == "sum" and any(sliding(frame, r) for r in _reads(n.body))]
    if len(sums) != 1:
        return None
    conditions, parts = guarded_factors(sums[0].body)
    windows = [f for f in parts if isinstance(f, Read) and sliding(frame, f) and is_plain_window(frame, f)]
    if conditions or len(windows) != 1:
        return None
    window, others = windows[0], [f for f in parts if f is not windows[0]]
    if any(sliding(frame, r) for f in others for r in _reads(f)):
        return None
    pairs = _pairs(frame, window)
    if pairs is None:
        return None
    kernel, image = tuple(u for u, _ in pairs), tuple(i for _, i in pairs)
    present = {i for f in others for i in free_symbols(f)} & set(frame.order)
    free = set(e.indices)
    own = present - {i for s in window.subs for i in frame.vectors(s)}
    plain = [s.name for s, r in zip(window.subs, frame.storage[window.tensor].axes, strict=True)
             if s.name in frame.ranges and s.name and frame.ranges[s.name] == r]
    if not own or not plain or len(frame.storage[window.tensor].dropped):
        return None
    summed = set(sums[0].indices)
    over_kernel = present.issuperset(kernel) and present.isdisjoint(image) and free.issuperset(image) and summed.issuperset(kernel)
    over_image = present.issuperset(image) and present.isdisjoint(kernel) and free.issuperset(kernel) and summed.issuperset(image)
    kind = "gather" if over_kernel else "kernel" if over_image else ""
    batch = plain[0]
    if frame.ranges[batch].lo != 0:
        return None
    suits = batch in free and batch not in present if kind == "gather" else batch in sums[0].indices and batch in present
    if not kind or not suits or kind == "kernel" and not _is_multiple(e.body, sums[0]):
        return None
    return Product(kind, e, sums[0], batch, frame.ranges[batch].hi, kernel, image, window, sided=tuple(others) if kind == "kernel" else (),
                   others=() if kind == "kernel" else tuple(others),
                   wide=_may_be_wide([c[0] for s in window.subs for i in image if i in s.symbols() and (c := s.split(i))]))


def _reads(e: Expr) -> Iterator[Read]:
    return (n for n in walk(e) if isinstance(n, Read))


def _pairs(frame: Frame, window: Read) -> list[tuple[str, str]] | None:
    """(place in the kernel, place in the image) for each subscript that slides."""
    found = []
    for k, s in enumerate(window.subs):
        group = sorted(frame.vectors(s), key=lambda i: bulk(frame, window, k, i))
        if len(group) > 2 or len(group) == 2 and bulk(frame, window, k, group[0]) == bulk(frame, window, k, group[1]):
            return None
        if len(group) == 2:
            found.append((group[0], group[1]))
    return found


def _is_multiple(e: Expr, part: Expr) -> bool:
    """Whether e is part, times numbers and scalars."""
    _, factors = guarded_factors(e)
    return part in factors and all(not free_symbols(f) for f in factors if f != part)


def _scatter(program: Program, frame: Frame, e: Equation) -> Product | None:
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
    whole = [i for i, axis in zip((i for i in e.indices if i in e.ranges), fold.axes, strict=True) if axis is None]
    if conditions or not whole or not within.issuperset(image) or not within.isdisjoint(kernel) or not beside.issuperset(kernel):
        return None
    batch = whole[0]
    if e.ranges[batch].lo != 0 or batch not in within or batch in beside or not set(sums[0].indices) <= within & beside:
        return None
    return Product("scatter", e, sums[0], batch, e.ranges[batch].hi, kernel, image, fold=fold, sign=terms[0][0], sided=sided, others=others,
                   wide=_may_be_wide([axis[1][0][1] for axis in fold.axes if axis]))


def _may_be_wide(steps: list[Int]) -> bool:
    return len(steps) > 1 and all(not s.is_constant or s == 1 for s in steps)


def replaced(e: Expr, old: Expr, new: Expr) -> Expr:
    return new if e == old else map_children(lambda c: replaced(c, old, new), e)


# -- emission ----------------------------------------------------------------------------------------------------------------
@dataclass
class ByImage:
    """The loop over the images of several products, which share the columns and the widened factors."""

    body: EachPlace
    first: str = ""                 # with threads: where a part begins,
    count: str = ""                 # and how many images are in it
    frames: dict[str, Frame] = field(default_factory=dict)
    wides: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    columns: dict[Read, str] = field(default_factory=dict)
    widened: dict[tuple[object, ...], str] = field(default_factory=dict)
    images: dict[str, tuple[str, str]] = field(default_factory=dict)  # windows -> (memory for one image, where it is taken from)
    own: dict[str, str] = field(default_factory=dict)  # outputs -> what a thread adds to in their place
    before: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def run(self, products: Sequence[Product], comments: Sequence[str]) -> None:
        body, notes = self.body, []
        for p, comment in zip(products, comments, strict=True):
            body.code.begin(comment)
            notes.append(body.code.note)
            self.outputs(p)
            if body.threads == 1:
                self.before[body.code.note] = self.prepare(p)
        if body.threads == 1:
            self.loop(products, notes, f"range({body.integer(products[0].size)})")
        else:
            self.on_threads(products, notes)

    def loop(self, products: Sequence[Product], notes: Sequence[int], over: str) -> None:
        batch = products[0].batch
        with self.body.inside(f"for {batch} in {over}:", batch):
            done: set[str] = set()
            for p, note in zip(products, notes, strict=True):
                self.body.code.note = note
                getattr(self, p.kind)(p, done, *self.before[note])

    def on_threads(self, products: Sequence[Product], notes: Sequence[int]) -> None:
        """The loop in a function of its own, which does a part of the images; sums over all images are added up afterwards."""
        body, function = self.body, self.body.fresh("images")
        sums = [p.equation.tensor for p in products if p.kind == "kernel"]
        self.first, last = body.fresh("first"), body.fresh("last")
        self.count = f"{last} - {self.first}"
        with body.inside(f"def {function}({self.first}, {last}):"):
            for p, note in zip(products, notes, strict=True):
                body.code.note = note
                self.before[note] = self.prepare(p)
            self.loop(products, notes, f"range({self.first}, {last})")
            for p in products:
                if p.kind == "scatter":
                    cut = at(p.equation.tensor, p.equation.indices, (p.batch,), {p.batch: f"{self.first}:{last}"})
                    body.line(f"{cut} = {self.own[p.equation.tensor]}")
            if sums:
                body.line(f"return {', '.join(sums)}")
        call_ = f"_on_threads({function}, {body.integer(products[0].size)})"
        if len(sums) == 1:
            body.line(f"{sums[0]} = sum({call_})", sums[0])
        else:
            body.line(f"{', '.join(sums)} = map(sum, zip(*{call_}))" if sums else call_, *sums[:1])

    def frame(self, p: Product) -> Frame:
        return self.frames[p.equation.tensor]

    # -- before the loop ---------------------------------------------------------------------------------------------
    def outputs(self, p: Product) -> None:
        """Memory for what comes out, where it is shared by all images."""
        body, e = self.body, p.equation
        if p.kind == "gather" or p.kind == "scatter" and body.threads > 1:
            body.line(f"{e.tensor} = np.empty({tuple_text(body.frame(e).size(i) for i in e.indices)}, {body.dtype})", e.tensor)
        body.mark_allocated(e.tensor)

    def prepare(self, p: Product) -> tuple[str, ...]:
        """Memory for one image, or for a part of them."""
        body, e = self.body, p.equation
        frame = self.frames[e.tensor] = body.frame(e) if p.fold is None else body.fold_frame(p.fold)
        if p.kind == "scatter":
            places = self.places(frame, p)
            self.widen(p, self.widths(self.key(frame, p), places, self.natural(p), p))
            return (places,)
        assert p.window is not None
        view = self.windows(frame, p)
        names = self.widths(self.key(frame, p), view.text, list(view.labels), p)
        if p.window not in self.columns:
            self.columns[p.window] = body.fresh("columns")
            one = "" if view.text in self.images else "[1:]"
            body.line(f"{self.columns[p.window]} = np.empty({view.text}.shape{one}, {body.dtype})", self.columns[p.window])
            ranges = self.ranges(p, names)
            labels = [i for i in view.labels if i != p.batch]
            frame.storage[self.columns[p.window]] = Storage(self.columns[p.window], tuple(ranges[i] for i in labels))
        if p.kind == "kernel":
            body.line(f"{e.tensor} = np.zeros({tuple_text(frame.size(i) for i in e.indices)}, {body.dtype})", e.tensor)
        self.widen(p, names)
        return (view.text,)

    def places(self, frame: Frame, p: Product) -> str:
        """Zeros, and the view of them to which the windows add; several threads have zeros of their own, for rows that are wide
        reach into the next image."""
        assert p.fold is not None
        body, e = self.body, p.equation
        many = body.threads > 1
        shape = tuple_text(self.count if many and i == p.batch else body.frame(e).size(i) for i in e.indices)
        axes = [body.fold_axis(frame, (a[0], a[1][::-1]) if a else None) for a in p.fold.axes]
        places, name = body.fresh("places"), body.fresh("part") if many else e.tensor
        self.own[e.tensor] = name
        body.line(f"{name}, {places} = _room({shape}, {tuple_text(axes)}, {body.dtype}{', wide=True' if p.wide else ''})", name)
        return places

    def windows(self, frame: Frame, p: Product) -> Array:
        """The view of the windows: of all images, or of memory for one between zeros, into which each is put in its turn."""
        body = self.body
        assert p.window is not None
        subs = tuple(s for s in p.window.subs)
        if not p.wide and is_inside(frame, p.window):
            view = view_of_windows(frame, p.window.tensor, subs, "", p.image)
            rest = [i for i in view.labels if i not in (*p.kernel, *p.image, p.batch)]
            return frame.keep(permute(view, (p.batch, *rest, *p.kernel, *p.image)), hint="windows")
        at_batch = [s.name for s in subs].index(p.batch)
        axes, labels = axes_of_windows(frame, p.window.tensor, subs, p.image)
        store = frame.storage[p.window.tensor]
        del axes[at_batch]
        labels.remove(p.batch)
        shape = tuple_text(frame.integer(r.size) for k, r in enumerate(store.axes) if k != at_batch)
        image, view_name = body.fresh("image"), body.fresh("windows")
        wide = ", wide=True" if p.wide else ""
        body.line(f"{image}, {view_name} = _room({shape}, {tuple_text(axes)}, {body.dtype}{wide})", image)
        rest = [i for i in labels if i not in (*p.kernel, *p.image)]
        self.images[view_name] = (image, f"{store.variable}[{', '.join([':'] * at_batch + [p.batch])}]")
        ordered = permute(Array(view_name, tuple(labels), 9, True), (*rest, *p.kernel, *p.image))
        if ordered.text != view_name:
            body.line(f"{view_name} = {ordered.text}", view_name)
        return Array(view_name, ordered.labels, 9, True)

    def natural(self, p: Product) -> list[str]:
        assert p.fold is not None
        labels: list[str] = []
        plain = iter(i for i in p.equation.indices if i in p.equation.ranges)
        for axis, i in zip(p.fold.axes, plain, strict=True):
            labels += [x for x, _ in axis[1][::-1]] if axis else [i]
        return labels

    def key(self, frame: Frame, p: Product) -> tuple[str, ...]:
        """What the widths depend on: the axes that slide, and what they slide along."""
        if p.fold is not None:
            axes = [self.body.fold_axis(frame, (a[0], a[1][::-1])) if a else "None" for a in p.fold.axes]
            plain = [p.equation.ranges[i].size for i in p.equation.indices if i in p.equation.ranges]
        else:
            assert p.window is not None
            axes, _ = axes_of_windows(frame, p.window.tensor, p.window.subs, p.image)
            plain = [r.size for r in frame.storage[p.window.tensor].axes]
        return tuple(f"{axis} of {size}" for axis, size in zip(axes, plain, strict=True) if axis != "None")

    def widths(self, key: tuple[str, ...], view: str, labels: list[str], p: Product) -> list[str]:
        """Names for the lengths of the wide rows, one for each index of the image but the first."""
        if key not in self.wides:
            self.wides[key] = []
            for i in p.image[1:] if p.wide else ():
                name = self.body.fresh("wide")
                self.body.line(f"{name} = {view}.shape[{labels.index(i)}]", name)
                self.wides[key].append(name)
        return self.wides[key]

    def ranges(self, p: Product, names: Sequence[str]) -> dict[str, Range]:
        """The ranges inside the loop: rows are wide."""
        frame = self.frame(p)
        found = {i: r for i, r in frame.ranges.items() if i != p.batch}
        for i, name in zip(p.image[1:], names, strict=False):
            found[i] = Range(found[i].lo, found[i].lo + Int.symbol(name))
        return found

    def widen(self, p: Product, names: Sequence[str]) -> None:
        """Memory for the factors over the image, with zeros at the end of each row."""
        if not p.sided or not names:
            return
        frame = self.frame(p)
        key = self.sided_key(p, names)
        if key not in self.widened:
            labels = self.sided_labels(p)
            ranges = self.ranges(p, names)
            name = self.body.fresh("rows")
            self.widened[key] = name
            inner = replace(frame, ranges=ranges)
            self.body.line(f"{name} = np.zeros({tuple_text(inner.size(i) for i in labels)}, {self.body.dtype})", name)
            frame.storage[name] = Storage(name, tuple(ranges[i] for i in labels))

    def sided_labels(self, p: Product) -> tuple[str, ...]:
        frame = self.frame(p)
        present = {i for f in p.sided for i in free_symbols(f)}
        lone = p.sided[0]
        if len(p.sided) == 1 and isinstance(lone, Read) and all(s.name in frame.ranges for s in lone.subs):
            return tuple(str(s.name) for s in lone.subs if s.name != p.batch)
        rest = [i for i in frame.order if i in present and i not in (*p.image, p.batch)]
        return (*rest, *p.image)

    def sided_key(self, p: Product, names: Sequence[str]) -> tuple[object, ...]:
        places = {i: f"image{k}" for k, i in enumerate(p.image)}
        lone = p.sided[0]
        if len(p.sided) == 1 and isinstance(lone, Read):
            return (lone.tensor, tuple(places.get(str(s), str(s)) for s in lone.subs), tuple(names))
        return (p.equation.tensor, tuple(names))

    # -- inside the loop ---------------------------------------------------------------------------------------------
    def inner(self, p: Product, wide: bool) -> Frame:
        frame = self.frame(p)
        names = self.wides[self.key(frame, p)]
        ranges = self.ranges(p, names) if wide else {i: r for i, r in frame.ranges.items() if i != p.batch}
        return replace(frame, order=tuple(i for i in frame.order if i != p.batch), ranges=ranges,
                       loops={**frame.loops, p.batch: frame.ranges[p.batch]})

    def fill(self, p: Product, done: set[str], view: str) -> Read:
        """columns[...] = windows[n]; the read of the columns."""
        assert p.window is not None
        name = self.columns[p.window]
        frame = self.frame(p)
        rest = [i for s in p.window.subs for i in frame.vectors(s) if i not in (*p.kernel, *p.image, p.batch)]
        if name not in done:
            done.add(name)
            if view in self.images:
                image, source = self.images[view]
                self.place(f"{image}[...]", Array(source), frame.storage[name])
            self.place(f"{name}[...]", Array(view if view in self.images else f"{view}[{p.batch}]"), frame.storage[name])
        return tensor(name, *rest, *p.kernel, *p.image)

    def place(self, place: str, value: Array, storage: Storage) -> None:
        code, shape = self.body.code, tuple(r.size for r in storage.axes)
        code.items.append(Statement(place, call("{0}", 0), (value.term,), shape, True, code.note, is_place=True))

    def sides(self, p: Product, done: set[str]) -> tuple[Expr, ...]:
        """The factors over the image; where rows are wide, in memory with zeros at their ends."""
        names = self.wides[self.key(self.frame(p), p)]
        if not names:
            return p.sided
        name, labels = self.widened[self.sided_key(p, names)], self.sided_labels(p)
        narrow = self.inner(p, wide=False)
        if name not in done:
            done.add(name)
            value = self.body.value(narrow, product(list(p.sided)))
            value = expand(permute(value, [i for i in labels if i in value.labels]), labels)
            self.place(self.cut(p, narrow, Array(name, labels)).text, value, Storage(name, tuple(narrow.ranges[i] for i in labels)))
        return (tensor(name, *labels),)

    def cut(self, p: Product, narrow: Frame, array: Array) -> Array:
        """The array without the ends of its wide rows."""
        wide = p.image[1:] if p.wide else ()
        if not set(wide) & set(array.labels):
            return array
        parts = [f":{narrow.size(i)}" if i in wide else ":" for i in array.labels]
        while parts[-1] == ":":
            parts.pop()
        return Array(f"{array.text}[{', '.join(parts)}]", array.labels, 9, True)

    def gather(self, p: Product, done: set[str], view: str) -> None:
        body, e = self.body, p.equation
        columns = self.fill(p, done, view)
        wide, narrow = self.inner(p, wide=True), self.inner(p, wide=False)
        value = wide.keep(body.value(wide, Reduce("sum", p.sum.indices, product([*p.others, columns]))))
        seen = tensor(value.text, *value.labels)
        narrow.storage[value.text] = Storage(value.text, tuple(narrow.ranges[i] for i in value.labels))
        narrow.views[seen.tensor, seen.subs] = self.cut(p, narrow, value)
        result = body.value(narrow, replaced(e.body, p.sum, seen))
        labels = tuple(i for i in e.indices if i in narrow.ranges)
        body.assign(target(narrow, e.tensor, e.subs), expand(result, labels), narrow, labels)

    def kernel(self, p: Product, done: set[str], view: str) -> None:
        body, e = self.body, p.equation
        sides = self.sides(p, done)
        columns = self.fill(p, done, view)
        wide = self.inner(p, wide=True)
        indices = tuple(i for i in p.sum.indices if i != p.batch)
        value = body.value(wide, replaced(e.body, p.sum, Reduce("sum", indices, product([*sides, columns]))))
        self.add(e.tensor, expand(value, e.indices), wide, e.indices, 1)

    def scatter(self, p: Product, done: set[str], places: str) -> None:
        body = self.body
        assert p.fold is not None
        sides = self.sides(p, done)
        wide = self.inner(p, wide=True)
        values = replaced(p.fold.values, p.sum, Reduce("sum", p.sum.indices, product([*p.others, *sides])))
        part = wide.keep(body.value(wide, values))
        natural = self.natural(p)
        left = [i for i in natural if i not in (*p.kernel, p.batch)]
        sizes = ", ".join(wide.size(i) for i in p.kernel)
        function = "range" if len(p.kernel) == 1 else "np.ndindex"
        with body.inside(f"for {', '.join(p.kernel)} in {function}({sizes}):", p.kernel[0]):
            one = Array(at(part.text, part.labels, p.kernel), tuple(i for i in part.labels if i not in p.kernel), 9, True)
            inner = replace(wide, order=tuple(left))
            shown = {p.batch: f"{p.batch} - {self.first}"} if body.threads > 1 else {}
            self.add(at(places, natural, (*p.kernel, p.batch), shown), expand(permute(one, left), left), inner, left, p.sign)

    def add(self, place: str, value: Array, frame: Frame, labels: Sequence[str], sign: int) -> None:
        code = self.body.code
        code.items.append(Statement(place, ADD if sign > 0 else SUBTRACT, (Term(place), value.term), frame.shape(labels), True, code.note,
                                    out=place, is_place=True))
