"""A program as a person reads it: helpers are put in their places, and what a formula is about gets a name.

    exp(S − lse)         softmax(S), named P where it stands inside a formula
    dA, read once        put in its place, where it is a factor: δ = (δ' Wᵀ) ⊙ φ'(z)
    where(j ≤ i, S, −∞)  S + M, with M[i,j] = where(j ≤ i, 0, −∞)
    [j ≤ i] A, E[tok[n]] a matrix M of zeros and ones beside A, M E
    where(c, a, b)       [c] a + [not c] b

The law: the equations of `Reading.shown` have the values of the program's; `confirm` checks each of them that is displayed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..conditions import TURNED, turned
from ..expr import (
    COMPARISONS,
    INF,
    NORMALISERS,
    ONE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    additive_terms,
    bound_indices,
    conjunction,
    factors,
    free_symbols,
    ints,
    map_children,
    mul,
    neg,
    num,
    product,
    reads,
    signed,
    subst_indices,
    tensor,
    unordered,
    walk,
    where,
    without,
)
from ..fresh import Fresh
from ..integer import Element, Int
from ..laws_of_terms import common_factor
from ..program import Equation, Program, Range
from .axes import moved_subscripts, places, superscripts
from .memory import remembered
from .standardise import Scaling, Standardiser, collected, deepest, difference, gathered, with_powers

MASKS = ("M", "Omega", "Lambda")
SCALES = ("sigma", "tau", "varsigma")
PROBABILITIES = ("P", "Pi", "S")
NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True)
class Reading:
    """whole: the program with the definitions that were added; shown: what is displayed, helpers left out."""

    whole: Program
    shown: Program
    definitions: frozenset[str]
    read: dict[int, Equation] = field(repr=False)  # by the identity of the program's own equation

    def of(self, e: Equation) -> Equation:
        return self.read.get(id(e), e)

    def definitions_of(self, e: Equation) -> list[Equation]:
        """The definitions that an equation rests on, those that others rest on last."""
        found: dict[str, Equation] = {}
        pending = [e]
        while pending:
            for name in dict.fromkeys(r.tensor for r in reads(pending.pop(0).body)):
                if name in self.definitions and name not in found:
                    found[name] = self.shown.definitions[name][-1]
                    pending.append(found[name])
        return list(found.values())


@remembered
def reading(program: Program) -> Reading:
    """How a program is read."""
    return _Reader(program).run()


class _Reader:
    def __init__(self, program: Program):
        self.program = program
        # P is taken where there is a dP, though a gradient program need not read P.
        self.fresh = Fresh(program.names | {n[1:] for n in program.names if n[0] == "d"})
        if any(isinstance(n, Op) and n.op == "sigmoid" for e in program.equations for n in walk(e.body)):
            self.fresh.taken.add("sigma")  # σ(z) is the logistic function there
        self.added: dict[tuple[object, ...], Equation] = {}
        self.shapes = dict(program.shapes)
        self.axes = axes = superscripts(program)
        self.above = {id(e): {str(s.name) for a, s in places(e) if a in axes and s.name in e.ranges} for e in program.equations}
        self.equation: Equation
        self.key = 0
        self.standard = Standardiser(program)
        self.hats: set[str] = set()
        self.count: dict[str, int] = {}

    def run(self) -> Reading:
        own = list(self.program.equations)
        read = {id(e): e for e in own}
        for rule in (self.softmax, self.vanishing, self.inline, self.scales, self.conditions):
            self.count = _uses(read)
            for e in own:
                self.equation, self.key = read[id(e)], id(e)
                read[id(e)] = rule(read, e)
        definitions = tuple(self.added.values())
        kept = self._kept(own, read, definitions)
        shown = replace(self.program, equations=tuple([*(read[id(e)] for e in kept), *definitions]), shapes=self.shapes)
        whole = replace(self.program, equations=(*self.program.equations, *definitions), shapes=self.shapes)
        return Reading(whole, shown, frozenset(e.tensor for e in definitions), read)

    def _kept(self, own: list[Equation], read: dict[int, Equation], definitions: tuple[Equation, ...]) -> list[Equation]:
        """Without the equations of tensors that nobody reads any more."""
        was = {name for e in own for name in e.reads}
        now = {name for e in [*read.values(), *definitions] for name in e.reads}
        return [e for e in own if e.tensor in now or e.tensor not in was or e.tensor in self.program.outputs]

    # -- names -------------------------------------------------------------------------------------------------------
    def define(self, wishes: tuple[str, ...], body: Expr, indices: list[str]) -> Read:
        """The read of a new tensor whose element at these indices is body; the same body has the same name."""
        return tensor(self.name_of(wishes, body, indices, self.equation.ranges), *indices)

    def free(self, e: Expr) -> list[str]:
        """The indices that are free in e, in the equation's order; softmax's index is one."""
        found = free_symbols(e)
        return [i for i in self.equation.ranges if i in found]

    # -- softmax -----------------------------------------------------------------------------------------------------
    def softmax(self, read: dict[int, Equation], e: Equation) -> Equation:
        return e.with_body(self._softmax(e.body, top=True))

    def _softmax(self, e: Expr, top: bool = False) -> Expr:
        if isinstance(e, Op) and e.op == "exp" and (found := self._difference(e.args[0])):
            body, c = found
            whole = Reduce("softmax", (c,), body)
            return whole if top else self.define(PROBABILITIES, whole, self._ordered(whole, c))
        if isinstance(e, Op) and e.op == "+" and (found := self._difference(e)):
            return Reduce("log_softmax", (found[1],), found[0])
        if isinstance(e, Op) and e.op == "+" and (found := self._difference(signed([(-s, t) for s, t in additive_terms(e)]))):
            return neg(Reduce("log_softmax", (found[1],), found[0]))
        inner = top and isinstance(e, Op) and e.op == "neg"
        return map_children(lambda c: self._softmax(c, inner), e)

    def _ordered(self, e: Expr, c: str) -> list[str]:
        """The index along which the softmax runs last."""
        return [*(i for i in self.free(e) if i != c), c]

    def _difference(self, e: Expr) -> tuple[Expr, str] | None:
        """(S[…,c], c) of S[…,c] − lse with lse = logsumexp over c of S."""
        terms = additive_terms(e)
        for k, (sign, t) in enumerate(terms):
            if sign < 0 and isinstance(t, Read) and (definition := self._logsumexp(t.tensor)):
                rest = signed([*terms[:k], *terms[k + 1 :]])
                found = self._along(definition, t, rest)
                return (rest, found) if found else None
        return None

    def _logsumexp(self, name: str) -> Equation | None:
        found = self.program.definitions.get(name, ())
        if len(found) == 1 and not found[0].is_base and isinstance(found[0].body, Reduce) and found[0].body.op == "logsumexp":
            return found[0] if len(found[0].body.indices) == 1 else None
        return None

    def _along(self, definition: Equation, t: Read, rest: Expr) -> str | None:
        """The index c with rest = S[…,c] where definition says logsumexp[j](S[…,j])."""
        assert isinstance(definition.body, Reduce)
        (j,) = definition.body.indices
        outer = dict(zip(definition.indices, t.subs, strict=True))
        for c in self.free(rest):
            apart = not any(c in s.symbols() for s in t.subs) and self.equation.ranges[c] == definition.ranges[j]
            if apart and subst_indices(definition.body.body, {**outer, j: Int.symbol(c)}) == rest:
                return c
        return None

    # -- standardised tensors ----------------------------------------------------------------------------------------
    def vanishing(self, read: dict[int, Equation], e: Equation) -> Equation:
        """Σ (x − μ) = 0"""
        return read[id(e)].with_body(self.standard.vanishing(read[id(e)].body))

    def scales(self, read: dict[int, Equation], e: Equation) -> Equation:
        """σ for √(v + ε), x̂ for (x − μ)/σ, and dx̂ for the gradient that reaches it."""
        body = read[id(e)].body
        found = [s for s in self.standard.roots(body) if all(t.name for t in s.variance.subs)]
        own = {*self.standard.scalings, *self.standard.sigmas, *self.standard.inverses}
        if not found or e.tensor in self.program.components or e.tensor in own:
            return read[id(e)]
        for s in dict.fromkeys(found):
            if s.mean is not None:
                body = collected(body, s.x.tensor, lambda r, s=s: self._mean_at(s, r), self.equation.ranges)  # type: ignore[misc]
        found = [s for s in dict.fromkeys(found) if self._is_scaled(body, s)]
        sigmas = {s.radicand: s.sigma for s in found if s.sigma is not None}
        sigmas = {s.radicand: sigmas.get(s.radicand) or self._sigma(s) for s in found}
        body = gathered(self._without_inverses(with_powers(body, sigmas), sigmas), set(sigmas.values()))
        for s in found:
            if self._hat_name(s, sigmas[s.radicand]) == e.tensor:
                return read[id(e)]
            body = self._hats(body, s, sigmas[s.radicand])
        body = gathered(body, set(sigmas.values()))
        return replace(self.equation, body=self._arriving(body))

    def _is_scaled(self, body: Expr, s: Scaling) -> bool:
        """Whether x̂ is worth a name: for what is centred, or scaled by a mean, or has one; or if x is divided by σ² or more."""
        if s.mean is not None or self.standard.is_mean(s.variance.tensor):
            return True
        sigma = s.sigma or Read("\0sigma", s.variance.subs)
        if self._hat_name(s, sigma) is not None:
            return True
        sigmas = {s.radicand: sigma}
        return deepest(self._without_inverses(with_powers(body, sigmas), sigmas), {sigma}).get(sigma, 0) < -1

    def _mean_at(self, s: Scaling, r: Read) -> Read | None:
        """μ beside this x."""
        assert s.mean is not None
        at = {str(t.name): u for t, u in zip(s.x.subs, r.subs, strict=True)}
        return Read(s.mean.tensor, tuple(t.subst(at) for t in s.mean.subs))

    def _without_inverses(self, e: Expr, sigmas: dict[Expr, Read]) -> Expr:
        """The program's own tensor for 1/σ as 1/σ."""
        if isinstance(e, Read) and e.tensor in self.standard.inverses:
            own, s = self.standard.inverses[e.tensor]
            at = dict(zip(own.indices, e.subs, strict=True))
            sigma = sigmas.get(subst_indices(s.radicand, at))
            return e if sigma is None else ONE / sigma
        return map_children(lambda c: self._without_inverses(c, sigmas), e)

    def _hat_body(self, s: Scaling, sigma: Read) -> tuple[Expr, list[str]]:
        """x̂ in the letters of the variance's definition, and its indices."""
        x, mean, scale = (self._canonical(s, r) if r is not None else None for r in (s.x, s.mean, sigma))
        assert isinstance(x, Read) and scale is not None
        return (x - mean if mean is not None else x) / scale, [str(t.name) for t in x.subs]

    def _hat_name(self, s: Scaling, sigma: Read) -> str | None:
        """The program's own name for x̂."""
        body, indices = self._hat_body(s, sigma)
        wanted = unordered(_by_position(body, indices))
        for e in self.program.equations:
            alone = len(self.program.definitions[e.tensor]) == 1 and not e.is_base and len(e.indices) == len(indices)
            if alone and unordered(_by_position(e.body, list(e.indices))) == wanted:
                return e.tensor
        return None

    def _canonical(self, s: Scaling, e: Expr) -> Expr:
        """An expression at this variance's place, in the letters of its definition."""
        definition, _ = self.standard.moments[s.variance.tensor]
        return subst_indices(e, {str(t.name): Int.symbol(i) for t, i in zip(s.variance.subs, definition.indices, strict=True)})

    def _sigma(self, s: Scaling) -> Read:
        definition, _ = self.standard.moments[s.variance.tensor]
        body = Op("sqrt", (self._canonical(s, s.radicand),))
        return Read(self.name_of(SCALES, body, list(definition.indices), definition.ranges), s.variance.subs)

    def _hats(self, e: Expr, s: Scaling, sigma: Read) -> Expr:
        """x − μ as σ x̂, at every place; x too where it is not centred."""
        found = difference(e) if s.mean else (1, e, None) if isinstance(e, Read) else None
        if found and found[1].tensor == s.x.tensor and (s.mean is None or found[2] == s.mean):
            definition, inner = self.standard.moments[s.variance.tensor]
            along = [t.name in inner.indices for t in s.x.subs]
            if all(a or t == own for a, t, own in zip(along, s.x.subs, found[1].subs, strict=True)):
                body, indices = self._hat_body(s, sigma)
                own = self._hat_name(s, sigma)
                self.hats |= {own} if own else set()
                hat = Read(own or self.name_of((_hat(s.x.tensor),), body, indices, definition.ranges), found[1].subs)
                at = {str(t.name): u for t, u in zip(s.x.subs, found[1].subs, strict=True)}
                return mul([num(found[0]), hat, Read(sigma.tensor, tuple(t.subst(at) for t in sigma.subs))])
        return map_children(lambda c: self._hats(c, s, sigma), e)

    def _arriving(self, e: Expr) -> Expr:
        """dy γ, where it stands at several places beside x̂, as dx̂."""
        hats = [r for r in reads(e) if r.tensor in self.hats]
        pairs = [p for n in walk(e) if isinstance(n, Op) and n.op == "*" for p in _pairs(n, self.program)]
        for hat in hats:
            alike = [p for p in pairs if len(free_symbols(p[0]) | free_symbols(p[1])) == len(hat.subs)]
            for p in alike:
                if sum(q[0].tensor == p[0].tensor and q[1].tensor == p[1].tensor for q in alike) > 1:
                    return self._named_pair(e, p, hat)
        return e

    def _named_pair(self, e: Expr, p: tuple[Read, Read], hat: Read) -> Expr:
        indices = [str(s.name) for s in p[0].subs]
        name = self.name_of((f"d{hat.tensor}",), mul([p[0], p[1]]), indices, self.equation.ranges)
        return _put_pair(e, p, indices, name)

    def name_of(self, wishes: tuple[str, ...], body: Expr, indices: list[str], ranges: Mapping[str, Range]) -> str:
        """The name of a new tensor with this definition; the same definition has the same name."""
        ranges = {i: ranges[i] for i in [*indices, *_bound(body)]}
        key = (_by_position(body, indices), tuple(ranges.values()))
        if key not in self.added:
            name = next((w for w in wishes if w not in self.fresh.taken), None) or self.fresh(wishes[0])
            self.fresh.taken.add(name)
            self.added[key] = Equation(name, tuple(map(Int.symbol, indices)), body, ranges)
            self.shapes[name] = tuple(ranges[i] for i in indices)
            if "hat" in wishes[0]:
                self.hats.add(name)
        return self.added[key].tensor

    # -- put in place ------------------------------------------------------------------------------------------------
    def inline(self, read: dict[int, Equation], e: Equation) -> Equation:
        """Gradients that are read once, as a factor at the element's own place, and helpers of a softmax."""
        body, ranges = read[id(e)].body, dict(read[id(e)].ranges)
        for _ in range(8):
            r = next((r for r in _outer_reads(body) if self._is_passing(r, read, e)), None)
            if r is None:
                break
            definition = self._definition(r, read)
            assert definition is not None
            body = _put(body, r, self._instance(definition, r, ranges))
        if body != read[id(e)].body:  # what shares a factor now
            body = add(common_factor([t if s > 0 else neg(t) for s, t in additive_terms(body)], ranges))
        return replace(read[id(e)], body=body, ranges=ranges)

    def _is_passing(self, r: Read, read: dict[int, Equation], e: Equation) -> bool:
        if r.tensor in self.program.outputs or r.tensor not in self.program.definitions or r.tensor == e.tensor or r.tensor[0] != "d":
            return False
        definition = self._definition(r, read)
        if definition is None or any(s.symbols() & (e.ranges.keys() - set(e.indices)) for s in r.subs):
            return False
        if any(n.tensor == r.tensor for n in reads(definition.body)):
            return False
        once = self.count.get(r.tensor, 0) == len(self.program.definitions[r.tensor]) or r.tensor[1:] in self.standard.scalings
        once = once or not r.subs and len(factors(definition.body)) < 4 and not any(isinstance(n, Reduce) for n in walk(definition.body))
        return once and _is_linear(definition.body)

    def _definition(self, r: Read, read: dict[int, Equation]) -> Equation | None:
        """The equation that gives this element, where it is the same for all indices."""
        for d in self.program.definitions.get(r.tensor, ()):
            if all(self._covers(d, s, t) for s, t in zip(d.subs, r.subs, strict=True)):
                return read[id(d)]
        return None

    def _covers(self, d: Equation, s: Int, t: Int) -> bool:
        """Whether the subscript t of a read is, for all indices, one for which d's subscript s stands."""
        mine = self.equation.ranges
        if s.name not in d.ranges:
            return s == t
        return _within(mine[t.name], d.ranges[str(s.name)]) if t.name in mine else d.is_base

    def _instance(self, d: Equation, r: Read, ranges: dict[str, Range]) -> Expr:
        """The right-hand side for this element, its bound indices renamed apart from ours."""
        taken = Fresh(set(self.program.names) | set(ranges))
        renamed: dict[str, str] = {}
        body = d.body
        for i in _bound(body):
            if i in ranges:
                renamed[i] = taken(i)
        body = _rename_bound(body, renamed)
        for i in _bound(d.body):
            ranges[renamed.get(i, i)] = d.ranges[i]
        return subst_indices(body, {str(s.name): t for s, t in zip(d.subs, r.subs, strict=True) if s.name in d.ranges})

    # -- conditions --------------------------------------------------------------------------------------------------
    def conditions(self, read: dict[int, Equation], e: Equation) -> Equation:
        """Not for windows, which have operators of their own, and not in a cycle, whose order the conditions may give."""
        if moved_subscripts(self.equation, self.axes) or e.tensor in self.program.components:
            return self.equation
        body = self._conditions(read[id(e)].body)
        return replace(self.equation, body=body)

    def _conditions(self, e: Expr) -> Expr:
        if (cases := _three(e)) is not None and self.rows(cases[0][0]):
            return add([self._conditions(where(c, a, ZERO)) for c, a in cases])
        e = map_children(self._conditions, e)
        if isinstance(e, Read) and (k := self._data_axis(e)) is not None:
            return self._one_hot(e, k)
        if isinstance(e, Op) and e.op in COMPARISONS:
            return turned(e)
        if isinstance(e, Op) and e.op == "where":
            return self._where(*e.args)
        return e

    def _data_axis(self, r: Read) -> int | None:
        """The axis that data point to, row by row."""
        for k, s in enumerate(r.subs):
            alone = bool(s.elements()) and s == Int.atom(s.elements()[0])
            if alone and (r.tensor, k) not in self.axes and self.rows(IntValue(s)):
                return k
        return None

    def _one_hot(self, r: Read, k: int) -> Expr:
        """E[tok[n],d] as Σ_v M[n,v] E[v,d], with M[n,v] = [tok[n] = v]."""
        v = Fresh(self.program.names | set(self.equation.ranges))("v")
        ranges = {**self.equation.ranges, v: self.program.dims[r.tensor][k]}
        self.equation = replace(self.equation, ranges=ranges)
        condition = Op("==", (IntValue(r.subs[k]), IntValue(Int.symbol(v))))
        mask = self._mask(where(condition, ONE, ZERO), condition)
        return Reduce("sum", (v,), mul([mask, Read(r.tensor, (*r.subs[:k], Int.symbol(v), *r.subs[k + 1 :]))]))

    def _where(self, condition: Expr, a: Expr, b: Expr) -> Expr:
        on_places = self.is_of_places(condition)
        if on_places and b in (INF, neg(INF)):
            return add([a, self._mask(where(condition, ZERO, b), condition)])
        if b == ZERO:
            return where(condition, a, b) if not on_places else self._masked(condition, a)
        if b in (INF, neg(INF)) or a in (INF, neg(INF)) or not self.rows(condition):
            return where(condition, a, b)
        if _is_tie_of(condition, b) and isinstance(b, Op):  # what holds in a tie does not hold where one is greater
            shared = [f for f in factors(a) if (f == num(-1) or not isinstance(f, Num)) and f in factors(b.args[1])]
            a, half = (product(without(factors(x), shared)) for x in (a, b.args[1]))
            return product([*shared, add([self._where(condition, a, ZERO), where(b.args[0], half, ZERO)])])
        return add([self._where(condition, a, ZERO), self._where(negated(condition), b, ZERO)])

    def _masked(self, condition: Expr, a: Expr) -> Expr:
        """[c] a with the conditions on places as a matrix M of zeros and ones; not those outside of which a factor of a is 0."""
        parts = [c for c in _all_of(condition) if c not in self._zero_unless(a)]
        if not parts:
            return a
        places_ = [c for c in parts if self.is_of_places(c) and not self._is_delta(c)]
        values = [c for c in parts if c not in places_]
        if not places_:
            return where(conjunction(values), a, ZERO)
        mask = self._mask(where(conjunction(places_), ONE, ZERO), conjunction(places_))
        inner = product([*factors(a), mask])
        return where(conjunction(values), inner, ZERO) if values else inner

    def _is_delta(self, c: Expr) -> bool:
        """[i = j] of two indices with the same range, which is the identity."""
        if not (isinstance(c, Op) and c.op == "==" and all(isinstance(a, IntValue) for a in c.args)):
            return False
        i, j = (a.value.name for a in c.args if isinstance(a, IntValue))
        ranges = self.equation.ranges
        return i in ranges and j in ranges and ranges[str(i)] == ranges[str(j)]

    def _zero_unless(self, a: Expr) -> list[Expr]:
        """Conditions without which a is 0: a factor of it is a softmax that is masked so, and nothing in it is infinite."""
        if any(r.tensor in self.program.unbounded for r in reads(a)):
            return []
        return [c for f in factors(a) if isinstance(f, Read) for c in self._mask_of(f)]

    def _mask_of(self, r: Read) -> list[Expr]:
        """c of exp(where(c, S, −∞) − lse), in the letters of the read; the scores may have a name."""
        own = self.program.definitions.get(r.tensor, ())
        if len(own) != 1 or own[0].is_base or not isinstance(own[0].body, Op) or own[0].body.op != "exp":
            return []
        found: list[Expr] = []
        at = dict(zip(own[0].indices, r.subs, strict=True))
        for sign, t in additive_terms(own[0].body.args[0]):
            t = subst_indices(t, at)
            named = self.program.definitions.get(t.tensor, ()) if isinstance(t, Read) else ()
            if isinstance(t, Read) and len(named) == 1 and not named[0].is_base:
                t = subst_indices(named[0].body, dict(zip(named[0].indices, t.subs, strict=True)))
            if sign > 0 and isinstance(t, Op) and t.op == "where" and t.args[2] == neg(INF):
                found += _all_of(t.args[0])
        return found

    def _mask(self, value: Expr, condition: Expr) -> Expr:
        """The indices at which data are read come first: M[n,v] = [tok[n] = v]."""
        data = {name for el in _elements(condition) for name in Int.atom(el).symbols()}
        return self.define(MASKS, value, sorted(self.free(condition), key=lambda i: i not in data))

    def rows(self, e: Expr) -> list[str]:
        return [i for i in self.free(e) if i not in self.above[self.key]]

    def is_of_places(self, e: Expr) -> bool:
        """Whether a condition is about rows and columns, and about no value of a tensor of reals."""
        return bool(self.rows(e)) and not reads(e) and len(self.rows(e)) <= 2


