"""A gradient, or all of them, in the form that was asked for: "index" or "matrix"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import MatrixFormError
from .latex import aligned, equation_latex
from .matrix import matrix_form
from .matrix.typeset import matrix_latex
from .program import Equation, Program

if TYPE_CHECKING:
    from .derivation import Derivation, Gradient


def derivation_latex(derivation: Derivation, form: str = "index") -> str:
    """The equations that the derivation adds to the forward program, aligned."""
    known = derivation.forward.definitions
    added = [e for e in derivation.backward.equations if e.tensor not in known]
    return aligned([form_latex(derivation.backward, e, form, align=True) for e in added])


def gradient_latex(gradient: Gradient, form: str = "index") -> str:
    """One gradient's equation; form: "index" or "matrix"."""
    return form_latex(gradient.derivation.backward, gradient.definition, form)


def form_latex(program: Program, e: Equation, form: str, align: bool = False) -> str:
    """An equation of a program in the form that was asked for."""
    if form == "index":
        return equation_latex(program, e, align)
    if form == "matrix":
        return matrix_latex(matrix_form(program, e), align)
    raise MatrixFormError(f"There is no form {form!r}; the forms are 'index' and 'matrix'.")
