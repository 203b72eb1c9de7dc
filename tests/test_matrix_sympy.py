"""A gradient's SymPy matrix expression, on explicit matrices, is what the interpreter computes."""

from __future__ import annotations

from random import Random

import pytest
import sympy as sp

import nnderiv as nd
from nnderiv import layers
from nnderiv.draw import draw

EXPRESSIONS = {
    "dense": ("X", "W", "b"),
    "perceptron_criterion": ("w",),
    "gram": ("X",),
    "sigmoid": ("X",),
    "relu": ("X",),
    "softmax": ("X",),
    "log_softmax": ("X",),
    "cross_entropy": ("Z",),
    "squared_error": ("Y",),
    "mlp_cross_entropy": ("X", "W1", "b1", "W2"),
    "scaled_dot_product_attention": ("Q", "K", "V"),
    "self_attention": ("X",),
    "distance": ("X", "w", "b"),
}


def explicit(expression, values, sizes):
    """The expression with numbers for its symbols, as a matrix of numbers."""
    expression = expression.subs({s: sizes[s.name] for s in expression.free_symbols if isinstance(s, sp.Symbol) and s.name in sizes})
    table = {}
    for symbol in expression.atoms(sp.MatrixSymbol):
        value = values[symbol.name]
        rows = value if isinstance(value[0], list) else [[x] for x in value]
        table[symbol] = sp.Matrix(rows)
    scalars = {s: values[s.name] for s in expression.free_symbols if isinstance(s, sp.Symbol) and s.name in values}
    found = expression.subs(scalars).subs(table).doit()
    return found.as_explicit() if hasattr(found, "as_explicit") else found


@pytest.mark.parametrize(("name", "wrt"), [(name, x) for name, names in EXPRESSIONS.items() for x in names])
def test_a_matrix_expression_on_explicit_matrices_is_the_gradient(name, wrt):
    d = layers.ALL[name].derivation
    program = d.backward
    sample = draw(program, Random(1), mode="positive", largest=3)
    tensors = [i.name for i in program.inputs] + [e.tensor for e in program.equations]
    values = nd.evaluate(program, sample.inputs, outputs=tensors)
    found = explicit(d[wrt].matrix_expression, values, sample.sizes)
    wanted = values[d[wrt].name]
    if not isinstance(wanted, list):
        assert abs(float(found - wanted)) < 1e-12
        return
    rows = wanted if isinstance(wanted[0], list) else [[x] for x in wanted]
    assert found.shape == (len(rows), len(rows[0]))
    for i, row in enumerate(rows):
        for j, x in enumerate(row):
            assert abs(float(found[i, j]) - float(x)) < 1e-12, (i, j)


def test_the_expression_is_the_textbook_one():
    d = layers.ALL["dense"].derivation
    n, i, o = sp.symbols("N I O", integer=True)
    x, seed, w = sp.MatrixSymbol("X", n, i), sp.MatrixSymbol("dY", n, o), sp.MatrixSymbol("W", i, o)
    assert d["W"].matrix_expression == x.T * seed
    assert d["X"].matrix_expression == seed * w.T
    assert d["b"].matrix_expression == seed.T * sp.OneMatrix(n, 1)


@pytest.mark.parametrize(("name", "wrt", "reason"), [("conv1d", "X", "SumOver"), ("elman", "W", "SumOver"), ("embedding", "E", "data")])
def test_where_sympy_has_no_word_the_reason_is_given(name, wrt, reason):
    with pytest.raises(nd.MatrixFormError, match=reason):
        _ = layers.ALL[name].derivation[wrt].matrix_expression
