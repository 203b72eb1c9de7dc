"""Programs -> programs in which what stands at one place of each row is not stored between zeros, but written where it is read.

    dp[n,c] = a[n] + where(y[n] == c, v[n], 0)
    t[n] = Σ_c dp[n,c] x[n,c],   dz[n,c] = P[n,c] t[n] + dp[n,c]

is, for c < C,

    t[n] = a[n] Σ_c x[n,c] + where(0 ≤ y[n] < C, v[n] x[n,y[n]], 0),   dz[n,c] = P[n,c] t[n] + a[n] + where(y[n] == c, v[n], 0)

So go labels, smoothed or not, and the gradient of a cross-entropy: arrays as large as the scores that say no more than y does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ...bounds import inside, never_negative
from ...conditions import between
from ...expr import (
    ZERO,
    Expr,
    Read,
    Reduce,
    all_reads,
    compare,
    conjunction,
    free_symbols,
    has_reduction,
    integer,
    map_children,
    subst_indices,
    where,
)
from ...integer import Int
from ...laws_of_sums import without_pairs
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program
from ...within import covers, positive_names
from ..spots import Spot, find_spot

Terms = list[tuple[int, Expr]]  # signed, to be added


@dataclass(frozen=True)
class _Sparse:
    """The equation of a tensor that is, along one axis, a number, and at one place something else."""

    equation: Equation
    axis: int
    even: Terms
    spots: list[tuple[int, Spot]]

    def at(self, read: Read) -> dict[str, Int]:
        """What the letters of the definition stand for in a read."""
        return dict(zip(self.equation.indices, read.subs, strict=True))


def sparse(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring; a tensor that is read in another way anywhere is stored for all."""
    programs, positive = (forward, backward), [positive_names(p) for p in (forward, backward)]
    kept = {name for p in programs for name in (*p.outputs, *p.components)}
    found = {e.tensor: s for p, known in zip(programs, positive, strict=True) for e in p.equations
             if e.tensor not in kept and (s := _sparse(p, e, known)) is not None}
    while found:
        written = [[_Written(found, p, known, e).equation for e in p.equations] for p, known in zip(programs, positive, strict=True)]
        whole = {r.tensor for equations in written for e in equations for r in all_reads(e.body)} & found.keys()
        if not whole:
            forward, backward = (replace(p, equations=tuple(e for e in equations if e.tensor not in found))
                                 for p, equations in zip(programs, written, strict=True))
            return forward, backward
        found = {name: s for name, s in found.items() if name not in whole}
    return programs


def _sparse(program: Program, e: Equation, positive: Collection[str]) -> _Sparse | None:
    """The equation as a number and spots, all along the same axis, if it is that, and reads all that it reads inside."""
    if program.whole(e.tensor) is None or has_reduction(e.body):
        return None
    terms = [(sign, t, find_spot(e, t, positive)) for sign, t in additive_terms(e.body)]
    spots = [(sign, spot) for sign, _, spot in terms if spot is not None]
    even = [(sign, t) for sign, t, spot in terms if spot is None]
    axes = list(dict.fromkeys(spot.axis for _, spot in spots))
    if len(axes) != 1 or any(axes[0] in free_symbols(t) for _, t in even) or not never_negative(e.ranges[axes[0]].size, {}, positive):
        return None
    r = e.ranges[axes[0]]
    beside = all(_inside(program, e, all_reads(t), positive) for _, t in even)
    if not beside or not all(_inside(program, e, s.reads, positive, (s.place - r.lo, r.hi - 1 - s.place)) for _, s in spots):
        return None
    return _Sparse(e, e.indices.index(axes[0]), even, spots)


def _inside(program: Program, e: Equation, reads: Iterable[Read], positive: Collection[str], facts: Iterable[Int] = ()) -> bool:
    """Whether nothing is read outside, which sums would leave out, where it is their summand, and count, where it is beside them."""
    return all(inside(s, axis, e.ranges, positive, facts) for r in reads for s, axis in zip(r.subs, program.hulls[r.tensor], strict=True))


