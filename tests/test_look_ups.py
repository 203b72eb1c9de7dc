"""What is read, and added, at places that data say: labels, look-ups, edges of a graph."""

from __future__ import annotations

import itertools
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.lower.runtime import needed
from tests.emitted import LARGE, body, run
from tests.running import assert_close, assert_means


@pytest.mark.parametrize("text", [
    "z[N,K], int y[N] -> L\np[n,k] = log_softmax[k](z[n,k])\nL = -mean[n](0.9*p[n,y[n]] + 0.1*mean[k](p[n,k]))",
    "z[N,K], int y[N], w[K] -> L\np[n,k] = log_softmax[k](z[n,k])\nL = -sum[n](w[y[n]]*(1 - exp(p[n,y[n]]))**3*p[n,y[n]])",
    "z[N,K,N], int y[N] -> s\ns[n] = sin(z[n,y[n],n])*z[n,y[n]+1,2]",
    "z[N,K,K], int y[N], a[K] -> s\ns[n,j] = z[n,y[n],j]*a[j] + z[n,j,y[n]-1]**2",
    "A[N,N] -> d, B\nd[i] = A[i,i]**2\nB[i,j] = 3*A[i,j] + where(i == j, A[i,j], 0)",
    "A[K,N] -> d\nd[i] = A[i+2,i]*A[i,N-1-i] for i < N",
    "z[N,K], int y[N], u[N] -> s\ns[n] = where(u[n] > 0, z[n,y[n]], z[n,0])",
    "x[K,N] -> s\ns[n] = x[K-1,n]*x[0,n]",
    "x[N,K], w[N] -> s, y\ns[n] = w[n]*x[n,3]\ny[n,k] = sin(x[n,k])",
    "x[K,N] -> s, y\ns[n] = x[K-1,n]\ny[k,n] = x[k,n]",
    "x[K], c -> y\ny[k] = x[k] + where(k == 2, c, 0)",
    "x[K,N], h0[N] -> y\nh[-1,n] = h0[n]\nh[t,n] = tanh(x[t,n]*h[t-1,n])\ny[n] = h[K-1,n]",
    "z[N,K], int y[N] -> L\nL = mean[n](sum[k](where(k == y[n], 0, relu(1 + z[n,k] - z[n,y[n]]))))",
    "z[N,K], int y[N], a[K] -> s\ns[n] = sum[k](where(k != y[n], a[k]*sin(z[n,k] - z[n,y[n]]), 0))",
], ids=["smoothed labels", "focal", "two axes", "three axes", "diagonal", "beside the diagonal", "under a condition",
        "the first and the last row", "a column", "the seed stays", "the input stays", "the last state",
        "a margin", "differences from one"])
@pytest.mark.parametrize("size", [0, 1, 5])
def test_what_stands_at_one_place_is_added_there(text: str, size: int) -> None:
    d = nd.derive(text)
    rng, sizes = np.random.default_rng(0), {"N": size, "K": 11}
    inputs = {i.name: rng.integers(-2, 13, size=[int(n.value(sizes)) for n in i.dims]) if i.kind == "int" else
              rng.standard_normal([int(n.value(sizes)) for n in i.dims]) for i in d.forward.inputs}
    modules = [d.compile(without=without) for without in ((), ("spots",))]
    outputs = modules[0].forward(**inputs)[0]
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    names = list(d.gradients.seeds.values())  # none for a lone scalar
    seeds = {name: rng.standard_normal(np.shape(y)) for name, y in zip(names, outputs if names else (), strict=True)}
    found, expected = (run(m, seeds, **inputs)[1] for m in modules)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    assert re.search(r"_add_at\(|:\d*\] \+?= ", d.numpy())


