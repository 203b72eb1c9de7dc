"""Evidence that a derivation is right, gradient by gradient; every kind of it can fail.

    exact          ⟨dY, J v⟩ = ⟨Jᵀ dY, v⟩  J v by dual numbers through the forward program, Jᵀ dY by the gradient program,
                                           both by the interpreter: equal as fractions, or to 40 digits
    differences    the same with J v by central differences at 50 digits
    emitted        forward(…) and backward(…) of the emitted module against the interpreter, in float64, where sums are exact and
                   where they are rounded
    slopes         the emitted backward against central differences of the emitted forward
    float32        float32 in, float32 out, and the same values as in float64 up to rounding

Sizes and inputs are drawn at random (see `draw`), with the seed that is given: the same seed, the same report.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from . import arguments
from .draw import Sample, draw, flat, mode_of, number, tangent
from .dual import Dual, Kink, slope
from .errors import CheckError, DefinitionError
from .evaluate import evaluate, shape_of
from .expr import INF, Expr, Op, Reduce, neg, walk
from .normal import reductions_named
from .numbers import is_mpf, rounded
from .numeric import Comparison, closeness, difference_test, dot_test
from .program import Program

if TYPE_CHECKING:
    from .derivation import Derivation

DIGITS, DIFFERENCES, FLOAT, SLOPES, SINGLE = 1e-40, 1e-20, 1e-9, 1e-5, 2e-3
TRIES = 30
T = TypeVar("T")


# -- the report --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Evidence:
    """What one kind of evidence says about one gradient (or about "forward"): the worst of some trials.

    name: the gradient. kind: "exact", "differences", "emitted", "slopes" or "float32". trials: on how many samples. sizes: those of
    the worst one. error: its relative error. tolerance: what it may be, 0 where both sides must be equal. detail: where they differ.
    """

    name: str
    kind: str
    trials: int
    sizes: str
    error: float
    tolerance: float
    detail: str = ""

    @property
    def ok(self) -> bool:
        """The error is within the tolerance."""
        return self.error <= self.tolerance

    @property
    def cells(self) -> tuple[str, ...]:
        tolerance = "equal" if self.tolerance == 0 else f"{self.tolerance:.0e}"
        return (self.name, self.kind, str(self.trials), self.sizes, f"{self.error:.1e}" if self.error else "0", tolerance,
                "ok" if self.ok else "WRONG")


@dataclass(frozen=True)
class Report:
    """All evidence about a derivation; shows itself as a table.

    results: one Evidence for each kind and gradient. seed: what the samples were drawn from.
    """

    results: tuple[Evidence, ...]
    seed: int

    @property
    def ok(self) -> bool:
        """There is evidence, and all of it agrees."""
        return bool(self.results) and all(r.ok for r in self.results)

    @property
    def worst(self) -> float:
        """The greatest relative error in float64 and in exact arithmetic; float32 has its own scale and is left out."""
        return max((r.error for r in self.results if r.kind != "float32"), default=0.0)

    def __getitem__(self, name: str) -> tuple[Evidence, ...]:
        return tuple(r for r in self.results if r.name == name)

    def __str__(self) -> str:
        rows = [_HEAD, *(r.cells for r in self.results)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(_HEAD))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "  ".join("-" * w for w in widths))
        lines += [f"{r.name}, {r.kind}: {r.detail}" for r in self.results if not r.ok and r.detail]
        return "\n".join([*lines, f"{'All agree' if self.ok else 'There are disagreements'} (seed {self.seed})."])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{c}</th>" for c in _HEAD)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in r.cells) + "</tr>" for r in self.results)
        verdict = "All agree" if self.ok else "There are disagreements"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{verdict} (seed {self.seed}).</p>"


_HEAD = ("gradient", "evidence", "trials", "sizes", "error", "tolerance", "")


# -- the check ---------------------------------------------------------------------------------------------------------------
def check(derivation: Derivation, seed: int = 0, trials: int = 3, code: bool = True, exact: bool = True, module: Any = None) -> Report:
    """Evidence for every gradient of a derivation.

    trials: random samples of sizes and inputs for each kind. exact, code: which kinds; `module` is tested in place of the
    derivation's own emitted code. Raises CheckError where no admissible inputs can be drawn.
    """
    seed, trials = arguments.whole("seed", seed, refusal=CheckError), arguments.whole("trials", trials, 1, CheckError)
    if module is not None and not all(callable(getattr(module, name, None)) for name in ("forward", "backward")):
        raise CheckError(f"module is {arguments.shown(module)}; expected what has forward(...) and backward(...)")
    results: list[Evidence] = []
    if exact:
        results += _Exact(derivation, seed, trials).run()
    if code:
        results += _Emitted(derivation, seed, trials, module if module is not None else derivation.compile()).run()
    return Report(tuple(results), seed)


class _Trials:
    """Samples at which everything is finite and smooth, and the functions of inputs that evidence is about."""

    def __init__(self, derivation: Derivation, seed: int, trials: int):
        self.derivation, self.seed, self.trials = derivation, seed, trials
        self.forward, self.backward = derivation.forward, derivation.backward
        self.seeds = derivation.gradients.seeds
        self.names = derivation.gradients.names
        self.rng = Random(seed)
        self.found: dict[tuple[str, str], list[tuple[float, str, str]]] = {}
        self.tolerance: dict[tuple[str, str], float] = {}

    def attempt(self, trial: Callable[[Sample], T], dyadic: bool = False, largest: int = 4) -> T:
        """The trial at a sample, drawn again where a value is not finite or a kink is met; first any signs, then tamer numbers."""
        trouble = ""
        for k in range(TRIES):
            sample = draw(self.forward, self.rng, mode_of(k, TRIES), dyadic, largest)
            try:
                return trial(sample)
            except (Kink, _Unusable, ZeroDivisionError) as reason:
                trouble = str(reason)
        raise CheckError(f"In {TRIES} draws there was none at which the program is defined, finite and smooth: {trouble.rstrip('.')}.")

    def draw_seeds(self, outputs: Mapping[str, Any], dyadic: bool = False) -> dict[str, Any]:
        """A random seed for each output that has one."""
        return {seed: _like(outputs[y], lambda: number(self.rng, "any", dyadic)) for y, seed in self.seeds.items()}

    def weights(self, seeds: Mapping[str, Any]) -> list[Any]:
        """What the outputs are weighed with, in order; a sole scalar output with 1."""
        return [w for y in self.forward.outputs for w in (flat(seeds[self.seeds[y]]) if y in self.seeds else [Fraction(1)])]

    def direction(self, sample: Sample, name: str, dyadic: bool = False) -> Any:
        return tangent(self.forward, sample, name, _like(sample.inputs[name], lambda: number(self.rng, "any", dyadic)))

    def results(self, sample: Sample) -> dict[str, Any]:
        """The outputs; a sample whose integers lead in a circle says nothing of the gradients."""
        try:
            found = evaluate(self.forward, sample.inputs)
        except DefinitionError as error:
            raise _Unusable(str(error)) from None
        _require_finite(found)
        return found

    def refuse_hidden_infinities(self, sample: Sample) -> None:
        """Raise where a tensor is infinite although nobody wrote `inf`: the maximum of nothing, say. No slope is defined there."""
        if not any(node == INF for e in self.forward.equations for node in walk(e.body)):
            named = reductions_named(self.forward)
            inner = [n for n, es in named.definitions.items() if not any(_is_mask(e.body) for e in es)]
            _require_finite(evaluate(named, sample.inputs, inner))

    def refuse_kinks(self, sample: Sample, directions: Mapping[str, Any]) -> None:
        """Raise Kink where a step along the directions, however small, would change which branch is taken."""
        self.outputs({**sample.inputs, **{n: _zip(Dual, sample.inputs[n], flat(v)) for n, v in directions.items()}})

    def outputs(self, inputs: Mapping[str, Any]) -> list[Any]:
        found = evaluate(self.forward, inputs)
        return [v for y in self.forward.outputs for v in flat(found[y])]

    # -- results -----------------------------------------------------------------------------------------------------
    def note(self, name: str, kind: str, sample: Sample, error: float, tolerance: float, detail: str = "") -> None:
        sizes = ", ".join(f"{n}={k}" for n, k in sample.sizes.items())
        self.found.setdefault((name, kind), []).append((error, sizes, detail))
        self.tolerance[name, kind] = max(tolerance, self.tolerance.get((name, kind), 0.0))

    def evidence(self) -> list[Evidence]:
        """The worst of the trials for each gradient and kind."""
        results = []
        for (name, kind), rows in self.found.items():
            error, sizes, detail = max(rows, key=lambda row: row[0])
            results.append(Evidence(name, kind, len(rows), sizes, error, self.tolerance[name, kind], detail))
        order = ["forward", *self.names.values()]
        return sorted(results, key=lambda r: order.index(r.name))


class _Unusable(Exception):
    """A value that is not a finite real number."""


class _Exact(_Trials):
    """Dual numbers and central differences through the interpreter, against the gradient program by the interpreter."""

    def run(self) -> list[Evidence]:
        for k in range(self.trials):
            self.attempt(lambda sample, k=k: self.trial(sample, k == 0))  # type: ignore[misc]
        return self.evidence()

    def trial(self, sample: Sample, differences: bool) -> None:
        """⟨w, J v⟩ = ⟨Jᵀ w, v⟩ for each gradient at one sample, with J v by dual numbers, and if asked for by differences."""
        outputs = self.results(sample)
        self.refuse_hidden_infinities(sample)
        seeds = self.draw_seeds(outputs)
        gradients = evaluate(self.backward, {**sample.inputs, **seeds})
        self.refuse_extremes_of_nothing(sample, gradients)
        found: list[tuple[str, str, Comparison, float]] = []
        for name, gradient in self.names.items():
            v, weights = self.direction(sample, name), self.weights(seeds)

            def jvp(v: Sequence[Any], name: str = name) -> list[Any]:
                slopes = [slope(y) for y in self.outputs({**sample.inputs, name: _zip(Dual, sample.inputs[name], v)})]
                _require_finite({f"the slope along {name}": slopes})  # a gradient that is not finite where this is, is wrong
                return slopes

            def vjp(_: Sequence[Any], gradient: str = gradient) -> list[Any]:
                return flat(gradients[gradient])

            def f(x: Sequence[Any], name: str = name) -> list[Any]:
                return self.outputs({**sample.inputs, name: _shaped(sample.inputs[name], x)})

            found.append((gradient, "exact", dot_test(jvp, vjp, flat(v), weights), DIGITS))
            if differences:
                slopes = difference_test(f, vjp, flat(sample.inputs[name]), flat(v), weights, [Fraction(1, 10**15)])
                found.append((gradient, "differences", slopes, DIFFERENCES))
        # Noted together, so that a kink met on the way leaves nothing behind.
        for gradient, kind, comparison, tolerance in found:
            self.note(gradient, kind, sample, comparison.error, _tolerance(comparison, tolerance), _both(comparison))


    def refuse_extremes_of_nothing(self, sample: Sample, gradients: Mapping[str, Any]) -> None:
        """Gradients that are not finite are evidence against the formula, unless some inner value was infinite before them.

        A maximum over no position is; a written −inf is a mask, and its gradients must be finite.
        """
        if all(_is_finite(v) for g in gradients.values() for v in flat(g)):
            return
        for program in (self.forward, self.derivation.gradients.forward):
            masked = {n for n, es in program.definitions.items() if any(_is_masked(x) for e in es for x in walk(e.body))}
            _require_finite(evaluate(program, sample.inputs, [n for n in program.definitions if n not in masked]))


class _Emitted(_Trials):
    """The emitted module in float64 and float32, against the interpreter and against its own forward pass."""

    def __init__(self, derivation: Derivation, seed: int, trials: int, module: Any):
        super().__init__(derivation, seed, trials)
        self.module = module

    def run(self) -> list[Evidence]:
        for k in range(self.trials):  # at numbers that are exact in float32, and at others, where sums are rounded
            self.attempt(self.trial, dyadic=(k + self.seed) % 2 == 0)
        return self.evidence()

    def trial(self, sample: Sample) -> None:
        """Outputs, gradients, their slopes and single precision at one sample."""
        expected = self.results(sample)
        seeds = self.draw_seeds(expected, dyadic=True)
        truth = evaluate(self.backward, {**sample.inputs, **seeds})
        _require_finite(truth)
        self.refuse_hidden_infinities(sample)
        directions = {name: self.direction(sample, name, dyadic=True) for name in self.names}
        self.refuse_kinks(sample, directions)
        try:
            outputs, gradients = self.call(sample.inputs, seeds, "float64")
        except Exception as error:  # whatever the emitted code raises is evidence against it
            self.note("forward", "emitted", sample, float("inf"), FLOAT, f"{type(error).__name__}: {error}")
            return
        self.note("forward", "emitted", sample, _closest(outputs, expected), FLOAT, _mismatch(outputs, expected))
        for name, gradient in self.names.items():
            self.note(gradient, "emitted", sample, _closest(gradients, truth, gradient), FLOAT, _mismatch(gradients, truth, gradient))
            slopes = self.slopes(sample, name, directions[name], seeds, gradients[gradient])
            self.note(gradient, "slopes", sample, slopes.error, SLOPES, _both(slopes))
        self.single(sample, seeds, outputs, gradients)

    def call(self, inputs: Mapping[str, Any], seeds: Mapping[str, Any], dtype: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """(outputs, gradients) of the module by name; it must leave its arguments as they were."""
        arrays = _arrays(self.forward, inputs, dtype)
        seed_arrays = {n: _array(s, dtype) for n, s in seeds.items()}
        before = {n: a.copy() for n, a in {**arrays, **seed_arrays}.items() if hasattr(a, "copy")}
        result, residuals = self.module.forward(**arrays)
        outputs = _by_name(result, self.forward.outputs)
        kept = {n: _copied(y) for n, y in outputs.items()}
        gradients = _by_name(self.module.backward(residuals, **seed_arrays), tuple(self.names.values()))
        for n, a in before.items():
            if not (a == {**arrays, **seed_arrays}[n]).all():
                raise CheckError(f"The emitted code changes its argument {n}.")
        if not all(a == b or a != a and b != b for n in kept for a, b in zip(flat(kept[n]), flat(outputs[n]), strict=True)):
            raise CheckError("The emitted backward changes what forward returned.")
        return outputs, gradients

    def slopes(self, sample: Sample, name: str, v: Any, seeds: Mapping[str, Any], gradient: Any) -> Comparison:
        def f(x: Sequence[Any]) -> list[Any]:
            inputs = {**sample.inputs, name: _shaped(sample.inputs[name], [float(a) for a in x])}
            result, _ = self.module.forward(**_arrays(self.forward, inputs, "float64"))
            outputs = _by_name(result, self.forward.outputs)
            return [float(a) for y in self.forward.outputs for a in flat(outputs[y])]

        x = flat(sample.inputs[name])
        return difference_test(f, lambda _: [float(a) for a in flat(gradient)], x, flat(v), [float(w) for w in self.weights(seeds)])

    def single(self, sample: Sample, seeds: Mapping[str, Any], outputs: Mapping[str, Any], gradients: Mapping[str, Any]) -> None:
        """float32 in, float32 out; the values agree with those of float64 up to rounding."""
        try:
            rough, rough_gradients = self.call(sample.inputs, seeds, "float32")
        except Exception as problem:
            self.note("forward", "float32", sample, float("inf"), SINGLE, f"{type(problem).__name__}: {problem}")
            return
        pairs = [("forward", y, rough[y], outputs[y]) for y in outputs]
        pairs += [(g, g, rough_gradients[g], gradients[g]) for g in gradients]
        for row, name, value, exact in pairs:
            dtype = str(getattr(value, "dtype", type(value).__name__))
            error, detail = closeness(flat(value), flat(exact)), f"{name} in float32 differs from float64"
            if dtype != "float32":
                error, detail = float("inf"), f"{name} comes as {dtype}"
            self.note(row, "float32", sample, error, SINGLE, detail)


# -- between nested lists, vectors and arrays ----------------------------------------------------------------------------------
def _like(value: Any, make: Callable[[], Any]) -> Any:
    return [_like(v, make) for v in value] if isinstance(value, list) else make()


def _shaped(like: Any, values: Sequence[Any]) -> Any:
    remaining = iter(values)
    return _like(like, lambda: next(remaining))


def _zip(make: Callable[[Any, Any], Any], value: Any, slopes: Sequence[Any]) -> Any:
    return _shaped(value, [make(x, v) for x, v in zip(flat(value), slopes, strict=True)])


def _is_finite(v: Any) -> bool:
    return not hasattr(v, "_mpc_") and not isinstance(v, complex) and abs(rounded(v)) < 1e100


def _is_mask(e: Expr) -> bool:
    """Whether it is where(c, x, −inf): the scores of a softmax, some of which are outside."""
    return isinstance(e, Op) and e.op == "where" and neg(INF) in e.args


def _is_masked(e: Expr) -> bool:
    return e == INF or isinstance(e, Reduce) and e.op == "logsumexp"


def _require_finite(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        for v in flat(value):
            if not _is_finite(v):
                raise _Unusable(f"{name} is {rounded(v) if not hasattr(v, '_mpc_') else 'complex'}")


def _tolerance(c: Comparison, digits: float) -> float:
    """Fractions must be equal; where a float came in (an infinity), only its digits count."""
    kinds = [c.left, c.right]
    if any(isinstance(v, float) for v in kinds):
        return FLOAT
    return digits if any(is_mpf(v) for v in kinds) or digits == DIFFERENCES else 0.0


def _both(c: Comparison) -> str:
    return f"⟨dY, J v⟩ = {_digits(c.left)}, ⟨Jᵀ dY, v⟩ = {_digits(c.right)}"


def _digits(value: Any) -> str:
    return f"{float(value):.12g}"


def _array(value: Any, dtype: str) -> Any:
    import numpy as np

    return np.array(_shaped(value, [float(v) for v in flat(value)]) if isinstance(value, list) else float(value), dtype=dtype)


def _arrays(program: Program, inputs: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Inputs for the emitted code: real ones in this dtype, integer tensors as integer arrays, parameters as int."""
    import numpy as np

    found: dict[str, Any] = {}
    for i in program.inputs:
        shape = _shape(inputs[i.name], len(i.dims))
        if i.kind == "real":
            found[i.name] = _array(inputs[i.name], dtype).reshape(shape)
        else:
            found[i.name] = np.array(inputs[i.name], dtype=np.int64).reshape(shape) if i.dims else inputs[i.name]
    return found


