"""A product -> an array: quotients are one, small operands come first, and masks among the factors are short before they meet long ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import prod

from ..expr import ONE, Expr, IntValue, Num, Op, Reduce, free_symbols, integer, map_ints, reads_data, sums_among, walk
from ..facts import Facts
from ..integer import Int
from ..polynomial import additive_terms, factors, fraction, product
from ..program import Program
from ..regular import has_value, is_regular
from .arrays import Array, Frame, Storage, labels_of
from .items.form import DIVIDE, MULTIPLY, Operation
from .normal_distribution import with_normal
from .reductions import Reductions


class Products(Reductions):
    """The arrays of products and quotients, in the frame of their equation."""

    def __init__(self, program: Program, storage: dict[str, Storage], facts: Facts, dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        super().__init__(program, storage, facts, dtype, without, threads)
        self.ratios: frozenset[Expr] = frozenset()  # exponentials in 1 + exp(b − a), a quotient of exponentials

    def product(self, frame: Frame, e: Op) -> Array:
        """Factors over few indices first, where they are among those of another, so that small products stay small."""
        if (scaled := self.scaled_sum(frame, e)) is not None:
            return scaled
        if (normal := with_normal(e)) != e:
            return self.value(frame, normal)
        above, below = fraction(e)
        if self.as_written:
            return _in_turn(frame, self.operands(frame, above, below))
        above, below = _one_number(frame, above, below)
        above, below = _one_scalar(frame, above, below) if "few" not in self.without else (above, below)
        above, below = self.over_exponential(frame, above, below)
        if masks := self.masks_beside(frame, above):
            return self.masked(frame, [f for f in above if f not in masks], below, masks)
        return self.grouped(frame, self.operands(frame, above, below))

    def operands(
        self, frame: Frame, above: Sequence[Expr], below: Sequence[Expr], of_python: bool = True
    ) -> list[tuple[Array, Operation]]:
        """The arrays of factors and divisors; a product that is one of Python's numbers so far is divided by one of NumPy's."""
        found = [(self.value(frame, f), MULTIPLY) for f in above]
        of_python = of_python and not any(a.labels or _is_always_numpy(f) for (a, _), f in zip(found, above, strict=True))
        for f in below:
            with self.of_exponentials(f):
                array = self.operand(frame, Op("/", (ONE, f)), f)
            found.append((frame.number(array) if of_python and not array.labels and frame.may_vanish(f) else array, DIVIDE))
        return found

    def grouped(self, frame: Frame, found: Sequence[tuple[Array, Operation]]) -> Array:
        """The product of these arrays, those over few indices first."""
        groups: dict[frozenset[str], list[tuple[Array, Operation]]] = {}
        for x in sorted(found, key=lambda x: x[1] is DIVIDE):
            groups.setdefault(frozenset(x[0].labels), []).append(x)
        if "few" not in self.without:
            self.few_together(frame, groups)
        for labels in sorted(groups, key=len):
            wider = [g for g in groups if labels < g and groups[g][0][1] is MULTIPLY]
            if wider:
                host, members = min(wider, key=len), groups.pop(labels)
                groups[host] = self.beside(frame, members, groups[host])
        return _in_turn(frame, sorted((x for g in groups.values() for x in g), key=lambda x: x[1] is DIVIDE))

    def over_exponential(self, frame: Frame, above: list[Expr], below: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        """dy·σ(−x) as dy/(1 + exp(x)): nothing is negated for it, and what would be 1/(1 + exp(x)) is no array of its own."""
        for k, f in enumerate(above):
            minus = f.args[0] if isinstance(f, Op) and f.op == "sigmoid" else None
            rest, labels = above[:k] + above[k + 1:], labels_of(frame, f)
            sides = [labels_of(frame, g) for g in (*rest, *below)]
            is_largest = bool(labels) and labels in sides[:len(rest)] and all(side <= labels for side in sides)
            if isinstance(minus, Op) and minus.op == "neg" and is_largest and not frame.loops:
                self.overflows = True
                return rest, [*below, ONE + Op("exp", minus.args)]
        return above, below

    # -- masks among factors -------------------------------------------------------------------------------------------
    def masked(self, frame: Frame, above: list[Expr], below: list[Expr], masks: Sequence[Expr]) -> Array:
        """A product of these factors and masks: the masks, which are short, by themselves first, and their product last."""
        mask = self.in_one_mask(frame, masks)
        if self.is_asked_again(masks) and any(labels_of(frame, f) for f in above):
            above, below, mask = self.scaled_mask(frame, above, below, mask)
        found = self.operands(frame, above, below, of_python=False)
        if any(a.labels for a, operation in found if operation is MULTIPLY):
            return frame.combine(MULTIPLY, self.grouped(frame, found), mask)
        return self.grouped(frame, [(self.as_real(frame, mask), MULTIPLY), *found])

    def is_asked_again(self, masks: Sequence[Expr]) -> bool:
        """Whether several equations ask for these masks."""
        return len(set.intersection(*(self.asking.get(f, set()) for f in masks))) > 1

    @cached_property
    def asking(self) -> Mapping[Expr, set[int]]:
        """The equations that have a choice, by the choice: looked up once for all."""
        found: dict[Expr, set[int]] = {}
        for k, e in enumerate(self.program.equations):
            for n in walk(e.body):
                if isinstance(n, Op) and n.op == "where":
                    found.setdefault(n, set()).add(k)
        return found

    def scaled_mask(
        self, frame: Frame, above: list[Expr], below: list[Expr], mask: Array
    ) -> tuple[list[Expr], list[Expr], Array]:
        """y·[c]/N and z·[c]/N as products with one [c]/N: numbers go to the mask, whose product with an array asks for numbers anyway."""
        for parts, operation in ((above, MULTIPLY), (below, DIVIDE)):
            for f in [f for f in parts if not labels_of(frame, f) and not reads_data(f)]:
                parts.remove(f)
                mask = frame.combine(operation, mask, frame.number(self.value(frame, f)))
        return above, below, mask

    # -- factors over few indices ----------------------------------------------------------------------------------------
    def few_together(self, frame: Frame, groups: dict[frozenset[str], list[tuple[Array, Operation]]]) -> None:
        """X[n,c,i] g[c] / s[n], and over s[n,c]: g/s has entries for n, c only, and X is walked through once, not twice."""
        def divides(labels: frozenset[str]) -> bool:
            return groups[labels][0][1] is DIVIDE

        for a, b in combinations(sorted(groups, key=lambda g: (len(g), divides(g))), 2):
            fits = a and a in groups and b in groups and any(a | b < host and not divides(host) for host in groups)
            if fits and (a | b not in groups or a | b == b and divides(b) and not divides(a)):
                first, second = sorted((a, b), key=lambda g: groups[g][0][1] is DIVIDE)
                parts = [*groups.pop(first), *groups.pop(second)]
                groups[a | b] = self.in_one(frame, parts)

    def in_one(self, frame: Frame, parts: list[tuple[Array, Operation]]) -> list[tuple[Array, Operation]]:
        """One factor, or one divisor, for all."""
        if parts[0][1] is MULTIPLY:
            return [(_in_turn(frame, parts), MULTIPLY)]
        return [(_in_turn(frame, [(x, MULTIPLY) for x, _ in parts]), DIVIDE)]

    @contextmanager
    def of_exponentials(self, below: Expr) -> Iterator[None]:
        """In exp(a)/(exp(a) + exp(b)) = 1/(1 + exp(b − a)), the exponential is no share: where a is −inf it is ∞, and the quotient 0."""
        before, terms = self.ratios, additive_terms(below)
        self.ratios = frozenset(f for _, t in terms for f in factors(t)) if (1, ONE) in terms else before
        yield
        self.ratios = before

    def scaled_sum(self, frame: Frame, e: Op) -> Array | None:
        """c · Σ …, with c the same for all entries: the contraction decides where c is multiplied in."""
        parts = factors(e)
        sums = sums_among(parts)
        others = [f for f in parts if f not in sums]
        if len(sums) != 1 or not others or any(free_symbols(f) & set(frame.order) for f in others) or parts.count(sums[0]) > 1:
            return None
        return self.reduce(frame, Reduce("sum", sums[0].indices, sums[0].body), others)

    def beside(
        self, frame: Frame, few: list[tuple[Array, Operation]], many: list[tuple[Array, Operation]]
    ) -> list[tuple[Array, Operation]]:
        """The factors of both: those over few indices multiplied among themselves, and numbers into the first of the many."""
        first, operation = few[0]
        for x, o in few[1:] if first.labels and operation is MULTIPLY else ():
            first = frame.combine(o, first, x)
        if first.labels:
            return [many[0], (first, operation), *(few[1:] if operation is DIVIDE else ()), *many[1:]]
        total = many[0][0]
        for x, o in few:
            total = frame.combine(o, x, total) if o is MULTIPLY else frame.combine(o, total, x)
        return [(total, MULTIPLY), *many[1:]]

    def operand(self, frame: Frame, e: Op, x: Expr) -> Array:
        """x, for e to work on; a number of NumPy where Python would raise an error or think of complex numbers: 1/(i − j), sqrt(i − j)."""
        array = self.value(frame, x)
        return array if array.labels or reads_data(x) or self.has_value(frame, e) else frame.number(array)

    def has_value(self, frame: Frame, e: Op) -> bool:
        """Whether integers give e a value, provably; at all sizes, but for a quotient, of which `product` knows what is divided."""
        least = map_ints(lambda value: value.subst(frame.less), e)
        at_all = e.op == "/" or not isinstance(least, Op) or has_value(least, frame.known, self.positive)
        return at_all and is_regular(e, frame.known, self.positive)


def _in_turn(frame: Frame, found: Sequence[tuple[Array, Operation]]) -> Array:
    """The product of all, one after the other."""
    first, operation = found[0]
    total = first if operation is MULTIPLY else frame.combine(DIVIDE, Array("1"), first)
    for array, operation in found[1:]:
        total = frame.combine(operation, total, array)
    return total


def _one_number(frame: Frame, above: list[Expr], below: list[Expr]) -> tuple[list[Expr], list[Expr]]:
    """2·X/N as X/(N/2): the array is walked through for one number, not for two. It stays a quotient, as N may be 0 where X is empty."""
    numbers = [f for f in above if isinstance(f, Num)]
    sizes = [f for f in below if isinstance(f, Num | IntValue) and not labels_of(frame, f)]
    scale, rest = prod((f.value for f in numbers), start=Fraction(1)), [f for f in above if f not in numbers]
    if len(numbers) + len(sizes) < 2 or not sizes or not scale or not any(labels_of(frame, f) for f in rest):
        return above, below
    each = [x for f in sizes for x in (_atoms(f.value) if isinstance(f, IntValue) else [f])]
    divisor = product([Num(1/scale), *each] if scale != 1 else each)
    return rest, [*(f for f in below if f not in sizes), *([divisor] if divisor != ONE else [])]


def _one_scalar(frame: Frame, above: list[Expr], below: list[Expr]) -> tuple[list[Expr], list[Expr]]:
    """lam·2·W as (2·lam)·W, and X/2/tau as X/(2·tau): what is the same for all entries is one number before an array meets it."""
    labels = frozenset[str]().union(*(labels_of(frame, f) for f in above))
    numbers, divisors = ([f for f in part if not labels_of(frame, f)] for part in (above, below))
    arrays, quotients = ([f for f in part if labels_of(frame, f)] for part in (above, below))
    if not labels or not any(map(_is_always_numpy, [*numbers, *divisors])):
        return above, below
    if not numbers:
        return above, [*quotients, product(divisors)] if len(divisors) > 1 else below
    by = [(f, _of_no_axis(frame, f, labels)) for f in divisors]
    numbers += [ONE / g for _, g in by if g is not None]
    return ([product(numbers), *arrays], [*quotients, *(f for f, g in by if g is None)]) if len(numbers) > 1 else (above, below)


def _of_no_axis(frame: Frame, divisor: Expr, labels: frozenset[str]) -> Expr | None:
    """What a number may be divided by where it is nothing to an empty array: no size, or max(N, 1), if the array has an axis of N."""
    if not frame.may_vanish(divisor):
        return divisor
    if isinstance(divisor, IntValue) and {*_atoms(divisor.value)} <= {IntValue(frame.ranges[i].size) for i in labels}:
        return integer(Int.extreme("max", Int.of(1), divisor.value))
    return None


def _atoms(size: Int) -> list[Expr]:
    """K and N of K·N."""
    (monomial, count), *others = size.terms.items() or [((), 0)]
    return [IntValue(size)] if others or count != 1 else [IntValue(Int.atom(x)) for x in monomial]


def _is_always_numpy(e: Expr) -> bool:
    """Whether a value is one of NumPy's, whatever is chosen: not so of where(c, x, 0)."""
    return all(map(_is_always_numpy, e.args[1:])) if isinstance(e, Op) and e.op == "where" else reads_data(e)
