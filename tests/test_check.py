"""The check accepts right gradients, and refuses every kind of wrong one: in the formula, in the emitted code."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.check import check
from nnderiv.draw import draw, draw_sizes, fill, flat, work
from nnderiv.expr import Expr, IntValue, Op, Read, Reduce
from nnderiv.numeric import Comparison, central_difference, difference_test, dot_test
from nnderiv.polynomial import additive_terms, factors, signed
from nnderiv.polynomial import product as multiply
from nnderiv.program import Program

LAYERS = {
    "dense": """X[N,I], W[I,O], b[O] -> Y
        Y[n,o] = tanh(sum[i](X[n,i]*W[i,o]) + b[o])""",
    "elman": """x[T,I], U[H,I], W[H,H], h0[H] -> h
        h[-1,k] = h0[k]
        h[t,k] = tanh(sum[j](U[k,j]*x[t,j]) + sum[l](W[k,l]*h[t-1,l]))""",
    "convolution": """X[C,H], W[O,C,U], int s, int p -> Y
        Y[o,i] = sum[c,u](W[o,c,u]*X[c,s*i+u-p]) for i < (H + 2*p - U)//s + 1""",
    "attention": """Q[N,D], K[M,D], V[M,E] -> Y
        A[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d])/sqrt(D))
        Y[i,e] = sum[j](A[i,j]*V[j,e])""",
    "embedding": """E[V,D], int tok[N] -> Y
        Y[n,d] = E[tok[n],d]**2""",
    "pooling": """X[N,H], int s -> Y
        Y[n,i] = max[u](X[n,s*i+u]) for i < H//s, u < s""",
}


@pytest.mark.parametrize("name", LAYERS)
def test_right_gradients_pass(name: str) -> None:
    report = nd.derive(LAYERS[name]).check(seed=1)
    assert report.ok, str(report)
    assert report.worst < 1e-4


# -- wrong formulas ------------------------------------------------------------------------------------------------------------
def everywhere(e: Expr, change: Callable[[Expr], Expr | None]) -> Iterator[Expr]:
    """The expression with one node changed, for each node that the change applies to."""
    found = change(e)
    if found is not None and found != e:
        yield found
    if isinstance(e, Reduce):
        yield from (Reduce(e.op, e.indices, b) for b in everywhere(e.body, change))
    if isinstance(e, Op):
        for k, a in enumerate(e.args):
            yield from (Op(e.op, (*e.args[:k], b, *e.args[k + 1 :])) for b in everywhere(a, change))


def flip_a_sign(e: Expr) -> Iterator[Expr]:
    terms = additive_terms(e)
    for k in range(len(terms)):
        yield signed([(-s if j == k else s, t) for j, (s, t) in enumerate(terms)])


def drop_a_term(e: Expr) -> Iterator[Expr]:
    terms = additive_terms(e)
    if len(terms) > 1:
        yield from (signed(terms[:k] + terms[k + 1 :]) for k in range(len(terms)))


def forget_a_factor(e: Expr) -> Iterator[Expr]:
    def change(node: Expr) -> Expr | None:
        parts = factors(node) if isinstance(node, Op) and node.op in ("*", "/", "neg") else []
        return multiply(parts[1:]) if len(parts) > 1 else None

    yield from everywhere(e, change)


def transpose(e: Expr) -> Iterator[Expr]:
    def change(node: Expr) -> Expr | None:
        return Read(node.tensor, node.subs[::-1]) if isinstance(node, Read) and len(node.subs) == 2 else None

    yield from everywhere(e, change)


def shift_an_index(e: Expr) -> Iterator[Expr]:
    def change(node: Expr) -> Expr | None:
        return Read(node.tensor, (*node.subs[:-1], node.subs[-1] + 1)) if isinstance(node, Read) and node.subs else None

    yield from everywhere(e, change)


