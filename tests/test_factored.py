"""Products of several matrices: one after the other, each with a name, so that gradients ask for what the others have computed."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from tests.emitted import body
from tests.running import assert_means

LOW_RANK = "x[N,I], A[I,R], B[R,O] -> y\ny[n,o] = sum[i,r](x[n,i]*A[i,r]*B[r,o])"
FACTORED: dict[str, tuple[str, tuple[str, ...]]] = {  # text, and what stands in the module because of it
    "through few places": (LOW_RANK, ("xA = x @ A", "y = xA @ B", "dxA = dy @ B.T", "dx = dxA @ A.T", "dA = x.T @ dxA", "dB = xA.T @ dy")),
    "between two matrices": ("h[N,D], W[D,D], d[M,D] -> s\ns[i,j] = sum[a,b](h[i,a]*W[a,b]*d[j,b])", ("hW = h @ W", "dd = ds.T @ hW")),
    "a chain": ("x[N,I], A[I,J], B[J,K], C[K,O] -> y\ny[n,o] = sum[i,j,k](x[n,i]*A[i,j]*B[j,k]*C[k,o])", ("xA = x @ A", "xAB = xA @ B")),
    "from a vector on": ("x[I], A[I,J], B[J,K] -> y\ny[k] = sum[i,j](x[i]*A[i,j]*B[j,k])", ("xA = x @ A", "y = xA @ B")),
    "to a vector": ("A[I,J], B[J,K], v[K] -> y\ny[i] = sum[j,k](A[i,j]*B[j,k]*v[k])", ("\n    Bv = ", "y = A @ Bv", "dv = dBv @ B")),
    "of two ranges": ("x[N,I], A[I,R], B[R,O] -> y, z\n"
                      "z[n,o] = sum[i,r](x[n,i]*A[i,r]*B[r,o]) for n < 1\ny[n,o] = sum[i,r](x[n,i]*A[i,r]*B[r,o])",
                      ("\n    xA = ", "\n    xA2 = x @ A")),
    "neighbours, scaled": ("A[N,N], g[N], x[N,D], W[D,E] -> y\ny[n,e] = sum[m,d](g[n]*A[n,m]*g[m]*x[m,d]*W[d,e])/N",
                           ("y_part_scaled.T @ dy",)),
    "the rows first": ("q[T,D], k[S,D], v[S,E] -> y\ny[t,e] = sum[s,d](q[t,d]*k[s,d]*v[s,e])",
                       ("kv = k.T @ v", "y = q @ kv", "dkv = q.T @ dy")),
    "the rows first, in a batch": ("q[B,T,D], k[B,S,D], v[B,S,E] -> y\ny[b,t,e] = sum[s,d](q[b,t,d]*k[b,s,d]*v[b,s,e])",
                                   ("kv = k.mT @ v", "y = q @ kv")),
    "heads": ("P[H,T,S], V[H,S,D], O[E,H,D] -> y\ny[t,e] = sum[h,d,s](O[e,h,d]*P[h,t,s]*V[h,s,d])", ("PV = P @ V", "dV = P.mT @ dPV")),
    "what a condition leaves of finite ones": ("q[T,D], k[T,D], v[T,E] -> y\ny[t,e] = sum[s,d](where(s <= t, q[t,d]*k[s,d]*v[s,e], 0))",
                                               ("qk = q @ k.T", "dq = dqk @ k", "dk = dqk.T @ q")),
    "exponentials": ("""q[T,D], k[T,D], v[T,E] -> y
        u[t,e] = sum[s,d](where(s <= t, exp(q[t,d] + k[s,d])*v[s,e], 0))
        z[t] = sum[s,d](where(s <= t, exp(q[t,d] + k[s,d]), 0))
        y[t,e] = u[t,e]/z[t]""", ("qk = _log_product(q, k.T)", "dq = _share_product(")),
    "exponentials that nothing divides": ("q[T,D], k[S,D], v[S,E] -> y\ny[t,e] = sum[s,d](exp(q[t,d] + k[s,d])*v[s,e])",
                                          ("qk = _log_product(q, k.T)", "dq = _share_product(", "dk = _share_product(")),
    "integers": ("int A[N,I], int B[I,J], C[J,K] -> y\ny[n,k] = sum[i,j](A[n,i]*B[i,j]*C[j,k])", ("dC = ",)),
    "one for two": ("h[N,D], W[D,D], d[M,D] -> s, t\n"
                    "s[i,j] = sum[a,b](h[i,a]*W[a,b]*d[j,b])\nt[i] = sum[a,b,j](h[i,a]*W[a,b]*d[j,b]*d[j,a])",
                    ("hW = h @ W",)),
    "functions": ("x[N,D], W[D,H], V[H,K] -> y\ny[n,k] = sum[d,h](tanh(x[n,d])*W[d,h]*V[h,k])", ("xW = xW_tanh @ W",)),
    "by the name of a gradient": ("d[N,I], W[I,J], V[J,K] -> y\ny[n,k] = sum[i,j](d[n,i]*W[i,j]*V[j,k])", (" = d @ W",)),
    "at data": ("E[V,D], W[D,H], U[H,K], int t[N] -> y\ny[n,k] = sum[d,h](E[t[n],d]*W[d,h]*U[h,k])", ("_gather(E, t) @ W",)),
    "partly outside": ("x[T,D], W[D,H], U[H,K] -> y\ny[t,k] = sum[d,h](exp(x[t-1,d])*W[d,h]*U[h,k]) for t < T", ("y = xW @ U",)),
}
WHOLE = {
    "a product that would be larger": "x[N,I], W[K,I,J], y[N,J] -> z\nz[n,k] = sum[i,j](x[n,i]*W[k,i,j]*y[n,j])",
    "entry by entry": "A[I,R], B[J,R], C[K,R] -> T\nT[i,j,k] = sum[r](A[i,r]*B[j,r]*C[k,r])",
    "a weight": "w[D], c[T,D], q[J,D] -> S\nS[t,j] = sum[d](w[d]*c[t,d]*q[j,d])",
    "weights of a loss": "p[N,K], y[N,K], w[K] -> L\nL = sum[n,k](w[k]*y[n,k]*p[n,k])",
    "what may be infinite where it is not chosen":
        "q[T,D], k[T,D], v[T,E] -> y\ny[t,e] = sum[s,d](where(s <= t, exp(q[t,d])*k[s,d]*v[s,e], 0))",
    "an exponential of one index": "q[T,D], v[S,E] -> y\ny[t,e] = sum[s,d](exp(q[t,d])*v[s,e])",
    "a recurrence": "A[N,N], x[N,D], W[D,D] -> h\nh[-1,n,d] = x[n,d]\nh[t,n,d] = tanh(sum[m,e](A[n,m]*h[t-1,m,e]*W[e,d])) for t < 4",
}


def drawn(d: Any, least: int) -> dict[str, Any]:
    rng = np.random.default_rng(least)
    sizes = {n: least + k for k, n in enumerate(d.forward.sizes)}
    shapes = {i.name: [r.value(sizes) for r in i.dims] for i in d.forward.inputs}
    return {i.name: rng.integers(0, 3, shapes[i.name]) if i.kind == "int" else rng.normal(size=shapes[i.name]) for i in d.forward.inputs}


@pytest.mark.parametrize("name", FACTORED)
def test_products_go_one_after_the_other_and_the_gradients_share_them(name: str) -> None:
    text, written = FACTORED[name]
    source = "".join(body(text, f) for f in ("forward", "backward"))
    for line in written:
        assert source.count(line) == 1
    d = nd.derive(text)
    for least in (1, 2, 4):
        assert_means(d, d.compile(), drawn(d, least), np.random.default_rng(0))


@pytest.mark.parametrize("name", WHOLE)
def test_a_sum_stays_whole(name: str) -> None:
    d = nd.derive(WHOLE[name])
    assert d.numpy() == d.numpy(without=("factored",))


def test_no_gradient_of_a_product_of_low_rank_has_its_full_size() -> None:
    f = nd.derive(LOW_RANK).compile()
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(2, 300)), "A": rng.normal(size=(300, 3)), "B": rng.normal(size=(3, 200))}
    _, residuals = f.forward(**inputs)
    tracemalloc.start()
    f.backward(residuals, dy=rng.normal(size=(2, 200)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8*300*200/4
