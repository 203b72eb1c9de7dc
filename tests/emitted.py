"""Programs, and what is emitted for them, as tests look at it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

import nnderiv as nd
from nnderiv.lower.runtime import needed

ATTENTION = """
Q[N,D], K[M,D], V[M,E] -> Y
S[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)
P[i,j] = softmax[j](S[i,j])
Y[i,e] = sum[j](P[i,j]*V[j,e])
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
GATES = """
x[T,N,I], Ui[H,I], Uf[H,I], Ug[H,I], Wi[H,H], Wf[H,H], Wg[H,H], b[3,H] -> h
i[t,n,k] = sigmoid(sum[j](Ui[k,j]*x[t,n,j]) + sum[l](Wi[k,l]*h[t-1,n,l]) + b[0,k])
g[t,n,k] = tanh(sum[j](Ug[k,j]*x[t,n,j]) + sum[l](Wg[k,l]*h[t-1,n,l]) + b[2,k])
f[t,n,k] = sigmoid(sum[j](Uf[k,j]*x[t,n,j]) + sum[l](Wf[k,l]*h[t-1,n,l]) + b[1,k])
h[t,n,k] = f[t,n,k]*h[t-1,n,k] + i[t,n,k]*g[t,n,k]
"""
LSTM = """
x[T,N,I], U[4,H,I], W[4,H,H], b[4,H] -> h
z[t,n,g,k] = sum[j](U[g,k,j]*x[t,n,j]) + sum[l](W[g,k,l]*h[t-1,n,l]) + b[g,k]
c[t,n,k] = sigmoid(z[t,n,1,k])*c[t-1,n,k] + sigmoid(z[t,n,0,k])*tanh(z[t,n,2,k])
h[t,n,k] = sigmoid(z[t,n,3,k])*tanh(c[t,n,k])
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
DENSE = "X[N,I], W[I,O], b[O] -> Y\nY[n,o] = tanh(sum[i](X[n,i]*W[i,o]) + b[o])"
HALVES = "x[N,D], W[D,2*H] -> y\na[n,k] = sum[d](x[n,d]*W[d,k])\ny[n,h] = tanh(a[n,h])*a[n,h+H] for h < H"
LARGE = np.array([[1e4, -1e4, 0, 9e3], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, 1e4, 1e4], [0, 1, 2, 3], [-1e4, 1e4, 5, -5]])


def body(text: str, function: str, without: tuple[str, ...] = ("by_part",), sizes: dict[str, int] | None = None) -> str:
    """The text of one emitted function without its comments; arrays are worked on as a whole, unless `without` says otherwise."""
    source = nd.derive(text).numpy(sizes=sizes, without=without)
    found = re.search(rf"^def {function}\(.*?(?=^\S|\Z)", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return re.sub(r" *#.*", "", found.group())


def run(module: Any, seeds: dict[str, Any], **inputs: Any) -> tuple[Any, Any]:
    y, residuals = module.forward(**inputs)
    return y, module.backward(residuals, **seeds)


def logsumexp(x: Any) -> Any:
    m = x.max(-1, keepdims=True)
    return (m + np.log(np.exp(x - m).sum(-1, keepdims=True)))[..., 0]


def helpers() -> dict[str, Any]:
    """The helpers of emitted modules, loaded."""
    found: dict[str, Any] = {"np": np}
    exec(needed("_where _masked _only_where _slope _extreme _row_sums"), found)
    return found
