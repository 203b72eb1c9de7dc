"""Programs that are many equations deep: each rests on the one before, and Python's stack is short."""

from __future__ import annotations

import numpy as np
import pytest

import nnderiv as nd

DEPTH = 300
STEPS = {  # what one step makes of the last tensor, as text and by NumPy
    "differences from a mean": ("h{0}[n,d] - mean[c](h{0}[n,c])", lambda h: h - h.mean(1, keepdims=True)),
    "shares": ("softmax[d](h{0}[n,d])", lambda h: np.exp(h)/np.exp(h).sum(1, keepdims=True)),
    "two reads of the last one": ("h{0}[n,d]/2 + h{0}[n,d-1]/2", lambda h: (h + np.pad(h, ((0, 0), (1, 0)))[:, :-1])/2),
    "a product with an input": ("h{0}[n,d]*s[n]", lambda h: h),
    "a function": ("tanh(h{0}[n,d])", np.tanh),
}


def chain(step: str, depth: int, first: str = "h0[n,d] = x[n,d]", last: str = "h{0}[n,d]") -> str:
    equations = [f"h{k + 1}[n,d] = {step.format(k)}" for k in range(depth)]
    return "\n".join(["x[N,D], s[N], W[D,D] -> y", first, *equations, f"y[n,d] = {last.format(depth)}"])


@pytest.mark.parametrize("name", STEPS)
def test_a_long_chain_is_derived_and_lowered(name: str) -> None:
    text, step = STEPS[name]
    rng, d = np.random.default_rng(0), nd.derive(chain(text, DEPTH), wrt=("x",))
    x, u = rng.normal(size=(2, 3, 4))
    inputs = {"s": np.ones(3), "W": np.ones((4, 4))}
    module, expected = d.compile(), x
    for _ in range(DEPTH):
        expected = step(expected)
    y, residuals = module.forward(x=x, **inputs)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    eps, dy = 1e-6, rng.normal(size=y.shape)
    ahead, behind = (module.forward(x=x + e*u, **inputs)[0] for e in (eps, -eps))
    np.testing.assert_allclose((module.backward(residuals, dy=dy).dx*u).sum(), ((ahead - behind)*dy).sum()/(2*eps), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("text", [
    chain("log(exp(h{0}[n,d]) + exp(h{0}[n,d] + s[n]))", 40, first="h0[n,d] = logsumexp[c](x[n,c] + W[c,d])"),
    chain("h{0}[n,d] + h{0}[n,d-1]", 40, first="h0[n,d] = sum[c](x[n,c]*W[c,d])", last="softmax[d](h{0}[n,d])"),
], ids=["logarithms", "scores"])
def test_what_reads_the_last_tensor_twice_is_not_asked_twice_as_often_with_each_step(text: str) -> None:
    assert "def backward" in nd.derive(text).numpy()
