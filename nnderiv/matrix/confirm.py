"""A matrix form is shown only if it has the equation's values: both are evaluated by the interpreter at random points.

Sizes and rational inputs are drawn at random, and honour what is given; both sides are compared at places of the left-hand side,
exactly where they are rational and to 40 of 50 digits otherwise. A form that fails raises `MatrixFormError`.
"""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

from ..draw import MODES, draw
from ..errors import CheckError, DefinitionError, EvaluationError, MatrixFormError
from ..evaluate import _Run, _TooDeep
from ..numbers import DIGITS, combine, is_mpf
from ..program import Equation, Program
from .memory import remembered

TRIALS = 2    # samples at which both sides must agree
ATTEMPTS = 9  # samples drawn until that many were finite
PLACES = 40   # of the left-hand side, at most


def confirm(program: Program, equation: Equation, lowered: Equation) -> int:
    """The number of samples at which both sides agree; MatrixFormError names a place where they differ."""
    done = undefined = 0
    for k in range(ATTEMPTS):
        run = _sample(program, k)
        found = _same(run, equation, lowered, Random(k)) if run is not None else None
        done += found is True
        undefined += found is False
        if done == TRIALS:
            break
    if undefined >= max(done, 1):
        raise MatrixFormError(f"{equation.left} has no matrix form: the one found is not defined where the equation is.")
    if not done:
        raise MatrixFormError(f"{equation.left} has no matrix form that could be confirmed: no random inputs gave finite values.")
    return done


def _sample(program: Program, k: int) -> _Run | None:
    """The k-th sample of a program, kept with what was computed of it."""
    runs = _samples(program)
    while len(runs) <= k:
        runs.append(_drawn(program, len(runs)))
    return runs[k]


@remembered
def _samples(program: Program) -> list[_Run | None]:
    return []


def _drawn(program: Program, k: int) -> _Run | None:
    try:
        return _Run(program, draw(program, Random(k), mode=MODES[k % len(MODES)], largest=3).inputs)
    except (CheckError, EvaluationError):
        return None


def _same(run: _Run, equation: Equation, lowered: Equation, rng: Random) -> bool | None:
    """Whether both sides agree; False where only the equation is defined, None where it is not, so that nothing can be said."""
    places = list(itertools.product(*(range(*run.bounds(equation, i)) for i in equation.indices)))
    places = rng.sample(places, PLACES) if len(places) > PLACES else places
    for at in places:
        env = dict(run.env) | dict(zip(equation.indices, at, strict=True))
        try:
            a, b = value_at(run, equation, env), value_at(run, lowered, env)
        except (ArithmeticError, EvaluationError, DefinitionError, RecursionError, ValueError):
            return None
        if a != a:
            return None
        if b != b:
            return False
        if not _agree(a, b):
            place = ", ".join(f"{i} = {k}" for i, k in zip(equation.indices, at, strict=True))
            raise MatrixFormError(f"{equation.left} has no matrix form: the one found is {b} and not {a} at {place} (sizes {run.env}).")
    return True if places else None


def value_at(run: _Run, e: Equation, env: dict[str, int]) -> Any:
    """The right-hand side of an equation, with these indices; what lies deep in a recurrence is computed first."""
    while True:
        try:
            run.active.clear()
            return run.value(e.body, e, dict(env))
        except _TooDeep as deeper:
            run.demand(*deeper.key)


def _agree(a: Any, b: Any) -> bool:
    """Equal as fractions; to 40 of 50 digits as mpf; to rounding where a float came in."""
    if combine("==", a, b):
        return True
    difference = combine("-", a, b)
    if isinstance(a, float) or isinstance(b, float):
        return bool(abs(float(difference)) <= 1e-9 * (1 + abs(float(a))))
    if is_mpf(a) or is_mpf(b):
        return bool(abs(difference) <= combine("*", combine("+", 1, abs(a)), combine("/", 1, 10 ** (DIGITS - 10))))
    return False
