"""Program -> program in which what is read at a//s is written s places at a time: e(⌊a/s⌋, a) = Σ_r [s | a − r] e((a − r)/s, a), r < s.

So it stands in the gradient of windows that lie side by side, as in pooling: `fold` writes the right-hand side in steps of s. What is
read over fewer indices than the result has, a statistic of a group of channels, is small, and stays a read.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...bounds import inside, never_negative
from ...expr import Expr, IntValue, Op, Read, add, has_reduction, ints, map_ints, neg, reads
from ...fresh import Fresh
from ...integer import FloorDiv, Int, Mod
from ...laws_of_conditions import drop_implied
from ...polynomial import additive_terms, guarded_factors, product
from ...program import Equation, Program, Range
from ...terms import Term
from ...tidy import Surroundings


def spread(program: Program) -> Program:
    """See the module's docstring."""
    if not any(isinstance(a, FloorDiv) for e in program.equations for r in reads(e.body) for s in r.subs for a in s.atoms()):
        return program
    ctx = Surroundings(program)
    return program.with_equations(_equation(ctx, e) for e in program.equations)


def _equation(ctx: Surroundings, e: Equation) -> Equation:
    ranges, parts = dict(e.ranges), []
    for sign, t in additive_terms(e.body):
        found = _term(ctx, e, t)
        if found is not None:
            ranges |= found.indices
            t = found.expression()
        parts.append(t if sign > 0 else neg(t))
    return replace(e, body=add(parts), ranges=ranges) if len(ranges) > len(e.ranges) else e


def _term(ctx: Surroundings, e: Equation, t: Expr) -> Term | None:
    """The sum over remainders that a term is, if it reads a whole array at quotients."""
    conditions, parts = guarded_factors(t)
    if has_reduction(t):  # a sum over remainders of sums would add them up again for each
        return None
    whole = next((f for f in parts if isinstance(f, Read) and _is_whole(e, f)), None)
    quotients = [q for s in whole.subs if (q := _divided(e, s, FloorDiv)) is not None] if whole else []
    if whole is None or not quotients or not all(never_negative(q.bottom - 1, {}, ctx.positive) for q in quotients):
        return None
    if any(_asks_for_remainder(c, q) for c in conditions for q in quotients):  # then `split` writes each remainder by itself
        return None
    if not all(_is_there(ctx, e, r, whole, parts) for r in reads(t)):
        return None
    fresh, indices, steps = Fresh({*ctx.program.names, *e.ranges}), {}, list(conditions)
    body = product(parts)
    for q in quotients:
        r = fresh("r")
        indices[r] = Range.upto(q.bottom)
        rest = q.top - Int.symbol(r)
        change = partial(Int.put, atoms={q: rest // q.bottom, Mod(q.top, q.bottom): Int.symbol(r)})
        body, steps = map_ints(change, body), [map_ints(change, c) for c in steps]
        steps.append(Op("==", (IntValue(rest % q.bottom), IntValue(Int.of(0)))))
    dims = {i: e.ranges[i] for i in e.indices}
    return drop_implied(Term(indices, tuple(steps), body), dims, ctx)


def _asks_for_remainder(condition: Expr, q: FloorDiv | Mod) -> bool:
    """Whether a condition asks for the remainder of what q divides, or of a place some steps from it."""
    found = (a for v in ints(condition) for a in v.atoms())
    return any(isinstance(a, Mod) and a.bottom == q.bottom and (a.top - q.top).is_constant for a in found)


def _divided(e: Equation, sub: Int, kind: type[FloorDiv] | type[Mod]) -> FloorDiv | Mod | None:
    """a//s, or a % s, for an index a of the left-hand side."""
    q = sub.lone
    return q if isinstance(q, kind) and q.top.name in e.indices and not q.bottom.symbols() & {*e.ranges} else None


def _is_whole(e: Equation, r: Read) -> bool:
    """Whether a read runs over all indices of the left-hand side, each on an axis of its own, and beside them over remainders."""
    named = [str(q.top.name) if (q := _divided(e, s, FloorDiv)) else str(s.name) for s in r.subs if not _divided(e, s, Mod)]
    return sorted(named) == sorted(e.indices)


def _is_there(ctx: Surroundings, e: Equation, r: Read, whole: Read, parts: list[Expr]) -> bool:
    """Whether a read is in range where the whole array's is, or ends the product."""
    axes, known = ctx.axes(r.tensor), dict(zip(whole.subs, ctx.axes(whole.tensor) or (), strict=False))
    if r in parts:
        return True
    return axes is not None and all(known.get(s) == a or inside(s, a, e.ranges, ctx.positive) for s, a in zip(r.subs, axes, strict=True))
