"""Equations over one common first index, part by part of it, each part on a thread: attention over its batch, a network over its rows.

    def parts(first, last):
        n = slice(first, last)
        S = Q[n] @ K[n].mT                        local to the part
        Y[n] = ...                                its part of what is needed later

An equation joins if its first index is free there, and stands first, alone, in whatever it reads of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..expr import IntValue, Read, Reduce, walk
from ..program import Equation, Range
from . import cost
from .schedule import Compute, Node
from .storage import equations_of


@dataclass(frozen=True)
class Part:
    """The part at hand: the variable that holds its slice, how many there are in it, the tensors that exist only here."""

    slice: str
    range: Range
    whole: Range
    local: frozenset[str]

    def inside(self, e: Equation) -> Equation:
        return replace(e, ranges={**e.ranges, first(e): self.range})

    def views(self, e: Equation) -> list[Read]:
        """Reads of what is whole along the first index of the equation."""
        found = {n for n in walk(e.body) if isinstance(n, Read) and n.tensor not in self.local and n.subs and n.subs[0].name == first(e)}
        return sorted(found, key=str)


def first(e: Equation) -> str:
    return str(e.subs[0].name)


def together(nodes: Sequence[Node], k: int, joins: Collection[int]) -> list[int]:
    """Node k and those that follow it directly and can be done part by part with it; `joins` are those that can at all."""
    members: list[int] = []
    tensors: set[str] = set()
    for j in range(k, len(nodes)):
        if j not in joins:
            break
        (e,) = equations_of(nodes[j])
        head = equations_of(nodes[k])[0]
        if e.ranges[first(e)] != head.ranges[first(head)] or any(r.tensor in tensors and not _leads(e, r) for r in reads_of(e)):
            break
        members.append(j)
        tensors.add(e.tensor)
    sizes = [[r.size for r in equations_of(nodes[j])[0].ranges.values()] for j in members]
    return members if members and max(cost.entries(s) for s in sizes) >= cost.PART else []


def reads_of(e: Equation) -> list[Read]:
    return [n for n in walk(e.body) if isinstance(n, Read)]


def _leads(e: Equation, r: Read) -> bool:
    return bool(r.subs) and r.subs[0].name == first(e)


def can_join(node: Node, shapes: dict[str, tuple[Range, ...]]) -> bool:
    """Whether an equation can be computed for a part of its first index; `shapes` are the axes of what it may read."""
    if not isinstance(node, Compute) or node.guards:
        return False
    e = node.equation
    if not e.subs or e.subs[0].name not in e.ranges or e.ranges[first(e)].lo != 0 or first(e) in _values(e):
        return False
    if any(isinstance(n, Reduce) and first(e) in n.indices for n in walk(e.body)):
        return False
    for r in reads_of(e):
        involved = [k for k, s in enumerate(r.subs) if first(e) in s.symbols()]
        plain = all(s.name in e.ranges and e.ranges[str(s.name)] == a for s, a in zip(r.subs, shapes.get(r.tensor, ()), strict=False))
        if involved and (involved != [0] or not _leads(e, r) or not plain or len({*r.subs}) < len(r.subs)):
            return False
    return True


def _values(e: Equation) -> set[str]:
    """The names in integers that are values, and not subscripts."""
    return {x for n in walk(e.body) if isinstance(n, IntValue) for x in n.value.symbols()}
