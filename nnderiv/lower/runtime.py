"""The few functions that emitted modules carry with them, as text: a module contains those that it uses, and what they use.

They are written to be read: an emitted module is all that its user sees. In `helpers` they stand by theme, two empty lines between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..graph import reach
from . import cost
from .helpers import buffers, choices, differences, entry, functions, loops, places, taps, threads

THEMES = (entry, buffers, threads, taps, choices, places, functions, differences, loops)
# Of the cost model, for decisions that wait for the sizes.
CONSTANTS = ("ABREAST", "ALONE", "BLOCK", "BUFFERED", "BUFFER", "CHAIN", "DEPTH", "FEW", "GROUP", "IDLE", "IMAGES", "LARGE", "LONG",
             "NARROW", "PAIRS", "PIECE", "PLACES", "RUN", "SHARES", "SMALL", "TAPS", "TURNED", "WAKING", "WIDE")
NAMED = re.compile(r"^(?:def|class) (\w+)|^ *(_\w+) =", re.MULTILINE)
RESTING = {"_row_sums", "_column_sums"}  # short work of linear algebra, which is not to wake its threads where there are others
WORD = re.compile(r"\b_[A-Za-z]\w*")


def _helpers() -> Iterator[tuple[str, str]]:
    """(name, text) of each, in their order."""
    for theme in THEMES:
        for text in theme.TEXT.strip().split("\n\n\n"):
            name = NAMED.search(text)
            assert name is not None, text
            for constant in CONSTANTS:
                text = text.replace(constant, str(getattr(cost, constant)))
            yield name[1] or name[2], text


HELPERS = dict(_helpers())
USES = {name: {*WORD.findall(text)} & HELPERS.keys() for name, text in HELPERS.items()}
ON_THREADS = {**{name: f"@_resting\n{HELPERS[name]}" for name in RESTING},  # as they are where there are others
              "_STRETCH": HELPERS["_STRETCH"].replace(str(cost.PIECE), str(cost.WIDE_PIECE))}


def needed(source: str) -> str:
    """The helpers that a source text uses, in their own order, with the helpers that these use."""
    used = reach({*WORD.findall(source)} & HELPERS.keys(), USES)
    on_threads = "_on_threads" in used
    used |= {"_resting"} if on_threads and used & RESTING else set()
    return "\n\n\n".join(ON_THREADS.get(name, text) if on_threads else text for name, text in HELPERS.items() if name in used)
