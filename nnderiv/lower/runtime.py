"""The few functions that emitted modules carry with them, as text; a module contains those that it uses, and what they use.

They are written to be read: an emitted module is all that its user sees.
"""

from __future__ import annotations

import re

from . import cost

HELPERS: dict[str, str] = {}


def _helper(text: str) -> None:
    name = re.search(r"^(?:def|class) (\w+)|^ *(_\w+) =", text.strip(), re.MULTILINE)
    assert name is not None
    for constant in ("IDLE", "IMAGES", "WIDE", "BLOCK", "SMALL"):
        text = text.replace(constant, str(getattr(cost, constant)))
    HELPERS[name.group(1) or name.group(2)] = text.strip()


_helper('''
def _reals(names, *arrays):
    """The arrays, all of one floating dtype."""
    dtype = getattr(arrays[0], "dtype", None)
    for a in arrays:
        if type(a) is not np.ndarray or a.dtype is not dtype:
            break
    else:
        if dtype.kind == "f":
            return arrays
    arrays = dict(zip(names.split(), map(np.asarray, arrays)))
    leading, dtype = next((name, a.dtype) for name, a in arrays.items())
    for name, a in arrays.items():
        if a.dtype.kind != "f" and a.ndim:
            raise TypeError(f"{name} is an array of {a.dtype}; expected floating point, for example {name}.astype(float)")
        if a.dtype.kind not in "fiu":
            raise TypeError(f"{name} is of {a.dtype}; expected a real number")
        if a.dtype != dtype and a.ndim:
            raise TypeError(f"{name} is an array of {a.dtype}, and {leading} of {dtype}; expected one dtype")
    return arrays.values()
''')

_helper('''
def _real(name, value, dtype):
    """A real number, in the dtype of the arrays."""
    if type(value) is not float and (np.ndim(value) or np.asarray(value).dtype.kind not in "fiu"):
        raise TypeError(f"{name} is {value!r}; expected a real number")
    return dtype.type(value)
''')

_helper('''
def _integer(name, value, least=None):
    """An integer parameter, checked."""
    if np.ndim(value) or isinstance(value, (bool, np.bool_)) or int(value) != value:
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if least is not None and value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
    return int(value)
''')

_helper('''
def _integers(name, array):
    """An array of integers, checked."""
    array = np.asarray(array)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} is an array of {array.dtype}; expected integers")
    return array.astype(np.int64, copy=False)
''')

_helper('''
def _shape(array, dimensions, declared):
    """The shape of an array with so many dimensions."""
    if array.ndim != dimensions:
        raise _misfit((array, (None,) * dimensions, declared))
    return array.shape
''')

_helper('''
def _misfit(*arrays):
    """The error that says which of the (array, shape, declared) does not fit, and where."""
    for array, shape, declared in arrays:
        name = declared.partition("[")[0]
        if array.ndim != len(shape):
            return ValueError(f"{name} has shape {array.shape}; expected {len(shape)} dimensions, {declared}")
        for k, (n, size) in enumerate(zip(array.shape, shape)):
            if n != size:
                return ValueError(f"{name} has shape {array.shape}; expected {size} in dimension {k} of {declared}")
''')

_helper('''
def _seed(array, dtype, shape, declared):
    """What the loss changes by with an output: an array of the output's dtype and shape."""
    if type(array) is np.ndarray and array.dtype is dtype and array.shape == shape:
        return array
    array = np.asarray(array)
    if array.dtype != dtype:
        name = declared.partition("[")[0]
        raise TypeError(f"{name} is an array of {array.dtype}; expected {dtype}")
    if array.shape != shape:
        raise _misfit((array, shape, declared))
    return array
''')

