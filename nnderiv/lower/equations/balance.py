"""Programs -> programs in which exponentials that are added up are divided by their sum before, wherever that cancels.

    Z = Σ exp(S),  P = exp(S)/Z        lse = logsumexp S,  P = exp(S − lse)
    log(Z)                             lse

A softmax that is written out is then as stable and as fast as one that is named, and so is its gradient, whatever tensors stand
between. That it cancels is told by degrees: if exp(S) is multiplied by λ in each row, Z is multiplied by λ, 1/Z by 1/λ, P not at
all; log(Z) grows by log λ. The same count says which gradients are 0: what shifts scores and cancels, as the maximum that is
subtracted by hand does, has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ...expr import (
    COMPARISONS,
    INF,
    ONE,
    TRUE,
    ZERO,
    Expr,
    Num,
    Op,
    Read,
    Reduce,
    add,
    conjunction,
    conjuncts,
    has_reduction,
    is_where,
    map_children,
    neg,
    num,
    reads,
    rename_reads,
    subst_indices,
    walk,
    where,
)
from ...fresh import Fresh
from ...graph import components
from ...integer import Int
from ...polynomial import additive_terms, factors
from ...program import Equation, Program
from ...within import positive_names, readable
from .known import with_known


@dataclass(frozen=True)
class Degree:
    """What λ[rows] does: the value is multiplied by λ to the power, or grows by so many log λ."""

    power: int
    rows: tuple[Int, ...]
    grows: bool = False


NONE = Degree(0, ())
FREE = Degree(0, (Int.of(0),))                 # 0 is multiplied by anything
GONE = Degree(0, (Int.of(0),), grows=True)     # −∞ grows by anything
OPEN = Degree(0, (Int.of(1),))                 # not known yet
Special = Callable[[Expr], Degree | None]


class _Unbalanced(Exception):
    """λ does not cancel, or nobody knows whether it does."""


def balance(forward: Program, backward: Program, adjoint: Mapping[str, str]) -> tuple[Program, Program]:
    """See the module's docstring; `adjoint` names the gradients of tensors."""
    if not any(isinstance(n, Op) and n.op == "exp" for e in forward.equations for n in walk(e.body)):
        return forward, backward
    for name in _subtracted(forward):
        if adjoint.get(name) in backward.definitions and _Degrees(forward, _Shift(name), name).cancel():
            backward = _put(backward, adjoint[name], ZERO)
    holding = {e.tensor for p in (forward, backward) for e in p.equations if any(isinstance(n, Op) and n.op == "exp" for n in walk(e.body))}
    summed = [(z, found) for z in forward.equations if (found := _scores(forward, z)) is not None]
    for z, _ in sorted(summed, key=lambda x: len(x[1].weights)):
        now = forward.definitions.get(z.tensor, ())  # what was scaled before may have changed it
        found = _scores(forward, now[0]) if now else None
        if found is not None:
            forward, backward = _Scaled(forward, backward, now[0], found, holding).run() or (forward, backward)
    return forward, backward


# -- gradients that are 0 --------------------------------------------------------------------------------------------------
def _subtracted(program: Program) -> Iterable[str]:
    """Tensors that are subtracted within exponentials, or whose difference is a tensor that an exponential is taken of."""
    bodies = [n.args[0] for e in program.equations for n in walk(e.body) if isinstance(n, Op) and n.op == "exp"]
    named = [d.body for b in bodies for _, t in additive_terms(b) if isinstance(t, Read) for d in program.definitions.get(t.tensor, ())]
    terms = [t for b in [*bodies, *named] for s, t in additive_terms(b) if s < 0 and isinstance(t, Read)]
    # What makes P = exp(S − lse) a softmax does not cancel; nor does what arrives at an output itself.
    stays = {*program.lse, *program.outputs}
    return dict.fromkeys(t.tensor for t in terms if t.tensor in program.definitions and t.tensor not in stays)


