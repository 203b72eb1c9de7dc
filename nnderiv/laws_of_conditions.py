"""Laws of the conditions of a term: what always holds is dropped, what never holds ends the term, quotients are settled."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from .bounds import inside, never_negative, outside, settled
from .conditions import OPPOSITE, contradict, divisible, equalities, negation, solutions, without_implied
from .conditions import facts as facts_of
from .expr import (
    FALSE,
    TRUE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    compare,
    conjunction,
    conjuncts,
    is_where,
    is_zero,
    map_children,
    map_ints,
    reads,
    replace,
    walk,
    where,
)
from .integer import FloorDiv, Int
from .polynomial import factors, poles, product
from .program import Ranges
from .regular import is_regular
from .terms import Context, Term, decisive, may_leave


def split_where(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """where(c, a, 0) · e = [c] a · e; where(c, 0, a) · e = [not c] a · e, if integers decide c; a product with a factor 0 is 0.

    Other c too, where only c keeps an element in e from needing itself.
    """
    conditions, kept = list(term.conditions), []
    parts = factors(term.body)
    turns = any(isinstance(f, Read) and ctx.may_need_itself(f.tensor) for f in parts)
    for f in parts:
        if is_zero(f):
            return None
        while is_where(f, ZERO) or isinstance(f, Op) and f.op == "where" and f.args[1] == ZERO and (turns or not reads(f.args[0])):
            condition, f = (f.args[0], f.args[1]) if f.args[2] == ZERO else (negation(f.args[0]), f.args[2])
            conditions.append(condition)
        kept.append(f)
    if len(conditions) == len(term.conditions):
        return term
    return Term(term.indices, tuple(conditions), product([g for f in kept for g in factors(f)]), term.spare)


def settle_conditions(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """[c] e = e, where c always holds for the ranges of the indices, or beside another; [c] e = 0, where it never does, likewise."""
    ranges = {**dims, **term.indices}
    whole = conjunction([_settle(c, ranges, ctx) for c in term.conditions])
    if whole == FALSE:
        return None
    conditions = () if whole == TRUE else without_implied(conjuncts(whole))
    return None if contradict(conditions) else Term(term.indices, conditions, term.body, term.spare)


def settle_divisions(term: Term, dims: Ranges, ctx: Context) -> Term:
    """a mod s = a and ⌊a/s⌋ = 0 in the body, where 0 ≤ a < s for the ranges of the indices."""
    ranges = {**dims, **term.indices}
    body = map_ints(lambda v: settled(v, ranges, ctx.positive), term.body)
    return term if body == term.body else Term(term.indices, term.conditions, body, term.spare)


def settle_choices(term: Term, dims: Ranges, ctx: Context) -> Term:
    """where(c, a, b) = a in the body, where c always holds for the indices' ranges, and b where it never does; [c] where(c, a, b) = [c] a.

    So it is where c is a condition of the term. A sum leaves out places where what is not taken reads outside: there the choice stays.
    """
    known = frozenset(d for c in term.conditions for d in conjuncts(c))
    body = _chosen(term.body, {**dims, **term.indices}, ctx, bool(term.indices), known)
    return term if body == term.body else Term(term.indices, term.conditions, body, term.spare)


def rectify(term: Term, dims: Ranges, ctx: Context) -> Term:
    """[x > 0] relu(x) = [x > 0] x."""
    above = {c.args[0] for c in term.conditions if isinstance(c, Op) and c.op == ">" and c.args[1] == ZERO}

    def visit(e: Expr) -> Expr:
        return e.args[0] if isinstance(e, Op) and e.op == "relu" and e.args[0] in above else map_children(visit, e)

    body = visit(term.body) if above else term.body
    return term if body == term.body else Term(term.indices, term.conditions, body, term.spare)


def into_cases(term: Term, dims: Ranges, ctx: Context) -> Term:
    """e · where(a > b, 1, where(a = b, 1/2, 0)) = where(a > b, e, where(a = b, e/2, 0)), where e is short and without such a choice.

    In either case max(a, b) is a, and min(a, b) is b. Sizes stay outside.
    """
    parts = factors(term.body)
    chains = [f for f in parts if isinstance(f, Op) and f.op == "where" and _is_slope(_cases(f))]
    if len(chains) != 1:
        return term
    beside = [f for f in parts if f not in chains and (reads(f) or isinstance(f, Num))]
    short = not any(_cases(n) for f in beside for n in walk(f)) and sum(1 for f in beside for _ in walk(f)) <= SHORT
    if not short or not any(map(reads, beside)):
        return term
    body: Expr = ZERO
    for condition, value in reversed(_cases(chains[0])):
        body = where(condition, _decided(product([value, *beside]), condition), body)
    sizes = [f for f in parts if f not in chains and f not in beside]
    return Term(term.indices, term.conditions, product([*sizes, body]), term.spare)


def divide_exactly(term: Term, dims: Ranges, ctx: Context) -> Term:
    """[a mod s = 0] s·⌊a/s⌋ = [a mod s = 0] a: where the condition says that s divides."""
    for c in term.conditions:
        if (remainder := divisible(c)) is not None:
            back = partial(_multiply_back, top=remainder.top, bottom=remainder.bottom)
            conditions = tuple(d if d is c else map_ints(back, d) for d in term.conditions)
            term = Term(term.indices, conditions, map_ints(back, term.body), term.spare)
    return term


def name_data(term: Term, dims: Ranges, ctx: Context) -> Term:
    """[y = k] A[y] = [y = k] A[k], for an element y of an integer tensor and an index k on the left: the plain name stands for both."""
    for data, index in (pair for c in term.conditions for pair in equalities(c)):
        if index.name in dims and len(found := data.elements()) == 1 and data == Int.atom(found[0]):
            plain = partial(map_ints, partial(Int.put, atoms={found[0]: index}))
            conditions = tuple(c if equalities(c) else plain(c) for c in term.conditions)
            changed = Term(term.indices, conditions, plain(term.body), term.spare)
            term = term if changed == term else changed
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


def drop_outside(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """A[α] · e = 0, where α is out of range for all values of the indices; under a sum, wherever in the summand A[α] stands."""
    ranges = {**dims, **term.indices}
    for r in decisive(term):
        for sub, axis in zip(r.subs, ctx.axes(r.tensor) or (), strict=False):
            if sub.name is not None and ranges.get(sub.name) == axis:
                continue
            if outside(sub, axis, ranges, ctx.positive):
                return None
    return term


def drop_implied(term: Term, dims: Ranges, ctx: Context) -> Term:
    """[lo ≤ α < hi] A[α] · e = A[α] · e: a range that a read implies, where the rest stays finite, for 0·∞ is not 0."""
    if not term.conditions:
        return term
    ranges = {**dims, **term.indices}
    facts = []
    for r in dict.fromkeys(decisive(term)):
        for sub, axis in zip(r.subs, ctx.axes(r.tensor) or (), strict=False):
            facts += [sub - axis.lo, *(end - 1 - sub for end in _ends(sub, axis.hi, ranges, ctx))]
    if not facts or not term.indices and not _stays_finite(term.body, ranges, ctx):
        return term
    kept = tuple(c for c in term.conditions if not _implied(c, facts, ranges, ctx))
    return term if len(kept) == len(term.conditions) else Term(term.indices, kept, term.body, term.spare)


def drop_known(term: Term, dims: Ranges, ctx: Context) -> Term:
    """[c] A · e = A · e, where A is 0 already unless c holds, as a softmax behind a mask, and e is finite."""
    if not term.conditions:
        return term
    known = ctx.needed(term.body)
    kept = tuple(c for c in term.conditions if c not in known)
    return term if len(kept) == len(term.conditions) else Term(term.indices, kept, term.body, term.spare)


# -- what they rest on ------------------------------------------------------------------------------------------------------
SHORT = 12  # nodes that may be written once for each case


def _is_slope(cases: list[tuple[Expr, Expr]]) -> bool:
    """Whether a choice is one of several numbers."""
    return len(cases) > 1 and all(isinstance(value, Num) for _, value in cases)


def _cases(e: Expr) -> list[tuple[Expr, Expr]]:
    """(condition, value) of each case of where(c, a, where(d, b, 0))."""
    found: list[tuple[Expr, Expr]] = []
    while isinstance(e, Op) and e.op == "where":
        found.append((e.args[0], e.args[1]))
        e = e.args[2]
    return found if e == ZERO else []


def _decided(e: Expr, condition: Expr) -> Expr:
    """max(a, b) and min(a, b) in e where a > b, or a = b."""
    if not (isinstance(condition, Op) and condition.op in ("<", ">", "==")):
        return e
    a, b = condition.args if condition.op != "<" else condition.args[::-1]
    return replace(e, {Op(op, pair): value for op, value in (("max", a), ("min", b)) for pair in ((a, b), (b, a))})


def _chosen(e: Expr, ranges: Ranges, ctx: Context, is_summed: bool, known: Collection[Expr]) -> Expr:
    if not isinstance(e, Op):
        return e
    e = map_children(lambda child: _chosen(child, ranges, ctx, is_summed, known), e)
    if not (isinstance(e, Op) and e.op == "where"):
        return e
    condition, a, b = e.args
    asked = conjunction([c for c in conjuncts(condition) if c not in known])  # what the term asks, too, leaves out no further place
    denied = negation(condition) in known
    settled = FALSE if denied else _settle(asked, ranges, ctx)
    if settled == condition or not denied and is_summed and settled != asked and may_leave(asked, ranges, ctx):
        return e
    if settled not in (TRUE, FALSE):
        return where(settled, a, b)
    taken, other = (a, b) if settled == TRUE else (b, a)
    return e if is_summed and may_leave(other, ranges, ctx) else taken


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
        return map_ints(lambda v: settled(v, ranges, ctx.positive), c)
    a, b = (settled(x.value, ranges, ctx.positive) for x in c.args if isinstance(x, IntValue))
    compared = compare(c.op, a, b)
    if compared in (TRUE, FALSE):
        return compared
    known = truth(c.op, a - b, ranges, ctx.positive)
    return compared if known is None else TRUE if known else FALSE


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


def _ends(sub: Int, end: Int, ranges: Ranges, ctx: Context) -> list[Int]:
    """What α lies below where α < end: in max(a, b), which a base case makes, below a if it is never below b."""
    behind = [a for a in end.cases("max") if not never_negative(sub - a, ranges, ctx.positive)]
    return [end, *(behind if len(behind) == 1 else ())]


def _stays_finite(body: Expr, ranges: Ranges, ctx: Context) -> bool:
    """Whether a factor 0 makes the body 0: no read of what can be infinite, no quotient of integers that is, nor of a read out of range."""
    if any(r.tensor in ctx.unbounded for r in reads(body)) or not is_regular(body, ranges, ctx.positive):
        return False

    def may_be_0(r: Read) -> bool:
        """Because of where it is read, or because of what its tensor reads."""
        axes = ctx.axes(r.tensor) or ()
        places = zip(r.subs, axes, strict=False)
        return r.tensor in ctx.program.gaps or len(axes) != len(r.subs) or not all(inside(s, a, ranges, ctx.positive) for s, a in places)

    return not any(isinstance(node, Op) and may_be_infinite(node, set(filter(may_be_0, reads(node)))) for node in walk(body))


def may_be_infinite(e: Op, zeros: Collection[Read]) -> bool:
    """Whether this operation can make something infinite where these of its reads are 0: exp overflows where half of a difference is.

    A division by integers alone is for `is_regular` to judge.
    """
    if e.op == "exp":
        rest = replace(e.args[0], dict.fromkeys(zeros, ZERO))
        return rest != e.args[0] and bool(reads(rest))
    return bool(zeros) and any(map(reads, poles(e)))


def _implied(c: Expr, facts: list[Int], ranges: Ranges, ctx: Context) -> bool:
    if not (isinstance(c, Op) and c.op in ("<", "<=", ">", ">=") and all(isinstance(a, IntValue) for a in c.args)):
        return False
    (slack,) = facts_of(c)
    return any(never_negative(slack - f, ranges, ctx.positive) for f in facts if f.symbols() & slack.symbols() or f.is_constant)


def index_alone(term: Term, dims: Ranges, ctx: Context) -> Term:
    """[0 ≤ i − 1] e = [1 ≤ i] e, where all else is a number, and [T = i + 1] e = [i = T − 1] e, where there is one index."""
    letters = {**dims, **term.indices}
    conditions = tuple(_alone(d, letters) for c in term.conditions for d in conjuncts(c))
    return term if conditions == term.conditions else Term(term.indices, conditions, term.body, term.spare)


def _alone(c: Expr, letters: Collection[str]) -> Expr:
    if not (isinstance(c, Op) and c.op in OPPOSITE and all(isinstance(a, IntValue) for a in c.args)):
        return c
    a, b = (x.value for x in c.args if isinstance(x, IntValue))
    mine = [i for i in letters if i in (a - b).symbols()]
    between = c.op in ("==", "!=") and len(mine) == 1 and mine[0] not in (a.name, b.name)
    if between and (value := dict(solutions(a - b)).get(mine[0])) is not None:
        return Op(c.op, (IntValue(Int.symbol(mine[0])), IntValue(value)))
    number, other = (a, b) if a.is_constant else (b, a)
    named, value = other - other.constant, number - other.constant
    if not number.is_constant or named.name is None:
        return c
    left, right = (value, named) if a.is_constant and c.op not in ("==", "!=") else (named, value)
    return Op(c.op, (IntValue(left), IntValue(right)))
