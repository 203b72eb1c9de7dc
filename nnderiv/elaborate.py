"""Syntax tree -> inputs, drafts of equations, givens: the signature, left-hand sides and `for` clauses. `resolve` reads what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field

from .expr import Expr, children
from .integer import Int
from .learned import missing
from .notation import Bound, Node, Statement, Syntax
from .program import Equation, Input
from .resolve import ROLES, Names, Reader

MAX_EXPRESSION_DEPTH = 120


@dataclass
class Draft:
    """An equation before its ranges are known: the bounds that a for clause set by hand, lower and upper.

    again: new name -> letter, where a letter is bound once more beside its first reduction; the two may turn out to have one range.
    """

    equation: Equation
    bounds: dict[str, tuple[Int, Int]]
    again: dict[str, str] = field(default_factory=dict)


def elaborate(syntax: Syntax) -> tuple[tuple[Input, ...], list[Draft], list[Expr]]:
    """(inputs, drafts of the equations, givens), every name resolved."""
    names = Names(syntax.text)
    inputs = _inputs(syntax, names)
    names.real_inputs = frozenset(i.name for i in inputs if i.kind == "real")
    _outputs(syntax, names)
    for statement in syntax.statements:
        if statement.left is not None:
            names.declare(statement.left, "tensor", len(statement.left.parts))
            names.letters.setdefault(str(statement.left.value), [str(sub.value) for sub in statement.left.parts])
            if str(statement.left.value) in {i.name for i in inputs}:
                names.fail(f"{statement.left.value} is an input; an equation cannot define it.", "Give the result another name.",
                           statement.position)
    for token in syntax.outputs:
        if token.text not in {s.left.value for s in syntax.statements if s.left is not None}:
            names.fail(f"The output {token.text} has no equation.", f"Add {token.text}[…] = …", token.position)
    drafts, givens = [], []
    for statement in syntax.statements:
        if statement.left is None:
            givens.append(_given(names, statement.right))
        else:
            drafts.append(_equation(names, statement))
    _refuse_duplicates(names, drafts)
    return inputs, drafts, givens


def _inputs(syntax: Syntax, names: Names) -> tuple[Input, ...]:
    for d in syntax.inputs:
        if d.name.text in names.role:
            names.fail(f"{d.name.text} is declared twice.", "Remove one of the two.", d.name.position)
        role = ("int tensor" if d.dims else "parameter") if d.is_int else "tensor"
        names.declare(d.name, role, len(d.dims))
        names.letters[d.name.text] = [str(n.value).lower() if len(str(n.value)) == 1 else "" for n in d.dims]
    inputs = tuple(Input(d.name.text, tuple(_dim(names, n) for n in d.dims), "int" if d.is_int else "real") for d in syntax.inputs)
    for name, dimension in missing(inputs).items():
        position = next(n.position for d in syntax.inputs for node in d.dims for n in _names_in(node) if n.value == name)
        names.fail(f"No shape gives the size {name}: it stands only in the dimension {dimension}.",
                   f"Declare it as an integer parameter: int {name}.", position)
    return inputs


def _dim(names: Names, node: Node) -> Int:
    """A dimension: a size (declared by this use), a non-negative integer, or an integer expression of sizes."""
    for n in _names_in(node):
        if names.role.get(str(n.value)) != "parameter":
            names.declare(n, "size")
    value = Reader(names).integer(node)
    if value.is_constant and value.constant < 0:
        names.fail(f"A dimension of {value}.", "A size is 0 or more.", node.position)
    return value


def _names_in(node: Node) -> list[Node]:
    return [node] if node.kind == "name" else [n for p in node.parts for n in _names_in(p)]


def _outputs(syntax: Syntax, names: Names) -> None:
    seen: set[str] = set()
    for token in syntax.outputs:
        if token.text in seen:
            names.fail(f"The output {token.text} is named twice.", "Remove one of the two.", token.position)
        seen.add(token.text)
        if token.text in names.role:
            names.fail(f"'{token.text}' is already {ROLES[names.role[token.text]]}, and an output needs an equation of its own.",
                       f"Define {token.text}1 = {token.text} and return it.", token.position)


def _equation(names: Names, statement: Statement) -> Draft:
    left = statement.left
    assert left is not None
    for sub in left.parts:
        if sub.kind == "name" and str(sub.value) not in names.role:
            names.declare(sub, "index")
    reader = Reader(names)
    subs = tuple(_left_subscript(names, reader, left, sub) for sub in left.parts)
    indices = [s.name for s in subs if s.name is not None and names.role[s.name] == "index"]
    for k, name in enumerate(indices):
        if name in indices[:k]:
            names.fail(f"{name} stands twice on the left.", f"Write {left.value}[…] = where({name} == {name}2, …, 0) to fill a diagonal.",
                       statement.position)
    reader.scope = {str(i): str(i) for i in indices}
    reader.used = set(reader.scope)
    reader.written = _bound_in(statement.right)
    reader.left = f"{left.value}[{','.join(map(str, indices))}]" if indices else str(left.value)
    body = reader.real(statement.right)
    _check_depth(names, body, statement.position)
    bounds = {b.name.text: _bound(names, reader, b) for b in statement.bounds}
    bounds |= {new: bounds[old] for new, old in reader.letter.items() if old in bounds}
    return Draft(Equation(str(left.value), subs, body, by_hand=frozenset(bounds), position=statement.position), bounds, reader.again)


def _given(names: Names, node: Node) -> Expr:
    """A fact, true for all of its indices. Each of them is a plain subscript somewhere in it, and runs as far as that tensor reaches."""
    fact = Reader(names, quantified=True).condition(node)
    settled = _plain_subscripts(node)
    for n in _names_in(node):
        name = str(n.value)
        if names.role.get(name) == "index" and name not in settled:
            names.fail(f"{name} is not declared, and no plain subscript {name} says that it is an index, and how far it runs.",
                       f"Declare it before the arrow (`{name}` or `int {name}`), or read a tensor at {name}.", n.position)
    return fact


def _plain_subscripts(node: Node) -> set[str]:
    own = {str(p.value) for p in node.parts if p.kind == "name"} if node.kind == "subscript" else set()
    return own.union(*map(_plain_subscripts, node.parts))


def _bound_in(node: Node) -> set[str]:
    return {t.text for t in node.names}.union(*map(_bound_in, node.parts))


def _left_subscript(names: Names, reader: Reader, left: Node, sub: Node) -> Int:
    is_index = sub.kind == "name" and names.role.get(str(sub.value)) == "index"
    reader.scope = {str(sub.value): str(sub.value)} if is_index else {}
    role = names.role.get(str(sub.value)) if sub.kind == "name" else None
    if role in ("tensor", "int tensor"):
        names.fail(f"{sub.value} is {ROLES[role]}, and stands where an index is needed.",
                   "A name has one role: choose another letter for the index.", sub.position)
    if sub.kind != "name" and any(str(n.value) not in names.role or names.role[str(n.value)] == "index" for n in _names_in(sub)):
        names.fail(f"A subscript on the left of {left.value} is an index, a number or a size.",
                   "Shift the index instead: for Y[i+1] = X[i] write Y[i] = X[i-1].", sub.position)
    return reader.integer(sub)


def _bound(names: Names, reader: Reader, bound: Bound) -> tuple[Int, Int]:
    name = bound.name.text
    if names.role.get(name) != "index":
        names.fail(f"{name} is not an index of this equation.", "A for clause sets the range of an index.", bound.name.position)
    for n in [x for side in (bound.lower, bound.upper) if side for x in _names_in(side)]:
        if names.role.get(str(n.value)) == "index":
            names.fail(f"The range of {name} cannot depend on the index {n.value}.",
                       f"Let {name} run over all that it may be, and say in a where(…) which of it counts.", n.position)
        if str(n.value) not in (*names.role, "inf", "pi"):
            names.fail(f"{n.value} is not a size of the signature, nor a parameter.",
                       f"Give an input a dimension {n.value}, or declare it: int {n.value}.", n.position)
    reader.scope = {}
    lower = reader.integer(bound.lower) if bound.lower else Int.of(0)
    return lower, reader.integer(bound.upper)


def _check_depth(names: Names, e: Expr, position: int) -> None:
    level: list[Expr] = [e]
    for _ in range(MAX_EXPRESSION_DEPTH):
        level = [c for n in level for c in children(n)]
        if not level:
            return
    names.fail("This expression is nested too deeply.", "Name parts of it in equations of their own.", position)


def _refuse_duplicates(names: Names, drafts: list[Draft]) -> None:
    general: dict[str, Equation] = {}
    for d in drafts:
        e = d.equation
        if all(s.name is not None and names.role[s.name] == "index" for s in e.subs):
            if e.tensor in general:
                names.fail(f"{e.tensor} has two general equations.", "Keep one; a base case has a number or a size as a subscript.",
                           e.position or 0)
            general[e.tensor] = e
