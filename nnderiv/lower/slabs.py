"""Terms that are 0 outside a part of the array, between bounds that are sizes and numbers: they are computed there alone.

    where(1 <= t, x[t] − x[t-1], 0)      dx[1:] += x[1:] − x[:T-1]
    x[t-1]·m                             dx[1:] += x[:T-1]·m,  a read outside being 0

So are the gradients of differences between neighbours: no read is padded then, nothing is masked, and what two terms have in common, at
t − 1 in one and at t in the other, is the same slices in both (`share`). In a sum, Σ_t where(t < T − 1, f, 0) runs over t < T − 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..bounds import never_negative
from ..conditions import equalities
from ..expr import (
    ZERO,
    Expr,
    Op,
    Read,
    Reduce,
    conjunction,
    conjuncts,
    free_symbols,
    is_condition,
    is_where,
    map_children,
    subst_indices,
    where,
)
from ..integer import Int
from ..polynomial import additive_terms, factors, guarded_factors, product, signed
from ..program import Equation, Range, Ranges
from .arrays import Storage
from .equations.blocks import block
from .equations.hoist import narrowed

Finite = Callable[[Expr], bool]


@dataclass(frozen=True)
class Slab:
    """values, which are to be added (or subtracted) where the indices are within these ranges."""

    ranges: Ranges
    values: Expr
    sign: int = 1


def find_slab(e: Equation, term: Expr, storage: Mapping[str, Storage], positive: frozenset[str], is_finite: Finite) -> Slab | None:
    """The part and the values of one additive term of an equation, if it is of this kind; what is read, and nothing else, may be a view."""
    if isinstance(e.body, Read):
        return None
    own = {i: e.ranges[i] for i in e.indices}
    part = _part(storage, e.ranges, own, term, positive, is_finite)
    return part and _in_order(part, {i: Int.symbol(i) + part.ranges[i].lo for i in own})


def cut_sum(e: Reduce, ranges: Ranges, storage: Mapping[str, Storage], positive: frozenset[str], is_finite: Finite) -> Slab | None:
    """The parts of what a sum runs over outside which its terms are 0, and the terms there."""
    return _part(storage, ranges, {i: ranges[i] for i in e.indices}, e.body, positive, is_finite)


def _part(
    storage: Mapping[str, Storage], ranges: Ranges, own: Ranges, term: Expr, positive: frozenset[str], is_finite: Finite
) -> Slab | None:
    """The part of the array over its own indices outside which a term is 0, by its conditions or as it reads what is not stored."""
    found, values = _cut(term, own, positive, is_finite)
    if all(map(is_finite, guarded_factors(values)[1])):
        found = {i: block(lambda name: storage[name].axes, {**ranges, **found}, i, values, positive) for i in found}
    return Slab({**ranges, **found}, values) if found != own else None


def _cut(term: Expr, ranges: Ranges, positive: frozenset[str], is_finite: Finite) -> tuple[Ranges, Expr]:
    """The ranges outside which a term is 0 by its conditions, and the term without these; what stands beside a condition is finite."""
    parts = factors(term)
    for k, f in enumerate(parts):
        if not all(is_finite(x) for x in parts if x is not f):
            continue
        if isinstance(f, Reduce) and f.op == "sum":
            ranges, inner = _cut(f.body, ranges, positive, is_finite)
            parts[k] = Reduce("sum", f.indices, inner)
        elif is_where(f, ZERO):
            left: list[Expr] = []
            for c in conjuncts(f.args[0]):
                smaller = _within(c, ranges, positive)
                ranges, left = smaller or ranges, left if smaller else [*left, c]
            parts[k] = where(conjunction(left), f.args[1], ZERO)
    return ranges, product(parts)


def _within(c: Expr, ranges: Ranges, positive: frozenset[str]) -> Ranges | None:
    """The ranges where a condition holds, if it bounds one index by sizes and numbers, and is more than one place."""
    if not free_symbols(c) & ranges.keys() or free_symbols(c) - ranges.keys() - positive or equalities(c):
        return None
    found = narrowed(ranges, [c], positive)
    return found if found and all(_is_part(r, ranges[i], positive) for i, r in found.items()) else None


def _is_part(part: Range, whole: Range, positive: Collection[str]) -> bool:
    return never_negative(part.lo - whole.lo, {}, positive) and never_negative(whole.hi - part.hi, {}, positive)


def _in_order(part: Slab, places: dict[str, Int]) -> Slab:
    """The slab with sums in an order, and with a sign, that do not depend on where it lies: x[t+1] − x[t] for x[t] − x[t-1] and its
    negative, so that the slices that neighbours have in common are seen to be the same."""

    def ordered(e: Expr) -> Expr:
        if not isinstance(e, Op) or e.op == "where" or is_condition(e):
            return e
        inner = map_children(ordered, e)
        return signed(sorted(additive_terms(inner), key=lambda t: str(subst_indices(t[1], places)))) if e.op == "+" else inner

    sign, parts = part.sign, [ordered(f) for f in factors(part.values)]
    for k, f in enumerate(parts):
        signs = [s for s, _ in additive_terms(f)]
        if sum(signs) < 0 or sum(signs) == 0 > signs[0]:
            sign, parts[k] = -sign, signed([(-s, t) for s, t in additive_terms(f)])
    return Slab(part.ranges, product(parts), sign)
