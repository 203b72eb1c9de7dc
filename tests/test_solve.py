"""Solving α(i, r) = a: every solution is one, and none is lost."""

from __future__ import annotations

import itertools

import pytest

from nnderiv.expr import IntValue, Op
from nnderiv.fresh import Fresh
from nnderiv.integer import Int
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


def test_output_indices_go_first() -> None:
    found = solve([i + u], [a], ["i"], ["u"], Fresh({"i", "u", "a"}), set())
    assert found.values == {"i": a - u}
    assert found.conditions == []
