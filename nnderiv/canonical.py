"""A canonical form in which an identity can be read off: equal forms, equal values for all sizes and inputs.

    total    = a list of products, added
    product  = coefficient · Σ over indices, where the conditions hold, of factors
    factor   = an element of a tensor | a size or an index as a number | f(total, …)

Definitions are put in, sums multiplied out, every range (of an index, of a read) written as a condition, so that an index may
be renamed and shifted freely: k ↦ t − k is how a convolution commutes. Two products are the same if some such change of their
indices, one to one on the integers, makes their factors and conditions equal (`Match`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from .bounds import never_negative
from .expr import Const, Expr, IntValue, Num, Op, Read, Reduce, own_reads
from .fresh import Fresh
from .integer import Int
from .normal import positive_names
from .program import Equation, Program

MAX_PRODUCTS, MAX_NODES = 400, 20_000


class TooLarge(Exception):
    """Multiplied out, this would be too long."""


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


# -- building ----------------------------------------------------------------------------------------------------------------
class Builder:
    """The canonical form of the outputs of a program in normal form.

    Tensors in `shared` mean the same wherever they are named and stay as they are; so do recurrences, under a name of this
    side's own, so that two of them are never taken for each other.
    """

    def __init__(self, program: Program, fresh: Fresh, shared: Collection[str] = (), side: str = ""):
        self.program = program
        self.positive = positive_names(program)
        self.fresh = fresh
        self.kept = {n: f"{side} {n}" for n in program.components} | {n: n for n in shared}
        self.nodes = 0

    def output(self, name: str, letters: Sequence[str]) -> Total:
        """The element name[letters]."""
        return self.settle(self.read(Read(name, tuple(map(Int.symbol, letters)))))

    def settle(self, total: Total) -> Total:
        """Simplified products, equal ones added."""
        done = [s for p in total for s in self.simplify(p)]
        merged: list[Product] = []
        for p in done:
            for k, q in enumerate(merged):
                if same_but_for_coefficient(p, q, self.positive):
                    merged[k] = Product(p.coefficient + q.coefficient, q.indices, q.conditions, q.factors)
                    break
            else:
                merged.append(p)
        return self.joined([p for p in merged if p.coefficient])

    def joined(self, products: list[Product]) -> Total:
        """[c] f + [not c] f = f"""
        for p in products:
            for c in sorted(p.conditions, key=str):
                if not isinstance(c, Int):
                    continue
                rest = p.conditions - {c}
                other = Product(p.coefficient, p.indices, rest | {-c - 1}, p.factors)
                for q in products:
                    if q is not p and q.coefficient == p.coefficient and same_but_for_coefficient(other, q, self.positive):
                        whole = Product(p.coefficient, p.indices, rest, p.factors)
                        return self.settle((*(r for r in products if r is not p and r is not q), whole))
        return tuple(products)

    # -- expressions -------------------------------------------------------------------------------------------------
    def total(self, e: Expr, at: Mapping[str, Int], eq: Equation) -> Total:
        """The expression with its indices replaced as `at` says."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TooLarge
        if isinstance(e, Num):
            return (Product(e.value),) if e.value else ()
        if isinstance(e, Const):
            return (Product(Fraction(1), factors=(e,)),)
        if isinstance(e, IntValue):
            return integer(e.value.subst(at))
        if isinstance(e, Read):
            return self.read(Read(e.tensor, tuple(s.subst(at) for s in e.subs)))
        if isinstance(e, Reduce):
            return self.reduction(e, at, eq)
        assert isinstance(e, Op)
        return self.operation(e, at, eq)

    def operation(self, e: Op, at: Mapping[str, Int], eq: Equation) -> Total:
        if e.op == "+":
            return _bounded([p for a in e.args for p in self.total(a, at, eq)])
        if e.op == "neg":
            return scaled(self.total(e.args[0], at, eq), Fraction(-1))
        if e.op == "*":
            return self.multiply([self.total(a, at, eq) for a in e.args])
        if e.op == "/":
            return self.multiply([self.total(e.args[0], at, eq), self.reciprocal(self.total(e.args[1], at, eq))])
        if e.op == "**" and isinstance(e.args[1], Num) and e.args[1].value in (2, 3, 4):
            return self.multiply([self.total(e.args[0], at, eq) for _ in range(int(e.args[1].value))])
        if e.op == "where":
            yes, no = self.condition(e.args[0], at, eq), self.condition(Op("not", (e.args[0],)), at, eq)
            return tuple(p.where(yes) for p in self.total(e.args[1], at, eq)) + tuple(p.where(no) for p in self.total(e.args[2], at, eq))
        return (Product(Fraction(1), factors=(Apply(e.op, tuple(self.settle(self.total(a, at, eq)) for a in e.args)),)),)

    def multiply(self, totals: list[Total]) -> Total:
        found: Total = (Product(Fraction(1)),)
        for total in totals:
            found = _bounded([p.times(self.renamed(q)) for p in found for q in total])
        return found

    def renamed(self, p: Product) -> Product:
        """The product with indices of its own, so that it can be put beside another one."""
        return substituted(p, {i: Int.symbol(self.fresh(i)) for i in p.indices}) if p.indices else p

    def reciprocal(self, total: Total) -> Total:
        """1/(c · a · b) is 1/c · 1/a · 1/b where there is no sum and no condition."""
        total = self.settle(total)
        if len(total) == 1 and not total[0].indices and not total[0].conditions:
            p = total[0]
            return (Product(1 / p.coefficient, factors=tuple(_inverse(f) for f in p.factors)),)
        return (Product(Fraction(1), factors=(Apply("1/", (total,)),)),)

    def reduction(self, e: Reduce, at: Mapping[str, Int], eq: Equation) -> Total:
        """Σ over the positions at which every read is in range (rule 2), the ranges as conditions."""
        names = {i: self.fresh(i) for i in e.indices}
        at = {**at, **{i: Int.symbol(n) for i, n in names.items()}}
        conditions: list[Condition] = [c for i in e.indices for c in (at[i] - eq.ranges[i].lo, eq.ranges[i].hi - 1 - at[i])]
        for name, subs in own_reads(e.body):
            conditions += self.in_range(name, [s.subst(at) for s in subs])
        body = self.total(e.body, at, eq)
        indices = tuple(names.values())
        if e.op == "sum":
            return tuple(Product(p.coefficient, indices + p.indices, p.conditions | frozenset(conditions), p.factors) for p in body)
        inner = Product(Fraction(1), indices, frozenset(conditions), (Apply("total", (self.settle(body),)),))
        return (Product(Fraction(1), factors=(Apply(e.op, ((inner,),)),)),)

    def in_range(self, name: str, subs: Sequence[Int]) -> list[Condition]:
        return [c for s, r in zip(subs, self.program.hulls[name], strict=True) for c in (s - r.lo, r.hi - 1 - s)]

    # -- reads -------------------------------------------------------------------------------------------------------
    def read(self, r: Read) -> Total:
        """An element: 0 outside, its definition if it has one."""
        inside = self.in_range(r.tensor, r.subs)
        if r.tensor not in self.program.definitions or r.tensor in self.kept:
            name = self.kept.get(r.tensor, r.tensor)
            return (Product(Fraction(1), (), frozenset(inside), (Read(name, r.subs),)),)
        found: list[Product] = []
        before: list[Condition] = []
        for e in self.program.definitions[r.tensor]:
            at, here = self.matching(e, r.subs)
            found += [p.where([*inside, *here, *before]) for p in self.total(e.body, at, e)]
            before.append(Apply("not", (Apply("and", tuple(_as_apply(c) for c in here)),)))
        return _bounded(found)

    def matching(self, e: Equation, subs: Sequence[Int]) -> tuple[dict[str, Int], list[Condition]]:
        """Where an equation defines an element: its indices there, and what must hold."""
        at: dict[str, Int] = {}
        conditions: list[Condition] = []
        for left, s in zip(e.subs, subs, strict=True):
            if left.name in e.ranges:
                at[str(left.name)] = s
                conditions += [s - e.ranges[str(left.name)].lo, e.ranges[str(left.name)].hi - 1 - s]
            else:
                conditions += [s - left, left - s]
        return at, conditions

    # -- conditions --------------------------------------------------------------------------------------------------
    def condition(self, e: Expr, at: Mapping[str, Int], eq: Equation) -> list[Condition]:
        """All of these hold where e does."""
        assert isinstance(e, Op)
        if e.op == "and":
            return [c for a in e.args for c in self.condition(a, at, eq)]
        if e.op == "true":
            return []
        if e.op == "not" and isinstance(e.args[0], Op) and e.args[0].op in _OPPOSITE:
            return self.condition(Op(_OPPOSITE[e.args[0].op], e.args[0].args), at, eq)
        if e.op == "not" and isinstance(e.args[0], Op) and e.args[0].op == "not":
            return self.condition(e.args[0].args[0], at, eq)
        if e.op in _OPPOSITE and all(isinstance(a, IntValue) for a in e.args):
            a, b = (x.value.subst(at) for x in e.args if isinstance(x, IntValue))
            if e.op in _AT_LEAST_0:
                return _AT_LEAST_0[e.op](a, b)
        if e.op in _OPPOSITE:
            op, (a_, b_) = (_TURNED[e.op], e.args[::-1]) if e.op in _TURNED else (e.op, e.args)
            return [Apply(op, (self.settle(self.total(a_, at, eq)), self.settle(self.total(b_, at, eq))))]
        parts = [Apply("and", tuple(_as_apply(c) for c in self.condition(a, at, eq))) for a in e.args]
        return [Apply(e.op, tuple(parts))]

    # -- laws --------------------------------------------------------------------------------------------------------
    def simplify(self, p: Product) -> list[Product]:
        """Deltas contracted, givens used, empty summations counted, conditions that always hold dropped."""
        for _ in range(50):
            q = self.contracted(p)
            q = None if q is None else self.cancelled(self.with_givens(q))
            if q is None or any(isinstance(c, Int) and never_negative(-c - 1, {}, self.positive) for c in q.conditions):
                return []
            counted = self.counted(q)
            if counted is not None:
                return [s for c in counted for s in self.simplify(c)]
            if q == p:
                break
            p = q
        kept = frozenset(c for c in p.conditions if not (isinstance(c, Int) and never_negative(c, {}, self.positive)))
        return [Product(p.coefficient, p.indices, kept, p.factors)]

    def contracted(self, p: Product) -> Product | None:
        """Σ_x [x = v] e(x) = e(v)"""
        for c in sorted(p.conditions, key=str):
            if isinstance(c, Int) and -c in p.conditions:
                for name in p.indices:
                    split = c.split(name)
                    if split is not None and split[0] in (Int.of(1), Int.of(-1)):
                        rest = Product(p.coefficient, tuple(i for i in p.indices if i != name), p.conditions, p.factors)
                        return substituted(rest, {name: -split[1] * split[0]})
        return p

    def cancelled(self, p: Product) -> Product:
        """n · 1/n for a size n, which is at least 1."""
        for f in p.factors:
            if isinstance(f, IntValue) and f.value.name in self.positive and _inverse(f) in p.factors:
                rest = list(p.factors)
                rest.remove(f)
                rest.remove(_inverse(f))
                return self.cancelled(Product(p.coefficient, p.indices, p.conditions, tuple(rest)))
        return p

    def counted(self, p: Product) -> list[Product] | None:
        """Σ_x 1 over lo ≤ x < hi is hi − lo, which is not negative."""
        for name in p.indices:
            about = [c for c in p.conditions if name in _symbols(c)]
            if any(name in _symbols(f) for f in p.factors) or len(about) != 2:
                continue
            low = [c for c in about if isinstance(c, Int) and c.split(name) is not None and (c.split(name) or (0,))[0] == 1]
            high = [c for c in about if isinstance(c, Int) and c.split(name) is not None and (c.split(name) or (0,))[0] == -1]
            if len(low) == len(high) == 1 and isinstance(low[0], Int) and isinstance(high[0], Int):
                size = low[0] + high[0] + 1
                if never_negative(size, {}, self.positive):
                    rest = Product(p.coefficient, tuple(i for i in p.indices if i != name), p.conditions - set(about), p.factors)
                    return [rest.times(q) for q in integer(size)]
        return None

    def with_givens(self, p: Product) -> Product:
        """Σ_m y[…, m, …] = c from a `given`, where nothing else in the product knows m."""
        for fact in self.program.givens:
            if isinstance(fact, Op) and fact.op == "==" and isinstance(fact.args[0], Reduce) and fact.args[0].op == "sum":
                pattern, value = fact.args[0], fact.args[1]
                plain = isinstance(pattern.body, Read) and set(pattern.indices) <= {s.name for s in pattern.body.subs}
                if plain and isinstance(pattern.body, Read) and isinstance(value, Num):
                    for f in p.factors:
                        if isinstance(f, Read) and f.tensor == pattern.body.tensor and (q := self.given(p, f, pattern, value.value)):
                            return self.with_givens(q)
        return p

    def given(self, p: Product, f: Read, pattern: Reduce, value: Fraction) -> Product | None:
        assert isinstance(pattern.body, Read)
        axes = self.program.hulls[f.tensor]
        conditions = set(p.conditions)
        summed = [(s.name, r) for t, s, r in zip(pattern.body.subs, f.subs, axes, strict=True) if t.name in pattern.indices]
        others = list(p.factors)
        others.remove(f)
        for name, r in summed:
            full = {Int.symbol(name or "") - r.lo, r.hi - 1 - Int.symbol(name or "")}
            if name not in p.indices or {c for c in p.conditions if name in _symbols(c)} != full:
                return None
            if any(name in _symbols(g) for g in others):
                return None
            conditions -= full
        if len({name for name, _ in summed}) != len(summed):
            return None
        indices = tuple(i for i in p.indices if i not in {name for name, _ in summed})
        return Product(p.coefficient * value, indices, frozenset(conditions), tuple(others))


