"""An equation in index form -> its matrix form.

    A[i,j]  the matrix A      A[j,i]  its transpose      a[i]  a column      Σ_k A[i,k] B[k,j]  the product A B

The law: `node[row, column] = e` for every row, column and superscript, where `node` is what `Recogniser.matrix(e, row, column)`
returns. Whatever is not certain raises `MatrixFormError` with the reason.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NoReturn

from ..errors import MatrixFormError
from ..expr import (
    COMPARISONS,
    NORMALISERS,
    ONE,
    UNARY,
    ZERO,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    free_symbols,
    has_reduction,
    is_condition,
    is_where,
    num,
    own_reads,
    reads,
)
from ..integer import Int
from ..polynomial import additive_terms, factors, is_reciprocal, positive_terms, product, square_root
from ..program import Equation, Program
from ..within import positive_names, readable
from .axes import Axis, places
from .build import plus, scaled, times, transposed
from .graph import Graph
from .nodes import (
    Along,
    Diagonal,
    Elementwise,
    Fill,
    Hadamard,
    Identity,
    Leaf,
    Node,
    Ones,
    Plus,
    Scalar,
    SumOver,
    Transpose,
    transposes,
)


class Recogniser:
    """One equation; `matrix` is the law of the module, the rest are its cases."""

    def __init__(self, program: Program, equation: Equation, superscript_axes: frozenset[Axis]):
        self.program, self.equation, self.axes = program, equation, superscript_axes
        self.above = {str(s.name) for a, s in places(equation) if a in superscript_axes and s.name in equation.ranges}
        self.gaussian = not program.names & {"Phi", "phi", "varphi"}

    def fail(self, reason: str) -> NoReturn:
        raise MatrixFormError(f"{self.equation.left} has no matrix form: {reason}.")

    def rows(self, e: Expr) -> list[str]:
        """The row and column indices that are free in e, in the equation's order."""
        free = free_symbols(e)
        return [i for i in self.equation.ranges if i in free and i not in self.above]

    # -- leaves --------------------------------------------------------------------------------------------------------
    def left(self) -> Node:
        e = self.equation
        for k, s in enumerate(e.subs):
            if (e.tensor, k) not in self.axes:
                if s.name not in e.ranges:
                    self.fail(f"{s} is a single place of an axis")
                self._check_whole(e.tensor, k, str(s.name))
        node = self._leaf(e.tensor, e.subs)
        if len([s for s in node.subs if s is None]) > 2:
            self.fail("it has more than two axes")
        return node

    def _leaf(self, tensor: str, subs: tuple[Int, ...]) -> Leaf:
        return Leaf(tensor, tuple(s if (tensor, k) in self.axes else None for k, s in enumerate(subs)))

    def _check_whole(self, tensor: str, axis: int, index: str) -> None:
        """A row or column index must run over the whole axis, or only a part of the matrix would be meant."""
        mine, its = self.equation.ranges[index], self.program.dims[tensor][axis]
        if not self.program.coincide(mine, its):
            self.fail(f"{index} runs over {mine}, but axis {axis} of {tensor} over {its}")

    def read(self, e: Read, row: str | None, column: str | None) -> Node:
        plain: list[str] = []
        for k, s in enumerate(e.subs):
            if (e.tensor, k) in self.axes:
                if s.symbols() & self.equation.ranges.keys() - self.above or s.elements():
                    self.fail(f"the superscript {s} of {e.tensor} depends on a row, a column or data")
            elif s.name in (row, column) and s.name is not None:
                self._check_whole(e.tensor, k, s.name)
                plain.append(s.name)
            else:
                self.fail(f"{e.tensor} is read at {s}, {self._why_not(s)}")
        leaf = self._leaf(e.tensor, e.subs)
        if len(plain) == 2 and plain[0] == plain[1]:
            return Diagonal(leaf)
        if len(plain) > 2:
            self.fail(f"{e.tensor} has more than two axes")
        return Transpose(leaf) if plain == [column, row] else leaf

    def _why_not(self, s: Int) -> str:
        """Why a subscript is neither a row nor a column."""
        if s.name not in self.equation.ranges:
            return "which is not a plain index"
        moved = {r: {t for k, t in enumerate(r.subs) if (r.tensor, k) not in self.axes} - {s} for r in reads(self.equation.body)}
        others = [r for r, subs in moved.items() if any(s.name in t.symbols() for t in subs)]
        return f"which moves {others[0]} as well" if others else "which is neither a row nor a column here"

    # -- cases ---------------------------------------------------------------------------------------------------------
    def matrix(self, e: Expr, row: str | None, column: str | None) -> Node:
        """The matrix (column None: the column; row None too: the scalar) whose elements are e."""
        here = self.rows(e)
        if not here and row is not None and not has_reduction(e):
            return Fill(self.scalar(e), row, column)
        if (
            row is not None
            and column is not None
            and len(here) < 2
            and not (isinstance(e, Op) and e.op in ("+", "neg", "*", "/"))
        ):
            return self.spread(e, here, row, column)
        terms = positive_terms(e)
        if len(terms) > 1 or terms[0][0] < 0:
            return plus([(sign, self.matrix(t, row, column)) for sign, t in terms])
        return self.one(e, row, column)

    def spread(self, e: Expr, here: list[str], row: str, column: str) -> Node:
        """A column or row, the same for every column or row: a 1ᵀ, 1 aᵀ."""
        if here == [row]:
            return times(self.matrix(e, row, None), Transpose(Ones(column)))
        if here == [column]:
            return times(Ones(row), transposed(self.matrix(e, column, None)))
        if here:
            self.fail(f"in {e} more than two indices meet")
        return self.contract([e], (), row, column)

    def one(self, e: Expr, row: str | None, column: str | None) -> Node:
        if isinstance(e, Read):
            return self.read(e, row, column)
        if isinstance(e, Reduce):
            return self.reduction(e, row, column)
        if isinstance(e, Op) and self._is_product(e):
            return self.contract(self.split(e), (), row, column)
        if isinstance(e, Op) and (e.op in UNARY or e.op in NORMAL or e.op in COMPARISONS or e.op in ("max", "min", "**")):
            return self.elementwise(e, row, column)
        if row is None:
            return Scalar(self.scalar(e))
        self.fail(f"{e} has no counterpart among matrices")

    def _is_product(self, e: Op) -> bool:
        return e.op in ("*", "/", "neg") or (e.op == "where" and e.args[2] == ZERO)

    def scalar(self, e: Expr) -> Expr:
        """An expression of numbers, sizes, scalars and superscripts, as it is."""
        for r in reads(e):
            self.read(r, None, None)
        return e

    def elementwise(self, e: Op, row: str | None, column: str | None) -> Node:
        if e.op == "==" and row is not None and column is not None and self._is_delta(e, row, column):
            return Identity(row)
        if e.op in COMPARISONS and any(isinstance(a, IntValue) and self.rows(a) for a in e.args):
            self.fail(f"{e} is a condition on places, not on values")
        if row is None and not has_reduction(e):
            return Scalar(self.scalar(e))
        if e.op == "**":
            if self.rows(e.args[1]):
                self.fail(f"the exponent of {e} is not one number")
            base = self.matrix(e.args[0], row, column)
            if e.args[1] == num(2) and isinstance(e.args[0], Read):
                return Hadamard((base, base))
            return Elementwise("**", (base, Scalar(self.scalar(e.args[1]))))
        return Elementwise(e.op, tuple(self.matrix(a, row, column) for a in e.args))

    def _is_delta(self, e: Op, row: str, column: str) -> bool:
        """Whether e is row = column, both over one range."""
        ranges = self.equation.ranges
        same = self.program.coincide(ranges[row], ranges[column])
        return same and {a.value.name for a in e.args if isinstance(a, IntValue)} == {row, column}

    # -- reductions ----------------------------------------------------------------------------------------------------
    def reduction(self, e: Reduce, row: str | None, column: str | None) -> Node:
        if e.op == "sum":
            self._check_padding(e)
            return self.contract(self.split(e.body), e.indices, row, column)
        if e.op == "mean":
            self._check_inside(e)
            count = [Op("/", (ONE, IntValue(self.equation.ranges[i].size))) for i in e.indices]
            return self.contract([*count, *self.split(e.body)], e.indices, row, column)
        return self.along(e, row, column)

    def along(self, e: Reduce, row: str | None, column: str | None) -> Node:
        """A maximum, logsumexp or softmax along the rows of a matrix, or of a column."""
        self._check_inside(e)
        if len(e.indices) != 1 or e.indices[0] in self.above:
            self.fail(f"{e.op} over {', '.join(e.indices)} is not along one axis of a matrix")
        (j,) = e.indices
        keeps = e.op in NORMALISERS
        if keeps and j == row and column is not None:
            return Transpose(self.along(e, column, row))
        if column is not None and not (keeps and j == column):
            return self.spread(e, self.rows(e), str(row), column)
        if row is None or (keeps and j == row):
            return Along(e.op, self.matrix(e.body, j, None), True)
        return Along(e.op, self.matrix(e.body, row, j), False)

    def _check_inside(self, e: Reduce) -> None:
        for name, subs in own_reads(e.body):
            if self._conditions(name, subs):
                self.fail(f"{e.op} leaves out places where {name} is out of range")

    def _check_padding(self, e: Reduce) -> None:
        """A sum leaves out places where a read is out of range: nothing is lost if that read is a factor, 0 there."""
        whole = set(self.split(e.body))
        for name, subs in own_reads(e.body):
            if self._conditions(name, subs) and Read(name, subs) not in whole:
                self.fail(f"the sum leaves out places where {name} is out of range")

    def _conditions(self, name: str, subs: tuple[Int, ...]) -> list[Expr]:
        return readable(self.program.hulls[name], subs, self.equation.ranges, positive_names(self.program))

    # -- products and their sums ---------------------------------------------------------------------------------------
    def split(self, e: Expr) -> list[Expr]:
        """The factors: squares of reads written out, conditions as factors of their own."""
        found: list[Expr] = []
        for f in factors(e):
            if (
                isinstance(f, Op)
                and f.op == "**"
                and f.args[1] == num(2)
                and isinstance(f.args[0], Read)
                and self.rows(f)
            ):
                found += [f.args[0], f.args[0]]
            elif is_where(f, ZERO):
                condition = f.args[0]
                parts = condition.args if isinstance(condition, Op) and condition.op == "and" else (condition,)
                found += [*self.split(f.args[1]), *parts]
            else:
                found.append(f)
        return with_normal_distribution(found) if self.gaussian else found

    def contract(self, parts: list[Expr], bound: tuple[str, ...], row: str | None, column: str | None) -> Node:
        """Σ over bound of the product of the parts, as the matrix over row and column."""
        for k, f in enumerate(parts):
            if (
                isinstance(f, Op) and f.op == "+" and len(self.rows(f)) > 2
            ):  # no matrix by itself; perhaps its terms are
                split = [(sign, [*parts[:k], *self.split(t), *parts[k + 1 :]]) for sign, t in additive_terms(f)]
                return plus([(sign, self.contract(rest, bound, row, column)) for sign, rest in split])
        above = tuple(i for i in bound if i in self.above)
        scalars = [f for f in parts if not self.rows(f) and not has_reduction(f)]
        outside = [f for f in scalars if not free_symbols(f) & set(above)]
        inside = [f for f in scalars if f not in outside]
        apart = self._constant_term(parts, bound)
        if apart is not None:
            return plus([(sign, self.contract(rest, bound, row, column)) for sign, rest in apart])
        graph = Graph(self, [f for f in parts if f not in scalars], [i for i in bound if i not in above], row, column)
        node = graph.solve()
        if above:
            node = SumOver(above, scaled([self._condition(f) for f in inside], node))
        return scaled([Scalar(self.scalar(f)) if not is_condition(f) else self._condition(f) for f in outside], node)

    def _constant_term(self, parts: list[Expr], bound: tuple[str, ...]) -> list[tuple[int, list[Expr]]] | None:
        """Σ_n (a − b[n]) as Σ_n a − Σ_n b[n], where the sum is of nothing else that knows n."""
        for k, f in enumerate(parts):
            terms = additive_terms(f)
            others = {s for g in (*parts[:k], *parts[k + 1 :]) for s in free_symbols(g)}
            for n in bound:
                knows = [n in free_symbols(t) for _, t in terms]
                if n not in others and any(knows) and not all(knows):
                    return [(sign, [*parts[:k], *self.split(t), *parts[k + 1 :]]) for sign, t in terms]
        return None

    def _condition(self, f: Expr) -> Node:
        return Elementwise("[]", (Scalar(self.scalar(f)),)) if is_condition(f) else Scalar(self.scalar(f))

    def oriented(self, f: Expr | Node, ends: tuple[str, str], row: str, column: str) -> Node:
        """A factor as the matrix over row and column; built the way that needs fewer transposes."""
        if isinstance(f, Node):
            return f if ends == (row, column) else transposed(f)
        straight, turned = self.factor(f, row, column), transposed(self.factor(f, column, row))
        return min(straight, turned, key=lambda a: (transposes(a), isinstance(a, Plus)))  # (X − 1 μᵀ)ᵀ rather than Xᵀ − μ 1ᵀ

    def factor(self, f: Expr, row: str | None, column: str | None) -> Node:
        if is_reciprocal(f):
            one = Scalar(ONE) if row is None else Fill(ONE, row, column)
            return Elementwise("/", (one, self.matrix(f.args[1], row, column)))
        return self.matrix(f, row, column)