@pytest.mark.parametrize("equations", [
    "p[n,c] = b[n] + where(y[n] == c, exp(v[n+1]), 0) for c < C, n < N\nt = sum[n,c](p[n,c]*x[n,c])",
    "p[n,c] = exp(b[n+1]) + where(y[n] == c, v[n], 0) for c < C, n < N\nt = sum[n,c](p[n,c]*x[n,c])",
    "p[n,c] = b[n] + where(y[n+1] == c, v[n], 0) for c < C, n < N\nt = sum[n,c](p[n,c]*x[n,c])",
    "p[n,c] = b[n] + where(y[n] == c, v[n], 0) for c < C\nt[n] = sum[c](p[n,c]*exp(b[n+1])) + x[n,0] for n < N",
    "p[n,c] = b[n] + where(y[n] == c, v[n], 0) for c < C\nt[n] = sum[c](p[n,c]*exp(x[n,c+1]))",
    "p[n,c] = b[n] + where(y[n] == c, v[n], 0) for c < C-3\nt[n] = sum[c](p[n,c]*b[n]) + x[n,0]",
], ids=["a value", "a number", "the place", "a factor of the row", "a factor of the entry", "an axis of less than nothing"])
@pytest.mark.parametrize("C", [2, 9])
def test_a_sum_over_a_row_leaves_out_what_is_read_outside_of_a_label_too(equations: str, C: int) -> None:
    d = nd.derive(f"x[N,C], v[N], b[N], int y[N] -> t, u\n{equations}\nu[n] = 2*v[n]")
    rng = np.random.default_rng(0)
    inputs = {"x": rng.normal(size=(3, C)), "v": rng.normal(size=3), "b": rng.normal(size=3), "y": np.array([1, 5, 0])}
    assert_means(d, d.compile(), inputs, rng)


@pytest.mark.parametrize("signature", ["x[E,D], int t[E], h[N,D]", "x[B,E], int t[B,E], h[B,N]"])
def test_a_softmax_over_the_edges_into_each_node_needs_no_table_of_edges_and_nodes(signature: str) -> None:
    at, own = ("n,d", "e,d") if "D" in signature else ("b,n", "b,e")
    node = "t[e]" if "D" in signature else "t[b,e]"
    d = nd.derive(f"""
        {signature} -> y, p
        Z[{at}] = logsumexp[e](where({node} == n, x[{own}], -inf)) for n < N
        p[{own}] = exp(x[{own}] - Z[{at.replace("n", node)}])
        y[{at}] = h[{at}] + sum[e](where({node} == n, p[{own}]*x[{own}], 0))
    """)
    assert d.check(seed=0).ok
    assert "== np.arange(" not in d.numpy() and "_scatter_logsumexp(" in d.numpy()
    x, h, t = np.array([[1e4, 1e4, -1e4, 3, 2, -1e4]], np.float32), np.zeros((1, 5), np.float32), np.array([[0, 0, 0, 1, 1, 3]])
    if "D" in signature:
        x, h, t = x.T, h.T, t[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (_, p), residuals = d.compile().forward(x=x, t=t, h=h)
        g = d.compile().backward(residuals, dy=h + 1, dp=x*0)
    share = 1/(1 + np.exp(-1))
    np.testing.assert_allclose(p.ravel(), [0.5, 0.5, 0, share, 1 - share, 1], rtol=1e-3)  # of 10000 a single has four digits behind
    assert np.isfinite(g.dx).all()


def test_what_is_read_at_data_of_each_image_is_added_there_image_by_image() -> None:
    d = nd.derive("X[N,C,H,W], int y[N,P], int x[N,P], f[N,P] -> Y\nY[n,c,p] = f[n,p]*X[n,c,y[n,p],x[n,p]+1]")
    assert "_scatter(" in d.numpy() and "np.arange(H)" not in d.numpy()
    rng = np.random.default_rng(0)
    X, f = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 7))
    y, x = rng.integers(-1, 5, size=(2, 7)), rng.integers(-2, 5, size=(2, 7))
    Y, residuals = d.compile().forward(X=X, y=y, x=x, f=f)
    dY = rng.normal(size=Y.shape)
    g = d.compile().backward(residuals, dY=dY)
    expected, dX = np.zeros_like(Y), np.zeros_like(X)
    for n, p in np.ndindex(2, 7):
        if 0 <= y[n, p] < 4 and 0 <= x[n, p] + 1 < 5:
            expected[n, :, p] = f[n, p]*X[n, :, y[n, p], x[n, p] + 1]
            dX[n, :, y[n, p], x[n, p] + 1] += f[n, p]*dY[n, :, p]
    np.testing.assert_allclose(Y, expected, rtol=1e-12)
    np.testing.assert_allclose(g.dX, dX, rtol=1e-12)


