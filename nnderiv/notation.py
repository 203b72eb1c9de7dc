"""Text -> syntax tree: the grammar of the notation, and nothing about its meaning.

    program    = signature (equation | given)*          one to a line; an open bracket continues a line; # comments
    signature  = input, … -> name, …                    input = [int] name [ [size, …] ]
    equation   = name [ [expr, …] ] = expr [for lo <= name < expr, …]
    given      = given expr [= expr]
    expr       = or / and / not / comparison / + - / * / // % / unary - / ** / atom
    atom       = number | name | name[expr, …] | name(expr, …) | name[name, …](expr) | (expr)

The text is untrusted: length, numbers, names and nesting are bounded, and nothing in it is ever executed.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

from . import elsewhere
from .errors import NotationError, printable
from .expr import COMPARISONS, REDUCTIONS, UNARY
from .fresh import EMITTED, WORDS

MAX_TEXT, MAX_DEPTH, MAX_DIGITS, MAX_NAME = 1_000_000, 40, 40, 60

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<op>->|\*\*|//|<=|>=|==|!=|[-+*/%<>=(),\[\]])",
    re.ASCII,  # \d means 0-9, not the digits of all scripts
)
_CLOSING = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the syntax tree.

    kind: number, name, subscript, call, reduce, chain (of + - or of * / // %), power, negative, not, and, or, compare.
    value: the number, the name, or the operators of a chain; parts: the operands.
    """

    kind: str
    position: int
    value: Any = None
    parts: tuple[Node, ...] = ()
    names: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    name: Token
    dims: tuple[Node, ...]
    is_int: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """One range of a for clause: lower <= name < upper."""

    name: Token
    lower: Node | None
    upper: Node


