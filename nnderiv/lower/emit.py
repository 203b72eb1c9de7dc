"""Scheduled equations -> lines of NumPy: one statement for an equation, a Python loop for a true cycle.

`Body` writes the body of one function. Each statement carries the equation it computes as a comment, with the shape of the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..expr import (
    COMPARISONS,
    INF,
    ONE,
    ZERO,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    Reduce,
    additive_terms,
    factors,
    ints,
    reads,
    signed,
    walk,
)
from ..fresh import Fresh
from ..integer import Int
from ..normal import positive_names
from ..program import Equation, Program, Range, Ranges
from ..ranges import bound_indices
from .arrays import Array, Frame, Storage, expand, integer_value, permute, read, target, tuple_text
from .contract import sum_of_products
from .fold import Fold, find_fold
from .fuse import Softmaxes
from .layout import WIDTH as LINE
from .layout import assignment, comment
from .schedule import Compute, Loop, Node, Sweep
from .storage import equations_of

FUNCTIONS = {
    "exp": "np.exp", "log": "np.log", "sqrt": "np.sqrt", "tanh": "np.tanh", "sin": "np.sin", "cos": "np.cos", "abs": "np.abs",
    "sign": "np.sign", "erf": "_erf", "sigmoid": "_sigmoid",
}
LONG = 80  # an operand with a longer text gets a name


class Body:
    """The statements of one function, and where every tensor is stored."""

    def __init__(self, program: Program, storage: dict[str, Storage], exported: Iterable[str], dtype: str = "dtype"):
        self.program, self.storage = program, storage
        self.positive = positive_names(program)
        self.exported = set(exported)  # handed to the caller: never a view of something else
        self.lines: list[str] = []
        self.indent, self.dtype = "    ", dtype
        self.fresh = Fresh({*program.names, dtype, "np", "residuals"})
        self.sizes: dict[Int, str] = {}
        self.allocated: set[str] = set()
        self.softmaxes: Softmaxes = {}
        self.shown: dict[tuple[object, ...], str] = {}  # equations by (tensor, subs, body), as they are to be read
        self.loops: Ranges = {}
        self.repeated: Counter[Read] = Counter()  # how often the statement at hand reads each element
        self.made: dict[tuple[Read, tuple[str, ...]], Array] = {}

    def line(self, text: str = "") -> None:
        self.lines.append(self.indent + text if text else "")

    # -- nodes -------------------------------------------------------------------------------------------------------
    def name_sizes(self, equations: Sequence[Equation]) -> None:
        """Sizes that are more than a name get one."""
        for e in equations:
            for index, r in e.ranges.items():
                size = r.size
                if size not in self.sizes and ("//" in str(size) or "(" in str(size)):
                    self.sizes[size] = self.fresh(f"n_{index}")
                    self.line(f"{self.sizes[size]} = {size}  # values of {index}")

    def run(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if isinstance(node, Compute):
                self.compute(node.equation, node.guards)
            elif isinstance(node, Loop):
                self.loop(node)
            else:
                self.sweep(node)

    def loop(self, node: Loop) -> None:
        for e in equations_of(node):
            if not self.storage[e.tensor].dropped:
                self.allocate(e.tensor)
        lo, hi = self.integer(node.range.lo), self.integer(node.range.hi)
        if node.forwards:
            span = hi if node.range.lo == 0 else f"{lo}, {hi}"
        else:
            span = f"{self.integer(node.range.hi - 1)}, {self.integer(node.range.lo - 1)}, -1"
        self.line(f"for {node.variable} in range({span}):")
        outer, self.indent = self.indent, self.indent + "    "
        around, self.loops = self.loops, {**self.loops, node.variable: node.range}
        self.run(node.body)
        self.indent, self.loops = outer, around

    def sweep(self, node: Sweep) -> None:
        names = list(dict.fromkeys(e.tensor for e in node.equations))
        for name in names:
            self.allocate(name)
        function = self.fresh("sweep")
        self.line(f"def {function}():")
        outer, self.indent = self.indent, self.indent + "    "
        # All read what the last sweep left; what is written meanwhile may yet be overwritten by a base case.
        written = dict(self.storage)
        for name in names:
            before = self.fresh(f"{name}_before")
            self.line(f"{before} = {name}.copy()" if self.storage[name].axes else f"{before} = {name}")
            self.storage[name] = replace(self.storage[name], variable=before)
        for e in sorted(node.equations, key=lambda e: -len(e.indices)):  # base cases last: they rule
            self.compute(e, ())
        self.storage.update(written)
        self.indent = outer
        self.line("with np.errstate(all=\"ignore\"):")
        self.line(f"    _until_settled({function}, [{', '.join(names)}])")

    def allocate(self, name: str) -> None:
        store = self.storage[name]
        if name in self.allocated or not store.axes:
            return
        self.allocated.add(name)
        shape = tuple_text(self.integer(r.size) for r in store.axes)
        first = f"  # {name}[{', '.join(str(r.lo) for r in store.axes)}] stands first" if any(r.lo != 0 for r in store.axes) else ""
        self.line(f"{store.variable} = np.zeros({shape}, {self.dtype}){first}")

    def integer(self, value: Int) -> str:
        return self.sizes.get(value) or str(value)

    # -- one equation ------------------------------------------------------------------------------------------------
    def frame(self, e: Equation) -> Frame:
        vectors = [i for i in e.indices if i in e.ranges]
        order = (*vectors, *(i for i in bound_indices(e.body) if i not in vectors))
        return Frame(order, dict(e.ranges), self.positive, self.storage, self.sizes, dict(self.loops))

    def compute(self, e: Equation, guards: tuple[tuple[str, Range], ...]) -> None:
        if any(e.tensor == total for total, _, _ in self.softmaxes.values()):
            return  # it is computed with the softmax that needs it
        outer, around = self.indent, self.loops
        self.loops = {**self.loops, **dict(guards)}
        conditions = [self.guard(v, r) for v, r in guards]
        if conditions:
            self.line(f"if {' and '.join(conditions)}:")
            self.indent += "    "
        self.statement(e)
        self.indent, self.loops = outer, around

    def guard(self, variable: str, r: Range) -> str:
        if r.size == 1:
            return f"{variable} == {self.integer(r.lo)}"
        return f"{self.integer(r.lo)} <= {variable} < {self.integer(r.hi)}"

    def statement(self, e: Equation) -> None:
        frame = self.frame(e)
        self.repeated, self.made = Counter(reads(e.body)), {}
        labels = tuple(i for i in e.indices if i in e.ranges)
        self.comment(e)
        if self.storage[e.tensor].dropped or self.is_whole(e):
            array = self.fill(frame, self.right(frame, e), labels, e.tensor in self.exported)
            self.assign(self.storage[e.tensor].variable, array.text, frame, labels)
            return
        self.allocate(e.tensor)
        array = self.right(frame, e)
        if labels and array.labels and array.labels != labels:
            array = expand(array, labels)
        self.assign(target(frame, e.tensor, e.subs), array.text, frame, labels)

    def comment(self, e: Equation) -> None:
        self.lines += comment(self.shown.get((e.tensor, e.subs, e.body), str(e)), self.indent)

    def assign(self, place: str, value: str, frame: Frame, labels: Sequence[str]) -> None:
        """The assignment, with the shape of the result as a comment where there is room."""
        lines = assignment(place, value, self.indent)
        shape = f"  # {tuple_text(frame.size(i) for i in labels)}" if labels else ""
        if len(lines) == 1 and len(lines[0]) + len(shape) <= LINE:
            lines[0] = f"{lines[0]:<50}{shape}" if shape else lines[0]
        self.lines += lines

    def is_whole(self, e: Equation) -> bool:
        """Whether this equation alone fills its tensor's storage, at once."""
        if e.is_base or len(self.program.definitions[e.tensor]) > 1 or e.tensor in self.allocated:
            return False
        return [e.ranges.get(str(s.name)) for s in e.subs] == list(self.storage[e.tensor].axes)

    def fill(self, frame: Frame, array: Array, labels: tuple[str, ...], exported: bool) -> Array:
        """The array over all the labels, with memory of its own if it is handed out."""
        if not labels:
            return Array(f"{self.dtype}.type({array.text})")
        shape = tuple_text(frame.size(i) for i in labels)
        if not array.labels:
            return Array(f"np.full({shape}, {array.text}, {self.dtype})")
        if array.labels != labels:
            return Array(f"np.broadcast_to({expand(array, labels).text}, {shape}).copy()", labels)
        return Array(f"{array.at_least(9)}.copy()", labels) if array.is_view and exported else array

    # -- right-hand sides --------------------------------------------------------------------------------------------
    def right(self, frame: Frame, e: Equation) -> Array:
        """The body; terms that scatter into the left-hand side are folded in."""
        if e.tensor in self.softmaxes:
            _, scores, along = self.softmaxes[e.tensor]
            x = self.read(frame, scores)
            return Array(f"_softmax({x.text}, {_axes(x, along)})", x.labels)
        parts: list[tuple[int, Expr]] = []
        folds: list[tuple[int, Fold]] = []
        for sign, term in additive_terms(e.body):
            fold = find_fold(self.program, e, term)
            folds += [(sign, fold)] if fold else []
            parts += [] if fold else [(sign, term)]
        total = self.value(frame, signed(parts)) if parts or not folds else None
        if total is not None and folds:
            total = self.keep_long(total)
        for sign, fold in folds:
            folded = self.folded(frame, e, fold)
            if parts or len(folds) > 1:
                folded = self.keep_long(folded)
            if total is None:
                total = folded if sign > 0 else Array(f"-{folded.at_least(6)}", folded.labels, 5)
            else:
                operator, total = "+" if sign > 0 else "-", expand(total, folded.labels)
                total = Array(f"{total.at_least(5)} {operator} {folded.at_least(6)}", folded.labels, 5)
        assert total is not None
        return total

    def folded(self, frame: Frame, e: Equation, fold: Fold) -> Array:
        """_fold(V, shape, …) or _scatter(V, shape, …): the adjoint of reading at subscripts that are not plain."""
        inner = Frame(fold.order, fold.ranges, self.positive, self.storage, self.sizes, dict(self.loops))
        self.name_new_sizes(fold.ranges)
        array = self.keep_long(self.value(inner, fold.values))
        array = permute(self.broadcast(inner, array, inner.sort(fold.labels)), fold.labels)
        labels = tuple(i for i in e.indices if i in e.ranges)
        shape = tuple_text(frame.size(i) for i in labels)
        if fold.scatter is not None:
            indices = [integer_value(inner, v, fold.scatter_labels).text for v in fold.scatter]
            text = f"_scatter({array.text}, {tuple_text(frame.size(i) for i in fold.moved)}, {', '.join(indices)})"
            return permute(Array(text, fold.moved), labels)
        axes = [self.fold_axis(inner, a) for a in fold.axes]
        return Array(f"_fold({array.text}, {shape}, {', '.join(axes)})", labels)

    def name_new_sizes(self, ranges: dict[str, Range]) -> None:
        self.name_sizes([Equation("", (), ZERO, ranges)])

    def fold_axis(self, inner: Frame, axis: tuple[Int, tuple[tuple[str, Int], ...]] | None) -> str:
        if axis is None:
            return "None"
        start, spans = axis
        shown = [f"({inner.size(i)}, {inner.integer(step)})" for i, step in spans]
        return tuple_text([inner.integer(start), *shown])

    def broadcast(self, frame: Frame, array: Array, labels: tuple[str, ...]) -> Array:
        if array.labels == labels:
            return array
        shape = tuple_text(frame.size(i) for i in labels)
        value = expand(array, labels).text if array.labels else f"{self.dtype}.type({array.text})"
        return Array(f"np.broadcast_to({value}, {shape})", labels)

    # -- expressions -------------------------------------------------------------------------------------------------
    def keep_long(self, array: Array, limit: int = LONG) -> Array:
        """A long expression gets a line and a name of its own."""
        return self.keep(array) if len(array.text) > limit else array

    def keep(self, array: Array) -> Array:
        if array.text.isidentifier():
            return array
        name = self.fresh("part")
        self.lines += assignment(name, array.text, self.indent)
        return Array(name, array.labels, 9, array.is_view)

    def value(self, frame: Frame, e: Expr) -> Array:
        if isinstance(e, Num):
            return _number(e)
        if isinstance(e, Const):
            return Array("np.inf" if e.name == "inf" else "np.pi")
        if isinstance(e, IntValue):
            return self.integer_as_real(frame, e.value)
        if isinstance(e, Read):
            return self.read(frame, e)
        if isinstance(e, Reduce):
            return self.reduce(frame, e)
        assert isinstance(e, Op)
        if e.op in ("+", "neg"):
            return self.sum_(frame, e)
        if e.op in ("*", "/"):
            return self.product(frame, e)
        if e.op == "**":
            return self.power(frame, e)
        if e.op == "where":
            return self.where(frame, e)
        return self.function(frame, e)

    def read(self, frame: Frame, e: Read) -> Array:
        """A read; one that is more than basic indexing, and stands there several times, is made once."""
        array = read(frame, e.tensor, e.subs)
        if self.repeated.get(e, 0) < 2 or "(" not in array.origin.text:
            return array
        if (e, frame.order) not in self.made:
            kept = self.keep(array.origin)
            self.made[e, frame.order] = permute(kept, array.labels)
        return self.made[e, frame.order]

    def integer_as_real(self, frame: Frame, value: Int) -> Array:
        labels = tuple(frame.vectors(value))
        if not labels and not value.elements():
            text = frame.integer(value)
            return Array(text, (), 9 if text.isidentifier() or text.isdigit() else 5)
        array = integer_value(frame, value, labels)
        return Array(f"{array.at_least(9)}.astype({self.dtype})", labels)

    def aligned(self, frame: Frame, arrays: Sequence[Array]) -> tuple[list[Array], tuple[str, ...]]:
        labels = frame.sort({x for a in arrays for x in a.labels})
        return [expand(a, labels) for a in arrays], labels

    def sum_(self, frame: Frame, e: Op) -> Array:
        terms = additive_terms(e)
        arrays = [self.keep_long(self.value(frame, t)) for _, t in terms]
        arrays, labels = self.aligned(frame, arrays)
        text = ""
        for (sign, _), a in zip(terms, arrays, strict=True):
            shown = a.at_least(6)
            text += (f" + {shown}" if sign > 0 else f" - {shown}") if text else (shown if sign > 0 else f"-{shown}")
        return Array(text, labels, 5)

    def product(self, frame: Frame, e: Op) -> Array:
        """Factors with few axes first, so that small products stay small."""
        above, below = _fraction(e)
        arrays = sorted((self.keep_long(self.value(frame, f)) for f in above), key=lambda a: len(a.labels))
        under = [self.keep_long(self.value(frame, f)) for f in below]
        everything, labels = self.aligned(frame, [*arrays, *under])
        top = "*".join(a.at_least(6 if k == 0 else 7) for k, a in enumerate(everything[: len(arrays)])) or "1"
        if not below:
            return Array(top, labels, 6)
        bottom = everything[len(arrays):]
        shown = bottom[0].at_least(7) if len(bottom) == 1 else f"({'*'.join(a.at_least(7) for a in bottom)})"
        return Array(f"{top}/{shown}", labels, 6)

    def power(self, frame: Frame, e: Op) -> Array:
        base, exponent = self.value(frame, e.args[0]), e.args[1]
        if isinstance(exponent, Num) and base.labels:
            base = self.keep(base) if not base.text.replace("[", "").replace("]", "").isalnum() else base
            b = base.at_least(9)
            if exponent.value == 3:
                return Array(f"{b}*{b}*{b}", base.labels, 6)
            if exponent.value.denominator == 2 and 0 < exponent.value < 4:
                whole = int(exponent.value)
                return Array("*".join([*([b] * whole), f"np.sqrt({base.text})"]), base.labels, 6)
        (a, b2), labels = self.aligned(frame, [base, self.value(frame, exponent)])
        return Array(f"{a.at_least(9)}**{b2.at_least(9)}", labels, 8)

    def function(self, frame: Frame, e: Op) -> Array:
        if e.op in ("max", "min") and len(e.args) == 2:
            (a, b), labels = self.aligned(frame, [self.keep_long(self.value(frame, x)) for x in e.args])
            if not labels and not _is_numpy(e):
                return Array(f"{e.op}({a.text}, {b.text})")  # of Python numbers: NumPy's would widen float32
            return Array(f"np.{e.op}imum({a.text}, {b.text})", labels)
        if e.op == "exp" and (difference := self.difference_from_lse(frame, e.args[0])) is not None:
            return difference
        x = self.keep_long(self.value(frame, e.args[0]))
        if not x.labels and not _is_numpy(e.args[0]):  # a Python number in, a Python number out: it must not widen float32
            return Array(f"{x.at_least(9)}**0.5" if e.op == "sqrt" else f"float({_call(e.op, x.text)})", (), 8 if e.op == "sqrt" else 9)
        if e.op in ("gelu", "silu", "softplus") and not x.text.isidentifier():
            x = self.keep(x)
        text = _call(e.op, x.text if e.op != "gelu" else x.at_least(9))
        return Array(text, x.labels, 9 if e.op not in ("gelu", "silu") else 6)

    def difference_from_lse(self, frame: Frame, e: Expr) -> Array | None:
        """exp(S − lse) where rows of S may be −inf altogether."""
        terms = additive_terms(e)
        lse = [t for s, t in terms if s < 0 and isinstance(t, Read) and self.is_lse(t.tensor)]
        if len(lse) != 1:
            return None
        rest = signed([(s, t) for s, t in terms if t is not lse[0]])
        if not self.may_be_infinite(lse[0].tensor):
            return None
        (a, b), labels = self.aligned(frame, [self.value(frame, rest), self.value(frame, lse[0])])
        return Array(f"_exp_difference({a.text}, {b.text})", labels)

    def is_lse(self, name: str) -> bool:
        return any(isinstance(d.body, Reduce) and d.body.op == "logsumexp" for d in self.program.definitions.get(name, ()))

    def may_be_infinite(self, name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether −inf can reach this tensor: an explicit inf, a log, or an empty reduction somewhere behind it."""
        if name in seen:
            return False
        for d in self.program.definitions.get(name, ()):
            for node in walk(d.body):
                if node == INF or isinstance(node, Op) and node.op == "log":
                    return True
                if isinstance(node, Read) and self.may_be_infinite(node.tensor, seen | {name}):
                    return True
        return name not in self.program.definitions

    # -- conditions --------------------------------------------------------------------------------------------------
    def where(self, frame: Frame, e: Op) -> Array:
        condition = self.condition(frame, e.args[0])
        if e.args[1:] == (ONE, ZERO) and condition.labels:
            return Array(f"{condition.at_least(9)}.astype({self.dtype})", condition.labels)
        a, b = (self.keep_long(self.value(frame, x)) for x in e.args[1:])
        if not condition.labels and a.labels == b.labels:
            return Array(f"({a.text} if {condition.text} else {b.text})", a.labels)
        (c, a, b), labels = self.aligned(frame, [condition, a, b])
        shown = [f"{self.dtype}.type({x.text})" if not x.labels else x.text for x in (a, b)]
        return Array(f"np.where({c.text}, {shown[0]}, {shown[1]})", labels)

    def only_where(self, frame: Frame, e: Expr, array: Array) -> Array:
        """The array where a condition without array indices holds, and 0 otherwise, whatever the array holds then."""
        condition = self.condition(frame, e)
        if not array.labels:
            return Array(f"({array.text} if {condition.text} else 0)")
        return Array(f"np.where({condition.text}, {array.text}, {self.dtype}.type(0))", array.labels)

    def condition(self, frame: Frame, e: Expr) -> Array:
        assert isinstance(e, Op)
        if e.op in ("true", "false"):
            return Array("True" if e.op == "true" else "False")
        if e.op in ("and", "or"):
            parts = sorted((self.condition(frame, a) for a in e.args), key=lambda a: len(a.labels))
            arrays, labels = self.aligned(frame, parts)
            if not labels:
                return Array(f" {e.op} ".join(f"({a.text})" for a in arrays), (), 2)
            return self.keep_long(Array((" & " if e.op == "and" else " | ").join(f"({a.text})" for a in arrays), labels, 4))
        if e.op == "not":
            inner = self.condition(frame, e.args[0])
            return Array(f"~({inner.text})" if inner.labels else f"not ({inner.text})", inner.labels, 4)
        assert e.op in COMPARISONS
        if all(isinstance(x, IntValue | Num) for x in e.args):
            return self.integer_comparison(frame, e)
        (a, b), labels = self.aligned(frame, [self.value(frame, x) for x in e.args])
        return Array(f"{a.at_least(5)} {e.op} {b.at_least(5)}", labels, 4)

    def integer_comparison(self, frame: Frame, e: Op) -> Array:
        values = [x.value for x in e.args if isinstance(x, IntValue | Num)]
        labels = frame.sort({i for v in values if isinstance(v, Int) for i in frame.vectors(v)})
        texts = []
        for v in values:
            if isinstance(v, Int):
                texts.append(integer_value(frame, v, labels if frame.vectors(v) else ()).at_least(5))
            else:
                texts.append(str(v) if v.denominator == 1 else repr(float(v)))
        return Array(f"{texts[0]} {e.op} {texts[1]}", labels, 4)

    # -- reductions --------------------------------------------------------------------------------------------------
    def reduce(self, frame: Frame, e: Reduce) -> Array:
        if e.op == "sum":
            return sum_of_products(frame, e.body, e.indices, lambda x: self.value(frame, x), self.keep_long,
                                   lambda c, a: self.only_where(frame, c, a))
        edge = {"max": "-np.inf", "min": "np.inf"}.get(e.op, "")
        if edge and isinstance(e.body, Read) and not any(s.elements() for s in e.body.subs):
            body = self.keep_long(read(frame, e.body.tensor, e.body.subs, edge))
        else:
            body = self.keep_long(self.value(frame, e.body))
        labels = frame.sort(set(body.labels) | set(e.indices))
        if set(e.indices) - set(body.labels):
            body = self.broadcast(frame, body, labels)
        axis = _axes(body, frame.sort(e.indices))
        left = tuple(x for x in body.labels if x not in e.indices)
        if e.op == "logsumexp":
            return Array(f"_logsumexp({body.text}, {axis})", left)
        return Array(f"{body.at_least(9)}.{e.op}({axis}, initial={edge})", left)


def _axes(array: Array, indices: Sequence[str]) -> str:
    axes = [array.labels.index(i) for i in indices]
    return str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"


def _fraction(e: Op) -> tuple[list[Expr], list[Expr]]:
    above: list[Expr] = []
    below: list[Expr] = []
    for f in factors(e):
        if isinstance(f, Op) and f.op == "/" and f.args[0] == ONE:
            below.append(f.args[1])
        elif isinstance(f, Num) and f.value.numerator == 1 and f.value.denominator != 1:
            below.append(Num(f.value**-1))
        else:
            above.append(f)
    return above, below


def _number(e: Num) -> Array:
    v = e.value
    text = str(v.numerator) if v.denominator == 1 else repr(float(v))
    return Array(text, (), 9 if v >= 0 else 5)


def _is_numpy(e: Expr) -> bool:
    """Whether the value of e comes from arrays rather than from Python numbers alone."""
    return bool(reads(e)) or any(v.elements() for v in ints(e))


def _call(op: str, x: str) -> str:
    if op == "relu":
        return f"np.maximum({x}, 0)"
    if op == "softplus":
        return f"np.logaddexp({x}, 0)"
    if op == "silu":
        return f"{x}*_sigmoid({x})"
    if op == "gelu":
        return f"0.5*{x}*(1 + _erf({x}*0.5**0.5))"
    return f"{FUNCTIONS[op]}({x})"
