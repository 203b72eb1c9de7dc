# ruff: noqa: E501  a form is one line, as on a page
"""Layers as they are written elsewhere, in many ways: the matrix forms of their gradients are those that a textbook prints.

Each way of writing a normalisation, a softmax, a logistic function or a distance reaches the one form that people know; what the
program has a name for is called by it.
"""

from __future__ import annotations

import pytest

import nnderiv as nd
from tests.test_matrix_textbook import shown

TEXTS = {
    "GRU, reset after the product": "x[T,N,I], Wz[H,I], Wr[H,I], Wn[H,I], Uz[H,H], Ur[H,H], Un[H,H], bz[H], br[H], bn[H], h0[N,H] -> h\n"
        "h[-1,n,k] = h0[n,k]\nz[t,n,k] = sigmoid(sum[i](Wz[k,i]*x[t,n,i]) + sum[l](Uz[k,l]*h[t-1,n,l]) + bz[k])\n"
        "r[t,n,k] = sigmoid(sum[i](Wr[k,i]*x[t,n,i]) + sum[l](Ur[k,l]*h[t-1,n,l]) + br[k])\n"
        "s[t,n,k] = sum[l](Un[k,l]*h[t-1,n,l]) + bn[k]\nc[t,n,k] = tanh(sum[i](Wn[k,i]*x[t,n,i]) + r[t,n,k]*s[t,n,k])\n"
        "h[t,n,k] = (1 - z[t,n,k])*c[t,n,k] + z[t,n,k]*h[t-1,n,k]",
    "LSTM of one sequence": "x[T,I], Wi[H,I], Wf[H,I], Wo[H,I], Wg[H,I], Ui[H,H], Uf[H,H], Uo[H,H], Ug[H,H], bi[H], bf[H], bo[H], bg[H], h0[H], c0[H] -> h\n"
        "h[-1,k] = h0[k]\nc[-1,k] = c0[k]\nai[t,k] = sum[j](Wi[k,j]*x[t,j]) + sum[l](Ui[k,l]*h[t-1,l]) + bi[k]\n"
        "af[t,k] = sum[j](Wf[k,j]*x[t,j]) + sum[l](Uf[k,l]*h[t-1,l]) + bf[k]\n"
        "ao[t,k] = sum[j](Wo[k,j]*x[t,j]) + sum[l](Uo[k,l]*h[t-1,l]) + bo[k]\n"
        "ag[t,k] = sum[j](Wg[k,j]*x[t,j]) + sum[l](Ug[k,l]*h[t-1,l]) + bg[k]\ni[t,k] = sigmoid(ai[t,k])\n"
        "f[t,k] = sigmoid(af[t,k])\no[t,k] = sigmoid(ao[t,k])\ng[t,k] = tanh(ag[t,k])\n"
        "c[t,k] = f[t,k]*c[t-1,k] + i[t,k]*g[t,k]\nh[t,k] = o[t,k]*tanh(c[t,k])",
    "batch norm, each tensor named": "X[N,D], gamma[D], beta[D], eps -> Y\nmu[d] = mean[n](X[n,d])\nxc[n,d] = X[n,d] - mu[d]\n"
        "s[d] = sqrt(mean[n](xc[n,d]**2) + eps)\nxh[n,d] = xc[n,d]/s[d]\nY[n,d] = gamma[d]*xh[n,d] + beta[d]",
    "RMS norm, its inverse scale named": "x[N,D], g[D], eps -> y\nr[n] = 1/sqrt(mean[d](x[n,d]**2) + eps)\ny[n,d] = x[n,d]*r[n]*g[d]",
    "group norm": "X[N,G,K,S], gamma[G,K], beta[G,K], eps -> Y\nmu[n,g] = mean[k,s](X[n,g,k,s])\n"
        "v[n,g] = mean[k,s]((X[n,g,k,s] - mu[n,g])**2)\n"
        "Y[n,g,k,s] = gamma[g,k]*(X[n,g,k,s] - mu[n,g])/sqrt(v[n,g] + eps) + beta[g,k]",
    "layer norm by the mean of squares": "X[N,D], gamma[D], beta[D], eps -> Y\nm[n] = mean[d](X[n,d])\nv[n] = mean[d](X[n,d]**2) - m[n]**2\n"
        "Y[n,d] = gamma[d]*(X[n,d] - m[n])/sqrt(v[n] + eps) + beta[d]",
    "layer norm, each tensor named": "X[N,D], gamma[D], beta[D], eps -> Y\nmu[n] = mean[d](X[n,d])\nsigma[n] = sqrt(mean[d]((X[n,d] - mu[n])**2) + eps)\n"
        "Xhat[n,d] = (X[n,d] - mu[n])/sigma[n]\nY[n,d] = gamma[d]*Xhat[n,d] + beta[d]",
    "layer norm of a vector": "x[D] -> y\nm = mean[d](x[d])\ns = sqrt(mean[d]((x[d]-m)**2) + 0.00001)\ny[d] = (x[d]-m)/s",
    "cosine similarity": "a[D], b[D] -> c\nc = sum[d](a[d]*b[d])/(sqrt(sum[d](a[d]**2))*sqrt(sum[d](b[d]**2)))",
    "cosine similarity of rows": "A[N,D], B[M,D] -> C\nna[n] = sqrt(sum[d](A[n,d]**2))\nnb[m] = sqrt(sum[d](B[m,d]**2))\n"
        "C[n,m] = sum[d](A[n,d]*B[m,d])/(na[n]*nb[m])",
    "rows of length 1": "X[N,D] -> Y\nr[n] = sqrt(sum[d](X[n,d]**2))\nY[n,d] = X[n,d]/r[n]",
    "norm": "x[N] -> r\nr = sqrt(sum[n](x[n]**2))",
    "GELU by erf": "X[N,D] -> Y\nP[n,d] = (1 + erf(X[n,d]/sqrt(2)))/2\nY[n,d] = X[n,d]*P[n,d]",
    "SiLU": "X[N,D] -> Y\nY[n,d] = silu(X[n,d])",
    "SiLU by a product": "X[N,D] -> Y\nY[n,d] = X[n,d]*sigmoid(X[n,d])",
    "softplus by log and exp": "X[N,D] -> Y\nY[n,d] = log(1 + exp(X[n,d]))",
    "logistic function by exp": "X[N,D] -> Y\nY[n,d] = 1/(1 + exp(-X[n,d]))",
    "Mish": "X[N,D] -> Y\nY[n,d] = X[n,d]*tanh(softplus(X[n,d]))",
    "ELU": "X[N,D] -> Y\nY[n,d] = where(X[n,d] > 0, X[n,d], exp(X[n,d]) - 1)",
    "leaky ReLU": "X[N,D], a -> Y\nY[n,d] = where(X[n,d] > 0, X[n,d], a*X[n,d])",
    "hinge loss by a maximum": "X[N,D], w[D], b, y[N] -> L\ns[n] = sum[d](X[n,d]*w[d]) + b\nL = mean[n](max(0, 1 - y[n]*s[n]))",
    "support vector machine": "X[N,D], w[D], b, y[N], C -> L\nm[n] = y[n]*(sum[d](X[n,d]*w[d]) + b)\n"
        "L = sum[d](w[d]**2)/2 + C*sum[n](relu(1 - m[n]))",
    "causal attention in one row": "Q[N,D], K[N,D], V[N,E] -> O\nS[i,j] = where(j <= i, sum[d](Q[i,d]*K[j,d])/sqrt(D), -inf)\n"
        "A[i,j] = softmax[j](S[i,j])\nO[i,e] = sum[j](A[i,j]*V[j,e])",
    "cross attention, keys and values one": "Q[N,D], M[S,D] -> O\nP[i,j] = softmax[j](sum[d](Q[i,d]*M[j,d])/sqrt(D))\nO[i,d] = sum[j](P[i,j]*M[j,d])",
    "gated linear unit": "X[N,I], W[I,O], V[I,O], b[O], c[O] -> Y\nA[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]\n"
        "B[n,o] = sum[i](X[n,i]*V[i,o]) + c[o]\nY[n,o] = A[n,o]*sigmoid(B[n,o])",
    "SwiGLU": "x[N,D], W1[D,F], W2[F,D], W3[D,F] -> y\nu[n,f] = sum[d](x[n,d]*W1[d,f])\nv[n,f] = sum[d](x[n,d]*W3[d,f])\n"
        "y[n,d] = sum[f](silu(u[n,f])*v[n,f]*W2[f,d])",
    "bilinear layer": "x[N,I], W[O,I,J], y[N,J], b[O] -> z\nz[n,o] = sum[i,j](x[n,i]*W[o,i,j]*y[n,j]) + b[o]",
    "quadratic form": "x[N], A[N,N] -> q\nq = sum[i,j](x[i]*A[i,j]*x[j])",
    "quadratic form of rows": "X[N,D], A[D,D] -> q\nq[n] = sum[i,j](X[n,i]*A[i,j]*X[n,j])",
    "Huber loss": "p[N], y[N], delta -> L\nr[n] = p[n] - y[n]\n"
        "L = sum[n](where(abs(r[n]) <= delta, r[n]**2/2, delta*(abs(r[n]) - delta/2)))",
    "KL divergence": "p[N], q[N] -> L\nL = sum[n](p[n]*log(p[n]/q[n]))",
    "KL of a Gaussian": "mu[N,D], lv[N,D] -> L\nL = -sum[n,d](1 + lv[n,d] - mu[n,d]**2 - exp(lv[n,d]))/2",
    "contrastive loss": "U[N,D], V[N,D], tau -> L\nS[i,j] = sum[d](U[i,d]*V[j,d])/tau\nL = mean[i](logsumexp[j](S[i,j]) - S[i,i])",
    "triplet loss": "A[N,D], P[N,D], Q[N,D], m -> L\ndp[n] = sum[d]((A[n,d] - P[n,d])**2)\ndq[n] = sum[d]((A[n,d] - Q[n,d])**2)\n"
        "L = sum[n](relu(dp[n] - dq[n] + m))",
    "Mahalanobis distance": "x[D], mu[D], M[D,D] -> q\nq = sum[i,j]((x[i] - mu[i])*M[i,j]*(x[j] - mu[j]))",
    "squared distances": "X[N,D], Y[M,D] -> G\nG[i,j] = sum[d]((X[i,d] - Y[j,d])**2)",
    "squared distances of one set": "X[N,D] -> G\nG[i,j] = sum[d]((X[i,d] - X[j,d])**2)",
    "Gaussian log-likelihood": "x[N], mu, s -> L\nL = -N*log(s) - sum[n]((x[n] - mu)**2)/(2*s**2)",
    "Gaussian log-likelihood, a scale for each column": "X[N,D], mu[D], s[D] -> L\nL = sum[n,d](log(s[d]) + ((X[n,d] - mu[d])/s[d])**2/2)",
    "graph convolution": "A[N,N], X[N,I], W[I,O] -> H\nZ[n,o] = sum[m,i](A[n,m]*X[m,i]*W[i,o])\nH[n,o] = relu(Z[n,o])",
    "state space model": "A[H,H], B[H,I], C[O,H], D[O,I], u[T,I], x0[H] -> y\nx[-1,k] = x0[k]\n"
        "x[t,k] = sum[l](A[k,l]*x[t-1,l]) + sum[i](B[k,i]*u[t,i])\ny[t,o] = sum[k](C[o,k]*x[t,k]) + sum[i](D[o,i]*u[t,i])",
    "low-rank adaptation": "X[N,I], W[O,I], A[R,I], B[O,R], b[O] -> Y\nY[n,o] = sum[i](X[n,i]*(W[o,i] + sum[r](B[o,r]*A[r,i]))) + b[o]",
    "low-rank adaptation, scaled": "x[N,I], W[O,I], A[R,I], B[O,R], alpha -> y\nu[n,r] = sum[i](A[r,i]*x[n,i])\n"
        "y[n,o] = sum[i](W[o,i]*x[n,i]) + alpha*sum[r](B[o,r]*u[n,r])",
    "factorisation machine": "X[N,D], w0, w[D], V[D,K] -> y\ns[n,k] = sum[d](X[n,d]*V[d,k])\nq[n,k] = sum[d](X[n,d]**2*V[d,k]**2)\n"
        "y[n] = w0 + sum[d](X[n,d]*w[d]) + sum[k](s[n,k]**2 - q[n,k])/2",
    "weight norm": "X[N,I], V[O,I], g[O] -> Y\ns[o] = sqrt(sum[i](V[o,i]**2))\nW[o,i] = g[o]*V[o,i]/s[o]\nY[n,o] = sum[i](X[n,i]*W[o,i])",
    "weight norm of a vector": "v[I], g, x[N,I] -> y\nw[i] = g*v[i]/sqrt(sum[k](v[k]**2))\ny[n] = sum[i](x[n,i]*w[i])",
    "logsumexp": "x[N] -> y\ny = logsumexp[n](x[n])",
    "focal loss": "z[N], y[N], gamma -> L\np[n] = sigmoid(z[n])\nL = -sum[n](y[n]*(1-p[n])**gamma*log(p[n]))",
    "cross-entropy of probabilities": "z[N], y[N] -> L\np[n] = sigmoid(z[n])\nL = -sum[n](y[n]*log(p[n]) + (1-y[n])*log(1-p[n]))",
    "softmax by exp and sums": "Z[N,C] -> P\nE[n,c] = exp(Z[n,c])\nP[n,c] = E[n,c]/sum[k](E[n,k])",
    "softmax with a temperature": "z[C], tau -> p\np[c] = softmax[c](z[c]/tau)",
    "logistic loss of signs": "X[N,D], w[D], y[N] -> L\nL = sum[n](log(1 + exp(-y[n]*sum[d](X[n,d]*w[d]))))",
    "principal components": "X[N,D], U[D,K] -> L\nZ[n,k] = sum[d](X[n,d]*U[d,k])\nL = sum[n,d]((X[n,d] - sum[k](Z[n,k]*U[d,k]))**2)",
    "highway layer": "x[N,D], W[D,D], V[D,D], b[D], c[D] -> y\nh[n,e] = tanh(sum[d](x[n,d]*W[d,e]) + b[e])\n"
        "t[n,e] = sigmoid(sum[d](x[n,d]*V[d,e]) + c[e])\ny[n,e] = t[n,e]*h[n,e] + (1 - t[n,e])*x[n,e]",
    "residual block": "X[N,D], W1[D,F], W2[F,D] -> Y\nH[n,f] = relu(sum[d](X[n,d]*W1[d,f]))\nY[n,d] = X[n,d] + sum[f](H[n,f]*W2[f,d])",
    "linear attention": "Q[N,K], Kk[N,K], V[N,D] -> O\nS[k,d] = sum[n](Kk[n,k]*V[n,d])\nO[n,d] = sum[k](Q[n,k]*S[k,d])",
    "covariance": "X[N,D] -> C\nm[d] = mean[n](X[n,d])\nC[i,j] = mean[n]((X[n,i]-m[i])*(X[n,j]-m[j]))",
    "moving average": "x[T,D], a -> y\ny[-1,d] = 0\ny[t,d] = a*y[t-1,d] + (1 - a)*x[t,d]",
    "additive attention": "q[D], K[N,D], W[A,D], U[A,D], v[A] -> c\nz[n,j] = sum[d](W[j,d]*q[d]) + sum[d](U[j,d]*K[n,d])\n"
        "u[n,j] = tanh(z[n,j])\ne[n] = sum[j](v[j]*u[n,j])\np[n] = softmax[n](e[n])\nc[d] = sum[n](p[n]*K[n,d])",
    "distillation": "Z[N,C], T[N,C] -> L\nQ[n,c] = softmax[c](T[n,c])\nL = -sum[n,c](Q[n,c]*log_softmax[c](Z[n,c]))",
    "label smoothing": "Z[N,C], Y[N,C], eps -> L\nQ[n,c] = (1 - eps)*Y[n,c] + eps/C\nL = -mean[n](sum[c](Q[n,c]*log_softmax[c](Z[n,c])))\n"
        "given sum[c](Y[n,c]) = 1",
    "squeeze and excite": "X[C,H,W], W1[R,C], W2[C,R] -> Y\ns[c] = mean[i,j](X[c,i,j])\nu[r] = relu(sum[c](W1[r,c]*s[c]))\n"
        "g[c] = sigmoid(sum[r](W2[c,r]*u[r]))\nY[c,i,j] = g[c]*X[c,i,j]",
    "mixture of experts": "X[N,D], G[D,E], W[E,D,O] -> Y\ng[n,e] = softmax[e](sum[d](X[n,d]*G[d,e]))\nZ[e,n,o] = sum[d](X[n,d]*W[e,d,o])\n"
        "Y[n,o] = sum[e](g[n,e]*Z[e,n,o])",
    "words in a bag": "E[V,D], W[D,V], int tok[N,L], int t[N] -> J\nh[n,d] = mean[l](E[tok[n,l],d])\ns[n,v] = sum[d](h[n,d]*W[d,v])\n"
        "J = mean[n](logsumexp[v](s[n,v]) - s[n,t[n]])",
    "quadratic function": "x[N], A[N,N], b[N], c -> f\nf = sum[i,j](x[i]*A[i,j]*x[j])/2 - sum[i](b[i]*x[i]) + c",
    "Dice loss": "p[N], y[N] -> L\nL = 1 - 2*sum[n](p[n]*y[n])/(sum[n](p[n]) + sum[n](y[n]))",
}

