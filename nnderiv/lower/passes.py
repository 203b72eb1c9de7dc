"""The passes, in order, and a switch for each: items (`form`) -> items that compute the same.

    share      what is computed twice is computed once
    in_place   results take the memory of operands that nobody needs any more
    nest       what is used once is written where it is used

Before them, what the emitter may do with windows, each with its switch too:

    by_image   products of matrices over windows go image by image
    by_place   other windows are walked through, place by place of the kernel

`d.numpy(without=("in_place",))` and `d.compile(without=…)` leave passes out; the results stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from .form import Item
from .in_place import in_place
from .nest import nest
from .share import share

PASSES: dict[str, Callable[[Sequence[Item], frozenset[str]], tuple[Item, ...]]] = {
    "share": lambda items, kept: share(items),
    "in_place": in_place,
    "nest": lambda items, kept: nest(items),
}


FORMS = ("by_image", "by_place")


def checked(without: Collection[str]) -> frozenset[str]:
    """The names of passes to leave out; a ValueError for one that there is none of."""
    names = {without} if isinstance(without, str) else set(without)
    unknown = sorted(names - {*FORMS, *PASSES})
    if unknown:
        raise ValueError(f"there is no pass {unknown[0]!r}; there are {', '.join([*FORMS, *PASSES])}")
    return frozenset(names)


def optimise(items: Sequence[Item], kept: frozenset[str], without: frozenset[str]) -> tuple[Item, ...]:
    """The items after the passes. Somebody else reads the variables that are kept later: nothing may write to their memory."""
    items = tuple(items)
    for name, run in PASSES.items():
        if name not in without:
            items = run(items, kept)
    return items
