"""Attention in its many forms: what is compared, what is masked, what is mixed."""

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call

from tests.suites.case import case, positive

sdpa = F.scaled_dot_product_attention


@case("""
    Q[N,D], K[M,D], V[M,P] -> Y
    S[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)
    A[i,j] = softmax[j](S[i,j])
    Y[i,p] = sum[j](A[i,j]*V[j,p])
    """, Q=(3, 4), K=(5, 4), V=(5, 2))
def scaled_dot_product_attention(Q, K, V):
    return sdpa(Q[None], K[None], V[None])[0]


@case("""
    Q[B,H,N,D], K[B,H,M,D], V[B,H,M,P] -> Y, A
    A[b,h,i,j] = softmax[j](sum[d](Q[b,h,i,d]*K[b,h,j,d])/sqrt(D))
    Y[b,h,i,p] = sum[j](A[b,h,i,j]*V[b,h,j,p])
    """, Q=(2, 2, 3, 4), K=(2, 2, 5, 4), V=(2, 2, 5, 3))
def attention_of_many_heads_with_its_weights(Q, K, V):
    return sdpa(Q, K, V), F.softmax(Q @ K.mT / 2, -1)


@case("""
    Q[B,T,D], K[B,T,D], V[B,T,P] -> Y
    S[b,i,j] = sum[d](Q[b,i,d]*K[b,j,d])/sqrt(D)
    A[b,i,j] = softmax[j](where(j <= i, S[b,i,j], -inf))
    Y[b,i,p] = sum[j](A[b,i,j]*V[b,j,p])
    """, Q=(2, 5, 3), K=(2, 5, 3), V=(2, 5, 2))
def causal_attention(Q, K, V):
    return sdpa(Q, K, V, is_causal=True)


@case("""
    Q[B,T,D], K[B,T,D], V[B,T,P], R[2*T-1,D] -> Y
    S[b,i,j] = sum[d](Q[b,i,d]*K[b,j,d]) + sum[d](Q[b,i,d]*R[i-j+T-1,d])
    A[b,i,j] = softmax[j](S[b,i,j]/sqrt(D))
    Y[b,i,p] = sum[j](A[b,i,j]*V[b,j,p])
    """, Q=(2, 4, 3), K=(2, 4, 3), V=(2, 4, 2), R=(7, 3))
def attention_with_relative_positions(Q, K, V, R):
    T, at = Q.shape[1], torch.arange(Q.shape[1])
    away = torch.einsum("bid,ijd->bij", Q, R[at[:, None] - at + T - 1])
    return sdpa(Q, K, V, attn_mask=away / Q.shape[2]**0.5)


@case("""
    Q[B,N,D], K[B,M,D], V[B,M,P], int mask[B,M] -> Y
    A[b,i,j] = softmax[j](where(mask[b,j] == 1, sum[d](Q[b,i,d]*K[b,j,d])/sqrt(D), -inf))
    Y[b,i,p] = sum[j](A[b,i,j]*V[b,j,p])
    """, Q=(2, 3, 4), K=(2, 5, 4), V=(2, 5, 2),
      mask=lambda rng: rng.permuted([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], axis=1))
def attention_with_a_padding_mask(Q, K, V, mask):
    return sdpa(Q, K, V, attn_mask=(mask == 1)[:, None])


@case("""
    Q[B,N,D], K[B,M,D], V[B,M,P], int length[B] -> Y
    S[b,i,j] = sum[d](Q[b,i,d]*K[b,j,d])
    A[b,i,j] = softmax[j](where(j < length[b], S[b,i,j], -inf))
    Y[b,i,p] = sum[j](A[b,i,j]*V[b,j,p])
    """, Q=(2, 3, 4), K=(2, 5, 4), V=(2, 5, 2), length=lambda rng: rng.permutation([3, 5]))
def attention_over_sequences_of_different_lengths(Q, K, V, length):
    return sdpa(Q, K, V, attn_mask=(torch.arange(5) < length[:, None])[:, None], scale=1.0)


