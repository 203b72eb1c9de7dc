"""The way back: a tree of matrices -> index notation, by the definition of each node.

    (A B)[i,j] = Σ_k A[i,k] B[k,j]      Aᵀ[i,j] = A[j,i]      (A ⊙ B)[i,j] = A[i,j] B[i,j]      diag(a)[i,j] = a[i] [i = j]
    (A ⋆ B)[i,j] = Σ_{u,v} A[i+u,j+v] B[u,v]                  (A ∗ B)[i,j] = Σ_{u,v} A[i−u,j−v] B[u,v]
    (↑s A)[i] = A[i/s] where s divides i, else 0              (↓s A)[i] = A[s·i]              (shift_p A)[i] = A[i−p]

The law: for the form of an equation, `lower(form)` has the equation's values. Operands that do not fit raise `MatrixFormError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import MatrixFormError
from ..expr import COMPARISONS, ONE, TRUE, ZERO, Const, Expr, Op, Read, Reduce, add, compare, conjunction, mul, neg, num, own_reads, where
from ..fresh import Fresh
from ..integer import Int
from ..polynomial import guarded_factors, product
from ..program import Equation, Program, Range
from ..within import positive_names, readable
from . import nodes as mx
from .build import mapped, plus, terms_of

if TYPE_CHECKING:
    from .form import MatrixForm

Place = Int | None           # None: that axis has one place only
Shape = tuple[Range | None, Range | None]
MATRIX_OF_ONE: Shape = (None, None)
ANYWHERE = Range(Int.of(0), Int.symbol("∞"))  # a signal can be read at every place


def lower(form: MatrixForm) -> Equation:
    """The equation that a matrix form says."""
    e = form.equation
    way = Lowering(form.program, e)
    rows = [s for s, plain in zip(e.subs, _plain(form.left), strict=True) if plain]
    if len(rows) > 2:
        raise MatrixFormError(f"{e.left} has no matrix form: it has more than two axes.")
    row, column = [*rows, None, None][:2]
    body = way.element(form.right, row, column)
    return replace(e, body=body, ranges=way.ranges)


def _plain(left: mx.Node) -> list[bool]:
    assert isinstance(left, mx.Leaf)
    return [s is None for s in left.subs]


class Lowering:
    """Elements of nodes, with the ranges of the indices that sums needed."""

    def __init__(self, program: Program, equation: Equation):
        self.program, self.equation = program, equation
        self.ranges = dict(equation.ranges)
        self.fresh = Fresh(program.names | set(equation.ranges))

    def fail(self, reason: str) -> MatrixFormError:
        return MatrixFormError(f"{self.equation.left} has no matrix form: {reason}.")

    # -- shapes ------------------------------------------------------------------------------------------------------
    def shape(self, a: mx.Node) -> Shape:
        """(rows, columns); None for an axis that a column or a scalar lacks."""
        return SHAPE[type(a)](self, a)

    def range(self, index: str) -> Range:
        return self.equation.ranges[index]

    def common(self, shapes: Sequence[Shape]) -> Shape:
        """The shape of operands that stand side by side: all the same, scalars aside."""
        wide = sorted((s for s in shapes if s != MATRIX_OF_ONE), key=lambda s: ANYWHERE in s)
        for s in wide[1:]:
            if not all(self._fits(p, q) for p, q in zip(s, wide[0], strict=True)):
                raise self.fail(f"the shapes {_shown(wide[0])} and {_shown(s)} stand side by side")
        return wide[0] if wide else MATRIX_OF_ONE

    def _fits(self, a: Range | None, b: Range | None) -> bool:
        if a is None or b is None:
            return a is b
        return ANYWHERE in (a, b) or self.program.coincide(a, b) or self.program.are_equal(a.size, b.size)

    # -- elements ----------------------------------------------------------------------------------------------------
    def element(self, a: mx.Node, row: Place, column: Place) -> Expr:
        """a[row, column]"""
        found: Expr = ELEMENT[type(a)](self, a, row, column)
        return found

    def index(self, r: Range, wish: str = "k") -> str:
        """A new index that runs over a range."""
        name = self.fresh(wish)
        self.ranges[name] = r
        return name

    def all(self, parts: Sequence[mx.Node], row: Place, column: Place) -> list[Expr]:
        self.common([self.shape(p) for p in parts])
        return [self.element(p, *self._at(p, row, column)) for p in parts]

    def _at(self, a: mx.Node, row: Place, column: Place) -> tuple[Place, Place]:
        """Scalars stand beside matrices, and have no place."""
        return (None, None) if self.shape(a) == MATRIX_OF_ONE else (row, column)


def apart(a: mx.Node, w: Lowering, rows: Sequence[str]) -> mx.Node:
    """Σ (A + B) as Σ A + Σ B where not the same reads can be out of range in both: a sum leaves out the places of all of them."""
    a = mapped(partial(apart, w=w, rows=rows), a)
    if isinstance(a, mx.Plus):  # one of its terms may be two now
        return mx.Plus(tuple((sign * s, t) for sign, b in a.terms for s, t in (b.terms if isinstance(b, mx.Plus) else ((1, b),))))
    if not isinstance(a, mx.SumOver):
        return a
    groups: dict[frozenset[Expr], list[tuple[int, mx.Node]]] = {}
    for sign, t in terms_of(a.of):
        groups.setdefault(_inside(t, w, rows), []).append((sign, t))
    if len(groups) == 1:
        return a
    sums = ((g[0][0], plus([(g[0][0] * sign, t) for sign, t in g])) for g in groups.values())
    return mx.Plus(tuple((sign, mx.SumOver(a.indices, t)) for sign, t in sums))


def _inside(a: mx.Node, w: Lowering, rows: Sequence[str]) -> frozenset[Expr]:
    """The conditions under which all that an element reads outside of its own sums is in range."""
    row, column = (_place(w, r, rows[k : k + 1]) for k, r in enumerate(w.shape(a)))
    found = own_reads(w.element(a, row, column))
    return frozenset(c for name, subs in found for c in readable(w.program.hulls[name], subs, w.ranges, positive_names(w.program)))


def _place(w: Lowering, r: Range | None, own: Sequence[str]) -> Place:
    """Where an axis is read: at the index of the equation's own axis, if it runs as far."""
    if r is None:
        return None
    return Int.symbol(next((i for i in own if r in (w.range(i), ANYWHERE)), None) or w.index(r))


