"""What was worked out about a program is kept for the next of its equations: a function of a program, remembered by identity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from ..program import Program

T = TypeVar("T")
KEPT = 16


def remembered(make: Callable[[Program], T]) -> Callable[[Program], T]:
    """make, with the results for the last few programs kept; a program is immutable, but too large to be hashed."""
    kept: OrderedDict[int, tuple[Program, T]] = OrderedDict()

    @wraps(make)
    def of(program: Program) -> T:
        if id(program) not in kept or kept[id(program)][0] is not program:
            kept[id(program)] = (program, make(program))
            while len(kept) > KEPT:
                kept.popitem(last=False)
        kept.move_to_end(id(program))
        return kept[id(program)][1]

    return of
