"""Softmax in one block: P = exp(S − lse) and lse = logsumexp(S), where nothing else needs lse, cost one pass of exp, not two."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..expr import Expr, Op, Read, Reduce, additive_terms, reads
from ..program import Equation, Program

Softmaxes = dict[str, tuple[str, Read, tuple[str, ...]]]


def softmaxes(program: Program, equations: Sequence[Equation], kept: Collection[str]) -> Softmaxes:
    """P -> (lse, S, the indices it is normalised along), for the pairs among the equations; `kept` are needed later."""
    users: dict[str, set[str]] = {}
    for e in equations:
        for r in reads(e.body):
            users.setdefault(r.tensor, set()).add(e.tensor)
    found: Softmaxes = {}
    for e in equations:
        pair = _exp_of_difference(e.body)
        if pair is None or len(program.definitions[e.tensor]) > 1:
            continue
        scores, total = pair
        definition = program.definitions.get(total.tensor, ())
        alone = users[total.tensor] == {e.tensor} and total.tensor not in kept and len(definition) == 1
        if alone and _normalises(definition[0], scores, total, e):
            body = definition[0].body
            assert isinstance(body, Reduce)
            found[e.tensor] = (total.tensor, scores, _along(definition[0], scores, body))
    return found


def _exp_of_difference(body: Expr) -> tuple[Read, Read] | None:
    if not (isinstance(body, Op) and body.op == "exp"):
        return None
    terms = additive_terms(body.args[0])
    if len(terms) != 2 or [s for s, _ in terms] != [1, -1]:
        return None
    (_, scores), (_, total) = terms
    return (scores, total) if isinstance(scores, Read) and isinstance(total, Read) else None


def _normalises(definition: Equation, scores: Read, total: Read, e: Equation) -> bool:
    """Whether lse is the logsumexp of just these scores, over the whole range of each of its indices."""
    body = definition.body
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


def _along(definition: Equation, scores: Read, body: Reduce) -> tuple[str, ...]:
    assert isinstance(body.body, Read)
    return tuple(str(b.name) for a, b in zip(body.body.subs, scores.subs, strict=True) if a.name in body.indices)
