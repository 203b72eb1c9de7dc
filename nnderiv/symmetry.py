"""Tensors that are their own transposes: A[…,i,…,j,…] = A[…,j,…,i,…] for two axes of one range.

    given          A[i,j] = A[j,i] says so of an input
    definition     the right-hand side is the same with i and j exchanged: G[i,j] = Σ_n X[n,i] X[n,j]
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from .expr import COMPARISONS, Expr, Num, Op, Read, has_normaliser, map_children, neg, num, reads, subst_indices
from .integer import Int
from .polynomial import additive_terms, factors, signed, unordered
from .program import Equation, Ranges
from .terms import Context, Term

Axes = tuple[int, int]
Turns = Callable[[Read, int, int], bool]  # whether the subscripts on two axes are to be exchanged
DEEP = 8  # so many definitions, each resting on the next, are looked through


def transpose(term: Term, dims: Ranges, ctx: Context) -> Term:
    """A[j,i] · e = A[i,j] · e, where A is its own transpose: so that summed letters meet, X[n,j] A[j,i] and A[i,j] X[j,n].

    Beside another factor that has both letters, in the same order: B[i,j] A[i,j].
    """
    if not any(len(r.subs) > 1 and symmetries(r.tensor, ctx) for r in reads(term.body)):
        return term
    order = {name: k for k, name in enumerate(dims)}
    others = [f for f in factors(term.body) if isinstance(f, Read) and len(f.subs) > 1 and not symmetries(f.tensor, ctx)]
    ends = {f.subs[-1] for f in others}

    def place(sub: Int) -> int:
        """Where the letter stands on the left; one that is summed comes last, or first if another factor ends with it."""
        return min((order[s] for s in sub.symbols() if s in order), default=-1 if sub in ends else len(order))

    def turns(r: Read, p: int, q: int) -> bool:
        a, b = r.subs[p], r.subs[q]
        both = next((f for f in others if a in f.subs and b in f.subs), None)
        return place(b) < place(a) if both is None else both.subs.index(b) < both.subs.index(a)

    body = _mapped(term.body, turns, ctx)
    return term if body == term.body else Term(term.indices, term.conditions, body, term.spare)


def exchanged(fact: Expr) -> tuple[str, Axes] | None:
    """(A, (p, q)) for the fact A[…,i,…,j,…] = A[…,j,…,i,…], where all subscripts are letters and no two the same."""
    if not (isinstance(fact, Op) and fact.op == "==" and all(isinstance(a, Read) for a in fact.args)):
        return None
    a, b = (r for r in fact.args if isinstance(r, Read))
    names = [s.name for s in a.subs]
    if a.tensor != b.tensor or None in names or len(set(names)) < len(names) or set(a.subs) != set(b.subs):
        return None
    moved = [k for k, (s, t) in enumerate(zip(a.subs, b.subs, strict=True)) if s != t]
    return (a.tensor, (moved[0], moved[1])) if len(moved) == 2 else None


def symmetries(name: str, ctx: Context, depth: int = 0) -> tuple[Axes, ...]:
    """The pairs of axes that may be exchanged; looked for once."""
    if name not in ctx.symmetries:
        definitions = ctx.defined(name)
        if depth > DEEP or not definitions and name not in ctx.program.kinds:  # or a gradient that is not known yet
            return ()
        ctx.symmetries[name] = tuple(_given(name, ctx)) if not definitions else tuple(_defined(definitions, ctx, depth))
    return ctx.symmetries[name]


def _given(name: str, ctx: Context) -> list[Axes]:
    facts = [known for fact in ctx.program.givens if (known := exchanged(fact)) is not None]
    dims = ctx.axes(name) or ()
    return [(p, q) for tensor, (p, q) in facts if tensor == name and dims[p] == dims[q]]


def _defined(definitions: tuple[Equation, ...], ctx: Context, depth: int) -> list[Axes]:
    d = definitions[0]
    written = not has_normaliser(d.body)  # else it has a letter that is not its own
    if len(definitions) > 1 or d.is_base or d.tensor in d.reads or d.tensor in ctx.program.components or not written:
        return []
    alike = [(p, q) for p, q in combinations(range(len(d.indices)), 2) if d.ranges[d.indices[p]] == d.ranges[d.indices[q]]]
    return [(p, q) for p, q in alike if _is_kept(d, d.indices[p], d.indices[q], lambda e: _canonical(e, ctx, depth + 1))]


def _is_kept(d: Equation, i: str, j: str, canonical: Callable[[Expr], Expr]) -> bool:
    """Whether the right-hand side is the same with i and j exchanged."""
    here, there = (canonical(subst_indices(d.body, {i: Int.symbol(a), j: Int.symbol(b)})) for a, b in ((i, j), (j, i)))
    return unordered(here, d.ranges) == unordered(there, d.ranges)


def _canonical(e: Expr, ctx: Context, depth: int) -> Expr:
    """The same value by one name of each symmetric element; (b − a)² as (a − b)², and j = i as i = j.

    In a comparison, the same to the last digit: of c·x[i]·x[j] one may be the largest, and not c·x[j]·x[i].
    """
    if isinstance(e, Op) and e.op in COMPARISONS and reads(e):
        return _digits(e, ctx, depth)
    if isinstance(e, Read):
        return _mapped(e, _is_later, ctx, depth)
    return _even(map_children(lambda child: _canonical(child, ctx, depth), e))


def _digits(e: Expr, ctx: Context, depth: int) -> Expr:
    """The same value however it is rounded: of two terms or factors either may be the first, of more the order counts."""
    return _in_order(_even(_mapped(e, _exactly(_is_later, ctx, depth), ctx, depth)))


def _exactly(turns: Turns, ctx: Context, depth: int) -> Turns:
    return lambda r, p, q: turns(r, p, q) and _is_exact(r.tensor, p, q, ctx, depth + 1)


def _is_exact(name: str, p: int, q: int, ctx: Context, depth: int) -> bool:
    """Whether a tensor that is its own transpose is so to the last digit."""
    if depth > DEEP or not (definitions := ctx.defined(name)):
        return depth <= DEEP
    i, j = (definitions[0].indices[k] for k in (p, q))
    return _is_kept(definitions[0], i, j, lambda e: _digits(e, ctx, depth))


def _in_order(e: Expr) -> Expr:
    e = map_children(_in_order, e)
    parts = factors(e) if isinstance(e, Op) and e.op in ("*", "/") else [num(s)*t for s, t in additive_terms(e)]
    return Op("in order", tuple(parts)) if len(parts) > 2 else e


def _is_later(r: Read, p: int, q: int) -> bool:
    return str(r.subs[q]) < str(r.subs[p])


def _even(e: Expr) -> Expr:
    e = map_children(_even, e)
    if isinstance(e, Op) and (e.op == "abs" or e.op == "**" and isinstance(e.args[1], Num) and e.args[1].value % 2 == 0):
        terms = additive_terms(e.args[0])
        base = min(signed(terms), neg(signed(terms)) if len(terms) < 2 else signed([(-s, t) for s, t in terms][::-1]), key=str)
        return Op(e.op, (base, *e.args[1:]))
    return Op(e.op, tuple(sorted(e.args, key=str))) if isinstance(e, Op) and e.op in ("==", "!=") else e


def _mapped(e: Expr, turns: Turns, ctx: Context, depth: int = 0) -> Expr:
    """The expression with the two subscripts of a symmetric read exchanged where `turns(read, p, q)`; see `_canonical` for comparisons."""
    if not isinstance(e, Read):
        known = _exactly(turns, ctx, depth) if isinstance(e, Op) and e.op in COMPARISONS else turns
        return map_children(lambda child: _mapped(child, known, ctx, depth), e)
    for p, q in symmetries(e.tensor, ctx, depth) if len(e.subs) > 1 else ():
        if turns(e, p, q):
            subs = list(e.subs)
            subs[p], subs[q] = subs[q], subs[p]
            e = Read(e.tensor, tuple(subs))
    return e
