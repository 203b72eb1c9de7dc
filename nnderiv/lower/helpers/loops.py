"""Recurrences of one operation, and work in parts."""

TEXT = '''
def _accumulate(f, A, axis):
    """A[t] = f(A[t - 1], A[t]) along the axis, in place; wide rows are taken whole."""
    if axis == A.ndim - 1 or A.size < WIDE * A.shape[axis]:
        f.accumulate(A, axis, out=A)
        return
    rows = np.moveaxis(A, axis, 0)
    for before, row in zip(rows, rows[1:]):
        f(before, row, out=row)


_STEPS = LONG  # steps from which it may pay that blocks of them go abreast


def _scan(a, y, axis, f=np.add, chosen=False):
    """y[t] += a[t - 1]*y[t - 1] along the axis, in place, or y[t] = f(y[t], a[t - 1] + y[t - 1]) for another f; where there are many
    rows and short ones, blocks of them go abreast; a few of one number each go in Python's numbers. If y is chosen, an a of 0 takes nothing
    from it, whatever it is."""
    steps = (*y.shape[:axis], max(0, y.shape[axis] - 1), *y.shape[axis + 1:])
    a, times = np.asarray(a, y.dtype), np.multiply if f is np.add else np.add
    a = a if a.shape == steps else np.broadcast_to(a, steps)
    a, y = (x[..., None].swapaxes(0, axis) for x in (a, y))  # a row is an array, also where y is a vector
    if f is np.add and 0 < y.size == len(y) < ALONE:
        last, *numbers = y.reshape(-1).tolist()
        numbers = [last := x + by*last if by or not chosen else x for x, by in zip(numbers, a.reshape(-1).tolist())]
        y[1:] = np.reshape(numbers, y[1:].shape)
        return
    if abs(y.strides[0]) == y.itemsize and y.size >= TURNED and 32*len(y) <= y.size <= 2*len(y)**2:  # columns lie side by side
        rows = _turned(y)
        _scan(_turned(a), rows, 0, f, chosen)
        _in_strips(y, rows, 0)
        return
    done = _scan_abreast(a, y, f, times) if len(a) >= _STEPS and 0 < y.size <= NARROW*len(y) else 0
    for factor, before, row in zip(a[done:], y[done:], y[done + 1:]):
        handed = times(factor, before)
        if chosen:
            handed[factor == 0] = 0
        f(row, handed, out=row)


def _turned(x):
    """A copy whose rows lie side by side, of an array whose columns do."""
    copy = np.empty(x.shape, x.dtype)
    axis = 1 + int(np.argmax(x.shape[1:]))
    _in_strips(copy, x, axis, 8 if x.strides[axis] % 4096 == 0 else 16)  # lines so far apart share their places in the cache: eight fit
    return copy


def _in_strips(to, x, axis, many=16):
    """to[...] = x, in strips so narrow that a line of the cache is used up before it is lost."""
    for k in range(0, x.shape[axis], many):
        strip = (slice(None),)*axis + (slice(k, k + many),)
        to[strip] = x[strip]


def _scan_abreast(a, y, f, times):
    """The same for the first steps, in blocks of RUN or a few more, and how many these are: what each block comes to if nothing is before
    it, and then what the block before it ends with, a scan of its own, times the product of all a since. None, 0, if a number is too large
    for that, or too small."""
    blocks = max(1, len(a)//RUN)
    done = len(a)//blocks*blocks
    abreast = lambda x: x.reshape(blocks, -1, *x.shape[1:]).swapaxes(0, 1)
    rows, products = abreast(y[1:done + 1]), abreast(a[:done]).copy()
    own, before = rows.copy(), np.empty_like(y[:blocks])
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, len(own)):
            f(own[k], times(products[k], own[k - 1]), out=own[k])
            times(products[k], products[k - 1], out=products[k])
        before[0], before[1:] = y[0], own[-1, :-1]
        _scan(products[-1, :-1], before, 0, f)
    unsettled = np.isnan if f is not np.add else lambda x: ~np.isfinite(x)
    if unsettled(products[-1]).any() or unsettled(before).any() or unsettled(own[-1]).any():
        return 0
    if f is np.add and _is_lost(abreast(a[:done]), products, before):
        return 0
    times(products, before, out=products)
    f(own, products, out=rows)
    return done


def _is_lost(factors, products, before):
    """Whether a product of the factors, none of them 0, is too small for its digits to be kept, and is to be times a number so large
    that what they come to is not."""
    kinds = np.finfo(before.dtype)
    large = np.abs(before) > kinds.tiny/kinds.smallest_subnormal
    return large.any() and bool(((np.abs(products) < kinds.tiny) & np.logical_and.accumulate(factors != 0) & large).any())


def _recur(factors, y, axis):
    """y[t] += a*y[t - 1] + b*y[t - 2] + ... along the axis, in place, for factors a, b, ... of the steps after the first few. Where these
    are many, and rows short, blocks of them go abreast; few steps of one number each go in Python's numbers."""
    order, ndim = len(factors), y.ndim
    if y.shape[axis] <= order:
        return
    by_steps = lambda a: a.reshape((1,)*(ndim - a.ndim) + a.shape)[..., None].swapaxes(0, axis)
    y, *factors = (by_steps(np.asarray(a, y.dtype)) for a in (y, *factors))  # a row is an array, also where y is a vector
    if y.size == len(y) < ALONE:
        numbers = y.reshape(-1).tolist()
        each = [np.broadcast_to(a, (len(y) - order, *y.shape[1:])).reshape(-1).tolist() for a in factors]
        for t in range(order, len(y)):
            for m, a in enumerate(each, 1):
                numbers[t] += a[t - order]*numbers[t - m]
        y[...] = np.reshape(numbers, y.shape)
        return
    done = _recur_abreast(factors, y) if len(y) >= _STEPS and 0 < y.size <= NARROW*len(y) else 0
    for t in range(done, len(y) - order):
        for m, a in enumerate(factors, 1):
            y[t + order] += a[t if len(a) > 1 else 0]*y[t + order - m]


def _recur_abreast(factors, y):
    """The same for the first steps, in √T blocks, and how many these are: what each block comes to if nothing is before it, then what
    the block before it ends with, times what comes of a 1 in each of the rows before. None, 0, if a number is too large for that."""
    order, rows = len(factors), y.shape[1:]
    blocks = int((len(y) - order)**0.5)
    size = (len(y) - order)//blocks
    done = blocks*size
    abreast = lambda x: x.reshape(blocks, size, *x.shape[1:]).swapaxes(0, 1)
    ones = blocks if any(len(a) > 1 for a in factors) else 1
    if ones > 1:
        factors = [np.tile(abreast(np.broadcast_to(a, (len(y) - order, *rows))[:done]), (1, 1 + order) + (1,)*len(rows)) for a in factors]
    each = np.zeros((size + order, blocks + order*ones, *rows), y.dtype)
    own, alone = each[:, :blocks], each[:, blocks:].reshape(size + order, order, ones, *rows)
    own[order:] = abreast(y[order:order + done])
    before, part = np.empty((order, blocks, *rows), y.dtype), np.empty_like(each[0])
    before[:, 0] = y[order - 1::-1]
    with np.errstate(over="ignore", invalid="ignore"):
        for m in range(order):
            alone[order - 1 - m, m] = 1
        for t in range(order, len(each)):
            for m, a in enumerate(factors, 1):
                each[t] += np.multiply(a[t - order if len(a) > 1 else 0], each[t - m], out=part)
        last, ends = own[:-order - 1:-1], alone[:-order - 1:-1]
        for k in range(1, blocks):
            before[:, k] = last[:, k - 1] + (ends[:, :, (k - 1) % ones]*before[:, k - 1]).sum(1)
        for m in range(order):
            own[order:] += alone[order:, m]*before[m]
    if not (np.isfinite(each[-1]).all() and np.isfinite(before).all()) or _is_lost_alone(alone, before):
        return 0
    abreast(y[order:order + done])[...] = own[order:]
    return done


def _is_lost_alone(alone, before):
    """Whether what comes of a 1 is too small for its digits to be kept, and is to be times a number so large that the product is not."""
    kinds = np.finfo(before.dtype)
    large = np.abs(before) > kinds.tiny/kinds.smallest_subnormal
    return large.any() and bool(((np.abs(alone) < kinds.tiny) & (alone != 0)).any())


def _logaddexp(a, b, out):
    """np.logaddexp(a, b, out=out), several times as fast."""
    out[...] = _log_of_exps(a, b)


def _until_settled(sweep, arrays):
    """Repeat sweep(), which recomputes the arrays from themselves, until nothing changes: the last resort for an order of
    computation that no loop follows. Every sweep settles at least one more element."""
    for _ in range(sum(a.size for a in arrays) + 2):
        before = [a.copy() for a in arrays]
        sweep()
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, before)):
            return
    raise ValueError("the definition needs itself: " + "its elements do not settle")


_NEAR = CHAIN  # entries of an array, several of which stay in the nearer cache


def _slices(count, parts):
    """So many slices, of equal length, that make up 0, ..., count - 1."""
    return [slice(count*k // parts, count*(k + 1) // parts) for k in range(parts)]


def _parts(count, entries, least=0):
    """Slices that make up 0, ..., count - 1. Arrays with so many entries for each of these stay in cache, part by part, and have no
    fewer entries than `least`; where two parts would do, it is one."""
    long = max(_NEAR, least)
    return _slices(count, 1 if count*entries <= 2*long else -(-count // max(long // entries, 1)))


def _pairs(rows, columns, entries, least=0):
    """_parts for two indices: pairs of slices, several rows of so many columns, or part of one."""
    if columns*entries <= 2*max(_NEAR, least):
        return [(n, slice(0, columns)) for n in _parts(rows, columns*entries, least)]
    return [(slice(n, n + 1), t) for n in range(rows) for t in _parts(columns, entries, least)]


def _in_parts(work, equations, count, entries, least=0, near=False):
    """work(part) for slices that make up 0, ..., count - 1, and the sums of what it returns. Arrays with so many entries for each of
    these stay in cache, part by part, on THREADS threads. It is one part where that would be shorter than the sums, or where so many
    equations, of those that go entry by entry, are done before a thread has woken; or several, that stay in the nearer cache."""
    parts = min(count, count*entries // max(PART, least))
    if parts < 2 or equations*count*entries < 4*PART:
        return _part_by_part(work, _parts(count, entries, least)) if near else work(slice(0, count))
    return _shared_out(work, _slices(count, min(count, -(-parts//THREADS)*THREADS)))


def _in_pairs(work, equations, rows, columns, entries, least=0, near=False):
    """_in_parts for two indices: work(n, t) for pairs of slices."""
    each = min(columns, -(-columns*entries // max(4*PART if near else PART, least)))  # short calls would wait for each other
    if each < 2 or not rows:
        return _in_parts(lambda n: work(n, slice(0, columns)), equations, rows, columns*entries, least, near)
    one = lambda pair: work(*pair)
    if equations*rows*columns*entries < 4*PART:
        return _part_by_part(one, _pairs(rows, columns, entries, least)) if near else work(slice(0, rows), slice(0, columns))
    return _shared_out(one, [(slice(n, n + 1), t) for n in range(rows) for t in _slices(columns, each)])


def _shared_out(work, parts):
    """work(part) for all parts, each thread its share of them, and the sums of what it returns."""
    sums = _on_threads(lambda first, last: _part_by_part(work, parts[first:last]), len(parts))
    return None if sums[0] is None else [sum(each) for each in zip(*sums)]


def _part_by_part(work, parts):
    """work(part) for all parts, and the sums of what it returns."""
    sums = None
    for part in parts:
        found = work(part)
        sums = found if sums is None else [a + b for a, b in zip(sums, found)]
    return sums


def _images_on_threads(work, count, multiplications):
    """[work(first, last), ...] for so many images: on THREADS threads, or, where these or so many multiplications for each are few, on
    one, with what linear algebra has of its own."""
    return _on_threads(work, count) if count >= THREADS and count*multiplications >= IMAGES*PART else [work(0, count)]
'''
