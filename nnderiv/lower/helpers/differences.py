"""Sums of differences x − y of which there are many more than entries of x and y."""

TEXT = '''
def _place_by_place(x, y, axis):
    """The pairs of x and y at each place along an axis, where these are few: one after the other, in long rows, they take a fraction
    of the time of short rows; else none, nor where sums of halves would be rounded at each place."""
    count = x.shape[axis]
    long = max(x.shape[-3 - axis], y.shape[-3 - axis]) >= count and 0 < 256*count**3 <= x.size*y.size
    if not long or count*x.itemsize > 64 or x.itemsize < 4:
        return []
    return [*zip(*(np.ascontiguousarray(np.moveaxis(a, axis, 0)) for a in (x, y)))]


def _in_blocks(x, y):
    """x and y with the axes of x - y, and the slices of the first one for which x - y stays in cache."""
    x, y = np.broadcast_arrays(x, y)
    n = max(1, PART*len(x) // max(4*x.size, 1))
    return x, y, [slice(k, k + n) for k in range(0, len(x), n)]


def _square_distances(x, y):
    """((x - y)**2).sum(-1), without all differences at once in memory if they are many."""
    total = part = None
    for a, b in _place_by_place(x, y, -1):
        part = np.subtract(a, b, out=part)
        np.square(part, out=part)
        if total is None:
            total, part = part, None
        else:
            total += part
    if total is not None:
        return total
    if x.size*y.size > _MANY*x.shape[-1] and np.getbufsize() == BUFFER:
        return _in_short_buffers(x.shape[-1], _square_distances, x, y)
    if x.size*y.size <= LARGE*x.shape[-1]:
        part = x - y
        return np.vecdot(part, part)
    x, y, blocks = _in_blocks(x, y)
    total = np.empty(x.shape[:-1], x.dtype)
    for rows in blocks:
        part = x[rows] - y[rows]
        np.vecdot(part, part, out=total[rows])
    return total


def _weighted_differences(x, y, w):
    """((x - y)*w[..., None, :]).sum(-1), without all differences at once in memory if they are many."""
    if pairs := _place_by_place(x, y, -2):
        w, part = np.ascontiguousarray(w), np.empty_like(w)
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
'''
