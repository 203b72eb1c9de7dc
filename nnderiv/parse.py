"""`parse`: text -> Program, through syntax, names, ranges and a check that every element can be computed."""

from __future__ import annotations

from .elaborate import elaborate
from .notation import parse_syntax
from .program import Program
from .ranges import infer
from .wellfounded import check_order, check_same_places


def parse(text: str) -> Program:
    """The program that a text in the notation means.

    Raises `NotationError` (what was written, where, why, and a repair) for text that is not in the notation or has no
    meaning, and `DefinitionError` for a tensor that needs itself.

    >>> parse('''
    ...     X[N,I], W[I,O], b[O] -> Y
    ...     Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]
    ... ''').dims["Y"]
    (0 .. N - 1, 0 .. O - 1)
    """
    syntax = parse_syntax(text)
    inputs, drafts, givens = elaborate(syntax)
    check_same_places((d.equation for d in drafts), text)
    program = infer(text, inputs, drafts, tuple(t.text for t in syntax.outputs), givens, syntax.title)
    check_order(program, text)
    return program
