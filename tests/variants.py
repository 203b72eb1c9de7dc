"""One program written in other ways, and a fingerprint that tells no two ways of writing apart.

    renamed(p, rng)     other names for its tensors, sizes, parameters and indices
    rewritten(p, rng)   its equations in another order, its sums, products and reductions commuted
    fingerprint(p)      equal for programs that differ in such ways only

A fingerprint colours each tensor by its equations, each index by the places where it stands, and refines the colours until
they tell apart what can be told apart (as one tests graphs for isomorphism).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from nnderiv.expr import COMPARISONS, Const, Expr, IntValue, Num, Op, Read, Reduce, ints, walk
from nnderiv.integer import Atom, Element, Extreme, FloorDiv, Int, Mod
from nnderiv.integer import parts as int_parts
from nnderiv.polynomial import additive_terms, factors, is_reciprocal
from nnderiv.program import Equation, Input, Program, Range, Requirement

ROUNDS = 3


# -- other ways of writing ---------------------------------------------------------------------------------------------------
def renamed(program: Program, rng: Random) -> Program:
    """Every name replaced by another one: tensors T1, T2, …, sizes S1, …, indices x1, …, in a random order.

    An index k2 stays a numbered one: a gradient calls it k where that is free.
    """
    tensors = list(dict.fromkeys([*(i.name for i in program.inputs), *(e.tensor for e in program.equations)]))
    every = sorted({i for e in program.equations for i in e.ranges})
    indices = sorted({i.rstrip("0123456789") for i in every})
    table: dict[str, str] = {}
    for names, letter in ((tensors, "Tens"), (list(program.sizes), "Size"), (indices, "ind")):
        numbers = rng.sample(range(1, len(names) + 1), len(names))
        table |= {n: f"{letter}{'abcdefghijklmnopqrstuvwxyz'[k % 26]}{'x' * (k // 26)}" for n, k in zip(names, numbers, strict=True)}
    table |= {i: table[i.rstrip("0123456789")] + i[len(i.rstrip("0123456789")):] for i in every}
    return _Renaming(table).program(program)


def rewritten(program: Program, rng: Random) -> Program:
    """Equations, additive terms, factors and the indices of each reduction in a random order."""
    equations = [replace(e, body=_shuffled(e.body, rng)) for e in program.equations]
    rng.shuffle(equations)
    return replace(program, equations=tuple(equations))


def _shuffled(e: Expr, rng: Random) -> Expr:
    if isinstance(e, Reduce):
        return Reduce(e.op, tuple(rng.sample(e.indices, len(e.indices))), _shuffled(e.body, rng))
    if not isinstance(e, Op):
        return e
    args = [_shuffled(a, rng) for a in e.args]
    if e.op in ("+", "*"):
        rng.shuffle(args)
    return Op(e.op, tuple(args))


@dataclass
class _Renaming:
    table: Mapping[str, str]

    def name(self, n: str) -> str:
        return self.table.get(n, n)

    def program(self, p: Program) -> Program:
        return replace(
            p,
            inputs=tuple(Input(self.name(i.name), tuple(map(self.int_, i.dims)), i.kind) for i in p.inputs),
            outputs=tuple(map(self.name, p.outputs)),
            equations=tuple(map(self.equation, p.equations)),
            shapes={self.name(n): tuple(map(self.range_, s)) for n, s in p.shapes.items()},
            givens=tuple(map(self.expr, p.givens)),
            requirements=tuple(Requirement(self.int_(r.left), r.op, self.int_(r.right), r.reason) for r in p.requirements),
        )

    def equation(self, e: Equation) -> Equation:
        return Equation(self.name(e.tensor), tuple(map(self.int_, e.subs)), self.expr(e.body),
                        {self.name(i): self.range_(r) for i, r in e.ranges.items()}, frozenset(map(self.name, e.by_hand)))

    def range_(self, r: Range) -> Range:
        return Range(self.int_(r.lo), self.int_(r.hi))

    def int_(self, v: Int) -> Int:
        total = Int({})
        for monomial, c in v.terms.items():
            product = Int.of(c)
            for a in monomial:
                product = product * self.atom(a)
            total = total + product
        return total

    def atom(self, a: Atom) -> Int:
        if isinstance(a, str):
            return Int.symbol(self.name(a))
        inner = tuple(map(self.int_, int_parts(a)))
        if isinstance(a, FloorDiv):
            return Int.atom(FloorDiv(*inner))
        if isinstance(a, Mod):
            return Int.atom(Mod(*inner))
        return Int.atom(Extreme(a.op, inner)) if isinstance(a, Extreme) else Int.atom(Element(self.name(a.tensor), inner))

    def expr(self, e: Expr) -> Expr:
        if isinstance(e, Read):
            return Read(self.name(e.tensor), tuple(map(self.int_, e.subs)))
        if isinstance(e, IntValue):
            return IntValue(self.int_(e.value))
        if isinstance(e, Reduce):
            return Reduce(e.op, tuple(map(self.name, e.indices)), self.expr(e.body))
        return Op(e.op, tuple(map(self.expr, e.args))) if isinstance(e, Op) else e


def same_text_but_for_names(a: str, b: str) -> bool:
    """Whether the names of one text go over into those of the other, one to one, and everything else is the same; comments say nothing."""
    a, b = (re.sub("#.*", "", text) for text in (a, b))
    word = re.compile(r"[A-Za-z_]\w*")
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    if word.sub("x", a) != word.sub("x", b):
        return False
    return all(there.setdefault(x, y) == y and back.setdefault(y, x) == x for x, y in zip(word.findall(a), word.findall(b), strict=True))


def has_products_of_names(program: Program) -> bool:
    """Whether some integer expression multiplies two names."""
    values = [v for e in program.equations for v in (*e.subs, *ints(e.body), *(b for r in e.ranges.values() for b in (r.lo, r.hi)))]
    return any(len(m) > 1 for v in values for m in _monomials(v))


def _monomials(v: Int) -> Iterator[tuple[Atom, ...]]:
    for m in v.terms:
        yield m
        for a in m:
            for inner in int_parts(a):
                yield from _monomials(inner)


# -- the fingerprint ---------------------------------------------------------------------------------------------------------
def fingerprint(program: Program) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(colours of the outputs, colours of all equations); equal for programs that differ in names and order only."""
    colours = _Colours()
    for k, i in enumerate(program.inputs):
        for axis, d in enumerate(i.dims):
            for s in sorted(d.symbols()):
                colours.names.setdefault(s, hash(("size", k, axis, _Colours().int_(d, {s: hash("here")}))))
    for k, i in enumerate(program.inputs):
        colours.names[i.name] = hash(("input", k, i.kind, len(i.dims)))
    tensors = list(program.definitions)
    for _ in range(ROUNDS):
        new = {t: hash(tuple(sorted(map(colours.equation, program.definitions[t])))) for t in tensors}
        colours.names |= new
    facts = tuple(sorted(colours.fact(g) for g in program.givens))
    return tuple(colours.names[o] for o in program.outputs) + facts, tuple(sorted(colours.names[t] for t in tensors))


