"""An index that is used by its quotient and remainder is two: exactly so, the last block cut or not, and where it pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.integer import Int
from nnderiv.lower import cost
from nnderiv.lower.digits import ends
from nnderiv.lower.equations.split import split
from tests.running import assert_means

GROUPED = "X[N,G*C,H], W[O,C,3] -> Y\nY[n,o,i] = sum[c,u](W[o,c,u]*X[n,C*(o//(O//G))+c,i+u-1]) for i < H"
GROUPED_BY = "X[N,K,H], W[O,C,2], int m -> Y\nY[n,o,i] = sum[c,u](W[o,c,u]*X[n,C*(o//m)+c,i+u])"
ROTATED = ("Q[N,T,D], f[P] -> R\n"
           "R[n,t,d] = Q[n,t,d]*cos(t*f[d//2]) + where(d%2 == 0, -Q[n,t,d+1], Q[n,t,d-1])*sin(t*f[d//2])")
SHARED = """
    Q[B,A,T,D], K[B,E,T,D], V[B,E,T,D], int m -> Y
    S[b,a,i,j] = sum[d](Q[b,a,i,d]*K[b,a//m,j,d])/sqrt(D)
    P[b,a,i,j] = softmax[j](where(j <= i, S[b,a,i,j], -inf))
    Y[b,a,i,d] = sum[j](P[b,a,i,j]*V[b,a//m,j,d])
"""
BETWEEN = "x[N,H] -> y\ny[n,i] = where(i%2 == 0, x[n,i//2], (x[n,i//2] + x[n,i//2+1])/2) for i < 2*H-1"
NORM = """
    X[N,K,H], g[K], b[K], int m -> Y
    s[n,k] = sum[c,h](X[n,m*k+c,h])/(m*H) for k < (K+m-1)//m, c < m
    v[n,k] = sum[c,h]((X[n,m*k+c,h] - s[n,k])**2)/(m*H) for k < (K+m-1)//m, c < m
    Y[n,c,h] = g[c]*(X[n,c,h] - s[n,c//m])/sqrt(v[n,c//m] + 1) + b[c]
"""
PAIRS = "x[N,T] -> y\ny[n,i] = x[n,2*i+1]*sigmoid(x[n,2*i]) for i < T//2"
EVERY_OTHER = "X[N,H,W] -> Y\nY[n,i,j] = 3*X[n,2*i,3*j+1] for i < (H+1)//2, j < (W+1)//3"
BLOCKS = "x[N,G*C], W[G,C,C] -> y\ny[n,o] = sum[c](W[o//C,o%C,c]*x[n,C*(o//C)+c]) for o < G*C"

EXACT = (  # (program, its sizes, parameters among them, of which the last block is whole or cut, none is there, or there is one)
    (GROUPED, [dict(N=2, G=2, C=3, H=4, O=4), dict(N=1, G=2, C=1, H=2, O=7),
               dict(N=1, G=1, C=2, H=1, O=3)]),
    (GROUPED_BY, [dict(N=2, K=4, C=2, H=3, O=4, m=2), dict(N=1, K=3, C=2, H=4, O=5, m=3), dict(N=1, K=5, C=2, H=2, O=3, m=7),
                  dict(N=2, K=2, C=3, H=3, O=4, m=1)]),
    ("X[N,6,H], W[7,2,2] -> Y\nY[n,o,i] = sum[c,u](W[o,c,u]*X[n,2*(o//3)+c,i+u])", [dict(N=2, H=3), dict(N=1, H=2)]),
    (ROTATED, [dict(N=2, T=3, D=4, P=2), dict(N=1, T=2, D=5, P=3), dict(N=1, T=2, D=5, P=2), dict(N=2, T=1, D=1, P=1)]),
    (SHARED, [dict(B=2, A=4, E=2, T=3, D=2, m=2), dict(B=1, A=5, E=2, T=2, D=3, m=3), dict(B=1, A=3, E=1, T=2, D=2, m=5)]),
    (BETWEEN, [dict(N=2, H=4), dict(N=1, H=1), dict(N=1, H=2)]),
    (NORM, [dict(N=2, K=4, H=3, m=2), dict(N=1, K=5, H=2, m=3), dict(N=1, K=2, H=2, m=4)]),
    (PAIRS, [dict(N=2, T=6), dict(N=1, T=5), dict(N=2, T=1), dict(N=1, T=2)]),
    (EVERY_OTHER, [dict(N=2, H=4, W=6), dict(N=1, H=5, W=7), dict(N=1, H=1, W=2)]),
    (BLOCKS, [dict(N=2, G=3, C=2), dict(N=1, G=1, C=1)]),
    ("x[N,I], W[O,C], int m -> y\ny[n,o] = sum[c](W[o,c]*x[n,C*(o//m)+c])", [dict(N=2, I=6, O=4, C=3, m=2), dict(N=2, I=5, O=7, C=2, m=3)]),
    ("x[N,D], w[P,O] -> y\ny[n,o] = sum[d](x[n,d]*w[d//2,o])",
     [dict(N=2, D=6, P=3, O=2), dict(N=1, D=5, P=3, O=2), dict(N=2, D=5, P=2, O=1)]),
    ("x[N,D], w[P,O] -> y\ny[n,o] = sum[d](x[n,d+1]*w[(d+1)//2,o]) for d < D", [dict(N=2, D=6, P=4, O=2), dict(N=1, D=5, P=2, O=1)]),
    ("w[P,O], v[3,O] -> y\ny[o] = sum[d](exp(w[d//3,o])*v[d%3,o]) for d < 7", [dict(P=3, O=2), dict(P=2, O=1)]),
    ("w[P,O], v[3,O], c[D] -> y\ny[o] = sum[d](v[d%3,o]*w[d//3,o]/c[d])", [dict(P=3, O=2, D=7), dict(P=2, O=1, D=6)]),
    ("w[P,O], c[D] -> y\ny[o] = max[d](w[d//2,o]*c[d])", [dict(P=3, O=2, D=6), dict(P=2, O=2, D=5)]),
    ("w[P,O], c[D] -> y\ny[i] = max[o](w[i//2,o]*c[i+1]) for i < D", [dict(P=3, O=2, D=6), dict(P=2, O=2, D=5)]),
    ("x[A,D], c[P] -> y\ny[a,d] = tanh(x[a,d])*c[(d//3)%2]*c[d//6]", [dict(A=2, D=12, P=2), dict(A=2, D=13, P=2), dict(A=1, D=5, P=1)]),
    ("x[A,D], c[P] -> y\ny[a,d] = where(d%3 == 1 and a > 0, x[a,d-1], where(d%3 != 2 or a == 1, x[a,d+1], 2*c[d//3]))*c[d//3] for d < D",
     [dict(A=2, D=6, P=2), dict(A=3, D=7, P=2)]),
    ("x[A,D], int t[D], E[P,A] -> y\ny[a,d] = x[a,d]*E[t[d],a]*E[d//2,a]", [dict(A=2, D=4, P=2), dict(A=1, D=5, P=3)]),
    ("x[A,D], c[P] -> y\ny[a,0] = x[a,1]\ny[a,d] = x[a,d]*c[d//2]", [dict(A=2, D=4, P=2), dict(A=1, D=5, P=3)]),
    ("x[A,D], c[P] -> y\ny[a,d] = y[a-1,d]*c[d//2] + x[a,d]*c[d%2]", [dict(A=2, D=4, P=2), dict(A=3, D=5, P=3)]),
    ("x[N,D], c[3] -> y\ny[n] = sum[d,q](where(q == 1 and d > 0, -x[n,d-1], where(q < 1, x[n,d]*c[q], 0))) for d < D, q < 3",
     [dict(N=2, D=3), dict(N=1, D=1)]),
    ("x[N,D], c[2] -> y\ny[n,d] = x[n,d]*sum[q](where(q != 0, c[q], 2)*x[n,q+d-1])", [dict(N=2, D=3), dict(N=1, D=1)]),
    ("x[T,2] -> h\nh[t] = tanh(h[t-1] + sum[q](where(q == 0, x[t,1], h[t-1]*x[t,q])))", [dict(T=3), dict(T=1)]),
    ("A[I,J], B[P,Q] -> K\nK[i,j] = A[i//P,j//Q]*B[i%P,j%Q] for i < I*P, j < J*Q", [dict(I=2, J=1, P=2, Q=3), dict(I=1, J=2, P=1, Q=1)]),
    ("x[N,4*C,H], w[H] -> y\ny[n,c,i] = sin(x[n,4*c+i%4,i//4])*w[i//4] for c < C, i < 4*H", [dict(N=2, C=2, H=3), dict(N=1, C=1, H=1)]),
)


def _inputs(d: nd.Derivation, sizes: dict[str, int], rng: np.random.Generator) -> dict[str, Any]:
    def one(i: Any) -> Any:
        if i.kind == "int":
            return rng.integers(0, 2, size=[x.value(sizes) for x in i.dims]) if i.dims else sizes[i.name]
        return rng.normal(size=[x.value(sizes) for x in i.dims])

    return {i.name: one(i) for i in d.forward.inputs}


@pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning")
@pytest.mark.parametrize(("text", "cases"), EXACT, ids=lambda x: str(x)[:60])
def test_a_split_index_changes_no_result(text: str, cases: list[dict[str, int]]) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    for sizes in cases:
        inputs = _inputs(d, sizes, rng)
        known = {n: sizes[n] for n in d.forward.sizes}
        for options in ({}, {"without": ("split",)}, {"sizes": known}, {"threads": 2}, {"without": ("digits",)}):
            module = d.compile(**options)
            if "PART" in vars(module):
                module.PART = 1
            before = {name: np.array(x) for name, x in inputs.items()}
            assert_means(d, module, inputs, rng)
            y, _ = module.forward(**inputs)
            if isinstance(y, np.ndarray):
                y[...] = 0  # of its own memory
            assert all(np.array_equal(inputs[name], x) for name, x in before.items())


@pytest.mark.parametrize(("text", "sizes"), [
    (GROUPED, dict(N=0, G=2, C=2, H=3, O=4)), (GROUPED, dict(N=2, G=2, C=2, H=0, O=5)), (GROUPED, dict(N=2, G=2, C=2, H=3, O=0)),
    (GROUPED_BY, dict(N=1, K=2, C=2, H=3, O=0, m=3)), (GROUPED_BY, dict(N=1, K=0, C=2, H=3, O=4, m=3)),
    (GROUPED_BY, dict(N=1, K=4, C=2, H=1, O=4, m=2)),
    (ROTATED, dict(N=1, T=2, D=0, P=0)), (ROTATED, dict(N=1, T=2, D=5, P=0)), (BETWEEN, dict(N=0, H=3)),
    (BLOCKS, dict(N=0, G=2, C=3)), (BLOCKS, dict(N=2, G=0, C=3)), (BLOCKS, dict(N=2, G=3, C=0)),
])
def test_what_is_empty_is_so_split_or_not(text: str, sizes: dict[str, int]) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs, found = _inputs(d, sizes, rng), []
    for options in ({}, {"without": ("split",)}, {"threads": 2}, {"sizes": {n: sizes[n] for n in d.forward.sizes}}):
        module = d.compile(**options)
        y, residuals = module.forward(**inputs)
        gradients = module.backward(residuals, **{d.gradients.seeds[d.forward.outputs[0]]: np.ones(y.shape)})
        found.append([y, *gradients])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("text", "sizes"), [
    (GROUPED_BY, dict(N=1, K=4, C=2, H=3, O=5, m=3)), (ROTATED, dict(N=1, T=2, D=5, P=3)), (BETWEEN, dict(N=1, H=3)),
    (BLOCKS, dict(N=2, G=2, C=2)),
])
def test_the_gradient_of_a_gradient_is_split_too(text: str, sizes: dict[str, int]) -> None:
    d, rng = nd.derive(nd.derive(text).backward), np.random.default_rng(1)
    inputs = _inputs(d, sizes, rng)
    for without in ((), ("split",)):
        assert_means(d, d.compile(without=without), inputs, rng)


def test_groups_of_channels_are_so_many_convolutions() -> None:
    rng = np.random.default_rng(2)
    X, W = rng.normal(size=(2, 6, 5)), rng.normal(size=(4, 3, 3))
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1)))
    Y = np.stack([sum(W[o, c, u] * padded[:, 3*(o // 2) + c, u:u + 5] for c in range(3) for u in range(3)) for o in range(4)], 1)
    np.testing.assert_allclose(nd.derive(GROUPED).compile().forward(X=X, W=W)[0], Y)


@pytest.mark.parametrize("text", [
    "A[N,M], int p -> y\ny[n] = sum[m](A[n-p,m]) for n < N",
    "A[N,M], B[M,N], int p -> y\ny[n,k] = sum[m](A[n+p,m]*B[m,k]) for n < N",
])
def test_an_offset_is_no_place_in_a_block(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), _inputs(d, {"N": 3, "M": 2, "p": 1}, rng), rng)


def test_a_step_that_may_be_negative_or_none_is_left_alone() -> None:
    text = "A[M], B[M] -> Y\nY[i] = where(i % p == 0, A[i], B[i])".replace("B[M]", "B[M], int p")
    d = nd.derive(text)
    assert "_split" not in d.numpy()
    for p in (-2, 2):
        y, _ = d.compile().forward(A=np.arange(4.0), B=np.full(4, 9.0), p=p)
        assert y.tolist() == [0, 9, 2, 9]


@pytest.mark.parametrize("text", [GROUPED, GROUPED_BY, ROTATED, SHARED, BETWEEN, BLOCKS])
def test_what_is_read_at_a_quotient_is_gathered_no_more(text: str) -> None:
    d = nd.derive(text)
    assert "_gather" not in d.numpy().split("def forward")[1]
    assert "_split" not in d.numpy(without=("split",))


def test_the_equation_stands_above_as_it_was_derived() -> None:
    forward = nd.derive(BLOCKS).numpy().split("def forward")[1].split("def backward")[0]
    for line in ("# x_split[n,o0,c] = x[n,C*o0+c]", "# y_split[n,o0,o1] = sum[c](W[o0,o1,c]*x_split[n,o0,c])",
                 "# y[n,o] = sum[c](W[o//C,o % C,c]*x[n,C*(o//C)+c])", "y = y_split.reshape(N, C*G) "):
        assert line in forward


def test_a_program_without_quotients_is_left_alone() -> None:
    d = nd.derive("x[N,H], K[3] -> y\ny[n,i] = sum[u](K[u]*x[n,2*i+u]) for i < H//2")
    assert split(d.forward, d.forward) is d.forward


def test_a_cut_block_warns_of_nothing() -> None:
    text = "x[N,D], c[D], w[P] -> y\ny[n,d] = x[n,d]*w[d//2]/c[d]"
    module = nd.derive(text).compile()
    with np.errstate(all="raise"):
        y, residuals = module.forward(x=np.ones((2, 5)), c=np.full(5, 2.0), w=np.ones(3))
        module.backward(residuals, dy=np.ones((2, 5)))
    assert np.array_equal(y, np.full((2, 5), 0.5))


def test_it_pays_where_what_is_asked_of_the_digits_is_not_few_beside_the_rest() -> None:
    n, c, h, few = Int.symbol("N"), Int.symbol("C"), Int.symbol("H"), Int.of(4)
    assert cost.splits([[n, c, h]], [[n, c, h]])            # the channels that a group reads, or a table of the same shape
    assert not cost.splits([[n, c]], [[n, c, h]])           # a statistic of each group beside an image
    assert cost.splits([[n, c]], [[n, c, few]])             # beside a few places
    assert not cost.splits([], [[n]])
    for m, taken in (("8", True), ("H", False)):
        text = f"X[N,C,{m}], s[N,G], int m -> Y\nY[n,c,h] = X[n,c,h]*s[n,c//m]"
        assert (" Y_split" in nd.derive(text).numpy()) == taken


def test_digits_of_what_a_step_does_not_divide() -> None:
    for end in range(1, 12):
        for step in range(1, 14):
            for e, s in ((Int.of(end), Int.of(step)), (Int.symbol("S"), Int.of(step)), (Int.symbol("S"), Int.symbol("m"))):
                digit = ends(e, s, ("S", "m"), ("m",))
                assert digit is not None
                count, rest = (x.value({"S": end, "m": step}) for x in (digit.count, digit.rest))
                assert count == len({i // step for i in range(end)}) and rest >= len({i % step for i in range(end)})
                assert rest <= step and (e.is_constant or s.is_constant or count * rest < 2 * end)


def test_a_sum_over_the_places_of_blocks_is_one_over_rows() -> None:
    text = "X[N,K,H], w[K] -> s\ns[n,k] = sum[c,h](w[3*k+c]*X[n,3*k+c,h]**2) for k < K//3, c < 3"
    source = nd.derive(text).numpy()
    assert "X_split = _windows(X, None, (0, (n_k, 3), (3, 1)), None)" in source and "for c in range" not in source
    d, rng = nd.derive(text), np.random.default_rng(3)
    for sizes in (dict(N=2, K=6, H=2), dict(N=1, K=5, H=3), dict(N=1, K=3, H=1)):
        for without in ((), ("split",)):
            assert_means(d, d.compile(without=without), _inputs(d, sizes, rng), rng)
    few = "x[K], X[N,K,H] -> s\ns[n,k,h] = sum[c](X[n,3*k+c,h]*x[3*k+c]) for k < K//3, c < 3"
    assert "_split" not in nd.derive(few).numpy().split("def backward")[0]  # rows of three are no rows


def test_a_sum_of_another_thing_at_each_of_a_few_places_is_written_out() -> None:
    backward = nd.derive(BETWEEN).numpy().split("def backward")[1]
    assert "for q in" not in backward and "_Taps" not in backward and "np.where" not in backward


def test_a_sum_over_two_short_axes_has_no_term_for_each_pair_of_places() -> None:
    d = nd.derive("x[4,3] -> y\ny = sum[i,j](where(i == 0 or j == 0, sin(x[i,j]), cos(x[i,j])))")
    forward = d.numpy().split("def forward")[1].split("def backward")[0]
    assert forward.count("np.sin(") + forward.count("np.cos(") <= 8
    assert_means(d, d.compile(), {"x": np.arange(12.).reshape(4, 3)}, np.random.default_rng(0))


@pytest.mark.parametrize("text", [PAIRS, EVERY_OTHER], ids=["pairs", "every other"])
def test_what_goes_to_one_remainder_is_written_there(text: str) -> None:
    """The gradient of every other place is a slice with steps: nothing is gathered, chosen, or multiplied by the zeros between."""
    backward = nd.derive(text).numpy().split("def backward")[1]
    assert "_split[" in backward and " = 0" not in backward
    assert not any(word in backward for word in ("_gather", "np.where", "for r", "_Taps", "*(r == 0)"))
