"""What the definitions of tensors, and what is given of inputs, say about values: where they are zero whatever the inputs are, and whether
they are finite."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from .conditions import TURNED
from .expr import INF, ZERO, Const, Expr, IntValue, Num, Op, Read, Reduce, children, conjuncts, free_symbols, is_where, neg, subst_indices
from .integer import Int
from .missing import resting_on
from .polynomial import additive_terms, difference, factors
from .program import Equation, Program, Range, Ranges, whole
from .signs import at_least_0, never_positive
from .within import runs_along

FINITE = ("+", "neg", "*", "tanh", "sigmoid", "relu", "softplus", "gelu", "silu", "abs", "sign", "sin", "cos", "erf")  # of finite arguments

NOWHERE: Ranges = {}  # of indices of which nothing is known

EXPONENT = 80  # its exponential is a number in single precision


class Facts:
    """What is known of tensors from their definitions, at their own indices, and of inputs from what is given; they are taken to be
    finite, unless the program doubts it, or chooses by other data where it reads them."""

    def __init__(self, definitions: Mapping[str, tuple[Equation, ...]], program: Program, known: Program | None = None):
        """`known` is the forward program, as far as nothing has been made explicit in it."""
        self.definitions, self.sizes, self.inputs = definitions, {*program.sizes}, program.kinds
        signs = dict(_given(program))
        self.axes = {i.name: program.dims[i.name] for i in program.inputs}
        self.positive = {name: True for name, strictly in signs.items() if strictly}
        self.by_definition = True
        self.zero: dict[str, set[Expr]] = {}
        missing = (known or program).missing
        self.absent = resting_on(missing, (e for es in definitions.values() for e in es), program)  # where that is, no number stands
        self.finite: dict[str, bool] = dict.fromkeys(program.doubted | missing, False)
        self.at_least_0: dict[str, bool] = dict.fromkeys(signs, True)

    @classmethod
    def beside(cls, program: Program, known: Program) -> Facts:
        """What is known in a program that reads what another one computes."""
        return cls({**known.definitions, **program.definitions}, program, known)

    def needed(self, e: Expr) -> set[Expr]:
        """Conditions without which e is 0."""
        if isinstance(e, Read):
            return self.at(e, self.zero_of(e.tensor))
        if isinstance(e, Op) and e.op == "exp":
            terms = additive_terms(e.args[0])
            return {c for s, t in terms if s > 0 for c in self.masks(t)
                    if self.is_normalised(e) or all(x is t or self.is_finite(x) for _, x in terms)}
        if is_where(e, ZERO):
            return {*conjuncts(e.args[0]), *self.needed(e.args[1])}
        parts = factors(e)
        found = {id(f): self.needed(f) for f in parts} if len(parts) > 1 else {}
        return {c for f in parts for c in found.get(id(f), ()) if all(g is f or self.is_finite(g) for g in parts)}

    def zero_of(self, name: str) -> set[Expr]:
        if name not in self.zero:
            self.zero[name] = set()  # a recurrence asks for itself
            d = whole(self.definitions.get(name, ()))
            self.zero[name] = self.needed(d.body) if d is not None else set()
        return self.zero[name]

    def masks(self, e: Expr) -> Iterator[Expr]:
        """Conditions without which e is −inf."""
        if is_where(e, neg(INF)):
            yield from conjuncts(e.args[0])
            yield from self.masks(e.args[1])
        elif isinstance(e, Read) and (d := whole(self.definitions.get(e.tensor, ()))) is not None:
            yield from self.at(e, set(self.masks(d.body)))

    def at(self, r: Read, conditions: set[Expr]) -> set[Expr]:
        """Conditions on a tensor's own indices as they are at a read of it."""
        if not conditions:
            return set()
        e = self.definitions[r.tensor][0]
        values = e.places(r.subs)
        if bound := e.ranges.keys() - values.keys():
            conditions = {c for c in conditions if free_symbols(c).isdisjoint(bound)}
        return conditions if r.subs == e.subs else {subst_indices(c, values) for c in conditions}

    def is_finite(self, e: Expr, ranges: Ranges = NOWHERE) -> bool:
        """Whether e is finite wherever the inputs are, large numbers aside; what its indices run over says that reads are inside."""
        if isinstance(e, Read):
            return self.tensor_is_finite(e.tensor)
        if isinstance(e, Num | IntValue | Const):
            return e != INF
        if isinstance(e, Reduce):
            return e.op == "sum" and self.is_finite(e.body, ranges)
        if not isinstance(e, Op):
            return False
        if e.op == "/":
            return self.is_finite(e.args[0], ranges) and self.is_positive(e.args[1], ranges)
        if e.op == "exp":
            return self.is_normalised(e) or (never_positive(e.args[0]) or self.is_held(e.args[0])) and self.is_finite(e.args[0], ranges)
        if e.op == "sqrt":
            return self.is_at_least_0(e.args[0], ranges)
        if e.op == "**":
            whole = isinstance(e.args[1], Num) and e.args[1].value.denominator == 1 and e.args[1].value > 0
            return whole and self.is_finite(e.args[0], ranges) or self.is_positive(e, ranges)
        if e.op == "where":
            return all(self.is_finite(x, ranges) for x in e.args[1:])
        if e.op in ("max", "min"):
            return all(self.is_finite(x, ranges) for x in e.args)
        return e.op in FINITE and all(self.is_finite(x, ranges) for x in children(e))

    def is_positive(self, e: Expr, ranges: Ranges = NOWHERE) -> bool:
        """Sums of what is at least 0 and of sizes and numbers, products, powers and roots; an empty array has no entries to be wrong."""
        if isinstance(e, Read):
            return bool(ranges.keys() or not e.subs) and self._is_inside(e, ranges) and self._is_above_0(e.tensor)
        if isinstance(e, Op) and e.op == "+":
            return all(self.is_at_least_0(x, ranges) for x in e.args) and any(self.is_positive(x, ranges) for x in e.args)
        if isinstance(e, Op) and e.op in ("*", "sqrt"):
            return all(self.is_positive(x, ranges) for x in e.args)
        if isinstance(e, Op) and e.op == "max":
            return any(self.is_positive(x, ranges) for x in e.args) and all(self.is_finite(x, ranges) for x in e.args)
        if isinstance(e, Op) and e.op == "**":
            return self.is_positive(e.args[0], ranges) and isinstance(e.args[1], Num)
        if isinstance(e, IntValue) and isinstance(e.value, Int):
            return bool(e.value.terms) and all(c > 0 and {*m} <= self.sizes for m, c in e.value.terms.items())
        return isinstance(e, Num) and e.value > 0 or isinstance(e, Const) and e != INF

    def is_at_least_0(self, e: Expr, ranges: Ranges = NOWHERE) -> bool:
        """Finite, and at least 0 by what is written, there or where a tensor is defined."""
        return self.is_finite(e, ranges) and at_least_0(e, lambda f: self._is_never_negative(f, ranges))

    def _is_never_negative(self, e: Expr, ranges: Ranges) -> bool:
        if isinstance(e, Read):
            return self._settled(e.tensor, self.at_least_0, self._is_never_below_0)
        return self.is_positive(e, ranges)

    def _is_never_below_0(self, name: str) -> bool:
        definition = self.definitions.get(name, ())
        return bool(definition) and all(self.is_at_least_0(d.body, d.ranges) for d in definition)

    def _is_above_0(self, name: str) -> bool:
        """Whether a tensor is above 0 by what is given, or by its own definition and what is given."""
        definition = self.definitions.get(name, ())
        if name not in self.positive and definition and self.by_definition and self.tensor_is_finite(name):
            self.by_definition = False  # of what it reads in turn, which may be a long chain
            self.positive[name] = all(self.is_positive(d.body, d.ranges) for d in definition)
            self.by_definition = True
        return self.positive.get(name, False) and self.tensor_is_finite(name)

    def _is_inside(self, r: Read, ranges: Ranges) -> bool:
        """Whether a read is inside its tensor, as each index runs over an axis; a read outside is 0."""
        return runs_along(r.subs, self._axes_of(r.tensor), ranges)

    def _axes_of(self, name: str) -> Sequence[Range]:
        """What each subscript of a tensor runs over; nothing where no equation says that alone."""
        definition = whole(self.definitions.get(name, ()))
        return [definition.ranges[i] for i in definition.indices] if definition is not None else self.axes.get(name, ())

    def tensor_is_finite(self, name: str) -> bool:
        def decided(name: str) -> bool:
            definition = self.definitions.get(name, ())
            return all(self.is_finite(d.body, d.ranges) for d in definition) if definition else name in self.inputs

        return self._settled(name, self.finite, decided)

    def _settled(self, name: str, known: dict[str, bool], decided: Callable[[str], bool]) -> bool:
        """A property of a tensor; those that it rests on are asked first, so that a chain of any length fits Python's stack.

        A recurrence has it if each step hands it on: what it says of itself counts until something speaks against it.
        """
        todo, waiting, asked, circular = [name], set[str](), list[str](), False
        while todo:
            top = todo.pop()
            if top in waiting:
                waiting.remove(top)
                known[top] = decided(top)
                asked.append(top)
            elif top not in known:
                known[top] = True
                waiting.add(top)
                read = {r for d in self.definitions.get(top, ()) for r in d.reads}
                circular |= not read.isdisjoint(waiting)
                todo += [top, *(r for r in read if r not in known)]
        while circular:
            against = [n for n in asked if known[n] and not decided(n)]
            known |= dict.fromkeys(against, False)
            circular = bool(against)
        return known[name]

    def is_held(self, e: Expr) -> bool:
        """Whether e is at most a number whose exponential is one, as the logarithm of a scale is held between −20 and 2."""
        if isinstance(e, Read):
            found = self.definitions.get(e.tensor, ())
            return len(found) == 1 and isinstance(found[0].body, Op) and self.is_held(found[0].body)
        if isinstance(e, Op) and e.op in ("min", "max"):
            return (any if e.op == "min" else all)(map(self.is_held, e.args))
        value = e.value if isinstance(e, Num) else e.value.constant if isinstance(e, IntValue) and e.value.is_constant else None
        return value is not None and value <= EXPONENT

    def is_normalised(self, e: Op) -> bool:
        """exp(S − logsumexp(S)), both of one row or one window, is at most 1, and exp(Z) where Z is S − logsumexp(S)."""
        (exponent,) = e.args
        named = self.definitions.get(exponent.tensor, ()) if isinstance(exponent, Read) else ()
        if (pair := difference(named[0].body if len(named) == 1 else exponent)) is None:
            return False
        scores, total = pair
        definition = self.definitions.get(total.tensor, ())
        body = definition[0].at(total.subs) if len(definition) == 1 else None
        if not (isinstance(body, Reduce) and body.op == "logsumexp" and isinstance(body.body, Read) and body.body.tensor == scores.tensor):
            return False
        pairs, axes, ranges = [*zip(body.body.subs, scores.subs, strict=True)], self._axes_of(scores.tensor), definition[0].ranges
        rows = {own for (own, _), axis in zip(pairs, axes, strict=False) if own.name in body.indices and ranges.get(own.name) == axis}
        return all(own == s or own in rows or _is_in_window(own, s, body.indices) for own, s in pairs)


