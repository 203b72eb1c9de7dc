"""Programs -> programs in which a function that forward and backward both need is computed once, and kept.

    y = x σ(x),   dx = dy σ(x) (1 + x (1 − σ(x)))          s = σ(x),   y = x s,   dx = dy s (1 + x (1 − s))

Only functions that cost more than reading an array are: these, also as tables of several indices, roots of several tensors, as distances
are, and what is computed to be held between two numbers. GELU and SiLU are written with theirs. Beyond the end of a loop nothing is kept,
and there dc[t+1] σ(z[t+1]) is dc[t+1] s[t+1] nevertheless: dc is 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

from ..bounds import never_negative
from ..conditions import equalities
from ..expr import (
    ONE,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    all_reads,
    children,
    conjuncts,
    factors,
    free_symbols,
    has_reduction,
    ints,
    map_children,
    map_ints,
    reads,
    walk,
)
from ..expr import replace as replaced
from ..fresh import Fresh
from ..integer import Int
from ..program import Equation, Program, Range
from ..within import positive_names, readable
from .exchange import with_known
from .limits import limits
from .quotients import exponents

COSTLY = ("exp", "log", "tanh", "sigmoid", "softplus", "erf", "sin", "cos")
FINITE = ("+", "neg", "*", "**", "tanh", "sigmoid", "softplus", "erf", "sin", "cos")  # of finite arguments, if the exponent is positive

Beside = tuple[Read, ...]
Kept = Mapping[Expr, tuple[Equation, Equation]]  # function -> (the first equation that needs it, the function as a tensor)


def recall(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    own = [e for e in backward.equations if e.tensor not in forward.definitions]
    wanted = {call.key for e in own for call in _calls(e, _opened(e, e.body))}
    kept = _kept(forward, wanted, Fresh(forward.names | backward.names)) if wanted else {}
    if not kept:
        return forward, backward
    equations: list[Equation] = []
    for e in forward.equations:
        equations += [new for place, new in kept.values() if place is e and new is not e]
        equations.append(_reading(forward, e, _opened(e, e.body, kept), kept))
    shapes = {new.tensor: tuple(new.ranges.values()) for place, new in kept.values() if new is not place}
    known = replace(forward, equations=tuple(equations), shapes={**forward.shapes, **shapes})
    own = [_reading(backward, e, _opened(e, e.body, kept), kept) for e in own]
    return known, with_known(replace(backward, equations=tuple(own)), own, known)


def _kept(forward: Program, wanted: Collection[Expr], fresh: Fresh) -> Kept:
    found: dict[Expr, tuple[Equation, Equation]] = {}
    for e in forward.equations:  # some are tensors already
        if len(forward.definitions[e.tensor]) == 1 and not e.is_base:
            for call in _of(e, e.body):
                if call.at == e.subs and call.key in wanted:
                    found.setdefault(call.key, (e, e))
    for e in forward.equations:
        for call in _calls(e, _opened(e, e.body, wanted)) if not e.is_base else ():
            if call.is_plain(e) and call.key in wanted and call.key not in found and call.function != e.body:
                ranges = {str(s.name): e.ranges[str(s.name)] for s in call.at}
                word = call.function.op if call.function.op in (*COSTLY, "sqrt") else "held"
                found[call.key] = e, Equation(fresh(f"{e.tensor}_{word}"), call.at, call.function, ranges)
    return found


# -- calls -------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Call:
    """A costly function of what stands at the places `at`, one for each index on which it depends; key: with letters in their stead."""

    function: Op
    at: tuple[Int, ...]
    key: Expr

    def is_plain(self, e: Equation) -> bool:
        """Whether it is at each of its places once, each an index of the equation."""
        return all(s.name in e.ranges for s in self.at) and len(set(self.at)) == len(self.at)


def _calls(e: Equation, node: Expr) -> Iterator[Call]:
    """The costly functions in an expression, but for those under a condition on indices: it may choose a few places. Data choose many."""
    if isinstance(node, Op) and node.op == "where" and not all_reads(node.args[0]):
        return
    yield from _of(e, node)
    places = _looked_up(e, node)
    for child in _children(node):
        yield from (call for call in _calls(e, child) if not places or not {s.name for s in call.at} & places)


def _looked_up(e: Equation, node: Expr) -> set[str]:
    """The indices that are one place for each of the others under a condition, k in where(t[n] = k, …): no table has all n and k."""
    asked = conjuncts(node.args[0]) if isinstance(node, Op) and node.op == "where" else []
    return {str(a.name) for c in asked for a, b in equalities(c) if a.name in e.ranges and b.elements()}


def _children(node: Expr) -> tuple[Expr, ...]:
    """What may be kept of an expression; of log(exp(a) + exp(b)) nothing, since it is shifted as a whole."""
    return () if isinstance(node, Op) and node.op == "log" and exponents(node.args[0]) else tuple(children(node))


def _beside(node: Expr, beside: Beside) -> Beside:
    """Reads of which each makes the whole 0 where it is 0, whatever finite value stands below this node."""
    if isinstance(node, Op) and node.op == "*":
        return (*beside, *(f for f in factors(node) if isinstance(f, Read)))
    power = isinstance(node, Op) and node.op == "**"
    finite = isinstance(node, Op) and node.op in FINITE and (not power or isinstance(node.args[1], Num) and node.args[1].value > 0)
    return beside if finite else ()


def _of(e: Equation, f: Expr) -> Iterator[Call]:
    """The calls that a function is: of tensors at plain places, or of one tensor at any, each axis along another index; or a table, of
    several indices alone."""
    if not (isinstance(f, Op) and _is_costly(f)) or has_reduction(f):
        return
    found = sorted(dict.fromkeys(reads(f)), key=lambda r: -len(r.subs))
    places = tuple(dict.fromkeys(s for r in found for s in r.subs if not s.is_constant))
    if not found:
        indices = [i for v in ints(f) for i in sorted(v.symbols()) if i in e.ranges]
        places = tuple(map(Int.symbol, dict.fromkeys(indices))) if len({*indices}) > 1 else ()
    if places and all(s.name in e.ranges for s in places):
        letters = {str(s.name): Int.symbol(f"§{k}") for k, s in enumerate(places)}
        if free_symbols(f) & e.ranges.keys() <= letters.keys():
            yield Call(f, places, map_ints(lambda v: v.subst(letters), f))
    if len(found) == 1 and not any(n.value.symbols() & e.ranges.keys() for n in walk(f) if isinstance(n, IntValue)):
        yield from _at_any_place(e, f, found[0])


def _is_costly(f: Op) -> bool:
    """Whether it costs more than reading an array, is a root of several tensors, or what is held between two numbers."""
    x, low, high = limits(f)
    root = f.op == "sqrt" and len({r for r in reads(f) if r.subs}) > 1
    return f.op in COSTLY or root or isinstance(x, Op) and low is not None and high is not None


def _at_any_place(e: Equation, f: Op, r: Read) -> Iterator[Call]:
    """The function of one tensor, which may be kept for all places of an axis or for the one alone that is read."""
    fixed = [k for k, s in enumerate(r.subs) if not s.symbols() & e.ranges.keys()]
    for count in range(len(fixed) + 1):
        for alone in combinations(fixed, len(fixed) - count):
            at = [k for k in range(len(r.subs)) if k not in alone]
            letters = {k: Int.symbol(f"§{n}") for n, k in enumerate(at)}
            subs = tuple(letters.get(k, s) for k, s in enumerate(r.subs))
            yield Call(f, tuple(r.subs[k] for k in at), replaced(f, {r: Read(r.tensor, subs)}))


# -- equations ---------------------------------------------------------------------------------------------------------------
def _opened(e: Equation, node: Expr, wanted: Collection[Expr] | None = None) -> Expr:
    """GELU and SiLU by the functions that they are made of, where these are wanted: some, or all."""
    if isinstance(node, Op) and node.op in ("gelu", "silu"):
        x = node.args[0]
        f = Op("sigmoid", (x,)) if node.op == "silu" else Op("erf", (Op("/", (x, Op("sqrt", (Num(Fraction(2)),)))),))
        if any(wanted is None or call.key in wanted for call in _of(e, f)):
            return x*f if node.op == "silu" else Num(Fraction(1, 2))*x*(ONE + f)
    return map_children(lambda child: _opened(e, child, wanted), node)


def _places(e: Equation) -> list[Range]:
    return [e.ranges[str(s.name)] for s in e.subs]


def _reading(program: Program, e: Equation, body: Expr, kept: Kept) -> Equation:
    """The equation with this body, where the functions that are kept are read."""
    positive = positive_names(program)

    def is_kept(s: Int, r: Range, beside: Beside) -> bool:
        """Whether the place s is among those that are kept, or else one at which what stands beside is 0."""
        hulls = [hull for b in beside for place, hull in zip(b.subs, program.hulls[b.tensor], strict=True) if place == s]
        above = never_negative(s - r.lo, e.ranges, positive) or any(never_negative(h.lo - r.lo, {}, positive) for h in hulls)
        return above and (never_negative(r.hi - 1 - s, e.ranges, positive) or any(never_negative(r.hi - h.hi, {}, positive) for h in hulls))

    def leaves_out_the_same(call: Call, new: Equation) -> bool:
        """Whether a reduction leaves out the same places by the name of the function as by what the function reads."""
        sizes = positive & {*program.sizes}
        said = readable(tuple(_places(new)), call.at, e.ranges, positive, sizes)
        return all(c in said for r in reads(call.function) for c in readable(program.hulls[r.tensor], r.subs, e.ranges, positive, sizes))

    def visit(node: Expr, beside: Beside, reduced: bool) -> Expr:
        for call in _of(e, node):
            _, new = kept.get(call.key, (e, e))
            if new.tensor == e.tensor or reduced and not leaves_out_the_same(call, new):
                continue
            if all(is_kept(s, r, beside) for s, r in zip(call.at, _places(new), strict=True)):
                return Read(new.tensor, call.at)
        if not _children(node):
            return node
        return map_children(lambda child: visit(child, _beside(node, beside), reduced or isinstance(node, Reduce)), node)

    return e.with_body(visit(body, (), False))
