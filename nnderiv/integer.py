"""Integer expressions of sizes, parameters, indices and data: what stands in subscripts and ranges.

An `Int` is a polynomial with integer coefficients over atoms. An atom is a name, or something opaque that contains
further `Int`s: a floor division, a remainder, an extreme, an element of an integer tensor. Two `Int`s are equal exactly
when their polynomials are; floor division and remainder pull out what divides, so that (s·i + r)//s = i + r//s holds,
and a remainder takes no remainder by the same within it: (i % s + r) % s = (i + r) % s.

>>> i, s, p = Int.symbol("i"), Int.symbol("s"), Int.symbol("p")
>>> (s*i + p) // s
i + p//s
>>> (s*i + p).split("i")
(s, p)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import mul
from typing import Union

Atom = Union[str, "FloorDiv", "Mod", "Extreme", "Element"]
Monomial = tuple[Atom, ...]
Env = Mapping[str, int]


@dataclass(frozen=True)
class FloorDiv:
    """⌊top / bottom⌋"""

    top: Int
    bottom: Int

    def __str__(self) -> str:
        return f"{_factor(self.top)}//{_factor(self.bottom)}"


@dataclass(frozen=True)
class Mod:
    """top mod bottom, with the sign of bottom, as in Python"""

    top: Int
    bottom: Int

    def __str__(self) -> str:
        return f"{_factor(self.top)} % {_factor(self.bottom)}"


@dataclass(frozen=True)
class Extreme:
    """The least ("min") or greatest ("max") of some integers."""

    op: str
    args: tuple[Int, ...]

    def __str__(self) -> str:
        return f"{self.op}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class Element:
    """tensor[subs], an element of an integer tensor"""

    tensor: str
    subs: tuple[Int, ...]

    def __str__(self) -> str:
        return indexed(self.tensor, self.subs)


def _factor(value: Int) -> str:
    """The text of an operand of // and %: in brackets unless it is a single number, name, call or element."""
    text = str(value)
    is_single = value.is_constant and value.constant >= 0 or isinstance(value.lone, str | Extreme | Element)
    return text if is_single else f"({text})"


def _atom_key(atom: Atom) -> tuple[bool, str]:
    return (not isinstance(atom, str), str(atom))


