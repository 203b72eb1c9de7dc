"""Program -> program in which a sum around a circle slides along a tensor that goes on past its ends.

    Σ_u K[u] x[(i + u − 1) mod n]      is      Σ_u K[u] x_around[i + u − 1],   x_around[a] = x[a mod n] for −1 ≤ a < n + 1

A window is a view then, and the sum a product of matrices, as it is beside zeros. So it is where the kernel's size is known: one of
unknown size may be as long as the circle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...bounds import Range, extreme
from ...expr import Expr, Read, Reduce, map_children
from ...fresh import Fresh
from ...integer import Int, Mod
from ...program import Equation, Program
from ...within import positive_names


def wrapped(program: Program, known: Program) -> Program:
    """See the module's docstring. A recurrence stays as it is: what it reads is not there yet."""
    run = _Run(program, Fresh(program.names | known.names))
    equations = [e.with_body(run.visit(e, e.body)) for e in program.equations]
    return program.with_equations([*run.around.values(), *equations])


@dataclass
class _Run:
    program: Program
    fresh: Fresh
    around: dict[tuple[str, tuple[Range, ...]], Equation] = field(default_factory=dict)

    def visit(self, e: Equation, node: Expr, bound: frozenset[str] = frozenset()) -> Expr:
        if isinstance(node, Read) and bound and node.tensor not in self.program.components.get(e.tensor, ()):
            return self.read(e, node, bound)
        inner = bound | {*node.indices} if isinstance(node, Reduce) else bound
        return map_children(lambda c: self.visit(e, c, inner), node)

    def read(self, e: Equation, r: Read, bound: frozenset[str]) -> Read:
        axes, subs = list(self.program.hulls[r.tensor]), list(r.subs)
        for k, (sub, axis) in enumerate(zip(r.subs, axes, strict=True)):
            if found := self.slides(e, sub, axis, bound):
                subs[k], axes[k] = found
        if subs == list(r.subs):
            return r
        key = r.tensor, tuple(axes)
        if key not in self.around:
            letters = [self.fresh(f"a{k}") for k in range(len(axes))]
            places = [Int.symbol(a) for a in letters]
            own = [a if wide == axis else a % axis.hi for a, wide, axis in zip(places, axes, self.program.hulls[r.tensor], strict=True)]
            ranges = dict(zip(letters, axes, strict=True))
            self.around[key] = Equation(self.fresh(f"{r.tensor}_around"), tuple(places), Read(r.tensor, tuple(own)), ranges)
        return Read(self.around[key].tensor, tuple(subs))

    def slides(self, e: Equation, sub: Int, axis: Range, bound: frozenset[str]) -> tuple[Int, Range] | None:
        """i + u − 1 and −1 … n for (i + u − 1) mod n, where i and the axis run from 0 to n, and a sum over i or u."""
        around = sub.lone
        if not isinstance(around, Mod) or axis != Range.upto(around.bottom):
            return None
        top = around.top
        for i in e.ranges.keys() & top.symbols():
            coefficient, rest = top.split(i) or (Int.of(0), top)
            slides = top.symbols() & bound and rest.symbols() & e.ranges.keys()
            if coefficient != 1 or e.ranges[i] != axis or not slides or rest.elements():
                continue
            positive = positive_names(self.program)
            ends = [extreme(rest, e.ranges, upper, positive) for upper in (False, True)]
            if (low := ends[0]) is not None and (high := ends[1]) is not None and (high - low).is_constant:
                return top, Range(low, axis.hi + high)
        return None
