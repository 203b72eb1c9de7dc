"""Where each tensor is kept: its hull, margins of zeros for what a loop reads beyond it, and no axis at all within one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..integer import Int
from ..program import Equation, Program, Range, Ranges
from ..ranges import accesses
from .arrays import Storage
from .schedule import Compute, Loop, Node


def place(program: Program, nodes: Sequence[Node], kept: set[str]) -> dict[str, Storage]:
    """Storage of every tensor that the nodes compute; `kept` are those that somebody else reads later."""
    hulls = {name: list(axes) for name, axes in program.hulls.items()}
    computed = {e.tensor for node in nodes for e in equations_of(node)}
    for e, loops in _in_loops(nodes, {}):
        _widen(hulls, e, loops, computed)
    margins = {name: program.hulls[name] for name, axes in hulls.items() if (*axes,) != program.hulls[name]}
    found = {name: Storage(name, tuple(axes), inner=margins.get(name, ())) for name, axes in hulls.items()}
    for node in nodes:
        if isinstance(node, Loop):
            for name, dropped in _within_a_step(node, nodes, kept).items():
                axes = [(r, hulls[name][k]) for k, r in enumerate(program.hulls[name]) if k not in dropped]
                if all(r == wide for r, wide in axes):  # one with margins has them for all steps
                    found[name] = Storage(name, tuple(r for r, _ in axes), dropped)
    return found


def _in_loops(nodes: Sequence[Node], loops: Ranges) -> Iterator[tuple[Equation, Ranges]]:
    """Every equation inside a loop, with the loops around it, as far as its guards let it."""
    for node in nodes:
        if isinstance(node, Loop):
            yield from _in_loops(node.body, {**loops, node.variable: node.range})
        elif isinstance(node, Compute) and loops:
            yield node.equation, {**loops, **dict(node.guards)}


def _widen(hulls: dict[str, list[Range]], e: Equation, loops: Ranges, computed: set[str]) -> None:
    """Margins, so that h[t−1] at the first t needs no question: zeros stand there."""
    ranges = {**loops, **e.ranges}
    for tensor, subs in accesses(e.body):
        if tensor not in computed:
            continue
        for k, sub in enumerate(subs):
            for name in sub.symbols() & ranges.keys():
                shift = sub - Int.symbol(name)
                if shift.is_constant:
                    hulls[tensor][k] = _joined(hulls[tensor][k], ranges[name], shift)


def _joined(r: Range, span: Range, shift: Int) -> Range:
    low = span.lo + shift - r.lo
    beyond = [span.hi + shift - end for end in r.hi.cases("max")]  # max(T, 1), where a base case stands at 0, is below neither
    high = min((end.constant for end in beyond if end.is_constant), default=0)
    lo = r.lo + low if low.is_constant and low.constant < 0 else r.lo
    return Range(lo, r.hi + max(0, high))


def _within_a_step(loop: Loop, nodes: Sequence[Node], kept: set[str], outer: tuple[str, ...] = ()) -> dict[str, frozenset[int]]:
    """Tensors of the innermost loop that nobody reads at another step or outside: tensor -> the axes along the loops."""
    variables = (*outer, loop.variable)
    found: dict[str, frozenset[int]] = {}
    for node in loop.body:
        if isinstance(node, Loop):
            found |= _within_a_step(node, nodes, kept, variables)
    here = [n.equation for n in loop.body if isinstance(n, Compute) and not n.guards]
    everything = [e for n in nodes for e in equations_of(n)]
    for e in here:
        single = sum(other.tensor == e.tensor for other in everything) == 1
        if not single or e.tensor in kept or e.is_base and any(s.name not in (*variables, *e.ranges) for s in e.subs):
            continue
        axes = frozenset(k for k, s in enumerate(e.subs) if s.name in variables)
        readers = [o for o in everything if e.tensor in o.reads]
        same = all(o in here and _same_step(o, e, axes) for o in readers)
        if same and len(axes) == len(variables):
            found[e.tensor] = axes
    return found


def _same_step(reader: Equation, e: Equation, axes: frozenset[int]) -> bool:
    return all(subs[k] == e.subs[k] for tensor, subs in accesses(reader.body) if tensor == e.tensor for k in axes)


def equations_of(node: Node) -> list[Equation]:
    if isinstance(node, Compute):
        return [node.equation]
    if isinstance(node, Loop):
        return [e for n in node.body for e in equations_of(n)]
    return list(node.equations)
