"""Program -> program in which a tensor that is another thing in each part of an axis is computed part by part.

    dz[n,j] = a[n,j] + b[n,j-H]  for j < 2 H          is     the one for j < H, the other for H ≤ j < 2 H

That is the gradient of what is read at z[n,k] and z[n,k+H]: gates, heads or queries and keys side by side in one tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cmp_to_key, partial
from itertools import combinations

from ...bounds import never_negative, smaller_or_greater
from ...expr import Expr, Read, Reduce
from ...integer import Int
from ...polynomial import additive_terms, guarded_factors, signed
from ...program import Equation, Program, Range, Ranges
from ...within import positive_names
from .apart import MANY


def blocks(program: Program) -> Program:
    """See the module's docstring."""
    positive = positive_names(program)
    return program.with_equations(part for e in program.equations for part in _blocks(program, e, positive) or [e])


def _blocks(program: Program, e: Equation, positive: Collection[str]) -> list[Equation]:
    """The equations of the parts of an axis, if each term is 0 outside one of several parts that have nothing in common."""
    terms = additive_terms(e.body)
    if program.whole(e.tensor) is None or len(terms) < 2:
        return []
    for a in e.indices:
        blocks: dict[Range, list[tuple[int, Expr]]] = {}
        for sign, t in terms:
            blocks.setdefault(block(program.hulls.__getitem__, e.ranges, a, t, positive), []).append((sign, t))
        pairs = combinations(blocks, 2)
        if 1 < len(blocks) <= MANY and all(_before(r, s, positive) or _before(s, r, positive) for r, s in pairs):
            order = sorted(blocks, key=cmp_to_key(partial(_order, positive)))
            return [replace(e, body=signed(blocks[r]), ranges={**e.ranges, a: r}) for r in order]
    return []


def block(axes: Callable[[str], Sequence[Range]], ranges: Ranges, a: str, term: Expr, positive: Collection[str]) -> Range:
    """The part of an index's range outside which a factor of the term is 0, read outside the axes of its tensor."""
    found = ranges[a]
    for f in guarded_factors(term)[1]:
        inner = guarded_factors(f.body)[1] if isinstance(f, Reduce) and f.op == "sum" else [f]
        for sub, axis in (x for r in inner if isinstance(r, Read) for x in zip(r.subs, axes(r.tensor), strict=True)):
            if a not in sub.symbols():
                continue
            offset = sub - Int.symbol(a)
            here = Range(axis.lo - offset, axis.hi - offset)
            lo = smaller_or_greater("max", found.lo, here.lo, positive)
            hi = smaller_or_greater("min", found.hi, here.hi, positive)
            decided = lo in (found.lo, here.lo) and hi in (found.hi, here.hi)
            if decided and not offset.symbols() & ranges.keys() and not offset.elements():
                found = Range(lo, hi)
    return found


def _before(r: Range, s: Range, positive: Collection[str]) -> bool:
    return never_negative(s.lo - r.hi, {}, positive)


def _order(positive: Collection[str], r: Range, s: Range) -> int:
    return -1 if _before(r, s, positive) else 1
