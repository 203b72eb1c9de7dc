"""Recurrent cells, filters and scans: everything in which a tensor reads itself at another time."""

import torch
import torch.nn.functional as F
from torch.func import functional_call

from tests.suites.case import case, integers, positive, uniform

# ---- cells that PyTorch has -----------------------------------------------------------------------------------


def run(cell, module, inputs, state, **weights):
    """`cell` of torch.nn with the given weights in place of its own; a hidden bias that is not given is zero."""
    layer = cell(inputs.shape[-1], module, dtype=torch.float64)
    return functional_call(layer, {**{k: torch.zeros_like(v) for k, v in layer.named_parameters()}, **weights},
                           (inputs, state))


@case("""
    # Elman network
    x[T,N,I], U[H,I], W[H,H], V[O,H], b[H], c[O], h0[N,H], y[T,N,O] -> L

    h[-1,n,k] = h0[n,k]
    z[t,n,k]  = sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k]
    h[t,n,k]  = tanh(z[t,n,k])
    o[t,n,m]  = sum[k](V[m,k]*h[t,n,k]) + c[m]
    L = -sum[t,n,m](y[t,n,m]*log_softmax[m](o[t,n,m]))
    given sum[m](y[t,n,m]) = 1
    """, x=(4, 2, 3), U=(5, 3), W=(5, 5), V=(3, 5), b=(5,), c=(3,), h0=(2, 5),
      y=lambda rng: rng.dirichlet([1.0, 1.0, 1.0], size=(4, 2)))
def elman_with_loss(x, U, W, V, b, c, h0, y):
    h, _ = run(torch.nn.RNN, len(U), x, h0[None], weight_ih_l0=U, weight_hh_l0=W, bias_ih_l0=b)
    return F.cross_entropy((h @ V.T + c).flatten(0, 1), y.flatten(0, 1), reduction="sum")


@case("""
    x[T,N,I], U[H,I], W[H,H], b[H] -> h
    h[t,n,k] = relu(sum[j](U[k,j]*x[t,n,j]) + sum[j](W[k,j]*h[t-1,n,j]) + b[k])
    """, x=(5, 2, 3), U=(4, 3), W=(4, 4), b=(4,))
def relu_rnn_that_starts_from_zero(x, U, W, b):
    layer = torch.nn.RNN(3, 4, nonlinearity="relu", dtype=torch.float64)
    return functional_call(layer, {"weight_ih_l0": U, "weight_hh_l0": W, "bias_ih_l0": b,
                                   "bias_hh_l0": torch.zeros_like(b)}, (x,))[0]


@case("""
    # the four gates are one axis: 0 input, 1 forget, 2 cell, 3 output
    x[T,N,I], U[4,H,I], W[4,H,H], b[4,H], h0[N,H], c0[N,H] -> h, c
    h[-1,n,k] = h0[n,k]
    c[-1,n,k] = c0[n,k]
    z[t,n,g,k] = sum[j](U[g,k,j]*x[t,n,j]) + sum[l](W[g,k,l]*h[t-1,n,l]) + b[g,k]
    c[t,n,k] = sigmoid(z[t,n,1,k])*c[t-1,n,k] + sigmoid(z[t,n,0,k])*tanh(z[t,n,2,k])
    h[t,n,k] = sigmoid(z[t,n,3,k])*tanh(c[t,n,k])
    """, x=(4, 2, 3), U=(4, 5, 3), W=(4, 5, 5), b=(4, 5), h0=(2, 5), c0=(2, 5))
def lstm(x, U, W, b, h0, c0):
    h, c = h0, c0
    hs, cs = [], []
    for xt in x:
        _, (h, c) = run(torch.nn.LSTM, 5, xt[None], (h[None], c[None]), weight_ih_l0=U.flatten(0, 1),
                        weight_hh_l0=W.flatten(0, 1), bias_ih_l0=b.flatten())
        h, c = h[0], c[0]
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


