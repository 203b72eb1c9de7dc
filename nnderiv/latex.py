r"""Programs, equations and expressions -> LaTeX: index form from the tree itself, matrix form from `matrix`.

The law: what is printed can be read in one way only. Products are written side by side, and a factor that would
swallow what follows (a sum) stands last or in brackets; Σ reaches as far as the product behind it; [c] is 1 where c
holds and 0 elsewhere, and makes a product 0 whatever stands beside it.

    Num, Const, IntValue   numbers, \infty, \pi, polynomials with \lfloor a/b \rfloor and a \bmod b
    Read                   W_{i,o};  (W_{1})_{h,i} where the name has a number, Y^{\mathrm{lse}}_{n} where it has a tag
    Op                     \frac, \sqrt, upright functions, [c] or cases for where, \land \lor \lnot
    Reduce                 \sum_{i,j}, \sum_{u=0}^{2} where no subscript shows the range, \max_{u}(…), …
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import singledispatch

from .bounds import Range
from .conditions import OPPOSITE, turned
from .expr import COMPARISONS, DERIVATIVES, NORMALISERS, ONE, ZERO, Const, Expr, IntValue, Num, Op, Read, Reduce, ints, mul, neg, reads
from .integer import Element, Int, Mod
from .polynomial import factors, is_reciprocal, product
from .program import Equation, Program
from .tex_names import name_latex
from .tex_pieces import (
    AND,
    APPLICATION,
    ATOM,
    COMPARISON,
    FRACTION,
    NOT,
    OR,
    PRODUCT,
    SUM,
    Piece,
    add_up,
    brackets,
    int_latex,
    int_piece,
    juxtapose,
    read_piece,
    subscript,
)
from .text import decimal

Bounds = Mapping[str, Range]  # ranges of the bound indices that no subscript shows


# -- programs ----------------------------------------------------------------------------------------------------------
def program_latex(program: Program) -> str:
    """All equations and facts, aligned at their equality signs."""
    lines = [equation_latex(program, e, align=True) for e in program.equations]
    return aligned([*lines, *(r"& \text{given } " + expression_latex(g) for g in program.givens)])


def equation_latex(program: Program, e: Equation, align: bool = False, clause: bool = True) -> str:
    """One equation in index form, followed (unless `clause` is False) by the ranges that no subscript shows."""
    hidden = {i: r for i, r in e.ranges.items() if not shows_range(program, e, i)}
    shown = [f"{tex_range(r)}".replace("?", name_latex(i)) for i, r in hidden.items() if i in e.indices]
    behind = r",\quad " + r",\ ".join(shown) if shown and clause else ""
    right = tex(e.body, {i: r for i, r in hidden.items() if i not in e.indices}).text
    return f"{read_piece(e.tensor, e.subs).text} {'&' if align else ''}= {right}{behind}"


def shows_range(program: Program, e: Equation, index: str) -> bool:
    """Whether the range of an index can be seen: other tensors, read at the bare index, all have it as their extent."""
    r = e.ranges[index]
    if index in e.indices and not e.is_base:
        r = program.dims[e.tensor][e.indices.index(index)]  # as it was before base cases were cut off
    places: list[Read | Element] = [
        *reads(e.body),
        *(element for value in ints(e.body) for element in value.elements()),
    ]
    others = [place for place in places if place.tensor != e.tensor]
    seen = [program.dims[p.tensor][k] for p in others for k, s in enumerate(p.subs) if s.name == index]
    return bool(seen) and all(axis == r for axis in seen)


def expression_latex(e: Expr) -> str:
    """One expression in index form, without the ranges of its reductions."""
    return tex(e, {}).text


def aligned(lines: Iterable[str]) -> str:
    """Lines with their & and \\\\ in an aligned environment."""
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def tex_range(r: Range) -> str:
    """lo ≤ ? < hi, with a ? where the index stands."""
    return f"{int_latex(r.lo)} \\le ? < {int_latex(r.hi)}"


# -- expressions -------------------------------------------------------------------------------------------------------
_UPRIGHT = {
    "exp": r"\exp",
    "log": r"\log",
    "tanh": r"\tanh",
    "sin": r"\sin",
    "cos": r"\cos",
    "sigmoid": r"\sigma",
    "max": r"\max",
    "min": r"\min",
    "relu": r"\operatorname{ReLU}",
    "gelu": r"\operatorname{GELU}",
    "silu": r"\operatorname{SiLU}",
}
RELATION = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}


def function_latex(name: str) -> str:
    return _UPRIGHT.get(name) or r"\operatorname{" + name.replace("_", "") + "}"


@singledispatch
def tex(e: Expr, bounds: Bounds) -> Piece:
    raise TypeError(f"no LaTeX for {type(e).__name__}")


@tex.register
def _(e: Num, bounds: Bounds) -> Piece:
    return number_piece(e.value)


def number_piece(value: Fraction) -> Piece:
    """An integer, a fraction with a small denominator, or a decimal."""
    if value < 0:
        return add_up([(-1, number_piece(-value))])
    if value.denominator == 1:
        return Piece(str(value))
    if value.denominator in (2, 4, 8, 16) or "/" in decimal(value)[0]:
        return Piece(rf"\frac{{{value.numerator}}}{{{value.denominator}}}", FRACTION)
    return Piece(decimal(value)[0])


@tex.register
def _(e: Const, bounds: Bounds) -> Piece:
    return Piece({"inf": r"\infty", "pi": r"\pi"}[e.name])


@tex.register
def _(e: IntValue, bounds: Bounds) -> Piece:
    return int_piece(e.value)


@tex.register
def _(e: Read, bounds: Bounds) -> Piece:
    return read_piece(e.tensor, e.subs)


@tex.register
def _(e: Reduce, bounds: Bounds) -> Piece:
    if e.op == "sum":
        body = tex(e.body, bounds)
        return Piece(f"{sum_signs(e.indices, bounds)} {body.within(PRODUCT)}", PRODUCT, open=True)
    below = ",".join(name_latex(i) for i in e.indices if i not in bounds or e.op in NORMALISERS)
    ranges = [
        tex_range(bounds[i]).replace("?", name_latex(i)) for i in e.indices if i in bounds and e.op not in NORMALISERS
    ]
    return Piece(
        f"{function_latex(e.op)}_{{{', '.join(filter(None, [below, *ranges]))}}}{brackets(tex(e.body, bounds).text)}",
        APPLICATION,
    )


def sum_signs(indices: tuple[str, ...], bounds: Bounds) -> str:
    """One Σ for all indices whose ranges are evident, one with limits for each other."""
    plain = ",".join(name_latex(i) for i in indices if i not in bounds)
    signs = [rf"\sum_{{{plain}}}"] if plain else []
    limits = [(name_latex(i), bounds[i]) for i in indices if i in bounds]
    return " ".join([*signs, *(rf"\sum_{{{i}={subscript(r.lo)}}}^{{{subscript(r.hi - 1)}}}" for i, r in limits)])


@tex.register
def _(e: Op, bounds: Bounds) -> Piece:
    if e.op in _OPERATORS:
        return _OPERATORS[e.op](e, bounds)
    if e.op in COMPARISONS:
        return _comparison(e, bounds)
    arguments = ", ".join(tex(a, bounds).text for a in e.args)
    return Piece(function_latex(e.op) + brackets(arguments), APPLICATION)


def _sum(e: Op, bounds: Bounds) -> Piece:
    """Signs are merged; only the first term can begin with a minus."""
    parts = e.args if e.op == "+" else (e,)
    minus = [(isinstance(a, Op) and a.op == "neg") or (isinstance(a, Num) and a.value < 0) for a in parts]
    return add_up(
        [(-1, tex(neg(a), bounds)) if m else (1, tex(a, bounds)) for a, m in zip(parts, minus, strict=True)]
    )


def _with_plain_roots(e: Op) -> Expr:
    """√2/2 as 1/√2, √2/√π as √(2/π), and 1/(√2 √π) as 1/√(2 π)."""
    parts = factors(e)
    below = [f for f in parts if is_reciprocal(f) and _is_root_of_number(f.args[1])]
    if len(below) > 1:
        root = Op("sqrt", (mul([f.args[1].args[0] for f in below if isinstance(f.args[1], Op)]),))
        return product([*(f for f in parts if f not in below), ONE / root])
    for f in parts:
        for g in parts:
            if isinstance(f, Op) and (joined := _joined_root(f, g)) is not None:
                return product([*joined, *(h for h in parts if h is not f and h is not g)])
    return e


def _joined_root(root: Op, other: Expr) -> list[Expr] | None:
    """√n · 1/(n k) as 1/k · 1/√n, and √a · 1/√b as √(a/b)."""
    if root.op != "sqrt" or not isinstance(root.args[0], Num):
        return None
    n = root.args[0].value
    if isinstance(other, Num) and number_piece(other.value).level == FRACTION and n.denominator == 1 and other.value.denominator % n == 0:
        return [Num(other.value * n), ONE / root]
    below = other.args[1] if is_reciprocal(other) else None
    return [Op("sqrt", (root.args[0] / below.args[0],))] if isinstance(below, Op) and _is_root_of_number(below) else None


def _is_root_of_number(e: Expr) -> bool:
    return isinstance(e, Op) and e.op == "sqrt" and all(isinstance(f, Num | Const) for f in factors(e.args[0]))


def _product(e: Op, bounds: Bounds) -> Piece:
    """Factors in their order, sums last."""
    if (plain := _with_plain_roots(e)) is not e:
        return tex(plain, bounds)
    return juxtapose(sorted((tex(a, bounds) for a in e.args), key=lambda piece: piece.open))


def _quotient(e: Op, bounds: Bounds) -> Piece:
    """A fraction; a sum in the numerator is written after it, and so are cases."""
    top, bottom = e.args
    if (plain := _with_plain_roots(e)) is not e:
        return tex(plain, bounds)
    if isinstance(top, Op) and top.op == "neg":
        return add_up([(-1, _quotient(Op("/", (top.args[0], bottom)), bounds))])
    parts = list(top.args) if isinstance(top, Op) and top.op == "*" else [top]
    if isinstance(parts[0], Num) and number_piece(parts[0].value).level == FRACTION:  # ½a/x as a/(2x)
        value = parts[0].value
        parts[0], bottom = Num(Fraction(value.numerator)), mul([Num(Fraction(value.denominator)), bottom])
        top = mul(parts)
    sums = [p for p in parts if tex(p, bounds).open]
    if len(sums) == 1:
        parts.remove(sums[0])
        front = rf"\frac{{{tex(mul(parts), bounds).text}}}{{{tex(bottom, bounds).text}}}"
        return juxtapose([Piece(front, FRACTION), tex(sums[0], bounds)])
    return Piece(rf"\frac{{{tex(top, bounds).text}}}{{{tex(bottom, bounds).text}}}", FRACTION)


def _power(e: Op, bounds: Bounds) -> Piece:
    base, exponent = (tex(a, bounds) for a in e.args)
    if (squared := power_of_function(e.args[0].op if isinstance(e.args[0], Op) else "", e.args[1], base.text)) is not None:
        return squared
    if isinstance(e.args[1], Num) and e.args[1].value.denominator != 1:
        exponent = Piece(str(e.args[1].value))
    return Piece(f"{base.within(ATOM)}^{{{exponent.text}}}", APPLICATION)


def power_of_function(op: str, exponent: Expr, shown: str) -> Piece | None:
    r"""\tanh^{2}(x), from \tanh(x); None where nobody writes it so."""
    if op not in ("tanh", "sin", "cos") or not isinstance(exponent, Num) or exponent.value.denominator != 1 or exponent.value < 2:
        return None
    name = function_latex(op)
    return Piece(f"{name}^{{{exponent.value}}}{shown.removeprefix(name)}", APPLICATION)


def _sqrt(e: Op, bounds: Bounds) -> Piece:
    return Piece(rf"\sqrt{{{tex(e.args[0], bounds).text}}}", APPLICATION)


def _partial(e: Op, bounds: Bounds) -> Piece:
    """A derivative that is not carried out."""
    of, by = tex(e.args[0], bounds), tex(e.args[1], bounds)
    d = r"\mathrm{d}" if e.op == "total" else r"\partial "
    top = of.text if isinstance(e.args[0], Read) else of.within(ATOM)
    return Piece(rf"\frac{{{d}{top}}}{{{d}{by.text}}}", FRACTION)


def _abs(e: Op, bounds: Bounds) -> Piece:
    return Piece(rf"\lvert {tex(e.args[0], bounds).text} \rvert")


def _where(e: Op, bounds: Bounds) -> Piece:
    """[c] a where the other branch is 0, a number first; else cases, one row for each condition of a chain."""
    condition, a, b = e.args
    if a == ZERO and isinstance(condition, Op) and condition.op in OPPOSITE:
        condition, a, b = Op(OPPOSITE[condition.op], condition.args), b, a
    if b == ZERO:
        bracket = Piece(f"[{tex(condition, bounds).text}]")
        beside = [bracket] if a == ONE else [tex(a, bounds), bracket] if isinstance(a, Num) else [bracket, tex(a, bounds)]
        return juxtapose(beside)
    rows: list[str] = []
    rest: Expr = e
    while isinstance(rest, Op) and rest.op == "where":
        rows.append(rf"{tex(rest.args[1], bounds).text} & \text{{if }} {tex(rest.args[0], bounds).text}")
        rest = rest.args[2]
    rows.append(rf"{tex(rest, bounds).text} & \text{{otherwise}}")
    body = r" \\ ".join(rows)
    return Piece(rf"\begin{{cases}} {body} \end{{cases}}", PRODUCT, open=True)  # last in a product, the brace is bracket enough


# -- conditions --------------------------------------------------------------------------------------------------------
def _comparison(e: Op, bounds: Bounds) -> Piece:
    """a ≤ b; that m divides a, where its remainder is compared with 0; a < 1 for 1 − a > 0."""
    e = turned(e)
    a, b = e.args
    if e.op in ("==", "!=") and b == IntValue(Int.of(0)) and isinstance(a, IntValue) and isinstance(found := a.value.lone, Mod):
        sign = r"\mid" if e.op == "==" else r"\nmid"
        return Piece(
            f"{int_piece(found.bottom).within(FRACTION)} {sign} {int_piece(found.top).within(SUM)}", COMPARISON
        )
    return Piece(f"{tex(a, bounds).within(SUM)} {RELATION[e.op]} {tex(b, bounds).within(SUM)}", COMPARISON)


def _and(e: Op, bounds: Bounds) -> Piece:
    r"""a ≤ b and b < c as a ≤ b < c; else joined by \land."""
    shown: list[str] = []
    last: Expr | None = None
    for c in e.args:
        chained = isinstance(c, Op) and c.op in ("<", "<=") and last is not None and c.args[0] == last
        if chained and isinstance(c, Op):
            shown[-1] += f" {RELATION[c.op]} {tex(c.args[1], bounds).within(SUM)}"
        else:
            shown.append(tex(c, bounds).within(NOT))
        last = c.args[1] if isinstance(c, Op) and c.op in ("<", "<=") else None
    if len(shown) == 1:
        return Piece(shown[0], COMPARISON)
    return Piece(r" \land ".join(f"{{{c}}}" for c in shown), AND)  # in braces: a line that is too long breaks at a ∧, not at a =


def _or(e: Op, bounds: Bounds) -> Piece:
    return Piece(r" \lor ".join(tex(c, bounds).within(NOT) for c in e.args), OR)


def _not(e: Op, bounds: Bounds) -> Piece:
    inner = tex(e.args[0], bounds)
    return Piece(rf"\lnot {brackets(inner.text)}", NOT)


def _truth(e: Op, bounds: Bounds) -> Piece:
    return Piece(rf"\text{{{e.op}}}", COMPARISON)


_OPERATORS = {
    "+": _sum,
    "neg": _sum,
    "*": _product,
    "/": _quotient,
    "**": _power,
    "sqrt": _sqrt,
    **dict.fromkeys(DERIVATIVES, _partial),
    "abs": _abs,
    "where": _where,
    "and": _and,
    "or": _or,
    "not": _not,
    "true": _truth,
    "false": _truth,
}
