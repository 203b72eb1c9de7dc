"""The reference, from the package itself: signatures and docstrings, as they stand in the code that runs.

    document(nd.derive)                  a function
    document(nd.Derivation)              a class, with its public methods and properties
    document(nd.Program, "latex")        a class, with these members only
    registry()                           a table of all layers, with their sources

What is documented has an entry in the index, and the search finds it by name.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nnderiv
from nnderiv import layers

FENCE = "~"
SPECIAL = re.compile(r"([\\*_\[\]<>$|])")
QUOTED = re.compile(r'"\w+"')


@dataclass(frozen=True)
class Markdown:
    """A text in MyST Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def document(thing: Any, *members: str) -> Markdown:
    """A function or a class of the public interface."""
    name = f"{_home(thing)}.{thing.__name__}"
    if not inspect.isclass(thing):
        return Markdown(_directive("function", name + _signature(thing), prose(inspect.getdoc(thing))))
    parts = [prose(inspect.getdoc(thing))]
    parts += [_member(name, member, found) for member, found in _public(thing) if not members or member in members]
    return Markdown(_directive("exception" if issubclass(thing, Exception) else "class", name, "\n\n".join(parts), depth=8))


def _home(thing: Any) -> str:
    """The module to import it from."""
    return "nnderiv" if thing.__name__ in nnderiv.__all__ else thing.__module__


def _public(thing: type) -> Iterator[tuple[str, Any]]:
    """The members with a docstring of their own, in the order of the source."""
    for name, found in vars(thing).items():
        described = isinstance(found, property | cached_property | staticmethod) or inspect.isfunction(found)
        if not name.startswith("_") and described and inspect.getdoc(found):
            yield name, found


def _member(owner: str, name: str, found: Any) -> str:
    text = prose(inspect.getdoc(found))
    if isinstance(found, property | cached_property):
        return _directive("property", f"{owner}.{name}", text)
    kind = "staticmethod" if isinstance(found, staticmethod) else "method"
    return _directive(kind, f"{owner}.{name}{_signature(getattr(found, '__func__', found))}", text)


def _signature(function: Any) -> str:
    """Names and defaults; what the types are, the docstring says."""
    bare = [p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return str(inspect.Signature(bare))


def _directive(kind: str, argument: str, content: str, depth: int = 6) -> str:
    return f"{FENCE * depth}{{py:{kind}}} {argument}\n{content}\n{FENCE * depth}\n"


def prose(docstring: str | None) -> str:
    """A docstring as Markdown: examples and indented blocks become code, all else is text."""
    return "\n\n".join(_paragraph(p) for p in re.split(r"\n\s*\n", (docstring or "").strip()))


def _paragraph(text: str) -> str:
    if text.startswith(">>>"):
        return f"```pycon\n{text}\n```"
    if text.startswith("    "):
        return f"```text\n{inspect.cleandoc(text)}\n```"
    # Inside backticks nothing is special, and what stands in quotes is a value to type: it keeps them straight.
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else QUOTED.sub(r"`\g<0>`", SPECIAL.sub(r"\\\1", part)) for part in parts)


def registry() -> Markdown:
    """Every layer: its name, what it computes, and where it comes from."""
    return Markdown("\n\n".join(f"`{name}`\n: {_text(found.about)}. *{_text(found.source)}.*" for name, found in layers.ALL.items()))


def _text(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)
