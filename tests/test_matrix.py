"""The matrix form of an equation is the equation: each of its elements, evaluated with NumPy, is the interpreter's."""

from __future__ import annotations

import itertools
import math
from functools import singledispatch
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv import matrix as mx
from nnderiv.evaluate import Run
from nnderiv.expr import COMPARISONS
from nnderiv.matrix.confirm import value_at
from nnderiv.matrix.typeset import matrix_latex
from nnderiv.meaning import Meaning as Interpreted
from nnderiv.numbers import FUNCTIONS
from nnderiv.program import Equation, Program
from tests.running import lists

DENSE = "X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]"
LEAST_SQUARES = "X[N,D], w[D], y[N] -> L\nr[n] = sum[d](X[n,d]*w[d]) - y[n]\nL = sum[n](r[n]**2)/2"
MLP = """
    X[N,I], W1[H,I], b1[H], W2[O,H], b2[O] -> Y
    Z1[n,h] = sum[i](X[n,i]*W1[h,i]) + b1[h]
    A1[n,h] = relu(Z1[n,h])
    Y[n,o] = sum[h](A1[n,h]*W2[o,h]) + b2[o]
"""
RNN = """
    x[T,N,I], U[H,I], W[H,H], V[O,H], b[H], c[O], h0[N,H], y[T,N,O] -> L
    h[-1,n,k] = h0[n,k]
    z[t,n,k] = sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k]
    h[t,n,k] = tanh(z[t,n,k])
    o[t,n,m] = sum[k](V[m,k]*h[t,n,k]) + c[m]
    L = sum[t,n,m]((o[t,n,m] - y[t,n,m])**2)
"""
RNN_COLUMNS = """
    x[T,I], U[H,I], W[H,H], V[O,H] -> o
    h[t,k] = tanh(sum[j](U[k,j]*x[t,j]) + sum[l](W[k,l]*h[t-1,l]))
    o[t,m] = sum[k](V[m,k]*h[t,k])
"""
ATTENTION = """
    Q[N,D], K[M,D], V[M,E] -> O
    S[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)
    P[i,j] = softmax[j](S[i,j])
    O[i,e] = sum[j](P[i,j]*V[j,e])
"""
BATCHED_ATTENTION = """
    Q[B,N,D], K[B,M,D], V[B,M,E] -> O
    S[b,i,j] = sum[d](Q[b,i,d]*K[b,j,d])/sqrt(D)
    P[b,i,j] = softmax[j](S[b,i,j])
    O[b,i,e] = sum[j](P[b,i,j]*V[b,j,e])
"""
SHARED_WEIGHT = "X[B,N,I], W[I,O] -> Y\nY[b,n,o] = sum[i](X[b,n,i]*W[i,o])"
LOGISTIC = """
    X[N,D], w[D], v[D] -> g
    p[n] = sigmoid(sum[d](X[n,d]*w[d]))
    g[d] = sum[n,c](X[n,d]*p[n]*(1 - p[n])*X[n,c]*v[c])
"""
LAYER_NORM = """
    X[N,D], g[D], b[D], eps -> Y
    m[n] = mean[d](X[n,d])
    v[n] = mean[d]((X[n,d] - m[n])**2)
    Y[n,d] = g[d]*(X[n,d] - m[n])/sqrt(v[n] + 1 + eps**2) + b[d]
"""
TRACES = """
    A[N,N], B[N,N], x[N] -> L
    L = sum[i,j,k](A[i,j]*B[j,k]*A[k,i]) + sum[i](A[i,i]) + sum[i,j](A[i,j]*B[i,j])*sum[i](x[i])
"""
SCALARS = """
    A[N,M], x[N], y[M], s -> C
    C[i,j] = s*x[i]*A[i,j]*y[j]/N - exp(x[i]) + where(A[i,j] > y[j], s, 0) + max(A[i,j], 0.5)
"""
SPREAD = (
    "a[N], b[M], c[K] -> Y\nY[i,j] = sum[k](c[k]*a[i]) + logsumexp[i2](a[i2]) + b[j]**3 + sum[i2](a[i2])**2 for j < M"
)
BACKWARDS = """
    x[T,N,D], W[D,D] -> e
    e[t,n,d] = x[t,n,d]**2/2 + where(t > 0, sum[k](W[d,k]*e[t+1,n,k]), 0)
"""
CASES = {name: text for name, text in list(globals().items()) if name.isupper() and isinstance(text, str)}

