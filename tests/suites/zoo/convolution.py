"""Convolutions: a window that slides, with every stride, dilation and padding, and its transpose."""

import torch
import torch.nn.functional as F

from tests.suites.case import case, integers


@case("""
    X[N,C,T], W[O,C,U], b[O] -> Y
    Y[n,o,i] = sum[c,u](W[o,c,u]*X[n,c,i+u]) + b[o]
    """, X=(2, 3, 7), W=(4, 3, 3), b=(4,))
def convolution_1d(X, W, b):
    return F.conv1d(X, W, b)


@case("""
    X[N,C,H,W], K[O,C,U,V] -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v])
    """, X=(2, 2, 5, 6), K=(3, 2, 2, 3))
def convolution_2d(X, K):
    return F.conv2d(X, K)


@case("""
    X[N,C,D,H,W], K[O,C,P,U,V] -> Y
    Y[n,o,k,i,j] = sum[c,p,u,v](K[o,c,p,u,v]*X[n,c,k+p,i+u,j+v])
    """, X=(1, 2, 4, 3, 4), K=(2, 2, 2, 2, 3))
def convolution_3d(X, K):
    return F.conv3d(X, K)


@case("""
    X[N,C,H,W], K[O,C,U,V], b[O] -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,2*i+u,3*j+v]) + b[o]
    """, X=(2, 2, 7, 8), K=(3, 2, 3, 2), b=(3,))
def convolution_with_two_strides(X, K, b):
    return F.conv2d(X, K, b, stride=(2, 3))


@case("""
    X[N,C,H,W], K[O,C,U,V] -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+2*u,j+3*v])
    """, X=(2, 2, 7, 8), K=(3, 2, 3, 2))
def convolution_with_two_dilations(X, K):
    return F.conv2d(X, K, dilation=(2, 3))


@case("""
    X[N,C,H,W], K[O,C,3,3] -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u-1,j+v-1]) for i < H, j < W
    """, X=(2, 2, 4, 5), K=(3, 2, 3, 3))
def convolution_that_keeps_the_size(X, K):
    return F.conv2d(X, K, padding="same")


@case("""
    X[N,C,T], W[O,C,U], int s, int p, int d -> Y
    Y[n,o,i] = sum[c,u](W[o,c,u]*X[n,c,s*i+d*u-p]) for i < (T + 2*p - d*(U - 1) - 1)//s + 1
    """, X=(2, 2, 11), W=(3, 2, 3), s=2, p=3, d=2)
def convolution_1d_with_everything_a_parameter(X, W, s, p, d):
    return F.conv1d(X, W, stride=s, padding=p, dilation=d)


@case("""
    X[N,C,H,W], K[O,C,U,V], b[O], int s, int p, int d -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,s*i+d*u-p,s*j+d*v-p]) + b[o] for i < (
        H + 2*p - d*(U - 1) - 1)//s + 1, j < (W + 2*p - d*(V - 1) - 1)//s + 1
    """, X=(2, 2, 7, 8), K=(3, 2, 2, 3), b=(3,), s=3, p=2, d=2)
def convolution_2d_with_everything_a_parameter(X, K, b, s, p, d):
    return F.conv2d(X, K, b, stride=s, padding=p, dilation=d)


@case("""
    # the mathematician's convolution turns the kernel
    X[H,W], K[U,V] -> Y
    Y[i,j] = sum[u,v](K[u,v]*X[i-u+U-1,j-v+V-1])
    """, X=(5, 6), K=(2, 3))
def convolution_with_a_turned_kernel(X, K):
    return F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]


@case("""
    # the product of two polynomials
    a[M], b[N] -> c
    c[k] = sum[i](a[i]*b[k-i]) for k < M + N - 1
    """, a=(4,), b=(3,))
def full_convolution(a, b):
    return F.conv1d(a[None, None], b.flip(0)[None, None], padding=2)[0, 0]