@case("""
    Q[H,T,D], K[H,T,D], V[H,T,P], slope[H] -> Y
    S[h,i,j] = sum[d](Q[h,i,d]*K[h,j,d])/sqrt(D) - slope[h]*abs(i - j)
    A[h,i,j] = softmax[j](S[h,i,j])
    Y[h,i,p] = sum[j](A[h,i,j]*V[h,j,p])
    """, Q=(2, 4, 3), K=(2, 4, 3), V=(2, 4, 2), slope=positive(2))
def attention_with_linear_biases(Q, K, V, slope):
    t = torch.arange(4, dtype=Q.dtype)
    return sdpa(Q, K, V, attn_mask=-slope[:, None, None] * (t[:, None] - t).abs())


@case("""
    Q[T,D], K[T,D], V[T,P], slope -> Y
    A[i,j] = softmax[j](where(j <= i, sum[d](Q[i,d]*K[j,d]) - slope*(i - j), -inf))
    Y[i,p] = sum[j](A[i,j]*V[j,p])
    """, Q=(4, 3), K=(4, 3), V=(4, 2), slope=0.4)
def causal_attention_with_a_linear_bias(Q, K, V, slope):
    t = torch.arange(4, dtype=Q.dtype)
    distance = t[:, None] - t
    bias = torch.where(distance >= 0, -slope * distance, -torch.inf)
    return sdpa(Q[None], K[None], V[None], attn_mask=bias, scale=1.0)[0]


@case("""
    Q[N,D], K[M,D], V[M,P], B[R] -> Y
    A[i,j] = softmax[j](sum[d](Q[i,d]*K[j,d])/sqrt(D) + B[i - j + M - 1])
    Y[i,p] = sum[j](A[i,j]*V[j,p])
    """, Q=(4, 3), K=(5, 3), V=(5, 2), B=(8,))
def attention_with_a_relative_position_bias(Q, K, V, B):
    bias = B[torch.arange(4)[:, None] - torch.arange(5) + 4]
    return sdpa(Q[None], K[None], V[None], attn_mask=bias)[0]


@case("""
    Q[T,D], K[T,D], V[T,P], R[C,D] -> Y
    S[i,j] = sum[d](Q[i,d]*(K[j,d] + R[j - i + T - 1,d]))/sqrt(D)
    A[i,j] = softmax[j](S[i,j])
    Y[i,p] = sum[j](A[i,j]*V[j,p])
    """, Q=(4, 3), K=(4, 3), V=(4, 2), R=(7, 3))
def attention_with_relative_position_keys(Q, K, V, R):
    relative = R[torch.arange(4) - torch.arange(4)[:, None] + 3]
    bias = torch.einsum("id,ijd->ij", Q, relative) / 3**0.5
    return sdpa(Q[None], K[None], V[None], attn_mask=bias)[0]


@case("""
    # a window of width w on either side
    Q[T,D], K[T,D], V[T,P], int w -> Y
    A[i,j] = softmax[j](where(abs(i - j) <= w, sum[d](Q[i,d]*K[j,d])/sqrt(D), -inf))
    Y[i,p] = sum[j](A[i,j]*V[j,p])
    """, Q=(6, 3), K=(6, 3), V=(6, 2), w=1)
def attention_in_a_window(Q, K, V, w):
    t = torch.arange(6)
    return sdpa(Q[None], K[None], V[None], attn_mask=(t[:, None] - t).abs() <= w)[0]


@case("""
    # the same window, gathered: position w of the window is key i + w - 1
    Q[T,D], K[T,D], V[T,P] -> Y
    S[i,w] = sum[d](Q[i,d]*K[i+w-1,d]) for w < 3
    A[i,w] = softmax[w](where(i + w >= 1 and i + w <= T, S[i,w], -inf))
    Y[i,p] = sum[w](A[i,w]*V[i+w-1,p])
    """, Q=(5, 3), K=(5, 3), V=(5, 2))
