"""Shares that a recurrence sums up at each of its steps, in the gradient of a chain, or of scalings that alternate:

    Σ_j w[n,j] exp(x[t,n,k] + y[k,j] − c[t,n,j])  at step t          f = _shares(x, y, c)  before the loop,   f(t, w)  in it

c is the logarithm of what the exponentials add up to over k; there may be no n, or several. Where the table of all exponentials has few
entries for a step it is made, and its factors otherwise, three arrays of which no step computes anything anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from ..expr import Expr, Op, Read, Reduce, additive_terms, free_symbols, guarded_factors, product, signed, tensors, walk
from ..program import Equation


@dataclass(frozen=True)
class Shares:
    """A sum of shares: x over n and k, y over k and j, c and w over n and j; none but w waits for a step of the loop."""

    total: Reduce
    x: Expr
    y: Expr
    c: Read
    w: Expr
    rows: tuple[str, ...]  # n
    own: str               # k
    column: str            # j


def find(
    e: Equation, variable: str, computed: Collection[str], is_lse: Callable[[str], bool], vanishes: Callable[[Read, Expr], bool]
) -> Iterator[Shares]:
    """Those in an equation of a loop over a variable, which computes these tensors."""
    for node in walk(e.body):
        if isinstance(node, Reduce) and node.op == "sum" and len(node.indices) == 1:
            shares = _of(node, e, variable, is_lse, vanishes)
            if shares is not None and not any(tensors(part) & {*computed} for part in (shares.x, shares.y, shares.c)):
                yield shares


def _of(
    node: Reduce, e: Equation, variable: str, is_lse: Callable[[str], bool], vanishes: Callable[[Read, Expr], bool]
) -> Shares | None:
    conditions, parts = guarded_factors(node.body)
    exponentials = [f for f in parts if isinstance(f, Op) and f.op == "exp"]
    weights = [f for f in parts if f not in exponentials]
    labels = frozenset(free_symbols(product(weights)) & e.ranges.keys())
    if len(exponentials) != 1 or not {*node.indices} <= labels:
        return None
    if not all(any(isinstance(f, Read) and vanishes(f, c) for f in weights) for c in conditions):
        return None
    by: dict[frozenset[str], list[tuple[int, Expr]]] = {}
    for sign, term in additive_terms(exponentials[0].args[0]):
        by.setdefault(frozenset(free_symbols(term) & e.ranges.keys()), []).append((sign, term))
    rows, below = labels - {*node.indices}, by.pop(labels, [])
    own = frozenset[str]().union(*by) - labels
    if len(below) != 1 or len(own) != 1 or {*by} != {rows | own, own.union(node.indices)}:
        return None
    (sign, c), (x, y) = below[0], (signed(by[group]) for group in (rows | own, own.union(node.indices)))
    moves = [variable in free_symbols(part) for part in (x, y, c)]
    if sign > 0 or not isinstance(c, Read) or not is_lse(c.tensor) or moves != [True, False, True]:
        return None
    return Shares(node, x, y, c, product(weights), tuple(i for i in e.ranges if i in rows), *own, *node.indices)
