"""A recurrence whose step is one operation, y[t] = y[t−1] ∘ x[t], is that operation's accumulate: np.add.accumulate, and so on.
One that is linear, y[t] = a[t]·y[t−1] + x[t] (see `scan`), goes in blocks of steps abreast where rows are short; so does one that looks
back at several rows.

`find` and `find_several` recognise them in a loop; anything else stays a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..bounds import inside
from ..expr import ONE, ZERO, Expr, Op, Read, all_reads, reads, subst_indices, tensors, walk
from ..integer import Int
from ..program import Equation, Program, Range
from ..ranges import accesses
from ..within import positive_names, runs_along
from .arrays import Storage
from .equations.carry import shift
from .equations.scan import Before, linear, several
from .schedule import Compute, Loop


@dataclass(frozen=True)
class Accumulation:
    """tensor[…, t, …] = tensor[…, t ∓ 1, …]·factor ∘ rest, for all t of the loop; tensor[…] + factor where ∘ is no sum."""

    equation: Equation
    ufunc: str
    rest: Expr
    factor: Expr
    axis: int
    starts: bool  # with a row that counts: what another equation puts there, or a 0 that is more than nothing

    @property
    def is_chosen(self) -> bool:
        """Whether data choose what is handed on: where they do not, it may be infinite, and is nothing."""
        choices = [n for n in walk(self.equation.body) if isinstance(n, Op) and n.op == "where" and all_reads(n.args[0])]
        return any(self.equation.tensor in tensors(branch) for n in choices for branch in n.args[1:])

    @property
    def is_plain(self) -> bool:
        """Whether the factor changes nothing."""
        return self.factor == (ONE if self.ufunc in ("add", "multiply") else ZERO)

    def whole(self, node: Loop) -> Equation:
        """The equation that puts the other operand in place, for all steps at once."""
        return _for_all_steps(node, self.equation.with_body(self.rest))


def find(program: Program, node: Loop, storage: dict[str, Storage]) -> Accumulation | None:
    """The accumulation that a loop is, if it is one and all steps are stored."""
    if len(node.body) != 1 or not isinstance(node.body[0], Compute) or node.body[0].guards:
        return None
    e = node.body[0].equation
    axes = [k for k, s in enumerate(e.subs) if s.name == node.variable]
    if len(axes) != 1 or storage[e.tensor].dropped or any(s.name not in {node.variable, *e.ranges} for s in e.subs):
        return None
    beside = [k for k in range(len(e.subs)) if k != axes[0]]
    if not runs_along([e.subs[k] for k in beside], [storage[e.tensor].axes[k] for k in beside], e.ranges):
        return None  # a row beside these is another equation's
    before = -1 if node.forwards else 1
    previous = Read(e.tensor, tuple(s + before if k == axes[0] else s for k, s in enumerate(e.subs)))
    found = linear(program, _for_all_steps(node, e), previous)
    if found is None or not (reads(found[1]) or reads(found[2])):
        return None
    ufunc, x, a = found
    if (ufunc, x) == ("add", ZERO):
        ufunc, x, a = "multiply", a, ONE
    store, span = storage[e.tensor].axes[axes[0]], node.range
    edges = (span.lo - 1, span.hi) if node.forwards else (span.lo, span.hi + 1)
    starts = len(program.definitions[e.tensor]) > 1 or ufunc != "add"
    return Accumulation(e, ufunc, x, a, axes[0], starts) if (store.lo, store.hi) == edges else None


@dataclass(frozen=True)
class Several:
    """tensor[…, t, …] = a·tensor[…, t ∓ 1, …] + b·tensor[…, t ∓ 2, …] + … + rest, for all t of the loop."""

    equation: Equation
    rest: Expr
    factors: list[Expr]
    axis: int

    def whole(self, node: Loop) -> Equation:
        """The equation that puts the rest in place, for all steps at once."""
        return _for_all_steps(node, self.equation.with_body(self.rest))


def find_several(program: Program, node: Loop, storage: dict[str, Storage]) -> Several | None:
    """The scan of several rows that a loop is, if it is one and all steps are stored, behind the rows before the first."""
    if len(node.body) != 1 or not isinstance(node.body[0], Compute) or node.body[0].guards:
        return None
    e = _for_all_steps(node, node.body[0].equation)
    before = Before.of(e) if not storage[e.tensor].dropped else None
    if before is None or before.order < 2 or before.forwards != node.forwards or e.subs[before.axis].name != node.variable:
        return None
    beside = [k for k in range(len(e.subs)) if k != before.axis]
    store, span = storage[e.tensor].axes[before.axis], node.range
    edges = (span.lo - before.order, span.hi) if node.forwards else (span.lo, span.hi + before.order)
    whole = runs_along([e.subs[k] for k in beside], [storage[e.tensor].axes[k] for k in beside], e.ranges)
    found = several(program, e, before) if whole and (store.lo, store.hi) == edges else None
    return found and Several(node.body[0].equation, *found, before.axis)


def _for_all_steps(node: Loop, e: Equation) -> Equation:
    return replace(e, ranges={node.variable: node.range, **e.ranges})


def factor(node: Loop, found: Accumulation, program: Program) -> tuple[Equation, str]:
    """The equation that puts in place what each row before is times, and which of them these are, in the order of the steps.

    Where no row is before the first one, the first step has none. What others may compute as well, as the 1 − h[t]² of a gradient, is
    computed at t for all t, if it is that of the step, or of the one before.
    """
    e, t = found.whole(node).with_body(found.factor), node.variable
    if found.starts:
        return e, ":" if node.forwards else "::-1"
    c = shift(found.factor, t)
    moved = e.with_body(subst_indices(found.factor, {t: Int.symbol(t) - (c or 0)}))
    there = c in (0, -1 if node.forwards else 1)  # all that the steps ask for is then among the t, in a slice
    if there and all(inside(s, r, e.ranges, positive_names(program)) for tensor, subs in accesses(moved.body)
                     for s, r in zip(subs, program.hulls[tensor], strict=True)):
        return moved, ("1:" if c == 0 else ":-1") if node.forwards else (":0:-1" if c else "-2::-1")
    lo, hi = e.ranges[t].lo, e.ranges[t].hi
    steps = Range(lo + 1, hi) if node.forwards else Range(lo, hi - 1)
    return replace(e, ranges={**e.ranges, t: steps}), ":" if node.forwards else "::-1"


def rows(tensor: str, node: Loop, found: Accumulation) -> str:
    """The rows in the order of the steps, from the one before the first step on, if it is not one of zeros before a scan."""
    leading = ":, " * found.axis
    if found.starts or found.is_plain:
        return tensor if node.forwards else f"{tensor}[{leading}::-1]"
    return f"{tensor}[{leading}1:]" if node.forwards else f"{tensor}[{leading}-2::-1]"
