"""Exponentials that are added up, written out: the same formulas, and the same stable modules, as with the words for them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import nnderiv as nd

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
    "y[n,k] = sum[t](exp(x[n,t])*exp(x[t,k]))/sum[j](exp(x[n,j])) for t < K, n < N",
    "y[n,k] = v[0,0]*exp(x[n,k])*x[n,k]/(2*sum[j](exp(x[n,j]))) + 1/sum[j](exp(x[n,j]))",
    "y[n] = exp(x[n,0])/sum[j](exp(x[n,j]))/sum[j](exp(2*x[n,j]))",
    "y[n] = log(1 + sum[j](exp(x[n,j]))) + log(sum[j](2*exp(x[n,j])))",
]


@pytest.mark.parametrize("equation", EDGES)
@pytest.mark.parametrize("options", [{}, {"without": ("recall",)}])
def test_it_means_what_was_written(equation: str, options: dict[str, Any]) -> None:
    program = nd.parse(f"x[N,K], v[M,P] -> y\n{equation}" if "v[" in equation else f"x[N,K] -> y\n{equation}")
    rng = np.random.default_rng(0)
    inputs = {i.name: rng.normal(size=(3, 4) if i.name == "x" else (4, 2)) for i in program.inputs}
    d = nd.derive(program)
    y, _ = d.compile(**options).forward(**inputs)
    np.testing.assert_allclose(y, np.array(nd.evaluate(program, inputs)["y"]), rtol=1e-12)
    assert d.check(seed=1).ok
