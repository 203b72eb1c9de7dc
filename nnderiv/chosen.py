"""Program in normal form -> the same program, in which what is read under a condition only, and may be infinite elsewhere, has it.

    z[i] = b[i]/m[i],  y[i] = where(m[i] > 0, z[i], 0)       z[i] = where(m[i] > 0, b[i]/m[i], 0)
                       u[i] = where(k[i] > 0, z[i], 0)       z[i] = where(m[i] > 0 or k[i] > 0, b[i]/m[i], 0) if that is read, too

No output changes: nobody reads the rest. But its gradient would be 0·∞ there, and is 0 now. So it is where b[i] may be missing (`missing`)
and a slope says its value, as in b[i]·m[i], but not in b[i] − m[i]. The condition is what all reads have in common, as far as the tensor's
own indices say it, and that one of those counts which differ; it is handed on, from z to what z reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import combinations

from .conditions import negation
from .expr import (
    COMPARISONS,
    ZERO,
    Expr,
    Num,
    Op,
    Read,
    Reduce,
    all_reads,
    children,
    conjunction,
    conjuncts,
    free_symbols,
    has_reduction,
    map_ints,
    reads,
    subst_indices,
    sums_among,
    walk,
    where,
)
from .graph import components
from .integer import Atom, Element, Int
from .missing import rests_on
from .polynomial import additive_terms, factors, guarded_factors, poles, product, signed, without
from .program import Equation, Program, Ranges
from .regular import is_regular
from .within import positive_names, readable

Conditions = tuple[Expr, ...]  # that hold together, said of a tensor's axes
MANY, LONG = 8, 64  # conditions of which one holds, and comparisons in them: to ask more would be a formula of its own


def where_chosen(program: Program) -> Program:
    """See the module's docstring."""
    positive, absent = positive_names(program), program.missing | program.doubted
    if not absent and all(is_tame(e.body, e.ranges, positive) for e in program.equations):
        return program
    known = _needed(program)
    while True:
        guarded = [_guarded(e, known.get(e.tensor, ()), program, absent, positive) for e in program.equations]
        more = {e.tensor for e in guarded if rests_on(e.body, absent, program)} - absent
        if not more:
            return program.with_equations(guarded)
        absent |= more


def is_tame(e: Expr, ranges: Ranges, positive: Collection[str]) -> bool:
    """Whether what is finite makes e finite, and its slopes. An exponential may overflow all the same; `lower.guarded` sees to that."""
    if isinstance(e, Reduce):
        return is_tame(e.body, ranges, positive)
    if not isinstance(e, Op):
        return True
    power = e.op == "sqrt" or e.op == "**" and not (isinstance(e.args[1], Num) and e.args[1].value >= 1)
    risky = any(map(reads, e.args[:1] if power else poles(e)))
    return not risky and is_regular(e, ranges, positive) and all(is_tame(x, ranges, positive) for x in e.args)


def _has_fixed_slopes(e: Expr) -> bool:
    """Whether the slopes of an expression depend on no value that it reads, conditions aside."""
    if isinstance(e, Read) or not reads(e):
        return True
    if not isinstance(e, Op) or e.op not in ("+", "neg", "*", "/", "where"):
        return False
    within = e.args[1:] if e.op == "where" else e.args
    linear = e.op in ("+", "neg", "where") or sum(bool(reads(x)) for x in within) == 1 and not (e.op == "/" and reads(e.args[1]))
    return linear and all(map(_has_fixed_slopes, within))


# -- what all reads have in common -----------------------------------------------------------------------------------------------
def _needed(program: Program) -> dict[str, Conditions]:
    """The conditions under which each tensor is read, all of them; one of which differ from read to read, outside of cycles."""
    known = _in_common(program)
    asked: dict[str, list[Conditions]] = {}
    for name in (n for component in reversed(components(program.edges)) for n in component if n in known):
        if name in asked and name not in program.outputs and name not in program.components:
            known[name] = _any_of(asked[name])
        for e in program.definitions[name]:
            for r, said in _asked(e, known[name]):
                asked.setdefault(r.tensor, []).append(said)
    return known


def _in_common(program: Program) -> dict[str, Conditions]:
    """The conditions under which all reads of each tensor stand; a cycle is gone through until nothing is dropped any more."""
    known: dict[str, Conditions] = {name: () for name in program.outputs}
    while True:
        before = dict(known)
        for e in reversed(program.equations):
            if e.tensor in known:
                for r, said in _asked(e, known[e.tensor]):
                    known[r.tensor] = tuple(c for c in known.get(r.tensor, said) if c in said)
        if known == before:
            return known


def _any_of(asked: Sequence[Conditions]) -> Conditions:
    """What holds where one of these does: what they have in common, and any of the rest. One that says more than another adds nothing."""
    common = tuple(c for c in asked[0] if all(c in a for a in asked))
    ways = {frozenset(way): way for a in asked for way in _ways([c for c in a if c not in common])}
    while (pair := next(filter(None, (_either(a, b) for a, b in combinations(ways, 2))), None)) is not None:
        a, b, both = pair
        first = ways.pop(a)
        ways = {k: way for k, way in ways.items() if k != b} | {both: tuple(c for c in first if c in both)}
    smallest = [way for k, way in ways.items() if not any(other < k for other in ways)]
    if len(smallest) == 1:
        return (*common, *smallest[0])
    if len(smallest) > MANY or sum(_comparisons(c) for way in smallest for c in way) > LONG:
        return common
    return (*common, Op("or", tuple(conjunction([*way]) for way in smallest)))


def _comparisons(condition: Expr) -> int:
    return sum(isinstance(n, Op) and n.op in COMPARISONS for n in walk(condition))


