"""Program -> program in which a costly function that is a tensor already, there or a step further, is read and not computed again.

    E[t,k,j] = exp(a[t,k] + A[k,j] − l[t+1,j])
    dA[j,k] = Σ_t dl[t,k] exp(a[t−1,j] + A[j,k] − l[t,k])     is     dA[j,k] = Σ_t dl[t,k] E[t−1,j,k]

Such tensors are, for one, what a recurrence need not wait for (`hoist`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..expr import Expr, Op, Read, children, free_symbols, has_reduction, map_ints, reads
from ..expr import replace as replaced
from ..integer import Int
from ..program import Equation, Program, Range
from .recall import COSTLY


@dataclass(frozen=True)
class _Use:
    """A function in an equation, and for each index in it, in the order of its reads, how far the first of these is shifted."""

    equation: Equation
    function: Op
    shifts: Mapping[str, int]

    @property
    def key(self) -> Expr:
        """The function with a letter for each place that a first read looks at."""
        values = {i: Int.symbol(f"§{k}") - c for k, (i, c) in enumerate(self.shifts.items())}
        return map_ints(lambda v: v.subst(values), self.function)

    @property
    def places(self) -> list[Range]:
        """What these letters run over."""
        return [Range(r.lo + c, r.hi + c) for r, c in ((self.equation.ranges[i], c) for i, c in self.shifts.items())]

    @property
    def is_tensor(self) -> bool:
        return self.equation.body == self.function and {*self.equation.indices} == {*self.shifts} and not self.equation.is_base

    def covers(self, other: _Use) -> bool:
        """Whether the other looks at places that this one looks at."""
        pairs = [(theirs.lo - mine.lo, mine.hi - theirs.hi) for mine, theirs in zip(self.places, other.places, strict=True)]
        return all(d.is_constant and d.constant >= 0 for pair in pairs for d in pair)

    def read(self, other: _Use) -> Read:
        """This tensor where the other needs it."""
        pairs = zip(self.shifts.items(), other.shifts.items(), strict=True)
        at = {mine: Int.symbol(theirs) + d - c for (mine, c), (theirs, d) in pairs}
        return Read(self.equation.tensor, tuple(at[i] for i in self.equation.indices))


def common(program: Program) -> Program:
    """See the module's docstring."""
    uses = [(use, use.key) for e in program.equations for use in _uses(e, e.body)]
    tensors: dict[Expr, list[_Use]] = {}
    for use, key in uses:
        if use.is_tensor and len(program.definitions[use.equation.tensor]) == 1:
            tensors.setdefault(key, []).append(use)
    found: dict[str, dict[Expr, Expr]] = {}
    for use, key in uses:
        first = next((t for t in tensors.get(key, ()) if t.covers(use)), use)
        if first is not use and use.equation.tensor not in _behind(program, first.equation):
            found.setdefault(use.equation.left, {})[use.function] = first.read(use)
    if not found:
        return program
    equations = (e.with_body(replaced(e.body, found[e.left])) if e.left in found else e for e in program.equations)
    return program.with_equations(equations)


def _uses(e: Equation, node: Expr) -> Iterator[_Use]:
    """The outermost costly functions in an expression that look at more than one tensor."""
    if isinstance(node, Op) and node.op in COSTLY and (use := _use(e, node)) is not None:
        yield use
        return
    for child in children(node):
        yield from _uses(e, child)


def _use(e: Equation, f: Op) -> _Use | None:
    shifts: dict[str, int] = {}
    if has_reduction(f) or len({r.tensor for r in reads(f)}) < 2:
        return None
    for sub in (s for r in reads(f) for s in r.subs):
        for i in sorted(sub.symbols() & e.ranges.keys()):
            shift = sub - Int.symbol(i)
            if sub.elements() or not shift.is_constant:
                return None
            shifts.setdefault(i, shift.constant)
    return _Use(e, f, shifts) if free_symbols(f) & e.ranges.keys() <= shifts.keys() else None


def _behind(program: Program, e: Equation) -> set[str]:
    """The tensors that an equation's is computed from, itself among them."""
    found, todo = set[str](), [e.tensor]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [r for d in program.definitions.get(name, ()) for r in d.reads]
    return found
