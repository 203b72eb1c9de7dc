"""Program -> program in which a sum over what a step divides runs over the steps: Σ_a [s | a + r] f(a) g((a + r)/s) = Σ_q f(s·q − r) g(q).

So it stands in the gradient of a transposed convolution's kernel, and of a strided one's, taken twice. Read the other way round, for a
kernel that slides over few places, it is what `fold` undoes; which of the two indices belongs to an image, its size tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...bounds import never_negative
from ...conditions import between, divisible
from ...expr import ZERO, Expr, Reduce, conjunction, map_children, subst_indices, where
from ...fresh import Fresh
from ...integer import FloorDiv, Int
from ...polynomial import guarded_factors, product
from ...program import Equation, Program, Range, Ranges
from ...within import positive_names
from .. import cost
from ..fold import axes_at


def whole_steps(program: Program) -> Program:
    """See the module's docstring."""
    return program.with_equations(_equation(program, e) for e in program.equations)


@dataclass(frozen=True)
class _Steps:
    """The condition bottom | ±a + rest, and what q = (±a + rest)/bottom runs over."""

    condition: Expr
    a: str
    sign: Int
    rest: Int
    bottom: Int
    range: Range

    def place(self, q: str) -> Int:
        """a, from q."""
        return (self.bottom * Int.symbol(q) - self.rest) * self.sign


def _equation(program: Program, e: Equation) -> Equation:
    ranges, positive = dict(e.ranges), positive_names(program)

    def visit(node: Expr) -> Expr:
        if isinstance(node, Reduce) and node.op == "sum":
            conditions, parts = guarded_factors(node.body)
            steps = next((s for s in _found(program, node, conditions, parts, positive) if _pays(ranges[s.a].size, s.range.size)), None)
            if steps is not None:
                return visit(_stepwise(program, node, steps, ranges))
        return map_children(visit, node)

    body = visit(e.body)
    return e if body == e.body else replace(e, body=body, ranges=ranges)


def _found(program: Program, node: Reduce, conditions: list[Expr], parts: list[Expr], positive: frozenset[str]) -> Iterator[_Steps]:
    for c in conditions:
        divided = divisible(c)
        if divided is None or not never_negative(divided.bottom - 1, {}, positive):
            continue
        axes = axes_at(program, Int.atom(FloorDiv(divided.top, divided.bottom)), parts)
        for a in node.indices if axes else ():
            split = divided.top.split(a)
            if split is not None and (split[0] == 1 or split[0] == -1):
                yield _Steps(c, a, split[0], split[1], divided.bottom, axes[0])


def _stepwise(program: Program, node: Reduce, steps: _Steps, ranges: Ranges) -> Reduce:
    q, whole = Fresh({*program.names, *ranges})("q"), ranges[steps.a]
    ranges[q] = steps.range
    conditions, parts = guarded_factors(node.body)
    place = steps.place(q)
    values = {steps.a: place}
    kept = [subst_indices(c, values) for c in conditions if c != steps.condition]
    if whole not in axes_at(program, Int.symbol(steps.a), parts):  # no read is outside where a is
        kept += between(whole, place)
    body = where(conjunction(kept), product([subst_indices(f, values) for f in parts]), ZERO)
    return Reduce("sum", tuple(q if i == steps.a else i for i in node.indices), body)


def _pays(summed: Int, steps: Int) -> bool:
    """Whether the index runs over an image of which the steps are places."""
    if summed.is_constant and steps.is_constant:
        return steps.constant <= summed.constant
    return cost.grow_together(summed, steps)
