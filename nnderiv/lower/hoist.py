"""Program -> program in which a recurrence does only what it must: parts that do not read the cycle are computed before it.

In z[t] = Σ U x[t] + Σ W h[t−1] + b, the first sum and b do not wait for h: they become one tensor, one matrix product for all t.
So do functions and products of data, and reads whose subscripts a loop variable would have to be checked for at every step.
"""

from __future__ import annotations

from dataclasses import replace

from ..bounds import inside
from ..expr import (
    Expr,
    Num,
    Op,
    Read,
    Reduce,
    additive_terms,
    children,
    free_symbols,
    map_children,
    reads,
    signed,
    tensor,
    tensors,
)
from ..fresh import Fresh
from ..graph import cycles
from ..normal import positive_names
from ..program import Equation, Program, Range
from ..ranges import bound_indices


def hoist(program: Program) -> Program:
    """See the module's docstring."""
    edges = {name: {r for e in es for r in e.reads} for name, es in program.definitions.items()}
    recurrent = cycles(edges)
    return _Hoister(program, recurrent).run() if recurrent else program


class _Hoister:
    def __init__(self, program: Program, recurrent: dict[str, frozenset[str]]):
        self.program, self.recurrent = program, recurrent
        self.positive = positive_names(program)
        self.fresh = Fresh(program.names)
        self.equations: list[Equation] = []
        self.shapes: dict[str, tuple[Range, ...]] = dict(program.shapes)
        self.known: dict[tuple[object, ...], Read] = {}

    def run(self) -> Program:
        for e in self.program.equations:
            if e.tensor in self.recurrent and not self.is_start(e):
                cycle = self.recurrent[e.tensor]
                e = e.with_body(self.rewrite(e, e.body, cycle))
            self.equations.append(e)
        return replace(self.program, equations=tuple(self.equations), shapes=self.shapes)

    def is_start(self, e: Equation) -> bool:
        """Whether an equation holds at a place of an axis along which another one of its tensor runs."""
        others = self.program.definitions[e.tensor]
        return any(s.name not in e.ranges and any(o.subs[k].name in o.ranges for o in others) for k, s in enumerate(e.subs))

    def rewrite(self, e: Equation, body: Expr, cycle: frozenset[str]) -> Expr:
        """The body with its largest parts that do not read the cycle, and are worth it, named."""
        if not tensors(body) & cycle:
            return self.name(e, body) if self.worthwhile(e, body) else body
        if isinstance(body, Op) and body.op in ("+", "neg"):
            return self.sum_(e, body, cycle)
        if isinstance(body, Op) and body.op == "*":
            return self.product(e, body, cycle)
        return map_children(lambda child: self.rewrite(e, child, cycle), body)

    def sum_(self, e: Equation, body: Expr, cycle: frozenset[str]) -> Expr:
        terms = additive_terms(body)
        free = [(s, t) for s, t in terms if not tensors(t) & cycle]
        bound = [(s, self.rewrite(e, t, cycle)) for s, t in terms if tensors(t) & cycle]
        if not free:
            return signed(bound)
        together = signed(free)
        if any(self.worthwhile(e, t) for _, t in free) or len(free) > 1 and reads(together):
            return signed([(1, self.name(e, together)), *bound])
        return signed(free + bound)

    def product(self, e: Equation, body: Op, cycle: frozenset[str]) -> Expr:
        """Factors that do not read the cycle, computed together if their product is no larger than each of them."""
        free = [f for f in body.args if not tensors(f) & cycle]
        worthy = [f for f in free if self.worthwhile(e, f)]
        table = {f: self.name(e, f) for f in worthy}
        return map_children(lambda f: table.get(f) or (f if f in free else self.rewrite(e, f, cycle)), body)

    def worthwhile(self, e: Equation, body: Expr) -> bool:
        """A sum, a function or arithmetic of tensors; a read that is shifted against its tensor."""
        if isinstance(body, Read):
            return any(s.name is None and not inside(s, r, e.ranges, self.positive) for s, r in
                       zip(body.subs, self.program.hulls[body.tensor], strict=True)) if body.tensor in self.program.hulls else False
        if isinstance(body, Num) or not tensors(body):
            return False
        return isinstance(body, Reduce) or any(isinstance(c, Op | Reduce | Read) for c in children(body)) and _is_value(body)

    def name(self, e: Equation, body: Expr) -> Expr:
        free = free_symbols(body)
        indices = [i for i in e.ranges if i in free]
        if not indices:
            indices = []
        ranges = {i: e.ranges[i] for i in [*indices, *bound_indices(body)]}
        key = (body, tuple(ranges.items()))
        if key not in self.known:
            name = self.fresh(f"{e.tensor}_pre")
            self.equations.append(Equation(name, tuple(s for i in indices for s in tensor("", i).subs), body, ranges))
            self.shapes[name] = tuple(ranges[i] for i in indices)
            self.known[key] = tensor(name, *indices)
        return self.known[key]


def _is_value(e: Expr) -> bool:
    """Conditions are not tensors of the program."""
    return not (isinstance(e, Op) and e.op in ("<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "true", "false"))
