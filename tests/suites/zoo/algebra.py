"""Matrix things: forms, products of many factors, diagonals, reversals, kernels, solves; gathers; odd names."""

import torch
import torch.nn.functional as F

from tests.suites.case import case, integers, lower, positive, simplex, spd


@case("""
    x[N,I], W[O,I,J], y[N,J], b[O] -> z
    z[n,o] = sum[i,j](x[n,i]*W[o,i,j]*y[n,j]) + b[o]
    """, x=(3, 2), W=(2, 2, 4), y=(3, 4), b=(2,))
def bilinear_form(x, W, y, b):
    return F.bilinear(x, y, W, b)


@case("""
    a[N], b[M], c[K] -> T
    T[i,j,k] = a[i]*b[j]*c[k]
    """, a=(2,), b=(3,), c=(4,))
def outer_product(a, b, c):
    return torch.einsum("i,j,k->ijk", a, b, c)


@case("""
    A[N,N] -> t
    t = sum[i](A[i,i])
    """, A=(4, 4))
def trace(A):
    return torch.trace(A)


@case("""
    A[N,N], B[N,N] -> t
    t = sum[i,j](A[i,j]*B[j,i])
    """, A=(3, 3), B=(3, 3))
def trace_of_a_product(A, B):
    return torch.trace(A @ B)


@case("""
    S[N,N] -> L
    t = sum[i](S[i,i])
    q = sum[i,j](S[i,j]*S[j,i])
    L = log(t) + exp(q/100) + t**2 + log(sum[i](exp(S[i,0])))
    """, S=spd(3))
def functions_of_traces(S):
    t = torch.trace(S)
    return t.log() + torch.exp(torch.trace(S @ S) / 100) + t**2 + torch.logsumexp(S[:, 0], 0)


@case("""
    A[N,N] -> d, B
    d[i] = A[i,i]
    B[i,j] = where(i == j, 0, A[i,j])
    """, A=(4, 4))
def diagonal_and_the_rest(A):
    return torch.diagonal(A), A - torch.diag(torch.diagonal(A))


@case("""
    d[N], B[N,N] -> A
    A[i,j] = where(i == j, d[i], B[i,j])
    """, d=(3,), B=(3, 3))
def matrix_with_a_new_diagonal(d, B):
    return B - torch.diag(torch.diagonal(B)) + torch.diag(d)


@case("""
    T[N,N,M] -> y
    y[m] = sum[i](T[i,i,m]*T[i,i,m]) + sum[i,j](T[i,j,m]*T[j,i,m])
    """, T=(3, 3, 2))
def diagonals_of_a_tensor(T):
    return torch.einsum("iim,iim->m", T, T) + torch.einsum("ijm,jim->m", T, T)


@case("""
    X[N,D] -> G
    G[i,j] = sum[d](X[i,d]*X[j,d])
    """, X=(4, 3))
def gram_matrix(X):
    return X @ X.T


@case("""
    x[N,D], mu[D], P[D,D] -> d
    d[n] = sqrt(sum[i,j]((x[n,i] - mu[i])*P[i,j]*(x[n,j] - mu[j])))
    """, x=(4, 3), mu=(3,), P=spd(3))
def mahalanobis_distance(x, mu, P):
    return torch.einsum("ni,ij,nj->n", x - mu, P, x - mu).sqrt()


@case("""
    x[N], A[N,N], b[N], c -> f
    f = sum[i,j](x[i]*A[i,j]*x[j])/2 - sum[i](b[i]*x[i]) + c
    """, x=(4,), A=(4, 4), b=(4,), c=0.3)
def quadratic_form(x, A, b, c):
    return x @ A @ x / 2 - b @ x + c


@case("""
    A[I,J], B[J,K], C[K,L], D[L,M] -> E
    E[i,m] = sum[j,k,l](A[i,j]*B[j,k]*C[k,l]*D[l,m])
    """, A=(2, 3), B=(3, 4), C=(4, 2), D=(2, 3))
def product_of_four_matrices(A, B, C, D):
    return torch.linalg.multi_dot([A, B, C, D])


