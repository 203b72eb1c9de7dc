"""Pooling: a window, and a reduction over it; what lies outside the input does not take part."""

import numpy as np
import torch
import torch.nn.functional as F

from tests.suites.case import case, positive


@case("""
    X[N,C,T] -> Y
    Y[n,c,i] = max[u](X[n,c,2*i+u]) for u < 3
    """, X=(2, 2, 8))
def overlapping_max_pooling_1d(X):
    return F.max_pool1d(X, 3, stride=2)


@case("""
    X[N,C,H,W] -> Y
    Y[n,c,i,j] = max[u,v](X[n,c,2*i+u,2*j+v]) for u < 2, v < 2
    """, X=(2, 2, 5, 6))
def max_pooling_2d(X):
    return F.max_pool2d(X, 2)


@case("""
    X[N,C,H,W] -> Y
    Y[n,c,i,j] = max[u,v](X[n,c,2*i+u-1,2*j+v-1]) for i < (H - 1)//2 + 1, j < (W - 1)//2 + 1, u < 3, v < 3
    """, X=(2, 2, 5, 6))
def max_pooling_2d_with_padding(X):
    return F.max_pool2d(X, 3, stride=2, padding=1)


@case("""
    X[N,C,H,W], int k, int s, int p, int d -> Y
    Y[n,c,i,j] = max[u,v](X[n,c,s*i+d*u-p,s*j+d*v-p]) for i < (
        H + 2*p - d*(k - 1) - 1)//s + 1, j < (W + 2*p - d*(k - 1) - 1)//s + 1, u < k, v < k
    """, X=(2, 1, 7, 8), k=3, s=2, p=1, d=2)
def max_pooling_2d_with_everything_a_parameter(X, k, s, p, d):
    return F.max_pool2d(X, k, stride=s, padding=p, dilation=d)


@case("""
    X[N,C,D,H,W] -> Y
    Y[n,c,i,j,k] = max[u,v,w](X[n,c,2*i+u,2*j+v,2*k+w]) for u < 2, v < 2, w < 2
    """, X=(1, 2, 4, 5, 4))
def max_pooling_3d(X):
    return F.max_pool3d(X, 2)


@case("""
    X[N,C,H,W] -> Y
    Y[n,c,i,j] = mean[u,v](X[n,c,2*i+u,2*j+v]) for u < 2, v < 2
    """, X=(2, 2, 6, 5))
def average_pooling_2d(X):
    return F.avg_pool2d(X, 2)


@case("""
    # a mean counts only what exists
    X[N,C,H,W] -> Y
    Y[n,c,i,j] = mean[u,v](X[n,c,i+u-1,j+v-1]) for i < H, j < W, u < 3, v < 3
    """, X=(2, 2, 4, 3))
def average_pooling_that_leaves_the_padding_out(X):
    return F.avg_pool2d(X, 3, stride=1, padding=1, count_include_pad=False)


@case("""
    # a sum divided by the size of the window counts the padding
    X[N,C,H,W], int k, int s, int p -> Y
    Y[n,c,i,j] = sum[u,v](X[n,c,s*i+u-p,s*j+v-p])/(k*k) for i < (
        H + 2*p - k)//s + 1, j < (W + 2*p - k)//s + 1, u < k, v < k
    """, X=(2, 2, 5, 6), k=3, s=2, p=1)
def average_pooling_that_counts_the_padding(X, k, s, p):
    return F.avg_pool2d(X, k, stride=s, padding=p)


@case("""
    # the last window is cut off by the edge
    X[C,T] -> Y
    Y[c,i] = mean[u](X[c,2*i+u]) for i < (T + 1)//2, u < 2
    """, X=(2, 7))
def average_pooling_up_to_the_edge(X):
    return F.avg_pool1d(X, 2, ceil_mode=True)


@case("""
    X[C,T] -> Y
    Y[c,i] = max[u](X[c,3*i+u]) for i < (T - 3 + 2)//3 + 1, u < 3
    """, X=(2, 7))
def max_pooling_up_to_the_edge(X):
    return F.max_pool1d(X, 3, ceil_mode=True)