FORMS = {
    "GRU, reset after the product": (
        r"dz^{in,(t)} = dh^{\mathrm{total},(t)} ⊙ (h^{(t-1)} - c^{(t)}) ⊙ z^{(t)} ⊙ (1 - z^{(t)})",
        r"dc^{in,(t)} = dh^{\mathrm{total},(t)} ⊙ (1 - z^{(t)}) ⊙ (1 - c^{(t)} ⊙ c^{(t)})",
        "dr^{in,(t)} = dc^{in,(t)} ⊙ s^{(t)} ⊙ r^{(t)} ⊙ (1 - r^{(t)})",
        "ds^{(t)} = dc^{in,(t)} ⊙ r^{(t)}",
        r"dh^{\mathrm{total},(t)} = dh^{(t)} + dh^{\mathrm{total},(t+1)} ⊙ z^{(t+1)} + dz^{in,(t+1)} U_{\mathrm{z}} + dr^{in,(t+1)} U_{\mathrm{r}} + ds^{(t+1)} U_{\mathrm{n}}",
        r"dW_{\mathrm{z}} = Σ_{t} dz^{in,(t)T} x^{(t)}",
        r"dU_{\mathrm{n}} = Σ_{t} ds^{(t)T} h^{(t-1)}",
        r"db_{\mathrm{n}} = Σ_{t} ds^{(t)T} 1",
        r"dx^{(t)} = dz^{in,(t)} W_{\mathrm{z}} + dr^{in,(t)} W_{\mathrm{r}} + dc^{in,(t)} W_{\mathrm{n}}",
    ),
    "LSTM of one sequence": (
        r"\mathrm{dai}^{(t)} = dc^{(t)} ⊙ g^{(t)} ⊙ i^{(t)} ⊙ (1 - i^{(t)})",
        r"\mathrm{daf}^{(t)} = dc^{(t)} ⊙ c^{(t-1)} ⊙ f^{(t)} ⊙ (1 - f^{(t)})",
        r"\mathrm{dao}^{(t)} = dh^{\mathrm{total},(t)} ⊙ \tanh(c^{(t)}) ⊙ o^{(t)} ⊙ (1 - o^{(t)})",
        r"\mathrm{dag}^{(t)} = dc^{(t)} ⊙ i^{(t)} ⊙ (1 - g^{(t)} ⊙ g^{(t)})",
        r"dc^{(t)} = dc^{(t+1)} ⊙ f^{(t+1)} + dh^{\mathrm{total},(t)} ⊙ o^{(t)} ⊙ (1 - \tanh^{2}(c^{(t)}))",
        r"dh^{\mathrm{total},(t)} = dh^{(t)} + U_{\mathrm{i}}^T \mathrm{dai}^{(t+1)} + U_{\mathrm{f}}^T \mathrm{daf}^{(t+1)} + U_{\mathrm{o}}^T \mathrm{dao}^{(t+1)} + U_{\mathrm{g}}^T \mathrm{dag}^{(t+1)}",
        r"dW_{\mathrm{i}} = Σ_{t} \mathrm{dai}^{(t)} x^{(t)T}",
        r"dU_{\mathrm{f}} = Σ_{t} \mathrm{daf}^{(t)} h^{(t-1)T}",
        r"db_{\mathrm{o}} = Σ_{t} \mathrm{dao}^{(t)}",
        r"dx^{(t)} = W_{\mathrm{i}}^T \mathrm{dai}^{(t)} + W_{\mathrm{f}}^T \mathrm{daf}^{(t)} + W_{\mathrm{o}}^T \mathrm{dao}^{(t)} + W_{\mathrm{g}}^T \mathrm{dag}^{(t)}",
        "dc_{0} = dc^{(-1)}",
    ),
    "batch norm, each tensor named": (
        r"\mathrm{dxc} = (\mathrm{dxh} - 1/N (\mathrm{xh} ⊙ (1 1^T (\mathrm{xh} ⊙ \mathrm{dxh})))) diag(s)^{-1}",
        r"dX = \mathrm{dxc} - 1/N 1 1^T \mathrm{dxc}",
        r"d\gamma = (dY ⊙ \mathrm{xh})^T 1",
        r"d\beta = dY^T 1",
    ),
    "RMS norm, its inverse scale named": (
        r"dx = diag(\sigma)^{-1} (d\hat{x} - 1/D (\hat{x} ⊙ ((\hat{x} ⊙ d\hat{x}) 1 1^T))) where d\hat{x} = dy diag(g), \hat{x} = diag(\sigma)^{-1} x, \sigma = \sqrt{r^{in}}",
    ),
    "group norm": (
        r"dX^{(n,g)} = \frac{1}{\sigma_{n,g}} (d\hat{X}^{(n,g)} - \frac{1}{K S} (1^T d\hat{X}^{(n,g)} 1) 1 1^T - \frac{1}{K S} {tr}(d\hat{X}^{(n,g)T} \hat{X}^{(n,g)}) \hat{X}^{(n,g)}) where d\hat{X}^{(n,g)} = diag(\gamma^{(g)}) dY^{(n,g)}, \hat{X}^{(n,g)} = \frac{1}{\sigma_{n,g}} (X^{(n,g)} - \mu_{n,g} 1 1^T), \sigma_{n,g} = \sqrt{v_{n,g} + \varepsilon}",
        r"d\gamma^{(g)} = Σ_{n} (dY^{(n,g)} ⊙ \hat{X}^{(n,g)}) 1 where \hat{X}^{(n,g)} = \frac{1}{\sigma_{n,g}} (X^{(n,g)} - \mu_{n,g} 1 1^T), \sigma_{n,g} = \sqrt{v_{n,g} + \varepsilon}",
        r"d\beta^{(g)} = Σ_{n} dY^{(n,g)} 1",
    ),
    "layer norm by the mean of squares": (
        r"dX = diag(\sigma)^{-1} (d\hat{X} - 1/D d\hat{X} 1 1^T - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T))) where d\hat{X} = dY diag(\gamma), \hat{X} = diag(\sigma)^{-1} (X - m 1^T), \sigma = \sqrt{v + \varepsilon 1}",
        r"d\gamma = (dY ⊙ \hat{X})^T 1 where \hat{X} = diag(\sigma)^{-1} (X - m 1^T), \sigma = \sqrt{v + \varepsilon 1}",
    ),
    "layer norm, each tensor named": (
        r"d\hat{X} = dY diag(\gamma)",
        r"dX = diag(\sigma)^{-1} (d\hat{X} - 1/D d\hat{X} 1 1^T - 1/D (\hat{X} ⊙ ((\hat{X} ⊙ d\hat{X}) 1 1^T)))",
        r"d\gamma = (dY ⊙ \hat{X})^T 1",
    ),
    "layer norm of a vector": (
        r"dx = \frac{1}{s} (dy - 1/D (1^T dy) 1 - 1/D (dy^T y) y)",
    ),
    "cosine similarity": (
        r"da = \frac{1}{\sqrt{c^{\mathrm{sum2}}} \sqrt{c^{\mathrm{sum3}}}} b - \frac{c}{c^{\mathrm{sum2}}} a",
        r"db = \frac{1}{\sqrt{c^{\mathrm{sum2}}} \sqrt{c^{\mathrm{sum3}}}} a - \frac{c}{c^{\mathrm{sum3}}} b",
    ),
    "cosine similarity of rows": (
        r"dA = dC^{\mathrm{sum}} B - diag(((dC ⊙ C) 1) ⊘ \mathrm{na}) \hat{A} where \hat{A} = diag(\mathrm{na})^{-1} A",
        r"dB = dC^{\mathrm{sum}T} A - diag(((dC ⊙ C)^T 1) ⊘ \mathrm{nb}) \hat{B} where \hat{B} = diag(\mathrm{nb})^{-1} B",
    ),
    "rows of length 1": (
        "dX = diag(r)^{-1} (dY - Y ⊙ ((Y ⊙ dY) 1 1^T))",
    ),
    "norm": (
        r"dx = \frac{1}{r} x",
    ),
    "GELU by erf": (
        r"dX = dY ⊙ (X ⊙ \varphi(X) + P) where \varphi(x) = \exp(-x^{2}/2)/\sqrt{2 \pi}",
    ),
    "SiLU": (
        r"dX = dY ⊙ \sigma(X) ⊙ (1 + X ⊙ (1 - \sigma(X)))",
    ),
    "SiLU by a product": (
        r"dX = dY ⊙ \sigma(X) ⊙ (1 + X ⊙ (1 - \sigma(X)))",
    ),
    "softplus by log and exp": (
        r"dX = dY ⊙ \sigma(X)",
    ),
    "logistic function by exp": (
        "dX = dY ⊙ Y ⊙ (1 - Y)",
    ),
    "Mish": (
        r"dX = dY ⊙ (\tanh({softplus}(X)) + X ⊙ \sigma(X) ⊙ (1 - \tanh^{2}({softplus}(X))))",
    ),
    "ELU": (
        r"dX = dY ⊙ ([X > 0] + \exp(X) ⊙ [X \le 0])",
    ),
    "leaky ReLU": (
        r"dX = dY ⊙ ([X > 0] + a [X \le 0])",
        r"da = 1^T (dY ⊙ X ⊙ [X \le 0]) 1",
    ),
    "hinge loss by a maximum": (
        r"ds = -1/N (y ⊙ ([y ⊙ s < 1] + \frac{1}{2} [y ⊙ s = 1]))",
        "dw = X^T ds",
    ),
    "support vector machine": (
        "dm = -C [m < 1]",
        "dw = w + X^T dm^{in}",
        "db = 1^T dm^{in}",
    ),
    "causal attention in one row": (
        "dS = A ⊙ (dA - (A ⊙ dA) 1 1^T)",
        "dQ = 1/√D dS K",
        "dK = 1/√D dS^T Q",
        "dV = A^T dO",
    ),
    "cross attention, keys and values one": (
        "dQ = 1/√D dP^{in} M",
        "dM = 1/√D dP^{inT} Q + P^T dO",
    ),
    "gated linear unit": (
        r"dA = dY ⊙ \sigma(B)",
        r"dB = dY ⊙ A ⊙ \sigma(B) ⊙ (1 - \sigma(B))",
        "dX = dA W^T + dB V^T",
        "dW = X^T dA",
    ),
    "SwiGLU": (
        r"du = v ⊙ \sigma(u) ⊙ (1 + u ⊙ (1 - \sigma(u))) ⊙ (dy W_{2}^T)",
        "dv = {SiLU}(u) ⊙ (dy W_{2}^T)",
        "dW_{2} = (v ⊙ {SiLU}(u))^T dy",
        "dx = du W_{1}^T + dv W_{3}^T",
    ),
    "bilinear layer": (
        "dx = Σ_{o} diag(dz^{(o)}) y W^{(o)T}",
        "dW^{(o)} = x^T diag(dz^{(o)}) y",
        "dy = Σ_{o} diag(dz^{(o)}) x W^{(o)}",
    ),
    "quadratic form": (
        "dx = (A + A^T) x",
        "dA = x x^T",
    ),
    "quadratic form of rows": (
        "dX = diag(dq) X (A + A^T)",
        "dA = X^T diag(dq) X",
    ),
    "Huber loss": (
        r"dr = r ⊙ [\lvert r \rvert \le \delta 1] + \delta ({sign}(r) ⊙ [\lvert r \rvert > \delta 1])",
    ),
    "KL divergence": (
        r"dp = 1 + \log(p ⊘ q)",
        "dq = -p ⊘ q",
    ),
    "KL of a Gaussian": (
        r"d\mu = \mu",
        r"\mathrm{dlv} = \frac{1}{2} (\exp(\mathrm{lv}) - 1)",
    ),
    "contrastive loss": (
        r"dS = 1/N (P - \mathbf{I}) where P = softmax(S)",
        r"dU = dS^{\mathrm{sum}} V",
        r"dV = dS^{\mathrm{sum}T} U",
        r"d\tau = -\frac{1}{\tau} {tr}(dS^T S)",
    ),
    "triplet loss": (
        "dA = 2 (diag(ddp) (A - P) + diag(ddq) (A - Q))",
        "dP = 2 diag(ddp) (P - A)",
        "dQ = 2 diag(ddq) (Q - A)",
    ),
    "Mahalanobis distance": (
        r"dx = (M + M^T) (x - \mu)",
        r"d\mu = -(M + M^T) (x - \mu)",
        r"dM = (x - \mu) (x - \mu)^T",
    ),
    "squared distances": (
        "dX = 2 (diag(dG 1) X - dG Y)",
        "dY = 2 (diag(dG^T 1) Y - dG^T X)",
    ),
    "squared distances of one set": (
        "dX = 2 (diag((dG + dG^T) 1) X - (dG + dG^T) X)",
    ),
    "Gaussian log-likelihood": (
        r"dx = \frac{1}{s^{2}} (\mu 1 - x)",
        r"d\mu = \frac{1}{s^{2}} (1^T x - N \mu)",
        r"ds = \frac{L^{\mathrm{sum}}}{s^{3}} - \frac{N}{s}",
    ),
    "Gaussian log-likelihood, a scale for each column": (
        r"dX = (X - 1 \mu^T) diag(s ⊙ s)^{-1}",
        r"d\mu = (N \mu - X^T 1) ⊘ (s ⊙ s)",
    ),
    "graph convolution": (
        "dX = A^T dZ W^T",
        "dW = X^T A^T dZ",
        "dA = dZ W^T X^T",
    ),
    "state space model": (
        "dx^{(t)} = A^T dx^{(t+1)} + C^T dy^{(t)}",
        "dA = Σ_{t} dx^{(t)} x^{(t-1)T}",
        "dB = Σ_{t} dx^{(t)} u^{(t)T}",
        "du^{(t)} = B^T dx^{(t)} + D^T dy^{(t)}",
        "dx_{0} = dx^{(-1)}",
    ),
    "low-rank adaptation": (
        "dA = B^T dY^{in}",
        "dB = dY^{in} A^T",
        "dW = dY^{in}",
    ),
    "low-rank adaptation, scaled": (
        r"du = dy^{\mathrm{sum}} B",
        "dx = du A + dy W",
        "dA = du^T x",
        r"dB = dy^{\mathrm{sum}T} u",
        r"d\alpha = {tr}(dy^T y^{\mathrm{sum}})",
    ),
    "factorisation machine": (
        "dX = dy w^T + ds V^T - diag(dy) X diag((V ⊙ V) 1)",
        "dV = X^T ds - diag((X ⊙ X)^T dy) V",
        "dw = X^T dy",
    ),
    "weight norm": (
        r"dV = diag(g ⊘ s) (dW - \hat{V} ⊙ ((\hat{V} ⊙ dW) 1 1^T)) where \hat{V} = diag(s)^{-1} V",
        "dg = ((dW ⊙ V) 1) ⊘ s",
    ),
    "weight norm of a vector": (
        r"dv = \frac{g}{\sigma} (dw - (dw^T \hat{v}) \hat{v}) where \hat{v} = \frac{1}{\sigma} v, \sigma = \sqrt{w^{\mathrm{sum}}}",
        r"dg = \frac{1}{\sqrt{w^{\mathrm{sum}}}} dw^T v",
    ),
    "logsumexp": (
        "dx = {softmax}(x)",
    ),
    "focal loss": (
        r"dz = y ⊙ (1 - p)^{⊙ \gamma} ⊙ (\gamma (p ⊙ \log(p)) + p - 1)",
    ),
    "cross-entropy of probabilities": (
        "dz = p - y",
    ),
    "softmax by exp and sums": (
        "dZ = P ⊙ (dP - (P ⊙ dP) 1 1^T)",
    ),
    "softmax with a temperature": (
        r"dz = \frac{1}{\tau} dp^{\mathrm{of}}",
    ),
    "logistic loss of signs": (
        r"dL^{\mathrm{sum}} = -y ⊙ \sigma(-y ⊙ L^{\mathrm{sum}})",
        r"dw = X^T dL^{\mathrm{sum}}",
    ),
    "principal components": (
        "dZ = -2 L^{in} U",
        "dU = X^T dZ - 2 L^{inT} Z",
    ),
    "highway layer": (
        "dh^{in} = dy ⊙ t ⊙ (1 - h ⊙ h)",
        "dt^{in} = dy ⊙ (h - x) ⊙ t ⊙ (1 - t)",
        "dx = dy ⊙ (1 - t) + dh^{in} W^T + dt^{in} V^T",
    ),
    "residual block": (
        r"dX = dY + dH^{\mathrm{sum}} W_{1}^T",
        r"dW_{1} = X^T dH^{\mathrm{sum}}",
    ),
    "linear attention": (
        "dQ = dO S^T",
        "dS = Q^T dO",
        r"dK_{\mathrm{k}} = V dS^T",
        r"dV = K_{\mathrm{k}} dS",
    ),
    "covariance": (
        "dX = 1/N (X - 1 m^T) (dC + dC^T)",
    ),
    "moving average": (
        r"dx^{(t)} = (1 - a) dy^{\mathrm{total},(t)}",
        r"da = Σ_{t} dy^{\mathrm{total},(t)T} (y^{(t-1)} - x^{(t)})",
    ),
    "additive attention": (
        "de = p ⊙ (dp - (dp^T p) 1)",
        "dz = (de v^T) ⊙ (1 - u ⊙ u)",
        "dW = dz^T 1 q^T",
        "dU = dz^T K",
        "dv = u^T de",
        "dK = p dc^T + dz U",
    ),
    "distillation": (
        "dZ = P - Q where P = softmax(Z)",
        "dT = Q ⊙ (dQ - (Q ⊙ dQ) 1 1^T)",
    ),
    "label smoothing": (
        "dZ = 1/N (P - Q) where P = softmax(Z)",
        r"dQ = -1/N {logsoftmax}_{\mathrm{row}}(Z)",
    ),
    "squeeze and excite": (
        r"du = W_{2}^T dg^{\mathrm{sum}}",
        r"dg^{\mathrm{sum}}_{c} = g_{c} (1 - g_{c}) {tr}(dY^{(c)T} X^{(c)})",
        r"dW_{1} = du^{\mathrm{sum}} s^T",
        r"dW_{2} = dg^{\mathrm{sum}} u^T",
        r"ds = W_{1}^T du^{\mathrm{sum}}",
        r"dX^{(c)} = \frac{1}{H W} (du^{\mathrm{sum}T} W_{1}^{(c)}) 1 1^T + g_{c} dY^{(c)}",
    ),
    "mixture of experts": (
        "dg^{(e)} = (dY ⊙ Z^{(e)}) 1",
        r"dg^{\mathrm{sum}} = g ⊙ (dg - (g ⊙ dg) 1 1^T)",
        "dZ^{(e)} = diag(g^{(e)}) dY",
        r"dG = X^T dg^{\mathrm{sum}}",
        "dW^{(e)} = X^T dZ^{(e)}",
        r"dX = Σ_{e} (dg^{\mathrm{sum},(e)} G^{(e)T} + dZ^{(e)} W^{(e)T})",
    ),
    "words in a bag": (
        r"ds = \frac{1}{\max(J^{\mathrm{count}}, 1)} (diag(\Lambda) P - M_{2}) where \Lambda_{n} = [0 \le t_{n} < V], P = softmax(s), (M_{2})_{n,v} = [t_{n} = v], 0 \le v < V",
        "dh = ds W^T",
        "dW = h^T ds",
    ),
    "quadratic function": (
        r"dx = \frac{1}{2} (A + A^T) x - b",
    ),
    "Dice loss": (
        r"dp = \frac{L^{in}}{(L^{\mathrm{in2}})^{2}} 1 - \frac{2}{L^{\mathrm{in2}}} y",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_layer_that_no_page_shows_reads_as_in_a_textbook(name):
    found = shown(TEXTS[name])
    for form in FORMS[name]:
        assert form in found, "\n".join([form, "is none of", *found])


def test_every_text_has_a_form_and_every_form_is_confirmed():
    assert TEXTS.keys() == FORMS.keys()
    for name in ("layer norm, each tensor named", "softmax by exp and sums", "contrastive loss"):
        d = nd.derive(TEXTS[name])
        for gradient in d:
            last = gradient.steps[-1]
            assert last.rule == "matrix form" and last.trials == 3 and (last.probability is None) != (last.digits is None)


@pytest.mark.parametrize(("text", "wrt", "reason"), [
    ("X[I,J], a[U], b[V] -> Y\nY[i,j] = sum[u,v](X[i+u,j+v]*a[u]*b[v])", "X", "a is read at u, which moves dY[c-u,d-v] as well"),
    ("A[I,J], x[J] -> y\ny[i] = abs(sum[j](A[i,j]*x[j])) + sin(x[0])", "x", "x is read at 0, which is not a plain index"),
])
def test_a_reason_says_of_an_index_what_else_it_moves(text, wrt, reason):
    with pytest.raises(nd.MatrixFormError) as error:
        nd.derive(text)[wrt].latex(form="matrix")
    assert reason in str(error.value)
