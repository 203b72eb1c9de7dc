"""Program -> program in which what is zero already is not set to zero again.

    A = softmax(where(c, S, −inf)),   dS = where(c, A·(dA + r), 0)     is     dS = A·(dA + r)

A is 0 wherever c does not hold, and so is its product with whatever is finite there.
"""

from __future__ import annotations

from ...expr import ZERO, Expr, Op, conjuncts, is_where, map_children, tensors
from ...facts import Facts
from ...program import Program
from .known import with_known


def unmask(program: Program, known: Program) -> Program:
    """See the module's docstring; A is computed by the program that is known. What a recurrence reads of itself stays under its conditions,
    which say in which order that is computed."""
    facts = Facts.beside(program, known)

    def visit(node: Expr, cycle: frozenset[str]) -> Expr:
        if is_where(node, ZERO):
            condition, body = node.args[0], visit(node.args[1], cycle)
            may = not (cycle and tensors(body) & cycle) and set(conjuncts(condition)) <= facts.needed(body)
            return body if may else Op("where", (condition, body, ZERO))
        return map_children(lambda child: visit(child, cycle), node)

    nothing = frozenset[str]()
    return with_known(program, [e.with_body(visit(e.body, program.components.get(e.tensor, nothing))) for e in program.equations], known)
