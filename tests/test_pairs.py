"""Losses and kernels over pairs: differences that are not all in memory at once, and sums that are another one's mirror image."""

from __future__ import annotations

import itertools
import types
from typing import Any

import numpy as np
import pytest
from running import assert_means

import nnderiv as nd
from nnderiv.lower import cost
from nnderiv.lower.equations.mirror import mirror
from nnderiv.lower.passes import FORMS, PASSES
from nnderiv.lower.runtime import needed

DISTANCES = "x[N,D], c[M,D], w[M] -> y\nr[n,k] = sum[d]((x[n,d] - c[k,d])**2)\ny[n] = sum[k](w[k]*exp(-r[n,k]))"
TEXTS = {
    "distances": DISTANCES,
    "of a batch": "x[B,N,D], c[B,M,D] -> y\ny[b,n,k] = sum[d]((c[b,k,d] - x[b,n,d])**2)",
    "of a batch, to one": "x[B,N,D], c[M,D] -> y\ny[n,k,b] = sqrt(sum[d]((x[b,n,d] - c[k,d])**2) + 1)",
    "the short axis first": "x[D,N], c[M,D] -> y\ny[k,n] = sum[d]((2*x[d,n] - c[k,d])**2)",
    "of functions": "x[N,D], c[M,D] -> y\ny[n,k] = sum[d]((sin(x[n,d]) - c[k,d]**2)**2)",
    "of a window": "x[N+M], c[M] -> y\ny[n] = sum[k]((x[n+k] - c[k])**2) for n < N",
    "by a scale of each": "x[N,D], c[M,D], s[M,D] -> y\ny[n,k] = sum[d](((x[n,d] - c[k,d])/(2 + s[k,d]**2))**2)",
    "by one scale for all": "x[B,N,D], c[M,D], s[D] -> y\ny[b,k,n] = sum[d](((c[k,d] - x[b,n,d])/exp(s[d]))**2)",
    "by a scale of the whole": "x[N,D], c[M,D], s[M] -> y\ny[n,k] = sum[d](((x[n,d] - c[k,d])/(1 + s[k]**2))**2)",
    "over all that differs": "x[N,D], c[M,D] -> y\ny[n] = sum[k,d]((x[n,d] - c[k,d])**2)",
    "where they count": "x[N,D], c[M,D] -> y\ny[n,k] = sum[d](where(n != k, (x[n,d] - c[k,d])**2, 0))",
    "weighted": "x[N,D], c[M,D], w[M,N] -> y\ny[n,d] = sum[k](w[k,n]*(c[k,d] - x[n,d]))",
    "weighted by a mask": "x[N,D], c[M,D], w[N] -> y\ny[d,n] = sum[k](where(k < n, w[n]*k, 0)*(c[k,d] - x[n,d]))",
    "weighted alike": "x[N,D], c[M,D], w[M] -> y\ny[n,d] = sum[k](w[k]*(c[k,d] - x[n,d]))",
    "of one weight": "x[N,D], c[M,D], w[N,M], a -> y\ny[n,d] = a*sum[k](w[n,k]*(c[k,d] - x[n,d]))",
    "stress": "x[N,D], t[N,N] -> L\nd[i,j] = sqrt(sum[k]((x[i,k] - x[j,k])**2) + 1)\nL = sum[i,j]((d[i,j] - t[i,j])**2)",
    "antisymmetric": "x[N,D], a[N,N] -> y\ny[i,k] = sum[j](a[i,j]*(x[i,k] + x[j,k])) - sum[j](a[j,i]*(x[i,k] + x[j,k]))",
    "of a batch, mirrored": "x[N,D], a[B,N,N] -> y\ny[b,i,k] = sum[j](a[b,i,j]*sin(x[i,k]*x[j,k])) + sum[j](a[b,j,i]*sin(x[i,k]*x[j,k]))",
    "two numbers": "x[N,D], a[N,N] -> y\ny[i,k] = 2*sum[j](a[i,j]*sin(x[i,k]*x[j,k])) + 3*sum[j](a[j,i]*sin(x[i,k]*x[j,k]))",
    "ranks": "s[N], t[N] -> L\nL = sum[i,j](where(t[i] > t[j], softplus(s[j] - s[i]), 0))",
    "beside a number": "x[N], w[N] -> y\ny[i] = 2*sum[j](exp(x[i] - 2*x[j])*w[j]) - w[i]*sum[j](exp(x[j] - 2*x[i])*w[i])",
    "where both are inside": "x[N], y[M] -> z\nz[i] = sum[j](exp(x[i+1] - y[j])) + sum[j](exp(x[j+1] - y[i])) for i < M, j < M",
    "one of three": "x[N], a[N,N,N] -> y\ny[i,m] = sum[j](a[i,j,m]*exp(x[i] - x[j])) + sum[j](a[j,i,m]*exp(x[j] - x[i]))",
    "a recurrence": "x[T], a -> y\ny[t] = x[t] + a*sum[s](where(s < t, exp(x[s] - x[t])*y[s], 0))",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("without", [(), ("differences",), ("mirror",), (*FORMS, *PASSES)], ids=["all", "differences", "mirror", "none"])
def test_pairs_are_worth_what_the_definition_says(name: str, without: tuple[str, ...]) -> None:
    rng, d = np.random.default_rng(0), nd.derive(TEXTS[name])
    for sizes in ({"N": 5, "M": 4, "D": 3, "B": 2, "T": 5}, {"N": 1, "M": 1, "D": 2, "B": 1, "T": 1},
                  {"N": 3, "M": 7, "D": 1, "B": 3, "T": 2}, {"N": 24, "M": 24, "D": 1, "B": 1, "T": 3}):
        inputs = {i.name: rng.normal(size=[int(r.value(sizes)) for r in i.dims]) if i.dims else 0.5 for i in d.forward.inputs}
        assert_means(d, d.compile(without=without), inputs, rng)


@pytest.mark.parametrize("name", TEXTS)
def test_pairs_of_nothing_are_nothing(name: str) -> None:
    d = nd.derive(TEXTS[name])
    module, plain = d.compile(), d.compile(without=(*FORMS, *PASSES))
    for sizes in (dict.fromkeys("NMDBT", n) for n in (0, 3)):
        for zero in "NMDBT":
            here = {**sizes, zero: 0}
            inputs = {i.name: np.ones([max(0, int(r.value(here))) for r in i.dims]) if i.dims else 0.5 for i in d.forward.inputs}
            results = []
            for m in (module, plain):
                y, residuals = m.forward(**inputs)
                seeds = {d.gradients.seeds[o]: np.ones_like(y) for o in d.forward.outputs if o in d.gradients.seeds}
                results.append([y, *m.backward(residuals, **seeds)])
            for a, b in zip(*results, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("dtype", "efdg")
def test_differences_are_summed_place_by_place_in_short_buffers_and_in_blocks_alike(dtype: str) -> None:
    tools: dict[str, Any] = {"np": np, "PART": 4096}
    text = needed("_square_distances _weighted_differences")
    exec(text.replace("2000000", "20000").replace("65536", "5000"), tools)
    rng, ways = np.random.default_rng(0), set()
    for (n, m), k in itertools.product([(0, 3), (1, 1), (7, 5), (60, 70), (3, 5000), (500, 4)], (0, 1, 2, 3, 16, 40)):
        x, y, w = (rng.normal(size=s).astype(dtype) for s in ((n, k), (m, k), (n, m)))
        exact = x.astype("g")[:, None] - y.astype("g")
        few = tools["_place_by_place"](x[:, None], y, -1)
        ways.add(bool(few))
        close = {"rtol": 10*np.finfo(dtype).eps*max(k, 1), "atol": 30*np.finfo(dtype).eps*max(k, 1)}
        found = tools["_square_distances"](x[:, None], y)
        assert found.dtype == x.dtype and found.shape == (n, m)
        np.testing.assert_allclose(found.astype("g"), (exact**2).sum(-1), **close)
        scale = rng.uniform(1, 2, size=(m, k)).astype(dtype)
        for each in (scale[None], scale[:1, None] if m else scale[None]):
            found = tools["_square_distances"](x[:, None], y[None], each)
            np.testing.assert_allclose(found.astype("g"), ((exact/each)**2).sum(-1), **close)
        close["atol"] *= 20*max(m, 1)**0.5
        for weights in (w, np.asfortranarray(w)):
            found = tools["_weighted_differences"](x[..., None], y.T, weights)
            assert found.dtype == x.dtype and found.shape == (n, k)
            np.testing.assert_allclose(found.astype("g"), (exact*w.astype("g")[..., None]).sum(1), **close)
    assert ways == ({True, False} if dtype != "e" else {False}) and np.getbufsize() == 8192


@pytest.mark.parametrize("name", TEXTS)
def test_pairs_as_products_of_matrices_are_worth_what_the_definition_says(name: str) -> None:
    """However few they are."""
    rng, d = np.random.default_rng(0), nd.derive(TEXTS[name])
    pays = f"count >= {cost.PLACES} and x.size*y.size >= {cost.PAIRS}*count"
    source = d.numpy()
    assert (pays in source) == ("_square_distances(" in source or "_weighted_differences(" in source)
    module = types.ModuleType("products")
    exec(source.replace(pays, "x.size*y.size > 0"), module.__dict__)
    for sizes in ({"N": 5, "M": 4, "D": 3, "B": 2, "T": 5}, {"N": 1, "M": 1, "D": 2, "B": 1, "T": 1},
                  {"N": 3, "M": 7, "D": 1, "B": 3, "T": 2}, {"N": 6, "M": 6, "D": 9, "B": 2, "T": 3}):
        inputs = {i.name: rng.normal(size=[int(r.value(sizes)) for r in i.dims]) if i.dims else 0.5 for i in d.forward.inputs}
        assert_means(d, module, inputs, rng)


MATRICES = {
    "x[N,D], c[M,D] -> y\ny[n,k] = sum[d]((x[n,d] - c[k,d])**2)": {"x": (50, 40), "c": (60, 40)},
    "x[N,D], c[M,D] -> y\ny[k,n] = sum[d]((x[n,d] - c[k,d])**2)": {"x": (50, 40), "c": (60, 40)},
    "x[B,N,D], c[B,M,D] -> y\ny[b,k,n] = sum[d]((x[b,n,d] - c[b,k,d])**2)": {"x": (3, 50, 24), "c": (3, 60, 24)},
    "x[B,N,D], c[M,D] -> y\ny[b,n,k] = sum[d]((x[b,n,d] - c[k,d])**2)": {"x": (3, 50, 24), "c": (60, 24)},
    "x[B,N,D], c[M,D] -> y\ny[n,k,b] = sum[d]((x[b,n,d] - c[k,d])**2)": {"x": (3, 50, 24), "c": (60, 24)},
    "x[B,N,D], c[B,M,D], w[B,M] -> y\ny[b,n] = sum[k](w[b,k]**2*exp(-sum[d]((x[b,n,d] - c[b,k,d])**2)/D))":
        {"x": (3, 50, 24), "c": (3, 60, 24), "w": (3, 60)},
    "x[N,D] -> y\ny[n,k] = sum[d]((x[n,d] - x[k,d])**2)": {"x": (64, 40)},
}


@pytest.mark.parametrize("text", MATRICES)
@pytest.mark.parametrize("apart", [0, 1, 1e4], ids=["alike", "near", "far from 0"])
def test_squares_of_many_differences_are_products_of_matrices(text: str, apart: float) -> None:
    """With the digits of differences: in single precision as in double, but for rounding; so are the gradients."""
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {name: rng.normal(size=shape) + apart for name, shape in MATRICES[text].items()}
    inputs["x"][..., ::7, :] = inputs.get("c", inputs["x"])[..., 0, :] if inputs.get("c", inputs["x"]).ndim < 3 else inputs["c"][:, :1]
    inputs["x"][..., 3, :] = inputs["x"][..., 0, :] + 1e-2
    single = {name: a.astype(np.float32) for name, a in inputs.items()}
    plain, fast = d.compile(without=("differences",)), d.compile()
    exact, residuals = plain.forward(**{name: a.astype(float) for name, a in single.items()})
    dy = rng.normal(size=exact.shape)
    gradients = plain.backward(residuals, dy=dy)
    y, residuals = fast.forward(**single)
    np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-12)
    for found, expected in zip(fast.backward(residuals, dy=dy.astype(np.float32)), gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5*abs(expected).max())


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e19, 5e37])
def test_what_a_product_of_matrices_cannot_hold_goes_by_differences(value: float) -> None:
    tools: dict[str, Any] = {"np": np, "PART": 4096}
    exec(needed("_square_distances _weighted_differences"), tools)
    rng = np.random.default_rng(0)
    x, y, w = (rng.normal(size=s).astype(np.float32) for s in ((64, 32), (64, 32), (64, 64)))
    x[3] = y[5] = value
    with np.errstate(all="ignore"):
        found, exact = tools["_square_distances"](x[:, None], y), ((x[:, None] - y)**2).sum(-1)
        assert np.array_equal(np.isfinite(found), np.isfinite(exact))
        np.testing.assert_allclose(found, exact, rtol=1e-5)
        found, exact = tools["_weighted_differences"](x[..., None], y.T, w), ((x[..., None] - y.T)*w[:, None]).sum(-1)
        assert np.array_equal(np.isfinite(found), np.isfinite(exact))


