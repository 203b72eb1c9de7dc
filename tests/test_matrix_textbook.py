# ruff: noqa: E501  a form is one line, as on a page
"""Textbook forms: each gradient's matrix form is the one that a book prints, and its values are those of that formula in NumPy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv import layers
from nnderiv.matrix import matrix_form
from nnderiv.matrix.typeset import matrix_latex

Values = dict[str, Any]
SIZES = dict(N=3, M=2, D=4, I=4, H=3, O=2, C=3, T=3, E=2, K=2, U=2, V=2, W=4, L=2)

# name: text. The forms below say which tensors are looked at.
TEXTS = {
    "least squares": "X[N,D], w[D], y[N] -> L\nr[n] = sum[d](X[n,d]*w[d]) - y[n]\nL = sum[n](r[n]**2)/2",
    "least squares, Hessian": "X[N,D] -> H\nH[c,d] = sum[n](X[n,c]*X[n,d])",
    "logistic regression": "X[N,D], w[D], y[N] -> L\nz[n] = sum[d](X[n,d]*w[d])\nL = sum[n](softplus(z[n]) - y[n]*z[n])",
    "logistic regression, Hessian": "X[N,D], w[D] -> H\np[n] = sigmoid(sum[d](X[n,d]*w[d]))\n"
        "H[c,d] = sum[n](X[n,c]*p[n]*(1 - p[n])*X[n,d])",
    "cross-entropy": "Z[N,C], Y[N,C] -> L\nL = -sum[n,c](Y[n,c]*log_softmax[c](Z[n,c]))\ngiven sum[c](Y[n,c]) = 1",
    "cross-entropy of any rows": "Z[N,C], Y[N,C] -> L\nL = -sum[n,c](Y[n,c]*log_softmax[c](Z[n,c]))",
    "entropy by the log-softmax": "Z[N,C] -> H\nP[n,c] = log_softmax[c](Z[n,c])\nH = -sum[n,c](exp(P[n,c])*P[n,c])",
    "elman in columns": "x[T,I], U[H,I], W[H,H], V[O,H], b[H], c[O], h0[H], y[T,O] -> L\nh[-1,k] = h0[k]\n"
        "z[t,k] = sum[j](U[k,j]*x[t,j]) + sum[l](W[k,l]*h[t-1,l]) + b[k]\nh[t,k] = tanh(z[t,k])\n"
        "o[t,m] = sum[k](V[m,k]*h[t,k]) + c[m]\nL = sum[t,m]((o[t,m] - y[t,m])**2)/2",
    "attention": "Q[N,D], K[M,D], V[M,E] -> O\nS[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)\nP[i,j] = softmax[j](S[i,j])\n"
        "O[i,e] = sum[j](P[i,j]*V[j,e])",
    "attention, K = V = X": "Q[N,D], X[M,D] -> O\nS[i,j] = sum[d](Q[i,d]*X[j,d])/sqrt(D)\nP[i,j] = softmax[j](S[i,j])\n"
        "O[i,e] = sum[j](P[i,j]*X[j,e])",
    "attention, Q = K = V = X": "X[N,D] -> O\nS[i,j] = sum[d](X[i,d]*X[j,d])/sqrt(D)\nP[i,j] = softmax[j](S[i,j])\n"
        "O[i,e] = sum[j](P[i,j]*X[j,e])",
    "RMS norm": "X[N,D], g[D], eps -> Y\ns[n] = mean[d](X[n,d]**2)\nY[n,d] = g[d]*X[n,d]/sqrt(s[n] + eps)",
    "RMS norm, its scale a tensor": "X[N,D], g[D] -> Y\nr[n] = sqrt(mean[d](X[n,d]**2) + 0.00001)\nY[n,d] = g[d]*X[n,d]/r[n]",
    "RMS norm in one line": "X[N,D], g[D] -> Y\nY[n,d] = g[d]*X[n,d]/sqrt(mean[k](X[n,k]**2) + 0.00001)",
    "layer norm, a number for eps": "X[N,D], gamma[D], beta[D] -> Y\nmu[n] = mean[d](X[n,d])\nvar[n] = mean[d]((X[n,d] - mu[n])**2)\n"
        "Y[n,d] = gamma[d]*(X[n,d] - mu[n])/sqrt(var[n] + 0.00001) + beta[d]",
    "layer norm in one line": "X[N,D], gamma[D], beta[D], eps -> Y\n"
        "Y[n,d] = gamma[d]*(X[n,d] - mean[k](X[n,k]))/sqrt(mean[k]((X[n,k] - mean[l](X[n,l]))**2) + eps) + beta[d]",
    "ridge regression": "X[N,D], w[D], y[N], lam -> L\nL = sum[n]((sum[d](X[n,d]*w[d]) - y[n])**2)/2 + lam*sum[d](w[d]**2)/2",
    "autoencoder": "X[N,D], W[D,K], V[K,D] -> L\nH[n,k] = sigmoid(sum[d](X[n,d]*W[d,k]))\nR[n,d] = sum[k](H[n,k]*V[k,d])\n"
        "L = sum[n,d]((R[n,d] - X[n,d])**2)/(2*N)",
    "Gaussian kernel": "X[N,D] -> K\nK[n,m] = exp(-sum[d]((X[n,d] - X[m,d])**2)/2)",
    "matrix factorisation": "R[N,M], U[N,K], V[M,K], lam -> L\nE[n,m] = R[n,m] - sum[k](U[n,k]*V[m,k])\n"
        "L = sum[n,m](E[n,m]**2)/2 + lam*(sum[n,k](U[n,k]**2) + sum[m,k](V[m,k]**2))/2",
    "GELU": "z[N] -> y\ny[n] = gelu(z[n])",
    "a weight that is a word": "X[N,D], lam, rate -> Y\nY[n,d] = lam*rate*X[n,d]",
    "convolution of signals": "x[T], w[K] -> y\ny[t] = sum[k](w[k]*x[t-k]) for t < T + K - 1",
    "three-dimensional convolution": "X[D,H,W], K[3,3,3] -> Y\n"
        "Y[i,j,k] = sum[u,v,w](K[u,v,w]*X[2*i+u-1,2*j+v-1,2*k+w-1]) for i < (D+1)//2, j < (H+1)//2, k < (W+1)//2",
    "every second element along three axes": "x[N,M,K] -> y\ny[i,j,k] = x[2*i,2*j,2*k]",
} | {name: layer.text for name, layer in layers.ALL.items()}


def plain(latex: str) -> str:
    r"""LaTeX with less ink: \mathrm{d}W -> dW, W^{\top} -> W^T, \mathbf{1} -> 1. One to one on what stands in the forms below."""
    for old, new in ((r"\mathrm{d}", "d"), (r"\mathbf{1}", "1"), (r"^{\top}", "^T"), (r"\top", "T"), (r"\,", " "), (r"\odot", "⊙"),
                     (r"\oslash", "⊘"), (r"\operatorname{softmax}_{\mathrm{row}}", "softmax"), (r"\operatorname", ""),
                     (r"\frac{1}{\sqrt{D}}", "1/√D"), (r"\frac{1}{D}", "1/D"), (r"\frac{1}{N}", "1/N"), (r"\left(", "("), (r"\right)", ")"),
                     (r",\qquad \text{where } ", " where "), (r",\quad ", ", "), (r"\qquad \text{for every }", "for every"),
                     (r"\mathrm{in}", "in"), (r"\ast", "∗"), (r"\star", "⋆"), (r"{\uparrow_{s}}", "↑s"), (r"{\uparrow_{d}}", "↑d"),
                     (r"{\downarrow_{d}}", "↓d"), (r"{crop}_{p}", "crop_p"), (r"{pad}_{p}", "pad_p"), (r"{diag}", "diag"), (r"\sum", "Σ")):
        latex = latex.replace(old, new)
    return latex


VALID = r"(A ⋆ B)_{i} = Σ_{u} A_{i+u} B_{u} \text{ (valid)}"
FULL = r"(A ∗ B)_{i} = Σ_{u} A_{i-u} B_{u} \text{ (full)}"
VALID2 = r"(A ⋆ B)_{i,j} = Σ_{u,v} A_{i+u,j+v} B_{u,v} \text{ (valid)}"
FULL2 = r"(A ∗ B)_{i,j} = Σ_{u,v} A_{i-u,j-v} B_{u,v} \text{ (full)}"
OUTSIDE = r"\text{what lies outside is } 0"
UP2 = r"(↑s A)_{i,j} = [s \mid i \land s \mid j] A_{i/s,j/s}"
DOWN2 = r"({\downarrow_{s}} A)_{i,j} = A_{s i,s j}"

NORMAL = r"\Phi(x) = \frac{1}{2} (1 + {erf}(x/\sqrt{2})), \varphi(x) = \exp(-x^{2}/2)/\sqrt{2 \pi}"

FORMS = {
    "dense": ("dX = dY W^T", "dW = X^T dY", "db = dY^T 1"),
    "least squares": ("r = X w - y", "dw = X^T r", "dX = r w^T", "dy = -r"),
    "least squares, Hessian": ("H = X^T X", "dX = X (dH + dH^T)"),
    "logistic regression": (r"dz = \sigma(z) - y", "dw = X^T dz"),
    "logistic regression, Hessian": ("H = X^T diag(p ⊙ (1 - p)) X",),
    "cross-entropy": ("dZ = P - Y where P = softmax(Z)",),
    "cross-entropy of any rows": ("dZ = P ⊙ (Y 1 1^T) - Y where P = softmax(Z)",),
    "cross_entropy": ("dZ = 1/N (P - y) where P = softmax(Z)",),
    "mlp": ("da_{2}^{in} = (dY W_{3}^T) ⊙ [a_{2}^{in} > 0]", "da_{1}^{in} = (da_{2}^{in} W_{2}^T) ⊙ [a_{1}^{in} > 0]",
            "dX = da_{1}^{in} W_{1}^T", "dW_{1} = X^T da_{1}^{in}", "db_{1} = da_{1}^{inT} 1", "dW_{3} = a_{2}^T dY"),
    "deep_network": (r"dz^{(l)} = (dz^{(l+1)} W^{(l+1)T} + [l = L - 1] dY) ⊙ (1 - a^{(l)} ⊙ a^{(l)})", "dX = dz^{(0)} W^{(0)T}",
                     "dW^{(l)} = a^{(l-1)T} dz^{(l)}", "db^{(l)} = dz^{(l)T} 1"),
    "elman in columns": ("z^{(t)} = U x^{(t)} + W h^{(t-1)} + b", "dz^{(t)} = (W^T dz^{(t+1)} + V^T do^{(t)}) ⊙ (1 - h^{(t)} ⊙ h^{(t)})",
                         "dU = Σ_{t} dz^{(t)} x^{(t)T}", "dW = Σ_{t} dz^{(t)} h^{(t-1)T}", "dV = Σ_{t} do^{(t)} h^{(t)T}",
                         "db = Σ_{t} dz^{(t)}", "dc = Σ_{t} do^{(t)}", "dx^{(t)} = U^T dz^{(t)}", "dh_{0} = W^T dz^{(0)}"),
    "elman_loss": ("dz^{(t)} = (dz^{(t+1)} W + do^{(t)} V) ⊙ (1 - h^{(t)} ⊙ h^{(t)})", "do^{(t)} = P^{(t)} - y^{(t)} where P^{(t)} = softmax(o^{(t)})",
                   "dU = Σ_{t} dz^{(t)T} x^{(t)}", "dW = Σ_{t} dz^{(t)T} h^{(t-1)}", "dV = Σ_{t} do^{(t)T} h^{(t)}", "db = Σ_{t} dz^{(t)T} 1",
                   "dc = Σ_{t} do^{(t)T} 1", "dx^{(t)} = dz^{(t)} U", "dh_{0} = dz^{(0)} W"),
    "perceptron_criterion": (r"\mathrm{dscore} = -y ⊙ [y ⊙ \mathrm{score} < 0]", r"dw = X^T \mathrm{dscore}"),
    "perceptron_dual": (r"\mathrm{score} = G^T (\alpha ⊙ y)", r"d\alpha = y ⊙ (G \mathrm{dscore})"),
    "gram": ("dX = (dG + dG^T) X",),
    "softmax": ("dX = P ⊙ (dP - (P ⊙ dP) 1 1^T)",),
    "log_softmax": (r"P = {logsoftmax}_{\mathrm{row}}(X)", r"dX = dP - \Pi ⊙ (dP 1 1^T) where \Pi = softmax(X)"),
    "entropy by the log-softmax": (r"dP = -\Pi ⊙ (1 + P) where \Pi = softmax(Z)",),
    "attention": ("S = 1/√D Q K^T", "O = P V", "dV = P^T dO", "dP = dO V^T", "dS = P ⊙ (dP - (P ⊙ dP) 1 1^T)", "dQ = 1/√D dS K",
                  "dK = 1/√D dS^T Q"),
    "attention, K = V = X": ("dX = 1/√D dS^T Q + P^T dO", "dQ = 1/√D dS X"),
    "attention, Q = K = V = X": ("dX = 1/√D (dS + dS^T) X + P^T dO",),
    "multi_head_attention": ("dV^{(n,h)} = A^{(n,h)T} dZ^{(n,h)}", r"dW_{\mathrm{o}}^{(h)} = Σ_{n} Z^{(n,h)T} dY^{(n)}",
                             r"dX^{(n)} = Σ_{h} (dQ^{(n,h)} W_{\mathrm{q}}^{(h)T} + dK^{(n,h)} W_{\mathrm{k}}^{(h)T} + dV^{(n,h)} W_{\mathrm{v}}^{(h)T})"),
    "layer_norm": (r"dX = diag(\sigma)^{-1} (d\hat{X} - 1/D d\hat{X} 1 1^T - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T)))"
                   r" where d\hat{X} = dY diag(\gamma), \hat{X} = diag(\sigma)^{-1} (X - \mu 1^T), \sigma = \sqrt{\mathrm{var} + \varepsilon 1}",
                   r"d\gamma = (dY ⊙ \hat{X})^T 1 where \hat{X} = diag(\sigma)^{-1} (X - \mu 1^T), \sigma = \sqrt{\mathrm{var} + \varepsilon 1}",
                   r"d\beta = dY^T 1"),
    "batch_norm": (r"dX = (dY - 1/N 1 1^T dY - 1/N (\hat{X} ⊙ (1 1^T (\hat{X} ⊙ dY)))) diag(\gamma ⊘ \sigma)"
                   r" where \hat{X} = (X - 1 \mu^T) diag(\sigma)^{-1}, \sigma = \sqrt{\mathrm{var} + \varepsilon 1}",
                   r"d\gamma = (dY ⊙ \hat{X})^T 1 where \hat{X} = (X - 1 \mu^T) diag(\sigma)^{-1}, \sigma = \sqrt{\mathrm{var} + \varepsilon 1}"),
    "RMS norm": (r"dX = diag(\sigma)^{-1} (d\hat{X} - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T)))"
                 r" where d\hat{X} = dY diag(g), \hat{X} = diag(\sigma)^{-1} X, \sigma = \sqrt{s + \varepsilon 1}",),
    "RMS norm, its scale a tensor": (r"dX = diag(r)^{-1} (d\hat{X} - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T)))"
                 r" where d\hat{X} = dY diag(g), \hat{X} = diag(r)^{-1} X", r"dg = (dY ⊙ \hat{X})^T 1 where \hat{X} = diag(r)^{-1} X"),
    "RMS norm in one line": (r"dX = diag(\sigma)^{-1} (d\hat{X} - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T)))"
                 r" where d\hat{X} = dY diag(g), \hat{X} = diag(\sigma)^{-1} X, \sigma = \sqrt{Y^{in}}",),
    "layer norm, a number for eps": (r"dX = diag(\sigma)^{-1} (d\hat{X} - 1/D d\hat{X} 1 1^T - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T)))"
                   r" where d\hat{X} = dY diag(\gamma), \hat{X} = diag(\sigma)^{-1} (X - \mu 1^T), \sigma = \sqrt{\mathrm{var} + 0.00001}",),
    "layer norm in one line": ("Y^{in} = X - 1/D X 1 1^T", "dX = dY^{in} - 1/D dY^{in} 1 1^T",
                   r"dY^{in} = diag(\sigma)^{-1} (d\hat{Y}^{in} - 1/D (\hat{Y}^{in} ⊙ ((\hat{Y}^{in} ⊙ d\hat{Y}^{in}) 1 1^T)))"
                   r" where d\hat{Y}^{in} = dY diag(\gamma), \hat{Y}^{in} = diag(\sigma)^{-1} Y^{in}, \sigma = \sqrt{Y^{\mathrm{in2}}}"),
    "ridge regression": (r"dw = \lambda w + X^T L^{in}", "L^{in} = X w - y"),
    "autoencoder": ("dR = 1/N (R - X)", "dX = 1/N (X - R) + dH^{\\mathrm{sum}} W^T", "dH^{\\mathrm{sum}} = (dR V^T) ⊙ H ⊙ (1 - H)"),
    "Gaussian kernel": ("dX = (dK^{in} + dK^{inT}) X - diag((dK^{in} + dK^{inT}) 1) X", "dK^{in} = dK ⊙ K"),
    "matrix factorisation": (r"L^{in} = {tr}(U^T U) + {tr}(V^T V)", r"dU = \lambda U - E V", r"dV = \lambda V - E^T U"),
    "GELU": (rf"dz = dy ⊙ (\Phi(z) + z ⊙ \varphi(z)) where {NORMAL}",),
    "a weight that is a word": (r"dX = \lambda \mathrm{rate} dY",),
    "correlation1d": (f"dx = dy ∗ w where {FULL}, {OUTSIDE}", f"dw = x ⋆ dy where {VALID}, {OUTSIDE}"),
    "convolution of signals": (f"dx = dy ⋆ w where {VALID}, {OUTSIDE}",),
    "correlation2d": (f"dX = dY ∗ K where {FULL2}, {OUTSIDE}", f"dK = X ⋆ dY where {VALID2}, {OUTSIDE}"),
    "conv2d_valid": (f"dX^{{(n,c)}} = Σ_{{o}} (dY^{{(n,o)}} ∗ K^{{(o,c)}}) where {FULL2}, {OUTSIDE}",
                     f"dK^{{(o,c)}} = Σ_{{n}} (X^{{(n,c)}} ⋆ dY^{{(n,o)}}) where {VALID2}, {OUTSIDE}", "db_{o} = Σ_{n} 1^T dY^{(n,o)} 1"),
    "conv1d": (r"dX^{(n,c)} = Σ_{o} crop_p(↑s dY^{(n,o)} ∗ ↑d K^{(o,c)}) where (A ∗ B)_{i} = Σ_{u} A_{i-u} B_{u}, "
               r"(↑s A)_{i} = [s \mid i] A_{i/s}, crop_p(A)_{i} = A_{i+p}, " + OUTSIDE, "db_{o} = Σ_{n} 1^T dY^{(n,o)}"),
    "conv2d": (r"dX^{(n,c)} = Σ_{o} crop_p(↑s dY^{(n,o)} ∗ ↑d K^{(o,c)}) where (A ∗ B)_{i,j} = Σ_{u,v} A_{i-u,j-v} B_{u,v}, "
               rf"{UP2}, crop_p(A)_{{i,j}} = A_{{i+p,j+p}}, {OUTSIDE}",
               r"dK^{(o,c)} = Σ_{n} ↓d (pad_p(X^{(n,c)}) ⋆ ↑s dY^{(n,o)}) where (A ⋆ B)_{i,j} = Σ_{u,v} A_{i+u,j+v} B_{u,v}, "
               rf"{UP2}, {DOWN2}, pad_p(A)_{{i,j}} = A_{{i-p,j-p}}, {OUTSIDE}"),
    "three-dimensional convolution": (
        r"dX^{(c)} = Σ_{w} [2 \mid c - w + 1] {crop}_{1}({\uparrow_{2}} dY^{(\lfloor (c-w+1) / 2 \rfloor)} ∗ K^{(w)}) where "
        rf"(A ∗ B)_{{i,j}} = Σ_{{u,v}} A_{{i-u,j-v}} B_{{u,v}}, {UP2}, crop_p(A)_{{i,j}} = A_{{i+p,j+p}}, {OUTSIDE}",),
    "every second element along three axes": (
        rf"dx^{{(a)}} = [2 \mid a] {{\uparrow_{{2}}}} dy^{{(\lfloor a / 2 \rfloor)}} where {UP2}, {OUTSIDE}",),
    "im2col": (rf"dX = Σ_{{u,v}} {{shift}}_{{d u-p,d v-p}}(↑s \mathrm{{dcols}}^{{(u,v)}}) where {UP2}, "
               rf"{{shift}}_{{p,q}}(A)_{{i,j}} = A_{{i-p,j-q}}, {OUTSIDE} for every n,\ c",),
    "average_pool2d": (r"dX = crop_p(↑s (dY ⊘ \max(Y^{\mathrm{count}}, 1)) ∗ 1_{U \times V}) where "
                       rf"(A ∗ B)_{{i,j}} = Σ_{{u,v}} A_{{i-u,j-v}} B_{{u,v}}, {UP2}, crop_p(A)_{{i,j}} = A_{{i+p,j+p}}, {OUTSIDE} for every n,\ c",),
    "max_pool2d": (r"dX = Σ_{u=0}^{U-1} Σ_{v=0}^{V-1} ([X = {shift}_{u-p,v-p}(↑s Y)] ⊙ {shift}_{u-p,v-p}(↑s (dY ⊘ Y^{\mathrm{ties}}))) where "
                   rf"{UP2}, {{shift}}_{{p,q}}(A)_{{i,j}} = A_{{i-p,j-q}}, {OUTSIDE} for every n,\ c",),
    "causal_attention": ("dS = A ⊙ (dA - (A ⊙ dA) 1 1^T)",
                         "dV = A^T dY"),
    "embedding": (r"dE = M^T dY where M_{n,a} = [\mathrm{tok}_{n} = a], 0 \le a < V",),
    "gru": (r"dz^{in,(t)} = dh^{\mathrm{total},(t)} ⊙ (h^{(t-1)} - c^{(t)}) ⊙ z^{(t)} ⊙ (1 - z^{(t)})",
            r"dc^{in,(t)} = dh^{\mathrm{total},(t)} ⊙ (1 - z^{(t)}) ⊙ (1 - c^{(t)} ⊙ c^{(t)})",
            r"dW_{\mathrm{c}} = Σ_{t} dc^{in,(t)T} (r^{(t)} ⊙ h^{(t-1)})"),
    "lstm": (r"df^{in,(t)} = dc^{\mathrm{total},(t)} ⊙ c^{(t-1)} ⊙ f^{(t)} ⊙ (1 - f^{(t)})",
             r"do^{in,(t)} = dh^{\mathrm{total},(t)} ⊙ \tanh(c^{(t)}) ⊙ o^{(t)} ⊙ (1 - o^{(t)})",
             r"dc^{\mathrm{total},(t)} = dc^{(t)} + dc^{\mathrm{total},(t+1)} ⊙ f^{(t+1)} + dh^{\mathrm{total},(t)} ⊙ o^{(t)} ⊙ (1 - \tanh^{2}(c^{(t)}))",
             r"dW_{\mathrm{f}} = Σ_{t} df^{in,(t)T} h^{(t-1)}", r"db_{\mathrm{f}} = Σ_{t} df^{in,(t)T} 1"),
}


def shown(text: str) -> list[str]:
    """Every equation of a program and of its gradients that has a matrix form."""
    found = []
    for program in (nd.parse(text), nd.derive(text).backward):
        for e in program.equations:
            try:
                found.append(plain(matrix_latex(matrix_form(program, e))))
            except nd.MatrixFormError as error:
                assert e.left in str(error)
    return found


@pytest.mark.parametrize("name", FORMS)
def test_the_matrix_form_is_the_one_of_the_book(name):
    found = shown(TEXTS[name])
    for form in FORMS[name]:
        assert form in found, "\n".join([form, "is none of", *found])


# -- the same formulas in NumPy ----------------------------------------------------------------------------------------------
def softmax(s: Any) -> Any:
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def of_softmax(p: Any, g: Any) -> Any:
    return p * (g - (p * g).sum(-1, keepdims=True))


def attention(v: Values) -> Values:
    root, p = np.sqrt(v["Q"].shape[1]), softmax(v["Q"] @ v["K"].T / np.sqrt(v["Q"].shape[1]))
    s = of_softmax(p, v["dO"] @ v["V"].T)
    return {"dV": p.T @ v["dO"], "dQ": s @ v["K"] / root, "dK": s.T @ v["Q"] / root}


def normalised(axis: int) -> Callable[[Values], Values]:
    def gradients(v: Values) -> Values:
        mean, var = v["X"].mean(axis, keepdims=True), v["X"].var(axis, keepdims=True)
        sigma = np.sqrt(var + v["eps"])
        hat, g = (v["X"] - mean) / sigma, v["dY"] * v["gamma"]
        centred = g - g.mean(axis, keepdims=True) - hat * (g * hat).mean(axis, keepdims=True)
        return {"dX": centred / sigma, "dgamma": (v["dY"] * hat).sum(0), "dbeta": v["dY"].sum(0)}
    return gradients


def elman(v: Values) -> Values:
    steps, h = len(v["x"]), [v["h0"]]
    for t in range(steps):
        h.append(np.tanh(v["U"] @ v["x"][t] + v["W"] @ h[-1] + v["b"]))
    o = [v["V"] @ h[t + 1] + v["c"] - v["y"][t] for t in range(steps)]
    delta, ahead = [None] * steps, np.zeros_like(v["h0"])
    for t in reversed(range(steps)):
        delta[t] = (v["V"].T @ o[t] + v["W"].T @ ahead) * (1 - h[t + 1] * h[t + 1])
        ahead = delta[t]
    span = range(steps)
    return {"dU": sum(np.outer(delta[t], v["x"][t]) for t in span), "dW": sum(np.outer(delta[t], h[t]) for t in span),
            "dV": sum(np.outer(o[t], h[t + 1]) for t in span), "db": sum(delta), "dc": sum(o), "dh0": v["W"].T @ delta[0],
            "dx": np.stack([v["U"].T @ d for d in delta])}


def correlation(v: Values) -> Values:
    """dX by the full convolution, dK by the valid correlation, in loops over the kernel."""
    (h, w), (a, b), g = v["X"].shape, v["K"].shape, v["dY"]
    x = np.zeros((h, w))
    for i, j in np.ndindex(a, b):
        x[i : i + g.shape[0], j : j + g.shape[1]] += v["K"][i, j] * g
    k = [[(v["X"][i : i + g.shape[0], j : j + g.shape[1]] * g).sum() for j in range(b)] for i in range(a)]
    return {"dX": x, "dK": np.array(k)}


FORMULAS: dict[str, Callable[[Values], Values]] = {
    "dense": lambda v: {"dX": v["dY"] @ v["W"].T, "dW": v["X"].T @ v["dY"], "db": v["dY"].T @ np.ones(len(v["dY"]))},
    "least squares": lambda v: {"dw": v["X"].T @ (v["X"] @ v["w"] - v["y"]), "dX": np.outer(v["X"] @ v["w"] - v["y"], v["w"])},
    "logistic regression": lambda v: {"dw": v["X"].T @ (1 / (1 + np.exp(-v["X"] @ v["w"])) - v["y"])},
    "cross-entropy of any rows": lambda v: {"dZ": softmax(v["Z"]) * v["Y"].sum(1, keepdims=True) - v["Y"]},
    "softmax": lambda v: {"dX": of_softmax(softmax(v["X"]), v["dP"])},
    "gram": lambda v: {"dX": (v["dG"] + v["dG"].T) @ v["X"]},
    "perceptron_criterion": lambda v: {"dw": -v["X"].T @ (v["y"] * (v["y"] * (v["X"] @ v["w"]) < 0))},
    "attention": attention,
    "layer_norm": normalised(1),
    "batch_norm": normalised(0),
    "elman in columns": elman,
    "correlation2d": correlation,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_gradient_has_the_values_of_the_formula(name):
    rng = np.random.default_rng(1)
    program = nd.derive(TEXTS[name]).backward
    values = {i.name: rng.uniform(0.2, 1.4, [d.value(SIZES) for d in i.dims]) * rng.choice([-1, 1], [d.value(SIZES) for d in i.dims])
              for i in program.inputs}
    values = {k: abs(v) if k == "eps" else v for k, v in values.items()}
    if name == "correlation2d":
        values["dY"] = rng.normal(size=[SIZES["H"] - SIZES["U"] + 1, SIZES["W"] - SIZES["V"] + 1])
    inputs = {k: v.tolist() if np.shape(v) else float(v) for k, v in values.items()}
    expected = FORMULAS[name](values)
    found = nd.evaluate(program, inputs, outputs=list(expected))
    for key, value in expected.items():
        np.testing.assert_allclose(np.array(found[key], dtype=float), value, rtol=1e-9, atol=1e-12, err_msg=key)


# -- LaTeX -------------------------------------------------------------------------------------------------------------------
AMS = {"\\" + name for name in ("mathrm mathbf top odot oslash operatorname frac sqrt left right text qquad quad sum max min ast star "
       "uparrow downarrow hat mid land lor lnot le ge ne exp log tanh sin cos infty pi cdot times begin end lvert rvert lfloor rfloor bmod "
       "alpha beta gamma sigma mu varepsilon Omega Pi Lambda tau varsigma Phi varphi \\ , { } ".replace("  ", " ").split(" "))} | {"\\ "}


def test_only_commands_of_amsmath_are_used():
    """amsmath, amssymb, and thus MathJax."""
    used = set()
    for layer in layers.ALL.values():
        used |= set(re.findall(r"\\(?:[A-Za-z]+|.)", layer.derivation.latex("matrix")))
    assert used <= AMS, used - AMS
