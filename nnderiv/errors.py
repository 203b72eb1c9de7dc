"""Every error that nnderiv raises on purpose: what was written, where, why, and how to repair it."""

from __future__ import annotations


class NNDerivError(Exception):
    """Base class of the package's own errors."""


class _Pointed(NNDerivError, ValueError):
    """An error about a place in a text: what was written, with a caret under the character, the reason and a repair."""

    def __init__(self, reason: str, repair: str = "", text: str = "", position: int | None = None):
        self.reason, self.repair, self.position = reason, repair, position
        self.line, self.column, excerpt = 0, 0, ""
        if position is not None:
            start = text.rfind("\n", 0, position) + 1
            end = text.find("\n", position)
            self.line, self.column = text.count("\n", 0, position) + 1, position - start + 1
            excerpt = _excerpt(text[start : end if end >= 0 else len(text)], position - start)
        where = f"line {self.line}, column {self.column}:\n{excerpt} " if position is not None else ""
        super().__init__(f"{where}{reason}" + (f"\n{repair}" if repair else ""))


class NotationError(_Pointed):
    """The text of a program is not in the notation, or does not mean anything; points at the character."""


def _excerpt(line: str, column: int, width: int = 76) -> str:
    """The line (or the part of it around the column) with a caret under the column."""
    first = max(0, column - width // 2) if len(line) > width else 0
    return f"{printable(line[first : first + width])}\n{' ' * (column - first)}^"


def counted(k: int, what: str) -> str:
    """no subscripts, 1 subscript, 2 subscripts."""
    return f"{k or 'no'} {what}{'s' if k != 1 else ''}"


def printable(text: str) -> str:
    """One line of text, character by character; control characters, and what no file can hold, replaced."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)


class DefinitionError(_Pointed):
    """A program that parses but defines nothing: it needs itself, or a range cannot be settled."""


class DerivationError(NNDerivError, ValueError):
    """A gradient that cannot be derived, with the reason."""


class MatrixFormError(NNDerivError, ValueError):
    """There is no matrix form of this formula; its index form exists."""


class EvaluationError(NNDerivError, ValueError):
    """Inputs that do not fit the program: a missing name, a wrong shape, a size that disagrees."""


class DivisionError(EvaluationError, ZeroDivisionError):
    """An index or a size that is divided by zero at these sizes."""


class CheckError(NNDerivError, ValueError):
    """A check cannot be carried out, for example because no inputs honour the `given` facts."""


class RefutedForm(MatrixFormError, CheckError):
    """A matrix form was found that has not the values of its equation: a mistake of the engine, never displayed."""


class Unevaluated(CheckError):
    """No sample was found at which a check can be evaluated; it says nothing about what was to be checked."""
