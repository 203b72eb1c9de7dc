"""Scalar expressions read as sums of terms and products of factors.

    additive_terms    a + b − (c − d)    +a, +b, −c, +d         signed     back
    factors           −a b/c             −1, a, b, 1/c          product    back
    monomials         2 a b − c          (2, a b), (−1, c)
    unordered         a key that does not know the order of terms and factors
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import permutations
from itertools import product as cartesian
from math import factorial, prod
from typing import TypeGuard

from .expr import ONE, ZERO, Expr, IntValue, Num, Op, Read, Reduce, add, conjuncts, is_where, mul, neg, num, reads, subst_indices, walk
from .integer import Int


def additive_terms(e: Expr) -> list[tuple[int, Expr]]:
    """e as signed terms: a + b − (c − d) gives +a, +b, −c, +d."""
    if isinstance(e, Op) and e.op == "+":
        return [t for a in e.args for t in additive_terms(a)]
    if isinstance(e, Op) and e.op == "neg":
        return [(-s, t) for s, t in additive_terms(e.args[0])]
    return [(1, e)]


def positive_terms(e: Expr) -> list[tuple[int, Expr]]:
    """The same, a negative number as a positive one that is subtracted: a + (−2) gives +a, −2."""
    return [(-s, num(-t.value)) if isinstance(t, Num) and t.value < 0 else (s, t) for s, t in additive_terms(e)]


def signed(terms: list[tuple[int, Expr]]) -> Expr:
    """The inverse of additive_terms."""
    return add([t if s > 0 else neg(t) for s, t in terms])


def beside_one(e: Expr) -> tuple[int, Expr] | None:
    """(s, x) of 1 + s x, its terms in either order, where s is 1 or −1."""
    terms = additive_terms(e)
    return terms[terms[0] == (1, ONE)] if len(terms) == 2 and (1, ONE) in terms else None


def complement(e: Expr) -> Expr | None:
    """x of 1 − x, its terms in either order."""
    found = beside_one(e)
    return found[1] if found is not None and found[0] < 0 else None


def square_root(e: Expr) -> Expr | None:
    """x of x²."""
    return e.args[0] if isinstance(e, Op) and e.op == "**" and e.args[1] == num(2) else None


def factors(e: Expr) -> list[Expr]:
    """e as a product; a division contributes the reciprocals of its denominator's factors, a minus a −1."""
    if isinstance(e, Op) and e.op == "*":
        return [f for a in e.args for f in factors(a)]
    if isinstance(e, Op) and e.op == "neg":
        return [num(-1), *factors(e.args[0])]
    if isinstance(e, Op) and e.op == "/":
        below = [Num(1 / f.value) if isinstance(f, Num) and f.value else Op("/", (ONE, f)) for f in factors(e.args[1])]
        return factors(e.args[0]) + below
    return [] if e == ONE else [e]


def monomials(e: Expr) -> list[tuple[Fraction, tuple[Expr, ...]]]:
    """The terms of a sum, each as a number and factors."""
    found = []
    for s, t in additive_terms(e):
        numbers = [f.value for f in factors(t) if isinstance(f, Num)]
        found.append((prod(numbers, start=Fraction(s)), tuple(f for f in factors(t) if not isinstance(f, Num))))
    return found


def difference(body: Expr) -> tuple[Read, Read] | None:
    """(S, lse) of S − lse."""
    terms = additive_terms(body)
    if len(terms) != 2 or [s for s, _ in terms] not in ([1, -1], [-1, 1]):
        return None
    (_, scores), (_, total) = terms if terms[0][0] == 1 else terms[::-1]
    return (scores, total) if isinstance(scores, Read) and isinstance(total, Read) else None


def product(parts: list[Expr]) -> Expr:
    """The inverse of factors: one fraction, reciprocals gathered in its denominator."""
    above = [f for f in parts if not is_reciprocal(f)]
    below = [f.args[1] for f in parts if is_reciprocal(f)]
    top, sign = mul(above), 1
    if isinstance(top, Op) and top.op == "neg":
        top, sign = top.args[0], -1
    elif isinstance(top, Num) and top.value < 0:
        top, sign = Num(-top.value), -1
    result = top / mul(below) if below else top
    return neg(result) if sign < 0 else result