@case("""
    A[I,R], B[J,R], C[K,R], w[R] -> T
    T[i,j,k] = sum[r](w[r]*A[i,r]*B[j,r]*C[k,r])
    """, A=(2, 3), B=(3, 3), C=(4, 3), w=(3,))
def sum_of_rank_one_tensors(A, B, C, w):
    return torch.einsum("r,ir,jr,kr->ijk", w, A, B, C)


@case("""
    G[P,Q,R], A[I,P], B[J,Q], C[K,R] -> T
    T[i,j,k] = sum[p,q,r](G[p,q,r]*A[i,p]*B[j,q]*C[k,r])
    """, G=(2, 2, 3), A=(3, 2), B=(2, 2), C=(4, 3))
def tucker_decomposition(G, A, B, C):
    return torch.einsum("pqr,ip,jq,kr->ijk", G, A, B, C)


@case("""
    A[I,R], B[R,J,S], C[S,K] -> T
    T[i,j,k] = sum[r,s](A[i,r]*B[r,j,s]*C[s,k])
    """, A=(2, 3), B=(3, 4, 2), C=(2, 3))
def tensor_train(A, B, C):
    return torch.einsum("ir,rjs,sk->ijk", A, B, C)


@case("""
    A[N,M], B[P,Q] -> K
    K[i,k,j,l] = A[i,j]*B[k,l]
    """, A=(2, 3), B=(3, 2))
def kronecker_product(A, B):
    return torch.kron(A, B).reshape(2, 3, 3, 2)


@case("""
    x[N,I], W[O,I], A[O,R], B[R,I], alpha -> y
    y[n,o] = sum[i]((W[o,i] + alpha/R*sum[r](A[o,r]*B[r,i]))*x[n,i])
    """, x=(3, 4), W=(2, 4), A=(2, 2), B=(2, 4), alpha=0.5)
def low_rank_adaptation(x, W, A, B, alpha):
    return x @ (W + alpha / 2 * A @ B).T


@case("""
    x[N,I], b, w[I], V[I,K] -> y
    y[n] = b + sum[i](w[i]*x[n,i]) + sum[k](sum[i](V[i,k]*x[n,i])**2 - sum[i](V[i,k]**2*x[n,i]**2))/2
    """, x=(3, 4), b=0.2, w=(4,), V=(4, 2))
def factorisation_machine(x, b, w, V):
    pairs = torch.einsum("ni,nj,ik,jk->nij", x, x, V, V)
    return b + x @ w + pairs.triu(1).sum((1, 2))


@case("""
    X[N,D], Y[M,D], ell -> K
    K[i,j] = exp(-sum[d]((X[i,d] - Y[j,d])**2)/(2*ell**2))
    """, X=(3, 2), Y=(4, 2), ell=0.9)
def rbf_kernel(X, Y, ell):
    return torch.exp(-((X[:, None] - Y) ** 2).sum(-1) / (2 * ell**2))


@case("""
    X[N,D], Y[M,D] -> D2, D1
    D2[i,j] = sqrt(sum[d]((X[i,d] - Y[j,d])**2))
    D1[i,j] = sum[d](abs(X[i,d] - Y[j,d]))
    """, X=(3, 2), Y=(4, 2))
def pairwise_distances(X, Y):
    return torch.cdist(X, Y), torch.cdist(X, Y, p=1)


@case("""
    X[N,D], C[K,D], beta -> L
    d[n,k] = sum[i]((X[n,i] - C[k,i])**2)
    a[n,k] = softmax[k](-beta*d[n,k])
    L = sum[n,k](a[n,k]*d[n,k]) + mean[n](min[k](d[n,k]))
    """, X=(5, 2), C=(3, 2), beta=0.7)
def soft_k_means(X, C, beta):
    d = torch.cdist(X, C) ** 2
    return (F.softmax(-beta * d, 1) * d).sum() + d.amin(1).mean()


@case("""
    x[N], a -> y
    y[n] = a*x[n]**3 - x[n]**2/3 + 1/x[n] + x[n]**(1/3) + x[n]**-2
    """, x=positive(5), a=0.4)
def powers(x, a):
    return a * x**3 - x**2 / 3 + x.reciprocal() + x ** (1 / 3) + x**-2.0


