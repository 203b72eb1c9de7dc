"""im2col in four ways, and col2im: windows of images as rows of a matrix, and back.

X is (B, C, H, W), or (B, H, W, C) where the name says channels last. s is the stride, p the padding with zeros.
The rows of the matrix run over sample, row and column of the output; its columns over channel, row and column of the kernel
(channels first), or over row, column and channel (channels last).

>>> import numpy as np
>>> X = np.arange(12.0).reshape(1, 1, 3, 4)
>>> loops(X, 2, 2)[1].tolist()
[1.0, 2.0, 5.0, 6.0]
>>> col2im(np.ones((6, 4)), X.shape, 2, 2)[0, 0].astype(int).tolist()
[[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]]
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def loops(X: np.ndarray, U: int, V: int, s: int = 1, p: int = 0) -> np.ndarray:
    """Channels first, a loop over the kernel: for each of its places, all pixels that meet it are one slice."""
    X = np.pad(X, [(0, 0), (0, 0), (p, p), (p, p)])
    B, C, H, W = X.shape
    I, J = (H - U)//s + 1, (W - V)//s + 1
    columns = np.empty((B, C, U, V, I, J), X.dtype)
    for u in range(U):
        for v in range(V):
            columns[:, :, u, v] = X[:, :, u:u + s*I:s, v:v + s*J:s]
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(B*I*J, C*U*V)


def view(X: np.ndarray, U: int, V: int, s: int = 1, p: int = 0) -> np.ndarray:
    """Channels first, no loop: a view of all windows; only the last reshape copies."""
    X = np.pad(X, [(0, 0), (0, 0), (p, p), (p, p)])
    windows = sliding_window_view(X, (U, V), (2, 3))[:, :, ::s, ::s]       # (B, C, I, J, U, V)
    B, C, I, J = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(B*I*J, C*U*V)


def loops_channels_last(X: np.ndarray, U: int, V: int, s: int = 1, p: int = 0) -> np.ndarray:
    """Channels last, a loop over the kernel."""
    X = np.pad(X, [(0, 0), (p, p), (p, p), (0, 0)])
    B, H, W, C = X.shape
    I, J = (H - U)//s + 1, (W - V)//s + 1
    columns = np.empty((B, I, J, U, V, C), X.dtype)
    for u in range(U):
        for v in range(V):
            columns[:, :, :, u, v] = X[:, u:u + s*I:s, v:v + s*J:s]
    return columns.reshape(B*I*J, U*V*C)


def view_channels_last(X: np.ndarray, U: int, V: int, s: int = 1, p: int = 0) -> np.ndarray:
    """Channels last, no loop."""
    X = np.pad(X, [(0, 0), (p, p), (p, p), (0, 0)])
    windows = sliding_window_view(X, (U, V), (1, 2))[:, ::s, ::s]          # (B, I, J, C, U, V)
    B, I, J, C = windows.shape[:4]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(B*I*J, U*V*C)


def col2im(columns: np.ndarray, shape: tuple[int, ...], U: int, V: int, s: int = 1, p: int = 0) -> np.ndarray:
    """Channels first: every window added back at its place, the border cut off. The adjoint of `loops` and of `view`."""
    B, C, H, W = shape
    I, J = (H + 2*p - U)//s + 1, (W + 2*p - V)//s + 1
    windows = columns.reshape(B, I, J, C, U, V).transpose(0, 3, 4, 5, 1, 2)
    X = np.zeros((B, C, H + 2*p, W + 2*p), columns.dtype)
    for u in range(U):
        for v in range(V):
            X[:, :, u:u + s*I:s, v:v + s*J:s] += windows[:, :, u, v]
    return X[:, :, p:p + H, p:p + W]