@case("""
    X[N,C,H,W], K[C,U,V], b[C] -> Y
    Y[n,c,i,j] = sum[u,v](K[c,u,v]*X[n,c,i+u,j+v]) + b[c]
    """, X=(2, 3, 4, 5), K=(3, 2, 3), b=(3,))
def depthwise_convolution(X, K, b):
    return F.conv2d(X, K[:, None], b, groups=3)


@case("""
    X[N,G,C,T], W[G,O,C,U], b[G,O] -> Y
    Y[n,g,o,i] = sum[c,u](W[g,o,c,u]*X[n,g,c,2*i+u]) + b[g,o]
    """, X=(2, 3, 2, 8), W=(3, 2, 2, 3), b=(3, 2))
def grouped_convolution(X, W, b):
    return F.conv1d(X.flatten(1, 2), W.flatten(0, 1), b.flatten(), stride=2, groups=3).reshape(2, 3, 2, 3)


@case("""
    X[N,C,H,W], D[C,U,V], P[O,C] -> Y
    Z[n,c,i,j] = sum[u,v](D[c,u,v]*X[n,c,i+u-1,j+v-1]) for i < H, j < W
    Y[n,o,i,j] = sum[c](P[o,c]*relu(Z[n,c,i,j]))
    """, X=(2, 3, 4, 4), D=(3, 3, 3), P=(2, 3))
def separable_convolution(X, D, P):
    return F.conv2d(F.relu(F.conv2d(X, D[:, None], padding=1, groups=3)), P[..., None, None])


@case("""
    # a kernel of rank one
    X[H,W], a[U], b[V] -> Y
    Y[i,j] = sum[u,v](a[u]*b[v]*X[i+u,j+v])
    """, X=(5, 6), a=(3,), b=(2,))
def convolution_with_a_kernel_of_rank_one(X, a, b):
    return F.conv2d(X[None, None], torch.outer(a, b)[None, None])[0, 0]


@case("""
    # what lies before the beginning is 0
    X[N,C,T], W[O,C,U] -> Y
    Y[n,o,t] = sum[c,u](W[o,c,u]*X[n,c,t-u]) for t < T
    """, X=(2, 2, 6), W=(3, 2, 3))
def causal_convolution(X, W):
    return F.conv1d(F.pad(X, (2, 0)), W.flip(2))


@case("""
    # WaveNet: two dilated causal convolutions, a gate, a residual
    X[C,T], A[C,C,2], B[C,C,2], R[C,C] -> Y
    a[o,t] = sum[c,u](A[o,c,u]*X[c,t-4*u]) for t < T
    b[o,t] = sum[c,u](B[o,c,u]*X[c,t-4*u]) for t < T
    Y[o,t] = X[o,t] + sum[c](R[o,c]*tanh(a[c,t])*sigmoid(b[c,t]))
    """, X=(2, 9), A=(2, 2, 2), B=(2, 2, 2), R=(2, 2))
def gated_dilated_causal_convolution(X, A, B, R):
    past = F.pad(X, (4, 0))
    gate = torch.tanh(F.conv1d(past, A.flip(2), dilation=4)) * torch.sigmoid(F.conv1d(past, B.flip(2), dilation=4))
    return X + R @ gate


@case("""
    # transposed convolution: an output receives from every input whose window covers it
    X[N,C,T], W[C,O,U] -> Y
    Y[n,o,a] = sum[c,i](X[n,c,i]*W[c,o,a-2*i]) for a < 2*(T - 1) + U
    """, X=(2, 3, 4), W=(3, 2, 3))
def transposed_convolution_1d(X, W):
    return F.conv_transpose1d(X, W, stride=2)


@case("""
    X[N,C,H,W], K[C,O,U,V], int s, int p -> Y
    Y[n,o,a,b] = sum[c,i,j](X[n,c,i,j]*K[c,o,a+p-s*i,b+p-s*j]) for a < s*(H - 1) + U - 2*p, b < s*(W - 1) + V - 2*p
    """, X=(1, 2, 3, 2), K=(2, 2, 3, 3), s=2, p=1)
