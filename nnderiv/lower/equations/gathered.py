"""Program -> program in which what several terms add at the places of one look-up is added up before it is put there.

    Σ_n where(h[n] = a, x[n,d], 0) − Σ_n where(h[n] = a, y[n,d], 0)   is   Σ_n where(h[n] = a, x[n,d] − y[n,d], 0)

Each such sum goes to its places one by one; what stands side by side is added up in passing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...expr import ZERO, Expr, Num, Op, Reduce, conjunction, ints, sums_among, where
from ...polynomial import additive_terms, guarded_factors, product, signed
from ...program import Equation, Program

Key = tuple[tuple[Expr, ...], tuple[str, ...], frozenset[Expr]]


@dataclass(frozen=True)
class _Sum:
    """where(before, Σ_indices where(places and …, values, 0), 0)."""

    key: Key
    values: Expr


def gathered(program: Program) -> Program:
    """See the module's docstring; what sums leave out is left out by conditions, and recurrences are left alone."""
    return program.with_equations(e if e.tensor in program.components else _equation(e) for e in program.equations)


def _equation(e: Equation) -> Equation:
    terms = [(sign, term, _sum(term)) for sign, term in additive_terms(e.body)]
    groups: dict[Key, list[tuple[int, Expr]]] = {}
    for sign, _, found in terms:
        if found is not None:
            groups.setdefault(found.key, []).append((sign, found.values))
    if all(len(g) == 1 for g in groups.values()):
        return e
    new: list[tuple[int, Expr]] = []
    for sign, term, found in terms:
        group = groups.get(found.key, []) if found is not None else []
        if found is None or len(group) == 1:
            new.append((sign, term))
        elif group[0][1] is found.values:
            before, indices, places = found.key
            inner = where(conjunction(sorted(places, key=str)), signed(group), ZERO)
            new.append((1, where(conjunction([*before]), Reduce("sum", indices, inner), ZERO)))
    return e.with_body(signed(new))


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
