"""The few functions that emitted modules carry with them, as text; a module contains those that it uses, and what they use.

They are written to be read: an emitted module is all that its user sees.
"""

from __future__ import annotations

import re

HELPERS: dict[str, str] = {}


def _helper(text: str) -> None:
    name = re.search(r"^(?:def|class) (\w+)|^(\w+) =", text.strip(), re.MULTILINE)
    assert name is not None
    HELPERS[name.group(1) or name.group(2)] = text.strip()


_helper('''
def _reals(**arrays):
    """The arrays, all of one floating dtype."""
    dtypes = [a.dtype if type(a) is np.ndarray else None for a in arrays.values()]
    first = dtypes[0]
    if first is not None and first.kind == "f" and dtypes.count(first) == len(dtypes):
        return arrays.values()
    arrays = {name: np.asarray(a) for name, a in arrays.items()}
    leading, dtype = next((name, a.dtype) for name, a in arrays.items())
    for name, a in arrays.items():
        if a.dtype.kind != "f" and a.ndim:
            raise TypeError(f"{name} is an array of {a.dtype}; expected floating point, for example {name}.astype(float)")
        if a.dtype.kind not in "fiu":
            raise TypeError(f"{name} is of {a.dtype}; expected a real number")
        if a.dtype != dtype and a.ndim:
            raise TypeError(f"{name} is an array of {a.dtype}, and {leading} of {dtype}; expected one dtype")
    return arrays.values()
''')

_helper('''
def _real(name, value, dtype):
    """A real number, in the dtype of the arrays."""
    if type(value) is not float and (np.ndim(value) or np.asarray(value).dtype.kind not in "fiu"):
        raise TypeError(f"{name} is {value!r}; expected a real number")
    return dtype.type(value)
''')

_helper('''
def _integer(name, value, least=None):
    """An integer parameter, checked."""
    if np.ndim(value) or isinstance(value, (bool, np.bool_)) or int(value) != value:
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if least is not None and value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
    return int(value)
''')

_helper('''
def _integers(name, array):
    """An array of integers, checked."""
    array = np.asarray(array)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} is an array of {array.dtype}; expected integers")
    return array.astype(np.int64, copy=False)
''')

_helper('''
def _shape(array, dimensions, declared):
    """The shape of an array with so many dimensions."""
    if array.ndim != dimensions:
        raise _misfit((array, (None,) * dimensions, declared))
    return array.shape
''')

_helper('''
def _misfit(*arrays):
    """The error that says which of the (array, shape, declared) does not fit, and where."""
    for array, shape, declared in arrays:
        name = declared.partition("[")[0]
        if array.ndim != len(shape):
            return ValueError(f"{name} has shape {array.shape}; expected {len(shape)} dimensions, {declared}")
        for k, (n, size) in enumerate(zip(array.shape, shape)):
            if n != size:
                return ValueError(f"{name} has shape {array.shape}; expected {size} in dimension {k} of {declared}")
''')

_helper('''
def _seed(array, dtype, shape, declared):
    """What the loss changes by with an output: an array of the output's dtype and shape."""
    array = np.asarray(array)
    if array.dtype != dtype:
        name = declared.partition("[")[0]
        raise TypeError(f"{name} is an array of {array.dtype}; expected {dtype}")
    if array.shape != shape:
        raise _misfit((array, shape, declared))
    return array
''')

_helper('''
def _record(name, *fields):
    """A class of tuples whose entries have names."""
    entries = {field: property(lambda self, k=k: self[k]) for k, field in enumerate(fields)}
    show = lambda self: f"{name}({', '.join(f'{f}={v!r}' for f, v in zip(fields, self))})"
    as_dict = lambda self: dict(zip(fields, self))
    return type(name, (tuple,), {"__slots__": (), "_fields": fields, "_asdict": as_dict, "__repr__": show, **entries})
''')

_helper('''
def _padded(A, axes, outside):
    """(A with a margin so that every entry that the axes name exists, the starts in it)."""
    pad, starts = [], []
    for n, axis in zip(A.shape, axes):
        start, *spans = axis or (0, (n, 1))
        low = start + sum(min(0, (size - 1) * step) for size, step in spans)
        high = start + sum(max(0, (size - 1) * step) for size, step in spans)
        before, after = (max(0, -low), max(0, high - n + 1)) if all(size for size, _ in spans) else (0, 0)
        pad.append((before, after))
        starts.append(start + before)
    return (np.pad(A, pad, constant_values=outside) if any(b or a for b, a in pad) else A), starts
''')

