"""The digits of an index: what stands at i // m and i % m stands at q and r, where i = m·q + r.

    x[n,c,i//2,j//2,2*(i%2)+j%2]      i = 2·i0 + i1, j = 2·j0 + j1:      x[n,c,i0,j0,2*i1+j1]

which is affine, and so a view of x with an axis for each digit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..bounds import Range, Ranges, settled, smaller_or_greater
from ..integer import Atom, FloorDiv, Int, Mod


@dataclass(frozen=True)
class Digits:
    """The subscripts in terms of digits, and for each index that they take apart its digits, the last the fastest, with their ranges."""

    subs: tuple[Int, ...]
    digits: dict[str, Ranges]

    def is_cut(self, i: str, whole: Range) -> bool:
        """Whether the last block of an index may have fewer places than the others."""
        size = Int.of(1)
        for r in self.digits[i].values():
            size = size * r.size
        return size != whole.size


def taken_apart(subs: Sequence[Int], indices: Sequence[str], ranges: Ranges, positive: Collection[str]) -> Digits | None:
    """Subscripts that are affine in the digits of some of the indices; None where they are not."""
    found: dict[str, Ranges] = {}
    values: dict[str, Int] = {}
    for i in indices:
        steps = _chain(ranges[i].hi, [step for s in subs for a in s.atoms() for step in _steps(a, i)])
        if steps and ranges[i].lo == 0:
            inner = [big // small for big, small in pairwise(steps)]
            first, last = ends(ranges[i].hi, steps[0], positive) if len(steps) == 1 else (ranges[i].hi // steps[0], steps[-1])
            found[i] = {f"{i}'{k}": Range.upto(end) for k, end in enumerate([first, *inner, last])}  # no name of a program
            values[i] = sum((Int.symbol(d) * step for d, step in zip(found[i], [*steps, Int.of(1)], strict=True)), Int.of(0))
    every = {d: r for each in found.values() for d, r in each.items()}
    new = tuple(settled(s.subst(values), {**ranges, **every}, positive) for s in subs)
    inside = {x for s in new for m in s.terms for a in m if not isinstance(a, str) for x in Int.atom(a).symbols()}
    return Digits(new, found) if found and every.keys().isdisjoint(inside) else None


def ends(end: Int, step: Int, positive: Collection[str]) -> tuple[Int, Int]:
    """How many values i // step has for i < end, and i % step: where the step does not divide the end, the last block is cut.

    Together they are no more than twice as many as there are i. A step that is a size may be 0, where the end is 0 too.
    """
    if _divides(step, end):
        return end // step, step
    below = step if step.is_constant else Int.extreme("max", step, Int.of(1))
    return (end - 1) // below + 1, step if step.is_constant and not end.is_constant else smaller_or_greater("min", step, end, positive)


def _steps(atom: Atom, i: str) -> list[Int]:
    """i // (c·b) is what (i // c) // b is; (i // c) mod b begins anew with every c·b."""
    if not isinstance(atom, FloorDiv | Mod) or i not in atom.top.symbols():
        return []
    unit = _unit(atom.top, i)
    return [unit, unit * atom.bottom]


def _unit(value: Int, i: str) -> Int:
    """By how much i grows while an expression of it grows by 1."""
    for a in (a for m in value.terms for a in m):
        if isinstance(a, FloorDiv | Mod) and i in a.top.symbols():
            return _unit(a.top, i) * (a.bottom if isinstance(a, FloorDiv) else 1)
    return Int.of(1)


def _chain(end: Int, bottoms: Sequence[Int]) -> list[Int]:
    """The steps of the digits: each divides the one before, the first divides the end, if there are more; none where they do not."""
    left, steps = list(dict.fromkeys(b for b in bottoms if b != 1 and b != end)), []
    if len(left) == 1:
        return left
    while left:
        step = next((b for b in left if _divides(b, end) and all(_divides(other, b) for other in left)), None)
        if step is None:
            return []
        steps.append(step)
        end = step
        left.remove(step)
    return steps


def _divides(a: Int, b: Int) -> bool:
    return bool(a.terms) and (b // a) * a == b
