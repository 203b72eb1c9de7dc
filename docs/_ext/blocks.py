"""What a cell hands to the page: a block of the book's own kind, with its content as data.

A helper returns a ``Block``. The notebook keeps it as a directive of MyST with JSON inside, and ``rendering`` turns that
into the nodes of the page, whatever the page becomes: HTML or EPUB.

>>> Block("equation", {"label": "dense-dW"}, "(dense-dW)")
(dense-dW)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnderiv import Derivation
from nnderiv.layers import Layer
from nnderiv.program import Program

FENCE = "~~~~~~"


@dataclass(frozen=True)
class Block:
    """A directive ``book-<kind>`` with its content; ``text`` is what a terminal shows."""

    kind: str
    content: Mapping[str, Any]
    text: str

    def _repr_markdown_(self) -> str:
        return f"{FENCE}{{book-{self.kind}}}\n{json.dumps(self.content)}\n{FENCE}\n"

    def __repr__(self) -> str:
        return self.text


def key(program: Program) -> str:
    """The same for two derivations of one definition, so that equations and code find each other."""
    return hashlib.sha256(str(program).encode()).hexdigest()[:10]


def title(program: Program) -> str:
    """The name before the colon of a layer's first line; nothing for a program without one."""
    return program.title.partition(":")[0].strip()


def derivation_of(thing: Derivation | Layer) -> Derivation:
    """The derivation itself, or a layer's."""
    return thing.derivation if isinstance(thing, Layer) else thing
