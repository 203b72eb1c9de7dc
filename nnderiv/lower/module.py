"""`lower`: a forward and a gradient program -> the text of one module, with forward(...), backward(...) and the helpers they use.

forward keeps as residuals what backward reads of it; whatever only backward needs is computed there.
"""

from __future__ import annotations

import re
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..derivative import Gradients, differentiate
from ..expr import walk
from ..facts import Facts
from ..fresh import Fresh
from ..graph import reach
from ..integer import Int
from ..learned import learned
from ..polynomial import read_poles
from ..program import Equation, Input, Program, rename_tensors
from ..sizes import equal_sizes
from ..within import never_meet
from . import cost, specialise
from .arrays import Storage
from .divisors import divisors
from .emit import Body
from .equations.axis_by_axis import axis_by_axis
from .equations.balance import balance
from .equations.explicit import make_explicit
from .equations.for_empty import Nothing, Place, for_empty, with_choices, with_nothing
from .equations.fuse import softmaxes
from .equations.quotients import saturates
from .equations.rooted import rooted
from .equations.shifted import shifted
from .equations.split import is_join
from .equations.spread import spread
from .items import form, layout
from .items.abreast import abreast
from .items.buffers import short_buffers
from .items.render import named, render
from .passes import checked, optimise, prepare, prepare_both, prepare_forward
from .runtime import needed
from .schedule import Node, schedule
from .storage import place
from .texts import slice_at, tuple_text


@dataclass(frozen=True)
class Module:
    """The source text of an emitted module."""

    source: str

    def load(self) -> types.ModuleType:
        """The module itself; the text that is executed is the one that `source` holds, and that the emitter wrote."""
        module = types.ModuleType("nnderiv_emitted")
        module.source = self.source  # type: ignore[attr-defined]
        exec(compile(self.source, "<nnderiv>", "exec"), module.__dict__)
        _keep_freed_memory(module.np)
        return module


def _keep_freed_memory(np: Any) -> None:
    """One large block comes and goes, untouched. The GNU C library then keeps up to twice as much freed memory for what is next.

    It would give it back to the system otherwise, and the system clears every page that it hands out again, at every call.
    """
    np.empty(31 << 20, "u1")  # it learns from blocks of less than 32 MiB


def lower(
    gradients: Gradients, original: Program, without: Collection[str] = (), threads: int = 1, sizes: Mapping[str, Int] | None = None
) -> Module:
    """The module of a derivation; the same text for the same program and the same options, always.

    `without` names passes to leave out (`passes`); `threads` is how many work on independent parts at the same time; with
    `sizes`, the module is for these sizes only, and refuses others.
    """
    known, passes = sizes or {}, checked(without)
    nothing = for_empty(original, gradients.forward, known)
    gradients = _rewritten(gradients, original, known, passes)
    original = specialise.specialise(original, known)
    same = {} if "one_size" in passes else equal_sizes(original, original.sizes)
    forward, backward = (specialise.specialise(p, {**known, **same}) for p in (gradients.forward, gradients.backward))
    special = replace(gradients, forward=forward, backward=backward)
    return Module(_Lowering(special, original, passes, threads, known, same, nothing).source)


def _rewritten(gradients: Gradients, original: Program, sizes: Mapping[str, Int], without: frozenset[str]) -> Gradients:
    """The gradients of the program after the passes that come before them, by the names that they have."""
    other = {n: y for n, y in zip(gradients.forward.outputs, original.outputs, strict=True) if n != y}
    named = rename_tensors(gradients.forward, other) if other else gradients.forward
    program = prepare_forward(named, sizes, without)
    return gradients if program is named else differentiate(program, list(gradients.names))


