"""Programs -> programs in which a function of a tensor that forward and backward both need is computed once, and kept.

    y = x σ(x),   dx = dy σ(x) (1 + x (1 − σ(x)))          s = σ(x),   y = x s,   dx = dy s (1 + x (1 − s))

Only functions that cost more than reading an array do; GELU and SiLU are written with theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from ..expr import ONE, Expr, Num, Op, Read, Reduce, children, free_symbols, map_children, map_ints, reads
from ..expr import replace as replaced
from ..fresh import Fresh
from ..integer import Int
from ..program import Equation, Program
from .exchange import with_known

COSTLY = ("exp", "log", "tanh", "sigmoid", "erf", "sin", "cos")


def recall(forward: Program, backward: Program) -> tuple[Program, Program]:
    """See the module's docstring."""
    own = [e for e in backward.equations if e.tensor not in forward.definitions]
    wanted = {_key(f) for e in own for f in _functions(backward, e, _opened(e.body))}
    there = {key: name for key, name in _tensors(forward) if key in wanted}
    kept = _kept(forward, wanted - there.keys(), Fresh(forward.names | backward.names))
    names = there | {key: new.tensor for key, (_, new) in kept.items()}
    if not names:
        return forward, backward
    equations: list[Equation] = []
    for e in forward.equations:
        equations += [new for place, new in kept.values() if place is e]
        equations.append(e if e.tensor in there.values() else _reading(forward, e, names))
    shapes = {new.tensor: tuple(new.ranges.values()) for _, new in kept.values()}
    known = replace(forward, equations=tuple(equations), shapes={**forward.shapes, **shapes})
    own = [_reading(backward, e, names) for e in own]
    return known, with_known(replace(backward, equations=tuple(own)), own, known)


def _tensors(forward: Program) -> Iterator[tuple[Op, str]]:
    """The functions that are tensors already; none in a loop, which is not to wait for itself."""
    for e in forward.equations:
        alone = e.tensor not in forward.components and len(forward.definitions[e.tensor]) == 1 and not e.is_base
        for f in _functions(forward, e, e.body):
            if alone and f == e.body and _argument(f).subs == e.subs:
                yield _key(f), e.tensor


def _kept(forward: Program, wanted: Collection[Op], fresh: Fresh) -> dict[Op, tuple[Equation, Equation]]:
    """Function -> (the first equation that needs it, the function as a tensor); none in a loop, where each step would have to store it."""
    found: dict[Op, tuple[Equation, Equation]] = {}
    for e in forward.equations:
        body = _opened(e.body, wanted)
        if e.tensor in forward.components or len(forward.definitions[e.tensor]) > 1 or e.is_base:
            continue
        for f in _functions(forward, e, body):
            if f != body and (key := _key(f)) in wanted and key not in found:
                subs = _argument(f).subs
                ranges = {str(s.name): e.ranges[str(s.name)] for s in subs}
                found[key] = e, Equation(fresh(f"{e.tensor}_{f.op}"), subs, f, ranges)
    return found


def _functions(program: Program, e: Equation, node: Expr) -> Iterator[Op]:
    """The costly functions of one whole tensor in an expression, but for those under a condition."""
    if isinstance(node, Op) and node.op == "where":
        return
    if isinstance(node, Op) and node.op in COSTLY and _is_whole(program, e, node):
        yield node
    for child in children(node):
        yield from _functions(program, e, child)


def _is_whole(program: Program, e: Equation, f: Op) -> bool:
    """Whether a function looks at each entry of one tensor once, in any order, and at nothing else that has an index."""
    if len(set(reads(f))) != 1 or any(isinstance(n, Reduce) for n in children(f)):
        return False
    x = _argument(f)
    names = [str(s.name) for s in x.subs]
    each = bool(names) and len(set(names)) == len(names) and [e.ranges.get(n) for n in names] == list(program.hulls[x.tensor])
    return each and free_symbols(f) & set(e.ranges) <= set(names)


def _argument(f: Op) -> Read:
    return next(iter(reads(f)))


def _key(f: Op) -> Op:
    """The function with its argument's axes for letters."""
    values = {str(s.name): Int.symbol(f"§{k}") for k, s in enumerate(_argument(f).subs)}
    key = map_ints(lambda v: v.subst(values), f)
    assert isinstance(key, Op)
    return key


def _opened(e: Expr, wanted: Collection[Op] | None = None) -> Expr:
    """GELU and SiLU by the functions that they are made of, where these are wanted: some, or all."""
    if isinstance(e, Op) and e.op in ("gelu", "silu") and len(set(reads(e))) == 1:
        x = e.args[0]
        f = Op("sigmoid", (x,)) if e.op == "silu" else Op("erf", (Op("/", (x, Op("sqrt", (Num(Fraction(2)),)))),))
        if wanted is None or _key(f) in wanted:
            return x*f if e.op == "silu" else Num(Fraction(1, 2))*x*(ONE + f)
    return map_children(lambda child: _opened(child, wanted), e)


def _reading(program: Program, e: Equation, names: Mapping[Op, str]) -> Equation:
    """The equation with the functions read that are kept."""
    body = _opened(e.body, names)
    found = {f: _key(f) for f in _functions(program, e, body)}
    return e.with_body(replaced(body, {f: Read(names[key], _argument(f).subs) for f, key in found.items() if key in names}))