_helper('''
def _record(name, *fields):
    """A class of tuples whose entries have names."""
    entries = {field: property(lambda self, k=k: self[k]) for k, field in enumerate(fields)}
    show = lambda self: f"{name}({', '.join(f'{f}={v!r}' for f, v in zip(fields, self))})"
    as_dict = lambda self: dict(zip(fields, self))
    return type(name, (tuple,), {"__slots__": (), "_fields": fields, "_asdict": as_dict, "__repr__": show, **entries})
''')

_helper('''
def _margins(shape, axes):
    """(margins, starts, spans): how far the entries that the axes name lie outside an array of this shape, before and behind it;
    with such margins around it, where each axis starts and its (size, step)s."""
    margins, starts, spans = [], [], []
    for n, axis in zip(shape, axes):
        start, *group = axis or (0, (n, 1))
        low = start + sum(min(0, (size - 1) * step) for size, step in group)
        high = start + sum(max(0, (size - 1) * step) for size, step in group)
        before, after = (max(0, -low), max(0, high - n + 1)) if all(size > 0 for size, _ in group) else (0, 0)
        margins.append((before, after))
        starts.append(start + before)
        spans.append(group)
    return margins, starts, spans
''')

_helper('''
def _room(shape, axes, dtype, outside=0):
    """(A, view): an array of this shape, filled with `outside`, and the view of it and of its margins that _windows would give."""
    margins, starts, spans = _margins(shape, axes)
    padded = [before + n + after for n, (before, after) in zip(shape, margins)]
    steps = [int(np.prod(padded[k + 1:])) for k in range(len(padded))]
    sizes = [max(0, size) for group in spans for size, _ in group]
    strides = [step * one for group, one in zip(spans, steps) for _, step in group]
    first = sum(start * one for start, one in zip(starts, steps))
    memory = np.full(padded, outside, dtype)
    A = memory[tuple(slice(b, b + n) for n, (b, _) in zip(shape, margins))]
    if 0 in sizes:
        return A, np.zeros(sizes, dtype)
    return A, np.lib.stride_tricks.as_strided(memory.ravel()[first:], sizes, [s * memory.itemsize for s in strides])
''')

