"""Numbers in the notation, each with how strongly its text binds: 9 an atom, 8 a power, 6 a product, 5 a sum, 4 a comparison."""

from __future__ import annotations

from fractions import Fraction

from .integer import Int

Written = tuple[str, int]


def whole(value: Int) -> Written:
    """An integer expression."""
    shown = str(value)
    if shown.isidentifier() or shown.isdigit():
        return shown, 9
    if len(value.terms) > 1 or shown.startswith("-") or "//" in shown or "%" in shown:  # a chain is of * / or of * // %, not both
        return shown, 5
    return shown, 6 if "*" in shown else 9


def decimal(value: Fraction) -> Written:
    """An exact number: an integer, a terminating decimal, or a quotient."""
    if value < 0:
        return f"-{_unsigned(-value)[0]}", 5
    return _unsigned(value)


def _unsigned(value: Fraction) -> Written:
    rest, digits = value.denominator, 0
    while rest % 10 == 0 or rest % 2 == 0 or rest % 5 == 0:
        rest //= 10 if rest % 10 == 0 else 2 if rest % 2 == 0 else 5
        digits += 1
    if value.denominator == 1:
        return str(value.numerator), 9
    if rest != 1 or digits > 12:
        return f"{value.numerator}/{value.denominator}", 6
    scaled = value.numerator * 10**digits // value.denominator
    shown = f"{scaled:0{digits + 1}d}"
    return f"{shown[:-digits]}.{shown[-digits:]}".rstrip("0"), 9
