r"""What is typeset can be read in one way only, and reads as what it was.

`Reader` reads index-form LaTeX as a mathematician would (side by side is a product, Σ reaches over the product behind
it, [c] is 1 or 0) and gives its value. The law: the value of the LaTeX is the value of the expression.
"""

from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnderiv as nd
from nnderiv.expr import Const, Expr, IntValue, Num, Op, Read, Reduce, num
from nnderiv.forms import derivation_latex
from nnderiv.integer import Element, Int
from nnderiv.latex import equation_latex, expression_latex, program_latex
from nnderiv.tex_names import name_latex, typeset
from nnderiv.tex_pieces import int_latex
from tests.test_sympy_form import PROGRAMS

SPAN = range(2)  # what an index without limits runs over
ENV = {"i": 3, "j": 2, "k": 5, "s": 2, "N": 7}
TOKEN = re.compile(r"\\[A-Za-z]+|\\\\|\d+\.\d+|\d+|\S")


def element(tensor: str, subs: tuple[int, ...]) -> float:
    """Some number for every element of every tensor."""
    return 0.3 + (hash((ord(tensor), *subs)) % 1000) / 400


# -- the value of an expression ----------------------------------------------------------------------------------------
FUNCTIONS: dict[str, Any] = {
    "exp": lambda x: math.exp(min(x, 9.0)),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "sqrt": lambda x: math.sqrt(abs(x)),
    "abs": abs,
    "max": max,
    "min": min,
    "/": lambda a, b: a / b if b else 0.0,
    "**": lambda a, b: abs(a) ** max(min(b, 12.0), -12.0) if a else 0.0,
    "neg": lambda a: -a,
    "+": lambda *a: math.fsum(a),
    "*": lambda *a: math.prod(a),
    "and": lambda *a: all(a),
    "or": lambda *a: any(a),
    "not": lambda a: not a,
    "where": lambda c, a, b: a if c else b,
    # Rounded first: the order of a sum must not decide.
    "<": lambda a, b: rounded(a) < rounded(b),
    "<=": lambda a, b: rounded(a) <= rounded(b),
    "==": lambda a, b: rounded(a) == rounded(b),
    ">": lambda a, b: rounded(a) > rounded(b),
    ">=": lambda a, b: rounded(a) >= rounded(b),
    "!=": lambda a, b: rounded(a) != rounded(b),
}


def rounded(x: float) -> float:
    return float(f"{x:.8g}")


def value(e: Expr, env: dict[str, int]) -> Any:
    if isinstance(e, Num):
        return float(e.value)
    if isinstance(e, Const):
        return math.pi
    if isinstance(e, IntValue):
        return integer(e.value, env)
    if isinstance(e, Read):
        return element(e.tensor, tuple(integer(s, env) for s in e.subs))
    if isinstance(e, Reduce):
        places = itertools.product(SPAN, repeat=len(e.indices))
        found = [value(e.body, env | dict(zip(e.indices, p, strict=True))) for p in places]
        return sum(found) if e.op == "sum" else max(found)
    assert isinstance(e, Op)
    return FUNCTIONS[e.op](*(value(a, env) for a in e.args))


def integer(e: Int, env: dict[str, int]) -> int:
    return e.value(env, lambda el: round(element(el.tensor, tuple(integer(s, env) for s in el.subs))))


# -- the value of LaTeX ------------------------------------------------------------------------------------------------
STOP = {
    ")",
    "]",
    "}",
    ",",
    "+",
    "-",
    "/",
    "&",
    "<",
    ">",
    "=",
    r"\le",
    r"\ge",
    r"\ne",
    r"\mid",
    r"\nmid",
    r"\land",
    r"\lor",
    r"\right",
    r"\rfloor",
    r"\rvert",
    r"\bmod",
    r"\\",
    r"\end",
    r"\text",
}
RELATIONS = {"<": "<", ">": ">", "=": "==", r"\le": "<=", r"\ge": ">=", r"\ne": "!="}


