"""Exponentials that are added up -> what does not overflow, and has shorter gradients:

    log Σ_j exp(x_j)                    logsumexp_j(x_j)
    exp(x_k) / Σ_j exp(x_j)             softmax_k(x_k)
    exp(a) / Σ_j exp(x_j)               exp(a − logsumexp_j(x_j))
    Σ_k exp(x_k) v_k / Σ_j exp(x_j)     Σ_k softmax_k(x_k) v_k

Summands may be left out by a condition: in where(c, exp(x), 0) what is added up is exp(where(c, x, −inf)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

from .expr import INF, ONE, ZERO, Expr, Op, Reduce, factors, free_symbols, is_reciprocal, map_children, neg, product, subst_indices, where
from .integer import Int
from .program import Ranges


@dataclass(frozen=True)
class Exponentials:
    """The exponentials in the right-hand side of an equation; `is_inside` tells whether all that an expression reads is in range."""

    ranges: Ranges
    is_inside: Callable[[Expr], bool]

    def settled(self, e: Expr, kept: tuple[str, ...]) -> Expr:
        """e, rewritten; `kept` are the indices around it, over which a softmax may run."""
        within = (*kept, *e.indices) if isinstance(e, Reduce) else kept
        e = map_children(lambda child: self.settled(child, within), e)
        if isinstance(e, Op) and e.op == "log" and (summed := _summed(e.args[0])) is not None:
            return summed
        return self.divided(e, kept) if isinstance(e, Op) and e.op in ("*", "/") else e

    def divided(self, e: Expr, kept: tuple[str, ...]) -> Expr:
        parts = factors(e)
        for k, f in enumerate(parts):
            total = _summed(f.args[1]) if isinstance(f, Op) and is_reciprocal(f) else None
            if total is None:
                continue
            for j, g in enumerate(parts):
                if (share := self.share(g, total, kept)) is not None:
                    return self.divided(product([share if i == j else x for i, x in enumerate(parts) if i != k]), kept)
        return e

    def share(self, e: Expr, total: Reduce, kept: tuple[str, ...]) -> Expr | None:
        """e / Σ exp(x), for an exponential e, or a sum of products with one."""
        if (a := exponent(e)) is not None:
            return self.softmax(a, total, kept) or _beside(e, total)
        if isinstance(e, Reduce) and e.op == "sum":
            parts = factors(e.body)
            for k, f in enumerate(parts):
                if (share := self.share(f, total, (*kept, *e.indices))) is not None:
                    return Reduce("sum", e.indices, product([*parts[:k], share, *parts[k + 1 :]]))
        return None

    def softmax(self, a: Expr, total: Reduce, kept: tuple[str, ...]) -> Reduce | None:
        """softmax(a), where Σ exp(x) adds up exp(a) over indices that are kept: its x in other letters."""
        others = [i for i in kept if i not in free_symbols(total)]
        for letters in permutations(others, len(total.indices)) if self.is_inside(a) else ():
            places = {j: Int.symbol(i) for j, i in zip(total.indices, letters, strict=True)}
            same = all(self.ranges[i] == self.ranges[j] for i, j in zip(letters, total.indices, strict=True))
            if same and subst_indices(total.body, places) == a:
                return Reduce("softmax", letters, a)
        return None


def _summed(e: Expr) -> Reduce | None:
    """logsumexp(x), for Σ exp(x)."""
    x = exponent(e.body) if isinstance(e, Reduce) and e.op == "sum" else None
    return Reduce("logsumexp", e.indices, x) if x is not None and isinstance(e, Reduce) else None


def exponent(e: Expr, of_one: Expr | None = None) -> Expr | None:
    """x for exp(x), and where(c, x, −inf) for where(c, exp(x), 0); `of_one` is that of the number 1."""
    if isinstance(e, Op) and e.op == "exp":
        return e.args[0]
    if isinstance(e, Op) and e.op == "where" and e.args[2] == ZERO and (x := exponent(e.args[1], of_one)) is not None:
        return where(e.args[0], x, neg(INF))
    return of_one if e == ONE else None


def _beside(e: Expr, total: Reduce) -> Expr:
    """exp(a − total), with the conditions that stand around exp(a)."""
    assert isinstance(e, Op)
    return where(e.args[0], _beside(e.args[1], total), ZERO) if e.op == "where" else Op("exp", (e.args[0] - total,))
