"""Gradients in the form in which a textbook prints them, each confirmed step by step and against its definition."""

from __future__ import annotations

import pytest

import nnderiv as nd

# forward definition: {gradient or what it rests on: its right-hand side}
FORMS: dict[str, dict[str, str]] = {
    # softmax and cross-entropy: p − y
    "Z[N,C], y[N,C] -> L\nP[n,c] = softmax[c](Z[n,c])\nL = -sum[n,c](y[n,c]*log(P[n,c]))/N\ngiven sum[c](y[n,c]) = 1":
        {"dZ": "(P[n,c] - y[n,c])/N"},
    # a ReLU that ends at 6, and a margin
    "x[N] -> y\ny[n] = min(relu(x[n]), 6)":
        {"dx": "where(x[n] > 0, where(x[n] < 6, dy[n], where(x[n] == 6, 0.5*dy[n], 0)), 0)"},
    # each sample against all others, its partner at the same place: p − [i = j]
    "S[N,N] -> L\np[i,j] = log_softmax[j](S[i,j])\nL = -mean[i](p[i,i])":
        {"dS": "exp(S[i,j] - p_lse[i])/N - where(i == j, 1/N, 0)", "dp": None},
    "S[2*N,2*N] -> L\np[i,j] = log_softmax[j](S[i,j])\nL = -sum[i](p[i,(i+N)%(2*N)])":
        {"dS": "exp(S[i,j] - p_lse[i]) - where((i + N) % (2*N) == j, 1, 0)"},
    # labels: p − [label = c]
    "Z[N,C], int y[N] -> L\np[n,c] = log_softmax[c](Z[n,c])\nL = -sum[n](p[n,y[n]])":
        {"dp_lse": "where(0 <= y[n] and y[n] < C, 1, 0)", "dp": None,
         "dZ": "dp_lse[n]*exp(Z[n,c] - p_lse[n]) - where(y[n] == c, 1, 0)"},
    "Z[N,C], int y[N] -> L\np[n,c] = log_softmax[c](Z[n,c])\nL = -mean[n](p[n,y[n]])":
        {"dp": None, "dZ": "dp_lse[n]*exp(Z[n,c] - p_lse[n]) - where(y[n] == c, 1/max(L_count, 1), 0)"},
    "Z[N,C], w[N], int a[N] -> L\np[n,c] = log_softmax[c](Z[n,c])\nL = -sum[n](w[n]*p[n,a[n]])":
        {"dp": None, "dZ": "dp_lse[n]*exp(Z[n,c] - p_lse[n]) - where(a[n] == c, w[n], 0)"},
    "z[N], t[N] -> L\np[n] = sigmoid(z[n])\nL = -sum[n](t[n]*log(p[n]) + (1-t[n])*log(1-p[n]))": {"dz": "p[n] - t[n]"},
    # a triplet: a moves from the positive to the negative by their difference
    "a[D], p[D], q[D], m -> L\nL = sum[d]((a[d]-p[d])**2) - sum[d]((a[d]-q[d])**2) + m":
        {"da": "2*(q[d] - p[d])", "dp": "2*(p[d] - a[d])", "dq": "2*(a[d] - q[d])"},
    # the divergence of a Gaussian from the standard one
    "mu[D], s[D] -> L\nL = -sum[d](1 + s[d] - mu[d]**2 - exp(s[d]))/2": {"dmu": "mu[d]", "ds": "0.5*(exp(s[d]) - 1)"},
    "x[N], mu[N], s[N] -> L\nL = sum[n](log(s[n]) + (x[n]-mu[n])**2/(2*s[n]**2))": {"ds": "1/s[n] - (x[n] - mu[n])**2/s[n]**3"},
    # a mixture: the responsibilities are the softmax of the joint scores, and those of the weights sum to 1
    "x[N], w[N,K], m[N,K] -> L\nL = -sum[n](logsumexp[k](log_softmax[k](w[n,k]) - (x[n]-m[n,k])**2/2))":
        {"dL_of": "-exp(L_of[n,k] - L_lse2[n])", "dw": "exp(w[n,k] - L_lse[n]) + dL_of[n,k]", "dm": "dL_of[n,k]*(x[n] - m[n,k])"},
    # heavy tails: ν s² + (x − μ)² below, and no quotient within it; what a number divides and multiplies
    "x[N], mu, s, nu -> L\nL = sum[n]((nu+1)/2*log(1 + (x[n]-mu)**2/(nu*s**2)))": {"dx": "(x[n] - mu)*(1 + nu)/(nu*s**2 + (x[n] - mu)**2)"},
    "x[N], c -> L\nL = c**2/2*sum[n](log(1 + (x[n]/c)**2))":
        {"dx": "c**2*x[n]/(x[n]**2 + c**2)", "dc": "c*L_sum - c*sum[n](x[n]**2/(x[n]**2 + c**2))"},
    "X[M,D], xi[D], b -> E\nE = -logsumexp[m](b*sum[d](X[m,d]*xi[d]))/b + sum[d](xi[d]**2)/2":
        {"dE_sum": "-exp(b*E_sum[m] - E_lse)", "dxi": "xi[d] + sum[m](dE_sum[m]*X[m,d])"},
    # correlation; a ratio whose numerator stands below too
    "x[N], y[N] -> r\nr = sum[n](x[n]*y[n])/sqrt(sum[n](x[n]**2)*sum[n](y[n]**2))":
        {"dr_sum": "1/sqrt(r_sum2*r_sum3)", "dr_sum2": "-0.5*r/r_sum2", "dx": "dr_sum*y[n] + 2*dr_sum2*x[n]"},
    "p[N], t[N], a -> L\nL = 1 - sum[n](p[n]*t[n])/(sum[n](p[n]*t[n]) + a*sum[n](p[n]*(1-t[n])))":
        {"L_in": "L_sum + a*L_sum2", "dp": "dL_sum*t[n] + dL_sum2*(1 - t[n])"},
    # a softmax with a sink, and one whose largest score is subtracted by hand: y·(dy − Σ dy·y)
    "x[N,K], b -> y\ny[n,k] = exp(x[n,k])/(exp(b) + sum[j](exp(x[n,j])))":
        {"dx": "y[n,j]*(dy[n,j] + dy_log[n])", "dy_log": "-sum[k](dy[n,k]*y[n,k])", "db": "sum[n](dy_log[n]*exp(b - y_log[n]))"},
    "x[N,K] -> y\nm[n] = max(max[k](x[n,k]), 0)\ny[n,k] = exp(x[n,k]-m[n])/(exp(-m[n]) + sum[j](exp(x[n,j]-m[n])))":
        {"dx": "y[n,k]*(dy[n,k] + dy_log[n])", "m": None},
    "x[N,K] -> y\nm[n] = max[k](x[n,k])\ne[n,k] = exp(x[n,k]-m[n])\nz[n] = sum[k](e[n,k])\ny[n,k] = e[n,k]/z[n]":
        {"dx": "y[n,k]*(dy[n,k] + dy_lse[n])", "m": None},
    "x[N,N], s[N], v[N,D] -> o\nm[i] = max(max[j](where(j <= i, x[i,j], -inf)), s[i])\n"
    "p[i,j] = where(j <= i, exp(x[i,j]-m[i]), 0)/(exp(s[i]-m[i]) + sum[r](where(r <= i, exp(x[i,r]-m[i]), 0)))\n"
    "o[i,d] = sum[j](p[i,j]*v[j,d])":
        {"dp_log": "-sum[j](dp[i,j]*p[i,j])", "dx": "p[i,j]*(dp[i,j] + dp_log[i])", "ds": "dp_log[i]*exp(s[i] - p_log[i])"},
    "x[N,N] -> y\ny[n] = log(exp(x[n,n]) + sum[m](where(m != n, exp(x[n,m]), 0))) - x[n,n]":
        {"dx": "dy[n]*exp(x[n,m] - y_log[n]) - where(n == m, dy[n], 0)"},
    # an expectation, an entropy and two divergences: what is added to all log p of a row changes nothing
    "x[N,K], v[K] -> y\np[n,k] = softmax[k](x[n,k])\ny[n] = sum[k](p[n,k]*v[k])": {"dx": "dy[n]*p[n,k]*(v[k] - y[n])"},
    "x[N,K] -> H\np[n,k] = softmax[k](x[n,k])\nH[n] = -sum[k](p[n,k]*log(p[n,k]))": {"dx": "-dH[n]*p[n,k]*(p_log[n,k] + H[n])"},
    "x[N,K] -> L\np[n,k] = softmax[k](x[n,k])\nL = -sum[n,k](p[n,k]*log(p[n,k]))/N":
        {"p_mean": "sum[k](p_log[n,k]*p[n,k])", "dx": "p[n,k]*(p_mean[n] - p_log[n,k])/N"},
    "x[N,K], z[N,K] -> y\np[n,k] = softmax[k](x[n,k])\nq[n,k] = softmax[k](z[n,k])\ny[n] = sum[k](p[n,k]*log(p[n,k]/q[n,k]))":
        {"dx": "dy[n]*p[n,k]*(p_log[n,k] - q_log[n,k] - y[n])", "dz": "dy[n]*(q[n,k] - p[n,k])"},
    "x[N,K], z[N,K] -> L\np[n,k] = softmax[k](x[n,k])\nq[n,k] = softmax[k](z[n,k])\nm[n,k] = (p[n,k]+q[n,k])/2\n"
    "L = sum[n,k](p[n,k]*log(p[n,k]/m[n,k]))/2 + sum[n,k](q[n,k]*log(q[n,k]/m[n,k]))/2":
        {"dx": "p[n,k]*(dp[n,k] + dp_lse[n])", "dp_lse": "-sum[k](dp[n,k]*p[n,k])", "dp_log": None},
    # an average that forgets: what is written together is summed apart where m[−1] is 0
    "x[T], a -> m\nm[t] = a*m[t-1] + (1-a)*x[t]": {"da": "sum[t](dm_total[t]*m[t-1]) - sum[t](dm_total[t]*x[t])", "m_at": None},
    "x[T], a -> m\nm[t] = m[t-1] + a*(x[t] - m[t-1])": {"da": "sum[t](dm_total[t]*x[t]) - sum[t](dm_total[t]*m[t-1])", "m_at": None},
    "x[T], a, m0 -> m\nm[-1] = m0\nm[t] = a*m[t-1] + (1-a)*x[t]": {"da": "sum[t](dm_total[t]*(m[t-1] - x[t]))"},
    # a choice within a choice; a value held between two numbers
    "r[N], A[N], e -> L\nL = -mean[n](min(r[n]*A[n], min(max(r[n], 1-e), 1+e)*A[n]))":
        {"L_min": "min(L_max[n], 1 + e)", "dL_max": "where(1 + e > L_max[n], dL_min[n], where(L_max[n] == 1 + e, 0.5*dL_min[n], 0))"},
    "x[N] -> y\ny[n] = min(max(x[n], 0), 1)":
        {"dx": "dy[n]*where(x[n] < 1, 1, where(x[n] == 1, 0.5, 0))*where(x[n] > 0, 1, where(x[n] == 0, 0.5, 0))"},
    "x[N,K], z[N,K] -> L\np[n,k] = softmax[k](x[n,k])\nq[n,k] = softmax[k](z[n,k])\n"
    "L = sum[n,k]((p[n,k]-q[n,k])*(log(p[n,k]) - log(q[n,k])))":
        {"dp_lse": "-sum[k](dp[n,k]*p[n,k])", "dx": "dp_lse[n]*p[n,k] + dp[n,k]*p[n,k] + p[n,k] - q[n,k]"},
    # norm, variance and standard deviation, in one line
    "x[N] -> s\ns = sqrt(sum[i](x[i]**2))": {"dx": "x[i]/s"},
    "x[N] -> v\nv = mean[i]((x[i] - mean[j](x[j]))**2)": {"dx": "2*v_in[i]/N"},
    "x[N] -> s\ns = sqrt(mean[i]((x[i] - mean[j](x[j]))**2))": {"ds_in": "s_in[i]/(s*N)", "dx": "ds_in[i]"},
    # activations
    "x[N] -> y\ny[n] = x[n]/(1 + abs(x[n]))": {"dx": "dy[n]/(1 + abs(x[n]))**2"},
    "x[N] -> y\ny[n] = x[n]/(1 + x[n]**2)": {"dx": "dy[n]*(1 - x[n]**2)/(1 + x[n]**2)**2"},
    "w[D], x[N,D], y[N] -> L\nm[n] = 1 - y[n]*sum[d](w[d]*x[n,d])\nL = sum[n](relu(m[n])**2)":
        {"dm_sum": "-dm[n]*y[n]", "dw": "sum[n](dm_sum[n]*x[n,d])"},
    "r[N], s[N] -> L\nL = -sum[n](log(sigmoid(r[n]-s[n])))/N": {"dr": "(sigmoid(r[n] - s[n]) - 1)/N", "ds": "(1 - sigmoid(r[n] - s[n]))/N"},
    "x, y -> L\nL = log((exp(x-y) + exp(y-x))/2)": {"dx": "tanh(x - y)", "dy": "tanh(y - x)"},
    "x[N], b -> y\ny[n] = x[n]*sigmoid(b*x[n])":
        {"dx": "dy[n]*sigmoid(b*x[n])*(1 + b*x[n]*(1 - sigmoid(b*x[n])))",
         "db": "sum[n](dy[n]*x[n]**2*sigmoid(b*x[n])*(1 - sigmoid(b*x[n])))"},
    "x[N] -> y\ny[n] = x[n]*exp(-x[n]**2/2)": {"dx": "dy[n]*exp(-x[n]**2/2)*(1 - x[n]**2)"},
    "x[N], a -> L\nL = sum[n](log(abs(x[n] - a)))": {"dx": "1/(x[n] - a)"},
    # where the larger of two is squared, and a support vector machine: one line for each case
    "x[N], y[N] -> L\nL = sum[n](max(x[n], y[n])**2)": {"dx": "where(x[n] > y[n], 2*x[n], where(x[n] == y[n], x[n], 0))"},
    "z[N], y[N], C -> L\nL = C*sum[n](max(0, 1 - y[n]*z[n]))":
        {"dz": "where(1 - y[n]*z[n] > 0, -C*y[n], where(1 - y[n]*z[n] == 0, -0.5*C*y[n], 0))"},
    "y[N], q[N], t -> L\nL = mean[n](max(t*(y[n]-q[n]), (t-1)*(y[n]-q[n])))":
        {"dq": "where(y[n] > q[n], -t, where(y[n] == q[n], 0.5 - t, 1 - t))/N"},
    "x[N], a[N] -> y\ny[n] = max(0, x[n]) + a[n]*min(0, x[n])":
        {"dx": "dy[n]*where(x[n] < 0, a[n], where(x[n] == 0, 0.5*(1 + a[n]), 1))"},
    # a relu within a sum; a gate beside one; a rotation
    "x[N,D], V[D,H], W[H,D] -> y\ny[n,d] = x[n,d] + sum[h](relu(sum[e](x[n,e]*V[e,h]))*W[h,d])":
        {"dy_sum": "where(y_sum[n,h] > 0, sum[d](dy[n,d]*W[h,d]), 0)"},
    "r[T,H], W[H,H] -> h\nh[t,k] = tanh(sum[l](W[k,l]*r[t,l]*h[t-1,l]))":
        {"dh_total": "dh[t,k] + r[t+1,k]*sum[l](dh_sum[t+1,l]*W[l,k])"},
    "q[T], a -> y\ny[t] = q[t]*cos(t*a) - q[t]*sin(t*a)": {"da": "-sum[t](dy[t]*t*q[t]*(cos(t*a) + sin(t*a)))"},
    "x[N], l[K], m[K], s[K] -> L\nL = -sum[n](logsumexp[k](log_softmax[k](l[k]) - log(s[k]) - (x[n]-m[k])**2/(2*s[k]**2)))":
        {"dl": "N*exp(l[k] - L_lse) + sum[n](dL_of[n,k])"},
    # a minus stands before a condition, and turns what it can
    "u[T,K], v[T,K], int y[T] -> L\nL = sum[t,k](u[t,k]*v[t,k]) - sum[t](u[t,y[t]])": {"du": "v[t,k] - where(y[t] == k, 1, 0)"},
    "mu[D], s[D], e[D] -> z, L\nz[d] = mu[d] + exp(s[d]/2)*e[d]\nL = -sum[d](1 + s[d] - mu[d]**2 - exp(s[d]))/2":
        {"ds": "0.5*dz[d]*e[d]*exp(s[d]/2) + 0.5*dL*(exp(s[d]) - 1)"},
    "x[N], m[K], s[K] -> L\nL = -sum[n](logsumexp[k](-log(s[k]) - (x[n]-m[k])**2/(2*s[k]**2)))":
        {"dm": "sum[n](dL_of[n,k]*(x[n] - m[k]))/s[k]**2"},
    # what is symmetric, by its definition or because it is given
    "X[N,D] -> L\nG[i,j] = sum[n](X[n,i]*X[n,j])\nL = sum[i,j](G[i,j]**2)": {"dX": "4*sum[j](G[j,i]*X[n,j])"},
    "y[N,D] -> L\nq[i,j] = sum[d]((y[i,d]-y[j,d])**2)\nL = sum[i,j](log(1 + q[i,j]))":
        {"dq": "1/(1 + q[i,j])", "dy": "4*sum[j](dq[i,j]*(y[i,d] - y[j,d]))"},
    "y[N,D] -> L\nq[i,j] = where(i == j, 0, 1/(1 + sum[d]((y[i,d]-y[j,d])**2)))\nL = sum[i,j](q[i,j]**2)":
        {"dy": "4*sum[j](dq_in[i,j]*(y[i,d] - y[j,d]))"},
    "A[N,N], x[N] -> L\nL = sum[i,j](x[i]*A[i,j]*x[j])/2\ngiven A[i,j] = A[j,i]": {"dx": "sum[j](A[i,j]*x[j])"},
    # neighbours, with the index alone in its condition
    "x[N] -> L\nL = sum[i]((x[i+1]-x[i])**2)": {"dx": "where(1 <= i, 2*(x[i] - x[i-1]), 0) + where(i + 1 < N, 2*(x[i] - x[i+1]), 0)"},
    # layer normalisation with the means named
    "x[N,D] -> y\nm[n] = mean[d](x[n,d])\nv[n] = mean[d]((x[n,d]-m[n])**2)\ny[n,d] = (x[n,d]-m[n])/sqrt(v[n])":
        {"dv": "-0.5*sum[d](dy[n,d]*y[n,d])/v[n]", "dm": "-sum[d](dy[n,d])/sqrt(v[n])"},
    # what is added to each variance has the gradients of them all; so has what is scaled beside a matrix
    "x[N,D], e -> y\nm[n] = mean[d](x[n,d])\nv[n] = mean[d]((x[n,d]-m[n])**2)\ny[n,d] = (x[n,d]-m[n])/sqrt(v[n]+e)":
        {"dv": "-0.5*sum[d](dy[n,d]*(x[n,d] - m[n]))/(v[n] + e)**1.5", "de": "sum[n](dv[n])"},
    "x[N,I], W[O,I], A[O,R], B[R,I], a -> y\ny[n,o] = sum[i](x[n,i]*(W[o,i] + a*sum[r](A[o,r]*B[r,i])))":
        {"dW": "sum[n](dy[n,o]*x[n,i])", "dy_sum": "a*dW[o,i]", "da": "sum[o,i](y_sum[o,i]*dW[o,i])"},
    # a sum that is weighted with its place is no name for the sum: it says nothing at place 0
    "x[N,M], w[N] -> y, L\ny[i] = i*sum[n](x[i,n])\nL = sum[i,n](x[i,n]*w[i]**2)": {"dw": "2*dL*w[i]*sum[n](x[i,n])"},
    # where a distance is looked at, its slope is written by its name
    "R[N,3] -> r\nr[i,j] = where(i != j, sqrt(sum[c]((R[i,c]-R[j,c])**2)), 0)":
        {"dr_sum": "where(i != j, 0.5*dr[i,j]/r[i,j], 0)"},
    # attention: P ∘ (dP − rowsum(dP ∘ P))
    "S[N,N], V[N,D] -> O\nP[i,j] = softmax[j](where(j <= i, S[i,j], -inf))\nO[i,d] = sum[j](P[i,j]*V[j,d])":
        {"dP_of": None, "dS": "P[i,j]*(dP[i,j] + dP_lse[i])"},
    "S[M,N], int seen[N], v[N] -> o\nT[i,j] = where(seen[j] == 1, S[i,j]/2, -inf)\nP[i,j] = softmax[j](T[i,j])\no[i] = sum[j](P[i,j]*v[j])":
        {"dT": "do[i]*P[i,j]*(v[j] - o[i])", "dS": "0.5*dT[i,j]"},
    "t[N], r[N] -> L\nL = -sum[n](r[n] - logsumexp[m](where(t[m] >= t[n], r[m], -inf)))":
        {"dr": "sum[n](exp(L_of[n,m] - L_lse[n])) - 1"},
    "S[M,N], V[N,D] -> O\nP[i,j] = softmax[j](S[i,j])\nO[i,d] = sum[j](P[i,j]*V[j,d])":
        {"dP_lse": "-sum[j](dP[i,j]*P[i,j])", "dS": "P[i,j]*(dP[i,j] + dP_lse[i])"},
}


