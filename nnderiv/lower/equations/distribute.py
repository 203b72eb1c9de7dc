"""Program -> program in which a sum of products of matrices is one product for each: Σ_p (q k + r l) becomes Σ_p q k + Σ_p r l.

    S[i,j] = Σ_p (q[i,p] k[j,p] + r[i,p] l[j,p])        S = q @ k.T;  S += r @ l.T

Taken as it stands, the sum would need an array over i, j and p. It is taken apart only where `cost` says that this array is larger
than all that is read and all that comes out, and no difference of what arrays hold, but of what is rounded anyway: Σ (x − y) z is
not Σ x z − Σ y z, since x − y may be small and exact where x z and y z are large.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...expr import ZERO, Expr, IntValue, Num, Op, Read, Reduce, conjunction, free_symbols, has_reduction, map_children, own_reads, where
from ...integer import Int
from ...polynomial import additive_terms, factors, guarded_factors, product, signed
from ...program import Equation, Program
from ...within import positive_names, readable
from .. import cost

Term = tuple[int, Expr]


def distribute(program: Program) -> Program:
    """See the module's docstring."""
    positive = positive_names(program)

    def visit(e: Equation, node: Expr) -> Expr:
        if isinstance(node, Reduce) and node.op == "sum" and (terms := _terms(program, e, node)):
            return signed([(s, Reduce("sum", node.indices, t)) for s, t in _where_all_are_read(program, e, node, terms, positive)])
        return map_children(lambda child: visit(e, child), node)

    return program.with_bodies(lambda e: visit(e, e.body))


def _terms(program: Program, e: Equation, total: Reduce) -> list[Term]:
    """The terms of Σ conditions · factors · (… + …), the factors multiplied out, where that pays and is as exact; none otherwise."""
    conditions, parts = guarded_factors(total.body)
    sums = [f for f in parts if isinstance(f, Op) and f.op == "+"]
    if len(sums) != 1 or has_reduction(total.body):
        return []
    rest, terms = [f for f in parts if f is not sums[0]], additive_terms(sums[0])
    if len({s for s, t in terms if _is_exact(t)}) > 1:
        return []
    whole, result = _labels(e, sums[0]), _labels(e, total.body) - {*total.indices}
    parts = [*rest, *(f for _, t in terms for f in guarded_factors(t)[1])]
    operands = [_labels(e, f) for f in parts if not _is_askew(e, f)]
    skewed = [[axis.size for axis in program.hulls[f.tensor]] for f in parts if isinstance(f, Read) and _is_askew(e, f)]
    others = [*skewed, *(_sizes(e, o) for o in [*operands, result])]
    if any(whole <= o for o in operands) or not cost.distributes(_sizes(e, whole), others):
        return []
    return [(s, where(conjunction(conditions), product([*rest, *factors(t)]), ZERO)) for s, t in terms]


def _is_exact(term: Expr) -> bool:
    """Whether a term is what an array holds: a difference of two such may be small and yet exact."""
    parts = [f for f in factors(term) if not isinstance(f, Num)]
    return len(parts) < 2 and all(isinstance(f, Read | IntValue) for f in parts)


def _is_askew(e: Equation, part: Expr) -> bool:
    """Whether a tensor is read at distances, as R[j − i,d]: it is smaller than what is read of it."""
    return isinstance(part, Read) and any(len(s.symbols() & e.ranges.keys()) > 1 for s in part.subs)


def _labels(e: Equation, part: Expr) -> set[str]:
    return free_symbols(part) & e.ranges.keys()


def _sizes(e: Equation, labels: Iterable[str]) -> list[Int]:
    return [e.ranges[i].size for i in labels]


def _where_all_are_read(program: Program, e: Equation, total: Reduce, terms: list[Term], positive: frozenset[str]) -> list[Term]:
    """The terms, each at those positions only at which every read of the sum is in range, as the sum runs over no others: where a size is
    0 too."""
    sizes = positive & {*program.sizes}

    def conditions(part: Expr) -> list[Expr]:
        return [c for name, subs in own_reads(part) for c in readable(program.hulls[name], subs, e.ranges, positive, sizes)]

    everywhere = conditions(total.body)
    return [(s, where(conjunction([c for c in everywhere if c not in conditions(t)]), t, ZERO)) for s, t in terms]
