"""Threads that share out parts, while those of linear algebra sleep: once woken, they turn for a while, in the way of ours."""

TEXT = '''
class _Alone(contextlib.ContextDecorator):
    """Meanwhile linear algebra uses no threads of its own, where threadpoolctl is installed to tell it so; one call may contain others."""

    def __init__(self):
        self.lock, self.inside, self.limit = threading.Lock(), 0, None

    def __enter__(self):
        with self.lock:
            self.inside += 1
            if self.inside == 1 and _POOLS:
                self.limit = _POOLS.limit(limits=1, user_api="blas")

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.limit:
                self.limit.restore_original_limits()


try:
    from threadpoolctl import ThreadpoolController
    _POOLS = ThreadpoolController()
except ImportError:
    _POOLS = None


_alone = _Alone()


_POOL = concurrent.futures.ThreadPoolExecutor(THREADS - 1)


def _on_threads(work, count):
    """[work(first, last), ...]: 0, ..., count - 1 in as many parts as there are THREADS, each on a thread of its own. NumPy lets
    go of Python's lock while it computes."""
    bounds = [count*k//THREADS for k in range(THREADS + 1)]
    with _alone:
        others = [_POOL.submit(contextvars.copy_context().run, work, *part)  # the state of floating point errors goes along
                  for part in zip(bounds[1:-1], bounds[2:])]
        return [work(*bounds[:2]), *(other.result() for other in others)]
'''
