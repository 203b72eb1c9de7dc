"""Program -> program in which a negated sum that one equation adds is written there, and subtracted.

    R[i] = -Σ_d A[i,d] B[i,d],   S[i,j] = P[i,j] (Q[i,j] + R[i])        S[i,j] = P[i,j] (Q[i,j] - Σ_d A[i,d] B[i,d])

Nothing is then written with the opposite sign only to be added. Recurrences stay as they are: their sums are not computed again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...expr import Expr, Op, Read, Reduce, bound_indices, map_children, neg, reads, rebound, subst_indices
from ...fresh import Fresh
from ...polynomial import additive_terms, signed
from ...program import Equation, Program
from ...within import covers


def inline(program: Program, known: Program) -> Program:
    """See the module's docstring; what the program that is known computes is read by others, and keeps its name."""
    counted = Counter(r.tensor for e in program.equations for r in reads(e.body))
    kept = {*program.outputs, *program.components, *known.definitions}
    negated = {e.tensor: e for e in program.equations if e.tensor not in kept and counted[e.tensor] == 1 and _is_negated_sum(program, e)}
    if not negated:
        return program
    fresh, written = Fresh(program.names), set[str]()
    equations = [e if e.tensor in program.components else _equation(e, negated, fresh, written) for e in program.equations]
    return replace(program, equations=tuple(e for e in equations if e.tensor not in written))


def _is_negated_sum(program: Program, e: Equation) -> bool:
    terms = additive_terms(e.body)
    alone = len(terms) == 1 and terms[0][0] < 0 and isinstance(terms[0][1], Reduce) and terms[0][1].op == "sum"
    return alone and program.whole(e.tensor) is not None


def _equation(e: Equation, negated: dict[str, Equation], fresh: Fresh, written: set[str]) -> Equation:
    """The equation with what it adds of the negated sums written in; their tensors' names go to `written`."""
    ranges = dict(e.ranges)

    def visit(node: Expr) -> Expr:
        if isinstance(node, Reduce):
            return node
        if isinstance(node, Op) and node.op in ("+", "neg"):
            return signed([(s, term(t)) for s, t in additive_terms(node)])
        return map_children(visit, node)

    def term(t: Expr) -> Expr:
        d = negated.get(t.tensor) if isinstance(t, Read) else None
        if d is None or not isinstance(t, Read) or not _covers(e, d, t):
            return visit(t)
        written.add(t.tensor)
        names = {i: fresh(i) if i in ranges else i for i in bound_indices(d.body)}
        ranges.update({names[i]: d.ranges[i] for i in names})
        ((_, total),) = additive_terms(d.body)
        return neg(subst_indices(rebound(total, names), d.places(t.subs)))

    return replace(e, body=visit(e.body), ranges=ranges)


def _covers(e: Equation, d: Equation, t: Read) -> bool:
    """Whether the read looks at each entry once, along indices of the equation."""
    return covers(t.subs, [d.ranges[i] for i in d.indices], e.ranges)
