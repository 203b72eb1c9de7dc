"""Linear recurrences: all steps of y[t] = a[t] y[t−1] + x[t] in one call, in blocks that go abreast where rows are short."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.lower import cost
from tests.emitted import body
from tests.running import assert_means

ALL = "x[T,N], a[T,N], v[N], g -> y\n"
SCANS = {  # equations of y -> how many scans there are, forward and backward
    "y[t,n] = a[t,n]*y[t-1,n] + x[t,n] + 0*(v[n] + g)": (1, 1),
    "y[t,n] = a[t,n]*y[t+1,n]/2 - x[t,n] + 0*(v[n] + g)": (1, 1),
    "y[0,n] = x[0,n]*v[n]\ny[t,n] = x[t,n] + g*y[t-1,n] + 0*a[t,n]": (1, 1),
    "y[T-1,n] = x[0,n]**2\ny[t,n] = y[t+1,n]/(1 + v[n]**2) + x[t,n]*g*a[t,n]": (1, 1),
    "y[-1,n] = v[n]\ny[t,n] = y[t-1,n] + g*(x[t,n] - y[t-1,n])*a[t,n] for t < T": (1, 1),
    "y[t,n] = (1 - sigmoid(a[t,n]))*y[t-1,n] + sigmoid(a[t,n])*x[t,n]*v[n]/g": (1, 1),
    "z[t] = g*z[t-1] + x[t,0]\ny[t,n] = z[t]*a[t,n] + v[n]": (1, 1),
    "y[t,n] = v[n]**t*y[t-1,n] + x[t,n]*a[t,n]*g": (1, 1),
    "y[t,n] = a[t+1,n]*y[t-1,n] + x[t,n] + 0*(v[n] + g)": (1, 1),        # the factor of a step is that of another one
    "y[t,n] = a[t-1,n]*y[t+1,n]*v[n] + x[t,n]*g": (1, 1),
    "z[t,n] = tanh(a[t,n])\ny[t,n] = z[t-2,n]*y[t-1,n] + x[t,n] + 0*(v[n] + g)": (1, 1),
    "y[t,n] = tanh(x[t,n]*y[t-1,n] + a[t,n]) + 0*(v[n] + g)": (0, 1),   # a gradient is linear in what comes in
    "y[0,n] = v[n]\ny[t,n] = y[t-1,n]*x[t,n] + a[t,n]*g*y[t-1,n]": (0, 1),  # a product, all steps at once too
    "y[t,n] = a[t,n]*y[t-1,n]**2/4 + x[t,n]*v[n]*g": (0, 1),
    "y[t,n] = x[t,n] + where(a[t,n] > 0, 0, g*y[t+1,n]) + 0*v[n]": (1, 1),   # an episode begins
    "y[t,n] = where(a[t,n] > 0, x[t,n], v[n]*y[t-1,n] + (1 - v[n])*x[t,n])*g": (1, 1),
    "y[t,n] = where(a[t,n] > 0 and t > 1, g*y[t-1,n], v[n] - y[t-1,n]) + x[t,n]": (1, 1),
    "y[-1,n] = -inf\ny[t,n] = where(a[t,n] > 0, x[t,n], g*v[n]**2*y[t-1,n] + 1)": (0, 1),   # 0 times infinity is not 0
    "y[t,n] = x[t,n] + where(y[t-1,n] > a[t,n], g*y[t-1,n], v[n])": (0, 1),
    "y[t,n] = max(0, y[t-1,n] + x[t,n] - g*a[t,n]) + 0*v[n]": (1, 1),        # of another arithmetic
    "y[t,n] = a[t,n] + min(x[t,n], y[t+1,n] + v[n], g)": (1, 1),
    "y[T-1,n] = -inf\ny[t,n] = max(y[t+1,n] - v[n]**2, x[t,n], a[t,n]*g)": (1, 1),
    "y[0,n] = v[n]\ny[t,n] = x[t,n] + log(exp(y[t-1,n]) + exp(a[t,n]*g))": (1, 1),
    "y[-1,n] = -inf\ny[t,n] = log(2*exp(y[t-1,n] - v[n]**2) + exp(x[t,n]) + exp(a[t,n]*g))": (1, 1),
    "y[t,n] = log(exp(y[t+1,n] + g) + exp(y[t+1,n]*a[t,n]) + exp(x[t,n])) + v[n]": (0, 1),
    "y[t,n] = max(y[t-1,n]*a[t,n], x[t,n]) + v[n]*g": (0, 1),
    "y[t,n] = -max(y[t-1,n] + a[t,n], x[t,n]) + v[n]*g": (0, 1),
    "y[t,n] = max(y[t-1,n] + a[t,n], x[t,n]) - y[t-1,n]*v[n]*g": (0, 1),
    "y[t,n] = log(exp(y[t-1,n] + a[t,n]) + exp(x[t,n])) - y[t-1,n] + v[n]*g": (0, 1),
    "y[t,n] = min(y[t-1,n] + y[t-1,n], x[t,n]) - a[t,n]*v[n]*g": (0, 1),
    "y[t,n] = a[t,n]*y[t-1,n] + x[t,n]*y[t-2,n] + v[n]*g": (0, 0),
    "y[t,n] = sum[m](a[t,m]*y[t-1,m])*v[n] + x[t,n]*g": (0, 0),
    "y[0,n] = v[n]\ny[t,n] = a[t,n]*y[t-1,n]*y[0,n] + x[t,n]*g": (0, 0),
}


@cache
def compiled(equations: str, without: tuple[str, ...] = ()) -> Any:
    return nd.derive(ALL + equations).compile(without=without)


def drawn(T: int, N: int) -> dict[str, Any]:
    rng = np.random.default_rng(T + N)
    inputs: dict[str, Any] = {name: rng.uniform(-1, 1, (T, N)) for name in "xa"}
    return {**inputs, "v": rng.uniform(-1, 1, N), "g": 0.7}


def gradients(module: Any, inputs: dict[str, Any]) -> list[Any]:
    y, residuals = module.forward(**inputs)
    return [y, *module.backward(residuals, dy=np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype))]


@pytest.mark.parametrize("equations", SCANS)
def test_a_recurrence_is_a_scan_where_it_is_linear(equations: str) -> None:
    text = ALL + equations
    assert tuple(body(text, f).count("_scan(") for f in ("forward", "backward")) == SCANS[equations]
    for T in (1, 2, 3, 6):
        for steps in (2, 100):
            d = nd.derive(text)
            module = d.compile()
            module._STEPS = steps
            assert_means(d, module, drawn(T, 2), np.random.default_rng(0))


@pytest.mark.parametrize("equations", [e for e, found in SCANS.items() if any(found)])
@pytest.mark.parametrize("T", [0, cost.LONG - 1, cost.LONG, cost.LONG + 1, 100])
@pytest.mark.parametrize("N", [0, 1, 3, cost.NARROW + 1])
def test_blocks_that_go_abreast_give_what_a_loop_gives(equations: str, T: int, N: int) -> None:
    ways = compiled(equations), compiled(equations, ("accumulate",))
    for found, expected in zip(*(gradients(module, drawn(T, N)) for module in ways), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", [
    "x[T,N], a[T,N] -> y\ny[t,n] = a[t,n]*y[t-1,n] + x[t,n]",
    "x[N,T], a[N,T] -> y\ny[n,t] = a[n,t]*y[n,t-1] + x[n,t]",
    "x[K,T,N], a[T] -> y\ny[k,t,n] = a[t]*y[k,t-1,n] + x[k,t,n]",
    "x[K,T,N], a[K] -> y\ny[k,t,n] = a[k]*y[k,t+1,n] + x[k,t,n]",
    "x[K,T,N], a[T,N] -> y\ny[k,t,n] = a[t,n]*y[k,t-1,n] + x[k,t,n]",
    "x[K,N,T], a[K,T] -> y\ny[k,n,t] = a[k,t]*y[k,n,t+1] + x[k,n,t]",
    "x[T,N], a -> y\ny[t,n] = a*y[t+1,n] + x[t,n]",
])
def test_the_axis_of_the_steps_may_stand_anywhere(text: str) -> None:
    d, rng, sizes = nd.derive(text), np.random.default_rng(0), {"T": 70, "K": 2, "N": 3}
    inputs = {i.name: rng.uniform(-1, 1, [x.value(sizes) for x in i.dims])[()] for i in d.forward.inputs}
    assert body(text, "forward").count("_scan(") == 1
    for found, expected in zip(gradients(d.compile(), inputs), gradients(d.compile(without=("accumulate",)), inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("a", [1e30, -1e38, np.inf])
@pytest.mark.parametrize("N", [1, 2])
def test_a_product_of_factors_that_is_too_large_for_a_number_spoils_nothing(a: float, N: int) -> None:
    """Each block's product overflows, and none of the sums does, for every other factor is 0."""
    module = nd.derive("x[T,N], a[T] -> y\ny[t,n] = a[t]*y[t-1,n] + x[t,n]").compile()
    factors, x = np.full(64, a, np.float32), np.zeros((64, N), np.float32)
    factors[32:] = [0, 2] * 16
    x[32:] = 1
    y, residuals = module.forward(x=x, a=factors)
    if np.isfinite(a):
        assert np.array_equal(y.T, [[0]*32 + [1, 3]*16]*N)
        assert np.array_equal(module.backward(residuals, dy=x).da[32:], N*np.array([0, 1] + [9, 1] * 15))
    else:
        assert np.isnan(y).all() or np.isnan(y[1:]).all(), "0·inf at every step, as a loop has it"


