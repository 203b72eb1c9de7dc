"""Nodes put together as a person would on paper: signs and numbers in front, 1 ⊙ A = A, a·A + b·A = (a + b)·A."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod

from .. import matrix as mx
from ..expr import ONE, Num, num
from ..matrix import Node
from ..matrix.build import plus
from ..polynomial import factors, product


def inside(a: Node, f: Callable[[Node], Node]) -> Node:
    """f applied behind the sign and the numbers that stand in front: f(−c A) = −c f(A), for a linear f."""
    if isinstance(a, mx.Plus) and len(a.terms) == 1:
        ((sign, only),) = a.terms
        return plus([(sign, inside(only, f))])
    if isinstance(a, mx.Scale) and a.of is not None:
        return mx.scaled(list(a.scalars), inside(a.of, f))
    return f(a)


def amount(number: Node, a: Node) -> Node:
    """number · a"""
    if isinstance(number, mx.Plus) and len(number.terms) == 1:
        ((sign, only),) = number.terms
        return plus([(sign, amount(only, a))])
    if isinstance(number, mx.Scale):
        return mx.scaled([*number.scalars, *([] if number.of is None else [number.of])], a)
    return a if number == mx.Scalar(ONE) else mx.scaled([number], a)


def negated(a: Node) -> Node:
    return mx.Scalar(product([num(-1), *factors(a.value)])) if isinstance(a, mx.Scalar) else plus([(-1, a)])


def times(parts: Sequence[Node]) -> Node:
    """The matrix product, linear in each factor."""
    return _multiple(times, parts) or mx.times(*parts)


def hadamard(parts: Sequence[Node]) -> Node:
    """The elementwise product, linear in each factor, without ones."""
    kept = [p for p in parts if not is_ones(p)]
    return _multiple(hadamard, parts) or (mx.hadamard(kept) if kept else parts[0])


def _multiple(joined: Callable[[Sequence[Node]], Node], parts: Sequence[Node]) -> Node | None:
    """The product with what one of its factors is a multiple by, or a minus, before it; None where there is no such factor."""
    for k, p in enumerate(parts):
        if isinstance(p, mx.Scale) and p.of is not None or isinstance(p, mx.Plus) and len(p.terms) == 1:
            return inside(p, lambda core, k=k: joined([*parts[:k], core, *parts[k + 1 :]]))  # type: ignore[misc]
    return None


def is_ones(a: Node) -> bool:
    """1, 1ᵀ, 1 1ᵀ: every element is 1."""
    if isinstance(a, mx.Times):
        return len(a.parts) == 2 and all(map(is_ones, a.parts))
    return is_ones(a.of) if isinstance(a, mx.Transpose) else isinstance(a, mx.Ones) or isinstance(a, mx.Fill) and a.value == ONE


def added(terms: Sequence[Node]) -> Node:
    """The sum, what is equal but for a number once."""
    totals: dict[Node | None, tuple[Fraction, Node]] = {}
    for term in terms:
        for sign, t in term.terms if isinstance(term, mx.Plus) else ((1, term),):
            c, rest = _coefficient(t)
            totals[rest] = (totals.get(rest, (Fraction(0), rest))[0] + sign * c, rest)
    shared = _shared([rest for c, rest in totals.values() if c])
    kept = [mx.scaled([mx.Scalar(Num(c))], _without(rest, shared)) for c, rest in totals.values() if c]
    if not kept:
        return mx.scaled([mx.Scalar(num(0))], terms[0])
    total = plus([(1, t) for t in kept])
    return hadamard([*shared, total]) if shared else total


def _shared(terms: list[Node]) -> list[Node]:
    """What all terms, if there are several, are multiplied by elementwise: P ⊙ A − P ⊙ B = P ⊙ (A − B)."""
    if len(terms) < 2 or not all(isinstance(t, mx.Hadamard) for t in terms):
        return []
    each = [list(mx.parts_of(t)) for t in terms]
    return [p for p in dict.fromkeys(each[0]) if all(p in parts for parts in each[1:])][: min(map(len, each)) - 1]


def _without(a: Node, shared: list[Node]) -> Node:
    parts = list(mx.parts_of(a)) if shared else []
    for p in shared:
        parts.remove(p)
    return mx.hadamard(parts) if shared else a


def _coefficient(a: Node) -> tuple[Fraction, Node]:
    if isinstance(a, mx.Scale) and a.of is not None:
        values = [f for s in a.scalars if isinstance(s, mx.Scalar) for f in factors(s.value)]
        others = [s for s in a.scalars if not isinstance(s, mx.Scalar)]
        c = prod((f.value for f in values if isinstance(f, Num)), start=Fraction(1))
        rest = product([f for f in values if not isinstance(f, Num)])
        return c, mx.scaled([mx.Scalar(rest), *others], a.of)
    return Fraction(1), a
