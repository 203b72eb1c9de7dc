"""How the sizes of a program are learned from the shapes of its inputs.

    x[T,2*P]                P = x.shape[1]//2
    S[N,N+M-1]              M = S.shape[1] - (N - 1), once N is known
    X[C,s*H], int s         H = X.shape[1]//s
    X[G*C], W[G*O,C]        G = X.shape[0]//max(1, C), then O = W.shape[0]//max(1, G)

A size that stands alone in a dimension is read there. Another is solved for where it stands beside what is known, times numbers, integer
parameters and sizes. That what is learned fits all dimensions is for the reader to check: a remainder is seen there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from .integer import Int
from .program import Input


@dataclass(frozen=True)
class Learned:
    """A size: (the shape of the input, at this axis, minus rest) // step."""

    size: str
    input: Input
    axis: int
    step: Int
    rest: Int

    @property
    def alone(self) -> bool:
        """Whether the size is the whole dimension."""
        return self.step == 1 and self.rest == 0

    def value(self, dimension: Int) -> Int:
        """The size, from what this dimension is; 0 where that is too short."""
        value = (dimension - self.rest) // self.step
        return value if self.rest == 0 else Int.extreme("max", Int.of(0), value)


@lru_cache(256)
def learned(inputs: tuple[Input, ...]) -> tuple[Learned, ...]:
    """The sizes that the shapes give, each after those that it is learned from. Every run of a program asks."""
    parameters = {i.name for i in inputs if i.kind == "int" and not i.dims}
    places = [(i, axis, d) for i in inputs for axis, d in enumerate(i.dims)]
    found: dict[str, Learned] = {}
    for i, axis, d in places:
        if d.name is not None and d.name not in parameters:
            found.setdefault(d.name, Learned(d.name, i, axis, Int.of(1), Int.of(0)))
    while True:
        known = found.keys() | parameters
        new = next((x for i, axis, d in places if (x := _solved(i, axis, d, known, parameters))), None)
        if new is None:
            return tuple(found.values())
        found[new.size] = new


def _solved(i: Input, axis: int, d: Int, known: Iterable[str], parameters: Iterable[str]) -> Learned | None:
    """The one size of a dimension that is not known yet."""
    name, *others = sorted(d.symbols() - {*known}) or [""]
    if not name or others or (split := d.split(name)) is None:
        return None
    step, rest = split
    if not all(c > 0 and all(isinstance(a, str) for a in m) for m, c in step.terms.items()) or not step.terms:
        return None
    if step.symbols() - {*parameters}:  # a size may be 0; a parameter must be at least 1 then
        step = Int.extreme("max", Int.of(1), step)
    return Learned(name, i, axis, step, rest)


def missing(inputs: tuple[Input, ...]) -> Mapping[str, Int]:
    """{a size that no shape gives: a dimension in which it stands}."""
    known = {x.size for x in learned(inputs)} | {i.name for i in inputs}
    return {name: d for i in inputs for d in i.dims for name in sorted(d.symbols() - known)}
