"""Programs -> programs in which what both look up at data is looked up once, and kept.

    y[n,d] = cos(R[r[n],d]),   a[n,d] = R[r[n],d],   dR[m,d] = −Σ_n where(r[n] = m, dy[n,d] sin(a[n,d]), 0)
                                                                        y[n,d] = cos(a[n,d]), and a is a tensor of the forward pass

A gradient needs by a name of its own what it looks up beside the place to which it adds. Two such names for one look-up are one, but
for those of outputs: each is an array of its own.
Forward reads it by that name wherever no reduction leaves out positions by the look-up itself: elsewhere both are 0 outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...expr import Expr, Read, Reduce, children, map_children, rename_reads
from ...integer import Int
from ...program import Equation, Program, Range
from .known import with_known


@dataclass(frozen=True)
class _LookUp:
    """R[r[§0],§1] over the ranges of §0 and §1, and which indices of a reader these are."""

    read: Read
    places: tuple[Range, ...]
    indices: tuple[str, ...]

    @property
    def key(self) -> tuple[Read, tuple[Range, ...]]:
        return self.read, self.places


def looked_up(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    own = [e for e in backward.equations if e.tensor not in forward.definitions]
    names: dict[tuple[Read, tuple[Range, ...]], Equation] = {}
    same: dict[str, str] = {}
    for e in own:
        if e.tensor not in backward.outputs and (found := _named(backward, e)) is not None:
            first = names.setdefault(found.key, e)
            if first is e or _order(first) == _order(e):  # of two with other axes first, one is the other, transposed
                same[e.tensor] = first.tensor
    if not names:
        return forward, backward
    wanted = {u.key for e in forward.equations for u in _uses(e, e.body)}
    kept = {key: e for key, e in names.items() if key in wanted}
    own = [e if e in names.values() else e.with_body(_reading(e, rename_reads(e.body, same), names))
           for e in own if same.get(e.tensor, e.tensor) == e.tensor and e not in kept.values()]
    equations: list[Equation] = []
    for e in forward.equations:
        new = [kept[u.key] for u in _uses(e, e.body) if u.key in kept]
        equations += [n for n in dict.fromkeys(new) if n not in equations]
        equations.append(e.with_body(_reading(e, e.body, kept)))
    shapes = {**forward.shapes, **{e.tensor: backward.shapes[e.tensor] for e in kept.values()}}
    known = replace(forward, equations=tuple(equations), shapes=shapes)
    return known, with_known(replace(backward, equations=tuple(own)), own, known)


def _named(program: Program, e: Equation) -> _LookUp | None:
    """An equation that names a look-up, at each place once."""
    plain = [str(s.name) for s in e.subs if s.name in e.ranges]
    alone = len(program.definitions[e.tensor]) == 1 and len({*plain}) == len(e.subs)
    found = _look_up(e, e.body) if alone and isinstance(e.body, Read) else None
    return found if found and {*found.indices} == {*plain} else None


def _order(e: Equation) -> list[int]:
    """Which of the indices of its look-up each axis of an equation is."""
    found = _look_up(e, e.body) if isinstance(e.body, Read) else None
    return [found.indices.index(str(s.name)) for s in e.subs] if found else []


def _look_up(e: Equation, r: Read) -> _LookUp | None:
    """A read at data, with a letter for each index in it, in their order."""
    if not any(s.elements() for s in r.subs):
        return None
    indices = [i for s in r.subs for i in sorted(s.symbols()) if i in e.ranges]
    indices = list(dict.fromkeys(indices))
    letters = {i: Int.symbol(f"§{k}") for k, i in enumerate(indices)}
    return _LookUp(r.subst(letters), tuple(e.ranges[i] for i in indices), tuple(indices))


def _uses(e: Equation, node: Expr) -> Iterator[_LookUp]:
    if isinstance(node, Read) and (found := _look_up(e, node)) is not None:
        yield found
    for child in children(node) if not isinstance(node, Reduce) else ():
        yield from _uses(e, child)


def _reading(e: Equation, node: Expr, kept: Mapping[tuple[Read, tuple[Range, ...]], Equation]) -> Expr:
    """An expression of an equation in which what is kept has its name."""
    if isinstance(node, Reduce):
        return node
    if isinstance(node, Read) and (use := _look_up(e, node)) is not None and use.key in kept:
        name = kept[use.key]
        mine = _look_up(name, name.body) if isinstance(name.body, Read) else None
        assert mine is not None
        at = dict(zip(mine.indices, use.indices, strict=True))
        return Read(name.tensor, tuple(Int.symbol(at[str(s.name)]) for s in name.subs))
    return map_children(lambda child: _reading(e, child, kept), node)
