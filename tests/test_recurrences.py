"""Emitted recurrences: which loops there are, what stands before and behind them, and what a step computes."""

from __future__ import annotations

import cProfile
import itertools
import pstats
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from benchmarks.deriving import chain
from nnderiv.facts import Facts
from nnderiv.lower.equations.common import common
from nnderiv.lower.passes import FORMS, PASSES
from tests.emitted import CHAIN, ELMAN, FUSED, GATED, GATES, LSTM, body, logsumexp, run
from tests.running import assert_means


@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 1, 1), (2, 1, 3), (1, 6, 1), (0, 4, 3)])
def test_the_gradient_of_a_chain_reads_what_its_recurrence_has_computed(sizes: tuple[int, int, int]) -> None:
    """Z = log Σ over all paths of exp(their score), and dA[j,k] how often a path goes from j to k: path by path."""
    N, T, K = sizes
    rng = np.random.default_rng(0)
    s, A, dZ = rng.normal(size=sizes), rng.normal(size=(K, K)), rng.normal(size=N)
    paths = np.array(list(itertools.product(range(K), repeat=T)))
    scores = s[:, np.arange(T), paths].sum(-1) + A[paths[:, :-1], paths[:, 1:]].sum(-1)
    taken = np.exp(scores - logsumexp(scores)[:, None])
    dA = np.zeros((K, K))
    for p, w in zip(paths, dZ @ taken, strict=True):
        np.add.at(dA, (p[:-1], p[1:]), w)
    Z, gradients = run(nd.derive(CHAIN).compile(), {"dZ": dZ}, s=s, A=A)
    np.testing.assert_allclose(Z, logsumexp(scores), rtol=1e-12)
    np.testing.assert_allclose(gradients.dA, dA, rtol=1e-10, atol=1e-12)


def test_a_function_is_read_only_where_it_has_been_computed() -> None:
    """There, and as far as it goes: not where it waits for what needs it, and not beyond its ends."""
    def after(*equations: str) -> list[str]:
        program = nd.parse("\n".join(["x[T], z[T] -> y", *equations]))
        return [str(e.body) for e in common(program).equations]

    assert after("e[t] = exp(x[t] + z[t+1])", "y[t] = e[t] + exp(x[t-1] + z[t])  for 1 <= t < T")[1] == "e[t] + e[t-1]"
    assert "exp" in after("e[t] = exp(x[t] + z[t+1])", "y[t] = e[t] + exp(x[t-1] + z[t])")[1]
    assert "exp" in after("e[t] = exp(x[t] + z[t+1])", "y[t] = e[t] + exp(x[t-1] + z[t+1])  for 1 <= t < T")[1]
    assert after("e[t,s] = exp(x[t] + z[s])", "y[t] = sum[s](exp(x[s] + z[t])*e[t,s])")[1] == "sum[s](e[s,t]*e[t,s])"
    assert "exp" in after("u[t] = u[t-1] + exp(x[t-1] + y[t-2])", "e[t] = exp(x[t] + u[t])", "y[t] = e[t] + exp(x[t-1] + u[t-1])")[2]


def test_gates_are_one_product_forward_and_backward_and_neighbours_one_function() -> None:
    forward, backward = body(GATES, "forward"), body(GATES, "backward")
    assert forward.count(".dot(") == 1 and forward.count("_sigmoid(") == 1
    assert "difg_in[t].reshape(N, 3*H) @ Wifg_flat" in backward
    assert backward.count(" @ ") == 4  # dh, dx, dU, dW
    assert "if = " not in forward and "i_all = np.zeros" in forward  # no name that Python has for itself


