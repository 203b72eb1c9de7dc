"""Emitted modules: what each optimisation does to the text, and what none of them may do to the results."""

from __future__ import annotations

import cProfile
import itertools
import math
import platform
import pstats
import re
import subprocess
import symtable
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import nnderiv as nd
from benchmarks.deriving import chain
from nnderiv import layers
from nnderiv.fresh import EMITTED
from nnderiv.lower import passes
from nnderiv.lower.common import common
from nnderiv.lower.facts import Facts
from nnderiv.lower.passes import FORMS, PASSES
from nnderiv.lower.runtime import needed
from nnderiv.lower.unmask import unmask
from nnderiv.notation import WORDS
from tests.running import assert_close, assert_means, interpret
from tests.test_factorisations import CHOLESKY

ATTENTION = """
Q[N,D], K[M,D], V[M,E] -> Y
S[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)
P[i,j] = softmax[j](S[i,j])
Y[i,e] = sum[j](P[i,j]*V[j,e])
"""
CAUSAL = """
S[N,N], V[N,E] -> Y
A[i,j] = softmax[j](where(j <= i, S[i,j], -inf))
Y[i,e] = sum[j](A[i,j]*V[j,e])
"""
ELMAN = """
x[T,N,I], U[H,I], W[H,H], b[H], h0[N,H] -> h
h[-1,n,k] = h0[n,k]
h[t,n,k] = tanh(sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k])
"""
GATED = """
x[T,N], h0[N], w[N], u[N] -> h
h[-1,n] = h0[n]
z[t,n] = sigmoid(w[n]*h[t-1,n] + x[t,n])
h[t,n] = z[t,n]*h[t-1,n] + (1 - z[t,n])*tanh(u[n]*x[t,n])
"""
GATED_SUM = "x[N,T], g[T], b[T] -> y\ny[n,t] = relu(g[t]*x[n,t] + b[t])"
GATES = """
x[T,N,I], Ui[H,I], Uf[H,I], Ug[H,I], Wi[H,H], Wf[H,H], Wg[H,H], b[3,H] -> h
i[t,n,k] = sigmoid(sum[j](Ui[k,j]*x[t,n,j]) + sum[l](Wi[k,l]*h[t-1,n,l]) + b[0,k])
g[t,n,k] = tanh(sum[j](Ug[k,j]*x[t,n,j]) + sum[l](Wg[k,l]*h[t-1,n,l]) + b[2,k])
f[t,n,k] = sigmoid(sum[j](Uf[k,j]*x[t,n,j]) + sum[l](Wf[k,l]*h[t-1,n,l]) + b[1,k])
h[t,n,k] = f[t,n,k]*h[t-1,n,k] + i[t,n,k]*g[t,n,k]
"""
FUSED = """
x[T,N,I], U[4,H,I], W[4,H,H], b[4,H] -> h
z[t,n,g,k] = sum[j](U[g,k,j]*x[t,n,j]) + sum[l](W[g,k,l]*h[t-1,n,l]) + b[g,k]
c[t,n,k] = sigmoid(z[t,n,1,k])*c[t-1,n,k] + sigmoid(z[t,n,0,k])*tanh(z[t,n,2,k])
h[t,n,k] = sigmoid(z[t,n,3,k])*tanh(c[t,n,k])
"""
CHAIN = """
s[N,T,K], A[K,K] -> Z
a[n,0,k] = s[n,0,k]
a[n,t,k] = s[n,t,k] + logsumexp[j](a[n,t-1,j] + A[j,k])
Z[n] = logsumexp[k](a[n,T-1,k])
"""
RELATIVE = "Q[N,D], R[2*N-1,D] -> A\nA[i,j] = sum[d](Q[i,d]*R[i-j+N-1,d])"
ROTATED = "q[N,D], k[M,D], r[N,D], l[M,D] -> S\nS[i,j] = sum[d](q[i,d]*k[j,d] - r[i,d]*l[j,d])"
CROSS_ENTROPY = "Z[N,C], y[N,C] -> L\nL = -sum[n,c](y[n,c]*log_softmax[c](Z[n,c]))"
LABELS = "Z[N,C], int y[N] -> L\np[n,c] = log_softmax[c](Z[n,c])\nL = -sum[n](p[n,y[n]])/N"
LATE = "x[N] -> y\ny[i] = where(i > 2, sqrt(sum[k](where(k < 3, y[k], 0))), x[i])"
TURNED_ROWS = """R[M,D], x[N,D], int r[N] -> y, z
y[n,d] = x[n,d]*cos(R[r[n],d])
z[n,d] = x[n,d]*R[r[n],d]"""
RANKS = "s[N], t[N] -> L\nL = sum[i,j](where(t[i] > t[j], softplus(s[j] - s[i]), 0))"
DENSE = "X[N,I], W[I,O], b[O] -> Y\nY[n,o] = tanh(sum[i](X[n,i]*W[i,o]) + b[o])"


def body(text: str, function: str, without: tuple[str, ...] = (), sizes: dict[str, int] | None = None) -> str:
    """The text of one emitted function without its comments."""
    source = nd.derive(text).numpy(sizes=sizes, without=without)
    found = re.search(rf"^def {function}\(.*?(?=^\S|\Z)", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return re.sub(r" *#.*", "", found.group())


def run(module: Any, seeds: dict[str, Any], **inputs: Any) -> tuple[Any, Any]:
    y, residuals = module.forward(**inputs)
    return y, module.backward(residuals, **seeds)


# -- what each pass does to the text -----------------------------------------------------------------------------------------
HALVES = "x[N,D], W[D,2*H] -> y\na[n,k] = sum[d](x[n,d]*W[d,k])\ny[n,h] = tanh(a[n,h])*a[n,h+H] for h < H"
CASES: dict[str, tuple[str, str, str]] = {
    # pass: (program, function, what stands there because of it)
    "narrow": ("X[T,I], W[I,F] -> y\nA[t,f] = tanh(sum[i](X[t,i]*W[i,f]))\ny[f] = A[T-1,f]", "forward", "_entry(X, T - 1) @ W"),
    "balance": ("X[N,D], m[D] -> Y\nY[n,d] = m[d]*exp(X[n,d])/sum[e](m[e]*exp(X[n,e]))", "forward", "_logsumexp(Y_sum_in, 1)"),
    "shifted": ("x[N], z[N] -> y\ny[n] = exp(x[n])/(exp(x[n]) + exp(z[n]))", "forward", "y_exp = z - x"),
    "normalised": (CROSS_ENTROPY, "backward", "np.exp(Z_log"),
    "summands": (LABELS, "backward", "dZ = Z_exp*"),
    "sparse": (LABELS, "backward", "_add_at(dZ, y[:, None], "),
    "recall": ("x[N,K] -> y\ny[n,k] = gelu(x[n,k])", "forward", "y_erf = _erf(x/2**0.5)"),
    "on_diagonal": (CHOLESKY, "forward", "C_on[j] = np.sqrt(C_in[j])"),
    "looked_up": (TURNED_ROWS, "forward", "y_cos = np.cos(y_at)"),
    "gathered": (TURNED_ROWS, "backward", "dR = _scatter(dz*x - dy*x*np.sin(y_at), (M, D), r)"),
    "from_output": ("X[N,I], W[I,O] -> Y\nY[n,o] = relu(sum[i](X[n,i]*W[i,o]))", "backward", "Y > 0"),
    "slopes": ("x[T] -> y\ny[0] = x[0]\ny[t] = max(y[t-1], x[t])", "backward", "dy_total[t + 1]*dy_total_pre[t]"),
    "sign": ("z[N], y[N] -> L\nL = sum[n](relu(1 - y[n]*z[n]))/N", "backward", "dz = y/(-N)*part"),
    "guarded": ("x[N] -> y\ne[n] = exp(x[n]) - 1\ny[n] = where(x[n] > 0, x[n], e[n])", "backward", "_only_where("),
    "gate": (GATED_SUM, "backward", "dx = dy_on*g"),
    "exchange": (ATTENTION, "backward", "np.vecdot(dY, Y)"),
    "stacked": (GATES, "forward", "Wifg = np.stack((Wi, Wf, Wg))"),
    "held": ("e[N] -> y\ny[n] = where(abs(e[n]) <= 2, e[n]**2/2, 2*abs(e[n]) - 2)", "backward", "de = e.clip(-2, 2)"),
    "whole_steps": ("X[I], K[4] -> Y\nY[a] = sum[u](where((a+1-u)%2 == 0, X[(a+1-u)//2]*K[u], 0)) for a < 2*I",
                    "backward", "dK = _windows(dY, (-1, (4, 1), (I, 2))) @ X"),
    "axis_by_axis": ("X[H,W] -> Y\nY[i,j] = mean[u,v](X[4*i+u,4*j+v]) for u < 4, v < 4", "backward", "dX_rows"),
    "one_block": ("q[T,F], k[T,F] -> S\nS[h,i,j] = sum[d](q[i,h*(F//4)+d]*k[j,h*(F//4)+d]) for h < 4, d < F//4",
                  "backward", "dq = dq_split"),
    "split": ("x[N,2*P], c[P] -> y\ny[n,d] = where(d%2 == 0, -x[n,d+1], x[n,d-1])*c[d//2] for d < 2*P", "forward", "out=y_split[:, :, 1])"),
    "spread": ("X[N,H] -> Y\nY[n,i] = mean[u](X[n,3*i+u]) for u < 3", "backward", "for r in range(3):"),
    "running": ("x[T,N] -> y\ny[t,n] = sum[s](where(s <= t, x[s,n], 0)) for t < T", "backward", "_accumulate(np.add, dx[::-1], 0)"),
    "skew": (RELATIVE, "forward", "A_skewed = Q @ R.T"),
    "distribute": (ROTATED, "forward", "S = q @ k.T\n    S -= r @ l.T"),
    "scaled": (ATTENTION, "backward", "dK = dS.T @ Q_scaled"),
    "inline": (ATTENTION, "backward", "-= np.vecdot(dY, Y)[:, None]"),
    "unmask": (CAUSAL, "backward", "dS = np.multiply(dA, A, out=dA)"),
    "apart": ("z[N,2,K] -> y\ny[n,k] = sigmoid(z[n,0,k])*z[n,1,k]", "backward", "out=dz[:, 1])"),
    "blocks": (HALVES, "backward", "out=da[:, H:]"),
    "pieces": (ELMAN, "backward", "dh0 = dh_in[0] @ W"),
    "carry": (GATED, "backward", "_carry[t + 1]"),
    "hoist": (ELMAN, "forward", "@ U.T"),
    "common": (CHAIN, "backward", "(da_pre[:, :T - 1]*da_lse[:, :T - 1][:, :, None])"),
    "untangle": (LATE, "forward", "for i in range(N):"),
    "accumulate": ("x[T,N] -> y\ny[t,n] = y[t-1,n] + x[t,n]", "forward", "_accumulate(np.add, y, 0)"),
    "share": ("x[N,M], m[N] -> y, z\ny[n,k] = (x[n,k] - m[n])**2\nz[n,k] = sin(x[n,k] - m[n])", "forward", "part = x - m[:, None]"),
    "invariant": (ELMAN, "forward", "WT = np.ascontiguousarray(W.T)"),
    "buffers": ("x[N,K], g[N], b[N] -> y\ny[n,k] = x[n,k]*g[n] + b[n]", "forward", "_in_short_buffers(K, forward, x=x, g=g, b=b)"),
    "abreast": ("x[N,K], g[K], b[K] -> y\ny[n,k] = x[n,k]*g[k] + b[k]", "forward", "y = _abreast(np.multiply, x, g)"),
    "dot": (ELMAN, "forward", "h[t].dot(WT)"),
    "in_place": (DENSE, "forward", "Y = np.tanh(Y_in, out=Y_in)"),
    "nest": (ATTENTION, "forward", "_softmax("),
    "rows": ("x[N,A,B] -> y\ny[n] = sum[a,b](x[n,a,b]**2)", "forward", "np.vecdot(x_flat, x_flat)"),
    "spots": ("z[N,K], int y[N] -> s\ns[n] = z[n,y[n]]**2", "backward", "_add_at(dz, y[:, None], "),
    "indicator": ("x[N,K] -> y\ny[n,k] = relu(x[n,k])", "backward", "dx = dy*(y > 0)"),
    "few": ("x[N,C,I], g[C], s[N] -> y\ny[n,c,i] = g[c]*x[n,c,i]/s[n]", "forward", "y = x*(g/s[:, None])[..., None]"),
    "clip": (DENSE.replace("tanh", "relu"), "forward", ".clip(0, np.inf, out="),
    "rolls": ("x[N,X] -> y\ny[n,i] = x[n,(i+1)%X]*x[n,i]", "forward", "np.roll(x, -1, 1)"),
    "wrapped": ("x[N,C,H], K[O,C,3] -> y\ny[n,o,i] = sum[c,u](K[o,c,u]*x[n,c,(i+u-1)%H]) for i < H", "forward", "_around(x, 2, -1, H + 2)"),
    "digits": ("x[N,4*C,H] -> y\ny[n,c,i] = x[n,4*c+i%4,i//4] for c < C, i < 4*H", "forward", ".copy().reshape(N, C, 4*H)"),
    "squares": ("x[N] -> y\ny[n] = x[n]**7", "forward", "y = (x**2*x)**2"),
    "front": ("A[K,K], x[N,K] -> y\ny[n,k] = max[j](A[j,k] + x[n,j])", "forward", "(A[:, None] + x.T[..., None]).max(0, initial"),
    "log_products": (CHAIN, "forward", "_log_product(a[:, t - 1], A)"),
    "differences": ("x[N,D], c[M,D] -> y\ny[n,k] = sum[d]((x[n,d] - c[k,d])**2)", "forward", "y = _square_distances(x[:, None], c)"),
    "mirror": (RANKS, "backward", "ds = _row_sums(ds_of) - _column_sums(ds_of)"),
}


NARROW = {
    "the last row of an attention": """
        X[N,T,I], Wq[I,F], Wk[I,F], V[F,I] -> y
        Q[n,t,f] = sum[i](X[n,t,i]*Wq[i,f])
        K[n,t,f] = sum[i](X[n,t,i]*Wk[i,f])
        A[n,t,s] = softmax[s](where(s <= t, sum[f](Q[n,t,f]*K[n,s,f])/sqrt(F), -inf))
        O[n,t,i] = sum[s](A[n,t,s]*X[n,s,i])
        y[n,f] = sum[i](O[n,T-1,i]*V[f,i])""",
    "one entry of a softmax": "x[N,T] -> y\nA[n,t] = softmax[t](x[n,t])\ny[n] = A[n,T-1]*A[n,T-1]",
    "one entry of a matrix": "A[N,M], B[M,K] -> y\nC[i,k] = sum[j](A[i,j]*B[j,k])\ny = exp(C[0,K-1])",
    "a triangle": "x[N,N] -> y\nA[i,j] = sum[k](where(k <= i and j <= k, x[i,k]*x[k,j], 0))\ny[j] = A[N-1,j]",
    "one of several that are read": "x[N], W[N,N] -> y\nA[n] = sum[k](W[n,k]*x[k])\nB[k] = A[N-1]*x[k]\ny = sum[k](B[k]*A[N-1])",
    "what the gradient would be called": "X[T,I], W[I,F] -> dX\nA[t,f] = tanh(sum[i](X[t,i]*W[i,f]))\ndX[f] = A[T-1,f]",
    "the last output of a recurrence": """
        x[T,H], W[H,H], V[H,O], c[O] -> y
        h[t,k] = tanh(x[t,k] + sum[l](W[k,l]*h[t-1,l]))
        o[t,m] = sum[k](h[t,k]*V[k,m]) + c[m]
        y[m] = o[T-1,m]""",
}


@pytest.mark.parametrize("name", NARROW)
def test_where_one_place_is_read_no_other_is_computed(name: str) -> None:
    rng = np.random.default_rng(0)
    d = nd.derive(NARROW[name])
    assert d.numpy() != d.numpy(without=("narrow",))
    for least in (2, 3, 6):
        sizes = {n: least + k for k, n in enumerate(d.forward.sizes)}
        inputs = {i.name: rng.normal(size=[r.value(sizes) for r in i.dims]) for i in d.forward.inputs}
        assert_means(d, d.compile(), inputs, rng)
    assert d.check(seed=0).ok


def test_few_factors_are_one_also_where_some_are_among_the_indices_of_others() -> None:
    text = "x[N,C,I], g[C], s[N,C] -> y\ny[n,c,i] = g[c]*x[n,c,i]/s[n,c]"
    assert "y = x*(g/s)[..., None]" in body(text, "forward") and "y /= s[..., None]" in body(text, "forward", without=("few",))
    rng = np.random.default_rng(0)
    assert_means(nd.derive(text), nd.derive(text).compile(), {"x": rng.normal(size=(2, 3, 4)), "g": rng.normal(size=3),
                                                              "s": rng.uniform(1, 2, size=(2, 3))}, rng)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("nest", "hoist")])
