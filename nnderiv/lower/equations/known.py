"""A program beside one that is known: forward beside itself, or backward, which reads what forward has computed."""

from __future__ import annotations

from dataclasses import replace

from ...graph import reach
from ...program import Equation, Program


def with_known(program: Program, equations: list[Equation], known: Program) -> Program:
    """The program with these equations, and with the known program's for tensors that they read, and so on, and it does not define."""
    own = program.definitions.keys()
    read = {name for e in equations for name in e.reads}
    missing = reach(read - own, {name: more - own for name, more in known.edges.items()}) & known.definitions.keys()
    if not missing:
        return program.with_equations(equations)
    added = [e for e in known.equations if e.tensor in missing]
    shapes = {**program.shapes, **{name: known.shapes[name] for name in missing}}
    return replace(program, equations=(*added, *equations), shapes=shapes)


def own_cycles(program: Program, known: Program) -> list[frozenset[str]]:
    """The recurrences of a program, but for those that the program that is known computes for another one."""
    theirs = known.definitions.keys() if program.outputs != known.outputs else frozenset()
    return [cycle for cycle in dict.fromkeys(program.components.values()) if cycle.isdisjoint(theirs)]
