"""exp(S − lse) is softmax(S), and named P where it stands inside a formula."""

from __future__ import annotations

from ..expr import Expr, Op, Read, Reduce, has_normaliser, map_children, neg, subst_indices
from ..integer import Int
from ..polynomial import additive_terms, signed
from ..program import Equation
from .scope import Scope

PROBABILITIES = ("P", "Pi", "S")


class Softmaxes:
    def __init__(self, scope: Scope):
        self.scope = scope

    def softmax(self, read: dict[int, Equation], e: Equation) -> Equation:
        return e.with_body(self._softmax(e.body, top=True))

    def _softmax(self, e: Expr, top: bool = False) -> Expr:
        if isinstance(e, Op) and e.op == "exp" and (found := self._difference(e.args[0])):
            body, c = found
            whole = Reduce("softmax", (c,), body)
            return whole if top else self.scope.define(PROBABILITIES, whole, self._ordered(whole, c))
        if isinstance(e, Op) and e.op == "+" and (found := self._difference(e)):
            return Reduce("log_softmax", (found[1],), found[0])
        if isinstance(e, Op) and e.op == "+" and (found := self._difference(signed([(-s, t) for s, t in additive_terms(e)]))):
            return neg(Reduce("log_softmax", (found[1],), found[0]))
        inner = top and isinstance(e, Op) and e.op == "neg"
        return map_children(lambda c: self._softmax(c, inner), e)

    def _ordered(self, e: Expr, c: str) -> list[str]:
        """The index along which the softmax runs last."""
        return [*(i for i in self.scope.free(e) if i != c), c]

    def _difference(self, e: Expr) -> tuple[Expr, str] | None:
        """(S[…,c], c) of S[…,c] − lse with lse = logsumexp over c of S, by its name too."""
        named = self.scope.program.whole(e.tensor) if isinstance(e, Read) else None
        if isinstance(e, Read) and named is not None and not has_normaliser(named.body):
            return self._difference(named.at(e.subs))
        terms = additive_terms(e)
        for k, (sign, t) in enumerate(terms):
            if sign < 0 and isinstance(t, Read) and (definition := self._logsumexp(t.tensor)):
                rest = signed([*terms[:k], *terms[k + 1 :]])
                found = self._along(definition, t, rest)
                return (rest, found) if found else None
        return None

    def _logsumexp(self, name: str) -> Equation | None:
        found = self.scope.program.whole(name) if name in self.scope.program.lse else None
        return found if found is not None and isinstance(found.body, Reduce) and len(found.body.indices) == 1 else None

    def _along(self, definition: Equation, t: Read, rest: Expr) -> str | None:
        """The index c with rest = S[…,c] where definition says logsumexp[j](S[…,j])."""
        assert isinstance(definition.body, Reduce)
        (j,) = definition.body.indices
        outer = dict(zip(definition.indices, t.subs, strict=True))
        for c in self.scope.free(rest):
            apart = not any(c in s.symbols() for s in t.subs) and self.scope.equation.ranges[c] == definition.ranges[j]
            if apart and subst_indices(definition.body.body, {**outer, j: Int.symbol(c)}) == rest:
                return c
        return None
