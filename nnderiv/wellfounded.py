"""Every element of a program can be computed: a definition that needs itself is refused, and the cycle named.

A recurrence is proved sound by distances (all its reads lie behind, or all ahead, along one axis, and what reads the same
place needs no further cycle). What has no such proof is played through element by element at a few small sizes, following
only reads that are certain to happen; a cycle found there is real. Nothing is refused on suspicion.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from .bounds import never_negative
from .errors import DefinitionError
from .expr import NORMALISERS, Expr, IntValue, Op, Read, Reduce, children, own_reads, reads
from .graph import cycles
from .integer import Int, compact
from .program import Equation, Program
from .sizes import small_sizes

WORK = 4000  # reads that are followed at one choice of sizes
SIZES, PARAMETERS = (4, 3, 5), (1, 2, 3)
Place = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Need:
    """A step of a cycle: an equation's element, and the read in it."""

    equation: Equation
    read: Read


def check_order(program: Program, text: str = "") -> None:
    """Raise DefinitionError if some element needs itself."""
    for cycle in dict.fromkeys(program.components.values()):
        if not is_ordered(program, cycle):
            _play_through(program, cycle, text)


def is_ordered(program: Program, cycle: frozenset[str]) -> bool:
    """Whether the elements of tensors that refer to each other have an order whatever the data are."""
    edges = [(e, r) for t in cycle for e in program.definitions[t] for r in reads(e.body) if r.tensor in cycle]
    return _ordered(edges, max(len(e.subs) for e, _ in edges))


def check_same_places(equations: Iterable[Equation], text: str = "") -> None:
    """Raise DefinitionError for a = b, b = a, which is plain before any range is known: a cycle of reads at the very same place."""
    needs: dict[str, list[_Need]] = {}
    for e in equations:
        found = [r for r in _unconditional(e.body) if r.subs == e.subs]
        needs.setdefault(e.tensor, []).extend(_Need(e, r) for r in found)
    for cycle in dict.fromkeys(cycles({t: {n.read.tensor for n in ns} for t, ns in needs.items()}).values()):
        steps = [next(n for n in needs[min(cycle)] if n.read.tensor in cycle)]
        while steps[-1].read.tensor not in [n.equation.tensor for n in steps]:
            steps.append(next(n for n in needs[steps[-1].read.tensor] if n.read.tensor in cycle))
        first = [n.equation.tensor for n in steps].index(steps[-1].read.tensor)
        _refuse([n.equation.left for n in steps[first:]], steps[first].equation, "", text)


def _unconditional(e: Expr) -> Iterator[Read]:
    """The reads that no `where`, condition or reduction stands around."""
    if isinstance(e, Read):
        yield e
    elif isinstance(e, Op) and e.op not in ("where", "and", "or"):
        for child in children(e):
            yield from _unconditional(child)


# -- proof by distances ------------------------------------------------------------------------------------------------------
def _ordered(edges: list[tuple[Equation, Read]], axes: int) -> bool:
    """Whether distances prove an order: along some axis all reads lie on one side; those at distance 0 are ordered in turn."""
    graph: dict[str, set[str]] = {}
    for e, r in edges:
        graph.setdefault(e.tensor, set()).add(r.tensor)
    left = set(cycles(graph))
    edges = [(e, r) for e, r in edges if e.tensor in left and r.tensor in left]
    if not edges:
        return True
    for axis in range(axes):
        distances = [_distance(e, r, axis) for e, r in edges]
        known = [d for d in distances if d is not None]
        if len(known) == len(distances) and (all(d <= 0 for d in known) or all(d >= 0 for d in known)):
            same = [edge for edge, d in zip(edges, known, strict=True) if d == 0]
            if len(same) < len(edges):
                return _ordered(same, axes)
    return False


def _distance(e: Equation, r: Read, axis: int) -> int | None:
    """How far ahead of the element this read lies, where that is a number; a step of unknown length ahead counts as 1."""
    if axis >= len(e.subs) or axis >= len(r.subs):
        return None
    d = r.subs[axis] - e.subs[axis]
    if d.is_constant:
        return d.constant
    sizes = d.symbols() - e.ranges.keys()
    return None if d.symbols() - sizes or d.elements() else _side(d, sizes)


def _side(d: Int, sizes: frozenset[str]) -> int | None:
    return 1 if never_negative(d - 1, {}, sizes) else -1 if never_negative(-d - 1, {}, sizes) else None


