"""Expressions build without zeros and ones, print so that they read back, and never change meaning under substitution."""

from __future__ import annotations

from fractions import Fraction

import pytest

from nnderiv.expr import (
    ONE,
    TRUE,
    ZERO,
    IntValue,
    Op,
    Read,
    Reduce,
    add,
    compare,
    conjunction,
    free_symbols,
    mul,
    neg,
    num,
    subst_indices,
    tensor,
    where,
)
from nnderiv.integer import Int
from nnderiv.polynomial import additive_terms, factors, product, signed

x, y, z = (tensor(name, "i") for name in "xyz")


def test_zeros_and_ones_disappear() -> None:
    assert x + ZERO == x
    assert x * ONE == x
    assert x * ZERO == ZERO
    assert x / ONE == x
    assert neg(neg(x)) == x


def test_signs_and_numbers_come_to_the_front() -> None:
    assert str(mul([x, num(-2), y])) == "-2*x[i]*y[i]"
    assert str(mul([neg(x), neg(y)])) == "x[i]*y[i]"


def test_terms_and_factors_have_inverses() -> None:
    e = add([x, neg(add([y, neg(z)]))])
    assert [s for s, _ in additive_terms(e)] == [1, -1, 1]
    assert str(signed(additive_terms(e))) == "x[i] - y[i] + z[i]"
    q = mul([x, y]) / z
    assert product(factors(q)) == q


def test_conditions_on_numbers_are_decided() -> None:
    i = Int.symbol("i")
    assert compare("<", i, i + 1) == TRUE
    assert where(TRUE, x, num(1)) == x
    assert where(TRUE, x, y) == Op("where", (TRUE, x, y)), "what is read restricts a reduction, taken or not"
    assert conjunction([TRUE, TRUE]) == TRUE
    assert conjunction([compare("<", i, Int.of(3)), compare("<", i, Int.of(3))]) == compare("<", i, Int.of(3))


def test_brackets_stand_where_they_are_needed_only() -> None:
    assert str(mul([x + y, z])) == "(x[i] + y[i])*z[i]"
    assert str(x / mul([y, z])) == "x[i]/(y[i]*z[i])"
    assert str(Op("**", (neg(x), num(2)))) == "(-x[i])**2"
    assert str(x - (y + z)) == "x[i] - (y[i] + z[i])"
    assert str(num(Fraction(1, 3))) == "1/3"
    assert str(num(Fraction(5, 8))) == "0.625"


def test_substitution_renames_a_bound_index_before_it_captures() -> None:
    e = Reduce("sum", ("j",), tensor("A", "i", "j"))
    moved = subst_indices(e, {"i": Int.symbol("j")})
    assert isinstance(moved, Reduce)
    assert moved.indices != ("j",)
    assert free_symbols(moved) == {"j"}


def test_a_softmax_runs_along_another_letter_and_not_along_one_that_is_there() -> None:
    share = Reduce("softmax", ("d",), Read("q", (Int.symbol("n"), Int.symbol("d"))))
    assert subst_indices(share, {"d": Int.symbol("e")}) == Reduce("softmax", ("e",), Read("q", (Int.symbol("n"), Int.symbol("e"))))
    for values in ({"d": Int.symbol("n")}, {"d": Int.symbol("e"), "n": Int.symbol("e")}, {"d": Int.symbol("e") + 1}):
        with pytest.raises(NotImplementedError):
            subst_indices(share, values)


def test_a_bound_index_is_not_free() -> None:
    e = Reduce("sum", ("j",), mul([tensor("A", "i", "j"), IntValue(Int.symbol("k"))]))
    assert free_symbols(e) == {"i", "k"}
    assert free_symbols(Reduce("softmax", ("j",), tensor("A", "j"))) == {"j"}
