"""What losses are made of runs as an expert would write it: labels are looked up, and what is summed up to a step runs on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

import nnderiv as nd
from tests.emitted import body, run
from tests.running import assert_means

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
    inside = torch.tensor((y >= 0) & (y < k))
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


RUNNING = {  # logsumexp_j of x[n,j] over all j up to i, or from i on, and the same by torch
    "y[n,i] = logsumexp[j](where(j <= i, x[n,j], -inf)) for i < K": lambda x: torch.logcumsumexp(x, 1),
    "y[n,i] = logsumexp[j](where(i <= j, x[n,j], -inf)) for i < K": lambda x: torch.logcumsumexp(x.flip(1), 1).flip(1),
    "y[n,i] = x[n,i] - logsumexp[j](where(j >= i, x[n,j], -inf))": lambda x: x - torch.logcumsumexp(x.flip(1), 1).flip(1),
}


@pytest.mark.parametrize("equation", RUNNING)
@pytest.mark.parametrize("n, k", [(3, 0), (0, 3), (1, 1), (2, 2), (3, 40), (200, 24)])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_a_running_logsumexp_and_its_gradient_take_no_pairs_of_steps(equation, n, k, scale):
    rng = np.random.default_rng(n + k)
    module = nd.derive(f"x[N,K] -> y\n{equation}").compile()
    assert "_running_logsumexp" in module.source and "np.arange(K)" not in module.source
    x, seed = (scale*rng.standard_normal((n, k))).astype(np.float32), rng.standard_normal((n, k)).astype(np.float32)
    value, residuals = module.forward(x=x)
    (gradient,) = module.backward(residuals, dy=seed)
    t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    whole = RUNNING[equation](t)
    whole.backward(torch.tensor(seed).double())
    np.testing.assert_allclose(value, whole.detach(), rtol=1e-5, atol=1e-5*scale)
    np.testing.assert_allclose(gradient, t.grad, rtol=1e-4, atol=1e-5 if scale == 1 else 0.02)


def test_what_nothing_can_be_chosen_from_has_no_share_in_a_running_logsumexp():
    module = nd.derive("x[K], m[K] -> y\ny[i] = logsumexp[j](where(j >= i, x[j] + m[j], -inf)) for i < K").compile()
    x, m = np.arange(6.0), np.array([0, -np.inf, 0, 0, -np.inf, -np.inf])
    value, residuals = module.forward(x=x, m=m)
    want = [np.logaddexp.reduce((x + m)[i:]) for i in range(6)]
    np.testing.assert_allclose(value, want)
    shares = [np.exp((x + m)[i:] - want[i]) if np.isfinite(want[i]) else np.zeros(6 - i) for i in range(6)]
    seed = np.arange(1.0, 7)
    np.testing.assert_allclose(module.backward(residuals, dy=seed)[0],
                               sum(np.pad(d*s, (i, 0)) for i, (d, s) in enumerate(zip(seed, shares, strict=True))), atol=1e-12)


def test_exponentials_beside_a_running_logsumexp_that_are_no_shares_stay_as_they_are():
    """exp(a[t] − lse[t]) would be infinite here, and what it is multiplied by 0."""
    layer = nd.derive("""
        x[K], a[K], d[K] -> y
        lse[i] = logsumexp[j](where(j >= i, x[j], -inf)) for i < K
        y[t] = sum[i](where(i <= t, d[i]*exp(a[t] - lse[i]), 0))
    """)
    y, _ = layer.compile().forward(x=np.array([900.0, -900.0]), a=np.array([900.0, 900.0]), d=np.array([1.0, 0.0]))
    np.testing.assert_allclose(y[0], 1)
    assert "_running_logsumexp" in layer.numpy() and "y_sum" not in layer.numpy()


@pytest.mark.parametrize("n, k", [(0, 3), (3, 0), (1, 1), (2, 2), (7, 5)])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_gradients_of_a_difference_are_computed_once_and_scaled_once(n, k, scale):
    module = nd.derive("o[N,K], y[N,K] -> L\nL = mean[n,k]((o[n,k] - y[n,k])**2)").compile()
    assert "do = (o - y)/(K*N/2)" in module.source and "dy = -do" in module.source
    rng = np.random.default_rng(n)
    o, y = ((scale*rng.standard_normal((n, k))).astype(np.float32) for _ in range(2))
    t, u = (torch.tensor(x, requires_grad=True) for x in (o, y))
    with np.errstate(invalid="ignore"):  # the mean of nothing
        value, residuals = module.forward(o=o, y=y)
    gradients = module.backward(residuals)
    whole = torch.nn.functional.mse_loss(t, u)
    whole.backward()
    np.testing.assert_allclose(value, whole.detach(), rtol=1e-5)
    for mine, other in zip(gradients, (t.grad, u.grad), strict=True):
        assert np.isfinite(mine).all() and mine.dtype == np.float32
        np.testing.assert_allclose(mine, other, rtol=1e-5)


def test_products_in_a_sum_are_turned_one_by_one():
    layer = nd.derive("a[N], p[N], q[N], w[N] -> L\nL = sum[n](w[n]*(a[n] - p[n] + 1)**2) + sum[n]((q[n] - a[n])**4)")
    written = layer.numpy(without=("by_part",))
    assert "dp = np.negative(" in written and "p - a" not in written
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal(5) for name in "apqw"}
    f = layer.compile()
    gradients = f.backward(f.forward(**inputs)[1])
    t = {name: torch.tensor(x, requires_grad=True) for name, x in inputs.items()}
    (t["w"]*(t["a"] - t["p"] + 1)**2 + (t["q"] - t["a"])**4).sum().backward()
    for name, mine in zip("apqw", gradients, strict=True):
        np.testing.assert_allclose(mine, t[name].grad)


WINDOWS = {  # logsumexp_u of r·X[n,i+u], with and without a margin, and every second place
    "Y[n,i] = logsumexp[u](r*X[n,i+u]) for u < 3": (0, 1, True),
    "Y[n,i] = logsumexp[u](r*X[n,i+u-1]) for i < T, u < 3": (1, 1, True),
    "Y[n,i] = logsumexp[u](r*X[n,2*i+u]) for i < (T - 1)//2, u < 3": (0, 2, False),
}


@pytest.mark.parametrize("equation", WINDOWS)
@pytest.mark.parametrize("n, t", [(0, 5), (1, 3), (2, 4), (3, 20)])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_what_windows_read_is_scaled_before(equation, n, t, scale):
    margin, step, before = WINDOWS[equation]
    module = nd.derive(f"X[N,T], r -> Y\n{equation}").compile()
    assert ("r*X " in module.source) == before
    X, r = (scale*np.random.default_rng(t).standard_normal((n, t))).astype(np.float32), np.float32(0.5)
    value, residuals = module.forward(X=X, r=r)
    seed = np.random.default_rng(n).standard_normal(value.shape).astype(np.float32)
    dX, dr = module.backward(residuals, dY=seed)
    x, s = torch.tensor(X, dtype=torch.float64, requires_grad=True), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    padded = torch.nn.functional.pad(s*x, (margin, margin), value=-torch.inf)
    whole = torch.logsumexp(padded.unfold(1, 3, step), 2)
    whole.backward(torch.tensor(seed).double())
    assert np.isfinite(value).all() and np.isfinite(dX).all() and np.isfinite(dr)
    np.testing.assert_allclose(value, whole.detach(), rtol=1e-5)
    np.testing.assert_allclose(dX, x.grad, rtol=1e-3, atol=1e-5 if scale == 1 else 1e-2)
    np.testing.assert_allclose(dr, s.grad, rtol=1e-3, atol=1e-3*scale)


@pytest.mark.parametrize("equation, X, dr", [
    ("Y[i] = max[u](r*X[i+u]) for u < 2", [1, 2, -np.inf, 3], 2 + 2 + 3),                      # −inf is not chosen
    ("Y[i] = logsumexp[u](r*X[i+u]) for i < 2, u < 2", [1, 1, 1, np.inf], 2),                  # nor is what no window holds
    ("Y[i] = logsumexp[u](r*X[i+2*u]) for i < T - 2, u < 2", [1, np.inf, 1], 1),
])
def test_what_hands_nothing_on_may_be_infinite(equation, X, dr):
    layer = nd.derive(f"X[T], r -> Y\n{equation}")
    assert "r*X" not in layer.numpy().split("def forward")[1].split("# Y")[0]
    value, residuals = layer.compile().forward(X=np.array(X, float), r=2.0)
    assert layer.compile().backward(residuals, dY=np.ones_like(value)).dr == pytest.approx(dr)


@pytest.mark.parametrize("h", [0, 1, 2, 3, 7])
def test_what_a_sum_over_windows_is_weighted_with_is_multiplied_in_after_the_kernel_is_summed(h):
    layer = nd.derive("""
        X[N,H,W], d[N,H//2,W//2], p -> L
        L = sum[n,i,j,u,v](d[n,i,j]*X[n,2*i+u,2*j+v]**p*log(X[n,2*i+u,2*j+v])) for u < 2, v < 2, i < H//2, j < W//2
    """)
    module = layer.compile()
    assert "transpose" not in module.source and "ndindex(2, 2)" in module.source
    rng = np.random.default_rng(h)
    X, d = rng.uniform(0.5, 1.5, (2, h, 5)), rng.standard_normal((2, h//2, 2))
    value, residuals = module.forward(X=X, d=d, p=2.5)
    dX, dd, dp = module.backward(residuals)
    x, w, p = (torch.tensor(a, requires_grad=True) for a in (X, d, 2.5))
    f = (x**p*torch.log(x))[:, :h//2*2, :4].reshape(2, h//2, 2, 2, 2).sum((2, 4))
    whole = (w*f).sum()
    whole.backward()
    np.testing.assert_allclose(value, whole.item())
    for mine, other in ((dX, x.grad), (dd, w.grad), (dp, p.grad)):
        np.testing.assert_allclose(mine, other, atol=1e-12)


@pytest.mark.parametrize("loss", [
    "y[n]*log(sigmoid(z[n])) + (1 - y[n])*log(1 - sigmoid(z[n]))",
    "(1 - y[n])*log(sigmoid(-z[n])) + y[n]*log(sigmoid(z[n]))",
    "w[n]*(y[n]*log(sigmoid(z[n])) + (1 - y[n])*log(1 - sigmoid(z[n])))",
    "w[n]*y[n]*log(sigmoid(z[n])) + (1 - y[n])*log(1 - sigmoid(z[n]))",
    "log(sigmoid(z[n])) + log(sigmoid(-z[n])) + y[n]*w[n]",
])
def test_a_logistic_loss_takes_one_exponential_and_has_all_its_digits(loss: str) -> None:
    text = f"z[N], y[N], w[N] -> l\nl[n] = -({loss})"
    gradient = body("z[N], y[N] -> L\nL = -sum[n](y[n]*log(sigmoid(z[n])) + (1 - y[n])*log(1 - sigmoid(z[n])))/N", "backward")
    assert "dz = (_sigmoid(z) - y)/N" in gradient and "dy = z/(-N)" in gradient
    assert body(text, "forward").count("np.exp(") == 1 and "_softplus(" not in body(text, "forward")
    assert body(text, "backward").count("_sigmoid(") == 1 + ("y[n]*w[n]" in loss)
    d = nd.derive(text)
    inputs = {"z": np.array([-4.0, 4, 0.3, -0.3]), "y": np.array([0.0, 1, 1, 0.7]), "w": np.array([1.0, 2, 3, 4])}
    assert_means(d, d.compile(), inputs, np.random.default_rng(0))
    far = {name: x.astype(np.float32)[:2] for name, x in inputs.items()} | {"z": np.array([-80, 80], np.float32)}
    with mp.workdps(60):
        exact = nd.evaluate(d.forward, {name: [mpf(float(v)) for v in x] for name, x in far.items()})["l"]
    np.testing.assert_allclose(d.compile().forward(**far)[0], np.array(exact, float), rtol=1e-5)


def test_a_focal_loss_has_one_exponential_more_than_its_sigmoid_forward_and_none_backward() -> None:
    text = """z[N], y[N] -> L
        L = -mean[n](y[n]*(1 - sigmoid(z[n]))**2*log(sigmoid(z[n])) + (1 - y[n])*sigmoid(z[n])**2*log(1 - sigmoid(z[n])))"""
    gradient = body(text, "backward")
    assert "exp(" not in gradient and "softplus(" not in gradient and "_sigmoid(" not in gradient
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"z": rng.normal(size=9), "y": rng.uniform(size=9)}, rng)
    z, y = np.array([-800.0, 800, -800, 800, 30, -30]), np.array([0.0, 1, 1, 0, 1, 0])
    gradients = [run(d.compile(without=w), {}, z=z, y=y)[1].dz for w in ((), ("both_sides", "recall"))]
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-30)
