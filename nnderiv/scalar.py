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
    factors,
    integer,
    map_children,
    mul,
    neg,
    num,
    product,
    reads,
    replace,
    walk,
    where,
)
from .integer import Int

ROOT_OF_2_PI = Op("sqrt", (mul([num(2), Const("pi")]),))
INF = sp.Symbol("inf", extended_real=True)


# -- our functions as SymPy functions, each with its derivative --------------------------------------------------------------
# SymPy's own tanh, erf, sin and cos would pull out signs, by the names of its symbols: tanh(b − a) as −tanh(a − b).
class _Real(sp.Function):  # type: ignore[misc]
    nargs = 1

    def _eval_is_extended_real(self) -> bool:
        return True


class tanh(_Real):  # tanh' = 1 − tanh²
    def fdiff(self, argindex: int = 1) -> Any:
        return 1 - self**2


class erf(_Real):  # 2 exp(−x²)/√π
    def fdiff(self, argindex: int = 1) -> Any:
        return 2 * sp.exp(-(self.args[0] ** 2)) / sp.sqrt(sp.pi)


class sin(_Real):
    def fdiff(self, argindex: int = 1) -> Any:
        return cos(self.args[0])


class cos(_Real):
    def fdiff(self, argindex: int = 1) -> Any:
        return -sin(self.args[0])


class sigmoid(_Real):  # σ' = σ (1 − σ)
    def fdiff(self, argindex: int = 1) -> Any:
        return self * (1 - self)


class softplus(_Real):  # log(1 + eˣ)' = σ(x)
    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(self.args[0])


class relu(_Real):  # [x > 0]
    def fdiff(self, argindex: int = 1) -> Any:
        return choose(greater(_unbounded(self.args[0], sp.Integer(0)), 0), 1, 0)


class silu(_Real):  # (x σ)' = σ (1 + x (1 − σ))
    def fdiff(self, argindex: int = 1) -> Any:
        x = self.args[0]
        return sigmoid(x) * (1 + x * (1 - sigmoid(x)))


class gelu(_Real):  # (x Φ)' = Φ + x φ
    def fdiff(self, argindex: int = 1) -> Any:
        x = self.args[0]
        return normal_distribution(x) + x * normal_density(x)


class normal_distribution(_Real):  # Φ(x) = (1 + erf(x/√2))/2; written out wherever it leaves SymPy
    def fdiff(self, argindex: int = 1) -> Any:
        return normal_density(self.args[0])


class normal_density(_Real):  # φ(x) = exp(−x²/2)/√(2π)
    def fdiff(self, argindex: int = 1) -> Any:
        return -self.args[0] * self


class absolute(_Real):  # |x|' = sign x
    def fdiff(self, argindex: int = 1) -> Any:
        return sgn(self.args[0])


class sgn(_Real):
    def fdiff(self, argindex: int = 1) -> Any:
        return sp.Integer(0)


