"""A sum of products -> pairwise products: which factors are multiplied elementwise, which pairs go to matmul, in which order.

Factors with the same indices are multiplied elementwise. Indices of one operand only are summed at once. Then the pair
whose product touches the fewest elements is contracted, as a matrix product on (batch, rows, inner)·(batch, inner, columns) views,
until one operand is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import combinations, dropwhile, takewhile

from ..expr import INF, ONE, ZERO, Expr, IntValue, Num, Op, Read, Reduce, conjunction, integer, reads, walk, where
from ..integer import Int
from ..polynomial import guarded_factors, is_reciprocal, product
from ..regular import is_regular
from ..simplify import may_be_infinite
from . import differences
from .arrays import Array, Frame, labels_of, permute
from .cost import closing, entries_over
from .items.form import DIVIDE, MATMUL, MULTIPLY, Operation, call, variable_of
from .texts import multiplied, subscripts

Emit = Callable[[Expr], Array]
EmitIn = Callable[[Frame, Expr], Array]
Choose = Callable[[Expr, Array], Array]  # (c, x) -> x where c holds, and 0 elsewhere


@dataclass
class Operand:
    """Factors that are multiplied elementwise, and the indices that they run over."""

    labels: frozenset[str]
    parts: list[Expr]
    conditions: list[Expr] = field(default_factory=list)


def sum_of_products(
    frame: Frame, body: Expr, bound: Sequence[str], emit_in: EmitIn, choose: Choose, outside: Sequence[Expr] = ()
) -> Array:
    """Σ over bound of body, times the factors outside, which run over no index."""
    emit = partial(emit_in, frame)
    operands, scale, always = _operands(frame, body, bound)
    # What is infinite outside of the sum makes nan of its zeros, too.
    late = [f for f in outside if always and _may_be_infinite(frame, f)]
    scale = [*scale, *(f for f in outside if f not in late)]
    after = [p for o in operands if not o.conditions and not o.labels & set(bound) for p in o.parts]
    operands = [o for o in operands if o.conditions or o.labels & set(bound)]
    missing = [i for i in bound if not any(i in o.labels for o in operands)]
    together = _weighted(frame, emit_in, operands, bound)
    arrays = [together] if together else [_own_sum(frame, emit_in, o, operands, bound) for o in operands]
    open_ = [i for i in bound if i not in missing]
    if scale and len(arrays) > 1 and (k := _smallest(frame, arrays, bound)) is not None:
        for f in sorted(scale, key=is_reciprocal):
            arrays[k] = times(frame, arrays[k], f, emit)
        scale = []
    while len(arrays) > 1:
        a, b = _cheapest(frame, arrays, open_)
        others = [x for k, x in enumerate(arrays) if k not in (a, b)]
        closed = closing([x.labels for x in arrays], (a, b), open_)
        arrays = [*others, _pair(frame, arrays[a], arrays[b], closed)]
    result = arrays[0] if arrays else Array("1")
    for i in missing:
        size = Array(frame.size(i), (), 9 if frame.size(i).isidentifier() or frame.size(i).isdigit() else 5)
        result = frame.combine(MULTIPLY, size, result) if result.text != "1" else size
    if not arrays:
        scale = [_of_some(frame, f, missing) for f in scale]
        result = frame.number(result) if any(is_reciprocal(f) and frame.may_vanish(f) for f in scale) else result
    # One by one, so that a division by an empty size is NumPy's and not Python's.
    for f in sorted(scale, key=is_reciprocal):
        result = times(frame, result, f, emit)
    for f in after:
        result = times(frame, result, f, emit)
    for selects in ([c for c in always if labels_of(frame, c)], [c for c in always if not labels_of(frame, c)]):
        result = choose(conjunction(selects), result) if selects else result
    for f in sorted(late, key=is_reciprocal):
        result = times(frame, result, f, emit)
    return result


def _of_some(frame: Frame, f: Expr, bound: Sequence[str]) -> Expr:
    """1/max(1, C) for 1/C, where C is a size of what is summed over: a sum over nothing is 0, whatever stands in it."""
    below = f.args[1] if is_reciprocal(f) else None
    sizes = {frame.ranges[i].size for i in bound}
    if not isinstance(below, IntValue) or below.value not in sizes:
        return f
    return ONE / integer(Int.extreme("max", Int.of(1), below.value))


def _smallest(frame: Frame, arrays: list[Array], bound: Sequence[str]) -> int | None:
    """The operand that a factor is cheaper to multiply into than into the result; it needs memory, the result would not."""
    labels = {x for a in arrays for x in a.labels}
    result = entries_over(frame.ranges, labels - set(bound))
    k = min(range(len(arrays)), key=lambda k: entries_over(frame.ranges, arrays[k].labels))
    return k if 2 * entries_over(frame.ranges, arrays[k].labels) < result else None


def _own_sum(frame: Frame, emit_in: EmitIn, o: Operand, operands: list[Operand], bound: Sequence[str]) -> Array:
    """One operand, summed over what no other has: a sum of its own, which goes place by place if it is over windows."""
    own = tuple(i for i in bound if _only_in(i, o, operands))
    if len(operands) > 1 and 0 < len(own) < len(o.labels) and not o.conditions and len(o.parts) > 1:
        return emit_in(frame, Reduce("sum", own, product(o.parts)))
    return _summed(frame, emit_in, o, list(own))


def _summed(frame: Frame, emit_in: EmitIn, o: Operand, indices: list[str]) -> Array:
    """The operand, summed over indices that no other one has."""
    parts = _two_factors(o) if frame.rows and indices and not o.conditions else []
    if parts and parts[0] == parts[1] and (distances := differences.squared(frame, emit_in, parts[0], indices)) is not None:
        return distances
    if parts:
        order = _as_stored(frame, o)
        a = emit_in(order, parts[0])
        b = a if parts[1] == parts[0] else emit_in(order, parts[1])
        if set(a.labels) == set(b.labels) == o.labels and a.origin.labels == b.origin.labels:
            return _dot(frame, a.origin, b.origin, indices)
    return _presum(frame, _array(frame, emit_in, o), indices)


def _weighted(frame: Frame, emit_in: EmitIn, operands: list[Operand], bound: Sequence[str]) -> Array | None:
    """The sum of all operands at once, if these are differences and their weights (`differences`)."""
    if len(operands) != 2:
        return None
    o, w = sorted(operands, key=lambda o: -len(o.labels))
    if len(o.parts) != 1 or o.conditions:
        return None
    return differences.weighted(frame, emit_in, o.parts[0], w.labels, bound, lambda: _array(frame, emit_in, w))


def _dot(frame: Frame, a: Array, b: Array, indices: list[str]) -> Array:
    """Σ over indices of a·b, entry by entry, without their product in memory: row by row where the rows lie together."""
    left = tuple(x for x in a.labels if x not in indices)
    if not left:
        return frame.make(call("np.vdot({0}, {1})", 0, 0), [a, b], ())
    if set(a.labels[len(left):]) == set(indices):
        rows = [_rows(frame, x, left, indices) for x in ([a] if a == b else [a, b])]
        result = frame.make(call("np.vecdot({0}, {1})", 0, 0), [rows[0], rows[-1]], left)
    else:
        both, one = (subscripts(a.labels, labels) for labels in (a.labels, left))
        result = frame.make(call(f'np.einsum("{both},{both}->{one}", {{0}}, {{1}})', 0, 0), [a, b], left)
    return permute(result, frame.sort(left))


def _rows(frame: Frame, array: Array, left: Sequence[str], indices: Sequence[str]) -> Array:
    """The array with its last axes, those of the indices, merged into one."""
    if len(indices) == 1:
        return array
    merged = multiplied(frame.size(x) for x in array.labels[len(left):])
    return Array(flattened(frame, array, [], [[x] for x in left] + [list(indices)], [*map(frame.size, left), merged]), array.labels)


def _two_factors(o: Operand) -> list[Expr]:
    """The two parts of an operand; the same twice for a square."""
    if len(o.parts) == 1 and isinstance(o.parts[0], Op) and o.parts[0].op == "**" and o.parts[0].args[1] == Num(Fraction(2)):
        return [o.parts[0].args[0]] * 2
    return o.parts if len(o.parts) == 2 else []


def _as_stored(frame: Frame, o: Operand) -> Frame:
    """The frame with the indices of an operand in the order in which the first tensor that runs over all of them is stored."""
    for r in (n for p in (*o.parts, *o.conditions) for n in walk(p) if isinstance(n, Read)):
        stored = [str(s.name) for s in r.subs if s.name in frame.order]
        if len(stored) == len(set(stored)) and o.labels == set(stored):
            following = iter(stored)
            return replace(frame, order=tuple(next(following) if i in o.labels else i for i in frame.order))
    return frame


def times(frame: Frame, result: Array, f: Expr, emit: Emit) -> Array:
    """The sum times a factor that does not run over what is summed, or over its denominator."""
    below = is_reciprocal(f)
    factor = emit(f.args[1] if below and isinstance(f, Op) else f)
    if below:
        return frame.combine(DIVIDE, result, factor)
    if result.text == "1":
        return factor
    return frame.combine(MULTIPLY, result, factor) if factor.labels else frame.combine(MULTIPLY, factor, result)


def _array(frame: Frame, emit_in: EmitIn, o: Operand) -> Array:
    array = emit_in(_as_stored(frame, o), where(conjunction(o.conditions), product(o.parts), ZERO))
    return permute(array, frame.sort(array.labels))


def _only_in(i: str, o: Operand, operands: list[Operand]) -> bool:
    return i in o.labels and all(i not in other.labels for other in operands if other is not o)


def _operands(frame: Frame, body: Expr, bound: Sequence[str]) -> tuple[list[Operand], list[Expr], list[Expr]]:
    """(operands, factors without array indices, conditions on the sum). Others stay with a factor that runs over their indices."""
    conditions, parts = guarded_factors(body)
    always = [c for c in conditions if _selects_sums(frame, c, parts, bound)]
    conditions = [c for c in conditions if c not in always]
    found: list[Operand] = []
    # A factor that may be infinite where a condition fails must stand inside the where, since 0·inf is not 0.
    risky = [f for f in parts if _may_be_infinite(frame, f)] if conditions else []
    if risky:
        labels = frozenset(i for e in (*risky, *conditions) for i in labels_of(frame, e))
        found, conditions = [Operand(labels, risky, conditions)], []
    parts = [f for f in parts if f not in risky]
    scale = [f for f in parts if not labels_of(frame, f)]
    for f in sorted((f for f in parts if f not in scale), key=lambda f: -len(labels_of(frame, f))):
        labels = labels_of(frame, f)
        hosts = [o for o in found if labels == o.labels]
        if hosts:
            hosts[0].parts.append(f)
        else:
            found.append(Operand(labels, [f]))
    for c in sorted(conditions, key=lambda c: -len(labels_of(frame, c))):
        labels = labels_of(frame, c)
        hosts = [o for o in found if labels <= o.labels]
        weighs = frame.indicator and len(found) == 1 and bool(labels & {*bound}) and labels < found[0].labels
        if hosts and not weighs:  # alone, it is a factor of 0 and 1: Σ_t x[n,t,d] over some t is a product of matrices
            min(hosts, key=lambda o: entries_over(frame.ranges, o.labels)).conditions.append(c)
        else:
            found.append(Operand(labels, [], [c]))
    order = {id(f): k for k, f in enumerate(parts)}
    found.sort(key=lambda o: min((order.get(id(p), len(parts)) for p in o.parts), default=0))
    return found, scale, always


def _selects_sums(frame: Frame, c: Expr, parts: Sequence[Expr], bound: Sequence[str]) -> bool:
    """Whether a condition says for every sum, one by one, whether it is there; or for all of them."""
    labels = labels_of(frame, c)
    return not labels or labels == frozenset[str]().union(*(labels_of(frame, f) for f in parts)) - {*bound}


def _may_be_infinite(frame: Frame, f: Expr) -> bool:
    if any(r.tensor in frame.infinite for r in reads(f)) or not is_regular(f, frame.ranges, frame.positive):
        return True
    return any(node == INF or isinstance(node, Op) and (node.op == "exp" or may_be_infinite(node, reads(node))) for node in walk(f))


def _presum(frame: Frame, array: Array, indices: list[str]) -> Array:
    """Σ over indices of an array, as it is stored: what is left is smaller to transpose."""
    if not set(indices) & set(array.labels):
        return array
    array = array.origin
    left = tuple(x for x in array.labels if x not in indices)
    trailing = _run(reversed(array.labels), indices)
    if frame.rows and left and (matrix := _known_matrix(frame, array, [x for x in array.labels if x in indices], list(left))):
        return permute(_column_sums_of(frame, matrix, left), frame.sort(left))
    if frame.rows and left:
        done = trailing or _run(dropwhile(lambda x: x not in indices, array.labels), indices)
        result = _row_sums(frame, array, len(done)) if trailing else _column_sums(frame, array, done)
        return _presum(frame, permute(result, frame.sort(result.labels)), [i for i in indices if i not in done])
    axes = [k for k, x in enumerate(array.labels) if x in indices]
    shown = str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"
    result = frame.make(call(f"{{0}}.sum({shown if left else ''})", 9), [array], left)
    return permute(result, frame.sort(left))


def _run(labels: Iterable[str], indices: list[str]) -> list[str]:
    """The labels that come before the first that is none of the indices."""
    return list(takewhile(lambda x: x in indices, labels))


def _row_sums(frame: Frame, array: Array, count: int) -> Array:
    """Σ over so many of the last axes."""
    rows = array.labels[:-count]
    return frame.make(call("_row_sums({0})", 0), [_rows(frame, array, rows, array.labels[len(rows):])], rows)


def _column_sums(frame: Frame, array: Array, axes: list[str]) -> Array:
    """Σ over axes that stand together, merged into one, as those behind them are."""
    first = array.labels.index(axes[0])
    before, behind = array.labels[:first], array.labels[first + len(axes):]
    if len(axes) > 1 or len(behind) > 1:
        sizes = [*map(frame.size, before), *(multiplied(map(frame.size, g)) for g in (axes, behind))]
        array = Array(flattened(frame, array, list(before), [axes, list(behind)], sizes), array.labels)
    return _column_sums_of(frame, array, (*before, *behind), len(behind) > 1)


def _column_sums_of(frame: Frame, array: Array, labels: tuple[str, ...], merged: bool = True) -> Array:
    """The sums of the columns, which are merged if they are several."""
    result = frame.make(call("_column_sums({0})", 0), [array], labels)
    if merged and len(labels) > 1:
        result = frame.make(call(f"{{0}}.reshape({', '.join(map(frame.size, labels))})", 9, owns=False), [result], labels)
    return result


def _known_matrix(frame: Frame, array: Array, rows: list[str], columns: list[str]) -> Array | None:
    """A copy in which rows, that stand apart in the array, are merged into one, and columns too, if a product has asked for it already."""
    matrix, sizes = permute(array, (*rows, *columns)), [multiplied(map(frame.size, g)) for g in (rows, columns)]
    if matrix.labels == array.labels or not frame.code.holds(_flat(sizes), [matrix.term]):
        return None
    return Array(flattened(frame, matrix, [], [rows, columns], sizes), matrix.labels)


def _cheapest(frame: Frame, arrays: list[Array], open_: Sequence[str]) -> tuple[int, int]:
    """The pair whose union of indices is smallest.

    In a tie, a product of matrices rather than one entry by entry, unless that makes nothing larger than there is; then one whose
    result lies beside another array as it is; then one that needs no array over more indices than both, and goes along whole rows of the
    larger one; then one for which nothing is copied.
    """
    labels = [{*x.labels} for x in arrays]

    def cost(p: tuple[int, int]) -> tuple[int, ...]:
        a, b = p
        both, closed = labels[a] | labels[b], closing(labels, p, open_)
        grows = not closed and not any(both <= x for x in labels)
        apart = bool(closed) and not any(both - {*closed} == x for k, x in enumerate(labels) if k not in p)
        outer = not closed and both not in (labels[a], labels[b])
        small, large = sorted((arrays[a].labels, arrays[b].labels), key=len)
        spread = not closed and not outer and small != large[len(large) - len(small):]
        return entries_over(frame.ranges, both), not closed, grows, apart, outer, spread, _copies(arrays[a], arrays[b], closed)

    return min(combinations(range(len(arrays)), 2), key=cost)


def _copies(a: Array, b: Array, inner: Sequence[str]) -> int:
    """How many of two arrays must be copied to become matrices: those in which indices lie apart that are to be one axis."""
    if not inner:
        return 0
    shared = {*a.labels} & {*b.labels} - {*inner}
    return sum(not _run_together(x.origin.labels, g) for x in (a, b) for g in ({*inner}, {*x.labels} - {*inner} - shared))


def _run_together(labels: tuple[str, ...], group: set[str]) -> bool:
    places = [k for k, x in enumerate(labels) if x in group]
    return not places or places[-1] - places[0] == len(places) - 1


def _pair(frame: Frame, a: Array, b: Array, closed: Sequence[str]) -> Array:
    if closed:
        return matmul(frame, a, b, [*closed])
    whole, other = (a, b) if {*b.labels} <= {*a.labels} else (b, a)
    if not {*other.labels} <= {*whole.labels}:
        return frame.combine(MULTIPLY, a, b)
    stored = replace(frame, order=(*whole.origin.labels, *(i for i in frame.order if i not in whole.labels)))
    a, b = (permute(x, stored.sort(x.labels)) for x in (a, b))
    return permute(stored.combine(MULTIPLY, a, b), frame.sort(whole.labels))


def matmul(frame: Frame, a: Array, b: Array, inner: list[str]) -> Array:
    """Σ over inner of a·b as one matrix product; the axes of the result stand in the frame's order, by a transpose only if need be."""
    both = [x for x in frame.order if x in a.labels and x in b.labels and x not in inner]
    rows = [x for x in a.labels if x not in both and x not in inner]
    columns = [x for x in b.labels if x not in both and x not in inner]
    wanted = [x for x in frame.order if x in {*both, *rows, *columns}]
    if not rows and not columns and (both or len(inner) > 1):
        return _by_entry(frame, a, b, both, inner)
    rest = [x for x in wanted if x not in both]
    if (batch := _summed_batch(frame, a, b, both, inner)):
        # Σ_n A[n]·B[n]: one product for each n, and a sum.
        product = matmul(replace(frame, order=(*batch, *(x for x in frame.order if x not in batch))),
                         a, b, [x for x in inner if x not in batch])
        return permute(_presum(frame, product, batch), wanted)
    heavier = max(a, b, key=lambda x: entries_over(frame.ranges, x.labels)).origin
    if frame.rows and not (rows and columns) and {*heavier.labels[:len(inner)]} == {*inner} and heavier.labels[-1] in both:
        return permute(_by_column(frame, heavier, b if heavier == a.origin else a, inner), wanted)
    if _is_turned(both, rest, rows, columns):
        a, b, rows, columns = b, a, columns, rows
    batch_b = [] if both else _own_batch(rest, rows, columns)
    if batch_b and not _run_together(b.origin.labels, {*inner}):
        batch_b = []  # it is copied anyway, into one matrix for one product
    columns = [x for x in columns if x not in batch_b]
    # As they lie in the larger one, which then need not be copied; in doubt, in the one with fewer axes.
    heavier = min((a.origin, b.origin), key=lambda x: (-entries_over(frame.ranges, x.labels), len(x.labels)))
    inner = [x for x in heavier.labels if x in inner]
    labels = (*both, *batch_b, *rows, *columns)
    left = _grouped(frame, a, both, rows, inner)
    if not columns and both:
        right = _grouped(frame, b, both, inner, [])
        result = frame.make(call("({0} @ {1}[..., None])[..., 0]", 6, 9), [left, right], (*both, *rows))
    else:
        right = _grouped(frame, b, both or batch_b, inner, columns)
        result = _product(frame, left, right, [*both, *batch_b], rows, inner, columns)
    if len(rows) > 1 or len(columns) > 1:
        result = frame.make(call(f"{{0}}.reshape({', '.join(frame.size(x) for x in labels)})", 9, owns=False), [result], labels)
    return permute(Array(result.text, labels, result.binding), wanted)


