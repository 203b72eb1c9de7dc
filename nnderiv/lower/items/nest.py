"""Intermediate results that are used once are written where they are used, if that stays readable: S = Q @ K.T/D**0.5."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from .form import Block, Item, Line, Statement, Term, names, read_by, statements, unnamed, uses, written_by
from .in_place import Memory
from .render import value

LONG = 72  # what is longer gets a name


def nest(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring."""
    return _nest(items, uses(items), Memory(items))


def _nest(items: Sequence[Item], counted: Counter[str], memory: Memory) -> tuple[Item, ...]:
    done: list[Item] = []
    for item in items:
        if isinstance(item, Block):
            item = replace(item, items=_nest(item.items, counted, memory))
        elif isinstance(item, Statement):
            item = _with_operands(done, item, counted, memory)
        joined = _joined(done[-1], item) if done else None
        done[-1:] = [joined] if joined else [*done[-1:], item]
    return tuple(done)


def _joined(first: Item, second: Item) -> Statement | None:
    """Y = a*b; Y += c as Y = a*b + c: NumPy adds in the memory of the product by itself, unless c is repeated along an axis."""
    if not isinstance(first, Statement) or not isinstance(second, Statement) or first.target != second.target:
        return None
    update = second.out == second.target and second.operation.sign and second.operands[0].text == second.target
    if not update or second.operands[1].spread or first.out or first.is_place or first.note != second.note or not first.operation.sign:
        return None
    operands = (value(first), second.operands[1])
    if second.operation.commutes and operands[0].binding < second.operation.levels[0]:
        operands = operands[::-1]  # dY*(1 - Y**2)
    joined = replace(second, operands=operands, out="")
    alone = first.target not in names(second.operands[1].text)
    return joined if alone and len(value(joined).text) <= LONG else None


def _with_operands(done: list[Item], item: Statement, counted: Counter[str], memory: Memory) -> Statement:
    """The statement with those of its operands written in that can be; they are taken out of what is done."""
    for variable in [x for o in item.operands for x in unnamed(o.text)]:
        at = _definition(done, variable)
        if at is None or counted[variable] != 1:
            continue
        definition = done[at]
        assert isinstance(definition, Statement)
        shown = value(definition)
        read = read_by(definition)
        behind = read | memory.behind(read)  # what is read may be a view of what changes
        if len(shown.text) > LONG or any(not read.isdisjoint(written_by(x)) or not behind.isdisjoint(_changed(x, memory))
                                         for x in done[at + 1 :]):
            continue
        new = replace(item, operands=tuple(_written_in(o, variable, shown) for o in item.operands))
        if len(value(new).text) > 2 * LONG:
            continue
        item = new
        del done[at]
    return item


def _changed(item: Item, memory: Memory) -> set[str]:
    """The variables whose memory an item writes to, rather than makes."""
    return memory.behind(frozenset(s.variable for s in statements([item]) if s.out or s.is_place))


def _definition(done: list[Item], variable: str) -> int | None:
    for k in range(len(done) - 1, -1, -1):
        item = done[k]
        if isinstance(item, Statement) and item.variable == variable:
            return None if item.is_place or item.out else k
        if isinstance(item, Block | Line) and variable in set(written_by(item)):
            return None
    return None


def _written_in(operand: Term, variable: str, shown: Term) -> Term:
    """The operand with the expression in place of the variable, in brackets where it stands beside anything that binds."""
    if operand.text == variable:
        return replace(shown, spread=operand.spread)
    place = re.search(rf"{variable}(?!\d)", operand.text)
    if place is None:
        return operand
    before, after = operand.text[: place.start()], operand.text[place.end() :]
    alone = (not before or before.endswith(("(", "[", ", "))) and (not after or after.startswith((")", "]", ", "))) and before != ""
    return replace(operand, text=f"{before}{shown.text if alone else shown.at_least(9)}{after}")
