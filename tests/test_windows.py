"""Windows: every form that the emitter has for them, against the interpreter and PyTorch; and which form is chosen."""

from __future__ import annotations

import re
import tracemalloc
from math import prod
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import nnderiv as nd
from nnderiv.integer import Int
from nnderiv.lower import cost
from nnderiv.lower.items.form import ADD, Block, Item, Line, Statement, Term, call
from nnderiv.lower.items.masks import masks
from nnderiv.lower.runtime import needed
from tests.emitted import body
from tests.running import assert_close, assert_means, backward, compiled, derivation, forward, interpret
from tests.suites.windows import Convolution

CONVOLUTIONS = {
    "a kernel of one": Convolution((4, 5), (1, 1), (1, 1), (0, 0), (1, 1), 2, channels=2, outputs=3),
    "a kernel as large as the image": Convolution((3, 4), (3, 4), (1, 1), (0, 0), (1, 1), 2, channels=2, outputs=3),
    "more padding than kernel": Convolution((3, 4), (2, 2), (1, 1), (3, 2), (1, 1), 2, channels=2, outputs=3, bias=True),
    "stride": Convolution((7, 8), (3, 2), (2, 3), (1, 0), (1, 1), 2, channels=2, outputs=3, bias=True),
    "dilation": Convolution((7, 9), (3, 2), (1, 1), (2, 1), (2, 3), 2, channels=2, outputs=3),
    "stride and dilation": Convolution((9, 8), (3, 2), (2, 2), (1, 2), (2, 3), 2, channels=2, outputs=3),
    "one channel, one output": Convolution((5, 5), (3, 3), (1, 1), (1, 1), (1, 1), 3),
    "no images": Convolution((5, 5), (3, 3), (1, 1), (1, 1), (1, 1), 0, channels=2, outputs=3, bias=True),
    "groups": Convolution((6, 5), (3, 2), (1, 1), (1, 1), (1, 1), 2, groups=2, channels=2, outputs=3, bias=True),
    "one axis": Convolution((9,), (4,), (2,), (3,), (1,), 3, channels=2, outputs=2, bias=True),
    "three axes": Convolution((4, 3, 5), (2, 3, 2), (1, 1, 1), (1, 0, 1), (1, 1, 2), 2, channels=2, outputs=2),
    "three axes, strides": Convolution((5, 4, 5), (2, 2, 3), (2, 1, 2), (0, 1, 1), (1, 1, 1), 2, channels=2, outputs=2),
}


def arrays(case: Convolution) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(case.work)
    drawn = {name: rng.normal(size=shape) for name, shape in case.shapes.items()}
    return drawn, drawn.pop("Y")


@pytest.mark.parametrize("literal", [True, False], ids=["literals", "parameters"])
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_every_form_of_convolution_agrees_with_pytorch(case: Convolution, literal: bool) -> None:
    inputs, dY = arrays(case)
    text, parameters = case.text(literal), {} if literal else case.parameters()
    leaves = {name: torch.tensor(x, requires_grad=True) for name, x in inputs.items()}
    Y = case.torch(**leaves)
    expected = torch.autograd.grad(Y, list(leaves.values()), torch.tensor(dY))
    assert_close(forward(text, inputs | parameters)[0]["Y"], Y.detach().numpy(), "Y")
    for name, g in zip(inputs, expected, strict=True):
        assert_close(backward(text, inputs | parameters, [dY])[name], g.numpy(), f"d{name}")


@pytest.mark.parametrize("name", ["more padding than kernel", "dilation", "three axes"])
def test_every_form_of_convolution_agrees_with_the_interpreter(name: str) -> None:
    case = CONVOLUTIONS[name]
    inputs, dY = arrays(case)
    text = case.text(literal=True)
    expected = interpret(derivation(text).backward, inputs | {"dY": dY})
    for name, value in backward(text, inputs, [dY]).items():
        assert_close(value, expected[f"d{name}"], f"d{name}")


@pytest.mark.parametrize("without", ["by_image", "by_place"])
@pytest.mark.parametrize("case", [CONVOLUTIONS["stride and dilation"], CONVOLUTIONS["groups"]], ids=["strided", "grouped"])
def test_the_results_do_not_depend_on_the_form(case: Convolution, without: str) -> None:
    inputs, dY = arrays(case)
    text = case.text(literal=True)
    module = derivation(text).compile(without=without)
    Y, residuals = module.forward(**inputs)
    assert_close(forward(text, inputs)[0]["Y"], Y, "Y")
    expected = module.backward(residuals, dY=dY)
    for name, g in backward(text, inputs, [dY]).items():
        assert_close(g, getattr(expected, f"d{name}"), f"d{name}")


def test_the_layout_of_the_inputs_in_memory_does_not_matter() -> None:
    case = CONVOLUTIONS["stride"]
    inputs, dY = arrays(case)
    text = case.text(literal=True)
    strange = {k: np.asfortranarray(a)[..., ::-1].copy()[..., ::-1] for k, a in inputs.items()}
    expected = backward(text, inputs, [dY])
    for name, value in backward(text, strange, [np.asfortranarray(dY)]).items():
        assert_close(value, expected[name], name)


def test_a_transposed_convolution_slides_the_image_and_not_the_kernel() -> None:
    text = ("X[N,C,H,W], K[C,O,U,V], int s, int p -> Y\n"
            "Y[n,o,a,b] = sum[c,i,j](X[n,c,i,j]*K[c,o,a+p-s*i,b+p-s*j]) for a < s*(H - 1) + U - 2*p, b < s*(W - 1) + V - 2*p")
    rng = np.random.default_rng(0)
    X, K = rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(3, 2, 3, 4))
    leaves = [torch.tensor(a, requires_grad=True) for a in (X, K)]
    Y = F.conv_transpose2d(*leaves, stride=2, padding=1)
    dY = rng.normal(size=Y.shape)
    expected = torch.autograd.grad(Y, leaves, torch.tensor(dY))
    given = {"X": X, "K": K, "s": 2, "p": 1}
    assert_close(forward(text, given)[0]["Y"], Y.detach().numpy(), "Y")
    found = backward(text, given, [dY])
    for name, g in zip("XK", expected, strict=True):
        assert_close(found[name], g.numpy(), f"d{name}")
    assert "_windows(K" not in compiled(text).source


POOLINGS = {
    "max": ("max[u,v](X[n,c,{s}*i+{d}*u-{p},{s}*j+{d}*v-{p}])", lambda X, k, s, p, d: F.max_pool2d(X, k, s, p, d)),
    "average": ("sum[u,v](X[n,c,{s}*i+{d}*u-{p},{s}*j+{d}*v-{p}])/({k}*{k})", lambda X, k, s, p, d: F.avg_pool2d(X, k, s, p)),
    "mean": ("mean[u,v](X[n,c,{s}*i+{d}*u-{p},{s}*j+{d}*v-{p}])",
             lambda X, k, s, p, d: F.avg_pool2d(X, k, s, p, count_include_pad=False)),
}


# y[t] of a transposed convolution, as it is said with a condition: what is at place u of the kernel goes from i to t.
PLACES = {
    "stride": ("t == 2*i + u - 1", "0 <= t < 2*T"),
    "padding that cuts off": ("t == 2*i + u - 3", "0 <= t < T"),
    "dilation": ("3*i + 2*u == t + 1", "0 <= t < 3*T"),
    "no stride": ("i + u - t == 0", "0 <= t < T + U - 1"),
    "backwards": ("t == 2*i - u + 2", "0 <= t < 2*T"),
    "another origin": ("t == i - 2*u", "-5 <= t < T"),
    "steps of a size": ("t == U*i + u", "0 <= t < U*T"),
    "nowhere": ("t == i + u + 40", "0 <= t < 2*T"),
}


@pytest.mark.parametrize("case", PLACES)
def test_a_condition_that_says_where_a_sum_adds_is_followed(case: str) -> None:
    condition, places = PLACES[case]
    text = f"x[N,C,T], K[C,O,U] -> y\ny[n,o,t] = sum[c,i,u](where({condition}, K[c,o,u]*x[n,c,i], 0))  for {places}"
    program, rng = nd.parse(text), np.random.default_rng(0)
    for without in [(), ("by_image",), ("by_place",)]:
        module = nd.derive(program).compile(without=without)
        assert "==" not in module.source[module.source.index("def forward"):module.source.index("def backward")].split('"""')[2].replace(
            "shape ==", "").replace(condition, "")
        for shapes in [((2, 3, 5), (3, 2, 4)), ((1, 1, 1), (1, 1, 1)), ((2, 1, 3), (1, 3, 1))]:
            inputs = {name: rng.normal(size=shape) for name, shape in zip("xK", shapes, strict=True)}
            y, residuals = module.forward(**inputs)
            assert_close(y, interpret(program, inputs)["y"], "y")
            dy = rng.normal(size=y.shape)
            gradients = module.backward(residuals, dy=dy)
            for x, g in zip(inputs.values(), gradients, strict=True):
                assert np.isclose((x*g).sum(), (y*dy).sum())  # y is linear in either


