"""Program -> program in which what depends on i and on i − j is a table over i and r = i − j: a product of matrices, read askew.

    A[i,j] = Σ_d Q[i,d] R[i−j,d]         P[i,r] = Σ_d Q[i,d] R[r,d];        A[i,j] = P[i,i−j]
    dQ[i,d] = Σ_j dA[i,j] R[i−j,d]       S[i,r] = dA[i,i−r];                dQ[i,d] = Σ_r S[i,r] R[r,d]
    dR[r,d] = Σ_j dA[j+r,j] Q[j+r,d]                                        dR[r,d] = Σ_i S[i,r] Q[i,d]

So go relative positions in attention. As they stand, each is an array over i, j and d, or a product for each i. The table pays where it
is provably at most twice as wide as what it replaces: for j < N there are 2N − 1 distances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations

from ...bounds import never_negative
from ...expr import Expr, Read, Reduce, bound_indices, free_symbols, has_reduction, map_children, reads, subst_indices
from ...facts import Facts
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import factors, product
from ...program import Equation, Program, Range, Ranges
from ...within import positive_names, readable
from .. import cost
from ..fold import axes_at


def skew(program: Program, known: Program) -> Program:
    """See the module's docstring."""
    facts = Facts.beside(program, known)
    tables = _Tables(Fresh(program.names | known.names))
    equations = [_Skewed(program, facts, tables, e).equation() for e in program.equations]
    return program.with_equations([*equations, *tables.found.values()])


@dataclass
class _Tables:
    """The tables so far; what two equations need alike is one table."""

    fresh: Fresh
    found: dict[tuple[Expr, tuple[Range, ...]], Equation] = field(default_factory=dict)  # by the body, its indices by their order

    def read(self, wish: str, body: Expr, ranges: Ranges) -> Read:
        """body as a tensor over its free indices, at these."""
        free = free_symbols(body) & ranges.keys()
        indices = list(dict.fromkeys(i for r in reads(body) for s in r.subs for i in sorted(s.symbols() & free)))
        subs = tuple(map(Int.symbol, indices))
        key = subst_indices(body, {i: Int.symbol(f"§{k}") for k, i in enumerate(indices)}), tuple(ranges[i] for i in indices)
        if key not in self.found:
            own = {i: r for i, r in ranges.items() if i in (*indices, *bound_indices(body))}
            self.found[key] = Equation(self.fresh(wish), subs, body, own)
        return Read(self.found[key].tensor, subs)


@dataclass(frozen=True)
class _Slide:
    """A factor that is read at i ± j on one of its axes, and nowhere else at either."""

    factor: Read
    axis: int
    i: str
    j: str

    @property
    def place(self) -> Int:
        return self.factor.subs[self.axis]

    def at(self, r: str) -> Read:
        """The factor at r in place of i ± j."""
        subs = self.factor.subs
        return replace(self.factor, subs=(*subs[:self.axis], Int.symbol(r), *subs[self.axis + 1:]))

    def solved(self, r: str) -> Int:
        """j, from r and i."""
        split = self.place.split(self.j)
        assert split is not None
        return (Int.symbol(r) - split[1]) * split[0]


