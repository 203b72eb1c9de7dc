"""Where −∞ may stand in a program for finite weights: there a difference from a logsumexp, or a softmax, takes a function of its own.

    where(j <= i, S[i,j], −inf)          masked
    S[i,j] + m[j] with an input m        may be: a mask may be added, and a tensor that is given may hold −∞
    Σ_d Q[i,d] K[j,d]                    not, though Q and K are inputs

`Program.unbounded` says where an infinity stands by what the program says itself, inputs being finite.
"""

from __future__ import annotations

from .. import masked
from ..expr import INF, Expr, Op, Read, Reduce, considered, free_symbols, walk
from ..program import Program


def is_logsumexp(program: Program, name: str) -> bool:
    """Whether a tensor is a logsumexp somewhere, or log(exp(a) + exp(b) + …) of such alone."""
    return name in program.log_sums


def sums_up(program: Program, name: str, scores: Read) -> bool:
    """Whether a tensor is the logsumexp of whole rows of these scores, where there are any: of where(0 < M, S[n,k], −∞)."""
    total = program.definitions[name][0].body if name in program.lse else None
    if not isinstance(total, Reduce):
        return False
    conditions, one = considered("logsumexp", total.body)
    return isinstance(one, Read) and one.tensor == scores.tensor and not any(free_symbols(c) & {*total.indices} for c in conditions)


def may_be_masked(program: Program, e: Expr) -> bool:
    """Whether e may be −inf for finite weights: by an explicit inf, a log, or an input that is added; a product of inputs is none."""
    return masked.may_be_masked(e, lambda name: name in program.masked or name not in program.definitions)


def may_be_unreachable(program: Program, r: Read) -> bool:
    """Whether a read may be −inf because nothing leads there: by what the program says, or from where a recurrence is said to begin."""
    return r.tensor in program.unbounded or r.tensor in program.components and may_be_masked(program, r)


def may_hold_infinity(program: Program, name: str) -> bool:
    """Whether −inf can reach this tensor: an explicit inf, a log, or an input somewhere behind it, or what has a value beside a row of
    it that has none, as 2 has in softmax[n](2)."""
    seen, todo = {name}, [name]
    while todo:
        top = todo.pop()
        definitions = program.definitions.get(top, ())
        if not definitions or any(_brings_infinity(n) for d in definitions for n in walk(d.body)):
            return True
        more = {n.tensor for d in definitions for n in walk(d.body) if isinstance(n, Read)} - seen
        seen |= more
        todo += more
    return False


def _brings_infinity(e: Expr) -> bool:
    """Whether e may be −inf by itself: inf, a logarithm, or a logsumexp of what is the same along an index, which may have no values."""
    if isinstance(e, Reduce):
        return e.op == "logsumexp" and not free_symbols(e.body).issuperset(e.indices)
    return e == INF or isinstance(e, Op) and e.op == "log"