def _of(given: dict[str, int], size: int, name: str) -> int:
    return given.get(name, size)


# -- proof of a cycle --------------------------------------------------------------------------------------------------------
def _play_through(program: Program, cycle: frozenset[str], text: str) -> None:
    """Refuse if at some sizes there is a cycle whatever the parameters are."""
    for size in SIZES:
        found = []
        for parameter in PARAMETERS if program.parameters else (1,):
            given = dict.fromkeys(program.parameters, parameter)
            env = small_sizes(program, partial(_of, given, size))
            if env is not None:
                found.append((_Elements(program, cycle, env).find(), env))
        if found and all(path for path, _ in found):
            _refuse_path(*found[0], text)


class _Elements:
    """The elements of one cycle of tensors at given sizes, and what each certainly reads."""

    def __init__(self, program: Program, cycle: frozenset[str], env: Mapping[str, int]):
        self.program, self.cycle, self.env, self.work = program, cycle, dict(env), 0
        self.hulls = {n: [(r.lo.value(env), r.hi.value(env)) for r in axes] for n, axes in program.hulls.items()}

    def find(self) -> list[tuple[Place, _Need]]:
        """A cycle as (element, what it needs next), or nothing; depth first, without recursion."""
        done: set[Place] = set()
        for start in self.places():
            path: list[tuple[Place, Iterator[tuple[_Need, Place]]]] = []
            taken: dict[Place, int] = {}
            steps: list[_Need] = []
            place: Place | None = start
            while place is not None or path:
                if place is not None and place not in done:
                    taken[place] = len(path)
                    path.append((place, self.needs(place)))
                place = None
                if not path:
                    break
                for need, target in path[-1][1]:
                    self.work += 1
                    if self.work > WORK:
                        return []
                    del steps[len(path) - 1 :]
                    steps.append(need)
                    if target in taken:
                        first = taken[target]
                        return [(p, s) for (p, _), s in zip(path[first:], steps[first:], strict=True)]
                    place = target
                    break
                else:
                    finished, _ = path.pop()
                    del taken[finished]
                    done.add(finished)
        return []

    def places(self) -> Iterator[Place]:
        for name in sorted(self.cycle):
            for at in itertools.product(*(_some(lo, hi) for lo, hi in self.hulls[name])):
                yield name, at

    def needs(self, place: Place) -> Iterator[tuple[_Need, Place]]:
        name, at = place
        for e in self.program.definitions[name]:
            env = self.match(e, at)
            if env is not None:
                for read, target in self.certain(e.body, e, env):
                    yield _Need(e, read), target
                return

    def match(self, e: Equation, at: tuple[int, ...]) -> dict[str, int] | None:
        env = dict(self.env)
        for sub, k in zip(e.subs, at, strict=True):
            if sub.name in e.ranges:
                r = e.ranges[str(sub.name)]
                if not r.lo.value(self.env) <= k < r.hi.value(self.env):
                    return None
                env[str(sub.name)] = k
            elif sub.value(self.env) != k:
                return None
        return env

    def certain(self, e: Expr, eq: Equation, env: dict[str, int]) -> Iterator[tuple[Read, Place]]:
        """The reads of the cycle's tensors that evaluating e at this place cannot avoid."""
        if isinstance(e, Read):
            at = self.at(e.subs, env) if e.tensor in self.cycle else None
            if at is not None and self.in_range(e.tensor, at):
                yield e, (e.tensor, at)
        elif isinstance(e, Reduce):
            for inner in self.positions(e, eq, env):
                yield from self.certain(e.body, eq, inner)
        elif isinstance(e, Op) and e.op == "where":
            yield from self.certain(e.args[0], eq, env)
            truth = self.truth(e.args[0], env)
            if truth is not None:
                yield from self.certain(e.args[1 if truth else 2], eq, env)
        else:
            # `and` and `or` stop at the first argument that decides.
            lazy = isinstance(e, Op) and e.op in ("and", "or")
            for child in children(e)[:1] if lazy else children(e):
                yield from self.certain(child, eq, env)

    def positions(self, e: Reduce, eq: Equation, env: dict[str, int]) -> Iterator[dict[str, int]]:
        spans = [_some(eq.ranges[i].lo.value(self.env), eq.ranges[i].hi.value(self.env)) for i in e.indices]
        inside = own_reads(e.body)
        for values in itertools.product(*spans):
            self.work += 1
            if self.work > WORK:
                return
            inner = env | dict(zip(e.indices, values, strict=True))
            places = [(name, self.at(subs, inner)) for name, subs in inside]
            if all(at is not None and self.in_range(name, at) for name, at in places):
                yield inner
        if e.op in NORMALISERS:
            yield env

    def at(self, subs: tuple[Int, ...], env: Mapping[str, int]) -> tuple[int, ...] | None:
        """The place; None where data decide it."""
        try:
            return None if any(s.elements() for s in subs) else tuple(s.value(env) for s in subs)
        except ZeroDivisionError:
            return None

    def in_range(self, name: str, at: tuple[int, ...]) -> bool:
        return all(lo <= k < hi for k, (lo, hi) in zip(at, self.hulls[name], strict=True))

    def truth(self, e: Expr, env: Mapping[str, int]) -> bool | None:
        """The value of a condition on indices; None where data decide."""
        assert isinstance(e, Op)
        if e.op in ("true", "false"):
            return e.op == "true"
        if e.op in ("and", "or", "not"):
            parts = [self.truth(a, env) for a in e.args]
            if e.op == "not":
                return None if parts[0] is None else not parts[0]
            decisive = e.op == "or"
            return decisive if decisive in parts else None if None in parts else not decisive
        values = [self.at((a.value,), env) if isinstance(a, IntValue) else None for a in e.args]
        a, b = values
        if a is None or b is None:
            return None
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[e.op]


