"""Threads: the same results, whatever their number."""

from __future__ import annotations

import itertools
import multiprocessing
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import nnderiv as nd
from nnderiv import layers
from nnderiv.lower import cost
from tests.emitted import ATTENTION

SIZES = {"N": 5, "T": 3, "C": 2, "H": 6, "W": 5, "O": 3, "U": 3, "V": 2, "M": 4, "D": 4, "E": 3, "F": 5, "I": 4, "K": 3}
PARAMETERS = {"s": 2, "d": 1, "p": 1, "U": 2, "V": 2}
GELU = "x[N,K] -> y\ny[n,k] = gelu(x[n,k])"
LAYERS = ("conv2d", "max_pool2d", "mlp_cross_entropy", "multi_head_attention", "transformer_block", "elman", "layer_norm", "deep_network")


def inputs_of(program: nd.Program, sizes: dict[str, int]) -> dict[str, Any]:
    rng = np.random.default_rng(0)

    def value(i: Any) -> Any:
        if i.kind == "int" and not i.dims:
            return PARAMETERS[i.name]
        shape = [d.value({**{s: 3 for s in program.sizes}, **SIZES, **sizes, **PARAMETERS}) for d in i.dims]
        return rng.integers(3, size=shape) if i.kind == "int" else rng.uniform(0.1, 1, size=shape)

    return {i.name: value(i) for i in program.inputs}


