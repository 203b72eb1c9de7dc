"""Terms of a gradient that are better computed by scattering: the adjoint of a strided window, of a diagonal, of a look-up.

    Σ_u [s | a + p − u] dY[(a + p − u)/s] W[u]      for every i, u: add dY[i] W[u] to dX[s·i + u − p]     `_fold`
    Σ_u dY[a − u] W[u]                              the same with s = 1, p = 0
    Σ_i,u [a = s·i + u − p] dY[i] W[u]              the same, as it is written for a transposed convolution
    Σ_n [tok[n] = a] dY[n, d]                       for every n: add dY[n, d] to dE[tok[n], d]             `_scatter`
    Σ_i [(i + 1) % N = a] dY[i]                     for every i: add dY[i] to dX[(i + 1) % N]              the same
    max_n where(to[n] = a, x[n, d], −inf)           for every n: y[to[n], d] = max(y[to[n], d], x[n, d])   the same
    logsumexp_n where(to[n] = a, x[n, d], −inf)     the maximum m, then log Σ exp(x[n, d] − m[to[n], d])   `_scatter_logsumexp`

`find_fold` reads the left-hand form back into the right-hand one, which needs no division and touches no zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..bounds import never_negative
from ..conditions import between, divisible, solved
from ..expr import (
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    compare,
    conjunction,
    considered,
    free_symbols,
    ints,
    nothing,
    reads,
    subst_indices,
    where,
)
from ..integer import Element, FloorDiv, Int, Mod
from ..polynomial import factors, guarded_factors, product
from ..program import Equation, Program, Range, Ranges
from ..simplify import truth
from ..within import positive_names
from . import cost

Axis = tuple[Int, tuple[tuple[str, Int], ...]] | None


@dataclass(frozen=True)
class Fold:
    """values over labels, to be added at the places that axes (or scatter) name on the left-hand side, counted from its first."""

    values: Expr
    order: tuple[str, ...]
    ranges: Ranges
    labels: tuple[str, ...]
    axes: tuple[Axis, ...] = ()
    scatter: tuple[Int, ...] | None = None
    scatter_labels: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    op: str = "sum"  # what several entries at one place become: their sum, "max", "min" or "logsumexp"


def find_fold(program: Program, e: Equation, term: Expr) -> Fold | None:
    """The scattering form of one additive term of an equation, where it has one and needs it."""
    if isinstance(term, Reduce) and term.op in ("max", "min", "logsumexp"):
        return _extreme(e, term)
    before, parts = guarded_factors(term)
    sums = [f for f in parts if isinstance(f, Reduce)]
    if len(sums) != 1 or sums[0].op != "sum" or any(reads(f) for f in parts if f is not sums[0]):
        return None
    others = [f for f in parts if f is not sums[0]]
    inner, body = guarded_factors(sums[0].body)
    conditions = [*inner, *before]
    return _strided(program, e, sums[0], conditions, body, others) or _lookup(e, sums[0], conditions, body, others)


def _extreme(e: Equation, term: Reduce) -> Fold | None:
    """max_n where(conditions, x, −inf), or the minimum, or a logsumexp."""
    conditions, body = considered(term.op, term.body)
    found = _lookup(e, term, conditions, [body], []) if conditions else None
    return replace(found, op=term.op) if found and not {*term.indices} - {*found.scatter_labels} else None


# -- strided windows ---------------------------------------------------------------------------------------------------------
def _strided(program: Program, e: Equation, sum_: Reduce, conditions: list[Expr], body: list[Expr], others: list[Expr]) -> Fold | None:
    """Σ_u [s | a + p − u] dY[(a + p − u)/s] W[u] as dY[i] W[u], added at s·i + u − p: for each index on the left, what takes its place."""
    ranges = dict(e.ranges)
    axes: dict[str, tuple[Int, tuple[tuple[str, Int], ...]]] = {}
    for a in e.indices:
        found = (_placed(program, a, conditions, ranges, sum_.indices) or _quotient(program, a, conditions, body, ranges, sum_.indices)
                 or _shared(program, a, body, ranges, sum_.indices))
        if found is None:
            continue
        new, value, drop = found
        conditions = [subst_indices(c, {a: value}) for c in conditions if c is not drop]
        body, others = ([subst_indices(f, {a: value}) for f in fs] for fs in (body, others))
        ranges |= new
        start, spans = _spans(value - e.ranges[a].lo, [*new, *sum_.indices], ranges)
        axes[a] = start, _widest_first(spans, ranges, e.ranges[a].size)
    if not axes or _leftover(axes, conditions, [*body, *others]):
        return None
    if any(start.symbols() & ranges.keys() or start.elements() for start, _ in axes.values()):
        return None  # where the window begins varies with another index
    labels: list[str] = []
    for i in e.indices:
        labels += [x for x, _ in axes[i][1]] if i in axes else [i]
    if len(set(labels)) != len(labels):
        return None
    summed = tuple(i for i in sum_.indices if i not in labels)
    values = where(conjunction(_settled(conditions, ranges, positive_names(program))), product(body), ZERO)
    values = product([*others, Reduce("sum", summed, values)]) if summed else product([*others, *factors(values)])
    # The axes that _fold walks through come first, so that what it adds lies together in memory.
    walked = [i for a_axes in axes.values() for i, _ in a_axes[1][1:]]
    sliced = [a_axes[1][0][0] for a_axes in axes.values()]
    kept = [i for i in labels if i not in walked and i not in sliced]
    order = (*kept, *walked, *sliced, *summed)
    return Fold(values, order, {i: ranges[i] for i in order}, tuple(labels),
                tuple(axes.get(i) for i in e.indices))


Found = tuple[dict[str, Range], Int, Expr | None]  # for a left-hand index: (the index that takes its place, the value, what says so)


def _placed(program: Program, a: str, conditions: list[Expr], ranges: Ranges, bound: tuple[str, ...]) -> Found | None:
    """a condition a = v, with summed indices in v, each in steps that do not vary: the sum itself says where it adds."""
    for c in conditions:
        place = _place(c, [a])
        if place is None:
            continue
        _, spans = _spans(place[1], list(bound), ranges)
        if spans and not any(step.symbols() & ranges.keys() or step.elements() or not _is_apart(program, step) for _, step in spans):
            return {}, place[1], c
    return None


def _is_apart(program: Program, step: Int) -> bool:
    """Whether steps of this length are provably steps."""
    return any(never_negative(s - 1, {}, positive_names(program)) for s in (step, -step))


def _quotient(program: Program, a: str, conditions: list[Expr], body: list[Expr], ranges: Ranges, bound: tuple[str, ...]) -> Found | None:
    """a condition s | v, v with a in it, and a factor read at q = v/s + c: a = s·(q − c) − (v − a), q over the range of that read."""
    for c in conditions:
        if (divided := divisible(c)) is None:
            continue
        split = divided.top.split(a)
        if split is None or not (split[0] == 1 or split[0] == -1):
            continue
        for r, past in _axes_from(program, Int.atom(FloorDiv(divided.top, divided.bottom)), body, ranges):  # beyond it the term is 0
            q = _new(a, ranges)
            return {q: r}, (divided.bottom * (Int.symbol(q) - past) - split[1]) * split[0], c
    return None


def axes_at(program: Program, sub: Int, parts: list[Expr]) -> list[Range]:
    """The axes at which factors are read with this subscript."""
    return [r for f in parts if isinstance(f, Read) for s, r in zip(f.subs, program.hulls[f.tensor], strict=True) if s == sub]


def _axes_from(program: Program, start: Int, parts: list[Expr], ranges: Ranges) -> Iterator[tuple[Range, Int]]:
    """The axes at which factors are read at start + c, with c: a number, or what is the same for all indices."""
    for f in parts:
        for s, r in zip(f.subs, program.hulls[f.tensor], strict=True) if isinstance(f, Read) else ():
            if not (s - start).symbols() & ranges.keys() and not (s - start).elements():
                yield r, s - start


def _shared(program: Program, a: str, body: list[Expr], ranges: Ranges, bound: tuple[str, ...]) -> Found | None:
    """A factor read at a − u, the adjoint of a window at i + u; or at a ± u and, on another axis, at u, which no view can give."""
    for f in body:
        if not isinstance(f, Read):
            continue
        for k, s in enumerate(f.subs):
            split = s.split(a)
            if split is None or not (split[0] == 1 or split[0] == -1) or s.elements():
                continue
            moving = [u for u in bound if u in s.symbols()]
            steps = [-c[0] * split[0] for u in moving if (c := s.split(u)) is not None]
            backwards = any(never_negative(step - 1, {}, positive_names(program)) for step in steps)
            elsewhere = {x for j, t in enumerate(f.subs) if j != k for x in t.symbols()}
            if (backwards or elsewhere & set(moving)) and all(_goes_along(g, a, s, moving) for g in body):
                if cost.reads_few(ranges[a].size, [ranges[u].size for u in moving], program.hulls[f.tensor][k].size):
                    continue
                q = _new(a, ranges)
                return {q: program.hulls[f.tensor][k]}, (Int.symbol(q) - split[1]) * split[0], None
    return None


def _goes_along(f: Expr, a: str, s: Int, moving: list[str]) -> bool:
    """Whether a factor over what moves needs a for s alone: P[a,u] would be read askew, at s and u, if s took the place of a."""
    return free_symbols(f).isdisjoint(moving) or all(v == s for v in ints(f) if a in v.symbols())


def _new(a: str, ranges: Ranges) -> str:
    name = f"{a}_q"
    while name in ranges:
        name += "q"
    return name


def _spans(value: Int, names: list[str], ranges: Ranges) -> tuple[Int, tuple[tuple[str, Int], ...]]:
    """value = start + Σ step·k with each k counted from 0."""
    start, spans = value, []
    for n in names:
        split = start.split(n)
        if n in value.symbols() and split is not None:
            spans.append((n, split[0]))
            start = start.subst({n: ranges[n].lo})
    return start, tuple(spans)


def _widest_first(spans: tuple[tuple[str, Int], ...], ranges: Ranges, along: Int) -> tuple[tuple[str, Int], ...]:
    """The index that _fold adds as one slice first: the one that runs along the whole axis; in doubt, the one with the long steps."""
    return tuple(sorted(spans, key=lambda s: (not along.symbols() <= ranges[s[0]].size.symbols(), s[1] == 1)))


def side_by_side(fold: Fold, sizes: Sequence[Int]) -> tuple[str, ...] | None:
    """The labels in the order in which the entries follow one another on the left-hand side, and fill it: dX[M·n + m] = dY[n, m]."""
    found: list[str] = []
    labels = iter(fold.labels)
    for axis, size in zip(fold.axes, sizes, strict=True):
        group = [next(labels) for _ in (axis[1] if axis else [0])]
        left, step, inner = {k: i for i, k in axis[1]} if axis else {}, Int.of(1), list[str]()
        while left and step in left:
            inner.insert(0, left.pop(step))
            step = step * fold.ranges[inner[0]].size
        if axis and (axis[0] != 0 or len(inner) < len(group) or step != size):
            return None
        found += inner or group
    return tuple(found)


def _leftover(axes: Mapping[str, object], conditions: list[Expr], body: list[Expr]) -> bool:
    """Whether an index that was to disappear is still there, or a division that the fold was to undo."""
    everything = [*conditions, *body]
    if any(free_symbols(x) & axes.keys() for x in everything):
        return True
    return any(isinstance(atom, FloorDiv) for x in body for v in ints(x) for atom in v.atoms())


def _settled(conditions: list[Expr], ranges: Ranges, positive: frozenset[str]) -> list[Expr]:
    """The conditions without those that the new ranges make certain; what no index moves is asked because a size may be 0."""
    kept = []
    for c in conditions:
        if isinstance(c, Op) and len(c.args) == 2 and all(isinstance(x, IntValue) for x in c.args):
            a, b = (x.value for x in c.args if isinstance(x, IntValue))
            if (a - b).symbols() & ranges.keys() and truth(c.op, a - b, ranges, positive):
                continue
            c = compare(c.op, a, b)
        kept.append(c)
    return kept


# -- look-ups ----------------------------------------------------------------------------------------------------------------
def _lookup(e: Equation, sum_: Reduce, conditions: list[Expr], body: list[Expr], others: list[Expr]) -> Fold | None:
    """Conditions data = a for left-hand indices a: scatter at the data. One place may say another: d = s[x], and (s[x] - d)//2."""
    places: dict[str, Int] = {}
    rest = []
    for c in conditions:
        at = _data_place(subst_indices(c, places), e.indices)
        if at is not None:
            places = {**{a: v.subst(dict([at])) for a, v in places.items()}, at[0]: at[1]}
        else:
            rest.append(c)
    if not places:
        return None
    rest = [subst_indices(c, places) for c in rest]
    body, others = ([subst_indices(f, places) for f in fs] for fs in (body, others))
    if any(free_symbols(x) & places.keys() for x in [*rest, *body, *others]):
        return None
    kept = [i for i in e.indices if i not in places]
    bound = [i for i in sum_.indices if any(i in v.symbols() for v in places.values())]
    shared = [i for i in kept if any(i in v.symbols() for v in places.values())]  # image by image: its number is a place too
    kept = [i for i in kept if i not in shared]
    moved = (*shared, *places, *kept)
    labels = (*shared, *bound, *kept)
    summed = tuple(i for i in sum_.indices if i not in bound)
    numbers = [f for f in others if isinstance(f, Num)]
    body, others = [*numbers, *body], [f for f in others if f not in numbers]
    values = where(conjunction(_beside_places(rest, places, e.ranges)), product(body), nothing(sum_.op))
    values = product([*others, Reduce("sum", summed, values)]) if summed else product([*others, *factors(values)])
    order = (*labels, *summed)
    ranges = {i: e.ranges[i] for i in order}
    scattered = tuple(v - e.ranges[a].lo for a, v in [*((i, Int.symbol(i)) for i in shared), *places.items()])
    return Fold(values, order, ranges, labels, scatter=scattered, scatter_labels=(*shared, *bound), moved=moved)


def _beside_places(conditions: list[Expr], places: Mapping[str, Int], ranges: Ranges) -> list[Expr]:
    """The conditions and, if there are any, that what is scattered has a place: then several tensors, each scattered to where it was
    looked up, are one and the same array, computed once."""
    if not any(c.elements() for x in conditions for c in ints(x)):
        return conditions
    inside = [c for a, v in places.items() for c in between(ranges[a], v)]
    return sorted(dict.fromkeys([*conditions, *inside]), key=str)


def _data_place(c: Expr, vectors: Sequence[str]) -> tuple[str, Int] | None:
    """(a, v) for a condition v = a whose v holds data, or a remainder, as (i + 1) % N on a ring."""
    place = _place(c, vectors)
    return place if place is not None and any(isinstance(x, Element | Mod) for x in place[1].atoms()) else None


def _place(c: Expr, vectors: Sequence[str]) -> tuple[str, Int] | None:
    """(a, v) for a condition a = v, with a one of these indices."""
    at = dict(solved(c))
    return next(((a, at[a]) for a in vectors if a in at), None)