def _ways(conditions: Sequence[Expr]) -> list[Conditions]:
    """Conditions that hold together, by what fulfils them: of a lone c or d, each."""
    lone = conditions[0] if len(conditions) == 1 else None
    return [conjuncts(c) for c in lone.args] if isinstance(lone, Op) and lone.op == "or" else [tuple(conditions)]


def _either(a: frozenset[Expr], b: frozenset[Expr]) -> tuple[frozenset[Expr], frozenset[Expr], frozenset[Expr]] | None:
    """Both, and what is left of them, if c stands in one and not c in the other, beside the same."""
    one, other = [*a - b], [*b - a]
    return (a, b, a & b) if len(one) == len(other) == 1 and negation(one[0]) == other[0] else None


def _asked(e: Equation, known: Conditions) -> Iterator[tuple[Read, Conditions]]:
    """Each read of an equation, with what holds where it counts, said of the axes of what is read."""
    for r, conditions in _reads_under(e.body, _at(known, e.subs)):
        yield r, tuple(c for c in (_of_axes(c, r, e) for c in conditions) if c is not None)


def _reads_under(e: Expr, known: Conditions) -> Iterator[tuple[Read, Conditions]]:
    """Each read, with what holds where it counts."""
    if isinstance(e, Read):
        yield e, known
    elif isinstance(e, Op) and e.op == "where":
        test, a, b = e.args
        yield from _reads_under(test, known)
        yield from _reads_under(a, (*known, *conjuncts(test)))
        yield from _reads_under(b, (*known, *conjuncts(negation(test))))
    else:
        for child in children(e):
            yield from _reads_under(child, known)


def _axis(k: int) -> str:
    return f"\0{k}"


def _at(conditions: Conditions, subs: tuple[Int, ...]) -> Conditions:
    """What conditions on axes say of an element."""
    return tuple(subst_indices(c, {_axis(k): s for k, s in enumerate(subs)}) for c in conditions)


def _of_axes(c: Expr, r: Read, e: Equation) -> Expr | None:
    """A condition beside a read, said of the axes of what is read: [m[i+1] > 0] of z[i+1] as [m[a] > 0]; None if they do not say it.

    So is [m[t[i]] > 0] of z[t[i]].
    """
    places: dict[str, Int] = {}
    data: dict[Atom, Int] = {s.lone: Int.symbol(_axis(k)) for k, s in enumerate(r.subs) if isinstance(s.lone, Element)}
    c = map_ints(partial(Int.put, atoms=data), c) if data else c
    for k, s in enumerate(r.subs):
        for i in s.symbols() & e.ranges.keys():
            slope, rest = s.split(i) or (Int.of(0), s)
            if slope * slope == 1 and not rest.symbols() & e.ranges.keys() and not rest.elements():
                places.setdefault(i, (Int.symbol(_axis(k)) - rest) * slope)
    return subst_indices(c, places) if free_symbols(c) & e.ranges.keys() <= places.keys() else None


# -- their place in an equation ------------------------------------------------------------------------------------------------
def _guarded(e: Equation, known: Conditions, program: Program, absent: Collection[str], positive: Collection[str]) -> Equation:
    """The equation with what is known where it is read, around what may be infinite, or has slopes that say what may be missing."""
    cycle = program.components.get(e.tensor, frozenset())

    def can_be_asked(c: Expr) -> bool:
        return isinstance(c, Op) and bool(c.args) and not any(
            r.tensor in cycle or readable(program.hulls[r.tensor], r.subs, e.ranges, positive) for r in all_reads(c))

    conditions = [c for c in _at(known, e.subs) if can_be_asked(c)]
    if not conditions:
        return e

    def guarded(t: Expr) -> Expr:
        """What is missing is so entry by entry, and no sum says it."""
        if not has_reduction(t) and not _has_fixed_slopes(t) and rests_on(t, absent, program):
            return _where_all(conditions, t)
        return _under(conditions, t, e.ranges, positive)

    return e.with_body(signed([(s, guarded(t)) for s, t in additive_terms(e.body)]))


def _under(conditions: list[Expr], e: Expr, ranges: Ranges, positive: Collection[str]) -> Expr:
    """A term in normal form, c · sum[r](…) or a scalar, or an extreme: where the conditions hold; c goes into the sum if it must."""
    if isinstance(e, Reduce):
        return Reduce(e.op, e.indices, _under(conditions, e.body, ranges, positive))
    tame = [f for f in factors(e) if is_tame(f, ranges, positive)]
    risks = without(factors(e), tame)
    conditions = [c for c in conditions if any(_may_save(c, f, ranges) for f in risks)]
    if not conditions:
        return e
    if sums := sums_among(factors(e)):
        inside = [g for f in factors(e) if f in risks or f in sums for g in (factors(f.body) if isinstance(f, Reduce) else [f])]
        total = _under(conditions, product(inside), ranges, positive)
        return product([*(f for f in tame if f not in sums), Reduce("sum", sums[0].indices, total)])
    return _where_all(conditions, e)


def _may_save(c: Expr, risk: Expr, ranges: Ranges) -> bool:
    """Whether what may be infinite can be so just where a condition leaves it out. Not 1/t beside j ≤ i: it is the same at all i and j."""
    return bool(all_reads(c)) or bool(free_symbols(risk) & free_symbols(c) & ranges.keys())


def _where_all(conditions: list[Expr], e: Expr) -> Expr:
    """An expression where the conditions hold that it does not have yet."""
    return where(conjunction([c for c in conditions if c not in guarded_factors(e)[0]]), e, ZERO)
