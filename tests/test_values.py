"""Programs, derivations and what they hold are values: equal ones hash alike, and a pickle is as good as what it was made of."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nnderiv as nd
from nnderiv.integer import Int

ROOT = Path(__file__).resolve().parent.parent
TEXTS = {
    "convolution": "X[N,G,C,H], K[G,O,C,U], int s -> Y\nY[n,g,o,i] = sum[c,u](K[g,o,c,u]*X[n,g,c,s*i+u]) for i < (H - U)//s + 1",
    "spectrogram": "x[T], w[U] -> y\ny[i,k] = sum[u](w[u]*x[2*i+u]*cos(2*pi*u*k/U)) for k < U, i < (T-U)//2+1",
    "embedding": "E[V,D], int tok[N] -> Y\nY[n,d] = E[tok[n]-1,d]*n",
    "recurrence": "x[T,K], W[K,K], h0[K] -> h\nh[-1,k] = h0[k]\nh[t,k] = tanh(x[t,k] + sum[l](W[k,l]*h[t-1,l]))",
    "loss": "Z[N,C], y[N,C] -> L\nL = -sum[n,c](y[n,c]*log_softmax[c](Z[n,c]))\ngiven sum[c](y[n,c]) = 1",
}
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def values(text: str) -> list[Any]:
    d = nd.derive(text)
    d.numpy()
    return [d.forward, d, d.backward, d.gradients, *d, *d.forward.equations, nd.prove(d.forward, d.forward)]


@every_text
def test_equal_values_hash_alike_and_others_are_not_equal(text: str) -> None:
    for a, b in zip(values(text), values(text), strict=True):
        assert a == b and hash(a) == hash(b) and len({a, b}) == 1
    assert len({nd.derive(t) for t in TEXTS.values()}) == len({nd.parse(t) for t in TEXTS.values()}) == len(TEXTS)


@every_text
def test_a_copy_is_the_same_value(text: str) -> None:
    for value in values(text):
        for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert other == value and hash(other) == hash(value) and str(other) == str(value)


def test_a_counterexample_is_a_value_too() -> None:
    refuted = [nd.prove("x[N] -> y\ny = sum[n](x[n])", "x[N] -> y\ny = 2*sum[n](x[n])") for _ in range(2)]
    assert refuted[0] == refuted[1] and len({*refuted}) == 1


ANOTHER_PROCESS = """
import pickle, sys
import nnderiv as nd
for text, sizes, d in pickle.load(sys.stdin.buffer):
    e = nd.derive(text)
    assert d == e and hash(d) == hash(e) and d.forward == nd.parse(text) and str(nd.derive(d.forward)) == str(e), text
    for options in ({}, {"threads": 2}, {"without": ("in_place",)}, {"sizes": sizes}):
        assert d.numpy(**options) == nd.derive(d.forward).numpy(**options) == e.numpy(**options), (text, options)
"""


def test_another_process_finds_the_same_whatever_it_hashes_names_to() -> None:
    derived = [(text, {d.forward.sizes[0]: 6}, d) for text in TEXTS.values() for d in [values(text)[1]]]
    for seed in ("1", "2026"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", ANOTHER_PROCESS], input=pickle.dumps(derived), env=environment, check=True, cwd=ROOT)


def test_an_integer_is_pickled_without_what_it_was_hashed_to() -> None:
    value = Int.symbol("H") * 2 + Int.symbol("s") // 3
    before = pickle.dumps(value)
    assert hash(value) == hash(pickle.loads(before)) and pickle.dumps(value) == before
