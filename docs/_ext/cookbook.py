"""The table of the Matrix Cookbook's derivatives: each definition, its derived gradient, and the identity confirmed on the spot.

    summary()              how many equations there are, are stated, hold
    identities(75, 88)     the cases with these numbers: number, definition, gradient
    not_stated()           the equations that have no case, with the reason
"""

from functools import cache
from itertools import groupby

from reference import Markdown

from nnderiv import Derivation
from nnderiv.errors import MatrixFormError
from tests.suites.matrix_cookbook import CASES, NOT_STATED, Case, counts


def summary() -> Markdown:
    """The identities of all cases hold, or there is no sentence: AssertionError."""
    for c in CASES:
        _confirmed(c)
    n = counts()
    return Markdown(
        f"**Of {n['equations']} equations, {n['stated']} can be stated. All {n['stated']} hold.** They make {n['cases']} cases, since some "
        f"lines of the Cookbook state one formula twice. {n['not stated']} cannot be stated; the last table says why.")


def identities(first: int, last: int) -> Markdown:
    """Raises AssertionError if an identity does not hold."""
    rows = ["| equation | definition, and what is derived from it |", "|---|---|", *(_row(c) for c in CASES if first <= c.number <= last)]
    return Markdown("\n".join(rows))


@cache
def _confirmed(c: Case) -> Derivation:
    """The derivation, if its gradient is the identity."""
    d = c.derivation
    c.confirm(d)
    return d


def _row(c: Case) -> str:
    d = _confirmed(c)
    try:
        formula = d.latex(form="matrix")
    except MatrixFormError:
        formula = d.latex()
    numbers = ", ".join(map(str, sorted((c.number, *c.extra))))
    definition = "<br />".join(f"`{' '.join(line.split())}`" for line in c.forward.splitlines())
    return f"| {numbers} | {definition}<br />$\\displaystyle {' '.join(formula.split())}$ |"


def not_stated() -> Markdown:
    # A bar would end the cell.
    rows = (f"| {_runs(numbers)} | {reason} |" for reason, numbers in ((r.replace("|", r"\|"), n) for r, n in NOT_STATED.items()))
    return Markdown("\n".join(["| equations | why not |", "|---|---|", *rows]))


def _runs(numbers: tuple[int, ...]) -> str:
    """40, 41, 42, 46 as 40–42, 46."""
    runs = [[n for _, n in group] for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
