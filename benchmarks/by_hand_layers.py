"""Layers of `layer_rows` for which PyTorch has one fused kernel, written by hand in NumPy as well as we can.

They say how much of the distance to PyTorch is NumPy's. Each function takes the inputs and seeds by name and returns (outputs,
gradients in the order of the work's `wrt`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
EPSILON = np.float32(1e-5)
ROWS = 256  # of a block whose arrays stay in cache
JOINED = 8  # rows that make a long one; a batch has a multiple of them


def layer_norm(x: Array, g: Array, b: Array, dy: Array) -> Any:
    """Block by block of rows; sums along rows and columns are products with ones."""
    rows, K = x.reshape(-1, x.shape[-1]), x.shape[-1]
    seeds = dy.reshape(rows.shape)
    y, unit, dx = (np.empty_like(rows) for _ in range(3))
    inverse, mean = np.empty(len(rows), x.dtype), np.full(K, 1/K, x.dtype)
    for k in range(0, len(rows), ROWS):
        at = slice(k, k + ROWS)
        z = np.subtract(rows[at], (rows[at] @ mean)[:, None], out=unit[at])
        r = np.vecdot(z, z)
        r /= K
        r += EPSILON
        np.sqrt(r, out=r)
        inverse[at] = np.reciprocal(r, out=r)
        z *= r[:, None]
        np.multiply(z, g, out=y[at])
        y[at] += b
    dg, db, ones = np.zeros_like(g), np.zeros_like(b), np.ones(ROWS, x.dtype)
    products, part = (np.empty((ROWS, K), x.dtype) for _ in range(2))
    for k in range(0, len(rows), ROWS):
        at = slice(k, min(k + ROWS, len(rows)))
        n = at.stop - k
        p = np.multiply(seeds[at], unit[at], out=products[:n])
        dg += ones[:n] @ p
        db += ones[:n] @ seeds[at]
        d = np.multiply(seeds[at], g, out=dx[at])
        d -= (seeds[at] @ g)[:, None]/K
        d -= np.multiply(unit[at], (p @ g)[:, None]/K, out=part[:n])
        d *= inverse[at][:, None]
    return y.reshape(x.shape), (dx.reshape(x.shape), dg, db)


def batch_norm(x: Array, g: Array, b: Array, dy: Array) -> Any:
    """A few rows side by side are a long one, for which one of its operands is repeated once, and not by NumPy for every row."""
    N, K = x.shape
    wide, seeds = (a.reshape(N//JOINED, JOINED*K) for a in (x, dy))
    each, ones = lambda row: np.tile(row, JOINED), np.ones(N, x.dtype)
    z = wide - each((ones @ x)/N)
    r = 1/np.sqrt(np.einsum("nk,nk->k", z, z).reshape(JOINED, K).sum(0)/N + EPSILON)
    y = z*each(g*r)
    y += each(b)
    dg, db = np.einsum("nk,nk->k", seeds, z).reshape(JOINED, K).sum(0)*r, ones @ dy
    dx = np.multiply(z, each(-dg*r/N), out=z)
    dx += seeds
    dx -= each(db/N)
    dx *= each(g*r)
    return y.reshape(x.shape), (dx.reshape(x.shape), dg, db)


def lstm(x: Array, U: Array, W: Array, b: Array, h0: Array, c0: Array, dh: Array) -> Any:
    """One tanh for all gates: σ(z) = (1 + tanh(z/2))/2, with the halves in the weights."""
    T, N, I = x.shape
    H = h0.shape[1]
    half = np.array([0.5, 0.5, 1, 0.5], x.dtype)
    gates = ((x.reshape(T*N, I) @ U.reshape(4*H, I).T).reshape(T, N, 4, H) + b)*half[:, None]
    WT = np.ascontiguousarray((W*half[:, None, None]).reshape(4*H, H).T)
    h, c = np.empty((T + 1, N, H), x.dtype), np.empty((T + 1, N, H), x.dtype)
    tanh_c, work = np.empty((T, N, H), x.dtype), np.empty((N, H), x.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        a = gates[t]
        a += (h[t] @ WT).reshape(N, 4, H)
        np.tanh(a, out=a)
        for k in (slice(0, 2), 3):
            a[:, k] *= 0.5
            a[:, k] += 0.5
        np.multiply(a[:, 1], c[t], out=c[t + 1])
        c[t + 1] += np.multiply(a[:, 0], a[:, 2], out=work)
        np.tanh(c[t + 1], out=tanh_c[t])
        np.multiply(a[:, 3], tanh_c[t], out=h[t + 1])
    i, f, g, o = (gates[:, :, k] for k in range(4))
    slopes = np.empty_like(gates)  # of c with z, for the first three gates; of h, for the last
    slopes[:, :, 0] = g*i*(1 - i)
    slopes[:, :, 1] = c[:T]*f*(1 - f)
    slopes[:, :, 2] = i*(1 - g*g)
    slopes[:, :, 3] = tanh_c*o*(1 - o)
    through = o*(1 - tanh_c*tanh_c)
    dz, dc, carried = np.empty_like(gates), np.zeros((N, H), x.dtype), np.zeros((N, H), x.dtype)
    flat, back = W.reshape(4*H, H), dz.reshape(T, N, 4*H)
    for t in range(T - 1, -1, -1):
        d = dh[t] + carried
        dc += np.multiply(d, through[t], out=work)
        np.multiply(slopes[t, :, :3], dc[:, None], out=dz[t, :, :3])
        np.multiply(slopes[t, :, 3], d, out=dz[t, :, 3])
        dc *= f[t]
        np.matmul(back[t], flat, out=carried)
    rows = dz.reshape(T*N, 4*H)
    dx = (rows @ U.reshape(4*H, I)).reshape(T, N, I)
    dU, dW = (rows.T @ x.reshape(T*N, I)).reshape(U.shape), (rows.T @ h[:T].reshape(T*N, H)).reshape(W.shape)
    return h[1:], (dx, dU, dW, (np.ones(T*N, x.dtype) @ rows).reshape(4, H), carried, dc)


def causal_attention(Q: Array, K: Array, V: Array, dY: Array) -> Any:
    D, T = Q.shape[-1], Q.shape[1]
    R = Q/np.float32(D**0.5)
    A = R @ K.mT
    A += np.triu(np.full((T, T), -np.inf, Q.dtype), 1)
    A -= A.max(2, keepdims=True)
    np.exp(A, out=A)
    A /= A.sum(2, keepdims=True)
    Y = A @ V
    dA = dY @ V.mT
    dA -= np.vecdot(dY, Y)[..., None]
    dA *= A
    dQ = dA @ K
    dQ /= np.float32(D**0.5)
    return Y, (dQ, dA.mT @ R, A.mT @ dY)


def smooth_l1(o: Array, y: Array) -> Any:
    """d²/2 within 1 and |d| − 1/2 beyond are both c·(d − c/2), where c is d, held between −1 and 1."""
    d = o - y
    c = np.clip(d, -1, 1)
    d -= c*np.float32(0.5)
    c_over = c/np.float32(len(o))
    return np.vdot(c_over, d), (c_over, -c_over)
