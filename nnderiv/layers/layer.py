"""Layer: a forward definition as data, beside its source; nothing is parsed before it is asked for.

    dense = layer('''
        # dense: every output is a weighted sum of all inputs, plus a bias
        X[N,I], W[I,O], b[O] -> Y
        Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]
    ''', source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.1")

The first line of the text names the layer and says in a sentence what it computes; the rest is the program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from inspect import cleandoc

from ..derivation import Derivation, derive
from ..parse import parse
from ..program import Program


@dataclass(frozen=True)
class Layer:
    """A program in the notation, and where it comes from."""

    name: str    # as the registry and the generated files call it
    about: str   # one sentence
    text: str    # the program; its first line is "# name: about"
    source: str  # bibliographic

    @cached_property
    def program(self) -> Program:
        """What the text means."""
        return parse(self.text)

    @cached_property
    def derivation(self) -> Derivation:
        """Its gradients with respect to all real inputs."""
        return derive(self.program)

    def __str__(self) -> str:
        return self.text


def layer(text: str, source: str) -> Layer:
    """A layer from a text that opens with "# name: what it computes"."""
    text = cleandoc(text)
    first = text.partition("\n")[0]
    found = re.fullmatch(r"# (\w+): (.+)", first)
    if found is None:
        raise ValueError(f"A layer's text opens with '# name: what it computes', not with {first!r}.")
    return Layer(found[1], found[2], text, source)
