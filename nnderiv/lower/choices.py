"""Conditions, masks and choices -> arrays: what a condition keeps is multiplied by 0 and 1 where that is as exact, and chosen elsewhere."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..expr import COMPARISONS, ONE, ZERO, Expr, IntValue, Num, Op, free_symbols, ints, is_indicator, num, reads, reads_data, where
from ..facts import Facts
from ..integer import Int
from ..polynomial import factors, product
from ..program import Program
from .arrays import Array, Frame, Storage, expand, labels_of
from .equations.slopes import Choice
from .items.form import ADD, MULTIPLY, ONLY_WHERE, SUBTRACT, Operation, call
from .reads import integer_value
from .writer import Writer

WHERE = Operation("np.where({0}, {1}, {2})", (0, 0, 0), into="_masked({1}, {0}, {2})", only=1)
AT_ONCE = replace(WHERE, into="", only=None)  # all or nothing
BY_BITS = replace(WHERE, template="_where({0}, {1}, {2})")


class Choices(Writer):
    """The arrays of what is chosen, in the frame of its equation."""

    def __init__(self, program: Program, storage: dict[str, Storage], facts: Facts, dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        super().__init__(program, storage, facts.absent, dtype, without, threads)
        self.as_written = False  # products are to be computed in the order in which they stand
        self.facts = facts

    @abstractmethod
    def value(self, frame: Frame, e: Expr) -> Array: ...

    # -- choices -----------------------------------------------------------------------------------------------------
    def where(self, frame: Frame, e: Op) -> Array:
        if (slope := self.slope(frame, e)) is not None:
            return slope
        if e.args[1] == ZERO != e.args[2] and "indicator" not in self.without and reads_data(e.args[0]):
            e = Op("where", (Op("not", (e.args[0],)), e.args[2], ZERO))
        condition = self.condition(frame, e.args[0])
        if is_indicator(e) and condition.labels:
            return self.as_real(frame, condition)
        if e.args[2] == ZERO and self.may_multiply(frame, e.args[1], condition):
            if self.masks_beside(frame, parts := [*factors(e.args[1]), where(e.args[0], ONE, ZERO)]):
                return self.value(frame, product(parts))
            x = self.value(frame, e.args[1])
            return frame.combine(MULTIPLY, x if x.labels else Array(f"{self.dtype}.type({x.text})"), condition)
        above, below = e.args[1:]
        if isinstance(above, Num) and isinstance(below, Num) and condition.labels and self.is_choice_by_data(frame, e):
            return self.between_numbers(frame, above, below, condition)
        if e.args[2] == ZERO and (chosen := self.few_chosen(frame, e, condition)) is not None:
            return self.value(frame, chosen)
        a, b = (self.value(frame, x) for x in e.args[1:])
        if not condition.labels and a.labels == b.labels:
            return Array(f"({a.text} if {condition.text} else {b.text})", a.labels, 9, True)
        return self.chosen(frame, e.args[0], condition, a, b)

    def may_multiply(self, frame: Frame, e: Expr, condition: Array) -> bool:
        """Whether where(c, e, 0) is e·c, with one condition for all or a mask that has as many entries: np.where is slow where the next
        entry is hard to guess."""
        labels = free_symbols(e) & set(frame.order)
        is_array = bool(labels) or isinstance(e, Num) and bool(condition.labels)
        fits = not condition.labels or labels <= set(condition.labels)
        return "indicator" not in self.without and is_array and fits and self.facts.is_finite(e)

    def few_chosen(self, frame: Frame, e: Op, condition: Array) -> Expr | None:
        """where(c[n], s[n] x[n,d], 0) as where(c[n], s[n], 0) x[n,d] with finite x: a condition over few indices chooses among few."""
        parts = factors(e.args[1])
        few = [f for f in parts if free_symbols(f) & set(frame.order) <= {*condition.labels}]
        rest = [f for f in parts if f not in few]
        wanted = few or any(v.elements() for v in ints(e.args[0]))
        if "indicator" in self.without or not wanted or not condition.labels or not rest or not all(map(self.facts.is_finite, rest)):
            return None
        return product([Op("where", (e.args[0], product(few), ZERO)), *rest])

    def only_where(self, frame: Frame, e: Expr, array: Array, finite: bool) -> Array:
        """The array where a condition holds, and 0 otherwise; whatever the array holds then, if it is not known to be finite."""
        condition = self.condition(frame, e)
        if not array.labels and not condition.labels:
            return Array(f"({array.text} if {condition.text} else {self.dtype}.type(0))")
        if finite and "indicator" not in self.without and condition.labels and {*array.labels} <= {*condition.labels}:
            mask = condition if array.labels else self.as_real(frame, condition)
            return mask if array.text == "1" else frame.combine(MULTIPLY, array, mask)
        return self.chosen(frame, e, condition, array, Array("0"))

    def chosen(self, frame: Frame, e: Expr, condition: Array, a: Array, b: Array) -> Array:
        """a where the condition e holds, and b elsewhere: by bits, if that may change from one entry to the next."""
        (c, a, b), labels = self.aligned(frame, [condition, a, b])
        x, y = (x if x.labels else Array(f"{self.dtype}.type({x.text})") for x in (a, b))
        changes = "indicator" not in self.without and labels[-1] in condition.labels and reads_data(e)
        if changes and b.text == "0":
            return frame.make(ONLY_WHERE, [c, x], labels)
        return frame.make(BY_BITS if changes else WHERE if condition.labels else AT_ONCE, [c, x, y], labels)

    def aligned(self, frame: Frame, arrays: Sequence[Array]) -> tuple[list[Array], tuple[str, ...]]:
        labels = frame.sort({x for a in arrays for x in a.labels})
        return [expand(a, labels) for a in arrays], labels

    # -- slopes of maxima, and numbers beside masks -----------------------------------------------------------------------
    def slope(self, frame: Frame, e: Op) -> Array | None:
        """where(a > b, x, where(a = b, (x + y)/2, y)) by the slope s of max(a, b) with a, 1 or 1/2 or 0: x·s + y·(1 − s), or y + (x − y)·s
        for numbers."""
        found = Choice.of(e) if self.is_choice_by_data(frame, e) else None
        if found is None or not (self.facts.is_finite(found.above) and self.facts.is_finite(found.below)):
            return None
        slope = self.slope_of(frame, found.more)
        if found.is_slope:
            return self.as_real(frame, slope)
        above, below = found.above, found.below
        if isinstance(above, Num) and isinstance(below, Num):
            return self.between_numbers(frame, above, below, slope)
        total = self.with_number(frame, MULTIPLY, above, slope)
        if below == ZERO:
            return total
        rest = frame.combine(SUBTRACT, Array(f"{self.dtype}.type(1)"), slope)
        return frame.combine(ADD, total, self.with_number(frame, MULTIPLY, below, rest))

    def slope_of(self, frame: Frame, more: Op) -> Array:
        """How a maximum changes with what is more, or less: a mask, or what is 1, 1/2 or 0 where there are ties."""
        with self.exactly():
            a, b = (self.value(frame, x) for x in more.args)
        larger = (a, b) if more.op == ">" else (b, a)
        return frame.combine(call(f"_slope({{0}}, {{1}}, {self.dtype})", 0, 0), *larger, real=False)

    def between_numbers(self, frame: Frame, a: Num, b: Num, mask: Array) -> Array:
        """a where a mask is 1, b where it is 0."""
        return self.with_number(frame, ADD, b, self.with_number(frame, MULTIPLY, num(a.value - b.value), mask))

    def with_number(self, frame: Frame, operation: Operation, e: Expr, array: Array) -> Array:
        """e·array or e + array; a number of the right kind, since the array may be one too."""
        if e == (ONE if operation is MULTIPLY else ZERO):
            return array
        value = self.value(frame, e)
        return frame.combine(operation, value if reads_data(e) else Array(f"{self.dtype}.type({value.text})"), array)

    def is_choice_by_data(self, frame: Frame, e: Expr) -> bool:
        """Whether data choose for each entry, and may do so by arithmetic."""
        condition = e.args[0] if isinstance(e, Op) and e.op == "where" and "indicator" not in self.without else ZERO
        return bool(reads(condition)) and bool(free_symbols(condition) & {*frame.order})

    def masks_beside(self, frame: Frame, parts: Sequence[Expr]) -> list[Expr]:
        """The slopes of maxima among factors, and the conditions that stand beside one, if there is an array that they are a mask of,
        or of each other."""
        found = [f for f in parts if self.is_mask(frame, f)]
        slopes = any(not is_indicator(f) for f in found)
        return found if slopes and (len(found) > 1 or any(labels_of(frame, f) for f in parts if f not in found)) else []

    def is_mask(self, frame: Frame, f: Expr) -> bool:
        """Whether a factor is 1, 1/2 or 0, as data or indices say."""
        choice = Choice.of(f) if self.is_choice_by_data(frame, f) else None
        return choice is not None and choice.is_slope or is_indicator(f) and bool(labels_of(frame, f))

    def in_one_mask(self, frame: Frame, masks: Sequence[Expr]) -> Array:
        """The product of masks, of one byte for each entry, before they meet what is longer."""
        choices = [(f, Choice.of(f)) for f in masks]
        total, *others = [self.slope_of(frame, c.more) if c else self.condition(frame, f.args[0]) for f, c in choices if isinstance(f, Op)]
        for a in others:
            total = frame.combine(MULTIPLY, total, a, real=False)
        return total

    def as_real(self, frame: Frame, mask: Array) -> Array:
        """A mask as an array of numbers."""
        return frame.make(call(f"{{0}}.astype({self.dtype})", 9), [mask], mask.labels)

    @contextmanager
    def exactly(self) -> Iterator[None]:
        """Products in the order in which they are written: what a maximum is compared with must have the same bits as the maximum."""
        before, self.as_written = self.as_written, True
        yield
        self.as_written = before

    # -- conditions ----------------------------------------------------------------------------------------------------
    def condition(self, frame: Frame, e: Expr) -> Array:
        assert isinstance(e, Op)
        if e.op in ("true", "false"):
            return Array("True" if e.op == "true" else "False")
        if e.op in ("and", "or"):
            return self.junction(frame, e)
        if e.op == "not":
            inner = self.condition(frame, e.args[0])
            if not inner.labels:
                return Array(f"not ({inner.text})", (), 4)
            return frame.make(call("~{0}", 9, binding=7), [inner], inner.labels, real=False)
        assert e.op in COMPARISONS
        if all(isinstance(x, IntValue | Num) for x in e.args):
            return self.integer_comparison(frame, e)
        with self.exactly():
            a, b = (self.value(frame, x) for x in e.args)
        return frame.combine(call(f"{{0}} {e.op} {{1}}", 5, 5, binding=4), a, b, real=False)

    def junction(self, frame: Frame, e: Op) -> Array:
        """and, or: conditions over few indices first."""
        parts = sorted((self.condition(frame, a) for a in e.args), key=lambda a: len(a.labels))
        if not parts[-1].labels:
            return Array(f" {e.op} ".join(f"({a.text})" for a in parts), (), 2)
        total, both = parts[0], call(f"{{0}} {'&' if e.op == 'and' else '|'} {{1}}", 9, 9, binding=4)
        for a in parts[1:]:
            total = frame.combine(both, total, a, real=False)
        return total

    def integer_comparison(self, frame: Frame, e: Op) -> Array:
        values = [x.value for x in e.args if isinstance(x, IntValue | Num)]
        labels = frame.sort({i for v in values if isinstance(v, Int) for i in frame.vectors(v)})
        operands = []
        for v in values:
            if isinstance(v, Int):
                operands.append(integer_value(frame, v, labels if frame.vectors(v) else ()))
            else:
                operands.append(Array(str(v) if v.denominator == 1 else repr(float(v)), (), 9 if v >= 0 else 5))
        return frame.make(call(f"{{0}} {e.op} {{1}}", 5, 5, binding=4), operands, labels, real=False)
