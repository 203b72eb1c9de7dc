"""Which ranges of indices are found by what an equation reads, and which have to be written: … for i < N.

A plain subscript says how far an index runs, X[n] where X is known. Where only the recurrence itself is read so, z[t-1,n] for z[t,n],
it is known by another equation of the recurrence that reads z at an index that is known, or else by a base case, z[-1,n] = z0[n].

It is the order in which `ranges` looks; nothing is claimed that a rule there could find otherwise before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from .bounds import Range
from .expr import NORMALISERS, Expr, Reduce, all_reads, reads, walk
from .graph import reach

if TYPE_CHECKING:
    from .program import Equation, Program

Axis = tuple[str, int]  # of a tensor


@dataclass(frozen=True)
class Waiting:
    """An axis with the index that runs over it where its tensor is defined, and where it is read plainly there."""

    axis: Axis
    equation: Equation
    name: str
    places: list[Axis]


class Found:
    """The axes of a program's tensors of which the range is found, and from what."""

    def __init__(self, program: Program):
        self.program = program
        self.by_cycle = set[Axis]()  # of those that are settled, the ones that are by the rest of a recurrence
        self.written = set[Axis]()  # and those that nothing settles: the others follow from them
        self.waiting = [Waiting((e.tensor, k), e, n, plain_places(e.body, n)) for e in program.equations if not e.is_base
                        for k, n in enumerate(e.indices) if n not in e.by_hand]

    def needs_clause(self, e: Equation, name: str) -> bool:
        """Whether the range of an index is set by hand, or found neither by plain subscripts nor from the rest of a recurrence."""
        own, settled = self._own_axis(e, name), self.settled
        if name in e.by_hand or own in self.written and not e.is_base:
            return True
        if own in self.by_cycle or own in self.late and not e.is_base:
            return False
        r = uncut(self.program, e, name)
        binding = [n.body for n in walk(e.body) if isinstance(n, Reduce) and n.op not in NORMALISERS and name in n.indices]
        places = [plain_places(part, name) for part in binding or [e.body]]
        if not all(self._agree(found, r) for found in places):
            return True
        if all(any(p in settled for p in found) for found in places):
            return False
        late = own is None or e.is_base and self._agree([own], r)
        return not (late and _stands_alone(e, name) and all(any(p in settled or p in self.late for p in found) for found in places))

    @cached_property
    def settled(self) -> set[Axis]:
        """The axes of the inputs, and of every tensor whose range follows from them by plain subscripts and within recurrences.

        A base case says how far its tensor goes only where no general equation does.
        """
        p = self.program
        general = {e.tensor for e in p.equations if not e.is_base}
        settled = {(i.name, k) for i in p.inputs for k in range(len(i.dims))}
        settled |= {(e.tensor, k) for e in p.equations if not (e.is_base and e.tensor in general)
                    for k, s in enumerate(e.subs) if s.name in e.by_hand}
        rest, cyclic = iter(self.waiting), [w for w in self.waiting if w.axis[0] in p.components]
        new = self._followers(settled)
        while True:
            settled |= new
            cyclic = [w for w in cyclic if w.axis not in settled]
            shown = {w.axis for w in cyclic if self._is_shown_by_cycle(w, settled)}
            self.by_cycle |= shown
            if not shown:
                late = self._late(settled)
                shown = {*islice((w.axis for w in rest if w.axis not in settled and w.axis not in late), 1)}
                self.written |= shown
            if not shown:
                return settled
            new = self._followers(shown)

    def _followers(self, axes: set[Axis]) -> set[Axis]:
        """These, and what is read plainly beside them, and so on."""
        return reach(axes, self._readings_of)

    @cached_property
    def _readings_of(self) -> dict[Axis, set[Axis]]:
        found: dict[Axis, set[Axis]] = {}
        for w in self.waiting:
            for place in w.places:
                found.setdefault(place, set()).add(w.axis)
        return found

    @cached_property
    def late(self) -> set[Axis]:
        """Those that a base case settles where nothing else does, and what is read plainly beside them."""
        return self._late(self.settled)

    def _late(self, settled: set[Axis]) -> set[Axis]:
        late = {w.axis for w in self._beside_base if w.axis not in settled and self._has_base(w.axis, settled)}
        left = [w for w in self._beside_base if w.axis not in settled] if late else []
        while new := {w.axis for w in left if w.axis not in late and any(p in late for p in w.places)}:
            late |= new
        return late

    @cached_property
    def _beside_base(self) -> list[Waiting]:
        """Those of which all that could say how far an index runs says the same, if there is a base case to say it."""
        return [w for w in self.waiting if self._says_one(w)] if any(e.is_base for e in self.program.equations) else []

    # -- what shows a range ------------------------------------------------------------------------------------------
    def _is_shown_by_cycle(self, w: Waiting, settled: set[Axis]) -> bool:
        """Whether a member of its recurrence reads a tensor at an index that is known, and all of them as far."""
        cycle = self.program.components.get(w.equation.tensor, ())
        readers = [(d, i) for d, i in self._readers(w.axis) if d.tensor in cycle] if cycle else []
        known = any(i in d.by_hand or any(p in settled for p in [self._own_axis(d, i), *plain_places(d.body, i)]) for d, i in readers)
        r = uncut(self.program, w.equation, w.name)
        return known and self._agree(w.places, r) and all(uncut(self.program, d, i) == r for d, i in readers)

    def _says_one(self, w: Waiting) -> bool:
        r = uncut(self.program, w.equation, w.name)
        same = self._agree(w.places, r) and all(uncut(self.program, d, i) == r for d, i in (*self._readers(w.axis), *self._bases(w.axis)))
        return same and _stands_alone(w.equation, w.name)

    def _has_base(self, axis: Axis, settled: set[Axis]) -> bool:
        """Whether there is a base case with an index on this axis, and it is known how far each such index runs."""
        bases = self._bases(axis)
        places = [(i in b.by_hand, plain_places(b.body, i)) for b, i in bases]
        return bool(bases) and all(by_hand or not found or any(p in settled for p in found) for by_hand, found in places)

    def _bases(self, axis: Axis) -> list[tuple[Equation, str]]:
        tensor, k = axis
        return [(e, str(e.subs[k].name)) for e in self.program.definitions[tensor] if e.is_base and e.subs[k].name in e.ranges]

    def _readers(self, axis: Axis) -> list[tuple[Equation, str]]:
        """The equations that read a tensor with an index alone on this axis."""
        return self._readings.get(axis, [])

    @cached_property
    def _readings(self) -> dict[Axis, list[tuple[Equation, str]]]:
        found: dict[Axis, list[tuple[Equation, str]]] = {}
        for e in self.program.equations:
            for r in reads(e.body):
                for k, s in enumerate(r.subs):
                    if s.name in e.ranges:
                        found.setdefault((r.tensor, k), []).append((e, str(s.name)))
        return found

    def _own_axis(self, e: Equation, name: str) -> Axis | None:
        return next(((e.tensor, k) for k, s in enumerate(e.subs) if s.name == name), None)

    def _agree(self, places: list[Axis], r: Range) -> bool:
        return all(self.program.dims[tensor][k] == r for tensor, k in places)


def _stands_alone(e: Equation, name: str) -> bool:
    """Whether an index is a subscript by itself wherever it is in one: else what is read beside it might say how far it runs."""
    return all(s.name == name or name not in s.symbols() for r in all_reads(e.body) for s in r.subs)


def uncut(program: Program, e: Equation, name: str) -> Range:
    """The range as it was before base cases were cut off it: for a general equation, its tensor's dimension.

    A gap of more than one place between the two is no cut: there the equation began (or ended) by itself.
    """
    own = e.ranges[name]
    if e.is_base or name not in e.indices:
        return own
    whole = program.dims[e.tensor][e.indices.index(name)]
    return Range(whole.lo if own.lo - whole.lo == 1 else own.lo, whole.hi if whole.hi - own.hi == 1 else own.hi)


def plain_places(body: Expr, name: str) -> list[Axis]:
    """Where an expression reads the bare index."""
    return [(r.tensor, k) for r in all_reads(body) for k, s in enumerate(r.subs) if s.name == name]
