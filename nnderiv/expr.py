"""Scalar expressions of a program: what one tensor element is equal to.

    Num       an exact number                    Const     inf, pi
    IntValue  an integer expression as a value    Read      A[α, β], an element of a real tensor (A alone: a scalar)
    Op        + - * / **, functions, where, comparisons, and or not
    Reduce    sum, max, min, mean, logsumexp over named indices; softmax and log_softmax along them

Expressions are immutable and hash by structure. Bound index names are part of the structure; `subst_indices` renames them
before they could capture, so an expression never changes its meaning under substitution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from itertools import product as cartesian
from math import factorial, prod
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


def additive_terms(e: Expr) -> list[tuple[int, Expr]]:
    """e as signed terms: a + b − (c − d) gives +a, +b, −c, +d."""
    if isinstance(e, Op) and e.op == "+":
        return [t for a in e.args for t in additive_terms(a)]
    if isinstance(e, Op) and e.op == "neg":
        return [(-s, t) for s, t in additive_terms(e.args[0])]
    return [(1, e)]


def positive_terms(e: Expr) -> list[tuple[int, Expr]]:
    """The same, a negative number as a positive one that is subtracted: a + (−2) gives +a, −2."""
    return [(-s, num(-t.value)) if isinstance(t, Num) and t.value < 0 else (s, t) for s, t in additive_terms(e)]


def signed(terms: list[tuple[int, Expr]]) -> Expr:
    """The inverse of additive_terms."""
    return add([t if s > 0 else neg(t) for s, t in terms])


def beside_one(e: Expr) -> tuple[int, Expr] | None:
    """(s, x) of 1 + s x, its terms in either order, where s is 1 or −1."""
    terms = additive_terms(e)
    return terms[terms[0] == (1, ONE)] if len(terms) == 2 and (1, ONE) in terms else None


def complement(e: Expr) -> Expr | None:
    """x of 1 − x, its terms in either order."""
    found = beside_one(e)
    return found[1] if found is not None and found[0] < 0 else None


def square_root(e: Expr) -> Expr | None:
    """x of x²."""
    return e.args[0] if isinstance(e, Op) and e.op == "**" and e.args[1] == num(2) else None


def factors(e: Expr) -> list[Expr]:
    """e as a product; a division contributes the reciprocals of its denominator's factors, a minus a −1."""
    if isinstance(e, Op) and e.op == "*":
        return [f for a in e.args for f in factors(a)]
    if isinstance(e, Op) and e.op == "neg":
        return [num(-1), *factors(e.args[0])]
    if isinstance(e, Op) and e.op == "/":
        below = [Num(1 / f.value) if isinstance(f, Num) and f.value else Op("/", (ONE, f)) for f in factors(e.args[1])]
        return factors(e.args[0]) + below
    return [] if e == ONE else [e]


def monomials(e: Expr) -> list[tuple[Fraction, tuple[Expr, ...]]]:
    """The terms of a sum, each as a number and factors."""
    found = []
    for s, t in additive_terms(e):
        numbers = [f.value for f in factors(t) if isinstance(f, Num)]
        found.append((prod(numbers, start=Fraction(s)), tuple(f for f in factors(t) if not isinstance(f, Num))))
    return found


def difference(body: Expr) -> tuple[Read, Read] | None:
    """(S, lse) of S − lse."""
    terms = additive_terms(body)
    if len(terms) != 2 or [s for s, _ in terms] not in ([1, -1], [-1, 1]):
        return None
    (_, scores), (_, total) = terms if terms[0][0] == 1 else terms[::-1]
    return (scores, total) if isinstance(scores, Read) and isinstance(total, Read) else None


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


def product(parts: list[Expr]) -> Expr:
    """The inverse of factors: one fraction, reciprocals gathered in its denominator."""
    above = [f for f in parts if not is_reciprocal(f)]
    below = [f.args[1] for f in parts if is_reciprocal(f)]
    top, sign = mul(above), 1
    if isinstance(top, Op) and top.op == "neg":
        top, sign = top.args[0], -1
    elif isinstance(top, Num) and top.value < 0:
        top, sign = Num(-top.value), -1
    result = top / mul(below) if below else top
    return neg(result) if sign < 0 else result


