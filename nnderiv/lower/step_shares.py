"""Shares that a recurrence sums up at each of its steps, in the gradient of a chain, or of scalings that alternate:

    E[t,k,j] = exp(x[t,k] + y[k,j] − c[t,j]),   Σ_j w[j] E[t,k,j]  at step t            E = _shares(x, y, c),   E(t, w)

c is the logarithm of what the exponentials add up to over k. Where the table has few entries for a step it is one, and its factors
otherwise, three matrices that no step computes anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ..expr import Expr, Op, Read, Reduce, additive_terms, free_symbols, guarded_factors, product, reads, signed, walk
from ..integer import Int
from ..program import Equation, Program
from .schedule import Compute, Loop, Node
from .storage import equations_of

IsLogarithm = Callable[[str], bool]


@dataclass(frozen=True)
class Shares:
    """E[t,k,j], and what it is of: x over t and k, y over k and j, c over t and j."""

    equation: Equation
    x: Expr
    y: Expr
    c: Expr
    order: tuple[str, str, str]  # t, k and j

    def weight(self, e: Reduce, ranges: Mapping[str, object], step: str) -> Expr | None:
        """w, if a sum is Σ_j w[j] E[t,k,j] at step t, for all k."""
        conditions, parts = guarded_factors(e.body)
        own = [f for f in parts if isinstance(f, Read) and f.tensor == self.equation.tensor]
        if conditions or len(own) != 1 or len(e.indices) != 1:
            return None
        t, k, j = (str(own[0].subs[self.equation.indices.index(i)]) for i in self.order)
        rest = product([f for f in parts if f is not own[0]])
        whole = all(ranges.get(i) == self.equation.ranges[n] for i, n in zip((k, j), self.order[1:], strict=True))
        fits = t == step and whole and j == e.indices[0] and free_symbols(rest) & ranges.keys() == {j}
        return rest if fits else None

    def step(self, variable: str) -> Int:
        """Which of its steps one of the loop is."""
        return Int.symbol(variable) - self.equation.ranges[self.order[0]].lo


def shares_of(e: Equation, is_lse: IsLogarithm) -> Shares | None:
    """What an equation is as shares, if it is."""
    if not isinstance(e.body, Op) or e.body.op != "exp" or len(e.indices) != 3 or any(s.name not in e.ranges for s in e.subs):
        return None
    by: dict[frozenset[str], list[tuple[int, Expr]]] = {}
    for sign, term in additive_terms(e.body.args[0]):
        by.setdefault(frozenset(free_symbols(term) & e.ranges.keys()), []).append((sign, term))
    below = [labels for labels, ((sign, term), *others) in by.items()
             if sign < 0 and not others and isinstance(term, Read) and is_lse(term.tensor)]
    if len(by) != 3 or any(len(labels) != 2 for labels in by) or len(below) != 1:
        return None
    (k,) = {*e.indices} - below[0]
    t = e.indices[0]
    if t == k:
        return None
    (j,) = below[0] - {t}
    x, y = (signed(by[frozenset(pair)]) for pair in ((t, k), (k, j)))
    ((_, c),) = by[below[0]]
    return Shares(e, x, y, c, (t, k, j))


def find(program: Program, nodes: Sequence[Node], kept: Collection[str], is_lse: IsLogarithm) -> dict[str, Shares]:
    """The tensors that are shares and asked for by steps alone, each a sum."""
    found: dict[str, Shares] = {}
    for node in nodes:
        if isinstance(node, Compute) and not node.guards and node.equation.tensor not in kept:
            shares = shares_of(node.equation, is_lse)
            if shares is not None and len(program.definitions[node.equation.tensor]) == 1 and _steps_alone(shares, nodes):
                found[node.equation.tensor] = shares
    return found


def _steps_alone(shares: Shares, nodes: Sequence[Node]) -> bool:
    name = shares.equation.tensor
    for node in nodes:
        for e in equations_of(node):
            asked = sum(r.tensor == name for r in reads(e.body))
            sums = [n for n in walk(e.body) if isinstance(n, Reduce) and n.op == "sum"] if isinstance(node, Loop) else []
            if asked and (not isinstance(node, Loop) or asked != sum(shares.weight(n, e.ranges, node.variable) is not None for n in sums)):
                return False
    return True