_helper('''
class _Taps:
    """Some images and the windows that slide over their last axes. On each of these, (start, (taps, step), (count, stride)) says that
    window k reads at tap t what stands at start + t*step + k*stride, and 0 (or another value) outside. Entries a stride apart lie
    side by side, with that value between them, so that one tap of all windows is one run of memory. The run goes on behind the
    last window of each axis where that makes it little longer: `shape` says how far; what stands there is of no use. Where it is to
    be narrow, it ends with the last window, and the taps of the last axis have memory of their own, so that rows follow each other."""

    def __init__(self, leading, sizes, axes, dtype, outside=0, narrow=False):
        apart = len(axes) - 1 if narrow and len(axes) > 1 else None
        lanes = [_lanes(n, *axis, k == apart) for k, (n, axis) in enumerate(zip(sizes, axes))]
        counts, lengths = [max(0, count) for _, _, (count, _) in axes], [length for _, _, length in lanes]
        self.outside, self.shape, self.memory, self.images, self.taps = outside, counts.copy(), {}, [], []
        idle = 1
        for k in range(len(axes) - 1, -1, -1):
            idle *= lengths[k]/max(1, counts[k])
            if narrow or idle > IDLE or axes[k][-1][1] < 1:
                break
            self.shape[k] = lengths[k]
        self.windows, self.columns = (*leading[-1:], *self.shape), None
        self.seen = (..., *(slice(count) for count, axis in zip(counts, axes) if axis[-1][1] > 0))
        shape, steps = (*leading, *lengths), [_product(lengths[k + 1:]) for k in range(len(lengths))]
        whole, places = _product(shape), [((), (), 0, ())]
        behind = sum(max((read[2] for read in reads), default=0)*step for (reads, _, _), step in zip(lanes, steps))
        for (reads, _, _), step in zip(lanes, steps):
            places = [((*taps, tap), (*windows, window), first + shift*step, (*phases, lane))
                      for taps, windows, first, phases in places for tap, window, shift, lane in reads]
        every, part = (slice(None),)*len(axes), (..., *map(slice, self.shape))
        for taps, windows, first, phases in places:
            if phases not in self.memory:
                self.memory[phases] = np.full(whole + behind, outside, dtype)
                here, there = zip(*(held[phase] for (_, held, _), phase in zip(lanes, phases)))
                self.images.append((self.memory[phases][:whole].reshape(shape)[(..., *here)], (..., *there)))
            view = self.memory[phases][first:first + whole].reshape(shape)
            if windows == every:
                self.taps.append((taps, view if self.shape == lengths else view[part]))
            else:
                some = (slice(n) if window == slice(None) else 0 for window, n in zip(windows, self.shape))
                self.taps.append(((*taps, ..., *windows), view[(..., *some)]))

    def fill(self, value):
        """The same everywhere."""
        for memory in self.memory.values():
            memory.fill(value)

    def put(self, images):
        """The images to look at."""
        for here, there in self.images:
            here[...] = images[there]

    def is_finite(self):
        """Whether all that is held is finite."""
        return all(np.isfinite(memory).all() for memory in self.memory.values())

    def exact(self):
        """The taps; where an image is not finite, with 0 behind the last windows: 0 times what stands there would not be 0."""
        return self.taps if self.is_finite() else [(at, _only(tap, self.seen)) for at, tap in self.taps]

    def copy(self, columns, exact=False):
        """columns[taps, ..., windows] = what the windows read."""
        for at, tap in self.exact() if exact else self.taps:
            columns[at] = tap

    def weighed(self, weights):
        """The sum of all taps, each times its weights[..., tap] for all leading axes but the last; so many at a time as stay in cache."""
        lead, count, run, total = weights.shape[:weights.ndim - len(self.shape)], len(self.taps), _product(self.windows), None
        most = max(1, min(count, int(IDLE*BLOCK) // max(1, _product(lead)*run)))
        if self.columns is None:
            self.columns = np.empty((*lead, most, *self.windows), weights.dtype)
        weights = weights.reshape(*lead, 1, count)
        for k in range(0, max(1, count), most):
            some = np.moveaxis(self.columns, len(lead), 0)[:count - k]
            for column, (_, tap) in zip(some, self.taps[k:]):
                column[...] = tap
            part = np.moveaxis(some, 0, len(lead)).reshape(*lead, len(some), run)
            product = (weights[..., k:k + most] @ part).reshape(*lead, *self.windows)
            total = product if total is None else np.add(total, product, out=total)
        return total

    def add(self, columns, images):
        """The adjoint: images = the sum of all columns[taps, ..., windows], each where its window reads; it is 0 elsewhere. What
        stands behind the last windows is 0, or, in a product with an infinity, is to be."""
        for exactly in (False, True):
            self.fill(0)
            for at, tap in self.taps:
                np.add(tap, _only(columns[at], self.seen) if exactly else columns[at], out=tap)
            if self.is_finite():
                break
        self.get(images)
        self.fill(self.outside)

    def get(self, images):
        """What stands where the images are."""
        for here, there in self.images:
            images[there] = here
''')

_helper('''
def _only(A, part):
    """A part of A, and 0 elsewhere."""
    out = np.zeros_like(A)
    out[part] = A[part]
    return out
''')

