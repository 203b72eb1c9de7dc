"""Normalisations: statistics over some axes, then a shift and a scale."""

import torch
import torch.nn.functional as F

from tests.suites.case import case, positive


@case("""
    x[N,K], g[K], b[K], eps -> y
    mu[n] = mean[k](x[n,k])
    var[n] = mean[k]((x[n,k] - mu[n])**2)
    y[n,k] = g[k]*(x[n,k] - mu[n])/sqrt(var[n] + eps) + b[k]
    """, x=(3, 5), g=(5,), b=(5,), eps=1e-3)
def layer_norm(x, g, b, eps):
    return g * (x - x.mean(1, keepdim=True)) * (x.var(1, correction=0, keepdim=True) + eps).rsqrt() + b


@case("""
    x[B,T,K], g[K], b[K] -> y
    z[n,t,k] = x[n,t,k] - mean[l](x[n,t,l])
    y[n,t,k] = g[k]*z[n,t,k]/sqrt(mean[l](z[n,t,l]**2) + 0.00001) + b[k]
    """, x=(2, 3, 4), g=(4,), b=(4,))
def layer_norm_over_a_sequence(x, g, b):
    return F.layer_norm(x, (4,), g, b, eps=1e-5)


@case("""
    x[N,K], g[K], b[K] -> y
    m[k] = mean[n](x[n,k])
    v[k] = mean[n]((x[n,k] - m[k])**2)
    y[n,k] = g[k]*(x[n,k] - m[k])/sqrt(v[k] + 1e-5) + b[k]
    """, x=(6, 3), g=(3,), b=(3,))
def batch_norm(x, g, b):
    return F.batch_norm(x, None, None, g, b, training=True, eps=1e-5)


@case("""
    X[N,C,H,W], g[C], b[C] -> Y, m, v
    m[c] = mean[n,i,j](X[n,c,i,j])
    v[c] = mean[n,i,j]((X[n,c,i,j] - m[c])**2)
    Y[n,c,i,j] = g[c]*(X[n,c,i,j] - m[c])/sqrt(v[c] + 1e-5) + b[c]
    """, X=(3, 2, 3, 4), g=(2,), b=(2,))
def batch_norm_of_images_with_its_statistics(X, g, b):
    return (F.batch_norm(X, None, None, g, b, training=True, eps=1e-5),
            X.mean((0, 2, 3)), X.var((0, 2, 3), correction=0))


@case("""
    x[N,K], m[K], v[K], g[K], b[K] -> y
    y[n,k] = (x[n,k] - m[k])*g[k]/sqrt(v[k] + 1e-5) + b[k]
    """, x=(4, 3), m=(3,), v=positive(3), g=(3,), b=(3,))
def batch_norm_at_inference(x, m, v, g, b):
    return (x - m) * (v + 1e-5).rsqrt() * g + b


@case("""
    X[N,G,C,H,W], g[G,C], b[G,C] -> Y
    m[n,q] = mean[c,i,j](X[n,q,c,i,j])
    v[n,q] = mean[c,i,j]((X[n,q,c,i,j] - m[n,q])**2)
    Y[n,q,c,i,j] = g[q,c]*(X[n,q,c,i,j] - m[n,q])/sqrt(v[n,q] + 1e-5) + b[q,c]
    """, X=(2, 2, 3, 2, 2), g=(2, 3), b=(2, 3))
def group_norm(X, g, b):
    return F.group_norm(X.flatten(1, 2), 2, g.flatten(), b.flatten(), eps=1e-5).reshape(X.shape)


@case("""
    X[N,C,H,W] -> Y
    z[n,c,i,j] = X[n,c,i,j] - mean[a,b](X[n,c,a,b])
    Y[n,c,i,j] = z[n,c,i,j]/sqrt(mean[a,b](z[n,c,a,b]**2) + 1e-5)
    """, X=(2, 3, 3, 2))
def instance_norm(X):
    return F.instance_norm(X, eps=1e-5)


@case("""
    x[N,C,T], s[N,C], r[N,C] -> y
    m[n,c] = mean[t](x[n,c,t])
    v[n,c] = sum[t]((x[n,c,t] - m[n,c])**2)/T
    y[n,c,t] = r[n,c]*(x[n,c,t] - m[n,c])/sqrt(v[n,c] + 1e-5) + s[n,c]
    """, x=(2, 3, 4), s=(2, 3), r=(2, 3))
def adaptive_instance_norm(x, s, r):
    return r[..., None] * F.instance_norm(x, eps=1e-5) + s[..., None]


@case("""
    x[N,K], g[K] -> y
    y[n,k] = g[k]*x[n,k]/sqrt(mean[l](x[n,l]**2) + 1e-6)
    """, x=(3, 4), g=(4,))
def rms_norm(x, g):
    return F.rms_norm(x, (4,), g, eps=1e-6)


