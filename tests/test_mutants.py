"""The check can fail: gradients made wrong in one place are caught. A sample; `make fuzz` takes more of every layer."""

import pytest

from nnderiv import layers
from tests.mutants import CHANGES, judge, mutants, of_layer

LAYERS = ["perceptron_criterion", "mlp_cross_entropy", "softmax", "elman", "convolution2d", "soft_attention", "layer_norm"]


@pytest.mark.parametrize("name", LAYERS)
def test_a_wrong_gradient_is_caught(name: str) -> None:
    verdicts = of_layer(name, most=5)
    assert [v for v in verdicts if v.outcome == "survived"] == []
    assert sum(v.outcome == "caught" for v in verdicts) >= 3


def test_every_kind_of_mistake_is_tried_and_caught() -> None:
    verdicts = [judge(m) for m in mutants("dense", layers.dense.derivation)]
    assert {v.kind for v in verdicts if v.outcome == "caught"} == set(CHANGES)
    assert "survived" not in {v.outcome for v in verdicts}


def test_what_is_right_survives() -> None:
    """The judge says "same", not "caught", of a gradient that was only written in another way."""
    (first, *_) = mutants("dense", layers.dense.derivation)
    assert judge(type(first)("dense", "none", "", "", layers.dense.derivation)).outcome == "same"
