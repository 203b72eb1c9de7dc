"""Programs <-> SymPy: each equation as an `Eq` between elements (`Indexed`) and sums (`Sum`), and back.

    Y[n,o] = sum[i](X[n,i]*W[i,o])    <->    Eq(Y[n, o], Sum(X[n, i]*W[i, o], (i, 0, I - 1)))

The law: for every program, `program_from_sympy(program_to_sympy(p), p.inputs, p.outputs)` means what p means, and its
SymPy form is p's again. A name is always a plain symbol (E, I, S, N, O, Q are no constants); indices, sizes, integer
parameters and integer tensors are marked as integers, all others as real. What SymPy has no word for is a class of this
module: `Maximum`, `Minimum`, `Mean`, `LogSumExp` bind their indices as `Sum` does, `Softmax(e, j)` and
`LogSoftmax(e, j)` run along an index that stays free, `Where(c, a, b)` chooses. Facts (`given`) and titles have no
SymPy form.

SymPy is read node by node; no text is ever evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import singledispatch
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from .bounds import Range, Ranges
from .errors import NNDerivError, NotationError
from .expr import (
    FALSE,
    INF,
    NORMALISERS,
    ONE,
    TRUE,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    num,
    product,
    symbols,
    walk,
)
from .integer import Element, Extreme, FloorDiv, Int, Mod
from .parse import parse
from .program import Equation, Input, Program
from .scalar import gelu, relu, sigmoid, silu, softplus


# -- what SymPy has no word for ----------------------------------------------------------------------------------------
class _Over(ExprWithLimits):  # type: ignore[misc]
    """A reduction over the indices of its limits."""

    __slots__ = ()

    def doit(self, **hints: Any) -> Any:
        return self


class Maximum(_Over):
    """max over indices"""


class Minimum(_Over):
    """min over indices"""


class Mean(_Over):
    """Arithmetic mean over indices"""


class LogSumExp(_Over):
    """log Σ exp over indices"""


class Softmax(sp.Function):  # type: ignore[misc]
    """Softmax(e, j, …): exp(e) over its sum along j, at j; the indices stay free."""


class LogSoftmax(Softmax):
    """The logarithm of Softmax(e, j, …)."""


class Where(sp.Function):  # type: ignore[misc]
    """Where(c, a, b): a where the condition c holds, b elsewhere; `.rewrite(Piecewise)` is SymPy's way to say so."""

    nargs = 3

    def _eval_rewrite_as_Piecewise(self, c: Any, a: Any, b: Any, **hints: Any) -> Any:
        return sp.Piecewise((a, c), (b, True))


_REDUCTION: dict[str, Any] = {"sum": sp.Sum, "max": Maximum, "min": Minimum, "mean": Mean, "logsumexp": LogSumExp}
_NORMALISER: dict[str, Any] = {"softmax": Softmax, "log_softmax": LogSoftmax}
_FUNCTION: dict[str, Any] = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "tanh": sp.tanh,
    "sin": sp.sin,
    "cos": sp.cos,
    "erf": sp.erf,
    "abs": sp.Abs,
    "sign": sp.sign,
    "max": sp.Max,
    "min": sp.Min,
    "where": Where,
    "sigmoid": sigmoid,
    "relu": relu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": silu,
}
_CONDITION: dict[str, Any] = {
    "<": sp.Lt,
    "<=": sp.Le,
    ">": sp.Gt,
    ">=": sp.Ge,
    "==": sp.Eq,
    "!=": sp.Ne,
    "and": sp.And,
    "or": sp.Or,
    "not": sp.Not,
}


# -- to SymPy ----------------------------------------------------------------------------------------------------------
def program_to_sympy(program: Program) -> list[Any]:
    """The equations, in order."""
    return [equation_to_sympy(program, e) for e in program.equations]


def equation_to_sympy(program: Program, equation: Equation) -> Any:
    """One equation as an Eq. An index on the left that begins elsewhere than at 0 is an `Idx` with its range."""
    return _Writer(program, equation).equation()


