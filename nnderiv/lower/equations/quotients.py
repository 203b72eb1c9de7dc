"""Quotients of exponentials, as quotients of their differences: exp(a)/(exp(a) + exp(b)) is 1/(1 + exp(b − a)).

For large arguments, the left-hand form is ∞/∞ or 0/0, and the right-hand one 0 or 1; and there is an exponential less to compute.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from ...exponentials import copies, exponent
from ...expr import ONE, ZERO, Expr, Num, Op, add, free_symbols, is_where, neg, num, walk, where
from ...polynomial import additive_terms, factors, is_reciprocal, monomials, product, signed


def exponents(e: Expr) -> list[Expr]:
    """a, b, … of exp(a) + exp(b) + …; a term 1 is exp(0), and 2 exp(b) is exp(b + log 2). Nothing if e is no sum of exponentials."""
    exps = _exponents(e)
    return exps if len(exps) > 1 else []


def log_exponents(e: Expr) -> list[Expr]:
    """a, b, … of log(exp(a) + exp(b) + …), which is shifted as a whole, and of log exp(a), which is a; nothing if e is another thing."""
    return _exponents(e.args[0]) if isinstance(e, Op) and e.op == "log" else []


def _exponents(e: Expr) -> list[Expr]:
    """As `exponents`; of a single exponential too."""
    terms = additive_terms(e)
    found = [x for s, t in terms if s > 0 and (x := _scaled(t)) is not None]
    exps = [add([x, Op("log", (num(c),))]) if c != 1 else x for x, c in found]
    return exps if len(exps) == len(terms) and any(x != ZERO for x, _ in found) else []


def _scaled(e: Expr) -> tuple[Expr, Fraction] | None:
    """(a, c) of c·exp(a), for a number c > 0."""
    ((c, others),) = monomials(e)
    x = ZERO if not others else exponent(others[0]) if len(others) == 1 else None
    return None if x is None or c <= 0 else (x, c)


def _plain(x: Expr) -> tuple[Expr, Fraction]:
    """(a, c) of an exponent a + log c."""
    terms = additive_terms(x)
    k = next((k for k, (s, t) in enumerate(terms) if s > 0 and isinstance(t, Op) and t.op == "log" and isinstance(t.args[0], Num)), None)
    if k is None:
        return x, Fraction(1)
    number = terms[k][1]
    assert isinstance(number, Op) and isinstance(number.args[0], Num)
    return signed([*terms[:k], *terms[k + 1 :]]) if len(terms) > 1 else ZERO, number.args[0].value


def saturates(e: Expr) -> bool:
    """Whether e is a quotient by 1 + exp(…) + …, or a bound on an exponential: one that overflows makes it 0, or the bound."""
    if isinstance(e, Op) and e.op in ("min", "max", "relu"):
        return any(isinstance(n, Op) and n.op == "exp" for n in walk(e))
    return isinstance(e, Op) and e.op == "/" and any(_plain(x)[0] == ZERO for f in factors(e.args[1]) for x in exponents(f))


def quotient(e: Op) -> Expr:
    """e, with each quotient of exponentials in it by their differences."""
    parts, found = [g for f in factors(e) for g in (copies(f) if is_reciprocal(f) else [f])], False
    sums = [f for f in parts if is_reciprocal(f) and exponents(f.args[1])]
    for below in sums:
        shares = ((k, _share(f, exponents(below.args[1]))) for k, f in enumerate(parts))
        k, share = next(((k, x) for k, x in shares if x is not None), (0, None))
        if share is not None:
            parts[k], found = share, True
            parts.remove(below)
    joined = _joined(parts)
    return product(joined) if found or joined != parts else e


def _joined(parts: list[Expr]) -> list[Expr]:
    """exp(a − b) for exp(a)·exp(−b), of which one may be ∞ and the other 0, if it has no more entries than one of them.

    So exp(−x − exp(−x)) for exp(−x)·exp(−exp(−x)).
    """
    exps = [f for f in parts if isinstance(f, Op) and f.op == "exp" and not _is_share(f.args[0])]
    falling = [f for f in exps if all(s < 0 for s, _ in additive_terms(f.args[0]))]
    axes = [free_symbols(f) for f in exps]
    twice = len(exps) > 1 and any(isinstance(n, Op) and n.op == "exp" for f in exps for n in walk(f.args[0]))
    if not (0 < len(falling) < len(exps) or twice) or not any(a >= b for a in axes for b in [frozenset().union(*axes)]):
        return parts
    above = [f.args[0] for f in exps if f not in falling]
    whole = Op("exp", (_minus(add(above) if above else ZERO, add([neg(f.args[0]) for f in falling])),))
    return [*(f for f in parts if f not in exps), whole]


def _is_share(e: Expr) -> bool:
    """Whether e is a difference a − b of which a holds an exponential: what is added to both first is lost where that is large."""
    signs = {(s, any(isinstance(n, Op) and n.op == "exp" for n in walk(t))) for s, t in additive_terms(e)}
    return (1, True) in signs and any(s < 0 for s, _ in signs)


def _share(f: Expr, exps: list[Expr]) -> Expr | None:
    """f/(exp(a) + exp(b) + …), if f is one of these exponentials, or a sum of which each term has one as a factor.

    Any term in a sum has exp(0), where the divisor has it and another term has more.
    """
    terms = [(s, _apart(factors(t))) for s, t in additive_terms(f)]
    constant = next((x for x in exps if _plain(x)[0] == ZERO), None)
    own_terms = [_taken(parts, exps) for _, parts in terms]
    shares = []
    for (s, parts), taken in zip(terms, own_terms, strict=True):
        if taken is None and constant is not None and any(own_terms):
            taken = constant, [*parts, num(1/_plain(constant)[1])]
        if taken is None:
            return None
        own, rest = taken
        others = list(exps)
        others.remove(own)
        shares.append((s, product([*rest, Op("/", (ONE, add([ONE, *(Op("exp", (_minus(x, own),)) for x in others)])))])))
    return signed(shares)


def _apart(parts: list[Expr]) -> list[Expr]:
    """c·where(…, w, 0)·where(…, exp(a), 0) for where(…, c·w·exp(a), 0) with a number c; a temperature is one, too."""
    found: list[Expr] = []
    for f in parts:
        inner = factors(f.args[1]) if is_where(f, ZERO) else []
        exps: list[Expr] = [x for x in inner if isinstance(x, Op) and x.op == "exp"]
        if not (isinstance(f, Op) and 0 < len(exps) < len(inner)):
            found.append(f)
            continue
        numbers = [x for x in inner if not free_symbols(x)]
        weights = product([x for x in inner if x not in numbers and x not in exps])
        found += [*numbers, *(where(f.args[0], x, ZERO) for x in (weights, product(exps)) if x != ONE)]
    return found


def _taken(parts: list[Expr], exps: list[Expr]) -> tuple[Expr, list[Expr]] | None:
    """One of the exponents, and what is left of a product without its exponential."""
    for k, x in enumerate(parts):
        for first, *others in ([x], copies(x)):
            own = exponent(first, ZERO) if x != ONE else None
            for known in () if own is None else exps:
                plain, c = _plain(known)
                if plain == own:
                    return known, [*parts[:k], *others, *parts[k + 1 :], *([num(1/c)] if c != 1 else [])]
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
