"""Sizes, and what emitted modules take and refuse."""

from __future__ import annotations

import math
import symtable
import warnings
from typing import Any

import numpy as np
import pytest

import nnderiv as nd
from nnderiv import layers
from nnderiv.fresh import EMITTED, WORDS
from nnderiv.lower.items import layout
from tests.emitted import ATTENTION, DENSE, ELMAN, body, run
from tests.running import assert_means


@pytest.mark.parametrize("text", [ATTENTION, ELMAN, DENSE])
@pytest.mark.parametrize("size", [0, 1])
def test_empty_batches_and_sizes_of_one_work(text: str, size: int) -> None:
    d = nd.derive(text)
    sizes = {n: 3 for n in d.forward.sizes} | {"N": size}
    if size == 1:
        sizes = dict.fromkeys(sizes, 1)
    inputs = {i.name: np.full([x.value(sizes) for x in i.dims], 0.5) for i in d.forward.inputs}
    module = d.compile()
    y, residuals = module.forward(**inputs)
    (seed,) = d.gradients.seeds.values()
    gradients = module.backward(residuals, **{seed: np.ones_like(y)})
    for name, gradient in d.gradients.names.items():
        g = getattr(gradients, gradient)
        assert g.shape == inputs[name].shape and np.isfinite(g).all()
        if size == 0 and name not in ("Q", "x", "X", "h0"):
            assert not g.any()


@pytest.mark.parametrize("text", [ATTENTION, ELMAN, DENSE])
def test_inputs_that_are_not_contiguous_give_the_same(text: str) -> None:
    rng, d = np.random.default_rng(0), nd.derive(text)
    plain = {i.name: rng.normal(size=[4] * len(i.dims)) for i in d.forward.inputs}
    odd = {n: np.repeat(x.T[::-1].copy(), 2, 0)[::-2].T for n, x in plain.items()}
    assert not any(x.flags["C_CONTIGUOUS"] for x in odd.values() if x.ndim > 1)
    module = d.compile()
    (seed,) = d.gradients.seeds.values()
    y, _ = module.forward(**plain)
    dy = rng.normal(size=y.shape)
    for a, b in zip(run(module, {seed: dy}, **plain)[1], run(module, {seed: np.asfortranarray(dy)}, **odd)[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("text", "fits", "refused"), [
    ("x[T,2*P] -> y\n y[t,p] = x[t,2*p]*x[t,2*p+1]", (2, 6), (2, 5)),
    ("x[N,N+M-1] -> y\n y[i,j] = x[i,i-j+M-1]", (3, 5), (5, 2)),
    ("x[N,s*H], int s -> y\n y[n,i,u] = x[n,s*i+u] for u < s", (1, 6), (1, 7)),
    ("x[2*P+N,N] -> y\n y[p,n] = x[2*p+n,n]", (7, 3), (6, 3)),
])
def test_a_size_that_stands_beside_others_is_solved_for(text: str, fits: tuple[int, ...], refused: tuple[int, ...]) -> None:
    d = nd.derive(text)
    module, rest = d.compile(), {name: 2 for name in d.forward.parameters}
    x = np.arange(float(np.prod(fits))).reshape(fits)
    y, residuals = module.forward(x=x, **rest)
    assert y.tolist() == nd.evaluate(d.forward, {"x": x, **rest})["y"]
    assert module.backward(residuals, dy=y).dx.tolist() == nd.evaluate(d.backward, {"x": x, **rest, "dy": y})["dx"]
    for compute in (lambda **v: module.forward(**v), lambda **v: nd.evaluate(d.forward, v)):
        with pytest.raises(ValueError, match=r"expected|makes it"):
            compute(x=np.ones(refused), **rest)
    assert d.check().ok


@pytest.mark.parametrize("sizes", [{}, {"U": 4}, {"N": 2, "H": 2, "U": 4}], ids=str)
def test_what_a_kernel_larger_than_its_image_leaves_empty_is_an_input_of_the_gradient_too(sizes: dict[str, int]) -> None:
    d = nd.derive("X[N,H], K[U] -> Y\nY[n,i] = sum[u](K[u]*X[n,i+u])")
    inputs = {"X": np.ones((2, 2)), "K": np.ones(4)}
    Y, residuals = d.compile(sizes=sizes).forward(**inputs)
    expected = nd.evaluate(d.backward, {**inputs, "dY": Y})
    (dX, dK), _ = nd.derive(d.backward).compile(sizes=sizes).forward(**inputs, dY=Y)
    assert Y.shape == (2, 0) and np.shape(nd.evaluate(d.forward, inputs)["Y"]) == (2, 0)
    for found in (d.compile(sizes=sizes).backward(residuals, dY=Y), (dX, dK)):
        assert [g.tolist() for g in found] == [expected["dX"], expected["dK"]] == [[[0, 0]]*2, [0]*4]


@pytest.mark.parametrize(("text", "sizes"), [
    ("x[H,W] -> y\ny[i,j] = max[u,v](x[2*i+u,2*j+v]) for u < 3, v < 3", {"H": 0, "W": 3}),
    ("x[K,T] -> y\ny[k] = k*x[2*k-1,2*k]", {"K": 1, "T": 0}),
    ("x[T], w[K] -> y\ny[t] = sum[u](w[u]*x[t-u]) for t < T + K - 1", {"T": 0, "K": 0}),
])
def test_windows_of_what_is_empty_are_none(text: str, sizes: dict[str, int]) -> None:
    d = nd.derive(text)
    inputs = {i.name: np.ones([x.value(sizes) for x in i.dims]) for i in d.forward.inputs}
    y, residuals = d.compile().forward(**inputs)
    assert 0 in y.shape
    for x, g in zip(inputs.values(), d.compile().backward(residuals, dy=y), strict=True):
        np.testing.assert_array_equal(g, np.zeros_like(x))


def test_a_specialised_module_says_for_which_sizes_and_refuses_others() -> None:
    d = nd.derive(DENSE)
    source = d.numpy(sizes={"N": 4, "I": 3})
    assert "for N = 4, I = 3 only." in source
    special, general = d.compile(sizes={"N": 4, "I": 3}), d.compile()
    rng = np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(4, 3)), "W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    seeds = {"dY": rng.normal(size=(4, 2))}
    for a, b in zip(run(special, seeds, **inputs)[1], run(general, seeds, **inputs)[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    with pytest.raises(ValueError, match=r"X has shape \(5, 3\); expected 4 in dimension 0 of X\[4,3\]"):
        special.forward(**{**inputs, "X": rng.normal(size=(5, 3))})


def test_a_factor_goes_to_the_smallest_operand_where_sizes_are_known() -> None:
    thin, wide = {"N": 256, "M": 256, "D": 16}, {"N": 16, "M": 16, "D": 256}
    assert "S = Q/16**0.5 @ K.T" in body(ATTENTION, "forward", ("scaled",), thin)
    assert "S = Q_scaled @ K.T" in body(ATTENTION, "forward", sizes=thin)
    assert all("S /= 256**0.5" in body(ATTENTION, "forward", without, wide) for without in ((), ("scaled",)))


@pytest.mark.parametrize(("sizes", "message"), [
    ({"Z": 3}, "Z is not a size of this program; its sizes are N, I, O"),
    ({"N": -1}, "the size N cannot be -1"),
    ({"N": 2.0}, "the size N cannot be 2.0"),
    ({"N": True}, "the size N cannot be True"),
    ({"N": [4]}, r"the size N cannot be \[4\]"),
])
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, Any], message: str) -> None:
    d = nd.derive(DENSE)
    d.numpy(sizes={"N": 1}), d.numpy(sizes={"N": 2})  # what was made before changes nothing
    with pytest.raises(ValueError, match=message):
        d.numpy(sizes=sizes)


