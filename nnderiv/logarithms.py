"""log(e) by parts, for what is made of exponentials: known also where e itself is too large or too small for a number.

    log(exp(a))                 a                          log(softmax_k(x))        log_softmax_k(x)
    log(a b)                    log a + log b              log(σ(x))                −log(1 + exp(−x))
    log(a/b)                    log a − log b              log(u/(u + v))           −softplus(log v − log u)
    log(a**r)                   r log a                    log(1 − u/(u + v))       −softplus(log u − log v)
    log(1 ± tanh(x))            log(2) − softplus(∓2x)     log(where(c, a, 0))      where(c, log a, −∞)
    log(1 − tanh(x)²)           2 (log(2) − x − softplus(−2x))
    log(a + b)                  log(exp(log a) + exp(log b))
    log(Σ_k a_k)                logsumexp_k(log a_k)       log(Σ_k c a_k)           log c + log(Σ_k a_k)
    log(Σ_k (a_k + b_k))        log(Σ_k a_k + Σ_k b_k)     log(max_k a_k)           max_k log a_k
    log(t[i])                   t_log[i], a tensor of its own; or by parts of what t[i] is, if that is no sum and reads nothing
                                               outside; not in a recurrence

Only what is surely positive has parts: exponentials, numbers, and what is a number or more, as σ = softplus(x) + 0.001 is. A factor
of a product that is not, as a mask or a weight is not, leaves the product of all such factors one logarithm; a term of a sum that is
not leaves the whole as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from .bounds import never_negative
from .expr import (
    INF,
    ONE,
    ZERO,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    children,
    conjunction,
    free_symbols,
    has_reduction,
    is_where,
    neg,
    num,
    own_reads,
    reads,
    restricted,
    walk,
    where,
)
from .fresh import Fresh
from .graph import components
from .integer import Int
from .polynomial import (
    additive_terms,
    beside_one,
    complement,
    factors,
    is_reciprocal,
    monomials,
    poles,
    product,
    signed,
    square_root,
    without,
)
from .program import Equation, Program, Range, Ranges
from .signs import above_0, never_positive
from .within import positive_names, readable


@dataclass(frozen=True)
class Risk:
    """What may happen to a positive value: it is rounded to 0, or to ∞."""

    small: bool = False
    large: bool = False

    def __or__(self, other: Risk) -> Risk:
        return Risk(self.small or other.small, self.large or other.large)

    def __bool__(self) -> bool:
        return self.small or self.large


LONG = 60  # parts of an expression that is put in where it is read
DEEP = 20  # logarithms of reads, each within the next
SAFE, FRACTION, ANY = Risk(), Risk(small=True), Risk(True, True)


class Tensors:
    """What is known of a program's tensors, and those of logarithms that were asked for."""

    def __init__(self, program: Program):
        self.program, self.positive = program, positive_names(program)
        self.fresh = Fresh(program.names)
        self.logs: dict[str, Equation | None] = {}
        self.risks: dict[str, Risk] = {}
        self.lengths: dict[str, int] = {}
        self.asked = {r for e in program.equations for r in _outside_logs(e.body)}
        powers = [n.args[0] for e in program.equations for n in walk(e.body) if isinstance(n, Op) and n.op == "**" and reads(n.args[1])]
        self.powers = {r.tensor for x in powers for r in reads(x)}  # of an exponent that is an input
        self.asked -= self.powers
        below = [x for e in program.equations for n in walk(e.body) if isinstance(n, Op) for x in poles(n)]
        self.divisors = {f.tensor for x in below for f in factors(x) if isinstance(f, Read)}
        self.margins: dict[str, bool] = {}  # whether a tensor is above some positive number in all places
        self.within = 0  # so many logarithms of reads are taken, each within the next
        for name in chain.from_iterable(components(program.edges)):  # first what others rest on: Python's stack is short
            self.risk(name)
            self.length(name)

    def defined(self, name: str) -> tuple[Equation, ...]:
        return self.program.definitions.get(name, ())

    def formula(self, r: Read) -> Expr | None:
        """What is read, as it is defined, if that is one expression without a reduction, and short, whatever it rests on."""
        found = self.program.whole(r.tensor)
        if found is None or r.tensor in self.program.components or has_reduction(found.body) or self.length(r.tensor) > LONG:
            return None
        return found.at(r.subs)

    def length(self, name: str) -> int:
        """How many parts what is read has, with what it reads put in."""
        if name not in self.lengths:
            self.lengths[name] = 1  # what a recurrence says of itself
            nodes = [n for e in self.defined(name) for n in walk(e.body)]
            self.lengths[name] = max(1, sum(self.length(n.tensor) if isinstance(n, Read) else 1 for n in nodes))
        return self.lengths[name]

    def risk(self, name: str) -> Risk:
        if name not in self.risks:
            self.risks[name] = SAFE  # what a recurrence says of itself
            for e in self.defined(name):
                self.risks[name] |= Logarithms(self, e.ranges).risk(e.body)
        return self.risks[name]

    def keeps_off_0(self, name: str) -> bool:
        """Whether all elements are above some positive number, and none is too large; not of a recurrence."""
        if name not in self.margins:
            given = self.defined(name)
            apart = bool(given) and name not in self.program.components and not self.risk(name)
            self.margins[name] = apart and all(above_0(e.body) for e in given)
        return self.margins[name]

    def hull(self, name: str) -> tuple[Range, ...]:
        """Where a tensor may be read; one of logarithms where what they are taken of may be."""
        hulls = self.program.hulls
        return hulls[name] if name in hulls else next(hulls[n] for n, x in self.logs.items() if x is not None and x.tensor == name)

    def log(self, name: str) -> str | None:
        """The tensor of the logarithms of another one, if that is one equation; a recurrence goes on as it was written."""
        if name not in self.logs:
            given = self.program.whole(name)
            self.logs[name] = None
            if given is not None and name not in self.program.components:
                body = Logarithms(self, given.ranges).of(given.body)
                self.logs[name] = replace(given, tensor=self.fresh(f"{name}_log"), body=body) if body is not None else None
        own = self.logs[name]
        return own.tensor if own else None


