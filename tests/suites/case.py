"""A case is one layer, said three times: as a text in the notation, as the inputs to draw, and in PyTorch.

The law that a case states: the program that the text means, and every gradient derived from it, agree with
PyTorch's forward pass and with its automatic differentiation, in float64, to rounding.

>>> @case("x[N] -> y\\n y[n] = sin(x[n])", x=(3,))
... def sine(x):
...     return torch.sin(x)
>>> sine.name, sine.inputs(np.random.default_rng(0))["x"].shape
('sine', (3,))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Case:
    name: str                                           # as the test prints it
    text: str                                           # the program, to the letter of the notation
    inputs: Callable[[np.random.Generator], dict]       # one value per input: arrays, int parameters, real scalars
    torch: Callable[..., Any]                           # the outputs in the order of the signature
    wrt: tuple[str, ...] | None = None                  # None: every real input

    def __repr__(self) -> str:
        return self.name


def case(text: str, *, wrt: tuple[str, ...] | None = None, **draws: Any) -> Callable[[Callable[..., Any]], Case]:
    """Turn a PyTorch function into a case of its own name; `draws` says what each input is (see `draw`)."""

    def inputs(rng: np.random.Generator) -> dict:
        return {name: draw(value, rng) for name, value in draws.items()}

    return lambda reference: Case(reference.__name__, cleandoc(text), inputs, reference, wrt)


def draw(value: Any, rng: np.random.Generator) -> Any:
    """A tuple is the shape of a normal draw; a function draws for itself; a number stands for itself."""
    if isinstance(value, tuple):
        return rng.normal(size=value)
    return np.asarray(value(rng)) if callable(value) else value


def uniform(low: float, high: float, *shape: int) -> Draw:
    return lambda rng: rng.uniform(low, high, size=shape)


def positive(*shape: int) -> Draw:
    return uniform(0.5, 1.5, *shape)


def simplex(*shape: int) -> Draw:
    """Positive, and summing to one over the last axis."""
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])


def integers(high: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(high, size=shape)


def signs(*shape: int) -> Draw:
    return lambda rng: rng.choice([-1.0, 1.0], size=shape)


def whole_signs(*shape: int) -> Draw:
    return lambda rng: rng.choice([-1, 1], size=shape)


def spd(size: int) -> Draw:
    """A symmetric positive definite matrix, well conditioned."""

    def matrix(rng: np.random.Generator) -> np.ndarray:
        a = rng.normal(size=(size, size))
        return a @ a.T + size * np.eye(size)

    return matrix


def lower(size: int) -> Draw:
    """A lower triangular matrix with a diagonal away from zero."""
    return lambda rng: np.tril(rng.normal(size=(size, size)), -1) + np.diag(rng.uniform(1.0, 2.0, size=size))


# ---- one evaluation of the reference --------------------------------------------------------------------------


def as_torch(value: Any) -> Any:
    """Real arrays and real scalars become float64 leaves that want a gradient; integers stay integers."""
    if isinstance(value, (int, np.integer)):
        return int(value)
    tensor = torch.as_tensor(np.asarray(value))
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def reference(case: Case, inputs: dict, rng: np.random.Generator) -> tuple[list, list, dict]:
    """Outputs Y, seeds dY, and by PyTorch the gradient of sum(dY*Y) for every real input.

    The seeds are drawn at random; a scalar that is the only output has the seed 1.
    """
    leaves, outputs, seeds = run(case, inputs, rng)
    gradients = differentiate(outputs, seeds, leaves)
    return list(map(as_numpy, outputs)), list(map(as_numpy, seeds)), {k: as_numpy(g) for k, g in gradients.items()}


def reference_twice(case: Case, inputs: dict, rng: np.random.Generator) -> tuple[list, dict, list]:
    """Seeds dY; seeds ddX for the gradients dX; and the gradient of sum(ddX*dX) for every real input, then every dY."""
    with sdpa_kernel(SDPBackend.MATH):                  # the fused kernels of attention have no second derivative
        leaves, outputs, seeds = run(case, inputs, rng)
        gradients = differentiate(outputs, seeds, leaves, create_graph=True)
        seeds_of_gradients = draw_seeds(list(gradients.values()), rng)
        variables = {name: leaves[name] for name in gradients} | dict(enumerate(seeds))
        second = differentiate(list(gradients.values()), seeds_of_gradients, variables)
    return (list(map(as_numpy, seeds)), dict(zip(gradients, map(as_numpy, seeds_of_gradients), strict=True)),
            list(map(as_numpy, second.values())))


def run(case: Case, inputs: dict, rng: np.random.Generator) -> tuple[dict, list, list]:
    leaves = {name: as_torch(value) for name, value in inputs.items()}
    outputs = case.torch(**leaves)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    return leaves, outputs, draw_seeds(outputs, rng)


def draw_seeds(outputs: list, rng: np.random.Generator) -> list:
    alone = len(outputs) == 1 and outputs[0].ndim == 0
    return [as_torch(np.ones(()) if alone else rng.normal(size=tuple(y.shape))) for y in outputs]


def differentiate(outputs: list, seeds: list, variables: dict, create_graph: bool = False) -> dict:
    """The gradient of sum(seed*output) by name, zero where nothing depends on a variable."""
    wanted = {name: v for name, v in variables.items() if isinstance(v, torch.Tensor) and v.requires_grad}
    total = sum((y * seed).sum() for y, seed in zip(outputs, seeds, strict=True))
    gradients = torch.autograd.grad(total, list(wanted.values()), create_graph=create_graph, allow_unused=True,
                                    materialize_grads=True)
    return dict(zip(wanted, gradients, strict=True))


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)
