"""What lies around an image, and its windows tap by tap of the kernel."""

TEXT = '''
def _margins(shape, axes):
    """(margins, starts, spans): how far the entries that the axes name lie outside an array of this shape, before and behind it;
    with such margins around it, where each axis starts and its (size, step)s."""
    margins, starts, spans = [], [], []
    for n, axis in zip(shape, axes):
        start, *group = axis or (0, (n, 1))
        low = high = start
        for size, step in group:
            if size <= 0:  # nothing is read
                low, high = 0, n - 1
                break
            if step < 0:
                low += (size - 1)*step
            else:
                high += (size - 1)*step
        before, after = max(0, -low), max(0, high - n + 1)
        margins.append((before, after))
        starts.append(start + before)
        spans.append(group)
    return margins, starts, spans


def _strided(A, starts, spans):
    """The view of an array with an axis for each (size, step) of each of its axes, from its start on."""
    sizes, strides, first = [], [], 0
    for start, group, one in zip(starts, spans, A.strides):
        first += start*one
        for size, step in group:
            sizes.append(max(0, size))
            strides.append(step*one)
    if 0 in sizes:
        return np.zeros(sizes, A.dtype)
    if A.flags.c_contiguous:  # several times as fast as what follows
        return np.ndarray(sizes, A.dtype, A, first, strides)
    return np.lib.stride_tricks.as_strided(A[tuple(slice(s, None) for s in starts)], sizes, strides)


def _room(shape, axes, dtype, outside=0):
    """(A, view): an array of this shape, filled with `outside`, and the view of it and of its margins that _windows would give."""
    margins, starts, spans = _margins(shape, axes)
    padded = [before + n + after for n, (before, after) in zip(shape, margins)]
    memory = np.full(padded, outside, dtype) if outside else np.zeros(padded, dtype)
    A = memory[tuple([slice(b, b + n) for n, (b, _) in zip(shape, margins)])]
    return A, _strided(memory, starts, spans)


def _remembered(function):
    """function(...), with its last results kept: sizes are the same at call after call."""
    known = {}
    def run(*arguments):
        result = known.get(arguments)
        if result is None:
            if len(known) >= 64:
                known.clear()
            result = known[arguments] = function(*arguments)
        return result
    return run


@_remembered
def _layout(leading, sizes, axes):
    """How the memory of `_Taps` is laid out: (the windows of an axis with what lies behind the last, which of these exist, the shape of
    an image there, its entries and those behind, how many images there are, [(where an image stands, what of the others is in it), ...],
    [(tap, where it begins, the part of an image that it sees), ...])."""
    lanes = [_lanes(n, *axis) for n, axis in zip(sizes, axes)]
    counts, lengths = [max(0, count) for _, _, (count, _) in axes], [length for _, _, length in lanes]
    run, idle = counts.copy(), 1
    for k in range(len(axes) - 1, -1, -1):
        idle *= lengths[k]/max(1, counts[k])
        if idle > IDLE or axes[k][-1][1] < 1:
            break
        run[k] = lengths[k]
    shape, steps = (*leading, *lengths), [_product(lengths[k + 1:]) for k in range(len(lengths))]
    places, entries = [((), (), 0, ())], _product(shape)
    for (reads, _, _), step in zip(lanes, steps):
        entries += max((read[2] for read in reads), default=0)*step
        places = [((*taps, tap), (*windows, window), first + shift*step, (*phases, lane))
                  for taps, windows, first, phases in places for tap, window, shift, lane in reads]
    order = {phases: k for k, phases in enumerate(dict.fromkeys([phases for *_, phases in places]))}
    images = []
    for phases, k in order.items():
        here, there = zip(*[held[phase] for (_, held, _), phase in zip(lanes, phases)])
        images.append(((k, ..., *here), (..., *there)))
    taps = []
    for at, windows, first, phases in places:
        every = windows == (slice(None),)*len(axes)
        part = tuple([slice(n) if window == slice(None) else 0 for window, n in zip(windows, run)])
        taps.append((at if every else (*at, ..., *windows), order[phases]*entries + first, (..., *part)))
    seen = (..., *[slice(count) for count, axis in zip(counts, axes) if axis[-1][1] > 0])
    return run, seen, shape, entries, len(order), images, taps


class _Taps:
    """Some images and the windows that slide over their last axes. On each of these, (start, (taps, step), (count, stride)) says that
    window k reads at tap t what stands at start + t*step + k*stride, and 0 (or another value) outside. Entries a stride apart lie
    side by side, with that value between them, so that one tap of all windows is one run of memory. The run goes on behind the
    last window of each axis where that makes it little longer: `shape` says how far; what stands there is of no use."""

    def __init__(self, leading, sizes, axes, dtype, outside=0):
        self.shape, self.seen, shape, entries, count, images, taps = _layout(leading, sizes, axes)
        self.windows, self.columns, self.outside = (*leading[-1:], *self.shape), None, outside
        self.memory, whole = np.full((count, entries), outside, dtype), _product(shape)
        inner, flat = self.memory[:, :whole].reshape(count, *shape), self.memory.reshape(-1)
        self.images = [(inner[here], there) for here, there in images]
        self.taps = [(at, flat[first:first + whole].reshape(shape)[part]) for at, first, part in taps]

    def fill(self, value):
        """The same everywhere."""
        self.memory.fill(value)

    def put(self, images):
        """The images to look at."""
        for here, there in self.images:
            here[...] = images[there]

    def is_finite(self):
        """Whether all that is held is finite."""
        return bool(np.isfinite(self.memory).all())

    def exact(self):
        """The taps; where an image is not finite, with 0 behind the last windows: 0 times what stands there would not be 0."""
        return self.taps if self.is_finite() else [(at, _only(tap, self.seen)) for at, tap in self.taps]

    def copy(self, columns, exact=False):
        """columns[taps, ..., windows] = what the windows read."""
        for at, tap in self.exact() if exact else self.taps:
            columns[at] = tap

    def weighed(self, weights):
        """The sum of all taps, each times its weights[..., tap] for all leading axes but the last; so many at a time as stay in cache, or
        one after the other, if these are few."""
        lead, count, run, total = weights.shape[:weights.ndim - len(self.shape)], len(self.taps), _product(self.windows), None
        most = max(1, min(count, int(IDLE*BLOCK) // max(1, _product(lead)*run)))
        if count and most < TAPS:
            weights = np.moveaxis(weights.reshape(*lead, count, *[1]*len(self.windows)), len(lead), 0)
            for weight, (_, tap) in zip(weights, self.taps):
                if total is None:
                    total = tap*weight
                else:
                    self.columns = np.multiply(tap, weight, out=self.columns)
                    total += self.columns
            return total
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


class _Rows:
    """Some images and the windows that slide over their last axes, as in `_Taps`, entry by entry along the first of these. What a tap
    of that axis sees in all windows, with all taps of the others, is a matrix for each image; the next tap sees the same memory, from
    some rows further on. There is nothing behind the last windows."""

    def __init__(self, leading, sizes, axes, dtype):
        (reads, held, length), *beside = [_lanes(n, *axis, k > 0) for k, (n, axis) in enumerate(zip(sizes, axes))]
        (images, *channels), (count, *counts) = leading, (max(0, count) for _, _, (count, _) in axes)
        taps, run = [()], _product(counts)
        for others, _, _ in beside:
            taps = [(*tap, lane) for tap in taps for _, _, _, lane in others]
        shape = (images, len(taps), *channels, length, *counts)
        whole, depth = _product(shape), len(taps)*_product(channels)
        memory = np.zeros(whole + run*max((shift for _, _, shift, _ in reads), default=0), dtype)
        self.images, self.columns, self.part = [], None, None
        for (here, there), (k, tap) in [(rows, tap) for rows in held.values() for tap in enumerate(taps)]:
            places = [inside[lane] for (_, inside, _), lane in zip(beside, tap)]
            view = memory[:whole].reshape(shape)[(slice(None), k, ..., here, *(place for place, _ in places))]
            self.images.append((view, (..., there, *(place for _, place in places))))
        self.taps = [memory[run*shift:run*shift + whole].reshape(images, depth, length*run)[..., :count*run] for _, _, shift, _ in reads]

    def put(self, images):
        """The images to look at."""
        for here, there in self.images:
            here[...] = images[there]

    def product(self, weights, out):
        """out = the sum over all taps of the first axis, weights[tap] @ what it sees; all at once where that has few rows."""
        taps = self.taps
        if len(taps) > 1 and weights.shape[-1] < DEPTH:
            self.columns = np.concatenate(taps, 1, out=self.columns)
            taps, weights = [self.columns], [np.concatenate(weights, 1)]
        if not taps:
            out[...] = 0
        for k, (tap, weight) in enumerate(zip(taps, weights)):
            if k == 0:
                np.matmul(weight, tap, out=out)
            else:
                self.part = np.matmul(weight, tap, out=self.part)
                out += self.part

    def correlate(self, images, kernel):
        """The adjoint in the weights: kernel[tap] += the sum over all images of what it sees @ image.T, where that is small in pieces
        which BLAS takes as they are."""
        run, size = images.shape[-1], _product(kernel.shape[1:])
        step = max(1, SMALL//max(1, size)) if size <= FEW else max(1, run)
        for first in range(0, run, step):
            some = images[..., first:first + step].swapaxes(1, 2)
            for k, tap in enumerate(self.taps):
                self.part = np.matmul(tap[..., first:first + step], some, out=self.part)
                kernel[k] += self.part.sum(0)


def _only(A, part):
    """A part of A, and 0 elsewhere."""
    out = np.zeros_like(A)
    out[part] = A[part]
    return out


def _lanes(n, start, taps, windows, apart=False):
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


def _product(numbers):
    """The product of some integers."""
    product = 1
    for n in numbers:
        product *= n
    return product
'''
