"""Programs <-> SymPy: each equation as an `Eq` between elements (`Indexed`) and sums (`Sum`), and back.

    Y[n,o] = sum[i](X[n,i]*W[i,o])    <->    Eq(Y[n, o], Sum(X[n, i]*W[i, o], (i, 0, I - 1)))

The law: for every program, `program_from_sympy(program_to_sympy(p), p.inputs, p.outputs)` means what p means, and its
SymPy form is p's again. A name is always a plain symbol (E, I, S, N, O, Q are no constants); indices, sizes, integer
parameters and integer tensors are marked as integers, all others as real. What SymPy has no word for is a class of
`sympy_words`: `Maximum`, `Minimum`, `Mean`, `LogSumExp` bind their indices as `Sum` does, `Softmax(e, j)` and
`LogSoftmax(e, j)` run along an index that stays free, `Where(c, a, b)` chooses. Facts (`given`) and titles have no
SymPy form.

SymPy is read node by node; no text is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import sympy as sp

from . import arguments
from .bounds import Range, Ranges
from .errors import NNDerivError, NotationError
from .expr import NORMALISERS, Const, Expr, IntValue, Num, Op, Read, Reduce, ints, symbols, walk
from .fresh import Fresh
from .integer import Element, Extreme, FloorDiv, Int, Mod
from .parse import parse
from .program import Equation, Input, Program
from .sympy_nodes import Facts, Reader
from .sympy_words import CONDITION, FUNCTION, NORMALISER, REDUCTION, LogSoftmax, LogSumExp, Maximum, Mean, Minimum, Softmax, Where


# -- to SymPy ----------------------------------------------------------------------------------------------------------
def program_to_sympy(program: Program) -> list[Any]:
    """The equations, in order."""
    return [equation_to_sympy(program, e) for e in program.equations]


def equation_to_sympy(program: Program, equation: Equation) -> Any:
    """One equation as an Eq. An index on the left that does not run along the whole of its axis is an `Idx` with its range."""
    return _Writer(program, equation).equation()


class _Writer:
    def __init__(self, program: Program, equation: Equation):
        self.program, self.e = program, equation
        self.keeping = False  # whether SymPy may evaluate nothing that would leave out a read
        self.indices: dict[str, Any] = {}
        self.indices = {i: _index(i, r, self.integer) for i, r in self._shifted()}

    def _shifted(self) -> Iterator[tuple[str, Range]]:
        """The indices on the left that do not run from 0 to the end of their axis, whatever base cases are cut off."""
        for k, s in enumerate(self.e.subs):
            if s.name in self.e.ranges:
                own, axis = self.e.ranges[str(s.name)], self.program.dims[self.e.tensor][k]
                r = axis if not self.e.is_base and self._is_cut(k, own, axis) else own
                if r != Range.upto(axis.size):
                    yield str(s.name), r

    def _is_cut(self, k: int, own: Range, axis: Range) -> bool:
        """Whether base cases stand at all places of an axis before and after its own, or at all places that it has."""
        bases = {e.subs[k] for e in self.program.definitions[self.e.tensor] if e is not self.e}
        around = (Range(axis.lo, own.lo), Range(own.hi, axis.hi))
        return any(all(map(partial(_are_places, bases), spans)) for spans in (around, (axis,)))

    def equation(self) -> Any:
        return sp.Eq(self.element(self.e.tensor, self.e.subs), self.real(self.e.body), evaluate=False)

    def symbol(self, name: str) -> Any:
        return self.indices.get(name) or sp.Symbol(name, integer=True)

    # -- integers ------------------------------------------------------------------------------------------------------
    def integer(self, value: Int) -> Any:
        return sp.Add(*(c * sp.Mul(*map(self.atom, monomial)) for monomial, c in value.terms.items()))

    def atom(self, atom: Any) -> Any:
        if isinstance(atom, FloorDiv):
            return sp.floor(self.integer(atom.top) / self.integer(atom.bottom))
        if isinstance(atom, Mod):
            return sp.Mod(self.integer(atom.top), self.integer(atom.bottom))
        if isinstance(atom, Extreme):
            return (sp.Max if atom.op == "max" else sp.Min)(*map(self.integer, atom.args))
        return self.element(atom.tensor, atom.subs) if isinstance(atom, Element) else self.symbol(str(atom))

    def element(self, tensor: str, subs: tuple[Int, ...]) -> Any:
        """An element of a tensor; the base knows the tensor's shape, and whether its elements are integers."""
        kind = "integer" if self.program.kinds.get(tensor) == "int" else "real"
        label = sp.Symbol(tensor, **{kind: True})
        if not subs:
            return label
        shape = tuple(self.integer(r.size) for r in self.program.dims[tensor])
        return sp.IndexedBase(label, shape=shape)[tuple(map(self.integer, subs))]

    # -- real expressions ----------------------------------------------------------------------------------------------
    def real(self, e: Expr) -> Any:
        if isinstance(e, Num):
            return sp.Rational(e.value.numerator, e.value.denominator)
        if isinstance(e, Const):
            return sp.pi if e.name == "pi" else sp.oo
        if isinstance(e, IntValue):
            return self.integer(e.value)
        if isinstance(e, Read):
            return self.element(e.tensor, e.subs)
        if isinstance(e, Reduce):
            return self.reduction(e)
        assert isinstance(e, Op)
        args = [self.real(a) for a in e.args]
        found = operation(e.op, args)
        return found if not self.keeping or _elements(found) == _elements(*args) else operation(e.op, args, evaluate=False)

    def whole(self, e: Expr) -> Any:
        """What a reduction is over, with all that it reads: x[i] + 0*x[i+1] stays, since it says how far i runs."""
        found = self.real(e)
        if self.keeping or _elements(found) == _elements(*self.read_by(e)):
            return found
        self.keeping = True
        found = self.real(e)
        self.keeping = False
        return found

    def read_by(self, e: Expr) -> Iterator[Any]:
        yield from (self.element(n.tensor, n.subs) for n in walk(e) if isinstance(n, Read))
        yield from map(self.integer, ints(e))

    def reduction(self, e: Reduce) -> Any:
        body = self.whole(e.body)
        if e.op in NORMALISERS:
            return NORMALISER[e.op](body, *map(self.symbol, e.indices))
        spans = [(i, self.e.ranges[i]) for i in e.indices]
        limits = [(self.symbol(i), self.integer(r.lo), self.integer(r.hi - 1)) for i, r in spans]
        return REDUCTION[e.op](body, *limits)


