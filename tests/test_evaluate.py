"""The meaning: four rules, shown one by one on the interpreter."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

import nnderiv as nd


def run(text: str, **inputs: object) -> object:
    found = nd.evaluate(text, inputs)
    return next(iter(found.values())) if len(found) == 1 else found


# -- rule 1: a read outside its tensor's range is 0 ----------------------------------------------------------------------------
def test_a_read_outside_is_zero() -> None:
    assert run("x[N] -> y\ny[n] = 10*x[n-1] + x[n+1] for n < N", x=[1, 2, 3]) == [2, 13, 20]


def test_outside_a_reduction_a_function_sees_the_zero() -> None:
    assert run("x[N] -> y\ny[n] = (x[n-1] + 2)**2 for n < N", x=[1, 5]) == [4, 9]


# -- rule 2: a reduction runs where every read inside is in range --------------------------------------------------------------
def test_a_sum_of_products_is_zero_padded() -> None:
    assert run("x[N], w[3] -> y\ny[n] = sum[u](w[u]*x[n+u-1]) for n < N", x=[1, 2, 3], w=[1, 10, 100]) == [210, 321, 32]


def test_a_maximum_ignores_the_padding() -> None:
    assert run("x[N] -> y\ny[n] = max[u](x[n+u-1]) for n < N, u < 3", x=[-1, -2, -3]) == [-1, -1, -2]


def test_a_mean_counts_what_exists() -> None:
    assert run("x[N] -> y\ny[n] = mean[u](x[n+u-1]) for n < N, u < 3", x=[2, 4, 9]) == [3, 5, Fraction(13, 2)]


def test_a_window_of_exponentials_counts_only_what_exists() -> None:
    found = run("x[N] -> y\ny[n] = sum[u](exp(x[n+u-1])) for n < N, u < 3", x=[0, 0, 0])
    assert found == [2, 3, 2]


@pytest.mark.parametrize("summand", ["1 + 0*x[i-1]", "cos(x[i-1]*0)", "1 + 2*(1 - 1)*x[i-1]", "1 + 0/x[i-1]"])
def test_what_is_multiplied_by_zero_is_read(summand: str) -> None:
    assert run(f"x[N] -> y\ny = sum[i]({summand}) for i < N", x=[1, 2, 3]) == 2
    assert nd.derive(f"x[N], c -> y\ny = sum[i](c*({summand})) for i < N").check(seed=0).ok


def test_a_nested_reduction_has_its_own_positions() -> None:
    assert run("x[N] -> y\ny = sum[i](1 + sum[j](x[i+j-1])) for i < N, j < N", x=[1, 1]) == 5


def test_a_softmax_gives_zero_where_it_does_not_run() -> None:
    found = run("x[N] -> y\ny[n] = softmax[n](x[n-1]) for n < N", x=[0, 0, 0])
    assert found == [0, Fraction(1, 2), Fraction(1, 2)]


def test_a_row_that_is_masked_altogether_is_zero() -> None:
    found = run("x[N] -> P\nP[i,j] = softmax[j](where(j < i, x[j], -inf)) for i < N", x=[0, 0])
    assert found == [[0, 0], [1, 0]]


# -- rule 3: the order of equations does not matter ----------------------------------------------------------------------------
def test_the_order_of_equations_does_not_matter() -> None:
    a = "x[N] -> z\ny[n] = x[n] + 1\nz[n] = y[n]*2"
    b = "x[N] -> z\nz[n] = y[n]*2\ny[n] = x[n] + 1"
    assert run(a, x=[1, 2]) == run(b, x=[1, 2]) == [4, 6]


def test_recurrences_run_forwards_backwards_and_over_two_axes() -> None:
    assert run("x[T] -> h\nh[t] = x[t] + 2*h[t-1]", x=[1, 1, 1]) == [1, 3, 7]
    assert run("x[T] -> e\ne[t] = x[t] + 2*e[t+1]", x=[1, 1, 1]) == [7, 3, 1]
    assert run("x[T] -> f\nf[0] = x[0]\nf[t] = x[t] + f[t-1] + f[t-2]", x=[1, 0, 0, 0, 0]) == [1, 1, 2, 3, 5]
    paths = run("c[N,M] -> D\nD[0,0] = c[0,0]\nD[i,j] = D[i-1,j] + D[i,j-1] for i < N, j < M", c=[[1] * 3] * 3)
    assert paths == [[1, 1, 1], [1, 2, 3], [1, 3, 6]]


def test_a_recurrence_may_be_longer_than_pythons_stack() -> None:
    assert run("x[T] -> h\nh[t] = x[t] + h[t-1]", x=[1] * 3000)[-1] == 3000  # type: ignore[index]


def test_a_base_case_wins_over_the_general_equation() -> None:
    assert run("x[N] -> y\ny[1] = 100*x[0]\ny[n] = x[n]", x=[1, 2, 3]) == [1, 100, 3]


# -- rule 4: kinks -------------------------------------------------------------------------------------------------------------
def gradient(text: str, **inputs: object) -> object:
    (result,) = nd.evaluate(nd.derive(text).backward, inputs).values()
    return result


def test_kinks_have_slope_zero() -> None:
    assert gradient("x[N] -> L\nL = sum[n](relu(x[n]))", x=[-1, 0, 2]) == [0, 0, 1]
    assert gradient("x[N] -> L\nL = sum[n](abs(x[n]))", x=[-1, 0, 2]) == [-1, 0, 1]


def test_a_shared_maximum_shares_its_gradient() -> None:
    assert gradient("x[N] -> L\nL = max[n](x[n])", x=[3, 1, 3]) == [Fraction(1, 2), 0, Fraction(1, 2)]
    assert gradient("x[N] -> L\nL = min[n](x[n])", x=[3, 1, 1, 1]) == [0, *[Fraction(1, 3)] * 3]
    assert gradient("x[N] -> L\nL = max(x[0], x[1])", x=[2, 2]) == [Fraction(1, 2)] * 2


# -- numbers -------------------------------------------------------------------------------------------------------------------
def test_number_types_pass_through() -> None:
    text = "x -> y\ny = x**2/3"
    assert run(text, x=Fraction(1, 2)) == Fraction(1, 12)
    assert run(text, x=0.5) == pytest.approx(1 / 12)
    assert isinstance(run(text, x=0.5), float)
    assert mpmath.almosteq(run(text, x=mpmath.mpf("0.5")), mpmath.mpf(1) / 12)


def test_functions_of_fractions_have_fifty_digits() -> None:
    found = run("x -> y\ny = exp(x)", x=1)
    with mpmath.workdps(60):
        assert abs(mpmath.mpf(found) - mpmath.e) < mpmath.mpf(10) ** -48


@pytest.mark.parametrize(("function", "above", "below"), [("tanh", 1, -1), ("erf", 1, -1), ("sigmoid", 1, 0), ("exp", None, 0)])
def test_functions_of_what_is_astronomic_have_their_limits(function: str, above: int | None, below: int) -> None:
    """mpmath asks for as many bits as e^e^50 is large."""
    program = nd.parse(f"x, s -> y, z\nu = s*exp(exp(x))\ny = {function}(u)\nz = tanh(exp({function}(u)))")
    for sign, limit in ((1, above), (-1, below)):
        found = nd.evaluate(program, {"x": 50, "s": sign})
        assert limit is None or abs(found["y"] - limit) < 1e-40
        assert abs(float(found["z"])) <= 1


def test_reductions_of_nothing() -> None:
    text = "x[N] -> a, b, c, d, e\n" + "\n".join(
        f"{n} = {op}[i](x[i+9]) for i < N" for n, op in zip("abcde", ("sum", "mean", "max", "min", "logsumexp"), strict=True))
    found = nd.evaluate(text, {"x": [1]})
    assert found == {"a": 0, "b": 0, "c": -math.inf, "d": math.inf, "e": -math.inf}


def test_integer_parameters_and_tensors_are_values_too() -> None:
    assert run("x[N], int k -> y\ny[n] = x[n]*k + n", x=[1, 1], k=3) == [3, 4]
    assert run("E[V], int tok[N] -> y\ny[n] = E[tok[n]]*tok[n]", E=[5, 6, 7], tok=[2, 0, 9]) == [14, 0, 0]


# -- inputs that do not fit ----------------------------------------------------------------------------------------------------
def test_inputs_that_do_not_fit_are_named() -> None:
    text = "X[N,I], W[I,O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o])"
    with pytest.raises(nd.EvaluationError, match="W"):
        nd.evaluate(text, {"X": [[1]]})
    with pytest.raises(nd.EvaluationError, match="Q"):
        nd.evaluate(text, {"X": [[1]], "W": [[1]], "Q": 1})
    with pytest.raises(nd.EvaluationError, match=r"1 dimension; X\[N,I\] has 2"):
        nd.evaluate(text, {"X": [1], "W": [[1]]})
    with pytest.raises(nd.EvaluationError, match="I"):
        nd.evaluate(text, {"X": [[1, 2]], "W": [[1]]})
    with pytest.raises(nd.EvaluationError, match="ragged"):
        nd.evaluate(text, {"X": [[1, 2], [3]], "W": [[1], [1]]})


def test_an_element_that_data_make_need_itself_is_refused() -> None:
    told = r"y\[0\] needs itself: q leads back to it.\nWhere that is never so, say it: `given q\[t\] < t`"
    with pytest.raises(nd.DefinitionError, match=told):
        nd.evaluate("x[T], int q[T] -> y\ny[t] = x[t] + y[q[t]]", {"x": [1, 2], "q": [1, 0]})


def test_a_fraction_to_the_power_of_a_dual_number_stays_exact():
    """Python's Fraction would turn into a float before the dual number is asked."""
    from nnderiv.dual import Dual

    found = nd.evaluate("x, p -> y\n y = x**p", {"x": Fraction(2, 3), "p": Dual(Fraction(1, 3), Fraction(1))})["y"]
    plain = nd.evaluate("x -> y\n y = x**(1/3)*log(x)", {"x": Fraction(2, 3)})["y"]
    assert not isinstance(found.value, float) and abs(found.slope - plain) < 1e-40


