"""∂e/∂A[α] of a scalar expression: SymPy's calculus, with the derivatives of our own functions beside it.

Each read is replaced by a symbol, SymPy differentiates, and the reads are put back. Expressions of the same shape are
differentiated once. Kinks follow the notation's rule 4: relu'(0) = abs'(0) = 0, and a tie in a two-argument maximum is shared.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import sympy as sp
import sympy.tensor.tensor  # SymPy loads it at the first sum: rather here than in the middle of a first derivation

from .errors import DerivationError
from .expr import (
    FALSE,
    TRUE,
    UNARY,
    Const,
    Expr,
    IntValue,
    Num,
    Op,
    Read,
    add,
    children,
    compare,
    integer,
    is_condition,
    map_children,
    mul,
    neg,
    num,
    reads,
    replace,
    walk,
    where,
)
from .integer import Int
from .polynomial import additive_terms, factors, product
from .scalar_functions import (
    absolute,
    choose,
    cos,
    different,
    equal,
    erf,
    gelu,
    greater,
    larger,
    normal_density,
    normal_distribution,
    relu,
    sgn,
    sigmoid,
    silu,
    sin,
    smaller,
    softplus,
    tanh,
)
from .scalar_laws import common_function, content, either, gaussian, logistic, one_fraction, rectified

ROOT_OF_2_PI = Op("sqrt", (mul([num(2), Const("pi")]),))
INF = sp.Symbol("inf", extended_real=True)


TO_SYMPY: dict[str, Any] = {
    "exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "tanh": tanh, "erf": erf, "sin": sin, "cos": cos,
    "sigmoid": sigmoid, "softplus": softplus, "relu": relu, "silu": silu, "gelu": gelu, "abs": absolute, "sign": sgn,
    "max": larger, "min": smaller,
}
FROM_SYMPY = {f: name for name, f in TO_SYMPY.items() if name != "sqrt"} | {sp.Abs: "abs", sp.sign: "sign"}


# -- leaves ------------------------------------------------------------------------------------------------------------------
def leaves(e: Expr) -> list[Expr]:
    """What SymPy sees as a symbol, in order of appearance, each once: reads, integer values, conditions."""
    found: dict[Expr, None] = {}
    pending = [e]
    while pending:
        node = pending.pop()
        if isinstance(node, Read | IntValue) or is_condition(node):
            found[node] = None
        elif isinstance(node, Op):
            pending.extend(reversed(children(node)))
    return list(found)


@cache
def symbol(k: int) -> Any:
    return sp.Symbol(f"x{k:04d}", real=True)


def slot(k: int) -> Read:
    """The k-th leaf in an abstract expression."""
    return Read(f"\0{k}", ())


def to_sympy(e: Expr) -> Any:
    """An abstract expression (its leaves are slots) in SymPy."""
    if isinstance(e, Read):
        return symbol(int(e.tensor[1:]))
    if isinstance(e, Num):
        return sp.Rational(e.value.numerator, e.value.denominator)
    if isinstance(e, Const):
        return sp.pi if e.name == "pi" else INF
    assert isinstance(e, Op)
    args = [to_sympy(a) for a in e.args]
    if e.op == "+":
        return sp.Add(*args)
    if e.op == "*":
        return sp.Mul(*args)
    if e.op == "neg":
        return -args[0]
    if e.op == "/":
        return args[0] / args[1]
    if e.op == "**":
        return args[0] ** args[1]
    if e.op == "where":
        return choose(*args)
    return TO_SYMPY[e.op](*args)


def from_sympy(e: Any) -> Expr:
    """The inverse of to_sympy: products as one fraction, roots as sqrt."""
    if isinstance(e, sp.Symbol):
        return Const("inf") if e == INF else slot(int(e.name[1:]))
    if isinstance(e, sp.Rational):
        return num(Fraction(int(e.p), int(e.q)))
    if e is sp.pi:
        return Const("pi")
    if e is sp.E:
        return Op("exp", (num(1),))
    if isinstance(e, sp.Add):
        number, rest = content(e)
        if number != 1:
            return mul([from_sympy(number), from_sympy(rest)])
        terms = [(not isinstance(a, normal_distribution), from_sympy(a)) for a in e.args]  # Φ + x φ
        return add([t for _, t in sorted(terms, key=lambda term: (term[0], _term_order(term[1])))])
    if isinstance(e, sp.Mul):
        return _product(e)
    if isinstance(e, sp.Pow):
        return _power(e)
    args = tuple(from_sympy(a) for a in e.args)
    if isinstance(e, normal_distribution):
        return mul([num(Fraction(1, 2)), num(1) + Op("erf", (args[0] / Op("sqrt", (num(2),)),))])
    if isinstance(e, normal_density):
        return Op("exp", (neg(Op("**", (args[0], num(2))) / num(2)),)) / ROOT_OF_2_PI
    if isinstance(e, choose):
        return where(_condition(args[0]), args[1], args[2])
    if isinstance(e, greater):
        if type(e) is greater and isinstance(args[0], Num):  # x < 0 rather than 0 > x
            return Op("<", args[::-1])
        if isinstance(e, equal | different) and isinstance(args[0], Num):
            args = args[::-1]
        return Op({equal: "==", different: "!="}.get(type(e), ">"), args)
    if type(e) not in FROM_SYMPY:  # 1/0 and its like, from a mean over nothing
        raise DerivationError(f"The derivative is not a number everywhere: SymPy answers {e}.")
    return Op(FROM_SYMPY[type(e)], args)


def _condition(e: Expr) -> Expr:
    return TRUE if e == num(1) else FALSE if e == num(0) else e


def _term_order(e: Expr) -> tuple[bool, int, bool, str]:
    """Positive terms first, whole numbers before the others and 0.00001 behind them, σ before σ (1 − σ) x, then as leaves appear."""
    minus = isinstance(e, Op) and e.op == "neg" or isinstance(e, Num) and e.value < 0
    small = isinstance(e, Num) and e.value.denominator != 1
    return (minus, 2 if small else not isinstance(e, Num), any(isinstance(f, Op) and f.op == "+" for f in factors(e)), str(e))


def _product(e: Any) -> Expr:
    """Factors in order of appearance: numbers, plain symbols, their powers, functions, then sums; reciprocals below."""
    above: list[Expr] = []
    below: list[Expr] = []
    for f in sorted(e.args, key=lambda f: (not f.is_Number, not f.is_Symbol, not (f.is_Pow and f.base.is_Symbol), f.is_Add, str(f))):
        base, exponent = f.as_base_exp()
        if isinstance(f, normal_density):
            above.append(factors(from_sympy(f))[0])
            below.append(ROOT_OF_2_PI)
        elif isinstance(f, sp.Rational) and f.q > 100:  # 0.044715, and not 8943/200000
            above.append(from_sympy(f))
        elif isinstance(f, sp.Rational):
            above.append(from_sympy(sp.Integer(f.p)))
            below.append(from_sympy(sp.Integer(f.q)))
        elif exponent.is_negative and not isinstance(f, sp.exp):
            below.append(from_sympy(base ** (-exponent)))
        else:
            above.append(from_sympy(f))
    bottom = mul(below)
    return product([mul(above), *([Op("/", (num(1), bottom))] if bottom != num(1) else [])])


def _power(e: Any) -> Expr:
    base, exponent = e.args
    if exponent.is_Rational and exponent < 0:
        return num(1) / from_sympy(base ** (-exponent))
    if exponent == sp.Rational(1, 2):
        return Op("sqrt", (from_sympy(base),))
    return Op("**", (from_sympy(base), from_sympy(exponent)))


# -- the derivative ----------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def _abstract_partial(e: Expr, k: int, named: bool, whole: frozenset[int]) -> Expr:
    """∂e/∂slot k; the value of e itself, where it reappears, is slot 9999; whole: the slots of integers."""
    if (plain := _of_product(e, k)) is not None:
        return plain
    expression = gaussian(logistic(to_sympy(e)))
    derivative = lowered_powers(sp.diff(expression, symbol(k)), frozenset(map(symbol, whole)))
    return from_sympy(own_value(common_function(either(one_fraction(rectified(logistic(derivative))))), expression, symbol(k), named))


def _of_product(e: Expr, k: int) -> Expr | None:
    """b for ∂(a b + …)/∂a, if slot k is once a factor, beside other slots and whole numbers: what most sums consist of needs no SymPy."""
    terms = [(s, t) for s, t in additive_terms(e) if slot(k) in reads(t)]
    if len(terms) != 1:
        return None
    ((sign, t),) = terms
    parts = t.args if isinstance(t, Op) and t.op == "*" else (t,)
    slots = sorted((f for f in parts if isinstance(f, Read)), key=lambda f: int(f.tensor[1:]))
    numbers = [f for f in parts if isinstance(f, Num) and f.value.denominator == 1]
    if len(slots) + len(numbers) < len(parts) or len({*slots}) < len(slots):
        return None
    return product([num(sign), *numbers, *(f for f in slots if f != slot(k))])


@lru_cache(maxsize=4096)
def _as_given(derivative: Expr, e: Expr, plain: frozenset[int]) -> Expr:
    """The derivative with the functions of e as e has them, and what has no index (plain) before what has."""
    calls = [n for n in walk(e) if isinstance(n, Op) and n.op in UNARY and reads(n)]
    functions = {_plain_first(from_sympy(to_sympy(n)), plain): n for n in calls}
    return replace(_plain_first(derivative, plain), functions)


def _plain_first(e: Expr, plain: frozenset[int]) -> Expr:
    """b·x[n] rather than x[n]·b: in a product, scalars and sizes before the elements of tensors; SymPy knows no difference."""
    e = map_children(lambda child: _plain_first(child, plain), e)
    if not (isinstance(e, Op) and e.op == "*"):
        return e
    slots = [f for f in e.args if isinstance(f, Read)]
    order = iter(sorted(slots, key=lambda f: int(f.tensor[1:]) not in plain))
    return Op("*", tuple(next(order) if isinstance(f, Read) else f for f in e.args))


def lowered_powers(e: Any, whole: Collection[Any]) -> Any:
    """a·xᵃ⁻¹ where SymPy has a·xᵃ/x, which is no number at 0; of a whole number k, 0 where k = 0, since x⁰ is 1 everywhere."""

    def lowered(product: Any) -> Any:
        parts = list(product.args)
        for f in product.args:
            if not (f.is_Pow and not f.exp.is_number and 1 / f.base in parts):
                continue
            parts[parts.index(f)] = f.base ** (f.exp - 1)
            parts.remove(1 / f.base)
            if f.exp in whole:
                return choose(different(f.exp, 0), sp.Mul(*parts), 0)
        return sp.Mul(*parts)

    return e.replace(lambda n: n.is_Mul, lowered)


OWN = sp.Symbol("x9999", real=True)


def own_value(derivative: Any, expression: Any, x: Any, named: bool = True) -> Any:
    """f′ written with f (1 − tanh² = 1 − f², (1/√x)/2 = 1/(2f), ∂(a/(x y))/∂x = −f/x), where f is one function, a root, or a quotient.

    A quotient has one factor above, or numbers only, and f must have a name. Then f may be where(c, exp(x + …), 0) too, or where(c, v, 0)
    for a function or root v: where c holds, it is v.
    """
    if isinstance(expression, sp.Function | sp.exp) and not isinstance(expression, choose | larger | greater):
        return derivative.subs(expression, OWN)
    if isinstance(expression, sp.Pow) and expression.exp == sp.Rational(1, 2):
        return derivative.subs(expression, OWN)
    if not named:
        return derivative
    if isinstance(expression, choose) and isinstance(expression.args[1], sp.exp) and expression.args[2] == 0:
        slope = expression.args[1].args[0].diff(x)
        return slope * OWN if slope.is_number else derivative
    if isinstance(expression, choose) and isinstance(derivative, choose) and derivative.args[0] == expression.args[0]:
        condition, *values = expression.args
        if any(isinstance(v, choose) or not v.free_symbols - {INF} for v in values):
            slopes = zip(derivative.args[1:], values, strict=True)
            found = (slope if isinstance(v, sp.exp) else own_value(slope, v, x, isinstance(v, choose)) for slope, v in slopes)
            return choose(condition, *found)
    parts = [f for f in sp.Mul.make_args(expression) if not f.is_Number]
    powers = [f.as_base_exp() for f in parts]
    above = [b for b, k in powers if not (k.is_Number and k.is_negative)]
    own = [k for b, k in powers if (b == x or b.is_Mul and x in b.args) and k.is_Number and k.is_negative]
    if len(own) == 1 and len(powers) > 1 and len(above) < 2 and sum(f.has(x) for f in parts) == 1:
        return own[0] * OWN / x
    return derivative


def partial(e: Expr, read: Read, own: Read | None = None) -> Expr:
    """∂e/∂read; where the derivative contains e itself (1 − tanh²), `own` stands for it if given."""
    found = leaves(e)
    if read not in found:  # it stands in a condition only
        return num(0)
    table = {leaf: slot(k) for k, leaf in enumerate(found)}
    whole = frozenset(k for k, leaf in enumerate(found) if isinstance(leaf, IntValue))
    plain = frozenset(k for k, leaf in enumerate(found) if isinstance(leaf, IntValue) or isinstance(leaf, Read) and not leaf.subs)
    abstract = replace(e, table)
    derivative = _as_given(_abstract_partial(abstract, found.index(read), own is not None, whole), abstract, plain)
    back: dict[Expr, Expr] = {s: leaf for leaf, s in table.items()}
    back[slot(9999)] = own if own is not None else e
    return _put_back(derivative, back)


def lowest_terms(e: Expr) -> Expr:
    """e as one fraction, without what is above and below: u·(1 − u/(u + v)) − v·u/(u + v) is 0."""
    found = leaves(e)
    table: dict[Expr, Expr] = {leaf: slot(k) for k, leaf in enumerate(found)}
    return _put_back(from_sympy(sp.cancel(to_sympy(replace(e, table)))), {s: leaf for leaf, s in table.items()})


def _put_back(e: Expr, table: dict[Expr, Expr]) -> Expr:
    if e in table:
        return table[e]
    if isinstance(e, Read) and e.tensor.startswith("\0"):
        raise KeyError(e.tensor)
    return _whole(map_children(lambda c: _put_back(c, table), e))


def _whole(e: Expr) -> Expr:
    """Sums and comparisons of integers as such: the exponent k + 1 − 1 is k, and k ≠ 0 is a condition on an index."""
    args = [_integer(a) for a in e.args] if isinstance(e, Op) and e.op in ("+", "!=") else []
    whole = [a for a in args if a is not None]
    if not whole or len(whole) < len(args):
        return e
    if isinstance(e, Op) and e.op == "!=":
        return compare("!=", *whole)
    total = sum(whole, Int.of(0))
    return integer(total)


def _integer(e: Expr) -> Int | None:
    if isinstance(e, Num):
        return Int.of(int(e.value)) if e.value.denominator == 1 else None
    return e.value if isinstance(e, IntValue) else None
