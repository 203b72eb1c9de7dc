"""Equations that go part by part of a common index -> a loop over the parts, or a function for the threads; see `by_part`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..polynomial import additive_terms
from ..program import Equation
from . import cost
from .arrays import Array, Storage
from .by_part import Member, Part, largest, member, operations, results
from .items.form import ADD, Block, Line, mentioned_by, renamed
from .items.layout import listed
from .schedule import Node
from .spots import Spot, find_spot
from .statements import Statements
from .texts import extreme_of, multiplied, tuple_text


class Parts(Statements):
    """What computes equations part by part."""

    def member(self, nodes: Sequence[Node], j: int) -> Member | None:
        m = member(self.program, nodes[j], self.storage)
        if m is None or not self.is_whole(m.equation) or self.windowed(nodes[j]):
            return None
        shape = tuple(r.size for r in m.equation.shape)
        scatters = any(fold.scatter is not None or self.in_order(fold, shape) for fold in m.folds)  # or it is a view
        scatters |= m.has_windows(1) and not m.is_cut_alike(1)
        spots = self.spots_of(m)
        elsewhere = any(spot.axis == m.lead or not m.holds(spot.reads) for spot in spots)
        return None if m.lead in self.normalised(m) or scatters or elsewhere else m

    def spots_of(self, m: Member) -> list[Spot]:
        """The terms of an equation that are 0 but at one place along an axis."""
        return [spot for _, t in additive_terms(m.equation.body) if (spot := find_spot(m.equation, t, self.positive))]

    def normalised(self, m: Member) -> tuple[str, ...]:
        """The indices of a softmax that it goes along."""
        return self.softmaxes[m.tensor][2] if m.tensor in self.softmaxes else ()

    def by_part(self, members: Sequence[Member], others: Sequence[Equation]) -> None:
        """The equations in a loop over the parts, or a function that computes one; what others need is stored as a whole, or added up."""
        totals = {total for total, *_ in self.softmaxes.values()}
        needed = {*self.kept, *self.exported, *(name for e in others for name in e.reads)}
        local = {m.tensor for m in members if not m.summed and m.tensor not in needed}
        part = self.cut(members, local)
        self.code.note = -1
        for fold in [f for m in members for f in m.folds]:
            self.name_sizes(fold.ranges)  # before the block
        sums = {m.tensor: self.fresh(f"{m.tensor}_part") for m in members if m.summed} if self.threads > 1 else {}
        for m in members:
            if m.tensor not in local | totals | sums.keys():
                self.set_aside(m)
        for name in local:
            store = self.storage[name]
            self.storage[name] = replace(store, axes=(*part.ranges, *store.axes[len(part.ranges):]))
        present, several, here = [m for m in members if m.tensor not in totals], len(part.slices) > 1, ", ".join(part.slices)
        if self.threads > 1:
            function = self.fresh("part")
            with self.inside(f"def {function}({here}):"):
                self.each_part(part, present, sums)
                if sums:
                    self.line(f"return {listed(sums.values())}")
            self.code.note = -1
            how = f"{'_in_pairs' if several else '_in_parts'}({', '.join(self.amounts(part, members, function))})"
            self.line(f"{listed(sums)} = "*bool(sums) + how, *list(sums)[:1])
        else:
            with self.inside(f"for {here} in {'_pairs' if several else '_parts'}({', '.join(self.amounts(part, members))}):", here):
                self.each_part(part, present, sums)
        self.allocated |= {m.tensor for m in members}

    def cut(self, members: Sequence[Member], local: Collection[str]) -> Part:
        """What is cut: the first index, and the second one, if all have one that may be, of the same range."""
        head, made = members[0], {m.tensor for m in members if not m.summed}
        several = all(self.has_second(m) and m.equation.ranges[m.second] == head.equation.ranges[head.second] for m in members)
        pairs = several and all(m.is_cut_twice(r) for m in members for r in m.reads if r.tensor in made)
        pairs = pairs and max(map(cost.entries, largest(members, 2))) > 1  # or these are rows
        slices = (head.lead, head.second) if pairs else (head.lead,)
        part = Part(slices, tuple(self.fresh("count") for _ in slices), frozenset(local))
        self.positive |= {*part.counts}
        self.wholes |= {count: head.equation.ranges[i].size for count, i in zip(part.counts, slices, strict=True)}
        return part

    def has_second(self, m: Member) -> bool:
        """Whether what computes an equation may go by parts of its second index too."""
        plain = not m.folds if m.summed else all(fold.axes[1] is None for fold in m.folds)
        alike = not m.has_windows(2) or m.is_cut_alike(2)
        return bool(m.second) and plain and alike and m.second not in self.normalised(m) and not self.spots_of(m)

    def set_aside(self, m: Member) -> None:
        """Memory for what is computed part by part: all of it, or a sum to which each part adds."""
        shape = tuple_text(self.extent(r.size) for r in self.storage[m.tensor].axes)
        number = f"{self.dtype}.type(0)" if m.summed and not m.equation.indices else ""
        begin = "zeros" if m.summed else "empty"
        self.line(f"{m.tensor} = " + (number or f"np.{begin}({shape}, {self.dtype})"), m.tensor)

    def amounts(self, part: Part, members: Sequence[Member], function: str = "") -> list[str]:
        """How many there are, of each index that is cut, and the entries of arrays for each, and of sums; products of matrices have larger
        parts. On threads, the function before them, and for how many equations it counts."""
        arrays, sums = largest(members, len(part.slices)), results(members)
        entries = [extreme_of("max", (multiplied(map(self.extent, sizes)) for sizes in found)) for found in (arrays, sums) if found]
        counts = [self.extent(self.wholes[count]) for count in part.counts]
        if function:
            most = max(map(cost.entries, largest(members)))
            near = ["near=True"] if operations(members, most) >= cost.OPERATIONS else []
            return [function, str(sum(m.passes(most) for m in members)), *counts, *entries, *near]
        if any(m.has_matrices or m.slides for m in members):
            entries[1:] = [extreme_of("max", [*(x for x in entries[1:] if not x.isdigit()), str(cost.PART)])]
        return [*counts, *entries]

    def each_part(self, part: Part, members: Sequence[Member], sums: Mapping[str, str]) -> None:
        """What a part computes; the sums have names of their own, or are added up here."""
        for m in members:
            self.part_of(part, m, sums.get(m.tensor, ""))
        self.code.note = -1
        for variable, count in list(zip(part.slices, part.counts, strict=True))[::-1]:
            if any(count in mentioned_by(x) for x in self.code.items):
                self.code.items.insert(0, Line(f"{count} = {variable}.stop - {variable}.start", binds=count))

    def part_of(self, part: Part, m: Member, total: str) -> None:
        """One equation, for the part at hand; its sum over the part is `total`, or added to that over the others."""
        inner, e = m.within(dict(zip(part.leads(m), part.ranges, strict=True))), m.equation
        frame, labels, windows = self.frame(inner), e.indices, m.has_windows(len(part.slices))
        whole: dict[str, Storage] = {}
        for r in m.reads:
            cut, store = part.axes(m, r), whole.get(r.tensor, self.storage[r.tensor])
            if not cut:
                continue
            view = store.variable + ("" if r.tensor in part.local else f"[{', '.join(part.slices[k] for k in cut.values())}]")
            if not windows:
                frame.views[r.tensor, r.subs] = Array(view, tuple(str(s.name) for s in r.subs), 9, True)
            else:
                axes = tuple(part.ranges[cut[k]] if k in cut else axis for k, axis in enumerate(store.axes))
                whole[r.tensor] = store
                self.storage[r.tensor] = replace(store, variable=view, axes=axes)
        self.code.begin(self.comment(e))
        array = self.fill(frame, self.right(frame, inner), labels, False)
        place = total or (m.tensor if m.tensor in part.local else f"{m.tensor}[{', '.join(part.slices)}]")
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
