"""Program -> program in which a product of several matrices is one product after the other, each with a name.

    y[n,o] = Σ_ir x[n,i] A[i,r] B[r,o]                    xA[n,r] = Σ_i x[n,i] A[i,r],   y[n,o] = Σ_r xA[n,r] B[r,o]
    S[i,j] = Σ_ab h[i,a] W[a,b] d[j,b]                    hW[i,b] = Σ_a h[i,a] W[a,b],   S[i,j] = Σ_b hW[i,b] d[j,b]
    y[t,e] = Σ_sd exp(q[t,d] + k[s,d]) v[s,e]             qk[t,s] = log Σ_d exp(q[t,d] + k[s,d]),   y[t,e] = Σ_s exp(qk[t,s]) v[s,e]

The gradients are derived from the program that is left. Each asks for what the others have computed, and for products of the sizes that
the forward pass has: what goes through few places, x → r → o, does so backward too. A product is named if it is no larger than what is
multiplied; the sizes say in which order, as in `contract`. In doubt, what has the fewest rows comes first, since there are more of them
than columns: of Σ_sd q[t,d] k[s,d] v[s,e] that is Σ_s k[s,d] v[s,e], which has none, and not Σ_d q[t,d] k[s,d], which has two kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations

from ...expr import ZERO, Expr, Op, Read, Reduce, conjunction, free_symbols, map_sums, reads, where
from ...expr import replace as replaced
from ...facts import Facts
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, guarded_factors, product
from ...program import Equation, Program, Ranges
from ..cost import closing, entries_over


@dataclass(frozen=True)
class _Operand:
    """Factors that are multiplied entry by entry, and the indices that they run over; of a condition, only these."""

    parts: tuple[Expr, ...]
    labels: frozenset[str]


def factored(program: Program) -> Program:
    """See the module's docstring; a program without such products is given back itself."""
    run = _Run(program, Fresh(program.names), Facts(program.definitions, program))
    return program.with_equations(x for e in program.equations for x in run.equations(e))


@dataclass
class _Run:
    """One program: its products that have names, and the equation at hand, before which those stand that it is the first to ask for."""

    program: Program
    fresh: Fresh
    facts: Facts
    named: dict[tuple[object, ...], str] = field(default_factory=dict)
    equation: Equation = field(init=False)
    first: list[Equation] = field(init=False)

    def equations(self, e: Equation) -> list[Equation]:
        """The equation, after those of what it reads."""
        if e.is_base or e.tensor in self.program.components:
            return [e]
        self.equation, self.first = e, []
        body = map_sums(self.one_by_one, e.body)
        return [*self.first, e.with_body(body)]

    def one_by_one(self, total: Reduce) -> Expr:
        """A product of several factors, two at a time."""
        total, ranges = self.in_logarithms(total), self.equation.ranges
        conditions, parts = guarded_factors(total.body)
        if conditions and not all(self.facts.is_finite(f, ranges) for f in parts):
            return total  # an infinity that is not chosen would have to be left out once more
        left = [_Operand((f,), _labels(f, ranges)) for f in parts]
        asked, indices = [_Operand((), _labels(c, ranges)) for c in conditions], total.indices
        while (pair := _next(left, asked, indices, ranges)) is not None:
            a, b, closed = pair
            merged = _Operand((*a.parts, *b.parts), a.labels | b.labels)
            if closed:
                read = self.name(Reduce("sum", closed, product([*merged.parts])), merged, self.hint(a, b))
                merged = _Operand((read,), merged.labels - {*closed})
                indices = tuple(i for i in indices if i not in closed)
            left = [merged if o is a else o for o in left if o is not b]
        if indices == total.indices:
            return total
        return Reduce("sum", indices, where(conjunction(conditions), product([f for o in left for f in o.parts]), ZERO))

    def in_logarithms(self, total: Reduce) -> Reduce:
        """A product of exponentials as the exponential of its logarithm, which `log_products` computes."""
        for f in guarded_factors(total.body)[1]:
            if isinstance(f, Op) and f.op == "exp" and (closed := _summed_alone(f, total, self.equation.ranges)):
                exponent = _Operand((f.args[0],), _labels(f, self.equation.ranges))
                log = self.name(Reduce("logsumexp", closed, f.args[0]), exponent, self.hint(exponent))
                rest = tuple(i for i in total.indices if i not in closed)
                return Reduce("sum", rest, replaced(total.body, {f: Op("exp", (log,))}))
        return total

    def name(self, total: Reduce, of: _Operand, hint: str) -> Read:
        """A reduction of this operand as a tensor, of which there is one."""
        e = self.equation
        indices = _in_order(of, e.ranges, total.indices)
        subs, ranges = tuple(map(Int.symbol, indices)), {i: e.ranges[i] for i in (*indices, *total.indices)}
        if (key := (total, subs, tuple(ranges.values()))) not in self.named:
            self.named[key] = self.fresh(hint)
            self.first.append(Equation(self.named[key], subs, total, ranges, position=e.position))
        return Read(self.named[key], subs)

    def hint(self, *operands: _Operand) -> str:
        """xA for a product of x and A, if both have short names."""
        names = [r.tensor for o in operands for f in o.parts for r in reads(f)]
        return "".join(names) if len(names) == 2 and max(map(len, names)) <= 2 else f"{self.equation.tensor}_part"


