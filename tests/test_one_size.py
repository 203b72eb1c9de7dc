"""Sizes that must be equal when a module runs are one size in its text, whichever of them has a name."""

from __future__ import annotations

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.sizes import equal_sizes
from tests.emitted import body
from tests.running import assert_means

POOLED = """X[N,H,W], A[M,P,Q] -> s
B[n,i,j] = max[u,v](X[n,2*i+u,2*j+v]) for u < 2, v < 2
s[n,m] = sum[i,j](A[m,i,j]*B[n,i,j])"""
EQUAL = {
    POOLED: {"P": "H//2", "Q": "W//2"},
    "x[N], y[M] -> z\nz[n] = x[n]*y[n]": {"M": "N"},
    "x[N], y[M], w[L] -> z\nz[n] = x[n]*y[n]*w[n]": {"M": "N", "L": "N"},
    "x[N], y[M], w[L] -> z\nu[n] = y[n]*w[n]\nz[n] = x[n]*u[n]": {"L": "N", "M": "N"},
    "x[N], y[M], k[K] -> z\nu[n] = sum[a](x[n+a]*k[a])\nz[n] = u[n]*y[n]": {"M": "N - K + 1"},
    "x[N], y[M] -> z\nu[n] = sum[k](x[n+k]) for k < 2\nv[n] = sum[k](y[n+k]) for k < 3\nz[n] = u[n]*v[n]": {"M": "N + 1"},
    "x[2*N], y[3*M] -> z\nz[n] = x[n]*y[n]": {},
    "x[N], y[N] -> z\nz[n] = x[n]*y[n]": {},
}


@pytest.mark.parametrize("text", EQUAL)
def test_a_size_that_must_equal_others_is_what_they_come_to(text: str) -> None:
    program = nd.parse(text)
    assert {name: str(value) for name, value in equal_sizes(program, program.sizes).items()} == EQUAL[text]


def test_all_of_a_pooled_image_is_read_as_it_lies() -> None:
    assert "s = B.reshape(N, P*Q) @ A.reshape(M, P*Q).T" in body(POOLED, "forward")
    backward = body(POOLED, "backward")
    assert "dA = (ds.T @ B.reshape(N, P*Q)).reshape(M, P, Q)" in backward
    assert "dB = (ds @ A.reshape(M, P*Q)).reshape(N, P, Q)" in backward
    assert "max(0" not in backward.replace("np.maximum", "")


@pytest.mark.parametrize("known", ["", "HW", "H", "P", "PW"])
@pytest.mark.parametrize("H, W", [(6, 5), (7, 4), (6, 2)])
def test_modules_mean_what_the_program_says(known: str, H: int, W: int) -> None:
    d, rng = nd.derive(POOLED), np.random.default_rng(0)
    sizes = {"H": H, "W": W, "P": H//2, "Q": W//2}
    for way in ({}, {"without": ("one_size",)}, {"threads": 2}):
        module = d.compile(sizes={name: sizes[name] for name in known}, **way)
        assert_means(d, module, {"X": rng.normal(size=(2, H, W)), "A": rng.normal(size=(3, H//2, W//2))}, rng)


def test_other_sizes_are_refused_as_before() -> None:
    with pytest.raises(ValueError, match="P is 2 and H//2 is 3: in s the index i ends at P, and dimension 1 of B ends at H//2"):
        nd.derive(POOLED).compile().forward(X=np.ones((1, 6, 4)), A=np.ones((3, 2, 2)))


def test_a_size_that_is_not_written_keeps_its_name() -> None:
    """What the text calls by a name of its own is called otherwise."""
    text = "x[N], y[part] -> z\nz[n] = sqrt(exp(x[n])*(1 + x[n]**2))*sin(x[n] + y[n]) + sqrt(exp(x[n])*(1 + x[n]**2))"
    d, x = nd.derive(text), np.linspace(0, 1, 5)
    assert_means(d, d.compile(), {"x": x, "y": x}, np.random.default_rng(0))


def test_a_formula_asks_nothing_of_data_of_a_size_that_is_compared() -> None:
    """Positions have a table of their own, as long as the text: no token is read outside, and no label."""
    text = "int tok[N,T], E[V,D], P[L,D] -> X\nX[n,i,d] = E[tok[n,i],d] + P[i,d]"
    assert str(nd.derive(text)["E"]) == "dE[a,d] = sum[n,i](where(tok[n,i] == a, dX[n,i,d], 0))"
    text = "int y[N], Z[M,V], b[M] -> L\nz[n,v] = b[n]*log_softmax[v](Z[n,v])\nL = -sum[n](where(y[n] >= 0, z[n,y[n]], 0))"
    d = nd.derive(text)
    assert "- where(y[n] == v, b[n], 0)  for n < M" in str(d.backward)
    assert "np.arange(N) <" not in d.numpy()
    assert d.check(seed=0).ok
