"""Statements -> lines of text: the equation as a comment above what computes it, the shape of the result behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .form import Block, Item, Line, Statement, Term, renamed, statements
from .layout import WIDTH, assignment, comment


def render(items: Iterable[Item], notes: Sequence[str]) -> list[str]:
    """The lines of a function's body."""
    return _render(items, notes, "    ", -1)


def _render(items: Iterable[Item], notes: Sequence[str], indent: str, shown: int) -> list[str]:
    """shown: the equation whose comment stands last above these items."""
    lines: list[str] = []
    for item in items:
        if isinstance(item, Block):
            lines += [f"{indent}{item.head}", *_render(item.items, notes, indent + "    ", shown)]
            continue
        if item.note not in (shown, -1) and not (isinstance(item, Line) and item.note < shown):
            lines += comment(notes[item.note], indent)
        shown = item.note
        lines += _line(item.text, indent) if isinstance(item, Line) else _statement(item, indent)
    return lines


def _line(text: str, indent: str) -> list[str]:
    """A line; one that assigns what is too long is broken."""
    target, assigns, value = text.partition(" = ")
    long = len(indent + text) > WIDTH and assigns and "#" not in text
    return assignment(target, value, indent) if long else [indent + text]


def _statement(s: Statement, indent: str) -> list[str]:
    lines = _update(s, indent) or _into(s, indent) or assignment(s.target, value(s).text, indent)
    remark = f"  # {s.remark}" if s.remark else ""
    if remark and len(lines) == 1 and len(lines[0]) + len(remark) <= WIDTH:
        lines[0] = f"{lines[0]:<50}{remark}"
    return lines


def _update(s: Statement, indent: str) -> list[str]:
    """target op= operand, or a row of it, where the first operand is the target itself."""
    sign = s.operation.row_sign if s.operation.row else s.operation.sign
    if s.out != s.target or not sign or s.operands[0].text != s.target:
        return []
    return assignment(f"{s.target}{s.operation.row}", s.operands[-1].text, indent, f"{sign}=")


def _into(s: Statement, indent: str) -> list[str]:
    """np.f(…, out=target), with a name for the result if that is another one."""
    if not s.out or not s.operation.into:
        return []
    return assignment("" if s.out == s.target else s.target, s.operation.written_into(s.operands, s.out), indent)


def value(s: Statement) -> Term:
    """The right-hand side."""
    return Term(s.operation.text(s.operands), s.operation.binding)


def named(items: Iterable[Item], fresh: Callable[[str], str]) -> tuple[Item, ...]:
    """A name for every intermediate result that has none."""
    items = tuple(items)
    hints = {s.target: s.hint for s in statements(items) if s.target.startswith("§")}
    return renamed(items, {target: fresh(hint or "part") for target, hint in hints.items()})