def _by_entry(frame: Frame, a: Array, b: Array, both: list[str], inner: list[str]) -> Array:
    """Σ over inner of a·b where neither has an index of its own: a dot product for each of what both keep."""
    first, second = a.origin.labels, b.origin.labels
    labels = first if first == second else frame.sort([*both, *inner])  # a sum needs no transpose
    a, b = permute(a, labels), permute(b, labels)
    return _dot(frame, a, b, inner) if both and frame.rows else _presum(frame, frame.make(MULTIPLY, [a, b], labels), inner)


def _is_turned(both: list[str], wanted: list[str], rows: list[str], columns: list[str]) -> bool:
    """Whether the product is Bᵀ Aᵀ, because that has its axes as they are wanted, or its last one at least."""
    turned = bool(not rows and columns and both or wanted == columns + rows and rows and columns)
    first, second = (columns, rows) if turned else (rows, columns)
    if not both and _own_batch(wanted, first, second):
        return turned
    if not both and _own_batch(wanted, second, first):
        return not turned
    aside = bool(second) and wanted != first + second and wanted[-1] in first  # a copy is turned anyway: what is last lies side by side
    return turned != aside


def _by_column(frame: Frame, whole: Array, other: Array, inner: list[str]) -> Array:
    """Σ over the first indices of an array that has all: BLAS reads it neither by rows nor by columns, as one of those shared lies last.

    A product in memory costs less than to turn it.
    """
    frame = replace(frame, order=(*whole.labels, *(i for i in frame.order if i not in whole.labels)))
    return _presum(frame, frame.combine(MULTIPLY, whole, permute(other, frame.sort(other.labels))), inner)


