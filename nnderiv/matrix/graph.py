"""A product with its sums as a graph -> its matrix form.

Indices are vertices, factors with two indices edges, factors with one index weights. Summed vertices are eliminated one by one:
a path is a matrix product, parallel edges are a Hadamard product, a closed loop is a trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

from ..expr import Expr, IntValue
from ..program import Equation
from .build import hadamard, is_reciprocal, scaled, times, transposed
from .nodes import Diag, Diagonal, Node, Ones, Plus, Scalar, Scale, Times, Trace, Transpose, transposes


class Factors(Protocol):
    """What the graph asks of the recogniser of single factors."""

    equation: Equation

    def rows(self, e: Expr) -> list[str]: ...
    def factor(self, f: Expr, row: str | None, column: str | None) -> Node: ...
    def oriented(self, f: Expr | Node, ends: tuple[str, str], row: str, column: str) -> Node: ...
    def fail(self, reason: str) -> NoReturn: ...


@dataclass
class Edge:
    """A factor with two indices: an expression, or a matrix with its orientation."""

    ends: tuple[str, str]
    factor: Expr | Node


class Graph:
    """A product with its sums: vertices are indices, edges factors with two of them, weights factors with one."""

    def __init__(self, owner: Factors, parts: list[Expr], bound: list[str], row: str | None, column: str | None):
        self.owner, self.bound, self.row, self.column = owner, list(bound), row, column
        self.weights: dict[str, list[Node]] = {i: [] for i in [*bound, *filter(None, (row, column))]}
        self.edges: list[Edge] = []
        self.scalars: list[Node] = []
        for f in parts:
            self._add(f)

    def _add(self, f: Expr) -> None:
        indices = self.owner.rows(f)
        if not indices:
            self.scalars.append(self.owner.factor(f, None, None))
        elif len(indices) == 1:
            self.weights[indices[0]].append(self.owner.factor(f, indices[0], None))
        elif len(indices) == 2:
            self.edges.append(Edge((indices[0], indices[1]), f))
        else:
            self.owner.fail(f"in {f} the {len(indices)} indices {', '.join(indices)} meet")

    # -- elimination ---------------------------------------------------------------------------------------------------
    def solve(self) -> Node:
        while self.bound:
            self._close_loops()
            self._merge_parallel()
            degree = {k: len(self._at(k)) for k in self.bound}
            if not self.bound:
                break
            k = min(reversed(self.bound), key=lambda k: degree[k])
            if degree[k] > 2:
                self.owner.fail(f"the index {k} joins {degree[k]} factors")
            self.bound.remove(k)
            (self._sum_vector, self._sum_end, self._sum_middle)[degree[k]](k)
        self._merge_parallel()
        return scaled(self.scalars, self._result())

    def _at(self, k: str) -> list[Edge]:
        return [e for e in self.edges if k in e.ends]

    def _matrix(self, e: Edge, row: str, column: str) -> Node:
        return self.owner.oriented(e.factor, e.ends, row, column)

    def _close_loops(self) -> None:
        """Two edges between two summed indices, and nothing else there: tr(Aᵀ B)."""
        for e in list(self.edges):
            i, j = e.ends
            between = [f for f in self.edges if set(f.ends) == {i, j}]
            closed = (
                len(between) == 2 == len(self._at(i)) == len(self._at(j))
                and not self.weights[i]
                and not self.weights[j]
            )
            if e in self.edges and closed and {i, j} <= set(self.bound):
                a, b = between
                ways = [times(self._matrix(a, p, q), self._matrix(b, q, p)) for p, q in ((j, i), (i, j))]
                same = [w for w in ways if isinstance(w, Times) and w.parts[0] == transposed(w.parts[1])]
                straight = [w for w in same if isinstance(w.parts[0], Transpose)]  # tr(Aᵀ A), whichever way A is read
                self.scalars.append(Trace(min(straight or ways, key=transposes)))
                self.edges = [f for f in self.edges if f not in between]
                self.bound = [k for k in self.bound if k not in (i, j)]

    def _merge_parallel(self) -> None:
        """Edges between the same two indices: A ⊙ B."""
        groups: dict[frozenset[str], list[Edge]] = {}
        for e in self.edges:
            groups.setdefault(frozenset(e.ends), []).append(e)
        self.edges = [g[0] if len(g) == 1 else self._merged(g) for g in groups.values()]

    def _merged(self, group: list[Edge]) -> Edge:
        i, j = group[0].ends
        ways = [(ends, hadamard([self._matrix(e, *ends) for e in group])) for ends in ((i, j), (j, i))]
        return Edge(*min(ways, key=lambda way: transposes(way[1])))

    def _sum_vector(self, k: str) -> None:
        """Σ_k a_k = 1ᵀa, Σ_k a_k b_k = aᵀb, Σ_k A_kk = tr A, Σ_k 1 = the number of places."""
        found = self.weights[k]
        if not found:
            self.scalars.append(Scalar(IntValue(self.owner.equation.ranges[k].size)))
        elif len(found) == 1 and isinstance(found[0], Diagonal):
            self.scalars.append(Trace(found[0].of))
        else:
            first, rest = (Ones(k), found) if len(found) == 1 else (found[0], found[1:])
            self.scalars.append(times(transposed(first), hadamard(rest)))

    def _sum_end(self, k: str) -> None:
        """Σ_k A_xk b_k = A b, with 1 for b where there is none."""
        (e,) = self._at(k)
        self.edges.remove(e)
        (x,) = set(e.ends) - {k}
        vector = hadamard(self.weights[k]) if self.weights[k] else Ones(k)
        self.weights[x].append(times(self._matrix(e, x, k), vector))

    def _sum_middle(self, k: str) -> None:
        """Σ_k A_xk d_k B_ky = A diag(d) B."""
        a, b = self._at(k)
        (x,), (y,) = set(a.ends) - {k}, set(b.ends) - {k}
        if (y, x) == (self.row, self.column) or x == self.column or y == self.row:
            a, b, x, y = b, a, y, x
        self.edges = [e for e in self.edges if e is not a and e is not b]
        middle = [Diag(hadamard(self.weights[k]))] if self.weights[k] else []
        self.edges.append(Edge((x, y), times(self._matrix(a, x, k), *middle, self._matrix(b, k, y))))

    def _result(self) -> Node | None:
        """What remains over row and column: diag(r) A diag(c), r cᵀ, r, or nothing but scalars."""
        if self.row is None:
            return None
        rows = self.weights[self.row]
        if self.column is None:
            return hadamard(rows) if rows else Ones(self.row)
        columns = self.weights[self.column]
        if self.edges:
            (e,) = self.edges
            if rows and columns and not any(is_reciprocal(w) or isinstance(w, Times) for w in (*rows, *columns)):
                return hadamard([times(hadamard(rows), transposed(hadamard(columns))), self._matrix(e, self.row, self.column)])
            if len(rows) == 1 and not columns and self._is_row_sum(rows[0], self.column):
                return hadamard([self._matrix(e, self.row, self.column), times(rows[0], transposed(Ones(self.column)))])
            if len(columns) == 1 and not rows and self._is_row_sum(columns[0], self.row):
                return hadamard([self._matrix(e, self.row, self.column), times(Ones(self.row), transposed(columns[0]))])
            front, back = ([Diag(hadamard(w))] if w else [] for w in (rows, columns))
            return times(*front, self._matrix(e, self.row, self.column), *back)
        left = hadamard(rows) if rows else Ones(self.row)
        return times(left, transposed(hadamard(columns) if columns else Ones(self.column)))

    def _is_row_sum(self, a: Node, along: str) -> bool:
        """A 1, or that with a scalar or a sign, for an A with the axis along which it is spread: P ⊙ (Y 1 1ᵀ), but diag(K 1) X."""
        if isinstance(a, Plus) and len(a.terms) == 1:
            return self._is_row_sum(a.terms[0][1], along)
        if isinstance(a, Scale) and a.of is not None:
            return self._is_row_sum(a.of, along)
        ranges = self.owner.equation.ranges
        return isinstance(a, Times) and isinstance(a.parts[-1], Ones) and ranges[a.parts[-1].index] == ranges[along]
