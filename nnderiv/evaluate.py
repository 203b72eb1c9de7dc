"""The meaning of a program: a slow, obvious interpreter, element by element, on demand, memoised.

Works over every number type that Python has: `Fraction` (exact), `float`, `mpmath.mpf`, dual numbers. Whole numbers become
`Fraction`; a function such as exp of a `Fraction` is evaluated with mpmath at the working precision (50 digits unless set).

The four rules of the notation, and where they stand below:
  1. a read outside its tensor's range is 0                                     `_Run.element`
  2. a reduction runs over the positions at which every read inside is in range `_Run.reduce`
  3. the order of equations does not matter                                     on demand
  4. kinks: a matter of derivatives, not of values
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from .errors import DefinitionError, EvaluationError
from .expr import NORMALISERS, Const, Expr, IntValue, Num, Op, Read, Reduce, additive_terms, children
from .integer import Int
from .numbers import FUNCTIONS, INFINITY, as_number, combine, power
from .program import Equation, Program

Index = tuple[int, ...]
MAX_NESTED = 20  # elements under evaluation at once; deeper demands are put off (see `_Run.demand`)


def evaluate(program: Program | str, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, Any]:
    """Every output by name, as nested lists (a number for a scalar), computed from the definition alone.

    inputs: name -> nested lists, an array, or a number. outputs: names of tensors, outputs and intermediates alike.
    Raises `EvaluationError` for inputs that do not fit, `DefinitionError` for an element that needs itself.

    >>> evaluate("x[N] -> y\\n y[n] = x[n]**2 - x[n-1]", {"x": [1, 2, 3]})["y"]
    [Fraction(1, 1), Fraction(3, 1), Fraction(7, 1)]
    """
    if isinstance(program, str):
        from .parse import parse

        program = parse(program)
    run = _Run(program, inputs)
    return {name: run.tensor(name) for name in (outputs if outputs is not None else program.outputs)}


# -- inputs --------------------------------------------------------------------------------------------------------------
def shape_of(value: Any) -> Index:
    """The shape of nested lists or of anything that has a shape."""
    if hasattr(value, "shape"):
        return tuple(int(n) for n in value.shape)
    return (len(value), *(shape_of(value[0]) if len(value) else ())) if isinstance(value, list | tuple) else ()


def flatten(value: Any, shape: Index, name: str) -> dict[Index, Any]:
    """{position: number} of nested lists of this shape."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if not shape:
        return {(): value}
    if not isinstance(value, list | tuple) or len(value) != shape[0]:
        raise EvaluationError(f"{name} is ragged: its rows differ in length.")
    return {(k, *rest): v for k, row in enumerate(value) for rest, v in flatten(row, shape[1:], name).items()}


def bind_sizes(program: Program, shapes: Mapping[str, Index], parameters: Mapping[str, int]) -> dict[str, int]:
    """The value of every size and parameter; EvaluationError names what disagrees."""
    env = dict(parameters)
    for i in program.inputs:
        if len(shapes[i.name]) != len(i.dims):
            raise EvaluationError(f"{i.name} has {len(shapes[i.name])} dimensions; {i} has {len(i.dims)}.")
        for d, n in zip(i.dims, shapes[i.name], strict=True):
            if d.name is not None and d.name not in env:
                env[d.name] = n
    for i in program.inputs:
        for k, (d, n) in enumerate(zip(i.dims, shapes[i.name], strict=True)):
            unknown = sorted(d.symbols() - env.keys())
            if unknown:
                raise EvaluationError(f"Nothing gives the size {unknown[0]}: it appears only inside {d}.")
            if d.value(env) != n:
                raise EvaluationError(f"Dimension {k} of {i.name} is {n}; {i} makes it {d} = {d.value(env)}.")
    check_requirements(program, env)
    return env


def check_requirements(program: Program, env: Mapping[str, int]) -> None:
    for r in program.requirements:
        a, b = r.left.value(env), r.right.value(env)
        if not {"==": a == b, ">=": a >= b}[r.op]:
            raise EvaluationError(f"{r.left} {r.op} {r.right} does not hold ({a} and {b}): {r.reason}.")


# -- the interpreter -----------------------------------------------------------------------------------------------------
class _TooDeep(Exception):
    def __init__(self, key: tuple[str, Index]):
        self.key = key


