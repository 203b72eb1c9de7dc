"""Emitted modules and memory: in place, in blocks, in short buffers; nothing is shared with anybody."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from tests.emitted import ATTENTION, DENSE, ELMAN, GATED, body
from tests.running import assert_means


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other rules")
def test_memory_is_not_asked_for_again_at_every_call() -> None:
    script = """
import resource
import numpy as np
import nnderiv as nd
module = nd.derive("x[N,K], z[N,K] -> y\\ny[n,k] = sin(x[n,k])*cos(z[n,k]) + exp(x[n,k])*z[n,k]").compile()
x = np.ones((1024, 512), np.float32)
def faults(calls):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        module.backward(module.forward(x=x, z=x)[1], dy=x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(5)
print(faults(20)/20)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout) < 100  # an array has 512 pages


def test_operands_that_are_repeated_along_an_axis_are_no_reason_for_memory() -> None:
    """NumPy takes the memory of an intermediate result by itself only for an operand of the same shape."""
    text = "x[N,K], z[N,K], g[K], b[K] -> y\ny[n,k] = sin(x[n,k])*g[k] + b[k]"
    written = body(text, "forward", without=("recall",))
    assert "y *= g\n" in written and "y += b\n" in written
    assert "y = x*z + x\n" in body("x[N,K], z[N,K] -> y\ny[n,k] = x[n,k]*z[n,k] + x[n,k]", "forward")


RESIDUAL = {  # what is added to is viewed as a matrix, and read again after the sum
    "two linear": "p[n,t,d] = X[n,t,d] + sum[e](X[n,t,e]*W[e,d])\nY[n,t,d] = p[n,t,d] + sum[e](p[n,t,e]*V[e,d])",
    "three linear": """p[n,t,d] = X[n,t,d] + sum[e](X[n,t,e]*W[e,d])
        q[n,t,d] = p[n,t,d] + sum[e](p[n,t,e]*V[e,d])
        Y[n,t,d] = q[n,t,d] + sum[e](q[n,t,e]*W[e,d])""",
    "with a function": "p[n,t,d] = X[n,t,d] + sum[e](X[n,t,e]*W[e,d])\nY[n,t,d] = tanh(sum[e](p[n,t,e]*V[e,d])) + p[n,t,d]",
    "of two layers": """p[n,t,d] = X[n,t,d] + sum[h](relu(sum[e](X[n,t,e]*W[e,h]))*V[h,d])
        Y[n,t,d] = p[n,t,d] + sum[h](relu(sum[e](p[n,t,e]*W[e,h]))*V[h,d])""",
    "after attention": """A[n,i,j] = softmax[j](sum[d](X[n,i,d]*X[n,j,d])/sqrt(D))
        p[n,i,d] = X[n,i,d] + sum[e](sum[j](A[n,i,j]*X[n,j,e])*W[e,d])
        Y[n,t,d] = p[n,t,d] + sum[h](gelu(sum[e](p[n,t,e]*V[e,h]))*W[h,d])""",
}


@pytest.mark.parametrize("options", [{}, {"threads": 2}, {"sizes": {"N": 3, "T": 2, "D": 3}}], ids=str)
@pytest.mark.parametrize("equations", RESIDUAL.values(), ids=RESIDUAL)
def test_what_a_residual_block_adds_to_is_there_as_long_as_somebody_views_it(equations: str, options: dict[str, Any]) -> None:
    d, rng = nd.derive(f"X[N,T,D], W[D,D], V[D,D] -> Y\n{equations}"), np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(3, 2, 3)), "W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 3))}
    module = d.compile(**options)
    if "PART" in vars(module):
        module.PART = 1
    assert_means(d, module, inputs, rng)


def test_vectors_are_worked_in_place_where_there_are_no_matrices() -> None:
    alone = body("x[N], z[N] -> y\ny[n] = tanh(x[n] - z[n])", "forward")
    beside = body("x[N], z[N], W[N,M] -> y\ny[n] = tanh(sum[m](W[n,m]*exp(W[n,m])) - z[n])", "forward")
    assert "y_in = x - z\n\n    y = np.tanh(y_in, out=y_in)" in alone and "y = np.tanh(y_in)" in beside


REARRANGED: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {  # program -> what is worked in place, and shapes
    "X[N,C,T], K[O,C,3], b[O] -> Y\nY[n,o,t] = tanh(sum[c,u](K[o,c,u]*X[n,c,t+u]) + b[o])":
        ("np.tanh(Y_in, out=Y_in)", {"X": (3, 2, 5), "K": (4, 2, 3), "b": (4,)}),
    "X[B,T,D], W[H,D,E] -> Y\nq[b,h,t,e] = sum[d](X[b,t,d]*W[h,d,e])\nY[b,h,t,e] = tanh(q[b,h,t,e])":
        ("np.tanh(q, out=q)", {"X": (2, 3, 4), "W": (2, 4, 3)}),
    "Q[2*G,N,D], K[G,M,D] -> A\nS[h,i,j] = sum[d](Q[h,i,d]*K[h//2,j,d])\nA[h,i,j] = softmax[j](S[h,i,j])":
        ("_softmax(S, 2, out=S)", {"Q": (4, 3, 2), "K": (2, 5, 2)}),
}


@pytest.mark.parametrize("text", REARRANGED)
def test_what_came_about_in_blocks_or_is_seen_in_another_order_is_memory_too(text: str) -> None:
    written, shapes = REARRANGED[text]
    assert written in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {name: rng.normal(size=shape) for name, shape in shapes.items()}, rng)


