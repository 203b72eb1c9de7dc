"""Program -> program in which every position that a reduction must leave out is left out by a condition, not by the meaning of reads.

Afterwards a read outside its tensor may simply be 0: in a sum of products it makes the term vanish, and wherever that is not
enough (a sum of exponentials, a quotient, a maximum of more than a lone read, a factor that is still to be computed, which a
recurrence may have to wait for) a `where` stands around the body. A read that is never inside is 0 already, and waits for nothing.
What integers leave out they leave out in one way: where(c, 0, x) is where(not c, x, 0). What one condition says, another within it
need not say again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from ...bounds import outside
from ...conditions import chosen_throughout, facts, negation
from ...expr import (
    COMPARISONS,
    INF,
    TRUE,
    ZERO,
    Expr,
    Op,
    Read,
    Reduce,
    is_where,
    map_children,
    nothing,
    own_reads,
    reads,
    restricted,
    walk,
    where,
)
from ...gaps import AT_ZERO, divides_by_gap
from ...integer import Int
from ...polynomial import factors
from ...program import Equation, Program, Range
from ...regular import is_regular
from ...simplify import may_be_infinite
from ...within import positive_names, readable
from ..schedule import depth, schedule

Place = tuple[str, tuple[Int, ...]]

def make_explicit(program: Program) -> Program:
    """See the module's docstring; the program is in normal form."""
    positive = positive_names(program)
    careful = program.with_equations(_equation(program, e, positive, is_careful=True) for e in program.equations)
    if not program.components:
        return careful
    bare = program.with_equations(_equation(program, e, positive, is_careful=False) for e in program.equations)
    ordered = {cycle: _is_as_deep(bare, careful, cycle) for cycle in {*program.components.values()}}
    pairs = zip(program.equations, bare.equations, careful.equations, strict=True)
    return program.with_equations(b if ordered.get(program.components.get(e.tensor, frozenset())) else c for e, b, c in pairs)


def _is_as_deep(bare: Program, careful: Program, cycle: frozenset[str]) -> bool:
    """Whether the loops of a recurrence go in the same order where nothing says that a factor of 0 need not be computed yet."""
    ways = [[e for e in p.equations if e.tensor in cycle] for p in (bare, careful)]
    return ways[0] != ways[1] and depth(schedule(bare, ways[0])) == depth(schedule(careful, ways[1])) < inf


def _equation(program: Program, e: Equation, positive: frozenset[str], is_careful: bool) -> Equation:
    """is_careful: what a recurrence reads of itself is not read beside a 0."""
    cycle, sizes = program.components.get(e.tensor, frozenset()) if is_careful else frozenset(), positive & {*program.sizes}

    def rewrite(node: Expr) -> Expr:
        if isinstance(node, Read) and _is_never(node.subs, program.hulls[node.tensor], e, positive):
            return ZERO
        if not isinstance(node, Reduce):
            return map_children(rewrite, node)
        if any(_is_never(subs, program.hulls[name], e, positive) for name, subs in own_reads(node.body)):
            return nothing(node.op)
        if node.op != "sum" and isinstance(node.body, Read) and not any(s.elements() for s in node.body.subs):
            return node  # the emitter reads −inf (inf) outside
        places = {r: readable(program.hulls[r[0]], r[1], e.ranges, positive, sizes) for r in own_reads(node.body)}
        implied = _vanishing(program, e, node.body, places) if node.op == "sum" else set()
        waiting = [r for r in places if r[0] in cycle]  # anything may stand there before it is computed; outside there is always 0
        conditions = [c for r, needs in places.items() for c in needs
                      if r not in implied or not all(w == r or c in places[w] for w in waiting)]
        return restricted(node, conditions)

    return e.with_body(_once(rewrite(_turned(e.body))))


def _turned(e: Expr) -> Expr:
    """where(not c, x, 0) for where(c, 0, x), where integers decide c."""
    if isinstance(e, Op) and e.op == "where" and e.args[1] == ZERO != e.args[2] and not reads(e.args[0]):
        return where(negation(e.args[0]), _turned(e.args[2]), ZERO)
    return map_children(_turned, e)


def _once(e: Expr) -> Expr:
    """where(1 <= i, x, 0) for where(1 <= i, where(i >= 1, x, 0), 0)."""
    if isinstance(e, Op) and e.op == "where" and any(map(_chooses, walk(e.args[1]))) and (known := facts(e.args[0])):

        def decide(c: Expr) -> Expr:
            """True, if what is to be ≥ 0 is no smaller than what is so already."""
            said = facts(c) if isinstance(c, Op) and c.op in COMPARISONS else []
            implied = (any((d := f - k).is_constant and d.constant >= 0 for k in known) for f in said)
            return TRUE if said and all(implied) else c

        e = where(e.args[0], chosen_throughout(e.args[1], decide), e.args[2])
    return map_children(_once, e)


def _chooses(e: Expr) -> bool:
    return isinstance(e, Op) and e.op == "where"


def _is_never(subs: tuple[Int, ...], axes: tuple[Range, ...], e: Equation, positive: frozenset[str]) -> bool:
    """Whether a place provably lies outside for all values of the indices."""
    shifted = [(s, axis) for s, axis in zip(subs, axes, strict=True) if e.ranges.get(s.name or "") != axis]
    return any(outside(s, axis, e.ranges, positive) for s, axis in shifted)


def _vanishing(program: Program, e: Equation, body: Expr, places: Mapping[Place, Sequence[Expr]]) -> set[Place]:
    """The reads that are factors of the body, or in a tanh that is: a zero in one is a zero of the whole, as long as the rest is finite.

    places: all reads of the body, each with what must hold for it to be inside.
    """
    positive = positive_names(program)

    def is_risky(f: Expr) -> bool:
        if isinstance(f, Read):
            written = f.tensor in program.with_infinities and f.tensor in program.unbounded and f.tensor in program.masked
            return written or f.tensor in program.divided_by_nothing
        leaving = {r for r in reads(f) if places[r.tensor, r.subs]}
        below = divides_by_gap(f, e.ranges, program)
        return below or bool(leaving) and not _stays_finite(f, leaving) or not is_regular(f, e.ranges, positive)

    while is_where(body, ZERO):
        body = body.args[1]
    parts = factors(body)
    risky = [f for f in parts if is_risky(f)]
    return {(r.tensor, r.subs) for f in parts if isinstance(r := _at_zero(f), Read) and all(g is f for g in risky)}


def _at_zero(f: Expr) -> Expr:
    """What stands in functions that are 0 at 0."""
    return _at_zero(f.args[0]) if isinstance(f, Op) and f.op in AT_ZERO else f


def _stays_finite(e: Expr, zeros: set[Read]) -> bool:
    """Whether zeros in place of these reads cannot make e infinite."""
    if isinstance(e, Op):
        return not may_be_infinite(e, zeros & {*reads(e)}) and all(_stays_finite(a, zeros) for a in e.args[e.op == "where":])
    return e != INF

