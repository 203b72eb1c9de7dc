"""What a loop computes anew at every step, the same each time, is computed before it.

A transposed matrix that a loop multiplies by is copied once into rows that lie together: WT = np.ascontiguousarray(W.T).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from .form import MATMUL, Block, Item, Statement, Term, call, mentioned_by, names, statements, unnamed, written_by

_TRANSPOSED = re.compile(r"([^\W\d]\w*|§\d+)\.m?T")


def invariant(items: Sequence[Item]) -> tuple[Item, ...]:
    """See the module's docstring."""
    return _invariant(items, _Fresh(max((int(v[1:]) for s in statements(items) for v in unnamed(s.target)), default=0)))


class _Fresh:
    def __init__(self, first: int):
        self.next = first

    def __call__(self) -> str:
        self.next += 1
        return f"§{self.next}"


def _invariant(items: Sequence[Item], fresh: _Fresh) -> tuple[Item, ...]:
    done: list[Item] = []
    copies: dict[str, str] = {}  # the text of a transposed view -> the variable that holds its copy
    for item in items:
        if isinstance(item, Block):
            item = replace(item, items=_invariant(item.items, fresh))
            outside, item = _hoisted(item, fresh, copies) if item.head.startswith("for ") else ([], item)
            done += outside
        done.append(item)
    return tuple(done)


def _hoisted(loop: Block, fresh: _Fresh, copies: dict[str, str]) -> tuple[list[Item], Block]:
    """(what goes before the loop, the loop without it)."""
    writers = Counter(written_by(loop))
    changed = set(writers) | names(loop.head.partition(" in ")[0])
    before: list[Item] = []
    kept: list[Item] = []
    for item in loop.items:
        own = isinstance(item, Statement) and item.target.startswith("§") and not item.out and mentioned_by(item).isdisjoint(changed)
        # Memory that the loop fills anew may be made before it; zeros that it adds to may not.
        if isinstance(item, Statement) and own and (writers[item.target] == 1 or item.operation.template.startswith("np.empty(")):
            before.append(replace(item, note=-1))
            if writers[item.target] == 1:
                changed.discard(item.target)
        else:
            kept.append(item)
    for k, item in enumerate(kept):
        if isinstance(item, Statement) and item.operation == MATMUL:
            operands = tuple(_contiguous(o, changed, before, fresh, copies) for o in item.operands)
            kept[k] = replace(item, operands=operands)
    return before, replace(loop, items=tuple(kept))


def _contiguous(o: Term, changed: set[str], before: list[Item], fresh: _Fresh, copies: dict[str, str]) -> Term:
    found = _TRANSPOSED.fullmatch(o.text)
    if found is None or found.group(1) in changed:
        return o
    if o.text not in copies:
        copies[o.text] = fresh()
        hint = f"{found.group(1)}T" if not found.group(1).startswith("§") else ""
        before.append(Statement(copies[o.text], call("np.ascontiguousarray({0})", 0), (o,), hint=hint))
    return Term(copies[o.text])
