"""d of a tree of matrices: linear in the differentials of the leaves, by the product rule and the derivative of each function.

    d(A + B) = dA + dB    d(A B) = dA B + A dB    d(A ⊙ B) = dA ⊙ B + A ⊙ dB    d(Aᵀ) = (dA)ᵀ    d tr A = tr dA
    d f(A) = f′(A) ⊙ dA   d softmax(A) = P ⊙ (dA − (P ⊙ dA) 1 1ᵀ) in each row, P = softmax(A)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import matrix as mx
from ..errors import MatrixFormError
from ..expr import COMPARISONS, ONE, UNARY, Expr, Num, Op, Read, is_indicator, num, reads, walk
from ..matrix import Node
from ..matrix.build import plus
from ..polynomial import additive_terms, factors
from ..program import Range
from ..scalar import partial
from .build import amount, hadamard, inside, times

Shape = tuple[Range | None, Range | None]
NUMBER: Shape = (None, None)
SLOT, OTHER, OWN = Read("\0x", ()), Read("\0y", ()), Read("\0own", ())


def contains(a: Node, names: Mapping[str, str] | frozenset[str]) -> bool:
    """Whether a leaf of the tree, or a scalar tensor in it, is one of these."""
    for n in mx.walk(a):
        if isinstance(n, mx.Leaf) and n.tensor in names:
            return True
        if isinstance(n, mx.Scalar | mx.Fill) and any(r.tensor in names for r in reads(n.value)):
            return True
    return False


@dataclass
class Differential:
    """names: the tensors that vary, each with the name of its differential; all else is constant."""

    names: Mapping[str, str]
    shape: Callable[[Node], Shape]
    index: Callable[[Range], str]

    def of(self, a: Node, own: Node | None = None) -> Node:
        """d a; `own` is the name of a's value, if it has one."""
        if isinstance(a, mx.Leaf):
            return mx.Leaf(self.names[a.tensor], a.subs)
        if isinstance(a, mx.Scalar | mx.Fill):
            return self._scalar(a)
        if isinstance(a, mx.Plus):
            return plus([(sign, self.of(t)) for sign, t in a.terms if contains(t, self.names)])
        if isinstance(a, mx.Transpose):
            return mx.transposed(self.of(a.of))
        if isinstance(a, mx.Trace | mx.Diag | mx.Diagonal):
            return type(a)(self.of(a.of))
        if isinstance(a, mx.Times):
            return self._product(a.parts, times)
        if isinstance(a, mx.Hadamard):
            return self._hadamard(a)
        if isinstance(a, mx.Scale):
            return self._scale(a)
        if isinstance(a, mx.Elementwise):
            return self._elementwise(a, own)
        if isinstance(a, mx.Along):
            return self._along(a, own)
        raise MatrixFormError(f"There is no rule for the differential of {type(a).__name__.lower()}.")

    def _product(self, parts: tuple[Node, ...], join: Callable[[list[Node]], Node]) -> Node:
        """The product rule."""
        varying = [k for k, p in enumerate(parts) if contains(p, self.names)]
        return plus([(1, join([self.of(p) if j == k else p for j, p in enumerate(parts)])) for k in varying])

    def _hadamard(self, a: mx.Hadamard) -> Node:
        if len(a.parts) == 2 and a.parts[0] == a.parts[1]:  # d(A ⊙ A) = 2 A ⊙ dA
            return mx.scaled([mx.Scalar(num(2))], hadamard([a.parts[0], self.of(a.parts[0])]))
        return self._product(a.parts, hadamard)

    def _scale(self, a: mx.Scale) -> Node:
        whole = (*a.scalars, *([a.of] if a.of is not None else []))

        def join(parts: list[Node]) -> Node:
            return mx.scaled(parts, None) if a.of is None else mx.scaled(parts[:-1], parts[-1])

        return self._product(whole, join)

    def _scalar(self, a: mx.Scalar | mx.Fill) -> Node:
        """A number made of scalar tensors: Σ ∂e/∂s ds, as often as it is repeated."""
        terms = []
        for r in dict.fromkeys(r for r in reads(a.value) if r.tensor in self.names):
            slope = partial(a.value, r)
            terms.append((1, mx.scaled([mx.Scalar(slope)], mx.Leaf(self.names[r.tensor], ()))))
        total = plus(terms)
        if isinstance(a, mx.Scalar):
            return total
        ones = mx.Ones(a.row) if a.column is None else mx.times(mx.Ones(a.row), mx.Transpose(mx.Ones(a.column)))
        return mx.Scale((total,), ones)

    def _elementwise(self, a: mx.Elementwise, own: Node | None) -> Node:
        """d f(A, …) = Σ ∂f/∂A ⊙ dA"""
        if a.op == "**":
            exponent = a.args[1]
            if not isinstance(exponent, mx.Scalar) or contains(exponent, self.names):
                raise MatrixFormError("There is no rule for the differential of a power whose exponent varies.")
            e, args = Op("**", (SLOT, exponent.value)), a.args[:1]
        elif a.op in COMPARISONS or a.op == "[]":
            raise MatrixFormError("There is no rule for the differential of a condition.")
        else:
            e, args = Op(a.op, (SLOT, OTHER)[: len(a.args)]), a.args
        slots: dict[Expr, Node] = dict(zip((SLOT, OTHER), args, strict=False))
        terms = []
        for slot, arg in zip((SLOT, OTHER), args, strict=False):
            if contains(arg, self.names):
                slope = partial(e, slot, OWN if own is not None else None)
                made = self.node(slope, {**slots, **({OWN: own} if own is not None else {})}, self.shape(a))
                terms.append((1, self._times(made, self.of(arg))))
        return plus(terms)

    def _times(self, slope: Node, d: Node) -> Node:
        """slope ⊙ d, where signs and numbers stand in front."""
        if isinstance(slope, mx.Fill):
            return mx.scaled([mx.Scalar(slope.value)], d)
        if self.shape(slope) == NUMBER:
            return amount(slope, d)

        def meet(core: Node) -> Node:
            if mx.is_reciprocal(core):
                below = core.args[1]
                return inside(d, lambda top: mx.Elementwise("/", (top, below)))
            return hadamard([core, d])

        return inside(slope, meet)

    def node(self, e: Expr, leaves: Mapping[Expr, Node], shape: Shape) -> Node:
        """A scalar expression of one element of each leaf, as a tree over all elements."""
        if e in leaves:
            return leaves[e]
        if not any(n in leaves for n in _nodes(e)):
            return self._fill(e, shape)
        terms = additive_terms(e)
        if len(terms) > 1 or terms[0][0] < 0:
            return plus([(sign, self.node(t, leaves, shape)) for sign, t in terms])
        if isinstance(e, Op) and e.op in ("*", "/"):
            return self._factors(e, leaves, shape)
        if isinstance(e, Op) and e.op == "**" and isinstance(e.args[1], Num):
            base = self.node(e.args[0], leaves, shape)
            return mx.hadamard([base, base]) if e.args[1] == num(2) else mx.Elementwise("**", (base, mx.Scalar(e.args[1])))
        if is_indicator(e) and isinstance(e.args[0], Op):
            return mx.Elementwise(e.args[0].op, tuple(self.node(x, leaves, shape) for x in e.args[0].args))
        if isinstance(e, Op) and (e.op in UNARY or e.op in COMPARISONS):
            return mx.Elementwise(e.op, tuple(self.node(x, leaves, shape) for x in e.args))
        raise MatrixFormError(f"The derivative {str(e).replace(chr(0), '')} has no counterpart among matrices.")

    def _factors(self, e: Op, leaves: Mapping[Expr, Node], shape: Shape) -> Node:
        parts = factors(e)
        front = [mx.Scalar(f) for f in parts if not any(n in leaves for n in _nodes(f))]
        rest: list[Node] = []
        for f in parts:
            if any(n in leaves for n in _nodes(f)):
                below = isinstance(f, Op) and f.op == "/"
                inner = self.node(f.args[1] if below and isinstance(f, Op) else f, leaves, shape)
                rest.append(mx.Elementwise("/", (self._fill(ONE, shape), inner)) if below else inner)
        whole = rest[0] if len(rest) == 1 else mx.scaled(rest, None) if shape == NUMBER else mx.hadamard(rest)
        return mx.scaled(list(front), whole)

    def _fill(self, e: Expr, shape: Shape) -> Node:
        row, column = shape
        if row is None:
            return mx.Scalar(e)
        return mx.Fill(e, self.index(row), self.index(column) if column is not None else None)

    def _along(self, a: mx.Along, own: Node | None) -> Node:
        """Of a logsumexp, softmax or log-softmax of each row, or of one column."""
        if a.op not in ("softmax", "log_softmax", "logsumexp"):
            raise MatrixFormError(f"There is no rule for the differential of {a.op}: it has kinks.")
        d = self.of(a.of)
        p = own if a.op == "softmax" and own is not None else mx.Along("softmax", a.of, a.is_column)
        rows, columns = self.shape(a.of)
        along = rows if a.is_column else columns
        assert along is not None
        ones = mx.Ones(self.index(along))
        if a.is_column:
            mean: Node = mx.times(mx.Transpose(p), d)
            spread: Node = mx.Scale((mean,), ones)
        else:
            mean = times([hadamard([p, d]), ones])
            spread = mx.times(mean, mx.Transpose(ones))
        if a.op == "logsumexp":
            return mean
        difference = plus([(1, d), (-1, spread)])
        return hadamard([p, difference]) if a.op == "softmax" else difference


def _nodes(e: Expr) -> list[Expr]:
    return list(walk(e))
