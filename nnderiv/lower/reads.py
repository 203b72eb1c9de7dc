"""Reads -> NumPy expressions: which view of which array holds A[α(i, r)] for all (i, r), and on which axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..bounds import inside, never_negative
from ..integer import Atom, Element, Extreme, FloorDiv, Int, Mod
from ..program import Range
from .arrays import Array, Frame, Storage, expand, permute
from .digits import Digits, taken_apart
from .texts import axis_text, multiplied, slice_of, span, subscripts, tuple_text


def read(frame: Frame, tensor: str, subs: Sequence[Int], outside: str = "") -> Array:
    """A[subs] as an array over the array indices in subs; 0, or what `outside` says, where a subscript is out of range."""
    if (view := frame.views.get((tensor, tuple(subs)))) is not None:
        return permute(view, frame.sort(view.labels))
    frame = without_margins(frame, tensor, subs) if outside else frame
    store = frame.storage[tensor]
    if not store.axes:
        return Array(store.variable)
    if store.dropped:  # the places on the axes that are stored are all that is said from here on
        subs = store.places(subs)
        store = replace(store, dropped=frozenset())
        frame = replace(frame, storage={**frame.storage, tensor: store})
    relative = [s - r.lo for s, r in zip(subs, store.axes, strict=True)]
    kinds = [_kind(frame, tensor, k, subs) for k in range(len(subs))]
    turns = [turn for k, kind in enumerate(kinds) if frame.rolls and kind == "gather" and (turn := _turn(frame, store, k, subs))]
    if turns and all(frame.ranges[i] == store.axes[axis] for axis, i, _ in turns):
        return _rolled(frame, tensor, subs, turns, outside)
    if frame.digits and "gather" in kinds and (parts := taken_apart(subs, frame.order, frame.ranges, frame.positive, frame.certain)):
        return _joined(frame, tensor, parts, outside)
    if turns:
        return _rolled(frame, tensor, subs, turns, outside)
    if "gather" in kinds:
        return _gather(frame, store, relative, ["gather" if _shares(frame, subs, k) else kind for k, kind in enumerate(kinds)], outside)
    if not outside and (shifted := _askew(frame, store, relative, kinds)) is not None:
        return permute(shifted, frame.sort(shifted.labels))
    array = (_windows(frame, store, relative, kinds, outside) if "window" in kinds
             else _slices(frame, store, subs, relative, kinds, outside))
    array = _diagonal(array)
    return permute(array, frame.sort(array.labels))


def without_margins(frame: Frame, tensor: str, subs: Sequence[Int]) -> Frame:
    """The frame in which a tensor is stored without margins, if a read may lie in these: zeros stand there, and nothing else."""
    store = frame.storage[tensor]
    subs = store.places(subs)
    if not store.inner or all(inside(s, r, frame.known, frame.positive) for s, r in zip(subs, store.inner, strict=True)):
        return frame
    cuts = [span(frame.integer, r.lo - wide.lo, r.hi - wide.lo, wide.size) for r, wide in zip(store.inner, store.axes, strict=True)]
    bare = Storage(f"{store.variable}[{', '.join(cuts)}]", store.inner, store.dropped)
    views = {place: view for place, view in frame.views.items() if place[0] != tensor}
    return replace(frame, storage={**frame.storage, tensor: bare}, views=views)


def target(frame: Frame, tensor: str, subs: Sequence[Int], variable: str = "") -> str:
    """The left-hand side of an assignment to tensor[subs]; the subscripts are indices and places, all inside.

    The variable is the tensor's own name, whatever is read from another one meanwhile, as in a sweep; or the view that is given.
    """
    store, parts = frame.storage[tensor], []
    for sub, r in zip(subs, store.axes, strict=True):
        if sub.name in frame.ranges and sub.name is not None:
            whole = frame.ranges[sub.name] == r
            parts.append(":" if whole else slice_of(frame, sub - r.lo, sub.name, r))
        else:
            parts.append(frame.integer(sub - r.lo))
    while len(parts) > (not variable) and parts[-1] == ":":
        parts.pop()
    return f"{variable or tensor}[{', '.join(parts) or '...'}]" if parts or not variable else variable


def _kind(frame: Frame, tensor: str, axis: int, subs: Sequence[Int]) -> str:
    """How one axis is read: "all" of it, a "slice", a "place", or one that is on it unless it is "short", a "window" (strided, maybe out
    of range), or "gather"."""
    sub, store = subs[axis], frame.storage[tensor]
    r = store.axes[axis]
    indices = frame.vectors(sub)
    if any(not isinstance(a, str) and (isinstance(a, Element) or frame.vectors(Int.atom(a))) for a in sub.atoms()):
        return "gather"
    known = frame.known
    if not indices:
        return "place" if inside(sub, r, known, frame.positive) and always_inside(frame, sub, r) else "short"
    splits = [sub.split(i) for i in indices]
    if any(s is None or set(frame.vectors(s[0])) for s in splits):
        return "gather"
    if len(indices) == 1 and splits[0] is not None:
        coefficient, rest = splits[0]
        span = frame.ranges[indices[0]]
        if coefficient == 1 and (span.lo + rest, span.hi + rest) == (r.lo, r.hi):
            return "all"
        by_steps = rest.is_constant and coefficient.is_constant and coefficient.constant > 1 and rest.constant >= 0 == span.lo
        if (coefficient == 1 or by_steps) and inside(sub, r, known, frame.positive) and always_inside(frame, sub, r):
            return "slice"
    return "window"


def always_inside(frame: Frame, sub: Int, axis: Range) -> bool:
    """Whether a subscript that stays within its axis does so even where sizes are 0; an index that has values runs over some."""
    if sub.name is not None and frame.known.get(sub.name) == axis:
        return True
    known = {i: r.subst(frame.less) for i, r in frame.known.items() if i in sub.symbols()}
    some = [r.size - 1 for r in known.values()]
    return inside(sub.subst(frame.less), axis.subst(frame.less), known, frame.positive, some)


def _joined(frame: Frame, tensor: str, parts: Digits, outside: str) -> Array:
    """A read at the digits of indices: a view with an axis for each, which are then joined to those of the indices."""
    order = tuple(x for i in frame.order for x in parts.digits.get(i, (i,)))
    ranges = {**frame.ranges, **{d: r for each in parts.digits.values() for d, r in each.items()}}
    array = read(replace(frame, order=order, ranges=ranges), tensor, parts.subs, outside)
    labels = tuple(i for i in frame.order if {*parts.digits.get(i, (i,))} & {*array.labels})
    if not labels:
        return array  # one element, for all of them
    every = tuple(x for i in labels for x in parts.digits.get(i, (i,)))
    wide = {i: parts.digits[i] for i in labels if i in parts.digits and parts.is_cut(i, frame.ranges[i])}
    text, shape = array.at_least(9), tuple_text(
        multiplied(frame.extent(r.size) for r in wide[i].values()) if i in wide else frame.size(i) for i in labels)
    if every != array.labels:  # what does not know a digit is the same for all its values
        sizes = tuple_text(frame.extent(ranges[x].size) for x in every)
        text = f"np.broadcast_to({expand(array, every).text}, {sizes})"
    copied = "" if every == array.labels and array.origin is array else ".copy()"  # what cannot be a view has memory of its own
    ends = [f":{frame.size(i)}" if i in wide else ":" for i in labels]
    cut = f"[{', '.join(ends[:1 + max(k for k, i in enumerate(labels) if i in wide)])}]" if wide else ""
    return Array(f"{text}{copied}.reshape{shape}{cut}", labels, 9, not copied)


def _turn(frame: Frame, store: Storage, axis: int, subs: Sequence[Int]) -> tuple[int, str, Int] | None:
    """(axis, i, k) where the axis runs from 0 to n and is read at (i + k) mod n: around the circle, from k on if i begins at 0."""
    around = subs[axis].lone
    if not isinstance(around, Mod) or _shares(frame, subs, axis):
        return None
    circle = Range.upto(around.bottom)
    for i in frame.vectors(subs[axis]):
        coefficient, k = around.top.split(i) or (Int.of(0), Int.of(0))
        if coefficient == 1 and circle == store.axes[axis] and not frame.vectors(k) and not k.elements():
            return axis, i, k
    return None


def _bottom(sub: Int) -> Int:
    around = sub.lone
    assert isinstance(around, Mod)
    return around.bottom


def _rolled(frame: Frame, tensor: str, subs: Sequence[Int], turns: Sequence[tuple[int, str, Int]], outside: str) -> Array:
    """A[(i + k) mod n] as A[i], rolled back by k; where i does not go round just once, as what stands around the circle from k on."""
    circles, plain = {i: Range.upto(_bottom(subs[axis])) for axis, i, _ in turns}, list(subs)
    for axis, i, _ in turns:
        plain[axis] = Int.symbol(i)
    array = read(replace(frame, ranges={**frame.ranges, **circles}), tensor, plain, outside)
    text = array.text
    for _, i, k in (t for t in turns if frame.ranges[t[1]] != circles[t[1]]):
        text = f"_around({text}, {array.labels.index(i)}, {frame.integer(frame.ranges[i].lo + k)}, {frame.size(i)})"
    once = [(i, k) for _, i, k in turns if frame.ranges[i] == circles[i]]
    shifts, axes = [frame.integer(-k) for _, k in once], [str(array.labels.index(i)) for i, _ in once]
    if once:
        both = (tuple_text(x) if len(once) > 1 else x[0] for x in (shifts, axes))
        text = f"np.roll({text}, {', '.join(both)})"
    return Array(text, array.labels, 9)


def _askew(frame: Frame, store: Storage, relative: list[Int], kinds: list[str]) -> Array | None:
    """_askew(A, …): all of A[i,j], read at j = i − r over i and r, for so many r that each entry stands somewhere: zeros around them."""
    windows = [k for k, kind in enumerate(kinds) if kind != "all"]
    if len(windows) != 1 or kinds[windows[0]] != "window":
        return None
    (axis,), labels = windows, [frame.vectors(r)[0] if kind == "all" else "" for r, kind in zip(relative, kinds, strict=True)]
    moving = frame.vectors(relative[axis])
    shared, own = [i for i in moving if i in labels], [i for i in moving if i not in labels]
    if len(shared) != 1 or len(own) != 1:
        return None
    (i,), (r,), place = shared, own, Int.symbol("§")
    by_i, by_r = (split[0] if (split := relative[axis].split(x)) is not None else Int.of(0) for x in (i, r))
    if not {by_i, by_r} <= {Int.of(1), Int.of(-1)}:
        return None
    at = by_r*(place - relative[axis].subst({r: Int.of(0)})) - frame.ranges[r].lo  # where an entry goes, counted from the first r
    places = {**frame.known, "§": Range.upto(store.axes[axis].size)}
    if not inside(at, Range.upto(frame.ranges[r].size), places, frame.positive):
        return None
    start = at.subst({"§": Int.of(0), i: frame.ranges[i].lo})
    shifts = tuple_text([frame.integer(start), str(-by_r*by_i), str(by_r)])
    labels[axis] = r
    return Array(f"_askew({store.variable}, {labels.index(i)}, {axis}, {frame.size(r)}, {shifts})", tuple(labels), 9)


def _shares(frame: Frame, subs: Sequence[Int], axis: int) -> bool:
    """Whether an index of this axis runs along another one too."""
    return any({*frame.vectors(s)} & {*frame.vectors(subs[axis])} for k, s in enumerate(subs) if k != axis)


def _diagonal(array: Array) -> Array:
    """The view in which each index has one axis: X[i,i], and A[i,i+j] where A[i,k+j] has an axis for i, one for k, and one for j."""
    once = tuple(dict.fromkeys(array.labels))
    if once == array.labels:
        return array
    before, after = (subscripts(array.labels, labels) for labels in (array.labels, once))
    return Array(f'np.einsum("{before}->{after}", {array.text})', once, 9, True)


def _slices(frame: Frame, store: Storage, subs: Sequence[Int], relative: list[Int], kinds: list[str], outside: str) -> Array:
    """Basic indexing: A[t + 1], A[:, 1:]; and _entry(A, T - 1), where T may be 0."""
    parts, labels, variable = [], [], store.variable
    places = [frame.integer(r) if kind in ("place", "short") else "None" for r, kind in zip(relative, kinds, strict=True)]
    if "short" in kinds:
        while places[-1] == "None":
            places.pop()
        variable = f"_entry({', '.join([variable, *places, *([f'outside={outside}'] if outside else [])])})"
    for k, kind in enumerate(kinds):
        if kind in ("place", "short"):
            parts += [places[k]] if "short" not in kinds else []
            continue
        index = frame.vectors(subs[k])[0]
        labels.append(index)
        parts.append(":" if kind == "all" else slice_of(frame, relative[k], index, store.axes[k]))
    while parts and parts[-1] == ":":
        parts.pop()
    text = f"{variable}[{', '.join(parts)}]" if parts else variable
    return Array(text, tuple(labels), 9, True)


def _windows(frame: Frame, store: Storage, relative: list[Int], kinds: list[str], outside: str) -> Array:
    """_windows(A, …): strided views, padded where they leave the array."""
    # The output index of a window goes last, or the place in a block: along it lies what is copied together.
    within = {i: c for i in frame.order for s in relative if (c := _place_in_block(frame, s, i)) is not None}
    last = [i for i in frame.order if i in within.values() or len(frame.ranges[i].size.terms) > 1 and i not in within]
    return _natural(frame, store, relative, kinds, outside, last)


def _place_in_block(frame: Frame, sub: Int, i: str) -> str | None:
    """c, if a subscript is m·i + c, with c < m: what it reads stands in that order."""
    m, c = sub.split(i) or (Int.of(0), Int.of(0))
    low = frame.ranges.get(c.name or "")
    return c.name if low is not None and (m == low.size or never_negative(m - low.hi, {}, frame.positive)) else None


def view_of_windows(frame: Frame, tensor: str, subs: Sequence[Int], outside: str, last: Iterable[str]) -> Array:
    """_windows(A, …) of a whole read, its axes as they come; in each group that slides, the indices `last` stand behind the others."""
    frame = without_margins(frame, tensor, subs) if outside else frame
    store = frame.storage[tensor]
    subs = store.places(subs)
    relative = [s - r.lo for s, r in zip(subs, store.axes, strict=True)]
    kinds = [_kind(frame, tensor, k, subs) for k in range(len(subs))]
    return _natural(frame, store, relative, kinds, outside, list(last))


def _spans(frame: Frame, relative: list[Int], kinds: list[str], behind: list[str]) -> tuple[list[str], list[str]]:
    axes: list[str] = []
    labels: list[str] = []
    for sub, kind in zip(relative, kinds, strict=True):
        indices = sorted(frame.vectors(sub), key=lambda i: i in behind)
        labels += indices
        axes.append("None" if kind == "all" else axis_text(frame, sub, indices))
    return axes, labels


def _natural(frame: Frame, store: Storage, relative: list[Int], kinds: list[str], outside: str, behind: list[str]) -> Array:
    axes, labels = _spans(frame, relative, kinds, behind)
    options = [f"outside={outside}"] if outside else []
    return Array(f"_windows({', '.join([store.variable, *axes, *options])})", tuple(labels), 9, True)


def _gather(frame: Frame, store: Storage, relative: list[Int], kinds: list[str], outside: str = "") -> Array:
    """_gather(A, …): index arrays for the axes that need them, in front; views of the others behind."""
    chosen = [k for k, kind in enumerate(kinds) if kind == "gather"]
    indices = {i for k in chosen for i in frame.vectors(relative[k])}
    chosen += [k for k in range(len(kinds)) if k not in chosen and set(frame.vectors(relative[k])) & indices]
    chosen.sort()
    rest = [k for k in range(len(kinds)) if k not in chosen]
    labels = frame.sort({i for k in chosen for i in frame.vectors(relative[k])})
    base = store.variable
    behind: list[str] = []
    if any(kinds[k] != "all" for k in rest):
        base, behind = _view_of_rest(frame, store, relative, kinds, chosen, outside)
    else:
        behind = [frame.vectors(relative[k])[0] for k in rest]
    moved = _front(base, kinds, chosen, rest, relative, frame)
    arrays = [integer_array(frame, relative[k], labels) for k in chosen]
    last = [f"outside={outside}"] if outside else []
    array = Array(f"_gather({', '.join([moved, *arrays, *last])})", (*labels, *behind), 9)
    return permute(array, frame.sort((*labels, *behind)))


def _view_of_rest(
    frame: Frame, store: Storage, relative: list[Int], kinds: list[str], chosen: list[int], outside: str
) -> tuple[str, list[str]]:
    axes, behind = [], []
    for k, sub in enumerate(relative):
        if k in chosen or kinds[k] == "all":
            axes.append("None")
            behind += frame.vectors(sub) if k not in chosen else []
            continue
        axes.append(axis_text(frame, sub, frame.vectors(sub)))
        behind += frame.vectors(sub)
    last = [f"outside={outside}"] if outside else []
    return f"_windows({', '.join([store.variable, *axes, *last])})", behind


def _front(base: str, kinds: list[str], chosen: list[int], rest: list[int], relative: list[Int], frame: Frame) -> str:
    """The array with the chosen axes in front. A window axis has as many axes as it has indices."""
    counts = [1 if k in chosen or kinds[k] == "all" else len(frame.vectors(relative[k])) for k in range(len(kinds))]
    first = [sum(counts[:k]) for k in range(len(kinds))]
    axes = [first[k] for k in chosen] + [first[k] + j for k in rest for j in range(counts[k])]
    return base if axes == sorted(axes) else f"{base}.transpose({', '.join(map(str, axes))})"


# -- integers as arrays ------------------------------------------------------------------------------------------------------
def integer_array(frame: Frame, value: Int, labels: Sequence[str]) -> str:
    """An integer expression as an array over the labels (int64), or as a Python integer where it has no array index."""
    return integer_value(frame, value, labels).text


def integer_value(frame: Frame, value: Int, labels: Sequence[str]) -> Array:
    if not frame.vectors(value) and not value.elements():
        return Array(frame.integer(value), (), 9 if frame.integer(value).isidentifier() or value.is_constant and value.constant >= 0 else 5)
    text = ""
    for monomial, c in sorted(value.terms.items(), key=lambda t: (t[0] == (), t[1] < 0)):
        factors = [_atom(frame, a, labels) for a in monomial]
        if abs(c) != 1 or not factors:
            factors = [str(abs(c)), *factors]
        body = "*".join(factors)
        text += (f" - {body}" if c < 0 else f" + {body}") if text else (f"-{body}" if c < 0 else body)
    simple = len(value.terms) == 1 and "*" not in text and not text.startswith("-")
    return Array(text, tuple(labels), 9 if simple else 5)


def _atom(frame: Frame, atom: Atom, labels: Sequence[str]) -> str:
    if isinstance(atom, str):
        return _arange(frame, atom, labels) if atom in frame.order else atom
    if isinstance(atom, Element):
        return expand(read(frame, atom.tensor, atom.subs), labels).at_least(9)
    if isinstance(atom, FloorDiv | Mod):
        top, bottom = (integer_value(frame, v, labels).at_least(9) for v in (atom.top, atom.bottom))
        return f"({top} {'//' if isinstance(atom, FloorDiv) else '%'} {bottom})"
    assert isinstance(atom, Extreme)
    function = "np.maximum" if atom.op == "max" else "np.minimum"
    text = integer_value(frame, atom.args[0], labels).text
    for a in atom.args[1:]:
        text = f"{function}({text}, {integer_value(frame, a, labels).text})"
    return text


def _arange(frame: Frame, index: str, labels: Sequence[str]) -> str:
    r = frame.ranges[index]
    span = frame.integer(r.hi) if r.lo == 0 else f"{frame.integer(r.lo)}, {frame.integer(r.hi)}"
    return expand(Array(f"np.arange({span})", (index,)), labels).text