class _Writer:
    def __init__(self, program: Program, equation: Equation):
        self.program, self.e = program, equation
        self.indices: dict[str, Any] = {}
        self.indices = {i: _index(i, r, self.integer) for i, r in self._shifted()}

    def _shifted(self) -> Iterator[tuple[str, Range]]:
        """The indices on the left that do not begin at 0, whatever base cases are cut off."""
        for k, s in enumerate(self.e.subs):
            if s.name in self.e.ranges:
                r = self.e.ranges[str(s.name)] if self.e.is_base else self.program.dims[self.e.tensor][k]
                if r.lo != 0:
                    yield str(s.name), r

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
        return operation(e.op, [self.real(a) for a in e.args])

    def reduction(self, e: Reduce) -> Any:
        body = self.real(e.body)
        if e.op in NORMALISERS:
            return _NORMALISER[e.op](body, *map(self.symbol, e.indices))
        spans = [(i, self.e.ranges[i]) for i in e.indices]
        limits = [(self.symbol(i), self.integer(r.lo), self.integer(r.hi - 1)) for i, r in spans]
        return _REDUCTION[e.op](body, *limits)


def _index(name: str, r: Range, integer: Callable[[Int], Any]) -> Any:
    return sp.Idx(sp.Symbol(name, integer=True), (integer(r.lo), integer(r.hi - 1)))


def _signed(a: Any) -> tuple[Any, ...]:
    """A factor, -T - 2 as -1 and T + 2, so that a minus looks the same wherever it was written."""
    return (sp.Integer(-1), -a) if isinstance(a, sp.Add) and a.is_integer and a.could_extract_minus_sign() else (a,)


def scalar_to_sympy(program: Program, equation: Equation, value: Expr | Int) -> Any:
    """A scalar or integer expression of an equation."""
    writer = _Writer(program, equation)
    return writer.integer(value) if isinstance(value, Int) else writer.real(value)


def operation(op: str, args: list[Any]) -> Any:
    """An operator or function of the notation, by its name there."""
    if op == "+":
        return sp.Add(*args)
    if op == "*":
        return sp.Mul(*(f for a in args for f in _signed(a)))
    if op == "neg":
        return -args[0]
    if op == "/":
        return sp.Mul(*_signed(args[0]), sp.Pow(sp.Mul(*_signed(args[1])), -1))
    if op == "**":
        return args[0] ** args[1]
    if op in ("true", "false"):
        return sp.true if op == "true" else sp.false
    if op in ("max", "min") and any(a.is_number and not a.is_comparable for a in args):
        return _FUNCTION[op](*args, evaluate=False)  # a number like relu(2) has no order that SymPy would know
    return (_FUNCTION.get(op) or _CONDITION[op])(*args)


# -- from SymPy --------------------------------------------------------------------------------------------------------
def program_from_sympy(
    equations: Iterable[Any], inputs: Iterable[Any] | None = None, outputs: Iterable[str] | None = None
) -> Program:
    """The program that SymPy equations between elements mean.

    inputs: `Input`s, symbols, IndexedBases or names, in the order of the signature; without them, what is read and
    not defined. outputs: names; without them, the tensors that no equation reads. Shapes come from
    `IndexedBase(…, shape=…)`, or from the limits of the sums and the ranges of the `Idx`s that run over an axis.
    Raises `NotationError` for what the notation cannot say.
    """
    given = [_plain(eq) for eq in equations]
    facts = _Facts(given)
    body = [_Reader(facts).equation(eq) for eq in given]
    signature = _signature(facts, body, inputs, outputs)
    return _settled(signature, body, [_wanted(facts, e) for e in body])


def _plain(equation: Any) -> Any:
    if not isinstance(equation, sp.Equality):
        raise NotationError(f"{equation} is not an equation.", "Write Eq(Y[n, o], …).")
    if not isinstance(equation.lhs, sp.Indexed | sp.Symbol):
        raise NotationError(f"{equation.lhs} is not an element of a tensor.", "Put Y[n, o] on the left.")
    return equation


