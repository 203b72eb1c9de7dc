"""Programs -> programs in which the exponentials that a logsumexp adds up are kept, if backward asks which share of it each has.

    lse = log Σ exp(S)              E = exp(S − m),   T = Σ E,   lse = m + log T      with m = max(S)
    dS = w exp(S − lse)             dS = (w/T) E

There is one exponential in place of two, and the scores are gone through fewer times. The loss of a classifier reads S − lse at labels
only, where it is S − m − log T. Where much of that is read, it is a tensor, of which `fuse` makes one block, and stays one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...expr import INF, ONE, ZERO, Expr, Op, Read, Reduce, conjunction, map_children, reads, walk, where
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import difference, signed
from ...program import Equation, Program
from ...within import positive_names, readable
from .fuse import normalises
from .known import with_known
from .normalised import scores_less_total


def summands(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring; for every logsumexp of a tensor, outside recurrences."""
    fresh = Fresh(forward.names | backward.names)
    for total in [e for e in forward.equations if e.tensor in forward.lse]:
        body = total.body
        if isinstance(body, Reduce) and isinstance(body.body, Read) and total.tensor not in forward.components:
            found = _Total(forward, total, body.body, body.indices, _logarithm(forward, total))
            if found.is_asked_for(forward, backward):
                forward, backward = found.written_out(forward, backward, fresh)
    return forward, backward


def _logarithm(forward: Program, total: Equation) -> str | None:
    """The tensor that is S − lse, if there is one."""
    for e in forward.equations:
        pair = difference(e.body) if total.tensor in e.reads and forward.whole(e.tensor) is e else None
        if pair is not None and normalises(total, *pair, e) and e.subs == pair[0].subs:
            return e.tensor
    return None


@dataclass(frozen=True)
class _Total:
    """A logsumexp of scores along some indices, and the name of S − lse, if there is one."""

    forward: Program
    equation: Equation
    scores: Read
    along: tuple[str, ...]
    logarithm: str | None

    def concerns(self, e: Equation) -> bool:
        """Whether an equation reads it, or S − lse."""
        return self.equation.tensor in e.reads or self.logarithm in e.reads

    def place(self, e: Equation, node: Expr) -> tuple[Int, ...] | None:
        """The place whose share this is, as exp(S − lse)."""
        if not isinstance(node, Op) or node.op != "exp":
            return None
        inner, pair = node.args[0], difference(node.args[0])
        if isinstance(inner, Read) and inner.tensor == self.logarithm:
            return inner.subs
        is_total = pair is not None and pair[1].tensor == self.equation.tensor
        return pair[0].subs if pair is not None and is_total and normalises(self.equation, *pair, e) else None

    def is_asked_for(self, forward: Program, backward: Program) -> bool:
        """Whether backward asks for shares, forward for none, and S − lse is read at few places otherwise."""
        theirs = [e for e in forward.equations if self.concerns(e)]
        own = [e for e in backward.equations if self.concerns(e) and e.tensor not in forward.definitions]
        shares = self.shares(own)
        if not shares or self.shares(theirs) or self.logarithm in forward.outputs:
            return False
        asked = sum(isinstance(n.args[0], Read) for n in shares)
        everywhere = sum(r.tensor == self.logarithm for e in own for r in reads(e.body))
        return asked == everywhere and all(self.is_one_of_a_row(r) for e in theirs for r in reads(e.body) if r.tensor == self.logarithm)

    def shares(self, equations: Iterable[Equation]) -> list[Op]:
        return [n for e in equations for n in walk(e.body) if isinstance(n, Op) and self.place(e, n) is not None]

    def is_one_of_a_row(self, r: Read) -> bool:
        """Whether a read takes one entry of each row, such as that of a label."""
        of_row = {name for s in self.row(r.subs) for name in s.symbols()}
        return all(s.symbols() <= of_row for s in r.subs)

    def row(self, place: tuple[Int, ...]) -> tuple[Int, ...]:
        at = dict(zip(self.scores.subs, place, strict=True))
        return tuple(at[s] for s in self.equation.subs)

    def written_out(self, forward: Program, backward: Program, fresh: Fresh) -> tuple[Program, Program]:
        """The programs in which it is m + log T."""
        words = {word: fresh(f"{self.scores.tensor}_{word}") for word in ("max", "shift", "exp", "total")}
        new = self.definitions(words)
        equations: list[Equation] = []
        for e in forward.equations:
            if e == self.equation:
                equations += new
                e = e.with_body(Read(words["max"], e.subs) + Op("log", (Read(words["total"], e.subs),)))
            if e.tensor != self.logarithm:
                equations.append(self.reading(e, words))
        known = forward.with_equations(equations)
        own = [self.reading(e, words) for e in backward.equations if e.tensor not in forward.definitions]
        return known, with_known(replace(backward, equations=tuple(own)), own, known)

    def definitions(self, words: dict[str, str]) -> list[Equation]:
        """m, which is −inf if all scores are; m, or 0 if it is infinite; E; T, at least 1 if any score is finite, from the maximum."""
        e, scores = self.equation, self.scores
        largest, shift, each = Read(words["max"], e.subs), Read(words["shift"], e.subs), Read(words["exp"], scores.subs)
        return [
            _equation(largest, Reduce("max", self.along, scores), e),
            _equation(shift, where(Op("!=", (Op("abs", (largest,)), INF)), largest, ZERO), e),
            _equation(each, Op("exp", (scores - shift,)), e),
            _equation(Read(words["total"], e.subs), Op("max", (Reduce("sum", self.along, each), ONE)), e),
        ]

    def reading(self, e: Equation, words: dict[str, str]) -> Equation:
        """The equation with E/T for shares and S − m − log T for S − lse. Outside, S − lse is 0; a reduction leaves that out, as before."""
        positive = positive_names(self.forward)

        def visit(node: Expr, reduced: bool) -> Expr:
            place = self.place(e, node)
            if place is not None:
                return Read(words["exp"], place)/Read(words["total"], self.row(place))
            if isinstance(node, Op) and node.op in ("+", "neg") and (found := scores_less_total(e, node, self.equation)) is not None:
                sign, own, _, rest = found
                return signed([*self.logarithm_at(own.subs, words, sign), *((s, visit(t, reduced)) for s, t in rest)])
            if isinstance(node, Read) and node.tensor == self.logarithm:
                value = signed(self.logarithm_at(node.subs, words))
                hull, sizes = self.forward.hulls[node.tensor], positive & {*self.forward.sizes}
                return value if reduced else where(conjunction(readable(hull, node.subs, e.ranges, positive, sizes)), value, ZERO)
            return map_children(lambda child: visit(child, reduced or isinstance(node, Reduce)), node)

        return e.with_body(visit(e.body, False)) if self.concerns(e) else e

    def logarithm_at(self, place: tuple[Int, ...], words: dict[str, str], sign: int = 1) -> list[tuple[int, Expr]]:
        """The terms of S − m − log T: −inf where all scores of a row are, as m is 0 there; S − lse would be no number."""
        total, shift = (Read(words[word], self.row(place)) for word in ("total", "shift"))
        return [(sign, Read(self.scores.tensor, place)), (-sign, shift), (-sign, Op("log", (total,)))]


def _equation(left: Read, body: Expr, e: Equation) -> Equation:
    """left = body, over the ranges that the indices have in e."""
    bound = {i for n in walk(body) if isinstance(n, Reduce) for i in n.indices}
    return Equation(left.tensor, left.subs, body, {i: r for i, r in e.ranges.items() if i in bound | {s.name for s in left.subs}})