@pytest.mark.parametrize("stride, padding, dilation", [((2, 3), (1, 0), (1, 1)), ((1, 1), (0, 1), (2, 1)), ((3, 2), (1, 1), (1, 2))])
def test_a_transposed_convolution_by_conditions_agrees_with_pytorch(stride: Any, padding: Any, dilation: Any) -> None:
    (s, t), (p, q), (d, e) = stride, padding, dilation
    sizes = f"for 0 <= a < {s}*(H - 1) + {d}*(U - 1) + 1 - 2*{p}, 0 <= g < {t}*(W - 1) + {e}*(V - 1) + 1 - 2*{q}"
    text = f"""
        X[N,C,H,W], K[C,O,U,V], b[O] -> Y
        Y[n,o,a,g] = sum[c,i,j,u,v](where(a == {s}*i + {d}*u - {p} and g == {t}*j + {e}*v - {q}, K[c,o,u,v]*X[n,c,i,j], 0)) + b[o] {sizes}
        """
    rng = np.random.default_rng(0)
    for kernel in [(3, 2), (1, 1)] if padding == (0, 0) else [(3, 2), (4, 3)]:
        inputs = {"X": rng.normal(size=(2, 3, 4, 5)), "K": rng.normal(size=(3, 2, *kernel)), "b": rng.normal(size=2)}
        X, K, b = (torch.tensor(x, requires_grad=True) for x in inputs.values())
        Y = F.conv_transpose2d(X, K, b, stride=stride, padding=padding, dilation=dilation)
        dY = rng.normal(size=tuple(Y.shape))
        expected = torch.autograd.grad(Y, [X, K, b], torch.tensor(dY))
        assert_close(forward(text, inputs)[0]["Y"], Y.detach().numpy(), "Y")
        for name, g in zip(inputs, expected, strict=True):
            assert_close(backward(text, inputs, [dY])[name], g.numpy(), f"d{name}")


@pytest.mark.parametrize("place, lo, form", [
    ("H*W*c + W*i + j", 0, "y = x.reshape(N, C*H*W).copy()"),
    ("c + C*i + C*H*j", 0, "y = x.transpose(0, 3, 2, 1).copy().reshape(N, C*H*W)"),
    ("H*W*c + W*i + j", 1, "for "),  # the first has no place
])
def test_entries_that_fill_an_axis_one_after_the_other_are_reshaped(place: str, lo: int, form: str) -> None:
    text = f"x[N,C,H,W] -> y\ny[n,k] = sum[c,i,j](where(k == {place}, x[n,c,i,j], 0))  for {lo} <= k < C*H*W"
    module, program = nd.derive(text).compile(), nd.parse(text)
    assert form in module.source[module.source.index("def forward"):module.source.index("def backward")]
    for sizes in [(2, 3, 4, 5), (2, 1, 2, 1), (1, 3, 1, 1)]:
        x = np.random.default_rng(0).normal(size=sizes)
        y, residuals = module.forward(x=x)
        assert_close(y, np.reshape(interpret(program, {"x": x})["y"], y.shape), "y")
        assert not np.shares_memory(x, y)
        assert np.isclose((module.backward(residuals, dy=y).dx*x).sum(), (y*y).sum())


def test_a_place_that_no_step_leads_to_is_looked_for() -> None:
    """A sum is a fold only where its steps are steps, each of an index of its own."""
    for condition in ("t == i*u", "t == 2*(i//2) + u", "t == n + i", "t == s*i + u", "t == s*i + u and n == i"):
        program = nd.parse(f"x[N,T], K[U], int s -> y\ny[n,t] = sum[i,u](where({condition}, K[u]*x[n,i], 0))  for 0 <= t < T")
        inputs = {"x": np.arange(12.).reshape(3, 4), "K": np.arange(1., 3.), "s": 0}
        y, _ = nd.derive(program).compile().forward(**inputs)
        assert_close(y, interpret(program, inputs)["y"], condition)


@pytest.mark.parametrize("sizes", [
    (2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), (1, 1, 0, 1), (2, 3, 1, 1), (3, 1, 1, 2), (2, 3, 0, 1), (2, 4, 0, 2)], ids=str)
@pytest.mark.parametrize("kind", POOLINGS)
def test_every_form_of_pooling_agrees_with_pytorch(kind: str, sizes: tuple[int, int, int, int]) -> None:
    k, s, p, d = sizes
    if d > 1 and kind != "max":
        return  # PyTorch has no dilated average
    body, reference = POOLINGS[kind]
    over = f"(H + {2 * p} - {d * (k - 1) + 1})//{s} + 1"
    text = f"X[N,C,H,W] -> Y\nY[n,c,i,j] = {body.format(k=k, s=s, p=p, d=d)} for i < {over}, j < {over.replace('H', 'W')}, u < {k}, v < {k}"
    X = np.random.default_rng(0).normal(size=(2, 3, 7, 8))
    leaf = torch.tensor(X, requires_grad=True)
    Y = reference(leaf, k, s, p, d)
    dY = np.random.default_rng(1).normal(size=Y.shape)
    (expected,) = torch.autograd.grad(Y, [leaf], torch.tensor(dY))
    assert_close(forward(text, {"X": X})[0]["Y"], Y.detach().numpy(), "Y")
    assert_close(backward(text, {"X": X}, [dY])["X"], expected.numpy(), "dX")


# ---- nothing to slide over ----------------------------------------------------------------------------------------------------
EMPTY = {
    "one axis": ("X[N,C,T], W[O,C,U], b[O] -> Y\nY[n,o,i] = sum[c,u](W[o,c,u]*X[n,c,i+u]) + b[o]",
                 {"X": (2, 2, 3), "W": (3, 2, 6), "b": (3,)}),
    "a padded image and a stride": ("X[N,C,H,W], K[O,C,U,V], b[O] -> Y\nY[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,2*i+u-1,2*j+v-1]) + b[o]"
                                    "  for i < (H + 2 - U)//2 + 1, j < (W + 2 - V)//2 + 1",
                                    {"X": (2, 2, 3, 4), "K": (3, 2, 9, 9), "b": (3,)}),
    "one axis of two": ("X[N,C,H,W], K[O,C,U,V] -> Y\nY[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])",
                        {"X": (2, 2, 3, 9), "K": (3, 2, 6, 2)}),
    "channel by channel": ("X[N,C,H,W], K[C,U,V] -> Y\nY[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,i+u,j+v])",
                           {"X": (2, 2, 3, 4), "K": (2, 6, 7)}),
    "maximum": ("X[N,C,H,W] -> Y\nY[n,c,i,j] = max[u,v](X[n,c,2*i+u,2*j+v]) for u < 7, v < 6", {"X": (2, 2, 3, 4)}),
    "sum": ("X[N,C,H,W] -> Y\nY[n,c,i,j] = sum[u,v](X[n,c,i+u,j+v])/42 for u < 7, v < 6", {"X": (2, 2, 3, 4)}),
    "mean": ("X[N,C,T] -> Y\nY[n,c,i] = mean[u](X[n,c,i+u-1]) for i < T + 2 - 7 + 1, u < 7", {"X": (2, 2, 3)}),
    "two in a row": ("X[N,T], w[U], v[U] -> Y\nZ[n,i] = tanh(sum[u](w[u]*X[n,i+u]))\nY[n,i] = sum[u](v[u]*Z[n,i+u])",
                     {"X": (2, 5), "w": (4,), "v": (4,)}),
    "differences": ("x[N] -> L\ny[i] = (x[i+4] - x[i])**2 for i < N - 4\nL = sum[i](y[i])", {"x": (3,)}),
    "a recurrence": ("x[T,N] -> L\nh[t,n] = tanh(x[t+3,n] + h[t-1,n]) for t < T - 3\nL = sum[t,n](h[t,n])", {"x": (1, 2)}),
}


@pytest.mark.parametrize("options", [{}, {"without": ("by_image", "by_place")}, {"threads": 2}], ids=["emitted", "plainly", "threads"])
@pytest.mark.parametrize("case", EMPTY)
def test_a_kernel_larger_than_its_image_gives_nothing_and_no_gradient(case: str, options: dict[str, Any]) -> None:
    text, shapes = EMPTY[case]
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    module = derivation(text).compile(**options)
    Y, residuals = module.forward(**inputs)
    expected = np.asarray(next(iter(interpret(nd.parse(text), inputs).values())))
    assert not Y.any() and np.size(Y) == np.size(expected) <= 1
    gradients = module.backward(residuals, **({"dY": Y} if Y.ndim else {}))
    for name, x in inputs.items():
        g = getattr(gradients, f"d{name}")
        assert g.shape == x.shape and not g.any()


def test_a_size_is_cut_off_at_zero_where_it_is_a_size_and_not_where_it_is_a_value() -> None:
    text = "x[N], b[M] -> y, z\ny[m] = (N - 5)*b[m]\nz[i] = x[i] for i < N - 5"
    y, z = derivation(text).compile().forward(x=np.ones(2), b=np.ones(3))[0]
    assert (y == -3).all() and z.shape == (0,)


