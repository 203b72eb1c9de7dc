"""Program -> program in which what both branches of a choice have in common stands outside of it.

    where(c, softplus(−z), softplus(z))       softplus(where(c, −z, z))
    where(c, 1 − σ(z), −σ(z))                 where(c, 1, 0) − σ(z)
    where(c, a·s, b·s/t)                      s·where(c, a, b/t)
    where(c, a, where(d, a, b))               where(c or d, a, b)

A choice computes both of its branches for all entries, and so what is in both twice: a logistic loss of labels that are 0 and 1 has one
function, forward and backward. A function that is asked for again in its gradient stays in its branches: tanh(a) is kept for that of a,
and tanh(b) for that of b.
"""

from __future__ import annotations

from collections import Counter

from ...expr import Expr, Op, Reduce, map_children, neg, reads, where
from ...polynomial import additive_terms, factors, product, signed
from ...program import Program
from .calls import COSTLY
from .held import minus_first

ONCE = {*COSTLY} - {"exp", "tanh", "sigmoid"}  # the slopes of these are made of their values


def branches(program: Program) -> Program:
    """See the module's docstring."""
    return program.with_bodies(lambda e: _visit(e.body))


def _visit(node: Expr) -> Expr:
    new = map_children(_visit, node)
    if isinstance(new, Op) and new.op == "where":
        return _choice(*new.args)
    if isinstance(new, Reduce) and new.op == "sum" and isinstance(new.body, Op) and new.body.op == "neg":
        return neg(Reduce("sum", new.indices, new.body.args[0]))
    return minus_first(new) if new is not node else node


def _choice(condition: Expr, a: Expr, b: Expr) -> Expr:
    """where(c, a, b), with what a and b have in common outside."""
    if isinstance(b, Op) and b.op == "where" and b.args[1] == a:
        return _choice(Op("or", (condition, b.args[0])), a, b.args[2])
    if isinstance(a, Op) and isinstance(b, Op) and a.op == b.op and a.op in ONCE:
        return Op(a.op, (_choice(condition, *a.args, *b.args),))
    terms = [Counter(additive_terms(x)) for x in (a, b)]
    common = terms[0] & terms[1]
    if any(reads(t) for _, t in common):
        return signed([(1, _choice(condition, *(signed([*(x - common).elements()]) for x in terms))), *common.elements()])
    parts = [Counter(factors(x)) for x in (a, b)]
    if shared := parts[0] & parts[1]:
        return product([*shared.elements(), _choice(condition, *(product([*(x - shared).elements()]) for x in parts))])
    return where(condition, a, b)
