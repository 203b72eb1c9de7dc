"""Program -> program in which a product with a difference that an earlier term has the other way round is minus that product.

    do[n] = 2 (o[n] − y[n])/N,   dy[n] = 2 (y[n] − o[n])/N          dy[n] = −2 (o[n] − y[n])/N

So are the gradients of what depends on a difference only: what they have in common is then computed once.
"""

from __future__ import annotations

from ..expr import Expr, additive_terms, factors, positive_terms, signed
from ..program import Equation, Program

Seen = dict[object, tuple[int, Expr]]  # what a product is but for its sign and the order of factors -> its sign, and how it is written


def turned(program: Program) -> Program:
    """See the module's docstring; products over the same indices are compared, outside recurrences."""
    seen: dict[object, Seen] = {}

    def rewritten(e: Equation) -> Equation:
        return e.with_body(_turned(e.body, seen.setdefault((e.subs, tuple(e.ranges.items())), {})))

    return program.with_equations(e if e.tensor in program.components else rewritten(e) for e in program.equations)


def _turned(e: Expr, seen: Seen) -> Expr:
    """The sum with each of its products as it is written where it stands first."""
    terms = []
    for sign, term in additive_terms(e):
        turns, key = _direction(term)
        first, written = seen.setdefault(key, (turns, term))
        terms.append((sign*turns*first, written) if turns != first else (sign, term))
    return e if terms == additive_terms(e) else signed(terms)


def _direction(term: Expr) -> tuple[int, object]:
    """(±1, key) of a product: turning each difference so that a fixed one of its terms is positive takes this sign."""
    direction, parts = 1, list[object]()
    for f in factors(term):
        terms = sorted(positive_terms(f), key=lambda t: str(t[1]))
        sign = terms[0][0] if len(terms) > 1 else 1
        direction *= sign
        parts.append(frozenset((s*sign, t) for s, t in terms))
    return direction, frozenset((p, parts.count(p)) for p in parts)
