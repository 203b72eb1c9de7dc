"""Recurrences of one operation, and work in parts, on threads."""

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
    if parts < 2 or equations*count*entries < 8*PART:
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


def _on_threads(work, count):
    """[work(first, last), ...]: 0, ..., count - 1 in as many parts as there are THREADS, none of them empty, each on a thread of its
    own. NumPy lets go of Python's lock while it computes."""
    parts = max(1, min(THREADS, count))
    bounds = [count*k//parts for k in range(parts + 1)]
    with _one_thread_each():
        submit = _pool(os.getpid()).submit
        others = [submit(contextvars.copy_context().run, work, *part)  # the state of floating point errors goes along
                  for part in zip(bounds[1:-1], bounds[2:])]
        return [work(*bounds[:2]), *(other.result() for other in others)]


def _images_on_threads(work, count, multiplications):
    """[work(first, last), ...] for so many images: on THREADS threads, or, where so many multiplications for each are few, on one,
    with what linear algebra has of its own."""
    return _on_threads(work, count) if count*multiplications >= IMAGES*PART else [work(0, count)]


@contextlib.contextmanager
def _one_thread_each():
    """Meanwhile linear algebra uses no threads of its own, where threadpoolctl is installed to tell it so. Who finds it so already,
    since another caller is here too, has nothing to undo."""
    found = [(blas, blas.num_threads) for blas in _BLAS]
    found = [(blas, threads) for blas, threads in found if threads > 1]
    try:
        for blas, _ in found:
            blas.set_num_threads(1)
        yield
    finally:
        for blas, threads in found:
            blas.set_num_threads(threads)


@functools.cache
def _pool(process):
    """The threads of a process: one that was forked from another has none of its threads."""
    return concurrent.futures.ThreadPoolExecutor(THREADS - 1)


try:
    from threadpoolctl import ThreadpoolController
    _BLAS = ThreadpoolController().select(user_api="blas").lib_controllers
except ImportError:
    _BLAS = ()
'''
