"""The passes: what each does to the text, that it can be left out, and that all are described in their order."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.facts import Facts
from nnderiv.integer import Int
from nnderiv.lower import passes
from nnderiv.lower.passes import FORMS, PASSES
from tests.emitted import ATTENTION, CHAIN, DENSE, ELMAN, GATED, GATES, HALVES, LSTM, RELATIVE, body
from tests.running import assert_means
from tests.test_factorisations import CHOLESKY

CAUSAL = """
S[N,N], V[N,E] -> Y
A[i,j] = softmax[j](where(j <= i, S[i,j], -inf))
Y[i,e] = sum[j](A[i,j]*V[j,e])
"""
GATED_SUM = "x[N,T], g[T], b[T] -> y\ny[n,t] = b[t]*relu(g[t]*x[n,t] + b[t])"
ROTATED = "q[N,D], k[M,D], r[N,D], l[M,D] -> S\nS[i,j] = sum[d](q[i,d]*k[j,d] - r[i,d]*l[j,d])"
CROSS_ENTROPY = "Z[N,C], y[N,C] -> L\nL = -sum[n,c](y[n,c]*log_softmax[c](Z[n,c]))"
LABELS = "Z[N,C], int y[N] -> L\np[n,c] = log_softmax[c](Z[n,c])\nL = -sum[n](p[n,y[n]])/N"
SMOOTHED = "Z[N,C], int y[N], e -> L\np[n,c] = log_softmax[c](Z[n,c])\nL = -sum[n]((1-e)*p[n,y[n]] + e*sum[c](p[n,c])/C)"
MASKED = "S[N,N], V[N,N] -> Y\nA[i,j] = softmax[j](where(j <= i, S[i,j], -inf))\nY[i,j] = where(j <= i, A[i,j]*V[i,j], 0)"
LATE = "x[N] -> y\ny[i] = where(i > 2, sqrt(sum[k](where(k < 3, y[k], 0))), x[i])"
TURNED_ROWS = """R[M,D], x[N,D], int r[N] -> y, z
y[n,d] = x[n,d]*cos(R[r[n],d])
z[n,d] = x[n,d]*R[r[n],d]"""
CHANGING_CHAIN = "s[T,K], A[K,K], g[T] -> a\na[0,k] = s[0,k]\na[t,k] = s[t,k] + logsumexp[j](a[t-1,j] + g[t]*A[j,k])"
TWO_CONVOLUTIONS = """X[N,C,T], Z[N,C,T], K[O,C,3], L[O,C,3] -> Y
Y[n,o,t] = sum[c,u](K[o,c,u]*X[n,c,t+u]) + sum[c,u](L[o,c,u]*Z[n,c,t+u])"""
RANKS = "s[N], t[N] -> L\nL = sum[i,j](where(t[i] > t[j], softplus(s[j] - s[i]), 0))"
CASES: dict[str, tuple[str, str, str]] = {
    # pass: (program, function, what stands there because of it)
    "narrow": ("X[T,I], W[I,F] -> y\nA[t,f] = tanh(sum[i](X[t,i]*W[i,f]))\ny[f] = A[T-1,f]", "forward", "_entry(X, T - 1) @ W"),
    "bare": ("x[T,D], m[D] -> y\ny[t,d] = x[t,d] - m[d]*where(t > 0, x[t-1,d], 0)", "backward", "dy[1:], x[:T - 1])"),
    "beforehand": ("X[T], r -> Y\nY[i] = logsumexp[u](r*X[i+u]) for u < 3", "forward", "X_scaled = r*X"),
    "decayed": ("r[T], g -> G\nG[t] = sum[k](g**k*r[t+k]) for t < T, k < T", "backward", "_scan(g, dG_total[1:], 0)"),
    "factored": ("x[N,I], A[I,R], B[R,O] -> y\ny[n,o] = sum[i,r](x[n,i]*A[i,r]*B[r,o])", "backward", "dA = x.T @ dxA"),
    "one_size": ("x[H], a[P] -> s\nb[i] = x[2*i] + x[2*i+1]\ns = sum[i](a[i]*b[i])", "forward", "np.vdot(a, b)"),
    "balance": ("X[N,D], m[D] -> Y\nY[n,d] = m[d]*exp(X[n,d])/sum[e](m[e]*exp(X[n,e]))", "forward", "_logsumexp(Y_sum_in, 1)"),
    "shifted": ("x[N], z[N] -> y\ny[n] = exp(x[n])/(exp(x[n]) + exp(z[n]))", "forward", "y_exp = z - x"),
    "normalised": (CROSS_ENTROPY, "backward", "np.exp(Z_log"),
    "summands": (LABELS, "backward", "dZ = Z_exp*"),
    "sparse": (SMOOTHED, "backward", "_add_at(dZ, y[:, None], "),
    "other_side": ("x[N] -> y\ny[n] = log(sigmoid(x[n]))", "backward", "1 + np.exp(x)"),
    "recall": ("x[N,K] -> y\ny[n,k] = gelu(x[n,k])", "forward", "y_normal = _normal(x)"),
    "on_diagonal": (CHOLESKY, "forward", "C_on[j] = np.sqrt(C_in)"),
    "looked_up": (TURNED_ROWS, "forward", "y_cos = np.cos(R_at)"),
    "thresholds": ("x[N] -> y\ny[n] = x[n]*max(min(x[n] + 3, 6), 0)/6", "backward", "_slope(3, np.abs(x), dtype)"),
    "by_group": ("X[N,D], W[E,D,K], int t[N] -> Y\nY[n,k] = sum[d](X[n,d]*W[t[n],d,k])", "forward", "_by_group(X, W, t)"),
    "one_window": (TWO_CONVOLUTIONS, "forward", "windows2.product("),
    "one_place": ("x[N,K], int y[N] -> L\nL = sum[n,k](where(k == y[n], log(x[n,k]), 0))", "forward", "_gather(x, np.arange(N), y)"),
    "turned": ("o[N], y[N] -> L\nL = mean[n]((o[n] - y[n])**2)", "backward", "dy = -do"),
    "gathered": (TURNED_ROWS, "backward", "dR = _scatter(dz*x - dy*x*np.sin(R_at), (M, D), r)"),
    "from_output": ("X[N,I], W[I,O] -> Y\nY[n,o] = relu(sum[i](X[n,i]*W[i,o]))", "backward", "Y > 0"),
    "slopes": ("C[N,M] -> L\nR[0,0] = C[0,0]\nR[i,j] = C[i,j] + min(R[i-1,j], R[i,j-1])\nL = R[N-1,M-1]", "backward",
               "dR_pre[:N - 1] = _slope("),
    "branches": ("z[N], w[N], int y[N] -> l\nl[n] = where(y[n] == 1, sin(z[n]), sin(w[n]))", "forward", "l = _where("),
    "both_sides": ("z[N], y[N] -> l\nl[n] = -y[n]*log(sigmoid(z[n])) - (1 - y[n])*log(1 - sigmoid(z[n]))", "forward", "-np.abs(z)"),
    "sign": ("z[N], y[N] -> L\nL = sum[n](relu(1 - y[n]*z[n]))/N", "backward", "dz = y/(-N)*part"),
    "guarded": ("x[N] -> y\ne[n] = exp(x[n]) - 1\ny[n] = where(x[n] > 0, x[n], e[n])", "backward", "_only_where("),
    "gate": (GATED_SUM, "backward", "dx = dy_on*(b*g)"),
    "exchange": (ATTENTION, "backward", "np.vecdot(dY, Y)"),
    "stacked": (GATES, "forward", "Wifg = np.stack((Wi, Wf, Wg))"),
    "in_one": (LSTM, "forward", "_sigmoid(z.swapaxes(0, 1), out=z_sigmoid[t])"),
    "held": ("e[N] -> y\ny[n] = where(abs(e[n]) <= 2, e[n]**2/2, 2*abs(e[n]) - 2)", "backward", "de = e.clip(-2, 2)"),
    "continued": ("x[N] -> y\ny[n] = where(x[n] > 0, x[n], exp(x[n]) - 1)", "backward", "dx = dy*y_exp"),
    "whole_steps": ("X[I], K[4] -> Y\nY[a] = sum[u](where((a+1-u)%2 == 0, X[(a+1-u)//2]*K[u], 0)) for a < 2*I",
                    "backward", "dK = _windows(dY, (-1, (4, 1), (I, 2))) @ X"),
    "axis_by_axis": ("X[H,W] -> Y\nY[i,j] = mean[u,v](X[4*i+u,4*j+v]) for u < 4, v < 4", "backward", "dX_rows"),
    "written_out": ("X[N,H,W] -> Y\nY[n,i,j] = max[u,v](X[n,2*i+u,2*j+v]) for i < H//2, j < W//2, u < 2, v < 2", "forward",
                    "Y_rows = np.maximum(X[:, :2*n_i:2], X[:, 1::2])"),
    "one_block": ("q[T,F], k[T,F] -> S\nS[h,i,j] = sum[d](q[i,h*(F//4)+d]*k[j,h*(F//4)+d]) for h < 4, d < F//4",
                  "backward", "dq = dq_split"),
    "split": ("x[N,2*P], c[P] -> y\ny[n,d] = where(d%2 == 0, -x[n,d+1], x[n,d-1])*c[d//2] for d < 2*P", "forward", "out=y_split[:, :, 1])"),
    "spread": ("X[N,H] -> Y\nY[n,i] = mean[u](X[n,3*i+u]) for u < 3", "backward", "for r in range(3):"),
    "running": ("x[T,N] -> y\ny[t,n] = sum[s](where(s <= t, x[s,n], 0)) for t < T", "backward", "_accumulate(np.add, dx[::-1], 0)"),
    "skew": (RELATIVE, "forward", "A_skewed = Q @ R.T"),
    "distribute": (ROTATED, "forward", "S = q @ k.T\n    S -= r @ l.T"),
    "scaled": (ATTENTION, "backward", "dK = dS.T @ Q_scaled"),
    "inline": (ATTENTION, "backward", "-= np.vecdot(dY, Y)[:, None]"),
    "unmask": (MASKED, "forward", "Y = A*V\n"),
    "apart": ("z[N,2,K] -> y\ny[n,k] = sigmoid(z[n,0,k])*z[n,1,k]", "backward", "out=dz[:, 1])"),
    "blocks": (HALVES, "backward", "out=da[:, H:]"),
    "remembered": ("a[N], b[N] -> y\ny[n] = a[n]*sigmoid(b[n])", "backward", "db = da*(a - y)"),
    "pieces": (ELMAN, "backward", "dh0 = dh_in[0] @ W"),
    "carry": (GATED, "backward", "_carry[t + 1]"),
    "at_once": (GATES, "backward", "np.multiply(dh_total, difg_in_pre[t], out="),
    "hoist": (ELMAN, "forward", "@ U.T"),
    "common": (CHANGING_CHAIN, "backward", "da_total_pre[:T - 1]*"),
    "bracketed": ("x[N,K] -> y\ny[n,k] = exp(x[n,k]) + mean[l](exp(x[n,l]))", "backward", "dx = y_exp*(dy + (_row_sums(dy)/K)[:, None])"),
    "untangle": (LATE, "forward", "for i in range(N):"),
    "accumulate": ("x[T,N] -> y\ny[t,n] = y[t-1,n] + x[t,n]", "forward", "_accumulate(np.add, y, 0)"),
    "share": ("x[N,M], m[N] -> y, z\ny[n,k] = (x[n,k] - m[n])**2\nz[n,k] = sin(x[n,k] - m[n])", "forward", "part = x - m[:, None]"),
    "masks": ("X[H,W] -> Y\nY[i,j] = max[u,v](X[2*i+u,2*j+v]) for u < 2, v < 2", "backward", "hits.append(hit)"),
    "invariant": (ELMAN, "forward", "WT = np.ascontiguousarray(W.T)"),
    "buffers": ("x[N,K], g[N], b[N] -> y\ny[n,k] = x[n,k]*g[n] + b[n]", "forward", "_in_short_buffers(K, forward, x=x, g=g, b=b)"),
    "abreast": ("x[N,K], g[K], b[K] -> y\ny[n,k] = x[n,k]*g[k] + b[k]", "forward", "y = _abreast(np.multiply, x, g)"),
    "dot": (ELMAN, "forward", "h[t].dot(WT)"),
    "in_place": (DENSE, "forward", "Y = np.tanh(Y_in, out=Y_in)"),
    "nest": (ATTENTION, "forward", "_softmax("),
    "rows": ("x[N,A,B] -> y\ny[n] = sum[a,b](x[n,a,b]**2)", "forward", "np.vecdot(x_flat, x_flat)"),
    "spots": ("z[N,K], int y[N] -> s\ns[n] = z[n,y[n]]**2", "backward", "_add_at(dz, y[:, None], "),
    "slabs": ("x[T] -> L\nL = sum[t](abs(x[t+1] - x[t]))", "backward", "dx[:T - 1] -= part"),
    "indicator": ("x[N,K] -> y\ny[n,k] = relu(x[n,k])", "backward", "dx = dy*(y > 0)"),
    "few": ("x[N,C,I], g[C], s[N] -> y\ny[n,c,i] = g[c]*x[n,c,i]/s[n]", "forward", "y = x*(g/s[:, None])[..., None]"),
    "clip": (DENSE.replace("tanh", "relu"), "forward", ".clip(0, np.inf, out="),
    "rolls": ("x[N,X] -> y\ny[n,i] = x[n,(i+1)%X]*x[n,i]", "forward", "np.roll(x, -1, 1)"),
    "wrapped": ("x[N,C,H], K[O,C,3] -> y\ny[n,o,i] = sum[c,u](K[o,c,u]*x[n,c,(i+u-1)%H]) for i < H", "forward", "_around(x, 2, -1, H + 2)"),
    "digits": ("x[N,4*C,H] -> y\ny[n,c,i] = x[n,4*c+i%4,i//4] for c < C, i < 4*H", "forward", ".copy().reshape(N, C, 4*H)"),
    "squares": ("x[N] -> y\ny[n] = x[n]**7", "forward", "y = (x**2*x)**2"),
    "front": ("A[K,K], x[N,K] -> y\ny[n,k] = max[j](A[j,k] + x[n,j])", "forward", "(A[:, None] + x.T[..., None]).max(0, initial"),
    "log_products": (CHAIN, "forward", "_log_product(a[:, t - 1], A, part)"),
    "differences": ("x[N,D], c[M,D] -> y\ny[n,k] = sum[d]((x[n,d] - c[k,d])**2)", "forward", "y = _square_distances(x[:, None], c)"),
    "mirror": (RANKS, "backward", "ds = _row_sums(ds_of) - _column_sums(ds_of)"),
}
REMEMBERED = {  # equations -> what stands in the gradient
    "y[n,h] = silu(x[n,h])": "dx = dy*y_sigmoid*(1 + (x - y))",
    "y[n,h] = x[n,h]*sigmoid(z[n,h])": "dz = dx*(x - y)",
    "y[n,h] = x[n,h]*sigmoid(x[n,h]*z[n,h])": "dz = dy*y*part",
    "y[n,h] = silu(x[n,h])*z[n,h]": "dx = dy*(y_sigmoid*z + y*(1 - y_sigmoid))",
    "y[n,h] = x[n,h]*sigmoid(x[n,h+1]) for h < H": "dx[:, 1:]",
    "y[h,n] = x[n,h]*sigmoid(z[n,h])": "dz = dx*(x - y.T)",
    "w[n,h] = x[n,h]*sigmoid(z[n,h])\ny[n,h] = w[n,h]*exp(w[n,h])": "(x - w)",
}


@pytest.mark.parametrize("equations", REMEMBERED)
def test_a_product_that_the_caller_gets_is_not_computed_again(equations: str) -> None:
    text = f"x[N,H], z[N,H] -> y\n{equations}"
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert REMEMBERED[equations] in body(text, "backward")
    assert_means(d, d.compile(), {"x": rng.normal(size=(4, 5)), "z": rng.normal(size=(4, 5))}, rng)


@pytest.mark.parametrize("equations", [
    "w[n,h] = x[n,h]*sigmoid(z[n,h])\ny[n,h] = tanh(w[n,h])",     # w is not kept
    "y[n,h] = x[n,h]*z[n,h] + x[n,h]*(1 - z[n,h])",
    "y[n,h] = x[n,h]*z[n,h]\nu[n,h] = exp(x[n,h]*(1 - z[n,h]))",  # z is as it came, and 1 − z exact
])
def test_what_is_not_kept_or_would_lose_digits_is_computed_again(equations: str) -> None:
    outputs = "y, u" if "u[" in equations else "y"
    d = nd.derive(f"x[N,H], z[N,H] -> {outputs}\n{equations}")
    assert d.numpy() == d.numpy(without=("remembered",))


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


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("nest", "hoist")])
def test_a_pass_does_what_it_says_and_can_be_left_out(name: str) -> None:
    text, function, mark = CASES[name]
    assert mark in body(text, function)
    assert mark not in body(text, function, without=(name,))


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


def test_a_distance_is_kept_for_its_gradient() -> None:
    text = "x[N], y[N] -> L\nL = sum[n](sqrt(x[n]**2 + y[n]**2))"
    assert "np.sqrt(" in body(text, "forward") and "np.sqrt(" not in body(text, "backward")


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


def test_a_quotient_that_goes_into_a_sum_leaves_no_1_before_it() -> None:
    text = "S[N,M], s -> Y\nY[i,j] = exp(S[i,j])/(exp(s) + sum[k](exp(S[i,k])))"
    assert "1*sum" not in nd.derive(text).numpy()


@pytest.mark.parametrize(("text", "forward", "backward"), [
    ("x[N,K], z[N,K] -> y\ny[n,k] = gelu(x[n,k])*z[n,k]", "y_normal = _normal(x)", "dz = dy*x*y_normal"),
    ("x[N,K] -> y\ny[n,k] = x[n,k]*(1 + erf(x[n,k]/sqrt(2)))/2", "y_normal = _normal(x)", "+= y_normal"),
    ("x[N,K] -> y\nP[n,k] = (1 + erf(x[n,k]/sqrt(2)))/2\ny[n,k] = x[n,k]*P[n,k]", "P = _normal(x)", "dy*P"),
    ("x[N,K] -> y\ny[n,k] = tanh(gelu(tanh(x[n,k])))", "y_normal = _normal(y_tanh)", "+= y_normal"),
    ("x[N,K], z[N,K] -> y\ny[n,k] = silu(x[n,k])*z[n,k]", "y_sigmoid = _sigmoid(x)", "dz = dy*x*y_sigmoid"),
    ("x[N,K], a -> y\ny[n,k] = where(x[n,k] > 0, x[n,k], a*(exp(x[n,k]) - 1))", "y_exp = x.clip(-np.inf, 0)",
     "dx = _where(x > 0, dtype.type(1), a*y_exp)"),
    ("x[N,K] -> y, p\np[n,k] = sigmoid(x[n,k])\ny[n,k] = softplus(x[n,k])*p[n,k]", "y_softplus = _softplus(x)", ""),
])
def test_a_function_is_computed_once_whatever_name_it_goes_by(text: str, forward: str, backward: str) -> None:
    assert forward in body(text, "forward") and backward in body(text, "backward")
    assert not re.search(r"_erf\(|_normal\(|_sigmoid\(", body(text, "backward"))


def test_a_sign_is_not_written_over_what_it_is_taken_of() -> None:
    assert "out=" not in body("x[N], z[N] -> L\nL = sum[n](abs(x[n] - z[n]))", "backward")


@pytest.mark.parametrize(("loss", "written"), [
    ("-mean[n](log(sigmoid(t[n]*x[n])))", "L = dtype.type(part.sum()/N)"),
    ("-sum[n](t[n]*log(sigmoid(x[n])))", "np.vdot(t, L_softplus)"),
    ("-sum[n](t[n]*log(sigmoid(x[n])) + (1 - t[n])*log(1 - sigmoid(x[n])))", "L = dtype.type(part.sum())"),
])
def test_a_logarithm_and_the_minus_before_the_sum_need_none(loss: str, written: str) -> None:
    text = f"x[N], t[N] -> L\nL = {loss}"
    assert written in body(text, "forward") and "type(-" not in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=5), "t": rng.normal(size=5)}, rng)


def test_a_difference_is_written_over_what_nobody_reads_any_more() -> None:
    """NumPy finds the memory of c/2 in d + c/2, but not in d − c/2: there d gives its own, if it has a name and no reader left."""
    text = "o[N], y[N] -> L\nL = mean[n](where(abs(o[n] - y[n]) < 1, 0.5*(o[n] - y[n])**2, abs(o[n] - y[n]) - 0.5))"
    assert "part -= L_held/2" in body(text, "forward")
    assert "part - L_held/2" in body(text, "forward", without=("in_place", "by_part"))


def test_the_work_of_a_chain_grows_with_its_length_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in integer expressions that are made, to derive and to emit."""
    made, init = [0], Int.__init__

    def counted(self: Int, terms: Any) -> None:
        made[0] += 1
        init(self, terms)

    def per_layer(layers: int) -> float:
        inputs = ["X[N,D0]", *(f"W{k}[D{k},D{k + 1}], b{k}[D{k + 1}]" for k in range(layers))]
        before = ["X", *(f"h{k}" for k in range(layers - 1))]
        equations = [f"h{k}[n,o] = tanh(sum[i]({x}[n,i]*W{k}[i,o]) + b{k}[o])" for k, x in enumerate(before)]
        made[0] = 0
        nd.derive(f"{', '.join(inputs)} -> h{layers - 1}\n" + "\n".join(equations)).numpy()
        return made[0]/layers

    monkeypatch.setattr(Int, "__init__", counted)
    few, many = per_layer(10), per_layer(60)
    assert few > 0 and many < 1.2*few