def without(parts: Iterable[Expr], taken: Iterable[Expr]) -> list[Expr]:
    """The factors but for one of each of these."""
    rest = list(parts)
    for f in taken:
        rest.remove(f)
    return rest


def occurrences(e: Expr, index: str) -> tuple[tuple[int, int, bool, str], ...]:
    """Where an index stands in what e reads: a key that depends on no name, nor on the order in which sum[i,j] lists its indices."""
    found = []
    for r in reads(e):
        for axis, s in enumerate(r.subs):
            split = s.split(index)
            if split is not None and split[0] != 0:
                found.append((len(r.subs), axis, split[1] != 0, str(split[0]) if split[0].is_constant else ""))
    return tuple(sorted(found))


def unordered(e: Expr, same: Mapping[str, object] | None = None) -> object:
    """A key that is the same for expressions that differ in the order of terms, factors and bound indices only.

    same: the ranges of bound indices; with it, the key does not know their letters either (unless too many of them look alike).
    """
    if isinstance(e, Reduce):
        groups: dict[object, list[str]] = {}
        for i in e.indices if same is not None else ():
            groups.setdefault((str(same[i]), occurrences(e.body, i)), []).append(i)  # type: ignore[index]
        if same is None or prod(factorial(len(g)) for g in groups.values()) > 24:
            return e.op, frozenset(e.indices), unordered(e.body)
        alike = [permutations(g) for _, g in sorted(groups.items(), key=lambda item: str(item[0]))]
        orders = ([i for g in choice for i in g] for choice in cartesian(*alike))
        ways = ({i: Int.symbol(f"\0{same[i]}{k}") for k, i in enumerate(order)} for order in orders)
        spans = tuple(sorted(str(same[i]) for i in e.indices))  # one that the body does not read counts, too
        return e.op, spans, frozenset(unordered(subst_indices(e.body, way)) for way in ways)
    if not isinstance(e, Op):
        return e
    many: list[object] = [unordered(f, same) for f in (factors(e) if e.op == "*" else e.args)]
    return (e.op, frozenset(Counter(many).items())) if e.op in ("+", "*", "and", "or") else (e.op, *many)


def guarded_factors(e: Expr) -> tuple[list[Expr], list[Expr]]:
    """(conditions, factors) of a product in which factors may stand as where(condition, factor, 0)."""
    conditions: list[Expr] = []
    found: list[Expr] = []
    for f in factors(e):
        while is_where(f, ZERO):
            conditions += conjuncts(f.args[0])
            f = f.args[1]
        found += factors(f)
    return conditions, found


def poles(e: Op) -> list[Expr]:
    """What must not be 0 for an operation to be finite: x in a/x, x**-2, log(x)."""
    if e.op == "/":
        return [e.args[1]]
    power = e.op == "**" and not (isinstance(e.args[1], Num) and e.args[1].value > 0)
    return [e.args[0]] if power or e.op == "log" else []


def read_poles(e: Expr) -> list[Expr]:
    """What is read that must not be 0 for all of an expression to be finite."""
    return [x for n in walk(e) if isinstance(n, Op) for x in poles(n) if reads(x)]


def fraction(e: Expr) -> tuple[list[Expr], list[Expr]]:
    """The factors above and below the line: [a, b], [c] of a*b/c; a half is below, as 2."""
    above: list[Expr] = []
    below: list[Expr] = []
    for f in factors(e):
        if is_reciprocal(f):
            below.append(f.args[1])
        elif isinstance(f, Num) and f.value.numerator == 1 and f.value.denominator != 1:
            below.append(Num(f.value**-1))
        else:
            above.append(f)
    return above, below


def raised(e: Expr) -> Op | None:
    """xᵃ for xᵃ⁻¹, which is what it becomes when x is multiplied with it."""
    if not (isinstance(e, Op) and e.op == "**"):
        return None
    x, exponent = e.args
    if isinstance(exponent, IntValue) and exponent.value.constant == -1:
        return Op("**", (x, IntValue(exponent.value + 1)))
    terms = additive_terms(exponent)
    rest = [(s, t) for s, t in terms if not (isinstance(t, Num) and s * t.value == -1)]
    return Op("**", (x, signed(rest))) if len(rest) == len(terms) - 1 and rest else None


def is_reciprocal(e: Expr) -> TypeGuard[Op]:
    return isinstance(e, Op) and e.op == "/" and e.args[0] == ONE