@case("""
    x[T,N,D], Ui[H,D], Uf[H,D], Ug[H,D], Uo[H,D], Wi[H,H], Wf[H,H], Wg[H,H], Wo[H,H], bi[H], bf[H], bg[H], bo[H] -> y
    i[t,n,k] = sigmoid(sum[d](Ui[k,d]*x[t,n,d]) + sum[l](Wi[k,l]*h[t-1,n,l]) + bi[k])
    f[t,n,k] = sigmoid(sum[d](Uf[k,d]*x[t,n,d]) + sum[l](Wf[k,l]*h[t-1,n,l]) + bf[k])
    g[t,n,k] = tanh(sum[d](Ug[k,d]*x[t,n,d]) + sum[l](Wg[k,l]*h[t-1,n,l]) + bg[k])
    o[t,n,k] = sigmoid(sum[d](Uo[k,d]*x[t,n,d]) + sum[l](Wo[k,l]*h[t-1,n,l]) + bo[k])
    c[t,n,k] = f[t,n,k]*c[t-1,n,k] + i[t,n,k]*g[t,n,k]
    h[t,n,k] = o[t,n,k]*tanh(c[t,n,k])
    y[n,k] = h[T-1,n,k]
    """, x=(4, 2, 3), Ui=(5, 3), Uf=(5, 3), Ug=(5, 3), Uo=(5, 3), Wi=(5, 5), Wf=(5, 5), Wg=(5, 5), Wo=(5, 5),
      bi=(5,), bf=(5,), bg=(5,), bo=(5,))
def lstm_gate_by_gate_last_state(x, Ui, Uf, Ug, Uo, Wi, Wf, Wg, Wo, bi, bf, bg, bo):
    zero = torch.zeros(1, 2, 5, dtype=x.dtype)
    return run(torch.nn.LSTM, 5, x, (zero, zero), weight_ih_l0=torch.cat([Ui, Uf, Ug, Uo]),
               weight_hh_l0=torch.cat([Wi, Wf, Wg, Wo]), bias_ih_l0=torch.cat([bi, bf, bg, bo]))[1][0][0]


@case("""
    x[T,N,I], h0[N,H], Ur[H,I], Uz[H,I], Un[H,I], Wr[H,H], Wz[H,H], Wn[H,H], b[3,H], a[H] -> h
    h[-1,n,k] = h0[n,k]
    r[t,n,k] = sigmoid(sum[j](Ur[k,j]*x[t,n,j]) + b[0,k] + sum[l](Wr[k,l]*h[t-1,n,l]))
    z[t,n,k] = sigmoid(sum[j](Uz[k,j]*x[t,n,j]) + b[1,k] + sum[l](Wz[k,l]*h[t-1,n,l]))
    q[t,n,k] = tanh(sum[j](Un[k,j]*x[t,n,j]) + b[2,k] + r[t,n,k]*(sum[l](Wn[k,l]*h[t-1,n,l]) + a[k]))
    h[t,n,k] = (1 - z[t,n,k])*q[t,n,k] + z[t,n,k]*h[t-1,n,k]
    """, x=(4, 2, 3), h0=(2, 5), Ur=(5, 3), Uz=(5, 3), Un=(5, 3), Wr=(5, 5), Wz=(5, 5), Wn=(5, 5), b=(3, 5), a=(5,))
def gru(x, h0, Ur, Uz, Un, Wr, Wz, Wn, b, a):
    return run(torch.nn.GRU, 5, x, h0[None], weight_ih_l0=torch.cat([Ur, Uz, Un]), bias_ih_l0=b.flatten(),
               weight_hh_l0=torch.cat([Wr, Wz, Wn]), bias_hh_l0=torch.cat([a * 0, a * 0, a]))[0]


@case("""
    x[T,N,I], U[H,I], W[H,H], P[H,I], Q[H,H], b[H], c[H] -> h, g
    h[t,n,k] = tanh(sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k])
    g[t,n,k] = tanh(sum[j](P[k,j]*x[t,n,j]) + sum[l](Q[k,l]*g[t+1,n,l]) + c[k])
    """, x=(5, 2, 3), U=(4, 3), W=(4, 4), P=(4, 3), Q=(4, 4), b=(4,), c=(4,))
