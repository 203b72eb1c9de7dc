"""Emitted modules beside PyTorch eager: forward and all gradients, float32. Blocks take turns; only ratios of medians count."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import nnderiv as nd
from nnderiv import layers

Run = Callable[[], Any]


def _arrays(program: nd.Program, sizes: dict[str, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i.name: (0.1 * rng.standard_normal([d.value(sizes) for d in i.dims])).astype(np.float32) for i in program.inputs}


def rows() -> dict[str, tuple[str, dict[str, int], Callable[..., Any]]]:
    """name -> (text, sizes, the same in PyTorch: (torch, inputs) -> output)."""
    return {
        "dense": (layers.ALL["dense"].text, {"N": 256, "I": 784, "O": 512}, lambda t, v: v["X"] @ v["W"] + v["b"]),
        "softmax": (layers.ALL["softmax"].text, {"N": 2048, "D": 256, "O": 256}, lambda t, v: t.softmax(next(iter(v.values())), 1)),
        "convolution": (
            "X[N,C,H,W], K[O,C,U,V], b[O] -> Y\n"
            "Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u-1,j+v-1]) + b[o]  for i < H, j < W",
            {"N": 32, "C": 16, "H": 32, "W": 32, "O": 32, "U": 3, "V": 3},
            lambda t, v: t.nn.functional.conv2d(v["X"], v["K"], v["b"], padding=1)),
    }


def runners(text: str, sizes: dict[str, int], reference: Callable[..., Any]) -> dict[str, Run]:
    """nnderiv, and PyTorch where it is installed; both on the same inputs and seeds, the gradients compared first."""
    derivation = nd.derive(text)
    inputs = _arrays(derivation.forward, sizes | {s: 64 for s in derivation.forward.sizes if s not in sizes})
    module = derivation.compile()
    output, residuals = module.forward(**inputs)
    seed = {s: np.ones_like(output) for s in derivation.gradients.seeds.values()}
    found: dict[str, Run] = {"nnderiv": lambda: module.backward(module.forward(**inputs)[1], **seed)}
    try:
        import torch
    except ImportError:
        return found
    tensors = {n: torch.tensor(a, requires_grad=True) for n, a in inputs.items()}

    def eager() -> Any:
        y = reference(torch, tensors)
        return torch.autograd.grad(y, list(tensors.values()), torch.ones_like(y))

    for mine, theirs in zip(module.backward(residuals, **seed), eager(), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-3, atol=1e-3)
    found["PyTorch"] = eager
    return found


def medians(run: dict[str, Run], rounds: int = 4, block: float = 0.3) -> dict[str, float]:
    """Median milliseconds; in each round every runner has a block to itself, warmed up."""
    times: dict[str, list[float]] = {name: [] for name in run}
    for _ in range(rounds):
        for name, f in run.items():
            f()
            stop = time.perf_counter() + block
            while time.perf_counter() < stop:
                start = time.perf_counter()
                f()
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(t) for name, t in times.items()}


def table() -> str:
    lines = ["row            nnderiv / PyTorch eager"]
    for name, row in rows().items():
        found = medians(runners(*row))
        ratio = f"{found['nnderiv'] / found['PyTorch']:.2f}" if "PyTorch" in found else "PyTorch is not installed"
        lines.append(f"{name:15}{ratio}")
    return "\n".join(lines)
