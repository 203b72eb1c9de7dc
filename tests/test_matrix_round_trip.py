"""Raised to matrices and lowered to indices again, an equation is the same: in value always, in its text where the form keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from random import Random

import pytest

import nnderiv as nd
from nnderiv import layers
from nnderiv import matrix as mx
from nnderiv.errors import RefutedForm
from nnderiv.expr import TRUE, ZERO, Expr, IntValue, Op, Read, Reduce, conjunction, mul, subst_indices, walk, where
from nnderiv.integer import Int, parts
from nnderiv.matrix.confirm import confirm
from nnderiv.polynomial import additive_terms, guarded_factors
from nnderiv.program import Program
from tests.strategies import random_program
from tests.test_matrix_textbook import TEXTS


def canonical(e: Expr, depth: int = 0) -> str:
    """The text of an expression whatever the order of its sums and products and the letters of its bound indices."""
    terms = additive_terms(e)
    if len(terms) > 1 or terms[0][0] < 0:
        return "(" + " + ".join(sorted(f"{s}*{canonical(t, depth)}" for s, t in terms)) + ")"
    if isinstance(e, Reduce):
        return reduction(e, depth)
    conditions, found = guarded_factors(e)
    if conditions or len(found) > 1:
        sums = [p for p in found if isinstance(p, Reduce) and p.op == "sum"]
        if len(sums) == 1 and depth < 50:  # c Σ a as Σ c a
            rest = [p for p in found if p is not sums[0]]
            inner = where(conjunction(conditions) if conditions else TRUE, mul([*rest, sums[0].body]), ZERO)
            return reduction(Reduce("sum", sums[0].indices, inner), depth)
        return "*".join(sorted(canonical(p, depth) for p in found) + sorted(f"[{canonical(c, depth)}]" for c in conditions))
    if isinstance(e, Op):
        return f"{e.op}({', '.join(canonical(a, depth) for a in e.args)})"
    if isinstance(e, Read):
        return f"{e.tensor}[{','.join(map(integer, e.subs))}]"
    return integer(e.value) if isinstance(e, IntValue) else str(e)


def integer(value: Int) -> str:
    """An integer expression with its terms in order, whatever their order was."""
    def atom(a: object) -> str:
        inner = [integer(p) for p in parts(a)] if not isinstance(a, str) else []
        return f"{type(a).__name__}({','.join(inner)})" if inner else str(a)

    return "+".join(sorted(f"{c}*{'*'.join(sorted(map(atom, m)))}" for m, c in value.terms.items())) or "0"


def reduction(e: Reduce, depth: int) -> str:
    """The least text over all orders in which the bound indices can be named."""
    indices, body = list(e.indices), e.body
    while isinstance(body, Reduce) and body.op == e.op == "sum":
        indices, body = [*indices, *body.indices], body.body
    if any(isinstance(n, Reduce) and "softmax" in n.op for n in walk(e)):
        return f"{e.op}[{','.join(indices)}]({canonical(body, depth)})"  # a softmax keeps the letter along which it runs
    found = []
    for order in _orders(indices):
        names = {i: Int.symbol(f"k{depth}_{k}") for k, i in enumerate(order)}
        found.append(canonical(subst_indices(body, names), depth + 1))
    return f"{e.op}{len(indices)}({min(found)})"


def _orders(indices: list[str]) -> Iterator[list[str]]:
    return (list(p) for p in permutations(indices)) if len(indices) <= 4 else iter([indices])


def forms(program: Program) -> Iterator[mx.MatrixForm]:
    for e in program.equations:
        try:
            yield mx.matrix_form(program, e)
        except nd.MatrixFormError as error:
            assert not isinstance(error, RefutedForm), "a form that is false is a mistake, not a reason"
            assert e.left in str(error), "a reason names the equation"


def both(text: str, wrt: tuple[str, ...] | None = None) -> Iterator[Program]:
    program = nd.parse(text)
    return iter((program, nd.derive(program, wrt=wrt).backward))


@pytest.mark.parametrize("name", TEXTS)
def test_a_form_lowers_to_the_equation_that_it_was_raised_from(name):
    for program in both(TEXTS[name]):
        for form in forms(program):
            assert form.trials > 0
            lowered = mx.lower(form)
            assert lowered.subs == form.source.subs
            assert confirm(mx.reading(program).whole, form.source, lowered).trials > 0


STEPS_BACK = {
    "a grid": ("u0[N], k, int T -> u\nu[0,i] = u0[i]\nu[t,i] = u[t-1,i] + k*(u[t-1,i+1] - 2*u[t-1,i] + u[t-1,i-1]) for t < T", "k"),
    "two tables": ("e[N,M], a -> L\nX[-1,-1] = 1\nX[i,j] = e[i,j]*X[i-1,j-1] + U[i-1,j]\n"
                   "U[i,j] = e[i,j]*(X[i-1,j] + a*U[i-1,j] - a*U[i,j-1])\nL = X[N-1,M-1] + U[N-1,M-1]", "a"),
}


@pytest.mark.parametrize("name", STEPS_BACK)
def test_sums_of_what_is_out_of_range_at_other_places_stay_apart(name):
    text, wrt = STEPS_BACK[name]
    gradient = nd.derive(text)[wrt]
    form = mx.matrix_form(gradient.derivation.backward, gradient.definition)
    assert form.trials > 0
    sums = [a for a in mx.walk(form.right) if isinstance(a, mx.SumOver)]
    assert len(sums) > 1


def test_most_forms_keep_the_text_of_the_equation():
    """Up to the order of terms and factors and the letters of sums; what was read otherwise has the text of its reading."""
    count: Counter[bool] = Counter()
    for text in list(TEXTS.values())[::3]:
        for program in both(text):
            for form in forms(program):
                count[canonical(mx.lower(form).body) == canonical(form.equation.body)] += 1
    assert count[True] > 0.8 * count.total(), count


TEXTUAL = [("dense", "X"), ("dense", "W"), ("dense", "b"), ("elman", "W"), ("elman", "x"), ("lstm", "Wf"), ("conv2d_valid", "X"),
           ("conv2d", "X"), ("conv2d", "K"), ("conv1d", "X"), ("correlation2d", "K"), ("scaled_dot_product_attention", "Q"),
           ("multi_head_attention", "Wo"), ("average_pool2d", "X"), ("im2col", "X"), ("embedding", "E")]


@pytest.mark.parametrize(("name", "wrt"), TEXTUAL)
def test_a_gradient_comes_back_word_by_word(name, wrt):
    gradient = layers.ALL[name].derivation[wrt]
    form = mx.matrix_form(gradient.derivation.backward, gradient.definition)
    assert canonical(mx.lower(form).body) == canonical(form.equation.body)


def test_every_form_in_the_zoo_is_confirmed_or_refused_with_a_reason():
    pytest.importorskip("torch")
    from tests.suites.zoo import ZOO

    count: Counter[bool] = Counter()
    for layer in ZOO[::6]:
        for program in both(layer.text, layer.wrt):
            found = list(forms(program))
            assert all(f.trials > 0 for f in found)
            count[True] += len(found)
            count[False] += len(program.equations) - len(found)
    assert count[True] > 5 * count[False], count


def test_random_programs_come_back():
    found = refused = 0
    for seed in range(40):
        for program in both(random_program(Random(seed))):
            confirmed = list(forms(program))
            assert all(f.trials > 0 for f in confirmed)
            found += len(confirmed)
            refused += len(program.equations) - len(confirmed)
    assert found > refused, (found, refused)


# -- what is wrong is refused ------------------------------------------------------------------------------------------------
def transposed_somewhere(a: mx.Node) -> Iterator[mx.Node]:
    """The tree with one leaf transposed, one sign turned, or one factor left out."""
    if isinstance(a, mx.Leaf) and a.subs.count(None) == 2:
        yield mx.Transpose(a)
    if isinstance(a, mx.Plus):
        yield mx.Plus(tuple((-s if k == 0 else s, t) for k, (s, t) in enumerate(a.terms)))
    if isinstance(a, mx.Hadamard):
        yield mx.Hadamard(a.parts[:-1]) if len(a.parts) > 2 else a.parts[0]
    for k, p in enumerate(mx.parts_of(a)):
        for wrong in transposed_somewhere(p):
            if isinstance(a, mx.Times):
                yield mx.Times((*a.parts[:k], wrong, *a.parts[k + 1 :]))
            elif isinstance(a, mx.Hadamard):
                yield mx.Hadamard((*a.parts[:k], wrong, *a.parts[k + 1 :]))
            elif isinstance(a, mx.Transpose):
                yield mx.Transpose(wrong)


@pytest.mark.parametrize("name", ["dense", "softmax", "scaled_dot_product_attention", "mlp", "gram", "elman"])
def test_a_corrupted_form_is_refused(name):
    program = layers.ALL[name].derivation.backward
    count = 0
    for form in forms(program):
        for wrong in transposed_somewhere(form.right):
            with pytest.raises(nd.MatrixFormError):
                confirm(mx.reading(program).whole, form.source, mx.lower(replace(form, right=wrong)))
            count += 1
    assert count > 1


@pytest.mark.parametrize("text", [
    "A[N] -> y\ny[i] = A[(i+1)//3] for i < N",
    "A[M], C[M,M] -> y\ny[m,j] = min(C[(j+m)//2,m], A[j]) for m < M, j < M",
])
def test_a_division_that_leaves_a_remainder_is_no_row_of_zeros(text: str) -> None:
    """↑ puts zeros between what it spreads, and such a read repeats it."""
    program = nd.parse(text)
    with pytest.raises(nd.MatrixFormError, match="leaves a remainder") as caught:
        mx.matrix_form(program, program.equations[0])
    assert not isinstance(caught.value, RefutedForm)