@dataclass(frozen=True)
class _Shift:
    """A tensor that grows by log λ."""

    name: str

    def __call__(self, e: Expr) -> Degree | None:
        return Degree(1, e.subs, grows=True) if isinstance(e, Read) and e.tensor == self.name else None


# -- exponentials that are scaled ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Scores:
    """S of z = Σ exp(S), under a condition; or times something, which may be 0 at some places, as masks are."""

    scores: Expr
    condition: Expr = TRUE
    weights: tuple[Expr, ...] = ()

    @property
    def mask(self) -> Expr:
        """Where an exponential is added up."""
        return conjunction([self.condition, *(Op("!=", (w, ZERO)) for w in self.weights if not isinstance(w, Num))])


def _scores(program: Program, z: Equation) -> _Scores | None:
    """What z adds up the exponentials of; nothing if that has its largest subtracted already."""
    if program.whole(z.tensor) is None or not (isinstance(z.body, Reduce) and z.body.op == "sum"):
        return None
    found = _exponential(program, z.body.body)
    if found is None or has_reduction(found.scores):
        return None
    if found.weights and not _is_scaled(program, z):
        return found
    taken = [t for s, t in additive_terms(found.scores) if s < 0 and isinstance(t, Read)]
    largest = [d.body for t in taken for d in program.definitions.get(t.tensor, ())]
    return None if any(isinstance(n, Reduce) and n.op in ("max", "logsumexp") for b in largest for n in walk(b)) else found


def _is_scaled(program: Program, z: Equation) -> bool:
    """Whether z adds up shares of a total: scores that have their logsumexp subtracted, and are not those of places with a weight only."""
    return not any(isinstance(n, Op) and (n.op == "log" and _reads_of(n.args[0], z) or n.op == "/" and _reads_of(n.args[1], z))
                   for e in program.equations for n in walk(e.body))


def _reads_of(e: Expr, z: Equation) -> bool:
    return any(r.tensor == z.tensor for r in reads(e))


def _exponential(program: Program, e: Expr) -> _Scores | None:
    """The one factor exp(S) of e, tensors that are read opened."""
    if isinstance(e, Op) and e.op == "exp":
        return _Scores(e.args[0])
    if is_where(e, ZERO):
        found = _exponential(program, e.args[1])
        return found and replace(found, condition=conjunction([e.args[0], found.condition]))
    if isinstance(e, Read):
        d = program.whole(e.tensor)
        return None if d is None or has_reduction(d.body) else _exponential(program, d.at(e.subs))
    parts = factors(e)
    known = [_exponential(program, f) for f in parts] if len(parts) > 1 else []
    own = [x for x in known if x is not None]
    weights = [f for f, x in zip(parts, known, strict=False) if x is None]
    return replace(own[0], weights=(*own[0].weights, *weights)) if len(own) == 1 else None


