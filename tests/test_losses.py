"""What losses are made of runs as an expert would write it: labels are looked up, and what is summed up to a step runs on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nnderiv as nd

CHOSEN = {  # Σ_k [k = y[n]] f(x[n,k]), and f
    "L[n] = sum[k](where(k == y[n], x[n,k], 0))": lambda x: x,
    "L[n] = sum[k](where(k == y[n], x[n,k]**2, 0))": lambda x: x**2,
    "L[n] = sum[k](where(y[n] == k, log_softmax[k](x[n,k]), 0))": lambda x: torch.log_softmax(x, 1),
    "L[n] = -sum[k](where(k == y[n], log(1 + exp(x[n,k])), 0))": lambda x: -torch.nn.functional.softplus(x),
}


@pytest.mark.parametrize("equation", CHOSEN)
@pytest.mark.parametrize("n, k", [(0, 3), (1, 1), (2, 2), (5, 12)])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_what_a_condition_chooses_is_looked_up_and_nothing_where_there_is_no_such_place(equation, n, k, scale):
    rng = np.random.default_rng(n)
    module = nd.derive(f"x[N,K], int y[N] -> L\n{equation}").compile()
    assert "_gather" in module.source and "np.arange(K) == y" not in module.source
    x, seed = (scale*rng.standard_normal((n, k))).astype(np.float32), rng.standard_normal(n).astype(np.float32)
    y = rng.integers(-1, k + 1, n)
    value, residuals = module.forward(x=x, y=y)
    (gradient,) = module.backward(residuals, dL=seed)
    t = torch.tensor(x, requires_grad=True)
    inside = torch.tensor((0 <= y) & (y < k))
    whole = torch.where(inside, CHOSEN[equation](t).gather(1, torch.tensor(y.clip(0, k - 1))[:, None])[:, 0], 0)
    whole.backward(torch.tensor(seed))
    assert np.isfinite(value).all() and np.isfinite(gradient).all()
    np.testing.assert_allclose(value, whole.detach(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, t.grad, rtol=1e-5, atol=1e-5)


def test_a_place_that_other_indices_determine_is_read_there():
    module = nd.derive("x[N,K], w[K] -> L\nL[n] = sum[k](where(k == n + 1, exp(x[n,k])/w[k], 0))").compile()
    for n, k in [(1, 1), (2, 2), (3, 4), (4, 2)]:
        x, w = np.random.default_rng(n).uniform(1, 2, (n, k)), np.random.default_rng(k).uniform(1, 2, k)
        want = [np.exp(x[i, i + 1])/w[i + 1] if i + 1 < k else 0 for i in range(n)]
        np.testing.assert_allclose(module.forward(x=x, w=w)[0], want)
