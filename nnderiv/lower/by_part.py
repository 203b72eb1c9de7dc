"""Equations over one common index, part by part of it: attention over its batch, a network over its rows. On one thread:

    for n in _parts(N, K):                       n is a slice, arrays have K entries for each n
        z = x[n]*g                               exists only here
        y[n] = ...                               its part of what is needed later
        dg += (dy[n]*x[n]).sum(0)                sums over the index are added up

On several, these share out the parts:

    def part(n):
        ...
        return dg_part,
    dg, = _in_parts(part, 3, N, K)               3 equations entry by entry; a function counts for several

Where a second index follows the first in all of them, parts are cut along both, for n, t in _pairs(N, T, K): several texts, or a piece of
a long one.

An equation joins if the index is its first one, or if its one sum runs over it, and if the index stands first, alone, in whatever
it reads: the images, whose windows a pooling sees, and to which its gradient adds. A part's arrays stay in cache; where all arrays
are small, there is one part and no thread. Equations that share a large array with others, as the centred x of a batch norm, stay
with them: two parts of it would be computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from heapq import heappop, heappush
from itertools import combinations
from math import prod

from ..expr import Expr, IntValue, Op, Read, Reduce, all_reads, free_symbols, walk
from ..integer import Element, FloorDiv, Int
from ..integer import parts as integer_parts
from ..polynomial import additive_terms, factors
from ..program import Equation, Program, Range
from . import cost
from .arrays import Storage
from .equations.calls import COSTLY
from .fold import Fold, find_fold
from .schedule import Compute, Node
from .storage import equations_of

SLOW = {*COSTLY, "gelu", "silu"}


@dataclass(frozen=True)
class Member:
    """An equation, and its index that is cut into parts: free in it, or summed over."""

    equation: Equation
    lead: str
    summed: bool
    axes: Mapping[str, tuple[Range, ...]] = field(repr=False, compare=False)  # of what it reads
    folds: tuple[Fold, ...] = ()  # its terms that add at subscripts that are not plain

    @property
    def tensor(self) -> str:
        return self.equation.tensor

    @property
    def whole(self) -> Range:
        return self.equation.ranges[self.lead]

    @cached_property
    def reads(self) -> list[Read]:
        """What is read, of integer tensors too."""
        return all_reads(self.equation.body)

    def leads(self, r: Read) -> bool:
        return bool(r.subs) and r.subs[0].name == self.lead

    def is_plain(self, r: Read) -> bool:
        """Whether each index runs along a whole axis."""
        ranges = self.equation.ranges
        return len({*r.subs}) == len(r.subs) and all(s.name in ranges and ranges[str(s.name)] == axis
                                                     for s, axis in zip(r.subs, self.axes[r.tensor], strict=True))

    def cuts(self, r: Read, many: int) -> dict[int, int]:
        """The axes of a read that are cut if so many of its indices are, and by which of these."""
        leads = (self.lead, self.second)[:many]
        return {k: leads.index(str(s.name)) for k, s in enumerate(r.subs[:2]) if s.name in leads}

    def is_cut_alike(self, many: int) -> bool:
        """Whether all that is read of each tensor is the same part of it."""
        cuts = {r.tensor: self.cuts(r, many) for r in self.reads}
        return all(self.cuts(r, many) == cuts[r.tensor] for r in self.reads)

    @cached_property
    def along(self) -> set[str]:
        """The tensors that it computes or reads along the index."""
        return {self.tensor, *(r.tensor for r in self.reads if self.leads(r))}

    def holds(self, others: Iterable[Read]) -> bool:
        """Whether these are read here as well, or read nothing along the index."""
        known = {*self.reads}
        return all(r in known or all(self.lead not in s.symbols() for s in r.subs) for r in others)

    @cached_property
    def second(self) -> str:
        """The index that stands second behind the first one, or first without it, and is free, or summed over, as that is; "" if there
        is none: then it may be cut as well."""
        e = self.equation
        if self.summed:
            behind = {r.subs[1].name if len(r.subs) > 1 else None for r in self.reads if self.leads(r)}
            found = behind.pop() if len(behind) == 1 else None
        else:
            found = e.subs[1].name if len(e.subs) > 1 else None
        if found not in e.ranges or (found in _summed(e)) != self.summed or not self.may_be_cut(str(found)):
            return ""
        return str(found) if all(self.is_cut_at(r, str(found)) for r in self.reads) else ""

    def may_be_cut(self, index: str) -> bool:
        """Whether an index begins at 0, is free or summed over as the first one is, and is no value itself."""
        nodes = [*walk(self.equation.body)]
        bound = sum(index in n.indices for n in nodes if isinstance(n, Reduce))
        is_value = any(index in _symbols(n.value) for n in nodes if isinstance(n, IntValue))
        return self.equation.ranges[index].lo == 0 and bound == self.summed and not is_value

    def is_cut_at(self, r: Read, second: str) -> bool:
        """Whether a read has the second index behind the first, or in its place, along a whole axis, and nowhere else."""
        at = [k for k, s in enumerate(r.subs) if second in _symbols(s)]
        first = not any(self.lead in _symbols(s) for s in r.subs)
        whole = self.equation.ranges[second]
        return not at or at == [0 if first else 1] and r.subs[at[0]].name == second and self.axes[r.tensor][at[0]] == whole

    def is_cut_twice(self, r: Read) -> bool:
        """Whether a read has both indices, each in its place."""
        return self.leads(r) and len(r.subs) > 1 and r.subs[1].name == self.second

    def within(self, parts: Mapping[str, Range]) -> Equation:
        """The equation for one part: the ranges of its first index, and of its second, if that is cut as well."""
        return replace(self.equation, ranges={**self.equation.ranges, **parts})

    def arrays(self, least: int) -> Iterator[Expr]:
        """What is computed entry by entry, with at least so many entries for each value of the index."""
        for x in walk(self.equation.body):
            if isinstance(x, Op) and x.op != "neg" and self.fills(x, least):
                yield x

    def sums(self, least: int) -> Iterator[Expr]:
        """What is reduced for each value of the index, of at least so many entries."""
        for x in walk(self.equation.body):
            if isinstance(x, Reduce) and self.lead not in x.indices and self.fills(x.body, least):
                yield x

    def places(self, x: Expr) -> int:
        """How many places of a window are gone to for each entry; 1 where nothing slides, and where each is in one: (a − u)//2, u < 2."""
        if not isinstance(x, Reduce):
            return 1
        found, ranges = {}, self.equation.ranges
        for s in [s for r in all_reads(x) for s in r.subs if not s.elements()]:
            step = s.lone.bottom if isinstance(s.lone, FloorDiv) else Int.of(1)
            for i in s.symbols() & {*x.indices} if len(s.symbols() & ranges.keys()) > 1 else ():
                most = cost.typical(ranges[i].size)
                found[i] = -(-most//step.constant) if step.is_constant and step.constant > 0 else most
        return prod(found.values())

    @cached_property
    def slides(self) -> bool:
        """Whether it reads anything else than whole axes along the index."""
        return self.slides_along(1)

    def slides_along(self, many: int) -> bool:
        """The same, for so many of its indices."""
        return not all(self.is_plain(r) for r in self.reads if self.cuts(r, many))

    def has_windows(self, many: int) -> bool:
        """Whether it reads or writes windows, which are seen in the part of a tensor as in all of it."""
        return bool(self.folds) or self.slides_along(many)

    @cached_property
    def window(self) -> int:
        """The places of its largest window; 1 where nothing slides."""
        return max(map(self.places, walk(self.equation.body)))

    def fills(self, x: Expr, least: int) -> bool:
        """Whether an expression has at least so many entries for each value of the index."""
        free = free_symbols(x) & self.equation.ranges.keys()
        return self.lead in free and cost.entries(self.equation.ranges[i].size for i in free - {self.lead}) >= least

    @property
    def is_product(self) -> bool:
        """Whether it is one product of matrices or vectors, for which linear algebra has threads of its own."""
        terms = additive_terms(self.equation.body)
        return self.summed or len(terms) == 1 and any(isinstance(f, Reduce) and f.op == "sum" and self.places(f) == 1
                                                    for f in factors(terms[0][1]))

    @property
    def is_entrywise(self) -> bool:
        """Whether it is more than products of matrices, which linear algebra would compute on all threads anyway."""
        return not all(any(_matrices(t)) for _, t in additive_terms(self.equation.body))

    @cached_property
    def has_matrices(self) -> bool:
        """Whether it multiplies matrices, or reduces something else of all pairs of their rows."""
        reductions = [x for x in walk(self.equation.body) if isinstance(x, Reduce)]
        read = [({frozenset(free_symbols(r)) for r in all_reads(x.body)}, {*x.indices}) for x in reductions]
        return any(a & b & along and a - b and b - a for each, along in read for a, b in combinations(each, 2))

    def passes(self, least: int) -> int:
        """How long it takes, entry by entry: as many equations without functions of so many entries."""
        if not self.is_entrywise:
            return 0
        return self.window + cost.FUNCTION*sum(isinstance(x, Op) and x.op in SLOW for x in self.arrays(least))

    @property
    def is_shared_out(self) -> bool:
        """Whether it has a product of matrices which is one for all of the index, so that linear algebra shares it out by itself."""
        return any(self.summed or self.lead not in a & b for _, t in additive_terms(self.equation.body) for a, b in _matrices(t))

    def per_step(self, cut: int = 1) -> Iterator[tuple[Int, ...]]:
        """The sizes of what one value of the index holds, in each array over it; cut: 2, one value of both indices, in each over both."""
        leads = (self.lead, self.second)[:cut]
        if not self.summed:
            yield tuple(self.equation.ranges[i].size for i in self.equation.indices if i not in leads)
        for r in self.reads:
            if self.is_cut_twice(r) if cut > 1 else self.leads(r):
                yield tuple(axis.size for s, axis in zip(r.subs, self.axes[r.tensor], strict=True) if s.name not in leads)


@dataclass(frozen=True)
class Part:
    """The part at hand: the variables that hold its slices, one for each index that is cut, and those for how many there are in each;
    the tensors that exist only here."""

    slices: tuple[str, ...]
    counts: tuple[str, ...]
    local: frozenset[str]

    @property
    def ranges(self) -> tuple[Range, ...]:
        return tuple(Range(Int.of(0), Int.symbol(count)) for count in self.counts)

    def leads(self, m: Member) -> tuple[str, ...]:
        """The indices of an equation that are cut."""
        return (m.lead, m.second)[:len(self.slices)]

    def axes(self, m: Member, r: Read) -> dict[int, int]:
        """The axes of a read that are cut, and by which of the slices."""
        return m.cuts(r, len(self.slices))


def member(program: Program, node: Node, storage: Mapping[str, Storage]) -> Member | None:
    """An equation that can be computed part by part, with its index."""
    if not isinstance(node, Compute) or node.guards:
        return None
    e = node.equation
    first = [(str(e.subs[0].name), False)] if e.subs and e.subs[0].name in e.ranges else []
    leads = [*first, *((i, True) for i in _summed(e))]
    if not leads:
        return None
    axes = {r.tensor: storage[r.tensor].axes for r in all_reads(e.body)}
    folds = tuple(fold for _, t in additive_terms(e.body) if (fold := find_fold(program, e, t)))
    return next((m for lead, summed in leads if _can_lead(m := Member(e, lead, summed, axes, folds))), None)


def _summed(e: Equation) -> tuple[str, ...]:
    """The indices of the sum that the body is, but for a sign and factors."""
    terms = additive_terms(e.body)
    sums = [f for f in factors(terms[0][1]) if isinstance(f, Reduce)] if len(terms) == 1 else []
    return sums[0].indices if len(sums) == 1 and sums[0].op == "sum" else ()


def _matrices(term: Expr) -> Iterator[tuple[set[str], set[str]]]:
    """The indices of two factors of a sum in a term, where each has one that the other has not."""
    for s in factors(term):
        if isinstance(s, Reduce) and s.op == "sum":
            yield from ((a, b) for a, b in combinations(map(free_symbols, factors(s.body)), 2) if a - b and b - a)


def _can_lead(m: Member) -> bool:
    along = [r for r in m.reads if any(m.lead in _symbols(s) for s in r.subs)]
    alone = all(m.leads(r) and m.axes[r.tensor][0] == m.whole and not any(m.lead in _symbols(s) for s in r.subs[1:]) for r in along)
    return bool(along) and alone and m.may_be_cut(m.lead)


def _symbols(value: Int) -> set[str]:
    """The names in an integer expression, but for those that only say which data are meant."""
    own = [a for monomial in value.terms for a in monomial if not isinstance(a, Element)]
    return {x for a in own for x in ({a} if isinstance(a, str) else set[str]().union(*map(_symbols, integer_parts(a))))}


class Groups:
    """Which of the nodes are done part by part together: one of them, and those after it."""

    def __init__(self, nodes: Sequence[Node], done: Collection[int], member_of: Callable[[int], Member | None], threads: int):
        self.nodes = nodes
        self.done = done  # nodes that are computed already, as time goes on
        self.member_of = cache(member_of)
        self.threads = threads
        self.alone = set[int]()  # nodes for which it is known that parts do not pay
        self.made: dict[str, list[int]] = {}
        self.readers: dict[str, list[int]] = {}
        for k, node in enumerate(nodes):
            for e in equations_of(node):
                self.made.setdefault(e.tensor, []).append(k)
                for name in e.reads:
                    self.readers.setdefault(name, []).append(k)

    def of(self, k: int) -> dict[int, Member]:
        """Node k and those that go with it; none unless that pays. Those that read windows, or add to them, may not be worth it, and keep
        the others from it."""
        head = None if k in self.alone else self.joins(k)
        if head is None:
            return {}
        find = self.near if self.threads == 1 else self.behind
        group = find(k, head)
        if self.pays(group):
            return group
        if head.slides or k in self.alone or not any(m.slides for m in group.values()):
            return {}
        group = find(k, head, slides=False)
        return group if self.pays(group) else {}

    def pays(self, group: Mapping[int, Member]) -> bool:
        """Whether arrays are large, or go through much, in more than products, and no window is seen for a single place of it."""
        members = [*group.values()]
        arrays = largest(members)
        most = max(map(cost.entries, arrays))
        entrywise = operations(members, most)
        if not any(cost.in_parts(members[0].whole.size, sizes, self.threads, entrywise) for sizes in arrays):
            self.alone |= group.keys() if self.threads == 1 else {min(group)}
            return False
        alike = all(m.is_product and m.passes(most) < 2 for m in members) or not any(m.is_entrywise for m in members)
        single = any(m.slides for m in members) and all(m.window == 1 for m in members)
        return not (alike or single or self.shares(group, most))

    def joins(self, j: int, slides: bool = True) -> Member | None:
        """A node that may be done part by part; slides: also one that reads windows, or adds to them. On one thread, no product is cut of
        which linear algebra gives the rows to its own threads, and none at all where sizes are names."""
        m = self.member_of(j) if j not in self.done else None
        whole = m and self.threads == 1 and (m.is_shared_out if m.whole.size.is_constant else m.has_matrices)
        return None if whole or m and m.slides and not slides else m

    def behind(self, k: int, head: Member, slides: bool = True) -> dict[int, Member]:
        """All that can go with node k: threads are woken once."""
        group = {k: head}
        for j in range(k + 1, len(self.nodes)):
            m = self.joins(j, slides)
            if m and m.whole == head.whole and not self.missing(m, group, k):
                group[j] = m
        return group

    def near(self, k: int, head: Member, slides: bool = True) -> dict[int, Member]:
        """Those that compute or read what node k does along the index, or what one of these does: the others gain nothing beside them.

        What waits for others is asked again only once the group is larger: there are many ways through a program, and few nodes.
        """
        group, arrays = {k: head}, set[str]()
        waiting, asked = [k], dict[int, int]()
        while waiting:
            j = heappop(waiting)
            m = self.joins(j, slides)
            if m is None or j in group and j != k or m.whole != head.whole or asked.get(j) == len(group):
                continue
            asked[j] = len(group)
            missing = self.missing(m, group, k)
            found = {i for i in missing if i < j}
            if not missing:
                group[j] = m
                found.update(i for name in m.along - arrays for i in (*self.made.get(name, ()), *self.readers.get(name, ())))
                arrays |= m.along
            for i in found:
                if i > k:
                    heappush(waiting, i)
        return dict(sorted(group.items()))

    def missing(self, m: Member, group: Mapping[int, Member], k: int) -> set[int]:
        """The nodes that compute what a member needs, behind node k, and not for the same part in the group."""
        found = set[int]()
        for name in m.equation.reads:
            apart = not all(m.leads(r) for r in m.reads if r.tensor == name)
            found |= {i for i in self.made.get(name, ()) if i >= k and (apart or i not in group or group[i].summed)}
        return found

    def shares(self, group: Mapping[int, Member], most: int) -> bool:
        """Whether an equation outside of the group computes one of its largest arrays as well, or sees a tensor in windows as it does."""
        mine = {x for m in group.values() for x in m.arrays(most)}
        slid = {r.tensor for m in group.values() if m.slides for r in m.reads}
        others = {j for m in group.values() for name in m.along for j in self.readers.get(name, ())} - group.keys()
        equations = [e for j in others for e in equations_of(self.nodes[j])]
        return (any(x in mine for e in equations for x in walk(e.body) if isinstance(x, Op))
                or any(r.tensor in slid and any(s.name is None for s in r.subs) for e in equations for r in all_reads(e.body)))


def largest(group: Collection[Member], cut: int = 1) -> list[tuple[Int, ...]]:
    """The sizes of the arrays over the index, without the index, of which one may be the largest; cut: without the second one too."""
    return _largest(sizes for m in group for sizes in m.per_step(cut))


def operations(group: Collection[Member], most: int) -> int:
    """How many operations the largest arrays, of so many entries, go through, sums of rows as well, if none multiplies matrices; else 0."""
    if any(m.has_matrices for m in group):
        return 0
    return sum({x: m.places(x) for m in group for x in (*m.arrays(most), *m.sums(most))}.values())


def results(group: Collection[Member]) -> list[tuple[Int, ...]]:
    """The sizes of the sums of which one may be the largest."""
    return _largest(tuple(m.equation.ranges[i].size for i in m.equation.indices) for m in group if m.summed)


def _largest(arrays: Iterable[tuple[Int, ...]]) -> list[tuple[Int, ...]]:
    """The sizes of those arrays that have the most entries if every size that is a name is the same."""
    found = dict.fromkeys(tuple(s for s in sizes if s != 1) for sizes in arrays)
    most = max(map(cost.entries, found), default=0)
    return [sizes for sizes in found if cost.entries(sizes) == most]
