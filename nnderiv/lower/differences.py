"""Sums of differences x − y of arrays that have fewer axes than x − y has: over i and k, over j and k.

    Σ_k (x[i,k] − y[j,k])²             _square_distances(x[:, None], y)
    Σ_k ((x[i,k] − y[j,k])/s[j,k])²    _square_distances(x[:, None], y, s)
    Σ_j (x[i,k] − y[j,k]) w[i,j]       _weighted_differences(x[..., None], y.T, w)

The differences are taken where x and y are close, since x·x − 2 x·y + y·y has no digits left there; elsewhere these are products of
matrices. Or not all of them are in memory at once: if k runs over few places, these come one after the other, each in long rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..expr import Expr, Op
from ..polynomial import additive_terms
from . import cost
from .arrays import Array, Frame, expand, labels_of, permute
from .items.form import call

EmitIn = Callable[[Frame, Expr], Array]


def squared(frame: Frame, emit_in: EmitIn, base: Expr, indices: Sequence[str]) -> Array | None:
    """Σ base², if base is such a difference, or one that is divided by what has the index of the sum, too."""
    above, *scale = base.args if isinstance(base, Op) and base.op == "/" else (base,)
    if len(indices) != 1 or (parts := _parts(frame, above, indices[0])) is None:
        return None
    labels = labels_of(frame, above)
    if not all({*indices} <= labels_of(frame, s) <= labels for s in scale):
        return None
    left = frame.sort(labels - {*indices})
    operands = [_along(emit_in(frame, p), (*left, *indices)) for p in (*parts, *scale)]
    shown = ", ".join(f"{{{k}}}" for k in range(len(operands)))
    return frame.make(call(f"_square_distances({shown})", *[0]*len(operands)), operands, left)


def weighted(
    frame: Frame, emit_in: EmitIn, base: Expr, labels: frozenset[str], bound: Sequence[str], weights: Callable[[], Array]
) -> Array | None:
    """Σ base · weights over one index, if base is such a difference, and the weights have all its indices but one; `labels` are theirs."""
    own = labels_of(frame, base) - labels
    if len(bound) != 1 or len(own) != 1 or not {*bound} < labels < labels_of(frame, base) or (parts := _parts(frame, base, *own)) is None:
        return None
    rest = frame.sort(labels - {*bound})
    x, y = (_along(emit_in(frame, p), (*rest, *own, *bound)) for p in parts)
    w = permute(weights(), (*rest, *bound))
    total = frame.make(call("_weighted_differences({0}, {1}, {2})", 0, 0, 0), [x, y, w], (*rest, *own))
    return permute(total, frame.sort(total.labels))


def _parts(frame: Frame, base: Expr, k: str) -> list[Expr] | None:
    """[x, y] of x − y, both with k, and neither with all indices of the other, where a function pays."""
    terms = sorted(additive_terms(base), key=lambda t: -t[0]) if isinstance(base, Op) and base.op == "+" else []
    if not frame.differences or frame.loops or [sign for sign, _ in terms] != [1, -1]:
        return None
    if not cost.has_function(frame.ranges[k].size, [frame.ranges[i].size for i in labels_of(frame, base)]):
        return None
    parts = [t for _, t in terms]
    x, y = (labels_of(frame, p) for p in parts)
    return parts if k in x & y and not x <= y and not y <= x else None


def _along(array: Array, labels: Sequence[str]) -> Array:
    """The array with its axes in this order, and one of length 1 for each that it lacks."""
    return expand(permute(array, [i for i in labels if i in array.labels]), labels)
