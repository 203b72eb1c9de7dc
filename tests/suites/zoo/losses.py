"""Losses: one number, and the seed of its gradient is 1."""

import torch
import torch.nn.functional as F

from tests.suites.case import case, integers, positive, signs, simplex, uniform, whole_signs


@case("""
    o[N,K], y[N,K] -> L
    L = mean[n,k]((o[n,k] - y[n,k])**2)
    """, o=(3, 4), y=(3, 4))
def mean_squared_error(o, y):
    return F.mse_loss(o, y)


@case("""
    o[N], y[N] -> L
    L = sum[n](abs(o[n] - y[n]))/N
    """, o=(5,), y=(5,))
def mean_absolute_error(o, y):
    return F.l1_loss(o, y)


@case("""
    o[N], y[N], delta -> L
    e[n] = abs(o[n] - y[n])
    L = mean[n](where(e[n] <= delta, e[n]**2/2, delta*(e[n] - delta/2)))
    """, o=(8,), y=(8,), delta=0.9)
def huber_loss(o, y, delta):
    return torch.where((o - y).abs() <= delta, F.huber_loss(o, y, "none", 100.0),
                       delta * ((o - y).abs() - delta / 2)).mean()


@case("""
    o[N], y[N] -> L
    L = mean[n](where(abs(o[n] - y[n]) < 1, 0.5*(o[n] - y[n])**2, abs(o[n] - y[n]) - 0.5))
    """, o=(8,), y=(8,))
def smooth_l1_loss(o, y):
    return F.smooth_l1_loss(o, y)


@case("""
    o[N], y[N] -> L
    L = mean[n](o[n] - y[n] + softplus(-2*(o[n] - y[n])) - log(2))
    """, o=(6,), y=(6,))
def log_cosh_loss(o, y):
    return torch.log(torch.cosh(o - y)).mean()


@case("""
    p[N,K], y[N,K] -> L
    L = -mean[n,k](y[n,k]*log(p[n,k]) + (1 - y[n,k])*log(1 - p[n,k]))
    """, p=uniform(0.1, 0.9, 3, 4), y=uniform(0.0, 1.0, 3, 4))
def binary_cross_entropy(p, y):
    return F.binary_cross_entropy(p, y)


@case("""
    z[N], y[N] -> L
    L = mean[n](softplus(z[n]) - y[n]*z[n])
    """, z=(6,), y=uniform(0.0, 1.0, 6))
def binary_cross_entropy_with_logits(z, y):
    return F.binary_cross_entropy_with_logits(z, y)


@case("""
    z[N,K], y[N,K], w[K] -> L
    L = mean[n,k]((1 - y[n,k])*z[n,k] + (1 + (w[k] - 1)*y[n,k])*softplus(-z[n,k]))
    """, z=(4, 3), y=uniform(0.0, 1.0, 4, 3), w=positive(3))
def weighted_binary_cross_entropy_with_logits(z, y, w):
    return -(w * y * F.logsigmoid(z) + (1 - y) * F.logsigmoid(-z)).mean()


@case("""
    o[N,K], y[N,K] -> L
    L = -sum[n,k](y[n,k]*log_softmax[k](o[n,k]))/N
    given sum[k](y[n,k]) = 1
    """, o=(3, 4), y=simplex(3, 4))
def cross_entropy_of_distributions(o, y):
    return F.cross_entropy(o, y)


@case("""
    o[N,K], int y[N] -> L
    p[n,k] = log_softmax[k](o[n,k])
    L = -mean[n](p[n,y[n]])
    """, o=(5, 3), y=integers(3, 5))
def cross_entropy_of_labels(o, y):
    return F.cross_entropy(o, y)


@case("""
    # without naming the logarithms: the score of the label against all scores
    o[N,K], int y[N] -> L
    L = mean[n](logsumexp[k](o[n,k]) - o[n,y[n]])
    """, o=(5, 3), y=integers(3, 5))
def cross_entropy_by_logsumexp(o, y):
    return F.cross_entropy(o, y)


