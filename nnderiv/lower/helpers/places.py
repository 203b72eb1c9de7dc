"""Reads that are more than a slice, and their adjoints: blocks, diagonals, windows, look-ups."""

TEXT = '''
def _blocks(start, stop, entries, work=0, weights=0):
    """(start, stop, count), ...: the images from start to stop, so many at a time, and those that are left. So many that their entries
    stay in cache, or are as many as the weights that each block reads anew. Where weights are few, and BLAS does a product of matrices
    of so much work, that of one image, in one go, so it does that of a block; as runs of memory images are up to IDLE times as long.
    Where each image has a product of its own, half as many will do."""
    most = max(BLOCK, weights) // max(1, entries if work else 2*entries)
    if 0 < work <= SMALL and weights <= FEW:
        most = min(most, int(SMALL/(IDLE*max(1, work))))
    blocks = -(-(stop - start) // max(1, most))
    count = -(-(stop - start) // max(1, blocks))
    whole = stop - (stop - start) % max(1, count)
    return [block for block in ((start, whole, count), (whole, stop, stop - whole)) if block[0] < block[1]]


def _entry(A, *places, outside=0):
    """A[places], with None for all of an axis; 0 (or another value) where an axis is so short that the place is not on it."""
    for n, place in zip(A.shape, places):
        if place is not None and not 0 <= place < n:
            rest = [n for n, place in zip(A.shape, places) if place is None]
            return np.full((*rest, *A.shape[len(places):]), outside, A.dtype)[()]
    return A[places] if None not in places else A[tuple(slice(None) if place is None else place for place in places)]


def _diagonals(A, i, j):
    """A view whose entry [.., i, .., i + j, ..] is A[.., i, .., j, ..]; where A has no such entry, nobody may look."""
    shape, strides = list(A.shape), list(A.strides)
    shape[j] = max(0, shape[i] + shape[j] - 1)
    strides[i] -= strides[j]
    return np.lib.stride_tricks.as_strided(A, shape, strides)


def _askew(A, i, j, size, place):
    """Zeros, with A[.., i, .., j, ..] at [.., i, .., start + by_i*i + by_j*j, ..] of an axis of this size, for place = (start, by_i, by_j):
    each row of A, a step further than the one before."""
    start, by_i, by_j = place
    shape = (*A.shape[:j], size, *A.shape[j + 1:])
    out = np.zeros(shape, A.dtype)
    strides = list(out.strides)
    strides[i] += by_i*strides[j]
    strides[j] *= by_j
    if A.size:
        np.lib.stride_tricks.as_strided(out[(slice(None),)*j + (slice(start, None),)], A.shape, strides)[...] = A
    return out


def _windows(A, *axes, outside=0):
    """A view of A. Each axis is None (all of it), or (start, (size, step), ...): one new axis for each (size, step), whose
    entries k1, k2, ... are A[start + k1*step1 + k2*step2 + ...], and 0 (or another value) outside A."""
    margins, starts, spans = _margins(A.shape, axes)
    if any(map(any, margins)):
        inner, view = _room(A.shape, axes, A.dtype, outside)
        inner[...] = A
        return view
    view = _strided(A, starts, spans)
    view.flags.writeable = False
    return view


def _places_in(A, *axes):
    """The entries of A that _windows would read, all of them inside A, to be written to."""
    _, starts, spans = _margins(A.shape, axes)
    return _strided(A, starts, spans)


def _fold(V, shape, *axes):
    """The adjoint of _windows: an array of this shape, to which each entry of V is added where _windows would have read it."""
    at = 0  # where the axes of a group stand in V
    for axis, group in enumerate(axes):
        if group and len(group) == 3 and min(group[1][0], group[2][0]) >= 16 and abs(group[1][1]) == abs(group[2][1]):
            V, first = _diagonal_sums(V, at, *group)
            return _fold(V, shape, *axes[:axis], first, *axes[axis + 1:])
        at += len(group) - 1 if group else 1
    out, places = _room(shape, axes, V.dtype)
    # The first of each group is added as one slice; the others are walked through.
    walked = [k > 0 for axis in axes for k in range(len(axis) - 1 if axis else 1)]
    for at in np.ndindex(*(n for n, w in zip(V.shape, walked) if w)):
        here = iter(at)
        key = tuple(next(here) if w else slice(None) for w in walked)
        places[key] += V[key]
    return out


def _diagonal_sums(V, axis, start, rows, columns):
    """V, summed along the diagonals of two of its axes, which _windows reads at start + k*step + l*step or start + k*step - l*step, and
    what it reads then. Each row is shifted by one more than that before: it has so many zeros behind it, but for one; rows are few."""
    (n, step), (m, other) = sorted((rows, columns))
    V = np.moveaxis(V, (axis, axis + 1), (-2, -1) if rows <= columns else (-1, -2))
    if step != other:
        V, start = V[..., ::-1, :], start + step*(n - 1)
    wide = np.zeros((*V.shape[:-1], n + m), V.dtype)
    wide[..., :m] = V
    flat = wide.reshape(*V.shape[:-2], n*(n + m))[..., :n*(n + m - 1)]
    return np.moveaxis(_column_sums(flat.reshape(*V.shape[:-1], n + m - 1)), -1, axis), (start, (n + m - 1, other))


def _around(A, axis, start, size):
    """So many entries along an axis that goes round in a circle, from one of them on; zeros along an empty one."""
    if not A.shape[axis]:
        return np.zeros((*A.shape[:axis], size, *A.shape[axis + 1:]), A.dtype)
    return np.take(A, np.arange(start, start + size), axis, mode="wrap")


def _gather(A, *indices, outside=0):
    """A[indices] along the first axes of A, and 0 (or another value) where an index is outside its axis."""
    if all(_all_inside(i, n) for i, n in zip(indices, A.shape)):
        return _taken(A, indices)
    inside = np.True_
    for i, n in zip(indices, A.shape):
        inside = inside & (0 <= i) & (i < n)
    if 0 in A.shape:
        return np.full(inside.shape + A.shape[len(indices):], outside, A.dtype)
    taken = _taken(A, tuple(np.clip(i, 0, n - 1) for i, n in zip(indices, A.shape)))
    return np.where(inside.reshape(inside.shape + (1,) * (taken.ndim - inside.ndim)), taken, A.dtype.type(outside))


def _all_inside(i, n):
    """Whether these are all places of an axis of so many."""
    return bool((np.asarray(i, np.int64).view(np.uint64) < n).all())  # less than none is more than any


def _taken(A, indices):
    """A[indices], in whole rows: np.take copies them faster. A[i[:, None], j] is A[i][:, j], if neither i nor j is short beside A; many
    places, of which most indices know one axis each, are numbered first."""
    if len(indices) == 1:
        return A.take(indices[0], 0) if A.flags.c_contiguous else A[indices]
    shapes = [np.shape(x) for x in indices]
    for first, second in ((0, 1), (1, 0)):
        if len(shapes) == 2 and shapes[first][1:] == (1,) and len(shapes[second]) == 1:
            i, j, B = indices[first][:, 0], indices[second], A if first == 0 else A.swapaxes(0, 1)
            if B.shape[0] <= i.size and B.shape[1] <= j.size:
                return B.take(i, 0).take(j, 1)
    if A.flags.c_contiguous and max(map(np.size, indices)) >= 4096:
        axes, tail = A.shape[:len(indices)], A.shape[len(indices):]
        steps = [_product(axes[k + 1:]) for k in range(len(axes))]
        place = sum(i*step for i, step in sorted(zip(indices, steps), key=lambda x: np.size(x[0])))
        return A.reshape(_product(axes), *tail).take(place, 0)
    return A[indices]


def _scatter(V, shape, *indices, by=np.add, start=0):
    """The adjoint of _gather: an array of this shape, to which each entry of V is added at its indices; those outside are dropped.
    Rows that are long go as wholes; numbers are counted by np.bincount, if there are few places for them; else, and for another ufunc
    and its start, ufunc.at goes by entries, several times as fast along one axis, a few rows at a time."""
    axes, tail, place = shape[:len(indices)], tuple(shape[len(indices):]), 0
    for i, n in zip(indices, axes):
        place = place*n + i
    rows, width = np.broadcast_to(V, np.shape(place) + tail), _product(tail)
    if all(_all_inside(i, n) for i, n in zip(indices, axes)):
        place = np.reshape(place, -1)
    else:
        inside = np.logical_and.reduce(np.broadcast_arrays(*((0 <= i) & (i < n) for i, n in zip(indices, axes))))
        rows, place = rows[inside], place[inside]
    rows = rows.reshape(place.size, width)
    out = np.full(shape, start, V.dtype) if start else np.zeros(shape, V.dtype)
    is_long = width >= 64 or width >= 16 and 4*_product(axes) <= place.size
    if is_long and place.size > 1 and _by_rows(by, out.reshape(-1, width), place, rows):
        return out
    if by is np.add and V.dtype.itemsize <= 8 and width == 1 and 0 < out.size <= place.size <= 262144:
        return np.bincount(place, rows[:, 0], out.size).astype(V.dtype, copy=False).reshape(shape)
    flat, few = out.reshape(-1), max(1, 16384 // max(1, width))
    for k in range(0, len(rows), few):
        by.at(flat, (place[k:k + few, None]*width + np.arange(width)).reshape(-1), rows[k:k + few].reshape(-1))
    return out


def _by_group(X, W, place):
    """X[n] @ W[place[n]] for each n, and 0 where there is no such place: rows that name one matrix are multiplied with it together."""
    rows, n = X.reshape(np.size(place), X.shape[-1]), W.shape[2]
    groups = _groups(np.reshape(place, -1), len(W), X.size*n)
    if groups is None:
        return (X[..., None, :] @ _gather(W, place))[..., 0, :]
    Y = np.zeros((len(rows), n), X.dtype)
    for k, own in groups:
        Y[own] = rows[own] @ W[k]
    return Y.reshape(*np.shape(place), n)


def _outer_by_group(X, Y, shape, place):
    """For each place the sum of the products of all pairs of entries of X[n] and Y[n], over the n that name it."""
    x, y = (A.reshape(np.size(place), A.shape[-1]) for A in (X, Y))
    groups = _groups(np.reshape(place, -1), shape[0], X.size*shape[2])
    if groups is None:
        return _scatter(X[..., None]*Y[..., None, :], shape, place)
    W = np.zeros(shape, X.dtype)
    for k, own in groups:
        np.matmul(x[own].T, y[own], out=W[k])
    return W


def _groups(place, count, work):
    """(k, where place is k), for each of so many k that there is; None where groups are so small that each row by itself takes less."""
    order = np.argsort(place, kind="stable")
    names, first = np.unique(place[order], return_index=True)
    if len(names)*GROUP > work:
        return None
    bounds = [*first.tolist(), len(order)]
    return [(k, order[bounds[j]:bounds[j + 1]]) for j, k in enumerate(names.tolist()) if 0 <= k < count]


def _scatter_logsumexp(V, shape, *indices):
    """log(_scatter(exp(V), ...)), shifted by the largest that goes to each place; -inf where none does."""
    m = _scatter(V, shape, *indices, by=np.maximum, start=-np.inf)
    shift = m.clip(_LOWEST[V.dtype], -_LOWEST[V.dtype])
    e = np.exp(V - _gather(shift, *indices, outside=np.inf))
    return np.log(np.maximum(_scatter(e, shape, *indices), 1)) + m  # the sum is at least 1, from the maximum itself


def _by_rows(by, out, place, rows):
    """Whether this was done: out[place[k]] = by(out[place[k]], rows[k]) for all k, where nothing is in out yet. Where places have many
    rows each, these are reduced in one run; where none has many, each place takes its first, then its second row, and so on."""
    count = np.bincount(place, minlength=len(out))
    filled, most = np.flatnonzero(count), count.max(initial=0)
    in_runs = 8*filled.size <= place.size
    if not in_runs and (out.shape[1] < 64 or most > 16 or 16384*most > rows.size):
        return False
    order, count = np.argsort(place.astype(np.min_scalar_type(len(out))), kind="stable"), count[filled]
    first = np.cumsum(count) - count
    if in_runs:
        out[filled] = by.reduceat(rows[order], first, 0)
        return True
    out[filled] = rows.take(order[first], 0)
    for k in range(1, most):
        more = np.flatnonzero(count > k)
        at = filled[more]
        out[at] = by(out.take(at, 0), rows.take(order[first[more] + k], 0))
    return True


def _add_at(A, place, values, axis, out=None):
    """A, with values added where the index along an axis is `place`; a place that is not on the axis names nothing."""
    A = A.copy() if out is None else out
    n, each = A.shape[axis], (*A.shape[:axis], 1, *A.shape[axis + 1:])
    if A.size and A.flags.c_contiguous:
        flat, step = A.reshape(-1), _product(each[axis:])
        at = place*step + (np.arange(0, A.size, n*step)[:, None] + np.arange(step)).reshape(each)  # one number for each place
        if not _all_inside(place, n):
            inside = np.broadcast_to((0 <= place) & (place < n), each)
            at, values = at[inside], np.broadcast_to(values, each)[inside]
        flat[at] += values
        return A
    rows = np.moveaxis(A, axis, -1)[None]
    place, values = (np.moveaxis(np.broadcast_to(x, each), axis, -1)[None, ..., 0] for x in (place, values))
    at = np.nonzero((0 <= place) & (place < n))
    rows[(*at, place[at])] += values[at]
    return A


def _add_within(A, values, part, out=None):
    """A, with values added in a part of it."""
    A = A.copy() if out is None else out
    A[part] += values
    return A
'''
