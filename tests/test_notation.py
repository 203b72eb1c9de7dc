"""The notation: what each name is, how lines go on, and that what is printed reads back."""

from __future__ import annotations

from fractions import Fraction

import pytest

import nnderiv as nd


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
