"""Program -> program in which the kernel stays and the image slides: Σ_a dY[a] K[a + p − s·i] becomes Σ_u dY[s·i + u − p] K[u],
and Σ_a dY[a] K[s·i + p − a] becomes Σ_u dY[s·i + p − u] K[u].

Both say the same: where K[u] does not exist the first has a zero, and where dY[a] does not, the second. The first reads
the kernel at as many places as the image has, almost all of them outside.
"""

from __future__ import annotations

from dataclasses import replace

from ...bounds import never_negative
from ...expr import Expr, Read, Reduce, free_symbols, map_children, subst_indices, walk
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import guarded_factors, product
from ...program import Equation, Program, Range
from ...within import positive_names
from .. import cost


def recentre(program: Program) -> Program:
    """See the module's docstring; the program is explicit."""
    return program.with_equations(_equation(program, e) for e in program.equations)


def _equation(program: Program, e: Equation) -> Equation:
    ranges = dict(e.ranges)
    bound = [i for n in walk(e.body) if isinstance(n, Reduce) for i in n.indices]

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Reduce) or node.op != "sum":
            return map_children(visit, node)
        conditions, parts = guarded_factors(node.body)
        for a in node.indices if not conditions else ():
            found = _sliding_kernel(program, e, a, parts)
            if found is not None:
                # In another sum of this equation the same letter runs over another range.
                new = a if bound.count(a) == 1 else Fresh({*program.names, *ranges})(a)
                sign, shift, ranges[new] = found
                parts = [subst_indices(f, {a: (Int.symbol(new) - shift) * sign}) for f in parts]
                node = Reduce("sum", tuple(new if i == a else i for i in node.indices), product(parts))
        return node

    body = visit(e.body)
    return e if body == e.body else replace(e, body=body, ranges=ranges)


def _sliding_kernel(program: Program, e: Equation, a: str, parts: list[Expr]) -> tuple[Int, Int, Range] | None:
    """(±1, r, the axis of T) for two factors S[a] and T[r ± a] in which r goes the other way by more than one as another index grows."""
    using = [f for f in parts if a in free_symbols(f)]
    if len(using) != 2 or not all(isinstance(f, Read) for f in using):
        return None
    for one, other in (using, using[::-1]):
        assert isinstance(one, Read) and isinstance(other, Read)
        whole = [r for s, r in zip(one.subs, program.hulls[one.tensor], strict=True) if a in s.symbols() and s.name == a]
        moving = [(s, r) for s, r in zip(other.subs, program.hulls[other.tensor], strict=True) if a in s.symbols()]
        if whole != [e.ranges[a]] or len(moving) != 1 or (split := moving[0][0].split(a)) is None:
            continue
        (sign, shift), axis = split, moving[0][1]
        steps = [-sign * c[0] for i in shift.symbols() & e.ranges.keys() if (c := shift.split(i)) is not None]
        long = (sign == 1 or sign == -1) and [s for s in steps if s != 1 and never_negative(s - 1, {}, positive_names(program))]
        if long and (sign == 1 and len(steps) == 1 or cost.is_few(axis.size, e.ranges[a].size)):
            return sign, shift, axis
    return None
