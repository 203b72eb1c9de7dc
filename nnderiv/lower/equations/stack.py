"""What a stack is: tensors of one shape side by side along a new axis, and equations that are alike but for which of them they read."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

from ...expr import Expr, Read, Reduce, bound_indices, map_children, map_ints, reads
from ...integer import Int
from ...program import Equation, Program, Range


@dataclass(frozen=True)
class Stack:
    """name[…, q, …] is member q; the new axis stands at `axis`."""

    name: str
    members: tuple[str, ...]
    axis: int

    def at(self, q: int | str, subs: Sequence[Int]) -> tuple[Int, ...]:
        """The subscripts of member q at these subscripts of its own."""
        return (*subs[: self.axis], Int.symbol(q) if isinstance(q, str) else Int.of(q), *subs[self.axis :])

    def read(self, q: int | str, subs: Sequence[Int]) -> Read:
        return Read(self.name, self.at(q, subs))

    def shape(self, dims: Sequence[Range]) -> tuple[Range, ...]:
        return (*dims[: self.axis], Range.upto(len(self.members)), *dims[self.axis :])

    @property
    def places(self) -> dict[str, tuple[Stack, int]]:
        """Where each member is."""
        return {name: (self, q) for q, name in enumerate(self.members)}


Places = dict[str, tuple[Stack, int]]


def redirected(e: Expr, places: dict[str, tuple[Stack, int]]) -> Expr:
    """The expression with what it reads of members read from their stacks."""
    if isinstance(e, Read) and e.tensor in places:
        stack, q = places[e.tensor]
        return stack.read(q, e.subs)
    return map_children(lambda child: redirected(child, places), e)


def joint_name(names: Sequence[str]) -> str:
    """i_in, f_in, o_in: ifo_in; dWi, dWf: dWif. What differs stands side by side."""
    shortest = min(map(len, names))
    head = next((k for k in range(shortest) if len({n[k] for n in names}) > 1), shortest)
    tail = next((k for k in range(shortest - head) if len({n[-1 - k] for n in names}) > 1), shortest - head)
    first = names[0]
    joined = first[:head] + "".join(n[head : len(n) - tail] for n in names) + first[len(first) - tail :]
    usable = len(joined) <= 16 and joined.isidentifier() and not keyword.iskeyword(joined)
    return joined if usable else f"{first}_all"


def skeleton(e: Equation, holes: Callable[[Read], bool]) -> tuple[Hashable, list[Read]]:
    """(what is the same for all equations that are alike, the reads in which they differ): letters do not count, and the reads that are
    holes count by the letters that run along them alone."""
    letters = dict.fromkeys([*e.indices, *bound_indices(e.body)])
    table = {i: f"§{k}" for k, i in enumerate(letters)}
    values = {i: Int.symbol(x) for i, x in table.items()}
    found: list[Read] = []

    def visit(node: Expr) -> Expr:
        if isinstance(node, Read) and holes(node):
            found.append(node)
            return Read("§", tuple(s.subst(values) for s in node.subs if s.name in table))
        if isinstance(node, Reduce):
            return Reduce(node.op, tuple(table[i] for i in node.indices), visit(node.body))
        if isinstance(node, Read):
            return map_ints(lambda v: v.subst(values), node)
        mapped = map_children(visit, node)
        return map_ints(lambda v: v.subst(values), mapped) if mapped is node else mapped

    body = visit(e.body)
    ranges = tuple((table[i], e.ranges[i]) for i in letters)
    return (tuple(s.subst(values) for s in e.subs), ranges, body), found


def filled(e: Equation, holes: dict[Read, Read], stack: Stack, q: str) -> Equation:
    """The equation of a whole stack, from that of one member: the holes filled with reads along q, its own place in the stack."""

    def visit(node: Expr) -> Expr:
        if isinstance(node, Read):
            return holes.get(node, node)
        return map_children(visit, node)

    subs, ranges = stack.at(q, e.subs), {**e.ranges, q: Range.upto(len(stack.members))}
    own = [str(s.name) for s in subs]  # their order is that of the axes
    return replace(e, tensor=stack.name, subs=subs, body=visit(e.body), ranges={i: ranges[i] for i in dict.fromkeys([*own, *ranges])})


def behind_loops(e: Equation, program: Program) -> int:
    """The axis behind those along which the recurrence of an equation steps: a row of a stack is then one run of memory at each step."""
    cycle = program.components[e.tensor]
    stepping = {i for f in program.equations if f.tensor in cycle for r in reads(f.body) if r.tensor in cycle
                for s in r.subs if s.name is None for i in s.symbols()}
    return max((k + 1 for k, s in enumerate(e.subs) if s.name in stepping), default=0)


def with_stacks(program: Program, new: list[Equation], places: Places, gone: Iterable[str] = ()) -> Program:
    """The program with new equations for the members of stacks, which are read from there."""
    removed = {*places, *gone}
    kept = [e.with_body(redirected(e.body, places)) for e in program.equations if e.tensor not in removed]
    added = [e.with_body(redirected(e.body, places)) for e in new]
    return replace(program, equations=(*kept, *added))
