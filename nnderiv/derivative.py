"""The one rule: a program -> the program of its gradients.

Forward, an equation says Y[i] = Σ_r e(i, r), and e reads A[α(i, r)]. Then

    dA[a]  +=  Σ over (i, r) with α(i, r) = a  of  dY[i] · ∂e/∂A[α(i, r)]

`contribution` is that line: differentiate (`scalar`), solve α(i, r) = a (`solve`), keep as conditions what the remaining reads do
not imply (`terms`). All else here is bookkeeping: which tensors matter, what their gradients are called, in which order they stand.
The law that holds between the programs: for all v and w, ⟨J v, w⟩ = ⟨v, Jᵀ w⟩, with Jᵀ w what `differentiate` returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from . import arguments
from .auxiliary import Auxiliary
from .bounds import inside
from .cases import where_it_rules
from .conditions import between
from .errors import DerivationError
from .expr import (
    ONE,
    TRUE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    additive_terms,
    compare,
    conjunction,
    considered,
    factors,
    guarded_factors,
    has_reduction,
    is_reciprocal,
    map_children,
    num,
    occurrences,
    own_reads,
    product,
    reads,
    reduces_or_chooses,
    subst_indices,
    tensor,
    where,
)
from .fresh import Fresh
from .graph import components, reach
from .integer import Int
from .laws_of_conditions import settle_divisions
from .laws_of_sums import divided_by, never_zero
from .normal import normalise
from .program import Equation, Input, Program, Range, Ranges, infinite, rename_tensors
from .ranges import accesses
from .scalar import partial
from .shares import Shares
from .simplify import Term, collect, simplify
from .solve import solve
from .within import positive_names, readable


@dataclass(frozen=True)
class Gradients:
    """A gradient program, and how it hangs together with the forward one."""

    forward: Program  # in normal form
    backward: Program
    names: dict[str, str] = field(hash=False)  # real input -> name of its gradient
    seeds: dict[str, str] = field(hash=False)  # output -> name of its seed; a sole scalar output has none
    adjoints: dict[str, str] = field(default_factory=dict, hash=False)  # tensor -> name of its gradient, if that has equations


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


def differentiate(program: Program, wrt: Sequence[str] | None = None) -> Gradients:
    """dA[a] = Σ dY[i] · ∂e/∂A[α(i, r)] over all i and r with α(i, r) = a, for the real inputs A, or for those that `wrt` names.

    Each output that is not the only, scalar one gets a seed, an input "d" + its name; each gradient is named likewise. A name
    that is taken in the interface is followed by a number.
    """
    return _Reverse(program, wrt).run()


class _Inlined(Exception):
    """A gradient was put in where it is read, and then a place came up where it needs a name."""


class _Reverse:
    """The state of one reverse pass over a program in normal form."""

    def __init__(self, program: Program, wrt: Sequence[str] | None, record: bool = False, named: frozenset[str] = frozenset()):
        self.start = (program, wrt, record)
        self.named = named  # tensors whose gradients get a name although they are trivial
        self.history: dict[str, list[Origin]] | None = {} if record else None  # gradient -> where its terms come from
        self.trace: list[tuple[str, Term | None]] | None = None
        self.wrt = _checked(program, wrt)
        self.program = normalise(program)
        self.positive = positive_names(program)
        self.fresh = Fresh(self.program.names | {"d"})
        self.outputs = self.program.outputs
        self.active = self._active()
        self.adjoint: dict[str, str] = {}  # tensor -> name of its gradient
        self.inlined: dict[str, tuple[tuple[str, ...], Expr]] = {}
        self.new: list[Equation] = []
        self.found: dict[str, list[Equation]] = {}  # gradient -> its equations so far
        self.totals: dict[tuple[str, int], tuple[Reduce, Expr] | None] = {}
        self.symmetries: dict[str, tuple[tuple[int, int], ...]] = {}
        self.shapes: dict[str, tuple[Range, ...]] = {}
        self.auxiliary = Auxiliary(self.program, self.fresh, self.shapes)
        self.shares = Shares(self.program)
        self._now = ""

    # -- what matters ------------------------------------------------------------------------------------------------
    def _active(self) -> set[str]:
        """Tensors that depend on wrt and on which an output depends."""
        users: dict[str, set[str]] = {}
        for e in self.program.equations:
            for r in reads(e.body):
                users.setdefault(r.tensor, set()).add(e.tensor)
        depends = reach(set(self.wrt), users)
        sources = {t: {r.tensor for e in es for r in reads(e.body)} for t, es in self.program.definitions.items()}
        return depends & reach(set(self.outputs), sources)

    # -- the program -------------------------------------------------------------------------------------------------
    def run(self) -> Gradients:
        """The pass, from the start again wherever a gradient turns out to need a name: so it has one in all places or in none."""
        try:
            return self._run()
        except _Inlined as needed:
            start, named = self.start, self.named | {str(needed)}
            self.__dict__.clear()
            _Reverse.__init__(self, *start, named)
            return self.run()

    def _run(self) -> Gradients:
        self._name_interface()
        order = [t for component in self._reverse_order() for t in component]
        # Names first: in a cycle, gradients refer to each other.
        for t in order:
            if t not in self.adjoint:
                self.adjoint[t] = self.fresh(f"d{t}_total" if t in self.seeds else f"d{t}")
        for component in self._reverse_order():
            for t in component:
                self._accumulate(t, alone=len(component) == 1 and t not in self.program.components)
        for name in self.wrt:
            if name not in self.active:
                self._zero(name)
        return self._assemble()

    def _name_interface(self) -> None:
        """Seeds and gradients are part of the interface: only another input can take their names; inner tensors give way."""
        taken = Fresh({i.name for i in self.program.inputs} | set(self.program.sizes) | self._all_indices())
        sole = len(self.outputs) == 1 and not self.program.shapes[self.outputs[0]]
        seeds = {} if sole else {y: taken(f"d{y}") for y in self.outputs}
        self.public_seeds = dict(seeds)
        self.gradient = {x: taken(f"d{x}") for x in self.wrt}
        clashing = {*seeds.values(), *self.gradient.values()} & {e.tensor for e in self.program.equations}
        if clashing:
            renaming = {n: self.fresh(f"{n}_") for n in sorted(clashing)}
            self.program = rename_tensors(self.program, renaming)
            self.outputs = self.program.outputs
            self.active = {renaming.get(n, n) for n in self.active}
            self.auxiliary = Auxiliary(self.program, self.fresh, self.shapes)
            self.shares = Shares(self.program)
            seeds = {renaming.get(y, y): s for y, s in seeds.items()}
        self.fresh.taken |= {*seeds.values(), *self.gradient.values()}
        self.seeds = seeds
        for name in self.wrt:
            self.adjoint[name] = self.gradient[name]

    def _all_indices(self) -> set[str]:
        return {i for e in self.program.equations for i in e.ranges}

    def _reverse_order(self) -> list[list[str]]:
        """Components of active tensors, each after everything that reads it."""
        users: dict[str, set[str]] = {t: set() for t in self.active}
        for e in self.program.equations:
            for r in reads(e.body):
                if r.tensor in users and e.tensor in self.active:
                    users[r.tensor].add(e.tensor)
        names = [i.name for i in self.program.inputs if i.name in users] + list(dict.fromkeys(
            e.tensor for e in self.program.equations if e.tensor in users))
        return components({n: users[n] for n in names})

    def _assemble(self) -> Gradients:
        seed_inputs = tuple(
            Input(name, tuple(r.size for r in self._array_dims(y))) for y, name in self.seeds.items()
        )
        equations = [*self.program.equations, *self.auxiliary.equations, *self.new]
        needed = reach(set(self.gradient.values()), _sources(equations))
        kept = tuple(e for e in equations if e.tensor in needed)
        shapes = {**self.program.shapes, **self.shapes}
        backward = Program(
            (*self.program.inputs, *seed_inputs), tuple(self.gradient[x] for x in self.wrt), kept,
            {e.tensor: shapes[e.tensor] for e in kept}, self.program.givens, self.program.requirements,
            f"gradients of {self.program.title}" if self.program.title else "",
        )
        return Gradients(self.program, backward, dict(self.gradient), self.public_seeds, dict(self.adjoint))

    def _array_dims(self, y: str) -> tuple[Range, ...]:
        return self.program.dims[y]

    def _zero(self, name: str) -> None:
        """An input on which no output depends has the gradient 0, and says so."""
        dims = self.program.dims[name]
        letters = self._letters(name)
        self._add(Equation(self.gradient[name], tuple(map(Int.symbol, letters)), ZERO, dict(zip(letters, dims, strict=True)),
                           frozenset(letters)))
        self.shapes[self.gradient[name]] = dims

    # -- one tensor --------------------------------------------------------------------------------------------------
    def _accumulate(self, name: str, alone: bool) -> None:
        """dA: the seed if A is an output, and the contributions of every place that reads A."""
        letters = self._letters(name)
        definitions = self.program.definitions.get(name, ())
        bases = [e for e in definitions if e.is_base and self._is_outside(e) and reads(e.body)]
        dims = self._behind(bases, dict(zip(letters, self.program.dims[name], strict=True)))
        targets = [Int.symbol(a) for a in letters]
        self._now = self.adjoint[name]
        self._emit(name, letters, dims, self._seed_terms(name, targets), self._all_contributions(name, targets, dims), alone)
        for base in bases:
            self._accumulate_base(name, base, letters)

    def _all_contributions(self, name: str, targets: list[Int], dims: Ranges) -> list[Term]:
        return [t for e in self.readers.get(name, ()) if e.tensor in self.active for t in self.contributions(e, name, targets, dims)]

    @cached_property
    def readers(self) -> dict[str, list[Equation]]:
        """The equations that read each tensor, in the order of the program."""
        found: dict[str, list[Equation]] = {}
        for e in self.program.equations:
            for name in dict.fromkeys(r.tensor for r in reads(e.body)):
                found.setdefault(name, []).append(e)
        return found

    def _seed_terms(self, name: str, targets: list[Int]) -> list[Term]:
        if name not in self.outputs:
            return []
        return [Term({}, (), tensor(self.seeds[name], *self._shifted(name, targets)) if name in self.seeds else ONE)]

    def _shifted(self, name: str, targets: list[Int]) -> list[Int]:
        """A seed is an array from 0; its tensor's first index may be another one."""
        return [a - r.lo for a, r in zip(targets, self._array_dims(name), strict=True)]

    def _is_outside(self, base: Equation) -> bool:
        """Whether some place of a base case lies outside its tensor's dimensions, as h[-1] does, and row 0 where the others begin at 1."""
        dims = self.program.dims[base.tensor]
        return any(not inside(s, r, base.ranges, self.positive) for s, r in zip(base.subs, dims, strict=True))

    def _behind(self, bases: list[Equation], dims: Ranges) -> Ranges:
        """What is left of the dimensions behind the lines at their beginnings that have an equation of their own."""
        for k, (a, r) in enumerate(dims.items()):
            others = [x for x in dims if x != a]
            lines = [b.subs[k] for b in bases if len(b.indices) == len(others)
                     and all(b.ranges.get(i) == dims[x] for i, x in zip(b.indices, others, strict=True))]
            while r.lo in lines:
                r = Range(r.lo + 1, r.hi)
            dims = {**dims, a: r}
        return dims

    def _accumulate_base(self, name: str, base: Equation, letters: list[str]) -> None:
        """The gradient of a base case outside the dimensions: the contributions to A at that very place.

        The seed too: a place like Y[1] lies outside only where the dimension is short, and there the seed reads as 0.
        """
        at = {a: s for a, s in zip(letters, base.subs, strict=True) if s.name not in base.ranges}
        own = {a: base.ranges[str(s.name)] for a, s in zip(letters, base.subs, strict=True) if a not in at}
        subs = tuple(at.get(a, Int.symbol(a)) for a in letters)
        self._now = ""  # the steps explain the general case
        body, ranges = collect(self._seed_terms(name, list(subs)), own, self, self._all_contributions(name, list(subs), own))
        self._add(Equation(self.adjoint[name], subs, body, ranges))

    def _emit(self, name: str, letters: list[str], dims: Ranges, seeds: list[Term], terms: list[Term], alone: bool) -> None:
        body, ranges = collect(seeds, dims, self, terms)
        if self.shares.by_pair:
            body = self._mean_apart(name, self.shares.in_lowest_terms(body), ranges)
        known = _is_trivial(body) or self._will_cancel(name, letters, body) or self.shares.is_share(tensor(name, *letters), body)
        known = known or self.shares.sums_up(name, body, dims, self)
        if alone and name not in self.gradient and name not in self.named and known:
            self.inlined[name] = (tuple(letters), body)
            return
        self._add(Equation(self.adjoint[name], tuple(map(Int.symbol, letters)), body, ranges))
        self.shapes[self.adjoint[name]] = self.program.dims[name]

    def _add(self, e: Equation) -> None:
        self.new.append(e)
        self.found.setdefault(e.tensor, []).append(e)

    def defined(self, name: str) -> tuple[Equation, ...]:
        """The equations of a tensor, of a gradient too where it is known already; what is in a cycle never is."""
        if self.tensor_of.get(name) in self.program.components:
            return ()
        return self.program.definitions.get(name) or tuple(self.found.get(name, ()))

    def _will_cancel(self, name: str, letters: list[str], body: Expr) -> bool:
        """Whether dP divides by what its derivative multiplies by again.

        By P for P = exp(z), by P or 1 − P for σ(z), by 1 ± P or 1 − P² for tanh(z).
        """
        definitions = self.program.definitions.get(name, ())
        if len(definitions) != 1 or has_reduction(body):
            return False
        p = tensor(name, *letters)
        both = ONE - Op("**", (p, num(2)))
        divisors = [x for x in (p, ONE - p, both) if never_zero(x, self)]
        divisors += [ONE + p] if both in divisors else []
        if not divisors:
            return False

        def divides(e: Expr) -> bool:
            _, parts = guarded_factors(e)
            sums = [terms for f in parts if len(terms := additive_terms(f)) > 1]
            own = any(x in divisors for f in parts if isinstance(f, Op) for x in divided_by(f))
            return own or any(all(divides(t) for _, t in terms) for terms in sums)

        return divides(body)

    def _mean_apart(self, name: str, body: Expr, ranges: Ranges) -> Expr:
        """−Σ_k dP·P − c as −h − c, with a name for the sum, where log P has the gradient c·P: c changes nothing, as Σ_k c·P is c.

        So for Σ p log p: dS = p·(dP − h) and not p·(dP + dlse + c) with dlse = −h − c.
        """
        terms = additive_terms(body)
        sums = [t for t in terms if has_reduction(t[1])]
        if len(sums) != 1 or len(terms) == 1 or not self.shares.has_score(name, self.inlined):
            return body
        ((sign, total),) = sums
        (d,) = self.program.definitions[name]
        share, parts = next(p.tensor for (_, lse), p in self.shares.by_pair.items() if lse == name), factors(total)
        body = product([f for f in parts if isinstance(f, Reduce)])
        mean = self.auxiliary.add(f"{share}_mean", d.subs, body, ranges, self.program.dims[name])
        self.shares.summed.add(name)
        named = product([num(sign), *(Read(mean, d.subs) if isinstance(f, Reduce) else f for f in parts)])
        return add([named, *(num(s) * t for s, t in terms if t is not total)])

    def _letters(self, name: str) -> list[str]:
        """Index names for the axes of a tensor: those of its definition, or of its first plain read."""
        equations = [e for e in self.program.definitions.get(name, ()) if not e.is_base]
        if equations:
            return list(equations[0].indices)
        best: list[str | None] = [None] * len(self.program.dims[name])
        for e in self.readers.get(name, ()):
            for r in reads(e.body):
                if r.tensor == name:
                    for k, s in enumerate(r.subs):
                        if best[k] is None and s.name in e.ranges and s.name not in best:
                            best[k] = s.name
        spare = (c for c in "abcdefghijklmnopqrstuvwxyz" if c not in self.program.names and c not in best)
        spare_names = [b if b is not None else next(spare, None) for b in best]
        return [b if b is not None else self.fresh(f"a{k}") for k, b in enumerate(spare_names)]

    # -- the rule ----------------------------------------------------------------------------------------------------
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
            """t as products, where something in a sum that is a factor may be read outside."""
            parts = factors(t)
            k = next((k for k, f in enumerate(parts) if any(leaves(x) for _, x in additive_terms(f)) and not leaves(f)), None)
            return [t] if k is None else [product([*parts[:k], num(s), *factors(x), *parts[k + 1 :]]) for s, x in additive_terms(parts[k])]

        terms = [u for s, t in additive_terms(summand) if read in reads(t) for u in opened(product([num(s), *factors(t)]))]
        leaving = [t for t in terms if leaves(t)]
        rest = [t for t in terms if t not in leaving]
        return [*leaving, add(rest)] if leaving and rest else [summand]

    def contribution(
        self, e: Equation, coefficient: Expr, indices: tuple[str, ...], summand: Expr, op: str, read: Read, targets: list[Int],
        dims: Ranges,
    ) -> list[Term]:
        """The rule itself, for one read in one summand."""
        own = tensor(e.tensor, *e.subs) if summand == e.body and not e.is_base else None
        slope = self.shares.slope(e, read, own) or partial(summand, read, own)
        if slope == ZERO:
            return []
        weight, e = self._weight(e, op, summand, indices)
        others = [r for r in own_reads(summand) if r != (read.tensor, read.subs)] if indices else []
        needs = [c for n, s in others for c in readable(self.program.hulls[n], s, e.ranges, self.positive)]
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
            self.history.setdefault(self._now, []).append(origin)
        self.trace = None

    def _raw_weight(self, e: Equation, op: str, summand: Expr, indices: tuple[str, ...]) -> Expr:
        """The weight before it is called by a name that the program has for it."""
        return Op("exp", (summand - tensor(e.tensor, *e.subs),)) if op == "logsumexp" else self._weight(e, op, summand, indices)[0]

    def _weight(self, e: Equation, op: str, summand: Expr, indices: tuple[str, ...]) -> tuple[Expr, Equation]:
        """What the derivative of the reduction puts before ∂e/∂A: 1 for a sum, exp(e − Y) for a logsumexp, [e = Y]/ties for a maximum."""
        if op == "sum":
            return ONE, e
        y = tensor(e.tensor, *e.subs)
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
            raise _Inlined(e.tensor)
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
                r = ranges[name]
                if solved[name].name is not None and ranges_of_targets.get(str(solved[name].name)) == r:
                    continue  # the target runs over the same range
                yield from between(r, solved[name])
        yield from where_it_rules(self.program, e, values, self.positive)

    def _protect(self, term: Term, e: Equation, at: dict[str, Int], ranges: Ranges) -> Term:
        """A read outside a reduction counts as 0 where it is out of range; inside the new sum the position would be dropped.

        So such a read, unless a zero of it makes the term vanish anyway, gets a name, whose elements are in range.
        """
        if not term.indices:
            return term
        term = settle_divisions(term, ranges, self)  # where a read is in range once it is known what a quotient is
        itself = subst_indices(tensor(e.tensor, *e.subs), at)  # the equation's own value is in range wherever its seed is
        order = list(ranges)
        axes = dict.fromkeys(s for i in e.indices for s in sorted(at[i].symbols() & ranges.keys(), key=order.index))
        ranges = {i: ranges[i] for i in dict.fromkeys([*axes, *order])}
        plain = {f for f in factors(term.body) if isinstance(f, Read) and not any(s.elements() for s in f.subs)} | {itself}

        def shield(node: Expr) -> Expr:
            exposed = node if isinstance(node, Read | IntValue) else node.args[0] if isinstance(node, Op) and node.op == "where" else None
            if exposed is not None and node not in plain and self._may_leave(exposed, ranges):
                return self.auxiliary.value(node, e, ranges)
            return map_children(shield, node)

        return Term(term.indices, term.conditions, shield(term.body), term.spare)

    def _may_leave(self, e: Expr, ranges: Ranges) -> bool:
        """Whether some read of a forward tensor in e may be out of range."""
        forward = ((name, subs) for name, subs in accesses(e) if name not in self.tensor_of and name not in self.outputs_of_seeds)
        return any(readable(self._hull(name), subs, ranges, self.positive) for name, subs in forward)

    def _hull(self, name: str) -> tuple[Range, ...]:
        return self.program.hulls.get(name) or self.shapes.get(name, ())

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

    @cached_property
    def outputs_of_seeds(self) -> dict[str, str]:
        return {seed: y for y, seed in self.seeds.items()}

    @cached_property
    def tensor_of(self) -> dict[str, str]:
        """The name of a gradient -> the tensor that it is the gradient of; asked only once all gradients have names."""
        return {adjoint: t for t, adjoint in self.adjoint.items()}

    def is_letter(self, name: str) -> bool:
        """Whether a name can be an index letter."""
        return name not in self._roles and name not in self.tensor_of and name not in self.outputs_of_seeds and name not in self.shapes

    @cached_property
    def _roles(self) -> frozenset[str]:
        return frozenset({i.name for i in self.program.inputs} | set(self.program.sizes) | {e.tensor for e in self.program.equations})


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


