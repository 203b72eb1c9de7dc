"""Random programs in the notation, as text: every feature of the language, in every combination that the dice allow.

`random_program(rng)` takes anything with the methods of `random.Random`, so that one generator serves Hypothesis (which
shrinks) and the long run (which counts). An equation is kept only if the program still parses with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st

import nnderiv as nd
from nnderiv.program import Program, Range

LETTERS = ("i", "j", "k", "t", "n", "m")
SIZES = ("N", "M", "K", "T")
SMOOTH = ("tanh", "sigmoid", "softplus", "gelu", "silu", "erf", "sin", "cos")
KINKED = ("relu", "abs")


def programs() -> st.SearchStrategy[str]:
    """Texts of random programs."""
    return st.randoms(use_true_random=False).map(random_program)


def random_program(rng: Random) -> str:
    """The text of a program that parses."""
    return _Writer(rng).program()


@dataclass
class _Writer:
    rng: Random
    inputs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    integers: list[tuple[str, str]] = field(default_factory=list)  # int tensors: (name, size of their axis)
    parameter: str = ""
    equations: list[str] = field(default_factory=list)
    known: Program | None = None
    bound: dict[str, str] = field(default_factory=dict)  # the letters that the equation at hand sums over, and their sizes

    # -- the program -------------------------------------------------------------------------------------------------
    def program(self) -> str:
        self.declare()
        wanted = self.rng.choice((1, 1, 2, 2, 3))
        for _ in range(40):
            if self.known is not None and len(self.known.definitions) >= wanted:
                break
            self.extend()
        while self.known is None:
            self.extend()
        return self.text(self.outputs())

    def declare(self) -> None:
        sizes = self.rng.sample(SIZES, self.rng.randint(1, 3))
        if self.rng.random() < 0.15:  # rows of vectors, and matrices that keep their length
            rows = tuple(self.rng.choice(sizes) for _ in range(self.rng.choice((1, 2, 2))))
            self.inputs = [("A", (*rows, sizes[0])), ("B", (sizes[0], sizes[0])), ("C", (sizes[0], sizes[0]))]
            return
        for k in range(self.rng.randint(1, 3)):
            dims = tuple(self.rng.choice(sizes) for _ in range(self.rng.choice((0, 1, 1, 2, 2, 2, 3))))
            if k == 0 and not dims:
                dims = (sizes[0],)
            if self.rng.random() < 0.08 and dims:
                dims = ("3", *dims[1:])
            self.inputs.append((f"{'ABC'[k]}", dims))
        if self.rng.random() < 0.15:
            self.integers.append(("tok", self.inputs[0][1][0] if not self.inputs[0][1][0].isdigit() else sizes[0]))
        if self.rng.random() < 0.12:
            self.parameter = "p"

    def text(self, outputs: Sequence[str], extra: Sequence[str] = ()) -> str:
        signature = [f"{n}[{','.join(d)}]" if d else n for n, d in self.inputs]
        signature += [f"int {n}[{d}]" for n, d in self.integers] + ([f"int {self.parameter}"] if self.parameter else [])
        return "\n".join([f"{', '.join(signature)} -> {', '.join(outputs)}", *self.equations, *extra])

    def outputs(self) -> list[str]:
        assert self.known is not None
        names = list(self.known.definitions)
        read = {n for es in self.known.definitions.values() for e in es for n in e.reads if n != e.tensor}
        ends = [n for n in names if n not in read] or names[-1:]
        return ends if self.rng.random() < 0.8 else names

    def extend(self) -> None:
        """One more tensor, or some that need each other, if the program still parses with it."""
        name = f"Y{len(self.known.definitions) + 1 if self.known else 1}"
        kind = self.rng.random()
        lines = (self.recurrence(name) if kind < 0.25 else self.coupled(name) if kind < 0.30 else self.sliding(name) if kind < 0.38
                 else self.twin(name) if kind < 0.45 else self.layer(name) if kind < 0.55 else self.digits(name) if kind < 0.62
                 else self.beside(name) if kind < 0.67 else self.plain(name))
        new = [line.split("[")[0].split("=")[0].strip() for line in lines]
        outputs = [*(self.known.definitions if self.known else ()), *dict.fromkeys(new)]
        try:
            program = nd.parse(self.text(outputs, lines))
        except nd.NNDerivError:
            return
        self.equations += lines
        self.known = program

    # -- equations ---------------------------------------------------------------------------------------------------
    def plain(self, name: str) -> list[str]:
        self.bound, scope = {}, self.scope(self.rng.choice((0, 1, 1, 2, 2, 3)))
        line = self.equation(name, scope, _Body(self, dict(scope)).real(self.rng.choice((1, 2, 2, 3))))
        lines = [line]
        if scope and self.rng.random() < 0.15:
            letter = self.rng.choice(list(scope))
            rest = {k: v for k, v in scope.items() if k != letter}
            at = self.rng.choice(("0", "0", "1"))
            left = f"{name}[{','.join(at if k == letter else k for k in scope)}]"
            lines.append(f"{left} = {_Body(self, rest).real(1)}{self.clause(rest)}")
        return lines

    def equation(self, name: str, scope: dict[str, str], body: str) -> str:
        left = f"{name}[{','.join(scope)}]" if scope else name
        ranges = {**scope, **(self.bound if self.rng.random() < 0.3 else {})}  # sums by hand may run beyond what they read
        return f"{left} = {body}{self.clause(ranges) if self.rng.random() < 0.6 else ''}"

    def clause(self, scope: dict[str, str]) -> str:
        return f" for {', '.join(f'{k} < {s}' for k, s in scope.items())}" if scope else ""

    def scope(self, count: int) -> dict[str, str]:
        """Left-hand letters, each with the size that it runs over."""
        sizes = self.sizes()
        return {k: self.rng.choice(sizes) for k in self.rng.sample(LETTERS, count)} if sizes else {}

    def sizes(self) -> list[str]:
        return list(dict.fromkeys(d for _, dims in self.inputs for d in dims))

    def recurrence(self, name: str) -> list[str]:
        """A tensor that reads itself behind (or ahead), along one axis or two, with or without base cases."""
        scope = self.scope(self.rng.choice((1, 1, 2, 2)))
        if not scope:
            return self.plain(name)
        letters, rng = list(scope), self.rng
        sign = rng.choice(("-", "-", "+"))
        reads = []
        for _ in range(rng.choice((1, 1, 2))):
            step = rng.choice((1, 1, 1, 2))
            both = len(letters) == 2 and rng.random() < 0.3
            subs = [f"{letters[0]}{sign}{step}", *letters[1:]]
            if both:
                subs = rng.choice((subs, [letters[0], f"{letters[1]}{sign}1"], [f"{letters[0]}{sign}1", f"{letters[1]}{sign}1"]))
            elif len(letters) == 2 and rng.random() < 0.4:
                subs[1] = rng.choice(("q", f"{letters[1]}-1", f"{letters[1]}+1", f"{scope[letters[1]]}-1-{letters[1]}"))
            read = f"{name}[{','.join(subs)}]"
            if "q" in subs:
                weight = _Body(self, {letters[1]: scope[letters[1]], "q": scope[letters[1]]}).read()
                read = f"{rng.choice(('sum', 'sum', 'max', 'logsumexp'))}[q]({weight}*{read})"
            reads.append(read)
        body = _Body(self, dict(scope))
        mixed = body.mix([*reads, body.real(1)])
        inner = {"q": scope[letters[1]]} if "[q](" in mixed and len(letters) == 2 else {}
        lines = [f"{name}[{','.join(letters)}] = {mixed}{self.clause(scope | inner)}"]
        if rng.random() < 0.5:
            at = {"-": rng.choice(("-1", "0", "0")), "+": f"{scope[letters[0]]}{rng.choice(('', '-1'))}"}[sign]
            rest = {k: scope[k] for k in letters[1:]}
            base = f"{name}[{','.join([at, *letters[1:]])}] = {_Body(self, rest).real(1)}{self.clause(rest)}"
            lines.insert(rng.choice((0, len(lines))), base)
            if at == "-1" and rng.random() < 0.5:  # all states, that before the first step too
                first = letters[0]
                lines.append(f"{name}all[{','.join(letters)}] = {name}[{','.join([f'{first}-1', *letters[1:]])}]"
                             f"{self.clause({**scope, first: f'{scope[first]}+1'})}")
        return lines

    def coupled(self, name: str) -> list[str]:
        """Two tensors in one cycle."""
        scope = self.scope(self.rng.choice((1, 2)))
        if not scope:
            return self.plain(name)
        letters, other = list(scope), f"{name}z"
        here, before = ",".join(letters), ",".join([f"{letters[0]}-1", *letters[1:]])
        a, b = _Body(self, dict(scope)), _Body(self, dict(scope))
        return [f"{other}[{here}] = {a.mix([f'{name}[{before}]', a.real(1)])}{self.clause(scope)}",
                f"{name}[{here}] = {b.mix([f'{other}[{here}]', b.real(1), f'{name}[{before}]'])}{self.clause(scope)}"]


    def sliding(self, name: str) -> list[str]:
        """A kernel that slides along one axis of an image, or along two, with or without channels that are summed."""
        rng, images = self.rng, [(n, d) for n, d in self.inputs if d]
        if not images:
            return self.plain(name)
        (image, dims), (kernel, places) = rng.choice(images), rng.choice(images)
        own = dict(zip(rng.sample(LETTERS, len(dims)), dims, strict=True))
        letters, at = list(own), rng.randrange(len(dims))
        free = [x for x in ("u", "v", "q") if x not in own]
        taken = [free[k] if k == 0 else rng.choice([x for x in letters if own[x] == s] or [free[k]]) for k, s in enumerate(places)]
        here = letters[at]
        moved = rng.choice((f"{here}+u", f"{here}+u-1", f"{here}-u", f"2*{here}+u", f"2*{here}+u-1", f"{here}+2*u"))
        bound = [x for x in taken if x not in own] + [x for x in letters if x != here and rng.random() < 0.3]
        left = [x for x in letters if x not in bound]
        op = rng.choice(("sum", "sum", "sum", "max"))
        read = f"{image}[{','.join(moved if k == at else x for k, x in enumerate(letters))}]"
        body = f"{kernel}[{','.join(taken)}]{rng.choice(('*', '*', ' + '))}{read}"
        clause = self.clause({x: own[x] for x in left}) if rng.random() < 0.6 else ""
        return [f"{name}[{','.join(left)}] = {op}[{','.join(bound)}]({body}){clause}"]

    def layer(self, name: str) -> list[str]:
        """A matrix times the vectors of what came last, or of an input, with a function, or what it was added."""
        rng, known = self.rng, self.known
        vectors = [(n, [str(r.hi) for r in known.dims[n]]) for n in known.definitions] if known else []
        vectors = [(n, d) for n, d in vectors if d][-1:] or [(n, list(d)) for n, d in self.inputs if d]
        pairs = [(n, d, m) for n, d in vectors for m, c in self.inputs if len(c) == 2 and c[0] == c[1] == d[-1]]
        if not pairs:
            return self.plain(name)
        tensor, dims, matrix = rng.choice(pairs)
        letters = LETTERS[: len(dims)]
        here, last = ",".join(letters), letters[-1]
        read = f"{tensor}[{','.join((*letters[:-1], 'u'))}]"
        product = f"sum[u]({read}*{matrix}[{rng.choice((f'u,{last}', f'{last},u'))}])"
        inner = rng.choice((product, product, f"tanh({product})", f"relu({product})"))
        return [f"{name}[{here}] = {rng.choice((f'{tensor}[{here}] + ', f'{tensor}[{here}] + ', ''))}{inner}"]

    def digits(self, name: str) -> list[str]:
        """Blocks along an axis: what is read at quotients and remainders of an index, chosen by them, or summed over them."""
        rng, scope = self.rng, self.scope(self.rng.choice((1, 2, 2)))
        tensors = [(n, d) for n, d in self.inputs if d]
        if not scope or not tensors:
            return self.plain(name)
        steps = ["2", "2", "3", rng.choice(self.sizes()), *([self.parameter] * 3 if self.parameter else [])]
        a, m = rng.choice(list(scope)), rng.choice(steps)
        (x, dims), (y, axes) = rng.choice(tensors), rng.choice(tensors)
        places = [f"{a}//{m}", f"{a} % {m}", f"({a}//{m})*{m}+{a} % {m}", f"({a}//{m})*2+u", f"{m}*({a}//{m})+u", f"{a}//{m}+u-1", "u", a,
                  f"{a}+1", f"{a}-1", *scope]
        read = f"{x}[{','.join(rng.choice(places) for _ in dims)}]"
        other = f"{y}[{','.join(rng.choice((*scope, a, 'u', f'{a}//{m}')) for _ in axes)}]"
        body = rng.choice((f"{read}*{other}", f"{read}*{other}", f"tanh({read}) + {other}", f"where({a} % {m} == 0, {read}, {other})",
                           f"where({a} % {m} != 1, -{read}, {other})*{read}", f"cos({a}//{m}*{read})*{other}"))
        bound = ["u"] if "u" in re.findall(r"\w+", body) else []
        if len(scope) > 1 and rng.random() < 0.3:
            bound.append(a)
        if bound:
            body = f"{rng.choice(('sum', 'sum', 'sum', 'mean', 'max', 'logsumexp'))}[{','.join(bound)}]({body})"
        ranges = {**scope, **({"u": rng.choice((m, "2", rng.choice(self.sizes())))} if "u" in bound else {})}
        return [f"{name}[{','.join(k for k in scope if k not in bound)}] = {body}{self.clause(ranges)}"]

    def beside(self, name: str) -> list[str]:
        """What is computed along an axis and, behind it, another tensor: at once behind it, or after a gap."""
        rng, rows = self.rng, [(n, d) for n, d in self.inputs if d and not d[0].isdigit()]
        pairs = [(a, b) for a in rows for b in rows if a[1][1:] == b[1][1:]]
        if not pairs:
            return self.plain(name)
        (a, dims), (b, others) = rng.choice(pairs)
        letters = LETTERS[: len(dims)]
        here, scope, first = ",".join(letters), dict(zip(letters, dims, strict=True)), letters[0]
        gap = rng.choice((dims[0], dims[0], rng.choice([d for _, axes in rows for d in axes])))
        behind = f"{b}[{','.join((f'{first}-{gap}', *letters[1:]))}]"
        value = rng.choice((f"tanh({a}[{here}])", f"relu({a}[{here}] - {_Body(self, scope).read()})", _Body(self, scope).real(1)))
        return [f"{name}z[{here}] = {value}{self.clause(scope)}",
                f"{name}[{here}] = {name}z[{here}] + {behind}{self.clause({**scope, first: f'{gap} + {others[0]}'})}"]

    def twin(self, name: str) -> list[str]:
        """An earlier tensor once more, of another input of the same sizes, or of two that change places."""
        pairs = [(a, b) for a, d in self.inputs for b, c in self.inputs if a != b and d == c]
        if not pairs or self.known is None:
            return self.plain(name)
        (a, b), old = self.rng.choice(pairs), self.rng.choice(list(self.known.definitions))
        places = {a: b, old: name, **({b: a} if self.rng.random() < 0.3 else {})}
        lines = [line for line in self.equations if re.match(rf"{old}\b", line)]
        return [re.sub(r"\b[A-Z]\w*", lambda m: places.get(m.group(), m.group()), line) for line in lines]


@dataclass
class _Body:
    """Writes an expression in which the letters of `scope` may stand."""

    writer: _Writer
    scope: dict[str, str]

    @property
    def rng(self) -> Random:
        return self.writer.rng

    def real(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf()
        choices: list[Any] = [self.leaf, self.sum_, self.sum_, self.product, self.product, self.quotient, self.function, self.function,
                              self.power, self.extreme, self.choice, self.reduction, self.reduction, self.reduction, self.negative]
        if self.scope:
            choices.append(self.normaliser)
        return str(self.rng.choice(choices)(depth - 1))

    # -- leaves ------------------------------------------------------------------------------------------------------
    def leaf(self, depth: int = 0) -> str:
        kind = self.rng.random()
        if kind < 0.85:
            return self.read()
        if kind < 0.90 and self.scope:
            return self.rng.choice(list(self.scope))
        if kind < 0.92 and self.writer.parameter:
            return self.writer.parameter
        return self.rng.choice(("2", "0.5", "3", "1/3", self.rng.choice(self.writer.sizes() or ["1"])))

    def tensors(self) -> list[tuple[str, list[Range | str]]]:
        found: list[tuple[str, list[Range | str]]] = [(n, list(d)) for n, d in self.writer.inputs]
        if self.writer.known is not None:
            found += [(n, list(self.writer.known.dims[n])) for n in self.writer.known.definitions] * 2
        return found

    def read(self) -> str:
        name, axes = self.rng.choice(self.tensors())
        return f"{name}[{','.join(self.subscript(a) for a in axes)}]" if axes else name

    def subscript(self, axis: Range | str) -> str:
        size = axis if isinstance(axis, str) else str(axis.hi)
        fitting = [k for k, s in self.scope.items() if s == size]
        kind = self.rng.random()
        if fitting and kind < 0.62:
            return self.rng.choice(fitting)
        letters = fitting or list(self.scope)
        if not letters or kind > 0.97:
            return self.rng.choice(("0", "0", "1", f"{size}-1", *([self.writer.parameter] * 2 if self.writer.parameter else [])))
        a = self.rng.choice(letters)
        b = self.rng.choice(list(self.scope))
        integers = [n for n, s in self.writer.integers if self.scope.get(a) == s]
        shapes = [a, a, f"{a}-1", f"{a}+1", f"{a}-2", f"{a}+2", f"{size}-1-{a}", f"2*{a}", f"2*{a}+1", f"2*{a}-1", f"3*{a}-1",
                  f"{a}+{b}", f"{a}-{b}", f"{a}+{b}-1", f"2*{a}+{b}", f"2*{a}-3*{b}", f"{a}+2*{b}-1", f"{a}//2", f"({a}+1)//2", f"{a} % 2",
                  f"({a}+{b})//2", f"{b}-{a}"]
        if self.writer.parameter:
            shapes += [f"{a}-p", f"p*{a}", f"{a}+p-1", f"p*{a}+{b}-1"]
        if integers:
            shapes += [f"{integers[0]}[{a}]"] * 20 + [f"{integers[0]}[{a}]+1"]
        return self.rng.choice(shapes)

    # -- operators ---------------------------------------------------------------------------------------------------
    def sum_(self, depth: int) -> str:
        return f"({self.real(depth)} {self.rng.choice('+-')} {self.real(depth)})"

    def product(self, depth: int) -> str:
        return f"{self.real(depth)}*{self.real(depth)}"

    def quotient(self, depth: int) -> str:
        below = self.real(depth)
        return f"{self.real(depth)}/{self.rng.choice((f'(2 + ({below})**2)', f'(1 + exp(sin({below})))', '2', f'softplus(tanh({below}))'))}"

    def negative(self, depth: int) -> str:
        return f"-{self.real(depth)}"

    def power(self, depth: int) -> str:
        return f"({self.real(depth)})**{self.rng.choice((2, 2, 3))}"

    def function(self, depth: int) -> str:
        inner = self.real(depth)
        kind = self.rng.random()
        if kind < 0.25:
            return f"{self.rng.choice(KINKED)}({inner})"
        if kind < 0.5:
            return self.rng.choice((f"exp(-({inner})**2)", f"log(1 + ({inner})**2)", f"sqrt(1 + ({inner})**2)", f"exp(tanh({inner}))"))
        return f"{self.rng.choice(SMOOTH)}({inner})"

    def extreme(self, depth: int) -> str:
        other = self.rng.choice((self.real(depth), "0.25", "-0.5"))
        return f"{self.rng.choice(('max', 'min'))}({self.real(depth)}, {other})"

    def choice(self, depth: int) -> str:
        return f"where({self.condition()}, {self.real(depth)}, {self.rng.choice(('0', self.real(depth)))})"

    def condition(self) -> str:
        kind = self.rng.random()
        if self.scope and kind < 0.75:
            a, b = self.rng.choice(list(self.scope)), self.rng.choice([*self.scope, "1", "2"])
            found = f"{a} {self.rng.choice(('<', '<=', '>', '>=', '==', '!='))} {b}"
            if kind < 0.1:
                found = f"{a} % 2 == 0"
            return found if kind > 0.2 else self.rng.choice((f"not {found}", f"{found} and {a} > 0", f"{found} or {self.read()} > 0"))
        return f"{self.read()} {self.rng.choice(('<', '>', '>='))} {self.rng.choice(('0', self.read()))}"

    def mix(self, parts: list[str]) -> str:
        """Some values in one expression that grows slowly."""
        kind = self.rng.random()
        if kind < 0.4:
            return " + ".join(f"{self.rng.choice(('0.5', '1/3', '2'))}*{p}" if self.rng.random() < 0.5 else p for p in parts)
        if kind < 0.6:
            return f"tanh({' + '.join(parts)})"
        if kind < 0.75:
            return f"{parts[0]}*sigmoid({parts[-1]}) + {' + '.join(parts[1:])}"
        found = parts[0]
        for p in parts[1:]:
            found = f"{self.rng.choice(('max', 'min'))}({found}, {p})"
        return f"{found} + {self.read()}"

    # -- reductions --------------------------------------------------------------------------------------------------
    def reduction(self, depth: int) -> str:
        sizes = self.writer.sizes()
        free = [k for k in (*LETTERS, "u", "v", "q") if k not in self.scope]
        letters = self.rng.sample(free, self.rng.choice((1, 1, 1, 2)))
        inner = _Body(self.writer, self.scope | {k: self.rng.choice(sizes or ["2"]) for k in letters})
        self.writer.bound |= {k: inner.scope[k] for k in letters}
        op = self.rng.choice(("sum", "sum", "sum", "sum", "mean", "max", "min", "logsumexp"))
        body = inner.real(depth)
        if not all(k in body for k in letters):
            body = f"{body}*{inner.plain_read(letters)}"
        return f"{op}[{','.join(letters)}]({body})"

    def plain_read(self, letters: list[str]) -> str:
        """A product of reads that settles the letters."""
        fitting = {k: [(n, d) for n, d in self.writer.inputs if self.scope[k] in d] for k in letters}
        reads = []
        for k in letters:
            if fitting[k]:
                name, dims = self.rng.choice(fitting[k])
                at = dims.index(self.scope[k])
                reads.append(f"{name}[{','.join(k if j == at else self.subscript(d) for j, d in enumerate(dims))}]")
        return "*".join(reads or [self.read()])

    def normaliser(self, depth: int) -> str:
        letter = self.rng.choice(list(self.scope))
        body = self.real(depth)
        masked = self.rng.random() < 0.2
        if masked:
            body = f"where({self.condition()}, {body}, -inf)"
        return f"{'softmax' if masked else self.rng.choice(('softmax', 'log_softmax'))}[{letter}]({body})"
