"""Program -> program in which a tensor that is another thing at each place of an axis is computed place by place.

    dz[n,g,k] = where(g == 0, a[n,k], 0) + where(g == 1, b[n,k], 0)     is     dz[n,0,k] = a[n,k],   dz[n,1,k] = b[n,k]
    y[n,u] = where(u == 0, a[n], b[n])                                  is     y[n,0] = a[n],   y[n,1] = b[n]

That is the gradient of what is read at z[n,0,k] and z[n,1,k]: gates in one tensor, pairs that are rotated. `blocks` is about z[n,k] and
z[n,k+H].
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from ...conditions import chosen_throughout, placed
from ...expr import ZERO, Expr, IntValue, Op, Reduce, add, bound_indices, conjuncts, has_reduction, map_children, reads, subst_indices, walk
from ...integer import Int
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program
from ...within import positive_names, readable

MANY = 16  # places, of which each is a statement
FEW = 4    # places that choose, of which each is a statement, or a term of a sum


def apart(program: Program) -> Program:
    """See the module's docstring."""
    positive = positive_names(program)
    summed = [_summed(program, e, positive) for e in program.equations]
    equations = tuple(part for e in summed for part in _rows(program, e) or [e])
    return program.with_equations(equations)


def _rows(program: Program, e: Equation) -> list[Equation]:
    """The equations of the single places along the first axis that has them; none where there is no such axis."""
    if program.whole(e.tensor) is None:
        return []
    terms, goes_round = additive_terms(e.body), e.tensor in program.components
    for a in e.indices:
        r = e.ranges[a]
        if not (r.lo == 0 and r.size.is_constant and 1 < r.size.constant <= MANY):
            continue
        places = [(sign, next(((at, rest) for i, at, rest in _placed(t) if i == a and at.is_constant), None)) for sign, t in terms]
        if all(found is not None for _, found in places):
            return list(_each(e, a, [(sign, *found) for sign, found in places if found is not None]))
        if r.size.constant <= FEW and not goes_round and _is_chosen(e, a):
            return list(_chosen(e, a))
    return []


def _placed(term: Expr) -> Iterator[tuple[str, Int, Expr]]:
    """As `placed`, out of sums too: the place is none of what they sum over."""
    yield from placed(term)
    parts = factors(term)
    for k, f in enumerate(parts):
        if isinstance(f, Reduce) and f.op == "sum":
            for name, place, rest in placed(f.body):
                if not {name, *place.symbols()} & {*f.indices}:
                    yield name, place, product([Reduce("sum", f.indices, rest) if i == k else x for i, x in enumerate(parts)])


def _is_chosen(e: Equation, a: str) -> bool:
    """Whether an array is chosen by the place: where(g == 0, x, y), or x[1-g], sums aside."""
    turned = any(s.symbols() == {a} and (parts := s.split(a)) is not None and parts[0] == -1 for r in reads(e.body) for s in r.subs)
    return not has_reduction(e.body) and (turned or _chooses(e.body, a))


def _chooses(body: Expr, a: str) -> bool:
    tests = [c for n in walk(body) if isinstance(n, Op) and n.op == "where" for c in conjuncts(n.args[0])]
    named = [[x.value for x in c.args if isinstance(x, IntValue)] for c in tests if isinstance(c, Op) and c.op in ("==", "!=")]
    return any(len(pair) == 2 and pair[k].name == a and pair[1 - k].is_constant for pair in named for k in (0, 1))


def _chosen(e: Equation, a: str) -> Iterator[Equation]:
    """The equation of each place, what is not chosen there left out."""
    ranges = {i: r for i, r in e.ranges.items() if i != a}
    for k in range(e.ranges[a].size.constant):
        subs = tuple(s.subst({a: Int.of(k)}) for s in e.subs)
        yield replace(e, subs=subs, body=chosen_throughout(subst_indices(e.body, {a: Int.of(k)}), in_sums=True), ranges=ranges)


def _summed(program: Program, e: Equation, positive: Collection[str]) -> Equation:
    """Sums over few places, at each of which something else is added, as one sum for each place."""

    def visit(n: Expr) -> Expr:
        n = map_children(visit, n)
        if not isinstance(n, Reduce) or n.op != "sum":
            return n
        for a in n.indices:
            r = e.ranges[a]
            if r.lo == 0 and r.size.is_constant and r.size.constant <= FEW and _chooses(n.body, a) and is_inside(n.body):
                terms = [chosen_throughout(subst_indices(n.body, {a: Int.of(k)}), in_sums=True) for k in range(r.size.constant)]
                rest = tuple(i for i in n.indices if i != a)
                return add([visit(Reduce("sum", rest, t)) if rest else t for t in terms if t != ZERO])
        return n

    def is_inside(body: Expr) -> bool:
        return not any(readable(program.hulls[r.tensor], r.subs, e.ranges, positive) for r in reads(body))

    if not any(isinstance(n, Op) and n.op == "where" for n in walk(e.body)):
        return e
    body = visit(e.body)
    left = {*bound_indices(body), *(str(s.name) for s in e.subs)}
    ranges = {i: r for i, r in e.ranges.items() if i in left or i not in bound_indices(e.body)}
    return e if body == e.body else replace(e, body=body, ranges=ranges)


def _each(e: Equation, a: str, terms: list[tuple[int, Int, Expr]]) -> Iterator[Equation]:
    """The equation of each place at which something stands; elsewhere the tensor is 0."""
    ranges = {i: r for i, r in e.ranges.items() if i != a}
    for k in range(e.ranges[a].size.constant):
        here = {a: Int.of(k)}
        own = [(sign, chosen_throughout(subst_indices(t, here))) for sign, place, t in terms if place == k]
        if own:
            yield replace(e, subs=tuple(s.subst(here) for s in e.subs), body=signed(own), ranges=ranges)