class Reader:
    """Recursive descent over LaTeX tokens; every method leaves off where its construct ends."""

    def __init__(self, text: str):
        self.tokens, self.at, self.env = [*TOKEN.findall(text.replace(r"\,", " ")), ""], 0, dict(ENV)  # a thin space says nothing

    def look(self) -> str:
        return self.tokens[self.at]

    def take(self, expected: str | None = None) -> str:
        found = self.tokens[self.at]
        assert expected is None or found == expected, f"{found} for {expected} in {' '.join(self.tokens)}"
        self.at += 1
        return found

    def whole(self) -> Any:
        found = self.sum()
        assert self.look() == "", f"left over: {self.tokens[self.at :]}"
        return found

    def group(self, read: Any) -> Any:
        self.take("{")
        found = read()
        self.take("}")
        return found

    # -- values
    def sum(self) -> Any:
        sign = -1 if self.look() == "-" else 1
        if sign < 0:
            self.take()
        total = sign * self.product()
        if self.look() == r"\bmod":
            self.take()
            return total % self.product()
        while self.look() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            total += sign * self.product()
        return total

    def product(self) -> Any:
        found: Any = None
        while (self.look() and self.look() not in STOP) or self.look() == r"\cdot":
            if self.look() == r"\cdot":
                self.take()
            f = self.reduction() if self.look() == r"\sum" else self.power()
            found = f if found is None else found * f
        if self.look() == "/":
            self.take()
            return found / self.product()
        assert found is not None, f"nothing at {self.tokens[self.at :]}"
        return found

    def reduction(self) -> Any:
        """Σ over the product that follows, once for every place."""
        self.take(r"\sum")
        self.take("_")
        self.take("{")
        names = [self.take()]
        while self.look() == ",":
            self.take()
            names.append(self.take())
        self.take("}")
        start, outer, total = self.at, dict(self.env), 0.0
        for place in itertools.product(SPAN, repeat=len(names)):
            self.at, self.env = start, outer | dict(zip(names, place, strict=True))
            total += self.product()
        self.env = outer
        return total

    def power(self) -> Any:
        base = self.atom()
        if self.look() == "^":
            self.take()
            base = FUNCTIONS["**"](base, self.group(self.sum))
        assert self.look() != "^", "a power of a power without brackets"
        return base

    def brackets(self, read: Any) -> Any:
        left = self.look() == r"\left"
        if left:
            self.take()
        self.take("(")
        found = read()
        if left:
            self.take(r"\right")
        self.take(")")
        return found

    def arguments(self) -> list[Any]:
        found = [self.sum()]
        while self.look() == ",":
            self.take()
            found.append(self.sum())
        return found

    def atom(self) -> Any:
        t = self.look()
        if t in ("(", r"\left"):
            return self.brackets(self.sum)
        self.take()
        if re.fullmatch(r"[\d.]+", t):
            return float(t) if "." in t else int(t)
        simple = {
            "[": self.iverson,
            r"\frac": self.fraction,
            r"\sqrt": lambda: FUNCTIONS["sqrt"](self.group(self.sum)),
            r"\pi": lambda: math.pi,
            r"\lvert": self.absolute,
            r"\lfloor": self.floor,
            r"\begin": self.cases,
            r"\max": self.maximum,
        }
        if t in simple:
            return simple[t]()
        if t == r"\operatorname":
            t = "".join(itertools.takewhile(lambda c: c != "}", iter(self.take, None))).lstrip("{")
        name = {"ReLU": "relu"}.get(t, t.lstrip("\\"))
        if name in FUNCTIONS and self.look() == "^":
            self.take()
            exponent = self.group(self.sum)
            return FUNCTIONS["**"](FUNCTIONS[name](*self.brackets(self.arguments)), exponent)
        if name in FUNCTIONS:
            return FUNCTIONS[name](*self.brackets(self.arguments))
        return self.letter(t)

    def letter(self, t: str) -> Any:
        if t in self.env or t.islower():
            return self.env[t]
        subs: list[Any] = []
        if self.look() == "_":
            self.take()
            subs = self.group(self.arguments)
        found = element(t, tuple(int(s) for s in subs))
        return round(found) if t == "T" else found

    def maximum(self) -> Any:
        if self.look() != "_":
            return max(self.brackets(self.arguments))
        self.take("_")
        name, start, outer, found = self.group(self.take), self.at, dict(self.env), []
        for k in SPAN:
            self.at, self.env = start, outer | {name: k}
            found.append(self.brackets(self.sum))
        self.env = outer
        return max(found)

    def fraction(self) -> Any:
        top = self.group(self.sum)
        return FUNCTIONS["/"](top, self.group(self.sum))

    def absolute(self) -> Any:
        found = abs(self.sum())
        self.take(r"\rvert")
        return found

    def floor(self) -> Any:
        top = self.factors_before_slash()
        self.take("/")
        found = top // self.power()
        self.take(r"\rfloor")
        return found

    def factors_before_slash(self) -> Any:
        found = 1
        while self.look() != "/":
            found *= self.power()
        return found

    def iverson(self) -> Any:
        found = float(self.condition())
        self.take("]")
        return found

    def cases(self) -> Any:
        for t in ("{", *"cases", "}"):
            self.take(t)
        found, chosen = None, False
        while True:
            v = self.sum()
            self.take("&")
            words = "".join(iter(lambda: self.take(), "}"))
            holds = words.endswith("otherwise") or self.condition()
            if holds and not chosen:
                found, chosen = v, True
            if self.take() == r"\end":
                break
        for t in ("{", *"cases", "}"):
            self.take(t)
        return found

    # -- conditions
    def condition(self) -> bool:
        found = self.conjunction()
        while self.look() == r"\lor":
            self.take()
            found = self.conjunction() or found
        return found

    def conjunction(self) -> bool:
        found = self.negation()
        while self.look() == r"\land":
            self.take()
            found = self.negation() and found
        return found

    def negation(self) -> bool:
        if self.look() == r"\lnot":
            self.take()
            return not self.brackets(self.condition)
        if self.look() == "{":
            self.take()
            holds = self.condition()
            self.take("}")
            return holds
        start = self.at
        try:
            return self.comparison()
        except (AssertionError, KeyError):
            self.at = start
            return self.brackets(self.condition)

    def comparison(self) -> bool:
        left, holds, count = self.sum(), True, 0
        while self.look() in RELATIONS or self.look() in (r"\mid", r"\nmid"):
            op = self.take()
            right = self.sum()
            if op in (r"\mid", r"\nmid"):
                here = (right % left == 0) == (op == r"\mid")
            else:
                here = FUNCTIONS[RELATIONS[op]](left, right)
            holds = holds and here
            left, count = right, count + 1
        assert count, "no comparison"
        return holds


