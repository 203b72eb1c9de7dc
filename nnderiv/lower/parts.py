"""Equations that go part by part of a common index -> a loop over the parts, or a function for the threads; see `by_part`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..polynomial import additive_terms
from ..program import Equation
from . import cost
from .arrays import Array
from .by_part import Member, Part, largest, member, operations, results
from .fold import find_fold
from .items.form import ADD, Block, Line, mentioned_by, renamed
from .items.layout import listed
from .schedule import Node
from .spots import find_spot
from .statements import Statements
from .texts import extreme_of, multiplied, tuple_text


class Parts(Statements):
    """What computes equations part by part."""

    def member(self, nodes: Sequence[Node], j: int) -> Member | None:
        m = member(nodes[j], self.storage)
        if m is None or not self.is_whole(m.equation) or self.windowed(nodes[j]):
            return None
        along = self.softmaxes[m.tensor][2] if m.tensor in self.softmaxes else ()
        terms = [t for _, t in additive_terms(m.equation.body)]
        folds = [fold for t in terms if (fold := find_fold(self.program, m.equation, t))]
        shape = tuple(r.size for r in m.equation.shape)
        scatters = any(fold.scatter is not None or self.in_order(fold, shape) for fold in folds)  # or it is a view
        scatters |= bool(folds or m.slides) and not all(m.is_cut(r.tensor) for r in m.reads if m.leads(r))
        spots = [spot for t in terms if (spot := find_spot(m.equation, t, self.positive))]
        elsewhere = any(spot.axis == m.lead or not m.holds(spot.reads) for spot in spots)
        return None if m.lead in along or scatters or elsewhere else m

    def by_part(self, members: Sequence[Member], others: Sequence[Equation]) -> None:
        """The equations in a loop over the parts, or a function that computes one; what others need is stored as a whole, or added up."""
        totals = {total for total, *_ in self.softmaxes.values()}
        needed = {*self.kept, *self.exported, *(name for e in others for name in e.reads)}
        here, count = members[0].lead, self.fresh("count")
        local = {m.tensor for m in members if not m.summed and m.tensor not in needed}
        self.positive |= {count}
        self.wholes[count] = members[0].whole.size
        self.code.note = -1
        for fold in [f for m in members for _, t in additive_terms(m.equation.body) if (f := find_fold(self.program, m.equation, t))]:
            self.name_sizes(fold.ranges)  # before the block
        sums = {m.tensor: self.fresh(f"{m.tensor}_part") for m in members if m.summed} if self.threads > 1 else {}
        for m in members:
            if m.tensor not in local | totals | sums.keys():
                self.set_aside(m)
        part = Part(here, count, frozenset(local))
        for name in local:
            store = self.storage[name]
            self.storage[name] = replace(store, axes=(part.range, *store.axes[1:]))
        present = [m for m in members if m.tensor not in totals]
        if self.threads > 1:
            function = self.fresh("part")
            with self.inside(f"def {function}({here}):"):
                self.each_part(part, present, sums)
                if sums:
                    self.line(f"return {listed(sums.values())}")
            self.code.note = -1
            self.line(f"{listed(sums)} = "*bool(sums) + f"_in_parts({', '.join(self.amounts(members, function))})", *list(sums)[:1])
        else:
            with self.inside(f"for {here} in _parts({', '.join(self.amounts(members))}):", here):
                self.each_part(part, present, sums)
        self.allocated |= {m.tensor for m in members}

    def set_aside(self, m: Member) -> None:
        """Memory for what is computed part by part: all of it, or a sum to which each part adds."""
        shape = tuple_text(self.extent(r.size) for r in self.storage[m.tensor].axes)
        number = f"{self.dtype}.type(0)" if m.summed and not m.equation.indices else ""
        begin = "zeros" if m.summed else "empty"
        self.line(f"{m.tensor} = " + (number or f"np.{begin}({shape}, {self.dtype})"), m.tensor)

    def amounts(self, members: Sequence[Member], function: str = "") -> list[str]:
        """How many there are, and the entries of arrays for each, and of sums; products of matrices have larger parts. On threads, the
        function before them, and for how many equations it counts."""
        arrays, sums = largest(members), results(members)
        entries = [extreme_of("max", (multiplied(map(self.extent, sizes)) for sizes in found)) for found in (arrays, sums) if found]
        count = self.extent(members[0].whole.size)
        if function:
            most = max(map(cost.entries, arrays))
            near = ["near=True"] if operations(members, most) >= cost.OPERATIONS else []
            return [function, str(sum(m.passes(most) for m in members)), count, *entries, *near]
        if any(m.has_matrices or m.slides for m in members):
            entries[1:] = [extreme_of("max", [*(x for x in entries[1:] if not x.isdigit()), str(cost.PART)])]
        return [count, *entries]

    def each_part(self, part: Part, members: Sequence[Member], sums: Mapping[str, str]) -> None:
        """What a part computes; the sums have names of their own, or are added up here."""
        for m in members:
            self.part_of(part, m, sums.get(m.tensor, ""))
        self.code.note = -1
        if any(part.count in mentioned_by(x) for x in self.code.items):
            self.code.items.insert(0, Line(f"{part.count} = {part.slice}.stop - {part.slice}.start", binds=part.count))

    def part_of(self, part: Part, m: Member, total: str) -> None:
        """One equation, for the part at hand; its sum over the part is `total`, or added to that over the others."""
        inner, e = m.within(part.range), m.equation
        frame, labels = self.frame(inner), e.indices
        whole = dict(self.storage)
        for r in m.reads:
            store = whole[r.tensor]
            view = store.variable + (f"[{part.slice}]" if r.tensor not in part.local else "")
            if m.leads(r) and m.is_plain(r):
                frame.views[r.tensor, r.subs] = Array(view, tuple(str(s.name) for s in r.subs), 9, True)
            if m.is_cut(r.tensor):  # for a window, or what reads one once it is folded
                self.storage[r.tensor] = replace(store, variable=view, axes=(part.range, *store.axes[1:]))
        self.code.begin(self.comment(e))
        array = self.fill(frame, self.right(frame, inner), labels, False)
        place = total or (m.tensor if m.tensor in part.local else f"{m.tensor}[{part.slice}]")
        if m.summed and not total:
            self.code.merge(m.tensor, ADD, array.term, frame.shape(labels))
        elif place.isidentifier() or not self.begins_there(array.text, place):
            self.assign(place, array, frame, labels)
        self.storage.update(whole)

    def begins_there(self, variable: str, place: str) -> bool:
        """Whether what is added up in a variable begins as zeros, which then stand at the place itself."""
        for k, x in enumerate(self.code.items if variable in self.code.renamable else ()):
            if isinstance(x, Block):
                continue
            begun = x.text if isinstance(x, Line) else f"{x.target} = {x.operation.template}"
            if begun.startswith(f"{variable} = np.zeros("):
                self.code.items[k] = Line(f"{place} = 0", x.note)
                self.code.items[k + 1:] = renamed(self.code.items[k + 1:], {variable: place})
                return True
        return False