def transposed_convolution_2d_with_parameters(X, K, s, p):
    return F.conv_transpose2d(X, K, stride=s, padding=p)


@case("""
    # the same, as a sum over the kernel that keeps what lands on the place
    X[N,C,T], W[C,O,U] -> Y
    Y[n,o,a] = sum[c,i,u](where(2*i + u == a, X[n,c,i]*W[c,o,u], 0)) for a < 2*(T - 1) + U
    """, X=(2, 3, 4), W=(3, 2, 3))
def transposed_convolution_by_a_condition(X, W):
    return F.conv_transpose1d(X, W, stride=2)


@case("""
    # every place has weights of its own
    X[N,C,T], W[O,I,C,U] -> Y
    Y[n,o,i] = sum[c,u](W[o,i,c,u]*X[n,c,i+u])
    """, X=(2, 2, 6), W=(3, 4, 2, 3))
def locally_connected_layer(X, W):
    return torch.einsum("nciu,oicu->noi", X.unfold(2, 3, 1), W)


@case("""
    X[N,C,H,W], K[O,C,U,V] -> Y
    cols[n,i,j,c,u,v] = X[n,c,i+u,j+v] for u < U, v < V
    Y[n,o,i,j] = sum[c,u,v](cols[n,i,j,c,u,v]*K[o,c,u,v])
    """, X=(2, 2, 4, 4), K=(3, 2, 2, 3))
def convolution_by_im2col(X, K):
    return (K.flatten(1) @ F.unfold(X, (2, 3))).reshape(2, 3, 3, 2)


@case("""
    X[N,C,H,W], int s -> cols
    cols[n,i,j,c,u,v] = X[n,c,s*i+u-1,s*j+v-1] for i < (H - 1)//s + 1, j < (W - 1)//s + 1, u < 3, v < 3
    """, X=(2, 2, 4, 5), s=2)
def im2col(X, s):
    return F.unfold(X, 3, padding=1, stride=s).reshape(2, 2, 3, 3, 2, 3).permute(0, 4, 5, 1, 2, 3)


@case("""
    # col2im: the overlapping columns are added up
    C[I,J,U,V] -> X
    X[a,b] = sum[u,v](C[a-u,b-v,u,v]) for a < I + U - 1, b < J + V - 1
    """, C=(3, 4, 2, 3))
def col2im(C):
    return F.fold(C.permute(2, 3, 0, 1).flatten(2).flatten(0, 1)[None], (4, 6), (2, 3))[0, 0]


@case("""
    # a small network for images: convolution, pooling, dense layer, loss
    X[N,H,W], K[O,3,3], k[O], A[M,O,P,Q], a[M], int y[N] -> L
    Z[n,o,i,j] = relu(sum[u,v](K[o,u,v]*X[n,i+u,j+v]) + k[o])
    B[n,o,i,j] = max[u,v](Z[n,o,2*i+u,2*j+v]) for u < 2, v < 2
    s[n,m] = sum[o,i,j](A[m,o,i,j]*B[n,o,i,j]) + a[m]
    p[n,m] = log_softmax[m](s[n,m])
    L = -mean[n](p[n,y[n]])
    """, X=(3, 6, 6), K=(2, 3, 3), k=(2,), A=(4, 2, 2, 2), a=(4,), y=integers(4, 3))
def convolutional_network(X, K, k, A, a, y):
    pooled = F.max_pool2d(F.relu(F.conv2d(X[:, None], K[:, None], k)), 2)
    return F.cross_entropy(pooled.flatten(1) @ A.flatten(1).T + a, y)


