"""`prove`: whether two programs, or two expressions, mean the same; the answer is a Proof, which says how it is known.

    proved      both sides have one canonical form (see `canonical`): equal for all sizes and inputs
    verified    equal at random sizes and inputs; with what probability a false identity would have passed, or to how many digits
    refuted     they differ, and here is where: the smallest sizes and the plainest numbers that were found, and both values
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isinf
from random import Random
from typing import TYPE_CHECKING, Any

from . import arguments
from .canonical import Builder, TooLarge
from .degree import chance, of_difference, plain
from .display import proof_latex, proof_markdown, proof_text
from .draw import draw_sizes, fill, flat, from_dict, holds, how_many, mode_of, sum_fact, to_dict, with_degrees
from .errors import CheckError, DefinitionError, EvaluationError, NotationError
from .evaluate import evaluate, shape_of
from .expr import Op, Reduce, reads, walk
from .fresh import Fresh
from .matching import same_totals
from .normal import normalise
from .numbers import DIGITS, agree, is_finite
from .numbers import shown as number
from .program import Program
from .sides import refuse_other_inputs, shown_side, sides
from .sizes import fits, small_sizes
from .within import positive_names

if TYPE_CHECKING:
    from .derivation import Gradient

TRIALS, TRIES, SMALLEST, LARGEST = 10, 60, 400, 3


def prove(
    lhs: Program | Gradient | str, rhs: Program | Gradient | str, given: str | Sequence[str] = (), *, where: str | Program = "",
    seed: int = 0, trials: int = TRIALS,
) -> Proof:
    """lhs = rhs for all sizes and inputs?

    Each side is a program (or its text, or a gradient), or an expression whose letters mean what `where` says, or the
    program on the other side: a signature, and definitions if there are any. given: facts about the inputs.

    >>> print(prove("sum[m](P[n,m]*dP[n,m])", "sum[d](O[n,d]*dO[n,d])", where='''
    ...     P[N,M], V[M,D], dO[N,D]
    ...     O[n,d]  = sum[m](P[n,m]*V[m,d])
    ...     dP[n,m] = sum[d](dO[n,d]*V[m,d])
    ... ''').verdict)
    proved
    >>> bool(prove("a[n] - b[n]", "b[n] - a[n]", where="a[N], b[N]"))
    False

    Raises `NotationError` for a text that does not parse or an expression without its `where`, `DerivationError` for sides that
    have different inputs or outputs, `CheckError` where no inputs can be drawn.
    """
    if not isinstance(where, str | Program):
        raise NotationError(f"where is {arguments.shown(where)}; expected a text or a Program.")
    seed, trials = arguments.whole("seed", seed, refusal=CheckError), arguments.whole("trials", trials, 1, CheckError)
    facts = [g for g in arguments.names("given", given, NotationError) if g]
    left, right = sides(lhs, rhs, where, facts)
    refuse_other_inputs(left, right)
    return _Prover(left, right, (shown_side(lhs, left), shown_side(rhs, right)), Random(seed), trials).run()


# -- the answer --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Counterexample:
    """Where two sides differ: sizes and inputs, an output and a place in it, and the two values (None where one has no such place)."""

    sizes: dict[str, int] = field(hash=False)
    inputs: dict[str, Any] = field(hash=False)
    output: str = ""
    at: tuple[int, ...] = ()
    left: Any = None
    right: Any = None


@dataclass(frozen=True)
class Proof:
    """What is known of an identity; true where it holds.

    verdict: "proved", "verified" or "refuted". trials: on how many random samples both sides were evaluated and found equal.
    probability: at most with what probability a false identity would have passed them at their sizes, where that can be said;
    digits: to how many digits the sides agree, where functions such as exp make them inexact.
    """

    verdict: str
    left: str
    right: str
    given: tuple[str, ...] = ()
    reason: str = ""
    trials: int = 0
    probability: Fraction | None = None
    digits: int | None = None
    counterexample: Counterexample | None = None
    sides: tuple[Program, Program] | None = None

    def __bool__(self) -> bool:
        return self.verdict != "refuted"

    def __str__(self) -> str:
        return proof_text(self)

    __repr__ = __str__

    def latex(self) -> str:
        """The identity in index form."""
        return proof_latex(self)

    def _repr_markdown_(self) -> str:
        return proof_markdown(self)


# -- the search for an answer ------------------------------------------------------------------------------------------------
class _Prover:
    def __init__(self, left: Program, right: Program, shown: tuple[str, str], rng: Random, trials: int):
        self.left, self.right, self.shown, self.rng, self.trials = left, right, shown, rng, trials
        self.pairs = [(left.outputs[0], right.outputs[0])] if len(left.outputs) == 1 else [(y, y) for y in left.outputs]
        self.requirements = tuple(dict.fromkeys([*left.requirements, *right.requirements]))
        self.both = replace(left, requirements=self.requirements)
        self.bound: Fraction | None = Fraction(1)
        self.exact = True

    def run(self) -> Proof:
        by_shape = self.shapes()
        if by_shape is not None:
            return by_shape
        for _ in range(self.trials):
            found = self.trial()
            if found is not None:
                return self.answer("refuted", self.difference(found), counterexample=found)
        if self.same_form():
            return self.answer("proved", "Definitions put in and sums multiplied out, both sides are the same up to the names of indices.",
                               trials=self.trials)
        if not self.exact:
            return self.answer("verified", self.where_it_was_equal(), trials=self.trials, digits=DIGITS - 10)
        return self.answer("verified", self.where_it_was_equal(), trials=self.trials, probability=self.bound)

    def answer(self, verdict: str, reason: str, **more: Any) -> Proof:
        given = tuple(str(g) for g in self.left.givens)
        return Proof(verdict, *self.shown, given, reason, sides=(self.left, self.right), **more)

    def where_it_was_equal(self) -> str:
        kinks = any(_has_kinks(p) for p in (self.left, self.right))
        return f"Both sides are equal at random sizes and numbers{', in the cases of their comparisons that these met' if kinks else ''}."

    # -- shapes ------------------------------------------------------------------------------------------------------
    def shapes(self) -> Proof | None:
        """A refutation where one side asks for equal sizes and the other does not, or where the shapes differ."""
        for side, name, other in ((self.right, "right", self.left), (self.left, "left", self.right)):
            for r in side.requirements:
                if r.op == "==" and r not in other.requirements:
                    sizes = self.sizes_at(other, lambda env, r=r: r.left.value(env) != r.right.value(env))
                    if sizes is not None:
                        return self.answer("refuted", f"The {name} side exists only where {r.left} = {r.right}: {r.reason}.",
                                           counterexample=Counterexample(sizes, {}))
        for a, b in self.pairs:
            mine, other_dims = self.left.dims[a], self.right.dims[b]
            shown = [_shape([str(r.size) for r in dims]) for dims in (mine, other_dims)]
            if len(mine) != len(other_dims):
                return self.answer("refuted", f"The left side is {shown[0]}, the right side is {shown[1]}.",
                                   counterexample=Counterexample({}, {}))
            sizes = self.sizes_at(self.both, lambda env: any(r.size.value(env) != s.size.value(env)
                                                             for r, s in zip(mine, other_dims, strict=True)))  # noqa: B023
            if sizes is not None:
                at = ", ".join(f"{n}={k}" for n, k in sizes.items())
                return self.answer("refuted", f"The left side is {shown[0]}, the right side is {shown[1]}; they differ at {at}.",
                                   counterexample=Counterexample(sizes, {}))
        return None

    def sizes_at(self, program: Program, holds_there: Any) -> dict[str, int] | None:
        """The smallest sizes that a program (and the facts about sizes) allows, where something holds."""
        for env in self.small(program):
            if holds_there(env) and fill(program, env, Random(0)) is not None:
                return env
        return None

    def small(self, program: Program) -> Iterator[dict[str, int]]:
        """Sizes from 1 and parameters from 0, the smallest first."""
        names = [*program.sizes, *program.parameters]
        choices = [range(1, 4) if n in program.sizes else range(4) for n in names]
        wishes = sorted(itertools.islice(itertools.product(*choices), 20_000), key=lambda w: (sum(w), w))
        seen = set()
        for wish in wishes[:SMALLEST]:
            env = small_sizes(program, dict(zip(names, wish, strict=True)).__getitem__)
            if env is not None and tuple(env.values()) not in seen:
                seen.add(tuple(env.values()))
                yield env

    # -- numbers -----------------------------------------------------------------------------------------------------
    def trial(self) -> Counterexample | None:
        """One random sample: None if both sides agree at it, else a counterexample, made as small as can be."""
        for attempt in range(TRIES):
            mode = mode_of(attempt, TRIES)
            sizes = draw_sizes(self.both, self.rng)
            if not fits(self.right, sizes):
                continue
            inputs = fill(self.both, sizes, self.rng, mode)
            values = None if inputs is None else self.values(with_degrees(self.left, inputs))
            if inputs is None or values is None:
                continue
            if self.agree(values, mode):
                return None
            found = self.counterexample(sizes, inputs)
            assert found is not None
            return self.smaller(found)
        raise CheckError("No random inputs were found at which both sides are finite and what is given holds.")

    def values(self, inputs: dict[str, Any]) -> list[tuple[Any, Any]] | None:
        """Outputs of both sides in pairs; None where one is not a finite number."""
        try:
            found = evaluate(self.left, inputs), evaluate(self.right, inputs)
        except (DefinitionError, EvaluationError, ZeroDivisionError):
            return None
        pairs = [(found[0][a], found[1][b]) for a, b in self.pairs]
        return pairs if all(is_finite(plain(x)) for pair in pairs for side in pair for x in flat(side)) else None

    def agree(self, pairs: list[tuple[Any, Any]], mode: str) -> bool:
        worst = 0.0
        for a, b in ((x, y) for p in pairs for x, y in zip(flat(p[0]), flat(p[1]), strict=True)):
            if not agree(plain(a), plain(b)):
                return False
            self.exact &= isinstance(plain(a), Fraction) and isinstance(plain(b), Fraction)
            worst = max(worst, chance(*of_difference(a, b), how_many(mode)))
        rejected = any(sum_fact(g, self.left) is None and reads(g) for g in self.left.givens)
        self.bound = None if self.bound is None or isinf(worst) or rejected else self.bound * Fraction(min(worst, 1.0))
        return True

    # -- counterexamples ---------------------------------------------------------------------------------------------
    def counterexample(self, sizes: dict[str, int], inputs: dict[str, Any]) -> Counterexample | None:
        """The first place at which the two sides differ, if there is one."""
        pairs = self.values(inputs)
        for (a, b), (output, _) in zip(pairs or [], self.pairs, strict=False):
            shape = shape_of(a)
            mine, other = to_dict(a, shape), to_dict(b, shape)
            for at in itertools.product(*map(range, shape)):
                if not agree(mine[at], other[at]):
                    return Counterexample(sizes, inputs, output, at, mine[at], other[at])
        return None

    def smaller(self, found: Counterexample) -> Counterexample:
        """The smallest sizes and small whole numbers at which the sides still differ, as many of them 0 and 1 as possible."""
        rng = Random(0)
        for sizes in self.small(self.both):
            if not fits(self.right, sizes) or sum(sizes.values()) > sum(found.sizes.values()):
                continue
            for top in (1, 2, 2, 3, 3):
                inputs = fill(self.both, sizes, rng, make=lambda top=top: Fraction(rng.randint(-1 if top > 1 else 0, top)))  # type: ignore[misc]
                one = None if inputs is None else self.counterexample(sizes, inputs)
                if one is not None:
                    return self.plainer(one)
        return self.plainer(found)

    def plainer(self, found: Counterexample) -> Counterexample:
        for name in self.left.real_inputs:
            shape = shape_of(found.inputs[name])
            for at in itertools.product(*map(range, shape)):
                for wish in (Fraction(0), Fraction(1), Fraction(2)):
                    values = to_dict(found.inputs[name], shape)
                    if values[at] == wish:
                        break
                    inputs = {**found.inputs, name: from_dict({**values, at: wish}, shape)}
                    one = self.counterexample(found.sizes, inputs) if all(holds(g, self.both, inputs) for g in self.both.givens) else None
                    if one is not None:
                        found = one
                        break
        return found

    def difference(self, found: Counterexample) -> str:
        """Where they differ and by what, in a sentence."""
        letters = self.left.definitions[found.output][-1].indices
        at = [f"{n}={k}" for n, k in found.sizes.items()]
        place = [f"{i}={k}" for i, k in zip(letters, found.at, strict=False)]
        output = f" of {found.output}" if len(self.pairs) > 1 else ""
        where = "; ".join(filter(None, [", ".join(at), ", ".join(place)]))
        return (f"The left side{output} is {number(found.left)} and the right side is {number(found.right)}"
                + (f" at {where}" if where else "") + (", with these inputs:" if found.inputs.keys() - found.sizes.keys() else "."))

    # -- canonical form ----------------------------------------------------------------------------------------------
    def same_form(self) -> bool:
        left, right = normalise(self.left), normalise(self.right)
        fresh = Fresh(left.names | right.names)
        shared = _shared(left, right)
        builders = [Builder(p, fresh, shared, side) for p, side in ((left, "left"), (right, "right"))]
        try:
            for a, b in self.pairs:
                letters = [fresh(i) for i in left.definitions[a][-1].indices]
                if len(letters) < len(left.dims[a]):
                    return False
                forms = [builder.output(name, letters) for builder, name in zip(builders, (a, b), strict=True)]
                if not same_totals(forms[0], forms[1], positive_names(self.both)):
                    return False
        except TooLarge:
            return False
        return True


def _shared(left: Program, right: Program) -> set[str]:
    """Tensors in recurrences that are defined in the same way on both sides, down to the inputs."""
    same = {n for n, es in left.definitions.items() if right.definitions.get(n) == es and right.hulls[n] == left.hulls[n]}
    while True:
        kept = {n for n in same if all(r in same or r in left.kinds for e in left.definitions[n] for r in e.reads)}
        if kept == same:
            return {n for n in kept if n in left.components}
        same = kept


def _has_kinks(program: Program) -> bool:
    """Whether a comparison of data decides what a program computes."""
    for node in (n for e in program.equations for n in walk(e.body)):
        if isinstance(node, Reduce) and node.op in ("max", "min"):
            return True
        if isinstance(node, Op) and (node.op in ("relu", "abs", "sign", "max", "min") or node.op == "where" and reads(node.args[0])):
            return True
    return False


def _shape(sizes: list[str]) -> str:
    if len(sizes) < 2:
        return f"a vector of {sizes[0]}" if sizes else "a number"
    return " × ".join(f"({s})" if " " in s else s for s in sizes)
