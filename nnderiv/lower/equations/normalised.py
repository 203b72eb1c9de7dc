"""Programs -> programs in which S − logsumexp(S) is one tensor wherever it is read, forward and backward.

    L = −Σ y (S − lse)        dS = exp(S − lse) − y          D = S − lse,   L = −Σ y D,   dS = exp(D) − y

Emitted as one block, D is computed from S − max(S): exact where S is large and the difference small, which S − lse is not. And
backward needs D alone, where it needed S and lse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...expr import Expr, Op, Read, children, map_children, reads
from ...fresh import Fresh
from ...polynomial import additive_terms, difference, signed
from ...program import Equation, Program
from .fuse import normalises
from .known import with_known


@dataclass(frozen=True)
class _Site:
    """Where scores − total stands, in an equation."""

    scores: Read
    total: Read
    equation: Equation


def normalised(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring; for every logsumexp that is read in such differences only."""
    fresh = Fresh(forward.names | backward.names)
    for name, (total, *_) in list(forward.definitions.items()):
        if name not in forward.lse:
            continue
        readers = [e for p in (forward, backward) for e in p.equations if name in e.reads]
        sites = [s for e in readers for s in _sites(e, e.body, total)]
        plain = [s for s in sites if not (isinstance(s.equation.body, Op) and s.equation.body.op == "exp")]
        everywhere = sum(r.tensor == name for e in readers for r in reads(e.body))
        if not plain or len(sites) != everywhere or name in forward.outputs:
            continue
        own = next((s for s in sites if s.equation in forward.equations and difference(s.equation.body) == (s.scores, s.total)
                    and len(forward.definitions[s.equation.tensor]) == 1 and list(s.equation.subs) == list(s.scores.subs)), None)
        e = own.equation if own else _new(sites[0], fresh(f"{sites[0].scores.tensor}_log"))
        equations = _rewritten(forward, total, e)
        if not own:
            equations.insert(equations.index(total) + 1, e)
        forward = forward.with_equations(equations)
        backward = with_known(backward, _rewritten(backward, total, e), forward)
    return forward, backward


def _sites(e: Equation, node: Expr, total: Equation) -> Iterator[_Site]:
    """The differences in an expression that are scores minus just this logsumexp of theirs."""
    if isinstance(node, Op) and node.op in ("+", "neg"):
        found = scores_less_total(e, node, total)
        if found is not None:
            yield _Site(found[1], found[2], e)
            yield from (s for _, t in found[3] for s in _sites(e, t, total))
            return
    for child in children(node):
        yield from _sites(e, child, total)


def scores_less_total(e: Equation, node: Expr, total: Equation) -> tuple[int, Read, Read, list[tuple[int, Expr]]] | None:
    """(sign, scores, total, the other terms) of a sum that holds ±(scores − total)."""
    terms = additive_terms(node)
    for a, (s, t) in enumerate(terms):
        if isinstance(t, Read) and t.tensor == total.tensor:
            for b, (other, x) in enumerate(terms):
                if other == -s and isinstance(x, Read) and normalises(total, x, t, e):
                    return other, x, t, [term for k, term in enumerate(terms) if k not in (a, b)]
    return None


def _new(site: _Site, name: str) -> Equation:
    ranges = {str(s.name): site.equation.ranges[str(s.name)] for s in site.scores.subs}
    return Equation(name, site.scores.subs, site.scores - site.total, ranges)


def _rewritten(program: Program, total: Equation, d: Equation) -> list[Equation]:
    """The equations with reads of d's tensor in place of the differences."""

    def visit(e: Equation, node: Expr) -> Expr:
        if isinstance(node, Op) and node.op in ("+", "neg") and (found := scores_less_total(e, node, total)) is not None:
            sign, scores, _, rest = found
            return signed([(sign, Read(d.tensor, scores.subs)), *((s, visit(e, t)) for s, t in rest)])
        return map_children(lambda child: visit(e, child), node)

    return [e.with_body(visit(e, e.body)) if total.tensor in e.reads and e.tensor != d.tensor else e for e in program.equations]
