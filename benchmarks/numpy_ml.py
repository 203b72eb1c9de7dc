"""numpy-ml's convolution, which keeps channels last."""

from __future__ import annotations

import collections
import collections.abc
import warnings
from typing import Any

import numpy as np

from .work import Run


def convolution(X: np.ndarray, seed: np.ndarray, outputs: int, kernel: int, stride: int, padding: int) -> Run:
    layer = _module().Conv2D(out_ch=outputs, kernel_shape=(kernel, kernel), pad=padding, stride=stride)
    image, gradient = X.transpose(0, 2, 3, 1).copy(), seed.transpose(0, 2, 3, 1).copy()

    def run() -> None:
        layer.forward(image)
        layer.backward(gradient)
        layer.flush_gradients()

    return run


def _module() -> Any:
    # numpy-ml 0.1.2 looks for these where Python kept them before 3.10.
    for name in ("Hashable", "Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"):
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from numpy_ml.neural_nets import layers
    return layers