def test_many_pairs_that_are_close_go_by_differences() -> None:
    tools: dict[str, Any] = {"np": np, "PART": 4096}
    exec(needed("_square_distances"), tools)
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(4, 32)), 16, 0) + 1e-6*rng.normal(size=(64, 32))
    assert tools["_squares_of_matrices"](x[:, None], x) is None
    np.testing.assert_allclose(tools["_square_distances"](x[:, None], x), ((x[:, None] - x)**2).sum(-1), rtol=1e-14)
    few = np.concatenate([rng.normal(size=(64, 32)), x[:2]])
    found = tools["_squares_of_matrices"](few[:, None], few)
    assert np.array_equal(found.diagonal(), np.zeros(66)) and found[64, 65] == found[65, 64]
    np.testing.assert_allclose(found, ((few[:, None] - few)**2).sum(-1), rtol=1e-13)


def test_few_differences_of_known_sizes_are_taken_as_they_stand() -> None:
    d = nd.derive("x[N,D], c[M,D] -> y\ny[n,k] = sum[d]((x[n,d] - c[k,d])**2)")
    assert "part = x[:, None] - c" in d.numpy(sizes={"N": 30, "M": 30, "D": 32})
    assert "_square_distances(x[:, None], c)" in d.numpy(sizes={"N": 300, "M": 300, "D": 64})