class _Facts:
    """What the names of some equations are: tensors with their shapes, indices with their ranges, integers."""

    def __init__(self, equations: list[Any]):
        self.shapes: dict[str, tuple[Any, ...] | None] = {}
        self.ranks: dict[str, int] = {}
        self.integers: set[str] = (
            set()
        )  # sizes, parameters, indices: whatever stands in a subscript, a limit or a shape
        self.int_tensors: set[str] = set()
        self.order: dict[str, None] = {}  # names of tensors and scalars, as they appear
        self.axes: dict[tuple[str, int], Any] = {}  # sizes that limits and Idx ranges tell
        self.spans: dict[str, tuple[Any, Any]] = {}
        for eq in equations:
            self._see(eq)
        self.defined = list(dict.fromkeys(_name(eq.lhs) for eq in equations))

    def _see(self, equation: Any) -> None:
        spans: dict[str, tuple[Any, Any]] = {}
        for node in sp.preorder_traversal(equation, keys=True):
            if isinstance(node, sp.Sum | _Over):
                spans |= {_label(i): (lo, hi) for i, lo, hi in map(_limits, node.limits)}
                self._integers(x for limit in node.limits for x in limit)
            elif isinstance(node, sp.Idx) and node.lower is not None:
                spans[_label(node)] = (node.lower, node.upper)
                self._integers([node, node.lower, node.upper])
            elif isinstance(node, Softmax):
                self._integers(node.args[1:])
            elif isinstance(node, sp.Symbol) and node.is_integer:
                self.integers.add(node.name)
        for node in sp.preorder_traversal(equation, keys=True):
            if isinstance(node, sp.Indexed):
                self._tensor(node, spans)
            elif isinstance(node, sp.Symbol):
                self.order.setdefault(node.name)

    def _integers(self, values: Iterable[Any]) -> None:
        for v in values:
            self.integers |= {s.name for s in sp.sympify(v, strict=True).free_symbols if isinstance(s, sp.Symbol)}

    def _tensor(self, node: Any, spans: Mapping[str, tuple[Any, Any]]) -> None:
        name = _name(node)
        self.order.setdefault(name)
        if self.ranks.setdefault(name, len(node.indices)) != len(node.indices):
            raise NotationError(
                f"{name} has {self.ranks[name]} subscripts in one place and {len(node.indices)} in another."
            )
        self.shapes[name] = tuple(node.base.shape) if node.base.shape is not None else self.shapes.get(name)
        if node.base.label.is_integer:
            self.int_tensors.add(name)
        for k, index in enumerate(node.indices):
            self._integers([index])
            if isinstance(index, sp.Symbol | sp.Idx) and _label(index) in spans:
                lo, hi = spans[_label(index)]
                if lo == 0:
                    self.axes.setdefault((name, k), hi + 1)
            self.int_tensors |= {_name(inner) for inner in index.atoms(sp.Indexed)}
        self._integers(self.shapes[name] or ())

    def size(self, name: str, axis: int) -> Any:
        shape = self.shapes.get(name)
        return shape[axis] if shape is not None else self.axes.get((name, axis))


def _name(node: Any) -> str:
    return str(node.base.label if isinstance(node, sp.Indexed) else node.name)


def _label(index: Any) -> str:
    """The name of an index, a Symbol or an Idx."""
    if isinstance(index, sp.Idx):
        return str(index.label)
    if isinstance(index, sp.Symbol):
        return str(index.name)
    raise NotationError(f"{index} is not an index.", "An index is a Symbol or an Idx.")


def _limits(limit: Any) -> tuple[Any, Any, Any]:
    if len(limit) == 3:
        return limit[0], limit[1], limit[2]
    if len(limit) == 1 and isinstance(limit[0], sp.Idx) and limit[0].lower is not None:
        return limit[0], limit[0].lower, limit[0].upper
    raise NotationError(f"Nothing says how far {limit[0]} runs.", f"Write Sum(…, ({limit[0]}, 0, N - 1)).")


