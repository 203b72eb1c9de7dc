"""Conditions on rows and columns are matrices M of zeros and ones, or of zeros and −∞; other conditions are [c]."""

from __future__ import annotations

from dataclasses import replace

from ..conditions import OPPOSITE, TURNED, turned
from ..expr import (
    COMPARISONS,
    INF,
    ONE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    conjunction,
    conjuncts,
    ints,
    is_where,
    map_children,
    mul,
    neg,
    num,
    reads,
    where,
)
from ..fresh import Fresh
from ..integer import Element, Int
from ..polynomial import additive_terms, factors, product, without
from ..program import Equation
from .axes import moved_subscripts
from .scope import Scope

MASKS = ("M", "Omega", "Lambda")


class Indicators:
    def __init__(self, scope: Scope):
        self.scope = scope

    def conditions(self, read: dict[int, Equation], e: Equation) -> Equation:
        """Not for windows, which have operators of their own, and not in a cycle, whose order the conditions may give."""
        if moved_subscripts(self.scope.equation, self.scope.axes) or e.tensor in self.scope.program.components:
            return self.scope.equation
        body = self._conditions(read[id(e)].body)
        return replace(self.scope.equation, body=body)

    def _conditions(self, e: Expr) -> Expr:
        if (cases := _three(e)) is not None and self.scope.rows(cases[0][0]):
            return add([self._conditions(where(c, a, ZERO)) for c, a in cases])
        e = map_children(self._conditions, e)
        if isinstance(e, Read) and (k := self._data_axis(e)) is not None:
            return self._one_hot(e, k)
        if isinstance(e, Op) and e.op in COMPARISONS:
            return turned(e)
        if isinstance(e, Op) and e.op == "where":
            return self._where(*e.args)
        return e

    def _data_axis(self, r: Read) -> int | None:
        """The axis that data point to, row by row."""
        for k, s in enumerate(r.subs):
            alone = bool(s.elements()) and s == Int.atom(s.elements()[0])
            if alone and (r.tensor, k) not in self.scope.axes and self.scope.rows(IntValue(s)):
                return k
        return None

    def _one_hot(self, r: Read, k: int) -> Expr:
        """E[tok[n],d] as Σ_v M[n,v] E[v,d], with M[n,v] = [tok[n] = v]."""
        v = Fresh(self.scope.program.names | set(self.scope.equation.ranges))("v")
        ranges = {**self.scope.equation.ranges, v: self.scope.program.dims[r.tensor][k]}
        self.scope.equation = replace(self.scope.equation, ranges=ranges)
        condition = Op("==", (IntValue(r.subs[k]), IntValue(Int.symbol(v))))
        mask = self._mask(where(condition, ONE, ZERO), condition)
        return Reduce("sum", (v,), mul([mask, Read(r.tensor, (*r.subs[:k], Int.symbol(v), *r.subs[k + 1 :]))]))

    def _where(self, condition: Expr, a: Expr, b: Expr) -> Expr:
        on_places = self.is_of_places(condition)
        if on_places and b in (INF, neg(INF)):
            return add([a, self._mask(where(condition, ZERO, b), condition)])
        if b == ZERO:
            return where(condition, a, b) if not on_places else self._masked(condition, a)
        if b in (INF, neg(INF)) or a in (INF, neg(INF)) or not self.scope.rows(condition):
            return where(condition, a, b)
        if _is_tie_of(condition, b) and isinstance(b, Op):  # what holds in a tie does not hold where one is greater
            shared = [f for f in factors(a) if (f == num(-1) or not isinstance(f, Num)) and f in factors(b.args[1])]
            a, half = (product(without(factors(x), shared)) for x in (a, b.args[1]))
            return product([*shared, add([self._where(condition, a, ZERO), where(b.args[0], half, ZERO)])])
        return add([self._where(condition, a, ZERO), self._where(negated(condition), b, ZERO)])

    def _masked(self, condition: Expr, a: Expr) -> Expr:
        """[c] a with the conditions on places as a matrix M of zeros and ones; not those outside of which a factor of a is 0."""
        parts = [c for c in conjuncts(condition) if c not in self._zero_unless(a)]
        if not parts:
            return a
        places_ = [c for c in parts if self.is_of_places(c) and not self._is_delta(c)]
        values = [c for c in parts if c not in places_]
        if not places_:
            return where(conjunction(values), a, ZERO)
        mask = self._mask(where(conjunction(places_), ONE, ZERO), conjunction(places_))
        inner = product([*factors(a), mask])
        return where(conjunction(values), inner, ZERO) if values else inner

    def _is_delta(self, c: Expr) -> bool:
        """[i = j] of two indices with the same range, which is the identity."""
        if not (isinstance(c, Op) and c.op == "==" and all(isinstance(a, IntValue) for a in c.args)):
            return False
        i, j = (a.value.name for a in c.args if isinstance(a, IntValue))
        ranges = self.scope.equation.ranges
        return i in ranges and j in ranges and ranges[str(i)] == ranges[str(j)]

    def _zero_unless(self, a: Expr) -> list[Expr]:
        """Conditions without which a is 0: a factor of it is a softmax that is masked so, and nothing in it is infinite."""
        if any(r.tensor in self.scope.program.unbounded for r in reads(a)):
            return []
        return [c for f in factors(a) if isinstance(f, Read) for c in self._mask_of(f)]

    def _mask_of(self, r: Read) -> list[Expr]:
        """c of exp(where(c, S, −∞) − lse), in the letters of the read; the scores may have a name."""
        own = self.scope.program.whole(r.tensor)
        exp = own.at(r.subs) if own is not None else None
        if not isinstance(exp, Op) or exp.op != "exp":
            return []
        found: list[Expr] = []
        for sign, t in additive_terms(exp.args[0]):
            named = self.scope.program.whole(t.tensor) if isinstance(t, Read) else None
            if isinstance(t, Read) and named is not None:
                t = named.at(t.subs)
            if sign > 0 and is_where(t, neg(INF)):
                found += conjuncts(t.args[0])
        return found

    def _mask(self, value: Expr, condition: Expr) -> Expr:
        """The indices at which data are read come first: M[n,v] = [tok[n] = v]."""
        data = {name for el in _elements(condition) for name in Int.atom(el).symbols()}
        return self.scope.define(MASKS, value, sorted(self.scope.free(condition), key=lambda i: i not in data))

    def is_of_places(self, e: Expr) -> bool:
        """Whether a condition is about rows and columns, and about no value of a tensor of reals."""
        return bool(self.scope.rows(e)) and not reads(e) and len(self.scope.rows(e)) <= 2


