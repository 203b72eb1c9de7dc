"""Choices that depend on data: by bits, since which branch comes next is hard to guess."""

TEXT = '''
def _only_where(mask, x, out=None):
    """x where the mask is true and 0 elsewhere, whatever x is there: its bits times 1 or 0, several times as fast as np.where."""
    if x.itemsize > 8:
        return np.add(np.where(mask, x, x.dtype.type(0)), 0, out=out)
    bits = f"i{x.itemsize}"
    return np.multiply(x.view(bits), mask, out=out if out is None else out.view(bits)).view(x.dtype)


def _where(mask, x, y):
    """np.where(mask, x, y): by bits, several times as fast, where branches would be hard to guess."""
    if _is_steady(mask) or x.dtype != y.dtype or x.itemsize > 8:
        return np.where(mask, x, y)
    bits, dtype = f"i{x.itemsize}", x.dtype
    x, y = x.view(bits), y.view(bits)
    chosen = (x ^ y)*mask
    chosen ^= y
    return chosen.view(dtype)


def _is_steady(mask):
    """Whether a mask is small, or seldom changes from one entry to the next, so that processors guess what comes."""
    if np.size(mask) < 2048:
        return True
    mask = mask.reshape(-1)
    return 16*np.count_nonzero(mask[1:] != mask[:-1]) < mask.size


def _slope(a, b, dtype):
    """How max(a, b) changes with a: 1 where a > b, 1/2 where a == b, 0 elsewhere; a mask where nothing is 1/2."""
    more, ties = a > b, a == b
    return more + dtype.type(0.5)*ties if ties.any() else more
'''
