"""The tree of a matrix expression: matrices, columns and scalars, and what is made of them.

    leaves      Leaf  Scalar  Fill  Ones  Identity
    algebra     Transpose  Times (matrix product)  Hadamard  Plus  Scale  Elementwise
    shapes      Diag  Diagonal  Trace  Along (a reduction or softmax along rows)  SumOver (superscripts)

A column is N×1, a row is the transpose of a column; a scalar stands anywhere. Names of indices in `Ones`, `Identity` and `Fill`
refer to the ranges of the equation that the tree belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..expr import Expr
from ..integer import Int


class Node:
    """A matrix, a column or a scalar."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Leaf(Node):
    """A tensor; subs holds its superscripts, None stands for a row or column axis."""

    tensor: str
    subs: tuple[Int | None, ...]


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """A number: an expression without rows and columns."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Fill(Node):
    """The column or matrix (column is None or not) whose elements all are one scalar."""

    value: Expr
    row: str
    column: str | None


@dataclass(frozen=True, slots=True)
class Ones(Node):
    """The column of ones, as long as its index runs."""

    index: str


@dataclass(frozen=True, slots=True)
class Identity(Node):
    """[i = j], as large as its index runs."""

    index: str


@dataclass(frozen=True, slots=True)
class Transpose(Node):
    of: Node


@dataclass(frozen=True, slots=True)
class Times(Node):
    """Matrix product."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Hadamard(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Plus(Node):
    terms: tuple[tuple[int, Node], ...]


@dataclass(frozen=True, slots=True)
class Scale(Node):
    """Scalars in front of a matrix, or a product of scalars alone."""

    scalars: tuple[Node, ...]
    of: Node | None


@dataclass(frozen=True, slots=True)
class Elementwise(Node):
    """A function, quotient "/" or power "**", element by element; a comparison as a matrix of zeros and ones."""

    op: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Diag(Node):
    """The diagonal matrix of a column."""

    of: Node


@dataclass(frozen=True, slots=True)
class Diagonal(Node):
    """The diagonal of a matrix, as a column."""

    of: Node


@dataclass(frozen=True, slots=True)
class Trace(Node):
    of: Node


@dataclass(frozen=True, slots=True)
class Along(Node):
    """max, min, logsumexp of each row: a column; (log_)softmax of each row: a matrix. Of a column: of all of it."""

    op: str
    of: Node
    is_column: bool


@dataclass(frozen=True, slots=True)
class SumOver(Node):
    """Sum over superscripts."""

    indices: tuple[str, ...]
    of: Node


def transposes(a: Node) -> int:
    """How many transposes are written in a tree, those of ones left out."""
    own = isinstance(a, Transpose) and not isinstance(a.of, Ones)
    return own + sum(transposes(c) for c in parts_of(a))


def parts_of(a: Node) -> tuple[Node, ...]:
    """The nodes directly inside a node."""
    if isinstance(a, Transpose | Diag | Diagonal | Trace | Along | SumOver):
        return (a.of,)
    if isinstance(a, Times | Hadamard):
        return a.parts
    if isinstance(a, Plus):
        return tuple(t for _, t in a.terms)
    if isinstance(a, Scale):
        return (*a.scalars, *([a.of] if a.of is not None else []))
    return a.args if isinstance(a, Elementwise) else ()
