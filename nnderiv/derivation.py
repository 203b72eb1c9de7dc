"""`derive`: a program -> its Derivation: forward, backward, the gradients one by one, their code, their evidence.

    d = derive(text)
    d.backward                 a Program: the gradients, in the same language
    d["W"].equation            one gradient: SymPy, LaTeX, steps
    d.numpy(), d.compile()     a module that imports NumPy and nothing else, as text and loaded
    d.check()                  evidence that formula, code and forward pass agree
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import arguments
from .derivative import Gradients, differentiate
from .errors import DerivationError
from .lower.module import Module, lower
from .lower.specialise import checked
from .parse import parse
from .program import Equation, Program

if TYPE_CHECKING:
    from .check import Report
    from .step import Steps


def derive(program: Program | str, wrt: Sequence[str] | None = None) -> Derivation:
    """dA[a] = Σ dY[i] · ∂e/∂A[α(i, r)] over all i and r with α(i, r) = a, for each Y[i] = Σ_r e(i, r) that reads A[α(i, r)].

    The gradients of a program (or of its text) with respect to its real inputs, or to those that `wrt` names; each has the shape of its
    input. dY, the seed, is an input of the gradient program, but for a scalar that is the only output, where it is 1.
    Raises `NotationError` for a text that does not parse, `DerivationError` for a gradient that cannot be had.

    >>> print(derive("X[N,I], W[I,O] -> Y\\n Y[n,o] = sum[i](X[n,i]*W[i,o])")["W"])
    dW[i,o] = sum[n](dY[n,o]*X[n,i])
    """
    program = parse(program) if isinstance(program, str) else program
    if not isinstance(program, Program):
        raise DerivationError(f"derive takes a Program or a text, not {arguments.shown(program)}.")
    return Derivation(program, differentiate(program, wrt))


@dataclass(frozen=True, repr=False)
class Derivation:
    """A forward program and all that follows from it; immutable. Shows itself as text and as typeset mathematics.

    forward: the program. d["W"], with the name of an input, is its Gradient.
    """

    forward: Program
    gradients: Gradients

    @property
    def backward(self) -> Program:
        """The gradient program; its inputs are forward's inputs and one seed per output ("dY")."""
        return self.gradients.backward

    @property
    def wrt(self) -> tuple[str, ...]:
        """The inputs that the gradients are with respect to."""
        return tuple(self.gradients.names)

    def __getitem__(self, name: str) -> Gradient:
        if not isinstance(name, str) or name not in self.gradients.names:
            meant = next((f"; d[{x!r}] is {g}" for x, g in self.gradients.names.items() if isinstance(name, str) and g == name), "")
            raise KeyError(f"{name}: there are gradients with respect to {', '.join(self.gradients.names)}{meant}")
        return Gradient(self, name)

    def __iter__(self) -> Iterator[Gradient]:
        return (Gradient(self, name) for name in self.gradients.names)

    def __len__(self) -> int:
        return len(self.gradients.names)

    def __contains__(self, item: object) -> bool:
        """Whether there is a gradient with respect to an input of this name, or this one."""
        return item in self.wrt if isinstance(item, str) else isinstance(item, Gradient) and item in tuple(self)

    def _module(self, sizes: Mapping[str, int] | None, without: Collection[str], threads: int) -> Module:
        threads, without = arguments.whole("threads", threads, 1), frozenset(arguments.names("without", without))
        known = checked(self.forward, {} if sizes is None else arguments.table("sizes", sizes))
        key = (frozenset(known.items()), without, threads)
        if key not in self._modules:
            self._modules[key] = lower(self.gradients, self.forward, without, threads, known)
        return self._modules[key]

    @cached_property
    def _modules(self) -> dict[object, Module]:
        return {}

    def numpy(self, sizes: Mapping[str, int] | None = None, without: Collection[str] = (), threads: int = 1) -> str:
        """The text of a standalone module with forward(...) and backward(...), which imports numpy and nothing else.

        With `sizes`, `{"N": 256}`, the text is for these sizes only, says so, and refuses others: what is cheapest is then
        known and not guessed. `without` names optimisations to leave out; `nnderiv.lower.passes` says which there are. With
        several threads, parts that do not depend on each other run at the same time, the linear algebra of each on one thread
        where threadpoolctl is installed; the module then imports that and a part of the standard library too. A sum over the
        parts is rounded differently.
        """
        return self._module(sizes, without, threads).source

    def compile(self, sizes: Mapping[str, int] | None = None, without: Collection[str] = (), threads: int = 1) -> Any:
        """The emitted module, loaded: `.forward`, `.backward`, `.source`; the options are those of `numpy`."""
        return self._module(sizes, without, threads).load()

    def check(self, seed: int = 0, **options: Any) -> Report:
        """Evidence, per gradient, that formula, code and forward pass agree; see `nnderiv.check`."""
        from .check import check

        return check(self, seed=seed, **options)

    def latex(self, form: str = "index") -> str:
        """All gradients, aligned."""
        from .forms import derivation_latex

        return derivation_latex(self, form)

    def document(self, steps: bool = True) -> str:
        """A LaTeX article of its own: the program, its gradients, and their derivations step by step unless `steps` is False."""
        from .display import document

        return document(self, steps)

    def __str__(self) -> str:
        return str(self.backward)

    __repr__ = __str__  # a terminal shows it as text

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"


@dataclass(frozen=True, repr=False)
class Gradient:
    """One gradient of a derivation."""

    derivation: Derivation
    wrt: str

    @property
    def name(self) -> str:
        """The name of the gradient, "d" + the input's."""
        return self.derivation.gradients.names[self.wrt]

    @cached_property
    def definition(self) -> Equation:
        """The gradient's equation in the gradient program."""
        return self.derivation.backward.definitions[self.name][-1]

    @property
    def equation(self) -> Any:
        """The gradient as a SymPy `Eq`."""
        from .sympy_form import equation_to_sympy

        return equation_to_sympy(self.derivation.backward, self.definition)

    @cached_property
    def steps(self) -> Steps:
        """The derivation, from the definition of the gradient to the final formula; each step is checked when it is made."""
        from .steps import steps

        return steps(self)

    @property
    def matrix_expression(self) -> Any:
        """The right-hand side as a SymPy matrix expression. Raises `MatrixFormError`, with the reason, where there is none."""
        from .matrix import matrix_form
        from .matrix.sympy_matrix import matrix_to_sympy

        return matrix_to_sympy(matrix_form(self.derivation.backward, self.definition))

    @cached_property
    def differential_steps(self) -> Steps:
        """The second method: from dJ = tr(Gᵀ dY) by differentials and the trace; each line and the gradient are confirmed.

        Raises `MatrixFormError`, with the reason, where the program is not made of matrices, columns and numbers.
        """
        from .differentials import by_differentials

        return by_differentials(self)

    def latex(self, form: str = "index") -> str:
        """The formula; form: "index" or "matrix". Raises `MatrixFormError`, with the reason, where no matrix form exists."""
        from .forms import gradient_latex

        return gradient_latex(self, form)

    def __str__(self) -> str:
        return str(self.definition)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"
