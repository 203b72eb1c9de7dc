"""What an equation means: its right-hand side as a function from a place, {name: number}, to a value, put together once for a run.

Sizes are known in a run, and with them the range of each index. What an element is, the run says (`Elements`); here are the
operations, and of the four rules of the notation the second: a reduction runs over the positions at which every read inside it
is in range (`Meaning.positions`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from operator import itemgetter
from typing import Any, Protocol

from .expr import NORMALISERS, Const, Expr, IntValue, Num, Op, Read, Reduce, own_reads
from .integer import Atom, Element, Int, Monomial, atom_of, parts
from .numbers import FUNCTIONS, INFINITY, combine, power
from .polynomial import additive_terms
from .program import Equation, Program

Place = dict[str, int]
Value = Callable[[Place], Any]
Whole = Callable[[Place], int]
Match = Callable[[tuple[int, ...]], Place | None]


class Elements(Protocol):
    """What a meaning asks of a run."""

    program: Program
    env: dict[str, int]
    hulls: dict[str, list[tuple[int, int]]]

    def element(self, name: str, at: tuple[int, ...]) -> Any: ...

    def bounds(self, e: Equation, index: str) -> tuple[int, int]: ...


class Meaning:
    """The functions of one equation's expressions, in one run."""

    def __init__(self, run: Elements, equation: Equation):
        self.run = run
        self.equation = equation
        self.sizes = {name: Int.of(size) for name, size in run.env.items()}

    def match(self) -> Match:
        """The indices for which the left-hand side is an element, if it is."""
        e, sizes = self.equation, self.run.env
        axes = [(str(s.name), *self.run.bounds(e, str(s.name))) if s.name in e.ranges else ("", s.value(sizes), s.value(sizes) + 1)
                for s in e.subs]

        def of(at: tuple[int, ...]) -> Place | None:
            if all([lo <= k < hi for k, (_, lo, hi) in zip(at, axes, strict=True)]):
                return {index: k for k, (index, _, _) in zip(at, axes, strict=True) if index}
            return None

        return of

    # -- whole numbers -----------------------------------------------------------------------------------------------
    def integer(self, value: Int) -> Whole:
        value = value.subst(self.sizes)
        if value.name is not None:
            return itemgetter(value.name)
        constant = value.constant
        terms = [(c, self._monomial(m)) for m, c in value.terms.items() if m]
        return lambda env: sum([c * factor(env) for c, factor in terms], constant)

    def _monomial(self, m: Monomial) -> Whole:
        factors = [self._atom(a) for a in m]
        return factors[0] if len(factors) == 1 else lambda env: math.prod(f(env) for f in factors)

    def _atom(self, atom: Atom) -> Whole:
        if isinstance(atom, str):
            return itemgetter(atom)
        if isinstance(atom, Element):
            element, at = self.run.element, self.place(atom.subs)
            return lambda env: int(element(atom.tensor, at(env)))
        inner = [self.integer(p) for p in parts(atom)]
        return lambda env: atom_of(atom, [p(env) for p in inner])

    def place(self, subs: Sequence[Int]) -> Callable[[Place], tuple[int, ...]]:
        """The position that some subscripts name."""
        if len(subs) > 1 and all(s.name is not None for s in subs):
            return itemgetter(*(s.name for s in subs))
        whole = [self.integer(s) for s in subs]
        return lambda env: tuple([s(env) for s in whole])

    # -- expressions -------------------------------------------------------------------------------------------------
    def value(self, e: Expr) -> Value:
        if isinstance(e, Num | Const):
            number = e.value if isinstance(e, Num) else INFINITY if e.name == "inf" else FUNCTIONS["pi"](Fraction(0))
            return lambda env: number
        if isinstance(e, IntValue):
            whole = self.integer(e.value)
            return lambda env: Fraction(whole(env))
        if isinstance(e, Read):
            element, at = self.run.element, self.place(e.subs)
            return lambda env: element(e.tensor, at(env))
        if isinstance(e, Reduce):
            return self.normalise(e) if e.op in NORMALISERS else self.reduce(e)
        assert isinstance(e, Op)
        return self.choose(e) if e.op == "where" else self.operate(e)

    def choose(self, e: Op) -> Value:
        holds, (then, otherwise) = self.truth(e.args[0]), map(self.value, e.args[1:])
        return lambda env: then(env) if holds(env) else otherwise(env)

    def operate(self, e: Op) -> Value:
        args = [self.value(a) for a in e.args]
        first = args[0]
        if e.op == "neg":
            return lambda env: -first(env)
        if e.op == "**":
            return lambda env: power(first(env), args[1](env))
        if e.op in ("+", "*", "/"):
            return _combined(e.op, args)
        if e.op in ("max", "min"):
            return lambda env: _greater_or_less(e.op, first(env), args[1](env))
        function = FUNCTIONS[e.op]
        if e.op == "exp" and (totals := self._totals(e.args[0])):
            return lambda env: Fraction(0) if any(t(env) == -INFINITY for t in totals) else function(first(env))
        return lambda env: function(first(env))

    def _totals(self, e: Expr) -> list[Value]:
        """The lse of S − lse: where it is −inf, a softmax over no position at all, or over masked ones only, is 0."""
        return [self.value(t) for s, t in additive_terms(e) if s < 0 and isinstance(t, Read) and self._is_logsumexp(t.tensor)]

    def _is_logsumexp(self, name: str) -> bool:
        definitions = self.run.program.definitions.get(name, ())
        return any(isinstance(d.body, Reduce) and d.body.op == "logsumexp" for d in definitions)

    def truth(self, e: Expr) -> Callable[[Place], bool]:
        assert isinstance(e, Op)
        if e.op in ("true", "false"):
            return lambda env: e.op == "true"
        if e.op in ("and", "or", "not"):
            parts = [self.truth(a) for a in e.args]
            if e.op == "and":
                return lambda env: all(p(env) for p in parts)
            return lambda env: any(p(env) for p in parts) == (e.op == "or")
        compared = _combined(e.op, [self.value(a) for a in e.args])
        return lambda env: bool(compared(env))

    # -- reductions --------------------------------------------------------------------------------------------------
    def positions(self, e: Reduce) -> Callable[[Place], Iterator[Place]]:
        """Rule 2: the indices at which each read inside is in range. It is one dict that moves from position to position."""
        spans = [range(*self.run.bounds(self.equation, i)) for i in e.indices]
        inside = self.inside(e.body, dict(zip(e.indices, spans, strict=True)))

        def of(env: Place) -> Iterator[Place]:
            inner = dict(env)
            for at in itertools.product(*spans):
                inner.update(zip(e.indices, at, strict=True))
                if inside(inner):
                    yield inner

        return of

    def inside(self, body: Expr, running: dict[str, range]) -> Callable[[Place], bool]:
        """Whether each read of a body is in range; an index that runs within an axis need not be asked."""
        bounds = [(s, *hull) for name, subs in own_reads(body) for s, hull in zip(subs, self.run.hulls[name], strict=True)]
        asked = [(self.integer(s), lo, hi) for s, lo, hi in bounds
                 if (own := running.get(s.name or "")) is None or own.start < lo or own.stop > hi]
        return lambda env: all([lo <= s(env) < hi for s, lo, hi in asked])

    def reduce(self, e: Reduce) -> Value:
        positions, value = self.positions(e), self.value(e.body)
        return lambda env: fold(e.op, [value(inner) for inner in positions(env)])

    def normalise(self, e: Reduce) -> Value:
        """softmax and log_softmax at this position; 0 (and −inf) where it is not among those that the reduction runs over."""
        positions, inside, value = self.positions(e), self.inside(e.body, {}), self.value(e.body)

        def of(env: Place) -> Any:
            total = fold("logsumexp", [value(inner) for inner in positions(env)])
            own = value(env) if inside(env) else -INFINITY
            gone = own == -INFINITY
            if e.op == "log_softmax":
                return -INFINITY if gone else combine("-", own, total)
            return Fraction(0) if gone else FUNCTIONS["exp"](combine("-", own, total))

        return of


