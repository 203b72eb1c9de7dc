"""∂e/∂A of scalar expressions: each function's derivative against a numerical one, kinks as rule 4 says."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import nnderiv as nd
from nnderiv.expr import BINARY_FUNCTIONS, UNARY, Op, num, tensor
from nnderiv.numbers import FUNCTIONS
from nnderiv.scalar import partial

KINKED = ("relu", "abs", "sign")


def slope(e: str, x: Fraction, order: int = 1) -> object:
    program = nd.parse(f"x -> y\ny = {e}")
    for _ in range(order):
        program = nd.derive(program).backward
    (value,) = nd.evaluate(program, {"x": x}).values()
    return value


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("x", [Fraction(1, 7), Fraction(5, 3), Fraction(-4, 5)])
def test_a_functions_derivative_is_its_slope(name: str, x: Fraction) -> None:
    x = abs(x) if name in ("log", "sqrt") else x
    with mpmath.workdps(50):
        h = Fraction(1, 10**12)
        rise = mpmath.mpf(0) + FUNCTIONS[name](x + h) - FUNCTIONS[name](x - h)
        assert abs(mpmath.mpf(1) * slope(f"{name}(x)", x) - rise / (2 * mpmath.mpf(10) ** -12)) < 1e-15


@pytest.mark.parametrize("name", [n for n in UNARY if n not in KINKED])
def test_a_second_derivative_is_the_slope_of_the_first(name: str) -> None:
    x, h = Fraction(3, 7), Fraction(1, 10**12)
    with mpmath.workdps(50):
        rise = mpmath.mpf(1) * slope(f"{name}(x)", x + h) - mpmath.mpf(1) * slope(f"{name}(x)", x - h)
        assert abs(mpmath.mpf(1) * slope(f"{name}(x)", x, 2) - rise / (2 * mpmath.mpf(10) ** -12)) < 1e-15


OPERATORS = ("x**3", "x**-2", "2**x", "x**0.5", "1/(1 + x)", "(x + 1)*(x - 1)/x", "x**x", "exp(-x**2)*sin(x)", "log(x)**2")


@pytest.mark.parametrize("e", OPERATORS)
def test_operators_have_their_slopes(e: str) -> None:
    x, h = Fraction(4, 3), Fraction(1, 10**12)
    program = nd.parse(f"x -> y\ny = {e}")
    with mpmath.workdps(50):
        ahead, behind = (mpmath.mpf(1) * nd.evaluate(program, {"x": v})["y"] for v in (x + h, x - h))
        assert abs(mpmath.mpf(1) * slope(e, x) - (ahead - behind) / (2 * mpmath.mpf(10) ** -12)) < 1e-15


@pytest.mark.parametrize("name", BINARY_FUNCTIONS)
def test_a_tie_of_two_is_shared(name: str) -> None:
    e = Op(name, (tensor("x"), tensor("y")))
    assert slope(f"{name}(x, 2)", Fraction(2)) == Fraction(1, 2)
    assert partial(e, tensor("z")) == num(0)


def test_kinks_have_slope_zero() -> None:
    for name in KINKED:
        assert slope(f"{name}(x)", Fraction(0)) == 0


def test_a_branch_that_is_not_taken_contributes_nothing() -> None:
    assert slope("where(x > 0, x**2, 5)", Fraction(-1)) == 0
    assert slope("where(x > 0, x**2, 5)", Fraction(3)) == 6


def test_a_derivative_reuses_the_value_of_the_function() -> None:
    own = tensor("Y")
    assert str(partial(Op("tanh", (tensor("x"),)), tensor("x"), own)) == "1 - Y**2"
    assert str(partial(Op("exp", (tensor("x"),)), tensor("x"), own)) == "Y"
    assert str(partial(Op("sigmoid", (tensor("x"),)), tensor("x"), own)) == "Y*(1 - Y)"


def test_several_reads_of_one_tensor_are_told_apart() -> None:
    e = tensor("x", "i") * tensor("x", "j")
    assert partial(e, tensor("x", "i")) == tensor("x", "j")


# -- powers whose exponent is no number in the text -------------------------------------------------------------------------------
@pytest.mark.parametrize(("power", "slope"), [(0, 0), (1, 1), (2, 0), (3, 0)])
def test_a_power_has_its_slope_at_zero(power: int, slope: int) -> None:
    d = nd.derive("x[N], int p -> y\ny[n] = x[n]**p")
    assert nd.evaluate(d.backward, {"x": [0], "p": power, "dy": [1]})["dx"] == [slope]
    _, residuals = d.compile().forward(x=np.zeros(1), p=power)
    assert d.compile().backward(residuals, dy=np.ones(1)).dx == [slope]


def test_a_polynomial_has_its_slope_at_zero() -> None:
    d = nd.derive("x[N], c[K] -> y\ny[n] = sum[k](c[k]*x[n]**k)")
    assert nd.evaluate(d.backward, {"x": [0, 2], "c": [5, 7, 11], "dy": [1, 1]})["dx"] == [7, 7 + 2*11*2]
    _, residuals = d.compile().forward(x=np.array([0.0, 2.0]), c=np.array([5.0, 7.0, 11.0]))
    np.testing.assert_allclose(d.compile().backward(residuals, dy=np.ones(2)).dx, [7, 51])


def test_a_focal_loss_is_flat_where_the_probability_is_one() -> None:
    d = nd.derive("q[N], gamma -> L\nL = -sum[n]((1 - q[n])**gamma*log(q[n]))", wrt=("q",))
    assert str(d["q"].definition) == "dq[n] = gamma*(1 - q[n])**(gamma - 1)*log(q[n]) - (1 - q[n])**gamma/q[n]"
    _, residuals = d.compile().forward(q=np.array([1.0, 0.5]), gamma=2.0)
    np.testing.assert_allclose(d.compile().backward(residuals).dq, [0, 2*0.5*np.log(0.5) - 0.25/0.5])


@pytest.mark.parametrize(("e", "at", "expected"), [
    ("sqrt(relu(x[n]))", 4, 0.25), ("log(relu(x[n]))", 4, 0.25), ("1/relu(x[n])", 2, -0.25), ("relu(x[n])**3", 2, 12),
])
def test_what_a_relu_holds_at_zero_has_no_slope_there(e: str, at: int, expected: float) -> None:
    module = nd.derive(f"x[N] -> y\ny[n] = {e}").compile()
    with np.errstate(all="ignore"):
        _, residuals = module.forward(x=np.array([-1.0, at]))
        found = module.backward(residuals, dy=np.ones(2)).dx
    np.testing.assert_allclose(found[1], expected)
    assert found[0] == 0