def scatter_elsewhere(e: Expr) -> Iterator[Expr]:
    def change(node: Expr) -> Expr | None:
        if isinstance(node, Op) and node.op == "==" and all(isinstance(a, IntValue) for a in node.args):
            a, b = node.args
            assert isinstance(b, IntValue)
            return Op("==", (a, IntValue(b.value + 1)))
        return None

    yield from everywhere(e, change)


MISTAKES = {f.__name__: f for f in (flip_a_sign, drop_a_term, forget_a_factor, transpose, shift_an_index, scatter_elsewhere)}


def wrong_programs(d: nd.Derivation, mistake: Callable[[Expr], Iterator[Expr]]) -> Iterator[Program]:
    """The gradient program with one mistake in an equation that the forward program does not have."""
    for k, e in enumerate(d.backward.equations):
        if e.tensor not in d.gradients.forward.definitions:
            for body in mistake(e.body):
                equations = (*d.backward.equations[:k], e.with_body(body), *d.backward.equations[k + 1 :])
                yield replace(d.backward, equations=equations)


def refused(wrong: nd.Derivation) -> bool:
    try:
        return not check(wrong, seed=3, trials=6, code=False).ok
    except nd.DefinitionError:  # read elsewhere, a recurrence may need itself
        return True


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_wrong_formula_is_refused(name: str, mistake: str) -> None:
    d = nd.derive(LAYERS[name])
    for backward in wrong_programs(d, MISTAKES[mistake]):
        wrong = replace(d, gradients=replace(d.gradients, backward=backward))
        assert refused(wrong), str(backward)


def test_each_mistake_can_be_made_somewhere() -> None:
    for mistake in MISTAKES.values():
        assert any(list(wrong_programs(nd.derive(text), mistake)) for text in LAYERS.values())


# -- wrong code ----------------------------------------------------------------------------------------------------------------
def loaded(source: str) -> types.ModuleType:
    module = types.ModuleType("emitted")
    exec(compile(source, "<emitted>", "exec"), module.__dict__)
    return module


def in_backward(source: str, change: Callable[[str], str]) -> str:
    head, mark, tail = source.partition("\ndef backward(")
    return head + mark + change(tail)


def returned(change: str) -> Callable[[str], str]:
    """The first gradient changed as it is returned: g stands for it."""
    return lambda text: re.sub(r"return Gradients\(\((\w+),", lambda m: "return Gradients((" + change.replace("g", m.group(1)) + ",", text)


WRONG_RETURNS = {
    "sign": "-g",
    "factor": "2*g",
    "missing": "0*g",
    "transpose": "g.T",
    "shifted": "np.roll(g, 1)",
    "reversed": "g[::-1]",
    "a little": "g*dtype.type(1.001)",
    "dtype": "g.astype(np.float64)",
    "broadcast": "g[None]",
}


@pytest.mark.parametrize("wrong", WRONG_RETURNS)
@pytest.mark.parametrize("name", LAYERS)
def test_wrong_code_is_refused(name: str, wrong: str) -> None:
    d = nd.derive(LAYERS[name])
    source = d.numpy()
    if wrong == "a little" and " dtype" not in source.partition("\ndef backward(")[2]:
        pytest.skip("this module does not name its dtype")
    mutated = in_backward(source, returned(WRONG_RETURNS[wrong]))
    assert mutated != source
    assert not check(d, seed=2, trials=4, exact=False, module=loaded(mutated)).ok


@pytest.mark.parametrize("name", LAYERS)
def test_every_lost_line_of_code_is_refused(name: str) -> None:
    """A line of backward that does arithmetic, left out, breaks the module or the gradients."""
    d = nd.derive(LAYERS[name])
    head, mark, tail = d.numpy().partition("\ndef backward(")
    lines = tail.splitlines()
    for k, line in enumerate(lines):
        if re.search(r"[-+*]=", line):
            mutated = head + mark + "\n".join([*lines[:k], line[: len(line) - len(line.lstrip())] + "pass", *lines[k + 1 :]])
            assert not check(d, seed=2, trials=4, exact=False, module=loaded(mutated)).ok, line