def _shape_of_leaf(w: Lowering, a: mx.Leaf) -> Shape:
    row, column, *_ = [*(w.program.dims[a.tensor][k] for k, s in enumerate(a.subs) if s is None), None, None]
    return row, column


def _shape_along(w: Lowering, a: mx.Along) -> Shape:
    return w.shape(a.of) if "softmax" in a.op else MATRIX_OF_ONE if a.is_column else (w.shape(a.of)[0], None)


def _shape_beside(w: Lowering, a: mx.Node) -> Shape:
    return w.common([w.shape(p) for p in mx.parts_of(a)])


def _shape_moved(w: Lowering, a: mx.Node) -> Shape:
    """Of what moves the rows and columns of its first operand, as many as are wanted may be meant."""
    rows, columns = w.shape(mx.parts_of(a)[0])
    return ANYWHERE if rows else None, ANYWHERE if columns else None


SHAPE: dict[type[mx.Node], Callable[[Lowering, Any], Shape]] = {
    mx.Leaf: _shape_of_leaf,
    mx.Scalar: lambda w, a: MATRIX_OF_ONE,
    mx.Fill: lambda w, a: (w.range(a.row), w.range(a.column) if a.column else None),
    mx.Ones: lambda w, a: (w.range(a.index), None),
    mx.Identity: lambda w, a: (w.range(a.index), w.range(a.index)),
    mx.Transpose: lambda w, a: w.shape(a.of)[::-1],
    mx.Times: lambda w, a: (w.shape(a.parts[0])[0], w.shape(a.parts[-1])[1]),
    mx.Diag: lambda w, a: (w.shape(a.of)[0], w.shape(a.of)[0]),
    mx.Diagonal: lambda w, a: (w.shape(a.of)[0], None),
    mx.Trace: lambda w, a: MATRIX_OF_ONE,
    mx.Along: _shape_along,
    **dict.fromkeys((mx.SumOver, mx.Extreme), lambda w, a: w.shape(a.of)),
    **dict.fromkeys((mx.Hadamard, mx.Plus, mx.Scale, mx.Elementwise), _shape_beside),
    **dict.fromkeys((mx.Correlate, mx.Up, mx.Down, mx.Shift, mx.Flip), _shape_moved),
}


def _shown(s: Shape) -> str:
    return "×".join(str(r.size) if r else "1" for r in s)


