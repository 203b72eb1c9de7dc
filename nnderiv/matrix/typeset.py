r"""A matrix form -> LaTeX, with amsmath's and amssymb's commands only.

    X\,W  W^{\top}  A \odot B  a \oslash b  a^{\odot 2}  \operatorname{diag}(a)  \operatorname{tr}(A)  \mathbf{1}  h^{(t-1)}  [X > 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from ..bounds import never_negative
from ..expr import COMPARISONS, UNARY, Const, Expr, Num, Read, map_children
from ..integer import Int
from ..latex import RELATION, equation_latex, function_latex, power_of_function, shows_range, sum_signs, tex
from ..program import Equation
from ..tex_names import name_latex, typeset
from ..tex_pieces import APPLICATION, ATOM, FRACTION, HADAMARD, PRODUCT, SUM, Piece, add_up, brackets, int_latex, juxtapose, subscript
from ..within import positive_names
from . import nodes as mx
from .build import is_reciprocal
from .form import MatrixForm


def matrix_latex(form: MatrixForm) -> str:
    r"""left = right, what the form names, and a note on the axes that are left out: \qquad \text{for every } b."""
    operators = operators_latex(form)
    where = [*(defined_latex(form, d) for d in form.definitions), *functions_latex(form), *operators]
    where += [outside_latex(form)] if operators else []
    clause = r",\qquad \text{where } " + r",\quad ".join(where) if where else ""
    return formula_latex(form) + clause + note_latex(form)


def formula_latex(form: MatrixForm, align: bool = False) -> str:
    """left = right."""
    return f"{_mat(form.left, form).text} {'&' if align else ''}= {_mat(form.right, form).text}"


def defined_latex(form: MatrixForm, definition: MatrixForm | Equation, align: bool = False) -> str:
    """A definition in matrices, or in indices."""
    return formula_latex(definition, align) if isinstance(definition, MatrixForm) else equation_latex(form.program, definition, align)


def note_latex(form: MatrixForm) -> str:
    names = r",\ ".join(map(name_latex, form.for_every))
    return rf" \qquad \text{{for every }} {names}" if names else ""


@singledispatch
def _mat(a: mx.Node, form: MatrixForm) -> Piece:
    raise TypeError(f"no LaTeX for {type(a).__name__}")


@_mat.register
def _(a: mx.Leaf, form: MatrixForm) -> Piece:
    return _leaf(a, form)


def _leaf(a: mx.Leaf, form: MatrixForm, transpose: bool = False) -> Piece:
    r"""h^{(t-1)}, W^{\top}, h^{(t)\top}; a number for each superscript keeps them as subscripts: s_{t}."""
    kept = [subscript(s) for k, s in enumerate(a.subs) if s is not None and (a.tensor, k) not in form.silent]
    name = typeset(a.tensor)
    if None not in a.subs:
        return Piece(name.text(",".join(kept)), APPLICATION if name.above else ATOM)
    above = (f"({','.join(kept)})" if kept else "") + (r"\top" if transpose else "")
    return Piece(name.text(superscript=above), APPLICATION if name.above or above else ATOM)


@_mat.register
def _(a: mx.Scalar, form: MatrixForm) -> Piece:
    return tex(_without_silent(a.value, form), {})


def _without_silent(e: Expr, form: MatrixForm) -> Expr:
    """Reads without the superscripts that are left out."""
    if isinstance(e, Read):
        return Read(e.tensor, tuple(s for k, s in enumerate(e.subs) if (e.tensor, k) not in form.silent))
    return map_children(lambda c: _without_silent(c, form), e)


@_mat.register
def _(a: mx.Fill, form: MatrixForm) -> Piece:
    """A number beside matrices means each of their elements; another scalar is written out."""
    value = tex(_without_silent(a.value, form), {})
    if isinstance(a.value, Num | Const):
        return value
    ones = Piece(_ONE + (rf"\,{_ONE}^{{\top}}" if a.column else ""), PRODUCT)
    return juxtapose([value, ones])


_ONE = r"\mathbf{1}"


@_mat.register
def _(a: mx.Ones, form: MatrixForm) -> Piece:
    return Piece(_ONE)


@_mat.register
def _(a: mx.Identity, form: MatrixForm) -> Piece:
    return Piece(r"\mathbf{I}")


@_mat.register
def _(a: mx.Transpose, form: MatrixForm) -> Piece:
    if isinstance(a.of, mx.Leaf):
        return _leaf(a.of, form, transpose=True)
    if isinstance(a.of, mx.Elementwise) and a.of.op in UNARY and a.of.op not in ("sqrt", "abs"):  # f(A)ᵀ
        return Piece(rf"{_mat(a.of, form).text}^{{\top}}", APPLICATION)
    return Piece(f"{_mat(a.of, form).within(ATOM)}^{{\\top}}", APPLICATION)


@_mat.register
def _(a: mx.Times, form: MatrixForm) -> Piece:
    pieces = [_mat(p, form) for p in a.parts]
    shown = [brackets(p.text) if p.open and k < len(pieces) - 1 else p.within(PRODUCT) for k, p in enumerate(pieces)]
    return Piece(r"\,".join(shown), PRODUCT, pieces[-1].open)


@_mat.register
def _(a: mx.Hadamard, form: MatrixForm) -> Piece:
    if len(a.parts) > 2 and len(set(a.parts)) == 1:  # a ⊙ a ⊙ a
        return Piece(rf"{_mat(a.parts[0], form).within(ATOM)}^{{\odot {len(a.parts)}}}", APPLICATION)
    return Piece(r" \odot ".join(_mat(p, form).within(FRACTION) for p in a.parts), HADAMARD)


@_mat.register
def _(a: mx.Plus, form: MatrixForm) -> Piece:
    return add_up([(sign, _mat(t, form)) for sign, t in a.terms])


@_mat.register
def _(a: mx.Scale, form: MatrixForm) -> Piece:
    pieces = [_mat(p, form) for p in mx.parts_of(a)]
    closed = [Piece(brackets(p.text)) if isinstance(n, mx.Times) and n is not a.of and len(pieces) > 1 else p
              for n, p in zip(mx.parts_of(a), pieces, strict=True)]
    return juxtapose(closed)


@_mat.register
def _(a: mx.Diag, form: MatrixForm) -> Piece:
    r"""\operatorname{diag}(a), and its inverse where a is a column of reciprocals."""
    reciprocal = is_reciprocal(a.of)
    inner = a.of.args[1] if reciprocal and isinstance(a.of, mx.Elementwise) else a.of
    shown = rf"\operatorname{{diag}}{brackets(_mat(inner, form).text)}"
    return Piece(shown + ("^{-1}" if reciprocal else ""), APPLICATION)


@_mat.register
def _(a: mx.Diagonal, form: MatrixForm) -> Piece:
    return Piece(rf"\operatorname{{diag}}{brackets(_mat(a.of, form).text)}", APPLICATION)


@_mat.register
def _(a: mx.Trace, form: MatrixForm) -> Piece:
    return Piece(rf"\operatorname{{tr}}{brackets(_mat(a.of, form).text)}", APPLICATION)


@_mat.register
def _(a: mx.Along, form: MatrixForm) -> Piece:
    by = "" if a.is_column else r"_{\mathrm{row}}"
    return Piece(f"{function_latex(a.op)}{by}{brackets(_mat(a.of, form).text)}", APPLICATION)


@_mat.register
def _(a: mx.SumOver, form: MatrixForm) -> Piece:
    hidden = {i: form.equation.ranges[i] for i in a.indices if not shows_range(form.program, form.equation, i)}
    return Piece(f"{sum_signs(a.indices, hidden)} {_mat(a.of, form).within(PRODUCT)}", PRODUCT, open=True)


@_mat.register
def _(a: mx.Extreme, form: MatrixForm) -> Piece:
    return Piece(rf"\{a.op}_{{{','.join(map(name_latex, a.indices))}}} {_mat(a.of, form).within(PRODUCT)}", PRODUCT, open=True)


@_mat.register
def _(a: mx.Elementwise, form: MatrixForm) -> Piece:
    args = [_mat(p, form) for p in a.args]
    if a.op == "[]":
        return Piece(f"[{args[0].text}]")
    if a.op in COMPARISONS:
        return Piece(f"[{args[0].within(SUM)} {RELATION[a.op]} {args[1].within(SUM)}]")
    if a.op == "/" and isinstance(a.args[0], mx.Scalar):
        return Piece(rf"\frac{{{args[0].text}}}{{{args[1].text}}}", FRACTION)
    if a.op == "/":
        return Piece(rf"{args[0].within(FRACTION)} \oslash {args[1].within(FRACTION)}", HADAMARD)
    if a.op == "**" and isinstance(a.args[1], mx.Scalar):
        inner = a.args[0].op if isinstance(a.args[0], mx.Elementwise) else ""
        if (squared := power_of_function(inner, a.args[1].value, args[0].text)) is not None:
            return squared
    if a.op == "**":
        return Piece(rf"{args[0].within(ATOM)}^{{\odot {args[1].text}}}", APPLICATION)
    if a.op == "sqrt":
        return Piece(rf"\sqrt{{{args[0].text}}}", APPLICATION)
    if a.op in FUNCTIONS:
        return Piece(FUNCTIONS[a.op][0] + brackets(args[0].text), APPLICATION)
    if a.op == "abs":
        return Piece(rf"\lvert {args[0].text} \rvert")
    return Piece(function_latex(a.op) + brackets(", ".join(p.text for p in args)), APPLICATION)


FUNCTIONS = {
    "Phi": (r"\Phi", r"\Phi(x) = \frac{1}{2} (1 + \operatorname{erf}(x/\sqrt{2}))"),
    "phi": (r"\varphi", r"\varphi(x) = \exp(-x^{2}/2)/\sqrt{2 \pi}"),
}


def functions_latex(form: MatrixForm) -> list[str]:
    """The functions that only a matrix form has a letter for."""
    used = {a.op for a in mx.walk(form.right) if isinstance(a, mx.Elementwise)}
    return [text for op, (_, text) in FUNCTIONS.items() if op in used]


# -- windows -------------------------------------------------------------------------------------------------------------
@_mat.register
def _(a: mx.Correlate, form: MatrixForm) -> Piece:
    r"""A \star B, A \ast B"""
    sign = r"\star" if a.sign > 0 else r"\ast"
    first, second = (_operand(p, form) for p in (a.first, a.second))
    return Piece(f"{first} {sign} {second}", HADAMARD)


def _operand(a: mx.Node, form: MatrixForm) -> str:
    """A window of ones shows its size."""
    if isinstance(a, mx.Fill):
        sizes = r" \times ".join(int_latex(form.equation.ranges[i].size) for i in (a.row, a.column) if i is not None)
        return f"{_ONE}_{{{sizes}}}"
    return _mat(a, form).within(PRODUCT)


@_mat.register
def _(a: mx.Up, form: MatrixForm) -> Piece:
    r"""{\uparrow_{s}} A"""
    return Piece(rf"{{\uparrow_{{{_steps(a.steps)}}}}} {_operator_argument(a.of, form)}", APPLICATION)


@_mat.register
def _(a: mx.Down, form: MatrixForm) -> Piece:
    return Piece(rf"{{\downarrow_{{{_steps(a.steps)}}}}} {_operator_argument(a.of, form)}", APPLICATION)


def _operator_argument(a: mx.Node, form: MatrixForm) -> str:
    return _mat(a, form).within(APPLICATION)


@_mat.register
def _(a: mx.Shift, form: MatrixForm) -> Piece:
    r"""\operatorname{pad}_{p}(A) where p zeros are put in front, \operatorname{crop}_{p}(A) where p places are left out."""
    word = _word(a, form)
    by = tuple(-p for p in a.by) if word == "crop" else a.by
    return Piece(rf"\operatorname{{{word}}}_{{{_steps(by)}}}{brackets(_mat(a.of, form).text)}", APPLICATION)


def _word(a: mx.Shift, form: MatrixForm) -> str:
    moved = [p for p in a.by if p != 0]
    if any(p.symbols() & form.equation.ranges.keys() for p in moved):
        return "shift"
    positive = positive_names(form.program) | set(form.program.parameters)
    if all(never_negative(p, {}, positive) for p in moved):
        return "pad"
    return "crop" if all(never_negative(-p, {}, positive) for p in moved) else "shift"


def _steps(steps: Sequence[Int]) -> str:
    """One number where all axes have the same."""
    return ",".join(map(subscript, dict.fromkeys(steps)))


@_mat.register
def _(a: mx.Flip, form: MatrixForm) -> Piece:
    return Piece(rf"\operatorname{{rot180}}{brackets(_mat(a.of, form).text)}", APPLICATION)


OPERATORS: tuple[tuple[object, str, str], ...] = (
    ("valid", r"(A \star B)_{i} = \sum_{u} A_{i+u} B_{u} \text{ (valid)}",
     r"(A \star B)_{i,j} = \sum_{u,v} A_{i+u,j+v} B_{u,v} \text{ (valid)}"),
    ("full", r"(A \ast B)_{i} = \sum_{u} A_{i-u} B_{u} \text{ (full)}",
     r"(A \ast B)_{i,j} = \sum_{u,v} A_{i-u,j-v} B_{u,v} \text{ (full)}"),
    (1, r"(A \star B)_{i} = \sum_{u} A_{i+u} B_{u}", r"(A \star B)_{i,j} = \sum_{u,v} A_{i+u,j+v} B_{u,v}"),
    (-1, r"(A \ast B)_{i} = \sum_{u} A_{i-u} B_{u}", r"(A \ast B)_{i,j} = \sum_{u,v} A_{i-u,j-v} B_{u,v}"),
    (mx.Up, r"({\uparrow_{s}} A)_{i} = [s \mid i]\,A_{i/s}", r"({\uparrow_{s}} A)_{i,j} = [s \mid i \land s \mid j]\,A_{i/s,j/s}"),
    (mx.Down, r"({\downarrow_{s}} A)_{i} = A_{s i}", r"({\downarrow_{s}} A)_{i,j} = A_{s i,s j}"),
    ("pad", r"\operatorname{pad}_{p}(A)_{i} = A_{i-p}", r"\operatorname{pad}_{p}(A)_{i,j} = A_{i-p,j-p}"),
    ("crop", r"\operatorname{crop}_{p}(A)_{i} = A_{i+p}", r"\operatorname{crop}_{p}(A)_{i,j} = A_{i+p,j+p}"),
    ("shift", r"\operatorname{shift}_{p}(A)_{i} = A_{i-p}", r"\operatorname{shift}_{p,q}(A)_{i,j} = A_{i-p,j-q}"),
    (mx.Flip, r"\operatorname{rot180}(A)_{u} = A_{U-1-u}", r"\operatorname{rot180}(A)_{u,v} = A_{U-1-u,V-1-v}"),
)
OUTSIDE = r"\text{what lies outside is } 0"
NO_PART = r"\text{what lies outside takes no part}"


def outside_latex(form: MatrixForm) -> str:
    """What a read outside means: 0, but nothing in a maximum."""
    return NO_PART if any(isinstance(a, mx.Extreme) for a in mx.walk(form.right)) else OUTSIDE


def operators_latex(form: MatrixForm) -> list[str]:
    """What the operators of a form mean, each defined by its elements."""
    used: set[object] = {type(a) if not isinstance(a, mx.Correlate) else a.mode or a.sign for a in mx.walk(form.right)}
    used |= {_word(a, form) for a in mx.walk(form.right) if isinstance(a, mx.Shift)}
    assert isinstance(form.left, mx.Leaf)
    return [texts[form.left.subs.count(None) == 2] for key, *texts in OPERATORS if key in used]
