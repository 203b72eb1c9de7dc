"""A gradient, or all of them, in the form that was asked for: "index" or "matrix"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .errors import MatrixFormError
from .latex import aligned, equation_latex
from .matrix import MatrixForm, matrix_form, reading
from .matrix.typeset import defined_latex, formula_latex, functions_latex, matrix_latex, note_latex, operators_latex, outside_latex
from .program import Equation, Program

if TYPE_CHECKING:
    from .derivation import Derivation, Gradient


def derivation_latex(derivation: Derivation, form: str = "index") -> str:
    """The equations that the derivation adds to the forward program, aligned.

    In matrix form, what a formula names beside it follows it, and an equation without a matrix form stands in index form.
    """
    known = derivation.forward.definitions
    added = [e for e in derivation.backward.equations if e.tensor not in known]
    if _checked(form) == "index":
        return aligned(equation_latex(derivation.backward, e, align=True) for e in added)
    return aligned(matrix_lines(derivation.backward, added))


def gradient_latex(gradient: Gradient, form: str = "index") -> str:
    """One gradient's equation; form: "index" or "matrix"."""
    return form_latex(gradient.derivation.backward, gradient.definition, form)


def form_latex(program: Program, e: Equation, form: str) -> str:
    """An equation of a program in the form that was asked for."""
    return equation_latex(program, e) if _checked(form) == "index" else matrix_latex(matrix_form(program, e))


def matrix_lines(program: Program, equations: list[Equation]) -> Iterator[str]:
    """Each equation in matrix form, or in index form where it has none; helpers that were put in their places are left out."""
    seen: set[str] = set()
    functions: dict[str, None] = {}
    operators: dict[str, None] = {}
    outside: dict[str, None] = {}
    shown = {e.tensor for e in reading(program).shown.equations}
    for e in equations:
        if e.tensor not in shown:
            continue
        try:
            form = matrix_form(program, e)
        except MatrixFormError:
            yield equation_latex(program, e, align=True)
            continue
        yield formula_latex(form, align=True) + note_latex(form)
        functions |= dict.fromkeys(functions_latex(form))
        if operators_latex(form):
            outside[outside_latex(form)] = None
        operators |= dict.fromkeys(operators_latex(form))
        for d in form.definitions:
            name = d.equation.tensor if isinstance(d, MatrixForm) else d.tensor
            if name not in seen:
                seen.add(name)
                yield defined_latex(form, d, align=True)
    yield from (text.replace(" = ", " &= ", 1) for text in functions)
    if operators:
        yield from (text.replace(" = ", " &= ", 1) for text in operators)
        yield from (f"& {text}" for text in outside)


def _checked(form: str) -> str:
    if not isinstance(form, str) or form not in ("index", "matrix"):
        raise MatrixFormError(f"There is no form {form!r}; the forms are 'index' and 'matrix'.")
    return form