class _Run:
    """One evaluation: sizes, input elements, and the elements computed so far."""

    def __init__(self, program: Program, inputs: Mapping[str, Any]):
        self.program = program
        names = {i.name for i in program.inputs}
        for name in inputs:
            if name not in names:
                raise EvaluationError(f"There is no input {name}; the inputs are {', '.join(i.name for i in program.inputs)}.")
        for i in program.inputs:
            if i.name not in inputs:
                raise EvaluationError(f"The input {i} is missing.")
        shapes = {i.name: shape_of(inputs[i.name]) for i in program.inputs}
        self.env = bind_sizes(program, shapes, {p: int(inputs[p]) for p in program.parameters})
        self.data: dict[str, dict[Index, Any]] = {}
        for i in program.inputs:
            convert: Callable[[Any], Any] = int if i.kind == "int" else as_number
            self.data[i.name] = {k: convert(v) for k, v in flatten(inputs[i.name], shapes[i.name], i.name).items()}
        self.hulls = {name: [(r.lo.value(self.env), r.hi.value(self.env)) for r in axes] for name, axes in program.hulls.items()}
        self.memo: dict[tuple[str, Index], Any] = {}
        self.active: set[tuple[str, Index]] = set()

    # -- tensors -----------------------------------------------------------------------------------------------------
    def tensor(self, name: str) -> Any:
        """All elements of a tensor's dimensions, as nested lists."""
        axes = [range(r.lo.value(self.env), r.hi.value(self.env)) for r in self.program.dims[name]]
        return self._nested(name, axes, ())

    def _nested(self, name: str, axes: list[range], at: Index) -> Any:
        if len(at) == len(axes):
            return self.demand(name, at)
        return [self._nested(name, axes, (*at, k)) for k in axes[len(at)]]

    def demand(self, name: str, at: Index) -> Any:
        """An element, with a list of our own of what is still to do, so that a recurrence of any length fits Python's stack."""
        todo = [(name, at)]
        while todo:
            if len(todo) > 10 and todo[-1] in todo[:-1]:
                raise DefinitionError(f"{_shown(todo[-1])} needs itself.")
            try:
                self.active.clear()
                value = self.element(*todo[-1])
                todo.pop()
            except _TooDeep as deeper:
                todo.append(deeper.key)
        return value

    def in_range(self, name: str, at: Index) -> bool:
        return all(lo <= k < hi for k, (lo, hi) in zip(at, self.hulls[name], strict=True))

    def element(self, name: str, at: Index) -> Any:
        """Rule 1, base cases before the general equation, and the memo."""
        if name in self.data:
            return self.data[name].get(at, 0 if self.program.kinds[name] == "int" else Fraction(0))
        key = (name, at)
        if key in self.memo:
            return self.memo[key]
        if key in self.active:
            raise DefinitionError(f"{_shown(key)} needs itself.")
        if len(self.active) >= MAX_NESTED:
            raise _TooDeep(key)
        self.active.add(key)
        value = Fraction(0)
        for equation in self.program.definitions[name] if self.in_range(name, at) else ():
            env = self.match(equation, at)
            if env is not None:
                value = self.value(equation.body, equation, env)
                break
        self.active.discard(key)
        self.memo[key] = value
        return value

    def match(self, e: Equation, at: Index) -> dict[str, int] | None:
        """The indices for which the left-hand side is this element, if it is."""
        env = dict(self.env)
        for sub, k in zip(e.subs, at, strict=True):
            if sub.name in e.ranges:
                lo, hi = self.bounds(e, str(sub.name))
                if not lo <= k < hi:
                    return None
                env[str(sub.name)] = k
            elif sub.value(self.env) != k:
                return None
        return env

    def bounds(self, e: Equation, index: str) -> tuple[int, int]:
        return e.ranges[index].lo.value(self.env), e.ranges[index].hi.value(self.env)

    # -- expressions -------------------------------------------------------------------------------------------------
    def integer(self, value: Int, env: Mapping[str, int]) -> int:
        return value.value(env, lambda el: int(self.element(el.tensor, tuple(self.integer(s, env) for s in el.subs))))

    def value(self, e: Expr, eq: Equation, env: dict[str, int]) -> Any:
        if isinstance(e, Num):
            return e.value
        if isinstance(e, Const):
            return INFINITY if e.name == "inf" else FUNCTIONS["pi"](Fraction(0))
        if isinstance(e, IntValue):
            return Fraction(self.integer(e.value, env))
        if isinstance(e, Read):
            return self.element(e.tensor, tuple(self.integer(s, env) for s in e.subs))
        if isinstance(e, Reduce):
            return self.reduce(e, eq, env)
        assert isinstance(e, Op)
        if e.op == "where":
            return self.value(e.args[1] if self.truth(e.args[0], eq, env) else e.args[2], eq, env)
        return self.operate(e, eq, env)

    def operate(self, e: Op, eq: Equation, env: dict[str, int]) -> Any:
        if e.op == "exp" and self.is_of_nothing(e.args[0], eq, env):
            return Fraction(0)
        values = [self.value(a, eq, env) for a in e.args]
        if e.op == "neg":
            return -values[0]
        if e.op == "**":
            return power(*values)
        if e.op in ("+", "*", "/"):
            result = values[0]
            for v in values[1:]:
                result = combine(e.op, result, v)
            return result
        if e.op in ("max", "min"):
            if any(combine("!=", v, v) for v in values):
                return math.nan
            first_wins = combine("<", *values) == (e.op == "min")
            return values[0] if first_wins else values[1]
        return FUNCTIONS[e.op](values[0])

    def is_of_nothing(self, e: Expr, eq: Equation, env: dict[str, int]) -> bool:
        """S − lse with lse = −inf: a softmax over no position at all, or over masked ones only, is 0."""
        return any(
            s < 0 and isinstance(t, Read) and self.is_logsumexp(t.tensor) and self.value(t, eq, env) == -INFINITY
            for s, t in additive_terms(e)
        )

    def is_logsumexp(self, name: str) -> bool:
        definitions = self.program.definitions.get(name, ())
        return any(isinstance(d.body, Reduce) and d.body.op == "logsumexp" for d in definitions)

    def truth(self, e: Expr, eq: Equation, env: dict[str, int]) -> bool:
        assert isinstance(e, Op)
        if e.op == "and":
            return all(self.truth(a, eq, env) for a in e.args)
        if e.op == "or":
            return any(self.truth(a, eq, env) for a in e.args)
        if e.op == "not":
            return not self.truth(e.args[0], eq, env)
        if e.op in ("true", "false"):
            return e.op == "true"
        return bool(combine(e.op, self.value(e.args[0], eq, env), self.value(e.args[1], eq, env)))

    # -- reductions --------------------------------------------------------------------------------------------------
    def positions(self, e: Reduce, eq: Equation, env: dict[str, int]) -> Iterator[dict[str, int]]:
        """Rule 2: every assignment of the indices at which each read inside is in range."""
        spans = [range(*self.bounds(eq, i)) for i in e.indices]
        inside = own_reads(e.body)
        for at in itertools.product(*spans):
            inner = env | dict(zip(e.indices, at, strict=True))
            if all(self.in_range(name, tuple(self.integer(s, inner) for s in subs)) for name, subs in inside):
                yield inner

    def reduce(self, e: Reduce, eq: Equation, env: dict[str, int]) -> Any:
        if e.op in NORMALISERS:
            return self.normalise(e, eq, env)
        values = [self.value(e.body, eq, inner) for inner in self.positions(e, eq, env)]
        return fold(e.op, values)

    def normalise(self, e: Reduce, eq: Equation, env: dict[str, int]) -> Any:
        """softmax and log_softmax at this position; 0 (and −inf) where it is not among those that the reduction runs over."""
        total = fold("logsumexp", [self.value(e.body, eq, inner) for inner in self.positions(e, eq, env)])
        here = all(self.in_range(n, tuple(self.integer(s, env) for s in subs)) for n, subs in own_reads(e.body))
        own = self.value(e.body, eq, env) if here else -INFINITY
        gone = own == -INFINITY
        if e.op == "log_softmax":
            return -INFINITY if gone else combine("-", own, total)
        return Fraction(0) if gone else FUNCTIONS["exp"](combine("-", own, total))


