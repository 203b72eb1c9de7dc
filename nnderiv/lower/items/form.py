"""The statement form: what stands between the schedule and the text. Passes are functions from items to items.

    items     = item, …
    item      = Statement | Block | Line
    Statement = target = operation(operand, …)    one array operation: it binds a variable, or writes to a place in memory that exists
    Block     = head, items                       a loop, a branch or a local function, and what is inside it
    Line      = text                              a line as it stands: a size gets a name, memory is set aside
    operand   = Term(text, binding)               a variable, a view of one (h[t], W.T, m[:, None]), a number, a scalar expression
    target    = a variable ("S", "§7") | a place ("h[t + 1]")

A variable is bound by one Statement, unless several write to places of it. One whose name begins with § has no name yet: it is
an intermediate result, and the last pass writes it into the statement that uses it, or names it. `shape` holds the sizes of
the result, `real` says whether it is of the program's dtype (masks and integers are not), `note` which equation it computes.
`out` names the memory that the result is written to; a statement without it makes memory of its own if its operation
`owns`, and is a view of its operands otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ...integer import Int

RECENT = 200  # items: those of a few layers
_NAMES = re.compile(r"§\d+|[^\W\d]\w*")
_UNNAMED = re.compile(r"§\d+")
_SIZES = r"\((?:[^()]|\([^()]*\))*\)"  # in brackets, with brackets inside
_REARRANGED = re.compile(rf"(§\d+|[^\W\d]\w*)(?:\.m?T|\.(?:reshape|transpose|swapaxes){_SIZES})*")


@dataclass(frozen=True)
class Term:
    """The text of an operand, and how strongly it binds: 9 a name, view or call, 8 **, 6 * / @, 5 + -, 4 a comparison, 2 and or.

    spread: it has fewer entries than the result, and is repeated along the axes that it lacks. row: it lacks the first axes only.
    single: it is one number for all.
    """

    text: str
    binding: int = 9
    spread: bool = False
    single: bool = False
    row: bool = False

    def at_least(self, binding: int) -> str:
        return self.text if self.binding >= binding else f"({self.text})"


@dataclass(frozen=True)
class Operation:
    """One operation of NumPy: how it is written, and with which memory it can work."""

    template: str                  # "{0} + {1}"
    levels: tuple[int, ...] = (0,)  # how strongly each operand must bind
    binding: int = 9               # how strongly the whole binds
    into: str = ""                 # how it is written with the memory given: "np.add({0}, {1}, out={out})"
    sign: str = ""                 # target sign= operand does the same, in the memory of the first operand
    commutes: bool = False
    owns: bool = True              # the result has memory of its own
    aligned: bool = True           # entry by entry, so that the result may replace an operand of its shape
    only: int | None = None        # ... this one, and no other memory
    row: str = ""                  # target[T - 1:] += the last operand does the same, in the memory of the first one
    row_sign: str = "+"            # ... or -=
    into_place: str = ""           # `into` where the memory is a part of an array, if that is another call

    @property
    def begins(self) -> bool:
        """Whether the result may be written to any memory, and not to that of an operand only."""
        return bool(self.into) and self.owns and self.only is None

    def text(self, operands: Iterable[Term]) -> str:
        return self.template.format(*(o.at_least(k) for o, k in zip(operands, self.levels, strict=True)))

    def written_into(self, operands: Iterable[Term], out: str) -> str:
        """What stands between parentheses may be anything; a method asks the same of its owner as elsewhere: (x - c).clip(…, out=y)."""
        owner = self.levels[0] if self.into.startswith("{") else 0
        into = self.into if out.isidentifier() else self.into_place or self.into
        return into.format(*(o.at_least(owner if k == 0 else 0) for k, o in enumerate(operands)), out=out)


def _binary(function: str, sign: str, template: str, levels: tuple[int, int], binding: int, commutes: bool) -> Operation:
    return Operation(template, levels, binding, f"np.{function}({{0}}, {{1}}, out={{out}})", sign, commutes)


ADD = _binary("add", "+", "{0} + {1}", (5, 6), 5, True)
SUBTRACT = _binary("subtract", "-", "{0} - {1}", (5, 6), 5, False)
MULTIPLY = _binary("multiply", "*", "{0}*{1}", (6, 7), 6, True)
DIVIDE = _binary("divide", "/", "{0}/{1}", (6, 7), 6, False)
NEGATIVE = Operation("-{0}", (7,), 6, "np.negative({0}, out={out})", into_place="_negative({0}, out={out})")
POWER = Operation("{0}**{1}", (9, 9), 8)
SQUARE = Operation("{0}**2", (9,), 8, "np.square({0}, out={out})")
MATMUL = Operation("{0} @ {1}", (6, 7), 6, "np.matmul({0}, {1}, out={out})", aligned=False)


def function(name: str, count: int = 1, extra: str = "") -> Operation:
    """name(x, …): an elementwise function that takes `out=`."""
    inside = ", ".join(f"{{{k}}}" for k in range(count)) + extra
    return Operation(f"{name}({inside})", (0,) * count, 9, f"{name}({inside}, out={{out}})")


def call(template: str, *levels: int, binding: int = 9, owns: bool = True) -> Operation:
    """Any other expression of its operands."""
    return Operation(template, levels, binding, owns=owns, aligned=False)


ONLY_WHERE = Operation("_only_where({0}, {1})", (0, 0), into="_only_where({0}, {1}, out={out})")
SAME = call("{0}", 0, owns=False)
PUT = call("{0}", 0)


@dataclass(frozen=True)
class Statement:
    """target = operation(operands); see the module's docstring."""

    target: str
    operation: Operation
    operands: tuple[Term, ...]
    shape: tuple[Int, ...] = ()
    real: bool = True
    note: int = -1
    out: str = ""
    is_place: bool = False
    remark: str = ""  # a comment at the end of the line
    hint: str = ""  # what to call an intermediate result

    @property
    def variable(self) -> str:
        """The variable that is bound or written to."""
        return variable_of(self.target)


