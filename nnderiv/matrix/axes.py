"""Which axes are superscripts: the axis along which a recurrence runs, and the leading axes of tensors with more than two.

Axes of which single places are read, and that nothing sums over, are superscripts too, and all axes of a windowed tensor that are
not spatial. Axes that one index reads belong together: they are all superscripts or all rows and columns. A class of superscripts
that no equation sums over or shifts, and that all tensors share, is silent: it is left out, with a note.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from ..expr import Read, reads
from ..integer import Int
from ..program import Equation, Program, Range
from .memory import remembered

Axis = tuple[str, int]


@remembered
def superscripts(program: Program) -> dict[Axis, Axis]:
    """The axes that are no rows or columns, each with the representative of its class (axes that share an index)."""
    return _superscripts(program, program.dims)


def superscripts_of(program: Program, *equations: Equation) -> dict[Axis, Axis]:
    """Those that equations side by side need: s[c] is a column there if no tensor beside it has more than two axes."""
    tensors = dict.fromkeys(t for e in equations for t in (e.tensor, *(r.tensor for r in reads(e.body))))
    return _superscripts(program, {t: program.dims[t] for t in tensors})


@remembered
def _classes(program: Program) -> tuple[dict[Axis, Axis], set[Axis], set[Axis]]:
    """The classes, those that are superscripts wherever they stand, and those along which windows run."""
    classes = _axis_classes(program)
    chosen: set[Axis] = {classes[a] for a in _recurrent_axes(program)}
    chosen |= {classes[a] for a in _stacking_axes(program)} - _summed(program, classes)
    return classes, chosen, {classes[a] for a in _window_axes(program, classes)} - chosen


def _superscripts(program: Program, tensors: Mapping[str, tuple[Range, ...]]) -> dict[Axis, Axis]:
    """What is left of the axes of these tensors if each is to be a matrix, a column or a number."""
    classes, always, spatial = _classes(program)
    chosen = set(always)
    for tensor, dims in tensors.items():
        own = [classes[tensor, k] for k in range(len(dims))]
        if spatial & set(own):
            within = [c for c in own if c in spatial and c not in chosen]
            chosen |= {c for c in own if c not in spatial} | set(within[2:])
    for tensor, dims in tensors.items():
        rest = [k for k in range(len(dims)) if classes[tensor, k] not in chosen]
        chosen |= {classes[tensor, k] for k in rest[: max(0, len(rest) - 2)]}
    return {a: c for a, c in classes.items() if c in chosen}


def places(e: Equation) -> Iterator[tuple[Axis, Int]]:
    """Every subscript of an equation with the axis at which it stands."""
    for tensor, subs in [(e.tensor, e.subs), *((r.tensor, r.subs) for r in reads(e.body))]:
        yield from (((tensor, k), s) for k, s in enumerate(subs))


def _axis_classes(program: Program) -> dict[Axis, Axis]:
    """Axes that one index reads plainly belong together; each with its class's representative."""
    parent: dict[Axis, Axis] = {(t, k): (t, k) for t, dims in program.dims.items() for k in range(len(dims))}

    def find(a: Axis) -> Axis:
        while parent[a] != a:
            a = parent[a]
        return a

    for e in program.equations:
        first: dict[str, Axis] = {}
        for axis, s in places(e):
            if s.name in e.ranges and axis in parent:
                parent[find(axis)] = find(first.setdefault(str(s.name), axis))
    return {a: find(a) for a in parent}


def _recurrent_axes(program: Program) -> list[Axis]:
    """Where a tensor of a cycle is read at a shifted place, and where a base case has a literal."""
    found: list[Axis] = []
    for e in program.equations:
        cycle = program.components.get(e.tensor, frozenset())
        shifted = [a for a, s in places(e) if a[0] in cycle and s.name not in e.ranges]
        literal = [(e.tensor, k) for k, s in enumerate(e.subs) if s.name not in e.ranges]
        found += [*shifted, *literal]
    return found


def moved_subscripts(e: Equation, axes: Container[Axis]) -> list[Int]:
    """Subscripts at rows and columns that are more than an index: several indices, a stride or an offset."""
    found = [s for r in reads(e.body) for k, s in enumerate(r.subs) if (r.tensor, k) not in axes]
    return [s for s in found if s.name not in e.ranges and s.symbols() & e.ranges.keys() and not s.elements()]


def _window_axes(program: Program, classes: dict[Axis, Axis]) -> set[Axis]:
    """Axes that are read in windows, X[i+u]; and the axes at which their indices i and u stand alone."""
    found: set[Axis] = set()
    for e in program.equations:
        inside = {name for a, s in places(e) for name in _together(e, s)}
        found |= {a for a, s in places(e) if _together(e, s) or s.name in inside}
    return found & classes.keys()


def _together(e: Equation, s: Int) -> set[str]:
    """The indices that meet in one subscript."""
    found = {*s.symbols()} & e.ranges.keys()
    return found if len(found) > 1 and not s.elements() else set()


def _stacking_axes(program: Program) -> set[Axis]:
    """Axes of which single places are read, b[0,k]: what is stacked along them are matrices of their own."""
    return {a for e in program.equations for r in reads(e.body) for a, s in zip(_axes_of(r), r.subs, strict=True)
            if s.is_constant and a in {(t, k) for t, dims in program.dims.items() for k in range(len(dims))}}


def _axes_of(r: Read) -> list[Axis]:
    return [(r.tensor, k) for k in range(len(r.subs))]


def _summed(program: Program, classes: dict[Axis, Axis]) -> set[Axis]:
    """The classes of axes that some equation sums over."""
    return {classes[a] for e in program.equations for a, s in places(e)
            if a in classes and s.symbols() & e.ranges.keys() - set(e.indices)}


def is_silent(program: Program, group: Axis, axes: dict[Axis, Axis]) -> bool:
    """Whether no equation sums over this class or shifts it, and all tensors with superscripts in an equation that has it share it."""
    for e in program.equations:
        found = list(places(e))
        subs = {s for a, s in found if axes.get(a) == group}
        if len(subs) > 1 or any(s.name not in e.indices for s in subs):
            return False
        marked = {a[0] for a, _ in found if a in axes}
        if subs and marked - {a[0] for a, _ in found if axes.get(a) == group}:
            return False
    return True
