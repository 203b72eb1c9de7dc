"""Laws of the sum and the product in a term: deltas are contracted, constant summands counted, factors cancelled, facts used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from math import gcd

from .bounds import inside, never_negative
from .conditions import between, divisible, solved, where_not_0
from .expr import (
    INF,
    ONE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    conjuncts,
    free_symbols,
    has_reduction,
    integer,
    map_ints,
    num,
    reads,
    subst_indices,
    walk,
)
from .integer import FloorDiv, Int
from .laws_of_terms import common_factor, is_negative, merge_equal
from .logarithms import power_beside_one
from .polynomial import additive_terms, complement, factors, is_reciprocal, positive_terms, product, raised, signed, square_root
from .program import Equation, Range, Ranges, whole
from .terms import Context, Term, may_leave

MANY = 16  # terms of an expanded product; more would be no simplification


def contract_delta(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_x [x = v] e(x) = [v in the range of x] e(v), where x is bound and v is free of x."""
    for k, c in enumerate(term.conditions):
        at = dict(solved(c))
        if (name := next((i for i in term.indices if i in at), None)) is not None:
            r, value = term.indices[name], at[name]
            rest = term.conditions[:k] + term.conditions[k + 1 :]
            indices = {i: s for i, s in term.indices.items() if i != name}
            bare = Term(indices, rest, term.body, (*term.spare, (name, r))).subst({name: value})
            return Term(indices, (*bare.conditions, *between(r, value)), bare.body, bare.spare)
    return term


