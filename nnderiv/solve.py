"""Solve α(i, r) = a for the indices of an equation: one subscript after the other, one index eliminated per subscript.

Output indices go first, because the seed dY[i] then guards its own range. A coefficient of ±1 is simply moved to the other
side; another coefficient c leaves the condition that c divides; ⌊e/c⌋ = a becomes e = c·a + q with a new index q in 0 … c−1.
What is left over (a literal, a diagonal, an index that is data) stays as a condition: the Kronecker delta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .bounds import never_negative
from .expr import Expr, compare, subst_indices
from .integer import FloorDiv, Int
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
    positive: set[str],
) -> Solution:
    """All (outputs, bound) with subs = targets; see the module's docstring."""
    solution, unknowns = Solution(), [*outputs, *bound]
    equations = [s - t for s, t in zip(subs, targets, strict=True)]
    while equations:
        equations = [e for e in equations if e != 0]
        step = _pick(equations, list(outputs), list(bound), positive) or _open_division(equations, unknowns, fresh, solution)
        if step is None:
            break
        e, name, value, condition = step
        equations = [other.subst({name: value}) for other in equations if other is not e]
        if condition is not None:
            solution.conditions.append(condition)
        solution.put(name, value)
        if name in solution.extra:
            bound = [*bound, name]
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


