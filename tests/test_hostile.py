"""Hostile and mistaken texts are answered by the package's own exceptions, with the place and a repair; nothing else ever."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import nnderiv as nd

SECONDS = 10
X = "X[N] -> Y\nY[n] = "


@contextmanager
def time_limit(seconds: int = SECONDS) -> Iterator[None]:
    """After so many seconds of the processor's time, it hangs; a machine that is busy with other things is no fault of a text."""
    def stop(*_: object) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


MISTAKEN = {
    "empty text": "",
    "blank lines": "   \n\n",
    "only comments": "# nothing\n# here",
    "no arrow": "X[N]\nY[n] = X[n]",
    "no output": "X[N] ->",
    "no equation": "X[N] -> Y",
    "import": X + '__import__("os").system("true")',
    "import without quotes": X + "__import__(X[n])",
    "attribute": X + "X.__class__[n]",
    "lambda": X + "(lambda: 0)()",
    "a keyword as a name": "lambda[N] -> Y\nY[n] = lambda[n]",
    "walrus": X + "(a := 1)",
    "f-string": X + "f'{1}'",
    "eval": X + "eval(X[n])",
    "semicolon": "X[N] -> Y; import os",
    "100 kB literal": X + "X[n]*" + "9" * 100_000,
    "100 kB subscript": X + "X[n+" + "9" * 100_000 + "]",
    "100 kB of decimals": X + "X[n]*0." + "9" * 100_000,
    "100 kB dimension": "X[" + "9" * 100_000 + "] -> Y\nY[n] = X[n]",
    "100 kB name": "X" * 100_000 + "[N] -> Y",
    "20 000 nested brackets": X + "(" * 20_000 + "X[n]" + ")" * 20_000,
    "20 000 open brackets": X + "(" * 20_000,
    "20 000 closing brackets": X + ")" * 20_000,
    "20 000 nested subscripts": X + "X[" * 20_000 + "n" + "]" * 20_000,
    "20 000 nested calls": X + "exp(" * 20_000 + "X[n]" + ")" * 20_000,
    "3 000 nested sums": "X[N] -> Y\nY = " + "sum[n](" * 3_000 + "X[n]" + ")" * 3_000,
    "5 000 nested where": X + "where(X[n] > 0, " * 5_000 + "0" + ", 1)" * 5_000,
    "20 000 arguments": X + "max(" + ",".join(["X[n]"] * 20_000) + ")",
    "5 000 quotients": X + "/".join(["X[n]"] * 5_000),
    "tower of powers": X + "X[n]" + "**2" * 20_000,
    "tower of numbers": X + "X[n]*9**9**9**9**9",
    "bracketed tower of numbers": X + "X[n]*(2**(2**(2**(2**2))))",
    "polynomial bomb": X + "X[" + "*".join(["(n + N + 1)"] * 60) + "]",
    "null byte": X + "X[n]\0",
    "null byte in a name": "X\0[N] -> Y\nY[n] = X[n]",
    "Cyrillic letter": X + "\u0425[n]",
    "Greek letter": X + "\u0391[n]",
    "full-width letter": X + "\uff38[n]",
    "superscript": X + "X[n]\u00b2",
    "typographic minus": X + "X[n] \u2212 1",
    "Arabic digit": X + "X[n]*1\u0663",
    "zero-width space": X + "X\u200b[n]",
    "lone surrogate": X + "X[n]\ud800",
    "form feed": "X[N] -> Y\x0cY[n] = X[n]",
    "huge exponent of ten": X + "X[n]*1e999999999",
    "tiny exponent of ten": X + "X[n]*1e-999999999",
    "huge exponent": X + "X[n]**(10**9)",
    "input twice": "X[N], X[M] -> Y\nY[n] = X[n]",
    "output twice": "X[N] -> Y, Y\nY[n] = X[n]",
    "equation twice": "X[N] -> Y\nY[n] = X[n]\nY[n] = X[n]",
    "index twice": "X[N] -> Y\nY[n,n] = X[n]",
    "an input as output": "X[N] -> X\nX[n] = X[n]",
    "a tensor as size": "N[N] -> Y\nY[n] = N[n]",
    "too few subscripts": "X[N,M] -> Y\nY[n] = X[n]",
    "too many subscripts": X + "X[n,n]",
    "no subscript": X + "X",
    "a size with a subscript": X + "N[n]",
    "unbound index": X + "X[j]",
    "unknown tensor": X + "Q[n]",
    "unknown function": X + "foo(X[n])",
    "too many arguments": X + "exp(X[n], X[n])",
    "too few arguments": X + "where(X[n] > 0, 1)",
    "no argument": X + "exp()",
    "empty brackets": "X[] -> Y\nY = X",
    "sum without index": "X[N] -> Y\nY = sum(X[n])",
    "sum of nothing": "X[N] -> Y\nY = sum[n]",
    "sum over an index twice": "X[N] -> Y\nY = sum[n,n](X[n])",
    "softmax over nothing": "X[N] -> Y\nY = softmax[n](X[n])",
    "sum over a number": "X[N] -> Y\nY = sum[2](X[n])",
    "real subscript": X + "X[X[n]]",
    "fraction as subscript": X + "X[0.5]",
    "quotient as subscript": X + "X[n/2]",
    "floor division by zero": X + "X[n//0]",
    "remainder by zero": X + "X[n % 0]",
    "division by zero": X + "X[n]/0",
    "zero to the minus one": X + "0**(-1)*X[n]",
    "a condition as a number": X + "X[n] > 0",
    "a number as a condition": X + "where(X[n], 1, 0)",
    "shift on the left": "X[N] -> Y\nY[n+1] = X[n]",
    "number on the left": "X[N] -> Y\n3 = X[0]",
    "function on the left": "X[N] -> Y\nexp(Y) = X[0]",
    "no range": X + "1",
    "range of another index": X + "X[n] for m < N",
    "half a for clause": X + "X[n] for n",
    "real range": X + "X[n] for n < X[0]",
    "negative dimension": "X[-3] -> Y\nY[n] = X[n]",
    "a reserved name": "np[N] -> Y\nY[n] = np[n]",
    "an underscore name": "_X[N] -> Y\nY[n] = _X[n]",
    "a keyword as a size": "X[await] -> Y\nY[n] = X[n]",
    "a keyword in a dimension": "X[2*is] -> Y\nY[n] = X[2*n]",
    "a keyword as an index": "X[N] -> Y\nY[while] = X[while]",
    "a keyword as an index of a fact": "X[N] -> Y\nY[n] = X[n]\ngiven X[del] > 0",
    "a reserved name as a size": "X[slice] -> Y\nY[n] = X[n]",
    "an underscore name as a size": "X[_N] -> Y\nY[n] = X[n]",
    "a function as a size": "X[sign] -> Y\nY[n] = X[n]",
    "the name of what forward returns": "Outputs[N] -> Y, Z\nY[n] = Outputs[n]\nZ[n] = Outputs[n]",
    "the name of what backward returns": "X[N] -> Y\nGradients[n] = exp(X[n])\nY[n] = Gradients[n]**2",
    "half a given": X + "X[n]\ngiven",
    "given no fact": X + "X[n]\ngiven X[n]",
    "two equals signs": "X[N] -> Y\nY[n] == X[n]",
    "open bracket": X + "X[n",
    "mixed brackets": X + "(X[n]]",
    "string": '"X"[N] -> Y',
    "itself": X + "Y[n] + X[n]",
    "each other": "X[N] -> Y\nY[n] = Z[n]\nZ[n] = Y[n]",
    "both neighbours": "X[N] -> Y\nY[n] = X[n] + Y[n-1] + Y[n+1]",
    "too long": "x" * 2_000_000,
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistake_is_answered_with_its_place_and_a_repair(name: str) -> None:
    text = MISTAKEN[name]
    with time_limit(), pytest.raises((nd.NotationError, nd.DefinitionError)) as caught:
        nd.parse(text)
    error = caught.value
    assert error.repair, str(error)
    if name != "too long":
        assert error.position is not None, str(error)
        assert f"line {error.line}, column {error.column}:" in str(error)
    assert len(str(error)) < 2_000


LONG = {
    "20 000 minus signs": X + "-" * 20_000 + "X[n]",
    "20 001 minus signs": X + "-" * 20_001 + "X[n]",
    "20 000 plus signs": X + "+" * 20_000 + "X[n]",
    "20 000 not": X + "where(" + "not " * 20_000 + "X[n] > 0, 1, 0)",
    "20 000 terms": X + "+".join(["X[n]"] * 20_000),
    "20 000 factors": X + "*".join(["X[n]"] * 20_000),
    "5 000 conditions": X + "where(" + " and ".join(["X[n] > 0"] * 5_000) + ", 1, 0)",
    "5 000 comparisons": X + "where(" + " < ".join(["X[n]"] * 5_000) + ", 1, 0)",
    "a long line of blanks": X + "X[n]" + " " * 500_000,
    "carriage returns": "X[N] -> Y\r\nY[n] = X[n]\r\n",
    "a surrogate in a comment": "X[N] -> Y\n# \ud800\nY[n] = X[n]",
}


@pytest.mark.parametrize("name", LONG)
def test_long_but_plain_texts_are_derived(name: str) -> None:
    with time_limit():
        assert len(nd.derive(LONG[name])) == 1


@pytest.mark.parametrize("text", [None, 3, b"X[N] -> Y\nY[n] = X[n]", ["X"]])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(nd.NNDerivError):
        nd.parse(text)  # type: ignore[arg-type]


# -- golden messages -----------------------------------------------------------------------------------------------------------
def message(text: str) -> str:
    with pytest.raises(nd.NNDerivError) as caught:
        nd.parse(text)
    return str(caught.value)


def test_an_index_on_the_right_only_is_pointed_at() -> None:
    assert message("W[O,I], X[N,I] -> Y\nY[n,o] = W[o,0] * X[n,j]") == (
        "line 2, column 23:\n"
        "Y[n,o] = W[o,0] * X[n,j]\n"
        "                      ^ j appears only on the right.\n"
        "Sum over it, sum[j](W[o,0] * X[n,j]), or give Y a subscript j."
    )


def test_a_cycle_is_named() -> None:
    assert message("x[T] -> h\nz[t] = tanh(h[t])\nh[t] = z[t] + x[t]") == (
        "line 3, column 1:\n"
        "h[t] = z[t] + x[t]\n"
        "^ h[t] needs z[t], which needs h[t]: no order computes it.\n"
        "A tensor may refer to itself at other places, all before it or all after it: h[t-1], with a base case for the first."
    )


def test_a_cycle_through_a_sum_over_all_places_is_told_how_to_leave_some_out() -> None:
    text = "x[T] -> h\na[t,s] = softmax[s](where(s < t, x[t]*x[s], -inf))\nh[t] = x[t] + sum[s]({})"
    assert message(text.format("a[t,s]*h[s]")).endswith(
        "h[0] needs itself (for T = 4): no order computes it.\n"
        "h[s] is read for every s, where a factor of it is 0 too; say which are needed: where(s < t, …, 0) in a sum, "
        "with what h[s] is multiplied by."
    )
    nd.parse(text.format("where(s < t, a[t,s]*h[s], 0)"))


def test_a_look_alike_letter_is_named() -> None:
    assert "U+0425" in message(X + "\u0425[n]")


# -- mutated texts -------------------------------------------------------------------------------------------------------------
SEEDS = (
    "X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]",
    "x[T,I], U[H,I], W[H,H], h0[H] -> h\nh[-1,k] = h0[k]\nh[t,k] = tanh(sum[j](U[k,j]*x[t,j]) + sum[l](W[k,l]*h[t-1,l]))",
    "X[C,H], W[O,C,U], int s, int p -> Y\nY[o,i] = sum[c,u](W[o,c,u]*X[c,s*i+u-p]) for i < (H + 2*p - U)//s + 1",
    "Q[N,D], K[M,D] -> A\nA[i,j] = softmax[j](where(j <= i, sum[d](Q[i,d]*K[j,d])/sqrt(D), -inf))",
    "E[V,D], int tok[N], y[N,D] -> L\nL = -sum[n,d](y[n,d]*log(E[tok[n],d]**2 + 1e-3))  # scatter\ngiven sum[d](y[n,d]) = 1",
    "c[N,M] -> D\nD[0,0] = c[0,0]\nD[i,j] = c[i,j] + min(D[i-1,j], D[i,j-1], D[i-1,j-1])",
    "x[N], a -> y, m\nm = max[n](abs(x[n]))\ny[n] = a*x[N-1-n]/m + where(n % 2 == 0 and not x[n] > 0, n//2, 1/3)",
)
ALPHABET = "XYZWNMabijkn0123459.,:;()[]+-*/%<>=!#_ \n\t\0\u0425\u03b1\"'\\e"
WORDS = (
    "sum[i](", "max(", "where(", "for", "given", "int", "not", "inf", "->", "**", "//", "softmax[j](", "-1", "N-1-n", "[", "]", ")", "=",
    "tok[n]", "exp(", "1e9", "0", "h[t-1]", "and", "==", "\n",
)


def mutated(rng: random.Random) -> str:
    """A valid text after a few accidents: characters lost, added, swapped, doubled; pieces moved, words thrown in."""
    text = rng.choice(SEEDS)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        k, j = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
        low, high = min(k, j), max(k, j)
        kind = rng.randrange(7)
        if kind == 0:
            text = text[:k] + text[k + 1 :]
        elif kind == 1:
            text = text[:k] + rng.choice(ALPHABET) + text[k:]
        elif kind == 2 and k + 1 < len(text):
            text = text[:k] + text[k + 1] + text[k] + text[k + 2 :]
        elif kind == 3:
            text = text[:k] + rng.choice(WORDS) + text[k:]
        elif kind == 4:
            text = text[:low] + text[low : min(high, low + 12)] + text[low:]
        elif kind == 5:
            text = text[:low] + text[min(high, low + 8) :]
        else:
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            text = text[:k] + other[start : start + rng.randrange(1, 15)] + text[k:]
    return text


@pytest.mark.parametrize("block", range(8))
def test_mutated_texts_raise_nothing_but_our_own_errors(block: int) -> None:
    rng = random.Random(block)
    for _ in range(400):
        text = mutated(rng)
        try:
            with time_limit():
                nd.derive(text)
        except nd.NNDerivError as error:
            assert str(error)
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__}: {error}\nfor {text!r}") from error


