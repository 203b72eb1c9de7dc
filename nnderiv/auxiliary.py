"""Forward quantities that only gradients need, by names of their own: backward computes them beside what it reads of the program.

    y_ties[n] = sum[k](where(x[n,k] == y[n], 1, 0))     how many places share a maximum: each gets its part of the gradient
    R_at[n,d] = R[r[n],d]                               a value that counts as 0 where it is out of range, at each place once
    p_mean[n] = sum[k](dp[n,k]*p[n,k])                  a mean over the shares of a whole

What two gradients need alike has one name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from .expr import Expr, Read, Reduce, free_symbols, subst_indices, tensor
from .fresh import Fresh
from .integer import Int
from .polynomial import unordered
from .program import Equation, Program, Range, Ranges


class Auxiliary:
    """The equations of these quantities; the program is told their dimensions, and `shapes` too."""

    def __init__(self, program: Program, fresh: Fresh, shapes: dict[str, tuple[Range, ...]]):
        self.program, self.fresh, self.shapes = program, fresh, shapes
        self.equations: list[Equation] = []
        self.needed_by: dict[str, Equation] = {}  # a named value -> the equation whose gradients need it

    def add(self, wish: str, subs: tuple[Int, ...], body: Expr, ranges: Ranges, dims: tuple[Range, ...]) -> str:
        """name[subs] = body; the name, which is the wish if it is free."""
        name = self.fresh(wish)
        self.equations.append(Equation(name, subs, body, ranges))
        self.shapes[name] = self.program.dims[name] = self.program.hulls[name] = dims
        return name

    def ties(self, e: Equation, hit: Expr, indices: tuple[str, ...]) -> Read:
        """How many positions share a maximum; a quantity of its own, computed once: a gradient that is derived again knows it."""
        subs, count = tuple(Int.symbol(i) for i in e.indices), Reduce("sum", indices, hit)
        ranges = {i: e.ranges[i] for i in (*e.indices, *indices)}
        for h in (*self.equations, *self.program.equations):
            if (h.subs, h.body, h.ranges) == (subs, count, ranges) and len(self.program.definitions.get(h.tensor, (h,))) == 1:
                return tensor(h.tensor, *subs)
        return tensor(self.add(f"{e.tensor}_ties", subs, count, ranges, e.shape), *subs)

    def value(self, value: Expr, e: Equation, ranges: Ranges) -> Read:
        """t[i] = value for the indices of value: an element of t is in range wherever i is.

        The axes stand in the order of the equation's left-hand side, those of one length as the value reads them, and only its own
        terms share a name: so neither depends on which term comes first.
        """
        names = _as_read(value, [i for i in ranges if i in free_symbols(value)], ranges)
        key = unordered(value)
        for h in self.equations:
            if self.needed_by.get(h.tensor) is e:
                for at in _ways(h, names, ranges):
                    if unordered(subst_indices(h.body, at)) == key:
                        return h.element.subst(at)
        own = _by_their_names({i: ranges[i] for i in names}, e.ranges)
        value = subst_indices(value, {i: Int.symbol(o) for i, o in zip(names, own, strict=True)})
        held = value.tensor if isinstance(value, Read) else e.tensor
        name = self.add(f"{held}_at", tuple(map(Int.symbol, own)), value, own, tuple(own.values()))
        self.needed_by[name] = e
        return tensor(name, *names)


def _by_their_names(letters: Ranges, ranges: Ranges) -> Ranges:
    """The letters as their equation has them, n for n2, where all of them are told apart by that."""
    named = {i.rstrip("0123456789"): r for i, r in letters.items()}
    known = len(named) == len(letters) and all(ranges.get(i) == r for i, r in named.items())
    return named if known else letters


def _as_read(value: Expr, names: list[str], ranges: Ranges) -> list[str]:
    """The names, those with the same range in the order in which a read has them: B[k,tok[m]] and B[m,tok[k]] are one table."""
    if not isinstance(value, Read):
        return names
    order = [i for s in value.subs for i in names if i in s.symbols()]
    waiting = {r: iter([i for i in dict.fromkeys(order) if ranges[i] == r]) for r in map(ranges.__getitem__, names)}
    return [next(waiting[ranges[i]]) for i in names]


def _ways(known: Equation, names: list[str], ranges: Ranges) -> Iterator[dict[str, Int]]:
    """The changes of its letters to these names that keep the ranges; of many letters only the first."""
    mine = known.indices
    if len(mine) == len(names):
        for p in permutations(names) if len(names) < 5 else (names,):
            if all(known.ranges[i] == ranges[j] for i, j in zip(mine, p, strict=True)):
                yield dict(zip(mine, map(Int.symbol, p), strict=True))