class Int:
    """An integer polynomial over atoms; immutable; the order of its terms is kept for printing only."""

    __slots__ = ("_hash", "_symbols", "_text", "terms")

    def __init__(self, terms: Mapping[Monomial, int]):
        self.terms: dict[Monomial, int] = {m: c for m, c in terms.items() if c}
        self._hash: int | None = None
        self._symbols: frozenset[str] | None = None
        self._text: str | None = None

    # -- construction ------------------------------------------------------------------------------------------------
    @staticmethod
    def of(value: int | Int) -> Int:
        return value if isinstance(value, Int) else Int({(): value})

    @staticmethod
    @lru_cache(4096)
    def symbol(name: str) -> Int:
        return Int({(name,): 1})

    @staticmethod
    def atom(atom: Atom) -> Int:
        return Int({(atom,): 1})

    @staticmethod
    def extreme(op: str, *args: Int) -> Int:
        """min or max; constants meet, equal arguments fall together, arguments a known constant apart are decided."""
        pick = max if op == "max" else min
        kept: list[Int] = []
        for arg in (inner for a in args for inner in a.cases(op)):
            for k, other in enumerate(kept):
                difference = arg - other
                if difference.is_constant:
                    kept[k] = other if pick(difference.constant, 0) == 0 else arg
                    break
            else:
                kept.append(arg)
        return kept[0] if len(kept) == 1 else Int.atom(Extreme(op, tuple(kept)))

    def cases(self, op: str) -> tuple[Int, ...]:
        """a + c and b + c for max(a, b) + c, with the op "max"; what is none, alone."""
        for monomial, c in self.terms.items():
            if len(monomial) == c == 1 and isinstance(monomial[0], Extreme) and monomial[0].op == op:
                rest = self - Int.atom(monomial[0])
                return tuple(a + rest for a in monomial[0].args)
        return (self,)

    # -- arithmetic --------------------------------------------------------------------------------------------------
    def __add__(self, other: Int | int) -> Int:
        terms = dict(self.terms)
        for m, c in Int.of(other).terms.items():
            terms[m] = terms.get(m, 0) + c
        return Int(terms)

    def __neg__(self) -> Int:
        return Int({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Int | int) -> Int:
        terms = dict(self.terms)
        for m, c in Int.of(other).terms.items():
            terms[m] = terms.get(m, 0) - c
        return Int(terms)

    def __radd__(self, other: int) -> Int:
        return Int.of(other) + self

    def __rsub__(self, other: int) -> Int:
        return Int.of(other) - self

    def __mul__(self, other: Int | int) -> Int:
        terms: dict[Monomial, int] = {}
        for m, c in self.terms.items():
            for n, d in Int.of(other).terms.items():
                product = tuple(sorted(m + n, key=_atom_key)) if m and n else m or n
                terms[product] = terms.get(product, 0) + c * d
        return Int(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Int | int) -> Int:
        bottom = Int.of(other)
        whole, rest = self._divide(bottom)
        if not rest.terms:
            return whole
        if rest.is_constant and bottom.is_constant and bottom.constant:
            return whole + rest.constant // bottom.constant
        if any(isinstance(a, Mod) and a.bottom == bottom for m, c in rest.terms.items() if len(m) == c == len(rest.terms) == 1 for a in m):
            return whole  # (i mod n) // n is 0
        inner = (rest - rest.constant).lone
        if isinstance(inner, FloorDiv) and _counts(inner.bottom) and _counts(bottom):  # ⌊(⌊a/b⌋ + k)/c⌋ = ⌊(a + kb)/(bc)⌋
            return whole + (inner.top + inner.bottom*rest.constant)//(inner.bottom*bottom)
        return whole + Int.atom(FloorDiv(rest, bottom))

    def __mod__(self, other: Int | int) -> Int:
        bottom = Int.of(other)
        _, rest = self._divide(bottom)
        if any(isinstance(a, Mod) and a.bottom == bottom for m in rest.terms for a in m):
            # (i mod n + 1) mod n = (i + 1) mod n
            return rest.map_atoms(lambda a: a.top if isinstance(a, Mod) and a.bottom == bottom else Int.atom(a)) % bottom
        if not rest.terms:
            return Int({})
        if rest.is_constant and bottom.is_constant and bottom.constant:
            return Int.of(rest.constant % bottom.constant)
        return Int.atom(Mod(rest, bottom))

    def _divide(self, bottom: Int) -> tuple[Int, Int]:
        """(whole, rest) with self = bottom·whole + rest, where whole holds the terms that bottom divides."""
        if len(bottom.terms) != 1:
            return (Int.of(1), Int({})) if self == bottom and bottom.terms else (Int({}), self)
        ((divisor, d),) = bottom.terms.items()
        whole: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for m, c in self.terms.items():
            quotient = _without(m, divisor)
            if quotient is None:
                rest[m] = c
            elif c % d == 0:
                whole[quotient] = c // d
            elif divisor == () and abs(c) > abs(d):
                # Towards zero for names, so that −u stays −u; constants take the remainder of the division.
                whole[quotient] = c // d if m == () else int(c / d)
                rest[m] = c - whole[quotient] * d
            elif divisor == () and m == ():
                whole[quotient], rest[m] = c // d, c % d
            else:
                rest[m] = c
        return Int(whole), Int(rest)

    # -- questions ---------------------------------------------------------------------------------------------------
    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.is_constant and self.constant == other
        return isinstance(other, Int) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __reduce__(self) -> tuple[type[Int], tuple[dict[Monomial, int]]]:
        """For pickle: the terms alone, since another process hashes a name to another number."""
        return Int, (self.terms,)

    @property
    def is_constant(self) -> bool:
        return not self.terms or len(self.terms) == 1 and () in self.terms

    @property
    def constant(self) -> int:
        """The constant term."""
        return self.terms.get((), 0)

    @property
    def name(self) -> str | None:
        """The name, where this is a plain name."""
        if len(self.terms) != 1:
            return None
        ((monomial, c),) = self.terms.items()
        return monomial[0] if c == len(monomial) == 1 and isinstance(monomial[0], str) else None

    @property
    def lone(self) -> Atom | None:
        """The name, quotient, remainder, or what else this is, where it is one alone."""
        if len(self.terms) == 1:
            ((monomial, c),) = self.terms.items()
            if c == 1 and len(monomial) == 1:
                return monomial[0]
        return None

    def atoms(self) -> Iterator[Atom]:
        """Every atom, inner ones included, each as often as it occurs."""
        for monomial in self.terms:
            for atom in monomial:
                yield atom
                for part in parts(atom):
                    yield from part.atoms()

    def symbols(self) -> frozenset[str]:
        if self._symbols is None:
            self._symbols = frozenset(a for a in self.atoms() if isinstance(a, str))
        return self._symbols

    def elements(self) -> list[Element]:
        plain = all(isinstance(a, str) for m in self.terms for a in m)
        return [] if plain else [a for a in self.atoms() if isinstance(a, Element)]

    def split(self, name: str) -> tuple[Int, Int] | None:
        """(coefficient, rest) with self = coefficient·name + rest; None where name occurs otherwise than linearly."""
        if name not in self.symbols():
            return Int.of(0), self
        coefficient: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for m, c in self.terms.items():
            if name in m:
                remaining = _without(m, (name,))
                assert remaining is not None
                if any(name in Int.atom(a).symbols() for a in remaining):
                    return None
                coefficient[remaining] = c
            elif any(not isinstance(a, str) and name in Int.atom(a).symbols() for a in m):
                return None
            else:
                rest[m] = c
        return Int(coefficient), Int(rest)

    def coefficient(self, atom: Atom) -> tuple[Int, Int]:
        """(c, rest) with self = c·atom + rest; the atom may stand in both still."""
        with_it = {rest: k for m, k in self.terms.items() if (rest := _without(m, (atom,))) is not None}
        return Int(with_it), self - Int(with_it) * Int.atom(atom)

    # -- substitution and value --------------------------------------------------------------------------------------
    def subst(self, values: Mapping[str, Int]) -> Int:
        """Put an integer expression in place of each name."""
        if not values or self.is_constant or not (self.symbols() & values.keys()):
            return self
        return self.map_atoms(lambda a: values.get(a, Int.symbol(a)) if isinstance(a, str) else _subst_atom(a, values))

    def map_atoms(self, f: Callable[[Atom], Int]) -> Int:
        terms: dict[Monomial, int] = {}
        for monomial, c in self.terms.items():
            product = reduce(mul, map(f, monomial)).terms if monomial else {(): 1}
            for m, d in product.items():
                terms[m] = terms.get(m, 0) + c * d
        return Int(terms)

    def put(self, atoms: Mapping[Atom, Int]) -> Int:
        """An integer expression in place of each of these atoms; what stands within other atoms stays."""
        return self.map_atoms(lambda a: atoms.get(a, Int.atom(a)))

    def value(self, env: Env, element: Callable[[Element], int] | None = None) -> int:
        """The number, names taken from env, elements of integer tensors from the callback."""
        total = 0
        for monomial, c in self.terms.items():
            for atom in monomial:
                c *= _atom_value(atom, env, element)
            total += c
        return total

    # -- text --------------------------------------------------------------------------------------------------------
    def __str__(self) -> str:
        """In the notation (and in Python): positive terms first, then negative ones, the constant last."""
        if self._text is None:
            text = ""
            for monomial, c in sorted(self.terms.items(), key=lambda t: (t[0] == (), t[1] < 0)):
                body = _monomial_text(abs(c), monomial, bare=bool(text) or c > 0)
                text += (f" - {body}" if c < 0 else f" + {body}") if text else (f"-{body}" if c < 0 else body)
            self._text = text or "0"
        return self._text

    __repr__ = __str__


def _monomial_text(c: int, monomial: Monomial, bare: bool) -> str:
    """c·monomial; // and % in brackets wherever * or a leading minus stands before them."""
    factors = [str(c)] if c != 1 or not monomial else []
    alone = bare and len(monomial) == 1 and c == 1
    factors += [str(a) if alone or isinstance(a, str | Extreme | Element) else f"({a})" for a in monomial]
    return "*".join(factors)


def _counts(value: Int) -> bool:
    """Whether this is a number from 1 on."""
    return value.is_constant and value.constant > 0


def _without(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """monomial / divisor, or None where it does not divide."""
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


def parts(atom: Atom) -> tuple[Int, ...]:
    """The integer expressions inside an atom."""
    if isinstance(atom, FloorDiv | Mod):
        return (atom.top, atom.bottom)
    if isinstance(atom, Extreme):
        return atom.args
    return atom.subs if isinstance(atom, Element) else ()


def _subst_atom(atom: FloorDiv | Mod | Extreme | Element, values: Mapping[str, Int]) -> Int:
    inner = tuple(p.subst(values) for p in parts(atom))
    return rebuild(atom, inner)


def rebuild(atom: FloorDiv | Mod | Extreme | Element, inner: tuple[Int, ...]) -> Int:
    """The atom with other parts, simplified again."""
    if isinstance(atom, FloorDiv):
        return inner[0] // inner[1]
    if isinstance(atom, Mod):
        return inner[0] % inner[1]
    if isinstance(atom, Extreme):
        return Int.extreme(atom.op, *inner)
    return Int.atom(Element(atom.tensor, inner))


def _atom_value(atom: Atom, env: Env, element: Callable[[Element], int] | None) -> int:
    if isinstance(atom, str):
        return env[atom]
    if isinstance(atom, Element):
        assert element is not None, f"{atom} needs data"
        return element(atom)
    return atom_of(atom, [p.value(env, element) for p in parts(atom)])


def atom_of(atom: FloorDiv | Mod | Extreme, values: list[int]) -> int:
    """The number that an atom is, from those of its parts."""
    if isinstance(atom, Extreme):
        return max(values) if atom.op == "max" else min(values)
    if not values[1]:
        raise ZeroDivisionError(f"division by zero in {atom}")
    return values[0] // values[1] if isinstance(atom, FloorDiv) else values[0] % values[1]


def compact(value: Int) -> str:
    """The text of a subscript: without blanks, as people write it."""
    return str(value).replace(" ", "").replace("%", " % ") if "%" in str(value) else str(value).replace(" ", "")


def indexed(tensor: str, subs: tuple[Int, ...]) -> str:
    """A[α,β]; A alone for a scalar."""
    return f"{tensor}[{','.join(map(compact, subs))}]" if subs else tensor
