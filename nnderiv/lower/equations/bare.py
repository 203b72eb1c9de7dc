"""Program -> program in which a read is not guarded by a condition that says where it is outside, since there it is 0.

    where(t > 0, x[t−1], 0)        x[t−1]

So are reads that one guards as one would in Python, where x[−1] is the last one. The gradients are derived from what is left, and slices
of x are all that they need.
"""

from __future__ import annotations

from ...expr import ZERO, Expr, Read, conjunction, conjuncts, is_where, map_children, where
from ...program import Equation, Program
from .scan import vanishes


def bare(program: Program) -> Program:
    """See the module's docstring; a program without such conditions is given back itself."""
    return program.with_bodies(lambda e: _bare(program, e, e.body))


def _bare(program: Program, e: Equation, body: Expr) -> Expr:
    if is_where(body, ZERO) and isinstance(r := body.args[1], Read):
        return where(conjunction([c for c in conjuncts(body.args[0]) if not vanishes(program, e.ranges, r, c)]), r, ZERO)
    return map_children(lambda child: _bare(program, e, child), body)
