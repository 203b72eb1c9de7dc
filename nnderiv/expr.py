"""Scalar expressions of a program: what one tensor element is equal to.

    Num       an exact number                    Const     inf, pi
    IntValue  an integer expression as a value    Read      A[α, β], an element of a real tensor (A alone: a scalar)
    Op        + - * / **, functions, where, comparisons, and or not
    Reduce    sum, max, min, mean, logsumexp over named indices; softmax and log_softmax along them

Expressions are immutable and hash by structure. Bound index names are part of the structure; `subst_indices` renames them
before they could capture, so an expression never changes its meaning under substitution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from operator import is_
from typing import TypeGuard

from .integer import Int, indexed
from .text import Written, decimal, whole

REDUCTIONS = ("sum", "max", "min", "mean", "logsumexp", "softmax", "log_softmax")
NORMALISERS = ("softmax", "log_softmax")
UNARY = ("exp", "log", "sqrt", "tanh", "sigmoid", "relu", "softplus", "gelu", "silu", "erf", "sin", "cos", "abs", "sign")
BINARY_FUNCTIONS = ("max", "min")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
CONDITIONS = (*COMPARISONS, "and", "or", "not", "true", "false")
# Derivatives that are not carried out; in steps only, not in the notation: of a summand by what it reads, of an element of a
# tensor by an element that its equation reads, of the loss by an element of a tensor on which it depends.
DERIVATIVES = ("partial", "whole", "total")
LEVEL = {"or": 1, "and": 2, "not": 3, "+": 5, "neg": 5, "*": 6, "/": 6, "**": 8} | {op: 4 for op in COMPARISONS}  # how strongly each binds


class Expr:
    """Base of all nodes; the operators build expressions, with the obvious zeros and ones left out."""

    __slots__ = ()

    def __add__(self, other: Expr) -> Expr:
        return add([self, other])

    def __sub__(self, other: Expr) -> Expr:
        return other if self == ZERO and other == ZERO else neg(other) if self == ZERO else add([self, neg(other)])

    def __mul__(self, other: Expr) -> Expr:
        return mul([self, other])

    def __truediv__(self, other: Expr) -> Expr:
        return self if other == ONE else self if self == ZERO else Op("/", (self, other))

    def __str__(self) -> str:
        return self.written()[0]

    def written(self) -> Written:
        """The expression in the notation, and how strongly its text binds."""
        raise NotImplementedError

    def within(self, level: int) -> str:
        """The text where it must bind at least so strongly, in brackets if it does not."""
        shown, own = self.written()
        return shown if own >= level else f"({shown})"


@dataclass(frozen=True, slots=True)
class Num(Expr):
    value: Fraction

    def written(self) -> Written:
        return decimal(self.value)


@dataclass(frozen=True, slots=True)
class Const(Expr):
    name: str

    def written(self) -> Written:
        return self.name, 9


@dataclass(frozen=True, slots=True)
class IntValue(Expr):
    value: Int

    def written(self) -> Written:
        return whole(self.value)


@dataclass(frozen=True, slots=True)
class Read(Expr):
    tensor: str
    subs: tuple[Int, ...]

    def subst(self, values: Mapping[str, Int]) -> Read:
        """The element at other places: with these in place of names in its subscripts."""
        return Read(self.tensor, tuple(s.subst(values) for s in self.subs))

    def written(self) -> Written:
        return indexed(self.tensor, self.subs), 9


@dataclass(frozen=True, slots=True)
class Op(Expr):
    op: str
    args: tuple[Expr, ...]

    def written(self) -> Written:
        if self in (TRUE, FALSE):
            return ("0 == 0" if self == TRUE else "0 == 1"), 4
        if self.op in DERIVATIVES:
            d = "d" if self.op == "total" else "∂"
            return f"{d}{self.args[0].within(9)}/{d}{self.args[1]}", 7
        return (self._infix(), LEVEL[self.op]) if self.op in LEVEL else (f"{self.op}({', '.join(map(str, self.args))})", 9)

    def _infix(self) -> str:
        """Brackets keep together what is one operand: an integer i - j that is added to a real number is not two terms."""
        level, first = LEVEL[self.op], self.args[0]
        if self.op == "+":
            return "".join([first.within(level + isinstance(first, IntValue)), *map(_added, self.args[1:])])
        if self.op in ("neg", "not"):
            return f"{'-' if self.op == 'neg' else 'not '}{first.within(level + 1)}"
        if self.op == "**":
            return f"{first.within(9)}**{self.args[1].within(9)}"
        if self.op == "/":
            return f"{first.within(level)}/{self.args[1].within(level + 1)}"
        tight = [k > 0 or self.op in COMPARISONS or isinstance(a, IntValue) for k, a in enumerate(self.args)]
        return ("*" if self.op == "*" else f" {self.op} ").join(a.within(level + t) for a, t in zip(self.args, tight, strict=True))


@dataclass(frozen=True, slots=True)
class Reduce(Expr):
    op: str
    indices: tuple[str, ...]
    body: Expr

    def written(self) -> Written:
        return f"{self.op}[{','.join(self.indices)}]({self.body})", 9


def _added(term: Expr) -> str:
    """A further term of a sum, with its sign."""
    minus = isinstance(term, Op) and term.op == "neg" or isinstance(term, Num) and term.value < 0
    return f" - {neg(term).within(LEVEL['+'] + 1)}" if minus else f" + {term.within(LEVEL['+'] + 1)}"


def num(value: int | Fraction) -> Num:
    return Num(Fraction(value))


ZERO, ONE, HALF, INF = num(0), num(1), num(Fraction(1, 2)), Const("inf")
TRUE, FALSE = Op("true", ()), Op("false", ())


# -- building ------------------------------------------------------------------------------------------------------------
def add(terms: list[Expr]) -> Expr:
    """The sum, flat, without zeros."""
    flat = [t for term in terms for t in (term.args if isinstance(term, Op) and term.op == "+" else (term,)) if t != ZERO]
    return ZERO if not flat else flat[0] if len(flat) == 1 else Op("+", tuple(flat))


def neg(e: Expr) -> Expr:
    if isinstance(e, Num):
        return Num(-e.value)
    if isinstance(e, Op) and e.op == "neg":
        return e.args[0]
    return Op("neg", (e,))


def mul(factors: list[Expr]) -> Expr:
    """The product, flat, numbers and signs gathered in front, 0 and 1 taken care of."""
    value, flat = Fraction(1), []
    pending = list(reversed(factors))
    while pending:
        f = pending.pop()
        if isinstance(f, Num):
            value *= f.value
        elif isinstance(f, Op) and f.op == "*":
            pending.extend(reversed(f.args))
        elif isinstance(f, Op) and f.op == "neg":
            value = -value
            pending.append(f.args[0])
        else:
            flat.append(f)
    if value == 0 or not flat:
        return Num(value)
    if abs(value) != 1:
        flat = [Num(abs(value)), *flat]
    product = flat[0] if len(flat) == 1 else Op("*", tuple(flat))
    return neg(product) if value < 0 else product


def where(condition: Expr, a: Expr, b: Expr) -> Expr:
    """where(…); a branch that is never taken disappears only if it reads nothing, since what is read restricts a reduction."""
    if a == b or condition == TRUE and not reads(b):
        return a
    return b if condition == FALSE and not reads(a) else Op("where", (condition, a, b))


def is_where(e: Expr, otherwise: Expr) -> TypeGuard[Op]:
    """Whether e is where(c, x, otherwise) for some c and x."""
    return isinstance(e, Op) and e.op == "where" and e.args[2] == otherwise


def is_indicator(e: Expr) -> TypeGuard[Op]:
    """Whether e is where(c, 1, 0)."""
    return isinstance(e, Op) and e.op == "where" and e.args[1:] == (ONE, ZERO)


def is_condition(e: object) -> TypeGuard[Op]:
    return isinstance(e, Op) and e.op in CONDITIONS


def conjuncts(condition: Expr) -> tuple[Expr, ...]:
    """The conditions that hold together where this one holds."""
    return condition.args if isinstance(condition, Op) and condition.op == "and" else (condition,)


def conjunction(conditions: list[Expr]) -> Expr:
    """All of them: flat, each once; true where there is none."""
    flat: list[Expr] = []
    for c in conditions:
        for part in conjuncts(c):
            if part == FALSE:
                return FALSE
            if part != TRUE and part not in flat:
                flat.append(part)
    return TRUE if not flat else flat[0] if len(flat) == 1 else Op("and", tuple(flat))


def compare(op: str, a: Int, b: Int) -> Expr:
    """A comparison of integers, decided where the difference is a number."""
    difference = a - b
    if difference.is_constant:
        d = difference.constant
        truth = {"<": d < 0, "<=": d <= 0, ">": d > 0, ">=": d >= 0, "==": d == 0, "!=": d != 0}[op]
        return TRUE if truth else FALSE
    return Op(op, (IntValue(a), IntValue(b)))


def integer(value: Int) -> Expr:
    """The value of an integer expression; a number, where it is one."""
    return num(value.constant) if value.is_constant else IntValue(value)


def is_zero(e: Expr) -> bool:
    """Whether e is the number 0, also where it stands as an integer."""
    return e == ZERO or isinstance(e, IntValue) and e.value == 0


def tensor(name: str, *indices: str | Int) -> Read:
    return Read(name, tuple(Int.symbol(i) if isinstance(i, str) else i for i in indices))


# -- walking -------------------------------------------------------------------------------------------------------------
def children(e: Expr) -> tuple[Expr, ...]:
    return e.args if isinstance(e, Op) else (e.body,) if isinstance(e, Reduce) else ()


def walk(e: Expr) -> Iterator[Expr]:
    """Every node, from the outside in, from left to right."""
    pending = [e]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, Op):
            pending.extend(node.args[::-1])
        elif isinstance(node, Reduce):
            pending.append(node.body)


def map_children(f: Callable[[Expr], Expr], e: Expr) -> Expr:
    """The node with f applied to each child, rebuilt so that zeros and ones disappear."""
    if isinstance(e, Reduce):
        body = f(e.body)
        return e if body is e.body else Reduce(e.op, e.indices, body)
    if not isinstance(e, Op):
        return e
    args = tuple(f(a) for a in e.args)
    return e if all(map(is_, args, e.args)) else build(e.op, args)


def map_sums(f: Callable[[Reduce], Expr], e: Expr) -> Expr:
    """The expression with f applied to each sum, inner ones first."""
    e = map_children(lambda child: map_sums(f, child), e)
    return f(e) if isinstance(e, Reduce) and e.op == "sum" else e


def build(op: str, args: tuple[Expr, ...]) -> Expr:
    """An Op through the smart constructors."""
    if op == "+":
        return add(list(args))
    if op == "*":
        return mul(list(args))
    if op == "neg":
        return neg(args[0])
    if op == "/":
        return args[0] / args[1]
    if op == "where":
        return where(*args)
    if op == "and":
        return conjunction(list(args))
    if op in COMPARISONS and isinstance(args[0], IntValue) and isinstance(args[1], IntValue):
        return compare(op, args[0].value, args[1].value)
    return Op(op, args)


def rebuilt(e: Expr) -> Expr:
    """What is left of an expression when all zeros and ones in it disappear."""
    return build(e.op, tuple(map(rebuilt, e.args))) if isinstance(e, Op) else map_children(rebuilt, e)


def map_ints(f: Callable[[Int], Int], e: Expr) -> Expr:
    """The expression with f applied to every subscript and integer value."""
    if isinstance(e, Read):
        subs = tuple(map(f, e.subs))
        return e if all(map(is_, subs, e.subs)) else Read(e.tensor, subs)
    if isinstance(e, IntValue):
        value = f(e.value)
        return e if value is e.value else IntValue(value)
    return map_children(lambda child: map_ints(f, child), e)


def replace(e: Expr, table: Mapping[Expr, Expr]) -> Expr:
    """Each subexpression that is a key, outermost first, replaced."""
    if e in table:
        return table[e]
    return map_children(lambda child: replace(child, table), e)


def reads(e: Expr) -> list[Read]:
    """Reads of real tensors, in order, each as often as it is written."""
    found, pending = [], [e]
    while pending:
        node = pending.pop()
        if isinstance(node, Read):
            found.append(node)
        elif isinstance(node, Op):
            pending.extend(node.args[::-1])
        elif isinstance(node, Reduce):
            pending.append(node.body)
    return found


def own_reads(e: Expr) -> list[tuple[str, tuple[Int, ...]]]:
    """The reads that are inside a reduction's body but not inside a further reduction in it; elements of integer tensors too."""
    if isinstance(e, Reduce):
        return []
    found = [(e.tensor, e.subs)] if isinstance(e, Read) else []
    values = e.subs if isinstance(e, Read) else (e.value,) if isinstance(e, IntValue) else ()
    found += [(el.tensor, el.subs) for v in values for el in v.elements()]
    return found + [r for c in children(e) for r in own_reads(c)]


