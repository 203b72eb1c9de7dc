"""Programs -> programs in which softplus(x) and softplus(−x) share their exponential, as in a logistic loss; its gradient is a difference.

    a·softplus(−x) + b·softplus(x)            a·relu(−x) + b·relu(x) + (a + b)·softplus(−|x|),   where b = 1 − a: … + softplus(−|x|)
    a·softplus(x) − a·softplus(−x)            a·x
    p·(1 − a) − a·(1 − p)                     p − a
    1 − σ(−x)                                 σ(x)

There is one exponential, and not two, and nothing is subtracted: a loss near 0 has all its digits. Where forward has softplus(−|x|),
the gradient, of a focal loss for one, has relu(x) + softplus(−|x|) for softplus(x).
"""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from ...expr import Expr, Op, add, map_children, neg, replace, walk
from ...polynomial import additive_terms, complement, factors, product, signed
from ...program import Program
from .held import minus_first

Factors = Counter[Expr]


def both_sides(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    forward, backward = (p.with_bodies(lambda e: _visit(e.body)) for p in (forward, backward))
    small = {n for e in forward.equations for n in walk(e.body) if isinstance(n, Op) and n.op == "softplus"}
    shared: dict[Expr, Expr] = {}
    for f in small:
        turned = neg(f.args[0])
        if isinstance(turned, Op) and turned.op == "abs":
            shared |= {Op("softplus", (x,)): Op("relu", (x,)) + f for x in (*turned.args, neg(*turned.args))}
    return forward, backward.with_bodies(lambda e: replace(e.body, shared)) if shared else backward


def _visit(node: Expr) -> Expr:
    new = map_children(_visit, node)
    node = _turned(new) or (minus_first(new) if new is not node else node)
    terms = additive_terms(node) if isinstance(node, Op) and node.op == "+" else []
    products = [Counter(factors(t)) for _, t in terms]
    if sum(any(complement(f) is not None or isinstance(f, Op) and f.op == "softplus" for f in p) for p in products) < 2:
        return node
    for k, j in permutations(range(len(terms)), 2):
        (sign, _), (other, _) = terms[k], terms[j]
        found = _logistic(products[k], products[j]) if sign == other else _difference(products[k], products[j])
        if found is not None:
            return signed([(sign, found) if n == k else term for n, term in enumerate(terms) if n != j])
    return node


def _turned(node: Expr) -> Expr | None:
    """The last law, for σ(−x) − 1 too."""
    for sign, e in ((1, node), (-1, signed([(-s, t) for s, t in additive_terms(node)]))):
        if isinstance(f := complement(e), Op) and f.op == "sigmoid" and isinstance(x := f.args[0], Op) and x.op == "neg":
            return signed([(sign, Op("sigmoid", x.args))])
    return None


def _logistic(one: Factors, other: Factors) -> Expr | None:
    """The first law for a·softplus(−x) and b·softplus(x)."""
    if (found := _opposite(one, other)) is None:
        return None
    f, g, x = found
    a, b = one - Counter([f]), other - Counter([g])
    sides = [_product(a, Op("relu", (neg(x),))), _product(b, Op("relu", (x,)))]
    return add([*sides, _product(_together(a, b), Op("softplus", (neg(Op("abs", (x,))),)))])


def _opposite(one: Factors, other: Factors) -> tuple[Expr, Expr, Expr] | None:
    """softplus(−x) among some factors, softplus(x) among others, and x."""
    for f in one:
        for g in other:
            if isinstance(f, Op) and isinstance(g, Op) and f.op == g.op == "softplus" and f.args[0] == neg(g.args[0]):
                return f, g, g.args[0]
    return None


def _together(a: Factors, b: Factors) -> Factors:
    """a + b, of which c·a and c·(1 − a) are c."""
    for one, other in ((a, b), (b, a)):
        for f in other:
            weight, rest = complement(f), other - Counter([f])
            if weight is not None and rest + Counter(factors(weight)) == one:
                return rest
    return Counter([add([product([*a.elements()]), product([*b.elements()])])])


def _product(parts: Factors, last: Expr) -> Expr:
    return product([*parts.elements(), last])


def _difference(one: Factors, other: Factors) -> Expr | None:
    """The second law for a·softplus(−x) and a·softplus(x), the third one for c·p·(1 − a) and c·a·(1 − p)."""
    if (found := _opposite(one, other)) is not None:
        rest = one - Counter(found[:1])
        return _product(rest, neg(found[2])) if rest == other - Counter(found[1:2]) else None
    for f in one:
        for g in other:
            a, p = complement(f), complement(g)
            if a is not None and p is not None:
                rest = one - Counter([f, *factors(p)])
                if rest + Counter([f, *factors(p)]) == one and rest + Counter([g, *factors(a)]) == other:
                    return product([*rest.elements(), p - a])
    return None
