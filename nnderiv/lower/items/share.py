"""What is computed twice is computed once: equal operations on equal operands are one statement, or, in a part of long arrays, one
place. Memory that is set aside, of no operands, is for one result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...integer import Int
from .form import SAME, Block, Item, Statement, Term, names, read_by, renamed, variable_of, written_by
from .known import Known

Key = tuple[str, tuple[str, ...], tuple[Int, ...]]
Results = Known[Key, str]  # what holds the result of an operation, a variable or a place, until that or an operand changes


def share(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring. A tensor of the program keeps its name, and its memory too, unless only nameless results share it."""
    return _share(items, Known())


def _inside(block: Block, known: Results) -> Results:
    """What is known in a block: a function knows nothing of what is around it."""
    return Known() if block.head.startswith("def") else known.without(written_by(block))


def _names(key: Key, target: str) -> Iterator[str]:
    yield variable_of(target)
    for text in key[1]:
        yield from names(text)


def _share(items: Sequence[Item], known: Results, is_part: bool = False) -> tuple[Item, ...]:
    table = dict[str, str]()
    done: list[Item] = []
    for item in items:
        (item,) = renamed([item], table)
        if isinstance(item, Block):
            item = replace(item, items=_share(item.items, _inside(item, known), item.is_part))
        elif isinstance(item, Statement) and not item.is_place and not item.out and item.operands:
            key = _key(item)
            before = known.held.get(key, item.target)
            if before == item.target:
                known.learn(key, item.target, _names(key, item.target))
            elif item.target.startswith("§"):
                table[item.target] = before
                continue
            elif before.startswith("§") and item.operation.owns and item.real:
                known.learn(key, item.target, _names(key, item.target))
                item = replace(item, operation=SAME, operands=(Term(before),))
        if not isinstance(item, Statement) or item.is_place or item.out:
            known.forget(written_by(item))
        if is_part and isinstance(item, Statement) and _fills(item):
            known.learn(key := _key(item), item.target, _names(key, item.target))
        done.append(item)
    return tuple(done)


def _fills(s: Statement) -> bool:
    """Whether a place holds what a statement computes, of the same operands as before it."""
    return s.is_place and not s.out and bool(s.operation.into) and s.real and s.variable not in read_by(replace(s, is_place=False))


def _key(s: Statement) -> Key:
    return s.operation.template, tuple(o.text for o in s.operands), s.shape