@case("""
    # by a condition instead of a gather
    o[N,K], int y[N] -> L
    L = -sum[n,k](where(k == y[n], log(softmax[k](o[n,k])), 0))
    """, o=(5, 3), y=integers(3, 5))
def cross_entropy_by_a_condition(o, y):
    return F.cross_entropy(o, y, reduction="sum")


@case("""
    o[N,K], int y[N], eps -> L
    p[n,k] = log_softmax[k](o[n,k])
    L = -mean[n]((1 - eps)*p[n,y[n]] + eps*mean[k](p[n,k]))
    """, o=(5, 3), y=integers(3, 5), eps=0.1)
def label_smoothing(o, y, eps):
    hard, soft = F.cross_entropy(o, y), F.cross_entropy(o, y, label_smoothing=1.0)
    return torch.lerp(hard, soft, eps)


@case("""
    o[N,K], int y[N], w[K] -> L
    p[n,k] = log_softmax[k](o[n,k])
    L = -sum[n](w[y[n]]*p[n,y[n]])/sum[n](w[y[n]])
    """, o=(5, 3), y=integers(3, 5), w=positive(3))
def weighted_cross_entropy(o, y, w):
    logs = F.log_softmax(o, 1)[torch.arange(5), y]
    return -(w[y] * logs).sum() / w[y].sum()


@case("""
    # a label of -1 is no label
    o[N,K], int y[N] -> L
    p[n,k] = log_softmax[k](o[n,k])
    L = -sum[n](where(y[n] >= 0, p[n,y[n]], 0))/sum[n](where(y[n] >= 0, 1, 0))
    """, o=(5, 3), y=lambda rng: rng.permutation([0, 2, -1, 1, -1]))
def cross_entropy_that_ignores_missing_labels(o, y):
    return F.cross_entropy(o, y, ignore_index=-1)


@case("""
    # images: a class for every pixel
    o[N,K,H,W], int y[N,H,W] -> L
    p[n,k,i,j] = log_softmax[k](o[n,k,i,j])
    L = -mean[n,i,j](p[n,y[n,i,j],i,j])
    """, o=(2, 3, 2, 4), y=integers(3, 2, 2, 4))
def cross_entropy_of_pixels(o, y):
    return F.cross_entropy(o, y)


@case("""
    s[N], y[N] -> L
    L = sum[n](max(0, 1 - y[n]*s[n]))
    """, s=(8,), y=signs(8))
def hinge_loss(s, y):
    return F.relu(1 - y * s).sum()


@case("""
    s[N], int y[N] -> L
    L = mean[n](relu(1 - y[n]*s[n])**2)
    """, s=(8,), y=whole_signs(8))
def squared_hinge_loss_with_whole_labels(s, y):
    return (F.relu(1 - y * s) ** 2).mean()


@case("""
    s[N,K], int y[N] -> L
    L = sum[n,k](where(k != y[n], max(0, 1 - s[n,y[n]] + s[n,k]), 0))/(N*K)
    """, s=(4, 3), y=integers(3, 4))
def multi_class_hinge_loss(s, y):
    return F.multi_margin_loss(s, y)


@case("""
    # the best wrong score against the right one
    s[N,K], int y[N] -> L
    L = mean[n](max(0, 1 + max[k](where(k == y[n], -inf, s[n,k])) - s[n,y[n]]))
    """, s=(5, 4), y=integers(4, 5))
def crammer_singer_loss(s, y):
    right = s[torch.arange(5), y]
    wrong = s.masked_fill(F.one_hot(y, 4).bool(), -torch.inf).amax(1)
    return F.relu(1 + wrong - right).mean()


@case("""
    X[N,D], y[N], w[D], b -> L
    s[n] = sum[d](w[d]*X[n,d]) + b
    L = sum[n](max(0, -y[n]*s[n]))
    """, X=(8, 3), y=signs(8), w=(3,), b=0.1)
def perceptron_criterion(X, y, w, b):
    return F.relu(-y * (X @ w + b)).sum()