def _shape(value: Any, rank: int) -> tuple[int, ...]:
    return (len(value), *_shape(value[0] if len(value) else [], rank - 1)) if rank else ()


def _by_name(result: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Several outputs come as a named tuple, one as itself; gradients always as a named tuple."""
    if hasattr(result, "_fields"):
        return dict(zip(result._fields, result, strict=True))
    return {names[0]: result}


def _copied(value: Any) -> Any:
    return value.copy() if hasattr(value, "copy") else value


def _closest(values: Mapping[str, Any], expected: Mapping[str, Any], name: str | None = None) -> float:
    """The greatest relative error, infinite where a shape differs."""
    worst = 0.0
    for n in expected if name is None else (name,):
        shapes_agree = shape_of(values[n]) == shape_of(expected[n])
        worst = max(worst, closeness(flat(values[n]), flat(expected[n])) if shapes_agree else float("inf"))
    return worst


def _mismatch(values: Mapping[str, Any], expected: Mapping[str, Any], name: str | None = None) -> str:
    """Both values at the first place where they differ."""
    for n in expected if name is None else (name,):
        if shape_of(values[n]) != shape_of(expected[n]):
            return f"{n} has the shape {shape_of(values[n])}, and should have {shape_of(expected[n])}"
        for k, (a, b) in enumerate(zip(flat(values[n]), flat(expected[n]), strict=True)):
            if not abs(float(a) - float(b)) <= FLOAT * max(1.0, abs(float(b))):
                return f"element {k} of {n} is {_digits(a)}, and should be {_digits(b)}"
    return ""


