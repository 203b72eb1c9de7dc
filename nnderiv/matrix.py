"""An equation in index form -> its matrix form: a tree of matrices whose (row, column) element is the right-hand side.

    A[i,j]  the matrix A      A[j,i]  its transpose      a[i]  a column      Σ_k A[i,k] B[k,j]  the product A B

The law: `node[row, column] = e` for every row, column and superscript, where `node` is what
`_Recogniser.matrix(e, row, column)` returns. A product with its sums is a graph: indices are vertices, factors with two
indices edges, factors with one index weights; summed vertices are eliminated one by one (a path is a matrix product,
parallel edges are a Hadamard product, a closed loop is a trace).

Two kinds of axes are no rows or columns: the axis along which a recurrence runs, and the leading axes of a tensor with
more than two. They are written as superscripts, h⁽ᵗ⁻¹⁾, or left out with a note where no equation sums over them or
shifts them. Whatever is not certain raises `MatrixFormError` with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from .errors import MatrixFormError
from .evaluate import own_reads
from .expr import (
    COMPARISONS,
    NORMALISERS,
    ONE,
    UNARY,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    additive_terms,
    factors,
    free_symbols,
    num,
    product,
    reads,
    walk,
)
from .integer import Int
from .normal import positive_names, readable
from .program import Equation, Program

Axis = tuple[str, int]


# -- the tree ----------------------------------------------------------------------------------------------------------
class Node:
    """A matrix, a column or a scalar."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Leaf(Node):
    """A tensor; subs holds its superscripts, None stands for a row or column axis."""

    tensor: str
    subs: tuple[Int | None, ...]


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A number: an expression without rows and columns."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Fill(Node):
    """The column or matrix (column is None or not) whose elements all are one scalar."""

    value: Expr
    row: str
    column: str | None


@dataclass(frozen=True, slots=True)
class Ones(Node):
    """The column of ones, as long as its index runs."""

    index: str


@dataclass(frozen=True, slots=True)
class Identity(Node):
    """[i = j], as large as its index runs."""

    index: str


@dataclass(frozen=True, slots=True)
class Transpose(Node):
    of: Node


@dataclass(frozen=True, slots=True)
class Times(Node):
    """Matrix product."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Hadamard(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Plus(Node):
    terms: tuple[tuple[int, Node], ...]


@dataclass(frozen=True, slots=True)
class Scale(Node):
    """Scalars in front of a matrix, or a product of scalars alone."""

    scalars: tuple[Node, ...]
    of: Node | None


@dataclass(frozen=True, slots=True)
class Elementwise(Node):
    """A function, quotient "/" or power "**", element by element; a comparison as a matrix of zeros and ones."""

    op: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Diag(Node):
    """The diagonal matrix of a column."""

    of: Node


@dataclass(frozen=True, slots=True)
class Diagonal(Node):
    """The diagonal of a matrix, as a column."""

    of: Node


@dataclass(frozen=True, slots=True)
class Trace(Node):
    of: Node


@dataclass(frozen=True, slots=True)
class Along(Node):
    """max, min, logsumexp of each row: a column; (log_)softmax of each row: a matrix. Of a column: of all of it."""

    op: str
    of: Node
    is_column: bool


@dataclass(frozen=True, slots=True)
class SumOver(Node):
    """Sum over superscripts."""

    indices: tuple[str, ...]
    of: Node


@dataclass(frozen=True)
class MatrixForm:
    """left = right, for every value of the superscripts; `silent` are the axes that are left out."""

    program: Program
    equation: Equation
    left: Node
    right: Node
    silent: frozenset[Axis] = field(default_factory=frozenset)

    @property
    def for_every(self) -> tuple[str, ...]:
        """The indices that are left out on the left."""
        places = [(s.name, (self.equation.tensor, k)) for k, s in enumerate(self.equation.subs)]
        return tuple(name for name, axis in places if name is not None and axis in self.silent)


def matrix_form(program: Program, equation: Equation) -> MatrixForm:
    """The matrix form of one equation of a program; MatrixFormError, with the reason, where there is none."""
    axes = superscripts(program)
    silent = frozenset(a for a in axes if not _is_moved(program, axes[a], axes))
    r = _Recogniser(program, equation, frozenset(axes))
    rows = [str(s.name) for k, s in enumerate(equation.subs) if (equation.tensor, k) not in axes]
    row, column = [*rows, None, None][:2]
    return MatrixForm(program, equation, r.left(), r.matrix(equation.body, row, column), silent)


# -- superscripts ------------------------------------------------------------------------------------------------------
def superscripts(program: Program) -> dict[Axis, Axis]:
    """The axes that are no rows or columns, each with the representative of its class (axes that share an index)."""
    classes = _axis_classes(program)
    chosen: set[Axis] = {classes[a] for a in _recurrent_axes(program)}
    for tensor, dims in program.dims.items():
        rest = [k for k in range(len(dims)) if classes[tensor, k] not in chosen]
        chosen |= {classes[tensor, k] for k in rest[: max(0, len(rest) - 2)]}
    return {a: c for a, c in classes.items() if c in chosen}


def _places(e: Equation) -> Iterator[tuple[Axis, Int]]:
    """Every subscript of an equation with the axis at which it stands."""
    for tensor, subs in [(e.tensor, e.subs), *((r.tensor, r.subs) for r in reads(e.body))]:
        yield from (((tensor, k), s) for k, s in enumerate(subs))


def _axis_classes(program: Program) -> dict[Axis, Axis]:
    """Axes that one index reads plainly belong together; each with its class's representative."""
    parent: dict[Axis, Axis] = {(t, k): (t, k) for t, dims in program.dims.items() for k in range(len(dims))}

    def find(a: Axis) -> Axis:
        while parent[a] != a:
            a = parent[a]
        return a

    for e in program.equations:
        first: dict[str, Axis] = {}
        for axis, s in _places(e):
            if s.name in e.ranges and axis in parent:
                parent[find(axis)] = find(first.setdefault(str(s.name), axis))
    return {a: find(a) for a in parent}


