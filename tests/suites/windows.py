"""Convolutions and max pooling in any number of dimensions, from a line of sizes: text, PyTorch, and exact arithmetic.

    Y[n,g,o,i…] = sum[c,u…](W[g,o,c,u…]*X[n,g,c,s*i + d*u - p…]) + b[g,o]        i < (H + 2p - d(U - 1) - 1)//s + 1

The exact expectation is the definition, read once in each direction: wherever the forward pass multiplies W by X and
adds to Y, the backward pass adds W dY to dX and X dY to dW. It knows no formula for a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
import torch
import torch.nn.functional as F

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    image: Sizes                    # H…
    kernel: Sizes                   # U…
    stride: Sizes
    padding: Sizes
    dilation: Sizes
    batch: int = 1
    groups: int = 1
    channels: int = 1               # per group
    outputs: int = 1                # per group
    bias: bool = False

    @property
    def dimensions(self) -> range:
        return range(len(self.image))

    @property
    def reach(self) -> Sizes:
        """How far a kernel extends: d(U - 1) + 1."""
        return tuple(d * (u - 1) + 1 for u, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def out(self) -> Sizes:
        return tuple((h + 2 * p - r) // s + 1
                     for h, p, r, s in zip(self.image, self.padding, self.reach, self.stride, strict=True))

    def cropped(self, positions: int, **sizes: int) -> Convolution:
        """The same kernel, stride, padding and dilation on an image with at most so many output positions a side.

        The pixels that the stride leaves over at the end stay: (H + 2p - reach) mod s is the same.
        """
        image = tuple(r - 2 * p + s * (min(o, positions) - 1) + (h + 2 * p - r) % s for h, p, r, s, o in zip(
            self.image, self.padding, self.reach, self.stride, self.out, strict=True))
        return replace(self, image=image, **sizes)

    # ---- the text ---------------------------------------------------------------------------------------------

    def text(self, literal: bool = False) -> str:
        """The program; stride, padding and dilation are integer parameters, or literals in the text.

        With literals and without padding the ranges are left to be inferred.
        """
        k = self.dimensions
        s, p, d = (list(map(str, v)) if literal else [f"{letter}{a}" for a in k]
                   for letter, v in zip("spd", (self.stride, self.padding, self.dilation), strict=True))
        parameters = "" if literal else "".join(f", int s{a}, int p{a}, int d{a}" for a in k)
        H, U, i, u = (",".join(f"{letter}{a}" for a in k) for letter in "HUiu")
        G, g = ("G,", "g,") if self.groups > 1 else ("", "")
        b, bias = (f", b[{G}O]", f" + b[{g}o]") if self.bias else ("", "")
        at = ",".join(f"{s[a]}*i{a}+{d[a]}*u{a}" + (f"-{p[a]}" if p[a] != "0" else "") for a in k)
        ranges = ", ".join(f"i{a} < (H{a} + 2*{p[a]} - {d[a]}*(U{a} - 1) - 1)//{s[a]} + 1" for a in k)
        inferred = literal and not any(self.padding)
        return "".join([f"X[N,{G}C,{H}], W[{G}O,C,{U}]{b}{parameters} -> Y\n",
                        f"Y[n,{g}o,{i}] = sum[c,{u}](W[{g}o,c,{u}]*X[n,{g}c,{at}]){bias}",
                        "" if inferred else f" for {ranges}"])

    def parameters(self) -> dict[str, int]:
        by_letter = {"s": self.stride, "p": self.padding, "d": self.dilation}
        return {f"{letter}{a}": values[a] for letter, values in by_letter.items() for a in self.dimensions}

    # ---- shapes, with the axis of groups only where there is more than one ----------------------------------------

    @property
    def shapes(self) -> dict[str, Sizes]:
        G = (self.groups,) if self.groups > 1 else ()
        return {"X": (self.batch, *G, self.channels, *self.image), "W": (*G, self.outputs, self.channels, *self.kernel),
                "Y": (self.batch, *G, self.outputs, *self.out)} | ({"b": (*G, self.outputs)} if self.bias else {})

    # ---- PyTorch --------------------------------------------------------------------------------------------------

    def torch(self, X: torch.Tensor, W: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        if len(self.image) > 3:
            return self.windows(X, W, b)
        conv = (F.conv1d, F.conv2d, F.conv3d)[len(self.image) - 1]
        Y = conv(X.reshape(self.batch, self.groups * self.channels, *self.image), W.reshape(-1, self.channels, *self.kernel),
                 None if b is None else b.flatten(), self.stride, self.padding, self.dilation, self.groups)
        return Y.reshape(self.shapes["Y"])

    def windows(self, X: torch.Tensor, W: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
        """For more dimensions than PyTorch has: unfold every axis, then one contraction."""
        X = F.pad(X.reshape(self.batch, self.groups, self.channels, *self.image),
                  [p for p in reversed(self.padding) for _ in range(2)])
        for a in self.dimensions:
            X = X.unfold(3 + a, self.reach[a], self.stride[a])
        X = X[(..., *(slice(None, None, d) for d in self.dilation))]
        W = W.reshape(self.groups, self.outputs, self.channels, *self.kernel)
        i, u = "ijkl"[: len(self.image)], "abde"[: len(self.image)]
        Y = torch.einsum(f"ngc{i}{u},goc{u}->ngo{i}", X, W).reshape(self.shapes["Y"])
        return Y if b is None else Y + b.reshape(*b.shape, *[1] * len(self.image))

    # ---- exact arithmetic -----------------------------------------------------------------------------------------

    def exact(self, X: np.ndarray, W: np.ndarray, dY: np.ndarray, b: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Y, dX, dW (and db) over whole numbers of any size, one product at a time."""
        Y, dX, dW = (np.zeros(a.shape, dtype=object) for a in (dY, X, W))
        for y, x, w in self.products():
            Y[y] += W[w] * X[x]
            dX[x] += W[w] * dY[y]
            dW[w] += X[x] * dY[y]
        if b is None:
            return {"Y": Y, "dX": dX, "dW": dW}
        places = (0, *range(dY.ndim - len(self.image), dY.ndim))
        return {"Y": Y + b.reshape(*b.shape, *[1] * len(self.image)), "dX": dX, "dW": dW, "db": dY.sum(places)}

    def products(self) -> Iterator[tuple[Sizes, Sizes, Sizes]]:
        """The places in Y, X and W of every product that the definition adds up."""
        several, axes = self.groups > 1, list(zip(self.stride, self.dilation, self.padding, strict=True))
        for n, g, o, c in product(*map(range, (self.batch, self.groups, self.outputs, self.channels))):
            G = (g,) if several else ()
            for i in product(*map(range, self.out)):
                for u in product(*map(range, self.kernel)):
                    at = tuple(s * i[a] + d * u[a] - p for a, (s, d, p) in enumerate(axes))
                    if all(0 <= q < h for q, h in zip(at, self.image, strict=True)):
                        yield (n, *G, o, *i), (n, *G, c, *at), (*G, o, c, *u)

    @property
    def work(self) -> int:
        return self.batch * self.groups * self.outputs * self.channels * prod(self.out) * prod(self.kernel)


