"""Gradients that are read once, as a factor, are put in their place: δ = (δ' Wᵀ) ⊙ φ'(z)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ..expr import Expr, Op, Read, Reduce, add, bound_indices, has_reduction, map_children, neg, reads, rebound, subst_indices, walk
from ..fresh import Fresh
from ..integer import Int
from ..laws_of_terms import common_factor
from ..polynomial import additive_terms, factors
from ..program import Equation, Range
from .scope import Scope


class Inlining:
    def __init__(self, scope: Scope, kept: Collection[str]):
        self.scope = scope
        self.kept = kept    # what has a name in the formulas
        self.count: dict[str, int] = {}

    def inline(self, read: dict[int, Equation], e: Equation) -> Equation:
        """Gradients that are read once, as a factor at the element's own place, and helpers of a softmax."""
        body, ranges = read[id(e)].body, dict(read[id(e)].ranges)
        for _ in range(8):
            r = next((r for r in _outer_reads(body) if self._is_passing(r, read, e)), None)
            if r is None:
                break
            definition = self._definition(r, read)
            assert definition is not None
            body = _put(body, r, self._instance(definition, r, ranges))
        if body != read[id(e)].body:  # what shares a factor now
            body = add(common_factor([t if s > 0 else neg(t) for s, t in additive_terms(body)], ranges))
        return replace(read[id(e)], body=body, ranges=ranges)

    def _is_passing(self, r: Read, read: dict[int, Equation], e: Equation) -> bool:
        program = self.scope.program
        if r.tensor[0] != "d" or r.tensor == e.tensor or r.tensor in program.outputs or r.tensor not in program.definitions:
            return False
        definition = self._definition(r, read)
        if definition is None or any(s.symbols() & (e.ranges.keys() - set(e.indices)) for s in r.subs):
            return False
        if any(n.tensor == r.tensor for n in reads(definition.body)):
            return False
        once = self.count.get(r.tensor, 0) == len(program.definitions[r.tensor]) or r.tensor[1:] in self.kept
        once = once or not r.subs and len(factors(definition.body)) < 4 and not has_reduction(definition.body)
        return once and _is_linear(definition.body)

    def _definition(self, r: Read, read: dict[int, Equation]) -> Equation | None:
        """The equation that gives this element, where it is the same for all indices."""
        for d in self.scope.program.definitions.get(r.tensor, ()):
            if all(self._covers(d, s, t) for s, t in zip(d.subs, r.subs, strict=True)):
                return read[id(d)]
        return None

    def _covers(self, d: Equation, s: Int, t: Int) -> bool:
        """Whether the subscript t of a read is, for all indices, one for which d's subscript s stands."""
        mine = self.scope.equation.ranges
        if s.name not in d.ranges:
            return s == t
        return _within(mine[t.name], d.ranges[str(s.name)]) if t.name in mine else d.is_base

    def _instance(self, d: Equation, r: Read, ranges: dict[str, Range]) -> Expr:
        """The right-hand side for this element, its bound indices renamed apart from ours."""
        taken = Fresh(set(self.scope.program.names) | set(ranges))
        renamed: dict[str, str] = {}
        body = d.body
        for i in bound_indices(body):
            if i in ranges:
                renamed[i] = taken(i)
        body = rebound(body, renamed)
        for i in bound_indices(d.body):
            ranges[renamed.get(i, i)] = d.ranges[i]
        return subst_indices(body, d.places(r.subs))


def uses(read: dict[int, Equation]) -> dict[str, int]:
    """How often each tensor is read."""
    count: dict[str, int] = {}
    for e in read.values():
        for r in reads(e.body):
            count[r.tensor] = count.get(r.tensor, 0) + 1
    return count


def _within(a: Range, b: Range) -> bool:
    return a == b or a.hi == b.hi


def _is_linear(e: Expr) -> bool:
    """A sum of products, without a maximum or a softmax in between."""
    return all(not (isinstance(n, Reduce) and n.op != "sum") for n in walk(e))


def _outer_reads(e: Expr) -> Iterator[Read]:
    """The reads that are factors of a term, outside of all functions and sums."""
    for _, t in additive_terms(e):
        for f in factors(t):
            if isinstance(f, Read):
                yield f
            elif isinstance(f, Op) and f.op in ("+", "neg", "*"):
                yield from _outer_reads(f)
            elif isinstance(f, Op) and f.op == "where":
                yield from _outer_reads(f.args[1])


def _put(e: Expr, r: Read, value: Expr) -> Expr:
    return value if e == r else map_children(lambda c: _put(c, r, value), e)