@case("""
    X[N,C,D,H,W] -> Y
    Y[n,c,i,j,k] = mean[u,v,w](X[n,c,i+u,2*j+v,k+w]) for u < 2, v < 3, w < 1
    """, X=(1, 2, 3, 5, 2))
def average_pooling_3d(X):
    return F.avg_pool3d(X, (2, 3, 1), stride=(1, 2, 1))


@case("""
    X[N,C,H,W] -> a, m
    a[n,c] = mean[i,j](X[n,c,i,j])
    m[n,c] = max[i,j](X[n,c,i,j])
    """, X=(2, 3, 3, 4))
def global_pooling(X):
    return F.adaptive_avg_pool2d(X, 1)[..., 0, 0], F.adaptive_max_pool2d(X, 1)[..., 0, 0]


@case("""
    X[N,C,H,W], p -> Y
    Y[n,c,i,j] = sum[u,v](X[n,c,2*i+u,2*j+v]**p)**(1/p) for u < 2, v < 2
    """, X=positive(2, 2, 4, 4), p=2.5)
def power_average_pooling(X, p):
    return (4 * F.avg_pool2d(X**p, 2)) ** (1 / p)


@case("""
    X[N,C,T] -> Y
    Y[n,c,i] = sqrt(sum[u](X[n,c,2*i+u]**2)) for u < 3
    """, X=(2, 2, 7))
def euclidean_pooling(X):
    return F.lp_pool1d(X, 2.0, 3, stride=2)


@case("""
    # generalised mean over the whole image
    X[N,C,H,W], p -> y
    y[n,c] = mean[i,j](X[n,c,i,j]**p)**(1/p)
    """, X=positive(2, 2, 3, 3), p=3.0)
def generalised_mean_pooling(X, p):
    return F.adaptive_avg_pool2d(X**p, 1)[..., 0, 0] ** (1 / p)


@case("""
    X[N,T], r -> Y
    Y[n,i] = logsumexp[u](r*X[n,i+u])/r for u < 3
    """, X=(2, 6), r=2.0)
def logsumexp_pooling(X, r):
    return torch.logsumexp(r * X.unfold(1, 3, 1), -1) / r


@case("""
    # the padding does not take part in a logsumexp either
    X[N,T] -> Y
    Y[n,i] = logsumexp[u](X[n,i+u-1]) for i < T, u < 3
    """, X=(2, 5))
def logsumexp_pooling_with_padding(X):
    return torch.logsumexp(F.pad(X, (1, 1), value=-torch.inf).unfold(1, 3, 1), -1)


@case("""
    X[N,T] -> Y
    P[n,i,u] = softmax[u](X[n,2*i+u]) for u < 2
    Y[n,i] = sum[u](P[n,i,u]*X[n,2*i+u])
    """, X=(2, 6))
def pooling_by_softmax_weights(X):
    windows = X.unfold(1, 2, 2)
    return (F.softmax(windows, -1) * windows).sum(-1)


@case("""
    X[N,H,W] -> Y
    Y[n,i,j] = min[u,v](X[n,i+u,j+v]) for u < 2, v < 2
    """, X=(2, 4, 4))
def min_pooling(X):
    return -F.max_pool2d(-X, 2, stride=1)


@case("""
    # grey-scale morphology: a dilation, then an erosion with the same structuring element
    X[H,W], B[U,V] -> Y
    D[i,j] = max[u,v](X[i-u,j-v] + B[u,v]) for i < H + U - 1, j < W + V - 1
    Y[i,j] = min[u,v](D[i+u,j+v] - B[u,v])
    """, X=(4, 5), B=(2, 3))
def morphological_closing(X, B):
    big = F.pad(X, (2, 2, 1, 1), value=-torch.inf).unfold(0, 2, 1).unfold(1, 3, 1)
    D = (big + B.flip(0, 1)).amax((-2, -1))
    return (D.unfold(0, 2, 1).unfold(1, 3, 1) - B).amin((-2, -1))


@case("""
    # ties: every maximum of a window gets an equal share
    X[N,T] -> Y
    Y[n,i] = max[u](X[n,2*i+u]) for u < 2
    """, X=lambda rng: np.repeat(rng.normal(size=(2, 3)), 2, axis=1))
def max_pooling_of_equal_values(X):
    return X.unfold(1, 2, 2).amax(-1)
