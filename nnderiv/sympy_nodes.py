"""SymPy expressions -> ours, node by node; and what the names in some equations are. No text is ever evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import singledispatch
from typing import Any

import sympy as sp

from .bounds import Range, Ranges
from .errors import NotationError
from .expr import FALSE, INF, ONE, TRUE, ZERO, Const, Expr, Num, Op, Read, Reduce, add, integer, num
from .integer import Element, Int
from .polynomial import product
from .program import Equation
from .sympy_words import CONDITION, FUNCTION, REDUCTION, LogSoftmax, Over, Softmax, Where

Span = tuple[Any, Any]  # the first and the last place of an index


class Facts:
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
        for eq in equations:
            self._see(eq)
        self.defined = list(dict.fromkeys(name_of(eq.lhs) for eq in equations))

    def _see(self, equation: Any) -> None:
        spans: dict[str, Span] = {}
        for node in sp.preorder_traversal(equation, keys=True):
            if isinstance(node, sp.Sum | Over):
                self.note_integers(x for limit in node.limits for x in limit)
            elif isinstance(node, sp.Idx) and node.lower is not None:
                spans[label_of(node)] = (node.lower, node.upper)
                self.note_integers([node, node.lower, node.upper])
            elif isinstance(node, Softmax):
                self.note_integers(node.args[1:])
            elif isinstance(node, sp.Symbol) and node.is_integer:
                self.integers.add(node.name)
        self._names(equation, spans)

    def _names(self, root: Any, spans: Mapping[str, Span]) -> None:
        """The tensors and scalars of an expression. A limit tells how far its index runs below its sum, and nowhere else."""
        pending = [(root, spans)]
        while pending:
            node, spans = pending.pop()
            if isinstance(node, sp.Sum | Over):
                spans = {**spans, **{label_of(i): (lo, hi) for i, lo, hi in map(limits_of, node.limits)}}
            elif isinstance(node, sp.Indexed):
                self._tensor(node, spans)
            elif isinstance(node, sp.Symbol):
                self.order.setdefault(node.name)
            pending += [(a, spans) for a in reversed(list(sp.ordered(node.args)))]

    def note_integers(self, values: Iterable[Any]) -> None:
        for v in values:
            self.integers |= {s.name for s in sp.sympify(v, strict=True).free_symbols if isinstance(s, sp.Symbol)}

    def _tensor(self, node: Any, spans: Mapping[str, Span]) -> None:
        name = name_of(node)
        self.order.setdefault(name)
        if self.ranks.setdefault(name, len(node.indices)) != len(node.indices):
            raise NotationError(
                f"{name} has {self.ranks[name]} subscripts in one place and {len(node.indices)} in another."
            )
        self.shapes[name] = tuple(node.base.shape) if node.base.shape is not None else self.shapes.get(name)
        if node.base.label.is_integer:
            self.int_tensors.add(name)
        for k, index in enumerate(node.indices):
            self.note_integers([index])
            if isinstance(index, sp.Symbol | sp.Idx) and label_of(index) in spans:
                lo, hi = spans[label_of(index)]
                if lo == 0:
                    self.axes.setdefault((name, k), hi + 1)
            self.int_tensors |= {name_of(inner) for inner in index.atoms(sp.Indexed)}
        self.note_integers(self.shapes[name] or ())

    def size(self, name: str, axis: int) -> Any:
        shape = self.shapes.get(name)
        return shape[axis] if shape is not None else self.axes.get((name, axis))


def name_of(node: Any) -> str:
    return str(node.base.label if isinstance(node, sp.Indexed) else node.name)


def label_of(index: Any) -> str:
    """The name of an index, a Symbol or an Idx."""
    if isinstance(index, sp.Idx):
        return str(index.label)
    if isinstance(index, sp.Symbol):
        return str(index.name)
    raise NotationError(f"{index} is not an index.", "An index is a Symbol or an Idx.")


def limits_of(limit: Any) -> tuple[Any, Any, Any]:
    if len(limit) == 3:
        return limit[0], limit[1], limit[2]
    if len(limit) == 1 and isinstance(limit[0], sp.Idx) and limit[0].lower is not None:
        return limit[0], limit[0].lower, limit[0].upper
    raise NotationError(f"Nothing says how far {limit[0]} runs.", f"Write Sum(…, ({limit[0]}, 0, N - 1)).")


class Reader:
    """One equation: SymPy -> our expressions; the ranges of bound indices are noted on the way."""

    def __init__(self, facts: Facts):
        self.facts = facts
        self.ranges: Ranges = {}
        self.free: set[str] = set()  # the indices on the left
        self.letters: dict[str, str] = {}  # of indices that are bound around here, where a letter is not their own

    def equation(self, eq: Any) -> Equation:
        subs = tuple(self.integer(s) for s in eq.lhs.indices) if isinstance(eq.lhs, sp.Indexed) else ()
        self.free = {s.name for s in subs if s.name is not None}
        for s in eq.lhs.indices if subs else ():
            if isinstance(s, sp.Idx) and s.lower is not None:
                self.ranges[label_of(s)] = Range(self.integer(s.lower), self.integer(s.upper) + 1)
        body = self.real(eq.rhs)
        return Equation(name_of(eq.lhs), subs, body, self.ranges)

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
            return Int.symbol(self.letter(e)) if label_of(e) in self.facts.integers else None
        if isinstance(e, sp.Indexed):
            is_integer = name_of(e) in self.facts.int_tensors
            return Int.atom(Element(name_of(e), tuple(map(self.integer, e.indices)))) if is_integer else None
        if isinstance(e, sp.floor | sp.ceiling):
            top, bottom = sp.fraction(sp.together(e.args[0]))
            return self._all([top, bottom], (lambda a, b: a // b) if isinstance(e, sp.floor) else (lambda a, b: -(-a // b)))
        if isinstance(e, sp.Pow) and isinstance(e.exp, sp.Integer) and 0 < e.exp <= 40:
            return self._all([e.base] * int(e.exp), lambda *f: _fold(lambda a, b: a * b, f))
        return self._combined(e)

    def letter(self, index: Any) -> str:
        """What an index is called here."""
        return self.letters.get(label_of(index), label_of(index))

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
            return integer(whole)
        return _read_node(e, self)

    def condition(self, e: Any) -> Expr:
        if e in (sp.true, sp.false):
            return TRUE if e == sp.true else FALSE
        for op, kind in CONDITION.items():
            if isinstance(e, kind):
                inner = self.condition if op in ("and", "or", "not") else self.real
                return Op(op, tuple(map(inner, sorted(e.args, key=str) if op in ("and", "or") else e.args)))
        raise NotationError(
            f"{e} is not a condition of the notation.", "Compare with < <= > >= Eq Ne, join with And Or Not."
        )

    def reduce(self, op: str, e: Any) -> Expr:
        """A reduction; its indices get letters of their own where theirs stand on the left or have another range elsewhere."""
        outside, own = self.letters, {}
        for index, lo, hi in map(limits_of, e.limits):
            name, r = label_of(index), Range(self.integer(lo), self.integer(hi) + 1)
            if name in own:
                raise NotationError(f"The index {name} is bound twice in {e}.", "Give one of the two another name.")
            own[name] = self._bound(name, r)
        self.letters = {**outside, **own}
        found = Reduce(op, tuple(own.values()), self.real(e.function))
        self.letters = outside
        return found

    def _bound(self, name: str, r: Range) -> str:
        """A letter for a bound index: its own, or with a number that no name of the equations has."""
        others = self.facts.integers | self.facts.order.keys()
        letters = (name, *(f"{name}{k}" for k in range(2, len(others) + len(self.ranges) + 3)))
        chosen = next(x for x in letters if x not in self.free and self.ranges.get(x, r) == r and (x == name or x not in others))
        self.ranges[chosen] = r
        return chosen


def _fold(f: Callable[[Int, Int], Int], values: Iterable[Int]) -> Int:
    first, *rest = values
    for v in rest:
        first = f(first, v)
    return first


@singledispatch
def _read_node(e: Any, r: Reader) -> Expr:
    for op, kind in REDUCTION.items():
        if type(e) is kind:
            return r.reduce(op, e)
    for op, kind in FUNCTION.items():
        if type(e) is kind and op not in ("max", "min", "sqrt", "where"):
            return Op(op, tuple(map(r.real, e.args)))
    raise NotationError(
        f"{type(e).__name__} ({e}) is not in the notation.",
        "It has sums, products, powers and the functions of its own page.",
    )


@_read_node.register(sp.Symbol)
def _(e: Any, r: Reader) -> Expr:
    return Read(e.name, ())


@_read_node.register(sp.Indexed)
def _(e: Any, r: Reader) -> Expr:
    return Read(name_of(e), tuple(map(r.integer, e.indices)))


@_read_node.register(sp.Rational)
def _(e: Any, r: Reader) -> Expr:
    return num(Fraction(int(e.p), int(e.q)))


@_read_node.register(sp.Float)
def _(e: Any, r: Reader) -> Expr:
    shortest = repr(float(e)) if e._prec <= 53 else ""
    return num(Fraction(shortest if any(c in shortest for c in ".e") else str(e)))


@_read_node.register(sp.core.numbers.Pi)
def _(e: Any, r: Reader) -> Expr:
    return Const("pi")


@_read_node.register(sp.core.numbers.Exp1)
def _(e: Any, r: Reader) -> Expr:
    return Op("exp", (ONE,))


@_read_node.register(sp.core.numbers.Infinity)
def _(e: Any, r: Reader) -> Expr:
    return INF


@_read_node.register(sp.core.numbers.NegativeInfinity)
def _(e: Any, r: Reader) -> Expr:
    return Op("neg", (INF,))


@_read_node.register(sp.Add)
def _(e: Any, r: Reader) -> Expr:
    terms = [r.real(a) for a in e.as_ordered_terms()]
    return add(
        sorted(terms, key=lambda t: (isinstance(t, Op) and t.op == "neg") or (isinstance(t, Num) and t.value < 0))
    )


@_read_node.register(sp.Mul)
def _(e: Any, r: Reader) -> Expr:
    """One fraction: numbers in front, factors with a negative exponent below.

    (a + b)/(2 N) keeps its 2 below: above, SymPy would multiply it in.
    """
    number, factors = e.as_coeff_mul()
    below = [sp.Pow(f, -1) for f in factors if (exponent := f.as_base_exp()[1]).is_Rational and exponent < 0]
    above = [f for f in factors if sp.Pow(f, -1) not in below]
    if below and number.is_Rational and [type(f) for f in above] == [sp.Add]:
        number, below = sp.Integer(number.p), [sp.Integer(number.q), *below]
    if 0 in (number, *factors):  # unevaluated: what it reads counts for the positions of a reduction
        return Op("*", tuple(r.real(f) for f in (number, *factors) if f != 1))
    parts = [r.real(f) for f in (number, *above) if f != 1]
    return product([*parts, *(Op("/", (ONE, r.real(f))) for f in below if f != 1)])


@_read_node.register(sp.Pow)
def _(e: Any, r: Reader) -> Expr:
    base, exponent = e.args
    if exponent.is_Rational and exponent < 0:
        return ONE / r.real(sp.Pow(base, -exponent))
    if exponent == sp.Rational(1, 2):
        return Op("sqrt", (r.real(base),))
    return Op("**", (r.real(base), r.real(exponent)))


@_read_node.register(sp.Max)
@_read_node.register(sp.Min)
def _(e: Any, r: Reader) -> Expr:
    op = "max" if isinstance(e, sp.Max) else "min"
    first, *rest = (r.real(a) for a in sorted(e.args, key=sp.default_sort_key))
    for other in rest:
        first = Op(op, (first, other))
    return first


@_read_node.register(Softmax)
def _(e: Any, r: Reader) -> Expr:
    op = "log_softmax" if isinstance(e, LogSoftmax) else "softmax"
    return Reduce(op, tuple(map(r.letter, e.args[1:])), r.real(e.args[0]))


@_read_node.register(sp.KroneckerDelta)
def _(e: Any, r: Reader) -> Expr:
    return Op("where", (Op("==", tuple(map(r.real, e.args[:2]))), ONE, ZERO))


@_read_node.register(Where)
def _(e: Any, r: Reader) -> Expr:
    return Op("where", (r.condition(e.args[0]), r.real(e.args[1]), r.real(e.args[2])))


@_read_node.register(sp.Piecewise)
def _(e: Any, r: Reader) -> Expr:
    pairs = list(e.args)
    if pairs[-1].cond != sp.true:
        raise NotationError(f"{e} is not defined everywhere.", "Add (0, True) as the last case.")
    found = r.real(pairs[-1].expr)
    for pair in reversed(pairs[:-1]):
        found = Op("where", (r.condition(pair.cond), r.real(pair.expr), found))
    return found
