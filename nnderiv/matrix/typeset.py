r"""A matrix form -> LaTeX, with amsmath's and amssymb's commands only.

    X\,W  W^{\top}  A \odot B  a \oslash b  a^{\odot 2}  \operatorname{diag}(a)  \operatorname{tr}(A)  \mathbf{1}  h^{(t-1)}  [X > 0]
"""

from __future__ import annotations

from functools import singledispatch

from ..expr import COMPARISONS, Const, Expr, Num, Read, map_children
from ..latex import (
    APPLICATION,
    ATOM,
    FRACTION,
    HADAMARD,
    PRODUCT,
    RELATION,
    SUM,
    Piece,
    add_up,
    brackets,
    function_latex,
    juxtapose,
    name_latex,
    shows_range,
    subscript,
    sum_signs,
    tex,
    typeset,
)
from . import nodes as mx
from .build import is_reciprocal
from .recognise import MatrixForm


def matrix_latex(form: MatrixForm, align: bool = False) -> str:
    r"""left = right, with a note on the axes that are left out: \qquad \text{for every } b."""
    note = r",\ ".join(map(name_latex, form.for_every))
    clause = rf" \qquad \text{{for every }} {note}" if note else ""
    return f"{_mat(form.left, form).text} {'&' if align else ''}= {_mat(form.right, form).text}{clause}"


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
    return Piece(f"{_mat(a.of, form).within(ATOM)}^{{\\top}}", APPLICATION)


@_mat.register
def _(a: mx.Times, form: MatrixForm) -> Piece:
    pieces = [_mat(p, form) for p in a.parts]
    shown = [brackets(p.text) if p.open and k < len(pieces) - 1 else p.within(PRODUCT) for k, p in enumerate(pieces)]
    return Piece(r"\,".join(shown), PRODUCT, pieces[-1].open)


@_mat.register
def _(a: mx.Hadamard, form: MatrixForm) -> Piece:
    return Piece(r" \odot ".join(_mat(p, form).within(FRACTION) for p in a.parts), HADAMARD)


@_mat.register
def _(a: mx.Plus, form: MatrixForm) -> Piece:
    return add_up([(sign, _mat(t, form)) for sign, t in a.terms])


@_mat.register
def _(a: mx.Scale, form: MatrixForm) -> Piece:
    return juxtapose([_mat(p, form) for p in mx.parts_of(a)])


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
    if a.op == "**":
        return Piece(rf"{args[0].within(ATOM)}^{{\odot {args[1].text}}}", APPLICATION)
    if a.op == "sqrt":
        return Piece(rf"\sqrt{{{args[0].text}}}", APPLICATION)
    if a.op == "abs":
        return Piece(rf"\lvert {args[0].text} \rvert")
    return Piece(function_latex(a.op) + brackets(", ".join(p.text for p in args)), APPLICATION)
