"""Exponentials that are added up -> what does not overflow, and has shorter gradients:

    log Σ_j exp(x_j)                    logsumexp_j(x_j)
    log(u − v)                          log u + log(1 − v/u), v/u by parts
    log e                               by parts, where e may be rounded to 0 or ∞: see `logarithms`
    exp(x_k) / Σ_j exp(x_j)             softmax_k(x_k)
    exp(a) / Σ_j exp(x_j)               exp(a − logsumexp_j(x_j))
    exp(a − m) / Σ_j exp(x_j − m)       exp(a) / Σ_j exp(x_j), as what is subtracted from all is subtracted by us
    Σ_k exp(x_k) v_k / Σ_j exp(x_j)     Σ_k softmax_k(x_k) v_k
      where k, j lie in one segment     Σ_k exp(x_k − logsumexp_j(x_j)) v_k
    min(exp(a) − 1, 0)                  exp(min(a, 0)) − 1: see `saturation`
    a/b, aʳ, √a                         exp(log a − log b), exp(r log a), exp(log a / 2), by parts, where they may be too

Summands may be left out by a condition: in where(c, exp(x), 0) what is added up is exp(where(c, x, −inf)). Exponentials may stand in
tensors of their own: these are looked into where that helps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import permutations

from .conditions import facts
from .expr import (
    INF,
    ONE,
    ZERO,
    Expr,
    Num,
    Op,
    Read,
    Reduce,
    add,
    bound_indices,
    conjunction,
    free_symbols,
    has_normaliser,
    has_reduction,
    ints,
    is_where,
    map_children,
    neg,
    num,
    reads,
    rebound,
    restricted,
    subst_indices,
    walk,
    where,
)
from .integer import Int
from .logarithms import Logarithms, Tensors, exponential, log_of_sum, power_beside_one, scaled_exponential
from .polynomial import additive_terms, complement, factors, guarded_factors, is_reciprocal, positive_terms, product, signed
from .program import Equation, Program, Ranges
from .saturation import saturated


def settle(program: Program) -> Program:
    """See the module's docstring; tensors of logarithms stand before the first equation that asks for them."""
    found = {n.op for e in program.equations for n in walk(e.body) if isinstance(n, Op | Reduce)}
    if not found & {"exp", "sigmoid", "softmax"} and not {"log", "tanh"} <= found:
        return program
    tensors, equations, shapes = Tensors(program), list[Equation](), dict(program.shapes)
    waiting = [*program.equations]
    while waiting:
        e = waiting.pop(0)
        known = set(tensors.logs)
        settling = Exponentials(e.ranges, Logarithms(tensors, e.ranges))
        body = settling.settled(settling.weighted(e.body) if e.tensor in tensors.divisors else e.body, e.indices)
        new = [x for name, x in tensors.logs.items() if name not in known and x is not None]
        if new:
            shapes |= {x.tensor: program.shapes[name] for name, x in tensors.logs.items() if x in new}
            waiting[:0] = [*new, e]  # whatever these ask for is known by then
        else:
            equations.append(e.with_body(body) if body != e.body else e)
    return program if equations == list(program.equations) else replace(program, equations=tuple(equations), shapes=shapes)