def bidirectional_rnn(x, U, W, P, Q, b, c):
    layer = torch.nn.RNN(3, 4, bidirectional=True, dtype=torch.float64)
    zero = torch.zeros_like(b)
    both = functional_call(layer, {
        "weight_ih_l0": U, "weight_hh_l0": W, "bias_ih_l0": b, "bias_hh_l0": zero, "weight_ih_l0_reverse": P,
        "weight_hh_l0_reverse": Q, "bias_ih_l0_reverse": c, "bias_hh_l0_reverse": zero}, (x,))[0]
    return both[..., :4], both[..., 4:]


@case("""
    x[T,N,I], U[H,I], W[H,H], P[K,H], Q[K,K], b[H], c[K], h0[N,H], g0[N,K] -> g
    h[-1,n,k] = h0[n,k]
    g[-1,n,k] = g0[n,k]
    h[t,n,k] = tanh(sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k])
    g[t,n,k] = tanh(sum[j](P[k,j]*h[t,n,j]) + sum[l](Q[k,l]*g[t-1,n,l]) + c[k])
    """, x=(4, 2, 3), U=(4, 3), W=(4, 4), P=(4, 4), Q=(4, 4), b=(4,), c=(4,), h0=(2, 4), g0=(2, 4))
def two_stacked_rnns(x, U, W, P, Q, b, c, h0, g0):
    layer = torch.nn.RNN(3, 4, num_layers=2, dtype=torch.float64)
    zero = torch.zeros_like(b)
    return functional_call(layer, {
        "weight_ih_l0": U, "weight_hh_l0": W, "bias_ih_l0": b, "bias_hh_l0": zero, "weight_ih_l1": P,
        "weight_hh_l1": Q, "bias_ih_l1": c, "bias_hh_l1": zero}, (x, torch.stack([h0, g0])))[0]


@case("""
    # a sequence that has ended keeps its state
    x[T,N,I], U[H,I], W[H,H], b[H], int steps[N] -> y
    h[t,n,k] = where(t < steps[n], tanh(sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k]), h[t-1,n,k])
    y[n,k] = h[T-1,n,k]
    """, x=(5, 3, 2), U=(4, 2), W=(4, 4), b=(4,), steps=lambda rng: rng.permutation([5, 2, 3]))
def rnn_over_sequences_of_different_lengths(x, U, W, b, steps):
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, steps, enforce_sorted=False)
    layer = torch.nn.RNN(2, 4, dtype=torch.float64)
    return functional_call(layer, {"weight_ih_l0": U, "weight_hh_l0": W, "bias_ih_l0": b,
                                   "bias_hh_l0": torch.zeros_like(b)}, (packed,))[1][0]


@case("""
    # a model of characters: embedding, recurrence, next-character loss
    int tok[T,N], int y[T,N], E[V,D], U[H,D], W[H,H], b[H], R[V,H], c[V] -> L
    h[t,n,k] = tanh(sum[d](U[k,d]*E[tok[t,n],d]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k])
    o[t,n,v] = sum[k](R[v,k]*h[t,n,k]) + c[v]
    lp[t,n,v] = log_softmax[v](o[t,n,v])
    L = -mean[t,n](lp[t,n,y[t,n]])
    """, tok=integers(6, 4, 2), y=integers(6, 4, 2), E=(6, 3), U=(5, 3), W=(5, 5), b=(5,), R=(6, 5), c=(6,))
def character_model(tok, y, E, U, W, b, R, c):
    zero = torch.zeros(1, 2, 5, dtype=E.dtype)
    h, _ = run(torch.nn.RNN, 5, F.embedding(tok, E), zero, weight_ih_l0=U, weight_hh_l0=W, bias_ih_l0=b)
    return F.cross_entropy((h @ R.T + c).flatten(0, 1), y.flatten())