class _Skewed:
    """One equation."""

    def __init__(self, program: Program, facts: Facts, tables: _Tables, e: Equation):
        self.program, self.facts, self.tables, self.e, self.ranges = program, facts, tables, e, dict(e.ranges)
        self.positive = positive_names(program)

    def equation(self) -> Equation:
        body = self.e.body if self.e.tensor in self.program.components else self.visit(self.e.body)
        used = {*self.e.indices, *bound_indices(body)}
        return self.e if body == self.e.body else replace(self.e, body=body, ranges={i: r for i, r in self.ranges.items() if i in used})

    def visit(self, node: Expr, bound: bool = False) -> Expr:
        """bound: within another reduction."""
        if isinstance(node, Reduce) and node.op == "sum":
            parts = factors(node.body)
            for slide in self.slides(parts):
                others = [f for f in parts if f is not slide.factor]
                if slide.j in node.indices:
                    new = self.summed(node, slide, others)
                else:  # a reduction around it would leave out places at which the table is read outside
                    new = self.beside(node, slide, others) if not bound or self.stays(slide.factor) else None
                if new is not None:
                    return new
        return map_children(lambda child: self.visit(child, bound or isinstance(node, Reduce)), node)

    def slides(self, parts: list[Expr]) -> Iterator[_Slide]:
        for f in parts:
            for axis, s in enumerate(f.subs) if isinstance(f, Read) else ():
                assert isinstance(f, Read)
                names = s.symbols() & self.ranges.keys()
                steps = [split[0] for i in names if (split := s.split(i)) is not None]
                elsewhere = {x for k, t in enumerate(f.subs) if k != axis for x in t.symbols()}
                if len(names) == 2 == len(steps) and all(c in (1, -1) for c in steps) and not elsewhere & names and not s.elements():
                    for i, j in permutations(sorted(names)):
                        yield _Slide(f, axis, i, j)

    def beside(self, node: Reduce, slide: _Slide, others: list[Expr]) -> Expr | None:
        """Σ_d Q[i,d] R[i−j,d], with i and j free."""
        labels = free_symbols(product(others))
        shared = labels & free_symbols(slide.factor) & {*node.indices}
        if not shared or slide.i not in labels or slide.j in labels or slide.i in node.indices or not self.pays(slide):
            return None
        r, ranges = self.index(slide)
        body = Reduce("sum", node.indices, product([*others, slide.at(r)]))
        table = self.tables.read(f"{self.e.tensor}_skewed", body, ranges)
        return subst_indices(table, {r: slide.place})

    def summed(self, node: Reduce, slide: _Slide, others: list[Expr]) -> Expr | None:
        """Σ_j dA[i,j] R[i−j,d]; or Σ_j dA[j+r,j] Q[j+r,d], where r is called i."""
        thin = [f for f in others if slide.j in free_symbols(f)]
        labels = free_symbols(product(thin))
        apart = free_symbols(slide.factor) & self.ranges.keys() - labels
        if not apart or slide.i not in labels or not self.pays(slide) or not self.vanishes(slide, thin):
            return None
        r, ranges = self.index(slide)
        body = subst_indices(product(thin), {slide.j: slide.solved(r)})
        table = self.tables.read(f"{reads(body)[0].tensor}_skewed", body, ranges)
        self.ranges[r] = ranges[r]
        rest = [f for f in others if f not in thin]
        return Reduce("sum", tuple(r if i == slide.j else i for i in node.indices), product([table, slide.at(r), *rest]))

    def index(self, slide: _Slide) -> tuple[str, Ranges]:
        """A letter for i ± j, and the ranges with its own."""
        r = Fresh({*self.program.names, *self.ranges})("r")
        return r, {**self.ranges, r: self.program.hulls[slide.factor.tensor][slide.axis]}

    def pays(self, slide: _Slide) -> bool:
        wide = self.program.hulls[slide.factor.tensor][slide.axis].size
        return never_negative(cost.ASKEW * self.ranges[slide.j].size - wide, {}, self.positive)

    def vanishes(self, slide: _Slide, thin: list[Expr]) -> bool:
        """Whether nothing is added where j leaves its range: something that is read there is 0, and the rest is finite."""
        leaving = [f for f in thin if self.leaves(slide, f)]
        rest = [slide.factor, *(f for f in thin if f not in leaving)]
        functions = [f for f in thin if not isinstance(f, Read)]
        return bool(leaving) and all(map(self.facts.is_finite, rest)) and all(map(self.stays, functions))

    def leaves(self, slide: _Slide, f: Expr) -> bool:
        """Whether a factor is read outside wherever j is outside of its range."""
        return self.ranges[slide.j] in axes_at(self.program, Int.symbol(slide.j), [f])

    def stays(self, f: Expr) -> bool:
        """Whether all that a factor reads is inside."""
        return not has_reduction(f) and not any(
            readable(self.program.hulls[r.tensor], r.subs, self.ranges, self.positive) for r in reads(f))
