"""NumPy's buffers, shorter for a while."""

TEXT = '''
_MANY = BUFFERED  # entries of an array from which NumPy's buffers had better be short


def _in_short_buffers(row, function, /, *residuals, **arrays):
    """function(...), while NumPy does not join rows of so many entries in buffers; short ones are joined in the nearest cache."""
    before = np.setbufsize(min(row, 512) // 16 * 16 if row >= 256 else 2048)
    try:
        return function(*residuals, **arrays)
    finally:
        np.setbufsize(before)
'''