def test_a_label_that_there_is_not_is_read_as_probability_zero() -> None:
    module = nd.derive("x[N,K], int label[N] -> y\np[n,k] = softmax[k](x[n,k])\ny[n] = log(p[n,label[n]])").compile()
    y, _ = module.forward(x=LARGE, label=np.array([0, 1, 7, -1, 2]))
    assert np.isneginf(y[[2, 3]]).all() and np.isfinite(y[[0, 1, 4]]).all()


DISTANCE = """E[V,D], R[M,D], int h[N], int r[N], int t[N] -> s
s[n] = sum[d](abs(E[h[n],d] + R[r[n],d] - E[t[n],d]))"""


def test_what_is_looked_up_in_several_tables_is_chosen_once_for_each_row() -> None:
    """The conditions say of a row whether it counts: its factor is chosen, and all that it has is one array for all tables."""
    written = body(DISTANCE, "backward")
    assert "np.where(" not in written and "_masked(" not in written and written.count("np.sign(") == 1
    assert len({*re.findall(r"_scatter\((\w+),", written)}) == 1 and written.count("_scatter(") == 3
    rng, d = np.random.default_rng(0), nd.derive(DISTANCE)
    h, r, t = rng.integers(-1, 7, size=(3, 40))
    assert_means(d, d.compile(), {"E": rng.normal(size=(6, 3)), "R": rng.normal(size=(5, 3)), "h": h, "r": r, "t": t}, rng)


@pytest.mark.parametrize("z", ["z[n,d] = x[n,d]", "z[d,n] = x[n,d]", "z[d,n] = 1", "z[n,d] = sum[e](where(e < n, x[e,d], 0))"])
@pytest.mark.parametrize("without", [(), ("gathered",), ("looked_up",)])
def test_a_look_up_has_one_name_whatever_stands_first(z: str, without: tuple[str, ...]) -> None:
    d = nd.derive(f"R[M,D], x[N,D], int r[N] -> y, z\ny[n,d] = x[n,d]*cos(R[r[n],d])\n{z}*sin(R[r[n],d]*x[n,d])")
    rng = np.random.default_rng(0)
    R, x, r = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), np.array([0, 3, 7, 3, -1])
    assert_means(d, d.compile(without=without), {"R": R, "x": x, "r": r}, rng)


EXPERTS = {
    "one for each row": ("Y[n,k] = sum[d](X[n,d]*W[t[n],d,k])", "int t[N]", "_by_group(X, W, t)"),
    "weighed": ("Y[n,k] = g[n]*sum[d](tanh(X[n,d])*W[t[n],d,k]) + g[n]", "int t[N]", "_by_group(Y_sum_tanh, W, t)"),
    "turned": ("Y[n,k] = sum[d](X[n,d]*g[n]*W[t[n],k,d])", "int t[N]", "W.mT, t)"),
    "in the middle": ("Y[k,n] = sum[d](X[n,d]*W[d,t[n],k])", "int t[N]", "W.transpose(1, 0, 2), t)"),
    "several for each row": ("Y[n,k] = sum[j](g[n]*sum[d](X[n,d]*sin(X[j,d])*W[t[n,j],d,k])) for j < N", "int t[N,N]", "W, t)"),
}


