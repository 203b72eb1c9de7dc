"""What a user waits for before the first result: parse, derive, emit and load, the first call. Each in a new interpreter, SymPy imported.

The transformer blocks are the layer of the registry, one after another: their time must grow in proportion to their number.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nnderiv as nd
from nnderiv import layers

from .work import Work

BLOCKS = (1, 2, 4)
STAGES = ("parse and derive", "emit and load", "forward", "backward")

_PROGRAM = """
import json, pickle, sys, time
import numpy, sympy, nnderiv
text, wrt, inputs, seeds = pickle.load(open(sys.argv[1], "rb"))
marks = [time.perf_counter()]
derivation = nnderiv.derive(text, wrt=wrt); marks.append(time.perf_counter())
module = derivation.compile(); marks.append(time.perf_counter())
_, residuals = module.forward(**inputs); marks.append(time.perf_counter())
module.backward(residuals, **seeds); marks.append(time.perf_counter())
print(json.dumps([1e3 * (b - a) for a, b in zip(marks, marks[1:])]))
"""


def stages(work: Work, times: int = 3) -> list[float]:
    """Milliseconds of each stage: the run with the smallest sum, of several."""
    import pickle

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work"
        path.write_bytes(pickle.dumps((work.text, work.wrt, dict(work.inputs), dict(work.seeds))))
        runs: list[list[float]] = [json.loads(subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(path)], capture_output=True, text=True, check=True).stdout) for _ in range(times)]
    return min(runs, key=sum)


def blocks(count: int, rng: np.random.Generator) -> Work:
    """So many transformer blocks in a row, with weights of their own."""
    sizes = {"N": 4, "T": 64, "D": 64, "H": 4, "E": 16, "F": 256}
    text = _chained(layers.ALL["transformer_block"].text, count)
    program = nd.parse(text)
    inputs: dict[str, Any] = {
        i.name: (0.1 * rng.standard_normal([d.value(sizes) for d in i.dims])).astype(np.float32) if i.dims else np.float32(1e-5)
        for i in program.inputs}
    seed = rng.standard_normal((4, 64, 64)).astype(np.float32)
    return Work(f"{count} transformer block{'s' * (count > 1)}", text, inputs, tuple(inputs), {f"d{program.outputs[0]}": seed})


def _chained(text: str, count: int) -> str:
    """The text, so many times, each time with names of its own; the output Y of one is the input X of the next."""
    signature, *equations = _lines(text)
    inputs = [s.strip() for s in re.split(r",(?![^\[]*\])", signature.split("->")[0])]
    shared = [i for i in inputs if not i.startswith("X[")]
    names = {re.match(r"\w+", s)[0] for s in [*shared, *equations]}  # type: ignore[index]
    own = {n for n in names if n != "eps"}
    every, written = [i for i in inputs if i.startswith("X[") or i == "eps"], []
    for k in range(count):
        renamed = [_renamed(s, own | {"X"}, k) for s in [*shared, *equations]]
        every += [s for s in renamed[: len(shared)] if s != "eps"]
        written += renamed[len(shared) :]
    return f"{', '.join(every)} -> Y_{count - 1}\n" + "\n".join(written)


def _renamed(line: str, own: set[str], k: int) -> str:
    def new(match: re.Match[str]) -> str:
        name = match[0]
        if name not in own:
            return name
        return ("X" if k == 0 else f"Y_{k - 1}") if name == "X" else f"{name}_{k}"

    return re.sub(r"\b[A-Za-z]\w*\b(?=\[)|^\w+", new, line)


def _lines(text: str) -> Iterator[str]:
    """The lines without comments, a signature over two lines joined."""
    joined = re.sub(r",\n\s*", ", ", "\n".join(s for s in text.splitlines() if not s.strip().startswith("#")))
    return (s.strip() for s in joined.splitlines() if s.strip())
