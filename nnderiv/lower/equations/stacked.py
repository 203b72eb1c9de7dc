"""Programs -> programs in which the gates of a recurrence are one tensor: one product where there was one for each gate, in both passes.

    i[t] = σ(Ui x[t] + Wi h[t-1] + bi)             z[t,q] = U[q] x[t] + W[q] h[t-1] + b[q],     s[t,q] = σ(z[t,q])
    f[t] = σ(Uf x[t] + Wf h[t-1] + bf)             dh[t] = Σ_q W[q]ᵀ dz[t+1,q]
    dh[t] = Wiᵀ di[t+1] + Wfᵀ df[t+1]              dW[q] = Σ_t dz[t,q] h[t-1]ᵀ

Equations that are alike but for which matrices and biases they read, and multiply the same tensor with them, are the rows of a stack; so
are the functions of neighbouring rows. The matrices are copied side by side once a call, which pays where a loop reads them at every step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ...expr import Expr, Read, Reduce, reads, walk
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, factors, product, signed
from ...program import Equation, Program, Range
from ...within import fills
from .known import with_known
from .stack import Places, Stack, behind_loops, filled, joint_name, redirected, skeleton, with_stacks


def stacked(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    families = _alike(forward)
    if not families:
        return forward, backward
    own = [e for e in backward.equations if e.tensor not in forward.definitions]
    backward = replace(backward, equations=tuple(own))
    fresh = Fresh(forward.names | backward.names)
    for family in families:
        stacking = _Forward(forward, fresh)
        forward = stacking.run(family)
        backward = _Backward(backward, fresh, stacking).run()
    return forward, with_known(backward, list(backward.equations), forward)


def _alike(program: Program) -> list[list[Equation]]:
    """The equations of a recurrence, no output among them, that differ only in which inputs they read, each in one place alone."""
    counted = Counter(r for e in program.equations for r in set(reads(e.body)))
    tensors = Counter(r.tensor for e in program.equations for r in reads(e.body))
    inputs = {i.name for i in program.inputs if i.dims}

    def is_hole(r: Read) -> bool:
        literal = [s for s in r.subs if s.is_constant]
        alone = counted[r] == 1 and (tensors[r.tensor] == 1 or bool(literal))
        names = [s.name for s in r.subs if not s.is_constant]
        return r.tensor in inputs and alone and all(names) and len(set(names)) == len(names)

    groups: dict[Hashable, list[Equation]] = {}
    for e in program.equations:
        if e.tensor in program.components and _is_plain(program, e):
            key, holes = skeleton(e, is_hole)
            products = [n for n in walk(e.body) if isinstance(n, Reduce) and any(r in holes for r in reads(n.body))]
            if products and all(any(r not in holes for r in reads(n.body)) for n in products) and len(set(holes)) == len(holes):
                groups.setdefault(key, []).append(e)
    return [g for g in groups.values() if len(g) > 1]


def _is_plain(program: Program, e: Equation) -> bool:
    """Whether an equation alone defines the whole of a tensor that is no output."""
    return e.tensor not in program.outputs and fills(program, e)


@dataclass
class _Forward:
    """Stacks in the forward program: of inputs, of equations that are alike, and of the functions of neighbours."""

    program: Program
    fresh: Fresh
    operands: dict[Read, tuple[Stack, int]] = field(default_factory=dict)  # what stands in a stack of inputs
    places: Places = field(default_factory=dict)
    q: str = ""

    def run(self, family: list[Equation]) -> Program:
        self.q = self.fresh("q")
        order = {e.tensor: self.reader(e) for e in family}
        rank = {key: k for k, key in enumerate(dict.fromkeys(str(x[0]) if x else "" for x in order.values()))}
        family.sort(key=lambda e: rank[str(x[0]) if (x := order[e.tensor]) else ""])
        equations = self.rows(family)
        for run in self.neighbours([e for e in family if order[e.tensor]], lambda e: order[e.tensor]):
            equations.append(self.functions(run))
        return with_stacks(self.program, equations, self.places)

    def reader(self, e: Equation) -> tuple[Hashable, Equation] | None:
        """The only equation that reads a tensor, if it is a function of it alone: (what it is like, the equation)."""
        readers = [f for f in self.program.equations if e.tensor in f.reads]
        if len(readers) != 1 or not _is_plain(self.program, readers[0]):
            return None
        f = readers[0]
        own = f.reads == {e.tensor} and all(r.subs == f.subs for r in reads(f.body))
        return (skeleton(f, lambda r: True)[0], f) if own else None

    def rows(self, family: list[Equation]) -> list[Equation]:
        """The stack of the family, after those of the inputs in which they differ."""
        alike = _holes(family, self.program)
        table: dict[Read, Read] = {}
        made: list[Equation] = []
        for column in alike:
            free = [s for s in column[0].subs if not s.is_constant]
            names = [r.tensor for r in column]
            name = self.fresh(joint_name(names) if len(set(names)) == len(names) else f"{names[0]}_all")
            stack = Stack(name, tuple(names), 0)
            for q, (r, e) in enumerate(zip(column, family, strict=True)):
                own = [s for s in r.subs if not s.is_constant]
                made.append(Equation(stack.name, stack.at(q, own), r, {str(s.name): e.ranges[str(s.name)] for s in own}))
                self.operands[r] = stack, q
            self.shape(stack, [family[0].ranges[str(s.name)] for s in free])
            table[column[0]] = stack.read(self.q, free)
        first = family[0]
        rows = {s.name for r in alike[_first_product(first, [c[0] for c in alike])][:1] for s in r.subs}
        axis = next(k for k, s in enumerate(first.subs) if s.name in rows or k == len(first.subs) - 1)
        return [*made, self.whole(family, axis, table)]

    def functions(self, run: list[tuple[int, Equation]]) -> Equation:
        """The stack of functions of neighbouring rows."""
        first, e = run[0]
        ((stack, _),) = {self.places[r.tensor] for r in reads(e.body)}
        row = Int.symbol(self.q) + first
        read = Read(stack.name, tuple(row if k == stack.axis else s for k, s in enumerate(stack.at(self.q, e.subs))))
        return self.whole([f for _, f in run], behind_loops(e, self.program), {r: read for r in reads(e.body)})

    def whole(self, family: list[Equation], axis: int, table: dict[Read, Read]) -> Equation:
        stack = Stack(self.fresh(joint_name([e.tensor for e in family])), tuple(e.tensor for e in family), axis)
        self.places |= stack.places
        self.shape(stack, self.program.dims[family[0].tensor])
        return filled(family[0], table, stack, self.q)

    def shape(self, stack: Stack, dims: Sequence[Range]) -> None:
        self.program = replace(self.program, shapes={**self.program.shapes, stack.name: stack.shape(dims)})

    def neighbours(
        self, family: list[Equation], reader: Callable[[Equation], tuple[Hashable, Equation] | None]
    ) -> Iterable[list[tuple[int, Equation]]]:
        """Runs of rows whose functions are alike: (row, the function's equation)."""
        runs: dict[Hashable, list[tuple[int, Equation]]] = {}
        for e in family:
            found = reader(e)
            assert found is not None
            runs.setdefault(found[0], []).append((self.places[e.tensor][1], found[1]))
        return [run for run in runs.values() if len(run) > 1 and [row for row, _ in run] == [run[0][0] + k for k in range(len(run))]]


def _holes(family: list[Equation], program: Program) -> list[list[Read]]:
    """For each place in which the equations differ, what each of them reads there."""
    columns = [list(column) for column in zip(*(reads(e.body) for e in family), strict=True)]
    return [c for c in columns if len({(r.tensor, tuple(s for s in r.subs if s.is_constant)) for r in c}) == len(c) and
            all(r.tensor in program.kinds for r in c)]


def _first_product(e: Equation, holes: list[Read]) -> int:
    inside = {r for n in walk(e.body) if isinstance(n, Reduce) for r in reads(n.body)}
    return next(k for k, r in enumerate(holes) if r in inside)


@dataclass
class _Backward:
    """The gradients of the rows become a stack, sums of their products with the inputs one product, and what is alike in them a stack."""

    program: Program
    fresh: Fresh
    forward: _Forward

    def run(self) -> Program:
        self.program = with_stacks(self.program, [], self.forward.places)
        families = {x for e in self.program.equations for x in self.sums(e)}
        taken: set[str] = set()
        for members, axis in sorted(families):
            plain = all(len(self.program.definitions.get(m, ())) == 1 and _is_plain(self.program, self.program.definitions[m][0])
                        and self.program.dims[m] == self.program.dims[members[0]] for m in members)
            if plain and taken.isdisjoint(members) and len(set(members)) == len(members):
                taken |= set(members)
                self.stack(Stack(self.fresh(joint_name(members)), members, axis))
        return self.program

    def sums(self, e: Equation) -> set[tuple[tuple[str, ...], int]]:
        """(tensors that are multiplied with the members of a stack of inputs, their new axis) in sums of such products."""
        found: dict[Hashable, dict[int, tuple[Read, int]]] = {}
        names: dict[Hashable, Stack] = {}
        for sign, term in additive_terms(e.body):
            pair = self.pair(term)
            if pair is not None:
                (stack, q), weight, x, rest = pair
                axis = next((k for k, s in enumerate(x.subs) if s.name in rest.indices), -1)
                key = (stack.name, sign, x.subs, rest.indices, weight.subs)
                if axis >= 0:
                    found.setdefault(key, {})[q] = (x, axis)
                    names[key] = stack
        return {(tuple(rows[q][0].tensor for q in sorted(rows)), rows[0][1]) for key, rows in found.items()
                if sorted(rows) == list(range(len(names[key].members)))}

    def pair(self, term: Expr) -> tuple[tuple[Stack, int], Read, Read, Reduce] | None:
        """(place in a stack, input, other factor, the sum) of Σ input · other."""
        inner = factors(term.body) if isinstance(term, Reduce) and term.op == "sum" else []
        if len(inner) != 2 or not isinstance(term, Reduce) or not all(isinstance(f, Read) for f in inner):
            return None
        by_member = {(r.tensor, tuple(s for s in r.subs if s.is_constant)): place for r, place in self.forward.operands.items()}
        for w, x in (inner, inner[::-1]):
            assert isinstance(w, Read) and isinstance(x, Read)
            place = by_member.get((w.tensor, tuple(s for s in w.subs if s.is_constant)))
            if place is not None and x.tensor not in {r.tensor for r in self.forward.operands}:
                return place, w, x, term
        return None

    def stack(self, stack: Stack) -> None:
        """The members' equations each write their place; sums of products over all places are one."""
        q = self.forward.q
        program = self.program
        equations = [self.summed(e, stack, q) for e in program.equations]
        groups: dict[Hashable, dict[int, Equation]] = {}
        for e in equations:
            members = {r.tensor for r in reads(e.body)} & set(stack.members)
            if len(members) == 1 and self.is_alone(e):
                (member,) = members
                key, holes = skeleton(e, lambda r, m=member: r.tensor == m)  # type: ignore[misc]
                if len(holes) == 1:
                    groups.setdefault(key, {})[stack.members.index(member)] = e
        shape = stack.shape(program.dims[stack.members[0]])
        self.program = replace(program, equations=tuple(equations), shapes={**program.shapes, stack.name: shape})
        for rows in groups.values():
            if len(rows) == len(stack.members):
                self.alike([rows[k] for k in range(len(rows))], stack)
        own = [replace(e, tensor=stack.name, subs=stack.at(stack.members.index(e.tensor), e.subs)) if e.tensor in stack.members else e
               for e in self.program.equations]
        self.program = replace(self.program, equations=tuple(e.with_body(redirected(e.body, stack.places)) for e in own))

    def is_alone(self, e: Equation) -> bool:
        return e.tensor not in self.program.components and self.program.whole(e.tensor) is not None

    def alike(self, rows: list[Equation], stack: Stack) -> None:
        """One equation for all; an output is its own place of it."""
        first, q = rows[0], self.forward.q
        (hole,) = [r for r in reads(first.body) if r.tensor in stack.members]
        axis = next((k for k, s in enumerate(first.subs) if s in hole.subs), 0)
        total = Stack(self.fresh(joint_name([e.tensor for e in rows])), tuple(e.tensor for e in rows), axis)
        new = [filled(first, {hole: stack.read(q, hole.subs)}, total, q)]
        for k, e in enumerate(rows):
            if e.tensor in self.program.outputs:
                new.append(e.with_body(total.read(k, e.subs)))
        program = self.program
        shapes = {**program.shapes, total.name: total.shape(program.dims[first.tensor])}
        inner = {name: place for name, place in total.places.items() if name not in program.outputs}
        self.program = with_stacks(replace(program, shapes=shapes), new, inner, {e.tensor for e in rows})

    def summed(self, e: Equation, stack: Stack, q: str) -> Equation:
        """The equation with its sums over all members as one sum of products."""
        rest: list[tuple[int, Expr]] = []
        groups: dict[Hashable, list[tuple[int, Expr, Read, Reduce, Stack]]] = {}
        for sign, term in additive_terms(e.body):
            pair = self.pair(term)
            if pair is None or pair[2].tensor not in stack.members or stack.members.index(pair[2].tensor) != pair[0][1]:
                rest.append((sign, term))
            else:
                (inputs, _), w, x, whole = pair
                free = [s for s in w.subs if not s.is_constant]
                one = Reduce("sum", (q, *whole.indices), product([stack.read(q, x.subs), inputs.read(q, free)]))
                groups.setdefault((sign, one), []).append((sign, term, x, whole, inputs))
        ranges = dict(e.ranges)
        terms: list[tuple[int, Expr]] = []
        for (sign, one), parts in groups.items():  # type: ignore[misc]
            if len(parts) == len(stack.members):
                terms.append((sign, one))
                ranges[q] = Range.upto(len(stack.members))
            else:
                rest += [(s, t) for s, t, *_ in parts]
        return replace(e, body=signed([*rest, *terms]), ranges=ranges) if terms else e
