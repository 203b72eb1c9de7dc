"""Laws on random programs; the long run (`python -m tests.long_run`) asks the same of many more."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from tests import laws
from tests.neighbours import neighbour
from tests.strategies import programs


def ask(law: str, text: str, seed: int) -> None:
    """A law on a program; where it finds nothing to compare, the program does not count as one of the examples."""
    try:
        laws.LAWS[law](text, seed)
    except laws.Nothing:
        reject()


short = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@short
@given(programs(), st.integers(0, 10**6))
def test_what_is_printed_reads_as_the_same_program(text: str, seed: int) -> None:
    ask("printed", text, seed)


@short
@given(programs(), st.integers(0, 10**6))
def test_gradients_agree_with_dual_numbers_exactly(text: str, seed: int) -> None:
    ask("derived", text, seed)


@settings(short, max_examples=30)
@given(programs(), st.integers(0, 10**6))
def test_second_derivatives_are_symmetric(text: str, seed: int) -> None:
    ask("symmetric", text, seed)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(short, max_examples=100)
@given(programs(), st.integers(0, 10**6))
def test_emitted_code_agrees_with_the_interpreter(text: str, seed: int) -> None:
    ask("emitted", text, seed)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(short, max_examples=40)
@given(programs(), st.integers(0, 10**6))
def test_leaving_an_optimisation_out_changes_no_result(text: str, seed: int) -> None:
    ask("switched", text, seed)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(short, max_examples=60)
@given(programs(), st.integers(0, 10**6))
def test_where_sizes_are_zero_a_module_gives_what_the_program_means(text: str, seed: int) -> None:
    ask("emptied", text, seed)


@settings(short, max_examples=40)
@given(programs(), st.integers(0, 10**6))
def test_simplifying_keeps_values_and_is_idempotent(text: str, seed: int) -> None:
    ask("tidied", text, seed)


@settings(short, max_examples=40)
@given(programs(), st.integers(0, 10**6))
def test_names_and_order_change_only_names_and_order(text: str, seed: int) -> None:
    ask("rewritten", text, seed)


# Programs on which a long run once found a mistake, each with the law that it broke and the seed of its numbers.
FOUND = (
    # The place of a parameter is no index over which a function could be kept.
    ("switched", 0, "x[T,N], w[N], int k -> y, z\ny[n] = tanh(x[k,n])*w[n]\nz[t,n] = x[t,n] - abs(x[0,n])"),
    # What the last step of a recurrence leaves has the name of a tensor that says the same already.
    ("switched", 0, "a[N,F], h0[F] -> y\nh[-1,f] = h0[f]\nh[n,f] = exp(a[n,f] + h[n-1,f])\ny[i,f] = h[i-1,f] for i < N+1"),
    # A slice up to 1 of an axis that may be empty is a window.
    ("emptied", 1, "x[T,H], W[G,H] -> h\nz[t,g] = sum[k](W[g,k]*x[t,k]) + h[t-1,g]\nh[t,k] = tanh(z[t,k])*z[t,k+H] for k < H"),
    # A factor that is 0 out of range does not save an empty softmax, whose normaliser is −inf: 0·∞ is not 0.
    ("symmetric", 7821, """A[3] -> Y3