# -- expressions -------------------------------------------------------------------------------------------------------
letters = st.sampled_from(["i", "j", "k", "s", "N"])


def sums_and_products(inner: Any) -> Any:
    return st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, c: a // c, inner, st.integers(2, 4)),
        st.builds(lambda a, c: a % c, inner, st.integers(2, 4)),
        st.builds(lambda a: Int.atom(Element("T", (a,))), inner),
        st.builds(lambda a, b: Int.extreme("max", a, b), inner, inner),
    )


integers = st.recursive(
    st.one_of(letters.map(Int.symbol), st.integers(-3, 9).map(Int.of)), sums_and_products, max_leaves=4
)
numbers = st.fractions(min_value=-3, max_value=3, max_denominator=8).map(Num)
leaves = st.one_of(
    numbers,
    st.just(Const("pi")),
    integers.map(IntValue),
    st.builds(lambda t, subs: Read(t, tuple(subs)), st.sampled_from(["X", "W", "Y"]), st.lists(integers, max_size=2)),
)


def conditions(inner: Any) -> Any:
    comparisons = st.builds(
        lambda op, a, b: Op(op, (a, b)), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner, inner
    )
    divides = st.builds(
        lambda op, a, c: Op(op, (IntValue(a % c), IntValue(Int.of(0)))),
        st.sampled_from(["==", "!="]),
        integers,
        st.integers(2, 4),
    )
    return st.recursive(
        st.one_of(comparisons, divides),
        lambda c: st.one_of(
            st.builds(lambda a, b: Op("and", (a, b)), c, c),
            st.builds(lambda a, b: Op("or", (a, b)), c, c),
            st.builds(lambda a: Op("not", (a,)), c),
        ),
        max_leaves=3,
    )


