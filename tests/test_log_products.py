"""Logarithms of products of matrices of exponentials, and their gradients, where all is near and where it is far apart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from running import assert_means

import nnderiv as nd
from nnderiv.lower.runtime import needed

TEXTS = {
    "a product": "x[N,K], y[K,M] -> z\nz[n,m] = logsumexp[k](x[n,k] + y[k,m])",
    "of a batch": "x[B,N,K], y[K,M,B] -> z\nz[m,b,n] = logsumexp[k](x[b,n,k] - 2*y[k,m,b])",
    "of more terms": "x[N,K], y[K,M], a[K], b[N] -> z\nz[n,m] = logsumexp[k](x[n,k]*b[n] + y[k,m] + sin(y[k,m]))*a[0]",
    "with a term for both": "x[N,K], y[K,M], a[K] -> z\nz[n,m] = logsumexp[k](x[n,k] + y[k,m] + a[k])",
    "with a term for the result": "x[N,K], y[K,M], a[N,M] -> z\nz[n,m] = logsumexp[k](x[n,k] + y[k,m] + a[n,m])",
    "masked": "x[N,K], y[K,M] -> z\nz[n,m] = logsumexp[k](where(k <= n, x[n,k], -inf) + where(k >= m, y[k,m], -inf))",
    "a chain": """s[N,T,K], A[K,K] -> Z
        a[n,0,k] = s[n,0,k]
        a[n,t,k] = s[n,t,k] + logsumexp[j](a[n,t-1,j] + A[j,k])
        Z[n] = logsumexp[k](a[n,T-1,k])""",
    "a joint distribution": """s[N,K], t[N,K] -> L
        p[n,i] = softmax[i](s[n,i])
        q[n,i] = softmax[i](t[n,i])
        P[i,j] = sum[n](p[n,i]*q[n,j])/N
        L = sum[i,j](P[i,j]*(log(P[i,j]) - log(sum[k](P[i,k])) - log(sum[k](P[k,j]))))""",
    "weighted": """x[N,K], y[N,M], w[K,M] -> z
        c[k,m] = logsumexp[n](x[n,k] - y[n,m])
        z[n,k] = 3*sum[m](w[k,m]*exp(x[n,k] - c[k,m] - y[n,m]))""",
    "weighted, by what is masked": """x[N,K], y[N,M], w[K,M] -> z
        c[k,m] = logsumexp[n](x[n,k] + where(n <= m, y[n,m], -inf))
        z[n,k] = sum[m](w[k,m]*exp(x[n,k] - c[k,m] + where(n <= m, y[n,m], -inf)))""",
    "a chain of one sequence": """s[T,K], A[K,K] -> Z
        a[0,k] = s[0,k]
        a[t,k] = s[t,k] + logsumexp[j](a[t-1,j] + A[j,k])
        Z = logsumexp[k](a[T-1,k])""",
    "a chain that goes back": """s[T,K], A[K,K] -> b
        b[T-1,k] = 0
        b[t,k] = logsumexp[j](b[t+1,j] + A[k,j] + s[t+1,j])""",
    "scalings that alternate": """C[N,M], a[N], b[M], eps -> P, v
        v[-1,j] = 0
        u[k,i] = a[i] - logsumexp[j](v[k-1,j] - C[i,j]/eps) for k < 3
        v[k,j] = b[j] - logsumexp[i](u[k,i] - C[i,j]/eps) for k < 3
        P[i,j] = exp(u[2,i] + v[2,j] - C[i,j]/eps)""",
    "not by a logarithm": "x[N,K], y[N,M], c[K,M], w[K,M] -> z\nz[n,k] = sum[m](w[k,m]*exp(x[n,k] - c[k,m] + y[n,m]))",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("without", [(), ("log_products",)], ids=["all", "without"])
def test_products_of_exponentials_are_worth_what_the_definition_says(name: str, without: tuple[str, ...]) -> None:
    rng, d = np.random.default_rng(0), nd.derive(TEXTS[name])
    module = d.compile(without=without)
    source = module.source.replace("< 4096", "< 0").replace("< 1024", "< 0") if not without else module.source  # in matrices, however small
    exec(source, tools := {})
    for sizes in ({"N": 3, "K": 4, "M": 2, "B": 2, "T": 3}, {"N": 4, "K": 1, "M": 3, "B": 1, "T": 1}):
        inputs = {i.name: rng.normal(size=[int(r.value(sizes)) for r in i.dims]) if i.dims else 0.5 for i in d.forward.inputs}
        assert_means(d, _Module(tools), inputs, rng)


class _Module:
    def __init__(self, names: dict[str, Any]):
        self.forward, self.backward = names["forward"], names["backward"]


@pytest.mark.parametrize("dtype", "efdg")
@pytest.mark.parametrize("scale", [1, 30, 1000, 10000])
@pytest.mark.parametrize("mask", [0, 0.3, 0.9])
def test_products_of_exponentials_are_as_good_far_apart(dtype: str, scale: float, mask: float) -> None:
    if scale > 1000 and dtype == "e":
        scale = 3000  # the sum of two is finite
    tools: dict[str, Any] = {"np": np, "PART": 4096}
    exec(needed("_log_product _share_product _log_row _shares"), tools)
    exec(needed("_shares").replace("< 1024", "< 0"), factors := dict(tools))
    rng = np.random.default_rng(0)
    for i, k, j in [(20, 30, 10), (1, 5000, 2), (3, 2, 4), (0, 4, 3), (70, 1, 70), (5, 0, 6)]:
        x, y = ((scale*rng.normal(size=s)).astype(dtype) for s in ((i, k), (k, j)))
        x, y = (np.where(rng.random(a.shape) < mask, a.dtype.type(-np.inf), a) for a in (x, y))
        both = x.astype("g")[..., None] + y.astype("g")
        with np.errstate(all="ignore"):
            most = both.max(1, initial=-np.inf)
            exact = np.where(most > -np.inf, most + np.log(np.exp(both - np.where(most > -np.inf, most, 0)[:, None]).sum(1)), -np.inf)
        eps = float(np.finfo(dtype).eps)
        large = 8*max(1.0, *(float(abs(a[np.isfinite(a)]).max(initial=0)) for a in (x, y)))
        found = tools["_log_product"](x, y)
        assert found.dtype == x.dtype and found.shape == (i, j)
        np.testing.assert_allclose(found.astype("g"), exact, rtol=10*eps, atol=eps*(large + 60))
        w = rng.normal(size=(i, j)).astype(dtype)
        with np.errstate(all="ignore"):
            c = exact.astype(dtype)
            parts = np.exp(both - np.where(c > -np.inf, c, np.inf).astype("g")[:, None])
        found = tools["_share_product"](x.T, y, c, w)
        assert found.dtype == x.dtype and found.shape == (k, i)
        wanted = (parts*w.astype("g")[:, None]).sum(2).T
        np.testing.assert_allclose(found.astype("g"), wanted, atol=eps*(2*large + 60)*max(1, j))
        known = tools["_shifted_exp"](y, -2)
        for row, whole in zip(x, exact, strict=True):
            found = tools["_log_row"](row, y, known)
            assert found.dtype == x.dtype
            np.testing.assert_allclose(found.astype("g"), whole, rtol=10*eps, atol=eps*(large + 60))
        for way in (tools, factors):
            f, g = way["_shares"](x, y, c), way["_shares"](x[None], y, c[None])  # a row at each step, or all of them at one
            wanted = (parts*w.astype("g")[:, None]).sum(2)
            for found in (np.array([f(t, w[t]) for t in range(i)], dtype).reshape(i, k), g(0, w)):
                assert found.dtype == x.dtype
                np.testing.assert_allclose(found.astype("g"), wanted, atol=eps*(2*large + 60)*max(1, j))


def test_two_softmaxes_that_never_agree_have_a_joint_distribution_too() -> None:
    """P[0,0] is about exp(−400), far below what single precision holds, and its logarithm and gradient are what they are."""
    d = nd.derive("""
        s[N,K], t[N,K] -> y
        p[n,i] = softmax[i](s[n,i])
        q[n,i] = softmax[i](t[n,i])
        y[i,j] = log(sum[n](p[n,i]*q[n,j]))""")
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(2, 300, 5))
    s[:150, 0] -= 400
    t[150:, 0] -= 400
    dy = rng.normal(size=(5, 5))
    results = []
    for dtype in (np.float32, np.float64):
        y, residuals = d.compile().forward(s=s.astype(dtype), t=t.astype(dtype))
        results.append((y, *d.compile().backward(residuals, dy=dy.astype(dtype))))
    plain = d.compile(without=("log_products",))
    y, residuals = plain.forward(s=s, t=t)
    assert y[0, 0] < -390
    for single, double, wanted in zip(*results, (y, *plain.backward(residuals, dy=dy)), strict=True):
        np.testing.assert_allclose(double, wanted, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(single, wanted, rtol=1e-4, atol=1e-4)


def test_no_array_has_all_three_indices() -> None:
    text = nd.derive(TEXTS["a joint distribution"]).numpy()
    assert text.count("_log_product(") > 1 and text.count("= _share_product(") == 2 and "(N, K, K)" not in text
    assert "= _share_product(" in nd.derive(TEXTS["weighted"]).numpy()
    for other in ("with a term for the result", "not by a logarithm"):
        assert "= _log_product(" not in nd.derive(TEXTS[other]).numpy() and "= _share_product(" not in nd.derive(TEXTS[other]).numpy()
    assert all("_log_product(" in nd.derive(TEXTS[n]).numpy() for n in itertools.islice(TEXTS, 2))


BATCHES = """s[N,M,T,K], A[K,K] -> Z
    a[n,m,0,k] = s[n,m,0,k]
    a[n,m,t,k] = s[n,m,t,k] + logsumexp[j](a[n,m,t-1,j] + A[j,k])
    Z[n,m] = logsumexp[k](a[n,m,T-1,k])"""


@pytest.mark.parametrize(("text", "table"), [(TEXTS["a chain"], "(N, n_t, K, K)"), (BATCHES, "(N, M, n_t, K, K)")])
def test_the_gradient_of_a_chain_needs_no_table_over_two_states_at_each_step(text: str, table: str) -> None:
    d = nd.derive(text)
    source = d.numpy()
    assert source.count("= _share_product(") + source.count(", _share_product(") == source.count("= _shares(") == 1 and table not in source
    exec(source.replace("< 4096", "< 0").replace("< 1024", "< 0"), tools := {})
    for T, scale in itertools.product((1, 2, 5), (1, 1000)):
        rng = np.random.default_rng(T)
        inputs = {"s": scale*rng.normal(size=(2, 3, T, 4)[-3 if text is not BATCHES else 0:]), "A": rng.normal(size=(4, 4))}
        assert_means(d, _Module(tools), inputs, rng)
        assert_means(d, d.compile(), {**inputs, "A": np.where(rng.random((4, 4)) < 0.3, -50.0, inputs["A"])}, rng)


def test_what_weighs_nothing_is_not_computed_one_by_one() -> None:
    tools: dict[str, Any] = {"np": np, "PART": 4096}
    exec(needed("_share_product"), tools)
    tools["_exp_difference"] = None  # which is how
    x, y, w = np.full((2, 3), 500.0), np.full((2, 4), 500.0), np.zeros((3, 4))
    assert tools["_share_product"](x, y, np.zeros((3, 4)), w).tolist() == [[0]*3]*2


def test_a_chain_of_one_sequence_has_no_table_of_two_states_for_each_step() -> None:
    """What stays the same is exponentiated before the loops; backward sums up shares, of which nothing but its steps asks."""
    text = nd.derive(TEXTS["a chain of one sequence"]).numpy()
    assert "_log_row(a[t - 1], A, part)" in text and "= _shares(a, A, " in text and "T, K, K)" not in text
    assert "_share_product(A, " in text  # of dA
    text = nd.derive(TEXTS["scalings that alternate"]).numpy()
    assert text.count("_log_row(v[k], ") == text.count("_log_row(u[k], ") == 1 and text.count("= _shares(") == 2
    assert "C_scaled = C/eps" in text and "np.vdot(dC_scaled, C_scaled)" in text  # and no shares for deps


@pytest.mark.parametrize("step", [
    "logsumexp[j](a[t-1,j] + A[t,j,k])",
    "logsumexp[j](a[t-1,j] + s[t,0]*A[0,j,k])",
    "logsumexp[j](a[t-1,j] + A[0,j,k] + A[t,k,j])",
])
def test_what_changes_from_step_to_step_is_a_table(step: str) -> None:
    d = nd.derive(f"s[T,K], A[T,K,K] -> a\na[0,k] = s[0,k]\na[t,k] = s[t,k] + {step}")
    assert "_shares(" not in d.numpy() and "_log_row(" not in d.numpy()
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"s": rng.normal(size=(4, 3)), "A": rng.normal(size=(4, 3, 3))}, rng)


@pytest.mark.parametrize("T", [0, 1, 2])
def test_a_chain_of_few_steps_is_worth_what_the_definition_says(T: int) -> None:
    rng, d = np.random.default_rng(0), nd.derive(TEXTS["a chain of one sequence"].replace("-> Z", "-> a"))
    assert_means(d, d.compile(), {"s": rng.normal(size=(T, 40)), "A": 30*rng.normal(size=(40, 40))}, rng)
