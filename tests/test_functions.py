"""Functions of the emitted modules that stand for others: as exact, and as finite."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv import expr
from tests.emitted import body, helpers, run
from tests.running import assert_means


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 7e-16), (np.float32, 3e-7)])
def test_erf_is_exact_to_a_few_roundings_next_to_zero_too(dtype: Any, bound: float) -> None:
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-30, 0, 3_001), [1e4, -1e4, np.inf, -np.inf]]).astype(dtype)
    y = nd.derive("x[N] -> y\ny[n] = erf(x[n])").compile().forward(x=x)[0]
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [math.erf(float(v)) for v in x], rtol=bound, atol=0)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 4e-16), (np.float32, 2e-7)])
@pytest.mark.parametrize("form", ["x[n]*(1 + erf(x[n]/sqrt(2)))/2", "gelu(x[n])", "0.5*x[n]*(1 + erf(x[n]/sqrt(2)))"])
def test_the_normal_distribution_is_one_function(form: str, dtype: Any, bound: float) -> None:
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-30, 0, 3_001), [1e4, -1e4]]).astype(dtype)
    d = nd.derive(f"x[N] -> y\ny[n] = {form}")
    assert "_normal(x)" in d.numpy() and "2**0.5" not in body(f"x[N] -> y\ny[n] = {form}", "forward")
    y, residuals = d.compile().forward(x=x)
    assert y.dtype == dtype
    share = np.array([(1 + math.erf(float(v)/math.sqrt(2)))/2 for v in x])
    assert (np.abs(y - x*share) <= bound*np.abs(x)).all()
    slope = share + x*np.exp(-np.minimum(x.astype(float)**2, 1400)/2)/math.sqrt(2*math.pi)
    np.testing.assert_allclose(d.compile().backward(residuals, dy=np.ones_like(x)).dx, slope, rtol=0, atol=4*bound)


@pytest.mark.filterwarnings("error")
def test_softplus_is_stable_where_its_exponential_is_not() -> None:
    x = np.array([-1e4, -90, -1, 0, 1, 90, 1e4], np.float32)
    y = nd.derive("x[N] -> y\ny[n] = softplus(x[n])").compile().forward(x=x)[0]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, np.logaddexp(x.astype(float), 0), rtol=3e-7, atol=1e-38)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "close"), (("f", 4e-7), ("d", 1e-15)))
@pytest.mark.parametrize("form", ("softplus(x[n])", "-log(sigmoid(-x[n]))", "softplus(-abs(x[n])) + max(x[n], 0)"))
@pytest.mark.parametrize("size", (0, 1, 2, 2047, 2048, 100_003))
def test_a_softplus_keeps_its_digits_in_arrays_of_any_length(size: int, form: str, dtype: str, close: float) -> None:
    x = np.concatenate([[-1e4, -np.inf, np.inf, 1e4, 0, -0.0, -16.6], np.linspace(-80, 40, max(size, 7) - 7)])[:size].astype(dtype)
    module = nd.derive(f"x[N] -> y\ny[n] = {form}").compile()
    y, residuals = module.forward(x=x)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y, np.logaddexp(x.astype("g"), 0), rtol=close, atol=1e-300)
    slope = 1/(1 + np.exp(-x.astype("g").clip(-1e4)))
    np.testing.assert_allclose(module.backward(residuals, dy=np.ones_like(x)).dx, slope, rtol=1e-6, atol=1e-30)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "close"), (("f", 2e-7), ("d", 3e-16)))
def test_the_normal_distribution_function_is_within_rounding_and_0_far_below(dtype: str, close: float) -> None:
    x = np.array([*np.linspace(-9, 9, 40_001), -1e4, 1e4, -1e30, 1e30, -np.inf, np.inf, 0, -0.0], dtype)
    module = nd.derive("x[N] -> y\ny[n] = (1 + erf(x[n]/sqrt(2)))/2").compile()
    y = module.forward(x=x)[0]
    expected = np.array([math.erfc(-float(v)/math.sqrt(2))/2 for v in x])
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y, expected, rtol=0, atol=close)
    assert (y[x <= -1e4] == 0).all() and (y[x >= 1e4] == 1).all()
    few = np.concatenate([module.forward(x=x[k:k + 7])[0] for k in range(0, len(x), 7)])
    np.testing.assert_allclose(few, y, rtol=1e-6, atol=close)


@pytest.mark.parametrize("name", expr.UNARY)
def test_a_function_of_any_number_of_half_precision_is_what_it_is_in_double_precision(name: str) -> None:
    """Its gradient is compared where 1 - y, which half precision rounds to a multiple of 2**-11, is not all there is."""
    x = np.arange(2**16).astype(np.uint16).view(np.float16)
    x = x[np.isfinite(x) & ((x >= 1e-3) | (name not in ("log", "sqrt")))]
    module = nd.derive(f"x[N] -> y\ny[n] = {name}(x[n])").compile()
    with np.errstate(over="ignore", under="ignore"):
        (y, slope), (expected, slope_expected) = (of(module, v) for v in (x, x.astype(float)))
        np.testing.assert_allclose(y, expected.astype(np.float16), rtol=3e-3, atol=2e-4)
        np.testing.assert_allclose(slope, slope_expected.astype(np.float16), rtol=3e-3, atol=1e-3)


def of(module: Any, x: Any) -> tuple[Any, Any]:
    """y and dx for dy = 1."""
    y, residuals = module.forward(x=x)
    dx = module.backward(residuals, dy=np.ones_like(x)).dx
    assert y.dtype == dx.dtype == x.dtype
    return y, dx


@pytest.mark.parametrize("name", ("sigmoid", "softplus", "erf", "gelu", "silu"))
def test_functions_of_long_arrays_are_those_of_their_pieces_however_they_lie_in_memory(name: str) -> None:
    module = nd.derive(f"x[N,M] -> y\ny[n,m] = {name}(x[n,m])").compile()
    x = np.random.default_rng(0).normal(size=(1001, 123)).astype("f")
    whole = module.forward(x=x)[0]
    for other in (x.T.copy().T, np.repeat(x, 2, 1)[:, ::2]):
        np.testing.assert_allclose(module.forward(x=other)[0], whole, rtol=4e-7, atol=1e-12)
    by_row = np.concatenate([module.forward(x=row[None])[0] for row in x])
    np.testing.assert_allclose(by_row, whole, rtol=4e-7, atol=1e-12)


@pytest.mark.parametrize("dtype", ("f", "d", "g"))
def test_a_sigmoid_keeps_the_digits_of_small_values(dtype: str) -> None:
    modules = [nd.derive(f"x{dims} -> y\ny{index} = sigmoid(x{index})").compile() for dims, index in (("[N]", "[n]"), ("", ""))]
    x = np.array([-1e4, -np.inf, np.inf, 1e4, -85, -40, -20, -17.5, -8, -1e-3, 0, 3, 60], dtype)
    wide = x.astype("g")
    with np.errstate(over="ignore"):
        expected = 1/(1 + np.exp(-wide))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (y, residuals), close = modules[0].forward(x=x), 8*np.finfo(dtype).eps
        np.testing.assert_allclose(y, expected, rtol=close, atol=np.finfo(dtype).tiny)
        np.testing.assert_allclose(modules[0].backward(residuals, dy=np.ones_like(x)).dx, y*(1 - y), rtol=close)
        for value, whole in zip(x, y, strict=True):
            assert float(modules[1].forward(x=value)[0]) == pytest.approx(float(whole), rel=float(close))
    assert np.isnan(modules[0].forward(x=np.array([np.nan], dtype))[0])


@pytest.mark.parametrize("shape, row", [((400, 100), (100,)), ((403, 100), (100,)), ((170, 4, 64), (64,)), ((170, 4, 64), (4, 64)),
                                        ((20, 2000), (2000,)), ((5, 4), (4,)), ((0, 4), (4,)), ((40000, 1), (1,)), ((40000, 0), (0,))])
@pytest.mark.parametrize("dtype", ("e", "f", "d", "g"))
def test_rows_abreast_are_those_one_by_one(shape: tuple[int, ...], row: tuple[int, ...], dtype: str) -> None:
    """With sizes that divide no block, transposed operands, memory that is given or is the operand's own, and rows of another type."""
    module = nd.derive("x[N,K], g[K], b[K] -> y\ny[n,k] = x[n,k]*g[k] + b[k]").compile()
    assert "y = _abreast(np.multiply, x, g)" in module.source
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal(shape).astype(dtype), rng.standard_normal(row).astype(dtype)
    for f in (np.add, np.subtract, np.multiply, np.divide):
        for a in (x, x.T.copy().T, np.repeat(x, 2, axis=0)[::2]):
            for b in (r, r.T.copy().T, np.ones(row, "i1")):
                wanted = f(a, b)
                own, other = a.copy(), np.empty_like(wanted).T.copy().T
                for got in (module._abreast(f, a, b), module._abreast(f, a, b, out=other), module._abreast(f, own, b, out=own)):
                    assert got.dtype == wanted.dtype
                    np.testing.assert_array_equal(got, wanted)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", "efdg")
