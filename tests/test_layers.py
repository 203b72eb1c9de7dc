"""Every layer of the registry: named, sourced, and with gradients that are right, exactly.

The evidence knows nothing of the one rule. The interpreter runs the forward program on dual numbers X + V·ε, which
gives the directional derivative J v, and the derived program on a seed w, which gives Jᵀ w; then ⟨J v, w⟩ = ⟨v, Jᵀ w⟩
is one equation for each input, between fractions, or between numbers of 50 digits where the layer has an exp in it.
"""

from __future__ import annotations

import inspect
import random
import re
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import prod
from typing import Any

import pytest

import nnderiv as nd
from nnderiv import layers
from nnderiv.draw import draw
from nnderiv.dual import Dual
from nnderiv.layers import CHAPTERS, Layer, layer
from nnderiv.numbers import INFINITY, combine

every_layer = pytest.mark.parametrize("layer", layers.ALL.values(), ids=list(layers.ALL))
TOLERANCE = 1e-40


# ---- drawing inputs -------------------------------------------------------------------------------------------


def tensor(shape: tuple[int, ...], entry: Any) -> Any:
    """Nested lists of this shape, of entries made one by one."""
    return [tensor(shape[1:], entry) for _ in range(shape[0])] if shape else entry()


def entries(value: Any) -> Iterator[Any]:
    """The entries of nested lists, row by row."""
    if isinstance(value, list):
        for row in value:
            yield from entries(row)
    else:
        yield value


def each(a: Any, of: Any) -> Any:
    """of(a), entry by entry."""
    return [each(x, of) for x in a] if isinstance(a, list) else of(a)


def pair(a: Any, b: Any, of: Any) -> Any:
    """of(a, b), entry by entry."""
    return [pair(x, y, of) for x, y in zip(a, b, strict=True)] if isinstance(a, list) else of(a, b)


def inner(a: Any, b: Any) -> Any:
    total: Any = Fraction(0)
    for x, y in zip(entries(a), entries(b), strict=True):
        total = combine("+", total, combine("*", x, y))
    return total


def shape_of(value: Any) -> tuple[int, ...]:
    return (len(value), *(shape_of(value[0]) if value else ())) if isinstance(value, list) else ()


def drawn(layer: Layer) -> tuple[random.Random, dict[str, Any], dict[str, Any]]:
    """Inputs that leave no output empty and at which the layer has a finite value; and that value."""
    rng = random.Random(zlib.crc32(layer.name.encode()))
    # So that no two entries of a maximum are equal; what a fact is about keeps its value.
    shaken = lambda x: x + Fraction(rng.randint(-9999, 9999), 1_000_000)
    facts = " ".join(map(str, layer.program.givens))
    free = [name for name in layer.program.real_inputs if f"{name}[" not in facts]
    for _ in range(100):
        inputs = draw(layer.program, rng, largest=3).inputs
        inputs |= {name: each(inputs[name], shaken) for name in free}
        outputs = nd.evaluate(layer.program, inputs)
        if all(prod(shape_of(y)) > 0 and all(abs(v) < INFINITY for v in entries(y)) for y in outputs.values()):
            return rng, inputs, outputs
    raise AssertionError(f"100 draws, and {layer.name} is finite at none of them")


# ---- the registry ---------------------------------------------------------------------------------------------


@every_layer
def test_a_layer_is_called_as_its_variable_and_as_the_first_line_of_its_text(layer):
    assert layers.ALL[layer.name] is layer is getattr(layers, layer.name)
    assert layer.text.startswith(f"# {layer.name}: {layer.about}\n")
    assert layer.program.title == f"{layer.name}: {layer.about}"


@every_layer
def test_a_layer_names_a_source_with_a_year(layer):
    assert re.search(r"\b(19|20)\d\d\b", layer.source)


def test_no_two_layers_share_a_variable_with_a_chapter_or_with_each_other():
    found = [name for chapter in CHAPTERS for name, value in vars(chapter).items() if isinstance(value, Layer)]
    assert len(found) == len(set(found)) == len(layers.ALL)
    assert not set(found) & {chapter.__name__.rpartition(".")[2] for chapter in CHAPTERS} | set(found) & {"layer"}


def test_every_chapter_says_what_its_letters_mean():
    assert all(inspect.getdoc(chapter) for chapter in CHAPTERS)


def test_an_unknown_layer_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no layer dance"):
        layers.dance  # noqa: B018


@pytest.mark.parametrize("first", ["", "# no colon\n", "# two words: a\n", "# nothing:\n", "no_comment: a\n"])
def test_a_text_without_its_name_is_refused(first):
    with pytest.raises(ValueError, match="opens with"):
        layer(f"{first}x[N] -> y\ny[n] = x[n]", source="2020")


def test_a_layer_is_parsed_when_it_is_asked_for_and_once():
    wrong = layer("# wrong: not a program\nx[N] ->", source="2020")
    with pytest.raises(nd.NotationError):
        wrong.program  # noqa: B018
    right = layer("# right: a program\nx[N] -> y\ny[n] = x[n]", source="2020")
    assert right.program is right.program and right.derivation is right.derivation


# ---- meaning and gradients ------------------------------------------------------------------------------------


