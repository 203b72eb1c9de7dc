"""Exponentials that are added up, written out: the same formulas, and the same stable modules, as with the words for them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp

import nnderiv as nd
from tests.running import assert_means

ATTENTION = "q[N,D], k[M,D], v[M,P] -> y\ny[n,p] = "
SCORE = "sum[d](q[n,d]*k[{},d])"
WORDS = {
    "logsumexp": ("x[N,K] -> y\ny[n] = log(sum[k](exp(x[n,k])))", "x[N,K] -> y\ny[n] = logsumexp[k](x[n,k])"),
    "over two indices": ("x[N,K] -> y\ny = log(sum[n,k](exp(x[n,k])))", "x[N,K] -> y\ny = logsumexp[n,k](x[n,k])"),
    "softmax": ("x[N,K] -> y\ny[n,k] = exp(x[n,k])/sum[j](exp(x[n,j]))", "x[N,K] -> y\ny[n,k] = softmax[k](x[n,k])"),
    "with a temperature": ("x[N,K], a -> y\ny[n,k] = exp(x[n,k]/a)/sum[j](exp(x[n,j]/a))", "x[N,K], a -> y\ny[n,k] = softmax[k](x[n,k]/a)"),
    "of everything": ("x[N,K] -> y\ny[n,k] = exp(x[n,k])/sum[i,j](exp(x[i,j]))", "x[N,K] -> y\ny[n,k] = softmax[n,k](x[n,k])"),
    "masked": ("x[N,N] -> y\ny[n,k] = where(k <= n, exp(x[n,k]), 0)/sum[j](where(j <= n, exp(x[n,j]), 0))",
               "x[N,N] -> y\ny[n,k] = softmax[k](where(k <= n, x[n,k], -inf))"),
    "attention": (f"{ATTENTION}sum[m](exp({SCORE.format('m')})/sum[j](exp({SCORE.format('j')}))*v[m,p])",
                  f"{ATTENTION}sum[m](softmax[m]({SCORE.format('m')})*v[m,p])"),
    "attention, divided at the end": (f"{ATTENTION}sum[m](exp({SCORE.format('m')})*v[m,p])/sum[j](exp({SCORE.format('j')}))",
                                      f"{ATTENTION}sum[m](softmax[m]({SCORE.format('m')})*v[m,p])"),
    "cross-entropy": ("x[N,K], y[N,K] -> L\nL = -sum[n,k](y[n,k]*log(exp(x[n,k])/sum[j](exp(x[n,j]))))",
                      "x[N,K], y[N,K] -> L\nL = -sum[n,k](y[n,k]*log(softmax[k](x[n,k])))"),
}


@pytest.mark.parametrize(("written", "word"), WORDS.values(), ids=WORDS)
def test_what_is_written_out_has_the_gradients_of_the_word(written: str, word: str) -> None:
    d, e = nd.derive(written), nd.derive(word)
    assert d.backward == e.backward or nd.prove(d.backward, e.backward).verdict in ("proved", "verified")
    assert str(d.backward).count("exp(") == str(e.backward).count("exp(") and d.check(seed=0).ok
    assert d.numpy().split("def forward")[1].count("\n") == e.numpy().split("def forward")[1].count("\n")


@pytest.mark.parametrize("written", [w for w, _ in WORDS.values() if w.startswith("x[N,K] ") or "N,N" in w])
def test_large_arguments_are_no_more_to_it_than_to_the_word(written: str) -> None:
    module = nd.derive(written).compile()
    x = np.array([[1e4, -1e4, 9e3], [-1e4, -1e4, -9.9e3], [3, 2, 1]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, residuals = module.forward(x=x)
        g = module.backward(residuals, **({} if np.ndim(y) == 0 else {"dy": np.ones_like(y)}))
    assert np.isfinite(y).all() and np.isfinite(g.dx).all()


EDGES = [
    "y[n,k] = exp(x[n,k+1])/sum[j](exp(x[n,j+1])) for k < K",  # beyond the end exp(0) = 1 above, and nothing below
    "y[n,k] = exp(x[n,k-1])/sum[j](exp(x[n,j-1])) for k < K",
    "y[n,p] = sum[k](exp(x[n,k+1])*v[k+1,p])/sum[j](exp(x[n,j+1]))",
    "y[n,p] = sum[k](exp(x[n,k])*v[k+1,p])/sum[j](exp(x[n,j])) for k < K",
    "y[n] = log(sum[k](exp(x[n,k+1]))) for k < K",
    "y[n,k] = exp(x[n,k])/sum[j](exp(x[n,j])) for k < K-1",
    "y[n,k] = exp(x[n,k])/sum[j](exp(x[n,j])) for k < K + 2, j < K + 2",  # of which the sum has K terms
    "y[n,k] = x[n,k] - log(sum[j](exp(x[n,j]))) for k < K + 2, j < K + 2",
    "y[n,u] = exp(x[n+u-1,0])/sum[w](exp(x[n+w-1,0])) for n < N, u < 3, w < 3",
    "y[n] = sum[u](exp(x[n+u,0])*x[n+u,1])/sum[w](exp(x[n+w,0])) for n < N - 1",
    "y[n] = where(n < N - 1, log(sum[j](exp(x[n,j])*exp(x[n+1,j])/(4*N))), 0) for n < N",
    "y[n,k] = sum[t](exp(x[n,t])*exp(x[t,k]))/sum[j](exp(x[n,j])) for t < K, n < N",
    "y[n,k] = v[0,0]*exp(x[n,k])*x[n,k]/(2*sum[j](exp(x[n,j]))) + 1/sum[j](exp(x[n,j]))",
    "y[n] = exp(x[n,0])/sum[j](exp(x[n,j]))/sum[j](exp(2*x[n,j]))",
    "y[n] = log(1 + sum[j](exp(x[n,j]))) + log(sum[j](2*exp(x[n,j])))",
    "y[n] = log(sum[j](x[n,j]**2*exp(x[n,j-1])))",  # a weight, and a sum that leaves the first place out
    "y[n] = sum[j](x[n,j]*exp(x[n,j+1] + x[n,j]))/sum[j](x[n,j]*exp(x[n,j+1] + x[n,j]))",
    "y[n,k] = x[n,k]*exp(x[n,k])/sum[j](x[n,j]*exp(x[n,j]))",
    "y[n] = sum[j](exp(x[n,j])*v[j,0])/(exp(x[n+1,0]) + sum[j](exp(x[n,j]))) for n < N",  # which the sum above does not read
    "y[n] = log(1 + sum[j](exp(x[n,j]) + exp(x[n+1,j+1])))",
]


@pytest.mark.parametrize("equation", EDGES)
@pytest.mark.parametrize("options", [{}, {"without": ("recall",)}])
def test_it_means_what_was_written(equation: str, options: dict[str, Any]) -> None:
    program = nd.parse(f"x[N,K], v[M,P] -> y\n{equation}" if "v[" in equation else f"x[N,K] -> y\n{equation}")
    rng = np.random.default_rng(0)
    inputs = {i.name: rng.normal(size=(3, 4) if i.name == "x" else (4, 2)) for i in program.inputs}
    d = nd.derive(program)
    y, _ = d.compile(**options).forward(**inputs)
    np.testing.assert_allclose(y, np.array(nd.evaluate(program, inputs)["y"], float), rtol=1e-12)
    assert d.check(seed=1).ok


def test_a_weight_beside_an_exponential_may_know_more_than_it() -> None:
    d = nd.derive("x[N,K], v[K,P], m[P], int l[N] -> y\ny[p,n] = sum[k](where(k >= l[n], x[n,k], 0)*exp(v[k,p]))*m[p]")
    assert d.check(seed=1).ok


def test_what_is_divided_by_another_exponential_than_its_own_is_scaled_too() -> None:
    d = nd.derive("""
        x[N,K], g[N], v[N,K] -> y
        u[n] = sigmoid(g[n]) for n < N
        y[n] = sum[k](exp(-x[n,k])*v[n,k])/(u[n]*exp(x[n,0])*sigmoid(g[n]))
    """)
    assert d.check(seed=0).ok


LARGE = [
    "y[n] = log(exp(x[n,0]) + where(c[n] > 0, exp(x[n,1]), 0))",
    "y[n] = log(where(c[n] == 1, exp(x[n,0]), 0) + where(c[n] > 0, exp(x[n,1]), 0) + exp(x[n,2]))",
    "y[n] = exp(x[n,0])/(exp(x[n,0]) + where(c[n] > 0, exp(x[n,1]), 0))",
    "y[n,k] = log(1/(1 + exp(-x[n,k])))",
    "y[n,k] = log(1 - 1/(1 + exp(-x[n,k])))",
    "y[n] = log(exp(x[n,0])/(exp(x[n,0]) + exp(x[n,1])))",
    "y[n,k] = log((exp(x[n,k]) + exp(-x[n,k]))/2)",
    "y[n,k] = (exp(2*x[n,k]) - 1)/(exp(2*x[n,k]) + 1)",
    "y[n,k] = (1 - exp(-2*x[n,k]))/(1 + exp(-2*x[n,k]))",
]


def high(value: Any) -> Any:
    """Numbers for which no exponential is too large, and integers as they are."""
    return value.tolist() if value.dtype.kind == "i" else np.vectorize(mp.mpf, otypes=[object])(value).tolist()


@pytest.mark.parametrize("equation", LARGE)
def test_what_is_added_under_a_condition_or_divided_by_a_sum_is_shifted_too(equation: str) -> None:
    d = nd.derive(f"x[N,K]{', int c[N]' if 'c[' in equation else ''} -> y\n{equation}")
    x = np.array([[1e4, -1e4, 9e3], [-1e4, -1e4, -9.9e3], [3, 2, 1], [-1e4, 1e4, 0], [0.25, -0.5, 0]], np.float32)
    inputs = {"x": x, "c": np.array([0, 1, 2, 1, 0])} if "c[" in equation else {"x": x}
    y = assert_stable(d, inputs, lambda y: {"dy": np.ones_like(y)})
    assert_stable(nd.derive(d.backward), {**inputs, "dy": np.ones_like(y)}, lambda _: {"ddx": x/1e4})


def assert_stable(d: Any, inputs: dict[str, Any], seeds: Callable[[Any], dict[str, Any]]) -> Any:
    """The gradients of a module, without a warning, are those of the interpreter; what the module computes."""
    module = d.compile()
    with warnings.catch_warnings(), mp.workdps(60):
        warnings.simplefilter("error")
        y, residuals = module.forward(**inputs)
        found = module.backward(residuals, **seeds(y))._asdict()
        expected = nd.evaluate(d.backward, {name: high(v) for name, v in {**inputs, **seeds(y)}.items()})
    for name, g in found.items():
        np.testing.assert_allclose(g, np.array(expected[name], float), rtol=1e-4, atol=1e-5)
    return y


def test_a_sigmoid_that_is_written_out_has_logarithms_with_gradients_for_large_arguments() -> None:
    module = nd.derive("x[N] -> L\np[n] = 1/(1 + exp(-x[n]))\nL = sum[n](log(p[n]) + 3*log(1 - p[n]))").compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L, residuals = module.forward(x=np.array([1e4, -1e4, 0], np.float32))
        g = module.backward(residuals).dx
    np.testing.assert_allclose(L, -4e4 - 4*np.log(2), rtol=1e-6)
    np.testing.assert_allclose(g, [-3, 1, -1], rtol=1e-6)


CTC = """
    x[T,K], int c[S] -> L
    l[t,k] = log_softmax[k](x[t,k])
    a[0,s] = where(s < 2, l[0,c[s]], -inf)
    a[t,s] = l[t,c[s]] + log(exp(a[t-1,s]) + {} + {})
    L = -logsumexp[s](where(s >= S - 2, a[T-1,s], -inf))
