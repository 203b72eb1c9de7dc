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
from dataclasses import dataclass

from ...expr import (
    ZERO,
    Expr,
    Op,
    Read,
    Reduce,
    additive_terms,
    conjunction,
    free_symbols,
    guarded_factors,
    map_sums,
    product,
    reads,
    where,
)
from ...expr import replace as replaced
from ...fresh import Fresh
from ...integer import Int
from ...program import Equation, Program, Ranges
from ..cost import entries
from ..facts import Facts


@dataclass(frozen=True)
class _Operand:
    """Factors that are multiplied entry by entry, and the indices that they run over; of a condition, only these."""

    parts: tuple[Expr, ...]
    labels: frozenset[str]


def factored(program: Program) -> Program:
    """See the module's docstring; a program without such products is given back itself."""
    fresh, equations = Fresh(program.names), list[Equation]()
    named, facts = dict[tuple[object, ...], str](), Facts(program.definitions, program)
    for e in program.equations:
        if e.is_base or e.tensor in program.components:
            equations.append(e)
            continue

        def name(total: Reduce, subs: tuple[Int, ...], hint: str, e: Equation = e) -> Read:
            """The product as a tensor, of which there is one."""
            ranges = {i: e.ranges[i] for i in (*map(str, subs), *total.indices)}
            if (key := (total, subs, tuple(ranges.values()))) not in named:
                new = named[key] = fresh(hint)
                equations.append(Equation(new, subs, total, ranges, position=e.position))
            return Read(named[key], subs)

        def in_logarithms(total: Reduce, e: Equation = e) -> Reduce:
            """A product of exponentials as the exponential of its logarithm, which `log_products` computes."""
            for f in guarded_factors(total.body)[1]:
                if isinstance(f, Op) and f.op == "exp" and (closing := _summed_alone(f, total, e.ranges)):
                    exponent = _Operand((f.args[0],), _labels(f, e.ranges))
                    subs = tuple(map(Int.symbol, _in_order(exponent, e.ranges, closing)))
                    log = name(Reduce("logsumexp", closing, f.args[0]), subs, _hint(e, exponent))
                    rest = tuple(i for i in total.indices if i not in closing)
                    return Reduce("sum", rest, replaced(total.body, {f: Op("exp", (log,))}))
            return total

        def one_by_one(total: Reduce, e: Equation = e) -> Expr:
            total = in_logarithms(total)
            conditions, parts = guarded_factors(total.body)
            if conditions and not all(facts.is_finite(f, e.ranges) for f in parts):
                return total  # an infinity that is not chosen would have to be left out once more
            operands = [_Operand((f,), _labels(f, e.ranges)) for f in parts]
            asked = [_Operand((), _labels(c, e.ranges)) for c in conditions]
            left, indices = operands, total.indices
            while (pair := _next(left, asked, indices, e.ranges)) is not None:
                a, b, closing = pair
                merged = _Operand((*a.parts, *b.parts), a.labels | b.labels)
                if closing:
                    subs = tuple(map(Int.symbol, _in_order(merged, e.ranges, closing)))
                    read = name(Reduce("sum", closing, product([*merged.parts])), subs, _hint(e, a, b))
                    merged = _Operand((read,), merged.labels - {*closing})
                    indices = tuple(i for i in indices if i not in closing)
                left = [merged if o is a else o for o in left if o is not b]
            if indices == total.indices:
                return total
            return Reduce("sum", indices, where(conjunction(conditions), product([f for o in left for f in o.parts]), ZERO))

        equations.append(e.with_body(map_sums(one_by_one, e.body)))
    return program.with_equations(equations)


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
    pairs = []
    for k, a in enumerate(operands):
        for b in operands[k + 1:]:
            others = frozenset[str]().union(*(o.labels for o in (*operands, *asked) if o is not a and o is not b))
            closing = tuple(i for i in indices if i in a.labels & b.labels - others)
            both = a.labels | b.labels
            rows = sum(not _leads(o, closing, a.labels & b.labels) for o in (a, b))
            pairs.append((_weight(both, ranges), not closing, rows, (a, b, closing)))
    if not pairs or len(operands) + len(asked) < 3:
        return None
    a, b, closing = min(pairs, key=lambda p: p[:3])[3]
    small = _weight((a.labels | b.labels) - {*closing}, ranges) <= min(_weight(x.labels, ranges) for x in (a, b))
    more = len(closing) < len(indices)  # else the product is the sum, and what is left stands before it
    if closing and small and more and a.labels != b.labels:
        return a, b, closing
    return (a, b, ()) if a.labels <= b.labels or b.labels <= a.labels else None


def _leads(o: _Operand, closing: Sequence[str], both: frozenset[str]) -> bool:
    """Whether what the product sums over stands first in all that runs along it, but for indices that both operands keep."""
    subs = [[s.name for s in r.subs if s.name in closing or s.name not in both] for f in o.parts for r in reads(f)]
    return all(names[0] in closing for names in subs if {*names} & {*closing})


def _weight(labels: frozenset[str], ranges: Ranges) -> int:
    return entries(ranges[i].size for i in labels)


def _in_order(o: _Operand, ranges: Ranges, closing: Sequence[str]) -> list[str]:
    """The indices of a product, as they stand in what it is of."""
    seen = [i for f in o.parts for r in reads(f) for s in r.subs for i in sorted(s.symbols())]
    return [i for i in dict.fromkeys([*seen, *ranges]) if i in o.labels and i not in closing]


def _hint(e: Equation, *operands: _Operand) -> str:
    """xA for a product of x and A, if both have short names."""
    names = [r.tensor for o in operands for f in o.parts for r in reads(f)]
    return "".join(names) if len(names) == 2 and max(map(len, names)) <= 2 else f"{e.tensor}_part"
