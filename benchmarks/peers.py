"""The runs of a work: by hand, emitted, and in every library that is installed. All gradients are compared before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .work import Run, Work, agree, module, run_of

THREADS = 2


def runs(work: Work, every: bool = True) -> dict[str, Run]:
    """name -> run. With every=False only what is emitted and PyTorch."""
    found: dict[str, Run] = {}
    emitted = run_of(work, module(work))
    gradients = emitted()
    if work.hand is not None:
        hand = work.hand
        found["hand"] = lambda: hand(**work.inputs, **work.seeds)
        agree(f"{work.name} by hand", gradients, found["hand"]()[1])
    for peers in (in_torch, in_jax, in_autograd) if every else (in_torch,):
        for name, run in peers(work).items():
            agree(f"{work.name} in {name}", gradients, run())
            found[name] = run
    if every:
        found |= others(work)
    found["nnderiv"] = emitted
    found["nnderiv, threads"] = run_of(work, module(work, threads=THREADS))
    agree(f"{work.name} on threads", gradients, found["nnderiv, threads"]())
    return found


def in_torch(work: Work) -> dict[str, Run]:
    """PyTorch, eager."""
    try:
        import torch
    except ImportError:
        return {}
    tensors = {name: _tensor(torch, a, name in work.wrt) for name, a in work.inputs.items()}
    wanted = [tensors[name] for name in work.wrt]
    seeds = [torch.from_numpy(s) for s in work.seeds.values()] or None

    def eager(forward: Callable[..., Any]) -> Run:
        return lambda: torch.autograd.grad(forward(torch, **tensors), wanted, seeds)

    return {name: eager(forward) for name, forward in work.torch.items()}


def _tensor(torch: Any, a: Any, differentiable: bool) -> Any:
    return torch.tensor(a, requires_grad=differentiable) if isinstance(a, np.ndarray) or differentiable else a


def in_jax(work: Work) -> dict[str, Run]:
    """JAX, jit."""
    if work.jax is None:
        return {}
    try:
        import jax
    except ImportError:
        return {}
    forward, fixed, moving = work.jax, *_split(work, jax.numpy.asarray)
    seed = jax.numpy.asarray(np.float32(1) if work.seed is None else work.seed)

    @jax.jit
    def both(seed: Any, arrays: Mapping[str, Any]) -> Any:
        _, back = jax.vjp(lambda arrays: forward(jax, **arrays, **fixed), arrays)
        return back(seed)[0]

    return {"jax": lambda: [g for _, g in _in_order(work, jax.block_until_ready(both(seed, moving)))]}


def in_autograd(work: Work) -> dict[str, Run]:
    """HIPS autograd."""
    if work.autograd is None:
        return {}
    try:
        import autograd
        import autograd.numpy as numpy_of_autograd
    except ImportError:
        return {}
    forward, fixed, moving = work.autograd, *_split(work, np.asarray)
    gradient = autograd.grad(lambda arrays: forward(numpy_of_autograd, **arrays, **fixed))
    return {"autograd": lambda: [g for _, g in _in_order(work, gradient(moving))]}


def others(work: Work) -> dict[str, Run]:
    found = {}
    for name, make in work.other.items():
        try:
            found[name] = make()
        except ImportError:
            continue
    return found


def _split(work: Work, as_array: Callable[[Any], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the inputs without gradients, the others)."""
    arrays = {name: as_array(a) for name, a in work.inputs.items()}
    return {k: a for k, a in arrays.items() if k not in work.wrt}, {k: arrays[k] for k in work.wrt}


def _in_order(work: Work, gradients: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, gradients[name]) for name in work.wrt]