@case("""
    p[N,K], q[N,K] -> L
    L = sum[n,k](p[n,k]*log(p[n,k]/q[n,k]))/N
    """, p=simplex(3, 4), q=simplex(3, 4))
def kl_divergence(p, q):
    return F.kl_div(q.log(), p, reduction="batchmean")


@case("""
    a[N,K], b[N,K] -> L
    p[n,k] = softmax[k](a[n,k])
    q[n,k] = softmax[k](b[n,k])
    m[n,k] = (p[n,k] + q[n,k])/2
    L = mean[n](sum[k](p[n,k]*(log(p[n,k]) - log(m[n,k])) + q[n,k]*(log(q[n,k]) - log(m[n,k]))))/2
    """, a=(3, 4), b=(3, 4))
def jensen_shannon_divergence(a, b):
    p, q = F.softmax(a, 1), F.softmax(b, 1)
    m = ((p + q) / 2).log()
    return (F.kl_div(m, p, reduction="batchmean") + F.kl_div(m, q, reduction="batchmean")) / 2


@case("""
    # soft targets of a teacher
    s[N,K], t[N,K], tau -> L
    L = -tau**2*mean[n](sum[k](softmax[k](t[n,k]/tau)*log_softmax[k](s[n,k]/tau)))
    """, s=(3, 4), t=(3, 4), tau=2.0)
def distillation(s, t, tau):
    return tau**2 * F.cross_entropy(s / tau, F.softmax(t / tau, 1))


@case("""
    z[N], y[N], alpha, gamma -> L
    p[n] = sigmoid(z[n])
    q[n] = y[n]*p[n] + (1 - y[n])*(1 - p[n])
    L = -sum[n]((alpha*y[n] + (1 - alpha)*(1 - y[n]))*(1 - q[n])**gamma*log(q[n]))
    """, z=(6,), y=uniform(0.05, 0.95, 6), alpha=0.25, gamma=2.0)
def focal_loss(z, y, alpha, gamma):
    p = torch.sigmoid(z)
    q = torch.lerp(1 - p, p, y)
    return -(torch.lerp(1 - alpha, alpha, y) * (1 - q) ** gamma * q.log()).sum()


@case("""
    a[N,D], p[N,D], q[N,D], m -> L
    u[n] = sqrt(sum[d]((a[n,d] - p[n,d] + 1e-6)**2))
    v[n] = sqrt(sum[d]((a[n,d] - q[n,d] + 1e-6)**2))
    L = mean[n](max(0, u[n] - v[n] + m))
    """, a=(5, 3), p=(5, 3), q=(5, 3), m=1.0)
def triplet_loss(a, p, q, m):
    return F.relu(F.pairwise_distance(a, p) - F.pairwise_distance(a, q) + m).mean()


@case("""
    a[N,D], b[N,D], int same[N], m -> L
    d[n] = sqrt(sum[k]((a[n,k] - b[n,k])**2))
    L = mean[n](where(same[n] == 1, d[n]**2, max(0, m - d[n])**2))/2
    """, a=(6, 2), b=(6, 2), same=lambda rng: rng.permutation([0, 0, 0, 1, 1, 1]), m=2.0)
def contrastive_loss(a, b, same, m):
    d = F.pairwise_distance(a, b, eps=0.0)
    return torch.where(same == 1, d**2, F.relu(m - d) ** 2).mean() / 2


@case("""
    # InfoNCE: the partner has the same number
    a[N,D], b[N,D], tau -> L
    s[n,m] = sum[d](a[n,d]*b[m,d])/tau
    L = -mean[n](s[n,n] - logsumexp[m](s[n,m]))
    """, a=(4, 3), b=(4, 3), tau=0.5)
def contrast_of_pairs(a, b, tau):
    return F.cross_entropy(a @ b.T / tau, torch.arange(4))


@case("""
    # both directions, on the sphere, with a learned temperature
    x[N,D], y[N,D], t -> L
    a[n,d] = x[n,d]/sqrt(sum[e](x[n,e]**2))
    b[n,d] = y[n,d]/sqrt(sum[e](y[n,e]**2))
    s[n,m] = exp(t)*sum[d](a[n,d]*b[m,d])
    L = mean[n](logsumexp[m](s[n,m])/2 + logsumexp[m](s[m,n])/2 - s[n,n])
    """, x=(4, 3), y=(4, 3), t=0.7)