@case("""
    x[N], y[N], a -> z
    z[n] = x[n]**y[n] + a**x[n] + y[n]**a
    """, x=positive(4), y=positive(4), a=1.7)
def powers_in_base_and_exponent(x, y, a):
    return torch.pow(x, y) + torch.pow(a, x) + torch.pow(y, a)


@case("""
    x[N], int p -> y
    y[n] = x[n]**p/p
    """, x=(5,), p=3)
def whole_power_that_is_a_parameter(x, p):
    return x**p / p


@case("""
    x[N] -> y
    y[i] = x[N-1-i]
    """, x=(5,))
def reversal(x):
    return x.flip(0)


@case("""
    x[N,M] -> s
    s = sum[i,j](x[i,j]*x[N-1-i,M-1-j])
    """, x=(3, 4))
def product_with_its_own_reversal(x):
    return (x * x.flip(0, 1)).sum()


@case("""
    x[N], y[N] -> z
    z[i] = x[i]*y[N-1-i] + x[N-1-i]
    """, x=(5,), y=(5,))
def forwards_and_backwards(x, y):
    return x * y.flip(0) + x.flip(0)


@case("""
    # the two subscripts are coupled; what falls outside is 0
    x[N,M] -> y
    y[i,j] = x[i+j,i-j] for i < 4, j < 3
    """, x=(5, 4))
def coupled_subscripts(x):
    i, j = torch.meshgrid(torch.arange(4), torch.arange(3), indexing="ij")
    inside = (i + j < 5) & (i - j >= 0)
    return torch.where(inside, x[(i + j).clamp(max=4), (i - j).clamp(min=0)], 0.0)


@case("""
    x[N,M], w[R] -> y
    y[k] = sum[i](x[i,k-i]*w[i+2*k]) for k < N + M - 1
    """, x=(3, 4), w=(14,))
def sums_along_antidiagonals(x, w):
    return torch.stack([sum(x[i, k - i] * w[i + 2 * k] for i in range(3) if 0 <= k - i < 4) for k in range(6)])


@case("""
    w[K], x[N], y[M] -> z
    z[i] = sum[j](w[i - j + N - 1]*x[j]) for i < M
    """, w=(7,), x=(4,), y=(4,))
def toeplitz_product(w, x, y):
    return w[torch.arange(4)[:, None] - torch.arange(4) + 3] @ x


@case("""
    h[K] -> H
    H[i,j] = h[i+j] for i < 3, j < 4
    """, h=(6,))
def hankel_matrix(h):
    return h.unfold(0, 4, 1)


@case("""
    x[N] -> y
    y[i] = x[2*i]**2 for i < (N + 1)//2
    """, x=(7,))
def every_other_one(x):
    return x[::2] ** 2


@case("""
    x[N], y[M] -> s
    s = sum[i](y[i]*x[2*i])
    """, x=(7,), y=(4,))
def sum_over_even_places(x, y):
    return y @ x[::2]


@case("""
    # the place inside a pair is an axis of its own, put back by two parities
    x[N,2] -> y
    y[i] = sum[k](where(i == 2*k, x[k,0], 0)) + sum[k](where(i == 2*k + 1, x[k,1], 0)) for i < 2*N
    """, x=(3, 2))
def interleaving(x):
    return x.flatten()


@case("""
    x[N,M] -> y
    y[k] = sum[i,j](where(M*i + j == k, x[i,j], 0)) for k < N*M
    """, x=(3, 4))
def flattening(x):
    return x.flatten()


@case("""
    X[N,D], y[N], w[D] -> L, r
    r[n] = sum[d](X[n,d]*w[d]) - y[n]
    L = sum[n](r[n]**2)/2
    """, X=(4, 3), y=(4,), w=(3,))
def residuals_and_their_square(X, y, w):
    r = X @ w - y
    return r @ r / 2, r


@case("""
    a, b, c -> p, q, r
    p = a*b + sin(c)
    q = p/b
    r = exp(-q**2)*a
    """, a=0.7, b=1.3, c=-0.4)
def scalars_only(a, b, c):
    p = a * b + torch.sin(c)
    return p, p / b, torch.exp(-((p / b) ** 2)) * a


