"""What a condition says of integers, as expressions that are ≥ 0 where it holds.

>>> from nnderiv.expr import compare
>>> from nnderiv.integer import Int
>>> i, n = Int.symbol("i"), Int.symbol("n")
>>> facts(compare("<", i, n))
[n - i - 1]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from .bounds import Range, Ranges, never_negative
from .expr import (
    FALSE,
    TRUE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Reduce,
    add,
    compare,
    conjunction,
    conjuncts,
    free_symbols,
    is_where,
    map_children,
    reads,
    where,
)
from .integer import Int, Mod
from .polynomial import additive_terms, factors, product

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}

TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def between(r: Range, value: Int) -> list[Expr]:
    """lo ≤ value and value < hi, as far as that is not plain."""
    return [compare("<=", r.lo, value), compare("<", value, r.hi)]


def facts(c: Expr) -> list[Int]:
    """Integer expressions that are ≥ 0 wherever the condition holds; no claim to be all of them."""
    if not isinstance(c, Op):
        return []
    if c.op == "and":
        return [f for a in c.args for f in facts(a)]
    if c.op == "not" and isinstance(c.args[0], Op) and c.args[0].op in OPPOSITE:
        return facts(Op(OPPOSITE[c.args[0].op], c.args[0].args))
    if c.op not in OPPOSITE or not all(isinstance(a, IntValue) for a in c.args):
        return []
    a, b = (x.value for x in c.args if isinstance(x, IntValue))
    return {"<": [b - a - 1], "<=": [b - a], ">": [a - b - 1], ">=": [a - b], "==": [a - b, b - a], "!=": []}[c.op]


def holds(c: Expr, ranges: Ranges, positive: Collection[str]) -> bool:
    """Whether a comparison of integers holds wherever the indices are; what data say is not known."""
    slacks = facts(c) if isinstance(c, Op) and c.op != "and" else []
    return bool(slacks) and all(not x.elements() and never_negative(x, ranges, positive) for x in slacks)


def negation(c: Expr) -> Expr:
    """not c; a comparison of integers is turned, of real numbers it is not: neither of two holds beside a nan."""
    if isinstance(c, Op) and c.op in OPPOSITE and all(isinstance(a, IntValue) for a in c.args):
        return Op(OPPOSITE[c.op], c.args)
    return c.args[0] if isinstance(c, Op) and c.op == "not" else Op("not", (c,))


def decided(c: Expr) -> Expr:
    """A condition without the parts that are decided."""
    if isinstance(c, Op) and c.op in OPPOSITE and all(isinstance(x, IntValue) for x in c.args):
        a, b = (x.value for x in c.args if isinstance(x, IntValue))
        return compare(c.op, a, b)
    if isinstance(c, Op) and c.op == "and":
        return conjunction([decided(x) for x in conjuncts(c)])
    if isinstance(c, Op) and c.op == "or":
        left = [t for x in c.args if (t := decided(x)) != FALSE]
        return TRUE if TRUE in left else FALSE if not left else left[0] if len(left) == 1 else Op("or", tuple(left))
    if isinstance(c, Op) and c.op == "not":
        inner = decided(c.args[0])
        return FALSE if inner == TRUE else TRUE if inner == FALSE else Op("not", (inner,))
    return c


def chosen_throughout(e: Expr, decide: Callable[[Expr], Expr] = decided, in_sums: bool = False) -> Expr:
    """An expression without choices that are decided; what a reduction reads stays, for it says
    over what it runs, but for in_sums, if all are explicit."""
    stays = isinstance(e, Reduce) and not in_sums
    return chosen(e if stays else map_children(lambda child: chosen_throughout(child, decide, in_sums), e), decide)


def chosen(e: Expr, decide: Callable[[Expr], Expr] = decided) -> Expr:
    """where(c, a, b) as a, or b, if c is decided."""
    if not (isinstance(e, Op) and e.op == "where"):
        return e
    test = conjunction([decide(c) for c in conjuncts(e.args[0])])
    return e.args[1] if test == TRUE else e.args[2] if test == FALSE else Op("where", (test, *e.args[1:]))


def turned(e: Op) -> Op:
    """−a > 0 as a < 0, 1 − a > 0 as a < 1 and 0 = c as c = 0: only positive terms, numbers on the right."""
    a, b = e.args
    if e.op == "==" and isinstance(a, IntValue) and isinstance(b, IntValue) and a.value.is_constant and not b.value.is_constant:
        return Op("==", (b, a))
    if b != ZERO or isinstance(a, IntValue):
        return e
    terms = additive_terms(a)
    left, right = [t for s, t in terms if s > 0], [t for s, t in terms if s < 0]
    if not right or any(reads(t) for t in left):
        return e
    return Op(TURNED[e.op], (add(right), add(left)))


def equalities(c: Expr) -> list[tuple[Int, Int]]:
    """(a, b) and (b, a) for the condition a == b between integers."""
    if not (isinstance(c, Op) and c.op == "==" and all(isinstance(x, IntValue) for x in c.args)):
        return []
    a, b = (x.value for x in c.args if isinstance(x, IntValue))
    return [(a, b), (b, a)]


def divisible(c: Expr) -> Mod | None:
    """top % bottom for the condition that it is 0."""
    if not (isinstance(c, Op) and c.op == "==" and isinstance(c.args[0], IntValue) and c.args[1] == IntValue(Int.of(0))):
        return None
    atoms = [m[0] for m in c.args[0].value.terms if len(m) == 1]
    return atoms[0] if len(atoms) == len(c.args[0].value.terms) == 1 and isinstance(atoms[0], Mod) else None


def solved(c: Expr) -> Iterator[tuple[str, Int]]:
    """(a, n - 1) and (n, a + 1) for the condition a + 1 == n between integers: what each name is."""
    for a, b in equalities(c)[:1]:
        yield from solutions(a - b)


def solutions(difference: Int) -> Iterator[tuple[str, Int]]:
    """What each name is where the difference is 0, if it occurs once, as it is or with a minus."""
    for name in sorted(difference.symbols()):
        split = difference.split(name)
        if split and (split[0] == 1 or split[0] == -1) and name not in split[1].symbols():
            yield name, -split[0] * split[1]


def placed(term: Expr) -> Iterator[tuple[str, Int, Expr]]:
    """where(a == b and c, x, 0)·y: "a", b and where(c, x, 0)·y, and "b", a and the same, for each equality among a factor's conditions."""
    parts = factors(term)
    for f in parts:
        if not is_where(f, ZERO):
            continue
        conditions = conjuncts(f.args[0])
        for c in conditions:
            for name, value in solved(c):
                rest = where(conjunction([x for x in conditions if x is not c]), f.args[1], ZERO)
                yield name, value, product([rest if x is f else x for x in parts])