def contrast_of_images_and_texts(x, y, t):
    s = t.exp() * F.normalize(x) @ F.normalize(y).T
    return (F.cross_entropy(s, torch.arange(4)) + F.cross_entropy(s.T, torch.arange(4))) / 2


@case("""
    # NT-Xent: a row is not compared with itself; its partner is data
    z[N,D], int partner[N], tau -> L
    s[i,j] = where(i == j, -inf, sum[d](z[i,d]*z[j,d])/tau)
    L = mean[i](logsumexp[j](s[i,j]) - s[i,partner[i]])
    """, z=(6, 3), partner=lambda rng: [3, 4, 5, 0, 1, 2], tau=0.5)
def contrast_of_two_views(z, partner, tau):
    return F.cross_entropy((z @ z.T / tau).fill_diagonal_(-torch.inf), partner)


@case("""
    a[N,D], b[N,D], int y[N], m -> L
    c[n] = sum[d](a[n,d]*b[n,d])/sqrt(sum[d](a[n,d]**2)*sum[d](b[n,d]**2))
    L = mean[n](where(y[n] == 1, 1 - c[n], max(0, c[n] - m)))
    """, a=(6, 3), b=(6, 3), y=whole_signs(6), m=0.1)
def cosine_embedding_loss(a, b, y, m):
    c = F.cosine_similarity(a, b, eps=0.0)
    return torch.where(y == 1, 1 - c, F.relu(c - m)).mean()


@case("""
    o[N,Q], y[N], q[Q] -> L
    e[n,k] = y[n] - o[n,k]
    L = mean[n](sum[k](max(q[k]*e[n,k], (q[k] - 1)*e[n,k])))
    """, o=(4, 3), y=(4,), q=lambda rng: [0.1, 0.5, 0.9])
def quantile_loss(o, y, q):
    e = y[:, None] - o
    return (q * F.relu(e) + (1 - q) * F.relu(-e)).sum(1).mean()


@case("""
    z[N], y[N] -> L
    L = mean[n](exp(z[n]) - y[n]*z[n])
    """, z=(6,), y=positive(6))
def poisson_loss(z, y):
    return F.poisson_nll_loss(z, y)


@case("""
    m[N], y[N], v[N] -> L
    L = mean[n](log(v[n]) + (m[n] - y[n])**2/v[n])/2
    """, m=(6,), y=(6,), v=positive(6))
def gaussian_loss(m, y, v):
    return F.gaussian_nll_loss(m, y, v)


@case("""
    p[N,K], y[N,K] -> L
    L = 1 - mean[n]((2*sum[k](p[n,k]*y[n,k]) + 1)/(sum[k](p[n,k]) + sum[k](y[n,k]) + 1))
    """, p=uniform(0.0, 1.0, 3, 4), y=uniform(0.0, 1.0, 3, 4))
def dice_loss(p, y):
    return 1 - ((2 * (p * y).sum(1) + 1) / ((p + y).sum(1) + 1)).mean()


@case("""
    p[N], y[N], a, b -> L
    t = sum[n](p[n]*y[n])
    L = 1 - t/(t + a*sum[n](p[n]*(1 - y[n])) + b*sum[n]((1 - p[n])*y[n]))
    """, p=uniform(0.0, 1.0, 6), y=uniform(0.0, 1.0, 6), a=0.3, b=0.7)
def tversky_loss(p, y, a, b):
    t = p @ y
    return 1 - t / (t + a * p @ (1 - y) + b * (1 - p) @ y)


@case("""
    # the sums run over neighbours that exist
    x[H,W] -> L
    L = sum[i,j](abs(x[i+1,j] - x[i,j])) + sum[i,j](abs(x[i,j+1] - x[i,j]))
    """, x=(4, 5))
