"""The steps of a derivation are the moves of a person, each is confirmed, and a step that is wrong is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest

import nnderiv as nd
import nnderiv.confirm
import nnderiv.steps
from nnderiv.confirm import confirm
from nnderiv.draw import draw, flat
from nnderiv.errors import CheckError, EvaluationError, RefutedForm
from nnderiv.expr import COMPARISONS, DERIVATIVES, Expr, IntValue, Op, Read, add, conjunction, map_children, neg, num, walk
from nnderiv.expr import replace as expr_replace
from nnderiv.integer import Int
from nnderiv.layers import ALL
from nnderiv.matrix import Plus
from nnderiv.numbers import agree
from nnderiv.polynomial import additive_terms
from nnderiv.program import Equation, Program
from nnderiv.reasons import NAMES, equal
from nnderiv.step import Step, Steps
from nnderiv.steps import moves

DENSE = "X[N,I], W[I,O], b[O] -> Y\n Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]"
CONVOLUTION = """
    X[N,C,H], K[O,C,U], int s, int p -> Y
    Y[n,o,i] = sum[c,u](K[o,c,u]*X[n,c,s*i+u-p])  for i < (H + 2*p - U)//s + 1
"""
VOLUME = """
    X[D,H,W], K[3,3,3] -> Y
    Y[i,j,k] = sum[u,v,w](K[u,v,w]*X[2*i+u-1,2*j+v-1,2*k+w-1]) for i < (D+1)//2, j < (H+1)//2, k < (W+1)//2