@dataclass(frozen=True)
class Exponentials:
    """The exponentials in the right-hand side of an equation."""

    ranges: Ranges
    logs: Logarithms

    def settled(self, e: Expr, kept: tuple[str, ...]) -> Expr:
        """e, rewritten; `kept` are the indices around it, over which a softmax may run."""
        within = (*kept, *e.indices) if isinstance(e, Reduce) else kept
        given, e = e, map_children(lambda child: self.settled(child, within), e)
        if isinstance(given, Reduce) and isinstance(e, Reduce):
            return self.where_it_ran(given, e)
        if not isinstance(e, Op):
            return e
        if e.op == "log":
            return self.logarithm(e)
        if e.op in ("min", "max", "relu"):
            whole = Op(e.op, tuple(map(self.opened, e.args)))
            found = saturated(whole)
            return e if found == whole else found
        if e.op == "sqrt" or e.op == "**" and not (isinstance(e.args[1], Num) and e.args[1].value.denominator == 1):
            return self.by_logarithm(e)
        return self.divided(e, kept) if e.op in ("*", "/") else e

    def where_it_ran(self, given: Reduce, new: Reduce) -> Reduce:
        """A reduction over what is written in place of its body, along the same places: it leaves out where what it reads is outside, and
        log(p[k]) of p[k] = exp(x[k-1]) reads x there."""
        if new is given:
            return new
        before, after = ({tuple(facts(c)): c for c in self.logs.conditions(e.body)} for e in (given, new))
        if before.keys() == after.keys():
            return new
        more = [c for key, c in before.items() if key not in after]
        return restricted(new, more) if after.keys() <= before.keys() and new.op != "mean" else given

    # -- logarithms ----------------------------------------------------------------------------------------------------
    def logarithm(self, e: Op) -> Expr:
        if (summed := _summed(e.args[0])) is not None:
            return summed
        if not self.logs.risk(e.args[0]) or self.is_plain(e.args[0]):
            return e
        whole = self.logs.of(e.args[0])
        whole = self.of_difference(e.args[0]) if whole is None else whole
        if whole is not None:
            return whole
        if self.is_weighted(e.args[0]):
            return Op("log", (self.weighted(e.args[0]),))
        found, rest = self.logs.split(e.args[0])
        return signed([*found, (1, Op("log", (product(rest),)))]) if found and not any(map(self.logs.risk, rest)) else e

    def of_difference(self, e: Expr) -> Expr | None:
        """log(u − v) = log u + log(1 − v/u), where u may be rounded to ∞."""
        terms = positive_terms(e)
        above, below = ([t for s, t in terms if s == sign] for sign in (1, -1))
        if len(above) != 1 or len(below) != 1 or not self.logs.risk(above[0]).large:
            return None
        u, v = self.logs.of(above[0]), self.logs.of(below[0])
        return None if u is None or v is None else add([u, Op("log", (add([ONE, neg(Op("exp", (v - u,)))]),))])

    def is_plain(self, e: Expr) -> bool:
        """Whether e is p or 1 − p for probabilities that only logarithms ask for: `shifted` takes care of p − y, their gradient.

        Or 1 ± t or 1 − t² for such values of tanh: their gradients cancel that.
        """
        other = complement(e)
        beside = power_beside_one(e)
        if beside is not None and isinstance(t := beside[2], Read) and t.tensor not in self.logs.tensors.asked:
            formula = self.logs.opened(t)
            if isinstance(formula, Op) and formula.op == "tanh":
                return True
        if isinstance(e, Read):
            d = self.logs.tensors.program.whole(e.tensor)
            if d is None or e.tensor in self.logs.tensors.asked:
                return False
            return _is_probability(Exponentials(d.ranges, Logarithms(self.logs.tensors, d.ranges)).settled(d.body, d.indices))
        if other is not None:
            return not isinstance(other, Reduce) and self.is_plain(other)
        return _is_probability(e)

    def by_logarithm(self, e: Expr) -> Expr:
        """exp(log(e)), where e may be rounded to 0 or ∞."""
        if isinstance(e, Op) and reads(e.args[-1]) and e.op == "**" and self.is_plain(e.args[0]):
            return e  # a focal loss reads as it was written: p, 1 − p and their logarithms
        whole = self.logs.of(e) if self.logs.risk(e) else None
        return e if whole is None else Op("exp", (whole,))

    # -- quotients -----------------------------------------------------------------------------------------------------
    def divided(self, e: Expr, kept: tuple[str, ...]) -> Expr:
        """A product with its quotients of exponentials as shares, one after the other; what is left, by parts."""
        parts = [_of_multiple(f) for f in factors(e)]
        if (found := self.within(parts, kept)) is not None:
            return found
        parts = _difference(parts)
        parts = [_turned(f) for f in parts]
        if any(is_reciprocal(f) and self.is_weighted(f.args[1]) for f in parts):
            shares = [self.divisor(f) if is_reciprocal(f) else self.in_scores(f) for f in parts]
            return e if shares == parts else product(shares)
        for k, f in enumerate(parts):
            total = self.total(f.args[1]) if is_reciprocal(f) else None
            if total is None:
                continue
            if (found := self.together([x for x in parts if x is not f], total, kept)) is not None:
                return found
            for j, g in enumerate(parts):
                if (share := self.share(g, total, kept)) is not None:
                    return self.divided(product([share if i == j else x for i, x in enumerate(parts) if i != k]), kept)
        found = self.by_parts(parts)
        return found if found is not None else e if parts == factors(e) else product(parts)

    def within(self, parts: list[Expr], kept: tuple[str, ...]) -> Expr | None:
        """exp(a)·Σ c/(exp(a) + exp(b)) as Σ of a quotient."""
        if (found := beside_a_sum(parts)) is None:
            return None
        exps, total = found
        below = [t for f in factors(total.body) if is_reciprocal(f) for _, t in additive_terms(_base(f.args[1]))]
        own = next((f for f in exps if f in below and not free_symbols(f) & {*total.indices} and self.logs.is_inside(total.body)), None)
        if own is None:
            return None
        inner = self.divided(product([own, *factors(total.body)]), (*kept, *total.indices))
        return product([*(x for x in parts if x is not own and x is not total), Reduce("sum", total.indices, inner)])

    def together(self, parts: list[Expr], total: Expr, kept: tuple[str, ...]) -> Expr | None:
        """exp(log a + log b − total) for a·b/Σ exp(x), where one of them may be ∞ and the other 0, or probabilities that are tensors."""
        risky = [f for f in parts if self.logs.risk(f)]
        known = [self.logs.of(f) for f in risky]
        found = [x for x in known if x is not None]
        alone = len(risky) == 1 and (exponent(self.opened(risky[0])) is not None or isinstance(risky[0], Reduce))
        if alone or not found or len(found) < len(risky) or any(map(is_reciprocal, risky)):
            return None
        terms = Counter(t for x in found for t in additive_terms(x))
        a = signed([(s, num(n)*t if n > 1 else t) for (s, t), n in terms.items()])
        return product([*(f for f in parts if f not in risky), self.softmax(a, total, kept) or Op("exp", (a - total,))])

    def total(self, e: Expr) -> Expr | None:
        """log(e) of what is added up by a sum, whatever tensor it stands in."""
        if (summed := _summed(e)) is not None:
            return summed
        value = self.logs.of(e) if self.logs.risk(e) else None
        return value if value is not None and self.adds_up(e) else None

    def adds_up(self, e: Expr) -> bool:
        return any(isinstance(n, Reduce) and n.op == "sum" or isinstance(n, Read) and any(
            has_reduction(d.body) for d in self.logs.tensors.defined(n.tensor)) for n in walk(e))

    def weighted(self, e: Expr) -> Expr:
        """Σ w exp(log p) for a sum Σ w p of probabilities, with weights of any sign: exponentials can be scaled together."""
        if not (isinstance(e, Reduce) and e.op == "sum" and self.logs.is_inside(e.body)):
            return e
        found, rest = self.logs.split(self.opened(e.body))
        if not (found and rest) or any(map(self.logs.risk, rest)):
            return e
        new = product([*rest, *factors(scaled_exponential(signed(found)))])
        return Reduce("sum", e.indices, new) if self.logs.is_inside(new) else e

    def is_weighted(self, e: Expr) -> bool:
        """Whether e is such a sum, whatever tensor it stands in."""
        if not isinstance(e, Read):
            return self.weighted(e) != e
        (d, *more) = self.logs.tensors.defined(e.tensor) or (None,)
        return d is not None and not more and Exponentials(d.ranges, Logarithms(self.logs.tensors, d.ranges)).is_weighted(d.body)

    def divisor(self, f: Op) -> Expr:
        return Op("/", (ONE, self.weighted(f.args[1])))

    def in_scores(self, f: Expr) -> Expr:
        """exp(log p) for p, an exponential that a sum divides."""
        found, rest = self.logs.split(self.opened(f)) if self.logs.risk(f) else ([], [])
        return product([*rest, *factors(scaled_exponential(signed(found)))]) if found else f

    def by_parts(self, parts: list[Expr]) -> Expr | None:
        """exp(Σ ± log(f)) for the factors that may be rounded to 0 or ∞, if they divide by a sum, and differences would not do."""
        risky = [f for f in parts if self.logs.risk(f)]
        opened = [g for f in risky for g in factors(self.opened(f))]
        rest = [f for f in parts if f not in risky]
        if not any(is_reciprocal(f) and len(additive_terms(_base(f.args[1]))) > 1 for f in opened):
            return None
        if opened != risky and not any(map(_has_exponentials, opened)):
            return None  # nothing that divides them meets what it has above
        found, others = ([], opened) if self.differ(opened) else self.logs.split(product(opened))
        if others:
            return product([*rest, *opened]) if opened != risky and _divides_by_exponentials(opened) else None
        return product([*rest, Op("exp", (signed(found),))])

    @staticmethod
    def differ(parts: list[Expr]) -> bool:
        """Whether a product is one of exp(a)/(exp(a) + exp(b) + …) and of 1/(1 + exp(c) + …), which differences of exponents tell."""
        copies_ = [g for f in parts for g in copies(f)]
        sums = [[_alone(t) for _, t in additive_terms(f.args[1])] for f in copies_ if is_reciprocal(f)]
        if any(len(terms) < 2 or any(isinstance(t, Op) and t.op != "exp" for t in terms) for terms in sums):
            return False
        sums.sort(key=lambda terms: ONE in terms)  # those that need an exponential above go first
        above = [f for f in copies_ if not is_reciprocal(f)]
        for terms in sums:
            own = next((f for f in above if all(_alone(t) in terms for _, t in additive_terms(f))), None)
            if own is not None:
                above.remove(own)
            elif ONE not in terms:
                return False
        return not above

    def opened(self, e: Expr) -> Expr:
        """e with what its reads stand for, where these may be rounded to 0 or ∞, and are no sums; exponents stay as they are."""
        if not isinstance(e, Read):
            return e if isinstance(e, Op) and e.op == "exp" else map_children(self.opened, e)
        formula = self.logs.tensors.formula(e) if self.logs.risk(e) and not self.logs.outside(e) else None
        return e if formula is None else self.opened(formula)

    def share(self, e: Expr, total: Expr, kept: tuple[str, ...]) -> Expr | None:
        """e / Σ exp(x), for an exponential e, or a sum of products with one."""
        opened = self.opened(e)
        if (a := exponent(opened)) is not None:
            if (found := self.without_shift(a, self.written_out(total, kept))) is not None:
                return self.share(exponential(found[0]), found[1], kept)
            return self.softmax(a, total, kept) or _beside(opened, total)
        if isinstance(e, Reduce) and e.op == "sum" and {*self.logs.conditions(total)} <= {*self.logs.conditions(e.body)}:
            parts = factors(e.body)
            for k, f in enumerate(parts):
                if (share := self.share(f, total, (*kept, *e.indices))) is not None:
                    return Reduce("sum", e.indices, product([*parts[:k], share, *parts[k + 1 :]]))
            inner = self.together(parts, total, (*kept, *e.indices)) or self.at_its_place(e.body, total, (*kept, *e.indices))
            return None if inner is None else Reduce("sum", e.indices, inner)
        return None

    def at_its_place(self, e: Expr, total: Expr, kept: tuple[str, ...]) -> Expr | None:
        """where(to[n] = k, exp(a − total[k])·b, 0) for where(to[n] = k, exp(a)·b, 0)/exp(total[k]): no table of all n and k is needed."""
        conditions, parts = guarded_factors(e)
        if not any(isinstance(c, Op) and c.op == "==" and any(v.elements() for v in ints(c)) for c in conditions):
            return None
        condition, whole = conjunction(conditions), self.written_out(total, kept)
        for k, f in enumerate(parts):
            a = exponent(self.opened(f))
            if a is not None and self.softmax(where(condition, a, neg(INF)), whole, kept) is not None:
                return where(condition, product([*parts[:k], Op("exp", (a - total,)), *parts[k + 1:]]), ZERO)
        return None

    def without_shift(self, a: Expr, total: Expr) -> tuple[Expr, Expr] | None:
        """a and log Σ exp(x) without a part of all exponents, as the largest is that is subtracted by hand."""
        inside = all(map(self.logs.is_inside, [a, *(n.body for n in walk(total) if isinstance(n, Reduce))]))
        for part in _parts(a) if inside else ():
            left, rest = without_shift(a, part), without_shift(total, part)
            if left is not None and rest is not None:
                return left, rest
        return None

    def written_out(self, total: Expr, kept: tuple[str, ...]) -> Expr:
        """The logarithm of a sum that only this equation reads, as it is defined, in letters of this equation."""
        tensors = self.logs.tensors
        z = next((z for z, d in tensors.logs.items() if isinstance(total, Read) and d is not None and d.tensor == total.tensor), None)
        own = None if z is None else tensors.logs[z]
        if z is None or own is None or not isinstance(total, Read) or sum(z in e.reads for e in tensors.program.equations) > 1:
            return total
        if z in tensors.program.outputs or self.logs.outside(Read(z, total.subs)):
            return total
        bound = bound_indices(own.body)
        for letters in permutations([i for i in kept if Int.symbol(i) not in total.subs], len(bound)):
            if all(self.ranges[i] == own.ranges[j] for i, j in zip(letters, bound, strict=True)):
                apart = subst_indices(own.body, {i: Int.symbol(f"\0{i}") for i in own.indices})
                apart = rebound(apart, dict(zip(bound, letters, strict=True)))
                return subst_indices(apart, {f"\0{i}": s for i, s in zip(own.indices, total.subs, strict=True)})
        return total

    def softmax(self, a: Expr, total: Expr, kept: tuple[str, ...]) -> Reduce | None:
        """softmax(a), where Σ exp(x) adds up exp(a) over indices that are kept: its x in other letters."""
        if not isinstance(total, Reduce) or has_normaliser(total.body):
            return None
        others = [i for i in kept if i not in free_symbols(total)]
        for letters in permutations(others, len(total.indices)) if self.logs.is_inside(a) else ():
            places = {j: Int.symbol(i) for j, i in zip(total.indices, letters, strict=True)}
            same = all(self.ranges[i] == self.ranges[j] for i, j in zip(letters, total.indices, strict=True))
            if same and subst_indices(total.body, places) == a:
                return Reduce("softmax", letters, a)
        return None