def total_variation(x):
    return x.diff(dim=0).abs().sum() + x.diff(dim=1).abs().sum()


@case("""
    # second differences, inside only
    x[T], lam -> L
    L = lam*sum[t]((x[t+1] - 2*x[t] + x[t-1])**2)
    """, x=(7,), lam=0.3)
def smoothness_penalty(x, lam):
    return lam * (x.diff(n=2) ** 2).sum()


@case("""
    a[N], b[N], int y[N], m -> L
    L = mean[n](max(0, -y[n]*(a[n] - b[n]) + m))
    """, a=(6,), b=(6,), y=whole_signs(6), m=0.5)
def margin_ranking_loss(a, b, y, m):
    return F.relu(-y * (a - b) + m).mean()


@case("""
    x[N,K], y[N,K] -> L
    L = -mean[n,k](y[n,k]*log(sigmoid(x[n,k])) + (1 - y[n,k])*log(sigmoid(-x[n,k])))
    """, x=(3, 4), y=uniform(0.0, 1.0, 3, 4))
def multi_label_soft_margin_loss(x, y):
    return F.multilabel_soft_margin_loss(x, y)


@case("""
    # every pair of scores that the labels order
    s[N], y[N] -> L
    L = sum[i,j](where(y[i] > y[j], softplus(s[j] - s[i]), 0))
    """, s=(5,), y=(5,), wrt=("s",))
def pairwise_ranking_loss(s, y):
    return torch.where(y[:, None] > y, F.softplus(s - s[:, None], threshold=100), 0.0).sum()


@case("""
    # list-wise: the likelihood of an order; what has been chosen is no longer compared
    s[N,K] -> L
    L = -sum[n,i](s[n,i] - logsumexp[j](where(j >= i, s[n,j], -inf)))
    """, s=(2, 4))
def plackett_luce_loss(s):
    return -(s - torch.logcumsumexp(s.flip(1), 1).flip(1)).sum()


@case("""
    # Cox: the risk set of n is everyone who is still there
    r[N], time[N], int event[N] -> L
    L = -sum[n](where(event[n] == 1, r[n] - log(sum[m](where(time[m] >= time[n], exp(r[m]), 0))), 0))
    """, r=(6,), time=positive(6), event=lambda rng: rng.permutation([0, 0, 1, 1, 1, 1]))
def partial_likelihood_of_survival(r, time, event):
    risk = torch.logsumexp(torch.where(time >= time[:, None], r, -torch.inf), 1)
    return -(event * (r - risk)).sum()


@case("""
    X[N,D], y[N], w[D], b, lam, mu -> L
    L = mean[n]((sum[d](w[d]*X[n,d]) + b - y[n])**2) + lam*sum[d](w[d]**2) + mu*sum[d](abs(w[d]))
    """, X=(5, 3), y=(5,), w=(3,), b=0.2, lam=0.1, mu=0.05)
def elastic_net(X, y, w, b, lam, mu):
    return F.mse_loss(X @ w + b, y) + lam * w.square().sum() + mu * w.abs().sum()


@case("""
    # a variational autoencoder; the noise is data
    x[N,D], A[K,D], B[K,D], C[D,K], noise[N,K] -> L, rec, kl
    mu[n,k] = sum[d](A[k,d]*x[n,d])
    lv[n,k] = sum[d](B[k,d]*x[n,d])
    z[n,k] = mu[n,k] + exp(lv[n,k]/2)*noise[n,k]
    rec = sum[n,d]((x[n,d] - sum[k](C[d,k]*z[n,k]))**2)/N
    kl = -sum[n,k](1 + lv[n,k] - mu[n,k]**2 - exp(lv[n,k]))/(2*N)
    L = rec + kl
    """, x=(4, 3), A=(2, 3), B=(2, 3), C=(3, 2), noise=(4, 2))
def variational_autoencoder(x, A, B, C, noise):
    mu, lv = x @ A.T, x @ B.T
    q = torch.distributions.Normal(mu, torch.exp(lv / 2))
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum() / 4
    rec = F.mse_loss((mu + q.scale * noise) @ C.T, x, reduction="sum") / 4
    return rec + kl, rec, kl


