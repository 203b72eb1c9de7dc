"""Inside a loop, the product of two matrices is a.dot(b): the same BLAS call as a @ b, with half of what Python and NumPy add to it.

    for t in range(T):
        z = h[t].dot(W)

Products in memory that is given stay `np.matmul(…, out=)`, which takes any layout; so do those of matrices that a step reshapes first,
whose operators read better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .form import MATMUL, Block, Item, Statement, call

DOT = call("{0}.dot({1})", 9, 0)


def dot(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring."""
    return _dot(items, False)


def _dot(items: Sequence[Item], inside: bool) -> tuple[Item, ...]:
    reshaped = {i.target for i in items if inside and isinstance(i, Statement) and i.operation.template.startswith("{0}.reshape(")}
    return tuple(_item(item, inside, reshaped) for item in items)


def _item(item: Item, inside: bool, reshaped: set[str]) -> Item:
    if isinstance(item, Block):
        return replace(item, items=_dot(item.items, inside or item.head.startswith("for ")))
    if not inside or not isinstance(item, Statement) or item.operation != MATMUL or item.out or len(item.shape) > 2:
        return item
    return item if any(o.text.removesuffix(".T") in reshaped for o in item.operands) else replace(item, operation=DOT)