# ---- cells of the literature ----------------------------------------------------------------------------------


def scan(step, state, *sequences):
    """The states after each step, stacked over time."""
    states = []
    for now in zip(*sequences, strict=True):
        state = step(state, *now)
        states.append(state)
    return torch.stack(states)


@case("""
    x[T,N,I], U[H,I], W[H,H], P[H,I], Q[H,H], b[H], c[H] -> h
    f[t,n,k] = sigmoid(sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k])
    g[t,n,k] = tanh(sum[j](P[k,j]*x[t,n,j]) + sum[l](Q[k,l]*f[t,n,l]*h[t-1,n,l]) + c[k])
    h[t,n,k] = (1 - f[t,n,k])*h[t-1,n,k] + f[t,n,k]*g[t,n,k]
    """, x=(4, 2, 3), U=(5, 3), W=(5, 5), P=(5, 3), Q=(5, 5), b=(5,), c=(5,))
def minimal_gated_unit(x, U, W, P, Q, b, c):
    def step(h, xt):
        f = torch.sigmoid(F.linear(xt, U, b) + F.linear(h, W))
        return torch.lerp(h, torch.tanh(F.linear(xt, P, c) + F.linear(f * h, Q)), f)

    return scan(step, torch.zeros(2, 5, dtype=x.dtype), x)


@case("""
    x[T,N,I], U[4,H,I], W[4,H,H], b[4,H], p[3,H] -> h
    z[t,n,g,k] = sum[j](U[g,k,j]*x[t,n,j]) + sum[l](W[g,k,l]*h[t-1,n,l]) + b[g,k]
    a[t,n,k] = sigmoid(z[t,n,0,k] + p[0,k]*c[t-1,n,k])
    f[t,n,k] = sigmoid(z[t,n,1,k] + p[1,k]*c[t-1,n,k])
    c[t,n,k] = f[t,n,k]*c[t-1,n,k] + a[t,n,k]*tanh(z[t,n,2,k])
    o[t,n,k] = sigmoid(z[t,n,3,k] + p[2,k]*c[t,n,k])
    h[t,n,k] = o[t,n,k]*tanh(c[t,n,k])
    """, x=(4, 2, 3), U=(4, 5, 3), W=(4, 5, 5), b=(4, 5), p=(3, 5))
def peephole_lstm(x, U, W, b, p):
    def step(state, xt):
        h, c = state
        z = torch.einsum("ghi,ni->gnh", U, xt) + torch.einsum("ghk,nk->gnh", W, h) + b[:, None]
        a, f = torch.sigmoid(z[0] + p[0] * c), torch.sigmoid(z[1] + p[1] * c)
        c = f * c + a * torch.tanh(z[2])
        return torch.stack([torch.sigmoid(z[3] + p[2] * c) * torch.tanh(c), c])

    return scan(step, torch.zeros(2, 2, 5, dtype=x.dtype), x)[:, 0]


@case("""
    x[T,K], A[K,K], B[K,K], y1[K], y2[K] -> y
    y[-1,k] = y1[k]
    y[-2,k] = y2[k]
    y[t,k] = tanh(sum[l](A[k,l]*y[t-1,l]) + sum[l](B[k,l]*y[t-2,l]) + x[t,k])
    """, x=(6, 3), A=(3, 3), B=(3, 3), y1=(3,), y2=(3,))
def recurrence_of_second_order(x, A, B, y1, y2):
    ys = [y2, y1]
    for xt in x:
        ys.append(torch.tanh(A @ ys[-1] + B @ ys[-2] + xt))
    return torch.stack(ys[2:])


@case("""
    x[T,K] -> y
    y[t,k] = tanh(x[t,k]*y[t-2,k] + 1)
    """, x=(7, 2))
def recurrence_that_skips_every_other_step(x):
    ys = [x[0] * 0, x[0] * 0]
    for xt in x:
        ys.append(torch.tanh(xt * ys[-2] + 1))
    return torch.stack(ys[2:])


