"""Where −∞ may stand in a program for finite weights: there a difference from a logsumexp, or a softmax, takes a function of its own.

    where(j <= i, S[i,j], −inf)          masked
    S[i,j] + m[j] with an input m        may be: a mask may be added, and a tensor that is given may hold −∞
    Σ_d Q[i,d] K[j,d]                    not, though Q and K are inputs

`Program.unbounded` says where an infinity stands by what the program says itself, inputs being finite.
"""

from __future__ import annotations

from ..expr import INF, Expr, Op, Read, Reduce, considered, free_symbols, reads, walk
from ..polynomial import additive_terms, factors
from ..program import Program

BOUNDED = ("tanh", "sigmoid", "erf", "sin", "cos", "sign")


def is_logsumexp(program: Program, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a tensor is a logsumexp somewhere, or log(exp(a) + exp(b) + …) of such alone; not because it would be if it were one."""
    seen |= {name}
    return any(isinstance(b, Reduce) and b.op == "logsumexp" or isinstance(b, Op) and b.op == "log" and _adds(program, b.args[0], seen)
               for b in (d.body for d in program.definitions.get(name, ())))


def sums_up(program: Program, name: str, scores: Read) -> bool:
    """Whether a tensor is the logsumexp of whole rows of these scores, where there are any: of where(0 < M, S[n,k], −∞)."""
    total = program.definitions[name][0].body if name in program.lse else None
    if not isinstance(total, Reduce):
        return False
    conditions, one = considered("logsumexp", total.body)
    return isinstance(one, Read) and one.tensor == scores.tensor and not any(free_symbols(c) & {*total.indices} for c in conditions)


def _adds(program: Program, e: Expr, seen: frozenset[str]) -> bool:
    """Whether each term of a sum reads a logsumexp in which an infinity may stand."""
    def is_one(r: Read) -> bool:
        return r.tensor in program.unbounded and r.tensor not in seen and is_logsumexp(program, r.tensor, seen)

    return all(any(map(is_one, reads(t))) for _, t in additive_terms(e))


def may_be_masked(program: Program, e: Expr, seen: frozenset[str] = frozenset()) -> bool:
    """Whether e may be −inf for finite weights: by an explicit inf, a log, or an input that is added; a product of inputs is none."""
    if isinstance(e, Read):
        if e.tensor in seen:
            return False
        definitions = program.definitions.get(e.tensor, ())
        return not definitions or any(may_be_masked(program, d.body, seen | {e.tensor}) for d in definitions)
    if e == INF or isinstance(e, Op) and e.op in ("log", "/", "**", "where"):
        return not isinstance(e, Op) or e.op == "log" or any(may_be_masked(program, a, seen) for a in e.args)
    if isinstance(e, Reduce):
        inner = [f for f in factors(e.body) if reads(f)]
        if e.op == "sum" and len(inner) > 1 and all(isinstance(f, Read) for f in inner):
            return False
        return may_be_masked(program, e.body, seen)
    return isinstance(e, Op) and e.op not in BOUNDED and any(may_be_masked(program, a, seen) for a in e.args)


def may_be_unreachable(program: Program, r: Read) -> bool:
    """Whether a read may be −inf because nothing leads there: by what the program says, or from where a recurrence is said to begin."""
    return r.tensor in program.unbounded or r.tensor in program.components and may_be_masked(program, r)


def may_hold_infinity(program: Program, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether −inf can reach this tensor: an explicit inf, a log, or an input somewhere behind it."""
    if name in seen:
        return False
    for d in program.definitions.get(name, ()):
        for node in walk(d.body):
            if node == INF or isinstance(node, Op) and node.op == "log":
                return True
            if isinstance(node, Read) and may_hold_infinity(program, node.tensor, seen | {name}):
                return True
    return name not in program.definitions