LOOK_UP = "x[N], int tok[M], a, int s -> y\ny[m] = a*x[tok[m]]*s"
VALUES = {"x": [1, 2], "tok": [0, 1], "a": 2, "s": 3}


@pytest.mark.parametrize(("changes", "told"), [
    ({"tok": [1, 0.7]}, r"tok\[1\] is 0.7; expected an integer"), ({"tok": np.array([0.5, 1])}, r"tok\[0\] is 0.5; expected an integer"),
    ({"tok": [0, None]}, r"tok\[1\] is None; expected an integer"), ({"tok": [math.nan, 0]}, r"tok\[0\] is nan; expected an integer"),
    ({"s": 2.5}, "s is 2.5; expected an integer"), ({"s": "3"}, "s is '3'; expected an integer"), ({"s": math.inf}, "s is inf"),
    ({"s": 1j}, "s is 1j; expected an integer"), ({"s": [3]}, "s has 1 dimension; int s has 0"),
    ({"a": 1j}, "a is 1j; expected a real number"), ({"a": "2"}, "a is '2'; expected a real number"), ({"a": None}, "a is None"),
    ({"x": [1, 2j]}, r"x\[1\] is 2j; expected a real number"), ({"x": np.ones(2, complex)}, r"x\[0\] is \(1\+0j\)"),
])
def test_an_input_that_is_no_number_of_its_kind_is_refused_by_name(changes, told):
    with pytest.raises(nd.EvaluationError, match=told):
        nd.evaluate(LOOK_UP, {**VALUES, **changes})


