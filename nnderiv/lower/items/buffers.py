"""Where rows or columns are repeated over arrays of many entries, NumPy's buffers are shorter than they are by themselves.

    if N*D > _MANY and np.getbufsize() == 8192:
        return _in_short_buffers(D, forward, x=x, g=g)

NumPy joins rows until they fill a buffer, and writes what is repeated into another one: 8192 entries of each are more than the nearest
cache holds, and rows of some hundred entries are faster not joined at all. The rows are those of the arrays with the most axes, for
which something is repeated. Few entries are not worth the two calls, nor is it worth the two lines where products of matrices outweigh
what is repeated; and who has set the buffers himself keeps them so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from ...integer import Int
from .. import cost
from ..texts import multiplied
from . import layout
from .form import MATMUL, Item, Line, Statement, names, statements

SHARES = ("_softmax(", "_masked_softmax(", "_log_softmax(")  # what is subtracted and what is divided by are repeated
LACKING = re.compile(r"((?:, None)+)\]$")  # m[:, None, None]: the last axes


def short_buffers(
    items: Sequence[Item], extent: Callable[[Int], str], known: Collection[str], function: str, given: Sequence[str],
) -> list[Line]:
    """The lines that call a function anew with short buffers, function(given, …), if the items repeat rows or columns several
    times; what they read is among the known names."""
    found = [s for s in statements(items) for _ in range(_repeated(s)) if all(names(extent(n)) <= {*known, "max"} for n in s.shape)]
    found = [s for s in found if len(s.shape) == max(len(s.shape) for s in found)]
    products = sum(s.operation == MATMUL and len(s.shape) > 1 for s in statements(items))
    if not cost.shortens(len(found), products):
        return []
    wholes = {tuple(sorted(map(str, s.shape))): s.shape for s in found}
    if not any(cost.may_be_many(whole) for whole in wholes.values()):
        return []
    rows = list(dict.fromkeys(s.shape[-_axes_of_row(s):] for s in found))
    rows = [row for row in rows if not any(row != other and row[-len(other):] == other for other in rows)]  # the shortest
    sizes, row = (list(dict.fromkeys(multiplied(map(extent, some)) for some in each)) for each in (wholes.values(), rows))
    head = f"if {_of('max', sizes)} > _MANY and np.getbufsize() == {cost.BUFFER}:"
    return [Line(text) for text in (head, *layout.arguments("    return _in_short_buffers", [_of("min", row), function, *given]))]


def _repeated(s: Statement) -> int:
    """How many operations repeat something over the result of a statement."""
    if s.operation.template.startswith(SHARES):
        return 2
    signed = s.operation.aligned and not s.operation.template.startswith("_")  # a function of ours has its own way
    return int(signed and len(s.shape) > 1 and any(o.spread and not o.single for o in s.operands))


def _axes_of_row(s: Statement) -> int:
    """How many of the last axes make up what lies together between two entries of a column, or a row."""
    return min((m[1].count("None") for o in s.operands if o.spread and (m := LACKING.search(o.text))), default=1)


def _of(function: str, values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{function}({', '.join(values)})"