def _recurrent_axes(program: Program) -> list[Axis]:
    """Where a tensor of a cycle is read at a shifted place, and where a base case has a literal."""
    found: list[Axis] = []
    for e in program.equations:
        cycle = program.components.get(e.tensor, frozenset())
        shifted = [a for a, s in _places(e) if a[0] in cycle and s.name not in e.ranges]
        literal = [(e.tensor, k) for k, s in enumerate(e.subs) if s.name not in e.ranges]
        found += [*shifted, *literal]
    return found


def _is_moved(program: Program, group: Axis, axes: dict[Axis, Axis]) -> bool:
    """Whether some equation sums over this class, shifts it, or uses two of its indices at once."""
    for e in program.equations:
        subs = {s for a, s in _places(e) if axes.get(a) == group}
        if len(subs) > 1 or any(s.name not in e.indices for s in subs):
            return True
    return False


# -- recognition -------------------------------------------------------------------------------------------------------
@dataclass
class _Edge:
    """A factor with two indices: an expression, or a matrix with its orientation."""

    ends: tuple[str, str]
    factor: Expr | Node


class _Recogniser:
    """One equation; `matrix` is the law of the module, the rest are its cases."""

    def __init__(self, program: Program, equation: Equation, superscript_axes: frozenset[Axis]):
        self.program, self.equation, self.axes = program, equation, superscript_axes
        self.above = {str(s.name) for a, s in _places(equation) if a in superscript_axes and s.name in equation.ranges}
        self.equal = {(r.left, r.right) for r in program.requirements if r.op == "=="}

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
        if mine != its and not (self._same(mine.lo, its.lo) and self._same(mine.hi, its.hi)):
            self.fail(f"{index} runs over {mine}, but axis {axis} of {tensor} over {its}")

    def _same(self, a: Int, b: Int) -> bool:
        return a == b or (a, b) in self.equal or (b, a) in self.equal

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
                self.fail(f"{e.tensor} is read at {s}, which is not a plain index")
        leaf = self._leaf(e.tensor, e.subs)
        if len(plain) == 2 and plain[0] == plain[1]:
            return Diagonal(leaf)
        if len(plain) > 2:
            self.fail(f"{e.tensor} has more than two axes")
        return Transpose(leaf) if plain == [column, row] else leaf

    # -- cases ---------------------------------------------------------------------------------------------------------
    def matrix(self, e: Expr, row: str | None, column: str | None) -> Node:
        """The matrix (column None: the column; row None too: the scalar) whose elements are e."""
        here = self.rows(e)
        if not here and row is not None and not any(isinstance(n, Reduce) for n in walk(e)):
            return Fill(self.scalar(e), row, column)
        if (
            row is not None
            and column is not None
            and len(here) < 2
            and not (isinstance(e, Op) and e.op in ("+", "neg", "*", "/"))
        ):
            return self.spread(e, here, row, column)
        terms = additive_terms(e)
        if len(terms) > 1 or terms[0][0] < 0:
            return Plus(tuple((sign, self.matrix(t, row, column)) for sign, t in terms))
        return self.one(e, row, column)

    def spread(self, e: Expr, here: list[str], row: str, column: str) -> Node:
        """A column or row, the same for every column or row: a 1ᵀ, 1 aᵀ."""
        if here == [row]:
            return Times((self.matrix(e, row, None), Transpose(Ones(column))))
        if here == [column]:
            return Times((Ones(row), Transpose(self.matrix(e, column, None))))
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
        if isinstance(e, Op) and (e.op in UNARY or e.op in COMPARISONS or e.op in ("max", "min", "**")):
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
        if row is None and not any(isinstance(n, Reduce) for n in walk(e)):
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
        same = self._same(ranges[row].lo, ranges[column].lo) and self._same(ranges[row].hi, ranges[column].hi)
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
            elif isinstance(f, Op) and f.op == "where" and f.args[2] == ZERO:
                condition = f.args[0]
                parts = condition.args if isinstance(condition, Op) and condition.op == "and" else (condition,)
                found += [*self.split(f.args[1]), *parts]
            else:
                found.append(f)
        return found

    def contract(self, parts: list[Expr], bound: tuple[str, ...], row: str | None, column: str | None) -> Node:
        """Σ over bound of the product of the parts, as the matrix over row and column."""
        for k, f in enumerate(parts):
            if (
                isinstance(f, Op) and f.op == "+" and len(self.rows(f)) > 2
            ):  # no matrix by itself; perhaps its terms are
                split = [(sign, [*parts[:k], *self.split(t), *parts[k + 1 :]]) for sign, t in additive_terms(f)]
                return Plus(tuple((sign, self.contract(rest, bound, row, column)) for sign, rest in split))
        above = tuple(i for i in bound if i in self.above)
        scalars = [f for f in parts if not self.rows(f) and not _has_reduction(f)]
        outside = [f for f in scalars if not free_symbols(f) & set(above)]
        inside = [f for f in scalars if f not in outside]
        graph = _Graph(self, [f for f in parts if f not in scalars], [i for i in bound if i not in above], row, column)
        node = graph.solve()
        if above:
            node = SumOver(above, _scaled([self._condition(f) for f in inside], node))
        return _scaled([Scalar(self.scalar(f)) if not _is_condition(f) else self._condition(f) for f in outside], node)

    def _condition(self, f: Expr) -> Node:
        return Elementwise("[]", (Scalar(self.scalar(f)),)) if _is_condition(f) else Scalar(self.scalar(f))

    def oriented(self, f: Expr | Node, ends: tuple[str, str], row: str, column: str) -> Node:
        """A factor as the matrix over row and column; built the way that needs fewer transposes."""
        if isinstance(f, Node):
            return f if ends == (row, column) else transposed(f)
        straight, turned = self.factor(f, row, column), transposed(self.factor(f, column, row))
        return straight if _transposes(straight) <= _transposes(turned) else turned

    def factor(self, f: Expr, row: str | None, column: str | None) -> Node:
        if isinstance(f, Op) and f.op == "/" and f.args[0] == ONE:
            one = Scalar(ONE) if row is None else Fill(ONE, row, column)
            return Elementwise("/", (one, self.matrix(f.args[1], row, column)))
        return self.matrix(f, row, column)


