"""Program -> program in which a contraction that is known already is not computed again in another order.

    Σ_j A[i,j] B[i,j]   with   B[i,j] = Σ_e F[i,e] G[j,e]   and   Y[i,e] = Σ_j A[i,j] G[j,e]   is   Σ_e F[i,e] Y[i,e]

since sums may change places. In the gradient of a weighted mean, for one: the row sums of A ⊙ dA are those of Y ⊙ dY.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...expr import Expr, Read, Reduce, subst_indices
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program, Ranges
from .known import with_known

Contractions = dict[frozenset[str], list[tuple[str, Equation]]]  # Y = Σ A G by the names of A and G


def exchange(program: Program, known: Program) -> Program:
    """See the module's docstring; Y is computed by the program that is known: its tensors need not be computed again."""
    contractions: Contractions = {}
    for name, es in known.definitions.items():
        if len(es) == 1 and (found := _pair(es[0].body)) is not None:
            contractions.setdefault(frozenset(r.tensor for r in found[2:]), []).append((name, es[0]))
    if not contractions:
        return program
    fresh = Fresh(program.names | known.names)
    return with_known(program, [_equation(program, e, contractions, fresh) for e in program.equations], known)


def _pair(body: Expr) -> tuple[list[Expr], tuple[str, ...], Read, Read] | None:
    """(factors without reads, bound indices, A, B) of c · Σ A B with two different reads."""
    parts = factors(body)
    sums = [f for f in parts if isinstance(f, Reduce)]
    if len(sums) != 1 or sums[0].op != "sum" or any(isinstance(f, Read) for f in parts):
        return None
    inner = factors(sums[0].body)
    if len(inner) != 2:
        return None
    a, b = inner
    others = [f for f in parts if f is not sums[0]]
    return (others, sums[0].indices, a, b) if isinstance(a, Read) and isinstance(b, Read) else None


def _equation(program: Program, e: Equation, contractions: Contractions, fresh: Fresh) -> Equation:
    terms, ranges = [], dict(e.ranges)
    for sign, term in additive_terms(e.body):
        new = _term(program, e, term, contractions, fresh)
        terms.append((sign, new[0] if new else term))
        ranges |= new[1] if new else {}
    return e if len(ranges) == len(e.ranges) else replace(e, body=signed(terms), ranges=ranges)


def _term(program: Program, e: Equation, term: Expr, contractions: Contractions, fresh: Fresh) -> tuple[Expr, Ranges] | None:
    found = _pair(term)
    if found is None:
        return None
    outside, bound, first, second = found
    for a, b in ((first, second), (second, first)):
        for more, inner, f, g, ranges in _definition(program, e, b, bound, fresh):
            for name, y in contractions.get(frozenset((a.tensor, g.tensor)), ()):
                subs = _matches(y, a, g, bound, {**e.ranges, **ranges})
                if subs is not None and name != e.tensor:
                    return product([*outside, *more, Reduce("sum", inner, f * Read(name, subs))]), ranges
    return None


def _definition(
    program: Program, e: Equation, b: Read, bound: tuple[str, ...], fresh: Fresh
) -> Iterator[tuple[list[Expr], tuple[str, ...], Read, Read, Ranges]]:
    """The contraction that b stands for, at b's own subscripts, as (constants, its bound indices, F, G, their ranges), F not over j."""
    definition = program.definitions.get(b.tensor, ())
    if len(definition) != 1 or (found := _pair(definition[0].body)) is None:
        return
    d = definition[0]
    if any(s.name not in d.ranges for s in d.subs) or any(s.name not in e.ranges for s in b.subs) or len(set(b.subs)) < len(b.subs):
        return
    if any(d.ranges[str(s.name)] != e.ranges[str(t.name)] for s, t in zip(d.subs, b.subs, strict=True)):
        return
    names = {i: fresh(i) if i in e.ranges else i for i in found[1]}
    values = d.places(b.subs) | {i: Int.symbol(n) for i, n in names.items()}
    outside, x, y = found[0], subst_indices(found[2], values), subst_indices(found[3], values)
    ranges = {names[i]: d.ranges[i] for i in found[1]}
    for f, g in ((x, y), (y, x)):
        if isinstance(f, Read) and isinstance(g, Read) and not any(s.symbols() & set(bound) for s in f.subs):
            yield outside, tuple(names.values()), f, g, ranges


def _matches(
    y: Equation, a: Read, g: Read, bound: tuple[str, ...], ranges: Mapping[str, object]
) -> tuple[Int, ...] | None:
    """The subscripts at which the tensor of y is Σ over bound of a·g, if it is."""
    found = _pair(y.body)
    assert found is not None
    outside, own, first, second = found
    if outside or len(own) != len(bound):
        return None
    for p, q in ((first, second), (second, first)):
        if (p.tensor, q.tensor) != (a.tensor, g.tensor):
            continue
        table: dict[str, str] = {}
        pairs = [*zip(p.subs, a.subs, strict=True), *zip(q.subs, g.subs, strict=True)]
        if not all(s.name in y.ranges and t.name in ranges and table.setdefault(str(s.name), str(t.name)) == t.name for s, t in pairs):
            continue
        plain = len(set(table.values())) == len(table) and {table[i] for i in own if i in table} == set(bound)
        if plain and all(y.ranges[i] == ranges[j] for i, j in table.items()) and all(s.name in table for s in y.subs):
            return tuple(Int.symbol(table[str(s.name)]) for s in y.subs)
    return None
