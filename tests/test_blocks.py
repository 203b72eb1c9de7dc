"""Parts, places and digits of an axis: gates and heads side by side, circles, tiles and relative positions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import nnderiv as nd
from tests.emitted import FUSED, HALVES, RELATIVE, body, run
from tests.running import assert_close, assert_means

MERGED = """
x[T,N,I], U[I,4*H], W[H,4*H], b[4*H] -> h
z[t,n,j] = sum[i](x[t,n,i]*U[i,j]) + sum[l](h[t-1,n,l]*W[l,j]) + b[j]
c[t,n,k] = sigmoid(z[t,n,k+H])*c[t-1,n,k] + sigmoid(z[t,n,k])*tanh(z[t,n,k+2*H]) for k < H
h[t,n,k] = sigmoid(z[t,n,k+3*H])*tanh(c[t,n,k]) for k < H
"""
TURNED = """
x[T,P,2], c[T,P], s[T,P] -> y
y[t,p,u] = x[t,p,u]*c[t,p] + where(u == 0, -x[t,p,1], x[t,p,0])*s[t,p]
"""
QKV = """
p[T,3,H,D] -> y
A[h,i,j] = softmax[j](sum[d](p[i,0,h,d]*p[j,1,h,d])/sqrt(D))
y[i,h,d] = sum[j](A[h,i,j]*p[j,2,h,d])
"""


def test_what_is_chosen_by_the_place_is_written_place_by_place() -> None:
    for function in ("forward", "backward"):
        assert "where(" not in body(TURNED, function) and "where(" in body(TURNED, function, without=("apart",))
    assert "_windows(" not in body(TURNED.replace("where(u == 0, -x[t,p,1], x[t,p,0])", "(2*u - 1)*x[t,p,1-u]"), "forward")
    backward = body(QKV, "backward")
    assert "np.arange(3)" not in backward and "dp[:, 0]" in backward and "dp[:, 2]" in backward


def test_gates_that_stand_one_after_another_in_an_axis_are_written_each_into_its_place() -> None:
    backward = body(MERGED, "backward")
    assert "_windows(d" not in backward and "out=dz[t, :, 3*H:]" in backward and "out=dz[t, :, H:2*H]" in backward
    assert "for 2*H <= j < 3*H" in nd.derive(MERGED).numpy()
    assert "out=da[:, H:]" in body(HALVES, "backward") and "_windows(" in body(HALVES, "backward", without=("blocks", "slabs"))


def test_heads_side_by_side_in_one_axis_have_products_of_their_own() -> None:
    """Queries, keys and values, of H heads each, are one product with all weights, and so are its gradients."""
    text = """x[N,T,E], W[3*H*D,E], int D -> y
        z[n,t,m] = sum[e](W[m,e]*x[n,t,e])
        A[n,h,i,j] = softmax[j](sum[d](z[n,i,h*D+d]*z[n,j,H*D+h*D+d])/sqrt(D)) for h < H, i < T, j < T, d < D
        y[n,t,h,d] = sum[j](A[n,h,t,j]*z[n,j,2*H*D+h*D+d]) for d < D"""
    backward = body(text, "backward")
    assert "dz_split[:, :, H:2*H]" in backward and "np.where(" not in backward and "(3*H, 1)" not in backward
    x, W, y = (torch.tensor(np.random.default_rng(0).normal(size=s), requires_grad=True) for s in ((2, 5, 7), (24, 7), (2, 5, 2, 4)))
    q, k, v = (x @ W.T).reshape(2, 5, 3, 2, 4).unbind(2)
    expected = torch.einsum("nhij,njhd->nihd", (torch.einsum("nihd,njhd->nhij", q, k)/2).softmax(-1), v)
    module, arrays = nd.derive(text).compile(), {"x": x.detach().numpy(), "W": W.detach().numpy()}
    found, residuals = module.forward(**arrays, D=4)
    assert_close(found, expected.detach().numpy(), "y")
    for name, g in zip("xW", torch.autograd.grad(expected, [x, W], y), strict=True):
        assert_close(getattr(module.backward(residuals, dy=y.detach().numpy()), f"d{name}"), g.numpy(), f"d{name}")


@pytest.mark.parametrize("text", [
    MERGED,
    HALVES,
    HALVES.replace("a[n,h+H]", "a[n,h+H+1]"),                      # a column that nothing reads, and one behind the end
    HALVES.replace("a[n,h+H]", "a[n,h+H-1]"),                      # halves that overlap
    HALVES.replace("a[n,h+H]", "a[n,h+H]*sum[k](a[n,k])"),         # and what reads all of them
    "x[T,H], W[H,3*H] -> y\ny[t,k] = sum[l](x[t,l]*W[l,k])*sum[l](x[t,l]*W[l,k+H]) + sum[l](x[t,l]**2*W[l,k+2*H]) for k < H",
    TURNED,
    TURNED.replace("where(u == 0, -x[t,p,1], x[t,p,0])", "(2*u - 1)*x[t,p,1-u]"),
    TURNED.replace("x[t,p,1], x", "x[t,p,2], x"),                  # a place that there is not
    TURNED.replace("u == 0", "u != 1 and t > 1"),
    QKV,
    "x[N,3] -> y\ny[n] = sum[u](where(u == 1, x[n,u]**2, x[n-1,u]))",  # a summand is left out where x is read outside
    "x[N,3] -> y\ny[n] = sum[m,u](where(u != 1, x[n,u]*x[m,2-u], m*x[n,u])) for m < N",
    "x[N,3], k[N,4] -> y\ny[n,u] = where(u == 3, 1, k[n,3-u]*x[n,u]) for u < 4",
    "a[N,5] -> y\ny[n] = a[n,0]*a[n,1] + sum[k](a[n,k+2]**3) for k < 3",
    "x[N], y[M] -> z\na[i] = where(i < N, x[i]**2, y[i-N]) for i < N + M\nz[i] = a[i]**2*i",
    "b[2*K], x[T] -> h\nh[t,k] = b[k]*h[t-1,k]*b[k+K] + x[t] for k < K",
])
@pytest.mark.parametrize("H", [1, 3])
def test_parts_of_an_axis_give_the_same_each_for_itself(text: str, H: int) -> None:
    d = nd.derive(text)
    sizes = {"T": 4, "N": 2, "I": 3, "H": H, "D": 2, "K": H, "M": 3, "P": H}
    rng = np.random.default_rng(0)
    inputs = {i.name: rng.standard_normal([int(n.value(sizes)) for n in i.dims]) for i in d.forward.inputs}
    for options in ({}, {"without": ("apart",)}, {"threads": 2}, {"without": ("recall", "hoist", "in_place")}):
        assert_means(d, d.compile(**options), inputs, np.random.default_rng(1))


@pytest.mark.parametrize("text", [
    FUSED,
    FUSED.replace("tanh(z[t,n,2,k])", "z[t,n,2,k]*z[t,n,0,k]"),  # one place read twice
    FUSED.replace("z[t,n,3,k]", "z[t,n,4,k]"),                   # one read outside, one never
    "Q[T,P,2], c[T,P] -> y\ny[t,p,r] = where(r == 0, Q[t,p,0]*c[t,p] - Q[t,p,1], Q[t,p,0] + Q[t,p,1]*c[t,p]) for r < 2",
    "Q[T,3], c[T] -> y\ny[t] = where(c[t] > 0, Q[t,2]*c[t], 0) + where(t < 2, Q[t,0]**2, 0)",
    "Q[T,2] -> y\ny[t] = Q[t,0]*sum[a](Q[t,a])",                # not apart: every place is read by the sum
    "Q[T,1], c[T] -> y\ny[t] = Q[t,0]*c[t]",
], ids=["gates", "twice", "outside", "pairs", "conditions", "all", "one"])
def test_the_places_of_an_axis_are_the_same_one_by_one(text: str) -> None:
    d = nd.derive(text)
    assert d.check(seed=0).ok
    rng, sizes = np.random.default_rng(0), {"T": 4, "N": 2, "I": 3, "H": 3, "P": 2}
    inputs = {i.name: rng.standard_normal([int(n.value(sizes)) for n in i.dims]) for i in d.forward.inputs}
    seed = {f"d{d.forward.outputs[0]}": rng.standard_normal(np.shape(d.compile().forward(**inputs)[0]))}
    found, expected = (run(d.compile(without=without), seed, **inputs)[1] for without in ((), ("apart",)))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_rows_at_fixed_places_are_slices() -> None:
    text = nd.derive("x[T,N] -> s, y\ns[n] = x[T-1,n]*x[0,n]\ny[t,n] = x[t,n]**2").numpy()
    assert "    dx = 2*dy*x\n    dx[T - 1:] += ds*_entry(x, 0)\n    dx[:1] += ds*_entry(x, T - 1)" in text


IN_BLOCKS = {
    "LSTM": """x[T,N,4*H], W[4*H,H] -> h
        z[t,n,m] = x[t,n,m] + sum[l](W[m,l]*h[t-1,n,l])
        c[t,n,k] = sigmoid(z[t,n,H+k])*c[t-1,n,k] + sigmoid(z[t,n,k])*tanh(z[t,n,2*H+k]) for k < H
        h[t,n,k] = sigmoid(z[t,n,3*H+k])*tanh(c[t,n,k]) for k < H""",
    "GRU": """x[T,N,3*H], W[3*H,H] -> h
        q[t,n,m] = sum[l](W[m,l]*h[t-1,n,l])
        u[t,n,k] = sigmoid(x[t,n,H+k] + q[t,n,H+k]) for k < H
        h[t,n,k] = (1 - u[t,n,k])*tanh(x[t,n,2*H+k] + sigmoid(x[t,n,k] + q[t,n,k])*q[t,n,2*H+k]) + u[t,n,k]*h[t-1,n,k] for k < H""",
    "a gated unit": "x[N,2*D] -> y\ny[n,d] = x[n,d]*sigmoid(x[n,D+d]) for d < D",
    "a gate of its sum with another": "x[N,2*D], z[N,D] -> y\ny[n,d] = x[n,d]*tanh(x[n,D+d] + z[n,d]) for d < D",
}


@pytest.mark.parametrize("text", IN_BLOCKS.values(), ids=IN_BLOCKS)
def test_functions_of_the_blocks_of_one_tensor_are_computed_once(text: str) -> None:
    backward = body(text, "backward")
    assert "_sigmoid(" not in backward and "np.tanh(" not in backward
    assert nd.derive(text).check(seed=0).ok


@pytest.mark.parametrize("place", ["k", "k+1", "T-1"])
def test_a_function_at_a_place_that_no_index_moves_is_computed_once(place: str) -> None:
    d = nd.derive(f"x[T,N], w[N], int k -> y\ny[n] = tanh(x[{place},n])*w[n]")
    assert "np.tanh(" not in d.numpy().partition("def backward")[2]
    assert_means(d, d.compile(), {"x": np.eye(3, 2) + 0.5, "w": np.ones(2), "k": 1}, np.random.default_rng(0))


GROUPED = """
X[N,C,I], int S -> Y
m[n,q] = mean[r,i](X[n,S*q+r,i]) for q < C//S, r < S
v[n,q] = mean[r,i]((X[n,S*q+r,i] - m[n,q])**2) for r < S
Y[n,c,i] = (X[n,c,i] - m[n,c//S])/sqrt(v[n,c//S] + 0.00001)
"""


def test_a_statistic_of_a_group_is_read_where_its_group_is_and_not_added_up() -> None:
    d = nd.derive(GROUPED)
    assert "dX[n,c,i] = dm[n,c//S]/(I*S) + 2*dv[n,c//S]*(X[n,c,i] - m[n,c//S])/(I*S)" in str(d.backward)
    assert "places" not in body(GROUPED, "backward")
    rng = np.random.default_rng(0)
    for C in (6, 7):
        X, dY = (torch.tensor(rng.normal(size=(2, C, 5)), requires_grad=True) for _ in range(2))
        whole = torch.nn.functional.group_norm(X[:, :6], 2, eps=1e-5)
        rest = X[:, 6:]/1e-5**0.5  # where no group is, mean and variance are read as 0
        expected = torch.cat([whole, rest], 1)
        y, g = run(d.compile(), {"dY": dY.detach().numpy()}, X=X.detach().numpy(), S=3)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10)
        np.testing.assert_allclose(g.dX, torch.autograd.grad(expected, X, dY)[0].numpy(), rtol=1e-8, atol=1e-10)
    assert d.check().ok


@pytest.mark.parametrize("size, heads", [("H*D", ", int H"), ("4*D", ""), ("8", "")], ids=["a parameter", "a number", "numbers"])
def test_heads_side_by_side_in_one_axis_are_products_of_matrices(size: str, heads: str) -> None:
    H, D = ("H", "D") if heads else ("4", size.replace("4*", "").replace("8", "2"))
    d = nd.derive(f"""
        q[B,T,{size}], k[B,T,{size}], v[B,T,{size}]{heads} -> y
        A[b,h,i,j] = softmax[j](sum[d](q[b,i,{D}*h+d]*k[b,j,{D}*h+d])/sqrt({D})) for h < {H}, d < {D}
        y[b,i,a] = sum[j](A[b,a//{D},i,j]*v[b,j,a])
        """)
    source = d.numpy().split("def forward")[1]
    assert source.count(" @ ") == 6 and "    for " not in source and "np.arange" not in source
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=(2, 3, 8)) for name in "qkv"} | ({"H": 4} if heads else {})
    module = d.compile()
    y, g = run(module, {"dy": np.ones((2, 3, 8))}, **inputs)
    t = {name: torch.tensor(inputs[name], requires_grad=True) for name in "qkv"}
    whole = torch.nn.functional.scaled_dot_product_attention(*(t[name].unflatten(2, (4, 2)).transpose(1, 2) for name in "qkv"))
    expected = whole.transpose(1, 2).flatten(2)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10)
    for mine, theirs in zip(g, torch.autograd.grad(expected.sum(), list(t.values())), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("F, H", [(8, 4), (8, 2), (7, 2), (9, 4), (3, 4), (1, 1), (0, 3)])
@pytest.mark.parametrize("ranges", ["h < H, d < F//H", "h < H - 1, d < F//H", "h < H, d < F//H - 1"])
def test_a_place_lies_in_one_head_and_in_none_where_heads_are_empty(F: int, H: int, ranges: str) -> None:
    d = nd.derive(f"q[T,F], k[T,F], w[H] -> S\nS[i,j] = sum[h,d](w[h]*q[i,h*(F//H)+d]*k[j,h*(F//H)+d]) for {ranges}")
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"q": rng.normal(size=(3, F)), "k": rng.normal(size=(3, F)), "w": rng.normal(size=H)}, rng)


@pytest.mark.parametrize("sizes", [{"T": 3, "K": 4}, {"T": 3, "K": 3}])
def test_a_block_that_takes_over_a_tensor_leaves_the_other_blocks(sizes: dict[str, int]) -> None:
    d, rng = nd.derive("""
        a[T,D], x[T,D], w[K] -> y
        z[t,d] = tanh(a[t,d])
        y[t,d] = z[t,d] + x[t-K,d] for t < T + K, d < D
    """), np.random.default_rng(0)
    inputs = {"a": rng.normal(size=(sizes["T"], 2)), "x": rng.normal(size=(sizes["T"], 2)), "w": np.ones(sizes["K"])}
    assert_means(d, d.compile(sizes=sizes), inputs, rng)


ASKEW = [  # what slides, and the tables that take its place
    (RELATIVE, ("A_skewed = Q @ R.T", "dA_skewed = _askew(dA, ", "dA_skewed.T @ Q")),
    ("Q[N,D], R[2*N-1,D] -> A\nA[i,j] = sum[d](Q[i,d]*R[j-i+N-1,d])/sqrt(D)", ("Q @ R.T", "dA_skewed.T @ Q")),
    ("Q[B,H,N,D], R[H,2*N-1,D] -> A\nA[b,h,i,j] = sum[d](Q[b,h,i,d]*R[h,i-j+N-1,d])", ("R.mT", "A_skewed", "dA_skewed")),
    ("Q[N,D], R[2*N-1,D] -> A\nA[i,j] = exp(sum[d](Q[i,d]*R[i-j+N-1,d]))", ("Q @ R.T", "dA_sum_skewed @ R", "dA_sum_skewed.T @ Q")),
    ("Q[N,D], R[2*N-1,D], w[N,N] -> A\nA[i,j] = where(j <= i, sum[d](Q[i,d]*R[i-j+N-1,d]), w[i,j])", ("Q @ R.T",)),
    ("a[N,N], R[2*N-1,D], w[N,N] -> Y\nY[i,d] = sum[j](a[i,j]*w[i,j]*R[i-j+N-1,d])", ("a_skewed @ R",)),
]


@pytest.mark.parametrize("size", [1, 3])  # for 0 there is no R: it would have −1 rows
@pytest.mark.parametrize("text, marks", ASKEW)
def test_relative_positions_are_products_of_matrices(text: str, marks: tuple[str, ...], size: int) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    module, plain = d.compile(), d.compile(without=("skew",))
    assert all(mark in module.source for mark in marks) and "_skewed" not in plain.source
    inputs = {i.name: rng.normal(size=[x.value({"N": size, "D": 4, "B": 2, "H": 2}) for x in i.dims]) for i in d.forward.inputs}
    assert_means(d, module, inputs, rng)


@pytest.mark.parametrize("read, is_askew", {
    "x[b,i,r-i]": True, "x[b,i,i+T-1-r]": True, "x[b,i,r+i-N+1]": True, "x[b,i,N+T-2-i-r]": True, "x[b,i,r-i-1]": False,
    "x[r-i,i,b]": True, "x[r-i-2,i,b]": False, "x[b,i,r-2*i]": False,
}.items())
def test_rows_that_are_laid_a_step_apart_go_there_as_a_whole(read: str, is_askew: bool) -> None:
    """Where each entry of x has a place: then nothing is read around it."""
    for T in (0, 1, 4):
        axes = "B,N,T" if read.startswith("x[b") else "T,N,B"
        d = nd.derive(f"x[{axes}], v[T] -> y\ny[b,i,r] = {read} + 0*v[0] for b < B, i < N, r < N + T - 1")
        assert ("_askew(" in body(d.forward, "forward")) == is_askew, d.numpy()
        x = np.random.default_rng(0).normal(size=[{"B": 2, "N": 3, "T": T}[n] for n in axes.split(",")])
        assert_means(d, d.compile(), {"x": x, "v": np.ones(T)}, np.random.default_rng(0))


@pytest.mark.parametrize("text", [
    "Q[N,D], R[N,D] -> y\ny[i] = max[j](sum[d](Q[i,d]*R[i-j,d])) for j < N",  # 0 where there is no R, and 0 may be the largest
    "a[N,N], w[N,N], R[2*N-1,D] -> Y\nY[i,d] = sum[j](a[i,j]*exp(w[i,j-1])*R[i-j+N-1,d]) for j < N",  # no term for j = 0
    "a[N,N], w[N,N], R[2*N-1,D] -> Y\nY[i,d] = sum[j](a[i,j]*R[i-j+N-1,d]/w[i,j])",
])
def test_a_table_of_distances_adds_no_places(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(3)
    inputs = {i.name: rng.uniform(-2, -1, size=[x.value({"N": 4, "D": 3}) for x in i.dims]) for i in d.forward.inputs}
    (y, _), (expected,) = d.compile().forward(**inputs), nd.evaluate(d.forward, inputs).values()
    np.testing.assert_allclose(y, np.array(expected, float), rtol=1e-12)
    assert d.check().ok


def test_a_window_that_few_places_look_back_is_no_table_of_all_distances() -> None:
    """A sum over the places, each for all rows at once; nothing is read along a diagonal."""
    d = nd.derive("P[N,U], V[N,D] -> Y\nY[i,d] = sum[u](P[i,u]*V[i-u,d])")
    assert "_fold(" not in d.numpy() and "einsum" not in d.numpy() and "_skewed" not in d.numpy()
    P, V = np.random.default_rng(0).normal(size=(6, 3)), np.random.default_rng(1).normal(size=(6, 2))
    y, _ = d.compile().forward(P=P, V=V)
    np.testing.assert_allclose(y, [sum(P[i, u]*V[i - u] for u in range(min(3, i + 1))) for i in range(6)], rtol=1e-12)
    assert d.check().ok


def test_a_diagonal_is_a_view() -> None:
    d = nd.derive("x[N,N], a[N,N] -> y\ny[i] = x[i,i]*sum[j](a[i,j]*x[j,i])")
    assert 'np.einsum("ii->i", x)' in d.numpy() and "_gather(" not in d.numpy()
    x, a = np.arange(9.).reshape(3, 3), np.random.default_rng(0).normal(size=(3, 3))
    np.testing.assert_allclose(d.compile().forward(x=x, a=a)[0], np.diag(x)*np.diag(a @ x), rtol=1e-12)
    assert d.check().ok


@pytest.mark.parametrize("places", ["2*pi*k*n/N", "pi*(2*n+1)*k/N/2", "k*10**(-n/N)"])
def test_a_table_of_functions_of_places_is_computed_once(places: str) -> None:
    d = nd.derive(f"x[B,N] -> X\nX[b,k] = sum[n](x[b,n]*cos({places})) for k < N")
    assert d.numpy().count("np.cos(") == 1
    x, k, n = np.random.default_rng(0).normal(size=(3, 8)), np.arange(8)[:, None], np.arange(8)
    table = np.cos(eval(places, {"pi": np.pi, "k": k, "n": n, "N": 8}))
    X, gradients = run(d.compile(), {"dX": x}, x=x)
    np.testing.assert_allclose(X, x @ table.T, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradients.dx, x @ table, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("text", [
    "x[N,X] -> y\ny[n,i] = x[n,(i+1)%X]*x[n,(3-i)%X] for i < X",
    "s[N,H,W] -> E\nE[n] = sum[i,j](s[n,i,j]*(s[n,(i+1)%H,j] + s[n,i,(j+1)%W] + s[n,(i-1)%H,(j+2)%W]))",
    "x[N,T], h[K] -> y\ny[n,t] = sum[k](h[k]*x[n,(t-k)%T]) for t < T",
    "x[N,X], k, int s -> y\nu[0,n,i] = x[n,i]\n"
    "u[t,n,i] = u[t-1,n,i] + k*(u[t-1,n,(i+1)%X] - 2*u[t-1,n,i] + u[t-1,n,(i-1)%X]) for t <= s\ny[n,i] = u[s,n,i]",
    "x[N,X], int d -> y\ny[n,i] = x[n,(i+d)%X]**2 for i < X",
    "x[N,X] -> y\ny[n,i] = x[n,(i+1)%X] for i < X + 1",
    "x[N,X] -> y\ny[n,i] = max[k](x[n,(i+k)%X]) for i < X, k < 2",
    "A[N,N] -> y\ny[i] = sum[k](k*A[i,(i+k)%N]) for k < N",
    "x[N,2,H,W], K[3,2,3,3] -> y\ny[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*x[n,c,(i+u-1)%H,(j+v-1)%W]) for i < H, j < W",
    "x[N,X], w[5] -> y\ny[n,i] = logsumexp[k](w[k]*x[n,(i-k+2)%X]) for i < X",
    "x[N,X], h[K] -> y\ny[n,i] = sum[k](h[k]*x[n,(i-k)%X]) for i < X + 2",
    "x[N,X], w[3] -> y\ny[n,t,i] = tanh(sum[k](w[k]*y[n,t-1,(i+k)%X]) + x[n,i]) for t < 4",
])
def test_what_is_read_around_a_circle_gives_back_around_it(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    for size in (1, 2, 5):
        sizes = {"N": 3, "X": size, "H": size, "W": 4, "T": size, "K": 3} | ({"N": size} if "A[" in text else {})
        inputs = {i.name: rng.normal(size=[n.value(sizes) for n in i.dims]) if i.kind == "real" else 2 for i in d.forward.inputs}
        for options in ({}, {"without": ("rolls",)}, {"sizes": {n: sizes[n] for n in d.forward.sizes}}):
            assert_means(d, d.compile(**options), inputs, rng)


def test_around_a_circle_no_index_is_searched_for() -> None:
    around = body("x[N,X], k, int s -> y\nu[0,n,i] = x[n,i]\nu[t,n,i] = u[t-1,n,i] + k*u[t-1,n,(i+1)%X] for t <= s\ny[n,i] = u[s,n,i]",
                  "backward")
    assert "k*np.roll(du[t + 1], 1, 1)" in around
    assert not any(sign in around for sign in ("_gather", "_scatter", "arange(X)")), around


@pytest.mark.parametrize(("text", "gradient"), [
    ("x[N,C,2*H,2*W] -> y\ny[n,k,i,j] = x[n,k//4,2*i+k//2%2,2*j+k%2] for k < 4*C, i < H, j < W",
     "dx[n,a,b,c] = dy[n,4*a+2*(b % 2)+c % 2,b//2,c//2]"),
    ("x[N,C,2*H,2*W] -> y\ny[n,i,j,k] = x[n,k%C,2*i+k//C//2,2*j+k//C%2] for k < 4*C, i < H, j < W",
     "dx[n,a,b,c] = dy[n,b//2,c//2,a+2*C*(b % 2)+C*(c % 2)]"),
    ("x[N,C*s*s,H,W], int s -> y\ny[n,c,i,j] = x[n,c*s*s+(i%s)*s+j%s,i//s,j//s] for c < C, i < H*s, j < W*s",
     "dx[n,a,b,d] = dy[n,a//(s*s),b*s+(a % (s*s))//s,d*s+(a % (s*s)) % s]"),
    ("x[N,G*C,H], w[G,C] -> y\ny[n,i,h] = x[n,(i%G)*C+i//G,h]*w[i%G,i//G] for i < G*C", "dw[a,b] = sum[n,h](dy[n,G*b+a,h]*x[n,C*a+b,h])"),
    ("x[N,C] -> y\ny[n,i] = x[n,i%C]**2 for i < 3*C", "dx[n,a] = 2*x[n,a]*sum[p](dy[n,a+C*p])"),
    ("x[N,C,H] -> y\ny[n,c,i] = sin(x[n,c,i//3]) for i < 3*H", "dx[n,c,a] = cos(x[n,c,a])*sum[q](dy[n,c,3*a+q])"),
    ("x[A,B] -> y\ny[i] = x[i//B,i%B]*x[(i//B)%A,B-1-i%B] for i < A*B", ""),
    ("x[N,2*D], c[D] -> y\ny[n,d] = x[n,d+1-2*(d%2)]*(2*(d%2) - 1)*c[d//2] for d < 2*D", ""),
    ("x[N,G*C,H], w[G*O,C,3] -> y\ny[n,o,i] = sum[c,u](w[o,c,u]*x[n,(o//O)*C+c,i+u-1]) for i < H", ""),
    ("x[N,C] -> y\ny[n,i] = max[k](x[n,(i+k)//2]) for i < 2*C, k < 2", ""),
    ("x[C,5] -> y\ny[i] = x[i//5,(i//2)%5] for i < 5*C", ""),      # 2 does not divide 5
])
def test_what_is_read_at_digits_is_a_view_with_an_axis_for_each(text: str, gradient: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert gradient in str(d.backward)
    for n, c, h, w in ((2, 3, 2, 1), (1, 1, 1, 1), (2, 2, 3, 2)):
        sizes = {"N": n, "C": c, "H": h, "W": w, "G": h, "A": c, "B": h, "D": c, "O": 2, "s": 2}
        inputs = {i.name: rng.normal(size=[x.value(sizes) for x in i.dims]) if i.kind == "real" else 2 for i in d.forward.inputs}
        for options in ({}, {"without": ("digits",)}, {"sizes": {x: sizes[x] for x in d.forward.sizes}}):
            before = {name: np.array(x) for name, x in inputs.items()}
            module = d.compile(**options)
            assert_means(d, module, inputs, rng)
            y, _ = module.forward(**inputs)
            y[...] = 0  # of its own memory
            assert all(np.array_equal(inputs[name], x) for name, x in before.items())
    if gradient:
        assert not re.search(r"_gather|_scatter|np.where", d.numpy().split("def forward")[1])


@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("window, ranges, shape, rows", [
    ("3*i+u,3*j+v", "i < H//3, j < W//3, u < 3, v < 3", (7, 9), True),
    ("3*i+u-1,3*j+v-2", "i < (H + 1)//3 + 1, j < (W + 2)//3 + 1, u < 3, v < 3", (7, 9), True),   # beyond the edges
    ("s*i+u,s*j+v", "i < H//s, j < W//s, u < s, v < s", (6, 5), True),
    ("2*i+u,2*j+v", "i < H//2, j < W//2, u < 2, v < 2", (4, 5), True),                             # two slices, and two again
    ("2*i+u,2*j+v", "i < (H - 1)//2, j < (W - 1)//2, u < 3, v < 3", (7, 5), True),                 # one over the other
    ("4*i+u,4*j+v", "i < H//4, j < W//4, u < 3, v < 3", (9, 8), False),                            # some rows are in none
    ("2*i+u-1,2*j+v", "i < H//2, j < (W - 1)//2, u < 3, v < 3", (6, 5), False),                    # over the edge
])
def test_windows_side_by_side_are_reduced_one_axis_after_the_other(op: str, window: str, ranges: str, shape: Any, rows: bool) -> None:
    parameter = ", int s" if "s*" in window else ""
    text = f"X[N,H,W]{parameter} -> Y\nY[n,i,j] = {op}[u,v](X[n,{window}]) for {ranges}"
    counts = op == "mean" and "-" in window  # how many there are, at the edges, is no sum over a window
    assert ("Y_rows" in body(text, "forward")) == (rows and not counts)
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(2, *shape))} | ({"s": 2} if parameter else {})
    assert_means(d, d.compile(), inputs, rng)
    left_out = run(d.compile(without=("axis_by_axis",)), {"dY": 1 + 0*d.compile().forward(**inputs)[0]}, **inputs)
    mine = run(d.compile(), {"dY": np.ones_like(left_out[0])}, **inputs)
    np.testing.assert_allclose(mine[0], left_out[0], rtol=1e-12)
    np.testing.assert_allclose(mine[1].dX, left_out[1].dX, rtol=1e-12)
    empty = d.compile().forward(**inputs | {"X": np.ones((0, *shape))})[0]
    assert empty.shape == (0, *mine[0].shape[1:])


def test_blocks_of_three_axes_are_reduced_and_enlarged_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    for text in ("X[A,B,C] -> Y\nY[i,j,k] = max[u,v,w](X[3*i+u,3*j+v,2*k+w]) for i < A//3, j < B//3, k < C//2, u < 3, v < 3, w < 2",
                 "X[A,B,C] -> Y\nY[i,j,k] = 2*X[i//2,j//3,k//2] for i < 2*A, j < 3*B, k < 2*C + 1",
                 "X[A,B,C] -> Y\nY[i,j,k] = 2*X[i//2,j,k] for i < 2*A"):
        assert ("Y_rows" in body(text, "forward")) == ("k//2" in text or "max" in text)
        d = nd.derive(text)
        assert_means(d, d.compile(), {"X": rng.normal(size=(4, 3, 5))}, rng)


ENLARGED = {
    "by repetition": ("X[N,H,W] -> Y\nY[n,a,b] = X[n,a//2,b//3] for a < 2*H, b < 3*W", (2, 3, 4)),
    "by interleaved channels": ("X[N,2,2,H,W] -> Y\nY[n,a,b] = X[n,a%2,b%2,a//2,b//2] for a < 2*H, b < 2*W", (2, 2, 2, 3, 4)),
}


@pytest.mark.parametrize("name", ENLARGED)
def test_what_lies_between_neighbours_is_written_place_by_place(name: str) -> None:
    text, shape = ENLARGED[name]
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert "places[" in body(text, "forward") and "reshape(N, 2*H, 2*W).copy()" not in body(text, "forward")
    assert_means(d, d.compile(), {"X": rng.normal(size=shape)}, rng)
    assert d.compile().forward(X=np.ones((0, *shape[1:])))[0].size == d.compile().forward(X=np.ones((*shape[:-1], 0)))[0].size == 0
    for value in ("X[n,b//2,b%2]", "exp(X[n,b//2,b%2])*c[b//2]"):  # stand there as they are
        assert "places[" not in body(f"X[N,W,2], c[W] -> Y\nY[n,b] = {value} for b < 2*W", "forward")


def test_tiles_side_by_side_are_read_at_once_and_not_place_by_place() -> None:
    text = "A[I,J], B[P,Q] -> K\nK[i,j] = A[i//P,j//Q]*B[i%P,j%Q] for i < I*P, j < J*Q"
    backward = body(text, "backward")
    assert "_Taps" not in backward and "dB = np.empty" not in backward
    d, rng = nd.derive(text), np.random.default_rng(0)
    for a, b in (((2, 3), (4, 5)), ((1, 1), (3, 2)), ((3, 2), (1, 1))):
        inputs = {"A": rng.normal(size=a), "B": rng.normal(size=b)}
        np.testing.assert_allclose(d.compile().forward(**inputs)[0], np.kron(inputs["A"], inputs["B"]))
        assert_means(d, d.compile(), inputs, rng)