@pytest.mark.parametrize("text", [
    GATES,
    GATES.replace("-> h\n", "-> h, i\n"),            # a gate that is handed out stays by itself
    GATES.replace("Wg[k,l]", "Wf[k,l]", 1),          # so do gates that share their matrix
    GATES.replace("i[t,n,k]*g", "i[t,n,k]*Wi[k,k]*g"),  # and those whose matrix is read elsewhere
    GATES.replace("h[t-1,n,l]", "h[t+1,n,l]").replace("h[t-1", "h[t+1"),
    GATES.replace("Uf[H,I]", "Uf[H,J], y[T,N,J]").replace("Uf[k,j]*x", "Uf[k,j]*y"),
], ids=["gates", "one handed out", "one matrix for two", "read elsewhere", "backwards", "another input"])
def test_gates_give_the_same_stacked_or_not(text: str) -> None:
    d = nd.derive(text)
    program, rng = d.forward, np.random.default_rng(0)
    sizes = {"T": 4, "N": 2, "I": 3, "H": 3, "J": 2}
    inputs = {i.name: rng.standard_normal([int(n.value(sizes)) for n in i.dims]) for i in program.inputs}
    results = []
    for without in ((), ("stacked",)):
        module = d.compile(without=without)
        outputs, residuals = module.forward(**inputs)
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        seeds = {f"d{name}": np.ones_like(v) for name, v in zip(program.outputs, values, strict=True)}
        results.append((values, module.backward(residuals, **seeds)))
    for mine, plain in zip(*results, strict=True):
        for a, b in zip(mine, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    expected = nd.evaluate(program, inputs)
    for name, value in zip(program.outputs, results[0][0], strict=True):
        np.testing.assert_allclose(value, np.array(expected[name], float), rtol=1e-12)


IN_ONE = {  # text -> whether several gates' functions are computed at once
    "a place between": (LSTM, True),
    "neighbours": (LSTM.replace("n,2,k", "n,9,k").replace("n,3,k", "n,2,k").replace("n,9,k", "n,3,k"), True),
    "gates behind": (LSTM.replace("z[t,n,g,k]", "z[t,n,k,g]").replace("n,0,k]", "n,k,0]").replace("n,1,k]", "n,k,1]").replace(
        "n,2,k]", "n,k,2]").replace("n,3,k]", "n,k,3]"), True),
    "backwards": (LSTM.replace("t-1", "t+1"), True),
    "two neighbours of an exponential": (LSTM.replace("sigmoid(z[t,n,3,k])", "exp(-z[t,n,0,k]**2)*exp(-z[t,n,1,k]**2)"), True),
    "a root between": ("""
        x[T,N,I], U[4,H,I], W[4,H,H], b[4,H] -> h
        z[t,n,g,k] = sum[j](U[g,k,j]*x[t,n,j]) + sum[l](W[g,k,l]*h[t-1,n,l]) + b[g,k]
        i[t,n,k] = sqrt(z[t,n,0,k])
        f[t,n,k] = sqrt(z[t,n,1,k])
        o[t,n,k] = sqrt(z[t,n,3,k])
        h[t,n,k] = f[t,n,k]*tanh(z[t,n,2,k])/(i[t,n,k]*o[t,n,k])""", True),  # of the first two
    "two apart": (LSTM.replace("sigmoid(z[t,n,1,k])", "tanh(z[t,n,1,k])"), True),  # tanh of neighbours, σ at 0 and 3 apart
    "one of them handed out": (LSTM.replace("-> h", "-> h, f") + "f[t,n,k] = sigmoid(z[t,n,1,k])\n", False),
    "no recurrence": ("z[T,N,4,H] -> y\ny[t,n,k] = sigmoid(z[t,n,0,k])*sigmoid(z[t,n,1,k])", False),
    "one waits for another": ("""
        x[T,N,H], W[H,H] -> h
        z[t,n,0,k] = sum[l](W[k,l]*h[t-1,n,l]) + x[t,n,k]
        z[t,n,1,k] = sum[l](W[k,l]*sigmoid(z[t,n,0,l])) + x[t,n,k]
        h[t,n,k] = sigmoid(z[t,n,1,k])*sigmoid(z[t,n,0,k])""", False),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", IN_ONE)
def test_functions_of_several_gates_are_the_same_at_once_or_one_by_one(name: str) -> None:
    text, at_once = IN_ONE[name]
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert (d.numpy() != d.numpy(without=("in_one",))) == at_once
    for T, N, H in ((0, 1, 2), (1, 1, 1), (2, 0, 3), (5, 3, 2)):
        inputs = {i.name: 1 + rng.uniform(size=[int(n.value({"T": T, "N": N, "H": H, "I": 2})) for n in i.dims]) for i in d.forward.inputs}
        assert_means(d, d.compile(), inputs, rng)
        assert_means(d, d.compile(without=("in_one",)), inputs, rng)


def test_gates_that_are_far_off_overflow_in_none_of_them() -> None:
    d = nd.derive(LSTM)
    inputs = {i.name: np.full([int(n.value({"T": 4, "N": 2, "H": 3, "I": 2})) for n in i.dims], 1e4, "f") for i in d.forward.inputs}
    inputs["b"][:] = [[-1e9], [1e9], [-1e9], [1e9]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        h, residuals = d.compile().forward(**inputs)
        gradients = d.compile().backward(residuals, dh=np.ones_like(h))
    assert np.isfinite(h).all() and all(np.isfinite(g).all() for g in gradients)


def test_how_far_a_running_sum_goes_may_depend_on_what_else_is_summed() -> None:
    d = nd.derive("x[T+U], w[U] -> y\ny[t] = sum[s,u](where(s <= t + u, x[s]*w[u], 0)) for t < T, u < U")
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=9), "w": rng.normal(size=2)}, rng)


def test_a_running_sum_over_less_than_nothing_is_nothing() -> None:
    d = nd.derive("x[T,N] -> y\ny[t,n] = sum[s](where(s <= t, x[s,n], 0)) for t < T - 2")
    y, residuals = d.compile().forward(x=np.ones((0, 2)))
    assert d.compile().backward(residuals, dy=np.ones_like(y)).dx.shape == (0, 2)


@pytest.mark.parametrize("text", [
    FUSED,
    FUSED.replace("b[4,H] -> h", "b[4,H], c0[N,H] -> h\nc[-1,n,k] = c0[n,k]"),
    FUSED.replace("t-1", "t+1"),
    FUSED.replace("[t-1,n,k]", "[t-1,n,k]**2"),
], ids=["gates", "a first state", "backwards", "a square of the state"])
def test_functions_in_a_recurrence_are_computed_once(text: str) -> None:
    backward = body(text, "backward")
    assert "_sigmoid(" not in backward and "np.tanh(" not in backward
    assert nd.derive(text).check(seed=0).ok


def test_a_function_some_steps_further_is_not_another_tensor() -> None:
    text = "x[T] -> y\ny[t] = tanh(x[t])*tanh(x[t-1]) + tanh(x[t-2]) for t < T"
    d = nd.derive(text)
    assert len(nd.derive(text).compile().forward(x=np.ones(5))[1]) == 4, "x, its tanh, T and the dtype"
    assert d.check(seed=0).ok


def test_of_two_tensors_that_are_one_function_a_step_apart_one_is_computed() -> None:
    """What y is multiplied by at t its gradient is multiplied by at t + 1: each could be read for the other."""
    d = nd.derive("x[T] -> y\ny[t] = y[t+1]*sigmoid(log_softmax[t](x[t])) + x[t] for t < T\ny[T-1] = 27")
    assert "_until_settled" not in d.numpy(without=("recall",))
    assert_means(d, d.compile(without=("recall",)), {"x": np.array([0.3, -1.2, 0.7])}, np.random.default_rng(0))


def test_what_a_step_hands_to_the_next_is_known_by_one_name_also_at_the_end() -> None:
    """The carry of h is the gradient of a: where a tensor says the same already, the end reads it there."""
    d = nd.derive("a[N,F], h0[F] -> y\nh[-1,f] = h0[f]\nu[n,f] = exp(a[n,f] + h[n-1,f])\nh[n,f] = sin(u[n,f])*u[n-1,f]\n"
                  "y[i,f] = h[i-1,f] for i < N+1")
    assert "da[0]" in d.numpy() or "da, 0" in d.numpy()
    assert_means(d, d.compile(), {"a": -np.eye(3, 2), "h0": np.ones(2)}, np.random.default_rng(0))


