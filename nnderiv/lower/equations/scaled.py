"""Programs -> programs in which a number that a product of two tensors is scaled by goes into one of them, once for forward and backward.

    S = Σ Q K / √D,   dQ = Σ dS K / √D,   dK = Σ dS Q / √D        R = Q / √D,   S = Σ R K,   dQ = Σ dS K / √D,   dK = Σ dS R

Where the operand has no more entries than the product, its scaling costs no more than the product's, and a gradient's is saved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...expr import Expr, Num, Read, Reduce, free_symbols, reads, sums_among
from ...fresh import Fresh
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program
from ...within import covers
from ..cost import entries
from .known import with_known


@dataclass(frozen=True)
class _Scale:
    """c, and the operand that it goes into, in the equation of their product."""

    factors: tuple[Expr, ...]
    operand: Read
    equation: Equation

    def within(self, term: Expr, e: Equation, into: Read | None = None) -> Expr | None:
        """The term c · Σ … X … with c·X, once it is stored, in place of X; None for any other term."""
        parts = factors(term)
        sums = sums_among(parts)
        if len(sums) != 1 or Counter(f for f in parts if f is not sums[0]) != Counter(self.factors):
            return None
        inner = factors(sums[0].body)
        places = [k for k, f in enumerate(inner) if isinstance(f, Read) and f.tensor == self.operand.tensor and self._whole(f, e)]
        if len(places) != 1:
            return None
        read = inner[places[0]]
        assert isinstance(read, Read)
        inner[places[0]] = replace(into, subs=read.subs) if into else read
        return Reduce("sum", sums[0].indices, product(inner))

    def _whole(self, r: Read, e: Equation) -> bool:
        """Whether a read looks at each entry once, in any order."""
        return covers(r.subs, [self.equation.ranges[str(s.name)] for s in self.operand.subs], e.ranges)


def scaled(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    fresh, start = Fresh(forward.names | backward.names), forward
    for e in [e for e in forward.equations if e.tensor not in start.components and len(forward.definitions[e.tensor]) == 1]:
        saving = [s for s in _scales(start, e) if _used(s, backward)]
        if not saving:
            continue
        scale = min(saving, key=lambda s: entries(e.ranges[str(i.name)].size for i in s.operand.subs))
        ranges = {str(s.name): e.ranges[str(s.name)] for s in scale.operand.subs}
        new = Equation(fresh(f"{scale.operand.tensor}_scaled"), scale.operand.subs, product([scale.operand, *scale.factors]), ranges)
        forward = forward.with_equations(x for f in forward.equations for x in ([new, _rewritten(scale, f, new)] if f is e else [f]))
        backward = with_known(backward, [_rewritten(scale, g, new) for g in backward.equations], forward)
    return forward, backward


def _scales(program: Program, e: Equation) -> Iterator[_Scale]:
    """The ways to scale an operand instead of a product that this equation is, or adds to something."""
    for _, term in additive_terms(e.body) if not e.is_base else ():
        yield from _scales_of(program, e, term)


def _scales_of(program: Program, e: Equation, term: Expr) -> Iterator[_Scale]:
    parts = factors(term)
    sums = sums_among(parts)
    others = [f for f in parts if f not in sums]
    plain = not any(reads(f) or free_symbols(f) & set(e.ranges) or isinstance(f, Num) and f.value < 0 for f in others)
    if len(sums) != 1 or not others or not plain:
        return
    operands = factors(sums[0].body)
    result = entries(e.ranges[i].size for i in e.indices if i in free_symbols(term))
    for x in operands if len(operands) == 2 and all(isinstance(x, Read) for x in operands) else ():
        assert isinstance(x, Read)
        dims = program.hulls[x.tensor]
        if covers(x.subs, dims, e.ranges) and entries(r.size for r in dims) <= result:
            yield _Scale(tuple(others), x, e)


def _used(scale: _Scale, backward: Program) -> bool:
    readers = [g for g in backward.equations if scale.operand.tensor in g.reads]
    return any(scale.within(t, g) is not None for g in readers for _, t in additive_terms(g.body))


def _rewritten(scale: _Scale, e: Equation, new: Equation) -> Equation:
    if scale.operand.tensor not in e.reads:
        return e
    return e.with_body(signed([(s, scale.within(t, e, new.element) or t) for s, t in additive_terms(e.body)]))
