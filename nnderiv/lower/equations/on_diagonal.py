"""Program -> program in which what a recurrence has on its diagonal is a tensor of its own, if fewer loops follow it then.

    C[i,j] = where(i == j, √…, where(j < i, u[i,j]/C[j,j], 0))
    D[j] = √…        P[i,j] = where(j < i, u[i,j]/D[j], 0)        C[i,j] = where(i == j, D[j], P[i,j])

A column of C waits for its own entry on the diagonal, so it would be computed entry by entry. It is a whole array that waits for a
number. The recurrence reads D where it reads C[x,x], P where conditions keep the two subscripts apart, and C elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ...bounds import never_negative
from ...conditions import chosen_throughout, facts, negation
from ...expr import FALSE, TRUE, Expr, IntValue, Op, Read, conjuncts, map_children, subst_indices, walk
from ...fresh import Fresh
from ...integer import Int
from ...program import Equation, Program
from ...within import positive_names
from ..schedule import depth, schedule
from .known import own_cycles


def on_diagonal(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    for cycle in own_cycles(program, known):
        if any(_pair(program, e) for e in program.equations if e.tensor in cycle):
            program = _split(program, cycle, known.names)
    return program


def _split(program: Program, cycle: frozenset[str], taken: Collection[str]) -> Program:
    """The first way in which the loops are nested less deeply; the program as it is, if there is none."""
    others = {e.tensor for e in program.equations} - cycle
    deep = _depth(program, others)
    for e in program.equations:
        pair = _pair(program, e) if e.tensor in cycle and deep > 1 else None
        for place in pair or ():
            new = _Diagonal(program, cycle, e, pair, place, Fresh({*program.names, *taken})).program() if pair else program
            if _depth(new, others) < deep:
                return new
    return program


def _depth(program: Program, others: Collection[str]) -> float:
    """How deep the loops are that follow the recurrence, and whatever has been taken apart from it."""
    return depth(schedule(program, [e for e in program.equations if e.tensor not in others]))


def _pair(program: Program, e: Equation) -> tuple[str, str] | None:
    """Two indices of a tensor with one range, if its equation says what it is where they are the same."""
    plain = len(program.definitions[e.tensor]) == 1 and all(s.name in e.ranges for s in e.subs) and len({*e.subs}) == len(e.subs)
    for node in walk(e.body) if plain else ():
        for c in conjuncts(node.args[0]) if isinstance(node, Op) and node.op == "where" else ():
            names = [x.value.name for x in c.args if isinstance(x, IntValue)] if isinstance(c, Op) and c.op in ("==", "!=") else []
            if len(names) == 2 and all(n in e.indices for n in names):
                a, b = sorted(map(str, names), key=e.indices.index)
                if e.ranges[a] == e.ranges[b]:
                    return a, b
    return None


@dataclass(frozen=True)
class _Diagonal:
    """One equation of a recurrence, two indices of it, which of them counts along the diagonal, and names that nobody has."""

    whole: Program
    cycle: frozenset[str]
    equation: Equation
    pair: tuple[str, str]
    place: str
    fresh: Fresh

    def program(self) -> Program:
        """Three equations for one, and the recurrence reading them."""
        e = self.equation
        on, off = self.fresh(f"{e.tensor}_on"), self.fresh(f"{e.tensor}_off")
        a, b = self.pair
        other = b if self.place == a else a
        left = [s.name for s in e.subs].index(other)
        subs, ranges = e.subs[:left] + e.subs[left + 1:], {i: r for i, r in e.ranges.items() if i != other}
        same = Op("==", (IntValue(Int.symbol(a)), IntValue(Int.symbol(b))))
        three = (Equation(on, subs, chosen_throughout(subst_indices(e.body, {other: Int.symbol(self.place)})), ranges),
                 Equation(off, e.subs, chosen_throughout(e.body, lambda c: _beside(c, a, b)), e.ranges),
                 Equation(e.tensor, e.subs, Op("where", (same, Read(on, subs), Read(off, e.subs))), {i: e.ranges[i] for i in e.indices}))
        reading = _Reading(e.tensor, on, off, left, [k for k, s in enumerate(e.subs) if s.name in self.pair])
        positive, own = positive_names(self.whole), self.cycle | {on, off}
        equations = [new for x in self.whole.equations for new in (three if x is e else (x,))]
        equations = [x.with_body(reading.of(x.body, x, positive, [])) if x.tensor in own else x for x in equations]
        hull = self.whole.hulls[e.tensor]
        shapes = {on: hull[:left] + hull[left + 1:], off: hull}
        return replace(self.whole, equations=tuple(equations), shapes={**self.whole.shapes, **shapes})


def _beside(c: Expr, a: str, b: str) -> Expr:
    """A condition where a and b differ."""
    names = {x.value.name for x in c.args if isinstance(x, IntValue)} if isinstance(c, Op) and c.op in ("==", "!=") else set()
    return c if names != {a, b} else TRUE if isinstance(c, Op) and c.op == "!=" else FALSE


@dataclass(frozen=True)
class _Reading:
    """Names for what a tensor has on the diagonal of two of its axes, where the axis `left` is left out, and beside it."""

    tensor: str
    on: str
    off: str
    left: int
    axes: Sequence[int]

    def of(self, node: Expr, e: Equation, positive: Collection[str], known: Sequence[Int]) -> Expr:
        """An expression of an equation that reads the tensor by these names, `known` being at least 0."""

        def visit(x: Expr, *also: Expr) -> Expr:
            return self.of(x, e, positive, [*known, *(f for c in also for f in facts(c))])

        if isinstance(node, Op) and node.op == "where":
            test, x, y = node.args
            return Op("where", (visit(test), visit(x, *conjuncts(test)), visit(y, negation(test))))
        if not (isinstance(node, Read) and node.tensor == self.tensor):
            return map_children(visit, node)
        distance = node.subs[self.axes[0]] - node.subs[self.axes[1]]
        if distance == 0:
            return Read(self.on, node.subs[:self.left] + node.subs[self.left + 1:])
        apart = any(never_negative(d - 1, e.ranges, positive, known) for d in (distance, -distance))
        return Read(self.off, node.subs) if apart else node
