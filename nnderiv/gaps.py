"""Where zeros stand that no input put there: an element that is read outside its range is 0, and so is what is made of it.

Zeros do no harm but below a line: m[k] = A[k,k] for k < N + 1 is 0 at k = N, and 1/m[k] is infinite there whatever A is. So is 1/s[i] of
s[i] = Σ_j where(j < i, x[j], 0) at i = 0: a sum of no term is 0, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

from .bounds import Ranges, inside
from .conditions import between, decided, facts, holds, solutions
from .expr import ONE, TRUE, Expr, Op, Read, Reduce, children, own_reads, reads, subst_indices, walk
from .graph import components
from .integer import Int
from .polynomial import additive_terms, guarded_factors, poles, read_poles
from .regular import is_regular

if TYPE_CHECKING:
    from .program import Equation, Program, Range

AT_ZERO = ("tanh", "relu", "gelu", "silu", "erf", "sin", "abs", "sign", "sqrt")  # 0 at 0
MOST = 100  # places of a sum that are looked at
KEEP_ZERO = ("neg", "*", "/", *AT_ZERO)  # 0 where one argument is


def gaps(program: Program) -> frozenset[str]:
    """Tensors in which such zeros may stand, because of what they read."""
    return spread(program.equations, (), lambda e, known: _Outside(program, known, e.ranges).among(e.body))


def empty_sums(program: Program) -> frozenset[str]:
    """Tensors in which such zeros may stand, as sums of no term."""
    return spread(program.equations, (), lambda e, known: _Empty(program, known, e.ranges).among(e.body))


def spread(
    equations: Iterable[Equation], known: Collection[str], has: Callable[[Equation, Collection[str]], bool]
) -> frozenset[str]:
    """These tensors, and those of which some equation has a property, given which others have it. Those come first on which others rest:
    a chain takes as many turns as it is long, however it is written. A recurrence does not have it because it would if it had."""
    found = set(known)
    definitions: dict[str, list[Equation]] = {}
    for e in equations:
        definitions.setdefault(e.tensor, []).append(e)
    for cycle in components({name: {r for e in es for r in e.reads} for name, es in definitions.items()}):
        waiting = [name for name in cycle if name not in found]
        while new := [name for name in waiting if any(has(e, found) for e in definitions[name])]:
            found.update(new)
            waiting = [name for name in waiting if name not in found]
    return frozenset(found)


@dataclass(frozen=True)
class _Zeros:
    """Zeros of one of these kinds; `known` are the tensors that have some."""

    program: Program
    known: Collection[str]
    ranges: Ranges

    def among(self, e: Expr, bound: frozenset[str] = frozenset()) -> bool:
        """Whether e may be one of them; `bound` are the indices of sums around it."""
        if isinstance(e, Read):
            return e.tensor in self.known or self.is_own(e, bound)
        if isinstance(e, Reduce):
            within = bound | {*e.indices}
            return e.op in ("sum", "mean") and (self.is_own(e, bound) or any(self.among(f, within) for f in guarded_factors(e.body)[1]))
        if not isinstance(e, Op):
            return False
        if e.op in KEEP_ZERO or e.op == "where":
            return any(self.among(a, bound) for a in e.args[e.op == "where":])
        if e.op == "**":
            return self.among(e.args[0], bound)
        return e.op in ("+", "max", "min") and all(self.among(a, bound) for a in e.args)

    def is_own(self, e: Read | Reduce, bound: frozenset[str]) -> bool:
        """Whether a read, or a sum, may be 0 by itself."""
        raise NotImplementedError

    def axes(self, name: str, subs: Sequence[Int]) -> Iterator[tuple[Int, Range]]:
        return zip(subs, self.program.hulls[name], strict=True)

    def is_inside(self, sub: Int, axis: Range) -> bool:
        return inside(sub, axis, self.ranges, self.program.sizes)


class _Outside(_Zeros):
    """What is read outside its range."""

    def is_own(self, e: Read | Reduce, bound: frozenset[str]) -> bool:
        if isinstance(e, Reduce):
            return False
        fixed = [(s, axis) for s, axis in self.axes(e.tensor, e.subs) if not s.symbols() & bound]  # a sum leaves the other positions out
        return not all(self.is_inside(s, axis) for s, axis in fixed)


class _Empty(_Zeros):
    """Sums that may leave all places out, for all we know: none is found that they never leave out. Data do not look up what is outside,
    nor is an extreme equal to nothing that it is one of."""

    def is_own(self, e: Read | Reduce, bound: frozenset[str]) -> bool:
        if isinstance(e, Read):
            return False
        left = [c for c in (*guarded_factors(e.body)[0], *self.readable(e)) if not self.always(c) and not _is_tie(c)]
        return bool(left) and not any(all(self.always(subst_indices(c, place)) for c in left) for place in self.places(e, left))

    def readable(self, e: Reduce) -> Iterator[Expr]:
        """Where all reads in a sum are inside."""
        for name, subs in own_reads(e.body):
            for sub, axis in self.axes(name, subs):
                if not sub.elements() and not self.is_inside(sub, axis):
                    yield from between(axis, sub)

    def places(self, e: Reduce, conditions: Sequence[Expr]) -> Iterator[dict[str, Int]]:
        """Some places of a sum: each index at an end, or where a condition just holds, whatever the others are or where they are 0."""
        start = dict.fromkeys(self.ranges, Int.of(0))
        limits = [x for c in conditions for f in facts(c) for x in solutions(f)]
        found = []
        for i in e.indices:
            r, own = self.ranges[i], [value for name, value in limits if name == i]
            values = dict.fromkeys([r.lo, r.hi - 1, *own, *(x.subst(start) for x in own)])
            found.append([x for x in values if not x.symbols() & {*e.indices} and all(map(self.always, between(r, x)))])
        return (dict(zip(e.indices, place, strict=True)) for place in islice(product(*found), MOST))

    def always(self, c: Expr) -> bool:
        return decided(c) == TRUE or holds(c, self.ranges, self.program.sizes)


def _is_tie(c: Expr) -> bool:
    """Whether real numbers are to be equal, as those are that share a maximum."""
    return isinstance(c, Op) and c.op == "==" and bool(reads(c))


def divides_by_gap(e: Expr, ranges: Ranges, program: Program) -> bool:
    """Whether a zero of these kinds may make e infinite."""
    return divides_by_outside(e, ranges, program) or divides_by_nothing(e, ranges, program)


def divides_by_outside(e: Expr, ranges: Ranges, program: Program) -> bool:
    """Whether what is read outside may make e infinite: below a line, or in place of the normaliser of an exponential."""
    outside = _Outside(program, program.gaps, ranges)
    nodes = [n for n in walk(e) if isinstance(n, Op)]
    return any(outside.among(d) for n in nodes for d in (*poles(n), *_taken(n)))


def divides_by_nothing(e: Expr, ranges: Ranges, program: Program) -> bool:
    """Whether a sum of no term may make e infinite, or an index that is 0: Σ_j where(j < i, x[j], 0)/i."""
    below = read_poles(e)
    empty = bool(below) and any(map(_Empty(program, program.empty_sums, ranges).among, below))
    return empty or not all(is_regular(n, ranges, program.sizes) for n in _of_indices(e))


def _of_indices(e: Expr) -> Iterator[Expr]:
    """Quotients, roots and logarithms of indices alone, but for what counts under a condition only."""
    if isinstance(e, Op) and e.op == "where":
        return
    if isinstance(e, Op) and not reads(one := Op("/", (ONE, e.args[1])) if e.op == "/" else e):
        yield one
    for child in children(e):
        yield from _of_indices(child)


def _taken(e: Op) -> list[Expr]:
    """What an exponential's argument has subtracted."""
    return [t for s, t in additive_terms(e.args[0]) if s < 0 and isinstance(t, Read)] if e.op == "exp" else []
