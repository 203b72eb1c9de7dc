"""Shares of a whole: what the program says of exponentials beside the logarithm of their sum, P = exp(S − lse).

They are what a logsumexp changes by. What comes to it from P itself adds up to something short, or to nothing:

    P = exp(S − lse), dP            dlse = −Σ dP P,  dS = P (dP + dlse)
    y = Σ_k P v                     dS = P (v − y) dy
    L = log(exp(a) + Σ exp(x))      dx = dL exp(x − L)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import permutations

from .expr import ZERO, Expr, Op, Read, free_symbols, has_reduction, num, reads, reduces_or_chooses, walk
from .expr import replace as replaced
from .integer import Int
from .logarithms import added_exponentials
from .polynomial import additive_terms, difference, factors, product
from .program import Equation, Program, Ranges
from .scalar import lowest_terms, partial
from .simplify import Term, simplify
from .terms import Context


class Shares:
    """The exponentials of a program in normal form that are shares of a whole."""

    def __init__(self, program: Program):
        self.program = program
        self.summed = set[str]()  # logsumexps whose gradients need no sum

    @cached_property
    def differences(self) -> dict[tuple[str, str], list[tuple[Equation, Read, Read]]]:
        """Equations P = exp(S − lse), by (S, lse), wherever these are read: the gradient of a logsumexp is what they define."""
        found: dict[tuple[str, str], list[tuple[Equation, Read, Read]]] = {}
        for e in self.program.equations:
            alone = len(self.program.definitions[e.tensor]) == 1  # a base case would put something else in some places
            pair = difference(e.body.args[0]) if alone and isinstance(e.body, Op) and e.body.op == "exp" else None
            if pair is not None:
                found.setdefault((pair[0].tensor, pair[1].tensor), []).append((e, *pair))
        return found

    @cached_property
    def by_pair(self) -> dict[tuple[str, str], Equation]:
        """The first of those in which S is read in the place of P."""
        plain = {names: [e for e, s, _ in found if s.subs == e.subs] for names, found in self.differences.items()}
        return {names: found[0] for names, found in plain.items() if found}

    @property
    def lse(self) -> frozenset[str]:
        """The tensors that are logsumexps."""
        return self.program.lse

    def share(self, summand: Expr, y: Read, e: Equation) -> Expr:
        """exp(S − lse), by the name that the program has for it."""
        for p, scores, total in self.differences.get((summand.tensor, y.tensor), ()) if isinstance(summand, Read) else ():
            at = next((at for at in letters_of(p, total, e) if (scores.subst(at), total.subst(at)) == (summand, y)), None)
            if at is not None:
                return p.element.subst(at)
        return Op("exp", (summand - y,))

    def slope(self, e: Equation, read: Read, own: Read | None) -> Expr | None:
        """exp(a − L) for the slope of L = log(exp(a) + exp(b)) by a, where a or b is a logsumexp: so it is the share of one more entry."""
        terms = added_exponentials(e.body) if self.lse else []
        if own is None or not any(isinstance(x, Read) and x.tensor in self.lse for x, _ in terms):
            return None
        (x, c), *more = [t for t in terms if read in reads(t[0])] or [(ZERO, ZERO)]
        return None if more or x == ZERO else product([c, Op("exp", (x - own,)), *factors(partial(x, read))])

    def is_share(self, lse: Read, body: Expr) -> bool:
        """Whether dlse is dL·exp(lse − L), which exp(x − lse) makes dL·exp(x − L)."""
        if lse.tensor not in self.lse or has_reduction(body):
            return False
        parts = factors(body)
        exps = [f for f in parts if isinstance(f, Op) and f.op == "exp" and (1, lse) in additive_terms(f.args[0])]
        return len(exps) == 1 and not any(lse in reads(f) for f in parts if f is not exps[0])

    def sums_up(self, name: str, body: Expr, dims: Ranges, ctx: Context) -> bool:
        """Whether Σ_k dP·P, or Σ_k dD, needs no sum, for P = exp(D) and D = S − lse: what is added by lse has its place beside dP then.

        So for an expectation y = Σ_k p v: dS = p·(v − y)·dy. And then that of lse.
        """
        plain = bool(self.lse) and not reduces_or_chooses(body)
        if not plain or name in self.summed:
            return plain
        if (d := self.program.whole(name)) is None:
            return False
        is_exp = isinstance(d.body, Op) and d.body.op == "exp"
        pair = difference(d.body.args[0] if is_exp and isinstance(d.body, Op) else d.body)
        if pair is None or pair[1].tensor not in self.lse:
            return False
        along = {i: r for i, r in dims.items() if Int.symbol(i) not in pair[1].subs}
        rows = {i: r for i, r in dims.items() if i not in along}
        slope = [Read(name, d.subs)] if is_exp else []
        found = (simplify(Term(along, (), product([num(s), *factors(t), *slope])), rows, ctx) for s, t in additive_terms(body))
        if not along or any(t is not None and t.indices for t in found):
            return False
        self.summed.add(pair[1].tensor)
        return True

    def in_lowest_terms(self, body: Expr) -> Expr:
        """What p and exp(log p) are both in, with p for either, if that is shorter: p·(1 − p/(p + q)) − q·p/(p + q) is 0."""
        named = ((n, self._share_of(n.args[0])) for n in walk(body) if isinstance(n, Op) and n.op == "exp")
        exps: dict[Expr, Read] = {n: p for n, p in named if p is not None}
        below = {n for d in walk(body) if isinstance(d, Op) and d.op == "/" for n in walk(d.args[1])} & {*exps}
        if reduces_or_chooses(body) or not {exps[n] for n in below} & {*reads(body)}:
            return body
        found = lowest_terms(replaced(body, exps))
        return found if sum(1 for _ in walk(found)) < sum(1 for _ in walk(body)) else body

    def _share_of(self, e: Expr) -> Read | None:
        """P where e is a tensor S − lse, and P = exp(S − lse)."""
        definitions = self.program.definitions.get(e.tensor, ()) if isinstance(e, Read) else ()
        pair = difference(definitions[0].body) if len(definitions) == 1 else None
        p = self.by_pair.get((pair[0].tensor, pair[1].tensor)) if pair else None
        if p is None or not isinstance(e, Read):
            return None
        (d,) = definitions
        return Read(p.tensor, e.subs) if (p.subs, p.body, p.ranges) == (d.subs, Op("exp", (d.body,)), d.ranges) else None

    def has_score(self, name: str, inlined: Mapping[str, tuple[tuple[str, ...], Expr]]) -> bool:
        """Whether the gradient of S − lse has a term c·P, with P = exp(S − lse) and c the same for all of a row."""
        shares = [p for (_, lse), p in self.by_pair.items() if lse == name and name in self.lse]
        for tensor_, (letters, body) in inlined.items() if shares else ():
            (d, *others) = self.program.definitions.get(tensor_, ()) or (None,)
            pair = difference(d.body) if d is not None and not others else None
            if pair is None or pair[1].tensor != name:
                continue
            own = [Read(p.tensor, tuple(map(Int.symbol, letters))) for p in shares if len(p.subs) == len(letters)]
            row = {str(s.name) for s in pair[1].subs}
            parts = [factors(t) for _, t in additive_terms(body)]
            if any(r in fs and free_symbols(product([f for f in fs if f != r])) & {*letters} <= row for r in own for fs in parts):
                return True
        return False


def letters_of(p: Equation, total: Read, lse: Equation) -> Iterator[dict[str, Int]]:
    """What the letters of P[i, k] = exp(S[α(i, k)] − lse[i]) may be called where lse is defined: k stands for one that is summed there."""
    places = {s.name: i for s, i in zip(total.subs, lse.subs, strict=True) if s.name is not None}
    mine, theirs = [i for i in p.indices if i not in places], [i for i in lse.ranges if i not in lse.indices]
    if {*places} <= {*p.indices} and len(mine) == len(theirs) and len(places) == len(total.subs):
        for chosen in permutations(theirs) if len(theirs) < 6 else [theirs]:
            at = {**places, **{i: Int.symbol(k) for i, k in zip(mine, chosen, strict=True)}}
            if all(s.name is not None and p.ranges[i] == lse.ranges[s.name] for i, s in at.items()):
                yield at

