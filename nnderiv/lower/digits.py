"""The digits of an index: what stands at i // m and i % m stands at q and r, where i = m·q + r.

    x[n,c,i//2,j//2,2*(i%2)+j%2]      i = 2·i0 + i1, j = 2·j0 + j1:      x[n,c,i0,j0,2*i1+j1]

which is affine, and so a view of x with an axis for each digit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..bounds import Range, Ranges, never_negative, settled, smaller_or_greater
from ..integer import Atom, FloorDiv, Int, Mod, parts, rebuild


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


def taken_apart(
    subs: Sequence[Int], indices: Sequence[str], ranges: Ranges, positive: Collection[str], certain: Collection[str]
) -> Digits | None:
    """Subscripts that are affine in the digits of some of the indices; None where they are not."""
    found: dict[str, Ranges] = {}
    values: dict[Atom, Int] = {}
    for i in indices:
        steps = _chain(ranges[i].hi, [step for s in subs for a in s.atoms() for step in _steps(a, i)])
        if not steps or ranges[i].lo != 0:
            continue
        if len(steps) == 1:
            blocks = _in_blocks(i, ranges[i].hi, steps[0], positive, certain)
            if blocks is None:
                return None
            found[i] = blocks[0]
            values |= blocks[1]
        else:
            counts = [big // small for big, small in zip([ranges[i].hi, *steps], [*steps, Int.of(1)], strict=True)]
            found[i] = {f"{i}'{k}": Range.upto(count) for k, count in enumerate(counts)}  # no name of a program
            values[i] = sum((Int.symbol(d) * step for d, step in zip(found[i], [*steps, Int.of(1)], strict=True)), Int.of(0))
    every = {d: r for each in found.values() for d, r in each.items()}
    new = tuple(settled(exchanged(values, s), {**ranges, **every}, positive) for s in subs)
    inside = {x for s in new for m in s.terms for a in m if not isinstance(a, str) for x in Int.atom(a).symbols()}
    return Digits(new, found) if found and every.keys().isdisjoint(inside) else None


@dataclass(frozen=True)
class Digit:
    """How many values i // step has for i < end, and i % step: where the step does not divide the end, the last block is cut. Together
    they are no more than twice as many as there are i. `step`: the step, at least 1, also where it is a size that may be 0."""

    count: Int
    rest: Int
    step: Int


def ends(end: Int, step: Int, positive: Collection[str], certain: Collection[str]) -> Digit | None:
    """The two digits; None where the step may be negative, or is 0. `certain`: names that are at least 1 even where something is empty."""
    if step == 0:
        return None
    if _divides(step, end):
        return Digit(end // step, step, step)
    if not never_negative(step, {}, positive):
        return None
    least = step if step.is_constant or step.name in certain else Int.extreme("max", step, Int.of(1))
    rest = least if step.is_constant and not end.is_constant else smaller_or_greater("min", least, end, positive)
    return Digit((end - 1) // least + 1, rest, least)


def exchanged(table: Mapping[Atom, Int], value: Int) -> Int:
    """The value with what the table has for its atoms, inner ones included."""
    def exchange(a: Atom) -> Int:
        if a in table:
            return table[a]
        return Int.symbol(a) if isinstance(a, str) else rebuild(a, tuple(exchanged(table, p) for p in parts(a)))

    return value.map_atoms(exchange)


def _in_blocks(i: str, end: Int, step: Int, positive: Collection[str], certain: Collection[str]) -> tuple[Ranges, dict[Atom, Int]] | None:
    """The two digits of an index and their ranges, and what they make of i, i // step and i % step."""
    digit = ends(end, step, positive, certain)
    if digit is None:
        return None
    high, low = f"{i}'0", f"{i}'1"
    whole = digit.step * Int.symbol(high) + Int.symbol(low)
    return {high: Range.upto(digit.count), low: Range.upto(digit.rest)}, {
        i: whole, FloorDiv(Int.symbol(i), step): Int.symbol(high), Mod(Int.symbol(i), step): Int.symbol(low)}


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