@pytest.mark.parametrize("N, size", [(6, 2), (0, 2), (4, 0)])
@pytest.mark.parametrize("cost", [1, 4096])  # in groups, and row by row
@pytest.mark.parametrize("without", [(), ("by_group",)])
@pytest.mark.parametrize("name", EXPERTS)
def test_rows_that_look_up_one_matrix_are_multiplied_with_it_together(
    name: str, without: tuple[str, ...], cost: int, N: int, size: int,
) -> None:
    equation, t, written = EXPERTS[name]
    d, rng = nd.derive(f"X[N,D], W[A,B,C], g[N], {t} -> Y\n{equation}"), np.random.default_rng(0)
    source = d.numpy(without=without)
    emitted = source[source.index("def forward"):]
    assert (written in emitted and "_outer_by_group(" in emitted) != bool(without)
    module = ModuleType("emitted")
    exec(source.replace("len(names)*4096", f"len(names)*{cost}"), vars(module))
    shape = (size, 4, size) if name == "in the middle" else (4, size, size)
    places = rng.integers(-1, 6, (N,)*t.count("N"))
    assert_means(d, module, {"X": rng.normal(size=(N, size)), "W": rng.normal(size=shape), "g": rng.normal(size=N), "t": places}, rng)


GATES = """int tok[T], E[V,D], Ur[H,D], Uz[H,D] -> y
r[t,k] = sigmoid(sum[d](Ur[k,d]*E[tok[t],d]))
y[t,k] = tanh(r[t,k]*sum[d](Uz[k,d]*E[tok[t],d]))"""


@pytest.mark.parametrize("without", [(), ("gathered",)])
def test_products_of_matrices_are_added_up_before_they_are_put_at_their_places(without: tuple[str, ...]) -> None:
    """An embedding that several gates read: no array over tokens, units and features."""
    d, rng = nd.derive(GATES), np.random.default_rng(0)
    arrays = {"E": rng.normal(size=(5, 3)), "Ur": rng.normal(size=(4, 3)), "Uz": rng.normal(size=(4, 3))}
    assert_means(d, d.compile(without=without), {**arrays, "tok": np.array([3, -1, 0, 0, 5, 4, 2])}, rng)
    if not without:
        written = body(GATES, "backward")
        assert "dE_rows += dy_sum @ Uz" in written and "dE = _scatter(dE_rows, (V, D), tok)" in written and written.count("_scatter(") == 1


@pytest.mark.parametrize("L", ["sum[n](a[n]*R[r[n]] + b[n]*R[r[n]])", "sum[n](a[n]*R[r[n]] + b[n] + cos(R[r[n]]))", "a[0]*R[r[0]]*b[0]"])
def test_gradients_that_are_look_ups_are_arrays_of_their_own(L: str) -> None:
    d, rng = nd.derive(f"a[N], b[N], R[M], int r[N] -> L\nL = {L}"), np.random.default_rng(0)
    arrays = {"a": rng.normal(size=4), "b": rng.normal(size=4), "R": rng.normal(size=3), "r": np.array([2, 0, 0, 1])}
    assert_means(d, d.compile(), arrays, rng)
    _, residuals = d.compile().forward(**arrays)
    first, again = (d.compile().backward(residuals) for _ in range(2))
    assert not any(np.shares_memory(g, x) for g in first for x in (*again, *residuals) if isinstance(x, np.ndarray))
    assert not np.shares_memory(first.da, first.db)