_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_TURNED = {">": "<", ">=": "<="}
_AT_LEAST_0 = {
    "<": lambda a, b: [b - a - 1], "<=": lambda a, b: [b - a], ">": lambda a, b: [a - b - 1], ">=": lambda a, b: [a - b],
    "==": lambda a, b: [a - b, b - a],
}


def _bounded(found: list[Product]) -> Total:
    if len(found) > MAX_PRODUCTS:
        raise TooLarge
    return tuple(found)


def _as_apply(c: Condition) -> Apply:
    return Apply(">= 0", (integer(c),)) if isinstance(c, Int) else c


def _inverse(f: Factor) -> Factor:
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


def implied(c: Int, facts: Sequence[Int], positive: Collection[str]) -> bool:
    """Whether c ≥ 0 follows from one or two facts."""
    if any(never_negative(c - f, {}, positive) for f in facts):
        return True
    return any(never_negative(c - f - g, {}, positive) for k, f in enumerate(facts) for g in facts[k + 1 :])


# -- walking -----------------------------------------------------------------------------------------------------------------
def substituted(p: Product, values: Mapping[str, Int]) -> Product:
    """The product with integers in place of names; bound names too, where their values are names again."""
    indices = tuple(str(values[i].name) if i in values and values[i].name else i for i in p.indices)
    return Product(p.coefficient, indices, frozenset(_subst_condition(c, values) for c in p.conditions),
                   tuple(g for f in p.factors for g in [_subst_factor(f, values)]))


