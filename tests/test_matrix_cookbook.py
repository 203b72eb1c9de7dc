"""The Matrix Cookbook's derivatives: derived, and equal to the identity, exactly, and to PyTorch."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.draw import draw, nested, number
from nnderiv.evaluate import evaluate
from tests.suites.matrix_cookbook import CASES, FIRST, LAST, NOT_STATED, Case, counts


def seed_of(d: nd.Derivation) -> str:
    return d.gradients.seeds.get("Y", "")


@pytest.mark.parametrize("c", CASES, ids=lambda c: str(c.number))
def test_the_identity_holds_exactly(c: Case) -> None:
    d = c.derivation
    assert bool(seed_of(d)) == c.seeded
    c.confirm(d)


@pytest.mark.parametrize("c", CASES, ids=lambda c: str(c.number))
def test_pytorch_agrees(c: Case) -> None:
    torch = pytest.importorskip("torch")
    d, rng = c.derivation, Random(c.number)
    inputs = draw(d.forward, rng, mode="positive", largest=4).inputs
    tensors = {n: torch.tensor(np.asarray(v, dtype=object).astype(float), requires_grad=n == c.wrt) for n, v in inputs.items()}
    names = {"trace": torch.trace, "sin": torch.sin, "tanh": torch.tanh, "einsum": torch.einsum}
    y = eval(c.torch, names, tensors)
    assert np.allclose(y.detach().numpy(), _floats(evaluate(d.forward, inputs)["Y"])), "PyTorch's function is another one"
    seed = nested(tuple(y.shape), lambda: number(rng)) if c.seeded else None
    (expected,) = torch.autograd.grad(y, tensors[c.wrt], torch.tensor(_floats(seed)) if c.seeded else None)
    (mine,) = evaluate(d.backward, {**inputs, **({seed_of(d): seed} if c.seeded else {})}).values()
    assert np.allclose(_floats(mine), expected.numpy(), rtol=1e-9, atol=1e-9)


def _floats(value: Any) -> Any:
    return np.asarray(value, dtype=object).astype(float)


def test_a_wrong_identity_is_noticed() -> None:
    (c,) = (c for c in CASES if c.number == 81)
    wrong = Case(81, c.inputs, c.forward, c.wrt, "G[i] = 2*sum[j](B[i,j]*x[j])", c.torch)  # right for a symmetric B only
    with pytest.raises(AssertionError, match="81"):
        test_the_identity_holds_exactly(wrong)


def test_every_equation_is_stated_or_has_a_reason() -> None:
    numbers = [n for c in CASES for n in (c.number, *c.extra)] + [n for ns in NOT_STATED.values() for n in ns]
    assert sorted(numbers) == list(range(FIRST, LAST + 1))
    found = counts()
    assert found["stated"] + found["not stated"] == found["equations"] == 113
    assert (found["stated"], found["cases"], found["not stated"]) == (71, 69, 42)


def test_a_symmetric_toeplitz_matrix_is_proved_for_all_sizes() -> None:
    (c,) = (c for c in CASES if c.number == 144)
    assert nd.prove(c.derivation.backward, f"{c.inputs} -> dt\n{c.identity.replace('G[', 'dt[')}").verdict == "proved"
