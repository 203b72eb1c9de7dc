"""Program -> program in which each product of matrices over windows is an equation's only one: a sum of two convolutions is two tensors.

    Y[n,o,i] = Σ K[o,c,u] X[n,c,i+u] + Σ L[o,c,u] A[n,c,i+u] + b[o]       Z[n,o,i] = Σ L[o,c,u] A[n,c,i+u],   Y = Σ K X + Z + b
    dX[n,c,i] = Σ K[o,c,u] dY[n,o,i−u] + dA[n,c,i]                        Z[n,c,i] = Σ K[o,c,u] dY[n,o,i−u],  dX = Z + dA

Such a product is computed some images at a time (`by_image`), where it is alone. One that gathers takes what is added to it in passing;
one that scatters, as `fold` says it, is added up place by place, and nothing stands beside it.
"""

from __future__ import annotations

from ...expr import Expr, Read, Reduce, free_symbols, sums_among, walk
from ...fresh import Fresh
from ...polynomial import additive_terms, factors, guarded_factors, signed
from ...program import Equation, Program
from ..fold import find_fold


def one_window(program: Program) -> Program:
    """See the module's docstring; recurrences are left alone."""
    fresh, equations = Fresh(program.names), list[Equation]()
    for e in program.equations:
        equations += [e] if e.tensor in program.components or e.is_base else _equations(program, e, fresh)
    return program.with_equations(equations)


def _equations(program: Program, e: Equation, fresh: Fresh) -> list[Equation]:
    """An equation, after those of the products that do not stay in it."""
    terms = additive_terms(e.body)
    if len(terms) < 2:
        return [e]
    scattered = [t for _, t in terms if _scatters(program, e, t)]
    gathered = [t for _, t in terms if t not in scattered and _gathers(e, t)]
    apart = [*scattered, *gathered[1:]]
    if not apart:
        return [e]
    named = {t: _named(e, fresh(f"{e.tensor}_sum"), t) for t in apart}
    return [*named.values(), e.with_body(signed([(s, named[t].element if t in named else t) for s, t in terms]))]


def _named(e: Equation, name: str, term: Expr) -> Equation:
    used = {i for n in walk(term) if isinstance(n, Reduce) for i in n.indices} | {*e.indices}
    return Equation(name, e.subs, term, {i: r for i, r in e.ranges.items() if i in used})


def _scatters(program: Program, e: Equation, term: Expr) -> bool:
    """Σ K[o,c,u] dY[n,o,i−u], added along each axis of an image at the places of a kernel."""
    fold = find_fold(program, e, term) if _is_product_over_windows(e, term) else None
    return fold is not None and fold.scatter is None and all(axis is None or len(axis[1]) == 2 for axis in fold.axes)


def _gathers(e: Equation, term: Expr) -> bool:
    """Σ K[o,c,u] X[n,c,i+u], of which nothing is left out."""
    return _is_product_over_windows(e, term) and not any(guarded_factors(total.body)[0] for total in sums_among(factors(term)))


def _is_product_over_windows(e: Equation, term: Expr) -> bool:
    """Whether a term is as large as the equation, and a product of matrices with a window in one, of images that the other has not."""
    sums = sums_among(factors(term))
    if len(sums) != 1 or not {*e.indices} <= free_symbols(term):
        return False
    _, parts = guarded_factors(sums[0].body)
    windows = [f for f in parts if isinstance(f, Read) and any(len(s.symbols() & e.ranges.keys()) > 1 for s in f.subs)]
    if len(windows) != 1:
        return False
    (window,) = windows
    beside = frozenset[str]().union(*(free_symbols(f) for f in parts if f is not window)) & e.ranges.keys()
    images = {s.name for s in window.subs if s.name in e.indices} - beside
    return bool(images) and bool(beside - free_symbols(window)) and bool(beside & free_symbols(window) & {*sums[0].indices})
