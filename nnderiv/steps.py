"""A derivation in the moves of a person: from the places that read a tensor to the final formula, every step confirmed.

A step turns one right-hand side of dA into the next. All right-hand sides are programs in the notation, so each step is checked
by the interpreter: both sides evaluated on random sizes and rational inputs, exactly where the program is rational and to 40 of
50 digits otherwise. Two different rational functions of degree d agree at a random point with a probability of at most d/1920
(Schwartz–Zippel; numbers are drawn from at least 1920 values), so three points leave little room. A step that fails is an
error, never a display.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from .derivative import Origin, _Reverse
from .draw import draw, flat
from .errors import CheckError, EvaluationError
from .evaluate import evaluate
from .expr import Read, add
from .integer import Int
from .latex import equation_latex
from .numbers import DIGITS, combine
from .program import Equation, Program, Range, Ranges
from .simplify import Term, _rename_bound

TRIALS = 3
REASONS = {
    "chain rule": "Every place that reads {wrt} passes on the gradient of what is computed there; the condition says which "
                  "of its elements is read.",
    "solve the subscript": "One index is determined by the others wherever the element in question is read; it is eliminated, "
                           "and its range remains as a condition.",
    "split_where": "A factor that is 0 unless a condition holds is the factor and the condition.",
    "settle_divisions": "A quotient of something smaller than its divisor is 0, and the remainder is that something itself.",
    "settle_conditions": "Conditions that the ranges of the indices decide are settled.",
    "divide_exactly": "Where the stride divides, quotient times stride is the dividend.",
    "contract_delta": "Summing over an index that must equal an expression puts the expression in its place (the Kronecker delta).",
    "drop_outside": "What is read there lies outside its tensor, where it is 0: the term vanishes.",
    "drop_implied": "A read that is left is 0 outside its range, so the condition says nothing new.",
    "sum_of_nothing": "The summand does not depend on an index, so the sum counts its values.",
    "use_givens": "What is given about the inputs evaluates a sum.",
    "collect": "Equal terms are added, common factors taken out, indices get short letters.",
}
NAMES = {
    "split_where": "condition of a factor", "settle_conditions": "ranges decide", "divide_exactly": "exact division",
    "settle_divisions": "small quotients",
    "contract_delta": "contract the delta", "drop_outside": "outside its range", "drop_implied": "out of range is 0",
    "sum_of_nothing": "constant summand", "use_givens": "use what is given",
}


@dataclass(frozen=True)
class Step:
    """One move: the equation `before` becomes the equation `after`, by a rule and for a reason.

    latex: the equation that the step arrives at.
    trials: on how many random samples both sides were evaluated and found equal.
    """

    rule: str
    reason: str
    before: Equation
    after: Equation
    latex: str = ""
    trials: int = 0

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}\n    {self.after}"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"


def steps(program: Program, wrt: str) -> tuple[Step, ...]:
    """The steps that lead to the gradient with respect to one input, those of the gradients it rests on first."""
    reverse = _Reverse(program, (wrt,), record=True)
    gradients = reverse.run()
    found: list[Step] = []
    final = {e.tensor: e for e in gradients.backward.equations}
    assert reverse.history is not None
    for e in gradients.backward.equations:
        if e.tensor in reverse.history and not e.is_base:
            found += _of_one(reverse, e, reverse.history[e.tensor], final)
    complete = replace(gradients.backward, equations=(*reverse.program.equations, *reverse.helpers, *reverse.new),
                       shapes={**reverse.program.shapes, **reverse.shapes})
    return tuple(replace(s, latex=equation_latex(complete, s.after)) for s in confirm(complete, found))


def _of_one(reverse: _Reverse, e: Equation, origins: Sequence[Origin], final: dict[str, Equation]) -> list[Step]:
    """The steps of one gradient tensor."""
    name = reverse.tensor_of[e.tensor]
    dims = {i: e.ranges[i] for i in e.indices}
    seeds = reverse._seed_terms(name, [Int.symbol(i) for i in e.indices])
    line = _Line(reverse, e, dims)
    start = line.equation([Term({}, (), Read(e.tensor, e.subs))])
    terms: list[Term | None] = [o.raw for o in origins]
    found = [line.step("chain rule", REASONS["chain rule"].format(wrt=name), start, [*seeds, *terms])]
    solved: list[Term | None] = [o.solved for o in origins]
    found.append(line.step("solve the subscript", REASONS["solve the subscript"], found[-1].after, [*seeds, *solved]))
    for turn in range(max((len(o.laws) for o in origins), default=0)):
        for k, origin in enumerate(origins):
            if turn < len(origin.laws):
                law, solved[k] = origin.laws[turn]
                step = line.step(NAMES[law], REASONS[law], found[-1].after, [*seeds, *solved])
                # The same law on several terms is one move.
                merged = found[-1].rule == step.rule
                found[-1:] = [replace(step, before=found[-1].before)] if merged else [found[-1], step]
    found.append(Step("collect", REASONS["collect"], found[-1].after, e))
    return [s for s in found if s.before.body != s.after.body]


class _Line:
    """Right-hand sides of one gradient, each a sum of terms."""

    def __init__(self, reverse: _Reverse, e: Equation, dims: Ranges):
        self.reverse, self.e, self.dims = reverse, e, dims

    def equation(self, terms: Iterable[Term | None]) -> Equation:
        ranges, parts = dict(self.dims), []
        for t in terms:
            if t is not None:
                renamed = _rename_bound(t, self.dims, ranges, self.reverse)
                ranges |= renamed.indices
                parts.append(renamed.expression())
        return replace(self.e, body=add(parts), ranges=ranges)

    def step(self, rule: str, reason: str, before: Equation, terms: Iterable[Term | None]) -> Step:
        return Step(rule, reason, before, self.equation(terms))


# -- confirmation ------------------------------------------------------------------------------------------------------------
def confirm(program: Program, found: Sequence[Step], seed: int = 0, trials: int = TRIALS) -> tuple[Step, ...]:
    """The steps, each evaluated on both sides; CheckError for one whose sides differ.

    program: all equations that the steps may read. The sides become tensors of their own beside it.
    """
    extra: list[Equation] = []
    shapes: dict[str, tuple[Range, ...]] = {}
    for k, s in enumerate(found):
        for side, e in (("before", s.before), ("after", s.after)):
            name = f"step{k}_{side}"
            extra.append(replace(e, tensor=name))
            shapes[name] = tuple(e.ranges[i] for i in e.indices)
    wide = replace(program, equations=(*program.equations, *extra), shapes={**program.shapes, **shapes},
                   outputs=tuple(e.tensor for e in extra))
    rng, done, attempts = Random(seed), 0, 0
    while done < trials:
        attempts += 1
        if attempts > 30:
            raise CheckError("No random inputs were found on which the steps can be evaluated.")
        try:
            done += _trial(program, wide, found, rng, "any" if attempts < 10 else "positive")
        except EvaluationError:
            continue
    return tuple(replace(s, trials=trials) for s in found)


def _trial(program: Program, wide: Program, found: Sequence[Step], rng: Random, mode: str) -> bool:
    """Evaluate all sides on one sample; False where they are not finite there."""
    sample = draw(program, rng, mode=mode, largest=3)
    values = evaluate(wide, sample.inputs)
    numbers = {name: flat(v) for name, v in values.items()}
    if not all(_is_finite(x) for v in numbers.values() for x in v):
        return False
    for k, s in enumerate(found):
        for a, b in zip(numbers[f"step{k}_before"], numbers[f"step{k}_after"], strict=True):
            if not _agree(a, b):
                raise CheckError(f"A step does not hold ({s.rule}): {s.before} and {s.after} differ at sizes {sample.sizes}: {a}, {b}.")
    return True


def _is_finite(x: Any) -> bool:
    return bool(x == x and abs(x) != float("inf"))


def _agree(a: Any, b: Any) -> bool:
    """Equal as fractions; to 40 of 50 digits as mpf; to rounding where a float came in."""
    difference = combine("-", a, b)
    if isinstance(a, float) or isinstance(b, float):
        return bool(abs(float(difference)) <= 1e-9 * (1 + abs(float(a))))
    if hasattr(a, "_mpf_") or hasattr(b, "_mpf_"):
        return bool(abs(difference) <= combine("*", 1 + abs(a), combine("/", 1, 10 ** (DIGITS - 10))))
    return bool(difference == 0)
