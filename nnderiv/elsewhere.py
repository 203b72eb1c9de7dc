"""What other languages write, and how it is written here; asked only when a text is refused.

    prod[c](x[n,c])     exp(sum[c](log(x[n,c])))            a if c else b     where(c, a, b)
    norm[c](x[n,c])     sqrt(sum[c](x[n,c]**2))             x^2               x**2
    ln(x)               log(x)
"""

from __future__ import annotations

import difflib
import re
import unicodedata

from .expr import REDUCTIONS, UNARY

LONGEST = 40  # characters of what was written that a message repeats

CHARACTERS = {
    "^": "Write ** for a power: x**2.",
    "²": "Write ** for a power: x**2.",
    "³": "Write ** for a power: x**3.",
    "&": "Write `and` between two conditions.",
    "|": "Write `or` between two conditions, and abs(x) for an absolute value.",
    "!": "Write `not` before a condition.",
    "~": "Write `not` before a condition.",
    "?": "Write where(condition, a, b).",
    "@": "Write the sum of a matrix product: sum[k](A[i,k]*B[k,j]).",
    "'": "A transpose is a read with its indices in the other order: A[j,i].",
    ".": "There are no attributes and methods; the notation has functions, abs(x), and reductions, sum[i](x[i]).",
    ";": "One equation to a line.",
    "\\": "An open bracket continues a line: (a + b) may stand on two.",
    "{": "Brackets are ( ) around a part of an expression, and [ ] around subscripts.",
    "\ufeff": "It is a mark that some editors put at the beginning of a file; read the file as utf-8-sig.",
    ":": "A subscript is one place: for x[1:] read x[n+1].",
    "\N{MINUS SIGN}": "Write - for a minus.",
    "\N{MIDDLE DOT}": "Write * for a product.",
    "\N{MULTIPLICATION SIGN}": "Write * for a product.",
    "\N{DIVISION SIGN}": "Write / for a quotient.",
    "\N{LESS-THAN OR EQUAL TO}": "Write <=.",
    "\N{GREATER-THAN OR EQUAL TO}": "Write >=.",
    "\N{NOT EQUAL TO}": "Write !=.",
    "\N{RIGHTWARDS ARROW}": "Write -> between inputs and outputs.",
    "\N{N-ARY SUMMATION}": "Write sum[i](…).",
    "\N{GREEK CAPITAL LETTER SIGMA}": "Write sum[i](…).",
    "\N{N-ARY PRODUCT}": "Write exp(sum[i](log(…))), or a recurrence.",
    "\N{SQUARE ROOT}": "Write sqrt(…).",
    "\N{INFINITY}": "Write inf.",
    "\N{GREEK SMALL LETTER PI}": "Write pi.",
}

