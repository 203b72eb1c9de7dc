"""Standardised tensors: x̂ = (x − μ)/σ and σ = √(v + ε) get names, or keep those that they have, and gradients are written with them.

    μ = mean x, v = mean (x − μ)² or mean x² − μ²  ⇒  Σ (x − μ) = 0,  x − μ = σ x̂,  (v + ε)^{k/2} = σ^k
    r = √(Σ x²), y = x/r                          ⇒  x = r y,  (Σ x²)^{k/2} = r^k
    s = Σ e, p = e/s                              ⇒  e = s p

With dx̂ = dy γ, a layer or batch normalisation reads dx = (dx̂ − mean dx̂ − x̂ mean(dx̂ x̂)) / σ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from ..expr import (
    ONE,
    ZERO,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    add,
    free_symbols,
    map_children,
    mul,
    neg,
    num,
    reads,
    subst_indices,
    sums_among,
    walk,
)
from ..integer import Int
from ..polynomial import additive_terms, factors, is_reciprocal, product, square_root, unordered, without
from ..program import Equation, Program, Ranges, whole

Powers = dict[Read, Fraction]


@dataclass(frozen=True)
class Scaling:
    """Where a program divides by σ[k] = sqrt(radicand): x[at] is centred by μ (None: it is not, as in an RMS norm).

    sigma: the program's own tensor for σ, where it has one.
    """

    radicand: Expr
    variance: Read
    x: Read
    mean: Read | None
    sigma: Read | None = None


def means(program: Program) -> dict[str, tuple[Equation, Reduce]]:
    """Tensors that are the mean of an expression over some indices."""
    found = {}
    for name, es in program.definitions.items():
        if len(es) == 1 and (inner := _mean(es[0])) is not None:
            found[name] = (es[0], inner)
    return found


def moments(program: Program) -> dict[str, tuple[Equation, Reduce]]:
    """Tensors that are a mean or a sum, and numbers: v or v + ε; or the mean of squares less a square."""
    found = {}
    for name, es in program.definitions.items():
        moving = [(s, t) for s, t in additive_terms(es[0].body) if free_symbols(t) & es[0].ranges.keys() or reads(t) and not es[0].indices]
        less = len(moving) == 2 and moving[1][0] < 0 and isinstance(moving[1][1], Op) and moving[1][1].op == "**"
        if len(es) == 1 and moving and moving[0][0] > 0 and (len(moving) == 1 or less):
            inner = _mean(es[0].with_body(moving[0][1])) or (None if less else _sum(es[0].with_body(moving[0][1])))
            if inner is not None:
                found[name] = (es[0], inner)
    return found


def _sum(e: Equation) -> Reduce | None:
    """The sum of which a right-hand side is a multiple."""
    sums = sums_among(factors(e.body))
    others = [f for f in factors(e.body) if f not in sums]
    return sums[0] if len(sums) == 1 and not any(free_symbols(f) & e.ranges.keys() or reads(f) for f in others) else None


def _mean(e: Equation) -> Reduce | None:
    """The reduction of which a right-hand side is the mean."""
    if isinstance(e.body, Reduce) and e.body.op == "mean":
        return e.body
    parts = factors(e.body)
    sums = sums_among(parts)
    if len(sums) != 1:
        return None
    count = Int.of(1)
    for i in sums[0].indices:
        count = count * e.ranges[i].size
    below = num(1 / Fraction(count.constant)) if count.is_constant and count.constant else Op("/", (ONE, IntValue(count)))
    rest = [f for f in parts if f is not sums[0]]
    return sums[0] if mul(rest) == below or sorted(map(str, rest)) == sorted(map(str, factors(below))) else None


def _square(e: Expr) -> Expr | None:
    """a of a² or a·a."""
    if (root := square_root(e)) is not None:
        return root
    parts = factors(e)
    return parts[0] if isinstance(e, Op) and e.op == "*" and len(parts) == 2 and parts[0] == parts[1] else None


def difference(e: Expr) -> tuple[int, Read, Read] | None:
    """(sign, x, μ) of ±(x − μ); μ has fewer subscripts."""
    terms = additive_terms(e)
    if len(terms) != 2 or terms[0][0] == terms[1][0] or not all(isinstance(t, Read) for _, t in terms):
        return None
    (s, a), (_, b) = terms
    assert isinstance(a, Read) and isinstance(b, Read)
    return (s, a, b) if len(a.subs) > len(b.subs) else (-s, b, a)


class Standardiser:
    """The rules for one program.

    scalings: variance -> (x, μ). sigmas: the program's own tensor for a σ -> (its equation, what it scales); inverses: for a 1/σ.
    """

    def __init__(self, program: Program):
        self.program = program
        self.means, self.moments = means(program), moments(program)
        self.scalings = {v: s for v in self.moments if (s := self._scaling(v)) is not None}
        self.sigmas: dict[str, tuple[Equation, Scaling]] = {}
        self.inverses: dict[str, tuple[Equation, Scaling]] = {}
        own = {name: self._own_sigma(es) for name, es in program.definitions.items()}
        self.sigmas |= {name: o[:2] for name, o in own.items() if o is not None and o[2] > 0}
        self.inverses |= {name: o[:2] for name, o in own.items() if o is not None and o[2] < 0}
        self.sigmas |= {o[0].tensor: o for es in program.definitions.values() if (o := self._own_quotient(es)) is not None}

    def _own_sigma(self, es: tuple[Equation, ...]) -> tuple[Equation, Scaling, int] | None:
        """A tensor that the program defines as √(v + ε), or as 1/√(v + ε)."""
        e, body = whole(es), es[0].body
        inverse = is_reciprocal(body)
        root = body.args[1] if is_reciprocal(body) else body
        if e is None or not (isinstance(root, Op) and root.op == "sqrt"):
            return None
        found = next(self.roots(root), None)
        same = found is not None and {s.name for s in found.variance.subs} == set(e.indices)
        return (e, found, -1 if inverse else 1) if found is not None and same else None

    def _own_quotient(self, es: tuple[Equation, ...]) -> tuple[Equation, Scaling] | None:
        """s where the program defines p = e/s and s = Σ e."""
        body = es[0].body
        if whole(es) is None or not (isinstance(body, Op) and body.op == "/"):
            return None
        e, s = body.args
        if not (isinstance(e, Read) and isinstance(s, Read) and s.tensor in self.moments and len(s.subs) < len(e.subs)):
            return None
        definition, inner = self.moments[s.tensor]
        if not (isinstance(inner.body, Read) and inner.body.tensor == e.tensor and definition.body == inner):
            return None
        at = dict(zip(s.subs, map(Int.symbol, definition.indices), strict=True))
        x = Read(e.tensor, tuple(at.get(t, t) for t in inner.body.subs))
        total = Read(s.tensor, definition.subs)
        return definition, Scaling(Op("quotient", (total,)), total, x, None)

    def _scaling(self, name: str) -> tuple[Read, Read | None] | None:
        """(x, μ) where a tensor is the mean of (x − μ)² or of x², or the mean of x² less μ²."""
        definition, inner = self.moments[name]
        base = _square(inner.body)
        if base is None:
            return None
        less = [t for s, t in additive_terms(definition.body) if s < 0 and isinstance(t, Op) and t.op == "**"]
        mean = _square(less[0]) if less else None
        if less:
            return (base, mean) if isinstance(base, Read) and isinstance(mean, Read) and self.is_centred(base, mean) else None
        if isinstance(base, Read):
            return base, None
        found = difference(base)
        return (found[1], found[2]) if found and self.is_centred(found[1], found[2]) else None

    def is_mean(self, variance: str) -> bool:
        """Whether a variance is a mean, and not a sum."""
        definition, inner = self.moments[variance]
        first = additive_terms(definition.body)[0][1]
        return _mean(definition.with_body(first)) == inner

    def is_centred(self, x: Read, mean: Read, over: tuple[str, ...] | None = None) -> bool:
        """Whether μ[subs] is the mean of x over those indices of x[subs] that μ[subs] does not have."""
        if mean.tensor not in self.means:
            return False
        e, inner = self.means[mean.tensor]
        if not isinstance(inner.body, Read) or inner.body.tensor != x.tensor:
            return False
        table = e.places(mean.subs)
        bound: dict[str, Int] = {}
        for s, t in zip(inner.body.subs, x.subs, strict=True):
            if s.name in inner.indices:
                bound[str(s.name)] = t
        plain = all(t.name is not None for t in bound.values()) and len(set(bound.values())) == len(inner.indices)
        return plain and subst_indices(inner.body, {**table, **bound}) == x and (
            over is None or {t.name for t in bound.values()} == set(over))

    # -- rules -------------------------------------------------------------------------------------------------------
    def vanishing(self, e: Expr) -> Expr:
        """Σ (x − μ) = 0 over the indices of the mean."""
        if isinstance(e, Reduce) and e.op == "sum":
            moving = [f for f in factors(e.body) if free_symbols(f) & set(e.indices)]
            found = difference(moving[0]) if len(moving) == 1 else None
            if found and self.is_centred(found[1], found[2], e.indices):
                return ZERO
        return map_children(self.vanishing, e)

    def roots(self, e: Expr) -> Iterator[Scaling]:
        """The square roots, and powers of them, of v + ε in an expression, and the program's own names for them."""
        for n in walk(e):
            if isinstance(n, Read) and n.tensor in {*self.sigmas, *self.inverses} and all(t.name for t in n.subs):
                own, s = self.sigmas.get(n.tensor) or self.inverses[n.tensor]
                at = {str(i): t for i, t in zip(own.indices, n.subs, strict=True)}
                sigma = n if n.tensor in self.sigmas else None
                yield Scaling(subst_indices(s.radicand, at), s.variance.subst(at), s.x.subst(at), s.mean and s.mean.subst(at), sigma)
                continue
            base = n.args[0] if isinstance(n, Op) and (n.op == "sqrt" or n.op == "**" and _half(n.args[1]) is not None) else None
            if base is None:
                continue
            read = [r for r in reads(base) if r.tensor in self.scalings]
            if len(read) == 1 and all(t == read[0] or not free_symbols(t) for _, t in additive_terms(base)):
                definition, _ = self.moments[read[0].tensor]
                x, mean = self.scalings[read[0].tensor]
                table = definition.places(read[0].subs)
                yield Scaling(base, read[0], x.subst(table), mean and mean.subst(table))


