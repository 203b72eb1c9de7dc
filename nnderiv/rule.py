"""The one rule: what an equation that reads a tensor adds to the tensor's gradient.

Forward, an equation says Y[i] = Σ_r e(i, r), and e reads A[α(i, r)]. Then

    dA[a]  +=  Σ over (i, r) with α(i, r) = a  of  dY[i] · ∂e/∂A[α(i, r)]

`contribution` is that line: differentiate (`scalar`), solve α(i, r) = a (`solve`), keep as conditions what the remaining reads do
not imply (`terms`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from .auxiliary import Auxiliary
from .bounds import inside
from .cases import where_it_rules
from .conditions import between
from .expr import (
    ONE,
    TRUE,
    ZERO,
    Expr,
    IntValue,
    Op,
    Read,
    Reduce,
    add,
    compare,
    conjunction,
    considered,
    is_where,
    map_children,
    num,
    own_reads,
    reads,
    subst_indices,
    tensor,
    where,
)
from .facts import Facts
from .fresh import RESERVED, Fresh
from .integer import Int
from .laws_of_conditions import settle_divisions
from .polynomial import additive_terms, factors, occurrences, product
from .program import Equation, Input, Program, Range, Ranges, infinite, sums_of
from .ranges import accesses
from .scalar import partial
from .shares import Shares
from .simplify import Term, simplify
from .solve import solve
from .wellfounded import is_ordered
from .within import readable


@dataclass(frozen=True)
class Origin:
    """How one term of a gradient came about, line by line.

    placed         dY[i] · w · ∂e/∂A[α] where α(i, r) = a, the derivative not carried out; w is 1 but for a maximum or logsumexp
    differentiated the derivative carried out
    known          what the program has a name for called by it: 1 − h² rather than 1 − tanh²(z)
    solved         α(i, r) = a solved for the indices in `values`
    laws           the term after each law of `simplify` that changed it
    slope          ∂e/∂A[α] by itself, as SymPy finds it: beside it, the numbers of a term are multiplied
    """

    equation: Equation
    read: Read
    op: str
    names: dict[str, str]  # of the equation's indices, apart from the letters of the gradient
    values: dict[str, Int]
    placed: Term
    differentiated: Term
    known: Term
    solved: Term
    laws: tuple[tuple[str, Term | None], ...]
    slope: Expr


class Inlined(Exception):
    """A gradient was put in where it is read, and then a place came up where it needs a name."""


class Rule:
    """The rule, within a pass that knows what gradients are called, and what they are, so far."""

    program: Program
    positive: frozenset[str]
    same: dict[str, Int]  # sizes that must equal what others come to, and that
    fresh: Fresh
    shapes: dict[str, tuple[Range, ...]]
    seeds: dict[str, str]  # output -> name of its seed
    adjoint: dict[str, str]  # tensor -> name of its gradient
    inlined: dict[str, tuple[tuple[str, ...], Expr]]  # a gradient that is put in where it is read: its letters, and what it is
    found: dict[str, list[Equation]]  # gradient -> its equations so far
    sums_found: dict[str, list[tuple[frozenset[str], Equation]]]  # those of them that are sums, by what stands in them
    totals: dict[tuple[str, int], tuple[Reduce, Expr] | None]
    symmetries: dict[str, tuple[tuple[int, int], ...]]
    auxiliary: Auxiliary
    shares: Shares
    history: dict[str, list[Origin]] | None  # gradient -> where its terms come from, if that is recorded
    trace: list[tuple[str, Term | None]] | None
    now: str  # the gradient whose terms are looked for

    def contributions(self, e: Equation, name: str, targets: list[Int], dims: Ranges) -> list[Term]:
        """Every term that one equation contributes to dA[targets]."""
        found = []
        for coefficient, indices, summand, op in _summands(e.body):
            for read in dict.fromkeys(r for r in reads(summand) if r.tensor == name):
                for part in [summand] if indices else self._parts(e, summand, read):
                    found += self.contribution(e, coefficient, indices, part, op, read, targets, dims)
        return found

    def _parts(self, e: Equation, summand: Expr, read: Read) -> list[Expr]:
        """a·m[t−1] and (1 − a)·x[t], each by itself, if the slope by a is summed over t: a sum of their slopes would leave out t = 0."""
        moved = any(s.name is None for r in reads(summand) for s in r.subs)
        if not moved or {i for s in read.subs for i in s.symbols()} >= {*e.indices}:
            return [summand]

        def leaves(t: Expr) -> bool:
            return any(isinstance(f, Read) and f != read and self._may_leave(f, e.ranges) for f in factors(t))

        def opened(t: Expr) -> list[Expr]:
            """t as products, where something in a sum that is a factor may be read outside; not in one of several: none is the first."""
            parts = factors(t)
            among = [k for k, f in enumerate(parts) if any(leaves(x) for _, x in additive_terms(f)) and not leaves(f)]
            if len(among) != 1:
                return [t]
            (k,) = among
            return [product([*parts[:k], num(s), *factors(x), *parts[k + 1 :]]) for s, x in additive_terms(parts[k])]

        terms = [u for s, t in additive_terms(summand) if read in reads(t) for u in opened(product([num(s), *factors(t)]))]
        leaving = [t for t in terms if leaves(t)]
        rest = [t for t in terms if t not in leaving]
        return [*leaving, add(rest)] if leaving and rest else [summand]

    def contribution(
        self, e: Equation, coefficient: Expr, indices: tuple[str, ...], summand: Expr, op: str, read: Read, targets: list[Int],
        dims: Ranges,
    ) -> list[Term]:
        """The rule itself, for one read in one summand."""
        own = e.element if summand == e.body and not e.is_base else None
        slope = self.shares.slope(e, read, own) or partial(summand, read, own)
        if slope == ZERO:
            return []
        weight, e = self._weight(e, op, summand, indices)
        others = [r for r in own_reads(summand) if r != (read.tensor, read.subs)] if indices else []
        needs = [c for n, s in others for c in readable(self.program.hulls[n], s, e.ranges, self.positive, same=self.same)]
        # Rename first: the target's letters may be letters of this equation.
        ranges, rename = self._apart(e, dims)
        outputs = [rename[i].name or i for i in e.indices]
        bound = [rename[i].name or i for i in sorted(indices, key=lambda i: occurrences(summand, i))]
        subs = [s.subst(rename) for s in read.subs]
        solution = solve(subs, targets, outputs, bound, self._new_index, set(self.positive), {**dims, **ranges})
        values = {i: v.subst(solution.values) for i, v in rename.items()}
        ranges |= solution.extra

        # Under a reduction, where a read is out of range there is no position and so no derivative: the mark `true` says so.
        open_ = Op("partial", (summand, read, TRUE) if indices else (summand, read))

        def term(
            at: dict[str, Int], solved: dict[str, Int], conditions: Sequence[Expr], weight: Expr = weight, slope: Expr = slope
        ) -> Term:
            """The summand with its indices as `at` has them, summed over those that are not solved for."""
            seed = self._seed(e, at, {**dims, **ranges})
            parts = [factors(subst_indices(part, at)) for part in (weight, coefficient, slope)]
            holds = [*conditions, *(subst_indices(c, at) for c in needs), *self._own_range(e, at, solved, rename, ranges, dims)]
            left = {i: ranges[i] for i in [*outputs, *bound, *(solution.extra if solved else ())] if i not in solved}
            spare = tuple((i, r) for i, r in e.ranges.items() if rename[i].name == i and i in solved and i not in dims)
            whole = Term(left, tuple(holds), product([*factors(seed), *(f for part in parts for f in part)]), spare)
            return whole if indices or slope is open_ else self._protect(whole, e, at, {**dims, **ranges})

        result = term(values, solution.values, solution.conditions)
        self.trace = None if self.history is None else []
        simplified = simplify(result, dims, self)
        if self.history is not None:
            unsolved = [compare("==", s.subst(rename), t) for s, t in zip(read.subs, targets, strict=True)]
            raw, carried_out = self._raw_weight(e, op, summand, indices), partial(summand, read)
            lines = [term(rename, {}, unsolved, *way) for way in ((raw, open_), (raw, carried_out), ())]
            self._remember(e, read, op, rename, solution.values, (*lines, result), subst_indices(carried_out, rename))
        return [] if simplified is None else [simplified]

    def _remember(
        self, e: Equation, read: Read, op: str, rename: dict[str, Int], values: Mapping[str, Int], lines: Sequence[Term], slope: Expr
    ) -> None:
        """One more origin of what is added to the gradient at hand, with the laws that were traced; see `Origin`."""
        names = {i: str(rename[i].name) for i in e.ranges}
        placed, differentiated, known, solved = lines
        origin = Origin(e, read, op, names, dict(values), placed, differentiated, known, solved, tuple(self.trace or ()), slope)
        if self.history is not None:
            self.history.setdefault(self.now, []).append(origin)
        self.trace = None

    def _raw_weight(self, e: Equation, op: str, summand: Expr, indices: tuple[str, ...]) -> Expr:
        """The weight before it is called by a name that the program has for it."""
        return Op("exp", (summand - e.element,)) if op == "logsumexp" else self._weight(e, op, summand, indices)[0]

    def _weight(self, e: Equation, op: str, summand: Expr, indices: tuple[str, ...]) -> tuple[Expr, Equation]:
        """What the derivative of the reduction puts before ∂e/∂A: 1 for a sum, exp(e − Y) for a logsumexp, [e = Y]/ties for a maximum."""
        if op == "sum":
            return ONE, e
        y = e.element
        if op == "logsumexp":
            return self.shares.share(summand, y, e), e
        conditions, candidate = considered(op, summand)
        hit = where(conjunction([*conditions, Op("==", (candidate, y))]), ONE, ZERO)
        return hit / self.auxiliary.ties(e, hit, indices), e

    def _apart(self, e: Equation, dims: Ranges) -> tuple[Ranges, dict[str, Int]]:
        """The equation's ranges under names that are not target letters, and the renaming."""
        rename = {i: Int.symbol(self.fresh(i) if i in dims else i) for i in e.ranges}
        return {rename[i].name or i: r for i, r in e.ranges.items()}, rename

    def _new_index(self, wish: str) -> str:
        """An index that no equation has, and a letter that the program does not use, so that it can be told apart."""
        return self.fresh(next((c for c in f"{wish}rsuvwxyz" if c not in self.program.names), wish))

    def _seed(self, e: Equation, values: dict[str, Int], ranges: Ranges) -> Expr:
        """dY at the left-hand side's place, or what dY was found to be."""
        subs = tuple(s.subst(values) for s in e.subs)
        if e.tensor in self.inlined:
            letters, body = self.inlined[e.tensor]
            settled = all(inside(s, r, ranges, self.positive) for s, r in zip(subs, self.program.dims[e.tensor], strict=True))
            if settled or body == ZERO or self._is_alias(e.tensor, letters, body):
                return subst_indices(body, dict(zip(letters, subs, strict=True)))
            raise Inlined(e.tensor)
        return Read(self.adjoint[e.tensor], subs)

    def _is_alias(self, name: str, letters: tuple[str, ...], body: Expr) -> bool:
        """Whether the gradient is another tensor of the same extent, which is 0 outside in the same places."""
        plain = isinstance(body, Read) and body == tensor(body.tensor, *letters)
        return plain and isinstance(body, Read) and self.axes(body.tensor) == self.program.hulls[name]

    def _own_range(
        self, e: Equation, values: dict[str, Int], solved: dict[str, Int], rename: dict[str, Int], ranges: Ranges, ranges_of_targets: Ranges
    ) -> Iterator[Expr]:
        """The ranges of the indices that were eliminated, and the base cases that the general equation leaves out."""
        for index in e.ranges:
            name = rename[index].name or index
            if name in solved:
                r, target = ranges[name], ranges_of_targets.get(str(solved[name].name))
                if solved[name].name is not None and target is not None and target.subst(self.same) == r.subst(self.same):
                    continue  # the target runs over the same range
                yield from between(r, solved[name])
        yield from where_it_rules(self.program, e, values, self.positive)

    def _protect(self, term: Term, e: Equation, at: dict[str, Int], ranges: Ranges) -> Term:
        """A read outside a reduction counts as 0 where it is out of range; inside the new sum the position would be dropped.

        So such a read, unless a zero of it makes the term vanish anyway, gets a name, whose elements are in range. Where the
        equation may be infinite, what chooses stays a choice: the seed may be no number where it is not chosen.
        """
        if not term.indices:
            return term
        term = settle_divisions(term, ranges, self)  # where a read is in range once it is known what a quotient is
        itself = subst_indices(e.element, at)  # the equation's own value is in range wherever its seed is
        order = list(ranges)
        axes = dict.fromkeys(s for i in e.indices for s in sorted(at[i].symbols() & ranges.keys(), key=order.index))
        ranges = {i: ranges[i] for i in dict.fromkeys([*axes, *order])}
        plain = {f for f in factors(term.body) if isinstance(f, Read) and not any(s.elements() for s in f.subs)} | {itself}

        def shield(node: Expr) -> Expr:
            exposed = node if isinstance(node, Read | IntValue) else node.args[0] if isinstance(node, Op) and node.op == "where" else None
            if exposed is not None and node not in plain and self._may_leave(exposed, ranges):
                return self.auxiliary.value(node, e, ranges)
            return map_children(shield, node)

        wheres = [f for f in factors(term.body) if isinstance(f, Op) and f.op == "where" and _chosen(f) != ONE]
        choices = [f for f in wheres if e.tensor in self.unbounded and self._may_leave(f.args[0], ranges)]
        named = dict.fromkeys(self.auxiliary.value(_chosen(f), e, ranges) for f in choices)
        rest = [f.args[1] if f in choices and is_where(f, ZERO) else f for f in factors(term.body)]
        body = shield(product(rest) if choices else term.body)
        return Term(term.indices, (*term.conditions, *(Op("==", (chosen, ONE)) for chosen in named)), body, term.spare)

    def _may_leave(self, e: Expr, ranges: Ranges) -> bool:
        """Whether some read of a forward tensor in e may be out of range."""
        forward = ((name, subs) for name, subs in accesses(e) if name not in self.tensor_of and name not in self.outputs_of_seeds)
        return any(readable(self._hull(name), subs, ranges, self.positive, same=self.same) for name, subs in forward)

    def _hull(self, name: str) -> tuple[Range, ...]:
        return self.program.hulls.get(name) or self.shapes.get(name, ())

    # -- what the laws ask -----------------------------------------------------------------------------------------
    @property
    def known(self) -> Program:
        """The forward program: what it says by name needs no other words."""
        return self.program

    @property
    def unbounded(self) -> frozenset[str]:
        return infinite(self.auxiliary.equations, self.program.unbounded)

    def axes(self, name: str) -> tuple[Range, ...] | None:
        """The readable range of any tensor, seeds and gradients included; None where it is not known yet."""
        if name in self.program.hulls:
            return self.program.hulls[name]
        if name in self.outputs_of_seeds:
            return tuple(Range.upto(r.size) for r in self.program.dims[self.outputs_of_seeds[name]])
        source = self.tensor_of.get(name)
        return self.program.hulls[source] if source is not None else None

    def defined(self, name: str) -> tuple[Equation, ...]:
        """The equations of a tensor, of a gradient too where it is known already; what is in a cycle never is."""
        if self.tensor_of.get(name) in self.program.components:
            return ()
        return self.program.definitions.get(name) or tuple(self.found.get(name, ()))

    @cached_property
    def outputs_of_seeds(self) -> dict[str, str]:
        return {seed: y for y, seed in self.seeds.items()}

    @cached_property
    def tensor_of(self) -> dict[str, str]:
        """The name of a gradient -> the tensor that it is the gradient of; asked only once all gradients have names."""
        return {adjoint: t for t, adjoint in self.adjoint.items()}

    def sums(self, heads: Collection[str]) -> Iterator[Equation]:
        """Sums that have a name, those of the program first; a gradient by which the others are given has it before them."""
        return chain(sums_of(self.program.sums, heads), sums_of(self.sums_found, heads))

    def needed(self, e: Expr) -> set[Expr]:
        """Conditions without which e is 0; what is not known yet, as what is in a cycle never is, may be anything."""
        return self.facts.needed(e)

    @cached_property
    def facts(self) -> Facts:
        """What the definitions say of values, those of gradients too as soon as they are known."""
        seeds = (Input(seed, tuple(r.size for r in self.program.dims[y])) for y, seed in self.seeds.items())
        return Facts(_Definitions(self), replace(self.program, inputs=(*self.program.inputs, *seeds)), self.program)

    def may_need_itself(self, name: str) -> bool:
        """Whether the order in which the elements of a gradient are computed rests on the data."""
        return self.tensor_of.get(name) in self._ordered_by_data

    @cached_property
    def _ordered_by_data(self) -> frozenset[str | None]:
        return frozenset(t for cycle in {*self.program.components.values()} if not is_ordered(self.program, cycle) for t in cycle)

    def is_letter(self, name: str) -> bool:
        """Whether a name can be an index letter."""
        return name not in self._roles and name not in self.tensor_of and name not in self.outputs_of_seeds and name not in self.shapes

    @cached_property
    def _roles(self) -> frozenset[str]:
        names = {i.name for i in self.program.inputs} | set(self.program.sizes) | {e.tensor for e in self.program.equations}
        return RESERVED | names