@every_layer
def test_a_layer_prints_as_a_program_that_means_the_same(layer):
    assert nd.parse(str(layer.program)) == layer.program


def along(inputs: Mapping[str, Any], name: str, direction: Any) -> dict[str, Any]:
    return {**inputs, name: pair(inputs[name], direction, Dual)}


def slope(y: Any) -> Any:
    return each(y, lambda v: v.slope if isinstance(v, Dual) else Fraction(0))


@every_layer
def test_the_code_of_a_layer_agrees_with_its_definition(layer):
    report = layer.derivation.check(seed=1, trials=1)
    assert report.ok, str(report)


def agree(a: Any, b: Any) -> bool:
    """Equal, where both are fractions; else equal to forty digits."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    return float(abs(combine("-", a, b))) <= TOLERANCE*max(1.0, float(abs(b)))


@every_layer
def test_the_gradients_of_a_layer_are_exact(layer):
    d = layer.derivation
    rng, inputs, outputs = drawn(layer)
    rational = lambda: Fraction(rng.randint(-9, 9), 4)
    alone = len(outputs) == 1 and not isinstance(next(iter(outputs.values())), list)
    seeds = {name: Fraction(1) if alone else tensor(shape_of(y), rational) for name, y in outputs.items()}
    gradients = nd.evaluate(d.backward, inputs | ({} if alone else {f"d{name}": w for name, w in seeds.items()}))
    assert set(gradients) == {f"d{name}" for name in layer.program.real_inputs}
    for name in layer.program.real_inputs:
        assert shape_of(gradients[f"d{name}"]) == shape_of(inputs[name])
        v = tensor(shape_of(inputs[name]), rational)
        moved = nd.evaluate(layer.program, along(inputs, name, v))
        forwards = sum((inner(slope(moved[y]), w) for y, w in seeds.items()), Fraction(0))
        backwards = inner(v, gradients[f"d{name}"])
        assert agree(forwards, backwards), f"d{name}: {forwards} against {backwards}"


# ---- the layers among each other ------------------------------------------------------------------------------


def value(name: str, **inputs: Any) -> Any:
    """The first output of a layer."""
    program = layers.ALL[name].program
    return nd.evaluate(program, inputs)[program.outputs[0]]


def random_tensors(seed: int, *shapes: tuple[int, ...]) -> list[Any]:
    rng = random.Random(seed)
    return [tensor(shape, lambda: Fraction(rng.randint(-99, 99), 7)) for shape in shapes]


def turned(kernel: list[list[Any]]) -> list[list[Any]]:
    return [row[::-1] for row in kernel[::-1]]


def test_a_convolution_is_a_correlation_with_the_turned_kernel():
    X, K = random_tensors(0, (4, 5), (2, 3))
    assert value("convolution2d", X=X, K=K) == value("correlation2d", X=X, K=turned(K))


def test_convolution_commutes_and_begins_with_the_delayed_signals():
    x, w = random_tensors(1, (5,), (3,))
    assert value("convolution1d", x=x, w=w) == value("convolution1d", x=w, w=x)
    assert value("convolution1d", x=x, w=w)[:5] == value("delayed_signals", x=x, w=w)


@pytest.mark.parametrize("s, d, p", [(1, 1, 0), (2, 1, 1), (1, 2, 2), (3, 2, 1)])
def test_im2col_changes_how_a_convolution_is_computed_and_not_what(s, d, p):
    X, K, b = random_tensors(2, (1, 2, 5, 6), (2, 2, 2, 3), (2,))
    inputs = {"X": X, "K": K, "b": b, "s": s, "d": d, "p": p}
    assert value("conv2d", **inputs) == value("conv2d_im2col", **inputs)
    if (s, d, p) == (1, 1, 0):
        assert value("conv2d", **inputs) == value("conv2d_valid", X=X, K=K, b=b)


def test_the_dual_perceptron_criterion_is_the_primal_one_at_the_weights_that_it_stands_for():
    X, alpha, y = random_tensors(3, (4, 3), (4,), (4,))
    w = [sum(a*label*row[i] for a, label, row in zip(alpha, y, X, strict=True)) for i in range(3)]
    dual = value("perceptron_dual", G=value("gram", X=X), alpha=alpha, y=y)
    assert value("perceptron_criterion", X=X, w=w, y=y) == dual > 0


def test_the_modes_of_attention_are_cases_of_one():
    Q, X = random_tensors(4, (2, 3), (4, 3))
    Q, X = ([[x/50 for x in row] for row in M] for M in (Q, X))
    assert value("soft_attention", Q=Q, X=X) == value("soft_attention_kv", Q=Q, K=X, V=X)
    assert value("self_attention", X=X) == value("scaled_dot_product_attention", Q=X, K=X, V=X)
    assert value("causal_attention", Q=X, K=X, V=X)[-1] == value("scaled_dot_product_attention", Q=X, K=X, V=X)[-1]


def test_labels_by_number_and_labels_as_rows_have_one_cross_entropy():
    Z = random_tensors(5, (3, 2))[0]
    rows = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)], [Fraction(1), Fraction(0)]]
    assert agree(value("cross_entropy", Z=Z, y=rows), value("cross_entropy_of_labels", Z=Z, label=[0, 1, 0]))