def ints(e: Expr) -> Iterator[Int]:
    """Every integer expression in e: subscripts and values."""
    for node in walk(e):
        if isinstance(node, Read):
            yield from node.subs
        elif isinstance(node, IntValue):
            yield node.value


def all_reads(e: Expr) -> list[Read]:
    """The reads in e, and those of integer tensors, in subscripts too."""
    return [*reads(e), *(Read(x.tensor, x.subs) for value in ints(e) for x in value.elements())]


def tensors(e: Expr) -> set[str]:
    """Names of the real and integer tensors that e reads."""
    return {r.tensor for r in all_reads(e)}


def reads_data(e: Expr) -> bool:
    """Whether e depends on what tensors hold, and not on indices, sizes and numbers alone."""
    return bool(reads(e)) or any(value.elements() for value in ints(e))


def symbols(e: Expr) -> set[str]:
    """Every index, size and parameter name in e, bound ones included."""
    found = {name for value in ints(e) for name in value.symbols()}
    return found | {i for n in walk(e) if isinstance(n, Reduce) for i in n.indices}


def free_symbols(e: Expr) -> set[str]:
    """Names in e that no reduction in e binds; the index of a softmax stays free."""
    if isinstance(e, Read):
        return {name for s in e.subs for name in s.symbols()}
    if isinstance(e, IntValue):
        return {*e.value.symbols()}
    found: set[str] = set()
    for child in children(e):
        found |= free_symbols(child)
    return found - set(e.indices) if isinstance(e, Reduce) and e.op not in NORMALISERS else found


