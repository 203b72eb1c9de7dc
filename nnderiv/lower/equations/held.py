"""Program -> program in which what is held between −k and k is computed so, and not chosen: Huber's loss, and what it changes by.

    where(|e| < k, e, k·sign(e))            = max(min(e, k), −k)
    where(|e| < k, e²/2, k·|e| − k²/2)      = h·(e − h/2)              with h = max(min(e, k), −k)

for a number k > 0, also with factors on both sides. A choice goes through both its cases, and which comes next is hard to guess.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import sympy as sp

from ...expr import Expr, Num, Op, map_children, neg, num
from ...polynomial import additive_terms, factors, product
from ...program import Program


def held(program: Program) -> Program:
    """See the module's docstring."""
    return program.with_bodies(lambda e: _visit(e.body))


def _visit(node: Expr) -> Expr:
    if isinstance(node, Op) and node.op == "where" and isinstance(c := node.args[0], Op) and c.op in ("<", "<="):
        inner, bound = c.args
        if isinstance(inner, Op) and inner.op == "abs" and isinstance(bound, Num) and bound.value > 0:
            found = _Held(inner, bound).choice(*node.args[1:])
            if found is not None:
                return found
    new = map_children(_visit, node)
    return minus_first(new) if new is not node else node


def minus_first(e: Expr) -> Expr:
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
    """|e| and k. In SymPy, e, |e| and its sign are symbols wherever they or their negatives stand, and so is all that is no polynomial."""

    def __init__(self, magnitude: Op, bound: Num):
        self.magnitude, self.bound, self.e = magnitude, bound, magnitude.args[0]
        self.symbols: dict[Expr, Any] = {}
        x, size, sign = (self.symbol(a) for a in (self.e, magnitude, Op("sign", (self.e,))))
        turned = neg(self.e)
        self.known = ((self.e, x), (turned, -x), (magnitude, size), (Op("abs", (turned,)), size), (Op("sign", (self.e,)), sign),
                      (Op("sign", (turned,)), -sign))

    def symbol(self, atom: Expr) -> Any:
        return self.symbols.setdefault(atom, sp.Symbol(f"x{len(self.symbols)}"))

    def choice(self, within: Expr, beyond: Expr) -> Expr | None:
        inside, outside = (sp.expand(self.polynomial(x)) for x in (within, beyond))
        x, size, sign = list(self.symbols.values())[:3]
        c, k = inside.subs(x, 1), self.polynomial(self.bound)
        if c.is_Add or c.has(size, sign):
            return None
        h = Op("max", (Op("min", (self.e, self.bound)), neg(self.bound)))
        if inside == c*x and outside == sp.expand(c*k*sign):
            return self.times(c, h)
        if inside == c*x**2 and outside == sp.expand(c*(2*k*size - k**2)):
            return self.times(2*c, h, self.e - h/num(2))
        return None

    def polynomial(self, e: Expr) -> Any:
        for candidate, symbol in self.known:
            if _same(e, candidate):
                return symbol
        if isinstance(e, Num):
            return sp.Rational(e.value.numerator, e.value.denominator)
        terms = additive_terms(e)
        if len(terms) > 1 or terms[0][0] < 0:
            return sp.Add(*(s*self.polynomial(t) for s, t in terms))
        if isinstance(e, Op) and e.op == "**" and isinstance(e.args[1], Num) and e.args[1].value in (2, 3):
            return self.polynomial(e.args[0])**int(e.args[1].value)
        if isinstance(e, Op) and e.op == "/" and isinstance(e.args[1], Num):
            return self.polynomial(e.args[0])/self.polynomial(e.args[1])
        parts = factors(e)
        return sp.Mul(*map(self.polynomial, parts)) if len(parts) > 1 else self.symbol(e)

    def times(self, c: Any, *parts: Expr) -> Expr:
        """c times these, its factors in their order."""
        number, rest = c.as_coeff_Mul()
        powers = rest.as_powers_dict()
        own = [atom for atom, symbol in self.symbols.items() for _ in range(int(powers.get(symbol, 0)))]
        front = [] if abs(number) == 1 else [num(Fraction(int(abs(number.p)), int(number.q)))]
        found = product([*front, *own, *parts])
        return neg(found) if number < 0 else found


def _same(a: Expr, b: Expr) -> bool:
    """Whether they are equal, terms in any order, under abs and sign too."""
    if isinstance(a, Op) and isinstance(b, Op) and a.op == b.op in ("abs", "sign"):
        return _same(a.args[0], b.args[0])
    return a == b or Counter(additive_terms(a)) == Counter(additive_terms(b))
