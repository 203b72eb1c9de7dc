"""A size may be 0. What is read of an empty axis is outside, and 0; what is summed over one is 0; nothing else changes."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.lower.passes import FORMS, PASSES
from tests.running import assert_means

WAYS: list[dict[str, Any]] = [{}, {"without": (*FORMS, *PASSES)}, {"threads": 2}]
ENDS = "h[t,n] = tanh(x[t,n] + sum[m](W[n,m]*h[t-1,m]))\ny[n] = h[0,n] + h[T-1,n]"


def agrees(d: nd.Derivation, module: Any, inputs: dict[str, Any]) -> None:
    """What a module gives is what the interpreter gives, in the same shape; what is infinite or no number there is not compared."""
    y, residuals = module.forward(**inputs)
    outputs = dict(zip(d.forward.outputs, [y] if len(d.forward.outputs) == 1 else y, strict=True))
    seeds = {d.gradients.seeds[name]: np.ones_like(y) for name, y in outputs.items() if name in d.gradients.seeds}
    found = {**outputs, **module.backward(residuals, **seeds)._asdict()}
    for name, value in {**nd.evaluate(d.forward, inputs), **nd.evaluate(d.backward, {**inputs, **seeds})}.items():
        expected = np.array(value, float)
        assert np.size(found[name]) == expected.size, name
        defined = np.isfinite(expected)
        np.testing.assert_allclose(np.reshape(found[name], expected.shape)[defined], expected[defined], atol=1e-12, err_msg=name)


def drawn(d: nd.Derivation, sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {i: tuple(max(0, x.value({**sizes, "k": 1})) for x in i.dims) for i in d.forward.inputs}
    return {i.name: rng.normal(size=s) if i.kind == "real" else rng.integers(0, 2, s) if s else 1 for i, s in shapes.items()}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("text", [
    "x[T] -> y\ny = x[0]",
    "x[T,N] -> y\ny[n] = x[T-1,n]",
    "x[T,N] -> y\ny = x[T-1,0]*x[0,N-1]",
    "x[T,N] -> y\ny[n,k] = x[n+T-N,k] + x[0,k] for n < N, k < N",
    "x[T,N] -> y\ny = max[n](x[0,n])",                                             # −∞ where there is none
    "x[T,N], w[N] -> y\ny = sum[n](w[n]*sigmoid(x[T-1,n]*x[0,n]))",                # nothing is summed, σ(0) neither
    "x[T,N], w[N] -> y\ny = sum[n](exp(w[n] + x[0,n]))",
    "x[T,N], int k -> y\ny[n] = tanh(x[k,n])*x[0,n]",
    "x[T,N], int at[N] -> y\ny = x[at[0],at[N-1]]",
    "x[T,N], W[N,N] -> y\n" + ENDS,
    "x[T,N], W[N,N] -> y\nh[0,n] = x[0,n]\n" + ENDS,
    "x[T,N], W[N,N] -> y\nh[T-1,n] = x[0,n]\n" + ENDS.replace("h[t-1", "h[t+1"),
    "x[T,N], w[N] -> y\nh[T-1,n] = w[n]\nh[t,n] = tanh(x[t,n] + h[t+1,n])\ny[n] = h[T-1,n] + h[0,n]",        # a base that stands nowhere
    "x[T,N], w[N] -> y\nh[0,n] = w[n]\nh[t,n] = h[t-1,n]*w[n] + x[t,n]\ny[i,n] = h[i,n] for i < T+1",
    "x[T,N], h0[N] -> y\nh[-1,n] = h0[n]\nh[t,n] = exp(x[t,n] + h[t-1,n])\ny[i,n] = h[i-1,n] for i < T+1",
    "x[T,N] -> y\nh[0,0] = x[0,0]\nh[0,n] = x[0,n] + h[0,n-1]\nh[t,0] = x[t,0] + h[t-1,0]\n"
    "h[t,n] = x[t,n] + tanh(h[t-1,n]*h[t,n-1])\ny = h[T-1,N-1]",
    "x[T], w[N] -> y\ny[t] = sum[s](where(s <= t-1, x[s]*w[s], 0)) for t < T, s < N",
    "x[T], w[N] -> y\ny[n] = w[0]*sum[u](x[(n+u) % N]) + 1/T for n < N, u < T",
    "x[T,N] -> y\ny = sum[t,n](x[t,n])/(N*T)",                                     # its gradient is the number 1/(N·T)
    "x[T,N], w[N] -> y\ny = -sum[t,n](x[t,n]/(1 + w[n]**2))/T",                    # and this one, by what has entries
    "x[T,N], w[N], a -> y\ny = sum[t,n](x[t,n]/(1 + w[n]**2))/(T*a)",
    "x[T], w[N] -> y\nh[t,n] = cos(w[n]) for t < T + 1\ny[n] = h[T-1,n]*x[0] + h[T-1,n]",                # the place before the first
    "x[T], w[N] -> y\nh[t,n] = cos(w[n]) for t < 2*T + 1\ny = sum[n](exp(w[n] + h[2*T-1,n])) + x[0]",
    "x[N], W[T,N] -> y\nz[t] = sum[n](W[t,n]*x[n])\ny[n] = z[n]*x[n] for n < N",   # a prefix
    "x[T,N], w[N] -> y\nh[t,n] = where(t % 2 == 0, w[n]*h[t-1,n], 1) + x[t,n]\ny[n] = h[T-1,n]",        # nothing, by its name
    "x[T], w[N] -> y\nz[t] = log(exp(z[t+1]) + exp(1 - x[t-1])) + x[t]\ny[n] = sum[t](z[t]*w[n])",       # of two whole numbers
    "x[T], w[N] -> y\ny[n,t] = x[t]*softmax[n](2) for n < N",                      # a number has no share of nothing
])
def test_what_is_read_of_an_empty_axis_is_zero(text: str) -> None:
    d = nd.derive(text)
    for T, N in product((0, 1, 2), repeat=2):
        sizes = {name: n for name, n in {"T": T, "N": N}.items() if name in d.forward.sizes}
        inputs = drawn(d, sizes)
        for way in [*WAYS, {"sizes": sizes}, *({"sizes": {name: n}} for name, n in sizes.items())]:
            agrees(d, d.compile(**way), inputs)


@pytest.mark.parametrize("text", [
    "b[N], int at[N], x[N,C] -> y\ny[n] = sum[c](q[n,c]) + sum[c](x[n,c])\nq[n,c] = b[n]/C + where(at[n] == c, 1, 0) for c < C",
    "b[N], x[N,C] -> y\ny[n] = sum[c](b[n]/C) + sum[c](x[n,c]) for c < C",
])
def test_a_sum_of_the_same_over_nothing_is_nothing(text: str) -> None:
    """A formula cancels C·b/C, and so takes C to be at least 1; the forward pass does not."""
    d = nd.derive(text)
    for C, way in product((0, 3), WAYS):
        inputs = {"b": np.ones(2), "at": np.zeros(2, int), "x": np.ones((2, C))}
        inputs = {i.name: inputs[i.name] for i in d.forward.inputs}
        y, _ = d.compile(**way).forward(**inputs)
        np.testing.assert_allclose(y, np.array(nd.evaluate(d.forward, inputs)["y"], float), rtol=1e-12)


def test_what_has_values_anyway_needs_no_question() -> None:
    """h[t-1] stands behind the margin of a recurrence, and a row in a loop over the rows is there."""
    equations = "h[-1,n] = h0[n]\nh[t,n] = tanh(x[t,n] + sum[m](W[n,m]*h[t-1,m]))\ny[n] = h[T-1,n]"
    source = nd.derive(f"x[T,N], W[N,N], h0[N] -> y\n{equations}").numpy()
    assert "_entry(" not in source and "if T" not in source


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("y", [
    "y = max[n](w[n] + cos(x[T-1,n]))",
    "y = min[n](exp(x[0,n] + logsumexp[m](w[m]*w[n])))",
    "y = logsumexp[n](w[n]*x[0,n] + cos(x[T-1,n]))",
    "y[n] = softmax[n](w[n] + x[T-1,n]*w[n])",
    "y[n] = softmax[n](x[T-1,n])*w[n]",
    "y[n] = exp(2*log_softmax[n](w[n] + x[T-1,0])) - w[n]",                       # −∞, and not what a difference makes of it
    "y[n] = softmax[n](x[T-1,n])",
    "y = sum[n](w[n]*softmax[n](w[n] + cos(x[T-1,n])))",
    "y = sum[n](tanh(x[T-1,n] + sum[m](w[m]*w[n])))",
    "z[t,n] = tanh(x[t,n])\ny = max[n](w[n] + cos(z[T-1,n]))",
    "y[0,n] = softmax[n](x[T-1,n])\ny[m,n] = 2*y[m-1,n]*w[m] for m < N",
    "y[T,n] = max[m](cos(x[0,m])*w[n])\ny[t,n] = y[t+1,n]*x[t,n]",
])
def test_a_reduction_knows_that_there_is_nothing_whatever_stands_for_what_it_reads(y: str) -> None:
    """The formula leaves that out: with T = 0, what does not change has gradients there, and none that are no numbers here."""
    d = nd.derive(f"w[N], x[T,N] -> y\n{y}")
    for T, N in product((0, 1, 2), repeat=2):
        inputs = drawn(d, sizes := {"T": T, "N": N})
        meant = np.array(nd.evaluate(d.forward, inputs)["y"], float)
        for way in [*WAYS, {"sizes": sizes}, {"sizes": {"T": T}}]:
            found, residuals = (module := d.compile(**way)).forward(**inputs)
            defined = np.isfinite(meant)
            np.testing.assert_allclose(np.reshape(found, meant.shape)[defined], meant[defined], atol=1e-12)
            seeds = {"dy": np.ones_like(found)} if np.ndim(found) else {}
            gradients = module.backward(residuals, **seeds)
            assert not defined.all() or np.isfinite(gradients.dw).all() or N*T == 0
            assert T > 0 or not y.startswith("y = max") or not gradients.dw.any()
            if T and N:
                agrees(d, module, inputs)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("y", [
    "y[n] = where(N > 1, x[n]*sqrt(N-2), 0)",                                      # Python thinks of complex numbers
    "y[n] = where(N > 1, x[n]*(N-1)**(-0.5), x[n])",
    "y = where(N > 1, sum[n](x[n]), 0)/(N-1)*where(N > 2, 1/(N-2), 1)",
    "y = where(N > 1, sum[n](x[n])/log(N)/(N-1), 2)",                              # its gradient is a number by a number that may be 0
    "y = sum[n](x[n])*where(N > 2, N/(N-2)/log(N-1), 0)",
    "y[n] = x[n] + x[0]/log(N)*where(N > 1, 1, 0)",
    "p[n] = softmax[n](x[n])\ny = log(p[0])/log(N)",                               # at labels its gradient is one number by another
    "p[m,n] = softmax[n](x[n]*x[m])\ny = sum[m](log(p[m,m]))/log(N)",
])
def test_what_sizes_make_infinite_where_it_is_not_chosen_is_left_out(y: str) -> None:
    d = nd.derive(f"x[N] -> y\n{y}")
    for N in (1, 2, 3):
        inputs = {"x": np.arange(1.0, N + 1)}
        for way in [*WAYS, {"sizes": {"N": N}}]:
            agrees(d, d.compile(**way), inputs)


@pytest.mark.parametrize("equations, C, G, zero", [
    ("y[c,k] = x[c//(C//G),k]*sum[g](w[g]) for c < C", 2, 3, "C//G"),
    ("y[c,k] = x[c % (C//G),k]*sum[g](w[g]) for c < C", 2, 3, "C//G"),
    ("y[c,k] = x[c//(C//G),k]*sum[g](w[g]) for c < C", 2, 0, "G"),
    ("y = w[0] + x[C//G,0]", 2, 0, "G"),
    ("y[i] = x[i,0]*sum[g](w[g]) for i < C//G", 2, 0, "G"),
])
def test_what_is_divided_by_zero_is_refused_by_name(equations: str, C: int, G: int, zero: str) -> None:
    d, inputs = nd.derive(f"x[C,K], w[G] -> y\n{equations}"), {"x": np.ones((C, 2)), "w": np.ones(G)}
    with pytest.raises(nd.EvaluationError, match="divided by zero"):
        nd.evaluate(d.forward, inputs)
    with pytest.raises(ValueError, match=f"^{zero} is 0"):
        d.compile().forward(**inputs)
    y, _ = d.compile().forward(x=np.ones((4, 2)), w=np.ones(2))
    np.testing.assert_array_equal(y, np.array(nd.evaluate(d.forward, {"x": np.ones((4, 2)), "w": np.ones(2)})["y"], float))


@pytest.mark.parametrize("step", ["where(i > 0, h[i-1], 0) + u[i]", "where(i > 0, tanh(h[i-1])*u[i], v)", "h[i-1]*u[i]"])
@pytest.mark.parametrize("read", ["y = h[N-1]", "y[m] = h[N-1]*w[m]", "y = sum[m](h[N-1]*w[m])"])
def test_without_steps_a_recurrence_ends_with_what_it_begins_with(step: str, read: str) -> None:
    """No step reads h[-1] where i > 0, but h[N-1] is h[-1] where N is 0."""
    d = nd.derive(f"u[N], v, w[M] -> y\nh[-1] = tanh(v)\nh[i] = {step} for i < N\n{read}")
    for N in (0, 1, 3):
        inputs = {"u": np.arange(1.0, N + 1), "v": 0.5, "w": np.array([2.0, -1])}
        for way in WAYS:
            y, _ = d.compile(**way).forward(**inputs)
            np.testing.assert_allclose(y, np.array(nd.evaluate(d.forward, inputs)["y"], float))


@pytest.mark.parametrize("y", ["logsumexp[u](3*B[u,u-2])", "max[u](3*B[u,u-2])", "max[u](2*B[u,u])", "sigmoid(logsumexp[u](3*B[u,u-2]))"])
def test_an_index_over_a_number_has_values_where_a_size_is_zero(y: str) -> None:
    """u - 2 < M holds for all three u where M is 1 or more, and for none where it is 0."""
    d = nd.derive(f"B[3,M] -> Y\nY[t] = {y} for t < 2, u < 3")
    for M in (0, 1, 2, 4):
        B = np.random.default_rng(M).normal(size=(3, M))
        expected = np.array(nd.evaluate(d.forward, {"B": B})["Y"], float)
        for module in (d.compile(), d.compile(sizes={"M": M})):
            np.testing.assert_allclose(module.forward(B=B)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("y", [
    "y[i,j] = sum[k](A[i,k]*A[k,j] + g[0])",
    "y[i,j] = tanh(sum[k](A[i,k]*A[j,k] - 2*g[G-1]))",
    "y[t,n] = relu(sum[j](A[n,j]*y[t-1,j] + g[0]) + A[t,n])",                      # in a recurrence
    "y[i] = sum[j,k](A[i,j]*A[j,k]*A[k,i] + g[0])",
    "y[i,t] = sum[j,u](A[i,j]*A[j,t-u] + g[0]) for t < N, u < N",                  # where windows are added up
    "y[i,a] = sum[j,t](A[i,t]*A[j,a-2*t] + g[0]) for a < 2*N, t < N",
    "y[k] = sum[i,j](where(N*i + j == k, A[i,j], 0) + g[0]) for k < N*N",
])
def test_each_part_of_a_sum_asks_whether_there_is_what_the_others_read(y: str) -> None:
    d = nd.derive(f"A[N,N], g[G] -> y\n{y}")
    for N, G in ((0, 2), (2, 0), (3, 2)):
        inputs = drawn(d, sizes := {"N": N, "G": G})
        meant = np.array(nd.evaluate(d.forward, inputs)["y"], float)
        for way in [*WAYS, {"sizes": sizes}, {"sizes": {"G": G}}]:
            found, _ = d.compile(**way).forward(**inputs)
            np.testing.assert_allclose(found, meant.reshape(found.shape), rtol=1e-12, atol=1e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("equations", [
    "Y[m,t] = 2 + x[m,t] for m < 2, t < 1\nY[1,t] = 5 + x[t,0] for t < T",          # its base case is as long as x
    "Y[m,t,n] = x[m+t,n] for 1 <= m < 2, t < 1\nY[1,t,n] = x[t,n]**2 for t < T",
])
def test_a_tensor_is_as_long_as_its_dimensions_say_however_short_a_base_case_is(equations: str) -> None:
    d = nd.derive(f"x[T,N] -> Y\n{equations}")
    for T, N in product((0, 1, 2), repeat=2):
        for way in [*WAYS, {"sizes": {"T": T, "N": N}}]:
            agrees(d, d.compile(**way), drawn(d, {"T": T, "N": N}))


def test_a_base_case_before_the_first_place_may_be_a_place_of_its_own_where_a_size_is_zero() -> None:
    """At 1 it stands before T, and Y begins there; where T is 0, Y begins at 0, before it."""
    d = nd.derive("x[M,N], z[T] -> Y\nY[m,t] = 2 + x[m,t-T]*sum[k](z[k] + 1) for m < 2, T <= t < T + 2\nY[m,1] = x[m,0]**2 for m < 2")
    for T in (0, 1, 2, 3):
        for way in [*WAYS, {"sizes": {"T": T, "M": 2, "N": 3}}]:
            agrees(d, d.compile(**way), inputs := drawn(d, {"T": T, "M": 2, "N": 3}))
            assert d.compile(**way).forward(**inputs)[0].shape == (2, max(T + 1, 2))


def test_a_place_more_than_all_blocks_of_an_image_is_always_there() -> None:
    """The first of all patches, which stands before them: nothing is asked of sizes that may be 0."""
    d = nd.derive("""X[N,H,W,D], c[D], V[D,K] -> y
p[n,i,j,d] = X[n,4*i,4*j,d] for i < H//4, j < W//4
z[n,t,d] = where(t == 0, c[d], p[n,(t-1)//(W//4),(t-1)%(W//4),d]) for t < (H//4)*(W//4) + 1
s[n,d] = mean[t](z[n,t,d])
y[n,k] = sum[d]((s[n,d] + z[n,0,d])*V[d,k])""")
    source = d.numpy()
    assert "+ 1 > 0, " not in source and "max(0, (H//4)" not in source
    rng = np.random.default_rng(0)
    for shape in ((2, 8, 5, 3), (0, 4, 4, 3)):
        assert_means(d, d.compile(), {"X": rng.normal(size=shape), "c": rng.normal(size=3), "V": rng.normal(size=(3, 2))}, rng)
