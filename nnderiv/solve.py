"""Solve α(i, r) = a for the indices of an equation: one subscript after the other, one index eliminated per subscript.

Output indices go first, because the seed dY[i] then guards its own range. A coefficient of ±1 is simply moved to the other
side; another coefficient c leaves the condition that c divides; ⌊e/c⌋ = a becomes e = c·a + q with a new index q in 0 … c−1;
(i + k) mod n = a is i = (a − k) mod n, where i and a run over the same circle; and 2·j + i mod 2 = a is j = ⌊a/2⌋, i mod 2 = a mod 2.
What is left over (a literal, a diagonal, an index that is data) stays as a condition: the Kronecker delta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .bounds import inside, never_negative, settled
from .conditions import between
from .expr import Expr, compare, subst_indices
from .integer import FloorDiv, Int, Mod
from .program import Range, Ranges


@dataclass
class Solution:
    """values: the eliminated indices in terms of targets and remaining indices; conditions: what must hold besides."""

    values: dict[str, Int] = field(default_factory=dict)
    conditions: list[Expr] = field(default_factory=list)
    extra: Ranges = field(default_factory=dict)

    def put(self, name: str, value: Int) -> None:
        self.values = {k: v.subst({name: value}) for k, v in self.values.items()}
        self.values[name] = value


def solve(
    subs: Sequence[Int], targets: Sequence[Int], outputs: Sequence[str], bound: Sequence[str], fresh: Callable[[str], str],
    positive: set[str], ranges: Ranges | None = None,
) -> Solution:
    """All (outputs, bound) with subs = targets; see the module's docstring. ranges: of the indices, those of the targets too."""
    solution, known = Solution(), dict(ranges or {})
    equations = [s - t for s, t in zip(subs, targets, strict=True)]
    while equations:
        bound = [*bound, *(q for q in solution.extra if q not in bound)]
        unknowns, known = [*outputs, *bound], {**known, **solution.extra}
        equations = _by_digit([x for e in equations if (x := settled(e, known, positive)) != 0], unknowns, known, positive)
        step = (_pick(equations, list(outputs), list(bound), positive) or _open_division(equations, unknowns, fresh, solution)
                or _turn_back(equations, unknowns, fresh, solution, known, positive))
        if step is None:
            break
        e, name, value, condition = step
        equations = [other.subst({name: value}) for other in equations if other is not e]
        if condition is not None:
            solution.conditions.append(condition)
        if name in solution.extra:
            r = solution.extra[name]
            solution.conditions += between(r, value)
        solution.put(name, value)
    # A later elimination may stand in an earlier condition.
    solution.conditions = [subst_indices(c, solution.values) for c in solution.conditions]
    solution.conditions += [compare("==", *_sides(e)) for e in equations]
    return solution


def _sides(e: Int) -> tuple[Int, Int]:
    """e = 0 as left = right, the positive terms on the left."""
    left = Int({m: c for m, c in e.terms.items() if c > 0})
    return left, left - e


Step = tuple[Int, str, Int, Expr | None]


def _pick(equations: list[Int], outputs: list[str], bound: list[str], positive: set[str]) -> Step | None:
    """The next elimination: an output index, else a bound one; a strided index before the window that it carries, i before u in i − u."""
    for names in (outputs, bound):
        steps = [step for name in names for e in equations if (step := _step(e, name, positive))]
        if names is bound:
            steps.sort(key=lambda s: (s[3] is not None, s[0].split(s[1])[0] == -1))  # type: ignore[index]
        elif steps:
            # s·i + u: the stride belongs to the long index. i + j, 2·j: what needs no condition comes first.
            strided = [s for s in steps if s[3] is not None and any(t[0] is s[0] and t[3] is None for t in steps)]
            steps = strided or sorted(steps, key=lambda s: s[3] is not None)
        if steps:
            return steps[0]
    return None


