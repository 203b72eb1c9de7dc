"""The notation: what each name is, how lines go on, and that what is printed reads back."""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest

import nnderiv as nd
from nnderiv import elsewhere


def refused(text: str) -> str:
    with pytest.raises(nd.NotationError) as caught:
        nd.parse(text)
    return str(caught.value)


def value(text: str, **inputs: object) -> object:
    (result,) = nd.evaluate(text, inputs).values()
    return result


def test_a_name_is_what_its_first_use_makes_it() -> None:
    p = nd.parse("X[N,I], int s, int tok[N], eps -> Y\nY[n,i] = X[n,s*i] + eps*tok[n]")
    assert p.sizes == ("N", "I")
    assert p.parameters == ("s",)
    assert p.real_inputs == ("X", "eps")
    assert p.kinds["tok"] == "int"


def test_one_name_has_one_role() -> None:
    assert "N is not an index" in refused("X[N] -> Y\nY[N] = X[0] for N < 3")
    assert "already" in refused("X[N], N[M] -> Y\nY[n] = X[n]")
    assert "already" in refused("X[N] -> Y\nY = sum[N](X[N])")


def test_every_size_is_given_by_a_shape() -> None:
    assert "No shape gives the size M" in (said := refused("X[N*M] -> L\nL = sum[i](X[i])"))
    assert "X[N*M]" in said and "int M" in said
    assert "No shape gives the size N" in refused("X[N//2] -> L\nL = sum[i](X[i])")
    assert value("int M, X[N*M] -> L\nL = N*sum[i](X[i])", M=2, X=[1, 2, 3, 4, 5, 6]) == 63


def test_a_size_is_solved_for_beside_parameters_and_sizes_that_are_known() -> None:
    assert value("X[C*r*r], int r -> y\ny[c] = X[r*r*c] for c < C", X=list(range(12)), r=2) == [0, 4, 8]
    assert value("X[s*M+t*M], int s, int t -> L\nL = M", X=[0]*10, s=2, t=3) == 2
    assert "No shape gives the size M" in refused("X[s*M-t*M], int s, int t -> L\nL = M")
    groups = "x[G*C], w[G*O,C] -> y\ny[o] = sum[c](w[o,c]*x[(o//O)*C+c])"
    x, w = np.arange(6.0), np.arange(24.0).reshape(8, 3)          # C is w.shape[1], so G = 2, so O = 4
    expected = np.einsum("goc,gc->go", w.reshape(2, 4, 3), x.reshape(2, 3)).reshape(8)
    assert value(groups, x=x.tolist(), w=w.tolist()) == expected.tolist()
    module = nd.derive(groups).compile()
    y, residuals = module.forward(x=x, w=w)
    np.testing.assert_allclose(y, expected)
    dy = np.arange(1.0, 9.0)
    np.testing.assert_allclose(module.backward(residuals, dy=dy).dw, (dy.reshape(2, 4, 1)*x.reshape(2, 1, 3)).reshape(8, 3))
    with pytest.raises(ValueError, match="w has shape"):
        module.forward(x=x, w=w[:7])
    empty, _ = module.forward(x=np.zeros(0), w=np.zeros((0, 0)))  # a size that is 0 divides nothing
    assert empty.shape == (0,)


def test_a_range_that_depends_on_an_index_is_refused_as_such() -> None:
    said = refused("x[N] -> y\ny[l,i] = x[i+l] for l < N, i < N - l")
    assert "The range of i cannot depend on the index l" in said and "where" in said


def test_a_range_that_ends_at_a_name_that_nobody_declares_says_how_to_declare_it() -> None:
    with pytest.raises(nd.NotationError) as error:
        nd.parse("x[N], y[N] -> L\nL = sum[i](x[i]*y[i]) for i < M")
    assert "M is not a size" in str(error.value) and "int M" in str(error.value) and "Sum over" not in str(error.value)


def test_an_element_of_a_value_is_refused_with_what_to_do() -> None:
    said = refused("S[N,N] -> L\nL = sum[i](log_softmax[j](S[i,j])[i])")
    assert "Only a tensor has elements" in said and "an equation of its own" in said


