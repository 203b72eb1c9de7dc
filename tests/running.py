"""How the tests run a program: derive and compile it once, feed it by name, compare what comes back by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

import nnderiv as nd


@cache
def derivation(text: str, wrt: tuple[str, ...] | None = None) -> Any:
    return nd.derive(text) if wrt is None else nd.derive(text, wrt=wrt)


@cache
def compiled(text: str, wrt: tuple[str, ...] | None = None) -> Any:
    return derivation(text, wrt).compile()


def output_names(text: str) -> list[str]:
    """What stands to the right of the arrow."""
    return re.findall(r"\w+", re.search(r"^[^#\n]*->(.*)$", text, re.MULTILINE)[1])


def seed_names(text: str, seeds: list[np.ndarray]) -> dict[str, np.ndarray]:
    """dY for every output Y; none for a scalar that is the only output."""
    names = output_names(text)
    return {} if len(names) == 1 and seeds[0].ndim == 0 else {f"d{y}": dy for y, dy in zip(names, seeds, strict=True)}


def forward(text: str, inputs: Mapping[str, Any], wrt: tuple[str, ...] | None = None) -> tuple[dict, Any]:
    """The outputs of the emitted module by name, and its residuals."""
    names = output_names(text)
    result, residuals = compiled(text, wrt).forward(**inputs)
    return dict(zip(names, [result] if len(names) == 1 else result, strict=True)), residuals


def backward(text: str, inputs: Mapping[str, Any], seeds: list[np.ndarray], wrt: tuple[str, ...] | None = None) -> dict:
    """The gradients of the emitted module by the name of their input."""
    _, residuals = forward(text, inputs, wrt)
    gradients = compiled(text, wrt).backward(residuals, **seed_names(text, seeds))
    return {name.removeprefix("d"): g for name, g in zip(gradients._fields, gradients, strict=True)}


def lists(value: Any) -> Any:
    """Arrays as nested lists: the interpreter knows no NumPy. Of an empty one it asks the shape."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) and value.size else value


def interpret(program: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return nd.evaluate(program, {name: lists(value) for name, value in inputs.items()})


def assert_close(found: Any, expected: Any, name: str, tolerance: float = 1e-8) -> None:
    """|found - expected| <= tolerance, relative to the largest expected entry where that is above 1."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape, f"{name}: shape {found.shape}, expected {expected.shape}"
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    wrong = ~(np.abs(found - expected) <= tolerance * scale)                # not >: a nan is wrong, too
    assert not wrong.any(), (f"{name}: {wrong.sum()} of {wrong.size} entries differ; the first, at "
                             f"{np.argwhere(wrong)[0].tolist()}: {found[wrong][0]!r}, expected {expected[wrong][0]!r}")


def assert_means(d: Any, module: Any, inputs: Mapping[str, Any], rng: np.random.Generator) -> None:
    """What a module gives, outputs and gradients, is what the interpreter gives."""
    expected = interpret(d.forward, inputs)
    outputs, residuals = module.forward(**inputs)
    given = dict(zip(expected, outputs if len(expected) > 1 else [outputs], strict=True))
    for y, value in zip(given.values(), expected.values(), strict=True):
        np.testing.assert_allclose(y, _array(value, y), rtol=1e-12)
    seeds = {d.gradients.seeds[name]: rng.normal(size=np.shape(y)) for name, y in given.items() if name in d.gradients.seeds}
    gradients = interpret(d.backward, {**inputs, **seeds})
    for name, g in module.backward(residuals, **seeds)._asdict().items():
        np.testing.assert_allclose(g, _array(gradients[name], g), rtol=1e-12, atol=1e-13, err_msg=name)


def _array(value: Any, like: Any) -> np.ndarray:
    """Nested lists as an array; if there is nothing in them, of the shape of what they are compared with, which they do not tell."""
    array = np.array(value, float)
    return array.reshape(np.shape(like)) if array.size == 0 == np.size(like) else array
