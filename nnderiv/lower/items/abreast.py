"""Where one row is added to all rows of an array, or multiplies them, several rows are worked on at a time.

    part = _abreast(np.subtract, x, m)          x - m, for x[N,K] and m[K]

NumPy joins rows in a buffer of 8192 entries, and writes the other operand there again for each: that takes as long as the arithmetic.
Joined where they lie, they need a few copies of that operand, once. Signs read better, so it is done only where such operations are most
of what is done with whole arrays, as in a batch norm, and no product of matrices outweighs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .form import ADD, DIVIDE, MATMUL, MULTIPLY, SUBTRACT, Item, Operation, Statement, statements

FUNCTION = 4  # sums that a sine or an exponential takes as long as
FUNCTIONS = {ADD: "np.add", SUBTRACT: "np.subtract", MULTIPLY: "np.multiply", DIVIDE: "np.divide"}


def abreast(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring; what stands in a loop or in parts is left."""
    here = [s for s in items if isinstance(s, Statement)]
    most = max((len(s.shape) for s in here), default=0)
    whole = [s for s in here if s.operation.aligned and len(s.shape) == most]
    rows = [s for s in whole if _has_row(s)]
    others = sum(1 if s.operation.sign or s.operation.row else FUNCTION for s in whole if s not in rows)
    if most < 2 or len(rows) < 2 or len(rows) <= others or any(s.operation == MATMUL for s in statements(items)):
        return tuple(items)
    return tuple(_joined(x) if isinstance(x, Statement) and x in rows else x for x in items)


def _has_row(s: Statement) -> bool:
    return s.operation in FUNCTIONS and s.real and sum(o.row for o in s.operands) == 1 == sum(not o.spread for o in s.operands) and (
        s.operands[1].row or s.operation.commutes)


def _joined(s: Statement) -> Statement:
    name = FUNCTIONS[s.operation]
    operation = Operation(f"_abreast({name}, {{0}}, {{1}})", (0, 0), 9, f"_abreast({name}, {{0}}, {{1}}, out={{out}})")
    return replace(s, operation=operation, operands=s.operands if s.operands[1].row else s.operands[::-1])