# ---- what is not finite stays where it is read -------------------------------------------------------------------------------
CORRELATION = "Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,{}])"
HALVES = "for i < (H + 1)//2, j < (W + 1)//2, u < 3, v < 3"
IMAGES, KERNELS, CHANNELS = (3, 2, 6, 9), (3, 2, 2, 3), (2, 2, 3)
READERS = {
    "padding": ("X[N,C,H,W], K[O,C,U,V] -> Y", CORRELATION.format("i+u-1,j+v-1") + " for i < H + 3 - U, j < W + 3 - V", KERNELS),
    "no padding": ("X[N,C,H,W], K[O,C,U,V] -> Y", CORRELATION.format("i+u,j+v"), KERNELS),
    "a stride": ("X[N,C,H,W], K[O,C,U,V] -> Y",
                 CORRELATION.format("2*i+u-1,2*j+v-1") + " for i < (H + 2 - U)//2 + 1, j < (W + 2 - V)//2 + 1", KERNELS),
    "dilation": ("X[N,C,H,W], K[O,C,U,V] -> Y", CORRELATION.format("i+2*u,j+3*v"), KERNELS),
    "channel by channel": ("X[N,C,H,W], K[C,U,V] -> Y", "Y[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,i+u,j+v])", CHANNELS),
    "squares": ("X[N,C,H,W], K[C,U,V] -> Y", "Y[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,i+u,j+v]**2)", CHANNELS),
    "average": ("X[N,C,H,W] -> Y", f"Y[n,c,i,j] = sum[u,v](X[n,c,2*i+u-1,2*j+v-1])/9 {HALVES}", ()),
    "maximum": ("X[N,C,H,W] -> Y", "Y[n,c,i,j] = max[u,v](X[n,c,i+u,j+v]) for u < 2, v < 3", ()),
    "maximum with padding": ("X[N,C,H,W] -> Y", f"Y[n,c,i,j] = max[u,v](X[n,c,2*i+u-1,2*j+v-1]) {HALVES}", ()),
}


def reader(case: str, images: int, rng: np.random.Generator) -> tuple[str, dict[str, np.ndarray]]:
    """The text and inputs of one of the READERS."""
    signature, equation, kernel = READERS[case]
    inputs = {"X": rng.uniform(0.5, 1.5, size=(images, *IMAGES[1:]))}
    return f"{signature}\n{equation}", {**inputs, "K": rng.uniform(0.5, 1.5, size=kernel)} if kernel else inputs


@pytest.mark.parametrize("places", [((0, 0), (-1, -2)), ((-1, -1), (2, -1)), ((1, -1), (2, 1))], ids=str)
@pytest.mark.parametrize("case", READERS)
def test_what_is_not_finite_reaches_what_reads_it_and_nothing_else(case: str, places: tuple[tuple[int, int], ...]) -> None:
    rng = np.random.default_rng(0)
    text, inputs = reader(case, 2, rng)
    # Python's max, and so the interpreter's, gives nan or not according to the order of its arguments.
    for place, value in zip(places, (np.inf, -np.inf if "maximum" in case else np.nan), strict=True):
        inputs["X"][1, 1, *place] = value
    Y, residuals = compiled(text).forward(**inputs)
    expected = interpret(nd.parse(text), inputs)["Y"]
    np.testing.assert_allclose(Y, np.array(expected, dtype=float), rtol=1e-9)
    dY = rng.uniform(0.5, 1.5, size=Y.shape)
    found = compiled(text).backward(residuals, dY=dY)
    expected = interpret(derivation(text).backward, {**inputs, "dY": dY})
    for name in inputs:
        np.testing.assert_allclose(getattr(found, f"d{name}"), np.array(expected[f"d{name}"], dtype=float), rtol=1e-9, err_msg=name)