@case("""
    x[N,K] -> y
    y[n,k] = x[n,k]/max(sqrt(sum[l](x[n,l]**2)), 1e-12)
    """, x=(3, 4))
def l2_normalisation(x):
    return F.normalize(x, dim=1)


@case("""
    x[N,K] -> y
    y[n,k] = x[n,k]/sum[l](abs(x[n,l])**3)**(1/3)
    """, x=(3, 4))
def l3_normalisation(x):
    return F.normalize(x, p=3.0, dim=1)


@case("""
    x[N,K], tau -> y
    y[n,k] = softmax[k](x[n,k]/tau)
    """, x=(3, 4), tau=0.7)
def softmax_with_temperature(x, tau):
    return F.softmax(x / tau, 1)


@case("""
    x[N,K] -> y
    y[n,k] = exp(x[n,k])/sum[l](exp(x[n,l]))
    """, x=(3, 4))
def softmax_written_out(x):
    return F.softmax(x, 1)


@case("""
    x[N,H,W] -> y
    y[n,i,j] = softmax[i,j](x[n,i,j])
    """, x=(2, 3, 4))
def softmax_over_two_axes(x):
    return F.softmax(x.flatten(1), 1).reshape(x.shape)


@case("""
    x[N,K,P] -> y
    y[n,k,p] = log_softmax[k](x[n,k,p])
    """, x=(2, 4, 3))
def log_softmax_of_the_middle_axis(x):
    return F.log_softmax(x, 1)


@case("""
    x[N,I], v[O,I], g[O], b[O] -> y
    w[o,i] = g[o]*v[o,i]/sqrt(sum[j](v[o,j]**2))
    y[n,o] = sum[i](w[o,i]*x[n,i]) + b[o]
    """, x=(3, 4), v=(2, 4), g=(2,), b=(2,))
def weight_norm(x, v, g, b):
    return F.linear(x, g[:, None] * F.normalize(v, dim=1), b)


@case("""
    x[N,K] -> y
    m[k] = sum[n](x[n,k])/N
    s[k] = sqrt(sum[n]((x[n,k] - m[k])**2)/(N - 1))
    y[n,k] = (x[n,k] - m[k])/s[k]
    """, x=(5, 3))
def standardisation_with_the_unbiased_deviation(x):
    return (x - x.mean(0)) / x.std(0)


@case("""
    X[N,C,L], alpha, beta, k -> Y
    s[n,c,i] = sum[u](X[n,c+u-1,i]**2) for c < C, u < 3
    Y[n,c,i] = X[n,c,i]/(k + alpha*s[n,c,i]/3)**beta
    """, X=(2, 5, 3), alpha=0.5, beta=0.75, k=1.0)
def local_response_norm(X, alpha, beta, k):
    s = F.avg_pool2d(F.pad(X**2, (0, 0, 1, 1)), (3, 1), stride=1)
    return X / (k + alpha * s) ** beta


@case("""
    X[N,C,H,W], g[C], b[C] -> Y
    G[n,c] = sqrt(sum[i,j](X[n,c,i,j]**2))
    Y[n,c,i,j] = g[c]*X[n,c,i,j]*G[n,c]/(mean[d](G[n,d]) + 1e-6) + b[c] + X[n,c,i,j]
    """, X=(2, 3, 2, 2), g=(3,), b=(3,))
def global_response_norm(X, g, b):
    G = torch.linalg.vector_norm(X, dim=(2, 3), keepdim=True)
    return g[:, None, None] * X * (G / (G.mean(1, keepdim=True) + 1e-6)) + b[:, None, None] + X


@case("""
    x[N,K], y[N,K] -> c
    c[n] = sum[k](x[n,k]*y[n,k])/(sqrt(sum[k](x[n,k]**2))*sqrt(sum[k](y[n,k]**2)))
    """, x=(3, 4), y=(3, 4))
def cosine_similarity(x, y):
    return F.cosine_similarity(x, y, eps=0.0)


@case("""
    x[N,K] -> S
    m[i] = mean[n](x[n,i])
    S[i,j] = sum[n]((x[n,i] - m[i])*(x[n,j] - m[j]))/(N - 1)
    """, x=(5, 3))
def covariance(x):
    return torch.cov(x.T)


@case("""
    x[N,K] -> R
    z[n,i] = x[n,i] - mean[m](x[m,i])
    s[i] = sqrt(sum[n](z[n,i]**2))
    R[i,j] = sum[n](z[n,i]*z[n,j])/(s[i]*s[j])
    """, x=(5, 3))
def correlation(x):
    return torch.corrcoef(x.T)


@case("""
    X[N,K] -> y
    lo[k] = min[n](X[n,k])
    hi[k] = max[n](X[n,k])
    y[n,k] = (X[n,k] - lo[k])/(hi[k] - lo[k])
    """, X=(5, 3))
def scaling_to_the_unit_interval(X):
    lo, hi = torch.aminmax(X, dim=0)
    return (X - lo) / (hi - lo)
