"""Program -> program in which a sum that fades from step to step is the sum before, faded by one step, and one more.

    y[t,n] = Σ_s where(s <= t, w^(t−s) x[s,n], 0)        y[t,n] = w y[t−1,n] + x[t,n]
    y[t,n] = Σ_k exp(−k/τ[n]) x[t−k,n]   for k < T       y[t,n] = exp(−1/τ[n]) y[t−1,n] + x[t,n]
    G[t] = Σ_k γ^k r[t+k]   for k < T                    G[t] = γ G[t+1] + r[t]

So are moving averages, traces, and returns. The gradients are derived from the program that is left, and are scans as well: no table of
all pairs of steps is made, for any of them. What fades at a rate of its own at each step stays a sum: the product of the rates may be 0
where the exponential of their sum is not. So may it be for what is exp(a·d + b) at a distance d, if b and a are large and of either sign:
that is asked only of numbers in them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...bounds import never_negative
from ...conditions import holds
from ...expr import (
    ONE,
    ZERO,
    Expr,
    IntValue,
    Op,
    Read,
    Reduce,
    add,
    all_reads,
    compare,
    conjunction,
    free_symbols,
    has_reduction,
    map_sums,
    mul,
    neg,
    num,
    subst_indices,
    where,
)
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import factors, guarded_factors, product
from ...program import Equation, Program, Ranges
from ...within import positive_names, readable
from ..running_logs import last_step
from .up_to import UpTo


@dataclass(frozen=True)
class _Fading(UpTo):
    """others · Σ_s rate^|last − s| · summand over all s up to `last`, or from there on; rate and summand are free of what is in `last`."""

    rate: Expr
    summand: Expr
    others: Expr
    ranges: Ranges

    @property
    def letters(self) -> set[str]:
        return (free_symbols(self.rate) | free_symbols(self.summand)) & self.ranges.keys()


def decayed(program: Program) -> Program:
    """See the module's docstring; a program without such sums is given back itself."""
    fresh, equations = Fresh(program.names), list[Equation]()
    for e in program.equations:
        if program.whole(e.tensor) is None or e.tensor in program.components:
            equations.append(e)
            continue
        total = e.body if isinstance(e.body, Reduce) and e.body.op == "sum" else None
        if total is not None and (own := _find(program, e, total)) is not None and _is_all(e, own):
            equations.append(_recurrence(e, own, e.tensor))
            continue

        def in_steps(total: Reduce, e: Equation = e) -> Expr:
            if (found := _find(program, e, total)) is None:
                return total
            equations.append(r := _recurrence(e, found, fresh(f"{e.tensor}_sum")))
            return product([found.others, found.whole(r)])

        equations.append(e.with_body(map_sums(in_steps, e.body)))
    return program.with_equations(equations)


def _is_all(e: Equation, f: _Fading) -> bool:
    """Whether an equation is the sum at each step itself."""
    return f.goes_along(e, f.ranges[f.s]) and f.others == ONE and {*e.indices} == f.letters - {f.s} | {str(f.last.name)}


def _recurrence(e: Equation, f: _Fading, name: str) -> Equation:
    """The sum at each step, for all that it depends on."""
    step, subs = f.place(e, name, f.letters)
    summand = subst_indices(f.summand, {f.s: step})
    bound = summand.indices if isinstance(summand, Reduce) else ()
    ranges = {**f.ranges, str(step): f.ranges[f.s]}
    kept = {i: ranges[i] for i in (*(str(x.name) for x in subs), *bound)}
    return Equation(name, subs, product([f.rate, f.before(name, step, subs)]) + summand, kept, position=e.position)


def _find(program: Program, e: Equation, total: Reduce) -> _Fading | None:
    """What a sum of an equation is, if it is of this kind."""
    positive = positive_names(program)
    total = Reduce("sum", total.indices, product([_written_out(program, f, e.ranges) for f in factors(total.body)]))
    if not any(map(_may_fade, guarded_factors(total.body)[1])):
        return None
    for index in total.indices:
        whole, ranges, s = _by_place(program, e, total, index) or (total, e.ranges, index)
        if any(readable(program.hulls[r.tensor], r.subs, ranges, positive) for r in all_reads(whole.body)):
            continue  # where a read is outside there is nothing to add, whatever the formula makes of 0
        conditions, parts = guarded_factors(whole.body)
        conditions = [c for c in conditions if not holds(c, ranges, positive)]
        for c in conditions:
            last, rest = last_step(c, s, e.indices, ranges, positive), [x for x in conditions if x is not c]
            if last is not None and (found := _fading(parts, rest, s, *last, whole.indices, ranges)) is not None:
                return found
    return None


def _written_out(program: Program, f: Expr, ranges: Ranges) -> Expr:
    """A table of what fades, D[t,s] = where(s <= t, w^(t−s), 0), as what it is at a place; anything else as it stands."""
    table = program.whole(f.tensor) if isinstance(f, Read) else None
    if table is None or table.tensor in program.components or not any(map(_may_fade, guarded_factors(table.body)[1])):
        return f
    inside = isinstance(f, Read) and not readable(program.hulls[f.tensor], f.subs, ranges, positive_names(program))
    return table.at(f.subs) if inside and isinstance(f, Read) and not has_reduction(table.body) else f


