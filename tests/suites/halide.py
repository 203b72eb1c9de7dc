"""Halide's gradient cases, as far as the notation can state them: a program, its inputs, and the gradients expected.

Source of the cases and of the numbers: halide/Halide (MIT), test/correctness/autodiff.cpp, at
014acd2bd45baf0730378df405f8dc296f64cbce; `source` names the function there. Stated differently here:

- clamped, repeated and mirrored images are read through an integer tensor of places, or have a base case at the end;
- an update of a place is a base case, a scatter is a sum over a condition, a copy of a function is a second tensor;
- x/4 as a subscript, which is no affine subscript, is a tensor of places too;
- the polynomial is summed over 16 abscissae instead of 1024.

Left out: floor, ceil, round and trunc as functions, inverse trigonometric and approximate functions, resampling at
places that are themselves computed (the subscript is then real data), float16.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from inspect import cleandoc
from math import cos, exp, log, sin, sqrt, tanh
from typing import Any


@dataclass(frozen=True)
class Fact:
    name: str
    source: str                         # the function in autodiff.cpp
    text: str
    inputs: dict[str, Any]
    gradients: dict[str, Any]           # of the sum of the outputs
    exact: bool = True                  # every number is rational: Fraction arithmetic must give it exactly

    def __repr__(self) -> str:
        return self.name


def fact(name: str, source: str, text: str, inputs: dict, gradients: dict, exact: bool = True) -> Fact:
    return Fact(name, source, cleandoc(text), inputs, gradients, exact)


Q = Fraction
IMAGE = [[i + j for j in range(5)] for i in range(5)]
TARGET = [[i * j for j in range(5)] for i in range(5)]
ERROR = [[2 * (IMAGE[i][j] - TARGET[j][i]) for j in range(5)] for i in range(5)]
CIRCLE = [[i + j for j in range(7)] for i in range(7)]
BLUR = "\n".join(["x[N], int at[M] -> L", "b[i] = x[at[i]] + x[at[i+1]] for i < 3", "L = sum[i](b[i])"])
HALF = 0.5

FACTS = [
    fact("arithmetic", "test_scalar", """
        x -> y
        y = x*x - 2*x + 5 + 3/x
        """, {"x": 5}, {"x": 8 - Q(3, 25)}),
    fact("functions", "test_scalar", """
        x -> y
        y = sin(x) + cos(x) + sin(x)/cos(x) + exp(x) + log(x) + sqrt(x) + x**1.5 + 1.5**x + tanh(x)
        """, {"x": HALF}, {"x": cos(HALF) - sin(HALF) + 1/cos(HALF)**2 + exp(HALF) + 1/HALF + 1/(2*sqrt(HALF))
                           + 1.5*sqrt(HALF) + log(1.5)*1.5**HALF + 1 - tanh(HALF)**2}, exact=False),
    fact("maximum-and-minimum", "test_scalar", """
        x -> y
        y = 2*max(x, 5) + 3*max(x, 1) + 5*min(x, 3) + 7*min(x, 2)
        """, {"x": Q(5, 2)}, {"x": 8}),
    fact("absolute-value", "test_scalar", """
        x -> y
        y = 2*abs(x) + 3*abs(-x)
        """, {"x": Q(-5, 2)}, {"x": -5}),
    fact("select", "test_scalar", """
        x -> y
        y = where(x > 0, 2*x, 3*x) + where(x < 0, 5*x, 7*x)
        """, {"x": 5}, {"x": 9}),
    fact("linear-interpolation", "test_scalar", """
        x, y, w -> z
        z = x*(1 - w) + y*w
        """, {"x": 2, "y": 6, "w": Q(1, 10)}, {"x": Q(9, 10), "y": Q(1, 10), "w": 4}),
    fact("box", "test_1d_box_no_clamp", """
        x[N] -> L
        b[i] = x[i] + x[i+1] for i < 2
        L = sum[i](b[i]*b[i])
        """, {"x": [1, 2, 3]}, {"x": [6, 16, 10]}),
    fact("box-clamped", "test_1d_box", """
        x[N] -> L
        c[N] = x[N-1]
        c[i] = x[i]
        b[i] = c[i] + c[i+1] for i < N
        L = sum[i](b[i]*b[i])
        """, {"x": [1, 2]}, {"x": [6, 22]}),
    fact("update-that-adds", "test_update", """
        x[N], int at[M] -> L
        b[i] = x[at[i]] + x[at[i+1]] for i < 3
        L = sum[i](b[i]*b[i])
        """, {"x": [1, 2, 3], "at": [0, 1, 2, 2]}, {"x": [6, 16, 34]}),
    fact("update-that-squares", "test_nonlinear_update", """
        x[N], int at[M] -> L
        u[0,i] = x[at[i]] for i < 4
        u[1,i] = u[0,i]*u[0,i] + x[at[i+1]] for i < 3
        u[k,i] = 0 for k < 2, i < 3
        L = sum[i](u[1,i])
        """, {"x": [1, 2, 3], "at": [0, 1, 2, 2]}, {"x": [2, 5, 8]}),
    fact("convolution", "test_rdom_conv", """
        x[N], k[U], int at[M] -> L
        y[i] = sum[u](x[at[i+u]]*k[u]) for i < N
        L = sum[i](y[i]*y[i])
        """, {"x": [1, 2, 3, 4], "k": [2, 1], "at": [0, 1, 2, 3, 3]}, {"x": [16, 36, 54, 92], "k": [192, 234]}),
    fact("polynomial-by-horner", "test_horner_polynomial", """
        c[N], int M -> L
        p[x,k] = p[x,k+1]*x/(M - 1) + c[N-1-k] for x < M, k < N
        L = sum[x](p[x,0])/M
        """, {"c": list(range(1, 9)), "M": 16},
         {"c": [sum(Q(j, 15)**(7 - i) for j in range(16)) / 16 for i in range(8)]}),
    fact("updates-in-order", "test_nonlinear_order_dependent_rdom", """
        x[N] -> L
        f[i,0] = x[i]
        f[i,t] = f[i,t-1]*f[i,t-1] + x[t-1] for t < N + 1
        L = sum[i](f[i,N])
        """, {"x": [2, 3]}, {"x": [82, 134]}),
    fact("from-one-axis-to-two", "test_1d_to_2d", """
        x[N] -> L
        y[i,j] = (i + 1)*x[j] for i < 2
        L = sum[i,j](y[i,j]*y[i,j])
        """, {"x": [1, 2]}, {"x": [10, 20]}),
    fact("sparse-update", "test_sparse_update", """
        x[N] -> L
        y[1] = 0
        y[2] = 2*x[1]
        y[i] = x[i]
        L = sum[i](y[i])
        """, {"x": [1, 2, 3]}, {"x": [1, 2, 0]}),
    fact("histogram", "test_histogram", """
        int bin[N], k[M] -> L
        y[b] = sum[r](where(bin[r] == b, k[r], 0)) for b < 4, r < N
        L = sum[b](y[b]*(b + 1))
        """, {"bin": [2, 2, 1, 3], "k": [Q(1, 2), 1, Q(3, 2), 2, Q(5, 2)]}, {"k": [3, 3, 2, 4, 0]}),
    fact("histogram-ten-times", "test_multiple_updates_histogram", """
        int bin[N], k[M] -> L
        y[0,b] = 0 for b < 4
        y[t,b] = y[t-1,b] + sum[r](where(bin[r] == b, k[r], 0)) for t < 11, b < 4, r < N
        L = sum[b](y[10,b]*(b + 1))
        """, {"bin": [2, 2, 1, 3], "k": [Q(1, 2), 1, Q(3, 2), 2, Q(5, 2)]}, {"k": [30, 30, 20, 40, 0]}),
    fact("update-of-ranges", "test_rdom_update", """
        x[N] -> L
        y[i] = where(i == 0, x[i], where(i < 3, x[i-1], 0)) for i < 5
        L = sum[i](y[i])
        """, {"x": [1, 2, 3]}, {"x": [2, 1, 0]}),
    fact("repeated-edge", "test_repeat_edge", BLUR, {"x": [1, 2], "at": [0, 1, 1, 1]}, {"x": [1, 5]}),
    fact("zeros-outside", "test_constant_exterior", """
        x[N] -> L
        b[i] = x[i] + x[i+1] for i < 3
        L = sum[i](b[i])
        """, {"x": [1, 2]}, {"x": [1, 2]}),
    fact("repeated-image", "test_repeat_image", BLUR, {"x": [1, 2], "at": [0, 1, 0, 1]}, {"x": [3, 3]}),
    fact("mirrored-image", "test_mirror_image", BLUR, {"x": [1, 2], "at": [0, 1, 1, 0]}, {"x": [2, 4]}),
    fact("mirrored-interior", "test_mirror_interior", BLUR, {"x": [1, 2], "at": [0, 1, 0, 1]}, {"x": [3, 3]}),
    fact("copy", "test_implicit_vars", """
        x[N] -> L
        y[i] = x[i]
        L = sum[i](y[i])
        """, {"x": [1, 2]}, {"x": [1, 1]}),
    fact("pair", "test_tuple", """
        x[N] -> L
        a[i] = x[i] + 1
        b[i] = x[i+1] + 1
        L = sum[i](a[i] + b[i]) for i < N - 1
        """, {"x": [1, 2, 3]}, {"x": [1, 2, 1]}),
    fact("rounded-places", "test_floor_ceil", """
        x[N], int down[M], int up[M] -> L
        y[i] = x[up[i]] + x[down[i]]
        L = sum[i](y[i])
        """, {"x": [1, 2, 3], "down": [0, 0, 0, 0, 1, 1, 1, 1], "up": [0, 1, 1, 1, 1, 2, 2, 2]}, {"x": [5, 8, 3]}),
    fact("downsampling", "test_downsampling", """
        x[N] -> L
        y[i] = sum[r](x[4*i+r]) for i < 2, r < 4
        L = sum[i](y[i])
        """, {"x": list(range(10))}, {"x": [1] * 8 + [0] * 2}),
    fact("upsampling", "test_upsampling", """
        x[N], int at[M] -> L
        y[i] = x[at[i]]
        L = sum[i](y[i])
        """, {"x": list(range(4)), "at": [i // 4 for i in range(16)]}, {"x": [4] * 4}),
    fact("transposition", "test_transpose", """
        x[N,M], t[M,N] -> L
        y[i,j] = x[j,i]
        L = sum[i,j]((y[i,j] - t[i,j])**2)
        """, {"x": IMAGE, "t": TARGET}, {"x": ERROR}),
    fact("other-letters", "test_change_var", """
        x[N,M], t[N,M] -> L
        y[i,j] = x[i,j]
        z[a,b] = y[a,b]
        L = sum[i,j]((z[i,j] - t[i,j])**2)
        """, {"x": IMAGE, "t": TARGET}, {"x": ERROR}),
    fact("inside-a-circle", "test_rdom_predicate", """
        x[N,M] -> L
        y[i,j] = where((i - 3)*(i - 3) + (j - 3)*(j - 3) <= 10, 2*x[i,j], x[i,j])
        L = sum[i,j](y[i,j])
        """, {"x": CIRCLE}, {"x": [[2 if (i - 3)**2 + (j - 3)**2 <= 10 else 1 for j in range(7)] for i in range(7)]}),
    fact("reversal", "test_reverse_scan", """
        x[N] -> L
        y[i] = x[N-1-i]
        L = sum[i](y[i]*(i + 1))
        """, {"x": list(range(5))}, {"x": [5 - i for i in range(5)]}),
    fact("diagonal", "test_diagonal", """
        x[N] -> L
        f[i,j] = where(i == j, x[i] + x[i+1], 0) for i < 4, j < 4
        L = sum[i,j](f[i,j])
        """, {"x": list(range(5))}, {"x": [1, 2, 2, 2, 1]}),
    fact("guarded-branches", "test_select_guard", """
        x[N] -> L
        f[i] = where(x[i] > 0, (i + 1)/x[i], x[i]) + where(x[i] > 0, sqrt(x[i]), 1) + where(x[i] > 0, log(x[i]), 3*x[i])
        L = sum[i](f[i])
        """, {"x": [0, 1]}, {"x": [1 + 3, -2 + 0.5 + 1]}, exact=False),
    fact("parameter", "test_param", """
        p, x[N] -> L
        L = p*p*N*x[0]
        """, {"p": 2, "x": [1, 0]}, {"p": 8, "x": [8, 0]}),
]

# The second derivative, of x^2 + 3x + 4 at 1: 5, and then 2 (test_second_order).
SECOND_ORDER = fact("second-order", "test_second_order", """
    x -> y
    y = x*x + 3*x + 4
    """, {"x": 1}, {"x": 5, "xx": 2})