def test_few_entries_along_an_axis_are_reduced_as_many_are(dtype: str) -> None:
    tools, rng = helpers(), np.random.default_rng(0)
    for shape in [(0, 3), (3, 0), (4, 1), (300, 3), (7, 16), (500, 2, 3), (200, 3, 2), (40, 30, 20), (9,)]:
        x = np.where(rng.random(shape) < 0.05, rng.choice(np.array([np.inf, -np.inf, np.nan], dtype), shape), rng.normal(size=shape))
        x = x.astype(dtype)
        for axis, keep in itertools.product([*range(x.ndim), tuple(range(1, x.ndim)), (0, x.ndim - 1)[:x.ndim]], (False, True)):
            for pick, start in ((np.maximum, -np.inf), (np.minimum, np.inf), (np.maximum, np.finfo(dtype).min)):
                wanted = pick.reduce(x, axis, initial=start, keepdims=keep)
                mine = tools["_extreme"](pick, x, axis, start, keepdims=keep)
                assert mine.dtype == x.dtype and np.array_equal(mine, wanted, equal_nan=True)
        x = rng.normal(size=shape).astype(dtype)
        for rows in (x, x.T, x[..., ::-1]):
            np.testing.assert_allclose(tools["_row_sums"](rows), rows.sum(-1), 0.1 if dtype == "e" else 1e-5, 0.1 if dtype == "e" else 1e-5)