def _step(e: Int, name: str, positive: set[str]) -> Step | None:
    """e = 0 solved for one index that occurs in it linearly."""
    split = e.split(name)
    if split is None or split[0] == 0:
        return None
    c, rest = split
    return (e, name, -rest * c, None) if c == 1 or c == -1 else _divide(e, name, c, rest, positive)


def _divide(e: Int, name: str, c: Int, rest: Int, positive: set[str]) -> Step | None:
    """c·x + rest = 0 for a coefficient that is provably not 0: x = −rest // c, where c divides."""
    if never_negative(-c - 1, {}, positive):
        c, rest = -c, -rest
    elif not never_negative(c - 1, {}, positive):
        return None
    return e, name, -rest // c, compare("==", -rest % c, Int.of(0))


def _by_digit(equations: list[Int], unknowns: list[str], ranges: Ranges, positive: set[str]) -> list[Int]:
    """c·x + r = v with 0 ≤ r < c, where x or r takes indices apart: x = ⌊v/c⌋ and r = v mod c, as in 2·j + (i // 2) % 2."""
    for e in equations:
        sought = Int({m: k for m, k in e.terms.items() if set(unknowns) & Int({m: k}).symbols()})
        if len(sought.terms) < 2 or all(isinstance(a, str) for m in sought.terms for a in m):
            continue
        for x in dict.fromkeys(a for m in sought.terms for a in m if set(unknowns) & Int.atom(a).symbols()):
            c, r = sought.coefficient(x)
            if c != 1 and never_negative(c - 1, {}, positive) and inside(r, Range.upto(c), ranges, positive):
                v = sought - e
                return [*(other for other in equations if other is not e), Int.atom(x) - v // c, r - v % c]
    return equations


def _turn_back(
    equations: list[Int], unknowns: list[str], fresh: Callable[[str], str], solution: Solution, ranges: Ranges, positive: set[str]
) -> Step | None:
    """(±i + rest) mod m = v with 0 ≤ v < m, where i takes n·m values in a row: one in each of n turns, i = ±(v − rest) mod m + m·p."""
    for e in equations:
        for monomial, c in e.terms.items():
            if len(monomial) != 1 or abs(c) != 1 or not isinstance(monomial[0], Mod):
                continue
            top, bottom, v = monomial[0].top, monomial[0].bottom, (e - Int({monomial: c})) * -c
            if set(unknowns) & (v.symbols() | bottom.symbols()) or not inside(v, Range.upto(bottom), ranges, positive):
                continue
            for name in unknowns:
                split = top.split(name)
                if split is None or split[0] not in (Int.of(1), Int.of(-1)) or name not in ranges:
                    continue
                first, turns = ranges[name].lo, ranges[name].size // bottom
                if turns * bottom != ranges[name].size:
                    continue
                value = first + ((v - split[1]) * split[0] - first) % bottom
                if turns != 1:
                    turn = fresh("p")
                    solution.extra[turn] = Range.upto(turns)
                    value = value + Int.symbol(turn) * bottom
                return e, name, value, None
    return None


def _open_division(equations: list[Int], unknowns: list[str], fresh: Callable[[str], str], solution: Solution) -> Step | None:
    """⌊top/bottom⌋·(±1) + rest = 0 with unknowns only in top: top = bottom·(∓rest) + q, and q is a new index to solve with."""
    for e in equations:
        for monomial, c in e.terms.items():
            if len(monomial) != 1 or abs(c) != 1 or not isinstance(monomial[0], FloorDiv):
                continue
            atom, rest = monomial[0], e - Int({monomial: c})
            if set(unknowns) & rest.symbols() or not set(unknowns) & atom.top.symbols() or set(unknowns) & atom.bottom.symbols():
                continue
            for name in unknowns:
                split = atom.top.split(name)
                if split is None or split[0] not in (Int.of(1), Int.of(-1)):
                    continue
                q = fresh("q")
                solution.extra[q] = Range.upto(atom.bottom)
                value = (atom.bottom * (rest * -c) + Int.symbol(q) - split[1]) * split[0]
                return e, name, value, None
    return None


