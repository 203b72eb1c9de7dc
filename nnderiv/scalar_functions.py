"""Our functions as SymPy functions, each with its derivative.

SymPy's own tanh, erf, sin and cos would pull out signs, by the names of its symbols: tanh(b − a) as −tanh(a − b).
"""

from __future__ import annotations

from typing import Any

import sympy as sp


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