def contract_remainder(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_x [(v − x) mod s = 0] e(x, (v − x)/s) = e(v mod s, ⌊v/s⌋), where x runs over 0, …, s − 1 and v is free of x."""
    for k, c in enumerate(term.conditions):
        if (remainder := divisible(c)) is None:
            continue
        for name, r in term.indices.items():
            split = remainder.top.split(name)
            if split is None or split[0] != -1 or r != Range.upto(remainder.bottom):
                continue
            v, bottom = split[1], remainder.bottom
            whole = partial(Int.put, atoms={FloorDiv(remainder.top, bottom): v // bottom})
            conditions = tuple(map_ints(whole, d) for d in (*term.conditions[:k], *term.conditions[k + 1:]))
            indices = {i: s for i, s in term.indices.items() if i != name}
            return Term(indices, conditions, map_ints(whole, term.body), (*term.spare, (name, r))).subst({name: v % bottom})
    return term


def sum_of_nothing(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_x e = size(x) · e, where neither e nor a condition knows x."""
    used = free_symbols(term.body) | {s for c in term.conditions for s in free_symbols(c)}
    for name, r in term.indices.items():
        if name not in used:
            indices = {i: s for i, s in term.indices.items() if i != name}
            size = integer(r.size)
            return Term(indices, term.conditions, product([size, *factors(term.body)]), (*term.spare, (name, r)))
    return term


# -- quotients ---------------------------------------------------------------------------------------------------------------
def cancel(term: Term, dims: Ranges, ctx: Context) -> Term:
    """x · (a/x + b) = a + x·b and x · xᵃ⁻¹ = xᵃ, where x is never 0 and is read inside its range; 2·a/(2·N) = a/N.

    And x · f(1/x)/x = f(1/x): where x is 0, neither is anything.
    """
    parts = _reduced(factors(term.body))
    if parts != factors(term.body):
        return Term(term.indices, term.conditions, product(parts), term.spare)
    divisors = {x for p in parts for n in walk(p) if isinstance(n, Op) for x in divided_by(n)}
    ranges = {**dims, **term.indices}
    bases = dict.fromkeys([*parts, *(f.args[0] for f in parts if isinstance(f, Op) and _power_of(f, f.args[0]) > 1)])
    inside = [f for f in bases if f in divisors and not may_leave(f, ranges, ctx, term.conditions)]
    for x in inside:
        shorter = without_pairs(parts, [x])
        parts = shorter if any(_divides(x, p) for p in shorter) else parts
    safe = [x for x in divisors if never_zero(x, ctx)]
    known = [f for f in bases if any(_quotient(f, x) for x in safe) and not may_leave(f, ranges, ctx, term.conditions)]
    if not known:
        return term if len(parts) == len(factors(term.body)) else Term(term.indices, term.conditions, product(parts), term.spare)
    spread = _distributed(parts, known)
    body = min([_sum(spread), _sum(expanded(spread))], key=_length) if spread else product(without_pairs(parts, known))
    return term if body == term.body else Term(term.indices, term.conditions, body, term.spare)


def where_divided(term: Term, dims: Ranges, ctx: Context) -> Term:
    """d/x = [c] d/x, where d is defined to be 0 unless c holds, and c asks something of x: elsewhere x may be 0."""
    parts = factors(term.body)
    below = {x for f in parts if is_reciprocal(f) for x in divided_by(f) if isinstance(x, Read)}
    asked = [c for f in parts if below and isinstance(f, Read) for c in _needed(f, ctx) if not below.isdisjoint(reads(c))]
    new = [c for c in dict.fromkeys(asked) if c not in term.conditions and {*reads(c)} <= {*reads(term.body)}]
    return Term(term.indices, (*term.conditions, *new), term.body, term.spare) if new else term


def _needed(r: Read, ctx: Context) -> list[Expr]:
    """What all terms of a tensor's definition ask, said of the place that is read."""
    d = whole(ctx.defined(r.tensor))
    if d is None:
        return []
    first, *others = (conjuncts(where_not_0(t)) for _, t in additive_terms(d.body))
    return [subst_indices(c, d.places(r.subs)) for c in first if all(c in other for other in others)]


def _divides(x: Expr, e: Expr) -> bool:
    """Whether e is divided by x in any case: not only in a choice."""
    if not isinstance(e, Op) or e.op == "where":
        return False
    return x in divided_by(e) or any(_divides(x, a) for a in e.args)


def divided_by(e: Op) -> list[Expr]:
    """x for 1/x, for 1/x², and for xᵃ⁻¹."""
    if e.op == "/":
        below = [f.args[1] for f in factors(e) if is_reciprocal(f)]
        return [*below, *(x.args[0] for x in below if isinstance(x, Op) and _power_of(x, x.args[0]))]
    return [e.args[0]] if raised(e) is not None else []


def _reduced(parts: list[Expr]) -> list[Expr]:
    """A number above, and the number in an integer below, without their common divisor."""
    for k, f in enumerate(parts):
        for j, g in enumerate(parts):
            below = g.args[1] if isinstance(f, Num) and is_reciprocal(g) else None
            if isinstance(f, Num) and isinstance(below, IntValue) and below.value.terms:
                c = gcd(f.value.numerator, *below.value.terms.values())
                if c > 1:
                    rest = Int({m: n // c for m, n in below.value.terms.items()})
                    shown = integer(rest)
                    others = [p for i, p in enumerate(parts) if i not in (j, k)]
                    return factors(product([num(f.value / c), *others, ONE / shown]))
    return parts


def without_pairs(parts: list[Expr], known: list[Expr]) -> list[Expr]:
    """The factors without x and 1/x, once for each pair; with 1/x for x and 1/x², and xᵃ for x and xᵃ⁻¹."""
    rest = list(parts)
    for x in known:
        while x in rest and (found := next(((k, y) for k, f in enumerate(rest) if (y := _times(f, x)) is not None), None)):
            rest[found[0]] = found[1]
            rest.remove(x)
        rest = _one_power(rest, x)
    return [f for f in rest if f != ONE] or [ONE]


def _times(f: Expr, x: Expr) -> Expr | None:
    """f·x where f is 1/x, 1/xⁿ, or xᵃ⁻¹, or divides by what x is a short multiple of."""
    if is_reciprocal(f):
        n = _power_of(f.args[1], x)
        return _quotient(x, f.args[1]) if n < 2 else ONE / (x if n == 2 else Op("**", (x, num(n - 1))))
    return raised(f) if isinstance(f, Op) and f.args[0] == x else None


def _quotient(e: Expr, x: Expr) -> Expr | None:
    """e/x, for e = x, e = −x, and 1 − t² over 1 − t or 1 + t."""
    own, other = Counter(positive_terms(e)), Counter(positive_terms(x))
    if own == other:
        return ONE
    if own == Counter({(-s, t): n for (s, t), n in other.items()}):
        return num(-1)
    root = square_root(complement(e) or ZERO)
    beside = next((s for s in (1, -1) if root and other == Counter([(1, ONE), (s, root)])), None)
    return None if root is None or beside is None else signed([(1, ONE), (-beside, root)])


def _power_of(e: Expr, x: Expr) -> int:
    """n for e = xⁿ with a whole n ≥ 1, and 0 for what is no such power."""
    if e == x:
        return 1
    n = e.args[1].value if isinstance(e, Op) and e.op == "**" and e.args[0] == x and isinstance(e.args[1], Num) else 0
    return int(n) if n > 1 and n == int(n) else 0


def _one_power(parts: list[Expr], x: Expr) -> list[Expr]:
    """The factors with one power of x, where it is above and below: x² · 1/x is x."""
    found = [k for f in parts if (k := _exponent(f, x))]
    if not found or min(found) > 0 or max(found) < 0:
        return parts
    total = sum(found)
    power = [x if abs(total) == 1 else Op("**", (x, num(abs(total))))] if total else []
    first = next(k for k, f in enumerate(parts) if _exponent(f, x))
    rest = [f for f in parts[first:] if not _exponent(f, x)]
    return [*parts[:first], *(power if total > 0 else [ONE / f for f in power]), *rest]


def _exponent(f: Expr, x: Expr) -> int:
    """k of a factor xᵏ, negative where it divides; 0 for any other."""
    return -_power_of(f.args[1], x) if is_reciprocal(f) else _power_of(f, x)


def _distributed(parts: list[Expr], known: list[Expr]) -> list[Expr]:
    """The products that a sum among the factors gives, if each of them loses a divisor, or the whole is shorter; else nothing."""
    for k, f in enumerate(parts):
        terms = additive_terms(f)
        if len(terms) < 2:
            continue
        others = parts[:k] + parts[k + 1 :]
        before = [[f for f in (num(s), *others, *factors(t)) if f != ONE] for s, t in terms]
        after = [without_pairs(p, known) for p in before]
        shorter = [len(a) < len(b) for a, b in zip(after, before, strict=True)]
        if all(shorter) or any(shorter) and _length(_sum([product(a) for a in after])) < _length(product(parts)):
            return [product(a) for a in after]
    return []


def expanded(terms: list[Expr]) -> list[Expr]:
    """Products of sums multiplied out, as long as that stays short."""
    pending, found = list(terms), list[Expr]()
    while pending:
        parts = factors(pending.pop(0))
        k = next((k for k, f in enumerate(parts) if len(additive_terms(f)) > 1), None)
        if k is None or len(pending) + len(found) > MANY:
            found.append(product(parts))
        else:
            rest = parts[:k] + parts[k + 1 :]
            pending[:0] = [product([num(s), *rest, *factors(t)]) for s, t in additive_terms(parts[k])]
    return found


def _sum(parts: list[Expr]) -> Expr:
    total = common_factor(merge_equal(parts, {}), {})
    return add(sorted(total, key=is_negative))


def _length(e: Expr) -> int:
    return sum(1 for _ in walk(e))


def common_sign(term: Term, dims: Ranges, ctx: Context) -> Term:
    """(−a − b) · e = −(a + b) · e, where there is a product, or a sum over indices, for the minus to stand before."""
    parts = factors(term.body)
    for k, f in enumerate(parts):
        terms = additive_terms(f)
        if len(terms) > 1 and all(s < 0 for s, _ in terms) and (len(parts) > 1 or term.indices):
            turned = [num(-1), *parts[:k], add([t for _, t in terms]), *parts[k + 1:]]
            return Term(term.indices, term.conditions, product(turned), term.spare)
    return term


POSITIVE = ("exp", "sigmoid", "softplus")


def never_zero(e: Expr, ctx: Context) -> bool:
    """Whether e is provably not 0: a number, a size, exp or σ of something finite, 1 ± σ, 1 ± tanh, 1 − tanh²; roots of such.

    Or a number by which the program divides: where that is 0, there is nothing to differentiate.
    """
    if isinstance(e, Read) and not e.subs and e in ctx.program.divisors:
        return True
    if isinstance(e, Num | IntValue):
        return e.value != 0 if isinstance(e, Num) else never_negative(e.value - 1, {}, ctx.positive)
    if isinstance(e, Op) and e.op == "sqrt":
        return never_zero(e.args[0], ctx)
    if (beside := power_beside_one(e)) is not None:
        sign, _, x = beside
        return _is_value_of(x, ("sigmoid", "tanh") if sign < 0 else (*POSITIVE, "tanh"), ctx)
    return _is_value_of(e, POSITIVE, ctx)


def _is_value_of(e: Expr, functions: tuple[str, ...], ctx: Context) -> bool:
    if isinstance(e, Read):
        d = ctx.program.whole(e.tensor)
        return d is not None and _is_value_of(d.body, functions, ctx)
    return isinstance(e, Op) and e.op in functions and _is_finite(e.args[0], ctx)


def _is_finite(e: Expr, ctx: Context) -> bool:
    """Whether no infinity is written in e or in what it rests on: exp(−∞) is 0."""
    return not any(n == INF or isinstance(n, Read) and n.tensor in ctx.program.with_infinities for n in walk(e))


# -- facts -------------------------------------------------------------------------------------------------------------------
def deviations(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """Σ_x (y[…,x,…] − m) · e = 0, where m is defined as the mean of y over x, and e and the conditions do not know x."""
    parts = factors(term.body)
    for k, f in enumerate(parts):
        for y, m in _differences(f):
            elsewhere = {s for e in (*parts[:k], *parts[k + 1 :], *term.conditions) for s in free_symbols(e)}
            mean = _mean_of(y, m, term.indices, dims, ctx)
            if mean and not elsewhere & set(mean) and set(mean) <= set(term.indices):
                return None
    return term


def _differences(e: Expr) -> Iterator[tuple[Read, Read]]:
    terms = additive_terms(e)
    if len(terms) == 2 and terms[0][0] != terms[1][0]:
        for (_, a), (_, b) in (terms, terms[::-1]):
            if isinstance(a, Read) and isinstance(b, Read):
                yield a, b


def _mean_of(y: Read, m: Read, indices: Ranges, dims: Ranges, ctx: Context) -> list[str]:
    """The bound letters over which m is the mean of y, over all or over groups, as of y[4·q + c]; none if it is not."""
    d, axes = ctx.program.whole(m.tensor), ctx.axes(m.tensor)
    if d is None or axes is None or not all(s.name for s in m.subs):
        return []
    parts = factors(d.body)
    total = next((f for f in parts if isinstance(f, Reduce) and f.op == "sum" and isinstance(f.body, Read)), None)
    if total is None or not isinstance(total.body, Read) or total.body.tensor != y.tensor:
        return []
    count = Int.of(1)
    for i in total.indices:
        count = count * d.ranges[i].size
    at = dict(zip(d.indices, m.subs, strict=True))
    bound: dict[str, str] = {}
    for t, s, axis in zip(total.body.subs, y.subs, ctx.axes(y.tensor) or (), strict=False):
        within = inside(s, axis, {**dims, **indices}, ctx.positive)
        bound |= {i: b for i in total.indices if i in t.symbols() and within for b in indices if t.subst({**at, i: Int.symbol(b)}) == s}
    same = subst_indices(total.body, {**at, **{i: Int.symbol(b) for i, b in bound.items()}}) == y
    spans = set(bound) == set(total.indices) and all(indices[b] == d.ranges[i] for i, b in bound.items())
    counts = (integer(count), IntValue(Int.extreme("max", count, Int.of(1))))
    is_mean = [f for f in parts if f is not total] in [factors(ONE / n) for n in counts]  # the mean of nothing is 0
    return list(bound.values()) if same and spans and is_mean and len(set(bound.values())) == len(bound) else []


def _axis(r: Read, index: str, ctx: Context) -> Range | None:
    """The range of the axis of a tensor at which an index stands plainly."""
    return next((a for s, a in zip(r.subs, ctx.axes(r.tensor) or (), strict=False) if s.name == index), None)


def use_givens(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_m y[…,m,…] · e = c · e, where a `given` says Σ_m y[…,m,…] = c, and e and the conditions do not know m."""
    for fact in ctx.program.givens:
        if isinstance(fact, Op) and fact.op == "==" and isinstance(fact.args[0], Reduce) and fact.args[0].op == "sum":
            found = _match_given(term, fact.args[0], fact.args[1], dims, ctx)
            if found is not None:
                return found
    return term


def _match_given(term: Term, pattern: Reduce, value: Expr, dims: Ranges, ctx: Context) -> Term | None:
    if not isinstance(pattern.body, Read) or reads(value):
        return None
    parts = factors(term.body)
    for f in parts:
        if not isinstance(f, Read) or f.tensor != pattern.body.tensor:
            continue
        places = list(zip(pattern.body.subs, f.subs, ctx.axes(f.tensor) or (), strict=False))
        summed = [(s.name, a) for p, s, a in places if p.name in pattern.indices]
        others = [g for g in parts if g is not f]
        elsewhere = {s for g in (*others, *term.conditions) for s in free_symbols(g)}
        letters = {s for s, _ in summed}
        full = all(s in term.indices and term.indices[s] == a and s not in elsewhere for s, a in summed if s is not None)
        ranges = {**dims, **term.indices}
        free = [(s, a) for p, s, a in places if p.name not in pattern.indices]
        inside = all(never_negative(s - a.lo, ranges, ctx.positive) and never_negative(a.hi - 1 - s, ranges, ctx.positive) for s, a in free)
        if full and inside and None not in letters and len(letters) == len(summed):
            indices = {i: r for i, r in term.indices.items() if i not in letters}
            return Term(indices, term.conditions, product([*factors(value), *others]), term.spare)
    return None


def known_totals(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_m p[…,m,…] · e = c · e, where p is a softmax over m (c = 1) or a sum of what sums to a number, and e and the conditions do not
    know m. The softmax may be written out: exp(s − l), with l the logsumexp of s."""
    for f in factors(term.body):
        if isinstance(f, Op) and f.op == "exp" and (found := _without_softmax(term, f, dims, ctx)) is not None:
            return found
    for f in dict.fromkeys(f for f in factors(term.body) if isinstance(f, Read)):
        for axis in (k for k, s in enumerate(f.subs) if s.name in term.indices):
            total = _total_along(f.tensor, axis, ctx)
            found = _match_given(term, *total, dims, ctx) if total is not None else None
            if found is not None:
                return found
    return _term_by_term(term, dims, ctx)


def _term_by_term(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_m (p − q) · e = (1 − 1) · e, where each of them is known to sum to a number."""
    sums = [f for f in factors(term.body) if len(additive_terms(f)) > 1]
    terms = additive_terms(sums[0]) if len(sums) == 1 else []
    known = terms and all(any(isinstance(f, Read) and ctx.defined(f.tensor) for f in factors(t)) for _, t in terms)
    if not known:
        return term
    rest = [f for f in factors(term.body) if f is not sums[0]]
    found: list[Term] = []
    for s, t in additive_terms(sums[0]):
        part = known_totals(Term(term.indices, term.conditions, product([num(s), *rest, *factors(t)]), term.spare), dims, ctx)
        if len(part.indices) == len(term.indices) or found and part.indices != found[0].indices:
            return term
        found.append(part)
    return Term(found[0].indices, term.conditions, add(merge_equal([t.body for t in found], {})), term.spare)


def _without_softmax(term: Term, f: Expr, dims: Ranges, ctx: Context) -> Term | None:
    """The term without the factor f = exp(s − l) and the index along which f sums to 1."""
    ranges = {**dims, **term.indices}
    c = _softmax_index(f, tuple(i for i in term.indices if i in free_symbols(f)), ranges, ctx)
    others = [g for g in factors(term.body) if g is not f]
    if c is None or may_leave(f, ranges, ctx) or any(c in free_symbols(g) for g in (*others, *term.conditions)):
        return None
    return Term({i: r for i, r in term.indices.items() if i != c}, term.conditions, product(others), term.spare)


def _total_along(name: str, axis: int, ctx: Context) -> tuple[Reduce, Expr] | None:
    """The sum of a whole tensor along an axis, where its definition makes it a number; looked for once, for many paths lead there.

    What it rests on is asked first, so that a chain of any length fits Python's stack.
    """
    todo, waiting = [(name, axis)], set[tuple[str, int]]()
    while todo:
        top = todo.pop()
        known = _totals_like(top[0], ctx)
        if top in waiting:
            waiting.remove(top)
            known[top] = _defined_total(*top, ctx)
        elif top not in known and ctx.defined(top[0]):
            known[top] = None  # what rests on itself
            waiting.add(top)
            todo += [top, *_rests_on(*top, ctx)]
    return _totals_like(name, ctx).get((name, axis))


def _totals_like(name: str, ctx: Context) -> dict[tuple[str, int], tuple[Reduce, Expr] | None]:
    """What is known of sums of the program's tensors, or of gradients."""
    return ctx.program.totals if name in ctx.program.definitions else ctx.totals


def _rests_on(name: str, axis: int, ctx: Context) -> list[tuple[str, int]]:
    """The tensors that the definition of one reads plainly along this axis, and where."""
    d = whole(ctx.defined(name))
    if d is None or name in ctx.program.components:
        return []
    return [(r.tensor, k) for r in reads(d.body) for k, s in enumerate(r.subs) if s.name == d.indices[axis]]


def _defined_total(name: str, axis: int, ctx: Context) -> tuple[Reduce, Expr] | None:
    d = whole(ctx.defined(name))
    if d is None or name in ctx.program.components:
        return None
    c, terms = d.indices[axis], expanded([num(s)*t for s, t in additive_terms(d.body)])
    pattern = Reduce("sum", (c,), Read(name, d.subs))
    if _softmax_axis(d, ctx) == c:
        return pattern, ONE
    if len(terms) > 4 or c not in free_symbols(d.body):
        return None
    total = [_total(t, c, d, ctx) for t in terms]
    if None in total:
        return None
    value = add(merge_equal(expanded([t for t in total if t is not None]), d.ranges))
    return None if reads(value) else (pattern, value)


def _softmax_axis(d: Equation, ctx: Context) -> str | None:
    """The index c of p = exp(s − l) with l the logsumexp of s over c, where all is finite."""
    return _softmax_index(d.body, d.indices, d.ranges, ctx)


def _softmax_index(e: Expr, indices: tuple[str, ...], ranges: Ranges, ctx: Context) -> str | None:
    """The one c of the indices along which e = exp(s − l) sums to 1."""
    terms = additive_terms(e.args[0]) if isinstance(e, Op) and e.op == "exp" else []
    lse = terms[-1][1] if len(terms) > 1 and terms[-1][0] == -1 else None
    below = ctx.program.whole(lse.tensor) if isinstance(lse, Read) and lse.tensor in ctx.program.lse else None
    if below is None or not isinstance(lse, Read) or not isinstance(below.body, Reduce):
        return None
    along = [i for i in indices if Int.symbol(i) not in lse.subs]
    if len(along) != 1 or len(below.body.indices) != 1 or ranges[along[0]] != below.ranges[below.body.indices[0]]:
        return None
    (c,) = along
    at = {**below.places(lse.subs), below.body.indices[0]: Int.symbol(c)}
    scores = signed(terms[:-1])
    return c if subst_indices(below.body.body, at) == scores and _is_finite(scores, ctx) else None


def _total(t: Expr, c: str, d: Equation, ctx: Context) -> Expr | None:
    """Σ_c t, if that needs no sum, or is the sum of a whole tensor: x − mean(x) sums to Σ x − Σ x."""
    size = d.ranges[c].size
    plain = [f for f in factors(t) if isinstance(f, Read) and c in free_symbols(f)]
    if len(plain) == 1 and all(isinstance(f, Num) for f in factors(t) if f is not plain[0]) and _axis(plain[0], c, ctx) == d.ranges[c]:
        known = _without_sum(plain[0], c, d, ctx)
        whole = Reduce("sum", (c,), plain[0]) if known.indices else known.body
        return product([whole if f is plain[0] else f for f in factors(t)])
    if has_reduction(t) and c in free_symbols(t):
        return None
    if c not in free_symbols(t):
        count = integer(size)
        return product(without_pairs([count, *factors(t)], [count]))
    found = _without_sum(t, c, d, ctx)
    return None if found.indices else found.body


def _without_sum(t: Expr, c: str, d: Equation, ctx: Context) -> Term:
    """Σ_c t by what is known of totals."""
    dims = {i: r for i, r in d.ranges.items() if i != c}
    return known_totals(use_givens(Term({c: d.ranges[c]}, (), t), dims, ctx), dims, ctx)