def test_sizes_are_known_in_any_order_and_of_any_integer_type() -> None:
    sizes = {"O": np.int64(2), "N": 4, "I": np.uint8(3)}
    assert nd.derive(DENSE).numpy(sizes=sizes) == nd.derive(DENSE).numpy(sizes={"N": 4, "I": 3, "O": 2})


GOOD = {"X": np.ones((4, 3)), "W": np.ones((3, 2)), "b": np.ones(2)}


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"W": np.ones((5, 2))}, ValueError, r"W has shape \(5, 2\); expected 3 in dimension 0 of W\[I,O\]"),
    ({"b": np.ones(3)}, ValueError, r"b has shape \(3,\); expected 2 in dimension 0 of b\[O\]"),
    ({"X": np.ones(3)}, ValueError, r"X has shape \(3,\); expected 2 dimensions, X\[N,I\]"),
    ({"b": np.ones((2, 1))}, ValueError, r"b has shape \(2, 1\); expected 1 dimension, b\[O\]"),
    ({"W": np.ones((3, 2), np.float32)}, TypeError, "W is an array of float32, and X of float64; expected one dtype"),
    ({"b": np.ones(2, int)}, TypeError, "b is an array of int64; expected floating point"),
    ({"b": np.ones(2, complex)}, TypeError, "b is an array of complex128; expected floating point"),
])
def test_what_does_not_fit_is_named_with_what_was_expected(changes: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        nd.derive(DENSE).compile().forward(**{**GOOD, **changes})


def test_lists_of_numbers_are_arrays_too() -> None:
    module = nd.derive(DENSE).compile()
    as_lists = {n: x.tolist() for n, x in GOOD.items()}
    np.testing.assert_array_equal(module.forward(**as_lists)[0], module.forward(**GOOD)[0])


@pytest.mark.parametrize(("seed", "error", "message"), [
    (np.ones((4, 3)), ValueError, r"dY has shape \(4, 3\); expected 2 in dimension 1 of dY\[N,O\]"),
    (np.ones((4, 2), np.float32), TypeError, "dY is an array of float32; expected float64"),
])
def test_a_seed_that_does_not_fit_is_refused(seed: Any, error: type, message: str) -> None:
    module = nd.derive(DENSE).compile()
    _, residuals = module.forward(**GOOD)
    with pytest.raises(error, match=message):
        module.backward(residuals, dY=seed)


@pytest.mark.parametrize("value", ["1", 1j, np.ones(1), None])
def test_a_scalar_that_is_no_real_number_is_refused(value: Any) -> None:
    module = nd.derive("x[N], eps -> y\ny[n] = x[n] + eps").compile()
    with pytest.raises(TypeError, match=r"eps is .*; expected a real number"):
        module.forward(x=np.ones(2), eps=value)


@pytest.mark.parametrize("value", ["1", 1j, np.complex128(1), np.ones(1), [1.0], None, True])
def test_a_seed_that_is_no_real_number_is_refused(value: Any) -> None:
    module = nd.derive("x[N] -> y, L\ny[n] = x[n]**2\nL = sum[n](x[n]**3)").compile()
    _, residuals = module.forward(x=np.ones(2))
    with pytest.raises(TypeError, match=r"dL is .*; expected a real number"):
        module.backward(residuals, dy=np.ones(2), dL=value)
    for good in (1, np.float32(1), np.array(1.0)):
        assert module.backward(residuals, dy=np.ones(2), dL=good).dx.tolist() == [5, 5]


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64(math.inf), 1j, None, "2", True, 2.5, [2], np.array([2])])
def test_an_integer_that_is_none_is_refused_by_name(value: Any) -> None:
    module = nd.derive("x[N], int s -> y\ny[n] = x[s*n] for n < N//s").compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=r"s is .*; expected an integer"):
            module.forward(x=np.ones(4), s=value)
    for good in (2, 2.0, np.int8(2), np.array(2), np.uint64(2)):
        assert module.forward(x=np.arange(4.0), s=good)[0].tolist() == [0, 2]


