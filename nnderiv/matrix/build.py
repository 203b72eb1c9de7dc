"""Nodes put together by the laws of matrix algebra that hold whatever the operands are.

    (Aᵀ)ᵀ = A     (A B)ᵀ = Bᵀ Aᵀ     A I = A     (a ⊙ b) ⊙ c = a ⊙ b ⊙ c     a ⊙ (1 ⊘ b) = a ⊘ b     c (d A) = (c d) A
"""

from __future__ import annotations

from ..expr import ONE, Num, Op, num, product
from .nodes import Diag, Elementwise, Fill, Hadamard, Identity, Node, Plus, Scalar, Scale, Times, Transpose


def transposed(a: Node) -> Node:
    """Aᵀ, with (A B)ᵀ = Bᵀ Aᵀ and (Aᵀ)ᵀ = A."""
    if isinstance(a, Transpose):
        return a.of
    if isinstance(a, Times):
        return Times(tuple(transposed(p) for p in reversed(a.parts)))
    if isinstance(a, Diag | Scalar | Identity):
        return a
    if isinstance(a, Scale) and a.of is not None:
        return Scale(a.scalars, transposed(a.of))
    return Transpose(a)


def times(*parts: Node) -> Node:
    """The matrix product, flat, without identities."""
    flat = [q for p in parts for q in (p.parts if isinstance(p, Times) else (p,))]
    flat = [q for q in flat if not isinstance(q, Identity)] or flat[:1]
    return flat[0] if len(flat) == 1 else Times(tuple(flat))


def hadamard(parts: list[Node]) -> Node:
    """The Hadamard product, flat; reciprocals become one quotient."""
    flat = [q for p in parts for q in (p.parts if isinstance(p, Hadamard) else (p,))]
    below = [p.args[1] for p in flat if is_reciprocal(p) and isinstance(p, Elementwise)]
    above = [p for p in flat if not is_reciprocal(p)]
    top = above[0] if len(above) == 1 else Hadamard(tuple(above)) if above else None
    if not below:
        assert top is not None
        return top
    if top is None and len(below) == 1:
        return next(p for p in flat if is_reciprocal(p))
    one = next(p.args[0] for p in flat if isinstance(p, Elementwise) and is_reciprocal(p))
    return Elementwise("/", (top or one, hadamard(below)))


def is_reciprocal(a: Node) -> bool:
    return isinstance(a, Elementwise) and a.op == "/" and isinstance(a.args[0], Fill) and a.args[0].value == ONE


def scaled(scalars: list[Node], node: Node | None) -> Node:
    """Scalars in front; plain ones gathered into one expression, a minus as a sign."""
    flat = list(scalars)
    if isinstance(node, Scale):
        flat, node = [*flat, *node.scalars], node.of
    value = product([s.value for s in flat if isinstance(s, Scalar)])
    others = tuple(s for s in flat if not isinstance(s, Scalar))
    minus = (isinstance(value, Op) and value.op == "neg") or (isinstance(value, Num) and value.value < 0)
    if minus:
        value = product([num(-1), value])
    front = (*([] if value == ONE else [Scalar(value)]), *others)
    if node is None:
        result: Node = Scalar(ONE) if not front else front[0] if len(front) == 1 else Scale(front, None)
    else:
        result = Scale(front, node) if front else node
    return Plus(((-1, result),)) if minus else result
