"""What training needs besides gradients: three ways to take a step, batches, and the handwritten digits.

A step changes the arrays of ``weights`` (name -> array) in place; ``gradients`` has a field ``dW`` for each ``W``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]
Step = Callable[[Weights, Any], None]


def descent(rate: float) -> Step:
    """W ← W − rate · dW"""

    def step(weights: Weights, gradients: Any) -> None:
        for name, w in weights.items():
            w -= rate * getattr(gradients, "d" + name)

    return step


def momentum(rate: float, keep: float = 0.9) -> Step:
    """v ← keep · v + dW,  W ← W − rate · v"""
    v: Weights = {}

    def step(weights: Weights, gradients: Any) -> None:
        for name, w in weights.items():
            v[name] = keep * v.get(name, 0) + getattr(gradients, "d" + name)
            w -= rate * v[name]

    return step


def adam(rate: float, keep: float = 0.9, keep_squares: float = 0.999) -> Step:
    """m and v are running means of dW and of dW², freed of their start at 0;  W ← W − rate · m / √v"""
    m: Weights = {}
    v: Weights = {}
    t = 0

    def step(weights: Weights, gradients: Any) -> None:
        nonlocal t
        t += 1
        for name, w in weights.items():
            g = getattr(gradients, "d" + name)
            m[name] = keep * m.get(name, 0) + (1 - keep) * g
            v[name] = keep_squares * v.get(name, 0) + (1 - keep_squares) * g**2
            w -= rate * (m[name] / (1 - keep**t)) / (np.sqrt(v[name] / (1 - keep_squares**t)) + 1e-8)

    return step


def clipped(gradients: Any, longest: float) -> Any:
    """The gradients, scaled down together if they are longer than ``longest``."""
    length = float(np.sqrt(sum(np.vdot(g, g) for g in gradients)))
    return type(gradients)(g * min(1.0, longest / length) for g in gradients)


def batches(rng: np.random.Generator, count: int, size: int) -> Iterator[np.ndarray]:
    """The numbers 0 … count−1 in a new order, ``size`` at a time; what is left over waits for the next order."""
    order = rng.permutation(count)
    for start in range(0, count - size + 1, size):
        yield order[start : start + size]


def one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    """Row n is 0 but for a 1 at place labels[n]."""
    return np.eye(count, dtype=np.float32)[labels]


def digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """1297 images of 8 × 8 for training and 500 for the test, from 0 to 1, with labels; always the same split."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = (data.images / 16).astype(np.float32), data.target
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:-500], order[-500:]
    return (images[train], labels[train]), (images[test], labels[test])
