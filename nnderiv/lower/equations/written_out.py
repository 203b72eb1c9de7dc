"""Program -> program in which a window of a few places is written place by place.

    Y[i,j] = max_v X[i,2·j+v],  v < 2          is          Y[i,j] = max(X[i,2·j], X[i,2·j+1])

Two slices are added, or compared, in one go: there is no array of zeros, or of −∞, to which each place comes. The windows lie inside their
tensor; others are padded, and are another matter.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from ...expr import Expr, Op, Read, Reduce, add, bound_indices, map_children, reads, subst_indices
from ...integer import Int
from ...program import Equation, Program
from ...within import positive_names, readable
from .. import cost

OPERATIONS = ("sum", "max", "min")


def written_out(program: Program) -> Program:
    """See the module's docstring."""
    positive = positive_names(program)

    def is_inside(e: Equation, r: Read) -> bool:
        return not readable(program.hulls[r.tensor], r.subs, e.ranges, positive)

    def rewritten(e: Equation) -> Equation:
        if e.tensor in program.components or e.is_base or all(s.name is not None for r in reads(e.body) for s in r.subs):
            return e

        def visit(node: Expr) -> Expr:
            window = node.body if isinstance(node, Reduce) else node
            if isinstance(node, Reduce) and isinstance(window, Read) and (places := _places(e, node, window)) and is_inside(e, window):
                terms = [subst_indices(window, {node.indices[0]: Int.of(k)}) for k in range(places)]
                return add(terms) if node.op == "sum" else reduce(lambda a, b: Op(node.op, (a, b)), terms)
            return map_children(visit, node)

        body = visit(e.body)
        left = {*e.indices, *bound_indices(body)}
        return e if body == e.body else replace(e, body=body, ranges={i: r for i, r in e.ranges.items() if i in left})

    return program.with_equations(map(rewritten, program.equations))


def _places(e: Equation, node: Reduce, window: Read) -> int:
    """How many places the window has that a reduction goes over, if these are few, side by side, and nothing else, and it goes forwards."""
    if node.op not in OPERATIONS or len(node.indices) != 1 or e.ranges[node.indices[0]].lo != 0:
        return 0
    (u,) = node.indices
    size, own = e.ranges[u].size, [s for s in window.subs if u in s.symbols()]
    slides = [i for i in own[0].symbols() if i in e.indices] if len(own) == 1 else []
    if not cost.writes_out(size) or len(slides) != 1:
        return 0
    kernel, window_step = own[0].split(u), own[0].split(slides[0])
    if kernel is None or kernel[0] != 1 or window_step is None or not window_step[0].is_constant:
        return 0
    return size.constant if window_step[0].constant > 0 else 0
