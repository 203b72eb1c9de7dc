"""What the rules share by which a program is read: names of new tensors, and the equation at hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..expr import Expr, Read, bound_indices, free_symbols, has_normaliser, subst_indices, tensor
from ..fresh import Fresh
from ..integer import Int
from ..program import Equation, Program, Range


@dataclass
class Scope:
    """The program that is read, the tensors that the reading adds, and the equation that is at hand."""

    program: Program
    fresh: Fresh
    axes: Collection[tuple[str, int]]                # that are superscripts
    above: dict[int, set[str]]                       # by the identity of the program's own equation: the indices that are superscripts
    added: dict[tuple[object, ...], Equation] = field(default_factory=dict)
    equation: Equation = field(init=False)
    key: int = 0                                     # the identity of the program's own equation

    def at(self, own: Equation, read: Equation) -> None:
        """Go on to this equation, and to what is read in its place."""
        self.equation, self.key = read, id(own)

    def define(self, wishes: tuple[str, ...], body: Expr, indices: list[str]) -> Read:
        """The read of a new tensor whose element at these indices is body; the same body has the same name."""
        return tensor(self.name_of(wishes, body, indices, self.equation.ranges), *indices)

    def free(self, e: Expr) -> list[str]:
        """The indices that are free in e, in the equation's order; softmax's index is one."""
        found = free_symbols(e)
        return [i for i in self.equation.ranges if i in found]

    def name_of(self, wishes: tuple[str, ...], body: Expr, indices: list[str], ranges: Mapping[str, Range]) -> str:
        """The name of a new tensor with this definition; the same definition has the same name."""
        ranges = {i: ranges[i] for i in [*indices, *bound_indices(body)]}
        key = (by_position(body, indices), tuple(ranges.values()))
        if key not in self.added:
            name = next((w for w in wishes if w not in self.fresh.taken), None) or self.fresh(wishes[0])
            self.fresh.taken.add(name)
            self.added[key] = Equation(name, tuple(map(Int.symbol, indices)), body, ranges)
        return self.added[key].tensor

    def rows(self, e: Expr) -> list[str]:
        return [i for i in self.free(e) if i not in self.above[self.key]]


def by_position(body: Expr, indices: list[str]) -> Expr:
    """A definition without the letters of its indices, but for a softmax, which runs along a letter."""
    if has_normaliser(body):
        return body
    return subst_indices(body, {i: Int.symbol(f"#{k}") for k, i in enumerate(indices)})
