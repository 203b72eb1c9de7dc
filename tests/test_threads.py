"""Threads: the same results, whatever their number."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv import layers

SIZES = {"N": 5, "T": 3, "C": 2, "H": 6, "W": 5, "O": 3, "U": 3, "V": 2, "M": 4, "D": 4, "E": 3, "F": 5, "I": 4, "K": 3}
PARAMETERS = {"s": 2, "d": 1, "p": 1, "U": 2, "V": 2}
LAYERS = ("conv2d", "max_pool2d", "mlp_cross_entropy", "multi_head_attention", "transformer_block", "elman", "layer_norm", "deep_network")


def inputs_of(program: nd.Program, sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(0)

    def value(i: Any) -> Any:
        if i.kind == "int" and not i.dims:
            return PARAMETERS[i.name]
        shape = [d.value({**{s: 3 for s in program.sizes}, **SIZES, **sizes, **PARAMETERS}) for d in i.dims]
        return rng.integers(3, size=shape) if i.kind == "int" else rng.uniform(0.1, 1, size=shape)

    return {i.name: value(i) for i in program.inputs}


def results(d: nd.Derivation, inputs: dict[str, Any], threads: int) -> list[np.ndarray]:
    module = d.compile(threads=threads)
    outputs, residuals = module.forward(**inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    rng = np.random.default_rng(1)
    seeds = {s: rng.normal(size=np.shape(o)) for s, o in zip(d.gradients.seeds.values(), outputs, strict=False)}
    return [*outputs, *module.backward(residuals, **seeds)]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("name", LAYERS)
def test_the_results_do_not_depend_on_the_number_of_threads(name: str, size: int) -> None:
    d = nd.derive(layers.ALL[name].program)
    inputs = inputs_of(d.forward, {"N": size})
    with warnings.catch_warnings():
        warnings.simplefilter("error" if size else "ignore")
        expected = results(d, inputs, 1)
        for threads in (2, 3):
            for a, b in zip(results(d, inputs, threads), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_the_parts_of_a_batch_are_computed_at_the_same_time() -> None:
    for name in ("conv2d", "multi_head_attention", "mlp_cross_entropy"):
        source = nd.derive(layers.ALL[name].program).numpy(threads=2)
        assert "THREADS = 2" in source and source.count("_on_threads(") >= 3, name


def test_an_index_that_is_a_value_counts_from_the_first_part() -> None:
    d = nd.derive("X[N,M] -> Y\nS[n,m] = where(n > m, X[n,m], 0)\nY[n,k] = sum[m](S[n,m]*X[k,m])")
    inputs = {"X": np.random.default_rng(0).normal(size=(6, 4))}
    for a, b in zip(results(d, inputs, 2), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_softmax_along_the_first_index_is_not_split() -> None:
    d = nd.derive("X[N,M] -> P\nP[n,m] = softmax[n](sum[k](X[n,k]*X[m,k])) for m < N")
    inputs = {"X": np.random.default_rng(0).normal(size=(6, 4))}
    for a, b in zip(results(d, inputs, 3), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_one_thread_is_no_thread() -> None:
    d = nd.derive(layers.ALL["conv2d"].program)
    assert d.numpy(threads=1) == d.numpy() and "thread" not in d.numpy()


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "two"])
def test_a_number_of_threads_is_a_whole_number(threads: Any) -> None:
    with pytest.raises(ValueError, match="threads is"):
        nd.derive(layers.ALL["dense"].program).compile(threads=threads)


def test_what_a_mask_discards_warns_on_no_thread() -> None:
    d = nd.derive(layers.ALL["causal_attention"].program)
    Q = np.full((3, 2), 1e3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results(d, {"Q": Q, "K": Q, "V": Q}, 2)