def _checked(program: Program, wrt: Sequence[str] | None) -> tuple[str, ...]:
    names = program.real_inputs if wrt is None else arguments.names("wrt", wrt, DerivationError)
    for n in names:
        if program.kinds.get(n) == "int":
            raise DerivationError(f"{n} is an integer input: nothing can be differentiated by it.")
        if n not in program.kinds:
            raise DerivationError(f"{n} is not an input of this program; its real inputs are {', '.join(program.real_inputs)}.")
    if not names and wrt is not None:
        raise DerivationError(f"wrt names no input; leave it out for all of them: {', '.join(program.real_inputs)}.")
    if not names:
        raise DerivationError("The program has no real input to differentiate by.")
    return tuple(dict.fromkeys(names))


def _sources(equations: Sequence[Equation]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for e in equations:
        found.setdefault(e.tensor, set()).update(e.reads)
    return found


def _is_trivial(body: Expr) -> bool:
    """Worth no name: a number, a read or what is divided by one, with a sign or a tensor-free factor."""
    parts = factors(body)
    if reduces_or_chooses(body):
        return False
    plain = [f.args[1] if isinstance(f, Op) and is_reciprocal(f) else f for f in parts]
    plain = [f.args[0] if isinstance(f, Op) and f.op == "**" and isinstance(f.args[1], Num) else f for f in plain]
    return len(reads(body)) <= 1 and all(isinstance(f, Read | Num | IntValue) or not reads(f) for f in plain)
