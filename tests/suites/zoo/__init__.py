"""The zoo: layers of every kind that a reader might bring, each in the notation and in PyTorch.

It asks whether the notation is a language: none of these texts was written with the engine's inside in mind, and
each says no more than the notation's own page allows.
"""

from tests.suites.case import Case
from tests.suites.zoo import (
    activations,
    algebra,
    alignment,
    attention,
    convolution,
    losses,
    normalisation,
    pooling,
    recurrent,
)

FAMILIES = (recurrent, normalisation, attention, alignment, pooling, convolution, losses, activations, algebra)
ZOO = [entry for family in FAMILIES for entry in vars(family).values() if isinstance(entry, Case)]
