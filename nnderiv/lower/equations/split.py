"""Program -> program in which an index that is used as o//m and o % m is two, its digits: o = m·o0 + o1.

    Y[n,o,i] = Σ_cu W[o,c,u] X[n,C·(o//m)+c,i+u]        Y_split[n,o0,o1,i] = Σ_cu W_split[o0,o1,c,u] X_split[n,o0,c,i+u]

with W_split[o0,o1,c,u] = W[m·o0+o1,c,u], X_split[n,o0,c,i] = X[n,C·o0+c,i] and Y[n,o,i] = Y_split[n,o//m,o%m,i], which are views. As it
stands, each group would be copied for all that is computed of it. Where a condition asks for the remainder, each has an equation
of its own: pairs that are rotated, every other place between two.

If m does not divide the range of o, the last block is cut: what its rest would be is computed of zeros, and not looked at.

A sum over such blocks, Σ_ch X[n,m·k+c,h], is one over rows of X_split[n,k,c,h], which lie together in memory; and one over a
few places, where another thing is added at each, is written out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from ...bounds import inside, never_negative, settled
from ...conditions import chosen_throughout
from ...expr import (
    UNARY,
    ZERO,
    Expr,
    IntValue,
    Op,
    Read,
    Reduce,
    add,
    bound_indices,
    compare,
    free_symbols,
    ints,
    map_children,
    map_ints,
    neg,
    reads,
    walk,
    where,
)
from ...fresh import Fresh
from ...integer import Atom, FloorDiv, Int, Mod
from ...polynomial import guarded_factors, poles
from ...program import Equation, Program, Range, Ranges
from ...regular import is_regular
from ...simplify import may_be_infinite
from ...within import fills, positive_names
from .. import cost
from ..digits import ends, exchanged, taken_apart
from ..fold import axes_at

FEW = 4    # terms that a sum is written out as
MANY = 16  # remainders, of which each has an equation of its own
DEEP = 3   # digits of digits


def split(program: Program, known: Program) -> Program:
    """See the module's docstring. The program is explicit; a recurrence stays as it is."""
    run = _Run(program, Fresh(program.names | known.names))
    whole = map(run.written_out, program.equations)
    equations = tuple(x for e in whole for x in (run.equations(e) if _quotients(e) else [run.rows(e)]))
    if equations == program.equations:
        return program
    return replace(program, equations=(*run.views.values(), *equations), shapes={**program.shapes, **run.shapes})


def is_join(program: Program, e: Equation) -> bool:
    """Whether an equation only joins what was computed for the digits of its indices, in a tensor that the program does not know."""
    return isinstance(e.body, Read) and e.body.tensor not in program.dims and bool(_quotients(e))


def _quotients(e: Equation) -> dict[FloorDiv | Mod, None]:
    """The quotients and remainders of indices in an equation, inner ones included."""
    return dict.fromkeys(a for v in ints(e.body) if not all(isinstance(a, str) for m in v.terms for a in m) for a in v.atoms()
                         if isinstance(a, FloorDiv | Mod) and a.top.symbols() & e.ranges.keys())


@dataclass(frozen=True)
class _Form:
    """An equation on its way: its rows, of which each is at other remainders, and what the digits are in terms of its indices."""

    rows: tuple[Equation, ...]
    digits: dict[str, Int] = field(default_factory=dict)

    @property
    def ranges(self) -> Ranges:
        return self.rows[0].ranges

    def quotients(self, letters: Collection[str]) -> dict[FloorDiv | Mod, None]:
        """Those in which one of the letters stands."""
        return dict.fromkeys(q for e in self.rows for q in _quotients(e) if q.top.symbols() & {*letters})