class _Graph:
    """A product with its sums: vertices are indices, edges factors with two of them, weights factors with one."""

    def __init__(self, owner: _Recogniser, parts: list[Expr], bound: list[str], row: str | None, column: str | None):
        self.owner, self.bound, self.row, self.column = owner, list(bound), row, column
        self.weights: dict[str, list[Node]] = {i: [] for i in [*bound, *filter(None, (row, column))]}
        self.edges: list[_Edge] = []
        self.scalars: list[Node] = []
        for f in parts:
            self._add(f)

    def _add(self, f: Expr) -> None:
        indices = self.owner.rows(f)
        if not indices:
            self.scalars.append(self.owner.factor(f, None, None))
        elif len(indices) == 1:
            self.weights[indices[0]].append(self.owner.factor(f, indices[0], None))
        elif len(indices) == 2:
            self.edges.append(_Edge((indices[0], indices[1]), f))
        else:
            self.owner.fail(f"in {f} the {len(indices)} indices {', '.join(indices)} meet")

    # -- elimination ---------------------------------------------------------------------------------------------------
    def solve(self) -> Node:
        while self.bound:
            self._close_loops()
            self._merge_parallel()
            degree = {k: len(self._at(k)) for k in self.bound}
            if not self.bound:
                break
            k = min(reversed(self.bound), key=lambda k: degree[k])
            if degree[k] > 2:
                self.owner.fail(f"the index {k} joins {degree[k]} factors")
            self.bound.remove(k)
            (self._sum_vector, self._sum_end, self._sum_middle)[degree[k]](k)
        self._merge_parallel()
        return _scaled(self.scalars, self._result())

    def _at(self, k: str) -> list[_Edge]:
        return [e for e in self.edges if k in e.ends]

    def _matrix(self, e: _Edge, row: str, column: str) -> Node:
        return self.owner.oriented(e.factor, e.ends, row, column)

    def _close_loops(self) -> None:
        """Two edges between two summed indices, and nothing else there: tr(Aᵀ B)."""
        for e in list(self.edges):
            i, j = e.ends
            between = [f for f in self.edges if set(f.ends) == {i, j}]
            closed = (
                len(between) == 2 == len(self._at(i)) == len(self._at(j))
                and not self.weights[i]
                and not self.weights[j]
            )
            if e in self.edges and closed and {i, j} <= set(self.bound):
                a, b = between
                ways = [times(self._matrix(a, p, q), self._matrix(b, q, p)) for p, q in ((j, i), (i, j))]
                self.scalars.append(Trace(min(ways, key=_transposes)))
                self.edges = [f for f in self.edges if f not in between]
                self.bound = [k for k in self.bound if k not in (i, j)]

    def _merge_parallel(self) -> None:
        """Edges between the same two indices: A ⊙ B."""
        groups: dict[frozenset[str], list[_Edge]] = {}
        for e in self.edges:
            groups.setdefault(frozenset(e.ends), []).append(e)
        self.edges = [g[0] if len(g) == 1 else self._merged(g) for g in groups.values()]

    def _merged(self, group: list[_Edge]) -> _Edge:
        i, j = group[0].ends
        ways = [(ends, hadamard([self._matrix(e, *ends) for e in group])) for ends in ((i, j), (j, i))]
        return _Edge(*min(ways, key=lambda way: _transposes(way[1])))

    def _sum_vector(self, k: str) -> None:
        """Σ_k a_k = 1ᵀa, Σ_k a_k b_k = aᵀb, Σ_k A_kk = tr A, Σ_k 1 = the number of places."""
        found = self.weights[k]
        if not found:
            self.scalars.append(Scalar(IntValue(self.owner.equation.ranges[k].size)))
        elif len(found) == 1 and isinstance(found[0], Diagonal):
            self.scalars.append(Trace(found[0].of))
        else:
            first, rest = (Ones(k), found) if len(found) == 1 else (found[0], found[1:])
            self.scalars.append(times(transposed(first), hadamard(rest)))

    def _sum_end(self, k: str) -> None:
        """Σ_k A_xk b_k = A b, with 1 for b where there is none."""
        (e,) = self._at(k)
        self.edges.remove(e)
        (x,) = set(e.ends) - {k}
        vector = hadamard(self.weights[k]) if self.weights[k] else Ones(k)
        self.weights[x].append(times(self._matrix(e, x, k), vector))

    def _sum_middle(self, k: str) -> None:
        """Σ_k A_xk d_k B_ky = A diag(d) B."""
        a, b = self._at(k)
        (x,), (y,) = set(a.ends) - {k}, set(b.ends) - {k}
        if (y, x) == (self.row, self.column) or x == self.column or y == self.row:
            a, b, x, y = b, a, y, x
        self.edges = [e for e in self.edges if e is not a and e is not b]
        middle = [Diag(hadamard(self.weights[k]))] if self.weights[k] else []
        self.edges.append(_Edge((x, y), times(self._matrix(a, x, k), *middle, self._matrix(b, k, y))))

    def _result(self) -> Node | None:
        """What remains over row and column: diag(r) A diag(c), r cᵀ, r, or nothing but scalars."""
        if self.row is None:
            return None
        rows = self.weights[self.row]
        if self.column is None:
            return hadamard(rows) if rows else Ones(self.row)
        columns = self.weights[self.column]
        if self.edges:
            (e,) = self.edges
            front, back = ([Diag(hadamard(w))] if w else [] for w in (rows, columns))
            return times(*front, self._matrix(e, self.row, self.column), *back)
        left = hadamard(rows) if rows else Ones(self.row)
        return times(left, transposed(hadamard(columns) if columns else Ones(self.column)))


