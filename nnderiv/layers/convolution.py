"""Convolution, cross-correlation, im2col and pooling. s is the stride, d the dilation, p the padding; outside is zero.

Named after what they compute: `convolution` turns the kernel, `correlation` does not; `conv1d` and `conv2d` are the
layers of machine learning, which do not either.
"""

from __future__ import annotations

from .layer import layer

_GUIDE = "Dumoulin and Visin 2016, A Guide to Convolution Arithmetic for Deep Learning, arXiv:1603.07285"
_LECUN = "LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86(11), 2278-2324"

# ---- signals and images

delayed_signals = layer("""
    # delayed_signals: what arrives now is the sum of what was sent now and before, each with its weight
    x[T], w[K] -> y
    y[t] = sum[k](w[k]*x[t-k]) for t < T
""", source="Oppenheim and Schafer 2010, Discrete-Time Signal Processing, section 2.3")

convolution1d = layer("""
    # convolution1d: the full convolution of two signals, like the product of two polynomials
    x[T], w[K] -> y
    y[t] = sum[k](w[k]*x[t-k]) for t < T + K - 1
""", source="Oppenheim and Schafer 2010, Discrete-Time Signal Processing, section 2.3")

correlation1d = layer("""
    # correlation1d: a kernel slides over a signal and is not turned
    x[T], w[K] -> y
    y[t] = sum[k](w[k]*x[t+k])
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, equation (9.6)")

convolution2d = layer("""
    # convolution2d: a kernel, turned by 180 degrees, slides over an image and stays inside
    X[H,W], K[U,V] -> Y
    Y[i,j] = sum[u,v](K[u,v]*X[i-u+U-1,j-v+V-1])
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, equation (9.5)")

correlation2d = layer("""
    # correlation2d: a kernel slides over an image, is not turned, and stays inside
    X[H,W], K[U,V] -> Y
    Y[i,j] = sum[u,v](K[u,v]*X[i+u,j+v])
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, equation (9.6)")

# ---- layers

conv1d = layer("""
    # conv1d: a cross-correlation over all channels of a sequence, with stride, dilation and padding
    X[N,C,T], K[O,C,U], b[O], int s, int d, int p -> Y
    Y[n,o,i] = sum[c,u](K[o,c,u]*X[n,c,s*i+d*u-p]) + b[o] for i < (T + 2*p - d*(U - 1) - 1)//s + 1
""", source=_GUIDE)

conv2d = layer("""
    # conv2d: a cross-correlation over all channels of an image, with stride, dilation and padding
    X[N,C,H,W], K[O,C,U,V], b[O], int s, int d, int p -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,s*i+d*u-p,s*j+d*v-p]) + b[o] for i < (
        H + 2*p - d*(U - 1) - 1)//s + 1, j < (W + 2*p - d*(V - 1) - 1)//s + 1
""", source=f"{_LECUN}; {_GUIDE}")

conv2d_valid = layer("""
    # conv2d_valid: a cross-correlation over all channels of an image, with stride 1 and no padding
    X[N,C,H,W], K[O,C,U,V], b[O] -> Y
    Y[n,o,i,j] = sum[c,u,v](K[o,c,u,v]*X[n,c,i+u,j+v]) + b[o]
""", source=_LECUN)

im2col = layer("""
    # im2col: every window of an image becomes a row; the gradient is col2im
    X[N,C,H,W], int U, int V, int s, int d, int p -> cols
    cols[n,i,j,c,u,v] = X[n,c,s*i+d*u-p,s*j+d*v-p] for i < (
        H + 2*p - d*(U - 1) - 1)//s + 1, j < (W + 2*p - d*(V - 1) - 1)//s + 1, u < U, v < V
""", source="Chellapilla, Puri and Simard 2006, International Workshop on Frontiers in Handwriting Recognition")

conv2d_im2col = layer("""
    # conv2d_im2col: the same layer as conv2d, as one product of the windows and the kernels
    X[N,C,H,W], K[O,C,U,V], b[O], int s, int d, int p -> Y
    cols[n,i,j,c,u,v] = X[n,c,s*i+d*u-p,s*j+d*v-p] for i < (
        H + 2*p - d*(U - 1) - 1)//s + 1, j < (W + 2*p - d*(V - 1) - 1)//s + 1, u < U, v < V
    Y[n,o,i,j] = sum[c,u,v](cols[n,i,j,c,u,v]*K[o,c,u,v]) + b[o]
""", source="Chellapilla, Puri and Simard 2006, International Workshop on Frontiers in Handwriting Recognition")

# ---- pooling: what lies outside the image does not take part; with p < U, V no window lies outside as a whole

max_pool2d = layer("""
    # max_pool2d: the largest value in each window; equals share its gradient
    X[N,C,H,W], int U, int V, int s, int p -> Y
    Y[n,c,i,j] = max[u,v](X[n,c,s*i+u-p,s*j+v-p]) for i < (
        H + 2*p - U)//s + 1, j < (W + 2*p - V)//s + 1, u < U, v < V
    given p < U
    given p < V
""", source="Scherer, Müller and Behnke 2010, International Conference on Artificial Neural Networks, 92-101")

average_pool2d = layer("""
    # average_pool2d: the mean of each window, of the pixels that exist
    X[N,C,H,W], int U, int V, int s, int p -> Y
    Y[n,c,i,j] = mean[u,v](X[n,c,s*i+u-p,s*j+v-p]) for i < (
        H + 2*p - U)//s + 1, j < (W + 2*p - V)//s + 1, u < U, v < V
    given p < U
    given p < V
""", source=_LECUN)