def negated(c: Expr) -> Expr:
    """not c, put into its comparisons."""
    if isinstance(c, Op) and c.op in OPPOSITE:
        return Op(OPPOSITE[c.op], c.args)
    if isinstance(c, Op) and c.op == "not":
        return c.args[0]
    if isinstance(c, Op) and c.op in ("and", "or"):
        return Op("or" if c.op == "and" else "and", tuple(map(negated, c.args)))
    return Op("not", (c,))


def _is_tie_of(condition: Expr, e: Expr) -> bool:
    """Whether e is [a = b] c, for the condition a > b or a < b."""
    tie = e.args[0] if is_where(e, ZERO) else None
    strict = isinstance(condition, Op) and condition.op in ("<", ">")
    return strict and isinstance(condition, Op) and isinstance(tie, Op) and tie.op == "==" and set(tie.args) == set(condition.args)


def _three(e: Expr) -> list[tuple[Expr, Expr]] | None:
    """(a > b, x), (a = b, y) and (a < b, z) for where(a > b, x, where(a = b, y, z)), where z is not 0."""
    if not (isinstance(e, Op) and e.op == "where" and isinstance(e.args[2], Op) and e.args[2].op == "where"):
        return None
    (condition, x, _), (tie, y, z) = e.args, e.args[2].args
    if z == ZERO or not isinstance(condition, Op) or not _is_tie_of(condition, where(tie, ONE, ZERO)):
        return None
    return [(condition, x), (tie, y), (Op(TURNED[condition.op], condition.args), z)]


def _elements(e: Expr) -> list[Element]:
    return [el for value in ints(e) for el in value.elements()]