def gathered(parts: Sequence[Expr]) -> Expr:
    """A product, its conditions gathered: where(c, a b, 0)."""
    conditions, found = guarded_factors(Op("*", tuple(parts))) if parts else ([], [])
    return where(conjunction(conditions), product(found), ZERO) if conditions else product(found)


def _leaf(w: Lowering, a: mx.Leaf, row: Place, column: Place) -> Expr:
    places = iter(p for p in (row, column) if p is not None)
    subs = tuple(s if s is not None else next(places) for s in a.subs)
    return Read(a.tensor, subs)


def _times(w: Lowering, a: mx.Times, row: Place, column: Place) -> Expr:
    """Σ over an index between each two factors; a diagonal matrix, or the identity, joins two of them to one."""
    shapes = [w.shape(p) for p in a.parts]
    if any(ANYWHERE in s for s in shapes):
        raise w.fail("a factor of a matrix product is a shifted matrix, a block of which is meant")
    for left, right in pairwise(shapes):
        if not w._fits(left[1], right[0]):
            raise w.fail(f"the product of {_shown(left)} and {_shown(right)} does not exist")
    places: list[Place] = [row, *[None] * (len(a.parts) - 1), column]
    bound: list[str] = []
    settled = [True, *[s[1] is None for s in shapes[:-1]], True]
    thin = [isinstance(p, mx.Diag | mx.Identity) for p in a.parts]
    for sweep in (range(len(thin)), reversed(range(len(thin)))):
        for k in sweep:
            if thin[k] and settled[k] != settled[k + 1]:
                known, other = (k, k + 1) if settled[k] else (k + 1, k)
                places[other], settled[other] = places[known], True
    for k in range(1, len(a.parts)):
        if not settled[k]:
            r = shapes[k - 1][1]
            assert r is not None
            name = w.index(r)
            places[k], settled[k] = Int.symbol(name), True
            bound.append(name)
            j = k
            while thin[j] and not settled[j + 1]:
                places[j + 1], settled[j + 1], j = places[j], True, j + 1
    found = []
    for k, p in enumerate(a.parts):
        if thin[k] and places[k] == places[k + 1]:
            found += [w.element(p.of, places[k], None)] if isinstance(p, mx.Diag) else []
        else:
            found.append(w.element(p, places[k], places[k + 1]))
    return summed(bound, gathered(found))


def summed(bound: Sequence[str], body: Expr) -> Expr:
    """Σ over the indices; sums directly inside join it."""
    if not bound:
        return body
    return Reduce("sum", tuple(bound), body)


def _hadamard(w: Lowering, a: mx.Hadamard, row: Place, column: Place) -> Expr:
    return gathered(w.all(a.parts, row, column))


def _scale(w: Lowering, a: mx.Scale, row: Place, column: Place) -> Expr:
    found = [w.element(s, None, None) for s in a.scalars]
    return gathered([*found, *([] if a.of is None else [w.element(a.of, row, column)])])


def _plus(w: Lowering, a: mx.Plus, row: Place, column: Place) -> Expr:
    """A number beside matrices stands for a matrix that is full of it."""
    terms = w.all([t for _, t in a.terms], row, column)
    return add([t if sign > 0 else neg(t) for (sign, _), t in zip(a.terms, terms, strict=True)])


def _elementwise(w: Lowering, a: mx.Elementwise, row: Place, column: Place) -> Expr:
    if a.op == "[]":
        (scalar,) = a.args
        assert isinstance(scalar, mx.Scalar)
        return where(scalar.value, ONE, ZERO)
    args = tuple(w.all(a.args, row, column))
    if a.op == "Phi":
        return (ONE + Op("erf", (args[0] / Op("sqrt", (num(2),)),))) / num(2)
    if a.op == "phi":
        return Op("exp", (neg(args[0] * args[0]) / num(2),)) / Op("sqrt", (mul([num(2), Const("pi")]),))
    if a.op in COMPARISONS:
        return where(Op(a.op, args), ONE, ZERO)
    return product([args[0], Op("/", (ONE, args[1]))]) if a.op == "/" else Op(a.op, args)


def _diag(w: Lowering, a: mx.Diag, row: Place, column: Place) -> Expr:
    assert row is not None and column is not None
    condition = compare("==", row, column)
    value = w.element(a.of, row, None)
    return value if condition == TRUE else where(condition, value, ZERO)


def _identity(w: Lowering, a: mx.Identity, row: Place, column: Place) -> Expr:
    assert row is not None and column is not None
    condition = compare("==", row, column)
    return ONE if condition == TRUE else where(condition, ONE, ZERO)