@case("""
    # an output that another output reads, and an input that nobody reads
    x[N], unused[M] -> y, z
    y[n] = x[n]**2
    z[n] = y[n]*x[n] + y[N-1-n]
    """, x=(4,), unused=(3,))
def output_inside_an_output_and_an_unused_input(x, unused):
    y = x**2
    return y, y * x + y.flip(0)


@case("""
    x[N], y[N] -> a, b
    a[n] = 3 for n < N
    b[n] = y[n]
    given sum[n](x[n]) = 1
    """, x=simplex(4), y=(4,))
def constant_output_and_a_copy(x, y):
    return torch.full_like(x, 3.0), y * 1


@case("""
    L[N,N], b[N] -> x
    x[i] = (b[i] - sum[j](where(j < i, L[i,j]*x[j], 0)))/L[i,i]
    """, L=lower(4), b=(4,))
def forward_substitution(L, b):
    return torch.linalg.solve_triangular(L.tril(), b[:, None], upper=False)[:, 0]


@case("""
    L[N,N], b[N] -> x
    x[i] = b[i] + sum[j](where(j < i, L[i,j]*x[j], 0))
    """, L=(4, 4), b=(4,))
def unit_forward_substitution(L, b):
    return torch.linalg.solve_triangular(-L.tril(-1), b[:, None], upper=False, unitriangular=True)[:, 0]


@case("""
    U[N,N], B[N,M] -> X
    X[i,m] = (B[i,m] - sum[j](where(j > i, U[i,j]*X[j,m], 0)))/U[i,i]
    """, U=lambda rng: lower(4)(rng).T, B=(4, 2))
def backward_substitution(U, B):
    return torch.linalg.solve_triangular(U.triu(), B, upper=True)


@case("""
    # a tridiagonal system: elimination downwards, substitution upwards
    a[N], b[N], c[N], d[N] -> x
    p[i] = c[i]/(b[i] - a[i]*p[i-1])
    q[i] = (d[i] - a[i]*q[i-1])/(b[i] - a[i]*p[i-1])
    x[i] = q[i] - p[i]*x[i+1]
    """, a=(5,), b=lambda rng: rng.uniform(4.0, 5.0, size=5), c=(5,), d=(5,))
def tridiagonal_solve(a, b, c, d):
    return torch.linalg.solve(torch.diag(b) + torch.diag(a[1:], -1) + torch.diag(c[:-1], 1), d)


@case("""
    # row by row; only the lower triangle of A is read
    A[N,N] -> C
    s[i,j] = A[i,j] - sum[k](where(k < j, C[i,k]*C[j,k], 0))
    C[i,j] = where(j < i, s[i,j]/C[j,j], where(j == i, sqrt(s[i,j]), 0))
    """, A=spd(4))
def cholesky_factor(A):
    C = {}
    for i in range(4):
        for j in range(i + 1):
            s = A[i, j] - sum(C[i, k] * C[j, k] for k in range(j))
            C[i, j] = s.sqrt() if i == j else s / C[j, j]
    return torch.stack([torch.stack([C.get((i, j), 0 * A[0, 0]) for j in range(4)]) for i in range(4)])


@case("""
    A[3,3] -> d
    d = (A[0,0]*(A[1,1]*A[2,2] - A[1,2]*A[2,1]) - A[0,1]*(A[1,0]*A[2,2] - A[1,2]*A[2,0])
         + A[0,2]*(A[1,0]*A[2,1] - A[1,1]*A[2,0]))
    """, A=(3, 3))
def determinant(A):
    return torch.linalg.det(A)


@case("""
    # the powers of a matrix, and their sum
    A[N,N], int T -> S
    P[0,i,j] = where(i == j, 1, 0) for i < N, j < N
    P[t,i,j] = sum[k](A[i,k]*P[t-1,k,j]) for t < T
    S[i,j] = sum[t](P[t,i,j])
    """, A=(3, 3), T=4)
def neumann_series(A, T):
    return sum(torch.linalg.matrix_power(A, t) for t in range(T))


@case("""
    # a sum runs over the positions that exist, whatever stands inside
    x[N] -> a, b, c
    a[i] = sum[u](exp(x[i+u-1])) for i < N, u < 3
    b[i] = sum[u](x[i+u-1] + 1) for i < N, u < 3
    c[i] = mean[u](x[i-u]**2) for i < N, u < 3
    """, x=(5,))
