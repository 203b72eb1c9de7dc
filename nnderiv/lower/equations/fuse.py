"""Softmax in one block: P = exp(S − lse), or its logarithm S − lse, with lse = logsumexp(S) that nothing else needs.

Together they cost one pass of exp, not two, and differences are taken from S − max(S), which is exact where S is large.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ...expr import Op, Read, Reduce, free_symbols, reads
from ...integer import Int
from ...polynomial import difference
from ...program import Equation, Program
from ...shares import letters_of
from ...within import positive_names, readable

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
    inner = _added_up(definition, scores, total)
    ways = letters_of(e, total, definition) if inner is not None else ()
    return inner is not None and any(tuple(s.subst(at) for s in scores.subs) == inner.subs for at in ways)


def normalises(definition: Equation, scores: Read, total: Read, e: Equation) -> bool:
    """The same for a tensor of scores as a whole: each of its axes has a letter of its own here and there, with one range."""
    inner = _added_up(definition, scores, total)
    if inner is None or any(len({*r.subs}) < len(r.subs) for r in (inner, scores)):
        return False
    letters = [*zip(inner.subs, scores.subs, strict=True)]
    rows = [pair for pair in letters if pair[0] in definition.subs]
    one_range = all(a.name in definition.ranges and e.ranges.get(str(b.name)) == definition.ranges[str(a.name)] for a, b in letters)
    return one_range and rows == [*zip(definition.subs, total.subs, strict=True)]


def _added_up(definition: Equation, scores: Read, total: Read) -> Read | None:
    """The read whose exponentials a total adds up, if it is one of the tensor of the scores, over indices of its own."""
    body = definition.body
    if not (isinstance(body, Reduce) and body.op == "logsumexp" and isinstance(inner := body.body, Read) and inner.tensor == scores.tensor):
        return None
    return inner if scores.tensor != total.tensor and {*body.indices} <= free_symbols(inner) else None
