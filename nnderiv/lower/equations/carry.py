"""Program -> program in which what a step hands to the next is computed where its parts are.

    dh[t] = dY[t] + dh[t+1]·z[t+1] + Σ dr[t+1] W          dh[t] = dY[t] + carry[t+1]
                                                         carry[t] = dh[t]·z[t] + Σ dr[t] W

Everything in the terms is read at one step, so that the right-hand form needs no margin for z and reads it when it is at hand; and
what the recurrence leaves at its end is carry[0]. One that is a scan (`scan`) stays one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ...bounds import Range, inside
from ...expr import Expr, IntValue, Read, Reduce, bound_indices, free_symbols, ints, reads, subst_indices, tensors, walk
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, factors, signed
from ...program import Equation, Program
from ...within import positive_names
from .scan import is_scan

Terms = list[tuple[int, Expr]]


def carry(program: Program, known: Program) -> Program:
    """See the module's docstring; the program has been made explicit."""
    fresh = Fresh(program.names | known.names)
    for e in program.equations:
        if e.tensor not in program.components or e.is_base or is_scan(program, e):
            continue
        cycle = program.components[e.tensor]
        for axis, t in enumerate(str(s.name) for s in e.subs):
            for c, terms in _shifted(e, t, cycle).items():
                if _worthwhile(program, e, t, terms, cycle) and _vanish(program, t, c, terms, program.dims[e.tensor][axis]):
                    name = fresh(f"{e.tensor}_carry")
                    return carry(_carried(program, e, t, c, terms, program.dims[e.tensor][axis], name), known)
    return program


def _shifted(e: Equation, t: str, cycle: frozenset[str]) -> dict[int, Terms]:
    """The terms that read the cycle and everything else that moves with t at t + c, by c."""
    found: dict[int, Terms] = {}
    for sign, term in additive_terms(e.body):
        c = shift(term, t)
        if c and tensors(term) & cycle:
            found.setdefault(c, []).append((sign, term))
    return found


def shift(term: Expr, t: str) -> int | None:
    """The c of t + c, if everything that moves with t is read there."""
    shifts = set()
    for node in walk(term):
        if isinstance(node, Reduce) and t in node.indices or isinstance(node, IntValue) and t in node.value.symbols():
            return None
    for value in ints(term):
        if t in value.symbols():
            difference = value - Int.symbol(t)
            if value.elements() or not difference.is_constant:
                return None
            shifts.add(difference.constant)
    return shifts.pop() if len(shifts) == 1 else None


def _worthwhile(program: Program, e: Equation, t: str, terms: Terms, cycle: frozenset[str]) -> bool:
    """Whether something beside the cycle would be read beyond its range."""
    positive = positive_names(program)
    return any(
        t in s.symbols() and not inside(s, r, e.ranges, positive)
        for _, term in terms for read in reads(term) if read.tensor not in cycle
        for s, r in zip(read.subs, program.hulls[read.tensor], strict=True)
    )


def _vanish(program: Program, t: str, c: int, terms: Terms, span: Range) -> bool:
    """Whether each term is 0 where t + c is not in the span: a factor of it is read outside its tensor."""
    place = Int.symbol(t) + c

    def is_zero_outside(f: Expr) -> bool:
        if isinstance(f, Reduce) and f.op == "sum":
            return any(is_zero_outside(g) for g in factors(f.body))
        return isinstance(f, Read) and any(s == place and r == span for s, r in zip(f.subs, program.hulls[f.tensor], strict=True))

    return all(any(is_zero_outside(f) for f in factors(term)) for _, term in terms)


def _carried(program: Program, e: Equation, t: str, c: int, terms: Terms, span: Range, name: str) -> Program:
    free = {x for _, term in terms for x in free_symbols(term)}
    indices = [i for i in e.indices if i in free]
    body = subst_indices(signed(terms), {t: Int.symbol(t) - c})
    ranges = {i: e.ranges[i] for i in [*indices, *bound_indices(body)]} | {t: span}
    new = Equation(name, tuple(Int.symbol(i) for i in indices), body, ranges)
    known = next((x for x in program.equations if (x.subs, x.body, x.ranges) == (new.subs, body, ranges)), None)
    name = known.tensor if known else name  # what goes both ways, to x + 1 and x − 1, is computed once
    new = replace(new, tensor=name)
    rest = [x for x in additive_terms(e.body) if x not in terms]
    read = Read(name, tuple(Int.symbol(i) + c if i == t else Int.symbol(i) for i in indices))
    equations = []
    for x in program.equations:
        if x is e:
            equations += [*(() if known else (new,)), e.with_body(signed([*rest, (1, read)]))]
        else:
            equations.append(_with_end(x, new, t, span))
    return program.with_equations(equations)


def _with_end(x: Equation, new: Equation, t: str, span: Range) -> Equation:
    """An equation whose terms include those of the carry at its first or last place reads them there."""
    for place in (span.lo, span.hi - 1):
        values: Mapping[str, Int] = {t: place}
        wanted = Counter(additive_terms(subst_indices(new.body, values)))
        own = Counter(additive_terms(x.body))
        same = all(x.ranges.get(i) == r for i, r in new.ranges.items() if i != t)
        if same and wanted <= own:
            rest = list((own - wanted).elements())
            return x.with_body(signed([*rest, (1, new.element.subst(values))]))
    return x