SIZES = dict(zip("NMKDEIHOTBC", (3, 4, 2, 5, 3, 4, 3, 2, 4, 2, 3), strict=True))


# -- what a tree of matrices means, in NumPy ---------------------------------------------------------------------------
class Meaning:
    """Values of one program, from the interpreter; `env` holds sizes and superscripts."""

    def __init__(self, form: mx.MatrixForm, run: Run, env: dict[str, int], outside: float = 0.0):
        self.form, self.run, self.env, self.outside = form, run, env, outside
        self.known: dict[int, tuple[Any, Any]] = {}

    def cached(self, a: Any) -> Any:
        if id(a) not in self.known:
            self.known[id(a)] = (a, meaning(a, self))
        return self.known[id(a)][1]

    def span(self, index: str) -> range:
        return range(*self.run.bounds(self.form.equation, index))

    def scalar(self, e: Any) -> Any:
        return float(value_at(self.run, self.form.equation.with_body(e), self.env))


@singledispatch
def meaning(a: Any, at: Meaning) -> Any:
    raise TypeError(type(a))


@meaning.register
def _(a: mx.Leaf, at: Meaning) -> Any:
    dims = at.run.program.dims[a.tensor]
    spans = [
        range(r.lo.value(at.env), r.hi.value(at.env)) if s is None else [s.value(at.env)]
        for s, r in zip(a.subs, dims, strict=True)
    ]
    shape = [len(span) for span, s in zip(spans, a.subs, strict=True) if s is None]
    return np.array([float(at.run.demand(a.tensor, place)) for place in itertools.product(*spans)]).reshape(shape)


@meaning.register
def _(a: mx.Scalar, at: Meaning) -> Any:
    return at.scalar(a.value)


@meaning.register
def _(a: mx.Fill, at: Meaning) -> Any:
    return np.full([len(at.span(i)) for i in (a.row, a.column) if i is not None], at.scalar(a.value))


@meaning.register
def _(a: mx.Ones, at: Meaning) -> Any:
    return np.ones(len(at.span(a.index)))


@meaning.register
def _(a: mx.Identity, at: Meaning) -> Any:
    return np.eye(len(at.span(a.index)))


@meaning.register
def _(a: mx.Transpose, at: Meaning) -> Any:
    value = meaning(a.of, at)
    return value.T if value.ndim == 2 else value[None, :]


@meaning.register
def _(a: mx.Times, at: Meaning) -> Any:
    """Columns are N×1 here, so that a bᵀ and aᵀ b are what they are on paper."""
    value = None
    for k, part in enumerate(a.parts):
        m = meaning(part, at)
        m = m[:, None] if m.ndim == 1 else m
        value = m if value is None else value @ m
        last_is_column = k == len(a.parts) - 1 and m.shape[1] == 1 and is_column(part)
    if last_is_column:
        value = value[:, 0]
        return value[0] if is_row(a.parts[0]) else value
    return value


def is_column(a: mx.Node) -> bool:
    """Whether this is a column by its making, not by a size that happens to be 1."""
    if isinstance(a, mx.Leaf):
        return a.subs.count(None) == 1
    if isinstance(a, mx.Fill):
        return a.column is None
    if isinstance(a, mx.Ones | mx.Diagonal) or (isinstance(a, mx.Along) and (a.is_column or "softmax" not in a.op)):
        return True
    if isinstance(a, mx.Times):
        return is_column(a.parts[-1]) and not is_row(a.parts[0])
    if isinstance(a, mx.Transpose | mx.Diag | mx.Trace | mx.Scalar | mx.Identity):
        return False
    return any(is_column(p) for p in mx.parts_of(a))


def is_row(a: mx.Node) -> bool:
    return isinstance(a, mx.Transpose) and is_column(a.of)


