"""Solving α(i, r) = a: every solution is one, and none is lost."""

from __future__ import annotations

import itertools

import pytest

from nnderiv.expr import IntValue, Op
from nnderiv.fresh import Fresh
from nnderiv.integer import Int
from nnderiv.program import Range
from nnderiv.solve import solve

i, j, u, a, b, s, p = (Int.symbol(x) for x in "ijuabsp")


def holds(c: object, env: dict[str, int]) -> bool:
    assert isinstance(c, Op)
    left, right = (x.value.value(env) for x in c.args if isinstance(x, IntValue))
    return {"==": left == right, "<": left < right, "<=": left <= right}[c.op]


CASES = {
    "a correlation": [i + u],
    "a stride": [2 * i + u],
    "a parameter": [s * i + u - p],
    "a mirror": [7 - i],
    "a diagonal": [i, i],
    "coupled": [i + j, i - j],
    "a literal": [Int.of(2)],
    "halves": [i // 2],
    "both strided": [2 * i + 3 * u],
    "a remainder": [i % 3],
}


@pytest.mark.parametrize("name", CASES)
def test_solutions_are_exactly_the_places_that_are_read(name: str) -> None:
    subs = CASES[name]
    targets = [a, b][: len(subs)]
    outputs, bound = ["i", "j"], ["u"]
    found = solve(subs, targets, outputs, bound, Fresh({"i", "j", "u", "a", "b", "s", "p"}), {"s", "p"})
    box = range(-1, 6)
    fixed = {"s": 2, "p": 1}
    for place in itertools.product(range(-2, 9), repeat=len(subs)):
        env = fixed | dict(zip("ab", place, strict=False))
        true = {at for at in itertools.product(box, repeat=3)
                if tuple(t.value(fixed | dict(zip("iju", at, strict=True))) for t in subs) == place}
        free = [n for n in (*outputs, *bound) if n not in found.values] + list(found.extra)
        solved = set()
        for values in itertools.product(*(range(r.lo.value(env), r.hi.value(env)) if (r := found.extra.get(n)) else box for n in free)):
            inner = env | dict(zip(free, values, strict=True))
            if all(holds(c, inner) for c in found.conditions):
                at = tuple(inner[n] if n in inner else found.values[n].value(inner) for n in "iju")
                if all(k in box for k in at):
                    assert at not in solved, "a place is found twice"
                    solved.add(at)
        assert solved == true


@pytest.mark.parametrize(("sub", "size", "first", "value"), [
    ((i + u) % s, s, 0, (a - u) % s), ((i - 1) % 5, Int.of(5), 0, (a + 1) % 5), ((3 - i) % s, s, 0, (3 - a) % s),
    ((i + 5) % 12, Int.of(12), 3, (a + 4) % 12 + 3),
])
def test_what_goes_round_in_a_circle_is_turned_back(sub: Int, size: Int, first: int, value: Int) -> None:
    ranges = {"i": Range(Int.of(first), size + first), "a": Range.upto(size), "u": Range.upto(3)}
    found = solve([sub], [a], ["i"], ["u"], Fresh({"i", "u", "a", "s"}), {"s"}, ranges)
    assert not found.conditions and found.values.keys() == {"i"}
    for env in ({"s": n, "u": k} for n in (1, 2, 5) for k in range(3)):
        for place in range(first, first + size.value(env)):
            env |= {"a": sub.value({**env, "i": place})}
            assert found.values["i"].value(env) == value.value(env) == place
    for other in (Range.upto(size + 1), Range.upto(size - 1)):  # a place is read twice, or not at all: that stays a condition
        assert solve([sub], [a], ["i"], ["u"], Fresh({"i", "u", "a", "s"}), {"s"}, ranges | {"i": other}).conditions


@pytest.mark.parametrize(("subs", "sizes", "targets"), [
    ([i // 4, 2 * j + (i // 2) % 2, 2 * u + i % 2], {"i": 4 * s, "j": s, "u": Int.of(3)}, {"a": s, "b": 2 * s, "c": Int.of(6)}),
    ([i % s, 2 * j + i // s // 2, 2 * u + i // s % 2], {"i": 4 * s, "j": s, "u": Int.of(3)}, {"a": s, "b": 2 * s, "c": Int.of(6)}),
    ([s * (i % p) + i // p], {"i": s * p}, {"a": s * p}),
    ([p * p * i + p * (j % p) + u % p, j // p, u // p], {"i": s, "j": s * p, "u": 2 * p}, {"a": s * p * p, "b": s, "c": Int.of(2)}),
    ([(i + 2) % s], {"i": 3 * s}, {"a": s}),
    ([i // s, i % s], {"i": s * p}, {"a": p, "b": s}),
    ([(i // 2) % s, i % 2], {"i": 4 * s}, {"a": s, "b": Int.of(2)}),
    ([i // 2, i // 3], {"i": 6 * s}, {"a": 3 * s, "b": 2 * s}),
    ([i % 2, i % 3], {"i": 6 * s}, {"a": Int.of(2), "b": Int.of(3)}),
    ([2 * j + i % 3], {"i": 3 * s, "j": s}, {"a": 2 * s + 1}),
    ([i - 2 * (i % 2)], {"i": 4 * s}, {"a": 4 * s}),
])
def test_an_index_is_solved_for_by_its_digits(subs: list[Int], sizes: dict[str, Int], targets: dict[str, Int]) -> None:
    ranges = {n: Range.upto(size) for n, size in {**sizes, **targets}.items()}
    found = solve(subs, [Int.symbol(t) for t in targets], ["i", "j"][: len(sizes)], ["u"] if "u" in sizes else [],
                  Fresh({*ranges, "s", "p"}), {"s", "p"}, ranges)
    for fixed in ({"s": 1, "p": 1}, {"s": 2, "p": 1}, {"s": 2, "p": 3}, {"s": 3, "p": 2}):
        boxes = {n: range(size.value(fixed)) for n, size in sizes.items()}
        free = {n: b for n, b in boxes.items() if n not in found.values}
        free |= {n: range(r.lo.value(fixed), r.hi.value(fixed)) for n, r in found.extra.items() if n not in found.values}
        for place in itertools.product(*(range(size.value(fixed)) for size in targets.values())):
            env = fixed | dict(zip(targets, place, strict=True))
            true = [at for at in itertools.product(*boxes.values())
                    if tuple(x.value(fixed | dict(zip(boxes, at, strict=True))) for x in subs) == place]
            solved = []
            for values in itertools.product(*free.values()):
                inner = env | dict(zip(free, values, strict=True))
                at = tuple(inner[n] if n in free else found.values[n].value(inner) for n in boxes)
                if all(holds(c, inner) for c in found.conditions) and all(k in b for k, b in zip(at, boxes.values(), strict=True)):
                    solved.append(at)
            assert sorted(solved) == sorted(true)


def test_output_indices_go_first() -> None:
    found = solve([i + u], [a], ["i"], ["u"], Fresh({"i", "u", "a"}), set())
    assert found.values == {"i": a - u}
    assert found.conditions == []
