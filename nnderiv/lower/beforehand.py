"""Program -> program in which what is read in overlapping windows is scaled before, once for each place.

    Y[n,i] = logsumexp_u (r X[n,i+u])        Y[n,i] = logsumexp_u Z[n,i+u],  Z[n,a] = r X[n,a]

The gradients are derived from the program that is left: dX is r dZ, and dr is Σ dZ X, without the windows. A sum is linear, and its
factors are taken out of it elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

from ..expr import Expr, Num, Read, Reduce, factors, map_children
from ..expr import replace as replaced
from ..fresh import Fresh
from ..integer import Int
from ..program import Equation, Program


def beforehand(program: Program) -> Program:
    """See the module's docstring; a program without such windows is given back itself. A reduction goes by the same places as before."""
    fresh, equations, shapes = Fresh(program.names), list[Equation](), dict(program.shapes)
    scaled: dict[Expr, str] = {}

    def named(body: Expr, window: Read, e: Equation) -> Read:
        """The window of the scaled tensor, of which there is one for each factor."""
        letters = tuple(Int.symbol(i) for i in _letters(program, window))
        whole = replaced(body, {window: Read(window.tensor, letters)})
        if whole not in scaled:
            name = scaled[whole] = fresh(f"{window.tensor}_scaled")
            shapes[name] = program.hulls[window.tensor]
            equations.append(Equation(name, letters, whole, dict(zip(map(str, letters), shapes[name], strict=True)), position=e.position))
        return Read(scaled[whole], window.subs)

    def visit(node: Expr, e: Equation) -> Expr:
        if isinstance(node, Reduce) and node.op != "sum" and (window := _window(node, e)) is not None:
            return Reduce(node.op, node.indices, named(node.body, window, e))
        return map_children(lambda child: visit(child, e), node)

    rewritten = [e if e.tensor in program.components else e.with_body(visit(e.body, e)) for e in program.equations]
    return replace(program, equations=(*equations, *rewritten), shapes=shapes) if equations else program


def _window(node: Reduce, e: Equation) -> Read | None:
    """The read that slides, step by step, in a reduction of it times what is one number."""
    parts = factors(node.body)
    windows = [f for f in parts if isinstance(f, Read) and f.subs]
    if len(parts) < 2 or len(windows) != 1 or not all(f is windows[0] or _is_number(f) for f in parts):
        return None
    groups = [[i for i in s.symbols() if i in e.ranges] for s in windows[0].subs]
    slides = [(s, g) for s, g in zip(windows[0].subs, groups, strict=True) if len(g) > 1]
    outer = [[s.split(i) for i in g if i in e.indices] for s, g in slides]
    whole = all(len(found) == 1 and found[0] is not None and found[0][0] == 1 for found in outer)  # else some places might be read by none
    return windows[0] if slides and whole and not any(s.elements() for s in windows[0].subs) else None


def _is_number(f: Expr) -> bool:
    return isinstance(f, Num) or isinstance(f, Read) and not f.subs


def _letters(program: Program, window: Read) -> list[str]:
    """A letter for each axis: its own where it does not slide."""
    fresh, found = Fresh(program.names), list[str]()
    for s in window.subs:
        found.append(s.name if s.name is not None and s.name not in {*found, *program.sizes, *program.parameters} else fresh("a"))
    return found