def _summed_alone(f: Op, total: Reduce, ranges: Ranges) -> tuple[str, ...]:
    """The index over which nothing else runs that a sum adds up, if two terms of an exponent run along it, and each along one more."""
    conditions, parts = guarded_factors(total.body)
    others = frozenset[str]().union(*(_labels(x, ranges) for x in (*parts, *conditions) if x is not f))
    labels, closing = _labels(f, ranges), tuple(i for i in total.indices if i in free_symbols(f) and i not in others)
    over = {_labels(t, ranges) for _, t in additive_terms(f.args[0])}
    apart = len(closing) == 1 and len(over) == 2 and all(len(x) == 2 and {*closing} < x for x in over)
    return closing if apart and len(labels) == 3 and len(total.indices) > 1 else ()


def _labels(f: Expr, ranges: Ranges) -> frozenset[str]:
    return frozenset(free_symbols(f) & ranges.keys())


def _next(
    operands: Sequence[_Operand], asked: Sequence[_Operand], indices: Sequence[str], ranges: Ranges
) -> tuple[_Operand, _Operand, tuple[str, ...]] | None:
    """The two operands to multiply next, and over what the product is a sum; none where it would be larger than they are, or the last."""
    labels, weight = [o.labels for o in (*operands, *asked)], partial(entries_over, ranges)
    if len(operands) < 2 or len(labels) < 3:
        return None

    def cost(p: tuple[int, int]) -> tuple[int, bool, int]:
        a, b = (operands[k] for k in p)
        closed = closing(labels, p, indices)
        return weight(a.labels | b.labels), not closed, sum(not _leads(o, closed, a.labels & b.labels) for o in (a, b))

    best = min(combinations(range(len(operands)), 2), key=cost)
    (a, b), closed = (operands[k] for k in best), closing(labels, best, indices)
    small = weight((a.labels | b.labels) - {*closed}) <= min(weight(x.labels) for x in (a, b))
    more = len(closed) < len(indices)  # else the product is the sum, and what is left stands before it
    if closed and small and more and a.labels != b.labels:
        return a, b, closed
    return (a, b, ()) if a.labels <= b.labels or b.labels <= a.labels else None


def _leads(o: _Operand, closing: Sequence[str], both: frozenset[str]) -> bool:
    """Whether what the product sums over stands first in all that runs along it, but for indices that both operands keep."""
    subs = [[s.name for s in r.subs if s.name in closing or s.name not in both] for f in o.parts for r in reads(f)]
    return all(names[0] in closing for names in subs if {*names} & {*closing})


def _in_order(o: _Operand, ranges: Ranges, closing: Sequence[str]) -> list[str]:
    """The indices of a product, as they stand in what it is of."""
    seen = [i for f in o.parts for r in reads(f) for s in r.subs for i in sorted(s.symbols())]
    return [i for i in dict.fromkeys([*seen, *ranges]) if i in o.labels and i not in closing]
