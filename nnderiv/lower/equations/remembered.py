"""Program -> program in which a product that is a tensor already is read where its factors stand.

    y = a·s:      dy·a·s                      dy·y
                  dy·a·s·(1 − s)              dy·s·(a − y)
    y = a·s·b:    dy·b·s·(1 + a·(1 − s))      dy·(s·b + y·(1 − s))

So it is for tensors that the caller gets, and those that are read anyway: what is kept for backward does not grow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...bounds import inside
from ...expr import Expr, Op, Read, map_children, reads
from ...integer import Int
from ...polynomial import beside_one, factors, product, signed, square_root, without
from ...program import Equation, Program
from ...within import fills, positive_names
from .known import with_known


def remembered(program: Program, known: Program) -> Program:
    """See the module's docstring; y is computed by the program that is known."""
    if program.outputs == known.outputs:
        return program
    own = [e for e in program.equations if e.tensor not in known.definitions]
    at_hand = {*known.outputs}.union(*(e.reads for e in own))
    products = [e for e in known.equations if e.tensor in at_hand and e.tensor not in known.components and fills(known, e) and _reads(e)]
    if not products:
        return program
    visit = _Visitor(program, known, products)
    return with_known(program, [e.with_body(visit(e, e.body)) if e in own else e for e in program.equations], known)


def _reads(e: Equation) -> list[Read]:
    """The reads of which an equation is the product, if it is one of at least two."""
    parts = factors(e.body)
    found = [f for f in parts if isinstance(f, Read)]
    return found if len(found) == len(parts) > 1 else []


class _Visitor:
    def __init__(self, program: Program, known: Program, products: list[Equation]):
        self.known, self.positive = known, positive_names(program)
        self.products: dict[str, list[tuple[int, Equation, Read]]] = {}  # by one of their factors, in order
        for k, y in enumerate(products):
            first = max(_reads(y), key=lambda r: len({*r.subs}))
            self.products.setdefault(first.tensor, []).append((k, y, first))

    def __call__(self, e: Equation, node: Expr) -> Expr:
        new = map_children(lambda child: self(e, child), node)
        if not (isinstance(new, Op) and new.op in ("*", "/")):
            return new
        parts = [g for f in factors(new) for g in _copies(f)]
        for k, f in enumerate(parts):
            if (found := beside_one(f)) is not None and (spread := self.spread(e, parts[:k] + parts[k + 1:], *found)) is not None:
                new, parts = product(spread), spread
                break
        for y, taken in self.known_products(e, parts):
            first, left = min(parts.index(f) for f in taken), without(parts, taken)
            return product([*left[:first], y, *left[first:]])
        return new

    def spread(self, e: Equation, outer: list[Expr], sign: int, term: Expr) -> list[Expr] | None:
        """outer·(1 ± term) with those factors in the bracket that make the term a multiple of a product that is known. What is
        subtracted has been rounded already, as σ(x) has, or digits might be lost."""
        inner = factors(term)
        if sign < 0 and any(r.tensor not in self.known.definitions for r in reads(term)):
            return None
        for y, taken in self.known_products(e, [*outer, *inner]):
            there = Counter(taken) & Counter(inner)
            into = [*(Counter(taken) - there).elements()]
            if into and there:
                bracket = signed([(1, product(into)), (sign, product([y, *without(inner, there.elements())]))])
                return [*without(outer, into), bracket]
        return None

    def known_products(self, e: Equation, parts: list[Expr]) -> Iterator[tuple[Read, list[Expr]]]:
        """(y, its factors) of each tensor y whose factors are all among these."""
        names = {f.tensor for f in parts if isinstance(f, Read)}
        for _, y, first in sorted((x for name in names for x in self.products.get(name, ())), key=lambda x: x[0]):
            for r in (f for f in parts if isinstance(f, Read) and f.tensor == first.tensor):
                subs = _places(y, first, r)
                if subs is None or not self.is_inside(e, y, subs):
                    continue
                taken = factors(y.at(subs))
                if not Counter(taken) - Counter(parts):
                    yield Read(y.tensor, subs), taken

    def is_inside(self, e: Equation, y: Equation, subs: tuple[Int, ...]) -> bool:
        axes = self.known.hulls[y.tensor]
        return all(inside(s, axis, e.ranges, self.positive) for s, axis in zip(subs, axes, strict=True))


def _copies(f: Expr) -> list[Expr]:
    """x and x of x²."""
    root = square_root(f)
    return [f] if root is None else [root, root]


def _places(y: Equation, own: Read, r: Read) -> tuple[Int, ...] | None:
    """The subscripts of y at which a factor of it is what is read."""
    at = {str(s.name): t for s, t in zip(own.subs, r.subs, strict=True) if s.name in y.ranges}
    return tuple(at[str(s.name)] for s in y.subs) if all(s.name in at for s in y.subs) else None