_helper('''
def _windows(A, *axes, outside=0):
    """A view of A. Each axis is None (all of it), or (start, (size, step), ...): one new axis for each (size, step), whose
    entries k1, k2, ... are A[start + k1*step1 + k2*step2 + ...], and 0 (or another value) outside A."""
    A, starts = _padded(A, axes, outside)
    shape, strides, at = [], [], []
    for n, stride, axis, start in zip(A.shape, A.strides, axes, starts):
        spans = axis[1:] if axis else ((n, 1),)
        shape += [max(0, size) for size, _ in spans]
        strides += [step * stride for _, step in spans]
        at.append(slice(start, None))
    if 0 in shape:
        return np.zeros(shape, A.dtype)
    return np.lib.stride_tricks.as_strided(A[tuple(at)], shape, strides, writeable=False)
''')

_helper('''
def _fold(V, shape, *axes):
    """The adjoint of _windows: an array of this shape, to which each entry of V is added where _windows would have read it."""
    low = [min(0, a[0] + sum(min(0, (n - 1) * s) for n, s in a[1:])) if a else 0 for a in axes]
    high = [max(n, a[0] + sum(max(0, (m - 1) * s) for m, s in a[1:]) + 1) if a else n for n, a in zip(shape, axes)]
    out = np.zeros([h - l for l, h in zip(low, high)], V.dtype)
    # The widest axis of each group is added as one slice; the others are walked through.
    spans, loops = [], []
    for axis, n in zip(axes, shape):
        group = axis[1:] if axis else ((n, 1),)
        first = len(spans)
        spans += group
        widest = max(range(len(group)), key=lambda k: group[k][0]) if group else None
        loops += [first + k for k in range(len(group)) if k != widest]
    for at in np.ndindex(*(spans[k][0] for k in loops)):
        fixed, target, k = dict(zip(loops, at)), [], 0
        for axis, n, l in zip(axes, shape, low):
            start, *group = axis or (0, (n, 1))
            position, free = start - l, None
            for size, step in group:
                if k in fixed:
                    position += fixed[k] * step
                else:
                    free = (size, step)
                k += 1
            if free is None:
                target.append(slice(position, position + 1))
            else:
                size, step = free
                stop = position + (size - 1) * step + (1 if step > 0 else -1)
                target.append(slice(position, stop if stop >= 0 else None, step) if size > 0 else slice(0, 0))
        part = V[tuple(fixed.get(k, slice(None)) for k in range(V.ndim))]
        out[tuple(target)] += part.reshape(out[tuple(target)].shape)
    return out[tuple(slice(-l, n - l) for l, n in zip(low, shape))]
''')

_helper('''
def _gather(A, *indices, outside=0):
    """A[indices] along the first axes of A, and 0 (or another value) where an index is outside its axis."""
    indices = np.broadcast_arrays(*indices)
    inside = np.logical_and.reduce([(0 <= i) & (i < n) for i, n in zip(indices, A.shape)])
    if inside.all():
        return A[tuple(indices)]
    if 0 in A.shape:
        return np.full(inside.shape + A.shape[len(indices):], outside, A.dtype)
    taken = A[tuple(np.where(inside, i, 0) for i in indices)]
    return np.where(inside.reshape(inside.shape + (1,) * (taken.ndim - inside.ndim)), taken, A.dtype.type(outside))
''')

_helper('''
def _scatter(V, shape, *indices):
    """The adjoint of _gather: an array of this shape, to which each entry of V is added at its indices; those outside are dropped."""
    out = np.zeros(shape, V.dtype)
    indices = np.broadcast_arrays(*indices)
    inside = np.logical_and.reduce([(0 <= i) & (i < n) for i, n in zip(indices, shape)])
    V = np.broadcast_to(V, inside.shape + tuple(shape[len(indices):]))
    np.add.at(out, tuple(i[inside] for i in indices), V[inside])
    return out
''')

