"""Other projects' cases: TVM's 27 convolutions and 9 poolings, einconv's 66, Halide's 35.

Each twice. Exactly: rational inputs, the derived program in the interpreter, every entry equal to what the definition
gives when each of its products is read in both directions. And in float64, compiled, against PyTorch.

The exact run keeps a table's kernel, stride, padding and dilation, and the pixels that the stride leaves over. It cuts
the image to three output positions in one dimension, to two a side in several (to one where the kernel alone has
hundreds of entries), the batch to one, and the channels to two, from three dimensions on to one. PyTorch's run takes
the table's sizes in one and two dimensions; in three it cuts the image to four output positions a side, in four to two.
"""

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
import pytest
import torch

import nnderiv as nd
from tests.running import assert_close, backward, derivation, forward, interpret
from tests.suites import einconv, halide, tvm
from tests.suites.windows import Convolution


def rational(rng: np.random.Generator, shape: tuple[int, ...], denominator: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, and the same as an array of fractions over a common denominator."""
    whole = rng.integers(-9, 10, size=shape).astype(object)
    return whole, np.vectorize(lambda n: Fraction(int(n), denominator), otypes=[object])(whole)


def small(case: Convolution) -> Convolution:
    """The case at a size at which every product can be written out; see the head of this file."""
    channels = 1 if len(case.image) > 2 else 2
    cut = {"batch": 1, "channels": min(case.channels, channels), "outputs": min(case.outputs, channels)}
    if len(case.image) == 1:
        return case.cropped(3, **cut)
    two = case.cropped(2, **cut)
    return two if prod(two.image) * prod(two.kernel) < 500_000 else case.cropped(1, **cut)


def check_exactly(case: Convolution, text: str, parameters: dict, wrt: tuple[str, ...] | None) -> None:
    rng = np.random.default_rng(case.work)
    whole, fractions = zip(*(rational(rng, shape) for shape in case.shapes.values()), strict=True)
    whole, inputs = dict(zip(case.shapes, whole, strict=True)), dict(zip(case.shapes, fractions, strict=True))
    dY = inputs.pop("Y")
    # A product of two sixths is over 36, and so the bias, which enters alone, counts six times.
    expected = case.exact(whole["X"], whole["W"], whole["Y"], 6 * whole["b"] if case.bias else None)
    over = {"Y": 36, "dX": 36, "dW": 36, "db": 6}
    found = interpret(nd.parse(text), inputs | parameters)
    found |= interpret(derivation(text, wrt).backward, inputs | parameters | {"dY": dY})
    assert set(found) == {"Y", *(f"d{name}" for name in wrt or inputs)}
    for name, value in found.items():
        assert (np.array(value, dtype=object) * over[name] == expected[name]).all(), name


def check_against_pytorch(case: Convolution, text: str, parameters: dict, wrt: tuple[str, ...] | None) -> None:
    rng = np.random.default_rng(case.work)
    inputs = {name: rng.normal(size=shape) for name, shape in case.shapes.items()}
    dY = inputs.pop("Y")
    leaves = {name: torch.tensor(x, requires_grad=True) for name, x in inputs.items()}
    Y = case.torch(**leaves)
    names = wrt or tuple(inputs)
    expected = torch.autograd.grad(Y, [leaves[name] for name in names], torch.tensor(dY))
    assert_close(forward(text, inputs | parameters, wrt)[0]["Y"], Y.detach().numpy(), "Y")
    found = backward(text, inputs | parameters, [dY], wrt)
    for name, g in zip(names, expected, strict=True):
        assert_close(found[name], g.numpy(), f"d{name}")


# ---- TVM: literals in the text, and ranges that are inferred --------------------------------------------------

tvm_convolutions = pytest.mark.parametrize("case", tvm.CONVOLUTIONS.values(), ids=tvm.CONVOLUTIONS)
tvm_poolings = pytest.mark.parametrize("case", tvm.POOLINGS.values(), ids=tvm.POOLINGS)


@tvm_convolutions
def test_the_gradients_of_tvms_convolutions_are_exact(case):
    check_exactly(small(case), case.text(literal=True), {}, None)


@tvm_convolutions
def test_tvms_convolutions_agree_with_pytorch(case):
    check_against_pytorch(case, case.text(literal=True), {}, None)


@tvm_convolutions
def test_the_gradient_of_tvms_convolutions_is_the_adjoint(case):
    """<dY, conv(V)> = <dX, V> for every V: the convolution is linear in its image, and dX does not depend on it."""
    case, text = small(case), case.text(literal=True)
    rng = np.random.default_rng(case.work)
    (_, V), (_, W), (_, dY) = (rational(rng, case.shapes[name]) for name in "XWY")
    Y = interpret(nd.parse(text), {"X": V, "W": W})["Y"]
    dX = interpret(derivation(text, ("X",)).backward, {"X": V, "W": W, "dY": dY})["dX"]
    assert (dY * np.array(Y, dtype=object)).sum() == (np.array(dX, dtype=object) * V).sum()


@tvm_poolings
def test_the_gradients_of_tvms_poolings_are_exact_and_shared_among_equals(case):
    rng = np.random.default_rng(case.kernel[0])
    X = rng.integers(4, size=(1, 1, *case.image)).astype(object)             # four values: most windows have ties
    dY = 2520 * rng.integers(-9, 10, size=(1, 1, *case.out)).astype(object)  # which up to ten equals can share
    expected = replace(case, channels=1).exact(X, dY)
    exactly = lambda a: np.vectorize(Fraction, otypes=[object])(a)
    text = case.text()
    assert (np.array(interpret(nd.parse(text), {"X": exactly(X)})["Y"], dtype=object) == expected["Y"]).all()
    found = interpret(derivation(text).backward, {"X": exactly(X), "dY": exactly(dY)})["dX"]
    assert (np.array(found, dtype=object) == expected["dX"]).all()


@tvm_poolings
def test_the_emitted_poolings_share_among_equals(case):
    rng = np.random.default_rng(case.kernel[0])
    X, dY = rng.integers(4, size=(1, 2, *case.image)), 2520 * rng.integers(-9, 10, size=(1, 2, *case.out))
    expected = case.exact(X.astype(object), dY.astype(object))
    assert_close(backward(case.text(), {"X": X.astype(float)}, [dY.astype(float)])["X"], expected["dX"], "dX")


@tvm_poolings
def test_tvms_poolings_agree_with_pytorch(case):
    rng = np.random.default_rng(case.kernel[0])
    X, dY = rng.normal(size=(1, 2, *case.image)), rng.normal(size=(1, 2, *case.out))
    leaf = torch.tensor(X, requires_grad=True)
    Y = case.torch(leaf)
    Y.backward(torch.tensor(dY))
    assert_close(forward(case.text(), {"X": X})[0]["Y"], Y.detach().numpy(), "Y")
    assert_close(backward(case.text(), {"X": X}, [dY])["X"], leaf.grad.numpy(), "dX")


# ---- einconv: stride, padding and dilation are parameters -----------------------------------------------------

einconv_cases = pytest.mark.parametrize("case, wrt", einconv.CASES.values(), ids=einconv.CASES)


@einconv_cases
def test_the_gradients_of_einconvs_cases_are_exact(case, wrt):
    case = small(case)
    check_exactly(case, case.text(), case.parameters(), wrt)


@einconv_cases
def test_einconvs_cases_agree_with_pytorch(case, wrt):
    if len(case.image) > 2:
        case = case.cropped(4 if len(case.image) == 3 else 2)
    check_against_pytorch(case, case.text(), case.parameters(), wrt)


# ---- Halide: expected numbers ---------------------------------------------------------------------------------


def fractions(value):
    if isinstance(value, list):
        return [fractions(v) for v in value]
    return Fraction(value)


@pytest.mark.parametrize("fact", [f for f in halide.FACTS if f.exact], ids=repr)
def test_halides_gradients_are_exact(fact):
    integers = {name for name in fact.inputs if f"int {name}" in fact.text}
    inputs = {name: value if name in integers else fractions(value) for name, value in fact.inputs.items()}
    found = interpret(derivation(fact.text).backward, inputs)
    for name, expected in fact.gradients.items():
        assert found[f"d{name}"] == fractions(expected), name


@pytest.mark.parametrize("fact", halide.FACTS, ids=repr)
def test_halides_gradients_are_what_the_emitted_module_gives(fact):
    integers = {name for name in fact.inputs if f"int {name}" in fact.text}
    inputs = {name: value if isinstance(value, int) and name in integers
              else np.array(value, dtype=int if name in integers else float) for name, value in fact.inputs.items()}
    inputs = {name: float(x) if getattr(x, "shape", None) == () else x for name, x in inputs.items()}
    found = backward(fact.text, inputs, [np.ones(())])
    for name, expected in fact.gradients.items():
        assert_close(found[name], np.array(expected, dtype=float), f"d{name}", tolerance=1e-12)


def test_halides_second_derivative_is_exact():
    fact = halide.SECOND_ORDER
    first = derivation(fact.text).backward
    assert list(interpret(first, {"x": Fraction(1)}).values()) == [5]
    assert list(interpret(nd.derive(first).backward, {"x": Fraction(1)}).values()) == [2]
