"""Program -> program in which a product with a difference that an earlier term has the other way round is minus that product.

    do[n] = 2 (o[n] − y[n])/N,   dy[n] = 2 (y[n] − o[n])/N          dy[n] = −2 (o[n] − y[n])/N

So are the gradients of what depends on a difference only: what they have in common is then computed once. An odd function of a difference,
as its sign, is minus that of the other one, and so is a sum of such.
"""

from __future__ import annotations

from collections import Counter

from ...expr import Expr, Op, Reduce, num
from ...polynomial import additive_terms, factors, positive_terms, product, signed
from ...program import Equation, Program

ODD = ("sign", "tanh", "sin", "erf")

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
    if terms == additive_terms(e):
        return e
    counted = Counter(terms)
    return signed([(s, t if n == 1 else product([num(n), t])) for (s, t), n in counted.items()])


def _direction(term: Expr) -> tuple[int, object]:
    """(±1, key) of a product: turning each difference so that a fixed one of its terms is positive takes this sign."""
    direction, parts = 1, list[object]()
    for f in factors(term):
        if isinstance(f, Reduce) and f.op == "sum" or isinstance(f, Op) and f.op in ODD:
            sign, inner = _direction(f.body if isinstance(f, Reduce) else f.args[0])
            direction *= sign
            parts.append((f.op, f.indices if isinstance(f, Reduce) else (), inner))
            continue
        terms = sorted(positive_terms(f), key=lambda t: str(t[1]))
        sign = terms[0][0] if len(terms) > 1 else 1
        direction *= sign
        parts.append(frozenset(Counter((s*sign, t) for s, t in terms).items()))  # −x − x is not −x
    return direction, frozenset((p, parts.count(p)) for p in parts)
