"""Whether two products are the same but for their indices: a change of these, one to one on the integers, that makes one the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from .bounds import never_negative
from .expr import Read
from .integer import Int
from .products import Apply, Argument, Condition, Factor, Product, Total, reads_of, substituted


def same_totals(a: Total, b: Total, positive: Collection[str]) -> bool:
    """Whether the products of two totals pair off."""
    if len(a) != len(b):
        return False
    rest = list(b)
    for p in a:
        found = next((q for q in rest if p.coefficient == q.coefficient and same_but_for_coefficient(p, q, positive)), None)
        if found is None:
            return False
        rest.remove(found)
    return True


def same_but_for_coefficient(p: Product, q: Product, positive: Collection[str]) -> bool:
    if len(p.indices) != len(q.indices) or len(p.factors) != len(q.factors) or p == q:
        return p.indices == q.indices and p.conditions == q.conditions and p.factors == q.factors
    return Match(p, q, positive).found()


class Match:
    """The search for a change of the indices of p, one to one on the integers, that makes it q."""

    def __init__(self, p: Product, q: Product, positive: Collection[str]):
        self.p, self.q, self.positive = p, q, positive
        self.mine = [r for f in (*p.factors, *p.conditions) for r in reads_of(f) if _read_symbols(r) & set(p.indices)]
        self.theirs = [r for f in (*q.factors, *q.conditions) for r in reads_of(f)]
        self.tries = 0

    def found(self) -> bool:
        return self.search({}, 0)

    def search(self, values: dict[str, Int], k: int) -> bool:
        self.tries += 1
        if self.tries > 2000:
            return False
        if len(values) == len(self.p.indices):
            return self.holds(values)
        while k < len(self.mine) and not self.open(self.mine[k], values):
            k += 1
        if k == len(self.mine):
            return self.complete(values)
        for r in self.theirs:
            if r.tensor == self.mine[k].tensor:
                more = self.unify(self.mine[k], r, values)
                if more is not None and self.search(more, k + 1):
                    return True
        return False

    def open(self, r: Read, values: Mapping[str, Int]) -> set[str]:
        return (_read_symbols(r) & set(self.p.indices)) - values.keys()

    def unify(self, mine: Read, other: Read, values: dict[str, Int]) -> dict[str, Int] | None:
        """The values that make one read the other, as far as single subscripts say."""
        values = dict(values)
        for _ in mine.subs:
            for a, b in zip(mine.subs, other.subs, strict=True):
                unknown = [i for i in self.p.indices if i in a.symbols() and i not in values]
                split = a.split(unknown[0]) if len(unknown) == 1 else None
                if split is not None and split[0] in (Int.of(1), Int.of(-1)):
                    values[unknown[0]] = (b - split[1].subst(values)) * split[0]
        agree = all(a.subst(values) == b for a, b in zip(mine.subs, other.subs, strict=True) if not self.open(Read("", (a,)), values))
        return values if agree else None

    def complete(self, values: dict[str, Int]) -> bool:
        """Indices that no read shows: try each of those left over on the other side."""
        name = next(i for i in self.p.indices if i not in values)
        used = {n for v in values.values() for n in v.symbols()}
        return any(self.search({**values, name: Int.symbol(j)}, len(self.mine)) for j in self.q.indices if j not in used)

    def holds(self, values: Mapping[str, Int]) -> bool:
        """Whether the change is one to one, and makes factors and conditions those of q."""
        if not _is_unimodular([values[i] for i in self.p.indices], self.q.indices):
            return False
        hidden = {i: Int.symbol(f"\0{i}") for i in self.p.indices}  # in two steps: a value may contain a name that is replaced too
        changed = substituted(substituted(self.p, hidden), {f"\0{i}": v for i, v in values.items()})
        rest = list(self.q.factors)
        for f in changed.factors:
            twin = next((g for g in rest if self.same(f, g)), None)
            if twin is None:
                return False
            rest.remove(twin)
        return self.same_conditions(changed.conditions, self.q.conditions)

    def same(self, f: Factor | Condition, g: Factor | Condition) -> bool:
        if not (isinstance(f, Apply) and isinstance(g, Apply)):
            return f == g
        if f == g:
            return True
        return f.op == g.op and len(f.args) == len(g.args) and all(self.same_arguments(a, b) for a, b in zip(f.args, g.args, strict=True))

    def same_arguments(self, a: Argument, b: Argument) -> bool:
        if isinstance(a, Apply) or isinstance(b, Apply):
            return isinstance(a, Apply) and isinstance(b, Apply) and self.same(a, b)
        return same_totals(a, b, self.positive)

    def same_conditions(self, a: Collection[Condition], b: Collection[Condition]) -> bool:
        """Each condition of either side follows from the other side's."""
        for one, other in ((a, b), (b, a)):
            facts = [d for d in other if isinstance(d, Int)]
            for c in one:
                if c in other or isinstance(c, Int) and (never_negative(c, {}, self.positive) or implied(c, facts, self.positive)):
                    continue
                if not any(self.same(c, d) for d in other):
                    return False
        return True


def _read_symbols(r: Read) -> set[str]:
    return {n for s in r.subs for n in s.symbols()}


def _is_unimodular(values: Sequence[Int], names: Sequence[str]) -> bool:
    """Whether the map names -> values is affine with a whole matrix of determinant ±1."""
    rows: list[list[Fraction]] = []
    for v in values:
        row = []
        for n in names:
            split = v.split(n)
            if split is None or not split[0].is_constant:
                return False
            row.append(Fraction(split[0].constant))
        rows.append(row)
    return abs(_determinant(rows)) == 1


def _determinant(rows: list[list[Fraction]]) -> Fraction:
    total = Fraction(1)
    rows = [list(r) for r in rows]
    for k in range(len(rows)):
        pivot = next((j for j in range(k, len(rows)) if rows[j][k]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            rows[k], rows[pivot], total = rows[pivot], rows[k], -total
        total *= rows[k][k]
        for j in range(k + 1, len(rows)):
            factor = rows[j][k] / rows[k][k]
            rows[j] = [x - factor * y for x, y in zip(rows[j], rows[k], strict=True)]
    return total


def implied(c: Int, facts: Sequence[Int], positive: Collection[str]) -> bool:
    """Whether c ≥ 0 follows from one or two facts."""
    if any(never_negative(c - f, {}, positive) for f in facts):
        return True
    return any(never_negative(c - f - g, {}, positive) for k, f in enumerate(facts) for g in facts[k + 1 :])