def collected(e: Expr, x: str, mean_of: Callable[[Read], Read | None], ranges: Ranges) -> Expr:
    """c x + a − c μ = c (x − μ) + a, in a sum of products that are multiplied out where x or μ stands in them."""
    terms = _spread(e, x)
    for k, (s, t) in enumerate(terms):
        for r in t:
            mean = mean_of(r) if isinstance(r, Read) and r.tensor == x else None
            if mean is None:
                continue
            rest = [f for f in t if f is not r]
            for j, (other, u) in enumerate(terms):
                if other != s and mean in u and unordered(product(rest), ranges) == unordered(product(without(u, [mean])), ranges):
                    both = product([num(s), *rest, add([r, neg(mean)])])
                    return add([*(product([num(z), *v]) for i, (z, v) in enumerate(terms) if i not in (j, k)), both])
    return e


def _spread(e: Expr, x: str) -> list[tuple[int, list[Expr]]]:
    """A sum of products, sums among their factors multiplied out, differences x − μ left as they are."""
    found = []
    for s, t in additive_terms(e):
        parts = factors(t)
        sums = [k for k, f in enumerate(parts) if len(additive_terms(f)) > 1 and ((d := difference(f)) is None or d[1].tensor != x)]
        k = sums[0] if sums else None
        sign = -1 if num(-1) in parts else 1
        if k is None:
            found.append((s * sign, [f for f in parts if f != num(-1)]))
        else:
            found += _spread(add([product([num(s), *parts[:k], *parts[k + 1 :], num(z), u]) for z, u in additive_terms(parts[k])]), x)
    return found


