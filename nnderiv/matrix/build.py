"""Nodes put together by the laws of matrix algebra that hold whatever the operands are.

    (Aᵀ)ᵀ = A     (A B)ᵀ = Bᵀ Aᵀ     A I = A     (a ⊙ b) ⊙ c = a ⊙ b ⊙ c     a ⊙ (1 ⊘ b) = a ⊘ b     c (d A) = (c d) A
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TypeGuard

from ..expr import ONE, IntValue, Num, Op, num
from ..polynomial import product
from .nodes import Diag, Elementwise, Fill, Hadamard, Identity, Leaf, Node, Plus, Scalar, Scale, SumOver, Times, Transpose, parts_of, walk


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
    below = [p.args[1] for p in flat if is_reciprocal(p)]
    above = _leaf_first([p for p in flat if not is_reciprocal(p)])
    above = [*above[:1], *(led(p, above[0]) for p in above[1:])]
    top = above[0] if len(above) == 1 else Hadamard(tuple(above)) if above else None
    if not below:
        assert top is not None
        return top
    if top is None and len(below) == 1:
        return next(p for p in flat if is_reciprocal(p))
    one = next(p.args[0] for p in flat if isinstance(p, Elementwise) and is_reciprocal(p))
    return Elementwise("/", (top or one, hadamard(below)))


def _leaf_first(parts: list[Node]) -> list[Node]:
    """(dP − (P ⊙ dP) 1 1ᵀ) ⊙ P as P ⊙ (dP − …): what stands in the sum as well leads."""
    inside = set(walk(parts[0])) if parts and isinstance(parts[0], Plus) else set()
    return sorted(parts, key=lambda p: not (isinstance(p, Leaf) and p in inside))


def led(a: Node, lead: Node) -> Node:
    """What leads the product outside leads it inside as well: P ⊙ (dP − (P ⊙ dP) 1 1ᵀ)."""
    if not isinstance(lead, Leaf):
        return a
    if isinstance(a, Hadamard) and lead in a.parts:
        return Hadamard((lead, *(p for p in a.parts if p != lead), *(lead,) * (a.parts.count(lead) - 1)))
    if isinstance(a, Plus):
        return Plus(tuple((sign, led(t, lead)) for sign, t in a.terms))
    if isinstance(a, Times):
        return Times(tuple(led(p, lead) for p in a.parts))
    if isinstance(a, Scale) and a.of is not None:
        return Scale(a.scalars, led(a.of, lead))
    return a


def plus(terms: Sequence[tuple[int, Node]]) -> Node:
    """The sum, flat, what is added before what is subtracted; A X + Aᵀ X as (A + Aᵀ) X, sums over the same superscripts as one."""
    flat = [t for sign, a in terms for t in _signed(sign, a)]
    shared = {a.scalars if isinstance(a, Scale) and a.of is not None else () for _, a in flat}
    if len(flat) > 1 and len(shared) == 1 and () not in shared:  # c A − c B as c (A − B)
        (c,) = shared
        return scaled(list(c), plus([(sign, a.of) for sign, a in flat if isinstance(a, Scale) and a.of is not None]))
    flat = _symmetric(_one_sum(flat))
    flat = flat if flat[0][0] > 0 else [*(t for t in flat if t[0] > 0), *(t for t in flat if t[0] < 0)]
    return flat[0][1] if len(flat) == 1 and flat[0][0] > 0 else Plus(tuple(flat))


def _signed(sign: int, a: Node) -> list[tuple[int, Node]]:
    if isinstance(a, Plus):
        return [t for s, b in a.terms for t in _signed(sign * s, b)]
    if sign < 0 and isinstance(a, Scale) and isinstance(a.of, Plus) and [s for s, _ in a.of.terms] == [1, -1]:  # −c (a − b) = c (b − a)
        (_, first), (_, second) = a.of.terms
        return [(1, Scale(a.scalars, Plus(((1, second), (-1, first)))))]
    return [(sign, a)]


def terms_of(a: Node) -> list[tuple[int, Node]]:
    """The terms of a sum, c (A − B) multiplied out."""
    if isinstance(a, Plus):
        return [(sign * s, t) for sign, b in a.terms for s, t in terms_of(b)]
    if isinstance(a, Scale) and isinstance(a.of, Plus):
        return [t for s, b in terms_of(a.of) for t in _signed(s, scaled(list(a.scalars), b))]
    return [(1, a)]


def _one_sum(terms: list[tuple[int, Node]]) -> list[tuple[int, Node]]:
    """Σ_h A + Σ_h B as Σ_h (A + B)."""
    found: list[tuple[int, Node]] = []
    for sign, a in terms:
        for k, (first, b) in enumerate(found):
            if isinstance(a, SumOver) and isinstance(b, SumOver) and a.indices == b.indices:
                found[k] = (1, SumOver(a.indices, plus([(first, b.of), (sign, a.of)])))
                break
        else:
            found.append((sign, a))
    return found


def _symmetric(terms: list[tuple[int, Node]]) -> list[tuple[int, Node]]:
    """c A X + c Aᵀ X as c (A + Aᵀ) X, and so at every place of a product."""
    found: list[tuple[int, Node]] = []
    for sign, a in terms:
        for k, (other, b) in enumerate(found):
            joined = _joined(b, a) if other == sign else None
            if joined is not None:
                found[k] = (sign, joined)
                break
        else:
            found.append((sign, a))
    return found


def _joined(a: Node, b: Node) -> Node | None:
    (c, x), (d, y) = ((n.scalars, n.of) if isinstance(n, Scale) else ((), n) for n in (a, b))
    if c != d or not (isinstance(x, Times) and isinstance(y, Times) and len(x.parts) == len(y.parts)):
        return None
    differing = [k for k, (p, q) in enumerate(zip(x.parts, y.parts, strict=True)) if p != q]
    both = _one_part(x.parts[differing[0]], y.parts[differing[0]]) if len(differing) == 1 else None
    if both is None:
        return None
    (k,) = differing
    return scaled(list(c), times(*x.parts[:k], both, *x.parts[k + 1 :]))


def _one_part(a: Node, b: Node) -> Node | None:
    """A + Aᵀ of A and Aᵀ; diag((A + Aᵀ) x) of diag(A x) and diag(Aᵀ x)."""
    if a == transposed(b):
        return plus([(1, p) for p in sorted((a, b), key=lambda p: isinstance(p, Transpose))])
    inner = _joined(a.of, b.of) if isinstance(a, Diag) and isinstance(b, Diag) else None
    return Diag(inner) if inner is not None else None


def mapped(f: Callable[[Node], Node], a: Node) -> Node:
    """The node with f applied to each node directly inside it."""

    def inside(value: object) -> object:
        return f(value) if isinstance(value, Node) else tuple(map(inside, value)) if isinstance(value, tuple) else value

    if not parts_of(a):
        return a
    return type(a)(*(inside(getattr(a, field.name)) for field in fields(a)))  # type: ignore[arg-type]


def upright(a: Node, is_symmetric: Callable[[Leaf], bool]) -> Node:
    """f(Aᵀ) as f(A)ᵀ, for an f that works element by element; and Aᵀ = A, where A is symmetric."""
    a = mapped(lambda part: upright(part, is_symmetric), a)
    if isinstance(a, Transpose):
        return a.of if isinstance(a.of, Leaf) and is_symmetric(a.of) or isinstance(a.of, Transpose) else a
    if isinstance(a, Elementwise) and any(isinstance(p, Transpose) for p in a.args):
        turned = [_turned(p) for p in a.args]
        if None not in turned:
            return Transpose(Elementwise(a.op, tuple(p for p in turned if p is not None)))
    if isinstance(a, Times):
        return times(*a.parts)
    return a


def _turned(a: Node) -> Node | None:
    """Aᵀ, if that is as long as A."""
    if isinstance(a, Transpose):
        return a.of
    if isinstance(a, Fill) and a.column is not None:
        return Fill(a.value, a.column, a.row)
    return a if isinstance(a, Scalar) else None


def is_reciprocal(a: Node) -> TypeGuard[Elementwise]:
    return isinstance(a, Elementwise) and a.op == "/" and isinstance(a.args[0], Fill) and a.args[0].value == ONE


def scaled(scalars: list[Node], node: Node | None) -> Node:
    """Scalars in front; plain ones gathered into one expression, sizes before names, a minus as a sign: c (−A − B) = −c (A + B)."""
    flat = list(scalars)
    if isinstance(node, Plus) and all(sign < 0 for sign, _ in node.terms):
        return scaled([Scalar(num(-1)), *flat], plus([(1, a) for _, a in node.terms]))
    if isinstance(node, Scalar):
        flat, node = [*flat, *([] if node.value == ONE else [node])], None
    if isinstance(node, Scale):
        flat, node = [*flat, *node.scalars], node.of
    value = product(sorted((s.value for s in flat if isinstance(s, Scalar)), key=lambda e: not isinstance(e, IntValue)))
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
