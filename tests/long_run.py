"""Every law on many random programs: python -m tests.long_run --programs 10000 --seed 0 [--jobs 2] [--laws derived,emitted] [--near]

Prints its progress, then each kind of failure once, with the smallest text that showed it, and for each law on how many programs it
found nothing to compare. Exit code 1 on any failure, and if a law compared nothing at all.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from random import Random

from tests.laws import LAWS, Nothing
from tests.neighbours import neighbour
from tests.strategies import random_program

BATCH = 20
Source = Callable[[Random], str]


@dataclass(frozen=True)
class Failure:
    number: int
    law: str
    kind: str
    text: str
    message: str


@dataclass
class Found:
    """What some programs showed: failures, and how often each law had nothing to compare."""

    failures: list[Failure] = field(default_factory=list)
    nothing: Counter[str] = field(default_factory=Counter)


def attempt(source: Source, seed: int, number: int, names: list[str], found: Found) -> None:
    """The laws on one random program; the program depends on its source and on (seed, number) only."""
    text = ""
    for law in names:
        try:
            text = text or source(Random(f"{seed}/{number}"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                LAWS[law](text, seed + number)
        except Nothing:
            found.nothing[law] += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
            found.failures.append(Failure(number, law, kind, text, str(error)))


def batch(source: Source, seed: int, first: int, last: int, names: list[str]) -> Found:
    found = Found()
    for number in range(first, last):
        attempt(source, seed, number, names, found)
    return found


def run(source: Source, seed: int, first: int, programs: int, jobs: int, names: list[str]) -> Iterator[tuple[int, Found]]:
    """(programs done, what was found) batch by batch."""
    spans = [(k, min(k + BATCH, first + programs)) for k in range(first, first + programs, BATCH)]
    if jobs == 1:
        for start, stop in spans:
            yield stop - start, batch(source, seed, start, stop, names)
        return
    with ProcessPoolExecutor(jobs) as pool:
        pending = [pool.submit(batch, source, seed, start, stop, names) for start, stop in spans]
        for (start, stop), future in zip(spans, pending, strict=True):
            yield stop - start, future.result()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.long_run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=10_000, help="how many programs (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same programs (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each core, %(default)s)")
    parser.add_argument("--laws", default=",".join(LAWS), help="which laws, by comma (default: %(default)s)")
    parser.add_argument("--near", action="store_true", help="programs near to those of the zoo, in place of random ones")
    options = parser.parse_args(arguments)
    names = options.laws.split(",")
    unknown = [n for n in names if n not in LAWS]
    if unknown:
        parser.error(f"there is no law {unknown[0]}; there are {', '.join(LAWS)}")
    source: Source = neighbour if options.near else random_program
    failures: list[Failure] = []
    nothing: Counter[str] = Counter()
    done, start = 0, time.monotonic()
    for count, found in run(source, options.seed, options.first, options.programs, options.jobs, names):
        done += count
        failures += found.failures
        nothing += found.nothing
        for f in found.failures:
            print(f"\rnumber {f.number} breaks {f.law}: {f.kind}", file=sys.stderr)
        rate = done / max(time.monotonic() - start, 1e-9)
        print(f"\r{done}/{options.programs} programs, {len(failures)} failures, {rate:.1f} a second", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    show(failures)
    for law in (n for n in names if nothing[n]):
        print(f"{law} found nothing to compare on {nothing[law]} of {done} programs")
    print(f"seed {options.seed}, from {options.first}: {done} programs, laws {', '.join(names)}: {len(failures)} failures")
    return 1 if failures or any(nothing[law] == done for law in names) else 0


def show(failures: list[Failure]) -> None:
    """Each kind once, with its smallest text."""
    kinds: dict[tuple[str, str], list[Failure]] = {}
    for f in failures:
        kinds.setdefault((f.law, f.kind), []).append(f)
    for (law, kind), found in kinds.items():
        smallest = min(found, key=lambda f: len(f.text))
        print(f"\n== {law}: {kind}, {len(found)} programs; the smallest is number {smallest.number}:")
        print(f"{smallest.text}\n-- {smallest.message}")


if __name__ == "__main__":
    sys.exit(main())
