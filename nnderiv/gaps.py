"""Where zeros stand that no input put there: an element that is read outside its range is 0, and so is what is made of it.

Zeros do no harm but below a line: m[k] = A[k,k] for k < N + 1 is 0 at k = N, and 1/m[k] is infinite there whatever A is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from .bounds import Ranges, inside
from .expr import Expr, Op, Read, Reduce, walk
from .graph import components
from .polynomial import additive_terms, poles

if TYPE_CHECKING:
    from .program import Equation, Program

AT_ZERO = ("tanh", "relu", "gelu", "silu", "erf", "sin", "abs", "sign", "sqrt")  # 0 at 0
KEEP_ZERO = ("neg", "*", "/", *AT_ZERO)  # 0 where one argument is


def gaps(program: Program) -> frozenset[str]:
    """Tensors in which such zeros may stand."""
    return spread(program.equations, (), lambda e, known: is_gap(e.body, e.ranges, program, known))


def spread(
    equations: Iterable[Equation], known: Collection[str], has: Callable[[Equation, Collection[str]], bool]
) -> frozenset[str]:
    """These tensors, and those of which some equation has a property, given which others have it. Those come first on which others rest:
    a chain takes as many turns as it is long, however it is written. A recurrence does not have it because it would if it had."""
    found = set(known)
    definitions: dict[str, list[Equation]] = {}
    for e in equations:
        definitions.setdefault(e.tensor, []).append(e)
    for cycle in components({name: {r for e in es for r in e.reads} for name, es in definitions.items()}):
        waiting = [name for name in cycle if name not in found]
        while new := [name for name in waiting if any(has(e, found) for e in definitions[name])]:
            found.update(new)
            waiting = [name for name in waiting if name not in found]
    return frozenset(found)


def is_gap(e: Expr, ranges: Ranges, program: Program, known: Collection[str], bound: frozenset[str] = frozenset()) -> bool:
    """Whether e may be 0 because of where it reads; `known` are tensors that have gaps, `bound` the indices of sums around e."""
    if isinstance(e, Read):
        axes = zip(e.subs, program.hulls[e.tensor], strict=True)
        fixed = [(s, axis) for s, axis in axes if not s.symbols() & bound]  # a sum leaves the other positions out
        return e.tensor in known or not all(inside(s, axis, ranges, program.sizes) for s, axis in fixed)
    if isinstance(e, Reduce):
        return e.op in ("sum", "mean") and is_gap(e.body, ranges, program, known, bound | {*e.indices})
    if not isinstance(e, Op):
        return False
    if e.op in KEEP_ZERO or e.op == "where":
        return any(is_gap(a, ranges, program, known, bound) for a in e.args[e.op == "where":])
    if e.op == "**":
        return is_gap(e.args[0], ranges, program, known, bound)
    return e.op in ("+", "max", "min") and all(is_gap(a, ranges, program, known, bound) for a in e.args)


def divides_by_gap(e: Expr, ranges: Ranges, program: Program) -> bool:
    """Whether a zero of this kind may make e infinite: below a line, or in place of the normaliser of an exponential."""
    return any(is_gap(d, ranges, program, program.gaps) for node in walk(e) if isinstance(node, Op) for d in (*poles(node), *_taken(node)))


def _taken(e: Op) -> list[Expr]:
    """What an exponential's argument has subtracted."""
    return [t for s, t in additive_terms(e.args[0]) if s < 0 and isinstance(t, Read)] if e.op == "exp" else []
