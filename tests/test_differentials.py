"""The second method: differentials and the trace reach the gradient that the one rule derives, every line confirmed."""

from __future__ import annotations

import pytest

import nnderiv as nd
from nnderiv import matrix as mx
from nnderiv.differentials import by_differentials
from nnderiv.differentials.differential import Differential
from nnderiv.differentials.trace import Pair, Trace
from nnderiv.step import Step

CASES = {
    "dense0": (
        "X[N,I], W[I,O], b[O] -> Y\n"
        "Y[n,o]=sum[i](X[n,i]*W[i,o]) + b[o]"
    ),
    "dense": (
        "X[N,I], W[I,O], b[O] -> Y\n"
        "Y[n,o]=tanh(sum[i](X[n,i]*W[i,o]) + b[o])"
    ),
    "lsq": (
        "X[N,D], w[D], y[N] -> L\n"
        "r[n]=sum[d](X[n,d]*w[d]) - y[n]\n"
        "L = sum[n](r[n]**2)/2"
    ),
    "lsq2": (
        "X[N,D], w[D], y[N] -> L\n"
        "L = sum[n]((sum[d](X[n,d]*w[d]) - y[n])**2)/2"
    ),
    "logreg": (
        "X[N,D], w[D], y[N] -> L\n"
        "z[n]=sum[d](X[n,d]*w[d])\n"
        "L = sum[n](softplus(z[n]) - y[n]*z[n])"
    ),
    "sce": (
        "Z[N,C], y[N,C] -> L\n"
        "L = -sum[n,c](y[n,c]*log_softmax[c](Z[n,c]))\n"
        "given sum[c](y[n,c]) = 1"
    ),
    "softmax": (
        "Z[N,C] -> P\n"
        "P[n,c]=softmax[c](Z[n,c])"
    ),
    "mlp": (
        "X[N,I], W1[I,H], b1[H], W2[H,O], b2[O], y[N,O] -> L\n"
        "A[n,h]=tanh(sum[i](X[n,i]*W1[i,h])+b1[h])\n"
        "Z[n,o]=sum[h](A[n,h]*W2[h,o])+b2[o]\n"
        "L=-sum[n,o](y[n,o]*log_softmax[o](Z[n,o]))/N"
    ),
    "att": (
        "Q[N,D], K[M,D], V[M,E] -> O\n"
        "S[i,j]=sum[d](Q[i,d]*K[j,d])/sqrt(D)\n"
        "P[i,j]=softmax[j](S[i,j])\n"
        "O[i,e]=sum[j](P[i,j]*V[j,e])"
    ),
    "self": (
        "X[N,D] -> O\n"
        "S[i,j]=sum[d](X[i,d]*X[j,d])/sqrt(D)\n"
        "P[i,j]=softmax[j](S[i,j])\n"
        "O[i,e]=sum[j](P[i,j]*X[j,e])"
    ),
    "gram": (
        "X[N,D] -> G\n"
        "G[i,j]=sum[d](X[i,d]*X[j,d])"
    ),
    "ln": (
        "x[N,D], g[D], b[D], eps -> y\n"
        "m[n]=mean[d](x[n,d])\n"
        "c[n,d]=x[n,d]-m[n]\n"
        "v[n]=mean[d](c[n,d]**2)\n"
        "s[n]=sqrt(v[n]+eps)\n"
        "xh[n,d]=c[n,d]/s[n]\n"
        "y[n,d]=g[d]*xh[n,d]+b[d]"
    ),
    "quad": (
        "x[N], A[N,N] -> L\n"
        "L=sum[i,j](x[i]*A[i,j]*x[j])"
    ),
    "trace": (
        "A[N,N], B[N,N] -> L\n"
        "L=sum[i,j](A[i,j]*B[j,i])"
    ),
    "relu": (
        "X[N,D], W[D,O] -> Y\n"
        "Y[n,o]=relu(sum[d](X[n,d]*W[d,o]))"
    ),
    "frob": (
        "X[N,M] -> L\n"
        "L=sqrt(sum[i,j](X[i,j]**2))"
    ),
    "rnncell": (
        "x[N,I], h[N,H], U[I,H], W[H,H], b[H] -> y\n"
        "z[n,k]=sum[i](x[n,i]*U[i,k])+sum[l](h[n,l]*W[l,k])+b[k]\n"
        "y[n,k]=tanh(z[n,k])"
    ),
    "lse": (
        "s[N] -> L\n"
        "L=logsumexp[n](s[n])"
    ),
    "tanha": (
        "a[N], s[N] -> L\n"
        "L=tanh(sum[n](a[n]*s[n]))"
    ),
    "logtr": (
        "S[N,N] -> L\n"
        "L=log(sum[i](S[i,i]))"
    ),
    "exptr": (
        "S[N,N] -> L\n"
        "L=exp(sum[i,j](S[i,j]*S[j,i]))"
    ),
    "diag": (
        "a[N], B[N,N] -> Y\n"
        "Y[i,j]=a[i]*B[i,j]*a[j]"
    ),
    "quot": (
        "A[N,M], B[N,M] -> Y\n"
        "Y[i,j]=A[i,j]/B[i,j]"
    ),
    "bce": (
        "X[N,D], w[D], y[N] -> L\n"
        "p[n]=sigmoid(sum[d](X[n,d]*w[d]))\n"
        "L = -mean[n](y[n]*log(p[n]) + (1-y[n])*log(1-p[n]))"
    ),
}


