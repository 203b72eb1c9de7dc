"""The laws of sums with conditions: each alone, and none changes a value."""

from __future__ import annotations

import pytest

import nnderiv as nd
from nnderiv.tidy import tidy


def gradient(text: str, name: str) -> str:
    return str(nd.derive(text)[name])


CASES = {
    "contracting a delta renames the index":
        ("W[I,O], x[I] -> y\ny[o] = sum[i](W[i,o]*x[i])", "W", "dW[i,o] = dy[o]*x[i]"),
    "an index that occurs nowhere multiplies by its size":
        ("x[N], b -> y\ny[n] = x[n] + b", "b", "db = sum[n](dy[n])"),
    "a sum over a constant is a multiple":
        ("b, x[N] -> L\nL = sum[n](b**2)  for n < N", "b", "db = 2*N*b"),
    "the seed guards its own range":
        ("X[H], W[U] -> Y\nY[i] = sum[u](W[u]*X[i+u])", "X", "dX[a] = sum[u](dY[a-u]*W[u])"),
    "a stride leaves a parity condition":
        ("x[N], y[M] -> L\nL = sum[i](y[i]*x[2*i]) for i < M", "x", "dx[a] = where(a % 2 == 0, y[a//2], 0)"),
    "a condition that no summed index touches stands before the sum":
        ("X[T,I], W[I,F] -> y\ny[f] = sum[i](X[T-1,i]*W[i,f])", "X", "dX[a,i] = where(a == T - 1, sum[f](dy[f]*W[i,f]), 0)"),
    "a diagonal keeps its delta":
        ("A[N,N] -> t\nt = sum[i](A[i,i])", "A", "dA[i,a] = where(i == a, 1, 0)"),
    "a trace of a product is a transpose":
        ("A[N,M], B[M,N] -> t\nt = sum[i,j](A[i,j]*B[j,i])", "A", "dA[i,j] = B[j,i]"),
}


@pytest.mark.parametrize("law", CASES)
def test_law(law: str) -> None:
    text, name, expected = CASES[law]
    assert gradient(text, name) == expected
    assert nd.derive(text).check(code=False).ok


def test_a_given_sum_is_used() -> None:
    text = "o[N,M], y[N,M] -> L\nL = -sum[n,m](y[n,m]*log_softmax[m](o[n,m]))"
    with_fact = str(nd.derive(text + "\ngiven sum[m](y[n,m]) = 1").backward)
    without = str(nd.derive(text).backward)
    assert len(with_fact) < len(without)
    assert nd.derive(text + "\ngiven sum[m](y[n,m]) = 1").check(code=False).ok


def test_simplifying_is_idempotent_on_what_is_printed() -> None:
    for text, _, _ in CASES.values():
        printed = str(nd.derive(text).backward)
        assert str(nd.parse(printed)) == printed
        assert str(tidy(nd.parse(printed))) == printed


