"""Program -> program in which sums that differ by an exchange of two indices share what they have in common.

    Σ_j A[i,j] h[i,j,k] + Σ_j A[j,i] h[i,j,k]    is    Σ_j (A[i,j] + A[j,i]) h[i,j,k]
    Σ_j f(j,i) − Σ_j f(i,j)                      is    Σ_j F[j,i] − Σ_j F[i,j]   with   F[j,i] = f(j,i)

So go the gradients of losses over pairs: what stands at a pair depends on both of its members in the same way. A product of matrices,
A @ h with h over j and k, is cheaper than to add an array to its transpose; an array over i, j and k is not. The second is for
functions that cost more than reading an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from ...expr import Expr, Op, Read, Reduce, free_symbols, subst_indices, sums_among, walk
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, factors, product, signed, unordered
from ...program import Equation, Program
from ...within import runs_along
from .calls import COSTLY


@dataclass(frozen=True)
class _Sum:
    """An additive term of an equation, and which it is: ± outside · Σ_indices body."""

    term: int
    sign: int
    outside: tuple[Expr, ...]
    total: Reduce


def mirror(program: Program, known: Program) -> Program:
    """See the module's docstring; what sums leave out is left out by conditions, and recurrences are left alone."""
    fresh, equations = Fresh(program.names | known.names), list[Equation]()
    for e in program.equations:
        if e.tensor not in program.components:
            e = _added_up(program, e)
            while (found := _shared(e, fresh)) is not None:
                function, e = found
                equations.append(function)
        equations.append(e)
    return program.with_equations(equations)


def _pairs(e: Equation) -> list[tuple[_Sum, _Sum]]:
    """Two terms of an equation that are sums over the same indices."""
    sums = []
    for k, (sign, term) in enumerate(additive_terms(e.body)):
        parts = factors(term)
        if len(totals := sums_among(parts)) == 1:
            sums.append(_Sum(k, sign, tuple(f for f in parts if f is not totals[0]), totals[0]))
    return [(a, b) for a, b in combinations(sums, 2) if {*a.total.indices} == {*b.total.indices}]


# -- A[i,j] and A[j,i] beside the same -----------------------------------------------------------------------------------------
def _added_up(program: Program, e: Equation) -> Equation:
    """The equation, with one sum for two in which a tensor and its transpose are multiplied by the same."""
    for a, b in _pairs(e):
        if (total := _of_both(program, e, a, b)) is not None:
            terms = additive_terms(e.body)
            terms[a.term] = (a.sign, product([*a.outside, total]))
            return _added_up(program, e.with_body(signed(terms[:b.term] + terms[b.term + 1:])))
    return e


def _of_both(program: Program, e: Equation, a: _Sum, b: _Sum) -> Expr | None:
    mine, theirs = factors(a.total.body), factors(b.total.body)
    if {f.tensor for f in mine if isinstance(f, Read)}.isdisjoint(f.tensor for f in theirs if isinstance(f, Read)):
        return None
    if unordered(product([*a.outside])) != unordered(product([*b.outside])):
        return None
    for x in mine:
        if not isinstance(x, Read):
            continue
        rest = product([f for f in mine if f is not x])
        for y in theirs:
            if _are_transposed(program, e, x, y) and unordered(rest) == unordered(product([f for f in theirs if f is not y])):
                grows = any(free_symbols(x) < free_symbols(f) & e.ranges.keys() for f in factors(rest))
                return Reduce("sum", a.total.indices, product([signed([(1, x), (a.sign*b.sign, y)]), rest])) if grows else None
    return None


def _are_transposed(program: Program, e: Equation, x: Expr, y: Expr) -> bool:
    """Whether two reads look at all of one tensor, with two of its subscripts exchanged."""
    if not (isinstance(x, Read) and isinstance(y, Read)) or x.tensor != y.tensor or len({*x.subs}) < len(x.subs):
        return False
    moved = [k for k, (s, t) in enumerate(zip(x.subs, y.subs, strict=True)) if s != t]
    if len(moved) != 2 or {*x.subs} != {*y.subs}:
        return False
    return all(runs_along(r.subs, program.hulls[r.tensor], e.ranges) for r in (x, y))


# -- f(i,j) and f(j,i) ---------------------------------------------------------------------------------------------------------
def _shared(e: Equation, fresh: Fresh) -> tuple[Equation, Equation] | None:
    """(F, the equation that reads it) where two sums of the equation are over a function and its mirror image."""
    if not any(isinstance(n, Op) and n.op in COSTLY for n in walk(e.body)):
        return None
    for a, b in _pairs(e):
        body = a.total.body
        if not any(isinstance(n, Op) and n.op in COSTLY for n in walk(body)):
            continue
        for i, j in ((i, j) for i in e.indices for j in a.total.indices if e.ranges.get(i) == e.ranges[j]):
            swap = {i: Int.symbol(j), j: Int.symbol(i)}
            letters = [x for x in e.ranges if x in free_symbols(body)]
            if {i, j} <= {*letters} and unordered(subst_indices(body, swap)) == unordered(b.total.body):
                at, name = tuple(map(Int.symbol, letters)), fresh(f"{e.tensor}_of")
                terms = additive_terms(e.body)
                for t, subs in ((a, at), (b, tuple(s.subst(swap) for s in at))):
                    terms[t.term] = (t.sign, product([*t.outside, Reduce("sum", t.total.indices, Read(name, subs))]))
                return Equation(name, at, body, {x: e.ranges[x] for x in letters}), e.with_body(signed(terms))
    return None