def test_a_pass_does_what_it_says_and_can_be_left_out(name: str) -> None:
    text, function, mark = CASES[name]
    assert mark in body(text, function)
    assert mark not in body(text, function, without=(name,))


@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 1, 1), (2, 1, 3), (1, 6, 1), (0, 4, 3)])
def test_the_gradient_of_a_chain_reads_what_its_recurrence_has_computed(sizes: tuple[int, int, int]) -> None:
    """Z = log Σ over all paths of exp(their score), and dA[j,k] how often a path goes from j to k: path by path."""
    N, T, K = sizes
    rng = np.random.default_rng(0)
    s, A, dZ = rng.normal(size=sizes), rng.normal(size=(K, K)), rng.normal(size=N)
    paths = np.array(list(itertools.product(range(K), repeat=T)))
    scores = s[:, np.arange(T), paths].sum(-1) + A[paths[:, :-1], paths[:, 1:]].sum(-1)
    taken = np.exp(scores - _logsumexp(scores)[:, None])
    dA = np.zeros((K, K))
    for p, w in zip(paths, dZ @ taken, strict=True):
        np.add.at(dA, (p[:-1], p[1:]), w)
    Z, gradients = run(nd.derive(CHAIN).compile(), {"dZ": dZ}, s=s, A=A)
    np.testing.assert_allclose(Z, _logsumexp(scores), rtol=1e-12)
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
    assert "out=da[:, H:]" in body(HALVES, "backward") and "_windows(" in body(HALVES, "backward", without=("blocks",))


def test_the_scale_of_a_product_goes_into_an_operand_also_where_a_bias_is_added() -> None:
    text = "Q[N,D], K[M,D], b[M] -> A\nA[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d])/sqrt(D) + b[j])"
    assert "A_in = Q_scaled @ K.T" in body(text, "forward") and "@ Q_scaled" in body(text, "backward")
    assert "Q_scaled" not in body(text.replace("/sqrt(D) +", "*b[i] +"), "forward")
    assert nd.derive(text).check(seed=0).ok


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


@pytest.mark.parametrize("text", [
    "z[N,K], int y[N] -> L\np[n,k] = log_softmax[k](z[n,k])\nL = -mean[n](0.9*p[n,y[n]] + 0.1*mean[k](p[n,k]))",
    "z[N,K], int y[N], w[K] -> L\np[n,k] = log_softmax[k](z[n,k])\nL = -sum[n](w[y[n]]*(1 - exp(p[n,y[n]]))**3*p[n,y[n]])",
    "z[N,K,N], int y[N] -> s\ns[n] = sin(z[n,y[n],n])*z[n,y[n]+1,2]",
    "z[N,K,K], int y[N], a[K] -> s\ns[n,j] = z[n,y[n],j]*a[j] + z[n,j,y[n]-1]**2",
    "A[N,N] -> d, B\nd[i] = A[i,i]**2\nB[i,j] = 3*A[i,j] + where(i == j, A[i,j], 0)",
    "A[K,N] -> d\nd[i] = A[i+2,i]*A[i,N-1-i] for i < N",
    "z[N,K], int y[N], u[N] -> s\ns[n] = where(u[n] > 0, z[n,y[n]], z[n,0])",
    "x[K,N] -> s\ns[n] = x[K-1,n]*x[0,n]",
    "x[N,K], w[N] -> s, y\ns[n] = w[n]*x[n,3]\ny[n,k] = sin(x[n,k])",
    "x[K,N] -> s, y\ns[n] = x[K-1,n]\ny[k,n] = x[k,n]",
    "x[K], c -> y\ny[k] = x[k] + where(k == 2, c, 0)",
    "x[K,N], h0[N] -> y\nh[-1,n] = h0[n]\nh[t,n] = tanh(x[t,n]*h[t-1,n])\ny[n] = h[K-1,n]",
], ids=["smoothed labels", "focal", "two axes", "three axes", "diagonal", "beside the diagonal", "under a condition",
        "the first and the last row", "a column", "the seed stays", "the input stays", "the last state"])
@pytest.mark.parametrize("size", [0, 1, 5])
def test_what_stands_at_one_place_is_added_there(text: str, size: int) -> None:
    d = nd.derive(text)
    rng, sizes = np.random.default_rng(0), {"N": size, "K": 11}
    inputs = {i.name: rng.integers(-2, 13, size=[int(n.value(sizes)) for n in i.dims]) if i.kind == "int" else
              rng.standard_normal([int(n.value(sizes)) for n in i.dims]) for i in d.forward.inputs}
    modules = [d.compile(without=without) for without in ((), ("spots",))]
    outputs = modules[0].forward(**inputs)[0]
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    names = list(d.gradients.seeds.values())  # none for a lone scalar
    seeds = {name: rng.standard_normal(np.shape(y)) for name, y in zip(names, outputs if names else (), strict=True)}
    found, expected = (run(m, seeds, **inputs)[1] for m in modules)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert re.search(r"_add_at\(|:\d*\] \+= ", d.numpy())


@pytest.mark.parametrize("equations", [
    "p[n,c] = b[n] + where(y[n] == c, exp(v[n+1]), 0) for c < C, n < N\nt = sum[n,c](p[n,c]*x[n,c])",
    "p[n,c] = exp(b[n+1]) + where(y[n] == c, v[n], 0) for c < C, n < N\nt = sum[n,c](p[n,c]*x[n,c])",
    "p[n,c] = b[n] + where(y[n+1] == c, v[n], 0) for c < C, n < N\nt = sum[n,c](p[n,c]*x[n,c])",
    "p[n,c] = b[n] + where(y[n] == c, v[n], 0) for c < C\nt[n] = sum[c](p[n,c]*exp(b[n+1])) + x[n,0] for n < N",
    "p[n,c] = b[n] + where(y[n] == c, v[n], 0) for c < C\nt[n] = sum[c](p[n,c]*exp(x[n,c+1]))",
    "p[n,c] = b[n] + where(y[n] == c, v[n], 0) for c < C-3\nt[n] = sum[c](p[n,c]*b[n]) + x[n,0]",
], ids=["a value", "a number", "the place", "a factor of the row", "a factor of the entry", "an axis of less than nothing"])
@pytest.mark.parametrize("C", [2, 9])
def test_a_sum_over_a_row_leaves_out_what_is_read_outside_of_a_label_too(equations: str, C: int) -> None:
    d = nd.derive(f"x[N,C], v[N], b[N], int y[N] -> t, u\n{equations}\nu[n] = 2*v[n]")
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(3, C)), "v": rng.normal(size=3), "b": rng.normal(size=3), "y": np.array([1, 5, 0])}
    assert_means(d, d.compile(), inputs, rng)


def test_how_far_a_running_sum_goes_may_depend_on_what_else_is_summed() -> None:
    d = nd.derive("x[T+U], w[U] -> y\ny[t] = sum[s,u](where(s <= t + u, x[s]*w[u], 0)) for t < T, u < U")
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=9), "w": rng.normal(size=2)}, rng)


@pytest.mark.parametrize("equations", [
    "y[t,n] = b[n]*sum[s](where(s <= t, x[s,n], 0)) for t < T",
    "y[t,n] = tanh(x[t,n] + sum[m](W[n,m]*y[t-1,m]))",
    "y[t,n] = b[n]*y[t-1,n] + tanh(W[n,0]*y[t-1,n]) + sum[m](W[n,m]*x[t,m])",
    "y[t,n] = sum[s](b[s]*x[(t + s) % T,n]) for t < T, s < N",
    "y = sum[i,j](softplus(b[i] - b[j]))",
    "y[i,j] = where(i == j, sqrt(exp(W[i,i]) + sum[k](where(k < i, y[i,k]**2, 0))), where(i > j, W[i,j]/y[j,j], 0))",
])
def test_what_backward_computes_is_no_tensor_of_forward_that_has_such_a_name(equations: str) -> None:
    def text(name: str) -> str:
        return f"x[T,N], W[N,N], b[N] -> y, z\n{name}[n] = sum[t](x[t,n])\nz[n] = 2*{name}[n]\n{equations}"

    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(4, 3)), "W": rng.normal(size=(3, 3)), "b": rng.normal(size=3)}
    plain = nd.derive(text("total")).numpy()
    names = {name for name in re.findall(r"# (\w+)\[", plain[plain.index("def backward") :])}
    assert names
    for name in sorted(names - {"x", "W", "b", "y", "z"}):
        d = nd.derive(text(name))
        assert_means(d, d.compile(), inputs, np.random.default_rng(1))


def test_a_running_sum_over_less_than_nothing_is_nothing() -> None:
    d = nd.derive("x[T,N] -> y\ny[t,n] = sum[s](where(s <= t, x[s,n], 0)) for t < T - 2")
    y, residuals = d.compile().forward(x=np.ones((0, 2)))
    assert d.compile().backward(residuals, dy=np.ones_like(y)).dx.shape == (0, 2)


@pytest.mark.parametrize("signature", ["x[E,D], int t[E], h[N,D]", "x[B,E], int t[B,E], h[B,N]"])
def test_a_softmax_over_the_edges_into_each_node_needs_no_table_of_edges_and_nodes(signature: str) -> None:
    at, own = ("n,d", "e,d") if "D" in signature else ("b,n", "b,e")
    node = "t[e]" if "D" in signature else "t[b,e]"
    d = nd.derive(f"""
        {signature} -> y, p
        Z[{at}] = logsumexp[e](where({node} == n, x[{own}], -inf)) for n < N
        p[{own}] = exp(x[{own}] - Z[{at.replace("n", node)}])
        y[{at}] = h[{at}] + sum[e](where({node} == n, p[{own}]*x[{own}], 0))
    """)
    assert d.check(seed=0).ok
    assert "== np.arange(" not in d.numpy() and "_scatter_logsumexp(" in d.numpy()
    x, h, t = np.array([[1e4, 1e4, -1e4, 3, 2, -1e4]], np.float32), np.zeros((1, 5), np.float32), np.array([[0, 0, 0, 1, 1, 3]])
    if "D" in signature:
        x, h, t = x.T, h.T, t[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (_, p), residuals = d.compile().forward(x=x, t=t, h=h)
        g = d.compile().backward(residuals, dy=h + 1, dp=x*0)
    share = 1/(1 + np.exp(-1))
    np.testing.assert_allclose(p.ravel(), [0.5, 0.5, 0, share, 1 - share, 1], rtol=1e-3)  # of 10000 a single has four digits behind
    assert np.isfinite(g.dx).all()


def test_rows_at_fixed_places_are_slices() -> None:
    text = nd.derive("x[T,N] -> s, y\ns[n] = x[T-1,n]*x[0,n]\ny[t,n] = x[t,n]**2").numpy()
    assert "    dx = 2*dy*x\n    dx[T - 1:] += ds*_entry(x, 0)\n    dx[:1] += ds*_entry(x, T - 1)" in text


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


def test_a_function_some_steps_further_is_not_another_tensor() -> None:
    text = "x[T] -> y\ny[t] = tanh(x[t])*tanh(x[t-1]) + tanh(x[t-2]) for t < T"
    d = nd.derive(text)
    assert len(nd.derive(text).compile().forward(x=np.ones(5))[1]) == 4, "x, its tanh, T and the dtype"
    assert d.check(seed=0).ok


@pytest.mark.parametrize("place", ["k", "k+1", "T-1"])
def test_a_function_at_a_place_that_no_index_moves_is_computed_once(place: str) -> None:
    d = nd.derive(f"x[T,N], w[N], int k -> y\ny[n] = tanh(x[{place},n])*w[n]")
    assert "np.tanh(" not in d.numpy().partition("def backward")[2]
    assert_means(d, d.compile(), {"x": np.eye(3, 2) + 0.5, "w": np.ones(2), "k": 1}, np.random.default_rng(0))


def test_what_a_step_hands_to_the_next_is_known_by_one_name_also_at_the_end() -> None:
    """The carry of h is the gradient of a: where a tensor says the same already, the end reads it there."""
    d = nd.derive("a[N,F], h0[F] -> y\nh[-1,f] = h0[f]\nh[n,f] = exp(a[n,f] + h[n-1,f])\ny[i,f] = h[i-1,f] for i < N+1")
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


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 7e-16), (np.float32, 3e-7)])
def test_erf_is_exact_to_a_few_roundings_next_to_zero_too(dtype: Any, bound: float) -> None:
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-30, 0, 3_001), [1e4, -1e4, np.inf, -np.inf]]).astype(dtype)
    y = nd.derive("x[N] -> y\ny[n] = erf(x[n])").compile().forward(x=x)[0]
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [math.erf(float(v)) for v in x], rtol=bound, atol=0)


@pytest.mark.filterwarnings("error")
def test_softplus_is_stable_where_its_exponential_is_not() -> None:
    x = np.array([-1e4, -90, -1, 0, 1, 90, 1e4], np.float32)
    y = nd.derive("x[N] -> y\ny[n] = softplus(x[n])").compile().forward(x=x)[0]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, np.logaddexp(x.astype(float), 0), rtol=3e-7, atol=1e-38)


