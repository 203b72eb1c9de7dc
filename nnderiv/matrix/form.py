"""MatrixForm: an equation as a person reads it, in matrices, with what it names, and confirmed.

    matrix_form(program, equation)     reading -> recognition -> lowering -> confirmation
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ..errors import MatrixFormError
from ..expr import Read, walk
from ..program import Equation, Program
from ..symmetry import symmetries
from ..tidy import Surroundings
from .axes import Axis, is_silent, moved_subscripts, places, superscripts, superscripts_of
from .build import upright
from .confirm import Evidence, confirm
from .element import Lowering, apart, lower
from .memory import remembered
from .nodes import Leaf, Node
from .reading import reading
from .recognise import Recogniser
from .windows import Windows


@dataclass(frozen=True)
class MatrixForm:
    """left = right, for every value of the superscripts.

    program: the program as it is read (see `reading`); equation: the one of it that left = right says; source: the equation asked for.
    definitions: what the form names beside it, each a form, or an equation where it is written in indices.
    silent: the axes that are left out. evidence: how surely the form has the values of the source.
    """

    program: Program
    equation: Equation
    left: Node
    right: Node
    silent: frozenset[Axis] = field(default_factory=frozenset)
    definitions: tuple[MatrixForm | Equation, ...] = ()
    source: Equation | None = None
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def trials(self) -> int:
        """At how many random samples of sizes and inputs the form was found equal to the source."""
        return self.evidence.trials

    @property
    def for_every(self) -> tuple[str, ...]:
        """The indices that are left out on the left."""
        places = [(s.name, (self.equation.tensor, k)) for k, s in enumerate(self.equation.subs)]
        return tuple(name for name, axis in places if name is not None and axis in self.silent)


def matrix_form(program: Program, equation: Equation) -> MatrixForm:
    """The matrix form of one equation of a program; MatrixFormError, with the reason, where there is none.

    Each form is lowered to index notation again and compared with the equation by the interpreter.
    """
    r = reading(program)
    read = r.of(equation)
    form = recognised(r.shown if equation.tensor in r.shown.definitions else r.whole, read)
    definitions = tuple(_defined(r.shown, d, read) for d in r.definitions_of(read))
    return replace(form, definitions=definitions, source=equation, evidence=confirm(r.whole, equation, lower(form)))


def _defined(program: Program, e: Equation, beside: Equation) -> MatrixForm | Equation:
    """A definition as a matrix form if it has one, with the superscripts of the formula that it stands beside."""
    if not any(isinstance(n, Read) for n in walk(e.body)):
        return e
    try:
        form = recognised(program, e, beside)
        return replace(form, source=e, evidence=confirm(program, e, lower(form)))
    except MatrixFormError:
        return e


def recognised(program: Program, equation: Equation, *beside: Equation) -> MatrixForm:
    """The form of an equation as it stands, without a reading and not yet confirmed; with as few superscripts as it can have."""
    axes, silent = _axes(program)
    fewer = superscripts_of(program, equation, *beside)
    mine = {a for a, _ in places(equation)}
    if mine & axes.keys() != mine & fewer.keys() and not silent & mine:
        try:
            return _in_axes(program, equation, fewer, frozenset())
        except MatrixFormError:
            pass
    return _in_axes(program, equation, axes, silent)


def _in_axes(program: Program, equation: Equation, axes: dict[Axis, Axis], silent: frozenset[Axis]) -> MatrixForm:
    """The form in which these axes are superscripts."""
    r = (Windows if moved_subscripts(equation, axes) else Recogniser)(program, equation, frozenset(axes))
    rows = [str(s.name) for k, s in enumerate(equation.subs) if (equation.tensor, k) not in axes]
    row, column = [*rows, None, None][:2]
    right = apart(r.matrix(equation.body, row, column), Lowering(program, r.equation), rows)
    right = upright(right, partial(_is_symmetric, program))
    return MatrixForm(program, r.equation, r.left(), right, silent)


def _is_symmetric(program: Program, a: Leaf) -> bool:
    """Whether a matrix is its own transpose, by its definition or because it is given."""
    rows = tuple(k for k, s in enumerate(a.subs) if s is None)
    return rows in _symmetries(program)(a.tensor)


@remembered
def _symmetries(program: Program) -> Callable[[str], tuple[tuple[int, int], ...]]:
    return partial(symmetries, ctx=Surroundings(program))


@remembered
def _axes(program: Program) -> tuple[dict[Axis, Axis], frozenset[Axis]]:
    """The superscripts of a program, and those that are left out."""
    axes = superscripts(program)
    return axes, frozenset(a for a in axes if is_silent(program, axes[a], axes))
