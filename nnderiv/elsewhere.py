"""What other languages write, and how it is written here; asked only when a text is refused.

    prod[c](x[n,c])     exp(sum[c](log(x[n,c])))            a if c else b     where(c, a, b)
    norm[c](x[n,c])     sqrt(sum[c](x[n,c]**2))             x^2               x**2
"""

from __future__ import annotations

import re

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