def has_normaliser(e: Expr) -> bool:
    """Whether there is a softmax in e, which runs along a letter that is not its own."""
    return any(isinstance(n, Reduce) and n.op in NORMALISERS for n in walk(e))


def sums_among(parts: Iterable[Expr]) -> list[Reduce]:
    """The sums among factors or terms."""
    return [f for f in parts if isinstance(f, Reduce) and f.op == "sum"]


def has_reduction(e: Expr) -> bool:
    return any(isinstance(n, Reduce) for n in walk(e))


def reduces_or_chooses(e: Expr) -> bool:
    """Whether there is a reduction or a where in e: what has neither is one formula, the same at all places."""
    return any(isinstance(n, Reduce) or isinstance(n, Op) and n.op == "where" for n in walk(e))


def subst_indices(e: Expr, values: Mapping[str, Int], fresh: Callable[[str], str] | None = None) -> Expr:
    """Put integer expressions in place of free names.

    A bound index whose name occurs in what is put in is renamed first: the caller's `a` may be our bound `a`.
    """
    if not values:
        return e
    if isinstance(e, Read | IntValue):
        return map_ints(lambda value: value.subst(values), e)
    if isinstance(e, Reduce):
        if e.op in NORMALISERS and any(i in values for i in e.indices):
            return _along(e, values, fresh)
        inner = {k: v for k, v in values.items() if k not in e.indices}
        incoming = {name for v in inner.values() for name in v.symbols()}
        renamed = {i: _fresh(i, incoming | symbols(e.body), fresh) for i in e.indices if i in incoming}
        if renamed:
            body = subst_indices(e.body, {i: Int.symbol(j) for i, j in renamed.items()}, fresh)
            e = Reduce(e.op, tuple(renamed.get(i, i) for i in e.indices), body)
        body = subst_indices(e.body, inner, fresh)
        return e if body is e.body else Reduce(e.op, e.indices, body)
    return map_children(lambda child: subst_indices(child, values, fresh), e)


