"""Costly functions in equations, and the tensors that they are: σ(z[t,n,H+k]) is one over t, n and k, and dc[t,n,m−H] σ(z[t,n,m]) reads it.

Two calls of one function have one key: with a letter for each index, what is read first at t, n and k stands at these letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from ...bounds import never_negative
from ...expr import ONE, Expr, IntValue, Op, Read, free_symbols, has_reduction, ints, map_ints, reads, walk
from ...expr import replace as replaced
from ...integer import Int
from ...polynomial import unordered
from ...program import Equation, Range
from ..limits import limits
from ..normal_distribution import HALF, TWO, argument

COSTLY = ("exp", "log", "tanh", "sigmoid", "softplus", "erf", "sin", "cos")


@dataclass(frozen=True)
class Call:
    """A costly function of what stands at the places `at`, one for each index on which it depends; key: with letters in their stead, and
    terms and factors in any order."""

    function: Op
    at: tuple[Int, ...]
    key: object

    def shifts(self, e: Equation) -> dict[str, Int] | None:
        """The indices of the equation that stand at its places, in their order, and what is added to each; None if another thing does."""
        found = [s for s in (shifted(e, s) for s in self.at) if s is not None]
        return dict(found) if len(dict(found)) == len(self.at) else None


@dataclass(frozen=True)
class Table:
    """A function as a tensor of its own, and what its first reads add to each of its indices: 0, 0 and H, above."""

    equation: Equation
    shifts: dict[str, Int]
    times: Expr = ONE  # what the function is of the tensor: 2, where that is Φ

    def named(self, name: str) -> Table:
        return replace(self, equation=replace(self.equation, tensor=name))

    def places(self, call: Call) -> tuple[Int, ...]:
        """Where the value of the call is in the tensor, if it is there."""
        at = {i: s - shift for s, (i, shift) in zip(call.at, self.shifts.items(), strict=True)}
        return tuple(at[i] for i in self.equation.indices)

    @property
    def ranges(self) -> tuple[Range, ...]:
        return tuple(self.equation.ranges[i] for i in self.equation.indices)

    @property
    def seen(self) -> list[Range]:
        """What the first reads look at."""
        return [Range(r.lo + c, r.hi + c) for r, c in ((self.equation.ranges[i], c) for i, c in self.shifts.items())]

    def is_apart(self, other: Table, positive: frozenset[str]) -> bool:
        """Whether the function is at other places there: along one axis all of these come before, or behind."""
        pairs = zip(self.seen, other.seen, strict=True)
        return any(never_negative(d, {}, positive) for a, b in pairs for d in (a.lo - b.hi, b.lo - a.hi))


def table(e: Equation, call: Call) -> Table | None:
    """The tensor that the equation computes, if it is this function at all its places, or half of 2Φ."""
    shifts, f = call.shifts(e), call.function
    halved = argument(f) is not None and e.body in (HALF*f, f/TWO)
    if shifts is None or e.is_base or {*shifts} != {*e.indices} or f != e.body and not halved:
        return None
    return Table(e, shifts, TWO if halved else ONE)


def calls(e: Equation, f: Expr) -> Iterator[Call]:
    """The calls that a function is: of tensors at indices, some places further, or of one tensor at any places, each axis along another
    index; or a table, of several indices alone."""
    if not (isinstance(f, Op) and is_costly(f)) or has_reduction(f):
        return
    found = sorted(dict.fromkeys(reads(f)), key=lambda r: -len(r.subs))
    places = [s for r in found for s in r.subs if s.symbols() & e.ranges.keys()]
    if not found:
        indices = [i for v in ints(f) for i in sorted(v.symbols()) if i in e.ranges]
        places = [Int.symbol(i) for i in indices] if len({*indices}) > 1 else []
    at: dict[str, tuple[Int, Int]] = {}
    for s in places:
        i, shift = shifted(e, s) or ("", s)
        at.setdefault(i, (s, shift))
    if at and "" not in at and free_symbols(f) & e.ranges.keys() <= at.keys():
        letters = {i: Int.symbol(f"§{k}") - shift for k, (i, (_, shift)) in enumerate(at.items())}
        yield Call(f, tuple(s for s, _ in at.values()), unordered(map_ints(lambda v: v.subst(letters), f)))
    if len(found) == 1 and not any(n.value.symbols() & e.ranges.keys() for n in walk(f) if isinstance(n, IntValue)):
        yield from _at_any_place(e, f, found[0])


def is_costly(f: Op) -> bool:
    """Whether it costs more than reading an array, as 2Φ does, is a root of several tensors, or what is held between two numbers."""
    x, low, high = limits(f)
    root = f.op == "sqrt" and len({r for r in reads(f) if r.subs}) > 1
    return f.op in COSTLY or argument(f) is not None or root or isinstance(x, Op) and low is not None and high is not None


def shifted(e: Equation, s: Int) -> tuple[str, Int] | None:
    """(i, c) where s is i + c, i an index of the equation, and c has none."""
    names = sorted(s.symbols() & e.ranges.keys())
    shift = s - Int.symbol(names[0]) if len(names) == 1 else s
    return (names[0], shift) if names and not shift.symbols() & e.ranges.keys() else None


def _at_any_place(e: Equation, f: Op, r: Read) -> Iterator[Call]:
    """The function of one tensor, which may be kept for all places of an axis or for the one alone that is read."""
    fixed = [k for k, s in enumerate(r.subs) if not s.symbols() & e.ranges.keys()]
    for count in range(len(fixed) + 1):
        for alone in combinations(fixed, len(fixed) - count):
            at = [k for k in range(len(r.subs)) if k not in alone]
            letters = {k: Int.symbol(f"§{n}") for n, k in enumerate(at)}
            subs = tuple(letters.get(k, s) for k, s in enumerate(r.subs))
            yield Call(f, tuple(r.subs[k] for k in at), unordered(replaced(f, {r: Read(r.tensor, subs)})))