def own_reads(e: Expr) -> list[tuple[str, tuple[Int, ...]]]:
    """The reads that are inside a reduction's body but not inside a further reduction in it; elements of integer tensors too."""
    if isinstance(e, Reduce):
        return []
    found = [(e.tensor, e.subs)] if isinstance(e, Read) else []
    values = e.subs if isinstance(e, Read) else (e.value,) if isinstance(e, IntValue) else ()
    found += [(el.tensor, el.subs) for v in values for el in v.elements()]
    return found + [r for c in children(e) for r in own_reads(c)]


def fold(op: str, values: list[Any]) -> Any:
    """sum, mean, max, min or logsumexp of some numbers; of none, 0, 0, −inf, inf, −inf."""
    if op in ("sum", "mean"):
        total: Any = Fraction(0)
        for v in values:
            total = combine("+", total, v)
        return total if op == "sum" else combine("/", total, Fraction(len(values))) if values else total
    if op == "min":
        return -fold("max", [-v for v in values])
    best: Any = -INFINITY
    for v in values:
        best = v if combine("<", best, v) else best
    if op == "max" or best == -INFINITY:
        return best
    return combine("+", best, FUNCTIONS["log"](fold("sum", [FUNCTIONS["exp"](combine("-", v, best)) for v in values])))


def _shown(key: tuple[str, Index]) -> str:
    return f"{key[0]}[{','.join(map(str, key[1]))}]"


