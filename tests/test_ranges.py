"""Ranges: plain subscripts settle them, what is left takes the most that stays inside, a `for` clause wins."""

from __future__ import annotations

import numpy as np
import pytest

import nnderiv as nd


def dims(text: str) -> str:
    p = nd.parse(text)
    return str(p.dims[p.outputs[0]])


def test_a_plain_subscript_settles_the_range() -> None:
    assert dims("X[N,I], W[I,O] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o])") == "(0 .. N - 1, 0 .. O - 1)"


def test_a_shift_settles_it_where_nothing_plain_does() -> None:
    assert dims("X[H], W[U] -> Y\nY[i] = sum[u](W[u]*X[i+u])") == "(0 .. H - U,)"
    assert dims("X[H] -> Y\nY[i] = X[i+2] - X[i]") == "(0 .. H - 1,)"
    assert dims("X[H] -> Y\nY[i] = X[i+2] - X[i+1]") == "(0 .. H - 3,)"


def test_a_stride_settles_it_by_floor_division() -> None:
    assert dims("X[H], W[U], int s -> Y\nY[i] = sum[u](W[u]*X[s*i+u])") == "(0 .. (H - U)//s,)"


def test_a_mirror_settles_it() -> None:
    assert dims("x[N] -> y\ny[n] = x[N-1-n]") == "(0 .. N - 1,)"


def test_a_for_clause_wins() -> None:
    assert dims("X[H] -> Y\nY[i] = X[i] for i < 3") == "(0 .. 2,)"
    assert dims("X[H], int p -> Y\nY[i] = X[i-p] for i < H + 2*p") == "(0 .. H + 2*p - 1,)"
    assert dims("X[H] -> Y\nY[i] = X[i] for 1 <= i <= 2") == "(1 .. 2,)"


def test_sizes_that_one_index_unifies_are_required_to_be_equal() -> None:
    p = nd.parse("X[N], Y[M] -> z\nz = sum[i](X[i]*Y[i])")
    (r,) = p.requirements
    assert {str(r.left), str(r.right)} == {"N", "M"}
    with pytest.raises(nd.EvaluationError, match="N == M"):
        nd.evaluate(p, {"X": [1, 2], "Y": [1, 2, 3]})


def test_literal_sizes_that_disagree_are_refused_at_once() -> None:
    with pytest.raises(nd.NotationError, match="disagree"):
        nd.parse("X[3], Y[4] -> z\nz = sum[i](X[i]*Y[i])")


@pytest.mark.parametrize(("text", "repair"), [
    ("x[N,2*D], W[D,D] -> s\ns[n,d] = sum[e](W[d,e]*x[n,e])", "for e < D"),
    ("r[T], V[T+1] -> d\nd[t] = r[t] + V[t+1] - V[t]", "for t < T"),
])
def test_sizes_that_are_equal_for_nothing_but_empty_axes_are_refused_at_once(text: str, repair: str) -> None:
    with pytest.raises(nd.NotationError, match=repair):
        nd.parse(text)
    assert nd.derive(f"{text} {repair}").check(seed=0).ok


def test_a_for_clause_reads_a_prefix() -> None:
    p = nd.parse("X[N], Y[M] -> z\nz = sum[i](X[i]*Y[i]) for i < M")
    assert not p.requirements
    assert nd.evaluate(p, {"X": [1, 2, 3], "Y": [1, 1]})["z"] == 3


def test_a_base_case_outside_widens_what_can_be_read_only() -> None:
    p = nd.parse("x[T], h0 -> h\nh[-1] = h0\nh[t] = x[t] + h[t-1]")
    assert str(p.dims["h"]) == "(0 .. T - 1,)"
    assert str(p.hulls["h"]) == "(-1 .. T - 1,)"


def test_a_base_case_inside_is_cut_out_of_the_general_range() -> None:
    p = nd.parse("x[T] -> h\nh[0] = 2*x[0]\nh[t] = x[t] + h[t-1]")
    assert str(p.definitions["h"][-1].ranges["t"]) == "1 .. T - 1"
    assert str(p.dims["h"]) == "(0 .. T - 1,)"