def test_numbers_of_every_type_that_are_of_its_kind_are_taken():
    whole = [(1, 3), (1.0, 3.0), (Fraction(1), Fraction(3)), (np.int8(1), np.uint8(3)), (np.float32(1), np.array(3)), (True, 3)]
    for one, s in whole:
        assert nd.evaluate(LOOK_UP, {**VALUES, "tok": [0, one], "s": s})["y"] == [6, 12]
    for a in (2.0, Fraction(2), np.float16(2), np.longdouble(2), mpmath.mpf(2), np.array(2)):
        assert nd.evaluate(LOOK_UP, {**VALUES, "a": a})["y"] == [6, 12]


def test_whole_numbers_may_be_of_any_length() -> None:
    """Exactly, as a parameter too; beside a float, what no float can hold is infinite."""
    text, large = "x[N], int s, a -> y\ny = a*sum[n](x[n]) + s", 10**400
    assert nd.evaluate(text, {"x": [1], "s": large, "a": large})["y"] == 2*large
    assert nd.evaluate(text, {"x": [1.0], "s": 1, "a": -large})["y"] == -math.inf


def test_what_can_be_added_and_multiplied_is_a_number() -> None:
    a, b = sp.symbols("a b")
    (found,) = nd.evaluate("x[N] -> y\ny = sum[n](x[n]**2)", {"x": [a, b]}).values()
    assert sp.expand(found - a**2 - b**2) == 0
    with pytest.raises(nd.EvaluationError, match=r"x\[0\] is Decimal\('1.5'\); expected a real number"):
        nd.evaluate("x[N] -> y\ny = sum[n](x[n]*x[n])", {"x": [Decimal("1.5")]})


def test_an_output_that_there_is_none_of_is_named():
    with pytest.raises(nd.EvaluationError, match="There is no tensor z; there are x, tok, a, s, y"):
        nd.evaluate(LOOK_UP, VALUES, outputs=["y", "z"])
    assert nd.evaluate("x[N] -> Y1\nY1[n] = x[n]", {"x": [1]}, outputs="Y1") == {"Y1": [1]}


@pytest.mark.parametrize("op", ["max", "min", "logsumexp"])
@pytest.mark.parametrize("x", [[math.nan, math.nan], [math.nan, 1.0], [1.0, math.nan]])
def test_a_nan_among_others_is_what_an_extreme_is(op, x):
    text = f"x[N] -> y\ny = {op}[n](x[n])"
    assert math.isnan(nd.evaluate(text, {"x": x})["y"]) and math.isnan(nd.derive(text).compile().forward(x=np.array(x))[0])


def test_a_root_of_0_below_a_line_is_infinite() -> None:
    value = nd.evaluate("x[N] -> y\ny[n] = min(x[n]**(-1/2), 3)", {"x": [0, 4]})["y"]
    assert value[0] == 3 and value[1] == 0.5