@pytest.mark.parametrize(("text", "mark"), [
    ("x[N,K], w[K] -> y\ny[n] = sum[k](x[n,k])", "_row_sums(x)"),
    ("x[N,K] -> y\ny[n] = sum[k](x[n,k]**2)", "np.vecdot(x, x)"),
    ("x[N,K], z[N,K] -> y\ny[k] = sum[n](x[n,k]*z[n,k])", 'np.einsum("nk,nk->k", x, z)'),
    ("x[N,A,B], z[N,A,B] -> y\ny[a] = sum[n,b](x[n,a,b]*z[n,a,b])", 'np.einsum("nab,nab->a", x, z)'),
    ("x[N,A,B], z[N,A,B] -> y\ny[n] = sum[a,b](x[n,a,b]*z[n,a,b])", "np.vecdot(x.reshape(N, A*B), z.reshape(N, A*B))"),
    ("x[N,A,B], g[N,A] -> y\ny[a] = sum[n,b](x[n,a,b]*g[n,a])", "_row_sums(x)"),
])
@pytest.mark.parametrize("sizes", [(3, 5), (1, 1), (0, 4), (4, 0)])
def test_sums_along_rows_need_no_product_in_memory(text: str, mark: str, sizes: tuple[int, int]) -> None:
    assert mark in body(text, "forward")
    program, rng = nd.parse(text), np.random.default_rng(0)
    size = dict(zip(program.sizes, (*sizes, 2), strict=False))
    inputs = {i.name: rng.standard_normal([size[str(d)] for d in i.dims])[..., ::-1].astype(np.float32) for i in program.inputs}
    y = nd.derive(program).compile().forward(**inputs)[0]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, nd.derive(program).compile(without=("rows",)).forward(**inputs)[0], rtol=1e-5, atol=1e-6)


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other rules")
def test_memory_is_not_asked_for_again_at_every_call() -> None:
    script = """
import resource
import numpy as np
import nnderiv as nd
module = nd.derive("x[N,K], z[N,K] -> y\\ny[n,k] = sin(x[n,k])*cos(z[n,k]) + exp(x[n,k])*z[n,k]").compile()
x = np.ones((1024, 512), np.float32)
def faults(calls):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        module.backward(module.forward(x=x, z=x)[1], dy=x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(5)
print(faults(20)/20)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 100  # an array has 512 pages


def test_a_sum_inside_an_expression_is_not_computed_again_for_a_tensor_of_its_own() -> None:
    text = """
        x[N,K], g[K], a[K], b[K] -> y
        m[k] = mean[n](x[n,k])
        v[k] = mean[n]((x[n,k] - m[k])**2)
        y[n,k] = g[k]*(x[n,k] - m[k])/sqrt(v[k] + 1) + a[k] + b[k]
        """
    assert body(text, "backward").count("_column_sums(dy)") == 2
    assert body(text, "backward", without=("share",)).count("_column_sums(dy)") == 3
    x = np.arange(6.).reshape(3, 2)
    module = nd.derive(text).compile()
    gradients = module.backward(module.forward(x=x, g=np.ones(2), a=np.ones(2), b=np.ones(2))[1], dy=x)
    gradients.da[:] = 7
    assert np.array_equal(gradients.db, x.sum(0)), "two results never share their memory"


def test_operands_that_are_repeated_along_an_axis_are_no_reason_for_memory() -> None:
    """NumPy takes the memory of an intermediate result by itself only for an operand of the same shape."""
    text = "x[N,K], z[N,K], g[K], b[K] -> y\ny[n,k] = sin(x[n,k])*g[k] + b[k]"
    written = body(text, "forward", without=("recall",))
    assert "y *= g\n" in written and "y += b\n" in written
    assert "y = x*z + x\n" in body("x[N,K], z[N,K] -> y\ny[n,k] = x[n,k]*z[n,k] + x[n,k]", "forward")


# -- contractions ------------------------------------------------------------------------------------------------------------
SELECTED = "Q[N,D], K[M,D], int m[N,M] -> S\nS[i,j] = sum[d](where({}, Q[i,d]*{}, 0))"


@pytest.mark.parametrize("condition, factor, mark", [
    ("m[i,j] == 1", "K[j,d]", "S *= m == 1\n"),  # finite: a product with the mask
    ("m[i,j] == 1 and d > 0", "K[j,d]", "S *= m == 1\n"),
    ("m[i,j] == 1", "exp(K[j,d])", "_only_where(m == 1, S, out=S)"),
    ("m[i,j] == 1", "m[i,j]*K[j,d]", "Q @ K.T*m.astype(dtype)*(m == 1)"),
    ("m[i,j] == 1", "sqrt(m[i,j])*K[j,d]", "_only_where(m == 1, S, out=S)"),
])
def test_what_runs_over_no_summed_index_stands_outside_of_the_sum(condition: str, factor: str, mark: str) -> None:
    """And what the condition excludes is 0, though it be infinite."""
    text = SELECTED.format(condition, factor)
    assert mark in body(text, "forward", without=("recall",))
    assert "[:, :, None]" not in body(text, "forward") and "[:, None, :, None]" not in body(text, "backward"), "no array over i, j, d"
    rng, m = np.random.default_rng(0), np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 0]])
    Q, K = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    if "exp" in factor:
        K[1] = 1e6  # its exponential is infinite, and m[i,1] is 0
    with np.errstate(all="ignore"):
        S, gradients = run(nd.derive(text, wrt=("Q",)).compile(), {"dS": np.ones((3, 4))}, Q=Q, K=K, m=m)
        f = (np.exp(K) if "exp" in factor else K)*(np.arange(5) > 0 if "d > 0" in condition else 1)
        terms, weights = (np.where(m[..., None] == 1, x, 0) for x in (Q[:, None]*f, f))
    np.testing.assert_allclose(S, terms.sum(2), rtol=1e-12)
    if "exp" not in factor:
        np.testing.assert_allclose(gradients.dQ, weights.sum(1), rtol=1e-12)


def test_what_is_read_at_data_of_each_image_is_added_there_image_by_image() -> None:
    d = nd.derive("X[N,C,H,W], int y[N,P], int x[N,P], f[N,P] -> Y\nY[n,c,p] = f[n,p]*X[n,c,y[n,p],x[n,p]+1]")
    assert "_scatter(" in d.numpy() and "np.arange(H)" not in d.numpy()
    rng = np.random.default_rng(0)
    X, f = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 7))
    y, x = rng.integers(-1, 5, size=(2, 7)), rng.integers(-2, 5, size=(2, 7))
    Y, residuals = d.compile().forward(X=X, y=y, x=x, f=f)
    dY = rng.normal(size=Y.shape)
    g = d.compile().backward(residuals, dY=dY)
    expected, dX = np.zeros_like(Y), np.zeros_like(X)
    for n, p in np.ndindex(2, 7):
        if 0 <= y[n, p] < 4 and 0 <= x[n, p] + 1 < 5:
            expected[n, :, p] = f[n, p]*X[n, :, y[n, p], x[n, p] + 1]
            dX[n, :, y[n, p], x[n, p] + 1] += f[n, p]*dY[n, :, p]
    np.testing.assert_allclose(Y, expected, rtol=1e-12)
    np.testing.assert_allclose(g.dX, dX, rtol=1e-12)


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


RESIDUAL = {  # what is added to is viewed as a matrix, and read again after the sum
    "two linear": "p[n,t,d] = X[n,t,d] + sum[e](X[n,t,e]*W[e,d])\nY[n,t,d] = p[n,t,d] + sum[e](p[n,t,e]*V[e,d])",
    "three linear": """p[n,t,d] = X[n,t,d] + sum[e](X[n,t,e]*W[e,d])
        q[n,t,d] = p[n,t,d] + sum[e](p[n,t,e]*V[e,d])
        Y[n,t,d] = q[n,t,d] + sum[e](q[n,t,e]*W[e,d])""",
    "with a function": "p[n,t,d] = X[n,t,d] + sum[e](X[n,t,e]*W[e,d])\nY[n,t,d] = tanh(sum[e](p[n,t,e]*V[e,d])) + p[n,t,d]",
    "of two layers": """p[n,t,d] = X[n,t,d] + sum[h](relu(sum[e](X[n,t,e]*W[e,h]))*V[h,d])
        Y[n,t,d] = p[n,t,d] + sum[h](relu(sum[e](p[n,t,e]*W[e,h]))*V[h,d])""",
    "after attention": """A[n,i,j] = softmax[j](sum[d](X[n,i,d]*X[n,j,d])/sqrt(D))
        p[n,i,d] = X[n,i,d] + sum[e](sum[j](A[n,i,j]*X[n,j,e])*W[e,d])
        Y[n,t,d] = p[n,t,d] + sum[h](gelu(sum[e](p[n,t,e]*V[e,h]))*W[h,d])""",
}


@pytest.mark.parametrize("options", [{}, {"threads": 2}, {"sizes": {"N": 3, "T": 2, "D": 3}}], ids=str)
@pytest.mark.parametrize("equations", RESIDUAL.values(), ids=RESIDUAL)
def test_what_a_residual_block_adds_to_is_there_as_long_as_somebody_views_it(equations: str, options: dict[str, Any]) -> None:
    d, rng = nd.derive(f"X[N,T,D], W[D,D], V[D,D] -> Y\n{equations}"), np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(3, 2, 3)), "W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 3))}
    module = d.compile(**options)
    if "PART" in vars(module):
        module.PART = 1
    assert_means(d, module, inputs, rng)


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


@pytest.mark.parametrize("dtype", ("f", "d", "g"))
def test_a_sigmoid_keeps_the_digits_of_small_values(dtype: str) -> None:
    modules = [nd.derive(f"x{dims} -> y\ny{index} = sigmoid(x{index})").compile() for dims, index in (("[N]", "[n]"), ("", ""))]
    x = np.array([-1e4, -np.inf, np.inf, 1e4, -85, -40, -20, -17.5, -8, -1e-3, 0, 3, 60], dtype)
    wide = x.astype("g")
    with np.errstate(over="ignore"):
        expected = 1/(1 + np.exp(-wide))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (y, residuals), close = modules[0].forward(x=x), 8*np.finfo(dtype).eps
        np.testing.assert_allclose(y, expected, rtol=close, atol=np.finfo(dtype).tiny)
        np.testing.assert_allclose(modules[0].backward(residuals, dy=np.ones_like(x)).dx, y*(1 - y), rtol=close)
        for value, whole in zip(x, y, strict=True):
            assert float(modules[1].forward(x=value)[0]) == pytest.approx(float(whole), rel=float(close))
    assert np.isnan(modules[0].forward(x=np.array([np.nan], dtype))[0])


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


UNDER_ROOTS = ("x[n]**4", "z[n]*(z[n] + N)", "abs(x[n])*relu(x[n])", "-(x[n]**2)*(-1)", "z[n] + 2", "x[n]**3", "z[n] - 1", "-z[n]")


@pytest.mark.parametrize("under", UNDER_ROOTS)
def test_a_root_is_finite_if_what_is_under_it_is_never_negative(under: str) -> None:
    program = nd.parse(f"x[N] -> y\nz[n] = x[n]**2\ny[n] = sqrt({under})")
    facts = Facts(program.definitions, program)
    values = [nd.evaluate(program, {"x": [x]})["y"][0] for x in (-2.0, -0.5, 0.0, 0.5, 2.0)]
    assert facts.tensor_is_finite("y") == all(isinstance(v, float) and math.isfinite(v) or v == 0 for v in values)


GIVEN = {  # a fact -> whether 1/sqrt(x² + a) and sqrt(x² + a) are finite for all inputs of which it is true
    "a[n] > 0": (True, True),
    "0 < a[n]": (True, True),
    "a[n] > 0 and a[n] < 1": (True, True),
    "a[n] >= 0.5": (True, True),
    "a[n] >= 0": (False, True),
    "a[n] == 2": (True, True),
    "a[n] > -1": (False, False),
    "a[n] < 1": (False, False),
    "a[n] != 0": (False, False),
    "a[0] > 0": (False, False),
    "a[n]*a[n] > 0": (False, False),
    "x[n] > 0": (False, False),
}


@pytest.mark.parametrize("fact", GIVEN)
def test_what_is_given_of_all_entries_of_an_input_counts(fact: str) -> None:
    program = nd.parse(f"x[N], a[N] -> y, z\ny[n] = 1/sqrt(x[n]**2 + a[n])\nz[n] = sqrt(x[n]**2 + a[n])\ngiven {fact}")
    facts = Facts(program.definitions, program)
    assert (facts.tensor_is_finite("y"), facts.tensor_is_finite("z")) == GIVEN[fact]
    outside = nd.parse(f"x[N], a[N] -> y, z\ny[n] = 1/sqrt(x[n]**2 + a[n+1])\nz[n] = a[n+1]/(1 + a[n+1]) for n < N\ngiven {fact}")
    facts = Facts(outside.definitions, outside)  # there it is 0
    assert (facts.tensor_is_finite("y"), facts.tensor_is_finite("z")) == (False, GIVEN[fact][1])
    diagonal = nd.parse("B[N,N] -> y\ny[i,j] = sqrt(B[i,j])\ngiven B[n,n] > 0")
    assert not Facts(diagonal.definitions, diagonal).tensor_is_finite("y")


@pytest.mark.parametrize("first", "vyz")
def test_what_is_above_0_if_a_recurrence_is_finite_is_so_only_if_it_is(first: str) -> None:
    for step, finite in (("log(x[t])/v[t]", False), ("tanh(x[t])/v[t]", True)):
        program = nd.parse(f"x[T] -> z\nv[t] = y[t-1]**2 + 1\ny[t] = {step}\nz[t] = x[t]/v[t]")
        facts = Facts(program.definitions, program)
        assert facts.tensor_is_finite(first) == facts.tensor_is_finite("z") == finite


def test_what_is_scaled_by_what_is_given_to_be_positive_is_masked_once() -> None:
    text = """
        X[N,D], V[N,D], eps -> Y
        R[i,d] = X[i,d]/sqrt(mean[k](X[i,k]**2) + eps)
        A[i,j] = softmax[j](where(j <= i, sum[d](R[i,d]*R[j,d]), -inf))
        Y[i,d] = sum[j](A[i,j]*V[j,d]*R[j,d])"""
    given = f"{text}\ngiven eps > 0"
    assert "_masked(" in body(text, "backward") and "_masked(" not in body(given, "backward")
    rng, d = np.random.default_rng(0), nd.derive(given)
    assert_means(d, d.compile(), {"X": rng.normal(size=(4, 3)), "V": rng.normal(size=(4, 3)), "eps": 0.1}, rng)
    assert d.check(seed=0).ok


def test_the_steps_of_a_recurrence_stay_a_loop_when_their_number_is_known() -> None:
    for text in (GATED, "x[T,N] -> h\nh[t,n] = where(t == 2, x[t,n], tanh(h[t-1,n])*x[T-1-t,n]) for t < T"):
        assert "for t in range(3):" in body(text, "forward", sizes={"T": 3}) and "h[1] =" not in body(text, "forward", sizes={"T": 3})


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


@pytest.mark.parametrize("equation", [
    "y[n,k] = sum[t](s[n,t]*exp(x[t,k])) for t < K",
    "e[t,k] = exp(x[t,k])  for t < K\ny[n,k] = sum[t](s[n,t]*exp(x[t,k]))*e[0,k] for t < K",
    "y[n,k] = sum[t](s[n,t]*tanh(x[t+1,k])**2) for t < K",
])
def test_a_name_for_a_function_keeps_no_place_in_a_sum_that_the_function_leaves_out(equation: str) -> None:
    d = nd.derive(f"s[N,K], x[N,K] -> y\n{equation}")
    rng = np.random.default_rng(0)
    inputs = {"s": rng.normal(size=(3, 5)), "x": rng.normal(size=(3, 5))}
    assert_means(d, d.compile(), inputs, rng)


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


@pytest.mark.parametrize("sizes", [{"T": 3, "K": 4}, {"T": 3, "K": 3}])
def test_a_block_that_takes_over_a_tensor_leaves_the_other_blocks(sizes: dict[str, int]) -> None:
    d, rng = nd.derive("""
        a[T,D], x[T,D], w[K] -> y
        z[t,d] = tanh(a[t,d])
        y[t,d] = z[t,d] + x[t-K,d] for t < T + K, d < D
    """), np.random.default_rng(0)
    inputs = {"a": rng.normal(size=(sizes["T"], 2)), "x": rng.normal(size=(sizes["T"], 2)), "w": np.ones(sizes["K"])}
    assert_means(d, d.compile(sizes=sizes), inputs, rng)


def test_a_share_of_what_exponentials_of_no_position_sum_to_is_0() -> None:
    d, rng = nd.derive("""
        S[N,M] -> y
        l[i] = logsumexp[j](S[i+2,j]) for i < N
        y[i,j] = exp(S[i,j] - l[i])
    """), np.random.default_rng(0)
    S = rng.normal(size=(4, 3))
    assert_means(d, d.compile(), {"S": S}, rng)
    y, residuals = d.compile().forward(S=S)
    np.testing.assert_allclose(y[:2], np.exp(S[:2])/np.exp(S[2:]).sum(1, keepdims=True))
    assert not y[2:].any() and np.isfinite(d.compile().backward(residuals, dy=np.ones_like(S)).dS).all()


def test_vectors_are_worked_in_place_where_there_are_no_matrices() -> None:
    alone = body("x[N], z[N] -> y\ny[n] = tanh(x[n] - z[n])", "forward")
    beside = body("x[N], z[N], W[N,M] -> y\ny[n] = tanh(sum[m](W[n,m]*exp(W[n,m])) - z[n])", "forward")
    assert "y = x - z\n    np.tanh(y, out=y)" in alone and "y = np.tanh(y_in)" in beside


@pytest.mark.parametrize("dtype", ("e", "f", "d", "g"))
@pytest.mark.parametrize("shape", ((3, 4), (0, 4), (1, 1)))
def test_a_product_summed_over_everything_is_a_dot_product(dtype: str, shape: tuple[int, int]) -> None:
    module = nd.derive("x[N,M], z[N,M] -> y\ny = sum[n,m](x[n,m]*tanh(z[n,m]))").compile()
    assert "np.vdot(x, " in module.source
    rng = np.random.default_rng(0)
    x, z = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    y, residuals = module.forward(x=x.T.copy().T, z=np.repeat(z, 2, axis=1)[:, ::2])
    assert y.dtype == dtype
    close = 1e-2 if dtype == "e" else 1e-6
    np.testing.assert_allclose(y, (x.astype("g")*np.tanh(z.astype("g"))).sum(), rtol=close, atol=close)
    np.testing.assert_allclose(module.backward(residuals).dx, np.tanh(z), rtol=close)


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


@pytest.mark.parametrize("shape, row", [((400, 100), (100,)), ((403, 100), (100,)), ((170, 4, 64), (64,)), ((170, 4, 64), (4, 64)),
                                        ((20, 2000), (2000,)), ((5, 4), (4,)), ((0, 4), (4,)), ((40000, 1), (1,)), ((40000, 0), (0,))])
@pytest.mark.parametrize("dtype", ("e", "f", "d", "g"))
def test_rows_abreast_are_those_one_by_one(shape: tuple[int, ...], row: tuple[int, ...], dtype: str) -> None:
    """With sizes that divide no block, transposed operands, memory that is given or is the operand's own, and rows of another type."""
    module = nd.derive("x[N,K], g[K], b[K] -> y\ny[n,k] = x[n,k]*g[k] + b[k]").compile()
    assert "y = _abreast(np.multiply, x, g)" in module.source
    rng = np.random.default_rng(0)
    x, r = rng.standard_normal(shape).astype(dtype), rng.standard_normal(row).astype(dtype)
    for f in (np.add, np.subtract, np.multiply, np.divide):
        for a in (x, x.T.copy().T, np.repeat(x, 2, axis=0)[::2]):
            for b in (r, r.T.copy().T, np.ones(row, "i1")):
                wanted = f(a, b)
                own, other = a.copy(), np.empty_like(wanted).T.copy().T
                for got in (module._abreast(f, a, b), module._abreast(f, a, b, out=other), module._abreast(f, own, b, out=own)):
                    assert got.dtype == wanted.dtype
                    np.testing.assert_array_equal(got, wanted)