# -- building ----------------------------------------------------------------------------------------------------------
def transposed(a: Node) -> Node:
    """Aᵀ, with (A B)ᵀ = Bᵀ Aᵀ and (Aᵀ)ᵀ = A."""
    if isinstance(a, Transpose):
        return a.of
    if isinstance(a, Times):
        return Times(tuple(transposed(p) for p in reversed(a.parts)))
    if isinstance(a, Diag | Scalar | Identity):
        return a
    if isinstance(a, Scale) and a.of is not None:
        return Scale(a.scalars, transposed(a.of))
    return Transpose(a)


def times(*parts: Node) -> Node:
    """The matrix product, flat, without identities."""
    flat = [q for p in parts for q in (p.parts if isinstance(p, Times) else (p,))]
    flat = [q for q in flat if not isinstance(q, Identity)] or flat[:1]
    return flat[0] if len(flat) == 1 else Times(tuple(flat))


def hadamard(parts: list[Node]) -> Node:
    """The Hadamard product, flat; reciprocals become one quotient."""
    flat = [q for p in parts for q in (p.parts if isinstance(p, Hadamard) else (p,))]
    below = [p.args[1] for p in flat if is_reciprocal(p) and isinstance(p, Elementwise)]
    above = [p for p in flat if not is_reciprocal(p)]
    top = above[0] if len(above) == 1 else Hadamard(tuple(above)) if above else None
    if not below:
        assert top is not None
        return top
    if top is None and len(below) == 1:
        return next(p for p in flat if is_reciprocal(p))
    one = next(p.args[0] for p in flat if isinstance(p, Elementwise) and is_reciprocal(p))
    return Elementwise("/", (top or one, hadamard(below)))


