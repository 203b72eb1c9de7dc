"""A program and its SymPy form mean the same, in both directions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import example, given, settings

import nnderiv as nd
from nnderiv.sympy_form import LogSumExp, Maximum, Softmax, Where
from tests.strategies import programs
from tests.test_matrix import CASES

PROGRAMS = {
    "places of quantiles": "t[N], s[M] -> L\nL = mean[i,j](abs((2*i+1)/(2*N) - sigmoid((s[j] + t[i])/(2*s[j]))))",
    **CASES,
    "CONVOLUTION": """
        X[N,C,H], K[O,C,U], b[O], int s, int p -> Y
        Y[n,o,i] = sum[c,u](X[n,c,s*i+u-p]*K[o,c,u]) + b[o] for i < (H + 2*p - U)//s + 1
    """,
    "POOL": "X[N,H], int s -> Y\nY[n,i] = max[u](X[n,s*i+u]) for u < 3, i < (H - 3)//s + 1",
    "EMBEDDING": "E[V,D], int tok[N] -> Y\nY[n,d] = E[tok[n],d]*2",
    "MASK": "S[N,N], slope -> P\nP[i,j] = softmax[j](where(j <= i and S[i,j] != 0, S[i,j] - slope*abs(i - j), -inf))",
    "ALIGNMENT": "c[M,N] -> D\nD[0,0] = c[0,0]\nD[i,0] = D[i-1,0] + c[i,0]\nD[0,j] = D[0,j-1] + c[0,j]\n"
    "D[i,j] = min(min(D[i-1,j], D[i,j-1]), D[i-1,j-1]) + c[i,j]",
    "SHIFTED": "x[N] -> y\ny[i] = x[i-1] - 0.1*x[i+1]",
    "CANCELLED": """
        x[N], c[N] -> m, s, t, q
        m = mean[i](x[i] + x[i+1] - x[i+1])
        s = sum[i](2*(x[i]**2 + 0*x[i+1]))*mean[j](x[j]*x[j+2]/x[j+2])
        t = sum[i](where(x[i+1] >= x[i+1], x[i], 2)) + max[j](x[j]*x[j-1]**0)
        q[k] = logsumexp[i](x[i] - 0*max[j](c[j] + 0*c[j-1])*c[i+1]) + c[k]
    """,
    "AFTER_A_BASE": "A[T], C[K+3] -> Y\nY[k] = log(1 + (C[3*k] + C[k-2])**2) for 2 <= k < (K + 5)//3\nY[0] = relu(A[1])",
    "A_LONGER_BASE": "A[K,K] -> Y, Z\nY[m,i] = relu(A[2*m+1,i]) for m < K//2\nY[m,1] = A[m,m] for m < K\nZ[j] = Y[j,1] for j < K",
    "BEFORE_A_BASE": "B[M], A[T] -> Y\nY[m,k] = B[k-m] - m for m < 1, k < T\nY[0,k] = A[k]",
    "REAL_WORDS": "x[N], int tok[N], B -> Y\nY = abs(exp(tanh(max[n](x[tok[n]])))) + sqrt(exp(where(B < 0, mean[n](x[n]), B)))",
    "BY_HAND": "x[N] -> y\ny[i] = x[i]**2 for 1 <= i < N - 1",
    "REMAINDERS": """
        x[N] -> y
        y[i] = where(i % 2 == 0 or not x[i] > 0, x[i], -x[i])/pi + mean[j](x[j]*x[max(i,j)])*min[j](x[j])
    """,
    "NAMES": """
        E[I], S[I], N[I], O[I], Q[I], beta[I], gamma[I], zeta -> pi2
        pi2 = sum[i](E[i]*S[i]*N[i]*O[i]*Q[i]*beta[i]*gamma[i])*zeta
    """,
    "FUNCTIONS": "x[N] -> y\ny[n] = "
    + " + ".join(
        f"{f}(x[n])"
        for f in [
            "exp",
            "log",
            "sqrt",
            "tanh",
            "sigmoid",
            "relu",
            "softplus",
            "gelu",
            "silu",
            "erf",
            "sin",
            "cos",
            "abs",
            "sign",
        ]
    ),
}
INTEGERS = {"s": 2, "p": 1, "tok": [1, 0, 1]}


def drawn(program: nd.Program, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    sizes = {name: 5 for name in program.sizes} | {"U": 3, "V": 3, "D": 2, "B": 2, "C": 2, "O": 2, "T": 3}
    sizes |= {"N": 3} if "tok" in program.kinds else {}
    env = sizes | {n: v for n, v in INTEGERS.items() if not isinstance(v, list)}
    return {
        i.name: INTEGERS[i.name] if i.kind == "int" else rng.uniform(0.1, 1.0, [d.value(env) for d in i.dims]).tolist()
        for i in program.inputs
    }


def both_ways(program: nd.Program) -> nd.Program:
    return nd.Program.from_sympy(program.sympy(), program.inputs, program.outputs)


@pytest.mark.parametrize("name", PROGRAMS)
def test_there_and_back_is_the_same_program(name):
    program = nd.parse(PROGRAMS[name])
    for p in (program, nd.derive(program).backward):
        back = both_ways(p)
        assert back.sympy() == p.sympy()
        assert back.inputs == p.inputs
        assert back.outputs == p.outputs
        assert [str(r) for axes in back.shapes.values() for r in axes] == [
            str(r) for axes in p.shapes.values() for r in axes
        ]


@pytest.mark.parametrize("name", PROGRAMS)
def test_there_and_back_means_the_same(name):
    program = nd.parse(PROGRAMS[name])
    inputs = drawn(program)
    expected, found = nd.evaluate(program, inputs), nd.evaluate(both_ways(program), inputs)
    for output in program.outputs:
        np.testing.assert_allclose(
            np.array(found[output], float), np.array(expected[output], float), rtol=1e-12, err_msg=output
        )


def test_every_layer_of_the_zoo_goes_there_and_back():
    pytest.importorskip("torch")
    from tests.suites.zoo import ZOO

    for layer in ZOO:
        program = nd.parse(layer.text)
        assert both_ways(program).sympy() == program.sympy(), layer


@settings(max_examples=40, deadline=None)
@example("A[3,N] -> Y1\nY1[i,j] = max(Y1[i-1,j], relu(2)) + A[i,j] for i < 3, j < N")
@given(programs())
def test_random_programs_go_there_and_back(text):
    program = nd.parse(text)
    assert both_ways(program).sympy() == program.sympy()


def test_a_dense_layer_is_an_indexed_sum():
    (equation,) = nd.parse("X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]").sympy()
    assert str(equation) == "Eq(Y[n, o], b[o] + Sum(W[i, o]*X[n, i], (i, 0, I - 1)))"
    assert isinstance(equation.lhs, sp.Indexed)
    assert equation.lhs.base.shape == (sp.Symbol("N", integer=True), sp.Symbol("O", integer=True))


def test_a_gradient_is_a_sympy_equation():
    d = nd.derive("X[N,I], W[I,O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o])")
    assert str(d["W"].equation) == "Eq(dW[i, o], Sum(X[n, i]*dY[n, o], (n, 0, N - 1)))"


def test_names_that_sympy_uses_are_plain_symbols():
    (equation,) = nd.parse(PROGRAMS["NAMES"]).sympy()
    constants = (sp.E, sp.I, sp.S, sp.Q, sp.zeta)
    assert not any(c in equation.atoms() for c in constants if isinstance(c, sp.Basic))
    assert {str(b) for b in equation.atoms(sp.IndexedBase)} == {"E", "S", "N", "O", "Q", "beta", "gamma"}


# -- equations that a person wrote -------------------------------------------------------------------------------------
i, j, n, o, u = sp.symbols("i j n o u", integer=True)
N, I, O, H, s = sp.symbols("N I O H s", integer=True)


def test_a_matrix_product_written_in_sympy():
    X, W, Y = (sp.IndexedBase(name, shape=shape) for name, shape in (("X", (N, I)), ("W", (I, O)), ("Y", (N, O))))
    program = nd.Program.from_sympy([sp.Eq(Y[n, o], sp.Sum(X[n, i] * W[i, o], (i, 0, I - 1)))], inputs=[X, W])
    assert program == nd.parse("X[N,I], W[I,O] -> Y\nY[n,o] = sum[i](W[i,o]*X[n,i])")


def test_without_inputs_what_is_read_and_not_defined_is_an_input():
    X, W, Y = (sp.IndexedBase(name, shape=shape) for name, shape in (("X", (N, I)), ("W", (I, O)), ("Y", (N, O))))
    program = nd.Program.from_sympy([sp.Eq(Y[n, o], sp.Sum(X[n, i] * W[i, o], (i, 0, I - 1)))])
    assert {x.name for x in program.inputs} == {"X", "W"}
    assert program.outputs == ("Y",)


def test_shapes_come_from_the_limits_of_sums():
    x, y = sp.IndexedBase("x"), sp.IndexedBase("y")
    program = nd.Program.from_sympy([sp.Eq(sp.Symbol("L"), sp.Sum(x[i] * y[i], (i, 0, N - 1)))])
    assert nd.evaluate(program, {"x": [1, 2], "y": [3, 4]}) == {"L": Fraction(11)}


def test_shapes_come_from_the_ranges_of_indices():
    k = sp.Idx("k", sp.Symbol("K", integer=True))
    x, y = sp.IndexedBase("x"), sp.IndexedBase("y")
    program = nd.Program.from_sympy([sp.Eq(y[k], sp.exp(-x[k]) / 2)])
    assert str(program).splitlines()[0] == "x[K] -> y"


def test_a_parameter_in_a_subscript_is_an_integer_and_a_bare_symbol_a_real_scalar():
    X, Y = sp.IndexedBase("X", shape=(H,)), sp.IndexedBase("Y", shape=((H - 3) / s + 1,))
    eps = sp.Symbol("eps")
    program = nd.Program.from_sympy(
        [sp.Eq(sp.IndexedBase("Y", shape=(sp.floor((H - 3) / s) + 1,))[i], Maximum(X[s * i + u], (u, 0, 2)) + eps)]
    )
    assert program.kinds == {"X": "real", "eps": "real", "s": "int"}
    assert Y.label != X.label
    assert nd.evaluate(program, {"X": [1, 5, 2, 4, 3], "eps": 0, "s": 2}) == {"Y": [5, 4]}


def test_a_limit_says_how_far_its_index_runs_inside_its_sum_only():
    x, z, y = sp.IndexedBase("x", shape=(N,)), sp.IndexedBase("z", shape=(H,)), sp.IndexedBase("y")
    rest = nd.Program.from_sympy([sp.Eq(y[i], x[i] + sp.Sum(x[i], (i, 1, N - 1)))])
    assert nd.evaluate(rest, {"x": [1, 2, 3]}) == {"y": [6, 7, 8]}
    other = nd.Program.from_sympy([sp.Eq(y[i], x[i] + sp.Sum(z[i], (i, 0, H - 1)))])
    assert nd.evaluate(other, {"x": [1, 2, 3], "z": [10, 20]}) == {"y": [31, 32, 33]}


def test_one_letter_may_have_a_range_in_each_sum():
    x = sp.IndexedBase("x", shape=(N,))
    inner = sp.Sum(x[i] ** 2, (i, 1, N - 1))
    for whole in (sp.Sum(x[i], (i, 0, N - 1)) * inner, sp.Sum(x[i] * inner, (i, 0, N - 1))):
        program = nd.Program.from_sympy([sp.Eq(sp.Symbol("L"), whole)])
        assert nd.evaluate(program, {"x": [1, 2, 3]}) == {"L": 6 * 13}


def test_a_dummy_is_not_what_is_called_like_it():
    A, x, y = sp.IndexedBase("A", shape=(N, H)), sp.IndexedBase("x", shape=(N,)), sp.IndexedBase("y")
    one, two = sp.Dummy("i", integer=True), sp.Dummy("i", integer=True)
    rows = nd.Program.from_sympy([sp.Eq(y[i], sp.Sum(A[i, one], (one, 0, H - 1)))])
    assert nd.evaluate(rows, {"A": [[1, 2, 3], [4, 5, 6]]}) == {"y": [6, 15]}
    nested = nd.Program.from_sympy([sp.Eq(y[i], sp.Sum(x[one] * sp.Sum(A[one, two], (two, 0, H - 1)), (one, 0, N - 1)) * x[i])])
    assert nd.evaluate(nested, {"x": [1, 2], "A": [[1, 2, 3], [4, 5, 6]]}) == {"y": [36, 72]}


def test_without_inputs_a_pointer_and_a_size_that_no_input_has_are_inputs_too():
    for text in ("E[V,D], int tok[N] -> Y\nY[n,d] = E[tok[n],d]*2", "x[N], int T -> h\nh[-1,n] = x[n]\nh[t,n] = h[t-1,n]/2 for t < T"):
        program = nd.parse(text)
        back = nd.Program.from_sympy(program.sympy())
        assert {(x.name, x.kind) for x in back.inputs} == {(x.name, x.kind) for x in program.inputs}


def test_a_kronecker_delta_is_a_choice_and_a_ceiling_a_floor():
    x, y = sp.IndexedBase("x", shape=(N,)), sp.IndexedBase("y", shape=(sp.ceiling(N / 2),))
    program = nd.Program.from_sympy([sp.Eq(y[i], sp.Sum(sp.KroneckerDelta(2 * i, j) * x[j], (j, 0, N - 1)))])
    assert nd.evaluate(program, {"x": [1, 2, 3]}) == {"y": [1, 3]}


def test_a_number_keeps_all_its_digits():
    x, y = sp.IndexedBase("x", shape=(N,)), sp.IndexedBase("y")
    program = nd.Program.from_sympy([sp.Eq(y[i], x[i] * math.pi + 0.1)])
    assert nd.evaluate(program, {"x": [1.0]}) == {"y": [math.pi + 0.1]}
    assert "0.1" in str(program)


def test_piecewise_and_where_are_the_same_choice():
    x, y = sp.IndexedBase("x", shape=(N,)), sp.IndexedBase("y", shape=(N,))
    choices = [
        Where(x[i] > 0, x[i], 0),
        sp.Piecewise((x[i], x[i] > 0), (0, True)),
        Where(x[i] > 0, x[i], 0).rewrite(sp.Piecewise),
    ]
    programs = [nd.Program.from_sympy([sp.Eq(y[i], c)]) for c in choices]
    assert programs[0] == programs[1] == programs[2] == nd.parse("x[N] -> y\ny[i] = where(x[i] > 0, x[i], 0)")


def test_softmax_keeps_its_index_and_logsumexp_binds_it():
    x = sp.IndexedBase("x", shape=(N,))
    assert i in Softmax(x[i], i).free_symbols
    assert i not in LogSumExp(x[i], (i, 0, N - 1)).free_symbols
    assert LogSumExp(x[i], (i, 0, N - 1)).subs(i, 2) == LogSumExp(x[i], (i, 0, N - 1))


@pytest.mark.parametrize(
    ("equation", "reason"),
    [
        (sp.Symbol("x"), "not an equation"),
        (sp.Eq(sp.Symbol("a") + 1, 2, evaluate=False), "not an element"),
        (sp.Eq(sp.IndexedBase("y")[i], sp.gamma(sp.IndexedBase("x", shape=(N,))[i])), "not in the notation"),
        (sp.Eq(sp.Symbol("L"), sp.Integral(sp.Symbol("x"), sp.Symbol("x"))), "not in the notation"),
        (sp.Eq(sp.Symbol("L"), sp.Sum(sp.IndexedBase("x", shape=(N,))[i], (i, 0, 1), (i, 0, 2))), "bound twice"),
        (sp.Eq(sp.IndexedBase("y")[i], sp.IndexedBase("x")[2 * i]), "how large"),
        (sp.Eq(sp.Symbol("L"), sp.Sum(sp.IndexedBase("x", shape=(N,))[i], (i, 0, 1), (i, 0, 2))), "bound twice"),
        (sp.Eq(sp.IndexedBase("y")[i], sp.IndexedBase("x", shape=(N,))[sp.sqrt(i)]), "integer"),
        (sp.Eq(sp.IndexedBase("y")[i], sp.Piecewise((1, sp.IndexedBase("x", shape=(N,))[i] > 0))), "everywhere"),
        (sp.Eq(sp.IndexedBase("y")[i], sp.Symbol("lambda") * sp.IndexedBase("x", shape=(N,))[i]), "keyword"),
        (sp.Eq(sp.Symbol("L"), sp.Sum(sp.IndexedBase("x", shape=(N,))[i], (i, 0, 1), (i, 0, 2))), "bound twice"),
        (sp.Eq(sp.IndexedBase("y")[i], sp.I * sp.IndexedBase("x", shape=(N,))[i]), "not in the notation"),
    ],
)
def test_what_the_notation_cannot_say_is_refused_with_a_reason(equation, reason):
    with pytest.raises(nd.NotationError, match=reason):
        nd.Program.from_sympy([equation])


def test_a_name_is_never_evaluated():
    hostile = sp.Symbol("__import__('os').abort()")
    with pytest.raises(nd.NNDerivError):
        nd.Program.from_sympy([sp.Eq(sp.Symbol("L"), hostile * 2)])
