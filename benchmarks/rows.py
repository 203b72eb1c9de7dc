"""The nine rows of the main table: dense networks, recurrences, convolutions, attention, each at one or more sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import by_hand, numpy_ml
from .work import Work

Rng = np.random.Generator


def normal(rng: Rng, *shape: int, scale: float = 0.1) -> np.ndarray:
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def one_hot(rng: Rng, *shape: int) -> np.ndarray:
    return np.eye(shape[-1], dtype=np.float32)[rng.integers(shape[-1], size=shape[:-1])]


# -- a network of dense layers -----------------------------------------------------------------------------------------------
def mlp(rng: Rng, N: int, A: int, B: int, C: int, D: int) -> Work:
    inputs = {"X": normal(rng, N, A), "U": normal(rng, A, B), "a": normal(rng, B), "V": normal(rng, B, C), "b": normal(rng, C),
              "W": normal(rng, C, D), "c": normal(rng, D), "y": one_hot(rng, N, D)}

    def loss(lib: Any, log_softmax: Callable[[Any], Any], X: Any, U: Any, a: Any, V: Any, b: Any, W: Any, c: Any, y: Any) -> Any:
        g = lib.tanh(lib.matmul(lib.tanh(lib.matmul(X, U) + a), V) + b)
        return -(y * log_softmax(lib.matmul(g, W) + c)).sum() / N

    return Work("mlp", """
        X[N,A], U[A,B], a[B], V[B,C], b[C], W[C,D], c[D], y[N,D] -> L
        h[n,j] = tanh(sum[i](X[n,i]*U[i,j]) + a[j])
        g[n,k] = tanh(sum[j](h[n,j]*V[j,k]) + b[k])
        o[n,m] = sum[k](g[n,k]*W[k,m]) + c[m]
        L = -sum[n,m](y[n,m]*log_softmax[m](o[n,m]))/N
        given sum[m](y[n,m]) = 1
        """, inputs, ("X", "U", "a", "V", "b", "W", "c"), hand=by_hand.mlp,
        torch={"torch": lambda t, **v: loss(t, lambda o: t.log_softmax(o, 1), **v)},
        jax=lambda jax, **v: loss(jax.numpy, lambda o: jax.nn.log_softmax(o, 1), **v),
        autograd=lambda np_, **v: loss(np_, lambda o: _log_softmax(np_, o), **v))


def _log_softmax(np_: Any, o: Any) -> Any:
    o = o - np_.max(o, 1, keepdims=True)
    return o - np_.log(np_.sum(np_.exp(o), 1, keepdims=True))


# -- a recurrent network -----------------------------------------------------------------------------------------------------
def rnn(rng: Rng, name: str, T: int, N: int, I: int, H: int, O: int) -> Work:
    inputs = {"x": normal(rng, T, N, I), "U": normal(rng, I, H), "W": normal(rng, H, H), "V": normal(rng, H, O), "b": normal(rng, H),
              "c": normal(rng, O), "h0": normal(rng, N, H), "y": one_hot(rng, T, N, O)}

    def in_torch(t: Any, x: Any, U: Any, W: Any, V: Any, b: Any, c: Any, h0: Any, y: Any) -> Any:
        z, h, states = x @ U + b, h0, []
        for step in range(T):
            h = t.tanh(z[step] + h @ W)
            states.append(h)
        return -(y * t.log_softmax(t.stack(states) @ V + c, -1)).sum()

    def in_jax(jax: Any, x: Any, U: Any, W: Any, V: Any, b: Any, c: Any, h0: Any, y: Any) -> Any:
        def step(h: Any, z: Any) -> Any:
            h = jax.numpy.tanh(z + h @ W)
            return h, h

        _, states = jax.lax.scan(step, h0, x @ U + b)
        return -(y * jax.nn.log_softmax(states @ V + c, -1)).sum()

    def in_autograd(np_: Any, x: Any, U: Any, W: Any, V: Any, b: Any, c: Any, h0: Any, y: Any) -> Any:
        h, loss = h0, 0.0
        for step in range(T):
            h = np_.tanh(np_.dot(x[step], U) + np_.dot(h, W) + b)
            loss = loss - np_.sum(y[step] * _log_softmax(np_, np_.dot(h, V) + c))
        return loss

    return Work(name, """
        x[T,N,I], U[I,H], W[H,H], V[H,O], b[H], c[O], h0[N,H], y[T,N,O] -> L
        h[-1,n,k] = h0[n,k]
        h[t,n,k] = tanh(sum[i](x[t,n,i]*U[i,k]) + sum[l](h[t-1,n,l]*W[l,k]) + b[k])
        o[t,n,m] = sum[k](h[t,n,k]*V[k,m]) + c[m]
        L = -sum[t,n,m](y[t,n,m]*log_softmax[m](o[t,n,m]))
        given sum[m](y[t,n,m]) = 1
        """, inputs, ("x", "U", "W", "V", "b", "c", "h0"), hand=by_hand.rnn, torch={"torch": in_torch}, jax=in_jax, autograd=in_autograd)


# -- convolution -------------------------------------------------------------------------------------------------------------
def convolution(rng: Rng, name: str, N: int, C: int, H: int, O: int, U: int, s: int, p: int) -> Work:
    out = (H + 2 * p - U) // s + 1
    inputs = {"X": normal(rng, N, C, H, H), "K": normal(rng, O, C, U, U), "b": normal(rng, O)}
    seed = normal(rng, N, O, out, out)

    def in_jax(jax: Any, X: Any, K: Any, b: Any) -> Any:
        return jax.lax.conv_general_dilated(X, K, (s, s), [(p, p), (p, p)]) + b[:, None, None]

    return Work(name, f"""
        X[N,C,H,W], K[O,C,U,V], b[O] -> Y
        Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,{s}*i+u-{p},{s}*j+v-{p}]) + b[o] for i < (
            H + {2 * p} - U)//{s} + 1, j < (W + {2 * p} - V)//{s} + 1
        """, inputs, ("X", "K", "b"), {"dY": seed}, hand=by_hand.convolution(s, p),
        torch={"torch": lambda t, X, K, b: t.nn.functional.conv2d(X, K, b, stride=s, padding=p)}, jax=in_jax,
        other={"numpy-ml": lambda: numpy_ml.convolution(inputs["X"], seed, O, U, s, p)})


# -- attention ---------------------------------------------------------------------------------------------------------------
def attention(rng: Rng, name: str, N: int, A: int, M: int, D: int) -> Work:
    inputs = {"Q": normal(rng, N, A, M, D, scale=1), "K": normal(rng, N, A, M, D, scale=1), "V": normal(rng, N, A, M, D)}
    seed = normal(rng, N, A, M, D)

    def in_autograd(np_: Any, Q: Any, K: Any, V: Any) -> Any:
        S = np_.matmul(Q, np_.swapaxes(K, -1, -2)) / D**0.5
        P = np_.exp(S - np_.max(S, -1, keepdims=True))
        return np_.sum(np_.matmul(P / np_.sum(P, -1, keepdims=True), V) * seed)

    return Work(name, """
        Q[N,A,M,D], K[N,A,M,D], V[N,A,M,D] -> Y
        S[n,a,i,j] = sum[d](Q[n,a,i,d]*K[n,a,j,d])/sqrt(D)
        P[n,a,i,j] = softmax[j](S[n,a,i,j])
        Y[n,a,i,d] = sum[j](P[n,a,i,j]*V[n,a,j,d])
        """, inputs, ("Q", "K", "V"), {"dY": seed}, hand=by_hand.attention,
        torch={"torch": lambda t, Q, K, V: t.softmax(Q @ K.mT / D**0.5, -1) @ V,
               "sdpa": lambda t, Q, K, V: t.nn.functional.scaled_dot_product_attention(Q, K, V)},
        jax=lambda jax, Q, K, V: jax.nn.softmax(Q @ K.swapaxes(-1, -2) / D**0.5, -1) @ V, autograd=in_autograd)


ROWS: dict[str, Callable[[Rng], Work]] = {
    "mlp": lambda rng: mlp(rng, 256, 784, 512, 256, 10),
    "rnn": lambda rng: rnn(rng, "rnn", 64, 32, 64, 128, 32),
    "rnn_small": lambda rng: rnn(rng, "rnn_small", 20, 8, 16, 32, 8),
    "conv": lambda rng: convolution(rng, "conv", 32, 16, 32, 32, 3, 1, 1),
    "conv_s2": lambda rng: convolution(rng, "conv_s2", 32, 16, 32, 32, 3, 2, 1),
    "conv_big": lambda rng: convolution(rng, "conv_big", 16, 64, 32, 64, 3, 1, 1),
    "conv5": lambda rng: convolution(rng, "conv5", 32, 1, 28, 20, 5, 1, 0),
    "attention": lambda rng: attention(rng, "attention", 8, 8, 256, 64),
    "attention_small": lambda rng: attention(rng, "attention_small", 1, 1, 32, 16),
}
