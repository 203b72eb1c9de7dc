"""A size that must equal what others come to is that: Σ_ij A[m,i,j] B[n,i,j], with A[M,P,Q] and H//2 − 1 rows of B, reads all of both.

Programs say so where one index runs along both, and the module refuses other arrays; its text keeps the name, P for H//2 − 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..integer import Int
from ..program import Program


def equal_sizes(program: Program) -> dict[str, Int]:
    """size -> what it must be, in sizes that are not among these."""
    found: dict[str, Int] = {}
    for r in program.requirements:
        sides = r.left.subst(found), r.right.subst(found)
        if r.op == "==" and (solved := next(_solutions(*sides, program.sizes), None)):
            name, value = solved
            found = {**{n: v.subst({name: value}) for n, v in found.items()}, name: value}
    return found


def _solutions(left: Int, right: Int, sizes: Sequence[str]) -> Iterator[tuple[str, Int]]:
    """(size, what it is): of those that are alone on a side, later ones first; then of the others."""
    zero = left - right
    for name in sorted(reversed(sizes), key=lambda name: name not in (left.name, right.name)):
        split = zero.split(name)
        if split is not None and (split[0] == 1 or split[0] == -1) and not split[1].elements():
            yield name, split[1] * -split[0]