@pytest.mark.parametrize("N", [1, 2])
def test_what_underflows_is_as_small_as_it_is_in_a_loop(N: int) -> None:
    module = nd.derive("x[T,N], a[T] -> y\ny[t,n] = a[t]*y[t-1,n] + x[t,n]").compile()
    x = np.zeros((100, N))
    x[0] = 1
    np.testing.assert_allclose(module.forward(x=x, a=np.full(100, 1e-3))[0].T, [1e-3**np.arange(100)]*N, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("there", ["t+1", "t-1", "t+2", "t-2", "T-1-t", "2*t"])
@pytest.mark.parametrize("before", ["t-1", "t+1"])
def test_the_factor_of_a_scan_may_be_read_at_any_step(there: str, before: str) -> None:
    d = nd.derive(f"x[T,N], a[T,N], v[N] -> y\ny[t,n] = a[{there},n]*v[n]*y[{before},n] + x[t,n]")
    module, rng = d.compile(), np.random.default_rng(0)
    for T in (1, 2, 5):
        assert_means(d, module, {"x": rng.uniform(-1, 1, (T, 2)), "a": rng.uniform(-1, 1, (T, 2)), "v": rng.uniform(-1, 1, 2)}, rng)


@pytest.mark.parametrize(("T", "a", "first"), [(100, 1e-4, 1e30), (100, 1e-5, -1e30), (1000, 0.05, 1e25), (10000, 0.38, 1e10)])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("N", [1, 2])
def test_a_product_of_factors_that_is_too_small_for_its_digits_loses_none(
    T: int, a: float, first: float, N: int, backwards: bool
) -> None:
    """0.38^100 has three digits in single precision; times 1e10 it needs all."""
    module = nd.derive(f"x[T,N], a[T] -> y\ny[t,n] = a[t]*y[{'t+1' if backwards else 't-1'},n] + x[t,n]").compile()
    x = np.zeros((T, N), np.float32)
    x[0] = first
    steps = slice(None, None, -1 if backwards else 1)
    y = module.forward(x=x[steps].copy(), a=np.full(T, a, np.float32))[0][steps][:, -1]
    expected = first*float(np.float32(a))**np.arange(T)
    shown = np.abs(expected) > 1e-37
    np.testing.assert_allclose(y[shown], expected[shown], rtol=1e-5)


def test_where_nothing_is_handed_on_no_product_is_too_small() -> None:
    """Where an episode begins the factor is 0, and blocks go abreast all the same."""
    module = nd.derive("x[T,N], a[T] -> y\ny[t,n] = a[t]*y[t-1,n] + x[t,n]").compile()
    x, a = np.full((100, 2), 1e12, np.float32), np.ones(100, np.float32)
    a[::7] = 0
    done: list[int] = []
    scanned = module._scan_abreast
    module._scan_abreast = lambda *args: done.append(scanned(*args)) or done[-1]
    np.testing.assert_allclose(module.forward(x=x, a=a)[0].T, [1e12*(np.arange(100) % 7 + 1)]*2, rtol=1e-6)
    assert done == [96], "and what is left goes step by step"


@pytest.mark.parametrize("step", ["a[t,n]*y[t-1,n] + x[t,n]", "max(y[t-1,n] + a[t,n], x[t,n])",
                                  "log(exp(y[t-1,n] + a[t,n]) + exp(x[t,n]))"])
def test_what_blocks_hand_on_is_a_scan_again(step: str) -> None:
    """Each of an eighth of the steps of the one before it, until a loop is as fast."""
    T, rng = 4801, np.random.default_rng(0)
    inputs = {name: rng.uniform(-1, 1, (T, 2)) for name in "xa"}
    blocks, loop = (nd.derive(f"x[T,N], a[T,N] -> y\ny[t,n] = {step}").compile(without=without) for without in ((), ("accumulate",)))
    done: list[int] = []
    scanned = blocks._scan_abreast
    blocks._scan_abreast = lambda *args: done.append(scanned(*args)) or done[-1]
    np.testing.assert_allclose(blocks.forward(**inputs)[0], loop.forward(**inputs)[0], rtol=1e-12, atol=1e-13)
    assert done == [72, 592, 4800], "the innermost is done first"


@pytest.mark.parametrize("step", ["a[{0}]*y[{1}] + x[{0}]", "max(y[{1}] + a[{0}], x[{0}])", "log(exp(y[{1}] + a[{0}]) + exp(x[{0}]))",
                                  "where(a[{0}] > 0, a[{0}]*y[{1}], 0) + x[{0}]"])
@pytest.mark.parametrize("shape", [(160, 128), (600, 32), (32, 600), (1, 20000)])
def test_a_scan_along_rows_is_that_along_columns_turned(step: str, shape: tuple[int, int]) -> None:
    """Large arrays are turned for it, and back; every number is the same."""
    rows = nd.derive(f"x[N,T], a[N,T] -> y\ny[n,t] = {step.format('n,t', 'n,t+1')}").compile()
    columns = nd.derive(f"x[T,N], a[T,N] -> y\ny[t,n] = {step.format('t,n', 't+1,n')}").compile()
    assert "_turned(" in rows.source
    rng = np.random.default_rng(0)
    x, a, dy = rng.normal(size=shape), rng.uniform(-1, 1, shape), rng.normal(size=shape)
    y, residuals = rows.forward(x=x, a=a)
    turned, others = columns.forward(x=x.T, a=a.T)
    assert np.array_equal(y, turned.T)
    for gradient, other in zip(rows.backward(residuals, dy=dy), columns.backward(others, dy=dy.T), strict=True):
        np.testing.assert_allclose(gradient, other.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("T", [1, 2, 3, cost.LONG, cost.ALONE - 1, cost.ALONE, 10*cost.ALONE])
@pytest.mark.parametrize("step", ["a[t]*y[t-1] + x[t]", "a[t+1]*y[t+1] + x[t]", "where(a[t] > 0.5, a[t]*y[t-1], 0) + x[t]"])
def test_few_steps_of_one_number_go_in_numbers(step: str, T: int) -> None:
    """So do the last of many: what blocks hand on is one number for each."""
    rng = np.random.default_rng(T)
    inputs = {"x": rng.normal(size=T), "a": rng.uniform(-1, 1, T)}
    ways = (nd.derive(f"x[T], a[T] -> y\ny[t] = {step}").compile(without=without) for without in ((), ("accumulate",)))
    for found, expected in zip(*(gradients(module, inputs) for module in ways), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_in_numbers_a_factor_of_0_that_is_chosen_takes_nothing() -> None:
    module = nd.derive("x[T], a[T] -> y\ny[t] = where(a[t] > 0, a[t]*y[t-1], 0) + x[t]").compile()
    x, a = np.ones(9, np.float32), np.ones(9, np.float32)
    x[3], a[4] = np.inf, 0
    assert np.array_equal(module.forward(x=x, a=a)[0], [1, 2, 3, np.inf, 1, 2, 3, 4, 5])


def test_one_block_alone_may_have_what_no_loop_has() -> None:
    """-inf + inf is no number in the last block, of which no other goes on; step by step there is inf."""
    module = nd.derive("x[T], a[T] -> y\ny[0] = x[0]\ny[t] = max(y[t-1] + a[t], x[t])").compile()
    x, a = np.zeros(101), np.zeros(101)
    x[91:], a[94] = -np.inf, np.inf
    assert np.array_equal(module.forward(x=x, a=a)[0], [0.0]*94 + [np.inf]*7)


VTRACE = """
r[T,N], v[T+1,N], rho[T,N], g -> V
V[T,n] = v[T,n]
V[t,n] = v[t,n] + exp(min(rho[t,n], 0))*(r[t,n] + g*v[t+1,n] - v[t,n]) + g*exp(min(rho[t,n], 0))*(V[t+1,n] - v[t+1,n]) for t < T
"""


def test_what_a_scan_leaves_for_a_start_that_stands_in_a_longer_input_is_apart_from_it() -> None:
    """dv[T] alone asks for dV[T]; the condition beside it says that no other entry of dv does."""
    assert [body(VTRACE, f).count("_scan(") for f in ("forward", "backward")] == [1, 1]
    assert "for t in" not in body(VTRACE, "backward") and "np.exp" not in body(VTRACE, "backward")
    d, rng = nd.derive(VTRACE), np.random.default_rng(0)
    for T in (0, 1, 2, 5):
        inputs = {"r": rng.normal(size=(T, 2)), "v": rng.normal(size=(T + 1, 2)), "rho": rng.normal(size=(T, 2)), "g": 0.9}
        assert_means(d, d.compile(), inputs, rng)


@pytest.mark.parametrize("y", ["y = sum[t](where(t < T, h[t]*x[0], 1)) for t < T + 1", "y[t] = where(t < T, h[t], h[T]*2) for t < T + 1"])
def test_an_end_that_a_condition_leaves_out_counts_in_a_sum(y: str) -> None:
    d, rng = nd.derive(f"x[T] -> y\nh[-1] = x[0]\nh[t] = x[t]*h[t-1] for t < T\nh[T] = h[T-1]\n{y}"), np.random.default_rng(0)
    for T in (1, 2, 5):
        assert_means(d, d.compile(), {"x": rng.normal(size=T)}, rng)


@pytest.mark.parametrize(("equations", "start"), [
    ("h[t] = log(exp(h[t-1]) + exp(x[t]))\ny[t] = exp(h[t-1] - h[t])", "h[-1] = -inf\n"),
    ("h[t] = log(exp(h[t-1]) + exp(h[t-1] + x[t]))\ny[t] = exp(h[t-1] - h[t])", "h[-1] = b[0]\nh[0] = x[0]\n"),
    ("h[t] = log(exp(u[t-1]) + exp(h[t-1] + x[t]))\nu[t] = log(exp(u[t-1] + b[t]) + exp(h[t-1]))\ny[t] = exp(h[t] - u[t])",
     "h[-1] = -inf\nu[-1] = 0\n"),
])
def test_a_running_logsumexp_of_its_own_past_is_emitted_and_means_what_it_says(equations: str, start: str) -> None:
    d, rng = nd.derive(f"x[T], b[T] -> y\n{start}{equations} + 0*b[t]"), np.random.default_rng(0)
    for T in (1, 2, 5):
        assert_means(d, d.compile(), {"x": rng.normal(size=T), "b": rng.normal(size=T)}, rng)


@pytest.mark.parametrize("equations", [
    "y[t,n] = where(k[t] > 0, x[t,n], a[t,n]*y[t-1,n] + x[t,n])",
    "y[t,n] = x[t,n] + where(k[t] > 0, 0, a[t,n]*y[t+1,n])",
])
@pytest.mark.parametrize("N", [1, 300])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_overflows_in_one_episode_does_not_reach_the_next(equations: str, N: int) -> None:
    d, rng = nd.derive(f"x[T,N], a[T,N], int k[T] -> y\n{equations}"), np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(60, N)), "a": rng.uniform(-1, 1, (60, N)), "k": np.array([0, 0, 0, 1]*15)}
    large = {**inputs, "a": np.copy(inputs["a"])}
    large["a"][20:24] = 1e200  # k is 1 at 19 and at 23
    found, expected = (gradients(d.compile(), x) for x in (large, inputs))
    assert "_scan(" in d.numpy() and not all(np.isfinite(x).all() for x in found)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.delete(x, np.s_[19:24], 0), np.delete(y, np.s_[19:24], 0), rtol=1e-12)


