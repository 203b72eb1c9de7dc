"""What derivations and proofs look like: plain text for a terminal, Markdown with mathematics for notebooks and pages, LaTeX.

Markdown is read by Jupyter and by the book alike; formulas stand between $$, and what is long folds.
"""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .latex import equation_latex, expression_latex
from .numbers import shown as number
from .program import Program
from .reasons import NAMES, primed
from .tex_names import typeset

if TYPE_CHECKING:
    from .derivation import Derivation
    from .prove import Counterexample, Proof
    from .step import Step

WIDTH = 100


def wrapped(text: str, indent: str = "    ") -> str:
    """Lines of at most 100 characters, none of which ends before an = or within a small sum."""
    whole = re.sub(r" (=|==|<|<=|>|>=|[-+%]) ", lambda m: f"\0{m.group(1)}\0", text) if len(text) < 400 else text
    lines = textwrap.fill(whole, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines.replace("\0", " ")


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
    (left, near), (right, far) = (_right_hand_side(p) for p in proof.sides)
    facts = "".join(rf",\quad \text{{given }} {expression_latex(g)}" for g in proof.sides[0].givens)
    return f"{left} {sign} {right}{''.join(dict.fromkeys((near, far)))}{facts}"


def _right_hand_side(program: Program) -> tuple[str, str]:
    """What the output is, and the ranges that no subscript shows."""
    e = program.definitions[program.outputs[0]][-1]
    bare = equation_latex(program, e, clause=False)
    return bare.split(" = ", 1)[1], equation_latex(program, e).removeprefix(bare)


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


# -- steps -------------------------------------------------------------------------------------------------------------------
def step_text(step: Step) -> str:
    """The rule and its reason, then the line that the step arrives at."""
    return "\n".join([wrapped(f"{step.rule}: {primed(step.reason)}", ""), wrapped(primed(str(step.after)))])


def steps_text(steps: Sequence[Step]) -> str:
    """Each gradient from its definition, line by line, with the rule above each line."""
    lines: list[str] = []
    for group in groups(steps):
        first = group[0].before
        lines += [*([""] if lines else []), f"{first.left} = {primed(str(first.body))}"]
        for s in group:
            if s.rule != NAMES["matrix"]:  # a terminal has no matrices to show
                lines += [wrapped(f"{s.rule}: {s.reason}", "  "), _line(f"= {primed(str(s.after.body))}")]
    return "\n".join([*lines, *([""] if lines else []), wrapped(evidence(steps), "")])


def _line(text: str) -> str:
    """A right-hand side, broken where its terms end."""
    return textwrap.fill(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False)


def groups(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps of each gradient, in order."""
    found: dict[str, list[Step]] = {}
    for s in steps:
        found.setdefault(s.of, []).append(s)
    return list(found.values())


def evidence(steps: Sequence[Step]) -> str:
    """How surely all steps hold."""
    if not steps:
        return "There is nothing to derive: no output depends on it."
    trials = min(s.trials for s in steps)
    bounded = [s.probability for s in steps if s.probability is not None]
    digits = [s.digits for s in steps if s.digits is not None]
    sure = f"; a false one would pass at these sizes with a probability below {power_of_ten(max(bounded))} (Schwartz–Zippel)" if (
        len(bounded) == len(steps)) else f", to at least {min(digits)} digits" if digits else ""
    return f"Each step was evaluated on both sides and found equal at {trials} random samples of sizes and inputs{sure}."


def step_markdown(step: Step) -> str:
    return f"**{step.rule[:1].upper()}{step.rule[1:]}.** {step.said}\n\n$$\n{step.latex}\n$$"


def steps_markdown(steps: Sequence[Step]) -> str:
    """The last gradient step by step; those that it rests on fold open."""
    if not steps:
        return evidence(steps)
    *before, last = groups(steps)
    folded = [f"<details>\n<summary>{html.escape(group[0].of)}: {len(group)} steps</summary>\n\n{_group_markdown(group)}\n\n</details>"
              for group in before]
    return "\n\n".join([*folded, _group_markdown(last), evidence(steps)])


def _group_markdown(group: Sequence[Step]) -> str:
    return "\n\n".join([f"$$\n{_definition(group)}\n$$", *map(step_markdown, group)])


def _definition(group: Sequence[Step]) -> str:
    """Where the steps of a gradient begin."""
    e = group[0].before
    return f"{expression_latex(e.element)} = {expression_latex(e.body)}"


# -- documents ---------------------------------------------------------------------------------------------------------------
_PREAMBLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage[a4paper, margin=2.5cm]{geometry}
\usepackage{amsmath, amssymb, graphicx}
\newsavebox{\formula}
% A formula that is wider than the page, or higher, is made smaller.
\newcommand{\fit}[1]{\sbox{\formula}{$\displaystyle #1$}%
  \ifdim\wd\formula>\linewidth \sbox{\formula}{\resizebox{\linewidth}{!}{\usebox{\formula}}}\fi
  \ifdim\dimexpr\ht\formula+\dp\formula\relax>0.9\textheight \sbox{\formula}{\resizebox{!}{0.9\textheight}{\usebox{\formula}}}\fi
  \[\usebox{\formula}\]}
\setlength{\parindent}{0pt}
\emergencystretch=5em
\begin{document}
"""


def document(derivation: Derivation, steps: bool = True) -> str:
    """An article of its own: the program, its gradients, each with its derivation."""
    title = derivation.forward.title or "Gradients"
    parts = [_PREAMBLE + rf"\section*{{{escaped(title[:1].upper() + title[1:])}}}", _fit(derivation.forward.latex())]
    parts += [r"\section*{Gradients}", _fit(derivation.latex()), r"\section*{The same in matrix form}", _fit(derivation.latex("matrix"))]
    for gradient in derivation:
        if steps:
            parts += [rf"\section*{{The gradient with respect to ${typeset(gradient.wrt).text()}$}}", steps_latex(gradient.steps)]
    return "\n".join([*parts, r"\end{document}"])


def steps_latex(steps: Sequence[Step]) -> str:
    r"""The steps for a LaTeX document that defines \fit as `document` does."""
    parts = []
    for group in groups(steps):
        parts.append(_fit(_definition(group)))
        for s in group:
            parts += [rf"\textbf{{{escaped(s.rule[:1].upper() + s.rule[1:])}.}} {escaped(s.said)}", _fit(s.latex)]
    return "\n".join([*parts, escaped(evidence(steps))])


def _fit(formula: str) -> str:
    return rf"\fit{{{formula}}}"


_SPECIAL = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
            "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "–": "--", "—": "---", "’": "'", "…": r"\dots{}", "≠": r"$\ne$",
            "≤": r"$\le$", "≥": r"$\ge$", "⟨": r"$\langle$", "⟩": r"$\rangle$", "ᵀ": r"$^{\top}$", "√": r"$\surd$", "∂": r"$\partial$",
            "Σ": r"$\sum$", "→": r"$\to$", "·": r"$\cdot$", "×": r"$\times$", "⊙": r"$\odot$", "−": "$-$", "²": "$^2$", "½": r"$\frac12$"}


def escaped(markdown: str) -> str:
    """A sentence for LaTeX: what stands between dollars stays as it is; a character that fonts may lack is called by its name."""
    parts = markdown.split("$")
    return "$".join(p if k % 2 else "".join(map(_in_latex, p)) for k, p in enumerate(parts))


def _in_latex(c: str) -> str:
    if c in _SPECIAL or ord(c) < 0x180:
        return _SPECIAL.get(c, c)
    name = unicodedata.name(c, f"U+{ord(c):X}").lower()
    greek = re.fullmatch(r"greek small letter (\w+)", name)
    plain = {"omicron": "o", "lamda": r"\lambda", "final": r"\varsigma"}
    return f"${plain.get(greek[1], chr(92) + greek[1])}$" if greek else f"[{name}]"
