"""Program -> program in which what several gradients take of one tensor, under one condition, is a tensor.

    db = Σ where(y > 0, dy, 0),   dg = Σ where(y > 0, dy·x, 0)        r = where(y > 0, dy, 0),   db = Σ r,   dg = Σ r·x

Only where x is finite: 0·x is to be 0. So a ReLU after a normalisation is looked at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ...expr import ZERO, Expr, Op, Read, free_symbols, is_where, map_children, reads, subst_indices, walk
from ...facts import Facts
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import factors, product
from ...program import Equation, Program
from ...within import covers
from .known import with_known


@dataclass(frozen=True)
class _Gate:
    """where(c, x·…, 0): the read of x, c with x's axes for letters, and the other factors."""

    read: Read
    condition: Expr
    others: tuple[Expr, ...]

    @property
    def key(self) -> tuple[str, Expr]:
        return self.read.tensor, self.condition


def gate(program: Program, known: Program) -> Program:
    """See the module's docstring; equations of the program that is known stay as they are."""
    if known is program:
        return program
    facts = Facts.beside(program, known)
    own = [e for e in program.equations if e.tensor not in known.definitions and e.tensor not in program.components]
    mine = {e.tensor for e in own}
    many = Counter(g.key for e in own for node in walk(e.body) for g in _gates(program, facts, e, node))
    fresh, names, equations = Fresh(program.names | known.names), dict[tuple[str, Expr], str](), list[Equation]()

    def visit(e: Equation, node: Expr) -> Expr:
        gates = [g for g in _gates(program, facts, e, node) if many[g.key] > 1]
        if not gates:
            return map_children(lambda child: visit(e, child), node)
        best = max(gates, key=lambda g: many[g.key])
        if best.key not in names:
            names[best.key] = fresh(f"{best.read.tensor}_on")
            equations.append(_equation(program, names[best.key], best))
        return product([Read(names[best.key], best.read.subs), *(visit(e, x) for x in best.others)])

    for e in program.equations:
        equations.append(e.with_body(visit(e, e.body)) if e.tensor in mine else e)
    return with_known(program.with_equations(equations), equations, known) if names else program


def _gates(program: Program, facts: Facts, e: Equation, node: Expr) -> Iterator[_Gate]:
    """The ways in which an expression is a finite multiple of one whole tensor where a condition on tensors holds, and 0 elsewhere."""
    if not (is_where(node, ZERO) and reads(node.args[0])):
        return
    parts = factors(node.args[1])
    for k, x in enumerate(parts):
        others = parts[:k] + parts[k + 1:]
        if isinstance(x, Read) and _is_whole(program, e, x) and all(facts.is_finite(f) for f in others):
            letters = {str(s.name): Int.symbol(f"§{k}") for k, s in enumerate(x.subs)}
            if free_symbols(node.args[0]) & e.ranges.keys() <= letters.keys():
                yield _Gate(x, subst_indices(node.args[0], letters), tuple(others))


def _is_whole(program: Program, e: Equation, x: Read) -> bool:
    """Whether a read looks at each entry of a tensor once, in any order, and the tensor does not wait for what reads it."""
    return bool(x.subs) and covers(x.subs, program.hulls[x.tensor], e.ranges) and x.tensor not in program.components


def _equation(program: Program, name: str, g: _Gate) -> Equation:
    subs, axes = g.read.subs, program.hulls[g.read.tensor]
    condition = subst_indices(g.condition, {f"§{k}": s for k, s in enumerate(subs)})
    return Equation(name, subs, Op("where", (condition, g.read, ZERO)), {str(s.name): r for s, r in zip(subs, axes, strict=True)})