Y1[t,j,n] = tanh((softmax[n](A[t]))**3) for t < 3, j < 3, n < 3
Y2[k,n] = softmax[k](max(softmax[k](Y1[2*k-1,2*n,k//2]), Y1[k,k,n]/(1 + exp(sin(Y1[2*n+1,k,k])))))
Y3[k,j] = (silu(Y2[0,k]))**3 for k < 3, j < 3"""),
    # The same where the normaliser stands inside another function: sin(S − lse).
    ("symmetric", 8496, """A[3,K,T], B[M,K,T], int p -> Y2
Y1[3-1,m] = B[2*m+m,m,m-2] for m < K
Y1[j,m] = Y1[j+1,m+1]*sigmoid(relu(B[p*m,m,2*m-1])) + Y1[j,m+1] + relu(B[p*m,m,2*m-1]) for j < 3, m < K
Y2[i,k,m] = sin(log_softmax[i](Y1[2*k-3*i,m])) for i < T, k < M, m < K"""),
    # An index that is a factor before a sum goes along when the sum becomes a scatter.
    ("emitted", 964, """A[N], B[T,K], C[K] -> Y1, Y2, Y3
Y1[i,t] = relu(gelu(B[t,i+t])/softplus(tanh(-C[i])))
Y2 = tanh(max[i,n](i*A[i]*B[n,n+i-1]))
Y3[m,t] = C[t] for m < T, t < K"""),
    # A running sum along the rows of one equation leaves the base case's row beside them alone.
    ("emitted", 1007, """A[T], B, C -> Y2
Y1[0,k] = sum[n](B*A[n]) for k < T
Y1[t,k] = Y1[t,k-1] + 2*-C for t < T, k < T
Y2[0,t] = (Y1[t-1,t] + C) for t < T
Y2[m,t] = max(Y2[m,t-1], (2 - Y1[m,t])) + Y1[t,t % 2] for m < T, t < T"""),
    # A scalar within what is walked through, place by place, keeps its brackets.
    ("emitted", 1153, """A[K], B[N,N,T], C[N,K] -> Y3
Y1[j,k,i] = logsumexp[n]((-A[2*i+i] + C[n,k % 2])) for j < N, k < N, i < T
Y2 = ((C[0,1] - C[0,0]) - (Y1[N-1,0,1] + Y1[0,N-1,T-1]))
Y3[t,k] = Y3[t-1,k]*sigmoid(B[2*k+1,(t+1)//2,k]/(2 + (Y2)**2)) + B[2*k+1,(t+1)//2,k]/(2 + (Y2)**2) for t < K, k < T
Y3[-1,k] = sum[v](Y1[0,v+2,v]) for k < T"""),
    # A minimum is walked through place by place only where what lies outside can be told to be inf.
    ("emitted", 6195, """A[T], B[K,T,T], C -> Y1
Y1[n,k] = sum[q](C*Y1[n+1,q])*sigmoid(min[t](B[t,2*k-3*t,n])) + min[t](B[t,2*k-3*t,n]) for n < T, k < T, q < T
Y1[T-1,k] = sum[u,t](A[k]*B[u,k,k-1]*B[t,k+u,k]) for k < T"""),
    # What a minimum is compared with is multiplied in the same order as the minimum, or in float32 the two differ.
    ("emitted", 8405, """A[T,T,T], B[T,T], C -> Y1
Y1[j] = min[k,m](logsumexp[t](C*B[t,m])*A[k,k,0]*A[m,k-m,j]) for j < T"""),
    # The error function of a whole number that is written in the program.
    ("emitted", 6, "A[T,T], B[M,M] -> Y1\nY1[n,k] = min[m](erf(2)*B[m,m]) for n < T, k < T"),
    # The error function of 0 is 0, in float32 too.
    ("emitted", 30693, """A[M,M], B[M], int tok[M], int p -> Y2
Y1[n,k] = erf((B[k] - B[n])) for n < M, k < M
Y2[n] = softmax[n](where(n % 2 == 0 or Y1[(n+1)//2,n] > 0, cos(Y1[n,tok[n]]), -inf)) for n < M
Y2[0] = (A[1,1] - p)"""),
    # A row of base cases that begins before the other equations do receives its gradient there, too.
    ("derived", 31113, """A[T,M], B, C[3,N] -> Y2
Y1[k,m] = m*A[k+2*m-1,k+1]*(C[m,2*m-3*m])**2
Y1[k,0] = max[i](A[2*i-3*i,i+1]) for k < 3
Y2[k,m] = min(min(Y2[k-1,N-1-m], Y2[k-1,N-1-m]), m*B) + Y1[k-1,m-m] for k < M, m < N"""),
    # What reads the maximum of nothing stands inside the condition, not before it: 0·∞ again.
    ("emitted", 53013, """A[M,M], B[T,T] -> Y1, Y2, Y3
Y1[m,i] = exp(-(min(max[j](A[(i+m)//2,m-i]*B[j,3*m-1]), 0.5))**2) for m < T, i < T
Y2[k] = min(Y2[k-2], softmax[k](where(k != 2, B[k % 2,k//2], -inf))) + B[2*k-3*k,k//2] for k < M
Y2[0] = Y1[1,0]/softplus(tanh(A[M-1,M-1]))
Y3[m] = sum[q]((Y1[q,q] + A[2*m+q,m-m])) for m < T"""),
    # An integer that is one operand of a sum keeps its brackets.
    ("printed", 7722, "B[M,M] -> Y\nY[j,t] = B[j,t]**3*((j + 3) - B[2*t,j+2]**2) for j < M, t < M"),
    # Outside its positions a log_softmax is −inf, and no reason to leave a term out of the sum around it.
    ("emitted", 1, """A[K], B[J,M] -> Y2
Y2 = logsumexp[m](mean[j](log_softmax[m](A[-m])*B[j,m]))"""),
    # Reductions of what does not read their index differ by its range all the same.
    ("emitted", 0, """A[N,M], B -> Y2, Y3
Y2[m] = log_softmax[m](B) for m < N
Y3[m] = 1/3*Y3[m+1] + 1/3*softmax[m](B) for m < M"""),
    # What is read through a view is not read later than the memory behind the view changes.
    ("emitted", 200481, """A[T], int tok[T] -> Y1, Y2, Y3
Y1[m] = 2*Y1[m+1] + Y1[m+1] + 0.5*max[t,k](A[m]*A[t]*A[k]) for m < T
Y1[T] = A[1]*A[1]
Y2[n,k] = (softmax[n](Y1[n]) - max[v,j](A[j]*A[v]*A[j])) for n < T, k < T
Y3 = (sum[m](Y2[m,tok[m]]) - max[v](Y2[1,v-1]))"""),
    # What is multiplied by 0 is read all the same: it settles the range of u.
    ("printed", 90210, """A[N,N,M], B[M,M], C[T,M,M] -> Y3
Y1[t,i] = sum[u](cos(t//N*B[t+1,u])*A[i,t,t]) for t < T, i < M, u < M
Y2[m] = 2*Y2[m-1] + 2*Y2[m-2] + 0.5*abs(Y1[m,m+1]) for m < T
Y3[m,i] = (sum[t](Y2[m-i]*A[t,t,m]) + softmax[i](A[(m+1)//2,m+2*m-1,2*i+1])) for m < M, i < M, t < N"""),
    # −log_softmax is the negative of the difference, not the difference.
    ("emitted", 0, "C[T] -> Y1, Y2\nY1[k] = -log_softmax[k](-C[k])\nY2[n] = Y1[n]*C[n]"),
    # Of two sums of what may be read outside, none is the one to multiply out.
    ("rewritten", 918373, """A[N], B[K,M], C, int tok[N] -> Y1
Y1[m] = (C/(2 + (C)**2) - C*B[(m+m)//2,m])*(A[m+2] + B[m+1,m])*exp(-(A[(m+1)//2])**2)"""),
    # Where a softmax runs over scores as they are read, an axis of one place that is empty leaves nothing.
    ("emptied", 771551, """A[K,T,M], int tok[K] -> Y2, Y3
Y1[j,n,t] = A[(t+1)//2,j,n-n] for j < T, n < M, t < T
Y2[m,t] = 2*Y2[m-1,t] + where(Y1[(t+t)//2,t-m,m-m] > 0, A[t+1,tok[m],(m+1)//2], 0) for m < K, t < K
Y2[0,t] = softmax[t](A[K-1-t,t-t,tok[t]]) for t < K
Y3[m] = ((A[2*m+m,m-2,m] - m))**2 for m < M"""),
    # What a gradient within a recurrence is asks for others of it: nothing is known of these.
    ("emitted", 8700, """A[M,M], B[M,M], C[M,M] -> Y2, Y3
        Y1[t,m] = Y1[t,m+1] + Y1[t+1,m] + sigmoid(B[m,m]) for t < M, m < M
        Y1[M-1,m] = exp(-(B[m,m])**2) for m < M
        Y2[m] = 0.5*Y2[m-1] + 2*softmax[m](C[m,m]) for m < M
        Y3[t,k] = Y3[t-1,k] + 1/3*-Y1[t,k+t-1] for t < M, k < M
        Y3[0,k] = where(A[k,k] >= 0, C[k,k], 0) for k < M"""),
    # A base case by hand does not say how far its tensor goes: the general equation does, and so its range is printed.
    ("printed", 0, """s[N,M], gap -> L
D[i,-1] = -gap*(i + 1) for i < N
D[i,j] = log(exp(D[i-1,j-1] + s[i-2,j]) + exp(D[i-1,j] - gap) + exp(D[i,j-1] - gap))
L = D[N-1,M-2]"""),
    # The share of a logsumexp goes by its name in whatever order its difference stands.
    ("rewritten", 1, "S[N,K] -> P\nt[n] = logsumexp[k](S[n,k])\nP[n,k] = exp(S[n,k] - t[n])"),
)
LAWFUL = (  # What a law once held against a program, though it keeps it.
    # A gradient that used a fact may be differentiated along it.
    ("symmetric", 0, "o[N,K], y[N,K] -> L\nL = -sum[n,k](y[n,k]*log_softmax[k](o[n,k]))/N\ngiven sum[k](y[n,k]) = 1"),
    # The words of a title are no names.
    ("rewritten", 0, "# a sum of squares\nx[N], a[N] -> b\nb = sum[n](a[n]*x[n]**2)"),
    # A size is told from another beside it in a product of both by where it stands.
    ("rewritten", 0, "x[G*S], int G -> r\nr[g] = sum[s](x[S*g+s]**2)/S for g < G, s < S"),
)


SINGULAR = (  # A factor of integers that is infinite where a read beside it is out of range: 0·∞ is not 0, and the place does not count.
    "x[J], c[J] -> y\ny[i] = sum[j](x[j-1]*(1/j + c[i])) for i < J, j < J",
    "x[J], c[J] -> y\ny[i] = sum[j](x[j-1]/j*c[i]) for i < J, j < J",
    "x[J], c[J] -> y\ny[i] = sum[j](x[j-1]*log(j)*c[i]) for i < J, j < J",
    "x[J], c[J] -> y\ny[i] = sum[j](x[j-1]*exp(1/j)*c[i]) for i < J, j < J",
    "x[J], c[J] -> y\ny[i] = sum[j](x[j-1]*j**(-0.5)*c[i]) for i < J, j < J",
    "x[J], c[J] -> y\ny[i] = sum[j](x[j-1]*sqrt(j - 1)*c[i]) for i < J, j < J",
    "x[I,J] -> D\nD[i,j] = tanh(1/(1 + i + 2*j)*D[i,j+1] + 0.5*D[i,j+1] + x[i,j]) for i < I, j < J",
    "x[I,J] -> D\nD[i,j] = tanh(log(1 + i + 2*j)*D[i,j+1] + 0.5*D[i,j+1] + x[i,j]) for i < I, j < J",
    "x[I,J] -> D\nD[i,j] = x[i,j+1]*exp(1/(i + j + 1)) + x[i,j+1]*0.5 for i < I, j < J",
    # The same inside loops, where indices are Python's integers: 1/0 is an error there, and (−1)**0.5 complex.
    "x[I,J] -> D\nD[i,j] = D[i-1,j]/2 + where(i > j, x[i,j]/(i - j)*sin(D[i-1,j]), 0)",
    "x[J] -> D\nD[j] = where(j > 1, x[j]/(j - 1)*sin(D[j-1]), x[j])",
    "x[J] -> D\nD[j] = where(j > 2, x[j]*sqrt(j - 2)*sin(D[j-1]), x[j])",
    "x[I,J] -> D\nD[i,j] = D[i,j-1]/2 + where(i > j, x[i,j]*(i - j)**(-1.5)*sin(D[i-1,j]), 0)",
    "x[I,J], W[K,K] -> D\nD[i,j,k] = tanh(x[i,j] + 1/(1 + i + 2*j)*sum[l](W[k,l]*D[i,j+1,l])) for i < I, j < J, k < K",
)


SHIFTED = (  # What a reduction leaves out is told by what its summand reads: a definition put in, or a read gone, must not change that.
    "x[N,K], z[N,K] -> y\np[n,k] = sigmoid(x[n,k-1] + z[n,k])\ny[n] = sum[k](log(1 - p[n,0]) + x[n,k]*log(p[n,k])) for n < N, k < K",
    "x[N,K], c[N] -> y\np[n,k] = softmax[n,k](x[n,k])\ny[n] = sum[k](c[n]*p[n-1,k]*log(p[n,k])) for n < N, k < K",
    "x[N,K] -> p, y\np[n,k] = softmax[n](x[n,k])\ny[n] = sum[k](x[n,k]*log(p[k,n])) for n < N, k < K",
    "x[N,K] -> y\np[n,k] = sigmoid(x[n,k+1]) for n < N, k < K - 1\ny[n] = sum[k](1 + log(p[n,k])) for n < N, k < K",
    "x[N,K] -> y\np[n,k] = sigmoid(x[n,k+1]) for n < N, k < K - 1\ny[n] = min[k](log(p[n,k])) + max[k](log(1 - p[n,k])) for n < N, k < K",
    "x[N,K] -> y\nt[n] = logsumexp[k](x[n,k])\np[n,k] = sigmoid(x[n,k] - t[n])\nq[n,k] = tanh(t[n] - x[n,k])\ny[n,k] = log(p[n,k]*q[n,k])",
    "x[N,K], z[N,K] -> y\ny[n] = sum[k](exp(x[n,k+1] + z[n,k])/(exp(x[n,k+1] + z[n,k]) + exp(x[n,k+1]))) for n < N, k < K",
    "z[N], x[N] -> y\ny[n] = sum[j](exp(where(x[n] > 0, 0, 0)*z[j-1] + x[n])) for j < N",
    "z[N], x[N] -> y\ny[n] = max[j](where(z[j+1] > 0, 1, 1)*exp(where(x[n] > 0, 0, 0)) - j + tanh(x[n])) for j < N",
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("law", ["emitted", "enlarged", "emptied"])
def test_programs_near_to_real_ones_keep_the_laws(law: str) -> None:
    compared = 0
    for number in range(24):
        try:
            laws.LAWS[law](neighbour(Random(f"0/{number}")), number)
            compared += 1
        except laws.Nothing:
            pass
    assert compared > 18


@pytest.mark.parametrize("law", ["derived", "emitted", "switched"])
@pytest.mark.parametrize("text", SINGULAR + SHIFTED)
def test_where_integers_are_infinite_nothing_is_read(text: str, law: str) -> None:
    laws.LAWS[law](text, 0)


@pytest.mark.parametrize(("law", "seed", "text"), FOUND + LAWFUL)
def test_what_a_long_run_found_stays_mended(law: str, seed: int, text: str) -> None:
    laws.LAWS[law](text, seed)
