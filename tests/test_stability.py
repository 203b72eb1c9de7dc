"""What a practitioner writes with exponentials is right for inputs up to ±1e4 in single precision: values, gradients, and theirs.

Each spelling is compared with the interpreter's exact meaning of it, over numbers for which no exponential is too large.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from mpmath import mp

import nnderiv as nd
from nnderiv.derivation import Derivation

SPELLINGS = {
    "attention with a sink": (
        "x[N,K], z[N,K], b -> y",
        "y[n] = sum[k](exp(x[n,k])*z[n,k])/(exp(1000*b) + sum[k](exp(x[n,k])))",
    ),
    "softmax with a sink": ("x[N,K], b -> y", "y[n,k] = exp(x[n,k])/(exp(b*5000) + sum[j](exp(x[n,j])))"),
    "softmax with a sink, shifted": (
        "x[N,K], b -> y",
        "m[n] = max(max[k](x[n,k]), 5000*b)\n"
        "y[n,k] = exp(x[n,k] - m[n])/(exp(b*5000 - m[n]) + sum[j](exp(x[n,j] - m[n])))",
    ),
    "infonce": ("x[N,N] -> y", "y[n] = log(exp(x[n,n]) + sum[m](where(m != n, exp(x[n,m]), 0))) - x[n,n]"),
    "infonce named": ("x[N,N] -> y", "d[n] = sum[m](where(m != n, exp(x[n,m]), 0))\ny[n] = -log(exp(x[n,n])/(exp(x[n,n]) + d[n]))"),
    "ntxent": ("x[N,N] -> y", "y[n] = -log(exp(x[n,0])/sum[m](where(m != n, exp(x[n,m]), 0)))"),
    "ntxent tau": ("x[N,N], tau -> L", "L = -sum[n](log(exp(x[n,0]/tau)/sum[m](where(m != n, exp(x[n,m]/tau), 0))))/N"),
    "logmeanexp": ("x[N,K] -> y", "y[n] = log(sum[k](exp(x[n,k]))/K)"),
    "logmeanexp mean": ("x[N,K] -> y", "y[n] = log(mean[k](exp(x[n,k])))"),
    "logmeanexp named": ("x[N,K] -> y", "s[n] = mean[k](exp(x[n,k]))\ny[n] = log(s[n])"),
    "log sum plus 1": ("x[N,K] -> y", "y[n] = log(1 + sum[k](exp(x[n,k])))"),
    "circle loss": ("x[N,K], z[N,K] -> y", "y[n] = log(1 + sum[k](exp(x[n,k]))*sum[k](exp(-z[n,k])))"),
    "lifted": ("x[N,K], z[N,K] -> y", "y[n] = log(sum[k](exp(x[n,k])) + sum[k](exp(z[n,k])))"),
    "log2 named": ("x[N,K] -> y", "e[n,k] = exp(x[n,k])\ny[n] = log(e[n,0] + e[n,1])"),
    "lse weighted const": ("x[N,K] -> y", "y[n] = log(2*exp(x[n,0]) + 3*exp(x[n,1]))"),
    "lse eps": ("x[N,K] -> y", "y[n] = log(sum[k](exp(x[n,k])) + 1)*2"),
    "logaddexp by max": ("x[N,K] -> y", "y[n] = max(x[n,0], x[n,1]) + log(1 + exp(-abs(x[n,0] - x[n,1])))"),
    "logcosh": ("x[N,K] -> y", "y[n,k] = log((exp(x[n,k]) + exp(-x[n,k]))/2)"),
    "logcosh 2": ("x[N,K] -> y", "y[n,k] = x[n,k] + log(1 + exp(-2*x[n,k])) - log(2)"),
    "logcosh 4": ("x[N,K], z[N,K] -> y", "y[n,k] = log(0.5*exp(x[n,k]-z[n,k]) + 0.5*exp(z[n,k]-x[n,k]))"),
    "log diff sub max": ("x[N,K] -> y", "m[n] = max[k](x[n,k])\ny[n] = m[n] + log(sum[k](exp(x[n,k] - m[n])))"),
    "softmax tau": ("x[N,K], tau -> y", "y[n,k] = exp(x[n,k]/tau)/sum[j](exp(x[n,j]/tau))"),
    "softmax masked mult": ("x[N,K], m[K] -> y", "y[n,k] = m[k]*exp(x[n,k])/sum[j](m[j]*exp(x[n,j]))"),
    "softmax masked mult named": ("x[N,K], m[K] -> y", "e[n,k] = m[k]*exp(x[n,k])\ny[n,k] = e[n,k]/sum[j](e[n,j])"),
    "softmax masked mult 2": ("x[N,K], m[N,K] -> y", "y[n,k] = exp(x[n,k])*m[n,k]/sum[j](exp(x[n,j])*m[n,j])"),
    "softmax masked twice": ("x[N,K], m[K] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n,k] = m[k]*p[n,k]/sum[j](m[j]*p[n,j])"),
    "additive mask": ("x[N,K], m[K] -> y", "y[n,k] = softmax[k](x[n,k] + (1 - m[k])*(-1000000000))"),
    "additive mask where": ("x[N,N] -> y", "y[n,k] = softmax[k](where(k <= n, x[n,k], -1000000000))"),
    "two axes nested": ("x[N,K] -> y", "y[n,k] = exp(x[n,k])/sum[i](sum[j](exp(x[i,j])))"),
    "two axes nested named": ("x[N,K] -> y", "r[n] = sum[j](exp(x[n,j]))\ny[n,k] = exp(x[n,k])/sum[i](r[i])"),
    "gumbel": ("x[N,K], g[N,K], tau -> y", "y[n,k] = exp((x[n,k] + g[n,k])/tau)/sum[j](exp((x[n,j] + g[n,j])/tau))"),
    "gumbel u": ("x[N,K], u[N,K] -> y", "y[n,k] = softmax[k](x[n,k] - log(-log(u[n,k])))"),
    "softmax plus one": ("x[N,K] -> y", "y[n,k] = exp(x[n,k])/(1 + sum[j](exp(x[n,j])))"),
    "softmax eps": ("x[N,K] -> y", "m[n] = max[k](x[n,k])\ny[n,k] = exp(x[n,k]-m[n])/(sum[j](exp(x[n,j]-m[n])) + 0.00001)"),
    "softmin": ("x[N,K] -> y", "y[n,k] = exp(-x[n,k])/sum[j](exp(-x[n,j]))"),
    "share of the largest": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = log(p[n,c[n]]/max[k](p[n,k]))"),
    "log of the largest": ("x[N,K] -> y", "e[n,k] = exp(x[n,k])\ny[n] = log(max[k](e[n,k])/sum[k](e[n,k]))"),
    "logistic density": ("x[N,K] -> y", "y[n,k] = exp(x[n,k])/(1 + exp(x[n,k]))**2"),
    "softmax pair": ("x[N,K] -> y", "y[n] = exp(x[n,0])/(exp(x[n,0]) + exp(x[n,1]))"),
    "attention": ("x[N,K], v[K,K] -> y", "e[n,k] = exp(x[n,k])\ny[n,p] = sum[k](e[n,k]*v[k,p])/sum[k](e[n,k])"),
    "linear attn": ("x[N,K], v[K,K] -> y", "y[n,p] = sum[k](exp(x[n,k])*v[k,p])/(sum[k](exp(x[n,k])) + 1)"),
    "nll named": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ns[n] = p[n,c[n]]\ny[n] = -log(s[n])"),
    "nll named sum": ("x[N,K], t[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\ns[n] = sum[k](t[n,k]*p[n,k])\ny[n] = -log(s[n])"),
    "nll where": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -log(sum[k](where(k == c[n], p[n,k], 0)))"),
    "nll log named": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\nl[n,k] = log(p[n,k])\ny[n] = -l[n,c[n]]"),
    "nll hand": ("x[N,K], int c[N] -> y", "p[n,k] = exp(x[n,k])/sum[j](exp(x[n,j]))\ns[n] = p[n,c[n]]\ny[n] = -log(s[n])"),
    "focal softmax": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -(1 - p[n,c[n]])**2*log(p[n,c[n]])"),
    "focal softmax named": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ns[n] = p[n,c[n]]\ny[n] = -(1 - s[n])**2*log(s[n])"),
    "focal sigmoid": ("x[N,K] -> y", "p[n,k] = sigmoid(x[n,k])\ny[n,k] = -(1 - p[n,k])**2*log(p[n,k])"),
    "focal alpha": (
        "x[N,K], t[N,K] -> y",
        "p[n,k] = sigmoid(x[n,k])\n"
        "y[n,k] = -t[n,k]*(1 - p[n,k])**2*log(p[n,k]) - (1 - t[n,k])*p[n,k]**2*log(1 - p[n,k])",
    ),
    "focal where": (
        "x[N,K], int c[N] -> y",
        "p[n,k] = sigmoid(x[n,k])\n"
        "q[n,k] = where(k == c[n], p[n,k], 1 - p[n,k])\n"
        "y[n,k] = -(1 - q[n,k])**2*log(q[n,k])",
    ),
    "bce named": ("x[N,K], t[N,K] -> y", "p[n,k] = 1/(1 + exp(-x[n,k]))\ny[n,k] = -t[n,k]*log(p[n,k]) - (1 - t[n,k])*log(1 - p[n,k])"),
    "bce sigmoid": ("x[N,K], t[N,K] -> y", "p[n,k] = sigmoid(x[n,k])\ny[n,k] = -t[n,k]*log(p[n,k]) - (1 - t[n,k])*log(1 - p[n,k])"),
    "bce inline": ("x[N,K], t[N,K] -> y", "y[n,k] = -t[n,k]*log(1/(1 + exp(-x[n,k]))) - (1 - t[n,k])*log(1 - 1/(1 + exp(-x[n,k])))"),
    "bce logits": ("x[N,K], t[N,K] -> y", "y[n,k] = max(x[n,k], 0) - x[n,k]*t[n,k] + log(1 + exp(-abs(x[n,k])))"),
    "bce exp": ("x[N,K], t[N,K] -> y", "y[n,k] = log(1 + exp(x[n,k])) - t[n,k]*x[n,k]"),
    "bpr": ("x[N,K], z[N,K] -> y", "y[n,k] = -log(sigmoid(x[n,k] - z[n,k]))"),
    "hinge exp": ("x[N,K], t[N,K] -> y", "y[n,k] = log(1 + exp(-t[n,k]*x[n,k]))"),
    "js": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "q[n,k] = softmax[k](z[n,k])\n"
        "m[n,k] = (p[n,k] + q[n,k])/2\n"
        "y[n] = sum[k](p[n,k]*log(p[n,k]/m[n,k]))/2 + sum[k](q[n,k]*log(q[n,k]/m[n,k]))/2",
    ),
    "kl": ("x[N,K], z[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\nq[n,k] = softmax[k](z[n,k])\ny[n] = sum[k](p[n,k]*log(p[n,k]/q[n,k]))"),
    "kl distill": (
        "x[N,K], z[N,K], tau -> y",
        "p[n,k] = softmax[k](x[n,k]/tau)\n"
        "q[n,k] = softmax[k](z[n,k]/tau)\n"
        "y[n] = tau**2*sum[k](p[n,k]*(log(p[n,k]) - log(q[n,k])))",
    ),
    "kl hand": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = exp(x[n,k])/sum[j](exp(x[n,j]))\n"
        "q[n,k] = exp(z[n,k])/sum[j](exp(z[n,j]))\n"
        "y[n] = sum[k](p[n,k]*log(p[n,k]/q[n,k]))",
    ),
    "entropy": ("x[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -sum[k](p[n,k]*log(p[n,k]))"),
    "entropy hand": ("x[N,K] -> y", "p[n,k] = exp(x[n,k])/sum[j](exp(x[n,j]))\ny[n] = -sum[k](p[n,k]*log(p[n,k]))"),
    "entropy sig": ("x[N,K] -> y", "p[n,k] = sigmoid(x[n,k])\ny[n,k] = -p[n,k]*log(p[n,k]) - (1 - p[n,k])*log(1 - p[n,k])"),
    "label smoothing": ("x[N,K], int c[N] -> y", "l[n,k] = log_softmax[k](x[n,k])\ny[n] = -0.9*l[n,c[n]] - 0.1*sum[k](l[n,k])/K"),
    "poly loss": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -log(p[n,c[n]]) + 2*(1 - p[n,c[n]])"),
    "gen ce": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = (1 - p[n,c[n]]**0.7)/0.7"),
    "what a sigmoid leaves": ("x[N,K] -> y", "p[n,k] = sigmoid(x[n,k])\ny[n,k] = log(1 - p[n,k])"),
    "what a sigmoid leaves, turned": ("x[N,K] -> y", "p[n,k] = sigmoid(x[n,k])\ny[n,k] = log(-p[n,k] + 1)"),
    "what a share leaves, turned": (
        "x[N,K], z[N,K] -> y", "p[n,k] = exp(x[n,k])/(exp(x[n,k]) + exp(z[n,k]))\ny[n,k] = log(-p[n,k] + 1)",
    ),
    "unlikelihood": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -log(1 - p[n,c[n]])"),
    "log-mean-softmax": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "q[n,k] = softmax[k](z[n,k])\n"
        "y[n] = -log((p[n,0] + q[n,0])/2)",
    ),
    "clip": (
        "x[N,N] -> L",
        "L = -sum[n](log(exp(x[n,n])/sum[m](exp(x[n,m]))))/(2*N) - sum[n](log(exp(x[n,n])/sum[m](exp(x[m,n]))))/(2*N)",
    ),
    "elu maxmin": ("x[N,K] -> y", "y[n,k] = max(x[n,k], 0) + min(exp(x[n,k]) - 1, 0)"),
    "elu maxmin alpha": ("x[N,K], a -> y", "y[n,k] = max(x[n,k], 0) + min(a*(exp(x[n,k]) - 1), 0)"),
    "elu where": ("x[N,K] -> y", "y[n,k] = where(x[n,k] > 0, x[n,k], exp(x[n,k]) - 1)"),
    "elu where alpha": ("x[N,K], a -> y", "y[n,k] = where(x[n,k] > 0, x[n,k], a*(exp(x[n,k]) - 1))"),
    "elu relu": ("x[N,K] -> y", "y[n,k] = relu(x[n,k]) - relu(1 - exp(x[n,k]))"),
    "elu expmin": ("x[N,K] -> y", "y[n,k] = max(x[n,k], 0) + exp(min(x[n,k], 0)) - 1"),
    "selu": ("x[N,K] -> y", "y[n,k] = 1.0507*(max(x[n,k], 0) + min(1.67326*(exp(x[n,k]) - 1), 0))"),
    "selu where": ("x[N,K] -> y", "y[n,k] = 1.0507*where(x[n,k] > 0, x[n,k], 1.67326*(exp(x[n,k]) - 1))"),
    "celu": ("x[N,K] -> y", "y[n,k] = max(x[n,k], 0) + min(2*(exp(x[n,k]/2) - 1), 0)"),
    "celu alpha": ("x[N,K], a -> y", "y[n,k] = max(0, x[n,k]) + min(0, a*(exp(x[n,k]/a) - 1))"),
    "elu named": ("x[N,K] -> y", "e[n,k] = exp(x[n,k]) - 1\ny[n,k] = where(x[n,k] > 0, x[n,k], e[n,k])"),
    "softplus log": ("x[N,K] -> y", "y[n,k] = log(1 + exp(x[n,k]))"),
    "softplus beta": ("x[N,K], b -> y", "y[n,k] = log(1 + exp(b*x[n,k]))/b"),
    "softplus named": ("x[N,K] -> y", "e[n,k] = 1 + exp(x[n,k])\ny[n,k] = log(e[n,k])"),
    "softplus named e": ("x[N,K] -> y", "e[n,k] = exp(x[n,k])\ny[n,k] = log(1 + e[n,k])"),
    "softplus where": ("x[N,K] -> y", "y[n,k] = where(x[n,k] > 20, x[n,k], log(1 + exp(x[n,k])))"),
    "softplus abs": ("x[N,K] -> y", "y[n,k] = max(x[n,k], 0) + log(1 + exp(-abs(x[n,k])))"),
    "mish": ("x[N,K] -> y", "y[n,k] = x[n,k]*tanh(log(1 + exp(x[n,k])))"),
    "mish exp": ("x[N,K] -> y", "e[n,k] = exp(x[n,k])\ny[n,k] = x[n,k]*(e[n,k]**2 + 2*e[n,k])/(e[n,k]**2 + 2*e[n,k] + 2)"),
    "mish exp2": ("x[N,K] -> y", "y[n,k] = x[n,k]*((1 + exp(x[n,k]))**2 - 1)/((1 + exp(x[n,k]))**2 + 1)"),
    "gelu tanh": ("x[N,K] -> y", "y[n,k] = x[n,k]/2*(1 + tanh(sqrt(2/pi)*(x[n,k] + 0.044715*x[n,k]**3)))"),
    "gelu tanh mul": ("x[N,K] -> y", "y[n,k] = 0.5*x[n,k]*(1 + tanh(0.7978845608*x[n,k]*(1 + 0.044715*x[n,k]*x[n,k])))"),
    "gelu erf": ("x[N,K] -> y", "y[n,k] = x[n,k]*(1 + erf(x[n,k]/sqrt(2)))/2"),
    "gelu quick": ("x[N,K] -> y", "y[n,k] = x[n,k]/(1 + exp(-1.702*x[n,k]))"),
    "swish": ("x[N,K] -> y", "y[n,k] = x[n,k]/(1 + exp(-x[n,k]))"),
    "swish beta": ("x[N,K], b -> y", "y[n,k] = x[n,k]/(1 + exp(-b*x[n,k]))"),
    "swish named": ("x[N,K] -> y", "s[n,k] = 1/(1 + exp(-x[n,k]))\ny[n,k] = x[n,k]*s[n,k]"),
    "sigmoid exp": ("x[N,K] -> y", "y[n,k] = exp(x[n,k])/(1 + exp(x[n,k]))"),
    "sigmoid named": ("x[N,K] -> y", "e[n,k] = exp(x[n,k])\ny[n,k] = e[n,k]/(1 + e[n,k])"),
    "sigmoid where": ("x[N,K] -> y", "y[n,k] = where(x[n,k] >= 0, 1/(1 + exp(-x[n,k])), exp(x[n,k])/(1 + exp(x[n,k])))"),
    "tanh exp": ("x[N,K] -> y", "y[n,k] = (exp(x[n,k]) - exp(-x[n,k]))/(exp(x[n,k]) + exp(-x[n,k]))"),
    "tanh exp named": ("x[N,K] -> y", "a[n,k] = exp(x[n,k])\nb[n,k] = exp(-x[n,k])\ny[n,k] = (a[n,k] - b[n,k])/(a[n,k] + b[n,k])"),
    "tanh exp 2": ("x[N,K] -> y", "y[n,k] = 1 - 2/(exp(2*x[n,k]) + 1)"),
    "tanh exp 3": ("x[N,K] -> y", "y[n,k] = 2/(1 + exp(-2*x[n,k])) - 1"),
    "sech2": ("x[N,K] -> y", "y[n,k] = 4/(exp(x[n,k]) + exp(-x[n,k]))**2"),
    "sech": ("x[N,K] -> y", "y[n,k] = 2/(exp(x[n,k]) + exp(-x[n,k]))"),
    "logsigmoid exp": ("x[N,K] -> y", "y[n,k] = -log(1 + exp(-x[n,k]))"),
    "logit of p": ("x[N,K] -> y", "p[n,k] = sigmoid(x[n,k])\ny[n,k] = log(p[n,k]/(1 - p[n,k]))"),
    "exp of log": ("x[N,K] -> y", "y[n,k] = exp(-log(1 + exp(-x[n,k])))"),
    "lisht": ("x[N,K] -> y", "y[n,k] = x[n,k]*(exp(x[n,k]) - exp(-x[n,k]))/(exp(x[n,k]) + exp(-x[n,k]))"),
    "glu": ("x[N,K], z[N,K] -> y", "y[n,k] = x[n,k]/(1 + exp(-z[n,k]))"),
    "sqrt sigmoid": ("x[N,K] -> y", "y[n,k] = 1/sqrt(1 + exp(-x[n,k]))"),
    "gmm": ("x[N], mu[K], w[K] -> y", "y[n] = log(sum[k](w[k]*exp(-(x[n] - mu[k])**2/2)))"),
    "gmm sigma": (
        "x[N], mu[K], ls[K], x2[N,K] -> y",
        "y[n] = log(sum[k](softmax[k](x2[n,k])*exp(-(x[n] - mu[k])**2/(2*exp(2*ls[k])))/(sqrt(2*pi)*exp(ls[k]))))",
    ),
    "gmm softmax weights": ("x[N,K], z[N,K] -> y", "y[n] = log(sum[k](softmax[k](x[n,k])*exp(z[n,k])))"),
    "mixture at labels": (
        "x[N,K], z[K,K], int c[N] -> y",
        "g[n,k] = softmax[k](x[n,k])\n"
        "q[k,v] = softmax[v](z[k,v])\n"
        "y[n] = -log(sum[k](g[n,k]*q[k,c[n]]))",
    ),
    "joint of two": (
        "x[N,K], z[N,K] -> L",
        "p[n,k] = softmax[k](x[n,k])\n"
        "q[n,k] = softmax[k](z[n,k])\n"
        "J[i,j] = sum[n](p[n,i]*q[n,j])/(2*N)\n"
        "L = -sum[i,j](J[i,j]*log(J[i,j]))",
    ),
    "shares of two wholes": ("x[N,K] -> y", "y[n,k] = exp(x[n,k])**2/(sum[j](exp(x[n,j]))*sum[i](exp(x[i,k])))"),
    "square of a share": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = softmax[k](x[n,k])\ny[n] = sum[k](p[n,k]*p[n,k]*z[n,k])/sum[k](p[n,k]*p[n,k])",
    ),
    "hard negatives": ("x[N,K], z[N,K], tau -> y", "y[n] = log(sum[k](exp(x[n,k]/tau) + exp(z[n,k]/tau))) - x[n,0]/tau"),
    "renormalised": (
        "x[N,K], z[N,K], int c[N] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "y[n] = sum[k](where(k != c[n], p[n,k], 0)*z[n,k])/sum[k](where(k != c[n], p[n,k], 0))",
    ),
    "margin of the others": (
        "x[N,K], int c[N] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "y[n] = -log(p[n,c[n]]) - log(1.0001 - max[k](where(k != c[n], p[n,k], 0)))",
    ),
    "soft pooling": ("x[N,K] -> y", "y[i,k] = sum[u](exp(x[2*i+u,k])*x[2*i+u,k])/sum[u](exp(x[2*i+u,k])) for i < N//2, u < 2"),
    "moe": ("x[N,K], z[N,K], int c[N] -> y", "g[n,k] = softmax[k](x[n,k])\ny[n] = -log(sum[k](g[n,k]*sigmoid(z[n,k])))"),
    "mixture softmaxes": (
        "x[N,K], z[K,K] -> y",
        "g[n,k] = softmax[k](x[n,k])\n"
        "q[k,v] = softmax[v](z[k,v])\n"
        "y[n] = -log(sum[k](g[n,k]*q[k,0]))",
    ),
    "normal logpdf": ("x[N,K], z[N,K] -> y", "y[n,k] = -log(exp(-x[n,k]**2/2 - z[n,k])/sqrt(2*pi))"),
    "hmm": (
        "x[N,K] -> L",
        "a[0,k] = x[0,k]\n"
        "a[t,k] = log(sum[j](exp(a[t-1,j] + x[j,k]))) + x[t,k] for t < N\n"
        "L = log(sum[k](exp(a[N-1,k])))",
    ),
    "triplet": ("x[N,K] -> y", "y[n] = log(1 + exp(x[n,0] - x[n,1]))"),
    "supcon": (
        "x[N,N], int c[N] -> L",
        "L = -sum[n,p](where(c[p] == c[n] and p != n, log(exp(x[n,p])/sum[m](where(m != n, exp(x[n,m]), 0))), 0))",
    ),
    "masked named": ("x[N,N] -> y", "e[n,m] = where(m != n, exp(x[n,m]), 0)\nd[n] = sum[m](e[n,m])\ny[n] = log(d[n]) - x[n,n]"),
    "masked named pos": (
        "x[N,N] -> y",
        "e[n,m] = where(m != n, exp(x[n,m]), 0)\n"
        "y[n] = -log(exp(x[n,n])/(exp(x[n,n]) + sum[m](e[n,m])))",
    ),
    "key padding int": ("x[N,K], int c[N] -> y", "y[n,k] = where(k <= c[n], exp(x[n,k]), 0)/sum[j](where(j <= c[n], exp(x[n,j]), 0))"),
    "softmin beta": ("x[N,K], b -> y", "y[n] = -log(sum[k](exp(-b*x[n,k])))/b"),
    "tau named": ("x[N,K], tau -> y", "z[n,k] = x[n,k]/tau\ne[n,k] = exp(z[n,k])\ny[n,k] = e[n,k]/sum[j](e[n,j])"),
    "entropy eps": ("x[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -sum[k](p[n,k]*log(p[n,k] + 0.00000001))"),
    "nll eps": ("x[N,K], int c[N] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -log(p[n,c[n]] + 0.000000000001)"),
    "ce smooth": ("x[N,K], t[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -sum[k]((0.9*t[n,k] + 0.1/K)*log(p[n,k]))"),
    "bradley": ("x[N,K] -> y", "y[n] = -log(exp(x[n,0])/(exp(x[n,0]) + exp(x[n,1])))"),
    "plackett": ("x[N,K] -> y", "y[n] = sum[k](x[n,k] - log(sum[j](where(j >= k, exp(x[n,j]), 0))))"),
    "cox": ("x[N,K] -> y", "s[n,k] = sum[j](where(j >= k, exp(x[n,j]), 0))\ny[n] = sum[k](x[n,k] - log(s[n,k]))"),
    "softargmax": ("x[N,K] -> y", "y[n] = sum[k](k*exp(x[n,k]))/sum[k](exp(x[n,k]))"),
    "softargmax named": ("x[N,K] -> y", "e[n,k] = exp(x[n,k])\ns[n] = sum[k](e[n,k])\ny[n] = sum[k](k*e[n,k]/s[n])"),
    "swiglu": ("x[N,K], z[N,K] -> y", "y[n,k] = x[n,k]/(1 + exp(-x[n,k]))*z[n,k]"),
    "logit diff": ("x[N,K] -> y", "y[n,k] = log(sigmoid(x[n,k])) - log(1 - sigmoid(x[n,k]))"),
    "boltzmann": ("x[N,K], z[N,K] -> y", "y[n] = sum[k](z[n,k]*exp(-x[n,k]))/sum[k](exp(-x[n,k]))"),
    "softplus inverse": ("x[N,K] -> y", "y[n] = log(exp(x[n,0]**2/10000) - 0.5)"),
    "nce": ("x[N,K], z[N,K] -> y", "y[n,k] = -log(sigmoid(x[n,k] - log(3))) - log(1 - sigmoid(z[n,k] - log(3)))"),
    "mdn": (
        "x[N,K], z[N,K], g[N,K], v[N] -> L",
        "w[n,k] = softmax[k](x[n,k])\n"
        "s[n,k] = exp(g[n,k])\n"
        "d[n,k] = exp(-((v[n] - z[n,k])/s[n,k])**2/2)/(s[n,k]*sqrt(2*pi))\n"
        "L = -sum[n](log(sum[k](w[n,k]*d[n,k])))",
    ),
    "logsoftmax hand": ("x[N,K] -> y", "m[n] = max[k](x[n,k])\ns[n,k] = x[n,k] - m[n]\ny[n,k] = s[n,k] - log(sum[j](exp(s[n,j])))"),
    "am softmax": (
        "x[N,K], int c[N] -> y",
        "a[n] = exp(30*(x[n,c[n]] - 0.35))\n"
        "y[n] = -log(a[n]/(a[n] + sum[k](where(k != c[n], exp(30*x[n,k]), 0))))",
    ),
    "proxy nca": ("x[N,K], int c[N] -> y", "y[n] = -log(exp(-x[n,c[n]])/sum[k](where(k != c[n], exp(-x[n,k]), 0)))"),
    "multi sim": (
        "x[N,K], z[N,K] -> y",
        "y[n] = log(1 + sum[k](exp(-2*(x[n,k] - 0.5))))/2 + log(1 + sum[k](exp(40*(z[n,k] - 0.5))))/40",
    ),
    "npair": ("x[N,N] -> y", "y[n] = log(1 + sum[m](where(m != n, exp(x[n,m] - x[n,n]), 0)))"),
    "dpo": ("x[N,K], z[N,K] -> y", "y[n] = -log(sigmoid(0.1*(x[n,0] - x[n,1] - (z[n,0] - z[n,1]))))"),
    "dpo exp": ("x[N,K], z[N,K] -> y", "y[n] = -log(1/(1 + exp(-0.1*(x[n,0] - x[n,1] - z[n,0] + z[n,1]))))"),
    "nadaraya": ("x[N,K], z[N,K], v[N] -> y", "w[n,i] = exp(-(x[n,0] - z[i,0])**2/2)\ny[n] = sum[i](w[n,i]*v[i])/sum[i](w[n,i])"),
    "attn causal hand": (
        "x[N,N], v[N,K] -> y",
        "e[i,j] = where(j <= i, exp(x[i,j]), 0)\n"
        "z[i] = sum[j](e[i,j])\n"
        "y[i,p] = sum[j](e[i,j]*v[j,p])/z[i]",
    ),
    "attn causal p": (
        "x[N,N], v[N,K] -> y",
        "p[i,j] = where(j <= i, exp(x[i,j]), 0)/sum[m](where(m <= i, exp(x[i,m]), 0))\n"
        "y[i,k] = sum[j](p[i,j]*v[j,k])",
    ),
    "product experts": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "q[n,k] = softmax[k](z[n,k])\n"
        "y[n,k] = p[n,k]*q[n,k]/sum[j](p[n,j]*q[n,j])",
    ),
    "power sharpen": ("x[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n,k] = p[n,k]**2/sum[j](p[n,j]**2)"),
    "power sharpen T": ("x[N,K], tau -> y", "p[n,k] = softmax[k](x[n,k])\ny[n,k] = p[n,k]**(1/tau)/sum[j](p[n,j]**(1/tau))"),
    "bayes": ("x[N,K], z[N,K] -> y", "y[n,k] = softmax[k](x[n,k])*exp(z[n,k])/sum[j](softmax[j](x[n,j])*exp(z[n,j]))"),
    "renyi": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "q[n,k] = softmax[k](z[n,k])\n"
        "y[n] = log(sum[k](sqrt(p[n,k]*q[n,k])))",
    ),
    "hellinger": (
        "x[N,K], z[N,K] -> y",
        "p[n,k] = softmax[k](x[n,k])\n"
        "q[n,k] = softmax[k](z[n,k])\n"
        "y[n] = 1 - sum[k](sqrt(p[n,k]*q[n,k]))",
    ),
    "renyi2": ("x[N,K] -> y", "p[n,k] = softmax[k](x[n,k])\ny[n] = -log(sum[k](p[n,k]**2))"),
    "gumbel sigmoid": (
        "x[N,K], u[N,K], tau -> y",
        "l[n,k] = log(u[n,k]) - log(1 - u[n,k])\n"
        "y[n,k] = 1/(1 + exp(-(x[n,k] + l[n,k])/tau))",
    ),
    "log softplus": ("x[N,K] -> y", "y[n,k] = log(log(1 + exp(x[n,k]*x[n,k]/10000)))"),
    "cosh ratio": (
        "x[N,K] -> y",
        "c[n,k] = (exp(x[n,k]) + exp(-x[n,k]))/2\n"
        "s[n,k] = (exp(x[n,k]) - exp(-x[n,k]))/2\n"
        "y[n,k] = s[n,k]/c[n,k]",
    ),
    "gru": (
        "x[N,K], z[N,K] -> y",
        "r[n,k] = 1/(1 + exp(-x[n,k]))\n"
        "h[n,k] = (exp(2*z[n,k]) - 1)/(exp(2*z[n,k]) + 1)\n"
        "y[n,k] = (1 - r[n,k])*h[n,k] + r[n,k]*z[n,k]",
    ),
    "serf": ("x[N,K] -> y", "y[n,k] = x[n,k]*erf(log(1 + exp(x[n,k])))"),
    "smish": ("x[N,K] -> y", "y[n,k] = x[n,k]*tanh(log(1 + 1/(1 + exp(-x[n,k]))))"),
    "elish": ("x[N,K] -> y", "y[n,k] = where(x[n,k] >= 0, x[n,k]/(1 + exp(-x[n,k])), (exp(x[n,k]) - 1)/(1 + exp(-x[n,k])))"),
    "pelu": ("x[N,K], a -> y", "y[n,k] = where(x[n,k] >= 0, x[n,k]/a, exp(x[n,k]/a) - 1)"),
    "densities": (
        "x[N,K], w[K], s[K] -> y",
        "d[n,k] = exp(-(x[n,k]/s[k])**2/2)/(s[k]*sqrt(2*pi))\np[n] = sum[k](w[k]*d[n,k])\ny[n] = -log(p[n])",
    ),
    "responsibilities": (
        "x[N,K], w[K], s[K] -> y",
        "d[n,k] = exp(-(x[n,k]/s[k])**2/2)/(s[k]*sqrt(2*pi))\ny[n,k] = w[k]*d[n,k]/sum[j](w[j]*d[n,j])",
    ),
    "mixture density": (
        "x[N,K], z[N,K], mu[K] -> y",
        "s[k] = softplus(sum[j](mu[j])*mu[k]) + 0.001\np[n,k] = softmax[k](z[n,k])\n"
        "y[n] = -log(sum[k](p[n,k]*exp(-(x[n,k]/s[k])**2/2)/(s[k]*sqrt(2*pi))))",
    ),
    "squashed": ("x[N,K] -> y", "u[n,k] = tanh(x[n,k])\ny[n] = -sum[k](log(1 - u[n,k]**2))"),
    "squashed inline": ("x[N,K] -> y", "y[n,k] = log(1 - tanh(x[n,k])**2)"),
    "squashed action": ("x[N,K], z[N,K] -> y, u", "u[n,k] = tanh(x[n,k])\ny[n] = sum[k](z[n,k]*u[n,k] - log(1 - u[n,k]**2))"),
    "tanh share": ("x[N,K] -> y", "y[n,k] = log((1 + tanh(x[n,k]))/2)"),
    "tanh share named": ("x[N,K] -> y", "u[n,k] = tanh(x[n,k])\ny[n,k] = -log(1 - u[n,k])"),
    "elu prod": ("x[N,K] -> y", "y[n,k] = where(x[n,k] > 0, 1, 0)*x[n,k] + where(x[n,k] > 0, 0, 1)*(exp(x[n,k]) - 1)"),
    "elu sign": ("x[N,K] -> y", "y[n,k] = (x[n,k] + abs(x[n,k]))/2 + exp(-(abs(x[n,k]) - x[n,k])/2) - 1"),
}
ENTROPY = "y[n,k] = t[n,k]*softplus(-x[n,k]) + (1 - t[n,k])*softplus(x[n,k])"
MEANT = {  # where 1 − p is too small beside 1, for any number of digits
    "bce named": ENTROPY, "bce sigmoid": ENTROPY, "bce inline": ENTROPY,
    "focal alpha": "y[n,k] = t[n,k]*sigmoid(-x[n,k])**2*softplus(-x[n,k]) + (1 - t[n,k])*sigmoid(x[n,k])**2*softplus(x[n,k])",
    "squashed": "y[n] = sum[k](softplus(2*x[n,k]) + softplus(-2*x[n,k]) - log(4))",
    "squashed inline": "y[n,k] = log(4) - softplus(2*x[n,k]) - softplus(-2*x[n,k])",
    "squashed action": "u[n,k] = tanh(x[n,k])\n"
                       "y[n] = sum[k](z[n,k]*u[n,k] - log(4) + softplus(2*x[n,k]) + softplus(-2*x[n,k]))",
    "tanh share": "y[n,k] = -softplus(-2*x[n,k])",
    "tanh share named": "y[n,k] = softplus(2*x[n,k]) - log(2)",
    "entropy sig": "y[n,k] = sigmoid(x[n,k])*softplus(-x[n,k]) + sigmoid(-x[n,k])*softplus(x[n,k])",
}
SCORES = np.array([[1e4, -1e4, 9e3], [-1e4, -1e4, -9.9e3], [3, 2, 1], [-1e4, 1e4, 0]], np.float32)
PAIRS = np.array([[1e4, -1e4, 9e3, 1], [-1e4, -1e4, -9.9e3, -1e4], [3, 2, 1, 0], [-1e4, 1e4, 0, -1e4]], np.float32)
OTHERS = np.array([[-1e4, -9e3, 1e4], [0.5, -0.25, 1], [-1e4, 1e4, 1e4], [1e4, 9e3, -1e4]], np.float32)
VALUES: dict[str, Any] = {
    "m": np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 1]]),  # a mask that hides the largest scores, too
    "t": np.array([[1, 0, 0], [0, 1, 0], [0.25, 0.75, 0], [0.5, 0.25, 0.25]]),  # targets
    "u": np.array([[0.3, 0.2, 0.9], [0.1, 0.4, 0.8], [0.6, 0.5, 0.7], [0.2, 0.9, 0.3]]),
    "g": np.array([[0.5, -1, 2], [1, 0.25, -0.5], [-2, 1.5, 0], [0.75, 1, -1]]),
    "tau": 0.5, "a": 1.5, "b": 1.5, "w": np.array([0.2, 0.5, 0.3]), "mu": np.array([3, -1, 2]), "ls": np.array([0.5, -1, 2]),
    "s": np.array([1, 2, 0.5]),
}
SIZES = {"N": 4, "K": 3}
# Slopes of differences of which a float32 keeps few digits.
CANCELS = {"softmin beta", "mish exp2", "multi sim", "gmm", "densities", "responsibilities"}


def drawn(program: nd.Program) -> dict[str, Any]:
    """Inputs by their names and shapes."""
    found: dict[str, Any] = {}
    for i in program.inputs:
        shape = tuple(SIZES[str(d)] for d in i.dims)
        if i.kind == "int":
            found[i.name] = np.array([1, 0, 1, 2][: shape[0]])
        elif shape == (4, 4):
            found[i.name] = PAIRS
        elif i.name in ("x", "z", "x2", "v"):
            value = SCORES if i.name == "x" else OTHERS
            found[i.name] = value[: shape[0], : shape[1]] if len(shape) == 2 else np.array([300, -40, 3, 0], np.float32)[: shape[0]]
        else:
            value = np.asarray(VALUES[i.name], np.float32)
            axes = tuple(slice(None) if n in shape else 0 for n in value.shape)
            found[i.name] = value[axes] if shape else value.item()
    return found


def exact(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers for which no exponential is too large, and integers as they are."""
    convert = np.vectorize(mp.mpf, otypes=[object])
    return {k: convert(v).tolist() if np.asarray(v).dtype.kind == "f" else v.tolist() for k, v in values.items()}