class greater(sp.Function):  # type: ignore[misc]
    """The condition a > b, as a value that does not depend smoothly on either."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        return sp.Integer(0)


class equal(greater):
    pass


class different(greater):
    pass


class choose(sp.Function):  # type: ignore[misc]
    """where(condition, a, b): the derivative goes to the branch that is taken."""

    nargs = 3

    def fdiff(self, argindex: int = 1) -> Any:
        return choose(self.args[0], *(int(argindex == k) for k in (2, 3))) if argindex > 1 else sp.Integer(0)

    def _eval_derivative(self, s: Any) -> Any:
        a, b = self.args[1].diff(s), self.args[2].diff(s)
        return a if a == b else choose(self.args[0], a, b)

    def _eval_is_extended_real(self) -> bool:
        return True


class larger(sp.Function):  # type: ignore[misc]
    """max(a, b): 1 where it is the greater one, 1/2 in a tie."""

    nargs = 2
    sign = 1

    def sides(self) -> tuple[Any, Any]:
        """What to compare: a and b, or, where their difference is shorter, its two parts: y and q for τ·(y − q) and (τ − 1)·(y − q)."""
        a, b = _unbounded(*self.args), _unbounded(*self.args[::-1])
        difference = sp.expand(a - b)
        if sp.count_ops(difference) >= max(sp.count_ops(a), sp.count_ops(b)) or difference.is_number:
            return a, b
        above = [t for t in sp.Add.make_args(difference) if not t.could_extract_minus_sign()]
        return sp.Add(*above), sp.Add(*above) - difference

    def fdiff(self, argindex: int = 1) -> Any:
        mine, other = self.sides() if argindex == 1 else self.sides()[::-1]
        return choose(greater(*(mine, other)[::self.sign]), 1, choose(equal(mine, other), sp.Rational(1, 2), 0))

    def _eval_derivative(self, s: Any) -> Any:
        """One choice, where both depend on s: where(a > b, a′, where(a = b, (a′ + b′)/2, b′))."""
        a, b = (x.diff(s) for x in self.args)
        if a == 0 or b == 0:
            return self.fdiff(1) * a + self.fdiff(2) * b
        mine, other = self.sides()
        return a if a == b else choose(greater(*(mine, other)[::self.sign]), a, choose(equal(mine, other), (a + b) / 2, b))

    def _eval_is_extended_real(self) -> bool:
        return True


class smaller(larger):
    sign = -1


def _unbounded(a: Any, b: Any) -> Any:
    """What lies on the same side of the number b as a: u for max(u, c) with c < b, and for min(u, c) with c > b."""
    for u, c in (a.args, a.args[::-1]) if isinstance(a, larger) and b.is_number else ():
        if c.is_number and ((b - c) * a.sign).is_positive:
            return _unbounded(u, b)
    return a


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
        if isinstance(node, Read | IntValue) or _is_condition(node):
            found[node] = None
        elif isinstance(node, Op):
            pending.extend(reversed(children(node)))
    return list(found)


def _is_condition(e: Expr) -> bool:
    return isinstance(e, Op) and e.op in ("<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "true", "false")


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
    expression = gaussian(logistic(to_sympy(e)))
    derivative = lowered_powers(sp.diff(expression, symbol(k)), frozenset(map(symbol, whole)))
    return from_sympy(own_value(common_function(either(one_fraction(rectified(logistic(derivative))))), expression, symbol(k), named))


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

    A quotient has one factor above, or numbers only, and f must have a name. Then f may be where(c, exp(x + …), 0) too.
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
    parts = [f for f in sp.Mul.make_args(expression) if not f.is_Number]
    powers = [f.as_base_exp() for f in parts]
    above = [b for b, k in powers if not (k.is_Number and k.is_negative)]
    own = [k for b, k in powers if (b == x or b.is_Mul and x in b.args) and k.is_Number and k.is_negative]
    if len(own) == 1 and len(powers) > 1 and len(above) < 2 and sum(f.has(x) for f in parts) == 1:
        return own[0] * OWN / x
    return derivative


def logistic(e: Any) -> Any:
    """1/(1 + exp(u)) = σ(−u), exp(u)/(1 + exp(u)) = σ(u) and log(1 + exp(u)) = softplus(u), where u is whatever stands there.

    And (exp(u) − exp(−u))/(exp(u) + exp(−u)) = tanh(u), also where both are multiplied by exp(u).
    """
    if not e.has(sp.exp):
        return e
    e = e.replace(lambda n: isinstance(n, sp.Mul), _hyperbolic)
    e = e.replace(lambda n: isinstance(n, sp.log) and _exponent(n.args[0]) is not None, lambda n: softplus(_exponent(n.args[0])))
    e = e.replace(lambda n: isinstance(n, sp.Pow) and n.exp == -1 and _exponent(n.base) is not None, lambda n: sigmoid(-_exponent(n.base)))
    return e.replace(lambda n: isinstance(n, sp.Mul), _joined)


def gaussian(e: Any) -> Any:
    """c + c·erf(u/√2) = 2 c Φ(u), the normal distribution."""
    return e.replace(lambda n: isinstance(n, sp.Add) and _error(n) is not None, _error) if e.has(erf) else e


def _error(whole: Any) -> Any:
    terms = sp.Add.make_args(whole)
    found = [t.as_coeff_Mul() for t in terms]
    inner = next((f.args[0] for c, f in found if isinstance(f, erf) and (c, 1) in found), None)
    c = found[0][0]
    return 2 * c * normal_distribution(sp.sqrt(2) * inner) if len(terms) == 2 and inner is not None else None


def _exponent(e: Any) -> Any:
    """u of 1 + exp(u)."""
    terms = sp.Add.make_args(e)
    u = next((t.args[0] for t in terms if isinstance(t, sp.exp)), None)
    return u if len(terms) == 2 and u is not None and 1 in terms else None


def _joined(whole: Any) -> Any:
    """exp(u) σ(−u) = σ(u) in a product."""
    parts = sp.Mul.make_args(whole)
    for f in parts:
        if isinstance(f, sigmoid) and sp.exp(-f.args[0]) in parts:
            return sp.Mul(*(p for p in parts if p not in (f, sp.exp(-f.args[0]))), sigmoid(-f.args[0]))
    return whole


def _hyperbolic(whole: Any) -> Any:
    """(exp(u) − exp(−u))/(exp(u) + exp(−u)) = tanh(u) and (exp(u) − 1)/(exp(u) + 1) = tanh(u/2) in a product."""
    parts = sp.Mul.make_args(whole)
    for below in (f for f in parts if f.is_Pow and f.exp == -1 and f.base.is_Add):
        for above in (f for f in parts if f.is_Add and len(f.args) == len(below.base.args) == 2):
            (c, difference), (d, total) = above.primitive(), below.base.primitive()
            u = next((t.args[0] for t in (*difference.args, *total.args) if isinstance(t, sp.exp)), None)
            for v, x in () if u is None else ((sp.exp(-u), u), (sp.Integer(1), u / 2)):
                for sign in (1, -1):
                    if difference == sign * (sp.exp(u) - v) and total == sp.exp(u) + v:
                        return sp.Mul(sign * c / d, *(f for f in parts if f not in (below, above)), tanh(x))
    return whole


def one_fraction(e: Any) -> Any:
    """a/u + b/u² = (a·u + b)/u² and x·sign(x) = |x|, where u is a sum, and that is shorter: 1/(1 + |x|) − |x|/(1 + |x|)² = 1/(1 + |x|)².

    And sign(x)/|x| = 1/x, and 1/(s·(1 + x/s)) = 1/(s + x).
    """
    if e.has(sgn):
        e = e.replace(lambda n: n.is_Mul, _magnitude)
    if not e.has(sp.Pow):
        return e
    return e.replace(lambda n: n.is_Mul, _without_inner_quotients).replace(lambda n: n.is_Add, _over_one)


def _without_inner_quotients(whole: Any) -> Any:
    """1/(s·(1 + x/s)) = 1/(s + x)"""
    for u in (f for f in whole.args if f.is_Pow and f.base.is_Add and f.exp.is_Integer and f.exp < 0):
        below: dict[Any, Any] = {}
        for b, k in (f.as_base_exp() for t in u.base.args for f in sp.Mul.make_args(t)):
            if k.is_Integer and k < 0 and not b.is_number:
                below[b] = max(below.get(b, 0), -k)
        s = sp.Mul(*(b**k for b, k in below.items()))
        found = whole / u * s**-u.exp * sp.Add(*(t * s for t in u.base.args)) ** u.exp
        if below and sp.count_ops(found) < sp.count_ops(whole):
            return found
    return whole


def common_function(e: Any) -> Any:
    """f·a + f·b = f·(a + b), where f is no number: exp(−x²)·(1 − 2x²), σ(b x)·(1 + b x·(1 − σ(b x)))."""
    return e.replace(lambda n: n.is_Add, _common_function)


def _common_function(whole: Any) -> Any:
    parts = [sp.Mul.make_args(t) for t in whole.args]
    shared = [f for f in parts[0] if not f.is_Number and all(f in other for other in parts[1:])]
    return sp.Mul(*shared, sp.Add(*(sp.Mul(*(f for f in fs if f not in shared)) for fs in parts))) if shared else whole


def either(e: Any) -> Any:
    """α·[a > b] + β·[a < b], each with half of it where a = b, is where(a > b, α, where(a = b, (α + β)/2, β))."""
    return e.replace(lambda n: n.is_Add, _either) if e.has(choose) else e


def _either(whole: Any) -> Any:
    sides = [(t, c, f) for t in whole.args for f in sp.Mul.make_args(t) if (c := _one_side(f)) is not None]
    for k, (one, (a, b), f) in enumerate(sides):
        for other, pair, g in sides[k + 1 :]:
            if other is not one and pair == (b, a):
                mine, its = one / f, other / g
                joined = mine if mine == its else choose(greater(a, b), mine, choose(equal(a, b), (mine + its) / 2, its))
                return sp.Add(joined, *(t for t in whole.args if t not in (one, other)))
    return whole


def _one_side(f: Any) -> tuple[Any, Any] | None:
    """(a, b) for the slope of max(a, b) by a: 1 where a > b, 1/2 where they are equal."""
    if not (isinstance(f, choose) and type(f.args[0]) is greater and f.args[1] == 1 and isinstance(f.args[2], choose)):
        return None
    tie, half, nothing = f.args[2].args
    same = isinstance(tie, equal) and set(tie.args) == set(f.args[0].args)
    return f.args[0].args if same and half == sp.Rational(1, 2) and nothing == 0 else None


def rectified(e: Any) -> Any:
    """[x > 0]·relu(x)² = relu(x)², where nothing else in the product may be infinite at x ≤ 0: [x > 0]/√relu(x) stays, it is 0 there."""
    return e.replace(lambda n: n.is_Mul, _rectified) if e.has(relu) and e.has(choose) else e


def _rectified(whole: Any) -> Any:
    powers = {g: g.as_base_exp() for g in whole.args}
    slopes = {relu(f.args[0]).fdiff(): (g, f.args[0]) for g, (f, k) in powers.items() if isinstance(f, relu) and k.is_positive}
    spare = {s for s, (g, x) in slopes.items() if not any(f.has(*x.free_symbols) for f in whole.args if f not in (s, g))}
    return sp.Mul(*(f for f in whole.args if f not in spare))


def _magnitude(whole: Any) -> Any:
    for x in (f.args[0] for f in whole.args if isinstance(f, sgn)):
        for beside, joined in ((x, absolute(x)), (1 / absolute(x), 1 / x)):
            if beside in whole.args:
                return sp.Mul(*(f for f in whole.args if f not in (beside, sgn(x))), joined)
    return whole


def _over_one(whole: Any) -> Any:
    below = [{b: -k for f in sp.Mul.make_args(t) for b, k in [f.as_base_exp()] if b.is_Add and k.is_Integer and k < 0} for t in whole.args]
    for u in below[0]:
        if all(u in powers for powers in below):
            power = max(powers[u] for powers in below)
            found = sp.expand(sp.Add(*(t * u**power for t in whole.args))) / u**power
            return found if sp.count_ops(found) < sp.count_ops(whole) else whole
    return whole


def content(e: Any) -> tuple[Any, Any]:
    """c·a + c·b = c·(a + b), where c is a number, and no term stands without one: SymPy writes 2·(a − b) as 2·a − 2·b.

    v + 0.00001 stays as it is, and so do numbers such as 0.134145.
    """
    if any(t.as_coeff_Mul()[0].is_Rational and t.as_coeff_Mul()[0].q > 100 for t in sp.Add.make_args(e)):
        return sp.Integer(1), e
    if any(abs(t.as_coeff_Mul()[0]) == 1 and not t.is_Number for t in sp.Add.make_args(e)):
        return sp.Integer(1), e
    found: tuple[Any, Any] = e.primitive()
    return found


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
