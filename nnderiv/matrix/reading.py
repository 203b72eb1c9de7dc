"""A program as a person reads it: helpers are put in their places, and what a formula is about gets a name.

    exp(S − lse)         softmax(S), named P where it stands inside a formula
    dA, read once        put in its place, where it is a factor: δ = (δ' Wᵀ) ⊙ φ'(z)
    where(j ≤ i, S, −∞)  S + M, with M[i,j] = where(j ≤ i, 0, −∞)
    [j ≤ i] A, E[tok[n]] a matrix M of zeros and ones beside A, M E
    where(c, a, b)       [c] a + [not c] b

The law: the equations of `Reading.shown` have the values of the program's; `confirm` checks each of them that is displayed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..expr import Op, reads, walk
from ..fresh import Fresh
from ..program import Equation, Program
from .axes import places, superscripts
from .hats import Hats
from .indicators import Indicators
from .inlining import Inlining, uses
from .memory import remembered
from .scope import Scope
from .softmaxes import Softmaxes


@dataclass(frozen=True)
class Reading:
    """whole: the program with the definitions that were added; shown: what is displayed, helpers left out."""

    whole: Program
    shown: Program
    definitions: frozenset[str]
    read: dict[int, Equation] = field(repr=False)  # by the identity of the program's own equation

    def of(self, e: Equation) -> Equation:
        return self.read.get(id(e), e)

    def definitions_of(self, e: Equation) -> list[Equation]:
        """The definitions that an equation rests on, those that others rest on last."""
        found: dict[str, Equation] = {}
        pending = [e]
        while pending:
            for name in dict.fromkeys(r.tensor for r in reads(pending.pop(0).body)):
                if name in self.definitions and name not in found:
                    found[name] = self.shown.definitions[name][-1]
                    pending.append(found[name])
        return list(found.values())


@remembered
def reading(program: Program) -> Reading:
    """How a program is read."""
    return _Reader(program).run()


class _Reader:
    def __init__(self, program: Program):
        self.program = program
        # P is taken where there is a dP, though a gradient program need not read P.
        fresh = Fresh(program.names | {n[1:] for n in program.names if n[0] == "d"})
        if any(isinstance(n, Op) and n.op == "sigmoid" for e in program.equations for n in walk(e.body)):
            fresh.taken.add("sigma")  # σ(z) is the logistic function there
        axes = superscripts(program)
        above = {id(e): {str(s.name) for a, s in places(e) if a in axes and s.name in e.ranges} for e in program.equations}
        self.scope = Scope(program, fresh, axes, above)

    def run(self) -> Reading:
        own = list(self.program.equations)
        read = {id(e): e for e in own}
        softmaxes, hats, indicators = Softmaxes(self.scope), Hats(self.scope), Indicators(self.scope)
        inlining = Inlining(self.scope, hats.standard.scalings)
        for rule in (softmaxes.softmax, hats.vanishing, inlining.inline, hats.scales, indicators.conditions):
            inlining.count = uses(read)
            for e in own:
                self.scope.at(e, read[id(e)])
                read[id(e)] = rule(read, e)
        definitions = tuple(self.scope.added.values())
        kept = self._kept(own, read, definitions)
        shown = self.program.with_equations([*(read[id(e)] for e in kept), *definitions])
        whole = self.program.with_equations([*self.program.equations, *definitions])
        return Reading(whole, shown, frozenset(e.tensor for e in definitions), read)

    def _kept(self, own: list[Equation], read: dict[int, Equation], definitions: tuple[Equation, ...]) -> list[Equation]:
        """Without the equations of tensors that nobody reads any more."""
        was = {name for e in own for name in e.reads}
        now = {name for e in [*read.values(), *definitions] for name in e.reads}
        return [e for e in own if e.tensor in now or e.tensor not in was or e.tensor in self.program.outputs]