def without_shift(x: Expr, part: tuple[int, Expr]) -> Expr | None:
    """x + m without m, where that is added in all of x: in log Σ exp(x + m) too."""
    terms = additive_terms(x)
    if part in terms:
        return signed([t for k, t in enumerate(terms) if k != terms.index(part)]) if len(terms) > 1 else ZERO
    if isinstance(x, Reduce) and x.op == "logsumexp" and not free_symbols(part[1]) & {*x.indices}:
        inner = without_shift(x.body, part)
        return None if inner is None else Reduce("logsumexp", x.indices, inner)
    if is_where(x, neg(INF)):
        inner = without_shift(x.args[1], part)
        return None if inner is None else where(x.args[0], inner, neg(INF))
    if isinstance(x, Op) and x.op == "log":
        found = [without_shift(a, part) for _, t in additive_terms(x.args[0]) for a in [exponent(t)] if a is not None]
        known = [a for a in found if a is not None]
        return log_of_sum(known) if len(known) == len(additive_terms(x.args[0])) > 1 else None
    return None


def _parts(x: Expr) -> list[tuple[int, Expr]]:
    """What is added up in x, if that is something that is read; in where(c, x, −∞) too."""
    return _parts(x.args[1]) if isinstance(x, Op) and x.op == "where" else [(s, t) for s, t in additive_terms(x) if reads(t)]