def compound(inner: Any) -> Any:
    raw = st.builds(lambda op, a, b: Op(op, (a, b)), st.sampled_from(["+", "*", "/", "**", "max"]), inner, inner)
    unary = st.builds(lambda op, a: Op(op, (a,)), st.sampled_from(["neg", "exp", "tanh", "relu", "sqrt", "abs"]), inner)
    choice = st.builds(
        lambda c, a, b: Op("where", (c, a, b)), conditions(inner), inner, st.one_of(inner, st.just(num(0)))
    )
    reduce = st.builds(
        lambda op, i, a: Reduce(op, (i,), a), st.sampled_from(["sum", "sum", "max"]), st.sampled_from(["i", "j"]), inner
    )
    many = st.builds(
        lambda op, parts: Op(op, tuple(parts)), st.sampled_from(["+", "*"]), st.lists(inner, min_size=3, max_size=4)
    )
    return st.one_of(raw, unary, choice, reduce, many, st.builds(lambda a: Reduce("sum", ("i", "j"), a), inner))


expressions = st.recursive(leaves, compound, max_leaves=9)


def agree(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) or not math.isfinite(a) or not math.isfinite(b)


@settings(max_examples=400, deadline=None)
@given(expressions)
def test_an_expression_is_read_as_it_was_written(e):
    try:
        expected = value(e, dict(ENV))
    except OverflowError:
        return
    latex = expression_latex(e)
    assert agree(expected, Reader(latex).whole()), latex
    assert_well_formed(latex)


@settings(max_examples=300, deadline=None)
@given(integers)
def test_an_integer_expression_is_read_as_it_was_written(e):
    assert Reader(int_latex(e)).whole() == integer(e, dict(ENV))


@pytest.mark.parametrize("outer", ["neg", "+", "*", "/", "**", "sum", "max", "where"])
def test_every_pair_of_operators_is_read_as_it_was_written(outer):
    a, b, c = Read("X", (Int.symbol("i"),)), Read("W", ()), Num(Fraction(3, 2))
    d = IntValue(Int.symbol("i") - 1)
    inners = [
        Op("+", (a, b)),
        Op("neg", (a,)),
        Op("*", (c, b)),
        Op("/", (a, b)),
        Op("**", (a, num(2))),
        Reduce("sum", ("i",), a),
        c,
        d,
        num(-2),
        Op("where", (Op("<", (a, b)), a, num(0))),
        Op("where", (Op("<", (a, b)), a, b)),
        Op("tanh", (a,)),
        Reduce("max", ("i",), a),
        Op("*", (Reduce("sum", ("i",), a), b)),
        Op("/", (Op("*", (Reduce("sum", ("i",), a), b)), c)),
        num(4),
    ]
    for x, y in itertools.product(inners, repeat=2):
        e: Expr = {
            "neg": Op("neg", (x,)),
            "sum": Reduce("sum", ("j",), Op("*", (x, y))),
            "where": Op("where", (Op(">=", (x, y)), y, x)),
        }.get(outer) or Op(outer, (x, y))
        assert agree(value(e, dict(ENV)), Reader(expression_latex(e)).whole()), expression_latex(e)


# -- form --------------------------------------------------------------------------------------------------------------
def assert_well_formed(latex: str) -> None:
    """Braces, brackets, \\left and \\right, and environments close in the order in which they open."""
    stack: list[str] = []
    for token in re.findall(
        r"\\begin\{\w+\}|\\end\{\w+\}|\\left|\\right|\\lfloor|\\rfloor|\\lvert|\\rvert|\\\\|\\[A-Za-z]+|[{}()\[\]]",
        latex,
    ):
        closes = {"}": "{", ")": "(", "]": "[", r"\right": r"\left", r"\rfloor": r"\lfloor", r"\rvert": r"\lvert"}
        if token.startswith(r"\begin"):
            stack.append(token.replace("begin", "end"))
        elif token.startswith(r"\end"):
            assert stack.pop() == token, latex
        elif token in closes:
            if token == r"\right":
                assert stack.pop() == "(", latex
                stack.append(r"\closing")
            elif stack and stack[-1] == r"\closing":
                stack.pop()
                assert token == ")" and stack.pop() == r"\left", latex
            else:
                assert stack and stack.pop() == closes[token], latex
        elif token in closes.values():
            stack.append(token)
    assert not stack, latex


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_and_its_gradients_are_well_formed(name):
    derivation = nd.derive(PROGRAMS[name])
    for latex in (
        program_latex(derivation.forward),
        derivation_latex(derivation),
        derivation.latex(),
        *(g.latex() for g in derivation),
    ):
        assert_well_formed(latex)
    for e in derivation.backward.equations:
        assert_well_formed(equation_latex(derivation.backward, e))


