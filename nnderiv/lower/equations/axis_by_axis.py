"""Program -> program in which windows along two axes, and images enlarged along two, are so one axis after the other.

    Y[i,j] = max_uv X[2·i+u,2·j+v]        R[i,b] = max_u X[2·i+u,b]        Y[i,j] = max_v R[i,2·j+v]
    Y[a,b] = X[a//2,b//2]                 R[i,b] = X[i,b//2]               Y[a,b] = R[a//2,b]

Along all axes but the last, NumPy goes in long rows; and there are U + V places of a window to go to, not U · V. The windows lie side by
side, or they overlap, and are then written out, place by place: where they lie apart, part of R would be computed for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...bounds import never_negative
from ...expr import Expr, Read, Reduce, free_symbols, map_children, reads
from ...fresh import Fresh
from ...integer import FloorDiv, Int
from ...polynomial import factors, product
from ...program import Equation, Program, Ranges
from ...within import positive_names, readable
from .. import cost

REDUCTIONS = ("sum", "max", "min")


def axis_by_axis(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    run = _Run(program, Fresh(program.names | known.names))
    return program.with_equations(x for e in program.equations for x in run.equations(e))


class _Run:
    """One program: what is reduced, or enlarged, along some axes."""

    def __init__(self, program: Program, fresh: Fresh):
        self.program, self.fresh = program, fresh
        self.positive = positive_names(program)

    def equations(self, e: Equation) -> list[Equation]:
        """The equation, after those of what it reads."""
        if e.tensor in self.program.components or e.is_base or all(sum(s.name is None for s in r.subs) < 2 for r in reads(e.body)):
            return [e]
        first: list[Equation] = []

        def visit(node: Expr) -> Expr:
            if isinstance(node, Reduce) and node.op in REDUCTIONS and isinstance(node.body, Read):
                return self.reduced(e, node, node.body, first)
            return map_children(visit, node)

        body = self.enlarged(e, visit(e.body), first)
        return [*first, e.with_body(body)] if first else [e]

    def reduced(self, e: Equation, node: Reduce, r: Read, first: list[Equation]) -> Expr:
        """max_v R[i,2·j+v], with R[i,b] = max_u X[2·i+u,b] computed first."""
        axes = self.program.hulls[r.tensor]
        windows = [k for k, s in enumerate(r.subs) if {*node.indices} & s.symbols()]
        if len(windows) < 2 or not all(_is_window(r.subs[k], node.indices, e.ranges) for k in windows):
            return node
        last, b = windows[-1], Fresh({*self.program.names, *e.ranges})("b")
        left = [b if k == last else _outer(s, node.indices, e.ranges)[0] if k in windows else str(s.name) for k, s in enumerate(r.subs)]
        sizes = [e.ranges[i].size for i in node.indices]
        few = all(map(cost.writes_out, sizes)) and not readable(axes, r.subs, e.ranges, self.positive)
        pays = few or _are_apart(r, windows, e.ranges, node.indices) and cost.goes_axis_by_axis(sizes)
        own = {i for k in windows for i in node.indices if i in r.subs[k].symbols()}
        alone = len(own) == len(windows) == len(node.indices)  # each index runs along a window of its own: not so in X[2·i+u,2·j+u]
        if not pays or not alone or len({*left}) < len(left) or not {*left} <= {*e.ranges, b}:
            return node
        inner = tuple(i for i in node.indices if i not in r.subs[last].symbols())
        ranges = {i: axes[last] if i == b else e.ranges[i] for i in left} | {i: e.ranges[i] for i in inner}
        places = tuple(Int.symbol(b) if k == last else s for k, s in enumerate(r.subs))
        name = self.tensor(e, left, ranges, Reduce(node.op, inner, Read(r.tensor, places)), first)
        subs = tuple(r.subs[last] if k == last else Int.symbol(i) for k, i in enumerate(left))
        return Reduce(node.op, tuple(i for i in node.indices if i not in inner), Read(name, subs))

    def enlarged(self, e: Equation, body: Expr, first: list[Equation]) -> Expr:
        """R[a//2,b], with R[i,b] = X[i,b//2] computed first, and with it what it is multiplied by."""
        parts = factors(body)
        r = next((f for f in parts if isinstance(f, Read)), None)
        others = [f for f in parts if f is not r]
        if r is None or any(free_symbols(f) & {*e.ranges} or reads(f) for f in others):
            return body
        axes = self.program.hulls[r.tensor]
        wide = [k for k, s in enumerate(r.subs) if _is_quotient(s, e.indices)]
        if len(wide) < 2 or not all(s.name in e.indices for k, s in enumerate(r.subs) if k not in wide):
            return body
        letters = Fresh({*self.program.names, *e.ranges})
        left = [letters("i") if k in wide[:-1] else next(iter(s.symbols() & {*e.indices})) for k, s in enumerate(r.subs)]
        if len({*left}) < len(left):
            return body
        ranges = {i: axes[k] if k in wide[:-1] else e.ranges[i] for k, i in enumerate(left)}
        places = tuple(Int.symbol(i) if k in wide[:-1] else s for k, (i, s) in enumerate(zip(left, r.subs, strict=True)))
        name = self.tensor(e, left, ranges, product([Read(r.tensor, places), *others]), first)
        return Read(name, tuple(s if k in wide[:-1] else Int.symbol(i) for k, (i, s) in enumerate(zip(left, r.subs, strict=True))))

    def tensor(self, e: Equation, left: Sequence[str], ranges: Ranges, body: Expr, first: list[Equation]) -> str:
        name = self.fresh(f"{e.tensor}_rows")
        first.append(Equation(name, tuple(map(Int.symbol, left)), body, ranges, position=e.position))
        return name


def _is_window(sub: Int, kernel: Sequence[str], ranges: Ranges) -> bool:
    """s·i + u + c, with as many u as s or more."""
    inner, outer = [i for i in kernel if i in sub.symbols()], _outer(sub, kernel, ranges)
    if len(inner) != 1 or len(outer) != 1 or any(not isinstance(a, str) for a in sub.atoms()):
        return False
    u, i = sub.split(inner[0]), sub.split(outer[0])
    return u is not None and i is not None and u[0] == 1 and i[0] != 0 and never_negative(ranges[inner[0]].size - i[0], {}, frozenset())


def _are_apart(r: Read, windows: Sequence[int], ranges: Ranges, kernel: Sequence[str]) -> bool:
    """Whether the windows of a read lie side by side, and do not overlap."""
    def step(sub: Int) -> Int | None:
        split = sub.split(_outer(sub, kernel, ranges)[0])
        return split and split[0]

    return all(step(r.subs[k]) == ranges[i].size for k in windows for i in kernel if i in r.subs[k].symbols())


def _outer(sub: Int, kernel: Sequence[str], ranges: Ranges) -> list[str]:
    """The indices in a subscript that are not the kernel's."""
    return [i for i in ranges if i in sub.symbols() and i not in kernel]


def _is_quotient(sub: Int, indices: Sequence[str]) -> bool:
    """a//s, for an index a of the left-hand side and a number s."""
    q = sub.lone
    return isinstance(q, FloorDiv) and q.top.name in indices and q.bottom.is_constant
