"""Laws of several terms: cases are joined, equal terms added, common factors taken out; and letters for bound indices."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain, count
from math import prod

from .conditions import equalities, solved
from .expr import ZERO, Expr, Num, Op, Reduce, add, compare, free_symbols, is_where, neg, num, subst_indices, sums_among
from .integer import Int
from .polynomial import additive_terms, factors, positive_terms, product, unordered, without
from .program import Ranges
from .terms import Context, Term


def join_cases(terms: list[Term]) -> list[Term]:
    """[i = c] f(c) + [i > c] f(i) = [i ≥ c] f(i), where all else is the same: a base case and the general equation.

    And [i = j] f(j) + [i ≠ j] f(i) = f(i).
    """
    terms = _either_way(terms)
    for one in terms:
        for c in one.conditions:
            at = _fixed(c)
            if at is None:
                continue
            name, value = at
            rest = tuple(d for d in one.conditions if d is not c)
            beyond = compare("<=", value + 1, Int.symbol(name))
            for other in terms:
                others = tuple(d for d in other.conditions if d != beyond)
                same = other is not one and beyond in other.conditions and other.indices == one.indices and others == rest
                if same and subst_indices(other.body, {name: value}) == one.body:
                    joined = Term(other.indices, (*rest, compare("<=", value, Int.symbol(name))), other.body, other.spare)
                    return join_cases([joined if t is other else t for t in terms if t is not one])
    return terms


def _either_way(terms: list[Term]) -> list[Term]:
    """[i = j] f(j) + [i ≠ j] f(i) = f(i)"""
    for one in terms:
        for c in (c for c in one.conditions if equalities(c)):
            rest = tuple(d for d in one.conditions if d is not c)
            for other in terms:
                apart = next((d for d in other.conditions if _differ(d, c)), None)
                others = tuple(d for d in other.conditions if d is not apart)
                if apart is None or other is one or other.indices != one.indices or others != rest:
                    continue
                if any(subst_indices(other.body, {i: v}) == one.body for i, v in solved(c)):
                    joined = Term(other.indices, rest, other.body, other.spare)
                    return _either_way([joined if t is other else t for t in terms if t is not one])
    return terms


def _differ(d: Expr, c: Expr) -> bool:
    """Whether d says that the two integers differ of which c says that they are equal."""
    same = equalities(Op("==", d.args)) if isinstance(d, Op) and d.op == "!=" else []
    return any(a - b == x - y for a, b in same for x, y in equalities(c))


def _fixed(c: Expr) -> tuple[str, Int] | None:
    """(i, v) for the condition i == v."""
    return next(((a.name, b) for a, b in equalities(c) if a.name is not None and b.is_constant), None)


def merge_equal(parts: list[Expr], ranges: Ranges) -> list[Expr]:
    """a·e + b·e = (a + b)·e, where a and b are numbers; order and the letters of bound indices make no difference to e."""
    if len(parts) < 2:
        return parts
    totals: dict[object, tuple[Fraction, list[Expr]]] = {}
    for e in parts:
        rest = [f for f in factors(e) if not isinstance(f, Num)]
        coefficient = prod((f.value for f in factors(e) if isinstance(f, Num)), start=Fraction(1))
        key = unordered(product(rest), ranges)
        before, known = totals.get(key, (Fraction(0), rest))
        totals[key] = (before + coefficient, known)
    return [product([Num(c), *rest]) for c, rest in totals.values() if c]


def common_factor(parts: list[Expr], ranges: Ranges) -> list[Expr]:
    """a·b + a·c = a·(b + c), where neither side is a sum over indices or has a condition; what has more indices comes first.

    A number goes out with another factor, and then sums that are left are added: 2a·(b − c) − 2a·(b − d) = 2a·(d − c). Where they
    cancel in part, no other factor is needed.
    """
    plain = [e for e in parts if not _is_sum(e)]
    if len(plain) < 2:
        return parts
    each = [factors(e) for e in plain]
    shared = [f for f in dict.fromkeys(each[0]) if not isinstance(f, Num) and all(f in fs for fs in each[1:])]
    numbers = {abs(prod((f.value for f in fs if isinstance(f, Num)), start=Fraction(1))) for fs in each}
    number = numbers.pop() if len(numbers) == 1 else Fraction(1)
    rests = [product([Num(1/number), *without(fs, shared)]) for fs in each]
    left = _added(rests, ranges)
    if not shared and left is rests:
        return parts
    if left is not rests and len(again := common_factor(left, ranges)) == 1:  # what they share now that others are gone
        return [product([Num(number), *shared, *factors(again[0])]), *(e for e in parts if _is_sum(e))]
    if shared and all(map(is_negative, left)):  # −a·b − a·c = −a·(b + c)
        number, left = -number, [neg(e) for e in left]
    total = add(sorted(left, key=lambda e: (is_negative(e), -len(free_symbols(e)))))
    return [*([product([Num(number), *shared, total])] if total != ZERO else []), *(e for e in parts if _is_sum(e))]


def _added(parts: list[Expr], ranges: Ranges) -> list[Expr]:
    """The terms of sums, equal ones added, where any are."""
    terms = [num(sign)*t for e in parts for sign, t in additive_terms(e)]
    merged = merge_equal(terms, ranges)
    return merged if len(merged) < len(terms) else parts


def _is_sum(e: Expr) -> bool:
    return any(isinstance(f, Reduce) or is_where(f, ZERO) for f in factors(e))


def is_negative(e: Expr) -> bool:
    """Whether it is subtracted where it stands in a sum: −a, and −1."""
    return isinstance(e, Op) and e.op == "neg" or isinstance(e, Num) and e.value < 0


def turn_difference(parts: list[Expr], ranges: Ranges) -> list[Expr]:
    """−(a − b) = b − a, and the same with numbers and divisors; beside other factors if neither a nor b is a number.

    So −y·(1 − y) stays; but 1 − exp(x), which is no part of a whole, becomes exp(x) − 1. −Σ_n c·(m − x[n]) = Σ_n c·(x[n] − m): under
    a sum, what it sums comes first.
    """
    return [_turned(e) for e in parts]


def _turned(e: Expr) -> Expr:
    if not (isinstance(e, Op) and e.op == "neg"):
        return e
    turned = _opposite(e.args[0])
    return e if turned is None else turned


def _opposite(e: Expr, summed: frozenset[str] = frozenset()) -> Expr | None:
    """−e, where a difference in e can take the sign; summed: the indices of the sums around."""
    above = [f for f in factors(e) if not (isinstance(f, Op) and f.op == "/" or isinstance(f, Num))]
    differences = [f for f in above if [s for s, _ in positive_terms(f)] == [1, -1]]
    sums = sums_among(above)
    if len(differences) + len(sums) != 1:
        return None
    if sums:
        body = _opposite(sums[0].body, summed | frozenset(sums[0].indices))
        return None if body is None else product([Reduce("sum", sums[0].indices, body) if f is sums[0] else f for f in factors(e)])
    (_, a), (_, b) = positive_terms(differences[0])
    apart = any(isinstance(x, Num) for x in (a, b)) and not any(isinstance(x, Op) and x.op == "exp" for x in (a, b))
    known, others = (len(free_symbols(x) & summed) for x in (a, b))
    if len(above) > 1 and apart or summed and known >= others:
        return None
    return product([add([b, neg(a)]) if f is differences[0] else f for f in factors(e)])



# -- letters -----------------------------------------------------------------------------------------------------------------
def rename_bound(term: Term, left: Ranges, taken: Ranges, ctx: Context) -> Term:
    """Short letters for bound indices: k rather than k2, wherever k is free or means the same range; never a letter of the left."""
    values: dict[str, Int] = {}
    chosen: Ranges = {}
    for name, r in term.indices.items():
        base = name.rstrip("0123456789").rstrip("_") or "i"

        def fits(wish: str, r: object = r, name: str = name) -> bool:
            free = wish not in chosen and wish not in left and (wish not in taken or taken[wish] == r)
            return free and (wish == name or ctx.is_letter(wish))

        wishes = [base, *(w for w, span in term.spare if span == r)]
        numbered = (f"{base}{k}" for k in count(2))
        pick = next(w for w in chain(wishes, numbered) if fits(w))
        chosen[pick] = r
        if pick != name:
            values[name] = Int.symbol(pick)
    # In two steps, so that a swap of letters does not collide.
    hidden = {n: Int.symbol(f"\0{n}") for n in values}
    moved = Term(chosen, term.conditions, term.body, term.spare).subst(hidden)
    return moved.subst({f"\0{n}": v for n, v in values.items()})
