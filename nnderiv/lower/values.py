"""An expression -> an array: one statement for each array operation, the small operands first.

`Values` knows the shape of each array by the indices that run along its axes (`Frame`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import combinations
from math import prod

from ..expr import (
    INF,
    ONE,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    free_symbols,
    integer,
    is_indicator,
    map_ints,
    reads,
    reads_data,
    sums_among,
    walk,
)
from ..integer import Int
from ..polynomial import additive_terms, difference, factors, guarded_factors, is_reciprocal, positive_terms, product, signed
from ..program import Program
from ..regular import has_value, is_regular
from ..signs import never_positive
from ..within import readable
from . import cost
from .arrays import Array, Frame, Storage, expand, labels_of, permute
from .by_place import for_each_place, reduced
from .by_tap import EMPTY
from .choices import Choices
from .contract import sum_of_products, times
from .equations.quotients import log_exponents
from .equations.scan import vanishes
from .facts import Facts
from .infinities import is_logsumexp, may_be_masked, may_be_unreachable, may_hold_infinity, sums_up
from .items.form import ADD, DIVIDE, MULTIPLY, NEGATIVE, POWER, SQUARE, SUBTRACT, Operation, call, function
from .limits import clip, limits
from .log_products import logarithm, share_product
from .normal_distribution import with_normal
from .reads import integer_value, read
from .running_logs import running_logsumexp
from .slabs import Slab, cut_sum
from .texts import tuple_text

FUNCTIONS = {
    **{name: function(f"np.{name}") for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "abs")},
    "sign": replace(function("np.sign"), into=""),  # into its own operand it goes by branches, and takes twelve times as long
    "erf": function("_erf"),
    "normal": function("_normal"),  # (1 + erf(x/√2))/2
    "sigmoid": function("_sigmoid"),
    "relu": function("np.maximum", 1, ", 0"),
    "softplus": function("_softplus"),
}
LARGEST = 64  # power of an array that is computed by squares


class Values(Choices):
    """The array of each expression, in the frame of its equation."""

    def __init__(self, program: Program, storage: dict[str, Storage], facts: Facts, dtype: str = "dtype",
                 without: Collection[str] = (), threads: int = 1):
        super().__init__(program, storage, facts, dtype, without, threads)
        self.ratios: frozenset[Expr] = frozenset()  # exponentials in 1 + exp(b − a), a quotient of exponentials
        self.overflows = False  # whether an exponential may, and is divided by
        self.discards = False  # whether something is computed of zeros that are read outside, to be left out in the end

    # -- expressions ---------------------------------------------------------------------------------------------------
    def value(self, frame: Frame, e: Expr) -> Array:
        if isinstance(e, Num):
            return _number(e)
        if isinstance(e, Const):
            return Array("np.inf" if e.name == "inf" else "np.pi")
        if isinstance(e, IntValue):
            return self.integer_as_real(frame, e.value)
        if isinstance(e, Read):
            return self.read(frame, e)
        if isinstance(e, Reduce):
            return self.reduce(frame, e)
        assert isinstance(e, Op)
        if e.op in ("+", "neg"):
            return self.sum_(frame, e)
        if e.op in ("*", "/"):
            return self.product(frame, e)
        if e.op == "**":
            return self.power(frame, e)
        if e.op == "where":
            return self.where(frame, e)
        return self.function(frame, e)

    def read(self, frame: Frame, e: Read) -> Array:
        """A read; one that is more than basic indexing is a statement of its own, so that it is made once."""
        array = read(frame, e.tensor, e.subs)
        return permute(frame.keep(array.origin), array.labels) if "(" in array.origin.text else array

    def integer_as_real(self, frame: Frame, value: Int) -> Array:
        labels = tuple(frame.vectors(value))
        if not labels and not value.elements():
            text = frame.integer(value)
            return Array(text, (), 9 if text.isidentifier() or text.isdigit() or _is_call(text) else 5)
        array = integer_value(frame, value, labels)
        return frame.make(call(f"{{0}}.astype({self.dtype})", 9), [array], labels)

    def broadcast(self, frame: Frame, array: Array, labels: tuple[str, ...]) -> Array:
        if array.labels == labels:
            return array
        shape = tuple_text(frame.size(i) for i in labels)
        value = expand(array, labels).text if array.labels else f"{self.dtype}.type({array.text})"
        return frame.keep(Array(f"np.broadcast_to({value}, {shape})", labels, 9, True))

    def sum_(self, frame: Frame, e: Op) -> Array:
        """Terms over the same indices first, so that small sums stay small; before them exp(x) − 1, or x + exp(x) − 1 would lose x."""
        if (normal := with_normal(e)) != e:
            return self.value(frame, normal)
        if (share := self.log_share(frame, e)) is not None:
            return share
        terms = positive_terms(e)
        groups: dict[frozenset[str], Array] = {}
        minus: set[frozenset[str]] = set()  # groups whose sum is to be subtracted
        if len(terms) > 2 and (near := self.near_a_number(terms)) is not None:
            above, below = (self.value(frame, t) for t in near)
            terms = [t for t in terms if t[1] not in near]
            together = frame.combine(SUBTRACT, above, below)
            groups[frozenset(together.labels)] = together
        for sign, t in sorted(terms, key=lambda t: -t[0]):
            a = self.value(frame, t)
            labels = frozenset(a.labels)
            if labels not in groups:
                groups[labels] = a
                minus |= {labels} if sign < 0 else set()
            else:
                same = (sign < 0) == (labels in minus)
                groups[labels] = frame.combine(ADD if same else SUBTRACT, groups[labels], a)
        total: Array | None = None
        for labels, a in sorted(groups.items(), key=lambda g: g[0] in minus):
            if total is None:
                total = _negative(frame, a) if labels in minus else a
            else:
                total = frame.combine(SUBTRACT if labels in minus else ADD, total, a)
        assert total is not None
        return total

    def near_a_number(self, terms: Sequence[tuple[int, Expr]]) -> tuple[Expr, Expr] | None:
        """(c exp(x), d) of terms c exp(x) − d, or (d, c exp(x)) of d − c exp(x): the two that cancel where x is small."""
        exps = [(s, t) for s, t in terms if self.is_exponential([f for f in factors(t) if not isinstance(f, Num)])]
        numbers = [(s, t) for s, t in terms if isinstance(t, Num)]
        if len(exps) != 1 or len(numbers) != 1 or exps[0][0] == numbers[0][0]:
            return None
        return (exps[0][1], numbers[0][1]) if exps[0][0] > 0 else (numbers[0][1], exps[0][1])

    def is_exponential(self, parts: Sequence[Expr]) -> bool:
        """Whether these factors are one exponential, or one tensor of them."""
        if len(parts) == 1 and isinstance(parts[0], Read):
            parts = [d.body for d in self.facts.definitions.get(parts[0].tensor, ())]
        return len(parts) == 1 and isinstance(parts[0], Op) and parts[0].op == "exp"

    def product(self, frame: Frame, e: Op) -> Array:
        """Factors over few indices first, where they are among those of another, so that small products stay small."""
        if (scaled := self.scaled_sum(frame, e)) is not None:
            return scaled
        if (normal := with_normal(e)) != e:
            return self.value(frame, normal)
        above, below = _fraction(e)
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

    def power(self, frame: Frame, e: Op) -> Array:
        base, exponent = self.operand(frame, e, e.args[0]), e.args[1]
        n = exponent.value if isinstance(exponent, Num) and base.labels else Fraction(0)
        if "squares" not in self.without and n.denominator <= 2 and -LARGEST <= n < 0:
            return frame.combine(DIVIDE, Array("1"), self.power(frame, Op("**", (e.args[0], Num(-n)))))
        if n.denominator == 1 and 1 <= n <= (LARGEST if "squares" not in self.without else 3):
            return self.whole_power(frame, base, int(n))
        if n.denominator == 2 and 0 < n < 4:
            total = frame.make(FUNCTIONS["sqrt"], [base], base.labels)
            for _ in range(int(n)):
                total = frame.combine(MULTIPLY, base, total)
            return total
        return frame.combine(POWER, base, self.value(frame, exponent))

    def whole_power(self, frame: Frame, x: Array, n: int) -> Array:
        """x^n by squares: NumPy's power takes a logarithm and an exponential."""
        if n == 1:
            return x
        if n % 2:
            return frame.combine(MULTIPLY, self.whole_power(frame, x, n - 1), x)
        return frame.make(SQUARE, [self.whole_power(frame, x, n // 2)], x.labels)

    def function(self, frame: Frame, e: Op) -> Array:
        if (held := self.held(frame, e)) is not None:
            return held
        if e.op in ("max", "min") and len(e.args) == 2:
            a, b = (self.value(frame, x) for x in e.args)
            if not a.labels and not b.labels and not reads_data(e):
                return Array(f"{e.op}({a.text}, {b.text})")  # of Python numbers: NumPy's would widen float32
            return frame.combine(function(f"np.{e.op}imum", 2), a, b)
        if e.op == "exp" and e not in self.ratios and (difference := self.difference_from_lse(frame, e.args[0])) is not None:
            return difference
        if e.op == "exp" and (ratio := self.ratio_of_exps(frame, e.args[0])) is not None:
            return ratio
        if "shifted" not in self.without and (exps := log_exponents(e)):
            return self.log_of_exps(frame, exps)
        x = self.operand(frame, e, e.args[0])
        if e.op == "silu":
            total = frame.combine(MULTIPLY, x, frame.make(FUNCTIONS["sigmoid"], [x], x.labels))
        elif e.op == "gelu":
            total = frame.combine(MULTIPLY, x, frame.make(FUNCTIONS["normal"], [x], x.labels))
        elif e.op == "sqrt" and not x.labels and not reads_data(e.args[0]) and self.has_value(frame, e):
            return Array(f"{x.at_least(9)}**0.5", (), 8)
        elif e.op == "softplus" and x.labels and never_positive(e.args[0]):
            total = frame.make(function("_log1p"), [frame.make(FUNCTIONS["exp"], [x], x.labels)], x.labels)
        else:
            total = frame.make(FUNCTIONS[e.op], [x], x.labels)
        # A Python number in, a Python number out: it must not widen float32.
        return total if x.labels or reads_data(e.args[0]) else Array(f"float({total.text})")

    def held(self, frame: Frame, e: Op) -> Array | None:
        """An array, held between two numbers; short ones, in loops, go to np.maximum faster."""
        x, low, high = limits(e)
        if "clip" in self.without or frame.loops or x == e or not (array := self.value(frame, x)).labels:
            return None
        return frame.make(clip(low, high), [array], array.labels)

    # -- exponentials and their logarithms -----------------------------------------------------------------------------
    def log_of_exps(self, frame: Frame, exps: Sequence[Expr]) -> Array:
        """log(exp(a) + exp(b) + …), shifted; log exp(a) is a, as where a sum of exponentials has one term left."""
        if len(exps) == 1:
            return self.value(frame, exps[0])
        arrays, labels = self.aligned(frame, [self.value(frame, x) for x in exps])
        places = ", ".join(f"{{{k}}}" for k in range(len(arrays)))
        return frame.make(call(f"_log_of_exps({places})", *[0]*len(arrays)), arrays, labels)

    def difference_from_lse(self, frame: Frame, e: Expr) -> Array | None:
        """exp(S − lse) where rows of S may be −inf altogether."""
        terms = additive_terms(e)
        lse = [t for s, t in terms if s < 0 and isinstance(t, Read) and is_logsumexp(self.program, t.tensor)]
        if len(lse) != 1:
            return None
        rest = signed([(s, t) for s, t in terms if t is not lse[0]])
        if not may_hold_infinity(self.program, lse[0].tensor):
            return None
        return frame.combine(function("_exp_difference", 2), self.value(frame, rest), self.value(frame, lse[0]))

    def log_share(self, frame: Frame, e: Op) -> Array | None:
        """S − lse, of rows of S that may be −inf altogether: what has no share of anything has −inf for its logarithm."""
        scores, total = difference(e) or (None, None)
        if scores is None or total is None or not sums_up(self.program, total.tensor, scores) or not may_be_masked(self.program, scores):
            return None
        return frame.combine(function("_log_difference", 2), self.value(frame, scores), self.value(frame, total))

    def ratio_of_exps(self, frame: Frame, e: Expr) -> Array | None:
        """exp(a − b) where both may be −inf, as the scores of states that cannot be reached are; not of what a maximum is taken from."""
        terms = additive_terms(e)
        masked = [any(n == INF or isinstance(n, Read) and may_be_unreachable(self.program, n) for n in walk(t)) for _, t in terms]
        largest = [d.body for s, t in terms if s < 0 and isinstance(t, Read) for d in self.program.definitions.get(t.tensor, ())]
        signs = {s for (s, _), m in zip(terms, masked, strict=True) if m}
        if signs != {1, -1} or any(isinstance(b, Reduce) and b.op == "max" for b in largest):
            return None
        above, below = (self.value(frame, signed([(1, t) for s, t in terms if s == sign])) for sign in (1, -1))
        return frame.combine(function("_exp_ratio", 2), above, below)

    # -- reductions ----------------------------------------------------------------------------------------------------
    def reduce(self, frame: Frame, e: Reduce, scale: Sequence[Expr] = ()) -> Array:
        if e.op in ("max", "min") and not self.as_written:
            with self.exactly():
                return self.reduce(frame, e, scale)
        if e.op == "sum" and (part := self.part_of_sum(frame, e)) is not None:
            return self.reduce(replace(frame, ranges=part.ranges), Reduce("sum", e.indices, part.values), scale)
        if "by_place" not in self.without and (walked := self.place_by_place(frame, e, scale)) is not None:
            return walked
        is_lse, is_outside = partial(is_logsumexp, self.program), partial(vanishes, self.program, frame.known)
        if e.op == "sum" and (found := self.count(frame, e)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum" and (found := self.share_of_step(frame, e)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum" and (found := share_product(frame, self.value, e, is_lse, is_outside)) is not None:
            return self.scaled(frame, found, scale)
        if e.op == "sum":
            finite = all(map(self.facts.is_finite, guarded_factors(e.body)[1]))
            return sum_of_products(
                frame, e.body, e.indices, self.value, lambda c, a: self.only_where(frame, c, a, finite), scale)
        if e.op == "logsumexp" and (found := logarithm(frame, self.value, e)) is not None:
            return found
        if "running" not in self.without and (found := running_logsumexp(frame, self.value, e)) is not None:
            return found
        return self.along_axes(frame, e)

    def count(self, frame: Frame, e: Reduce) -> Array | None:
        """For how many entries a condition on data holds: no array of ones and zeros to be added up."""
        c = e.body.args[0] if is_indicator(e.body) else None
        if c is None or not reads_data(c) or labels_of(frame, c) != {*e.indices}:
            return None
        return frame.number(Array(f"np.count_nonzero({self.condition(frame, c).text})"))

    def share_of_step(self, frame: Frame, e: Reduce) -> Array | None:
        """A sum of shares for which there is a function (`shares.of_steps`)."""
        if e not in self.shares:
            return None
        found, name, step = self.shares[e]
        w = permute(self.value(frame, found.w), (*found.rows, *found.columns))
        operands = [Array(name), Array(frame.integer(step)), w]
        total = frame.make(call("{0}({1}, {2})", 9, 0, 0), operands, (*found.rows, found.own))
        return permute(total, frame.sort(total.labels))

    def part_of_sum(self, frame: Frame, e: Reduce) -> Slab | None:
        """The parts of what a sum runs over, if its terms are 0 outside of these."""
        if "slabs" in self.without or frame.loops or frame.views:
            return None
        part = cut_sum(e, frame.ranges, frame.storage, self.positive, self.facts.is_finite)
        if part is not None:
            self.name_parts(part.ranges)
        return part

    def place_by_place(self, frame: Frame, e: Reduce, scale: Sequence[Expr]) -> Array | None:
        """A reduction over windows, times these factors, where they are walked through."""
        inner, outer = self.what_is_summed(e)
        total = reduced(self, frame, inner)
        if total is None:
            total, outer = for_each_place(self, frame, e), []
        return None if total is None else self.scaled(frame, total, [*outer, *scale])

    def scaled(self, frame: Frame, total: Array, by: Iterable[Expr]) -> Array:
        """An array times these factors, divided by what is in a denominator last."""
        for f in sorted(by, key=is_reciprocal):
            total = times(frame, total, f, lambda x: self.value(frame, x))
        return total

    def along_axes(self, frame: Frame, e: Reduce) -> Array:
        """max, min or logsumexp along axes of one array."""
        edge = EMPTY["min" if e.op == "min" else "max"]
        if isinstance(e.body, Read) and not any(s.elements() for s in e.body.subs) and self.may_leave(frame, e.body):
            body = read(frame, e.body.tensor, e.body.subs, edge)
        else:
            frame = self.reduced_first(frame, e)
            body = self.value(frame, e.body)
        labels = frame.sort(set(body.labels) | set(e.indices))
        if set(e.indices) - set(body.labels):
            body = self.broadcast(frame, body, labels)
        axis = axes_text(body, frame.sort(e.indices))
        left = tuple(x for x in body.labels if x not in e.indices)
        if e.op == "logsumexp":
            return frame.make(call(f"_logsumexp({{0}}, {axis})", 0), [body], left)
        if len(e.indices) == 1 and body.labels[0] != e.indices[0] and cost.may_be_few(frame.ranges[e.indices[0]].size):
            return frame.make(call(f"_extreme(np.{e.op}imum, {{0}}, {axis}, {edge})", 0), [body], left)
        return frame.make(call(f"{{0}}.{e.op}({axis}, initial={edge})", 9), [body], left)

    def what_is_summed(self, e: Reduce) -> tuple[Reduce, list[Expr]]:
        """Σ_k x[k] and s, 1/c of Σ_k x[k] s/c: finite factors that are the same for all places, of which there may be none."""
        above, below = _fraction(e.body) if e.op == "sum" and isinstance(e.body, Op) and e.body.op in ("*", "/") else ([e.body], [])
        divided = [(f, Op("/", (ONE, f))) for f in below]
        outer = [f for f in [*above, *(f for _, f in divided)] if free_symbols(f).isdisjoint(e.indices) and self.facts.is_finite(f)]
        left = [f for f in above if f not in outer]
        if not outer or not left:
            return e, []
        body = product(left)
        for f, reciprocal in divided:
            body = body if reciprocal in outer else Op("/", (body, f))
        return replace(e, body=body), outer

    def may_leave(self, frame: Frame, r: Read) -> bool:
        """Whether some place at which a tensor is read may lie outside it, also where sizes are 0."""
        sizes = self.positive & {*self.program.sizes}
        return bool(readable(self.program.hulls[r.tensor], r.subs, frame.known, self.positive, sizes))

    def reduced_first(self, frame: Frame, e: Reduce) -> Frame:
        """The frame with what is reduced in front, where the array is made here of smaller ones: long rows are merged, none is summed."""
        labels = labels_of(frame, e.body)
        rest = cost.entries(frame.ranges[i].size for i in labels - {*e.indices})
        stored = any(labels_of(frame, r) == labels for r in reads(e.body))
        if "front" in self.without or stored or rest < cost.entries(frame.ranges[i].size for i in e.indices):
            return frame
        return replace(frame, order=(*frame.sort(e.indices), *(i for i in frame.order if i not in e.indices)))


def axes_text(array: Array, indices: Sequence[str]) -> str:
    axes = [array.labels.index(i) for i in indices]
    return str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"


def _negative(frame: Frame, a: Array) -> Array:
    """−a. That of a product of numbers is one of its first factor: -2*x/N, and not -(2*x/N)."""
    outside = a.text
    while (inside := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = inside
    if a.labels or a.binding != MULTIPLY.binding or " @ " in outside:
        return frame.make(NEGATIVE, [a], a.labels)
    return replace(a, text=f"-{a.text}")


def _in_turn(frame: Frame, found: Sequence[tuple[Array, Operation]]) -> Array:
    """The product of all, one after the other."""
    first, operation = found[0]
    total = first if operation is MULTIPLY else frame.combine(DIVIDE, Array("1"), first)
    for array, operation in found[1:]:
        total = frame.combine(operation, total, array)
    return total


def _fraction(e: Op) -> tuple[list[Expr], list[Expr]]:
    above: list[Expr] = []
    below: list[Expr] = []
    for f in factors(e):
        if is_reciprocal(f):
            below.append(f.args[1])
        elif isinstance(f, Num) and f.value.numerator == 1 and f.value.denominator != 1:
            below.append(Num(f.value**-1))
        else:
            above.append(f)
    return above, below


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


def _is_call(text: str) -> bool:
    """Whether a text is max(N, 1), or the like."""
    return re.fullmatch(r"(max|min)\([^()]*\)", text) is not None


def _number(e: Num) -> Array:
    v = e.value
    text = str(v.numerator) if v.denominator == 1 else repr(float(v))
    return Array(text, (), 9 if v >= 0 else 5)




def _is_always_numpy(e: Expr) -> bool:
    """Whether a value is one of NumPy's, whatever is chosen: not so of where(c, x, 0)."""
    return all(map(_is_always_numpy, e.args[1:])) if isinstance(e, Op) and e.op == "where" else reads_data(e)