@case("""
    x[T,K], int d, w[K] -> h
    h[t,k] = tanh(w[k]*h[t-d,k] + x[t,k])
    """, x=(7, 2), d=3, w=(2,))
def recurrence_whose_distance_is_a_parameter(x, d, w):
    hs = [torch.zeros_like(w)] * d
    for xt in x:
        hs.append(torch.tanh(w * hs[-d] + xt))
    return torch.stack(hs[d:])


@case("""
    x[T,H], alpha, W[H,H] -> v
    v[t,k] = (1 - alpha)*v[t-1,k] + alpha*tanh(sum[l](W[k,l]*v[t-1,l]) + x[t,k])
    """, x=(5, 3), alpha=0.3, W=(3, 3))
def leaky_integrator(x, alpha, W):
    return scan(lambda v, xt: torch.lerp(v, torch.tanh(W @ v + xt), alpha), torch.zeros_like(x[0]), x)


@case("""
    x[T,N,H], Wf[H,H], Wr[H,H], W[H,H], bf[H], br[H] -> h
    f[t,n,k] = sigmoid(sum[j](Wf[k,j]*x[t,n,j]) + bf[k])
    r[t,n,k] = sigmoid(sum[j](Wr[k,j]*x[t,n,j]) + br[k])
    c[t,n,k] = f[t,n,k]*c[t-1,n,k] + (1 - f[t,n,k])*sum[j](W[k,j]*x[t,n,j])
    h[t,n,k] = r[t,n,k]*tanh(c[t,n,k]) + (1 - r[t,n,k])*x[t,n,k]
    """, x=(4, 2, 3), Wf=(3, 3), Wr=(3, 3), W=(3, 3), bf=(3,), br=(3,))
def simple_recurrent_unit(x, Wf, Wr, W, bf, br):
    f, r = torch.sigmoid(F.linear(x, Wf, bf)), torch.sigmoid(F.linear(x, Wr, br))
    c = scan(lambda c, ft, ut: torch.lerp(ut, c, ft), torch.zeros_like(x[0]), f, F.linear(x, W))
    return torch.lerp(x, torch.tanh(c), r)


@case("""
    x[T,P], w[3], b -> h
    h[t,i] = tanh(x[t,i] + sum[u](w[u]*h[t-1,i+u-1]) + b)
    """, x=(4, 6), w=(3,), b=0.2)
def recurrence_with_a_convolution_inside(x, w, b):
    return scan(lambda h, xt: torch.tanh(xt + F.conv1d(h[None, None], w[None, None], padding=1)[0, 0] + b),
                torch.zeros_like(x[0]), x)


@case("""
    # every step attends to a memory
    x[T,K], M[J,K], W[K,K], s0[K] -> s
    s[-1,k] = s0[k]
    a[t,j] = softmax[j](sum[k](s[t-1,k]*M[j,k])/sqrt(K))
    c[t,k] = sum[j](a[t,j]*M[j,k])
    s[t,k] = tanh(c[t,k] + sum[l](W[k,l]*s[t-1,l]) + x[t,k])
    """, x=(4, 3), M=(5, 3), W=(3, 3), s0=(3,))
def recurrence_with_attention_inside(x, M, W, s0):
    return scan(lambda s, xt: torch.tanh(F.softmax(M @ s / 3**0.5, 0) @ M + W @ s + xt), s0, x)


@case("""
    x[T,N], A[T,T] -> h
    h[t,n] = tanh(x[t,n] + sum[s](where(s < t, A[t,s]*h[s,n], 0)))
    """, x=(5, 2), A=(5, 5))
def recurrence_that_reads_its_whole_past(x, A):
    hs = []
    for t, xt in enumerate(x):
        hs.append(torch.tanh(xt + sum((A[t, s] * hs[s] for s in range(t)), torch.zeros_like(xt))))
    return torch.stack(hs)


@case("""
    x[T,K], w[K] -> h
    h[t,k] = tanh(w[k]*h[t-1,k] + x[2*t,k]) for t < (T + 1)//2
    """, x=(7, 2), w=(2,))
