"""What can be said of an integer expression whose indices run over their ranges: its extremes, and whether it is never negative.

`never_negative(e, …)` is a proof or nothing: True means e ≥ 0 for all admissible sizes and indices; False means only
that no proof was found. Sizes are taken to be at least 1, since an index that runs over an empty range takes no value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from .integer import Atom, Element, Extreme, FloorDiv, Int, Mod

MOST_FACTORS = 10


@dataclass(frozen=True, slots=True)
class Range:
    """lo ≤ index < hi"""

    lo: Int
    hi: Int

    @staticmethod
    def upto(hi: int | Int) -> Range:
        return Range(Int.of(0), Int.of(hi))

    @property
    def size(self) -> Int:
        return self.hi - self.lo

    def length(self, env: Mapping[str, int]) -> int:
        """The size as a number."""
        return self.hi.value(env) - self.lo.value(env)

    def subst(self, values: Mapping[str, Int]) -> Range:
        return Range(self.lo.subst(values), self.hi.subst(values))

    def clause(self, index: str) -> str:
        """How a `for` says it: i < hi, or lo <= i < hi."""
        return f"{index} < {self.hi}" if self.lo == 0 else f"{self.lo} <= {index} < {self.hi}"

    def __str__(self) -> str:
        return f"{self.lo} .. {self.hi - 1}"

    __repr__ = __str__


Ranges = dict[str, Range]


def extreme(e: Int, ranges: Mapping[str, Range], upper: bool, positive: Collection[str] = ()) -> Int | None:
    """The largest (or smallest) value of e over the ranges of its indices, as an expression of sizes and parameters."""
    for name in sorted(e.symbols() & ranges.keys()):
        split = e.split(name)
        if split is None:
            return None
        coefficient, rest = split
        r = ranges[name]
        if never_negative(coefficient, {}, positive):
            e = rest + coefficient * (r.hi - 1 if upper else r.lo)
        elif never_negative(-coefficient, {}, positive):
            e = rest + coefficient * (r.lo if upper else r.hi - 1)
        else:
            return None
    return e


def never_ends_early(size: Int, sizes: Collection[str], positive: Collection[str]) -> bool:
    """Whether the size of a range is never negative, even where some of these sizes are 0: T is not, T − 1 may be."""
    return _never_ends_early(size, frozenset(sizes), frozenset(positive))


@lru_cache(maxsize=4096)
def _never_ends_early(size: Int, sizes: frozenset[str], positive: frozenset[str]) -> bool:
    """The same: every array asks for its few sizes again and again."""
    return _grows_from_zeros(size, sizes) or never_negative(size.subst(OneLess(sizes)), {}, positive)


def _grows_from_zeros(e: Int, sizes: frozenset[str]) -> bool:
    """Whether e has no negative coefficient, of sizes and whole parts of sizes by numbers: ⌊H/8⌋ ⌊W/8⌋ + 1."""
    def is_one(atom: Atom) -> bool:
        if isinstance(atom, FloorDiv):
            return atom.bottom.is_constant and atom.bottom.constant > 0 and _grows_from_zeros(atom.top, sizes)
        return atom in sizes

    return all(c >= 0 and all(map(is_one, m)) for m, c in e.terms.items())


class OneLess(Mapping[str, Int]):
    """N − 1 for N: what holds of these where N is at least 1 holds of the sizes where they may be 0. Of many sizes few are asked for."""

    def __init__(self, sizes: Iterable[str]):
        self.sizes = sizes if isinstance(sizes, frozenset) else frozenset(sizes)

    def __getitem__(self, name: str) -> Int:
        if name not in self.sizes:
            raise KeyError(name)
        return Int.symbol(name) - 1

    def __iter__(self) -> Iterator[str]:
        return iter(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)


def never_negative(
    e: Int, ranges: Mapping[str, Range], positive: Collection[str] = (), facts: Iterable[Int] = (), depth: int = 4
) -> bool:
    """Whether e ≥ 0 always holds, provably; `positive` names sizes and parameters that are at least 1, `facts` are ≥ 0."""
    if _grows_from_ones(e, positive):
        return True
    if depth == 0:
        return False
    facts = list(facts)
    for k, fact in enumerate(facts):
        if never_negative(e - fact, ranges, positive, facts[:k] + facts[k + 1 :], depth - 1):
            return True
    lowest = extreme(e, ranges, upper=False, positive=positive)
    if lowest is None:  # an index inside a division: bound the division away first
        return any(never_negative(f, ranges, positive, (), depth - 1) for f in _below(e, positive))
    if lowest != e:
        return never_negative(lowest, {}, positive, (), depth)
    return any(never_negative(f, {}, positive, (), depth - 1) for f in _below(e, positive)) or _all_cases(e, positive, depth)


def _grows_from_ones(e: Int, positive: Collection[str]) -> bool:
    """Whether e, with every positive name written as 1 + something ≥ 0, has no negative coefficient."""
    if e.is_constant:
        return e.constant >= 0
    if any(isinstance(a, str) and a not in positive and not _is_square(m) for m in e.terms for a in m):
        return False  # an index may be anything, and no shift of the others takes it away
    if all(not m or len(m) == 1 and isinstance(m[0], str) for m in e.terms):
        return sum(e.terms.values()) >= 0 <= min(c for m, c in e.terms.items() if m)
    if any(len(m) > MOST_FACTORS for m in e.terms):
        return False  # multiplied out, it would have twice the terms with each of them
    shift = {n: Int.symbol(n) + 1 for n in e.symbols() if n in positive}
    shifted = e.map_atoms(lambda a: shift[a] if isinstance(a, str) and a in shift else Int.atom(a))
    return all(c >= 0 and all(_non_negative(a, positive) for a in m) or _is_square(m) and c > 0 for m, c in shifted.terms.items())


def _is_square(monomial: tuple[object, ...]) -> bool:
    return len(monomial) == 2 and monomial[0] == monomial[1]


def _non_negative(atom: object, positive: Collection[str]) -> bool:
    """Whether an atom is ≥ 0: a size, a remainder by something positive, the quotient of two such."""
    if isinstance(atom, str):
        return atom in positive
    if isinstance(atom, Mod):
        return _grows_from_ones(atom.bottom - 1, positive)
    if isinstance(atom, FloorDiv):
        return any(_grows_from_ones(b - 1, positive) for b in atom.bottom.cases("max")) and _grows_from_ones(atom.top, positive)
    if isinstance(atom, Extreme):
        some = any if atom.op == "max" else all
        return some(_grows_from_ones(a, positive) for a in atom.args)
    return False


def _below(e: Int, positive: Collection[str]) -> list[Int]:
    """Expressions whose non-negativity implies that of e, with one floor division or remainder bounded away.

    ⌊a/b⌋ lies between (a − b + 1)/b and a/b for b > 0, so the bound with the division multiplied out lies below b·e; and since e
    is an integer, b·e > −b is enough.
    """
    found = []
    for monomial, c in e.terms.items():
        for atom in monomial:
            if not isinstance(atom, FloorDiv | Mod) or not _grows_from_ones(atom.bottom - 1, positive):
                continue
            rest = list(monomial)
            rest.remove(atom)
            factor, others = Int({tuple(rest): c}), e - Int({monomial: c})
            if isinstance(atom, Mod):
                if _grows_from_ones(-factor, positive):
                    found.append(others + factor * (atom.bottom - 1))
                continue
            whole = factor // atom.bottom
            exact = whole * atom.bottom == factor
            scale, factor = (Int.of(1), whole) if exact else (atom.bottom, factor)
            if _grows_from_ones(factor, positive):
                found.append(scale * others + factor * (atom.top - atom.bottom + 1) + scale - 1)
            elif _grows_from_ones(-factor, positive):
                found.append(scale * others + factor * atom.top + scale - 1)
    return found


def _all_cases(e: Int, positive: Collection[str], depth: int) -> bool:
    """Decide by the arguments of a min or max that occurs linearly: e ≥ 0 for each of them is enough."""
    for monomial, c in e.terms.items():
        if len(monomial) == 1 and isinstance(monomial[0], Extreme):
            others = e - Int({monomial: c})
            atom = monomial[0]
            cases = [never_negative(others + a * c, {}, positive, (), depth - 1) for a in atom.args]
            return any(cases) if (atom.op == "max") == (c > 0) else all(cases)
    return False


def inside(sub: Int, axis: Range, ranges: Mapping[str, Range], positive: Collection[str], facts: Iterable[Int] = ()) -> bool:
    """Whether a subscript provably stays within the range of its axis."""
    name = sub.name
    if name is not None and name in ranges and ranges[name] == axis:
        return True
    facts = tuple(facts)
    concerned = sub.symbols().union(axis.lo.symbols(), axis.hi.symbols(), *(f.symbols() for f in facts))
    return _inside(sub, axis, tuple((i, r) for i, r in ranges.items() if i in concerned), frozenset(positive), facts)


@lru_cache(maxsize=4096)
def _inside(sub: Int, axis: Range, own: tuple[tuple[str, Range], ...], positive: frozenset[str], facts: tuple[Int, ...]) -> bool:
    """The same of the ranges that concern it: the same few subscripts are asked for again and again."""
    ranges = dict(own)
    if not facts and any(isinstance(a, Element) for a in sub.atoms()):  # data may be anything, if nothing is said of it
        return False
    return never_negative(sub - axis.lo, ranges, positive, facts) and never_negative(axis.hi - 1 - sub, ranges, positive, facts)


def outside(sub: Int, axis: Range, ranges: Mapping[str, Range], positive: Collection[str], facts: Iterable[Int] = ()) -> bool:
    """Whether a subscript provably lies before or behind its axis, wherever the facts hold."""
    return any(never_negative(beyond, ranges, positive, facts) for beyond in (axis.lo - 1 - sub, sub - axis.hi))


def smaller_or_greater(op: str, a: Int, b: Int, positive: Collection[str]) -> Int:
    """min or max of two, decided where that is provable."""
    d = b - a if op == "min" else a - b
    if never_negative(d, {}, positive):
        return a
    return b if never_negative(-d, {}, positive) else Int.extreme(op, a, b)


def settled(value: Int, ranges: Mapping[str, Range], positive: Collection[str]) -> Int:
    """e mod s is e itself, and ⌊e/s⌋ is 0, where 0 ≤ e < s."""
    if not any(isinstance(a, Mod | FloorDiv) for a in value.atoms()):
        return value

    def settle(atom: Atom) -> Int:
        if isinstance(atom, Mod | FloorDiv):
            top, bottom = settled(atom.top, ranges, positive), atom.bottom
            if never_negative(top, ranges, positive) and never_negative(bottom - 1 - top, ranges, positive):
                return top if isinstance(atom, Mod) else Int.of(0)
            new = top % bottom if isinstance(atom, Mod) else top // bottom
            return new if new == Int.atom(atom) else settled(new, ranges, positive)
        return Int.atom(atom)

    return value.map_atoms(settle)
