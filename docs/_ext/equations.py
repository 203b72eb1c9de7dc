"""Equations of the page: computed, numbered, and with the evidence for each.

    equation(d["W"], "mlp-dW")           a gradient, in index form and, where there is one, in matrix form
    equation(d, "mlp-dz", "dz")          a tensor on the way
    equation(d["W"], "mlp-dW", steps=True)   with its derivation, folded
    equation(d["W"], "mlp-dW", form="matrix")   in matrix form only
    check(d)                             the whole report, with a doctest to copy

A label is an anchor: {eq}`mlp-dW` refers to the index form, and {eq}`mlp-dW-matrix` to the matrix form shown below it.
The badge under an equation leads to its line on the page of all checks. What does not hold fails the build.
"""

import re
from typing import Any

import evidence
from blocks import Block, derivation_of, key, title
from derivations import as_data

from nnderiv import Derivation, Gradient, MatrixFormError
from nnderiv.forms import form_latex
from nnderiv.layers import Layer

LETTER = re.compile(r",\\quad (?=[^,=]* = )")


def equation(
    of: Gradient | Derivation,
    label: str,
    tensor: str = "",
    *,
    form: str = "both",
    steps: bool = False,
    against: evidence.Row | None = None,
) -> Block:
    """A numbered equation. ``form``: "both" (matrix form only where it exists), "index" or "matrix".

    ``against``: what ``evidence.oracle(...)`` returned, to be listed beside the engine's own evidence.
    """
    d, name = (of.derivation, of.name) if isinstance(of, Gradient) else (of, tensor)
    if form not in ("both", "index", "matrix"):
        raise ValueError(f"form is {form!r}; it can be 'both', 'index' or 'matrix'")
    if not name:
        raise ValueError("equation(d, label, tensor): say which tensor of the derivation is meant")
    found = evidence.behind(d, name) + ([against] if against else [])
    content: dict[str, Any] = {
        "label": label,
        "tensor": name,
        "key": key(d.forward),
        "of": title(d.forward),
        "formulas": _formulas(d, name, form),
        "text": str(d.backward.definitions[name][-1]),
        "evidence": found,
        "steps": as_data(of) if steps and isinstance(of, Gradient) else [],
    }
    return Block("equation", content, f"({label}) {content['text']}")


def equations(d: Derivation | Layer, prefix: str, *tensors: str, **options: Any) -> None:
    """Several at once, one below the other: labels are ``prefix-tensor``; all gradients where no tensor is named."""
    from IPython.display import display

    d = derivation_of(d)
    for name in tensors or tuple(g.name for g in d):
        gradient = next((g for g in d if g.name == name), None)
        label = f"{prefix}-{name}".replace("_", "-")
        display(equation(gradient, label, **options) if gradient else equation(d, label, name, **options))


def _formulas(d: Derivation, name: str, form: str) -> dict[str, str]:
    """TeX by form. The matrix form is left out where it does not exist, unless nothing else is asked for."""
    definition = d.backward.definitions[name][-1]
    found = {} if form == "matrix" else {"index": form_latex(d.backward, definition, "index")}
    if form != "index":
        try:
            found["matrix"] = _in_lines(form_latex(d.backward, definition, "matrix"))
        except MatrixFormError:
            if form == "matrix":
                raise
    return found


def _in_lines(formula: str) -> str:
    """Each of the formula's own letters, and what it stands for, on a line of its own."""
    body, where, letters = formula.partition(r",\qquad \text{where }")
    if not where:
        return formula
    lines = r", \\ ".join(LETTER.split(letters))
    return rf"\begin{{gathered}} {body}, \\ \text{{where }} {lines} \end{{gathered}}"


def check(d: Derivation | Layer, doctest: str = "") -> Block:
    """The evidence for every gradient, folded under its verdict, and a doctest that a reader can copy.

    ``doctest``: how a reader obtains ``d``; for a layer of the registry it is known. All of it goes to the page of all checks.
    """
    d = derivation_of(d)
    report = evidence.of(d)
    content = {
        "key": key(d.forward),
        "of": title(d.forward),
        "seed": report.seed,
        "rows": [[r.name, *_cells(r)] for r in report.results],
        "doctest": doctest.strip() or _doctest(d),
    }
    return Block("check", content, str(report))


def _cells(r: Any) -> tuple[str, ...]:
    return tuple(r.cells[1:6])


def _doctest(d: Derivation) -> str:
    from nnderiv import layers

    name = title(d.forward)
    if name not in layers.ALL or layers.ALL[name].program != d.forward:
        return ""
    narrowed = "" if d.wrt == d.forward.real_inputs else f", wrt={d.wrt!r}"
    return f">>> import nnderiv as nd\n>>> from nnderiv import layers\n>>> d = nd.derive(layers.{name}.program{narrowed})\n" \
           f">>> d.check(seed=0).ok\nTrue"