def test_products_of_matrices_outweigh_what_is_added_to_their_rows() -> None:
    source = nd.derive("X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]").numpy()
    assert "X @ W" in source and "_abreast" not in source


def test_what_is_computed_to_be_held_is_computed_once() -> None:
    loss = "mean[n](where(abs(o[n] - y[n]) < 1, 0.5*(o[n] - y[n])**2, abs(o[n] - y[n]) - 0.5))"
    d = nd.derive(f"o[N], y[N] -> L\nL = {loss}")
    forward, backward = d.numpy().split("def forward")[1].split("def backward")
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


def test_numpy_s_settings_stay_as_they_are() -> None:
    before = np.getbufsize(), np.geterr()
    module = nd.derive("x[N,K], g[K] -> y\ny[n,k] = exp(x[n,k])*g[k]").compile()
    module.backward(module.forward(x=np.ones((3, 2)), g=np.ones(2))[1], dy=np.ones((3, 2)))
    assert (np.getbufsize(), np.geterr()) == before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape, short", [((300, 400), 2048), ((100, 1000), 512), ((30, 40), None)])
def test_buffers_are_short_while_a_large_array_is_worked_on(shape: tuple[int, int], short: int | None, threads: int) -> None:
    """And after it they are as they were, even if it fails; who has set them himself keeps them."""
    module = nd.derive("x[N,K], g[N], b[N] -> y\ny[n,k] = x[n,k]*g[n] + b[n]").compile(threads=threads)
    own, seen = module._shape, []
    module._shape = lambda *given: (seen.append(np.getbufsize()), own(*given))[1]
    x, g, b = np.ones(shape), np.arange(shape[0])*1.0, np.ones(shape[0])

    def sizes() -> list[int]:
        seen.clear()
        y, residuals = module.forward(x=x, g=g, b=b)
        np.testing.assert_array_equal(y, x*g[:, None] + 1)
        np.testing.assert_array_equal(module.backward(residuals, dy=x).dx, x*g[:, None])
        return seen

    default = np.getbufsize()
    assert sizes() == [default, *([short] if short else [])]
    np.setbufsize(1024)
    try:
        assert sizes() == [1024]
    finally:
        np.setbufsize(default)
    with pytest.raises(ValueError, match="dy"):
        module.backward(module.forward(x=x, g=g, b=b)[1], dy=np.ones(3))
    with pytest.raises(ZeroDivisionError):
        module._in_short_buffers(shape[1], lambda: 1/0)
    assert np.getbufsize() == default


@pytest.mark.parametrize("op, edge", [("max", "-inf"), ("min", "inf")])
def test_the_largest_of_what_arrives_is_found_where_it_arrives(op: str, edge: str) -> None:
    """Along the edges of a graph: no array over places and edges. Some come from nowhere, lead nowhere, or meet with equals."""
    d = nd.derive(f"X[V,D], int src[E], int dst[E] -> Y\nY[v,d] = {op}[e](where(dst[e] == v, X[src[e],d], {edge})) for v < V")
    source = d.numpy()
    assert f"by=np.{op}imum" in source and "np.arange(V)" not in source
    X = np.round(np.random.default_rng(0).normal(size=(5, 3)), 1)
    src, dst = np.array([0, 1, 1, 2, 9, 3, -1, 2]), np.array([0, 0, 2, 2, 2, 7, 1, 2])
    Y, residuals = d.compile().forward(X=X, src=src, dst=dst)
    dY = np.random.default_rng(1).normal(size=Y.shape)
    pick, expected, slopes = getattr(np, op), np.full((5, 3), float(edge)), np.zeros((5, 3))
    for v in range(5):
        arriving = [s for s, t in zip(src, dst, strict=True) if t == v and 0 <= s < 5]
        if arriving:
            expected[v] = pick(X[arriving], axis=0)
            for k in range(3):
                hits = [s for s in arriving if X[s, k] == expected[v, k]]
                for s in hits:
                    slopes[s, k] += dY[v, k]/len(hits)
    np.testing.assert_array_equal(Y, expected)
    np.testing.assert_allclose(d.compile().backward(residuals, dY=dY).dX, slopes, rtol=1e-12)


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


ROUNDED = {  # sums of three terms, which round in as many ways as there are orders
    "a recurrence": ("A[K,K], B[T,K] -> L\nv[-1,k] = 0\nv[t,k] = max[j](v[t-1,j] + A[j,k] + B[t,j])\nL = max[k](v[T-1,k])",
                     {"dA": 6, "dB": 6}),
    "products": ("A[K,K], B[T,K], C[T,K] -> L\nv[-1,k] = 0\nv[t,k] = min[j](v[t-1,j] + A[j,k] + B[t,j]*C[t,k])\nL = min[k](v[T-1,k])",
                 {"dA": 6}),
    "a window": ("X[T,K], A[3,K], b[K] -> L\ny[t] = max[u,k](0.3*X[t+u-1,k] + A[u,k] + b[k]) for t < T\nL = sum[t](y[t])",
                 {"dA": 6, "db": 6}),
    "spans": ("""c[T], w[T,T,T] -> L
        m[i,j] = where(i >= j, c[i], min[k](where(i <= k and k < j, m[i,k] + m[k+1,j] + w[i,k,j], inf))) for i < T, j < T, k < T
        L = m[0,T-1]""", {"dc": 6, "dw": 5}),
}


@pytest.mark.parametrize("without", [(), ("hoist",), ("by_place",), ("share",), ("inline",)], ids=str)
@pytest.mark.parametrize("text, total", ROUNDED.values(), ids=ROUNDED)
def test_what_a_maximum_is_compared_with_is_what_it_was_taken_of(text: str, total: dict[str, int], without: tuple[str, ...]) -> None:
    """All of the gradient goes somewhere: each maximum is one of its terms, and hands on as much as it receives."""
    d = nd.derive(text)
    module = d.compile(without=without)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs = {i.name: rng.normal(size=[int(x.value({"T": 6, "K": 5})) for x in i.dims]) for i in d.forward.inputs}
        for dtype in (np.float32, np.float64):
            _, residuals = module.forward(**{name: x.astype(dtype) for name, x in inputs.items()})
            gradients = module.backward(residuals)._asdict()
            for name, expected in total.items():
                np.testing.assert_allclose(gradients[name].sum(), expected, rtol=1e-5)


ASKEW = [  # what slides, and the tables that take its place
    (RELATIVE, ("A_skewed = Q @ R.T", "dA_skewed.T @ Q")),
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


def test_a_factor_of_a_masked_sum_that_is_not_finite_makes_nan_of_its_zeros() -> None:
    text = "x[N,K], c[N], s -> y\ny[n] = log(s)*sum[k](where(c[n] > 0, x[n,k], 0))"
    x, c = np.ones((2, 3), np.float32), np.array([1, -1], np.float32)
    with np.errstate(all="ignore"):
        (y, _) = nd.derive(text).compile().forward(x=x, c=c, s=0.0)
    assert y[0] == -np.inf and np.isnan(y[1]) and y.dtype == np.float32


def test_matrices_are_multiplied_in_the_order_that_makes_and_copies_least() -> None:
    mixed = "P[B,H,T,S], V[B,H,S,D], W[E,H,D] -> Y\nY[b,t,e] = sum[h,d,s](W[e,h,d]*P[b,h,t,s]*V[b,h,s,d])"
    assert "(P @ V)" in body(mixed, "forward")
    tucker = "G[P,Q,R], A[I,P], B[J,Q], C[K,R] -> T\nT[i,j,k] = sum[p,q,r](G[p,q,r]*A[i,p]*B[j,q]*C[k,r])"
    assert "None" not in body(tucker, "forward") + body(tucker, "backward"), "never a product entry by entry"
    powers = "x[N,I], c[O,I,K] -> y\ny[n,o] = sum[i,k](c[o,i,k]*x[n,i]**k)"
    assert "dy @ (part*c).reshape(O, I*K)" in body(powers, "backward")


@pytest.mark.parametrize("right", [
    "sum[d](x[i,d]*y[j,d] + w[i,d]*z[j,d] - exp(x[i,d])*z[j,d])/sqrt(D)",
    "sum[d](x[i,d]*y[j,d+1] + w[i,d-1]*z[j,d] + 2)",  # at a d at which all are read
    "sum[d](where(d != i, (x[i,d]*y[j,d] + w[i,d]*z[j,d])*(d + 1), 0))",
    "sum[d](w[i,d]**2 - 2*w[i,d]*z[j,d] + z[j,d]**2)",
    "S[i-1,j] + sum[d](x[i,d]*y[j,d] + w[i,d]*S[i-1,d])",
])
def test_a_sum_of_products_of_matrices_is_one_product_for_each(right: str) -> None:
    text = f"x[N,D], y[M,D], z[M,D], w[N,D] -> S\nS[i,j] = {right}  for i < N, j < M"
    assert "None]*" not in body(text, "forward") and body(text, "forward") != body(text, "forward", without=("distribute",))
    modules = [nd.derive(text).compile(without=without) for without in ((), ("distribute",))]
    for N, M, D in [(3, 4, 5), (1, 1, 1), (2, 3, 1), (0, 2, 3), (2, 4, 0)]:
        rng = np.random.default_rng(0)
        inputs = {"x": rng.normal(size=(N, D)), "w": rng.normal(size=(N, D)), "y": rng.normal(size=(M, D)), "z": rng.normal(size=(M, D))}
        seed = {"dS": rng.normal(size=(N, M))}
        (S, gradients), (plain, as_written) = (run(module, seed, **inputs) for module in modules)
        np.testing.assert_allclose(S, plain, rtol=1e-10, atol=1e-12)
        if N*D:  # lists of no lists have no second size
            assert_close(S, interpret(nd.parse(text), inputs)["S"], "S")
        for one, other in zip(gradients, as_written, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sum_", [
    "(x[i,d] - y[j,d])**2",
    "(x[i,d] - y[j,d])*(x[i,d] - y[j,d])",
    "x[i,d] - 2*y[j,d]",          # exact where they are close; Σ x − Σ y is not
    "A[i,d]*(x[i,d] - y[j,d])",
    "x[i,d]*y[j,d] + T[i,j,d]",   # an array over all three is read anyway
    "(x[i,d]*x[i,d] + 1)*A[i,d]",  # nothing is larger than what is read
])
def test_a_sum_is_taken_apart_only_where_that_pays_and_is_as_exact(sum_: str) -> None:
    text = f"x[N,D], y[N,D], A[N,D], T[N,N,D] -> S\nS[i,j] = sum[d]({sum_})*A[i,j]"
    assert body(text, "forward") == body(text, "forward", without=("distribute",))


def test_the_same_letter_in_two_sums_may_run_over_two_ranges() -> None:
    """The kernel stays in one of them, in which a is then a place in the kernel."""
    text = "x[N], K[5], z[N], J[N,M] -> y\ny[i] = sum[a](x[a]*K[a+1-2*i]) + sum[a](z[a]*J[a,i])  for i < M"
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=9), "K": rng.normal(size=5), "z": rng.normal(size=9), "J": rng.normal(size=(9, 4))}
    y, _ = nd.derive(text).compile().forward(**inputs)
    np.testing.assert_allclose(y, interpret(nd.parse(text), inputs)["y"], rtol=1e-12)


def test_what_a_recurrence_need_not_wait_for_is_computed_before_its_loop() -> None:
    before, _, inside = body(ELMAN, "forward").partition("for t in")
    assert "@ U.T" in before and "@ U.T" not in inside
    before, _, inside = body(ELMAN, "forward", without=("hoist",)).partition("for t in")
    assert "@ U.T" not in before


def test_without_nesting_every_operation_has_a_line_of_its_own() -> None:
    text = "x[N,M] -> y\ny[n,m] = sin(x[n,m]) + cos(x[n,m])"
    assert "y += np.cos(x)" in body(text, "forward", without=("recall",))
    assert "part = np.cos(x)" in body(text, "forward", without=("recall", "nest"))


def test_every_pass_has_a_case() -> None:
    assert set(CASES) == {*PASSES, *FORMS} - {"recentre", "by_image", "by_place", "by_part", "by_diagonal"}  # tests of their own


def test_every_pass_is_described_in_its_order() -> None:
    described = re.findall(r"^    (\w+) +\S", passes.__doc__ or "", re.MULTILINE)
    assert described == [*PASSES, *FORMS]


def test_a_pass_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no pass 'in_plaice'; there are .*in_place"):
        nd.derive(DENSE).numpy(without=("in_plaice",))


def test_independent_recurrences_get_loops_of_their_own() -> None:
    text = "x[T,N], y[S,N] -> a, b\na[t,n] = sin(a[t-1,n]) + x[t,n]\nb[s,n] = cos(b[s-1,n]) + y[s,n]"
    forward = body(text, "forward")
    assert forward.count("for ") == 2 and "    for" not in forward.replace("\n    for", "\nfor")


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


# -- memory ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [ATTENTION, ELMAN, GATED, DENSE])
def test_backward_gives_the_same_twice_and_leaves_everything_as_it_was(text: str) -> None:
    rng, d = np.random.default_rng(0), nd.derive(text)
    inputs = {i.name: rng.normal(size=[3] * len(i.dims)) for i in d.forward.inputs}
    before = {name: x.copy() for name, x in inputs.items()}
    module = d.compile()
    y, residuals = module.forward(**inputs)
    kept, seed = y.copy(), rng.normal(size=y.shape)
    (name,) = d.gradients.seeds.values()
    dy = seed.copy()
    first = [g.copy() for g in module.backward(residuals, **{name: dy})]
    second = module.backward(residuals, **{name: dy})
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert np.array_equal(y, kept) and np.array_equal(dy, seed)
    assert all(np.array_equal(x, before[n]) for n, x in inputs.items())


@pytest.mark.parametrize("text", [ATTENTION, DENSE])
def test_gradients_share_no_memory_with_each_other_or_with_what_was_handed_in(text: str) -> None:
    rng, d = np.random.default_rng(0), nd.derive(text)
    inputs = {i.name: rng.normal(size=[3] * len(i.dims)) for i in d.forward.inputs}
    module = d.compile()
    y, residuals = module.forward(**inputs)
    dy = rng.normal(size=y.shape)
    gradients = list(module.backward(residuals, dY=dy))
    for k, g in enumerate(gradients):
        assert not any(np.shares_memory(g, other) for other in [*gradients[:k], *inputs.values(), y, dy])