"""
SKIPPED = "s >= 2 and c[s] != c[s-2]"


@pytest.mark.parametrize("text", [
    CTC.format("where(s >= 1, exp(a[t-1,s-1]), 0)", f"where({SKIPPED}, exp(a[t-1,s-2]), 0)"),
    CTC.format("exp(where(s >= 1, a[t-1,s-1], -inf))", f"exp(where({SKIPPED}, a[t-1,s-2], -inf))"),
], ids=["masked exponentials", "masked scores"])
def test_states_that_cannot_be_reached_yet_leave_the_gradient_of_ctc_finite(text: str) -> None:
    module, labels = nd.derive(text).compile(), [0, 2, 0, 1, 0, 1, 0, 3, 0]
    for scale in (1, 1e4):
        x = (scale*np.random.default_rng(1).uniform(-1, 1, (6, 4))).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, residuals = module.forward(x=x, c=np.array(labels))
            g = module.backward(residuals).dx
        weights, total = np.zeros_like(x, dtype=float), -np.inf
        logs = x - np.logaddexp.reduce(x.astype(float), axis=1, keepdims=True)
        for path in paths(labels, len(x)):
            total = np.logaddexp(total, sum(logs[t, labels[s]] for t, s in enumerate(path)))
        for path in paths(labels, len(x)):
            probability = np.exp(sum(logs[t, labels[s]] for t, s in enumerate(path)) - total)
            for t, s in enumerate(path):
                weights[t, labels[s]] += probability
        np.testing.assert_allclose(g, np.exp(logs) - weights, atol=2e-2 if scale > 1 else 1e-5)


def paths(labels: list[int], steps: int) -> list[tuple[int, ...]]:
    """The ways through the states, one step at a time: to stay, to go on, or to skip a blank between two labels that differ."""
    found = [(s,) for s in range(2)]
    for _ in range(steps - 1):
        found = [(*p, s) for p in found for s in (p[-1], p[-1] + 1, p[-1] + 2) if s < len(labels)
                 and (s < p[-1] + 2 or labels[s] != labels[p[-1]])]
    return [p for p in found if p[-1] >= len(labels) - 2]


@pytest.mark.parametrize("without", [(), ("branches",), ("shifted",)])
def test_a_temperature_has_a_gradient_where_some_ways_do_not_exist(without: tuple[str, ...]) -> None:
    """At the edges of a table two of three ways are closed: what one of them has weighs nothing, however it is compared with the other."""
    d = nd.derive("""
        c[N,M], g -> R
        R[0,0] = c[0,0]
        R[i,j] = c[i,j] - g*log(where(i > 0, exp(-R[i-1,j]/g), 0) + where(j > 0, exp(-R[i,j-1]/g), 0)
                                + where(i > 0 and j > 0, exp(-R[i-1,j-1]/g), 0))
    """)
    rng, module = np.random.default_rng(0), d.compile(without=without)
    for N, M in ((3, 2), (1, 3), (4, 1), (1, 1)):
        assert_means(d, module, {"c": rng.uniform(size=(N, M)), "g": 0.7}, rng)


@pytest.mark.parametrize("equations, kept", [
    ("p[n,k] = w[k] - exp(x[n,k])\nq[n,k] = p[n,k]/(exp(v[n,k]) + p[n,k]*w[k])", "q[n,k] = p[n,k]/(exp(v[n,k]) + p[n,k]*w[k])"),
    ("p[n,k] = exp(x[n,k])*w[k]\nq[n,k] = v[n,k]/(1 + exp(-1 - p[n,k]))", "sigmoid(1 + p[n,k])"),
])
def test_a_tensor_of_which_no_quotient_of_exponentials_comes_is_read_and_not_written_out(equations: str, kept: str) -> None:
    backward = nd.derive(f"x[N,K], v[N,K], w[K] -> y\n{equations}\ny[n] = sum[k](q[n,k]*p[n,k])").backward
    assert kept in str(backward)


@pytest.mark.parametrize("step", [
    "h{i}[n] = h{j}[n]/(1 + exp(-h{j}[n]))", "h{i}[n] = h{j}[n]*exp(h{j}[n])", "h{i}[n] = 1/(1 + exp(-h{j}[n]))",
    "h{i}[n] = h{j}[n]*h{j}[n]",
    "h{i}[n] = h{j}[n]*exp(-h{j}[n])/(h{j}[n] + exp(-h{j}[n]))",
])
def test_a_chain_is_looked_into_for_a_few_steps_only(step: str) -> None:
    """What each tensor stands for would be as long as the chain, or twice as long with each step; and Python's stack is short."""
    lengths = {}
    for n in (40, 400):
        steps = "\n".join(step.format(i=i + 1, j=i) for i in range(n))
        lengths[n] = len(str(nd.derive(f"x[N] -> y\nh0[n] = exp(x[n])\n{steps}\ny = sum[n](log(h{n}[n]))").backward))
    assert lengths[400] < 15*lengths[40]


@pytest.mark.parametrize("share", ["exp(x[n,k-1] + z[n,k])", "sigmoid(x[n,k-1])*exp(z[n,k+1])", "1/(1 + exp(x[n,k-2]))"])
@pytest.mark.parametrize("read", [
    "sum[k](x[n,k] - log(p[n,k]))", "max[k](log(p[n,k]))", "min[k](where(k != n, log(1 + p[n,k]) - log(p[n,k]), 0))",
    "mean[k](log(p[n,k])**2)", "logsumexp[k](log(p[n,k]) - x[n,k])", "sum[k](sqrt(p[n,k]))",
])
def test_a_reduction_runs_where_it_did_when_logarithms_go_by_parts(share: str, read: str) -> None:
    """It leaves out where what it reads is outside: p is read everywhere, and x, of which its logarithm is made, is not."""
    d = nd.derive(f"x[N,K], z[N,K] -> y\np[n,k] = {share} for n < N, k < K\ny[n] = {read} for n < N, k < K")
    assert d.check(seed=0, trials=2).ok
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 4)):
        assert_means(d, d.compile(), {"x": rng.normal(size=shape), "z": rng.normal(size=shape)}, rng)
