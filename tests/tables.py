"""Random tables whose entries wait for their neighbours, as texts: steps along two axes, in either direction, edges, a batch."""

from __future__ import annotations

from random import Random

DOWN, ACROSS = ((1, 0), (1, 0), (2, 0)), ((0, 1), (0, 1), (0, 2))
STEPS = (*DOWN, *ACROSS, (1, 1), (1, 1), (2, 1), (1, 2), (1, -1))


def random_table(rng: Random) -> str:
    """One table over i and j, or two that need each other; perhaps inside a batch n, with a matrix W over k at every entry."""
    ways = rng.choice((1, 1, -1)), rng.choice((1, 1, -1))
    lead, trail = rng.choice(("", "", "n,")), rng.choice(("", "", ",k"))
    inputs = [f"x[{'N,' if lead else ''}I,J]", "q[I]", "r[J]", "c", *(["W[K,K]"] if trail else [])]
    table = _Table(rng, ways, lead, trail)
    lines = [table.general("D", "E"), *table.edges("D")]
    if rng.random() < 0.3:
        lines.append(f"E[{lead}i,j{trail}] = {rng.choice(('q[i]', 'r[j]', 'c'))}*D[{lead}i,j{trail}] + {table.read('D')}/3")
    else:
        lines = [line.replace("E[", "D[") for line in lines]
    rng.shuffle(lines)
    return "\n".join([f"{', '.join(inputs)} -> D", *lines])


class _Table:
    def __init__(self, rng: Random, ways: tuple[int, int], lead: str, trail: str):
        self.rng, self.ways, self.lead, self.trail = rng, ways, lead, trail

    def read(self, tensor: str, among: tuple[tuple[int, int], ...] = STEPS) -> str:
        """An entry that lies before (i, j)."""
        steps = [-way*step for way, step in zip(self.ways, self.rng.choice(among), strict=True)]
        place = ",".join(x + (f"{s:+d}" if s else "") for x, s in zip("ij", steps, strict=True))
        if self.trail and self.rng.random() < 0.5:
            return f"sum[l](W[k,l]*{tensor}[{self.lead}{place},l])"
        return f"{tensor}[{self.lead}{place}{self.trail}]"

    def general(self, own: str, other: str) -> str:
        rng = self.rng
        kinds = (DOWN, ACROSS, STEPS)[:rng.choice((2, 2, 3))] if rng.random() < 0.85 else (STEPS, STEPS)
        reads = [self.read(rng.choice((own, own, other)), kind) for kind in kinds]
        weights = ["0.5", "q[i]", "r[j]", "c", f"x[{self.lead}i,j]", "sin(x[" + self.lead + "i,j])*r[j]", "1/(1 + i + 2*j)"]
        kind = rng.random()
        if kind < 0.25:
            mixed = f"min({reads[0]}, {' + '.join(reads[1:])} + 0.3)"
        elif kind < 0.4:
            mixed = f"log({' + '.join(f'exp({r})' for r in reads)})"
        else:
            mixed = " + ".join(f"{rng.choice(weights)}*{r}" for r in reads)
        if rng.random() < 0.2:
            mixed = f"where({rng.choice(('i + j > 1', 'j < i + 2', 'i > 0 and j > 0', 'j == 1'))}, {mixed}, {rng.choice(('0', 'c'))})"
        mixed = f"{mixed} + x[{self.lead}i,j]" if rng.random() < 0.7 else mixed
        ranges = f"{'n < N, ' if self.lead else ''}i < I, j < J{', k < K' if self.trail else ''}"
        return f"{own}[{self.lead}i,j{self.trail}] = {rng.choice(('tanh', 'sin', ''))}({mixed}) for {ranges}"

    def edges(self, own: str) -> list[str]:
        """Base cases on lines and at points of the table, or just outside."""
        rng, found = self.rng, []
        rest = [s for s, there in (("n < N", self.lead), ("k < K", self.trail)) if there]
        outside = rng.random() < 0.5
        low, high = ("-1", "-1") if outside else ("0", "0")
        first = low if self.ways[0] > 0 else f"I{'' if outside else '-1'}"
        second = high if self.ways[1] > 0 else f"J{'' if outside else '-1'}"
        for place, body, bounds in ((f"{first},j", "c*j", ["j < J"]), (f"i,{second}", "q[i]", ["i < I"]), (f"{first},{second}", "0.5", [])):
            if rng.random() < 0.4:
                clause = f" for {', '.join([*bounds, *rest])}" if [*bounds, *rest] else ""
                found.append(f"{own}[{self.lead}{place}{self.trail}] = {body}{clause}")
        return found