@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")  # 0 times an infinity, which nobody looks at
@pytest.mark.parametrize("case", ["no padding", "dilation"])
def test_an_infinity_in_a_kernel_reaches_what_it_is_multiplied_into_and_nothing_else(case: str) -> None:
    rng = np.random.default_rng(0)
    text, inputs = reader(case, 2, rng)
    inputs["K"][1, 0, 1, 2] = np.inf
    Y, residuals = compiled(text).forward(**inputs)
    np.testing.assert_allclose(Y, np.array(interpret(nd.parse(text), inputs)["Y"], dtype=float), rtol=1e-9)
    dY = rng.uniform(0.5, 1.5, size=Y.shape)
    found = compiled(text).backward(residuals, dY=dY)
    expected = interpret(derivation(text).backward, {**inputs, "dY": dY})
    for name in inputs:
        np.testing.assert_allclose(getattr(found, f"d{name}"), np.array(expected[f"d{name}"], dtype=float), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("case", [name for name in READERS if READERS[name][2] == KERNELS])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_last_block_may_be_smaller(case: str, threads: int) -> None:
    rng = np.random.default_rng(0)
    text, inputs = reader(case, 7, rng)
    emitted = derivation(text).compile(threads=threads).source
    assert f"most = max({cost.BLOCK}, weights) //" in emitted
    smaller: dict[str, Any] = {}
    exec(emitted.replace(f"most = max({cost.BLOCK}, weights) //", "most = 2000 //"), smaller)
    smaller["PART"] = 1  # or threads would not pay
    (Y, residuals), (expected, others) = smaller["forward"](**inputs), compiled(text).forward(**inputs)
    assert_close(Y, expected, "Y")
    dY = rng.normal(size=Y.shape)
    for found, gradient in zip(smaller["backward"](residuals, dY=dY), compiled(text).backward(others, dY=dY), strict=True):
        assert_close(found, gradient, "a gradient")


# ---- which form ---------------------------------------------------------------------------------------------------------------
def source(text: str) -> str:
    return nd.derive(text).numpy()


def test_a_product_of_matrices_over_windows_goes_by_blocks_of_images() -> None:
    text = source("X[N,C,H,W], K[O,C,U,V] -> Y\nY[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u-1,j+v-1]) for i < H + 3 - U, j < W + 3 - V")
    assert text.count("in range(start, stop, count):") == 2
    assert text.count("windows.copy(columns") == text.count("windows.product(K_flat, out=Y_flat)") == 1
    assert text.split("def backward")[1].count("exact=True") == 1, "what is summed over all windows"
    assert text.count("] = dY[n]") == 1, "both gradients share the rows of dY"
    assert text.count("windows = _Taps(") == 1, "both gradients share the windows"
    assert "windows.add(columns, dX[n].swapaxes(0, 1))" in text, "what is a matrix for the product is the columns themselves"
    assert "_gather" not in text and "np.arange" not in text


def test_one_image_after_the_other_is_written_to_as_it_lies_where_it_is_a_matrix() -> None:
    assert "windows.product(K.transpose(2, 0, 1), out=Y[n])" in source("X[N,C,T], K[O,C,3] -> Y\nY[n,o,t] = sum[c,u](K[o,c,u]*X[n,c,t+u])")


def test_the_larger_matrix_of_the_gradient_of_a_kernel_stands_first() -> None:
    text = source("X[N,C,H,W], K[O,C,U,V] -> Y\nY[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,2*i+u,2*j+v])")
    assert "dK_sum += (columns" in text and "@ rows_flat.T" in text


def test_a_convolution_is_multiplied_into_where_it_belongs() -> None:
    text = source("X[N,C,H,W], K[O,C,U,V], b[O] -> Y\nY[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v]) + b[o]")
    text = text.split("def forward")[1].split("def backward")[0]
    assert "_Rows(" in text and "out=Y_flat)" in text and "Y[n] += b[:, None, None]" in text and "columns" not in text


def convolution(axes: int, padding: int, spread: int) -> str:
    i, u, H, U = "ijk"[:axes], "uvw"[:axes], "HWD"[:axes], "UVT"[:axes]
    within = ",".join(f"{a}+{spread}*{b}-{padding}" for a, b in zip(i, u, strict=True))
    over = ", ".join(f"{a} < {n} + {2*padding} - {spread}*({k} - 1)" for a, n, k in zip(i, H, U, strict=True))
    return (f"X[N,C,{','.join(H)}], K[O,C,{','.join(U)}], b[O] -> Y\nY[n,o,{','.join(i)}] = "
            f"sum[c,{','.join(u)}](K[o,c,{','.join(u)}]*X[n,c,{within}]) + b[o] for {over}")


@pytest.mark.parametrize("channels", [1, 9], ids=["one product for all taps", "one for each"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding, spread", [(0, 1), (1, 1), (2, 1), (0, 2), (1, 3)])
def test_what_the_next_tap_sees_is_some_rows_further_on(padding: int, spread: int, axes: int, channels: int) -> None:
    text = convolution(axes, padding, spread)
    rng = np.random.default_rng(0)
    shapes = {"X": (3, channels, *(8, 7, 9)[:axes]), "K": (2, channels, *(3, 2, 2)[:axes]), "b": (2,)}
    inputs = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    assert "_Rows(" in source(text)
    X, K, b = (torch.tensor(a, requires_grad=True) for a in inputs.values())
    expected = (F.conv1d, F.conv2d, F.conv3d)[axes - 1](X, K, b, padding=padding, dilation=spread)
    assert_close(compiled(text).forward(**inputs)[0], expected.detach().numpy(), "Y")

    d = nd.derive(text, wrt=("K", "b"))
    assert "windows.correlate(" in d.numpy().split("def backward")[1] and "columns" not in d.numpy().split("def backward")[1]
    dY = rng.normal(size=expected.shape)
    for threads in (1, 2):
        emitted = d.compile(threads=threads)
        gradients = emitted.backward(emitted.forward(**inputs)[1], dY=dY)
        for name, gradient in zip("Kb", torch.autograd.grad(expected, [K, b], torch.tensor(dY), retain_graph=True), strict=True):
            assert_close(getattr(gradients, f"d{name}"), gradient.numpy(), f"d{name}")


def test_a_small_kernel_is_correlated_in_pieces_and_a_large_one_in_one_go() -> None:
    """X[N,C,T] and dY[N,O,T-2], both with 3*2 = 6 entries to each tap: pieces of 5 windows where 6 entries are few, else one."""
    text, rng = "X[N,C,T], K[O,C,U] -> Y\nY[n,o,i] = sum[c,u](K[o,c,u]*X[n,c,i+u])", np.random.default_rng(0)
    X, K, dY = (rng.normal(size=shape) for shape in ((4, 3, 24), (2, 3, 3), (4, 2, 22)))
    emitted = nd.derive(text, wrt=("K",)).numpy()
    for few, products in ((6, 5*3), (5, 3)):
        changed = emitted.replace(f"{cost.SMALL}//max(1, size)", "30//max(1, size)").replace(f"size <= {cost.FEW}", f"size <= {few}")
        assert changed != emitted
        module: dict[str, Any] = {}
        exec(changed, module)
        residuals = module["forward"](X=X, K=K)[1]
        module["np"] = asked = Mock(wraps=np)
        dK = module["backward"](residuals, dY=dY).dK
        assert_close(dK, np.stack([np.einsum("nct,not->oc", X[..., u:u + 22], dY) for u in range(3)], -1), "dK")
        assert asked.matmul.call_count == products


@pytest.mark.parametrize("text, shapes", [
    ("X[N,C,H,W], A[O,R], K[R,C,U,V] -> Y\nY[n,o,i,j] = sum[c,r,u,v](A[o,r]*K[r,c,u,v]*X[n,c,i+u,j+v])",
     ((2, 3, 5, 6), (4, 2), (2, 3, 2, 2))),
    ("X[N,T], K[O,U] -> Y\nY[n,o,i] = tanh(sum[u](K[o,u]*X[n,i+u])) + X[n,i]", ((3, 9), (2, 4))),
    ("X[N,B,C,T], K[P,Q,B,C,U] -> Y\nY[n,p,q,i] = 2*sum[b,c,u](K[p,q,b,c,u]*X[n,b,c,i+u-1]) for i < T", ((2, 2, 3, 5), (2, 3, 2, 3, 3))),
], ids=["a kernel in two factors", "no channels", "channels in two axes"])
def test_what_is_multiplied_row_by_row_is_what_the_interpreter_computes(text: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(0)
    inputs = {t.name: rng.normal(size=shape) for t, shape in zip(nd.parse(text).inputs, shapes, strict=True)}
    assert "_Rows(" in source(text)
    assert_means(derivation(text), compiled(text), inputs, rng)


PATCHES = """X[N,C,H,W], K[O,C,{0},{0}] -> Y
    Y[n,g,h,o] = sum[c,u,v](K[o,c,u,v]*X[n,c,{0}*g+u,{0}*h+v]) for g < H//{0}, h < W//{0}, u < {0}, v < {0}"""


@pytest.mark.parametrize("size, kernel", [("P", 3), ("4", 4), ("2", 2), ("1", 1)])
def test_windows_that_do_not_overlap_are_one_matrix_after_one_copy(size: str, kernel: int) -> None:
    """Of one or two places each, they are copied place by place."""
    text, rng = PATCHES.format(size), np.random.default_rng(0)
    emitted = source(text)
    assert ("_Taps(" in emitted) == (kernel < 3) and emitted.count("((P, 1), (n_g, P))") == 0, "what lies together is copied together"
    X, K = (torch.tensor(rng.normal(size=s), requires_grad=True) for s in ((2, 3, 9, 13), (4, 3, kernel, kernel)))
    Y = F.conv2d(X, K, stride=kernel).permute(0, 2, 3, 1)
    inputs, dY = {"X": X.detach().numpy(), "K": K.detach().numpy()}, rng.normal(size=Y.shape)
    assert_close(forward(text, inputs)[0]["Y"], Y.detach().numpy(), "Y")
    for name, g in zip("XK", torch.autograd.grad(Y, [X, K], torch.tensor(dY)), strict=True):
        assert_close(backward(text, inputs, [dY])[name], g.numpy(), f"d{name}")


DEPTHWISE = "X[N,C,H,W], K[C,U,V], b[C] -> Y\nY[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,{}]) + b[c]"


def test_a_convolution_channel_by_channel_goes_by_blocks_of_images_too() -> None:
    forward, backward = source(DEPTHWISE.format("i+u,j+v")).split("def forward")[1].split("def backward")
    assert forward.count("in _blocks(") == backward.count("in _blocks(") == 1
    assert forward.count(".weighed(K)") == backward.count(".weighed(K)") == 1, "dX is a sum over windows of dY"
    assert backward.count(".exact():") == 1 and "np.vecdot(tap" in backward, "each tap is multiplied by dY where it lies"


@pytest.mark.parametrize("shift", ["i+u,j+v", "i+u-1,j+v-2", "2*i+u-1,3*j+v", "i+2*u,j+v-1"])
def test_a_convolution_channel_by_channel_agrees_with_pytorch(shift: str) -> None:
    step, spread = (2, 3) if "3*j" in shift else (1, 1), (2, 1) if "2*u" in shift else (1, 1)
    padding = {"i+u-1,j+v-2": (1, 2), "2*i+u-1,3*j+v": (1, 0), "i+2*u,j+v-1": (0, 1)}.get(shift, (0, 0))
    H, W, U, V = 9, 8, 3, 2
    out = [(n + 2*p - d*(k - 1) - 1)//s + 1 for n, k, s, d, p in zip((H, W), (U, V), step, spread, padding, strict=True)]
    text = DEPTHWISE.format(shift) + f" for i < {out[0]}, j < {out[1]}"
    rng = np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(3, 4, H, W)), "K": rng.normal(size=(4, U, V)), "b": rng.normal(size=4)}
    X, K, b = (torch.tensor(a, requires_grad=True) for a in inputs.values())
    Y = F.conv2d(X, K[:, None], b, step, padding, spread, groups=4)
    dY = rng.normal(size=Y.shape)
    assert_close(forward(text, inputs)[0]["Y"], Y.detach().numpy(), "Y")
    for name, expected in zip("XKb", torch.autograd.grad(Y, [X, K, b], torch.tensor(dY)), strict=True):
        assert_close(backward(text, inputs, [dY])[name], expected.numpy(), f"d{name}")


@pytest.mark.parametrize("together", [True, False])
def test_taps_are_weighed_so_many_at_a_time_as_stay_in_cache(together: bool) -> None:
    """Together as products of matrices, or one after the other."""
    text, rng = DEPTHWISE.format("i+u,j+v"), np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(3, 4, 6, 7)), "K": rng.normal(size=(4, 3, 2)), "b": rng.normal(size=4)}
    emitted = source(text)
    few = emitted.replace(f"int({cost.IDLE}*{cost.BLOCK}) //", "300 //")
    assert few != emitted and f"most < {cost.TAPS}" in few
    smaller: dict[str, Any] = {}
    exec(few.replace(f"most < {cost.TAPS}", "most < 1") if together else few, smaller)
    assert_close(smaller["forward"](**inputs)[0], interpret(nd.parse(text), inputs)["Y"], "Y")


WRITTEN = {
    "images last": "Y[o,i,j,n] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])",
    "images second": "Y[o,n,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])",
    "a function of it": "Y[n,o,i,j] = tanh(sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v]))",
    "a product with itself": "Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])*sigmoid(sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v]))",
    "twice the sum": "Y[n,o,i,j] = 2*sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v]) - 1",
    "its other axis first": "Y[n,o,j,i] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])",
    "one output": "Y[n,i,j] = sum[c,o,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])",
    "all in one": "Y[n,i,j] = sum[c,u,v](K[0,c,u,v]*X[n,c,i+u,j+v])",
    "one kernel for all": "Y[n,c,i,j] = sum[u,v](K[0,1,u,v]*X[n,c,i+u,j+v])",
    "two kernels": "Y[n,o,p,i,j] = sum[c,u,v](K[o,c,u,v]*K[p,c,u,v]*X[n,c,i+u,j+v])",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", WRITTEN)
def test_however_a_convolution_is_written_it_agrees_with_the_interpreter(case: str, threads: int) -> None:
    text = "X[N,C,H,W], K[O,C,U,V] -> Y\n" + WRITTEN[case]
    rng = np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(2, 2, 4, 5)), "K": rng.normal(size=(3, 2, 2, 3))}
    module = derivation(text).compile(threads=threads)
    Y, residuals = module.forward(**inputs)
    assert_close(Y, interpret(nd.parse(text), inputs)["Y"], "Y")
    dY = rng.normal(size=Y.shape)
    expected = interpret(derivation(text).backward, inputs | {"dY": dY})
    for name in inputs:
        assert_close(getattr(module.backward(residuals, dY=dY), f"d{name}"), expected[f"d{name}"], f"d{name}")


