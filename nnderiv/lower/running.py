"""Program -> program in which a sum up to each step is the sum up to the step before, and one more.

    y[t,n] = Σ_s where(s <= t, x[s,n], 0)        y[t,n] = y[t−1,n] + x[t,n]
    d[s,n] = Σ_t where(s <= t, e[t,n], 0)        d[s,n] = d[s+1,n] + e[s,n]

which `accumulate` computes in one pass, where a product with a triangle of ones takes as many as there are steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..bounds import never_negative
from ..conditions import facts
from ..expr import (
    ZERO,
    Expr,
    Read,
    Reduce,
    additive_terms,
    conjunction,
    free_symbols,
    guarded_factors,
    product,
    signed,
    subst_indices,
    sums_among,
    where,
)
from ..fresh import Fresh
from ..integer import Int
from ..program import Equation, Program
from ..within import positive_names
from . import cost


@dataclass(frozen=True)
class _Running:
    """others · Σ summand over all s up to `last`, or from there on, under `conditions`; the summand is free of the index in `last`."""

    s: str
    last: Int
    forwards: bool
    summand: Expr
    others: list[Expr]
    conditions: list[Expr]


def running(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    fresh, positive = Fresh(program.names | known.names), positive_names(program)
    shapes, equations = dict(program.shapes), list[Equation]()
    for e in program.equations:
        may = not e.is_base and len(program.definitions[e.tensor]) == 1 and e.tensor not in program.components
        found = [(sign, t, _find(e, t, positive) if may else None) for sign, t in additive_terms(e.body)]
        if len(found) == 1 and (own := found[0][2]) is not None and found[0][0] > 0 and _is_all(e, own):
            equations.append(_recurrence(e, own, e.tensor))
            continue
        terms = []
        for sign, t, sums in found:
            if sums is not None:
                equations.append(_recurrence(e, sums, fresh(f"{e.tensor}_sum")))
                r = equations[-1]
                shapes[r.tensor] = tuple(r.ranges[i] for i in r.indices)
                total = Read(r.tensor, tuple(x.subst({sums.s: sums.last}) for x in r.subs))
                t = where(conjunction(sums.conditions), product([*sums.others, total]), ZERO)
            terms.append((sign, t))
        equations.append(e.with_body(signed(terms)) if any(sums for *_, sums in found) else e)
    return program if equations == list(program.equations) else replace(program, equations=tuple(equations), shapes=shapes)


def _find(e: Equation, term: Expr, positive: frozenset[str]) -> _Running | None:
    """The running sum that a term is a multiple of."""
    outer, parts = guarded_factors(term)
    sums = sums_among(parts)
    if len(sums) != 1:
        return None
    (total,) = sums
    conditions, inner = guarded_factors(total.body)
    own = [f for f in inner if free_symbols(f) & {*total.indices}]
    others = [f for f in parts if f is not total] + [f for f in inner if f not in own]
    for c in conditions:
        for s in total.indices:
            summand = where(conjunction([x for x in conditions if x is not c]), product(own), ZERO)
            rest = tuple(i for i in total.indices if i != s)
            found = _last(e, c, s, positive)
            if found is None or {*rest} & found[0].symbols():  # it depends on what else is summed, how far the sum goes
                continue
            if s in free_symbols(summand) and not free_symbols(summand) & found[0].symbols() & {*e.indices}:
                return _Running(s, *found, Reduce("sum", rest, summand) if rest else summand, others, outer)
    return None


def _last(e: Equation, c: Expr, s: str, positive: frozenset[str]) -> tuple[Int, bool] | None:
    """(t, True) for the condition s <= t, (t, False) for s >= t, where t is an index of the result, or a step beside it, and an s."""
    known, r = facts(c), e.ranges[s]
    may = not cost.is_short(r.size) and never_negative(r.size, {}, positive)  # a recurrence has no fewer steps than none
    split = known[0].split(s) if len(known) == 1 and may else None
    if split is None or split[0] not in (1, -1) or len(split[1].symbols() & {*e.indices}) != 1:
        return None
    forwards = split[0] == -1
    t = split[1] if forwards else -split[1]
    beside = never_negative(r.hi - 1 - t if forwards else t - r.lo, e.ranges, positive)  # elsewhere it is outside, where nothing is
    return (t, forwards) if beside and not t.elements() else None


def _recurrence(e: Equation, sums: _Running, name: str) -> Equation:
    """The sums as a tensor, up to each s, or up to each step of the equation, if that is what it is."""
    (t,) = sums.last.symbols() & {*e.indices}
    step = Int.symbol(t if name == e.tensor else sums.s)
    summand = subst_indices(sums.summand, {sums.s: step})
    subs = tuple(step if x.name == t else x for x in e.subs if x.name == t or x.name in free_symbols(summand))
    before = Read(name, tuple(x + (-1 if sums.forwards else 1) if x == step else x for x in subs))
    bound = sums.summand.indices if isinstance(sums.summand, Reduce) else ()
    return Equation(name, subs, summand + before, {i: e.ranges[i] for i in (*(str(x.name) for x in subs), *bound)}, position=e.position)


def _is_all(e: Equation, sums: _Running) -> bool:
    """Whether an equation is the running sum at each step itself."""
    own = sums.last.name is not None and e.ranges[sums.last.name] == e.ranges[sums.s]
    return own and not sums.others and not sums.conditions and {*e.indices} <= free_symbols(sums.summand) | {str(sums.last.name)}