def _along(e: Reduce, values: Mapping[str, Int], fresh: Callable[[str], str] | None) -> Expr:
    """A softmax that runs along other letters. It has a value at one of its places as soon as it has a name: in normal form."""
    letters = [values.get(i, Int.symbol(i)).name for i in e.indices]
    others = {n for k in free_symbols(e.body) - {*e.indices} for n in values.get(k, Int.symbol(k)).symbols()}
    if None in letters or len({*letters}) < len(letters) or others & {*letters}:
        raise NotImplementedError("a softmax is put into normal form before its own index is substituted")
    return Reduce(e.op, tuple(i for i in letters if i is not None), subst_indices(e.body, values, fresh))


def _fresh(name: str, taken: set[str], fresh: Callable[[str], str] | None) -> str:
    if fresh:
        return fresh(name)
    k = 2
    while f"{name}{k}" in taken:
        k += 1
    return f"{name}{k}"


def head(e: Expr) -> str:
    """What an expression is at its root: the name of what is read, or of the operation."""
    return e.tensor if isinstance(e, Read) else e.op if isinstance(e, Op | Reduce) else ""


def bound_indices(e: Expr) -> list[str]:
    """Indices that reductions in e bind (or, for a softmax, run along), each once."""
    return list(dict.fromkeys(i for n in walk(e) if isinstance(n, Reduce) for i in n.indices))