def _subst_condition(c: Condition, values: Mapping[str, Int]) -> Condition:
    return c.subst(values) if isinstance(c, Int) else _subst_apply(c, values)


def _subst_factor(f: Factor, values: Mapping[str, Int]) -> Factor:
    if isinstance(f, Read):
        return Read(f.tensor, tuple(s.subst(values) for s in f.subs))
    if isinstance(f, IntValue):
        return IntValue(f.value.subst(values))
    return _subst_apply(f, values) if isinstance(f, Apply) else f


def _subst_apply(a: Apply, values: Mapping[str, Int]) -> Apply:
    change = partial(substituted, values=values)
    return Apply(a.op, tuple(_subst_apply(x, values) if isinstance(x, Apply) else tuple(map(change, x)) for x in a.args))


def _symbols(x: Factor | Condition) -> set[str]:
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
            found |= {n for y in (*p.factors, *p.conditions) for n in _symbols(y)}
        found |= _symbols(a) if isinstance(a, Apply) else set()
    return found


def _reads(x: Factor | Condition) -> Iterator[Read]:
    """Every element of a tensor in a factor or condition, inner ones included."""
    if isinstance(x, Read):
        yield x
    elif isinstance(x, Apply):
        for a in x.args:
            if isinstance(a, Apply):
                yield from _reads(a)
            else:
                for p in a:
                    for y in (*p.factors, *p.conditions):
                        yield from _reads(y)


