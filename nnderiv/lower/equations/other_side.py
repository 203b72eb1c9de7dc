"""Programs -> programs in which 1 − σ(x) is σ(−x), where nobody asks for σ(x) itself: it keeps its digits where σ(x) is near 1.

So it is in the gradient of log σ(x). Where σ(x) is there anyway, 1 − σ(x) costs no exponential.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...expr import Expr, Op, map_children, neg, walk
from ...polynomial import complement
from ...program import Program


def other_side(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    nodes = [n for program in (forward, backward) for e in program.equations for n in walk(e.body)]
    asked = Counter(n for n in nodes if isinstance(n, Op) and n.op == "sigmoid")
    beside_one = Counter(s for n in nodes for s in _of_complement(n))
    alone = {s for s, count in beside_one.items() if count == asked[s]}

    def visit(node: Expr) -> Expr:
        for s in _of_complement(node):
            if s in alone:
                return Op("sigmoid", (neg(s.args[0]),))
        return map_children(visit, node)

    if not alone:
        return forward, backward
    one, other = (p.with_bodies(lambda e: visit(e.body)) for p in (forward, backward))
    return one, other


def _of_complement(node: Expr) -> Iterator[Op]:
    """σ(x) of 1 − σ(x)."""
    x = complement(node) if isinstance(node, Op) and node.op == "+" else None
    if isinstance(x, Op) and x.op == "sigmoid":
        yield x