def test_a_wrong_forward_is_refused() -> None:
    d = nd.derive(LAYERS["dense"])
    source = d.numpy()
    mutated = re.sub(r"\n    return (\w+), \(", r"\n    return \1 + \1.dtype.type(1e-3), (", source, count=1)
    assert mutated != source
    assert not check(d, exact=False, module=loaded(mutated)).ok


def test_code_that_changes_its_arguments_is_refused() -> None:
    d = nd.derive(LAYERS["dense"])
    mutated = in_backward(d.numpy(), lambda text: text.replace("\n    return Gradients(", "\n    dY *= 2\n    return Gradients("))
    report = check(d, exact=False, module=loaded(mutated))
    assert not report.ok
    assert "dY" in str(report)


def test_code_that_raises_is_refused_and_named() -> None:
    d = nd.derive(LAYERS["dense"])
    report = check(d, exact=False, module=loaded(in_backward(d.numpy(), returned("nothing(g)"))))
    assert not report.ok
    assert "NameError" in str(report)


# -- inputs --------------------------------------------------------------------------------------------------------------------
def test_given_sums_hold_for_the_drawn_inputs() -> None:
    program = nd.parse("y[T,M] -> L\n L = sum[t,m](y[t,m]**2)\n given sum[m](y[t,m]) = 1")
    for seed in range(5):
        for dyadic in (False, True):
            sample = draw(program, Random(seed), dyadic=dyadic)
            assert all(sum(row) == 1 for row in sample.inputs["y"])


def test_given_comparisons_are_met_by_drawing_again() -> None:
    program = nd.parse("x[N] -> L\n L = sum[n](log(x[n]))\n given x[n] > 0")
    assert all(v > 0 for v in draw(program, Random(0)).inputs["x"])


