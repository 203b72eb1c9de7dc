"""The time of parsing, deriving and emitting a chain of dense layers: milliseconds per equation, which must not grow with the chain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import nnderiv as nd

LENGTHS = (10, 100, 1000)


def chain(layers: int) -> str:
    """h0 = tanh(X W0 + b0), h1 = tanh(h0 W1 + b1), …"""
    inputs = ["X[N,D0]", *(f"W{k}[D{k},D{k + 1}], b{k}[D{k + 1}]" for k in range(layers))]
    before = ["X", *(f"h{k}" for k in range(layers - 1))]
    equations = [f"h{k}[n,o] = tanh(sum[i]({x}[n,i]*W{k}[i,o]) + b{k}[o])" for k, x in enumerate(before)]
    return f"{', '.join(inputs)} -> h{layers - 1}\n" + "\n".join(equations)


def seconds(layers: int) -> dict[str, float]:
    """Each stage once: what a user waits for."""
    text, marks = chain(layers), [time.perf_counter()]
    program = nd.parse(text)
    marks.append(time.perf_counter())
    derivation = nd.derive(program)
    marks.append(time.perf_counter())
    derivation.numpy()
    marks.append(time.perf_counter())
    return dict(zip(("parse", "derive", "emit"), (b - a for a, b in pairwise(marks)), strict=True))


def records() -> Iterator[dict[str, Any]]:
    """A record for each length, in milliseconds per equation."""
    seconds(3)  # SymPy's first derivatives fill caches
    for layers in LENGTHS:
        yield {"row": f"{layers} layers, per layer", "milliseconds": {k: 1e3 * s / layers for k, s in seconds(layers).items()}}