@pytest.mark.parametrize("text", FORMS, ids=lambda text: text.splitlines()[-1])
def test_a_gradient_is_printed_as_a_textbook_prints_it(text: str) -> None:
    d = nd.derive(text)
    found = {e.tensor: str(e.body) for e in d.backward.equations}
    assert {name: found.get(name) for name in FORMS[text]} == FORMS[text]
    assert d.check(seed=0).ok
    assert all(s.trials for g in d for s in g.steps if s.rule != "matrix form")


def test_the_matrix_form_of_what_is_symmetric_needs_no_transpose() -> None:
    gram = nd.derive("X[N,D] -> L\nG[i,j] = sum[n](X[n,i]*X[n,j])\nL = sum[i,j](G[i,j]**2)")
    assert gram["X"].latex(form="matrix") == r"\mathrm{d}X = 4 X\,G"
    form = nd.derive("A[N,N], x[N] -> L\nL = sum[i,j](x[i]*A[i,j]*x[j])/2\ngiven A[i,j] = A[j,i]")
    assert form["x"].latex(form="matrix") == r"\mathrm{d}x = A\,x"
    general = nd.derive("A[N,N], x[N] -> L\nL = sum[i,j](x[i]*A[i,j]*x[j])")
    assert general["x"].latex(form="matrix") == r"\mathrm{d}x = (A + A^{\top})\,x"