@dataclass(frozen=True)
class Block:
    """head: a `for`, an `if` or a `def`, and the items inside it."""

    head: str
    items: tuple[Item, ...]
    binds: str = ""  # the loop variable

    @property
    def is_part(self) -> bool:
        """Whether it is done for part after part of long arrays."""
        return self.head.startswith("def part") or " in _parts(" in self.head or " in _pairs(" in self.head


@dataclass(frozen=True)
class Line:
    text: str
    note: int = -1
    binds: str = ""  # the variables that it binds or changes: "h", "wide, wide2"


Item = Statement | Block | Line


# -- names ---------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=20_000)
def names(text: str) -> frozenset[str]:
    """Every name in a text; those of functions and attributes are among them, which makes nothing wrong, only careful."""
    return frozenset(_NAMES.findall(text))


def unnamed(text: str) -> list[str]:
    return _UNNAMED.findall(text)


def variable_of(text: str) -> str:
    """The variable that a target or a view is of."""
    found = _NAMES.match(text)
    return found.group() if found else ""


def is_reshape(s: Statement) -> bool:
    """Whether it shows each entry of its operand once, in the same order."""
    return s.operation.template.startswith("{0}.reshape(")


def rearranged(s: Statement) -> str:
    """The variable whose entries it shows, each once, in another shape or order; none, if it is another statement."""
    if is_reshape(s):
        return s.operands[0].text if is_variable(s.operands[0].text) else ""
    found = _REARRANGED.fullmatch(s.operands[0].text) if s.operation == SAME else None
    return found[1] if found else ""


def is_variable(text: str) -> bool:
    return _NAMES.fullmatch(text) is not None


def read_by(item: Item) -> frozenset[str]:
    """The names that an item reads; for a place, the variable it writes to is one of them."""
    if isinstance(item, Line):
        return names(item.text)
    if isinstance(item, Block):
        return names(item.head).union(*(read_by(i) for i in item.items))
    found = frozenset[str]().union(*(names(o.text) for o in item.operands))
    return found | (names(item.target) if item.is_place else frozenset()) | (names(item.out) if item.out else frozenset())


