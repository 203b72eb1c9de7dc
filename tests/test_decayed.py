"""Sums that fade from step to step: scans, and no table of all pairs of steps, forward or backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from tests.emitted import body
from tests.running import assert_means

ALL = "x[T,N], w, a[N] -> y\n"
FADING = {
    "y[t,n] = sum[s](where(s <= t, w**(t-s)*x[s,n], 0))*a[n] for t < T": "w*y_sum[t-1,n] + x[t,n]",
    "y[t,n] = (1 - w)*sum[s](where(t > s, x[s,n]*w**(t-s-1)*a[n], 0)) for t < T": "w*y_sum_sum[s-1,n] + x[s,n]",
    "y[t,n] = sum[s](where(s < t, w*x[s,n]/a[n]**(t-s), 0)) for t < T": None,               # it grows by powers of 1/a
    "y[t,n] = sum[s](where(s <= t, w*x[s,n]*exp((s-t)/a[n]), 0)) for t < T": "y_sum_exp[n]*y_sum[s-1,n] + x[s,n]",
    "y[t,n] = sum[s](where(s >= t, w**(2*s-2*t+1)*x[s,n]*exp(a[n]*(t-s)), 0)) for t < T": "w**2*y_sum_exp[n]*y_sum[s+1,n] + x[s,n]",
    "y[t,n] = sum[s](where(s <= t and x[s,n] > 0, sigmoid(w)**(t-s)*exp(-a[n]*(t-s)/3 + w)*x[s,n], 0)) for t < T": "y_sum[s-1,n]",
    "y[t] = sum[s,n](where(s <= t, w**(t-s)*a[n]*x[s,n], 0)) for t < T": "w*y[t-1] + sum[n](a[n]*x[t,n])",
    "D[t,s] = where(s <= t, w**(t-s), 0) for t < T, s < T\ny[t,n] = sum[s](D[t,s]*x[s,n])*a[n]": "w*y_sum[t-1,n] + x[t,n]",
    "y[t] = sum[k](w**k*x[t-k,0]*a[0]) for t < T, k < T": "w*y_sum[s-1] + x[s,0]",
    "y[t,n] = sum[k]((1-w)**k*x[t+k,n]*a[n]) for t < T, k < T": "(1 - w)*y_sum[t+1,n] + x[t,n]",
    "y[t,n] = sum[k](where(k <= t, exp(-a[n]*k)*x[t-k,n], 0))*w for t < T, k < T": "y_sum_exp[n]*y_sum[t-1,n] + x[t,n]",
    "y[t,n] = sum[k](w**k*x[t-k,n]*a[n]) for t < T, k < 3": None,                            # a window has an end
    "y[t,n] = sum[k](w**k*x[t-k-1,n]*a[n]) for t < T, k < T": "w*y_sum[t-1,n] + x[t,n]",
    "y[t,n] = sum[s](where(s <= t, w*exp(a[n]*(t-s-5))*x[s,n], 0)) for t < T": None,      # exp(300·0) is 1, exp(300)⁵·exp(−1500) none
    "y[t,n] = sum[s](where(s <= t, exp(-w*(t-s)**2)*x[s,n]*a[n], 0)) for t < T": None,
    "y[t,n] = sum[s](where(s <= t, exp(x[t,0] - x[s,0])*w*a[n], 0)) for t < T": None,        # a rate of its own at each step
    "y[t,n] = sum[s,m](where(s <= t, exp(-a[m]*(t-s))*x[s,m]*x[t,n]*w, 0)) for t < T": None,  # would need a state for each m
    "y[t,n] = max[s](where(s <= t, w**(t-s)*x[s,n], 0)) for t < T": None,                   # a largest one is no sum
    "y[t,n] = sum[s](where(s <= t, w**(t-s)*exp(x[s-1,n])*a[n], 0)) for t < T, s < T": None,        # what is outside takes its place along
}


def drawn(T: int, N: int) -> dict[str, Any]:
    rng = np.random.default_rng(T)
    return {"x": rng.uniform(-1, 1, (T, N)), "w": 0.7, "a": rng.uniform(0.5, 1, N)}


@pytest.mark.parametrize("equations", FADING)
def test_a_sum_that_fades_is_the_sum_before_and_one_more(equations: str) -> None:
    d = nd.derive(ALL + equations)
    source, written = d.numpy(), FADING[equations]
    if written is None:
        assert "_scan(" not in source
    else:
        assert written.replace("[s", "[t") in source.replace("[s", "[t").replace("y_sum2", "y_sum")
        bodies = [body(ALL + equations, f) for f in ("forward", "backward")]
        assert "_scan(" in bodies[1] and "arange" not in "".join(bodies)
    for T in (1, 2, 5):
        assert_means(d, d.compile(), drawn(T, 2), np.random.default_rng(0))
    module, plain = d.compile(), d.compile(without=("decayed",))
    for T in (0, 70):
        (y, kept), (z, others) = module.forward(**drawn(T, 2)), plain.forward(**drawn(T, 2))
        np.testing.assert_allclose(y, z, rtol=1e-12)
        for g, h in zip(module.backward(kept, dy=np.cos(z)), plain.backward(others, dy=np.cos(z)), strict=True):
            np.testing.assert_allclose(g, h, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("w", [0, 1, -0.5, -2])
def test_what_fades_at_once_or_not_at_all_or_turns_its_sign_is_a_power_still(w: float) -> None:
    d = nd.derive("x[T], w -> y\ny[t] = sum[k](w**k*x[t-k]) for t < T, k < T")
    assert_means(d, d.compile(), {"x": np.array([2.0, -1.0, 3.0, 5.0]), "w": float(w)}, np.random.default_rng(0))


def test_an_infinity_reaches_the_steps_behind_it_and_no_other() -> None:
    f = nd.derive("x[T], w -> y\ny[t] = sum[s](where(s <= t, w**(t-s)*x[s], 0)) for t < T").compile()
    assert f.forward(x=np.array([1, 2, np.inf, 4]), w=0.5)[0].tolist() == [1, 2.5, np.inf, np.inf]
