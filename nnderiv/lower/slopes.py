"""Program -> program in which what a maximum hands on is its slope, times a finite factor, and not a choice.

    where(a > b, e, where(a = b, e/2, 0))       =       e·where(a > b, 1, where(a = b, 1/2, 0))

for any factors that agree in all cases. So a product is a product for all passes: under a sum it is a contraction, and in a
recurrence the slope, which does not wait for e, is computed before it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

from ..expr import HALF, ONE, ZERO, Expr, Num, Op, Reduce, factors, map_children, neg, product, reads, where
from ..program import Program
from .facts import Facts


def slopes(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    facts = Facts({**known.definitions, **program.definitions}, program.sizes, program.kinds)

    def visit(node: Expr) -> Expr:
        found = _Choice.of(node)
        if found is not None and facts.is_finite(found.whole):
            return found.as_product(visit(found.whole))
        new = map_children(visit, node)
        if new is not node and isinstance(new, Reduce) and new.op == "sum" and isinstance(new.body, Op) and new.body.op == "neg":
            return neg(Reduce("sum", new.indices, new.body.args[0]))
        return new

    return replace(program, equations=tuple(e.with_body(visit(e.body)) for e in program.equations))


@dataclass(frozen=True)
class _Choice:
    """where(a > b, e, where(a = b, e/2, 0)), where e is more than a number."""

    whole: Expr
    slope: Expr

    @staticmethod
    def of(e: Expr) -> _Choice | None:
        if not (isinstance(e, Op) and e.op == "where" and isinstance(more := e.args[0], Op) and more.op in ("<", ">")):
            return None
        _, whole, less = e.args
        if not (reads(whole) and isinstance(less, Op) and less.op == "where" and less.args[2] == ZERO):
            return None
        tie, half, _ = less.args
        tied = tie in (Op("==", more.args), Op("==", more.args[::-1])) and _counted([HALF, *factors(whole)]) == _counted(factors(half))
        return _Choice(whole, where(more, ONE, where(tie, HALF, ZERO))) if tied else None

    def as_product(self, whole: Expr) -> Expr:
        """The slope behind the first factor, from which a gradient comes: dy·slope is often asked for again."""
        parts = factors(whole)
        first = next(k for k, f in enumerate(parts) if reads(f)) + 1
        return product([*parts[:first], self.slope, *parts[first:]])


def _counted(parts: list[Expr]) -> tuple[Fraction, Counter[Expr]]:
    """The number in a product, and its other factors."""
    value, others = Fraction(1), Counter[Expr]()
    for f in parts:
        if isinstance(f, Num):
            value *= f.value
        else:
            others[f] += 1
    return value, others