def is_reciprocal(a: Node) -> bool:
    return isinstance(a, Elementwise) and a.op == "/" and isinstance(a.args[0], Fill) and a.args[0].value == ONE


def _scaled(scalars: list[Node], node: Node | None) -> Node:
    """Scalars in front; plain ones gathered into one expression, a minus as a sign."""
    flat = list(scalars)
    if isinstance(node, Scale):
        flat, node = [*flat, *node.scalars], node.of
    value = product([s.value for s in flat if isinstance(s, Scalar)])
    others = tuple(s for s in flat if not isinstance(s, Scalar))
    minus = (isinstance(value, Op) and value.op == "neg") or (isinstance(value, Num) and value.value < 0)
    if minus:
        value = product([num(-1), value])
    front = (*([] if value == ONE else [Scalar(value)]), *others)
    if node is None:
        result: Node = Scalar(ONE) if not front else front[0] if len(front) == 1 else Scale(front, None)
    else:
        result = Scale(front, node) if front else node
    return Plus(((-1, result),)) if minus else result


def _transposes(a: Node) -> int:
    """How many transposes are written in a tree, those of ones left out."""
    own = isinstance(a, Transpose) and not isinstance(a.of, Ones)
    return own + sum(_transposes(c) for c in parts_of(a))


def parts_of(a: Node) -> tuple[Node, ...]:
    """The nodes directly inside a node."""
    if isinstance(a, Transpose | Diag | Diagonal | Trace | Along | SumOver):
        return (a.of,)
    if isinstance(a, Times | Hadamard):
        return a.parts
    if isinstance(a, Plus):
        return tuple(t for _, t in a.terms)
    if isinstance(a, Scale):
        return (*a.scalars, *([a.of] if a.of is not None else []))
    return a.args if isinstance(a, Elementwise) else ()


def _has_reduction(e: Expr) -> bool:
    return any(isinstance(n, Reduce) for n in walk(e))


def _is_condition(e: Expr) -> bool:
    return isinstance(e, Op) and (e.op in COMPARISONS or e.op in ("and", "or", "not", "true", "false"))


__all__ = ["MatrixForm", "Node", "matrix_form", "superscripts"]
