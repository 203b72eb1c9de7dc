"""The laws of the trace: tr(Gᵀ D), where D holds one differential, becomes tr(Hᵀ dX), one law at a time.

    tr A = tr Aᵀ      tr(A B) = tr(B A)      tr(Aᵀ (B ⊙ C)) = tr((A ⊙ B)ᵀ C)      tr(Aᵀ diag(c)) = diagonal(A)ᵀ c
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import matrix as mx
from ..errors import MatrixFormError
from ..matrix import Node
from ..program import Range
from ..reasons import Said, plain
from .build import amount, hadamard, inside, negated, times
from .differential import NUMBER, Shape, contains


def law(sentence: str, formula: str) -> Said:
    """A sentence that ends in a formula, which is given in TeX; in plain text it is tr(Aᵀ B)."""
    text = re.sub(r"\\operatorname{(\w+)}", r"\1", formula).replace(r"^{\top}", "ᵀ").replace(r"\odot", "⊙")
    return Said(f"{sentence} {text}.", f"{sentence} ${formula}$.")


TR, DIAG, TOP = r"\operatorname{tr}", r"\operatorname{diag}", r"^{\top}"
REASONS = {
    "linearity": plain("The trace of a sum is the sum of the traces, and numbers stand in front."),
    "transpose": law("A matrix and its transpose have the same trace:", f"{TR} A = {TR} A{TOP}"),
    "cyclic property": law("Factors may be moved around a trace:", f"{TR}(A B) = {TR}(B A)"),
    "Hadamard product in the trace": law("An elementwise factor may change sides:",
                                         rf"{TR}(A{TOP} (B \odot C)) = {TR}((A \odot B){TOP} C)"),
    "diagonal": law("Only the diagonal meets a diagonal matrix:",
                    rf"{TR}(A{TOP} {DIAG}(c)) = \operatorname{{diagonal}}(A){TOP} c"),
    "trace of the differential": law("The identity may stand beside it:", f"{TR} D = {TR}(I{TOP} D)"),
    "a scalar factor": plain("A number that varies stands behind the trace of what it multiplies."),
}
ADDED = f"{TR}(A{TOP} D) + {TR}(B{TOP} D) = {TR}((A + B){TOP} D)"


@dataclass(frozen=True)
class Pair:
    """tr(Gᵀ D), a term of dJ."""

    g: Node
    d: Node

    def shown(self, shape: Callable[[Node], Shape]) -> Node:
        """As a scalar: tr(Gᵀ D), or gᵀ d for columns, or g d for numbers."""
        rows, columns = shape(self.d)
        if rows is None and columns is None:
            return amount(self.g, self.d)

        def meet(g: Node) -> Node:
            inner = mx.times(mx.transposed(g), self.d)
            return inner if columns is None else mx.Trace(inner)

        return inside(self.g, meet)


@dataclass
class Trace:
    names: Mapping[str, str]  # varying tensor -> its differential
    shape: Callable[[Node], Shape]
    index: Callable[[Range], str]

    def move(self, p: Pair) -> tuple[str, list[Pair]] | None:
        """(the law, what it makes of the pair), or None where D is the differential of one tensor."""
        d, g = p.d, p.g
        if isinstance(d, mx.Leaf):
            return None
        if isinstance(d, mx.Plus):
            return "linearity", [Pair(g if sign > 0 else negated(g), t) for sign, t in d.terms]
        if isinstance(d, mx.Transpose):
            return "transpose", [Pair(mx.transposed(g), d.of)]
        if isinstance(d, mx.Times):
            return self._cyclic(g, d)
        if isinstance(d, mx.Hadamard):
            return "Hadamard product in the trace", [Pair(*self._hadamard(g, d))]
        if isinstance(d, mx.Elementwise) and d.op == "/" and not self._varies(d.args[1]):
            below = d.args[1]
            return "Hadamard product in the trace", [Pair(inside(g, lambda core: mx.Elementwise("/", (core, below))), d.args[0])]
        if isinstance(d, mx.Scale):
            return self._scale(g, d)
        if isinstance(d, mx.Diag):
            return "diagonal", [Pair(mx.Diagonal(g), d.of)]
        if isinstance(d, mx.Diagonal):
            return "diagonal", [Pair(mx.Diag(g), d.of)]
        if isinstance(d, mx.Trace):
            rows = self.shape(d.of)[0]
            assert rows is not None
            identity = mx.Identity(self.index(rows))
            return "trace of the differential", [Pair(amount(g, identity), d.of)]
        raise MatrixFormError(f"No law of the trace isolates the differential in {type(d).__name__.lower()}.")

    def _varies(self, a: Node) -> bool:
        return contains(a, frozenset(self.names.values()))

    def _cyclic(self, g: Node, d: mx.Times) -> tuple[str, list[Pair]]:
        """tr(Gᵀ A D B) = tr((Aᵀ G Bᵀ)ᵀ D)"""
        k = next(k for k, part in enumerate(d.parts) if self._varies(part))
        if isinstance(d.parts[k], mx.Transpose):
            return "transpose", [Pair(mx.transposed(g), mx.transposed(d))]
        left = [*map(mx.transposed, reversed(d.parts[:k]))]
        right = [*map(mx.transposed, reversed(d.parts[k + 1 :]))]
        if self.shape(d) != NUMBER:
            return "cyclic property", [Pair(times([*left, g, *right]), d.parts[k])]
        outer = times([*left, *right])
        return "cyclic property", [Pair(amount(g, outer), d.parts[k])]

    def _hadamard(self, g: Node, d: mx.Hadamard) -> tuple[Node, Node]:
        k = next(k for k, part in enumerate(d.parts) if self._varies(part))
        return hadamard([g, *d.parts[:k], *d.parts[k + 1 :]]), d.parts[k]

    def _scale(self, g: Node, d: mx.Scale) -> tuple[str, list[Pair]]:
        varying = [k for k, s in enumerate(d.scalars) if self._varies(s)]
        if not varying:
            assert d.of is not None
            number = self.shape(d) == NUMBER
            return "linearity", [Pair(amount(g, mx.scaled(list(d.scalars), None)) if number else mx.scaled(list(d.scalars), g), d.of)]
        (k,) = varying
        rest = [s for j, s in enumerate(d.scalars) if j != k]
        inner = Pair(g, d.of).shown(self.shape) if d.of is not None else g
        return "a scalar factor", [Pair(mx.scaled([*rest, inner], None), d.scalars[k])]
