"""The tables: each is a generator of records (name -> number), and a line of text for each record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnderiv.lower.passes import FORMS, PASSES

from . import deriving, first_call, memory, peers, products, timing
from .layer_rows import LAYERS
from .rows import ROWS
from .work import module, run_of

Record = dict[str, Any]


def main_table(names: Sequence[str]) -> Iterator[Record]:
    """The nine rows: milliseconds of every library, peak memory of NumPy in MiB."""
    for name in _chosen(ROWS, names):
        work = ROWS[name](np.random.default_rng(0))
        runs = peers.runs(work)
        yield {"row": name, **_times(timing.measure(runs)),
               "peak MiB": {k: memory.peak(runs[k]) for k in ("hand", "nnderiv", "nnderiv, threads") if k in runs}}


def layer_table(names: Sequence[str]) -> Iterator[Record]:
    """Layers of the zoo: milliseconds of nnderiv and of PyTorch, and for some with a fused kernel there, of NumPy by hand.

    `loop` says that PyTorch has no call for the layer, and goes step by step from Python.
    """
    for name in _chosen(LAYERS, names):
        runs = peers.runs(LAYERS[name].work(np.random.default_rng(0)), every=False)
        yield {"row": name, "loop": LAYERS[name].loop, **_times(timing.measure(runs, seconds=0.12))}


def first_call_table(names: Sequence[str]) -> Iterator[Record]:
    """From the text to the first result, in milliseconds, stage by stage."""
    rng = np.random.default_rng(0)
    for name in _chosen(ROWS, names):
        yield {"row": name, "milliseconds": dict(zip(first_call.STAGES, first_call.stages(ROWS[name](rng)), strict=True))}
    if not names:
        for count in first_call.BLOCKS:
            work = first_call.blocks(count, rng)
            yield {"row": work.name, "milliseconds": dict(zip(first_call.STAGES, first_call.stages(work), strict=True))}


def pass_table(names: Sequence[str]) -> Iterator[Record]:
    """The rows with each pass of the emitter switched off: milliseconds, and peak memory in MiB.

    What is emitted as the same text is not timed again, but once, as `again`: so much is noise.
    """
    for name in _chosen(ROWS, names):
        work = ROWS[name](np.random.default_rng(0))
        off = {**{p: (p,) for p in (*FORMS, *PASSES)}, "none": (*FORMS, *PASSES)}
        emitted = {"all": module(work), "again": module(work), **{way: module(work, without=without) for way, without in off.items()}}
        runs = {way: run_of(work, m) for way, m in emitted.items() if way in ("all", "again") or m.source != emitted["all"].source}
        yield {"row": name, "ways": list(off), **_times(timing.measure(runs, seconds=0.1)),
               "peak MiB": {way: memory.peak(run) for way, run in runs.items()}}


def product_table(names: Sequence[str]) -> Iterator[Record]:
    """Rows and layers: milliseconds of nnderiv and of PyTorch, of its products of matrices, and of one pass over the largest input."""
    for name in _chosen({**ROWS, **LAYERS}, names):
        rng = np.random.default_rng(0)
        work = ROWS[name](rng) if name in ROWS else LAYERS[name].work(rng)
        runs = {k: run for k, run in peers.runs(work, every=False).items() if k in ("nnderiv", "torch")}
        runs["instrumented"], spent = products.timed(work)
        runs["one pass"] = products.one_pass(work)
        times = timing.measure(runs, seconds=0.1)
        del times["instrumented"]
        yield {"row": name, **_times({**times, "products": spent})}


def chain_table(names: Sequence[str]) -> Iterator[Record]:
    """A chain of dense layers: milliseconds per equation, which must not grow with the chain."""
    yield from deriving.records()


TABLES: dict[str, Callable[[Sequence[str]], Iterator[Record]]] = {
    "rows": main_table, "layers": layer_table, "products": product_table, "passes": pass_table, "first": first_call_table,
    "chain": chain_table,
}
RATIOS = {"rows": (("nnderiv", "hand"), ("nnderiv", "torch"), ("nnderiv, threads", "hand"), ("nnderiv, threads", "torch")),
          "layers": (("nnderiv", "hand"), ("nnderiv", "torch"), ("nnderiv, threads", "torch")),
          "products": (("products", "nnderiv"), ("products", "torch"), ("torch", "one pass"))}


def _times(times: Mapping[str, list[float]]) -> Record:
    return {"milliseconds": timing.medians(times), "fastest": timing.fastest(times)}


def _chosen(rows: Any, names: Sequence[str]) -> list[str]:
    return [n for n in rows if not names or n in names]


def line(table: str, record: Record) -> str:
    """One record as a line: medians; their ratios, and in brackets the ratios of the fastest tenth; peak memory."""
    times = record["milliseconds"]
    parts = [f"{k} {v:.3g}" for k, v in times.items()]
    if table == "first":
        parts.append(f"together {sum(times.values()):.0f}")
    low = record.get("fastest", {})
    parts += [f"| {a}/{b} {times[a] / times[b]:.2f} ({low[a] / low[b]:.2f})" for a, b in RATIOS.get(table, ()) if a in times and b in times]
    peak = record.get("peak MiB", {})
    parts += [f"| peak {peak[k]:.2f} MiB = {peak[k] / peak['hand']:.2f} hand" for k in ("nnderiv",) if k in peak and "hand" in peak]
    return f"{record['row']:<44}" + "  ".join(parts)