@meaning.register
def _(a: mx.Hadamard, at: Meaning) -> Any:
    values = [meaning(p, at) for p in a.parts]
    assert len({np.shape(v) for v in values}) == 1, "a Hadamard product of different shapes"
    nothing = np.zeros(np.shape(values[0]), bool)
    for p, v in zip(a.parts, values, strict=True):
        nothing |= (v == 0) & (isinstance(p, mx.Elementwise) and p.op in COMPARISONS)  # [c] makes 0 of anything beside it
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(nothing, 0.0, np.prod(values, axis=0))


@meaning.register
def _(a: mx.Plus, at: Meaning) -> Any:
    values = [sign * meaning(t, at) for sign, t in a.terms]
    assert len({np.shape(v) for v in values}) == 1, "a sum of different shapes"
    return sum(values)


@meaning.register
def _(a: mx.Scale, at: Meaning) -> Any:
    if any(isinstance(s, mx.Elementwise) and s.op == "[]" and not meaning(s, at) for s in a.scalars):
        return 0.0 if a.of is None else np.zeros_like(meaning(a.of, at))  # [c] makes 0 of anything beside it
    value = 1.0
    for s in a.scalars:
        assert np.shape(meaning(s, at)) == ()
        value = value * meaning(s, at)
    return value if a.of is None else value * meaning(a.of, at)


@meaning.register
def _(a: mx.Diag, at: Meaning) -> Any:
    return np.diag(meaning(a.of, at))


@meaning.register
def _(a: mx.Diagonal, at: Meaning) -> Any:
    return np.diagonal(meaning(a.of, at))


@meaning.register
def _(a: mx.Trace, at: Meaning) -> Any:
    return np.trace(meaning(a.of, at))


@meaning.register
def _(a: mx.Along, at: Meaning) -> Any:
    value = meaning(a.of, at)
    assert value.ndim == (1 if a.is_column else 2)
    total = np.logaddexp.reduce(value, axis=-1)
    if "softmax" in a.op:
        shifted = value - (total if a.is_column else total[:, None])
        return np.exp(shifted) if a.op == "softmax" else shifted
    return total if a.op == "logsumexp" else getattr(value, a.op)(-1)


@meaning.register
def _(a: mx.SumOver, at: Meaning) -> Any:
    places = itertools.product(*(at.span(i) for i in a.indices))
    return sum(meaning(a.of, Meaning(at.form, at.run, at.env | dict(zip(a.indices, p, strict=True)))) for p in places)


NORMAL = {"Phi": lambda x: (1 + math.erf(x / math.sqrt(2))) / 2, "phi": lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi)}


@meaning.register
def _(a: mx.Elementwise, at: Meaning) -> Any:
    if a.op == "[]":
        return float(Interpreted(at.run, at.form.equation).truth(a.args[0].value)(at.env))
    args = [meaning(p, at) for p in a.args]
    assert a.op == "**" or len({np.shape(v) for v in args}) == 1, "operands of different shapes"
    if a.op not in OPERATIONS:
        return np.vectorize(lambda *x: float({**FUNCTIONS, **NORMAL}[a.op](*map(float, x))))(*args)
    return OPERATIONS[a.op](*args) * 1.0


# Signals: what lies outside is 0, so that there is a value at every place.
def support(a: Any, at: Meaning) -> list[tuple[int, ...]]:
    if isinstance(a, mx.Up):
        return [tuple(s.value(at.env) * k for s, k in zip(a.steps, place, strict=False)) for place in support(a.of, at)]
    return list(np.ndindex(meaning(a, at).shape))


