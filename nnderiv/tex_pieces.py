r"""Pieces of LaTeX that know how tightly they bind: products side by side, sums with their signs, integers.

    a, b + c    as a product    a (b + c)
    a, −b       as a sum        a − b
    2, 3        as a product    2 \cdot 3
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from .integer import Element, Extreme, FloorDiv, Int, Mod
from .tex_names import name_latex, typeset

# Binding strengths. A FRACTION or an APPLICATION stands in a product as it is, but not as the base of a power.
OR, AND, NOT, COMPARISON, SUM, HADAMARD, PRODUCT, FRACTION, APPLICATION, ATOM = range(1, 11)


@dataclass(frozen=True)
class Piece:
    """LaTeX, how tightly it binds, and whether it would swallow a factor that followed it."""

    text: str
    level: int = ATOM
    open: bool = False

    def within(self, level: int) -> str:
        return self.text if self.level >= level else brackets(self.text)


def brackets(text: str) -> str:
    tall = any(mark in text for mark in (r"\frac", r"\sum", r"\begin"))
    return rf"\left({text}\right)" if tall else f"({text})"


def juxtapose(pieces: list[Piece]) -> Piece:
    """A product: factors side by side, with a dot where two numbers would meet, a thin space where they would run together."""
    if len(pieces) == 1:
        return pieces[0]
    text = ""
    for k, piece in enumerate(pieces):
        last = k == len(pieces) - 1
        shown = piece.within(PRODUCT) if last or not piece.open else brackets(piece.text)
        meets = shown[0].isdigit() or (text[-1:].isdigit() and shown.startswith(r"\frac{"))
        between = r" \cdot " if meets else r"\," if text and _run_together(text, shown) else " "
        text += between + shown if text else shown
    return Piece(text, PRODUCT, pieces[-1].open and pieces[-1].level >= PRODUCT)


def _run_together(before: str, after: str) -> bool:
    r"""r dW, lam w, [i = j] x: an upright d behind a letter; a whole word, and the bracket of a condition, beside anything."""
    upright = after.startswith(r"\mathrm{") and before[-1].isalnum()
    word = re.search(r"\\mathrm\{[A-Za-z]{2,}\}$", before) or re.match(r"\\mathrm\{[A-Za-z]{2,}\}", after)
    return upright or before[-1] == "]" or after[0] == "[" or bool(word)


def add_up(terms: list[tuple[int, Piece]]) -> Piece:
    """A sum with its signs: a - b, not a + -b."""
    text = ""
    for sign, piece in terms:
        shown = piece.within(SUM if sign > 0 and not text else HADAMARD)
        text += (" - " if sign < 0 else " + ") + shown if text else ("-" if sign < 0 else "") + shown
    return Piece(text, SUM) if len(terms) > 1 or terms[0][0] < 0 else terms[0][1]


# -- integers ----------------------------------------------------------------------------------------------------------
def int_latex(value: Int) -> str:
    return int_piece(value).text


def subscript(value: Int) -> str:
    """An integer in small print: without blanks around its signs."""
    return int_latex(value).replace(" + ", "+").replace(" - ", "-")


def int_piece(value: Int) -> Piece:
    """Positive terms first, then negative ones, the constant last."""
    order = sorted(value.terms.items(), key=lambda t: (t[0] == (), t[1] < 0))
    terms = [(1 if c > 0 else -1, _monomial(abs(c), m)) for m, c in order]
    return add_up(terms) if terms else Piece("0")


def _monomial(c: int, monomial: tuple[object, ...]) -> Piece:
    pieces = [Piece(str(c))] if c != 1 or not monomial else []
    return juxtapose([*pieces, *(_to_the(_atom(a), count) for a, count in Counter(monomial).items())])


def _to_the(base: Piece, exponent: int) -> Piece:
    return base if exponent == 1 else Piece(f"{base.within(ATOM)}^{{{exponent}}}", APPLICATION)


def _atom(atom: object) -> Piece:
    if isinstance(atom, FloorDiv):
        return Piece(
            rf"\lfloor {int_piece(atom.top).within(PRODUCT)} / {int_piece(atom.bottom).within(FRACTION)} \rfloor"
        )
    if isinstance(atom, Mod):
        return Piece(
            rf"{int_piece(atom.top).within(FRACTION)} \bmod {int_piece(atom.bottom).within(FRACTION)}", COMPARISON
        )
    if isinstance(atom, Extreme):
        return Piece(rf"\{atom.op}({', '.join(map(int_latex, atom.args))})", APPLICATION)
    if isinstance(atom, Element):
        return read_piece(atom.tensor, atom.subs)
    return Piece(name_latex(str(atom)))


def read_piece(tensor: str, subs: tuple[Int, ...]) -> Piece:
    name = typeset(tensor)
    return Piece(name.text(",".join(map(subscript, subs))), APPLICATION if name.above else ATOM)