def beside_a_sum(parts: list[Expr]) -> tuple[list[Op], Reduce] | None:
    """The exponentials among some factors, and the first sum, if there are both."""
    exps = [f for f in parts if isinstance(f, Op) and f.op == "exp"]
    total = next((f for f in parts if isinstance(f, Reduce) and f.op == "sum"), None)
    return (exps, total) if exps and total is not None else None


def _is_probability(e: Expr) -> bool:
    return isinstance(e, Op) and e.op == "sigmoid" or isinstance(e, Reduce) and e.op == "softmax"


def _difference(parts: list[Expr]) -> list[Expr]:
    """exp(a − b) for exp(a)/exp(b), wherever these stand in a product."""
    above = [f for f in parts if isinstance(f, Op) and f.op == "exp"]
    below = [f for f in parts if _divides_by_exp(f) is not None]
    if not (above and below):
        return parts
    exponents = [*((1, f.args[0]) for f in above), *((-1, x) for f in below if (x := _divides_by_exp(f)) is not None)]
    whole = signed([(s*sign, t) for sign, x in exponents for s, t in additive_terms(x)])
    return [*(f for f in parts if f not in above and f not in below), Op("exp", (whole,))]


def _of_multiple(f: Expr) -> Expr:
    """exp(n a) for exp(a)ⁿ."""
    base = f.args[0] if isinstance(f, Op) and f.op == "**" and isinstance(f.args[1], Num) else None
    return Op("exp", (f.args[1]*base.args[0],)) if isinstance(f, Op) and isinstance(base, Op) and base.op == "exp" else f