# -- sizes -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [ATTENTION, ELMAN, DENSE])
@pytest.mark.parametrize("size", [0, 1])
def test_empty_batches_and_sizes_of_one_work(text: str, size: int) -> None:
    d = nd.derive(text)
    sizes = {n: 3 for n in d.forward.sizes} | {"N": size}
    if size == 1:
        sizes = dict.fromkeys(sizes, 1)
    inputs = {i.name: np.full([x.value(sizes) for x in i.dims], 0.5) for i in d.forward.inputs}
    module = d.compile()
    y, residuals = module.forward(**inputs)
    (seed,) = d.gradients.seeds.values()
    gradients = module.backward(residuals, **{seed: np.ones_like(y)})
    for name, gradient in d.gradients.names.items():
        g = getattr(gradients, gradient)
        assert g.shape == inputs[name].shape and np.isfinite(g).all()
        if size == 0 and name not in ("Q", "x", "X", "h0"):
            assert not g.any()


@pytest.mark.parametrize("text", [ATTENTION, ELMAN, DENSE])
def test_inputs_that_are_not_contiguous_give_the_same(text: str) -> None:
    rng, d = np.random.default_rng(0), nd.derive(text)
    plain = {i.name: rng.normal(size=[4] * len(i.dims)) for i in d.forward.inputs}
    odd = {n: np.repeat(x.T[::-1].copy(), 2, 0)[::-2].T for n, x in plain.items()}
    assert not any(x.flags["C_CONTIGUOUS"] for x in odd.values() if x.ndim > 1)
    module = d.compile()
    (seed,) = d.gradients.seeds.values()
    y, _ = module.forward(**plain)
    dy = rng.normal(size=y.shape)
    for a, b in zip(run(module, {seed: dy}, **plain)[1], run(module, {seed: np.asfortranarray(dy)}, **odd)[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("text", "fits", "refused"), [
    ("x[T,2*P] -> y\n y[t,p] = x[t,2*p]*x[t,2*p+1]", (2, 6), (2, 5)),
    ("x[N,N+M-1] -> y\n y[i,j] = x[i,i-j+M-1]", (3, 5), (5, 2)),
    ("x[N,s*H], int s -> y\n y[n,i,u] = x[n,s*i+u] for u < s", (1, 6), (1, 7)),
    ("x[2*P+N,N] -> y\n y[p,n] = x[2*p+n,n]", (7, 3), (6, 3)),
])
def test_a_size_that_stands_beside_others_is_solved_for(text: str, fits: tuple[int, ...], refused: tuple[int, ...]) -> None:
    d = nd.derive(text)
    module, rest = d.compile(), {name: 2 for name in d.forward.parameters}
    x = np.arange(float(np.prod(fits))).reshape(fits)
    y, residuals = module.forward(x=x, **rest)
    assert y.tolist() == nd.evaluate(d.forward, {"x": x, **rest})["y"]
    assert module.backward(residuals, dy=y).dx.tolist() == nd.evaluate(d.backward, {"x": x, **rest, "dy": y})["dx"]
    for run in (lambda **v: module.forward(**v), lambda **v: nd.evaluate(d.forward, v)):
        with pytest.raises(ValueError, match=r"expected|makes it"):
            run(x=np.ones(refused), **rest)
    assert d.check().ok


@pytest.mark.parametrize("sizes", [{}, {"U": 4}, {"N": 2, "H": 2, "U": 4}], ids=str)
def test_what_a_kernel_larger_than_its_image_leaves_empty_is_an_input_of_the_gradient_too(sizes: dict[str, int]) -> None:
    d = nd.derive("X[N,H], K[U] -> Y\nY[n,i] = sum[u](K[u]*X[n,i+u])")
    inputs = {"X": np.ones((2, 2)), "K": np.ones(4)}
    Y, residuals = d.compile(sizes=sizes).forward(**inputs)
    expected = nd.evaluate(d.backward, {**inputs, "dY": Y})
    (dX, dK), _ = nd.derive(d.backward).compile(sizes=sizes).forward(**inputs, dY=Y)
    assert Y.shape == (2, 0) and np.shape(nd.evaluate(d.forward, inputs)["Y"]) == (2, 0)
    for found in (d.compile(sizes=sizes).backward(residuals, dY=Y), (dX, dK)):
        assert [g.tolist() for g in found] == [expected["dX"], expected["dK"]] == [[[0, 0]]*2, [0]*4]


@pytest.mark.parametrize(("text", "sizes"), [
    ("x[H,W] -> y\ny[i,j] = max[u,v](x[2*i+u,2*j+v]) for u < 3, v < 3", {"H": 0, "W": 3}),
    ("x[K,T] -> y\ny[k] = k*x[2*k-1,2*k]", {"K": 1, "T": 0}),
    ("x[T], w[K] -> y\ny[t] = sum[u](w[u]*x[t-u]) for t < T + K - 1", {"T": 0, "K": 0}),
])
def test_windows_of_what_is_empty_are_none(text: str, sizes: dict[str, int]) -> None:
    d = nd.derive(text)
    inputs = {i.name: np.ones([x.value(sizes) for x in i.dims]) for i in d.forward.inputs}
    y, residuals = d.compile().forward(**inputs)
    assert 0 in y.shape
    for x, g in zip(inputs.values(), d.compile().backward(residuals, dy=y), strict=True):
        np.testing.assert_array_equal(g, np.zeros_like(x))


def test_a_specialised_module_says_for_which_sizes_and_refuses_others() -> None:
    d = nd.derive(DENSE)
    source = d.numpy(sizes={"N": 4, "I": 3})
    assert "for N = 4, I = 3 only." in source
    special, general = d.compile(sizes={"N": 4, "I": 3}), d.compile()
    rng = np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(4, 3)), "W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    seeds = {"dY": rng.normal(size=(4, 2))}
    for a, b in zip(run(special, seeds, **inputs)[1], run(general, seeds, **inputs)[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    with pytest.raises(ValueError, match=r"X has shape \(5, 3\); expected 4 in dimension 0 of X\[4,3\]"):
        special.forward(**{**inputs, "X": rng.normal(size=(5, 3))})


def test_a_factor_goes_to_the_smallest_operand_where_sizes_are_known() -> None:
    thin, wide = {"N": 256, "M": 256, "D": 16}, {"N": 16, "M": 16, "D": 256}
    assert "S = Q/16**0.5 @ K.T" in body(ATTENTION, "forward", ("scaled",), thin)
    assert "S = Q_scaled @ K.T" in body(ATTENTION, "forward", sizes=thin)
    assert all("S /= 256**0.5" in body(ATTENTION, "forward", without, wide) for without in ((), ("scaled",)))


@pytest.mark.parametrize(("sizes", "message"), [
    ({"Z": 3}, "Z is not a size of this program; its sizes are N, I, O"),
    ({"N": -1}, "the size N cannot be -1"),
    ({"N": 2.0}, "the size N cannot be 2.0"),
    ({"N": True}, "the size N cannot be True"),
    ({"N": [4]}, r"the size N cannot be \[4\]"),
])
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, Any], message: str) -> None:
    d = nd.derive(DENSE)
    d.numpy(sizes={"N": 1}), d.numpy(sizes={"N": 2})  # what was made before changes nothing
    with pytest.raises(ValueError, match=message):
        d.numpy(sizes=sizes)


def test_sizes_are_known_in_any_order_and_of_any_integer_type() -> None:
    sizes = {"O": np.int64(2), "N": 4, "I": np.uint8(3)}
    assert nd.derive(DENSE).numpy(sizes=sizes) == nd.derive(DENSE).numpy(sizes={"N": 4, "I": 3, "O": 2})


# -- entry checks ------------------------------------------------------------------------------------------------------------
GOOD = {"X": np.ones((4, 3)), "W": np.ones((3, 2)), "b": np.ones(2)}


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"W": np.ones((5, 2))}, ValueError, r"W has shape \(5, 2\); expected 3 in dimension 0 of W\[I,O\]"),
    ({"b": np.ones(3)}, ValueError, r"b has shape \(3,\); expected 2 in dimension 0 of b\[O\]"),
    ({"X": np.ones(3)}, ValueError, r"X has shape \(3,\); expected 2 dimensions, X\[N,I\]"),
    ({"b": np.ones((2, 1))}, ValueError, r"b has shape \(2, 1\); expected 1 dimensions, b\[O\]"),
    ({"W": np.ones((3, 2), np.float32)}, TypeError, "W is an array of float32, and X of float64; expected one dtype"),
    ({"b": np.ones(2, int)}, TypeError, "b is an array of int64; expected floating point"),
    ({"b": np.ones(2, complex)}, TypeError, "b is an array of complex128; expected floating point"),
])
def test_what_does_not_fit_is_named_with_what_was_expected(changes: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        nd.derive(DENSE).compile().forward(**{**GOOD, **changes})


def test_lists_of_numbers_are_arrays_too() -> None:
    module = nd.derive(DENSE).compile()
    as_lists = {n: x.tolist() for n, x in GOOD.items()}
    np.testing.assert_array_equal(module.forward(**as_lists)[0], module.forward(**GOOD)[0])


@pytest.mark.parametrize(("seed", "error", "message"), [
    (np.ones((4, 3)), ValueError, r"dY has shape \(4, 3\); expected 2 in dimension 1 of dY\[N, O\]"),
    (np.ones((4, 2), np.float32), TypeError, "dY is an array of float32; expected float64"),
])
def test_a_seed_that_does_not_fit_is_refused(seed: Any, error: type, message: str) -> None:
    module = nd.derive(DENSE).compile()
    _, residuals = module.forward(**GOOD)
    with pytest.raises(error, match=message):
        module.backward(residuals, dY=seed)


@pytest.mark.parametrize("value", ["1", 1j, np.ones(1), None])
def test_a_scalar_that_is_no_real_number_is_refused(value: Any) -> None:
    module = nd.derive("x[N], eps -> y\ny[n] = x[n] + eps").compile()
    with pytest.raises(TypeError, match=r"eps is .*; expected a real number"):
        module.forward(x=np.ones(2), eps=value)


@pytest.mark.parametrize("value", ["1", 1j, np.complex128(1), np.ones(1), [1.0], None, True])
def test_a_seed_that_is_no_real_number_is_refused(value: Any) -> None:
    module = nd.derive("x[N] -> y, L\ny[n] = x[n]**2\nL = sum[n](x[n]**3)").compile()
    _, residuals = module.forward(x=np.ones(2))
    with pytest.raises(TypeError, match=r"dL is .*; expected a real number"):
        module.backward(residuals, dy=np.ones(2), dL=value)
    for good in (1, np.float32(1), np.array(1.0)):
        assert module.backward(residuals, dy=np.ones(2), dL=good).dx.tolist() == [5, 5]


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64(math.inf), 1j, None, "2", True, 2.5, [2], np.array([2])])
def test_an_integer_that_is_none_is_refused_by_name(value: Any) -> None:
    module = nd.derive("x[N], int s -> y\ny[n] = x[s*n] for n < N//s").compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=r"s is .*; expected an integer"):
            module.forward(x=np.ones(4), s=value)
    for good in (2, 2.0, np.int8(2), np.array(2), np.uint64(2)):
        assert module.forward(x=np.arange(4.0), s=good)[0].tolist() == [0, 2]


@pytest.mark.parametrize(("a", "b", "dtype"), [
    (2, 3, np.float64), (2, 3.0, np.float64), (np.int64(2), np.uint8(3), np.float64), (np.array(2), 3, np.float64),
    (np.float32(2), 3, np.float32), (2, np.float32(3), np.float32), (2.0, np.array(3, np.float32), np.float32),
    (np.float32(2), np.float64(3), np.float64), (np.float16(2), np.int64(3), np.float16), (np.array(2, ">f4"), 3, np.float32),
])
def test_numbers_alone_are_computed_with_as_real_numbers(a: Any, b: Any, dtype: Any) -> None:
    module = nd.derive("a, b -> y\ny = a/b").compile()
    y, residuals = module.forward(a=a, b=b)
    da, db = module.backward(residuals)
    assert {x.dtype for x in (y, da, db)} == {np.dtype(dtype)}
    np.testing.assert_allclose([y, da, db], [2/3, 1/3, -2/9], rtol=1e-3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_the_order_of_bytes_is_of_no_account(order: str, kind: str) -> None:
    d = nd.derive(ATTENTION)
    rng, module = np.random.default_rng(0), d.compile()
    inputs = {i.name: rng.normal(size=[3]*len(i.dims)).astype(kind) for i in d.forward.inputs}
    dy = rng.normal(size=(3, 3)).astype(kind)
    as_stored = {name: x.astype(order + kind) for name, x in inputs.items()}
    as_stored["Q"] = inputs["Q"]
    for a, b in zip(run(module, {"dY": dy}, **inputs)[1], run(module, {"dY": dy.astype(order + kind)}, **as_stored)[1], strict=True):
        assert b.dtype == kind and b.dtype.isnative and np.array_equal(a, b)
    y, residuals = module.forward(**{name: x.astype(order + kind) for name, x in inputs.items()})
    assert y.dtype.isnative and module.backward(residuals, dY=dy).dV.dtype == kind


@pytest.mark.parametrize(("changes", "message"), [
    ({"x": [[1.0], [1.0, 2.0]]}, "x is no array: "), ({"tok": [[1], [1, 2]]}, "tok is no array: "),
    ({"tok": np.ones((2, 2), int)}, r"^tok has shape \(2, 2\); expected 1 dimensions, int tok\[N\]"), ({"tok": 1}, r"^tok has shape \(\)"),
])
def test_what_is_no_array_is_named_too(changes: dict[str, Any], message: str) -> None:
    module = nd.derive("x[V,D], int tok[N] -> y\ny[n,d] = x[tok[n],d]").compile()
    with pytest.raises(ValueError, match=message):
        module.forward(**{"x": np.ones((2, 2)), "tok": [0, 1], **changes})


@pytest.mark.parametrize(("text", "names"), [
    ("el[N] -> y\ny[n] = el[n]**2", {"el": "del2"}), ("ef[N], ict[N] -> y\ny[n] = ef[n]*ict[n]", {"ef": "def2", "ict": "dict2"}),
    ("x[N] -> el\nel[n] = exp(x[n])", {"x": "dx"}), ("x[N] -> y\nel[n] = exp(x[n])\ny[n] = el[n]**2 + el[n]", {"x": "dx"}),
])
def test_a_gradient_is_not_called_what_python_has_a_word_for(text: str, names: dict[str, str]) -> None:
    d = nd.derive(text)
    assert d.gradients.names == names
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {i.name: rng.normal(size=3) for i in d.forward.inputs}, rng)
    assert str(nd.parse(str(d.backward))) == str(d.backward)


@pytest.mark.parametrize("name", layers.ALL)
def test_no_name_of_a_program_hides_what_the_functions_call(name: str) -> None:
    """What forward and backward find outside of themselves is called what no tensor, size or index may be called."""
    for threads in (1, 2):
        module = symtable.symtable(layers.ALL[name].derivation.numpy(threads=threads), name, "exec")
        todo = [t for t in module.get_children() if t.get_name() in ("forward", "backward")]
        for table in todo:
            todo += table.get_children()
            found = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
            assert {n for n in found if not n.startswith("_")} <= EMITTED | WORDS


# -- numerics ----------------------------------------------------------------------------------------------------------------
def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _logsumexp(x: Any) -> Any:
    m = x.max(-1, keepdims=True)
    return (m + np.log(np.exp(x - m).sum(-1, keepdims=True)))[..., 0]


