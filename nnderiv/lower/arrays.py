"""`Array`: the text of a NumPy expression with a label for each of its axes, the index that runs along it.

Axes always stand in the order of `Frame.order`, so that arrays with different labels can be aligned by inserting axes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..bounds import OneLess, never_ends_early, never_negative
from ..expr import ONE, ZERO, Expr, IntValue, Op, Read, free_symbols, walk
from ..integer import Int
from ..program import Range, Ranges
from .items.form import Code, Operation, Term, call, is_variable

_LEADING = re.compile(r"^:(, :)+,")  # an ellipsis says it shorter, and NumPy reads it faster


@dataclass(frozen=True)
class Array:
    """The text of a NumPy expression and the indices that run along its axes. binding: 9 a name or call, 6 *, 5 +, 4 a comparison."""

    text: str
    labels: tuple[str, ...] = ()
    binding: int = 9
    is_view: bool = False  # of somebody else's memory: to be copied before it is handed out
    plain: Array | None = None  # the same values before a transpose
    spread: bool = False  # over fewer indices than what it is aligned with
    row: bool = False  # ... over its last ones

    @property
    def origin(self) -> Array:
        return self.plain or self

    @property
    def term(self) -> Term:
        return Term(self.text, self.binding, self.spread, not self.labels, self.row)

    def at_least(self, binding: int) -> str:
        return self.term.at_least(binding)


@dataclass(frozen=True)
class Storage:
    """Where a tensor's elements are: the variable, and the range that each of its axes holds.

    dropped: axes that are not stored, since the tensor lives within one step of the loops along them.
    inner: the axes without margins, where there are any; in these stand zeros.
    """

    variable: str
    axes: tuple[Range, ...]
    dropped: frozenset[int] = frozenset()
    inner: tuple[Range, ...] = ()

    def places(self, subs: Sequence[Int]) -> list[Int]:
        """Of the subscripts of a read those on the axes that are stored."""
        return [s for k, s in enumerate(subs) if k not in self.dropped]


@dataclass
class Frame:
    """The indices that are arrays here, in the order of the axes, with their ranges; all other names are Python integers."""

    order: tuple[str, ...]
    ranges: Ranges
    positive: frozenset[str]
    storage: dict[str, Storage]
    certain: frozenset[str] = frozenset()  # of the positive ones, those that are so even where something is empty
    sizes: dict[Int, str] = field(default_factory=dict)    # integers that have a name,
    extents: dict[Int, str] = field(default_factory=dict)  # and sizes of ranges that do, those included that are cut off at 0
    loops: Ranges = field(default_factory=dict)  # what the loop variables run over
    code: Code = field(default_factory=Code)  # where the statements go
    views: dict[tuple[str, tuple[Int, ...]], Array] = field(default_factory=dict)  # reads for which there is a view already
    infinite: frozenset[str] = frozenset()  # tensors in which an infinity may stand
    rows: bool = True  # whether sums of products, entry by entry, do without the products in memory
    rolls: bool = True  # whether what is read all around is rolled,
    digits: bool = True  # and what is read at the digits of an index is a view with an axis for each;
    differences: bool = True  # and sums of differences do without all of these in memory,
    log_products: bool = True  # and sums of exponentials whose logarithm is asked for without these;
    indicator: bool = True  # and a condition on what is finite is a factor of 0 and 1
    dtype: str = "dtype"

    @property
    def known(self) -> Ranges:
        return {**self.loops, **self.ranges}

    @property
    def less(self) -> Mapping[str, Int]:
        """Sizes by what is at least 0 where they are at least 1: what holds of these holds where something is empty too."""
        return OneLess(self.positive - self.certain)

    def number(self, array: Array) -> Array:
        """A Python number as one of NumPy, which knows division by zero."""
        return Array(f"{self.dtype}.type({array.text})")

    def may_vanish(self, e: Expr) -> bool:
        """Whether integers make e zero, or may where something is empty."""
        def is_zero(n: Expr) -> bool:
            one = isinstance(n, Op) and n.op == "log"  # whose logarithm is 0
            value = n.args[0] if isinstance(n, Op) and one else n
            if isinstance(value, IntValue):
                apart = value.value.subst(self.less) - one
                return not any(never_negative(sign*apart - 1, self.known, self.positive) for sign in (1, -1))
            return value == (ONE if one else ZERO)

        return any(map(is_zero, walk(e)))

    def sort(self, labels: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(labels, key=self.order.index))

    def vectors(self, value: Int) -> list[str]:
        """The array indices in an integer expression."""
        names = value.symbols()
        return [i for i in self.order if i in names]

    def size(self, index: str) -> str:
        """The text of the number of values of an index."""
        return self.extent(self.ranges[index].size)

    def extent(self, size: Int) -> str:
        """The text of the size of a range: 0 where the range ends before it begins, as for a kernel that is larger than its image."""
        if size in self.extents or never_ends_early(size, self.positive - self.certain, self.positive):
            return self.extents.get(size) or self.integer(size)
        return f"max(0, {self.integer(size)})" if not size.is_constant else "0"

    def integer(self, value: Int) -> str:
        """The text of an integer expression without array indices: by the name that the function gave it, if it has one."""
        return self.sizes.get(value) or str(value)

    # -- statements ----------------------------------------------------------------------------------------------------------
    def stored(self, array: Array) -> Read:
        """An array that has a variable, as a tensor that is read."""
        self.storage[array.text] = Storage(array.text, tuple(self.ranges[i] for i in array.labels))
        return Read(array.text, tuple(map(Int.symbol, array.labels)))

    def shape(self, labels: Iterable[str]) -> tuple[Int, ...]:
        return tuple(self.ranges[i].size for i in labels)

    def make(self, operation: Operation, operands: Iterable[Array], labels: tuple[str, ...], real: bool = True) -> Array:
        """The result of an operation as a statement of its own; a scalar stays an expression."""
        terms = [a.term for a in operands]
        if not labels:
            return Array(operation.text(terms), (), operation.binding)
        return Array(self.code.make(operation, terms, self.shape(labels), real), labels)

    def combine(self, operation: Operation, a: Array, b: Array, real: bool = True) -> Array:
        """An elementwise operation on two arrays, aligned."""
        labels = self.sort({*a.labels, *b.labels})
        return self.make(operation, [expand(a, labels), expand(b, labels)], labels, real)

    def keep(self, array: Array, hint: str = "") -> Array:
        """An expression that is more than a variable as a statement of its own."""
        if is_variable(array.text) or not array.labels:
            return array
        plain = call("{0}", 0, binding=array.binding, owns=False)
        return Array(self.code.make(plain, [array.term], self.shape(array.labels), hint=hint), array.labels, 9, array.is_view)


def labels_of(frame: Frame, e: Expr) -> frozenset[str]:
    """The indices that run along axes of an expression."""
    return frozenset(free_symbols(e) & set(frame.order))


def permute(array: Array, labels: Sequence[str]) -> Array:
    """The array with its axes in this order; a second transpose replaces the first."""
    array, labels = array.origin, tuple(labels)
    if labels == array.labels:
        return array
    axes = [array.labels.index(x) for x in labels]
    k = len(axes)
    if axes == [1, 0]:
        how = "T"
    elif k > 2 and axes == [*range(k - 2), k - 1, k - 2]:
        how = "mT"
    elif axes == [1, 0, *range(2, k)]:
        how = "swapaxes(0, 1)"
    else:
        how = f"transpose({', '.join(map(str, axes))})"
    return Array(f"{array.at_least(9)}.{how}", labels, 9, array.is_view, array)


def cut(array: Array, frame: Frame, image: Collection[str]) -> Array:
    """The array as far as these indices go, without what is of no use at the ends of its rows."""
    parts = [f":{frame.size(i)}" if i in image else ":" for i in array.labels]
    return Array(f"{array.text}[{', '.join(parts)}]", array.labels, 9, True)


def expand(array: Array, labels: Sequence[str]) -> Array:
    """The array with axes of length 1 for the labels that it lacks; leading ones are left to broadcasting."""
    wanted = tuple(labels)
    assert set(array.labels) <= set(wanted), (array, wanted)
    spread = len(array.labels) < len(wanted)
    while wanted and wanted[0] not in array.labels:
        wanted = wanted[1:]
    if wanted == array.labels or not array.labels:
        return Array(array.text, wanted, array.binding, array.is_view, spread=spread, row=spread) if array.labels else array
    inserted = ", ".join(":" if x in array.labels else "None" for x in wanted)
    if inserted.endswith("None"):
        inserted = _LEADING.sub("...,", inserted)
    while inserted.endswith(", :") and array.labels:
        inserted = inserted[:-3]
    return Array(f"{array.at_least(9)}[{inserted}]", wanted, 9, array.is_view, spread=spread)