class _Scaled:
    """Both programs, the exponentials of z's scores divided by their sum."""

    def __init__(self, forward: Program, backward: Program, z: Equation, found: _Scores, holding: set[str]):
        self.forward, self.backward, self.z, self.found, self.holding = forward, backward, z, found, holding
        fresh = Fresh(forward.names | backward.names)
        assert isinstance(z.body, Reduce)
        self.along = z.body.indices
        self.name = fresh(f"{z.tensor}_lse")
        subs = (*z.subs, *map(Int.symbol, self.along))
        masked = where(found.mask, found.scores, neg(INF))
        named = not isinstance(masked, Read) and z.tensor not in forward.components
        self.inner = replace(z, tensor=fresh(f"{z.tensor}_in"), subs=subs, body=masked) if named else None
        self.scores = Read(self.inner.tensor, subs) if self.inner else masked
        self.positive = positive_names(forward)

    def run(self) -> tuple[Program, Program] | None:
        """None if the scale does not cancel, or a sum leaves places out that a tensor of its scores would have."""
        outside = [c for r in reads(self.z.body) for c in readable(self.forward.hulls[r.tensor], r.subs, self.z.ranges, self.positive)]
        if self.inner and outside:
            return None
        try:
            before = [[self.exponentials(p, e) for e in p.equations] for p in (self.forward, self.backward)]
        except _Unbalanced:
            return None
        programs = (replace(p, equations=tuple(es)) for p, es in zip((self.forward, self.backward), before, strict=True))
        degrees = [_Degrees(p, self.degree, self.name, added=True) for p in programs]
        own = Degree(1, tuple(Int.of(k) for k in range(len(self.z.subs))))
        if not all(d.cancel() for d in degrees) or degrees[0].tensors.get(self.z.tensor) != own:
            return None
        equations = [[e.with_body(d.corrected(e.body)) for e in d.program.equations] for d in degrees]
        k = next(k for k, e in enumerate(equations[0]) if e.tensor == self.z.tensor)
        new = [self.inner] if self.inner else []
        new.append(replace(self.z, tensor=self.name, body=Reduce("logsumexp", self.along, self.scores)))
        equations[0][k:k] = new
        forward, backward = (p.with_equations(es) for p, es in zip((self.forward, self.backward), equations, strict=True))
        if not self.found.weights:  # z is 1, the sum of what was divided by it
            forward, backward = (_put(p, self.z.tensor, ONE) for p in (forward, backward))
        forward, backward = self.named(forward, backward)
        return forward, with_known(backward, list(backward.equations), forward)

    def named(self, forward: Program, backward: Program) -> tuple[Program, Program]:
        """The programs where an exponential that is a tensor is read."""
        own = next((e for e in forward.equations if self.degree(e.body) and len(forward.definitions[e.tensor]) == 1), None)
        if own is None or own.is_base:
            return forward, backward
        same = [e for e in forward.equations if e.body == Read(own.tensor, e.subs) and len(forward.definitions[e.tensor]) == 1]
        alias = next((e for e in same if forward.dims[e.tensor] == forward.dims[own.tensor]), None)
        if alias and own.tensor not in forward.outputs:  # P = E/Z, and Z is 1
            old, own = own, alias.with_body(own.at(alias.subs))
            forward, backward = (self.reading(_renamed(p, old.tensor, own), own) for p in (forward, backward))
            return forward, backward
        return self.reading(forward, own), self.reading(backward, own)

    def reading(self, program: Program, own: Equation) -> Program:
        def visit(e: Equation, n: Expr) -> Expr:
            if self.degree(n) and (places := _match(own.body, n, frozenset(own.ranges))) is not None:
                read = own.element.subst(places)
                if not readable(self.forward.dims[own.tensor], read.subs, e.ranges, self.positive):
                    return read
            return map_children(lambda c: visit(e, c), n)

        return replace(program, equations=tuple(e if e.tensor == own.tensor or self.name not in e.reads else e.with_body(visit(e, e.body))
                                                for e in program.equations))

    def degree(self, e: Expr) -> Degree | None:
        """Of an exponential that is scaled: it has −lse in it."""
        if not (isinstance(e, Op) and e.op == "exp"):
            return None
        rows = [t.subs for s, t in additive_terms(e.args[0]) if s < 0 and isinstance(t, Read) and t.tensor == self.name]
        return Degree(1, rows[0]) if rows else None

    def exponentials(self, program: Program, e: Equation) -> Equation:
        """The equation with exp(S − lse) for each exp(S)."""

        def visit(n: Expr, conditions: tuple[Expr, ...], known: tuple[Expr, ...], beside: tuple[Expr, ...] = ()) -> Expr:
            if isinstance(n, Reduce):
                read = [c for r in reads(n.body) for c in readable(program.hulls[r.tensor], r.subs, e.ranges, self.positive)]
                return map_children(lambda c: visit(c, conditions, (*known, *read), beside), n)
            if isinstance(n, Op) and n.op in ("*", "/"):
                beside = (*beside, *factors(n))
            if isinstance(n, Op) and n.op == "where":
                test, a, b = n.args
                then = visit(a, (*conditions, *conjuncts(test)), known, beside)
                if b == ZERO and self.vanishes(then, test):
                    return then
                return where(visit(test, conditions, known), then, visit(b, conditions, known, beside))
            if isinstance(n, Op) and n.op == "exp":
                places = _match(self.found.scores, n.args[0], frozenset(self.z.ranges))
                if places is not None:
                    return self.exponential(places, e, conditions, known, beside)
            linear = isinstance(n, Op) and n.op in ("*", "/", "+", "neg")
            return map_children(lambda c: visit(c, conditions, known, beside if linear else ()), n)

        return e.with_body(visit(e.body, (), ())) if e.tensor in self.holding else e

    def vanishes(self, e: Expr, test: Expr) -> bool:
        """Whether e is 0 where the test fails, since the exponential of −∞ in it is."""
        if isinstance(e, Op) and e.op == "exp" and (degree := self.degree(e)):
            places = {str(s.name): row for s, row in zip(self.z.subs, degree.rows, strict=True)}
            read = [t for s, t in additive_terms(e.args[0]) if s > 0]
            if self.inner and read and isinstance(read[0], Read) and read[0].tensor == self.inner.tensor:
                places |= {a: s for a, s in zip(self.along, read[0].subs[len(places):], strict=True)}
                return {*conjuncts(test)} <= {*conjuncts(subst_indices(self.found.condition, places))}
            masks = [t for t in read if is_where(t, neg(INF))]
            return any({*conjuncts(test)} <= {*conjuncts(t.args[0])} for t in masks)
        return len(factors(e)) > 1 and any(self.vanishes(f, test) for f in factors(e))

    def exponential(
        self, places: Mapping[str, Int], e: Equation, conditions: tuple[Expr, ...], known: tuple[Expr, ...], beside: tuple[Expr, ...]
    ) -> Expr:
        """exp(S − lse) at a place where lse surely is, and under the condition under which the exponentials are added up.

        Beside its weights, it is that of −∞ where they are 0; elsewhere, as in the gradient of a weight, it is what it is.
        """
        rows = tuple(s.subst(places) for s in self.z.subs)
        condition = subst_indices(self.found.condition, places)
        needed = readable(self.forward.dims[self.z.tensor], rows, e.ranges, self.positive)
        if self.inner:
            if not {*self.along} <= places.keys():
                raise _Unbalanced
            dims = tuple(self.z.ranges[a] for a in self.along)
            needed += readable(dims, tuple(places[a] for a in self.along), e.ranges, self.positive)
        if not {*needed} <= {*conditions, *known} or condition != TRUE and not {*conjuncts(condition)} <= {*conditions}:
            raise _Unbalanced
        weighted = all(isinstance(w, Num) or subst_indices(w, places) in beside for w in self.found.weights)
        own = subst_indices(self.scores if weighted else where(self.found.condition, self.found.scores, neg(INF)), places)
        return Op("exp", (add([own, neg(Read(self.name, rows))]),))


