"""Program -> program of gradients in which a power that is 0 has no gradient with its exponent.

    u**g·log(u)         where(u**g != 0, u**g·log(u), 0)

Where u**g is 0, u is 0 and g positive, or the power is too small for a number, and the limit is 0; as it stands it is 0·(−∞). In what
the user has written himself, u**g·log(u) stays as it is.
"""

from __future__ import annotations

from ...expr import ZERO, Expr, Num, Op, conjunction, map_children, where
from ...polynomial import factors
from ...program import Program


def rooted(program: Program) -> Program:
    """See the module's docstring."""
    return program.with_bodies(lambda e: _visit(e.body))


def _visit(e: Expr) -> Expr:
    """An expression that is no factor of a product around it."""
    parts = factors(e)
    logs = {f.args[0] for f in parts if isinstance(f, Op) and f.op == "log"}
    powers = [f for f in parts if isinstance(f, Op) and f.op == "**" and f.args[0] in logs and not isinstance(f.args[1], Num)]
    return where(conjunction([Op("!=", (p, ZERO)) for p in powers]), _factors(e), ZERO)


def _factors(e: Expr) -> Expr:
    """Its factors, each by itself."""
    return map_children(_factors if isinstance(e, Op) and e.op in ("*", "/") else _visit, e)
