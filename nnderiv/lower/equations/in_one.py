"""Programs -> programs in which a function of several gates of one tensor is computed for all of them at once.

    i[t,n,k] = σ(z[t,n,0,k])                    s[t,q,n,k] = σ(z[t,n,q,k])
    f[t,n,k] = σ(z[t,n,1,k])          is        read at s[t,0], s[t,1] and s[t,3]
    o[t,n,k] = σ(z[t,n,3,k])

A step of a recurrence calls NumPy once then, and not once for each gate. A place between them is computed too, though nobody reads it: that
is done for functions that are finite everywhere, if it is one of four or fewer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from ...expr import Expr, Op, Read, Reduce, map_children, reads, walk
from ...fresh import Fresh
from ...integer import Int
from ...program import Equation, Program, Range
from ...within import fills
from .known import with_known
from .stack import Places, Stack, behind_loops, joint_name, skeleton, with_stacks

FINITE = {"sigmoid", "tanh", "+", "neg", "*"}  # of what is finite: no warning, whatever stands between


@dataclass(frozen=True)
class _Gate:
    """An equation that is a function of what a tensor has at one place of an axis."""

    equation: Equation
    place: int

    def at(self, place: Int) -> Expr:
        """The body, of what stands at another place."""

        def visit(x: Expr) -> Expr:
            if isinstance(x, Read):
                return Read(x.tensor, tuple(place if s.is_constant else s for s in x.subs))
            return map_children(visit, x)

        return visit(self.equation.body)

    @property
    def name(self) -> str:
        """What a function of one tensor is called."""
        body = self.equation.body
        return f"{body.args[0].tensor}_{body.op}" if isinstance(body, Op) and isinstance(body.args[0], Read) and len(body.args) == 1 else ""


def in_one(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    families = [run for gates in _alike(forward) for run in _runs(gates)]
    if not families:
        return forward, backward
    own = [e for e in backward.equations if e.tensor not in forward.definitions]
    fresh, places = Fresh(forward.names | backward.names), Places()
    made, shapes = list[Equation](), dict(forward.shapes)
    for gates in families:
        e, first = gates[0].equation, gates[0].place
        count, q = gates[-1].place - first + 1, fresh("q")
        names = tuple(g.equation.tensor for g in gates)
        stack = Stack(fresh(gates[0].name or joint_name(names)), names, behind_loops(e, forward))
        places |= {g.equation.tensor: (stack, g.place - first) for g in gates}
        made.append(_whole(gates[0], stack, q, count))
        dims = forward.dims[e.tensor]
        shapes[stack.name] = (*dims[:stack.axis], Range.upto(count), *dims[stack.axis:])
    forward = with_stacks(replace(forward, shapes=shapes), made, places)
    backward = with_stacks(replace(backward, equations=tuple(own)), [], places)
    return forward, with_known(backward, list(backward.equations), forward)


def _whole(gate: _Gate, stack: Stack, q: str, count: int) -> Equation:
    """The equation of all gates, from that of the first."""
    e, subs = gate.equation, stack.at(q, gate.equation.subs)
    ranges = {**e.ranges, q: Range.upto(count)}
    body = gate.at(Int.symbol(q) + gate.place)
    return replace(e, tensor=stack.name, subs=subs, body=body, ranges={str(s.name): ranges[str(s.name)] for s in subs})


def _alike(program: Program) -> Iterator[list[_Gate]]:
    """The gates of a recurrence of which each function is taken, in the order of their places."""
    groups: dict[Hashable, dict[int, _Gate]] = {}
    for e in program.equations:
        gate = _gate(program, e) if e.tensor in program.components and e.tensor not in program.outputs else None
        if gate is not None:
            alike = skeleton(e.with_body(gate.at(Int.of(0))), lambda r: False)[0]
            groups.setdefault(alike, {}).setdefault(gate.place, gate)
    for gates in groups.values():
        yield [gates[place] for place in sorted(gates)]


def _gate(program: Program, e: Equation) -> _Gate | None:
    """What an equation is, if it is a function of one gate alone, entry by entry."""
    found = set(reads(e.body))
    places = {s for r in found for s in r.subs if s.is_constant}
    if len(found) != 1 or len(places) != 1 or isinstance(e.body, Read) or not fills(program, e):
        return None
    if any(isinstance(x, Reduce) for x in walk(e.body)):
        return None
    (place,) = places
    return _Gate(e, place.constant) if _is_of_gate(program, e, *found) else None


def _is_of_gate(program: Program, e: Equation, r: Read) -> bool:
    """Whether one axis is fixed, all others are those of the equation, and all gates are there as soon as one is: one equation fills the
    tensor, if it takes part in the recurrence."""
    whole, dims = program.whole(r.tensor), program.dims[r.tensor]
    own = [(s.name, d) for s, d in zip(r.subs, dims, strict=True) if not s.is_constant]
    plain = len(own) == len(r.subs) - 1 == len(e.subs) == len({name for name, _ in own}) and all(
        name in e.ranges and e.ranges[str(name)] == d for name, d in own)
    return plain and (r.tensor not in program.components or whole is not None and fills(program, whole))


def _runs(gates: list[_Gate]) -> Iterator[list[_Gate]]:
    """Those at neighbouring places; all, if one place of four or fewer is missing and nothing can happen there."""
    places = [g.place for g in gates]
    whole = places[-1] - places[0] + 1
    safe = all(x.op in FINITE for x in walk(gates[0].equation.body) if isinstance(x, Op))
    if len(gates) > 1 and (whole == len(gates) or safe and whole == len(gates) + 1 <= 4):
        yield gates
        return
    run = gates[:1]
    for g in gates[1:]:
        if g.place != run[-1].place + 1:
            if len(run) > 1:
                yield run
            run = []
        run.append(g)
    if len(run) > 1:
        yield run
