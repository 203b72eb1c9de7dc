"""Recurrences in a program of which `accumulate` computes all steps at once, scans: linear ones, y[t] = a[t]·y[t−1] + x[t], and those
that are linear in another arithmetic, max(y[t−1] + a[t], x[t]) and log(exp(y[t−1] + a[t]) + exp(x[t])).

A linear one may look back at several rows, y[t] = a·y[t−1] + b·y[t−2] + x[t]. Nothing is to be handed on from step to step (`carry`) or to
be computed before (`hoist`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from ...bounds import outside
from ...conditions import facts
from ...expr import ONE, ZERO, Expr, Op, Read, add, all_reads, conjuncts, reads, tensors, walk, where
from ...expr import replace as replaced
from ...facts import Facts
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program, Ranges
from ...within import positive_names, runs_along
from .quotients import log_exponents

ORDER = 4  # rows to which a scan looks back at most


def is_scan(program: Program, e: Equation) -> bool:
    """Whether an equation is all of a scan: y[…, t, …] = a·y[…, t ± 1, …] + x, for whole rows from the first one on."""
    if program.components.get(e.tensor) != frozenset({e.tensor}) or (before := Before.of(e)) is None:
        return False
    found = linear(program, e, before.reads[0]) if before.order == 1 else several(program, e, before)
    rows = [k for k in range(len(e.subs)) if k != before.axis]
    whole = runs_along([e.subs[k] for k in rows], [program.hulls[e.tensor][k] for k in rows], e.ranges)
    return found is not None and whole and all(d is e or before.is_start(e, d) for d in program.definitions[e.tensor])


@dataclass(frozen=True)
class Before:
    """What an equation reads of its own tensor: the row before, and perhaps others before that."""

    axis: int
    forwards: bool
    reads: tuple[Read, ...]  # of the row before, of that before it, and so on; one that is not asked for, too

    @property
    def order(self) -> int:
        return len(self.reads)

    @staticmethod
    def of(e: Equation) -> Before | None:
        """None where it reads at other places, or further back than `ORDER` rows."""
        found = {r for r in reads(e.body) if r.tensor == e.tensor}
        steps = [{k: there - here for k, (here, there) in enumerate(zip(e.subs, r.subs, strict=True)) if here != there} for r in found]
        axes = {k for step in steps for k in step}
        if len(axes) != 1 or not all(len(step) == 1 and step[max(axes)].is_constant for step in steps):
            return None
        (axis,) = axes
        far = [step[axis].constant for step in steps]
        if e.subs[axis].name not in e.ranges or min(far)*max(far) < 0 or max(map(abs, far)) > ORDER:
            return None
        sign = -1 if max(far) < 0 else 1
        rows = [tuple(s + sign*m if k == axis else s for k, s in enumerate(e.subs)) for m in range(1, max(map(abs, far)) + 1)]
        return Before(axis, sign < 0, tuple(Read(e.tensor, subs) for subs in rows))

    def is_start(self, e: Equation, d: Equation) -> bool:
        """Whether one equation is a row before the first one of another, which goes on from these by steps."""
        first = e.ranges[str(e.subs[self.axis].name)]
        places = [first.lo - m if self.forwards else first.hi - 1 + m for m in range(1, self.order + 1)]
        return d.is_base and any(d.subs == (*e.subs[:self.axis], place, *e.subs[self.axis + 1:]) for place in places)


def several(program: Program, e: Equation, before: Before) -> tuple[Expr, list[Expr]] | None:
    """(x, [a, b, …]) of a right-hand side a·y[t−1] + b·y[t−2] + … + x, if no data choose what is handed on."""
    names: dict[Expr, Expr] = {r: Read(f"§{k}", r.subs) for k, r in enumerate(before.reads)}
    slopes, rest = list[Expr](), e.body
    for r in before.reads:
        others: dict[Expr, Expr] = {x: name for x, name in names.items() if x != r}
        found = _Affine(program, e, r, goes_outside=True).parts(replaced(rest, others))
        if found is None or any(x.tensor.startswith("§") for x in reads(found[0])) or _is_chosen(found[0]):
            return None
        slopes.append(found[0])
        rest = replaced(found[1], {name: x for x, name in others.items()})
    return None if e.tensor in tensors(rest) else (rest, slopes)


def _is_chosen(e: Expr) -> bool:
    return any(isinstance(n, Op) and n.op == "where" and all_reads(n.args[0]) for n in walk(e))


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
    (where(c, a, 0), 0) if y is finite.

    goes_outside: whether the zeros outside are multiplied by a, too, which must then be finite there.
    """

    program: Program
    equation: Equation
    y: Read
    goes_outside: bool = False

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
            may_go = not self.goes_outside or Facts(self.program.definitions, self.program).is_finite(chosen[0])
            return chosen if may_go else (where(c, chosen[0], ZERO), ZERO)
        if self.y.tensor in self.program.unbounded:
            return None  # what is not chosen may be infinite there, and 0 times that is not 0
        return where(c, chosen[0], rejected[0]), where(c, chosen[1], rejected[1])


def vanishes(program: Program, ranges: Ranges, r: Read, c: Expr) -> bool:
    """Whether what is read lies outside its tensor wherever a condition does not hold."""
    known, positive = facts(Op("not", (c,))), positive_names(program)
    return any(outside(s, axis, ranges, positive, known) for s, axis in zip(r.subs, program.hulls[r.tensor], strict=True))
