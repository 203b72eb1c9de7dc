"""A program -> the program of its gradients, by the one rule (`rule`): which tensors matter, what their gradients are called, and in
which order they stand.

The law that holds between the programs: for all v and w, ⟨J v, w⟩ = ⟨v, Jᵀ w⟩, with Jᵀ w what `differentiate` returns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from . import arguments
from .auxiliary import Auxiliary
from .bounds import inside
from .conditions import equalities
from .errors import DerivationError
from .expr import (
    INF,
    ONE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    free_symbols,
    has_reduction,
    is_where,
    neg,
    num,
    reads,
    reduces_or_chooses,
    tensor,
)
from .fresh import Fresh
from .graph import components, reach
from .integer import Int
from .laws_of_sums import divided_by, never_zero
from .normal import normalise
from .polynomial import additive_terms, factors, guarded_factors, is_reciprocal, product
from .program import Equation, Input, Program, Range, Ranges, add_sum, edges_of, rename_tensors
from .rule import Inlined, Rule
from .shares import Shares
from .simplify import Term, collect
from .sizes import equal_sizes
from .within import positive_names


@dataclass(frozen=True)
class Gradients:
    """A gradient program, and how it hangs together with the forward one."""

    forward: Program  # in normal form
    backward: Program
    names: dict[str, str] = field(hash=False)  # real input -> name of its gradient
    seeds: dict[str, str] = field(hash=False)  # output -> name of its seed; a sole scalar output has none
    adjoints: dict[str, str] = field(default_factory=dict, hash=False)  # tensor -> name of its gradient, if that has equations


def differentiate(program: Program, wrt: Sequence[str] | None = None) -> Gradients:
    """dA[a] = Σ dY[i] · ∂e/∂A[α(i, r)] over all i and r with α(i, r) = a, for the real inputs A, or for those that `wrt` names.

    Each output that is not the only, scalar one gets a seed, an input "d" + its name; each gradient is named likewise. A name
    that is taken in the interface is followed by a number.
    """
    return Reverse(program, wrt).run()


class Reverse(Rule):
    """The state of one reverse pass over a program in normal form."""

    def __init__(self, program: Program, wrt: Sequence[str] | None, record: bool = False, named: frozenset[str] = frozenset()):
        self.start = (program, wrt, record)
        self.named = named  # tensors whose gradients get a name although they are trivial
        self.history, self.trace = {} if record else None, None
        self.wrt = _checked(program, wrt)
        self.program = normalise(program)
        self.positive = positive_names(program)
        self.same = equal_sizes(program, program.sizes)
        self.fresh = Fresh(self.program.names | {"d"})
        self.outputs = self.program.outputs
        self.active = self._active()
        self.adjoint, self.inlined, self.found, self.sums_found, self.shapes = {}, {}, {}, {}, {}
        self.totals, self.symmetries = {}, {}
        self.new: list[Equation] = []
        self.auxiliary = Auxiliary(self.program, self.fresh, self.shapes)
        self.shares = Shares(self.program)
        self.now = ""

    # -- what matters ------------------------------------------------------------------------------------------------
    def _active(self) -> set[str]:
        """Tensors that depend on wrt and on which an output depends."""
        users: dict[str, set[str]] = {}
        for e in self.program.equations:
            for r in reads(e.body):
                users.setdefault(r.tensor, set()).add(e.tensor)
        depends: set[str] = reach(set(self.wrt), users)
        sources = {t: {r.tensor for e in es for r in reads(e.body)} for t, es in self.program.definitions.items()}
        needed: set[str] = reach(set(self.outputs), sources)
        return depends & needed

    # -- the program -------------------------------------------------------------------------------------------------
    def run(self) -> Gradients:
        """The pass, from the start again wherever a gradient turns out to need a name: so it has one in all places or in none."""
        try:
            return self._run()
        except Inlined as needed:
            start, named = self.start, self.named | {str(needed)}
            self.__dict__.clear()
            Reverse.__init__(self, *start, named)
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
        needed = reach(set(self.gradient.values()), edges_of(equations))
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
        self.now = self.adjoint[name]
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
        self.now = ""  # the steps explain the general case
        body, ranges = collect(self._seed_terms(name, list(subs)), own, self, self._all_contributions(name, list(subs), own))
        self._add(Equation(self.adjoint[name], subs, body, ranges))

    def _emit(self, name: str, letters: list[str], dims: Ranges, seeds: list[Term], terms: list[Term], alone: bool) -> None:
        body, ranges = collect(seeds, dims, self, terms)
        if self.shares.by_pair:
            body = self._mean_apart(name, self.shares.in_lowest_terms(body), ranges)
        known = _is_trivial(body) or self._will_cancel(name, letters, body) or self.shares.is_share(tensor(name, *letters), body)
        known = known or self.shares.sums_up(name, body, dims, self) or _is_place(body, letters) or self._is_masked(name, body)
        if alone and name not in self.gradient and name not in self.named and known:
            self.inlined[name] = (tuple(letters), body)
            return
        self._add(e := Equation(self.adjoint[name], tuple(map(Int.symbol, letters)), body, ranges))
        self.shapes[self.adjoint[name]] = self.program.dims[name]
        if alone:
            add_sum(self.sums_found, e)

    def _add(self, e: Equation) -> None:
        self.new.append(e)
        self.found.setdefault(e.tensor, []).append(e)

    def _is_masked(self, name: str, body: Expr) -> bool:
        """Whether a name was made for where(c, S, −∞): what a person names is dS, behind the mask."""
        d = self.program.whole(name)
        made = d is not None and name not in self.start[0].names and not has_reduction(body)
        return made and d is not None and is_where(d.body, neg(INF)) and isinstance(d.body.args[1], Read)

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


def _is_place(body: Expr, letters: Collection[str]) -> bool:
    """What stands at one place of each row, and 0 elsewhere: where(i = j, 1/N, 0), as in the gradient of what is on a diagonal, or of
    what a label chooses, where(y[n] = c, w[n], 0)."""
    conditions, parts = guarded_factors(body)
    places = [[a.name for a, _ in equalities(c) if a.name in letters] for c in conditions]
    read = {s for f in parts for s in free_symbols(f)}
    return bool(places) and all(any(i not in read for i in found) for found in places) and not any(map(reduces_or_chooses, parts))


def _is_trivial(body: Expr) -> bool:
    """Worth no name: a number, a read or what is divided by one, with a sign or a tensor-free factor."""
    parts = factors(body)
    if reduces_or_chooses(body):
        return False
    plain = [f.args[1] if is_reciprocal(f) else f for f in parts]
    plain = [f.args[0] if isinstance(f, Op) and f.op == "**" and isinstance(f.args[1], Num) else f for f in plain]
    return len(reads(body)) <= 1 and all(isinstance(f, Read | Num | IntValue) or not reads(f) for f in plain)