def _some(lo: int, hi: int) -> list[int]:
    """The places of an axis; of a long one, both ends."""
    return list(range(lo, hi)) if hi - lo <= 6 else [*range(lo, lo + 3), *range(hi - 3, hi)]


# -- the answer --------------------------------------------------------------------------------------------------------------
ELSEWHERE = "A tensor may refer to itself at other places, all before it or all after it: h[t-1], with a base case for the first."


def _refuse(names: list[str], equation: Equation, sizes: str, text: str, repair: str = ELSEWHERE) -> None:
    """names: the elements of the cycle, each needing the next one, the last one the first."""
    chain = f"{names[0]} needs itself" if len(names) == 1 else f"{names[0]} needs {', which needs '.join([*names[1:], names[0]])}"
    raise DefinitionError(
        f"{chain}{sizes}: no order computes it.", repair, text, equation.position if text else None)


def _refuse_path(path: list[tuple[Place, _Need]], env: Mapping[str, int], text: str) -> None:
    letters = _letters(path)
    names = letters or [_shown(name, map(str, at)) for (name, at), _ in path]
    used = sorted({s for _, need in path for r in need.equation.ranges.values() for s in (r.lo.symbols() | r.hi.symbols()) & env.keys()})
    sizes = f" (for {', '.join(f'{s} = {env[s]}' for s in used)})" if used and not letters else ""
    _refuse(names, path[0][1].equation, sizes, text, next(filter(None, (_in_a_sum(need) for _, need in path)), ELSEWHERE))


def _in_a_sum(need: _Need) -> str | None:
    """The repair where a reduction reads the tensor at all places, those too where what it is multiplied by is 0."""
    e, r = need.equation, need.read
    for own, s in zip(e.subs, r.subs, strict=False):
        if r.tensor == e.tensor and s.name in e.ranges and s not in e.subs and own.name in e.ranges:
            return (f"{r} is read for every {s}, where a factor of it is 0 too; say which are needed: "
                    f"where({s} < {own}, …, 0) in a sum, with what {r} is multiplied by.")
    return None


def _letters(path: list[tuple[Place, _Need]]) -> list[str] | None:
    """The cycle with index letters in place of numbers, where it closes at every place: h[t] needs z[t], which needs h[t]."""
    first = path[0][1].equation
    at = first.subs
    shown = [_shown(first.tensor, map(compact, at))]
    for _, need in path:
        e = need.equation
        values = e.places(at)
        at = tuple(s.subst(values) for s in need.read.subs)
        shown.append(_shown(need.read.tensor, map(compact, at)))
    return shown[:-1] if at == first.subs and not first.is_base else None


def _shown(name: str, subs: Iterator[str] | map[str]) -> str:
    inside = ",".join(subs)
    return f"{name}[{inside}]" if inside else name

