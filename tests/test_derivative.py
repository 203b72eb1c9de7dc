"""The one rule: every row of its table, what others get wrong without a word, and its size for every length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import nnderiv as nd
from nnderiv import laws_of_sums
from nnderiv.normal import normalise

TABLE = {
    "the kernel is turned by 180 degrees": (
        "X[N,C,H,W], K[O,C,U,V] -> Y\nY[n,o,i,j] = sum[c,u,v](X[n,c,i+u,j+v]*K[o,c,u,v])", "X",
        "dX[n,c,a,b] = sum[o,u,v](dY[n,o,a-u,b-v]*K[o,c,u,v])"),
    "zeros stand between the entries of dY": (
        "X[H], K[U], int s, int p -> Y\nY[i] = sum[u](X[s*i+u-p]*K[u]) for i < (H + 2*p - U)//s + 1", "X",
        "dX[a] = sum[u](where((p + a - u) % s == 0, dY[(p+a-u)//s]*K[u], 0))"),
    "time runs backwards": (
        "x[T,H], W[H,H] -> h\nh[t,k] = x[t,k] + sum[l](W[k,l]*h[t-1,l])", "x", "dx[t,k] = dh_total[t,k]"),
    "the gradient of a bias is a sum over the batch": (
        "X[N,O], b[O] -> Y\nY[n,o] = X[n,o] + b[o]", "b", "db[o] = sum[n](dY[n,o])"),
    "the adjoint of im2col is col2im": (
        "X[H] -> cols\ncols[i,u] = X[i+u] for i < H - 2, u < 3", "X", "dX[a] = sum[u](dcols[a-u,u])"),
    "dK is dS transposed times Q": (
        "Q[N,D], K[M,D] -> S\nS[i,j] = sum[d](Q[i,d]*K[j,d])", "K", "dK[j,d] = sum[i](dS[i,j]*Q[i,d])"),
    "only the diagonal receives": (
        "A[N,N] -> t\nt[i] = A[i,i]", "A", "dA[i,a] = where(i == a, dt[i], 0)"),
    "an index that is data scatters": (
        "E[V,D], int tok[N] -> Y\nY[n,d] = E[tok[n],d]", "E", "dE[a,d] = sum[n](where(tok[n] == a, dY[n,d], 0))"),
}


@pytest.mark.parametrize("row", TABLE)
def test_row_of_the_table(row: str) -> None:
    text, name, expected = TABLE[row]
    d = nd.derive(text)
    assert str(d[name]) == expected
    assert d.check(code=False).ok


def test_backpropagation_through_time_is_a_recurrence_ahead() -> None:
    text, _, _ = TABLE["time runs backwards"]
    assert "dh_total[t,k] = dh[t,k] + sum[l](dh_total[t+1,l]*W[l,k])" in str(nd.derive(text).backward)


# Wrong or zero, without a word, in SymPy 1.14.
SILENT = {
    "log of a sum of exponentials": "s[N] -> y\ny = log(sum[i](exp(s[i])))",
    "log of a trace": "S[N,N] -> y\ny = log(sum[i](S[i,i]**2))",
    "exp of the trace of a square": "S[N,N] -> y\ny = exp(sum[i,j](S[i,j]*S[j,i]))",
    "tanh of a dot product": "a[N], s[N] -> y\ny = tanh(sum[i](a[i]*s[i]))",
    "square of a trace": "S[N,N] -> y\ny = sum[i](S[i,i])**2",
    "sum of traces": "S[N,N], R[N,N] -> y\ny = sum[i](S[i,i]) + sum[i,j](S[i,j]*R[j,i])",
    "row softmax": "S[N,M] -> P\nP[i,j] = exp(S[i,j])/sum[k](exp(S[i,k]))",
    "every second entry": "y[M], x[N] -> L\nL = sum[i](y[i]*x[2*i])",
    "stride 2 with dilation 3": "x[N], w[K] -> y\ny[i] = sum[k](w[k]*x[2*i+3*k])",
    "a padded convolution": "x[N], w[K] -> y\ny[i] = sum[k](w[k]*x[i+k-1]) for i < N",
    "a read at the bound index": "x[N], a -> L\nL = sum[a2](x[a2]**2)*a",
    "sum of squares": "x[N] -> L\nL = sum[a](x[a]**2)",
}


@pytest.mark.parametrize("name", SILENT)
def test_what_others_get_wrong_in_silence_is_right(name: str) -> None:
    report = nd.derive(SILENT[name]).check(code=False, trials=4)
    assert report.ok, str(report)


def test_every_second_entry_has_its_parity_condition() -> None:
    assert "a % 2 == 0" in str(nd.derive(SILENT["every second entry"])["x"])


ORDERS = {
    "dense": "X[N,I], W[I,O], b[O] -> Y\nY[n,o] = tanh(sum[i](X[n,i]*W[i,o]) + b[o])",
    "attention": "Q[N,D], K[M,D], V[M,E] -> Y\nA[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d]))\nY[i,e] = sum[j](A[i,j]*V[j,e])",
    "second order recurrence": "x[T] -> y\ny[t] = tanh(x[t] + y[t-1]*y[t-2])",
    "base case on a line": "x[T,H], h0[H] -> h\nh[-1,k] = h0[k]\nh[t,k] = tanh(x[t,k] + h[t-1,k])",
    "base case at a point": "c[N,M] -> D\nD[0,0] = c[0,0]**2\nD[i,j] = c[i,j] + D[i-1,j]*D[i,j-1]",
    "base case inside": "x[N], b -> y\ny[2] = b**3\ny[n] = x[n]**2 + x[n]*y[n-1]",
    "coupled subscripts": "x[M,K] -> y\ny[i,j] = x[i+j,i-j]**2 for i < 3, j < 3",
    "several reads": "x[N] -> y\ny[n] = x[n]*x[n-1]*x[N-1-n]",
    "functions inside reductions inside functions": "x[N,M] -> y\ny[n] = sigmoid(sum[m](exp(-x[n,m]**2)*max[k](x[k,m])))",
    "masked softmax": "S[N,N] -> P\nP[i,j] = softmax[j](where(j <= i, S[i,j]**2, -inf))",
    "mean of a padded window": "x[N] -> y\ny[n] = mean[u](x[n+u-1]**3) for n < N, u < 3",
    "softmax over a padded window": "x[N] -> y\ny[n] = sum[u](softmax[u](x[n+u-1]**2)*x[n]*u) for n < N, u < 3",
    "scalars": "a, b -> y\ny = a**2*b + sin(a*b)",
    "softmax with a base case": "A[K] -> Y\nY[i] = softmax[i](softmax[i](A[i])) for i < K\nY[1] = A[0]*A[1]",
    "ties": "x[N] -> y\ny = max[n](relu(x[n]))**2",
}


@pytest.mark.parametrize("name", ORDERS)
def test_first_and_second_derivatives_are_exact(name: str) -> None:
    first = nd.derive(ORDERS[name])
    assert first.check(code=False).ok
    assert nd.derive(first.backward, wrt=first.wrt).check(code=False, trials=2).ok


RNN = """x[{T},N,I], U[H,I], W[H,H], b[H], h0[N,H] -> h
h[-1,n,k] = h0[n,k]
h[t,n,k] = tanh(sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k])"""


def test_backpropagation_through_time_has_one_text_for_every_length() -> None:
    texts = {str(nd.derive(RNN.format(T=length)).backward).replace(f"[{length},", "[T,") for length in (2, 5, 50, 5000)}
    assert len(texts) == 1
    assert texts == {str(nd.derive(RNN.format(T="T")).backward)}


def chain(depth: int) -> nd.Derivation:
    weights = ", ".join(f"W{k}[I,I]" for k in range(depth))
    lines = [f"h{k + 1}[n,i] = tanh(sum[j](W{k}[i,j]*h{k}[n,j]))" for k in range(depth)]
    return nd.derive(f"h0[N,I], {weights} -> h{depth}\n" + "\n".join(lines))


def test_a_chain_of_layers_has_a_number_of_equations_linear_in_its_depth() -> None:
    counts = [len(chain(depth).backward.equations) for depth in (4, 8, 16, 32)]
    steps = [(b - a) / (y - x) for a, b, x, y in zip(counts, counts[1:], (4, 8, 16), (8, 16, 32), strict=False)]
    assert len(set(steps)) == 1
    assert len(str(chain(32).backward)) < 8.5 * len(str(chain(4).backward)) + 400


def test_wrt_narrows_the_gradients() -> None:
    d = nd.derive(ORDERS["dense"], wrt=("W",))
    assert d.wrt == ("W",)
    assert d.backward.outputs == ("dW",)
    assert nd.derive(ORDERS["dense"], wrt="W").wrt == ("W",)


def test_an_input_that_does_not_matter_has_the_gradient_zero() -> None:
    assert nd.evaluate(nd.derive("x[N], y[N] -> L\nL = sum[n](x[n])").backward, {"x": [1, 2], "y": [3, 4]})["dy"] == [0, 0]


def test_a_sole_scalar_output_is_seeded_with_one() -> None:
    assert [i.name for i in nd.derive("x -> y\ny = x**2").backward.inputs] == ["x"]
    assert [i.name for i in nd.derive("x -> y, z\ny = x**2\nz = x").backward.inputs] == ["x", "dy", "dz"]


def test_what_cannot_be_derived_is_refused_with_the_reason() -> None:
    with pytest.raises(nd.DerivationError, match="integer"):
        nd.derive("x[N], int k -> y\ny[n] = k*x[n]", wrt=("k",))
    with pytest.raises(nd.DerivationError, match="not an input"):
        nd.derive("x[N] -> y\ny[n] = x[n]", wrt=("z",))
    with pytest.raises(nd.DerivationError, match="no real input"):
        nd.derive("int k -> y\ny = k")


def test_names_of_gradients_give_way_to_inputs_only() -> None:
    d = nd.derive("x[N], dx[N] -> y\ny[n] = x[n]*dx[n]")
    assert set(d.gradients.names.values()) == set(d.backward.outputs)
    assert d.check(code=False).ok
    inner = nd.derive("x[N] -> y\ndx[n] = x[n]**2\ny[n] = dx[n]*x[n]")
    assert inner.backward.outputs == ("dx",)
    assert inner.check(code=False).ok


def test_the_same_helper_in_other_letters_is_computed_once():
    def helpers(right):
        return [e.left for e in normalise(nd.parse(f"X[N,M], Z[M,M] -> Y\nY[n] = sum[m]({right})")).equations]

    assert helpers("(X[n,m] - mean[k](X[n,k]))*exp(X[n,m] - mean[l](X[n,l]))") == ["Y_in[n,m]", "Y[n]"]
    assert helpers("exp(sum[k](X[n,k]*Z[k,m]))*exp(sum[l](X[n,l]*Z[l,m]))") == ["Y_sum[n,m]", "Y[n]"]
    assert helpers("exp(sum[k](X[n,k]*Z[k,m]))*exp(sum[l](X[n,l]*Z[m,l]))") == ["Y_sum[n,m]", "Y_sum2[n,m]", "Y[n]"]


@pytest.mark.parametrize("text", [
    "E[V,D], int tok[N] -> Y\nY[n,d] = E[tok[n-1],d] for n < N",
    "E[V,D], int tok[N] -> Y\nY[n,u,d] = E[tok[n+u-1],d] for n < N, u < 3",
    "E[V], w, int tok[N] -> h\nh[-1] = 0\nh[n] = tanh(w*h[n-1] + E[tok[n-1]]) for n < N",
    "x[V], int p[V], int q[N] -> Y\nY[n] = x[p[q[n]]]",
    "x[V], int p[V], int q[N] -> Y\nY[n] = x[p[q[n-1]]] for n < N",
    "x[V], int p[V], int q[N] -> Y\nY[n] = sum[u](x[p[q[n-u]]]) for n < N, u < 2",
])
def test_an_integer_that_is_read_outside_is_0_for_the_gradient_too(text: str) -> None:
    """tok[-1] is 0, and so E[tok[-1]] is E[0], unless a sum leaves that position out."""
    d = nd.derive(text)
    rng, real = np.random.default_rng(0), next(i.name for i in d.forward.inputs if i.kind == "real" and i.dims)
    sizes = {"V": 4, "D": 2, "N": 5}
    inputs = {i.name: rng.integers(-1, 6, size=5 if i.name != "p" else 4) if i.kind == "int" else
              rng.normal(size=[x.value(sizes) for x in i.dims]) for i in d.forward.inputs}
    module = d.compile()
    (name, y), = nd.evaluate(d.forward, inputs).items()
    Y, residuals = module.forward(**inputs)
    np.testing.assert_allclose(Y, np.array(y, float), rtol=1e-12)
    dY, v = rng.normal(size=Y.shape), rng.normal(size=inputs[real].shape)
    gradients = module.backward(residuals, **{f"d{name}": dY})._asdict()
    ahead, behind = (np.sum(dY*module.forward(**{**inputs, real: inputs[real] + step*v})[0]) for step in (1e-6, -1e-6))
    np.testing.assert_allclose(np.sum(gradients[f"d{real}"]*v), (ahead - behind)/2e-6, rtol=1e-7)
    assert d.check().ok and all(d[x].steps for x in d.wrt)


def test_a_derivation_has_the_gradients_that_it_goes_through():
    d = nd.derive("X[N,I], W[I,O], int s -> Y\nY[n,o] = s*sum[i](X[n,i]*W[i,o])", wrt=("W",))
    assert "W" in d and d["W"] in d and "X" not in d and "s" not in d and [g.wrt for g in d] == ["W"] and len(d) == 1
    assert nd.derive("W[N] -> y\ny[n] = W[n]")["W"] not in d


def test_the_work_of_deriving_a_residual_network_grows_with_its_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tensor sums to is asked of all that it adds up, and of what that adds up: once each, not along every path."""
    asked = 0
    total = laws_of_sums._total

    def counted(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        return total(*args)

    def work(depth: int) -> int:
        nonlocal asked
        asked = 0
        blocks = "\n".join(f"x{k + 1}[n,i] = x{k}[n,i] + tanh(sum[j](x{k}[n,j]*W[j,i]))" for k in range(depth))
        nd.derive(f"x0[N,I], W[I,I] -> x{depth}\n{blocks}")
        return asked

    monkeypatch.setattr(laws_of_sums, "_total", counted)
    assert 0 < work(8) <= 3*work(4)


def test_a_table_has_the_same_axes_whichever_term_comes_first():
    def tables(right):
        backward = nd.derive(f"B[T,T,K], C[T,T], int tok[T] -> Y\nY[m,k] = max[n,q]({right}) for m < T, k < T").backward
        return {(e.body.tensor, *(e.subs.index(s) if s in e.subs else "tok" for s in e.body.subs))
                for e in backward.equations if "_at" in e.tensor}

    assert tables("B[m,tok[k],q]*C[n,m]*B[k,tok[m],q]") == tables("B[k,tok[m],q]*B[m,tok[k],q]*C[n,m]") == {("B", 0, "tok", 2)}


def test_the_ties_of_a_maximum_are_counted_once_also_in_a_gradient_that_is_derived_again() -> None:
    first = nd.derive("x[N,M], w[M] -> y\ny = sum[n](max[m](x[n,m]*w[m])**2)")
    second = nd.derive(first.backward)
    assert [e.tensor for e in second.backward.equations if "ties" in e.tensor] == ["y_max_ties"]
    assert second.check(seed=0, trials=1).ok


def test_a_sum_that_stands_twice_has_one_name_in_whatever_order() -> None:
    total, turned = "sum[n](A[i,n]*B[n,k])", "sum[n](B[n,k]*A[i,n])"
    orders = ("sigmoid({})*x[i] + {}", "{1} + x[i]*sigmoid({0})")
    bodies = [order.format(a, b) for order in orders for a in (total, turned) for b in (total, turned)]
    derived = [nd.derive(f"A[N,M], B[M,K], x[N] -> y\ny[i,k] = {body}") for body in bodies]
    for d in derived:
        assert d.check(seed=0).ok
        assert {e.tensor for e in d.backward.equations} == {e.tensor for e in derived[0].backward.equations}
        assert len(d.backward.definitions["dA"][0].reads) == 2, "dA = dy_sum Bᵀ"


@pytest.mark.parametrize("equation", [
    "y[n] = sqrt(sum[m](softmax[m](q[n,m])*v[m]**2))",
    "y[n] = sum[d](softmax[d](v[d])*sum[m](softmax[m](q[m,d])*v[m]))*v[n]",
    "y[n] = sigmoid(v[n])*sum[m](exp(q[n,m])*v[m])/sum[m](exp(q[n,m]))",
    "y[n] = exp(sum[m](log(sum[d](log_softmax[d](q[m,d])**2))))*v[n]",
])
def test_a_sum_of_shares_has_a_name_where_it_stands_within_a_function(equation: str) -> None:
    assert nd.derive(f"q[N,N], v[N] -> y\n{equation}").check(seed=0).ok


@pytest.mark.parametrize("equation", ["y[n,d] = exp(l[n])*v[n,d]", "y[n,d] = sum[m](exp(l[m])*q[n,m]*v[m,d])"])
def test_a_sum_over_what_is_weighted_by_a_whole_has_a_name(equation: str) -> None:
    d = nd.derive(f"q[N,N], v[N,D] -> y\nl[n] = logsumexp[m](q[n,m])\n{equation}")
    assert "dl[" in str(d.backward)
    assert d.check(seed=0).ok


def test_a_sum_of_integers_beside_others_is_known_by_no_tensor() -> None:
    assert nd.derive("int A[N,I], int B[I,J], C[J,K] -> y\nP[n,j] = sum[i](A[n,i]*B[i,j])\ny[n,k] = sum[j](P[n,j]*C[j,k])").check(seed=0).ok


def test_terms_of_a_sum_of_exponentials_have_their_shares_of_the_whole() -> None:
    d = nd.derive("x[N,K], z[N,K] -> y\ny[n] = log(sum[k](exp(x[n,k]) + exp(z[n,k])))")
    assert str(d["x"]) == "dx[n,k] = dy[n]*exp(x[n,k] - y[n])"
    assert str(d["z"]) == "dz[n,k] = dy[n]*exp(z[n,k] - y[n])"
    assert d.check(seed=0).ok


@pytest.mark.parametrize(("program", "gradient"), [
    ("X[H] -> Y\nY[i] = sum[u](exp(X[2*i+u])*X[2*i+u])/sum[u](exp(X[2*i+u])) for i < H//2, u < 2",
     "dX[a] = Y_softmax[a//2,a % 2]*(dY_lse[a//2] + dY_softmax[a//2,a % 2] + dY[a//2])"),
    ("X[H], v[3] -> Y\nY[i] = sum[u](exp(X[i+u])*v[u])/sum[w](exp(X[i+w])) for i < H - 2",
     "dX[a] = sum[u](dY_lse[a-u]*Y_softmax[a-u,u]) + sum[u](dY_softmax[a-u,u]*Y_softmax[a-u,u])"),
    ("X[M,D], v[M,D], w[D] -> Y\nY = sum[d](w[d]*sum[m](softmax[m](X[m,d])*v[m,d]))",
     "dX[m,d] = w[d]*Y_softmax[d,m]*(v[m,d] - Y_sum[d])"),
    ("X[M,D], v[D] -> Y\nZ[m] = logsumexp[d](X[m,d])\nq[m] = exp(X[m,0] - Z[m])\np[m,d] = exp(X[m,d] - Z[m])\n"
     "Y[m] = q[m]**2 + sum[d](p[m,d]*v[d])**2",
     "dX[m,d] = p[m,d]*(dY_sum[m]*v[d] - (dq[m]*q[m] + dY_sum[m]*Y_sum[m])) + where(d == 0, dq[m]*q[m], 0)"),
])
def test_a_share_goes_by_its_name_wherever_the_score_is_read(program: str, gradient: str) -> None:
    d = nd.derive(program)
    assert gradient in str(d.backward), d.backward
    assert d.check(seed=0).ok


CHOSEN = {
    "b[i]/m[i] + sum[k](A[i,k]*b[k])": lambda m, A, b: b/m + A @ b,
    "log(m[i])*b[i] + 2*sum[k](A[i,k]*b[k])": lambda m, A, b: m.log()*b + 2*(A @ b),
    "tanh(b[i]/m[i] - mean[k](A[i,k]*b[k]))": lambda m, A, b: (b/m - A @ b/len(b)).tanh(),
    "(sum[k](A[i,k])/m[i] + b[i])**2": lambda m, A, b: (A.sum(1)/m + b)**2,
    "sum[k](A[i,k]*b[k]/m[i])": lambda m, A, b: A @ b/m,
    "b[i]*sum[k](A[i,k]*sqrt(m[i] + b[k]**2)) + b[i]": lambda m, A, b: b*(A*(m[:, None] + b**2).sqrt()).sum(1) + b,
    "mean[k](A[i,k]*log(m[i])) + b[i]": lambda m, A, b: A.mean(1)*m.log() + b,
    "max[k](A[i,k]*b[k]/m[i])": lambda m, A, b: (A*b/m[:, None]).amax(1),
    "logsumexp[k](A[i,k]*b[k]/m[i])": lambda m, A, b: (A*b/m[:, None]).logsumexp(1),
}


def assert_agrees(d: nd.Derivation, wanted: torch.Tensor, leaves: list[torch.Tensor], dy: np.ndarray) -> None:
    """The output and the gradients by m, A and b, by the interpreter and by the emitted module, are those of PyTorch."""
    wanted.backward(torch.tensor(dy))
    arrays = dict(zip("mAb", (leaf.detach().numpy() for leaf in leaves), strict=True))
    given = {name: x.tolist() for name, x in arrays.items()}
    found = nd.evaluate(d.backward, {**given, "dy": dy.tolist()})
    y, residuals = d.compile().forward(**arrays)
    np.testing.assert_allclose(y, wanted.detach(), rtol=1e-12)
    for name, g, leaf in zip(("dm", "dA", "db"), d.compile().backward(residuals, dy=dy), leaves, strict=True):
        np.testing.assert_allclose(g, leaf.grad, rtol=1e-10, atol=1e-14, err_msg=name)
        np.testing.assert_allclose(np.array(found[name], float), leaf.grad, rtol=1e-10, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("e", CHOSEN)
@pytest.mark.parametrize("y", ["where(m[i] > 0, {}, 3)", "where(not m[i] > 0, 3, {})", "where(m[i] > 0, where(i < N, {}, 1), 3)"])
def test_what_is_infinite_beside_a_sum_counts_only_where_it_is_chosen(e: str, y: str) -> None:
    d, rng = nd.derive(f"m[N], A[N,N], b[N] -> y\ny[i] = {y.format(e)}"), np.random.default_rng(0)
    m, A, b, dy = np.array([0, 2, -5, 0.5]), *(rng.normal(size=s) for s in ((4, 4), 4, 4))
    on = torch.tensor(m > 0)
    leaves = [torch.tensor(x, requires_grad=True) for x in (m, A, b)]
    wanted = torch.full((4,), 3.0, dtype=torch.float64)
    wanted[on] = CHOSEN[e](torch.where(on, leaves[0], 1), *leaves[1:])[on]
    assert_agrees(d, wanted, leaves, dy)


@pytest.mark.parametrize("e", [
    "A[i,j]*C[j,j]/(i-j) + sum[k](where(k < j, C[i,k]*C[j,k], 0))", "sum[k](A[i,k]*A[k,j])/(i-j)", "sum[k](A[i,k]*A[k,j]/(i-j))",
])
def test_a_quotient_of_places_beside_a_sum_counts_only_where_it_is_chosen(e: str) -> None:
    assert nd.derive(f"A[N,N] -> C\nC[i,j] = where(i == j, A[i,i]/N, where(j < i, {e}, 0))").check(seed=0).ok


def test_a_condition_on_further_indices_does_not_make_a_sum_larger() -> None:
    d = nd.derive("x[N,M], s[N], int c[N] -> L\nL = sum[n,p](where(c[p] == c[n] and n < N - 1, sum[m](x[n,m]/s[n]), 0)**2)")
    assert "L_sum[n] = sum[m](where(n < N - 1, x[n,m]/s[n], 0))" in str(d.backward)


NAMED = {  # what stands under a condition only, in tensors of its own: of the normal form, and of the program
    "y[i,k] = where(m[i] > 0, softmax[k](A[i,k]*b[k]/m[i]), 0)": lambda m, A, b: (A*b/m[:, None]).softmax(1),
    "y[i,k] = where(m[i] > 0, log_softmax[k](A[i,k]/m[i]) + b[k], 0)": lambda m, A, b: (A/m[:, None]).log_softmax(1) + b,
    "z[i] = b[i]/m[i]\ny[i,k] = where(m[i] > 0, z[i]*A[i,k], 0)": lambda m, A, b: (b/m)[:, None]*A,
    "z[i] = log(m[i])\nw[i] = 2*z[i]*b[i]\ny[i,k] = where(m[i] > 0, tanh(w[i])*A[i,k] + w[i]**2, 0)":
        lambda m, A, b: (2*m.log()*b).tanh()[:, None]*A + ((2*m.log()*b)**2)[:, None],
    "r[i] = sqrt(m[i])\ny[i,k] = where(not m[i] > 0, 0, A[i,k]/r[i] + b[k])": lambda m, A, b: A/m.sqrt()[:, None] + b,
    "z[i,k] = A[i,k]*b[k]/m[i]\ns[i] = sum[k](z[i,k])\ny[i,k] = where(m[i] > 0, z[i,k]*s[i], 0)":
        lambda m, A, b: (A*b/m[:, None])*(A @ b/m)[:, None],
    "z[j] = b[j]/m[j+0]\ny[i,k] = where(m[i] > 0 and k < N, sum[l](z[i]*A[l,k]), 0)": lambda m, A, b: (b/m)[:, None]*A.sum(0),
}


@pytest.mark.parametrize("equations", NAMED)
def test_what_is_read_only_where_it_is_chosen_has_no_gradient_elsewhere(equations: str) -> None:
    d, rng = nd.derive(f"m[N], A[N,N], b[N] -> y\n{equations}"), np.random.default_rng(0)
    m, A, b, dy = np.array([0, 2, -5, 0.5]), *(rng.normal(size=s) for s in ((4, 4), 4, (4, 4)))
    on = torch.tensor(m > 0)
    leaves = [torch.tensor(x, requires_grad=True) for x in (m, A, b)]
    wanted = torch.where(on[:, None], NAMED[equations](torch.where(on, leaves[0], 1), *leaves[1:]), 0)
    assert_agrees(d, wanted, leaves, dy)


@pytest.mark.parametrize("equations", [
    "z[i] = b[i]/m[i]\ny[i] = where(m[i] > 0, z[i], 0) + z[i]",              # it counts elsewhere, too
    "z[i] = b[i]/m[i]\ny[i] = where(m[i] > 0, z[i], 0)*where(z[i] > 0, 1, 2)",  # a condition reads it
    "z[i] = b[i]/m[i]\ny[i] = sum[k](where(m[k] > 0, z[i], 0))",              # the condition is on another index
    "z[i] = b[i]**2\ny[i] = where(m[i] > 0, z[i], 0) + b[i]",                 # it is finite, as b must be
    "z[i] = b[i] - m[i]\ny[i] = where(m[i] > 0, z[i], 0)",                    # its slopes are
])
def test_what_counts_elsewhere_or_is_finite_is_computed_at_all_places(equations: str) -> None:
    d = nd.derive(f"m[N], b[N] -> y\n{equations}")
    (z,) = d.gradients.forward.definitions["z"]
    assert "where" not in str(z)
    assert d.check(seed=0).ok


def test_pairs_that_are_not_at_one_place_have_finite_forces() -> None:
    d = nd.derive("x[N,D] -> E\nr[i,j] = sqrt(sum[d]((x[i,d] - x[j,d])**2))\nE = sum[i,j](where(i != j, 1/r[i,j], 0))/2")
    x = torch.tensor(np.random.default_rng(0).normal(size=(5, 3)), requires_grad=True)
    (1/torch.pdist(x)).sum().backward()
    _, residuals = d.compile().forward(x=x.detach().numpy())
    np.testing.assert_allclose(d.compile().backward(residuals).dx, x.grad, rtol=1e-10)


def test_what_is_not_chosen_may_overflow_through_several_names() -> None:
    d = nd.derive("x[N] -> y\nr[n] = exp(100*x[n])\ns[n] = r[n]*r[n]\ny[n] = where(x[n] < 1, s[n], 0)")
    x = np.array([0.1, 50, 0.02])
    _, residuals = d.compile().forward(x=x)
    wanted = np.where(x < 1, 200*np.exp(200*np.minimum(x, 1)), 0)
    np.testing.assert_allclose(d.compile().backward(residuals, dy=np.ones(3)).dx, wanted, rtol=1e-12)


def test_what_is_read_through_data_is_chosen_by_the_same_data() -> None:
    d = nd.derive("m[N], b[N], int t[N] -> y\nz[i] = b[i]/m[i]\ny[i] = where(m[t[i]] > 0, z[t[i]], 0)")
    m, b = np.array([2.0, 0, 4]), np.array([1.0, 5, 3])
    _, residuals = d.compile().forward(m=m, b=b, t=[0, 1, 0])
    g = d.compile().backward(residuals, dy=np.ones(3))
    assert g.db.tolist() == [1, 0, 0] and g.dm.tolist() == [-0.5, 0, 0]


@pytest.mark.parametrize("y", [
    "where(r[n] > 0, x[n,k]/r[n], 0)", "where(r[n] == 0, 0, x[n,k]/r[n]**2)", "where(r[n] <= 0, 0, x[n,k]*r[n])",
])
def test_a_row_of_zeros_that_has_no_length_has_no_gradient(y: str) -> None:
    d, rng = nd.derive(f"x[N,K] -> y\nr[n] = sqrt(sum[k](x[n,k]**2))\ny[n,k] = {y}"), np.random.default_rng(0)
    x, dy = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    x[1] = 0
    _, residuals = d.compile().forward(x=x)
    dx = d.compile().backward(residuals, dy=dy).dx
    leaf = torch.tensor(x[[0, 2]], requires_grad=True)
    length = leaf.norm(dim=1, keepdim=True)
    (leaf/length if y.endswith("r[n], 0)") else leaf/length**2 if "**2" in y else leaf*length).backward(torch.tensor(dy[[0, 2]]))
    np.testing.assert_allclose(dx[[0, 2]], leaf.grad, rtol=1e-10)
    assert (dx[1] == 0).all()
    assert d.check(seed=0).ok


NORMALISED = """Z[N,O], g[O], b[O], X[N,O], eps -> Y
m[o] = mean[n](Z[n,o])
v[o] = mean[n]((Z[n,o] - m[o])**2)
Y[n,o] = {}"""


@pytest.mark.parametrize("Y", [
    "relu(g[o]*(Z[n,o] - m[o])/sqrt(v[o] + eps) + b[o])", "X[n,o] + silu(g[o]*(Z[n,o] - m[o])/sqrt(v[o] + eps) + b[o])",
    "X[n,o]*tanh(g[o]*(Z[n,o] - m[o])/sqrt(v[o] + eps) + b[o])"])
def test_the_slope_of_an_activation_of_several_tensors_stands_once(Y: str) -> None:
    """As in a ReLU of a normalisation that is written into it: what it lets through has a name, as it has behind a dense layer."""
    d = nd.derive(NORMALISED.format(Y))
    assert str(d["b"]) == "db[o] = sum[n](dY_in[n,o])"
    assert "dg[o] = sum[n](dY_in[n,o]*(Z[n,o] - m[o]))/sqrt(v[o] + eps)" in str(d.backward)
    assert d.check(seed=0).ok


@pytest.mark.parametrize("y", ["softplus(b*x[n])/b", "b*tanh(x[n]/b)"])
def test_what_the_slope_of_an_activation_cancels_with_stays_beside_it(y: str) -> None:
    dx = str(nd.derive(f"x[N], b -> y\ny[n] = {y}")["x"])
    assert dx in ("dx[n] = dy[n]*sigmoid(b*x[n])", "dx[n] = dy[n]*(1 - tanh(x[n]/b)**2)")


def test_what_is_the_same_at_all_places_is_guarded_by_none_of_them() -> None:
    """A temperature beside a mask of places: were it 0, all scores would be infinite. Beside data it may be 0 where they choose nothing."""
    scores = "Q[T,D], K[T,D], {}t -> L\nS[i,j] = sum[d](Q[i,d]*K[j,d])/t\nL = sum[i](logsumexp[j](where({}, S[i,j], -inf)))"
    d = nd.derive(scores.format("", "i != j"))
    assert "S[i,j] = S_sum[i,j]/t\n" in str(d.backward) and "dS_sum[i,j] = dS[i,j]/t\n" in str(d.backward)
    assert "S[i,j] = where(m[j] > 0, S_sum[i,j]/t, 0)\n" in str(nd.derive(scores.format("m[T], ", "m[j] > 0")).backward)
    assert d.check(seed=0).ok
