"""Chains and alignments: dynamic programmes, in which a table reads its own neighbours on one axis or on two."""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

from tests.suites.case import case, integers, positive

# ---- chains ---------------------------------------------------------------------------------------------------


@case("""
    start[K], A[K,K], B[K,V], int x[T] -> L
    a[0,k] = start[k] + B[k,x[0]]
    a[t,k] = logsumexp[j](a[t-1,j] + A[j,k]) + B[k,x[t]]
    L = logsumexp[k](a[T-1,k])
    """, start=(3,), A=(3, 3), B=(3, 4), x=integers(4, 5))
def hidden_markov_model_forward(start, A, B, x):
    a = start + B[:, x[0]]
    for xt in x[1:]:
        a = torch.logsumexp(a[:, None] + A, 0) + B[:, xt]
    return torch.logsumexp(a, 0)


@case("""
    # in probabilities, with the posterior of every state
    start[K], A[K,K], B[K,V], int x[T] -> p, L
    a[0,k] = start[k]*B[k,x[0]]
    a[t,k] = sum[j](a[t-1,j]*A[j,k])*B[k,x[t]]
    b[T-1,k] = 1
    b[t,k] = sum[j](A[k,j]*B[j,x[t+1]]*b[t+1,j]) for t < T
    L = log(sum[k](a[T-1,k]))
    p[t,k] = a[t,k]*b[t,k]/exp(L)
    """, start=positive(3), A=positive(3, 3), B=positive(3, 4), x=integers(4, 5))
def hidden_markov_model_posterior(start, A, B, x):
    a, b = [start * B[:, x[0]]], [torch.ones_like(start)]
    for xt in x[1:]:
        a.append(a[-1] @ A * B[:, xt])
    for xt in x[1:].flip(0):
        b.append(A @ (B[:, xt] * b[-1]))
    total = a[-1].sum()
    return torch.stack(a) * torch.stack(b[::-1]) / total, torch.log(total)


@case("""
    # the best score of a path
    s[T,K], A[K,K] -> L
    v[0,k] = s[0,k]
    v[t,k] = max[j](v[t-1,j] + A[j,k]) + s[t,k]
    L = max[k](v[T-1,k])
    """, s=(5, 3), A=(3, 3))
def viterbi(s, A):
    v = s[0]
    for st in s[1:]:
        v = torch.amax(v[:, None] + A, 0) + st
    return torch.amax(v)


@case("""
    # negative log-likelihood of the tags y: log-partition less the score of y
    s[T,K], A[K,K], int y[T] -> L
    a[0,k] = s[0,k]
    a[t,k] = logsumexp[j](a[t-1,j] + A[j,k]) + s[t,k]
    score = sum[t](s[t,y[t]]) + sum[t](A[y[t],y[t+1]])
    L = logsumexp[k](a[T-1,k]) - score
    """, s=(5, 3), A=(3, 3), y=integers(3, 5))
def conditional_random_field(s, A, y):
    paths = torch.cartesian_prod(*[torch.arange(3)] * 5)
    scores = s[torch.arange(5), paths].sum(1) + A[paths[:, :-1], paths[:, 1:]].sum(1)
    return torch.logsumexp(scores, 0) - s[torch.arange(5), y].sum() - A[y[:-1], y[1:]].sum()


@case("""
    # a batch of them, with scores of the first and of the last tag
    s[N,T,K], A[K,K], first[K], last[K] -> Z
    a[n,0,k] = first[k] + s[n,0,k]
    a[n,t,k] = s[n,t,k] + logsumexp[j](a[n,t-1,j] + A[j,k])
    Z[n] = logsumexp[k](a[n,T-1,k] + last[k])
    """, s=(2, 4, 3), A=(3, 3), first=(3,), last=(3,))
def chain_log_partition(s, A, first, last):
    paths = torch.cartesian_prod(*[torch.arange(3)] * 4)
    scores = (s[:, torch.arange(4), paths].sum(-1) + A[paths[:, :-1], paths[:, 1:]].sum(1)
              + first[paths[:, 0]] + last[paths[:, -1]])
    return torch.logsumexp(scores, 1)


@case("""
    # ext: the labels with a blank (0) before, between and behind them
    x[T,V], int ext[S] -> L
    p[t,v] = softmax[v](x[t,v])
    a[-1,0] = 1
    a[t,s] = (a[t-1,s] + a[t-1,s-1] + where(ext[s] != ext[s-2], a[t-1,s-2], 0))*p[t,ext[s]]
    L = -log(a[T-1,S-1] + a[T-1,S-2])
    """, x=(6, 4), ext=lambda rng: [0, 2, 0, 2, 0, 3, 0])
