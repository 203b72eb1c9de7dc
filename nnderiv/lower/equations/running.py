"""Program -> program in which a sum up to each step is the sum up to the step before, and one more.

    y[t,n] = Σ_s where(s <= t, x[s,n], 0)        y[t,n] = y[t−1,n] + x[t,n]
    d[s,n] = Σ_t where(s <= t, e[t,n], 0)        d[s,n] = d[s+1,n] + e[s,n]
    Σ_s where(s <= t, d[s] exp(a[t] − lse[s]), 0)    exp(a[t] − lse[t]) E[t],  E[t] = d[t] + exp(lse[t] − lse[t−1]) E[t−1]

which `accumulate` computes in one pass, where a product with a triangle of ones takes as many as there are steps. Of the shares, see
`running_logs`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...conditions import holds
from ...expr import (
    TRUE,
    ZERO,
    Expr,
    Op,
    Read,
    Reduce,
    compare,
    conjunction,
    free_symbols,
    is_where,
    reads,
    subst_indices,
    sums_among,
    where,
)
from ...fresh import Fresh
from ...gaps import divides_by_nothing
from ...polynomial import additive_terms, guarded_factors, product, signed
from ...program import Equation, Program
from ...within import positive_names
from ..running_logs import decay, last_step
from .up_to import UpTo


@dataclass(frozen=True)
class _Running(UpTo):
    """others · Σ summand over all s up to `last`, or from there on, under `conditions`; the summand is free of the index in `last`."""

    summand: Expr
    others: list[Expr]
    conditions: list[Expr]
    decay: Read | None = None  # b[s], if what is summed is times exp(b[last] − b[s])

    def some(self, e: Equation, positive: frozenset[str]) -> list[Expr]:
        """Where the sum has a term."""
        r = e.ranges[self.s]
        there = compare("<=", r.lo, self.last) if self.forwards else compare("<", self.last, r.hi)
        return [] if there == TRUE or holds(there, e.ranges, positive) else [there]


def running(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    fresh, positive = Fresh(program.names | known.names), positive_names(program)
    equations: list[Equation] = []
    for e in program.equations:
        may = program.whole(e.tensor) is not None and e.tensor not in program.components
        found = [(sign, t, _find(e, t, positive, (program, known)) if may else None) for sign, t in additive_terms(e.body)]
        if len(found) == 1 and (own := found[0][2]) is not None and found[0][0] > 0 and _is_all(e, own):
            equations.append(_recurrence(e, own, e.tensor))
            continue
        terms = []
        for sign, t, sums in found:
            if sums is not None:
                equations.append(r := _recurrence(e, sums, fresh(f"{e.tensor}_sum")))
                t = where(conjunction(sums.conditions), product([*sums.others, sums.whole(r)]), ZERO)
            terms.append((sign, t))
        equations.append(e.with_body(signed(terms)) if any(sums for *_, sums in found) else e)
    return program.with_equations(equations)


def _find(e: Equation, term: Expr, positive: frozenset[str], programs: tuple[Program, ...]) -> _Running | None:
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
            rest = tuple(i for i in total.indices if i != s)
            found = last_step(c, s, e.indices, e.ranges, positive)
            if found is None or {*rest} & found[0].symbols():  # it depends on what else is summed, how far the sum goes
                continue
            shares = [(f, d) for f in own if not rest and (d := decay(f, s, *found, programs, positive)) is not None]
            share, (now, lse) = shares[0] if len(shares) == 1 else (None, (None, None))
            left, beside = [f for f in own if f is not share], [*others, now] if now is not None else others
            summand = where(conjunction([x for x in conditions if x is not c]), product(left), ZERO)
            if (lse or s in free_symbols(summand)) and not free_symbols(summand) & found[0].symbols() & {*e.indices}:
                of_steps = _Running(s, *found, Reduce("sum", rest, summand) if rest else summand, beside, outer, lse)
                if not any(_may_be_infinite(f, e, programs[0]) for f in inner if f not in own):
                    return of_steps
                return None if is_where(summand, ZERO) else replace(of_steps, conditions=[*outer, *of_steps.some(e, positive)])
    return None


def _may_be_infinite(f: Expr, e: Equation, program: Program) -> bool:
    """Whether a factor that is taken out of a sum may be infinite where that has no term, and is 0."""
    return any(r.tensor in program.divided_by_nothing for r in reads(f)) or divides_by_nothing(f, e.ranges, program)


def _recurrence(e: Equation, sums: _Running, name: str) -> Equation:
    """The sums as a tensor, up to each s, or up to each step of the equation, if that is what it is."""
    step, subs = sums.place(e, name, free_symbols(sums.summand) | (free_symbols(sums.decay) if sums.decay else set()))
    summand = subst_indices(sums.summand, {sums.s: step})
    before: Expr = sums.before(name, step, subs)
    if sums.decay is not None:
        earlier = step + sums.shift
        now, last = (subst_indices(sums.decay, {sums.s: x}) for x in (step, earlier))
        r = e.ranges[sums.s]
        beyond = compare("<=", r.lo, earlier) if sums.forwards else compare("<", earlier, r.hi)
        before = where(beyond, product([Op("exp", (now - last,)), before]), ZERO)  # before the first step is nothing to decay
    bound = sums.summand.indices if isinstance(sums.summand, Reduce) else ()
    return Equation(name, subs, summand + before, {i: e.ranges[i] for i in (*(str(x.name) for x in subs), *bound)}, position=e.position)


def _is_all(e: Equation, sums: _Running) -> bool:
    """Whether an equation is the running sum at each step itself."""
    own = sums.goes_along(e, e.ranges[sums.s])
    return own and not sums.others and not sums.conditions and {*e.indices} <= free_symbols(sums.summand) | {str(sums.last.name)}
