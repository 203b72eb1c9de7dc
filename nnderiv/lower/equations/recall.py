"""Programs -> programs in which a function that forward and backward both need is computed once, and kept.

    y = x σ(x),   dx = dy σ(x) (1 + x (1 − σ(x)))          s = σ(x),   y = x s,   dx = dy s (1 + x (1 − s))

Only functions that cost more than reading an array are: these, also as tables of several indices, roots of several tensors, as distances
are, and what is computed to be held between two numbers. GELU is written with Φ for it, and SiLU with σ. Beyond the end of a loop nothing
is kept, and there dc[t+1] σ(z[t+1]) is dc[t+1] s[t+1] nevertheless: dc is 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial

from ...bounds import never_negative
from ...conditions import equalities, facts, negation
from ...expr import Expr, Num, Op, Read, Reduce, all_reads, children, conjuncts, free_symbols, map_children, reads, subst_indices, walk
from ...facts import FINITE
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import factors, poles
from ...program import Equation, Program, Range, Ranges
from ...within import positive_names, readable
from ..infinities import is_logsumexp
from ..normal_distribution import HALF, TWO, argument, twice
from ..shares import shares
from .calls import COSTLY, Call, Table, calls, table
from .known import with_known
from .quotients import log_exponents

Beside = tuple[Read, ...]
Known = tuple[Int, ...]  # what is at least 0 where something counts
Kept = Mapping[object, list[tuple[Equation, Table]]]  # function -> (the first equation that needs it, the function as a tensor), ...


def recall(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    own = [e for e in backward.equations if e.tensor not in forward.definitions]
    wanted = {call.key for e in own for call in _calls(backward, e, _opened(e, e.body))}
    kept = _kept(forward, wanted, Fresh(forward.names | backward.names)) if wanted else {}
    if not kept:
        return forward, backward
    new = [(first, t.equation) for tables in kept.values() for first, t in tables if t.equation is not first]
    equations: list[Equation] = []
    for e in forward.equations:
        equations += [_reading(forward, added, added.body, kept) for first, added in new if first is e]
        equations.append(_reading(forward, e, _opened(e, e.body, kept), kept))
    known = forward.with_equations(equations)
    own = [_reading(backward, e, _opened(e, e.body, kept), kept) for e in own]
    return known, with_known(replace(backward, equations=tuple(own)), own, known)


def _kept(forward: Program, wanted: Collection[object], fresh: Fresh) -> Kept:
    """The functions that are wanted, as tensors: those that are some already, and new ones for other places."""
    found: dict[object, list[tuple[Equation, Table]]] = {}
    positive = positive_names(forward)
    for e in forward.equations:
        for call in calls(e, e.body) if len(forward.definitions[e.tensor]) == 1 else ():
            if call.key in wanted and (there := table(e, call)) is not None:
                found.setdefault(call.key, [(e, there)])
    for e in forward.equations:
        for call in _calls(forward, e, _opened(e, e.body, wanted)) if not e.is_base else ():
            shifts = call.shifts(e) if call.key in wanted and call.function != e.body else None
            if shifts is not None:
                made = _of_all_places(forward, e, call, shifts) or _as_read(e, call, shifts)
                if all(made.is_apart(other, positive) for _, other in found.get(call.key, ())):
                    found.setdefault(call.key, []).append((e, made.named(fresh(made.equation.tensor))))
    return found


def _as_read(e: Equation, call: Call, shifts: dict[str, Int]) -> Table:
    """The function at each index of the equation: y_tanh[t] = tanh(y[t−1])."""
    return _named(e, call, tuple(map(Int.symbol, shifts)), call.function, {i: e.ranges[i] for i in shifts}, shifts)


def _of_all_places(program: Program, e: Equation, call: Call, shifts: dict[str, Int]) -> Table | None:
    """y_tanh[t] = tanh(y[t]) for all of a tensor, if a sum asks for it outside too, at t − 1: there no tensor has a value, nor has this.
    Not tanh(y[t+1]/(t + 1)): what is divided by is 0 at t = −1, which is of all places, and no term of the sum."""
    of = [r for r in reads(call.function) if r.subs]
    reduced = any(isinstance(n, Reduce) and call.function in walk(n.body) for n in walk(e.body))
    if not reduced or len(of) != 1 or of[0].subs != call.at or not readable(program.hulls[of[0].tensor], call.at, e.ranges, frozenset()):
        return None
    if any(isinstance(n, Op) and any(not reads(x) and free_symbols(x) & shifts.keys() for x in poles(n)) for n in walk(call.function)):
        return None
    subs, ranges = tuple(map(Int.symbol, shifts)), dict(zip(shifts, program.hulls[of[0].tensor], strict=True))
    body = subst_indices(call.function, {i: Int.symbol(i) - shift for i, shift in shifts.items()})
    return _named(e, call, subs, body, ranges, dict.fromkeys(shifts, Int.of(0)))


def _named(e: Equation, call: Call, subs: tuple[Int, ...], body: Expr, ranges: Ranges, shifts: dict[str, Int]) -> Table:
    """The function, with a name that says what it is; of 2Φ(x), Φ(x)."""
    if argument(call.function) is not None:
        return Table(Equation(f"{e.tensor}_normal", subs, HALF*body, ranges), shifts, TWO)
    kind = call.function.op if call.function.op in (*COSTLY, "sqrt") else "held"
    return Table(Equation(f"{e.tensor}_{kind}", subs, body, ranges), shifts)


# -- calls -------------------------------------------------------------------------------------------------------------------
def _calls(program: Program, e: Equation, node: Expr) -> Iterator[Call]:
    """The costly functions in an expression, but for those under a condition on indices: it may choose a few places. Data choose many.
    Nor those of a sum of shares, which is a product of matrices."""
    if isinstance(node, Op) and node.op == "where" and not all_reads(node.args[0]):
        return
    yield from calls(e, node)
    places = _looked_up(e, node)
    found = shares(node, e.indices, partial(is_logsumexp, program)) if isinstance(node, Reduce) else None
    for child in _children(node) if found is None or not found.rows else found.weights:
        yield from (call for call in _calls(program, e, child) if not places or not {s.name for s in call.at} & places)


def _looked_up(e: Equation, node: Expr) -> set[str]:
    """The indices that are one place for each of the others under a condition, k in where(t[n] = k, …): no table has all n and k."""
    asked = conjuncts(node.args[0]) if isinstance(node, Op) and node.op == "where" else []
    return {str(a.name) for c in asked for a, b in equalities(c) if a.name in e.ranges and b.elements()}


def _children(node: Expr) -> tuple[Expr, ...]:
    """What may be kept of an expression: nothing of log(exp(a) + exp(b)), which is shifted as a whole; of 2Φ(x), what is in x."""
    x = argument(node)
    return () if log_exponents(node) else tuple(children(node)) if x is None else (x,)


def _beside(node: Expr, beside: Beside) -> Beside:
    """Reads of which each makes the whole 0 where it is 0, whatever finite value stands below this node."""
    if isinstance(node, Op) and node.op == "*":
        return (*beside, *(f for f in factors(node) if isinstance(f, Read)))
    power = isinstance(node, Op) and node.op == "**" and isinstance(node.args[1], Num) and node.args[1].value > 0
    return beside if power or isinstance(node, Op) and node.op in FINITE else ()


# -- equations ---------------------------------------------------------------------------------------------------------------
def _opened(e: Equation, node: Expr, wanted: Collection[object] | None = None) -> Expr:
    """GELU and SiLU by the functions that they are made of, where these are wanted: some, or all. The half of a 2Φ(x) stands beside it."""
    if isinstance(node, Op) and node.op == "/" and node.args[1] == TWO and any(argument(f) is not None for f in factors(node.args[0])):
        node = HALF*node.args[0]
    if isinstance(node, Op) and node.op in ("gelu", "silu"):
        x = node.args[0]
        f = Op("sigmoid", (x,)) if node.op == "silu" else twice(x)
        if any(wanted is None or call.key in wanted for call in calls(e, f)):
            return x*f if node.op == "silu" else HALF*x*f
    return map_children(lambda child: _opened(e, child, wanted), node)


def _reading(program: Program, e: Equation, body: Expr, kept: Kept) -> Equation:
    """The equation with this body, where the functions that are kept are read."""
    positive = positive_names(program)

    def is_kept(s: Int, r: Range, beside: Beside, known: Known) -> bool:
        """Whether the place s is among those that are kept, or else one at which what stands beside is 0."""
        hulls = [hull for b in beside for place, hull in zip(b.subs, program.hulls[b.tensor], strict=True) if place == s]
        above = never_negative(s - r.lo, e.ranges, positive, known) or any(never_negative(h.lo - r.lo, {}, positive) for h in hulls)
        return above and (never_negative(r.hi - 1 - s, e.ranges, positive, known)
                          or any(never_negative(r.hi - h.hi, {}, positive) for h in hulls))

    def left_out(call: Call, there: Table) -> tuple[set[Expr], set[Expr]]:
        """What a reduction asks for that leaves places out: of what the function reads, and of the name of the function."""
        sizes = positive & {*program.sizes}
        before = {c for r in reads(call.function) for c in readable(program.hulls[r.tensor], r.subs, e.ranges, positive, sizes)}
        return before, {*readable(there.ranges, there.places(call), e.ranges, positive, sizes)}

    def has_value(call: Call, there: Table, beside: Beside, reduced: bool, known: Known) -> bool:
        """Whether the tensor has the value of the call wherever that is asked for."""
        before, after = left_out(call, there) if reduced else (set(), set())
        kept = all(is_kept(s, r, beside, () if reduced else known) for s, r in zip(there.places(call), there.ranges, strict=True))
        return kept and before <= after or reduced and before == after

    def visit(node: Expr, beside: Beside, reduced: bool, known: Known) -> Expr:
        for call in calls(e, node):
            for _, there in kept.get(call.key, ()):
                if there.equation.tensor != e.tensor and has_value(call, there, beside, reduced, known):
                    return there.times*Read(there.equation.tensor, there.places(call))
        if not _children(node):
            return node
        if (x := argument(node)) is not None:
            return twice(visit(x, (), reduced, known))
        below = _beside(node, beside), reduced or isinstance(node, Reduce)
        if isinstance(node, Op) and node.op == "where":
            test, one, other = node.args
            return Op("where", (visit(test, *below, known), visit(one, *below, (*known, *facts(test))),
                                visit(other, *below, (*known, *facts(negation(test))))))
        return map_children(lambda child: visit(child, *below, known), node)

    return e.with_body(visit(body, (), False, ()))
