"""What a person writes on the two sides of an identity -> two programs with the same letters, inputs and facts.

    a side      a Program, its text, a gradient, or an expression
    where       what the letters of expressions mean: a signature, and definitions if there are any

"sum[m](P[n,m]*dP[n,m])" becomes a program whose one output is this for each of its free letters; letters whose ranges it does not show
run as far as on the other side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from . import arguments
from .errors import DerivationError, NotationError
from .expr import NORMALISERS
from .fresh import Fresh
from .graph import reach
from .notation import Node, Statement, Syntax, parse_syntax, tokenize
from .parse import parse
from .program import Equation, Program, Ranges


def sides(lhs: Any, rhs: Any, where: str | Program, given: list[str]) -> tuple[Program, Program]:
    """Both sides as programs, the facts added to each."""
    texts = [_program_text(s) for s in (lhs, rhs)]
    if all(t is not None for t in texts) and where:
        raise NotationError("Both sides are programs, so `where` has nothing to explain.", "Leave it out, or give expressions.")
    context = _context(where if where else next((t for t in texts if t is not None), None))
    expressions = [str(s) for s, t in zip((lhs, rhs), texts, strict=True) if t is None]
    letters = next((parse(t).definitions[parse(t).outputs[0]][-1].indices for t in texts if t is not None), None)
    if letters is None:
        longest = max((_free(context, e) for e in expressions), key=len)
        letters = tuple(longest)
    for e in expressions:
        _refuse_other_letters(e, _free(context, e), letters)
    facts = "".join(f"\ngiven {g}" for g in given)
    known = [None if t is None else parse(t + facts) for t in texts]
    sides = {k: _Expression(context, str(s), letters, facts) for k, s in enumerate((lhs, rhs)) if texts[k] is None}
    for k in sorted(sides, key=lambda k: sides[k].rank):  # the side that shows best how far its letters run comes first
        known[k] = sides[k].program(known[1 - k])
    left, right = (p for p in known if p is not None)
    givens = tuple(dict.fromkeys([*left.givens, *right.givens]))
    return replace(left, givens=givens), replace(right, givens=givens)


def _refuse_other_letters(expression: str, free: Sequence[str], letters: Sequence[str]) -> None:
    """A side may lack letters, as 0 does; it cannot have some that the other side lacks."""
    if not set(free) <= set(letters):
        shown = [", ".join(x) or "none" for x in (letters, free)]
        raise NotationError(f"The free letters of one side are {shown[0]}, those of {expression.strip()} are {shown[1]}.",
                            "Both sides need the same ones; bind the others: sum[k](…).")


@dataclass(frozen=True)
class _Expression:
    """A side that is an expression, and the letters that its value has."""

    context: _Context
    text: str
    letters: Sequence[str]
    facts: str

    @cached_property
    def hidden(self) -> list[str]:
        """Letters whose ranges this side does not show: they stand in no subscript alone, and in no `for`."""
        last = _last(self.context, self.text)
        shown = {b.name.text for b in last.bounds}
        shown |= {str(p.value) for n in _nodes(last.right) if n.kind == "subscript" for p in n.parts if p.kind == "name"}
        return [i for i in self.letters if i not in shown]

    @property
    def rank(self) -> tuple[int, int]:
        return (len(self.letters) - len(_free(self.context, self.text)), len(self.hidden))

    def program(self, other: Program | None) -> Program:
        """The expression as a program; letters whose ranges are hidden run as far as on the other side."""
        ranges = dict(zip(self.letters, other.dims[other.outputs[0]], strict=False)) if other is not None else {}
        try:
            return self.parsed([i for i in self.hidden if i in ranges], ranges)
        except NotationError as error:
            if not ranges or not error.reason.startswith("Nothing settles"):
                raise
            return self.parsed(self.letters, ranges)  # 0*S[n] shows nothing once it is 0

    def parsed(self, letters: Sequence[str], ranges: Ranges) -> Program:
        bounds = ", ".join(f"{ranges[i].lo} <= {i} < {ranges[i].hi}" for i in letters)
        clause = f"{',' if _last(self.context, self.text).bounds else ' for'} {bounds}" if bounds else ""
        return parse(_equation_text(self.context, self.text, self.letters, clause) + self.facts)


def _program_text(side: Any) -> str | None:
    """The text of a program; None for an expression."""
    if isinstance(side, Program):
        return str(side)
    if isinstance(side, str):
        return side if any(t.text == "->" for t in tokenize(side)) else None
    if not hasattr(side, "derivation"):
        raise NotationError(f"A side of an identity is a Program, a gradient or a text, not {arguments.shown(side)}.")
    backward = side.derivation.backward  # a gradient
    return str(replace(backward, outputs=(side.name,), equations=_needed(backward, side.name), title=""))


def _needed(program: Program, name: str) -> tuple[Equation, ...]:
    """The equations on which one tensor rests."""
    found = reach([name], program.edges)
    return tuple(e for e in program.equations if e.tensor in found)


@dataclass(frozen=True)
class _Context:
    """What the letters of an expression mean: a signature without its arrow, and the lines below it."""

    signature: str
    rest: str

    def text(self, output: str, left: str, right: str) -> str:
        return f"{self.signature.rstrip()} -> {output}\n{self.rest.rstrip()}\n{left} = {right.strip()}"

    @cached_property
    def names(self) -> set[str]:
        """Names that are no index letters, and those that letters of the equations have."""
        return {t.text for t in tokenize(f"{self.signature}\n{self.rest}") if t.kind == "name"}


def _context(where: str | Program | None) -> _Context:
    if where is None:
        raise NotationError("Nothing says what the letters of these expressions mean.",
                            'Add the inputs with their sizes: where="A[I,J], B[J,I]"')
    text = str(where)
    tokens = [t for t in tokenize(text) if t.kind != "end"]
    arrow = next((k for k, t in enumerate(tokens) if t.text == "->"), None)
    if arrow is not None:
        end = next((t.position for t in tokens[arrow:] if t.kind == "newline"), len(text))
        return _Context(text[: tokens[arrow].position], text[end:])
    for before, t in itertools.pairwise(tokens):
        if t.kind == "newline" and before.kind != "newline" and before.text != ",":
            return _Context(text[: t.position], text[t.position :])
    return _Context(text, "")


def _equation_text(context: _Context, expression: str, letters: Sequence[str], clause: str = "") -> str:
    """A program whose output is the expression, with these letters on the left."""
    name = _output_name(context, expression)
    return context.text(name, f"{name}[{','.join(letters)}]" if letters else name, expression.strip() + clause)


def _output_name(context: _Context, expression: str) -> str:
    return Fresh(context.names | {t.text for t in tokenize(expression) if t.kind == "name"})("value")


def _free(context: _Context, expression: str) -> list[str]:
    """The letters of an expression that it does not bind, in order."""
    syntax = _syntax(context, expression)
    known = {d.name.text for d in syntax.inputs} | {str(s.left.value) for s in syntax.statements if s.left is not None}
    known |= {str(n.value) for d in syntax.inputs for dim in d.dims for n in _nodes(dim) if n.kind == "name"}
    last = _last(context, expression)
    bounds = [n for b in last.bounds for n in _free_names(b.upper, frozenset())]
    return [n for n in dict.fromkeys([*_free_names(last.right, frozenset()), *bounds]) if n not in known and n not in ("pi", "inf")]


def _syntax(context: _Context, expression: str) -> Syntax:
    name = _output_name(context, expression)
    return parse_syntax(context.text(name, name, expression))


def _last(context: _Context, expression: str) -> Statement:
    """The equation of an expression, as it is written."""
    name = _output_name(context, expression)
    return next(s for s in _syntax(context, expression).statements if s.left is not None and s.left.value == name)


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _nodes(part)


def _free_names(node: Node, bound: frozenset[str]) -> Iterator[str]:
    if node.kind == "name":
        if node.value not in bound:
            yield str(node.value)
        return
    if node.kind == "reduce":
        own = frozenset(t.text for t in node.names)
        if node.value in NORMALISERS:
            yield from (t.text for t in node.names if t.text not in bound)
        else:
            bound = bound | own
    for part in node.parts:
        yield from _free_names(part, bound)


def refuse_other_inputs(left: Program, right: Program) -> None:
    mine, other = {i.name: i for i in left.inputs}, {i.name: i for i in right.inputs}
    for a, b, side, there in ((mine, other, "left", "right"), (other, mine, "right", "left")):
        for name in a:
            if name not in b:
                raise DerivationError(f"{a[name]} is an input of the {side} side only. Add it to the signature of the {there} side, "
                                      "even if it is not read there.")
            if a[name] != b[name]:
                raise DerivationError(f"The {side} side has {a[name]}, the {there} side {b[name]}. Write the same sizes on both sides.")
    if len(left.outputs) != len(right.outputs) or len(left.outputs) > 1 and set(left.outputs) != set(right.outputs):
        raise DerivationError(f"The outputs of the left side are {', '.join(left.outputs)}, those of the right side "
                              f"{', '.join(right.outputs)}. Give both sides the same ones.")


def shown_side(side: Any, program: Program) -> str:
    """A side as a person would quote it: the expression, or the right-hand side of the only equation, or the output."""
    if isinstance(side, str) and _program_text(side) is None:
        return " ".join(side.split())
    name = program.outputs[0]
    if len(program.outputs) == 1:
        e = program.definitions[name][-1]
        return e.left if len(program.equations) > 1 else str(e.body)
    return ", ".join(program.outputs)
