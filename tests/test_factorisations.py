"""Factorisations of matrices: elements wait for elements of the same tensor, in an order that conditions on indices alone decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.lower.passes import FORMS, PASSES
from nnderiv.lower.schedule import _Scheduler

Arrays = tuple[Any, ...]

LU = """A[N,N] -> F
F[i,j] = where(i <= j, A[i,j] - sum[k](where(k < i, F[i,k]*F[k,j], 0)), (A[i,j] - sum[k](where(k < j, F[i,k]*F[k,j], 0)))/F[j,j])"""
LU_APART = """A[N,N] -> L, U
U[i,j] = where(i <= j, A[i,j] - sum[k](where(k < i, L[i,k]*U[k,j], 0)), 0) for i < N, j < N
L[i,j] = where(i > j, (A[i,j] - sum[k](where(k < j, L[i,k]*U[k,j], 0)))/U[j,j], where(i == j, 1, 0)) for i < N, j < N"""
LDLT = """A[N,N] -> L, D
D[j] = A[j,j] - sum[k](where(k < j, L[j,k]**2*D[k], 0)) for j < N
L[i,j] = where(i > j, (A[i,j] - sum[k](where(k < j, L[i,k]*L[j,k]*D[k], 0)))/D[j], where(i == j, 1, 0)) for i < N, j < N"""
CHOLESKY = """A[N,N] -> C
C[i,j] = where(i == j, sqrt(A[i,i] - sum[k](where(k < i, C[i,k]**2, 0))), where(i > j,
    (A[i,j] - sum[k](where(k < j, C[i,k]*C[j,k], 0)))/C[j,j], 0))"""


ELIMINATION = """A[N,N], b[N] -> B
M[0,i] = b[i]
M[k,i] = where(i == k-1, M[k-1,{i}]/A[k-1,k-1], M[k-1,i] - A[i,k-1]*M[k-1,k-1]/A[k-1,k-1]) for k < N+1, i < N
B[i] = M[N,i]"""


def lu(A: Any) -> Arrays:
    """By columns, each taken from those behind it."""
    F = A.copy()
    for k in range(len(F)):
        F[k + 1:, k] /= F[k, k]
        F[k + 1:, k + 1:] -= np.outer(F[k + 1:, k], F[k, k + 1:])
    return (F,)


def lu_apart(A: Any) -> Arrays:
    (F,) = lu(A)
    return np.tril(F, -1) + np.eye(len(F)), np.triu(F)


def ldlt(A: Any) -> Arrays:
    """A is symmetric where it is read: below the diagonal and on it."""
    L, U = lu_apart(np.tril(A) + np.tril(A, -1).T)
    return L, np.diagonal(U)


def cholesky(A: Any) -> Arrays:
    L, D = ldlt(A)
    return (L*np.sqrt(D),)


KINDS = {"LU": (LU, lu), "L and U": (LU_APART, lu_apart), "LDLT": (LDLT, ldlt), "Cholesky": (CHOLESKY, cholesky)}
each = pytest.mark.parametrize(("text", "by_hand"), KINDS.values(), ids=KINDS)


def case(n: int) -> Any:
    """A symmetric positive definite matrix."""
    X = np.random.default_rng(n).normal(size=(n, n))
    return X @ X.T + n*np.eye(n)


def adjoint(by_hand: Callable[[Any], Arrays], A: Any, seeds: Arrays) -> Any:
    """Jᵀ dY by a complex step along each entry: exact but for rounding."""
    dA = np.empty_like(A)
    for place in np.ndindex(A.shape):
        step = A.astype(complex)
        step[place] += 1e-30j
        dA[place] = sum((dY*y.imag).sum() for dY, y in zip(seeds, by_hand(step), strict=True))/1e-30
    return dA


@each
def test_the_definition_of_the_gradient_needs_no_element_itself(text: str, by_hand: Callable[[Any], Arrays]) -> None:
    A, d = case(4), nd.derive(text)
    seeds = [np.random.default_rng(k).normal(size=y.shape) for k, y in enumerate(by_hand(A))]
    found = nd.evaluate(d.backward, {"A": A, **dict(zip(d.gradients.seeds.values(), seeds, strict=True))})["dA"]
    np.testing.assert_allclose(np.array(found, float), adjoint(by_hand, A, tuple(seeds)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("text", [LU, CHOLESKY], ids=["LU", "Cholesky"])
def test_its_derivation_is_confirmed_step_by_step(text: str) -> None:
    assert nd.derive(text)["A"].steps


@each
def test_emitted_code_computes_it_and_its_gradient(text: str, by_hand: Callable[[Any], Arrays]) -> None:
    d = nd.derive(text)
    for without in ((), ("untangle",), ("on_diagonal",), (*FORMS, *PASSES)):
        for n in (0, 1, 2, 5):
            _agrees(d, d.compile(without=without), case(n), by_hand)
    assert "_until_settled" not in d.numpy()


def test_a_column_waits_for_its_entry_on_the_diagonal_as_a_whole() -> None:
    """One loop over the columns forwards, one backwards, and none over the rows of a column."""
    batch = CHOLESKY.replace("A[N,N]", "A[B,N,N]").replace("C[", "C[n,").replace("A[i", "A[n,i")
    beside = """A[N,N] -> C
        C[i,j] = where(i != j, where(i > j, (A[i,j] - sum[k](where(k < j, C[i,k]*C[j,k], 0)))/C[j,j], 0),
            sqrt(A[i,i] - sum[k](where(k < i, C[i,k]**2, 0))))"""
    for text in (CHOLESKY, batch, beside):
        source = nd.derive(text).numpy().split("def forward")[1]
        assert source.count("\n    for ") == 2 and "        for " not in source, text
    A = np.stack([case(4), 2*case(4) + 1])
    d = nd.derive(batch)
    for without in ((), ("on_diagonal",)):
        module = d.compile(without=without)
        C, residuals = module.forward(A=A)
        dC = np.random.default_rng(0).normal(size=C.shape)
        dA = module.backward(residuals, dC=dC).dA
        for k in range(2):
            np.testing.assert_allclose(C[k], np.linalg.cholesky(A[k]), rtol=1e-12)
            np.testing.assert_allclose(dA[k], adjoint(cholesky, A[k], (dC[k],)), rtol=1e-10, atol=1e-12)


def _agrees(d: Any, module: Any, A: Any, by_hand: Callable[[Any], Arrays]) -> None:
    found, residuals = module.forward(A=A)
    expected, rng = by_hand(A), np.random.default_rng(len(A))
    for y, right in zip(found if len(expected) > 1 else (found,), expected, strict=True):
        np.testing.assert_allclose(y, right, rtol=1e-11, atol=1e-13)
    seeds = {name: rng.normal(size=y.shape) for name, y in zip(d.gradients.seeds.values(), expected, strict=True)}
    dA = module.backward(residuals, **seeds).dA
    np.testing.assert_allclose(dA, adjoint(by_hand, A, tuple(seeds.values())), rtol=1e-10, atol=1e-12)


@each
def test_a_sweep_is_right_whatever_stands_where_nothing_is_computed_yet(
    text: str, by_hand: Callable[[Any], Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Scheduler, "plan", lambda *_: None)  # as if no loop followed any recurrence
    d = nd.derive(text)
    assert "_until_settled" in d.numpy()
    _agrees(d, d.compile(), case(4), by_hand)


def test_a_read_outside_says_in_a_sweep_what_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    d = nd.derive("S[N], b[N] -> x\nx[i] = (b[i] - sum[k](S[i-k-1]/x[k]))/(1 + sum[k](S[i-k-1]*x[k]))")
    S, b = np.random.default_rng(5).uniform(1, 2, (2, 5))
    x = np.zeros(5)
    for i in range(5):
        x[i] = (b[i] - (S[:i][::-1]/x[:i]).sum())/(1 + S[:i][::-1] @ x[:i])
    np.testing.assert_allclose(d.compile().forward(S=S, b=b)[0], x, rtol=1e-11)
    assert "_until_settled" not in d.numpy()
    monkeypatch.setattr(_Scheduler, "plan", lambda *_: None)
    swept = nd.derive(str(d.forward)).compile()
    assert "_until_settled" in swept.source
    np.testing.assert_allclose(swept.forward(S=S, b=b)[0], x, rtol=1e-11)


def test_a_sweep_computes_a_number_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Scheduler, "plan", lambda *_: None)
    d = nd.derive("x[T] -> h, s\nh[t] = where(t > 2, s, x[t])\ns = sum[t](where(t < 3, 1/h[t], 0))")
    x, dh = np.array([1.0, 2, 4, 7, 8]), np.array([1.0, 10, 100, 3, 4])
    (h, s), residuals = d.compile().forward(x=x)
    np.testing.assert_allclose(h, [1, 2, 4, 1.75, 1.75])
    assert type(s) is np.float64 and s == 1.75
    dx = d.compile().backward(residuals, dh=dh, ds=1.0).dx
    np.testing.assert_allclose(dx, [1 - 8, 10 - 8/4, 100 - 8/16, 0, 0])


def test_evidence_agrees_for_a_factorisation() -> None:
    assert nd.derive(LU).check(seed=0).ok


def eliminated(A: Any, b: Any) -> Any:
    """Column by column, all of them of the matrix as it came."""
    for k in range(len(A)):
        row = b[k]/A[k, k]
        b = b - A[:, k]*row
        b[k] = row
    return b


@pytest.mark.parametrize("i", ["i", "k-1"])
def test_a_division_one_place_beyond_the_matrix_leaves_no_trace(i: str) -> None:
    rng, A, d = np.random.default_rng(3), case(3), nd.derive(ELIMINATION.format(i=i))
    b, dB = rng.normal(size=(2, 3))
    expected = adjoint(lambda A: (eliminated(A, b),), A, (dB,)), adjoint(lambda b: (eliminated(A, b),), b, (dB,))
    for without in ((), ("indicator",), ("hoist",), (*FORMS, *PASSES)):
        module = d.compile(without=without)
        B, residuals = module.forward(A=A, b=b)
        np.testing.assert_allclose(B, eliminated(A, b), rtol=1e-12)
        for found, right in zip(module.backward(residuals, dB=dB), expected, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-11)


def test_a_sum_over_no_position_is_0_whatever_it_is_divided_by() -> None:
    module = nd.derive("A[N,N], x[N,N] -> B\nm[k] = A[k,k] for k < N + 1\nB[k] = sum[i](x[i,k]/m[k]) for k < N + 1").compile()
    A, x = case(3), case(3) - 4
    np.testing.assert_allclose(module.forward(A=A, x=x)[0], [*(x.sum(0)/np.diagonal(A)), 0], rtol=1e-12)