_helper('''
def _lanes(n, start, taps, windows, apart):
    """One axis of n entries, sorted into lanes of every stride-th entry: ([(tap, windows, where they begin in the lane, lane), ...],
    {lane: (the part of it that is on the axis, the part of the axis)}, from one lane to the next). What a lane lacks at its end is
    what lies outside before the next begins. apart: each tap has a lane of its own."""
    (taps, step), (count, stride) = taps, windows
    if stride > 0:
        reads = [(t, slice(None), t*step) for t in range(taps)]
    else:  # each window by itself
        reads, stride, count = [(t, k, t*step + k*stride) for t in range(taps) for k in range(count)], 1, 1
    low = min((place for _, _, place in reads), default=0)
    reads = [(t, k, *((0, place - low) if apart else divmod(place - low, stride))) for t, k, place in reads]
    length, held = max(0, count) + max((shift for _, _, shift, _ in reads), default=0), {}
    for _, _, _, lane in reads:
        first = start + low + lane
        skip = max(0, -(first // stride))
        inside = range(first + skip*stride, n, stride)[:max(0, length - skip)]
        held[lane] = slice(skip, skip + len(inside)), slice(inside.start, inside.stop, stride)
    idle = min((min(here.start, length - here.stop) for here, _ in held.values()), default=0)
    return reads, held, length - max(0, min(idle, length - max(0, count)))
''')

_helper('''
def _product(numbers):
    """The product of some integers."""
    product = 1
    for n in numbers:
        product *= n
    return product
''')

_helper('''
def _only_where(mask, x, out=None):
    """x where the mask is true and 0 elsewhere, whatever x is there: its bits times 1 or 0, several times as fast as np.where."""
    if x.itemsize > 8:
        return np.add(np.where(mask, x, x.dtype.type(0)), 0, out=out)
    bits = f"i{x.itemsize}"
    return np.multiply(x.view(bits), mask, out=out if out is None else out.view(bits)).view(x.dtype)
''')

_helper('''
def _where(mask, x, y):
    """np.where(mask, x, y): by bits, several times as fast, where branches would be hard to guess."""
    if _is_steady(mask) or x.dtype != y.dtype or x.itemsize > 8:
        return np.where(mask, x, y)
    bits, dtype = f"i{x.itemsize}", x.dtype
    x, y = x.view(bits), y.view(bits)
    chosen = (x ^ y)*mask
    chosen ^= y
    return chosen.view(dtype)
''')

_helper('''
def _is_steady(mask):
    """Whether a mask is small, or seldom changes from one entry to the next, so that processors guess what comes."""
    if np.size(mask) < 2048:
        return True
    mask = mask.reshape(-1)
    return 16*np.count_nonzero(mask[1:] != mask[:-1]) < mask.size
''')

_helper('''
def _slope(a, b, dtype):
    """How max(a, b) changes with a: 1 where a > b, 1/2 where a == b, 0 elsewhere."""
    return ((a > b).astype("i1") + (a >= b))*dtype.type(0.5)
''')

_helper('''
def _blocks(start, stop, entries, work=0):
    """(start, stop, count), ...: the images from start to stop, so many at a time, and those that are left. So many that their entries
    stay in cache, and that a product of matrices for all, of so much work each, is one that BLAS does in one go, if that of one image
    is; as runs of memory they are up to IDLE times as long. Where each image has a product of its own, half as many will do."""
    most = BLOCK // max(1, entries if work else 2*entries)
    if 0 < work <= SMALL:
        most = min(most, int(SMALL/(IDLE*max(1, work))))
    blocks = -(-(stop - start) // max(1, most))
    count = -(-(stop - start) // max(1, blocks))
    whole = stop - (stop - start) % max(1, count)
    return [block for block in ((start, whole, count), (whole, stop, stop - whole)) if block[0] < block[1]]
''')

_helper('''
def _diagonals(A, i, j):
    """A view whose entry [.., i, .., i + j, ..] is A[.., i, .., j, ..]; where A has no such entry, nobody may look."""
    shape, strides = list(A.shape), list(A.strides)
    shape[j] = max(0, shape[i] + shape[j] - 1)
    strides[i] -= strides[j]
    return np.lib.stride_tricks.as_strided(A, shape, strides)
''')

