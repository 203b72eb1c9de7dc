"""`never_negative` is a proof or nothing: what it claims holds for every admissible size and index."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from nnderiv.bounds import extreme, inside, never_negative
from nnderiv.integer import Int
from nnderiv.program import Range
from tests.test_integer import ints

i, j, s, u, N, K = (Int.symbol(x) for x in "ijsuNK")
sizes = {"N", "K", "s"}
ranges = {"i": Range.upto(N), "j": Range(Int.of(1), N), "u": Range.upto(s)}


def test_an_index_stays_in_its_range() -> None:
    assert never_negative(i, ranges, sizes)
    assert never_negative(N - 1 - i, ranges, sizes)
    assert not never_negative(i - 1, ranges, sizes)
    assert never_negative(j - 1, ranges, sizes)


def test_sizes_are_at_least_one() -> None:
    assert never_negative(N - 1, {}, sizes)
    assert not never_negative(N - 2, {}, sizes)


def test_windows_stay_inside_where_they_fit() -> None:
    valid = {"i": Range.upto((N - s) // s + 1), "u": Range.upto(s)}
    assert inside(s * i + u, Range.upto(N), valid, sizes)
    assert not inside(s * i + u + 1, Range.upto(N), valid, sizes)


def test_facts_help() -> None:
    assert never_negative(i - K, {}, sizes, [i - K - 1])
    assert not never_negative(i - K, {}, sizes, [K - i])


def test_extremes_put_the_ends_of_ranges_in() -> None:
    assert extreme(2 * i - 3, ranges, True, sizes) == 2 * N - 5
    assert extreme(N - 1 - i, ranges, False, sizes) == 0
    assert extreme((i - 1) * (i - 1), ranges, True, sizes) is None


@settings(max_examples=300, derandomize=True, deadline=None)
@given(ints(2), st.integers(-3, 3))
def test_what_is_proved_holds_everywhere(e: Int, c: int) -> None:
    bounded = {"i": Range.upto(N), "j": Range(Int.of(1), N)}
    if never_negative(e + c, bounded, sizes):
        for n, step in itertools.product((1, 2, 3, 5), (1, 2, 3)):
            for x, y in itertools.product(range(n), range(1, n)):
                assert (e + c).value({"i": x, "j": y, "s": step, "N": n, "K": 1}) >= 0
