"""What is known of the statements so far, until something changes that it rests on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Known(Generic[Key, Value]):
    """Values by keys; each is forgotten once one of the names is written to that it rests on."""

    def __init__(self) -> None:
        self.held: dict[Key, Value] = {}
        self.rests: dict[Key, frozenset[str]] = {}
        self.concerned: dict[str, set[Key]] = {}  # by name: what may be of no use once that changes

    def learn(self, key: Key, value: Value, rests: Iterable[str]) -> None:
        self.held[key], self.rests[key] = value, frozenset(rests)
        for name in self.rests[key]:
            self.concerned.setdefault(name, set()).add(key)

    def forget(self, changed: Iterable[str]) -> None:
        for name in changed:
            for key in self.concerned.pop(name, ()):
                if key in self.held and name in self.rests[key]:
                    del self.held[key], self.rests[key]

    def without(self, changed: Iterable[str]) -> Known[Key, Value]:
        """The same, for what comes after these have changed."""
        copy = Known[Key, Value]()
        for key, value in self.held.items():
            copy.learn(key, value, self.rests[key])
        copy.forget(changed)
        return copy