def signal(a: Any, at: Meaning, place: tuple[int, ...]) -> float:
    if isinstance(a, mx.Up):
        steps = [s.value(at.env) for s in a.steps[: len(place)]]
        whole = all(k % s == 0 for k, s in zip(place, steps, strict=True))
        return signal(a.of, at, tuple(k // s for k, s in zip(place, steps, strict=True))) if whole else 0.0
    if isinstance(a, mx.Down):
        return signal(a.of, at, tuple(s.value(at.env) * k for s, k in zip(a.steps, place, strict=False)))
    if isinstance(a, mx.Shift):
        return signal(a.of, at, tuple(k - p.value(at.env) for p, k in zip(a.by, place, strict=False)))
    if isinstance(a, mx.Flip):
        return signal(a.of, at, tuple(n.value(at.env) - 1 - k for n, k in zip(a.sizes, place, strict=False)))
    if isinstance(a, mx.Correlate):
        pairs = [(u, tuple(i + a.sign * j for i, j in zip(place, u, strict=True))) for u in support(a.second, at)]
        return sum(signal(a.first, at, moved) * signal(a.second, at, u) for u, moved in pairs)
    value = at.cached(a)
    inside = all(0 <= k < n for k, n in zip(place, value.shape, strict=True))
    return float(value[place]) if inside else at.outside


@meaning.register(mx.Correlate)
@meaning.register(mx.Up)
@meaning.register(mx.Down)
@meaning.register(mx.Shift)
@meaning.register(mx.Flip)
def _(a: Any, at: Meaning) -> Any:
    """At the places of the left-hand side."""
    places = [at.span(str(s.name)) for s, own in zip(at.form.equation.subs, at.form.left.subs, strict=True) if own is None]
    return np.array([signal(a, at, place) for place in itertools.product(*places)]).reshape([len(p) for p in places])


@meaning.register
def _(a: mx.Extreme, at: Meaning) -> Any:
    """A read outside takes no part: a maximum over what is inside."""
    places = itertools.product(*(at.span(i) for i in a.indices))
    pick = np.fmax if a.op == "max" else np.fmin
    values = [meaning(a.of, Meaning(at.form, at.run, at.env | dict(zip(a.indices, p, strict=True)), np.nan)) for p in places]
    return pick.reduce(values)


OPERATIONS: dict[str, Any] = {
    "/": np.divide,
    "**": np.power,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "max": np.maximum,
    "min": np.minimum,
}


# -- the law -----------------------------------------------------------------------------------------------------------
def assert_means_the_equation(form: mx.MatrixForm, original: Run) -> None:
    """The form, evaluated with NumPy in the program as it is read, against the program that was written."""
    e = form.equation
    run = read_run(original)
    above = [
        str(s.name)
        for k, s in enumerate(e.subs)
        if isinstance(form.left, mx.Leaf) and form.left.subs[k] is not None and s.name in e.ranges
    ]
    rows = [str(s.name) for s in e.subs if s.name in e.ranges and s.name not in above]
    for place in itertools.product(*(range(*run.bounds(e, i)) for i in above)):
        env = dict(run.env) | dict(zip(above, place, strict=True))
        found = np.asarray(meaning(form.right, Meaning(form, run, env)))
        assert found.ndim == len(rows), f"{e}: {found.ndim} axes for {rows}"
        for position in itertools.product(*(range(*run.bounds(e, i)) for i in rows)):
            here = env | dict(zip(rows, position, strict=True))
            at = tuple(s.value(here) for s in e.subs)
            if next(d for d in original.program.definitions[e.tensor] if original.meaning(d)[0](at) is not None) is not form.source:
                continue
            offset = tuple(p - run.bounds(e, i)[0] for p, i in zip(position, rows, strict=True))
            np.testing.assert_allclose(
                found[offset], float(original.demand(e.tensor, at)), rtol=1e-9, atol=1e-9, err_msg=str(e)
            )


def read_run(original: Run) -> Run:
    """The same inputs, with the definitions that the reading of the program added."""
    if not hasattr(original, "as_read"):
        original.as_read = Run(mx.reading(original.program).whole, inputs_of(original))
    return original.as_read


def inputs_of(run: Run) -> dict[str, Any]:
    return {i.name: run.tensor(i.name) if i.dims else run.env.get(i.name, run.demand(i.name, ())) for i in run.program.inputs}


def drawn(program: Program, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    sizes = {s: SIZES.get(s, 3) for s in program.sizes}
    return {i.name: rng.uniform(0.2, 1.2, [d.value(sizes) for d in i.dims]).tolist() for i in program.inputs}


def forms(program: Program) -> list[mx.MatrixForm]:
    found = []
    for e in program.equations:
        try:
            found.append(mx.matrix_form(program, e))
        except nd.MatrixFormError as error:
            assert e.tensor in str(error)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_matrix_form_means_its_equation(name):
    program = nd.parse(CASES[name])
    for p in (program, nd.derive(program).backward):
        run = Run(p, drawn(p))
        for form in forms(p):
            assert_means_the_equation(form, run)


@pytest.mark.parametrize(
    "name",
    [
        "DENSE",
        "LEAST_SQUARES",
        "MLP",
        "RNN",
        "RNN_COLUMNS",
        "ATTENTION",
        "BATCHED_ATTENTION",
        "SHARED_WEIGHT",
        "LOGISTIC",
        "LAYER_NORM",
        "TRACES",
        "SPREAD",
    ],
)
def test_all_equations_of_the_textbook_layers_have_a_matrix_form(name):
    program = nd.parse(CASES[name])
    for p in (program, nd.derive(program).backward):
        assert len(forms(p)) == len(p.equations)


def test_matrix_forms_in_the_zoo_mean_their_equations():
    """By NumPy, every eighth layer; `test_matrix_round_trip` holds every form in the zoo against the interpreter."""
    pytest.importorskip("torch")
    from tests.suites.zoo import ZOO

    count = 0
    for layer in ZOO[::8]:
        rng = np.random.default_rng(0)
        program, inputs = nd.parse(layer.text), {name: lists(x) for name, x in layer.inputs(rng).items()}
        backward, env = nd.derive(program, wrt=layer.wrt).backward, Run(program, inputs).env
        seeds = {
            i.name: rng.normal(size=[d.value(env) for d in i.dims]).tolist()
            for i in backward.inputs
            if i.name not in inputs
        }
        for p, values in ((program, inputs), (backward, inputs | seeds)):
            run = Run(p, values)
            for form in forms(p):
                assert_means_the_equation(form, run)
                count += 1
    assert count > 150


# -- textbook forms ----------------------------------------------------------------------------------------------------
def plain(latex: str) -> str:
    r"""LaTeX without what only moves ink: \mathrm{d}W -> dW, \mathbf{1} -> 1, W^{\top} -> W^T."""
    for old, new in (
        (r"\mathrm{d}", "d"),
        (r"\mathbf{1}", "1"),
        (r"^{\top}", "^T"),
        (r"\,", " "),
        (r"\top", "T"),
        (r"\odot", "⊙"),
        (r"\frac{1}{\sqrt{D}}", "1/√D"),
        (r"\mathrm{lse}", "lse"),
        (r"\oslash", "⊘"),
    ):
        latex = latex.replace(old, new)
    return latex


def gradients(text: str) -> dict[str, str]:
    backward = nd.derive(text).backward
    shown = [plain(matrix_latex(form)).split(" = ", 1) for form in forms(backward)]
    return dict(shown)


def test_the_dense_layer_is_the_textbook_one():
    d = nd.derive(DENSE)
    assert plain(d["X"].latex("matrix")) == "dX = dY W^T"
    assert plain(d["W"].latex("matrix")) == "dW = X^T dY"
    assert plain(d["b"].latex("matrix")) == "db = dY^T 1"
    assert plain(matrix_latex(mx.matrix_form(d.forward, d.forward.equations[0]))) == "Y = X W + 1 b^T"


def test_least_squares_is_the_textbook_one():
    found = gradients(LEAST_SQUARES)
    assert found["r"] == "X w - y"
    assert found["dw"] == "X^T r"
    assert found["dX"] == "r w^T"


def test_backpropagation_through_an_mlp_is_the_textbook_one():
    found = gradients(MLP)
    assert found["dZ_{1}"] == "(dY W_{2}) ⊙ [Z_{1} > 0]"
    assert found["dW_{1}"] == "dZ_{1}^T X"
    assert found["db_{1}"] == "dZ_{1}^T 1"
    assert found["dW_{2}"] == "dY^T A_{1}"


def test_backpropagation_through_time_is_the_textbook_one():
    found = gradients(RNN)
    assert found["z^{(t)}"] == "x^{(t)} U^T + h^{(t-1)} W^T + 1 b^T"
    assert found["dz^{(t)}"] == "(dz^{(t+1)} W + do^{(t)} V) ⊙ (1 - h^{(t)} ⊙ h^{(t)})"
    assert found["dW"] == r"\sum_{t} dz^{(t)T} h^{(t-1)}"
    assert found["db"] == r"\sum_{t} dz^{(t)T} 1"


def test_without_a_batch_the_states_of_a_recurrence_are_columns():
    found = gradients(RNN_COLUMNS)
    assert found[r"dh^{\mathrm{in},(t)}"] == r"(W^T dh^{\mathrm{in},(t+1)} + V^T do^{(t)}) ⊙ (1 - h^{(t)} ⊙ h^{(t)})"
    assert found["dV"] == r"\sum_{t} do^{(t)} h^{(t)T}"


def test_attention_is_the_textbook_one():
    found = gradients(ATTENTION)
    assert found["S"] == "1/√D Q K^T"
    assert found["dV"] == "P^T dO"
    assert found["dP"] == "dO V^T"
    assert found["dQ"] == "1/√D dS K"
    assert found["dK"] == "1/√D dS^T Q"
    assert found["dP^{lse}"] == "-(dP ⊙ P) 1"


def test_a_common_batch_axis_is_left_out_with_a_note():
    d = nd.derive(BATCHED_ATTENTION)
    assert plain(d["V"].latex("matrix")) == r"dV = P^T dO \qquad \text{for every } b"


def test_a_batch_axis_that_is_summed_over_is_a_superscript():
    assert gradients(SHARED_WEIGHT) == {"dX^{(b)}": "dY^{(b)} W^T", "dW": r"\sum_{b} X^{(b)T} dY^{(b)}"}


def test_the_hessian_of_logistic_regression_is_a_diagonal_between_two_matrices():
    program = nd.parse(LOGISTIC)
    assert plain(matrix_latex(mx.matrix_form(program, program.equations[-1]))) == r"g = X^T (p ⊙ (1 - p) ⊙ (X v))"


def test_the_trace_of_a_cycle_of_factors():
    program = nd.parse("A[N,M], B[M,N] -> L\nL = sum[i,j](A[i,j]*B[j,i])")
    assert matrix_latex(mx.matrix_form(program, program.equations[0])) in (
        r"L = \operatorname{tr}(A\,B)",
        r"L = \operatorname{tr}(B\,A)",
    )


# -- refusals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A[N,M] -> Y\nY[i,j] = A[i,j] for i < 2", "axis"),
        ("A[N,K], B[M,K], C[L,K] -> Y\nY[i,j,l] = sum[k](A[i,k]*B[j,k]*C[l,k])", ""),
        ("h[T,N] -> s\ns[n] = sum[t](exp(h[t,n]))", ""),
    ],
)
def test_what_is_no_matrix_expression_is_refused_with_a_reason(text, reason):
    program = nd.parse(text)
    if not reason:  # may have a form; if so, it is right
        run = Run(program, drawn(program))
        for form in forms(program):
            assert_means_the_equation(form, run)
        return
    with pytest.raises(nd.MatrixFormError, match=reason):
        mx.matrix_form(program, program.equations[-1])


def test_an_unknown_form_is_refused():
    with pytest.raises(nd.MatrixFormError, match="'index' and 'matrix'"):
        nd.derive(DENSE)["W"].latex("picture")


def equation_of(program: Program, name: str) -> Equation:
    return program.definitions[name][-1]


def test_a_sum_that_leaves_out_places_is_refused_where_it_matters():
    program = nd.parse(
        "x[T,N], W[N,N] -> h, s\nh[t,n] = sum[m](W[n,m]*h[t-1,m]) + x[t,n]\ns[t] = sum[n](exp(h[t-1,n])) for t < T"
    )
    with pytest.raises(nd.MatrixFormError, match="out of range"):
        mx.matrix_form(program, equation_of(program, "s"))
    assert mx.matrix_form(program, equation_of(program, "h"))
