"""Program -> program in which a gradient asks a function's output where that says the same as its argument.

    y = relu(x):   x > 0   is   y > 0

So x need not be kept for backward, and y may take its memory.
"""

from __future__ import annotations

from ..expr import ZERO, Expr, Op, Read, map_children
from ..program import Equation, Program
from .exchange import with_known


def from_output(program: Program, known: Program) -> Program:
    """See the module's docstring; y is computed by the program that is known."""
    outputs = {x.tensor: e.tensor for e in known.equations if (x := _argument(known, e)) is not None}
    if not outputs or known is program:
        return program

    def visit(node: Expr) -> Expr:
        if isinstance(node, Op) and node.op == ">" and node.args[1] == ZERO and isinstance(node.args[0], Read):
            name = outputs.get(node.args[0].tensor)
            return Op(">", (Read(name, node.args[0].subs), ZERO)) if name else node
        return map_children(visit, node)

    return with_known(program, [e.with_body(visit(e.body)) for e in program.equations], known)


def _argument(known: Program, e: Equation) -> Read | None:
    """x of y[i] = relu(x[i]), if that is all of y and all of x."""
    if not (isinstance(e.body, Op) and e.body.op == "relu" and isinstance(e.body.args[0], Read)):
        return None
    x = e.body.args[0]
    whole = len(known.definitions[e.tensor]) == 1 and x.subs == e.subs and not e.is_base
    return x if whole and known.hulls[x.tensor] == known.hulls[e.tensor] else None
