"""Names that nobody uses yet: readable, and the same on every run."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

from .expr import REDUCTIONS, UNARY

WORDS = {"and", "or", "not", "for", "given", "int", "where", "inf", "pi", *UNARY, *REDUCTIONS}  # of the notation

# What the emitted module calls: a tensor of that name would hide it.
EMITTED = {"np", "range", "len", "slice", "tuple", "dict", "float", "int", "isinstance", "zip", "ValueError", "Outputs", "Gradients",
           "forward", "backward"}
RESERVED = frozenset({*WORDS, *keyword.kwlist, *EMITTED})


class Fresh:
    """Hands out names that are not taken: the wish itself, or the wish with the next free number. The notation has taken its words,
    Python its keywords, and the emitted module what it calls: d + el is no name."""

    def __init__(self, taken: Iterable[str]):
        self.taken = {*taken, *RESERVED}
        self.next: dict[str, int] = {}  # where to go on counting, so that many names cost no more than a few

    def __call__(self, wish: str) -> str:
        name, k = wish, self.next.get(wish, 2)
        while name in self.taken:
            name, k = f"{wish}_{k}" if wish[-1].isdigit() else f"{wish}{k}", k + 1
        self.next[wish] = k
        self.taken.add(name)
        return name