def _is_in_window(own: Int, place: Int, bound: Collection[str]) -> bool:
    """Whether a place is one that a subscript goes through as an index steps, by a letter of another step: 2q + v of 2q + u, but not a."""
    moving = [u for u in bound if u in own.symbols()]
    return len(moving) == 1 and any(own.subst({moving[0]: Int.symbol(v)}) == place for v in place.symbols())


def _given(program: Program) -> Iterator[tuple[str, bool]]:
    """(A, whether it is above 0) for real inputs of which all entries are given to be at least 0; the strongest one last."""
    found = [f for fact in program.givens for c in conjuncts(fact) if (f := _sign_given(c, program)) is not None]
    yield from sorted(found)


def _sign_given(c: Expr, program: Program) -> tuple[str, bool] | None:
    """(A, whether above 0) for A[i,j] > 0 or A[i,j] ≥ 0, or with a larger number, where all subscripts are letters of their own."""
    if not isinstance(c, Op) or c.op not in TURNED:
        return None
    (a, b), op = c.args, c.op
    if isinstance(b, Read):
        a, b, op = b, a, TURNED[op]
    number = b.value if isinstance(b, Num) else b.value.constant if isinstance(b, IntValue) and b.value.is_constant else -1
    if not isinstance(a, Read) or program.kinds.get(a.tensor) != "real" or op not in (">", ">=", "==") or number < 0:
        return None
    letters = {s.name for s in a.subs} - {None, *program.sizes, *program.kinds}
    return (a.tensor, number > 0 or op == ">") if len(letters) == len(a.subs) else None
