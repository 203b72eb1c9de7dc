"""Activations, gates, and the small dense layers they live in."""

import torch
import torch.nn.functional as F

from tests.suites.case import case, integers, positive


@case("""
    x[N,K] -> y
    y[n,k] = gelu(x[n,k])
    """, x=(3, 4))
def gelu(x):
    return F.gelu(x)


@case("""
    x[N,K] -> y
    y[n,k] = x[n,k]*(1 + erf(x[n,k]/sqrt(2)))/2
    """, x=(3, 4))
def gelu_by_the_error_function(x):
    return F.gelu(x)


@case("""
    x[N] -> y
    y[n] = 0.5*x[n]*(1 + tanh(sqrt(2/pi)*(x[n] + 0.044715*x[n]**3)))
    """, x=(6,))
def gelu_by_tanh(x):
    return F.gelu(x, approximate="tanh")


@case("""
    x[N] -> a, b
    a[n] = silu(x[n])
    b[n] = x[n]*sigmoid(x[n])
    """, x=(6,))
def silu_twice(x):
    return F.silu(x), F.silu(x)


@case("""
    x[N], beta -> y
    y[n] = softplus(beta*x[n])/beta
    """, x=(6,), beta=2.0)
def softplus_with_a_sharpness(x, beta):
    return torch.logaddexp(beta * x, torch.zeros_like(x)) / beta


@case("""
    x[N] -> y
    y[n] = x[n]*tanh(softplus(x[n]))
    """, x=(6,))
def mish(x):
    return F.mish(x)


@case("""
    x[N], alpha -> y
    y[n] = where(x[n] > 0, x[n], alpha*(exp(x[n]) - 1))
    """, x=(6,), alpha=0.8)
def elu(x, alpha):
    return torch.where(x > 0, F.elu(x), alpha * F.elu(x))


@case("""
    x[N] -> y
    y[n] = 1.0507009873554804934193349852946*where(x[n] > 0, x[n], 1.6732632423543772848170429916717*(exp(x[n]) - 1))
    """, x=(6,))
def selu(x):
    return F.selu(x)


@case("""
    # large arguments: the branch that is not taken overflows
    x[N] -> y
    y[n] = where(x[n] > 0, x[n], exp(x[n]) - 1)
    """, x=lambda rng: [-800.0, -1.0, 0.5, 800.0])
def elu_of_large_arguments(x):
    return F.elu(x)


@case("""
    # large arguments: nothing overflows, every gradient is finite
    x[N] -> a, b, c, d, e
    a[n] = sigmoid(x[n])
    b[n] = softplus(x[n])
    c[n] = tanh(x[n])
    d[n] = silu(x[n])
    e[n] = log_softmax[n](x[n])
    """, x=lambda rng: [-900.0, -30.0, 0.25, 40.0, 900.0])
def large_arguments(x):
    return torch.sigmoid(x), torch.logaddexp(x, torch.zeros_like(x)), torch.tanh(x), F.silu(x), F.log_softmax(x, 0)


@case("""
    x[N,C,T], a[C] -> y
    y[n,c,t] = max(0, x[n,c,t]) + a[c]*min(0, x[n,c,t])
    """, x=(2, 3, 4), a=(3,))
def prelu(x, a):
    return F.prelu(x, a)


@case("""
    x[N] -> y
    y[n] = where(x[n] >= 0, x[n], 0.01*x[n])
    """, x=(6,))
def leaky_relu(x):
    return F.leaky_relu(x)


@case("""
    x[N], lo, hi -> y
    y[n] = max(lo, min(hi, x[n]))
    """, x=(8,), lo=-0.6, hi=0.4)
def hard_tanh(x, lo, hi):
    return torch.clamp(x, lo, hi)


@case("""
    x[N] -> y
    y[n] = x[n]*min(max(x[n] + 3, 0), 6)/6
    """, x=lambda rng: rng.normal(size=8) * 4)