class _Lowering:
    def __init__(
        self, gradients: Gradients, original: Program, without: frozenset[str], threads: int, sizes: Mapping[str, Int],
        same: Mapping[str, Int], nothing: Mapping[Place, Nothing],
    ):
        self.gradients, self.original, self.without, self.threads = gradients, original, without, threads
        self.fixed, self.same = sizes, same  # sizes that are numbers, and sizes that are what others come to
        self.forward, self.backward = with_choices(gradients.forward, nothing), rooted(gradients.backward)
        if "balance" not in without:
            self.forward, self.backward = balance(self.forward, self.backward, gradients.adjoints)
        if "shifted" not in without:
            self.forward, self.backward = shifted(self.forward, self.backward)
        self.saturates = any(saturates(n) for e in (*self.forward.equations, *self.backward.equations) for n in walk(e.body))
        self.discards = [_discards(self.forward, ()), _discards(self.backward, self.forward.definitions)]  # forward, backward
        self.backward_risks = (False, False)  # whether an exponential overflows there, and something is discarded, as far as is known
        self.forward, self.backward = prepare_both(self.forward, self.backward, without)
        self.forward = with_nothing(self.forward, nothing)
        self.dtype = Fresh({*self.forward.names, *self.backward.names, *same})("dtype")

    @cached_property
    def source(self) -> str:
        bodies = "\n\n\n".join([self.forward_function(), self.backward_function])
        records = self.records()
        helpers = needed(bodies + records)
        imports = "import numpy as np"
        if "_on_threads(" in helpers:
            needs = ("concurrent.futures", "contextlib", "contextvars", "functools", "os")
            imports = "\n".join(f"import {name}" for name in needs) + f"\n\n{imports}\n\nTHREADS = {self.threads}"
        if "PART" in helpers:
            imports += f"\nPART = {cost.PART}  # entries of an array that stays in cache"
        parts = [self.heading(), imports, helpers, records, bodies]
        return "\n\n".join(parts[:2]) + "\n\n\n" + "\n\n\n".join(p for p in parts[2:] if p) + "\n"

    def heading(self) -> str:
        """The definition, as the module's docstring."""
        text = str(self.original).replace("\\", "\\\\").replace('"""', "'''")
        fixed = ", ".join(f"{name} = {value}" for name, value in self.fixed.items())
        only = f"\nfor {fixed} only.\n" if fixed else ""
        return f'"""Forward pass and gradients of\n\n{_indented(text)}\n{only}"""'

    def records(self) -> str:
        records = {"Gradients": self.backward.outputs}
        if len(self.original.outputs) > 1:
            records = {"Outputs": self.original.outputs, **records}
        named = ((name, [f'"{n}"' for n in (name, *fields)]) for name, fields in records.items())
        return "\n".join(line for name, parts in named for line in layout.arguments(f"{name} = _record", parts, 0))

    # -- what is computed where --------------------------------------------------------------------------------------
    @cached_property
    def forward_program(self) -> Program:
        return prepare(self.forward, self.forward, self.without)

    @cached_property
    def backward_program(self) -> Program:
        return prepare(self.backward, self.forward, self.without)

    @cached_property
    def forward_equations(self) -> list[Equation]:
        return _needed(self.forward_program, self.forward.outputs, frozenset())

    @cached_property
    def available(self) -> frozenset[str]:
        """Tensors that forward computes and that backward knows by the same name."""
        return frozenset(e.tensor for e in self.forward_equations) & frozenset(e.tensor for e in self.forward.equations)

    @cached_property
    def backward_equations(self) -> list[Equation]:
        return _needed(self.backward_program, self.backward.outputs, self.available)

    @cached_property
    def residuals(self) -> list[str]:
        """What forward hands to backward: inputs and tensors that backward reads, and the sizes and parameters."""
        read = {name for e in self.backward_equations for name in e.reads}
        names = [i.name for i in self.forward.inputs if i.name in read and (i.kind == "real" or i.dims)]
        names += [n for n in dict.fromkeys(e.tensor for e in self.forward_equations) if n in read and n in self.available]
        return [*names, *self.original.sizes, *self.forward.parameters, self.dtype]

    @cached_property
    def forward_nodes(self) -> Any:
        return schedule(self.forward_program, self.forward_equations)

    @cached_property
    def forward_storage(self) -> dict[str, Storage]:
        return place(self.forward_program, self.forward_nodes, {*self.forward.outputs, *self.residuals})

    # -- the functions -----------------------------------------------------------------------------------------------
    def forward_function(self) -> str:
        facts = Facts(self.forward_program.definitions, self.forward_program, self.original)
        body = self.body(self.forward_program, self.forward_storage, facts, self.forward.outputs)
        names = ", ".join(i.name for i in self.original.inputs)
        head = f"def forward(*, {names}):"
        body.line(f'"""{", ".join(map(str, self.original.inputs))} -> ({", ".join(self.original.outputs)}), residuals"""')
        self.entry(body)
        body.shown = _as_written(self.forward, self.forward, self.forward_program)
        body.softmaxes = softmaxes(self.forward_program, self.forward_equations, {*self.forward.outputs, *self.residuals})
        body.kept = {*self.forward.outputs, *self.residuals}
        for e in self.forward_equations:
            body.name_sizes(e.ranges)
        self.run(body, self.forward_nodes, "forward", [])
        outputs = [self.output(body, n) for n in self.forward.outputs]
        shown = outputs[0] if len(outputs) == 1 else f"Outputs(({', '.join(outputs)}))"
        for text in layout.arguments(f"return {shown}, ", _entries(self.handed_on)):
            body.line(text)
        lines = self.finish(body, {*self.forward.outputs, *self.residuals})
        return _quiet([head, *lines], self.saturates or body.overflows, self.discards[0] or body.discards)

    def body(self, program: Program, storage: dict[str, Storage], facts: Facts, outputs: Sequence[str]) -> Body:
        """What writes a function, and knows sizes by the names that they have."""
        body = Body(program, storage, facts, outputs, self.dtype, self.without, self.threads)
        body.fresh.taken |= {*self.same}
        body.positive |= {*self.same}
        named = {value: name for name, value in self.same.items() if not (value.is_constant or value.name)}
        body.sizes.update(named)
        body.extents.update(named)
        return body

    def finish(self, body: Body, kept: set[str]) -> list[str]:
        """The lines of a function, after all passes; nothing may be written to what is kept."""
        items = optimise(body.code.items, frozenset(kept), self.without)
        return render(named(items, body.fresh), body.code.notes)

    @cached_property
    def handed_on(self) -> list[str]:
        """Those of the residuals that backward has a use for: no size of which only a comment speaks."""
        _, _, *lines = self.backward_lines
        used = form.names("\n".join(re.sub(r'"[^"]*"|  # .*|^ *# .*|\.[^\W\d]\w*', "", line) for line in lines))
        return [n for n in self.residuals if n in used]

    @cached_property
    def backward_function(self) -> str:
        head, about, *lines = self.backward_lines
        unpacked = layout.unpacked(self.handed_on, "residuals", "    ")
        overflows, discards = self.backward_risks
        return _quiet([head, about, *unpacked, *lines], self.saturates or overflows, self.discards[1] or discards)

    @cached_property
    def backward_lines(self) -> list[str]:
        """Its head, what it says of itself, and the lines behind the one that unpacks what forward hands on."""
        nodes = schedule(self.backward_program, self.backward_equations)
        storage = place(self.backward_program, nodes, set(self.backward.outputs))
        storage |= {n: self.forward_storage[n] for n in self.available}
        facts = Facts({**self.forward_program.definitions, **self.backward_program.definitions}, self.backward, self.original)
        body = self.body(self.backward_program, storage, facts, self.backward.outputs)
        seeds = self.backward.inputs[len(self.original.inputs):]
        signature = "".join(f", {i.name}" for i in seeds)
        head = f"def backward(residuals{', *' if seeds else ''}{signature}):"
        body.line(f'"""residuals{"".join(f", {i}" for i in seeds)} -> {", ".join(self.backward.outputs)}"""')
        for e in self.backward_equations:
            body.name_sizes(e.ranges)
        for i in seeds:
            self.seed(body, i)
        body.shown = _as_written(self.backward, self.forward, self.backward_program)
        body.softmaxes = softmaxes(self.backward_program, self.backward_equations, self.backward.outputs)
        self.run(body, nodes, "backward", ["residuals"])
        outputs = [self.output(body, n) for n in self.backward.outputs]
        *first, last = layout.arguments("return Gradients(", _entries(outputs))
        for text in (*first, f"{last})"):
            body.line(text)
        self.backward_risks = body.overflows, body.discards
        return [head, *self.finish(body, {*self.backward.outputs, *self.residuals})]

    def run(self, body: Body, nodes: Sequence[Node], function: str, residuals: list[str]) -> None:
        """What the nodes compute; before it the function is called anew with short buffers, where these help (`buffers`)."""
        start, program = len(body.code.items), body.program
        known = {*program.sizes, *program.parameters, *body.sizes.values(), *body.extents.values()}
        body.run(nodes)
        if "buffers" in self.without or "residuals" in program.names:
            return
        inputs = self.backward.inputs[len(self.original.inputs):] if residuals else self.original.inputs
        given = [*residuals, *(f"{i.name}={i.name}" for i in inputs)]
        items = body.code.items[start:] if "abreast" in self.without else abreast(body.code.items[start:])  # rows that join by themselves
        lines = short_buffers(items, lambda size: body.extent(size.subst(body.wholes)), known, function, given)
        body.code.items[start:start] = lines

    def output(self, body: Body, name: str) -> str:
        """The part of a tensor's storage that its dimensions cover."""
        store, dims = body.storage[name], body.program.dims[name]
        parts = []
        for r, d in zip(store.axes, dims, strict=True):
            parts.append(":" if d == r else slice_at(body.frame_of((), {}), d.lo - r.lo, d.hi - r.lo, r.size))
        while parts and parts[-1] == ":":
            parts.pop()
        return f"{store.variable}[{', '.join(parts)}]" if parts else store.variable

    # -- entry checks: the good case is decided by a few comparisons; what is wrong is found out afterwards ------------
    def entry(self, body: Body) -> None:
        """Dtype, kinds, shapes and what sizes must be equal, before anything is computed."""
        arrays = [i for i in self.original.inputs if i.kind == "real" and i.dims]
        numbers = [i for i in self.original.inputs if i.kind == "real" and not i.dims]
        if arrays:
            names = [i.name for i in arrays]
            target = f"{', '.join(names)}{',' if len(names) == 1 else ''}"
            for text in layout.arguments(f"{target} = _reals", [f'"{" ".join(names)}"', *names]):
                body.line(text)
            body.line(f"{self.dtype} = {names[0]}.dtype")
        else:
            for text in layout.arguments(f"{self.dtype} = _dtype", [i.name for i in numbers]):
                body.line(text)
        for i in numbers:
            body.line(f'{i.name} = _real("{i.name}", {i.name}, {self.dtype})')
        positive = {r.left.name for r in self.original.requirements if r.op == ">=" and r.right == 1}
        for i in self.original.inputs:
            if i.kind == "int" and i.dims:
                body.line(f'{i.name} = _integers("{i.name}", {i.name})')
            elif i.kind == "int":
                body.line(f'{i.name} = _integer("{i.name}", {i.name}{", 1" if i.name in positive else ""})')
        self.shapes(body)
        for r in self.original.requirements:
            if r.op == "==":
                reason = r.reason.replace("{", "{{").replace("}", "}}")
                body.line(f"if {r.left} != {r.right}:")
                body.line(f'    raise ValueError(f"{r.left} is {{{r.left}}} and {r.right} is {{{r.right}}}: {reason}")')

        for divisor in divisors(self.original):
            some = "".join(f" and {count} > 0" for count in divisor.counts)
            body.line(f"if {divisor.value} == 0{some}:")
            body.line(f'    raise ValueError("{divisor.value} is 0; an index or a size is divided by it")')

    def shapes(self, body: Body) -> None:
        """Learn the sizes from the inputs that show them first, then compare all that can differ."""
        sizes = learned(self.original.inputs)
        wanted = []
        for i in (i for i in self.original.inputs if i.dims):
            here = {s.axis: s for s in sizes if s.input == i}
            if here:
                targets = [here[axis].size if axis in here and here[axis].alone else "_" for axis in range(len(i.dims))]
                shown = f"{', '.join(targets)}{',' if len(targets) == 1 else ''}"
                body.line(f'{shown} = _shape({i.name}, {len(i.dims)}, "{i}")')
            if not all(axis in here and here[axis].alone for axis in range(len(i.dims))):
                wanted.append((i, tuple_text(map(body.extent, i.dims))))
        for s in sizes:
            if not s.alone:
                body.line(f"{s.size} = {s.value(Int.symbol(f'{s.input.name}.shape[{s.axis}]'))}")
        if wanted:
            alone = len(wanted) == 1
            fits = [f"{i.name}.shape {'!=' if alone else '=='} {shape}" for i, shape in wanted]
            raising = [f'({i.name}, {shape}, "{i}")' for i, shape in wanted]
            for text in layout.condition(fits, "if" if alone else "if not"):
                body.line(text)
            for text in layout.arguments("    raise _misfit", raising):
                body.line(text)

    def seed(self, body: Body, i: Input) -> None:
        if not i.dims:
            body.line(f'{i.name} = _real("{i.name}", {i.name}, {self.dtype})')
            return
        shape = tuple_text(body.extent(d) for d in i.dims)
        for text in layout.arguments(f"{i.name} = _seed", [i.name, self.dtype, shape, f'"{i}"']):
            body.line(text)