def test_sympy_names_are_plain_names() -> None:
    assert value("E[N,I], S[N] -> Q\nQ[i] = sum[n](E[n,i]*S[n])", E=[[1, 2]], S=[3]) == [3, 6]
    assert value("I[N], O -> beta\nbeta[n] = I[n]*O", I=[1, 2], O=5) == [5, 10]


def test_lines_continue_in_brackets_and_signatures_until_their_arrow() -> None:
    text = """
    x[N],    # first
    y[N]
    -> z     # out

    z[n] = (x[n]
            + y[n])   # sum
    """
    assert value(text, x=[1], y=[2]) == [3]


def test_the_first_comment_is_the_title() -> None:
    assert nd.parse("# Elman network\nx[N] -> y\ny[n] = x[n]").title == "Elman network"


@pytest.mark.parametrize(("written", "shown"), [
    ("a\0b", "a\N{REPLACEMENT CHARACTER}b"), ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
    ("\x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
    ("a\tb\x85c\u2028d", "a b c d"), ("Q Kᵀ/√D 😀", "Q Kᵀ/√D 😀"), ('"""\\N{x}\\', '"""\\N{x}\\'),
])
def test_a_title_is_one_line_that_every_file_can_hold(written: str, shown: str) -> None:
    d = nd.derive(f"# {written}\nx[N] -> y\ny[n] = x[n]")
    assert d.forward.title == shown and nd.parse(str(d.forward)).title == shown
    assert d.compile().forward(x=np.ones(2))[0].tolist() == [1, 1] and d.numpy().encode() and d.document().encode()


def test_precedence_is_that_of_python() -> None:
    for e in ("2 + 3*x**2", "-x**2", "2**-1*x", "x - 1 - 2", "x/2/4", "2**3**2*x", "-2*x", "(x + 1)*-2", "+x"):
        assert value(f"x -> y\ny = {e}", x=3) == Fraction(eval(e, {"x": Fraction(3)})), e


def test_comparisons_chain() -> None:
    assert value("x[N] -> y\ny[n] = where(0 < n <= 2, x[n], 0)", x=[1, 1, 1, 1]) == [0, 1, 1, 0]
    assert value("x[N] -> y\ny[n] = where(not n == 1 and n < 3 or n == 4, 1, 0)*x[n]", x=[1] * 5) == [1, 0, 1, 0, 1]


def test_decimals_are_exact() -> None:
    assert value("x -> y\ny = 0.1*x + 1e-3", x=1) == Fraction(101, 1000)


def test_a_given_is_kept() -> None:
    p = nd.parse("y[T,M] -> L\nL = sum[t,m](y[t,m])\ngiven sum[m](y[t,m]) = 1")
    assert len(p.givens) == 1
    assert "given sum[m](y[t,m]) = 1" in str(p)


PRINTED = (
    "X[N,I], W[I,O], b[O] -> Y\n\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]",
    "x[T,K], h0[K] -> h\n\nh[-1,k] = h0[k]\nh[t,k] = tanh(h[t-1,k] + x[t,k])",
    "X[H], W[U], int s, int p -> Y\n\nY[i] = sum[u](W[u]*X[i*s+u-p])  for i < (H - U + 2*p)//s + 1",
    "x[N], a -> y, m\n\nm = max[n](abs(x[n]))\ny[n] = a*x[N-n-1]/m + where(n % 2 == 0 and x[n] > 0, n//2, 1/3)",
    "A[N,M] -> P\n\nP[i,j] = softmax[j](where(j <= i, A[i,j], -inf))",
    "x[N] -> y\n\ny[n] = x[n]**2 - (x[n] - 1)*(-x[n] + 2)/(3*x[n])",
    "B[M] -> y\n\ny[i,j] = (i - j) + B[i]  for j < M",
    "B[M] -> y\n\ny[i,j] = i - j + B[i]  for j < M",
    "B[M] -> y\n\ny[i,j] = (i*j)*B[i]  for j < M",
)


@pytest.mark.parametrize("text", PRINTED)
def test_what_is_printed_reads_back(text: str) -> None:
    p = nd.parse(text)
    assert nd.parse(str(p)) == p
    assert str(nd.parse(str(p))) == str(p)


def test_plain_programs_print_as_they_were_written() -> None:
    for text in PRINTED[:2]:
        assert str(nd.parse(text)) == text


def test_a_letter_may_be_bound_again_beside_its_first_reduction() -> None:
    assert value("x[N], y[M] -> s\ns = sum[i](x[i])*sum[i](y[i])", x=[1, 2], y=[1, 2, 3]) == 18


# -- what is written elsewhere ---------------------------------------------------------------------------------------------------
SAME = {
    "prod": ("prod[c](x[n,c])", lambda x: x.prod(1)),
    "var": ("var[c](x[n,c])", lambda x: x.var(1)),
    "std": ("std[c](2*x[n,c])", lambda x: (2 * x).std(1)),
    "norm": ("norm[c](x[n,c] + 1)", lambda x: np.linalg.norm(x + 1, axis=1)),
    "average": ("average[c](x[n,c])", lambda x: x.mean(1)),
    "count": ("count[c](x[n,c] > 2)", lambda x: (x > 2).sum(1)),
    "any": ("any[c](x[n,c] > 3)", lambda x: (x > 3).any(1)),
    "all": ("all[c](x[n,c] > 1)", lambda x: (x > 1).all(1)),
    "Max": ("Max[c](x[n,c])", lambda x: x.max(1)),
    "argmax": ("argmax[c](x[n,c])", lambda x: (x == x.max(1, keepdims=True)).T),
    "argmin": ("argmin[c](x[n,c])", lambda x: (x == x.min(1, keepdims=True)).T),
    "cumsum": ("cumsum[i](x[i])", lambda x: x.cumsum()),
    "cumprod": ("cumprod[i](x[i])", lambda x: x.cumprod()),
}


@pytest.mark.parametrize("name", SAME)
def test_a_reduction_of_another_language_is_told_as_it_is_written_here(name: str) -> None:
    """What the message says to write has the value that NumPy gives."""
    written, there = SAME[name]
    signature, x = "x[N,C] -> y\n", np.array([[1, 2, 4], [3, 1, 2]])
    said = refused(f"{signature}y[n] = {written}")
    assert f"There is no reduction '{name}'; there are sum, max, min, mean, logsumexp, softmax, log_softmax." in said
    repair = re.search(r"Write (.*?)(?:, (?:which|a recurrence)| where|\.$)", said.splitlines()[-1])
    assert repair is not None, said
    if name.startswith("cum"):
        equation, start = repair[1], {"cumsum": "s[-1] = 0", "cumprod": "p[-1] = 1"}[name]
        assert f"with {start}" in said
        found, expected = value(f"x[N] -> {start[0]}\n{start}\n{equation}", x=x[0]), there(x[0])
    else:
        found = value(f"{signature}y[{'c,' * name.startswith('arg')}n] = {repair[1]}", x=x)
        expected = there(x)
    assert np.allclose(np.array(found, dtype=float), expected)


def test_a_product_of_any_sign_is_the_recurrence_that_the_message_names() -> None:
    assert "p[-1] = 1 and p[i] = p[i-1]*x[i]" in refused("x[N] -> y\ny = prod[i](x[i])")
    assert value("x[N] -> y\np[-1] = 1\np[i] = p[i-1]*x[i]\ny = p[N-1]", x=[-2, 3, 5]) == -30


def test_no_reduction_is_pointed_at_where_it_stands() -> None:
    assert refused("x[N] -> y\ny = 2*foo[i](x[i])").startswith("line 2, column 7:")
    assert "tanh is a function of one number" in refused("x[N] -> y\ny[n] = tanh[n](x[n])")
    assert "Write * for a product: x[n]*(…)." in refused("x[N], a -> y\ny[n] = x[n](a + 1)")
    assert "exp(sum[i](log(…)))" in refused(f"x[N] -> y\ny = prod[i]({'x[i] + ' * 20}1)")


CHARACTERS = {"x[n]^2": "**", "x[n]\u00b2": "x**2", "x[n]\u00b3": "x**3", "where(x[n] > 0 & n > 0, 1, 0)": "`and`",
              "where(x[n] > 0 | n > 0, 1, 0)": "`or`", "where(!(x[n] > 0), 1, 0)": "`not`", "where(~(x[n] > 0), 1, 0)": "`not`",
              "x[n] > 0 ? 1 : 0": "where(condition, a, b)", "x @ x": "sum[k]", "x'": "A[j,i]", "x.sum()": "sum[i]", "x[n];": "line",
              "x[1:]": "x[n+1]", "1 \u2212 x[n]": "-", "2\u00b7x[n]": "*", "2\u00d7x[n]": "*", "x[n]\u00f72": "/",
              "where(n \u2264 1, x[n], 0)": "<=", "where(n \u2265 1, x[n], 0)": ">=", "where(n \u2260 1, x[n], 0)": "!=",
              "\u2211x[n]": "sum[i](…)", "\u03a3x[n]": "sum[i](…)", "\u220fx[n]": "exp(sum[i](log(…)))", "\u221ax[n]": "sqrt(…)",
              "\u221e": "inf", "\u03c0*x[n]": "pi", "x[n] \u2192 1": "->", "x[n] + \\\n1": "open bracket", "{x[n]}": "( )",
              "\ufeffx[n]": "utf-8-sig"}


@pytest.mark.parametrize("written", CHARACTERS)
def test_a_character_of_another_language_is_told_as_it_is_written_here(written: str) -> None:
    said = refused(f"x[N] -> y\ny[n] = {written}")
    assert "is not part of the notation" in said and CHARACTERS[written] in said.splitlines()[-1]


def test_every_character_that_is_told_is_tested() -> None:
    assert all(any(c in written for written in CHARACTERS) for c in elsewhere.CHARACTERS)
    assert {n for names, _, _ in elsewhere.WRITTEN for n in names} >= SAME.keys() - {"Max"}
    assert all(any(n in SAME for n in names) for names, _, _ in elsewhere.WRITTEN)


CONDITIONALS = {"1 if x[n] > 0 else x[n]": "where(x[n] > 0, 1, x[n])", "2*(x[n] if n > 0 else -1) + 1": "where(n > 0, x[n], -1)",
                "max(x[n] if n > 0 else 1, 2)": "where(n > 0, x[n], 1)", "x[n] if n > 0  # else": "where(n > 0, x[n], 0)",
                "x[n] if (1 if n > 0 else 2) > 1 else 3": "where((1 if n > 0 else 2) > 1, x[n], 3)", "x[n] if": "where(condition, x[n], 0)",
                "if n > 0": "where(n > 0, a, 0)", "x[n] if n > 0 else 1 if n > 1 else 2": "where(n > 0, x[n], 1 if n > 1 else 2)"}


@pytest.mark.parametrize("written", CONDITIONALS)
def test_a_conditional_expression_is_told_as_where(written: str) -> None:
    assert refused(f"x[N] -> y\ny[n] = {written}").endswith(f"'if' is not part of the notation.\nWrite {CONDITIONALS[written]}.")


def test_conditions_that_are_compared_are_told_to_be_joined() -> None:
    def told(operator: str) -> str:
        said = refused(f"x[N] -> y\ny[n] = where((x[n] > 1) {operator} (n > 0), 1, 0)")
        assert "Conditions are joined by and, or, not" in said
        return said.splitlines()[-1]

    for operator in ("==", "!="):
        repair = told(operator).partition(" write ")[2].rstrip(".")
        for a, b in itertools.product((False, True), repeat=2):
            assert eval(repair, {"a": a, "b": b}) == eval(f"a {operator} b", {"a": a, "b": b})
        condition = re.sub(r"\ba\b", "x[n] > 1", re.sub(r"\bb\b", "n > 0", repair))
        assert value(f"x[N] -> y\ny[n] = where({condition}, 1, 0)", x=[1, 1, 2]) == ([1, 0, 1] if operator == "==" else [0, 1, 0])
    assert "where(a, 1, 0)" in told("<")
    assert "join conditions with and, or, not" in refused("x[N] -> y\ny[n] = where((x[n] > 1) + n > 0, 1, 0)")


UNFINISHED = {"2x[n]": "Write * for a product", "x[n] x[n]": "Write * for a product", "tanh x[n]": "Write tanh(…).",
              "exp 2": "Write exp(2).", "1_000*x[n]": "without underscores", "x[n] given x[0] = 1": "a line of its own",
              "x[n]*": "only an open bracket continues a line",
              "x[n] for n < 2 for n < 3": "One for clause", "(x[n] x[n])": "Write * for a product", "x[n]\nfor n < 2": "the line above"}


@pytest.mark.parametrize("written", UNFINISHED)
def test_what_does_not_go_on_is_told_how_it_would(written: str) -> None:
    assert UNFINISHED[written] in refused(f"x[N] -> y\ny[n] = {written}").splitlines()[-1]


@pytest.mark.parametrize("name", elsewhere.FUNCTIONS)
def test_a_function_of_another_language_has_the_value_of_what_is_proposed(name: str) -> None:
    called = {"maximum": "a, b", "minimum": "a, b", "clip": "x, a, b", "clamp": "x, a, b", "pow": "x, a", "power": "x, a",
              "logaddexp": "a, b", "hypot": "a, b"}.get(name, "x")
    repair = elsewhere.function(name)[1]
    written = repair.removeprefix("Write ").removesuffix(".")
    if name != "if":                                       # a word of Python
        assert refused(f"x, a, b -> y\ny = {name}({called})").splitlines()[-1] == repair
    x, a, b = 0.5, 2.0, 3.0
    reference = {"ln": math.log, "fabs": abs, "sgn": lambda x: 1.0, "square": lambda x: x*x, "rsqrt": lambda x: x**-0.5,
                 "reciprocal": lambda x: 1/x, "pow": lambda x: x**a, "power": lambda x: x**a, "maximum": lambda x: b,
                 "minimum": lambda x: a, "clip": lambda x: a, "clamp": lambda x: a,
                 "swish": lambda x: x/(1 + math.exp(-x)), "relu6": lambda x: x,
                 "logistic": lambda x: 1/(1 + math.exp(-x)), "expit": lambda x: 1/(1 + math.exp(-x)),
                 "logaddexp": lambda x: math.log(math.exp(a) + math.exp(b)), "hypot": lambda x: math.hypot(a, b),
                 "logsigmoid": lambda x: -math.log(1 + math.exp(-x)), "leaky_relu": lambda x: x, "elu": lambda x: x}
    if name != "if":
        expected = (reference.get(name) or getattr(math, name))(x)
        assert float(value(f"x, a, b -> y\ny = {written}", x=x, a=a, b=b)) == pytest.approx(expected)  # type: ignore[arg-type]


def test_a_function_that_is_not_there_is_likened_to_those_that_are() -> None:
    assert "Did you mean tanh?" in refused("x -> y\ny = Tanh(x)") and "Did you mean sigmoid?" in refused("x -> y\ny = sigmiod(x)")
    assert "There are exp, log" in refused("x -> y\ny = foo(x)")


def test_labels_that_were_declared_as_real_numbers_are_told_to_be_integers() -> None:
    said = refused("x[N,K], y[N] -> L\nL = -sum[n](x[n,y[n]])")
    assert "y holds real numbers" in said and "int y[…]" in said
    assert "int at before" in refused("x[N], at -> y\ny = x[at]")
    assert "int" not in refused("x[N] -> y\nz[n] = 2*x[n]\ny[n] = x[z[n]]").splitlines()[-1].replace("integer", "")


def test_an_element_is_proposed_with_the_letters_of_its_tensor() -> None:
    def repair(right: str, signature: str = "X[N,I], W[I,O], S[N,N] -> Y") -> str:
        return refused(f"{signature}\nh[n,o] = sum[k](X[n,k]*W[k,o])\nY[n,o] = {right}").splitlines()[-1]

    assert repair("X[n,i,o]") == repair("X*W[0,o]") == "Write X[n,i]."
    assert repair("sum[k](X[n,k]*W[o])") == "Write W[i,o]."
    assert repair("h[n]") == repair("2*h") == "Write h[n,o]."
    assert repair("S[n]") == "Write S[i,j]."                          # no tensor is proposed with one letter twice
    assert repair("X[n]", "X[N,I], W[I,O], i -> Y") == "Write X[i,j]."        # its own i is a number here
    assert refused("x, y[N] -> z\nz[n] = x[n]*y[n]").splitlines()[-1] == "Write x."


@pytest.mark.parametrize("fact", ["x[n] > z", "z > 0", "x[n] > x[n+z]", "sum[m](x[m]) = z"])
def test_a_given_about_nothing_that_is_declared_is_pointed_at(fact: str) -> None:
    said = refused(f"x[N] -> y\ny[n] = x[n]**2\ngiven {fact}")
    assert said.startswith(f"line 3, column {7 + fact.index('z')}:") and "z is not declared" in said


@pytest.mark.parametrize("fact", ["x[n] > 0", "sum[n](x[n]) = 1", "x[n] < x[n+1]", "k[n] < n", "s >= 2", "x[n] > N"])
def test_a_given_about_what_is_declared_is_taken(fact: str) -> None:
    assert len(nd.parse(f"x[N], int k[N], int s -> y\ny[n] = x[n]**2*k[n]*s\ngiven {fact}").givens) == 1


def test_a_greek_letter_is_told_to_be_written_out() -> None:
    assert "Write it out: beta." in refused("x[N], \N{GREEK SMALL LETTER BETA} -> y\ny[n] = x[n]")
    assert "Write it out: omega." in refused("x[N] -> y\ny[n] = \N{GREEK CAPITAL LETTER OMEGA}*x[n]")
    assert "Latin letter" in refused("x[N] -> y\ny[n] = \N{CYRILLIC SMALL LETTER A}*x[n]")


def test_a_size_that_is_used_as_an_index_is_told_to_be_one() -> None:
    assert "n is a size" in (said := refused("x[n] -> y\ny[n] = x[n]")) and "take a letter that the signature does not have" in said
    assert "p is an integer parameter" in refused("x[N], int p -> y\ny[p] = x[p]")


def test_a_type_before_a_name_is_told_to_be_left_out() -> None:
    for word in ("float", "real"):
        assert "a bare name is a real scalar" in refused(f"{word} x -> y\ny = x")


BEHIND = "x[T,K], A[K,K] -> L\nb[T-1,k] = 1\nb[t,k] = sum[l](A[k,l]*x[t+1,l]*b[t+1,l])\n"


READERS = ("L[t,k] = x[t,k]*b[t,k]", "L = sum[t,k](b[t,k]*x[t,k])", "c[t,k] = tanh(b[t,k])\nL[t,k] = x[t,k]*c[t,k]")


@pytest.mark.parametrize("reader", READERS)
def test_a_tensor_that_ends_before_its_base_case_is_pointed_at(reader: str) -> None:
    said = refused(BEHIND + reader)
    assert said.startswith("line 3, column 1:") and "b ends before its base case b[T-1,k]" in said
    assert said.endswith("Say that it reaches it: b[t,k] = … for t < T")
    repaired = nd.parse(BEHIND.rstrip() + " for t < T\n" + reader)
    assert str(repaired.dims["b"][0].hi) == "T"


def test_two_sizes_that_never_agree_are_told_with_the_range_that_both_have() -> None:
    text = "x[T,K] -> a\nb[t,k] = x[t+1,k]\na[t,k] = x[t,k]*b[t,k]"
    said = refused(text)
    assert said.startswith("line 3, column 1:") and said.endswith("Set the range by hand: … for t < T - 1")
    assert len(nd.parse(f"{text} for t < T - 1").equations) == 2


@pytest.mark.parametrize("expression", [
    "d//2/D*Q[t,d]", "d%2*Q[t,d]", "d//2*d%3/2*Q[t,d]", "2*d//3*Q[t,d]", "Q[t,d] + d//2/4", "1 - d%2*Q[t,d]", "-d//2/D + Q[t,d]",
    "-Q[t,d]*(d//2)", "t*d%5//2*Q[t,d]/3", "Q[t,d] - D//4*t/2",
])
def test_integers_come_first_as_in_python(expression: str) -> None:
    Q = np.arange(1.0, 13.0).reshape(2, 6)
    found = np.array(nd.evaluate(nd.parse(f"Q[T,D] -> R\nR[t,d] = {expression}"), {"Q": Q})["R"])
    expected = [[eval(expression, {"Q": Q, "t": t, "d": d, "D": 6}) for d in range(6)] for t in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_a_terminal_shows_programs_and_derivations_as_text() -> None:
    d = nd.derive("x[N] -> L\nL = sum[n](x[n]**2)")
    assert repr(d.forward) == str(d.forward) == "x[N] -> L\n\nL = sum[n](x[n]**2)"
    assert repr(d) == str(d) == "x[N] -> dx\n\ndx[n] = 2*x[n]" and repr(d["x"]) == "dx[n] = 2*x[n]"
    assert repr(d["x"].steps) == str(d["x"].steps) and repr(d["x"].steps[0]) == str(d["x"].steps[0])