def hard_swish(x):
    return F.hardswish(x)


@case("""
    x[N] -> a, b, c, d
    a[n] = x[n]/(1 + abs(x[n]))
    b[n] = -softplus(-x[n])
    c[n] = x[n] - tanh(x[n])
    d[n] = log(sigmoid(x[n]))
    """, x=(6,))
def softsign_logsigmoid_tanhshrink(x):
    return F.softsign(x), F.logsigmoid(x), F.tanhshrink(x), F.logsigmoid(x)


@case("""
    x[N], lam -> y
    y[n] = sign(x[n])*max(abs(x[n]) - lam, 0)
    """, x=(8,), lam=0.5)
def soft_shrinkage(x, lam):
    return torch.where(x > lam, x - lam, torch.where(x < -lam, x + lam, 0 * x))


@case("""
    # at zero: relu' = abs' = 0, and a maximum of two equals is shared
    x[N] -> a, b, c, d
    a[n] = relu(x[n])
    b[n] = abs(x[n])
    c[n] = max(x[n], 0)
    d[n] = sign(x[n])*x[n]
    """, x=lambda rng: [-1.5, 0.0, 2.0])
def kinks_at_zero(x):
    return F.relu(x), x.abs(), torch.maximum(x, torch.zeros_like(x)), torch.sign(x) * x


@case("""
    x[N] -> y
    y[n] = x[n] + sin(x[n])**2 - cos(3*x[n])*sqrt(abs(x[n]))
    """, x=positive(6))
def sines_and_roots(x):
    return x + torch.sin(x) ** 2 - torch.cos(3 * x) * x.sqrt()


@case("""
    x[N,I], W[O,I], V[O,I], b[O], c[O] -> y
    y[n,o] = (sum[i](W[o,i]*x[n,i]) + b[o])*sigmoid(sum[i](V[o,i]*x[n,i]) + c[o])
    """, x=(3, 4), W=(2, 4), V=(2, 4), b=(2,), c=(2,))
def gated_linear_unit(x, W, V, b, c):
    return F.glu(F.linear(x, torch.cat([W, V]), torch.cat([b, c])), 1)


@case("""
    x[N,D], W[H,D], V[H,D], U[D,H] -> y
    y[n,d] = sum[h](U[d,h]*silu(sum[e](W[h,e]*x[n,e]))*sum[e](V[h,e]*x[n,e]))
    """, x=(3, 4), W=(5, 4), V=(5, 4), U=(4, 5))
def swiglu(x, W, V, U):
    return (F.silu(x @ W.T) * (x @ V.T)) @ U.T


@case("""
    x[N,I], W[O,K,I], b[O,K] -> y
    y[n,o] = max[k](sum[i](W[o,k,i]*x[n,i]) + b[o,k])
    """, x=(3, 4), W=(2, 3, 4), b=(2, 3))
def maxout(x, W, b):
    return (torch.einsum("oki,ni->nok", W, x) + b).amax(2)


@case("""
    X[N,I], W[I,O], b[O] -> Y
    Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]
    """, X=(3, 4), W=(4, 2), b=(2,))
def dense(X, W, b):
    return F.linear(X, W.T, b)


@case("""
    x[N,I], A[H,I], a[H], B[K,H], b[K], C[O,K], c[O], int y[N] -> L
    h[n,k] = relu(sum[i](A[k,i]*x[n,i]) + a[k])
    g[n,k] = tanh(sum[i](B[k,i]*h[n,i]) + b[k])
    o[n,k] = sum[i](C[k,i]*g[n,i]) + c[k]
    p[n,k] = log_softmax[k](o[n,k])
    L = -sum[n](p[n,y[n]])/N
    """, x=(5, 4), A=(6, 4), a=(6,), B=(5, 6), b=(5,), C=(3, 5), c=(3,), y=integers(3, 5))