def _turned(f: Expr) -> Expr:
    """exp(−a) for 1/exp(a), where a is a logarithm."""
    a = _divides_by_exp(f)
    told = a is not None and any(isinstance(n, Op) and n.op in ("log", "softplus") for n in walk(a))
    return Op("exp", (neg(a),)) if a is not None and told else f


def _divides_by_exp(f: Expr) -> Expr | None:
    """a of 1/exp(a)."""
    below = f.args[1] if is_reciprocal(f) else None
    return below.args[0] if isinstance(below, Op) and below.op == "exp" else None


def _alone(e: Expr) -> Expr:
    """An exponential without the numbers and conditions around it."""
    rest = product([f for f in factors(e) if not isinstance(f, Num)])
    return _alone(rest.args[1]) if is_where(rest, ZERO) else rest


def copies(f: Expr) -> list[Expr]:
    """1/S² as 1/S · 1/S, and exp(2x) as exp(x) · exp(x)."""
    if isinstance(f, Op) and f.op == "exp":
        parts = factors(f.args[0])
        times = next((x for x in parts if _count(x) > 1), None)
        return [f] if times is None else [Op("exp", (product([x for x in parts if x is not times]),))]*_count(times)
    base = f.args[1] if is_reciprocal(f) else ONE
    if isinstance(base, Op) and base.op == "**" and len(additive_terms(base.args[0])) > 1:
        return [Op("/", (ONE, base.args[0]))]*_count(base.args[1]) or [f]
    return [f]


