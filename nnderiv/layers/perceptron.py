"""The perceptron: samples are rows of X, labels y are −1 or 1, and a feature that is always 1 stands for the bias."""

from __future__ import annotations

from .layer import layer

distance = layer("""
    # distance: how far each sample is from the plane w·x + b = 0
    X[N,I], w[I], b -> r
    r[n] = abs(sum[i](X[n,i]*w[i]) + b)/sqrt(sum[i](w[i]**2))
""", source="Bishop 2006, Pattern Recognition and Machine Learning, section 4.1.1")

perceptron_criterion = layer("""
    # perceptron_criterion: the margins by which misclassified samples are on the wrong side, in sum
    X[N,I], w[I], y[N] -> L
    score[n] = sum[i](X[n,i]*w[i])
    L = sum[n](relu(-y[n]*score[n]))
""", source="Rosenblatt 1958, Psychological Review 65(6), 386-408; Bishop 2006, equation (4.54)")

gram = layer("""
    # gram: the inner product of every two samples
    X[N,I] -> G
    G[n,m] = sum[i](X[n,i]*X[m,i])
""", source="Bishop 2006, Pattern Recognition and Machine Learning, section 6.1")

perceptron_dual = layer("""
    # perceptron_dual: the perceptron criterion of w = sum over m of alpha[m]*y[m]*x[m], through the Gram matrix alone
    G[N,N], alpha[N], y[N] -> L
    score[n] = sum[m](alpha[m]*y[m]*G[m,n])
    L = sum[n](relu(-y[n]*score[n]))
""", source="Freund and Schapire 1999, Machine Learning 37(3), 277-296")