_helper('''
def _windows(A, *axes, outside=0):
    """A view of A. Each axis is None (all of it), or (start, (size, step), ...): one new axis for each (size, step), whose
    entries k1, k2, ... are A[start + k1*step1 + k2*step2 + ...], and 0 (or another value) outside A."""
    margins, starts, spans = _margins(A.shape, axes)
    if any(before or after for before, after in margins):
        inner, view = _room(A.shape, axes, A.dtype, outside)
        inner[...] = A
        return view
    sizes = [max(0, size) for group in spans for size, _ in group]
    if 0 in sizes:
        return np.zeros(sizes, A.dtype)
    strides = [step * one for group, one in zip(spans, A.strides) for _, step in group]
    return np.lib.stride_tricks.as_strided(A[tuple(slice(s, None) for s in starts)], sizes, strides, writeable=False)
''')

_helper('''
def _fold(V, shape, *axes):
    """The adjoint of _windows: an array of this shape, to which each entry of V is added where _windows would have read it."""
    out, places = _room(shape, axes, V.dtype)
    # The first of each group is added as one slice; the others are walked through.
    walked = [k > 0 for axis in axes for k in range(len(axis) - 1 if axis else 1)]
    for at in np.ndindex(*(n for n, w in zip(V.shape, walked) if w)):
        here = iter(at)
        key = tuple(next(here) if w else slice(None) for w in walked)
        places[key] += V[key]
    return out
''')

_helper('''
def _gather(A, *indices, outside=0):
    """A[indices] along the first axes of A, and 0 (or another value) where an index is outside its axis."""
    indices = np.broadcast_arrays(*indices)
    inside = np.logical_and.reduce([(0 <= i) & (i < n) for i, n in zip(indices, A.shape)])
    if inside.all():
        return A[tuple(indices)]
    if 0 in A.shape:
        return np.full(inside.shape + A.shape[len(indices):], outside, A.dtype)
    taken = A[tuple(np.where(inside, i, 0) for i in indices)]
    return np.where(inside.reshape(inside.shape + (1,) * (taken.ndim - inside.ndim)), taken, A.dtype.type(outside))
''')

_helper('''
def _scatter(V, shape, *indices):
    """The adjoint of _gather: an array of this shape, to which each entry of V is added at its indices; those outside are dropped.
    np.add.at is several times as fast along one axis: it goes by entries, a few rows of V at a time."""
    out, (axes, tail) = np.zeros(shape, V.dtype), (shape[:len(indices)], tuple(shape[len(indices):]))
    indices = np.broadcast_arrays(*indices)
    inside = np.logical_and.reduce([(0 <= i) & (i < n) for i, n in zip(indices, axes)])
    rows, place, width = np.broadcast_to(V, inside.shape + tail)[inside], 0, _product(tail)
    for i, n in zip(indices, axes):
        place = place*n + i[inside]
    flat, few = out.reshape(-1), max(1, 16384 // max(1, width))
    for k in range(0, len(rows), few):
        np.add.at(flat, (place[k:k + few, None]*width + np.arange(width)).reshape(-1), rows[k:k + few].reshape(-1))
    return out
''')

_helper('''
def _add_at(A, place, values, axis, out=None):
    """A, with values added where the index along an axis is `place`; a place that is not on the axis names nothing."""
    A = A.copy() if out is None else out
    rows = np.moveaxis(A, axis, -1)
    each = (*A.shape[:axis], 1, *A.shape[axis + 1:])
    place, values = (np.moveaxis(np.broadcast_to(x, each), axis, -1)[..., 0] for x in (place, values))
    at = np.nonzero((0 <= place) & (place < A.shape[axis]))
    rows[(*at, place[at])] += values[at]
    return A
''')

_helper('''
def _sigmoid(x, out=None):
    """1 / (1 + exp(-x)), without overflow."""
    y = np.multiply(x, 0.5, out=out)
    if not np.ndim(y):
        return 0.5 * np.tanh(y) + 0.5
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
    return y
''')

