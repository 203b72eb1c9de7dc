"""The work of `rows`, written by hand in NumPy as well as we can: the measure of the emitted code.

Each function takes the inputs and seeds by name and returns (outputs, gradients in the order of the work's `wrt`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray


def cross_entropy(o: Array, y: Array) -> tuple[float, Array]:
    """(Σ −y log softmax(o), softmax(o) − y) of rows, for targets that sum to one; o is used up."""
    o -= o.max(1, keepdims=True)
    p = np.exp(o)
    total = p.sum(1, keepdims=True)
    loss = np.log(total).sum() - np.vdot(o, y)
    p /= total
    p -= y
    return loss, p


def tanh_backwards(d: Array, h: Array) -> Array:
    """d ⊙ (1 − h²), in the memory of d."""
    g = h * h
    np.subtract(1, g, out=g)
    d *= g
    return d


def mlp(X: Array, U: Array, a: Array, V: Array, b: Array, W: Array, c: Array, y: Array) -> Any:
    h = X @ U
    h += a
    np.tanh(h, out=h)
    g = h @ V
    g += b
    np.tanh(g, out=g)
    o = g @ W
    o += c
    loss, p = cross_entropy(o, y)
    p /= len(X)
    dg = tanh_backwards(p @ W.T, g)
    dh = tanh_backwards(dg @ V.T, h)
    return loss / len(X), (dh @ U.T, X.T @ dh, dh.sum(0), h.T @ dg, dg.sum(0), g.T @ p, p.sum(0))


def rnn(x: Array, U: Array, W: Array, V: Array, b: Array, c: Array, h0: Array, y: Array) -> Any:
    """All products with x and with the outputs' weights stand outside the loops; so do all weight gradients."""
    T, N, I = x.shape
    H, O = V.shape
    z = x.reshape(T * N, I) @ U
    z += b
    z = z.reshape(T, N, H)
    h = np.empty((T + 1, N, H), x.dtype)
    h[0] = h0
    for t in range(T):
        zt = z[t]
        zt += h[t] @ W
        np.tanh(zt, out=h[t + 1])
    after = h[1:].reshape(T * N, H)
    o = after @ V
    o += c
    loss, p = cross_entropy(o, y.reshape(T * N, O))
    dz = (p @ V.T).reshape(T, N, H)
    slope = h[1:] * h[1:]
    np.subtract(1, slope, out=slope)
    Wt = np.ascontiguousarray(W.T)
    dz[-1] *= slope[-1]
    for t in range(T - 2, -1, -1):
        d = dz[t]
        d += dz[t + 1] @ Wt
        d *= slope[t]
    flat = dz.reshape(T * N, H)
    return loss, ((flat @ U.T).reshape(T, N, I), x.reshape(T * N, I).T @ flat, h[:-1].reshape(T * N, H).T @ flat, after.T @ p,
                  flat.sum(0), p.sum(0), dz[0] @ Wt)


def attention(Q: Array, K: Array, V: Array, dY: Array) -> Any:
    scale = Q.dtype.type(Q.shape[-1] ** -0.5)
    P = (Q * scale) @ K.swapaxes(-1, -2)
    P -= P.max(-1, keepdims=True)
    np.exp(P, out=P)
    P /= P.sum(-1, keepdims=True)
    Y = P @ V
    dV = P.swapaxes(-1, -2) @ dY
    dS = dY @ V.swapaxes(-1, -2)
    dS -= (dY * Y).sum(-1, keepdims=True)
    dS *= P
    dQ = dS @ K
    dQ *= scale
    dK = dS.swapaxes(-1, -2) @ Q
    dK *= scale
    return Y, (dQ, dK, dV)


def convolution(stride: int, padding: int) -> Any:
    return _shifted_rows(padding) if stride == 1 else _columns(stride, padding)


def _shifted_rows(p: int) -> Any:
    """Stride 1, image by image, so that the columns stay in cache: on the flat padded image each column is one row, shifted."""

    def run(X: Array, K: Array, b: Array, dY: Array) -> Any:
        N, C, H, W = X.shape
        O, _, R, S = K.shape
        I, J = H + 2 * p - R + 1, W + 2 * p - S + 1
        wide, size = W + 2 * p, X.itemsize
        M = I * wide                                    # outputs with S − 1 idle ones at the end of each row
        image = np.zeros((C, (H + 2 * p) * wide + S), X.dtype)
        inner = image[:, : (H + 2 * p) * wide].reshape(C, H + 2 * p, wide)[:, p : p + H, p : p + W]
        shifted = as_strided(image, (C, R, S, M), (image.strides[0], wide * size, size, size))
        columns = np.empty((C, R, S, M), X.dtype)
        flat = columns.reshape(C * R * S, M)
        kernel = K.reshape(O, -1)
        kernel_t = np.ascontiguousarray(kernel.T)
        seed = np.zeros((O, M), X.dtype)
        y, Y = np.empty((O, M), X.dtype), np.empty((N, O, I, J), X.dtype)
        d_image, d_columns, d_flat = np.empty_like(image), np.empty_like(columns), np.empty_like(flat)
        d_inner = d_image[:, : (H + 2 * p) * wide].reshape(C, H + 2 * p, wide)[:, p : p + H, p : p + W]
        d_columns = d_flat.reshape(C, R, S, M)
        dX, dK, dK_n = np.empty_like(X), np.zeros_like(kernel), np.empty_like(kernel)
        for n in range(N):
            inner[...] = X[n]
            columns[...] = shifted
            np.matmul(kernel, flat, out=y)
            np.add(y.reshape(O, I, wide)[:, :, :J], b[:, None, None], out=Y[n])
            seed.reshape(O, I, wide)[:, :, :J] = dY[n]
            dK += np.matmul(seed, flat.T, out=dK_n)
            np.matmul(kernel_t, seed, out=d_flat)
            d_image[...] = 0
            for r in range(R):
                for s in range(S):
                    d_image[:, r * wide + s : r * wide + s + M] += d_columns[:, r, s]
            dX[n] = d_inner
        return Y, (dX, dK.reshape(K.shape), dY.sum((0, 2, 3)))

    return run


def _columns(s: int, p: int) -> Any:
    """Any stride, all images at once: columns by slices, products, and the columns' gradients added back by slices."""

    def run(X: Array, K: Array, b: Array, dY: Array) -> Any:
        N, C, _, _ = X.shape
        O, _, R, S = K.shape
        I, J = dY.shape[2:]
        padded = np.pad(X, ((0, 0), (0, 0), (p, p), (p, p)))
        columns = np.empty((N, C, R, S, I, J), X.dtype)
        for r in range(R):
            for q in range(S):
                columns[:, :, r, q] = padded[:, :, r : r + s * I : s, q : q + s * J : s]
        flat, kernel, seed = columns.reshape(N, C * R * S, I * J), K.reshape(O, -1), dY.reshape(N, O, I * J)
        Y = kernel @ flat
        Y += b[:, None]
        dK = np.zeros_like(kernel)
        for n in range(N):
            dK += seed[n] @ flat[n].T
        d_columns = np.matmul(kernel.T, seed).reshape(columns.shape)
        d_padded = np.zeros_like(padded)
        for r in range(R):
            for q in range(S):
                d_padded[:, :, r : r + s * I : s, q : q + s * J : s] += d_columns[:, :, r, q]
        dX = d_padded[:, :, p : padded.shape[2] - p, p : padded.shape[3] - p]
        return Y.reshape(N, O, I, J), (dX, dK.reshape(K.shape), seed.sum((0, 2)))

    return run