# case, input -> the gradient as a textbook has it; G^{Y} is the gradient by the output Y
FORMS = {
    ("dense0", "X"): r"G^{\mathrm{X}} = G^{\mathrm{Y}}\,W^{\top}",
    ("dense0", "W"): r"G^{\mathrm{W}} = X^{\top}\,G^{\mathrm{Y}}",
    ("dense0", "b"): r"G^{\mathrm{b}} = G^{\mathrm{Y}\top}\,\mathbf{1}",
    ("lsq", "w"): r"G^{\mathrm{w}} = X^{\top}\,r",
    ("lsq2", "w"): r"G^{\mathrm{w}} = X^{\top}\,(X\,w - y)",
    ("sce", "Z"): r"G^{\mathrm{Z}} = \operatorname{softmax}_{\mathrm{row}}(Z) - y",
    ("softmax", "Z"): r"G^{\mathrm{Z}} = P \odot (G^{\mathrm{P}} - (P \odot G^{\mathrm{P}})\,\mathbf{1}\,\mathbf{1}^{\top})",
    ("gram", "X"): r"G^{\mathrm{X}} = (G^{\mathrm{G}} + G^{\mathrm{G}\top})\,X",
    ("att", "V"): r"G^{\mathrm{V}} = P^{\top}\,G^{\mathrm{O}}",
    ("quad", "A"): r"G^{\mathrm{A}} = x\,x^{\top}",
    ("trace", "A"): r"G^{\mathrm{A}} = B^{\top}",
    ("frob", "X"): r"G^{\mathrm{X}} = \frac{1}{L} X",
}


def gradients() -> list[tuple[str, str]]:
    return [(case, x) for case, text in CASES.items() for x in nd.parse(text).real_inputs]


@pytest.mark.parametrize(("case", "wrt"), gradients())
def test_both_methods_give_the_same(case: str, wrt: str) -> None:
    """The comparison itself is part of the steps: by_differentials raises if a line or the gradient differs."""
    steps = nd.derive(CASES[case])[wrt].differential_steps
    assert steps[0].rule == "start" and steps[-1].rule == "read off the gradient"
    assert all(isinstance(s, Step) and s.trials >= 3 and s.reason and s.latex for s in steps)
    assert [a.after for a in steps[:-1]] == [b.before for b in steps[1:]]


@pytest.mark.parametrize(("case", "wrt"), FORMS)
def test_a_gradient_has_its_textbook_form(case: str, wrt: str) -> None:
    assert nd.derive(CASES[case])[wrt].differential_steps[-1].latex == FORMS[case, wrt]


def test_what_a_step_says_is_typeset_like_its_formula() -> None:
    """Names and formulas in a reason are mathematics in Markdown, and plain letters in a terminal."""
    start, first, transpose, _, last = nd.derive(CASES["dense0"])["b"].differential_steps
    assert start.said.startswith("$J$ changes by") and start.reason.startswith("J changes by")
    assert r"$Y$ is made of varies: $\mathrm{d}Y$ = $\mathbf{1}\,\mathrm{d}b^{\top}$" in first.said
    assert transpose.reason.endswith("tr A = tr Aᵀ.") and transpose.said.endswith(r"$\operatorname{tr} A = \operatorname{tr} A^{\top}$.")
    assert r"for every $\mathrm{d}b$, so what stands before it is the gradient $G^{\mathrm{b}}$." in last.said
    assert "for every db, so what stands before it is the gradient G_b." in last.reason