def _product(
    frame: Frame, left: Array, right: Array, batch: list[str], rows: list[str], inner: list[str], columns: list[str]
) -> Array:
    """left @ right, with rows and columns each merged into one axis. Of one column and one row it is the product of all pairs of entries,
    for which linear algebra takes four times as long."""
    merged = [_count(frame, g) for g in (rows, columns) if g]
    shape = (*frame.shape(batch), *merged)
    if not shape:
        return Array(MATMUL.text([left.term, right.term]), (), MATMUL.binding)
    terms, operation = [left.term, right.term], MATMUL
    if rows and columns and _count(frame, inner) == 1:
        terms, operation = [replace(t, spread=True) for t in terms], MULTIPLY
    return Array(frame.code.make(operation, terms, shape), (*batch, *rows, *columns))


def _count(frame: Frame, group: list[str]) -> Int:
    total = Int.of(1)
    for x in group:
        total = total * frame.ranges[x].size
    return total


def _summed_batch(frame: Frame, a: Array, b: Array, both: list[str], inner: list[str]) -> list[str]:
    """Summed indices that lead both operands, where the other summed ones do not follow them directly: to move them there takes a copy,
    which is larger than the products of all of them."""
    first, second = a.origin.labels, b.origin.labels
    if both or not first or not second or first[0] != second[0] or first[0] not in inner or len(inner) < 2:
        return []
    scattered = [labels for labels in (first, second) if not _together(labels, inner)]
    rest = [x for x in inner if x != first[0]]
    copied = sum(entries_over(frame.ranges, labels) for labels in scattered)
    products = entries_over(frame.ranges, {first[0], *first, *second} - {*rest})
    return [first[0]] if products < copied and all(_together(labels[1:], rest) for labels in scattered) else []