def connectionist_temporal_classification(x, ext):
    return F.ctc_loss(F.log_softmax(x, 1), ext[None, 1::2], (6,), (3,), reduction="sum")


@case("""
    # the same in the log domain; -1000 stands where no path arrives
    lp[T,V], int ext[S] -> L
    a[0,0] = lp[0,ext[0]]
    a[0,1] = lp[0,ext[1]]
    a[0,s] = -1000 for s < S
    skip[s] = where(ext[s] != ext[s-2], 1, 0)
    a[t,s] = logsumexp[u](where(u < 2 or skip[s] == 1, a[t-1,s-u], -1000)) + lp[t,ext[s]] for t < T, s < S, u < 3
    m = max(a[T-1,S-1], a[T-1,S-2])
    L = -m - log(exp(a[T-1,S-1] - m) + exp(a[T-1,S-2] - m))
    """, lp=lambda rng: np.log(rng.dirichlet([1.0] * 4, size=6)), ext=lambda rng: [0, 2, 0, 2, 0, 3, 0])
def connectionist_temporal_classification_in_logarithms(lp, ext):
    # All labellings of six frames that say 2, 2, 3 when repeats and then blanks are taken out.
    said = lambda path: [a for a, before in zip(path, [0, *path], strict=False) if a not in (0, before)]
    paths = torch.tensor([path for path in product(range(4), repeat=6) if said(path) == ext[1::2].tolist()])
    return -torch.logsumexp(lp[torch.arange(6), paths].sum(1), 0)


# ---- alignments: two axes -------------------------------------------------------------------------------------


def table(rows, columns, cell):
    """Fill a table row by row; `cell(D, i, j)` may read what is filled, as a dictionary by place."""
    D = {}
    for i in range(rows):
        for j in range(columns):
            D[i, j] = cell(D, i, j)
    return torch.stack([torch.stack([D[i, j] for j in range(columns)]) for i in range(rows)])


INF = torch.tensor(torch.inf, dtype=torch.float64)


def softmin(gamma, *values):
    return -gamma * torch.logsumexp(-torch.stack(values) / gamma, 0)


@case("""
    # base cases on two lines and at a point, outside the table
    x[N], y[M] -> L
    D[-1,-1] = 0
    D[-1,j] = inf for j < M
    D[i,-1] = inf for i < N
    D[i,j] = (x[i] - y[j])**2 + min(min(D[i-1,j], D[i,j-1]), D[i-1,j-1])
    L = D[N-1,M-1]
    """, x=(4,), y=(5,))
def dynamic_time_warping(x, y):
    def cell(D, i, j):
        before = [D.get(at, INF) for at in ((i - 1, j), (i, j - 1), (i - 1, j - 1))] if i + j else [x[0] * 0]
        return (x[i] - y[j]) ** 2 + torch.amin(torch.stack(before))

    return table(4, 5, cell)[-1, -1]


@case("""
    # base cases on two lines and at a point, inside the table; each line is a recurrence of its own
    c[N,M] -> D
    D[0,0] = c[0,0]
    D[0,j] = c[0,j] + D[0,j-1]
    D[i,0] = c[i,0] + D[i-1,0]
    D[i,j] = c[i,j] + min(D[i-1,j-1], min(D[i-1,j], D[i,j-1]))
    """, c=positive(4, 5))
def dynamic_time_warping_table(c):
    def cell(D, i, j):
        before = [D.get(at, INF) for at in ((i - 1, j), (i, j - 1), (i - 1, j - 1))] if i + j else [c[0, 0] * 0]
        return c[i, j] + torch.amin(torch.stack(before))

    return table(4, 5, cell)


@case("""
    x[N,K], y[M,K], gamma -> L
    c[i,j] = sum[k]((x[i,k] - y[j,k])**2)
    D[-1,-1] = 0
    D[-1,j] = 1000000 for j < M
    D[i,-1] = 1000000 for i < N
    D[i,j] = c[i,j] - gamma*log(exp(-D[i-1,j]/gamma) + exp(-D[i,j-1]/gamma) + exp(-D[i-1,j-1]/gamma))
    L = D[N-1,M-1]
    """, x=(3, 2), y=(4, 2), gamma=0.8)
def soft_dynamic_time_warping(x, y, gamma):
    def cell(D, i, j):
        before = [D[at] for at in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if at in D] if i + j else [x[0, 0] * 0]
        return ((x[i] - y[j]) ** 2).sum() + softmin(gamma, *before)

    return table(3, 4, cell)[-1, -1]