def attention_in_a_gathered_window(Q, K, V):
    t = torch.arange(5)
    return sdpa(Q[None], K[None], V[None], attn_mask=(t[:, None] - t).abs() <= 1, scale=1.0)[0]


@case("""
    # Bahdanau
    s[N,D], h[M,E], W[A,D], U[A,E], v[A] -> c
    e[n,m] = sum[a](v[a]*tanh(sum[d](W[a,d]*s[n,d]) + sum[k](U[a,k]*h[m,k])))
    w[n,m] = softmax[m](e[n,m])
    c[n,k] = sum[m](w[n,m]*h[m,k])
    """, s=(3, 2), h=(4, 3), W=(5, 2), U=(5, 3), v=(5,))
def additive_attention(s, h, W, U, v):
    e = torch.tanh(F.linear(s, W)[:, None] + F.linear(h, U)) @ v
    return F.softmax(e, 1) @ h


@case("""
    # Luong, general
    s[N,D], h[M,E], W[D,E] -> c
    w[n,m] = softmax[m](sum[d,k](s[n,d]*W[d,k]*h[m,k]))
    c[n,k] = sum[m](w[n,m]*h[m,k])
    """, s=(3, 2), h=(4, 3), W=(2, 3))
def bilinear_attention(s, h, W):
    return F.softmax(s @ W @ h.T, 1) @ h


@case("""
    # pooling of a bag of instances, Ilse et al.
    h[B,M,D], V[A,D], U[A,D], w[A] -> z
    e[b,m] = sum[a](w[a]*tanh(sum[d](V[a,d]*h[b,m,d]))*sigmoid(sum[d](U[a,d]*h[b,m,d])))
    z[b,d] = sum[m](softmax[m](e[b,m])*h[b,m,d])
    """, h=(2, 4, 3), V=(5, 3), U=(5, 3), w=(5,))
def gated_attention(h, V, U, w):
    e = (torch.tanh(h @ V.T) * torch.sigmoid(h @ U.T)) @ w
    return torch.einsum("bm,bmd->bd", F.softmax(e, 1), h)


@case("""
    # K = V = Q = X
    X[M,D] -> Y
    Y[i,d] = sum[j](softmax[j](sum[k](X[i,k]*X[j,k]))*X[j,d])
    """, X=(4, 3))
def self_attention_without_weights(X):
    return sdpa(X[None], X[None], X[None], scale=1.0)[0]


@case("""
    # the weights of the notes, without exp: what is compared must be positive
    Q[M,D], K[M,D], V[M,P] -> Y
    S[i,j] = sum[d](Q[i,d]*K[j,d])
    Y[i,p] = sum[j](S[i,j]*V[j,p])/sum[l](S[i,l])
    """, Q=positive(3, 4), K=positive(3, 4), V=(3, 2))
def attention_normalised_by_a_plain_sum(Q, K, V):
    S = Q @ K.T
    return F.normalize(S, p=1.0, dim=1) @ V


@case("""
    X[B,T,E], Wq[H,D,E], Wk[H,D,E], Wv[H,D,E], Wo[E,H,D], bq[H,D], bk[H,D], bv[H,D], bo[E] -> Y
    Q[b,h,t,d] = sum[e](Wq[h,d,e]*X[b,t,e]) + bq[h,d]
    K[b,h,t,d] = sum[e](Wk[h,d,e]*X[b,t,e]) + bk[h,d]
    V[b,h,t,d] = sum[e](Wv[h,d,e]*X[b,t,e]) + bv[h,d]
    A[b,h,i,j] = softmax[j](sum[d](Q[b,h,i,d]*K[b,h,j,d])/sqrt(D))
    O[b,h,i,d] = sum[j](A[b,h,i,j]*V[b,h,j,d])
    Y[b,i,e] = sum[h,d](Wo[e,h,d]*O[b,h,i,d]) + bo[e]
    """, X=(2, 3, 4), Wq=(2, 2, 4), Wk=(2, 2, 4), Wv=(2, 2, 4), Wo=(4, 2, 2), bq=(2, 2), bk=(2, 2), bv=(2, 2), bo=(4,))
