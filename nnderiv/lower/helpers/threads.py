"""Threads that share out parts, while those of linear algebra sleep: once woken, they turn for a tenth of a second, in the way of ours."""

TEXT = '''
try:
    from threadpoolctl import ThreadpoolController
    _BLAS = ThreadpoolController().select(user_api="blas").lib_controllers
except ImportError:
    _BLAS = ()


@contextlib.contextmanager
def _alone():
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


def _resting(f):
    """f(x), for which linear algebra wakes no threads of its own; where x is small, it would not anyway."""
    def run(x):
        if x.size < WAKING:
            return f(x)
        with _alone():
            return f(x)
    return run


@functools.cache
def _pool(process):
    """The threads of a process: one that was forked from another has none of its threads."""
    return concurrent.futures.ThreadPoolExecutor(THREADS - 1)


def _on_threads(work, count):
    """[work(first, last), ...]: 0, ..., count - 1 in as many parts as there are THREADS, none of them empty, each on a thread of its
    own. NumPy lets go of Python's lock while it computes."""
    parts = max(1, min(THREADS, count))
    bounds = [count*k//parts for k in range(parts + 1)]
    with _alone():
        submit = _pool(os.getpid()).submit
        others = [submit(contextvars.copy_context().run, work, *part)  # the state of floating point errors goes along
                  for part in zip(bounds[1:-1], bounds[2:])]
        return [work(*bounds[:2]), *(other.result() for other in others)]
'''
