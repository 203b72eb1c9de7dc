"""Program -> program in which terms are multiplied together by what each of them is multiplied by.

    dS[i,j] = dl[i] P[i,j] + P[i,j] Σ_p dY[i,p] V[j,p]        dS[i,j] = P[i,j] (dl[i] + Σ_p dY[i,p] V[j,p])

A tensor that has several uses gets a gradient from each, and what they share is its own derivative. Only a factor with all indices of
the equation is put before brackets: one with fewer may be cheaper in another factor of a term.
"""

from __future__ import annotations

from collections import Counter

from ...expr import ONE, Expr, Op, Reduce, map_children, reduces_or_chooses, symbols
from ...polynomial import additive_terms, factors, product, signed, without
from ...program import Equation, Program

Term = tuple[int, Expr]


def bracketed(program: Program) -> Program:
    """See the module's docstring; a recurrence keeps its terms, of which each step is made."""
    return program.with_bodies(lambda e: e.body if e.tensor in program.components else _visit(e, e.body))


def _visit(e: Equation, node: Expr) -> Expr:
    if isinstance(node, Reduce):
        return node
    if isinstance(node, Op) and node.op == "+":
        node = signed(_terms(e, additive_terms(node)))
    return map_children(lambda child: _visit(e, child), node)


def _terms(e: Equation, terms: list[Term]) -> list[Term]:
    """The terms, with those that share a factor as one, where the first of them stands."""
    shared = next((f for f, n in _counted(e, terms).most_common() if n > 1 and _saves(e, _rests(terms, f))), None)
    if shared is None:
        return terms
    rests = _rests(terms, shared)
    sign = max(s for s, _ in rests)  # a minus before all of them stands outside
    together = (sign, product([signed([(s * sign, r) for s, r in rests]), shared]))
    is_one = [shared in factors(t) for _, t in terms]
    first = is_one.index(True)
    new = [together if k == first else t for k, t in enumerate(terms) if k == first or not is_one[k]]
    return _terms(e, new)


def _counted(e: Equation, terms: list[Term]) -> Counter[Expr]:
    """In how many terms each factor stands, of those with an entry for each place of the equation."""
    return Counter(f for _, t in terms for f in dict.fromkeys(factors(t)) if _has_all_indices(e, f) and not reduces_or_chooses(f))


def _rests(terms: list[Term], shared: Expr) -> list[Term]:
    """What is left of the terms with a factor, without it."""
    return [(s, product(without(factors(t), [shared]))) for s, t in terms if shared in factors(t)]


def _saves(e: Equation, rests: list[Term]) -> bool:
    """Whether there are fewer products so, or what is added has fewer entries."""
    return sum(r != ONE for _, r in rests) > 1 or not any(_has_all_indices(e, r) for _, r in rests)


def _has_all_indices(e: Equation, node: Expr) -> bool:
    return bool(e.indices) and symbols(node) >= {*e.indices}