# -- nodes -------------------------------------------------------------------------------------------------------------
class _Reader:
    """One equation: SymPy -> our expressions; the ranges of bound indices are noted on the way."""

    def __init__(self, facts: _Facts):
        self.facts = facts
        self.ranges: Ranges = {}
        self.by_hand: set[str] = set()

    def equation(self, eq: Any) -> Equation:
        subs = tuple(self.integer(s) for s in eq.lhs.indices) if isinstance(eq.lhs, sp.Indexed) else ()
        for s in eq.lhs.indices if subs else ():
            if isinstance(s, sp.Idx) and s.lower is not None:
                self.ranges[_label(s)] = Range(self.integer(s.lower), self.integer(s.upper) + 1)
        body = self.real(eq.rhs)
        return Equation(_name(eq.lhs), subs, body, self.ranges)

    # -- integers ------------------------------------------------------------------------------------------------------
    def integer(self, e: Any) -> Int:
        found = self.maybe_integer(e)
        if found is None:
            raise NotationError(
                f"{e} must be an integer here.", "Subscripts and limits are made of indices, sizes and parameters."
            )
        return found

    def maybe_integer(self, e: Any) -> Int | None:
        """e as an integer expression, or None where it is none."""
        if isinstance(e, sp.Integer):
            return Int.of(int(e))
        if isinstance(e, sp.Symbol | sp.Idx):
            return Int.symbol(_label(e)) if _label(e) in self.facts.integers else None
        if isinstance(e, sp.Indexed):
            is_integer = _name(e) in self.facts.int_tensors
            return Int.atom(Element(_name(e), tuple(map(self.integer, e.indices)))) if is_integer else None
        if isinstance(e, sp.floor):
            top, bottom = sp.fraction(sp.together(e.args[0]))
            return self._all([top, bottom], lambda a, b: a // b)
        if isinstance(e, sp.Pow) and isinstance(e.exp, sp.Integer) and 0 < e.exp <= 40:
            return self._all([e.base] * int(e.exp), lambda *f: _fold(lambda a, b: a * b, f))
        return self._combined(e)

    def _combined(self, e: Any) -> Int | None:
        table: dict[Any, Callable[..., Int]] = {
            sp.Add: lambda *a: _fold(lambda x, y: x + y, a),
            sp.Mul: lambda *a: _fold(lambda x, y: x * y, a),
            sp.Mod: lambda a, b: a % b,
            sp.Max: lambda *a: Int.extreme("max", *a),
            sp.Min: lambda *a: Int.extreme("min", *a),
        }
        return next((self._all(e.args, f) for kind, f in table.items() if isinstance(e, kind)), None)

    def _all(self, args: Iterable[Any], f: Callable[..., Int]) -> Int | None:
        values = [self.maybe_integer(a) for a in args]
        return None if any(v is None for v in values) else f(*values)

    # -- real expressions ----------------------------------------------------------------------------------------------
    def real(self, e: Any) -> Expr:
        whole = self.maybe_integer(e)
        if whole is not None:
            return num(whole.constant) if whole.is_constant else IntValue(whole)
        return _read_node(e, self)

    def condition(self, e: Any) -> Expr:
        if e in (sp.true, sp.false):
            return TRUE if e == sp.true else FALSE
        for op, kind in _CONDITION.items():
            if isinstance(e, kind):
                inner = self.condition if op in ("and", "or", "not") else self.real
                return Op(op, tuple(map(inner, sorted(e.args, key=str) if op in ("and", "or") else e.args)))
        raise NotationError(
            f"{e} is not a condition of the notation.", "Compare with < <= > >= Eq Ne, join with And Or Not."
        )

    def reduce(self, op: str, e: Any) -> Expr:
        names = []
        for index, lo, hi in map(_limits, e.limits):
            name, r = _label(index), Range(self.integer(lo), self.integer(hi) + 1)
            if self.ranges.setdefault(name, r) != r:
                raise NotationError(
                    f"The index {name} has two ranges, {self.ranges[name]} and {r}.", "Give one of them another name."
                )
            names.append(name)
        return Reduce(op, tuple(names), self.real(e.function))


def _fold(f: Callable[[Int, Int], Int], values: Iterable[Int]) -> Int:
    first, *rest = values
    for v in rest:
        first = f(first, v)
    return first


@singledispatch
def _read_node(e: Any, r: _Reader) -> Expr:
    for op, kind in _REDUCTION.items():
        if type(e) is kind:
            return r.reduce(op, e)
    for op, kind in _FUNCTION.items():
        if type(e) is kind and op not in ("max", "min", "sqrt", "where"):
            return Op(op, tuple(map(r.real, e.args)))
    raise NotationError(
        f"{type(e).__name__} ({e}) is not in the notation.",
        "It has sums, products, powers and the functions of its own page.",
    )


@_read_node.register(sp.Symbol)
def _(e: Any, r: _Reader) -> Expr:
    return Read(e.name, ())


@_read_node.register(sp.Indexed)
def _(e: Any, r: _Reader) -> Expr:
    return Read(_name(e), tuple(map(r.integer, e.indices)))


@_read_node.register(sp.Rational)
def _(e: Any, r: _Reader) -> Expr:
    return num(Fraction(int(e.p), int(e.q)))


@_read_node.register(sp.Float)
def _(e: Any, r: _Reader) -> Expr:
    return num(Fraction(str(e)))


@_read_node.register(sp.core.numbers.Pi)
def _(e: Any, r: _Reader) -> Expr:
    return Const("pi")


@_read_node.register(sp.core.numbers.Exp1)
def _(e: Any, r: _Reader) -> Expr:
    return Op("exp", (ONE,))


@_read_node.register(sp.core.numbers.Infinity)
def _(e: Any, r: _Reader) -> Expr:
    return INF


@_read_node.register(sp.core.numbers.NegativeInfinity)
def _(e: Any, r: _Reader) -> Expr:
    return Op("neg", (INF,))


@_read_node.register(sp.Add)
def _(e: Any, r: _Reader) -> Expr:
    terms = [r.real(a) for a in e.as_ordered_terms()]
    return add(
        sorted(terms, key=lambda t: (isinstance(t, Op) and t.op == "neg") or (isinstance(t, Num) and t.value < 0))
    )


@_read_node.register(sp.Mul)
def _(e: Any, r: _Reader) -> Expr:
    """One fraction: numbers in front, factors with a negative exponent below."""
    parts: list[Expr] = []
    for f in e.args:
        base, exponent = f.as_base_exp()
        if isinstance(f, sp.Rational):
            parts.append(num(Fraction(int(f.p), int(f.q))))
        elif exponent.is_Rational and exponent < 0:
            parts.append(Op("/", (ONE, r.real(sp.Pow(base, -exponent)))))
        else:
            parts.append(r.real(f))
    return product(parts)


@_read_node.register(sp.Pow)
def _(e: Any, r: _Reader) -> Expr:
    base, exponent = e.args
    if exponent.is_Rational and exponent < 0:
        return ONE / r.real(sp.Pow(base, -exponent))
    if exponent == sp.Rational(1, 2):
        return Op("sqrt", (r.real(base),))
    return Op("**", (r.real(base), r.real(exponent)))


@_read_node.register(sp.Max)
@_read_node.register(sp.Min)
def _(e: Any, r: _Reader) -> Expr:
    op = "max" if isinstance(e, sp.Max) else "min"
    first, *rest = (r.real(a) for a in sorted(e.args, key=sp.default_sort_key))
    for other in rest:
        first = Op(op, (first, other))
    return first


@_read_node.register(Softmax)
def _(e: Any, r: _Reader) -> Expr:
    op = "log_softmax" if isinstance(e, LogSoftmax) else "softmax"
    return Reduce(op, tuple(map(_label, e.args[1:])), r.real(e.args[0]))


@_read_node.register(Where)
def _(e: Any, r: _Reader) -> Expr:
    return Op("where", (r.condition(e.args[0]), r.real(e.args[1]), r.real(e.args[2])))


@_read_node.register(sp.Piecewise)
def _(e: Any, r: _Reader) -> Expr:
    pairs = list(e.args)
    if pairs[-1].cond != sp.true:
        raise NotationError(f"{e} is not defined everywhere.", "Add (0, True) as the last case.")
    found = r.real(pairs[-1].expr)
    for pair in reversed(pairs[:-1]):
        found = Op("where", (r.condition(pair.cond), r.real(pair.expr), found))
    return found


# -- the program -------------------------------------------------------------------------------------------------------
def _signature(facts: _Facts, body: list[Equation], inputs: Iterable[Any] | None, outputs: Iterable[str] | None) -> str:
    """The text of the first line: inputs with their sizes, and outputs."""
    names = [n for n in facts.order if n not in facts.defined and n not in facts.integers] if inputs is None else None
    shown = [_input(facts, n) for n in (names if names is not None else inputs or ())]
    known = {s.name for s in shown}
    sizes = {a for s in shown for d in s.dims for a in d.symbols()}
    indices = {s for e in body for s in _index_names(e)}
    parameters = [
        n for n in facts.order if n in facts.integers and n not in known | sizes | indices | set(facts.defined)
    ]
    parameters = [n for n in parameters if n not in facts.ranks and _is_used(n, body)]
    read = {t for e in body for t in e.reads}
    ends = list(outputs) if outputs is not None else [t for t in facts.defined if t not in read] or facts.defined
    return f"{', '.join(map(str, [*shown, *(Input(p, (), 'int') for p in parameters)]))} -> {', '.join(ends)}"


def _index_names(e: Equation) -> Iterator[str]:
    yield from (s.name for s in e.subs if s.name is not None)
    yield from (i for n in walk(e.body) if isinstance(n, Reduce) for i in n.indices)


def _is_used(name: str, body: list[Equation]) -> bool:
    return any(name in symbols(e.body) or any(name in s.symbols() for s in e.subs) for e in body) or any(
        name in bound.symbols() for e in body for r in e.ranges.values() for bound in (r.lo, r.hi)
    )


def _input(facts: _Facts, given: Any) -> Input:
    """An input by its Input, IndexedBase, Symbol or name."""
    if isinstance(given, Input):
        return given
    name = str(given.label) if isinstance(given, sp.IndexedBase) else str(given)
    if isinstance(given, sp.IndexedBase) and given.shape is not None:
        facts.shapes[name], facts.ranks[name] = tuple(given.shape), len(given.shape)
        facts._integers(given.shape)
    reader, dims = _Reader(facts), []
    for k in range(facts.ranks.get(name, 0)):
        size = facts.size(name, k)
        if size is None:
            raise NotationError(
                f"Nothing says how large axis {k} of {name} is.", f"Write IndexedBase('{name}', shape=(…))."
            )
        dims.append(reader.integer(size))
    is_int = name in facts.int_tensors or (not dims and name in facts.integers)
    return Input(name, tuple(dims), "int" if is_int else "real")


def _wanted(facts: _Facts, e: Equation) -> Ranges:
    """The ranges that an equation states: of limits and Idx; on the left, of its tensor's shape."""
    found = dict(e.ranges)
    for k, s in enumerate(e.subs):
        size = facts.size(e.tensor, k)
        if s.name is not None and size is not None and s.name not in found and not _is_place(facts, s.name, e):
            found[s.name] = Range.upto(_Reader(facts).integer(size))
    return found


def _is_place(facts: _Facts, name: str, e: Equation) -> bool:
    """Whether a name on the left is a size (a base case at that place): it is part of some tensor's shape."""
    shapes = [sp.sympify(d, strict=True) for shape in facts.shapes.values() for d in shape or ()]
    return any(name in {str(s) for s in d.free_symbols} for d in shapes)


def _parsed(signature: str, body: list[Equation], ranges: list[Ranges]) -> Program:
    lines = [str(e) + _for(r) for e, r in zip(body, ranges, strict=True)]
    return parse("\n".join([signature, *lines]))


def _for(ranges: Ranges) -> str:
    shown = [f"{r.lo} <= {i} < {r.hi}" if r.lo != 0 else f"{i} < {r.hi}" for i, r in ranges.items()]
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
