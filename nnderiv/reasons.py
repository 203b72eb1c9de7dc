"""What the steps of a derivation are called, and what they say: each sentence in plain text and in Markdown with mathematics.

    NAMES      rule -> what a person calls it; the laws of `simplify` by the titles of their table
    REASONS    rule -> why it holds, with {…} for what is concrete in it

A law that has no entry here is shown by its own name, with the sentence of its table where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .expr import Expr, IntValue, Op, Read
from .integer import Int
from .latex import expression_latex
from .simplify import TABLE
from .tex_names import name_latex
from .tex_pieces import int_latex

NAMES = {
    **{law.name: law.title for law in TABLE if law.on in ("term", "last")},
    "known_totals": "use what rows sum to",
    "definition": "chain rule",
    "substitute": "put in what is known",
    "delta": "Kronecker delta",
    "differentiate": "differentiate the summand",
    "recognise": "recognise what has a name",
    "solve": "solve the subscript",
    "collect": "collect",
    "matrix": "matrix form",
}
REASONS = {
    "definition": "The readers of {tensor} are {readers}; each of their elements passes on its own gradient, times its derivative by "
                  "{element}.",
    "definition_1": "Only {readers} reads {tensor}; each of its elements passes on its own gradient, times its derivative by {element}.",
    "seed": "As an output, {tensor} has a seed, which is added.",
    "loss": "A gradient is the derivative of one number, {loss}: the outputs, each times its seed, added up.",
    "shared": "Every place that reads {tensor} passes on the gradient of what is computed there, times its derivative. Where equal "
              "values meet in a maximum, no derivative can confirm this line: it is the convention that they share.",
    "substitute": "We know that {facts}.",
    "delta": "{read} stands in {places}; its derivative by {element} is 1 where {condition}, and 0 elsewhere.",
    "delta_scalar": "{read} stands in {places}.",
    "sum": "A sum is differentiated summand by summand.",
    "max": "A maximum passes its gradient to where it is taken, in equal parts if that is in several places.",
    "min": "A minimum passes its gradient to where it is taken, in equal parts if that is in several places.",
    "logsumexp": "The derivative of a logsumexp by its summand is the softmax.",
    "differentiate": "{facts}.",
    "recognise": "By its equation, {facts}.",
    "solve": "{facts}.",
    "split_where": "A factor that is 0 unless {condition} is the factor and that condition.",
    "settle_conditions": "Wherever the indices run, {condition} {hold}.",
    "never": "Wherever the indices run, {condition} never {hold}: the term vanishes.",
    "settle_choices": "A condition that always holds for the ranges of the indices, or never, or that the term has, has made its choice.",
    "settle_divisions": "A quotient of something smaller than its divisor is 0, and the remainder is that something itself.",
    "into_cases": "What stands beside a choice stands in each of its cases; in each it is known which of two is the larger one.",
    "rectify": "A ReLU of what the condition says is positive is that itself.",
    "divide_exactly": "Where the divisor divides, quotient times divisor is the dividend.",
    "name_data": "The condition says that both are the same place; the plain name stands for it.",
    "transpose": "The tensor is symmetric, so that two of its subscripts may change places.",
    "contract_delta": "Summing over an index that must equal an expression puts the expression in its place.",
    "contract_remainder": "Of as many numbers in a row as the divisor says, one leaves no remainder; the quotient is rounded down.",
    "drop_outside": "What is read there lies outside its tensor, where it is 0: the term vanishes.",
    "drop_implied": "A read outside its range is 0, and {reads} {are} there already, so {condition} {say} nothing new.",
    "drop_known": "Unless {condition}, this is 0 already, by the definition of what is read.",
    "sum_of_nothing": "The summand does not depend on {indices}, so the sum counts its values.",
    "where_divided": "A factor is 0 unless {condition}; elsewhere what it is divided by may be 0 as well.",
    "cancel": "What is multiplied and divided by cancels: it is never 0.",
    "common_sign": "The minus of each summand stands before them all.",
    "index_alone": "The same condition, with what has a name on one side and the number on the other.",
    "deviations": "The deviations from a mean add up to 0.",
    "known_totals": "By its definition, the tensor sums to a number along this axis, as a softmax does to 1.",
    "known_sums": "This sum is what a tensor is defined to be.",
    "join_exponentials": "Exponentials are multiplied by adding their exponents, of which one cancels.",
    "use_givens": "What is given evaluates the sum: {facts}.",
    "collect": "{facts}.",
    "matrix": "Without indices{facts}.",
    "Times": "a sum over an index that two factors share is a product of matrices",
    "Correlate+": "a sum over an index that one factor adds to its subscript is a cross-correlation",
    "Correlate-": "a sum over an index that one factor subtracts from its subscript is a convolution",
    "Hadamard": "what has the same subscripts is multiplied element by element",
}


@dataclass(frozen=True)
class Said:
    """A sentence, or a part of one."""

    text: str
    markdown: str

    def __add__(self, other: Said) -> Said:
        return Said(self.text + other.text, self.markdown + other.markdown)


def plain(text: str) -> Said:
    return Said(text, text)


def formula(e: Expr | Int | str) -> Said:
    """A formula within a sentence; a text is the name of a tensor, an index or a size."""
    if isinstance(e, Int):
        return Said(primed(str(e)), f"${int_latex(e)}$")
    if isinstance(e, str):
        return Said(primed(e), f"${name_latex(e) if len(e) < 2 or not e.startswith('d') else expression_latex(_element(e))}$")
    if isinstance(e, IntValue):
        return formula(e.value)
    return Said(primed(str(e)), f"${expression_latex(e)}$")


def _element(name: str) -> Expr:
    return Read(name, ())


def equal(left: Expr | Int | str, right: Expr | Int | str) -> Said:
    """left = right"""
    a, b = formula(left), formula(right)
    return Said(f"{a.text} = {b.text}", f"{a.markdown[:-1]} = {b.markdown[1:]}")


def condition(c: Expr) -> Said:
    """A condition; an equality with the sign that people write."""
    if isinstance(c, Op) and c.op == "==" and isinstance(c.args[0], IntValue) and isinstance(c.args[1], IntValue) and "%" not in str(c):
        return equal(c.args[0], c.args[1])
    return formula(c)


def primed(text: str) -> str:
    """Letters with an underscore behind them, as they are typeset: o_ is o′."""
    return re.sub(r"(?<=[A-Za-z0-9])_+(?![A-Za-z0-9_])", lambda m: "′" * len(m.group()), text)


def agreeing(parts: Iterable[Said], one: str, several: str) -> Said:
    """The verb behind a list: holds, or hold."""
    return plain(one if len(set(parts)) == 1 else several)


def listed(parts: Iterable[Said], last: str = " and ") -> Said:
    """a, b and c; each once."""
    found = list(dict.fromkeys(parts))
    total = plain("")
    for k, part in enumerate(found):
        joiner = "" if k == 0 else last if k == len(found) - 1 else ", "
        total = total + plain(joiner) + part
    return total


def say(rule: str, **parts: Any) -> Said:
    """The reason of a rule with its parts put in."""
    said = {k: v if isinstance(v, Said) else formula(v) for k, v in parts.items()}
    template = REASONS[rule]
    text = template.format(**{k: v.text for k, v in said.items()})
    markdown = template.format(**{k: v.markdown for k, v in said.items()})
    return Said(text, markdown)
