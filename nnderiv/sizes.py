"""Numbers for the sizes and parameters of a program: small, and such that everything the program requires of them holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .integer import Int
from .program import Program


def small_sizes(program: Program, pick: Callable[[str], int], least: int = 1) -> dict[str, int] | None:
    """{name: number} with the numbers that `pick` wishes, except where an equality fixes them; None where they do not fit.

    Every dimension is at least `least`, every range has a size of at least 0.
    """
    env = _fixed(program, pick)
    try:
        return env if env is not None and fits(program, env, least) else None
    except ZeroDivisionError:
        return None


def _fixed(program: Program, pick: Callable[[str], int]) -> dict[str, int] | None:
    """Wishes for the names that are free, the others computed from the equalities in which they stand alone."""
    names = list(dict.fromkeys([*program.sizes, *program.parameters]))
    values = equal_sizes(program, names)
    free = {n: pick(n) for n in names if n not in values}
    try:
        return free | {n: v.value(free) for n, v in values.items()}
    except (KeyError, ZeroDivisionError):
        return None


def equal_sizes(program: Program, names: Sequence[str]) -> dict[str, Int]:
    """Of these names of sizes or parameters, those that are what others come to, and that: {P: H//2 - 1} where P must equal it."""
    found: dict[str, Int] = {}
    for r in program.requirements:
        sides = r.left.subst(found), r.right.subst(found)
        if r.op == "==" and (solved := next(_solutions(*sides, names), None)):
            name, value = solved
            found = {**{n: v.subst({name: value}) for n, v in found.items()}, name: value}
    return found


def _solutions(left: Int, right: Int, names: Sequence[str]) -> Iterator[tuple[str, Int]]:
    """(name, what it is): of those that are alone on a side, later ones first; then of the others."""
    zero = left - right
    for name in sorted(reversed(names), key=lambda name: name not in (left.name, right.name)):
        split = zero.split(name)
        if split is not None and (split[0] == 1 or split[0] == -1) and not split[1].elements():
            yield name, -split[1] * split[0]


def fits(program: Program, env: dict[str, int], least: int = 1) -> bool:
    """Whether all requirements hold, every dimension has at least `least` places, and no range has a negative size."""
    for r in program.requirements:
        a, b = r.left.value(env), r.right.value(env)
        if not (a == b if r.op == "==" else a >= b):
            return False
    axes = {r for axes in program.dims.values() for r in axes}
    ranges = {r for e in program.equations for r in e.ranges.values()}
    return all(r.length(env) >= least for r in axes) and all(r.length(env) >= 0 for r in ranges) and all(
        env[s] >= least for s in program.sizes)
