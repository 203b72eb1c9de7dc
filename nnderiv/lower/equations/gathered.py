"""Program -> program in which what several terms add at the places of one look-up is added up before it is put there.

    Σ_n where(h[n] = a, x[n,d], 0) − Σ_n where(h[n] = a, y[n,d], 0)   is   Σ_n where(h[n] = a, x[n,d] − y[n,d], 0)

Each such sum goes to its places one by one; what stands side by side is added up in passing. Products of matrices would not be products
any more once they are added up under one sum, so their sum is a tensor of its own:

    Σ_nk where(h[n] = a, x[n,k] U[k,d], 0) + Σ_nk where(h[n] = a, y[n,k] V[k,d], 0)   is   Σ_n where(h[n] = a, Z[n,d], 0),
    Z[n,d] = Σ_k x[n,k] U[k,d] + Σ_k y[n,k] V[k,d]
"""

from __future__ import annotations

from dataclasses import dataclass

from ...expr import ZERO, Expr, Num, Op, Reduce, conjunction, free_symbols, ints, sums_among, where
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, factors, guarded_factors, product, signed
from ...program import Equation, Program

Key = tuple[tuple[Expr, ...], tuple[str, ...], frozenset[Expr]]


@dataclass(frozen=True)
class _Sum:
    """where(before, Σ_indices where(places and …, values, 0), 0)."""

    key: Key
    values: Expr


def gathered(program: Program) -> Program:
    """See the module's docstring; what sums leave out is left out by conditions, and recurrences are left alone."""
    fresh, equations = Fresh(program.names), list[Equation]()
    for e in program.equations:
        equations += [e] if e.tensor in program.components else _equations(e, fresh)
    return program.with_equations(equations)


def _equations(e: Equation, fresh: Fresh) -> list[Equation]:
    """An equation with its sums at the same places gathered, after those of what is added up before."""
    terms = [(sign, term, _sum(term)) for sign, term in additive_terms(e.body)]
    groups: dict[Key, list[tuple[int, Expr]]] = {}
    for sign, _, found in terms:
        if found is not None:
            groups.setdefault(found.key, []).append((sign, found.values))
    if all(len(g) == 1 for g in groups.values()):
        return [e]
    before: list[Equation] = []
    new: list[tuple[int, Expr]] = []
    for sign, term, found in terms:
        group = groups.get(found.key, []) if found is not None else []
        if found is None or len(group) == 1:
            new.append((sign, term))
        elif group[0][1] is found.values:
            conditions, indices, places = found.key
            if inner := _inner(e, found, group):
                rows = _summed_before(e, fresh(f"{e.tensor}_rows"), inner, group)
                before.append(rows)
                indices, group = tuple(i for i in indices if i not in inner), [(1, rows.element)]
            put = where(conjunction(sorted(places, key=str)), signed(group), ZERO)
            new.append((1, where(conjunction([*conditions]), Reduce("sum", indices, put), ZERO)))
    return [*before, e.with_body(signed(new))]


def _inner(e: Equation, found: _Sum, group: list[tuple[int, Expr]]) -> tuple[str, ...]:
    """The indices that name no place and are summed by products of matrices: no factor is as large as its product."""
    conditions, indices, places = found.key
    named = frozenset[str]().union(*map(free_symbols, (*places, *conditions)))
    inner = tuple(i for i in indices if i not in named)
    return inner if inner and all(_is_contraction(e, values, inner) for _, values in group) else ()


def _is_contraction(e: Equation, values: Expr, inner: tuple[str, ...]) -> bool:
    labels = [free_symbols(f) & e.ranges.keys() for f in factors(values)]
    whole = frozenset[str]().union(*labels)
    return {*inner} <= whole and all(own < whole for own in labels)


def _summed_before(e: Equation, name: str, inner: tuple[str, ...], group: list[tuple[int, Expr]]) -> Equation:
    body = signed([(sign, Reduce("sum", inner, values)) for sign, values in group])
    used = {i for _, values in group for i in free_symbols(values) & e.ranges.keys()}
    axes = [i for i in (*(i for i in e.ranges if i not in e.indices), *e.indices) if i in used and i not in inner]
    return Equation(name, tuple(map(Int.symbol, axes)), body, {i: r for i, r in e.ranges.items() if i in used})


def _sum(term: Expr) -> _Sum | None:
    """One additive term, if it is a sum over what is put at the places of a look-up."""
    before, parts = guarded_factors(term)
    sums = sums_among(parts)
    numbers = [f for f in parts if isinstance(f, Num)]
    if len(sums) != 1 or len(sums) + len(numbers) < len(parts):
        return None
    conditions, body = guarded_factors(sums[0].body)
    places = [c for c in conditions if isinstance(c, Op) and c.op == "==" and any(v.elements() for v in ints(c))]
    if not places:
        return None
    values = where(conjunction([c for c in conditions if c not in places]), product([*numbers, *body]), ZERO)
    return _Sum((tuple(before), sums[0].indices, frozenset(places)), values)