# -- small laws ------------------------------------------------------------------------------------------------------------
def _hat(name: str) -> str:
    """x -> xhat, Y_in -> Yhat_in"""
    letters = re.match(r"[A-Za-z]+", name)
    at = letters.end() if letters else len(name)
    return f"{name[:at]}hat{name[at:]}"


def negated(c: Expr) -> Expr:
    """not c, put into its comparisons."""
    if isinstance(c, Op) and c.op in NEGATED:
        return Op(NEGATED[c.op], c.args)
    if isinstance(c, Op) and c.op == "not":
        return c.args[0]
    if isinstance(c, Op) and c.op in ("and", "or"):
        return Op("or" if c.op == "and" else "and", tuple(map(negated, c.args)))
    return Op("not", (c,))


def _is_tie_of(condition: Expr, e: Expr) -> bool:
    """Whether e is [a = b] c, for the condition a > b or a < b."""
    tie = e.args[0] if isinstance(e, Op) and e.op == "where" and e.args[2] == ZERO else None
    strict = isinstance(condition, Op) and condition.op in ("<", ">")
    return strict and isinstance(condition, Op) and isinstance(tie, Op) and tie.op == "==" and set(tie.args) == set(condition.args)


def _three(e: Expr) -> list[tuple[Expr, Expr]] | None:
    """(a > b, x), (a = b, y) and (a < b, z) for where(a > b, x, where(a = b, y, z)), where z is not 0."""
    if not (isinstance(e, Op) and e.op == "where" and isinstance(e.args[2], Op) and e.args[2].op == "where"):
        return None
    (condition, x, _), (tie, y, z) = e.args, e.args[2].args
    if z == ZERO or not isinstance(condition, Op) or not _is_tie_of(condition, where(tie, ONE, ZERO)):
        return None
    return [(condition, x), (tie, y), (Op(TURNED[condition.op], condition.args), z)]


