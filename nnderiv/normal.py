"""Normal form: the same program, in which every equation is one of

    Y[i] = ± c · sum[r](e) ± … ± e'        sums of scalar expressions, c free of tensors
    Y[i] = op[r](e)                        op: max, min or logsumexp

where e is free of reductions. Reductions in other places get names: softmax(S) becomes exp(S − lse) with
lse[i] = logsumexp[j](S[i,j]), and so does one that is written out; a mean becomes a sum over a count; the argument of a function
that holds a sum gets a name, and so does that of an activation of several tensors.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from .bounds import never_negative
from .chosen import where_chosen
from .exponentials import settle
from .expr import (
    INF,
    NORMALISERS,
    ONE,
    ZERO,
    Expr,
    Op,
    Read,
    Reduce,
    bound_indices,
    conjunction,
    free_symbols,
    has_reduction,
    integer,
    map_children,
    map_ints,
    neg,
    nothing,
    own_reads,
    reads,
    rebuilt,
    subst_indices,
    tensor,
    walk,
    where,
)
from .fresh import Fresh
from .integer import Atom, Element, Int, parts, rebuild
from .logarithms import added_exponentials
from .polynomial import additive_terms, factors, product, signed, unordered
from .program import Equation, Program
from .sizes import equal_sizes
from .within import positive_names, readable

ACTIVATIONS = ("relu", "tanh", "sigmoid", "softplus", "gelu", "silu")


def normalise(program: Program, empty: Collection[str] = ()) -> Program:
    """The normal form of a program; new equations stand before the one that needs them.

    In a formula, sizes count as at least 1. With `empty`, those that may be 0 nevertheless, reductions say where there is nothing to
    read at x[T-1], which a name stands for.
    """
    return _Normaliser(settle(program), frozenset(empty)).run()


def reductions_named(program: Program) -> Program:
    """The normal form of a program as it was written: its reductions have names, and no exponential is seen by its logarithm."""
    return _Normaliser(program).run()


class _Normaliser:
    def __init__(self, program: Program, empty: frozenset[str] = frozenset()):
        self.program = program
        self.fresh = Fresh(program.names)
        self.positive, self.empty = positive_names(program), empty
        self.same = equal_sizes(program, program.sizes)
        self.equations: list[Equation] = []
        self.hulls = dict(program.hulls)
        self.named: dict[tuple[object, ...], str] = {}
        self.equation = Equation("", (), ZERO)
        self.known_sums: dict[object, Read] = {}  # that have names in this equation, whatever the order of their factors

    def run(self) -> Program:
        for e in self.program.equations:
            self.equation, self.known_sums = e, {}
            body = self.top(self.at_data(e.body, frozenset()))
            used = {s.name for s in e.subs} | set(bound_indices(body)) | e.by_hand
            self.equations.append(replace(e, body=body, ranges={i: r for i, r in e.ranges.items() if i in used}))
        return where_chosen(self.program.with_equations(self.equations))

    # -- data ----------------------------------------------------------------------------------------------------------
    def at_data(self, e: Expr, known: frozenset[Element]) -> Expr:
        """E[tok[n−1]] where tok[−1] is 0 by rule 1: where(0 ≤ n − 1, E[tok[n−1]], E[0]). Under a reduction there is no such position."""
        if isinstance(e, Reduce):
            return e
        if not isinstance(e, Read):
            return map_children(lambda child: self.at_data(child, known), e)
        inside_out = [el for s in e.subs for el in reversed(s.elements())]
        for el in dict.fromkeys(x for x in inside_out if x not in known):
            conditions = readable(self.hulls[el.tensor], el.subs, self.equation.ranges, self.positive, same=self.same)
            if conditions:
                without = map_ints(partial(_without, element=el), e)
                return where(conjunction(conditions), self.at_data(e, known | {el}), self.at_data(without, known))
        return e

    # -- places ------------------------------------------------------------------------------------------------------
    def top(self, e: Expr) -> Expr:
        """A right-hand side: a lone max, min or logsumexp, or a linear combination of sums."""
        if isinstance(e, Reduce) and e.op in ("max", "min", "logsumexp"):
            return Reduce(e.op, e.indices, self.operand(e))
        return self.linear(e)

    def activations_named(self, e: Expr) -> Expr:
        """A product in which the functions of several tensors are those of a name, but where it may cancel, as in softplus(b x)/b."""
        parts = factors(e)
        if not any(map(self.is_asked_often, parts)):
            return e
        own = [{r.tensor for r in reads(f)} for f in parts]
        if sum(map(len, own)) > len(frozenset[str]().union(*own)):
            return e
        return product([Op(f.op, (self.name("in", self.scalar(f.args[0])),)) if isinstance(f, Op) and self.is_asked_often(f) else f
                        for f in parts])

    def is_asked_often(self, e: Expr) -> bool:
        """Whether it is an activation whose slope stands in several gradients: in relu(g (z − m)/s + b), in those of z, m, s, g and b.

        Its argument has a name then, and so has what its gradient lets through; not in a recurrence, where it would be kept.
        """
        alone = isinstance(e, Op) and e.op in ACTIVATIONS and not has_reduction(e) and self.equation.tensor not in self.program.components
        return alone and len({r.tensor for r in reads(e)}) > 1

    def linear(self, e: Expr) -> Expr:
        """Sums that stay come last: by then it is known which have names, whatever the order of the terms."""
        terms = additive_terms(e)
        found = {k: self.term(terms[k][1]) for k in sorted(range(len(terms)), key=lambda k: _lone_sum(terms[k][1]) is not None)}
        return signed([(sign, found[k]) for k, (sign, _) in enumerate(terms)])

    def term(self, e: Expr) -> Expr:
        """c · sum[r](…) with c free of tensors stays; all else becomes a scalar expression."""
        if isinstance(e, Reduce) and e.op in NORMALISERS:
            return self.normaliser(e)
        if (total := _lone_sum(e)) is None:
            return self.scalar(self.activations_named(e))
        others = [f for f in factors(e) if f != total]
        if self.known_sums and (known := self.known_sums.get(unordered(total, self.equation.ranges))) is not None:
            return product([*others, known])
        summed = self.sum_(total)
        return product([*others, *(factors(summed) if len(additive_terms(summed)) == 1 else [summed])])

    def sum_(self, e: Reduce) -> Expr:
        """A sum with a scalar body; sums directly inside it join it; a mean is a sum over its count."""
        if e.op == "mean":
            return self.mean(e)
        body, sign = (e.body.args[0], -1) if isinstance(e.body, Op) and e.body.op == "neg" else (e.body, 1)
        if isinstance(body, Reduce) and body.op == "sum":
            inner = self.sum_(body)
            if isinstance(inner, Reduce):
                result: Expr = Reduce("sum", e.indices + inner.indices, inner.body)
                return result if sign > 0 else neg(result)
        result = Reduce("sum", e.indices, self.guarded(body, self.scalar(body), ZERO))
        return result if sign > 0 else neg(result)

    def conditions(self, e: Expr, empty: Collection[str] = ()) -> list[Expr]:
        """When every read of e's own is in range: where a reduction over e runs (rule 2)."""
        ranges = self.equation.ranges
        return [c for n, s in own_reads(e) for c in readable(self.hulls[n], s, ranges, self.positive, empty, self.same)]

    def guarded(self, body: Expr, named: Expr, nothing: Expr) -> Expr:
        """A name is in range everywhere, and what it stands for may not be: the reduction must still run only where that is.

        So it must where what is read disappears as soon as somebody touches it, as z[j−1] does in where(c, 0, 0)·z[j−1].
        """
        asked = self.conditions(body, self.empty)
        still = self.conditions(rebuilt(named), self.empty) if asked else []
        return where(conjunction([c for c in asked if c not in still]), named, nothing)

    def mean(self, e: Reduce) -> Expr:
        """sum / count, where the count is the product of the sizes if every read is always in range."""
        conditions = self.conditions(e.body)
        if not conditions:
            count = Int.of(1)
            for i in e.indices:
                count = count * self.equation.ranges[i].size
            total = self.sum_(Reduce("sum", e.indices, e.body))
            if not never_negative(count - 1, {}, self.positive):
                count = Int.extreme("max", count, Int.of(1))  # the mean of nothing is 0
            below = integer(count)
            return product([Op("/", (ONE, below)), *factors(total)])
        number = self.name("count", Reduce("sum", e.indices, where(conjunction(conditions), ONE, ZERO)))
        return self.sum_(Reduce("sum", e.indices, e.body / Op("max", (number, ONE))))

    def scalar(self, e: Expr) -> Expr:
        """e without reductions: each is named, or for a linear combination of them, the whole combination.

        So is log(exp(a) + Σ exp(x)): by its name, the gradients of all entries are shares of the whole.
        """
        if isinstance(e, Op) and e.op == "exp":
            e = Op("exp", (self.logs_named(e.args[0]),))
        if isinstance(e, Op) and e.op in ("max", "min") and self.equation.tensor not in self.program.components:
            e = Op(e.op, tuple(self.choices_named(a, {r.tensor for r in reads(b)}) for a, b in (e.args, e.args[::-1])))
        if not has_reduction(e):
            return map_children(self.scalar, e)
        if isinstance(e, Reduce):
            return self.reduction(e)
        exponents = [x for x, _ in added_exponentials(e)]
        if len(exponents) > 1 and any(isinstance(x, Reduce) and x.op == "logsumexp" for x in exponents) and e != self.equation.body:
            return self.name("log", map_children(self.scalar, e))
        if isinstance(e, Op) and e.op in ("+", "neg", "*", "/") and any(_lone_sum(t) is not None for _, t in additive_terms(e)):
            return self.name("in", self.linear(e))
        return map_children(self.scalar, e)

    def choices_named(self, e: Expr, beside: set[str]) -> Expr:
        """In min(r a, min(max(r, l), h) a), what is chosen between l and h has a name: the slope by r is one choice, within another one."""
        if isinstance(e, Op) and e.op in ("max", "min") and beside & {r.tensor for r in reads(e)}:
            return self.name(e.op, self.scalar(e))
        return map_children(lambda child: self.choices_named(child, beside), e) if isinstance(e, Op) else e

    def logs_named(self, e: Expr) -> Expr:
        """What exp is taken of: in exp(a − log(u + v)), the logarithm gets a name, or SymPy would write exp(a)/(u + v)."""
        if isinstance(e, Op) and e.op == "log" and len(additive_terms(e.args[0])) > 1:
            return self.name("log", map_children(self.scalar, e))
        return map_children(self.logs_named, e) if isinstance(e, Op) and e.op in ("+", "neg", "*", "/", "where") else e

    def reduction(self, e: Reduce) -> Expr:
        if e.op in NORMALISERS:
            value = self.normaliser(e)
            return self.name(e.op, value) if e.op == "softmax" else value
        if e.op in ("sum", "mean"):
            key = unordered(e, self.equation.ranges)
            if key not in self.known_sums:
                self.known_sums[key] = self.name(e.op, self.linear(e))
            return self.known_sums[key]
        return self.name("lse" if e.op == "logsumexp" else e.op, Reduce(e.op, e.indices, self.operand(e)))

    def operand(self, e: Reduce) -> Expr:
        """What a max, min or logsumexp runs over; named if computing it twice might round differently, or if its softmax would be long.

        Not in a recurrence, where a name would be kept for every step.
        """
        body = self.scalar(e.body)
        once = len(reads(body)) > 2 and self.equation.tensor not in self.program.components if e.op == "logsumexp" else (
            not all(map(_is_repeatable, walk(body))))
        named = self.name("of", body) if once else body
        return self.guarded(e.body, named, nothing(e.op))

    def normaliser(self, e: Reduce) -> Expr:
        """softmax = exp(S − lse), log_softmax = S − lse; 0 and −inf at positions that the reduction does not run over.

        There the scores of a softmax are −inf, as behind a mask that is written: then its gradient is 0 by itself.
        """
        body, conditions = self.scalar(e.body), self.conditions(e.body)
        exactly = self.conditions(e.body, self.empty)
        if e.op == "softmax" and conditions:
            scores = self.read("of", where(conjunction(exactly), body, neg(INF)))
            return Op("exp", (scores - self.name("lse", Reduce("logsumexp", e.indices, scores)),))
        body = self.read("of", body)
        difference = body - self.name("lse", Reduce("logsumexp", e.indices, self.guarded(e.body, body, neg(INF))))
        asked = conjunction([c for c in exactly if c not in conditions])
        if e.op == "softmax":
            return where(asked, Op("exp", (difference,)), ZERO)
        difference = where(asked, difference, neg(INF))
        # What reads it outside these positions reads −inf there, and not a score that is outside.
        return self.name("log_softmax", where(conjunction(conditions), difference, neg(INF))) if conditions else difference

    # -- names -------------------------------------------------------------------------------------------------------
    def read(self, suffix: str, body: Expr) -> Read:
        """body, if it is a read, or the read of a tensor that is body."""
        return body if isinstance(body, Read) else self.name(suffix, body)

    def name(self, suffix: str, body: Expr) -> Read:
        """A tensor with the free indices of body as its subscripts, and the read of it; the same name in whatever letters."""
        e = self.equation
        free = free_symbols(body)
        indices = [i for i in e.ranges if i in free]
        indices = [i for i in e.indices if i in free] + [i for i in indices if i not in e.indices]
        ranges = {i: e.ranges[i] for i in [*indices, *bound_indices(body)]}
        places = {i: Int.symbol(f"\0{k}") for k, i in enumerate(indices)}
        long = any(isinstance(n, Reduce) and len(n.indices) > 3 for n in walk(body))  # such a key keeps its letters
        key = (tuple(ranges[i] for i in indices), unordered(subst_indices(body, places), ranges), frozenset(ranges.items() if long else ()))
        if key not in self.named:
            name = self.fresh(f"{e.tensor}_{suffix}")
            subs = tuple(Int.symbol(i) for i in indices)
            self.equations.append(new := Equation(name, subs, body, ranges, position=e.position))
            self.named[key], self.hulls[name] = name, new.shape
        return tensor(self.named[key], *indices)


def _lone_sum(e: Expr) -> Reduce | None:
    """The sum or mean in one beside factors without tensors, as numbers and sizes are."""
    sums = [f for f in factors(e) if isinstance(f, Reduce) and f.op in ("sum", "mean")]
    others = [f for f in factors(e) if f not in sums]
    return sums[0] if len(sums) == 1 and not any(has_reduction(f) or reads(f) for f in others) else None


_REPEATABLE = ("+", "neg", "*", "where", "max", "min", "relu", "abs", "and", "or", "not", "<", "<=", ">", ">=", "==", "!=")


def _is_repeatable(e: Expr) -> bool:
    """Whether an operation rounds alike in whatever way it is carried out: of three terms or factors, any two may meet first."""
    return not isinstance(e, Op) or e.op in _REPEATABLE and len(additive_terms(e)) < 3 and len(factors(e)) < 3


def _without(value: Int, element: Element) -> Int:
    """The value with 0 for an element of an integer tensor."""
    def replaced(atom: Atom) -> Int:
        if atom == element:
            return Int.of(0)
        return Int.atom(atom) if isinstance(atom, str) else rebuild(atom, tuple(_without(p, element) for p in parts(atom)))

    return value.map_atoms(replaced)