# No maximum is below the lowest finite number: exp(x - shift) is then 0, not nan, where all entries are -inf.
_helper('''
_LOWEST = {np.dtype(d): np.finfo(d).min for d in "efdg"}
''')

_helper('''
def _extreme(pick, x, axis, start, keepdims=False):
    """pick.reduce(x, axis) from a start, for np.maximum or np.minimum; few entries side by side go one after the other, many times
    as fast as row by row."""
    n = x.shape[axis] if type(axis) is int else 0
    if not 0 < 16*n*n < x.size or n*x.itemsize > 64 or x.strides[axis] > 256:
        return pick.reduce(x, axis, initial=start, keepdims=keepdims)
    before = (slice(None),)*axis
    y = pick(x[*before, 0], start)
    for k in range(1, n):
        pick(y, x[*before, k], out=y)
    return y[*before, None] if keepdims else y
''')

_helper('''
def _logsumexp(x, axis):
    """log(sum(exp(x))) along the axes, shifted by the maximum; -inf where all entries are."""
    if axis == 0 and x.ndim > 2:  # NumPy goes through a matrix in longer runs
        return _logsumexp(x.reshape(len(x), _product(x.shape[1:])), 0).reshape(x.shape[1:])
    m = _extreme(np.maximum, x, axis, -np.inf, keepdims=True)
    e = x - np.minimum(np.maximum(m, _LOWEST[x.dtype]), -_LOWEST[x.dtype])
    total = np.maximum(_sums(np.exp(e, out=e), axis), 1)  # it is at least 1, from the maximum itself
    np.log(total, out=total)
    total += m
    return total.squeeze(axis)
''')

_helper('''
@np.errstate(invalid="ignore")
def _log_of_exps(*terms):
    """log(exp(a) + exp(b) + ...), shifted by the largest; where that is infinite, so is the result."""
    largest = terms[0]
    for x in terms[1:]:
        largest = np.maximum(largest, x)
    total = np.exp(terms[0] - largest)
    for x in terms[1:]:
        total = total + np.exp(x - largest)
    return np.log(np.fmax(total, 1)) + largest  # at least 1, from the largest itself; inf - inf is nan, and left out
''')

_helper('''
def _masked(x, keep, value):
    """np.where(keep, x, value), in the memory of x: by bits where branches would be hard to guess."""
    if _is_steady(keep) or x.dtype != value.dtype or x.itemsize > 8:
        np.copyto(x, value, where=~keep)
        return x
    bits, value = x.view(f"i{x.itemsize}"), value.view(f"i{x.itemsize}")
    bits ^= value
    bits *= keep
    bits ^= value
    return x
''')

_helper('''
def _ones(n, dtype):
    """np.ones(n, dtype), in a third of the time where n is small."""
    ones = np.empty(n, dtype)
    ones.fill(1)
    return ones
''')

_helper('''
def _row_sums(x):
    """The sums along the last axis, as products with ones: where rows are short, many times as fast as x.sum(-1)."""
    n = x.shape[-1]
    if x.size < 2048 or x.ndim == 1 or not x.flags.c_contiguous:
        return np.vecdot(x, _ones(n, x.dtype))
    return (x.reshape(-1, n) @ _ones(n, x.dtype)).reshape(x.shape[:-1])
''')

_helper('''
def _column_sums(x):
    """The sums along the first axis of a matrix, as a product with ones: several times as fast as x.sum(0)."""
    return _ones(len(x), x.dtype) @ x
''')

_helper('''
def _sums(x, axis):
    """x.sum(axis, keepdims=True)."""
    return _row_sums(x)[..., None] if axis == x.ndim - 1 else np.add.reduce(x, axis, keepdims=True)
''')

_helper('''
def _softmax(x, axis, out=None):
    """exp(x)/sum(exp(x)) along the axes, shifted by the maximum."""
    p = np.subtract(x, _extreme(np.maximum, x, axis, _LOWEST[x.dtype], keepdims=True), out=out)
    np.exp(p, out=p)
    p /= _sums(p, axis)
    return p
''')

