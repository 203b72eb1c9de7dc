"""What SymPy has no word for: reductions other than sums, softmax, and choices; and which class stands for which operation."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits

from .scalar_functions import gelu, relu, sigmoid, silu, softplus


class Over(ExprWithLimits):  # type: ignore[misc]
    """A reduction over the indices of its limits."""

    __slots__ = ()

    def doit(self, **hints: Any) -> Any:
        return self

    def _eval_is_extended_real(self) -> bool:
        return True


class Maximum(Over):
    """max over indices"""


class Minimum(Over):
    """min over indices"""


class Mean(Over):
    """Arithmetic mean over indices"""


class LogSumExp(Over):
    """log Σ exp over indices"""


class Softmax(sp.Function):  # type: ignore[misc]
    """Softmax(e, j, …): exp(e) over its sum along j, at j; the indices stay free."""

    def _eval_is_extended_real(self) -> bool:
        return True


class LogSoftmax(Softmax):
    """The logarithm of Softmax(e, j, …)."""


class Where(sp.Function):  # type: ignore[misc]
    """Where(c, a, b): a where the condition c holds, b elsewhere; `.rewrite(Piecewise)` is SymPy's way to say so."""

    nargs = 3

    def _eval_is_extended_real(self) -> bool:
        return True

    def _eval_rewrite_as_Piecewise(self, c: Any, a: Any, b: Any, **hints: Any) -> Any:
        return sp.Piecewise((a, c), (b, True))


REDUCTION: dict[str, Any] = {"sum": sp.Sum, "max": Maximum, "min": Minimum, "mean": Mean, "logsumexp": LogSumExp}
NORMALISER: dict[str, Any] = {"softmax": Softmax, "log_softmax": LogSoftmax}
FUNCTION: dict[str, Any] = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "tanh": sp.tanh,
    "sin": sp.sin,
    "cos": sp.cos,
    "erf": sp.erf,
    "abs": sp.Abs,
    "sign": sp.sign,
    "max": sp.Max,
    "min": sp.Min,
    "where": Where,
    "sigmoid": sigmoid,
    "relu": relu,
    "softplus": softplus,
    "gelu": gelu,
    "silu": silu,
}
CONDITION: dict[str, Any] = {
    "<": sp.Lt,
    "<=": sp.Le,
    ">": sp.Gt,
    ">=": sp.Ge,
    "==": sp.Eq,
    "!=": sp.Ne,
    "and": sp.And,
    "or": sp.Or,
    "not": sp.Not,
}
