"""Equations -> an order of computation: whole arrays where possible, a loop where a true cycle demands one.

A component of equations that depend on each other is looped over an axis along which every dependence points the same way
(h[t−1]: forwards; dh[t+1]: backwards). What remains within one step is scheduled again, which nests loops for
D[i−1,j], D[i,j−1]. Where no axis does it, the component is swept until it settles: slow, never wrong. For each sweep gives elements
their values that wait for settled ones only, whatever stands elsewhere: so all that is swept is read as what may be infinite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from ..bounds import never_negative, outside, smaller_or_greater
from ..conditions import contradict, facts
from ..expr import ZERO, Expr, is_where, rebound, subst_indices
from ..graph import components
from ..integer import Int
from ..program import Equation, Program, Range
from ..ranges import accesses_under
from ..within import positive_names


@dataclass(frozen=True)
class Compute:
    """One equation, all its remaining indices at once; only where lo ≤ variable < hi if there is a guard."""

    equation: Equation
    guards: tuple[tuple[str, Range], ...] = ()


@dataclass(frozen=True)
class Loop:
    """for variable in range, forwards or backwards: the steps of the body."""

    variable: str
    range: Range
    forwards: bool
    body: tuple[Node, ...]


@dataclass(frozen=True)
class Sweep:
    """The equations, whole arrays, again and again until nothing changes."""

    equations: tuple[Equation, ...]


Node = Compute | Loop | Sweep


@dataclass
class _Member:
    """An equation of a component, on its way through nested loops, and what it was in the program."""

    equation: Equation
    origin: Equation
    guards: tuple[tuple[str, Range], ...] = ()


def schedule(program: Program, equations: Sequence[Equation]) -> list[Node]:
    """Nodes in an order in which everything is computed before it is read."""
    return _Scheduler(program).run([_Member(e, e) for e in equations])


def depth(nodes: Sequence[Node]) -> float:
    """How many loops stand in one another; where no loop follows a recurrence, that is worse than any."""
    return max((inf if isinstance(n, Sweep) else 1 + depth(n.body) for n in nodes if not isinstance(n, Compute)), default=0)


@dataclass(frozen=True)
class _Edge:
    """The member reads tensor[subs] where all the conditions hold."""

    member: int
    tensor: str
    subs: tuple[Int, ...]
    conditions: tuple[Expr, ...]


class _Scheduler:
    def __init__(self, program: Program):
        self.program = program
        self.positive = positive_names(program)

    def run(self, members: list[_Member]) -> list[Node]:
        edges = [edge for k, m in enumerate(members) for edge in _edges(self.program, k, m.equation)]
        return self.order(members, edges, whole=True)

    def order(self, members: list[_Member], edges: list[_Edge], whole: bool = False) -> list[Node]:
        """Nodes for the members; what overwrites comes after what it overwrites."""
        by_tensor: dict[str, list[int]] = {}
        for k, m in enumerate(members):
            by_tensor.setdefault(m.equation.tensor, []).append(k)
        names = {f"{k:06d}": k for k in range(len(members))}
        successors: dict[str, set[str]] = {n: set() for n in names}
        for edge in edges:
            for k in by_tensor.get(edge.tensor, ()):
                if not self.never_meets(members[edge.member].equation, edge, members[k].equation):
                    successors[f"{edge.member:06d}"].add(f"{k:06d}")
        for first, second in self.overwrites(members, by_tensor):
            successors[f"{second:06d}"].add(f"{first:06d}")
            # In a recurrence the next step needs the base case, so both belong into the loop.
            if whole and not members[first].equation.is_base and members[first].equation.tensor in self.program.components:
                successors[f"{first:06d}"].add(f"{second:06d}")
        nodes: list[Node] = []
        for component in components(successors):
            ks = sorted(names[n] for n in component)
            if len(ks) == 1 and component[0] not in successors[component[0]]:
                nodes.append(Compute(members[ks[0]].equation, members[ks[0]].guards))
            else:
                nodes += self.cycle([members[k] for k in ks], [
                    replace(e, member=ks.index(e.member)) for e in edges
                    if e.member in ks and any(members[k].equation.tensor == e.tensor for k in ks)])
        return nodes

    def never_meets(self, reader: Equation, edge: _Edge, writer: Equation) -> bool:
        """Whether what is read is never among what the writer defines: h[t], t ≥ 0, never meets the base case h[−1]. A reader of which
        sizes say that it has no places names the array nevertheless."""
        if any(never_negative(-r.size, {}, ()) for r in reader.ranges.values()):
            return False
        for axis, sub in enumerate(edge.subs):
            r = writer.along(axis)
            if reader.ranges.get(sub.name or "") != r and outside(sub, r, reader.ranges, self.positive):
                return True
        return False

    def overwrites(self, members: list[_Member], by_tensor: Mapping[str, list[int]]) -> Iterator[tuple[int, int]]:
        """Pairs of equations of one tensor that meet; the second one rules where they do."""
        for ks in by_tensor.values():
            order = {id(e): n for n, e in enumerate(self.program.definitions[members[ks[0]].origin.tensor])}
            for a in ks:
                for b in ks:
                    one, other = members[a].equation, members[b].equation
                    place = _Edge(a, one.tensor, one.subs, ())
                    if a != b and _rules(members[b].origin, members[a].origin, order) and not self.never_meets(one, place, other):
                        yield a, b

    def cycle(self, members: list[_Member], edges: list[_Edge]) -> list[Node]:
        """A loop over the first axis that carries the cycle; one that carries all of it, if there is such an axis."""
        first = max(members, key=lambda m: len(m.equation.indices))  # a base case stands at a place of an axis
        axes = [axis for axis, sub in enumerate(first.equation.subs) if sub.name in first.equation.ranges]
        plans: list[_Plan] = []
        for in_place in (False, True):
            found = [self.plan(members, edges, first.equation.tensor, axis, in_place) for axis in axes] if not plans else []
            plans += [plan for plan in found if plan is not None]
        if not plans:
            return [Sweep(tuple(m.equation for m in members))]
        plans.sort(key=lambda p: self._still_cyclic(members, p.inner))
        return self.loop(members, plans[0])

    def _still_cyclic(self, members: list[_Member], inner: list[_Edge]) -> bool:
        edges: dict[str, set[str]] = {m.equation.tensor: set() for m in members}
        for e in inner:
            edges[members[e.member].equation.tensor].add(e.tensor)
        return any(len(c) > 1 or c[0] in edges[c[0]] for c in components(edges))

    # -- choosing an axis --------------------------------------------------------------------------------------------
    def plan(self, members: list[_Member], edges: list[_Edge], tensor: str, axis: int, in_place: bool = False) -> _Plan | None:
        """Follow the axis through the component, by the reads that say which it is; None unless all dependences along it point the same
        way. It is where its index stands or, `in_place`, as j in u[i,j] = Σ_k where(k < j, L[j,k], 0), at the same place elsewhere."""
        axes = {tensor: axis}
        for _ in members:
            for e in edges:
                own = axes.get(members[e.member].equation.tensor)
                if own is not None and e.tensor not in axes:
                    found = own if in_place and own < len(e.subs) else self.matching_axis(members[e.member].equation, own, e)
                    if found is not None:
                        axes[e.tensor] = found
                elif own is None and e.tensor in axes:
                    back = self.own_axis(members[e.member].equation, e, axes[e.tensor])
                    if back is not None:
                        axes[members[e.member].equation.tensor] = back
        if any(m.equation.tensor not in axes for m in members):
            return None
        signs = [self.sign(members[e.member].equation, axes, e) for e in edges]
        for forwards in (True, False):
            carried = -1 if forwards else 1
            if all(s in (0, carried) for s in signs) and carried in signs:
                return _Plan(axes, forwards, [e for e, s in zip(edges, signs, strict=True) if s == 0])
        return None

    def matching_axis(self, e: Equation, own: int, edge: _Edge) -> int | None:
        """The axis of the tensor that is read whose subscript follows the equation's own axis, or is compared with it, as s is with t where
        s < t; the same position if none does."""
        name = e.subs[own].name
        involved = [k for k, s in enumerate(edge.subs) if name in s.symbols()] if name in e.ranges else []
        if name in e.ranges and not involved:
            compared = {i for c in edge.conditions for f in facts(c) if name in f.symbols() for i in f.symbols()}
            involved = [k for k, s in enumerate(edge.subs) if s.symbols() & compared]
        if len(involved) == 1:
            return involved[0]
        return own if own < len(edge.subs) and not involved else None

    def own_axis(self, e: Equation, edge: _Edge, theirs: int) -> int | None:
        """The equation's axis that stands in the subscript along which the tensor that it reads is looped."""
        names = edge.subs[theirs].symbols()
        found = [k for k, s in enumerate(e.subs) if s.name in names and s.name in e.ranges]
        return found[0] if len(found) == 1 else theirs if theirs < len(e.subs) else None

    def sign(self, e: Equation, axes: Mapping[str, int], edge: _Edge) -> int | None:
        """−1 if what is read always lies before the equation's own place on the axis, 1 after, 0 at it, None if that varies."""
        distance = edge.subs[axes[edge.tensor]] - e.subs[axes[e.tensor]]
        if distance == 0:
            return 0
        known = [f for c in edge.conditions for f in facts(c)]

        def is_certain(value: Int) -> bool:
            return never_negative(value, e.ranges, self.positive, known)

        if is_certain(-distance - 1):
            return -1
        if is_certain(distance - 1):
            return 1
        return 0 if is_certain(distance) and is_certain(-distance) else None

    # -- building the loop -------------------------------------------------------------------------------------------
    def loop(self, members: list[_Member], plan: _Plan) -> list[Node]:
        variable = self._variable(members, plan)
        span = self._span(members, plan)
        inside: list[_Member] = []
        for m in members:
            inside.append(self.enter(m, plan.axes[m.equation.tensor], variable, span))
        # Within one step, only the dependences at the same place count, and their members' indices are renamed alike.
        edges = [_renamed(e, members[e.member].equation, plan.axes, variable) for e in plan.inner]
        body = self.order(inside, edges)
        return [Loop(variable, span, plan.forwards, tuple(body))]

    def _variable(self, members: list[_Member], plan: _Plan) -> str:
        for m in sorted(members, key=lambda m: -len(m.equation.indices)):  # a letter that no other index of an equation has
            name = m.equation.subs[plan.axes[m.equation.tensor]].name
            if name is not None and name in m.equation.ranges:
                return name
        raise AssertionError("a component has a general equation")

    def _span(self, members: list[_Member], plan: _Plan) -> Range:
        """The hull of the members' ranges along the axis."""
        span: Range | None = None
        for m in members:
            r = m.equation.along(plan.axes[m.equation.tensor])
            span = r if span is None else self._joined(span, r)
        assert span is not None
        return span

    def _joined(self, a: Range, b: Range) -> Range:
        return Range(smaller_or_greater("min", a.lo, b.lo, self.positive), smaller_or_greater("max", a.hi, b.hi, self.positive))

    def enter(self, m: _Member, axis: int, variable: str, span: Range) -> _Member:
        """The member inside the loop: its index along the axis is the loop variable now."""
        e = inner = m.equation
        name, r = e.subs[axis].name, e.along(axis)
        if name in e.ranges and name is not None:
            values = _letters(e, name, variable)
            taken = {i: str(v.name) for i, v in values.items() if i != name}
            body = subst_indices(rebound(e.body, taken), {i: v for i, v in values.items() if i in e.indices})
            ranges = {taken.get(i, i): s for i, s in e.ranges.items() if i != name}
            inner = replace(e, subs=tuple(s.subst(values) for s in e.subs), body=body, ranges=ranges)
        return _Member(inner, m.origin, m.guards if r == span else (*m.guards, (variable, r)))