def test_differences_that_are_scaled_go_the_same_way() -> None:
    assert "_square_distances(x[:, None], c, " in nd.derive(TEXTS["by a scale of each"]).numpy()


def test_what_is_close_keeps_its_digits() -> None:
    """x·x − 2 x·y + y·y would be 0, or worse, for points that are a millionth apart and a thousand away."""
    module = nd.derive(DISTANCES.replace("-r[n,k]", "-1e12*r[n,k]")).compile()
    c = np.full((40, 2), 1000.0)
    x = c + 1e-6*np.random.default_rng(0).normal(size=(40, 2))
    y, residuals = module.forward(x=x, c=c, w=np.ones(40))
    exact = np.exp(-1e12*((x - c)**2).sum(-1))
    np.testing.assert_allclose(y, 40*exact, rtol=1e-9)
    np.testing.assert_allclose(module.backward(residuals, dy=np.ones(40)).dx, -2e12*(x - c)*40*exact[:, None], rtol=1e-9)


def test_a_tensor_and_its_transpose_are_added_before_they_are_multiplied_by_an_array_that_is_larger() -> None:
    def after(equation: str) -> list[str]:
        program = nd.parse(f"A[N,N], B[N,N], C[N,M], x[N,K], y[N] -> z\n{equation}")
        return [str(e) for e in mirror(program, program).equations]

    sums = "sum[j](A[i,j]*(x[i,k] - x[j,k])) + sum[j](A[j,i]*(x[i,k] - x[j,k]))"
    assert after(f"z[i,k] = {sums}") == ["z[i,k] = sum[j]((A[i,j] + A[j,i])*(x[i,k] - x[j,k]))"]
    assert after(f"z[i,k] = {sums.replace(') + s', ') - s')}") == ["z[i,k] = sum[j]((A[i,j] - A[j,i])*(x[i,k] - x[j,k]))"]
    for other in (
        sums.replace("A[j,i]", "B[j,i]"),                       # another tensor
        sums.replace("A[j,i]", "A[i,j]"),                       # no transpose
        sums.replace("A[j,i]*(x[i,k]", "A[j,i]*(x[j,k]"),       # beside something else
        sums.replace("+ sum", "+ 2*sum"),
        "sum[j](A[i,j]*x[j,k]) + sum[j](A[j,i]*x[j,k])",        # products of matrices
    ):
        assert after(f"z[i,k] = {other}") == [str(e) for e in nd.parse(f"A[N,N], B[N,N], x[N,K] -> z\nz[i,k] = {other}").equations]


