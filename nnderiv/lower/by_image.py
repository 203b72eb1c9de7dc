"""Windows in a product of matrices, some images at a time, so that the columns stay in cache.

    gather   Y[n,o,i,j]  = Σ K[o,c,u,v] X[n,c,i+u,j+v]     windows.put(X[n]); windows.copy(columns);  Y[n] = K @ columns
    kernel   dK[o,c,u,v] = Σ dY[n,o,i,j] X[n,c,i+u,j+v]    windows.put(X[n]); windows.copy(columns);  dK += columns @ dY[n].T
    scatter  dX[n,c,a,b] = Σ K[o,c,u,v] dY[n,o,a−u,b−v]    windows.add(K.T @ dY[n], dX[n])

`windows` are `_Taps` (`helpers.taps`): they hold the images between zeros so that one tap of the kernel, in all windows at
once, is one run of memory. Such runs are longer than there are windows: what stands at their ends is not looked at, or is
multiplied by zeros, and is made finite before (`exact`). The kernel's indices lead in the columns, so that tap after tap is
copied, multiplied and added as one.

Where all are gathered, entry by entry along the first axis, into matrices that lie together image by image, they are `_Rows`: what
the next tap of that axis sees is the same memory, some rows further on, and there are no columns:

    gather   windows.put(X[n]);  windows.product(K, out=Y[n])
    kernel   windows.put(X[n]);  windows.correlate(dY[n], dK)       where nothing is scattered, which needs the memory of columns

Channel by channel the other side has no index of its own, and there is no product of matrices:

    gather   windows.put(X[n]);  Y[n] = windows.weighed(K)
    kernel   windows.put(X[n]);  for (u, v), tap in windows.exact(): dK[:, u, v] += np.vecdot(tap, dY[n])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from ..expr import Expr, Read, Reduce, map_children, neg, tensor
from ..expr import replace as replaced
from ..integer import Int
from ..polynomial import product
from ..program import Equation, Range
from .arrays import Array, Frame, Storage, cut, expand, permute
from .by_place import at
from .by_tap import EachPlace
from .contract import flattened
from .image_indices import Indices
from .items.form import ADD, MATMUL, Line, Statement, call, renamed
from .items.layout import listed
from .reads import read
from .texts import axis_text, extreme_of, multiplied, tuple_text
from .windowed import Product


@dataclass(frozen=True)
class Taps:
    """A `_Taps` of the emitted code: its variable, and the names of its shape."""

    name: str
    shape: tuple[str, ...]


@dataclass
class ByImage(Indices):
    """The loop over blocks of images of several products, which share the columns and the factors over the image."""

    body: EachPlace
    count: str = ""                 # how many images a block has
    frames: dict[str, Frame] = field(default_factory=dict)
    known: dict[str, Taps] = field(default_factory=dict)                       # by what they are made of
    shapes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    taps_of: dict[str, Taps] = field(default_factory=dict)                     # by what the product computes
    columns: dict[tuple[object, ...], str] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)                               # columns that are summed over all windows
    rows: dict[tuple[object, ...], Array] = field(default_factory=dict)
    totals: dict[str, Array] = field(default_factory=dict)
    reserved: list[Line] = field(default_factory=list)                         # memory that the loop turns out to need
    by_row: bool = False                                                       # the windows are _Rows

    def run(self, products: Sequence[Product], comments: Sequence[str]) -> None:
        body, notes = self.body, []
        # What is scattered goes through the memory of the columns, before they are needed.
        order = sorted(range(len(products)), key=lambda k: products[k].kind != "scatter")
        products, comments = [products[k] for k in order], [comments[k] for k in order]
        for p, comment in zip(products, comments, strict=True):
            body.code.begin(comment)
            notes.append(body.code.note)
            self.frames[p.equation.tensor] = body.frame(p.equation) if p.fold is None else body.fold_frame(p.fold)
            self.outputs(p)
        alone = len({p.kind for p in products}) == 1
        self.by_row = alone and all(self.may_go_by_row(p) for p in products)
        self.count = body.fresh("count")
        body.positive |= {self.count}
        whole = body.extent(products[0].size)
        if body.threads == 1:
            self.blocks(products, notes, "0", whole)
        else:
            self.on_threads(products, notes, whole)
        for p, note in zip(products, notes, strict=True):
            if p.kind == "kernel":
                body.code.note = note
                self.finish(p)
        body.code.note = -1

    def blocks(self, products: Sequence[Product], notes: Sequence[int], begin: str, end: str) -> None:
        """The images from begin to end, some at a time. Those that are left at the end, fewer, have memory of their own shape."""
        body, batch = self.body, products[0].batch
        for p, note in zip(products, notes, strict=True):
            body.code.note = note
            self.sums(p)
        start, stop, first = body.fresh("start"), body.fresh("stop"), body.fresh("first")
        of = (self.rows_of, self.beside_of) if self.by_row else (self.columns_of, self.work_of, self.weights_of)
        sizes = (" + " if self.by_row else ", ").join(self.largest(products, indices) for indices in of)
        body.code.note = -1
        with body.inside(f"for {start}, {stop}, {self.count} in _blocks({begin}, {end}, {sizes}):"):
            for p in products:
                self.prepare(p)
            with body.inside(f"for {first} in range({start}, {stop}, {self.count}):", first):
                body.code.note = -1
                body.line(f"{batch} = slice({first}, {first} + {self.count})", batch)
                done: set[str] = set()
                for p, note in zip(products, notes, strict=True):
                    body.code.note = note
                    {"gather": self.gather, "kernel": self.kernel, "scatter": self.scatter}[p.kind](p, done)
            body.code.items[-1:-1] = self.reserved

    def on_threads(self, products: Sequence[Product], notes: Sequence[int], whole: str) -> None:
        """The loop in a function of its own, which does a part of the images; sums over all images are added up afterwards."""
        body, function = self.body, self.body.fresh("images")
        begin, end = body.fresh("begin"), body.fresh("end")
        with body.inside(f"def {function}({begin}, {end}):"):
            self.blocks(products, notes, begin, end)
            sums = [self.totals[p.equation.tensor].text for p in products if p.kind == "kernel"]
            if sums:
                body.line(f"return {', '.join(sums)}")
        call_ = f"_images_on_threads({function}, {whole}, {self.largest(products, self.multiplications)})"
        if len(sums) == 1:
            body.line(f"{sums[0]} = sum({call_})", sums[0])
        else:
            body.line(f"{', '.join(sums)} = map(sum, zip(*{call_}))" if sums else call_, ", ".join(sums))

    # -- before the loop ---------------------------------------------------------------------------------------------
    def outputs(self, p: Product) -> None:
        """Memory for what comes out, where each block has a part of it."""
        body, e = self.body, p.equation
        if p.kind != "kernel":
            frame, make = body.frame(e), "empty" if p.kind == "gather" else "zeros"
            made = call(f"np.{make}({tuple_text(frame.size(i) for i in e.indices)}, {body.dtype})")
            body.code.items.append(Statement(e.tensor, made, (), frame.shape(e.indices), note=body.code.note))
        body.mark_allocated(e.tensor)

    def largest(self, products: Sequence[Product], indices: Callable[[Product], Iterable[str]]) -> str:
        """The largest number of values of these indices together."""
        frames = [self.frames[p.equation.tensor] for p in products]
        return extreme_of("max", (multiplied(map(frame.size, indices(p))) for frame, p in zip(frames, products, strict=True)))

    def prepare(self, p: Product) -> None:
        """Memory for a block of images."""
        e = p.equation
        self.taps_of[e.tensor] = self.taps(p)
        if p.window is not None and not self.by_row and not self.is_by_tap(p) and self.columns_key(p) not in self.columns:
            self.columns[self.columns_key(p)] = self.memory("columns", self.inner(p, wide=True), self.columns_labels(p), "empty").text
        if p.kind == "kernel" and not self.by_row and not self.is_by_tap(p):
            self.exact.add(self.columns[self.columns_key(p)])
        frame = self.inner(p, wide=True)
        if p.sided and not self.by_row and self.rows_key(p) not in self.rows:
            self.rows[self.rows_key(p)] = self.memory("rows", frame, self.rows_labels(p), "zeros")

    def sums(self, p: Product) -> None:
        """Memory for a sum over all images, in the order in which the products of matrices give it."""
        if p.kind == "kernel":
            e, frame = p.equation, self.ordered(p)
            self.totals[e.tensor] = total = Array(self.total_name(frame, e), frame.sort(e.indices))
            self.body.line(f"{total.text} = np.zeros({tuple_text(frame.size(i) for i in total.labels)}, {self.body.dtype})", total.text)

    def total_name(self, frame: Frame, e: Equation) -> str:
        return e.tensor if frame.sort(e.indices) == e.indices else self.body.fresh(f"{e.tensor}_sum")

    def memory(self, name: str, frame: Frame, labels: tuple[str, ...], make: str) -> Array:
        array = Array(self.body.fresh(name), labels)
        self.body.line(f"{array.text} = np.{make}({tuple_text(frame.size(i) for i in labels)}, {self.body.dtype})", array.text)
        frame.stored(array)
        return array

    def columns_key(self, p: Product) -> tuple[object, ...]:
        """Products that look at the same windows, whatever they call their indices, share the columns."""
        assert p.window is not None
        called = {x: Int.symbol(f"@{k}") for k, x in enumerate((*p.kernel, *p.image, p.batch, *self.lead(p)))}
        return (p.window.tensor, tuple(s.subst(called) for s in p.window.subs), len(self.groups(p)), self.taps_of[p.equation.tensor].shape)

    def source(self, p: Product, frame: Frame, window: Read) -> str:
        """The images of a block, those axes last along which windows slide."""
        whole = self.of_block(frame, window, p.batch)
        assert isinstance(whole, Read)
        names = {k: f"@{k}" for k, s in enumerate(window.subs) if set(p.image) & s.symbols()}
        axes = frame.storage[window.tensor].axes
        ranges = {p.batch: self.range, **{i: frame.ranges[i] for i in self.lead(p)}, **{x: axes[k] for k, x in names.items()}}
        order = (*self.images(p), *names.values())
        subs = tuple(Int.symbol(names[k]) + 0 if k in names else s for k, s in enumerate(window.subs))
        array = read(replace(frame, order=order, ranges=ranges, views={}), whole.tensor, subs)
        return permute(array, order).text

    @property
    def range(self) -> Range:
        return Range(Int.of(0), Int.symbol(self.count))

    def sliding_axes(self, p: Product) -> tuple[list[str], list[str]]:
        """(the sizes of the axes that slide, how the windows lie on them: "(start, (taps, step), (count, stride))")."""
        frame, sizes, axes = self.frames[p.equation.tensor], [], []
        if p.fold is not None:
            for i, axis in zip(p.equation.indices, p.fold.axes, strict=True):
                if axis is not None:
                    sizes.append(self.body.frame(p.equation).size(i))
                    axes.append(self.body.fold_axis(frame, (axis[0], axis[1][::-1])))
            return sizes, axes
        assert p.window is not None
        for sub, r in zip(p.window.subs, frame.storage[p.window.tensor].axes, strict=True):
            pair = [i for i in (*p.kernel, *p.image) if i in sub.symbols()]
            if pair:
                sizes.append(frame.extent(r.size))
                axes.append(axis_text(frame, sub - r.lo, pair))
        return sizes, axes

    def taps(self, p: Product) -> Taps:
        body, frame, (sizes, axes) = self.body, self.inner(p, wide=False), self.sliding_axes(p)
        key = (tuple_text(sizes), tuple_text(axes))
        kind = "_Rows" if self.by_row else "_Taps"
        made = f"{kind}({tuple_text(map(frame.size, self.images(p)))}, {', '.join(key)}, {body.dtype})"
        if made not in self.known:
            variable = body.fresh("windows")
            body.line(f"{variable} = {made}", variable)
            if self.by_row:
                self.shapes[key] = ()
            elif key not in self.shapes:
                self.shapes[key] = tuple(body.fresh("wide") for _ in sizes)
                body.positive |= {*self.shapes[key]}
                body.line(f"{listed(self.shapes[key])} = {variable}.shape", ", ".join(self.shapes[key]))
            self.known[made] = Taps(variable, self.shapes[key])
        return self.known[made]

    def rows_key(self, p: Product) -> tuple[object, ...]:
        """Products that look at the same factor in windows of the same shape share its rows."""
        taps, lone = self.taps_of[p.equation.tensor], p.sided[0]
        places = {i: f"image{k}" for k, i in enumerate(p.image)}
        if len(p.sided) == 1 and isinstance(lone, Read):
            return (lone.tensor, tuple(places.get(str(s), str(s)) for s in lone.subs), taps.shape)
        return (p.equation.tensor, taps.shape)

    # -- inside the loop ---------------------------------------------------------------------------------------------
    def inner(self, p: Product, wide: bool) -> Frame:
        """A block of images; wide: with as many windows as there are in the memory for them."""
        frame = self.frames[p.equation.tensor]
        ranges = {**frame.ranges, p.batch: self.range}
        if not wide:
            return replace(frame, ranges=ranges, views=dict(frame.views), positive=self.body.positive)
        for i, name in () if self.by_row else zip(p.image, self.taps_of[p.equation.tensor].shape, strict=True):
            ranges[i] = Range(ranges[i].lo, ranges[i].lo + Int.symbol(name))
        return replace(self.ordered(p), ranges=ranges, views=dict(frame.views), positive=self.body.positive)

    def ordered(self, p: Product) -> Frame:
        """Matrix products in the order of the memory: what both have, kernel, channels, and the images behind them."""
        frame, groups = self.frames[p.equation.tensor], self.groups(p)
        middle = [i for i in self.lead(p) if i not in groups]
        rest = [i for i in frame.order if i not in (*groups, *p.kernel, *middle, p.batch, *p.image)]
        return replace(frame, order=(*groups, *p.kernel, *middle, *rest, p.batch, *p.image))

    def of_block(self, frame: Frame, e: Expr, batch: str) -> Expr:
        """The expression with reads of the images at hand: dY[n] for dY, n a slice."""
        if not isinstance(e, Read) or batch not in {s.name for s in e.subs}:
            return map_children(lambda c: self.of_block(frame, c, batch), e)
        store, at = frame.storage[e.tensor], [s.name for s in e.subs].index(batch)
        if store.axes[at] == self.range:
            return e
        name = part(store.variable, at, batch)
        frame.storage[name] = replace(store, variable=name, axes=(*store.axes[:at], self.range, *store.axes[at + 1 :]))
        return Read(name, e.subs)

    def fill(self, p: Product, done: set[str]) -> Read:
        """windows.put(X[n]); windows.copy(columns); the read of the columns."""
        taps, labels = self.taps_of[p.equation.tensor], self.columns_labels(p)
        columns = Array(self.columns[self.columns_key(p)], labels)
        if columns.text not in done:
            done.add(columns.text)
            leading = (*p.kernel, *(i for i in labels if i not in p.kernel))
            self.put(p)
            exact = ", exact=True" if columns.text in self.exact else ""
            self.body.line(f"{taps.name}.copy({permute(columns, leading).text}{exact})", columns.text)
        return self.inner(p, wide=True).stored(columns)

    def put(self, p: Product) -> None:
        """windows.put(X[n])."""
        assert p.window is not None
        taps = self.taps_of[p.equation.tensor].name
        self.body.line(f"{taps}.put({self.source(p, self.frames[p.equation.tensor], p.window)})", taps)

    def sides(self, p: Product, done: set[str]) -> Read:
        """The factors over the image, with zeros at the ends of the rows."""
        rows = self.rows[self.rows_key(p)]
        labels = self.rows_labels(p)
        if rows.text not in done:
            done.add(rows.text)
            narrow = self.inner(p, wide=False)
            narrow = replace(narrow, order=(*labels, *(i for i in narrow.order if i not in labels)))
            value = self.body.value(narrow, self.of_block(narrow, product(list(p.sided)), p.batch))
            value = expand(value, labels)
            self.body.code.put(cut(Array(rows.text, labels), narrow, p.image).text, (value.term,), narrow.shape(value.labels))
        return tensor(rows.text, *labels)

    def gather(self, p: Product, done: set[str]) -> None:
        body, e = self.body, p.equation
        wide, narrow = self.inner(p, wide=True), self.inner(p, wide=False)
        place = part(e.tensor, e.indices.index(p.batch), p.batch)
        if self.by_row:
            self.product_by_row(p, narrow, place)
            if e.body == p.sum:
                return
            value = Array(place, e.indices, 9, True)
        else:
            columns = tensor("") if self.is_by_tap(p) else self.fill(p, done)
            start = len(body.code.items)
            if self.is_by_tap(p):
                value = self.weighed(p, wide)
            else:
                value = wide.keep(body.value(wide, Reduce("sum", p.sum.indices, product([*p.others, columns]))))
            value = cut(self.into_memory(wide, value, start, []), narrow, p.image)
        seen = narrow.stored(value)
        narrow.views[seen.tensor, seen.subs] = value
        result = body.value(narrow, self.of_block(narrow, replaced(e.body, {p.sum: seen}), p.batch))
        body.assign(place, expand(result, e.indices), narrow, e.indices)

    def product_by_row(self, p: Product, frame: Frame, place: str) -> None:
        """windows.put(X[n]); windows.product(K, out=Y[n])."""
        body, e, taps = self.body, p.equation, self.taps_of[p.equation.tensor].name
        own, seen = [i for i in e.indices if i not in (p.batch, *p.image)], [*p.kernel[1:], *self.lead(p)]
        self.put(p)
        groups, flat = ([p.batch], own, p.image), place
        if any(len(m) != 1 for m in groups):
            flat = body.fresh(f"{e.tensor}_flat")
            body.line(f"{flat} = {place}.reshape{tuple_text(multiplied(map(frame.size, m)) for m in groups)}", flat)
        matrix = (p.kernel[0], *own, *seen)
        beside, factors = tuple(i for i in p.sum.indices if i not in matrix), product(list(p.others))
        order = replace(frame, order=(*matrix, *beside))
        weights = permute(body.value(order, Reduce("sum", beside, factors) if beside else factors), matrix)
        if len(own) > 1 or len(seen) != 1:
            sizes = [multiplied(map(frame.size, m)) for m in (matrix[:1], own, seen)]
            weights = replace(weights, text=flattened(order, weights, [matrix[0]], [own, seen], sizes))
        body.line(f"{taps}.product({weights.text}, out={flat})", e.tensor)

    def weighed(self, p: Product, wide: Frame) -> Array:
        """windows.put(X[n]); windows.weighed(K)."""
        lead, taps = self.lead(p), self.taps_of[p.equation.tensor].name
        order = replace(wide, order=(*lead, *p.kernel, p.batch, *p.image))
        self.put(p)
        weights = self.body.value(order, product(list(p.others)))
        return wide.make(call("{0}.weighed({1})", 9, 0), [Array(taps), weights], (*lead, p.batch, *p.image))

    def kernel(self, p: Product, done: set[str]) -> None:
        if self.by_row:
            self.kernel_by_row(p)
            return
        if self.is_by_tap(p):
            self.kernel_by_tap(p, self.sides(p, done))
            return
        sides, columns = self.sides(p, done), self.fill(p, done)
        wide, total = self.inner(p, wide=True), self.totals[p.equation.tensor]
        value = self.body.value(wide, replaced(p.equation.body, {p.sum: Reduce("sum", p.sum.indices, product([sides, columns]))}))
        value = expand(value, total.labels)
        self.body.code.merge(total.text, ADD, value.term, wide.shape(value.labels))

    def kernel_by_row(self, p: Product) -> None:
        """windows.put(X[n]); windows.correlate(dY[n], dK)."""
        body, frame, total = self.body, self.inner(p, wide=False), self.totals[p.equation.tensor]
        own = tuple(i for i in total.labels if i in self.own(p))
        order = replace(frame, order=(p.batch, *own, *p.image))
        self.put(p)
        value = permute(body.value(order, self.of_block(order, product(list(p.sided)), p.batch)), order.order)
        sides = f"{value.at_least(9)}.reshape{tuple_text(multiplied(map(order.size, m)) for m in ([p.batch], own, p.image))}"
        matrix = (p.kernel[:1], total.labels[1:len(total.labels) - len(own)], own)
        kernel = f"{total.text}.reshape{tuple_text(multiplied(map(frame.size, m)) for m in matrix)}"
        body.line(f"{self.taps_of[p.equation.tensor].name}.correlate({sides}, {kernel})", total.text)

    def kernel_by_tap(self, p: Product, sides: Read) -> None:
        """for (u, v), tap in windows.exact(): dK[:, u, v] += np.vecdot(tap, rows)."""
        body, wide, lead, total = self.body, self.inner(p, wide=True), self.lead(p), self.totals[p.equation.tensor]
        self.put(p)
        along = multiplied(wide.size(i) for i in (p.batch, *p.image))
        flat = f"reshape({', '.join([*map(wide.size, lead), along])})"
        rows, tap, dot = permute(body.value(wide, sides), (*lead, p.batch, *p.image)), body.fresh("tap"), tensor("@dot")
        with body.inside(f"for {tuple_text(p.kernel)}, {tap} in {self.taps_of[p.equation.tensor].name}.exact():", tap):
            both = [Array(f"{x}.{flat}", lead) for x in (tap, rows.at_least(9))]
            wide.storage[dot.tensor], made = Storage("", ()), wide.make(call("np.vecdot({0}, {1})", 0, 0), both, lead)
            wide.views[dot.tensor, dot.subs] = made
            value = body.value(wide, replaced(p.equation.body, {p.sum: dot}))
            body.code.merge(at(total.text, total.labels, p.kernel), ADD, value.term, wide.shape(value.labels))

    def finish(self, p: Product) -> None:
        """dK = dK_sum.transpose(…), in the order in which it is to be handed out."""
        e, total = p.equation, self.totals[p.equation.tensor]
        if total.text != e.tensor:
            self.body.assign(e.tensor, permute(total, e.indices), self.frames[e.tensor], e.indices)

    def scatter(self, p: Product, done: set[str]) -> None:
        body, e, taps = self.body, p.equation, self.taps_of[p.equation.tensor]
        assert p.fold is not None
        sides, wide = self.sides(p, done), self.inner(p, wide=True)
        values = replaced(p.fold.values, {p.sum: Reduce("sum", p.sum.indices, product([*p.others, sides]))})
        start = len(body.code.items)
        value = wide.keep(body.value(wide, values if p.sign > 0 else neg(values)))
        value = self.into_memory(wide, value, start, self.columns.values())
        lead = self.lead(p)
        value = permute(value, (*p.kernel, *lead, p.batch, *p.image))
        slid = tuple(i for i in e.indices if i not in (*lead, p.batch))
        images = permute(Array(part(e.tensor, e.indices.index(p.batch), p.batch), e.indices), (*lead, p.batch, *slid))
        body.line(f"{taps.name}.add({value.text}, {images.text})", e.tensor)

    def into_memory(self, frame: Frame, value: Array, start: int, free: Iterable[str]) -> Array:
        """The value, whose matrix product, among the statements since the start, is written to memory that all blocks use: one that
        is free and as large, and then is the value if it has its axes, or its own."""
        code = self.body.code
        if (found := self.product_since(start)) is None:
            return value
        k, s = found
        alike = [c for c in free if _entries(frame.storage[c]) == prod(s.shape, start=Int.of(1))]
        name = self.body.fresh(f"{alike[0]}_flat" if alike else "product")
        made = self.matrix(frame, alike[0], s.shape) if alike else f"np.empty({tuple_text(map(frame.extent, s.shape))}, {self.body.dtype})"
        self.reserved.append(Line(f"{name} = {made}", binds=name))
        written, rest = replace(s, out=name, is_place=True), code.items[k + 1 :]
        axes = tuple(r.size for r in frame.storage[alike[0]].axes) if alike else ()
        if axes == frame.shape(value.labels) and all(isinstance(x, Statement) and not x.operation.owns for x in rest):
            code.items[k:] = renamed([written], {s.target: name})
            return replace(value, text=alike[0])
        code.items[k:] = renamed([written, *rest], {s.target: name})
        return replace(value, text=name) if value.text == s.target else value

    def matrix(self, frame: Frame, variable: str, shape: Sequence[Int]) -> str:
        """Memory as matrices of this shape, whose sizes are products of those of its axes."""
        axes, groups = [r.size for r in frame.storage[variable].axes], list[list[Int]]()
        for size in shape:
            k = next((k for k in range(len(axes) + 1) if prod(axes[:k], start=Int.of(1)) == size), None)
            groups.append([size] if not k else axes[:k])
            axes = axes[k or 0:]
        return f"{variable}.reshape{tuple_text(multiplied(map(frame.extent, g)) for g in groups)}"

    def product_since(self, start: int) -> tuple[int, Statement] | None:
        """The matrix product among the statements since the start, and where it stands, if there is one and no other."""
        found = [(k, s) for k, s in enumerate(self.body.code.items) if k >= start and isinstance(s, Statement) and s.operation == MATMUL]
        return found[0] if len(found) == 1 else None


def _entries(store: Storage) -> Int:
    return prod((r.size for r in store.axes), start=Int.of(1))


def part(variable: str, axis: int, batch: str) -> str:
    """The images at hand: dY[n]."""
    return f"{variable}[{':, ' * axis}{batch}]"