def _index(name: str, r: Range, integer: Callable[[Int], Any]) -> Any:
    return sp.Idx(sp.Symbol(name, integer=True), (integer(r.lo), integer(r.hi - 1)))


def _are_places(places: set[Int], r: Range) -> bool:
    """Whether a range has a known number of places, and all of them are among these."""
    count = r.hi - r.lo
    return count.is_constant and count.value({}) >= 0 and {r.lo + j for j in range(count.value({}))} <= places


def _elements(*values: Any) -> set[Any]:
    """The elements that some expressions read."""
    return set().union(*(v.atoms(sp.Indexed) for v in values))


def _signed(a: Any) -> tuple[Any, ...]:
    """A factor, -T - 2 as -1 and T + 2, so that a minus looks the same wherever it was written."""
    return (sp.Integer(-1), -a) if isinstance(a, sp.Add) and a.is_integer and a.could_extract_minus_sign() else (a,)


def scalar_to_sympy(program: Program, equation: Equation, value: Expr | Int) -> Any:
    """A scalar or integer expression of an equation."""
    writer = _Writer(program, equation)
    return writer.integer(value) if isinstance(value, Int) else writer.real(value)


def operation(op: str, args: list[Any], evaluate: bool = True) -> Any:
    """An operator or function of the notation, by its name there; unevaluated, its terms and factors stand in SymPy's order."""
    if op == "+":
        return _flat(sp.Add, args, evaluate)
    if op == "*":
        return _flat(sp.Mul, [f for a in args for f in _signed(a)], evaluate)
    if op == "neg":
        return _flat(sp.Mul, [sp.Integer(-1), args[0]], evaluate)
    if op == "/":
        below = sp.Pow(_flat(sp.Mul, _signed(args[1]), evaluate), -1)
        return _flat(sp.Mul, [*_signed(args[0]), below], evaluate)
    if op == "**":
        return sp.Pow(*args, evaluate=evaluate)
    if op in ("true", "false"):
        return sp.true if op == "true" else sp.false
    if op in ("max", "min") and any(a.is_number and not a.is_comparable for a in args):
        evaluate = False  # a number like relu(2) has no order that SymPy would know
    kind = FUNCTION.get(op) or CONDITION[op]
    return kind(*args) if evaluate else kind(*args, evaluate=False)


