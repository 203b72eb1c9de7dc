"""What is handed to a public function, as what it is needed as; anything else is refused in words.

    names("wrt", "W") = ("W",),   names("wrt", ["W", "b"]) = ("W", "b"),   whole("seed", 3) = 3
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

Refusal = type[ValueError]


def names(what: str, value: Any, refusal: Refusal = ValueError) -> tuple[str, ...]:
    """One name, or several."""
    if isinstance(value, str):
        return (value,)
    found = several(what, value, "a name, or several", refusal)
    for name in found:
        if not isinstance(name, str):
            raise refusal(f"{what} holds {shown(name)}; expected names")
    return found


def several(what: str, value: Any, expected: str, refusal: Refusal) -> tuple[Any, ...]:
    """What can be walked through, but for texts."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) != 1:
        raise refusal(f"{what} is {shown(value)}; expected {expected}")
    return tuple(value)


def table(what: str, value: Any, refusal: Refusal = ValueError) -> Mapping[str, Any]:
    """Values by name."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise refusal(f"{what} is {shown(value)}; expected values by name, {{name: value}}")
    return value


def whole(what: str, value: Any, least: int | None = None, refusal: Refusal = ValueError) -> int:
    """A whole number, not smaller than the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or least is not None and value < least:
        raise refusal(f"{what} is {shown(value)}; expected a whole number" + (f", at least {least}" if least is not None else ""))
    return int(value)


def shown(value: Any, width: int = 60) -> str:
    """What was handed in, on one line that is not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= width else f"{text[:width]}…"