def recurrence_over_every_other_input(x, w):
    return scan(lambda h, xt: torch.tanh(w * h + xt), torch.zeros_like(w), x[::2])


@case("""
    # a heap: the children of i are 2i + 1 and 2i + 2
    x[N], a, b -> h
    h[i] = tanh(x[i] + a*h[2*i+1] + b*h[2*i+2])
    """, x=(9,), a=0.7, b=-0.6)
def recursion_over_a_heap(x, a, b):
    h = {}
    for i in reversed(range(9)):
        h[i] = torch.tanh(x[i] + a * h.get(2 * i + 1, 0) + b * h.get(2 * i + 2, 0))
    return torch.stack([h[i] for i in range(9)])


@case("""
    # a tree that is data: who the children are; -1 is nobody
    x[N,K], W[K,K], V[K,K], int left[N], int right[N] -> h
    h[n,k] = tanh(x[n,k] + sum[l](W[k,l]*h[left[n],l]) + sum[m](V[k,m]*h[right[n],m]))
    """, x=(5, 2), W=(2, 2), V=(2, 2), left=lambda rng: [2, -1, 1, -1, -1], right=lambda rng: [4, -1, 3, -1, -1])
def recursive_network_over_a_tree(x, W, V, left, right):
    def state(n):
        return torch.tanh(x[n] + W @ state(left[n]) + V @ state(right[n])) if n >= 0 else 0 * x[0]

    return torch.stack([state(n) for n in range(5)])


# ---- filters, state spaces and scans --------------------------------------------------------------------------


@case("""
    x[N], b[3], a[2] -> y
    y[n] = b[0]*x[n] + b[1]*x[n-1] + b[2]*x[n-2] - a[0]*y[n-1] - a[1]*y[n-2]
    """, x=(8,), b=(3,), a=uniform(-0.4, 0.4, 2))
def iir_filter(x, b, a):
    moving = F.conv1d(F.pad(x, (2, 0))[None, None], b.flip(0)[None, None])[0, 0]
    ys = [x[0] * 0, x[0] * 0]
    for mn in moving:
        ys.append(mn - a[0] * ys[-1] - a[1] * ys[-2])
    return torch.stack(ys[2:])


@case("""
    u[T,M], A[S,S], B[S,M], C[P,S], D[P,M], h0[S] -> y, h
    h[-1,s] = h0[s]
    h[t,s] = sum[r](A[s,r]*h[t-1,r]) + sum[m](B[s,m]*u[t,m])
    y[t,p] = sum[s](C[p,s]*h[t,s]) + sum[m](D[p,m]*u[t,m])
    """, u=(5, 2), A=(3, 3), B=(3, 2), C=(2, 3), D=(2, 2), h0=(3,))
def linear_state_space(u, A, B, C, D, h0):
    h = scan(lambda h, ut: A @ h + B @ ut, h0, u)
    return h @ C.T + u @ D.T, h


@case("""
    x[T,D], delta[T,D], A[D,S], B[T,S], C[T,S], skip[D] -> y
    h[t,d,s] = exp(delta[t,d]*A[d,s])*h[t-1,d,s] + delta[t,d]*B[t,s]*x[t,d]
    y[t,d] = sum[s](C[t,s]*h[t,d,s]) + skip[d]*x[t,d]
    """, x=(5, 2), delta=positive(5, 2), A=uniform(-1.5, -0.5, 2, 3), B=(5, 3), C=(5, 3), skip=(2,))
def selective_scan(x, delta, A, B, C, skip):
    h = scan(lambda h, decay, drive: decay * h + drive, torch.zeros_like(A),
             torch.exp(delta[..., None] * A), (delta * x)[..., None] * B[:, None])
    return torch.einsum("ts,tds->td", C, h) + skip * x


@case("""
    x[T,K], beta -> y
    m[t,k] = beta*m[t-1,k] + (1 - beta)*x[t,k]
    y[t,k] = m[t,k]/(1 - beta**(t + 1))
    """, x=(5, 2), beta=0.8)
