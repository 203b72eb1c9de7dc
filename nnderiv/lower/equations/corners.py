"""Lines in x that meet, p·x + q up to a number and another one from there on, as maxima and minima.

    p < p′      max(p·x + q, p′·x + q′)                 and a minimum for p > p′
    p, p′, p    p·x + (p′ − p)·max(min(x, b), a) + …    which goes between a and b as p′·x does
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ...expr import ZERO, Expr, Op, num
from ...logarithms import multiplied_out
from ...polynomial import additive_terms, monomials, product, signed

END = Fraction(10)**400  # beyond all numbers


@dataclass(frozen=True)
class Line:
    """p·x + q."""

    p: Fraction
    q: Fraction

    @staticmethod
    def of(e: Expr, x: Expr) -> Line | None:
        terms = dict[tuple[Expr, ...], Fraction]((parts, c) for c, parts in monomials(multiplied_out(e)))
        return Line(terms.get((x,), Fraction(0)), terms.get((), Fraction(0))) if terms.keys() <= {(x,), ()} else None

    def at(self, x: Fraction) -> Fraction:
        return self.p*x + self.q

    def written(self, x: Expr) -> Expr:
        return added(product([num(self.p), x]) if self.p else ZERO, num(self.q)) if self.p or self.q else ZERO


Lines = Sequence[tuple[Line, Fraction]]  # each line, and where it ends, from below; the last one ends nowhere


def beside(below: Lines, above: Lines, bound: Fraction) -> Lines:
    """The lines of what is one function below a number, and another one from there on."""
    if not below or not above:
        return []
    whole = [(line, end) for line, end in below if end < bound]
    whole.append((below[len(whole)][0], bound))
    whole += [(line, end) for line, end in above if end > bound]
    return [(line, end) for k, (line, end) in enumerate(whole) if k == len(whole) - 1 or whole[k + 1][0] != line]


def as_extremes(lines: Lines, x: Expr) -> Expr | None:
    """See the module's docstring."""
    if any(a.at(end) != b.at(end) for (a, end), (b, _) in pairwise(lines)):
        return None
    each, ends = [line for line, _ in lines], [end for _, end in lines[:-1]]
    if len(each) == 2:
        return Op("max" if each[1].p > each[0].p else "min", tuple(line.written(x) for line in each[::-1]))
    if len(each) == 3 and each[0].p == each[2].p:
        rise = each[1].p - each[0].p
        held = Op("max", (Op("min", (x, num(ends[1]))), num(ends[0])))
        return added(Line(each[0].p, each[0].q - rise*ends[0]).written(x), product([num(rise), held]))
    return None


def added(*parts: Expr) -> Expr:
    """The sum of these, and of their terms."""
    return signed([t for e in parts if e != ZERO for t in additive_terms(e)])