def _as_written(program: Program, known: Program, prepared: Program) -> dict[tuple[object, ...], str]:
    """What to show for equations that were made explicit, or spread: the equation itself, without the conditions that its reads imply;
    so for one that joins what was computed for the digits of an index."""
    shown: dict[tuple[object, ...], str] = {}
    rows = axis_by_axis(program, known)
    for written in (program,) if rows is program else (rows, program):
        wide = spread(written)
        for way in (written,) if wide is written else (wide, written):
            shown |= {(x.tensor, x.subs, x.body): str(e) for e, x in zip(written.equations, make_explicit(way).equations, strict=True)}
    whole = {name: e for name, (e, *others) in program.definitions.items() if not others}
    joins = [e for e in prepared.equations if e.tensor in whole and is_join(program, e)]
    return {**shown, **{(e.tensor, e.subs, e.body): str(whole[e.tensor]) for e in joins}}


def _needed(program: Program, outputs: Sequence[str], available: frozenset[str]) -> list[Equation]:
    """The equations that the outputs depend on, not looking behind what is available."""
    found = reach({*outputs} - available, {name: read - available for name, read in program.edges.items()})
    return [e for e in program.equations if e.tensor in found]


_LIMITS = re.compile(r"\.clip\([^()]*\)")  # an infinite limit is none


