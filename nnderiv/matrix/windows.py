"""Windows -> operators on signals: what lies outside an operand is 0, so that it can be read at every place.

    Σ_u X[i+u] K[u]          X ⋆ K             valid where no read is outside; pad_p X ⋆ K where p zeros stand around X
    Σ_u X[s·i+d·u−p] K[u]    ↓s (pad_p X ⋆ ↑d K)
    Σ_u dY[a−u] K[u]         dY ∗ K            full: a runs over all places where something of both meets
    Σ_u dY[(a+p−d·u)/s] K[u] where s divides: crop_p (↑s dY ∗ ↑d K)
    Σ_i dY[i] X[s·i+d·u−p]   ↓d (pad_p X ⋆ ↑s dY)
    X[s·i+d·u−p] for a u     ↓s shift_{p−d·u} X
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..bounds import never_negative
from ..expr import (
    ONE,
    ZERO,
    Expr,
    IntValue,
    Op,
    Read,
    Reduce,
    conjunction,
    conjuncts,
    free_symbols,
    ints,
    is_where,
    map_children,
    own_reads,
    reads,
    walk,
    where,
)
from ..integer import FloorDiv, Int
from ..polynomial import guarded_factors, product
from ..program import Equation, Program, Range
from ..within import positive_names
from .axes import Axis, moved_subscripts
from .build import hadamard, scaled, transposed
from .nodes import Correlate, Down, Elementwise, Extreme, Fill, Flip, Hadamard, Leaf, Node, Plus, Scale, Shift, SumOver, Up
from .recognise import Recogniser

ONE_STEP = Int.of(1)
NO_STEP = Int.of(0)


@dataclass(frozen=True)
class _Sub:
    """One subscript of a windowed operand: (of·a + by·u + rest) / step."""

    of: Int
    by: Int
    rest: Int
    step: Int


class Windows(Recogniser):
    """The recogniser of equations whose subscripts are more than indices."""

    def __init__(self, program: Program, equation: Equation, superscript_axes: frozenset[Axis]):
        super().__init__(program, equation, superscript_axes)
        self.exact: set[Expr] = set()  # the conditions of divisions for which ↑ stands: between them it has zeros
        self.place = [str(s.name) for k, s in enumerate(equation.subs) if (equation.tensor, k) not in superscript_axes]
        moved = {i for s in moved_subscripts(equation, superscript_axes) for i in s.symbols()}
        self.inner = [i for i in equation.ranges if i in moved and i not in self.above and i not in self.place]
        self.above |= set(self.inner)  # a sum of shifted signals is the form that always exists

    # -- convolutions ------------------------------------------------------------------------------------------------
    def contract(self, parts: list[Expr], bound: tuple[str, ...], row: str | None, column: str | None) -> Node:
        window = [i for i in bound if i in self.inner]
        if window and [i for i in (row, column) if i] == self.place and len(window) == len(self.place):
            found = self._convolution(parts, window)
            if found is not None:
                rest, node = found
                graph = [f for f in rest if not self._is_inside(f, bound)]
                inside = [f for f in rest if f not in graph]
                channels = tuple(i for i in bound if i not in window)
                node = self._summed(channels, scaled([self._condition(f) for f in inside], node))
                return scaled([self._condition(f) for f in graph], node)
        return _quotients(super().contract(parts, bound, row, column))

    def _is_inside(self, f: Expr, bound: tuple[str, ...]) -> bool:
        return bool(free_symbols(f) & set(bound))

    def _summed(self, channels: tuple[str, ...], node: Node) -> Node:
        return SumOver(channels, node) if channels else node

    def _convolution(self, parts: list[Expr], window: list[str]) -> tuple[list[Expr], Node] | None:
        """(factors without places, the operator) of Σ_window of a product of two operands; None where it is no convolution."""
        conditions, found = guarded_factors(Op("*", tuple(parts)))
        plain = [f for f in found if self._subs(f) == [Int.symbol(u) for u in window]]
        scalars = [*(f for f in found if not self._subs(f)), *(c for c in conditions if not self._subs(c) and not self._is_spatial(c))]
        moved = [f for f in found if f not in plain and f not in scalars]
        subs = self._subs(moved[0]) if moved else []
        if any(c not in scalars for c in conditions) or len(subs) != len(window) or any(self._subs(f) != subs for f in moved):
            return None
        read = [self._sub(s, a, u) for s, a, u in zip(subs, self.place, window, strict=True)]
        if any(r is None for r in read):
            return None
        first, second = self._operand(moved, subs), self._operand(plain, [Int.symbol(u) for u in window]) if plain else self._ones(window)
        if first is None or second is None:
            return None
        self.window = window
        self.first = self._dims(moved, subs)
        node = self._operator(first, second, [r for r in read if r is not None])
        return (scalars, node) if node is not None else None

    def _subs(self, f: Expr) -> list[Int]:
        """The subscripts at which the reads of a factor stand, if it is one place for all of them; empty for a scalar."""
        found = {tuple(s for k, s in enumerate(r.subs) if (r.tensor, k) not in self.axes) for r in reads(f)} - {()}
        if not found and any(set(v.symbols()) & {*self.place, *self.inner} for v in ints(f)):
            return [Int.of(-1)]
        return list(next(iter(found))) if len(found) == 1 else [Int.of(-1)] if found else []

    def _is_spatial(self, c: Expr) -> bool:
        return bool(free_symbols(c) & {*self.place, *self.inner})

    def _division(self, s: Int) -> Expr | None:
        """The condition that the division in a subscript is exact."""
        found = _floor(s)
        return Op("==", (IntValue(found.top % found.bottom), IntValue(NO_STEP))) if found else None

    def _sub(self, s: Int, a: str, u: str) -> _Sub | None:
        division = _floor(s)
        step = division.bottom if division else ONE_STEP
        first = (division.top if division else s).split(a)
        second = first[1].split(u) if first else None
        if first is None or second is None or not first[0].terms or not second[0].terms:
            return None
        if (first[0].symbols() | second[0].symbols() | second[1].symbols() | step.symbols()) & {*self.place, *self.inner}:
            return None
        return _Sub(first[0], second[0], second[1], step)

    def _operand(self, parts: list[Expr], subs: list[Int]) -> Node | None:
        """The signal whose elements these factors are, at places of its own."""
        names = self._fresh(self._dims(parts, subs))
        table = dict(zip(map(str, subs), names, strict=True))
        body = product([_moved(f, table, self.axes) for f in parts])
        inner = Recogniser(self.program, self.equation, self.axes)
        inner.above |= set(self.inner)
        row, column = [*names, None, None][:2]
        return inner.matrix(body, row, column)

    def _dims(self, parts: list[Expr], subs: list[Int]) -> list[Range]:
        r = next(r for f in parts for r in reads(f) if self._subs(r) == subs)
        return [d for k, d in enumerate(self.program.dims[r.tensor]) if (r.tensor, k) not in self.axes]

    def _fresh(self, dims: list[Range]) -> list[str]:
        """New indices, which the equation knows from now on."""
        ranges, names = dict(self.equation.ranges), []
        for d in dims:
            name = next(f"i{k}" for k in range(1, 1000) if f"i{k}" not in ranges and f"i{k}" not in self.program.names)
            ranges[name] = d
            names.append(name)
        self.equation = replace(self.equation, ranges=ranges)
        return names

    def _ones(self, window: list[str]) -> Node:
        row, column = [*window, None][:2]
        return Fill(ONE, str(row), column)

    def _operator(self, first: Node, second: Node, subs: list[_Sub]) -> Node | None:
        """↓ (shift first ⋆ ↑ second), with what is 1 or 0 left out."""
        signs = {(_sign(s.of), _sign(s.by)) for s in subs}
        if len(signs) != 1 or 0 in next(iter(signs)):
            return None
        ((of, by),) = signs
        strided = any(s.step != 1 for s in subs)
        if of < 0:
            return self._turned(first, second, subs) if by > 0 and not strided else None
        first = _up(first, [s.step for s in subs]) if strided else first
        if strided and any(s.of != 1 for s in subs):
            return None
        mode = self._mode(subs)
        second = _up(second, [s.by if by > 0 else -s.by for s in subs])
        if all(s.of == 1 and self._is_positive(s.rest) for s in subs):
            return _shift(Correlate(first, second, by, mode), [-s.rest for s in subs])
        return _down(Correlate(_shift(first, [-s.rest for s in subs]), second, by, mode), [s.of for s in subs])

    def _is_positive(self, e: Int) -> bool:
        return _sign(e) > 0 or e != 0 and never_negative(e, {}, positive_names(self.program))

    def _mode(self, subs: list[_Sub]) -> str:
        """valid: nothing outside is read; full: a runs over all places where something of both operands meets."""
        if any(s.step != 1 or s.of != 1 or s.rest != 0 for s in subs):
            return ""
        ranges = self.equation.ranges
        sizes = [(ranges[a].size, first.size, ranges[u].size) for a, first, u in zip(self.place, self.first, self.window, strict=True)]
        if all(s.by == 1 for s in subs) and all(self.program.are_equal(a, m - n + 1) for a, m, n in sizes):
            return "valid"
        return "full" if all(s.by == -1 for s in subs) and all(self.program.are_equal(a, m + n - 1) for a, m, n in sizes) else ""

    def _turned(self, first: Node, second: Node, subs: list[_Sub]) -> Node | None:
        """Σ_i X[i−a+c] Y[i]: rot180 (X ⋆ Y) where c is the last place of a, else Y ⋆ X."""
        if any(s.of != -1 or s.by != 1 for s in subs):
            return None
        sizes = [self.equation.ranges[a].size for a in self.place]
        if all(s.rest == size - 1 for s, size in zip(subs, sizes, strict=True)):
            return Flip(Correlate(first, second, 1), _pair(sizes))
        return Correlate(_shift(second, [s.rest for s in subs]), first, 1)

    # -- shifted signals ---------------------------------------------------------------------------------------------
    def matrix(self, e: Expr, row: str | None, column: str | None) -> Node:
        return super().matrix(self._without_divisions(e), row, column)

    def _without_divisions(self, e: Expr) -> Expr:
        """Without the conditions that ↑ stands for; a superscript is not read through ↑, and keeps its own."""
        exact = {self._division(s) for r in reads(e) for k, s in enumerate(r.subs) if (r.tensor, k) not in self.axes} - {None}
        self.exact |= {c for n in walk(e) if isinstance(n, Op) and n.op == "where" for c in conjuncts(n.args[0])} & exact
        return _drop(e, {*exact}) if exact else e

    def read(self, e: Read, row: str | None, column: str | None) -> Node:
        """A leaf, moved: A[(a + c)/s] is shift_{−c} ↑s A, A[s·a + c] is ↓s shift_{−c} A."""
        subs = [s for k, s in enumerate(e.subs) if (e.tensor, k) not in self.axes]
        here = [i for i in (row, column) if i is not None]
        if all(s.name in here for s in subs) or len(subs) != len(here):
            return super().read(e, row, column)
        if len(here) == 2 and here[0] not in subs[0].symbols() and here[1] in subs[0].symbols():
            return transposed(self.read(e, column, row))
        node: Node = Leaf(e.tensor, tuple(s if (e.tensor, k) in self.axes else None for k, s in enumerate(e.subs)))
        ups, downs, shifts = [], [], []
        for s, a in zip(subs, here, strict=True):
            division = _floor(s)
            if division and self._division(s) not in self.exact:
                self.fail(f"{e.tensor} is read at {s} where the division leaves a remainder, too")
            found = (division.top if division else s).split(a)
            if found is None or not found[0].terms or _sign(found[0]) <= 0 or (division and found[0] != 1):
                self.fail(f"{e.tensor} is read at {s}, which is no window")
            ups.append(division.bottom if division else ONE_STEP)
            downs.append(found[0])
            shifts.append(-found[1])
        return _down(_shift(_up(node, ups), shifts), downs)

    def _check_padding(self, e: Reduce) -> None:
        """A factor that is 0 outside stands for all reads at its place: their quotient is one signal."""
        whole = [f for f in self.split(e.body) if isinstance(f, Read)]
        settled = {c for f in whole for c in self._conditions(f.tensor, f.subs)}
        for name, subs in own_reads(e.body):
            if not settled.issuperset(self._conditions(name, subs)):
                self.fail(f"the sum leaves out places where {name} is out of range")

    def along(self, e: Reduce, row: str | None, column: str | None) -> Node:
        """A maximum over shifted signals takes no part outside, by its definition."""
        if e.op in ("max", "min") and set(e.indices) <= self.above:
            return Extreme(e.op, e.indices, self.matrix(e.body, row, column))
        return super().along(e, row, column)


# -- pieces ----------------------------------------------------------------------------------------------------------------
def _floor(s: Int) -> FloorDiv | None:
    """The division, where a subscript is one."""
    for atom in s.atoms():
        if isinstance(atom, FloorDiv) and s == Int.atom(atom):
            return atom
    return None


def _sign(e: Int) -> int:
    """The sign of a sum of names with coefficients of one sign, where names are not negative; 0 where it is not settled or 0."""
    signs = {1 if c > 0 else -1 for c in e.terms.values()}
    return signs.pop() if len(signs) == 1 else 0


def _moved(e: Expr, table: dict[str, str], axes: frozenset[Axis]) -> Expr:
    """Reads at other places: subscripts by their text."""
    if isinstance(e, Read):
        subs = (s if (e.tensor, k) in axes else Int.symbol(table[str(s)]) for k, s in enumerate(e.subs))
        return Read(e.tensor, tuple(subs))
    return map_children(lambda c: _moved(c, table, axes), e)


def _drop(e: Expr, conditions: set[Expr | None]) -> Expr:
    """Without these conditions."""
    if is_where(e, ZERO):
        kept = [p for p in conjuncts(e.args[0]) if p not in conditions]
        inner = _drop(e.args[1], conditions)
        return where(conjunction(kept), inner, ZERO) if kept else inner
    return map_children(lambda c: _drop(c, conditions), e)


def _pair(values: list[Int]) -> tuple[Int, Int]:
    first, second = [*values, values[0]][:2]
    return first, second


def _up(a: Node, steps: list[Int]) -> Node:
    return a if all(s == 1 for s in steps) else Up(a, _pair(steps))


def _down(a: Node, steps: list[Int]) -> Node:
    return a if all(s == 1 for s in steps) else Down(a, _pair(steps))


def _shift(a: Node, by: list[Int]) -> Node:
    return a if all(s == 0 for s in by) else Shift(a, _pair(by))


def _quotients(a: Node) -> Node:
    """(B ⊙ shift ↑ X) ⊘ shift ↑ Y as B ⊙ shift ↑ (X ⊘ Y): nothing is divided by the zeros between."""
    if isinstance(a, Plus):
        return Plus(tuple((sign, _quotients(t)) for sign, t in a.terms))
    if isinstance(a, Scale) and a.of is not None:
        return Scale(a.scalars, _quotients(a.of))
    if isinstance(a, SumOver):
        return SumOver(a.indices, _quotients(a.of))
    if not (isinstance(a, Elementwise) and a.op == "/"):
        return a
    top, below = a.args
    parts = top.parts if isinstance(top, Hadamard) else (top,)
    frame, inner = _frame(below)
    for k, p in enumerate(parts):
        own, x = _frame(p)
        if frame and own == frame:
            moved = _framed(Elementwise("/", (x, inner)), frame)
            rest = [*parts[:k], *parts[k + 1 :]]
            return hadamard([*rest, moved])
    return a


Frame = tuple[tuple[type[Up | Down | Shift], tuple[Int, Int]], ...]


def _frame(a: Node) -> tuple[Frame, Node]:
    """The movements around a node, and the node."""
    if isinstance(a, Up | Down | Shift):
        frame, inner = _frame(a.of)
        return ((type(a), a.by if isinstance(a, Shift) else a.steps), *frame), inner
    return (), a


def _framed(a: Node, frame: Frame) -> Node:
    for kind, by in reversed(frame):
        a = kind(a, by)
    return a
