"""A recurrence whose step is one operation, y[t] = y[t−1] ∘ x[t], is that operation's accumulate: np.add.accumulate, and so on.

`find` recognises it in a loop; anything else stays a loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..expr import Expr, Op, Read, additive_terms, factors, product, reads, signed, tensors
from ..program import Equation
from .arrays import Storage
from .schedule import Compute, Loop


@dataclass(frozen=True)
class Accumulation:
    """tensor[…, t, …] = tensor[…, t ∓ 1, …] ∘ rest, for all t of the loop."""

    equation: Equation
    ufunc: str
    rest: Expr
    axis: int


def find(node: Loop, storage: dict[str, Storage]) -> Accumulation | None:
    """The accumulation that a loop is, if it is one and all steps are stored."""
    if len(node.body) != 1 or not isinstance(node.body[0], Compute) or node.body[0].guards:
        return None
    e = node.body[0].equation
    axes = [k for k, s in enumerate(e.subs) if s.name == node.variable]
    if len(axes) != 1 or storage[e.tensor].dropped or any(s.name not in {node.variable, *e.ranges} for s in e.subs):
        return None
    if any(e.ranges[str(s.name)] != r for k, (s, r) in enumerate(zip(e.subs, storage[e.tensor].axes, strict=True)) if k != axes[0]):
        return None  # a row beside these is another equation's
    shift = -1 if node.forwards else 1
    previous = Read(e.tensor, tuple(s + shift if k == axes[0] else s for k, s in enumerate(e.subs)))
    found = _split(e.body, previous)
    if found is None or e.tensor in tensors(found[1]) or not reads(found[1]):
        return None
    store, span = storage[e.tensor].axes[axes[0]], node.range
    edges = (span.lo - 1, span.hi) if node.forwards else (span.lo, span.hi + 1)
    return Accumulation(e, *found, axes[0]) if (store.lo, store.hi) == edges else None


def _split(body: Expr, previous: Read) -> tuple[str, Expr] | None:
    """(the ufunc, the other operand)."""
    terms = additive_terms(body)
    if len(terms) > 1:
        rest = [t for t in terms if t != (1, previous)]
        return ("add", signed(rest)) if len(rest) == len(terms) - 1 else None
    if isinstance(body, Op) and body.op in ("max", "min") and previous in body.args and len(body.args) == 2:
        return f"{body.op}imum", body.args[1 - body.args.index(previous)]
    parts = factors(body)
    rest_ = [f for f in parts if f != previous]
    return ("multiply", product(rest_)) if len(rest_) == len(parts) - 1 and rest_ else None


def whole(node: Loop, found: Accumulation) -> Equation:
    """The equation that puts the other operand in place, for all steps at once."""
    e = found.equation
    return Equation(e.tensor, e.subs, found.rest, {node.variable: node.range, **e.ranges}, position=e.position)


def rows(tensor: str, node: Loop, axis: int) -> str:
    """All rows, from the one before the first step on, in the order of the steps."""
    return tensor if node.forwards else f"{tensor}[{':, ' * axis}::-1]"
