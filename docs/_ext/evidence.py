"""The evidence that stands behind an equation, computed once for each derivation of a page.

``of(d)`` is ``d.check(seed=0)``, remembered. ``behind(d, "dz")`` is the evidence for one tensor of the gradient program: its
own rows if it is a gradient, and for a tensor on the way (dz) an adjoint test of its own: a perturbation is added to z in
the forward program, and ⟨dz, v⟩ must be the slope of the output along v, in exact arithmetic.

A disagreement is an error: the cell fails, and with it the build.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from nnderiv import Derivation, Program
from nnderiv.check import DIGITS, Evidence, Report
from nnderiv.draw import draw, flat, mode_of, number
from nnderiv.dual import Dual, Kink
from nnderiv.evaluate import evaluate
from nnderiv.expr import Read, add
from nnderiv.integer import Int
from nnderiv.numbers import is_mpf
from nnderiv.numeric import Comparison, dot, size_of_dot
from nnderiv.program import Input

Row = dict[str, Any]
PROBE = "probe_"
TRIALS, TRIES = 3, 30

_reports: dict[tuple[str, tuple[str, ...]], Report] = {}


class Refuted(AssertionError):
    """An equation of the page does not hold; the page must not be built."""


def of(d: Derivation) -> Report:
    """``d.check(seed=0)``; raises Refuted where it finds a disagreement."""
    known = (str(d.forward), d.wrt)
    if known not in _reports:
        _reports[known] = d.check(seed=0)
    report = _reports[known]
    if not report.ok:
        raise Refuted(f"The check refutes what the page would show:\n{report}")
    return report


def rows(found: tuple[Evidence, ...]) -> list[Row]:
    """Evidence as data for the page."""
    return [{"kind": e.kind, "trials": e.trials, "sizes": e.sizes, "error": e.cells[4], "tolerance": e.cells[5]} for e in found]


def behind(d: Derivation, tensor: str) -> list[Row]:
    """The evidence for one tensor of the gradient program; Refuted where there is none that holds."""
    report = of(d)
    if own := report[tensor]:
        return rows(own)
    forward = {gradient: name for name, gradient in _adjoints(d).items()}
    if tensor not in forward:
        raise Refuted(f"{tensor} is no gradient: nothing tests it. Show it as part of the program instead.")
    return rows((probe(d, forward[tensor], tensor),))


def oracle(name: str, ours: Any, theirs: Any, rtol: float = 1e-9, trials: int = 1) -> Row:
    """Evidence from another program: ``ours`` and ``theirs`` agree; ``name`` says whose result the second one is."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    np.testing.assert_allclose(ours, theirs, rtol=rtol, err_msg=f"disagrees with {name}")
    error = float(np.max(np.abs(ours - theirs), initial=0) / max(np.max(np.abs(theirs), initial=0), 1e-300))
    sizes = "×".join(map(str, theirs.shape)) or "a number"
    return {"kind": f"oracle: {name}", "trials": trials, "sizes": sizes, "error": f"{error:.1e}", "tolerance": f"{rtol:.0e}"}


# ---- tensors on the way


def _adjoints(d: Derivation) -> dict[str, str]:
    """Each tensor that the forward program computes -> the one of the gradient program that is its adjoint."""
    defined = d.backward.definitions
    names = [*d.gradients.forward.definitions]
    return {n: adjoint for n in names for adjoint in (f"d{n}_total", f"d{n}") if adjoint in defined and adjoint not in d.backward.kinds}


def probe(d: Derivation, tensor: str, adjoint: str) -> Evidence:
    """⟨dz, v⟩ = the slope of the outputs, weighed by their seeds, when v is added to z: exactly, at random sizes and inputs."""
    forward, rng = probed(d.gradients.forward, tensor), Random(0)
    found: list[tuple[Comparison, str]] = []
    for attempt in range(TRIES):
        try:
            found.append(_trial(d, forward, adjoint, rng, mode_of(attempt, TRIES)))
        except (Kink, ZeroDivisionError):
            continue
        if len(found) == TRIALS:
            break
    if len(found) < TRIALS:
        raise Refuted(f"{adjoint}: no inputs were found at which it can be tested.")
    worst, sizes = max(found, key=lambda pair: pair[0].error)
    sides = [v for pair in found for v in (pair[0].left, pair[0].right)]
    evidence = Evidence(adjoint, "exact", TRIALS, sizes, worst.error, DIGITS if any(map(is_mpf, sides)) else 0.0)
    if not evidence.ok:
        raise Refuted(f"{adjoint} is not the gradient with respect to {tensor}: {worst.left} and {worst.right} at {sizes}.")
    return evidence


def probed(program: Program, tensor: str) -> Program:
    """The program with an input added to every element of one tensor that it computes."""
    general = [e for e in program.definitions[tensor] if not e.is_base][-1]
    dims = program.dims[tensor]
    where = tuple(Int.symbol(i) - r.lo for i, r in zip(general.indices, dims, strict=True))
    body = add([general.body, Read(PROBE, where)])
    equations = tuple(e.with_body(body) if e is general else e for e in program.equations)
    return replace(program, inputs=(*program.inputs, Input(PROBE, tuple(r.hi - r.lo for r in dims))), equations=equations)


def _trial(d: Derivation, forward: Program, adjoint: str, rng: Random, mode: str) -> tuple[Comparison, str]:
    sample, seeds = draw(d.forward, rng, mode), d.gradients.seeds
    outputs = evaluate(d.forward, sample.inputs)
    if not all(is_finite(y) for value in outputs.values() for y in flat(value)):
        raise ZeroDivisionError("the outputs are not finite here")
    given = {seed: _filled(outputs[y], lambda: number(rng)) for y, seed in seeds.items()}
    gradient = evaluate(d.backward, {**sample.inputs, **given}, (adjoint,))[adjoint]
    v = _filled(gradient, lambda: number(rng))
    numbers = iter(flat(v))
    moved = evaluate(forward, {**sample.inputs, PROBE: _filled(v, lambda: Dual(Fraction(0), next(numbers)))})
    weights = [w for y in d.forward.outputs for w in (flat(given[seeds[y]]) if y in seeds else [Fraction(1)])]
    slopes = [y.slope if isinstance(y, Dual) else Fraction(0) for name in d.forward.outputs for y in flat(moved[name])]
    scale = max(size_of_dot(slopes, weights), size_of_dot(flat(gradient), flat(v)))
    sizes = ", ".join(f"{n}={k}" for n, k in sample.sizes.items())
    return Comparison(dot(slopes, weights), dot(flat(gradient), flat(v)), scale), sizes


def is_finite(value: Any) -> bool:
    """Whether it is a real number, and no infinity."""
    return not hasattr(value, "_mpc_") and not isinstance(value, complex) and abs(float(value)) < float("inf")


def _filled(like: Any, make: Callable[[], Any]) -> Any:
    """Nested lists of the same shape, filled by make()."""
    return [_filled(v, make) for v in like] if isinstance(like, list) else make()
