"""What derivations and proofs look like: plain text for a terminal, Markdown with mathematics for notebooks and pages, LaTeX.

Markdown is read by Jupyter and by the book alike; formulas stand between $$, and what is long folds.
"""

from __future__ import annotations

import textwrap
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .latex import equation_latex, expression_latex, typeset
from .numbers import shown as number
from .program import Program

if TYPE_CHECKING:
    from .prove import Counterexample, Proof

WIDTH = 100


def wrapped(text: str, indent: str = "    ") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


# -- proofs ------------------------------------------------------------------------------------------------------------------
def proof_text(proof: Proof) -> str:
    """Verdict and identity, then why, then where it fails, if it does."""
    relation = "≠" if proof.verdict == "refuted" else "="
    lines = [f"{proof.verdict.capitalize()}: {proof.left} {relation} {proof.right}"]
    lines += [f"    given {g}" for g in proof.given]
    lines += [wrapped(s) for s in _sentences(proof)]
    if proof.counterexample is not None:
        lines += [f"    {name} = {_nested(value)}" for name, value in _inputs(proof.counterexample)]
    return "\n".join(lines)


def proof_latex(proof: Proof) -> str:
    """The identity in index form."""
    sign = r"\ne" if proof.verdict == "refuted" else "="
    if proof.sides is None:
        return rf"\text{{{proof.left}}} {sign} \text{{{proof.right}}}"
    left, right = (_right_hand_side(p) for p in proof.sides)
    facts = "".join(rf",\quad \text{{given }} {expression_latex(g)}" for g in proof.sides[0].givens)
    return f"{left} {sign} {right}{facts}"


def _right_hand_side(program: Program) -> str:
    e = program.definitions[program.outputs[0]][-1]
    return equation_latex(program, e).split(" = ", 1)[1]


def proof_markdown(proof: Proof) -> str:
    parts = [f"**{proof.verdict.capitalize()}.**", f"$$\n{proof_latex(proof)}\n$$", " ".join(_sentences(proof))]
    if proof.counterexample is not None and proof.counterexample.inputs:
        values = [rf"{typeset(name).text()} = {_matrix(value)}" for name, value in _inputs(proof.counterexample)]
        parts.append("$$\n" + r",\qquad ".join(values) + "\n$$")
    return "\n\n".join(parts)


def _sentences(proof: Proof) -> list[str]:
    found = [proof.reason]
    if proof.trials:
        how = strength(proof.probability, proof.digits)
        found.append(f"Evaluated and found equal at {proof.trials} random samples of sizes and inputs{how}.")
    return found


def strength(probability: Fraction | None, digits: int | None) -> str:
    if probability is not None:
        return f"; something false would pass at these sizes with a probability below {power_of_ten(probability)} (Schwartz–Zippel)"
    return f", to {digits} digits" if digits else ""


def power_of_ten(probability: Fraction) -> str:
    """The next power of ten above a small probability, as text: 1e-12."""
    exponent = 0
    while probability < Fraction(1, 10 ** (exponent + 1)) and exponent < 400:
        exponent += 1
    return f"1e-{exponent}" if exponent else "1"


def _inputs(c: Counterexample) -> list[tuple[str, Any]]:
    return [(name, v) for name, v in c.inputs.items() if name not in c.sizes]


def _nested(value: Any) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, list) else number(value)


def _matrix(value: Any) -> str:
    """Nested lists of one or two levels as a column or a matrix, deeper ones as lists."""
    if not isinstance(value, list):
        return number(value)
    rows = value if value and isinstance(value[0], list) else [[v] for v in value]
    if any(isinstance(v, list) for row in rows for v in row):
        return r"\text{" + _nested(value) + "}"
    return r"\begin{pmatrix}" + r" \\ ".join(" & ".join(map(number, row)) for row in rows) + r"\end{pmatrix}"
