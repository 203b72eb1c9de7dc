"""The registry of layers: forward definitions as data, chapter by chapter, each with its source.

Every layer is a text in the notation and nothing more: its gradients, its code and their evidence all follow from it.

>>> from nnderiv import layers
>>> print(layers.dense)
# dense: every output is a weighted sum of all inputs, plus a bias
X[N,I], W[I,O], b[O] -> Y
Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]
>>> print(layers.ALL["dense"].derivation["b"])
db[o] = sum[n](dY[n,o])
"""

from __future__ import annotations

from types import ModuleType

from . import attention, convolution, networks, perceptron, recurrent
from .layer import Layer, layer

CHAPTERS: tuple[ModuleType, ...] = (perceptron, networks, recurrent, convolution, attention)


def _of(chapter: ModuleType) -> dict[str, Layer]:
    """The layers that a module defines, in the order in which they stand there, by the name of their variable."""
    return {name: value for name, value in vars(chapter).items() if isinstance(value, Layer)}


ALL: dict[str, Layer] = {name: found for chapter in CHAPTERS for name, found in _of(chapter).items()}


def __getattr__(name: str) -> Layer:
    """`layers.dense` is `layers.ALL["dense"]`."""
    if name in ALL:
        return ALL[name]
    raise AttributeError(f"There is no layer {name}; see nnderiv.layers.ALL.")


__all__ = ["ALL", "CHAPTERS", "Layer", "layer"]
