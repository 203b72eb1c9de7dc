"""The tree of a matrix expression: matrices, columns and scalars, and what is made of them.

    leaves      Leaf  Scalar  Fill  Ones  Identity
    algebra     Transpose  Times (matrix product)  Hadamard  Plus  Scale  Elementwise
    shapes      Diag  Diagonal  Trace  Along (a reduction or softmax along rows)  SumOver, Extreme (superscripts)
    windows     Correlate  Up  Down  Shift  Flip

A column is N×1, a row is the transpose of a column; a scalar stands anywhere. Names of indices in `Ones`, `Identity` and `Fill`
refer to the ranges of the equation that the tree belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Extreme(Node):
    """The greatest ("max") or smallest ("min") over superscripts, element by element; what lies outside takes no part."""

    op: str
    indices: tuple[str, ...]
    of: Node


# -- windows: operands are 0 outside, so that they can be read at every place ----------------------------------------------
Steps = tuple[Int, Int]


@dataclass(frozen=True, slots=True)
class Correlate(Node):
    """sign 1: first ⋆ second, Σ_{u,v} first[i+u,j+v] second[u,v]; sign −1: the convolution first ∗ second, first[i−u,j−v]."""

    first: Node
    second: Node
    sign: int
    mode: str = ""  # "valid" where nothing outside is read, "full" where all that meets is kept


@dataclass(frozen=True, slots=True)
class Up(Node):
    """↑s: zeros between the elements, A[i/s] where s divides i."""

    of: Node
    steps: Steps


@dataclass(frozen=True, slots=True)
class Down(Node):
    """↓s: every s-th element, A[s·i]."""

    of: Node
    steps: Steps


@dataclass(frozen=True, slots=True)
class Shift(Node):
    """A[i−p]: p zeros in front (p < 0: without its first −p elements)."""

    of: Node
    by: Steps


@dataclass(frozen=True, slots=True)
class Flip(Node):
    """rot180: A[U−1−u, V−1−v], where U×V are the sizes of the result."""

    of: Node
    sizes: Steps


def transposes(a: Node) -> int:
    """How many transposes are written in a tree, those of ones left out, and that of 1 aᵀ."""
    if isinstance(a, Times) and isinstance(a.parts[0], Ones) and len(a.parts) == 2 and isinstance(a.parts[1], Transpose):
        return transposes(a.parts[1].of)
    own = isinstance(a, Transpose) and not isinstance(a.of, Ones)
    return own + sum(transposes(c) for c in parts_of(a))


def parts_of(a: Node) -> tuple[Node, ...]:
    """The nodes directly inside a node."""
    if isinstance(a, Transpose | Diag | Diagonal | Trace | Along | SumOver | Extreme | Up | Down | Shift | Flip):
        return (a.of,)
    if isinstance(a, Times | Hadamard):
        return a.parts
    if isinstance(a, Correlate):
        return a.first, a.second
    if isinstance(a, Plus):
        return tuple(t for _, t in a.terms)
    if isinstance(a, Scale):
        return (*a.scalars, *([a.of] if a.of is not None else []))
    return a.args if isinstance(a, Elementwise) else ()


def walk(a: Node) -> Iterator[Node]:
    """Every node, from the outside in."""
    yield a
    for p in parts_of(a):
        yield from walk(p)
