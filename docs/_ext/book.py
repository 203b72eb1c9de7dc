"""What the pages share. Everything a page needs beside the engine can be imported from here:

    from book import check, emitted, equation, equations, erratum, listing, oracle, steps, try_it

This module itself has formulas without a number, and source in the page's own colours. ``README.md`` in this folder is the
guide for writers.

>>> from book import python
>>> python("x = 1")
<python, 1 line>
"""

import ast
import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from nnderiv import Derivation, Gradient


@dataclass(frozen=True)
class Listing:
    """A text in a language that the page can colour."""

    text: str
    language: str

    def _repr_markdown_(self) -> str:
        return f"```{self.language}\n{self.text}\n```"

    def __repr__(self) -> str:
        lines = self.text.count("\n") + 1
        return f"<{self.language}, {lines} line{'s' * (lines > 1)}>"


def __getattr__(name: str) -> Any:
    """The helpers of the neighbouring modules, loaded when they are asked for."""
    homes = {"equation": "equations", "equations": "equations", "check": "equations", "oracle": "evidence", "steps": "derivations",
             "listing": "listings", "erratum": "errata", "try_it": "live"}
    if name not in homes:
        raise AttributeError(f"module 'book' has no attribute {name!r}")
    return getattr(importlib.import_module(homes[name]), name)


def python(text: str) -> Listing:
    """Python source, as it is."""
    return Listing(text.strip("\n"), "python")


def emitted(source: str, *names: str) -> Listing:
    """Of an emitted module, the functions with these names; the whole module when none is named."""
    if not names:
        return python(source)
    lines = source.splitlines()
    places = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    parts = ["\n".join(lines[places[name].lineno - 1 : places[name].end_lineno]) for name in names]
    return python("\n\n\n".join(parts))


def source_of(*things: Any) -> Listing:
    """The source of functions as it stands in the file from which they were imported: what is shown is what runs."""
    return python("\n\n\n".join(inspect.getsource(thing).rstrip() for thing in things))


@dataclass(frozen=True)
class Formula:
    """A displayed formula."""

    latex: str

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"

    def __repr__(self) -> str:
        return self.latex


def formula(d: Derivation, name: str) -> Formula:
    """The equation of any tensor of the gradient program, intermediate ones included: ``formula(d, "dz")``."""
    from nnderiv.latex import equation_latex

    return Formula(equation_latex(d.backward, d.backward.definitions[name][-1]))


def matrix(gradient: Gradient) -> Formula:
    """The gradient in matrix form."""
    return Formula(gradient.latex(form="matrix"))