def multilayer_perceptron_with_loss(x, A, a, B, b, C, c, y):
    return F.cross_entropy(F.linear(torch.tanh(F.linear(F.relu(F.linear(x, A, a)), B, b)), C, c), y)


@case("""
    x[N,D], W[D,D], V[D,D], b[D], c[D] -> y
    t[n,d] = sigmoid(sum[e](V[d,e]*x[n,e]) + c[d])
    y[n,d] = t[n,d]*relu(sum[e](W[d,e]*x[n,e]) + b[d]) + (1 - t[n,d])*x[n,d]
    """, x=(3, 4), W=(4, 4), V=(4, 4), b=(4,), c=(4,))
def highway_layer(x, W, V, b, c):
    return torch.lerp(x, F.relu(F.linear(x, W, b)), torch.sigmoid(F.linear(x, V, c)))


@case("""
    x[N,D], A[K,D], B[D,K], C[K,D], E[D,K] -> z
    y[n,d] = x[n,d] + sum[k](B[d,k]*relu(sum[e](A[k,e]*x[n,e])))
    z[n,d] = y[n,d] + sum[k](E[d,k]*relu(sum[e](C[k,e]*y[n,e])))
    """, x=(3, 4), A=(5, 4), B=(4, 5), C=(5, 4), E=(4, 5))
def two_residual_blocks(x, A, B, C, E):
    y = x + F.relu(x @ A.T) @ B.T
    return y + F.relu(y @ C.T) @ E.T


@case("""
    # every layer reads all before it
    x[N,D], A[K,D], B[K,D], C[K,K] -> y
    h[n,k] = relu(sum[d](A[k,d]*x[n,d]))
    y[n,k] = relu(sum[d](B[k,d]*x[n,d]) + sum[l](C[k,l]*h[n,l]))
    """, x=(3, 4), A=(5, 4), B=(5, 4), C=(5, 5))
def densely_connected_layers(x, A, B, C):
    return F.relu(F.linear(torch.cat([x, F.relu(x @ A.T)], 1), torch.cat([B, C], 1)))


@case("""
    # two parts side by side in one tensor
    x[N,P], y[N,Q], W[O,R] -> z
    z[n,o] = sum[p](W[o,p]*x[n,p]) + sum[q](W[o,q+P]*y[n,q]) for p < P
    """, x=(3, 2), y=(3, 4), W=(5, 6))
def concatenation_into_one_weight(x, y, W):
    return F.linear(torch.cat([x, y], 1), W)


@case("""
    # a mask that is drawn outside, as data
    x[N,K], keep, int mask[N,K] -> y
    y[n,k] = where(mask[n,k] == 1, x[n,k]/keep, 0)
    """, x=(3, 4), keep=0.8, mask=integers(2, 3, 4))
def dropout(x, keep, mask):
    return mask * x / keep


@case("""
    # experts in proportion to their gates
    x[N,I], G[E,I], W[E,H,I], V[E,O,H] -> y
    g[n,e] = softmax[e](sum[i](G[e,i]*x[n,i]))
    h[n,e,k] = relu(sum[i](W[e,k,i]*x[n,i]))
    y[n,o] = sum[e,k](g[n,e]*V[e,o,k]*h[n,e,k])
    """, x=(3, 4), G=(3, 4), W=(3, 5, 4), V=(3, 2, 5))
def mixture_of_experts(x, G, W, V):
    experts = torch.stack([F.relu(x @ w.T) @ v.T for w, v in zip(W, V, strict=True)], 1)
    return (F.softmax(x @ G.T, 1)[..., None] * experts).sum(1)


@case("""
    # the expert of a token is data
    x[N,I], int expert[N], W[E,O,I], b[E,O] -> y
    y[n,o] = sum[i](W[expert[n],o,i]*x[n,i]) + b[expert[n],o]
    """, x=(5, 3), expert=integers(3, 5), W=(3, 2, 3), b=(3, 2))
def routed_experts(x, expert, W, b):
    return torch.bmm(W[expert], x[..., None])[..., 0] + b[expert]


