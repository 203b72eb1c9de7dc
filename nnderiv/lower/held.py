"""Program -> program in which what is held between −k and k is computed so, and not chosen: Huber's loss, and what it changes by.

    where(|e| < k, e, k·sign(e))            = max(min(e, k), −k)
    where(|e| < k, e²/2, k·|e| − k²/2)      = m·(|e| − m/2)            with m = min(|e|, k)

for a number k > 0, also with factors on both sides. A choice goes through both its cases, and which comes next is hard to guess.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

from ..expr import Expr, Num, Op, additive_terms, factors, map_children, neg, num, product
from ..program import Program

Monomial = frozenset[tuple[Expr, int]]  # atoms and their powers
Polynomial = dict[Monomial, Fraction]


def held(program: Program) -> Program:
    """See the module's docstring."""
    return replace(program, equations=tuple(e.with_body(_visit(e.body)) for e in program.equations))


def _visit(node: Expr) -> Expr:
    if isinstance(node, Op) and node.op == "where" and isinstance(c := node.args[0], Op) and c.op in ("<", "<="):
        inner, bound = c.args
        if isinstance(inner, Op) and inner.op == "abs" and isinstance(bound, Num) and bound.value > 0:
            found = _Held(inner, bound).choice(*node.args[1:])
            if found is not None:
                return found
    new = map_children(_visit, node)
    return _signed(new) if new is not node else node


def _signed(e: Expr) -> Expr:
    """−a/b for (−a)/b, and −a·b for (−a)·b."""
    if not isinstance(e, Op) or e.op not in ("*", "/"):
        return e
    above = e.args[:1] if e.op == "/" else e.args
    minus = [isinstance(a, Op) and a.op == "neg" for a in above]
    plain = [a.args[0] if isinstance(a, Op) and m else a for a, m in zip(above, minus, strict=True)]
    whole = product(plain) if len(plain) > 1 else plain[0]
    whole = whole / e.args[1] if e.op == "/" else whole
    return neg(whole) if sum(minus) % 2 else whole if any(minus) else e


class _Held:
    """|e| and k; e is an atom wherever it or its negative stands."""

    def __init__(self, magnitude: Op, bound: Num):
        self.magnitude, self.bound, self.e = magnitude, bound, magnitude.args[0]
        self.sign = Op("sign", (self.e,))

    def choice(self, within: Expr, beyond: Expr) -> Expr | None:
        inside, outside = self.polynomial(within), self.polynomial(beyond)
        if inside is None or outside is None or len(inside) != 1:
            return None
        ((monomial, c),) = inside.items()
        powers, k = dict(monomial), self.bound.value
        degree = powers.pop(self.e, 0)
        if {self.magnitude, self.sign} & powers.keys():
            return None
        if degree == 1 and outside == {_times(powers, self.sign): c*k}:
            e = Op("max", (Op("min", (self.e, self.bound)), neg(self.bound)))
            return _product(c, powers, [e])
        if degree == 2 and outside == {_times(powers, self.magnitude): 2*c*k, _times(powers): -c*k*k}:
            m = Op("min", (self.magnitude, self.bound))
            return _product(2*c, powers, [m, self.magnitude - m/num(2)])
        return None

    def polynomial(self, x: Expr) -> Polynomial | None:
        """The expression multiplied out; None where a power is no whole number."""
        for candidate, atom, c in ((self.e, self.e, 1), (neg(self.e), self.e, -1), (Op("abs", (neg(self.e),)), self.magnitude, 1),
                                   (Op("sign", (neg(self.e),)), self.sign, -1)):
            if _same(x, candidate):
                return {_times({}, atom): Fraction(c)}
        if isinstance(x, Num):
            return {_times({}): x.value}
        terms = additive_terms(x)
        if len(terms) > 1 or terms[0][0] < 0:
            return _sum([(s, self.polynomial(t)) for s, t in terms])
        if isinstance(x, Op) and x.op == "**" and isinstance(x.args[1], Num) and x.args[1].value in (2, 3):
            return _multiply([self.polynomial(x.args[0])] * int(x.args[1].value))
        if isinstance(x, Op) and x.op == "/" and isinstance(x.args[1], Num):
            return _multiply([self.polynomial(x.args[0]), {_times({}): 1/x.args[1].value}])
        parts = factors(x)
        return _multiply(list(map(self.polynomial, parts))) if len(parts) > 1 else {_times({}, x): Fraction(1)}


def _same(a: Expr, b: Expr) -> bool:
    """Whether they are equal, terms in any order, under abs and sign too."""
    if isinstance(a, Op) and isinstance(b, Op) and a.op == b.op in ("abs", "sign"):
        return _same(a.args[0], b.args[0])
    return a == b or Counter(additive_terms(a)) == Counter(additive_terms(b))


def _times(powers: dict[Expr, int], *atoms: Expr) -> Monomial:
    total = Counter(powers)
    total.update(atoms)
    return frozenset(total.items())


def _sum(terms: list[tuple[int, Polynomial | None]]) -> Polynomial | None:
    total: Polynomial = {}
    for sign, p in terms:
        if p is None:
            return None
        for monomial, c in p.items():
            total[monomial] = total.get(monomial, Fraction(0)) + sign*c
    return {monomial: c for monomial, c in total.items() if c}


def _multiply(parts: list[Polynomial | None]) -> Polynomial | None:
    total: Polynomial = {_times({}): Fraction(1)}
    for p in parts:
        if p is None:
            return None
        total = {_times(dict(m), *Counter(dict(n)).elements()): c*d for m, c in total.items() for n, d in p.items()}
    return total


def _product(c: Fraction, powers: dict[Expr, int], parts: list[Expr]) -> Expr:
    rest = [atom for atom, n in powers.items() for _ in range(n)]
    found = product([*([num(abs(c))] if abs(c) != 1 else []), *rest, *parts]) if rest or len(parts) > 1 or abs(c) != 1 else parts[0]
    return neg(found) if c < 0 else found
