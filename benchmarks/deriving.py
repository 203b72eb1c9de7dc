"""The time of parsing, deriving and emitting a chain of dense layers: milliseconds per equation, which must not grow with the chain."""

from __future__ import annotations

import time
from itertools import pairwise

import nnderiv as nd

LENGTHS = (10, 100, 1000)


def chain(layers: int) -> str:
    """h0 = tanh(X W0 + b0), h1 = tanh(h0 W1 + b1), …"""
    inputs = ["X[N,D0]", *(f"W{k}[D{k},D{k + 1}], b{k}[D{k + 1}]" for k in range(layers))]
    before = ["X", *(f"h{k}" for k in range(layers - 1))]
    equations = [f"h{k}[n,o] = tanh(sum[i]({x}[n,i]*W{k}[i,o]) + b{k}[o])" for k, x in enumerate(before)]
    return f"{', '.join(inputs)} -> h{layers - 1}\n" + "\n".join(equations)


def seconds(layers: int) -> tuple[float, float, float]:
    """(parse, derive, emit), each once: what a user waits for."""
    text, marks = chain(layers), [time.perf_counter()]
    program = nd.parse(text)
    marks.append(time.perf_counter())
    derivation = nd.derive(program)
    marks.append(time.perf_counter())
    derivation.numpy()
    marks.append(time.perf_counter())
    parse, derive, emit = (b - a for a, b in pairwise(marks))
    return parse, derive, emit


def table() -> str:
    """A row for each length; the ratio compares the time of deriving per equation with that of the shortest chain."""
    seconds(3)  # SymPy's first derivatives fill caches
    lines, first = ["layers   parse   derive     emit   ms per equation   ratio (derive)"], None
    for layers in LENGTHS:
        milliseconds = [1e3 * s / layers for s in seconds(layers)]
        first = first or milliseconds[1]
        each = "".join(f"{m:9.2f}" for m in milliseconds)
        lines.append(f"{layers:6d}{each}{milliseconds[1] / first:35.2f}")
    return "\n".join(lines)