def _all_of(condition: Expr) -> Sequence[Expr]:
    """The conditions that one with `and` joins."""
    return condition.args if isinstance(condition, Op) and condition.op == "and" else (condition,)


def _uses(read: dict[int, Equation]) -> dict[str, int]:
    """How often each tensor is read."""
    count: dict[str, int] = {}
    for e in read.values():
        for r in reads(e.body):
            count[r.tensor] = count.get(r.tensor, 0) + 1
    return count


def _within(a: Range, b: Range) -> bool:
    return a == b or a.hi == b.hi


def _is_linear(e: Expr) -> bool:
    """A sum of products, without a maximum or a softmax in between."""
    return all(not (isinstance(n, Reduce) and n.op != "sum") for n in walk(e))


def _outer_reads(e: Expr) -> Iterator[Read]:
    """The reads that are factors of a term, outside of all functions and sums."""
    for _, t in additive_terms(e):
        for f in factors(t):
            if isinstance(f, Read):
                yield f
            elif isinstance(f, Op) and f.op in ("+", "neg", "*"):
                yield from _outer_reads(f)
            elif isinstance(f, Op) and f.op == "where":
                yield from _outer_reads(f.args[1])


def _by_position(body: Expr, indices: list[str]) -> Expr:
    """A definition without the letters of its indices, but for a softmax, which runs along a letter."""
    if any(isinstance(n, Reduce) and n.op in NORMALISERS for n in walk(body)):
        return body
    return subst_indices(body, {i: Int.symbol(f"#{k}") for k, i in enumerate(indices)})