def test_a_function_and_its_mirror_image_are_computed_once() -> None:
    def after(equation: str) -> list[str]:
        program = nd.parse(f"x[N], y[N], u[M] -> z\n{equation}")
        return [str(e) for e in mirror(program, program).equations]

    assert after("z[i] = sum[j](y[j]*exp(x[i] - 2*x[j])) - 3*sum[j](y[i]*exp(x[j] - 2*x[i]))") == [
        "z_of[i,j] = y[j]*exp(x[i] - 2*x[j])", "z[i] = sum[j](z_of[i,j]) - 3*sum[j](z_of[j,i])"]
    for other in (
        "sum[j](exp(x[i] - 2*x[j])) + sum[j](exp(2*x[i] - x[j]))",            # no mirror image
        "sum[j](y[i]*y[j]**2) + sum[j](y[j]*y[i]**2)",                        # no function that costs more than a read
        "sum[j](exp(x[i] - 2*u[j])) + sum[j](exp(x[j] - 2*u[i]))",            # over another range
    ):
        assert "z_of" not in "".join(after(f"z[i] = {other}")), other


@pytest.mark.parametrize("largest", [
    "max[i,j](where(i != j, w*x[i,0]*x[j,0], -inf))",
    "min[i,j](where(i != j, x[i,0]*x[j,0]/w, inf))",
    "max[i,j](where(i != j, x[i,0]*x[j,1] + x[i,1] + x[j,1]*x[i,0]*w + x[j,0]*x[i,1] + x[j,1] + x[j,0]*x[i,1]*w, -inf))",
    "sum[i](max[j](where(i != j, sum[d](v[d]*x[i,d]*x[j,d]), -inf)))",
    "max[i,j](where(i != j, sum[d](v[d]*x[i,d]*x[j,d]), -inf))",
    "max[i,j](where(i != j, sum[d](x[i,d]*x[j,d]), -inf))",
    "max[i,j](sqrt(sum[d]((x[i,d] - x[j,d])**2) + w**2))",
])
def test_of_two_that_are_one_pair_the_gradient_is_that_of_whichever_is_the_largest(largest: str) -> None:
    """Rounded, they may differ: w·x[i]·x[j] is then the largest, and w·x[j]·x[i] is not."""
    module, rng = nd.derive(f"x[N,D], v[D], w -> L\nL = {largest}", wrt=("x",)).compile(), np.random.default_rng(0)
    for _ in range(30):
        x, u, rest = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)), {"v": rng.normal(size=3), "w": rng.normal()}
        there, here = (module.forward(x=x + h*u, **rest)[0] for h in (1e-6, -1e-6))
        slope = np.vdot(module.backward(module.forward(x=x, **rest)[1]).dx, u)
        assert abs((there - here)/2e-6 - slope) < 1e-5*max(1, abs(slope))


def test_an_odd_function_of_a_difference_is_minus_that_of_the_other_one() -> None:
    d, rng = nd.derive("x[N,D] -> L\nL = sum[i,j,d](abs(x[i,d] - x[j,d]))"), np.random.default_rng(0)
    backward = d.numpy()[d.numpy().index("def backward"):]
    assert backward.count("np.sign(") == 1 and "dx *= 2" in backward
    assert_means(d, d.compile(), {"x": rng.normal(size=(4, 3))}, rng)