@case("""
    # soft edit distance: the cost of a substitution is one minus the match
    s[N,M], gap, gamma -> D
    D[-1,-1] = 0
    D[-1,j] = gap*(j + 1) for j < M
    D[i,-1] = gap*(i + 1) for i < N
    d[i,j] = exp(-(D[i-1,j] + gap)/gamma) + exp(-(D[i,j-1] + gap)/gamma) + exp(-(D[i-1,j-1] + 1 - s[i,j])/gamma)
    D[i,j] = -gamma*log(d[i,j])
    """, s=positive(3, 4), gap=0.7, gamma=0.5)
def soft_edit_distance(s, gap, gamma):
    def cell(D, i, j):
        at = lambda a, b: D[a, b] if min(a, b) >= 0 else gap * (max(a, b) + 1)
        return softmin(gamma, at(i - 1, j) + gap, at(i, j - 1) + gap, at(i - 1, j - 1) + 1 - s[i, j])

    return table(3, 4, cell)


@case("""
    # the edit distance itself, as a function of its costs
    int x[N], int y[M], ins, cut, sub -> L
    m[i,j] = where(x[i] == y[j], 0, sub)
    D[0,0] = 0
    D[0,j] = D[0,j-1] + ins for j < M + 1
    D[i,0] = D[i-1,0] + cut for i < N + 1
    D[i,j] = min(min(D[i-1,j] + cut, D[i,j-1] + ins),
                 D[i-1,j-1] + m[i-1,j-1]) for i < N + 1, j < M + 1
    L = D[N,M]
    """, x=lambda rng: [0, 1, 2, 3, 1], y=lambda rng: [1, 2, 4, 1, 0, 2], ins=1.1, cut=0.9, sub=1.5)
def edit_distance(x, y, ins, cut, sub):
    def cell(D, i, j):
        if i == 0 or j == 0:
            return j * ins + i * cut
        match = 0 * sub if x[i - 1] == y[j - 1] else sub
        return torch.amin(torch.stack([D[i - 1, j] + cut, D[i, j - 1] + ins, D[i - 1, j - 1] + match]))

    return table(6, 7, cell)[-1, -1]


@case("""
    # global alignment, smooth maximum over three moves
    s[N,M], gap -> L
    D[-1,-1] = 0
    D[-1,j] = -gap*(j + 1) for j < M
    D[i,-1] = -gap*(i + 1) for i < N
    D[i,j] = log(exp(D[i-1,j-1] + s[i,j]) + exp(D[i-1,j] - gap) + exp(D[i,j-1] - gap))
    L = D[N-1,M-1]
    """, s=(4, 3), gap=0.4)
def needleman_wunsch(s, gap):
    def cell(D, i, j):
        at = lambda a, b: D[a, b] if min(a, b) >= 0 else -gap * (max(a, b) + 1)
        return torch.logsumexp(torch.stack([at(i - 1, j - 1) + s[i, j], at(i - 1, j) - gap, at(i, j - 1) - gap]), 0)

    return table(4, 3, cell)[-1, -1]


@case("""
    # local alignment: nothing costs less than nothing, and what lies outside the table is 0
    s[N,M], gap -> L, D
    D[i,j] = max(max(0, D[i-1,j-1] + s[i,j]), max(D[i-1,j] - gap, D[i,j-1] - gap))
    L = max[i,j](D[i,j])
    """, s=(4, 5), gap=0.3)
def smith_waterman(s, gap):
    def cell(D, i, j):
        at = lambda a, b: D[a, b] if min(a, b) >= 0 else 0 * gap
        return torch.amax(torch.stack([0 * gap, at(i - 1, j - 1) + s[i, j], at(i - 1, j) - gap, at(i, j - 1) - gap]))

    D = table(4, 5, cell)
    return torch.amax(D), D


@case("""
    # three tables in one cycle: match, insert, delete
    e[N,M], q[N], r[M], open, extend -> L
    X[-1,-1] = 1
    X[i,j] = e[i,j]*((1 - 2*open)*X[i-1,j-1] + (1 - extend)*(U[i-1,j-1] + V[i-1,j-1]))
    U[i,j] = q[i]*(open*X[i-1,j] + extend*U[i-1,j])
    V[i,j] = r[j]*(open*X[i,j-1] + extend*V[i,j-1])
    L = log(X[N-1,M-1] + U[N-1,M-1] + V[N-1,M-1])
    """, e=positive(4, 3), q=positive(4), r=positive(3), open=0.2, extend=0.3)
def pair_hidden_markov_model(e, q, r, open, extend):
    zero = torch.zeros(3, dtype=e.dtype)

    def cell(D, i, j):
        at = lambda a, b: D.get((a, b), zero + (torch.tensor([1.0, 0, 0]) if (a, b) == (-1, -1) else 0))
        corner, up, left = at(i - 1, j - 1), at(i - 1, j), at(i, j - 1)
        return torch.stack([e[i, j] * ((1 - 2 * open) * corner[0] + (1 - extend) * (corner[1] + corner[2])),
                            q[i] * (open * up[0] + extend * up[1]), r[j] * (open * left[0] + extend * left[2])])

    return torch.log(table(4, 3, cell)[-1, -1].sum())


