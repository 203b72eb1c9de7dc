"""Programs -> program whose reductions are right where sizes are 0, which formulas leave out:

    y_of[n] = w[n] + cos(x[T-1,n]),  y = max[n](y_of[n])         y = max[n](where(0 < T, y_of[n], −∞))
    p[n] = 2·(x[n] − lse)            of x[n] + A[0,0]            p[n] = 2·where(0 < M, x[n] − lse, −∞)

Rule 2 asks what was written whether there is anything to read; a name that stands for it does not tell. Gradients know by the values.
What is chosen outside of reductions is said before the other passes, which give names to what it is chosen from.
A mean stays a sum divided by a size, as one writes it, and NumPy's nan where that is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...expr import Expr, Op, Reduce, conjuncts, map_children, map_ints, own_reads, replace, restricted, walk
from ...integer import Int
from ...normal import normalise
from ...program import Equation, Program, rename_tensors

Sum = tuple[str, tuple[str, ...]]  # the operation and the indices of a reduction
Place = tuple[str, tuple[Int, ...]]  # a tensor, and where a base case of it stands


@dataclass
class Nothing:
    """What the equation of a tensor in normal form should say of empty axes: whole, and for one that has been changed since, by parts."""

    plain: Expr
    body: Expr  # the same where something is chosen outside of its reductions
    exact: Expr
    conditions: dict[Sum, list[Expr]] = field(default_factory=dict)

    def at(self, sizes: Mapping[str, Int]) -> Nothing:
        """The same where some sizes are known."""

        def fixed(e: Expr) -> Expr:
            return map_ints(lambda value: value.subst(sizes), e)

        conditions = {key: [*map(fixed, cs)] for key, cs in self.conditions.items()}
        return Nothing(fixed(self.plain), fixed(self.body), fixed(self.exact), conditions)


def for_empty(original: Program, form: Program, sizes: Mapping[str, Int]) -> dict[Place, Nothing]:
    """What is to be said, by the equations of the normal form of the original program, which has the same equations by its own names."""
    if not any(_asks(n, e) for e in original.equations for n in walk(e.body) if isinstance(n, Reduce)):
        return {}
    exact = normalise(original, original.sizes)
    names = {x.tensor: e.tensor for e, x in zip(form.equations, exact.equations, strict=False)}
    exact = rename_tensors(exact, names)
    if [(e.tensor, e.subs) for e in form.equations] != [(e.tensor, e.subs) for e in exact.equations]:
        return {}  # they name other things; nobody knows which is which
    pairs = zip(form.equations, exact.equations, strict=True)
    return {_place(e, sizes): _nothing(e.body, x.body).at(sizes) for e, x in pairs if e.body != x.body}


def with_choices(program: Program, said: Mapping[Place, Nothing]) -> Program:
    """The program, before any other pass, with what is chosen outside of reductions."""
    return program.with_equations(
        e.with_body(n.body) if (n := said.get(_place(e))) is not None and e.body == n.plain else e for e in program.equations
    )


def with_nothing(program: Program, said: Mapping[Place, Nothing]) -> Program:
    """See the module's docstring."""
    return program.with_equations(e.with_body(_said(e.body, said[_place(e)])) if _place(e) in said else e for e in program.equations)


def _place(e: Equation, sizes: Mapping[str, Int] | None = None) -> Place:
    return e.tensor, tuple(s.subst(sizes or {}) for s in e.subs) if e.is_base else ()


def _asks(e: Reduce, around: Equation) -> bool:
    """Whether a reduction reads a place that no index moves."""
    return any(not s.symbols() & around.ranges.keys() for _, subs in own_reads(e.body) for s in subs)


def _nothing(plain: Expr, exact: Expr) -> Nothing:
    both = list(zip(_reductions(plain), _reductions(exact), strict=True))
    found = Nothing(plain, replace(exact, {b: a for a, b in both}), exact)
    for a, b in both:
        known, asked = (conjuncts(r.body.args[0]) if isinstance(r.body, Op) and r.body.op == "where" else () for r in (a, b))
        if (a.op, a.indices) == (b.op, b.indices) and (more := [c for c in asked if c not in known]):
            found.conditions[a.op, a.indices] = more
    return found


def _reductions(e: Expr) -> list[Reduce]:
    return [n for n in walk(e) if isinstance(n, Reduce)]


def _said(e: Expr, said: Nothing) -> Expr:
    if e == said.body:
        return said.exact

    def visit(n: Expr) -> Expr:
        n = map_children(visit, n)
        return restricted(n, said.conditions.get((n.op, n.indices), [])) if isinstance(n, Reduce) else n

    return visit(e)
