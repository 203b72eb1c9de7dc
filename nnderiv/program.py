"""Program: a forward definition in index notation, and equally a gradient; the data that all passes exchange.

    program   = inputs -> outputs, equations, givens
    input     = tensor[dim, …] | int name | int tensor[dim, …] | name          dims: integer expressions of sizes
    equation  = tensor[sub, …] = expression, with a range for every index       sub: an index, or a literal (a base case)
    given     = a fact: a comparison of expressions that holds for all admissible inputs

Invariants: within an equation an index name has one range and is not bound twice on one path; every read has its tensor's
rank; `dims` holds the range of every axis of every tensor, `hulls` the same widened by base cases outside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .bounds import OneLess, never_negative, smaller_or_greater
from .bounds import Range as Range
from .bounds import Ranges as Ranges
from .clauses import Found, uncut
from .expr import (
    COMPARISONS,
    INF,
    Expr,
    Op,
    Read,
    Reduce,
    children,
    free_symbols,
    head,
    neg,
    reads,
    rename_reads,
    subst_indices,
    tensors,
    walk,
)
from .gaps import divides_by_nothing, divides_by_outside, empty_sums, gaps, spread
from .graph import cycles, reach
from .integer import Int, indexed
from .masked import log_sums, masked
from .missing import missing
from .polynomial import additive_terms, factors


@dataclass(frozen=True)
class Input:
    """A name in the signature before the arrow. kind: "real" or "int"."""

    name: str
    dims: tuple[Int, ...] = ()
    kind: str = "real"

    def __str__(self) -> str:
        shown = indexed(self.name, self.dims)
        return f"int {shown}" if self.kind == "int" else shown


@dataclass(frozen=True)
class Equation:
    """tensor[subs] = body, for every index in its range."""

    tensor: str
    subs: tuple[Int, ...]
    body: Expr
    ranges: Ranges = field(default_factory=dict, hash=False)
    by_hand: frozenset[str] = field(default=frozenset(), compare=False)  # indices whose range a `for` clause set
    position: int | None = field(default=None, compare=False)  # where it stands in the text that was parsed

    @cached_property
    def indices(self) -> tuple[str, ...]:
        """The index names on the left, in order."""
        return tuple(s.name for s in self.subs if s.name is not None and s.name in self.ranges)

    @cached_property
    def is_base(self) -> bool:
        return len(self.indices) < len(self.subs)

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of all tensors on the right."""
        return frozenset(tensors(self.body))

    @cached_property
    def shape(self) -> tuple[Range, ...]:
        """The ranges of its indices: the shape of a tensor that it is all of."""
        return tuple(self.ranges[i] for i in self.indices)

    def with_body(self, body: Expr) -> Equation:
        """The equation with this right-hand side; itself, with all that is known of it, if it is the same."""
        return self if body is self.body else replace(self, body=body)

    def along(self, axis: int) -> Range:
        """What its subscript on an axis runs over: the range of an index, or one place."""
        place = self.subs[axis]
        return self.ranges[str(place.name)] if place.name in self.ranges else Range(place, place + 1)

    def places(self, subs: tuple[Int, ...]) -> dict[str, Int]:
        """What its letters are where it defines the element with these subscripts: i = α where y[i] is y[α]."""
        return {str(own.name): sub for own, sub in zip(self.subs, subs, strict=True) if own.name in self.ranges}

    def at(self, subs: tuple[Int, ...]) -> Expr:
        """What it says of the element with these subscripts: e(α) of y[i] = e(i), for y[α]."""
        return subst_indices(self.body, self.places(subs))

    @property
    def element(self) -> Read:
        """What stands on its left: the element that it defines, as one reads it."""
        return Read(self.tensor, self.subs)

    @property
    def left(self) -> str:
        return str(self.element)

    @cached_property
    def _text(self) -> str:
        return f"{self.left} = {self.body}"

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True)
class Requirement:
    """A fact about sizes that is checked at run time: left op right; reason says where it comes from."""

    left: Int
    op: str
    right: Int
    reason: str


