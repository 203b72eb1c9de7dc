"""What a module does first: it checks its arguments, and an error says which one, what was expected and what came."""

TEXT = '''
def _reals(names, *arrays):
    """The arrays, all of one floating dtype."""
    dtype = getattr(arrays[0], "dtype", None)
    for a in arrays:
        if type(a) is not np.ndarray or a.dtype is not dtype:
            break
    else:
        if dtype.kind == "f" and dtype.isnative:
            return arrays
    arrays = {name: _array(name, a) for name, a in zip(names.split(), arrays)}
    leading, dtype = next((name, a.dtype) for name, a in arrays.items())
    for name, a in arrays.items():
        if a.dtype.kind != "f" and a.ndim:
            raise TypeError(f"{name} is an array of {a.dtype}; expected floating point, for example {name}.astype(float)")
        if a.dtype.kind not in "fiu":
            raise TypeError(f"{name} is of {a.dtype}; expected a real number")
        if a.dtype != dtype and a.ndim:
            raise TypeError(f"{name} is an array of {a.dtype}, and {leading} of {dtype}; expected one dtype")
    return arrays.values()


def _array(name, value):
    """An array, its bytes in the order of this machine."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is no array: {error}") from None
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _dtype(*numbers):
    """The floating dtype of numbers where there is no array: Python's, unless some are NumPy's."""
    return np.result_type(0.0, *(x.dtype for x in numbers if getattr(getattr(x, "dtype", None), "kind", "") == "f"))


def _real(name, value, dtype):
    """A real number, in this dtype."""
    if type(value) not in (float, int) and (np.ndim(value) or np.asarray(value).dtype.kind not in "fiu"):
        raise TypeError(f"{name} is {value!r}; expected a real number")
    try:
        return dtype.type(value)
    except OverflowError:
        raise OverflowError(f"{name} is an integer of {value.bit_length()} bits; expected a number that {dtype} can hold") from None


def _integer(name, value, least=None):
    """An integer parameter, checked."""
    if type(value) is not int and (
        np.ndim(value) or np.asarray(value).dtype.kind not in "fiu" or not np.isfinite(value) or int(value) != value
    ):
        raise TypeError(f"{name} is {value!r}; expected an integer")
    if least is not None and value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")
    if not -2**63 <= value < 2**63:
        raise OverflowError(f"{name} is an integer of {int(value).bit_length()} bits; expected one that 64 bits can hold")
    return int(value)


def _integers(name, array):
    """An array of integers, checked."""
    array = _array(name, array)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} is an array of {array.dtype}; expected integers")
    if array.dtype == np.uint64 and array.size and array.max() >= 2**63:
        raise OverflowError(f"{name} has {array.max()} in it; expected integers that int64 can hold")
    return array.astype(np.int64, copy=False)


def _shape(array, dimensions, declared):
    """The shape of an array with so many dimensions."""
    if array.ndim != dimensions:
        raise _misfit((array, (None,) * dimensions, declared))
    return array.shape


def _misfit(*arrays):
    """The error that says which of the (array, shape, declared) does not fit, and where."""
    for array, shape, declared in arrays:
        name = declared.partition("[")[0].removeprefix("int ")
        if array.ndim != len(shape):
            return ValueError(f"{name} has shape {array.shape}; expected {len(shape)} dimension{'s'*(len(shape) != 1)}, {declared}")
        for k, (n, size) in enumerate(zip(array.shape, shape)):
            if n != size:
                return ValueError(f"{name} has shape {array.shape}; expected {size} in dimension {k} of {declared}")


def _seed(array, dtype, shape, declared):
    """What the loss changes by with an output: an array of the output's dtype and shape."""
    if type(array) is np.ndarray and array.dtype is dtype and array.shape == shape:
        return array
    name = declared.partition("[")[0]
    array = _array(name, array)
    if array.dtype != dtype:
        raise TypeError(f"{name} is an array of {array.dtype}; expected {dtype}")
    if array.shape != shape:
        raise _misfit((array, shape, declared))
    return array


def _record(name, *fields):
    """A class of tuples whose entries have names."""
    entries = {field: property(lambda self, k=k: self[k]) for k, field in enumerate(fields)}
    show = lambda self: f"{name}({', '.join(f'{f}={v!r}' for f, v in zip(fields, self))})"
    as_dict = lambda self: dict(zip(fields, self))
    return type(name, (tuple,), {"__slots__": (), "_fields": fields, "_asdict": as_dict, "__repr__": show, **entries})
'''