class _Written:
    """An equation with sparse tensors written in where it adds multiples of them, or sums those over their axis."""

    def __init__(self, found: dict[str, _Sparse], program: Program, positive: Collection[str], e: Equation):
        self.found, self.ranges, self.program, self.positive = found, e.ranges, program, positive
        self.equation = e
        if e.tensor not in found:
            self.equation = self._equation(e)

    def _equation(self, e: Equation) -> Equation:
        body = signed([term for sign, t in additive_terms(e.body) for term in self.added(sign, t)])
        return e if body == e.body else e.with_body(body)

    def added(self, sign: int, t: Expr) -> Terms:
        """A term that is added, as terms."""
        for s, read, rest in self.multiples(factors(t)):
            return [(sign*g, product([*rest, *factors(subst_indices(x, s.at(read)))])) for g, x in additive_terms(s.equation.body)]
        return [(sign, self.visit(t))]

    def visit(self, node: Expr) -> Expr:
        if isinstance(node, Reduce) and node.op == "sum":
            for s, read, rest in self.multiples(factors(node.body), node.indices):
                if self.may_stand_outside(rest):
                    return signed(self.summed(node.indices, s, read, rest))
        return map_children(self.visit, node)

    def may_stand_outside(self, parts: Collection[Expr]) -> bool:
        """Whether a product is the same beside a sum and in it: it reads all inside, or is 0 where a factor is read outside."""
        read = [r for f in parts for r in (all_reads(f)[1:] if isinstance(f, Read) else all_reads(f))]
        return _inside(self.program, self.equation, read, self.positive)

    def summed(self, indices: tuple[str, ...], s: _Sparse, read: Read, rest: Collection[Expr]) -> Terms:
        """Σ over indices, the axis among them, of a sparse tensor times the rest: one sum for each of its terms."""
        axis = str(read.subs[s.axis].name)
        r, others = self.ranges[axis], tuple(i for i in indices if i != axis)
        varies = any(axis in free_symbols(f) for f in rest)
        size = integer(r.size)
        terms = []
        for sign, t in s.even:
            parts = [*factors(subst_indices(t, s.at(read))), *rest]
            whole = without_pairs([size, *parts], [size])
            total = self.sum(indices if varies else others, product(parts if varies else whole))
            if not varies and len(whole) < len(parts) and not r.size.is_constant:  # C·b/C is b, but Σ_c b/C is 0 where there is no c
                total = where(compare("<", Int.of(0), r.size), total, ZERO)
            terms.append((sign, total))
        for sign, spot in s.spots:
            place = spot.place.subst(s.at(read))
            value = product([subst_indices(f, {axis: place}) for f in (subst_indices(spot.values, s.at(read)), *rest)])
            inside = conjunction(between(r, place))
            terms += [(sign*g, self.sum(others, where(inside, v, ZERO))) for g, v in additive_terms(value)]
        return terms

    def sum(self, indices: tuple[str, ...], t: Expr) -> Expr:
        """Σ over indices of a product, what is free of them outside."""
        own = [f for f in factors(t) if free_symbols(f) & {*indices}]
        outside = [f for f in factors(t) if f not in own]
        return product([*outside, Reduce("sum", indices, product(own))]) if own else t

    def multiples(self, parts: list[Expr], along: Collection[str] | None = None) -> list[tuple[_Sparse, Read, list[Expr]]]:
        """The ways in which a product is a multiple of a sparse tensor: each entry of it once, along these indices if they are given."""
        return [(s, f, parts[:k] + parts[k + 1 :]) for k, f in enumerate(parts) if isinstance(f, Read)
                and (s := self.found.get(f.tensor)) is not None and self.covers(s, f)
                and (along is None or f.subs[s.axis].name in along)]

    def covers(self, s: _Sparse, read: Read) -> bool:
        """Whether a read looks at each entry once, along indices of the equation."""
        return covers(read.subs, [s.equation.ranges[i] for i in s.equation.indices], self.ranges)
