"""Program -> program in which what a step only multiplies, to multiply it again, is multiplied once.

    dz[t] = dh[t]·(h[t−1] − c[t])            dz_in[t] = dh[t]·(h[t−1] − c[t])·z[t]·(1 − z[t])
    dz_in[t] = dz[t]·z[t]·(1 − z[t])

So it is for a gate that has a name: what does not wait for the recurrence is one factor, computed before it (`hoist`).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...expr import Expr, Op, Read, has_reduction, subst_indices, tensors
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program
from ...within import covers, fills
from .known import own_cycles


def at_once(program: Program, known: Program) -> Program:
    """See the module's docstring; what is handed out, or known by name elsewhere, stays."""
    while (found := next(_found(program, known), None)) is not None:
        d, e, body = found
        program = program.with_equations(e.with_body(body) if x == e else x for x in program.equations if x != d)
    return program


def _found(program: Program, known: Program) -> Iterator[tuple[Equation, Equation, Expr]]:
    """(an equation that is not needed then, the one that reads it, what this is then)."""
    for cycle in own_cycles(program, known):
        inner = cycle - {*program.outputs} - known.definitions.keys()
        for d in (e for e in program.equations if e.tensor in inner and fills(program, e) and _multiplies(e.body, cycle)):
            readers = [e for e in program.equations if d.tensor in e.reads]
            if len(readers) == 1 and readers[0].tensor in cycle - {d.tensor}:
                body = signed([(sign, _written_in(program, readers[0], t, d, cycle)) for sign, t in additive_terms(readers[0].body)])
                if d.tensor not in tensors(body):
                    yield d, readers[0], body


def _multiplies(e: Expr, cycle: frozenset[str]) -> bool:
    """Whether it is one factor of the recurrence and others that do not wait for it."""
    parts = factors(e)
    waiting = [f for f in parts if tensors(f) & cycle]
    others = [f for f in parts if f not in waiting]
    return len(waiting) == 1 and any(map(tensors, others)) and not has_reduction(e) and not any(map(_chooses, parts))


def _chooses(e: Expr) -> bool:
    return isinstance(e, Op) and e.op == "where"


def _written_in(program: Program, e: Equation, term: Expr, d: Equation, cycle: frozenset[str]) -> Expr:
    """A term of e with the right-hand side of d in place of the read of it, if that multiplies what does not wait for the recurrence."""
    found = [f for f in factors(term) if isinstance(f, Read) and f.tensor == d.tensor]
    if len(found) != 1 or not _multiplies(term, cycle) or not covers(found[0].subs, program.hulls[d.tensor], e.ranges):
        return term
    return product([x for f in factors(term) for x in (factors(subst_indices(d.body, d.places(f.subs))) if f is found[0] else [f])])
