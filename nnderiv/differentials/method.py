"""A gradient by differentials: from dJ = tr(Gᵀ dY) through the program to tr(Aᵀ dX), and the gradient A.

    G_Y, G_Z, …    the gradients of J by Y, Z, …: seeds for the outputs of the program, named on the way for the others
    dY, dZ, …      differentials: dX is free, each other one is what its equation makes of it

Every line is a number, dJ, and is confirmed: evaluated at random sizes and inputs, exactly, it equals the slope of J along dX
that dual numbers find, without any of these rules. The gradient A is compared with the one that the engine derives, element by
element. A line or a gradient that differs is an error, never a display.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

from .. import matrix as mx
from ..draw import draw, flat, mapped, nested, number, sum_fact, zipped
from ..dual import Dual, Kink, slope
from ..errors import CheckError, DefinitionError, EvaluationError, MatrixFormError
from ..evaluate import evaluate, shape_of
from ..expr import ONE, ZERO
from ..fresh import Fresh
from ..graph import components
from ..integer import Int
from ..matrix import MatrixForm, Node, recognised, superscripts
from ..matrix.build import plus
from ..matrix.element import Lowering
from ..matrix.typeset import formula_latex
from ..numbers import agree, combine, is_finite
from ..program import Equation, Input, Program, Range
from ..reasons import Said, formula
from ..step import Step, Steps
from .build import added, hadamard
from .differential import Differential, Shape
from .trace import ADDED, REASONS, Pair, Trace, law

if TYPE_CHECKING:
    from ..derivation import Gradient

TRIALS, TRIES = 3, 40
NAMED = "Gradients get names on the way: {left} = {right}."
DIFFERENTIAL = "What {name} is made of varies: {left} = {right}."


def by_differentials(gradient: Gradient) -> Steps:
    """The steps of the second method; MatrixFormError, with the reason, where the program has no matrix form that it covers."""
    return _Method(gradient).run()


class _Method:
    def __init__(self, gradient: Gradient):
        self.gradient, self.program, self.wrt = gradient, gradient.derivation.forward, gradient.wrt
        self._refuse()
        self.order = self._active()  # outputs first, wrt last
        fresh = Fresh(self.program.names)
        self.d = {v: fresh(f"d{v}") for v in self.order}
        self.g = {v: fresh(f"G_{v}") for v in self.order}
        outputs = [y for y in self.program.outputs if y in self.d]
        self.sole = len(self.program.outputs) == 1 and not self.program.dims[self.program.outputs[0]]
        self.total = self.d[outputs[0]] if self.sole else fresh("dJ")
        self.letters: dict[Range, str] = {}
        self._letters_of = fresh
        dims = self.program.dims
        self.world = replace(self.program, shapes={**self.program.shapes, **{n: dims[v] for t in (self.d, self.g) for v, n in t.items()},
                                                   self.total: ()})
        self.forms = {v: self._form(v) for v in self.order if v != self.wrt}
        self.differential = Differential(self.d, self.shape, self.index)
        self.trace = Trace(self.d, self.shape, self.index)
        self.equations: list[Equation] = []  # of the differentials and of the gradients that get names
        self.pending: dict[str, list[Node]] = {y: [mx.Scalar(ONE) if self.sole else self.leaf(self.g[y], y)] for y in outputs}
        self.found: list[Step] = []

    # -- the program -------------------------------------------------------------------------------------------------
    def _refuse(self) -> None:
        p = self.program
        if p.components:
            raise MatrixFormError("The second method does not cover recurrences: differentials at all times would depend on each other.")
        if superscripts(p):
            raise MatrixFormError("The second method covers tensors with at most two axes: there are others, for instance a batch.")
        if any(e.is_base for e in p.equations) or any(r.lo != 0 for dims in p.dims.values() for r in dims):
            raise MatrixFormError("The second method does not cover tensors that are defined in cases.")

    def _active(self) -> list[str]:
        """What depends on wrt and leads to an output, readers first."""
        users = {n: [e.tensor for e in self.program.equations if n in e.reads] for n in self.program.dims}
        order = [t for c in components(users) for t in c]
        leads = set(self.program.outputs)
        for t in order:
            leads |= {t} if set(users[t]) & leads else set()
        depends = {self.wrt}
        for t in reversed(order):
            depends |= set(users[t]) if t in depends else set()
        found = [t for t in order if t in leads & depends]
        if self.wrt not in found:
            raise MatrixFormError(f"No output depends on {self.wrt}: its gradient is 0.")
        return found

    def _form(self, v: str) -> Node:
        (e,) = self.program.definitions[v]
        return self._relabelled(recognised(self.program, e).right, e)

    def _relabelled(self, a: Node, e: Equation) -> Node:
        """The tree with one letter for each range, the same in all equations."""
        if isinstance(a, mx.Ones | mx.Identity):
            return type(a)(self.index(e.ranges[a.index]))
        if isinstance(a, mx.Fill):
            return mx.Fill(a.value, self.index(e.ranges[a.row]), self.index(e.ranges[a.column]) if a.column else None)
        return _mapped(a, lambda p: self._relabelled(p, e))

    def index(self, r: Range) -> str:
        if r not in self.letters:
            known = [i for e in self.program.equations for i, own in e.ranges.items() if own == r and i not in self.letters.values()]
            self.letters[r] = known[0] if known else self._letters_of("k")
        return self.letters[r]

    def _equation(self, name: str = "", subs: tuple[Int, ...] = (), more: dict[str, Range] | None = None) -> Equation:
        return Equation(name or self.total, subs, ZERO, {**{i: r for r, i in self.letters.items()}, **(more or {})})

    def shape(self, a: Node) -> Shape:
        return Lowering(self.world, self._equation()).shape(a)

    def leaf(self, name: str, like: str) -> mx.Leaf:
        return mx.Leaf(name, (None,) * len(self.program.dims[like]))

    def defined(self, name: str, a: Node) -> Equation:
        """name[i, j] = a[i, j]"""
        dims = self.world.dims[name]
        fresh = Fresh({*self.program.names, *self.letters.values()})
        letters = [fresh(f"i{k}") for k in range(len(dims))]
        e = self._equation(name, tuple(map(Int.symbol, letters)), dict(zip(letters, dims, strict=True)))
        return self._lowered(e, a)

    def _lowered(self, e: Equation, a: Node) -> Equation:
        way = Lowering(self.world, e)
        row, column = [*e.subs, None, None][:2]
        return replace(e, body=way.element(a, row, column), ranges=way.ranges)

    # -- the derivation ----------------------------------------------------------------------------------------------
    def run(self) -> Steps:
        self._start()
        for v in self.order[:-1]:
            self._through(v)
        self._collect(self.wrt)
        (gradient,) = self.pending[self.wrt]
        final = self.defined(self.g[self.wrt], gradient)
        reason = _told("This holds for every {}, so what stands before it is the gradient {}. The one rule gives the same.",
                       self.d[self.wrt], self.g[self.wrt])
        latex = self.latex(self.leaf(self.g[self.wrt], self.wrt), gradient)
        self.found.append(Step("read off the gradient", reason.text, self.now, final, latex=latex, of=self.gradient.name,
                               said=reason.markdown))
        return Steps(_confirmed(self, final))

    def _start(self) -> None:
        """dJ = Σ_ij G[i,j] dY[i,j]"""
        terms: list[tuple[int, Node]] = []
        for y, (g,) in self.pending.items():
            term: Node = self.leaf(self.d[y], y) if self.sole else mx.Hadamard((g, self.leaf(self.d[y], y)))
            rows, columns = self.shape(term)
            if columns is not None:
                term = mx.times(term, mx.Ones(self.index(columns)))
            if rows is not None:
                term = mx.times(mx.Transpose(mx.Ones(self.index(rows))), term)
            terms.append((1, term))
        self.pairs: list[Pair] = []
        self.now = self._lowered(self._equation(), plus(terms))
        loss = self.program.outputs[0] if self.sole else "J"
        self._step("start", _told("{} changes by the sum of all elements of each output's change, times its gradient: a trace.", loss))

    def _through(self, v: str) -> None:
        """From tr(G_Vᵀ dV) to the differentials of what V is made of."""
        self._collect(v)
        (g,) = self.pending.pop(v)
        if not isinstance(g, mx.Leaf) and self.program.dims[v]:
            self.equations.append(self.defined(self.g[v], g))
            name = self.leaf(self.g[v], v)
            self.pairs = [Pair(name, self.leaf(self.d[v], v))]
            self._step("name the gradient", Said(NAMED.format(left=self.g[v], right=self.equations[-1].body),
                                                 NAMED.format(left=formula(self.g[v]).markdown, right=f"${self.right(g)}$")))
            g = name
        d = self.differential.of(self.forms[v], self.leaf(v, v))
        self.equations.append(self.defined(self.d[v], d))
        self.pairs = [Pair(g, d)]
        self._step(f"differential of {v}", Said(DIFFERENTIAL.format(name=v, left=self.d[v], right=self.equations[-1].body),
                                                DIFFERENTIAL.format(name=formula(v).markdown, left=formula(self.d[v]).markdown,
                                                                    right=f"${self.right(d)}$")))
        while True:
            moves = [self.trace.move(p) for p in self.pairs]
            rule = next((m[0] for m in moves if m), None)
            if rule is None:
                break
            self.pairs = [q for p, m in zip(self.pairs, moves, strict=True) for q in (m[1] if m and m[0] == rule else [p])]
            self._step(rule, REASONS[rule])
        self._use_givens()
        back = {n: t for t, n in self.d.items()}
        for p in self.pairs:
            assert isinstance(p.d, mx.Leaf)
            self.pending.setdefault(back[p.d.tensor], []).append(p.g)
        self.pairs = []

    def _use_givens(self) -> None:
        """A 1 = 1, where it is given that the rows of A sum to 1."""
        facts = [f for f in (sum_fact(g, self.program) for g in self.program.givens) if f and f.value == ONE and f.axes == (1,)]
        names = {f.tensor for f in facts}
        pairs = [Pair(self._known(p.g, names), p.d) for p in self.pairs]
        if pairs != self.pairs:
            self.pairs = pairs
            self._step("use what is given", _told("The rows of " + " and ".join("{}" for _ in names) + " sum to 1.", *sorted(names)))

    def _known(self, a: Node, names: set[str]) -> Node:
        if isinstance(a, mx.Hadamard):
            return hadamard([self._known(p, names) for p in a.parts])
        if not isinstance(a, mx.Times):
            return _mapped(a, lambda p: self._known(p, names)) if mx.parts_of(a) else a
        parts = list(a.parts)
        for k, (x, y) in enumerate(pairwise(a.parts)):
            if isinstance(x, mx.Leaf) and x.tensor in names and isinstance(y, mx.Ones):
                rows = self.shape(x)[0]
                assert rows is not None
                parts[k : k + 2] = [mx.Ones(self.index(rows))]
                break
        return mx.times(*parts)

    def _collect(self, v: str) -> None:
        """tr(Aᵀ dV) + tr(Bᵀ dV) = tr((A + B)ᵀ dV)"""
        if len(self.pending[v]) > 1:
            self.pending[v] = [added(self.pending[v])]
            self._step("collect", _told("The paths through {} are added:", v) + law("", ADDED))

    def _step(self, rule: str, reason: Said) -> None:
        waiting = [Pair(g, self.leaf(self.d[v], v)) for v, gs in self.pending.items() for g in gs]
        node = plus([(1, p.shown(self.shape)) for p in [*self.pairs, *waiting]])
        after = self._lowered(self._equation(), node)
        latex = self.latex(mx.Leaf(self.total, ()), node)
        if self.found and self.found[-1].latex == latex:  # the law changes G and D, not what stands on paper
            self.now = after
            self.found[-1] = replace(self.found[-1], after=after)
            return
        self.found.append(Step(rule, reason.text, self.now, after, latex=latex, of=self.gradient.name, said=reason.markdown))
        self.now = after

    # -- display -----------------------------------------------------------------------------------------------------
    def latex(self, left: Node, right: Node) -> str:
        return formula_latex(MatrixForm(self.world, self._equation(), left, right))

    def right(self, a: Node) -> str:
        return self.latex(mx.Leaf(self.total, ()), a).split(" = ", 1)[1]


def _told(sentence: str, *names: str) -> Said:
    """A sentence with the names of tensors put in."""
    return Said(sentence.format(*names), sentence.format(*(formula(n).markdown for n in names)))


def _mapped(a: Node, f: Any) -> Node:
    """The node with f applied to each part."""
    if isinstance(a, mx.Transpose | mx.Diag | mx.Diagonal | mx.Trace):
        return type(a)(f(a.of))
    if isinstance(a, mx.Along):
        return mx.Along(a.op, f(a.of), a.is_column)
    if isinstance(a, mx.Times | mx.Hadamard):
        return type(a)(tuple(map(f, a.parts)))
    if isinstance(a, mx.Plus):
        return mx.Plus(tuple((sign, f(t)) for sign, t in a.terms))
    if isinstance(a, mx.Scale):
        return mx.Scale(tuple(map(f, a.scalars)), None if a.of is None else f(a.of))
    if isinstance(a, mx.Elementwise):
        return mx.Elementwise(a.op, tuple(map(f, a.args)))
    if isinstance(a, mx.Leaf | mx.Scalar):
        return a
    raise MatrixFormError(f"The second method does not cover {type(a).__name__.lower()}.")


# -- confirmation ------------------------------------------------------------------------------------------------------------
def _confirmed(m: _Method, final: Equation) -> list[Step]:
    """The steps, each line equal to the slope of J at random inputs, and the gradient equal to the engine's."""
    rng, done, tries = Random(0), 0, 0
    while done < TRIALS:
        tries += 1
        if tries > TRIES:
            raise CheckError("No random inputs were found on which the steps can be evaluated.")
        try:
            done += _trial(m, final, rng, "any" if tries < TRIES // 2 else "positive")
        except (DefinitionError, EvaluationError, Kink):
            continue
    return [replace(s, trials=TRIALS) for s in m.found]


def _trial(m: _Method, final: Equation, rng: Random, mode: str) -> bool:
    """Each line, each differential and the gradient at one random sample; False where a value is not finite."""
    sample = draw(m.program, rng, mode=mode, largest=3)
    direction = nested(shape_of(sample.inputs[m.wrt]), lambda: number(rng))
    moved = {**sample.inputs, m.wrt: zipped(Dual, sample.inputs[m.wrt], direction)}
    slopes = {v: mapped(slope, x) for v, x in evaluate(m.program, moved, m.order).items()}
    seeds = {} if m.sole else {y: nested(shape_of(slopes[y]), lambda: number(rng)) for y in m.program.outputs if y in m.d}
    expected = flat(slopes[m.program.outputs[0]])[0] if m.sole else _total(seeds, slopes)
    values = _evaluated(m, final, {**sample.inputs, m.d[m.wrt]: direction, **{m.g[y]: s for y, s in seeds.items()}})
    if not all(is_finite(x) for v in (*values.values(), *slopes.values()) for x in flat(v)):
        return False
    for v in m.order[:-1]:
        _same(values[m.d[v]], slopes[v], f"The differential of {v}")
    for k, s in enumerate(m.found):
        for side in ("before", "after")[: 1 if s is m.found[-1] else 2]:
            _same(values[f"\0{k}{side}"], expected, f"A line of the second method ({s.rule})")
    names = m.gradient.derivation.gradients.seeds
    others = {n: nested(shape_of(evaluate(m.program, sample.inputs, [y])[y]), lambda: 0) for y, n in names.items() if y not in seeds}
    backward = evaluate(m.gradient.derivation.backward, {**sample.inputs, **{names[y]: s for y, s in seeds.items()}, **others},
                        [m.gradient.name])
    _same(values[m.g[m.wrt]], backward[m.gradient.name], f"The gradient by {m.wrt}")
    return True


def _evaluated(m: _Method, final: Equation, inputs: dict[str, Any]) -> dict[str, Any]:
    """All differentials, named gradients and lines, by the interpreter."""
    lines = [replace(e, tensor=f"\0{k}{side}") for k, s in enumerate(m.found) for side, e in (("before", s.before), ("after", s.after))]
    lines = [e for e in lines if not e.subs]
    known = {e.tensor for e in m.equations}
    free = [n for n in inputs if n not in m.program.kinds]
    wide = Program(
        (*m.program.inputs, *(Input(n, tuple(r.hi for r in m.world.dims[n])) for n in free)), (),
        (*m.program.equations, *m.equations, final, *lines),
        {**m.program.shapes, **{n: m.world.dims[n] for n in known | {final.tensor}}, **{e.tensor: () for e in lines}}, m.program.givens,
        m.program.requirements)
    return evaluate(wide, inputs, [*known, final.tensor, *(e.tensor for e in lines)])


def _total(seeds: dict[str, Any], slopes: dict[str, Any]) -> Any:
    total: Any = 0
    for y, s in seeds.items():
        for a, b in zip(flat(s), flat(slopes[y]), strict=True):
            total = combine("+", total, combine("*", a, b))
    return total


def _same(found: Any, expected: Any, what: str) -> None:
    for a, b in zip(flat(found), flat(expected), strict=True):
        if not agree(a, b):
            raise CheckError(f"{what} does not hold: {a} and {b} differ.")