@case("""
    # proximal policy: the smaller of two objectives, minus an entropy bonus
    o[N,A], int a[N], old[N], adv[N], eps, beta -> L
    lp[n,k] = log_softmax[k](o[n,k])
    r[n] = exp(lp[n,a[n]] - old[n])
    c[n] = max(1 - eps, min(1 + eps, r[n]))
    H[n] = -sum[k](exp(lp[n,k])*lp[n,k])
    L = -mean[n](min(r[n]*adv[n], c[n]*adv[n])) - beta*mean[n](H[n])
    """, o=(6, 3), a=integers(3, 6), old=uniform(-1.6, -0.6, 6), adv=(6,), eps=0.2, beta=0.01)
def proximal_policy_loss(o, a, old, adv, eps, beta):
    policy = torch.distributions.Categorical(logits=o)
    r = torch.exp(policy.log_prob(a) - old)
    clipped = torch.clamp(r, 1 - eps, 1 + eps)
    return -torch.min(r * adv, clipped * adv).mean() - beta * policy.entropy().mean()


@case("""
    # a step of Q-learning: the target takes the best of the next values
    q[N,A], p[N,A], int a[N], r[N], gamma -> L
    L = mean[n]((r[n] + gamma*max[k](p[n,k]) - q[n,a[n]])**2)
    """, q=(5, 3), p=(5, 3), a=integers(3, 5), r=(5,), gamma=0.9)
def temporal_difference_loss(q, p, a, r, gamma):
    return F.mse_loss(q.gather(1, a[:, None])[:, 0], r + gamma * p.amax(1))


@case("""
    # a mixture of Gaussians
    x[N,D], mu[K,D], ls[K,D], o[K] -> L
    g[n,k] = -sum[d](((x[n,d] - mu[k,d])/exp(ls[k,d]))**2/2 + ls[k,d] + log(2*pi)/2)
    L = -sum[n](logsumexp[k](log_softmax[k](o[k]) + g[n,k]))
    """, x=(5, 2), mu=(3, 2), ls=uniform(-0.3, 0.3, 3, 2), o=(3,))
def gaussian_mixture_likelihood(x, mu, ls, o):
    parts = torch.distributions.Independent(torch.distributions.Normal(mu, ls.exp()), 1)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=o), parts)
    return -mixture.log_prob(x).sum()


@case("""
    # words and their neighbours against words that are drawn
    int c[N], int w[N], int neg[N,K], U[V,D], W[V,D] -> L
    s[n] = sum[d](U[c[n],d]*W[w[n],d])
    t[n,k] = sum[d](U[c[n],d]*W[neg[n,k],d])
    L = mean[n](softplus(-s[n]) + sum[k](softplus(t[n,k])))
    """, c=integers(5, 4), w=integers(5, 4), neg=integers(5, 4, 3), U=(5, 2), W=(5, 2))
def skip_gram_with_negative_samples(c, w, neg, U, W):
    s, t = (U[c] * W[w]).sum(1), torch.einsum("nd,nkd->nk", U[c], W[neg])
    return -(F.logsigmoid(s) + F.logsigmoid(-t).sum(1)).mean()


@case("""
    int u[N], int v[N], r[N], P[U,K], Q[V,K], a[U], b[V], m, lam -> L
    e[n] = r[n] - m - a[u[n]] - b[v[n]] - sum[k](P[u[n],k]*Q[v[n],k])
    L = sum[n](e[n]**2) + lam*(sum[i,k](P[i,k]**2) + sum[i,k](Q[i,k]**2))
    """, u=integers(3, 6), v=integers(4, 6), r=(6,), P=(3, 2), Q=(4, 2), a=(3,), b=(4,), m=0.3, lam=0.1)
def matrix_factorisation(u, v, r, P, Q, a, b, m, lam):
    e = r - m - a[u] - b[v] - (F.embedding(u, P) * F.embedding(v, Q)).sum(1)
    return e.square().sum() + lam * (P.square().sum() + Q.square().sum())