def multi_head_self_attention(X, Wq, Wk, Wv, Wo, bq, bk, bv, bo):
    layer = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=X.dtype)
    weights = {"in_proj_weight": torch.cat([W.flatten(0, 1) for W in (Wq, Wk, Wv)]),
               "in_proj_bias": torch.cat([b.flatten() for b in (bq, bk, bv)]),
               "out_proj.weight": Wo.flatten(1), "out_proj.bias": bo}
    return functional_call(layer, weights, (X, X, X), {"need_weights": False})[0]


@case("""
    X[T,E], Z[S,E], Wq[H,D,E], Wk[H,D,E], Wv[H,D,E], Wo[E,H,D] -> Y, A
    Q[h,t,d] = sum[e](Wq[h,d,e]*X[t,e])
    K[h,s,d] = sum[e](Wk[h,d,e]*Z[s,e])
    V[h,s,d] = sum[e](Wv[h,d,e]*Z[s,e])
    P[h,t,s] = softmax[s](sum[d](Q[h,t,d]*K[h,s,d])/sqrt(D))
    Y[t,e] = sum[h,d,s](Wo[e,h,d]*P[h,t,s]*V[h,s,d])
    A[t,s] = mean[h](P[h,t,s])
    """, X=(3, 4), Z=(5, 4), Wq=(2, 2, 4), Wk=(2, 2, 4), Wv=(2, 2, 4), Wo=(4, 2, 2))
def cross_attention_with_its_mean_weights(X, Z, Wq, Wk, Wv, Wo):
    layer = torch.nn.MultiheadAttention(4, 2, bias=False, dtype=X.dtype)
    weights = {"in_proj_weight": torch.cat([W.flatten(0, 1) for W in (Wq, Wk, Wv)]), "out_proj.weight": Wo.flatten(1)}
    return functional_call(layer, weights, (X, Z, Z))


@case("""
    # one key and one value for all heads
    Q[H,N,D], K[M,D], V[M,P] -> Y
    A[h,i,j] = softmax[j](sum[d](Q[h,i,d]*K[j,d])/sqrt(D))
    Y[h,i,p] = sum[j](A[h,i,j]*V[j,p])
    """, Q=(3, 2, 4), K=(5, 4), V=(5, 2))
def multi_query_attention(Q, K, V):
    return sdpa(Q, K.expand(3, -1, -1), V.expand(3, -1, -1))


@case("""
    # R query heads share each of G key-value heads
    Q[G,R,N,D], K[G,M,D], V[G,M,P] -> Y
    A[g,r,i,j] = softmax[j](sum[d](Q[g,r,i,d]*K[g,j,d])/sqrt(D))
    Y[g,r,i,p] = sum[j](A[g,r,i,j]*V[g,j,p])
    """, Q=(2, 2, 3, 4), K=(2, 4, 4), V=(2, 4, 2))
def grouped_query_attention(Q, K, V):
    return sdpa(Q.flatten(0, 1)[None], K[None], V[None], enable_gqa=True)[0].reshape(2, 2, 3, 2)


@case("""
    # feature map elu + 1, no mask
    Q[N,D], K[M,D], V[M,P] -> Y
    F[i,d] = where(Q[i,d] > 0, Q[i,d] + 1, exp(Q[i,d]))
    G[j,d] = where(K[j,d] > 0, K[j,d] + 1, exp(K[j,d]))
    S[d,p] = sum[j](G[j,d]*V[j,p])
    z[d] = sum[j](G[j,d])
    Y[i,p] = sum[d](F[i,d]*S[d,p])/sum[d](F[i,d]*z[d])
    """, Q=(3, 4), K=(5, 4), V=(5, 2))
