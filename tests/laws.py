"""What must hold for every program that parses; each law takes a text and raises AssertionError, with what it found.

Where no inputs are found at which there is something to compare, it raises Nothing, with the reason: it did not hold, nor fail.

    printed    what is printed can be read, and means the same program
    derived    derive answers, or refuses with a DerivationError; the gradients agree with dual numbers, exactly
    symmetric  ⟨H u, v⟩ = ⟨u, H v⟩ for the second derivative
    emitted    the emitted module agrees with the interpreter, and its backward with its forward's slopes
    switched   every optimisation left out alone, or all of them, changes no result, nor do threads or sizes that are known; backward
               gives the same twice
    enlarged   so it is at sizes at which blocks, scans and products of matrices are chosen, and not at small ones only
    emptied    so does a module where sizes are 0, its gradients too; what has no value then is nan
    tidied     simplifying keeps every value, and what is simplified stays as it is
    rewritten  other names and another order give the same gradients, up to names and order
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from random import Random
from typing import Any

import numpy as np

import nnderiv as nd
from nnderiv.check import Report, check
from nnderiv.draw import MODES, Sample, cost, draw, flat, nested, number, tangent
from nnderiv.evaluate import evaluate, shape_of
from nnderiv.lower.passes import FORMS, PASSES
from nnderiv.normal import normalise
from nnderiv.numbers import agree, is_finite
from nnderiv.sizes import small_sizes
from nnderiv.tidy import tidy
from tests import variants


class Nothing(Exception):
    """Nothing was compared."""


def holds(d: nd.Derivation, seed: int, **options: Any) -> None:
    """The evidence of one trial; Nothing where the program is nowhere smooth, or no sizes fit."""
    try:
        report: Report = check(d, seed=seed, trials=1, **options)
    except nd.CheckError as error:
        if not any(reason in str(error) for reason in ("In 30 draws", "No small sizes", "No random inputs honour")):
            raise
        raise Nothing(str(error)) from None
    assert report.ok, str(report)


def drawn(program: nd.Program, seed: int, dyadic: bool = False) -> Iterator[Sample]:
    """Inputs of any sign, then tamer ones; Nothing where there are none, or all of them have been tried."""
    for mode in MODES:
        try:
            yield draw(program, Random(seed), mode, dyadic)
        except nd.CheckError as error:
            raise Nothing(str(error)) from None
    raise Nothing("no inputs at which all values are finite")


def printed(text: str, seed: int) -> None:
    """Reading what was printed gives the same program, sizes that must be equal aside: a printed `for` settles them.

    A gradient program may hold what no text says (2·x as x·(1 + 1)); its text is stable once it has been read.
    """
    program = nd.parse(text)
    again = nd.parse(str(program))
    same_text(program, again)
    for a, b in zip(again.equations, program.equations, strict=True):
        assert (a.tensor, a.subs, a.body) == (b.tensor, b.subs, b.body), f"the same text, another equation:\n{b}\n{b.body!r}\n{a.body!r}"
    assert (again.inputs, again.outputs, again.shapes, again.givens) == (program.inputs, program.outputs, program.shapes, program.givens)
    gradient = nd.parse(str(nd.derive(text).backward))
    same_text(gradient, nd.parse(str(gradient)))


def same_text(program: nd.Program, again: nd.Program) -> None:
    changed = [f"{x}\n{y}" for x, y in zip(str(program).splitlines(), str(again).splitlines(), strict=True) if x != y]
    assert not changed, "printed, and read and printed again:\n" + "\n".join(changed)


def derived(text: str, seed: int) -> None:
    holds(nd.derive(text), seed, code=False)


def symmetric(text: str, seed: int) -> None:
    """The gradient of ⟨gradient, u⟩ is symmetric: with H the second derivative, ⟨H u, v⟩ = ⟨u, H v⟩.

    A gradient that used a fact is one along the inputs that honour it, and so u and v are.
    """
    d = nd.derive(text)
    second = nd.derive(d.backward, wrt=d.wrt)
    holds(second, seed, code=False)
    rng = Random(seed)
    sample = draw(d.backward, rng, "any")
    shapes = {x: _exact_shape(d.backward, x, sample) for x in d.wrt}
    u, v = ({x: tangent(d.forward, sample, x, nested(shapes[x], lambda: number(rng))) for x in d.wrt} for _ in range(2))
    try:
        hu, hv = (_hessian_times(second, d, sample.inputs, w) for w in (u, v))
    except nd.DefinitionError as error:
        _refuse_circle(error)
        raise Nothing(str(error)) from None
    left = sum((a * b for x in d.wrt for a, b in zip(flat(hu[x]), flat(v[x]), strict=True)), Fraction(0))
    right = sum((a * b for x in d.wrt for a, b in zip(flat(hv[x]), flat(u[x]), strict=True)), Fraction(0))
    if abs(float(left)) < 1e100:
        assert abs(float(left) - float(right)) <= 1e-9 * max(1.0, abs(float(left))), f"{float(left)} and {float(right)}"


def _exact_shape(program: nd.Program, name: str, sample: Any) -> tuple[int, ...]:
    return tuple(d.value(sample.sizes) for i in program.inputs if i.name == name for d in i.dims) or shape_of(sample.inputs[name])


def _hessian_times(second: nd.Derivation, first: nd.Derivation, inputs: dict[str, Any], u: dict[str, Any]) -> dict[str, Any]:
    named = [(x, first.gradients.names[x]) for x in first.wrt]
    seeds = {second.gradients.seeds[name]: u[x] for x, name in named if name in second.gradients.seeds}
    if len(first.wrt) == 1 and not seeds:  # a sole scalar gradient: the second derivative itself, times u
        (x,) = first.wrt
        found = evaluate(second.backward, inputs)[second.gradients.names[x]]
        return {x: found * u[x]}
    found = evaluate(second.backward, {**inputs, **seeds})
    return {x: found[second.gradients.names[x]] for x in first.wrt}


def emitted(text: str, seed: int) -> None:
    holds(nd.derive(text), seed, exact=False)


def switched(text: str, seed: int) -> None:
    d = nd.derive(text)
    with np.errstate(all="ignore"):
        for sample in drawn(d.forward, seed, dyadic=seed % 2 == 0):  # exact in binary, or rounded by every sum
            inputs = {i.name: _as_array(sample.inputs[i.name], i.kind, len(i.dims)) for i in d.forward.inputs}
            try:
                everything = _results(d.compile(), d, inputs, seed)
            except ValueError as error:
                _refuse_circle(error)
                continue
            if all(np.isfinite(value).all() for value in everything.values()):
                break  # elsewhere no slope is defined; whether something should be finite is what `emitted` asks
        known = {name: sample.sizes[name] for name in d.forward.sizes}
        ways: list[dict[str, Any]] = [{"without": (name,)} for name in (*FORMS, *PASSES)]
        for way in [{"without": (*FORMS, *PASSES)}, *ways, {"threads": 2}, {"sizes": known}, {"sizes": known, "threads": 2}]:
            found = _results(impatient(d.compile(**way), PART=1, _NEAR=0, _MANY=0, _STEPS=2), d, inputs, seed)
            for name, value in everything.items():
                assert np.shape(value) == np.shape(found[name]), f"{name} with {way}: {np.shape(found[name])}"
                assert np.allclose(value, found[name], rtol=1e-9, atol=1e-9, equal_nan=True), \
                    f"{name} with {way}: {found[name]}, and {value} with all passes on one thread"


def impatient(module: Any, **least: int) -> Any:
    """A module for which fewer entries are many: or all would be one part, no array large, and no recurrence long."""
    for name in least.keys() & vars(module).keys():
        setattr(module, name, least[name])
    return module


def _refuse_circle(error: ValueError) -> None:
    """Raise it, unless it says that the integers which were drawn lead in a circle; whether they do is what `emitted` asks."""
    if "needs itself" not in str(error):
        raise error


LARGE, MOST = (1, 2, 3, 7, 16, 33, 65), 2_000_000


def enlarged(text: str, seed: int) -> None:
    d = nd.derive(text)
    sizes, inputs, expected = _large(d, seed)
    for threads in (1, 2):
        found = _results(impatient(d.compile(threads=threads), PART=64, _NEAR=32), d, inputs, seed)
        for name, value in expected.items():
            assert np.shape(value) == np.shape(found[name]), f"{name} at {sizes}: {np.shape(found[name])}"
            scale = max(1, np.abs(value).max(initial=0))
            assert np.allclose(value/scale, found[name]/scale, rtol=0, atol=1e-9), f"{name} at {sizes} on {threads} threads"


def _is_light(d: Any, sizes: dict[str, int]) -> bool:
    """Whether no array has too many entries at these sizes, nor all loops too many steps."""
    arrays = (math.prod(max(1, r.size.value(sizes)) for r in dims) for dims in d.forward.dims.values())
    light = math.prod(sizes[name] for name in d.forward.sizes) <= MOST and all(entries <= MOST for entries in arrays)
    return light and all(cost(p, sizes) <= 10*MOST for p in (d.forward, d.backward))  # what is summed may be an array, too


def _large(d: Any, seed: int) -> tuple[dict[str, int], dict[str, Any], dict[str, Any]]:
    """Sizes, inputs, and the results of a module without any pass, all of them finite."""
    if d.forward.givens:
        raise Nothing("a fact is given")
    rng, random, plain = Random(seed), np.random.default_rng(seed), d.compile(without=(*FORMS, *PASSES))
    drawn = (small_sizes(d.forward, lambda name: rng.choice(LARGE)) for _ in range(500))
    for sizes in islice((s for s in drawn if s is not None and _is_light(d, s)), 20):
        shapes = {i: tuple(x.value(sizes) for x in i.dims) for i in d.forward.inputs}
        inputs = _drawn_at(sizes, shapes, lambda s: random.uniform(0.2, 1, s), lambda s: random.integers(1, 3, s))
        try:
            with np.errstate(all="ignore"):
                results = _results(plain, d, inputs, seed)
        except ValueError:
            continue  # a definition that needs itself, H//G that is 0: what is refused has no value
        if all(np.isfinite(value).all() and np.abs(value).max(initial=0) < 1e9 for value in results.values()):
            return sizes, inputs, results
    raise Nothing("no large sizes fit, or not all values are finite")


def emptied(text: str, seed: int) -> None:
    d, rng = nd.derive(text), Random(seed)
    sizes = small_sizes(d.forward, lambda name: rng.choice((0, 0, 1, 2)), least=0)
    if sizes is None or d.forward.givens:
        raise Nothing("no small sizes fit" if sizes is None else "a fact is given")
    random = np.random.default_rng(seed)
    shapes = {i: tuple(max(0, x.value(sizes)) for x in i.dims) for i in d.forward.inputs}
    inputs = _drawn_at(sizes, shapes, lambda s: random.normal(size=s), lambda s: random.integers(-1, 3, s))
    compared = False
    with np.errstate(all="ignore"):
        try:
            results = _results(d.compile(), d, inputs, seed)
        except ValueError as error:
            _refuse_circle(error)
            raise Nothing(str(error)) from None
        try:
            expected = {**evaluate(d.forward, inputs), **evaluate(d.backward, {**inputs, **_seeds(d, results, seed)})}
        except ZeroDivisionError as error:
            raise Nothing(str(error)) from None  # t//N where N is 0 means nothing
        for way in ({}, {"without": (*FORMS, *PASSES)}):
            found = _results(d.compile(**way), d, inputs, seed)
            for name, value in expected.items():
                shown, meant = np.asarray(found[name], float), np.array(value, float)
                assert shown.size == meant.size, f"{name} with {way} at {sizes}: {shown.shape}"
                both = np.isfinite(shown) & np.isfinite(meant.reshape(shown.shape))
                compared |= both.all() or both.any()
                assert np.allclose(shown[both], meant.reshape(shown.shape)[both], rtol=1e-9, atol=1e-9), \
                    f"{name} with {way} at {sizes}: {shown}, and {meant} by its meaning"
    if not compared:
        raise Nothing("no value is finite")


def _drawn_at(
    sizes: dict[str, int], shapes: dict[Any, tuple[int, ...]], real: Callable[..., Any], whole: Callable[..., Any]
) -> dict[str, Any]:
    """Inputs of these shapes; an integer without a shape is one of the sizes."""
    return {i.name: real(s) if i.kind == "real" else whole(s) if i.dims else sizes[i.name] for i, s in shapes.items()}


def _as_array(value: Any, kind: str, rank: int) -> Any:
    if kind == "int":
        return np.asarray(value, np.int64) if rank else int(value)
    array = np.asarray(value, dtype=object).astype(np.float64)
    return array.reshape((*array.shape, 0)) if array.ndim < rank else array


def _results(module: Any, d: Any, inputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """Outputs and gradients by name; calling backward again with the same residuals gives the same."""
    before = {name: np.copy(x) for name, x in inputs.items()}
    result, residuals = module.forward(**inputs)
    outputs = dict(zip(d.forward.outputs, [result] if len(d.forward.outputs) == 1 else result, strict=True))
    kept = {name: np.copy(y) for name, y in outputs.items()}
    seeds = _seeds(d, outputs, seed)
    first = module.backward(residuals, **seeds)._asdict()
    copied = {name: np.copy(g) for name, g in first.items()}
    again = module.backward(residuals, **seeds)._asdict()
    for name, g in again.items():
        assert np.array_equal(g, copied[name], equal_nan=True), f"{name} changes when backward is called again"
        assert np.array_equal(first[name], copied[name], equal_nan=True), f"{name} is overwritten by the next call of backward"
    for name, x in {**inputs, **outputs}.items():
        assert np.array_equal(x, {**before, **kept}[name], equal_nan=True), f"{name} is overwritten"
    return {**outputs, **first}


def _seeds(d: Any, outputs: dict[str, Any], seed: int) -> dict[str, Any]:
    """A random seed for each output that has one."""
    rng = np.random.default_rng(seed)
    return {dy: rng.normal(size=np.shape(outputs[y])) for y, dy in d.gradients.seeds.items()}


def tidied(text: str, seed: int) -> None:
    program = nd.parse(text)
    for p in (normalise(program), nd.derive(program).backward):
        simple = tidy(p)
        assert str(tidy(simple)) == str(simple), f"simplified once and twice:\n{simple}\n{tidy(simple)}"
        for sample in drawn(p, seed):
            try:
                same = _same_values(evaluate(p, sample.inputs), evaluate(simple, sample.inputs), f"{p}\n{simple}")
            except ZeroDivisionError:  # i % p where p is 0 means nothing
                assert 0 in sample.sizes.values(), f"divided by 0:\n{p}\n{simple}"
                continue
            except nd.DefinitionError as error:
                _refuse_circle(error)
                continue
            if same:
                break


def _same_values(before: dict[str, Any], after: dict[str, Any], shown: str) -> bool:
    """Whether a value is finite, or there is none; each that is, is the same after as before: what cancels may lose a pole."""
    pairs = [(name, a, b) for name, value in before.items() for a, b in zip(flat(value), flat(after[name]), strict=True)]
    finite = [(name, a, b) for name, a, b in pairs if is_finite(a)]
    for name, a, b in finite:
        assert agree(a, b), f"{name}: {a} and {b}\n{shown}"
    return bool(finite) or not pairs


def rewritten(text: str, seed: int) -> None:
    """A product of integers is written alphabetically, p*j but j*q; where there is none, other names change nothing else."""
    program, rng = nd.parse(text), Random(seed)
    gradients = nd.derive(program).backward
    same = variants.fingerprint(gradients)
    other = nd.derive(variants.renamed(program, rng)).backward
    assert variants.fingerprint(other) == same, f"other names:\n{gradients}\n{other}"
    if not variants.has_products_of_names(gradients):
        assert variants.same_text_but_for_names(str(gradients), str(other)), f"other names, another text:\n{gradients}\n{other}"
    shuffled = variants.rewritten(program, rng)
    other = nd.derive(shuffled).backward
    assert variants.fingerprint(other) == same, f"another order:\n{program}\n{shuffled}\n{gradients}\n{other}"


LAWS: dict[str, Callable[[str, int], None]] = {
    "printed": printed, "derived": derived, "symmetric": symmetric, "emitted": emitted,
    "switched": switched, "enlarged": enlarged, "emptied": emptied, "tidied": tidied, "rewritten": rewritten,
}
