"""Random integers for an integer tensor: where they point, and within what is given.

    E[tok[n],d]                        0 ≤ tok[n] < V: the common part of the axes that it subscripts and of what it is compared with
    given left[n] < n                  left[n] < n; nothing that can be read is left at n = 0: −1, which points outside
    given -1 <= tok[n] and tok[n] < V  −1 too: one place outside, where a fact admits it

A fact that bounds an element by its own indices, by sizes, parameters and numbers holds by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from .bounds import Range
from .expr import Expr, IntValue, Op, conjuncts, ints, walk
from .integer import Int
from .program import Input, Program
from .ranges import accesses

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


def random_integers(program: Program, i: Input, env: Mapping[str, int], rng: Random) -> Any:
    """Nested lists for an integer tensor."""
    shape = tuple(d.value(env) for d in i.dims)
    span = _span(program, i.name, env)
    facts = [f for given in program.givens for c in conjuncts(given) for f in _facts(c, i.name)]

    def filled(at: tuple[int, ...]) -> Any:
        if len(at) == len(shape):
            return _pick(span, *_given(facts, at, env), rng)
        return [filled((*at, k)) for k in range(shape[len(at)])]

    return filled(())


def _pick(span: tuple[int, int], low: int | None, high: int | None, rng: Random) -> int:
    """low ≤ value < high, where these are given; in the span, or beside it where that is given expressly or nothing else is left."""
    lo = span[0] if low is None else max(low, span[0] - 1)
    hi = span[1] if high is None else min(high, span[1] + 1)
    if lo < hi:
        return rng.randint(lo, hi - 1)
    return lo if high is None else high - 1


# -- where it points ---------------------------------------------------------------------------------------------------------
def _span(program: Program, name: str, env: Mapping[str, int]) -> tuple[int, int]:
    """The common part of the axes that a tensor's elements subscript and of the indices they are compared with."""
    spans: list[tuple[int, int]] = []
    for e in program.equations:
        for tensor, subs in accesses(e.body):
            for sub, axis in zip(subs, program.hulls.get(tensor, ()), strict=False):
                if any(el.tensor == name for el in sub.elements()):
                    spans.append(_ends(axis, env))
        for value in ints(e.body):
            if any(el.tensor == name for el in value.elements()):
                spans += [_ends(e.ranges[s], env) for s in sorted(value.symbols()) if s in e.ranges and s not in _inside(value, name)]
        for _, left, right in _comparisons(e.body):
            for a, b in ((left, right), (right, left)):
                if any(el.tensor == name for el in a.elements()):
                    spans += [_ends(e.ranges[s], env) for s in sorted(b.symbols()) if s in e.ranges]
    if not spans:
        return 0, 3
    lo, hi = max(s[0] for s in spans), min(s[1] for s in spans)
    return (lo, hi) if lo < hi else spans[0]


def _inside(value: Int, name: str) -> set[str]:
    return {s for el in value.elements() if el.tensor == name for sub in el.subs for s in sub.symbols()}


def _comparisons(e: Expr) -> Iterator[tuple[str, Int, Int]]:
    for n in walk(e):
        if isinstance(n, Op) and len(n.args) == 2 and isinstance(n.args[0], IntValue) and isinstance(n.args[1], IntValue):
            yield n.op, n.args[0].value, n.args[1].value


def _ends(r: Range, env: Mapping[str, int]) -> tuple[int, int]:
    return r.lo.value(env), r.hi.value(env)


# -- what is given -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Fact:
    """tensor[subs] op bound, where the bound reads no data."""

    subs: tuple[Int, ...]
    op: str
    bound: Int

    def at(self, place: tuple[int, ...], env: Mapping[str, int]) -> int | None:
        """The bound of the element at a place; None where the fact is about others."""
        names = dict(env)
        for s, k in zip(self.subs, place, strict=True):
            if s.name is not None:
                names.setdefault(s.name, k)
            if not s.symbols() <= names.keys() or s.value(names) != k:
                return None
        return self.bound.value(names) if self.bound.symbols() <= names.keys() else None


def _facts(condition: Expr, name: str) -> Iterator[_Fact]:
    """A comparison as a bound of each element of a tensor that stands in it alone."""
    for op, left, right in _comparisons(condition) if isinstance(condition, Op) and condition.op in MIRRORED else ():
        difference = left - right
        for element in difference.elements():
            for sign in (1, -1):
                rest = difference - Int.atom(element) * sign
                if element.tensor == name and not rest.elements() and not any(s.elements() for s in element.subs):
                    yield _Fact(element.subs, op if sign > 0 else MIRRORED[op], rest * -sign)


def _given(facts: list[_Fact], place: tuple[int, ...], env: Mapping[str, int]) -> tuple[int | None, int | None]:
    """(low, high) with low ≤ element < high; None where nothing is given."""
    lows, highs = [], []
    for f in facts:
        bound = f.at(place, env)
        if bound is not None:
            if f.op in (">", ">=", "=="):
                lows.append(bound + (f.op == ">"))
            if f.op in ("<", "<=", "=="):
                highs.append(bound + (f.op != "<"))
    return max(lows, default=None), min(highs, default=None)