def moving_average_without_bias(x, beta):
    m = scan(lambda m, xt: torch.lerp(xt, m, beta), torch.zeros_like(x[0]), x)
    return m / (1 - beta ** torch.arange(1, len(x) + 1)[:, None])


@case("""
    x[T,N] -> y
    y[t,n] = y[t-1,n] + x[t,n]
    """, x=(6, 2))
def cumulative_sum(x):
    return torch.cumsum(x, 0)


@case("""
    x[T,N] -> y
    y[t,n] = sum[s](where(s <= t, x[s,n], 0)) for t < T
    """, x=(6, 2))
def cumulative_sum_as_a_masked_sum(x):
    return torch.cumsum(x, 0)


@case("""
    x[T,N] -> y
    y[t,n] = sum[s](where(s <= t, x[s,n], 0))/(t + 1) for t < T
    """, x=(6, 2))
def running_mean(x):
    return torch.cumsum(x, 0) / torch.arange(1, 7)[:, None]


@case("""
    x[T,N] -> y
    y[t,n] = y[t+1,n] + x[t,n]
    """, x=(6, 2))
def cumulative_sum_backwards(x):
    return torch.cumsum(x.flip(0), 0).flip(0)


@case("""
    x[N,T] -> y
    y[n,-1] = 1
    y[n,t] = y[n,t-1]*x[n,t]
    """, x=(2, 6))
def cumulative_product(x):
    return torch.cumprod(x, 1)


@case("""
    x[T] -> y
    y[T] = 1
    y[t] = y[t+1]*x[t]
    """, x=(6,))
def cumulative_product_backwards(x):
    return torch.cumprod(x.flip(0), 0).flip(0)


@case("""
    x[T] -> y
    y[0] = x[0]
    y[t] = max(y[t-1], x[t])
    """, x=(8,))
def running_maximum(x):
    return torch.cummax(x, 0).values


@case("""
    x[T] -> y
    y[-1] = -inf
    y[t] = log(exp(y[t-1]) + exp(x[t]))
    """, x=(6,))
def running_logsumexp(x):
    return torch.logcumsumexp(x, 0)


@case("""
    r[T,N], gamma -> G
    G[t,n] = r[t,n] + gamma*G[t+1,n]
    """, r=(6, 2), gamma=0.9)
def discounted_returns(r, gamma):
    return scan(lambda G, rt: rt + gamma * G, torch.zeros_like(r[0]), r.flip(0)).flip(0)


@case("""
    r[T], v[T], last, gamma, lam, int done[T] -> A, R
    V[T] = last
    V[t] = v[t]
    go[t] = where(done[t] == 0, 1, 0)
    A[t] = r[t] + gamma*go[t]*V[t+1] - V[t] + gamma*lam*go[t]*A[t+1]
    R[t] = A[t] + V[t]
    """, r=(6,), v=(6,), last=0.7, gamma=0.9, lam=0.8, done=lambda rng: rng.permutation([0, 0, 0, 0, 1, 1]))
def generalised_advantage_estimation(r, v, last, gamma, lam, done):
    go = 1 - done.to(r.dtype)
    delta = r + gamma * go * torch.cat([v[1:], last[None]]) - v
    A = scan(lambda A, d, g: d + gamma * lam * g * A, torch.zeros_like(last), delta.flip(0), go.flip(0)).flip(0)
    return A, A + v


@case("""
    z[T], a, q, r, m0, p0 -> m, p
    m[-1] = m0
    p[-1] = p0
    s[t] = a**2*p[t-1] + q
    k[t] = s[t]/(s[t] + r)
    m[t] = a*m[t-1] + k[t]*(z[t] - a*m[t-1])
    p[t] = (1 - k[t])*s[t]
    """, z=(5,), a=0.9, q=0.3, r=0.5, m0=0.1, p0=1.2)