STABLE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "softmax": ("x[N,M] -> y\ny[n,m] = softmax[m](x[n,m])", _softmax),
    "log_softmax": ("x[N,M] -> y\ny[n,m] = log_softmax[m](x[n,m])", lambda x: x - _logsumexp(x)[..., None]),
    "logsumexp": ("x[N,M] -> y\ny[n] = logsumexp[m](x[n,m])", _logsumexp),
    "sigmoid": ("x[N,M] -> y\ny[n,m] = sigmoid(x[n,m])", lambda x: 0.5 * np.tanh(0.5 * x) + 0.5),
    "softplus": ("x[N,M] -> y\ny[n,m] = softplus(x[n,m])", lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))),
    "logsumexp of the first": ("x[N,M] -> y\ny[m] = logsumexp[n](x[n,m])", lambda x: _logsumexp(x.T)),
    "logsumexp of sums": ("x[N,M] -> y\ny[n,m] = logsumexp[l](x[n,l]/2 + x[m,l]/2)", lambda x: _logsumexp(x[:, None]/2 + x/2)),
    "logsumexp of two": ("x[N,M] -> y\ny[n] = logsumexp[m,l](x[n,m]/2 + x[n,l]/2)",
                         lambda x: _logsumexp((x[:, None]/2 + x[..., None]/2).reshape(len(x), -1))),
    "log of some softmaxes": ("x[N,M] -> y\np[n,m] = softmax[m](x[n,m])\ny[n] = log(p[n,0]) + 2*log(p[n,1]) - log(p[n,M-1])",
                              lambda x: x[:, 0] + 2*x[:, 1] - x[:, -1] - 2*_logsumexp(x)),
    "cross_entropy": ("x[N,M] -> y\ny[n] = -sum[m](where(m == 0, log_softmax[m](x[n,m]), 0))", lambda x: _logsumexp(x) - x[:, 0]),
}
LARGE = np.array([[1e4, -1e4, 0, 9e3], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 1e4, 1e4], [0, 1, 2, 3], [-1e4, 1e4, 5, -5]])


@pytest.mark.parametrize("name", STABLE)
def test_large_inputs_in_single_precision_give_no_nan_and_no_warning(name: str) -> None:
    text, meaning = STABLE[name]
    module = nd.derive(text).compile()
    with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise", divide="raise"):
        warnings.simplefilter("error")
        y, residuals = module.forward(x=LARGE.astype(np.float32))
        dx = module.backward(residuals, dy=np.ones_like(y)).dx
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(y, meaning(LARGE), rtol=1e-6, atol=1e-6)
    step = 1e-3 * np.eye(LARGE.size).reshape(LARGE.size, *LARGE.shape)
    slopes = [(meaning(LARGE + e).sum() - meaning(LARGE - e).sum()) / 2e-3 for e in step]
    np.testing.assert_allclose(dx.ravel(), slopes, rtol=1e-3, atol=1e-3)


def test_both_terms_of_a_binary_cross_entropy_are_computed_once_forward_and_backward() -> None:
    text = "x[N], t[N] -> L\ns[n] = sigmoid(x[n])\nL = -sum[n](t[n]*log(s[n]) + (1 - t[n])*log(1 - s[n]))"
    assert body(text, "forward").count("_softplus(") == 2 and "_softplus(" not in body(text, "backward")


WRITTEN_OUT = {  # text -> the same in names that are known to be stable
    "y[n] = log(exp(x[n]) + exp(z[n]))": "y[n] = x[n] + softplus(z[n] - x[n])",
    "y[n] = exp(x[n])/(exp(x[n]) + exp(z[n]))": "y[n] = sigmoid(x[n] - z[n])",
    "y[n] = (exp(x[n]) - exp(-x[n]))/(exp(x[n]) + exp(-x[n])) + z[n]": "y[n] = tanh(x[n]) + z[n]",
    "y[n] = z[n]*log(sigmoid(x[n])) + (1 - z[n])*log(1 - sigmoid(x[n]))": "y[n] = -z[n]*softplus(-x[n]) - (1 - z[n])*softplus(x[n])",
    "p[n] = sigmoid(x[n])\ny[n] = (1 - p[n])**2*log(p[n]) + z[n]":  # of the focal loss
        "y[n] = -sigmoid(-x[n])**2*softplus(-x[n]) + z[n]",
    "p[n] = sigmoid(x[n])\ny[n] = z[n]*log(p[n]) + (1 - z[n])*log(1 - p[n])": "y[n] = -z[n]*softplus(-x[n]) - (1 - z[n])*softplus(x[n])",
}


@pytest.mark.parametrize("text", WRITTEN_OUT)
def test_what_is_written_out_with_exponentials_is_as_stable_as_what_has_a_name(text: str) -> None:
    rng = np.random.default_rng(0)
    x, z = (np.concatenate([rng.permutation([-1e4, -300, -90, -20, -1, 0, 1, 20, 90, 300, 1e4]), [1e4, -1e4]]) for _ in range(2))
    results = []
    for written, dtype in ((text, np.float32), (WRITTEN_OUT[text], np.float64)):
        module = nd.derive(f"x[N], z[N] -> y\n{written}").compile()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y, residuals = module.forward(x=x.astype(dtype), z=z.astype(dtype))
            results.append([y, *module.backward(residuals, dy=np.ones_like(y))])
    for found, expected in zip(*results, strict=True):
        assert found.dtype == np.float32 and np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


SOFTMAX = "Y[n,d] = softmax[d](x[n,d])"
CAUSAL_ROWS = "Y[n,d] = softmax[d](where(d <= n, x[n,d], -inf))"
BY_ROWS = {  # the same for sums over rows, in tensors of their own or not
    "Y[n,d] = exp(x[n,d])/sum[e](exp(x[n,e]))": SOFTMAX,
    "E[n,d] = exp(x[n,d])\nZ[n] = sum[d](E[n,d])\nY[n,d] = E[n,d]/Z[n]": SOFTMAX,
    "Z[n] = 1/sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])*Z[n]": SOFTMAX,
    "Y[n,d] = exp(x[n,d] - log(sum[e](exp(x[n,e]))))": SOFTMAX,
    "m[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])": SOFTMAX,
    "Y[n,d] = exp(2*x[n,d]/3)/sum[e](exp(2*x[n,e]/3))": "Y[n,d] = softmax[d](2*x[n,d]/3)",
    "E[n,d] = where(d <= n, exp(x[n,d]), 0)\nY[n,d] = E[n,d]/sum[e](E[n,e])": CAUSAL_ROWS,
    "Y[n,d] = where(d <= n, exp(x[n,d]), 0)/sum[e](where(e <= n, exp(x[n,e]), 0))": CAUSAL_ROWS,
    "Y[n] = log(sum[d](exp(x[n,d])))": "Y[n] = logsumexp[d](x[n,d])",
    "Y[n,d] = log(exp(x[n,d])/sum[e](exp(x[n,e])))": "Y[n,d] = log_softmax[d](x[n,d])",
    "P[n,d] = exp(x[n,d])/sum[e](exp(x[n,e]))\nY[n] = -log(P[n,n])": "Q[n,d] = log_softmax[d](x[n,d])\nY[n] = -Q[n,n]",
    "P[n,d] = exp(x[n,d])/sum[e](exp(x[n,e]))\nY[n] = sum[d](P[n,d]*log(P[n,d]))":
        "Y[n] = sum[d](softmax[d](x[n,d])*log_softmax[d](x[n,d]))",
    "Z[n] = sum[d](exp(x[n,d]))\nY[n,k] = sum[d](exp(x[n,d])*x[d,k])/Z[n]": "Y[n,k] = sum[d](softmax[d](x[n,d])*x[d,k])",
    "Y[n,d] = exp(x[n,d])/sum[m](exp(x[m,d]))": "Y[n,d] = softmax[n](x[n,d])",
    "Y[n,d] = exp(x[n,d])/sum[m,e](exp(x[m,e]))": "Y[n,d] = softmax[n,d](x[n,d])",
    "a[0,k] = x[0,k]\na[t,k] = log(sum[j](exp(a[t-1,j] + x[j,k]))) + x[t,k]\nY = log(sum[k](exp(a[N-1,k])))":
        "a[0,k] = x[0,k]\na[t,k] = logsumexp[j](a[t-1,j] + x[j,k]) + x[t,k]\nY = logsumexp[k](a[N-1,k])",
}


@pytest.mark.parametrize("text", BY_ROWS)
def test_a_softmax_that_is_written_out_is_as_stable_as_one_that_is_named(text: str) -> None:
    x = np.concatenate([LARGE, np.random.default_rng(0).standard_normal((4, 4))])[[0, 1, 3, 5, 6]][:4]
    results = []
    for written, dtype in ((text, np.float32), (BY_ROWS[text], np.float64)):
        d = nd.derive(f"x[N,N] -> Y\n{written}")
        module = d.compile()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y, residuals = module.forward(x=x.astype(dtype))
            seeds = {"dY": np.random.default_rng(1).standard_normal(y.shape).astype(dtype)} if np.ndim(y) else {}
            results.append([y, module.backward(residuals, **seeds).dx])
    for found, expected in zip(*results, strict=True):
        assert found.dtype == np.float32 and np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)  # of 1e4, a float32 has three decimals


