"""Products, which a canonical form adds up, and what may be done to one: names replaced, names and reads found.

    total    = a list of products, added
    product  = coefficient · Σ over indices, where the conditions hold, of factors
    factor   = an element of a tensor | a size or an index as a number | f(total, …)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from .expr import Const, IntValue, Read
from .integer import Int


@dataclass(frozen=True, slots=True)
class Apply:
    """f(total, …); for a comparison or a connective, a condition; for max, min and logsumexp of a product, a reduction."""

    op: str
    args: tuple[tuple[Product, ...] | Apply, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """coefficient · Σ over indices, where the conditions hold (an integer: it is ≥ 0), of the factors."""

    coefficient: Fraction
    indices: tuple[str, ...] = ()
    conditions: frozenset[Condition] = frozenset()
    factors: tuple[Factor, ...] = ()

    def times(self, other: Product) -> Product:
        return Product(self.coefficient * other.coefficient, self.indices + other.indices, self.conditions | other.conditions,
                       self.factors + other.factors)

    def where(self, conditions: Collection[Condition]) -> Product:
        return Product(self.coefficient, self.indices, self.conditions | frozenset(conditions), self.factors)


Total = tuple[Product, ...]
Argument = Total | Apply
Condition = Int | Apply
Factor = Read | IntValue | Const | Apply


def as_apply(c: Condition) -> Apply:
    return Apply(">= 0", (integer(c),)) if isinstance(c, Int) else c


def inverse(f: Factor) -> Factor:
    if isinstance(f, Apply) and f.op == "1/" and len(f.args) == 1 and not isinstance(f.args[0], Apply):
        inner = f.args[0]
        if len(inner) == 1 and inner[0] == Product(Fraction(1), factors=inner[0].factors) and len(inner[0].factors) == 1:
            return inner[0].factors[0]
    return Apply("1/", ((Product(Fraction(1), factors=(f,)),),))


def integer(value: Int) -> Total:
    """A polynomial of sizes and indices as products of its atoms."""
    return tuple(Product(Fraction(c), factors=tuple(IntValue(Int.atom(a)) for a in monomial)) for monomial, c in value.terms.items())


def scaled(total: Total, by: Fraction) -> Total:
    return tuple(Product(p.coefficient * by, p.indices, p.conditions, p.factors) for p in total)


def substituted(p: Product, values: Mapping[str, Int]) -> Product:
    """The product with integers in place of names; bound names too, where their values are names again."""
    indices = tuple(str(values[i].name) if i in values and values[i].name else i for i in p.indices)
    return Product(p.coefficient, indices, frozenset(_subst_condition(c, values) for c in p.conditions),
                   tuple(g for f in p.factors for g in [_subst_factor(f, values)]))


def _subst_condition(c: Condition, values: Mapping[str, Int]) -> Condition:
    return c.subst(values) if isinstance(c, Int) else _subst_apply(c, values)


def _subst_factor(f: Factor, values: Mapping[str, Int]) -> Factor:
    if isinstance(f, Read):
        return f.subst(values)
    if isinstance(f, IntValue):
        return IntValue(f.value.subst(values))
    return _subst_apply(f, values) if isinstance(f, Apply) else f


def _subst_apply(a: Apply, values: Mapping[str, Int]) -> Apply:
    change = partial(substituted, values=values)
    return Apply(a.op, tuple(_subst_apply(x, values) if isinstance(x, Apply) else tuple(map(change, x)) for x in a.args))


def symbols_of(x: Factor | Condition) -> set[str]:
    """Every name in a factor or condition."""
    if isinstance(x, Int):
        return {*x.symbols()}
    if isinstance(x, Read):
        return {n for s in x.subs for n in s.symbols()}
    if isinstance(x, IntValue):
        return {*x.value.symbols()}
    if isinstance(x, Const):
        return set()
    found: set[str] = set()
    for a in x.args:
        for p in () if isinstance(a, Apply) else a:
            found |= {n for y in (*p.factors, *p.conditions) for n in symbols_of(y)}
        found |= symbols_of(a) if isinstance(a, Apply) else set()
    return found


def reads_of(x: Factor | Condition) -> Iterator[Read]:
    """Every element of a tensor in a factor or condition, inner ones included."""
    if isinstance(x, Read):
        yield x
    elif isinstance(x, Apply):
        for a in x.args:
            if isinstance(a, Apply):
                yield from reads_of(a)
            else:
                for p in a:
                    for y in (*p.factors, *p.conditions):
                        yield from reads_of(y)
