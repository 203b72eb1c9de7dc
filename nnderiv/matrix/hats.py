"""σ for √(v + ε), x̂ for (x − μ)/σ, and dx̂ for the gradient that reaches it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..expr import ONE, Expr, Op, Read, free_symbols, map_children, mul, num, reads, subst_indices, walk
from ..integer import Int
from ..polynomial import unordered
from ..program import Equation, Program
from .scope import Scope, by_position
from .standardise import Scaling, Standardiser, collected, deepest, difference, gathered, with_powers

SCALES = ("sigma", "tau", "varsigma")


class Hats:
    def __init__(self, scope: Scope):
        self.scope = scope
        self.standard = Standardiser(scope.program)
        self.named: set[str] = set()

    def vanishing(self, read: dict[int, Equation], e: Equation) -> Equation:
        """Σ (x − μ) = 0"""
        return read[id(e)].with_body(self.standard.vanishing(read[id(e)].body))

    def scales(self, read: dict[int, Equation], e: Equation) -> Equation:
        """σ for √(v + ε), x̂ for (x − μ)/σ, and dx̂ for the gradient that reaches it."""
        body = read[id(e)].body
        found = [s for s in self.standard.roots(body) if all(t.name for t in s.variance.subs)]
        own = {*self.standard.scalings, *self.standard.sigmas, *self.standard.inverses}
        if not found or e.tensor in self.scope.program.components or e.tensor in own:
            return read[id(e)]
        for s in dict.fromkeys(found):
            if s.mean is not None:
                body = collected(body, s.x.tensor, lambda r, s=s: self._mean_at(s, r), self.scope.equation.ranges)  # type: ignore[misc]
        found = [s for s in dict.fromkeys(found) if self._is_scaled(body, s)]
        sigmas = {s.radicand: s.sigma for s in found if s.sigma is not None}
        sigmas = {s.radicand: sigmas.get(s.radicand) or self._sigma(s) for s in found}
        body = gathered(self._without_inverses(with_powers(body, sigmas), sigmas), set(sigmas.values()))
        for s in found:
            if self._hat_name(s, sigmas[s.radicand]) == e.tensor:
                return read[id(e)]
            body = self._hats(body, s, sigmas[s.radicand])
        body = gathered(body, set(sigmas.values()))
        return replace(self.scope.equation, body=self._arriving(body))

    def _is_scaled(self, body: Expr, s: Scaling) -> bool:
        """Whether x̂ is worth a name: for what is centred, or scaled by a mean, or has one; or if x is divided by σ² or more."""
        if s.mean is not None or self.standard.is_mean(s.variance.tensor):
            return True
        sigma = s.sigma or Read("\0sigma", s.variance.subs)
        if self._hat_name(s, sigma) is not None:
            return True
        sigmas = {s.radicand: sigma}
        return deepest(self._without_inverses(with_powers(body, sigmas), sigmas), {sigma}).get(sigma, 0) < -1

    def _mean_at(self, s: Scaling, r: Read) -> Read | None:
        """μ beside this x."""
        assert s.mean is not None
        at = {str(t.name): u for t, u in zip(s.x.subs, r.subs, strict=True)}
        return s.mean.subst(at)

    def _without_inverses(self, e: Expr, sigmas: dict[Expr, Read]) -> Expr:
        """The program's own tensor for 1/σ as 1/σ."""
        if isinstance(e, Read) and e.tensor in self.standard.inverses:
            own, s = self.standard.inverses[e.tensor]
            at = dict(zip(own.indices, e.subs, strict=True))
            sigma = sigmas.get(subst_indices(s.radicand, at))
            return e if sigma is None else ONE / sigma
        return map_children(lambda c: self._without_inverses(c, sigmas), e)

    def _hat_body(self, s: Scaling, sigma: Read) -> tuple[Expr, list[str]]:
        """x̂ in the letters of the variance's definition, and its indices."""
        x, mean, scale = (self._canonical(s, r) if r is not None else None for r in (s.x, s.mean, sigma))
        assert isinstance(x, Read) and scale is not None
        return (x - mean if mean is not None else x) / scale, [str(t.name) for t in x.subs]

    def _hat_name(self, s: Scaling, sigma: Read) -> str | None:
        """The program's own name for x̂."""
        body, indices = self._hat_body(s, sigma)
        wanted = unordered(by_position(body, indices))
        for e in self.scope.program.equations:
            alone = self.scope.program.whole(e.tensor) is not None and len(e.indices) == len(indices)
            if alone and unordered(by_position(e.body, list(e.indices))) == wanted:
                return e.tensor
        return None

    def _canonical(self, s: Scaling, e: Expr) -> Expr:
        """An expression at this variance's place, in the letters of its definition."""
        definition, _ = self.standard.moments[s.variance.tensor]
        return subst_indices(e, {str(t.name): Int.symbol(i) for t, i in zip(s.variance.subs, definition.indices, strict=True)})

    def _sigma(self, s: Scaling) -> Read:
        definition, _ = self.standard.moments[s.variance.tensor]
        body = Op("sqrt", (self._canonical(s, s.radicand),))
        return Read(self.scope.name_of(SCALES, body, list(definition.indices), definition.ranges), s.variance.subs)

    def _hats(self, e: Expr, s: Scaling, sigma: Read) -> Expr:
        """x − μ as σ x̂, at every place; x too where it is not centred."""
        found = difference(e) if s.mean else (1, e, None) if isinstance(e, Read) else None
        if found and found[1].tensor == s.x.tensor and (s.mean is None or found[2] == s.mean):
            definition, inner = self.standard.moments[s.variance.tensor]
            along = [t.name in inner.indices for t in s.x.subs]
            if all(a or t == own for a, t, own in zip(along, s.x.subs, found[1].subs, strict=True)):
                body, indices = self._hat_body(s, sigma)
                own = self._hat_name(s, sigma)
                name = own or self.scope.name_of((_hat(s.x.tensor),), body, indices, definition.ranges)
                self.named.add(name)
                hat = Read(name, found[1].subs)
                at = {str(t.name): u for t, u in zip(s.x.subs, found[1].subs, strict=True)}
                return mul([num(found[0]), hat, sigma.subst(at)])
        return map_children(lambda c: self._hats(c, s, sigma), e)

    def _arriving(self, e: Expr) -> Expr:
        """dy γ, where it stands at several places beside x̂, as dx̂."""
        hats = [r for r in reads(e) if r.tensor in self.named]
        pairs = [p for n in walk(e) if isinstance(n, Op) and n.op == "*" for p in _pairs(n, self.scope.program)]
        for hat in hats:
            alike = [p for p in pairs if len(free_symbols(p[0]) | free_symbols(p[1])) == len(hat.subs)]
            for p in alike:
                if sum(q[0].tensor == p[0].tensor and q[1].tensor == p[1].tensor for q in alike) > 1:
                    return self._named_pair(e, p, hat)
        return e

    def _named_pair(self, e: Expr, p: tuple[Read, Read], hat: Read) -> Expr:
        indices = [str(s.name) for s in p[0].subs]
        name = self.scope.name_of((f"d{hat.tensor}",), mul([p[0], p[1]]), indices, self.scope.equation.ranges)
        self.named.add(name)
        return _put_pair(e, p, indices, name)


