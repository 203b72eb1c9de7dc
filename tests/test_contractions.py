"""Emitted sums of products: in which order, as which products of matrices, and what is taken out of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nnderiv as nd
from tests.emitted import body, run
from tests.running import assert_close, assert_means, interpret


def test_few_factors_are_one_also_where_some_are_among_the_indices_of_others() -> None:
    text = "x[N,C,I], g[C], s[N,C] -> y\ny[n,c,i] = g[c]*x[n,c,i]/s[n,c]"
    assert "y = x*(g/s)[..., None]" in body(text, "forward") and "y /= s[..., None]" in body(text, "forward", without=("few",))
    rng = np.random.default_rng(0)
    assert_means(nd.derive(text), nd.derive(text).compile(), {"x": rng.normal(size=(2, 3, 4)), "g": rng.normal(size=3),
                                                              "s": rng.uniform(1, 2, size=(2, 3))}, rng)


def test_the_scale_of_a_product_goes_into_an_operand_also_where_a_bias_is_added() -> None:
    text = "Q[N,D], K[M,D], b[M] -> A\nA[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d])/sqrt(D) + b[j])"
    assert "A_in = Q_scaled @ K.T" in body(text, "forward") and "@ Q_scaled" in body(text, "backward")
    assert "Q_scaled" not in body(text.replace("/sqrt(D) +", "*b[i] +"), "forward")
    assert nd.derive(text).check(seed=0).ok


@pytest.mark.parametrize("sum_", ["W[h,d,e]*X[b,t,e]", "X[b,t,e]*W[h,d,e]"])
def test_a_product_that_is_turned_has_what_is_last_side_by_side(sum_: str) -> None:
    """The same in both orders of writing: rows of (b, t), and in each the d of all heads."""
    text = f"X[B,T,E], W[H,D,E], c[H,D] -> K\nK[b,h,t,d] = sum[e]({sum_}) + c[h,d]"
    assert "(X.reshape(B*T, E) @ W.reshape(H*D, E).T).reshape(B, T, H, D).transpose(0, 2, 1, 3) + c[:, None]" in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    shapes = {"X": (2, 3, 4), "W": (2, 5, 4), "c": (2, 5)}
    assert_means(d, d.compile(), {name: rng.normal(size=shape) for name, shape in shapes.items()}, rng)


@pytest.mark.parametrize(("text", "mark"), [
    ("x[N,K], w[K] -> y\ny[n] = sum[k](x[n,k])", "_row_sums(x)"),
    ("x[N,K] -> y\ny[n] = sum[k](x[n,k]**2)", "np.vecdot(x, x)"),
    ("x[N,K], z[N,K] -> y\ny[k] = sum[n](x[n,k]*z[n,k])", 'np.einsum("nk,nk->k", x, z)'),
    ("x[N,A,B], z[N,A,B] -> y\ny[a] = sum[n,b](x[n,a,b]*z[n,a,b])", 'np.einsum("nab,nab->a", x, z)'),
    ("x[N,A,B], z[N,A,B] -> y\ny[n] = sum[a,b](x[n,a,b]*z[n,a,b])", "np.vecdot(x.reshape(N, A*B), z.reshape(N, A*B))"),
    ("x[N,A,B], g[N,A] -> y\ny[a] = sum[n,b](x[n,a,b]*g[n,a])", "_row_sums(x)"),
])
@pytest.mark.parametrize("sizes", [(3, 5), (1, 1), (0, 4), (4, 0)])
def test_sums_along_rows_need_no_product_in_memory(text: str, mark: str, sizes: tuple[int, int]) -> None:
    assert mark in body(text, "forward")
    program, rng = nd.parse(text), np.random.default_rng(0)
    size = dict(zip(program.sizes, (*sizes, 2), strict=False))
    inputs = {i.name: rng.standard_normal([size[str(d)] for d in i.dims])[..., ::-1].astype(np.float32) for i in program.inputs}
    y = nd.derive(program).compile().forward(**inputs)[0]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, nd.derive(program).compile(without=("rows",)).forward(**inputs)[0], rtol=1e-5, atol=1e-6)


def test_a_sum_inside_an_expression_is_not_computed_again_for_a_tensor_of_its_own() -> None:
    text = """
        x[N,K], g[K], a[K], b[K] -> y
        m[k] = mean[n](x[n,k])
        v[k] = mean[n]((x[n,k] - m[k])**2)
        y[n,k] = g[k]*(x[n,k] - m[k])/sqrt(v[k] + 1) + a[k] + b[k]
        """
    assert body(text, "backward").count("_column_sums(dy)") == 1
    assert body(text, "backward", without=("share",)).count("_column_sums(dy)") == 2
    x = np.arange(6.).reshape(3, 2)
    module = nd.derive(text).compile()
    gradients = module.backward(module.forward(x=x, g=np.ones(2), a=np.ones(2), b=np.ones(2))[1], dy=x)
    gradients.da[:] = 7
    assert np.array_equal(gradients.db, x.sum(0)), "two results never share their memory"


SELECTED = "Q[N,D], K[M,D], int m[N,M] -> S\nS[i,j] = sum[d](where({}, Q[i,d]*{}, 0))"


@pytest.mark.parametrize("condition, factor, mark", [
    ("m[i,j] == 1", "K[j,d]", "S *= m == 1\n"),  # finite: a product with the mask
    ("m[i,j] == 1 and d > 0", "K[j,d]", "S *= m == 1\n"),
    ("m[i,j] == 1", "exp(K[j,d])", "_only_where(m == 1, S, out=S)"),
    ("m[i,j] == 1", "m[i,j]*K[j,d]", "Q @ K.T*m.astype(dtype)*(m == 1)"),
    ("m[i,j] == 1", "sqrt(m[i,j])*K[j,d]", "_only_where(m == 1, S, out=S)"),
])
def test_what_runs_over_no_summed_index_stands_outside_of_the_sum(condition: str, factor: str, mark: str) -> None:
    """And what the condition excludes is 0, though it be infinite."""
    text = SELECTED.format(condition, factor)
    assert mark in body(text, "forward")
    assert "[:, :, None]" not in body(text, "forward") and "[:, None, :, None]" not in body(text, "backward"), "no array over i, j, d"
    rng, m = np.random.default_rng(0), np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 0]])
    Q, K = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    if "exp" in factor:
        K[1] = 1e6  # its exponential is infinite, and m[i,1] is 0
    with np.errstate(all="ignore"):
        S, gradients = run(nd.derive(text, wrt=("Q",)).compile(), {"dS": np.ones((3, 4))}, Q=Q, K=K, m=m)
        f = (np.exp(K) if "exp" in factor else K)*(np.arange(5) > 0 if "d > 0" in condition else 1)
        terms, weights = (np.where(m[..., None] == 1, x, 0) for x in (Q[:, None]*f, f))
    np.testing.assert_allclose(S, terms.sum(2), rtol=1e-12)
    if "exp" not in factor:
        np.testing.assert_allclose(gradients.dQ, weights.sum(1), rtol=1e-12)


def test_what_is_scaled_by_what_is_given_to_be_positive_is_masked_once() -> None:
    text = """
        X[N,D], V[N,D], eps -> Y
        R[i,d] = X[i,d]/sqrt(mean[k](X[i,k]**2) + eps)
        A[i,j] = softmax[j](where(j <= i, sum[d](R[i,d]*R[j,d]), -inf))
        Y[i,d] = sum[j](A[i,j]*V[j,d]*R[j,d])"""
    given = f"{text}\ngiven eps > 0"
    assert "_masked(" in body(text, "backward") and "_masked(" not in body(given, "backward")
    rng, d = np.random.default_rng(0), nd.derive(given)
    assert_means(d, d.compile(), {"X": rng.normal(size=(4, 3)), "V": rng.normal(size=(4, 3)), "eps": 0.1}, rng)
    assert d.check(seed=0).ok


@pytest.mark.parametrize("dtype", ("e", "f", "d", "g"))
@pytest.mark.parametrize("shape", ((3, 4), (0, 4), (1, 1)))
def test_a_product_summed_over_everything_is_a_dot_product(dtype: str, shape: tuple[int, int]) -> None:
    module = nd.derive("x[N,M], z[N,M] -> y\ny = sum[n,m](x[n,m]*tanh(z[n,m]))").compile()
    assert "np.vdot(x, " in module.source
    rng = np.random.default_rng(0)
    x, z = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    y, residuals = module.forward(x=x.T.copy().T, z=np.repeat(z, 2, axis=1)[:, ::2])
    assert y.dtype == dtype
    close = 1e-2 if dtype == "e" else 1e-6
    np.testing.assert_allclose(y, (x.astype("g")*np.tanh(z.astype("g"))).sum(), rtol=close, atol=close)
    np.testing.assert_allclose(module.backward(residuals).dx, np.tanh(z), rtol=close)


def test_products_of_matrices_outweigh_what_is_added_to_their_rows() -> None:
    source = nd.derive("X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]").numpy()
    assert "X @ W" in source and "_abreast" not in source


def test_a_factor_of_a_masked_sum_that_is_not_finite_makes_nan_of_its_zeros() -> None:
    text = "x[N,K], c[N], s -> y\ny[n] = log(s)*sum[k](where(c[n] > 0, x[n,k], 0))"
    x, c = np.ones((2, 3), np.float32), np.array([1, -1], np.float32)
    with np.errstate(all="ignore"):
        (y, _) = nd.derive(text).compile().forward(x=x, c=c, s=0.0)
    assert y[0] == -np.inf and np.isnan(y[1]) and y.dtype == np.float32


def test_matrices_are_multiplied_in_the_order_that_makes_and_copies_least() -> None:
    mixed = "P[B,H,T,S], V[B,H,S,D], W[E,H,D] -> Y\nY[b,t,e] = sum[h,d,s](W[e,h,d]*P[b,h,t,s]*V[b,h,s,d])"
    assert "PV = P @ V" in body(mixed, "forward")
    tucker = "G[P,Q,R], A[I,P], B[J,Q], C[K,R] -> T\nT[i,j,k] = sum[p,q,r](G[p,q,r]*A[i,p]*B[j,q]*C[k,r])"
    assert "None" not in body(tucker, "forward") + body(tucker, "backward"), "never a product entry by entry"
    powers = "x[N,I], c[O,I,K] -> y\ny[n,o] = sum[i,k](c[o,i,k]*x[n,i]**k)"
    assert "dy @ (part*c).reshape(O, I*K)" in body(powers, "backward")


@pytest.mark.parametrize("right", [
    "sum[d](x[i,d]*y[j,d] + w[i,d]*z[j,d] - exp(x[i,d])*z[j,d])/sqrt(D)",
    "sum[d](x[i,d]*y[j,d+1] + w[i,d-1]*z[j,d] + 2)",  # at a d at which all are read
    "sum[d](where(d != i, (x[i,d]*y[j,d] + w[i,d]*z[j,d])*(d + 1), 0))",
    "sum[d](w[i,d]**2 - 2*w[i,d]*z[j,d] + z[j,d]**2)",
    "S[i-1,j] + sum[d](x[i,d]*y[j,d] + w[i,d]*S[i-1,d])",
])
def test_a_sum_of_products_of_matrices_is_one_product_for_each(right: str) -> None:
    text = f"x[N,D], y[M,D], z[M,D], w[N,D] -> S\nS[i,j] = {right}  for i < N, j < M"
    assert "None]*" not in body(text, "forward") and body(text, "forward") != body(text, "forward", without=("distribute",))
    modules = [nd.derive(text).compile(without=without) for without in ((), ("distribute",))]
    for N, M, D in [(3, 4, 5), (1, 1, 1), (2, 3, 1), (0, 2, 3), (2, 4, 0)]:
        rng = np.random.default_rng(0)
        inputs = {"x": rng.normal(size=(N, D)), "w": rng.normal(size=(N, D)), "y": rng.normal(size=(M, D)), "z": rng.normal(size=(M, D))}
        seed = {"dS": rng.normal(size=(N, M))}
        (S, gradients), (plain, as_written) = (run(module, seed, **inputs) for module in modules)
        np.testing.assert_allclose(S, plain, rtol=1e-10, atol=1e-12)
        if N*D:  # lists of no lists have no second size
            assert_close(S, interpret(nd.parse(text), inputs)["S"], "S")
        for one, other in zip(gradients, as_written, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sign", ["+", "-"])
def test_keys_and_relative_positions_are_added_after_their_products(sign: str) -> None:
    """What is read at distances is smaller than what is read of it; a difference of what arrays hold stays one."""
    text = f"q[T,D], k[T,D], r[2*T-1,D] -> S\nS[i,j] = sum[d](q[i,d]*(k[j,d] {sign} r[j-i+T-1,d]))"
    assert ("S_skewed = q @ r.T" in body(text, "forward")) == (sign == "+")
    rng, d = np.random.default_rng(0), nd.derive(text)
    for T, D in [(4, 3), (1, 1), (0, 2)]:
        inputs = {"q": rng.normal(size=(T, D)), "k": rng.normal(size=(T, D)), "r": rng.normal(size=(max(0, 2*T - 1), D))}
        assert_means(d, d.compile(), inputs, rng)


@pytest.mark.parametrize("sum_", [
    "(x[i,d] - y[j,d])**2",
    "(x[i,d] - y[j,d])*(x[i,d] - y[j,d])",
    "x[i,d] - 2*y[j,d]",          # exact where they are close; Σ x − Σ y is not
    "A[i,d]*(x[i,d] - y[j,d])",
    "x[i,d]*y[j,d] + T[i,j,d]",   # an array over all three is read anyway
    "(x[i,d]*x[i,d] + 1)*A[i,d]",  # nothing is larger than what is read
])
def test_a_sum_is_taken_apart_only_where_that_pays_and_is_as_exact(sum_: str) -> None:
    text = f"x[N,D], y[N,D], A[N,D], T[N,N,D] -> S\nS[i,j] = sum[d]({sum_})*A[i,j]"
    assert body(text, "forward") == body(text, "forward", without=("distribute",))


def test_the_same_letter_in_two_sums_may_run_over_two_ranges() -> None:
    """The kernel stays in one of them, in which a is then a place in the kernel."""
    text = "x[N], K[5], z[N], J[N,M] -> y\ny[i] = sum[a](x[a]*K[a+1-2*i]) + sum[a](z[a]*J[a,i])  for i < M"
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=9), "K": rng.normal(size=5), "z": rng.normal(size=9), "J": rng.normal(size=(9, 4))}
    y, _ = nd.derive(text).compile().forward(**inputs)
    np.testing.assert_allclose(y, interpret(nd.parse(text), inputs)["y"], rtol=1e-12)


def test_what_is_the_same_for_all_places_of_a_sum_is_multiplied_after_it() -> None:
    text = "E[V,D], int idx[N,K], s[N] -> h\nh[n,d] = mean[k](E[idx[n,k],d])*s[n] + sum[k](s[n]*E[idx[n,k],d])"
    source = body(text, "forward")
    assert source.count("_column_sums(_gather(E, idx))") == 1 and "part *= s[:, None]" in source
    rng, d = np.random.default_rng(0), nd.derive(text)
    E, idx, s = rng.normal(size=(5, 3)), rng.integers(-1, 6, size=(4, 6)), rng.normal(size=4)
    assert_means(d, d.compile(), {"E": E, "idx": idx, "s": s}, rng)


def test_a_gradient_that_is_a_sum_of_the_forward_pass_is_kept_and_not_computed_again() -> None:
    text = "C[D,D], lam -> L\nL = sum[i](C[i,i]) + lam*sum[i,j](where(i != j, C[i,j]**2, 0))"
    assert "dlam = dtype.type(L_sum)" in body(text, "backward") and "L_sum = " in body(text, "forward")
    C = np.arange(9.0).reshape(3, 3)
    assert run(nd.derive(text).compile(), {}, C=C, lam=2.0)[1].dlam == (C**2).sum() - (np.diag(C)**2).sum()
    text = "x[N], w[N] -> L\ns[n] = x[n]**2\nL = sum[n](w[n]*s[n])"  # an array that is handed out belongs to the caller
    assert "dw = x**2" in body(text, "backward")


@pytest.mark.parametrize("summed, form", [
    ("b", "_column_sums(x.reshape(B, H*T*D)).reshape(H, T, D)"),
    ("h", "_column_sums(x.reshape(B, H, T*D)).reshape(B, T, D)"),
    ("t", "_column_sums(x)"), ("h,t", "_column_sums(x.reshape(B, H*T, D))"), ("b,h,t", "_column_sums(x.reshape(B*H*T, D))"),
    ("b,t", "_column_sums(_column_sums(x.reshape(B, H*T*D)).reshape(H, T, D))"),
    ("h,d", "_column_sums(_row_sums(x))"), ("d", "_row_sums(x)"),
])
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (1, 2, 1, 3), (2, 0, 3, 4), (2, 3, 4, 0)])
def test_sums_along_any_axes_are_products_with_ones(summed: str, form: str, shape: tuple[int, ...]) -> None:
    """As many axes as stand together at once, whichever they are; those that are the last are row sums."""
    left = ",".join(i for i in "bhtd" if i not in summed)
    d = nd.derive(f"x[B,H,T,D] -> y\ny[{left}] = sum[{summed}](x[b,h,t,d])")
    assert f"y = {form}  " in d.numpy()
    x = np.random.default_rng(0).normal(size=shape)
    for given in (x, np.asfortranarray(x), x[::-1]):
        y, residuals = d.compile().forward(x=given)
        axes = tuple("bhtd".index(i) for i in summed.split(","))
        np.testing.assert_allclose(y, given.sum(axes), rtol=1e-13, atol=1e-13)
        dy = np.random.default_rng(1).normal(size=np.shape(y))
        np.testing.assert_array_equal(d.compile().backward(residuals, dy=dy).dx, np.broadcast_to(np.expand_dims(dy, axes), shape))


def test_rows_that_are_looked_up_are_not_walked_through() -> None:
    """They are long runs as they are, and what weighs them makes a product of matrices of it."""
    text = "int t[N,T], E[V,D], w[N,T] -> y\ny[n,d] = sum[k](w[n,k]*E[t[n,k],d])"
    assert "for " not in body(text, "forward") and "_gather(E, t).mT @ w" in body(text, "forward")
    rng = np.random.default_rng(0)
    inputs = {"t": rng.integers(5, size=(3, 4)), "E": rng.normal(size=(5, 2)), "w": rng.normal(size=(3, 4))}
    assert_means(nd.derive(text), nd.derive(text).compile(), inputs, rng)


@pytest.mark.parametrize(("text", "written"), {
    "x[N,T,D], int size[N] -> y\ny[n,d] = sum[t](where(t < size[n], x[n,t,d], 0))": "x.mT @ (np.arange(T) < size[:, None])",
    "x[N,T], int m[T] -> y\ny[n] = sum[t](where(m[t] > 0, x[n,t], 0))": "y = x @ (m > 0).astype(dtype)",
}.items())
def test_a_condition_on_what_is_summed_is_a_factor_of_the_product(text: str, written: str) -> None:
    assert written in body(text, "forward") and " @ " not in body(text, "forward", without=("indicator", "rows"))
    d, rng, sizes = nd.derive(text), np.random.default_rng(0), {"N": 3, "T": 4, "D": 2, "M": 5}
    inputs = {i.name: rng.normal(size=[r.value(sizes) for r in i.dims]) if i.kind == "real"
              else rng.integers(3, size=[r.value(sizes) for r in i.dims]) for i in d.forward.inputs}
    for without in ((), ("indicator",)):
        assert_means(d, d.compile(without=without), inputs, rng)


def test_a_product_over_one_place_is_of_all_pairs_of_entries() -> None:
    """With a batch of one, the gradient of a matrix is; linear algebra takes four times as long for it."""
    d, rng = nd.derive("x[N,I], W[H,I] -> y\ny[n,h] = sum[i](W[h,i]*x[n,i])"), np.random.default_rng(0)
    assert "dW = dy.T*x" in d.numpy(sizes={"N": 1, "I": 5, "H": 4})
    assert "dW = dy.T @ x" in d.numpy(sizes={"N": 2, "I": 5, "H": 4})
    for sizes in itertools.product((1, 2), (1, 3), (1, 4)):
        known = dict(zip("NIH", sizes, strict=True))
        inputs = {"x": rng.normal(size=sizes[:2]), "W": rng.normal(size=(sizes[2], sizes[1]))}
        assert_means(d, d.compile(sizes=known), inputs, rng)
    d = nd.derive("A[B,N,I], C[B,N,J] -> Y\nY[b,i,j] = sum[n](A[b,n,i]*C[b,n,j])")
    module = d.compile(sizes={"B": 2, "N": 1, "I": 3, "J": 4})
    assert "@" not in module.source.partition("def backward")[0]
    assert_means(d, module, {"A": rng.normal(size=(2, 1, 3)), "C": rng.normal(size=(2, 1, 4))}, rng)


def test_shorter_buffers_are_not_asked_for_where_all_sizes_are_known_to_be_small() -> None:
    d = nd.derive("x[N,K], g[K], b[K] -> y\ny[n,k] = g[k]*(x[n,k] - mean[i](x[n,i]))*sqrt(1 + mean[i](x[n,i]**2)) + b[k]")
    assert "getbufsize" in d.numpy() and "getbufsize" in d.numpy(sizes={"N": 1000, "K": 100})
    assert "getbufsize" not in d.numpy(sizes={"N": 100, "K": 100})


def test_what_few_indices_have_goes_into_the_array_that_has_all() -> None:
    """Σ_k w[n,k] r[k,d] (m[k,d] − x[n,d]): no second array over n, d and k, and a product of matrices at last."""
    text = "w[N,K], r[K,D], m[K,D], x[N,D] -> y\ny[n,d] = sum[k](w[n,k]*r[k,d]*(m[k,d] - x[n,d]))"
    written = body(text, "forward")
    assert "part *= r.T" in written and "(part @ w[..., None])[..., 0]" in written and "vecdot" not in written
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {n: rng.normal(size=s) for n, s in (("w", (5, 3)), ("r", (3, 4)), ("m", (3, 4)), ("x", (5, 4)))}, rng)


def test_heads_that_lead_are_moved_beside_what_else_is_summed_rather_than_multiplied_one_by_one() -> None:
    """A product for each head and their sum take more than a copy of what the heads give."""
    text = "o[H,T,D], W[H,D,E] -> Y\nY[t,e] = sum[h,d](o[h,t,d]*W[h,d,e])"
    assert "Y = o.swapaxes(0, 1).reshape(T, H*D) @ W.reshape(H*D, E)" in body(text, "forward")
    images = "Y[N,O,H,W], X[N,C,H,W] -> K\nK[o,c] = sum[n,i,j](Y[n,o,i,j]*X[n,c,i,j])"  # here the copies are larger
    assert "(Y.reshape(N, O, H*W) @ X.reshape(N, C, H*W).mT)" in body(images, "forward")
    for program in (text, images):
        d, rng = nd.derive(program), np.random.default_rng(0)
        for n in (0, 1, 3):
            assert_means(d, d.compile(), {i.name: rng.normal(size=[n]*len(i.dims)) for i in d.forward.inputs}, rng)


NUMBERS = {  # what is the same for all entries meets the array as one number -> how
    "x[N,K], c -> y\ny[n,k] = 2*c*x[n,k]": "2*c*x",
    "x[N,K], c -> y\ny[n,k] = c**2*x[n,k]/N": "c**2/max(1, N)*x",
    "x[N,K], c -> y\ny[n,k] = c**2*x[n,k]/(N*K)": "c**2/max(1, K*N)*x",
    "x[N,K], z[M], c -> y\ny[n,k] = c*x[n,k]/M + z[0]": "c*x/M",   # with no axis of M, x is there where M is 0
    "x[N,K], c -> y\ny[n,k] = x[n,k]/2/c": "x/(2*c)",
    "x[N,K], c -> y\ny[n,k] = -x[n,k]/(2*c**2)": "x/(-2*c**2)",
}


@pytest.mark.parametrize("text", NUMBERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_array_is_multiplied_by_one_number_and_not_by_several(text: str) -> None:
    assert NUMBERS[text] in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    for N, K in ((0, 2), (2, 0), (0, 0), (3, 2)):
        drawn = {"x": rng.normal(size=(N, K)), "z": rng.normal(size=2), "c": 3.0}
        inputs = {i.name: drawn[i.name] for i in d.forward.inputs}
        with np.errstate(all="raise"):  # nothing is divided by a size of nothing
            d.compile().forward(**inputs)
        for without in ((), ("few",)):
            assert_means(d, d.compile(without=without), inputs, rng)


def test_how_many_share_a_maximum_is_counted_as_the_array_lies_and_compared_once() -> None:
    text = "x[N,T,D] -> y\ny[n,d] = max[t](x[n,t,d])"
    written = body(text, "backward")
    assert "_column_sums(part.astype(dtype))" in written and written.count("==") == written.count("x == y[:, None]") == 1
    d, rng = nd.derive(text), np.random.default_rng(0)
    for shape in ((3, 4, 2), (0, 4, 2), (3, 1, 2)):
        assert_means(d, d.compile(), {"x": rng.integers(0, 3, shape)*1.0}, rng)


@pytest.mark.parametrize("text, shown", [
    ("x[N], z[N] -> L\nL = -sum[n](x[n]*z[n])/N", "dtype.type(-np.vdot(x, z)/N)"),
    ("x[N] -> L\nL = -2*sum[n](x[n])", "dtype.type(-2*x.sum())"),
    ("x[N], z[N] -> L\nL = -(sum[n](x[n]) + sum[n](z[n]))", "dtype.type(-(x.sum() + z.sum()))"),
    ("x[N], z[M], A[N,M], c -> L\nL = -sum[n,m](x[n]*A[n,m]*z[m])/c", "xA = x @ A"),
])
def test_the_minus_before_a_product_of_numbers_is_that_of_its_first_factor(text: str, shown: str) -> None:
    written = body(text, "forward")
    assert shown in written and "-x @" not in written  # of an array it would be another array
    d, rng = nd.derive(text), np.random.default_rng(0)
    drawn = {"x": rng.normal(size=3), "z": rng.normal(size=3), "A": rng.normal(size=(3, 3)), "c": 2.0}
    assert_means(d, d.compile(), {i.name: drawn[i.name] for i in d.forward.inputs}, rng)


def test_what_is_copied_to_be_a_matrix_is_one_matrix_for_all_heads() -> None:
    """The gradient of X has them side by side, and that of the weights takes the same copy."""
    text = "X[N,T,D], W[H,D,E] -> Q\nQ[n,h,t,e] = sum[d](X[n,t,d]*W[h,d,e])"
    written = body(text, "backward")
    assert written.count("dQ.transpose(0, 2, 1, 3).reshape(N*T, H*E)") == 1 and "swapaxes(0, 1).reshape(H, N*T, E)" not in written
    d, rng = nd.derive(text), np.random.default_rng(0)
    for N, T in ((2, 3), (0, 3), (1, 1)):
        assert_means(d, d.compile(), {"X": rng.normal(size=(N, T, 4)), "W": rng.normal(size=(2, 4, 3))}, rng)


@pytest.mark.parametrize("sizes", [{"B": 2, "T": 3, "E": 4, "H": 2, "D": 3}, {"B": 0, "T": 3, "E": 4, "H": 2, "D": 3}])
def test_a_bias_is_summed_as_its_matrix_lies_in_the_product_beside_it(sizes: dict[str, int]) -> None:
    """Σ_nt of dQ[n,h,t,d]: rows n and t stand apart, but for the gradient of W they were brought together."""
    text = "X[B,T,E], W[H,D,E], c[H,D] -> Q\nQ[n,h,t,d] = sum[e](W[h,d,e]*X[n,t,e]) + c[h,d]"
    assert "dc = _column_sums(dQ_flat).reshape(H, D)" in body(text, "backward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {i.name: rng.normal(size=[x.value(sizes) for x in i.dims]) for i in d.forward.inputs}, rng)
