"""Numbers for the sizes and parameters of a program: small, and such that everything the program requires of them holds."""

from __future__ import annotations

from collections.abc import Callable

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
    values: dict[str, Int] = {}
    for r in program.requirements:
        if r.op == "==":
            difference = (r.left - r.right).subst(values)
            name = next((n for n in sorted(difference.symbols()) if _solvable(difference, n)), None)
            if name is not None:
                coefficient, rest = difference.split(name) or (Int.of(1), Int.of(0))
                value = -rest * coefficient
                values = {n: v.subst({name: value}) for n, v in values.items()} | {name: value}
    free = {n: pick(n) for n in names if n not in values}
    try:
        return free | {n: v.value(free) for n, v in values.items()}
    except (KeyError, ZeroDivisionError):
        return None


def _solvable(difference: Int, name: str) -> bool:
    split = difference.split(name)
    return split is not None and split[0] in (Int.of(1), Int.of(-1))


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