@dataclass
class _Colours:
    names: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, int] = field(default_factory=dict)

    def equation(self, e: Equation) -> int:
        self.ranges = {i: hash((self.int_(r.lo, {}), self.int_(r.hi, {}))) for i, r in e.ranges.items()}
        local = {str(s.name): hash(("left", k)) for k, s in enumerate(e.subs) if s.name in e.ranges}
        local |= {i: hash(("along", self.ranges[i])) for i in e.ranges if i not in local}  # the index of a softmax
        return hash((tuple(self.int_(s, local) for s in e.subs), tuple(self.ranges[i] for i in e.indices), self.expr(e.body, local)))

    def reduction(self, e: Reduce, local: Mapping[str, int]) -> int:
        """Indices that one reduction binds are told apart by where they stand in its body."""
        own = {i: hash(("bound", self.ranges[i])) for i in e.indices}
        for _ in range(ROUNDS if len(own) > 1 else 0):
            own = {i: hash((c, self.expr(e.body, {**local, **own, i: hash("here")}))) for i, c in own.items()}
        return hash((e.op, tuple(sorted(own.values())), self.expr(e.body, {**local, **own})))

    def fact(self, fact: Expr) -> int:
        """A given: its letters are told apart by where they stand."""
        letters = {i for n in walk(fact) if isinstance(n, Reduce) for i in n.indices}
        self.ranges = dict.fromkeys(letters, 0)
        return self.expr(fact, {})

    def name(self, n: str, local: Mapping[str, int]) -> int:
        return local[n] if n in local else self.names.get(n, 0)

    def int_(self, v: Int, local: Mapping[str, int]) -> int:
        return hash(tuple(sorted((c, tuple(sorted(self.atom(a, local) for a in m))) for m, c in v.terms.items())))

    def atom(self, a: Atom, local: Mapping[str, int]) -> int:
        if isinstance(a, str):
            return self.name(a, local)
        inner = [self.int_(p, local) for p in int_parts(a)]
        own = self.names.get(a.tensor, 0) if isinstance(a, Element) else hash(a.op) if isinstance(a, Extreme) else 0
        return hash((type(a).__name__, own, tuple(sorted(inner) if isinstance(a, Extreme) else inner)))

    def expr(self, e: Expr, local: Mapping[str, int]) -> int:
        """The colour of a value: sums, products, comparisons without their order."""
        if isinstance(e, Num | Const):
            return hash(str(e))
        if isinstance(e, IntValue):
            return hash(("int", self.int_(e.value, local)))
        if isinstance(e, Read):
            return hash((self.names.get(e.tensor, 0), tuple(self.int_(s, local) for s in e.subs)))
        if isinstance(e, Reduce):
            return self.reduction(e, local)
        assert isinstance(e, Op)
        terms = additive_terms(e)
        if len(terms) > 1:
            return hash(("+", tuple(sorted(self.product(s, t, local) for s, t in terms))))
        if e.op in ("*", "neg", "/") and not is_reciprocal(e):
            return self.product(1, e, local)
        if e.op in COMPARISONS:
            return self.comparison(e, local)
        args = [self.expr(a, local) for a in e.args]
        return hash((e.op, tuple(sorted(args) if e.op in ("and", "or", "max", "min") else args)))

    def product(self, sign: int, e: Expr, local: Mapping[str, int]) -> int:
        value, rest = sign, []
        for f in factors(e):
            if isinstance(f, Num):
                value = value * f.value
            else:
                rest.append(self.expr(f, local))
        return hash(("*", value, tuple(sorted(rest)))) if (value != 1 or len(rest) != 1) else rest[0]

    def comparison(self, e: Op, local: Mapping[str, int]) -> int:
        """a < b and b > a alike; a condition on integers by the difference that must not be negative."""
        a, b = e.args if e.op in ("<", "<=", "==", "!=") else e.args[::-1]
        op = {">": "<", ">=": "<="}.get(e.op, e.op)
        if isinstance(a, IntValue) and isinstance(b, IntValue):
            slack = b.value - a.value - (1 if op == "<" else 0)
            both = sorted((self.int_(slack, local), self.int_(-slack, local)))
            return hash((op, *both)) if op in ("==", "!=") else hash(("<=", self.int_(slack, local)))
        args = [self.expr(x, local) for x in (a, b)]
        return hash((op, tuple(sorted(args) if op in ("==", "!=") else args)))