@case("""
    # a transformer block with normalisation in front: attention of H heads, then a perceptron
    X[T,E], g1[E], b1[E], g2[E], b2[E], Wq[H,D,E], Wk[H,D,E], Wv[H,D,E], Wo[E,H,D], A[M,E], a[M], B[E,M], b[E] -> Z
    m1[t] = mean[e](X[t,e])
    v1[t] = mean[e]((X[t,e] - m1[t])**2)
    N1[t,e] = g1[e]*(X[t,e] - m1[t])/sqrt(v1[t] + 1e-5) + b1[e]
    Q[h,t,d] = sum[e](Wq[h,d,e]*N1[t,e])
    K[h,t,d] = sum[e](Wk[h,d,e]*N1[t,e])
    V[h,t,d] = sum[e](Wv[h,d,e]*N1[t,e])
    P[h,i,j] = softmax[j](where(j <= i, sum[d](Q[h,i,d]*K[h,j,d])/sqrt(D), -inf))
    O[t,h,d] = sum[j](P[h,t,j]*V[h,j,d])
    Y[t,e] = X[t,e] + sum[h,d](Wo[e,h,d]*O[t,h,d])
    m2[t] = mean[e](Y[t,e])
    v2[t] = mean[e]((Y[t,e] - m2[t])**2)
    N2[t,e] = g2[e]*(Y[t,e] - m2[t])/sqrt(v2[t] + 1e-5) + b2[e]
    Z[t,e] = Y[t,e] + sum[m](B[e,m]*gelu(sum[k](A[m,k]*N2[t,k]) + a[m])) + b[e]
    """, X=(4, 6), g1=(6,), b1=(6,), g2=(6,), b2=(6,), Wq=(2, 3, 6), Wk=(2, 3, 6), Wv=(2, 3, 6), Wo=(6, 2, 3),
      A=(8, 6), a=(8,), B=(6, 8), b=(6,))
def transformer_block(X, g1, b1, g2, b2, Wq, Wk, Wv, Wo, A, a, B, b):
    layer = torch.nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, activation="gelu", norm_first=True,
                                             batch_first=True, dtype=X.dtype)
    weights = {"self_attn.in_proj_weight": torch.cat([W.flatten(0, 1) for W in (Wq, Wk, Wv)]),
               "self_attn.in_proj_bias": torch.zeros(18, dtype=X.dtype), "self_attn.out_proj.weight": Wo.flatten(1),
               "self_attn.out_proj.bias": torch.zeros(6, dtype=X.dtype), "linear1.weight": A, "linear1.bias": a,
               "linear2.weight": B, "linear2.bias": b, "norm1.weight": g1, "norm1.bias": b1,
               "norm2.weight": g2, "norm2.bias": b2}
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    return torch.func.functional_call(layer, weights, (X,), {"src_mask": mask})


@case("""
    # tokens are mixed, then channels
    X[S,C], A[P,S], B[S,P], G[Q,C], H[C,Q] -> Z
    U[s,c] = X[s,c] + sum[p](B[s,p]*gelu(sum[r](A[p,r]*X[r,c])))
    Z[s,c] = U[s,c] + sum[q](H[c,q]*gelu(sum[d](G[q,d]*U[s,d])))
    """, X=(4, 3), A=(5, 4), B=(4, 5), G=(6, 3), H=(3, 6))
def mlp_mixer(X, A, B, G, H):
    U = X + B @ F.gelu(A @ X)
    return U + F.gelu(U @ G.T) @ H.T


@case("""
    # a product of polynomials of every feature
    x[N,I], c[O,I,K] -> y
    y[n,o] = sum[i,k](c[o,i,k]*x[n,i]**k)
    """, x=positive(3, 2), c=(2, 2, 4))
def polynomial_edges(x, c):
    return torch.einsum("oik,nik->no", c, x[..., None] ** torch.arange(4))