@dataclass
class _Plan:
    axes: dict[str, int]
    forwards: bool
    inner: list[_Edge]


def _rules(one: Equation, other: Equation, order: Mapping[int, int]) -> bool:
    """Whether one of two equations rules where both hold: it is more literal, or as literal and written earlier."""
    if len(one.indices) != len(other.indices):
        return len(one.indices) < len(other.indices)
    return (one.position or 0) < (other.position or 0) or order[id(one)] < order[id(other)]


def _renamed(edge: _Edge, e: Equation, axes: Mapping[str, int], variable: str) -> _Edge:
    name = e.subs[axes[e.tensor]].name
    if name is None or name not in e.ranges:
        return edge
    values = _letters(e, name, variable)
    return replace(edge, subs=tuple(s.subst(values) for s in edge.subs),
                   conditions=tuple(subst_indices(c, values) for c in edge.conditions))


def _letters(e: Equation, name: str, variable: str) -> dict[str, Int]:
    """What is put in where an index becomes the loop variable: another letter for an index that had this one."""
    taken = {i: Int.symbol(i + "_") for i in e.ranges if i == variable and i != name}
    return {name: Int.symbol(variable), **taken}


def _edges(program: Program, k: int, e: Equation) -> Iterator[_Edge]:
    """What an equation reads, and where. What is 0 by its definition, A[i,j] = where(j < i, …, 0), is so before it is computed, too."""
    for tensor, subs, conditions in accesses_under(e.body):
        d = program.whole(tensor) if tensor in program.components else None
        if d is not None and is_where(d.body, ZERO):
            conditions = (*conditions, subst_indices(d.body.args[0], d.places(subs)))
        if not contradict(conditions):
            yield _Edge(k, tensor, subs, conditions)