def _discards(program: Program, known: Collection[str]) -> bool:
    """Whether something that a function computes for itself is divided by a sum of no term: what reads it leaves it out there.

    Or something is divided in places where a base case is written over it: (x − t[i])/(t[i+p] − t[i]) at p = 0.
    """
    left_out = any(name not in known and name not in program.outputs for name in program.dividing_by_nothing)
    return left_out or any(_is_overruled(e, program) for e in program.equations if e.tensor not in known and read_poles(e.body))


def _is_overruled(e: Equation, program: Program) -> bool:
    """Whether a base case may stand in the end where an equation is computed, too."""
    bases = [d for d in program.definitions[e.tensor] if d.is_base and d is not e]
    return not e.is_base and not all(never_meet(e, d, program.sizes) for d in bases)


def _quiet(lines: list[str], saturates: bool, discards: bool) -> str:
    """The text of a function; what a mask discards, or what is infinite only to be divided by, is no reason for a warning."""
    text = "\n".join(lines)
    told = _LIMITS.sub("", text)
    if discards or any(sign in told for sign in ("np.where(", "_where(", "_masked(", ".inf", " else ")):
        return f'@np.errstate(divide="ignore", invalid="ignore", over="ignore")\n{text}'
    exponentials = any(name in text for name in ("np.exp(", "_exp_difference("))
    return f'@np.errstate(over="ignore")\n{text}' if saturates and exponentials else text


def _entries(names: Sequence[str]) -> list[str]:
    """Those of a tuple, of which one alone has a comma."""
    return [f"{names[0]},"] if len(names) == 1 else [*names]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