# -- what grows with each level ------------------------------------------------------------------------------------------------
def nested(levels: int, before: str, after: str = ")") -> str:
    return "x[N], w[N] -> y\ny[i] = " + "".join(before.format(k + 1) for k in range(levels)) + "x[i]" + after*levels


TOWERS = {
    "functions": "x[N] -> y\ny[i] = silu(gelu(exp(relu(sqrt(1 + log(1 + silu(gelu(exp(relu(x[i]))))))))))",
    "quotients": nested(12, "(x[i] + 1/(", "))"),
    "maxima": nested(16, "max(w[i]*{}, "),
    "choices": nested(16, "where(x[i] > {0}, w[i]**{0}, "),
    "parameters": f"x[N], {', '.join(f'int p{k}' for k in range(20))} -> y\ny[i] = x[{'*'.join(f'p{k}' for k in range(20))}*i] for i < N",
}


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_is_derived_twice_in_a_time_that_no_level_doubles(name: str) -> None:
    with time_limit():
        d = nd.derive(TOWERS[name])
        assert len(nd.derive(d.backward)) > len(d)
        assert d.numpy()


def test_a_chain_of_squares_is_checked_though_its_numbers_double_in_length_with_each() -> None:
    """x**(2**19), of which no more than 50 digits are computed; no float holds it where x > 1."""
    equations = "\n".join(f"z{k}[i] = z{k - 1}[i]**2 + z{k - 1}[i]/3" for k in range(1, 20))
    with time_limit():
        d = nd.derive(f"x[N] -> y\nz0[i] = x[i]\n{equations}\ny[i] = z19[i]")
        assert d.check().ok and len(d["x"].steps) > 1
        assert nd.evaluate(d.forward, {"x": [2]})["y"][0] > 10**1000