@pytest.mark.parametrize("text", [
    "x[N,D] -> Z\nZ[n] = sum[d](exp(x[n,d]))",                                            # nothing cancels
    "x[N,D] -> Y, Z\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[n]",              # Z is handed out
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[n]**2",              # not of degree 0
    "x[N,D] -> Y\nZ[n] = 1 + sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[n]",             # 1 is not multiplied
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d])/Z[d]  for d < N",      # another row's sum
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nY[n,d] = exp(x[n,d+1])/Z[n]  for d < D",    # read outside, where exp is 1
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))  for n < N-1\nY = sum[n,d](exp(x[n,d])/(1 + Z[n+1]))",
    "x[N,D] -> Y\nE[n,d] = exp(x[n,d])\nY[n,d] = E[n,d]/sum[e](where(e <= n, E[n,e], 0))",  # divided by a part of what there is
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d])*x[n,d])\nY[n,d] = exp(x[n,d])/Z[n]",
    "x[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d]))\nT = sum[n](Z[n])\nY[n] = Z[n]/T",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e]) + m[n]",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/(1 + sum[e](E[n,e]))",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nc[n,d] = x[n,d] - m[n]\nY[n,d] = c[n,d] - log(sum[e](exp(c[n,e])))",
    "x[N,D] -> Y\nm[n] = max[d](x[n,d])\nE[n,d] = exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])*where(m[n] > 0, m[n], 1)",
    "x[N,D] -> Y\nZ[n,i] = sum[u](exp(x[n,i+u-1])) for i < D, u < 3\nY[n,i] = Z[n,i]**2",     # a place that is not told from S
    "x[N,D], w[N,D] -> Y\nZ[n] = sum[d](exp(x[n,d])*w[n,d]**2)\nY[n,d] = exp(x[n,d])*w[n,d]**2/Z[n]",
])
def test_what_cancels_is_counted_and_the_rest_is_left_alone(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {i.name: rng.standard_normal((3, 4)) for i in d.forward.inputs}
    results = []
    for without in ((), ("balance",)):
        module = d.compile(without=without)
        y, residuals = module.forward(**inputs)
        ys = y if isinstance(y, tuple) else (y,)
        seeds = {s: np.sin(1 + v) for s, v in zip(d.gradients.seeds.values(), ys, strict=False)}  # none for a number alone
        results.append([*ys, *module.backward(residuals, **seeds)])
    expected = nd.evaluate(d.forward, inputs)
    for y, value in zip(results[0], expected.values(), strict=False):
        np.testing.assert_allclose(y, np.array(value, float), rtol=1e-9)
    for mine, plain in zip(*results, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-9, atol=1e-9)


def test_the_largest_that_is_subtracted_by_hand_has_no_gradient() -> None:
    text = "x[N,D], v[D] -> Y\nm[n] = {}\nE[n,d] = v[d]*exp(x[n,d] - m[n])\nY[n,d] = E[n,d]/sum[e](E[n,e])"
    for largest in ("max[d](x[n,d])", "max(max[d](x[n,d]), 0)"):
        shifted = text.format(largest)
        assert "dm" in body(shifted, "backward", without=("balance",))
        assert not any(word in body(shifted, "backward") for word in ("ties", "dm", "+ 0", "(0)"))
    x, v = np.array([[1.0, 1.0, 0.0]]), np.ones(3)
    found = run(nd.derive(shifted, wrt=("x",)).compile(), {"dY": np.array([[1.0, 2.0, 4.0]])}, x=x, v=v)
    results = [found, run(nd.derive(f"x[N,D] -> Y\n{SOFTMAX}").compile(), {"dY": np.array([[1.0, 2.0, 4.0]])}, x=x)]
    for mine, named in zip(*results, strict=True):
        np.testing.assert_allclose(mine, named, rtol=1e-14)


LOSSES = {  # a loss of probabilities -> the same of scores; both with the probabilities as an output, or not
    "L = -sum[n,k](y[n,k]*log(p[n,k]))": "L = -sum[n,k](y[n,k]*log_softmax[k](x[n,k]))",
    "L = -sum[n](log(p[n,label[n]]))": "q[n,k] = log_softmax[k](x[n,k])\nL = -sum[n](q[n,label[n]])",
    "L = sum[n,k](p[n,k]*log(p[n,k]/y[n,k]))": "L = sum[n,k](softmax[k](x[n,k])*(log_softmax[k](x[n,k]) - log(y[n,k])))",
    "L = -sum[n,k](y[n,k]*log(p[n,k]))/N + sum[n,k](p[n,k]**2)":
        "L = -sum[n,k](y[n,k]*log_softmax[k](x[n,k]))/N + sum[n,k](softmax[k](x[n,k])**2)",
}


@pytest.mark.parametrize("outputs", ["L", "p, L"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_probabilities_that_vanish_are_finite_and_so_are_their_gradients(loss: str, outputs: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.uniform(0.1, 1, LARGE.shape)
    values = {"y": y / y.sum(1, keepdims=True), "label": rng.integers(4, size=len(LARGE)), "x": LARGE}
    results = []
    for names, body, dtype in ((outputs, f"p[n,k] = softmax[k](x[n,k])\n{loss}", np.float32), ("L", LOSSES[loss], np.float64)):
        d = nd.derive(f"x[N,K], y[N,K], int label[N] -> {names}\n{body}", wrt=("x",))
        module = d.compile()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, residuals = module.forward(**{k: v if k == "label" else v.astype(dtype) for k, v in values.items()})
            seeds = {"dp": np.zeros(LARGE.shape, dtype), "dL": 1} if names != "L" else {}
            results.append([found if names == "L" else found.L, module.backward(residuals, **seeds).dx])
    for a, b in zip(*results, strict=True):
        assert a.dtype == np.float32 and np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_label_that_there_is_not_is_read_as_probability_zero() -> None:
    module = nd.derive("x[N,K], int label[N] -> y\np[n,k] = softmax[k](x[n,k])\ny[n] = log(p[n,label[n]])").compile()
    y, _ = module.forward(x=LARGE, label=np.array([0, 1, 7, -1, 2]))
    assert np.isneginf(y[[2, 3]]).all() and np.isfinite(y[[0, 1, 4]]).all()


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


def test_the_work_of_emitting_a_chain_is_linear_in_its_length() -> None:
    def calls_per_layer(layers: int) -> float:
        derivation, profile = nd.derive(chain(layers)), cProfile.Profile()
        profile.runcall(derivation.numpy)
        return pstats.Stats(profile).total_calls / layers

    calls_per_layer(3)  # fills caches
    assert calls_per_layer(48) < 1.3 * calls_per_layer(12)


def test_a_function_whose_condition_says_nothing_keeps_its_indices() -> None:
    assert nd.derive("B -> y\ny[m,i] = softplus(tanh(where(m == i, B, B)))*B for m < 3, i < 4").check(seed=0).ok


def test_a_chain_of_any_length_fits_the_stack() -> None:
    assert nd.derive(chain(300)).numpy().count("@ W") > 300


@pytest.mark.parametrize("name", ["_softmax", "_masked_softmax", "_log_softmax"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 41), (1, 90), (90,), (7, 30)])
def test_a_softmax_of_a_large_array_goes_by_blocks_of_rows(name: str, shape: tuple[int, ...]) -> None:
    namespace: dict[str, Any] = {"PART": 40}
    exec("import numpy as np\n" + needed(name + "("), namespace)
    function, x = namespace[name], np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if name != "_softmax" and x.ndim > 1:
        x[0] = -np.inf
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(np.exp(x - x.max(-1, keepdims=True)))
    shares /= np.maximum(shares.sum(-1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        wanted = np.log(shares) if name == "_log_softmax" else shares
    for y in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        for out in (None, np.empty_like(x), y.copy()):
            source = out if out is not None and np.array_equal(out, y) else y
            found = function(source, x.ndim - 1, out=out)
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
            assert out is None or found is out


DISTANCE = """E[V,D], R[M,D], int h[N], int r[N], int t[N] -> s
s[n] = sum[d](abs(E[h[n],d] + R[r[n],d] - E[t[n],d]))"""


def test_what_is_looked_up_in_several_tables_is_chosen_once_for_each_row() -> None:
    """The conditions say of a row whether it counts: its factor is chosen, and all that it has is one array for all tables."""
    written = body(DISTANCE, "backward")
    assert "np.where(" not in written and "_masked(" not in written and written.count("np.sign(") == 1
    assert len({*re.findall(r"_scatter\((\w+),", written)}) == 1 and written.count("_scatter(") == 3
    rng, d = np.random.default_rng(0), nd.derive(DISTANCE)
    h, r, t = rng.integers(-1, 7, size=(3, 40))
    assert_means(d, d.compile(), {"E": rng.normal(size=(6, 3)), "R": rng.normal(size=(5, 3)), "h": h, "r": r, "t": t}, rng)


@pytest.mark.parametrize("z", ["z[n,d] = x[n,d]", "z[d,n] = x[n,d]", "z[d,n] = 1", "z[n,d] = sum[e](where(e < n, x[e,d], 0))"])
@pytest.mark.parametrize("without", [(), ("gathered",), ("looked_up",)])
def test_a_look_up_has_one_name_whatever_stands_first(z: str, without: tuple[str, ...]) -> None:
    d = nd.derive(f"R[M,D], x[N,D], int r[N] -> y, z\ny[n,d] = x[n,d]*cos(R[r[n],d])\n{z}*sin(R[r[n],d]*x[n,d])")
    rng = np.random.default_rng(0)
    R, x, r = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), np.array([0, 3, 7, 3, -1])
    assert_means(d, d.compile(without=without), {"R": R, "x": x, "r": r}, rng)


@pytest.mark.parametrize("L", ["sum[n](a[n]*R[r[n]] + b[n]*R[r[n]])", "sum[n](a[n]*R[r[n]] + b[n] + cos(R[r[n]]))", "a[0]*R[r[0]]*b[0]"])
def test_gradients_that_are_look_ups_are_arrays_of_their_own(L: str) -> None:
    d, rng = nd.derive(f"a[N], b[N], R[M], int r[N] -> L\nL = {L}"), np.random.default_rng(0)
    arrays = {"a": rng.normal(size=4), "b": rng.normal(size=4), "R": rng.normal(size=3), "r": np.array([2, 0, 0, 1])}
    assert_means(d, d.compile(), arrays, rng)
    _, residuals = d.compile().forward(**arrays)
    first, again = (d.compile().backward(residuals) for _ in range(2))
    assert not any(np.shares_memory(g, x) for g in first for x in (*again, *residuals) if isinstance(x, np.ndarray))
    assert not np.shares_memory(first.da, first.db)


def test_what_is_infinite_where_a_row_does_not_count_is_left_out() -> None:
    d = nd.derive("E[V,D], int h[N], int t[N] -> s\ns[n] = sqrt(sum[d]((E[h[n],d] - E[t[n],d] + 1)**2))")
    E, h, t = np.random.default_rng(0).normal(size=(4, 3)), np.array([1, 9, 3]), np.array([0, 2, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s, gradients = run(d.compile(), {"ds": np.ones(3)}, E=E, h=h, t=t)
    assert s[1] == 0
    wanted = np.zeros_like(E)
    for a, b in ((1, 0), (3, 2)):
        unit = (E[a] - E[b] + 1) / np.linalg.norm(E[a] - E[b] + 1)
        wanted[a] += unit
        wanted[b] -= unit
    np.testing.assert_allclose(gradients.dE, wanted, rtol=1e-12)


@pytest.mark.parametrize("places", ["2*pi*k*n/N", "pi*(2*n+1)*k/N/2", "k*10**(-n/N)"])
def test_a_table_of_functions_of_places_is_computed_once(places: str) -> None:
    d = nd.derive(f"x[B,N] -> X\nX[b,k] = sum[n](x[b,n]*cos({places})) for k < N")
    assert d.numpy().count("np.cos(") == 1
    x, k, n = np.random.default_rng(0).normal(size=(3, 8)), np.arange(8)[:, None], np.arange(8)
    table = np.cos(eval(places, {"pi": np.pi, "k": k, "n": n, "N": 8}))
    X, gradients = run(d.compile(), {"dX": x}, x=x)
    np.testing.assert_allclose(X, x @ table.T, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradients.dx, x @ table, rtol=1e-10, atol=1e-10)


def test_a_distance_is_kept_for_its_gradient() -> None:
    text = "x[N], y[N] -> L\nL = sum[n](sqrt(x[n]**2 + y[n]**2))"
    assert "np.sqrt(" in body(text, "forward") and "np.sqrt(" not in body(text, "backward")


def test_what_is_the_same_for_all_places_of_a_sum_is_multiplied_after_it() -> None:
    text = "E[V,D], int idx[N,K], s[N] -> h\nh[n,d] = mean[k](E[idx[n,k],d])*s[n] + sum[k](s[n]*E[idx[n,k],d])"
    source = body(text, "forward")
    assert source.count("_column_sums(_gather(E, idx))") == 1 and "part *= s[:, None]" in source
    rng, d = np.random.default_rng(0), nd.derive(text)
    E, idx, s = rng.normal(size=(5, 3)), rng.integers(-1, 6, size=(4, 6)), rng.normal(size=4)
    assert_means(d, d.compile(), {"E": E, "idx": idx, "s": s}, rng)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("low, high", [(0, 3), (-1, 5)])
def test_values_are_added_at_a_place_of_each_row(axis: int, low: int, high: int) -> None:
    namespace: dict[str, Any] = {}
    exec("import numpy as np\n" + needed("_add_at("), namespace)
    rng = np.random.default_rng(0)
    for A in (rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3, 6))[..., ::2]):
        each = [n if k != axis else 1 for k, n in enumerate(A.shape)]
        for shape in (each, [1, 1, 1], [n if k == 0 else 1 for k, n in enumerate(each)]):
            place, values = rng.integers(low, high, size=shape), rng.normal(size=shape)
            wanted = A + np.where(np.arange(3).reshape([-1 if k == axis else 1 for k in range(3)]) == place, values, 0)
            np.testing.assert_array_equal(namespace["_add_at"](A, place, values, axis), wanted)
            out = np.copy(A, order="K")
            assert namespace["_add_at"](out, place, values, axis, out=out) is out and np.array_equal(out, wanted)


GRAPH = """z[V,H], s[E], int to[E], int from[E] -> y
t[v] = logsumexp[e](where(to[e] == v, s[e], -inf)) for v < V
y[v,h] = sum[e](where(to[e] == v, exp(s[e] - t[to[e]])*z[from[e],h], 0)) for v < V""".replace("from", "of")


def test_an_edge_without_weight_or_into_no_node_has_no_share_of_any() -> None:
    d, rng = nd.derive(GRAPH), np.random.default_rng(0)
    z, s, to, of = rng.normal(size=(6, 3)), 1e3*rng.normal(size=40), rng.integers(-1, 5, size=40), rng.integers(6, size=40)
    s[:4] = -np.inf, 1e4, -np.inf, 700
    y, _ = d.compile().forward(z=z, s=s, to=to, of=of)
    wanted = np.zeros_like(z)  # nothing goes to the last node
    for v in range(5):
        into = to == v
        shares = np.exp(s[into] - s[into].max())
        wanted[v] = shares @ z[of[into]]/shares.sum()
    np.testing.assert_allclose(y, wanted, rtol=1e-10, atol=1e-12)
    s = rng.normal(size=40)
    assert_means(d, d.compile(), {"z": z, "s": s, "to": to, "of": of}, rng)


@pytest.mark.parametrize("many", [3, 20, 400])
@pytest.mark.parametrize("width", [1, 16, 32, 64])
@pytest.mark.parametrize("by", [np.add, np.maximum])
def test_rows_are_scattered_in_any_way_as_one_by_one(many: int, width: int, by: np.ufunc) -> None:
    """Few places with many rows each, many with few, and one with most."""
    namespace: dict[str, Any] = {}
    exec("import numpy as np\n" + needed("_scatter("), namespace)
    rng, start = np.random.default_rng(0), 0 if by is np.add else -np.inf
    V = rng.integers(-9, 9, size=(300, width)).astype(np.float32)
    for place in (
        rng.integers(-2, many + 2, size=300),
        np.minimum(rng.integers(many, size=300), rng.integers(2, size=300) * many),
        np.arange(300) % many,
        np.full(300, many),
    ):
        wanted = np.full((many, width), start, np.float32)
        for k, row in zip(place, V, strict=True):
            if 0 <= k < many:
                wanted[k] = by(wanted[k], row)
        found = namespace["_scatter"](V, (many, width), place, by=by, start=start)
        assert found.dtype == V.dtype and np.array_equal(found, wanted)


def test_what_a_condition_before_a_sum_leaves_out_is_scattered_too() -> None:
    """No table of all classes for each of the labels."""
    d = nd.derive("lp[T,V], int ext[S] -> y\ny[t,s] = where(t > 0, lp[t,ext[s]], 0)")
    assert "where(t > 0, sum[s]" in str(d.backward) and "_scatter(" in d.numpy()
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"lp": rng.normal(size=(3, 4)), "ext": np.array([1, 3, 1, 0, 7])}, rng)


@pytest.mark.parametrize(("formula", "written"), {
    "-a*x[n]*y[n]": "z = -a*x*y",
    "-x[n]*y[n]/a": "z = x/(-a)*y",
    "exp(-x[n]**2/2)": "z = -0.5*x**2",
    "-(x[n] - y[n])*y[n]": "z = y*(y - x)",
    "-x[n]*y[n]": "z = x*y\n    np.negative(z, out=z)",
    "x[n] - a*x[n]*y[n]": "z = a*x*y\n    np.subtract(x, z, out=z)",
}.items())
def test_a_minus_goes_to_a_number_or_turns_a_difference(formula: str, written: str) -> None:
    """Where there is neither, the product is negated."""
    text = f"x[N], y[N], a -> z\nz[n] = {formula}"
    assert written in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=3), "y": rng.normal(size=3), "a": 0.5}, rng)


def test_what_is_asked_for_with_both_signs_is_computed_once() -> None:
    source = body("o[N], y[N] -> L\nL = sum[n](abs(o[n] - y[n]))/N", "backward")
    assert "do /= N" in source and "dy = -do" in source


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


def test_a_quotient_that_goes_into_a_sum_leaves_no_1_before_it() -> None:
    text = "S[N,M], s -> Y\nY[i,j] = exp(S[i,j])/(exp(s) + sum[k](exp(S[i,k])))"
    assert "1*sum" not in nd.derive(text).numpy()


