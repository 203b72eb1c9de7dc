"""What two loops over the same places of windows compare is compared once, and kept place by place, a byte for each entry:

    for _, tap in windows.taps:                              hits = []
        counts += (tap == rows).view(np.uint8)               for _, tap in windows.taps:
    for (_, place), (_, tap2) in zip(…, windows.taps):           hit = tap == rows
        place += _only_where(tap2 == rows, …)                    counts += hit.view(np.uint8)
                                                                 hits.append(hit)
                                                             for (_, place), hit in zip(…, hits):
                                                                 place += _only_where(hit, …)

So does the gradient of a maximum, which asks first how many places share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from .. import cost
from .form import Block, Item, Line, Statement, names, read_by, renamed, written_by

_OVER_INDICES = re.compile(r"for (.+) in (np\.ndindex\((.+)\)|range\((.+)\)):")
_OVER_TAPS = re.compile(r"for _, (\w+) in (\w+)\.taps:")
_OVER_PAIRS = re.compile(r"for \((.+), (\w+)\), \(_, (\w+)\) in zip\((\w+\.taps), (\w+)\.taps\):")
_KERNEL = re.compile(r"\((\w+), [^()]*\), \([^()]*\)\)")  # of _Taps(…): how many places an axis of windows has


def masks(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring."""
    return _masks([replace(item, items=masks(item.items)) if isinstance(item, Block) else item for item in items])


def _masks(items: list[Item]) -> tuple[Item, ...]:
    loops = list(_loops(items))
    for later in loops:
        for first in loops[:loops.index(later)]:
            if (found := _compared_twice(items, first, later)) is not None:
                return _masks(_kept(items, first, later, *found))
    return tuple(items)


@dataclass(frozen=True)
class _Loop:
    """A loop over the places of windows: which item it is, what it goes over, and what it calls a place, or what stands there."""

    at: int
    block: Block
    over: str
    variables: tuple[str, ...]
    beside: str = ""  # what else it goes over at the same time, and how that is called: ("(_, place)", "places.taps")
    place: str = ""

    def plain(self, s: Statement) -> tuple[str, ...]:
        """What a statement computes, whatever the loop calls its variables."""
        (same,) = renamed([replace(s, target="")], {v: f"§§{k}" for k, v in enumerate(self.variables)})
        assert isinstance(same, Statement)
        return (same.operation.template, *(o.text for o in same.operands))


def _loops(items: Sequence[Item]) -> Iterator[_Loop]:
    """The loops whose places are few."""
    kernels = {x.text.partition(" = ")[0]: x.text for x in items if isinstance(x, Line) and " = _Taps(" in x.text}
    for at, x in enumerate(items):
        if not isinstance(x, Block):
            continue
        if found := _OVER_INDICES.fullmatch(x.head):
            if _are_few((found[3] or found[4]).split(", ")):
                yield _Loop(at, x, found[2], tuple(found[1].split(", ")))
        elif (found := _OVER_TAPS.fullmatch(x.head)) and _are_few(_KERNEL.findall(kernels.get(found[2], ""))):
            yield _Loop(at, x, found[2], (found[1],))
        elif (found := _OVER_PAIRS.fullmatch(x.head)) and _are_few(_KERNEL.findall(kernels.get(found[5], ""))):
            yield _Loop(at, x, found[5], (found[3],), found[4], f"({found[1]}, {found[2]})")


def _are_few(sizes: Sequence[str]) -> bool:
    return bool(sizes) and all(map(str.isdigit, sizes)) and cost.keeps_masks(prod(map(int, sizes)))


def _compared_twice(items: Sequence[Item], first: _Loop, later: _Loop) -> tuple[Statement, Statement] | None:
    """A comparison in one loop, and the same one in the other, of what has not changed meanwhile."""
    changed = {v for x in items[first.at:later.at + 1] for v in written_by(x)}
    if first.over != later.over or first.over in changed or first.beside:
        return None
    known = {first.plain(s): s for s in _comparisons(first.block) if read_by(s).isdisjoint(changed)}
    pairs = ((known.get(later.plain(s)), s) for s in _comparisons(later.block))
    return next(((a, b) for a, b in pairs if a is not None), None)


def _comparisons(block: Block) -> Iterator[Statement]:
    for x in block.items:
        if isinstance(x, Statement) and x.operation.binding == 4 and not x.is_place and not x.out:
            yield x


def _kept(items: list[Item], first: _Loop, later: _Loop, a: Statement, b: Statement) -> list[Item]:
    """The items, with what the first loop compares in a list that the later one goes through."""
    taken = frozenset[str]().union(*map(read_by, items), *map(_bound, items))
    hit = next(name for name in _numbered("hit") if not taken & {name, f"{name}s"})
    where = [replace(x, hint=hit) if x is a else x for x in first.block.items]
    where.append(Line(f"{hit}s.append({a.target})", a.note, f"{hit}s"))
    rest = renamed([x for x in later.block.items if x is not b], {b.target: hit})
    used = frozenset[str]().union(*map(read_by, rest))
    over = [(later.place, later.beside)] if later.beside else []
    if not used.isdisjoint(later.variables):
        names_of = f"({', '.join(later.variables)})" if len(later.variables) > 1 else later.variables[0]
        over.append((f"(_, {names_of})", f"{later.over}.taps") if later.block.head.count(".taps") else (names_of, later.over))
    over.append((hit, f"{hit}s"))
    head = f"for {hit} in {hit}s:"
    if len(over) > 1:
        head = f"for {', '.join(x for x, _ in over)} in zip({', '.join(y for _, y in over)}):"
    found = list(items)
    found[first.at] = replace(first.block, items=tuple(where))
    found[later.at] = replace(later.block, head=head, items=rest)
    return [*found[:first.at], Line(f"{hit}s = []", a.note, f"{hit}s"), *found[first.at:]]


def _bound(item: Item) -> frozenset[str]:
    return frozenset(written_by(item)) | (names(item.head) if isinstance(item, Block) else frozenset())


def _numbered(name: str) -> Iterable[str]:
    yield name
    k = 2
    while True:
        yield f"{name}{k}"
        k += 1