def test_each_of_two_recurrences_that_end_at_a_place_of_its_own_keeps_one_step_only() -> None:
    d = nd.derive("""
        x[T,N,H], W[H,H], V[H,H], h0[N,H], c0[N,H] -> y
        h[-1,n,k] = h0[n,k]
        c[-1,n,k] = c0[n,k]
        h[t,n,k]  = tanh(x[t,n,k] + sum[l](W[k,l]*h[t-1,n,l]))
        c[t,n,k]  = tanh(h[t,n,k] + sum[l](V[k,l]*c[t-1,n,l]))
        y[n,k] = c[T-1,n,k]
    """)
    text = d.numpy().partition("def backward")[2]
    assert "dh0 = dh_in[0] @ W" in text and "dc0 = dc_in[0] @ V" in text
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {i.name: rng.normal(size=[3] * len(i.dims)) for i in d.forward.inputs}, rng)


@pytest.mark.parametrize(("function", "called"), [
    ("tanh(y[t-1,n,l])", "np.tanh("), ("sigmoid(y[t-1,n,l])", "_sigmoid("), ("exp(-y[t-1,n,l]**2)", "np.exp("), ("relu(y[t-1,n,l])", ""),
])
@pytest.mark.parametrize("start", ["", "y[-1,n,k] = x[0,n,k]**2\n"])
def test_what_a_state_goes_through_before_the_matrix_is_computed_once_for_each_step(function: str, called: str, start: str) -> None:
    """Σ_l dy[t+1,n,l] W[l,k] f'(y[t,n,k]) is a product of matrices, times f', with no table over n, k and l."""
    text = f"x[T,N,K], W[K,K] -> y\n{start}y[t,n,k] = sum[l](W[k,l]*{function}) + x[t,n,k] for t < T"
    written = [body(text, f) for f in ("forward", "backward")]
    assert "N, K, K)" not in written[1] and "np.where" not in written[0]
    assert not called or sum(source.count(called) for source in written) == 1
    d = nd.derive(text)
    for T in (1, 2, 4):
        rng = np.random.default_rng(T)
        assert_means(d, d.compile(), {"x": rng.normal(size=(T, 2, 3)), "W": rng.normal(size=(3, 3))}, rng)


def test_a_function_beyond_what_is_kept_is_computed_where_nothing_makes_up_for_it() -> None:
    text = "x[T] -> y, z\ny[t] = exp(x[t])\nz[t] = x[t]*exp(x[t+1]) + exp(x[t])"
    assert "np.exp(_windows(x" in body(text, "backward")  # exp(x[T]) is 1, and what is kept is 0 there
    assert nd.derive(text).check(seed=0).ok