BACK = {  # equations of y, which look back at several rows -> how many of these are gone through in blocks, forward and backward
    "y[t,n] = v[n]*y[t-1,n] - g*y[t-2,n]/2 + x[t,n] + 0*a[t,n]": (1, 1),
    "y[t,n] = a[t,n]*y[t-1,n] + x[t,n]*y[t-2,n] + v[n]*g": (1, 1),
    "y[t,n] = a[t,n]*y[t+1,n]/2 + v[n]*y[t+3,n]/2 + x[t,n]*g": (1, 1),
    "y[t,n] = g*y[t-2,n] + x[t,n]*v[n] + 0*a[t,n]": (1, 1),
    "y[0,n] = v[n]\ny[1,n] = x[0,n]\ny[t,n] = g*y[t-1,n] - v[n]*y[t-2,n]/2 + x[t,n]*a[t,n]": (0, 0),      # two rows at least
    "y[-1,n] = v[n]\ny[-2,n] = g\ny[t,n] = (y[t-1,n] - y[t-2,n])*a[t,n] + x[t,n] for t < T": (1, 1),
    "y[t,n] = tanh(x[t,n]*y[t-1,n] + a[t,n]*y[t-2,n]) + 0*(v[n] + g)": (0, 1),     # a gradient is linear in what comes in
    "y[t,n] = x[t,n]*y[t-1,n]*y[t-2,n]/2 + a[t,n]*v[n]*g": (0, 1),
    "y[t,n] = where(a[t,n] > 0, g*y[t-1,n], 0) + v[n]*y[t-2,n]/2 + x[t,n]": (0, 0),      # data choose
    "y[t,n] = sum[m](a[t,m]*y[t-1,m])*v[n]/2 + g*y[t-2,n] + x[t,n]": (0, 0),
    "y[t,n] = g*y[t-1,n] + v[n]*y[t-5,n] + a[t,n]*x[t,n]": (0, 0),      # further back
    "y[t,n] = max(y[t-1,n] + a[t,n], y[t-2,n] + x[t,n]) + g*v[n]": (0, 1),
    "z[t,n] = exp(x[t,n])\ny[t,n] = sin(y[t-2,n])/(4*z[t,n]) + a[t,n]*v[n]*g": (0, 1),      # no row is divided by one that there is not
    "y[t,n] = y[t-1,n]/4 - y[t-2,n]/(4*exp(x[t,n]) + a[t,n]**2) + v[n]*g": (1, 1),
}


