"""What any text of NumPy takes at least: its products of matrices, and what goes entry by entry, which is so many passes over an array.

A module is loaded with each product of matrices, `a @ b`, `np.matmul(a, b)`, `a.dot(b)`, between two looks at the clock. A pass is one
multiplication of the largest input, entry by entry, into memory that is there already.
"""

from __future__ import annotations

import ast
import time
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .work import Run, Work, module, run_of

CLOCK = "_timed"  # no emitted name begins so


class _Timed(ast.NodeTransformer):
    """Every product of matrices as a call of CLOCK(function, operands)."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return _call(_of_numpy("matmul"), node.left, node.right) if isinstance(node.op, ast.MatMult) else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Attribute) and node.func.attr in ("matmul", "dot")):
            return node
        return _call(node.func, *node.args, keywords=node.keywords)


def _of_numpy(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load())


def _call(function: ast.expr, *operands: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    return ast.Call(ast.Name(CLOCK, ast.Load()), [function, *operands], [*keywords])


def timed(work: Work) -> tuple[Run, list[float]]:
    """A run of the emitted module, and the milliseconds that each of its calls spends in products, as they come."""
    spent = list[float]()

    def clock(function: Callable[..., Any], *operands: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = function(*operands, **options)
        spent[-1] += 1e3*(time.perf_counter() - start)
        return result

    loaded = types.ModuleType("timed")
    loaded.__dict__[CLOCK] = clock
    tree = ast.fix_missing_locations(_Timed().visit(ast.parse(module(work).source)))
    exec(compile(tree, "<timed>", "exec"), loaded.__dict__)
    plain = run_of(work, loaded)

    def run() -> Any:
        spent.append(0)
        return plain()

    return run, spent


def one_pass(work: Work) -> Run:
    """The product of the largest input with itself, entry by entry."""
    largest = max((a for a in work.inputs.values() if isinstance(a, np.ndarray)), key=np.size)
    result = np.empty_like(largest)
    return lambda: np.multiply(largest, largest, out=result)