NORMAL = ("Phi", "phi")


def with_normal_distribution(parts: list[Expr]) -> list[Expr]:
    """(1 + erf(u/√2))/2 as Φ(u) and exp(−u²/2)/√(2π) as φ(u), in a product."""
    for f in parts:
        u, beside = _distribution(f)
        if u is not None and beside in parts:
            rest = [p for p in parts if p is not f]
            rest.remove(beside)
            return with_normal_distribution([*rest, Op("Phi" if isinstance(f, Op) and f.op == "+" else "phi", (u,))])
    return parts


def _distribution(f: Expr) -> tuple[Expr | None, Expr]:
    """u of 1 + erf(u/√2) or exp(−u²/2), and the factor that stands beside it."""
    half, root = Num(Fraction(1, 2)), Op("sqrt", (num(2),))
    if isinstance(f, Op) and f.op == "+" and len(f.args) == 2 and f.args[0] == ONE and isinstance(f.args[1], Op) and f.args[1].op == "erf":
        inner = factors(f.args[1].args[0])
        for scale in ([ONE / root], [root, half], [half, root]):
            rest = [p for p in inner if p not in scale]
            if len(rest) + len(scale) == len(inner):
                return product(rest), half
    if isinstance(f, Op) and f.op == "exp":
        inner = factors(f.args[0])
        squares = [x for p in inner if (x := square_root(p)) is not None]
        if len(squares) == 1 and len(inner) == 3 and num(-1) in inner and half in inner:
            return squares[0], ONE / Op("sqrt", (product([num(2), Const("pi")]),))
    return None, ONE