def windows_that_count_what_exists(x):
    ones = torch.ones(3, dtype=x.dtype)
    window = lambda v, left, right: F.conv1d(F.pad(v, (left, right))[None, None], ones[None, None])[0, 0]
    return (window(x.exp(), 1, 1), window(x + 1, 1, 1),
            window(x**2, 2, 0) / torch.tensor([1, 2, 3, 3, 3]))


@case("""
    x[N,M] -> y, s
    y[i] = sum[u](x[i,0]) + sum[u](u*x[i,u]**u) for u < 3
    s = sum[i,j](i*j)*mean[i,j](x[i,j]) for i < N, j < M
    """, x=positive(2, 4))
def sums_of_constants_and_of_their_own_index(x):
    u = torch.arange(3)
    return 3 * x[:, 0] + (u * x[:, :3] ** u).sum(1), (0 + 1) * (0 + 1 + 2 + 3) * x.mean()


@case("""
    A[N,M,K], x[K] -> L
    L = logsumexp[i](sum[j](max[k](A[i,j,k]*x[k]) - mean[k](A[i,j,k])**2)/softplus(min[j,k](A[i,j,k])))
    """, A=(3, 4, 2), x=(2,))
def reductions_inside_reductions(A, x):
    inner = ((A * x).amax(2) - A.mean(2) ** 2).sum(1)
    return torch.logsumexp(inner / F.softplus(A.amin((1, 2))), 0)


@case("""
    x[N,M], y[N], int k, int c[M] -> z
    z[i,j] = where(not (x[i,j] > 0) or i == j and c[j] != 1, x[i,j]*y[i],
                   where(i < k or j >= M - k, y[i]**2, x[i,j]**3))
    """, x=(4, 5), y=(4,), k=2, c=integers(2, 5))
def conditions(x, y, k, c):
    i, j, y = torch.arange(4)[:, None], torch.arange(5), y[:, None]
    return torch.where(~(x > 0) | (i == j) & (c != 1), x * y, torch.where((i < k) | (j >= 5 - k), y**2, x**3))


@case("""
    # axes of length one, fixed and by chance
    x[N,1], w[1,M], v[K] -> y, s
    y[n,m] = x[n,0]*w[0,m] + sum[k](v[k]) + sum[i](w[i,m])
    s[i] = max[n](x[n,i])
    """, x=(1, 1), w=(1, 3), v=(1,))
def axes_of_length_one(x, w, v):
    return x * w + v.sum() + w.sum(0), x.amax(0)


@case("""
    E[V,D], int tok[N] -> Y
    Y[n,d] = E[tok[n],d]
    """, E=(5, 3), tok=integers(5, 6))
def embedding(E, tok):
    return F.embedding(tok, E)


@case("""
    E[V,D], P[T,D], int tok[N,T] -> Y
    Y[n,t,d] = E[tok[n,t],d] + P[t,d]
    """, E=(5, 3), P=(4, 3), tok=integers(5, 2, 4))
def embedding_with_positions(E, P, tok):
    return F.embedding(tok, E) + P


@case("""
    E[V,D], int tok[N,B], w[N,B] -> s, m, x
    s[n,d] = sum[b](w[n,b]*E[tok[n,b],d])
    m[n,d] = mean[b](E[tok[n,b],d])
    x[n,d] = max[b](E[tok[n,b],d])
    """, E=(7, 3), tok=lambda rng: [rng.permutation(7)[:3] for _ in range(2)], w=(2, 3))
def embedding_bags(E, tok, w):
    return (F.embedding_bag(tok, E, mode="sum", per_sample_weights=w), F.embedding_bag(tok, E, mode="mean"),
            F.embedding(tok, E).amax(1))


@case("""
    x[N,K], int y[N], int z[N] -> a
    a[n] = x[n,y[n]]*x[z[n],y[n]]
    """, x=(4, 3), y=integers(3, 4), z=integers(4, 4))
def gather_by_two(x, y, z):
    return x[torch.arange(4), y] * x[z, y]