@pytest.mark.parametrize("columns", [1, 3, 127, 128, 300])
@pytest.mark.parametrize("step", ["y[t-1,n] + x[t,n]", "y[t+1,n]*x[t,n]", "max(y[t-1,n], x[t,n])"])
def test_rows_are_accumulated_alike_whether_they_are_wide_or_not(step: str, columns: int) -> None:
    module = nd.derive(f"x[T,N] -> y\ny[t,n] = {step}").compile()
    x = 0.5 + np.random.default_rng(0).random((5, columns))
    slices = np.concatenate([module.forward(x=x[:, n:n + 1])[0] for n in range(columns)], axis=1)
    assert np.array_equal(module.forward(x=x)[0], slices)
    gradients = [module.backward(module.forward(x=z)[1], dy=z).dx for z in (x, *np.split(x, columns, axis=1))]
    np.testing.assert_allclose(gradients[0], np.concatenate(gradients[1:], axis=1), rtol=1e-12)
    for empty in (x[:0], x[:, :0]):
        assert module.forward(x=empty)[0].shape == empty.shape


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("T", [0, 1, 2])
@pytest.mark.parametrize("equations", [
    "h[-1,k] = h0[k]\nh[t,k] = tanh(x[t,k] + sum[l](W[k,l]*h[t-1,l]))",
    "h[t,k] = tanh(x[t,k] + sum[l](W[k,l]*h[t+1,l])) + 0*h0[k] for t < T",
    "z[t,k] = sigmoid(x[t,k] + h0[k]) for t < T\nh[t,k] = z[t,k]*tanh(sum[l](W[k,l]*h[t-1,l])) + (1 - z[t,k])*h[t-1,k] for t < T",
    "h[t,k] = max[l](h[t-1,l] + W[l,k]) + x[t,k] + 0*h0[k] for t < T",
])
def test_a_recurrence_that_is_known_to_have_no_second_step_needs_no_loop(equations: str, T: int, order: int) -> None:
    d = nd.derive(f"x[T,K], W[K,K], h0[K] -> h\n{equations}")
    d = d if order == 1 else nd.derive(d.backward)
    rng, sizes = np.random.default_rng(0), {"T": T, "K": 3}
    inputs = {i.name: rng.normal(size=[int(x.value(sizes)) for x in i.dims]) for i in d.forward.inputs}
    results = []
    for module in (d.compile(), d.compile(sizes={"T": T})):
        outputs, residuals = module.forward(**inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        seeds = {name: np.ones_like(y) for name, y in zip(d.gradients.seeds.values(), outputs, strict=False)}
        results.append([*outputs, *module.backward(residuals, **seeds)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


RECURRENCES = {  # program -> whether all that it computes is finite where its inputs are
    "x[T] -> y\ny[t] = tanh(y[t-1] + x[t])": True,
    "x[T] -> y\nz[t] = x[t]*y[t-1]\ny[t] = z[t] + 1": True,
    "x[T] -> y\nz[t] = x[t]*y[t-1]\ny[t] = 1/z[t]": False,
    "x[T] -> y\nw[t] = y[t-1]\nz[t] = log(w[t])\ny[t] = z[t] + x[t]": False,
    "x[T] -> y\nz[0] = log(x[0])\nz[t] = y[t-1]\ny[t] = z[t] + x[t]": False,
}


@pytest.mark.parametrize("text", RECURRENCES)
def test_a_recurrence_is_finite_if_each_step_is(text: str) -> None:
    program = nd.parse(text)
    for first in sorted({e.tensor for e in program.equations}):
        facts = Facts(program.definitions, program)
        assert facts.tensor_is_finite(first) == facts.tensor_is_finite("y") == RECURRENCES[text]


@pytest.mark.parametrize("first", "vyz")
def test_what_is_above_0_if_a_recurrence_is_finite_is_so_only_if_it_is(first: str) -> None:
    for step, finite in (("log(x[t])/v[t]", False), ("tanh(x[t])/v[t]", True)):
        program = nd.parse(f"x[T] -> z\nv[t] = y[t-1]**2 + 1\ny[t] = {step}\nz[t] = x[t]/v[t]")
        facts = Facts(program.definitions, program)
        assert facts.tensor_is_finite(first) == facts.tensor_is_finite("z") == finite


def test_the_steps_of_a_recurrence_stay_a_loop_when_their_number_is_known() -> None:
    for text in (GATED, "x[T,N] -> h\nh[t,n] = where(t == 2, x[t,n], tanh(h[t-1,n])*x[T-1-t,n]) for t < T"):
        assert "for t in range(3):" in body(text, "forward", sizes={"T": 3}) and "h[1] =" not in body(text, "forward", sizes={"T": 3})


TIMES = [100., 300., 600., 800., 1000.]
DECAYS: dict[str, tuple[str, dict[str, Any]]] = {  # what decays by exp(c[t] − c[t−1]): past the end there is no c, and e^1000 is infinite
    "between times": ("x[T], c[T] -> h\nh[-1] = 0\nh[t] = exp(c[t-1] - c[t])*h[t-1] + x[t]", {"x": [1., 1, 1, 1, 1], "c": TIMES}),
    "self-exciting": ("""c[T], mu, a, b -> L
        A[0] = 0
        A[t] = exp(-b*(c[t] - c[t-1]))*(1 + A[t-1]) for t < T
        L = sum[t](log(mu + a*A[t]))""", {"c": TIMES, "mu": 1., "a": .5, "b": 1.}),
    "softmax, online": ("""s[T], v[T] -> y
        m[0] = s[0]
        m[t] = max(m[t-1], s[t]) for t < T
        l[0] = 1
        l[t] = l[t-1]*exp(m[t-1] - m[t]) + exp(s[t] - m[t]) for t < T
        o[0] = v[0]
        o[t] = o[t-1]*exp(m[t-1] - m[t]) + v[t]*exp(s[t] - m[t]) for t < T
        y[t] = o[t]/l[t]""", {"s": [100., 99, 101, 300, 1000], "v": [1., 2, 3, -1, .5]}),
    "masked": ("""a[T], x[T] -> y
        c[-1] = 0
        c[t] = c[t-1] - a[t]
        y[i] = sum[j](where(j <= i, exp(c[i] - c[j])*x[j], 0))""", {"a": TIMES, "x": [1., 1, 1, 1, 1]}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text, numbers", DECAYS.values(), ids=DECAYS)
def test_a_decay_that_is_not_there_is_not_infinite(text: str, numbers: dict[str, Any], dtype: Any) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    module, inputs = d.compile(), {name: np.array(x, dtype) if np.ndim(x) else x for name, x in numbers.items()}
    y, residuals = module.forward(**inputs)
    weights = {name: np.ones_like(y) for name in d.gradients.seeds.values()}
    gradients = module.backward(residuals, **weights)._asdict()
    assert np.isfinite(y).all() and all(np.isfinite(g).all() for g in gradients.values())
    if dtype == np.float64:
        for name, x in inputs.items():
            v = rng.normal(size=np.shape(x))
            ahead, behind = (np.sum(module.forward(**{**inputs, name: x + step*v})[0]) for step in (1e-6, -1e-6))
            np.testing.assert_allclose(np.sum(gradients[f"d{name}"]*v), (ahead - behind)/2e-6, rtol=1e-5, atol=1e-6)


def test_what_a_recurrence_need_not_wait_for_is_computed_before_its_loop() -> None:
    before, _, inside = body(ELMAN, "forward").partition("for t in")
    assert "@ U.T" in before and "@ U.T" not in inside
    before, _, inside = body(ELMAN, "forward", without=("hoist",)).partition("for t in")
    assert "@ U.T" not in before


def test_what_is_computed_before_a_loop_lies_as_the_steps_read_it_also_where_a_range_is_said_behind_the_equation() -> None:
    text = "x[N,T,I], W[I,2*H], U[H,2*H] -> h\n"
    text += "a[n,t,j] = sum[i](x[n,t,i]*W[i,j]) + sum[k](h[n,t-1,k]*U[k,j]) for j < 2*H\n"
    text += "h[n,t,k] = sigmoid(a[n,t,k])*tanh(a[n,t,k+H]) for k < H"
    assert "a += a_pre[:, t]\n" in body(text, "forward")


@pytest.mark.parametrize("T", [0, 1, 3])
def test_what_is_0_before_the_first_step_is_no_choice_in_a_product_with_what_the_step_computes(T: int) -> None:
    """A reset gate multiplies the state before it: the sum over both asks for no condition, forward or backward."""
    text = """x[T,N,H], U[H,H], V[H,H] -> h
        r[t,n,k] = sigmoid(x[t,n,k] + sum[l](U[k,l]*h[t-1,n,l]))
        h[t,n,k] = tanh(x[t,n,k] + sum[l](V[k,l]*r[t,n,l]*h[t-1,n,l]))"""
    assert "where" not in body(text, "forward") + body(text, "backward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=(T, 2, 3)), "U": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 3))}, rng)


def test_a_factor_that_says_in_which_order_a_recurrence_goes_is_asked_for() -> None:
    """w is outside from s = t on: y[t] does not wait for itself."""
    text = "x[T], w[T] -> y\ny[t] = x[t] + sum[s](w[t-s-1]*y[s])"
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert "_until_settled(" not in d.numpy()
    assert_means(d, d.compile(), {"x": rng.normal(size=4), "w": rng.normal(size=4)}, rng)


def test_independent_recurrences_get_loops_of_their_own() -> None:
    text = "x[T,N], y[S,N] -> a, b\na[t,n] = sin(a[t-1,n]) + x[t,n]\nb[s,n] = cos(b[s-1,n]) + y[s,n]"
    forward = body(text, "forward")
    assert forward.count("for ") == 2 and "    for" not in forward.replace("\n    for", "\nfor")


@pytest.mark.parametrize("place", ["n//2", "2*n", "(n + 1) % N", "N - 1 - n//2"])
def test_what_lives_within_a_step_is_read_at_any_place_of_it(place: str) -> None:
    d, rng = nd.derive(f"x[T,N] -> h\no[t,n] = sigmoid(x[t,n]*h[t-1,n])\nh[t,n] = o[t,{place}]*x[t,n]"), np.random.default_rng(0)
    for shape in ((1, 1), (3, 4), (2, 5)):
        assert_means(d, d.compile(), {"x": rng.normal(size=shape)}, rng)


STARTS = {  # equations of y -> whether a start of zeros is what its memory holds already
    "y[-1,n] = 0\ny[t,n] = tanh(y[t-1,n]) + x[t,n]": True,
    "y[0,n] = 0\ny[t,0] = 0\ny[t,n] = y[t-1,n]*y[t,n-1] + x[t,n]": True,
    "y[t,0] = 0\ny[0,n] = b for n < N\ny[t,n] = y[t-1,n] + y[t,n-1]/2 + x[t,n]": False,  # both say something of y[0,0]; the first one rules
    "y[0,n] = 0 for n < N\ny[t,0] = b\ny[t,n] = y[t-1,n] + y[t,n-1]/2 + x[t,n]": False,
    "y[0,n] = 0\ny[t,n] = x[t,n]**2": False,  # memory that is filled is not made of zeros
}


@pytest.mark.parametrize("step", [
    "tanh(z[t,k//2])*h[t-1,k] + z[t,k]",  # the gradient sums windows of dh[t]
    "max[u](z[t,k+u-1])*h[t-1,k]  for k < K, u < 3",
    "sum[u](w[u]*tanh(z[t,k+u-1]))*h[t-1,k] + z[t,k]  for u < 3",
])
def test_windows_of_what_lives_within_a_step_lie_on_the_axes_that_are_kept(step: str) -> None:
    d, rng = nd.derive(f"x[T,K], w[3] -> h\nz[t,k] = w[1]*x[t,k] + h[t-1,k]\nh[t,k] = {step}"), np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(4, 5)), "w": rng.normal(size=3)}
    for without in ((), ("by_place",), (*FORMS, *PASSES)):
        assert_means(d, d.compile(without=without), inputs, rng)


@pytest.mark.parametrize("equations", STARTS)
def test_a_start_of_zeros_is_not_written_to_zeros(equations: str) -> None:
    text, rng = f"x[T,N], b -> y\n{equations}", np.random.default_rng(0)
    assert ("] = 0" in re.sub("#.*", "", body(text, "forward"))) != STARTS[equations]
    d = nd.derive(text)
    for shape in ((1, 1), (2, 3), (4, 2)):
        assert_means(d, d.compile(), {"x": rng.normal(size=shape), "b": 1.5}, rng)


TRANSDUCER = """b[N,T,U], y[N,T,U] -> L
a[n,0,0] = 0
a[n,t,0] = a[n,t-1,0] + b[n,t-1,0]
a[n,0,u] = a[n,0,u-1] + y[n,0,u-1]
a[n,t,u] = log(exp(a[n,t-1,u] + b[n,t-1,u]) + exp(a[n,t,u-1] + y[n,t,u-1])) for t < T, u < U
L[n] = a[n,T-1,U-1] + b[n,T-1,U-1]"""


def test_a_table_with_base_cases_on_its_edges_and_its_gradient_need_two_loops_and_no_sweep() -> None:
    for function in ("forward", "backward"):
        written = body(TRANSDUCER, function, without=("by_diagonal",))
        assert "for t in" in written and "for u in" in written and "_until_settled" not in written
    assert "not t + 1 < T + 1" not in str(nd.derive(TRANSDUCER).backward)  # beside t + 1 < T it never holds


def test_a_loop_keeps_apart_what_has_the_letter_of_another_equation() -> None:
    module = nd.derive("x[T,N], w[T] -> b\na[t,n] = tanh(b[t-1]*x[t,n])\nb[s] = 1 + sum[n,t](a[s,n]*w[t])").compile()
    rng, b, expected = np.random.default_rng(0), 0.0, []
    x, w = rng.normal(size=(4, 3)), rng.normal(size=4)
    for row in x:
        b = 1 + np.tanh(b*row).sum()*w.sum()
        expected.append(b)
    np.testing.assert_allclose(module.forward(x=x, w=w)[0], expected, rtol=1e-12)


def test_the_gradient_of_a_recurrence_is_contracted_once_after_its_loop() -> None:
    loop, _, after = body(ELMAN, "backward").partition("dx = ")
    assert "dW = " in after and "dU = " in after and "db = " in after and "for t in" in loop


@pytest.mark.parametrize("text", [
    "A[M,T,T] -> Y\nY[m,j] = 2*Y[m-1,M-1-j] + 0.5*sum[v,n](M*A[m,v,v]*A[n,v,(v+j)//2]) for m < M, j < M",
    "A[N,N,M] -> Y\nY[t,i] = Y[t-1,i+1]/2 + sum[j](A[j,i//2,t]*A[j,i,0]) for t < M, i < N",
])
def test_what_a_loop_adds_to_or_fills_is_not_taken_out_of_it(text: str) -> None:
    """Without `hoist`, sums stay inside the recurrence's loop: neither zeros to be added to nor what is made of them may leave it."""
    d = nd.derive(text)
    a = np.random.default_rng(0).normal(size=(3, 3, 3))
    exact = np.array(nd.evaluate(d.forward, {"A": a.tolist()})["Y"], dtype=float)
    gradient = nd.evaluate(d.backward, {"A": a.tolist(), "dY": exact.tolist()})["dA"]
    for without in ((), ("hoist",), ("hoist", "invariant")):
        module = d.compile(without=without)
        found, residuals = module.forward(A=a)
        np.testing.assert_allclose(found, exact, rtol=1e-12)
        np.testing.assert_allclose(module.backward(residuals, dY=exact).dA, np.array(gradient, dtype=float), rtol=1e-9, atol=1e-9)


def runge_kutta(steps: int) -> str:
    """x' = tanh(W x) from x0 on: there are five ways through each step, and all of them through all."""
    lines = []
    for s in range(steps):
        for stage, before in enumerate(("", f" + h/2*k0_{s}[m]", f" + h/2*k1_{s}[m]", f" + h*k2_{s}[m]")):
            lines.append(f"k{stage}_{s}[n] = tanh(sum[m](W[n,m]*(x{s}[m]{before})))")
        lines.append(f"x{s + 1}[n] = x{s}[n] + h/6*(k0_{s}[n] + 2*k1_{s}[n] + 2*k2_{s}[n] + k3_{s}[n])")
    return f"x0[N], W[N,N], h -> x{steps}\n" + "\n".join(lines)


@pytest.mark.parametrize("text", [chain, runge_kutta])
def test_the_work_of_emitting_a_chain_is_linear_in_its_length(text: Callable[[int], str]) -> None:
    def calls_per_layer(layers: int) -> float:
        derivation, profile = nd.derive(text(layers)), cProfile.Profile()
        profile.runcall(derivation.numpy)
        return pstats.Stats(profile).total_calls / layers

    calls_per_layer(3)  # fills caches
    few, many = (12, 48) if text is chain else (4, 6)
    assert calls_per_layer(many) < 1.3 * calls_per_layer(few)


def test_a_function_whose_condition_says_nothing_keeps_its_indices() -> None:
    assert nd.derive("B -> y\ny[m,i] = softplus(tanh(where(m == i, B, B)))*B for m < 3, i < 4").check(seed=0).ok


def test_a_chain_of_any_length_fits_the_stack() -> None:
    assert nd.derive(chain(300)).numpy().count("@ W") > 300


@pytest.mark.parametrize(("equations", "sums"), [
    ("y[t,n] = sum[s](where(s <= t, x[s,n], 0)) for t < T", (1, 1)),
    ("y[t,n] = sum[s](where(s < t, w[n]*x[s,n]**2, 0))/(t+1) + x[t,n] for t < T", (1, 1)),
    ("y[t,n] = sum[s,m](where(t <= s and s > 1, v[m,n]*x[s,m]*x[s,0], 0)) for t < T", (1, 1)),
    ("y[t,n] = sum[s,m](where(s <= t and m <= n, x[s,m], 0)) for t < T, n < N", (1, 1)),
    ("F = sum[s,t](where(s < t, x[s,0]*x[t,1], 0))\ny[t,n] = F*x[t,n]", (0, 2)),
    ("y[t,n] = sum[s](where(s <= t, exp(x[s+1,n]), 0)) for t < T", (0, 0)),         # is whole before the last step
    ("y[t,n] = sum[s](where(s <= t + 1, x[s,n], 0)) for t < T", (0, 0)),
    ("y[t,n] = sum[s](where(s <= t, x[s,n]*x[t-s,n], 0)) for t < T", (0, 0)),       # a convolution
    ("y[t,n] = sum[s](where(s <= t, x[s,n]*w[n]**(t-s), 0)) for t < T", (0, 0)),
])
@pytest.mark.parametrize("T", [1, 2, 5])
def test_a_sum_up_to_each_step_goes_on_from_the_one_before(equations: str, sums: tuple[int, int], T: int) -> None:
    used = [name for name in ("x[T,N]", "w[N]", "v[N,N]") if name[:2] in equations]
    text = f"{', '.join(used)} -> y\n{equations}"
    assert tuple(body(text, f).count("_accumulate(np.add") for f in ("forward", "backward")) == sums
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(T, 3)), "w": rng.uniform(1, 2, size=3), "v": rng.normal(size=(3, 3))}
    d = nd.derive(text)
    assert_means(d, d.compile(), {name[0]: given[name[0]] for name in used}, rng)


WAVE = """
u0[N,X], u1[N,X], c[X], int steps -> v
u[0,n,x] = u0[n,x]
u[1,n,x] = u1[n,x]
u[t,n,x] = 2*u[t-1,n,x] - u[t-2,n,x] + c[x]*(u[t-1,n,x+1] - 2*u[t-1,n,x] + u[t-1,n,x-1]) for t <= steps
v[n,x] = u[steps,n,x]
"""


def test_a_recurrence_of_so_many_steps_as_a_parameter_says_asks_nothing_at_each_step() -> None:
    _, rest = body(WAVE, "backward").split("    for t in ")
    loop = re.sub(r"\n    \S.*", "", re.sub(r"\n+", "\n", rest), flags=re.DOTALL)
    assert not re.search(r"where|_windows|if ", loop), loop
    assert loop.count("np.multiply(du[t + 1], c, out=du_carry[") == 1  # what goes to both sides is computed once
    d, rng = nd.derive(WAVE), np.random.default_rng(0)
    for steps, size in itertools.product((0, 1, 2, 3, 6), (1, 2, 5)):
        inputs = {"u0": rng.normal(size=(2, size)), "u1": rng.normal(size=(2, size)), "c": rng.normal(size=size), "steps": steps}
        assert_means(d, d.compile(), inputs, rng)
    for steps in (-1, -5):  # places 0 and 1 are there, and place −1 is not
        assert_means(d, d.compile(), inputs | {"steps": steps}, rng)


def test_what_integers_leave_out_is_left_out_of_a_matrix_before_the_loop() -> None:
    text = """
        A[D,D], b[D], int s -> y
        x[0,d] = 0 for d < D
        x[t,d] = (b[d] - sum[e](where(e == d, 0, A[d,e]*x[t-1,e])))/A[d,d] for t <= s, d < D
        y[d] = x[s,d]
    """
    forward = body(text, "forward")
    assert ".dot(" in forward[forward.index("for t in"):] and "np.where" not in forward
    A = np.eye(4)*3 + np.random.default_rng(0).normal(size=(4, 4))
    assert_means(nd.derive(text), nd.derive(text).compile(), {"A": A, "b": np.ones(4), "s": 3}, np.random.default_rng(1))


@pytest.mark.parametrize("given", ["d >= 1", "d > 0", "1 <= d and d <= 3", "2 <= d"])
def test_a_recurrence_whose_distance_is_given_to_be_ahead_is_a_loop(given: str) -> None:
    text = "x[T,K], y[T], int d, w[K] -> h, l\nh[t,k] = tanh(w[k]*h[t-d,k] + x[t,k])\n" \
           "l[t] = y[t]*s[t] + l[t-1]/2\ns[t] = where(t < d, y[t], cos(y[t-d] + l[t-d-1])*s[t-d]) for t < T"
    free, d, rng = nd.derive(text), nd.derive(f"{text}\ngiven {given}"), np.random.default_rng(0)
    for part in ("forward", "backward"):
        assert "_until_settled" in body(text, part) and "_until_settled" not in d.numpy().split(f"def {part}(")[1].split("\ndef ")[0]
    assert d.check(seed=0).ok
    for T, far in ((7, 2), (7, 3), (2, 3), (0, 2), (1, 2)):
        inputs = {"x": rng.normal(size=(T, 2)), "y": rng.normal(size=T), "d": far, "w": rng.normal(size=2)}
        seeds = {"dh": rng.normal(size=(T, 2)), "dl": rng.normal(size=T)}
        (y, g), (expected, other) = (run(x.compile(), seeds, **inputs) for x in (d, free))
        for a, b in zip((*y, *g), (*expected, *other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="d is 0; expected at least 1"):
        d.compile().forward(x=np.ones((2, 2)), y=np.ones(2), d=0, w=np.ones(2))


@pytest.mark.parametrize(("first", "before", "steps"), [("T", "t+1", "t < T - 1"), ("-1", "t-1", "1 <= t < T"), ("-1", "t-1", "t < T")])
def test_a_place_between_a_start_and_the_steps_is_0_and_is_there(first: str, before: str, steps: str) -> None:
    """Σ dh[t] (b − h[t+1]) adds b where h[t+1] is no step, but is on the axis that h[T] makes longer."""
    d, rng = nd.derive(f"a, b, x[T] -> y\ny[{first}] = 0\ny[t] = (1 - a)*(y[{before}] - b) + x[t] for {steps}"), np.random.default_rng(0)
    for T in (1, 2, 4):
        assert_means(d, d.compile(), {"a": 0.7, "b": -0.4, "x": rng.uniform(-1, 1, T)}, rng)


@pytest.mark.parametrize("step", [
    "where(x[t,0] > 0, max(y[t-1,n], exp(b[n])), x[t,n])", "where(x[t,0] > 0, max(y[t+1,n], exp(b[n])), x[t,n])",
    "max(a[n], y[t+1,n] - exp(b[n]) + x[t,n], k[t-1])\ny[T-1,n] = b[n]", "max(x[t,n], y[t-1,n] - exp(b[n]), k[t+1])\ny[0,n] = b[n]",
])
def test_what_is_compared_with_nothing_before_the_first_step_counts_in_a_sum(step: str) -> None:
    """db = Σ dy[t] · slope[t] · exp(b), and the slope at the first step is 1, for exp(b) > 0: there the maximum is of exp(b) and 0."""
    d = nd.derive(f"x[T,N], int k[T], b[N], a[N] -> y, z\nz[t,n] = a[n]*x[t,n]*k[t]\ny[t,n] = {step}")
    rng = np.random.default_rng(0)
    for T in (1, 2, 4):
        vectors = {"b": rng.uniform(-1, 1, 2), "a": np.array([-0.5, -1])}
        assert_means(d, d.compile(), {"x": rng.uniform(-1, 3, (T, 2)), "k": np.array([-1, 0, -1, 1])[:T], **vectors}, rng)


@pytest.mark.parametrize("equations", [
    "y[T] = 1\ny[t] = x[t]*y[t+1] for t < T-2", "y[T] = 1\ny[t] = tanh(x[t]*y[t+1]) for t < T-2",
    "y[-1] = 1\ny[t] = x[t]*y[t-1] for t < T-3", "y[t] = x[t]*y[t-1] for t < T-2", "y[t] = x[t]*y[t-1] for 2 <= t < T-2",
])
def test_of_steps_that_end_before_they_begin_there_is_no_row(equations: str) -> None:
    d, rng = nd.derive(f"x[T] -> y\n{equations}"), np.random.default_rng(0)
    for T in range(6):
        assert_means(d, d.compile(), {"x": rng.uniform(-1, 1, T)}, rng)


@pytest.mark.parametrize("equations", [
    "h[t,n] = h[t-1,n] + x[t,n]\ny[t,n] = max[u](h[t-u,n]) for t < T, u < 3",
    "h[t,n] = tanh(h[t+1,n] + x[t,n])\ny[t,n] = min[u](h[t+u,n]) for t < T, u < 3",
    "h[-1,n] = x[0,n]**2\nh[t,n] = h[t-1,n]*x[t,n]\ny[t,n] = logsumexp[u](h[t-u,n]) for t < T, u < 3",
    "h[t,n] = h[t-1,n] + x[t,n]\ny[n] = max[t](h[t-1,n]) for t < T",
    "h[t,n] = h[t-1,n] + x[t,n]\ny[t,n] = max[u](h[t-1-2*u,n]) for t < T, u < 3",
    "z[t,n] = -exp(x[t,n])\nh[t,n] = tanh(h[t-1,n]*h[t-1,0]*z[t-1,n]) for t < T\ny[t,n] = h[t,n] + max[u](z[t-u,n]) for t < T, u < 2",
    "h[t,n] = -exp(h[t-1,n] + h[t,n-1] + x[t,n])\ny[t,n] = max[u,v](h[t+u-1,n+v-1]) for t < T, n < N, u < 3, v < 3",
    "h[t,n] = h[t-1,n] - x[t,n]**2\ng[t,n] = tanh(g[t-1,n] + max[u](h[t-u,n])) for t < T, u < 3, n < N\ny[t,n] = g[t,n]",
])
def test_the_zeros_before_the_first_step_are_none_of_those_that_an_extreme_is_of(equations: str) -> None:
    d, rng = nd.derive(f"x[T,N] -> y\n{equations}"), np.random.default_rng(0)
    for T, N in ((2, 2), (3, 3), (5, 2)):
        x = -abs(rng.normal(size=(T, N))) - 0.1
        y = np.array(nd.evaluate(d.forward, {"x": x.tolist()})["y"], float)
        for without in ((), ("by_place",), (*FORMS, *PASSES)):
            module = d.compile(without=without)
            np.testing.assert_allclose(module.forward(x=x)[0], y, rtol=1e-12)
            if np.isfinite(y).all():
                assert_means(d, module, {"x": x}, rng)


def test_what_a_loop_does_under_one_condition_stands_together() -> None:
    text = """A[N,N], x[N,D], W[D,D] -> h
        h[0,n,d] = x[n,d]
        m[t,n,d] = sum[j](A[n,j]*h[t-1,j,d]) for 1 <= t < 5
        h[t,n,d] = tanh(sum[e](m[t,n,e]*W[e,d])) for 1 <= t < 5"""
    assert body(text, "backward").count("if t >= 1:") == 1
    d = nd.derive(text)
    inputs = {name: np.random.default_rng(0).normal(size=shape) for name, shape in (("A", (3, 3)), ("x", (3, 2)), ("W", (2, 2)))}
    assert_means(d, d.compile(), inputs, np.random.default_rng(1))


PAST = {
    "scores in a table": """x[N,T,D], W[D,D], v[D] -> h
        s[n,t] = sum[d](v[d]*h[n,t,d])
        a[n,t,u] = softmax[u](where(u < t, s[n,u], -inf))
        c[n,t,d] = sum[u](where(u < t, a[n,t,u]*h[n,u,d], 0))
        h[n,t,d] = tanh(x[n,t,d] + sum[k](W[d,k]*c[n,t,k]))""",
    "scores of pairs": """x[T,N,D], U[D,D], v[D] -> h
        e[t,s,n] = sum[d](v[d]*tanh(h[t-1,n,d] + h[s,n,d]))
        a[t,s,n] = softmax[s](where(s < t, e[t,s,n], -inf))
        c[t,n,d] = sum[s](where(s < t, a[t,s,n]*h[s,n,d], 0))
        h[t,n,d] = tanh(x[t,n,d] + sum[k](U[d,k]*c[t,n,k]))""",
    "keys": """x[N,T,D], W[D,D], K[D,D] -> h
        g[n,t,e] = sum[d](K[e,d]*h[n,t,d])
        a[n,t,u] = softmax[u](where(u < t, sum[e](g[n,t-1,e]*g[n,u,e]), -inf))
        h[n,t,d] = tanh(x[n,t,d] + sum[u,k](where(u < t, a[n,t,u]*h[n,u,k]*W[d,k], 0)))""",
    "weights": """x[T,N,D], U[D,D], v[D] -> h
        c[t,n,d] = sum[s](where(s < t, softplus(sum[e](v[e]*h[s,n,e]))*h[s,n,d], 0))/T
        h[t,n,d] = tanh(x[t,n,d] + sum[e](U[d,e]*c[t,n,e]))""",
}


@pytest.mark.parametrize("name", PAST)
def test_a_recurrence_that_looks_back_at_all_its_states_is_a_loop(name: str) -> None:
    d = nd.derive(PAST[name])
    source = d.numpy()
    assert source.count("    for t in range(") == 2 and "_until_settled(" not in source
    for T in (1, 2, 4):
        rng, sizes = np.random.default_rng(T), dict.fromkeys(d.forward.sizes, 2) | {"T": T}
        inputs = {i.name: rng.normal(size=[r.value(sizes) for r in i.dims])/2 for i in d.forward.inputs}
        assert_means(d, d.compile(), inputs, rng)


SPLINES = """
x[N], t[G], c[G] -> y
B[0,n,i] = where(t[i] <= x[n] and x[n] < t[i+1], 1, 0) for n < N, i < G - 1
B[p,n,i] = (x[n] - t[i])/(t[i+p] - t[i])*B[p-1,n,i] + (t[i+p+1] - x[n])/(t[i+p+1] - t[i+1])*B[p-1,n,i+1] for p < 3, n < N, i < G - 3
y[n] = sum[i](c[i]*B[2,n,i]) for i < G - 3
"""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("without", [(), (*FORMS, *PASSES)])
def test_what_is_infinite_where_a_base_case_rules_counts_for_nothing(without: tuple[str, ...]) -> None:
    """A B-spline divides by t[i+p] − t[i], which is 0 at p = 0: there it is what the base case says, though i ends elsewhere."""
    rng = np.random.default_rng(0)
    d = nd.derive(SPLINES)
    assert "not (p == 0 and" not in str(d.backward)
    assert_means(d, d.compile(without=without), {"x": rng.uniform(0, 3, 5), "t": np.arange(6.0)/2, "c": rng.normal(size=6)}, rng)