MAXIMUM = "X[N,C,H,W] -> Y\nY[n,c,i,j] = max[u,v](X[n,c,2*i+u,2*j+v]) for u < {0}, v < {0}"


def test_windows_without_a_product_of_matrices_are_walked_through() -> None:
    depthwise = nd.derive("X[N,C,H,W], K[C,U,V] -> Y\nY[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,i+u,j+v])").numpy(without="by_image")
    pooling = source(MAXIMUM.format(5))
    forward, backward = depthwise.split("def forward")[1].split("def backward")
    assert forward.count(".taps:") == 1 and backward.count(".taps:") == backward.count(".exact():") == 1 and "@" not in forward + backward
    assert "np.maximum(total, tap" in pooling and pooling.split("def backward")[1].count(".put(X[n, c])") == 1


def test_windows_side_by_side_are_read_and_written_where_they_are() -> None:
    """What is read once need not be copied to be read in long runs, and what is written once need not be added to."""
    text = source(MAXIMUM.format(2))
    assert "_Taps" not in text and "np.maximum(Y_rows[:, :, :, :2*n_j:2], Y_rows[:, :, :, 1::2])" in text
    assert "_only_where(hit, Y_ties, out=places[:, :, :, r, :, r2])" in text
    assert "hit = windows[:, :, u, :, v] == Y[n, c]\n            counts += hit.view(np.uint8)" in text
    assert "_Taps" in source(MAXIMUM.format(2).replace("+v", "+2*v"))  # 2*j + 2*v is one place for several windows
    assert ".taps" in source(MAXIMUM.format(2).replace("+v", "+v-1") + ", j < W//2")  # the first windows begin outside


def test_a_few_places_of_windows_that_overlap_are_written_out() -> None:
    """Where they lie inside, rows first: three slices of each, and no zeros around an image."""
    text = source(MAXIMUM.format(3)).split("def backward")[0]
    assert "_Taps" not in text.split("def forward")[1] and text.count("np.maximum(") == 4 and "Y_rows[:, :, :, 2::2]" in text
    shifted = "x[N,T] -> y\ny[n,t] = sum[u](x[n,t+u]) for u < 3"
    assert "y = x[:, :n_t] + x[:, 1:1 + n_t] + x[:, 2:2 + n_t]" in source(shifted)
    assert "Y_rows" not in source(MAXIMUM.format(3).replace("2*i", "4*i").replace("2*j", "4*j"))  # part of the rows would be of no use


def test_windows_of_many_images_go_part_by_part() -> None:
    """What an image's windows need stays in cache; parts agree with one whole, on threads too."""
    text = MAXIMUM.format(3).replace("+v", "+v-1").replace("+u", "+u-1") + ", i < (H + 1)//2, j < (W + 1)//2"
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert source(text).count("for n, c in _pairs(N, C, max(n_i*n_j, H*W), 262144):") == 2
    X = rng.integers(0, 9, (5, 8, 160, 165)).astype(np.float32)  # ties, and more than two parts
    results = []
    for module in (d.compile(), d.compile(without="by_part"), d.compile(threads=2)):
        Y, residuals = module.forward(X=X)
        results.append((Y, module.backward(residuals, dY=np.cos(Y)).dX))
    assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
    few = d.compile().backward(d.compile().forward(X=X[:1])[1], dY=np.cos(results[0][0][:1])).dX
    assert np.array_equal(few, results[0][1][:1])


@pytest.mark.parametrize("size", (2, 16, 17))
def test_ties_are_counted_however_many_there_are(size: int) -> None:
    """16·16 ties are more than a byte holds."""
    ranges = f"i < H//{size}, j < W//{size}, u < {size}, v < {size}"
    d = nd.derive(f"X[N,H,W] -> Y\nY[n,i,j] = max[u,v](X[n,{size}*i+u,{size}*j+v]) for {ranges}")
    X = np.ones((2, 2*size, 2*size + 1), np.float32)
    Y, residuals = d.compile().forward(X=X)
    dX = d.compile().backward(residuals, dY=np.full_like(Y, size**2)).dX
    assert (dX[:, :, :-1] == 1).all() and (dX[:, :, -1] == 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("op", ("sum", "mean", "max", "min"))
@pytest.mark.parametrize(("window", "ranges", "written"), (
    ("2*i+u", "i < N//2, u < 2", True), ("4*i+u", "i < N//4, u < 4", True), ("3*i+u+1", "i < (N - 1)//3, u < 2", True),
    ("u+5*i+2", "i < (N - 1)//5, u < 3", True), ("5*i+u", "i < N//5, u < 5", False),  # too many
    ("2*i+u", "i < (N - 1)//2, u < 3", True), ("2*i+u-1", "i < N//2, u < 2", False),  # one over the other; some before the array
))
def test_a_few_places_side_by_side_are_slices(op: str, window: str, ranges: str, written: bool) -> None:
    d, rng = nd.derive(f"X[M,N], g[M] -> Y\nY[m,i] = g[m]*{op}[u](X[m,{window}]) for {ranges}"), np.random.default_rng(0)
    text = d.numpy()
    assert (text != d.numpy(without=("written_out",))) == written
    forward = text[text.index("def forward"):text.index("def backward")]
    assert not written or "_windows(" not in forward and re.search(r"X\[:, \d?:[^]]*:\d\]", forward)
    for n in (0, 1, 2, 3, 4, 7, 12, 101):
        inputs = {"X": rng.integers(-3, 3, (3, n)).astype(float), "g": np.array([1.0, 0.0, -1e4])}
        assert_means(d, d.compile(), inputs, rng)
        inputs["X"] += rng.normal(size=(3, n))*1e4
        assert_means(d, d.compile(sizes={"N": n} if n else {}), inputs, rng)


def test_a_condition_hides_what_is_not_finite_and_was_computed_before_the_loop() -> None:
    """where(c, 1/z, 0) is not c/z where z is 0."""
    X, z = np.full((2, 9), -1.0), np.zeros((2, 2))
    X[0], z[0] = 1, 2
    for step in (1, 3):
        text = f"X[N,H], z[N,I] -> Y\nY[n,i] = sum[u](where(X[n,{step}*i+u] > 0, 1/z[n,i], 0)) for u < 2, i < I, n < N"
        assert np.array_equal(forward(text, {"X": X, "z": z})[0]["Y"], [[1, 1], [0, 0]])


def test_the_padding_of_a_maximum_is_equal_to_nothing() -> None:
    signature, equation, _ = READERS["maximum with padding"]
    text = f"{signature}\n{equation}"
    backward_source = source(text).split("def backward")[1]
    assert "outside=np.nan" in backward_source and "np.arange" not in backward_source and backward_source.count(".put(X[n, c])") == 1
    X, dY = np.full((1, 1, 3, 4), -np.inf), np.ones((1, 1, 2, 2))  # as much as the padding is in the forward pass
    expected = interpret(derivation(text).backward, {"X": X, "dY": dY})["dX"]
    assert_close(backward(text, {"X": X}, [dY])["X"], expected, "dX")


def test_windows_that_go_backwards_are_walked_through_as_views() -> None:
    text = "X[N,C,T] -> Y\nY[n,c,i] = max[u](X[n,c,T-1-i+u]) for u < 3"
    assert "_Taps" not in source(text) and "in range(3):" in source(text)
    X = np.random.default_rng(0).normal(size=(2, 3, 9))
    assert_close(forward(text, {"X": X})[0]["Y"], interpret(nd.parse(text), {"X": X})["Y"], "Y")


def test_so_many_images_go_at_once_as_stay_in_cache_and_suit_blas() -> None:
    blocks = helper("_blocks")["_blocks"]
    entries, large = cost.BLOCK//8, cost.SMALL + 1
    assert blocks(0, 32, entries, large) == [(0, 32, 8)] and blocks(0, 32, entries + 1, large) == [(0, 28, 7), (28, 32, 4)]
    assert blocks(0, 31, entries, large) == [(0, 24, 8), (24, 31, 7)], "a prime number of images"
    assert blocks(0, 0, entries, large) == [] and blocks(3, 4, entries, 1) == [(3, 4, 1)]
    assert blocks(0, 32, 100, int(cost.SMALL/cost.IDLE)//4) == [(0, 32, 4)], "products that BLAS does in one go stay such"
    assert blocks(0, 32, 100, int(cost.SMALL/cost.IDLE)//4, cost.FEW + 1) == [(0, 32, 32)], "weights for which that would not pay"
    assert blocks(0, 4, 2*cost.BLOCK, 1) == [(0, 4, 1)]
    assert blocks(0, 32, cost.BLOCK, large, 4*cost.BLOCK) == [(0, 32, 4)], "columns as many as weights, which each block reads"
    assert blocks(0, 32, entries) == [(0, 32, 4)], "half as many where each has a product of its own"


@given(start=st.integers(0, 9), count=st.integers(0, 99), entries=st.integers(0, cost.BLOCK), work=st.integers(0, 2*cost.SMALL),
       weights=st.integers(0, 2*cost.BLOCK))
def test_blocks_hold_every_image_once(start: int, count: int, entries: int, work: int, weights: int) -> None:
    found = helper("_blocks")["_blocks"](start, start + count, entries, work, weights)
    images = [n for first, last, step in found for k in range(first, last, step) for n in range(k, k + step)]
    assert images == [*range(start, start + count)]


def test_a_mask_discards_whatever_it_hides() -> None:
    only_where = helper("_only_where")["_only_where"]
    for dtype in "efdg":
        x = np.array([1, -2, np.nan, np.inf, 0], dtype)
        assert np.array_equal(only_where(np.array([True, False, False, False, True]), x), np.array([1, 0, 0, 0, 0], dtype))
        assert np.isnan(only_where(np.ones(5, bool), x)[2])


def test_short_signals_are_not_walked_through() -> None:
    text = source("a[M], b[N] -> c\nc[k] = sum[i](a[i]*b[k-i]) for k < M + N - 1")
    assert "for " not in text.split("def forward")[1].split("def backward")[0]


def test_a_loop_over_the_kernel_pays_where_its_steps_are_long() -> None:
    n = Int.symbol("N")
    assert cost.walks_kernel([Int.of(3), Int.of(3)], [n, n, n, n])
    assert not cost.walks_kernel([Int.of(3)], [n])
    assert not cost.walks_kernel([n, n], [Int.of(4)])
    assert cost.entries([n, Int.of(5)]) == 5 * cost.TYPICAL


def test_what_shares_a_maximum_is_asked_once_where_places_are_few() -> None:
    assert cost.keeps_masks(16) and not cost.keeps_masks(17)
    for many, compared in ((2, 1), (4, 1), (5, 2)):
        assert len(re.findall(" == (?:Y|rows)", body(MAXIMUM.format(many), "backward"))) == compared, many
    assert body(MAXIMUM.replace(" -> Y", ", int U -> Y").format("U"), "backward").count(" == rows") == 2  # nobody knows how many


def _heads(*items: Item) -> list[str]:
    return [x.head if isinstance(x, Block) else x.text for x in masks(items) if not isinstance(x, Statement)]


def _compared(n: int, variable: str, window: str = "w") -> Block:
    equal = Statement(f"§{n}", call("{0} == {1}", 5, 5, binding=4), (Term(f"{window}[{variable}]"), Term("y")), (), False)
    total = Statement("total", ADD, (Term("total"), Term(f"§{n}")), out="total", is_place=True)
    return Block(f"for {variable} in range(3):", (equal, total), variable)


def test_masks_are_gone_through_until_something_changes() -> None:
    first, second, third = (_compared(n, v) for n, v in ((1, "u"), (2, "r"), (3, "s")))
    assert _heads(first, second, third) == ["hits = []", first.head, "for hit in hits:", "for hit in hits:"]
    for change in (Line("y = 2", binds="y"), Line("w += 1", binds="w")):
        assert _heads(first, change, second, third) == [first.head, change.text, "hits = []", second.head, "for hit in hits:"]
    assert _heads(first, _compared(2, "r", "v")) == [first.head, second.head]
    assert _heads(Line("hits = 1", binds="hits"), first, second)[1:] == ["hit2s = []", first.head, "for hit2 in hit2s:"]


def test_a_tensor_may_be_called_what_masks_are() -> None:
    text = "hit[H,W], hits -> Y\nY[i,j] = hits*max[u,v](hit[2*i+u,2*j+v]) for u < 2, v < 2"
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"hit": rng.normal(size=(4, 6)), "hits": 2.0}, rng)


def helper(names: str) -> dict[str, Any]:
    """The helpers of emitted modules, loaded."""
    found: dict[str, Any] = {"np": np}
    exec(needed(names), found)
    return found


def test_room_and_windows_name_the_same_places() -> None:
    helpers = helper("_room _windows _fold")
    shape, axes = (2, 3, 5, 6), (None, None, (-1, (3, 1), (5, 1)), (-2, (2, 2), (7, 1)))
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape)
    A, view = helpers["_room"](shape, axes, X.dtype)
    A[...] = X
    expected = helpers["_windows"](X, *axes)
    assert np.array_equal(view, expected)
    V = rng.normal(size=expected.shape)
    assert np.isclose((helpers["_fold"](V, shape, *axes) * X).sum(), (V * expected).sum())
    assert view.size == expected.size == prod(expected.shape)


