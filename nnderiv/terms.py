"""A term of a gradient: Σ over indices, where the conditions hold, of body; and what the laws need to know around it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .bounds import inside
from .conditions import facts
from .expr import ZERO, Expr, Num, Op, Read, Reduce, conjunction, free_symbols, ints, neg, reads, reads_data, subst_indices, where
from .integer import Int
from .polynomial import factors, product
from .program import Range, Ranges
from .regular import is_regular

if TYPE_CHECKING:
    from .program import Equation, Program


class Context(Protocol):
    """What the laws need to know about the program around a term."""

    program: Program
    positive: frozenset[str]
    totals: dict[tuple[str, int], tuple[Reduce, Expr] | None]  # sums of gradients along an axis that are numbers, likewise
    symmetries: dict[str, tuple[tuple[int, int], ...]]  # pairs of axes that may be exchanged, as far as they were looked for
    trace: list[tuple[str, Term | None]] | None  # the laws that changed a term, while somebody asks for them

    @property
    def known(self) -> Program | None:
        """What may be read by name where a term says the same; nothing where these very equations are simplified."""
        ...

    @property
    def unbounded(self) -> frozenset[str]:
        """Tensors in which an infinity may stand though all inputs are finite."""
        ...

    def axes(self, name: str) -> tuple[Range, ...] | None:
        """The readable range of any tensor; None where it is not known."""
        ...

    def defined(self, name: str) -> tuple[Equation, ...]:
        """The equations of a tensor, of a gradient too where it is known already."""
        ...

    def sums(self, heads: Collection[str]) -> Iterator[Equation]:
        """Equations y = a·Σ e that are all of y, of factors with these heads: of the program, and of the gradients so far."""
        ...

    def needed(self, e: Expr) -> set[Expr]:
        """Conditions without which e is 0, by the definitions of what it reads."""
        ...

    def may_need_itself(self, name: str) -> bool:
        """Whether an element of a gradient needs itself unless the data say otherwise: there what is not taken must not be asked for."""
        ...

    def is_letter(self, name: str) -> bool:
        """Whether a name can be an index letter: it is no tensor, size or parameter."""
        ...


@dataclass(frozen=True)
class Term:
    """Σ over indices, where all conditions hold, of body; `spare` are letters that a bound index of the same range may take."""

    indices: Ranges
    conditions: tuple[Expr, ...]
    body: Expr
    spare: tuple[tuple[str, Range], ...] = ()

    def subst(self, values: Mapping[str, Int]) -> Term:
        return Term(self.indices, tuple(subst_indices(c, values) for c in self.conditions), subst_indices(self.body, values), self.spare)

    def expression(self, stays: Callable[[Expr], bool] | None = None) -> Expr:
        """The term as a right-hand side; before the sum stands what no bound index touches and, unless `stays`, no data reaches.

        A minus stands before what has a condition.
        """
        guard = conjunction(list(self.conditions))
        if not self.indices:
            turned = neg(self.body)
            minus = isinstance(self.body, Op) and turned == self.body.args[0] or isinstance(turned, Num) and turned.value > 0
            return neg(where(guard, turned, ZERO)) if minus else where(guard, self.body, ZERO)
        stays = stays or reads_data
        parts = factors(self.body)
        scale = [f for f in parts if isinstance(f, Num) or not free_symbols(f) & set(self.indices) and not stays(f)]
        if len(scale) == len(parts):  # a count of places: all that reads data stays with its conditions
            scale = [f for f in scale if not reads_data(f)]
        rest = [f for f in parts if f not in scale]
        return product([*scale, Reduce("sum", tuple(self.indices), where(guard, product(rest), ZERO))])


def written(term: Term, ranges: Ranges, ctx: Context) -> Expr:
    """Σ_x c · e = c · Σ_x e, where c does not know x, and the sum leaves out no place: a sum over nothing is 0, but c may be ∞.

    Nor does it matter where the rest leaves out the same places: r[t+1] · Σ_x g[t+1,x]. And Σ_x where(c, e, 0) = where(c, Σ_x e, 0).
    """
    if not term.indices and not term.conditions:
        return term.expression()
    apart = [c for c in term.conditions if not free_symbols(c) & set(term.indices) and not may_leave(c, ranges, ctx)]
    if apart and term.indices:
        inner = written(Term(term.indices, tuple(c for c in term.conditions if c not in apart), term.body, term.spare), ranges, ctx)
        return Term({}, tuple(apart), inner).expression()
    if term.conditions:
        return guarded(term, ranges, ctx)
    rest = product([f for f in factors(term.body) if free_symbols(f) & set(term.indices)])
    missing = leaves(rest, ranges, ctx)
    if missing is None or missing or may_leave(term.body, ranges, ctx):
        return term.expression(lambda c: not (isinstance(c, Read) and missing is not None and leaves(c, ranges, ctx) == missing)
                               and (reads_data(c) or not is_regular(c, ranges, ctx.positive)))
    return term.expression(lambda c: False)


def guarded(term: Term, ranges: Ranges, ctx: Context) -> Expr:
    """The term as it is where its sum may leave out places: what may be infinite there stays inside."""
    return term.expression(lambda c: reads_data(c) or not is_regular(c, ranges, ctx.positive))


def may_leave(e: Expr, ranges: Ranges, ctx: Context, conditions: Iterable[Expr] = ()) -> bool:
    """Whether some read in e may be out of range where the conditions hold: then a sum over it leaves out places."""
    known = [f for c in conditions for f in facts(c)]
    if not known and any(v.elements() for v in ints(e)):
        return True
    found = ((r, ctx.axes(r.tensor)) for r in reads(e))
    return any(axes is None or not all(inside(s, a, ranges, ctx.positive, known) for s, a in zip(r.subs, axes, strict=True))
               for r, axes in found)


def leaves(e: Expr, ranges: Ranges, ctx: Context) -> set[tuple[Int, Range]] | None:
    """The subscripts that may leave their axes, with these; None where that is not known."""
    found = [(s, a) for r in reads(e) for s, a in zip(r.subs, ctx.axes(r.tensor) or (), strict=False)]
    if any(ctx.axes(r.tensor) is None for r in reads(e)) or any(v.elements() for v in ints(e)):
        return None
    return {(s, a) for s, a in found if not inside(s, a, ranges, ctx.positive, [])}


def decisive(term: Term) -> list[Read]:
    """Reads whose being out of range makes the term vanish: all of them under a sum, the factors of a lone product."""
    if not term.indices:
        return [f for f in factors(term.body) if isinstance(f, Read)]
    return [r for e in (term.body, *term.conditions) for r in reads(e)]
