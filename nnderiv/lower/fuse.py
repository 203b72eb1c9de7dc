"""Softmax in one block: P = exp(S − lse), or its logarithm S − lse, with lse = logsumexp(S) that nothing else needs.

Together they cost one pass of exp, not two, and differences are taken from S − max(S), which is exact where S is large.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..expr import Op, Read, Reduce, difference, free_symbols, reads
from ..integer import Int
from ..program import Equation, Program
from ..shares import letters_of
from ..within import positive_names, readable

Softmaxes = dict[str, tuple[str, Read, tuple[str, ...], str]]


def softmaxes(program: Program, equations: Sequence[Equation], kept: Collection[str]) -> Softmaxes:
    """P -> (lse, S, the indices it is normalised along, the function), for the pairs among the equations; `kept` are needed later."""
    users: dict[str, set[str]] = {}
    for e in equations:
        for r in reads(e.body):
            users.setdefault(r.tensor, set()).add(e.tensor)
    found: Softmaxes = {}
    positive = positive_names(program)
    for e in equations:
        is_exp = isinstance(e.body, Op) and e.body.op == "exp"
        pair = difference(e.body.args[0] if is_exp and isinstance(e.body, Op) else e.body)
        if pair is None or len(program.definitions[e.tensor]) > 1:
            continue
        scores, total = pair
        definition = program.definitions.get(total.tensor, ())
        alone = users[total.tensor] == {e.tensor} and total.tensor not in kept and len(definition) == 1
        inside = alone and not readable(program.hulls[scores.tensor], scores.subs, e.ranges, positive)
        if inside and _is_along(definition[0], scores, total, e):
            along = tuple(i for i in e.indices if Int.symbol(i) not in total.subs)
            found[e.tensor] = (total.tensor, scores, along, "_softmax" if is_exp else "_log_softmax")
    return found


def _is_along(definition: Equation, scores: Read, total: Read, e: Equation) -> bool:
    """Whether lse is the logsumexp of just these scores, wherever they are read: in the windows of a tensor, say."""
    body = definition.body
    if not (isinstance(body, Reduce) and body.op == "logsumexp" and isinstance(inner := body.body, Read) and inner.tensor == scores.tensor):
        return False
    ways = letters_of(e, total, definition) if {*body.indices} <= free_symbols(inner) and scores.tensor != total.tensor else ()
    return any(tuple(s.subst(at) for s in scores.subs) == inner.subs for at in ways)


def normalises(definition: Equation, scores: Read, total: Read, e: Equation) -> bool:
    """The same for a tensor of scores as a whole: each of its axes has a letter of its own here and there, with one range."""
    body = definition.body
    if scores.tensor == total.tensor:
        return False
    if not (isinstance(body, Reduce) and body.op == "logsumexp" and isinstance(body.body, Read) and body.body.tensor == scores.tensor):
        return False
    inner = body.body
    plain = all(s.name in e.ranges for s in scores.subs) and all(s.name in definition.ranges for s in inner.subs)
    if not set(body.indices) <= {s.name for s in inner.subs}:
        return False
    if not plain or len(set(scores.subs)) != len(scores.subs) or len(set(inner.subs)) != len(inner.subs):
        return False
    rows = [(a, b) for a, b in zip(inner.subs, scores.subs, strict=True) if a.name not in body.indices]
    same_rows = [b for _, b in rows] == list(total.subs) and [a for a, _ in rows] == list(definition.subs)
    return same_rows and all(definition.ranges[str(a.name)] == e.ranges[str(b.name)] for a, b in zip(inner.subs, scores.subs, strict=True))