def _trace(w: Lowering, a: mx.Trace, row: Place, column: Place) -> Expr:
    rows, columns = w.shape(a.of)
    if rows is None or not w._fits(rows, columns):
        raise w.fail(f"the trace of {_shown((rows, columns))} does not exist")
    k = w.index(rows)
    return summed([k], w.element(a.of, Int.symbol(k), Int.symbol(k)))


def _along(w: Lowering, a: mx.Along, row: Place, column: Place) -> Expr:
    rows, columns = w.shape(a.of)
    keeps = "softmax" in a.op
    if keeps:
        along = row if a.is_column else column
        assert along is not None
        if along.name is None:
            raise w.fail(f"{a.op} is read at {along}")
        return Reduce(a.op, (along.name,), w.element(a.of, row, column))
    r = rows if a.is_column else columns
    assert r is not None
    k = w.index(r)
    here = (Int.symbol(k), None) if a.is_column else (row, Int.symbol(k))
    return Reduce(a.op, (k,), w.element(a.of, *here))


def _sum_over(w: Lowering, a: mx.SumOver, row: Place, column: Place) -> Expr:
    return summed(a.indices, w.element(a.of, row, column))


# -- windows -------------------------------------------------------------------------------------------------------------
def _correlate(w: Lowering, a: mx.Correlate, row: Place, column: Place) -> Expr:
    """Σ over the places u of the second operand of first[i ± u] second[u]; an operand ↑s B has its places at s·u."""
    inner, steps = (a.second.of, a.second.steps) if isinstance(a.second, mx.Up) else (a.second, (ONE_STEP, ONE_STEP))
    places: list[Place] = []
    shifted: list[Place] = []
    bound: list[str] = []
    for at, r, step in zip((row, column), w.shape(inner), steps, strict=True):
        if at is None or r is None:
            places.append(None)
            shifted.append(None)
            continue
        bound.append(w.index(r, "u"))
        u = Int.symbol(bound[-1])
        places.append(u)
        shifted.append(at + step * u if a.sign > 0 else at - step * u)
    return summed(bound, gathered([w.element(a.first, *shifted), w.element(inner, *places)]))


ONE_STEP = Int.of(1)


def _up(w: Lowering, a: mx.Up, row: Place, column: Place) -> Expr:
    conditions, places = [], []
    for at, step in zip((row, column), a.steps, strict=True):
        whole = at is None or step == 1
        if not whole:
            assert at is not None
            conditions.append(compare("==", at % step, Int.of(0)))
        places.append(at if at is None or whole else at // step)
    return gathered([where(conjunction(conditions), ONE, ZERO), w.element(a.of, *places)])


def _down(w: Lowering, a: mx.Down, row: Place, column: Place) -> Expr:
    return w.element(a.of, *(at if at is None else at * step for at, step in zip((row, column), a.steps, strict=True)))


def _shift(w: Lowering, a: mx.Shift, row: Place, column: Place) -> Expr:
    return w.element(a.of, *(at if at is None else at - by for at, by in zip((row, column), a.by, strict=True)))


def _flip(w: Lowering, a: mx.Flip, row: Place, column: Place) -> Expr:
    return w.element(a.of, *(at if at is None else size - 1 - at for at, size in zip((row, column), a.sizes, strict=True)))


def _extreme(w: Lowering, a: mx.Extreme, row: Place, column: Place) -> Expr:
    return Reduce(a.op, a.indices, w.element(a.of, row, column))


ELEMENT = {
    mx.Leaf: _leaf,
    mx.Scalar: lambda w, a, row, column: a.value,
    mx.Fill: lambda w, a, row, column: a.value,
    mx.Ones: lambda w, a, row, column: ONE,
    mx.Identity: _identity,
    mx.Transpose: lambda w, a, row, column: w.element(a.of, column, row),
    mx.Times: _times,
    mx.Hadamard: _hadamard,
    mx.Plus: _plus,
    mx.Scale: _scale,
    mx.Elementwise: _elementwise,
    mx.Diag: _diag,
    mx.Diagonal: lambda w, a, row, column: w.element(a.of, row, row),
    mx.Trace: _trace,
    mx.Along: _along,
    mx.SumOver: _sum_over,
    mx.Extreme: _extreme,
    mx.Correlate: _correlate,
    mx.Up: _up,
    mx.Down: _down,
    mx.Shift: _shift,
    mx.Flip: _flip,
}
