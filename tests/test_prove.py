"""Identities: proved by their canonical form, verified by numbers, or refuted by a counterexample that anybody can recompute."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction

import pytest
import sympy as sp

import nnderiv as nd
from nnderiv.canonical import Builder
from nnderiv.degree import Degree, of_difference
from nnderiv.fresh import Fresh
from nnderiv.matching import same_totals
from nnderiv.normal import normalise
from nnderiv.within import positive_names

ATTENTION = """
    P[N,M], V[M,D], dO[N,D]
    O[n,d]  = sum[m](P[n,m]*V[m,d])
    dP[n,m] = sum[d](dO[n,d]*V[m,d])
"""
FULL = "for t < T + K - 1"

# left, right, where, given
PROVED = [
    ("sum[m](P[n,m]*dP[n,m])", "sum[d](O[n,d]*dO[n,d])", ATTENTION, ()),
    (f"sum[k](w[k]*x[t-k]) {FULL}", f"sum[k](x[k]*w[t-k]) {FULL}", "x[T], w[K]", ()),
    ("sum[k](sum[j](A[i,j]*B[j,k])*C[k,l])", "sum[j](A[i,j]*sum[k](B[j,k]*C[k,l]))", "A[I,J], B[J,K], C[K,L]", ()),
    ("sum[i,j](A[i,j]*B[j,i])", "sum[j,i](B[j,i]*A[i,j])", "A[I,J], B[J,I]", ()),
    ("(a + b)**2", "a**2 + 2*a*b + b**2", "a, b", ()),
    ("mean[n](x[n] - mean[n](x[n]))", "0", "x[N]", ()),
    ("mean[n]((x[n] - mean[n](x[n]))**2)", "mean[n](x[n]**2) - mean[n](x[n])**2", "x[N]", ()),
    ("sum[i,j](where(i == j, A[i,j], 0))", "sum[i](A[i,i])", "A[N,N]", ()),
    ("sum[j](where(j <= i, a[j], 0)) + sum[j](where(j > i, a[j], 0))", "sum[j](a[j]) + b[i] - b[i]", "a[N], b[N]", ()),
    ("sum[m](y[n,m]*a[n])", "a[n]", "y[N,M], a[N]", "sum[m](y[n,m]) = 1"),
    ("max[j](S[i,j])*2", "max[k](S[i,k]) + max[l](S[i,l])", "S[N,M]", ()),
    ("sum[m](P[n,m]*(g[n,m] - sum[k](P[n,k]*g[n,k])))", "0", "P[N,M], g[N,M]", "sum[m](P[n,m]) = 1"),
    ("h[t]*2", "h[t] + h[t]", "x[T]\n h[-1] = 0\n h[t] = h[t-1]*x[t] + 1", ()),
]
VERIFIED = [
    ("(a**2 - b**2)/(a - b)", "a + b", "a, b", ()),
    ("exp(a + b)", "exp(a)*exp(b)", "a, b", ()),
    ("sum[m](softmax[m](S[n,m]))", "1 + 0*S[n,0]", "S[N,M]", ()),
    ("relu(x[n]) - relu(-x[n])", "x[n]", "x[N]", ()),
]
REFUTED = [
    ("a[n] - b[n]", "b[n] - a[n]", "a[N], b[N]", ()),
    ("sum[k](A[i,k]*B[k,j])", "sum[k](B[i,k]*A[k,j])", "A[I,I], B[I,I]", ()),
    ("sum[k](A[i,k]*B[k,i])", "A[i,i]*B[i,i]", "A[I,I], B[I,I]", ()),
    ("sum[m](y[n,m]*a[n])", "a[n]", "y[N,M], a[N]", ()),
    (f"sum[k](w[k]*x[t-k]) {FULL}", f"sum[k](w[k]*x[t+k]) {FULL}", "x[T], w[K]", ()),
    ("exp(a + b)", "exp(a) + exp(b)", "a, b", ()),
    ("relu(x[n])", "x[n]", "x[N]", ()),
    ("x[n]**2/x[n]", "x[n] + 1", "x[N]", ()),
    ("log(x[n])", "x[n]", "x[N]", "x[n] > 1"),
    ("sum[j](where(j <= i, a[j], 0)) + a[i]", "sum[j](where(j < i, a[j], 0)) + a[i]", "a[N]", ()),
]


@pytest.mark.parametrize(("left", "right", "where", "given"), PROVED)
def test_an_identity_with_one_canonical_form_is_proved(left, right, where, given):
    proof = nd.prove(left, right, given, where=where)
    assert proof.verdict == "proved" and proof and proof.trials >= 10 and proof.counterexample is None


@pytest.mark.parametrize(("left", "right", "where", "given"), VERIFIED)
def test_an_identity_of_numbers_is_verified_and_says_how_surely(left, right, where, given):
    proof = nd.prove(left, right, given, where=where)
    assert proof.verdict == "verified" and proof
    rational = not any(f in left for f in ("exp", "softmax"))
    assert proof.probability is not None and 0 < proof.probability < Fraction(1, 10**30) if rational else proof.digits == 40
    assert ("comparisons" in proof.reason) == ("relu" in left)


@pytest.mark.parametrize(("left", "right", "where", "given"), REFUTED)
def test_a_counterexample_can_be_recomputed(left, right, where, given):
    proof = nd.prove(left, right, given, where=where)
    assert proof.verdict == "refuted" and not proof
    found = proof.counterexample
    values = []
    for side in (left, right):
        letters = {"n": "[n]", "i": "[i]", "t": "[t]"}
        at = next((letters[i] for i in "nit" if f"[{i}" in left or f",{i}]" in left or i == "t" and FULL in left), "")
        at = "[i,j]" if right.endswith("A[k,j])") else at
        value = nd.evaluate(f"{where} -> it\n it{at} = {side}", found.inputs)["it"]
        for k in found.at:
            value = value[k]
        values.append(value)
    assert values == [found.left, found.right] and values[0] != values[1]
    assert given == () or all(x > 1 for x in found.inputs["x"])


def test_a_counterexample_is_as_small_as_can_be():
    found = nd.prove("sum[k](A[i,k]*B[k,j])", "sum[k](B[i,k]*A[k,j])", where="A[I,I], B[I,I]").counterexample
    assert found.sizes == {"I": 2}  # numbers commute
    numbers = [x for name in "AB" for row in found.inputs[name] for x in row]
    assert sorted(numbers)[:-2] == [0] * 6


def test_shapes_that_differ_are_a_refutation():
    proof = nd.prove("sum[k](A[i,k]*B[k,j])", "sum[k](B[i,k]*A[k,j])", where="A[I,J], B[J,I]")
    assert not proof and "I × I" in proof.reason and "J × J" in proof.reason
    assert proof.counterexample.sizes["I"] != proof.counterexample.sizes["J"]
    assert nd.prove("sum[k](A[i,k]*B[k,j])", "sum[k](A[i,k]*B[k,j])", where="A[I,J], B[J,I]")


def test_a_product_whose_sizes_do_not_fit_is_a_refutation():
    d = nd.derive("X[N,I], W[I,O] -> Y\n Y[n,o] = sum[i](X[n,i]*W[i,o])")
    wrong = nd.prove(d["W"], "sum[n](dY[i,n]*X[n,o])")
    assert not wrong and wrong.reason.startswith(("The right side exists only where", "The left side is I × O"))
    assert nd.prove(d["W"], "sum[n](X[n,i]*dY[n,o])").verdict == "proved"


def test_a_given_is_honoured_by_the_form_and_by_the_numbers():
    d = nd.derive("S[N,M], Y[N,M] -> L\n L = -sum[n,m](Y[n,m]*log_softmax[m](S[n,m]))")
    assert nd.prove(d["S"], "softmax[m](S[n,m]) - Y[n,m]", given="sum[m](Y[n,m]) = 1").verdict == "proved"
    assert not nd.prove(d["S"], "softmax[m](S[n,m]) - Y[n,m]")
    assert nd.prove(d["S"], "softmax[m](S[n,m])*sum[k](Y[n,k]) - Y[n,m]").verdict == "proved"
    positive = nd.prove("abs(x[n])", "x[n]", given="x[n] > 0", where="x[N]")
    assert positive.verdict == "verified" and positive.probability is None  # drawn again until it held: no bound


def test_programs_are_compared_as_wholes():
    left = "X[N,I], W[I,O] -> Y, r\n Y[n,o] = sum[i](X[n,i]*W[i,o])\n r[n] = sum[o](Y[n,o])"
    right = "X[N,I], W[I,O] -> r, Y\n v[i] = sum[o](W[i,o])\n r[n] = sum[i](X[n,i]*v[i])\n Y[n,o] = sum[i](W[i,o]*X[n,i])"
    assert nd.prove(left, right).verdict == "proved"
    proof = nd.prove(nd.parse(left), right.replace("X[n,i]*v[i]", "X[n,i]*v[i] + 1"))
    assert not proof and proof.counterexample.output == "r"


def test_recurrences_are_the_same_only_if_their_definitions_are():
    recurrence = "x[T] -> h\n h[-1] = 0\n h[t] = {} + x[t]"
    assert nd.prove(recurrence.format("2*h[t-1]"), recurrence.format("2*h[t-1]")).verdict == "proved"
    assert nd.prove(recurrence.format("2*h[t-1]"), recurrence.format("h[t-1] + h[t-1]")).verdict == "verified"
    assert not nd.prove(recurrence.format("2*h[t-1]"), recurrence.format("3*h[t-1]"))


@pytest.mark.parametrize(("left", "right", "where", "message"), [
    ("a", "b", "", 'where="A'),
    ("a[n]", "a[m]", "a[N]", "free letters"),
    ("a[n", "a[n]", "a[N]", "never closed"),
    ("x -> y\n y = x", "x, b -> y\n y = x + b", "", "b is an input of the right side only. Add it"),
    ("x[N] -> y\n y[n] = x[n]", "x[M] -> y\n y[m] = x[m]", "", "Write the same sizes"),
    ("x -> y, z\n y = x\n z = x", "x -> y\n y = x", "", "outputs"),
    ("x -> y\n y = x", "x -> y\n y = x", "x", "nothing to explain"),
])
def test_what_cannot_be_compared_is_refused_with_a_repair(left, right, where, message):
    with pytest.raises(nd.NNDerivError, match=message.replace("[", r"\[")):
        nd.prove(left, right, where=where)


def test_a_proof_is_immutable_and_shows_itself():
    proof = nd.prove("a[n]*2", "a[n] + a[n]", where="a[N]")
    with pytest.raises(FrozenInstanceError):
        proof.verdict = "refuted"
    assert str(proof).startswith("Proved: a[n]*2 = a[n] + a[n]\n")
    assert proof.latex() == "2 a_{n} = a_{n} + a_{n}"
    wrong = nd.prove("a[n]*2", "a[n] + 1", where="a[N]")
    assert str(wrong).splitlines() == [
        "Refuted: a[n]*2 ≠ a[n] + 1", "    The left side is 0 and the right side is 1 at N=1; n=0, with these inputs:", "    a = [0]"]
    assert r"2 a_{n} \ne a_{n} + 1" in wrong._repr_markdown_() and r"a = \begin{pmatrix}0\end{pmatrix}" in wrong._repr_markdown_()


def test_letters_run_as_far_as_on_the_side_that_shows_it():
    d = nd.derive("X[H], K[U] -> Y\n Y[i] = sum[u](K[u]*X[i+u])")
    for left, right in ((d["X"], "sum[u](dY[a-u]*K[u])"), ("sum[i](dY[i]*K[a-i])", d["X"]), (d["K"], "sum[a](dY[a-u]*X[a])")):
        assert nd.prove(left, right).verdict == "proved"
    assert not nd.prove(d["X"], "sum[u](dY[a+u]*K[u])")
    assert nd.prove("sum[u](X[a+u]*K[u])", "sum[u](K[u]*X[a+u])", where="X[H], K[U]").verdict == "proved"


@pytest.mark.parametrize("softmax", [True, False])
def test_the_identity_of_memory_saving_attention(softmax):
    """rowsum(P ⊙ dP) = rowsum(O ⊙ dO): the row sums need no matrix of N × M."""
    where = ATTENTION.replace("P[N,M]", "S[N,M]") + "P[n,m] = softmax[m](S[n,m])\n" if softmax else ATTENTION
    assert nd.prove("sum[m](P[n,m]*dP[n,m])", "sum[d](O[n,d]*dO[n,d])", where=where).verdict == "proved"
    assert not nd.prove("sum[m](P[n,m]*dP[n,m])", "sum[d](O[n,d]*V[n,d])", where=where)


# -- the canonical form by itself --------------------------------------------------------------------------------------------
def _same(left, right, where):
    """Whether both have one canonical form, whatever their values are."""
    programs = [normalise(nd.parse(f"{where} -> it\n{side}")) for side in (left, right)]
    fresh = Fresh(programs[0].names | programs[1].names)
    letters = [fresh(i) for i in programs[0].definitions["it"][-1].indices]
    forms = [Builder(p, fresh, (), s).output("it", letters) for p, s in zip(programs, "ab", strict=True)]
    return same_totals(*forms, positive_names(programs[0]))


@pytest.mark.parametrize(("right", "same"), [
    ("it[t] = sum[k](x[k]*w[t-k]) for t < T + K - 1", True),
    ("it[t] = sum[k](x[k]*w[t-k-1]) for t < T + K - 1", False),
    ("it[t] = sum[k](x[k]*w[k-t]) for t < T + K - 1", False),
    ("it[t] = sum[k](where(k > 0, x[k]*w[t-k], 0)) for t < T + K - 1", False),
    ("it[t] = sum[k](where(k >= 0, x[k]*w[t-k], 0)) for t < T + K - 1", True),
    ("it[t] = sum[k](x[k]*w[t-k]) for t < T + K - 1, k < 2", False),
    ("it[t] = sum[k,j](where(j == k, x[j]*w[t-k], 0)) for t < T + K - 1, k < T", True),
    ("it[t] = sum[k](x[k]*w[t-2*k]) for t < T + K - 1", False),
    ("it[t] = 2*sum[k](x[k]*w[t-k]) for t < T + K - 1", False),
])
def test_the_canonical_form_tells_apart_what_is_different(right, same):
    """Here no numbers come to its help: a form that forgot a shift or a condition would answer True."""
    assert _same("it[t] = sum[k](w[k]*x[t-k]) for t < T + K - 1", right, "x[T], w[K]") is same


def test_an_index_is_changed_only_one_to_one():
    assert not _same("it = sum[i](a[i])", "it = sum[i,j](a[i]) for j < N", "a[N], b[N]")
    assert not _same("it = sum[i,j](a[i]*b[j])", "it = sum[i](a[i]*b[i])", "a[N], b[N]")
    assert not _same("it = sum[i,j](C[i,j])", "it = sum[i](C[i,i])", "C[N,N]")
    assert _same("it = sum[i,j](a[i]*b[j])", "it = sum[i](a[i])*sum[i](b[i])", "a[N], b[N]")
    assert _same("it = sum[i,j](a[i]) for j < N", "it = N*sum[i](a[i])", "a[N]")
    assert _same("it = sum[i,j](a[i]*b[i]) for j < 3", "it = 3*sum[i](a[i]*b[i])", "a[N], b[N]")


# -- degrees -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [
    "x*y + x", "(x + y)**3", "x/y + y/x", "1/(x - y)", "x**2/(x + 1)", "(x/y)**2 + 1/x", "x - x", "x**(-2) + y", "(x + 1/y)/(y + 1/x)",
])
def test_the_degree_bounds_that_of_the_rational_function(text):
    x, y = sp.symbols("x y")
    value = eval(text, {"x": Degree(Fraction(2, 7)), "y": Degree(Fraction(3, 5))})
    top, bottom = (sp.Poly(e, x, y).total_degree() for e in sp.fraction(sp.together(sp.sympify(text))))
    assert max(top, 0) <= value.top and bottom <= value.bottom
    assert value.value == Fraction(str(sp.sympify(text).subs({x: sp.Rational(2, 7), y: sp.Rational(3, 5)})))


def test_a_difference_has_the_degree_of_its_common_denominator():
    x = Degree(Fraction(1, 3))
    assert of_difference(x * x, 1 / x) == (3, 1)
    assert of_difference(x.apply_function("exp"), x)[0] == float("inf")


def test_a_range_stands_behind_an_identity_and_not_within_it():
    proof = nd.prove("x[T] -> y\n y[t] = 2*x[t] for t < T + 1", "x[T] -> y\n y[t] = x[t] + x[t] for t < T + 1")
    assert proof.latex() == r"2 x_{t} = x_{t} + x_{t},\quad 0 \le t < T + 1"