def _combined(op: str, args: Sequence[Value]) -> Value:
    """The arguments, combined from left to right."""
    first, *rest = args

    def of(env: Place) -> Any:
        result = first(env)
        for v in rest:
            result = combine(op, result, v(env))
        return result

    return of


def _greater_or_less(op: str, a: Any, b: Any) -> Any:
    """max or min of two; nan where one is."""
    if combine("!=", a, a) or combine("!=", b, b):
        return math.nan
    return a if combine("<", a, b) == (op == "min") else b


def fold(op: str, values: list[Any]) -> Any:
    """sum, mean, max, min or logsumexp of some numbers; of none, 0, 0, −inf, inf, −inf; of a nan among others, nan."""
    if op in ("sum", "mean"):
        total: Any = Fraction(0)
        for v in values:
            total = combine("+", total, v)
        return total if op == "sum" else combine("/", total, Fraction(len(values))) if values else total
    if op == "min":
        return -fold("max", [-v for v in values])
    best: Any = -INFINITY
    for v in values:
        if combine("!=", v, v):
            return v
        best = v if combine("<", best, v) else best
    if op == "max" or best == -INFINITY:
        return best
    return combine("+", best, FUNCTIONS["log"](fold("sum", [FUNCTIONS["exp"](combine("-", v, best)) for v in values])))
