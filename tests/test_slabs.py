"""Terms that are 0 outside a part of an array are computed in that part alone, and what neighbours have in common is computed once."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import nnderiv as nd
from tests.emitted import body
from tests.running import assert_means

VARIATION = "x[H,W] -> L\nL = sum[i,j](abs(x[i+1,j] - x[i,j])) + sum[i,j](abs(x[i,j+1] - x[i,j]))"
ROOTS = "x[H,W] -> L\nL = sum[i,j](sqrt((x[i+1,j] - x[i,j])**2 + (x[i,j+1] - x[i,j])**2 + 0.001))"
SECOND = "x[N,T] -> L\nL = sum[n,t]((x[n,t+1] - 2*x[n,t] + x[n,t-1])**2)"
PREFIX = "x[N,T] -> L\nL = sum[n,t]((x[n,t+2] - 2*x[n,t+1] + x[n,t])**2) for t < T - 2"
SHIFTED = "x[N,T,D], m[D] -> y\ny[n,t,d] = x[n,t,d]*m[d] + (1 - m[d])*x[n,t-1,d]"
TEMPORAL = "v[N,T], r[N,T] -> L\nL = sum[n,t]((r[n,t] + 0.9*v[n,t+1] - v[n,t])**2) for t < T - 1"

PROGRAMS = {
    "total variation": VARIATION,
    "total variation of lengths": ROOTS,
    "second differences": SECOND,
    "second differences, where they begin": PREFIX,
    "a shift": SHIFTED,
    "temporal differences": TEMPORAL,
    "a difference": "x[T] -> y\ny[t] = x[t] - x[t-1]",
    "what comes before alone": "x[N,T] -> y\ny[n,t] = 3*x[n,t-2] for t < T",
    "a square of what comes before": "x[N,T] -> y\ny[n,t] = x[n,t-1]*x[n,t+1] + x[n,t]",
    "a condition of both sides": "x[N,T], z[N,T] -> y\ny[n,t] = z[n,t] + where(1 <= t and t < T - 2, x[n,t-1]*z[n,t+2], 0)",
    "a longer tensor": "x[H], z[H+3] -> y\ny[i] = x[i] + where(i + 1 < H, x[i+1]*z[i], 0) - where(3 <= i, z[i+3]*x[i], 0) for i < H",
    "beside a condition on data": "x[T], z[T] -> y\ny[t] = where(1 <= t and x[t] > 0, x[t-1]*z[t], 0) + z[t]",
    "beside a condition on two indices": "A[N,N] -> y\ny[i,j] = A[i,j] + where(1 <= i and j <= i, A[i-1,j]*A[i,j], 0)",
    "sums": "x[T,K], W[K,M] -> y\ny[t,m] = where(1 <= t, sum[k](x[t-1,k]*W[k,m]), 0) + sum[k](where(t < T - 1, x[t,k]*W[k,m], 0))",
    "the sum of a part": "x[T,K], z[T] -> y\ny[k] = sum[t](where(2 <= t and t + 1 < T, x[t,k]*z[t], 0)) - sum[t](z[t]*x[t-1,k]) for t < T",
    "a count": "x[T], z[T] -> y\ny = sum[t](where(1 <= t, 2, 0))*sum[t](x[t]*z[t]) for t < T",
    "numbers": "x[T] -> y\ny[t] = x[t] + where(1 <= t, 2, 0) - where(t < T - 1, t, 0)*x[t]",
    "one number for all": "x[T,N], s -> y\ny[t,n] = x[t,n]*s - where(2 <= t, s, 0)",
    "a column": "x[T,N], z[T] -> y\ny[t,n] = x[t,n] - where(1 <= n, z[t], 0) - where(1 <= t, z[t-1], 0)",
    "a parameter": "x[T], int s -> y\ny[t] = x[t] + where(s <= t, 2*x[t-s], 0) - x[t-s] for t < T",
    "two gradients of one difference": "x[T], z[T] -> L\nL = sum[t](tanh(x[t+1] - z[t])*z[t])",
    "a recurrence": "x[T,N] -> h\nh[t,n] = tanh(x[t,n] + where(1 <= n, h[t-1,n-1], 0))",
    "a function of both": "x[T], z[T] -> y\ny[t] = z[t] + where(1 <= t, exp(x[t] - x[t-1]) - 1, 0)",
    "three places": "x[N,3] -> L\nL = sum[n,k]((x[n,k+1] - x[n,k])**2)",
    "read by itself": "x[T] -> y\nd[t] = x[t] - x[t-1]\ny[t] = d[t]*d[t+1] + d[t]",
}


def inputs_of(d: nd.Derivation, size: int, odd: int = 0) -> dict[str, Any]:
    """Arrays for all sizes alike, or some one larger."""
    rng = np.random.default_rng(size)
    sizes = {n: size + (k % 2 if odd else 0) for k, n in enumerate(d.forward.sizes)}
    shapes = {i: tuple(r.value(sizes) for r in i.dims) for i in d.forward.inputs}
    return {i.name: 1 if i.kind == "int" else rng.normal(size=s) for i, s in shapes.items()}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "size"), [*product(PROGRAMS, [0, 1, 2, 3, 4, 6])])
def test_parts_of_arrays_mean_what_the_interpreter_says(name: str, size: int) -> None:
    d = nd.derive(PROGRAMS[name])
    for without, odd in product([(), ("slabs",), ("in_place",), ("spots", "share"), ("nest", "blocks")], [0, 1]):
        assert_means(d, d.compile(without=without), inputs_of(d, size, odd), np.random.default_rng(0))


@pytest.mark.parametrize("name", PROGRAMS)
def test_parts_of_arrays_of_known_sizes_or_on_threads_are_the_same(name: str) -> None:
    d = nd.derive(PROGRAMS[name])
    inputs = inputs_of(d, 5)
    for options in ({"threads": 2}, {"sizes": dict.fromkeys(d.forward.sizes, 5)}):
        assert_means(d, d.compile(**options), inputs, np.random.default_rng(0))


@pytest.mark.parametrize("text", [VARIATION, ROOTS, SECOND, PREFIX, SHIFTED, TEMPORAL])
def test_neighbours_are_neither_padded_nor_masked(text: str) -> None:
    with_, without = nd.derive(text).numpy(), nd.derive(text).numpy(without=("slabs",))
    assert "_windows(" not in with_ and "np.arange" not in with_
    assert "_windows(" in without


@pytest.mark.parametrize(("text", "function", "times"), [
    (VARIATION, "np.sign(", 2),        # once along each axis
    (ROOTS, "np.sqrt(", 1),            # one length for three neighbours
    (SECOND, " - 2*x[", 1),            # one difference, read at three shifts, with either sign
    (TEMPORAL, "10*v[", 1),            # and for two tensors
])
def test_a_function_of_two_neighbours_is_computed_once_for_both(text: str, function: str, times: int) -> None:
    backward = nd.derive(text).numpy().split("def backward")[1]
    code = "\n".join(line for line in backward.splitlines() if not line.strip().startswith("#"))
    assert code.count(function) == times


TORCH = {
    VARIATION: lambda x: (x[1:] - x[:-1]).abs().sum() + (x[:, 1:] - x[:, :-1]).abs().sum(),
    ROOTS: lambda x: ((x[1:, :-1] - x[:-1, :-1])**2 + (x[:-1, 1:] - x[:-1, :-1])**2 + 0.001).sqrt().sum(),
    SECOND: lambda x: ((x[:, 2:] - 2*x[:, 1:-1] + x[:, :-2])**2).sum(),
    TEMPORAL: lambda v, r: ((r[:, :-1] + 0.9*v[:, 1:] - v[:, :-1])**2).sum(),
}


@pytest.mark.parametrize("text", TORCH)
def test_gradients_of_differences_are_those_of_pytorch(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 2e-5)):
        inputs = {i.name: rng.normal(size=(17, 23)).astype(dtype) for i in d.forward.inputs}
        tensors = {name: torch.tensor(x, requires_grad=True) for name, x in inputs.items()}
        expected = TORCH[text](**tensors)
        expected.backward()
        module = d.compile()
        L, residuals = module.forward(**inputs)
        assert L.dtype == dtype
        np.testing.assert_allclose(L, expected.detach(), rtol=rtol)
        for g, x in zip(module.backward(residuals), tensors.values(), strict=True):
            assert g.dtype == dtype
            np.testing.assert_allclose(g, x.grad, rtol=rtol, atol=10*rtol)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", [n for n in PROGRAMS if n != "a parameter"])
def test_what_is_infinite_beside_a_part_stays_outside_of_it(name: str, value: float) -> None:
    """At both ends of each input in turn: what is finite without the pass is so with it, and is the same."""
    d = nd.derive(PROGRAMS[name])
    part, whole = (d.compile(without=("indicator", *w)) for w in ((), ("slabs",)))
    plain = {n: np.asarray(x, np.float32) for n, x in inputs_of(d, 3).items()}
    for changed, x in plain.items():
        for place in {(0,)*x.ndim, tuple(n - 1 for n in x.shape)}:
            inputs = {n: a.copy() for n, a in plain.items()}
            inputs[changed][place] = value
            for g, expected in zip(results(d, part, inputs), results(d, whole, inputs), strict=True):
                defined = np.isfinite(expected)
                np.testing.assert_allclose(g[defined], expected[defined], rtol=1e-4, atol=1e-5)


def results(d: nd.Derivation, module: Any, inputs: dict[str, Any]) -> list[np.ndarray]:
    y, residuals = module.forward(**inputs)
    seeds = {f"d{name}": np.ones_like(y) for name in d.gradients.seeds}
    return [np.asarray(y), *map(np.asarray, module.backward(residuals, **seeds))]


def test_what_the_caller_gave_and_what_others_read_is_not_written_to() -> None:
    """A term that is a tensor, and another one that is added in a part of it."""
    d = nd.derive("x[T], z[T] -> y, w\ny[t] = x[t] + where(1 <= t, z[t], 0)\nw[t] = x[t] + where(t < T - 1, z[t], 0) + y[t]")
    x, z = np.arange(4.0), np.ones(4)
    assert_means(d, d.compile(), {"x": x, "z": z}, np.random.default_rng(0))
    assert (x == np.arange(4.0)).all() and (z == 1).all()


def test_what_one_condition_says_another_within_it_need_not_say_again() -> None:
    text = "X[H,W] -> L\nL = sum[i,j](where(i >= 1, abs(X[i,j] - X[i-1,j]), 0) + where(j > 0, abs(X[i,j] - X[i,j-1]), 0))"
    assert all("arange" not in body(text, f) and "np.where" not in body(text, f) for f in ("forward", "backward"))
    d = nd.derive(text)
    assert_means(d, d.compile(), {"X": np.random.default_rng(0).normal(size=(4, 3))}, np.random.default_rng(1))


def test_a_read_is_not_guarded_where_it_is_outside() -> None:
    guarded, plain = (f"x[T,D], m[D] -> y\ny[t,d] = x[t,d] - m[d]*{shifted}" for shifted in ("where(t > 0, x[t-1,d], 0)", "x[t-1,d]"))
    assert all(body(guarded, f).splitlines()[2:] == body(plain, f).splitlines()[2:] for f in ("forward", "backward"))
    begun = "x[T], h0 -> h\nh[-1] = h0\nh[t] = tanh(x[t]) + 2*where(t > 0, h[t-1], 0)"  # h[-1] is a place of h
    d = nd.derive(begun)
    assert_means(d, d.compile(), {"x": np.random.default_rng(0).normal(size=4), "h0": 0.5}, np.random.default_rng(1))


def test_the_first_part_of_an_array_of_zeros_is_written_and_not_added() -> None:
    """Computed there, if nobody else asks for it; a part that is subtracted as well has a name."""
    product = "x[T,N], a[T,N] -> y\ny[t,n] = x[t-1,n]*a[t,n]"
    assert "np.multiply(dy[1:], a[1:], out=dx[:T - 1])" in body(product, "backward")
    both = body("x[T] -> L\nL = sum[t](abs(x[t+1] - x[t]))", "backward")
    assert "dx[1:] = part\n    dx[:T - 1] -= part" in both
    last = "x[T,H], W[H,H] -> y\nh[t,k] = tanh(x[t,k] + sum[l](W[k,l]*h[t-1,l]))\ny[k] = h[T-1,k]"
    assert "dh_pre[T - 1:] = dy" in body(last, "backward")
    for text in (product, last):
        d, rng = nd.derive(text), np.random.default_rng(0)
        for T in (0, 1, 3):
            drawn = {"x": rng.normal(size=(T, 2)), "a": rng.normal(size=(T, 2)), "W": rng.normal(size=(2, 2))}
            for without in ((), ("in_place",), ("share", "nest")):
                assert_means(d, d.compile(without=without), {i.name: drawn[i.name] for i in d.forward.inputs}, rng)
