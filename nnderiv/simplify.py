"""Terms of a gradient, and the laws that bring them into the form that a person would write.

A term is  Σ over indices, where the conditions hold, of body.  Laws, each with its condition, applied to a fixed point:

    condition that always holds            is dropped          (bounds proves it, or a read that is left implies it)
    condition that never holds             drops the term
    where(c, a, 0) as a factor             becomes the factor a and the condition c
    Σ_x [x = v] e                          = e with v for x, where v is in the range of x          (contracting a delta)
    e mod s = e, ⌊e/s⌋ = 0                 where 0 ≤ e < s
    s·⌊e/s⌋ = e, where s divides e
    Σ_x e, e free of x                     = size(x) · e
    Σ_m y[m] · e, e free of m              = c · e, where a `given` says Σ_m y[m] = c
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .bounds import inside, never_negative
from .expr import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    compare,
    conjunction,
    factors,
    free_symbols,
    ints,
    map_ints,
    mul,
    num,
    product,
    reads,
    subst_indices,
    symbols,
    walk,
    where,
)
from .integer import Atom, FloorDiv, Int, Mod
from .program import Range, Ranges

if TYPE_CHECKING:
    from typing import Protocol

    from .fresh import Fresh
    from .program import Program

    class Context(Protocol):
        """What the laws need to know about the program around a term."""

        program: Program
        positive: frozenset[str]
        fresh: Fresh
        trace: list[tuple[str, Term | None]] | None  # the laws that changed a term, while somebody asks for them

        @property
        def roles(self) -> frozenset[str]: ...

        def axes(self, name: str) -> tuple[Range, ...] | None: ...


@dataclass(frozen=True)
class Term:
    """Σ over indices, where all conditions hold, of body; `spare` are letters that a bound index of the same range may take."""

    indices: Ranges
    conditions: tuple[Expr, ...]
    body: Expr
    spare: tuple[tuple[str, Range], ...] = ()

    def subst(self, values: Mapping[str, Int]) -> Term:
        return Term(self.indices, tuple(subst_indices(c, values) for c in self.conditions), subst_indices(self.body, values), self.spare)

    def expression(self) -> Expr:
        body = where(conjunction(list(self.conditions)), self.body, ZERO)
        if not self.indices:
            return body
        sign, inner = (-1, body.args[0]) if isinstance(body, Op) and body.op == "neg" else (1, body)
        scale = [f for f in factors(inner) if isinstance(f, Num) or _is_free_of_data(f) and not free_symbols(f) & set(self.indices)]
        rest = [f for f in factors(inner) if f not in scale]
        total: Expr = Reduce("sum", tuple(self.indices), product(rest))
        return product([num(sign), *scale, total])


def _is_free_of_data(e: Expr) -> bool:
    return not reads(e) and not any(v.elements() for v in ints(e))


def simplify(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """The term after all laws, or None where it is always 0.

    What reads imply is dropped last: under a sum every read implies its range, in a lone product only the factors do, so no index
    may disappear after that.
    """
    for laws in (LAWS, (_drop_implied,)):
        for _ in range(50):
            before = term
            for law in laws:
                result = law(term, dims, ctx)
                if ctx.trace is not None and result != term:
                    ctx.trace.append((law.__name__.strip("_"), result))
                if result is None:
                    return None
                term = result
            if term == before:
                break
    return term


# -- the laws ----------------------------------------------------------------------------------------------------------------
def _split_where(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    conditions, kept = list(term.conditions), []
    for f in factors(term.body):
        if f == ZERO:
            return None
        while isinstance(f, Op) and f.op == "where" and f.args[2] == ZERO:
            conditions.append(f.args[0])
            f = f.args[1]
        kept.append(f)
    if len(conditions) == len(term.conditions):
        return term
    return Term(term.indices, tuple(conditions), product([g for f in kept for g in factors(f)]), term.spare)


def _settle_conditions(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """Drop what always holds; give up where something never holds."""
    ranges = {**dims, **term.indices}
    whole = conjunction([_settle(c, ranges, ctx) for c in term.conditions])
    if whole == FALSE:
        return None
    conditions = () if whole == TRUE else whole.args if isinstance(whole, Op) and whole.op == "and" else (whole,)
    return Term(term.indices, tuple(conditions), term.body, term.spare)


def _settle(c: Expr, ranges: Ranges, ctx: Context) -> Expr:
    assert isinstance(c, Op)
    if c.op in ("and", "or", "not"):
        parts = [_settle(a, ranges, ctx) for a in c.args]
        if c.op == "and":
            return conjunction(parts)
        if c.op == "or":
            return TRUE if TRUE in parts else Op("or", tuple(parts))
        return FALSE if parts[0] == TRUE else TRUE if parts[0] == FALSE else Op("not", (parts[0],))
    if not (len(c.args) == 2 and isinstance(c.args[0], IntValue) and isinstance(c.args[1], IntValue)):
        return c
    a, b = _reduce_mod(c.args[0].value, ranges, ctx), _reduce_mod(c.args[1].value, ranges, ctx)
    settled = compare(c.op, a, b)
    if settled in (TRUE, FALSE):
        return settled
    known = truth(c.op, a - b, ranges, ctx.positive)
    return settled if known is None else TRUE if known else FALSE


def truth(op: str, d: Int, ranges: Ranges, positive: frozenset[str]) -> bool | None:
    """Whether d op 0, provably."""
    if op in ("<", ">="):
        holds, fails = (-d - 1, d) if op == "<" else (d, -d - 1)
    elif op in ("<=", ">"):
        holds, fails = (-d, d - 1) if op == "<=" else (d - 1, -d)
    else:
        apart = never_negative(d - 1, ranges, positive) or never_negative(-d - 1, ranges, positive)
        return None if not apart else op == "!="
    if never_negative(holds, ranges, positive):
        return True
    return False if never_negative(fails, ranges, positive) else None


def _reduce_mod(value: Int, ranges: Ranges, ctx: Context) -> Int:
    """e mod s is e itself, and ⌊e/s⌋ is 0, where 0 ≤ e < s."""
    if not any(isinstance(a, Mod | FloorDiv) for a in value.atoms()):
        return value

    def settle(atom: Atom) -> Int:
        if isinstance(atom, Mod | FloorDiv):
            top, bottom = _reduce_mod(atom.top, ranges, ctx), atom.bottom
            if never_negative(top, ranges, ctx.positive) and never_negative(bottom - 1 - top, ranges, ctx.positive):
                return top if isinstance(atom, Mod) else Int.of(0)
            return top % bottom if isinstance(atom, Mod) else top // bottom
        return Int.atom(atom)

    return value.map_atoms(settle)


def _settle_divisions(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Small quotients and remainders in the body."""
    ranges = {**dims, **term.indices}
    body = map_ints(lambda v: _reduce_mod(v, ranges, ctx), term.body)
    return term if body == term.body else Term(term.indices, term.conditions, body, term.spare)


