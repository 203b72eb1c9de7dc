"""Does the check notice a wrong gradient? Every gradient of every layer, made wrong in one place: python -m tests.mutants

    sign        a side of an equation, or one term of a sum, with the other sign
    transpose   two subscripts of a read, exchanged
    shift       a subscript of a read, moved by one
    factor      one factor of a product, left out

A mutant counts if some gradient differs from the right one at random inputs; those that differ nowhere are the same gradient,
written in another way. Each that counts must be refuted by ``check``, or must make it fail. Exit code 1 if one survives.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random

from nnderiv import Derivation, layers
from nnderiv.check import check
from nnderiv.draw import draw, flat, number
from nnderiv.errors import NNDerivError
from nnderiv.evaluate import evaluate
from nnderiv.expr import Expr, Op, Read, Reduce, neg, walk

SAMPLES = 3
Change = Callable[[Expr], Iterator[Expr]]


@dataclass(frozen=True)
class Mutant:
    """A derivation with one equation of its gradient program made wrong."""

    layer: str
    kind: str
    was: str
    became: str
    derivation: Derivation


@dataclass(frozen=True)
class Verdict:
    layer: str
    kind: str
    was: str
    became: str
    outcome: str  # "caught", "same" or "survived"


# ---- making something wrong


def _signs(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Op) and e.op == "+":
        yield from (Op("+", (*e.args[:k], neg(e.args[k]), *e.args[k + 1 :])) for k in range(len(e.args)))


def _transposes(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Read):
        for a, b in combinations(range(len(e.subs)), 2):
            subs = list(e.subs)
            subs[a], subs[b] = subs[b], subs[a]
            if tuple(subs) != e.subs:
                yield Read(e.tensor, tuple(subs))


def _shifts(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Read):
        yield from (Read(e.tensor, (*e.subs[:k], e.subs[k] + 1, *e.subs[k + 1 :])) for k in range(len(e.subs)))


def _factors(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Op) and e.op == "*":
        for k in range(len(e.args)):
            rest = (*e.args[:k], *e.args[k + 1 :])
            yield rest[0] if len(rest) == 1 else Op("*", rest)


CHANGES: dict[str, Change] = {"sign": _signs, "transpose": _transposes, "shift": _shifts, "factor": _factors}


def anywhere(e: Expr, change: Change) -> Iterator[Expr]:
    """The expression with one of its parts changed, in every way there is."""
    yield from change(e)
    if isinstance(e, Op):
        for k, arg in enumerate(e.args):
            yield from (Op(e.op, (*e.args[:k], other, *e.args[k + 1 :])) for other in anywhere(arg, change))
    if isinstance(e, Reduce):
        yield from (Reduce(e.op, e.indices, other) for other in anywhere(e.body, change))


def mutants(layer: str, d: Derivation) -> Iterator[Mutant]:
    """Everything that can be made wrong in the equations that the derivation adds to the forward program.

    The gradient of an input that a `given` binds is free: labels whose rows sum to 1 move along 0, and a constant for each row is not seen.
    """
    given = d.gradients.forward.definitions
    bound = {node.tensor for fact in d.forward.givens for node in walk(fact) if isinstance(node, Read)}
    free = {name for x, name in d.gradients.names.items() if x in bound}
    for place, e in enumerate(d.backward.equations):
        if e.tensor in given or e.tensor in free:
            continue
        wrong = [("sign", neg(e.body))] + [(kind, body) for kind, change in CHANGES.items() for body in anywhere(e.body, change)]
        for kind, body in wrong:
            equations = list(d.backward.equations)
            equations[place] = replace(e, body=body)
            backward = replace(d.backward, equations=tuple(equations))
            changed = replace(d, gradients=replace(d.gradients, backward=backward))
            yield Mutant(layer, kind, str(e), str(equations[place]), changed)


# ---- judging it


def judge(m: Mutant) -> Verdict:
    try:
        caught = not check(m.derivation, seed=0, trials=3, code=False).ok
    except NNDerivError:
        caught = True
    outcome = "caught" if caught else "survived" if differs(m) else "same"
    return Verdict(m.layer, m.kind, m.was, m.became, outcome)


def differs(m: Mutant) -> bool:
    """Whether some gradient has another value than it should at one of a few random inputs."""
    right, rng = layers.ALL[m.layer].derivation, Random(1)
    for _ in range(SAMPLES):
        sample = draw(right.forward, rng, "positive")
        outputs = evaluate(right.forward, sample.inputs)
        seeds = {seed: _filled(outputs[y], lambda: number(rng)) for y, seed in right.gradients.seeds.items()}
        expected, found = (evaluate(d.backward, {**sample.inputs, **seeds}) for d in (right, m.derivation))
        pairs = [(a, b) for name in expected for a, b in zip(flat(expected[name]), flat(found[name]), strict=True)]
        if any(a != b and abs(float(a - b)) > 1e-30 * (1 + abs(float(a))) for a, b in pairs):
            return True
    return False


def _filled(like: object, make: Callable[[], object]) -> object:
    return [_filled(v, make) for v in like] if isinstance(like, list) else make()


def of_layer(name: str, most: int, seed: int = 0) -> list[Verdict]:
    """The verdicts on the mutants of a layer: on all of them, or on ``most`` drawn at random."""
    found = list(mutants(name, layers.ALL[name].derivation))
    if most and len(found) > most:
        found = Random(f"{seed}/{name}").sample(found, most)
    return [judge(m) for m in found]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=40, help="mutants of each layer, drawn at random; 0: all of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("layers", nargs="*", help="names of layers; all of them where none is named")
    options = parser.parse_args()
    names, began = options.layers or list(layers.ALL), time.monotonic()
    verdicts: list[Verdict] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = [(name, pool.submit(of_layer, name, options.most, options.seed)) for name in names]
        for name, result in waiting:
            new = result.result()
            verdicts += new
            counts = {kind: sum(v.outcome == kind for v in new) for kind in ("caught", "same", "survived")}
            print(f"{time.monotonic() - began:6.0f} s  {name}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), flush=True)
    survivors = [v for v in verdicts if v.outcome == "survived"]
    for v in survivors:
        print(f"SURVIVED  {v.layer} ({v.kind})\n    {v.was}\n    {v.became}")
    caught = sum(v.outcome == "caught" for v in verdicts)
    print(f"{len(verdicts)} mutants of {len(names)} layers, {caught} caught, {len(survivors)} survived")
    return bool(survivors) or not caught


if __name__ == "__main__":
    sys.exit(main())
