"""Sums of differences x − y of which there are many more than entries of x and y."""

TEXT = '''
def _place_by_place(x, y, axis, *others):
    """x, y and others at each place along an axis, where these are few: one after the other, in long rows, they take a fraction
    of the time of short rows; else none, nor where sums of halves would be rounded at each place."""
    count = x.shape[axis]
    long = max(x.shape[-3 - axis], y.shape[-3 - axis]) >= count and 0 < 256*count**3 <= x.size*y.size
    if not long or count*x.itemsize > 64 or x.itemsize < 4:
        return []
    return [*zip(*(np.ascontiguousarray(np.moveaxis(a, axis, 0)) for a in (x, y, *others)))]


def _in_blocks(x, y, *others):
    """x, y and others with the axes of x - y, and the slices of the first one for which x - y stays in cache."""
    x, y, *others = np.broadcast_arrays(x, y, *others)
    n = max(1, PART*len(x) // max(4*x.size, 1))
    return x, y, *others, [slice(k, k + n) for k in range(0, len(x), n)]


def _by_products(x, y, count):
    """Whether so many places of x - y are worth products of matrices, whose digits are like these."""
    return count >= PLACES and x.size*y.size >= PAIRS*count and x.dtype.itemsize in (4, 8)


def _square_distances(x, y, *scale):
    """(((x - y)/scale)**2).sum(-1), without all differences at once in memory if they are many; the scale is 1, if there is none."""
    if not scale and _by_products(x, y, x.shape[-1]) and (total := _squares_of_matrices(x, y)) is not None:
        return total
    total = part = None
    for a, b, *c in _place_by_place(x, y, -1, *scale):
        part = np.subtract(a, b, out=part)
        if c:
            part /= c[0]
        np.square(part, out=part)
        if total is None:
            total, part = part, None
        else:
            total += part
    if total is not None:
        return total
    if x.size*y.size > _MANY*x.shape[-1] and np.getbufsize() == BUFFER:
        return _in_short_buffers(x.shape[-1], _square_distances, x, y, *scale)
    if x.size*y.size <= LARGE*x.shape[-1]:
        part = x - y
        if scale:
            part /= scale[0]
        return np.vecdot(part, part)
    x, y, *scale, blocks = _in_blocks(x, y, *scale)
    total = np.empty(x.shape[:-1], x.dtype)
    for rows in blocks:
        part = x[rows] - y[rows]
        if scale:
            part /= scale[0][rows]
        np.vecdot(part, part, out=total[rows])
    return total


def _squares_of_matrices(x, y):
    """The same as x·x + y·y - 2 x·y, seen from the middle of y, and by differences for pairs so close that this has lost its digits.
    None where many are, or numbers are too large, or x and y are no rows of two matrices."""
    x, y = (y, x) if y.shape[-2] == 1 else (x, y)
    if x.ndim < 3 or x.shape[-2] != 1 or y.ndim > 2 and y.shape[-3] != 1:
        return None
    middle = y.mean(-2, keepdims=True)
    rows, others = (x - middle)[..., 0, :], y - middle
    others = others[..., 0, :, :] if y.ndim > 2 else others
    squares = np.vecdot(rows, rows)[..., None] + np.vecdot(others, others)[..., None, :]
    if not squares.max(initial=0) < np.finfo(x.dtype).max/4:
        return None
    total = rows @ others.swapaxes(-1, -2)
    total *= -2
    total += squares
    squares /= 16
    close = total < squares
    count = np.count_nonzero(close)
    if 8*count > close.size:
        return None
    if count:
        at = np.unravel_index(np.flatnonzero(close), close.shape)
        x, y = (np.broadcast_to(a, (*close.shape, a.shape[-1])) for a in (x, y))
        part = x[at] - y[at]
        total[at] = np.vecdot(part, part)
    return total


def _weighted_differences(x, y, w):
    """((x - y)*w[..., None, :]).sum(-1), without all differences at once in memory if they are many."""
    if _by_products(x, y, x.shape[-2]) and (total := _weighted_matrices(x, y, w)) is not None:
        return total
    if pairs := _place_by_place(x, y, -2):
        w = np.ascontiguousarray(w)
        part = np.empty_like(w)
        total = np.empty((*w.shape[:-1], len(pairs)), w.dtype)
        for k, (a, b) in enumerate(pairs):
            np.vecdot(np.subtract(a, b, out=part), w, out=total[..., k])
        return total
    if x.size*y.size > _MANY*x.shape[-2] and np.getbufsize() == BUFFER:
        return _in_short_buffers(w.shape[-1], _weighted_differences, x, y, w)
    if x.size*y.size <= LARGE*x.shape[-2]:
        return ((x - y) @ w[..., None])[..., 0]
    x, y, blocks = _in_blocks(x, y)
    total = np.empty(x.shape[:-1], x.dtype)
    for rows in blocks:
        np.matmul(x[rows] - y[rows], w[rows, ..., None], out=total[rows, ..., None])
    return total


def _weighted_matrices(x, y, w):
    """The same as x*w.sum(-1)[..., None] - w @ y.T, seen from the middle of y, or its negative where x and y are exchanged. None where
    numbers are too large, or there are no such matrices."""
    sign, x, y = (-1, y, x) if y.shape[-1] == 1 else (1, x, y)
    if x.shape[-1] != 1 or y.ndim > 2 and y.shape[-3] != 1:
        return None
    middle = y.mean(-1, keepdims=True)
    if not np.isfinite(middle).all():
        return None
    total, others = (x - middle)[..., 0]*(w @ _ones(w.shape[-1], w.dtype))[..., None], y - middle
    total -= w @ (others[..., 0, :, :] if y.ndim > 2 else others).swapaxes(-1, -2)
    return total if sign > 0 else np.negative(total, out=total)
'''
