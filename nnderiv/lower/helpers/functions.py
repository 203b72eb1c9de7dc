"""Functions that NumPy lacks, or has slower or less stable: sums along axes, softmax and its kind, sigmoid, softplus, erf.

`_LOWEST`: no maximum is below the lowest finite number, so exp(x - shift) is 0, not nan, where all entries are -inf. `_ERF`:
log(erfc(a))/a + a, its Chebyshev series in u, computed with mpmath at 120 nodes, cut off, in powers of u. With t = 4/(4 + a), u goes from
-1 at the largest a to 1 at 0. `_ERF_SHORT`: atanh(erf(x))/x in powers of x^2, fitted to values of mpmath at 3000 nodes up to 4, so that the
largest relative error of erf is as small as it can be, 1e-7."""

TEXT = '''
def _negative(x, out=None):
    """-x. Of x with a step of 16 or 64 bytes NumPy 2.2 to 2.4 negates the entries between, if `out` has gaps as well."""
    return np.negative(x, out=out) if out is None or out.flags.c_contiguous else np.multiply(x, -1, out=out)


_STRETCH = PIECE  # bytes of an array that a function of several passes takes at a time


def _by_pieces(function):
    """function(x, out) goes piece by piece of an array, so that all that it computes stays in cache."""
    def run(x, out=None):
        if getattr(x, "nbytes", 0) <= _STRETCH or x.dtype.kind != "f":
            return function(x, out)
        if not (x.flags.c_contiguous and (out is None or out.flags.c_contiguous)):
            return function(x, out)
        y = np.empty(x.shape, x.dtype) if out is None else out
        flat, result, step = x.reshape(-1), y.reshape(-1), _STRETCH // x.itemsize
        for k in range(0, x.size, step):
            function(flat[k:k + step], result[k:k + step])
        return y
    return run


@np.errstate(over="ignore")
@_by_pieces
def _sigmoid(x, out=None):
    """1 / (1 + exp(-x)): where exp is inf it is 0, and small values keep their digits, as those of (1 + tanh(x/2))/2 would not."""
    y = _negative(x, out)
    if not np.ndim(y):
        return 1 / (1 + np.exp(y))
    np.exp(y, out=y)
    y += 1
    return np.divide(1, y, out=y)


def _abreast(f, x, row, out=None):
    """f(x, row), several rows at a time, which NumPy would join in a buffer otherwise."""
    many = ABREAST // max(row.size, 1) * row.size
    if many < 2*row.size or x.size <= 4*many or row.dtype != x.dtype or not x.flags.c_contiguous:
        return f(x, row, out=out)
    y = np.empty(x.shape, x.dtype) if out is None else out
    if not y.flags.c_contiguous:
        return f(x, row, out=out)
    whole = x.size - x.size % many
    x_flat, y_flat, row = x.reshape(-1), y.reshape(-1), row.reshape(-1)
    f(x_flat[:whole].reshape(-1, many), np.tile(row, many // row.size), out=y_flat[:whole].reshape(-1, many))
    f(x_flat[whole:].reshape(-1, row.size), row, out=y_flat[whole:].reshape(-1, row.size))
    return y


_LOWEST = {np.dtype(d): np.finfo(d).min for d in "efdg"}


def _places(x, axis):
    """x at each place along the axes, where few entries lie side by side: one after the other, they are reduced many times as fast
    as row by row; else None."""
    axes, n = (axis,) if type(axis) is int else axis, 1
    for a in axes:
        n *= x.shape[a]
    if not 0 < 16*n*n < x.size or n*x.itemsize > 64 or min(x.strides[a] for a in axes) > 256:
        return None
    first = np.moveaxis(x, axes, range(len(axes)))
    return [first[k] for k in np.ndindex(first.shape[:len(axes)])]


def _extreme(pick, x, axis, start, keepdims=False):
    """pick.reduce(x, axis) from a start, for np.maximum or np.minimum."""
    places = _places(x, axis)
    if places is None:
        return pick.reduce(x, axis, initial=start, keepdims=keepdims)
    y = pick(places[0], start)
    for place in places[1:]:
        pick(y, place, out=y)
    return np.expand_dims(y, axis) if keepdims else y


def _logsumexp(x, axis):
    """log(sum(exp(x))) along the axes, shifted by the maximum; -inf where all entries are."""
    if axis == 0 and x.ndim > 2:  # NumPy goes through a matrix in longer runs
        return _logsumexp(x.reshape(len(x), _product(x.shape[1:])), 0).reshape(x.shape[1:])
    if places := _places(x, axis):
        return _log_of_exps(*places)
    m = np.maximum.reduce(x, axis, initial=-np.inf, keepdims=True)
    e = x - np.minimum(np.maximum(m, _LOWEST[x.dtype]), -_LOWEST[x.dtype])
    total = np.maximum(_sums(np.exp(e, out=e), axis), 1)  # it is at least 1, from the maximum itself
    np.log(total, out=total)
    total += m
    return total.squeeze(axis)


def _running_logsumexp(x, axis, step=1):
    """log(sum(exp(x))) along the axis up to each place, or, with a step of -1, from there on."""
    rows = np.moveaxis(x, axis, 0)[::step]
    if _product(rows.shape[1:]) < WIDE:  # a few entries one by one, more of them row by row
        totals = np.logaddexp.accumulate(rows, 0)
    else:
        totals = rows.copy()
        for k in range(1, len(totals)):
            totals[k] = _log_of_exps(totals[k - 1], totals[k])
    return np.ascontiguousarray(np.moveaxis(totals[::step], 0, axis))


@np.errstate(invalid="ignore")
def _log_of_exps(*terms):
    """log(exp(a) + exp(b) + ...), shifted by the largest; where that is infinite, so is the result."""
    if len(terms) == 2:
        a, b = terms
        e = np.asarray(a - b)
        e = e.astype(float) if e.dtype.kind == "i" else e  # of two whole numbers
        np.abs(e, out=e)
        np.negative(e, out=e)
        np.exp(e, out=e)
        e += 1
        np.log(e, out=e)
        np.fmax(e, 0, out=e)  # inf - inf is nan, and left out
        e += np.maximum(a, b)
        return e[()]
    largest = terms[0]
    for x in terms[1:]:
        largest = np.maximum(largest, x)
    total = np.exp(terms[0] - largest)
    for x in terms[1:]:
        total = total + np.exp(x - largest)
    return np.log(np.fmax(total, 1)) + largest  # at least 1, from the largest itself; inf - inf is nan, and left out


@np.errstate(over="ignore")
def _shifted_exp(x, axis):
    """exp(x - m) and m, the maxima along an axis, as far as they are finite."""
    m = np.maximum.reduce(x, axis, initial=_LOWEST[x.dtype], keepdims=True)
    e = x - np.minimum(m, -_LOWEST[x.dtype], out=m)
    return np.exp(e, out=e), m


def _log_row(x, y, known):
    """log(exp(x) @ exp(y)) for a row x, shifted; `known` is _shifted_exp(y, -2). What a product cannot tell from 0 is computed anew."""
    with np.errstate(invalid="ignore", over="ignore"):
        m = np.maximum.reduce(x, initial=_LOWEST[x.dtype])
        z = np.exp(x - m) @ known[0]
    limits = np.finfo(z.dtype)
    if not limits.tiny/limits.eps**2 < np.minimum.reduce(z, initial=np.inf) < np.inf or len(x) > limits.max:
        return _log_product(x[None], y, known)[0]
    np.log(z, out=z)
    z += known[1][0] + m
    return z


def _log_product(x, y, known=None):
    """log(exp(x) @ exp(y)), shifted; `known` is _shifted_exp(y, -2), where that stays the same. What a product cannot tell from 0 is
    computed one by one; all together, if it is much, or all is little."""
    if x.size*y.shape[-1] >= 4096:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            (e, m), (f, n) = _shifted_exp(x, -1), known or _shifted_exp(y, -2)
            z = e @ f
        limits = np.finfo(z.dtype)
        poor = np.nonzero(~((z > limits.tiny/limits.eps**2) & (z < np.inf)))
        if 2*len(poor[0]) <= z.size:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                np.log(z, out=z)
                z += m + n
            if len(poor[0]):
                z[poor] = _logsumexp(x[poor[:-1]] + y.mT[(*poor[:-2], poor[-1])], 1)
            return z
    if x.ndim == 2:  # long rows
        return _logsumexp(x.T[..., None] + y[:, None], 0)
    return _logsumexp(x[..., None] + y[..., None, :, :], x.ndim - 1)


def _share_product(x, y, c, w, known=None):
    """The sums over j of w[i, j]*exp(x[n, i] + y[n, j] - c[i, j]), shifted; `known` is _shifted_exp(y, 0), where that stays the same.
    Exponentials that are too large then are taken one by one."""
    with np.errstate(over="ignore", invalid="ignore"):
        (e, m), (f, n) = _shifted_exp(x, 0), known or _shifted_exp(y, 0)
        shift = m.T + n
        shift -= c
        limits = np.finfo(x.dtype)
        large = ~(shift < -np.log(limits.tiny/limits.eps**2))
        np.exp(shift, out=shift)
        shift *= w
        shift[large] = 0
        poor = np.nonzero(large & (w != 0))
        z = f @ shift.T
        z *= e
        if len(poor[0]):
            i, j = poor
            np.add.at(z.T, i, _exp_difference(x.T[i] + y.T[j], c[i, j][:, None])*w[i, j][:, None])
        return z


def _shares(x, y, c):
    """f(t, w), the sums over j of w[j]*exp(x[t, k] + y[k, j] - c[t, j]), for all rows of x[t], c[t] and w if there are several: by a table
    where that is small, or shifted factors. Exponentials that are too large for these are taken one by one."""
    if x[:1].size*y.shape[1] < SHARES:
        table = _exp_difference(x[..., None] + y, c[..., None, :])
        return lambda t, w: np.vecdot(table[t], w[..., None, :])
    with np.errstate(over="ignore", invalid="ignore"):
        (e, m), (f, n) = _shifted_exp(x, -1), _shifted_exp(y.T, -1)
        shift = m + n[:, 0]
        shift -= c
        limits = np.finfo(y.dtype)
        large = ~(shift < -np.log(limits.tiny/limits.eps**2))
        np.exp(shift, out=shift)
    shift[large] = 0
    poor = large.any(tuple(range(1, large.ndim)))

    def sums(t, w):
        z = (shift[t]*w) @ f
        z *= e[t]
        if poor[t]:
            rows = lambda a: a.reshape(_product(a.shape[:-1]), a.shape[-1])
            i, j = np.nonzero(rows(large[t]) & (rows(w) != 0))
            parts = _exp_difference(rows(x[t])[i] + y.T[j], rows(c[t])[i, j][:, None])*rows(w)[i, j][:, None]
            np.add.at(rows(z), i, parts)
        return z

    return sums


def _masked(x, keep, value):
    """np.where(keep, x, value), in the memory of x: by bits where branches would be hard to guess."""
    if _is_steady(keep) or x.dtype != value.dtype or x.itemsize > 8:
        np.copyto(x, value, where=~keep)
        return x
    bits, value = x.view(f"i{x.itemsize}"), value.view(f"i{x.itemsize}")
    bits ^= value
    bits *= keep
    bits ^= value
    return x


def _ones(n, dtype):
    """np.ones(n, dtype), in a third of the time where n is small."""
    ones = np.empty(n, dtype)
    ones.fill(1)
    return ones


def _row_sums(x):
    """The sums along the last axis, as products with ones: where rows are short, many times as fast as x.sum(-1)."""
    n = x.shape[-1]
    if x.size < 2048 or x.ndim == 1 or not x.flags.c_contiguous:
        return np.vecdot(x, _ones(n, x.dtype))
    return (x.reshape(-1, n) @ _ones(n, x.dtype)).reshape(x.shape[:-1])


def _column_sums(x):
    """The sums along the last axis but one, of the columns of a matrix, as products with ones: several times as fast as x.sum(-2)."""
    return _ones(x.shape[-2], x.dtype) @ x


def _sums(x, axis):
    """x.sum(axis, keepdims=True)."""
    return _row_sums(x)[..., None] if axis == x.ndim - 1 else np.add.reduce(x, axis, keepdims=True)


def _by_blocks(function):
    """function(x, axis, out) along the last axis of a large array goes block by block of rows that stay in cache."""
    def run(x, axis, out=None):
        n = x.shape[-1]
        if axis != x.ndim - 1 or x.size < 2*PART or n > PART or not (x.flags.c_contiguous and (out is None or out.flags.c_contiguous)):
            return function(x, axis, out)
        y, count = np.empty_like(x) if out is None else out, PART // n
        rows, results = x.reshape(-1, n), y.reshape(-1, n)
        for k in range(0, len(rows), count):
            function(rows[k:k + count], 1, results[k:k + count])
        return y
    return run


@_by_blocks
def _softmax(x, axis, out=None):
    """exp(x)/sum(exp(x)) along the axes, shifted by the maximum."""
    p = np.subtract(x, _extreme(np.maximum, x, axis, _LOWEST[x.dtype], keepdims=True), out=out)
    np.exp(p, out=p)
    p /= _sums(p, axis)
    return p


@_by_blocks
def _masked_softmax(x, axis, out=None):
    """exp(x)/sum(exp(x)) along the axes, shifted by the maximum; 0 where all entries are -inf."""
    p = np.subtract(x, _extreme(np.maximum, x, axis, _LOWEST[x.dtype], keepdims=True), out=out)
    np.exp(p, out=p)
    p /= np.maximum(_sums(p, axis), 1)  # where not all are masked it is at least 1, from the maximum
    return p


@_by_blocks
def _log_softmax(x, axis, out=None):
    """log(exp(x)/sum(exp(x))) along the axes, shifted by the maximum; -inf where all entries are."""
    y = np.subtract(x, _extreme(np.maximum, x, axis, _LOWEST[x.dtype], keepdims=True), out=out)
    y -= np.log(np.maximum(_sums(np.exp(y), axis), 1))
    return y


def _log_difference(x, total, out=None):
    """x - total, and -inf where the total is -inf, whatever x is there: the logarithm of a share of nothing."""
    return np.subtract(x, np.where(total == -np.inf, total.dtype.type(np.inf), total), out=out)


def _exp_difference(x, total, out=None):
    """exp(x - total), and 0 where the total is -inf, whatever x is there: a share of nothing."""
    e = _log_difference(x, total, out)
    return np.exp(e, out=e) if np.ndim(e) else np.exp(e)


@np.errstate(invalid="ignore", over="ignore")
def _exp_ratio(x, y, out=None):
    """exp(x)/exp(y); 0 where x is -inf and inf where x is inf, whatever y is."""
    e = np.where(np.isinf(x), x, x - y)
    return np.exp(e, out=out)


@_by_pieces
def _log1p(x, out=None):
    """log(1 + x) for x from 0 to 1: log(u) + (x - (u - 1))/u with u = 1 + x, which loses no digits. In single precision that takes a
    quarter of the time of np.log1p."""
    if x.itemsize != 4 or x.size < 2048:
        return np.log1p(x, out=out)
    u = x + 1
    part = u - 1
    np.subtract(x, part, out=part)
    part /= u
    return np.add(np.log(u, out=u), part, out=out)


@_by_pieces
def _softplus(x, out=None):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-abs(x))), without overflow."""
    if not np.ndim(x):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    e = np.abs(x)
    np.negative(e, out=e)
    np.exp(e, out=e)
    _log1p(e, out=e)
    y = x.clip(0, np.inf, out=out)
    y += e
    return y


_ERF = (
    -0.7226526037276817, -0.3664705921766396, -0.04356821820570928, -0.00021351315807294286, 0.004042584110006372,
    0.0007585744519176087, -0.00013391177890585408, -0.0001451840445541957, -1.2353401333457329e-05,
    1.1864998034900871e-05, 5.459887946884414e-06, -5.125240081784452e-07, -7.104816170598777e-07,
    -1.5032336535350885e-07, 7.267920581868082e-08, 3.172659478452009e-08, 2.8984678365394614e-10,
    -5.086072165269097e-09, -8.864058648875552e-10, 3.923465640086006e-10, 2.082470318170004e-10,
    -3.5322059834201444e-11, -9.971661872757816e-12,
)


_ERF_SHORT = (
    1.1283792742816945, 0.10276905600127968, -0.00019183124687990622, -0.0006197842976262788,
    8.763719891222746e-05, -5.668455709650037e-06, 1.4185113988840896e-07,
)


def _polynomial(series, u):
    """The sum of series[k]*u**k."""
    y = series[-1]*u
    for k in series[-2:0:-1]:
        y += k
        y *= u
    y += series[0]
    return y


@_by_pieces
def _erf(x, out=None):
    """erf(x), relative error 5e-16 (3e-7 in float32): 1 - exp(a s(a) - a^2) for a = abs(x), s a polynomial in 1/(4 + a), or
    tanh(x t(x^2)), t a polynomial."""
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(float)
    if x.dtype.itemsize <= 4:
        a = x.clip(-4.2, 4.2)  # from there on it is 1
        y = _polynomial(_ERF_SHORT, a*a)
        y *= a
        return np.tanh(y, out=out)
    a = np.minimum(np.abs(x), 6)
    u = (40/3)/(4 + a)
    u -= 7/3
    y = _polynomial(_ERF, u)
    y -= a
    y *= a
    return np.copysign(np.expm1(y), x, out=out)


_NORMAL = tuple(-2**0.5*c/2**k for k, c in enumerate(_ERF_SHORT))


@np.errstate(over="ignore")
@_by_pieces
def _normal(x, out=None):
    """The probability that a standard normal number is below x: (1 + erf(x/sqrt(2)))/2, or, in float32, 1/(1 + exp(x t(x^2)))."""
    if np.ndim(x) and x.dtype.kind == "f" and x.itemsize <= 4:
        u = np.square(x, dtype=np.float32)  # half precision holds no such coefficients
        u.clip(0, 35.28, out=u)  # from there on it is 0 or 1
        y = _polynomial(_NORMAL, u)
        y *= x
        np.exp(y, out=y)
        y += 1
        return np.divide(1, y, out=np.empty(x.shape, x.dtype) if out is None else out)
    y = _erf(x*0.5**0.5)
    y += 1
    return np.multiply(y, 0.5, out=out)
'''