@pytest.mark.parametrize(("a", "b", "dtype"), [
    (2, 3, np.float64), (2, 3.0, np.float64), (np.int64(2), np.uint8(3), np.float64), (np.array(2), 3, np.float64),
    (np.float32(2), 3, np.float32), (2, np.float32(3), np.float32), (2.0, np.array(3, np.float32), np.float32),
    (np.float32(2), np.float64(3), np.float64), (np.float16(2), np.int64(3), np.float16), (np.array(2, ">f4"), 3, np.float32),
])
def test_numbers_alone_are_computed_with_as_real_numbers(a: Any, b: Any, dtype: Any) -> None:
    module = nd.derive("a, b -> y\ny = a/b").compile()
    y, residuals = module.forward(a=a, b=b)
    da, db = module.backward(residuals)
    assert {x.dtype for x in (y, da, db)} == {np.dtype(dtype)}
    np.testing.assert_allclose([y, da, db], [2/3, 1/3, -2/9], rtol=1e-3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_the_order_of_bytes_is_of_no_account(order: str, kind: str) -> None:
    d = nd.derive(ATTENTION)
    rng, module = np.random.default_rng(0), d.compile()
    inputs = {i.name: rng.normal(size=[3]*len(i.dims)).astype(kind) for i in d.forward.inputs}
    dy = rng.normal(size=(3, 3)).astype(kind)
    as_stored = {name: x.astype(order + kind) for name, x in inputs.items()}
    as_stored["Q"] = inputs["Q"]
    for a, b in zip(run(module, {"dY": dy}, **inputs)[1], run(module, {"dY": dy.astype(order + kind)}, **as_stored)[1], strict=True):
        assert b.dtype == kind and b.dtype.isnative and np.array_equal(a, b)
    y, residuals = module.forward(**{name: x.astype(order + kind) for name, x in inputs.items()})
    assert y.dtype.isnative and module.backward(residuals, dY=dy).dV.dtype == kind


@pytest.mark.parametrize(("changes", "message"), [
    ({"x": [[1.0], [1.0, 2.0]]}, "x is no array: "), ({"tok": [[1], [1, 2]]}, "tok is no array: "),
    ({"tok": np.ones((2, 2), int)}, r"^tok has shape \(2, 2\); expected 1 dimension, int tok\[N\]"), ({"tok": 1}, r"^tok has shape \(\)"),
])
def test_what_is_no_array_is_named_too(changes: dict[str, Any], message: str) -> None:
    module = nd.derive("x[V,D], int tok[N] -> y\ny[n,d] = x[tok[n],d]").compile()
    with pytest.raises(ValueError, match=message):
        module.forward(**{"x": np.ones((2, 2)), "tok": [0, 1], **changes})


@pytest.mark.parametrize(("changes", "message"), [
    ({"a": 10**400}, "^a is an integer of 1329 bits; expected a number that float64 can hold"),
    ({"s": 10**30}, "^s is an integer of 100 bits; expected one that 64 bits can hold"), ({"s": 1e30}, "^s is an integer of 100 bits"),
    ({"s": -2**63 - 1}, "^s is an integer of 64 bits"),
    ({"tok": np.array([1, 2**63], np.uint64)}, "^tok has 9223372036854775808 in it; expected integers that int64 can hold"),
])
def test_a_number_that_is_too_large_is_named(changes: dict[str, Any], message: str) -> None:
    module = nd.derive("x[N], int tok[N], int s, a -> y\ny[n] = a*x[n-s] + tok[n]").compile()
    inputs = {"x": np.ones(2), "tok": [1, 2], "s": 1, "a": 2.0}
    np.testing.assert_array_equal(module.forward(**inputs)[0], [1, 4])
    with pytest.raises(OverflowError, match=message):
        module.forward(**{**inputs, **changes})


@pytest.mark.parametrize(("text", "names"), [
    ("el[N] -> y\ny[n] = el[n]**2", {"el": "del2"}), ("ef[N], ict[N] -> y\ny[n] = ef[n]*ict[n]", {"ef": "def2", "ict": "dict2"}),
    ("x[N] -> el\nel[n] = exp(x[n])", {"x": "dx"}), ("x[N] -> y\nel[n] = exp(x[n])\ny[n] = el[n]**2 + el[n]", {"x": "dx"}),
])
def test_a_gradient_is_not_called_what_python_has_a_word_for(text: str, names: dict[str, str]) -> None:
    d = nd.derive(text)
    assert d.gradients.names == names
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {i.name: rng.normal(size=3) for i in d.forward.inputs}, rng)
    assert str(nd.parse(str(d.backward))) == str(d.backward)


