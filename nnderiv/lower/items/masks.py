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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from math import prod

from .. import cost
from .form import Block, Item, Line, Statement, names, read_by, renamed, written_by
from .known import Known

_OVER_INDICES = re.compile(r"for (.+) in (np\.ndindex\((.+)\)|range\((.+)\)):")
_OVER_TAPS = re.compile(r"for _, (\w+) in (\w+)\.taps:")
_OVER_PAIRS = re.compile(r"for \((.+), (\w+)\), \(_, (\w+)\) in zip\((\w+\.taps), (\w+)\.taps\):")
_KERNEL = re.compile(r"\((\w+), [^()]*\), \([^()]*\)\)")  # of _Taps(…): how many places an axis of windows has


def masks(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring."""
    items = [replace(item, items=masks(item.items)) if isinstance(item, Block) else item for item in items]
    kernels = {x.text.partition(" = ")[0]: x.text for x in items if isinstance(x, Line) and " = _Taps(" in x.text}
    walk = _Walk(items)
    for item in items:
        loop = _loop(item, kernels) if isinstance(item, Block) else None
        walk.done.append([_going_through(loop, walk) if loop else item])
        walk.compared.forget(written_by(item))
        if loop and not loop.beside and walk.done[-1] == [loop.block]:
            walk.learn(loop)
    return tuple(x for each in walk.done for x in each)


@dataclass
class _First:
    """A comparison in a loop, which item that is, and what the list is called in which it is kept, once somebody asks for it."""

    at: int
    statement: Statement
    hits: str = ""


@dataclass
class _Walk:
    """What is done so far, and what was compared, by the loop and what is compared there."""

    items: Sequence[Item]
    done: list[list[Item]] = field(default_factory=list)
    compared: Known[tuple[str, ...], _First] = field(default_factory=Known)

    def learn(self, loop: _Loop) -> None:
        for s in _comparisons(loop.block):
            self.compared.learn(loop.plain(s), _First(len(self.done) - 1, s), {loop.over, *read_by(s)})

    def kept(self, first: _First) -> str:
        """The list of what is compared there."""
        if not first.hits:
            first.hits = next(self.fresh)
            before, block, a = self.done[first.at][:-1], self.done[first.at][-1], first.statement
            assert isinstance(block, Block)
            inside = [replace(x, hint=first.hits[:-1]) if x is a else x for x in block.items]
            inside.append(Line(f"{first.hits}.append({a.target})", a.note, first.hits))
            self.done[first.at] = [*before, Line(f"{first.hits} = []", a.note, first.hits), replace(block, items=tuple(inside))]
        return first.hits

    @cached_property
    def fresh(self) -> Iterator[str]:
        """Names of lists; without their last letter they are those of what is in them."""
        taken = frozenset[str]().union(*map(read_by, self.items), *map(_bound, self.items))
        all_names = (f"hit{k if k > 1 else ''}" for k in count(1))
        return (f"{name}s" for name in all_names if not taken & {name, f"{name}s"})


def _going_through(loop: _Loop, walk: _Walk) -> Block:
    """The loop over what another one has compared, in place of comparing it."""
    block = loop.block
    for b in _comparisons(block):
        if (first := walk.compared.held.get(loop.plain(b))) is not None:
            hits = walk.kept(first)
            hit = hits[:-1]
            rest = renamed([x for x in block.items if x is not b], {b.target: hit})
            over = [(loop.place, loop.beside)] if loop.beside else []
            if not frozenset[str]().union(*map(read_by, rest)).isdisjoint(loop.variables):
                over.append(loop.itself)
            over.append((hit, hits))
            return replace(block, head=_head(over), items=rest)
    return block


def _head(over: Sequence[tuple[str, str]]) -> str:
    """for a, b in zip(x, y): for (what it is called, what is gone through)."""
    called, through = (", ".join(each) for each in zip(*over, strict=True))
    return f"for {called} in {through}:" if len(over) == 1 else f"for {called} in zip({through}):"


@dataclass(frozen=True)
class _Loop:
    """A loop over the places of windows: what it goes over, and what it calls a place, or what stands there."""

    block: Block
    over: str
    variables: tuple[str, ...]
    beside: str = ""  # what else it goes over at the same time, and how that is called: ("(_, place)", "places.taps")
    place: str = ""

    @property
    def itself(self) -> tuple[str, str]:
        """The variables, and what they go through."""
        if ".taps" in self.block.head:
            return f"(_, {self.variables[0]})", f"{self.over}.taps"
        return f"({', '.join(self.variables)})" if len(self.variables) > 1 else self.variables[0], self.over

    def plain(self, s: Statement) -> tuple[str, ...]:
        """What a statement computes at each place, whatever the loop calls its variables."""
        (same,) = renamed([replace(s, target="")], {v: f"§§{k}" for k, v in enumerate(self.variables)})
        assert isinstance(same, Statement)
        return (self.over, same.operation.template, *(o.text for o in same.operands))


def _loop(x: Block, kernels: Mapping[str, str]) -> _Loop | None:
    """A loop whose places are few."""
    if found := _OVER_INDICES.fullmatch(x.head):
        few, loop = (found[3] or found[4]).split(", "), _Loop(x, found[2], tuple(found[1].split(", ")))
    elif found := _OVER_TAPS.fullmatch(x.head):
        few, loop = _KERNEL.findall(kernels.get(found[2], "")), _Loop(x, found[2], (found[1],))
    elif found := _OVER_PAIRS.fullmatch(x.head):
        few, loop = _KERNEL.findall(kernels.get(found[5], "")), _Loop(x, found[5], (found[3],), found[4], f"({found[1]}, {found[2]})")
    else:
        return None
    return loop if _are_few(few) else None


def _are_few(sizes: Sequence[str]) -> bool:
    return bool(sizes) and all(map(str.isdigit, sizes)) and cost.keeps_masks(prod(map(int, sizes)))


def _comparisons(block: Block) -> Iterator[Statement]:
    """What is compared at each place, of what the loop does not change."""
    changed = {*written_by(block)}
    for x in block.items:
        if isinstance(x, Statement) and x.operation.binding == 4 and not x.is_place and not x.out and read_by(x).isdisjoint(changed):
            yield x


def _bound(item: Item) -> frozenset[str]:
    return frozenset(written_by(item)) | (names(item.head) if isinstance(item, Block) else frozenset())