# What a lecturer would write, from programs that say it the long way round.
TEXTBOOK = {
    "logistic regression is p − y, whichever way the loss is written":
        ("X[N,D], w[D], y[N] -> L\np[n] = sigmoid(sum[d](X[n,d]*w[d]))\nL = -sum[n](y[n]*log(p[n]) + (1 - y[n])*log(1 - p[n]))",
         "w", "dp_sum[n] = p[n] - y[n]"),
    "softmax with cross-entropy is P − Y, whichever way the loss is written":
        ("Z[N,C], y[N,C] -> L\nP[n,c] = softmax[c](Z[n,c])\nL = -mean[n](sum[c](y[n,c]*log(P[n,c])))\ngiven sum[c](y[n,c]) = 1",
         "Z", "dZ[n,c] = (P[n,c] - y[n,c])/N"),
    "the gradient through a mean has no term of the deviations, which add up to 0":
        ("x[N,D], eps -> y\nm[n] = mean[d](x[n,d])\nv[n] = mean[d]((x[n,d] - m[n])**2)\ns[n] = sqrt(v[n] + eps)\n"
         "y[n,d] = (x[n,d] - m[n])/s[n]", "x", "dm[n] = -sum[d](dy[n,d])/s[n]"),
    "so it is where the mean is that of a group":
        ("x[N,C], g[C], int G, eps -> y\nm[n,q] = mean[d](x[n,q*(C//G)+d]) for q < G, d < C//G\n"
         "v[n,q] = mean[d]((x[n,q*(C//G)+d] - m[n,q])**2) for q < G, d < C//G\n"
         "y[n,c] = g[c]*(x[n,c] - m[n,c//(C//G)])/sqrt(v[n,c//(C//G)] + eps)", "x",
         "dm[n,q] = -sum[r](dy[n,q*(C//G)+r]*g[q*(C//G)+r])/sqrt(v[n,q] + eps)  for r < C//G"),
    "a quotient is recognised in its derivative":
        ("a[N], b[N], c[N] -> y\nq[n] = (a[n] - b[n])/c[n]\ny[n] = sin(q[n])", "c", "dc[n] = -dq[n]*q[n]/c[n]"),
    "an index that is an element of data lies within the range of the index":
        ("a[D,D], b[D,D], int u[N], t[N] -> L\nL = sum[n,d](a[d,u[n]]/b[d,u[n]]*exp(b[d,u[n]]*t[n]))",
         "a", "da[d,c] = sum[n](where(u[n] == c, exp(b[d,c]*t[n])/b[d,c], 0))"),
    "a table whose first row and column are defined apart is one table":
        ("c[N,M] -> R\nR[0,0] = c[0,0]\nR[i,0] = c[i,0] + R[i-1,0]\nR[0,j] = c[0,j] + R[0,j-1]\n"
         "R[i,j] = c[i,j] + R[i-1,j]*R[i,j-1]", "c",
         "dc[i,j] = dR_total[i,j]"),
    "what a condition asks already is not asked in it":
        ("x[N], int z[N] -> L\nL = sum[n](log(exp(x[n]) + where(n >= 1 and z[n] != 0, exp(x[n-1]), 0)))", "x",
         "dx[n] = where(1 <= n, exp(x[n])/(exp(x[n]) + where(n >= 1 and z[n] != 0, exp(x[n-1]), 0)), 0)"
         " + where(n + 1 < N and z[n+1] != 0, exp(x[n])/(exp(x[n+1]) + exp(x[n])), 0)"),
    "a temperature cancels where it divides elsewhere":
        ("x[K], tau -> y\ny = tau*logsumexp[k](x[k]/tau)", "tau", "dtau = y_lse - sum[k](exp(x[k]/tau - y_lse)*x[k])/tau"),
    "what a quotient is shifted by has no gradient, also where it is read a step ahead":
        ("x[T], w -> y\nn[t] = max(h[t-1], x[t])\nh[t] = tanh(w*h[t-1] + x[t])\n"
         "y[t] = exp(h[t-1] - n[t])/(exp(h[t-1] - n[t]) + exp(x[t] - n[t]))", "w", "dw = sum[t](dh[t]*h[t-1]*(1 - h[t]**2))"),
    "row softmax is P (dP − rowsum)":
        ("X[N,D] -> P\nP[n,d] = softmax[d](X[n,d])", "X", "dX[n,d] = P[n,d]*(dP[n,d] + dP_lse[n])"),
}


@pytest.mark.parametrize("m, is_mean", [
    ("mean[d](x[n,2*q+d]) for q < C//2, d < 2", True), ("mean[d](x[n,2*q+d]) for q < C//2 - 1, d < 2", True),
    ("sum[d](x[n,2*q+d])/3 for q < C//2, d < 2", False), ("mean[d](x[n,2*q+d+1]) for q < C//2, d < 2", False),
    ("mean[d](x[n,2*q+d]) for q < C//2, d < 1", False),
])
def test_deviations_add_up_to_nothing_from_the_mean_of_their_own_group_only(m: str, is_mean: bool) -> None:
    d = nd.derive(f"x[N,C], w[N,C] -> y\nm[n,q] = {m}\ny[n,q] = sum[d](w[n,q]*(x[n,2*q+d] - m[n,q])) for q < C//2 + 1, d < 2")
    assert d.check(seed=0).ok
    values = nd.evaluate(d.forward, {"x": [[float(k*k + 1) for k in range(7)]], "w": [[1.0]*7]})["y"][0]
    assert is_mean == all(v == 0 for v in values)


@pytest.mark.parametrize("claim", TEXTBOOK)
def test_the_textbook_form_is_reached(claim: str) -> None:
    text, wrt, line = TEXTBOOK[claim]
    d = nd.derive(text, wrt=[wrt])
    assert line in str(d.backward).splitlines()
    assert d.check(code=False).ok


def test_what_one_equation_comes_to_simplifies_another_at_once() -> None:
    """A table of ones is symmetric, which nobody knows before it is one."""
    simple = tidy(nd.parse("x[T,T] -> y\nc[j,a] = where(2*j + a >= 0, 1, 0) for j < T, a < T\ny[i,j] = x[i,j]*c[j,i]"))
    assert str(simple).endswith("y[i,j] = x[i,j]*c[i,j]") and str(tidy(simple)) == str(simple)
