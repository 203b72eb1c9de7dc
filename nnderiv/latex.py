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

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, singledispatch

from sympy import Symbol
from sympy import latex as sympy_latex

from .bounds import Range
from .conditions import OPPOSITE, turned
from .expr import (
    COMPARISONS,
    DERIVATIVES,
    NORMALISERS,
    ONE,
    ZERO,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    decimal,
    factors,
    ints,
    is_reciprocal,
    mul,
    neg,
    product,
    reads,
)
from .integer import Element, Extreme, FloorDiv, Int, Mod
from .program import Equation, Program

# Binding strengths. A FRACTION or an APPLICATION stands in a product as it is, but not as the base of a power.
OR, AND, NOT, COMPARISON, SUM, HADAMARD, PRODUCT, FRACTION, APPLICATION, ATOM = range(1, 11)
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
    return f"{_read(e.tensor, e.subs).text} {'&' if align else ''}= {right}{behind}"


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


def expression_latex(e: Expr, bounds: Bounds | None = None) -> str:
    """One expression in index form; `bounds` holds the ranges to be written at reductions."""
    return tex(e, bounds or {}).text


def aligned(lines: Iterable[str]) -> str:
    """Lines with their & and \\\\ in an aligned environment."""
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def tex_range(r: Range) -> str:
    """lo ≤ ? < hi, with a ? where the index stands."""
    return f"{int_latex(r.lo)} \\le ? < {int_latex(r.hi)}"


# -- names -------------------------------------------------------------------------------------------------------------
_NAME = re.compile(
    r"(?P<base>[A-Za-z]+?)(?P<accent>hat|bar|tilde)?(?P<digits>\d*)(?P<tags>(?:_[A-Za-z0-9]+)*)(?P<primes>_*)"
)
_LETTERS = {"eps": r"\varepsilon", "ell": r"\ell", "lam": r"\lambda"}
_LABELLED = re.compile(r"([KQRUVW]|b)([a-z])")  # Wq, bi: a letter with an upright label


@dataclass(frozen=True)
class Name:
    """A name as it is typeset: a symbol with what stands below and above it."""

    symbol: str
    below: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    def text(self, subscripts: str = "", superscript: str = "") -> str:
        """With subscripts; a name that has a number of its own is put in brackets before them."""
        if self.below and subscripts:
            return f"({self.text()}){_script('_', subscripts)}{_script('^', superscript)}"
        comma = "," if self.above and superscript.startswith("(") else ""
        above = ",".join(self.above) + comma + superscript
        if self.below:
            return self.symbol + _script("_", ",".join(self.below)) + _script("^", above)
        return self.symbol + _script("^", above) + _script("_", subscripts)


def _script(mark: str, content: str) -> str:
    return f"{mark}{{{content}}}" if content else ""


@lru_cache(maxsize=4096)
def typeset(name: str, differential: bool = True) -> Name:
    r"""dW -> \mathrm{d}W, h0 -> h_{0}, Y_lse -> Y^{\mathrm{lse}}, xhat -> \hat{x}, theta -> \theta, Wq -> W_{\mathrm{q}}."""
    match = _NAME.fullmatch(name)
    if match is None:
        return Name(r"\mathrm{" + name.replace("_", r"\_") + "}")
    if differential and name[0] == "d" and len(name) > 1 and _is_symbol(name[1:]):
        inner = typeset(name[1:])
        return Name(r"\mathrm{d}" + inner.symbol, inner.below, inner.above)
    base, accent = match["base"], match["accent"]
    if accent and not _letter(base):
        base, accent = base + accent, None
    label = _LABELLED.fullmatch(base) if not _letter(base) else None
    symbol = label[1] if label else _letter(base) or rf"\mathrm{{{base}}}"
    tags = [t for t in match["tags"].split("_") if t]
    below = [rf"\mathrm{{{label[2]}}}" if label else "", match["digits"], *(t for t in tags if t.isdigit())]
    above = [*(rf"\mathrm{{{t}}}" for t in tags if not t.isdigit()), r"\prime" * len(match["primes"])]
    return Name(rf"\{accent}{{{symbol}}}" if accent else symbol, tuple(filter(None, below)), tuple(filter(None, above)))


def _letter(base: str) -> str:
    """A single letter or a Greek one in LaTeX, else nothing."""
    if len(base) == 1:
        return base
    greek = base in _LETTERS or sympy_latex(Symbol(base)) == f"\\{base}"
    return (_LETTERS.get(base) or f"\\{base}") if greek else ""


def _is_symbol(name: str) -> bool:
    """Whether a d before this name is a differential: it is a decorated letter, or the differential of one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    return bool(_letter(match["base"]) or _LABELLED.fullmatch(match["base"])) or (name[0] == "d" and len(name) > 1 and _is_symbol(name[1:]))


def name_latex(name: str) -> str:
    """An index, a size or a parameter."""
    return typeset(name, differential=False).text()


# -- pieces with their binding strength --------------------------------------------------------------------------------
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
    """A product: factors side by side, with a dot where two numbers would meet, a thin space where letters would run together."""
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
    r"""r dW, lam w: an upright d behind a letter, a whole word before one. What ends in a fraction or brackets stands apart."""
    upright = after.startswith(r"\mathrm{") and before[-1].isalnum()
    return upright or bool(re.search(r"\\mathrm\{[A-Za-z]{2,}\}$", before))


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
        return _read(atom.tensor, atom.subs)
    return Piece(name_latex(str(atom)))


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
    return _read(e.tensor, e.subs)


def _read(tensor: str, subs: tuple[Int, ...]) -> Piece:
    name = typeset(tensor)
    return Piece(name.text(",".join(map(subscript, subs))), APPLICATION if name.above else ATOM)


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
    below = [f for f in parts if isinstance(f, Op) and is_reciprocal(f) and _is_root_of_number(f.args[1])]
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
    below = other.args[1] if isinstance(other, Op) and is_reciprocal(other) else None
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
    sums = [p for p in parts if (shown := tex(p, bounds)).open or shown.text.startswith(r"\begin{cases}")]
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
    return Piece(rf"\begin{{cases}} {body} \end{{cases}}", COMPARISON)


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
    return Piece(r" \land ".join(shown), AND if len(shown) > 1 else COMPARISON)


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