def results(d: nd.Derivation, inputs: dict[str, Any], threads: int, part: int = 1, **options: Any) -> list[np.ndarray]:
    """Outputs and gradients, in parts of so many entries, if there are parts."""
    module = d.compile(threads=threads, **options)
    module.PART = part
    outputs, residuals = module.forward(**inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    rng = np.random.default_rng(1)
    seeds = {s: rng.normal(size=np.shape(o)) for s, o in zip(d.gradients.seeds.values(), outputs, strict=False)}
    return [*outputs, *module.backward(residuals, **seeds)]


@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("name", LAYERS)
def test_the_results_do_not_depend_on_the_number_of_threads(name: str, size: int) -> None:
    d = nd.derive(layers.ALL[name].program)
    inputs = inputs_of(d.forward, {"N": size})
    with warnings.catch_warnings():
        warnings.simplefilter("error" if size else "ignore")
        expected = results(d, inputs, 1)
        for threads, part in ((2, 1), (3, 1), (2, 7), (2, cost.PART)):
            for a, b in zip(results(d, inputs, threads, part), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_relative_positions_are_shared_out_but_for_what_is_products_of_matrices_alone() -> None:
    d = nd.derive("""
        Q[H,N,D], K[H,N,D], R[2*N-1,D], V[H,N,D] -> Y
        A[h,i,j] = softmax[j](sum[d](Q[h,i,d]*K[h,j,d]) + sum[d](Q[h,i,d]*R[i-j+N-1,d]))
        Y[h,i,d] = sum[j](A[h,i,j]*V[h,j,d])
        """)
    source = d.numpy(threads=2)
    assert source.count("_in_pairs(part, 5, H, N, ") == 1 and source.count("_in_parts(part, 1, H, ") == 1  # what goes entry by entry counts
    assert "\n    dQ = dA_in @ K\n" in source and "\n    dR = " in source  # these linear algebra shares out itself
    inputs = inputs_of(d.forward, {"H": 5})
    for a, b in zip(results(d, inputs, 2), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


DATA = {
    "a mask that is data": ("""
        Q[B,N,D], K[B,M,D], V[B,M,P], int mask[B,M] -> Y
        A[b,i,j] = softmax[j](where(mask[b,j] == 1, sum[d](Q[b,i,d]*K[b,j,d])/sqrt(D), -inf))
        Y[b,i,p] = sum[j](A[b,i,j]*V[b,j,p])
        """, "(mask[b] == 1)[:, None]"),
    "labels, with weights": ("""
        Z[N,C], w[N], int y[N] -> L
        p[n,k] = log_softmax[k](Z[n,k])
        L = -sum[n](w[n]*p[n,y[n]])
        """, ", y[n][:, None], "),
    "an embedding": ("E[V,D], W[D,O], int tok[N] -> Y\nY[n,o] = tanh(sum[d](E[tok[n],d]*W[d,o]))", "tok[n]"),
    "lengths": ("x[N,T], int last[N] -> y\nz[n,t] = exp(where(t < last[n], x[n,t], 0))\ny[n] = 1/sum[t](z[n,t])", "last[n]"),
}


@pytest.mark.parametrize("text, mark", DATA.values(), ids=DATA)
def test_what_depends_on_data_goes_by_parts(text: str, mark: str) -> None:
    d = nd.derive(text)
    assert mark in d.numpy(threads=2)
    inputs = inputs_of(d.forward, {"B": 5, "N": 5})
    inputs = {name: x % 2 if name == "mask" else x for name, x in inputs.items()}
    for threads, part in ((2, 1), (3, 1), (2, 7)):
        for a, b in zip(results(d, inputs, threads, part), results(d, inputs, 1), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_running_logsumexps_of_a_part_are_those_of_its_rows() -> None:
    d = nd.derive("s[N,T] -> L\nl[n,i] = logsumexp[j](where(j >= i, s[n,j], -inf))\nL = sum[n,i](l[n,i] - s[n,i])")
    assert "_running_logsumexp(s[n], " in d.numpy(threads=2)
    inputs = {"s": np.random.default_rng(0).normal(size=(5, 4))}
    expected = sum(np.logaddexp.reduce(row[i:]) - row[i] for row in inputs["s"] for i in range(4))
    np.testing.assert_allclose(results(d, inputs, 2)[0], expected, rtol=1e-12)
    np.testing.assert_allclose(results(d, inputs, 2)[1], results(d, inputs, 1)[1], rtol=1e-12)


def test_the_parts_of_a_batch_are_computed_at_the_same_time() -> None:
    for name in ("conv2d", "multi_head_attention", "mlp_cross_entropy"):
        source = nd.derive(layers.ALL[name].program).numpy(threads=2)
        assert "THREADS = 2" in source and source.count("_in_parts(" if name != "conv2d" else "_on_threads(") >= 3, name


LAYER_NORM = """
    x[B,T,K], g[K], b[K] -> y
    z[n,t,k] = x[n,t,k] - mean[l](x[n,t,l])
    y[n,t,k] = g[k]*z[n,t,k]/sqrt(mean[l](z[n,t,l]**2) + 0.00001) + b[k]
    """
LARGE = {"B": 64, "T": 64, "K": 512}


PARTS = {"on threads": {"threads": 2}, "on one thread": {}, "of a known size": {"sizes": LARGE}}
HEADS = {"on threads": "def part(n, t):", "on one thread": "for n, t in _pairs(B, T, K",
         "of a known size": "for n, t in _pairs(64, 64, 512"}


@pytest.mark.parametrize("name", PARTS)
def test_what_has_an_index_in_common_goes_part_by_part_sums_over_it_too(name: str) -> None:
    source = nd.derive(LAYER_NORM).numpy(**PARTS[name])
    for function in source.partition("def forward")[2].split("def backward"):
        assert function.count(HEADS[name]) == 1
    assert ("return dg_part, db_part\n    dg, db = " if name == "on threads" else "\n        dg += part.T @ ") in source
    assert "np.multiply(z[n, t], g, out=y[n, t])\n        y[n, t] /= " in source, "a chain works in the memory of its result"
    assert "[n, t]" not in nd.derive(LAYER_NORM).numpy(**PARTS[name], without=("by_part",)).partition("def forward")[2]


def test_parts_stay_in_cache_and_are_of_equal_length() -> None:
    d = nd.derive(LAYER_NORM)
    parts = d.compile()._parts
    assert [s.stop - s.start for s in parts(64, 64*512)] == [2]*32
    assert {s.stop - s.start for s in parts(1000, 512)} == {125} and parts(1000, 512)[-1].stop == 1000
    assert parts(0, 512) == parts(0, 0) == [slice(0, 0)] and parts(7, 0) == [slice(0, 7)] and parts(256, 512) == [slice(0, 256)]
    assert len(parts(5, 10**6)) == 5, "one step at a time"
    assert len(parts(10**6, 1, 10**5)) == 10, "no shorter than what is added up"
    assert "_parts(" not in d.numpy(sizes={**LARGE, "K": 8}), "small arrays are one part"


PAIRS = {
    "a long text": (LAYER_NORM, {"B": 1, "T": 1500, "K": 400}),
    "no text": (LAYER_NORM, {"B": 0, "T": 1500, "K": 400}),
    "heads of one text": ("""Q[B,T,N,D], K[B,T,N,D], V[B,T,N,D], slope[T] -> Y
        S[n,a,i,j] = where(j <= i, sum[d](Q[n,a,i,d]*K[n,a,j,d])/sqrt(D) - slope[a]*(i - j), -inf)
        P[n,a,i,j] = softmax[j](S[n,a,i,j])
        Y[n,a,i,d] = sum[j](P[n,a,i,j]*V[n,a,j,d])""", {"B": 1, "T": 7, "N": 330, "D": 8}),
    "queries": ("""Q[B,T,D], K[B,N,D], V[B,N,D] -> Y
        P[n,i,j] = softmax[j](sum[d](Q[n,i,d]*K[n,j,d])/sqrt(D))
        Y[n,i,d] = sum[j](P[n,i,j]*V[n,j,d])""", {"B": 1, "T": 1500, "N": 400, "D": 8}),
    "windows of one image": ("""X[B,T,H,H] -> Y
        Y[n,c,i,j] = max[u,v](X[n,c,2*i+u-1,2*j+v-1]) for u < 3, v < 3, i < (H + 1)//2, j < (H + 1)//2""", {"B": 1, "T": 70, "H": 130}),
    "a softmax over the second index": ("""x[B,T,K], w[B,T] -> y
        p[b,t] = softmax[t](w[b,t])
        y[b,t,k] = gelu(sin(p[b,t]*silu(x[b,t,k]))*tanh(x[b,t,k]))""", {"B": 2, "T": 900, "K": 400}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_parts_of_two_indices_come_to_the_same(name: str) -> None:
    """One text, one image, is cut along its places, its channels."""
    text, sizes = PAIRS[name]
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {i.name: rng.normal(size=[int(n.value(sizes)) for n in i.dims]) for i in d.forward.inputs}
    whole = results(d, inputs, 1, without=("by_part",))
    assert ("_in_pairs(" in d.numpy(threads=2)) == (name != "a softmax over the second index")
    for threads in (1, 2):
        for a, b in zip(results(d, inputs, threads), whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_pairs_of_parts_make_up_all_rows_and_columns() -> None:
    pairs = nd.derive(LAYER_NORM).compile()._pairs
    for rows, columns, entries in itertools.product((0, 1, 5, 64), (0, 1, 7, 2000), (1, 400, 10**6)):
        seen = np.zeros((rows, columns), int)
        for pair in pairs(rows, columns, entries):
            seen[pair] += 1
        assert (seen == 1).all()
    assert len(pairs(1, 2000, 400)) == 13 and len(pairs(64, 7, 400)) == 3


def test_on_one_thread_it_takes_many_operations_and_large_arrays() -> None:
    def is_cut(functions: int, sizes: dict[str, int] | None = None, begin: str = "x[n,k]") -> bool:
        names = ["sin", "cos", "tanh", "sin", "cos", "tanh", "sin"][:functions]
        d = nd.derive(f"x[N,K], W[K,K] -> y\ny[n,k] = {'('.join(names)}({begin}{')'*functions}")
        return " in _parts(" in d.numpy(sizes=sizes).partition("def backward")[0].partition("def forward")[2]

    assert is_cut(cost.OPERATIONS) and not is_cut(cost.OPERATIONS - 1)
    assert is_cut(7, {"N": 128, "K": 1024}) and not is_cut(7, {"N": 127, "K": 1024})
    assert is_cut(7, begin="sum[j](x[n,j]*W[j,k])"), "what comes behind the product of matrices"
    pairs = nd.derive("x[N,K], c[M,K] -> y\ny[n,m] = tanh(sin(cos(sin(cos(sin(sum[k](abs(x[n,k] - c[m,k]))))))))").numpy()
    assert "part = x[:, None] - c\n" in pairs, "differences of all pairs of rows are left to where they are at home"


@pytest.mark.parametrize("name", PARTS)
def test_part_by_part_everything_comes_out_as_it_does_at_once(name: str) -> None:
    d, rng = nd.derive(LAYER_NORM), np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(64, 64, 512)), "g": rng.normal(size=512), "b": rng.normal(size=512)}
    options = {"threads": 1, **PARTS[name]}
    for a, b in zip(results(d, inputs, **options), results(d, inputs, 1, without=("by_part",)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("text", "cut"), [
    ("x[N,I], W[H,I] -> y\ny[n,k] = gelu(sum[i](W[k,i]*x[n,i]))", False),             # the rows of one product of matrices
    ("x[H,N,I], W[H,N,J] -> y\ny[h,i,j] = gelu(sum[n](x[h,n,i]*W[h,n,j]))", True),    # one product for each h
])
def test_on_one_thread_no_product_is_cut_that_linear_algebra_shares_out(text: str, cut: bool) -> None:
    d, sizes = nd.derive(text), {"N": 4096, "I": 1024, "H": 1024, "J": 64}
    for threads, expected in ((1, cut), (2, True)):
        source = d.numpy(sizes={name: sizes[name] for name in d.forward.sizes}, threads=threads)
        parts = re.findall(r"^    (?:def part|for \w+ in _parts)\(.*\n((?:        .*\n)+)", source, re.MULTILINE)
        assert len(parts) == 2, "what goes entry by entry goes by parts, forward and backward"
        assert any("@" in part or "matmul" in part for part in parts) == expected


GROUP_NORM = """
    x[N,Q,C], g[Q,C], b[Q,C] -> y
    m[n,q] = mean[c](x[n,q,c])
    v[n,q] = mean[c]((x[n,q,c] - m[n,q])**2)
    y[n,q,c] = g[q,c]*(x[n,q,c] - m[n,q])/sqrt(v[n,q] + 0.00001) + b[q,c]
    """
LABELLED = "Z[N,K], int label[N] -> L\np[n,k] = log_softmax[k](Z[n,k])\nL = -sum[n](p[n,label[n]])"


@pytest.mark.parametrize("text, begins", [
    (GROUP_NORM, ["np.subtract(x[n, q], m[n, q][..., None], out=y[n, q])", "np.subtract(x[n], m[n][..., None], out=dx[n])"]),
    (LABELLED, ["np.multiply(Z_exp[n], (dp_lse/Z_total[n])[:, None], out=dZ[n])"]),
], ids=["what another equation reads first", "what is added to at some places"])
def test_a_result_begins_where_it_is_to_stand(text: str, begins: list[str]) -> None:
    d = nd.derive(text)
    source = d.numpy(threads=2)
    assert all(line in source for line in begins)
    rng = np.random.default_rng(0)
    sizes = {"N": 5, "Q": 2, "C": 3, "K": 4}
    inputs = {i.name: rng.integers(4, size=5) if i.kind == "int" else rng.normal(size=[sizes[str(a)] for a in i.dims])
              for i in d.forward.inputs}
    for a, b in zip(results(d, inputs, 2), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_equations_that_share_a_large_array_stay_together() -> None:
    """By parts, what a batch norm centres for its variance would be centred once more for its result."""
    standardised = """
        x[N,K] -> y
        m[k] = mean[n](x[n,k])
        v[k] = mean[n]((x[n,k] - m[k])**2)
        y[n,k] = (x[n,k] - {}[k])/sqrt(v[k] + 0.00001)
        """
    assert "def part" not in nd.derive(standardised.format("m")).numpy(threads=2)
    assert "def part" in nd.derive(standardised.format("v")).numpy(threads=2), "of another difference, there is nothing to share"


def test_a_product_alone_is_left_to_the_threads_of_linear_algebra() -> None:
    assert "def part" not in nd.derive("X[N,I], W[I,O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o])").numpy(threads=2)


def test_a_function_counts_for_several_equations_and_a_sum_of_functions_is_no_product() -> None:
    calls = {"X[N,D] -> Y\nY[n,d] = tanh(X[n,d])": 1 + cost.FUNCTION, "X[N,D] -> Y\nY[n,d] = max(X[n,d], 0.1*X[n,d])": 1,
             "X[N,D], y[N,D] -> L\nL = sum[n,d](softplus(X[n,d])*y[n,d])": 2 + cost.FUNCTION,
             "X[N,D], y[N,D] -> Y\ns[n] = exp(sum[d](X[n,d]*y[n,d]))\nY[n,d] = X[n,d]*s[n]": 3}  # of few entries it does not count
    for text, passes in calls.items():
        assert f"_in_parts(part, {passes}, N, D" in nd.derive(text).numpy(threads=2).partition("def backward")[0], text
    product = nd.derive("X[N,D], y[N,D] -> L\nL = sum[n,d](X[n,d]*y[n,d])").numpy(threads=2)
    assert "_in_parts(" not in product[product.index("def forward"):product.index("def backward")]


def _parts(count: int, entries: int, least: int = 0, equations: int = 4, near: bool = False) -> list[slice]:
    """The parts that 0, …, count − 1 are cut into, on two threads."""
    module = nd.derive(LAYER_NORM).compile(threads=2)
    parts: list[slice] = []

    def work(part: slice) -> tuple[int]:
        parts.append(part)
        return (part.stop - part.start,)

    assert list(module._in_parts(work, equations, count, entries, least, near)) == [count]
    return sorted(parts, key=lambda part: part.start)


def test_the_number_of_parts_is_tested_for_its_choices() -> None:
    assert _parts(64, 10) == [slice(0, 64)], "small work stays on this thread"
    assert _parts(64, cost.PART//8) == [slice(k, k + 8) for k in range(0, 64, 8)], "as many steps as stay in cache"
    assert len(_parts(8, 3*cost.PART)) == 8 and len(_parts(9, cost.PART//3 + 1)) == 4, "an even number for two threads"
    assert _parts(64, cost.PART//8, 8*cost.PART) == [slice(0, 64)], "not more adding up than work"
    assert len(_parts(64, cost.PART//32, equations=1)) == 1 and len(_parts(64, cost.PART//32, equations=2)) == 2, "few"
    assert len(_parts(64, cost.CHAIN//16, near=True)) == 4 and len(_parts(64, cost.CHAIN//64, near=True)) == 1, "in the nearer cache"
    assert _parts(0, 100) == [slice(0, 0)] and _parts(1, 10*cost.PART) == [slice(0, 1)]


def test_what_no_thread_is_woken_for_goes_part_by_part_as_on_one_thread() -> None:
    for text, near in ((GELU, True), ("x[N,K] -> y\ny[n,k] = x[n,k]*exp(x[n,k])", False), (ATTENTION, False)):
        assert ("near=True)" in nd.derive(text).numpy(threads=2)) == near == ("in _parts(" in nd.derive(text).numpy()), text


def test_on_threads_functions_of_several_passes_take_longer_pieces() -> None:
    lines = {threads: re.search(r"^_STRETCH = .*$", nd.derive(GELU).numpy(threads=threads), re.MULTILINE)[0] for threads in (1, 2)}
    assert f"= {cost.PIECE} " in lines[1] and f"= {cost.WIDE_PIECE} " in lines[2] and cost.PIECE < cost.WIDE_PIECE


@pytest.mark.parametrize("threads", [2, 3, 4, 7])
@pytest.mark.parametrize("count", range(6))
def test_no_thread_is_given_nothing(threads: int, count: int) -> None:
    """A sum over no part would be no sum; where there are fewer parts than threads, some threads rest."""
    module = nd.derive(LAYER_NORM).compile(threads=threads)
    shares = sorted(module._on_threads(lambda first, last: (first, last), count))
    assert [k for first, last in shares for k in range(first, last)] == list(range(count))
    assert all(first < last for first, last in shares) or count == 0 and shares == [(0, 0)]
    assert list(module._in_parts(lambda part: (part.stop - part.start,), 3, count, 10*cost.PART)) == [count]


class Library:
    """A library of linear algebra, as threadpoolctl shows it."""

    num_threads = 2

    def set_num_threads(self, threads: int) -> None:
        self.num_threads = threads


def test_callers_at_the_same_time_leave_linear_algebra_its_threads() -> None:
    """One comes while the other is there, and goes after it."""
    module, library = nd.derive(LAYER_NORM).compile(threads=2), Library()
    module._BLAS = [library]
    here, there, gone = threading.Event(), threading.Event(), threading.Event()
    found: list[int] = []

    def first(begin: int, _: int) -> None:
        if begin == 0:
            here.set()
            assert there.wait(20)

    def second(begin: int, _: int) -> None:
        if begin == 0:
            found.append(library.num_threads)
            there.set()
            assert gone.wait(20)

    one = threading.Thread(target=lambda: (module._on_threads(first, 2), gone.set()))
    one.start()
    assert here.wait(20)
    module._on_threads(second, 2)
    one.join()
    assert found == [1] and library.num_threads == 2


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_has_threads_of_its_own() -> None:
    module = nd.derive(LAYER_NORM).compile(threads=2)
    share = lambda: list(module._on_threads(lambda first, last: last - first, 5))
    assert share() == [2, 3]
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(share()))
    child.start()
    try:
        assert ours.poll(20) and ours.recv() == [2, 3]
    finally:
        child.kill()
        child.join()


def test_an_error_on_a_thread_reaches_the_caller() -> None:
    module = nd.derive(LAYER_NORM).compile(threads=3)
    with pytest.raises(ZeroDivisionError):
        module._in_parts(lambda part: (1/(30 - part.stop),), 3, 30, cost.PART)


def test_linear_algebra_has_its_own_threads_back_whoever_else_computes() -> None:
    def limits() -> list[int]:
        return [x["num_threads"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]

    d = nd.derive(LAYER_NORM)
    module, inputs = d.compile(threads=2), inputs_of(d.forward, {"B": 8})
    module.PART = 1
    with threadpoolctl.threadpool_limits(limits=3, user_api="blas"):
        before = limits()
        with module._alone(), module._alone():
            assert set(limits()) <= {1}
        assert limits() == before
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: module.forward(**inputs)[0], range(40)))
        assert limits() == before
    expected, _ = d.compile().forward(**inputs)
    for y in found:
        np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_short_sums_wake_no_threads_of_linear_algebra_beside_ours() -> None:
    d = nd.derive(layers.ALL["conv2d"].program)
    assert "@_resting\ndef _row_sums(" in d.numpy(threads=2) and "_alone" not in d.numpy()
    module, library = d.compile(threads=2), Library()
    module._BLAS = [library]
    awake = module._resting(lambda x: library.num_threads)
    assert awake(np.ones((64, 200))) == 1 and library.num_threads == 2
    assert awake(np.ones((8, 8))) == 2, "it stays on one thread anyway, and who asks for that loses time"


def test_an_index_that_is_a_value_counts_from_the_first_part() -> None:
    d = nd.derive("X[N,M] -> Y\nS[n,m] = where(n > m, X[n,m], 0)\nY[n,k] = sum[m](S[n,m]*X[k,m])")
    inputs = {"X": np.random.default_rng(0).normal(size=(6, 4))}
    for a, b in zip(results(d, inputs, 2), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_softmax_along_the_first_index_is_not_split() -> None:
    d = nd.derive("X[N,M] -> P\nP[n,m] = softmax[n](sum[k](X[n,k]*X[m,k])) for m < N")
    inputs = {"X": np.random.default_rng(0).normal(size=(6, 4))}
    for a, b in zip(results(d, inputs, 3), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_one_thread_is_no_thread() -> None:
    d = nd.derive(layers.ALL["conv2d"].program)
    assert d.numpy(threads=1) == d.numpy() and "thread" not in d.numpy()


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "two"])
def test_a_number_of_threads_is_a_whole_number(threads: Any) -> None:
    with pytest.raises(ValueError, match="threads is"):
        nd.derive(layers.ALL["dense"].program).compile(threads=threads)


def test_what_a_mask_discards_warns_on_no_thread() -> None:
    d = nd.derive(layers.ALL["causal_attention"].program)
    Q = np.full((3, 2), 1e3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results(d, {"Q": Q, "K": Q, "V": Q}, 2)


def test_what_a_part_has_of_a_tensor_is_walked_through_with_the_windows() -> None:
    d = nd.derive("A[N,T], B[M,K] -> Y\nY[j,k] = min[u,m](A[j,u]*B[2*k-3*u,m]) for k < M")
    rng = np.random.default_rng(0)
    inputs = {"A": rng.normal(size=(5, 4)), "B": rng.normal(size=(6, 3))}
    source = d.numpy(threads=2)
    assert "_in_parts" in source or "_on_threads" in source
    for a, b in zip(results(d, inputs, 2), results(d, inputs, 1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_few_images_are_left_to_the_threads_of_linear_algebra() -> None:
    module = nd.derive(layers.ALL["conv2d"].program).compile(threads=2)
    parts = lambda count: module._images_on_threads(lambda first, last: (first, last), count, cost.PART)
    assert parts(cost.IMAGES) == [(0, cost.IMAGES//2), (cost.IMAGES//2, cost.IMAGES)]
    assert parts(cost.IMAGES - 1) == [(0, cost.IMAGES - 1)]
    large = lambda count: module._images_on_threads(lambda first, last: (first, last), count, cost.IMAGES*cost.PART)
    assert large(1) == [(0, 1)] and large(2) == [(0, 1), (1, 2)], "a thread for one image would hold linear algebra to itself"
