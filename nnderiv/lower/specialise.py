"""Program -> the same program for some sizes that are known: numbers in place of their names, everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any

from ..bounds import outside
from ..expr import Expr, map_ints
from ..integer import Int
from ..program import Equation, Program, Range


def checked(program: Program, sizes: Mapping[str, Any]) -> dict[str, Int]:
    """The sizes as integer expressions, in the program's order; a ValueError for a name that is none, or a value that cannot be a size."""
    for name, value in sizes.items():
        if name not in program.sizes:
            raise ValueError(f"{name} is not a size of this program; its sizes are {', '.join(program.sizes)}")
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
            raise ValueError(f"the size {name} cannot be {value!r}; expected an integer that is not negative")
    return {name: Int.of(int(sizes[name])) for name in program.sizes if name in sizes}


def specialise(program: Program, sizes: Mapping[str, Int]) -> Program:
    """See the module's docstring."""
    if not sizes:
        return program

    def fixed(value: Int) -> Int:
        return value.subst(sizes)

    def expression(e: Expr) -> Expr:
        return map_ints(fixed, e)

    def span(r: Range) -> Range:
        return r.subst(sizes)

    def says_nothing(e: Equation) -> bool:
        """Whether a base case stands outside its tensor, as h[T−1] does where T is 0. A number there would widen what can be read."""
        axes = zip(map(fixed, e.subs), map(span, program.hulls[e.tensor]), strict=True)
        return e.is_base and any(outside(s, axis, {}, ()) for s, axis in axes if s.is_constant)

    return replace(
        program,
        inputs=tuple(replace(i, dims=tuple(map(fixed, i.dims))) for i in program.inputs),
        equations=tuple(
            replace(e, subs=tuple(map(fixed, e.subs)), body=expression(e.body), ranges={i: span(r) for i, r in e.ranges.items()})
            for e in program.equations if not says_nothing(e)),
        shapes={name: tuple(map(span, axes)) for name, axes in program.shapes.items()},
        givens=tuple(map(expression, program.givens)),
        requirements=tuple(replace(r, left=fixed(r.left), right=fixed(r.right)) for r in program.requirements),
    )