def where_not_0(e: Expr) -> Expr:
    """A condition without which e is 0, but for what is infinite in it: true if there is none to tell, false if e is the number 0."""
    if isinstance(e, Num):
        return TRUE if e.value else FALSE
    if isinstance(e, Reduce):
        inner = conjuncts(where_not_0(e.body)) if e.op == "sum" else ()
        return conjunction([c for c in inner if not free_symbols(c) & {*e.indices}])
    if isinstance(e, Op) and e.op == "where":
        test, a, b = e.args
        here, there = where_not_0(a), where_not_0(b)
        if FALSE in (here, there):
            return conjunction([test, here]) if there == FALSE else conjunction([negation(test), there])
        return Op("or", (test, there)) if here == TRUE != there else TRUE
    parts = factors(e)
    return conjunction([where_not_0(f) for f in parts]) if len(parts) > 1 else TRUE


def contradict(conditions: tuple[Expr, ...]) -> bool:
    """Whether two of the conditions never hold together: t < T and t ≥ T + 1."""
    found = [(k, f) for k, c in enumerate(conditions) for f in facts(c)]
    return any(k < m and (f + g).is_constant and (f + g).constant < 0 for k, f in found for m, g in found)


def without_implied(conditions: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The conditions without those that another says more than: i ≠ 0 and i ≥ 0 beside i ≥ 1."""
    found = [(k, f) for k, c in enumerate(conditions) for f in facts(c)]

    def implied(k: int, c: Expr) -> bool:
        """Whether what is to be ≥ 0, or one of two that are to be > 0, is larger than what is ≥ 0 elsewhere."""
        if not isinstance(c, Op) or c.op in ("==", "and", "or"):
            return False
        slacks = facts(c) or [a - b for a, b in equalities(negation(c))]
        return any((s - f).is_constant and (s - f).constant > 0 for j, f in found if j != k for s in slacks)

    return tuple(c for k, c in enumerate(conditions) if not implied(k, c))
