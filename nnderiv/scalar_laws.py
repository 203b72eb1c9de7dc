"""How a derivative is written shorter: laws of scalar expressions that SymPy does not apply, or not in the direction of a textbook."""

from __future__ import annotations

import math
from typing import Any

import sympy as sp

from .scalar_functions import absolute, choose, equal, erf, greater, normal_distribution, relu, sgn, sigmoid, softplus, tanh

MANY = 50  # terms of a product that is multiplied out: what has more gets no shorter


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
            above = sp.Add(*(t * u**power for t in whole.args))
            if any(_terms(n) > MANY for n in sp.preorder_traversal(above)):
                return whole
            found = sp.expand(above, power_exp=False) / u**power
            return found if sp.count_ops(found) < sp.count_ops(whole) else whole
    return whole


def _terms(e: Any) -> int:
    """How many terms e has when it is multiplied out; a function counts as one."""
    if e.is_Add or e.is_Mul:
        return (sum if e.is_Add else math.prod)(map(_terms, e.args))
    return min(_terms(e.base), MANY + 1) ** min(int(e.exp), MANY) if e.is_Pow and e.exp.is_Integer and e.exp > 0 else 1


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