BOUNDS = {
    "before": ("x[N], int q[N] -> y\ny[n] = x[n] + y[q[n]]\ngiven q[n] < n", lambda k, n, N: k < n),
    "after": ("x[N], int q[N] -> y\ny[n] = x[n] + y[q[n]]\ngiven n < q[n] and q[n] <= N", lambda k, n, N: n < k <= N),
    "outside too": ("x[N], int q[N] -> y\ny[n] = x[q[n]]\ngiven -1 <= q[n] < N", lambda k, n, N: -1 <= k < N),
    "one place": ("x[N], int q[N] -> y\ny[n] = x[q[n]]\ngiven q[0] == N - 1", lambda k, n, N: k == N - 1 if n == 0 else 0 <= k < N),
    "a sum of both": ("x[N], int q[N] -> y\ny[n] = x[q[n]]\ngiven N - 2 - q[n] - n >= 0", lambda k, n, N: k <= N - 2 - n),
    "a place far away": ("x[N], int q[N] -> y\ny[n] = x[q[n]]\ngiven q[n] > 2*N\ngiven q[n] <= 3*N", lambda k, n, N: 2 * N < k <= 3 * N),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_given_bounds_of_integers_hold_by_construction(name) -> None:
    text, holds = BOUNDS[name]
    program = nd.parse(text)
    for seed in range(10):
        sizes = draw_sizes(program, Random(seed))
        inputs = fill(program, sizes, Random(seed))
        assert inputs is not None and all(holds(k, n, sizes["N"]) for n, k in enumerate(inputs["q"]))
    assert nd.derive(program).check().ok


def test_where_an_image_must_be_large_not_all_beside_it_is() -> None:
    """Two convolutions of five by five, each with pooling by two, need sixteen rows; sixteen of all would take hours."""
    program = nd.parse("""
        X[N,C,H,W], K[O,C,5,5], R[S,O,5,5], A[F,S,P,Q] -> y
        Z[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])
        Y[n,o,i,j] = mean[u,v](Z[n,o,2*i+u,2*j+v]) for u < 2, v < 2
        V[n,s,i,j] = sum[o,u,v](R[s,o,u,v]*Y[n,o,i+u,j+v])
        U[n,s,i,j] = mean[u,v](V[n,s,2*i+u,2*j+v]) for u < 2, v < 2
        y[n,f] = sum[s,i,j](A[f,s,i,j]*U[n,s,i,j])
    """)
    sizes = draw_sizes(program, Random(0))
    assert sizes["H"] == sizes["W"] == 16 and sizes["P"] == 1 and all(sizes[name] <= 2 for name in "NCOSF")
    assert work(program, sizes) < 10_000


def test_a_bound_leaves_no_place_undrawn() -> None:
    program = nd.parse("x[N], int q[N] -> y\ny[n] = x[q[n]]\ngiven -1 <= q[n] < N")
    found = {k for seed in range(20) for k in draw(program, Random(seed)).inputs["q"]}
    assert found == {-1, 0, 1, 2, 3}


TREE = """
    int left[N], x[N,F], V[K,F], U[K,K] -> h
    h[n,k] = tanh(sum[f](V[k,f]*x[n,f]) + sum[l](U[k,l]*h[left[n],l]))
"""


def test_a_tree_that_data_give_is_checked_and_explained() -> None:
    d = nd.derive(TREE + "    given left[n] < n")
    assert d.check().ok
    assert all(s.trials > 0 for w in ("U", "x") for s in d[w].steps)


@pytest.mark.parametrize("evidence", [lambda d: d.check(), lambda d: d["U"].steps])
def test_a_circle_that_data_may_give_is_told_with_the_fact_that_rules_it_out(evidence) -> None:
    with pytest.raises(nd.CheckError, match=r"needs itself: left leads back to it[^$]*`given left\[n\] < n`"):
        evidence(nd.derive(TREE))


@pytest.mark.parametrize("leaf", ["leaf[n] > 0", "leaf[n] > 0 and q[n] <= n", "not (leaf[n] <= 0 or v[n] > 9)"])
def test_what_a_leaf_refers_to_is_not_asked_for_in_its_gradient(leaf: str) -> None:
    """A leaf may point to itself: only what is real, and so the data, keeps it from needing itself."""
    d = nd.derive(f"x[N], leaf[N], v[N], int q[N] -> y\ny[n] = where({leaf}, x[n], v[n]*sin(y[q[n]]))")
    inputs = {"x": [0.5, 1.5, 0.25, 0], "leaf": [1, 1, -1, -1], "v": [1, 2, 3, 4], "q": [0, 1, 1, 2], "dy": [1, 1, 1, 1]}
    found = nd.evaluate(d.backward, inputs)
    x, v = 1.5, 3*np.sin(1.5)
    np.testing.assert_allclose(np.array(found["dv"], float), [0, 0, np.sin(x)*(1 + 4*np.cos(v)), np.sin(v)], rtol=1e-12)
    np.testing.assert_allclose(np.array(found["dx"], float), [1, 1 + 3*np.cos(x)*(1 + 4*np.cos(v)), 0, 0], rtol=1e-12)
    assert d.check().ok


def test_a_parameter_that_makes_a_circle_is_drawn_again() -> None:
    assert nd.derive("x[T], int p -> h\nh[t] = x[t] + h[t-p]/2").check().ok


def test_facts_that_nothing_honours_are_named() -> None:
    d = nd.derive("x[N] -> L\n L = sum[n](x[n]**2)\n given x[n] > 0\n given x[n] < 0")
    with pytest.raises(nd.CheckError, match="x"):
        d.check(code=False)


def test_an_infinity_that_nobody_wrote_and_nobody_needs_is_none() -> None:
    """The sum over the steps before the first is that of nothing: it is 0, though the logarithm by which it is computed is not finite."""
    d = nd.derive("k[T], v[T] -> y\nnum[t] = sum[s](where(s < t, exp(k[s])*v[s], 0)) + exp(k[t])*v[t]\n"
                  "den[t] = sum[s](where(s < t, exp(k[s]), 0)) + exp(k[t])\ny[t] = num[t]/den[t]")
    assert d.check(seed=0).ok
    with pytest.raises(nd.CheckError, match="inf"):
        nd.derive("x[N] -> y\nm[n] = max[k](where(k < n, x[k], -x[k])) for n < N, k < 0\ny[n] = tanh(m[n]*x[n])").check(seed=0)


def test_logarithms_get_positive_arguments() -> None:
    report = nd.derive("x[N] -> L\n L = sum[n](log(1 - x[n]) + sqrt(x[n]))").check()
    assert report.ok, str(report)


def test_integer_tensors_point_inside() -> None:
    program = nd.parse(LAYERS["embedding"])
    for seed in range(10):
        sample = draw(program, Random(seed))
        assert all(0 <= k < sample.sizes["V"] for k in sample.inputs["tok"])


def test_a_program_without_room_says_so() -> None:
    d = nd.derive("X[N], W[M] -> Y\n Y = sum[n](X[n]*W[n])")
    assert d.check(code=False).ok  # N == M is required, and met
    assert len(flat(draw(d.forward, Random(0)).inputs["X"])) == len(flat(draw(d.forward, Random(0)).inputs["W"]))


# -- the report ----------------------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_report() -> None:
    d = nd.derive(LAYERS["dense"])
    assert str(d.check(seed=5)) == str(d.check(seed=5))


def test_the_report_names_each_gradient_and_shows_both_values() -> None:
    d = nd.derive(LAYERS["dense"])
    report = d.check(code=False)
    assert {r.name for r in report.results} == {"dX", "dW", "db"}
    assert report["dW"][0].kind == "exact"
    assert "<table>" in report._repr_html_()
    wrong = next(wrong_programs(d, flip_a_sign))
    text = str(check(replace(d, gradients=replace(d.gradients, backward=wrong)), code=False))
    assert "WRONG" in text
    assert "⟨dY, J v⟩" in text


# -- plain callables -----------------------------------------------------------------------------------------------------------
def test_the_dot_test_holds_for_a_matrix_and_its_transpose() -> None:
    def jvp(v: list[Fraction]) -> list[Fraction]:
        return [v[0] + 2 * v[1], 3 * v[0]]

    def vjp(w: list[Fraction]) -> list[Fraction]:
        return [w[0] + 3 * w[1], 2 * w[0]]

    v, w = [Fraction(1, 3), Fraction(2)], [Fraction(5), Fraction(-7, 2)]
    assert dot_test(jvp, vjp, v, w).error == 0
    assert dot_test(jvp, jvp, v, w).error > 0


def test_central_differences_are_exact_for_squares() -> None:
    assert central_difference(lambda x: [x[0] ** 2], [Fraction(3)], [Fraction(1)], Fraction(1, 10)) == [6]


def test_a_wrong_slope_agrees_at_no_step() -> None:
    def cube(x: list[float]) -> list[float]:
        return [x[0] ** 3]

    assert difference_test(cube, lambda w: [12.0], [2.0], [1.0], [1.0]).error < 1e-8
    assert difference_test(cube, lambda w: [12.1], [2.0], [1.0], [1.0]).error > 1e-3


def test_nothing_is_close_to_what_is_not_a_number() -> None:
    assert Comparison(float("nan"), 1.0, 1.0).error == float("inf")
    assert Comparison(1.0, float("inf"), 1.0).error == float("inf")




@pytest.mark.parametrize("seed", range(4))
def test_states_that_cannot_be_reached_are_no_kinks(seed: int) -> None:
    """Their scores are −inf wherever a step leads: which of two such is the larger is decided by no step."""
    text = """
        X[T,6] -> L
        a[0,s] = where(s == 5, X[0,s], -inf)
        a[t,s] = X[t,s] + logsumexp[d](a[t-1,s+d]) for t < T, s < 6, d < 2
        L = logsumexp[s](a[T-1,s])
    """
    report = nd.derive(text).check(seed=seed)
    assert report.ok, report
