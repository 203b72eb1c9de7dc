"""Programs -> programs in which what goes on in another way from a number on is a function of what is held there, and not chosen.

    where(x > c, f(x), g(x))                        f(max(x, c)) + g(min(x, c)) − f(c) + (f(c) − g(c))·[x > c]
    where(x > 0, x, exp(x) − 1)                     max(x, 0) + exp(min(x, 0)) − 1, and its slope exp(min(x, 0))
    [x > 0] + [x < 0]·exp(min(x, 0))                exp(min(x, 0)),  with halves in ties
    where(x > 0, x, x/100)                          max(x, x/100), for any two lines that meet
    where(x > k, x − k, where(x < −k, x + k, 0))    x − max(min(x, k), −k)

A choice computes both its branches for all entries, and which comes next is hard to guess. No branch overflows, and the exponential of
ELU is its slope. So it is where f is a number, or goes on from g without a step. Elsewhere a choice asks for the same function of what is
held that others do: where(x > 0, 1, a·exp(min(x, 0))).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...expr import HALF, ONE, ZERO, Expr, Num, Op, map_children, neg, num, reads, replace, walk, where
from ...facts import Facts
from ...logarithms import multiplied_out
from ...polynomial import additive_terms, factors, product
from ...program import Program
from .calls import COSTLY
from .corners import END, Line, Lines, added, as_extremes, beside
from .slopes import Choice, slope
from .thresholds import compared

AT_0 = {"exp": ONE, "cos": ONE, "tanh": ZERO, "sin": ZERO, "erf": ZERO, "abs": ZERO, "sigmoid": HALF}


def continued(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    held = set[Expr]()
    facts = Facts(forward.definitions, forward), Facts.beside(backward, forward)
    both = [_rewritten(p, f, held) for p, f in zip((forward, backward), facts, strict=True)]
    one, other = (p.with_bodies(lambda e: _of_held(e.body, held)) if held else p for p in both)
    return one, other


def _rewritten(program: Program, facts: Facts, held: set[Expr]) -> Program:
    return program.with_bodies(lambda e: _visit(e.body, _Known(facts, program.components.get(e.tensor, frozenset())), held))


@dataclass(frozen=True)
class _Known:
    """What is known where a choice stands: the tensors that wait for it may be infinite at another step, and are not multiplied by 0."""

    facts: Facts
    cycle: frozenset[str]

    def are_finite(self, x: Expr, *branches: Expr) -> bool:
        own = {r.tensor for r in reads(x)}
        others = {r.tensor for e in branches for r in reads(e)} - own
        return others.isdisjoint(self.cycle) and all(map(self.facts.is_finite, branches))


def _visit(node: Expr, known: _Known, held: set[Expr]) -> Expr:
    """The node with all such choices as sums; `held` gathers the functions that these ask for."""
    if isinstance(node, Op) and node.op == "+" and (together := _together(node, known)) is not None:
        return _visit(together, known, held)
    choice = Sides.of(node)
    if choice is not None and (lines := choice.as_lines(known)) is not None:
        return lines
    if choice is not None and (parts := choice.as_sum(known)) is not None:
        held |= {n for n in walk(parts) if isinstance(n, Op) and n.op in COSTLY}
        return parts
    return map_children(lambda child: _visit(child, known, held), node)


def _together(node: Op, known: _Known) -> Expr | None:
    """A sum in which the slope of what is held below a number, times a function of it, and the slope above cancel in part."""
    terms = additive_terms(node)
    for k, (sign, t) in enumerate(terms):
        choice = Sides.beside_slope(t)
        found = None if choice is None else choice.as_sum(known)
        if found is not None:
            counts = Counter([*terms[:k], *((sign*s, x) for s, x in additive_terms(found)), *terms[k + 1:]])
            left = [(s, x) for s, x in counts for _ in range(counts[s, x] - counts[-s, x])]
            if len(left) < len(terms):
                return added(*(x if s > 0 else neg(x) for s, x in left))
    return None


def _of_held(node: Expr, held: set[Expr]) -> Expr:
    """The node in which the branches of other choices ask for these functions."""
    choice = Sides.of(node)
    if choice is not None and not choice.halves:
        above, below = (choice.held(op, branch, held) for op, branch in (("max", choice.above), ("min", choice.below)))
        node = where(choice.condition, *((above, below) if choice.is_above else (below, above)))
    return map_children(lambda child: _of_held(child, held), node)


@dataclass(frozen=True)
class Sides:
    """`above` where x is more than a number, or at least that, and `below` elsewhere; or the other way round."""

    condition: Op
    x: Expr
    bound: Fraction
    above: Expr
    below: Expr
    halves: bool = False  # their mean where x is the number

    @staticmethod
    def of(e: Expr) -> Sides | None:
        if not (isinstance(e, Op) and e.op == "where" and isinstance(c := e.args[0], Op)):
            return None
        maximum = Choice.of(e)
        taken, other = (maximum.above, maximum.below) if maximum is not None else e.args[1:]
        return Sides.between(c, taken, other, maximum is not None)

    @staticmethod
    def beside_slope(t: Expr) -> Sides | None:
        """f·[x < c] or f·[x > c], with halves in ties."""
        parts = factors(t)
        slopes = [(k, m) for k, f in enumerate(parts) if (m := Choice.of(f)) is not None and m.is_slope]
        if len(slopes) != 1 or len(parts) == 1:
            return None
        ((k, m),) = slopes
        return Sides.between(compared(m.more), product(parts[:k] + parts[k + 1:]), ZERO, True)

    @staticmethod
    def between(c: Op, taken: Expr, other: Expr, halves: bool) -> Sides | None:
        if c.op not in ("<", "<=", ">", ">="):
            return None
        x, bound = c.args if isinstance(c.args[1], Num) else c.args[::-1]
        if not isinstance(bound, Num) or not reads(x):
            return None
        above, below = (taken, other) if (c.op in (">", ">=")) == (bound is c.args[1]) else (other, taken)
        found = Sides(c, x, bound.value, above, below, halves)
        return found if halves else found.without_ties()

    def without_ties(self) -> Sides:
        """This with b for a branch where(x = c, a, b), if both are the same at c."""
        sides: list[Expr] = []
        for op, e in (("max", self.above), ("min", self.below)):
            is_tie = isinstance(e, Op) and e.op == "where" and e.args[0] in (Op("==", (self.x, self.c)), Op("==", (self.c, self.x)))
            if is_tie and isinstance(e, Op) and self.start(op, e.args[1]) == self.start(op, e.args[2]):
                e = e.args[2]
            sides.append(e)
        above, below = sides
        return Sides(self.condition, self.x, self.bound, above, below, self.halves)

    @property
    def c(self) -> Num:
        return num(self.bound)

    @property
    def is_above(self) -> bool:
        """Whether the condition says that x is above."""
        return (self.condition.op in (">", ">=")) == (self.condition.args[0] == self.x)

    # -- lines that meet -------------------------------------------------------------------------------------------------
    def as_lines(self, known: _Known) -> Expr | None:
        """A function of x with one or two corners; one that is a number somewhere is for what is finite, as nan is not above it."""
        lines = self.lines(self.x)
        if self.halves or not lines or any(line.p == 0 for line, _ in lines) and not known.are_finite(self.x, self.x):
            return None
        return as_extremes(lines, self.x)

    def lines(self, x: Expr) -> Lines:
        return beside(_lines(self.below, x), _lines(self.above, x), self.bound) if self.x == x else []

    # -- functions that go on --------------------------------------------------------------------------------------------
    def as_sum(self, known: _Known) -> Expr | None:
        """See the module's docstring."""
        above, below = self.at_held("max", self.above), self.at_held("min", self.below)
        if above is None or below is None or not known.are_finite(self.x, above, below):
            return None
        start, end = self.start("max", self.above), self.start("min", self.below)
        step = multiplied_out(start - end)
        if not (isinstance(start, Num) and isinstance(step, Num) and (step == ZERO or any(isinstance(x, Num) for x in (above, below)))):
            return None
        if (start, step) != (ZERO, ZERO) and not any(self.is_costly(n) for e in (self.above, self.below) for n in walk(e)):
            return None
        if isinstance(above, Num):
            return added(below, self.jump(step))
        if isinstance(below, Num):
            return added(above, self.jump(step), neg(step))
        rest = multiplied_out(above - start)
        exact = start == ZERO or start.value.denominator == self.bound.denominator == 1
        return added(rest, below) if exact else None

    def held(self, op: str, branch: Expr, wanted: Collection[Expr]) -> Expr:
        """A branch in which functions of x that are wanted of what is held ask for that."""
        functions = {n: f for n in walk(branch) if self.is_costly(n) and (f := self.at_held(op, n)) is not None}
        return replace(branch, {n: f for n, f in functions.items() if f in wanted})

    def jump(self, step: Num) -> Expr:
        """The step, where x is above."""
        if step == ZERO:
            return ZERO
        if not self.halves:
            return where(self.condition, *((step, ZERO) if self.is_above else (ZERO, step)))
        size = product([num(abs(step.value)), slope(Op(">", (self.x, self.c)))])
        return size if step.value > 0 else neg(size)

    def is_costly(self, n: Expr) -> bool:
        return isinstance(n, Op) and n.op in COSTLY and not {*reads(self.x)}.isdisjoint(reads(n))

    def at_held(self, op: str, branch: Expr) -> Expr | None:
        """A branch of what is held; None where it asks for what x is made of."""
        kept = {n: n if is_x else value for n, is_x, value in self.extremes(op, branch)}
        rest = replace(branch, {self.x: ZERO, **dict.fromkeys(kept, ZERO)})
        return replace(branch, {self.x: Op(op, (self.x, self.c)), **kept}) if {*reads(self.x)}.isdisjoint(reads(rest)) else None

    def start(self, op: str, branch: Expr) -> Expr:
        """A branch where x is the number."""
        values = {n: value for n, _, value in self.extremes(op, branch)}
        return multiplied_out(_folded(replace(branch, {self.x: self.c, **values})))

    def extremes(self, op: str, branch: Expr) -> Sequence[tuple[Expr, bool, Num]]:
        """(e, whether it is x on this side, its value otherwise) for min(x/2, 0), which is x/2 below 0, and 0 above."""
        found = []
        for n in walk(branch):
            k = next((a for a in n.args if isinstance(a, Num)), None) if isinstance(n, Op) and n.op in ("max", "min") else None
            line = None if k is None or not isinstance(n, Op) else Line.of(n.args[n.args[0] == k], self.x)
            if isinstance(n, Op) and k is not None and line is not None and line.p and line.at(self.bound) == k.value:
                found.append((n, (n.op == op) == (line.p > 0), k))
        return found


def _lines(e: Expr, x: Expr) -> Lines:
    """The lines of a function of x; nothing if it is another function."""
    if (line := Line.of(e, x)) is not None:
        return [(line, END)]
    choice = Sides.of(e)
    return [] if choice is None or choice.halves else choice.lines(x)


def _folded(e: Expr) -> Expr:
    """An expression in which functions of 0 are numbers."""
    new = map_children(_folded, e)
    if isinstance(new, Op) and new.op in AT_0 and multiplied_out(new.args[0]) == ZERO:
        return AT_0[new.op]
    return new
