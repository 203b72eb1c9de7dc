"""Feed-forward networks: layers, activations, losses, and networks with each loss; samples are rows."""

from __future__ import annotations

from .layer import layer

# ---- layers

dense = layer("""
    # dense: every output is a weighted sum of all inputs, plus a bias
    X[N,I], W[I,O], b[O] -> Y
    Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.1")

embedding = layer("""
    # embedding: each token reads its row of a table
    E[V,D], int tok[N] -> Y
    Y[n,d] = E[tok[n],d]
""", source="Bengio, Ducharme, Vincent and Jauvin 2003, Journal of Machine Learning Research 3, 1137-1155")

layer_norm = layer("""
    # layer_norm: each sample is brought to mean 0 and variance 1 over its features, then scaled and shifted
    X[N,D], gamma[D], beta[D], eps -> Y
    mu[n]  = mean[d](X[n,d])
    var[n] = mean[d]((X[n,d] - mu[n])**2)
    Y[n,d] = gamma[d]*(X[n,d] - mu[n])/sqrt(var[n] + eps) + beta[d]
""", source="Ba, Kiros and Hinton 2016, Layer Normalization, arXiv:1607.06450")

batch_norm = layer("""
    # batch_norm: each feature is brought to mean 0 and variance 1 over the batch, then scaled and shifted
    X[N,D], gamma[D], beta[D], eps -> Y
    mu[d]  = mean[n](X[n,d])
    var[d] = mean[n]((X[n,d] - mu[d])**2)
    Y[n,d] = gamma[d]*(X[n,d] - mu[d])/sqrt(var[d] + eps) + beta[d]
""", source="Ioffe and Szegedy 2015, Batch Normalization, arXiv:1502.03167")

# ---- activations

relu = layer("""
    # relu: what is negative becomes 0
    X[N,D] -> Y
    Y[n,d] = relu(X[n,d])
""", source="Nair and Hinton 2010, International Conference on Machine Learning, 807-814")

leaky_relu = layer("""
    # leaky_relu: what is negative is scaled by a small slope, which can be learned
    X[N,D], slope -> Y
    Y[n,d] = where(X[n,d] > 0, X[n,d], slope*X[n,d])
""", source="Maas, Hannun and Ng 2013, ICML Workshop on Deep Learning for Audio, Speech and Language Processing")

elu = layer("""
    # elu: what is negative saturates at -alpha
    X[N,D], alpha -> Y
    Y[n,d] = where(X[n,d] > 0, X[n,d], alpha*(exp(X[n,d]) - 1))
""", source="Clevert, Unterthiner and Hochreiter 2016, Exponential Linear Units, arXiv:1511.07289")

sigmoid = layer("""
    # sigmoid: a number becomes a probability
    X[N,D] -> Y
    Y[n,d] = sigmoid(X[n,d])
""", source="Rumelhart, Hinton and Williams 1986, Nature 323, 533-536")

tanh = layer("""
    # tanh: a number is squashed between -1 and 1
    X[N,D] -> Y
    Y[n,d] = tanh(X[n,d])
""", source="LeCun, Bottou, Orr and Müller 1998, Efficient BackProp, section 4.4")

softplus = layer("""
    # softplus: a relu without its kink
    X[N,D] -> Y
    Y[n,d] = softplus(X[n,d])
""", source="Dugas, Bengio, Bélisle, Nadeau and Garcia 2001, Advances in Neural Information Processing Systems 13")

gelu = layer("""
    # gelu: a number times the probability that a standard normal is below it
    X[N,D] -> Y
    Y[n,d] = gelu(X[n,d])
""", source="Hendrycks and Gimpel 2016, Gaussian Error Linear Units, arXiv:1606.08415")

silu = layer("""
    # silu: a number times its sigmoid
    X[N,D] -> Y
    Y[n,d] = silu(X[n,d])
""", source="Elfwing, Uchibe and Doya 2018, Neural Networks 107, 3-11")

softmax = layer("""
    # softmax: a row of scores becomes a row of probabilities
    X[N,C] -> P
    P[n,c] = softmax[c](X[n,c])
""", source="Bridle 1990, Neurocomputing: Algorithms, Architectures and Applications, 227-236")

log_softmax = layer("""
    # log_softmax: a row of scores becomes a row of log-probabilities
    X[N,C] -> P
    P[n,c] = log_softmax[c](X[n,c])
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.2.2.3")

# ---- losses, each a mean over the samples

squared_error = layer("""
    # squared_error: half the squared distance to the target
    Y[N,O], y[N,O] -> L
    L = mean[n](sum[o]((Y[n,o] - y[n,o])**2))/2
""", source="Bishop 2006, Pattern Recognition and Machine Learning, equation (3.12)")

cross_entropy = layer("""
    # cross_entropy: minus the log-probability that the softmax of the scores gives to the labels, which may be soft
    Z[N,C], y[N,C] -> L
    L = -mean[n](sum[c](y[n,c]*log_softmax[c](Z[n,c])))
    given sum[c](y[n,c]) = 1
""", source="Bishop 2006, Pattern Recognition and Machine Learning, equation (4.108)")

cross_entropy_of_labels = layer("""
    # cross_entropy_of_labels: minus the log-probability of the right class, which is given by its number
    Z[N,C], int label[N] -> L
    logp[n,c] = log_softmax[c](Z[n,c])
    L = -mean[n](logp[n,label[n]])
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.2.2.3")

binary_cross_entropy = layer("""
    # binary_cross_entropy: minus the log-probability of labels 0 and 1, from the logit z
    z[N], y[N] -> L
    L = mean[n](softplus(z[n]) - y[n]*z[n])
""", source="Cox 1958, Journal of the Royal Statistical Society B 20, 215-242; Goodfellow et al. 2016, section 6.2.2.2")

hinge = layer("""
    # hinge: how much each score falls short of a margin of 1, for labels -1 and 1
    z[N], y[N] -> L
    L = mean[n](relu(1 - y[n]*z[n]))
""", source="Cortes and Vapnik 1995, Machine Learning 20, 273-297")

# ---- networks

mlp = layer("""
    # mlp: two hidden layers and a linear output
    X[N,I], W1[I,H], b1[H], W2[H,K], b2[K], W3[K,O], b3[O] -> Y
    a1[n,h] = relu(sum[i](X[n,i]*W1[i,h]) + b1[h])
    a2[n,k] = relu(sum[h](a1[n,h]*W2[h,k]) + b2[k])
    Y[n,o]  = sum[k](a2[n,k]*W3[k,o]) + b3[o]
""", source="Goodfellow, Bengio and Courville 2016, Deep Learning, chapter 6")

mlp_squared_error = layer("""
    # mlp_squared_error: one hidden layer, and half the squared distance to the target
    X[N,I], W1[I,H], b1[H], W2[H,O], b2[O], y[N,O] -> L
    a[n,h] = tanh(sum[i](X[n,i]*W1[i,h]) + b1[h])
    Y[n,o] = sum[h](a[n,h]*W2[h,o]) + b2[o]
    L = mean[n](sum[o]((Y[n,o] - y[n,o])**2))/2
""", source="Rumelhart, Hinton and Williams 1986, Nature 323, 533-536")

mlp_cross_entropy = layer("""
    # mlp_cross_entropy: one hidden layer, and the cross-entropy of the softmax of its scores
    X[N,I], W1[I,H], b1[H], W2[H,C], b2[C], y[N,C] -> L
    a[n,h] = relu(sum[i](X[n,i]*W1[i,h]) + b1[h])
    Z[n,c] = sum[h](a[n,h]*W2[h,c]) + b2[c]
    L = -mean[n](sum[c](y[n,c]*log_softmax[c](Z[n,c])))
    given sum[c](y[n,c]) = 1
""", source="Bishop 2006, Pattern Recognition and Machine Learning, section 5.2")

mlp_binary_cross_entropy = layer("""
    # mlp_binary_cross_entropy: one hidden layer, and the binary cross-entropy of its one logit
    X[N,I], W1[I,H], b1[H], w2[H], b2, y[N] -> L
    a[n,h] = tanh(sum[i](X[n,i]*W1[i,h]) + b1[h])
    z[n] = sum[h](a[n,h]*w2[h]) + b2
    L = mean[n](softplus(z[n]) - y[n]*z[n])
""", source="Bishop 2006, Pattern Recognition and Machine Learning, section 5.2")

mlp_hinge = layer("""
    # mlp_hinge: one hidden layer, and the hinge loss of its one score
    X[N,I], W1[I,H], b1[H], w2[H], b2, y[N] -> L
    a[n,h] = tanh(sum[i](X[n,i]*W1[i,h]) + b1[h])
    z[n] = sum[h](a[n,h]*w2[h]) + b2
    L = mean[n](relu(1 - y[n]*z[n]))
""", source="Cortes and Vapnik 1995, Machine Learning 20, 273-297; Bishop 2006, section 7.1.2")

deep_network = layer("""
    # deep_network: any number of layers of one width; its gradient is the recursion of the errors, layer by layer
    X[N,D], W[L,D,D], b[L,D] -> Y
    a[-1,n,d] = X[n,d]
    z[l,n,d] = sum[e](a[l-1,n,e]*W[l,e,d]) + b[l,d]
    a[l,n,d] = tanh(z[l,n,d])
    Y[n,d] = a[L-1,n,d]
""", source="Rumelhart, Hinton and Williams 1986, Nature 323, 533-536; Goodfellow et al. 2016, algorithms 6.3 and 6.4")