TAPS = {  # n, the axis, and how many windows one tap then has
    "one after the other": (10, (-1, (3, 1), (10, 1)), 11),
    "a kernel as large as the image": (5, (0, (5, 1), (1, 1)), 1),
    "a kernel larger than the image": (4, (0, (6, 1), (-1, 1)), 0),
    "a stride": (9, (-1, (3, 1), (5, 2)), 6),
    "a stride longer than the kernel": (9, (0, (2, 1), (3, 4)), 3),
    "a stride and another dilation": (12, (-3, (3, 3), (6, 2)), 8),
    "a stride that divides the dilation": (20, (-2, (3, 4), (18, 2)), 21),
    "a kernel that is turned": (10, (2, (3, -1), (10, 1)), 12),
    "padding beyond everything": (3, (-7, (3, 2), (18, 1)), 18),
    "all windows at one place": (5, (1, (3, 1), (4, 0)), 4),
    "windows that go backwards": (9, (8, (3, 1), (5, -2)), 5),
    "no taps": (4, (0, (0, 1), (5, 1)), 5),
}


@pytest.mark.parametrize("case", TAPS)
def test_taps_read_what_the_windows_read_and_add_where_they_read(case: str) -> None:
    n, axis, wide = TAPS[case]
    helpers, rng = helper("_Taps _windows"), np.random.default_rng(0)
    taps = helpers["_Taps"]((2, 3), (n, 6), (axis, (-1, (2, 1), (7, 1))), np.dtype(float))
    X = rng.normal(size=(2, 3, n, 6))
    expected = helpers["_windows"](X, None, None, axis, (-1, (2, 1), (7, 1))).transpose(2, 4, 0, 1, 3, 5)
    assert taps.shape == [wide, 7], "the zeros behind a row are those before the next"
    columns = np.full((axis[1][0], 2, 2, 3, *taps.shape), np.nan)
    V, dX = rng.normal(size=expected.shape), np.zeros_like(X)
    true = tuple(map(slice, expected.shape))
    for _ in range(2):  # what the second use finds of the first is of no consequence
        taps.put(X)
        taps.copy(columns)
        assert np.array_equal(columns[true], expected) and not np.isnan(columns).any()
        rows = np.zeros_like(columns)
        rows[true] = V
        taps.add(rows, dX)
        assert np.isclose((dX * X).sum(), (V * expected).sum())


TWICE = {  # one kernel slides over two images
    "two images": """X[N,H,W], Z[N,H,W], w[3,3] -> a, b
        a[n,i,j] = sum[u,v](w[u,v]*X[n,i+u-1,j+v-1]) for i < H, j < W
        b[n,i,j] = sum[u,v](w[u,v]*Z[n,i+u-1,j+v-1]) for i < H, j < W""",
    "channel by channel": """X[N,C,H,W], Z[N,C,H,W], w[C,2,2] -> a, b
        a[n,c,i,j] = sum[u,v](w[c,u,v]*X[n,c,i+u,j+v])
        b[n,c,i,j] = sum[u,v](w[c,u,v]*Z[n,c,i+u,j+v])""",
    "two channels of one tensor": """X[N,2,H,W], w[2,2] -> y
        y[n,i,j] = sum[u,v](w[u,v]*X[n,0,i+u,j+v])*sum[u,v](w[u,v]*X[n,1,i+u,j+v])""",
    "all channels": """X[N,C,H,W], Z[N,C,H,W], w[2,C,2,2] -> a, b
        a[n,o,i,j] = sum[c,u,v](w[o,c,u,v]*X[n,c,i+u,j+v])
        b[n,o,i,j] = sum[c,u,v](w[o,c,u,v]*Z[n,c,i+u,j+v])""",
    "one axis, causal": """X[N,C,T], Z[N,C,T], w[C,K] -> a, b
        a[n,c,t] = sum[k](w[c,k]*X[n,c,t-k]) for t < T
        b[n,c,t] = sum[k](w[c,k]*Z[n,c,t-k]) for t < T""",
}


@pytest.mark.parametrize("options", [{}, {"threads": 2}, {"sizes": {"N": 2, "H": 5, "W": 4}}], ids=str)
@pytest.mark.parametrize("text", TWICE.values(), ids=TWICE)
def test_what_slides_over_two_images_is_computed_for_both(text: str, options: dict[str, Any]) -> None:
    d, rng = nd.derive(text), np.random.default_rng(0)
    numbers = {"N": 2, "C": 3, "H": 5, "W": 4, "T": 7, "K": 3}
    options = {k: {s: n for s, n in v.items() if s in d.forward.sizes} if k == "sizes" else v for k, v in options.items()}
    inputs = {i.name: rng.normal(size=[int(x.value(numbers)) for x in i.dims]) for i in d.forward.inputs}
    assert_means(d, d.compile(**options), inputs, rng)


UPWARDS = """X[N,C,H,W], K[C,O,U,V], int s, int p -> Y
    Y[n,o,a,b] = sum[c,u,v](where((a+p-u) % s == 0 and (b+p-v) % s == 0, X[n,c,(a+p-u)//s,(b+p-v)//s]*K[c,o,u,v], 0))
    for a < s*(H-1)+U-2*p, b < s*(W-1)+V-2*p"""