def test_numpy_s_settings_stay_as_they_are() -> None:
    before = np.getbufsize(), np.geterr()
    module = nd.derive("x[N,K], g[K] -> y\ny[n,k] = exp(x[n,k])*g[k]").compile()
    module.backward(module.forward(x=np.ones((3, 2)), g=np.ones(2))[1], dy=np.ones((3, 2)))
    assert (np.getbufsize(), np.geterr()) == before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape, short", [((300, 250), 2048), ((300, 266), 256), ((100, 1000), 512), ((30, 40), None)])
def test_buffers_are_short_while_a_large_array_is_worked_on(shape: tuple[int, int], short: int | None, threads: int) -> None:
    """And after it they are as they were, even if it fails; who has set them himself keeps them."""
    module = nd.derive("x[N,K], g[N], b[N] -> y\ny[n,k] = x[n,k]*g[n] + b[n]").compile(threads=threads)
    own, seen = module._shape, []
    module._shape = lambda *given: (seen.append(np.getbufsize()), own(*given))[1]
    x, g, b = np.ones(shape), np.arange(shape[0])*1.0, np.ones(shape[0])

    def sizes() -> list[int]:
        seen.clear()
        y, residuals = module.forward(x=x, g=g, b=b)
        np.testing.assert_array_equal(y, x*g[:, None] + 1)
        np.testing.assert_array_equal(module.backward(residuals, dy=x).dx, x*g[:, None])
        return seen

    default = np.getbufsize()
    assert sizes() == [default, *([short] if short else [])]
    np.setbufsize(1024)
    try:
        assert sizes() == [1024]
    finally:
        np.setbufsize(default)
    with pytest.raises(ValueError, match="dy"):
        module.backward(module.forward(x=x, g=g, b=b)[1], dy=np.ones(3))
    with pytest.raises(ZeroDivisionError):
        module._in_short_buffers(shape[1], lambda: 1/0)
    assert np.getbufsize() == default


@pytest.mark.parametrize("text", [ATTENTION, ELMAN, GATED, DENSE])
def test_backward_gives_the_same_twice_and_leaves_everything_as_it_was(text: str) -> None:
    rng, d = np.random.default_rng(0), nd.derive(text)
    inputs = {i.name: rng.normal(size=[3] * len(i.dims)) for i in d.forward.inputs}
    before = {name: x.copy() for name, x in inputs.items()}
    module = d.compile()
    y, residuals = module.forward(**inputs)
    kept, seed = y.copy(), rng.normal(size=y.shape)
    (name,) = d.gradients.seeds.values()
    dy = seed.copy()
    first = [g.copy() for g in module.backward(residuals, **{name: dy})]
    second = module.backward(residuals, **{name: dy})
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert np.array_equal(y, kept) and np.array_equal(dy, seed)
    assert all(np.array_equal(x, before[n]) for n, x in inputs.items())


@pytest.mark.parametrize("text", [ATTENTION, DENSE])
def test_gradients_share_no_memory_with_each_other_or_with_what_was_handed_in(text: str) -> None:
    rng, d = np.random.default_rng(0), nd.derive(text)
    inputs = {i.name: rng.normal(size=[3] * len(i.dims)) for i in d.forward.inputs}
    module = d.compile()
    y, residuals = module.forward(**inputs)
    dy = rng.normal(size=y.shape)
    gradients = list(module.backward(residuals, dY=dy))
    for k, g in enumerate(gradients):
        assert not any(np.shares_memory(g, other) for other in [*gradients[:k], *inputs.values(), y, dy])


@pytest.mark.parametrize(("text", "handed"), (
    ("X[N,C,H], b[C] -> Y\nY[n,c,i] = relu(X[n,c,i] + b[c])", "dX = dY_in\n"),
    ("x[T,N], w[N] -> y\ny[t,n] = w[n]*y[t-1,n] + x[t,n]", "dx = dy_total[:T]\n"),
    ("X[N,N], b[N], c[N] -> Y\nY[i,j] = relu(X[i,j] + b[i] + c[j])", "dX = dY_in\n"),
    ("X[N,N], Z[N,N], b[N] -> Y\nY[i,j] = relu(X[i,j] + Z[i,j] + b[j])", ""),      # two results: they may not be one
    ("X[N,N], Z[N,N], b[N] -> Y\nY[i,j] = relu(X[i,j] + Z[j,i] + b[j])", ""),
))
def test_what_was_computed_for_several_gradients_is_handed_out_as_one_of_them(text: str, handed: str) -> None:
    assert handed in body(text, "backward").replace(" \n", "\n")
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {i.name: rng.normal(size=(3,)*len(i.dims)) for i in d.forward.inputs}
    assert_means(d, d.compile(), inputs, rng)
    y, residuals = d.compile().forward(**inputs)
    gradients = d.compile().backward(residuals, dY=np.ones_like(y)) if "Y" in d.forward.outputs else d.compile().backward(
        residuals, dy=np.ones_like(y))
    assert not any(np.shares_memory(a, b) for k, a in enumerate(gradients) for b in (*gradients[:k], *inputs.values(), y))


def test_the_terms_of_a_sum_that_are_matrices_in_another_shape_are_added_in_one_memory() -> None:
    """NumPy takes an intermediate result's memory by itself, but not that of a view."""
    text = "X[N,T,D], A[D,E], B[D,E], C[D,E] -> Y\n"
    text += "Y[n,t,e] = sum[d](X[n,t,d]*A[d,e]) + sum[d](X[n,t,d]*B[d,e]) + sum[d](X[n,t,d]*C[d,e])"
    assert body(text, "forward", without=("stacked",)).count("    Y += (X_flat @ ") == 2
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"X": rng.normal(size=(2, 3, 4)), **{n: rng.normal(size=(4, 2)) for n in "ABC"}}, rng)
