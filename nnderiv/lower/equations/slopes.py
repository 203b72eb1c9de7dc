"""Program -> program in which what a maximum hands on is its slope, times a finite factor, and not a choice.

    where(a > b, e, where(a = b, e/2, 0))       =       e·where(a > b, 1, where(a = b, 1/2, 0))

for any factors that agree in all cases. So a product is a product for all passes: under a sum it is a contraction, and in a
recurrence the slope, which does not wait for e, is computed before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...expr import HALF, ONE, ZERO, Expr, Op, Reduce, add, map_children, mul, neg, num, reads, where
from ...facts import Facts
from ...logarithms import multiplied_out
from ...polynomial import factors, product
from ...program import Program


def slopes(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    facts = Facts.beside(program, known)

    def visit(node: Expr) -> Expr:
        found = Choice.of(node)
        if found is not None and found.below == ZERO and reads(found.above) and facts.is_finite(found.above):
            return found.as_product(visit(found.above))
        new = map_children(visit, node)
        if new is not node and isinstance(new, Reduce) and new.op == "sum" and isinstance(new.body, Op) and new.body.op == "neg":
            return neg(Reduce("sum", new.indices, new.body.args[0]))
        return new

    return program.with_bodies(lambda e: visit(e.body))


@dataclass(frozen=True)
class Choice:
    """where(a > b, above, where(a = b, (above + below)/2, below)); `more` is a > b, or b < a."""

    more: Op
    tie: Expr
    above: Expr
    below: Expr

    @staticmethod
    def of(e: Expr) -> Choice | None:
        """e as such a choice."""
        if not (isinstance(e, Op) and e.op == "where" and isinstance(more := e.args[0], Op) and more.op in ("<", ">")):
            return None
        _, above, less = e.args
        if not (isinstance(less, Op) and less.op == "where" and less.args[0] in (Op("==", more.args), Op("==", more.args[::-1]))):
            return None
        tie, mean, below = less.args
        is_mean = multiplied_out(add([mul([num(2), mean]), neg(above), neg(below)])) == ZERO
        return Choice(more, tie, above, below) if is_mean else None

    @property
    def is_slope(self) -> bool:
        """Whether it is how a maximum changes: 1, 1/2 or 0."""
        return (self.above, self.below) == (ONE, ZERO)

    def as_product(self, above: Expr) -> Expr:
        """The slope behind the first factor, from which a gradient comes: dy·slope is often asked for again."""
        parts = factors(above)
        first = next(k for k, f in enumerate(parts) if reads(f)) + 1
        return product([*parts[:first], where(self.more, ONE, where(self.tie, HALF, ZERO)), *parts[first:]])


def slope(more: Op) -> Expr:
    """How max(a, b) changes with a for a > b, and min(a, b) for a < b."""
    return where(more, ONE, where(Op("==", more.args), HALF, ZERO))
