"""Each law of the table alone: a case where it applies, and one where its condition fails and it must not.

A term is written in the notation: `sum[x](where(conditions, body, 0))`; the law sees it as it stands, without the other laws.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

import nnderiv as nd
from nnderiv import scalar
from nnderiv.expr import Expr, Op, Reduce
from nnderiv.integer import Int
from nnderiv.polynomial import additive_terms
from nnderiv.program import Range, Ranges
from nnderiv.reasons import NAMES, REASONS
from nnderiv.simplify import TABLE, Term
from nnderiv.tidy import Surroundings

LAWS = {law.name: law for law in TABLE}
SIGNATURE = "x[N], y[N], z[M], w[2*N], A[N,N], P[N,M], b, q[N,M], int s, int t[M] -> u"  # what the terms below may read
DEFINED = "m[n] = sum[k](P[n,k])/M\np[n] = sigmoid(x[n])\ne[n] = exp(y[n])\nl[n] = exp(where(n > 1, x[n], -inf))\n"
DEFINED += "r[n] = logsumexp[k](P[n,k])\nS[n,k] = exp(P[n,k] - r[n])\nR[n,k] = exp(q[n,k] - r[n])\nh[n,k] = (1 - b)*S[n,k] + b/M\n"
DEFINED += "f[n] = where(x[n] > 0, y[n], 0) - where(x[n] > 0, b, 0)\n"
DEFINED += "g[n] = 2*y[n+1]  for n < N\nG[n,k] = sum[i](P[n,i]*P[k,i])  for n < N, k < N\n"
GIVEN = "given sum[k](q[n,k]) = 1"


def term(text: str, left: str = "", more: str = "") -> tuple[Term, Ranges, Surroundings]:
    """The term that the equation u[left] = text holds, its left-hand ranges, and the program around it."""
    program = nd.parse(f"{SIGNATURE}\n{DEFINED}u{f'[{left}]' if left else ''} = {text}{more}\n{GIVEN}")
    (e,) = program.definitions["u"]
    body, bound = (e.body.body, e.body.indices) if isinstance(e.body, Reduce) and e.body.op == "sum" else (e.body, ())
    conditions: tuple[Expr, ...] = ()
    if isinstance(body, Op) and body.op == "where":
        guard = body.args[0]
        conditions = guard.args if isinstance(guard, Op) and guard.op == "and" else (guard,)
        body = body.args[1]
    known = replace(program, equations=tuple(d for d in program.equations if d.tensor != "u"))
    return Term({i: e.ranges[i] for i in bound}, conditions, body), {i: e.ranges[i] for i in e.indices}, Surroundings(program, known)


def after(law: str, case: tuple[Term, Ranges, Surroundings]) -> str:
    found = LAWS[law].apply(*case)
    return "0" if found is None else str(found.expression())


# law: (where it applies, what it gives), (where its condition fails)
APPLIES = {
    "split_where": [("x[n]*where(n > 1, y[n], 0)", "n", "where(n > 1, x[n]*y[n], 0)"), ("0*x[n]", "n", "0"),
                    ("x[n]*where(n > 1, 0, y[n])", "n", "where(n <= 1, x[n]*y[n], 0)")],
    "settle_conditions": [("where(n >= 0, x[n], 0)", "n", "x[n]"), ("where(n < 0, x[n], 0)", "n", "0"),
                          ("where(n + 1 < N and not n < N, x[n], 0)", "n", "0"), ("where(n > s and n < s, x[n], 0)", "n", "0"),
                          ("sum[n](where(n < N + 2, x[n], 0))", "", "sum[n](x[n])")],
    "settle_divisions": [("x[n]*z[n//N]", "n", "x[n]*z[0]"), ("x[n]*y[n % N]", "n", "x[n]*y[n]")],
    "settle_choices": [("exp(where(n < N, x[n], y[n+1]))", "n", "exp(x[n])"), ("exp(where(n < 0, x[n], y[n+1]))", "n", "exp(y[n+1])"),
                       ("sum[n](exp(where(n >= 0, x[n], y[n])))", "", "sum[n](exp(x[n]))"),
                       ("where(n > 1, exp(where(n > 1, x[n], -inf)), 0)", "n", "where(n > 1, exp(x[n]), 0)")],
    "rectify": [("where(x[n] > 0, b*relu(x[n]), 0)", "n", "where(x[n] > 0, b*x[n], 0)"),
                ("where(x[n] - b > 0, where(relu(x[n] - b) < 6, y[n], 0), 0)", "n",
                 "where(x[n] - b > 0, where(x[n] - b < 6, y[n], 0), 0)")],
    "into_cases": [("2*max(x[n], b)*where(x[n] > b, 1, where(x[n] == b, 0.5, 0))", "n",
                    "where(x[n] > b, 2*x[n], where(x[n] == b, x[n], 0))"),
                   ("-N*y[n]*min(x[n], b)*where(b > x[n], 1, where(x[n] == b, 0.5, 0))", "n",
                    "N*where(b > x[n], -y[n]*x[n], where(x[n] == b, -0.5*y[n]*b, 0))"),
                   ("sum[n](x[n]*where(0 < y[n], 1, where(0 == y[n], 0.5, 0)))", "",
                    "sum[n](where(0 < y[n], x[n], where(0 == y[n], 0.5*x[n], 0)))")],
    "divide_exactly": [("where(n % s == 0, x[s*(n//s)], 0)", "n", "where(n % s == 0, x[n], 0)")],
    "name_data": [("where(t[k] == n, x[t[k]]*y[n], 0)", "n,k", "where(t[k] == n, x[n]*y[n], 0)"),
                  ("where(n == t[k], 1/x[t[k]], 0)", "n,k", "where(n == t[k], 1/x[n], 0)")],
    "transpose": [("sum[k](G[k,n]*y[k])", "n", "sum[k](G[n,k]*y[k])"), ("sum[k](G[k,n]*A[n,k])", "n", "sum[k](G[n,k]*A[n,k])"),
                  ("sum[n,k](G[k,n]*A[n,k])", "", "sum[n,k](G[n,k]*A[n,k])"),
                  ("G[k,n]", "n,k", "G[n,k]")],
    "contract_delta": [("sum[n](where(n == k + 1, x[n]*y[n], 0))", "k", "where(0 <= k + 1 and k + 1 < N, x[k+1]*y[k+1], 0)")],
    "contract_remainder": [("sum[n](where((k - n) % N == 0, x[n]*z[(k-n)//N], 0))", "k", "x[k % N]*z[k//N]"),
                           ("sum[n](where((k + 2 - n) % N == 0 and (k + 2 - n)//N < M, y[n]*b, 0))", "k",
                            "where((k + 2)//N < M, y[(k+2) % N]*b, 0)")],
    "drop_outside": [("sum[n](y[n]*x[n+N])", "", "0"), ("x[n]*y[-n-1]", "n", "0")],
    "sum_of_nothing": [("sum[n](b**2)", "", "N*b**2")],
    "cancel": [("x[n]*p[n]/p[n]", "n", "x[n]"), ("x[n]*p[n]**3/p[n]", "n", "x[n]*p[n]**2"), ("x[n]*p[n]/p[n]**2", "n", "x[n]/p[n]"),
               ("x[n]*b**2/b", "n", "x[n]*b"), ("p[n]*(x[n]/p[n] + y[n]/p[n])", "n", "x[n] + y[n]"),
               ("e[n]*(1 - p[n])*x[n]/(1 - p[n])", "n", "e[n]*x[n]"), ("x[n]*sqrt(N)/sqrt(N)", "n", "x[n]"),
               ("2*x[n]/(2*N)", "n", "x[n]/N"), ("x[n]*6/(4*N + 4)", "n", "3*x[n]/(2*N + 2)"), ("4*x[n]/(2*N)", "n", "2*x[n]/N"),
               ("p[n]*(x[n]/p[n] - y[n])", "n", "x[n] - p[n]*y[n]")],
    "where_divided": [
        ("f[n]*b/x[n]**2", "n", "where(x[n] > 0, f[n]*b/x[n]**2, 0)"),
        ("sum[n](f[n]*y[n]/x[n])", "", "sum[n](where(x[n] > 0, f[n]*y[n]/x[n], 0))")],
    "common_sign": [("x[n]*(-y[n] - b)", "n", "-x[n]*(y[n] + b)"), ("sum[n](-x[n] - y[n])", "", "-sum[n](x[n] + y[n])")],
    "deviations": [("sum[k](2*(P[n,k] - m[n])*x[n])", "n", "0"), ("sum[n,k](x[n]*(m[n] - P[n,k]))", "", "0")],
    "use_givens": [("sum[k](q[n,k]*x[n])", "n", "x[n]")],
    "known_totals": [("sum[k](S[n,k]*x[n])", "n", "x[n]"), ("sum[k]((S[n,k] - h[n,k]*y[n])*x[n])", "n", "x[n] - x[n]*y[n]"),
                     ("sum[k](h[n,k]*x[n])", "n", "x[n]")],
    "known_sums": [("sum[k](P[n,k]*x[n])", "n", "M*x[n]*m[n]"), ("sum[j](2*P[n,j]*P[k,j]*b)", "n,k", "2*b*G[n,k]")],
    "join_exponentials": [("exp(x[n] - y[n])*b*exp(y[n] - z[0])", "n", "b*exp(x[n] - z[0])"),
                          ("exp(y[n] - r[n])*exp(P[n,0] - y[n])", "n", "S[n,0]")],
    "index_alone": [("where(0 <= n - 1, x[n], 0)", "n", "where(1 <= n, x[n], 0)"),
                    ("where(1 == n, x[n], 0)", "n", "where(n == 1, x[n], 0)"),
                    ("where(N == n + 1, x[n], 0)", "n", "where(n == N - 1, x[n], 0)"),
                    ("where(n + 1 < 5 and 2 != n, x[n], 0)", "n", "where(n < 4 and n != 2, x[n], 0)")],
    "drop_implied": [("where(n + 1 < N, x[n+1]*b, 0)", "n", "x[n+1]*b"),
                     ("sum[n](where(n + 1 < N, exp(x[n+1])*y[n], 0))", "", "sum[n](exp(x[n+1])*y[n])")],
    "drop_known": [("where(n > 1, l[n]*x[n], 0)", "n", "l[n]*x[n]"),
                   ("sum[n](where(n > 1 and n < k, l[n]*x[n], 0))", "k", "sum[n](where(n < k, l[n]*x[n], 0))")],
}
FAILS = {
    "split_where": [("x[n]*where(n > 1, y[n], 1)", "n"), ("x[n]*where(x[n] > 1, 0, y[n])", "n")],  # nothing is 0; real numbers decide
    "settle_conditions": [("where(n > 0, x[n], 0)", "n"), ("where(n > 1 and n < 3, x[n], 0)", "n")],  # true for some, false for others
    "settle_divisions": [("x[n]*z[(n+1)//N]", "n"), ("w[n]*y[n % N]", "n")],  # n + 1 may be N; n runs up to 2 N
    "settle_choices": [("exp(where(n > 0, x[n], y[n]))", "n"),
                       ("sum[n](exp(where(n < N, x[n], y[n+1])))", "")],  # the sum leaves out the last place
    "rectify": [("where(x[n] > 0, relu(y[n]), 0)", "n"), ("where(x[n] > -1, relu(x[n]), 0)", "n")],  # another one; lower
    "into_cases": [("N*where(x[n] > b, 1, where(x[n] == b, 0.5, 0))", "n"), ("y[n]*where(x[n] > b, 1, 0.5)", "n"),
                   ("y[n]*where(x[n] > b, 1, where(x[n] == b, y[n], 0))", "n"),
                   ("y[n]*where(x[n] > b, 1, where(x[n] == b, 0.5, 0))*where(y[n] > b, 1, where(y[n] == b, 0.5, 0))", "n"),
                   ("(x[n] + y[n])*(x[n] + b)*(y[n] + b)*(x[n] - b)*where(x[n] > b, 1, where(x[n] == b, 0.5, 0))", "n")],
    # a size; no 0 at the end; not all numbers; two choices; too long to be written twice
    "divide_exactly": [("where(n % s == 1, x[s*(n//s)], 0)", "n"), ("where(n > s, x[s*(n//s)], 0)", "n")],  # s need not divide
    "name_data": [("where(t[k] == n + 1, x[t[k]], 0)", "n,k"), ("where(t[k] < n, x[t[k]], 0)", "n,k"),
                  ("sum[n](where(t[k] == n, x[t[k]]*x[n], 0))", "k")],  # n + 1 is no plain name; it is summed
    "transpose": [("sum[k](A[k,n]*y[k])", "n"), ("sum[n,k](G[k,n]*x[n])", "")],  # not symmetric; no letter is on the left
    "contract_delta": [("sum[n](where(2*n == k, x[n], 0))", "k"), ("where(n == k, A[n,k], 0)", "n,k")],  # 2n = k; nothing is summed
    "contract_remainder": [("sum[n](where((k - n) % s == 0, x[n]*z[(k-n)//s], 0))", "k"), ("where((k - n) % N == 0, x[n], 0)", "n,k"),
                           ("sum[n](where((k + n) % N == 0, x[n], 0))", "k"),
                           ("sum[n](where((k - 2*n) % N == 0, x[n], 0))", "k")],  # more than s; not summed; turned; in twos
    "drop_outside": [("sum[n](y[n]*x[n+1])", ""), ("y[n]*exp(x[n+N])", "n")],  # in range for some; exp(0) is 1
    "sum_of_nothing": [("sum[n](where(n > 1, b, 0))", ""), ("sum[n](b*x[n])", "")],  # a condition, a factor knows n
    "cancel": [("x[n]*y[n]/y[n]", "n"), ("x[n]*l[n]/l[n]", "n"), ("x[n]*p[n+1]/p[n+1]", "n"),
               ("3*x[n]/(2*N)", "n")],  # 0; exp(−∞) = 0; 0/0 outside; nothing in common
    "where_divided": [("f[n]*b/y[n]", "n"), ("f[n]*x[n]", "n"), ("b/x[n]", "n"), ("f[n+1]/x[n]", "n")],  # asks nothing of y; no quotient; …
    "common_sign": [("x[n]*(b - y[n])", "n"), ("-x[n] - y[n]", "n")],  # one has none; nothing for it to stand before
    "deviations": [("sum[k]((P[n,k] - m[n])*P[n,k])", "n"), ("sum[k](where(k > 1, P[n,k] - m[n], 0))", "n"),
                   ("sum[k](P[n,k] + m[n])", "n"), ("sum[k](q[n,k] - m[n])", "n")],  # weighted; not all; a sum; another's mean
    "use_givens": [("sum[k](q[n,k]*z[k])", "n"), ("sum[k](where(k > 1, q[n,k]*x[n], 0))", "n"), ("sum[k](P[n,k]*x[n])", "n"),
                   ("sum[k](q[n+1,k])", "n")],  # weighted; not all; not given; outside, where the sum is 0
    "known_totals": [("sum[k](S[n,k]*z[k])", "n"), ("sum[k](where(k > 1, S[n,k]*x[n], 0))", "n"), ("sum[k](R[n,k]*x[n])", "n"),
                     ("sum[n](S[n,k])", "k"), ("sum[k](S[n+1,k])", "n")],  # weighted; not all; no softmax; the other axis; outside
    "known_sums": [("sum[k](P[n,k]*z[k])", "n"), ("sum[k](where(k > 1, P[n,k], 0))", "n"), ("sum[n](P[n,k])", "k"),
                   ("sum[k](P[n+1,k])", "n")],  # weighted; not all; the other axis; outside
    "join_exponentials": [("exp(x[n] - y[n])*exp(y[n])", "n"), ("exp(x[n] - y[n])*exp(x[n] - b)", "n")],  # large alone; nothing shared
    "index_alone": [("where(n + 1 < N, x[n], 0)", "n"), ("where(1 <= n, x[n], 0)", "n"), ("where(2*n < 4, x[n], 0)", "n"),
                    ("where(0 < x[n], x[n], 0)", "n")],  # two names; alone already; twice the index; no integers
    "drop_implied": [("where(n + 1 < N, exp(x[n+1])*b, 0)", "n"), ("where(n + 1 < N, x[n+1]/y[n+1], 0)", "n"),
                     ("where(n + 1 < N, x[n+1]/g[n], 0)", "n")],  # exp(0) = 1; 0/0; the same by another name
    "drop_known": [("where(n > 1, e[n]*x[n], 0)", "n"), ("where(n > 2, l[n]*x[n], 0)", "n"), ("where(n > 1, l[n] + x[n], 0)", "n"),
                   ("where(n > 1, l[n]/x[n], 0)", "n"), ("where(n > 1, l[n]*e[n], 0)", "n")],  # no mask; another; no product; 0/0; 0·∞
}


def _cases(table: dict[str, list[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    return [(law, *case) for law, cases in table.items() for case in cases]


def _more(left: str) -> str:
    return {"n": "  for n < N", "k": "  for k < N", "n,k": "  for n < N, k < N"}.get(left, "")


@pytest.mark.parametrize(("law", "text", "left", "expected"), _cases(APPLIES))
def test_a_law_applies(law: str, text: str, left: str, expected: str) -> None:
    more = "  for n < N" if text == "sum[n](b**2)" or text.startswith("sum[n](where(n > 1, b") else _more(left)
    assert after(law, term(text, left, more)) == expected


@pytest.mark.parametrize(("law", "text", "left"), _cases(FAILS))
def test_a_law_keeps_to_its_condition(law: str, text: str, left: str) -> None:
    more = "  for n < N" if text.startswith("sum[n](where(n > 1, b") else "  for n < 2*N" if "w[n]" in text else _more(left)
    before, dims, ctx = term(text, left, more)
    assert LAWS[law].apply(before, dims, ctx) == before


def test_cases_that_do_the_same_are_joined() -> None:
    one, _, _ = term("where(n == 0, x[0]*b, 0)", "n", "  for n < N")
    rest, _, _ = term("where(n >= 1, x[n]*b, 0)", "n", "  for n < N")
    other, _, _ = term("where(n >= 1, y[n]*b, 0)", "n", "  for n < N")
    rest, other = (replace(t, conditions=tuple(_flipped(c) for c in t.conditions)) for t in (rest, other))
    (joined,) = LAWS["join_cases"].apply([one, rest])
    assert str(joined.expression()) == "where(0 <= n, x[n]*b, 0)"
    assert LAWS["join_cases"].apply([one, other]) == [one, other]  # they do not do the same


def _flipped(c: Expr) -> Expr:
    assert isinstance(c, Op) and c.op == ">="
    return Op("<=", c.args[::-1])


RANGES = {i: Range.upto(Int.symbol(size)) for i, size in (("n", "N"), ("k", "N"), ("l", "N"), ("m", "M"))}


def whole(text: str) -> Expr:
    return nd.parse(f"a[N], b[N], c[N], d[N], A[N,N], e[M] -> u\nu[n] = {text}  for n < N").equations[0].body


def parts(text: str) -> list[Expr]:
    return [t if s > 0 else Op("neg", (t,)) for s, t in additive_terms(whole(text))]


def shown(found: list[Expr]) -> str:
    return " + ".join(map(str, found)).replace("+ -", "- ")


@pytest.mark.parametrize(("law", "text", "expected"), [
    ("merge_equal", "2*a[n]*b[n] + b[n]*a[n]", "3*a[n]*b[n]"),
    ("merge_equal", "a[n]*b[n] - b[n]*a[n] + c[n]", "c[n]"),
    ("merge_equal", "sum[k](A[n,k]*a[k]) + sum[l](a[l]*A[n,l])", "2*sum[k](A[n,k]*a[k])"),
    ("merge_equal", "sum[k](A[n,k]) + sum[m](A[n,m])", "sum[k](A[n,k]) + sum[m](A[n,m])"),  # m has another range
    ("merge_equal", "a[n]*b[n] + a[n]*c[n]", "a[n]*b[n] + a[n]*c[n]"),  # not the same but for a number
    ("common_factor", "a[n]*b[n] + a[n]*c[n]", "a[n]*(b[n] + c[n])"),
    ("common_factor", "2*a[n]*(b[n] - c[n]) - 2*a[n]*(b[n] - d[n])", "2*a[n]*(d[n] - c[n])"),
    ("common_factor", "(a[n] - b[n]) - (a[n] - c[n])", "c[n] - b[n]"),
    ("common_factor", "2*a[n]*b[n] + 3*a[n]*c[n]", "a[n]*(2*b[n] + 3*c[n])"),  # the numbers differ
    ("common_factor", "a[n]*b[n] + c[n]", "a[n]*b[n] + c[n]"),  # nothing is common
    ("common_factor", "a[n]*b[n] + a[n]*sum[k](A[n,k])", "a[n]*b[n] + a[n]*sum[k](A[n,k])"),  # a sum over indices stays by itself
    ("turn_difference", "-c[n]*(1 - a[n]**2)", "-c[n]*(1 - a[n]**2)"),  # the minus stands before a product
])
def test_a_law_of_parts(law: str, text: str, expected: str) -> None:
    assert shown(LAWS[law].apply(parts(text), RANGES)) == expected


@pytest.mark.parametrize(("inside", "expected"), [
    ("a[n] - b[n]", "b[n] - a[n]"), ("(a[n] - b[n])/N", "(b[n] - a[n])/N"),
    ("a[n] + b[n]", "-(a[n] + b[n])"), ("b[n]*(1 - c[n])", "-b[n]*(1 - c[n])"),  # no difference; a product with a complement
    ("2*b[n]*(a[n] - c[n])/N", "2*b[n]*(c[n] - a[n])/N"), ("(1 - a[n])/2", "0.5*(a[n] - 1)"),
    ("(a[n] - 1)/N", "(1 - a[n])/N"),
    ("(a[n] - b[n])*(c[n] - d[n])", "-(a[n] - b[n])*(c[n] - d[n])"),  # two differences
])
def test_a_minus_before_a_difference_turns_it(inside: str, expected: str) -> None:
    assert shown(LAWS["turn_difference"].apply([Op("neg", (whole(inside),))], RANGES)) == expected


def test_the_value_of_a_function_stands_for_it_in_its_derivative() -> None:
    x, y = scalar.symbol(0), scalar.symbol(1)
    own = LAWS["own_value"].apply
    for f, expected in ((scalar.tanh(x), 1 - scalar.OWN**2), (sp.exp(x), scalar.OWN), ((y - 2) / x, -scalar.OWN / x)):
        assert own(sp.diff(f, x), f, x) == expected
    assert own(sp.diff(sp.sqrt(x), x), sp.sqrt(x), x) == 1 / (2 * scalar.OWN)
    z = scalar.symbol(2)
    assert own(sp.diff(y / (x * z), x), y / (x * z), x) == -scalar.OWN / x
    assert own(sp.diff(y / sp.sqrt(x), x), y / sp.sqrt(x), x) == -scalar.OWN / (2 * x)
    assert own(sp.diff(y / x, x), y / x, x, False) == -y / x**2  # nothing is called so
    # a product, a sum, x above the line, a choice, two factors above the line, x on both sides
    for f in (x * y, scalar.tanh(x) + y, x / y, scalar.larger(x, y), y * z / x, sp.exp(x) / x):
        assert own(sp.diff(f, x), f, x) == sp.diff(f, x)


def test_a_common_number_stands_in_front() -> None:
    a, b = scalar.symbol(0), scalar.symbol(1)
    assert LAWS["content"].apply(2 * a - 4 * b) == (2, a - 2 * b)
    assert LAWS["content"].apply(2 * a - 3 * b) == (1, 2 * a - 3 * b)
    assert LAWS["content"].apply(a / 3 + b / 3) == (sp.Rational(1, 3), a + b)
    for e in (a + sp.Rational(1, 100000), a / 2 - b, 1 + sp.Rational(134145, 10**6) * a):  # a term without a number gets none
        assert LAWS["content"].apply(e) == (1, e)


def test_the_logistic_function_is_known_however_it_is_written() -> None:
    u, v = scalar.symbol(0), scalar.symbol(1)
    known, one = LAWS["logistic"].apply, sp.Integer(1)
    for f, expected in (
        (one / (1 + sp.exp(-u)), scalar.sigmoid(u)), (v / (1 + sp.exp(u * v)), v * scalar.sigmoid(-u * v)),
        (sp.exp(u) / (1 + sp.exp(u)), scalar.sigmoid(u)), (sp.log(1 + sp.exp(-u)), scalar.softplus(-u)),
    ):
        assert known(f) == expected
    for f in (one / (2 + sp.exp(u)), sp.log(sp.exp(u) - 1), sp.exp(u) / (1 + u), 1 + sp.exp(u)):  # another number, no power
        assert known(f) == f


def test_the_normal_distribution_is_known_by_its_error_function() -> None:
    u = scalar.symbol(0)
    known, error, phi = LAWS["gaussian"].apply, scalar.erf(u / sp.sqrt(2)), scalar.normal_distribution(u)
    assert known((1 + error) / 2) == phi and known(u * (1 + error)) == 2 * u * phi
    assert phi.diff(u) == scalar.normal_density(u) and scalar.normal_density(u).diff(u) == -u * scalar.normal_density(u)
    for f in (error, 2 + error, 1 - error):
        assert known(f) == f


def test_the_hyperbolic_tangent_is_known_by_its_exponentials() -> None:
    u, v = scalar.symbol(0), scalar.symbol(1)
    known, up, down = LAWS["logistic"].apply, sp.exp(u - v), sp.exp(v - u)
    assert known(u * (up - down) / (up + down)) == u * scalar.tanh(u - v)
    for f in ((up + down) / (up - down), (up - sp.exp(u)) / (up + down), (up - down) / (up + 2 * down)):
        assert known(f) == f


def test_a_relu_needs_no_slope_of_its_own_beside_it() -> None:
    x, y = scalar.symbol(0), scalar.symbol(1)
    r, law = scalar.relu(x), LAWS["rectified"].apply
    assert law(2 * y * r * r.fdiff()) == 2 * y * r and law((r**3).diff(x)) == 3 * r**2
    for f in (y * r.fdiff(), r.fdiff() * scalar.relu(y), r.fdiff() + r):
        assert law(f) == f


def test_quotients_of_one_sum_are_one_where_that_is_shorter() -> None:
    x, a = scalar.symbol(0), scalar.symbol(1)
    one, size = LAWS["one_fraction"].apply, scalar.absolute(x)
    assert one(1 / (1 + size) - x * scalar.sgn(x) / (1 + size)**2) == 1 / (1 + size)**2
    assert one(1 / (a + x) - x / (a + x)**2) == a / (a + x)**2
    assert one(1 / (1 + x**2) - 2 * x**2 / (1 + x**2)**2) == (1 - x**2) / (1 + x**2)**2
    assert one(1 / (a * (1 + x / a))) == 1 / (a + x) and one(x / (a**2 * (1 + (x - 1)**2 / a**2))) == x / (a**2 + (x - 1)**2)
    for f in (a / (1 + x) - x**3 / (1 + a)**2, 1 / x - 1 / x**2, a / (1 + x) + 1):  # other sums; no sum; a term without it
        assert one(f) == f


def test_a_number_by_its_size_is_its_reciprocal_with_its_sign() -> None:
    x, a, law = scalar.symbol(0), scalar.symbol(1), LAWS["one_fraction"].apply
    assert law(a * scalar.sgn(x) / scalar.absolute(x)) == a / x and law(scalar.sgn(x - a) / scalar.absolute(x - a)) == 1 / (x - a)
    for f in (scalar.sgn(x) / scalar.absolute(a), scalar.sgn(x) / scalar.absolute(x)**2, scalar.sgn(x) * scalar.absolute(x)):
        assert law(f) == f


def test_a_factor_that_all_terms_have_stands_before_them() -> None:
    x, a, law = scalar.symbol(0), scalar.symbol(1), LAWS["common_function"].apply
    bell, s = sp.exp(-(x**2)), scalar.sigmoid(a * x)
    assert law((x * bell).diff(x)) == bell * (1 - 2 * x**2) and law((x * s).diff(x)) == s * (1 + a * x * (1 - s))
    assert law(x * a + x * bell) == x * (a + bell)
    for f in (bell + x, bell + s, scalar.tanh(x) + x * (1 - scalar.tanh(x)**2), 2 * x + 2 * a):  # not all terms; a number
        assert law(f) == f


def test_what_is_taken_on_one_side_or_on_the_other_is_one_choice() -> None:
    x, a, law = scalar.symbol(0), scalar.symbol(1), LAWS["either"].apply
    above, below = scalar.larger(x, a).diff(x), scalar.larger(x, a).diff(a)
    joined = scalar.choose(scalar.greater(x, a), 2, scalar.choose(scalar.equal(x, a), (2 + a) / 2, a))
    assert law(2 * above + a * below + x) == joined + x and law(above + scalar.smaller(x, a).diff(x)) == 1
    for f in (above + x, 2 * above + a * above, above * below):  # one side only
        assert law(f) == f


def test_every_law_of_a_term_that_a_derivation_shows_has_a_name_and_a_reason() -> None:
    shown = {law.name for law in TABLE if law.on in ("term", "last")}
    assert not shown - NAMES.keys() and not shown - REASONS.keys()


def test_every_law_says_what_it_does_and_is_tested_here() -> None:
    elsewhere = {"join_cases", "merge_equal", "common_factor", "turn_difference", "own_value", "content", "logistic", "gaussian",
                 "one_fraction", "either", "common_function", "rectified"}
    assert set(APPLIES) == set(FAILS) == set(LAWS) - elsewhere
    for law in TABLE:
        assert "=" in law.statement and law.title, law.name
