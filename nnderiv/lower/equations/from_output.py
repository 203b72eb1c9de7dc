"""Program -> program in which a gradient asks a function's output where that says the same as its argument.

    y = relu(x):   x > 0   is   y > 0

So x need not be kept for backward, or computed again, and y may take its memory.
"""

from __future__ import annotations

from ...expr import ZERO, Expr, Op, Read, free_symbols, map_children, reads, subst_indices
from ...integer import Int
from ...polynomial import unordered
from ...program import Equation, Program
from ...within import fills
from .known import with_known


def from_output(program: Program, known: Program) -> Program:
    """See the module's docstring; y is computed by the program that is known."""
    outputs = [(e, e.body.args[0]) for e in known.equations if isinstance(e.body, Op) and e.body.op == "relu" and fills(known, e)
               and {*e.indices} <= free_symbols(e.body)]  # else x has fewer letters, and may stand where nothing says what they are
    if not outputs:
        return program

    def visit(e: Equation, node: Expr) -> Expr:
        if isinstance(node, Op) and node.op == ">" and node.args[1] == ZERO:
            found = next((y for o in outputs if (y := _output(known, *o, e, node.args[0])) is not None), None)
            return Op(">", (found, ZERO)) if found else node
        return map_children(lambda child: visit(e, child), node)

    return with_known(program, [e.with_body(visit(e, e.body)) for e in program.equations], known)


def _output(known: Program, y: Equation, argument: Expr, e: Equation, x: Expr) -> Read | None:
    """y where its argument is x, an expression of equation e."""
    if isinstance(x, Read):
        same = isinstance(argument, Read) and x.tensor == argument.tensor and argument.subs == y.subs
        return Read(y.tensor, x.subs) if same and known.hulls[x.tensor] == known.hulls[y.tensor] else None
    for at in ({str(s.name): s for s in y.subs}, _letters(argument, x)):
        within = all(i in at and e.ranges.get(str(at[i].name)) == r for i, r in y.ranges.items())
        if within and unordered(subst_indices(argument, at), e.ranges) == unordered(x, e.ranges):
            return Read(y.tensor, tuple(at[str(s.name)] for s in y.subs))
    return None


def _letters(a: Expr, b: Expr) -> dict[str, Int]:
    """What stands in b for the letters in a, by the tensors that both read in one way."""
    here, there = ({r.tensor: [q for q in dict.fromkeys(reads(x)) if q.tensor == r.tensor] for r in reads(x)} for x in (a, b))
    pairs = [(found[0], there[name][0]) for name, found in here.items() if len(found) == len(there.get(name, ())) == 1]
    return {str(s.name): t for mine, theirs in pairs for s, t in zip(mine.subs, theirs.subs, strict=True) if s.name and t.name}
