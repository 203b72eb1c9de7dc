"""An expression -> an array: one statement for each array operation, the small operands first; `products` and `reductions` have theirs.

`Values` knows the shape of each array by the indices that run along its axes (`Frame`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from ..expr import INF, Const, Expr, IntValue, Num, Op, Read, Reduce, reads_data, walk
from ..integer import Int
from ..polynomial import additive_terms, difference, factors, positive_terms, signed
from ..signs import never_positive
from .arrays import Array, Frame, permute
from .equations.quotients import log_exponents
from .infinities import is_logsumexp, may_be_masked, may_be_unreachable, may_hold_infinity, sums_up
from .items.form import ADD, DIVIDE, MULTIPLY, NEGATIVE, POWER, SQUARE, SUBTRACT, call, function
from .limits import clip, limits
from .normal_distribution import with_normal
from .products import Products
from .reads import integer_value, read
from .texts import is_atom

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


class Values(Products):
    """The array of each expression, in the frame of its equation."""

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
            return Array(text, (), 9 if is_atom(text) else 5)
        array = integer_value(frame, value, labels)
        return frame.make(call(f"{{0}}.astype({self.dtype})", 9), [array], labels)

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


def _negative(frame: Frame, a: Array) -> Array:
    """−a. That of a product of numbers is one of its first factor: -2*x/N, and not -(2*x/N)."""
    outside = a.text
    while (inside := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = inside
    if a.labels or a.binding != MULTIPLY.binding or " @ " in outside:
        return frame.make(NEGATIVE, [a], a.labels)
    return replace(a, text=f"-{a.text}")


def _number(e: Num) -> Array:
    v = e.value
    text = str(v.numerator) if v.denominator == 1 else repr(float(v))
    return Array(text, (), 9 if v >= 0 else 5)
