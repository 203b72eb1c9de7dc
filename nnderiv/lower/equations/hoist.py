"""Program -> program in which a recurrence does only what it must: parts that do not read the cycle are computed before it.

In z[t] = Σ U x[t] + Σ W h[t−1] + b, the first sum and b do not wait for h: they become one tensor, one matrix product for all t.
So do functions and products of data, and reads whose subscripts a loop variable would have to be checked for at every step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from ...bounds import inside, smaller_or_greater
from ...conditions import facts
from ...expr import (
    ONE,
    ZERO,
    Expr,
    Num,
    Op,
    Read,
    Reduce,
    bound_indices,
    children,
    conjuncts,
    free_symbols,
    is_condition,
    map_children,
    reads,
    tensor,
    tensors,
)
from ...fresh import Fresh
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program, Range, Ranges
from ...within import positive_names
from ..infinities import is_logsumexp
from ..schedule import Loop, schedule
from ..shares import shares
from ..storage import equations_of
from .quotients import log_exponents
from .scan import is_scan, vanishes


def hoist(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    return _Hoister(program, Fresh(program.names | known.names)).run() if program.components else program


class _Hoister:
    def __init__(self, program: Program, fresh: Fresh):
        self.program, self.recurrent = program, program.components
        self.positive = positive_names(program)
        self.fresh = fresh
        self.equations: list[Equation] = []
        self.known: dict[tuple[object, ...], Read] = {}
        self.loops: dict[frozenset[str], list[Loop]] = {}

    def run(self) -> Program:
        for e in self.program.equations:
            if e.tensor in self.recurrent and not self.is_start(e) and not is_scan(self.program, e):
                cycle = self.recurrent[e.tensor]
                e = e.with_body(self.rewrite(e, e.body, cycle))
            self.equations.append(e)
        return self.program.with_equations(self.equations)

    def steps(self, e: Equation) -> set[str]:
        """The indices along which the recurrence of an equation steps."""
        cycle = self.recurrent[e.tensor]
        if cycle not in self.loops:
            nodes = schedule(self.program, [x for x in self.program.equations if x.tensor in cycle])
            self.loops[cycle] = [n for n in nodes if isinstance(n, Loop)]
        return {str(e.subs[k].name) for loop in self.loops[cycle] for x in equations_of(loop) if x.tensor == e.tensor
                for k, s in enumerate(x.subs) if loop.variable in s.symbols()}

    def is_start(self, e: Equation) -> bool:
        """Whether an equation holds at a place of an axis along which another one of its tensor runs."""
        others = self.program.definitions[e.tensor]
        return any(s.name not in e.ranges and any(o.subs[k].name in o.ranges for o in others) for k, s in enumerate(e.subs))

    def rewrite(self, e: Equation, body: Expr, cycle: frozenset[str]) -> Expr:
        """The body with its largest parts that do not read the cycle, and are worth it, named."""
        if not tensors(body) & cycle:
            return self.name(e, body) if self.worthwhile(e, body) else body
        if isinstance(body, Op) and body.op in ("+", "neg"):
            return self.sum_(e, body, cycle)
        if isinstance(body, Op) and body.op == "*":
            return self.product(e, body, cycle)
        if isinstance(body, Reduce) and body.op == "sum":
            steps = self.steps(e)
            found = shares(body, [i for i in e.indices if i not in steps], partial(is_logsumexp, self.program))
            if found is not None and (found.rows or free_symbols(found.y).isdisjoint(steps)):
                return body  # a table of the shares would be over one index more than anything else is
        if log_exponents(body):
            return self.logarithm(e, body, cycle)
        if isinstance(body, Op) and body.op == "where" and (moved := self.where(e, body, cycle)) is not None:
            return moved
        return map_children(lambda child: self.rewrite(e, child, cycle), body)

    def sum_(self, e: Equation, body: Expr, cycle: frozenset[str]) -> Expr:
        terms = additive_terms(body)
        free = [(s, t) for s, t in terms if not tensors(t) & cycle]
        bound = [(s, self.rewrite(e, t, cycle)) for s, t in terms if tensors(t) & cycle]
        if not free:
            return signed(bound)
        together = signed(free)
        if any(self.worthwhile(e, t) for _, t in free) or len(free) > 1 and reads(together):
            return signed([(1, self.name(e, together)), *bound])
        return signed(free + bound)

    def product(self, e: Equation, body: Op, cycle: frozenset[str]) -> Expr:
        """Factors that do not read the cycle: computed together where that is no larger than the largest of them, else each by itself."""
        free = [f for f in body.args if not tensors(f) & cycle]
        if self.is_no_larger(e, free):
            parts = {f: ONE for f in free} | {free[0]: self.name(e, product(free))}
        else:
            parts = {f: self.name(e, f) for f in free if self.worthwhile(e, f)}
        return map_children(lambda f: parts.get(f) or (f if f in free else self.rewrite(e, f, cycle)), body)

    def logarithm(self, e: Equation, body: Expr, cycle: frozenset[str]) -> Expr:
        """log(exp(a) + exp(b)), of which the exponents alone are computed before: it is shifted as a whole; exp(a) may overflow."""
        if isinstance(body, Op) and body.op == "exp":
            return Op("exp", (self.rewrite(e, body.args[0], cycle),))
        return map_children(lambda child: self.logarithm(e, child, cycle), body)

    def is_no_larger(self, e: Equation, parts: list[Expr]) -> bool:
        """Whether one of several parts reads all that their product depends on, and there is more to it than a number."""
        over = [self.indices(e, f) for f in parts]
        more = sum(map(bool, over)) > 1 or any(self.worthwhile(e, f) for f in parts)
        return len(parts) > 1 and more and max(over, key=len) == self.indices(e, product(parts))

    def where(self, e: Equation, body: Op, cycle: frozenset[str]) -> Expr | None:
        """where(t + 1 < T, dh[t+1] a[t], 0) is dh[t+1] b[t] with b[t] = a[t] for t < T − 1: where the condition fails, both are 0. Of
        several factors, those that are the same for all t stay as they are."""
        free = [f for f in factors(body.args[1]) if not tensors(f) & cycle]
        bound = [f for f in factors(body.args[1]) if tensors(f) & cycle]
        conditions = conjuncts(body.args[0])
        ranges = narrowed(e.ranges, conditions, self.positive)
        if body.args[2] != ZERO or ranges is None or len(bound) != 1 or not isinstance(bound[0], Read):
            return None
        cut = {i for i, r in ranges.items() if r != e.ranges[i]}
        moving = [f for f in free if cut.intersection(self.indices(e, f)) or tensors(f) & self.program.unbounded]
        if not cut <= {*self.indices(e, product(moving))}:
            return None
        if not all(vanishes(self.program, e.ranges, bound[0], c) for c in conditions):
            return None
        together = [product(moving)] if self.is_no_larger(e, moving) else moving
        return product([*bound, *(self.name(replace(e, ranges=ranges), f) for f in together), *(f for f in free if f not in moving)])

    def worthwhile(self, e: Equation, body: Expr) -> bool:
        """A sum, a function or arithmetic of tensors; a read that is shifted against its tensor."""
        if isinstance(body, Read):
            return any(s.name is None and not inside(s, r, e.ranges, self.positive) for s, r in
                       zip(body.subs, self.program.hulls[body.tensor], strict=True)) if body.tensor in self.program.hulls else False
        if isinstance(body, Num) or not tensors(body):
            return False
        return isinstance(body, Reduce) or any(isinstance(c, Op | Reduce | Read) for c in children(body)) and not is_condition(body)

    def indices(self, e: Equation, body: Expr) -> list[str]:
        """Those of the body in the order of the left-hand side, whatever a `for` behind the equation begins with."""
        free = free_symbols(body)
        return [i for i in dict.fromkeys((*e.indices, *e.ranges)) if i in free]

    def name(self, e: Equation, body: Expr) -> Expr:
        indices = self.indices(e, body)
        ranges = {i: e.ranges[i] for i in [*indices, *bound_indices(body)]}
        key = (body, tuple(ranges.items()))
        if key not in self.known:
            name = self.fresh(f"{e.tensor}_pre")
            self.equations.append(Equation(name, tuple(s for i in indices for s in tensor("", i).subs), body, ranges))
            self.known[key] = tensor(name, *indices)
        return self.known[key]


def narrowed(ranges: Ranges, conditions: Iterable[Expr], positive: frozenset[str]) -> Ranges | None:
    """The ranges where all the conditions hold, if each bounds one index."""
    found = dict(ranges)
    for said in map(facts, conditions):
        for fact in said:
            bounded = [i for i in ranges if i in fact.symbols()]
            split = fact.split(bounded[0]) if len(bounded) == 1 and not fact.elements() else None
            if split is None or split[0] not in (1, -1):
                return None
            r, (sign, rest) = found[bounded[0]], split
            lo, hi = (-rest, r.hi) if sign == 1 else (r.lo, rest + 1)
            found[bounded[0]] = Range(smaller_or_greater("max", r.lo, lo, positive), smaller_or_greater("min", r.hi, hi, positive))
        if not said:
            return None
    return found
