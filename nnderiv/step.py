"""One step of a derivation, all of them, and what they stand on; `steps` finds them, and `confirm` evaluates both sides of each."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .display import step_markdown, step_text, steps_markdown, steps_text
from .program import Equation, Program


@dataclass(frozen=True, repr=False)
class Step:
    """One move: the equation `before` becomes the equation `after`, by a rule and for a reason.

    latex: the equation that the step arrives at. of: the gradient that is on its way. said: the reason in Markdown.
    trials: on how many random samples both sides were evaluated and found equal. probability: at most with what probability a
    false step would have passed them, at their sizes; digits: to how many digits they agree, where numbers are not exact.
    """

    rule: str
    reason: str
    before: Equation
    after: Equation
    latex: str = ""
    trials: int = 0
    probability: Fraction | None = None
    digits: int | None = None
    of: str = ""
    said: str = ""

    def __str__(self) -> str:
        return step_text(self)

    __repr__ = __str__  # a terminal shows it as text

    def _repr_markdown_(self) -> str:
        return step_markdown(self)


class Steps(tuple[Step, ...]):
    """The steps of a derivation, those of the gradients it rests on first; shows itself step by step."""

    __slots__ = ()

    def __str__(self) -> str:
        return steps_text(self)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return steps_markdown(self)


@dataclass(frozen=True)
class Ground:
    """What steps stand on: the forward program, all equations that they may read, and which gradient belongs to which tensor."""

    forward: Program
    complete: Program
    tensor_of: dict[str, str]
    seeds: dict[str, str]
