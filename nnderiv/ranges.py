"""Drafts of equations -> equations with a range for every index, and the requirements that are checked at run time.

A plain subscript settles a range: in x[t,n,j] the index n runs over the second dimension of x. What no plain subscript
settles takes the largest interval of non-negative indices for which every read stays inside. A `for` clause wins over both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from . import conditions
from .bounds import OneLess, extreme, never_negative
from .elaborate import Draft
from .errors import NotationError
from .expr import Expr, IntValue, Op, Read, Reduce, bound_indices, children, conjuncts, ints, map_children, walk
from .graph import cycles
from .integer import FloorDiv, Int
from .learned import learned
from .program import Equation, Input, Program, Range, Ranges, Requirement

Access = tuple[str, tuple[Int, ...]]


def accesses(e: Expr) -> Iterator[Access]:
    """Every read of a real or integer tensor in e: (tensor, subscripts)."""
    for node in walk(e):
        if isinstance(node, Read):
            yield node.tensor, node.subs
    for value in ints(e):
        for element in value.elements():
            yield element.tensor, element.subs


def accesses_under(e: Expr, conditions: tuple[Expr, ...] = ()) -> Iterator[tuple[str, tuple[Int, ...], tuple[Expr, ...]]]:
    """The same, each with the conditions of the `where`s around it."""
    if isinstance(e, Read):
        yield e.tensor, e.subs, conditions
    for value in e.subs if isinstance(e, Read) else (e.value,) if isinstance(e, IntValue) else ():
        for element in value.elements():
            yield element.tensor, element.subs, conditions
    if isinstance(e, Op) and e.op == "where":
        yield from accesses_under(e.args[0], conditions)
        yield from accesses_under(e.args[1], (*conditions, e.args[0]))
        yield from accesses_under(e.args[2], (*conditions, Op("not", (e.args[0],))))
    else:
        for child in children(e):
            yield from accesses_under(child, conditions)


@dataclass
class _Item:
    """An equation on its way: its ranges so far, and the names whose ranges are still open."""

    equation: Equation
    ranges: Ranges
    open: list[str]
    again: dict[str, str]


Rule = Callable[[_Item, str], Range | None]


class Inference:
    """Settles ranges equation by equation until nothing is left open; see the module's docstring for the rules."""

    def __init__(self, text: str, inputs: tuple[Input, ...], drafts: list[Draft], givens: list[Expr]):
        self.text = text
        self.inputs = inputs
        self.kinds = {i.name: i.kind for i in inputs}
        self.requirements: list[Requirement] = []
        self.dims: dict[str, tuple[Range | None, ...]] = {i.name: tuple(Range.upto(d) for d in i.dims) for i in inputs}
        self.positive = {a for i in inputs for d in i.dims for a in d.symbols()} | {*self._divisors(drafts), *self._given(givens)}
        self.items = [self._item(d) for d in drafts]
        self.by_tensor: dict[str, list[_Item]] = {}
        for item in self.items:
            self.by_tensor.setdefault(item.equation.tensor, []).append(item)
        self._rules = (self._from_cycle, self._inside, self._from_own_dimension, self._from_readers)
        self.readers: dict[str, list[_Item]] = {}
        for item in self.items:
            for name in item.equation.reads:
                self.readers.setdefault(name, []).append(item)
        self.cycles = cycles({n: {r for i in items for r in i.equation.reads} for n, items in self.by_tensor.items()})

    def _divisors(self, drafts: list[Draft]) -> list[str]:
        """Integer parameters that multiply an index or divide: they must be at least 1, or a range would be empty or endless."""
        steps = [n for s in learned(self.inputs) for n in sorted(s.step.symbols())]
        found: dict[str, None] = {n: None for n in steps if self.kinds.get(n) == "int"}
        for d in drafts:
            values = [s for _, subs in accesses(d.equation.body) for s in subs] + [b for pair in d.bounds.values() for b in pair]
            for value in values:
                for monomial in value.terms:
                    if len(monomial) > 1:
                        found.update((a, None) for a in monomial if isinstance(a, str) and self.kinds.get(a) == "int")
                for atom in value.atoms():
                    if isinstance(atom, FloorDiv):
                        found.update((a, None) for a in atom.bottom.symbols() if self.kinds.get(a) == "int")
        for n in found:
            reason = f"the parameter {n} multiplies or divides an index or a size"
            self.requirements.append(Requirement(Int.symbol(n), ">=", Int.of(1), reason))
        return list(found)

    def _given(self, givens: list[Expr]) -> list[str]:
        """Integer parameters of which it is given that they are at least 1: the distance of a recurrence, say, which then goes ahead."""
        slacks = [f for fact in givens for c in conjuncts(fact) for f in conditions.facts(c)]
        found = [n for f in slacks for n in sorted(f.symbols()) if self.kinds.get(n) == "int" and never_negative(Int.symbol(n) - 1 - f, {})]
        self.requirements += [Requirement(Int.symbol(n), ">=", Int.of(1), f"that is given of the parameter {n}") for n in found]
        return found

    def _item(self, draft: Draft) -> _Item:
        e = draft.equation
        left = [s.name for s in e.subs if s.name is not None and s.name not in self.kinds and s.name not in self.positive]
        names = list(dict.fromkeys([*left, *bound_indices(e.body)]))
        ranges = {}
        for name, (lo, hi) in draft.bounds.items():
            if name not in names:
                self.fail(f"{name} is not an index of this equation.", "A for clause sets the range of an index of its equation.", e)
            ranges[name] = Range(lo, hi)
        return _Item(e, ranges, [n for n in names if n not in ranges], draft.again)

    def fail(self, reason: str, repair: str, e: Equation) -> NoReturn:
        raise NotationError(reason, repair, self.text, e.position)

    # -- the loop ----------------------------------------------------------------------------------------------------
    def run(self) -> tuple[tuple[Equation, ...], dict[str, tuple[Range, ...]], tuple[Requirement, ...]]:
        self._settle_dims(self.by_tensor)
        pending = list(self.items)
        while pending:
            queue = pending
            while queue:
                queue = self._sweep(queue)
            pending = [i for i in self.items if i.open]
            if pending and not any(self._try(i, rule) for rule in self._rules for i in pending):
                self._unsettled(pending[0])
        self._settle_dims(self.by_tensor)
        for name, dims in self.dims.items():
            assert all(d is not None for d in dims), name
        shapes = {name: tuple(d for d in self.dims[name] if d is not None) for name in self.by_tensor}
        for item in self.items:
            self._refuse_negative(item)
            self._require_equal(item)
            _share_letters(item)
        equations = tuple(_cut(item, self.by_tensor[item.equation.tensor], shapes[item.equation.tensor]) for item in self.items)
        return equations, shapes, tuple(dict.fromkeys(self.requirements))

    def _refuse_negative(self, item: _Item) -> None:
        for name, r in item.ranges.items():
            if r.size.is_constant and r.size.constant < 0:
                self.fail(f"{name} can take no value in the equation of {item.equation.tensor}: it would run over {r}.",
                          f"Shift the subscript in which {name} stands, or set its range: … for {name} < …", item.equation)

    def _sweep(self, queue: list[_Item]) -> list[_Item]:
        """Apply the plain rule to each item; return those that read a tensor whose dimensions just became known."""
        changed: dict[str, None] = {}
        for item in queue:
            if self._try(item, self._plain):
                changed[item.equation.tensor] = None
        woken: dict[int, _Item] = {}
        for name in changed:
            for item in [*self.readers.get(name, []), *self.by_tensor[name]]:
                if item.open:
                    woken[id(item)] = item
        return list(woken.values())

    def _try(self, item: _Item, rule: Rule) -> bool:
        progress = False
        for name in list(item.open):
            r = rule(item, name)
            if r is not None:
                item.ranges[name] = r
                item.open.remove(name)
                progress = True
        if progress:
            self._settle_dims([item.equation.tensor])
        return progress

    def _unsettled(self, item: _Item) -> NoReturn:
        name = item.open[0]
        self.fail(f"Nothing settles the range of {name} in the equation of {item.equation.tensor}.",
                  f"Say how far it runs: … for {name} < N, or read a tensor at the plain subscript {name}.", item.equation)

    # -- the rules ---------------------------------------------------------------------------------------------------
    def _plain(self, item: _Item, name: str) -> Range | None:
        """The dimension that the first plain subscript reads."""
        for tensor, subs in accesses(item.equation.body):
            for k, sub in enumerate(subs):
                if sub.name == name and (r := self._dim(tensor, k)) is not None:
                    return r
        return None

    def _dim(self, tensor: str, axis: int) -> Range | None:
        return self.dims[tensor][axis] if tensor in self.dims else None

    def _inside(self, item: _Item, name: str) -> Range | None:
        """The largest interval of non-negative indices for which every read stays inside."""
        lows, highs = [], []
        for tensor, subs in accesses(item.equation.body):
            for k, sub in enumerate(subs):
                if name not in sub.symbols():
                    continue
                limits = self._limits(item, name, sub, self._readable(tensor, k))
                if limits is None and tensor != item.equation.tensor and sub.name != name and not sub.elements():
                    return None
                if limits is not None:
                    lows.append(limits[0])
                    highs.append(limits[1])
        if not highs:
            return None
        known = [lo for lo in lows if not never_negative(-lo, {}, self.positive)]
        return Range(_extreme("max", [Int.of(0), *known], self.positive), _extreme("min", highs, self.positive))

    def _limits(self, item: _Item, name: str, sub: Int, axis: Range | None) -> tuple[Int, Int] | None:
        """(lo, hi) of the index such that lo ≤ index < hi keeps this subscript inside, where the other indices are settled."""
        if axis is None or (sub.symbols() & set(item.open)) - {name} or sub.elements():
            return None
        split = sub.split(name)
        if split is None:
            return None
        coefficient, rest = split
        low, high = (extreme(rest, item.ranges, upper, self.positive) for upper in (False, True))
        if low is None or high is None:
            return None
        if never_negative(coefficient - 1, {}, self.positive):
            return -((low - axis.lo) // coefficient), (axis.hi - 1 - high) // coefficient + 1
        if never_negative(-coefficient - 1, {}, self.positive):
            c = -coefficient
            return -((axis.hi - 1 - high) // c), (low - axis.lo) // c + 1
        return None

    def _readable(self, tensor: str, axis: int) -> Range | None:
        """The dimension widened by base cases outside it."""
        r = self._dim(tensor, axis)
        if r is None or tensor not in self.by_tensor:
            return r
        lo, hi = r.lo, r.hi
        for item in self.by_tensor[tensor]:
            s = item.equation.subs[axis]
            if s.is_constant:
                lo = Int.extreme("min", lo, s)
        return Range(lo, hi)

    def _from_own_dimension(self, item: _Item, name: str) -> Range | None:
        """In a base case, an index that its right-hand side leaves open runs over its tensor's dimension, and the other way round."""
        for k, sub in enumerate(item.equation.subs):
            if sub.name == name and (r := self._dim(item.equation.tensor, k)) is not None:
                return r
        if any(s.name == name for s in item.equation.subs) and not self._has_literal(item.equation):
            k = next(k for k, s in enumerate(item.equation.subs) if s.name == name)
            for base in self.by_tensor[item.equation.tensor]:
                other = base.equation.subs[k].name
                if base is not item and other is not None and other in base.ranges:
                    return base.ranges[other]
        return None

    def _from_cycle(self, item: _Item, name: str) -> Range | None:
        """Within a recurrence all tensors run together: a member that reads this one at a settled subscript says how far."""
        cycle = self.cycles.get(item.equation.tensor, frozenset())
        return self._from_readers(item, name, cycle) if cycle else None

    def _from_readers(self, item: _Item, name: str, among: frozenset[str] | None = None) -> Range | None:
        """Unification goes both ways: an equation that reads this tensor at a plain, settled subscript says how far it runs."""
        for k, sub in enumerate(item.equation.subs):
            if sub.name != name or self._has_literal(item.equation):
                continue
            for reader in self.readers.get(item.equation.tensor, []):
                if among is not None and reader.equation.tensor not in among:
                    continue
                for tensor, subs in accesses(reader.equation.body):
                    if tensor == item.equation.tensor and subs[k].name in reader.ranges and subs[k].name is not None:
                        return reader.ranges[str(subs[k].name)]
        return None

    def _has_literal(self, e: Equation) -> bool:
        return any(s.name is None or s.name in self.kinds or s.name in self.positive for s in e.subs)

    # -- dimensions --------------------------------------------------------------------------------------------------
    def _settle_dims(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.by_tensor:
                items = self.by_tensor[name]
                self.dims[name] = tuple(self._axis(items, k) for k in range(len(items[0].equation.subs)))

    def _axis(self, items: list[_Item], axis: int) -> Range | None:
        """The general range, down to the base cases at 0 and above that lie before it: at 1 they lie before T, but not where T is 0."""
        general = [i for i in items if not self._has_literal(i.equation)]
        points = [i.equation.subs[axis] for i in items if self._is_literal(i, axis)]
        if not general:
            lines = [i for i in items if not self._is_literal(i, axis)]
            if lines:
                return lines[0].ranges.get(str(lines[0].equation.subs[axis].name))
            return self._span(items[0].equation, points)
        r = general[0].ranges.get(str(general[0].equation.subs[axis].name))
        if r is None:
            return None
        before = [p for p in points if p.is_constant and p.constant >= 0 and never_negative(r.lo - p, {}, self.positive)]
        lo = min(before, key=lambda p: p.constant, default=r.lo)
        fewer = OneLess(self.positive - {*self.kinds})
        return Range(lo if never_negative((r.lo - lo).subst(fewer), {}, self.positive) else Int.extreme("min", r.lo, lo), r.hi)

    def _is_literal(self, item: _Item, axis: int) -> bool:
        s = item.equation.subs[axis]
        return s.name is None or s.name in self.kinds or s.name in self.positive

    def _span(self, e: Equation, points: list[Int]) -> Range:
        if not all(p.is_constant for p in points):
            name = next(name for p in points for name in sorted(p.symbols()))
            kind = "an integer parameter" if name in self.kinds else "a size, as the signature has it in brackets"
            self.fail(f"{name} is {kind}: {e.left} is one place of {e.tensor}, and no equation gives the others.",
                      f"For an index, take a letter that the signature does not have; else add a general equation for {e.tensor}.", e)
        values = [p.constant for p in points]
        return Range(Int.of(min(values)), Int.of(max(values) + 1))

    # -- requirements ------------------------------------------------------------------------------------------------
    def _require_equal(self, item: _Item) -> None:
        """Two sizes that one index unifies must be equal."""
        for tensor, subs in accesses(item.equation.body):
            if tensor == item.equation.tensor:  # a recurrence reads what it defines; its range is its own
                continue
            for k, sub in enumerate(subs):
                name, axis = sub.name, self._dim(tensor, k)
                if name is None or name not in item.ranges or name in item.equation.by_hand or axis is None:
                    continue
                for a, b, end in ((item.ranges[name].hi, axis.hi, "ends"), (item.ranges[name].lo, axis.lo, "begins")):
                    if a == b:
                        continue
                    reason = f"in {item.equation.tensor} the index {name} {end} at {a}, and dimension {k} of {tensor} {end} at {b}"
                    if any(never_negative(x - 1, {}, self.positive) for x in (a - b, b - a)):  # T and T + 1, D and 2 D
                        self._disagree(item, name, reason, axis)
                    if not any({r.left, r.right} == {a, b} for r in self.requirements if r.op == "=="):
                        self.requirements.append(Requirement(a, "==", b, reason))

    def _disagree(self, item: _Item, name: str, reason: str, axis: Range) -> NoReturn:
        """Two ranges that never agree: a tensor that ends before its base case is to reach it; otherwise the index runs over both."""
        own = item.ranges[name]
        both = Range(_extreme("max", [own.lo, axis.lo], self.positive), _extreme("min", [own.hi, axis.hi], self.positive))
        longer = _extreme("max", [own.hi, axis.hi], self.positive)
        found = self._before_its_base(_plain_reads(item.equation, name), longer)
        if found is not None:
            e, index, base = found
            self.fail(f"Sizes disagree: {reason}. {e.tensor} ends before its base case {base.left}.",
                      f"Say that it reaches it: {e.left} = … for {index} < {longer}", e)
        self.fail(f"Sizes disagree: {reason}.", f"Set the range by hand: … for {both.clause(name)}", item.equation)

    def _before_its_base(self, places: list[tuple[str, int]], end: Int) -> tuple[Equation, str, Equation] | None:
        """(equation, its index, base case) of the first tensor that stops just before its base case at end − 1.

        places: the axes where to look, and from there what gives them their ranges.
        """
        todo = list(places)
        for tensor, axis in todo:
            items = self.by_tensor.get(tensor, [])
            general = next((i.equation for i in items if not self._has_literal(i.equation)), None)
            mine = self._dim(tensor, axis)
            if general is None or mine is None:
                continue
            index = str(general.subs[axis].name)
            base = next((i.equation for i in items if self._is_literal(i, axis) and i.equation.subs[axis] == mine.hi == end - 1), None)
            if base is not None:
                return general, index, base
            todo += [place for place in _plain_reads(general, index) if place not in todo]
        return None


def _extreme(op: str, values: list[Int], positive: set[str]) -> Int:
    """min or max of the values, without those that another one provably beats."""
    kept = list(dict.fromkeys(values))
    for v in list(kept):
        gaps = [(w - v) if op == "max" else (v - w) for w in kept if w is not v]
        if any(never_negative(g, {}, positive) for g in gaps):
            kept.remove(v)
    return Int.extreme(op, *kept)


def _plain_reads(e: Equation, index: str) -> list[tuple[str, int]]:
    """(tensor, axis) wherever an index stands alone in a subscript."""
    return [(tensor, k) for tensor, subs in accesses(e.body) for k, s in enumerate(subs) if s.name == index]


def _share_letters(item: _Item) -> None:
    """A letter that was bound again beside its first reduction, over the same range, is the same letter."""
    same = {new: old for new, old in item.again.items() if item.ranges.get(new) == item.ranges.get(old)}
    if same:
        item.equation = replace(item.equation, body=_rename_bound(item.equation.body, same))
        item.ranges = {n: r for n, r in item.ranges.items() if n not in same}


def _rename_bound(e: Expr, names: dict[str, str]) -> Expr:
    """Everywhere at once, the indices of reductions and of softmaxes inside them too: the letters do not meet in one scope."""
    values = {new: Int.symbol(old) for new, old in names.items()}

    def rename(node: Expr) -> Expr:
        if isinstance(node, Reduce):
            return Reduce(node.op, tuple(names.get(i, i) for i in node.indices), rename(node.body))
        if isinstance(node, Read):
            return node.subst(values)
        return IntValue(node.value.subst(values)) if isinstance(node, IntValue) else map_children(rename, node)

    return rename(e)


def _cut(item: _Item, siblings: list[_Item], dims: tuple[Range, ...]) -> Equation:
    """The equation with its final ranges: it begins after (or ends before) base cases that cover a whole face of it."""
    ranges = dict(item.ranges)
    e = replace(item.equation, ranges=ranges)
    mine = {k: s for k, s in enumerate(e.subs) if s.name not in ranges}
    lines = [(base, at) for base in siblings if len(at := _literal(base)) > len(mine)]  # they win over this one

    def covered(fixed: dict[int, Int]) -> bool:
        """Whether base cases define every place where these subscripts are so, the first or the last of a line by another one."""
        return any(at.items() <= fixed.items() and all(goes_on(base, j, fixed) for j in range(len(dims)) if j not in at)
                   for base, at in lines)

    def goes_on(base: _Item, j: int, fixed: dict[int, Int]) -> bool:
        if j in mine:
            return False
        there, own = base.ranges[str(base.equation.subs[j].name)], ranges[str(e.subs[j].name)]
        if there in (own, dims[j]):
            return True
        if j in fixed:
            return False  # whether the base case is there is another question
        ends = {own.lo: Range(own.lo + 1, own.hi), own.hi - 1: Range(own.lo, own.hi - 1)}
        return any(there == rest and covered({**fixed, j: end}) for end, rest in ends.items())

    for _, at in lines:
        further = [k for k in at if k not in mine]
        if len(further) != 1 or not mine.items() <= at.items() or not covered(at):
            continue
        k, name = further[0], str(e.subs[further[0]].name)
        r = ranges[name]
        if r.size.is_constant and r.size.constant <= 0:
            continue  # there is nothing to cut off
        if at[k] == r.lo:
            ranges[name] = Range(r.lo + 1, r.hi)
        elif at[k] == r.hi - 1:
            ranges[name] = Range(r.lo, at[k])
    return replace(e, ranges=ranges)


def _literal(item: _Item) -> dict[int, Int]:
    """The subscripts on the left, by their axes, that are no index of the equation."""
    return {k: s for k, s in enumerate(item.equation.subs) if s.name is None or s.name not in item.ranges}


def infer(text: str, inputs: tuple[Input, ...], drafts: list[Draft], outputs: tuple[str, ...], givens: list[Expr], title: str) -> Program:
    """The program, with every range settled."""
    equations, shapes, requirements = Inference(text, inputs, drafts, givens).run()
    return Program(inputs, outputs, equations, shapes, tuple(givens), requirements, title)