def test_the_bias_of_a_dense_layer_step_by_step() -> None:
    steps = nd.derive(CASES["dense0"])["b"].differential_steps
    assert [(s.rule, s.latex) for s in steps] == [
        ("start", r"\mathrm{d}J = \operatorname{tr}(G^{\mathrm{Y}\top}\,\mathrm{d}Y)"),
        ("differential of Y", r"\mathrm{d}J = \operatorname{tr}(G^{\mathrm{Y}\top}\,\mathbf{1}\,\mathrm{d}b^{\top})"),
        ("transpose", r"\mathrm{d}J = \operatorname{tr}(G^{\mathrm{Y}}\,\mathrm{d}b\,\mathbf{1}^{\top})"),
        ("cyclic property", r"\mathrm{d}J = \mathbf{1}^{\top}\,G^{\mathrm{Y}}\,\mathrm{d}b"),
        ("read off the gradient", r"G^{\mathrm{b}} = G^{\mathrm{Y}\top}\,\mathbf{1}"),
    ]
    assert str(steps[-1].after.body).startswith("sum[")


@pytest.mark.parametrize(("text", "wrt", "reason"), [
    (nd.layers.ALL["elman"].text, "W", "recurrences"),
    (nd.layers.ALL["conv2d"].text, "K", "at most two axes"),
    ("X[N,D] -> Y\nY[n] = max[d](X[n,d])", "X", "kinks"),
    ("X[N], b -> Y\nY[n] = X[n]**b", "b", "exponent"),
    ("X[N], y[N] -> L\nL = sum[n](X[n])", "y", "gradient is 0"),
])
def test_what_is_not_covered_is_refused_with_the_reason(text: str, wrt: str, reason: str) -> None:
    with pytest.raises(nd.MatrixFormError, match=reason):
        by_differentials(nd.derive(text)[wrt])


# -- the check can fail ------------------------------------------------------------------------------------------------------
def test_a_trace_that_loses_a_transpose_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Trace, g: mx.Node, d: mx.Times) -> tuple[str, list[Pair]]:
        k = next(k for k, part in enumerate(d.parts) if self._varies(part))
        return "cyclic property", [Pair(mx.times(*reversed(d.parts[:k]), g, *reversed(d.parts[k + 1 :])), d.parts[k])]

    monkeypatch.setattr(Trace, "_cyclic", wrong)
    with pytest.raises((nd.CheckError, nd.MatrixFormError)):
        by_differentials(nd.derive("X[N,N], W[N,N] -> Y\nY[n,o] = sum[i](X[n,i]*W[i,o])")["X"])


def test_a_product_rule_that_forgets_a_factor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Differential._product

    def wrong(self: Differential, parts: tuple[mx.Node, ...], join: object) -> mx.Node:
        found = whole(self, parts, join)  # type: ignore[arg-type]
        return found.terms[0][1] if isinstance(found, mx.Plus) and len(found.terms) > 1 else found

    monkeypatch.setattr(Differential, "_product", wrong)
    with pytest.raises(nd.CheckError, match="The differential of G"):
        by_differentials(nd.derive(CASES["gram"])["X"])


def test_a_differential_with_a_wrong_sign_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Differential._along
    monkeypatch.setattr(Differential, "_along", lambda self, a, own: mx.Plus(((-1, whole(self, a, own)),)))
    with pytest.raises(nd.CheckError, match="does not hold"):
        by_differentials(nd.derive(CASES["softmax"])["Z"])


def test_a_gradient_other_than_the_engines_is_refused() -> None:
    right, other = (nd.derive(f"x[N] -> L\nL = {c}*sum[n](x[n]**2)") for c in (1, 2))
    mixed = nd.Derivation(right.forward, other.gradients)
    with pytest.raises(nd.CheckError, match="The gradient by x"):
        by_differentials(mixed["x"])