@pytest.mark.parametrize("letter", ["np2", "len3", "pi2", "max_2", "is2", "sum10"])
def test_a_letter_does_not_lose_its_number_to_become_what_python_or_the_notation_has_a_word_for(letter: str) -> None:
    y = f"y[{letter}] = sum[k](exp(X[{letter},k])*w[k])/(1 + {letter})"
    d = nd.derive(f"X[N,M], w[M] -> y, z\n{y}\nz[k] = sum[{letter}](X[{letter},k]**3)")
    rng = np.random.default_rng(0)
    assert_means(d, d.compile(), {"X": rng.normal(size=(3, 2)), "w": rng.normal(size=2)}, rng)
    for program in (d.backward, nd.derive(d.backward).backward):
        assert str(nd.parse(str(program))) == str(program)


@pytest.mark.parametrize("name", layers.ALL)
def test_no_name_of_a_program_hides_what_the_functions_call(name: str) -> None:
    """What forward and backward find outside of themselves is called what no tensor, size or index may be called."""
    for threads in (1, 2):
        module = symtable.symtable(layers.ALL[name].derivation.numpy(threads=threads), name, "exec")
        todo = [t for t in module.get_children() if t.get_name() in ("forward", "backward")]
        for table in todo:
            todo += table.get_children()
            found = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
            assert {n for n in found if not n.startswith("_")} <= EMITTED | WORDS


def test_what_backward_does_not_read_is_not_handed_on() -> None:
    """No size of which only a comment speaks; and a tuple has a comma behind its last entry only if that is the only one."""
    dense = nd.derive("X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]").numpy()
    assert "return Y, (X, W, N, O, dtype)\n" in dense and "    X, W, N, O, dtype = residuals\n" in dense
    assert "return Gradients((dX, dW, db))" in dense
    total = nd.derive("x[N] -> L\nL = 2*sum[n](x[n])").numpy()
    assert "    N, dtype = residuals\n" in total and "return Gradients((dx,))" in total


def test_many_residuals_stand_in_several_lines() -> None:
    names = [f"weight{k}" for k in range(30)]
    source = nd.derive(f"x[N], {', '.join(names)} -> y\ny[n] = {' + '.join(f'{name}*x[n]**2' for name in names)}").numpy()
    assert "    return y, (\n        x, weight0," in source and "    (\n        x, weight0," in source and "\n    ) = residuals\n" in source


@pytest.mark.parametrize("name", layers.ALL)
def test_the_lines_of_the_functions_are_no_longer_than_is_read_easily(name: str) -> None:
    functions = layers.ALL[name].derivation.numpy().partition("\nGradients = ")[2]
    assert [line for line in functions.splitlines() if len(line) > layout.WIDTH and not line.lstrip().startswith('"""')] == []
