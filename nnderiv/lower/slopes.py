"""Program -> program in which a choice among multiples of one thing is a multiple of a choice.

    where(a > b, x, where(a = b, x/2, 0))      x · where(a > b, 1, where(a = b, 1/2, 0))

with finite x: so a gradient by max(a, b) is x times what the maximum changes by, which is computed without branches, and which a recurrence
need not wait for.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ..expr import ONE, ZERO, Expr, Num, Op, Read, factors, map_children, mul, product, reads, where
from ..program import Program
from .facts import Facts

HALF = Num(Fraction(1, 2))


def slopes(program: Program, known: Program) -> Program:
    """See the module's docstring; a recurrence is as finite as what it starts from."""
    facts = Facts({**known.definitions, **program.definitions}, program.sizes, program.kinds)

    def visit(node: Expr) -> Expr:
        node = map_children(visit, node)
        if not (isinstance(node, Op) and node.op == "where" and (tie := tie_of(node)) is not None):
            return node
        condition, x, _ = node.args
        if isinstance(x, Num) or tie.args[1:] != (mul([HALF, x]), ZERO) or not all(map(is_finite, factors(x))):
            return node
        return product([*factors(x), where(condition, ONE, where(tie.args[0], HALF, ZERO))])

    def is_finite(x: Expr) -> bool:
        return facts.is_finite(x) or isinstance(x, Read) and x.tensor in program.components

    equations = tuple(e.with_body(visit(e.body)) for e in program.equations)
    return program if equations == program.equations else replace(program, equations=equations)


def tie_of(e: Op) -> Op | None:
    """where(a = b, y, z) of where(a > b, x, where(a = b, y, z)), for real a and b."""
    more, _, less = e.args
    if not (isinstance(more, Op) and more.op in ("<", ">") and reads(more) and isinstance(less, Op) and less.op == "where"):
        return None
    return less if less.args[0] in [Op("==", x) for x in (more.args, more.args[::-1])] else None