def test_what_is_infinite_where_a_row_does_not_count_is_left_out() -> None:
    d = nd.derive("E[V,D], int h[N], int t[N] -> s\ns[n] = sqrt(sum[d]((E[h[n],d] - E[t[n],d] + 1)**2))")
    E, h, t = np.random.default_rng(0).normal(size=(4, 3)), np.array([1, 9, 3]), np.array([0, 2, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s, gradients = run(d.compile(), {"ds": np.ones(3)}, E=E, h=h, t=t)
    assert s[1] == 0
    wanted = np.zeros_like(E)
    for a, b in ((1, 0), (3, 2)):
        unit = (E[a] - E[b] + 1) / np.linalg.norm(E[a] - E[b] + 1)
        wanted[a] += unit
        wanted[b] -= unit
    np.testing.assert_allclose(gradients.dE, wanted, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("low, high", [(0, 3), (-1, 5)])
def test_values_are_added_at_a_place_of_each_row(axis: int, low: int, high: int) -> None:
    namespace: dict[str, Any] = {}
    exec("import numpy as np\n" + needed("_add_at("), namespace)
    rng = np.random.default_rng(0)
    for A in (rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3, 6))[..., ::2]):
        each = [n if k != axis else 1 for k, n in enumerate(A.shape)]
        for shape in (each, [1, 1, 1], [n if k == 0 else 1 for k, n in enumerate(each)]):
            place, values = rng.integers(low, high, size=shape), rng.normal(size=shape)
            wanted = A + np.where(np.arange(3).reshape([-1 if k == axis else 1 for k in range(3)]) == place, values, 0)
            np.testing.assert_array_equal(namespace["_add_at"](A, place, values, axis), wanted)
            out = np.copy(A, order="K")
            assert namespace["_add_at"](out, place, values, axis, out=out) is out and np.array_equal(out, wanted)


GRAPH = """z[V,H], s[E], int to[E], int from[E] -> y
t[v] = logsumexp[e](where(to[e] == v, s[e], -inf)) for v < V
y[v,h] = sum[e](where(to[e] == v, exp(s[e] - t[to[e]])*z[from[e],h], 0)) for v < V""".replace("from", "of")


def test_an_edge_without_weight_or_into_no_node_has_no_share_of_any() -> None:
    d, rng = nd.derive(GRAPH), np.random.default_rng(0)
    z, s, to, of = rng.normal(size=(6, 3)), 1e3*rng.normal(size=40), rng.integers(-1, 5, size=40), rng.integers(6, size=40)
    s[:4] = -np.inf, 1e4, -np.inf, 700
    y, _ = d.compile().forward(z=z, s=s, to=to, of=of)
    wanted = np.zeros_like(z)  # nothing goes to the last node
    for v in range(5):
        into = to == v
        shares = np.exp(s[into] - s[into].max())
        wanted[v] = shares @ z[of[into]]/shares.sum()
    np.testing.assert_allclose(y, wanted, rtol=1e-10, atol=1e-12)
    s = rng.normal(size=40)
    assert_means(d, d.compile(), {"z": z, "s": s, "to": to, "of": of}, rng)


@pytest.mark.parametrize("many", [3, 20, 400])
@pytest.mark.parametrize("width", [1, 16, 32, 64])
@pytest.mark.parametrize("by", [np.add, np.maximum])
def test_rows_are_scattered_in_any_way_as_one_by_one(many: int, width: int, by: np.ufunc) -> None:
    """Few places with many rows each, many with few, and one with most."""
    namespace: dict[str, Any] = {}
    exec("import numpy as np\n" + needed("_scatter("), namespace)
    rng, start = np.random.default_rng(0), 0 if by is np.add else -np.inf
    V = rng.integers(-9, 9, size=(300, width)).astype(np.float32)
    for place in (
        rng.integers(-2, many + 2, size=300),
        np.minimum(rng.integers(many, size=300), rng.integers(2, size=300) * many),
        np.arange(300) % many,
        np.full(300, many),
    ):
        wanted = np.full((many, width), start, np.float32)
        for k, row in zip(place, V, strict=True):
            if 0 <= k < many:
                wanted[k] = by(wanted[k], row)
        found = namespace["_scatter"](V, (many, width), place, by=by, start=start)
        assert found.dtype == V.dtype and np.array_equal(found, wanted)


def test_what_a_condition_before_a_sum_leaves_out_is_scattered_too() -> None:
    """No table of all classes for each of the labels."""
    d = nd.derive("lp[T,V], int ext[S] -> y\ny[t,s] = where(t > 0, lp[t,ext[s]], 0)")
    assert "where(t > 0, sum[s]" in str(d.backward) and "_scatter(" in d.numpy()
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"lp": rng.normal(size=(3, 4)), "ext": np.array([1, 3, 1, 0, 7])}, rng)