@dataclass(frozen=True, slots=True)
class Statement:
    """An equation (left is a name or a subscript node) or, with left None, a given."""

    left: Node | None
    right: Node
    bounds: tuple[Bound, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Syntax:
    text: str
    title: str
    inputs: tuple[Declaration, ...]
    outputs: tuple[Token, ...]
    statements: tuple[Statement, ...]


def parse_syntax(text: str) -> Syntax:
    """The syntax tree of a program; NotationError points at the character that does not fit."""
    if not isinstance(text, str):
        raise NotationError(f"A program is a text, not {type(text).__name__}.", "Pass a str.")
    if len(text) > MAX_TEXT:
        raise NotationError(f"The text has {len(text)} characters; the limit is {MAX_TEXT}.", "Split the program.")
    return _Parser(text).program()


def tokenize(text: str) -> list[Token]:
    """Tokens, with a newline token at the end of each line that no open bracket continues."""
    tokens: list[Token] = []
    brackets: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            _bad_character(text, position)
        kind, token = match.lastgroup or "", Token(match.lastgroup or "", match.group(), position)
        if kind == "newline":
            if not brackets and tokens and tokens[-1].kind != "newline":
                tokens.append(token)
        elif kind != "space":
            _check_token(text, token)
            _track(text, brackets, token)
            tokens.append(token)
        position = match.end()
    if brackets:
        raise NotationError(f"'{brackets[-1].text}' is never closed.", "Close it.", text, brackets[-1].position)
    return [*tokens, Token("newline", "\n", len(text)), Token("end", "", len(text))]


def _bad_character(text: str, position: int) -> NoReturn:
    c = text[position]
    shown = repr(c) if c.isprintable() else f"U+{ord(c):04X}"
    reason = f"{shown} (U+{ord(c):04X}) is not part of the notation." if c.isprintable() else f"{shown} is not part of the notation."
    raise NotationError(reason, elsewhere.character(c), text, position)


def _check_token(text: str, token: Token) -> None:
    if token.kind == "name" and len(token.text) > MAX_NAME:
        raise NotationError(f"A name of {len(token.text)} characters.", f"Use at most {MAX_NAME}.", text, token.position)
    if token.kind == "number":
        exponent = re.split("[eE]", token.text)[1:]
        if len(token.text) > MAX_DIGITS or exponent and abs(int(exponent[0])) > 400:
            raise NotationError("This number is too long.", f"Use at most {MAX_DIGITS} digits.", text, token.position)


def _track(text: str, brackets: list[Token], token: Token) -> None:
    """Keep the stack of open brackets, and refuse one that closes nothing or nests too deep."""
    if token.text in _CLOSING:
        brackets.append(token)
        if len(brackets) > MAX_DEPTH:
            raise NotationError(f"More than {MAX_DEPTH} nested brackets.", "Name a part of it in an equation of its own.",
                                text, token.position)
    elif token.text in _CLOSING.values():
        if not brackets:
            raise NotationError(f"'{token.text}' closes nothing.", "Remove it, or open a bracket before it.", text, token.position)
        if _CLOSING[brackets[-1].text] != token.text:
            raise NotationError(f"'{token.text}' stands where '{_CLOSING[brackets[-1].text]}' would close the bracket.",
                                f"Close the bracket with '{_CLOSING[brackets[-1].text]}'.", text, token.position)
        brackets.pop()


class _Parser:
    """Recursive descent with one token of look-ahead; each method is one line of the grammar."""

    def __init__(self, text: str):
        self.text, self.tokens, self.k, self.depth = text, tokenize(text), 0, 0

    # -- tokens ------------------------------------------------------------------------------------------------------
    @property
    def now(self) -> Token:
        return self.tokens[self.k]

    def at(self, *texts: str) -> bool:
        return self.now.kind in ("op", "name") and self.now.text in texts

    def take(self) -> Token:
        self.k += 1
        return self.tokens[self.k - 1]

    def accept(self, text: str) -> bool:
        if self.at(text):
            self.k += 1
            return True
        return False

    def expect(self, text: str, why: str) -> Token:
        if not self.at(text):
            product = text == ")" and self.begins_operand()
            self.fail(f"Expected '{text}' {why}, found {self.shown()}.", "Write * for a product." if product else f"Write '{text}' here.")
        return self.take()

    def begins_operand(self) -> bool:
        return self.now.kind in ("number", "name") or self.at("(")

    def shown(self) -> str:
        return {"newline": "the end of the line", "end": "the end of the text"}.get(self.now.kind, f"'{self.now.text}'")

    def fail(self, reason: str, repair: str = "", position: int | None = None) -> NoReturn:
        raise NotationError(reason, repair, self.text, self.now.position if position is None else position)

    # -- statements --------------------------------------------------------------------------------------------------
    def program(self) -> Syntax:
        if self.now.kind == "newline":
            self.k += 1
        inputs, outputs = self.signature()
        statements = []
        while self.now.kind != "end":
            if self.now.kind == "newline":
                self.k += 1
                continue
            statements.append(self.given() if self.at("given") else self.equation())
            if self.now.kind != "newline":
                self.fail(f"Expected the end of the equation, found {self.shown()}.", self.no_end())
        comment = re.match(r"\s*#([^\n]*)", self.text)
        return Syntax(self.text, printable(comment.group(1).strip()) if comment else "", inputs, outputs, tuple(statements))

    def no_end(self) -> str:
        """What to write where an equation might end, and something follows."""
        before, now = self.tokens[self.k - 1], self.now
        if now.text == "given":
            return "A given stands on a line of its own."
        if now.text == "for":
            return "One for clause sets all ranges: for i < N, j < M."
        if before.kind == "number" and now.text.startswith("_"):
            return "Write a number without underscores."
        if before.text in UNARY:
            return f"Write {before.text}({now.text if now.kind == 'number' else '…'})."
        if self.begins_operand():
            return "Write * for a product; a new equation begins on a new line."
        return "One equation to a line; an open bracket continues a line."

    def signature(self) -> tuple[tuple[Declaration, ...], tuple[Token, ...]]:
        if all(t.text != "->" for t in self.tokens):
            self.fail("A program begins with its signature, and there is no '->'.",
                      "Write the inputs with their sizes, an arrow, the outputs: X[N,I], W[I,O] -> Y")
        inputs: list[Declaration] = []
        while not self.accept("->"):
            if inputs:
                self.expect(",", "between two inputs or '->' after the last")
            self.skip_newline()
            inputs.append(self.declaration())
            self.skip_newline()
        outputs = [self.output()]
        while self.accept(","):
            self.skip_newline()
            outputs.append(self.output())
        if self.now.kind not in ("newline", "end"):
            self.fail(f"Expected the end of the signature, found {self.shown()}.", "Outputs are bare names: -> Y, Z")
        return tuple(inputs), tuple(outputs)

    def skip_newline(self) -> None:
        """A signature goes on until its arrow and after a comma."""
        if self.now.kind == "newline":
            self.k += 1

    def declaration(self) -> Declaration:
        is_int = self.accept("int")
        if self.now.kind == self.tokens[self.k + 1].kind == "name":
            self.fail(f"Two names side by side, {self.now.text} and {self.tokens[self.k + 1].text}.",
                      "Put a comma between two inputs; a bare name is a real scalar, and `int` before it makes it an integer.")
        name = self.new_name("an input")
        return Declaration(name, self.subscripts() if self.at("[") else (), is_int)

    def output(self) -> Token:
        name = self.new_name("an output")
        if self.at("["):
            self.fail("An output is a bare name.", f"Write -> {name.text}; its shape follows from its equation.")
        return name

    def new_name(self, what: str) -> Token:
        if self.now.kind != "name":
            self.fail(f"Expected the name of {what}, found {self.shown()}.", "A name begins with a letter, as W, x1 or eps do.")
        token = self.take()
        check_name(self.text, token)
        return token

    def given(self) -> Statement:
        start = self.take()
        fact = self.expression()
        if self.accept("="):
            fact = Node("compare", fact.position, ("==",), (fact, self.expression()))
        return Statement(None, fact, (), start.position)

    def equation(self) -> Statement:
        start = self.now
        if start.kind != "name":
            self.fail(f"An equation begins with the name of the tensor that it defines, not with {self.shown()}.",
                      "Write Y[n,o] = … or given …")
        if start.text == "for":
            self.fail("A for clause ends the line of its equation.", "Move it to the end of the line above.")
        name = self.new_name("a tensor")
        left = Node("subscript", name.position, name.text, self.subscripts()) if self.at("[") else Node("name", name.position, name.text)
        self.expect("=", "after the left-hand side")
        return Statement(left, self.expression(), self.for_clause(), start.position)

    def for_clause(self) -> tuple[Bound, ...]:
        bounds: list[Bound] = []
        while self.accept(",") if bounds else self.accept("for"):
            first = self.sum_()
            lower, strict = None, True
            if self.at("<=") and self.tokens[self.k + 1].kind == "name" and self.tokens[self.k + 2].text in ("<", "<="):
                self.take()
                lower, first = first, self.sum_()
            if first.kind != "name":
                self.fail("A for clause names an index and its bound.", "Write for i < N, j < M", first.position)
            if not self.at("<", "<="):
                self.fail(f"Expected '<' after the index, found {self.shown()}.", f"Write for {first.value} < N")
            strict = self.take().text == "<"
            upper = self.sum_()
            if not strict:
                upper = Node("chain", upper.position, ("+", "+"), (upper, Node("number", upper.position, Fraction(1))))
            bounds.append(Bound(Token("name", first.value, first.position), lower, upper))
        return tuple(bounds)

    # -- expressions -------------------------------------------------------------------------------------------------
    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"Nested deeper than {MAX_DEPTH}.", "Name a part of it in an equation of its own.")
        start = self.k
        node = self.logical("or", lambda: self.logical("and", self.negation))
        self.depth -= 1
        if self.at("if"):
            self.conditional(start)
        return node

    def conditional(self, start: int) -> NoReturn:
        """a if c else b, the tokens of a beginning at `start`."""
        *rest, end = self.outside(self.k)
        otherwise = next((k for k in rest if self.tokens[k].text == "else"), end)
        value, condition = self.between(start, self.k), self.between(self.k + 1, otherwise)
        self.fail(*elsewhere.conditional(value, condition, self.between(otherwise + 1, end)))

    def outside(self, k: int) -> Iterator[int]:
        """The tokens from k on, those in brackets left out, up to the one that ends the expression: , or ) or ] or a new line."""
        depth = 0
        while depth >= 0:
            text = self.tokens[k].text
            depth -= text in _CLOSING.values()
            if depth <= 0:
                yield k
            if self.tokens[k].kind == "newline" or depth == 0 and text == ",":
                break
            depth += text in _CLOSING
            k += 1

    def between(self, first: int, last: int) -> str:
        """The text of the tokens first … last − 1."""
        if first >= last:
            return ""
        end = self.tokens[last - 1]
        return self.text[self.tokens[first].position : end.position + len(end.text)]

    def logical(self, word: str, operand: Any) -> Node:
        first = operand()
        found = [first]
        while self.accept(word):
            found.append(operand())
        return first if len(found) == 1 else Node(word, first.position, None, tuple(found))

    def negation(self) -> Node:
        start, count = self.now.position, 0
        while self.accept("not"):
            count += 1
        node = self.comparison()
        return Node("not", start, None, (node,)) if count % 2 else node

    def comparison(self) -> Node:
        found, operators = [self.sum_()], []
        while self.at(*COMPARISONS):
            operators.append(self.take().text)
            found.append(self.sum_())
        return Node("compare", found[0].position, tuple(operators), tuple(found)) if operators else found[0]

    def sum_(self) -> Node:
        return self.chain(("+", "-"), self.product)

    def product(self) -> Node:
        return self.chain(("*", "/", "//", "%"), self.unary)

    def chain(self, operators: tuple[str, ...], operand: Any) -> Node:
        """operand (operator operand)*, flat, so that a long sum does not nest."""
        found, seen = [operand()], ["+" if "+" in operators else "*"]
        while self.at(*operators):
            seen.append(self.take().text)
            found.append(operand())
        return found[0] if len(found) == 1 else Node("chain", found[0].position, tuple(seen), tuple(found))

    def unary(self) -> Node:
        start, minus = self.now.position, False
        while self.at("-", "+"):
            minus ^= self.take().text == "-"
        node = self.power()
        return Node("negative", start, None, (node,)) if minus else node

    def power(self) -> Node:
        base = self.atom()
        if self.at("["):
            self.fail("Only a tensor has elements; this is a value.", "Give it an equation of its own, P[…] = …, and read an element of P.")
        if not self.accept("**"):
            return base
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"Nested deeper than {MAX_DEPTH}.", "Name a part of it in an equation of its own.")
        exponent = self.unary()
        self.depth -= 1
        return Node("power", base.position, None, (base, exponent))

    def atom(self) -> Node:
        token = self.now
        if token.kind == "number":
            return Node("number", self.take().position, Fraction(token.text))
        if self.accept("("):
            inside = self.expression()
            self.expect(")", "to close the bracket")
            return inside
        if self.at("if"):
            self.conditional(self.k)
        if token.kind != "name" or token.text in ("for", "given", "int", "and", "or"):
            goes_on = "" if token.kind in ("name", "op") else "; only an open bracket continues a line"
            self.fail(f"Expected an expression, found {self.shown()}.",
                      f"Write a number, an element of a tensor, or a function here{goes_on}.")
        self.take()
        if self.at("("):
            return Node("call", token.position, token.text, self.arguments())
        if not self.at("["):
            return Node("name", token.position, token.text)
        if token.text in REDUCTIONS:
            return self.reduction(token)
        start = self.k
        node = Node("subscript", token.position, token.text, self.subscripts())
        if self.at("("):
            self.no_reduction(token, start)
        return node

    def no_reduction(self, token: Token, start: int) -> NoReturn:
        """name[…](…) where the name is not that of a reduction; token `start` is its first bracket."""
        indices = self.between(start + 1, self.k - 1)
        if self.is_tensor(token.text):
            self.fail(f"Nothing stands between {token.text}[…] and a bracket.", f"Write * for a product: {token.text}[{indices}]*(…).")
        *_, end = self.outside(self.k + 1)
        self.fail(*elsewhere.reduction(token.text, indices, self.between(self.k + 1, end)), token.position)

    def is_tensor(self, name: str) -> bool:
        """Whether the signature, or a line at its beginning, has the name."""
        arrow = next(k for k, t in enumerate(self.tokens) if t.text == "->")
        return any(t.text == name and (k < arrow or self.tokens[k - 1].kind == "newline") for k, t in enumerate(self.tokens))

    def reduction(self, token: Token) -> Node:
        self.take()
        names = [self.new_name("an index")]
        while self.accept(","):
            names.append(self.new_name("an index"))
        self.expect("]", "after the indices")
        if not self.at("("):
            self.fail(f"{token.text}[…] needs what it runs over, in brackets.", f"Write {token.text}[{names[0].text}](…)")
        arguments = self.arguments()
        if len(arguments) != 1:
            self.fail(f"{token.text}[…] takes one expression, not {len(arguments)}.",
                      f"Write {token.text}[{names[0].text}](…) for each.", token.position)
        return Node("reduce", token.position, token.text, arguments, tuple(names))

    def arguments(self) -> tuple[Node, ...]:
        return self.list_of("(", ")")

    def subscripts(self) -> tuple[Node, ...]:
        return self.list_of("[", "]")

    def list_of(self, opening: str, closing: str) -> tuple[Node, ...]:
        self.expect(opening, "")
        found = [self.expression()]
        while self.accept(","):
            found.append(self.expression())
        self.expect(closing, "or ',' here")
        return tuple(found)


def check_name(text: str, token: Token) -> None:
    """Refuse, with the reason, a name that the notation, Python or the emitted module needs for itself."""
    name = token.text
    if name in WORDS:
        reason = f"'{name}' is a word of the notation."
    elif keyword.iskeyword(name):
        reason = f"'{name}' is a keyword of Python, in which the emitted module is written."
    elif name in EMITTED:
        reason = f"'{name}' is used by the emitted module."
    elif name.startswith("_"):
        reason = "Names that begin with an underscore belong to the emitted module."
    else:
        return
    raise NotationError(reason, f"Choose another name, for example {name.strip('_') or 'x'}_.".replace("_.", "1."), text, token.position)
