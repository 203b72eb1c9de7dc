"""A node of the syntax tree -> an expression with names resolved: what each name is, where each index is bound, what is an integer.

A name is what its first use makes it: a tensor, a size, a parameter or an index letter; it has one role in a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NoReturn

from . import elsewhere
from .errors import NotationError, counted
from .expr import (
    BINARY_FUNCTIONS,
    INF,
    NORMALISERS,
    REDUCTIONS,
    UNARY,
    ZERO,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    compare,
    conjunction,
    is_condition,
    mul,
    neg,
    num,
    reads,
)
from .integer import Element, Int
from .notation import Node, Token, check_name

MAX_POWER = 1000
_JOINED = {"==": "(a and b) or (not a and not b)", "!=": "(a and not b) or (b and not a)"}
ROLES = {"tensor": "a tensor", "int tensor": "an integer tensor", "size": "a size", "parameter": "an integer parameter",
         "index": "an index"}


@dataclass
class Names:
    """The roles and ranks of the names of a program.

    letters: tensor -> the indices of its own equation, or the small letters of its sizes; a repair writes an element of it with them.
    """

    text: str
    role: dict[str, str] = field(default_factory=dict)
    rank: dict[str, int] = field(default_factory=dict)
    letters: dict[str, list[str]] = field(default_factory=dict)
    real_inputs: frozenset[str] = frozenset()

    def declare(self, token: Token | Node, role: str, rank: int = 0) -> None:
        name = token.text if isinstance(token, Token) else str(token.value)
        check_name(self.text, Token("name", name, token.position))
        known = self.role.get(name)
        if known is not None and known != role:
            self.fail(f"'{name}' is already {ROLES[known]}; it cannot be {ROLES[role]} too.", "Choose another name.", token.position)
        if name in self.rank and self.rank[name] != rank:
            self.fail(f"{name} has {counted(self.rank[name], 'subscript')} elsewhere, and {rank} here.",
                      "Give it the same number in both places.", token.position)
        self.role[name] = role
        if role in ("tensor", "int tensor"):
            self.rank[name] = rank

    def element(self, name: str) -> str:
        """W[i,o] for a tensor W[I,O]; with any letters, W[i,j], where its own are no indices, or one of them stands twice."""
        own = self.letters.get(name, [])
        fit = len(set(own)) == self.rank[name] and all(x.isidentifier() and self.role.get(x, "index") == "index" for x in own)
        letters = own if fit else "ijklmnopq"[: self.rank[name]]
        return f"{name}[{','.join(letters)}]" if letters else name

    def fail(self, reason: str, repair: str, position: int) -> NoReturn:
        raise NotationError(reason, repair, self.text, position)


class Reader:
    """Reads the nodes of one equation.

    scope: letter -> index, for what is free on the left or bound around a node. A letter that is bound a second time in the
    equation stands for another index there, with a range of its own: a name has one range in an equation.
    """

    def __init__(self, names: Names, quantified: bool = False):
        self.names, self.left, self.quantified = names, "", quantified
        self.scope: dict[str, str] = {}
        self.used: set[str] = set()
        self.written: set[str] = set()  # letters that some reduction binds: no other index may take such a name
        self.letter: dict[str, str] = {}  # index -> the letter it was written with, where they differ
        self.again: dict[str, str] = {}

    def fail(self, reason: str, repair: str, position: int) -> NoReturn:
        self.names.fail(reason, repair, position)

    # -- the three kinds of result -----------------------------------------------------------------------------------
    def integer(self, node: Node) -> Int:
        value = self.value(node)
        if isinstance(value, Int):
            return value
        if isinstance(value, Read) and value.tensor in self.names.real_inputs:
            self.fail(f"{value.tensor} holds real numbers, and this must be an integer.",
                      f"Declare it as one of integers: int {value.tensor}{'[…]' if value.subs else ''} before the arrow.", node.position)
        self.fail("This must be an integer: indices, sizes, integer parameters and integer tensors, with + - * // %.",
                  "Subscripts are affine, for example X[s*i + u - p].", node.position)

    def real(self, node: Node) -> Expr:
        return self._as_real(self.value(node), node)

    def condition(self, node: Node) -> Expr:
        value = self.value(node)
        if is_condition(value):
            return value
        self.fail("A condition is needed here.", "Compare with something: x > 0, j <= i.", node.position)

    # -- by kind -----------------------------------------------------------------------------------------------------
    def value(self, node: Node) -> Int | Expr:
        result: Int | Expr = getattr(self, f"_{node.kind}")(node)
        return result

    def _number(self, node: Node) -> Int | Expr:
        value: Fraction = node.value
        return Int.of(value.numerator) if value.denominator == 1 else Num(value)

    def _name(self, node: Node) -> Int | Expr:
        name = str(node.value)
        if name in ("inf", "pi"):
            return INF if name == "inf" else Const("pi")
        role = self.names.role.get(name)
        if role in ("size", "parameter"):
            return Int.symbol(name)
        if role in ("tensor", "int tensor"):
            if self.names.rank[name]:
                self.fail(f"{name} has {counted(self.names.rank[name], 'subscript')}; a single element of it is needed here.",
                          f"Write {self.names.element(name)}.", node.position)
            return Read(name, ())
        return self._index(node, name)

    def _index(self, node: Node, name: str) -> Int:
        if name not in self.scope:
            if self.quantified:
                self.names.declare(node, "index")
                self.scope[name] = name
            elif self.left and (self.names.role.get(name) == "index" or len(name) <= 2):
                self.fail(f"{name} appears only on the right.",
                          f"Sum over it, sum[{name}]({_term_around(self.names.text, node.position)}), or give "
                          f"{self.left.split('[')[0]} a subscript {name}.", node.position)
            else:
                self.fail(f"{name} is not declared.", f"Add it to the signature (`{name}`, `int {name}` or `{name}[…]`), "
                          "define it by an equation, or sum over it.", node.position)
        return Int.symbol(self.scope[name])

    def _subscript(self, node: Node) -> Int | Expr:
        name = str(node.value)
        role = self.names.role.get(name)
        if role not in ("tensor", "int tensor"):
            known = f"{name} is {ROLES[role]}, not a tensor." if role else f"{name} is not declared."
            self.fail(known, f"Add {name}[…] to the signature, or define it by an equation.", node.position)
        if len(node.parts) != self.names.rank[name]:
            self.fail(f"{name} has {counted(self.names.rank[name], 'subscript')}, not {len(node.parts)}.",
                      f"Write {self.names.element(name)}.", node.position)
        subs = tuple(self.integer(p) for p in node.parts)
        return Int.atom(Element(name, subs)) if role == "int tensor" else Read(name, subs)

    def _call(self, node: Node) -> Int | Expr:
        name, count = str(node.value), len(node.parts)
        if name in UNARY:
            self._arity(node, 1)
            return Op(name, (self.real(node.parts[0]),))
        if name == "where":
            self._arity(node, 3)
            return Op("where", (self.condition(node.parts[0]), self.real(node.parts[1]), self.real(node.parts[2])))
        if name in BINARY_FUNCTIONS:
            if count < 2:
                self.fail(f"{name}(…) takes two arguments; over an index it is {name}[i](…).",
                          f"Write {name}(a, b) or {name}[i](a).", node.position)
            values = [self.value(p) for p in node.parts]
            integers = [v for v in values if isinstance(v, Int)]
            if len(integers) == count:
                return Int.extreme(name, *integers)
            operands = [self._as_real(v, p) for v, p in zip(values, node.parts, strict=True)]
            found = operands[0]
            for v in operands[1:]:
                found = Op(name, (found, v))
            return found
        if name in REDUCTIONS:
            self.fail(f"{name} runs over indices, and none is named.", f"Write {name}[i](…) with the index that it runs over.",
                      node.position)
        self.fail(*elsewhere.function(name), node.position)

    def _arity(self, node: Node, count: int) -> None:
        if len(node.parts) != count:
            self.fail(f"{node.value} takes {counted(count, 'argument')}, not {len(node.parts)}.",
                      f"Write {node.value}({', '.join(['condition', 'a', 'b'] if count == 3 else 'xyz'[:count])}).", node.position)

    def _reduce(self, node: Node) -> Expr:
        op, letters = str(node.value), [t.text for t in node.names]
        for k, token in enumerate(node.names):
            if token.text in letters[:k]:
                self.fail(f"{token.text} is named twice.", "Remove one of the two.", token.position)
            self.names.declare(token, "index")
            if op in NORMALISERS and token.text not in self.scope:
                self._unbound_normaliser(op, token)
        if op in NORMALISERS:
            return Reduce(op, tuple(self.scope[x] for x in letters), self.real(node.parts[0]))
        around = dict(self.scope)
        self.scope |= {x: self._bind(x) for x in letters}
        body = self.real(node.parts[0])
        indices = tuple(self.scope[x] for x in letters)
        self.scope = around
        return Reduce(op, indices, body)

    def _unbound_normaliser(self, op: str, token: Token) -> None:
        if not self.quantified:
            self.fail(f"{op}[{token.text}](…) keeps its index {token.text}, which nothing around it binds.",
                      f"Give the left-hand side a subscript {token.text}, or sum over it.", token.position)
        self.scope[token.text] = token.text

    def _bind(self, letter: str) -> str:
        """The index that a letter stands for in one reduction: the letter itself the first time."""
        name, k = letter, 2
        while name in self.used or name != letter and name in self.written or self.names.role.get(name, "index") != "index":
            name, k = f"{letter}{k}", k + 1
        self.used.add(name)
        if name != letter:
            self.letter[name] = letter
            if letter not in self.scope:
                self.again[name] = letter
        return name

    def _negative(self, node: Node) -> Int | Expr:
        value = self.value(node.parts[0])
        return -value if isinstance(value, Int) else neg(self._as_real(value, node))

    def _chain(self, node: Node) -> Int | Expr:
        values = [self.value(p) for p in node.parts]
        if all(isinstance(v, Int) for v in values) and "/" not in node.value:
            return self._integer_chain(node, [v for v in values if isinstance(v, Int)])
        if "//" in node.value or "%" in node.value:
            node, values = self._integer_first(node, values)
        operands = [self._as_real(v, p) for v, p in zip(values, node.parts, strict=True)]
        if node.value[0] == "+":
            numbers = [v.value if sign == "+" else -v.value for sign, v in zip(node.value, operands, strict=True) if isinstance(v, Num)]
            if len(numbers) == len(operands):
                return Num(sum(numbers, Fraction(0)))
            return add([v if sign == "+" else neg(v) for sign, v in zip(node.value, operands, strict=True)])
        product = [operands[0]]
        for operator, v, part in zip(node.value[1:], operands[1:], node.parts[1:], strict=True):
            if operator == "*":
                product.append(v)
            else:
                product = [self._quotient(_times(product), v, part)]
        return _times(product)

    def _integer_first(self, node: Node, values: list[Int | Expr]) -> tuple[Node, list[Int | Expr]]:
        """The chain with what stands before its last // or % as one operand, an integer: i//2 of i//2/D, i%2 of i%2*x[i]."""
        end = max(k for k, operator in enumerate(node.value) if operator in ("//", "%")) + 1
        left = [v for v in values[:end] if isinstance(v, Int)]
        if len(left) < end or "/" in node.value[:end]:
            self.fail("// and % are for integers; one of the operands is a real number.", "Divide with /.", node.position)
        head = self._integer_chain(replace(node, value=node.value[:end], parts=node.parts[:end]), left)
        rest = replace(node, value=(node.value[0], *node.value[end:]), parts=(node.parts[0], *node.parts[end:]))
        return rest, [head, *values[end:]]

    def _as_real(self, value: Int | Expr, node: Node) -> Expr:
        """A value at hand as a real expression."""
        if isinstance(value, Int):
            if value.is_constant:
                return num(value.constant)
            return neg(IntValue(-value)) if all(c < 0 for c in value.terms.values()) else IntValue(value)
        if is_condition(value):
            self.fail("A condition stands where a number is needed.",
                      "Write where(condition, 1, 0), or join conditions with and, or, not.", node.position)
        return value

    def _quotient(self, top: Expr, bottom: Expr, node: Node) -> Expr:
        if isinstance(bottom, Num):
            if bottom.value == 0:
                self.fail("Division by zero.", "Divide by something else.", node.position)
            if isinstance(top, Num):
                return Num(top.value / bottom.value)
        if isinstance(top, Op) and top.op == "neg":  # −a/b is −(a/b), however it is written
            return neg(self._quotient(top.args[0], bottom, node))
        # The sign stands in front of a fraction, so that -1/n reads the same however it came about.
        if isinstance(top, Num) and top.value < 0 or isinstance(top, Op) and top.op == "neg":
            return neg(Op("/", (neg(top), bottom)))
        return Op("/", (_kept(top) if reads(bottom) else top, bottom))

    def _integer_chain(self, node: Node, values: list[Int]) -> Int:
        found = values[0] if node.value[0] != "-" else -values[0]
        for operator, v, part in zip(node.value[1:], values[1:], node.parts[1:], strict=True):
            if operator in ("//", "%") and v == 0:
                self.fail("Division by zero.", "Divide by something else.", part.position)
            found = (found + v if operator == "+" else found - v if operator == "-" else found * v if operator == "*"
                     else found // v if operator == "//" else found % v)
            if len(found.terms) > 200 or any(abs(c) > 10**60 or len(m) > 40 for m, c in found.terms.items()):
                self.fail("This integer expression grows too large.", "Simplify it.", node.position)
        return found

    def _power(self, node: Node) -> Expr:
        base, exponent = self.real(node.parts[0]), self.real(node.parts[1])
        if isinstance(exponent, Num) and abs(exponent.value) > MAX_POWER:
            self.fail(f"An exponent of {exponent}.", f"Exponents go up to {MAX_POWER}.", node.parts[1].position)
        if isinstance(base, Num) and isinstance(exponent, Num) and exponent.value.denominator == 1:
            if base.value == 0 and exponent.value < 0:
                self.fail("Division by zero.", "Divide by something else.", node.position)
            if abs(exponent.value) > 64 or abs(base.value.numerator) > 10**12 or base.value.denominator > 10**12:
                self.fail("This number is too large.", "Use powers of up to 64 of numbers with up to 12 digits.", node.position)
            return Num(base.value ** int(exponent.value))
        return Op("**", (base, exponent))

    def _not(self, node: Node) -> Expr:
        return Op("not", (self.condition(node.parts[0]),))

    def _and(self, node: Node) -> Expr:
        return conjunction([self.condition(p) for p in node.parts])

    def _or(self, node: Node) -> Expr:
        return Op("or", tuple(self.condition(p) for p in node.parts))

    def _compare(self, node: Node) -> Expr:
        values = [self.value(p) for p in node.parts]
        found = []
        for k, operator in enumerate(node.value):
            a, b = values[k], values[k + 1]
            if is_condition(a) and is_condition(b):
                self.fail(f"Conditions are joined by and, or, not; {operator} compares numbers.",
                          f"For (a) {operator} (b) write {_JOINED.get(operator, 'where(a, 1, 0) and where(b, 1, 0) as its operands')}.",
                          node.parts[k].position)
            if isinstance(a, Int) and isinstance(b, Int):
                found.append(compare(operator, a, b))
            else:
                found.append(Op(operator, (self._as_real(a, node.parts[k]), self._as_real(b, node.parts[k + 1]))))
        return conjunction(found)


def _term_around(text: str, position: int, longest: int = 50) -> str:
    """The summand of a right-hand side that a character belongs to, as it was written; an ellipsis where that is long."""
    start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)].split("#")[0]
    right = line.partition("=")[2].partition(" for ")[0]
    first = start + len(line.partition("=")[0]) + 1
    depth, begin, cut = 0, 0, len(right)
    for k, c in enumerate(right):
        depth += (c in "([") - (c in ")]")
        if depth == 0 and c in "+-" and right[:k].rstrip()[-1:] not in ("", *"+-*/(,<>="):
            if first + k > position:
                cut = k
                break
            begin = k + 1
    term = right[begin:cut].strip()
    balanced = depth == 0 and term.count("(") == term.count(")")
    return term if balanced and "=" in line and 0 < len(term) <= longest else "…"


def _times(parts: list[Expr]) -> Expr:
    """The product as it is written: 0*x[n] stays, since what is read settles ranges and restricts a reduction."""
    return mul([_kept(f) if any(map(reads, parts)) else f for f in parts])


def _kept(e: Expr) -> Expr:
    """A number beside what is read: as an integer, 0 is not taken for a reason to leave that out."""
    return IntValue(Int.of(0)) if e == ZERO else e
