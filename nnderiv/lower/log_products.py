"""Products of matrices of exponentials, whose logarithm is asked for, and their gradients.

    log Σ_k exp(x[i,k] + y[k,j])                    _log_product(x, y)
    Σ_j w[i,j] exp(x[n,i] + y[n,j] − c[i,j])        _share_product(x, y, c, w), c the logarithm over n

So are the steps of a chain, whose states are added up in logarithms, and the joint distribution of two softmaxes. Shifted by the maxima of
rows and columns they are products of matrices, and no array has all three indices. What such a product cannot tell from 0, or would have
to multiply by something that is too large, is computed entry by entry. Where i and j are several indices each, they are made one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..expr import Expr, Reduce, free_symbols
from ..polynomial import additive_terms, signed
from .arrays import Array, Frame, labels_of, permute
from .contract import flattened
from .items.form import Operation, call
from .shares import Vanishes, parted, shares
from .texts import multiplied

EmitIn = Callable[[Frame, Expr], Array]


def logarithm(frame: Frame, emit_in: EmitIn, e: Reduce) -> Array | None:
    """log Σ_k exp(x + y), where x and y have k and one more index each, and perhaps others that they share. In a loop in which y stays
    the same, its exponentials do (`invariant`), and x may be a row, with k alone."""
    terms = additive_terms(e.body)
    if not frame.log_products or len(e.indices) != 1:
        return None
    if (row := _row(frame, terms, e.indices)) is not None:
        x, y = (emit_in(frame, part) for part in row)
        (column,) = {*y.labels} - {*e.indices}
        y = permute(y, (*e.indices, column))
        return frame.make(call("_log_row({0}, {1}, {2})", 0, 0, 0), [x, y, _exponentials(frame, y, -2)], (column,))
    first = max((labels_of(frame, t) for _, t in terms), key=len)
    second = next((labels_of(frame, t) for _, t in terms if not labels_of(frame, t) <= first), first)
    rows, columns = sorted((first - second, second - first), key=lambda own: [frame.order.index(i) for i in frame.sort(own)])
    fits = len(rows) == len(columns) == 1 and {*e.indices} <= first & second
    if not fits or (parts := parted(terms, frame.order, (first, second))) is None:
        return None
    parts = parts if rows < first else parts[::-1]
    stays = [_stays(frame, [(1, p)]) for p in parts]
    batch = frame.sort(first & second - {*e.indices})
    if stays == [True, False]:  # what stays the same comes second
        rows, columns, parts = columns, rows, parts[::-1]
    x, y = (emit_in(frame, p) for p in parts)
    operands = [permute(x, (*batch, *rows, *e.indices)), permute(y, (*batch, *e.indices, *columns))]
    if any(stays):
        operands.append(_exponentials(frame, operands[1], -2))
    total = frame.make(_function("_log_product", operands), operands, (*batch, *rows, *columns))
    return permute(total, frame.sort(total.labels))


def _row(frame: Frame, terms: Sequence[tuple[int, Expr]], k: tuple[str, ...]) -> tuple[Expr, Expr] | None:
    """x[k] and y[k,j], of which the loop changes the first alone."""
    rows = [term for term in terms if not _stays(frame, [term])]
    rest = [term for term in terms if _stays(frame, [term])]
    over = {i for _, t in rest for i in labels_of(frame, t)}
    if not rows or not rest or len(over) != 2 or not over > {*k} or any(labels_of(frame, t) != {*k} for _, t in rows):
        return None
    return signed(rows), signed(rest)


def _stays(frame: Frame, terms: Sequence[tuple[int, Expr]]) -> bool:
    """Whether the loop around does not change these terms."""
    return bool(frame.loops) and all(free_symbols(t).isdisjoint(frame.loops) for _, t in terms)


def _exponentials(frame: Frame, y: Array, axis: int) -> Array:
    """What a product asks of y: two arrays."""
    return frame.make(call(f"_shifted_exp({{0}}, {axis})", 0), [y], y.labels, real=False)


def _function(name: str, operands: Sequence[Array]) -> Operation:
    return call(f"{name}({', '.join(f'{{{k}}}' for k in range(len(operands)))})", *[0]*len(operands))


def share_product(
    frame: Frame, emit_in: EmitIn, e: Reduce, is_lse: Callable[[str], bool], vanishes: Vanishes
) -> Array | None:
    """A sum of shares, each of one row or more."""
    found = shares(e, frame.order, is_lse) if frame.log_products else None
    if found is None or not found.rows or not found.are_complete(vanishes):
        return None
    n, rows, columns = (found.own,), found.rows, found.columns
    arrays = [emit_in(frame, part) for part in (found.x, found.y, found.c, found.w)]
    groups: list[tuple[tuple[str, ...], ...]] = [(n, rows), (n, columns), (rows, columns), (rows, columns)]
    operands = [_matrix(frame, a, *at) for a, at in zip(arrays, groups, strict=True)]
    if _stays(frame, [(1, found.y)]):
        operands.append(_exponentials(frame, operands[1], 0))
    total = frame.make(_function("_share_product", operands), operands, n + rows)
    if len(rows) > 1:
        total = frame.make(call(f"{{0}}.reshape({', '.join(map(frame.size, n + rows))})", 9, owns=False), [total], n + rows)
    return permute(total, frame.sort(n + rows))


def _matrix(frame: Frame, a: Array, rows: tuple[str, ...], columns: tuple[str, ...]) -> Array:
    """The array with two axes, along which these indices run."""
    a = permute(a, (*rows, *columns))
    if len(rows) == len(columns) == 1:
        return a
    sizes = [multiplied(map(frame.size, group)) for group in (rows, columns)]
    return Array(flattened(frame, a, [], [[*rows], [*columns]], sizes), a.labels)
