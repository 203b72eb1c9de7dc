"""A tensor that is inputs side by side: W[0,k,l] = Wi[k,l], W[1,k,l] = Wf[k,l] is W = np.stack((Wi, Wf))."""

from __future__ import annotations

from collections.abc import Sequence

from ..expr import Read
from ..program import Equation, Program
from .arrays import Storage
from .schedule import Compute, Node


def side_by_side(program: Program, storage: dict[str, Storage], nodes: Sequence[Node], k: int) -> dict[int, Equation]:
    """Node k and those that compute the other rows of its tensor, in order, if it is such a tensor."""
    node = nodes[k]
    if not isinstance(node, Compute) or not _is_row(program, storage, node.equation) or len(program.definitions[node.equation.tensor]) < 2:
        return {}
    tensor = node.equation.tensor
    rows = {j: n.equation for j, n in enumerate(nodes) if isinstance(n, Compute) and not n.guards and n.equation.tensor == tensor}
    complete = storage[tensor].axes[0].size == len(rows) == len(program.definitions[tensor])
    if not complete or not all(_is_row(program, storage, e) for e in rows.values()):
        return {}
    return dict(sorted(rows.items(), key=lambda row: row[1].subs[0].constant))


def _is_row(program: Program, storage: dict[str, Storage], e: Equation) -> bool:
    """Whether an equation says that a row is an input, or a row of one, as it stands."""
    r, own = e.body, e.subs[1:]
    if not isinstance(r, Read) or r.tensor not in program.kinds or not e.subs or not e.subs[0].is_constant:
        return False
    first = len(r.subs) - len(own)
    if first < 0 or r.subs[first:] != own or not all(s.is_constant for s in r.subs[:first]) or any(s.name not in e.ranges for s in own):
        return False
    return list(storage[r.tensor].axes[first:]) == [e.ranges[str(s.name)] for s in own] == list(storage[e.tensor].axes[1:])