@pytest.mark.parametrize("bases", [
    "D[0,0] = 1\nD[i,0] = D[i-1,0] + x[i-1] for 1 <= i < N + 1\nD[0,j] = D[0,j-1] + y[j-1] for 1 <= j < M + 1",
    "D[0,j] = y[j-1] for 1 <= j < M + 1\nD[i,0] = x[i-1] for i < N + 1",
    "D[i,0] = x[i-1] for i < N + 1\nD[0,j] = y[j-1] for j < M + 1",
])
def test_a_face_that_base_cases_cover_together_is_cut_off(bases: str) -> None:
    """With its corner by itself, as in a table of distances: the general equation never reads what lies before the first row."""
    text = f"x[N], y[M] -> D\n{bases}\nD[i,j] = cos(D[i-1,j] + x[i-1]) + D[i,j-1]*D[i-1,j-1]*y[j-1] for i < N + 1, j < M + 1"
    p = nd.parse(text)
    assert [str(r) for r in p.definitions["D"][-1].ranges.values()] == ["1 .. N", "1 .. M"]
    assert nd.parse(str(p)) == p
    assert nd.derive(p).check(seed=0).ok


def test_a_face_with_a_gap_is_not_cut_off() -> None:
    """Nobody says what D[0,1] is but the general equation."""
    p = nd.parse("x[N], y[M] -> D\nD[0,0] = 1\nD[i,0] = x[i-1] for 1 <= i < N + 1\nD[0,j] = y[j-1] for 2 <= j < M + 1\n"
                 "D[i,j] = cos(D[i-1,j]) + D[i,j-1] for i < N + 1, j < M + 1")
    assert [str(r) for r in p.definitions["D"][-1].ranges.values()] == ["0 .. N", "1 .. M"]
    assert nd.evaluate(p, {"x": [1], "y": [2, 3]})["D"][0][1] == 1 + 1
    assert nd.derive(p).check(seed=0).ok


def test_a_range_that_nothing_settles_is_asked_for() -> None:
    with pytest.raises(nd.NotationError, match="Nothing settles the range of n"):
        nd.parse("X[N] -> Y\nY[n] = 1")


def test_ranges_flow_through_programs_in_any_order() -> None:
    text = "x[T,I], W[I,H] -> y\ny[t,k] = z[t,k]**2\nz[t,k] = sum[i](x[t,i]*W[i,k])"
    assert dims(text) == "(0 .. T - 1, 0 .. H - 1)"


def test_what_must_be_equal_is_required_once() -> None:
    program = nd.parse("a[N,M], b[N,M] -> L\nL = sum[n,m](a[n,m]*b[m,n])")
    assert [(str(r.left), r.op, str(r.right)) for r in program.requirements] == [("M", "==", "N")]
    with pytest.raises(ValueError, match=r"M is 2 and N is 1"):
        nd.derive(program).compile().forward(a=np.ones((1, 2)), b=np.ones((1, 2)))


@pytest.mark.parametrize(("text", "clauses"), [
    # a base case says how far the rows of a recurrence go, to all that read them
    ("z0[N,D], W[T,D,D] -> y\nz[-1,n,i] = z0[n,i]\na[t,n,i] = sum[j](W[t,i,j]*z[t-1,n,j])\nz[t,n,i] = z[t-1,n,i] + tanh(a[t,n,i])\n"
     "y[n,i] = z[T-1,n,i]", 0),
    # so does the rest of a recurrence of which one range is set by hand
    ("x0[N,D], X[M,D] -> y\nx[-1,n,d] = x0[n,d]\np[t,n,m] = softmax[m](sum[d](X[m,d]*x[t-1,n,d]))\n"
     "x[t,n,d] = sum[m](p[t,n,m]*X[m,d]) for t < 3\ny[n,d] = x[2,n,d]", 1),
    # what one range that is set shows is not set again; but a base case of other rows is no help
    ("z[T], a, q, P0 -> P\nP[-1] = P0\nS[t] = a*P[t-1] + q for t < T\nK[t] = S[t]/(S[t] + 1)\nP[t] = (1 - K[t])*S[t]", 1),
    ("z0[N], w[T] -> y\nz[-1,n] = z0[n] for n < 2\nz[t,n] = w[t]*z[t-1,n] + w[t]*n for n < 4\ny[n] = z[T-1,n] for n < 4", 3),
])
def test_a_range_that_is_found_is_not_printed(text: str, clauses: int) -> None:
    program = nd.parse(text)
    printed = str(program)
    assert printed.count("  for ") == clauses and nd.parse(printed) == program
    backward = nd.derive(program).backward
    assert nd.parse(str(backward)) == backward
