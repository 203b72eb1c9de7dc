"""Quotients of exponentials, as quotients of their differences: exp(a)/(exp(a) + exp(b)) is 1/(1 + exp(b − a)).

For large arguments, the left-hand form is ∞/∞ or 0/0, and the right-hand one 0 or 1; and there is an exponential less to compute.
"""

from __future__ import annotations

from collections import Counter

from ..exponentials import exponent
from ..expr import ONE, ZERO, Expr, Num, Op, add, additive_terms, factors, is_reciprocal, num, product, signed


def exponents(e: Expr) -> list[Expr]:
    """a, b, … of exp(a) + exp(b) + …; a term 1 is exp(0). Nothing if e is no sum of exponentials."""
    terms = additive_terms(e)
    exps = [x for s, t in terms if s > 0 and (x := exponent(t, ZERO)) is not None]
    return exps if len(exps) == len(terms) > 1 and any(x != ZERO for x in exps) else []


def saturates(e: Expr) -> bool:
    """Whether e is a quotient by 1 + exp(…) + …: an exponential that overflows makes it 0, as it should."""
    return isinstance(e, Op) and e.op == "/" and any(ZERO in exponents(f) for f in factors(e.args[1]))


def quotient(e: Op) -> Expr:
    """e, with each quotient of exponentials in it by their differences."""
    parts, found = [g for f in factors(e) for g in (_copies(f) if isinstance(f, Op) and is_reciprocal(f) else [f])], False
    sums = [f for f in parts if isinstance(f, Op) and is_reciprocal(f) and exponents(f.args[1])]
    for below in sums:
        shares = ((k, _share(f, exponents(below.args[1]))) for k, f in enumerate(parts))
        k, share = next(((k, x) for k, x in shares if x is not None), (0, None))
        if share is not None:
            parts[k], found = share, True
            parts.remove(below)
    return product(parts) if found else e


def _copies(f: Expr) -> list[Expr]:
    """1/S² as 1/S · 1/S, and exp(2x) as exp(x) · exp(x)."""
    if isinstance(f, Op) and f.op == "exp":
        parts = factors(f.args[0])
        times = next((x for x in parts if _count(x) > 1), None)
        return [f] if times is None else [Op("exp", (product([x for x in parts if x is not times]),))]*_count(times)
    base = f.args[1] if isinstance(f, Op) and is_reciprocal(f) else ONE
    if isinstance(base, Op) and base.op == "**" and exponents(base.args[0]):
        return [Op("/", (ONE, base.args[0]))]*_count(base.args[1]) or [f]
    return [f]


def _count(e: Expr) -> int:
    """1, 2, 3 or 4; 0 for anything else."""
    return int(e.value) if isinstance(e, Num) and e.value in (1, 2, 3, 4) else 0


def _share(f: Expr, exps: list[Expr]) -> Expr | None:
    """f/(exp(a) + exp(b) + …), if f is one of these exponentials, or a sum of which each term has one as a factor.

    A number in a sum has exp(0), where the divisor has it.
    """
    terms = [(s, factors(t)) for s, t in additive_terms(f)]
    shares = []
    for s, parts in terms:
        taken = _taken(parts, exps)
        if taken is None and len(terms) > 1 and ZERO in exps and all(isinstance(x, Num) for x in parts):
            taken = ZERO, parts
        if taken is None:
            return None
        own, rest = taken
        others = list(exps)
        others.remove(own)
        shares.append((s, product([*rest, Op("/", (ONE, add([ONE, *(Op("exp", (_minus(x, own),)) for x in others)])))])))
    return signed(shares)


def _taken(parts: list[Expr], exps: list[Expr]) -> tuple[Expr, list[Expr]] | None:
    """One of the exponents, and what is left of a product without its exponential."""
    for k, x in enumerate(parts):
        for first, *others in ([x], _copies(x)):
            if x != ONE and (own := exponent(first, ZERO)) is not None and own in exps:
                return own, parts[:k] + others + parts[k + 1 :]
    return None


def _minus(a: Expr, b: Expr) -> Expr:
    """a − b without the terms that both have, and with the factors that all terms have before a bracket."""
    above, below = Counter(additive_terms(a)), Counter(additive_terms(b))
    terms = [*(above - below).elements(), *((-s, t) for s, t in (below - above).elements())]
    terms = sorted(((s, t) for s, t in terms if t != ZERO), key=lambda t: -t[0])
    parts = [Counter(factors(t)) for _, t in terms]
    common = parts[0] if parts else Counter[Expr]()
    for p in parts[1:]:
        common = common & p
    if len(terms) < 2 or not common:
        return signed(terms) if terms else ZERO
    rest = [(s, product(list((p - common).elements()))) for (s, _), p in zip(terms, parts, strict=True)]
    total = num(sum(s * t.value for s, t in rest if isinstance(t, Num))) if all(isinstance(t, Num) for _, t in rest) else signed(rest)
    return product([*common.elements(), total])