def test_the_equations_of_a_program_are_aligned():
    program = nd.parse("X[N,I], W[I,O], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]\ngiven sum[o](b[o]) = 0")
    assert program.latex() == (
        "\\begin{aligned}\nY_{n,o} &= \\sum_{i} X_{n,i} W_{i,o} + b_{o} \\\\\n"
        "& \\text{given } \\sum_{o} b_{o} = 0\n\\end{aligned}"
    )


def shown(body: str, signature: str = "X[N,M], a[N], b[N], D[N], eps") -> str:
    """The right-hand side, as it is typeset."""
    program = nd.parse(f"{signature} -> Y\nY[n] = {body}")
    return equation_latex(program, program.equations[0]).split(" = ", 1)[1]


@pytest.mark.parametrize(
    ("written", "latex"),
    [
        ("a[n] - b[n]", "a_{n} - b_{n}"),
        ("-(a[n] + b[n])", "-(a_{n} + b_{n})"),
        ("a[n] - (b[n] - eps)", r"a_{n} - (b_{n} - \varepsilon)"),
        ("a[n]*(b[n] + 1)", "a_{n} (b_{n} + 1)"),
        ("2*a[n]*3", "6 a_{n}"),
        ("sum[m](X[n,m])/sqrt(M)", r"\frac{1}{\sqrt{M}} \sum_{m} X_{n,m}"),
        ("sum[m](X[n,m])*a[n]", r"a_{n} \sum_{m} X_{n,m}"),
        ("sum[m](X[n,m])**2", r"\left(\sum_{m} X_{n,m}\right)^{2}"),
        ("sum[m](X[n,m] - 1)", r"\sum_{m} (X_{n,m} - 1)"),
        ("softmax[n](a[n])", r"\operatorname{softmax}_{n}(a_{n})"),
        ("max[m](X[n,m])", r"\max_{m}(X_{n,m})"),
        ("logsumexp[m](X[n,m])", r"\operatorname{logsumexp}_{m}(X_{n,m})"),
        (
            "where(a[n] > 0, b[n], 1)*b[n]",
            r"b_{n} \begin{cases} b_{n} & \text{if } a_{n} > 0 \\ 1 & \text{otherwise} \end{cases}",
        ),
        ("where(a[n] > 0, b[n], 0)", r"[a_{n} > 0]\,b_{n}"),
        ("where(0 <= a[n] and a[n] < 1, 1, 0)", r"[0 \le a_{n} < 1]"),
        (
            "where(n % 2 == 0, b[n], -inf)",
            r"\begin{cases} b_{n} & \text{if } 2 \mid n \\ -\infty & \text{otherwise} \end{cases}",
        ),
        ("a[n]/(b[n]*b[n])", r"\frac{a_{n}}{b_{n} b_{n}}"),
        ("a[n]**0.5 + 0.1", "a_{n}^{1/2} + 0.1"),
        ("tanh(a[n])**2", r"\tanh^{2}(a_{n})"),
        ("tanh(a[n])**0.5", r"(\tanh(a_{n}))^{1/2}"),
        ("sigmoid(a[n])", r"\sigma(a_{n})"),
        ("a[n]*sqrt(2)/2", r"\frac{a_{n}}{\sqrt{2}}"),
        ("a[n]/(sqrt(2)*sqrt(pi))", r"\frac{a_{n}}{\sqrt{2 \pi}}"),
        ("0.5/a[n]", r"\frac{1}{2 a_{n}}"),
        ("0.1/a[n]", r"\frac{0.1}{a_{n}}"),
        ("a[n]*pi/2", r"\frac{a_{n} \pi}{2}"),
        ("a[(n+1)//2]", r"a_{\lfloor (n+1) / 2 \rfloor}"),
    ],
)
def test_an_expression_looks_as_in_a_book(written, latex):
    assert shown(written + ("" if "//" not in written else " for n < N")).split(r",\quad")[0] == latex


