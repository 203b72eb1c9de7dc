"""Program -> program in which what one factor makes 0 may be infinite by another one: 0·∞ is no number.

    where(c, dy, 0)·exp(x)                     where(c, dy·exp(x), 0)
    where(a < b, 1, where(a == b, 1/2, 0))·exp(x)     where(a < b or a == b, …, 0)
    de·exp(x),   de = where(c, 0, dy)          where(not c, de·exp(x), 0)
    de·exp(x),   de = where(…) + where(…)      where(de != 0, de·exp(x), 0)

What is so guarded hands its condition on: de = where(c, ds·exp(x), 0).

What is chosen by a condition has a gradient where it is chosen, and the exponential may be as large elsewhere as it likes.
"""

from __future__ import annotations

from ...conditions import where_not_0
from ...expr import ZERO, Expr, Op, Read, conjunction, conjuncts, free_symbols, map_children, reads, walk, where
from ...facts import Facts
from ...integer import Int
from ...polynomial import additive_terms, factors, is_reciprocal
from ...program import Equation, Program, whole
from ...ranges import accesses
from ...signs import never_positive
from ...within import positive_names, readable
from .known import with_known


def guarded(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    definitions = {**known.definitions, **program.definitions}
    facts = Facts(definitions, program, known)
    exps = {n for es in definitions.values() for e in es for n in walk(e.body) if isinstance(n, Op) and n.op == "exp"}
    if all(map(facts.is_finite, exps)):
        return program
    guards, found = _Guards(program, facts), list[Equation]()
    for e in program.equations:
        found.append(e.with_body(guards.visit(e, e.body, ())))
        if whole(definitions[e.tensor]) is not None:
            definitions[e.tensor] = (found[-1],)  # what it is 0 without, for those that read it
    return with_known(program, found, known)


class _Guards:
    def __init__(self, program: Program, facts: Facts):
        self.program, self.facts, self.positive = program, facts, positive_names(program)
        self.large: dict[str, bool] = {}

    def visit(self, e: Equation, node: Expr, known: tuple[Expr, ...]) -> Expr:
        """`known`: what holds where the node counts."""
        if isinstance(node, Op) and node.op == "where":
            test, a, b = node.args
            return where(self.visit(e, test, known), self.visit(e, a, (*known, *conjuncts(test))), self.visit(e, b, known))
        if isinstance(node, Op) and node.op in ("*", "/"):
            parts = factors(node)
            large = [f for f in parts if not is_reciprocal(f) and self.may_be_large(f)]
            axes = frozenset[str]().union(*map(free_symbols, large)) & e.ranges.keys() if large else frozenset[str]()
            beside = [f for f in parts if any(g is not f for g in large)]
            needed = [c for f in beside if (c := self.needed(e, f)) is not None and axes <= free_symbols(c)]
            open_ = [c for c in needed if not {*conjuncts(c)} <= {*known}]
            if large and open_:
                return where(conjunction(open_), map_children(lambda c: self.visit(e, c, (*known, *open_)), node), ZERO)
        return map_children(lambda c: self.visit(e, c, known), node)

    def needed(self, e: Equation, f: Expr) -> Expr | None:
        """The condition on tensors without which f is 0."""
        read = f
        if isinstance(f, Read):
            found = whole(self.facts.definitions.get(f.tensor, ()))
            if found is None or readable(self.program.hulls.get(f.tensor, ()), f.subs, e.ranges, self.positive):
                return None
            f, apart = found.at(f.subs), found.tensor not in self.program.components
            if len(terms := additive_terms(f)) > 1 and apart:
                chosen = all(any(self.needed(e, x) is not None for x in factors(t)) for _, t in terms)
                return Op("!=", (read, ZERO)) if chosen else None
        told = [c for c in map(where_not_0, factors(f)) if reads(c)]
        if read != f and not all(self.is_inside(e, *place) for c in told for place in accesses(c)):
            return Op("!=", (read, ZERO)) if apart else None  # a sum would leave out what the tensor takes to be 0
        return conjunction(told) if told else None

    def is_inside(self, e: Equation, tensor: str, subs: tuple[Int, ...]) -> bool:
        return not readable(self.program.hulls[tensor], subs, e.ranges, self.positive)

    def may_be_large(self, e: Expr) -> bool:
        """Whether an exponential in e may overflow."""
        if isinstance(e, Read):
            if e.tensor not in self.large:
                self.large[e.tensor] = False
                found = self.facts.definitions.get(e.tensor, ())
                self.large[e.tensor] = e.tensor not in self.program.components and any(self.may_be_large(d.body) for d in found)
            return self.large[e.tensor]
        if isinstance(e, Op) and e.op == "exp":
            return not (never_positive(e.args[0]) or self.facts.is_finite(e))
        if isinstance(e, Op) and e.op in ("+", "*", "neg", "where"):
            return any(self.may_be_large(a) for a in e.args[e.op == "where":])
        return isinstance(e, Op) and e.op == "/" and self.may_be_large(e.args[0])