_helper('''
def _masked_softmax(x, axis, out=None):
    """exp(x)/sum(exp(x)) along the axes, shifted by the maximum; 0 where all entries are -inf."""
    p = np.subtract(x, _extreme(np.maximum, x, axis, _LOWEST[x.dtype], keepdims=True), out=out)
    np.exp(p, out=p)
    p /= np.maximum(_sums(p, axis), 1)  # where not all are masked it is at least 1, from the maximum
    return p
''')

_helper('''
def _log_softmax(x, axis, out=None):
    """log(exp(x)/sum(exp(x))) along the axes, shifted by the maximum; -inf where all entries are."""
    y = np.subtract(x, _extreme(np.maximum, x, axis, _LOWEST[x.dtype], keepdims=True), out=out)
    y -= np.log(np.maximum(_sums(np.exp(y), axis), 1))
    return y
''')

_helper('''
def _exp_difference(x, total, out=None):
    """exp(x - total), and 0 where x is -inf, also against a total of -inf."""
    e = np.subtract(x, np.where(total == -np.inf, x.dtype.type(0), total), out=out)
    return np.exp(e, out=e) if np.ndim(e) else np.exp(e)
''')

_helper('''
def _softplus(x, out=None):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x))), without overflow."""
    if not np.ndim(x):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    e = np.abs(x)
    for f in (np.negative, np.exp, np.log1p):
        f(e, out=e)
    y = np.maximum(x, 0, out=out)
    y += e
    return y
''')

_helper('''
def _erf(x):
    """The error function, relative error 5e-16 (3e-7 in float32): 1 - exp(a s(a) - a^2) for a = abs(x), s a polynomial in 1/(c + a)."""
    series, most, c, scale, shift = _ERF if np.result_type(x).itemsize > 4 else _ERF_SHORT
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(float)
    y = np.empty(x.shape, x.dtype)
    flat, result = x.reshape(-1), y.reshape(-1)
    for first in range(0, x.size, 16384):  # parts that stay in cache
        part, p = flat[first:first + 16384], result[first:first + 16384]
        a = np.abs(part)
        np.minimum(a, most, out=a)  # from here on it is 1
        u = scale/(c + a)
        u -= shift
        p[...] = series[-1]
        for k in series[-2::-1]:
            p *= u
            p += k
        p -= a
        p *= a
        np.expm1(p, out=p)
        np.copysign(p, part, out=p)
    return y if y.ndim else y[()]
''')

# log(erfc(a))/a + a: its Chebyshev series in u, computed with mpmath at 120 nodes, cut off, in powers of u. With t = c/(c + a), u goes
# from -1 at the largest a to 1 at 0.
_helper('''
_ERF = (
    (-0.7226526037276817, -0.3664705921766396, -0.04356821820570928, -0.00021351315807294286, 0.004042584110006372,
    0.0007585744519176087, -0.00013391177890585408, -0.0001451840445541957, -1.2353401333457329e-05,
    1.1864998034900871e-05, 5.459887946884414e-06, -5.125240081784452e-07, -7.104816170598777e-07,
    -1.5032336535350885e-07, 7.267920581868082e-08, 3.172659478452009e-08, 2.8984678365394614e-10,
    -5.086072165269097e-09, -8.864058648875552e-10, 3.923465640086006e-10, 2.082470318170004e-10,
    -3.5322059834201444e-11, -9.971661872757816e-12), 6, 4, 40/3, 7/3,
)
''')

_helper('''
_ERF_SHORT = (
    (-0.8095336297544298, -0.3200982468615395, -0.004432073158680494, 0.004778539703889225, 0.0013570498067883379,
    -0.000409067764551177, -6.258361352044291e-05, 1.3776882767655387e-05, 9.364520803782333e-06,
    -2.2964723945281085e-06), 4, 3, 10.5, 2.5,
)
''')