class _Run:
    """One program: the equations that are split, and the views that they read."""

    def __init__(self, program: Program, fresh: Fresh):
        self.program, self.fresh, self.positive = program, fresh, positive_names(program)
        self.certain = self.positive - {*program.sizes}
        self.views: dict[object, Equation] = {}
        self.shapes: dict[str, tuple[Range, ...]] = {}

    def equations(self, e: Equation) -> list[Equation]:
        """The equations that an equation becomes: those of the digits, and the one that joins them."""
        if not _quotients(e) or isinstance(e.body, Read) or e.tensor in self.program.components or not (e.subs and fills(self.program, e)):
            return [e]
        form = _Form((e,), {i: Int.symbol(i) for i in e.indices})
        for a, m in _candidates(form, list(e.ranges)):
            if a in form.ranges and self.pays(e, a) and (found := self.divided(form, a, m, DEEP)) is not None:
                form = found
        return self.written(e, form) if form.rows != (e,) else [e]

    def pays(self, e: Equation, a: str) -> bool:
        """Whether what an index's digits are asked for is worth it beside all that the equation goes over."""
        def size(names: Collection[str]) -> list[Int]:
            return [e.ranges[i].size for i in e.ranges if i in names]

        whole = [size(e.indices), *(size(free_symbols(r)) for r in reads(e.body))]
        return cost.splits([size(free_symbols(x)) for x in walk(e.body) if _asks(x, a)], whole)

    def rows(self, e: Equation) -> Equation:
        """The equation with views where a sum runs over blocks and what follows them in memory: X[n,m·k+c,h] over c and h."""
        def visit(node: Expr) -> Expr:
            if isinstance(node, Reduce) and node.op == "sum":
                found = [(i, c) for r in reads(node.body) for i, c in self.blocks(e.ranges, r, node.indices)]
                letters = {i for i, c in found if all(self.stands(e.ranges, r, i, c) for r in reads(node.body))}
                return Reduce(node.op, node.indices, self.viewed(e.ranges, node.body, letters)) if letters else node
            return map_children(visit, node)

        if e.tensor in self.program.components or all(len(s.terms) == 1 for r in reads(e.body) for s in r.subs):
            return e
        return e.with_body(visit(e.body))

    def blocks(self, ranges: Ranges, r: Read, summed: Collection[str]) -> Iterator[tuple[str, str]]:
        """(k, c) where m·k + c stands before an index that is summed like c."""
        for s, after in zip(r.subs, r.subs[1:], strict=False):
            if after.name in summed and len(s.terms) == 2 and (pair := self.pair(ranges, s, s.symbols() - {*summed})):
                k, c = pair[3]
                if c.name in summed:
                    yield str(k.name), str(c.name)

    def stands(self, ranges: Ranges, r: Read, k: str, c: str) -> bool:
        """Whether an index of places in a block stands nowhere in a read but beside that of the blocks."""
        return all(c not in s.symbols() or (pair := self.pair(ranges, s, (k,))) is not None and pair[3][1].name == c for s in r.subs)

    def written_out(self, e: Equation) -> Equation:
        """The equation with a sum over a few places as so many terms, where what is added is another thing at each of them."""
        def visit(node: Expr, most: int = FEW) -> Expr:
            if isinstance(node, Reduce) and node.op == "sum":
                for q in node.indices:
                    if self.differs(e.ranges[q], node.body, q, most):
                        count = e.ranges[q].hi.constant
                        return visit(add([self.term(e, node, q, k) for k in range(count)]), most//max(1, count))
            return map_children(lambda child: visit(child, most), node)

        few = any(r.hi.is_constant and r.hi.constant <= FEW for i, r in e.ranges.items() if i not in e.indices)
        return e.with_body(visit(e.body)) if few and e.tensor not in self.program.components else e

    def differs(self, span: Range, body: Expr, q: str, most: int) -> bool:
        """Whether conditions ask for the place, of which there are so many at most, and for nothing beside it."""
        asked = [x.value.symbols() for n in walk(body) if isinstance(n, Op) and n.op == "where" for x in walk(n.args[0])
                 if isinstance(x, IntValue) and q in x.value.symbols()]
        return span.lo == 0 and span.hi.is_constant and span.hi.constant <= most and bool(asked) and all(x == {q} for x in asked)

    def term(self, e: Equation, node: Reduce, q: str, k: int) -> Expr:
        body = chosen_throughout(map_ints(partial(self.settled, {q: Int.of(k)}, e.ranges), node.body), in_sums=True)
        rest = tuple(i for i in node.indices if i != q)
        if not rest or body == ZERO:
            return body
        minus = isinstance(body, Op) and body.op == "neg"
        return neg(Reduce("sum", rest, neg(body))) if minus else Reduce("sum", rest, body)

    # -- one index -----------------------------------------------------------------------------------------------------
    def divided(self, form: _Form, a: str, m: Int, depth: int) -> _Form | None:
        """The form with a = m·a0 + a1, if no quotient of these is left in it then."""
        whole, names = form.ranges[a], Fresh({*self.program.names, *form.ranges})
        alone = all(q.top.symbols() & form.ranges.keys() == {a} for q in form.quotients((a,)))  # (a − u)//s is for a fold to undo
        if whole.lo != 0 or depth == 0 or not alone:
            return None
        high, low = (names(f"{a}{k}") for k in (0, 1))
        digit = ends(whole.hi, m, self.positive, self.certain)
        if digit is None:
            return None
        ranges = {i: r for x in form.ranges for i, r in ({high: Range.upto(digit.count), low: Range.upto(digit.rest)} if x == a else
                                                        {x: form.ranges[x]}).items()}
        exact, value = digit.count * digit.step == whole.hi, digit.step * Int.symbol(high) + Int.symbol(low)
        table: dict[Atom, Int] = {FloorDiv(Int.symbol(a), m): Int.symbol(high), Mod(Int.symbol(a), m): Int.symbol(low), a: value}
        change = partial(self.settled, table, ranges)
        rows = []
        for e in form.rows:
            body = self.inside(e, change, a, (high, low), None if exact else compare("<", value, whole.hi))
            if body is None:
                return None
            subs = tuple(s for x in e.subs for s in ([Int.symbol(high), Int.symbol(low)] if x.name == a else [x]))
            rows.append(replace(e, subs=subs, body=body, ranges=ranges))
        digits = {x: y for i, v in form.digits.items() for x, y in ({high: v // m, low: v % m} if i == a else {i: v}).items()}
        if not exact and not all(self.is_harmless(e, a not in form.digits) for e in rows):
            return None
        new = self.placed(_Form(tuple(rows), digits), low)
        for b, k in _candidates(new, (high, low)):
            if (found := self.divided(new, b, k, depth - 1)) is not None:
                return found
        return None if new.quotients((high, low)) else new

    def settled(self, table: dict[Atom, Int], ranges: Ranges, value: Int) -> Int:
        known = value.symbols() & {a for a in table if isinstance(a, str)}
        return settled(exchanged(table, value), ranges, self.positive) if known else value

    def inside(self, e: Equation, change: partial[Int], a: str, digits: tuple[str, str], cut: Expr | None) -> Expr | None:
        """The body in terms of the digits; a sum over the index runs over both. None where an extreme does."""
        if any(isinstance(n, Reduce) and n.op != "sum" and a in n.indices for n in walk(e.body)):
            return None

        def visit(node: Expr) -> Expr:
            if isinstance(node, Reduce) and a in node.indices:
                body = visit(node.body)
                if cut is not None and e.ranges[a] not in axes_at(self.program, Int.symbol(a), guarded_factors(node.body)[1]):
                    body = where(cut, body, ZERO)
                return Reduce(node.op, tuple(x for i in node.indices for x in (digits if i == a else (i,))), body)
            return map_children(visit, node) if isinstance(node, Op | Reduce) else map_ints(change, node)

        return visit(e.body)

    def is_harmless(self, e: Equation, summed: bool) -> bool:
        """Whether what is read outside, beyond the end of a block that is cut, makes nothing infinite; nothing at all is so beside a zero
        that is to end a term of a sum."""
        leaving = {r for r in reads(e.body) if not all(inside(s, axis, e.ranges, self.positive)
                                                       for s, axis in zip(r.subs, self.program.hulls[r.tensor], strict=True))}
        operations = [n for n in walk(e.body) if isinstance(n, Op)]
        risky = (may_be_infinite(n, leaving & {*reads(n)}) if summed else any(leaving & {*reads(x)} for x in poles(n)) for n in operations)
        unbounded = summed and any(r.tensor in self.program.unbounded for r in reads(e.body))
        return not unbounded and not any(risky) and is_regular(e.body, e.ranges, self.positive)

    def placed(self, form: _Form, low: str) -> _Form:
        """An equation for each remainder, if there are few, and a condition or a quotient asks for it."""
        rest = form.ranges[low].hi
        asks = bool(form.quotients((low,))) or any(
            low in v.symbols() for e in form.rows for n in walk(e.body) if isinstance(n, Op) and n.op == "where"
            for x in walk(n.args[0]) if isinstance(x, IntValue) for v in [x.value])
        if not asks or low not in form.digits or not rest.is_constant or rest.constant * len(form.rows) > MANY:
            return form
        ranges = {i: r for i, r in form.ranges.items() if i != low}
        rows = []
        for e in form.rows:
            for k in range(rest.constant):
                change = partial(self.settled, {low: Int.of(k)}, ranges)
                subs = tuple(Int.of(k) if s.name == low else s for s in e.subs)
                rows.append(replace(e, subs=subs, body=chosen_throughout(map_ints(change, e.body), in_sums=True), ranges=ranges))
        return _Form(tuple(rows), form.digits)

    # -- the equations -------------------------------------------------------------------------------------------------
    def written(self, e: Equation, form: _Form) -> list[Equation]:
        """The rows, which read views, and the equation that joins them, if an index of the left-hand side is split."""
        joins = form.digits.keys() != {*e.indices}
        letters = {*form.ranges} - {*e.ranges}
        name = self.fresh(f"{e.tensor}_split") if joins else e.tensor
        subs = tuple(form.digits.values())
        if joins and taken_apart(subs, e.indices, e.ranges, self.positive, self.certain) is None:
            return [e]
        rows = [replace(x, tensor=name, body=self.viewed(x.ranges, x.body, letters)) for x in form.rows]
        rows = [replace(x, ranges={i: r for i, r in x.ranges.items() if i in {*x.indices, *bound_indices(x.body)}}) for x in rows]
        if not joins:
            return rows
        own = {i: r for i, r in e.ranges.items() if i in e.indices}
        axes = {str(s.name): r for x in rows for s, r in ((s, x.ranges.get(str(s.name))) for s in x.subs) if r}
        places = [s for x in rows[-1:] for s in x.subs]
        self.shapes[name] = tuple(axes[str(s.name)] if s.name in axes else Range.upto(s + 1) for s in places)
        rows = [x for x in rows if x.body != ZERO] or rows  # elsewhere it is 0 anyway
        return [*rows, replace(e, body=Read(name, subs), ranges=own)]

    def viewed(self, ranges: Ranges, e: Expr, letters: Collection[str]) -> Expr:
        """The expression in which X[n,m·o0+c] is X_split[n,o0,c]; an extreme knows by itself what is outside."""
        if isinstance(e, Read):
            return self.view(ranges, e, letters)
        return e if isinstance(e, Reduce) and e.op != "sum" else map_children(lambda c: self.viewed(ranges, c, letters), e)

    def view(self, ranges: Ranges, r: Read, letters: Collection[str]) -> Read:
        """X[n,m·o0+c] as X_split[n,o0,c], a view with an axis for each digit, of which there is one for all that read X so."""
        found = [self.pair(ranges, s, letters) for s in r.subs]
        if not any(found):
            return r
        hull = self.program.hulls[r.tensor]
        key = r.tensor, tuple(f and f[:3] for f in found)
        if key not in self.views:
            names, own, subs, shape = Fresh({*self.program.kinds, *self.program.dims, *self.program.sizes}), dict[str, Range](), [], []
            for k, (pair, s, axis) in enumerate(zip(found, r.subs, hull, strict=True)):
                places = [(s, axis)] if pair is None else [(pair[3][0], pair[1]), (pair[3][1], pair[2])]
                new = {names(x.name if x.name in ranges else f"a{k}"): span for x, span in places}
                own |= new
                each = [Int.symbol(i) for i in new]
                subs.append(each[0] if pair is None else pair[0] * each[0] + each[1])
                shape += [*new.values()]
            name = self.fresh(f"{r.tensor}_split")
            self.shapes[name] = tuple(shape)
            self.views[key] = Equation(name, tuple(map(Int.symbol, own)), Read(r.tensor, tuple(subs)), own)
        return Read(self.views[key].tensor, tuple(x for f, s in zip(found, r.subs, strict=True) for x in (f[3] if f else (s,))))

    def pair(self, ranges: Ranges, sub: Int, letters: Collection[str]) -> tuple[Int, Range, Range, tuple[Int, Int]] | None:
        """m, the ranges of its digits, and these, for a subscript m·o0 + c with c < m."""
        if sub.elements():
            return None
        for i in sorted(sub.symbols() & ranges.keys() & {*letters}):
            step, rest = sub.split(i) or (Int.of(0), sub)
            if not step.terms or step == 1 or step.symbols() & ranges.keys() or ranges[i].lo != 0:
                continue
            low = ranges.get(rest.name or "")
            if rest.is_constant and step.is_constant and 0 <= rest.constant < step.constant:
                low = Range.upto(step)
            if low is not None and low.lo == 0 and (low.hi == step or never_negative(step - low.hi, {}, self.positive)):
                return step, ranges[i], low, (Int.symbol(i), rest)
        return None


def _candidates(form: _Form, indices: Collection[str]) -> Iterator[tuple[str, Int]]:
    """Each of the indices with what it is divided by, the largest first."""
    for a in indices:
        bottoms = {q.bottom for q in form.quotients((a,))}
        for m in sorted((m for m in bottoms if not m.symbols() & form.ranges.keys()), key=lambda m: (-m.constant, str(m))):
            if a in form.ranges:
                yield a, m


def _asks(e: Expr, a: str) -> bool:
    """Whether a digit of an index decides what is read, or chosen, or all that a function knows of it is such a digit."""
    if isinstance(e, Read):
        return any(_is_digit(x, a) for s in e.subs for x in s.atoms())
    if isinstance(e, Op) and e.op == "where":
        return any(_is_digit(x, a) for v in ints(e.args[0]) for x in v.atoms())
    return isinstance(e, Op) and e.op in UNARY and a in free_symbols(e) and all(
        not isinstance(x, str) or x != a for v in ints(e) for m in v.terms for x in m)


def _is_digit(x: Atom, a: str) -> bool:
    return isinstance(x, FloorDiv | Mod) and a in x.top.symbols()
