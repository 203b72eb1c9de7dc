"""What is summed up to each step, or from there on, as a tensor that has the sum at each step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...expr import Read
from ...integer import Int
from ...program import Equation, Range


@dataclass(frozen=True)
class UpTo:
    """A sum over all s up to `last`, or, backwards, from there on."""

    s: str
    last: Int
    forwards: bool

    @property
    def shift(self) -> int:
        """From a step to the one before it."""
        return -1 if self.forwards else 1

    def goes_along(self, e: Equation, steps: Range) -> bool:
        """Whether an equation has the sum for each step, as it is."""
        return self.last.name is not None and e.ranges[self.last.name] == steps

    def place(self, e: Equation, name: str, letters: Collection[str]) -> tuple[Int, tuple[Int, ...]]:
        """The step, and the subscripts of the sum as a tensor that depends on these indices: of the equation itself, or of one by s."""
        (t,) = self.last.symbols() & {*e.indices}
        step = Int.symbol(t if name == e.tensor else self.s)
        return step, tuple(step if x.name == t else x for x in e.subs if x.name == t or x.name in letters)

    def before(self, name: str, step: Int, subs: tuple[Int, ...]) -> Read:
        """The sum one step before."""
        return Read(name, tuple(x + self.shift if x == step else x for x in subs))

    def whole(self, r: Equation) -> Read:
        """The sum up to `last`, of those that an equation has by s."""
        return r.element.subst({self.s: self.last})