def _together(labels: tuple[str, ...], inner: list[str]) -> bool:
    """Whether the summed indices stand first or last."""
    return {*inner} in ({*labels[: len(inner)]}, {*labels[len(labels) - len(inner) :]})


def _own_batch(wanted: list[str], rows: list[str], columns: list[str]) -> list[str]:
    """The leading column indices, if the result is wanted as (some columns, rows, other columns): a batch of the right operand."""
    k = 0
    while k < len(wanted) and wanted[k] in columns:
        k += 1
    tail = wanted[k:]
    mixed = 0 < k < len(columns) and rows and tail == rows + [x for x in columns if x not in wanted[:k]]
    return wanted[:k] if mixed else []


def _grouped(frame: Frame, array: Array, batch: list[str], first: list[str], second: list[str]) -> Array:
    """The text of the array as (batch, first, second), each group of axes merged into one; transposed without a copy if it can be."""
    natural = array.origin.labels
    as_is = natural in ((*batch, *first, *second), (*batch, *second, *first))
    # If it must be copied, then so that what lies together stays together.
    tail = natural == (*batch, *second, *first) if as_is else bool(natural) and natural[-1] in first
    transposed = tail and bool(first) and bool(second)
    if transposed and not as_is and all(len(g) == 1 for g in (first, second)):
        return permute(array, (*batch, *first, *second))  # one transpose says it
    groups = [g for g in ([second, first] if transposed else [first, second]) if g]
    array = permute(array, (*batch, *second, *first) if transposed else (*batch, *first, *second))
    text, binding = array.text, array.binding
    if any(len(g) > 1 for g in groups):
        sizes = [frame.size(x) for x in batch] + [multiplied(frame.size(x) for x in g) for g in groups]
        text, binding = flattened(frame, array, batch, groups, sizes), 9
    if transposed:
        text = (text if binding == 9 else f"({text})") + (".mT" if batch else ".T")
    return Array(text, array.labels, 9 if transposed else binding)


def flattened(frame: Frame, array: Array, batch: list[str], groups: list[list[str]], sizes: list[str]) -> str:
    """The array with each group of axes merged, as a statement: the same matrix may be wanted again."""
    shape = (*frame.shape(batch), *(_count(frame, g) for g in groups))
    hint = f"{variable_of(array.text)}_flat" if not array.text.startswith(("§", "(")) else ""
    return frame.code.make(_flat(sizes), [array.term], shape, hint=hint)


def _flat(sizes: Sequence[str]) -> Operation:
    return call(f"{{0}}.reshape({', '.join(sizes)})", 9, owns=False)