_helper('''
def _sigmoid(x, out=None):
    """1 / (1 + exp(-x)), without overflow."""
    y = np.multiply(x, 0.5, out=out)
    if not np.ndim(y):
        return 0.5 * np.tanh(y) + 0.5
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
    return y
''')

# No maximum is below the lowest finite number: exp(x - shift) is then 0, not nan, where all entries are -inf.
_helper('''
_LOWEST = {np.dtype(d): np.finfo(d).min for d in "efdg"}
''')

_helper('''
def _logsumexp(x, axis):
    """log(sum(exp(x))) along the axes, shifted by the maximum; -inf where all entries are."""
    m = x.max(axis, keepdims=True, initial=-np.inf)
    e = x - np.clip(m, _LOWEST[x.dtype], -_LOWEST[x.dtype])
    total = np.exp(e, out=e).sum(axis)  # at least 1, from the maximum itself
    return np.log(np.maximum(total, 1)) + m.squeeze(axis)
''')

_helper('''
def _softmax(x, axis, out=None):
    """exp(x)/sum(exp(x)) along the axes, shifted by the maximum; 0 where all entries are -inf."""
    p = np.subtract(x, x.max(axis, keepdims=True, initial=_LOWEST[x.dtype]), out=out)
    total = np.exp(p, out=p).sum(axis, keepdims=True)  # at least 1, from the maximum itself
    p /= np.maximum(total, 1)
    return p
''')

_helper('''
def _exp_difference(x, total, out=None):
    """exp(x - total), and 0 where x is -inf, also against a total of -inf."""
    e = np.subtract(x, np.maximum(total, _LOWEST[x.dtype]), out=out)
    return np.exp(e, out=e) if np.ndim(e) else np.exp(e)
''')

_helper('''
def _erf(x):
    """The error function, to 2e-16: erfc(a) = t exp(p(t) - a^2) for a >= 0, t = 2/(2 + a), p a Chebyshev series."""
    a = np.abs(x)
    t = 2 / (2 + a)
    y, d, previous = 4 * t - 2, 0.0, 0.0
    for c in reversed(_ERFC_SERIES[1:]):
        d, previous = y * d - previous + c, d
    return np.copysign(1 - t * np.exp(_ERFC_SERIES[0] + 0.5 * y * d - previous - a * a), x)
''')

# Fitted with mpmath to log(erfc(x) exp(x^2) / t) at 200 Chebyshev nodes.
_helper('''
_ERFC_SERIES = (
    -0.6513268598908547, 0.6419697923564903, 0.019476473204185837, -0.009561514786808632, -0.0009465953444820369,
    0.00036683949785276146, 4.252332480690777e-05, -2.0278578112534242e-05, -1.6242900046470256e-06, 1.3036558355805232e-06,
    1.562644172206614e-08, -8.523809591492654e-08, 6.529054439098851e-09, 5.059343495551469e-09, -9.91364156493033e-10,
    -2.2736512229318359e-10, 9.646791102015527e-11, 2.3940380830391146e-12, -6.886027527549755e-12, 8.944879273090726e-13,
    3.130921399342958e-13, -1.1270822361367252e-13, 3.8109052551892323e-16, 7.106097613609237e-15, -1.5230282014571043e-15,
    -9.457494571291235e-17, 1.2102371892242789e-16, -2.816663088774717e-17,
)
''')

_helper('''
def _until_settled(sweep, arrays):
    """Repeat sweep(), which recomputes the arrays from themselves, until nothing changes: the last resort for an order of
    computation that no loop follows. Every sweep settles at least one more element."""
    for _ in range(sum(a.size for a in arrays) + 2):
        before = [a.copy() for a in arrays]
        sweep()
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, before)):
            return
    raise ValueError("the definition needs itself: " + "its elements do not settle")
''')


def needed(source: str) -> str:
    """The helpers that a source text uses, in their own order, with the helpers that these use."""
    used: set[str] = set()
    todo = [name for name in HELPERS if re.search(rf"\b{name}\b", source)]
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            todo += [other for other in HELPERS if other != name and re.search(rf"\b{other}\b", HELPERS[name])]
    return "\n\n\n".join(text for name, text in HELPERS.items() if name in used)