def linear_attention(Q, K, V):
    f, g = F.elu(Q) + 1, F.elu(K) + 1
    weights = f @ g.T
    return weights @ V / weights.sum(1, keepdim=True)


@case("""
    # linear attention as a recurrence; lambda is the decay
    Q[T,D], K[T,D], V[T,P], lam -> Y
    S[t,d,p] = lam*S[t-1,d,p] + K[t,d]*V[t,p]
    Y[t,p] = sum[d](Q[t,d]*S[t,d,p])
    """, Q=(5, 2), K=(5, 2), V=(5, 3), lam=0.9)
def retention(Q, K, V, lam):
    t = torch.arange(5)
    lag = t[:, None] - t
    return (torch.where(lag >= 0, lam ** lag.clamp(min=0), 0.0) * (Q @ K.T)) @ V


@case("""
    # rotary: the pair (0, 1) of every frequency is turned by an angle that grows with the position
    Q[T,P,2], K[T,P,2], V[T,D] -> Y
    a[t,p] = Q[t,p,0]*cos(t*100**(-p/P)) - Q[t,p,1]*sin(t*100**(-p/P))
    b[t,p] = Q[t,p,0]*sin(t*100**(-p/P)) + Q[t,p,1]*cos(t*100**(-p/P))
    c[t,p] = K[t,p,0]*cos(t*100**(-p/P)) - K[t,p,1]*sin(t*100**(-p/P))
    d[t,p] = K[t,p,0]*sin(t*100**(-p/P)) + K[t,p,1]*cos(t*100**(-p/P))
    S[i,j] = sum[p](a[i,p]*c[j,p] + b[i,p]*d[j,p])
    Y[i,m] = sum[j](softmax[j](S[i,j])*V[j,m])
    """, Q=(4, 3, 2), K=(4, 3, 2), V=(4, 2))
def rotary_attention(Q, K, V):
    angle = torch.arange(4)[:, None] * 100 ** (-torch.arange(3, dtype=torch.float64) / 3)
    turn = torch.polar(torch.ones_like(angle), angle)
    q, k = torch.view_as_complex(Q) * turn, torch.view_as_complex(K) * turn
    return F.softmax((q @ k.conj().T).real, 1) @ V


@case("""
    Q[N,D], K[M,D], V[M,P], b -> Y
    Y[i,p] = sum[j](sigmoid(sum[d](Q[i,d]*K[j,d])/sqrt(D) + b)*V[j,p])
    """, Q=(3, 4), K=(5, 4), V=(5, 2), b=-0.3)
def sigmoid_attention(Q, K, V, b):
    return torch.sigmoid(Q @ K.T / 2 + b) @ V


@case("""
    # one more logit takes part in the normalisation and mixes nothing in
    Q[N,D], K[M,D], V[M,P], sink -> Y
    S[i,j] = sum[d](Q[i,d]*K[j,d])
    Y[i,p] = sum[j](exp(S[i,j])*V[j,p])/(exp(sink) + sum[j](exp(S[i,j])))
    """, Q=(3, 2), K=(4, 2), V=(4, 2), sink=0.5)
def attention_with_a_sink(Q, K, V, sink):
    S = torch.cat([Q @ K.T, sink.expand(3, 1)], 1)
    return F.softmax(S, 1)[:, :4] @ V


@case("""
    Q[2,T,D], K[2,T,D], V[T,P], lam -> Y
    A[s,i,j] = softmax[j](where(j <= i, sum[d](Q[s,i,d]*K[s,j,d])/sqrt(D), -inf))
    Y[i,p] = sum[j]((A[0,i,j] - lam*A[1,i,j])*V[j,p])
    """, Q=(2, 4, 3), K=(2, 4, 3), V=(4, 2), lam=0.6)
def differential_attention(Q, K, V, lam):
    first, second = sdpa(Q, K, V.expand(2, -1, -1), is_causal=True)
    return first - lam * second