def mentioned_by(item: Item) -> frozenset[str]:
    """The names that an item reads, and those in how its operations are written: np.empty((count, K), dtype)."""
    return read_by(item).union(*(names(s.operation.template) for s in statements([item])))


def written_by(item: Item) -> Iterator[str]:
    """The variables that an item binds or changes."""
    if isinstance(item, Statement):
        yield item.variable
        if item.out:
            yield variable_of(item.out)
    elif isinstance(item, Block):
        for i in item.items:
            yield from written_by(i)
    elif item.binds:
        yield from item.binds.split(", ")


def statements(items: Iterable[Item]) -> Iterator[Statement]:
    """Every statement, those inside blocks too, in order."""
    for item in items:
        if isinstance(item, Statement):
            yield item
        elif isinstance(item, Block):
            yield from statements(item.items)


def uses(items: Iterable[Item]) -> Counter[str]:
    """How often each variable without a name stands anywhere but as the target that binds it."""
    found: Counter[str] = Counter()
    for item in items:
        if isinstance(item, Statement):
            texts = [*(o.text for o in item.operands), item.out, item.target if item.is_place else ""]
            found.update(x for text in texts for x in unnamed(text))
        elif isinstance(item, Block):
            found.update(unnamed(item.head))
            found.update(uses(item.items))
        else:
            found.update(unnamed(item.text))
    return found


def renamed(items: Iterable[Item], table: dict[str, str]) -> tuple[Item, ...]:
    """The items with variables renamed; views of them follow."""
    if not table:
        return tuple(items)

    def concerned(text: str) -> bool:
        return not names(text).isdisjoint(table)

    def change(text: str) -> str:
        return _NAMES.sub(lambda m: table.get(m.group(), m.group()), text) if concerned(text) else text

    def visit(item: Item) -> Item:
        if isinstance(item, Line):
            return replace(item, text=change(item.text))
        if isinstance(item, Block):
            return replace(item, head=change(item.head), items=tuple(visit(i) for i in item.items))
        if not (concerned(item.target) or concerned(item.out) or any(concerned(o.text) for o in item.operands)):
            return item
        return replace(item, target=change(item.target), out=change(item.out),
                       operands=tuple(replace(o, text=change(o.text)) for o in item.operands))

    return tuple(visit(item) for item in items)


# -- building ------------------------------------------------------------------------------------------------------------
@dataclass
class Code:
    """The items of a function while they are written; `make` is how the emitter adds a statement."""

    items: list[Item] = field(default_factory=list)
    count: int = 0
    note: int = -1
    notes: list[str] = field(default_factory=list)
    renamable: set[str] = field(default_factory=set)  # variables that take the name of the tensor that they turn out to be

    def make(self, operation: Operation, operands: Iterable[Term], shape: tuple[Int, ...], real: bool = True, hint: str = "") -> str:
        """A new intermediate result; its variable."""
        self.count += 1
        self.items.append(Statement(f"§{self.count}", operation, tuple(operands), shape, real, self.note, hint=hint))
        return f"§{self.count}"

    def holds(self, operation: Operation, operands: Iterable[Term]) -> bool:
        """Whether one of the last statements here computes this; to look at all of them for each would take too long."""
        wanted, recent = tuple(operands), self.items[-RECENT:]
        return any(isinstance(x, Statement) and x.operation == operation and x.operands == wanted for x in recent)

    def put(self, place: str, operands: Iterable[Term], shape: tuple[Int, ...], operation: Operation = PUT) -> None:
        """place = operation(operands): what they give goes to a place in memory that exists."""
        self.items.append(Statement(place, operation, tuple(operands), shape, True, self.note, is_place=True))

    def merge(self, place: str, operation: Operation, value: Term, shape: tuple[Int, ...], real: bool = True) -> None:
        """place = operation(place, value), there: place += value."""
        self.items.append(Statement(place, operation, (Term(place), value), shape, real, self.note, out=place, is_place=True))

    def line(self, text: str, binds: str = "") -> None:
        self.items.append(Line(text, self.note, binds))

    def begin(self, note: str) -> None:
        """What follows computes this equation."""
        self.notes.append(note)
        self.note = len(self.notes) - 1