# -- comparing ---------------------------------------------------------------------------------------------------------------
def same_totals(a: Total, b: Total, positive: Collection[str]) -> bool:
    """Whether the products of two totals pair off."""
    if len(a) != len(b):
        return False
    rest = list(b)
    for p in a:
        found = next((q for q in rest if p.coefficient == q.coefficient and same_but_for_coefficient(p, q, positive)), None)
        if found is None:
            return False
        rest.remove(found)
    return True


def same_but_for_coefficient(p: Product, q: Product, positive: Collection[str]) -> bool:
    if len(p.indices) != len(q.indices) or len(p.factors) != len(q.factors) or p == q:
        return p.indices == q.indices and p.conditions == q.conditions and p.factors == q.factors
    return Match(p, q, positive).found()


class Match:
    """The search for a change of the indices of p, one to one on the integers, that makes it q."""

    def __init__(self, p: Product, q: Product, positive: Collection[str]):
        self.p, self.q, self.positive = p, q, positive
        self.mine = [r for f in (*p.factors, *p.conditions) for r in _reads(f) if _read_symbols(r) & set(p.indices)]
        self.theirs = [r for f in (*q.factors, *q.conditions) for r in _reads(f)]
        self.tries = 0

    def found(self) -> bool:
        return self.search({}, 0)

    def search(self, values: dict[str, Int], k: int) -> bool:
        self.tries += 1
        if self.tries > 2000:
            return False
        if len(values) == len(self.p.indices):
            return self.holds(values)
        while k < len(self.mine) and not self.open(self.mine[k], values):
            k += 1
        if k == len(self.mine):
            return self.complete(values)
        for r in self.theirs:
            if r.tensor == self.mine[k].tensor:
                more = self.unify(self.mine[k], r, values)
                if more is not None and self.search(more, k + 1):
                    return True
        return False

    def open(self, r: Read, values: Mapping[str, Int]) -> set[str]:
        return (_read_symbols(r) & set(self.p.indices)) - values.keys()

    def unify(self, mine: Read, other: Read, values: dict[str, Int]) -> dict[str, Int] | None:
        """The values that make one read the other, as far as single subscripts say."""
        values = dict(values)
        for _ in mine.subs:
            for a, b in zip(mine.subs, other.subs, strict=True):
                unknown = [i for i in self.p.indices if i in a.symbols() and i not in values]
                split = a.split(unknown[0]) if len(unknown) == 1 else None
                if split is not None and split[0] in (Int.of(1), Int.of(-1)):
                    values[unknown[0]] = (b - split[1].subst(values)) * split[0]
        agree = all(a.subst(values) == b for a, b in zip(mine.subs, other.subs, strict=True) if not self.open(Read("", (a,)), values))
        return values if agree else None

    def complete(self, values: dict[str, Int]) -> bool:
        """Indices that no read shows: try each of those left over on the other side."""
        name = next(i for i in self.p.indices if i not in values)
        used = {n for v in values.values() for n in v.symbols()}
        return any(self.search({**values, name: Int.symbol(j)}, len(self.mine)) for j in self.q.indices if j not in used)

    def holds(self, values: Mapping[str, Int]) -> bool:
        """Whether the change is one to one, and makes factors and conditions those of q."""
        if not _is_unimodular([values[i] for i in self.p.indices], self.q.indices):
            return False
        hidden = {i: Int.symbol(f"\0{i}") for i in self.p.indices}  # in two steps: a value may contain a name that is replaced too
        changed = substituted(substituted(self.p, hidden), {f"\0{i}": v for i, v in values.items()})
        rest = list(self.q.factors)
        for f in changed.factors:
            twin = next((g for g in rest if self.same(f, g)), None)
            if twin is None:
                return False
            rest.remove(twin)
        return self.same_conditions(changed.conditions, self.q.conditions)

    def same(self, f: Factor | Condition, g: Factor | Condition) -> bool:
        if not (isinstance(f, Apply) and isinstance(g, Apply)):
            return f == g
        if f == g:
            return True
        return f.op == g.op and len(f.args) == len(g.args) and all(self.same_arguments(a, b) for a, b in zip(f.args, g.args, strict=True))

    def same_arguments(self, a: Argument, b: Argument) -> bool:
        if isinstance(a, Apply) or isinstance(b, Apply):
            return isinstance(a, Apply) and isinstance(b, Apply) and self.same(a, b)
        return same_totals(a, b, self.positive)

    def same_conditions(self, a: Collection[Condition], b: Collection[Condition]) -> bool:
        """Each condition of either side follows from the other side's."""
        for one, other in ((a, b), (b, a)):
            facts = [d for d in other if isinstance(d, Int)]
            for c in one:
                if c in other or isinstance(c, Int) and (never_negative(c, {}, self.positive) or implied(c, facts, self.positive)):
                    continue
                if not any(self.same(c, d) for d in other):
                    return False
        return True


def _read_symbols(r: Read) -> set[str]:
    return {n for s in r.subs for n in s.symbols()}


def _is_unimodular(values: Sequence[Int], names: Sequence[str]) -> bool:
    """Whether the map names -> values is affine with a whole matrix of determinant ±1."""
    rows: list[list[Fraction]] = []
    for v in values:
        row = []
        for n in names:
            split = v.split(n)
            if split is None or not split[0].is_constant:
                return False
            row.append(Fraction(split[0].constant))
        rows.append(row)
    return abs(_determinant(rows)) == 1


def _determinant(rows: list[list[Fraction]]) -> Fraction:
    total = Fraction(1)
    rows = [list(r) for r in rows]
    for k in range(len(rows)):
        pivot = next((j for j in range(k, len(rows)) if rows[j][k]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            rows[k], rows[pivot], total = rows[pivot], rows[k], -total
        total *= rows[k][k]
        for j in range(k + 1, len(rows)):
            factor = rows[j][k] / rows[k][k]
            rows[j] = [x - factor * y for x, y in zip(rows[j], rows[k], strict=True)]
    return total
