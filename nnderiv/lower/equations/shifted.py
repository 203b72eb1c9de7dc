"""Program -> program without exponentials that overflow where the result does not.

    exp(a)/(exp(a) + exp(b))         1/(1 + exp(b − a))
    exp(−x)/(1 + exp(−x))²           1/(1 + exp(x)) · 1/(1 + exp(−x))
    log(sigmoid(x))                  −softplus(−x)
    log(1 − sigmoid(x))              −softplus(x)
    log(1 − tanh(x))                 log(2) − softplus(2x)
    log(1 − tanh(x)²)                2 (log(2) − x − softplus(−2x))
    1/(1 + exp(−x))                  sigmoid(x)
    log(1/(exp(a) + exp(b)))         −log(exp(a) + exp(b))
    log(p), p = exp(S − lse)         S − lse
    p·(a + c/p), p = exp(S − lse)    p·a + c
    p[k]·where(k == 1, c/p[1], 0)    where(k == 1, c, 0)

The left-hand forms, which losses and their gradients are made of, are ∞/∞, 0/0 or log(0) for large arguments, and the right-hand
ones are what they should be. log(exp(a) + exp(b)) is for the emitter to shift.
"""

from __future__ import annotations

from dataclasses import replace

from ...conditions import holds, solved
from ...exponentials import beside_a_sum
from ...expr import (
    INF,
    ONE,
    TRUE,
    ZERO,
    Expr,
    Op,
    Read,
    Reduce,
    add,
    conjunction,
    conjuncts,
    free_symbols,
    has_reduction,
    is_where,
    map_children,
    neg,
    reads,
    walk,
    where,
)
from ...expr import replace as replaced
from ...fresh import Fresh
from ...integer import Int
from ...laws_of_sums import without_pairs
from ...logarithms import log_beside_one, power_beside_one
from ...polynomial import additive_terms, complement, difference, factors, is_reciprocal, product, signed, square_root
from ...program import Equation, Program
from ...within import positive_names, readable
from .fuse import normalises
from .known import with_known
from .quotients import exponents, quotient


