"""Program -> program in which what is read in overlapping windows, or again for each place along another index, is scaled before, once
for each of its own places; so are functions of what is in windows.

    Y[n,i] = logsumexp_u (r X[n,i+u])        Y[n,i] = logsumexp_u Z[n,i+u],  Z[n,a] = r X[n,a]
    Y[n,i] = Σ_u K[u] relu(X[n,i+u])         Y[n,i] = Σ_u K[u] Z[n,i+u],     Z[n,a] = relu(X[n,a])
    u[k,i] = logsumexp_j (v[k,j] − C[i,j]/ε)     u[k,i] = logsumexp_j (v[k,j] − Z[i,j]),  Z[i,j] = C[i,j]/ε

The gradients are derived from the program that is left: dX is r dZ, and dr is Σ dZ X, without the windows, or the other index. A sum is
linear, and its factors are taken out of it elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...bounds import extreme, never_negative
from ...expr import UNARY, Expr, Num, Op, Read, Reduce, children, free_symbols, map_children, walk
from ...expr import replace as replaced
from ...facts import FINITE
from ...fresh import Fresh
from ...integer import Int
from ...polynomial import additive_terms, factors
from ...program import Equation, Program, Range
from ...within import positive_names


def beforehand(program: Program) -> Program:
    """See the module's docstring; a program that has none of this is given back itself. A reduction goes by the same places as before."""
    fresh, equations = Fresh(program.names), list[Equation]()
    scaled: dict[Expr, str] = {}  # by what is done to a tensor, whichever letters it has

    def named(body: Expr, window: Read, e: Equation) -> Read:
        """The window of the scaled tensor, of which there is one for each factor, or of a function of all its places."""
        anywhere = replaced(body, {window: Read(window.tensor, ())})
        if anywhere not in scaled:
            letters = tuple(Int.symbol(i) for i in _letters(program, window))
            whole = replaced(body, {window: Read(window.tensor, letters)})
            word = body.op if isinstance(body, Op) and body.op in UNARY else "scaled"
            name = scaled[anywhere] = fresh(f"{window.tensor}_{word}")
            ranges = dict(zip(map(str, letters), program.hulls[window.tensor], strict=True))
            equations.append(Equation(name, letters, whole, ranges, position=e.position))
        return Read(scaled[anywhere], window.subs)

    again = {f: window for e in program.equations for f, window in _again(program, e)}

    def visit(node: Expr, e: Equation, reduced: bool = False) -> Expr:
        if node in again and _is_all_of(program, again[node], e):
            return named(node, again[node], e)
        recurs = e.tensor in program.components
        if isinstance(node, Reduce) and node.op != "sum" and not recurs and (window := _window(program, node, e)) is not None:
            return Reduce(node.op, node.indices, named(node.body, window, e))
        if reduced and isinstance(node, Op) and not recurs and (window := _argument(node, e)) is not None:
            return named(node, window, e)
        return map_children(lambda child: visit(child, e, reduced or isinstance(node, Reduce)), node)

    rewritten = [e.with_body(visit(e.body, e)) for e in program.equations]
    return program.with_equations([*equations, *rewritten])


def _window(program: Program, node: Reduce, e: Equation) -> Read | None:
    """The read that slides, step by step, in a reduction of it times what is one number.

    An extreme hands nothing on to a factor from what is −inf and not chosen; as a product, that would be 0·∞.
    """
    parts = factors(node.body)
    windows = [f for f in parts if isinstance(f, Read) and f.subs]
    numbers = [f for f in parts if isinstance(f, Num) or _is_number(f) and node.op not in ("max", "min")]
    if len(parts) < 2 or len(windows) != 1 or len(numbers) + 1 != len(parts):
        return None
    seen = list(zip(windows[0].subs, program.hulls[windows[0].tensor], strict=True))
    slides = [s for s, _ in seen if len(s.symbols() & e.ranges.keys()) > 1]
    positive = positive_names(program)
    return windows[0] if slides and all(_goes_through(s, axis, e, positive) for s, axis in seen) else None


def _again(program: Program, e: Equation) -> Iterator[tuple[Expr, Read]]:
    """Terms of what a function is of, or a logsumexp or an extreme along more indices, that scale all of a tensor by numbers."""
    for node in walk(e.body):
        if isinstance(node, Op) and node.op in UNARY or isinstance(node, Reduce) and node.op != "sum":
            (inner,) = children(node)
            for _, term in additive_terms(inner):
                windows = [f for f in factors(term) if isinstance(f, Read) and f.subs]
                numbers = [f for f in factors(term) if _is_number(f) or isinstance(f, Op) and f.op == "/" and _is_number(f.args[1])]
                alone = len(windows) == 1 and numbers and len(numbers) + 1 == len(factors(term))
                if alone and free_symbols(term) < free_symbols(inner) and _is_all_of(program, windows[0], e):
                    yield term, windows[0]


def _is_all_of(program: Program, window: Read, e: Equation) -> bool:
    """Whether an equation reads the whole tensor, along an index for each axis, and the tensor waits for no step of a recurrence."""
    names = [s.name for s in window.subs]
    plain = len({*names}) == len(names) and all(name in e.ranges for name in names)
    return plain and window.tensor not in program.components and all(
        e.ranges[str(s)] == axis for s, axis in zip(window.subs, program.hulls[window.tensor], strict=True))


def _argument(f: Op, e: Equation) -> Read | None:
    """The read that slides, if the node is a function of it alone, finite at whatever places nobody reads. What is left out of a
    reduction is left out as before: the function stands at the same places."""
    nodes = list(walk(f)) if f.op in UNARY else []
    windows = {n for n in nodes if isinstance(n, Read) and n.subs}
    if len(windows) != 1 or not all(n.op in FINITE if isinstance(n, Op) else isinstance(n, Num | Read) for n in nodes):
        return None
    window = windows.pop()
    slides = any(len(s.symbols() & e.ranges.keys()) > 1 for s in window.subs)
    return window if slides and not any(s.elements() for s in window.subs) else None


def _goes_through(sub: Int, axis: Range, e: Equation, positive: Collection[str]) -> bool:
    """Whether each place of an axis is read, along one index of the equation and perhaps others, all of which go by single steps."""
    steps = [sub.split(i) for i in sub.symbols() & e.ranges.keys()]
    if sub.elements() or len(sub.symbols() & {*e.indices}) != 1 or not all(s is not None and s[0] * s[0] == 1 for s in steps):
        return False
    first, last = (extreme(sub, e.ranges, upper, positive) for upper in (False, True))
    return first is not None and last is not None and never_negative(axis.lo - first, {}, positive) and never_negative(
        last + 1 - axis.hi, {}, positive)


def _is_number(f: Expr) -> bool:
    return isinstance(f, Read) and not f.subs


def _letters(program: Program, window: Read) -> list[str]:
    """A letter for each axis: its own where it does not slide."""
    fresh, found = Fresh(program.names), list[str]()
    for s in window.subs:
        found.append(s.name if s.name is not None and s.name not in {*found, *program.sizes, *program.parameters} else fresh("a"))
    return found