_helper('''
def _accumulate(f, A, axis):
    """A[t] = f(A[t - 1], A[t]) along the axis, in place; wide rows are taken whole."""
    if axis == A.ndim - 1 or A.size < WIDE * A.shape[axis]:
        f.accumulate(A, axis, out=A)
        return
    rows = np.moveaxis(A, axis, 0)
    for before, row in zip(rows, rows[1:]):
        f(before, row, out=row)
''')

_helper('''
def _until_settled(sweep, arrays):
    """Repeat sweep(), which recomputes the arrays from themselves, until nothing changes: the last resort for an order of
    computation that no loop follows. Every sweep settles at least one more element."""
    for _ in range(sum(a.size for a in arrays) + 2):
        before = [a.copy() for a in arrays]
        sweep()
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, before)):
            return
    raise ValueError("the definition needs itself: " + "its elements do not settle")
''')


_helper('''
def _in_parts(work, equations, count, entries, least=0):
    """work(part) for slices that make up 0, ..., count - 1, and the sums of what it returns. Arrays with so many entries for each of
    these stay in cache, part by part, on THREADS threads. It is one part where that would be shorter than the sums, or where so many
    equations are done before a thread has woken."""
    parts = min(count, count*entries // max(PART, least))
    if parts < 2 or equations*count*entries < 8*PART:
        return work(slice(0, count))
    parts = min(count, -(-parts//THREADS)*THREADS)
    run = lambda first, last: _part_by_part(work, [slice(count*k//parts, count*(k + 1)//parts) for k in range(first, last)])
    sums = _on_threads(run, parts)
    return None if sums[0] is None else [sum(each) for each in zip(*sums)]
''')

_helper('''
def _part_by_part(work, parts):
    """work(part) for all parts, and the sums of what it returns."""
    sums = None
    for part in parts:
        found = work(part)
        sums = found if sums is None else [a + b for a, b in zip(sums, found)]
    return sums
''')

_helper('''
def _on_threads(work, count):
    """[work(first, last), ...]: 0, ..., count - 1 in as many parts as there are THREADS, each on a thread of its own. NumPy lets
    go of Python's lock while it computes."""
    bounds = [count*k//THREADS for k in range(THREADS + 1)]
    with _one_thread_each():
        others = [_POOL.submit(contextvars.copy_context().run, work, *part)  # the state of floating point errors goes along
                  for part in zip(bounds[1:-1], bounds[2:])]
        return [work(*bounds[:2]), *(other.result() for other in others)]
''')

_helper('''
def _images_on_threads(work, count, multiplications):
    """[work(first, last), ...] for so many images: on THREADS threads, or, where so many multiplications for each are few, on one,
    with what linear algebra has of its own."""
    return _on_threads(work, count) if count*multiplications >= IMAGES*PART else [work(0, count)]
''')

_helper('''
def _one_thread_each():
    """Meanwhile linear algebra uses no threads of its own, where threadpoolctl is installed to tell it so."""
    return _POOLS.limit(limits=1, user_api="blas") if _POOLS else contextlib.nullcontext()
''')

_helper('''
_POOL = concurrent.futures.ThreadPoolExecutor(THREADS - 1)
''')

_helper('''
try:
    from threadpoolctl import ThreadpoolController
    _POOLS = ThreadpoolController()
except ImportError:
    _POOLS = None
''')


def needed(source: str) -> str:
    """The helpers that a source text uses, in their own order, with the helpers that these use."""
    used: set[str] = set()
    todo = [name for name in HELPERS if re.search(rf"\b{name}\b", source)]
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            todo += [other for other in HELPERS if other != name and re.search(rf"\b{other}\b", HELPERS[name])]
    return "\n\n\n".join(text for name, text in HELPERS.items() if name in used)
