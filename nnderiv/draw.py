"""Random inputs for a program: small sizes that fit, exact rationals, integers in range, `given` facts honoured.

    draw(program, rng, …).inputs is accepted by the interpreter, and every `given` holds for it exactly.

A fact Σ_m y[…,m,…] = c about an input is honoured by construction, and so is one that bounds the elements of an integer tensor (see
`pointers`); any other fact by drawing again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from random import Random
from typing import Any

from .degree import Degree
from .errors import CheckError, EvaluationError
from .evaluate import evaluate
from .expr import ONE, ZERO, Expr, IntValue, Num, Op, Read, Reduce, bound_indices, reads, symbols, where
from .integer import Int
from .pointers import random_integers
from .polynomial import additive_terms
from .program import Equation, Input, Program, Range, Ranges
from .ranges import accesses
from .sizes import small_sizes
from .symmetry import exchanged

Index = tuple[int, ...]
MODES = ("any", "positive", "fraction")  # all signs; above 0; between 0 and 1, for log(1 − x) and its like
PRIME = 10_007  # the denominator of what is drawn
WORK = 3000  # evaluations of a right-hand side in one run of the interpreter
TRIES = 40


@dataclass(frozen=True)
class Sample:
    """Sizes and parameters, and inputs as nested lists."""

    sizes: dict[str, int]
    inputs: dict[str, Any]
    mode: str


def draw(
    program: Program, rng: Random, mode: str = "any", dyadic: bool = False, largest: int = 4, sizing: Program | None = None
) -> Sample:
    """One sample; dyadic numbers are exact in float32 too. CheckError where no sizes fit, or no draw honours the givens.

    sizing: a program with the same inputs that is to be evaluated, if it is more than this one.
    """
    for _ in range(TRIES):
        sizes = draw_sizes(program, rng, largest, sizing)
        inputs = fill(program, sizes, rng, mode, dyadic)
        if inputs is not None:
            return Sample(sizes, inputs, mode)
    facts = "; ".join(str(g) for g in program.givens)
    raise CheckError(f"No random inputs honour what is given ({facts}) in {TRIES} draws.")


def fill(
    program: Program, sizes: Mapping[str, int], rng: Random, mode: str = "any", dyadic: bool = False, make: Callable[[], Any] | None = None
) -> dict[str, Any] | None:
    """Inputs at these sizes, their numbers by `make` where it is given; None where they do not honour the givens."""
    make = make or (lambda: number(rng, mode, dyadic))
    inputs = {i.name: _input(program, i, sizes, rng, make) for i in program.inputs}
    for fact in program.givens:
        _make_hold(fact, program, inputs, sizes, mode, rng, dyadic)
    return inputs if all(holds(fact, program, inputs) for fact in program.givens) else None


# -- sizes -------------------------------------------------------------------------------------------------------------------
def draw_sizes(program: Program, rng: Random, largest: int = 4, sizing: Program | None = None) -> dict[str, int]:
    """Random sizes of 1 … largest and parameters, such that a run of the interpreter (over `sizing`, if given) stays short."""
    def effort(env: dict[str, int]) -> float:
        return work(program, env) if sizing is None else cost(sizing, env) / 2

    fallback = None
    for attempt in range(TRIES * 5):
        most = max(2, largest - attempt // TRIES)
        ones = 0.25 if sizing is None or attempt >= 2 * TRIES else 0.0  # steps are told apart by sizes above 1
        env = small_sizes(program, lambda n, most=most, ones=ones: _wish(program, n, rng, most, ones))  # type: ignore[misc]
        if env is None:
            continue
        if effort(env) <= WORK * (1 + attempt // TRIES):
            return env
        fallback = env
    if fallback is not None:
        return fallback
    for k in (3, 6, 10, 16):
        fallback = fallback or small_sizes(program, lambda n, k=k: k if n in program.sizes else 1)  # type: ignore[misc]
    fallback = fallback or next((env for _ in range(500) if (env := small_sizes(program, lambda n: rng.randint(1, 16)))), None)
    if fallback is None:
        reasons = "; ".join(f"{r.left} {r.op} {r.right}" for r in program.requirements)
        raise CheckError("No small sizes fit this program." + (f" It requires {reasons}." if reasons else ""))
    return _lowered(program, fallback, effort)


def _lowered(program: Program, env: dict[str, int], effort: Callable[[dict[str, int]], float]) -> dict[str, int]:
    """Each size as small as the others let it be, and then above 1 where that at most doubles the work: an image may have to be large, but
    not everything beside it."""
    for name in program.sizes:
        lower = (small_sizes(program, {**env, name: value}.__getitem__) for value in range(1, env[name]))
        env = next((found for found in lower if found is not None), env)
    most = max(WORK, 2*effort(env))
    for name in program.sizes:
        higher = small_sizes(program, {**env, name: 2}.__getitem__) if env[name] == 1 else None
        env = higher if higher is not None and effort(higher) <= most else env
    return env


def _wish(program: Program, name: str, rng: Random, largest: int, ones: float) -> int:
    if name in program.parameters:
        required = any(r.op == ">=" and r.left.name == name for r in program.requirements)
        return rng.randint(1, 3) if required else rng.randint(0, 2)
    return rng.randint(1, largest) if rng.random() < ones else rng.randint(min(2, largest), largest)


def work(program: Program, env: Mapping[str, int]) -> int:
    """The number of times that the interpreter evaluates a right-hand side's innermost expression."""
    length: dict[Range, int] = {}
    total = 0
    for e in program.equations:
        count = 1
        for r in e.ranges.values():
            if r not in length:
                length[r] = max(1, r.length(env))
            count *= length[r]
        total += count
    return total