def _divide_exactly(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Where s divides e, s·⌊e/s⌋ is e."""
    for c in term.conditions:
        if isinstance(c, Op) and c.op == "==" and isinstance(c.args[0], IntValue) and c.args[1] == IntValue(Int.of(0)):
            ((monomial, k), *others) = c.args[0].value.terms.items()
            if k == 1 and not others and len(monomial) == 1 and isinstance(monomial[0], Mod):
                top, bottom = monomial[0].top, monomial[0].bottom
                back = partial(_multiply_back, top=top, bottom=bottom)
                conditions = tuple(d if d is c else map_ints(back, d) for d in term.conditions)
                term = Term(term.indices, conditions, map_ints(back, term.body), term.spare)
    return term


def _multiply_back(value: Int, top: Int, bottom: Int) -> Int:
    """Every whole multiple of bottom·⌊top/bottom⌋ in value, written as that multiple of top."""
    quotient = Int.atom(FloorDiv(top, bottom))
    for monomial, c in list(value.terms.items()):
        if len(monomial) > 0 and any(a in monomial for m in quotient.terms for a in m):
            whole = Int({monomial: c}) // (quotient * bottom) if len((quotient * bottom).terms) == 1 else Int({})
            if whole * quotient * bottom == Int({monomial: c}):
                value = value - Int({monomial: c}) + whole * top
    return value


def _contract_delta(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_x [x = v] e(x) = e(v), where v is in the range of x."""
    for k, c in enumerate(term.conditions):
        if not (isinstance(c, Op) and c.op == "==" and isinstance(c.args[0], IntValue) and isinstance(c.args[1], IntValue)):
            continue
        difference = c.args[0].value - c.args[1].value
        for name, r in term.indices.items():
            split = difference.split(name)
            if split is None or not (split[0] == 1 or split[0] == -1):
                continue
            value = -split[1] * split[0]
            rest = term.conditions[:k] + term.conditions[k + 1 :]
            indices = {i: s for i, s in term.indices.items() if i != name}
            bare = Term(indices, rest, term.body, (*term.spare, (name, r))).subst({name: value})
            return Term(indices, (*bare.conditions, compare("<=", r.lo, value), compare("<", value, r.hi)), bare.body, bare.spare)
    return term


def _drop_outside(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """A product with a read that is always out of range is 0; so is every position of a sum with such a read."""
    ranges = {**dims, **term.indices}
    for r in _decisive(term):
        for sub, axis in zip(r.subs, ctx.axes(r.tensor) or (), strict=False):
            if sub.name is not None and ranges.get(sub.name) == axis:
                continue
            if never_negative(axis.lo - 1 - sub, ranges, ctx.positive) or never_negative(sub - axis.hi, ranges, ctx.positive):
                return None
    return term


def _decisive(term: Term) -> list[Read]:
    """Reads whose being out of range makes the term vanish: all of them under a sum, the factors of a lone product."""
    return reads(term.body) if term.indices else [f for f in factors(term.body) if isinstance(f, Read)]


def _drop_implied(term: Term, dims: Ranges, ctx: Context) -> Term:
    """A range condition that a decisive read implies says nothing new: the seed guards its own range."""
    if not term.conditions:
        return term
    facts = []
    for r in dict.fromkeys(_decisive(term)):
        for sub, axis in zip(r.subs, ctx.axes(r.tensor) or (), strict=False):
            facts += [sub - axis.lo, axis.hi - 1 - sub]
    ranges = {**dims, **term.indices}
    if not facts or not term.indices and not _stays_finite(term.body, ranges, ctx):
        return term
    kept = tuple(c for c in term.conditions if not _implied(c, facts, ranges, ctx))
    return term if len(kept) == len(term.conditions) else Term(term.indices, kept, term.body, term.spare)


def _stays_finite(body: Expr, ranges: Ranges, ctx: Context) -> bool:
    """Whether a factor 0 makes the body 0: no quotient or logarithm of something that is read out of range, where it is 0 too."""
    for node in walk(body):
        if isinstance(node, Op) and may_be_infinite(node):
            for r in reads(node):
                axes = ctx.axes(r.tensor) or ()
                if len(axes) != len(r.subs) or not all(inside(s, a, ranges, ctx.positive) for s, a in zip(r.subs, axes, strict=True)):
                    return False
    return True


def may_be_infinite(e: Op) -> bool:
    """Whether this operation can make something infinite out of zeros."""
    if e.op == "**":
        return not (isinstance(e.args[1], Num) and e.args[1].value > 0)
    return e.op in ("/", "log")


def _implied(c: Expr, facts: list[Int], ranges: Ranges, ctx: Context) -> bool:
    if not (isinstance(c, Op) and c.op in ("<", "<=", ">", ">=") and all(isinstance(a, IntValue) for a in c.args)):
        return False
    a, b = (x.value for x in c.args if isinstance(x, IntValue))
    slack = {"<": b - a - 1, "<=": b - a, ">": a - b - 1, ">=": a - b}[c.op]
    return any(never_negative(slack - f, ranges, ctx.positive) for f in facts if f.symbols() & slack.symbols() or f.is_constant)


def _sum_of_nothing(term: Term, dims: Ranges, ctx: Context) -> Term:
    """An index that occurs nowhere multiplies by its number of values."""
    used = free_symbols(term.body) | {s for c in term.conditions for s in free_symbols(c)}
    for name, r in term.indices.items():
        if name not in used:
            indices = {i: s for i, s in term.indices.items() if i != name}
            size = num(r.size.constant) if r.size.is_constant else IntValue(r.size)
            return Term(indices, term.conditions, product([size, *factors(term.body)]), (*term.spare, (name, r)))
    return term


def _use_givens(term: Term, dims: Ranges, ctx: Context) -> Term:
    """Σ_m y[…,m…] = c from a `given`, inside a product whose other factors do not know m."""
    for fact in ctx.program.givens:
        if isinstance(fact, Op) and fact.op == "==" and isinstance(fact.args[0], Reduce) and fact.args[0].op == "sum":
            found = _match_given(term, fact.args[0], fact.args[1], dims, ctx)
            if found is not None:
                return found
    return term


def _match_given(term: Term, pattern: Reduce, value: Expr, dims: Ranges, ctx: Context) -> Term | None:
    if not isinstance(pattern.body, Read) or reads(value):
        return None
    parts = factors(term.body)
    for f in parts:
        if not isinstance(f, Read) or f.tensor != pattern.body.tensor:
            continue
        summed = [s.name for p, s in zip(pattern.body.subs, f.subs, strict=True) if p.name in pattern.indices]
        others = [g for g in parts if g is not f]
        elsewhere = {s for g in others for s in free_symbols(g)} | {s for c in term.conditions for s in free_symbols(c)}
        axes = ctx.axes(f.tensor) or ()
        full = all(
            s is not None and s in term.indices and term.indices[s] == axis and s not in elsewhere
            for s, axis in zip(summed, [a for p, a in zip(pattern.body.subs, axes, strict=True) if p.name in pattern.indices], strict=True)
        )
        free = [(s, a) for p, s, a in zip(pattern.body.subs, f.subs, axes, strict=True) if p.name not in pattern.indices]
        ranges = {**dims, **term.indices}
        inside = all(never_negative(s - a.lo, ranges, ctx.positive) and never_negative(a.hi - 1 - s, ranges, ctx.positive) for s, a in free)
        if full and inside and len(set(summed)) == len(summed):
            indices = {i: r for i, r in term.indices.items() if i not in summed}
            return Term(indices, term.conditions, product([*factors(value), *others]), term.spare)
    return None


LAWS = (_split_where, _settle_conditions, _settle_divisions, _divide_exactly, _contract_delta, _drop_outside, _sum_of_nothing,
        _use_givens)


# -- putting terms together --------------------------------------------------------------------------------------------------
def collect(terms: list[Term], dims: Ranges, ctx: Context) -> tuple[Expr, Ranges]:
    """The sum of the terms as a right-hand side, and the ranges of all its indices."""
    terms = _join_cases([t for t in (simplify(t, dims, ctx) for t in terms) if t is not None])
    terms = [t for t in (simplify(t, dims, ctx) for t in terms) if t is not None]
    ranges = dict(dims)
    renamed = []
    for t in terms:
        renamed.append(_rename_bound(t, dims, ranges, ctx))
        ranges |= renamed[-1].indices
    plain = [t.body for t in renamed if not t.indices and not t.conditions]
    others = [t.expression() for t in renamed if t.indices or t.conditions]
    everything = [*_common_factor(_merge(plain)), *_merge(others)]
    everything.sort(key=lambda e: isinstance(e, Op) and e.op == "neg")
    used = {i for e in everything for i in symbols(e)}
    return add(everything), {i: r for i, r in ranges.items() if i in dims or i in used}


def _join_cases(terms: list[Term]) -> list[Term]:
    """[i = c] f(c) + [i > c] f(i) = [i ≥ c] f(i): a base case and the general equation that do the same."""
    for one in terms:
        for c in one.conditions:
            at = _fixed(c)
            if at is None:
                continue
            name, value = at
            rest = tuple(d for d in one.conditions if d is not c)
            beyond = compare("<=", value + 1, Int.symbol(name))
            for other in terms:
                others = tuple(d for d in other.conditions if d != beyond)
                same = other is not one and beyond in other.conditions and other.indices == one.indices and others == rest
                if same and subst_indices(other.body, {name: value}) == one.body:
                    joined = Term(other.indices, (*rest, compare("<=", value, Int.symbol(name))), other.body, other.spare)
                    return _join_cases([joined if t is other else t for t in terms if t is not one])
    return terms


def _fixed(c: Expr) -> tuple[str, Int] | None:
    """(i, v) for the condition i == v."""
    if isinstance(c, Op) and c.op == "==" and isinstance(c.args[0], IntValue) and isinstance(c.args[1], IntValue):
        for a, b in (c.args, c.args[::-1]):
            if isinstance(a, IntValue) and isinstance(b, IntValue) and a.value.name is not None and b.value.is_constant:
                return a.value.name, b.value
    return None


def _rename_bound(term: Term, left: Ranges, taken: Ranges, ctx: Context) -> Term:
    """Short letters for bound indices: k rather than k2, wherever k is free or means the same range; never a letter of the left."""
    values: dict[str, Int] = {}
    chosen: Ranges = {}
    for name, r in term.indices.items():
        base = name.rstrip("0123456789").rstrip("_")
        wishes = [base, *(w for w, span in term.spare if span == r), name]
        pick = next((w for w in wishes if w and w not in chosen and w not in left and (w not in taken or taken[w] == r)
                     and _may_name(w, name, ctx)), None)
        pick = pick or ctx.fresh(base or "i")
        chosen[pick] = r
        if pick != name:
            values[name] = Int.symbol(pick)
    # In two steps, so that a swap of letters does not collide.
    hidden = {n: Int.symbol(f"\0{n}") for n in values}
    moved = Term(chosen, term.conditions, term.body, term.spare).subst(hidden)
    return moved.subst({f"\0{n}": v for n, v in values.items()})


def _may_name(wish: str, name: str, ctx: Context) -> bool:
    """Whether a letter is an index letter of the program, or new."""
    return wish == name or wish not in ctx.roles


def _merge(parts: list[Expr]) -> list[Expr]:
    """Equal terms once, with their coefficients added."""
    totals: dict[Expr, Expr] = {}
    for e in parts:
        numbers = [f for f in factors(e) if isinstance(f, Num)]
        rest = product([f for f in factors(e) if not isinstance(f, Num)])
        coefficient = mul(list(numbers))
        assert isinstance(coefficient, Num)
        known = totals.get(rest)
        totals[rest] = Num(known.value + coefficient.value) if isinstance(known, Num) else coefficient
    return [product([c, *factors(rest)]) for rest, c in totals.items() if c != ZERO]


def _common_factor(parts: list[Expr]) -> list[Expr]:
    """a·b + a·c as a·(b + c), for what all terms share."""
    if len(parts) < 2:
        return parts
    shared = [f for f in dict.fromkeys(factors(parts[0])) if not isinstance(f, Num) and all(f in factors(p) for p in parts[1:])]
    if not shared:
        return parts
    rests = [product(_without(factors(p), shared)) for p in parts]
    rests.sort(key=lambda e: isinstance(e, Op) and e.op == "neg")
    total = add(rests)
    return [product([*[f for f in shared if f != ONE], total])] if total != ZERO else []


def _without(parts: list[Expr], shared: list[Expr]) -> list[Expr]:
    rest = list(parts)
    for f in shared:
        rest.remove(f)
    return rest


