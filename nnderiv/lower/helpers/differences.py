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


def _square_distances(x, y, *scale):
    """(((x - y)/scale)**2).sum(-1), without all differences at once in memory if they are many; the scale is 1, if there is none."""
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
