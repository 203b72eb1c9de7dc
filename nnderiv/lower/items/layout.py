"""Long lines of emitted code and of its comments, broken where a person would break them."""

from __future__ import annotations

import textwrap
from collections.abc import Collection

WIDTH = 118


def assignment(target: str, value: str, indent: str, sign: str = "=") -> list[str]:
    """`target = value`, or a value alone; too long, it is broken between the terms of a sum, the cases of a choice or the arguments of a
    call."""
    start = f"{indent}{target} {sign} " if target else indent
    if len(start + value) <= WIDTH:
        return [start + value]
    inner, bare = indent + "    ", value[1:-1] if value.startswith("(") and closing_of(value, 0) == len(value) - 1 else ""
    if len(cases := _cut(bare, (" if ", " else "))) > 1:
        return [f"{start}(", *_filled(cases, inner), f"{indent})"]
    for separators, keep_leading in (((" + ", " - "), True), ((" & ",), True), ((", ",), False)):
        pieces, opening, closing = _pieces(value, separators, call=not keep_leading)
        if len(pieces) > 1:
            lines = _filled([*pieces] if keep_leading else [f"{p}," for p in pieces], inner)
            return [start + opening, *lines, f"{indent}{closing}"]
    return [start + value]


def _pieces(value: str, separators: tuple[str, ...], call: bool) -> tuple[list[str], str, str]:
    """The value cut at separators outside all brackets, or for a call, inside its own brackets: (pieces, opening, closing)."""
    if not call:
        return _cut(value, separators), "(", ")"
    opening = value.find("(")
    if opening < 0 or not value.endswith(")") or closing_of(value, opening) != len(value) - 1:
        return [], "", ""
    return [p.removeprefix(", ") for p in _cut(value[opening + 1 : -1], separators)], value[: opening + 1], ")"


def closing_of(value: str, opening: int) -> int:
    """Where the bracket ends that begins there."""
    depth = 0
    for k in range(opening, len(value)):
        depth += (value[k] in "([{") - (value[k] in ")]}")
        if depth == 0:
            return k
    return -1


def _cut(value: str, separators: tuple[str, ...]) -> list[str]:
    """The value cut before each separator that stands outside all brackets."""
    pieces, depth, start = [], 0, 0
    for k, c in enumerate(value):
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 and k > start and any(value.startswith(s, k) for s in separators):
            pieces.append(value[start:k])
            start = k
    return [*pieces, value[start:]]


def _filled(pieces: list[str], indent: str, width: int = WIDTH) -> list[str]:
    """As many pieces to a line as fit."""
    lines: list[str] = []
    for p in pieces:
        if lines and len(lines[-1]) + len(p) + 1 <= width:
            lines[-1] += p if p.startswith(" ") else f" {p}"
        else:
            lines.append(indent + p.strip())
    return lines


def condition(parts: list[str], head: str) -> list[str]:
    """if not (a and b and c): over as many lines as it takes, of a function's body."""
    line = f"{head} ({' and '.join(parts)}):" if len(parts) > 1 else f"{head} {parts[0]}:"
    if len(line) <= WIDTH - 4:
        return [line]
    return [f"{head} (", *_filled([parts[0], *(f" and {p}" for p in parts[1:])], "    ", WIDTH - 4), "):"]


def arguments(head: str, parts: list[str], inside: int = 4) -> list[str]:
    """head(a, b, c), over as many lines as it takes, which are still to be indented so far."""
    line = f"{head}({', '.join(parts)})"
    if len(line) <= WIDTH - inside:
        return [line]
    indent = " " * (len(head) - len(head.lstrip()))
    return [f"{head}(", *_filled([f"{p}," for p in parts], f"{indent}    ", WIDTH - inside), f"{indent})"]


def listed(names: Collection[str]) -> str:
    """a, b, c, or a, where there is one: a tuple without brackets."""
    return ", ".join(names) + "," * (len(names) == 1)


def unpacked(names: list[str], value: str, indent: str) -> list[str]:
    """a, b, c = value, over as many lines as it takes; nothing, if there are no names."""
    line = f"{indent}{listed(names)} = {value}"
    if len(line) <= WIDTH:
        return [line] if names else []
    return [f"{indent}(", *_filled([f"{n}," for n in names], f"{indent}    "), f"{indent}) = {value}"]


def comment(text: str, indent: str) -> list[str]:
    """# text, over as many lines as it takes."""
    return [f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH - len(indent) - 2, subsequent_indent="    ", break_long_words=False)]