def _pairs(n: Op, program: Program) -> Iterator[tuple[Read, Read]]:
    """(dy, γ) among the factors of a product: a seed or gradient, and an input with fewer of its indices."""
    found = [f for f in n.args if isinstance(f, Read) and f.subs and all(s.name for s in f.subs)]
    for a in found:
        for b in found:
            if a.tensor[0] == "d" and b.tensor in program.real_inputs and b.tensor[0] != "d" and set(b.subs) < set(a.subs):
                yield a, b


def _put_pair(e: Expr, p: tuple[Read, Read], indices: list[str], name: str) -> Expr:
    """The product of two tensors, at whatever letters, as one of this name."""
    if isinstance(e, Op) and e.op == "*":
        for a in e.args:
            if isinstance(a, Read) and a.tensor == p[0].tensor:
                table = dict(zip(indices, a.subs, strict=True))
                other = subst_indices(p[1], table)
                if other in e.args:
                    rest = [f for f in e.args if f not in (a, other)]
                    return mul([Read(name, a.subs), *(_put_pair(f, p, indices, name) for f in rest)])
    return map_children(lambda c: _put_pair(c, p, indices, name), e)


def _put(e: Expr, r: Read, value: Expr) -> Expr:
    return value if e == r else map_children(lambda c: _put(c, r, value), e)


def _elements(e: Expr) -> list[Element]:
    return [el for value in ints(e) for el in value.elements()]


def _bound(e: Expr) -> list[str]:
    return bound_indices(e)


def _rename_bound(e: Expr, names: dict[str, str]) -> Expr:
    """Bound indices get other names."""
    if not names:
        return e
    if isinstance(e, Reduce):
        table = {i: Int.symbol(names[i]) for i in e.indices if i in names}
        body = _rename_bound(e.body, {k: v for k, v in names.items() if k not in table})
        return Reduce(e.op, tuple(names.get(i, i) for i in e.indices), subst_indices(body, table))
    return map_children(lambda c: _rename_bound(c, names), e)