def _half(e: Expr) -> Fraction | None:
    """k of an exponent k/2, k odd."""
    if isinstance(e, Op) and e.op == "neg" and (k := _half(e.args[0])) is not None:
        return -k
    value = e.value if isinstance(e, Num) else None
    return value * 2 if value is not None and value.denominator == 2 else None


def with_powers(e: Expr, sigmas: dict[Expr, Read]) -> Expr:
    """√r and r^{k/2} as powers of σ."""
    if isinstance(e, Op) and e.op == "sqrt" and e.args[0] in sigmas:
        return sigmas[e.args[0]]
    if isinstance(e, Op) and e.op == "**" and e.args[0] in sigmas and (k := _half(e.args[1])) is not None:
        return _power(sigmas[e.args[0]], k)
    return map_children(lambda c: with_powers(c, sigmas), e)


def _power(base: Expr, k: Fraction) -> Expr:
    if k < 0:
        return Op("/", (ONE, _power(base, -k)))
    return base if k == 1 else Op("**", (base, Num(k)))


def gathered(e: Expr, sigmas: set[Read]) -> Expr:
    """A sum of products, in each of which the powers of every σ are one, outside of the sums that do not run over it."""
    split = [(s, *_split(t, sigmas)) for s, t in additive_terms(e)]
    for r in sigmas:
        below = [(s, p, rest) for s, p, rest in split if p.get(r, 0) < 0]
        if len(below) > 1:
            k = max(p[r] for _, p, _ in below)
            shared = [f for f in below[0][2] if isinstance(f, Read) and all(f in rest for _, _, rest in below)]
            inner = add([_signed(s, _with(without(rest, shared), {**p, r: p[r] - k})) for s, p, rest in below])
            others = [_signed(s, _with(rest, p)) for s, p, rest in split if p.get(r, 0) >= 0]
            return add([_with([inner, *shared], {r: k}), *others])
    return add([_signed(s, _with(rest, p)) for s, p, rest in split])