def shifted(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    if not any(isinstance(n, Op) and n.op in ("log", "/") for p in (forward, backward) for e in p.equations for n in walk(e.body)):
        return forward, backward
    given = forward, backward
    forward, backward = (p.with_bodies(lambda e: _logistic(e.body)) for p in given)
    logs = _Logs(forward, Fresh(forward.names | backward.names))
    rewritten, also = (_Shift(p, logs).run() for p in (forward, backward))
    if rewritten == list(forward.equations) and also == list(backward.equations):
        return forward, with_known(backward, list(backward.equations), forward) if forward is not given[0] else backward
    equations = [x for e in rewritten for x in (e, logs.equations.get(e.tensor)) if x is not None]
    shapes = {x.tensor: forward.dims[name] for name, x in logs.equations.items()}
    forward = replace(forward, equations=tuple(equations), shapes={**forward.shapes, **shapes})
    return forward, with_known(backward, also, forward)


class _Logs:
    """Tensors of the logarithms of softmaxes, for those whose logarithm is asked for: S − lse is exact as one block, see `normalised`."""

    def __init__(self, forward: Program, fresh: Fresh):
        self.forward, self.fresh = forward, fresh
        self.equations: dict[str, Equation] = {}

    def at(self, r: Read) -> Expr | None:
        """log(p[…]), if p is a softmax."""
        definition = self.forward.definitions.get(r.tensor, ())
        e = definition[0] if len(definition) == 1 else None
        pair = difference(e.body.args[0]) if e and isinstance(e.body, Op) and e.body.op == "exp" else None
        total = self.forward.definitions.get(pair[1].tensor, ()) if pair else ()
        if e is None or pair is None or len(total) != 1 or not normalises(total[0], *pair, e):
            return None
        if r.tensor not in self.equations:
            self.equations[r.tensor] = replace(e, tensor=self.fresh(f"{r.tensor}_log"), body=pair[0] - pair[1])
        return Read(self.equations[r.tensor].tensor, r.subs)


class _Shift:
    """Rewrites the right-hand sides of a program."""

    def __init__(self, program: Program, logs: _Logs):
        self.program, self.logs = program, logs
        self.positive, self.fixed = positive_names(program), {*program.sizes, *program.parameters}
        self.simple: dict[str, bool] = {}

    def run(self) -> list[Equation]:
        found = []
        for e in self.program.equations:
            self.ranges = e.ranges
            found.append(e.with_body(self.visit(e.body)))
        return found

    def visit(self, e: Expr, reduced: bool = False) -> Expr:
        """`reduced`: under a reduction, which leaves out the places where something is read outside its tensor."""
        if isinstance(e, Op) and e.op == "where":
            e = where(e.args[0], self.where_known(e.args[1], conjuncts(e.args[0])), e.args[2])
        e = _sign_in_front(map_children(lambda c: self.visit(c, reduced or isinstance(e, Reduce)), e), e)
        if isinstance(e, Op) and e.op in ("*", "/"):
            e = self.within(e)
            return self.cancelled(self.quotient(e, reduced)) if isinstance(e, Op) else e
        return self.logarithm(e.args[0], reduced) or e if isinstance(e, Op) and e.op == "log" else e

    def within(self, e: Op) -> Expr:
        """exp(a)·Σ c/(exp(a) + exp(b)) as Σ of what is shifted."""
        parts = factors(e)
        if (beside := beside_a_sum(parts)) is None:
            return e
        exps, total = beside
        for f in exps:
            whole = product([f, *factors(total.body)])
            found = quotient(whole) if isinstance(whole, Op) and not free_symbols(f) & {*total.indices} else whole
            if found != whole and not any(map(self.outside, {*reads(total.body)} - {*reads(found)})):
                rest = [x for x in parts if x is not f and x is not total]
                return product([*rest, Reduce("sum", total.indices, found)])
        return e

    def where_known(self, e: Expr, known: tuple[Expr, ...]) -> Expr:
        """where(c, x, 0) as x, where c is known to hold."""
        e = map_children(lambda child: self.where_known(child, known), e)
        if not is_where(e, ZERO):
            return e
        certain = all(c in known or holds(c, self.ranges, self.positive) for c in conjuncts(e.args[0]))
        return e.args[1] if certain else e

    def quotient(self, e: Op, reduced: bool) -> Expr:
        """The quotients in e shifted, unless a reduction goes by a read that the differences no longer hold."""
        found = quotient(e)
        gone = {*reads(e)} - {*reads(found)}
        return e if reduced and any(map(self.outside, gone)) else found

    def logarithm(self, e: Expr, reduced: bool) -> Expr | None:
        """log(e), if it is known otherwise; what is read outside its tensor is 0, and its logarithm −inf."""
        if isinstance(e, Read) and (whole := self.logs.at(e)) is not None:
            outside = self.outside(e)
            return whole if reduced or not outside else where(conjunction(outside), whole, neg(INF))
        beside = power_beside_one(e)
        defined, conditions = self.definition(e if beside is None else beside[2])
        value: Expr | None = None
        if beside is not None:
            value = log_beside_one(*beside[:2], defined)
        elif is_reciprocal(defined) and exponents(defined.args[1]):
            value = neg(Op("log", (defined.args[1],)))
        elif isinstance(defined, Op) and defined.op == "sigmoid":
            value = neg(Op("softplus", (neg(defined.args[0]),)))
        elif isinstance(defined, Op) and defined.op == "exp":
            value = defined.args[0]
        if value is None:
            return self.logarithm_of_product(factors(e), reduced)
        if conditions == TRUE:
            return value
        return None if reduced else where(conditions, value, neg(INF) if beside is None else ZERO)  # a reduction goes by what is read

    def logarithm_of_product(self, parts: list[Expr], reduced: bool) -> Expr | None:
        """log(p q) = log(p) + log(q), where log(p) is known otherwise, and p positive therefore."""
        found: list[tuple[int, Expr]] = []
        rest: list[Expr] = []
        for f in parts if len(parts) > 1 else ():
            below = is_reciprocal(f)
            base = f.args[1] if isinstance(f, Op) and below else f
            known = Op("log", (base,)) if exponents(base) else self.logarithm(base, reduced)
            if known is None:
                rest.append(f)
            else:
                found.append((-1 if below else 1, known))
        if not found:
            return None
        return signed([*found, (1, Op("log", (product(rest),)))] if rest else found)

    def cancelled(self, e: Expr) -> Expr:
        """p·(a + dp), where dp = b + c/p, as p·(a + b) + c: p may be so small that c/p is infinite, but it is a value of exp or σ."""
        parts = factors(e)
        values = [x for x in parts if self.is_value(x)]
        for k, f in enumerate(parts if values else ()):
            opened = self.opened(f, values)
            divided = [(s, fs) for s, fs in opened if any(Op("/", (ONE, x)) in fs for x in values)]
            if divided:
                others = parts[:k] + parts[k + 1 :]
                rest = signed([(s, product(fs)) for s, fs in opened if (s, fs) not in divided])
                left = [(1, product([*others, rest]))] if rest != ZERO else []
                return signed([*left, *((s, product(without_pairs([*others, *fs], values))) for s, fs in divided)])
        return e

    def is_value(self, e: Expr) -> bool:
        """Whether e is p or 1 − p, for a tensor p of values of exp or σ that is surely read inside, or 1 − p² for one of tanh."""
        other = complement(e)
        x, functions = (e, ("exp", "sigmoid")) if other is None else (other, ("sigmoid",))
        if (root := square_root(x)) is not None and other is not None:
            x, functions = root, ("tanh",)
        defined, conditions = self.definition(x)
        return isinstance(x, Read) and conditions == TRUE and isinstance(defined, Op) and defined.op in functions

    def opened(self, e: Expr, values: list[Expr]) -> list[tuple[int, list[Expr]]]:
        """e as signed products, with what divides by one of the values in it laid open, definitions of tensors included."""
        found: list[tuple[int, list[Expr]]] = []
        for s, t in additive_terms(e):
            defined, conditions = self.definition(t)
            defined = self.at_index(defined)
            if defined != t and conditions == TRUE and _divides(defined, values):
                found += [(s * sign, fs) for sign, fs in self.opened(self.visit(defined), values)]
                continue
            if is_where(t, ZERO) and _divides(chosen := self.chosen(t), values):
                found += [(s * sign, [where(t.args[0], ONE, ZERO), *fs]) for sign, fs in self.opened(chosen, values)]
                continue
            parts = factors(t)
            k = next((k for k, f in enumerate(parts) if len(additive_terms(f)) > 1 and _divides(f, values)), None)
            if k is None:
                found.append((s, parts))
            else:
                others = parts[:k] + parts[k + 1 :]
                found += [(s * sign, [*others, *fs]) for sign, fs in self.opened(parts[k], values)]
        return found

    def definition(self, e: Expr) -> tuple[Expr, Expr]:
        """What is read as it is defined, and where, if it neither contracts anything nor may be infinite; else what is read itself."""
        d = self.program.whole(e.tensor) if isinstance(e, Read) else None
        if d is None or not isinstance(e, Read):
            return e, TRUE
        if e.tensor not in self.simple:
            self.simple[e.tensor] = self.is_simple(d)
        if not self.simple[e.tensor]:
            return e, TRUE
        return d.at(e.subs), conjunction(self.outside(e))

    def outside(self, r: Read) -> list[Expr]:
        """The conditions under which a read is inside, without those that always hold."""
        return readable(self.program.hulls[r.tensor], r.subs, self.ranges, self.positive)

    def at_index(self, e: Expr) -> Expr:
        """where(k == 1, x[n,1], 0) as where(k == 1, x[n,k], 0), which is surely inside."""
        e = map_children(self.at_index, e)
        return where(e.args[0], self.chosen(e), ZERO) if is_where(e, ZERO) else e

    def chosen(self, e: Op) -> Expr:
        """x[n,k] for where(k == 1, x[n,1], 0)."""
        at = {place: Int.symbol(k) for c in conjuncts(e.args[0]) for k, place in solved(c) if k not in self.fixed}
        return replaced(e.args[1], {r: Read(r.tensor, tuple(at.get(s, s) for s in r.subs)) for r in reads(e.args[1])})

    def is_simple(self, d: Equation) -> bool:
        """Whether d contracts nothing, reads nothing outside, which sums would leave out, and is finite but for a normaliser."""
        if has_reduction(d.body):
            return False
        read = reads(self.at_index(d.body))
        normal = all(r.tensor in self.program.lse for r in read if r.tensor in self.program.unbounded)  # `normalised` takes care of it
        return normal and not any(readable(self.program.hulls[r.tensor], r.subs, d.ranges, self.positive) for r in read)


def _sign_in_front(e: Expr, before: Expr) -> Expr:
    """−(−a/n) as a/n, and Σ (−a − b) as −Σ (a + b), where a logarithm has brought the second minus."""
    if e == before:
        return e
    if isinstance(e, Reduce):
        terms = additive_terms(e.body) if e.op == "sum" else []
        return neg(Reduce("sum", e.indices, add([t for _, t in terms]))) if terms and all(s < 0 for s, _ in terms) else e
    turned = isinstance(e, Op) and e.op in ("neg", "*", "/") and any(isinstance(c, Op) and c.op == "neg" for c in e.args)
    return product(factors(e)) if turned else e


def _logistic(e: Expr) -> Expr:
    """1/(1 + exp(−x)) and exp(x)/(1 + exp(x)) as sigmoid(x)."""
    e = map_children(_logistic, e)
    if not (isinstance(e, Op) and e.op in ("/", "*") and any(map(_argument, factors(e)))):
        return e
    found = quotient(e)
    parts = factors(found if {*reads(found)} == {*reads(e)} else e)
    return product([f if (x := _argument(f)) is None else Op("sigmoid", (x,)) for f in parts])


def _argument(f: Expr) -> Expr | None:
    """x for 1/(1 + exp(−x))."""
    exps = exponents(f.args[1]) if is_reciprocal(f) else []
    own = [x for x in exps if x != ZERO and not (isinstance(x, Op) and x.op == "where")]
    return neg(own[0]) if len(exps) == 2 and len(own) == 1 and ZERO in exps else None


def _divides(e: Expr, values: list[Expr]) -> bool:
    return any(isinstance(n, Op) and n.op == "/" and any(f in values for f in factors(n.args[1])) for n in walk(e))
