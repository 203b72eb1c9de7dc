"""The exponentials that a logsumexp adds up are kept where backward asks for their shares: the same values, with one exponential each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import nnderiv as nd
from tests.running import assert_means

LABELS = "o[N,K], int y[N] -> L\np[n,k] = log_softmax[k](o[n,k])\nL = -mean[n](p[n,y[n]])"
PIXELS = "o[N,K,H], int y[N,H] -> L\np[n,k,h] = log_softmax[k](o[n,k,h])\nL = -mean[n,h](p[n,y[n,h],h])"
SCORES = "o[N,K], int y[N] -> L\nL = mean[n](logsumexp[k](o[n,k]) - o[n,y[n]])"
BOTH = "s[N,N] -> L\nL = mean[n](logsumexp[m](s[n,m])/2 + logsumexp[m](s[m,n])/2 - s[n,n])"
EXPONENTIALS = ("np.exp(", "_exp_difference(", "_softmax(")
WHOLE = "o[N,K] -> L\nL = logsumexp[n,k](o[n,k])"


def _scores(name: str, shape: tuple[int, ...]) -> np.ndarray:
    o = np.random.default_rng(0).normal(size=shape)
    if name == "large":
        o *= 1e4
    if name == "masked":
        o[..., 1] = -np.inf  # its label is another
    return o


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["small", "large", "masked"])
def test_a_loss_of_labels_is_that_of_pytorch(kind: str, dtype: type) -> None:
    o, y = _scores(kind, (5, 4)).astype(dtype), np.array([0, 3, 2, 0, 3])
    leaf = torch.tensor(o, requires_grad=True)
    expected = F.cross_entropy(leaf, torch.tensor(y))
    slope = torch.autograd.grad(expected, leaf)[0].numpy()
    tolerance = 1e-12 if dtype is np.float64 else 1e-6
    for text in (LABELS, SCORES):
        module = nd.derive(text).compile()
        L, residuals = module.forward(o=o, y=y)
        assert L.dtype == dtype and abs(L - expected.item()) <= 10*tolerance*max(1, abs(expected.item()))
        np.testing.assert_allclose(module.backward(residuals).do, slope, atol=tolerance)


@pytest.mark.parametrize("text", [LABELS, PIXELS, SCORES, BOTH, WHOLE])
def test_forward_takes_the_only_exponential_of_each_entry(text: str) -> None:
    forward, backward = nd.derive(text).numpy().split("def forward")[1].split("def backward")
    assert "np.exp(" in forward and not any(word in backward for word in EXPONENTIALS)
    assert any(word in nd.derive(text).numpy(without=("summands",)).split("def backward")[1] for word in EXPONENTIALS)


@pytest.mark.parametrize("text", [LABELS, PIXELS, SCORES, BOTH, WHOLE])
def test_nothing_changes_by_it(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(1)
    for N, K, H in ((3, 4, 2), (1, 1, 1), (2, 3, 1)):
        shapes = {"N": N, "K": K, "H": H}
        inputs = {i.name: rng.normal(size=[r.value(shapes) for r in i.dims]) if i.kind == "real"
                  else rng.integers(-1, K + 1, size=[r.value(shapes) for r in i.dims]) for i in d.forward.inputs}
        results = []
        for without in ((), ("summands",)):
            module = d.compile(without=without)
            L, residuals = module.forward(**inputs)
            results.append([L, *module.backward(residuals)])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    assert d.check(seed=0).ok


def test_a_row_of_nothing_and_no_row_at_all() -> None:
    """Where all scores are −inf, or there are none, the logsumexp is −inf, and every share is 0, as they are without the pass."""
    d = nd.derive("o[N,K] -> s\ns[n] = logsumexp[k](o[n,k])")
    for o in (np.full((2, 3), -np.inf), np.zeros((2, 0)), np.zeros((0, 3))):
        for without in ((), ("summands",)):
            module = d.compile(without=without)
            s, residuals = module.forward(o=o)
            assert np.all(s == -np.inf) and np.all(module.backward(residuals, ds=np.ones(len(o))).do == 0)


def test_what_is_read_everywhere_stays_a_tensor() -> None:
    """A loss of distributions reads all of log_softmax, and a layer whose output is a softmax has the shares already."""
    for text in ("o[N,K], y[N,K] -> L\nL = -sum[n,k](y[n,k]*log_softmax[k](o[n,k]))", "o[N,K] -> p\np[n,k] = softmax[k](o[n,k])",
                 "o[N,K] -> p\np[n,k] = log_softmax[k](o[n,k])",
                 "o[N,K] -> s, p\ns[n] = logsumexp[k](o[n,k])\np[n,k] = exp(o[n,k] - s[n])"):
        assert nd.derive(text).numpy() == nd.derive(text).numpy(without=("summands",))


def test_a_share_of_another_total_is_none_of_this_one() -> None:
    """exp(z − y) has y = log(exp(lse x) + exp(lse z)) below it, and not the logsumexp of z."""
    d = nd.derive("x[N,K], z[N,K] -> y\ny[n] = log(exp(logsumexp[k](x[n,k])) + exp(logsumexp[k](z[n,k])))")
    assert d.check(seed=0).ok


@pytest.mark.parametrize("text", [
    "o[N,K], int y[N] -> L\np[n,k] = log_softmax[k](o[n,k])\nL[n] = -p[n,y[n]]",
    "o[K,N], int y[N] -> L\np[k,n] = log_softmax[k](o[k,n])\nL[n] = p[y[n],n]**2",
    "o[N,K], int y[N] -> L\np[n,k] = log_softmax[k](o[n,k])\nL[n] = where(n > 0, p[n-1,y[n]], p[n+1,y[n]+1]) for n < N",
    "o[N,K], int y[N] -> L\np[n,k] = log_softmax[k](o[n,k])\nL = p[N-1,y[0]]",
])
def test_what_is_read_of_a_row_outside_of_it_is_zero(text: str) -> None:
    """A label of −1 or −100 says that there is none; without a reduction around, nothing leaves it out."""
    d, rng = nd.derive(text), np.random.default_rng(0)
    for N, K in ((5, 3), (1, 2), (2, 0)) if "y[0]" in text else ((5, 3), (1, 2), (2, 0), (0, 2)):
        y = np.array([-1, 1, K, 0, -100])[:N]
        assert_means(d, d.compile(), {"o": rng.normal(size=(K, N) if "o[K,N]" in text else (N, K)), "y": y}, rng)
