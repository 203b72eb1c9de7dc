"""NumPy's buffers, shorter for a while."""

TEXT = '''
_MANY = BUFFERED  # entries of an array from which NumPy's buffers had better be short


def _in_short_buffers(row, function, /, *residuals, **arrays):
    """function(...), while NumPy joins rows of so many entries in buffers that stay in the nearest cache; long rows are not joined."""
    before = np.setbufsize(512 if row >= 512 else 2048)
    try:
        return function(*residuals, **arrays)
    finally:
        np.setbufsize(before)
'''