STRIDED = """X[N,C,H,W], K[O,C,U,V], int s, int p -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,s*i+u-p,s*j+v-p]) for i < (H+2*p-U)//s+1, j < (W+2*p-V)//s+1"""


def with_numbers(text: str, **numbers: int) -> str:
    """The text with numbers in place of its parameters and of the kernel's sizes."""
    text = text.replace("\n    for", " for").replace(", int s, int p", "")
    for name, number in numbers.items():
        text = re.sub(rf"\b{name}\b", str(number), text)
    return text


@pytest.mark.parametrize("literal", [True, False], ids=["literals", "parameters"])
@pytest.mark.parametrize("s, p, kernel", [(2, 1, 4), (3, 0, 3), (2, 0, 3), (1, 1, 3)])
def test_a_transposed_convolution_written_by_divisions_is_one(s: int, p: int, kernel: int, literal: bool) -> None:
    d = nd.derive(with_numbers(UPWARDS, s=s, p=p, U=kernel, V=kernel) if literal else UPWARDS.replace("\n    for", " for"))
    assert s == 1 or any("# dK[" in line and "q2" in line for line in d.numpy().splitlines()), "by whole steps"
    rng = np.random.default_rng(0)
    X, K = (torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in ((2, 3, 5, 4), (3, 2, kernel, kernel)))
    expected = F.conv_transpose2d(X, K, stride=s, padding=p)
    dY = rng.normal(size=expected.shape)
    Y, residuals = d.compile().forward(X=X.detach().numpy(), K=K.detach().numpy(), **({} if literal else {"s": s, "p": p}))
    ours = (Y, *d.compile().backward(residuals, dY=dY))
    for mine, theirs in zip(ours, (expected.detach(), *torch.autograd.grad(expected, (X, K), torch.tensor(dY))), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("literal", [True, False], ids=["literals", "parameters"])
def test_the_gradient_of_a_gradient_of_a_strided_convolution_slides_too(literal: bool) -> None:
    d = nd.derive(nd.derive(with_numbers(STRIDED, s=2, p=1, U=3, V=3) if literal else STRIDED).backward)
    assert any("# dK[" in line and "q2" in line for line in d.numpy().splitlines()), "by whole steps"
    rng = np.random.default_rng(0)
    X, K, dY = (torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in ((2, 3, 7, 6), (2, 3, 3, 3), (2, 2, 4, 3)))
    first = torch.autograd.grad(F.conv2d(X, K, stride=2, padding=1), (X, K), dY, create_graph=True)
    seeds = [torch.tensor(rng.normal(size=g.shape)) for g in first]
    inputs = {name: x.detach().numpy() for name, x in (("X", X), ("K", K), ("dY", dY))}
    _, residuals = d.compile().forward(**inputs, **({} if literal else {"s": 2, "p": 1}))
    gradients = d.compile().backward(residuals, **dict(zip(d.gradients.seeds.values(), (x.numpy() for x in seeds), strict=True)))
    for mine, theirs in zip(gradients, torch.autograd.grad(first, (X, K, dY), seeds), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-10, atol=1e-12)


ALIKE = {  # text, and sizes at which nothing tells a kernel from an image but how far they reach
    "causal, channel by channel": ("x[N,C,T], w[C,K] -> y\ny[n,c,t] = sum[k](w[c,k]*x[n,c,t-k]) for t < T",
                                   {"N": 2, "C": 3, "T": 32, "K": 4}),
    "strided": ("X[N,C,T], K[O,C,U] -> Y\nY[n,o,t] = sum[c,u](K[o,c,u]*X[n,c,2*t+u])", {"N": 2, "C": 3, "T": 32, "O": 2, "U": 3}),
    "channel by channel": ("X[N,C,H,W], K[C,U,V] -> Y\nY[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,i+u-1,j+v-1]) for i < H, j < W",
                           {"N": 2, "C": 3, "H": 8, "W": 9, "U": 3, "V": 3}),
}


@pytest.mark.parametrize("text, sizes", ALIKE.values(), ids=ALIKE)
def test_sizes_that_are_numbers_leave_the_form_as_it_is(text: str, sizes: dict[str, int]) -> None:
    d = nd.derive(text)
    texts = [source.split("Gradients =")[1] for source in (d.numpy(), d.numpy(sizes=sizes))]
    named, numbered = ({*re.findall(r"\b_(?!shape|misfit)\w+\(|@|np\.vecdot", text)} for text in texts)
    assert named == numbered
    rng = np.random.default_rng(0)
    inputs = {i.name: rng.normal(size=[int(x.value(sizes)) for x in i.dims]) for i in d.forward.inputs}
    results = []
    for module in (d.compile(), d.compile(sizes=sizes)):
        y, residuals = module.forward(**inputs)
        results.append((y, *module.backward(residuals, **dict.fromkeys(d.gradients.seeds.values(), np.cos(y)))))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("end", "sign"), [("N", "np.roll("), ("2*N", "reshape"), ("N + 2", "_scatter(")])
def test_a_ring_is_added_to_where_it_was_read(end: str, sign: str) -> None:
    d = nd.derive(f"x[B,N], w[K] -> y\ny[b,n] = sum[k](w[k]*x[b,(n-k) % N]) for n < {end}")
    assert sign in d.numpy() and (sign == "_scatter(" or "_scatter(" not in d.numpy())
    x, w = np.random.default_rng(0).normal(size=(2, 6)), np.random.default_rng(1).normal(size=4)
    y, residuals = d.compile().forward(x=x, w=w)
    places = np.arange({"N": 6, "2*N": 12, "N + 2": 8}[end]) % 6
    np.testing.assert_allclose(y, sum(w[k]*np.roll(x, k, 1) for k in range(4))[:, places], rtol=1e-12)
    total = np.stack([y[:, places == n].sum(1) for n in range(6)], 1)
    dx = sum(w[k]*np.roll(total, -k, 1) for k in range(4))
    np.testing.assert_allclose(d.compile().backward(residuals, dy=y).dx, dx, rtol=1e-12)