# -- what branches would be slow for -----------------------------------------------------------------------------------------
LEAKY = "x[N,K], a -> y\ny[n,k] = where(x[n,k] > 0, x[n,k], a*x[n,k])"
CHOICES = {  # program -> what stands in its gradient
    LEAKY: "part = x > 0",
    "x[N,K], z[N,K] -> y\ny[n,k] = where(x[n,k] > 0, 0, log(x[n,k] + z[n,k]))": "_only_where(~(x > 0), ",
    "x[N,K] -> y\ny[n,k] = where(x[n,k] > 0, 1/x[n,k], x[n,k])": "_masked(dx, x > 0, ",
    "x[N,K] -> y\ny[n,k] = max(x[n,k], 0.2*x[n,k])": "dtype.type(0.2) + dtype.type(0.8)*_slope(x, x/5, dtype)",
    "x[N,K], z[N,K] -> y\ny[n,k] = min(x[n,k], z[n,k])": "_slope(z, x, dtype)",
    "x[N,K], a -> y\ny[n,k] = max(0, x[n,k]) + a*min(0, x[n,k])": "a*part + (1 - part)",
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


@pytest.mark.parametrize(("relu", "once"), [
    ("relu(g[t]*x[n,t] + b[t])", True),
    ("relu(b[t] + g[t]*x[n,t])", True),
    ("relu(b[t] + x[n,t]/sqrt(g[t]**2 + 1))", True),
    ("relu(x[n,t] + x[t,n])", False),  # the same mask for dy and its transpose
    ("relu(b[t] - x[n,t]/g[t])", False),  # 0/g might be nan
    ("relu(g[n]*x[n,t-1] + b[t])", False),  # y is read elsewhere, too
])
def test_what_a_relu_lets_through_is_looked_at_once_and_its_argument_not_computed_again(relu: str, once: bool) -> None:
    text = f"x[N,N], g[N], b[N] -> y\ny[n,t] = {relu}"
    text = text.replace("x[N,N], g[N], b[N]", "x[N,N]") if "g[" not in relu else text
    written = body(text, "backward")
    assert written.count("y > 0") == 1 and ("dy_on = dy*(y > 0)" in written) == once
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


@pytest.mark.parametrize(("equations", "stored"), [
    ("q[n,c] = where(c == y[n], 0.9, 0) + 0.1/C for c < C\nL = -sum[n,c](q[n,c]*log_softmax[c](Z[n,c]))", False),
    ("p[n,c] = log_softmax[c](Z[n,c])\nL = sum[n]((1 - exp(p[n,y[n]]))**2*p[n,y[n]] + sum[c](p[n,c])/C)", False),
    ("q[n,c] = where(c == y[n], a[n], 0) for c < C\nL = sum[n,d](sum[c](q[n,c]*W[c,d])**2*Z[n,d])", True),    # dW is a product of matrices
    ("q[n,c] = where(c == y[n], a[n], 0) - a[n]**2 for c < C\nL = sum[n,c]((Z[n,c] - q[n,c]*Z[n,0])**2) + sum[n,c](q[n,c])*a[0]", True),
    ("q[n,c] = where(c == y[n], a[n], 0) - a[n]**2 for c < C\nr[n,c] = Z[n,c] - q[n,c]*Z[n,0]\nL = sum[n,c](r[n,c]**2 + q[n,c])", True),
    ("q[n,c] = where(c == y[n], a[n], 0) for c < C\nL = sum[n,c](q[n,c]*q[n,C-1-c])", True),                 # read at another place, too
])
def test_what_stands_at_one_place_of_a_row_is_written_where_it_is_read(equations: str, stored: bool) -> None:
    text = f"Z[N,C], W[C,C], a[N], int y[N] -> L, m\nm = Z[0,0]\n{equations}"
    used = ("Z", *(x for x in "Wa" if f"{x}[" in equations))
    text = text.replace("W[C,C], ", "" if "W" not in used else "W[C,C], ").replace("a[N], ", "" if "a" not in used else "a[N], ")
    assert (" q = " in body(text, "forward")) == stored
    rng = np.random.default_rng(0)
    given = {"Z": rng.normal(size=(5, 3)), "W": rng.normal(size=(3, 3)), "a": rng.normal(size=5), "y": np.array([0, 2, -1, 3, 1])}
    d = nd.derive(text)
    assert_means(d, d.compile(), {x: given[x] for x in (*used, "y")}, rng)


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


def helpers() -> dict[str, Any]:
    """The helpers of emitted modules, loaded."""
    found: dict[str, Any] = {"np": np}
    exec(needed("_where _masked _only_where _slope _extreme _row_sums"), found)
    return found


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
    assert slope.dtype == x.dtype and np.array_equal(slope, wanted)
    assert np.array_equal(tools["_slope"](x, 0, x.dtype), np.where(x > 0, 1, np.where(x == 0, 0.5, 0)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", "efdg")
def test_few_entries_along_an_axis_are_reduced_as_many_are(dtype: str) -> None:
    tools, rng = helpers(), np.random.default_rng(0)
    for shape in [(0, 3), (3, 0), (4, 1), (300, 3), (7, 16), (500, 2, 3), (200, 3, 2), (40, 30, 20), (9,)]:
        x = np.where(rng.random(shape) < 0.05, rng.choice(np.array([np.inf, -np.inf, np.nan], dtype), shape), rng.normal(size=shape))
        x = x.astype(dtype)
        for axis, keep in itertools.product([*range(x.ndim), tuple(range(1, x.ndim)), (0, x.ndim - 1)[:x.ndim]], (False, True)):
            for pick, start in ((np.maximum, -np.inf), (np.minimum, np.inf), (np.maximum, np.finfo(dtype).min)):
                wanted = pick.reduce(x, axis, initial=start, keepdims=keep)
                mine = tools["_extreme"](pick, x, axis, start, keepdims=keep)
                assert mine.dtype == x.dtype and np.array_equal(mine, wanted, equal_nan=True)
        x = rng.normal(size=shape).astype(dtype)
        for rows in (x, x.T, x[..., ::-1]):
            np.testing.assert_allclose(tools["_row_sums"](rows), rows.sum(-1), 0.1 if dtype == "e" else 1e-5, 0.1 if dtype == "e" else 1e-5)


def test_the_largest_of_a_few_is_one_maximum_after_the_other() -> None:
    text = "x[N,O,K] -> y\ny[n,o] = {0}[k](x[n,o,k])"
    assert "y = _extreme(np.maximum, x, 2, -np.inf)" in body(text.format("max"), "forward")
    assert "y = _extreme(np.minimum, x, 2, np.inf)" in body(text.format("min"), "forward")
    assert "y = x.max(2, initial=-np.inf)" in body(text.format("max"), "forward", sizes={"K": 100})
    assert "y = x.max((1, 2), initial=-np.inf)" in body("x[N,O,K] -> y\ny[n] = max[o,k](x[n,o,k])", "forward")
    x = np.random.default_rng(0).integers(3, size=(50, 60, 3)).astype(float)
    y, gradients = run(nd.derive(text.format("max")).compile(), {"dy": np.ones((50, 60))}, x=x)
    hits = x == x.max(2, keepdims=True)
    assert np.array_equal(y, x.max(2)) and np.allclose(gradients.dx, hits/hits.sum(2, keepdims=True))


def test_a_gradient_that_is_a_sum_of_the_forward_pass_is_kept_and_not_computed_again() -> None:
    text = "C[D,D], lam -> L\nL = sum[i](C[i,i]) + lam*sum[i,j](where(i != j, C[i,j]**2, 0))"
    assert "dlam = dtype.type(L_sum)" in body(text, "backward") and "L_sum = " in body(text, "forward")
    C = np.arange(9.0).reshape(3, 3)
    assert run(nd.derive(text).compile(), {}, C=C, lam=2.0)[1].dlam == (C**2).sum() - (np.diag(C)**2).sum()
    text = "x[N], w[N] -> L\ns[n] = x[n]**2\nL = sum[n](w[n]*s[n])"  # an array that is handed out belongs to the caller
    assert "dw = x**2" in body(text, "backward")


@pytest.mark.parametrize(("text", "forward", "backward"), [
    ("x[N,K], z[N,K] -> y\ny[n,k] = gelu(x[n,k])*z[n,k]", "y_erf = _erf(x/2**0.5)", "dz = dy/2*x*part"),
    ("x[N,K], z[N,K] -> y\ny[n,k] = silu(x[n,k])*z[n,k]", "y_sigmoid = _sigmoid(x)", "dz = dy*x*y_sigmoid"),
    ("x[N,K], a -> y\ny[n,k] = where(x[n,k] > 0, x[n,k], a*(exp(x[n,k]) - 1))", "y_exp = np.exp(x)",
     "dx = _where(part, dtype.type(1), a*y_exp)"),
    ("x[N,K] -> y, p\np[n,k] = sigmoid(x[n,k])\ny[n,k] = softplus(x[n,k])*p[n,k]", "y_softplus = _softplus(x)", ""),
])
def test_a_function_is_computed_once_whatever_name_it_goes_by(text: str, forward: str, backward: str) -> None:
    assert forward in body(text, "forward") and backward in body(text, "backward")
    assert not re.search(r"_erf\(|_sigmoid\(", body(text, "backward"))


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


def test_a_sign_is_not_written_over_what_it_is_taken_of() -> None:
    assert "out=" not in body("x[N], z[N] -> L\nL = sum[n](abs(x[n] - z[n]))", "backward")


@pytest.mark.parametrize("n", [-7, -3, -1.5, -1, 1, 2, 3, 4, 6, 13, 64, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_power_by_squares_is_the_power(n: float, dtype: Any) -> None:
    module = nd.derive(f"x[N] -> y\ny[n] = x[n]**({n})").compile()
    x = np.random.default_rng(0).uniform(0.5, 1.5, 1000).astype(dtype)
    (y, gradients), rounding = run(module, {"dy": np.ones(1000, dtype)}, x=x), np.finfo(dtype).eps*max(4, abs(n))
    np.testing.assert_allclose(y, x.astype(float)**n, rtol=rounding)
    np.testing.assert_allclose(gradients.dx, n*x.astype(float)**(n - 1), rtol=2*rounding)


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
    ("2*i+u,2*j+v", "i < H//2, j < W//2, u < 2, v < 2", (4, 5), False),                            # as many places as axis by axis
    ("2*i+u,2*j+v", "i < (H - 1)//2, j < (W - 1)//2, u < 3, v < 3", (7, 5), False),                # one over the other
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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("K", [2, 4, 7])
def test_the_log_of_a_sum_of_few_exponentials_goes_one_after_the_other(K: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(scale=1000, size=(50, 60, K)).astype(np.float32)
    x[:20, :, :1] = -np.inf
    x[0] = -np.inf
    d = nd.derive("x[N,M,K] -> y\ny[n,m] = logsumexp[k](x[n,m,k])")
    y, g = run(d.compile(), {"dy": np.ones((50, 60), np.float32)}, x=x)
    t = torch.tensor(x, requires_grad=True)
    expected = torch.logsumexp(t, 2)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-6)
    shares = torch.softmax(t.detach().double(), 2).numpy()  # in float32, exp(x − lse) has the digits of an lse of a thousand
    np.testing.assert_allclose(g.dx[1:], shares[1:], rtol=1e-5, atol=1e-30)
    assert (g.dx[0] == 0).all()
    x[1, :, 0] = np.inf
    assert (d.compile().forward(x=x)[0][1] == np.inf).all()
    pooled = "X[H,W] -> Y\nY[i,j] = logsumexp[u,v](X[2*i+u,2*j+v]) for i < H//2, j < W//2, u < 2, v < 2"
    d = nd.derive(pooled)
    for shape in ((80, 90), (81, 61), (1, 2), (0, 4)):
        X = rng.normal(size=shape)
        tiles = X[:shape[0]//2*2, :shape[1]//2*2].reshape(shape[0]//2, 2, shape[1]//2, 2)
        np.testing.assert_allclose(d.compile().forward(X=X)[0], np.log(np.exp(tiles).sum((1, 3))), rtol=1e-12)


def test_tiles_side_by_side_are_read_at_once_and_not_place_by_place() -> None:
    text = "A[I,J], B[P,Q] -> K\nK[i,j] = A[i//P,j//Q]*B[i%P,j%Q] for i < I*P, j < J*Q"
    backward = body(text, "backward")
    assert "_Taps" not in backward and "dB = np.empty" not in backward
    d, rng = nd.derive(text), np.random.default_rng(0)
    for a, b in (((2, 3), (4, 5)), ((1, 1), (3, 2)), ((3, 2), (1, 1))):
        inputs = {"A": rng.normal(size=a), "B": rng.normal(size=b)}
        np.testing.assert_allclose(d.compile().forward(**inputs)[0], np.kron(inputs["A"], inputs["B"]))
        assert_means(d, d.compile(), inputs, rng)


@pytest.mark.parametrize("read", ["A[u[n],v[m],d]", "A[v[m],u[n],d]", "A[u[n],2,d]", "A[u[n],u[n],d]"])
def test_a_look_up_goes_by_rows_wherever_its_places_lie(read: str) -> None:
    """Few places and many, repeated ones, some outside, and none."""
    d, rng = nd.derive(f"A[P,Q,D], w[N,M], int u[N], int v[M] -> y\ny[n,m,d] = w[n,m]*{read}"), np.random.default_rng(0)
    module = d.compile()
    for (P, Q, D), N, M, off in itertools.product(((4, 3, 2), (3, 3, 1), (2, 2, 0), (0, 2, 2)), (0, 1, 7), (0, 5), (0, 2)):
        u, v = (rng.integers(-off, max(1, min(P, Q) + off), n) for n in (N, M))
        inputs = {"A": rng.normal(size=(P, Q, D)), "w": rng.normal(size=(N, M)), "u": u, "v": v}
        y, residuals = module.forward(**inputs)
        found = {"y": y, **module.backward(residuals, dy=np.ones_like(y))._asdict()}
        expected = {**nd.evaluate(d.forward, inputs), **nd.evaluate(d.backward, {**inputs, "dy": np.ones_like(y)})}
        for name, value in found.items():
            assert_close(value, np.reshape(expected[name], value.shape), name)


def test_ones_that_are_added_up_at_one_place_are_all_counted() -> None:
    """In single precision, 1 is lost beside 2²⁴."""
    d = nd.derive("x[N], int k[N], z[K] -> y\ny[c] = z[c] + sum[n](where(k[n] == c, x[n], 0))")
    x = np.full(40001, 1, np.float32)
    x[0] = 2**24
    y, _ = d.compile().forward(x=x, k=np.zeros(40001, int), z=np.zeros(3, np.float32))
    assert y[0] == 2**24 + 40000 and y.dtype == np.float32


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="there is nothing longer here")
def test_what_is_longer_than_double_precision_is_added_up_as_long() -> None:
    d, rng = nd.derive("E[V,D], int tok[T] -> y\ny[t,d] = E[tok[t],d]"), np.random.default_rng(0)
    tok, dy = rng.integers(5, size=40), rng.normal(size=(40, 3)).astype(np.longdouble)/3
    _, residuals = d.compile().forward(E=np.zeros((5, 3), np.longdouble), tok=tok)
    expected = np.zeros((5, 3), np.longdouble)
    np.add.at(expected, tok, dy)
    assert abs(d.compile().backward(residuals, dy=dy).dE - expected).max() < 1e-17


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


@pytest.mark.parametrize(("loss", "written"), [
    ("-mean[n](log(sigmoid(t[n]*x[n])))", "L = dtype.type(part.sum()/N)"),
    ("-sum[n](t[n]*log(sigmoid(x[n])))", "np.vdot(t, L_softplus)"),
    ("-sum[n](t[n]*log(sigmoid(x[n])) + (1 - t[n])*log(1 - sigmoid(x[n])))", "(t*L_softplus + (1 - t)*L_softplus2).sum()"),
])
def test_a_logarithm_and_the_minus_before_the_sum_need_none(loss: str, written: str) -> None:
    text = f"x[N], t[N] -> L\nL = {loss}"
    assert written in body(text, "forward") and "type(-" not in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=5), "t": rng.normal(size=5)}, rng)


@pytest.mark.parametrize("summed, form", [
    ("b", "_column_sums(x.reshape(B, H*T*D)).reshape(H, T, D)"),
    ("h", "_column_sums(x.reshape(B, H, T*D)).reshape(B, T, D)"),
    ("t", "_column_sums(x)"), ("h,t", "_column_sums(x.reshape(B, H*T, D))"), ("b,h,t", "_column_sums(x.reshape(B*H*T, D))"),
    ("b,t", "_column_sums(_column_sums(x.reshape(B, H*T*D)).reshape(H, T, D))"),
    ("h,d", "_column_sums(_row_sums(x))"), ("d", "_row_sums(x)"),
])
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (1, 2, 1, 3), (2, 0, 3, 4), (2, 3, 4, 0)])
def test_sums_along_any_axes_are_products_with_ones(summed: str, form: str, shape: tuple[int, ...]) -> None:
    """As many axes as stand together at once, whichever they are; those that are the last are row sums."""
    left = ",".join(i for i in "bhtd" if i not in summed)
    d = nd.derive(f"x[B,H,T,D] -> y\ny[{left}] = sum[{summed}](x[b,h,t,d])")
    assert f"y = {form}  " in d.numpy()
    x = np.random.default_rng(0).normal(size=shape)
    for given in (x, np.asfortranarray(x), x[::-1]):
        y, residuals = d.compile().forward(x=given)
        axes = tuple("bhtd".index(i) for i in summed.split(","))
        np.testing.assert_allclose(y, given.sum(axes), rtol=1e-13, atol=1e-13)
        dy = np.random.default_rng(1).normal(size=np.shape(y))
        np.testing.assert_array_equal(d.compile().backward(residuals, dy=dy).dx, np.broadcast_to(np.expand_dims(dy, axes), shape))


@pytest.mark.parametrize("bias", ["R[at[i,j]]", "B[i-j+M-1]"])
def test_a_softmax_over_what_exists_is_one_block_and_so_is_its_gradient(bias: str) -> None:
    """Scores are −inf where a look-up, or a place, is outside: with that, the softmax and its gradient are as those of a mask."""
    text = f"""
        Q[N,D], K[M,D], V[M,D], R[C], B[E], int at[N,M] -> Y
        A[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d])/sqrt(D) + {bias})
        Y[i,d] = sum[j](A[i,j]*V[j,d])
    """
    assert "_masked_softmax(" in body(text, "forward")
    assert not any(word in body(text, "backward") for word in ("exp", "where", "_masked"))
    rng, (N, M, D) = np.random.default_rng(0), (3, 4, 2)
    for C, E in ((5, 6), (3, 4), (1, 1)):
        inputs = {n: rng.normal(size=s) for n, s in {"Q": (N, D), "K": (M, D), "V": (M, D), "R": (C,), "B": (E,)}.items()}
        inputs["at"] = rng.integers(-1, 5, size=(N, M))
        inputs["at"][:, 0] = 0  # each row has something
        if "B" in bias and E < N + M - 1:
            inputs["B"] = rng.normal(size=N + M - 2)
        assert_means(nd.derive(text), nd.derive(text).compile(), inputs, rng)


def test_rows_that_are_looked_up_are_not_walked_through() -> None:
    """They are long runs as they are, and what weighs them makes a product of matrices of it."""
    text = "int t[N,T], E[V,D], w[N,T] -> y\ny[n,d] = sum[k](w[n,k]*E[t[n,k],d])"
    assert "for " not in body(text, "forward") and "_gather(E, t).mT @ w" in body(text, "forward")
    rng = np.random.default_rng(0)
    inputs = {"t": rng.integers(5, size=(3, 4)), "E": rng.normal(size=(5, 2)), "w": rng.normal(size=(3, 4))}
    assert_means(nd.derive(text), nd.derive(text).compile(), inputs, rng)


@pytest.mark.parametrize(("text", "written"), {
    "x[N,T,D], int size[N] -> y\ny[n,d] = sum[t](where(t < size[n], x[n,t,d], 0))": "x.mT @ (np.arange(T) < size[:, None])",
    "x[N,T], int m[T] -> y\ny[n] = sum[t](where(m[t] > 0, x[n,t], 0))": "y = x @ (m > 0).astype(dtype)",
}.items())
def test_a_condition_on_what_is_summed_is_a_factor_of_the_product(text: str, written: str) -> None:
    assert written in body(text, "forward") and " @ " not in body(text, "forward", without=("indicator", "rows"))
    d, rng, sizes = nd.derive(text), np.random.default_rng(0), {"N": 3, "T": 4, "D": 2, "M": 5}
    inputs = {i.name: rng.normal(size=[r.value(sizes) for r in i.dims]) if i.kind == "real"
              else rng.integers(3, size=[r.value(sizes) for r in i.dims]) for i in d.forward.inputs}
    for without in ((), ("indicator",)):
        assert_means(d, d.compile(without=without), inputs, rng)