def _count(e: Expr) -> int:
    """1, 2, 3 or 4; 0 for anything else."""
    return int(e.value) if isinstance(e, Num) and e.value in (1, 2, 3, 4) else 0


def _has_exponentials(f: Expr) -> bool:
    """Whether f is an exponential, or a sum with one, which a quotient may have as a part."""
    return any(isinstance(x := _alone(t), Op) and x.op == "exp" for _, t in additive_terms(f))


def _divides_by_exponentials(parts: list[Expr]) -> bool:
    """Whether the sums below are exp(a) + exp(b) + …, numbers and conditions aside: quotients by differences of exponents."""
    sums = [additive_terms(_base(f.args[1])) for f in parts if is_reciprocal(f)]
    terms = [_alone(t) for found in sums if len(found) > 1 for _, t in found]
    return bool(terms) and all(t == ONE or isinstance(t, Op) and t.op == "exp" for t in terms)


def _base(e: Expr) -> Expr:
    """a of aʳ."""
    return e.args[0] if isinstance(e, Op) and e.op in ("**", "sqrt") else e


def _summed(e: Expr) -> Reduce | None:
    """logsumexp(x), for Σ exp(x)."""
    x = exponent(e.body) if isinstance(e, Reduce) and e.op == "sum" else None
    return Reduce("logsumexp", e.indices, x) if x is not None and isinstance(e, Reduce) else None


def exponent(e: Expr, of_one: Expr | None = None) -> Expr | None:
    """x for exp(x), and where(c, x, −inf) for where(c, exp(x), 0); `of_one` is that of the number 1."""
    if isinstance(e, Op) and e.op == "exp":
        return e.args[0]
    if is_where(e, ZERO) and (x := exponent(e.args[1], of_one)) is not None:
        return where(e.args[0], x, neg(INF))
    return of_one if e == ONE else None


def _beside(e: Expr, total: Expr) -> Expr:
    """exp(a − total), with the conditions that stand around exp(a)."""
    assert isinstance(e, Op)
    return where(e.args[0], _beside(e.args[1], total), ZERO) if e.op == "where" else Op("exp", (e.args[0] - total,))
