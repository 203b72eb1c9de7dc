"""The text of slices and shapes: `1:T`, `:n_i`, `(N, K)`, `N*K`."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence

from ..bounds import never_negative
from ..integer import Int
from ..program import Range
from .arrays import Array, Frame


def slice_of(frame: Frame, relative: Int, index: str, axis: Range) -> str:
    if (split := relative.split(index)) is not None and split[0] != 1:
        return _slice_by_steps(frame, *split, index, axis.size)
    shift = relative - Int.symbol(index)
    return slice_at(frame, frame.ranges[index].lo + shift, frame.ranges[index].hi + shift, axis.size)


def _slice_by_steps(frame: Frame, step: Int, start: Int, index: str, size: Int) -> str:
    """start::step, as far as the index goes; both are numbers, and the index begins at 0."""
    whole = start + step*frame.ranges[index].size
    count = multiplied([str(step), frame.size(index)])
    end = str(whole) if whole.is_constant else count if start == 0 else f"{start} + {count}"
    return f"{'' if start == 0 else start}:{'' if never_negative(whole - size, {}, frame.positive) else end}:{step}"


def slice_at(frame: Frame, start: Int, stop: Int, size: Int) -> str:
    """The slice start:stop of an axis of a size: nothing where it ends before it begins."""
    if not never_negative(stop - start, {}, frame.positive) or _counts_from_the_end(frame, stop, size):
        begin, extent = frame.integer(start), frame.extent(stop - start)
        return f":{extent}" if start == 0 else f"{begin}:{begin} + {extent}"
    return span(frame.integer, start, stop, size)


def _counts_from_the_end(frame: Frame, stop: Int, size: Int) -> bool:
    """Whether an end such as H − 1 may be −1, which is the last place to NumPy, on an axis that is not empty then."""
    return not (size.name is not None and stop.symbols() <= {size.name}) and not never_negative(
        stop.subst(frame.less), frame.known, frame.positive)


def span(integer: Callable[[Int], str], start: Int, stop: Int, size: Int) -> str:
    """The slice start:stop of an axis, its own ends left out."""
    return f"{'' if start == 0 else integer(start)}:{'' if stop == size else integer(stop)}"


def axis_text(frame: Frame, sub: Int, indices: Sequence[str]) -> str:
    """One axis of _windows: (start, (size, step), …)."""
    start, spans = sub, []
    for i in indices:
        split = sub.split(i)
        assert split is not None
        spans.append(f"({frame.size(i)}, {frame.integer(split[0])})")
        start = start.subst({i: frame.ranges[i].lo})
    return tuple_text([frame.integer(start), *spans])


def tuple_text(parts: Iterable[str]) -> str:
    """(a, b), and (a,) for a single part."""
    parts = list(parts)
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def multiplied(sizes: Iterable[str]) -> str:
    """The text of the product of sizes."""
    each = list(sizes)
    bracketed = [n if is_atom(n) else f"({n})" for n in each]
    return each[0] if len(each) == 1 else "*".join(bracketed) or "1"


def is_atom(text: str) -> bool:
    """Whether a text is a name, a number, or max(N, 1), so that no brackets are needed around it."""
    return text.isidentifier() or text.isdigit() or re.fullmatch(r"(max|min)\([^()]*\)", text) is not None


def extreme_of(op: str, texts: Iterable[str]) -> str:
    """max(a, b), or min, of different texts; a for one alone."""
    found = list(dict.fromkeys(texts))
    return found[0] if len(found) == 1 else f"{op}({', '.join(found)})"


def subscripts(every: Sequence[str], labels: Iterable[str]) -> str:
    """The labels as einsum has them: one letter for each of every label."""
    once = list(dict.fromkeys(every))
    letters = dict(zip(once, once if all(len(x) == 1 for x in once) else string.ascii_lowercase, strict=False))
    return "".join(letters[x] for x in labels)


def axes_text(array: Array, indices: Sequence[str]) -> str:
    """The axes along which indices run: 1, or (1, 2)."""
    axes = [array.labels.index(i) for i in indices]
    return str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"
