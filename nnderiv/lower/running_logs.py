"""Logarithms of running sums of exponentials, and the shares in them, without all pairs of steps.

    lse[n,i] = logsumexp_j where(j >= i, s[n,j], −inf)           _running_logsumexp(s[:, ::-1], 1)[:, ::-1], in one pass
    Σ_i where(i <= j, d[n,i] exp(s[n,j] − lse[n,i]), 0)          exp(s[n,j] − lse[n,j]) E[n,j],
                                                                 E[n,j] = d[n,j] + exp(lse[n,j] − lse[n,j−1]) E[n,j−1]

The further a sum goes the larger it is, so that no exponential in the recurrence is above 1. So are the likelihood of an order, where
what has been chosen is no longer compared, and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ..bounds import never_negative
from ..conditions import facts
from ..expr import INF, Expr, Op, Read, Reduce, conjunction, conjuncts, free_symbols, is_where, neg, subst_indices, where
from ..integer import Int
from ..polynomial import additive_terms, signed
from ..program import Program, Ranges
from . import cost
from .arrays import Array, Frame, permute
from .items.form import call


def last_step(c: Expr, s: str, indices: Collection[str], ranges: Ranges, positive: Collection[str]) -> tuple[Int, bool] | None:
    """(t, True) for the condition s <= t, (t, False) for s >= t, where t is one of the indices, or a step beside it, and an s."""
    known, r = facts(c), ranges[s]
    may = not cost.is_short(r.size) and never_negative(r.size, {}, positive)  # a recurrence has no fewer steps than none
    split = known[0].split(s) if len(known) == 1 and may else None
    if split is None or split[0] not in (1, -1) or len(split[1].symbols() & {*indices}) != 1:
        return None
    forwards = split[0] == -1
    t = split[1] if forwards else -split[1]
    beside = never_negative(r.hi - 1 - t if forwards else t - r.lo, ranges, positive)  # elsewhere it is outside, where nothing is
    return (t, forwards) if beside and not t.elements() else None


@dataclass(frozen=True)
class RunningLog:
    """logsumexp_s of the scores over all s up to the index t, or from there on; the scores are free of t."""

    t: str
    s: str
    scores: Expr
    forwards: bool


def running_log(e: Reduce, indices: Collection[str], ranges: Ranges, positive: Collection[str]) -> RunningLog | None:
    """What a logsumexp is, if it is of this kind, at each step itself."""
    body = e.body
    if e.op != "logsumexp" or len(e.indices) != 1 or not is_where(body, neg(INF)):
        return None
    (s,), conditions = e.indices, conjuncts(body.args[0])
    for c in conditions:
        t, forwards = last_step(c, s, indices, ranges, positive) or (Int.of(0), True)
        rest = conjunction([x for x in conditions if x is not c])
        scores = where(rest, body.args[1], neg(INF))
        if t.name in ranges and ranges[str(t.name)] == ranges[s] and t.name not in free_symbols(scores) and s in free_symbols(scores):
            return RunningLog(str(t.name), s, scores, forwards)
    return None


def running_logsumexp(frame: Frame, emit_in: Callable[[Frame, Expr], Array], e: Reduce) -> Array | None:
    """A logsumexp up to each step, or from there on."""
    found = running_log(e, frame.order, frame.ranges, frame.positive)
    if found is None or found.t in frame.loops:
        return None
    scores = emit_in(frame, found.scores)  # as it is written: there may be views of what it reads, as of a part
    if found.s not in scores.labels:
        return None
    labels = tuple(found.t if i == found.s else i for i in scores.labels)
    array = permute(replace(scores, labels=labels, plain=None), frame.sort(labels))
    axis = array.labels.index(found.t)
    step = "" if found.forwards else ", -1"
    return frame.make(call(f"_running_logsumexp({{0}}, {axis}{step})", 0), [array], array.labels)


def decay(
    f: Expr, s: str, t: Int, forwards: bool, programs: Collection[Program], positive: Collection[str]
) -> tuple[Expr, Read] | None:
    """(exp(a[t] − lse[t]), lse[s]) for the factor exp(a[t] − lse[s]), where lse adds up all a from a step on: both are at most 1."""
    terms = additive_terms(f.args[0]) if isinstance(f, Op) and f.op == "exp" else []
    own = [x for sign, x in terms if sign < 0 and s in free_symbols(x)]
    if len(own) != 1 or not isinstance(lse := own[0], Read):
        return None
    a = signed([(sign, x) for sign, x in terms if x is not lse])
    definition = next((d for p in programs if (d := p.whole(lse.tensor)) is not None), None)
    if definition is None or not isinstance(definition.body, Reduce):
        return None
    at = definition.places(lse.subs)
    found = running_log(definition.body, definition.indices, definition.ranges, positive)
    if found is None or found.forwards == forwards or at[found.t] != Int.symbol(s) or a != subst_indices(found.scores, {**at, found.s: t}):
        return None
    return Op("exp", (a - subst_indices(lse, {s: t}),)), lse