def test_ranges_that_no_subscript_shows_are_written():
    assert shown("sum[u](X[n,u]) for u < 3") == r"\sum_{u=0}^{2} X_{n,u}"
    assert shown("max[u,m](X[n+u,m]) for u < 3, n < N - 2") == r"\max_{m, 0 \le u < 3}(X_{n+u,m}),\quad 0 \le n < N - 2"


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("W", "W"),
        ("W1", "W_{1}"),
        ("dW", r"\mathrm{d}W"),
        ("dW1", r"\mathrm{d}W_{1}"),
        ("ddx", r"\mathrm{d}\mathrm{d}x"),
        ("Y_lse", r"Y^{\mathrm{lse}}"),
        ("dh_in", r"\mathrm{d}h^{\mathrm{in}}"),
        ("theta", r"\theta"),
        ("dtheta", r"\mathrm{d}\theta"),
        ("delta", r"\delta"),
        ("eps", r"\varepsilon"),
        ("deps", r"\mathrm{d}\varepsilon"),
        ("logits", r"\mathrm{logits}"),
        ("lam", r"\lambda"),
        ("dlam", r"\mathrm{d}\lambda"),
        ("Wq", r"W_{\mathrm{q}}"),
        ("dbi", r"\mathrm{d}b_{\mathrm{i}}"),
        ("dWq_in", r"\mathrm{d}W_{\mathrm{q}}^{\mathrm{in}}"),
        ("Xi", r"\Xi"),
        ("Yhat_in", r"\hat{Y}^{\mathrm{in}}"),
        ("dropout", r"\mathrm{dropout}"),
        ("xhat", r"\hat{x}"),
        ("W_xh", r"W^{\mathrm{xh}}"),
        ("dY_", r"\mathrm{d}Y^{\prime}"),
        ("S", "S"),
        ("E", "E"),
        ("a1b2", r"\mathrm{a1b2}"),
        ("my_2nd_name3x", r"\mathrm{my}^{\mathrm{2nd},\mathrm{name3x}}"),
    ],
)
def test_names_are_typeset(name, latex):
    assert typeset(name).text() == latex


def test_letters_do_not_run_together():
    shown = {text: nd.derive(f"x[N], r, s, rate -> y\ny[n] = {text}")["x"].latex().partition(" = ")[2]
             for text in ("r*x[n]", "rate*x[n]", "r*rate*s*x[n]", "2*r*x[n]")}
    assert shown == {"r*x[n]": r"\mathrm{d}y_{n} r", "rate*x[n]": r"\mathrm{d}y_{n}\,\mathrm{rate}",
                     "r*rate*s*x[n]": r"\mathrm{d}y_{n} r\,\mathrm{rate}\,s", "2*r*x[n]": r"2\,\mathrm{d}y_{n} r"}


def test_a_labelled_letter_is_put_in_brackets_before_its_subscripts():
    d = nd.derive("X[N,D], Wq[D,E] -> Q\nQ[n,e] = sum[d](X[n,d]*Wq[d,e])")
    assert d["Wq"].latex() == r"(\mathrm{d}W_{\mathrm{q}})_{d,e} = \sum_{n} \mathrm{d}Q_{n,e} X_{n,d}"


def test_a_size_or_index_that_begins_with_d_is_no_differential():
    assert name_latex("dk") == r"\mathrm{dk}"


def test_a_numbered_tensor_is_bracketed_before_its_subscripts():
    assert typeset("h0").text("n,k") == "(h_{0})_{n,k}"
    assert typeset("Y_lse").text("n") == r"Y^{\mathrm{lse}}_{n}"


def test_a_derivation_shows_what_it_adds_to_the_forward_program():
    lines = derivation_latex(nd.derive("X[N,I], W[I,O] -> Y\nY[n,o] = tanh(sum[i](X[n,i]*W[i,o]))")).splitlines()
    assert r"\mathrm{d}W_{i,o} &= \sum_{n} \mathrm{d}Y^{\mathrm{sum}}_{n,o} X_{n,i}" in lines
    assert not any(line.startswith("Y_{") for line in lines)


def test_the_bracket_of_a_condition_stands_a_little_apart() -> None:
    d = nd.derive("x[N], a -> y\ny[n] = where(x[n] > 0, 0, a*x[n])")
    assert d["a"].latex() == r"\mathrm{d}a = \sum_{n} \mathrm{d}y_{n}\,[x_{n} \le 0]\,x_{n}"
    assert d["x"].latex() == r"\mathrm{d}x_{n} = \mathrm{d}y_{n}\,[x_{n} \le 0]\,a"
