"""Emitted softmaxes, logsumexps and the losses through them: in blocks, and stable for large arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nnderiv as nd
from nnderiv.lower.runtime import needed
from tests.emitted import LARGE, body, logsumexp, run
from tests.running import assert_means


@pytest.mark.parametrize("equation", [
    "y[n,k] = sum[t](s[n,t]*exp(x[t,k])) for t < K",
    "e[t,k] = exp(x[t,k])  for t < K\ny[n,k] = sum[t](s[n,t]*exp(x[t,k]))*e[0,k] for t < K",
    "y[n,k] = sum[t](s[n,t]*tanh(x[t+1,k])**2) for t < K",
])
def test_a_name_for_a_function_keeps_no_place_in_a_sum_that_the_function_leaves_out(equation: str) -> None:
    d = nd.derive(f"s[N,K], x[N,K] -> y\n{equation}")
    rng = np.random.default_rng(0)
    inputs = {"s": rng.normal(size=(3, 5)), "x": rng.normal(size=(3, 5))}
    assert_means(d, d.compile(), inputs, rng)


def test_a_share_of_what_exponentials_of_no_position_sum_to_is_0() -> None:
    d, rng = nd.derive("""
        S[N,M] -> y
        l[i] = logsumexp[j](S[i+2,j]) for i < N
        y[i,j] = exp(S[i,j] - l[i])
    """), np.random.default_rng(0)
    S = rng.normal(size=(4, 3))
    assert_means(d, d.compile(), {"S": S}, rng)
    y, residuals = d.compile().forward(S=S)
    np.testing.assert_allclose(y[:2], np.exp(S[:2])/np.exp(S[2:]).sum(1, keepdims=True))
    assert not y[2:].any() and np.isfinite(d.compile().backward(residuals, dy=np.ones_like(S)).dS).all()


@pytest.mark.parametrize("op, edge", [("max", "-inf"), ("min", "inf")])
def test_the_largest_of_what_arrives_is_found_where_it_arrives(op: str, edge: str) -> None:
    """Along the edges of a graph: no array over places and edges. Some come from nowhere, lead nowhere, or meet with equals."""
    d = nd.derive(f"X[V,D], int src[E], int dst[E] -> Y\nY[v,d] = {op}[e](where(dst[e] == v, X[src[e],d], {edge})) for v < V")
    source = d.numpy()
    assert f"by=np.{op}imum" in source and "np.arange(V)" not in source
    X = np.round(np.random.default_rng(0).normal(size=(5, 3)), 1)
    src, dst = np.array([0, 1, 1, 2, 9, 3, -1, 2]), np.array([0, 0, 2, 2, 2, 7, 1, 2])
    Y, residuals = d.compile().forward(X=X, src=src, dst=dst)
    dY = np.random.default_rng(1).normal(size=Y.shape)
    pick, expected, slopes = getattr(np, op), np.full((5, 3), float(edge)), np.zeros((5, 3))
    for v in range(5):
        arriving = [s for s, t in zip(src, dst, strict=True) if t == v and 0 <= s < 5]
        if arriving:
            expected[v] = pick(X[arriving], axis=0)
            for k in range(3):
                hits = [s for s in arriving if X[s, k] == expected[v, k]]
                for s in hits:
                    slopes[s, k] += dY[v, k]/len(hits)
    np.testing.assert_array_equal(Y, expected)
    np.testing.assert_allclose(d.compile().backward(residuals, dY=dY).dX, slopes, rtol=1e-12)


ROUNDED = {  # sums of three terms, which round in as many ways as there are orders
    "a recurrence": ("A[K,K], B[T,K] -> L\nv[-1,k] = 0\nv[t,k] = max[j](v[t-1,j] + A[j,k] + B[t,j])\nL = max[k](v[T-1,k])",
                     {"dA": 6, "dB": 6}),
    "products": ("A[K,K], B[T,K], C[T,K] -> L\nv[-1,k] = 0\nv[t,k] = min[j](v[t-1,j] + A[j,k] + B[t,j]*C[t,k])\nL = min[k](v[T-1,k])",
                 {"dA": 6}),
    "a window": ("X[T,K], A[3,K], b[K] -> L\ny[t] = max[u,k](0.3*X[t+u-1,k] + A[u,k] + b[k]) for t < T\nL = sum[t](y[t])",
                 {"dA": 6, "db": 6}),
    "spans": ("""c[T], w[T,T,T] -> L
        m[i,j] = where(i >= j, c[i], min[k](where(i <= k and k < j, m[i,k] + m[k+1,j] + w[i,k,j], inf))) for i < T, j < T, k < T
        L = m[0,T-1]""", {"dc": 6, "dw": 5}),
}


@pytest.mark.parametrize("without", [(), ("hoist",), ("by_place",), ("share",), ("inline",)], ids=str)
@pytest.mark.parametrize("text, total", ROUNDED.values(), ids=ROUNDED)
def test_what_a_maximum_is_compared_with_is_what_it_was_taken_of(text: str, total: dict[str, int], without: tuple[str, ...]) -> None:
    """All of the gradient goes somewhere: each maximum is one of its terms, and hands on as much as it receives."""
    d = nd.derive(text)
    module = d.compile(without=without)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs = {i.name: rng.normal(size=[int(x.value({"T": 6, "K": 5})) for x in i.dims]) for i in d.forward.inputs}
        for dtype in (np.float32, np.float64):
            _, residuals = module.forward(**{name: x.astype(dtype) for name, x in inputs.items()})
            gradients = module.backward(residuals)._asdict()
            for name, expected in total.items():
                np.testing.assert_allclose(gradients[name].sum(), expected, rtol=1e-5)


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


STABLE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "softmax": ("x[N,M] -> y\ny[n,m] = softmax[m](x[n,m])", _softmax),
    "log_softmax": ("x[N,M] -> y\ny[n,m] = log_softmax[m](x[n,m])", lambda x: x - logsumexp(x)[..., None]),
    "logsumexp": ("x[N,M] -> y\ny[n] = logsumexp[m](x[n,m])", logsumexp),
    "sigmoid": ("x[N,M] -> y\ny[n,m] = sigmoid(x[n,m])", lambda x: 0.5 * np.tanh(0.5 * x) + 0.5),
    "softplus": ("x[N,M] -> y\ny[n,m] = softplus(x[n,m])", lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))),
    "logsumexp of the first": ("x[N,M] -> y\ny[m] = logsumexp[n](x[n,m])", lambda x: logsumexp(x.T)),
    "logsumexp of sums": ("x[N,M] -> y\ny[n,m] = logsumexp[l](x[n,l]/2 + x[m,l]/2)", lambda x: logsumexp(x[:, None]/2 + x/2)),
    "logsumexp of two": ("x[N,M] -> y\ny[n] = logsumexp[m,l](x[n,m]/2 + x[n,l]/2)",
                         lambda x: logsumexp((x[:, None]/2 + x[..., None]/2).reshape(len(x), -1))),
    "log of some softmaxes": ("x[N,M] -> y\np[n,m] = softmax[m](x[n,m])\ny[n] = log(p[n,0]) + 2*log(p[n,1]) - log(p[n,M-1])",
                              lambda x: x[:, 0] + 2*x[:, 1] - x[:, -1] - 2*logsumexp(x)),
    "cross_entropy": ("x[N,M] -> y\ny[n] = -sum[m](where(m == 0, log_softmax[m](x[n,m]), 0))", lambda x: logsumexp(x) - x[:, 0]),
}


@pytest.mark.parametrize("name", STABLE)
def test_large_inputs_in_single_precision_give_no_nan_and_no_warning(name: str) -> None:
    text, meaning = STABLE[name]
    module = nd.derive(text).compile()
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        y, residuals = module.forward(x=LARGE.astype(np.float32))
        dx = module.backward(residuals, dy=np.ones_like(y)).dx
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(y, meaning(LARGE), rtol=1e-6, atol=1e-6)
    step = 1e-3 * np.eye(LARGE.size).reshape(LARGE.size, *LARGE.shape)
    slopes = [(meaning(LARGE + e).sum() - meaning(LARGE - e).sum()) / 2e-3 for e in step]
    np.testing.assert_allclose(dx.ravel(), slopes, rtol=1e-3, atol=1e-3)


def test_both_terms_of_a_binary_cross_entropy_share_their_exponential_and_are_not_computed_again_backward() -> None:
    text = "x[N], t[N] -> L\ns[n] = sigmoid(x[n])\nL = -sum[n](t[n]*log(s[n]) + (1 - t[n])*log(1 - s[n]))"
    assert body(text, "forward").count("_log1p(") == 1 and "_softplus(" not in body(text, "forward")
    assert "_log1p(" not in body(text, "backward") and "_softplus(" not in body(text, "backward")


WRITTEN_OUT = {  # text -> the same in names that are known to be stable
    "y[n] = log(exp(x[n]) + exp(z[n]))": "y[n] = x[n] + softplus(z[n] - x[n])",
    "y[n] = exp(x[n])/(exp(x[n]) + exp(z[n]))": "y[n] = sigmoid(x[n] - z[n])",
    "y[n] = (exp(x[n]) - exp(-x[n]))/(exp(x[n]) + exp(-x[n])) + z[n]": "y[n] = tanh(x[n]) + z[n]",
    "y[n] = z[n]*log(sigmoid(x[n])) + (1 - z[n])*log(1 - sigmoid(x[n]))": "y[n] = -z[n]*softplus(-x[n]) - (1 - z[n])*softplus(x[n])",
    "p[n] = sigmoid(x[n])\ny[n] = (1 - p[n])**2*log(p[n]) + z[n]":  # of the focal loss
        "y[n] = -sigmoid(-x[n])**2*softplus(-x[n]) + z[n]",
    "p[n] = sigmoid(x[n])\ny[n] = z[n]*log(p[n]) + (1 - z[n])*log(1 - p[n])": "y[n] = -z[n]*softplus(-x[n]) - (1 - z[n])*softplus(x[n])",
}


@pytest.mark.parametrize("text", WRITTEN_OUT)
def test_what_is_written_out_with_exponentials_is_as_stable_as_what_has_a_name(text: str) -> None:
    rng = np.random.default_rng(0)
    x, z = (np.concatenate([rng.permutation([-1e4, -300, -90, -20, -1, 0, 1, 20, 90, 300, 1e4]), [1e4, -1e4]]) for _ in range(2))
    results = []
    for written, dtype in ((text, np.float32), (WRITTEN_OUT[text], np.float64)):
        module = nd.derive(f"x[N], z[N] -> y\n{written}").compile()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y, residuals = module.forward(x=x.astype(dtype), z=z.astype(dtype))
            results.append([y, *module.backward(residuals, dy=np.ones_like(y))])
    for found, expected in zip(*results, strict=True):
        assert found.dtype == np.float32 and np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


SOFTMAX = "Y[n,d] = softmax[d](x[n,d])"
CAUSAL_ROWS = "Y[n,d] = softmax[d](where(d <= n, x[n,d], -inf))"
BY_ROWS = {  # the same for sums over rows, in tensors of their own or not
    "Y[n,d] = exp(x[n,d])/sum[e](exp(x[n,e]))": SOFTMAX,
    "E[n,d] = exp(x[n,d])\nZ[n] = sum[d](E[n,d])\nY[n,d] = E[n,d]/Z[n]": SOFTMAX,
    "Z[n] = 1/sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])*Z[n]": SOFTMAX,
    "Y[n,d] = exp(x[n,d] - log(sum[e](exp(x[n,e]))))": SOFTMAX,
    "m[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])": SOFTMAX,
    "Y[n,d] = exp(2*x[n,d]/3)/sum[e](exp(2*x[n,e]/3))": "Y[n,d] = softmax[d](2*x[n,d]/3)",
    "E[n,d] = where(d <= n, exp(x[n,d]), 0)\nY[n,d] = E[n,d]/sum[e](E[n,e])": CAUSAL_ROWS,
    "Y[n,d] = where(d <= n, exp(x[n,d]), 0)/sum[e](where(e <= n, exp(x[n,e]), 0))": CAUSAL_ROWS,
    "Y[n] = log(sum[d](exp(x[n,d])))": "Y[n] = logsumexp[d](x[n,d])",
    "Y[n,d] = log(exp(x[n,d])/sum[e](exp(x[n,e])))": "Y[n,d] = log_softmax[d](x[n,d])",
    "P[n,d] = exp(x[n,d])/sum[e](exp(x[n,e]))\nY[n] = -log(P[n,n])": "Q[n,d] = log_softmax[d](x[n,d])\nY[n] = -Q[n,n]",
    "P[n,d] = exp(x[n,d])/sum[e](exp(x[n,e]))\nY[n] = sum[d](P[n,d]*log(P[n,d]))":
        "Y[n] = sum[d](softmax[d](x[n,d])*log_softmax[d](x[n,d]))",
    "Z[n] = sum[d](exp(x[n,d]))\nY[n,k] = sum[d](exp(x[n,d])*x[d,k])/Z[n]": "Y[n,k] = sum[d](softmax[d](x[n,d])*x[d,k])",
    "Y[n,d] = exp(x[n,d])/sum[m](exp(x[m,d]))": "Y[n,d] = softmax[n](x[n,d])",
    "Y[n,d] = exp(x[n,d])/sum[m,e](exp(x[m,e]))": "Y[n,d] = softmax[n,d](x[n,d])",
    "a[0,k] = x[0,k]\na[t,k] = log(sum[j](exp(a[t-1,j] + x[j,k]))) + x[t,k]\nY = log(sum[k](exp(a[N-1,k])))":
        "a[0,k] = x[0,k]\na[t,k] = logsumexp[j](a[t-1,j] + x[j,k]) + x[t,k]\nY = logsumexp[k](a[N-1,k])",
}


@pytest.mark.parametrize("text", BY_ROWS)
def test_a_softmax_that_is_written_out_is_as_stable_as_one_that_is_named(text: str) -> None:
    x = np.concatenate([LARGE, np.random.default_rng(0).standard_normal((4, 4))])[[0, 1, 3, 5, 6]][:4]
    results = []
    for written, dtype in ((text, np.float32), (BY_ROWS[text], np.float64)):
        d = nd.derive(f"x[N,N] -> Y\n{written}")
        module = d.compile()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y, residuals = module.forward(x=x.astype(dtype))
            seeds = {"dY": np.random.default_rng(1).standard_normal(y.shape).astype(dtype)} if np.ndim(y) else {}
            results.append([y, module.backward(residuals, **seeds).dx])
    for found, expected in zip(*results, strict=True):
        assert found.dtype == np.float32 and np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)  # of 1e4, a float32 has three decimals


@pytest.mark.parametrize("text", [
    "x[N,D] -> Z\nZ[n] = sum[d](exp(x[n,d]))",                                            # nothing cancels
    "x[N,D] -> Y, Z\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[n]",              # Z is handed out
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[n]**2",              # not of degree 0
    "x[N,D] -> Y\nZ[n] = 1 + sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[n]",             # 1 is not multiplied
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[d]  for d < N",      # another row's sum
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d+1])/Z[n]  for d < D",    # read outside, where exp is 1
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))  for n < N-1\nY = sum[n,d](exp(x[n,d])/(1 + Z[n+1]))",
    "x[N,D] -> Y\nE[n,d] = exp(x[n,d])\nY[n,d] = E[n,d]/sum[e](where(e <= n, E[n,e], 0))",  # divided by a part of what there is
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d])*x[n,d])\nY[n,d] = exp(x[n,d])/Z[n]",
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nT = sum[n](Z[n])\nY[n] = Z[n]/T",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e]) + m[n]",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/(1 + sum[e](E[n,e]))",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nc[n,d] = x[n,d] - m[n]\nY[n,d] = c[n,d] - log(sum[e](exp(c[n,e])))",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])*where(m[n] > 0, m[n], 1)",
    "x[N,D] -> Y\nZ[n,i] = sum[u](exp(x[n,i+u-1])) for i < D, u < 3\nY[n,i] = Z[n,i]**2",     # a place that is not told from S
    "x[N,D], w[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d])*w[n,d]**2)\nY[n,d] = exp(x[n,d])*w[n,d]**2/Z[n]",
])
def test_what_cancels_is_counted_and_the_rest_is_left_alone(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {i.name: rng.standard_normal((3, 4)) for i in d.forward.inputs}
    results = []
    for without in ((), ("balance",)):
        module = d.compile(without=without)
        y, residuals = module.forward(**inputs)
        ys = y if isinstance(y, tuple) else (y,)
        seeds = {s: np.sin(1 + v) for s, v in zip(d.gradients.seeds.values(), ys, strict=False)}  # none for a number alone
        results.append([*ys, *module.backward(residuals, **seeds)])
    expected = nd.evaluate(d.forward, inputs)
    for y, value in zip(results[0], expected.values(), strict=False):
        np.testing.assert_allclose(y, np.array(value, float), rtol=1e-9)
    for mine, plain in zip(*results, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-9, atol=1e-9)


def test_the_largest_that_is_subtracted_by_hand_has_no_gradient() -> None:
    text = "x[N,D], v[D] -> Y\nm[n] = {}\nE[n,d] = v[d]*exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])"
    for largest in ("max[d](x[n,d])", "max(max[d](x[n,d]), 0)"):
        shifted = text.format(largest)
        assert "dm" in body(shifted, "backward", without=("balance",))
        assert not any(word in body(shifted, "backward") for word in ("ties", "dm", "+ 0", "(0)"))
    x, v = np.array([[1.0, 1.0, 0.0]]), np.ones(3)
    found = run(nd.derive(shifted, wrt=("x",)).compile(), {"dY": np.array([[1.0, 2.0, 4.0]])}, x=x, v=v)
    results = [found, run(nd.derive(f"x[N,D] -> Y\n{SOFTMAX}").compile(), {"dY": np.array([[1.0, 2.0, 4.0]])}, x=x)]
    for mine, named in zip(*results, strict=True):
        np.testing.assert_allclose(mine, named, rtol=1e-14)


@pytest.mark.parametrize("text", [
    "x[N,D], v[D] -> Y, m\nm[n] = max[d](x[n,d])\nE[n,d] = v[d]*exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])",
    "x[N], v[N] -> Y\nY[n] = log(exp(x[n] + Y[n+1] - Y[n+1]) + exp(v[n]))",
])
def test_what_cancels_has_the_gradient_of_an_output_if_it_is_one(text: str) -> None:
    d, rng, sizes = nd.derive(text), np.random.default_rng(0), {"N": 3, "D": 4}
    assert_means(d, d.compile(), {i.name: rng.uniform(1, 2, [x.value(sizes) for x in i.dims]) for i in d.forward.inputs}, rng)


LOSSES = {  # a loss of probabilities -> the same of scores; both with the probabilities as an output, or not
    "L = -sum[n,k](y[n,k]*log(p[n,k]))": "L = -sum[n,k](y[n,k]*log_softmax[k](x[n,k]))",
    "L = -sum[n](log(p[n,label[n]]))": "q[n,k] = log_softmax[k](x[n,k])\nL = -sum[n](q[n,label[n]])",
    "L = sum[n,k](p[n,k]*log(p[n,k]/y[n,k]))": "L = sum[n,k](softmax[k](x[n,k])*(log_softmax[k](x[n,k]) - log(y[n,k])))",
    "L = -sum[n,k](y[n,k]*log(p[n,k]))/N + sum[n,k](p[n,k]**2)":
        "L = -sum[n,k](y[n,k]*log_softmax[k](x[n,k]))/N + sum[n,k](softmax[k](x[n,k])**2)",
}


@pytest.mark.parametrize("outputs", ["L", "p, L"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_probabilities_that_vanish_are_finite_and_so_are_their_gradients(loss: str, outputs: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.uniform(0.1, 1, LARGE.shape)
    values = {"y": y / y.sum(1, keepdims=True), "label": rng.integers(4, size=len(LARGE)), "x": LARGE}
    results = []
    for names, said, dtype in ((outputs, f"p[n,k] = softmax[k](x[n,k])\n{loss}", np.float32), ("L", LOSSES[loss], np.float64)):
        d = nd.derive(f"x[N,K], y[N,K], int label[N] -> {names}\n{said}", wrt=("x",))
        module = d.compile()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, residuals = module.forward(**{k: v if k == "label" else v.astype(dtype) for k, v in values.items()})
            seeds = {"dp": np.zeros(LARGE.shape, dtype), "dL": 1} if names != "L" else {}
            results.append([found if names == "L" else found.L, module.backward(residuals, **seeds).dx])
    for a, b in zip(*results, strict=True):
        assert a.dtype == np.float32 and np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["_softmax", "_masked_softmax", "_log_softmax"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 41), (1, 90), (90,), (7, 30)])
def test_a_softmax_of_a_large_array_goes_by_blocks_of_rows(name: str, shape: tuple[int, ...]) -> None:
    namespace: dict[str, Any] = {"PART": 40}
    exec("import numpy as np\n" + needed(name + "("), namespace)
    function, x = namespace[name], np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if name != "_softmax" and x.ndim > 1:
        x[0] = -np.inf
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(np.exp(x - x.max(-1, keepdims=True)))
    shares /= np.maximum(shares.sum(-1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        wanted = np.log(shares) if name == "_log_softmax" else shares
    for y in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        for out in (None, np.empty_like(x), y.copy()):
            source = out if out is not None and np.array_equal(out, y) else y
            found = function(source, x.ndim - 1, out=out)
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
            assert out is None or found is out


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("K", [2, 4, 7])
def test_the_log_of_a_sum_of_few_exponentials_goes_one_after_the_other(K: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(scale=1000, size=(50, 60, K)).astype(np.float32)
    x[:20, :, :1] = -np.inf
    x[0] = -np.inf
    d = nd.derive("x[N,M,K] -> y\ny[n,m] = logsumexp[k](x[n,m,k])")
    y, g = run(d.compile(), {"dy": np.ones((50, 60), np.float32)}, x=x)
    t = torch.tensor(x, requires_grad=True)
    expected = torch.logsumexp(t, 2)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-6)
    shares = torch.softmax(t.detach().double(), 2).numpy()  # in float32, exp(x − lse) has the digits of an lse of a thousand
    np.testing.assert_allclose(g.dx[1:], shares[1:], rtol=1e-5, atol=1e-30)
    assert (g.dx[0] == 0).all()
    x[1, :, 0] = np.inf
    assert (d.compile().forward(x=x)[0][1] == np.inf).all()
    pooled = "X[H,W] -> Y\nY[i,j] = logsumexp[u,v](X[2*i+u,2*j+v]) for i < H//2, j < W//2, u < 2, v < 2"
    d = nd.derive(pooled)
    for shape in ((80, 90), (81, 61), (1, 2), (0, 4)):
        X = rng.normal(size=shape)
        tiles = X[:shape[0]//2*2, :shape[1]//2*2].reshape(shape[0]//2, 2, shape[1]//2, 2)
        np.testing.assert_allclose(d.compile().forward(X=X)[0], np.log(np.exp(tiles).sum((1, 3))), rtol=1e-12)


@pytest.mark.parametrize("bias", ["R[at[i,j]]", "B[i-j+M-1]"])
def test_a_softmax_over_what_exists_is_one_block_and_so_is_its_gradient(bias: str) -> None:
    """Scores are −inf where a look-up, or a place, is outside: with that, the softmax and its gradient are as those of a mask."""
    text = f"""
        Q[N,D], K[M,D], V[M,D], R[C], B[E], int at[N,M] -> Y
        A[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d])/sqrt(D) + {bias})
        Y[i,d] = sum[j](A[i,j]*V[j,d])
    """
    assert "_masked_softmax(" in body(text, "forward")
    assert not any(word in body(text, "backward") for word in ("exp", "where", "_masked"))
    rng, (N, M, D) = np.random.default_rng(0), (3, 4, 2)
    for C, E in ((5, 6), (3, 4), (1, 1)):
        inputs = {n: rng.normal(size=s) for n, s in {"Q": (N, D), "K": (M, D), "V": (M, D), "R": (C,), "B": (E,)}.items()}
        inputs["at"] = rng.integers(-1, 5, size=(N, M))
        inputs["at"][:, 0] = 0  # each row has something
        if "B" in bias and E < N + M - 1:
            inputs["B"] = rng.normal(size=N + M - 2)
        assert_means(nd.derive(text), nd.derive(text).compile(), inputs, rng)


def test_exponentials_beside_weights_and_without_them_may_be_scaled_together() -> None:
    """Those without are exponentials of the scores, and not of what is −∞ where a weight is 0."""
    text = """
        x[T], a[T] -> y
        A[t] = A[t-1] + a[t]
        z[t] = sum[s](where(s <= t, exp(x[s]), 0))  for t < T, s < T
        y[t] = sum[s](where(s <= t, exp(x[s])*a[s], 0))/(z[t] + 1)  for t < T, s < T
    """
    d, rng = nd.derive(text), np.random.default_rng(0)
    for T in (1, 4):
        assert_means(d, d.compile(), {"x": rng.normal(size=T), "a": rng.normal(size=T)}, rng)
