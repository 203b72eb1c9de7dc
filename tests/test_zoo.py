"""Every layer of the zoo parses, derives, compiles, and is what PyTorch says it is."""

import zlib
from contextlib import nullcontext

import numpy as np
import pytest

import nnderiv as nd
from nnderiv.evaluate import bind_sizes
from tests.laws import LAWS, Nothing, impatient
from tests.running import assert_close, backward, compiled, derivation, forward, interpret, output_names, seed_names
from tests.suites.case import Case, reference, reference_twice
from tests.suites.zoo import ZOO

every_layer = pytest.mark.parametrize("layer", ZOO, ids=repr)


def drawn(layer: Case) -> tuple[dict, list, list, dict]:
    """Inputs, and what PyTorch makes of them: outputs, seeds, gradients. The same on every run."""
    rng = np.random.default_rng(zlib.crc32(layer.name.encode()))
    inputs = layer.inputs(rng)
    outputs, seeds, gradients = reference(layer, inputs, rng)
    return inputs, outputs, seeds, {name: g for name, g in gradients.items() if layer.wrt is None or name in layer.wrt}


def test_the_names_of_the_zoo_are_unique():
    names = [layer.name for layer in ZOO]
    assert len(set(names)) == len(names)


@every_layer
def test_every_layer_of_the_zoo_agrees_with_pytorch(layer):
    inputs, outputs, seeds, gradients = drawn(layer)
    found, _ = forward(layer.text, inputs, layer.wrt)
    for (name, y), expected in zip(found.items(), outputs, strict=True):
        assert_close(y, expected, name)
    found = backward(layer.text, inputs, seeds, layer.wrt)
    assert sorted(found) == sorted(gradients)
    for name, expected in gradients.items():
        assert_close(found[name], expected, f"d{name}")


@every_layer
def test_every_layer_of_the_zoo_stays_in_single_precision(layer):
    inputs, outputs, seeds, gradients = drawn(layer)
    single = {name: np.float32(x) if np.asarray(x).dtype == np.float64 else x for name, x in inputs.items()}
    found, residuals = forward(layer.text, single, layer.wrt)
    for (name, y), expected in zip(found.items(), outputs, strict=True):
        assert np.asarray(y).dtype == np.float32, name
        assert_close(y, expected, name, tolerance=1e-3)
    single_seeds = {name: np.float32(dy) for name, dy in seed_names(layer.text, seeds).items()}
    found = compiled(layer.text, layer.wrt).backward(residuals, **single_seeds)
    for name, expected in gradients.items():
        g = getattr(found, f"d{name}")
        assert np.asarray(g).dtype == np.float32, name
        assert_close(g, expected, f"d{name}", tolerance=1e-2)


@every_layer
def test_every_layer_of_the_zoo_is_the_same_part_by_part_for_its_sizes_only_and_on_threads(layer):
    inputs, outputs, seeds, gradients = drawn(layer)
    d = derivation(layer.text, layer.wrt)
    known = bind_sizes(d.forward, {i.name: np.shape(inputs[i.name]) for i in d.forward.inputs},
                       {name: int(inputs[name]) for name in d.forward.parameters})
    sizes = {name: known[name] for name in d.forward.sizes}
    for module in (d.compile(), d.compile(sizes=sizes), d.compile(sizes=sizes, threads=2)):
        found, residuals = impatient(module, PART=1, _NEAR=0).forward(**inputs)
        for y, expected in zip(found if len(outputs) > 1 else [found], outputs, strict=True):
            assert_close(y, expected, "forward")
        found = module.backward(residuals, **seed_names(layer.text, seeds))._asdict()
        for name, expected in gradients.items():
            assert_close(found[f"d{name}"], expected, f"d{name}")


GIVEN = {"elman_with_loss", "cross_entropy_of_distributions", "constant_output_and_a_copy"}  # of whose inputs a fact is given


@every_layer
def test_every_layer_of_the_zoo_is_the_same_without_passes_at_large_sizes(layer):
    with pytest.raises(Nothing, match="a fact is given") if layer.name in GIVEN else nullcontext():
        LAWS["enlarged"](layer.text, 31)


@every_layer
def test_the_interpreter_agrees_with_pytorch(layer):
    inputs, outputs, seeds, gradients = drawn(layer)
    found = interpret(nd.parse(layer.text), inputs)
    for name, expected in zip(output_names(layer.text), outputs, strict=True):
        assert_close(found[name], expected, name)
    found = interpret(derivation(layer.text, layer.wrt).backward, inputs | seed_names(layer.text, seeds))
    for name, expected in gradients.items():
        assert_close(found[f"d{name}"], expected, f"d{name}")


# Layers whose reference PyTorch cannot differentiate twice, or only to a nan.
ONCE = {"connectionist_temporal_classification", "multi_class_hinge_loss", "pairwise_distances", "soft_k_means",
        "embedding_bags", "large_arguments"}


@pytest.mark.parametrize("layer", [
    layer for layer in ZOO
    # What is given need not hold around the point, and so the gradient may not be differentiated across it.
    if layer.name not in ONCE and layer.wrt is None and "given" not in layer.text], ids=repr)
def test_the_gradient_of_every_gradient_agrees_with_pytorch(layer):
    rng = np.random.default_rng(zlib.crc32(layer.name.encode()))
    inputs = layer.inputs(rng)
    seeds, seeds_of_gradients, second = reference_twice(layer, inputs, rng)
    seeds = seed_names(layer.text, seeds)
    twice = nd.derive(derivation(layer.text).backward).backward
    scalar = len(seeds_of_gradients) == 1 and all(s.ndim == 0 for s in seeds_of_gradients.values())
    found = interpret(twice, inputs | seeds | ({} if scalar else {f"dd{x}": s for x, s in seeds_of_gradients.items()}))
    for name, expected in zip([*seeds_of_gradients, *seeds], second, strict=False):      # no dY: its seed is 1
        assert_close(found[f"d{name}"], expected, f"d{name}")


@every_layer
def test_running_a_layer_leaves_its_inputs_alone(layer):
    inputs, _, seeds, _ = drawn(layer)
    before = {name: np.array(x) for name, x in inputs.items()}
    first = backward(layer.text, inputs, seeds, layer.wrt)
    for name, x in inputs.items():
        np.testing.assert_array_equal(x, before[name], err_msg=name)
    second = backward(layer.text, inputs, seeds, layer.wrt)
    for name, g in first.items():
        np.testing.assert_array_equal(g, second[name], err_msg=name)


TAKEN = ["np", "range", "len", "lambda", "class", "dict", "forward", "backward", "numpy", "sum_", "Tuple", "print",
         "self", "nd", "out", "residuals", "E", "I", "S", "N_", "O", "pi_", "oo", "zoo", "nan", "None_", "dx", "dL",
         "_", "_t", "__x"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_is_taken_elsewhere_works_or_is_refused_with_a_reason(name):
    text = f"x[N], {name}[N] -> L\nL = sum[n](x[n]*{name}[n]**2)"
    inputs = {"x": np.array([1.0, -2.0]), name: np.array([3.0, 0.5])}
    try:
        found = backward(text, inputs, [np.ones(())])
    except nd.NotationError as error:
        assert name in str(error)
    else:
        dx, dname = found.values()                  # in the order of the signature; the name dx may be taken, too
        assert_close(dx, [9.0, 0.25], "dx")
        assert_close(dname, [6.0, -2.0], f"d{name}")