def cost(program: Program, env: Mapping[str, int]) -> int:
    """The same, term by term: a sum costs nothing to the terms beside it."""
    length: dict[Range, int] = {}

    def product_of(e: Equation, names: Iterable[str]) -> int:
        count = 1
        for i in names:
            r = e.ranges[i]
            if r not in length:
                length[r] = max(1, r.length(env))
            count *= length[r]
        return count

    return sum(product_of(e, e.indices) * product_of(e, bound_indices(t)) for e in program.equations for _, t in additive_terms(e.body))


# -- numbers -----------------------------------------------------------------------------------------------------------------
def number(rng: Random, mode: str = "any", dyadic: bool = False) -> Fraction:
    """A generic rational between −2 and 2: no whole number, and rarely equal to another one."""
    below = 64 if dyadic else PRIME
    if mode == "fraction":
        return Fraction(rng.randint(1, below - 1), below)
    above = rng.randint(1, 2 * below - 2)
    value = Fraction(above + (above >= below), below)
    return -value if mode == "any" and rng.random() < 0.5 else value


def mode_of(attempt: int, tries: int) -> str:
    """Of so many attempts the first ones draw any signs, the later ones tamer numbers."""
    return MODES[min(attempt * len(MODES) // tries, len(MODES) - 1)]


def how_many(mode: str) -> int:
    """From how many numbers, all equally likely, `number` draws one."""
    return {"any": 4 * PRIME - 4, "positive": 2 * PRIME - 2, "fraction": PRIME - 1}[mode]


def nested(shape: tuple[int, ...], make: Any) -> Any:
    """Nested lists of this shape, filled by make()."""
    return [nested(shape[1:], make) for _ in range(shape[0])] if shape else make()


def _input(program: Program, i: Input, env: Mapping[str, int], rng: Random, make: Callable[[], Any]) -> Any:
    shape = tuple(d.value(env) for d in i.dims)
    if i.kind == "real":
        return nested(shape, make)
    if not shape:
        return env[i.name]
    return random_integers(program, i, env, rng)


# -- given facts -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class SumFact:
    """Σ over some axes of an input = value"""

    tensor: str
    axes: tuple[int, ...]
    value: Num | IntValue


def sum_fact(fact: Expr, program: Program) -> SumFact | None:
    """The fact as a sum over axes of an input, where it is one."""
    if not (isinstance(fact, Op) and fact.op == "==" and isinstance(fact.args[0], Reduce) and fact.args[0].op == "sum"):
        return None
    total, value = fact.args
    assert isinstance(total, Reduce)
    r = total.body
    if not isinstance(r, Read) or r.tensor not in program.real_inputs or reads(value) or not isinstance(value, Num | IntValue):
        return None
    names = [s.name for s in r.subs]
    once = None not in names and len(set(names)) == len(names) and set(total.indices) <= set(names)
    plain = once and not symbols(value) & set(map(str, names))
    return SumFact(r.tensor, tuple(names.index(i) for i in total.indices), value) if plain else None


def _make_hold(fact: Expr, program: Program, inputs: dict[str, Any], env: Mapping[str, int], mode: str, rng: Random, dyadic: bool) -> None:
    """Scale an input so that its sums are what a fact says; a sum of 0 is met by subtracting the mean; or make it symmetric."""
    if (mirrored := exchanged(fact)) is not None and mirrored[0] in program.real_inputs:
        inputs[mirrored[0]] = _mirrored(inputs[mirrored[0]], _shape(program, mirrored[0], env), mirrored[1])
        return
    found = sum_fact(fact, program)
    if found is None:
        return
    target = evaluate_closed(found.value, env)
    shape = _shape(program, found.tensor, env)
    values = to_dict(inputs[found.tensor], shape)
    if mode != "any" or target != 0:
        values = {k: abs(v) for k, v in values.items()}
    for group in groups(shape, found.axes):
        if dyadic:  # quotients would not be exact: share the target out in 64ths
            _share(values, group, target, rng)
            continue
        total = sum((values[k] for k in group), Fraction(0))
        for k in group:
            values[k] = values[k] * target / total if target != 0 else values[k] - total / len(group)
    inputs[found.tensor] = from_dict(values, shape)


def _shape(program: Program, name: str, env: Mapping[str, int]) -> Index:
    return tuple(d.value(env) for i in program.inputs if i.name == name for d in i.dims)


def _mirrored(value: Any, shape: Index, axes: tuple[int, int]) -> Any:
    """The same numbers on both sides of the diagonal of two axes; as it is where these differ in size."""
    p, q = axes
    values = to_dict(value, shape)
    swapped = {at: tuple(at[{p: q, q: p}.get(k, k)] for k in range(len(at))) for at in values}
    return value if shape[p] != shape[q] else from_dict({at: values[min(at, swapped[at])] for at in values}, shape)


def _share(values: dict[tuple[int, ...], Any], group: list[tuple[int, ...]], target: Fraction, rng: Random) -> None:
    parts = [Fraction(rng.randint(1, 64 // len(group) or 1), 64) * (target or 1) for _ in group[:-1]]
    for k, part in zip(group, [*parts, target - sum(parts, Fraction(0))], strict=True):
        values[k] = part


def tangent(program: Program, sample: Sample, name: str, direction: Any) -> Any:
    """The direction made to stay where the facts about this input hold: its sums over the same axes are 0, or it is symmetric too."""
    shape = _shape(program, name, sample.sizes)
    for fact in program.givens:
        if (mirrored := exchanged(fact)) is not None and mirrored[0] == name:
            direction = _mirrored(direction, shape, mirrored[1])
    values = to_dict(direction, shape)
    for fact in program.givens:
        found = sum_fact(fact, program)
        if found is not None and found.tensor == name:
            for group in groups(shape, found.axes):
                mean = sum((values[k] for k in group), Fraction(0)) / len(group)
                for k in group:
                    values[k] -= mean
    return from_dict(values, shape)


def groups(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
    """The positions, grouped by those that agree on all other axes."""
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for at in itertools.product(*map(range, shape)):
        found.setdefault(tuple(k for axis, k in enumerate(at) if axis not in axes), []).append(at)
    return list(found.values())


def to_dict(value: Any, shape: tuple[int, ...]) -> dict[tuple[int, ...], Any]:
    return {(): value} if not shape else {(k, *rest): v for k, row in enumerate(value) for rest, v in to_dict(row, shape[1:]).items()}


def from_dict(values: Mapping[tuple[int, ...], Any], shape: tuple[int, ...], at: tuple[int, ...] = ()) -> Any:
    return values[at] if len(at) == len(shape) else [from_dict(values, shape, (*at, k)) for k in range(shape[len(at)])]


def evaluate_closed(value: Num | IntValue, env: Mapping[str, int]) -> Fraction:
    """A number or an integer expression of sizes."""
    return value.value if isinstance(value, Num) else Fraction(value.value.value(env))


def holds(fact: Expr, program: Program, inputs: Mapping[str, Any]) -> bool:
    """Whether a fact is true of these inputs, at every place of its free indices."""
    ranges = _fact_ranges(fact, program)
    free = tuple(n for n in ranges if n not in bound_indices(fact))
    name = "given_fact"
    equation = Equation(name, tuple(map(Int.symbol, free)), where(fact, ONE, ZERO), ranges)
    probe = replace(program.with_equations([*program.equations, equation]), outputs=(name,), givens=())
    try:
        return all(v == 1 for v in flat(evaluate(probe, inputs)[name]))
    except EvaluationError:
        return False


def _fact_ranges(fact: Expr, program: Program) -> Ranges:
    """The range of each index of a fact: the dimension that its first plain subscript reads."""
    found: Ranges = {}
    for tensor, subs in accesses(fact):
        for sub, axis in zip(subs, program.dims[tensor], strict=True):
            if sub.name is not None and sub.name not in program.sizes and sub.name not in program.kinds:
                found.setdefault(sub.name, axis)
    unknown = (symbols(fact) - found.keys()) - set(program.sizes) - set(program.kinds)
    if unknown:
        raise CheckError(f"Nothing says how far {sorted(unknown)[0]} runs in: given {fact}.")
    return found


def with_degrees(program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs as numbers that know their degrees; what a fact was made to hold for is a quotient."""
    made = {f.tensor for g in program.givens if (f := sum_fact(g, program)) is not None}
    bottoms = {i.name: float(i.name in made) for i in program.inputs if i.kind == "real"}
    return {n: mapped(partial(Degree, top=1, bottom=bottoms[n]), v) if n in bottoms else v for n, v in inputs.items()}


def mapped(f: Callable[[Any], Any], value: Any) -> Any:
    """f of each number in nested lists."""
    return [mapped(f, v) for v in value] if isinstance(value, list) else f(value)


def zipped(f: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """f of each number in nested lists and the one at its place in others."""
    return [zipped(f, x, y) for x, y in zip(a, b, strict=True)] if isinstance(a, list) else f(a, b)


def flat(value: Any) -> list[Any]:
    """The numbers of nested lists, in order."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [v for row in value for v in flat(row)] if isinstance(value, list | tuple) else [value]
