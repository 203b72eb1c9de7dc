"""The meaning of a program: a slow, obvious interpreter, element by element, on demand, memoised.

Works over every number type that Python has: `Fraction` (exact), `float`, `mpmath.mpf`, dual numbers. Whole numbers become
`Fraction`; a function such as exp of a `Fraction` is evaluated with mpmath at the working precision (50 digits unless set), and
so is what follows from a `Fraction` of some ten thousand digits.

The four rules of the notation, and where they stand below:
  1. a read outside its tensor's range is 0                                     `Run.element`
  2. a reduction runs over the positions at which every read inside is in range `Meaning.positions`
  3. the order of equations does not matter                                     on demand
  4. kinks: a matter of derivatives, not of values
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from . import arguments
from .errors import DefinitionError, DivisionError, EvaluationError, counted
from .expr import ints, reads
from .integer import Int, compact
from .learned import learned
from .meaning import Match, Meaning, Value
from .numbers import as_integer, as_number
from .program import Equation, Input, Program, Requirement

Index = tuple[int, ...]
MAX_NESTED = 20  # elements under evaluation at once; deeper demands are put off (see `Run.demand`)


def evaluate(program: Program | str, inputs: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, Any]:
    """Y[i] = Σ_r e(i, r), element by element, from the definition alone: every output by name, as nested lists, or a number for a scalar.

    inputs: name -> nested lists, an array, or a number. outputs: names of tensors, outputs and intermediates alike.
    Raises `EvaluationError` for inputs that do not fit, or sizes that are 0 and divided by, `DefinitionError` for an element that
    needs itself.

    >>> evaluate("x[N] -> y\\n y[n] = x[n]**2 - x[n-1]", {"x": [1, 2, 3]})["y"]
    [Fraction(1, 1), Fraction(3, 1), Fraction(7, 1)]
    """
    if isinstance(program, str):
        from .parse import parse

        program = parse(program)
    if not isinstance(program, Program):
        raise EvaluationError(f"evaluate takes a Program or a text, not {arguments.shown(program)}.")
    inputs = arguments.table("inputs", inputs, EvaluationError)
    names = program.outputs if outputs is None else arguments.names("outputs", outputs, EvaluationError)
    if unknown := [name for name in names if name not in program.dims]:
        raise EvaluationError(f"There is no tensor {unknown[0]}; there are {', '.join(program.dims)}.")
    try:
        run = Run(program, inputs)
        return {name: run.tensor(name) for name in names}
    except ZeroDivisionError as error:
        raise DivisionError(f"An index or a size is divided by zero at these sizes: {error}.") from error


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


def elements(i: Input, value: Any, shape: Index) -> dict[Index, Any]:
    """{position: number} of an input of this shape, as it is computed with."""
    convert: Callable[[Any], Any] = as_integer if i.kind == "int" else as_number
    found = {}
    for at, v in flatten(value, shape, i.name).items():
        found[at] = convert(v)
        if found[at] is None:
            place = f"[{','.join(map(str, at))}]" if at else ""
            raise EvaluationError(f"{i.name}{place} is {v!r}; expected {'an integer' if i.kind == 'int' else 'a real number'}.")
    return found


def bind_sizes(program: Program, shapes: Mapping[str, Index], parameters: Mapping[str, int]) -> dict[str, int]:
    """The value of every size and parameter; EvaluationError names what disagrees."""
    env = dict(parameters)
    for i in program.inputs:
        if len(shapes[i.name]) != len(i.dims):
            raise EvaluationError(f"{i.name} has {counted(len(shapes[i.name]), 'dimension')}; {i} has {len(i.dims)}.")
    check_requirements((r for r in program.requirements if (r.left.symbols() | r.right.symbols()) <= env.keys()), env)
    for size in learned(program.inputs):
        dimension = Int.of(shapes[size.input.name][size.axis])
        env[size.size] = size.value(dimension).value(env)
    for i in program.inputs:
        for k, (d, n) in enumerate(zip(i.dims, shapes[i.name], strict=True)):
            if max(0, d.value(env)) != n:
                expected = str(d) if d.is_constant else f"{d} = {d.value(env)}"
                raise EvaluationError(f"Dimension {k} of {i.name} is {n}; {i} makes it {expected}.")
    check_requirements(program.requirements, env)
    return env


def check_requirements(requirements: Iterable[Requirement], env: Mapping[str, int]) -> None:
    for r in requirements:
        a, b = r.left.value(env), r.right.value(env)
        if not {"==": a == b, ">=": a >= b}[r.op]:
            raise EvaluationError(f"{r.left} {r.op} {r.right} does not hold ({a} and {b}): {r.reason}.")


# -- the interpreter -----------------------------------------------------------------------------------------------------
class TooDeep(Exception):
    def __init__(self, key: tuple[str, Index]):
        self.key = key


class Run:
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
        parameters = [i for i in program.inputs if i.name in program.parameters and not shapes[i.name]]
        self.env = bind_sizes(program, shapes, {i.name: elements(i, inputs[i.name], ())[()] for i in parameters})
        self.data = {i.name: elements(i, inputs[i.name], shapes[i.name]) for i in program.inputs}
        self.hulls = {name: [(r.lo.value(self.env), r.hi.value(self.env)) for r in axes] for name, axes in program.hulls.items()}
        self.memo: dict[tuple[str, Index], Any] = {}
        self.active: set[tuple[str, Index]] = set()
        self.meanings: dict[int, tuple[Equation, tuple[Match, Value]]] = {}

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
                raise _needs_itself(self.program, *todo[-1])
            try:
                self.active.clear()
                value = self.element(*todo[-1])
                todo.pop()
            except TooDeep as deeper:
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
            raise _needs_itself(self.program, name, at)
        if len(self.active) >= MAX_NESTED:
            raise TooDeep(key)
        self.active.add(key)
        value = Fraction(0)
        for equation in self.program.definitions[name] if self.in_range(name, at) else ():
            match, body = self.meaning(equation)
            if (indices := match(at)) is not None:
                value = body({**self.env, **indices})
                break
        self.active.discard(key)
        self.memo[key] = value
        return value

    def bounds(self, e: Equation, index: str) -> tuple[int, int]:
        return e.ranges[index].lo.value(self.env), e.ranges[index].hi.value(self.env)

    def meaning(self, e: Equation) -> tuple[Match, Value]:
        """Both sides of an equation: which indices an element has, if it is one of the left; the right as a function of them."""
        if id(e) not in self.meanings:
            found = Meaning(self, e)
            self.meanings[id(e)] = e, (found.match(), found.value(e.body))  # with e: while it is kept, its id is no other's
        return self.meanings[id(e)][1]


def _needs_itself(program: Program, name: str, at: Index) -> DefinitionError:
    """Which element, and where integers lead to it, the fact that would rule that out: left[n] < n for h[n] that reads h[left[n]]."""
    cycle = program.components.get(name, frozenset())
    inside = [e for e in program.equations if e.tensor in cycle]
    data = dict.fromkeys(el.tensor for e in inside for v in ints(e.body) for el in v.elements())
    led = f": {' and '.join(data)} {'leads' if len(data) == 1 else 'lead'} back to it" if data else ""
    facts = [f"given {compact(sub)} < {compact(own)}" for e in program.equations for r in reads(e.body)
             if program.components.get(e.tensor, {e.tensor}) == program.components.get(r.tensor)
             for sub, own in zip(r.subs, e.subs, strict=False) if not data.keys().isdisjoint(el.tensor for el in sub.elements())]
    repair = f"Where that is never so, say it: {', '.join(f'`{f}`' for f in dict.fromkeys(facts))}." if facts else ""
    return DefinitionError(f"{name}[{','.join(map(str, at))}] needs itself{led}.", repair)