@case("""
    # sums over the members of a group; the group is data
    x[N,D], int g[N], int G -> s
    s[k,d] = sum[n](where(g[n] == k, x[n,d], 0)) for k < G
    """, x=(6, 2), g=integers(3, 6), G=3)
def sums_by_group(x, g, G):
    return torch.zeros(G, 2, dtype=x.dtype).index_add(0, g, x)


@case("""
    # messages along the edges of a graph
    x[N,D], W[D,D], int src[M], int dst[M], e[M] -> y
    m[k,d] = e[k]*sum[c](W[d,c]*x[src[k],c])
    y[n,d] = tanh(x[n,d] + sum[k](where(dst[k] == n, m[k,d], 0)))
    """, x=(4, 2), W=(2, 2), src=integers(4, 6), dst=integers(4, 6), e=(6,))
def message_passing(x, W, src, dst, e):
    return torch.tanh(x.index_add(0, dst, e[:, None] * (x @ W.T)[src]))


@case("""
    # permutation by data
    x[N], int perm[N] -> y
    y[n] = x[perm[n]]*n
    """, x=(5,), perm=lambda rng: rng.permutation(5))
def permutation_weighted_by_place(x, perm):
    return x[perm] * torch.arange(5)


@case("""
    x[T,D], k -> y
    y[t,d] = x[t,d] + sin(t/k**(2*d/D))
    """, x=(4, 3), k=10.0)
def sinusoidal_positions(x, k):
    t, d = torch.arange(4.0, dtype=x.dtype)[:, None], torch.arange(3.0, dtype=x.dtype)
    return x + torch.sin(t / k ** (2 * d / 3))


@case("""
    # names that mathematics and SymPy have taken for their own
    E[C,N], I[N,O], Q[N], beta[N], gamma, zeta[O], test -> re
    S[e,o] = sum[n]((E[e,n] + Q[n] + beta[n])*I[n,o])
    re[e,o] = gamma*S[e,o] + zeta[o]*test
    """, E=(2, 3), I=(3, 4), Q=(3,), beta=(3,), gamma=0.5, zeta=(4,), test=1.5)
def names_of_mathematics(E, I, Q, beta, gamma, zeta, test):
    return gamma * (E + Q + beta) @ I + zeta * test


@case("""
    # names that Python has taken for its own functions
    list[N], type[V,M], int input[N], object, id -> str
    str[n] = object*list[n] + id*sum[m](type[input[n],m])
    """, list=(3,), type=(4, 2), input=integers(4, 3), object=0.5, id=-0.3)
def names_of_python(list, type, input, object, id):
    return object * list + id * type[input].sum(1)


@case("""
    # names that generated code likes to use
    x[N,M], residuals[M], out[N], shape, axis -> self, inputs
    self[n] = sum[m](x[n,m]*residuals[m])*shape
    inputs[n] = out[n]*axis + self[n]
    """, x=(2, 3), residuals=(3,), out=(2,), shape=0.5, axis=2.0)
def names_of_generated_code(x, residuals, out, shape, axis):
    y = x @ residuals * shape
    return y, out * axis + y


@case("""
    # letters mean different ranges in different equations and in different sums; an index may be a word
    x[N,M], y[M,N] -> z
    row[i] = sum[j](x[i,j])
    col[i] = sum[j](x[j,i])
    z[i,column] = row[i]*col[column] + sum[k](x[i,k]*sum[j](y[k,j]*x[j,column])) + max[j](y[column,j]) + sum[k](y[k,i])
    """, x=(3, 4), y=(4, 3))
def index_letters_reused(x, y):
    return torch.outer(x.sum(1), x.sum(0)) + x @ (y @ x) + y.amax(1) + y.sum(0)[:, None]


@case("""
    # inside a reduction its own index is meant, whatever the letter means around it
    x[N,K] -> y, s
    y[n,k] = x[n,k] - mean[k](x[n,k])
    s = sum[n](max[k](x[n,k])*sum[k](x[n,k] + sum[n](x[n,k])))
    """, x=(3, 4))
def index_letters_shadowed(x):
    return x - x.mean(1, keepdim=True), (x.amax(1) * (x.sum(1) + x.sum())).sum()
