"""Recurrences in a program of which `accumulate` computes all steps at once, scans: linear ones, y[t] = a[t]·y[t−1] + x[t], and those
that are linear in another arithmetic, max(y[t−1] + a[t], x[t]) and log(exp(y[t−1] + a[t]) + exp(x[t])).

Nothing is to be handed on from step to step (`carry`) or to be computed before (`hoist`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from ...bounds import outside
from ...conditions import facts
from ...expr import ONE, ZERO, Expr, Op, Read, add, additive_terms, conjuncts, factors, product, reads, signed, tensors, where
from ...integer import Int
from ...program import Equation, Program, Ranges
from ...within import positive_names, runs_along
from .quotients import log_exponents


def is_scan(program: Program, e: Equation) -> bool:
    """Whether an equation is all of a scan: y[…, t, …] = a·y[…, t ± 1, …] + x, for whole rows from the first one on."""
    before = {r for r in reads(e.body) if r.tensor == e.tensor}
    if program.components.get(e.tensor) != frozenset({e.tensor}) or len(before) != 1 or linear(program, e, *before) is None:
        return False
    steps = {k: there - here for k, (here, there) in enumerate(zip(e.subs, before.pop().subs, strict=True)) if here != there}
    rows = [k for k in range(len(e.subs)) if k not in steps]
    whole = runs_along([e.subs[k] for k in rows], [program.hulls[e.tensor][k] for k in rows], e.ranges)
    if [*steps.values()] not in ([-1], [1]) or not whole:
        return False
    return all(d is e or any(_is_start(e, d, *step) for step in steps.items()) for d in program.definitions[e.tensor])


def _is_start(e: Equation, d: Equation, axis: int, step: Int) -> bool:
    """Whether one equation is the row before the first one of another, which goes on from it by steps."""
    first = e.ranges[str(e.subs[axis].name)]
    return d.is_base and d.subs == (*e.subs[:axis], first.lo - 1 if step == -1 else first.hi, *e.subs[axis + 1:])


def linear(program: Program, e: Equation, y: Read) -> tuple[str, Expr, Expr] | None:
    """(the ufunc, x, a) of a right-hand side a·y + x, in one of the arithmetics: ("maximum", x, a) is max(y + a, x)."""
    found = _Affine(program, e, y).parts(e.body)
    if found is not None:
        return "add", found[1], found[0]
    terms = additive_terms(e.body)
    own = [(s, t) for s, t in terms if y.tensor in tensors(t)]
    others = signed([x for x in terms if x not in own])
    chosen = _shifted(own[0][1], y) if [s for s, _ in own] == [1] else None
    return chosen and (chosen[0], add([chosen[1], others]), add([chosen[2], others]))


def _shifted(e: Expr, y: Read) -> tuple[str, Expr, Expr] | None:
    """The same of an extreme, or of log(exp(y + a) + exp(x)), with nothing added to it."""
    extreme = e.op if isinstance(e, Op) and e.op in ("max", "min") else ""
    parts = _arguments(e, extreme) if extreme else log_exponents(e)
    own, rest = [p for p in parts if y.tensor in tensors(p)], [p for p in parts if y.tensor not in tensors(p)]
    terms = additive_terms(own[0]) if len(own) == 1 and rest else []
    if terms.count((1, y)) != 1:
        return None
    a = signed([x for x in terms if x != (1, y)])
    if y.tensor in tensors(a):
        return None
    if extreme:
        return f"{extreme}imum", reduce(lambda x, z: Op(extreme, (x, z)), rest), a
    return "logaddexp", rest[0] if len(rest) == 1 else Op("log", (add([Op("exp", (x,)) for x in rest]),)), a


def _arguments(e: Expr, extreme: str) -> list[Expr]:
    """What the maximum, or the minimum, is taken of, in one inside the other too."""
    return [x for arg in e.args for x in _arguments(arg, extreme)] if isinstance(e, Op) and e.op == extreme else [e]


@dataclass(frozen=True)
class _Affine:
    """(a, x) of a·y + x; of where(c, a·y, 0) it is (a, 0) if y is read outside its tensor wherever c does not hold, and
    (where(c, a, 0), 0) if y is finite."""

    program: Program
    equation: Equation
    y: Read

    def parts(self, body: Expr) -> tuple[Expr, Expr] | None:
        slopes, rest = list[tuple[int, Expr]](), list[tuple[int, Expr]]()
        for sign, t in additive_terms(body):
            own = [f for f in factors(t) if self.y.tensor in tensors(f)]
            others = [f for f in factors(t) if self.y.tensor not in tensors(f)]
            found = (ZERO, ONE) if not own else self.factor(own[0]) if len(own) == 1 else None
            if found is None:
                return None
            for terms, part in zip((slopes, rest), found, strict=True):
                terms += [(sign, product([*others, part]))] if part != ZERO else []
        return signed(slopes), signed(rest)

    def factor(self, f: Expr) -> tuple[Expr, Expr] | None:
        """The same of one factor, which reads y."""
        if f == self.y:
            return ONE, ZERO
        if isinstance(f, Op) and f.op == "where":
            return self.choice(*f.args)
        return self.parts(f) if len(additive_terms(f)) > 1 else None

    def choice(self, c: Expr, one: Expr, other: Expr) -> tuple[Expr, Expr] | None:
        """The same of where(c, one, other)."""
        chosen, rejected = self.parts(one), self.parts(other)
        if chosen is None or rejected is None or self.y.tensor in tensors(c):
            return None
        if other == chosen[1] == ZERO and all(vanishes(self.program, self.equation.ranges, self.y, fact) for fact in conjuncts(c)):
            return chosen
        if self.y.tensor in self.program.unbounded:
            return None  # what is not chosen may be infinite there, and 0 times that is not 0
        return where(c, chosen[0], rejected[0]), where(c, chosen[1], rejected[1])


def vanishes(program: Program, ranges: Ranges, r: Read, c: Expr) -> bool:
    """Whether what is read lies outside its tensor wherever a condition does not hold."""
    known, positive = facts(Op("not", (c,))), positive_names(program)
    return any(outside(s, axis, ranges, positive, known) for s, axis in zip(r.subs, program.hulls[r.tensor], strict=True))
