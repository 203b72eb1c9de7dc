"""Products with matrices that are looked up: rows that name one matrix are multiplied with it together, as by one expert of several.

    Y[n,k] = Σ_d X[n,d] W[t[n],d,k]                      _by_group(X, W, t)
    dW[a,d,k] = Σ_n where(t[n] = a, X[n,d] dY[n,k], 0)   _outer_by_group(X, dY, W.shape, t)

Row by row, each would have a copy of its matrix. The emitted functions see how many matrices there are, and go row by row where each has
few rows and is small.
"""

from __future__ import annotations

from collections.abc import Callable

from ..expr import Expr, Read, Reduce, has_reduction
from ..integer import Element
from ..polynomial import guarded_factors, product
from .arrays import Array, Frame, labels_of, permute
from .fold import Fold
from .items.form import call
from .reads import integer_value
from .texts import tuple_text

EmitIn = Callable[[Frame, Expr], Array]


def product_by_group(frame: Frame, emit_in: EmitIn, e: Reduce) -> Array | None:
    """Σ_d X[n,d] W[t[n],d,k], where nothing but W has k, and nothing is left out."""
    conditions, parts = guarded_factors(e.body)
    looked_up = [f for f in parts if isinstance(f, Read) and any(s.elements() for s in f.subs)]
    if conditions or len(e.indices) != 1 or len(looked_up) != 1 or len(parts) < 2 or has_reduction(e.body):
        return None
    (w,), (d,) = looked_up, e.indices
    rest = product([f for f in parts if f is not w])
    store, at = frame.storage[w.tensor], [k for k, s in enumerate(w.subs) if s.elements()]
    names = [s.name for s in w.subs]
    if store.dropped or len(w.subs) != 3 or len(at) != 1 or not isinstance(w.subs[at[0]].lone, Element) or store.axes[at[0]].lo != 0:
        return None
    place, plain = w.subs[at[0]], [n for k, n in enumerate(names) if k != at[0]]
    own = [n for n in plain if n != d]
    places = tuple(frame.vectors(place))
    if len(own) != 1 or own[0] is None or not places or not all(_is_whole(frame, w, k) for k in range(3) if k != at[0]):
        return None
    if labels_of(frame, rest) != {*places, d} or {own[0], d} & {*places}:
        return None
    x = permute(emit_in(frame, rest), (*places, d))
    order = (at[0], names.index(d), names.index(own[0]))
    axes = "" if order == (0, 1, 2) else ".mT" if order == (0, 2, 1) else f".transpose{order}"
    found = [x, Array(store.variable + axes, ("§", d, own[0])), integer_value(frame, place, places)]
    made = frame.make(call("_by_group({0}, {1}, {2})", 0, 9, 0), found, (*places, own[0]))
    return permute(made, frame.sort(made.labels))


def _is_whole(frame: Frame, w: Read, k: int) -> bool:
    name = w.subs[k].name
    return name in frame.ranges and name in frame.order and frame.ranges[str(name)] == frame.storage[w.tensor].axes[k]


def outer_by_group(frame: Frame, inner: Frame, emit_in: EmitIn, fold: Fold) -> Array | None:
    """Σ_n X[n,d] Y[n,k], put at t[n]: products of which one factor has d and another one k, and nothing is left out."""
    axes = [i for i in fold.labels if i not in fold.scatter_labels]
    conditions, parts = guarded_factors(fold.values)
    if fold.op != "sum" or fold.scatter is None or len(fold.scatter) != 1 or len(axes) != 2 or len(fold.moved) != 3:
        return None
    if conditions or has_reduction(fold.values):
        return None
    groups = [[f for f in parts if i in labels_of(inner, f)] for i in axes]
    both = [f for f in groups[0] if f in groups[1]]
    if both or not all(groups):
        return None
    others = [f for f in parts if f not in groups[0] and f not in groups[1]]
    sides = [product([*others, *groups[0]]), product(groups[1])]
    if any(labels_of(inner, side) != {*fold.scatter_labels, i} for side, i in zip(sides, axes, strict=True)):
        return None
    arrays = [permute(emit_in(inner, side), (*fold.scatter_labels, i)) for side, i in zip(sides, axes, strict=True)]
    place = integer_value(inner, fold.scatter[0], fold.scatter_labels)
    shape = tuple_text(frame.size(i) for i in fold.moved)
    return frame.make(call(f"_outer_by_group({{0}}, {{1}}, {shape}, {{2}})", 0, 0, 0), [*arrays, place], fold.moved)