# names -> what has the same value here, and what is to be said of it; {i}: the indices, {x}: what it runs over, {y}: that, as an operand
_Row = tuple[tuple[str, ...], str, str]
WRITTEN: tuple[_Row, ...] = (
    (("prod", "product"), "exp(sum[{i}](log({x})))",
     " where all factors are positive; else a recurrence, p[-1] = 1 and p[i] = p[i-1]*x[i], of which the last element is the product"),
    (("var", "variance"), "mean[{i}](({y} - mean[{i}]({x}))**2)", ""),
    (("std", "stddev"), "sqrt(mean[{i}](({y} - mean[{i}]({x}))**2))", ""),
    (("norm", "norm2", "l2"), "sqrt(sum[{i}]({y}**2))", ""),
    (("avg", "average"), "mean[{i}]({x})", ""),
    (("count",), "sum[{i}](where({x}, 1, 0))", ""),
    (("any",), "max[{i}](where({x}, 1, 0))", ""),
    (("all",), "min[{i}](where({x}, 1, 0))", ""),
    (("argmax",), "where({x} == max[{i}]({x}), 1, 0)", ", which is 1 at the greatest; a position itself has no gradient"),
    (("argmin",), "where({x} == min[{i}]({x}), 1, 0)", ", which is 1 at the smallest; a position itself has no gradient"),
    (("cumsum",), "s[i] = s[i-1] + x[i]", ", a recurrence, with s[-1] = 0"),
    (("cumprod",), "p[i] = p[i-1]*x[i]", ", a recurrence, with p[-1] = 1"),
)
FUNCTIONS = {
    "ln": "log(x)", "log2": "log(x)/log(2)", "log10": "log(x)/log(10)", "log1p": "log(1 + x)", "expm1": "exp(x) - 1",
    "pow": "x**a", "power": "x**a", "square": "x**2", "rsqrt": "1/sqrt(x)", "reciprocal": "1/x", "sgn": "sign(x)", "fabs": "abs(x)",
    "logistic": "sigmoid(x)", "expit": "sigmoid(x)", "swish": "silu(x)", "logsigmoid": "-softplus(-x)", "relu6": "min(relu(x), 6)",
    "maximum": "max(a, b)", "minimum": "min(a, b)", "clip": "min(max(x, a), b)", "clamp": "min(max(x, a), b)",
    "logaddexp": "log(exp(a) + exp(b))", "atanh": "log((1 + x)/(1 - x))/2", "hypot": "sqrt(a**2 + b**2)",
    "tan": "sin(x)/cos(x)", "sinh": "(exp(x) - exp(-x))/2", "cosh": "(exp(x) + exp(-x))/2", "erfc": "1 - erf(x)",
    "leaky_relu": "where(x > 0, x, a*x)", "elu": "where(x > 0, x, a*(exp(x) - 1))", "if": "where(condition, a, b)",
}
_ROWS = {name: (written, remark) for names, written, remark in WRITTEN for name in names}


def reduction(name: str, indices: str, body: str) -> tuple[str, str]:
    """(reason, repair) for name[indices](body) where there is no such reduction."""
    x, i = shown(body), shown(indices)
    if name in UNARY:
        return f"{name} is a function of one number, and runs over nothing.", f"Write {name}({x})."
    reason = f"There is no reduction '{name}'; there are {', '.join(REDUCTIONS)}."
    if name.lower() in REDUCTIONS:
        return reason, f"Write {name.lower()}[{i}]({x})."
    if name.lower() not in _ROWS:
        return reason, "Write it with these, or define a tensor by a recurrence: s[-1] = 0 and s[i] = s[i-1] + x[i]."
    written, remark = _ROWS[name.lower()]
    return reason, f"Write {written.format(i=i, x=x, y=operand(x))}{remark}."


def function(name: str) -> tuple[str, str]:
    """(reason, repair) for name(…) where there is no such function."""
    known = (*UNARY, "max", "min", "where")
    reason, low = f"'{name}' is not a function of the notation.", name.lower()
    if low in FUNCTIONS:
        return reason, f"Write {FUNCTIONS[low]}."
    near = [low] if low in known else difflib.get_close_matches(low, known, 1)
    return reason, (f"Did you mean {near[0]}? " if near else "") + f"There are {', '.join(known)}."


def character(c: str) -> str:
    """The repair for a character that is not part of the notation."""
    spelled = unicodedata.name(c, "").lower().removesuffix(" letter").split()
    plain = "Names are made of the letters a-z, A-Z, digits and underscores."
    if c in CHARACTERS:
        return CHARACTERS[c]
    if spelled[:1] == ["greek"] and spelled[2:3] == ["letter"]:
        return f"Write it out: {spelled[3]}. {plain}"
    return f"It may look like a Latin letter, but is another one. {plain}" if c.isalpha() else plain


def conditional(value: str, condition: str, other: str) -> tuple[str, str]:
    """(reason, repair) for a if c else b."""
    arguments = shown(condition) or "condition", shown(value) or "a", shown(other) or "0"
    return "'if' is not part of the notation.", f"Write where({', '.join(arguments)})."


def shown(text: str) -> str:
    """What was written, in one line; an ellipsis where that is long."""
    text = text.strip()
    return "…" if len(text) > LONGEST or "\n" in text or "#" in text else text


def operand(text: str) -> str:
    """In brackets, unless it is a name, an element or a number."""
    return text if re.fullmatch(r"…|[\w.]+(\[[^][]*\])?", text) else f"({text})"