"""
RECURRENT = "x[T], w, h0 -> h\n h[-1] = h0\n h[t] = tanh(w*h[t-1] + x[t])"
MEAN = "x[N], g[N] -> Y\n m = mean[n](x[n])\n Y[n] = g[n]*(x[n] - m)/(1 + m**2)"
LABELS = "S[N,M], y[N,M] -> L\n L = -sum[n,m](y[n,m]*log_softmax[m](S[n,m]))\n given sum[m](y[n,m]) = 1"
SOFTMAX = "S[N,M] -> P\n P[n,m] = softmax[m](S[n,m])"
MAXIMUM = "X[N,H] -> Y\n Y[n,i] = max[u](X[n,2*i+u]) for u < 2"
CAUSAL = "a[N], b[N] -> Y\n Y[i] = sum[j](where(j <= i, a[j]*b[i], 0))"


def rules(text: str, wrt: str) -> list[str]:
    return [s.rule for s in nd.derive(text)[wrt].steps]


def in_indices(text: str, wrt: str) -> list[Step]:
    """The steps that lead to the index form."""
    return [s for s in nd.derive(text)[wrt].steps if s.rule != NAMES["matrix"]]


# -- what the reasons say --------------------------------------------------------------------------------------------------
def told(derivation: nd.Derivation, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Expr, Expr]]:
    """The equations between expressions that the reasons of all gradients state."""
    found: list[tuple[Expr, Expr]] = []

    def note(left, right):
        found.append((left, right))
        return equal(left, right)

    with monkeypatch.context() as m:
        m.setattr(nnderiv.steps, "equal", note)
        m.setattr(nnderiv.confirm, "confirm", lambda ground, steps: tuple(steps))  # the lines are confirmed elsewhere
        for gradient in derivation:
            assert gradient.steps
    return [(a, b) for a, b in dict.fromkeys(found) if isinstance(a, Expr) and isinstance(b, Expr) and not isinstance(a, Read)]


def value_at(e: Expr, numbers: dict[Expr, Fraction]) -> object:
    """The value of an expression where its reads, sizes and indices are these numbers."""
    names = {leaf: Read(f"v{k}", ()) for k, leaf in enumerate(numbers)}
    text = f"{', '.join(r.tensor for r in names.values())} -> L\nL = {expr_replace(e, names)}"
    return nd.evaluate(text, {f"v{k}": x for k, x in enumerate(numbers.values())})["L"]


def slope_holds(derivative: Op, claimed: Expr) -> bool:
    """Whether a central difference, with a step of 1e-15, confirms ∂e/∂A = …"""
    e, read = derivative.args[:2]
    rng, step = Random(0), Fraction(1, 10**15)
    numbers = {leaf: Fraction(rng.randint(3, 30), 31) for x in (e, claimed, read) for leaf in walk(x) if isinstance(leaf, Read | IntValue)}
    above, below = (value_at(e, numbers | {read: numbers[read] + h}) for h in (step, -step))
    found, wanted = (above - below)/(2*step), value_at(claimed, numbers)
    return abs(found - wanted) < 1e-12*(1 + abs(wanted))


REASONED = [
    LABELS, RECURRENT, MEAN,
    "m[D], s[D] -> L\n L = -sum[d](1 + s[d] - m[d]**2 - exp(s[d]))/2",  # −1/2 stands before the derivative
    "X[N,D], w[D], a -> L\n L = sum[n](tanh(sum[d](X[n,d]*w[d]))**2) + a*sum[d](w[d]**2)/2",
    "x[D], y[D] -> c\n c = sum[d](x[d]*y[d])/(sqrt(sum[d](x[d]**2))*sqrt(sum[d](y[d]**2)))",
    "Z[N,K] -> L\n p[n,k] = softmax[k](Z[n,k])\n L = -3*sum[n,k](p[n,k]*log(p[n,k]))/N",
    "x[N], a -> y\n y[n] = -x[n]*sigmoid(a*x[n])/2",
]


@pytest.mark.parametrize("text", REASONED)
def test_a_derivative_that_a_reason_states_is_that_derivative(text, monkeypatch):
    stated = [(a, b) for a, b in told(nd.derive(text), monkeypatch) if isinstance(a, Op) and a.op == "partial"]
    assert stated and all(slope_holds(a, b) for a, b in stated), [f"{a} = {b}" for a, b in stated if not slope_holds(a, b)]


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_derivative_that_a_layer_states_is_that_derivative(name, monkeypatch):
    stated = [(a, b) for a, b in told(ALL[name].derivation, monkeypatch) if isinstance(a, Op) and a.op == "partial"]
    for a, b in stated:
        if not any(isinstance(n, Op) and n.op in ("where", *COMPARISONS) for n in walk(a)):  # an index decides: no number of ours
            assert slope_holds(a, b), f"{a} = {b}"


def test_what_a_reason_recognises_is_an_equation(monkeypatch):
    """A quotient is known by its value as a whole: c_sum is not c, nor is T² here T."""
    cosine = {f"{a} = {b}" for a, b in told(nd.derive(REASONED[5]), monkeypatch) if not isinstance(a, Op) or a.op != "partial"}
    assert "c_sum/(sqrt(c_sum2)*c_sum3**1.5) = c/c_sum3" in cosine and not any(fact.startswith("c_sum =") for fact in cosine)
    warm = nd.derive("s[N], T -> L\n q[n] = s[n]/T\n L = sum[n](exp(q[n]))")
    assert "s[n]/T**2 = q[n]/T" in {f"{a} = {b}" for a, b in told(warm, monkeypatch)}


# -- all layers --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(ALL))
def test_the_steps_of_every_layer_are_confirmed_and_end_at_the_gradient(name):
    derivation = ALL[name].derivation
    gradient = next(iter(derivation))
    found = gradient.steps
    assert found and all(s.trials >= 3 and s.reason and s.latex for s in found)
    assert all((s.probability is None) != (s.digits is None) or "given" in str(derivation.forward) for s in found)
    last = [s for s in found if s.rule != NAMES["matrix"]][-1]
    assert last.after.body == nd.derive(derivation.forward, wrt=(gradient.wrt,))[gradient.wrt].definition.body


def test_each_step_begins_where_the_last_one_of_its_tensor_ended():
    for text, wrt in ((CONVOLUTION, "X"), (RECURRENT, "w"), (LABELS, "S"), (MEAN, "x")):
        last: dict[str, object] = {}
        for s in nd.derive(text)[wrt].steps:
            assert s.before.tensor == s.after.tensor == s.of
            assert s.before.body == last.get(s.of, s.before.body)
            assert s.before.body != s.after.body or s.rule == "matrix form"  # what does nothing is no step
            if s.of not in last:
                assert isinstance(s.before.body, Op) and s.before.body.op == "total"
            last[s.of] = s.after.body


# -- the moves: a test for each row of the table of the one rule -------------------------------------------------------------
def test_a_weight_is_solved_for_and_recognised_as_a_matrix_product():
    assert rules(DENSE, "W") == [
        "chain rule", "Kronecker delta", "differentiate the summand", "solve the subscript", "matrix form"]
    found = nd.derive(DENSE)["W"].steps
    assert found[-1].latex == nd.derive(DENSE)["W"].latex(form="matrix") and r"X^{\top}" in found[-1].latex
    assert "∂(X[n,i′]*W[i′,o′])/∂W[i′,o′] = X[n,i′]" in found[2].reason


def test_in_a_convolution_the_subscript_is_solved_and_the_kernel_turns():
    found = nd.derive("X[H], K[U] -> Y\n Y[i] = sum[u](K[u]*X[i+u])")["X"].steps
    solve = next(s for s in found if s.rule == "solve the subscript")
    assert "i + u = a means i = a - u" in solve.reason
    assert "dY[a-u]" in str(solve.after)
    assert any(s.rule == "out of range is 0" and "dY[a-u]" in s.reason for s in found)


@pytest.mark.parametrize(("text", "wrt", "kinds"), [
    (DENSE, "W", ["product of matrices"]),
    ("X[H], K[U] -> Y\n Y[i] = sum[u](K[u]*X[i+u])", "X", ["convolution"]),
    ("X[H], K[U] -> Y\n Y[i] = sum[u](K[u]*X[i+u])", "K", ["cross-correlation"]),
    ("X[N,K], W[K,K] -> Y\n Y[n,k] = tanh(sum[l](X[n,l]*W[l,k]))", "X", ["product of matrices"]),
    ("x[N], y[N] -> z\n z[n] = x[n]*y[n]", "x", ["element by element"]),
    ("A[N,M], B[N,M], C[M,K] -> Y\n Y[n,k] = sum[m](A[n,m]*B[n,m]*C[m,k])", "A", ["product of matrices", "element by element"]),
    ("x[N] -> y\n y[n] = 2*x[n]", "x", []),
])
def test_a_matrix_form_says_which_products_are_in_it(text, wrt, kinds):
    """What it says is there, and nothing else: a convolution is no product of matrices."""
    said = nd.derive(text)[wrt].steps[-1]
    every = ["product of matrices", "cross-correlation", "convolution", "element by element"]
    assert said.rule == NAMES["matrix"] and [k for k in every if k in said.reason] == kinds


def test_terms_that_are_solved_alike_are_told_once():
    """The mean is over n and the result is at (n, d): whichever index is solved first, both terms say the same."""
    *_, solve = [s for s in ALL["batch_norm"].derivation["X"].steps if s.rule == "solve the subscript"]
    assert solve.reason == "n′ = n and d′ = d."


def test_what_has_only_to_be_renamed_means_itself():
    """The ranges of a padded read are no equations: what is solved is said, and they follow where they still are conditions."""
    solve = next(s for s in ALL["conv2d"].derivation["K"].steps if s.rule == "solve the subscript")
    assert solve.reason.startswith("o′ = o, c′ = c, u′ = u and v′ = v, where 0 <= i*s + d*u - p")


def test_a_verb_agrees_with_what_it_says_something_of():
    one, two = (nd.derive(f"X[{h}], K[{u}] -> Y\n Y[{i}] = sum[{w}](K[{w}]*X[{x}])")["X"].steps
                for h, u, i, w, x in (("H", "U", "i", "u", "i+u"), ("H,W", "U,V", "i,j", "u,v", "i+u,j+v")))
    assert "i + u = a means i = a - u" in one[3].reason and "i + u = a and j + v = b mean i = a - u and j = b - v" in two[3].reason
    assert two[4].reason.endswith("b - v < W - V + 1 say nothing new.") and "is there already" in two[4].reason


def test_what_several_terms_need_not_say_is_told_once():
    """Four gates read the state: one sentence names the four reads that are 0 after the last time."""
    outside = [s.reason for s in ALL["lstm"].derivation["h0"].steps if s.rule == NAMES["drop_implied"] and s.of == "dh_total"]
    assert outside == ["A read outside its range is 0, and di_in[t+1,n,k′], df_in[t+1,n,k′], dg_in[t+1,n,k′] and do_in[t+1,n,k′] are "
                       "there already, so t + 1 < T says nothing new."]


def test_a_stride_must_divide():
    solve = next(s for s in nd.derive(CONVOLUTION)["X"].steps if s.rule == "solve the subscript")
    assert "i = (p + a - u)//s" in solve.reason and "(p + a - u) % s == 0" in solve.reason


def test_the_sum_over_the_batch_stays_in_the_gradient_of_a_bias():
    solve = next(s for s in nd.derive(DENSE)["b"].steps if s.rule == "solve the subscript")
    assert solve.reason == "o′ = o; the sum over n stays." and str(solve.after) == "db[o] = sum[n](dY[n,o])"


def test_time_runs_backwards():
    solve = next(s for s in nd.derive(RECURRENT)["x"].steps if s.rule == "solve the subscript" and s.of == "dh_total")
    assert "t′ - 1 = t means t′ = t + 1" in solve.reason


def test_an_intermediate_is_called_by_its_name():
    found = [s for s in nd.derive(RECURRENT)["x"].steps if s.rule == "recognise what has a name"]
    assert found and "tanh(h_in[t′]) = h[t′]" in found[0].reason or "= h[" in found[0].reason
    assert "h[t′]**2" in str(found[0].after).replace("_", "′")


def test_on_a_diagonal_a_kronecker_delta_remains():
    found = in_indices("A[N,N] -> y\n y[i] = A[i,i]", "A")
    assert found[-1].rule != "Kronecker delta" and "where(" in str(found[-1].after)


def test_where_the_index_is_data_the_condition_remains():
    found = in_indices("E[V,D], int tok[N] -> Y\n Y[n,d] = E[tok[n],d]", "E")
    assert "where(tok[n] == a" in str(found[-1].after)


def test_a_maximum_says_how_it_is_shared():
    assert any("in equal parts" in s.reason for s in nd.derive(MAXIMUM)["X"].steps)


def test_where_equal_values_meet_everywhere_the_steps_begin_with_the_convention():
    found = nd.derive("x[N] -> Y\n a[n] = x[n]*x[n]\n b[n] = x[n]**2\n Y[n] = max(a[n], b[n])")["x"].steps
    assert found[0].rule == "chain rule" and "convention" in found[0].reason and found[0].trials >= 3
    assert not any(isinstance(n, Op) and n.op in DERIVATIVES for s in found for n in walk(s.after.body))


def test_a_given_is_used_and_named():
    used = [s for s in nd.derive(LABELS)["S"].steps if s.rule == "use what is given"]
    assert len(used) == 1 and used[0].reason == "What is given evaluates the sum: sum[m](y[n,m]) = 1."
    without = nd.derive(LABELS.partition("\n given")[0])["S"].steps
    assert all(s.rule != "use what is given" for s in without)


def test_a_gradient_that_is_known_is_put_in():
    found = nd.derive(LABELS)["S"].steps
    assert any(s.rule == "put in what is known" and s.reason == "We know that dL_lse[n′] = 1." for s in found)


def test_what_is_known_is_said_in_the_letters_of_the_line():
    text = "z[N], y[N] -> L\np[n] = sigmoid(z[n])\nL = -mean[n](y[n]*log(p[n]) + (1 - y[n])*log(1 - p[n]))"
    known = [s.reason for s in nd.derive(text)["z"].steps if s.rule == "put in what is known"]
    assert known == ["We know that dp[n′] = ((1 - y[n′])/(1 - p[n′]) - y[n′]/p[n′])/N."]


def test_subscripts_that_are_solved_alike_are_named_once():
    text = "X[N,D], Q[D,K], V[D,E] -> A, B\nA[n,k] = sum[d](X[n,d]*Q[d,k])\nB[n,e] = sum[d](X[n,d]*V[d,e])"
    solve = next(s for s in nd.derive(text)["X"].steps if s.rule == "solve the subscript")
    assert solve.reason == "n′ = n and d′ = d; the sums over k and e stay."


def test_every_rule_has_a_name_of_its_own():
    assert len(set(NAMES.values())) == len(NAMES)


# -- evidence ----------------------------------------------------------------------------------------------------------------
def test_a_rational_step_states_how_likely_a_false_one_would_pass():
    for s in nd.derive(DENSE)["W"].steps:
        assert s.digits is None and s.probability is not None and 0 < s.probability < Fraction(1, 10**9)


def test_a_step_with_a_function_states_to_how_many_digits():
    for s in nd.derive(RECURRENT)["w"].steps:
        assert s.probability is None and s.digits == 40


def test_the_matrix_form_is_a_step_that_is_evaluated_like_the_others():
    """Before it stands the index form, after it the form lowered to indices again; and it states its own evidence."""
    *_, last, form = nd.derive(DENSE)["W"].steps
    assert form.rule == NAMES["matrix"] and form.before == last.after and form.after is not last.after
    assert form.trials == 3 and form.probability is not None and 0 < form.probability < Fraction(1, 10**11) and form.digits is None
    *_, form = nd.derive(RECURRENT)["w"].steps
    assert form.rule == NAMES["matrix"] and form.trials == 3 and form.probability is None and form.digits == 40


def test_a_read_that_is_always_outside_is_told_to_vanish():
    found = nd.derive("x[N] -> L\n L = x[-1]**2")["x"].steps
    decided = next(s for s in found if s.rule == NAMES["settle_conditions"])
    assert str(decided.after.body) == "0"
    assert decided.reason == "Wherever the indices run, 0 = a + 1 never holds: the term vanishes."
    assert all(len(s.reason) > 1 for s in found)


def test_a_superscript_that_is_divided_keeps_its_condition():
    """A matrix is of two axes: along the third one of a strided convolution nothing stands for the zeros between."""
    *_, form = nd.derive(VOLUME)["X"].steps
    assert form.rule == NAMES["matrix"] and form.trials == 3 and "% 2 == 0" in str(form.after)
    assert r"[2 \mid c - w + 1]" in form.latex


@pytest.mark.parametrize(("text", "wrt"), [(DENSE, "W"), (DENSE, "b"), (LABELS, "S"), (SOFTMAX, "S")])
def test_a_corrupted_matrix_form_is_never_displayed_and_costs_no_other_step(text, wrt, monkeypatch):
    from nnderiv.matrix import form as forms

    honest = forms.recognised

    def negated(*of):
        found = honest(*of)
        return replace(found, right=Plus(((-1, found.right),)))

    *others, last = nd.derive(text)[wrt].steps
    assert last.rule == NAMES["matrix"]
    gradient = nd.derive(text)[wrt]
    monkeypatch.setattr(forms, "recognised", negated)
    assert [s.after for s in gradient.steps] == [s.after for s in others]
    with pytest.raises(RefutedForm, match="has no matrix form: the one found is"):
        gradient.latex(form="matrix")


CASES = [(DENSE, "W"), (CONVOLUTION, "X"), (RECURRENT, "w"), (MEAN, "x"), (LABELS, "S"), (SOFTMAX, "S"), (MAXIMUM, "X"), (CAUSAL, "a")]


@pytest.mark.parametrize(("text", "wrt"), CASES)
def test_a_corrupted_step_is_refused(text, wrt):
    """A sign, a factor, a shifted subscript, a dropped term or condition, another size: at every step, on the side it leads to."""
    ground, found = moves(nd.parse(text), wrt)
    assert confirm(ground, found)
    kinds = set()
    for s in found:
        for kind, after in corruptions(s.after):
            if not _means_the_same(ground.complete, s.after, after):
                with pytest.raises(CheckError, match="does not hold"):
                    confirm(ground, [replace(s, after=after)])
                kinds.add(kind)
    assert {"sign", "factor", "shift"} <= kinds and len(kinds) >= 4


@pytest.mark.parametrize(("text", "wrt"), CASES[:4])
def test_a_step_from_a_wrong_line_is_refused(text, wrt):
    ground, found = moves(nd.parse(text), wrt)
    for s in found:
        for kind, before in corruptions(s.before):
            if kind in ("sign", "factor"):
                with pytest.raises(CheckError, match="does not hold"):
                    confirm(ground, [replace(s, before=before)])


def test_a_derivative_by_another_element_is_refused():
    ground, found = moves(nd.parse("x[N] -> y\n y[n] = x[n]*x[n-1]"), "x")
    for side in (found[0].before, found[0].after):
        shifted = replace(side, body=_map(side.body, lambda n: Op(n.op, (n.args[0], _shifted(n.args[1])))
                                          if isinstance(n, Op) and n.op in ("whole", "total") else n))
        with pytest.raises(CheckError, match="does not hold"):
            confirm(ground, [replace(found[0], before=shifted if side is found[0].before else found[0].before,
                                     after=shifted if side is found[0].after else found[0].after)])


def corruptions(e: Equation) -> Iterator[tuple[str, Equation]]:
    """The equation, wrong in one way after the other."""
    yield "sign", replace(e, body=neg(e.body))
    yield "factor", replace(e, body=num(2)*e.body)
    for read in dict.fromkeys(n for n in walk(e.body) if isinstance(n, Read) and n.subs):
        if not _within_derivative(e.body, read):
            yield "shift", replace(e, body=_map(e.body, lambda n, read=read: _shifted(read) if n == read else n))
    terms = additive_terms(e.body)
    for k in range(len(terms) if len(terms) > 1 else 0):
        yield "term", replace(e, body=add([t if sign > 0 else neg(t) for j, (sign, t) in enumerate(terms) if j != k]))
    for condition in dict.fromkeys(c for n in walk(e.body) if isinstance(n, Op) and n.op == "where" for c in _parts(n.args[0])):
        yield "condition", replace(e, body=_map(e.body, lambda n, c=condition: _without(n, c)))
    for value in dict.fromkeys(n for n in walk(e.body) if isinstance(n, IntValue) and n.value.name in ("N", "M", "T", "H")):
        yield "size", replace(e, body=_map(e.body, lambda n, v=value: IntValue(v.value + 1) if n == v else n))


def _parts(c: Expr) -> tuple[Expr, ...]:
    return c.args if isinstance(c, Op) and c.op == "and" else (c,)


def _without(n: Expr, c: Expr) -> Expr:
    if isinstance(n, Op) and n.op == "where" and c in _parts(n.args[0]):
        rest = conjunction([d for d in _parts(n.args[0]) if d != c])
        return Op("where", (rest, *n.args[1:])) if rest.op != "true" else n.args[1]
    return n


def _within_derivative(body: Expr, read: Read) -> bool:
    """What stands in a derivative that is not carried out has its own test."""
    return any(isinstance(n, Op) and n.op in DERIVATIVES and read in list(walk(n)) for n in walk(body))


def _shifted(e: Expr) -> Expr:
    assert isinstance(e, Read)
    return Read(e.tensor, (*e.subs[:-1], e.subs[-1] + Int.of(1)))


def _map(e: Expr, f) -> Expr:
    return f(map_children(lambda c: _map(c, f), e))


def _means_the_same(program: Program, a: Equation, b: Equation) -> bool:
    """Whether the corruption changes nothing (the condition was implied): asked of the interpreter, at samples of its own."""
    if a.body == b.body:
        return True
    if any(isinstance(n, Op) and n.op in DERIVATIVES for n in walk(a.body)):
        return False
    sides = tuple(replace(e, tensor=name) for e, name in ((a, "side_a"), (b, "side_b")))
    shape = tuple(a.ranges[i] for i in a.indices)
    wide = replace(program, equations=(*program.equations, *sides), shapes={**program.shapes, "side_a": shape, "side_b": shape},
                   outputs=("side_a", "side_b"))
    rng = Random(1)
    for _ in range(8):
        try:
            values = nd.evaluate(wide, draw(program, rng, largest=4, mode="positive").inputs)
        except EvaluationError:
            continue
        if not all(agree(x, y) for x, y in zip(flat(values["side_a"]), flat(values["side_b"]), strict=True)):
            return False
    return True


# -- display -----------------------------------------------------------------------------------------------------------------
def test_steps_are_a_tuple_that_shows_itself():
    found = nd.derive(LABELS)["S"].steps
    assert isinstance(found, tuple) and isinstance(found, Steps) and all(isinstance(s, Step) for s in found)
    text = str(found)
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("dL_lse[n] = dL/dL_lse[n]\n  chain rule: ") and "\ndS[n,m] = dL/dS[n,m]\n" in text
    assert " ".join(text.split()).endswith("to at least 40 digits.")


def test_where_no_output_depends_on_an_input_there_is_no_step():
    found = nd.derive("a[N], b -> y\n y[n] = a[n]")["b"].steps
    assert found == () and str(found) == found._repr_markdown_() == "There is nothing to derive: no output depends on it."


def test_the_gradients_it_rests_on_fold():
    page = nd.derive(LABELS)["S"].steps._repr_markdown_()
    assert page.count("<details>") == page.count("</details>") == 1 and "<summary>dL_lse: " in page
    assert page.index("</details>") < page.index(r"\mathrm{d}S_{n,m} = \frac{\mathrm{d}L}{\mathrm{d}S_{n,m}}")
    assert page.count("$$") % 2 == 0 and "**Kronecker delta.**" in page


def test_a_document_is_one_of_its_own():
    d = nd.derive(LABELS)
    page = d.document()
    assert page.startswith(r"\documentclass{article}") and page.endswith(r"\end{document}")
    assert _balanced(page) and page.count("$") % 2 == 0 and page.isascii()
    for name in ("S", "y"):
        assert rf"The gradient with respect to ${name}$" in page
    assert d["S"].latex() in page and r"\textbf{Use what is given.}" in page
    assert r"\textbf" not in d.document(steps=False)


def test_a_document_says_in_ascii_what_a_title_says():
    """TeX stops at a character that its fonts lack: sums and roots become mathematics, others are called by their names."""
    program = replace(nd.parse(DENSE), title="softmax(Q Kᵀ/√D) V – σ ≤ 1, 50% of a_b 😀")
    page = nd.derive(program).document(steps=False)
    assert page.isascii() and _balanced(page)
    assert r"Softmax(Q K$^{\top}$/$\surd$D) V -- $\sigma$ $\le$ 1, 50\% of a\_b [grinning face]" in page


def _balanced(page: str) -> bool:
    """Braces that match, and environments that end in the order in which they began."""
    depth = 0
    for before, c in zip(" " + page, page, strict=False):
        depth += (c == "{" and before != "\\") - (c == "}" and before != "\\")
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("text", [
    "u0[N], k, int T -> u\nu[0,i] = u0[i]\nu[t,i] = u[t-1,i] + k*(u[t-1,i+1] - 2*u[t-1,i] + u[t-1,i-1]) for t < T",
    "u0, k, int T -> u\nu[0] = u0\nu[t] = u[t-1]*k for t < T",
])
def test_a_gradient_with_a_base_case_is_confirmed_at_the_places_of_its_equation(text):
    d = nd.derive(text)
    assert len(d.backward.definitions["du_total"]) == 2
    for wrt in ("u0", "k"):
        steps = d[wrt].steps
        assert {s.of for s in steps} >= {"du_total"} and all(s.trials > 0 for s in steps)
