"""Integer expressions: equal exactly when their polynomials are, and what divides is pulled out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnderiv.integer import Int

i, j, s, p, n = (Int.symbol(x) for x in "ijspn")
one = Int.of(1)


def test_equal_polynomials_are_equal_and_hash_alike() -> None:
    assert (i + 1) * (i - 1) == i * i - 1
    assert hash(i + j) == hash(j + i)
    assert i - i == 0


def test_a_floor_division_of_another_is_one() -> None:
    n = Int.symbol("n")
    assert [str(x) for x in ((n//2)//2, (n//2 - 6)//2, ((n + 1)//3 + 1)//2, (n//2)//n)] == ["n//4", "n//4 - 3", "(n + 4)//6", "(n//2)//n"]
    for a, b, k, m in itertools.product((1, 2, 5), (1, 2, 3), (-7, -1, 0, 4), (-3, -1, 2)):
        value = ((m*n + k)//a + k)//b
        assert all(value.subst({"n": Int.of(v)}) == ((m*v + k)//a + k)//b for v in range(-20, 21))


def test_a_floor_division_gives_up_what_divides() -> None:
    assert (s * i + p) // s == i + p // s
    assert (4 * i + 6) // 2 == 2 * i + 3
    assert str((2 * i + 3) // 2) == "i + 1"
    assert (i // i) == 1


def test_a_remainder_forgets_multiples() -> None:
    assert (s * i + p) % s == p % s
    assert (4 * i + 7) % 2 == 1
    assert (3 * i) % 3 == 0
    assert (3 * (i % s) * j + (p - i) % s + 1) % s == (3 * i * j + p - i + 1) % s
    assert (i % 2 + j) % s != (i + j) % s


def test_splitting_off_a_name_needs_linearity() -> None:
    assert (s * i + p).split("i") == (s, p)
    assert (i * i).split("i") is None
    assert (i // 2).split("i") is None
    assert (j + 1).split("i") == (Int.of(0), j + 1)


def test_extremes_of_comparable_things_are_decided() -> None:
    assert Int.extreme("max", i, i + 2) == i + 2
    assert Int.extreme("min", i, i + 2, i - 1) == i - 1
    assert str(Int.extreme("max", i, j)) == "max(i, j)"
    assert str(Int.extreme("max", Int.extreme("max", i + 1, Int.of(1)) + 1, Int.of(2), j)) == "max(i + 2, 2, j)"
    assert str(Int.extreme("min", Int.extreme("max", i, j), p)) == "min(max(i, j), p)"


def test_substitution_simplifies_again() -> None:
    assert ((i + 1) // 2).subst({"i": 2 * j + 1}) == j + 1
    assert (i % s).subst({"i": s * j}) == 0


def test_text_reads_as_python() -> None:
    for e in (s * i - p, (i + 1) // 2, -(i // s), 3 * (i % 2) - 1, 2 * s * i * j, -i - 1, (i // 2) * s, -(i % 3)):
        env = {"i": 7, "j": 5, "s": 3, "p": 2}
        assert eval(str(e), dict(env)) == e.value(env)


def test_dividing_by_zero_says_so() -> None:
    with pytest.raises(ZeroDivisionError):
        (i // s).value({"i": 1, "s": 0})


@st.composite
def ints(draw: st.DrawFn, depth: int = 3) -> Int:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([i, j, s])) if draw(st.booleans()) else Int.of(draw(st.integers(-4, 4)))
    a, b = draw(ints(depth - 1)), draw(ints(depth - 1))
    op = draw(st.sampled_from("+-*/%"))
    if op == "/":
        return a // draw(st.sampled_from([Int.of(2), Int.of(3), s]))
    if op == "%":
        return a % draw(st.sampled_from([Int.of(2), Int.of(3), s]))
    return a + b if op == "+" else a - b if op == "-" else a * b


@settings(max_examples=200, derandomize=True, deadline=None)
@given(ints(), ints(), st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 5))
def test_arithmetic_is_that_of_the_integers(a: Int, b: Int, x: int, y: int, z: int) -> None:
    env = {"i": x, "j": y, "s": z}
    assert (a + b).value(env) == a.value(env) + b.value(env)
    assert (a * b).value(env) == a.value(env) * b.value(env)
    assert (a // s).value(env) == a.value(env) // z
    assert (a % s).value(env) == a.value(env) % z
    assert a.subst({"i": b}).value(env) == a.value(env | {"i": b.value(env)})
    assert eval(str(a), dict(env)) == a.value(env)
