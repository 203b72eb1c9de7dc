"""A definition that needs itself is refused, and the cycle named; every recurrence that has an order parses."""

from __future__ import annotations

import pytest

import nnderiv as nd

ORDERED = {
    "behind": "x[T] -> h\nh[t] = tanh(h[t-1]) + x[t]",
    "ahead": "x[T] -> e\ne[t] = x[t] + e[t+1]",
    "second order": "x[T] -> y\ny[t] = x[t] + y[t-1]*y[t-2]",
    "two axes": "c[N,M] -> D\nD[i,j] = c[i,j] + min(D[i-1,j], D[i,j-1], D[i-1,j-1])",
    "forward substitution": "L[N,N], b[N] -> x\nx[i] = (b[i] - sum[j](where(j < i, L[i,j]*x[j], 0)))/L[i,i]",
    "back substitution": "U[N,N], b[N] -> x\nx[i] = (b[i] - sum[j](where(j > i, U[i,j]*x[j], 0)))/U[i,i]",
    "halves": "x[N] -> y\ny[0] = x[0]\ny[n] = x[n] + y[n//2]",
    "guarded": "x[N] -> y\ny[n] = x[n] + where(n > 0, y[n-1], 0)",
    "two tensors": "x[T,H], W[H,H] -> h\nz[t,k] = sum[l](W[k,l]*h[t-1,l]) for t < T\nh[t,k] = tanh(z[t,k] + x[t,k])",
    "a parameter behind": "x[T], int p -> y\ny[t] = x[t] + y[t-p]",
    "a place that data choose": "x[T], int q[T] -> y\ny[t] = x[t] + y[q[t]]",
    "base case in place of the cycle": "x[N] -> y\ny[N-1] = x[0]\ny[n] = x[n] + y[N-1]",
    "even and odd": "x[N] -> y\ny[n] = x[n] + where(n % 2 == 0, y[n+1], 0)",
}

CYCLIC = {
    "itself": ("x[T] -> h\nh[t] = tanh(h[t]) + x[t]", "h[t] needs itself"),
    "each other": ("x[T] -> a\na[t] = b[t] + x[t]\nb[t] = a[t]", "a[t] needs b[t], which needs a[t]"),
    "scalars": ("x -> a\na = b + x\nb = a", "a needs b, which needs a"),
    "three": ("x[T] -> a\na[t] = b[t]\nb[t] = c[t]\nc[t] = a[t] + x[t]", "a[t] needs b[t], which needs c[t], which needs a[t]"),
    "both neighbours": ("x[T] -> y\ny[t] = x[t] + y[t-1] + y[t+1]", "which needs y[t]"),
    "mirror": ("x[T] -> y\ny[t] = x[t] + y[T-1-t]", "y[T-t-1]"),
    "halves without a base case": ("x[N] -> y\ny[n] = x[n] + y[n//2]", "y[0] needs itself"),
    "a matrix at the same time": ("x[T,H], W[H,H] -> h\nz[t,k] = sum[l](W[k,l]*h[t,l])\nh[t,k] = z[t,k] + x[t,k]", "which needs h[0,0]"),
    "the diagonal too": ("L[N,N], b[N] -> x\nx[i] = b[i] - sum[j](where(j <= i, L[i,j]*x[j], 0))", "x[0] needs itself"),
    "the mean of all": ("b[N] -> x\nx[i] = b[i] - mean[j](x[j])", "x[0] needs itself"),
    "softmax of itself": ("b[N] -> x\nx[i] = b[i] - softmax[i](x[i])", "needs itself"),
    "the last place": ("x[T] -> y\ny[t] = x[t] + y[T-1]", "needs itself"),
}


@pytest.mark.parametrize("name", ORDERED)
def test_what_has_an_order_parses(name: str) -> None:
    nd.parse(ORDERED[name])


@pytest.mark.parametrize("name", CYCLIC)
def test_what_needs_itself_is_refused_by_name(name: str) -> None:
    text, chain = CYCLIC[name]
    with pytest.raises(nd.DefinitionError) as caught:
        nd.parse(text)
    assert chain in str(caught.value)
    assert caught.value.repair


def test_a_gradient_program_is_as_ordered_as_its_forward() -> None:
    for text in ORDERED.values():
        nd.parse(str(nd.derive(text).backward))
