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


def _until_settled(sweep, arrays):
    """Repeat sweep(), which recomputes the arrays from themselves, until nothing changes: the last resort for an order of
    computation that no loop follows. Every sweep settles at least one more element."""
    for _ in range(sum(a.size for a in arrays) + 2):
        before = [a.copy() for a in arrays]
        sweep()
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, before)):
            return
    raise ValueError("the definition needs itself: " + "its elements do not settle")


def _in_parts(work, equations, count, entries, least=0):
    """work(part) for slices that make up 0, ..., count - 1, and the sums of what it returns. Arrays with so many entries for each of
    these stay in cache, part by part, on THREADS threads. It is one part where that would be shorter than the sums, or where so many
    equations are done before a thread has woken."""
    parts = min(count, count*entries // max(PART, least))
    if parts < 2 or equations*count*entries < 12*PART:
        return work(slice(0, count))
    parts = min(count, -(-parts//THREADS)*THREADS)
    run = lambda first, last: _part_by_part(work, [slice(count*k//parts, count*(k + 1)//parts) for k in range(first, last)])
    sums = _on_threads(run, parts)
    return None if sums[0] is None else [sum(each) for each in zip(*sums)]


def _part_by_part(work, parts):
    """work(part) for all parts, and the sums of what it returns."""
    sums = None
    for part in parts:
        found = work(part)
        sums = found if sums is None else [a + b for a, b in zip(sums, found)]
    return sums


def _images_on_threads(work, count, multiplications):
    """[work(first, last), ...] for so many images: on THREADS threads, or, where so many multiplications for each are few, on one,
    with what linear algebra has of its own."""
    return _on_threads(work, count) if count*multiplications >= IMAGES*PART else [work(0, count)]
'''
