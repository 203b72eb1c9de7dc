"""Laws of what the program has a name for: sums that are tensors, and exponentials of differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from .bounds import inside
from .expr import TRUE, ZERO, Expr, Num, Op, Read, Reduce, conjuncts, free_symbols, head, is_where, num, reads, subst_indices
from .integer import Int
from .polynomial import additive_terms, factors, product, signed, without
from .program import Equation, Ranges
from .terms import Context, Term, may_leave


def known_sums(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_x c · e = c · y/a, where y is defined as a · Σ_x e, a is a number, and neither c nor the conditions know x.

    So it is where y is a gradient, b · Σ_x e: of what is added to a variance, too, each row has that of the variance.
    """
    if not term.indices:
        return term
    for d in ctx.sums(dict.fromkeys(map(head, factors(term.body)))):
        for at in _places(d, term):
            if (found := _named(term, d, at, dims, ctx)) is not None:
                return found
    return term


def _named(term: Term, d: Equation, at: Mapping[str, Int], dims: Ranges, ctx: Context) -> Term | None:
    """The term with the tensor of d, where its letters are `at` these places."""
    *others, total = sorted(factors(d.body), key=lambda f: isinstance(f, Reduce))
    assert isinstance(total, Reduce)
    ranges = {**dims, **term.indices}
    letters = [str(at[i].name) for i in total.indices]
    same = all(x in term.indices and term.indices[x] == d.ranges[i] for i, x in zip(total.indices, letters, strict=True))
    if not same or len({*letters}) < len(letters) or any(not inside(at[i], d.ranges[i], ranges, ctx.positive) for i in d.indices):
        return None
    numbers = [f for f in others if not reads(f)]
    whole = [*(f for f in others if f not in numbers), *factors(total.body)]
    own = [f for f in factors(subst_indices(product(whole), dict(at))) if not isinstance(f, Num)]
    parts = factors(term.body)
    if Counter(own) - Counter(parts) or any(may_leave(f, ranges, ctx) for f in own):
        return None
    rest = without(parts, own)
    y = d.element.subst(at)
    if any({*letters} & free_symbols(e) for e in (*rest, *term.conditions, y)):
        return None
    scale = [_inverse(f) for f in (*numbers, *(f for f in whole if isinstance(f, Num)))]
    return Term({i: r for i, r in term.indices.items() if i not in letters}, term.conditions, product([*scale, *rest, y]), term.spare)


def _inverse(f: Expr) -> Expr:
    return num(1 / f.value) if isinstance(f, Num) else f.args[1] if isinstance(f, Op) and f.op == "/" else Op("/", (num(1), f))


def _places(d: Equation, term: Term) -> Iterator[dict[str, Int]]:
    """What the letters of an equation may be, so that each of its reads is one of the term's."""
    return _unified([r for r in dict.fromkeys(reads(d.body))], list(dict.fromkeys(reads(term.body))), {*d.ranges}, {})


def _unified(mine: Sequence[Read], theirs: Sequence[Read], letters: set[str], at: dict[str, Int]) -> Iterator[dict[str, Int]]:
    if not mine:
        if letters <= at.keys():
            yield at
        return
    first, *others = mine
    for r in theirs:
        places = dict(at)
        if r.tensor == first.tensor and all(
            places.setdefault(s.name, t) == t if s.name in letters else s.subst(places) == t
            for s, t in zip(first.subs, r.subs, strict=True)
        ):
            yield from _unified(others, theirs, letters, places)


def join_exponentials(term: Term, dims: Ranges, ctx: Context) -> Term:
    """exp(a − b) · exp(b − c) = exp(a − c), by its name where the program has one."""
    parts = factors(term.body)
    exps = [f for f in parts if isinstance(f, Op) and f.op == "exp"]
    for f, g in permutations(exps, 2):
        left, right = (additive_terms(x.args[0]) for x in (f, g))
        shared = [t for s, t in left if s < 0 and (1, t) in right and isinstance(t, Read)]
        if len(shared) == 1 and any(s < 0 for s, _ in right):
            (b,) = shared
            joined = Op("exp", (signed([*(t for t in left if t != (-1, b)), *(t for t in right if t != (1, b))]),))
            rest = [x for x in parts if x is not f and x is not g]
            named, conditions = _by_name(joined, term.conditions, {**dims, **term.indices}, ctx)
            if conditions and any(r.tensor in ctx.unbounded for r in reads(product(rest))):
                named, conditions = joined, []
            left_over = tuple(c for c in term.conditions if c not in conditions)
            return Term(term.indices, left_over, product([*rest, named]), term.spare)
    return term


def _by_name(e: Expr, known: Sequence[Expr], ranges: Ranges, ctx: Context) -> tuple[Expr, list[Expr]]:
    """The tensor whose elements are all defined to be e, or 0 but where some of the known conditions hold, with these conditions."""
    for d in ctx.known.equations if ctx.known is not None else ():
        guard, body = (d.body.args[0], d.body.args[1]) if is_where(d.body, ZERO) else (
            TRUE, d.body)
        if not (isinstance(body, Op) and body.op == "exp") or d.is_base or len(ctx.program.definitions[d.tensor]) > 1:
            continue
        for r in reads(e):
            if not any(r.tensor == q.tensor and q.subs == d.subs for q in reads(body)):
                continue
            at = dict(zip(d.indices, r.subs, strict=True))
            needed = [subst_indices(c, at) for c in conjuncts(guard) if c != TRUE]
            if subst_indices(body, at) == e and {*needed} <= {*known} and all(
                    inside(s, d.ranges[i], ranges, ctx.positive) for i, s in at.items()):
                return Read(d.tensor, r.subs), needed
    return e, []