def rebound(e: Expr, names: dict[str, str]) -> Expr:
    """The expression with other names for bound indices."""
    if isinstance(e, Reduce):
        inner = subst_indices(rebound(e.body, names), {i: Int.symbol(names[i]) for i in e.indices if i in names})
        return Reduce(e.op, tuple(names.get(i, i) for i in e.indices), inner)
    return map_children(lambda child: rebound(child, names), e)


def rename_reads(e: Expr, names: Mapping[str, str]) -> Expr:
    """The expression with other names for some of the tensors that it reads."""
    if isinstance(e, Read):
        return Read(names[e.tensor], e.subs) if e.tensor in names else e
    return map_children(lambda child: rename_reads(child, names), e)


def nothing(op: str) -> Expr:
    """What a reduction over no position is: 0, or −inf for a maximum and a logsumexp, inf for a minimum."""
    return ZERO if op == "sum" else INF if op == "min" else neg(INF)


def restricted(e: Reduce, conditions: list[Expr]) -> Reduce:
    """A reduction over those places only where the conditions hold."""
    return Reduce(e.op, e.indices, where(conjunction(conditions), e.body, nothing(e.op))) if conditions else e


def considered(op: str, e: Expr) -> tuple[list[Expr], Expr]:
    """(conditions, x) for e = where(conditions, x, nothing), which an extreme leaves out where they fail."""
    conditions: list[Expr] = []
    while is_where(e, nothing(op)):
        conditions += conjuncts(e.args[0])
        e = e.args[1]
    return conditions, e
