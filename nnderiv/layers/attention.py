"""Attention: queries, keys and values are rows; the softmax of a query's scores runs over the keys j."""

from __future__ import annotations

from .layer import layer

_BAHDANAU = "Bahdanau, Cho and Bengio 2015, International Conference on Learning Representations, arXiv:1409.0473"
_LUONG = "Luong, Pham and Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, EMNLP"
_CHENG = "Cheng, Dong and Lapata 2016, Long Short-Term Memory-Networks for Machine Reading, arXiv:1601.06733"
_VASWANI = "Vaswani et al. 2017, Attention Is All You Need, Advances in Neural Information Processing Systems 30"
_RADFORD = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners"

soft_attention = layer("""
    # soft_attention: Key = Value = X, so that each query receives the rows of X, weighted by how similar they are to it
    Q[M,D], X[N,D] -> Y
    S[i,j] = sum[d](Q[i,d]*X[j,d])
    A[i,j] = softmax[j](S[i,j])
    Y[i,d] = sum[j](A[i,j]*X[j,d])
""", source=f"{_BAHDANAU}; {_LUONG}")

soft_attention_kv = layer("""
    # soft_attention_kv: Key ≠ Value, so that each query receives values, weighted by how similar their keys are to it
    Q[M,D], K[N,D], V[N,E] -> Y
    S[i,j] = sum[d](Q[i,d]*K[j,d])
    A[i,j] = softmax[j](S[i,j])
    Y[i,e] = sum[j](A[i,j]*V[j,e])
""", source=f"{_BAHDANAU}; {_LUONG}")

self_attention = layer("""
    # self_attention: Query = Key = Value = X, so that three gradients add up in one
    X[N,D] -> Y
    S[i,j] = sum[d](X[i,d]*X[j,d])/sqrt(D)
    A[i,j] = softmax[j](S[i,j])
    Y[i,d] = sum[j](A[i,j]*X[j,d])
""", source=f"{_CHENG}; {_VASWANI}")

scaled_dot_product_attention = layer("""
    # scaled_dot_product_attention: softmax(Q Kᵀ/√D) V
    Q[M,D], K[N,D], V[N,E] -> Y
    S[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)
    A[i,j] = softmax[j](S[i,j])
    Y[i,e] = sum[j](A[i,j]*V[j,e])
""", source=f"{_VASWANI}, equation (1)")

causal_attention = layer("""
    # causal_attention: scaled dot-product attention in which no place sees a later one
    Q[N,D], K[N,D], V[N,E] -> Y
    S[i,j] = sum[d](Q[i,d]*K[j,d])/sqrt(D)
    A[i,j] = softmax[j](where(j <= i, S[i,j], -inf))
    Y[i,e] = sum[j](A[i,j]*V[j,e])
""", source=f"{_VASWANI}, section 3.2.3")

multi_head_attention = layer("""
    # multi_head_attention: self-attention of each of N sequences, by H heads side by side, mixed by Wo
    X[N,T,D], Wq[H,D,E], Wk[H,D,E], Wv[H,D,E], Wo[H,E,D] -> Y
    Q[n,h,i,e] = sum[d](X[n,i,d]*Wq[h,d,e])
    K[n,h,j,e] = sum[d](X[n,j,d]*Wk[h,d,e])
    V[n,h,j,e] = sum[d](X[n,j,d]*Wv[h,d,e])
    S[n,h,i,j] = sum[e](Q[n,h,i,e]*K[n,h,j,e])/sqrt(E)
    A[n,h,i,j] = softmax[j](S[n,h,i,j])
    Z[n,h,i,e] = sum[j](A[n,h,i,j]*V[n,h,j,e])
    Y[n,i,d] = sum[h,e](Z[n,h,i,e]*Wo[h,e,d])
""", source=f"{_VASWANI}, section 3.2.2")

transformer_block = layer("""
    # transformer_block: causal multi-head self-attention and a network for each place, normalised before, added after
    X[N,T,D], g1[D], c1[D], Wq[H,D,E], Wk[H,D,E], Wv[H,D,E], Wo[H,E,D],
    g2[D], c2[D], W1[D,F], b1[F], W2[F,D], b2[D], eps -> Y
    m1[n,i] = mean[d](X[n,i,d])
    v1[n,i] = mean[d]((X[n,i,d] - m1[n,i])**2)
    X1[n,i,d] = g1[d]*(X[n,i,d] - m1[n,i])/sqrt(v1[n,i] + eps) + c1[d]
    Q[n,h,i,e] = sum[d](X1[n,i,d]*Wq[h,d,e])
    K[n,h,j,e] = sum[d](X1[n,j,d]*Wk[h,d,e])
    V[n,h,j,e] = sum[d](X1[n,j,d]*Wv[h,d,e])
    S[n,h,i,j] = sum[e](Q[n,h,i,e]*K[n,h,j,e])/sqrt(E)
    A[n,h,i,j] = softmax[j](where(j <= i, S[n,h,i,j], -inf))
    Z[n,h,i,e] = sum[j](A[n,h,i,j]*V[n,h,j,e])
    R[n,i,d] = X[n,i,d] + sum[h,e](Z[n,h,i,e]*Wo[h,e,d])
    m2[n,i] = mean[d](R[n,i,d])
    v2[n,i] = mean[d]((R[n,i,d] - m2[n,i])**2)
    X2[n,i,d] = g2[d]*(R[n,i,d] - m2[n,i])/sqrt(v2[n,i] + eps) + c2[d]
    F1[n,i,f] = gelu(sum[d](X2[n,i,d]*W1[d,f]) + b1[f])
    Y[n,i,d] = R[n,i,d] + sum[f](F1[n,i,f]*W2[f,d]) + b2[d]
""", source=f"{_VASWANI}, section 3; {_RADFORD}, section 2.3")