def deepest(e: Expr, sigmas: set[Read]) -> Powers:
    """The least power of each σ in a sum of products, sums among their factors included."""
    found: Powers = {}
    for _, t in additive_terms(e):
        powers, rest = _split(t, sigmas)
        for f in rest:
            for r, k in deepest(f, sigmas).items() if len(additive_terms(f)) > 1 else ():
                powers[r] = powers.get(r, Fraction(0)) + k
        for r, k in powers.items():
            found[r] = min(found.get(r, Fraction(0)), k)
    return found


def _signed(s: int, e: Expr) -> Expr:
    return e if s > 0 else neg(e)


def _with(parts: list[Expr], powers: Powers) -> Expr:
    return product([*parts, *(_power(r, k) for r, k in powers.items() if k)])


def _split(e: Expr, sigmas: set[Read]) -> tuple[Powers, list[Expr]]:
    """(powers of σ, other factors) of a product."""
    powers: Powers = {}
    rest: list[Expr] = []
    for f in factors(e):
        inverse = is_reciprocal(f)
        g = f.args[1] if is_reciprocal(f) else f
        base, k = (g.args[0], g.args[1].value) if isinstance(g, Op) and g.op == "**" and isinstance(g.args[1], Num) else (g, Fraction(1))
        if isinstance(base, Read) and base in sigmas:
            powers[base] = powers.get(base, Fraction(0)) + (-k if inverse else k)
        elif isinstance(f, Reduce) and f.op == "sum":
            inside, parts = _split(f.body, sigmas)
            out = {r: k for r, k in inside.items() if not free_symbols(r) & set(f.indices)}
            for r, k in out.items():
                powers[r] = powers.get(r, Fraction(0)) + k
            left = {r: k for r, k in inside.items() if r not in out}
            rest.append(Reduce("sum", f.indices, _with(parts, left)))
        elif isinstance(f, Op) and f.op in ("+", "neg"):
            inner = gathered(f, sigmas)
            if len(additive_terms(inner)) > 1:
                rest.append(inner)
                continue
            inside, parts = _split(inner, sigmas)
            rest += parts
            for r, k in inside.items():
                powers[r] = powers.get(r, Fraction(0)) + k
        else:
            rest.append(f)
    return {r: k for r, k in powers.items() if k}, rest