@dataclass(frozen=True, repr=False)
class Program:
    """Inputs, outputs, equations and facts; see the module's docstring for the grammar and the invariants."""

    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    equations: tuple[Equation, ...]
    shapes: Mapping[str, tuple[Range, ...]] = field(default_factory=dict, hash=False)  # of the tensors that the equations define
    givens: tuple[Expr, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    title: str = field(default="", compare=False)

    # -- shapes ------------------------------------------------------------------------------------------------------
    @cached_property
    def dims(self) -> dict[str, tuple[Range, ...]]:
        """The range of each axis of each tensor, inputs included."""
        return {i.name: tuple(Range.upto(d) for d in i.dims) for i in self.inputs} | dict(self.shapes)

    @cached_property
    def hulls(self) -> dict[str, tuple[Range, ...]]:
        """dims, widened to the base cases that lie outside (h[-1] beside h[0..T-1])."""
        found = {i.name: self.dims[i.name] for i in self.inputs}
        for name, equations in self.definitions.items():
            found[name] = tuple(_hull(self.dims[name][k], equations, k, self.sizes) for k in range(len(equations[0].subs)))
        return found

    @cached_property
    def definitions(self) -> dict[str, tuple[Equation, ...]]:
        """The equations of each tensor; base cases first, the most literal ones before the others."""
        found: dict[str, list[Equation]] = {}
        for e in self.equations:
            found.setdefault(e.tensor, []).append(e)
        return {name: tuple(sorted(es, key=lambda e: len(e.indices))) for name, es in found.items()}

    def whole(self, name: str) -> Equation | None:
        """The equation that is all of a tensor: one, and no base case."""
        return whole(self.definitions.get(name, ()))

    @cached_property
    def lse(self) -> frozenset[str]:
        """The tensors that are logsumexps, at all places."""
        own = ((name, self.whole(name)) for name in self.definitions)
        return frozenset(name for name, e in own if e is not None and isinstance(e.body, Reduce) and e.body.op == "logsumexp")

    @cached_property
    def divisors(self) -> frozenset[Expr]:
        """The scalars by which something is divided wherever there is a value: under no condition."""
        return frozenset(f for e in self.equations if not e.is_base for f in _divisors(e.body) if isinstance(f, Read) and not f.subs)

    @cached_property
    def sums(self) -> dict[str, list[tuple[frozenset[str], Equation]]]:
        """The equations y = a·Σ e that are all of y, with numbers and sizes for a, by the heads of e's factors: by the first of them."""
        found: dict[str, list[tuple[frozenset[str], Equation]]] = {}
        for name, (e, *others) in self.definitions.items():
            if not (others or e.is_base or name in self.components or any(reads(f) for f in factors(e.body) if not isinstance(f, Reduce))):
                add_sum(found, e)
        return found

    @cached_property
    def kinds(self) -> dict[str, str]:
        return {i.name: i.kind for i in self.inputs}

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """Names of the sizes, in order of appearance; an `int` parameter that stands in a shape is not a size."""
        seen: dict[str, None] = {}
        for i in self.inputs:
            for d in i.dims:
                seen.update(dict.fromkeys(a for a in d.atoms() if isinstance(a, str) and a not in self.kinds))
        return tuple(seen)

    @cached_property
    def _pairs(self) -> frozenset[frozenset[Int]]:
        return frozenset(frozenset((r.left, r.right)) for r in self.requirements if r.op == "==")

    def are_equal(self, a: Int, b: Int) -> bool:
        """Whether two sizes are the same, or checked to be when the program runs."""
        return a == b or frozenset((a, b)) in self._pairs

    def coincide(self, a: Range, b: Range) -> bool:
        """The same of two ranges."""
        return self.are_equal(a.lo, b.lo) and self.are_equal(a.hi, b.hi)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the integer parameters."""
        return tuple(i.name for i in self.inputs if i.kind == "int" and not i.dims)

    @cached_property
    def real_inputs(self) -> tuple[str, ...]:
        return tuple(i.name for i in self.inputs if i.kind == "real")

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name in use, indices included."""
        found = {i.name for i in self.inputs} | set(self.sizes) | {e.tensor for e in self.equations}
        for e in self.equations:
            found |= set(e.ranges)
        return frozenset(found)

    def with_equations(self, equations: Iterable[Equation]) -> Program:
        """The program with these equations, of which one that is all of a new tensor says its shape; itself, with all that is known of it,
        if they are the same."""
        equations = tuple(equations)
        if equations == self.equations:
            return self
        new = {e.tensor: e.shape for e in equations if e.tensor not in self.shapes and not e.is_base}
        return replace(self, equations=equations, shapes={**self.shapes, **new})

    def with_bodies(self, body: Callable[[Equation], Expr]) -> Program:
        """The program in which each equation e says body(e) on its right; itself, if that is what it says now."""
        return self.with_equations(e.with_body(body(e)) for e in self.equations)

    # -- text --------------------------------------------------------------------------------------------------------
    def __str__(self) -> str:
        """The program in the notation; parsing it again gives the same program."""
        head = [f"# {self.title}"] if self.title else []
        signature = f"{', '.join(map(str, self.inputs))} -> {', '.join(self.outputs)}"
        lines = [str(e) + self._for_clause(e) for e in self.equations]
        return "\n".join([*head, signature, "", *lines, *(_given_text(g) for g in self.givens)])

    __repr__ = __str__  # a terminal shows it as text

    def _for_clause(self, e: Equation) -> str:
        """The ranges that a reader (and the parser) would not find by what it reads."""
        bound = [i for n in walk(e.body) if isinstance(n, Reduce) for i in n.indices]
        shown = [uncut(self, e, i).clause(i) for i in dict.fromkeys([*e.indices, *bound]) if self._found.needs_clause(e, i)]
        return f"  for {', '.join(shown)}" if shown else ""

    @cached_property
    def _found(self) -> Found:
        return Found(self)

    @cached_property
    def gaps(self) -> frozenset[str]:
        """Tensors in which a zero may stand though no input is 0: they read outside."""
        return gaps(self)

    @cached_property
    def empty_sums(self) -> frozenset[str]:
        """Tensors in which a zero may stand though no input is 0: they are sums of no term somewhere."""
        return empty_sums(self)

    @cached_property
    def unbounded(self) -> frozenset[str]:
        """Tensors in which an infinity may stand though all inputs are finite: a normaliser or an extreme of nothing, a quotient by what
        is read outside, and what reads them; and what is doubted."""
        divided = {e.tensor for e in self.equations if divides_by_outside(e.body, e.ranges, self)}
        return infinite(self.equations, divided | self.dividing_by_nothing | self.doubted)

    @cached_property
    def dividing_by_nothing(self) -> frozenset[str]:
        """Tensors in which something is divided by a sum of no term."""
        return frozenset(e.tensor for e in self.equations if divides_by_nothing(e.body, e.ranges, self))

    @cached_property
    def divided_by_nothing(self) -> frozenset[str]:
        """These, and those that read them."""
        return spread(self.equations, self.dividing_by_nothing, lambda e, found: any(name in found for name in e.reads))

    @cached_property
    def doubted(self) -> frozenset[str]:
        """Tensors that are asked whether they are infinite, as in y[n] < inf, or a number at all, as in y[n] == y[n]."""
        comparisons = [n for e in self.equations for n in walk(e.body) if isinstance(n, Op) and n.op in COMPARISONS]
        doubts = [c for c in comparisons if any(x in (INF, neg(INF)) for x in c.args) or c.args[0] == c.args[1]]
        return frozenset(r.tensor for c in doubts for r in reads(c))

    @cached_property
    def missing(self) -> frozenset[str]:
        """Inputs in which anything may stand where other data say that it does not count."""
        return missing(self)

    @cached_property
    def masked(self) -> frozenset[str]:
        """Tensors that the equations define and that may be −inf for finite weights."""
        return masked(self)

    @cached_property
    def log_sums(self) -> frozenset[str]:
        """Tensors that are logarithms of sums of exponentials somewhere."""
        return log_sums(self)

    @cached_property
    def with_infinities(self) -> frozenset[str]:
        """Tensors in which an infinity is written, and those that rest on such."""
        users: dict[str, set[str]] = {}
        for e in self.equations:
            for name in e.reads:
                users.setdefault(name, set()).add(e.tensor)
        return frozenset(reach({e.tensor for e in self.equations if any(n == INF for n in walk(e.body))}, users))

    @cached_property
    def totals(self) -> dict[tuple[str, int], tuple[Reduce, Expr] | None]:
        """Sums of whole tensors along an axis that are numbers, as far as they have been looked for."""
        return {}

    @cached_property
    def components(self) -> dict[str, frozenset[str]]:
        """For each tensor that takes part in a recurrence, the tensors of its cycle."""
        return cycles(self.edges)

    @cached_property
    def edges(self) -> dict[str, set[str]]:
        """What the equations of each tensor read, by name."""
        return edges_of(self.equations)

    # -- other forms -------------------------------------------------------------------------------------------------
    def sympy(self) -> list[Any]:
        """The equations as SymPy `Eq` of `Indexed` and `Sum`."""
        from .sympy_form import program_to_sympy

        return program_to_sympy(self)

    @staticmethod
    def from_sympy(equations: Iterable[Any], inputs: Iterable[Any] | None = None, outputs: Iterable[str] | None = None) -> Program:
        """A program from SymPy equations between `Indexed` elements; see `nnderiv.sympy_form`."""
        from .sympy_form import program_from_sympy

        return program_from_sympy(equations, inputs, outputs)

    def latex(self) -> str:
        """The equations in index form, aligned."""
        from .latex import program_latex

        return program_latex(self)

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"


def rename_tensors(program: Program, names: dict[str, str]) -> Program:
    """The same program with other names for some of its tensors."""
    equations = tuple(replace(e, tensor=names.get(e.tensor, e.tensor), body=rename_reads(e.body, names)) for e in program.equations)
    return replace(program, outputs=tuple(names.get(o, o) for o in program.outputs), equations=equations,
                   shapes={names.get(n, n): s for n, s in program.shapes.items()})


def edges_of(equations: Iterable[Equation]) -> dict[str, set[str]]:
    """What the equations of each tensor read, by name."""
    found: dict[str, set[str]] = {}
    for e in equations:
        found.setdefault(e.tensor, set()).update(e.reads)
    return found


def add_sum(found: dict[str, list[tuple[frozenset[str], Equation]]], e: Equation) -> None:
    """An equation y = a·Σ e, by the heads of its factors: by the first of them. What is a number in a is one at all places alike."""
    sums = [f for f in factors(e.body) if isinstance(f, Reduce)]
    others = [f for f in factors(e.body) if f not in sums]
    numbers = [f for f in others if not reads(f)]
    if [f.op for f in sums] != ["sum"] or any(free_symbols(f) & e.ranges.keys() for f in numbers):
        return
    own = [*factors(sums[0].body), *(f for f in others if f not in numbers)]
    if heads := frozenset(map(head, own)) - {""}:
        found.setdefault(min(heads), []).append((heads, e))


def sums_of(found: Mapping[str, list[tuple[frozenset[str], Equation]]], heads: Collection[str]) -> Iterator[Equation]:
    """Those of these equations of which all factors have such heads."""
    return (e for name in heads for mine, e in found.get(name, ()) if mine <= {*heads})


def whole(definitions: Sequence[Equation]) -> Equation | None:
    """The one of these equations that is all of a tensor, if there is no other, and it is no base case."""
    return definitions[0] if len(definitions) == 1 and not definitions[0].is_base else None


def infinite(equations: Iterable[Equation], known: Collection[str]) -> frozenset[str]:
    """Tensors in which an infinity may stand, with those that are known to be such; exp(S − lse) of an empty row is 0."""
    equations = list(equations)
    lse = {e.tensor for e in equations if isinstance(e.body, Reduce) and e.body.op == "logsumexp"}
    return spread(equations, known, lambda e, found: _is_infinite(e.body, found, lse))


def _is_infinite(e: Expr, found: Collection[str], lse: Collection[str]) -> bool:
    if isinstance(e, Op) and e.op == "exp":
        below = [t for sign, t in additive_terms(e.args[0]) if sign < 0 and not (isinstance(t, Read) and t.tensor in lse)]
        return any(_is_infinite(t, found, lse) for t in below)
    if isinstance(e, Reduce) and e.op in ("logsumexp", "log_softmax", "max", "min"):
        return True
    if e == INF or isinstance(e, Read) and e.tensor in found:
        return True
    return any(_is_infinite(c, found, lse) for c in children(e))


def _given_text(fact: Expr) -> str:
    if isinstance(fact, Op) and fact.op == "==":
        return f"given {fact.args[0]} = {fact.args[1]}"
    return f"given {fact}"


def _divisors(e: Expr) -> Iterator[Expr]:
    """What e divides by, whatever the conditions in it say."""
    if isinstance(e, Op) and e.op == "where":
        return
    if isinstance(e, Op) and e.op == "/":
        yield from (f.args[0] if isinstance(f, Op) and f.op == "**" else f for f in factors(e.args[1]))
    for child in children(e):
        yield from _divisors(child)


def _hull(r: Range, equations: tuple[Equation, ...], axis: int, sizes: Collection[str]) -> Range:
    """r joined with every literal and every base range of this axis. Of two ends, which one is further out is said where sizes are
    at least 1; that r itself is inside holds where they are 0, too."""
    lo, hi = r.lo, r.hi
    for e in equations:
        other = e.along(axis)
        if other == r and (lo, hi) == (r.lo, r.hi):
            continue
        lo = smaller_or_greater("min", lo, other.lo, sizes)
        hi = smaller_or_greater("max", hi, other.hi, sizes)
    fewer = OneLess(sizes)
    return Range(lo if never_negative((r.lo - lo).subst(fewer), {}, sizes) else Int.extreme("min", r.lo, lo),
                 hi if never_negative((hi - r.hi).subst(fewer), {}, sizes) else Int.extreme("max", r.hi, hi))