def _put(program: Program, name: str, value: Expr) -> Program:
    """The program where a tensor is a number."""

    def visit(e: Expr) -> Expr:
        e = value if isinstance(e, Read) and e.tensor == name else map_children(visit, e)
        if e == Op("log", (ONE,)) or value == ZERO and _is_nothing(e):
            return ZERO
        return add([*e.args]) if isinstance(e, Op) and e.op == "+" else e

    equations = [e.with_body(visit(e.body)) if name in e.reads else e for e in program.equations if e.tensor != name]
    program = replace(program, equations=tuple(equations), shapes={t: s for t, s in program.shapes.items() if t != name})
    gone = next((e for e in equations if e.body == ZERO and value == ZERO and e.tensor not in program.outputs
                 and len(program.definitions[e.tensor]) == 1), None)
    return program if gone is None else _put(program, gone.tensor, ZERO)


def _is_nothing(e: Expr) -> bool:
    """Whether e is 0, being made of a gradient that is."""
    if isinstance(e, Reduce):
        return e.op == "sum" and e.body == ZERO
    if not isinstance(e, Op):
        return False
    if e.op == "where":
        return e.args[1:] == (ZERO, ZERO)
    return e.op == "*" and ZERO in e.args or e.op in ("neg", "/") and e.args[0] == ZERO


