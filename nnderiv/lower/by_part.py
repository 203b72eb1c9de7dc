"""Equations over one common index, part by part of it, the parts shared out among threads: attention over its batch, a network over
its rows.

    def part(n):                                 n is a slice
        S = Q[n] @ K[n].mT                       exists only here
        Y[n] = ...                               its part of what is needed later
        dW_part = X[n].T @ dZ                    sums over the index are added up
        return dW_part,
    dW, = _in_parts(part, 3, N, M*M)             3 equations entry by entry, arrays of M*M for each n; a function counts for several

An equation joins if the index is its first one, or if its one sum runs over it, and if the index stands first, alone, in whatever
it reads. A part's arrays stay in cache; where all arrays are small, there is one part and no thread. Equations that share a large array
with others, as the centred x of a batch norm, stay with them: two parts of it would be computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ..expr import Expr, IntValue, Op, Read, Reduce, all_reads, free_symbols, walk
from ..integer import Element, Int
from ..integer import parts as integer_parts
from ..polynomial import additive_terms, factors
from ..program import Equation, Range
from . import cost
from .arrays import Storage
from .equations.calls import COSTLY
from .schedule import Compute, Node
from .storage import equations_of

SLOW = {*COSTLY, "gelu", "silu"}


@dataclass(frozen=True)
class Member:
    """An equation, and its index that is cut into parts: free in it, or summed over."""

    equation: Equation
    lead: str
    summed: bool

    @property
    def tensor(self) -> str:
        return self.equation.tensor

    @property
    def whole(self) -> Range:
        return self.equation.ranges[self.lead]

    @property
    def reads(self) -> list[Read]:
        """What is read, of integer tensors too."""
        return all_reads(self.equation.body)

    def leads(self, r: Read) -> bool:
        return bool(r.subs) and r.subs[0].name == self.lead

    def holds(self, others: Iterable[Read]) -> bool:
        """Whether these are read here as well, or read nothing along the index."""
        known = {*self.reads}
        return all(r in known or all(self.lead not in s.symbols() for s in r.subs) for r in others)

    def within(self, part: Range) -> Equation:
        """The equation for one part."""
        return replace(self.equation, ranges={**self.equation.ranges, self.lead: part})

    def arrays(self, least: int) -> Iterator[Expr]:
        """What is computed entry by entry, with at least so many entries for each value of the index."""
        for x in walk(self.equation.body):
            free = free_symbols(x) & self.equation.ranges.keys() if isinstance(x, Op) and x.op != "neg" else set[str]()
            if self.lead in free and cost.entries(self.equation.ranges[i].size for i in free - {self.lead}) >= least:
                yield x

    @property
    def is_product(self) -> bool:
        """Whether it is one product of matrices or vectors, for which linear algebra has threads of its own."""
        terms = additive_terms(self.equation.body)
        return self.summed or len(terms) == 1 and any(isinstance(f, Reduce) and f.op == "sum" for f in factors(terms[0][1]))

    @property
    def is_entrywise(self) -> bool:
        """Whether it is more than products of matrices, which linear algebra would compute on all threads anyway."""
        return not all(any(_matrices(t)) for _, t in additive_terms(self.equation.body))

    def passes(self, least: int) -> int:
        """How long it takes, entry by entry: as many equations without functions of so many entries."""
        if not self.is_entrywise:
            return 0
        return 1 + cost.FUNCTION*sum(isinstance(x, Op) and x.op in SLOW for x in self.arrays(least))

    @property
    def is_shared_out(self) -> bool:
        """Whether it has a product of matrices which is one for all of the index, so that linear algebra shares it out by itself."""
        return any(self.summed or self.lead not in a & b for _, t in additive_terms(self.equation.body) for a, b in _matrices(t))

    def per_step(self) -> Iterator[tuple[Int, ...]]:
        """The sizes of what one value of the index holds, in each array over it."""
        if not self.summed:
            yield tuple(self.equation.ranges[i].size for i in self.equation.indices if i != self.lead)
        for r in self.reads:
            if self.leads(r):
                yield tuple(self.equation.ranges[str(s.name)].size for s in r.subs[1:])


@dataclass(frozen=True)
class Part:
    """The part at hand: the variable that holds its slice, how many there are in it, the tensors that exist only here."""

    slice: str
    range: Range
    local: frozenset[str]


def member(node: Node, storage: Mapping[str, Storage]) -> Member | None:
    """An equation that can be computed part by part, with its index."""
    if not isinstance(node, Compute) or node.guards:
        return None
    e = node.equation
    leads = [str(e.subs[0].name)] if e.subs and e.subs[0].name in e.ranges else []
    for lead, summed in [*((i, False) for i in leads), *((i, True) for i in _summed(e))]:
        if _can_lead(m := Member(e, lead, summed), storage):
            return m
    return None


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


def _can_lead(m: Member, storage: Mapping[str, Storage]) -> bool:
    e, lead = m.equation, m.lead
    bound = sum(lead in n.indices for n in walk(e.body) if isinstance(n, Reduce))
    values = {x for n in walk(e.body) if isinstance(n, IntValue) for x in _symbols(n.value)}
    if m.whole.lo != 0 or bound != m.summed or lead in values:
        return False
    for r in m.reads:
        involved = [k for k, s in enumerate(r.subs) if lead in _symbols(s)]
        plain = all(s.name in e.ranges and e.ranges[str(s.name)] == a for s, a in zip(r.subs, storage[r.tensor].axes, strict=False))
        if involved and (involved != [0] or not m.leads(r) or not plain or len({*r.subs}) < len(r.subs)):
            return False
    return any(m.leads(r) for r in m.reads)


def _symbols(value: Int) -> set[str]:
    """The names in an integer expression, but for those that only say which data are meant."""
    own = [a for monomial in value.terms for a in monomial if not isinstance(a, Element)]
    return {x for a in own for x in ({a} if isinstance(a, str) else set[str]().union(*map(_symbols, integer_parts(a))))}


def together(nodes: Sequence[Node], k: int, member_of: Callable[[int], Member | None], threads: int) -> dict[int, Member]:
    """Node k and those after it that are done part by part with it; none unless that pays. On one thread, no product is cut of which
    linear algebra gives the rows to its own threads."""

    def joins(j: int) -> Member | None:
        m = member_of(j)
        return None if m and threads == 1 and m.is_shared_out else m

    head = joins(k)
    if head is None or threads == 1 and not head.whole.size.is_constant:  # `in_parts` asks for sizes: nothing could pay
        return {}
    group = {k: head}
    parts, elsewhere = set[str](), set[str]()  # tensors of which the part at hand exists, and tensors that are computed later
    (elsewhere if head.summed else parts).add(head.tensor)
    for j in range(k + 1, len(nodes)):
        m = joins(j)
        if m and m.whole == head.whole and elsewhere.isdisjoint(m.equation.reads) and all(m.leads(r) for r in m.reads if r.tensor in parts):
            group[j] = m
            (elsewhere if m.summed else parts).add(m.tensor)
        else:
            elsewhere |= {e.tensor for e in equations_of(nodes[j])}
    arrays = largest(group.values())
    pays, most = any(cost.in_parts(head.whole.size, sizes, threads) for sizes in arrays), max(map(cost.entries, arrays))
    alike = all(m.is_product and m.passes(most) < 2 for m in group.values()) or not any(m.is_entrywise for m in group.values())
    return group if pays and not alike and not _share(nodes, group) else {}


def _share(nodes: Sequence[Node], group: Mapping[int, Member]) -> bool:
    """Whether an equation outside of the group computes one of its largest arrays as well."""
    most = cost.entries(max(largest(group.values()), key=cost.entries))
    mine = {x for m in group.values() for x in m.arrays(most)}
    others = [e for j, n in enumerate(nodes) if j not in group for e in equations_of(n)]
    return any(x in mine for e in others for x in walk(e.body) if isinstance(x, Op))


def largest(group: Collection[Member]) -> list[tuple[Int, ...]]:
    """The sizes of the arrays over the index, without the index, of which one may be the largest."""
    return _largest(sizes for m in group for sizes in m.per_step())


def results(group: Collection[Member]) -> list[tuple[Int, ...]]:
    """The sizes of the sums of which one may be the largest."""
    return _largest(tuple(m.equation.ranges[i].size for i in m.equation.indices) for m in group if m.summed)


def _largest(arrays: Iterable[tuple[Int, ...]]) -> list[tuple[Int, ...]]:
    """The sizes of those arrays that have the most entries if every size that is a name is the same."""
    found = dict.fromkeys(tuple(s for s in sizes if s != 1) for sizes in arrays)
    most = max(map(cost.entries, found), default=0)
    return [sizes for sizes in found if cost.entries(sizes) == most]
