"""Which indices of a read slide, and which stay: X[n, c, s·i + d·u − p] has the place i in the image, and the place u in the kernel.

The kernel's index is the one that a factor without the image's index has too (K[o,c,u], and not dY[n,o,i]), or that the
sum is over while the image's index is free. What the two ways of computing cost is `cost`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..expr import Expr, Read, reads
from ..integer import Int
from .arrays import Frame


def sliding(frame: Frame, r: Read) -> list[tuple[str, ...]]:
    """The groups of array indices that share a subscript of a read."""
    groups = [tuple(frame.vectors(s)) for s in r.subs]
    return [g for g in groups if len(g) > 1]


def is_plain_window(frame: Frame, r: Read) -> bool:
    """Whether each array index stands in one subscript only, with a step that does not vary."""
    seen: set[str] = set()
    for s in r.subs:
        if any(not isinstance(a, str) for a in s.atoms()):
            return False
        for i in frame.vectors(s):
            split = s.split(i)
            if i in seen or split is None or frame.vectors(split[0]):
                return False
            seen.add(i)
    return True


def walked(frame: Frame, e: Expr, inner: Iterable[str]) -> tuple[str, ...]:
    """Of the indices `inner`, those that stand for a place in a kernel: they slide against a larger one that is not among them."""
    inner = set(inner)
    found: set[str] = set()
    for r in reads(e):
        for s in r.subs:
            group = frame.vectors(s)
            outer = [i for i in group if i not in inner]
            if outer and len(group) > 1 and not s.elements():  # rows that are looked up are long runs already
                most = max(bulk(frame, r, s, i) for i in outer)
                found |= {i for i in group if i in inner and bulk(frame, r, s, i) <= most}
    return frame.sort(found)


def bulk(frame: Frame, r: Read, sub: Int, index: str) -> int:
    """How much speaks for an index in a subscript being one of an image: the size of the axis it runs along is part of its own size, or it
    reaches over half of it; in doubt, that its steps are long."""
    size, split = frame.ranges[index].size, sub.split(index)
    store = frame.storage.get(r.tensor)
    along = store.axes[store.places(r.subs).index(sub)].size if store is not None else size
    if size.is_constant and not along.is_constant:
        return 0
    step = split[0] if split is not None else Int.of(1)
    long = step not in (1, -1)
    if size.is_constant:
        most = 2*abs(step.constant)*size.constant >= along.constant
    else:
        most = bool(along.symbols()) and along.symbols() <= size.symbols()
    return (4 if most else 2) + long