def _renamed(program: Program, old: str, own: Equation) -> Program:
    """The program where what the one tensor was is another one, which was the same."""
    equations = tuple(own if e.tensor == own.tensor else e.with_body(rename_reads(e.body, {old: own.tensor})) if old in e.reads else e
                      for e in program.equations if e.tensor != old)
    return replace(program, equations=equations, shapes={t: s for t, s in program.shapes.items() if t != old})


def _match(pattern: Expr, e: Expr, letters: frozenset[str]) -> dict[str, Int] | None:
    """The places at which a pattern is e, if there are any."""
    places: dict[str, Int] = {}
    if not _collect(pattern, e, letters, places):
        return None
    free = {a for r in reads(pattern) for s in r.subs for a in s.symbols()} & letters
    return places if free <= places.keys() and subst_indices(pattern, places) == e else None


def _collect(pattern: Expr, e: Expr, letters: frozenset[str], places: dict[str, Int]) -> bool:
    if isinstance(pattern, Read) and isinstance(e, Read) and pattern.tensor == e.tensor:
        for p, s in zip(pattern.subs, e.subs, strict=True):
            for a in p.symbols() & letters:
                if (parts := p.split(a)) is not None and parts[0] == Int.of(1) and not parts[1].symbols() & letters:
                    places.setdefault(a, s - parts[1])
        return True
    if isinstance(pattern, Op) and isinstance(e, Op) and pattern.op == e.op and len(pattern.args) == len(e.args):
        return all(_collect(a, b, letters, places) for a, b in zip(pattern.args, e.args, strict=True))
    return type(pattern) is type(e) and not isinstance(pattern, (Read, Op, Reduce))