@pytest.mark.parametrize("equations", BACK)
@pytest.mark.parametrize("T", [0, 1, 2, 3, cost.LONG + 3])
def test_a_scan_may_look_back_at_several_rows(equations: str, T: int) -> None:
    text = ALL + equations
    assert tuple(body(text, f).count("_recur(") for f in ("forward", "backward")) == BACK[equations]
    ways = compiled(equations), compiled(equations, ("accumulate",))
    for N in (0, 1, 3, cost.NARROW + 1):
        if T < 2 and "[1,n] = " in equations:
            continue  # there is no such row
        for found, expected in zip(*(gradients(module, drawn(T, N)) for module in ways), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    if 0 < T < 4 and not (T < 2 and "[1,n] = " in equations):
        assert_means(nd.derive(text), ways[0], drawn(T, 2), np.random.default_rng(0))


@pytest.mark.parametrize("equations", ["y[0] = a\ny[t] = y[t-1]/2 + b*y[t-2] + x[t]", "y[t] = x[t-1]*y[t-1] + x[t+1]*y[t-2] + a*b",
                                       "y[t] = x[t+2]*y[t+1] + x[t-1]*y[t+3] + a*b"])
def test_a_scan_may_have_fewer_rows_than_it_looks_back_at(equations: str) -> None:
    d, rng = nd.derive(f"x[T], a, b -> y\n{equations}"), np.random.default_rng(0)
    assert "_recur(" in d.numpy()
    for T in range(7):
        assert_means(d, d.compile(), {"x": rng.normal(size=T), "a": 0.3, "b": 0.7}, rng)


@pytest.mark.parametrize("text", [
    "x[T], a, b -> y\ny[t] = a*y[t-1] + b*y[t-2] + x[t]",
    "x[N,T], a[N], b -> y\ny[n,t] = a[n]*y[n,t-1] + b*y[n,t-2] + x[n,t]",
    "x[K,T,N], a[T], b[K] -> y\ny[k,t,n] = a[t]*y[k,t-1,n] + b[k]*y[k,t-2,n] + x[k,t,n]",
    "x[K,N,T], a[K,T], b[N] -> y\ny[k,n,t] = a[k,t]*y[k,n,t+1] + b[n]*y[k,n,t+2] + x[k,n,t]",
])
@pytest.mark.parametrize("T", [7, 70, 1100])
def test_the_axis_of_steps_that_look_back_may_stand_anywhere(text: str, T: int) -> None:
    d, rng, sizes = nd.derive(text), np.random.default_rng(0), {"T": T, "K": 2, "N": 3}
    inputs = {i.name: rng.uniform(-0.6, 0.4, [x.value(sizes) for x in i.dims])[()] for i in d.forward.inputs}
    assert body(text, "forward").count("_recur(") == 1
    for found, expected in zip(gradients(d.compile(), inputs), gradients(d.compile(without=("accumulate",)), inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("a", "b", "first"), [
    (1e20, 0, 0), (0, 1e20, 0), (3, -2, 1e-30), (1e-4, 1e-9, 1e30), (1e-3, 0, 1e20), (np.inf, 0, 1),
])
def test_blocks_that_cannot_hold_what_a_step_can_are_not_taken(a: float, b: float, first: float) -> None:
    """What overflows without what is before it, or is lost and would be times a large number, goes step by step."""
    d = nd.derive("x[T,N], a[T], b[T] -> y\ny[t,n] = a[t]*y[t-1,n] + b[t]*y[t-2,n] + x[t,n]")
    x, factors = np.zeros((100, 2), np.float32), [np.full(100, c, np.float32) for c in (a, b)]
    x[0] = first
    for c in factors:
        c[50::3] = 0
    x[60:] = 1
    ways = [m.forward(x=x, a=factors[0], b=factors[1])[0] for m in (d.compile(), d.compile(without=("accumulate",)))]
    np.testing.assert_allclose(*ways, rtol=1e-4)
