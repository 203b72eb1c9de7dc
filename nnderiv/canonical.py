"""A canonical form in which an identity can be read off: equal forms, equal values for all sizes and inputs.

Definitions are put in, sums multiplied out (`products`), every range (of an index, of a read) written as a condition, so that an
index may be renamed and shifted freely: k ↦ t − k is how a convolution commutes. Two products are the same if some such change of
their indices, one to one on the integers, makes their factors and conditions equal (`matching`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from .bounds import never_negative
from .conditions import OPPOSITE, TURNED, facts
from .expr import Const, Expr, IntValue, Num, Op, Read, Reduce, own_reads
from .fresh import Fresh
from .integer import Int
from .matching import same_but_for_coefficient
from .products import Apply, Condition, Product, Total, as_apply, integer, inverse, scaled, substituted, symbols_of
from .program import Equation, Program
from .within import positive_names

MAX_PRODUCTS, MAX_NODES = 400, 20_000


class TooLarge(Exception):
    """Multiplied out, this would be too long."""


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
            return self.read(e.subst(at))
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
            return (Product(1 / p.coefficient, factors=tuple(inverse(f) for f in p.factors)),)
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
            before.append(Apply("not", (Apply("and", tuple(as_apply(c) for c in here)),)))
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
        if e.op == "not" and isinstance(e.args[0], Op) and e.args[0].op in OPPOSITE:
            return self.condition(Op(OPPOSITE[e.args[0].op], e.args[0].args), at, eq)
        if e.op == "not" and isinstance(e.args[0], Op) and e.args[0].op == "not":
            return self.condition(e.args[0].args[0], at, eq)
        if e.op in OPPOSITE and e.op != "!=" and all(isinstance(a, IntValue) for a in e.args):
            return [*facts(Op(e.op, tuple(IntValue(a.value.subst(at)) for a in e.args if isinstance(a, IntValue))))]
        if e.op in OPPOSITE:
            op, (a_, b_) = (TURNED[e.op], e.args[::-1]) if e.op in (">", ">=") else (e.op, e.args)
            return [Apply(op, (self.settle(self.total(a_, at, eq)), self.settle(self.total(b_, at, eq))))]
        parts = [Apply("and", tuple(as_apply(c) for c in self.condition(a, at, eq))) for a in e.args]
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
            if isinstance(f, IntValue) and f.value.name in self.positive and inverse(f) in p.factors:
                rest = list(p.factors)
                rest.remove(f)
                rest.remove(inverse(f))
                return self.cancelled(Product(p.coefficient, p.indices, p.conditions, tuple(rest)))
        return p

    def counted(self, p: Product) -> list[Product] | None:
        """Σ_x 1 over lo ≤ x < hi is hi − lo, which is not negative."""
        for name in p.indices:
            about = [c for c in p.conditions if name in symbols_of(c)]
            if any(name in symbols_of(f) for f in p.factors) or len(about) != 2:
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
            if name not in p.indices or {c for c in p.conditions if name in symbols_of(c)} != full:
                return None
            if any(name in symbols_of(g) for g in others):
                return None
            conditions -= full
        if len({name for name, _ in summed}) != len(summed):
            return None
        indices = tuple(i for i in p.indices if i not in {name for name, _ in summed})
        return Product(p.coefficient * value, indices, frozenset(conditions), tuple(others))


def _bounded(found: list[Product]) -> Total:
    if len(found) > MAX_PRODUCTS:
        raise TooLarge
    return tuple(found)
