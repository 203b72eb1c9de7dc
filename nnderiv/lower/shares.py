"""Sums of shares, as in gradients of chains, of scalings that alternate, and of the joint distribution of two softmaxes:

    Σ_j w[n,j] exp(x[n,k] + y[k,j] − c[n,j])        c the logarithm of what the exponentials add up to over k

x + y are not above c. There may be no n, or several, and several j.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from ..expr import Expr, Op, Read, Reduce, free_symbols, tensors, walk
from ..polynomial import additive_terms, guarded_factors, product, signed
from ..program import Equation

Vanishes = Callable[[Read, Expr], bool]  # whether a tensor is read outside of its axes, and so 0, where a condition does not hold


@dataclass(frozen=True)
class Shares:
    """A sum of shares: x over n and k, y over k and j, c and w over n and j; all counts where the conditions hold."""

    total: Reduce
    x: Expr
    y: Expr
    c: Read
    weights: tuple[Expr, ...]
    conditions: tuple[Expr, ...]
    rows: tuple[str, ...]     # n
    own: str                  # k
    columns: tuple[str, ...]  # j

    @property
    def w(self) -> Expr:
        return product([*self.weights])

    def are_complete(self, vanishes: Vanishes) -> bool:
        """Whether no condition has to be asked: where it does not hold, a weight is 0."""
        return all(any(isinstance(f, Read) and vanishes(f, c) for f in self.weights) for c in self.conditions)


def shares(e: Reduce, indices: Sequence[str], is_lse: Callable[[str], bool]) -> Shares | None:
    """A sum as one of shares, in arrays over these indices, in their order, and those of the sum."""
    conditions, parts = guarded_factors(e.body)
    exponentials = [f for f in parts if isinstance(f, Op) and f.op == "exp"]
    if e.op != "sum" or len(exponentials) != 1:
        return None
    over, columns, weights = {*indices, *e.indices}, {*e.indices}, [f for f in parts if f is not exponentials[0]]
    both, terms = free_symbols(product(weights)) & over, additive_terms(exponentials[0].args[0])
    below = [t for s, t in terms if s < 0 and isinstance(t, Read) and is_lse(t.tensor) and free_symbols(t) & over == both]
    own = free_symbols(exponentials[0]) & over - both
    if len(below) != 1 or len(own) != 1 or not columns <= both:
        return None
    sums = parted([(s, t) for s, t in terms if t is not below[0]], over, (own | both - columns, own | columns))
    if sums is None:
        return None
    (x, y), (k,) = sums, own
    rows = tuple(i for i in indices if i in both - columns)
    return Shares(e, x, y, below[0], tuple(weights), tuple(conditions), rows, k, e.indices)


def parted(terms: Sequence[tuple[int, Expr]], over: Collection[str], groups: Sequence[Collection[str]]) -> list[Expr] | None:
    """The sums of the terms over the indices of each group, where it belongs to one; together they have all its indices."""
    found: list[list[tuple[int, Expr]]] = [[] for _ in groups]
    labels = [free_symbols(t) & {*over} for _, t in terms]
    for term, own in zip(terms, labels, strict=True):
        fits = [k for k, group in enumerate(groups) if own <= {*group}]
        if not fits:
            return None
        found[fits[0]].append(term)
    sums = [signed(some) for some in found]
    return sums if all(free_symbols(s) & {*over} == {*group} for s, group in zip(sums, groups, strict=True)) else None


def of_steps(
    e: Equation, variable: str, computed: Collection[str], is_lse: Callable[[str], bool], vanishes: Vanishes
) -> Iterator[Shares]:
    """Those in an equation of a loop over a variable, which computes these tensors: none but the weights waits for a step of it, and y is
    the same at all of them. So f = _shares(x, y, c) stands before the loop, and f(t, w) in it: where the table of all exponentials has
    few entries for a step it is made, and its factors otherwise, three arrays of which no step computes anything anew."""
    for node in walk(e.body):
        if isinstance(node, Reduce) and len(node.indices) == 1 and (found := shares(node, [*e.ranges], is_lse)) is not None:
            parts = found.x, found.y, found.c
            moves = [variable in free_symbols(part) for part in parts]
            waits = any(tensors(part) & {*computed} for part in parts)
            if moves == [True, False, True] and not waits and found.are_complete(vanishes):
                yield found