# -- degrees ---------------------------------------------------------------------------------------------------------------
class _Degrees:
    """The degree of every tensor, where `special` says that of some expressions; logarithms grow, or the one named is added to them."""

    def __init__(self, program: Program, special: Special, name: str, added: bool = False):
        self.program, self.special, self.name, self.added = program, special, name, added
        self.tensors: dict[str, Degree] = {}  # of rows that are places of the subscripts; the others have none
        self.moved = {name}

    def cancel(self) -> bool:
        """Whether no output has a degree."""
        try:
            self.run()
        except _Unbalanced:
            return False
        return all(self.tensors.get(name, NONE) == NONE for name in self.program.outputs)

    def run(self) -> None:
        """Each tensor after what it reads; a recurrence to a fixed point, since what it hands round is open at first."""
        for names in components(self.program.edges):
            known = {name: self.program.definitions[name] for name in names}
            equations = [e for es in known.values() for e in es]
            if not any(r in self.moved for e in equations for r in e.reads):
                continue
            self.tensors |= dict.fromkeys(names, OPEN)
            for _ in range(len(names) + 2):
                before = {name: self.tensors[name] for name in names}
                self.tensors |= {name: _same(self.placed(d, self.of(d.body)) for d in es) for name, es in known.items()}
                if all(self.tensors[name] == d for name, d in before.items()):
                    break
            self.tensors |= {name: NONE for name in names if self.tensors[name] in (OPEN, FREE, GONE)}
            for name, es in known.items():
                if self.tensors[name] != _same([self.tensors[name], *(self.placed(d, self.of(d.body)) for d in es)]):
                    raise _Unbalanced
            self.moved |= {name for name in names if self.tensors[name].power}

    def placed(self, e: Equation, d: Degree) -> Degree:
        """The degree of an element, by the places of its subscripts; what is done along another axis is nothing that we know."""
        if not d.power:
            return d
        if not all(row in e.subs for row in d.rows):
            raise _Unbalanced
        return replace(d, rows=tuple(Int.of(e.subs.index(row)) for row in d.rows))

    def of(self, e: Expr) -> Degree:
        if (known := self.special(e)) is not None:
            return known
        if e == ZERO:
            return FREE
        if isinstance(e, Read):
            d = self.tensors.get(e.tensor, NONE)
            return replace(d, rows=tuple(e.subs[row.constant] for row in d.rows)) if d.power else d
        if isinstance(e, Reduce):
            return self.reduced(e, self.of(e.body))
        return self.operation(e) if isinstance(e, Op) else NONE

    def reduced(self, e: Reduce, d: Degree) -> Degree:
        if not d.power:
            return d if e.op != "logsumexp" or d == OPEN else NONE
        along = any(a in row.symbols() for row in d.rows for a in e.indices)
        if along or e.op not in ("max", "min", "mean", "logsumexp" if d.grows else "sum"):
            raise _Unbalanced
        return d

    def operation(self, e: Op) -> Degree:
        if e == neg(INF):
            return GONE
        degrees = [self.of(a) for a in e.args]
        if e.op == "where":
            return _same(degrees[1:]) if degrees[0] == NONE else self.refused(degrees)
        if e.op == "neg":
            return replace(degrees[0], power=-degrees[0].power) if degrees[0].grows and degrees[0].power else degrees[0]
        if e.op == "+":
            return self.sum(degrees)
        if e.op == "*":
            return _product(degrees)
        if e.op == "/":
            below = degrees[1]
            return _product([degrees[0], replace(below, power=-below.power) if below.power and not below.grows else below])
        if e.op == "**" and isinstance(e.args[1], Num) and e.args[1].value.denominator == 1 and not degrees[0].grows:
            return replace(degrees[0], power=degrees[0].power*int(e.args[1].value)) if degrees[0].power else degrees[0]
        if e.op in ("max", "min"):
            return _same(degrees)
        if e.op == "exp" and degrees[0].grows:
            return replace(degrees[0], grows=False) if degrees[0].power else FREE
        if e.op == "log" and degrees[0].power and not degrees[0].grows:
            return NONE if self.added else replace(degrees[0], grows=True)
        if e.op in COMPARISONS and ZERO in e.args and not any(d.grows for d in degrees):
            return NONE  # signs stay
        return self.refused(degrees)

    def refused(self, degrees: list[Degree]) -> Degree:
        """The degree of what is any function of these: none, if they have none."""
        if any(d.power for d in degrees):
            raise _Unbalanced
        return OPEN if OPEN in degrees else NONE

    def sum(self, degrees: list[Degree]) -> Degree:
        """Of terms that all are multiplied by the same, or of which each grows."""
        if GONE in degrees:
            return GONE
        growing = [d for d in degrees if d.grows]
        if not growing:
            return _same(degrees)
        if any(d.power and not d.grows for d in degrees) or len({d.rows for d in growing}) > 1:
            raise _Unbalanced
        if OPEN in degrees:
            return OPEN
        power = sum(d.power for d in growing)
        return replace(growing[0], power=power) if power else NONE

    def corrected(self, e: Expr) -> Expr:
        """log(Z) with what Z was divided by."""
        degree = self.of(e.args[0]) if isinstance(e, Op) and e.op == "log" else NONE
        e = map_children(self.corrected, e)
        return add([e, num(degree.power) * Read(self.name, degree.rows)]) if degree.power else e


def _same(degrees: Iterable[Degree]) -> Degree:
    """The degree that all have, if what is open or free is left aside."""
    found = [*dict.fromkeys(degrees)]
    decided = [d for d in found if d not in (OPEN, FREE, GONE)]
    multiplied = any(d.power and not d.grows for d in decided)
    if len(decided) > 1 or FREE in found and any(d.grows for d in decided) or GONE in found and multiplied:
        raise _Unbalanced
    return decided[0] if decided else OPEN if OPEN in found else found[0] if found else NONE


def _product(degrees: list[Degree]) -> Degree:
    if FREE in degrees:
        return FREE
    if any(d.grows for d in degrees) or len({d.rows for d in degrees if d.power}) > 1:
        raise _Unbalanced
    if OPEN in degrees:
        return OPEN
    power = sum(d.power for d in degrees)
    return replace(next(d for d in degrees if d.power), power=power) if power else NONE
