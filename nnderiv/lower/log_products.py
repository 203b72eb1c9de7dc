"""Products of matrices of exponentials, whose logarithm is asked for, and their gradients.

    log Σ_k exp(x[i,k] + y[k,j])                    _log_product(x, y)
    Σ_j w[i,j] exp(x[n,i] + y[n,j] − c[i,j])        _share_product(x, y, c, w), c the logarithm over n

So are the steps of a chain, whose states are added up in logarithms, and the joint distribution of two softmaxes. Shifted by the maxima of
rows and columns they are products of matrices, and no array has all three indices. What such a product cannot tell from 0, or would have
to multiply by something that is too large, is computed entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..expr import Expr, Op, Read, Reduce, additive_terms, factors, product, signed
from .arrays import Array, Frame, labels_of, permute
from .form import call

EmitIn = Callable[[Frame, Expr], Array]
Labels = frozenset[str]


def logarithm(frame: Frame, emit_in: EmitIn, e: Reduce) -> Array | None:
    """log Σ_k exp(x + y), where x and y have k and one more index each, and perhaps others that they share."""
    terms = additive_terms(e.body)
    first = max((labels_of(frame, t) for _, t in terms), key=len)
    second = next((labels_of(frame, t) for _, t in terms if not labels_of(frame, t) <= first), first)
    rows, columns = sorted((first - second, second - first), key=lambda own: [frame.order.index(i) for i in frame.sort(own)])
    fits = len(e.indices) == len(rows) == len(columns) == 1 and {*e.indices} <= first & second
    if not frame.log_products or not fits or (parts := _parted(frame, terms, (first, second))) is None:
        return None
    x, y = (emit_in(frame, p) for p in (parts if rows < first else parts[::-1]))
    batch = frame.sort(first & second - {*e.indices})
    operands = [permute(x, (*batch, *rows, *e.indices)), permute(y, (*batch, *e.indices, *columns))]
    total = frame.make(call("_log_product({0}, {1})", 0, 0), operands, (*batch, *rows, *columns))
    return permute(total, frame.sort(total.labels))


def shares(frame: Frame, emit_in: EmitIn, e: Reduce, is_lse: Callable[[str], bool]) -> Array | None:
    """Σ_j w · exp(x + y − c) with a logsumexp c, which x + y are not above."""
    parts = factors(e.body)
    exponentials = [f for f in parts if isinstance(f, Op) and f.op == "exp"]
    if not frame.log_products or frame.loops or len(exponentials) != 1 or len(e.indices) != 1:
        return None
    weights = product([f for f in parts if f is not exponentials[0]])
    terms, labels = additive_terms(exponentials[0].args[0]), labels_of(frame, weights)
    total = [t for s, t in terms if s < 0 and isinstance(t, Read) and is_lse(t.tensor) and labels_of(frame, t) == labels]
    own, rest = labels_of(frame, exponentials[0]) - labels, labels - {*e.indices}
    if len(total) != 1 or len(labels) != 2 or len(own) != 1 or len(rest) != 1:
        return None
    sums = _parted(frame, [(s, t) for s, t in terms if t is not total[0]], (rest | own, own | {*e.indices}))
    if sums is None:
        return None
    (n,), (j,), (i,) = own, e.indices, rest
    arrays = [emit_in(frame, part) for part in (*sums, total[0], weights)]
    operands = [permute(a, at) for a, at in zip(arrays, ((n, i), (n, j), (i, j), (i, j)), strict=True)]
    return permute(frame.make(call("_share_product({0}, {1}, {2}, {3})", 0, 0, 0, 0), operands, (n, i)), frame.sort((n, i)))


def _parted(frame: Frame, terms: Sequence[tuple[int, Expr]], groups: Sequence[Labels]) -> list[Expr] | None:
    """The sums of the terms over the indices of each group, where it belongs to one; together they have all its indices."""
    found: list[list[tuple[int, Expr]]] = [[] for _ in groups]
    for term in terms:
        fits = [k for k, group in enumerate(groups) if labels_of(frame, term[1]) <= group]
        if not fits:
            return None
        found[fits[0]].append(term)
    whole = all(frozenset[str]().union(*(labels_of(frame, t) for _, t in some)) == group for some, group in zip(found, groups, strict=True))
    return [signed(some) for some in found] if whole else None
