"""Programs near to those of the zoo: its texts, with a few changes to their equations that nobody had in mind.

Random programs (`strategies`) have every feature in every combination, and are unlike what people write. These are like it: a scan that
looks one step further, a softmax over what is masked otherwise, a loss with a root where there was a logarithm.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import nnderiv as nd
from tests.suites.zoo import ZOO

TEXTS = [case.text for case in ZOO if "1000000" not in case.text]  # float32 keeps no digit beside such a number, where one is added
FUNCTIONS = ("exp", "tanh", "sigmoid", "relu", "softplus", "gelu", "silu", "sin", "cos", "abs")
REDUCTIONS = ("sum", "max", "min", "mean", "logsumexp")
NOTHING = {"sum": "0", "mean": "0", "max": "-inf", "min": "inf", "logsumexp": "-inf", "softmax": "-inf", "log_softmax": "-inf"}
CONDITIONS = ("{a} <= {b}", "{a} != {b}", "{a} > 0", "{a} < {b} + 2", "{a} == {b}")
PLACES = ("{}-1", "{}+1", "{}-2", "2*{}", "{}//2")
VALUES = ("{0}*{0}", "tanh({0})", "max({0}, 0)", "where({0} > 0, {0}, 0)", "abs({0})", "(1 - {0})", "({0} + {0}**2)", "1/(2 + {0}**2)")
Change = Callable[[Random, str], str]


def neighbour(rng: Random) -> str:
    """The text of a program of the zoo with one to four changes; one that parses."""
    while True:
        text = rng.choice(TEXTS)
        for _ in range(rng.choice((1, 2, 2, 3, 4))):
            text = _changed(rng, text)
        try:
            nd.parse(text)
        except nd.NNDerivError:
            continue
        return text


def _changed(rng: Random, text: str) -> str:
    """The text with one change behind its signature, or none, where that change has no place."""
    head, arrow, tail = text.partition("->")
    names, end, equations = tail.partition("\n")
    return head + arrow + names + end + rng.choice(CHANGES)(rng, equations)


def _somewhere(pattern: str, new: Callable[[Random, re.Match[str]], str]) -> Change:
    """A change of one of the places that a pattern matches."""

    def change(rng: Random, equations: str) -> str:
        places = list(re.finditer(pattern, equations))
        if not places:
            return equations
        m = rng.choice(places)
        return equations[: m.start()] + new(rng, m) + equations[m.end() :]

    return change


def _masked(rng: Random, equations: str) -> str:
    """A condition on what a reduction runs over."""
    found = list(re.finditer(rf"\b({'|'.join(NOTHING)})\[(\w)(?:,\w)*\]\(", equations))
    if not found:
        return equations
    m, letters = rng.choice(found), re.findall(r"\b([a-z])\b(?=[\],])", equations)
    depth, end = 1, m.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(equations[end], 0)
        end += 1
    condition = rng.choice(CONDITIONS).format(a=m[2], b=rng.choice(letters))
    return f"{equations[: m.end()]}where({condition}, {equations[m.end() : end - 1]}, {NOTHING[m[1]]}){equations[end - 1 :]}"


OPERAND = r"(?<=[\w\])]){}(?=[\w(])"
CHANGES: tuple[Change, ...] = (
    _masked,
    _somewhere(rf"\b({'|'.join(FUNCTIONS)})\(", lambda rng, m: f"{rng.choice(FUNCTIONS)}("),
    _somewhere(rf"\b({'|'.join(REDUCTIONS)})\[", lambda rng, m: f"{rng.choice(REDUCTIONS)}["),
    _somewhere(r"\b(softmax|log_softmax|logsumexp|max)\[", lambda rng, m: f"{rng.choice(('softmax', 'log_softmax', 'logsumexp', 'max'))}["),
    _somewhere(OPERAND.format(r" [+-] "), lambda rng, m: rng.choice((" + ", " - ", "*"))),
    _somewhere(OPERAND.format(r"\*"), lambda rng, m: rng.choice((" + ", " - ", "/"))),
    _somewhere(r"(?<=[\w\]])[+-]\d(?=[\],])", lambda rng, m: rng.choice(("+1", "-1", "-2", "+2", ""))),
    _somewhere(r"(?<=[\[,])[a-z](?=[\],])", lambda rng, m: rng.choice(PLACES).format(m[0])),
    _somewhere(r"\b([a-z])\b(?=[\],])", lambda rng, m: rng.choice(re.findall(r"\b([a-z])\b(?=[\],])", m.string))),
    _somewhere(r"\b[A-Za-z]\w*\[[^\[\]=]*\](?! *=)", lambda rng, m: rng.choice(VALUES).format(m[0])),
    _somewhere(r"(?<=[^=<>!]) = (?!=)", lambda rng, m: m[0] + rng.choice(("-", "2*", "1 - ", "0.5 + "))),
    _somewhere(r"\b\d+\b", lambda rng, m: rng.choice("0123")),
)
