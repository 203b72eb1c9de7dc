"""Recurrent networks: x[t,n,i] is feature i of sample n at time t, h[-1] the state before the first, and T a symbol."""

from __future__ import annotations

from .layer import layer

elman = layer("""
    # elman: the hidden states of an Elman network
    x[T,N,I], U[H,I], W[H,H], b[H], h0[N,H] -> h
    h[-1,n,k] = h0[n,k]
    z[t,n,k]  = sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k]
    h[t,n,k]  = tanh(z[t,n,k])
""", source="Elman 1990, Cognitive Science 14(2), 179-211")

elman_loss = layer("""
    # elman_loss: an Elman network with an output at every time, and the cross-entropy of all its outputs
    x[T,N,I], U[H,I], W[H,H], V[O,H], b[H], c[O], h0[N,H], y[T,N,O] -> L
    h[-1,n,k] = h0[n,k]
    z[t,n,k]  = sum[j](U[k,j]*x[t,n,j]) + sum[l](W[k,l]*h[t-1,n,l]) + b[k]
    h[t,n,k]  = tanh(z[t,n,k])
    o[t,n,m]  = sum[k](V[m,k]*h[t,n,k]) + c[m]
    L = -sum[t,n,m](y[t,n,m]*log_softmax[m](o[t,n,m]))
    given sum[m](y[t,n,m]) = 1
""", source="Elman 1990, Cognitive Science 14(2), 179-211; Werbos 1990, Proceedings of the IEEE 78(10), 1550-1560")

elman_characters = layer("""
    # elman_characters: an Elman network that reads characters and predicts the next ones, both given by their numbers
    int x[T,N], int y[T,N], U[H,A], W[H,H], V[A,H], b[H], c[A], h0[N,H] -> L, last
    h[-1,n,k] = h0[n,k]
    z[t,n,k]  = U[k,x[t,n]] + sum[l](W[k,l]*h[t-1,n,l]) + b[k]
    h[t,n,k]  = tanh(z[t,n,k])
    o[t,n,m]  = sum[k](V[m,k]*h[t,n,k]) + c[m]
    p[t,n,m]  = log_softmax[m](o[t,n,m])
    L = -mean[t,n](p[t,n,y[t,n]])
    last[n,k] = h[T-1,n,k]
""", source="Elman 1990, Cognitive Science 14(2), 179-211; Graves 2013, Generating Sequences, arXiv:1308.0850")

lstm = layer("""
    # lstm: a memory that is written, kept and read through gates
    x[T,N,I], h0[N,H], c0[N,H], Ui[H,I], Uf[H,I], Ug[H,I], Uo[H,I],
    Wi[H,H], Wf[H,H], Wg[H,H], Wo[H,H], bi[H], bf[H], bg[H], bo[H] -> h, c
    h[-1,n,k] = h0[n,k]
    c[-1,n,k] = c0[n,k]
    i[t,n,k] = sigmoid(sum[j](Ui[k,j]*x[t,n,j]) + sum[l](Wi[k,l]*h[t-1,n,l]) + bi[k])
    f[t,n,k] = sigmoid(sum[j](Uf[k,j]*x[t,n,j]) + sum[l](Wf[k,l]*h[t-1,n,l]) + bf[k])
    g[t,n,k] =    tanh(sum[j](Ug[k,j]*x[t,n,j]) + sum[l](Wg[k,l]*h[t-1,n,l]) + bg[k])
    o[t,n,k] = sigmoid(sum[j](Uo[k,j]*x[t,n,j]) + sum[l](Wo[k,l]*h[t-1,n,l]) + bo[k])
    c[t,n,k] = f[t,n,k]*c[t-1,n,k] + i[t,n,k]*g[t,n,k]
    h[t,n,k] = o[t,n,k]*tanh(c[t,n,k])
""", source="Hochreiter and Schmidhuber 1997, Neural Computation 9(8); Gers et al. 2000, Neural Computation 12(10)")

gru = layer("""
    # gru: a state that is renewed and reset through gates
    x[T,N,I], h0[N,H], Ur[H,I], Uz[H,I], Uc[H,I], Wr[H,H], Wz[H,H], Wc[H,H], br[H], bz[H], bc[H] -> h
    h[-1,n,k] = h0[n,k]
    r[t,n,k] = sigmoid(sum[j](Ur[k,j]*x[t,n,j]) + sum[l](Wr[k,l]*h[t-1,n,l]) + br[k])
    z[t,n,k] = sigmoid(sum[j](Uz[k,j]*x[t,n,j]) + sum[l](Wz[k,l]*h[t-1,n,l]) + bz[k])
    c[t,n,k] =    tanh(sum[j](Uc[k,j]*x[t,n,j]) + sum[l](Wc[k,l]*r[t,n,l]*h[t-1,n,l]) + bc[k])
    h[t,n,k] = z[t,n,k]*h[t-1,n,k] + (1 - z[t,n,k])*c[t,n,k]
""", source="Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder, arXiv:1406.1078")
