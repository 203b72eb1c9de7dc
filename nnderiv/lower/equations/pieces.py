"""Program -> program in which what a recurrence leaves at its end is a tensor of its own.

The gradient of an initial state is dh0[n,k] = dh[-1,n,k], and dh[-1] has an equation of its own that no step reads. As a tensor
dh_first[n,k] it can be written into dh0, and dh need not be kept for all t.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from ...bounds import OneLess, never_negative
from ...conditions import facts
from ...expr import Expr, Read, Reduce, bound_indices, ints, map_children, reads, walk
from ...fresh import Fresh
from ...integer import Int
from ...program import Equation, Program
from ...ranges import accesses, accesses_under
from ...within import covers, positive_names


def split_pieces(program: Program, known: Program) -> Program:
    """See the module's docstring; outputs stay whole."""
    fresh = Fresh(program.names | known.names)
    for name in list(program.definitions):
        if name not in program.outputs and name in program.components:
            while (piece := next(_pieces(program, name), None)) is not None:
                program = _renamed(program, *piece, fresh(f"{name}_end"))
    return inline_copies(program, known.definitions)


def _pieces(program: Program, name: str) -> Iterator[tuple[Equation, int]]:
    """The equations of a tensor that stand apart, each with the axis on which its place is."""
    for e in program.definitions.get(name, ()):
        axis = _literal_axis(e)
        if axis is not None and _is_apart(program, e, axis):
            yield e, axis


def _literal_axis(e: Equation) -> int | None:
    """The only axis at which the equation stands at a fixed place."""
    fixed = [k for k, s in enumerate(e.subs) if s.name is None or s.name not in e.ranges]
    return fixed[0] if len(fixed) == 1 else None


def _is_apart(program: Program, e: Equation, axis: int) -> bool:
    """Whether no other equation defines this place, and every read is either at just this place or never there."""
    place, positive = e.subs[axis], positive_names(program)
    if any(el.tensor == e.tensor for x in program.equations for v in ints(x.body) for el in v.elements()):
        return False
    others = [other for other in program.definitions[e.tensor] if other is not e]
    if any(not _never(other.subs[axis] - place, other, (), positive) for other in others) or not _is_beside(program, others, axis, place):
        return False
    return all(subs[axis] == place or _never(*_wherever(subs[axis] - place, known, x, program), positive)
               for x in program.equations for subs, known in _places(x, e.tensor))


def _wherever(difference: Int, known: list[Int], x: Equation, program: Program) -> tuple[Int, Equation, list[Int]]:
    """The same by sizes that are at least 1, if no index moves the place: it is read where some are 0 too, and then h[T-1] is h[-1].

    Those along which the equation runs are not 0 where it says anything.
    """
    if difference.symbols() & x.ranges.keys():
        return difference, x, known
    less = OneLess({*program.sizes} - {str(x.ranges[i].hi.name) for i in x.indices})
    return difference.subst(less), x, [fact.subst(less) for fact in known]


def _places(x: Equation, name: str) -> Iterator[tuple[tuple[Int, ...], list[Int]]]:
    """Where an equation reads a tensor, each with what is known there: in a reduction nothing is, for it leaves out what lies outside, be
    it chosen or not."""
    reduced = {place for n in walk(x.body) if isinstance(n, Reduce) for place in accesses(n.body)}
    for tensor, subs, conditions in accesses_under(x.body):
        if tensor == name:
            yield subs, [] if (tensor, subs) in reduced else [f for c in conditions for f in facts(c)]


def _is_beside(program: Program, others: list[Equation], axis: int, place: Int) -> bool:
    """Whether a place is the next to what the others define: without h[T], beside h[0..T−2], h[T−1] would be no place of h, and a sum
    that reads it would leave it out."""
    rest = replace(program, equations=tuple(others)).hulls[others[0].tensor][axis] if others else None
    return rest is None or place in (rest.lo - 1, rest.hi)


def _never(difference: Int, e: Equation, known: Iterable[Int], positive: frozenset[str]) -> bool:
    return any(never_negative(d - 1, e.ranges, positive, known) for d in (difference, -difference))


def _renamed(program: Program, e: Equation, axis: int, name: str) -> Program:
    place = e.subs[axis]

    def visit(node: Expr) -> Expr:
        if isinstance(node, Read) and node.tensor == e.tensor and node.subs[axis] == place:
            return Read(name, node.subs[:axis] + node.subs[axis + 1 :])
        return map_children(visit, node)

    equations = []
    for x in program.equations:
        body = visit(x.body)
        if x is e:
            x = replace(x, tensor=name, subs=x.subs[:axis] + x.subs[axis + 1 :])
        equations.append(x.with_body(body))
    return program.with_equations(equations)


def inline_copies(program: Program, kept: Collection[str] = ()) -> Program:
    """Y[i] = X[i] where nobody else reads X: Y is computed as X is; not if X is a number that is kept, being computed already."""
    for e in program.equations:
        source = _copied(program, e)
        if source is not None and not (source.tensor in kept and not source.subs):
            body = source.at(e.body.subs)  # type: ignore[attr-defined]
            ranges = {**e.ranges, **{i: source.ranges[i] for i in bound_indices(body)}}
            computed = replace(e, body=body, ranges=ranges)  # of e's tensor, other blocks may stand under the same subscripts
            equations = tuple(computed if x is e else x for x in program.equations if x is not source)
            shapes = {n: s for n, s in program.shapes.items() if n != source.tensor}
            return inline_copies(replace(program, equations=equations, shapes=shapes), kept)
    return program


def _copied(program: Program, e: Equation) -> Equation | None:
    """The equation of the tensor that e copies, if e is all that reads it."""
    if not isinstance(e.body, Read) or e.body.tensor not in program.definitions or e.body.tensor in program.outputs:
        return None
    name = e.body.tensor
    source = program.whole(name)
    if source is None or name in program.components or len(list(_readers(program, name))) != 1:
        return None
    same = covers(e.body.subs, [source.ranges[i] for i in source.indices], e.ranges)
    free = not set(bound_indices(source.body)) & e.ranges.keys()
    return source if same and free else None


def _readers(program: Program, name: str) -> Iterator[Equation]:
    for x in program.equations:
        for r in reads(x.body):
            if r.tensor == name:
                yield x
        if any(el.tensor == name for v in ints(x.body) for el in v.elements()):
            yield x
