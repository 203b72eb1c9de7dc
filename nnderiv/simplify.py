"""Terms of a gradient, brought into the form that a person would write: one table of laws, applied to a fixed point.

A term is  Σ over indices, where the conditions hold, of body.  Each law is a function of its own, with its formula and its
condition in its docstring. A law of one term returns the term as it is where the condition fails, and None where the term is
always 0; a law of several terms returns all of them again. Three properties hold for the whole:

    sound            every law keeps the value for all inputs
    idempotent       what has been simplified stays as it is
    presentation     names, and the order of equations, terms and factors, change names and order of the result only
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from .expr import Expr, add, symbols
from .laws_of_conditions import (
    divide_exactly,
    drop_implied,
    drop_known,
    drop_outside,
    index_alone,
    into_cases,
    may_be_infinite,
    name_data,
    rectify,
    settle_choices,
    settle_conditions,
    settle_divisions,
    split_where,
    truth,
)
from .laws_of_names import join_exponentials, known_sums
from .laws_of_sums import (
    cancel,
    common_sign,
    contract_delta,
    contract_remainder,
    deviations,
    known_totals,
    sum_of_nothing,
    use_givens,
    where_divided,
)
from .laws_of_terms import common_factor, is_negative, join_cases, merge_equal, rename_bound, turn_difference
from .program import Ranges
from .scalar import own_value
from .scalar_laws import common_function, content, either, gaussian, logistic, one_fraction, rectified
from .symmetry import transpose
from .terms import Context, Term, written


@dataclass(frozen=True)
class Law:
    """One line of the table: what it works on, the function, and what a person would call it.

    on: "term" and then "last" (one term), "cases" (terms side by side), "parts" (right-hand sides to be added), "slope" (∂e/∂A).
    """

    on: str
    apply: Callable[..., Any]
    title: str

    @property
    def name(self) -> str:
        return self.apply.__name__

    @property
    def statement(self) -> str:
        """The formula, and the condition under which it holds."""
        return " ".join((self.apply.__doc__ or "").split("\n\n")[0].split())


TABLE = (
    Law("slope", own_value, "recognise the value"),
    Law("slope", content, "common number in front"),
    Law("slope", logistic, "recognise the logistic function"),
    Law("slope", gaussian, "recognise the normal distribution"),
    Law("slope", rectified, "the slope of a relu beside it"),
    Law("slope", one_fraction, "one fraction"),
    Law("slope", either, "one choice of two"),
    Law("slope", common_function, "common factor in front"),
    Law("term", split_where, "condition of a factor"),
    Law("term", settle_conditions, "ranges decide"),
    Law("term", settle_divisions, "small quotients"),
    Law("term", settle_choices, "ranges choose"),
    Law("term", rectify, "above its kink"),
    Law("term", into_cases, "case by case"),
    Law("term", divide_exactly, "exact division"),
    Law("term", name_data, "the same by its plain name"),
    Law("term", transpose, "its own transpose"),
    Law("term", contract_delta, "contract the delta"),
    Law("term", contract_remainder, "one of them leaves no remainder"),
    Law("term", drop_outside, "outside its range"),
    Law("term", sum_of_nothing, "constant summand"),
    Law("term", cancel, "cancel"),
    Law("term", where_divided, "where it is not 0"),
    Law("term", join_exponentials, "the share of a share"),
    Law("term", common_sign, "minus in front"),
    Law("term", deviations, "deviations from the mean"),
    Law("term", use_givens, "use what is given"),
    Law("term", known_totals, "rows that sum to a number"),
    Law("term", known_sums, "a sum that has a name"),
    # What reads imply is dropped last: under a sum every read implies its range, in a lone product only the factors do, so no
    # index may disappear after that.
    Law("last", drop_implied, "out of range is 0"),
    Law("last", drop_known, "0 there already"),
    Law("last", index_alone, "the index alone"),
    Law("cases", join_cases, "join the cases"),
    Law("parts", merge_equal, "add equal terms"),
    Law("parts", common_factor, "common factor"),
    Law("parts", turn_difference, "turn the difference"),
)
TERM, LAST, CASES, PARTS = (tuple(law for law in TABLE if law.on == on) for on in ("term", "last", "cases", "parts"))
TURNS = 50  # more than any term needs; a bound, so that two laws that undo each other could not run for ever


def simplify(term: Term, dims: Ranges, ctx: Context) -> Term | None:
    """The term after all laws, or None where it is always 0; each group of laws is gone through until none of them changes anything."""
    for laws in (TERM, LAST):
        unchanged = 0  # so many laws, one after the other, have left the term as it is
        for law in chain.from_iterable(repeat(laws, TURNS)):
            result = law.apply(term, dims, ctx)
            if result is None:
                if ctx.trace is not None:
                    ctx.trace.append((law.name, None))
                return None
            unchanged = unchanged + 1 if result is term or result == term else 0
            if ctx.trace is not None and not unchanged:
                ctx.trace.append((law.name, result))
            term = result
            if unchanged == len(laws):
                break
    return term


def collect(terms: list[Term], dims: Ranges, ctx: Context, simplified: Sequence[Term] = ()) -> tuple[Expr, Ranges]:
    """The sum of the terms as a right-hand side, and the ranges of all its indices; `simplified`: further terms, which are so already."""
    before = [*(t for t in (simplify(t, dims, ctx) for t in terms) if t is not None), *simplified]
    terms = before
    for law in CASES:
        terms = law.apply(terms)
    settled = set(map(id, before))
    terms = [t for t in (t if id(t) in settled else simplify(t, dims, ctx) for t in terms) if t is not None]
    ranges = dict(dims)
    parts = []
    for t in sorted(terms, key=lambda t: (is_negative(t.body), bool(t.indices or t.conditions))):
        renamed = rename_bound(t, dims, ranges, ctx)
        ranges |= renamed.indices
        parts.append(written(renamed, {**dims, **renamed.indices}, ctx))
    for law in PARTS:
        parts = law.apply(parts, ranges)
    parts.sort(key=is_negative)
    used = {i for e in parts for i in symbols(e)}
    return add(parts), {i: r for i, r in ranges.items() if i in dims or i in used}


__all__ = ["TABLE", "Context", "Law", "Term", "collect", "may_be_infinite", "rename_bound", "simplify", "truth"]