@case("""
    # two convolutions, each with average pooling, and two dense layers
    X[N,C,H,W], K[O,C,5,5], k[O], R[S,O,5,5], r[S], A[F,S,P,Q], a[F], B[M,F], b[M] -> y
    Z[n,o,i,j] = tanh(sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v]) + k[o])
    Y[n,o,i,j] = mean[u,v](Z[n,o,2*i+u,2*j+v]) for u < 2, v < 2
    V[n,s,i,j] = tanh(sum[o,u,v](R[s,o,u,v]*Y[n,o,i+u,j+v]) + r[s])
    U[n,s,i,j] = mean[u,v](V[n,s,2*i+u,2*j+v]) for u < 2, v < 2
    h[n,f] = tanh(sum[s,i,j](A[f,s,i,j]*U[n,s,i,j]) + a[f])
    y[n,m] = sum[f](B[m,f]*h[n,f]) + b[m]
    """, X=(2, 1, 16, 17), K=(2, 1, 5, 5), k=(2,), R=(3, 2, 5, 5), r=(3,), A=(4, 3, 1, 1), a=(4,), B=(3, 4), b=(3,))
def lenet(X, K, k, R, r, A, a, B, b):
    pooled = F.avg_pool2d(torch.tanh(F.conv2d(X, K, k)), 2)
    pooled = F.avg_pool2d(torch.tanh(F.conv2d(pooled, R, r)), 2)
    return torch.tanh(pooled.flatten(1) @ A.flatten(1).T + a) @ B.T + b


@case("""
    # convolutions that keep the size of an image, and pooling that halves it
    X[C,H,W], K[O,C,3,3], R[S,O,3,3], A[F,S,P,Q] -> y
    Z[o,i,j] = relu(sum[c,u,v](K[o,c,u,v]*X[c,i+u-1,j+v-1])) for i < H, j < W
    Y[o,i,j] = max[u,v](Z[o,2*i+u,2*j+v]) for u < 2, v < 2
    V[s,i,j] = relu(sum[o,u,v](R[s,o,u,v]*Y[o,i+u-1,j+v-1])) for i < H//2, j < W//2
    U[s,i,j] = max[u,v](V[s,2*i+u,2*j+v]) for u < 2, v < 2
    y[f] = sum[s,i,j](A[f,s,i,j]*U[s,i,j])
    """, X=(2, 9, 6), K=(2, 2, 3, 3), R=(3, 2, 3, 3), A=(3, 3, 2, 1))
def padded_convolutions_and_poolings(X, K, R, A):
    pooled = F.max_pool2d(F.relu(F.conv2d(X, K, padding=1)), 2)
    return A.flatten(1) @ F.max_pool2d(F.relu(F.conv2d(pooled, R, padding=1)), 2).flatten()


@case("""
    X[C,H,W], A[C,C,3,3], B[C,C,3,3] -> Y
    Z[o,i,j] = relu(sum[c,u,v](A[o,c,u,v]*X[c,i+u-1,j+v-1])) for i < H, j < W
    Y[o,i,j] = relu(X[o,i,j] + sum[c,u,v](B[o,c,u,v]*Z[c,i+u-1,j+v-1]))
    """, X=(2, 4, 3), A=(2, 2, 3, 3), B=(2, 2, 3, 3))
def residual_convolution_block(X, A, B):
    return F.relu(X + F.conv2d(F.relu(F.conv2d(X[None], A, padding=1)), B, padding=1)[0])


@case("""
    X[N,C,H,W], A[R,C], B[C,R] -> Y
    s[n,c] = mean[i,j](X[n,c,i,j])
    z[n,r] = relu(sum[c](A[r,c]*s[n,c]))
    g[n,c] = sigmoid(sum[r](B[c,r]*z[n,r]))
    Y[n,c,i,j] = g[n,c]*X[n,c,i,j]
    """, X=(2, 3, 2, 3), A=(2, 3), B=(3, 2))
def squeeze_and_excitation(X, A, B):
    return torch.sigmoid(F.relu(X.mean((2, 3)) @ A.T) @ B.T)[..., None, None] * X


@case("""
    # dense matching of two images along the lines, up to D places to the right
    L[C,W], R[C,W], int D -> S
    S[i,d] = sum[c](L[c,i]*R[c,i-d])/sqrt(C) for d < D
    """, L=(3, 6), R=(3, 6), D=3)
