"""The minus before a product goes to one of its numbers, or turns a difference in it: no array is gone through for its sign.

    part = c*x                            part = a - b
    part2 = part*y      part = -c*x       part2 = x*part       part = b - a
    z = -part2          z = part*y        z = -part2           z = x*part

Only what is asked for once is turned. x/2 becomes -0.5*x, which is as exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from .form import DIVIDE, MATMUL, MULTIPLY, NEGATIVE, SUBTRACT, Block, Item, Statement, read_by, unnamed, uses, written_by

CONDITION = 4  # what binds no stronger is True or False, and has no negative
HALVES = {"2": "-0.5", "4": "-0.25", "8": "-0.125"}


def sign(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring."""
    return _signed(items, uses(items))


def _signed(items: Sequence[Item], used: Counter[str]) -> tuple[Item, ...]:
    done: list[Item | None] = [replace(i, items=_signed(i.items, used)) if isinstance(i, Block) else i for i in items]
    place = {i.target: k for k, i in enumerate(done) if isinstance(i, Statement) and i.target.startswith("§") and used[i.target] == 1}
    for k, item in enumerate(done):
        if not (isinstance(item, Statement) and item.operation == NEGATIVE and item.operands[0].text in place):
            continue
        j = place[item.operands[0].text]
        made, turned = done[j], _turned(item.operands[0].text, done, place)
        if turned is None or not isinstance(made, Statement) or not _may_wait(made, done[j + 1 : k]):
            continue
        for n, new in turned.items():
            done[n] = new
        made = turned[j]
        done[k] = replace(item, operation=made.operation, operands=made.operands)
        done[j] = None
    return tuple(i for i in done if i is not None)


def _turned(variable: str, done: Sequence[Item | None], place: dict[str, int]) -> dict[int, Statement] | None:
    """The statements that make −variable in place of what makes the variable, if that takes no operation more."""
    s = done[place[variable]]
    if not isinstance(s, Statement) or s.out or not s.real or s.operation not in (MULTIPLY, DIVIDE, SUBTRACT, MATMUL):
        return None
    if s.operation == SUBTRACT:
        return {place[variable]: replace(s, operands=s.operands[::-1])}
    number = next((k for k, o in enumerate(s.operands) if o.single and o.binding > CONDITION), None)
    if number is not None and s.operation != MATMUL:
        return {place[variable]: _with_minus(s, number)}
    for o in s.operands:
        inner = [v for v in unnamed(o.text) if v in place and o.text.startswith(v)]
        found = _turned(inner[0], done, place) if inner else None
        if found is not None:
            return {**found, place[variable]: s}
    return None


def _with_minus(s: Statement, k: int) -> Statement:
    """The product or quotient with a minus before its number."""
    number, other = s.operands[k], s.operands[1 - k]
    if s.operation == DIVIDE and k == 1 and number.text in HALVES:
        return replace(s, operation=MULTIPLY, operands=(replace(number, text=HALVES[number.text], binding=6), other))
    minus = replace(number, text=f"-{number.at_least(6)}", binding=6)
    if s.operation == MULTIPLY:
        return replace(s, operands=(minus, other))
    return replace(s, operands=(minus, other) if k == 0 else (other, minus))


def _may_wait(s: Statement, between: Sequence[Item | None]) -> bool:
    """Whether a statement computes the same behind these items."""
    changed = {v for i in between if i is not None for v in written_by(i)}
    return changed.isdisjoint(read_by(s))
