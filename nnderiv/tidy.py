"""A program -> the same program with its right-hand sides simplified, by the laws that gradients are simplified by.

For all inputs evaluate(tidy(p), inputs) = evaluate(p, inputs), and tidy(tidy(p)) = tidy(p).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from .expr import Expr, Read, Reduce, has_reduction, num, own_reads, sums_among, symbols
from .facts import Facts
from .fresh import RESERVED
from .polynomial import additive_terms, factors, guarded_factors, product
from .program import Equation, Program, Range, Ranges, sums_of
from .simplify import Context, Term, collect
from .terms import may_leave
from .within import positive_names, readable

ROUNDS = 8  # more than what one equation comes to has ever mattered to another


def tidy(program: Program) -> Program:
    """The program with every equation simplified, until none is any more: its interface, tensors and their order stay. What one
    comes to may say more about another, as that a table is symmetric."""
    for _ in range(ROUNDS):
        before, ctx = program, Surroundings(program)
        program = replace(before, equations=tuple(tidied(e, ctx) for e in before.equations))
        if program.equations == before.equations:
            break
    return program


@dataclass
class Surroundings:
    """A program as the context of its own terms."""

    program: Program
    known: Program | None = None
    trace: list[tuple[str, Term | None]] | None = None
    totals: dict[tuple[str, int], tuple[Reduce, Expr] | None] = field(default_factory=dict)
    symmetries: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    positive: frozenset[str] = field(init=False)
    taken: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        p = self.program
        self.positive = positive_names(p)
        self.unbounded = p.unbounded
        self.taken = frozenset({i.name for i in p.inputs} | set(p.sizes) | set(p.definitions) | RESERVED)

    def axes(self, name: str) -> tuple[Range, ...] | None:
        return self.program.hulls.get(name)

    def defined(self, name: str) -> tuple[Equation, ...]:
        return self.program.definitions.get(name, ())

    def sums(self, heads: Collection[str]) -> Iterator[Equation]:
        return sums_of(self.known.sums if self.known is not None else {}, heads)

    def needed(self, e: Expr) -> set[Expr]:
        return self.facts.needed(e)

    @cached_property
    def facts(self) -> Facts:
        return Facts(self.program.definitions, self.program)

    def may_need_itself(self, name: str) -> bool:
        return False

    def is_letter(self, name: str) -> bool:
        return name not in self.taken


def tidied(e: Equation, ctx: Context) -> Equation:
    """An equation of a program with its right-hand side simplified; one that is no sum of terms stays as it is."""
    if isinstance(e.body, Reduce) and e.body.op != "sum":
        return e
    dims = {i: e.ranges[i] for i in e.indices}
    body, ranges = collect([_as_term(sign, t, e.ranges, ctx) for sign, t in additive_terms(e.body)], dims, ctx)
    return replace(e, body=body, ranges={**{i: r for i, r in e.ranges.items() if i in symbols(body)}, **ranges})


def _as_term(sign: int, e: Expr, ranges: Ranges, ctx: Context) -> Term:
    """c · Σ e under conditions as a term, where c may go inside: it is in range, or a read, which vanishes with the sum where it is not."""
    conditions, parts = guarded_factors(e)
    sums = sums_among(parts)
    rest = [f for f in parts if f not in sums]
    if len(sums) != 1 or any(has_reduction(f) or not isinstance(f, Read) and may_leave(f, ranges, ctx) for f in rest):
        return Term({}, (), product([num(sign), *factors(e)]))
    (total,) = sums
    needs = [c for n, s in own_reads(total.body) for c in readable(ctx.axes(n) or (), s, ranges, ctx.positive)]
    return Term({i: ranges[i] for i in total.indices}, (*conditions, *needs), product([num(sign), *rest, *factors(total.body)]))