@pytest.mark.parametrize(("equations", "stored"), [
    ("q[n,c] = where(c == y[n], 0.9, 0) + 0.1/C for c < C\nL = -sum[n,c](q[n,c]*log_softmax[c](Z[n,c]))", False),
    ("p[n,c] = log_softmax[c](Z[n,c])\nL = sum[n]((1 - exp(p[n,y[n]]))**2*p[n,y[n]] + sum[c](p[n,c])/C)", False),
    ("q[n,c] = where(c == y[n], a[n], 0) for c < C\nL = sum[n,d](sum[c](q[n,c]*W[c,d])**2*Z[n,d])", True),    # dW is a product of matrices
    ("q[n,c] = where(c == y[n], a[n], 0) - a[n]**2 for c < C\nL = sum[n,c]((Z[n,c] - q[n,c]*Z[n,0])**2) + sum[n,c](q[n,c])*a[0]", True),
    ("q[n,c] = where(c == y[n], a[n], 0) - a[n]**2 for c < C\nr[n,c] = Z[n,c] - q[n,c]*Z[n,0]\nL = sum[n,c](r[n,c]**2 + q[n,c])", True),
    ("q[n,c] = where(c == y[n], a[n], 0) for c < C\nL = sum[n,c](q[n,c]*q[n,C-1-c])", True),                 # read at another place, too
])
def test_what_stands_at_one_place_of_a_row_is_written_where_it_is_read(equations: str, stored: bool) -> None:
    text = f"Z[N,C], W[C,C], a[N], int y[N] -> L, m\nm = Z[0,0]\n{equations}"
    used = ("Z", *(x for x in "Wa" if f"{x}[" in equations))
    text = text.replace("W[C,C], ", "" if "W" not in used else "W[C,C], ").replace("a[N], ", "" if "a" not in used else "a[N], ")
    assert (" q = " in body(text, "forward")) == stored
    rng = np.random.default_rng(0)
    given = {"Z": rng.normal(size=(5, 3)), "W": rng.normal(size=(3, 3)), "a": rng.normal(size=5), "y": np.array([0, 2, -1, 3, 1])}
    d = nd.derive(text)
    assert_means(d, d.compile(), {x: given[x] for x in (*used, "y")}, rng)


@pytest.mark.parametrize("read", ["A[u[n],v[m],d]", "A[v[m],u[n],d]", "A[u[n],2,d]", "A[u[n],u[n],d]"])
def test_a_look_up_goes_by_rows_wherever_its_places_lie(read: str) -> None:
    """Few places and many, repeated ones, some outside, and none."""
    d, rng = nd.derive(f"A[P,Q,D], w[N,M], int u[N], int v[M] -> y\ny[n,m,d] = w[n,m]*{read}"), np.random.default_rng(0)
    module = d.compile()
    for (P, Q, D), N, M, off in itertools.product(((4, 3, 2), (3, 3, 1), (2, 2, 0), (0, 2, 2)), (0, 1, 7), (0, 5), (0, 2)):
        u, v = (rng.integers(-off, max(1, min(P, Q) + off), n) for n in (N, M))
        inputs = {"A": rng.normal(size=(P, Q, D)), "w": rng.normal(size=(N, M)), "u": u, "v": v}
        y, residuals = module.forward(**inputs)
        found = {"y": y, **module.backward(residuals, dy=np.ones_like(y))._asdict()}
        expected = {**nd.evaluate(d.forward, inputs), **nd.evaluate(d.backward, {**inputs, "dy": np.ones_like(y)})}
        for name, value in found.items():
            assert_close(value, np.reshape(expected[name], value.shape), name)


