"""Whether the integers in an expression keep it finite wherever the indices run: 1/(i + 1) for i ≥ 0, but not 1/i, log(i), sqrt(i − 1).

A factor 0 ends a product only if the others are finite, and a read out of range is such a factor just where others may be none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .bounds import Range, never_negative
from .expr import Expr, IntValue, Num, Op, walk


def is_regular(e: Expr, ranges: Mapping[str, Range], positive: Collection[str]) -> bool:
    """Whether no quotient, root, power or logarithm of integers is infinite or undefined, provably, wherever the indices run."""
    return all(_Signs(ranges, positive).allow(node) for node in walk(e) if isinstance(node, Op))


def has_value(e: Op, ranges: Mapping[str, Range], positive: Collection[str]) -> bool:
    """Whether this quotient, root, power or logarithm is finite by itself; in 1/(N − 1) too, which no index changes."""
    return _Signs(ranges, positive, by_sizes=True).allow(e)


class _Signs:
    """What is known of the signs of expressions. Tensors are taken for positive: what they hold is not for integers to say."""

    def __init__(self, ranges: Mapping[str, Range], positive: Collection[str], by_sizes: bool = False):
        self.ranges, self.positive, self.by_sizes = ranges, positive, by_sizes

    def allow(self, e: Op) -> bool:
        """Whether this operation itself is finite."""
        if e.op == "/":
            return self.is_not_zero(e.args[1])
        if e.op in ("log", "sqrt"):
            return self.is_positive(e.args[0], strictly=e.op == "log")
        if e.op == "**":
            exponent = e.args[1].value if isinstance(e.args[1], Num) else None
            if exponent is not None and exponent.denominator == 1:
                return exponent >= 0 or self.is_not_zero(e.args[0])
            return self.is_positive(e.args[0], strictly=exponent is None or exponent < 0)
        return True

    def is_not_zero(self, e: Expr) -> bool:
        below = isinstance(e, IntValue) and never_negative(-e.value - 1, self.ranges, self.positive)
        return below or self.is_positive(e, strictly=True)

    def is_positive(self, e: Expr, strictly: bool) -> bool:
        """Whether e > 0, or e ≥ 0 if not strictly; True of what no index changes, tensors aside, but for by_sizes."""
        if not self.moves(e):
            return True
        if isinstance(e, IntValue):
            return never_negative(e.value - strictly, self.ranges, self.positive)
        if isinstance(e, Op) and e.op in ("*", "/", "+", "sqrt", "**", "where"):
            return all(self.is_positive(a, strictly) for a in e.args[e.op == "where":])
        return isinstance(e, Op) and e.op == "exp"

    def moves(self, e: Expr) -> bool:
        """Whether an index is a value in e, and not only in a subscript, a condition or under a sum."""
        if isinstance(e, IntValue):
            return self.by_sizes or bool(e.value.symbols() & self.ranges.keys())
        return isinstance(e, Op) and any(self.moves(a) for a in e.args[e.op == "where":])