def _hat(name: str) -> str:
    """x -> xhat, Y_in -> Yhat_in"""
    letters = re.match(r"[A-Za-z]+", name)
    at = letters.end() if letters else len(name)
    return f"{name[:at]}hat{name[at:]}"


def _pairs(n: Op, program: Program) -> Iterator[tuple[Read, Read]]:
    """(dy, γ) among the factors of a product: a seed or gradient, and an input with fewer of its indices."""
    found = [f for f in n.args if isinstance(f, Read) and f.subs and all(s.name for s in f.subs)]
    for a in found:
        for b in found:
            if a.tensor[0] == "d" and b.tensor in program.real_inputs and b.tensor[0] != "d" and set(b.subs) < set(a.subs):
                yield a, b


def _put_pair(e: Expr, p: tuple[Read, Read], indices: list[str], name: str) -> Expr:
    """The product of two tensors, at whatever letters, as one of this name."""
    if isinstance(e, Op) and e.op == "*":
        for a in e.args:
            if isinstance(a, Read) and a.tensor == p[0].tensor:
                table = dict(zip(indices, a.subs, strict=True))
                other = subst_indices(p[1], table)
                if other in e.args:
                    rest = [f for f in e.args if f not in (a, other)]
                    return mul([Read(name, a.subs), *(_put_pair(f, p, indices, name) for f in rest)])
    return map_children(lambda c: _put_pair(c, p, indices, name), e)