def _may_fade(f: Expr) -> bool:
    """Whether a factor may be what fades: a power by an integer, or an exponential of one."""
    return isinstance(f, Op) and (f.op == "exp" or f.op == "**" and isinstance(f.args[1], IntValue))


def _by_place(program: Program, e: Equation, total: Reduce, k: str) -> tuple[Reduce, Ranges, str] | None:
    """Σ_k f(k) x[t−k] as Σ_s where(0 <= t − s, f(t − s) x[s], 0), if k goes as far as x does."""
    seen = {(r.subs[axis], program.hulls[r.tensor][axis]) for r in all_reads(total.body) for axis in range(len(r.subs))}
    moving = [(split, axis) for sub, axis in seen if k in sub.symbols() and (split := sub.split(k)) is not None]
    if len(moving) != 1 or moving[0][0][0] not in (1, -1) or not moving[0][0][1].symbols() & {*e.indices}:
        return None
    ((way, start), axis), r, s = moving[0], e.ranges[k], Fresh(program.names)("s")
    distance = way * (Int.symbol(s) - start)
    ranges = {**e.ranges, s: axis}
    if not never_negative(r.hi - 1 - distance, ranges, positive_names(program)):
        return None
    body = subst_indices(total.body, {k: distance})
    indices = tuple(s if i == k else i for i in total.indices)
    return Reduce("sum", indices, where(compare("<=", r.lo, distance), body, ZERO)), ranges, s


def _fading(
    parts: list[Expr], conditions: list[Expr], s: str, last: Int, forwards: bool, indices: Collection[str], ranges: Ranges
) -> _Fading | None:
    """The sum of a product over s up to `last`, or from there on, and over other indices, under further conditions."""
    now, rest = last.symbols() & ranges.keys(), tuple(i for i in indices if i != s)
    fading = [f for f in parts if s in free_symbols(f) and now & free_symbols(f)]
    others = [f for f in parts if not free_symbols(f) & {*indices}]
    summand = where(conjunction(conditions), product([f for f in parts if f not in fading and f not in others]), ZERO)
    found = [_power(f, s, last if forwards else -last, Int.symbol(s) if forwards else -Int.symbol(s)) for f in fading]
    if not found or {*rest} & now or now & free_symbols(summand):
        return None
    rates, ends = [x[0] for x in found if x is not None], [x[1] for x in found if x is not None]
    if len(rates) < len(found) or any(free_symbols(x) & {*now, *indices} for x in (*rates, *ends)):
        return None
    return _Fading(s, last, forwards, product(rates), Reduce("sum", rest, summand) if rest else summand, product([*others, *ends]), ranges)


def _power(f: Expr, s: str, last: Int, there: Int) -> tuple[Expr, Expr] | None:
    """(r, b) for a factor that is r^(last − there)·b; r is a whole power of what is raised, or the exponential of what has a sign."""
    if isinstance(f, Op) and f.op == "**" and isinstance(f.args[1], IntValue):
        found = _multiple(f.args[1].value, s, last - there)
        if found is None or found[0] < 1 or found[1] < 0:
            return None
        return _raised(f.args[0], found[0]), _raised(f.args[0], found[1])
    linear = _linear(f.args[0], s, last - there) if isinstance(f, Op) and f.op == "exp" else None
    return linear and (_exp(linear[0]), _exp(linear[1]))


def _multiple(value: Int, s: str, distance: Int) -> tuple[int, int] | None:
    """(α, β) for α·distance + β, numbers both."""
    own, unit = value.split(s), distance.split(s)
    if own is None or unit is None or not own[0].is_constant:
        return None
    alpha = own[0].constant * unit[0].constant  # the distance has s with 1 or −1 before it
    beta = value - distance * alpha
    return (alpha, beta.constant) if beta.is_constant else None


def _linear(x: Expr, s: str, distance: Int) -> tuple[Expr, Expr] | None:
    """(a, b) for a·distance + b."""
    if s not in free_symbols(x):
        return ZERO, x
    if isinstance(x, IntValue):
        found = _multiple(x.value, s, distance)
        if found is None or found[0] * found[1] < 0:  # exp(w·(d − 5)) may be 1 where exp(w) is ∞ and exp(−5w) is 0
            return None
        return num(found[0]), num(found[1])
    if not (isinstance(x, Op) and x.op in ("+", "*", "/", "neg")):
        return None
    parts = [_linear(a, s, distance) for a in x.args]
    pairs = [p for p in parts if p is not None]
    if len(pairs) < len(parts):
        return None
    if x.op == "+":
        return add([a for a, _ in pairs]), add([b for _, b in pairs])
    if x.op == "neg":
        return neg(pairs[0][0]), neg(pairs[0][1])
    moving = [k for k, (a, _) in enumerate(pairs) if a != ZERO]
    if len(moving) != 1 or x.op == "/" and moving != [0]:
        return None
    (a, b), around = pairs[moving[0]], [arg for k, arg in enumerate(x.args) if k != moving[0]]
    return (a / around[0], b / around[0]) if x.op == "/" else (mul([*around, a]), mul([*around, b]))


def _raised(base: Expr, power: int) -> Expr:
    return ONE if power == 0 else base if power == 1 else Op("**", (base, num(power)))


def _exp(x: Expr) -> Expr:
    return ONE if x == ZERO else Op("exp", (x,))