class _Definitions(Mapping[str, tuple[Equation, ...]]):
    """The equations of each tensor of a program, and of each gradient as far as it is known."""

    def __init__(self, rule: Rule):
        self.rule = rule

    def __getitem__(self, name: str) -> tuple[Equation, ...]:
        if found := self.rule.defined(name):
            return found
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for name in (*self.rule.program.definitions, *self.rule.found) if self.rule.defined(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _summands(body: Expr) -> Iterator[tuple[Expr, tuple[str, ...], Expr, str]]:
    """The parts of a right-hand side in normal form: (coefficient, bound indices, scalar expression, reduction)."""
    if isinstance(body, Reduce) and body.op != "sum":
        yield ONE, body.indices, body.body, body.op
        return
    plain: list[Expr] = []
    for sign, term in additive_terms(body):
        parts = factors(term)
        sums = [f for f in parts if isinstance(f, Reduce)]
        if sums:
            others = [f for f in parts if f is not sums[0]]
            yield product([num(sign), *others]), sums[0].indices, sums[0].body, "sum"
        else:
            plain.append(term if sign > 0 else product([num(-1), *parts]))
    if plain:
        yield ONE, (), add(plain), "sum"


def _chosen(f: Expr) -> Expr:
    """1 where a factor chooses something else than 0, else 0."""
    if isinstance(f, Op) and f.op == "where":
        yes, no = map(_chosen, f.args[1:])
        return yes if yes == no else where(f.args[0], yes, no)
    return ZERO if f == ZERO else ONE
