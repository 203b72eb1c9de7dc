"""Times that can be compared: medians over blocks that take turns, so that a drift of the machine hits all alike.

Each block belongs to one run and warms its own caches and threads up first. The threads of linear algebra turn for a tenth of a
second after their last work, in the way of others': each block waits until those of the one before sleep.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from .work import Run

REST = 0.15  # seconds: more than OpenBLAS lets its threads wait for work


def measure(runs: Mapping[str, Run], rounds: int = 4, seconds: float = 0.25) -> dict[str, list[float]]:
    """The times of single calls of each run, in milliseconds, over `rounds` blocks of so many seconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name] += block(run, seconds)
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(t) for name, t in times.items()}


def fastest(times: Mapping[str, list[float]]) -> dict[str, float]:
    """What a tenth of the calls stay below: on a machine that others use too, less noisy than the median."""
    return {name: sorted(t)[len(t) // 10] for name, t in times.items()}


def block(run: Run, seconds: float) -> list[float]:
    """The times of single calls in milliseconds, after a rest and two calls that are not counted."""
    time.sleep(REST)
    run(), run()
    times: list[float] = []
    stop = time.perf_counter() + seconds
    while not times or time.perf_counter() < stop:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return times
