"""What is computed twice is computed once: equal operations on equal operands are one statement. Memory that is set aside, of no
operands, is for one result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .form import SAME, Block, Item, Statement, Term, names, renamed, written_by

Key = tuple[str, tuple[str, ...]]


def share(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring. A tensor of the program keeps its name, and its memory too, unless only nameless results share it."""
    return _share(items, {})


def _share(items: Sequence[Item], around: Mapping[Key, str]) -> tuple[Item, ...]:
    """What is known holds until something is written to an operand or to the result; a function knows nothing of what is around it."""
    known, table = dict(around), dict[str, str]()
    done: list[Item] = []
    for item in items:
        (item,) = renamed([item], table)
        if isinstance(item, Block):
            changed = set(written_by(item))
            inner = {} if item.head.startswith("def") else {k: v for k, v in known.items() if _untouched(k, v, changed)}
            item = replace(item, items=_share(item.items, inner))
        elif isinstance(item, Statement) and not item.is_place and not item.out and item.operands:
            key = (item.operation.template, tuple(o.text for o in item.operands))
            before = known.setdefault(key, item.target)
            if before != item.target and item.target.startswith("§"):
                table[item.target] = before
                continue
            if before.startswith("§") and item.operation.owns and item.real and before != item.target:
                item = replace(item, operation=SAME, operands=(Term(before),))
                known[key] = item.target
        if not isinstance(item, Statement) or item.is_place or item.out:
            changed = set(written_by(item))
            known = {k: v for k, v in known.items() if _untouched(k, v, changed)}
        done.append(item)
    return tuple(done)


def _untouched(key: Key, variable: str, changed: set[str]) -> bool:
    return variable not in changed and all(names(text).isdisjoint(changed) for text in key[1])