def test_the_largest_of_a_few_is_one_maximum_after_the_other() -> None:
    text = "x[N,O,K] -> y\ny[n,o] = {0}[k](x[n,o,k])"
    assert "y = _extreme(np.maximum, x, 2, -np.inf)" in body(text.format("max"), "forward")
    assert "y = _extreme(np.minimum, x, 2, np.inf)" in body(text.format("min"), "forward")
    assert "y = x.max(2, initial=-np.inf)" in body(text.format("max"), "forward", sizes={"K": 100})
    assert "y = x.max((1, 2), initial=-np.inf)" in body("x[N,O,K] -> y\ny[n] = max[o,k](x[n,o,k])", "forward")
    x = np.random.default_rng(0).integers(3, size=(50, 60, 3)).astype(float)
    y, gradients = run(nd.derive(text.format("max")).compile(), {"dy": np.ones((50, 60))}, x=x)
    hits = x == x.max(2, keepdims=True)
    assert np.array_equal(y, x.max(2)) and np.allclose(gradients.dx, hits/hits.sum(2, keepdims=True))


@pytest.mark.parametrize("n", [-7, -3, -1.5, -1, 1, 2, 3, 4, 6, 13, 64, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_power_by_squares_is_the_power(n: float, dtype: Any) -> None:
    module = nd.derive(f"x[N] -> y\ny[n] = x[n]**({n})").compile()
    x = np.random.default_rng(0).uniform(0.5, 1.5, 1000).astype(dtype)
    (y, gradients), rounding = run(module, {"dy": np.ones(1000, dtype)}, x=x), np.finfo(dtype).eps*max(4, abs(n))
    np.testing.assert_allclose(y, x.astype(float)**n, rtol=rounding)
    np.testing.assert_allclose(gradients.dx, n*x.astype(float)**(n - 1), rtol=2*rounding)


@pytest.mark.parametrize(("equations", "called"), [
    ("Y[n,i] = sum[u,c](K[c,u]*relu(X[n,c,i+u-1])) for i < I", ".clip(0, np.inf)"),
    ("Y[n,i] = sum[u,c](K[c,u]*tanh(X[n,c,i+u])) for i < I - 2", "np.tanh("),
    ("Y[n,i] = sum[u,c](K[c,u]*sigmoid(2*X[n,c,2*i+u-1])) for i < I//2", "_sigmoid("),
    ("Y[n,i] = max[u](tanh(X[n,0,i+u-1]) + K[0,u]) for i < I", "np.tanh("),
    ("Y[n,i] = logsumexp[u](K[0,u]*sin(X[n,0,i-u])) for i < I", "np.sin("),
    ("Y[n,i] = sum[u](K[0,u]*tanh(X[n,0,i+u-1]))*sum[u](tanh(X[n,0,i+u+1])*K[1,u]) for i < I", "np.tanh("),
])
def test_a_function_of_what_windows_read_is_computed_once_for_each_place(equations: str, called: str) -> None:
    text = f"X[N,C,I], K[C,3] -> Y\n{equations}"
    assert body(text, "forward").count(called) == 1 >= body(text, "backward").count(called)
    d, rng = nd.derive(text), np.random.default_rng(0)
    for size in (0, 1, 2, 5):
        if size or "max" not in equations:
            assert_means(d, d.compile(), {"X": rng.normal(size=(2, 2, size)), "K": rng.normal(size=(2, 3))}, rng)


@pytest.mark.parametrize("function", ["-{}", "sigmoid({})", "silu({})", "softplus(-{})", "exp(-{})", "tanh(-{})", "-abs({})"])
@pytest.mark.parametrize(("dtype", "step"), [(np.float32, 4), (np.float64, 8)])  # of which NumPy's own negative reads others
def test_a_column_becomes_another_one_entry_by_entry(function: str, dtype: Any, step: int) -> None:
    column = nd.derive(f"x[N,{step}] -> y\ny[n,k] = x[n,k]\ny[n,1] = {function.format('x[n,2]')}")
    alone = nd.derive(f"x[N] -> y\ny[n] = {function.format('x[n]')}")
    for n in range(1, 20):
        x = np.random.default_rng(n).normal(size=(n, step)).astype(dtype)
        (y, gradients), (one, slope) = run(column.compile(), {"dy": x}, x=x), run(alone.compile(), {"dy": x[:, 1]}, x=x[:, 2])
        np.testing.assert_allclose(y[:, 1], one, rtol=1e-6)
        np.testing.assert_allclose(gradients.dx[:, 2], slope.dx + x[:, 2], rtol=1e-5, atol=1e-6)  # a sum that may be near 0


@pytest.mark.parametrize("text", [
    "A[M] -> Y\nY[j] = sum[m](cos(m//2*A[m+1])*A[m]) for j < M, m < M",
    "A[M] -> Y\nY[j] = sum[m](exp(m*A[m-1])*A[m]*j) for j < M",
    "A[M] -> Y\nY[j] = sum[m](tanh(A[m+1]/(m + 1))*A[m]) for j < M",
])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_is_kept_of_all_places_counts_these_as_the_sum_does(text: str) -> None:
    """cos((m//2) A[m+1]) at each m + 1 is cos(((m + 1)//2 − 1) A[m]) at each m."""
    d, rng = nd.derive(text), np.random.default_rng(0)
    for size in (0, 1, 2, 5):
        assert_means(d, d.compile(), {"A": rng.normal(size=size)}, rng)


def test_a_number_twice_is_not_what_it_is_once_turned_round() -> None:
    """−x − x, as a gradient with known sizes has it, is no multiple of x that is found by its terms."""
    d = nd.derive("A[N], C[K] -> Y\nY[t] = sum[u,j](where(j % N != 1, -A[j//N*2+u], A[u])*A[j//N*2+u]) for j < N, t < K, u < N")
    A = np.random.default_rng(0).normal(size=4)
    for options in ({}, {"sizes": {"N": 4, "K": 3}}):
        module = d.compile(**options)
        np.testing.assert_allclose(module.backward(module.forward(A=A, C=A[:3])[1], dY=np.ones(3)).dA, -12*A, rtol=1e-12)