@pytest.mark.parametrize(("text", "name", "expected"), [
    # a Mahalanobis distance; the bandwidth of a kernel; an autoencoder with tied weights; the scores of additive attention
    ("X[N,D], m[D], P[D,D] -> L\nL = sum[n,i,j]((X[n,i]-m[i])*P[i,j]*(X[n,j]-m[j]))/2\ngiven P[i,j] = P[j,i]", "X",
     r"\mathrm{d}X = (X - \mathbf{1}\,m^{\top})\,P"),
    ("X[N,D], s -> K\nK[n,m] = exp(-sum[d]((X[n,d]-X[m,d])**2)/(2*s**2))", "s",
     r"\mathrm{d}s = \frac{1}{s^{3}} \mathbf{1}^{\top}\,(\mathrm{d}K \odot K^{\mathrm{sum}} \odot K)\,\mathbf{1}"),
    ("X[N,D], W[D,K] -> L\nL = sum[n,d]((X[n,d] - sum[k,e](X[n,e]*W[e,k]*W[d,k]))**2)", "W",
     r"\mathrm{d}W = -2 (X^{\top}\,L^{\mathrm{in}}\,W + L^{\mathrm{in}\top}\,X\,W)"),
    ("H[T,D], W[A,D], v[A] -> e\nz[t,a] = sum[d](W[a,d]*H[t,d])\ne[t] = sum[a](v[a]*tanh(z[t,a]))", "v",
     r"\mathrm{d}v = \tanh(z)^{\top}\,\mathrm{d}e"),
    ("x[N], m, s -> L\nL = sum[n](log(s) + (x[n]-m)**2/(2*s**2))", "s",
     r"\mathrm{d}s = \frac{N}{s} - \frac{1}{s^{3}} \mathbf{1}^{\top}\,(x - m \mathbf{1})^{\odot 2}"),
    ("x[N], m, s -> L\nL = sum[n](log(s) + (x[n]-m)**2/(2*s**2))", "m", r"\mathrm{d}m = \frac{1}{s^{2}} (N m - \mathbf{1}^{\top}\,x)"),
], ids=lambda value: value.splitlines()[-1])
def test_a_matrix_form_is_printed_as_a_textbook_prints_it(text: str, name: str, expected: str) -> None:
    assert nd.derive(text)[name].latex(form="matrix") == expected


def test_the_cases_of_a_choice_are_lines_of_one_brace() -> None:
    hinge = nd.derive("z[N], y[N] -> L\nL = sum[n](max(0, 1 - y[n]*z[n]))")
    lines = (r"-y_{n} & \text{if } y_{n} z_{n} < 1 \\ -\frac{1}{2} y_{n} & \text{if } y_{n} z_{n} = 1 \\ "
             r"0 & \text{otherwise}")
    assert hinge["z"].latex() == rf"\mathrm{{d}}z_{{n}} = \begin{{cases}} {lines} \end{{cases}}"
    leaky = nd.derive("x[N], a -> y\ny[n] = where(x[n] > 0, x[n], a*x[n])")
    assert leaky["a"].latex() == r"\mathrm{d}a = \sum_{n} \mathrm{d}y_{n}\,[x_{n} \le 0]\,x_{n}"


def test_a_matrix_that_is_given_as_symmetric_is_drawn_so_at_all_sizes() -> None:
    report = nd.derive("A[N,N], x[N] -> L\nL = sum[i,j](x[i]*A[i,j]*x[j])\ngiven A[i,j] = A[j,i]").check(seed=0)
    assert report.ok and any("N=3" in str(row) or "N=4" in str(row) for row in str(report).splitlines())