def _flat(kind: Any, args: Iterable[Any], evaluate: bool) -> Any:
    """A sum or a product."""
    if evaluate:
        return kind(*args)
    return kind(*sp.ordered(part for a in args for part in kind.make_args(a)), evaluate=False)


# -- from SymPy ---------------------------------------------------------------------------------------------------------
def program_from_sympy(
    equations: Iterable[Any], inputs: Iterable[Any] | None = None, outputs: Iterable[str] | None = None
) -> Program:
    """The program that SymPy equations between elements mean.

    inputs: `Input`s, symbols, IndexedBases or names, in the order of the signature; without them, what is read and
    not defined. outputs: names; without them, the tensors that no equation reads. Shapes come from
    `IndexedBase(…, shape=…)`, or from the limits of the sums and the ranges of the `Idx`s that run over an axis.
    Raises `NotationError` for what the notation cannot say.
    """
    given = _named([_plain(eq) for eq in arguments.several("equations", equations, "several", NotationError)])
    inputs = None if inputs is None else arguments.several("inputs", inputs, "several", NotationError)
    outputs = None if outputs is None else arguments.names("outputs", outputs, NotationError)
    facts = Facts(given)
    body = [Reader(facts).equation(eq) for eq in given]
    ranges = [_wanted(facts, e) for e in body]
    return _settled(_signature(facts, body, ranges, inputs, outputs), body, ranges)


def _plain(equation: Any) -> Any:
    if not isinstance(equation, sp.Equality):
        raise NotationError(f"{equation} is not an equation.", "Write Eq(Y[n, o], …).")
    if not isinstance(equation.lhs, sp.Indexed | sp.Symbol):
        raise NotationError(f"{equation.lhs} is not an element of a tensor.", "Put Y[n, o] on the left.")
    return equation


def _named(equations: list[Any]) -> list[Any]:
    """The equations with a name of its own for each Dummy: to SymPy it is another symbol than all that are called like it."""
    symbols = list(sp.ordered(set().union(*(eq.atoms(sp.Symbol) for eq in equations))))
    fresh = Fresh({s.name for s in symbols if not isinstance(s, sp.Dummy)})
    names = {d: sp.Symbol(fresh(d.name), **d.assumptions0) for d in symbols if isinstance(d, sp.Dummy)}
    return [eq.xreplace(names) for eq in equations]


def _signature(
    facts: Facts, body: list[Equation], ranges: list[Ranges], inputs: Iterable[Any] | None, outputs: Iterable[str] | None
) -> str:
    """The text of the first line: inputs with their sizes, and outputs."""
    tensors = [n for n in facts.order if n in facts.ranks or n not in facts.integers]
    names = [n for n in tensors if n not in facts.defined] if inputs is None else None
    shown = [_input(facts, n) for n in (names if names is not None else inputs or ())]
    known = {s.name for s in shown}
    sizes = {a for s in shown for d in s.dims for a in d.symbols()}
    indices = {s for e in body for s in _index_names(e)}
    parameters = [
        n for n in facts.order if n in facts.integers and n not in known | sizes | indices | set(facts.defined)
    ]
    parameters = [n for n in parameters if n not in facts.ranks and _is_used(n, body, ranges)]
    read = {t for e in body for t in e.reads}
    ends = list(outputs) if outputs is not None else [t for t in facts.defined if t not in read] or facts.defined
    return f"{', '.join(map(str, [*shown, *(Input(p, (), 'int') for p in parameters)]))} -> {', '.join(ends)}"


