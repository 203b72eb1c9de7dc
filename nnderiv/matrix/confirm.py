"""A matrix form is shown only if it has the equation's values: both are evaluated by the interpreter at random points.

Sizes and rational inputs are drawn at random, and honour what is given; both sides are compared at every place of the left-hand
side, exactly where they are rational and to 40 of 50 digits otherwise. A form that is false would pass a trial of rational
numbers with a probability of at most degree/|S| (Schwartz–Zippel; see `degree`). A form that fails raises `RefutedForm`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isinf, prod
from random import Random
from typing import Any

from ..degree import chance, of_difference, plain
from ..draw import MODES, draw, how_many, sum_fact, with_degrees
from ..errors import CheckError, DefinitionError, EvaluationError, MatrixFormError, RefutedForm
from ..evaluate import Run, TooDeep
from ..expr import reads
from ..numbers import DIGITS, agree, combine
from ..program import Equation, Program
from .memory import remembered

TRIALS = 3     # samples at which both sides must agree
ATTEMPTS = 12  # samples drawn until that many were finite


@dataclass(frozen=True)
class Evidence:
    """At how many random samples both sides were found equal, and how surely.

    probability: at most with what a false form would have passed them at their sizes, where all numbers are rational; digits: to how
    many digits they agree, where numbers are not exact.
    """

    trials: int = 0
    probability: Fraction | None = None
    digits: int | None = None


@dataclass(frozen=True)
class _Sample:
    """One run of the interpreter; numbers: from how many each input is drawn, or None where that bounds nothing."""

    run: Run
    numbers: int | None


def confirm(program: Program, equation: Equation, lowered: Equation) -> Evidence:
    """How surely both sides agree; RefutedForm names a place where they differ."""
    found: list[_Passed] = []
    idle: list[_Passed] = []
    undefined = 0
    for k in range(ATTEMPTS):
        sample = _sample(program, k)
        passed = _same(sample, equation, lowered) if sample is not None else None
        undefined += passed is False
        if isinstance(passed, _Passed):
            (idle if passed.chance == 0 and reads(equation.body) else found).append(passed)
        if len(found) == TRIALS:
            break
    found += [replace(p, chance=None) for p in idle[: TRIALS - len(found)]]
    if undefined >= max(len(found), 1):
        raise MatrixFormError(f"{equation.left} has no matrix form: the one found is not defined where the equation is.")
    if not found:
        raise MatrixFormError(f"{equation.left} has no matrix form that could be confirmed: no random inputs gave finite values.")
    bounds = [p.chance for p in found if p.chance is not None]
    if len(bounds) == len(found):
        return Evidence(len(found), prod(bounds, start=Fraction(1)))
    return Evidence(len(found), digits=None if all(p.exact for p in found) else DIGITS - 10)


def _sample(program: Program, k: int) -> _Sample | None:
    """The k-th sample of a program, kept with what was computed of it."""
    found = _samples(program)
    while len(found) <= k:
        found.append(_drawn(program, len(found)))
    return found[k]


@remembered
def _samples(program: Program) -> list[_Sample | None]:
    return []


def _drawn(program: Program, k: int) -> _Sample | None:
    mode = MODES[k % len(MODES)]
    bounded = all(sum_fact(g, program) is not None or not reads(g) for g in program.givens)
    try:
        inputs = draw(program, Random(k), mode=mode, largest=3).inputs
        return _Sample(Run(program, with_degrees(program, inputs)), how_many(mode) if bounded else None)
    except (CheckError, EvaluationError):
        return None


@dataclass(frozen=True)
class _Passed:
    """Two sides that agree at one sample; chance: how likely, at most, they would if they differed, where something bounds that.

    A chance of 0 is one of sides that are constant there, as where no condition holds: such a sample shows little.
    """

    chance: Fraction | None
    exact: bool


def _same(sample: _Sample, equation: Equation, lowered: Equation) -> _Passed | bool | None:
    """Whether both sides agree; False where only the equation is defined, None where it is not, so that nothing can be said."""
    run, worst, exact = sample.run, 0.0, True
    places = list(itertools.product(*(range(*run.bounds(equation, i)) for i in equation.indices)))
    for at in places:
        env = dict(run.env) | dict(zip(equation.indices, at, strict=True))
        try:
            a, b = value_at(run, equation, env), value_at(run, lowered, env)
        except (ArithmeticError, EvaluationError, DefinitionError, RecursionError, ValueError):
            return None
        x, y = plain(a), plain(b)
        if x != x:
            return None
        if y != y:
            return False
        if not _agree(x, y):
            place = ", ".join(f"{i} = {k}" for i, k in zip(equation.indices, at, strict=True))
            raise RefutedForm(f"{equation.left} has no matrix form: the one found is {y} and not {x} at {place} (sizes {run.env}).")
        worst = max(worst, chance(*of_difference(a, b), sample.numbers or 1))
        exact &= isinstance(x, Fraction | int) and isinstance(y, Fraction | int) and not isinf(worst)
    bounded = sample.numbers is not None and not isinf(worst)
    return _Passed(Fraction(worst) if bounded else None, exact) if places else None


def value_at(run: Run, e: Equation, env: dict[str, int]) -> Any:
    """The right-hand side of an equation, with these indices; what lies deep in a recurrence is computed first."""
    while True:
        try:
            run.active.clear()
            return run.meaning(e)[1](dict(env))
        except TooDeep as deeper:
            run.demand(*deeper.key)


def _agree(a: Any, b: Any) -> bool:
    """The same number, infinities included, as far as its digits go."""
    return bool(combine("==", a, b)) or agree(a, b)