@pytest.mark.parametrize("text, sizes", [
    ("x[T], w[K] -> y\ny[t] = sum[k](w[k]*x[t-k])", {"T": 2000, "K": 3}),
    ("x[T], w[K] -> y\ny[t] = sum[k](w[k]*x[t-k]) for t < T", {"T": 2000, "K": 3}),
    ("x[T], w[3] -> y\ny[t] = tanh(sum[k](w[k]*x[t+k-1])) for t < T", {"T": 2000}),
    ("x[T], w[3] -> y\ny[t] = tanh(sum[k](w[k]*x[t+2*k-2])) for t < T", {"T": 2000}),
    ("x[T], w[3] -> y\ny[t] = tanh(sum[k](w[k]*x[2*t+k-1])) for t < T//2", {"T": 2000}),
    ("x[T], w[3] -> y\ny[t] = tanh(sum[k](w[k]*x[(t+k-1)//2])) for t < 2*T", {"T": 2000}),
])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("order", [1, 2])
def test_a_kernel_is_no_table_of_all_pairs_of_places_of_the_image(text: str, sizes: dict[str, int], known: bool, order: int) -> None:
    """Of x[a] y[a − u] few are needed: not all x[a] y[b] are made first, in the gradient of a kernel or in the gradient of that."""
    d = nd.derive(text)
    d, rng = nd.derive(d.backward) if order == 2 else d, np.random.default_rng(0)
    small = {**dict.fromkeys(sizes, 3), "T": 7}
    draw = lambda sizes: {i.name: rng.normal(size=[int(x.value(sizes)) for x in i.dims]) for i in d.forward.inputs}
    assert_means(d, d.compile(sizes=small if known else None), draw(small), rng)
    module, inputs = d.compile(sizes=sizes if known else None), draw(sizes)
    tracemalloc.start()
    ys, residuals = module.forward(**inputs)
    ys = ys if len(d.forward.outputs) > 1 else [ys]
    module.backward(residuals, **{d.gradients.seeds[name]: np.cos(y) for name, y in zip(d.forward.outputs, ys, strict=True)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 8*sizes["T"]


def test_a_scattered_product_may_be_the_same_along_an_axis() -> None:
    text = "x[N,Q,H], w[Q,C,3] -> y\ny[n,g,a,i] = sum[u,q](x[n,q,i-u+1]*w[q,a,u]) for i < H, g < 3, u < 3"
    d, rng = nd.derive(text), np.random.default_rng(0)
    assert_means(d, d.compile(), {"x": rng.normal(size=(2, 2, 4)), "w": rng.normal(size=(2, 3, 3))}, rng)


def test_a_sum_beside_what_is_read_at_a_quotient_is_computed_once() -> None:
    d, rng = nd.derive("a[K], int m -> y\ny[i,k] = a[k]*a[k//m] for i < K, k < K"), np.random.default_rng(0)
    for k, m in ((4, 2), (5, 3), (1, 1)):
        assert_means(d, d.compile(), {"a": rng.normal(size=k), "m": m}, rng)


@pytest.mark.parametrize("size, named, kind", [
    (3, False, "np.uint8)"), (17, False, "np.min_scalar_type(17*17)"), (17, True, "np.min_scalar_type("),
])
def test_ties_are_counted_in_bytes_or_in_as_many_as_it_takes(size: int, named: bool, kind: str) -> None:
    """Where all of an image is the same, each entry has its share of every window that it is in, beside 3·3 or 17·17 others."""
    kernel = "u < U, v < U" if named else f"u < {size}, v < {size}"
    image = f"i < H - {size - 1}, j < W - {size - 1}"
    d = nd.derive(f"X[N,H,W]{', int U' * named} -> Y\nY[n,i,j] = max[u,v](X[n,i+u,j+v]) for {image}, {kernel}")
    assert kind in d.numpy()
    inputs = {"X": np.zeros((2, 19, 20)), **({"U": size} if named else {})}
    inputs["X"][1] = np.arange(380).reshape(19, 20)
    module = d.compile()
    Y, residuals = module.forward(**inputs)
    dY = np.random.default_rng(0).normal(size=Y.shape)
    expected = np.zeros((2, 19, 20))
    for i, j in np.ndindex(*Y.shape[1:]):
        expected[0, i : i + size, j : j + size] += dY[0, i, j]/size**2
        expected[1, i + size - 1, j + size - 1] += dY[1, i, j]
    np.testing.assert_allclose(module.backward(residuals, dY=dY).dX, expected, atol=1e-14)


def test_how_windows_lie_is_found_out_once_for_all_calls() -> None:
    """Sizes that come again need no new layout, and other sizes have one of their own."""
    text = "X[N,H,W] -> Y\nY[n,i,j] = max[u,v](X[n,2*i+u-1,2*j+v-1]) for i < (H+1)//2, j < (W+1)//2, u < 3, v < 3"
    module, rng, found = nd.derive(text).compile(), np.random.default_rng(0), []
    lanes = module._lanes
    module._lanes = lambda *axis: found.append(axis) or lanes(*axis)
    for sizes, new in (((2, 6, 5), True), ((1, 4, 4), True), ((2, 6, 5), False), ((1, 4, 4), False)):
        X = torch.tensor(rng.normal(size=sizes), requires_grad=True)
        Y = F.max_pool2d(X, 3, stride=2, padding=1)
        dY = rng.normal(size=Y.shape)
        mine, residuals = module.forward(X=X.detach().numpy())
        np.testing.assert_array_equal(mine, Y.detach().numpy())
        np.testing.assert_allclose(module.backward(residuals, dY=dY).dX, torch.autograd.grad(Y, X, torch.tensor(dY))[0].numpy())
        assert bool(found) == new
        found.clear()


def test_windows_of_an_array_whose_entries_lie_apart() -> None:
    module = nd.derive("x[N,T] -> y\ny[n,i,u] = x[n,2*i+u] for u < 3").compile()
    x = np.arange(60.0).reshape(10, 6).T[::2]
    y, residuals = module.forward(x=x)
    np.testing.assert_array_equal(y, np.lib.stride_tricks.sliding_window_view(x, 3, 1)[:, ::2])
    dx = sum(np.pad(np.ones((3, 1)), ((0, 0), (2*i + u, 9 - 2*i - u))) for i in range(4) for u in range(3))
    np.testing.assert_array_equal(module.backward(residuals, dy=np.ones((3, 4, 3))).dx, dx)


@pytest.mark.parametrize("axes, shape", [
    ((None, (19, (20, -1), (17, 1))), (3, 40)), (((2, (20, -1), (17, 1)), None), (15, 3)),
    ((None, (5, (20, 1), (17, 1)), None), (2, 10, 3)),
    (((60, (20, -2), (17, -2)),), (90,)), (((0, (20, 2), (17, -2)), (3, (2, 1), (2, 1))), (30, 4)), (((0, (16, 1), (3, 1)),), (18,)),
    (((-1, (16, 2), (17, 1)), (16, (18, 1), (20, -1))), (45, 30)), (((0, (3, 4), (2, 1)), None, (2, (17, 1), (16, 1))), (9, 2, 30)),
    (((0, (3, 9), (2, 3), (2, 1)), (1, (16, 2), (19, 2))), (20, 60)), (((4, (2, 1)), (1, (20, 1), (16, 1))), (5, 33)),
])
def test_folding_back_is_the_adjoint_of_reading_windows(axes: Any, shape: tuple[int, ...]) -> None:
    """⟨windows(A), V⟩ = ⟨A, fold(V)⟩, also along the diagonals of two long axes, which are summed as columns of shifted rows."""
    helpers: dict[str, Any] = {"np": np}
    exec(needed("_windows(_fold("), helpers)
    rng = np.random.default_rng(0)
    A = rng.normal(size=shape)
    windows = helpers["_windows"](A, *axes)
    V = rng.normal(size=windows.shape)
    np.testing.assert_allclose(np.vdot(windows, V), np.vdot(A, helpers["_fold"](V, shape, *axes)))


@pytest.mark.parametrize("long", [0, 1])
def test_diagonals_of_a_long_array_need_little_more_memory_than_it_has(long: int) -> None:
    helpers: dict[str, Any] = {"np": np}
    exec(needed("_fold("), helpers)
    V = np.ones((20, 5000)[::1 if long else -1])
    tracemalloc.start()
    found = helpers["_fold"](V, (5019,), (0, (V.shape[0], 1), (V.shape[1], 1)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3*V.nbytes
    assert np.array_equal(found, np.convolve(np.ones(20), np.ones(5000)))


@pytest.mark.parametrize("read", ["X[2*i+u,2*j+u]", "X[5*i+u,5*j+u]", "X[2*i+v,2*j+v]", "X[2*i+u,2*j+v]", "X[2*i+u,j]"])
@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
def test_windows_of_two_axes_may_share_the_index_they_run_along(op: str, read: str) -> None:
    few = 5 if "5" in read else 2
    d = nd.derive(f"X[H,W] -> Y\nY[i,j] = {op}[u,v]({read}) for i < H//{few}, j < W//{few}, u < {few}, v < {few}")
    rng = np.random.default_rng(0)
    for shape in ((few, few), (3*few, 2*few + 1)):
        assert_means(d, d.compile(), {"X": rng.normal(size=shape)}, rng)


SUMS_OF_CONVOLUTIONS = {
    "two images": "relu(sum[c,u,v](K[o,c,u,v]*X[n,c,i+u-1,j+v-1]) + sum[c,u,v](L[o,c,u,v]*Z[n,c,i+u-1,j+v-1]) + b[o]) for i < H, j < W",
    "one image": "sum[c,u,v](K[o,c,u,v]*X[n,c,i+u-1,j+v-1]) - sum[c,u,v](L[o,c,u,v]*X[n,c,i+2*u-2,j+2*v-2])*b[o] for i < H, j < W",
    "with strides": "sum[c,u,v](K[o,c,u,v]*X[n,c,2*i+u-1,2*j+v-1]) + sum[c](L[o,c,1,1]*X[n,c,2*i,2*j]) + b[o] for i < (H + 1)//2, "
                    "j < (W + 1)//2",
    "around": "X[n,o,i,j] + sum[c,u,v](L[o,c,u,v]*tanh(A[n,c,i+u-1,j+v-1])) for i < H, j < W\n"
              "A[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u-1,j+v-1]) for i < H, j < W",
}


@pytest.mark.parametrize("without", [(), ("one_window",)])
@pytest.mark.parametrize("name", SUMS_OF_CONVOLUTIONS)
def test_several_convolutions_that_are_added_up_go_by_images_each(name: str, without: tuple[str, ...]) -> None:
    d = nd.derive(f"X[N,C,H,W], Z[N,C,H,W], K[O,C,3,3], L[O,C,3,3], b[O] -> Y\nY[n,o,i,j] = {SUMS_OF_CONVOLUTIONS[name]}")
    rng = np.random.default_rng(0)
    shapes = {"X": (3, 2, 5, 4), "Z": (3, 2, 5, 4), "K": (2, 2, 3, 3), "L": (2, 2, 3, 3), "b": (2,)}
    module = d.compile(without=without)
    assert_means(d, module, {x: rng.normal(size=s) for x, s in shapes.items()}, rng)
    if not without:
        written = module.source[module.source.index("def forward"):]
        assert not re.search(r"_windows\([XZA], ", written) and not re.search(r"\d\*3\)\.T @", written)


def test_one_element_at_the_digits_of_an_index_is_one_element() -> None:
    """With K = 2, (-j + 1)//2 is 0 wherever z[-2*j+K-1] is read."""
    d = nd.derive("""
        b[K,K], c[K], int r -> z
        a[j] = sin(b[j,j])*c[j]
        h[K] = sum[u](c[u])
        h[0] = a[r]
        h[m] = softmax[m](sqrt(1 + min(b[m,m], c[m+1], a[m])**2)) for m < K+1
        z[m] = softmax[m](pi/4/(1 + a[m]**2)*a[-2*m+K-1]/(1 + h[(r*m+m) % K]**2)) for m < K+1
    """)
    rng = np.random.default_rng(0)
    inputs = {"b": rng.normal(size=(2, 2)), "c": rng.normal(size=2), "r": 2}
    assert_means(d, d.compile(sizes={"K": 2}), inputs, rng)
