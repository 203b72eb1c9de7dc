"""Choices: what is masked once, chosen by bits, held between limits, and never a NaN where it does not count."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import nnderiv as nd
from nnderiv.lower.equations.unmask import unmask
from nnderiv.lower.passes import FORMS, PASSES
from tests.emitted import LARGE, body, helpers, run
from tests.running import assert_means, interpret


@pytest.mark.parametrize(("weights", "gradient"), [
    ("softmax[j](where(j <= i, S[i,j], -inf))", "dA[i,j] - 1"),
    ("exp(where(j <= i, S[i,j], -inf))", "dA[i,j]*sin(S[i,j])"),
])
def test_what_a_mask_has_made_zero_is_not_masked_again(weights: str, gradient: str) -> None:
    assert "where(" not in masked_again(weights, "j <= i", gradient)


@pytest.mark.parametrize(("weights", "condition", "gradient"), [
    ("softmax[j](where(j <= i, S[i,j], -inf))", "j < i", "dA[i,j]"),  # another mask
    ("softmax[j](where(j <= i, S[i,j], -inf))", "i <= j", "dA[i,j]"),
    ("softmax[j](where(j <= i, S[i,j], 0))", "j <= i", "dA[i,j]"),  # nothing is zero
    ("softmax[j](where(j <= i, S[i,j], -inf))", "j <= i", "dA[i,j]/S[i,j]"),  # the other factor may be infinite
    ("exp(where(j <= i, S[i,j], -inf) + 1/S[i,j])", "j <= i", "dA[i,j]"),
    ("softmax[j](where(j <= i, S[i,j], -inf)) + 1", "j <= i", "dA[i,j]"),
])
def test_what_may_be_other_than_zero_is_masked(weights: str, condition: str, gradient: str) -> None:
    assert "where(" in masked_again(weights, condition, gradient)


def test_a_scalar_that_a_condition_replaces_by_zero_has_a_dtype() -> None:
    """A sum for one step of a loop, scattered to where the data say."""
    derivation = nd.derive("""
        A[K], int tok[K] -> Y
        h[t,n] = tanh(h[t-1,n] + A[t])  for t < K, n < K
        Y[m,t] = h[t,tok[t]]*h[t-m,tok[t]]  for m < K, t < K
        Y[m,0] = A[m]  for m < K
    """)
    A, tok = np.random.default_rng(0).standard_normal(4), np.array([1, 0, 3, 2])
    results = []
    for without in ((), ("hoist",)):
        module = derivation.compile(without=without)
        results.append(module.backward(module.forward(A=A, tok=tok)[1], dY=np.ones((4, 4))).dA)
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize("chosen", ["where(b[n] > 0, e[n], 2*e[n])", "max(e[n], e[n]/10)", "where(b[n] > 0, b[n]*e[n], e[n])"])
def test_an_exponential_that_is_not_chosen_may_overflow_whichever_it_would_be(chosen: str) -> None:
    d = nd.derive(f"a[N], b[N], x[N] -> L\ne[n] = exp(x[n])\nL = sum[n](where(a[n] > 0, {chosen}, 0))", wrt=("x",))
    inputs = {"a": np.array([-1.0, 1, 1]), "b": np.array([1.0, 1, -1]), "x": np.array([1.0, 1, 1])}
    expected = interpret(d.backward, inputs)["dx"]
    module = d.compile()
    _, residuals = module.forward(**{**inputs, "x": np.array([1000.0, 1, 1])})  # there a[n] < 0, and x[n] may be anything
    np.testing.assert_allclose(module.backward(residuals).dx, np.array(expected, float), rtol=1e-12)


def test_a_share_of_another_row_may_overflow_where_it_is_not_chosen() -> None:
    text = "S[N,K], a[N,K] -> y\nl[n] = logsumexp[k](S[n,k])\ny[n,k] = where(a[n,k] > 0, exp(S[n,k] - l[N-1-n]), 0)"
    module = nd.derive(text, wrt=("a",)).compile()
    y, _ = module.forward(S=np.array([[2000.0, 2000], [0, 0]]), a=np.array([[-1.0, -1], [1, 1]]))
    np.testing.assert_array_equal(y, 0)  # chosen is exp(0 - 2000) alone


def test_a_condition_on_a_number_takes_no_sign() -> None:
    text = "A[N,M], p[N], g, int q[N] -> y\ny[j] = p[j]*where(g > 0, g - A[j,q[j]], 1)"
    assert "*(g > 0)" in body(text, "backward")
    assert nd.derive(text).check(seed=0).ok


@pytest.mark.filterwarnings("error")
def test_what_need_not_be_finite_is_chosen_and_not_multiplied() -> None:
    program = "x[N,K], z[N,K] -> y\ny[n,k] = where(x[n,k] > 0, log(x[n,k]) + z[n,k]/x[n,k], 0)"
    assert "_only_where(x > 0, " in body(program, "forward") and "_only_where(" in body(program, "backward")
    assert "_where(" not in body(program, "forward", without=("indicator",)).replace("np.where(", "")
    x = np.array([[1, 0, -1], [0, 2, -3]], np.float32)
    module = nd.derive(program).compile()
    y, residuals = module.forward(x=x, z=x)
    assert np.isfinite(y).all() and all(np.isfinite(g).all() for g in module.backward(residuals, dy=x))


def masked_again(weights: str, condition: str, gradient: str) -> str:
    """An equation dS after `unmask`, beside a forward program that knows the weights."""
    known = nd.derive(f"S[N,N], dA[N,N] -> A\nA[i,j] = {weights}").gradients.forward
    program = nd.parse(f"S[N,N], dA[N,N], A[N,N] -> dS\ndS[i,j] = where({condition}, A[i,j]*({gradient}), 0)")
    after = unmask(replace(program, inputs=program.inputs[:2]), known)
    return str(next(e for e in after.equations if e.tensor == "dS").body)


@pytest.mark.parametrize(("condition", "missing"), [
    *((c, x) for c in ("m[n] == 1", "w[n] > 0", "n < l", "q[n] > 0 and m[n] == 1") for x in (np.inf, -np.inf, np.nan)),
    ("y[n] < inf", np.inf), ("abs(y[n]) != inf", -np.inf), ("y[n] == y[n]", np.nan), ("not y[n] != y[n]", np.nan),
])
@pytest.mark.parametrize("loss", ["(y[n] - q[n])**2", "abs(q[n] - y[n])*w[n]"])
def test_what_is_missing_counts_for_nothing(condition: str, missing: float, loss: str) -> None:
    """Whatever stands in y where data choose not to look at it, results are those without these entries."""
    y, q, w, m = np.array([1, 2, missing]), np.array([0.5, 3, -1]), np.array([2, 1, 0.0]), np.array([1, 1, 0])
    masked = nd.derive(f"y[N], q[N], w[N], int m[N], int l -> L\nL = sum[n](where({condition}, {loss}, 0))", wrt=("q", "w")).compile()
    L, residuals = masked.forward(y=y, q=q, w=w, m=m, l=2)
    left = nd.derive(f"y[N], q[N], w[N] -> L\nL = sum[n]({loss})", wrt=("q", "w")).compile()
    expected, others = left.forward(y=y[:2], q=q[:2], w=w[:2])
    np.testing.assert_allclose(L, expected)
    for mine, other in zip(masked.backward(residuals), left.backward(others), strict=True):
        np.testing.assert_allclose(mine, [*other, 0])


@pytest.mark.parametrize("condition", ["m[n] == 1", "w[n] > 0", "n < l", "w[n] > 0 and m[n] == 1", "y[n] < inf", "y[n] == y[n]"])
@pytest.mark.parametrize("named", [
    "r[n] = (y[n] - q[n])**2",
    "r[n] = w[n]*y[n] + q[n]*y[n]",
    "e[n] = y[n] - q[n]\nr[n] = w[n]*e[n]*e[n]",
    "p[n] = exp(-q[n]*y[n])\nr[n] = w[n]*p[n]",
    "e[n] = q[n]*y[n]\nu[n] = 2*e[n]\nr[n] = tanh(u[n])*w[n] - u[n]",
])
def test_what_is_missing_counts_for_nothing_under_a_name_either(condition: str, named: str) -> None:
    y, q, w, m = np.array([1, 2, np.nan]), np.array([0.5, 3, -1]), np.array([2, 1, 0.0]), np.array([1, 1, 0])
    masked = nd.derive(f"y[N], q[N], w[N], int m[N], int l -> L\n{named}\nL = sum[n](where({condition}, r[n], 0))", wrt=("q", "w"))
    left = nd.derive(f"y[N], q[N], w[N] -> L\n{named}\nL = sum[n](r[n])", wrt=("q", "w")).compile()
    expected, others = left.forward(y=y[:2], q=q[:2], w=w[:2])
    for module in (masked.compile(), masked.compile(without=(*FORMS, *PASSES))):
        L, residuals = module.forward(y=y, q=q, w=w, m=m, l=2)
        np.testing.assert_allclose(L, expected)
        for mine, other in zip(module.backward(residuals), left.backward(others), strict=True):
            np.testing.assert_allclose(mine, [*other, 0])


@pytest.mark.parametrize("equations", [
    "r[n] = (y[n] - q[n])**2*w[n]\nL = sum[n](where(m[n] == 1, r[n], 0)) + sum[n](where(k[n] == 1, r[n]*q[n], 0))",
    "r[n] = y[n]*q[n]\nL = sum[n](where(m[n] == 1, r[n]**2, 0)) + sum[n](where(k[n] == 1 and n > 0, exp(r[n])*q[n], 0))",
    "e[n] = tanh(y[n]*q[n])\nr[n] = e[n]*w[n]\ns[n] = e[n]*q[n]\nL = sum[n](where(m[n] == 1, r[n], 0)) + sum[n](where(k[n] == 1, s[n], 0))",
    "r[n] = y[n]*q[n]\nL = sum[n](where(m[n] == 0, 0, r[n]*w[n])) + sum[n](where(k[n] == 1, r[n], q[n]))",
    "e[n] = y[n] - q[n]\nf[n] = e[n]*w[n]\nL = sum[n](where(m[n] == 1, e[n]*f[n], 0)) + sum[n](where(k[n] == 1, f[n]**3, 0))"
    " + sum[n](where(m[n]*k[n] == 1, e[n]*q[n], 0))",
    "e[n] = q[n]*y[n]*w[n]\nf[n] = where(m[n] == 1, f[n-1]*0.9 + e[n], f[n-1])\n"
    "L = sum[n](f[n]**2) + sum[n](where(k[n] == 1, e[n]*f[n], 0))",
])
def test_what_is_missing_under_each_of_two_conditions_counts_for_nothing(equations: str) -> None:
    d = nd.derive(f"y[N], q[N], w[N], int m[N], int k[N] -> L\n{equations}", wrt=("q", "w"))
    y, q, w, m, k = np.array([1, 2, np.nan, 3]), np.array([0.5, 3, -1, 2]), np.array([2, 1, 0.0, 1]), [1, 1, 0, 0], [0, 1, 0, 1]
    for module in (d.compile(), d.compile(without=(*FORMS, *PASSES))):
        results = []
        for known in (y, np.where(np.isnan(y), 7, y)):
            L, residuals = module.forward(y=known, q=q, w=w, m=m, k=k)
            results.append([L, *module.backward(residuals)])
        for mine, other in zip(*results, strict=True):
            np.testing.assert_allclose(mine, other)


def test_a_quotient_is_taken_where_either_of_its_readers_asks_for_it() -> None:
    text = "b[N], m[N], k[N] -> y\nz[i] = b[i]/m[i]\ny[i] = where(m[i] > 0, z[i], 0) + where(k[i] > 0, {}z[i], 0)"
    assert "where(m[i] > 0 or k[i] > 0" in str(nd.derive(text.format("2*")).backward)
    module, inputs = nd.derive(text.format("2*")).compile(), {"b": [3.0, 3], "m": [0.0, 2], "k": [-1.0, 1]}
    assert module.backward(module.forward(**inputs)[1], dy=np.ones(2)).db.tolist() == [0, 1.5]
    always = nd.derive("b[N], m[N], k[N] -> y\nz[i] = b[i]/m[i]\ny[i] = where(k[i] > 0, z[i]**2, where(m[i] > 1, 2*z[i], sin(z[i])))")
    assert " or " not in str(always.backward)


@pytest.mark.parametrize("equation", [
    "L[d] = sum[n](where(m[n,d] == 1 and z[n] > 0, x[n,d]*y[n,d], 0))",
    "L[d] = sum[n](where(m[n,d] == 1 and n > 0, b[d]*y[n,d], 0)*x[n,d])",
    "L[n] = sum[d](where(m[n,d] == 1 and z[n] > 0, y[n,d]*b[d], 0))",
    "L[n] = b[n] + sum[d](where(m[n,d] == 1 and n > 0 and z[d] > 0, x[n,d]*y[n,d], 0))",
])
def test_all_that_says_whether_an_entry_counts_is_asked_beside_it(equation: str) -> None:
    """Not z by itself, as a factor of what is summed: 0 times what is missing is not 0."""
    d = nd.derive(f"y[N,N], x[N,N], b[N], int m[N,N], int z[N] -> L\n{equation}", wrt=("x", "b"))
    y, x, b, z = np.array([[np.nan, 1], [np.nan, 3]]), np.array([[1.0, 2], [3, 4]]), np.array([0.5, 2]), np.array([0, 1])
    inputs = {"y": y, "x": x, "b": b, "m": np.array([[1, 0], [0, 1]]), "z": z}
    for without in ((), (*FORMS, *PASSES)):
        assert_means(d, d.compile(without=without), inputs, np.random.default_rng(0))


def test_a_sum_of_what_may_be_infinite_has_gradients_where_it_is_chosen() -> None:
    text = "q[N,D], p[N,D], int z[N] -> y\nr[n,d] = where(q[n,d] > -inf, p[n,d], 0)\ny[n] = where(z[n] > 0, sum[d](r[n,d]*q[n,d]), 0)"
    assert nd.derive(text).check(seed=0).ok
    q, p, z = np.array([[1.0, 2]]), np.array([[3.0, -1]]), np.array([1])
    module = nd.derive(text).compile()
    assert module.backward(module.forward(q=q, p=p, z=z)[1], dy=np.ones(1)).dq.tolist() == [[3, -1]]


@pytest.mark.parametrize("later", [
    "Y[i,o] = gelu(O[i,o])",                                                          # exp(-O²/2)
    "Y[i,o] = O[i,o]*silu(O[i,o])*softplus(O[i,o])",
    "m[i] = mean[o](O[i,o])\nv[i] = mean[o]((O[i,o] - m[i])**2)\nY[i,o] = (O[i,o] - m[i])/sqrt(v[i] + 0.001)",
    "p[i,o] = log_softmax[o](O[i,o])\nY[i,o] = p[i,o]*V[i,o]",                        # exp(p)
])
def test_the_gradient_of_what_a_mask_left_out_is_not_masked_again_whatever_follows(later: str) -> None:
    weights = "A[i,j] = softmax[j](where(j <= i, sum[d](Q[i,d]*Q[j,d]), -inf))"
    program = f"Q[N,D], V[N,D] -> Y\n{weights}\nO[i,d] = sum[j](A[i,j]*V[j,d])\n{later}"
    assert "arange" in body(program, "forward") and "arange" not in body(program, "backward")
    rng = np.random.default_rng(0)
    d = nd.derive(program)
    assert_means(d, d.compile(), {"Q": rng.normal(size=(4, 3)), "V": rng.normal(size=(4, 3))}, rng)


LIMITS = {
    "relu(x[n])": ".clip(0, np.inf)",
    "min(6, relu(x[n]))": ".clip(0, 6)",
    "max(min(x[n], 0.5), -1)": ".clip(-1, 0.5)",
    "max(min(x[n], -2), 1)": ".clip(1, 1)",
    "min(max(x[n], 3), -1)": ".clip(-1, -1)",
    "max(2, max(x[n], 1))": ".clip(2, np.inf)",
    "min(min(min(x[n], 1), 2), -1/3)": ".clip(-np.inf, -0.3333333333333333)",
    "max(x[n], 1)*x[n]": ".clip(1, np.inf)",
}


@pytest.mark.parametrize("expression", LIMITS)
@pytest.mark.parametrize("dtype", ("e", "f", "d", "g"))
def test_limits_are_one_clip_and_mean_what_stands_there(expression: str, dtype: str) -> None:
    d = nd.derive(f"x[N] -> y\ny[n] = {expression}")
    clipped, compared = d.compile(), d.compile(without=("clip",))
    assert LIMITS[expression] in clipped.source and ".clip(" not in compared.source
    x = np.array([0, -0.0, 0.5, -0.5, 1, -1, 2, 3, 6, 7, -9, np.inf, -np.inf, np.nan], dtype)
    with np.errstate(invalid="ignore"):
        results = [m.forward(x=x) for m in (clipped, compared)]
        gradients = [m.backward(r, dy=np.ones_like(x)) for m, (_, r) in zip((clipped, compared), results, strict=True)]
    for (a, b) in (tuple(y for y, _ in results), tuple(g.dx for g in gradients)):
        assert a.dtype == b.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(a, b)
    assert d.check().ok


@pytest.mark.parametrize("equations", [
    "y[t] = relu(a[t] - b) for t < N\ny[0] = b",
    "y[t] = min(a[t]*b + c[t], 0.25) for t < N\ny[N-1] = c[0]",
    "y[t] = where(t < N, max(-a[t], b), c[t-N]) for t < 2*N",
    "y[t] = max(min(a[t] - b, 1), -0.5) + c[t-N] for t < 2*N",
])
@pytest.mark.parametrize("sizes", [{}, {"N": 4}], ids=str)
def test_a_difference_whose_clip_is_written_to_a_place_is_clipped_whole(equations: str, sizes: dict[str, int]) -> None:
    d, rng = nd.derive(f"a[N], c[N], b -> y\n{equations}"), np.random.default_rng(0)
    assert_means(d, d.compile(sizes=sizes), {"a": rng.normal(size=4), "c": rng.normal(size=4), "b": 0.75}, rng)


HELD = {
    "a half of the square": ("where(abs(e[n]) < 1, 0.5*e[n]**2, abs(e[n]) - 0.5)", True),
    "differences, either way": ("where(abs(f[n] - e[n]) <= 0.5, (e[n] - f[n])**2, abs(e[n] - f[n]) - 0.25)", True),
    "with a factor": ("where(abs(e[n]) < 3, f[n]*e[n], 3*f[n]*sign(e[n]))", True),
    "turned": ("f[n]*where(abs(e[n]) < 3, -e[n], 3*sign(-e[n]))", True),
    "divided": ("where(abs(e[n]) < 2, e[n]/3, 2*sign(e[n])/3)/f[n]", True),
    "another slope": ("where(abs(e[n]) < 3, e[n], 2*sign(e[n]))", False),
    "another square": ("where(abs(e[n]) < 1, e[n]**2, abs(e[n]))", False),
    "a bound below 0": ("where(abs(e[n]) < -1, e[n], -sign(e[n]))", False),
    "a bound that is data": ("where(abs(e[n]) < f[n], e[n], f[n]*sign(e[n]))", False),
}


@pytest.mark.parametrize("expression, is_held", HELD.values(), ids=HELD)
def test_what_is_held_between_two_numbers_is_what_was_chosen(expression: str, is_held: bool) -> None:
    d = nd.derive(f"e[N], f[N] -> y\ny[n] = {expression} + 0*f[n]")
    held, chosen = d.compile(), d.compile(without=("held",))
    assert (".clip(" in held.source.split("def forward")[1].split("def backward")[0]) == is_held
    e = np.array([0, 0.5, -0.5, 1, -1, 2, -2, 3, -3, 0.2, 1e30, -1e30, np.inf, -np.inf, np.nan])
    for f in (np.full_like(e, 2), np.full_like(e, 0.5)):
        results = []
        for module in (held, chosen):
            with np.errstate(all="ignore"):
                y, residuals = module.forward(e=e, f=f)
                results.append((y, *module.backward(residuals, dy=np.cos(np.arange(15.)))))
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15, atol=0)
    assert d.check().ok


IN_COMMON = {
    "a function": ("where(a[n] > b[n], softplus(-a[n]), softplus(b[n]))", "_softplus(", 1),
    "a function with a minus": ("where(k[n] == 1, -log(sigmoid(a[n])), -log(1 - sigmoid(a[n])))", "np.exp(", 0),
    "a function in three branches": ("where(k[n] == 0, sin(a[n]), where(k[n] == 1, sin(b[n]), sin(a[n] - b[n])))", "np.sin(", 1),
    "a function that is asked for again": ("where(k[n] == 1, tanh(a[n]), tanh(b[n]))", "np.tanh(", 2),
    "a term": ("where(k[n] == 1, 1 - sin(a[n]), b[n] - sin(a[n]))", "np.sin(", 1),
    "a factor": ("where(k[n] == 1, cos(a[n])*b[n], cos(a[n])/b[n])", "np.cos(", 1),
    "another function": ("where(k[n] == 1, sin(a[n]), cos(a[n]))", "np.sin(", 1),
    "a number": ("where(k[n] == 1, a[n] + 2, b[n]**2 + 2)", "+ 2", 2),
    "nothing": ("where(a[n] > 0, a[n]*log(a[n]), 0)", "np.log(", 1),
}


@pytest.mark.parametrize("expression, function, times", IN_COMMON.values(), ids=IN_COMMON)
def test_what_branches_have_in_common_stands_outside(expression: str, function: str, times: int) -> None:
    d, rng = nd.derive(f"a[N], b[N], int k[N] -> y\ny[n] = {expression} + 0*a[n]*b[n]*k[n]"), np.random.default_rng(0)
    assert body(str(d.forward), "forward").count(function) == times
    inputs = {"a": rng.normal(size=12), "b": rng.normal(size=12), "k": rng.integers(3, size=12)}
    for without in ((), ("branches",), ("both_sides",), ("shifted",)):
        assert_means(d, d.compile(without=without), inputs, rng)


def test_what_is_no_number_in_one_branch_is_left_out() -> None:
    d = nd.derive("a[N], b[N] -> y\ny[n] = where(a[n] > 0, b[n]*log(a[n]), b[n]*log(-a[n]))")
    a, b = np.array([2.0, -2.0, -np.inf, np.inf]), np.ones(4)
    for without in ((), ("branches",)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y, residuals = d.compile(without=without).forward(a=a, b=b)
            gradients = d.compile(without=without).backward(residuals, dy=np.ones(4))
        np.testing.assert_array_equal(y, [np.log(2), np.log(2), np.inf, np.inf])
        np.testing.assert_array_equal(gradients.da[:2], [0.5, -0.5])


def test_what_is_computed_to_be_held_is_computed_once() -> None:
    loss = "mean[n](where(abs(o[n] - y[n]) < 1, 0.5*(o[n] - y[n])**2, abs(o[n] - y[n]) - 0.5))"
    d = nd.derive(f"o[N], y[N] -> L\nL = {loss}")
    forward, backward = d.numpy(without=("by_part",)).split("def forward")[1].split("def backward")
    assert "L_held = part.clip(-1, 1)" in forward and "abs(" not in forward.replace("abs(o[n]", "") and ".clip(" not in backward
    assert ".clip(" in nd.derive("e[N] -> y\ny[n] = max(min(e[n], 2), -2)**2").numpy().split("def backward")[1], "an input is there anyway"
    o, y = np.random.default_rng(0).normal(scale=2, size=(2, 50))
    L, residuals = d.compile().forward(o=o, y=y)
    t = [torch.tensor(a, requires_grad=True) for a in (o, y)]
    wanted = torch.nn.functional.smooth_l1_loss(*t)
    wanted.backward()
    np.testing.assert_allclose(L, wanted.item(), rtol=1e-14)
    for mine, theirs in zip(d.compile().backward(residuals), t, strict=True):
        np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=1e-14, atol=1e-17)


MASKED = """
x[N,M], int keep[N,M] -> p, L
p[n,m] = softmax[m](where(keep[n,m] == 1, x[n,m], -inf))
L[n] = logsumexp[m](where(keep[n,m] == 1, x[n,m], -inf))
"""


def test_masked_entries_and_rows_give_zeros_and_no_nan() -> None:
    keep = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0]])
    module = nd.derive(MASKED).compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (p, total), residuals = module.forward(x=LARGE.astype(np.float32), keep=keep)
        dx = module.backward(residuals, dp=np.ones_like(p), dL=np.ones_like(total)).dx
    assert np.isfinite(p).all() and np.isfinite(dx).all()
    assert not p[keep == 0].any() and not dx[keep == 0].any()
    assert total[1] == -np.inf and np.isfinite(np.delete(total, 1)).all()
    np.testing.assert_allclose(p[[0, 2, 3, 4]].sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("equation", [  # what is asked of x[0] and w[0] is whether there is one
    "softmax[k](where(m[0] > 0, x[t,k], -inf))",
    "softmax[k](where(m[t] > 0, x[0,k], -inf))",
    "softmax[k](where(k < t, x[0,k], -inf))",
    "softmax[k](where(m[t] > 0, x[t,k]*w[0], -inf))**2",
    "log_softmax[k](where(m[0] > 0, x[t,k], -inf))",
    "exp(log_softmax[k](where(m[t] > 0, x[0,k], -inf))/2)",
])
def test_rows_that_are_masked_altogether_give_zeros_whatever_else_is_asked_of_them(equation: str) -> None:
    d = nd.derive(f"x[T,K], m[M], w[W] -> y\ny[t,k] = {equation} for t < M, k < K")
    for sizes in ({"T": 3, "M": 3}, {"T": 3, "M": 0}, {"T": 0, "M": 3}, {"W": 0, "M": 3, "T": 3}):
        shape = {"K": 2, "W": 1, **sizes}
        x, m, w = np.arange(shape["T"]*2.0).reshape(-1, 2), np.array([-1.0, 2, -3])[:shape["M"]], np.ones(shape["W"])
        for way in ({}, {"without": (*FORMS, *PASSES)}, {"sizes": shape}):
            try:
                y, residuals = d.compile(**way).forward(x=x, m=m, w=w)
            except ValueError:
                assert shape["T"] != shape["M"] and "x[t,k]" in equation  # one index for both
                continue
            dy = np.cos(np.arange(y.size)).reshape(y.shape)
            meant = interpret(d.forward, {"x": x, "m": m, "w": w})["y"]
            np.testing.assert_allclose(y, np.array(meant, float).reshape(y.shape))
            meant = interpret(d.backward, {"x": x, "m": m, "w": w, "dy": dy})
            for name, g in d.compile(**way).backward(residuals, dy=dy)._asdict().items():
                np.testing.assert_allclose(g, np.array(meant[name], float).reshape(g.shape), atol=1e-14)


@pytest.mark.parametrize("without", [(), ("normalised",), ("summands",), ("balance", "normalised")])
@pytest.mark.parametrize("equation", [
    "exp(log_softmax[k](where(m[t] > 0, x[t,k], -inf))/2)",
    "where(m[t] > 0, 1 - log_softmax[k](where(m[t] > 0, x[t,k], -inf)), 0)",
])
def test_the_logarithm_of_a_share_is_minus_infinity_in_such_rows_whatever_is_made_of_it(equation: str, without: tuple[str, ...]) -> None:
    """Where it has no name of its own, too, and the exponentials of the scores are kept for the gradient."""
    d, rng = nd.derive(f"x[T,K], m[T] -> y\ny[t,k] = {equation}"), np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_means(d, d.compile(without=without), {"x": rng.normal(size=(4, 3)), "m": np.array([1.0, -1, 1, -1])}, rng)


def test_windows_that_are_masked_altogether_give_zeros_and_no_nan_twice() -> None:
    """What a walk through the windows computes beforehand leaves exp(S − lse) as it is, so that of −inf less −inf it makes 0."""
    rng, text = np.random.default_rng(0), """
        x[T,S], int m[S] -> y
        b[t,s] = where(m[s] > 0, x[t,s], -inf)
        z[t,s] = logsumexp[d](b[t,s+d]) for d < 3
        y[t,s] = exp(z[t,s])
    """
    d = nd.derive(nd.derive(text).backward)
    inputs = {"x": rng.normal(size=(2, 8)), "m": np.array([1, 0, 0, 0, 1, 1, 0, 1]), "dy": rng.normal(size=(2, 6))}
    assert_means(d, d.compile(), inputs, rng)


@pytest.mark.parametrize(("text", "outside"), {
    "x[N,T] -> y\ny[n,i] = logsumexp[u](x[n,i+u-1]) for i < T, u < 3": True,
    "x[N,T] -> y\ny[n,i] = logsumexp[u](x[n,2*i+u]) for i < T//2, u < 2": False,
    "x[T,N] -> y\ny = logsumexp[n](x[T-1,n])": True,
    "x[N,T] -> y\ny[n] = logsumexp[t](x[n,t])": False,
}.items())
def test_what_a_reduction_leaves_out_is_read_as_nothing_and_needs_no_mask(text: str, outside: bool) -> None:
    source = body(text, "forward", without=("summands",))
    assert ("outside=-np.inf" in source) == outside and "where" not in source
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=(3, 5))}, rng)


LEAKY = "x[N,K], a -> y\ny[n,k] = where(x[n,k] > 0, x[n,k], a*x[n,k])"
CHOICES = {  # program -> what stands in its gradient
    LEAKY: "_where(x > 0, dtype.type(1), dtype.type(a))",
    "x[N,K], z[N,K] -> y\ny[n,k] = where(x[n,k] > 0, 0, log(x[n,k] + z[n,k]))": "_only_where(~(x > 0), ",
    "x[N,K] -> y\ny[n,k] = where(x[n,k] > 0, 1/x[n,k], x[n,k])": "_masked(dx, x > 0, ",
    "x[N,K] -> y\ny[n,k] = max(x[n,k], 0.2*x[n,k])": "dtype.type(0.2) + dtype.type(0.8)*_slope(x, 0, dtype)",
    "x[N,K], z[N,K] -> y\ny[n,k] = min(x[n,k], z[n,k])": "_slope(z, x, dtype)",
    "x[N,K], a -> y\ny[n,k] = max(0, x[n,k]) + a*min(0, x[n,k])": "a*part + (dtype.type(1) - part)",
    "x[N,K], int m[N,K] -> y\ny[n,k] = where(m[n,k] == 1, exp(x[n,k]) + x[n,k], 0)": "_only_where(m == 1, ",
    "x[N,K] -> y\ny[n,k] = where(n < k, exp(x[n,k]) + x[n,k], 0)": "_masked(dx, ",
    "x[N,K], int p -> y\ny[n,k] = where(p > 2, exp(x[n,k]) + x[n,k], 0)": "np.where(p > 2, ",
    "X[N,C,H,W] -> s\ns[n,c] = mean[i,j](relu(X[n,c,i,j]))": "*(X > 0)",
}


@pytest.mark.parametrize("text", CHOICES)
def test_what_depends_on_data_is_chosen_without_branches(text: str) -> None:
    """And as exactly: an infinity or a nan in an input stays where it is."""
    assert CHOICES[text] in body(text, "backward")
    program, rng, results = nd.parse(text), np.random.default_rng(0), []
    shape = (80, 90) if "H,W" not in text else (2, 3, 20, 30)
    x = np.where(rng.random(shape) < 0.05, rng.choice([0, np.inf, -np.inf, np.nan], shape), rng.normal(size=shape))
    z = np.where(rng.random(shape) < 0.05, x, rng.normal(size=shape))
    x = np.nan_to_num(x, posinf=5, neginf=-5) if "X" in text else x  # a factor of 0 and 1 is for what is finite
    given = {"x": x, "X": x, "z": z, "a": 0.3, "m": rng.integers(2, size=shape), "p": 3}
    for without in ((), ("indicator",)):
        module = nd.derive(text).compile(without=without)
        y, residuals = module.forward(**{i.name: given[i.name] for i in program.inputs})
        results.append([y, *module.backward(residuals, **{f"d{program.outputs[0]}": np.ones_like(y)})])
    for mine, plain in zip(*results, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-13, equal_nan=True)


HELD = {  # a function that is held -> what stands in its gradient, and what would without the pass
    "max(min(x[n], 1), -1)": ("dy*_slope(1, np.abs(x), dtype)", "dy*(_slope(1, x, dtype)*_slope(x, -1, dtype))"),
    "min(max(x[n]/6 + 1/2, 0), 1)": ("dy/6*_slope(3, np.abs(x), dtype)", "_slope(part, 0, dtype)"),
    "min(relu(3 - 2*x[n]), 6)": ("_slope(x, -1.5, dtype)*(x < 1.5)", "part"),
    "max(x[n], x[n]/4 - 3)": ("_slope(x, -4, dtype)", "(x - 12)/4"),
    "x[n]*min(max(x[n] + 3, 0), 6)/6": ("dy/6*(x*_slope(3, np.abs(x), dtype) + y_held)", "_slope(part, 0, dtype)"),
}


@pytest.mark.parametrize("text", HELD)
def test_what_is_held_between_two_numbers_has_one_slope_that_asks_for_its_argument_as_it_stands(text: str) -> None:
    """The slopes at the ends are halves, also where no other entry is at an end: there a slope is no mask."""
    program, (mark, plain) = f"x[N] -> y\ny[n] = {text}", HELD[text]
    assert mark in body(program, "backward") and plain in body(program, "backward", without=("thresholds", "by_part"))
    d, rng = nd.derive(program), np.random.default_rng(0)
    for x in ([-4.0, -3, -2, -1.5, -1, 0, 0.5, 1, 1.5, 2, 3, 5, np.inf, -np.inf], [-1.0, 2, 0.25], [0.25, 7, -7]):
        assert_means(d, d.compile(), {"x": np.array(x)[np.isfinite(x)]}, rng)
        if "*" not in text and "/" not in text:
            given = {"x": np.array(x)}
            mine, other = (run(d.compile(without=w), {"dy": np.ones(len(x))}, **given)[1].dx for w in ((), ("thresholds", "indicator")))
            np.testing.assert_array_equal(mine, other)


def test_a_mask_that_several_gradients_ask_for_is_scaled_once() -> None:
    text = "z[N], y[N] -> L\nL = mean[n](max(0, 1 - y[n]*z[n]))"
    written = body(text, "backward")
    assert "part = _slope(1, y*z, dtype)/dtype.type(-N)" in written and "dz = y*part" in written
    d, rng = nd.derive(text), np.random.default_rng(0)
    for z in ([0.5, -2, 3, 1], [0.5, -2, 3]):
        assert_means(d, d.compile(), {"z": np.array(z), "y": np.ones(len(z))}, rng)
    f = d.compile()
    _, residuals = f.forward(z=np.ones(3, np.float32), y=np.full(3, 0.5, np.float32))
    assert [g.dtype for g in f.backward(residuals)] == [np.float32]*2
    _, residuals = f.forward(z=np.ones(0), y=np.ones(0))
    assert [g.shape for g in f.backward(residuals)] == [(0,)]*2


CONTINUED = {  # a choice -> what stands in its place, forward and backward
    "where(x[n] > 0, x[n], exp(x[n]) - 1)": ("y = y_exp - 1 + x.clip(0, np.inf)", "dx = dy*y_exp"),
    "where(x[n] <= 0, exp(x[n]) - 1, x[n])": ("y = y_exp - 1 + x.clip(0, np.inf)", "dx = dy*y_exp"),
    "2*where(x[n] >= 0, x[n], 3*(exp(x[n]) - 1))": ("y = 2*(x.clip(0, np.inf) + 3*(y_exp - 1))", "(3*y_exp + dtype.type(-2)*(x >= 0))"),
    "where(x[n] < 0, g*(exp(x[n]) - 1), x[n])": ("y += g*(y_exp - 1)", "dx = g*y_exp"),
    "where(x[n] > 0, x[n] + 1, exp(x[n]))": ("y = x.clip(0, np.inf)", "dx = dy*y_exp"),
    "max(0, x[n]) + min(0, exp(x[n]) - 1)": ("y = y_exp - 1 + x.clip(0, np.inf)", "dx = dy*y_exp"),
    "max(x[n], 0) + min(0, 2*(exp(x[n]/2) - 1))": ("y = 2*y_exp - 2 + x.clip(0, np.inf)", "dx = dy*y_exp"),
    "2*(max(0, x[n]) + min(0, 3*(exp(x[n]) - 1)))": ("y = 2*(3*y_exp - 3 + x.clip(0, np.inf))", "6*y_exp - 4*_slope(x, 0, dtype)"),
    "where(x[n] >= 0, tanh(x[n]), x[n])": ("y = x.clip(-np.inf, 0)", "dx = dy*(1 - y_tanh**2)"),
    "where(2*x[n] + 1 > 0, 2*x[n] + 1, exp(2*x[n] + 1) - 1)": ("y_exp = part.clip(-np.inf, 0)", "dx = 2*dy*y_exp"),
    "where(x[n] > 0, x[n], g*x[n])": ("y += g*x.clip(-np.inf, 0)", "np.vdot(dy, x.clip(-np.inf, 0))"),
    "where(x[n] > 0, x[n], 0.125*x[n])": ("np.maximum(x, y, out=y)", "dx = dy*(dtype.type(0.125) + dtype.type(0.875)*(x > 0))"),
    "where(x[n] > 1, x[n], 3*x[n] - 2)": ("np.minimum(x, y, out=y)", "dtype.type(3) + dtype.type(-2)*(x > 1)"),
    "where(x[n] > 0.5, x[n] - 0.5, where(x[n] < -0.5, x[n] + 0.5, 0))": ("y = x.clip(-0.5, 0.5)", "dx = dy*((x > 0.5) | (x < -0.5))"),
    "where(x[n] > 2, 2, where(x[n] < -3, -3, x[n]))": ("y = x.clip(-3, 2)", "~((x > 2) | (x < -3))"),
    "where(x[n] > 1, x[n]**2 - 1, 0)": ("y = x.clip(1, np.inf)**2", "(x > 1)"),
    "relu(x[n] - 1)*max(x[n] - 1, 0)": ("clip(0, np.inf", "clip(0, np.inf"),
    "max(1 - x[n], 0)**2": ("clip(0, np.inf", "dx = -2*dy*part"),
}


@pytest.mark.parametrize("choice", CONTINUED)
def test_what_goes_on_in_another_way_from_a_number_on_is_not_chosen(choice: str) -> None:
    """As exactly, also where what is not taken would overflow, and at the number itself."""
    text, marks = f"x[N], g -> y\ny[n] = {choice} + 0*g", CONTINUED[choice]
    text = text.replace(", g ->", " ->").replace(" + 0*g", "") if "g*" not in choice else text.replace(" + 0*g", "")
    for function, mark in zip(("forward", "backward"), marks, strict=True):
        assert mark in body(text, function), body(text, function)
    d, rng = nd.derive(text), np.random.default_rng(0)
    g = {"g": 0.3} if "g*" in choice else {}
    x = np.concatenate([np.arange(-4, 4.25, 0.25), 1e-9*rng.normal(size=0 if "min(0" in choice else 5)])
    assert_means(d, d.compile(), {"x": x, **g}, rng)
    large = np.array([1e3, -1e3, np.inf, -np.inf]) if "**" not in choice and "relu" not in choice else np.array([1e3, -1e3])
    results = [run(d.compile(without=w), {"dy": np.ones(4)[:len(large)]}, x=large, **g) for w in ((), ("continued", "indicator"))]
    for mine, plain in zip(*((y, gradients.dx) for y, gradients in results), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-13)


@pytest.mark.parametrize("choice", [
    "where(x[n] > 0, x[n]**2 + 1, exp(2*x[n]) - 1)",        # a step, and one of the slopes
    "where(x[n] > 0, x[n], exp(2*x[n] + z[n]) - exp(z[n]))",  # what z makes infinite, it may in one branch only
    "where(x[n] > z[n], x[n], exp(x[n]))",
    "where(log(x[n]) > 0, 0, log(x[n]))",                   # nan is not above 0
    "where(x[n] > 0, log(x[n] + 1), x[n])",                 # a logarithm may be infinite
    "where(2*x[n] > 0, x[n]**2, exp(2*x[n]) - 1)",          # x is no function of 2x
])
def test_what_does_not_go_on_stays_chosen(choice: str) -> None:
    text = f"x[N], z[N] -> y\ny[n] = {choice} + 0*z[n]"
    assert nd.derive(text).numpy() == nd.derive(text).numpy(without=("continued",))


@pytest.mark.parametrize("relu", [
    "relu(g[t]*x[n,t] + b[t])",
    "relu(b[t] + g[t]*x[n,t])",
    "relu(b[t] + x[n,t]/sqrt(g[t]**2 + 1))",
    "relu(x[n,t] + x[t,n])",  # the same mask for dy and its transpose
    "relu(b[t] - x[n,t]/g[t])",
    "relu(g[n]*x[n,t-1] + b[t])",
])
def test_what_a_relu_lets_through_is_looked_at_once_and_its_argument_not_computed_again(relu: str) -> None:
    text = f"x[N,N], g[N], b[N] -> y\ny[n,t] = {relu}"
    text = text.replace("x[N,N], g[N], b[N]", "x[N,N]") if "g[" not in relu else text
    written = body(text, "backward")
    assert written.count("y > 0") == 1 and ("dy_in = dy*(y > 0)" in written) == ("g[" in relu)
    rng = np.random.default_rng(0)
    x, g, b, dy = (rng.integers(low, 3, shape).astype(float) for low, shape in ((-2, (6, 6)), (1, 6), (-2, 6), (-2, (6, 6))))
    given = {"x": x, "g": g, "b": b} if "g[" in relu else {"x": x}
    passes, plain = (run(nd.derive(text).compile(without=w), {"dy": dy}, **given)[1] for w in ((), ("gate", "from_output")))
    for mine, wanted in zip(passes, plain, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-12)


def test_what_a_relu_lets_through_is_asked_of_a_number_where_there_is_one_only() -> None:
    """y has letters that cos(c) has not: y[j,t] > 0 would be a condition for each of them."""
    module = nd.derive("c, v[M] -> y\ny[j,t] = relu(cos(c)) for j < M, t < M").compile()
    _, residuals = module.forward(c=0.5, v=np.zeros(2))
    dc = module.backward(residuals, dy=np.ones((2, 2))).dc
    assert np.shape(dc) == ()
    np.testing.assert_allclose(dc, -4*np.sin(0.5))


@pytest.mark.parametrize("dtype", "efdg")
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 7), (70, 80), (3, 1, 5000), (20, 30, 4)])
def test_choices_by_bits_are_those_by_branches(dtype: str, shape: tuple[int, ...]) -> None:
    tools, rng = helpers(), np.random.default_rng(0)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1, 2], dtype)
    x, y = (np.where(rng.random(shape) < 0.5, rng.choice(special, shape), rng.normal(size=shape).astype(dtype)) for _ in "xy")
    few = rng.choice(special, (*shape[:-1], 1))
    row = rng.random(shape[-1:]) < 0.5
    for mask in (rng.random(shape) < 0.5, np.arange(shape[-1]) > 2, row, np.zeros(shape, bool), np.asfortranarray(x > y)):
        for a, b in ((x, y), (x, few), (few, y), (x, y.dtype.type(-np.inf)), (x.dtype.type(1), y), (x[..., ::-1], y[::-1])):
            assert np.array_equal(tools["_where"](mask, a, b), np.where(mask, a, b), equal_nan=True)
            if np.shape(a) == shape:
                mine = a.copy()
                assert tools["_masked"](mine, mask, b) is mine
                assert np.array_equal(mine, np.where(mask, a, b), equal_nan=True)
        for a in (x, few, x[..., ::-1]):
            only = np.where(mask, a, x.dtype.type(0))
            assert np.array_equal(tools["_only_where"](mask, a), only, equal_nan=True)
            out = a.copy() if a is not few else np.empty_like(only)
            assert np.array_equal(tools["_only_where"](mask, out if a is not few else a, out=out), only, equal_nan=True)
            assert np.array_equal(out, only, equal_nan=True)
    wanted = np.where(x > y, 1, np.where(x == y, 0.5, 0))
    slope = tools["_slope"](x, y, x.dtype)
    assert slope.dtype == (x.dtype if (x == y).any() else bool) and np.array_equal(slope, wanted)
    assert np.array_equal(tools["_slope"](x, 0, x.dtype), np.where(x > 0, 1, np.where(x == 0, 0.5, 0)))


@pytest.mark.parametrize("equations", [
    "y[i] = sqrt(sum[j](where(j < i, (x[i] - x[j])**2, 0)))",  # how far the ones before are
    "y[i] = sqrt(sum[j](where(i != j and a[i,j] > 0, (x[i] - x[j])**2, 0)))",  # who has no neighbours
    "y[i] = sqrt(sum[j](where(c[i,j] > 0, abs(x[i]*x[j]), 0)))",
    "y[i] = sqrt(sum[j](where(j < i, x[j]**2*abs(x[i]), 0)))",  # as a running sum
    "y[i] = sqrt(sum[j](where(i < j, x[j]**2*abs(x[i]), 0)))",
    "y[i] = sqrt(sum[k](x[i+k+1]**2*abs(x[i])))  for k < 3",  # beyond the end is no place of a window
    "s[i] = sum[j](where(j < i, abs(x[j]*x[i]), 0))\ny[i] = sum[j](where(j < i, a[i,j]*x[j]/s[i], 0))",
    "s[i] = sum[j](where(a[i,j] > 0, x[j]**2, 0))  for i < N\nr[i] = 1/s[i]\ny[i] = sum[j](where(a[i,j] > 0, a[i,j]*x[j]*r[i], 0))",
])
def test_what_is_divided_by_a_sum_of_no_term_counts_where_there_is_one(equations: str) -> None:
    are_as_they_mean(f"x[N], a[N,N], int c[N,N] -> y\n{equations}", "x")


@pytest.mark.parametrize("equations", [
    "s[i] = sum[j](where(j < i, x[j], 0))/i\ny[j] = sum[i](where(j < i, a[i,j]*s[i], 0))  for i < N",
    "s[i] = x[i]*log(i)\ny[j] = sum[i](where(j < i, a[i,j]*s[i], 0))",
    "s[i] = x[i]/i\ny[k] = sum[i](s[i]*a[i-k-1,k])",
])
def test_what_is_divided_by_an_index_counts_where_that_is_not_0(equations: str) -> None:
    are_as_they_mean(f"x[N], a[N,N], int c[N,N] -> y\n{equations}", "a")


def are_as_they_mean(text: str, wrt: str) -> None:
    """Outputs and one gradient, without a warning."""
    d, rng = nd.derive(text, wrt=(wrt,)), np.random.default_rng(0)
    a = np.where([[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 1]], rng.uniform(0.5, 1, (4, 4)), -1)
    inputs = {"x": rng.normal(size=4), "a": a, "c": (a > 0).astype(int)}
    for way in ({}, {"sizes": {"N": 4}}, {"without": (*FORMS, *PASSES)}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_means(d, d.compile(**way), inputs, rng)


@pytest.mark.parametrize(("equations", "empty"), [
    ("s[i] = sum[j](where(j < i, x[j], 0))  for i < N", True),
    ("s[i] = sum[j](where(j <= i, x[j], 0))  for i < N", False),
    ("s[i] = sum[j](where(j <= 2*i and i - 1 < j, x[j], 0))  for i < N", False),
    ("s[i] = sum[k](x[i+k-1])  for i < N, k < 3", False),
    ("s[i] = sum[k](x[i+k-2])  for i < N, k < 2", True),
    ("s[i] = sum[k,j](where(j == k, x[i-k]*x[i-j], 0))  for i < N, k < 3, j < 3", False),
    ("s[i] = sum[j](where(x[j] > 0, x[j], 0))  for i < N", True),
    ("s[i] = sum[j](where(x[j] == m, x[j], 0))  for i < N\nm = max[j](x[j])", False),  # a maximum is one of them
    ("s[i] = sum[j](x[t[j]])  for i < N", False),  # what data look up is there
    ("s[i] = 1 + sum[j](where(j < i, x[j], 0))  for i < N", False),
    ("r[i] = sum[j](where(j < i, x[j], 0))  for i < N\ns[i] = 2*r[i]", True),
])
def test_a_sum_has_a_term_if_a_place_is_found_that_it_never_leaves_out(equations: str, empty: bool) -> None:
    program = nd.parse(f"x[N], int t[N] -> y\n{equations}\ny[i] = x[i]/s[i]")
    assert ("s" in program.empty_sums) == empty


@pytest.mark.parametrize(("scale", "asked"), [
    ("min(max(x[n], -20), 2)", False), ("max(min(x[n], 2), -20)", False), ("min(x[n], 100)", True)])
def test_the_exponential_of_what_is_held_below_a_number_is_finite(scale: str, asked: bool) -> None:
    """Of the logarithm of a scale, as a policy has it: where it is held, its gradient is 0 by its slope, and by no mask beside it."""
    d = nd.derive(f"x[N], m[N], e[N] -> y\ns[n] = {scale}\ny[n] = m[n] + exp(s[n])*e[n]")
    assert ("_only_where(" in body(str(d.forward), "backward")) == asked
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {name: rng.normal(size=5)*9 for name in "xme"}, rng)