@dataclass(frozen=True)
class Logarithms:
    """Logarithms within one equation, where its indices have these ranges."""

    tensors: Tensors
    ranges: Ranges
    known: frozenset[Expr] = frozenset()  # conditions under which what is asked for is read

    # -- what may happen -----------------------------------------------------------------------------------------------
    def risk(self, e: Expr) -> Risk:
        """What may happen to e; nothing is feared of what is not made of exponentials."""
        if isinstance(e, Read):
            return self.tensors.risk(e.tensor)
        if isinstance(e, Reduce):
            return FRACTION if e.op == "softmax" else self.risk(e.body) if e.op in ("sum", "mean", "max", "min") else SAFE
        if not isinstance(e, Op):
            return SAFE
        if e.op == "exp":
            return FRACTION if never_positive(e.args[0]) else ANY
        if e.op == "sigmoid":
            return FRACTION
        if e.op == "+":
            return self.risk_of_sum(e)
        if e.op == "/":
            above, below = map(self.risk, e.args)
            return above | Risk(small=below.large, large=below.small)
        if e.op in ("*", "where", "**", "sqrt", "neg"):
            found = [self.risk(a) for a in (e.args[1:] if e.op == "where" else e.args[:1] if e.op == "**" else e.args)]
            total = SAFE
            for r in found:
                total |= r
            turned = e.op == "**" and not (isinstance(e.args[1], Num) and e.args[1].value > 0) and bool(total)
            return ANY if turned else total
        return SAFE

    def risk_of_sum(self, e: Expr) -> Risk:
        """A sum is small if all its terms are, or if they cancel, and large if one is."""
        if self.of_beside(e) is not None:
            return FRACTION
        found = [self.risk(t) for _, t in additive_terms(e)]
        return Risk(small=_cancels(e) and any(found) or all(r.small for r in found), large=any(r.large for r in found))

    # -- by parts ------------------------------------------------------------------------------------------------------
    def of(self, e: Expr) -> Expr | None:
        """log(e), or nothing if e may be negative, for all we know."""
        if isinstance(e, Read):
            return self.of_read(e)
        if isinstance(e, Reduce):
            return self.of_reduction(e)
        if isinstance(e, Num):
            return None if e.value <= 0 else ZERO if e == ONE else Op("log", (e,))
        if isinstance(e, Const) or isinstance(e, IntValue) and self.is_positive(e.value):
            return None if e == INF else Op("log", (e,))
        if not isinstance(e, Op):
            return None
        if e.op == "exp":
            return e.args[0]
        if e.op == "sigmoid":
            return neg(Op("softplus", (neg(e.args[0]),)))
        if e.op == "where":
            return self.of_choice(e)
        if e.op == "+":
            return self.of_sum(e)
        if e.op in ("*", "/"):
            found, rest = self.split(e)
            return None if rest else signed(found)
        if e.op in ("**", "sqrt"):
            base = self.of(e.args[0])
            return None if base is None else base*e.args[1] if e.op == "**" else base/num(2)
        return None

    def of_read(self, r: Read) -> Expr | None:
        if self.tensors.within == DEEP:
            return None
        if self.tensors.keeps_off_0(r.tensor):
            value: Expr | None = Op("log", (r,))
        else:
            self.tensors.within += 1
            value = self.of_named(r)
            self.tensors.within -= 1
        outside = self.outside(r)
        return value if value is None or not outside else where(conjunction(outside), value, neg(INF))

    def of_named(self, r: Read) -> Expr | None:
        formula = self.tensors.formula(r)
        if formula is not None and {*self.conditions(formula)} <= {*self.conditions(r)}:  # or a sum around it would end earlier
            return self.of(formula)
        name = self.tensors.log(r.tensor)
        return None if name is None else Read(name, r.subs)

    def outside(self, r: Read) -> list[Expr]:
        return [c for c in self.readable(r.tensor, r.subs) if c not in self.known]

    def readable(self, name: str, subs: tuple[Int, ...]) -> list[Expr]:
        return readable(self.tensors.hull(name), subs, self.ranges, self.tensors.positive)

    def conditions(self, e: Expr) -> list[Expr]:
        """Where a reduction over e runs."""
        return list(dict.fromkeys(c for n, s in own_reads(e) for c in self.readable(n, s)))

    def is_inside(self, e: Expr) -> bool:
        """Whether a reduction over e runs everywhere."""
        return not self.conditions(e)

    def is_positive(self, value: Int) -> bool:
        return never_negative(value - 1, {}, self.tensors.positive)

    def of_reduction(self, e: Reduce) -> Expr | None:
        if e.op == "softmax":
            return Reduce("log_softmax", e.indices, e.body)
        runs = self.conditions(e.body) if e.op in ("sum", "mean", "max", "min") else []
        if e.op == "sum" and (added := self.added(e.body, runs)):  # log(Σ a + Σ b)
            logs = [self.of(Reduce("sum", e.indices, t)) for t in added]
            return None if None in logs else log_of_sum([x for x in logs if x is not None])
        taken = e.op in ("sum", "max", "min") or e.op == "mean" and not runs
        inner = replace(self, known=self.known | {*runs}).of(e.body) if taken else None
        theirs = self.conditions(inner) if inner is not None else []
        if inner is None or not {*theirs} <= {*runs}:
            return None
        if e.op in ("max", "min"):
            return restricted(Reduce(e.op, e.indices, inner), [c for c in runs if c not in theirs])
        terms = additive_terms(inner)
        apart = [(s, t) for s, t in terms if not reads(t) and not free_symbols(t) & {*e.indices}]  # log Σ c exp(x) = log Σ exp(x) + log c
        apart = apart if len(apart) < len(terms) else []
        inner = signed([x for x in terms if x not in apart])
        summed = Reduce("logsumexp", e.indices, where(conjunction([c for c in runs if c not in theirs]), inner, neg(INF)))
        total = signed([(1, summed), *apart])
        if e.op == "sum":
            return total
        sizes = [IntValue(self.ranges[i].size) for i in e.indices]
        known = all(self.is_positive(x.value) for x in sizes)
        return signed([(1, total), *((-1, Op("log", (x,))) for x in sizes)]) if known else None

    def added(self, body: Expr, runs: list[Expr]) -> list[Expr]:
        """The terms of exp(a) + exp(b) + …, if a sum over them all runs where those over each of them do."""
        terms = [t for s, t in additive_terms(body) if s > 0]
        alike = all(reads(t) and {*self.conditions(t)} == {*runs} for t in terms)
        return terms if alike and 1 < len(terms) == len(additive_terms(body)) else []

    def of_choice(self, e: Op) -> Expr | None:
        condition, *branches = e.args
        found = [neg(INF) if x == ZERO else self.of(x) for x in branches]
        return None if None in found or found[0] == neg(INF) == found[1] else where(condition, *(x for x in found if x is not None))

    def of_sum(self, e: Op) -> Expr | None:
        if (beside := self.of_beside(e)) is not None:
            return beside
        other = complement(e)
        if other is not None:
            return self.of_complement(other)
        terms = additive_terms(e)
        logs = [self.of(t) for s, t in terms if s > 0]
        found = [x for x in logs if x is not None]
        if len(found) < len(terms):
            opened = multiplied_out(e) if _cancels(e) else e
            if isinstance(opened, Op) and opened != e:
                return self.of_sum(opened)
            return Op("log", (e,)) if above_0(e) and not self.risk(e) else None
        return log_of_sum(found)

    def opened(self, e: Expr) -> Expr | None:
        """What is read as it is defined, where it is read inside, or e itself."""
        return self.tensors.formula(e) if isinstance(e, Read) and not self.outside(e) else e

    def of_beside(self, e: Expr) -> Expr | None:
        """log(1 ± t), log(1 − t²), whatever tensor t is the value of."""
        beside = power_beside_one(e)
        return log_beside_one(*beside[:2], self.opened(beside[2])) if beside is not None else None

    def of_complement(self, e: Expr) -> Expr | None:
        """log(1 − e) for e = u/(u + v)."""
        opened = self.opened(e)
        if not (isinstance(opened, Op) and opened.op == "/"):
            return None
        own, whole = (Counter(additive_terms(x)) for x in opened.args)
        if not own <= whole:
            return None
        return self.of_share(signed([*(whole - own).elements()]), opened.args[0])

    def of_share(self, u: Expr, v: Expr) -> Expr | None:
        """log(u/(u + v)) = −log(1 + v/u): in log u − log(u + v), what is little would be the difference of what is large."""
        mine, other = self.of(u), self.of(v)
        return None if mine is None or other is None else neg(Op("softplus", (other - mine,)))

    def split(self, e: Expr) -> tuple[list[tuple[int, Expr]], list[Expr]]:
        """The logarithms of the factors that are positive, and the others."""
        found: list[tuple[int, Expr]] = []
        rest: list[Expr] = []
        parts, shares = self.shares(factors(e))
        for f in parts:
            below = is_reciprocal(f)
            base = f.args[1] if isinstance(f, Op) and below else f
            known = self.of(base)
            inner, others = self.split_named(base) if known is None else (additive_terms(known) if known != ZERO else [], [])
            found += [(-s, t) for s, t in inner] if below else inner
            rest += [f] if known is None and not inner else [ONE/x for x in others] if below else others
        return [*found, *(t for x in shares for t in additive_terms(x))], rest

    def split_named(self, e: Expr) -> tuple[list[tuple[int, Expr]], list[Expr]]:
        """The same of what a tensor is defined as, a density w exp(−x²)/σ, say."""
        formula = self.opened(e) if isinstance(e, Read) and self.risk(e) else None
        return self.split(formula) if isinstance(formula, Op) and formula.op in ("*", "/") else ([], [])

    def shares(self, parts: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        """What is left of a product without factors u and 1/(u + v), and the logarithms of these."""
        left, found = list(parts), list[Expr]()
        for f in parts:
            terms = additive_terms(f.args[1]) if is_reciprocal(f) else []
            for (s, u), (r, v) in ((terms, terms[::-1]) if len(terms) == 2 else ()):
                taken = [*factors(u), f]
                if s > 0 < r and u != ONE and Counter(taken) <= Counter(left) and (share := self.of_share(u, v)) is not None:
                    found.append(share)
                    left = without(left, taken)
        return left, found


def _outside_logs(e: Expr) -> Iterator[str]:
    """The tensors that are read, but for those that only a logarithm is taken of."""
    if isinstance(e, Read):
        yield e.tensor
    elif isinstance(e, Op) and e.op == "log":
        yield from (r for x in _not_added(e.args[0]) for r in _outside_logs(x))
    else:
        for child in children(e):
            yield from _outside_logs(child)


def _not_added(e: Expr) -> Iterator[Expr]:
    """The parts of a sum, product or choice that are more than reads and numbers: log(2 − max p) is no logarithm of p."""
    if isinstance(e, Op) and e.op in ("+", "neg", "*", "/", "**", "sqrt", "where") or isinstance(e, Reduce) and e.op in ("sum", "mean"):
        for child in children(e):
            yield from _not_added(child)
    elif not isinstance(e, Read):
        yield e


def log_of_sum(exponents: list[Expr]) -> Expr:
    """log(exp(a) + exp(b) + …)"""
    others = [x for x in exponents if x != ZERO]
    if len(exponents) == 2 and len(others) == 1:
        return Op("softplus", tuple(others))
    return Op("log", (add([exponential(x) for x in exponents]),))


def added_exponentials(e: Expr) -> list[tuple[Expr, Num]]:
    """(a, c), … of log(c exp(a) + …), with (0, c) for a number; nothing if anything else is added. A softplus is log(exp(a) + 1)."""
    if isinstance(e, Op) and e.op == "softplus":
        return [(e.args[0], ONE), (ZERO, ONE)]
    found: list[tuple[Expr, Num]] = []
    for c, parts in monomials(e.args[0]) if isinstance(e, Op) and e.op == "log" else ():
        exp = parts[0] if len(parts) == 1 else None
        if c <= 0 or parts and not (isinstance(exp, Op) and exp.op == "exp"):
            return []
        found.append((exp.args[0] if isinstance(exp, Op) else ZERO, num(c)))
    return found


def exponential(e: Expr) -> Expr:
    """exp(e), for a logarithm e: what it is the logarithm of, where that is plain."""
    if is_where(e, neg(INF)):
        return where(e.args[0], exponential(e.args[1]), ZERO)
    parts, rest = [], []
    for s, t in additive_terms(e):
        is_log = isinstance(t, Op) and t.op == "log"
        if isinstance(t, Op) and is_log and isinstance(t.args[0], Num):
            parts.append(t.args[0] if s > 0 else Num(1/t.args[0].value))
        elif t != ZERO:
            rest.append((s, t))
    if len(rest) == 1 and rest[0][0] > 0 and isinstance(t := rest[0][1], Op) and t.op == "log":
        return product([*parts, *factors(t.args[0])])
    return product([*parts, *([Op("exp", (signed(rest),))] if rest else [])])


def scaled_exponential(e: Expr) -> Expr:
    """exp(e), for a logarithm e, with what is a number in it before it: c exp(x)."""
    terms = additive_terms(e)
    plain = [(s, t) for s, t in terms if not reads(t)]
    rest = [x for x in terms if x not in plain]
    return product([*(_number(t) if s > 0 else ONE/_number(t) for s, t in plain), *([exponential(signed(rest))] if rest else [])])


def _number(e: Expr) -> Expr:
    """exp(e) for a sum of multiples of logarithms of numbers: √(2π) for (log 2 + log π)/2."""
    terms, parts = additive_terms(e), factors(e)
    if len(terms) > 1:
        return product([_number(t) if s > 0 else ONE/_number(t) for s, t in terms])
    if len(parts) > 1 and isinstance(parts[-1], Num) and parts[-1].value > 0:
        inner = _number(product(parts[:-1]))
        return Op("sqrt", (inner,)) if parts[-1] == num(Fraction(1, 2)) else Op("**", (inner, parts[-1]))
    return e.args[0] if isinstance(e, Op) and e.op == "log" else Op("exp", (e,))


def power_beside_one(e: Expr) -> tuple[int, int, Expr] | None:
    """(s, n, t) of 1 + s tⁿ, where s is 1 or −1 and n is 1 or 2."""
    if (found := beside_one(e)) is None:
        return None
    sign, t = found
    root = square_root(t)
    return (sign, 1, t) if root is None else (sign, 2, root)


def log_beside_one(sign: int, n: int, t: Expr | None) -> Expr | None:
    """log(1 + s tⁿ) for 1 − σ(x), 1 ± tanh(x) and 1 − tanh(x)²."""
    if not isinstance(t, Op) or t.op not in ("sigmoid", "tanh"):
        return None
    (x,) = t.args
    if t.op == "sigmoid":
        return neg(Op("softplus", (x,))) if (sign, n) == (-1, 1) else None
    if n == 1:
        return Op("log", (num(2),)) - Op("softplus", (num(-2*sign)*x,))
    return num(2)*(Op("log", (num(2),)) - x - Op("softplus", (num(-2)*x,))) if sign < 0 else None


def _cancels(e: Expr) -> bool:
    """Whether something is subtracted in a sum."""
    return any(s < 0 or isinstance(t, Num) and t.value < 0 for s, t in additive_terms(e))


def multiplied_out(e: Expr) -> Expr:
    """(1 + a)² − 1 as 2 a + a²: products of sums, term by term, and terms that are the same as one."""
    total: dict[tuple[Expr, ...], Fraction] = {}
    for s, t in additive_terms(e):
        found: list[tuple[Fraction, tuple[Expr, ...]]] = [(Fraction(s), ())]
        for f in factors(t):
            root = square_root(f)
            for base in [f] if root is None else [root]*2:
                found = [(c*d, (*a, *b)) for c, a in found for d, b in monomials(base)]
        for c, parts in found:
            alike = tuple(sorted(parts, key=str))
            total[alike] = total.get(alike, Fraction(0)) + c
    return add([product([num(c), *parts]) for parts, c in total.items() if c])
