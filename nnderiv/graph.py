"""Directed graphs as {node: successors}: strongly connected components and an order that respects the arrows."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def components(edges: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Strongly connected components, successors first (Tarjan 1972, without recursion); successors that are no keys are ignored."""
    place = {node: k for k, node in enumerate(edges)}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in edges:
        if root in order:
            continue
        work = [(root, iter(_successors(edges, root, place)))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, successors = work[-1]
            for child in successors:
                if child not in order:
                    order[child] = low[child] = len(order)
                    stack.append(child)
                    on_stack.add(child)
                    work.append((child, iter(_successors(edges, child, place))))
                    break
                if child in on_stack:
                    low[node] = min(low[node], order[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    start = len(stack) - 1 - stack[::-1].index(node)
                    found.append(sorted(stack[start:], key=order.__getitem__))
                    on_stack.difference_update(stack[start:])
                    del stack[start:]
    return found


def _successors(edges: Mapping[str, Collection[str]], node: str, place: Mapping[str, int]) -> list[str]:
    """As the nodes stand: a set's order changes with the hash seed, an alphabetical one with the names."""
    return sorted((s for s in edges[node] if s in place), key=place.__getitem__)


def cycles(edges: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """node -> its component, for the nodes that lie on a cycle (a loop at the node included)."""
    return {n: frozenset(c) for c in components(edges) for n in c if len(c) > 1 or n in edges[n]}


def reach(start: Collection[Node], edges: Mapping[Node, Collection[Node]]) -> set[Node]:
    """The nodes to which arrows lead from some nodes, and these."""
    found, waiting = set(start), list(start)
    while waiting:
        more = {*edges.get(waiting.pop(), ())} - found
        found |= more
        waiting += more
    return found
