"""Steps are confirmed: both sides of each evaluated at random sizes and inputs, by the interpreter and from definitions alone.

    a plain right-hand side       element by element
    ∂e/∂A[α], not carried out     by dual numbers: A[α] + ε put in the place of A[α]
    [α = a], a Kronecker delta    and what follows: instead of all elements, their sum with random weights v[a]; then
    Σ_i dY[i] · ∂Y[i]/∂A[a]       is Σ_i dY[i] · (the slope of Y[i] where A is moved along v, all else held),
    dL/dA[a]                      is the slope of L where A is moved along v and everything follows.

Sides that are rational in the inputs are compared exactly. A step between two that differ would pass a trial with a probability
of at most degree/|S| (Schwartz–Zippel; S is what each input is drawn from; see `degree`), the weights counted as inputs. Where a
function such as exp makes numbers inexact, 40 of 50 digits must agree. A step that fails raises CheckError.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from math import isinf
from random import Random
from typing import Any

from .conditions import between
from .degree import Degree, chance, of_difference
from .degree import plain as value_of
from .draw import Sample, draw, flat, how_many, mapped, mode_of, nested, number, sum_fact, with_degrees, zipped
from .dual import Dual, Kink, slope
from .errors import CheckError, DefinitionError, EvaluationError, Unevaluated
from .evaluate import Run
from .expr import (
    ONE,
    ZERO,
    Expr,
    IntValue,
    Op,
    Read,
    Reduce,
    add,
    conjunction,
    conjuncts,
    free_symbols,
    map_children,
    neg,
    own_reads,
    reads,
    subst_indices,
    sums_among,
    walk,
    where,
)
from .expr import replace as replaced
from .integer import Int
from .meaning import fold
from .numbers import DIGITS, agree, combine, is_finite
from .polynomial import additive_terms, factors, guarded_factors, product
from .program import Equation, Input, Program, Range, Ranges
from .step import Ground, Step
from .within import positive_names, readable

TRIALS, TRIES, KINKS, LARGEST = 3, 40, 8, 3
EPS, MOVE = "\0eps", "\0move"
_INEXACT = ("exp", "log", "sqrt", "tanh", "sigmoid", "softplus", "gelu", "silu", "erf", "sin", "cos")


def confirm(ground: Ground, found: Sequence[Step]) -> tuple[Step, ...]:
    """The steps with their evidence; CheckError for one whose sides differ, or that cannot be evaluated."""
    return _Confirmation(ground, found, Random(0)).run() if found else ()


# -- sides -------------------------------------------------------------------------------------------------------------------
@dataclass
class _Side:
    """How one right-hand side is evaluated: tensors to be computed element by element, sums with weights, slopes, and L itself."""

    elements: str | None = None  # a tensor of the right-hand side's shape
    weighed: list[str] = field(default_factory=list)  # tensors of that shape, to be summed with the weights
    sums: list[str] = field(default_factory=list)  # numbers in which the weights are already
    loss: bool = False
    sign: int = 1


class _Confirmation:
    """All steps of one derivation, built into one program, so that what they share is evaluated once."""

    def __init__(self, ground: Ground, found: Sequence[Step], rng: Random):
        self.ground, self.found, self.rng = ground, found, rng
        self.positive = positive_names(ground.complete)
        self.equations: list[Equation] = []
        self.inputs: dict[str, tuple[Range, ...]] = {EPS: ()}
        self.slopes: dict[str, tuple[str, tuple[Range, ...]]] = {}  # input that holds slopes -> tensor of dual numbers, its ranges
        self.made: dict[Any, Any] = {}
        self.moved: dict[str, str] = {}  # tensor -> the tensor of its weights
        self.own: dict[str, list[Range]] = {}  # tensor -> the places that the equation of its gradient is about
        self.pairs = [self.pair(s) for s in found]
        extra = tuple(Input(name, tuple(r.size for r in axes)) for name, axes in self.inputs.items())
        extra += tuple(Input(name, tuple(r.size for r in axes)) for name, (_, axes) in self.slopes.items())
        self.wide = replace(ground.complete.with_equations([*ground.complete.equations, *self.equations]),
                            inputs=(*ground.complete.inputs, *extra), outputs=())
        self.rational = not any(isinstance(n, Op) and n.op in _INEXACT for e in self.wide.equations for n in walk(e.body))

    # -- building ----------------------------------------------------------------------------------------------------
    def pair(self, s: Step) -> tuple[_Side, _Side]:
        weighed = any(self.needs_weights(e) for e in (s.before, s.after))
        return self.side(s.before, weighed), self.side(s.after, weighed)

    def needs_weights(self, e: Equation) -> bool:
        """Whether a side holds a Kronecker delta, or a derivative of a whole tensor."""
        if any(isinstance(n, Op) and n.op in ("whole", "total") for n in walk(e.body)):
            return True
        conditions = [c for n in walk(e.body) if isinstance(n, Op) and n.op == "where" for c in conjuncts(n.args[0])]
        return any(self.delta(c, set(e.indices)) is not None for c in conditions)

    def delta(self, c: Expr, letters: set[str]) -> tuple[str, Int] | None:
        """(a, α) for a condition that says a = α of one of these letters."""
        if isinstance(c, Op) and c.op == "==" and isinstance(c.args[0], IntValue) and isinstance(c.args[1], IntValue):
            difference = c.args[0].value - c.args[1].value
            for a in sorted(letters):
                split = difference.split(a)
                if split is not None and split[0] in (Int.of(1), Int.of(-1)):
                    return a, -split[1] * split[0]
        return None

    def side(self, e: Equation, weighed: bool) -> _Side:
        key = (e.tensor, e.body, tuple(sorted(e.ranges)), weighed)
        if key not in self.made:
            self.made[key] = self.weighed_side(e) if weighed else _Side(elements=self.tensor(e, e.body))
        found: _Side = self.made[key]
        return found

    def tensor(self, e: Equation, body: Expr) -> str:
        """A tensor whose elements are those of an expression with the indices of e on its left."""
        name = f"\0t{len(self.equations)}"
        self.equations.append(replace(e, tensor=name, subs=tuple(map(Int.symbol, e.indices)), body=self.carried_out(body, e.ranges)))
        return name

    def weighed_side(self, e: Equation) -> _Side:
        """Σ_a v[a] · side[a], term by term."""
        side = _Side()
        plain: list[Expr] = []
        for sign, term in additive_terms(e.body):
            signed = term if sign > 0 else neg(term)
            if isinstance(term, Op) and term.op == "total":
                side.loss, side.sign = True, sign
                self.require_element(e, term, term.args[1])
            elif any(isinstance(n, Op) and n.op == "total" for n in walk(term)):
                raise CheckError(f"A step does not hold: the definition of {e.left} is the derivative of the loss, not {e.body}.")
            elif any(isinstance(n, Op) and n.op == "whole" for n in walk(term)):
                side.sums.append(self.passed_on(e, signed))
            elif (contracted := self.contracted(e, signed)) is not None:
                side.sums.append(contracted)
            else:
                plain.append(signed)
        if plain:
            self.weights(e)
            side.weighed.append(self.tensor(e, add(plain)))
        return side

    def weights(self, e: Equation) -> str:
        """The tensor v of weights for the elements of a gradient; 0 outside, wherever the tensor itself can be read, and at a base case
        of the gradient, which is no step's."""
        name = self.ground.tensor_of[e.tensor]
        if name not in self.moved:
            axes = self.ground.forward.dims[name]
            self.inputs[f"\0v_{name}"] = axes
            self.own[name] = [e.ranges[i] for i in e.indices]
            letters = [f"\0a{k}" for k in range(len(axes))]
            moved = f"\0m_{name}"
            subs = tuple(map(Int.symbol, letters))
            body = Read(f"\0v_{name}", tuple(Int.symbol(i) - r.lo for i, r in zip(letters, axes, strict=True)))
            self.equations.append(Equation(moved, subs, body, dict(zip(letters, axes, strict=True))))
            for base in self.ground.forward.definitions.get(name, ()):
                if base.is_base:
                    inner = {str(s.name): base.ranges[str(s.name)] for s in base.subs if s.name in base.ranges}
                    self.equations.append(Equation(moved, base.subs, self.inside(body, letters, base, axes), inner))
            self.moved[name] = moved
        return self.moved[name]

    def inside(self, body: Read, letters: Sequence[str], base: Equation, axes: Sequence[Range]) -> Expr:
        """The weight at a base case: v there if that place is one of the tensor's own, and 0 else."""
        at = dict(zip(letters, base.subs, strict=True))
        holds = [c for s, r in zip(base.subs, axes, strict=True) for c in between(r, s)]
        return where(conjunction(holds), subst_indices(body, at), ZERO)

    def contracted(self, e: Equation, term: Expr) -> str | None:
        """Σ_a v[a] Σ_r [α = a] f = Σ_r v[α] f, for a term that is a sum with such a condition."""
        parts = factors(term)
        sums = sums_among(parts)
        if len(sums) != 1:
            return None
        scale = [f for f in parts if f is not sums[0]]
        conditions, inner = guarded_factors(sums[0].body)
        at: dict[str, Int] = {}
        for c in conditions:
            found = self.delta(subst_indices(c, at), set(e.indices) - set(at))
            if found is not None:
                at = {a: v.subst({found[0]: found[1]}) for a, v in at.items()} | {found[0]: found[1]}
        if not at:
            return None
        weight = Read(self.weights(e), tuple(Int.symbol(i) for i in e.indices))
        # The conditions stay, those that were solved too: they hold now, or say what solving them did not.
        body = subst_indices(where(conjunction(conditions), product([*scale, weight, *inner]), ZERO), at)
        return self.number(e, Reduce("sum", (*(i for i in e.indices if i not in at), *sums[0].indices), body))

    def number(self, e: Equation, body: Expr) -> str:
        name = f"\0t{len(self.equations)}"
        self.equations.append(Equation(name, (), self.carried_out(body, e.ranges), dict(e.ranges)))
        return name

    def passed_on(self, e: Equation, term: Expr) -> str:
        """Σ_a v[a] Σ_i g · ∂Y[i]/∂A[a] as Σ_i g · slope of Y[i] along v."""
        node, *more = (n for n in walk(term) if isinstance(n, Op) and n.op == "whole")
        y, a = node.args
        if more or not isinstance(y, Read) or set(e.indices) & free_symbols(replaced(term, {node: ONE})):
            raise CheckError(f"A step does not hold: {term} is not a gradient times one derivative.")
        self.require_element(e, term, a)
        return self.number(e, replaced(term, {node: self.slope_along(e, y)}))

    def require_element(self, e: Equation, term: Expr, a: Expr) -> None:
        """The weights stand for derivatives by the very element that the gradient is about."""
        self.weights(e)
        if a != Read(self.ground.tensor_of[e.tensor], tuple(map(Int.symbol, e.indices))):
            raise CheckError(f"A step does not hold: {term} in {e.left} is a derivative by {a}.")

    def slope_along(self, e: Equation, y: Read) -> Read:
        """∂Y[i] along the weights of A, from the equation of Y that defines this place."""
        reader = self.equation_at(y)
        key = ("along", e.tensor, reader.tensor, reader.subs)
        if key not in self.made:
            name = self.ground.tensor_of[e.tensor]
            moved = self.weights(e)
            body = _moved(reader.body, name, moved)
            self.made[key] = self.dual(reader, body, {i: reader.ranges[i] for i in reader.indices})
        slopes = self.made[key]
        at = reader.places(y.subs)
        return Read(slopes, tuple(at[i] - reader.ranges[i].lo for i in reader.indices))

    def equation_at(self, y: Read) -> Equation:
        for e in self.ground.complete.definitions.get(y.tensor, ()):
            if all(s.name in e.ranges or s == t for s, t in zip(e.subs, y.subs, strict=True)):
                return e
        raise CheckError(f"A step does not hold: nothing defines {y}.")

    def dual(self, e: Equation, body: Expr, over: Ranges) -> str:
        """An input that will hold the slopes of an expression at each value of some indices."""
        name, slopes = f"\0d{len(self.equations)}", f"\0s{len(self.equations)}"
        self.equations.append(Equation(name, tuple(map(Int.symbol, over)), body, {**e.ranges, **over}))
        self.slopes[slopes] = (name, tuple(over.values()))
        return slopes

    def carried_out(self, body: Expr, ranges: Ranges) -> Expr:
        """Every ∂e/∂A[α] as an element of a tensor of slopes."""
        if isinstance(body, Op) and body.op == "partial":
            return self.slope_of(body, ranges)
        return map_children(lambda c: self.carried_out(c, ranges), body)

    def slope_of(self, node: Op, ranges: Ranges) -> Expr:
        e, read = node.args[0], node.args[1]
        over = {i: r for i, r in ranges.items() if i in free_symbols(e) | free_symbols(read)}
        key = ("slope", node, tuple(over.items()))
        if key not in self.made:
            moved = replaced(e, {read: Op("+", (read, Read(EPS, ())))})
            if len(node.args) > 2:
                hulls = self.ground.complete.hulls
                inside = [c for n, s in own_reads(Op("+", (e, read))) for c in readable(hulls[n], s, over, self.positive)]
                moved = where(conjunction(inside), moved, ZERO) if inside else moved
            self.made[key] = self.dual(Equation("", (), ZERO, dict(ranges)), moved, over)
        return Read(self.made[key], tuple(Int.symbol(i) - r.lo for i, r in over.items()))

    # -- trials ------------------------------------------------------------------------------------------------------
    def run(self) -> tuple[Step, ...]:
        bounds: list[Fraction | None] = [Fraction(1)] * len(self.found)
        exact = [True] * len(self.found)
        for _ in range(TRIALS):
            for k, (chance_of, is_exact) in enumerate(self.trial()):
                known = bounds[k]
                bounds[k] = None if known is None or chance_of is None else known * chance_of
                exact[k] &= is_exact
        return tuple(replace(s, trials=TRIALS, probability=b if x else None, digits=None if x and self.rational else DIGITS - 10)
                     for s, b, x in zip(self.found, bounds, exact, strict=True))

    def trial(self) -> list[tuple[Fraction | None, bool]]:
        trouble, kinks = "", 0
        for attempt in range(TRIES):
            largest = max(1, LARGEST - 3 * attempt // TRIES)  # where sizes make ties or empty ranges, smaller ones do not
            sample = draw(self.ground.complete, self.rng, mode=mode_of(attempt, TRIES), largest=largest, sizing=self.wide)
            try:
                return self.compare(sample)
            except (DefinitionError, EvaluationError, Kink, ZeroDivisionError, _NotFinite) as error:
                trouble, kinks = str(error), kinks + isinstance(error, Kink)
                if kinks == KINKS:  # equal numbers that meet are hardly chance
                    break
        raise Unevaluated(f"No random inputs were found at which the steps can be evaluated: {trouble.rstrip('.')}.")

    def compare(self, sample: Sample) -> list[tuple[Fraction | None, bool]]:
        run, inputs, weights = self.evaluation(sample)
        values: dict[int, list[Any]] = {}
        losses: dict[str, Any] = {}
        found: list[tuple[Fraction | None, bool]] = []
        for s, sides in zip(self.found, self.pairs, strict=True):
            both = []
            for side in sides:
                if id(side) not in values:
                    values[id(side)] = self.value(side, s, run, inputs, weights, losses)
                both.append(values[id(side)])
            found.append(self.verdict(s, both[0], both[1], sample))
        return found

    def verdict(self, s: Step, before: list[Any], after: list[Any], sample: Sample) -> tuple[Fraction | None, bool]:
        worst, exact = 0.0, True
        for a, b in zip(before, after, strict=True):
            x, y = value_of(a), value_of(b)
            if is_finite(x) and not is_finite(y):
                raise _NotFinite(f"the step does not hold ({s.rule}): {s.after} is not finite where {s.before} is")
            if not is_finite(x):
                raise _NotFinite("a value is not finite")
            if not agree(x, y):
                raise CheckError(f"A step does not hold ({s.rule}): {s.before} and {s.after} differ at sizes {sample.sizes}: {x}, {y}.")
            exact &= isinstance(x, Fraction) and isinstance(y, Fraction)
            worst = max(worst, chance(*of_difference(a, b), how_many(sample.mode))) if self.rational else worst
        facts = self.ground.forward.givens
        unbounded = not self.rational or isinf(worst) or any(sum_fact(g, self.ground.forward) is None and reads(g) for g in facts)
        return None if unbounded else Fraction(worst), exact

    def evaluation(self, sample: Sample) -> tuple[Run, dict[str, Any], dict[str, Any]]:
        """A run of the interpreter that knows all slopes; its inputs; the weights of each tensor."""
        env = sample.sizes
        inputs = with_degrees(self.ground.complete, sample.inputs) if self.rational else sample.inputs
        weights = {n: self.weights_at(n, env, sample.mode) for n in self.moved}
        every = inputs | {f"\0v_{n}": v for n, v in weights.items()} | {EPS: Dual(Fraction(0), Fraction(1))}
        every |= {n: _filled(axes, env, lambda: Fraction(0)) for n, (_, axes) in self.slopes.items()}
        run = Run(self.wide, every)
        for slopes, (name, axes) in self.slopes.items():
            spans = [range(r.lo.value(env), r.hi.value(env)) for r in axes]
            run.data[slopes] = {tuple(k - s.start for k, s in zip(at, spans, strict=True)): slope(run.demand(name, at))
                                for at in itertools.product(*spans)}
        return run, inputs, weights

    def weights_at(self, name: str, env: dict[str, int], mode: str) -> Any:
        drawn = _filled(self.inputs[f"\0v_{name}"], env, lambda: self.lift(number(self.rng, mode)))
        return _kept(drawn, self.ground.forward.dims[name], self.own[name], env)

    def lift(self, x: Any) -> Any:
        return Degree(x) if self.rational else x

    def value(self, side: _Side, s: Step, run: Run, inputs: dict[str, Any], weights: dict[str, Any], losses: dict[str, Any]) -> list[Any]:
        if side.elements is not None:
            return flat(run.tensor(side.elements))
        name = self.ground.tensor_of[s.before.tensor]
        own = _cut(weights[name], self.ground.forward.dims[name], self.own[name], run.env) if side.weighed else []
        parts = [combine("*", v, x) for t in side.weighed for v, x in zip(flat(own), flat(run.tensor(t)), strict=True)]
        parts += [run.tensor(t) for t in side.sums]
        if side.loss:
            if name not in losses:
                losses[name] = self.slope_of_loss(name, weights[name], inputs)
            parts.append(losses[name] if side.sign > 0 else -losses[name])
        return [fold("sum", parts)]

    def slope_of_loss(self, name: str, weights: Any, inputs: dict[str, Any]) -> Any:
        """d/dε of Σ dY · Y where A is A + ε v, and everything that follows from A follows."""
        forward = self.ground.forward
        at = {i.name: inputs[i.name] for i in forward.inputs}
        if name in at:
            moved = Run(forward, {**at, name: zipped(Dual, at[name], weights)})
        else:
            moved = Run(_with_move(forward, name), {**at, MOVE: mapped(partial(Dual, Fraction(0)), weights)})
        parts = []
        for y in forward.outputs:
            seeds = flat(inputs[self.ground.seeds[y]]) if y in self.ground.seeds else [Fraction(1)]
            parts += [combine("*", w, slope(v)) for w, v in zip(seeds, flat(moved.tensor(y)), strict=True)]
        return fold("sum", parts)


class _NotFinite(ArithmeticError):
    """A value that is not a finite number."""


def _moved(e: Expr, name: str, weights: str) -> Expr:
    """Every read A[α] as A[α] + ε v[α]."""
    if isinstance(e, Read):
        return Op("+", (e, Op("*", (Read(weights, e.subs), Read(EPS, ()))))) if e.tensor == name else e
    return map_children(lambda c: _moved(c, name, weights), e)


def _with_move(program: Program, name: str) -> Program:
    """The program with something added to every element of one tensor's dimensions."""
    axes = program.dims[name]

    def moved(e: Equation) -> Equation:
        return replace(e, body=Op("+", (e.body, Read(MOVE, tuple(s - r.lo for s, r in zip(e.subs, axes, strict=True))))))

    return replace(program, inputs=(*program.inputs, Input(MOVE, tuple(r.size for r in axes))),
                   equations=tuple(moved(e) if e.tensor == name else e for e in program.equations))


def _kept(values: Any, axes: Sequence[Range], own: Sequence[Range], env: dict[str, int]) -> Any:
    """Nested lists over some axes, 0 at the places that are not among their own."""
    if not axes:
        return values
    start, inside = axes[0].lo.value(env), range(own[0].lo.value(env), own[0].hi.value(env))
    zero = partial(_filled, axes[1:], env, lambda: Fraction(0))
    return [_kept(v, axes[1:], own[1:], env) if start + k in inside else zero() for k, v in enumerate(values)]


def _cut(values: Any, axes: Sequence[Range], own: Sequence[Range], env: dict[str, int]) -> Any:
    """What such lists hold at their own places."""
    if not axes:
        return values
    first, last = (max(0, end.value(env) - axes[0].lo.value(env)) for end in (own[0].lo, own[0].hi))
    return [_cut(v, axes[1:], own[1:], env) for v in values[first:last]]


def _filled(axes: Sequence[Range], env: Mapping[str, int], make: Callable[[], Any]) -> Any:
    return nested(tuple(r.size.value(env) for r in axes), make)