@case("""
    # transducer: a step in time emits a blank, a step in the text emits a label
    b[T,U], l[T,U] -> L
    a[0,0] = 1
    a[t,u] = a[t-1,u]*exp(b[t-1,u]) + a[t,u-1]*exp(l[t,u-1]) for t < T, u < U
    L = -log(a[T-1,U-1]) - b[T-1,U-1]
    """, b=(4, 3), l=(4, 3))
def transducer_loss(b, l):
    def cell(D, t, u):
        moves = [D[t - 1, u] + b[t - 1, u]] if t else []
        moves += [D[t, u - 1] + l[t, u - 1]] if u else []
        return torch.logsumexp(torch.stack(moves), 0) if moves else 0 * b[0, 0]

    return -table(4, 3, cell)[-1, -1] - b[-1, -1]


@case("""
    # the weight of all lattice paths from the far corner, backwards on both axes
    w[N,M] -> W
    P[N-1,M-1] = w[N-1,M-1]
    P[i,j] = w[i,j]*(P[i+1,j] + P[i,j+1])
    W = P[0,0]
    """, w=positive(4, 3))
def lattice_paths_backwards(w):
    def cell(D, i, j):
        zero = 0 * w[0, 0]
        return w[3 - i, 2 - j] * (D.get((i - 1, j), zero) + D.get((i, j - 1), zero) if i + j else zero + 1)

    return table(4, 3, cell)[-1, -1]


@case("""
    # one axis forwards, the other backwards
    x[N,M], a, b -> h
    h[i,j] = tanh(x[i,j] + a*h[i-1,j] + b*h[i,j+1])
    """, x=(4, 3), a=0.7, b=-0.5)
def recurrence_from_the_upper_right_corner(x, a, b):
    def cell(D, i, j):
        return torch.tanh(x[i, 2 - j] + a * D.get((i - 1, j), 0) + b * D.get((i, j - 1), 0))

    return table(4, 3, cell).flip(1)


@case("""
    # a recurrent network over an image, with a vector in every cell
    X[N,M,I], U[H,I], A[H,H], B[H,H], b[H] -> h
    h[i,j,k] = tanh(sum[d](U[k,d]*X[i,j,d]) + sum[l](A[k,l]*h[i-1,j,l]) + sum[l](B[k,l]*h[i,j-1,l]) + b[k])
    """, X=(3, 4, 2), U=(3, 2), A=(3, 3), B=(3, 3), b=(3,))
def recurrent_network_over_an_image(X, U, A, B, b):
    def cell(D, i, j):
        z = F.linear(X[i, j], U, b)
        z = z + A @ D[i - 1, j] if i else z
        return torch.tanh(z + B @ D[i, j - 1] if j else z)

    return table(3, 4, cell)


@case("""
    # all bracketings of a chain: a span is made of two shorter ones
    w[N], s[N,N] -> Z
    I[i,j] = where(i == j, w[i], s[i,j]*sum[k](where(i <= k and k < j, I[i,k]*I[k+1,j], 0)))
    Z = I[0,N-1]
    """, w=positive(5), s=positive(5, 5))
def inside_algorithm_over_spans(w, s):
    I = {(i, i): w[i] for i in range(5)}
    for length in range(1, 5):
        for i in range(5 - length):
            j = i + length
            I[i, j] = s[i, j] * sum(I[i, k] * I[k + 1, j] for k in range(i, j))
    return I[0, 4]


@case("""
    # the alternating updates of entropic transport; K is exp(-cost/eps)
    c[N,M], eps, p[N], q[M], int T -> L
    K[i,j] = exp(-c[i,j]/eps)
    v[-1,j] = 1 for j < M
    u[t,i] = p[i]/sum[j](K[i,j]*v[t-1,j]) for t < T
    v[t,j] = q[j]/sum[i](K[i,j]*u[t,i]) for t < T
    L = sum[i,j](u[T-1,i]*K[i,j]*v[T-1,j]*c[i,j])
    """, c=positive(3, 4), eps=0.5, p=lambda rng: rng.dirichlet([2.0] * 3), q=lambda rng: rng.dirichlet([2.0] * 4), T=3)
def sinkhorn(c, eps, p, q, T):
    K, v = torch.exp(-c / eps), torch.ones_like(q)
    for _ in range(T):
        u = p / (K @ v)
        v = q / (K.T @ u)
    return (u[:, None] * K * v * c).sum()
