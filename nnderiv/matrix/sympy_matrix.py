"""A matrix form -> a SymPy matrix expression, where SymPy has the operations.

    matrix, column, scalar     MatrixSymbol N×M, MatrixSymbol N×1, Symbol
    Times, Hadamard, Plus      MatMul, HadamardProduct, MatAdd
    Ones, Identity, Diag       OneMatrix, Identity, DiagMatrix
    Trace, Diagonal            Trace, DiagonalOf
    f(A), A ⊘ B, [A > 0]       applyfunc with f, with 1/x, with a Piecewise
    softmax of rows            E ⊘ (E 1 1ᵀ), E = exp(S)
    a mask that is defined     FunctionMatrix

The law: with explicit matrices for its symbols, the expression is the matrix that the interpreter computes. Where SymPy has no word
(sums over superscripts, windows, maxima along rows) `MatrixFormError` says so.
"""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any, NoReturn

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf

from ..errors import MatrixFormError
from ..expr import COMPARISONS, ints
from ..integer import Int, compact
from ..program import Equation, Range
from ..sympy_form import operation, scalar_to_sympy
from . import nodes as mx
from .element import Lowering
from .form import MatrixForm


def matrix_to_sympy(form: MatrixForm) -> Any:
    """The right-hand side of a form as a SymPy expression; names that it defines are put in their places."""
    return _Writer(form).expression(form.right)