def without(parts: Iterable[Expr], taken: Iterable[Expr]) -> list[Expr]:
    """The factors but for one of each of these."""
    rest = list(parts)
    for f in taken:
        rest.remove(f)
    return rest


def occurrences(e: Expr, index: str) -> tuple[tuple[int, int, bool, str], ...]:
    """Where an index stands in what e reads: a key that depends on no name, nor on the order in which sum[i,j] lists its indices."""
    found = []
    for r in reads(e):
        for axis, s in enumerate(r.subs):
            split = s.split(index)
            if split is not None and split[0] != 0:
                found.append((len(r.subs), axis, split[1] != 0, str(split[0]) if split[0].is_constant else ""))
    return tuple(sorted(found))


def unordered(e: Expr, same: Mapping[str, object] | None = None) -> object:
    """A key that is the same for expressions that differ in the order of terms, factors and bound indices only.

    same: the ranges of bound indices; with it, the key does not know their letters either (unless too many of them look alike).
    """
    if isinstance(e, Reduce):
        groups: dict[object, list[str]] = {}
        for i in e.indices if same is not None else ():
            groups.setdefault((str(same[i]), occurrences(e.body, i)), []).append(i)  # type: ignore[index]
        if same is None or prod(factorial(len(g)) for g in groups.values()) > 24:
            return e.op, frozenset(e.indices), unordered(e.body)
        alike = [permutations(g) for _, g in sorted(groups.items(), key=lambda item: str(item[0]))]
        orders = ([i for g in choice for i in g] for choice in cartesian(*alike))
        ways = ({i: Int.symbol(f"\0{same[i]}{k}") for k, i in enumerate(order)} for order in orders)
        spans = tuple(sorted(str(same[i]) for i in e.indices))  # one that the body does not read counts, too
        return e.op, spans, frozenset(unordered(subst_indices(e.body, way)) for way in ways)
    if not isinstance(e, Op):
        return e
    many: list[object] = [unordered(f, same) for f in (factors(e) if e.op == "*" else e.args)]
    return (e.op, frozenset(Counter(many).items())) if e.op in ("+", "*", "and", "or") else (e.op, *many)


def guarded_factors(e: Expr) -> tuple[list[Expr], list[Expr]]:
    """(conditions, factors) of a product in which factors may stand as where(condition, factor, 0)."""
    conditions: list[Expr] = []
    found: list[Expr] = []
    for f in factors(e):
        while is_where(f, ZERO):
            conditions += conjuncts(f.args[0])
            f = f.args[1]
        found += factors(f)
    return conditions, found


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


def poles(e: Op) -> list[Expr]:
    """What must not be 0 for an operation to be finite: x in a/x, x**-2, log(x)."""
    if e.op == "/":
        return [e.args[1]]
    power = e.op == "**" and not (isinstance(e.args[1], Num) and e.args[1].value > 0)
    return [e.args[0]] if power or e.op == "log" else []


def raised(e: Expr) -> Op | None:
    """xᵃ for xᵃ⁻¹, which is what it becomes when x is multiplied with it."""
    if not (isinstance(e, Op) and e.op == "**"):
        return None
    x, exponent = e.args
    if isinstance(exponent, IntValue) and exponent.value.constant == -1:
        return Op("**", (x, IntValue(exponent.value + 1)))
    terms = additive_terms(exponent)
    rest = [(s, t) for s, t in terms if not (isinstance(t, Num) and s * t.value == -1)]
    return Op("**", (x, signed(rest))) if len(rest) == len(terms) - 1 and rest else None


def is_reciprocal(e: Expr) -> TypeGuard[Op]:
    return isinstance(e, Op) and e.op == "/" and e.args[0] == ONE