def _index_names(e: Equation) -> Iterator[str]:
    yield from (s.name for s in e.subs if s.name is not None)
    yield from (i for n in walk(e.body) if isinstance(n, Reduce) for i in n.indices)


def _is_used(name: str, body: list[Equation], ranges: list[Ranges]) -> bool:
    return any(name in symbols(e.body) or any(name in s.symbols() for s in e.subs) for e in body) or any(
        name in bound.symbols() for stated in ranges for r in stated.values() for bound in (r.lo, r.hi)
    )


def _input(facts: Facts, given: Any) -> Input:
    """An input by its Input, IndexedBase, Symbol or name."""
    if isinstance(given, Input):
        return given
    name = str(given.label) if isinstance(given, sp.IndexedBase) else str(given)
    if isinstance(given, sp.IndexedBase) and given.shape is not None:
        facts.shapes[name], facts.ranks[name] = tuple(given.shape), len(given.shape)
        facts.note_integers(given.shape)
    reader, dims = Reader(facts), []
    for k in range(facts.ranks.get(name, 0)):
        size = facts.size(name, k)
        if size is None:
            raise NotationError(
                f"Nothing says how large axis {k} of {name} is.", f"Write IndexedBase('{name}', shape=(…))."
            )
        dims.append(reader.integer(size))
    is_int = name in facts.int_tensors or (not dims and name in facts.integers)
    return Input(name, tuple(dims), "int" if is_int else "real")


def _wanted(facts: Facts, e: Equation) -> Ranges:
    """The ranges that an equation states: of limits and Idx; on the left, of its tensor's shape."""
    found = dict(e.ranges)
    for k, s in enumerate(e.subs):
        size = facts.size(e.tensor, k)
        if s.name is not None and size is not None and s.name not in found and not _is_place(facts, s.name):
            found[s.name] = Range.upto(Reader(facts).integer(size))
    return found


def _is_place(facts: Facts, name: str) -> bool:
    """Whether a name on the left is a size (a base case at that place): it is part of some tensor's shape."""
    shapes = [sp.sympify(d, strict=True) for shape in facts.shapes.values() for d in shape or ()]
    return any(name in {str(s) for s in d.free_symbols} for d in shapes)


def _parsed(signature: str, body: list[Equation], ranges: list[Ranges]) -> Program:
    lines = [str(e) + _for(r) for e, r in zip(body, ranges, strict=True)]
    return parse("\n".join([signature, *lines]))


def _for(ranges: Ranges) -> str:
    shown = [r.clause(i) for i, r in ranges.items()]
    return f"  for {', '.join(shown)}" if shown else ""


def _settled(signature: str, body: list[Equation], stated: list[Ranges]) -> Program:
    """The program with the stated ranges, of which only those are set by hand that inference would not find."""
    explicit = _parsed(signature, body, stated)
    kept: list[Ranges] = [{} for _ in body]
    for _ in range(4):
        try:
            found = _parsed(signature, body, kept)
        except NNDerivError:
            return explicit
        if found.shapes == explicit.shapes and all(
            a.ranges == b.ranges for a, b in zip(found.equations, explicit.equations, strict=True)
        ):
            return found
        for e, wanted, mine, ranges in zip(found.equations, explicit.equations, kept, stated, strict=True):
            mine |= {i: r for i, r in ranges.items() if e.ranges.get(i) != wanted.ranges.get(i)}
    return explicit


__all__ = [
    "LogSoftmax",
    "LogSumExp",
    "Maximum",
    "Mean",
    "Minimum",
    "Softmax",
    "Where",
    "equation_to_sympy",
    "program_from_sympy",
    "program_to_sympy",
]
