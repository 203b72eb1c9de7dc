"""Which tensors may hold −∞ for finite weights, and which are logarithms of sums of exponentials; asked of all at once, those first that
others rest on, so that a chain of any length fits Python's stack, and however often one reads another.

    where(j <= i, S[i,j], −inf)          masked
    S[i,j] + m[j] with an input m        may be: a mask may be added, and a tensor that is given may hold −∞
    Σ_d Q[i,d] K[j,d]                    not, though Q and K are inputs
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from .expr import INF, Expr, Op, Read, Reduce, reads
from .gaps import spread
from .polynomial import additive_terms, factors

if TYPE_CHECKING:
    from .program import Program

BOUNDED = ("tanh", "sigmoid", "erf", "sin", "cos", "sign")


def masked(program: Program) -> frozenset[str]:
    """Tensors that may be −inf for finite weights, by what the equations say; a recurrence not because it would be if it were."""
    given = {i.name for i in program.inputs}
    return spread(program.equations, (), lambda e, known: may_be_masked(e.body, lambda name: name in known or name in given))


def may_be_masked(e: Expr, is_masked: Callable[[str], bool]) -> bool:
    """Whether e may be −inf where these tensors may: by an explicit inf, a log, or an input that is added; a product of inputs is none."""
    if isinstance(e, Read):
        return is_masked(e.tensor)
    if e == INF or isinstance(e, Op) and e.op in ("log", "/", "**", "where"):
        return not isinstance(e, Op) or e.op == "log" or any(may_be_masked(a, is_masked) for a in e.args)
    if isinstance(e, Reduce):
        inner = [f for f in factors(e.body) if reads(f)]
        if e.op == "sum" and len(inner) > 1 and all(isinstance(f, Read) for f in inner):
            return False
        return may_be_masked(e.body, is_masked)
    return isinstance(e, Op) and e.op not in BOUNDED and any(may_be_masked(a, is_masked) for a in e.args)


def log_sums(program: Program) -> frozenset[str]:
    """Tensors that are a logsumexp somewhere, or log(exp(a) + exp(b) + …) of such alone; not because one would be if it were."""
    unbounded = program.unbounded

    def is_one(e: Expr, known: Collection[str]) -> bool:
        """Each term of the sum reads one in which an infinity may stand."""
        if not (isinstance(e, Op) and e.op == "log"):
            return isinstance(e, Reduce) and e.op == "logsumexp"
        return all(any(r.tensor in known and r.tensor in unbounded for r in reads(t)) for _, t in additive_terms(e.args[0]))

    return spread(program.equations, (), lambda e, known: is_one(e.body, known))