def test_ones_that_are_added_up_at_one_place_are_all_counted() -> None:
    """In single precision, 1 is lost beside 2²⁴."""
    d = nd.derive("x[N], int k[N], z[K] -> y\ny[c] = z[c] + sum[n](where(k[n] == c, x[n], 0))")
    x = np.full(40001, 1, np.float32)
    x[0] = 2**24
    y, _ = d.compile().forward(x=x, k=np.zeros(40001, int), z=np.zeros(3, np.float32))
    assert y[0] == 2**24 + 40000 and y.dtype == np.float32


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="there is nothing longer here")
def test_what_is_longer_than_double_precision_is_added_up_as_long() -> None:
    d, rng = nd.derive("E[V,D], int tok[T] -> y\ny[t,d] = E[tok[t],d]"), np.random.default_rng(0)
    tok, dy = rng.integers(5, size=40), rng.normal(size=(40, 3)).astype(np.longdouble)/3
    _, residuals = d.compile().forward(E=np.zeros((5, 3), np.longdouble), tok=tok)
    expected = np.zeros((5, 3), np.longdouble)
    np.add.at(expected, tok, dy)
    assert abs(d.compile().backward(residuals, dy=dy).dE - expected).max() < 1e-17


def test_how_many_labels_count_is_counted_and_not_added_up() -> None:
    text = "z[N,K], int y[N] -> L\np[n,k] = log_softmax[k](z[n,k])\nL = -mean[n](p[n,y[n]])"
    assert "L_count = dtype.type(np.count_nonzero(part))" in body(text, "forward")
    d, rng = nd.derive(text), np.random.default_rng(0)
    for y in ([0, 2, -1, 5], [1, 1, 1, 1], [7, 8, 9, -2]):
        assert_means(d, d.compile(), {"z": rng.normal(size=(4, 3)), "y": np.array(y)}, rng)
    assert_means(d, d.compile(), {"z": np.zeros((0, 3)), "y": np.zeros(0, int)}, rng)


@pytest.mark.parametrize("read", ["c[i//2,s[n]-i,K-i]", "c[i//2,2*s[n]-i,1-i]", "c[2*(i//2),s[n]-i,i]"])
def test_a_place_that_is_found_by_another_one_is_scattered_to(read: str) -> None:
    d = nd.derive(f"a[K], c[K,2,K], int s[K] -> y\ny[i] = sum[n]({read}*a[n]) for i < K")
    rng = np.random.default_rng(0)
    for K in (1, 2, 4):
        inputs = {"a": rng.normal(size=K), "c": rng.normal(size=(K, 2, K)), "s": rng.integers(-1, 3, size=K)}
        assert_means(d, d.compile(), inputs, rng)


@pytest.mark.parametrize("text", [
    "x[V], int s[N] -> y\ny[i] = exp(-log_softmax[i](x[s[i]])**2) for -1 <= i < N",
    "x[V], int s[N] -> y\nA[i] = where(s[i] < 0, -inf, x[s[i]]*x[0]) for -1 <= i < N\ny[i] = exp(-A[i]**2) for -1 <= i < N",
    "x[V], int s[N] -> y\nA[i] = where(s[i] > 0, x[s[i]], where(s[i] == 0, 2*x[1], -inf)) for i < N + 1\n"
    "y[i] = exp(-A[i]**2) for i < N + 1",
])
def test_where_an_infinity_was_chosen_nothing_is_multiplied_though_a_pointer_is_out_of_range(text: str) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    inputs = {"x": rng.normal(size=3), "s": np.array([-1, 0, 2])}
    dx = np.array(nd.evaluate(d.backward, {**inputs, "dy": np.ones(4)})["dx"], float)
    y = [np.array(nd.evaluate(d.forward, {**inputs, "x": inputs["x"] + h})["y"], float).sum() for e in np.eye(3) for h in (1e-6*e, -1e-6*e)]
    np.testing.assert_allclose(dx, np.reshape(y, (3, 2)) @ [0.5e6, -0.5e6], atol=1e-8)
    assert_means(d, d.compile(), inputs, rng)