def assert_exact(d: Derivation, meant: Derivation, inputs: dict[str, Any], close: bool = True) -> dict[str, Any]:
    """Values and gradients of a module, without a warning, are what is meant by what may be another text; the inputs of the gradient."""
    module = d.compile()
    with warnings.catch_warnings(), np.errstate(over="warn", invalid="warn", divide="warn"), mp.workdps(60):
        warnings.simplefilter("error")
        outputs, residuals = module.forward(**inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        wanted = {i.name for i in d.backward.inputs}
        seeds = {s: np.asarray(np.cos(np.arange(np.size(v))), np.float32).reshape(np.shape(v))
                 for s, v in zip(d.gradients.seeds.values(), outputs, strict=False) if s in wanted}
        gradients = module.backward(residuals, **seeds)._asdict()
        given = inputs | seeds
        expected = nd.evaluate(meant.forward, exact(inputs)) | nd.evaluate(meant.backward, exact(given))
    for name, value in (dict(zip(d.forward.outputs, outputs, strict=True)) | gradients).items():
        truth = np.array(expected[name], object).astype(float)
        assert value.dtype == np.float32 and np.isfinite(value).all(), name
        assert not close or (abs(value - truth) <= 2e-3*max(1, abs(truth).max(initial=0))).all(), name
    return given


def derived(signature: str, equations: str) -> tuple[Derivation, Derivation]:
    """With respect to the scores alone: what a mask that is 0 changes may be too large for a number. And once more."""
    names = ("x", "z", "x2", "v", "mu")
    program = nd.parse(f"{signature}\n{equations}")
    d = nd.derive(program, wrt=tuple(i.name for i in program.inputs if i.name in names))
    return d, nd.derive(d.backward, wrt=tuple(i.name for i in d.backward.inputs if i.name in names))


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_is_written_by_hand_has_values_and_gradients_for_large_inputs(name: str) -> None:
    signature, equations = SPELLINGS[name]
    (d, second), (meant, twice) = derived(signature, equations), derived(signature, MEANT.get(name, equations))
    given = assert_exact(d, meant, drawn(d.forward))
    assert_exact(second, twice, given, close=name not in CANCELS)


@pytest.mark.parametrize("name", ["elu maxmin", "elu relu", "elu expmin", "elu sign", "selu", "celu"])
def test_what_lies_near_zero_keeps_its_digits(name: str) -> None:
    """x + (exp(0) − 1) is x: the exponential is near 1, and not x + 1."""
    program = nd.parse("\n".join(SPELLINGS[name]))
    x = np.array([[1e-7, 1e-5, 1e-3], [0.1, 1, 3]], np.float32)
    y, _ = nd.derive(program).compile().forward(x=x)
    np.testing.assert_allclose(y, x*np.float32(1.0507 if name == "selu" else 1), rtol=1e-6)


@pytest.mark.parametrize("bounded", [
    "min(exp(x[n]), 5)", "-max(-exp(x[n]), -5)", "5 - relu(5 - exp(x[n]))", "min(2*exp(x[n]) + 1, 11)/2 - 1/2",
])
def test_a_bound_is_not_exceeded(bounded: str) -> None:
    """√(5 − e) is a number: exp(log 5), which is more than 5 in single precision, is not computed."""
    y, _ = nd.derive(f"x[N] -> y\ny[n] = sqrt(5 - ({bounded}))").compile().forward(x=np.array([1, 2, 50, 1e4], np.float32))
    np.testing.assert_allclose(y, [np.sqrt(5 - np.exp(1)), 0, 0, 0], rtol=1e-6)


def test_a_share_of_exponentials_of_exponentials_keeps_what_it_is_multiplied_by() -> None:
    """exp(eˣ − lse) eˣ is eˣ where one is all: eˣ + x − lse would lose x."""
    module = nd.derive("x[N,K] -> y\ny[n] = logsumexp[k](exp(x[n,k]))").compile()
    _, residuals = module.forward(x=np.array([[60, 1.0], [3, 2]]))
    share = 1/(1 + np.exp([np.exp(2) - np.exp(3), np.exp(3) - np.exp(2)]))
    np.testing.assert_allclose(module.backward(residuals, dy=np.ones(2)).dx, [[np.exp(60), 0], np.exp([3, 2])*share], rtol=1e-12)


@pytest.mark.parametrize("share", [
    "exp(x[n])/(1 + exp(x[n]))", "1 - 1/(1 + exp(x[n]))", "1/(1 + exp(-x[n]))",
    "exp(x[n])/(exp(x[n]) + exp(v[n]))", "1 - exp(v[n])/(exp(v[n]) + exp(x[n]))", "2*exp(x[n])/(2*exp(x[n]) + 2*exp(v[n]))",
])
def test_the_logarithm_of_a_share_that_is_nearly_one_keeps_its_digits(share: str) -> None:
    """−log(1 + exp(−x)) rather than x − log(1 + exp(x)), which for x = 14 are 14 and 14.0000008."""
    d = nd.derive(f"x[N], v[N] -> y\ny[n] = log({share})", wrt=("x",))
    x, v = np.array([-20, -3, 0, 3, 10, 14], np.float32), np.zeros(6, np.float32)
    y, residuals = d.compile().forward(x=x, v=v)
    np.testing.assert_allclose(y, -np.log1p(np.exp(-x.astype(float))), rtol=1e-6)
    np.testing.assert_allclose(d.compile().backward(residuals, dy=np.ones(6, np.float32)).dx, 1/(1 + np.exp(x.astype(float))), rtol=1e-6)


def test_of_nothing_everything_has_no_share() -> None:
    """Where all scores of both parts are −∞, shares and gradients are 0, and not 0/0."""
    d = nd.derive("""
        x[N,K], z[N,K], int c[N] -> y
        s[n,k] = where(k < c[n], x[n,k], -inf)
        r[n,k] = where(k < c[n], z[n,k], -inf)
        y[n,k] = exp(s[n,k])/(sum[j](exp(s[n,j])) + sum[j](exp(r[n,j])))
    """)
    x = np.ones((2, 3))
    y, residuals = d.compile().forward(x=x, z=x, c=[0, 2])
    np.testing.assert_allclose(y, [[0, 0, 0], [0.25, 0.25, 0]], rtol=1e-14)
    gradients = d.compile().backward(residuals, dy=x)
    np.testing.assert_allclose(gradients.dx, [[0, 0, 0], [0.125, 0.125, 0]], rtol=1e-14)
    np.testing.assert_allclose(gradients.dz, [[0, 0, 0], [-0.125, -0.125, 0]], rtol=1e-14)


@pytest.mark.parametrize("sizes", [None, {"N": 3, "M": 3}, {"N": 1, "M": 4}, {"N": 4, "M": 2}])
def test_what_is_left_of_a_sum_of_exponentials_may_be_one(sizes: dict[str, int] | None) -> None:
    """Along the edge of a table log exp(a) is a, at places that known sizes make equations of their own, too."""
    d = nd.derive("""
        x[N], y[M], g -> L
        R[0,0] = (x[0] - y[0])**2
        R[i,j] = (x[i] - y[j])**2 - g*log(where(i >= 1, exp(-R[i-1,j]/g), 0) + where(j >= 1, exp(-R[i,j-1]/g), 0)) for i < N, j < M
        L = R[N-1,M-1]
    """)
    rng, module = np.random.default_rng(7), d.compile(sizes=sizes)
    x, y = (30*rng.normal(size=(sizes or {"N": 3, "M": 4})[n]) for n in ("N", "M"))
    _, residuals = module.forward(x=x.astype(np.float32), y=y.astype(np.float32), g=np.float32(0.1))
    gradients = module.backward(residuals)
    leaves = [torch.tensor(v.astype(np.float32).astype(float), requires_grad=True) for v in (x, y, np.float32(0.1))]
    (a, b, g), R = leaves, {}
    for i in range(len(x)):
        for j in range(len(y)):
            before = [-R[k]/g for k in ((i - 1, j), (i, j - 1)) if k in R]
            R[i, j] = (a[i] - b[j])**2 - (g*torch.logsumexp(torch.stack(before), 0) if before else 0)
    wanted = torch.autograd.grad(R[len(x) - 1, len(y) - 1], leaves, allow_unused=True, materialize_grads=True)
    for found, w in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(found, w, rtol=1e-4, atol=0.02)


def test_where_one_of_two_exponentials_may_be_left_out_the_gradients_are_those_of_a_difference() -> None:
    d = nd.derive("x[N,K], z[N,K], t[N,K], tau -> y\ny[n,k] = log(where(t[n,k] > 0.5, exp(-x[n,k]/tau), 0) + exp(z[n,k]/tau))")
    assert_exact(d, d, drawn(d.forward))


def test_a_ratio_that_is_clipped_has_no_gradient_however_large_it_is() -> None:
    d = nd.derive("""
        x[N,K], old[N], gain[N], int a[N] -> L
        l[n,k] = log_softmax[k](x[n,k])
        r[n] = exp(l[n,a[n]] - old[n])
        L = -sum[n](min(r[n]*gain[n], min(max(r[n], 0.8), 1.2)*gain[n]))
    """)
    x, old, gain = np.zeros((3, 2), np.float32), np.array([-1e4, -1, -0.7], np.float32), np.ones(3, np.float32)
    with np.errstate(over="ignore"):
        L, residuals = d.compile().forward(x=x, old=old, gain=gain, a=[0, 1, 1])
    r = np.exp(0.7)/2
    np.testing.assert_allclose(L, -2.4 - r, rtol=1e-6)
    gradients = d.compile().backward(residuals)
    np.testing.assert_allclose(gradients.dx, [[0, 0], [0, 0], [r/2, -r/2]], rtol=1e-6)
    np.testing.assert_allclose(gradients.dold, [0, 0, r], rtol=1e-6)


def test_beside_nothing_a_part_is_the_whole() -> None:
    d = nd.derive("""
        g[N], x[N], a[N,T], int s[T], int y[N] -> L
        w[n,t] = softmax[t](a[n,t])
        L = -sum[n](log(sigmoid(g[n])*sigmoid(x[n]) + (1 - sigmoid(g[n]))*sum[t](where(s[t] == y[n], w[n,t], 0))))
    """, wrt=("g", "x"))
    g, x, a = np.array([-1, 0.5, 20]), np.array([2, -30, 0.0]), np.zeros((3, 2))
    L, residuals = d.compile().forward(g=g, x=x, a=a, s=[0, 1], y=[2, 2, 2])
    np.testing.assert_allclose(L, np.log1p(np.exp(-g)).sum() + np.log1p(np.exp(-x)).sum(), rtol=1e-12)
    gradients = d.compile().backward(residuals)
    np.testing.assert_allclose(gradients.dg, -1/(1 + np.exp(g)), rtol=1e-12)
    np.testing.assert_allclose(gradients.dx, -1/(1 + np.exp(x)), rtol=1e-12)


def test_a_quotient_of_exponentials_is_that_of_a_difference() -> None:
    d = nd.derive("x[N,K], m[N] -> y\ne[n,k] = exp(x[n,k])/exp(m[n])\ny[n] = sum[k](k*e[n,k])")
    assert "exp(x[n,k] - m[n])" in str(d.backward)
    y, _ = d.compile().forward(x=np.array([[1000, 999.0]]), m=np.array([1000.0]))
    np.testing.assert_allclose(y, np.exp(-1))


@pytest.mark.parametrize("y", [
    "sum[e](where(t[e] == n, exp(z[e])*H[s[e],d], 0))/sum[e](where(t[e] == n, exp(z[e]), 0))",
    "sum[e](where(t[e] == n, 2*H[s[e],d]*exp(z[e]), 0))/w[n]/2\nw[n] = sum[e](where(t[e] == n, exp(z[e]), 0)) for n < N",
    "sum[e](where(t[e] == n, exp(z[e])/w[t[e]]*H[s[e],d], 0))\nw[n] = sum[e](where(t[e] == n, exp(z[e]), 0)) for n < N",
])
def test_shares_within_segments_neither_overflow_nor_need_a_table(y: str) -> None:
    first, *rest = y.split("\n")
    d = nd.derive("\n".join(["z[E], H[N,D], int s[E], int t[E] -> y", f"y[n,d] = {first} for n < N", *rest]))
    assert "arange(E)" not in d.numpy() and "arange(N)" not in d.numpy()
    rng = np.random.default_rng(0)
    z, H = rng.choice([1e4, -1e4, 9999, 0, 3, 2], 20).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    s, t, dy = rng.integers(5, size=20), np.r_[np.arange(5), rng.integers(-1, 6, size=15)], rng.normal(size=(5, 3)).astype(np.float32)
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (z, H)]
    wanted = torch.stack([torch.softmax(leaves[0][t == n], 0) @ leaves[1][s[t == n]] for n in range(5)])
    wanted.backward(torch.tensor(dy, dtype=torch.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, residuals = d.compile().forward(z=z, H=H, s=s, t=t)
        gradients = d.compile().backward(residuals, dy=dy)
    np.testing.assert_allclose(found, wanted.detach(), rtol=1e-3, atol=1e-3)
    for g, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_allclose(g, leaf.grad, rtol=1e-3, atol=2e-3)
    assert d.check(seed=0).ok


@pytest.mark.parametrize("steps", [2, 3])
def test_a_recurrence_may_begin_with_states_that_are_not_reached(steps: int) -> None:
    """With −inf in the input where it begins, gradients are what they are in the limit, as PyTorch has them with −10000."""
    moves = " + ".join(["exp(a[t-1,s])", "exp(a[t-1,s-1])", "exp(a[t-1,s-2])"][:steps])
    text = f"x[T,S], a0[S] -> L\na[-1,s] = a0[s]\na[t,s] = x[t,s] + log({moves})\nL = a[T-1,S-1]"
    rng = np.random.default_rng(0)
    x, start = rng.normal(size=(6, 5)), np.where(np.arange(5) == 0, 0, -np.inf)

    weights = torch.tensor(x, requires_grad=True)
    a = torch.tensor(start.clip(-10000))
    for row in weights:  # outside a tensor is 0
        a = row + torch.stack([torch.cat([torch.zeros(k), a[:5 - k]]) for k in range(steps)]).logsumexp(0)
    (expected,) = torch.autograd.grad(a[-1], weights)

    module = nd.derive(text, wrt=("x",)).compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L, residuals = module.forward(x=x, a0=start)
        np.testing.assert_allclose(L, a[-1].item())
        np.testing.assert_allclose(module.backward(residuals).dx, expected, atol=1e-12)


@pytest.mark.parametrize("step", ["log(exp(y[t-1]) + exp(x[t]))", "log(exp(x[t] + 1) + 2*exp(y[t-1] - 1) + exp(x[0]))"])
def test_what_a_recurrence_adds_up_under_a_logarithm_is_shifted_with_the_rest(step: str) -> None:
    """An exponential of data alone need not wait for the recurrence, and overflows if it does not."""
    d = nd.derive(f"x[T] -> y\ny[-1] = -inf\ny[t] = {step} for t < T")
    x = np.array([1e4, 0, 1, -1e4, 9999.5], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, residuals = d.compile().forward(x=x)
        dx = d.compile().backward(residuals, dy=np.ones(5, np.float32)).dx
    expected, residuals = d.compile().forward(x=x.astype(np.longdouble))
    np.testing.assert_allclose(y, expected.astype(float), rtol=1e-6)
    np.testing.assert_allclose(dx, d.compile().backward(residuals, dy=np.ones(5, np.longdouble)).dx.astype(float), rtol=1e-2, atol=1e-30)


def test_the_gradient_of_a_logistic_density_is_one_of_differences_wherever_it_is_centred() -> None:
    """Not exp(x)·exp(−z), of which one may be infinite and the other 0."""
    d = nd.derive("x[N,K], z[K] -> y\ny[n,k] = exp(x[n,k] - z[k])/(1 + exp(x[n,k] - z[k]))**2")
    x = np.array([[1000, -1000, 1000], [-1000, 1000, 1000]], np.float32)
    assert_exact(d, d, {"x": x, "z": np.array([999, -999, -1000], np.float32)})


@pytest.mark.parametrize(("text", "sizes"), [
    ("x[N] -> Y\nY[i] = logsumexp[u](x[2*i+u]) for i < N//2, u < 3", {"N": 4}),
    ("x[N] -> Y\nY[i] = logsumexp[u](x[3*i+u]) for i < N//3, u < 2", {"N": 6}),
    ("x[N,M] -> Y\nY[i,j] = logsumexp[u,v](x[2*i+u,2*j+v]) for i < N//2, j < M//2, u < 3, v < 3", {"N": 4, "M": 3}),
])
def test_what_is_outside_of_a_window_is_no_share_of_it(text: str, sizes: dict[str, int]) -> None:
    """exp(x[a] − Y[q]) overflows where the window of q is far below x[a]: as a factor of 0 that would be nan."""
    d, rng = nd.derive(text), np.random.default_rng(0)
    modules = d.compile(), d.compile(sizes=sizes)
    for _ in range(10):
        x = rng.choice([-2000.0, 0, 2000], tuple(sizes.values()))
        seed = np.ones_like(modules[0].forward(x=x)[0])
        expected = np.array(nd.evaluate(d.backward, {"x": x.tolist(), "dY": seed.tolist()})["dx"], float)
        for module in modules:
            _, residuals = module.forward(x=x)
            np.testing.assert_allclose(module.backward(residuals, dY=seed).dx, expected, rtol=1e-9)


def test_the_gradient_of_a_log_sigmoid_keeps_its_digits_where_the_sigmoid_is_near_1() -> None:
    """And overflows without a warning where it is 0."""
    module = nd.derive("x[N] -> y\ny[n] = log(sigmoid(x[n]))").compile()
    x = np.array([-1000, -30, -1, 0, 1, 15, 30, 80, 1000], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, residuals = module.forward(x=x)
        dx = module.backward(residuals, dy=np.ones_like(x)).dx
    np.testing.assert_allclose(dx, 1/(1 + np.exp(x.astype(float).clip(-700, 700))), rtol=1e-6, atol=1e-40)


@pytest.mark.parametrize("z", [3.0, 20, 100])
def test_a_power_that_is_0_has_no_gradient_with_its_exponent(z: float) -> None:
    """It is u**g·log(u), which is 0·(−∞) where a sigmoid is 1 to the last digit; only what is infinite in earnest stays so."""
    focal = "z[N], g -> L\nL = -sum[n]((1 - sigmoid(z[n]))**g*log(sigmoid(z[n])))"
    module, inputs = nd.derive(focal).compile(), {"z": np.array([z, 0.5], np.float32), "g": np.float32(2)}
    found = module.backward(module.forward(**inputs)[1])
    t = {name: torch.tensor(x, dtype=torch.float64, requires_grad=True) for name, x in inputs.items()}
    (-((torch.sigmoid(-t["z"]))**t["g"]*torch.nn.functional.logsigmoid(t["z"])).sum()).backward()
    for name, x in t.items():
        np.testing.assert_allclose(getattr(found, f"d{name}"), x.grad, rtol=1e-5, atol=1e-7)
    power = nd.derive("x[N], g -> y\ny[n] = x[n]**g").compile()
    x = np.array([0.0, 0.5])
    with np.errstate(divide="ignore"):
        slopes = {g: power.backward(power.forward(x=x, g=g)[1], dy=np.array([1.0, 0])).dg for g in (2.0, 0.5, -1.0)}
    assert slopes == {2.0: 0, 0.5: 0, -1.0: -np.inf}


@pytest.mark.parametrize("T", [1, 2, 4])
def test_what_a_sum_leaves_out_may_be_infinite(T: int) -> None:
    """log(0) at the places of a window that lie outside of the values: the sum has no term there, and not −∞·0."""
    d = nd.derive("""
        S[T,3], V[T,P] -> Y
        A[i,w] = log_softmax[w](where(1 <= i + w and i + w <= T, S[i,w], -inf))
        Y[i,p] = sum[w](A[i,w]*V[i+w-1,p])
        """)
    rng = np.random.default_rng(T)
    inputs = {"S": rng.normal(size=(T, 3)), "V": rng.normal(size=(T, 2))}
    found, expected = d.compile().forward(**inputs)[0], nd.evaluate(d.forward, inputs)["Y"]
    np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("y", ["sqrt(m[i-k]) + x[k]", "x[k]*sqrt(m[i-k])", "tanh(sqrt(m[i-k]) + x[k])", "sqrt(m[q[i,k]]) + x[k]"])
def test_the_slope_of_a_zero_that_is_read_outside_is_left_out_in_silence(y: str) -> None:
    """1/√0 belongs to no place of m: it is no reason for a warning."""
    d = nd.derive(f"m[I], x[K], int q[I,K] -> y\ny[i,k] = {y} for i < I")
    x, q = np.array([0.5, 1, 2], np.float32), np.array([[0, 1, -1], [3, 4, 5], [1, 1, 1], [2, 2, 9]])
    assert_exact(d, d, {"m": np.array([1, 2, 0.25, 3], np.float32), "x": x, "q": q})