@case("""
    # heads are mixed before and after the softmax
    Q[H,N,D], K[H,M,D], V[H,M,P], L[G,H], W[R,G] -> Y
    S[g,i,j] = sum[h,d](L[g,h]*Q[h,i,d]*K[h,j,d])
    A[g,i,j] = softmax[j](S[g,i,j])
    Y[r,i,p] = sum[g,j](W[r,g]*A[g,i,j]*V[r,j,p])
    """, Q=(2, 3, 4), K=(2, 4, 4), V=(2, 4, 2), L=(3, 2), W=(2, 3))
def talking_heads_attention(Q, K, V, L, W):
    logits = torch.einsum("gh,hij->gij", L, Q @ K.mT)
    return torch.einsum("rg,gij->rij", W, F.softmax(logits, -1)) @ V


@case("""
    # queries and keys on the unit sphere
    Q[N,D], K[M,D], V[M,P], scale -> Y
    q[i,d] = Q[i,d]/sqrt(sum[e](Q[i,e]**2))
    k[j,d] = K[j,d]/sqrt(sum[e](K[j,e]**2))
    Y[i,p] = sum[j](softmax[j](scale*sum[d](q[i,d]*k[j,d]))*V[j,p])
    """, Q=(3, 4), K=(5, 4), V=(5, 2), scale=3.0)
def attention_of_normalised_queries_and_keys(Q, K, V, scale):
    return F.softmax(scale * F.normalize(Q, dim=1) @ F.normalize(K, dim=1).T, 1) @ V


@case("""
    # two hops over a memory
    u[D], A[M,D], C[M,D] -> w
    v[d] = u[d] + sum[m](softmax[m](sum[e](u[e]*A[m,e]))*C[m,d])
    w[d] = v[d] + sum[m](softmax[m](sum[e](v[e]*A[m,e]))*C[m,d])
    """, u=(3,), A=(4, 3), C=(4, 3))
def memory_network(u, A, C):
    v = u + F.softmax(A @ u, 0) @ C
    return v + F.softmax(A @ v, 0) @ C


@case("""
    # graph attention: a node attends to its neighbours only
    X[N,I], W[O,I], a[O], b[O], int adj[N,N] -> Y
    h[n,o] = sum[i](W[o,i]*X[n,i])
    s[n,m] = sum[o](a[o]*h[n,o]) + sum[o](b[o]*h[m,o])
    e[n,m] = where(adj[n,m] == 1, max(s[n,m], 0.2*s[n,m]), -inf)
    Y[n,o] = sum[m](softmax[m](e[n,m])*h[m,o])
    """, X=(4, 3), W=(2, 3), a=(2,), b=(2,),
      adj=lambda rng: rng.integers(2, size=(4, 4)) | np.eye(4, dtype=int))
def graph_attention(X, W, a, b, adj):
    h = X @ W.T
    e = F.leaky_relu((h @ a)[:, None] + h @ b, 0.2)
    return F.softmax(e.masked_fill(adj == 0, -torch.inf), 1) @ h


@case("""
    # three graph convolutions that share their weights: degree-normalised sums over neighbours
    X[N,D], W[D,D], A[N,N] -> Y
    r[n] = 1/sqrt(sum[m](A[n,m]))
    P[n,m] = r[n]*A[n,m]*r[m]
    F[n,d] = relu(sum[m,e](P[n,m]*X[m,e]*W[e,d]))
    G[n,d] = relu(sum[m,e](P[n,m]*F[m,e]*W[e,d]))
    Y[n,d] = sum[m,e](P[n,m]*G[m,e]*W[e,d])
    """, X=(4, 3), W=(3, 3), A=positive(4, 4))
def graph_convolutions(X, W, A):
    r = A.sum(1).rsqrt()
    P = r[:, None] * A * r
    return P @ torch.relu(P @ torch.relu(P @ X @ W) @ W) @ W