class _Writer:
    def __init__(self, form: MatrixForm):
        self.form = form
        self.shapes = Lowering(form.program, form.equation)
        self.definitions = {(d if isinstance(d, Equation) else d.equation).tensor: d for d in form.definitions}

    def fail(self, what: str) -> NoReturn:
        raise MatrixFormError(f"{self.form.equation.left} has no SymPy matrix expression: {what}.")

    def size(self, r: Range | None) -> Any:
        return sp.Integer(1) if r is None else self.integer(r.size)

    def integer(self, value: Int) -> Any:
        return scalar_to_sympy(self.form.program, self.form.equation, value)

    def shape(self, a: mx.Node) -> tuple[Any, Any]:
        row, column = self.shapes.shape(a)
        return self.size(row), self.size(column)

    # -- nodes -------------------------------------------------------------------------------------------------------
    @singledispatchmethod
    def expression(self, a: mx.Node) -> Any:
        self.fail(f"SymPy has no word for {type(a).__name__}")

    @expression.register
    def _(self, a: mx.Leaf) -> Any:
        if a.tensor in self.definitions:
            return self.defined(self.definitions[a.tensor])
        kept = [compact(s) for k, s in enumerate(a.subs) if s is not None and (a.tensor, k) not in self.form.silent]
        name = f"{a.tensor}[{','.join(kept)}]" if kept else a.tensor
        return sp.MatrixSymbol(name, *self.shape(a)) if None in a.subs else sp.Symbol(name, real=True)

    def defined(self, d: MatrixForm | Equation) -> Any:
        """A name's matrix form, or a matrix given by its elements."""
        if isinstance(d, MatrixForm):
            return _Writer(d).expression(d.right)
        row, column = [*d.indices, None][:2]
        sizes = [self.size(d.ranges[i]) for i in d.indices]
        if len(d.indices) > 2 or any(d.ranges[i].lo != 0 for i in d.indices) or any(n.elements() for n in ints(d.body)):
            self.fail(f"{d.left} depends on data")
        i, j = (sp.Symbol(n, integer=True) if n else sp.Dummy("j", integer=True) for n in (row, column))
        value = scalar_to_sympy(self.form.program, d, d.body).replace(lambda e: hasattr(e, "_eval_rewrite_as_Piecewise") and e.nargs == {3},
                                                                      lambda e: e.rewrite(sp.Piecewise))
        return sp.FunctionMatrix(*[*sizes, 1][:2], sp.Lambda((i, j), value))

    @expression.register
    def _(self, a: mx.Scalar) -> Any:
        return scalar_to_sympy(self.form.program, self.form.equation, a.value)

    @expression.register
    def _(self, a: mx.Fill) -> Any:
        return scalar_to_sympy(self.form.program, self.form.equation, a.value) * sp.OneMatrix(*self.shape(a))

    @expression.register
    def _(self, a: mx.Ones) -> Any:
        return sp.OneMatrix(*self.shape(a))

    @expression.register
    def _(self, a: mx.Identity) -> Any:
        return sp.Identity(self.shape(a)[0])

    @expression.register
    def _(self, a: mx.Transpose) -> Any:
        return sp.Transpose(self.expression(a.of)).doit(deep=False)

    @expression.register
    def _(self, a: mx.Times) -> Any:
        found = sp.MatMul(*(self.expression(p) for p in a.parts))
        return found[0, 0] if self.shape(a) == (1, 1) and self.shapes.shape(a) == (None, None) else found

    @expression.register
    def _(self, a: mx.Hadamard) -> Any:
        return sp.HadamardProduct(*(self.wide(p, self.shape(a)) for p in a.parts))

    @expression.register
    def _(self, a: mx.Plus) -> Any:
        shape = self.shape(a)
        if self.shapes.shape(a) == (None, None):
            return sp.Add(*(sign * self.expression(t) for sign, t in a.terms))
        return sp.MatAdd(*(sign * self.wide(t, shape) for sign, t in a.terms))

    def wide(self, a: mx.Node, shape: tuple[Any, Any]) -> Any:
        """A number beside matrices stands for a matrix that is full of it."""
        found = self.expression(a)
        return found if hasattr(found, "shape") else found * sp.OneMatrix(*shape)

    @expression.register
    def _(self, a: mx.Scale) -> Any:
        parts = [self.expression(p) for p in (*a.scalars, *([a.of] if a.of is not None else []))]
        return sp.Mul(*parts) if not any(hasattr(p, "shape") for p in parts) else sp.MatMul(*parts)

    @expression.register
    def _(self, a: mx.Diag) -> Any:
        return DiagMatrix(self.expression(a.of))

    @expression.register
    def _(self, a: mx.Diagonal) -> Any:
        return DiagonalOf(self.expression(a.of))

    @expression.register
    def _(self, a: mx.Trace) -> Any:
        return sp.Trace(self.expression(a.of))

    @expression.register
    def _(self, a: mx.Along) -> Any:
        """softmax and logsumexp by exp and sums with 1."""
        if a.op in ("max", "min"):
            self.fail(f"SymPy has no {a.op} along an axis")
        inner, (rows, columns) = self.expression(a.of), self.shape(a.of)
        exp = _apply(lambda x: sp.exp(x), inner)
        ones = sp.OneMatrix(rows, 1) if a.is_column else sp.OneMatrix(columns, 1)
        total = sp.MatMul(ones.T, exp) if a.is_column else sp.MatMul(exp, ones)
        if a.op == "logsumexp":
            return sp.log(total[0, 0]) if a.is_column else _apply(sp.log, total)
        spread = sp.MatMul(sp.OneMatrix(rows, 1), total) if a.is_column else sp.MatMul(total, sp.OneMatrix(1, columns))
        if a.op == "softmax":
            return sp.HadamardProduct(exp, _apply(lambda x: 1 / x, spread))
        return sp.MatAdd(inner, -_apply(sp.log, spread))

    @expression.register
    def _(self, a: mx.Elementwise) -> Any:
        shape = self.shape(a)
        if self.shapes.shape(a) == (None, None):
            return operation(a.op, [self.expression(p) for p in a.args])
        args = [self.expression(p) for p in a.args] if a.op == "**" else [self.wide(p, shape) for p in a.args]
        if a.op == "**":
            return _apply(lambda x: x ** args[1], args[0])
        if a.op == "/":
            return sp.HadamardProduct(args[0], _apply(lambda x: 1 / x, args[1]))
        if a.op in COMPARISONS:
            difference = sp.MatAdd(args[0], -args[1]).doit(deep=False) if args[1] != sp.ZeroMatrix(*shape) else args[0]
            return _apply(lambda x: sp.Piecewise((1, operation(a.op, [x, sp.Integer(0)])), (0, True)), difference)
        if len(args) > 1:
            self.fail(f"SymPy has no {a.op} of two matrices")
        return _apply(lambda x: operation(a.op, [x]), args[0])


def _apply(f: Any, a: Any) -> Any:
    """f, element by element."""
    x = sp.Dummy("x", real=True)
    return a.applyfunc(sp.Lambda(x, f(x)))