def correlation_volume(L, R, D):
    return torch.stack([(L * F.pad(R, (d, 0))[:, :6]).sum(0) for d in range(D)], 1) / 3**0.5


@case("""
    x[T], int K -> r
    r[k] = sum[t](x[t]*x[t+k]) for k < K
    """, x=(6,), K=4)
def autocorrelation(x, K):
    return torch.stack([x[: 6 - k] @ x[k:] for k in range(K)])


@case("""
    # the mean counts the pairs that exist
    x[T], int K -> r
    r[k] = mean[t](x[t]*x[t+k]) for k < K
    """, x=(6,), K=4)
def unbiased_autocorrelation(x, K):
    return torch.stack([(x[: 6 - k] * x[k:]).mean() for k in range(K)])


@case("""
    x[N,T] -> low, high
    low[n,i] = (x[n,2*i] + x[n,2*i+1])/sqrt(2)
    high[n,i] = (x[n,2*i] - x[n,2*i+1])/sqrt(2)
    """, x=(2, 6))
def haar_wavelet(x):
    even, odd = x[:, ::2], x[:, 1::2]
    return (even + odd) / 2**0.5, (even - odd) / 2**0.5


@case("""
    x[T] -> y
    y[i] = x[3*i]*x[2*i+1]
    """, x=(10,))
def two_strides_at_once(x):
    return x[::3][:4] * x[1::2][:4]


@case("""
    X[H,W] -> E
    gx[i,j] = X[i,j+2] - X[i,j] + 2*(X[i+1,j+2] - X[i+1,j]) + X[i+2,j+2] - X[i+2,j] for i < H - 2, j < W - 2
    gy[i,j] = X[i+2,j] - X[i,j] + 2*(X[i+2,j+1] - X[i,j+1]) + X[i+2,j+2] - X[i,j+2] for i < H - 2, j < W - 2
    E[i,j] = sqrt(gx[i,j]**2 + gy[i,j]**2 + 0.01)
    """, X=(5, 4))
def sobel_edges(X):
    kx = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=X.dtype)
    g = F.conv2d(X[None, None], torch.stack([kx, kx.T])[:, None])[0]
    return torch.sqrt((g**2).sum(0) + 0.01)


@case("""
    # plain subscripts give the output its size; what lies outside is 0
    X[H,W] -> Y
    Y[i,j] = -4*X[i,j] + X[i-1,j] + X[i+1,j] + X[i,j-1] + X[i,j+1]
    """, X=(4, 5))
def laplacian(X):
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=X.dtype)
    return F.conv2d(X[None, None], kernel[None, None], padding=1)[0, 0]


@case("""
    # dynamic convolution: the kernel of a place is a softmax of the place's own features
    X[T,C], W[U,C] -> Y
    K[t,u] = softmax[u](sum[c](W[u,c]*X[t,c]))
    Y[t,c] = sum[u](K[t,u]*X[t+u-1,c])
    """, X=(5, 3), W=(3, 3))
def dynamic_convolution(X, W):
    kernel = F.softmax(X @ W.T, 1)
    return torch.einsum("tu,tcu->tc", kernel, F.pad(X, (0, 0, 1, 1)).unfold(0, 3, 1))


@case("""
    # an embedding, windows of several widths, the maximum over time of each
    int tok[N,T], E[V,D], A[F,2,D], B[F,3,D] -> a, b
    a[n,f] = max[i](relu(sum[u,d](A[f,u,d]*E[tok[n,i+u],d]))) for i < T - 1
    b[n,f] = max[i](relu(sum[u,d](B[f,u,d]*E[tok[n,i+u],d]))) for i < T - 2
    """, tok=integers(6, 2, 5), E=(6, 3), A=(4, 2, 3), B=(4, 3, 3))
def text_classifier_windows(tok, E, A, B):
    x = F.embedding(tok, E).mT
    return tuple(F.relu(F.conv1d(x, K.mT)).amax(2) for K in (A, B))