def kalman_filter(z, a, q, r, m0, p0):
    def step(state, zt):
        s = a**2 * state[1] + q
        k = s / (s + r)
        return torch.stack([a * state[0] + k * (zt - a * state[0]), (1 - k) * s])

    return tuple(scan(step, torch.stack([m0, p0]), z).T)


@case("""
    a[N], int T -> y
    x[0,n] = a[n]
    x[t,n] = (x[t-1,n] + a[n]/x[t-1,n])/2 for t < T
    y[n] = x[T-1,n]
    """, a=positive(3), T=4)
def square_root_by_newton(a, T):
    x = a
    for _ in range(T - 1):
        x = (x + a / x) / 2
    return x


@case("""
    A[N,N], v0[N], int T -> v
    v[0,i] = v0[i]
    w[t,i] = sum[j](A[i,j]*v[t-1,j]) for t < T
    v[t,i] = w[t,i]/sqrt(sum[j](w[t,j]**2)) for t < T
    """, A=(3, 3), v0=(3,), T=4)
def power_iteration(A, v0, T):
    return torch.cat([v0[None], scan(lambda v, _: F.normalize(A @ v, dim=0), v0, range(T - 1))])


@case("""
    u0[N], kappa, int T -> u
    u[0,i] = u0[i]
    u[t,i] = u[t-1,i] + kappa*(u[t-1,i+1] - 2*u[t-1,i] + u[t-1,i-1]) for t < T
    """, u0=(6,), kappa=0.2, T=4)
def heat_equation(u0, kappa, T):
    kernel = torch.tensor([[[1.0, -2.0, 1.0]]], dtype=u0.dtype)
    steps = scan(lambda u, _: u + kappa * F.conv1d(u[None, None], kernel, padding=1)[0, 0], u0, range(T - 1))
    return torch.cat([u0[None], steps])


@case("""
    z0[N,D], W[T,D,D], b[T,D], step -> z
    z[-1,n,i] = z0[n,i]
    z[t,n,i] = z[t-1,n,i] + step*tanh(sum[j](W[t,i,j]*z[t-1,n,j]) + b[t,i])
    """, z0=(2, 3), W=(4, 3, 3), b=(4, 3), step=0.25)
def residual_network_as_an_euler_scheme(z0, W, b, step):
    return scan(lambda z, Wt, bt: z + step * torch.tanh(F.linear(z, Wt, bt)), z0, W, b)


@case("""
    Q[T,D], K[T,D], V[T,P], beta[T] -> y
    S[t,i,j] = S[t-1,i,j] + beta[t]*(V[t,i] - sum[l](S[t-1,i,l]*K[t,l]))*K[t,j]
    y[t,i] = sum[j](S[t,i,j]*Q[t,j])
    """, Q=(4, 3), K=(4, 3), V=(4, 2), beta=positive(4))
def delta_rule_fast_weights(Q, K, V, beta):
    S = scan(lambda S, k, v, b: S + b * torch.outer(v - S @ k, k), torch.zeros(2, 3, dtype=Q.dtype), K, V, beta)
    return torch.einsum("tij,tj->ti", S, Q)


@case("""
    r[T], omega, alpha, beta, s0 -> L
    s[0] = s0
    s[t] = omega + alpha*r[t-1]**2 + beta*s[t-1] for t < T
    L = sum[t](log(s[t]) + r[t]**2/s[t])/2
    """, r=(6,), omega=0.2, alpha=0.3, beta=0.5, s0=1.1)
def garch_likelihood(r, omega, alpha, beta, s0):
    s = [s0]
    for rt in r[:-1]:
        s.append(omega + alpha * rt**2 + beta * s[-1])
    return F.gaussian_nll_loss(torch.zeros_like(r), r, torch.stack(s), reduction="sum")


@case("""
    w[N], x -> p
    q[n] = w[n] + x*q[n+1]
    p = q[0]
    """, w=(5,), x=0.7)
def polynomial_by_horner(w, x):
    return (w * x ** torch.arange(5)).sum()