@dataclass(frozen=True)
class MaxPooling:
    image: Sizes
    kernel: Sizes
    stride: Sizes
    batch: int = 1
    channels: int = 1

    @property
    def out(self) -> Sizes:
        return tuple((h - k) // s + 1 for h, k, s in zip(self.image, self.kernel, self.stride, strict=True))

    def text(self) -> str:
        (k, m), (s, r) = self.kernel, self.stride
        return f"X[N,C,H,W] -> Y\nY[n,c,i,j] = max[u,v](X[n,c,{s}*i+u,{r}*j+v]) for u < {k}, v < {m}"

    def torch(self, X: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(X, self.kernel, self.stride)

    def exact(self, X: np.ndarray, dY: np.ndarray) -> dict[str, np.ndarray]:
        """Y and dX; equal maxima of a window share its seed equally. The seeds must be divisible by their number."""
        Y, dX = np.zeros(dY.shape, dtype=object), np.zeros(X.shape, dtype=object)
        for n, c, i, j in np.ndindex(*dY.shape):
            places = [(n, c, self.stride[0] * i + u, self.stride[1] * j + v) for u, v in np.ndindex(*self.kernel)]
            Y[n, c, i, j] = max(X[at] for at in places)
            best = [at for at in places if X[at] == Y[n, c, i, j]]
            for at in best:
                dX[at] += dY[n, c, i, j] // len(best)
        return {"Y": Y, "dX": dX}
