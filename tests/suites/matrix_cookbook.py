"""The derivatives of the Matrix Cookbook (K. B. Petersen and M. S. Pedersen, version of November 15, 2012, section 2) as cases.

Section 2 numbers its equations from 32 to 144. Each case has the number, a forward program, and what the Cookbook says of its
derivative, as a program of the same inputs. Where the differentiated thing is a matrix, both are multiplied by a matrix dY of
numbers (the seed) and summed. `torch` is the same function for PyTorch, as an expression in the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import nnderiv as nd
from nnderiv.draw import draw, flat
from nnderiv.evaluate import evaluate, shape_of
from nnderiv.numbers import agree

TRIALS = 3


@dataclass(frozen=True)
class Case:
    number: int
    inputs: str
    forward: str  # equations of Y
    wrt: str
    identity: str  # equations of G, the derivative
    torch: str
    seeded: bool = False
    note: str = ""
    extra: tuple[int, ...] = ()  # numbers of lines of the same formula

    @property
    def program(self) -> str:
        return f"{self.inputs} -> Y\n{self.forward}"

    @property
    def derivation(self) -> nd.Derivation:
        return nd.derive(self.program, wrt=[self.wrt])

    def stated(self, d: nd.Derivation) -> nd.Program:
        """The identity, as a program of the same inputs and the seed."""
        dims = ",".join(str(r.size) for r in d.forward.dims["Y"])
        seed = f", {d.gradients.seeds['Y']}[{dims}]" if self.seeded else ""
        return nd.parse(f"{self.inputs}{seed} -> G\n{self.identity}")

    def confirm(self, d: nd.Derivation) -> None:
        """The derived gradient is the identity: in all elements, at random sizes and numbers, exactly; AssertionError if not."""
        identity, rng = self.stated(d), Random(self.number)
        for _ in range(TRIALS):
            inputs = draw(d.backward, rng, mode="positive", largest=3).inputs
            (mine,) = evaluate(d.backward, inputs).values()
            theirs = evaluate(identity, inputs)["G"]
            assert shape_of(mine) == shape_of(theirs)
            for a, b in zip(flat(mine), flat(theirs), strict=True):
                assert agree(a, b), f"({self.number}): {a} and {b} at {inputs}"


def case(number: int, inputs: str, forward: str, wrt: str, identity: str, torch: str, **more: object) -> Case:
    return Case(number, inputs, forward, wrt, identity, torch, **more)  # type: ignore[arg-type]


SQUARES = "X[N,N], A[N,N], B[N,N], C[N,N]"
QUADRATIC = "x[N], s[M], A[N,M], S[N,N]"
WEIGHTS = "W[i,j] = S[i,j] + S[j,i]\nr[i] = x[i] - sum[k](A[i,k]*s[k])\n"
POWERS = "P[0,i,j] = X[i,j]\nP[t,i,j] = sum[k](P[t-1,i,k]*X[k,j])  for 1 <= t < T\n"  # P[t] = X^(t+1)
ALL_POWERS = "Q[0,i,j] = where(i == j, 1, 0)  for i < N, j < N\nQ[t,i,j] = sum[k](Q[t-1,i,k]*X[k,j])  for 1 <= t < T\n"  # Q[t] = X^t
POWER = "__import__('torch').linalg.matrix_power"
FROM = "X[N,N], a[N], b[N], A[N,N], u[T]"

CASES = (
    # 2: basic assumption and rules; a rule for differentials is stated as what it gives for a matrix dY
    case(32, "X[N,M]", "Y[k,l] = X[k,l]", "X",
         "G[i,j] = sum[k,l](dY[k,l]*where(i == k and l == j, 1, 0))  for i < N, j < M", "X", seeded=True),
    case(33, "A[N,M], X[N,M]", "Y[i,j] = A[i,j]", "X", "G[i,j] = 0  for i < N, j < M", "A + 0*X", seeded=True),
    case(34, "X[N,M], a", "Y[i,j] = a*X[i,j]", "X", "G[i,j] = a*dY[i,j]", "a*X", seeded=True),
    case(35, "X[N,M], A[N,M]", "Z[i,j] = X[i,j]**2\nY[i,j] = Z[i,j] + A[i,j]*X[i,j]", "X",
         "G[i,j] = dY[i,j]*2*X[i,j] + dY[i,j]*A[i,j]", "X**2 + A*X", seeded=True),
    case(36, "X[N,N], A[N,N]", "Z[i,j] = sin(A[i,j]*X[i,j])\nY = sum[i](Z[i,i])", "X",
         "G[i,j] = where(i == j, cos(A[i,i]*X[i,i])*A[i,i], 0)  for j < N", "trace(sin(A*X))"),
    case(37, "X[N,M], A[M,K]", "U[i,j] = X[i,j]**2\nV[j,k] = sum[i](X[i,j])*A[j,k]\nY[i,k] = sum[j](U[i,j]*V[j,k])", "X",
         "V[j,k] = sum[i](X[i,j])*A[j,k]\nG[i,j] = 2*X[i,j]*sum[k](dY[i,k]*V[j,k]) + sum[m,k](dY[m,k]*X[m,j]**2*A[j,k])",
         "X**2 @ (X.sum(0)[:, None]*A)", seeded=True),
    case(38, "X[N,M]", "U[i,j] = X[i,j]**2\nV[i,j] = sin(X[i,j])\nY[i,j] = U[i,j]*V[i,j]", "X",
         "G[i,j] = dY[i,j]*(2*X[i,j]*sin(X[i,j]) + X[i,j]**2*cos(X[i,j]))", "X**2*sin(X)", seeded=True),
    case(39, "X[N,M], A[K,L]", "V[k,l] = A[k,l]*sum[i,j](X[i,j])\nY[i,k,j,l] = X[i,j]*V[k,l]", "X",
         "G[i,j] = sum[k,l](dY[i,k,j,l]*A[k,l])*sum[p,q](X[p,q]) + sum[m,k,n,l](dY[m,k,n,l]*X[m,n]*A[k,l])",
         "einsum('ij,kl->ikjl', X, A*X.sum())", seeded=True, note="the Kronecker product as a tensor with four axes"),
    case(44, "X[N,M]", "Y[j,i] = X[i,j]", "X", "G[i,j] = dY[j,i]", "X.T", seeded=True),
    # 2.4.1 first order
    case(69, "x[N], a[N]", "Y = sum[i](x[i]*a[i])", "x", "G[i] = a[i]", "x @ a"),
    case(70, "X[N,M], a[N], b[M]", "Y = sum[i,j](a[i]*X[i,j]*b[j])", "X", "G[i,j] = a[i]*b[j]", "a @ X @ b"),
    case(71, "X[N,M], a[M], b[N]", "Y = sum[i,j](a[j]*X[i,j]*b[i])", "X", "G[i,j] = b[i]*a[j]", "a @ X.T @ b"),
    case(72, "X[N,N], a[N]", "Y = sum[i,j](a[i]*X[i,j]*a[j])", "X", "G[i,j] = a[i]*a[j]", "a @ X @ a"),
    case(73, "X[N,M]", "Y[k,l] = X[k,l]", "X", "G[i,j] = sum[k,l](dY[k,l]*where(k == i and l == j, 1, 0))  for i < N, j < M", "X",
         seeded=True),
    case(74, "X[N,M], A[M,K]", "Y[i,j] = sum[k](X[i,k]*A[k,j])", "X",
         "G[m,n] = sum[i,j](dY[i,j]*where(i == m, A[n,j], 0))  for m < N", "X @ A", seeded=True),
    case(75, "X[N,M], A[N,K]", "Y[i,j] = sum[k](X[k,i]*A[k,j])", "X",
         "G[m,n] = sum[i,j](dY[i,j]*where(i == n, A[m,j], 0))  for n < M", "X.T @ A", seeded=True),
    # 2.4.2 second order
    case(76, "X[N,M]", "Y = sum[k,l](X[k,l])*sum[m,n](X[m,n])", "X", "G[i,j] = 2*sum[k,l](X[k,l])  for i < N, j < M", "X.sum()**2"),
    case(77, "X[N,M], b[M], c[M]", "Y = sum[i,j,k](b[j]*X[i,j]*X[i,k]*c[k])", "X", "G[i,j] = sum[k](X[i,k]*(b[k]*c[j] + c[k]*b[j]))",
         "b @ X.T @ X @ c"),
    case(78, "x[N], B[M,N], b[M], C[M,K], D[K,N], d[K]",
         "u[i] = sum[n](B[i,n]*x[n]) + b[i]\nv[k] = sum[n](D[k,n]*x[n]) + d[k]\nY = sum[i,k](u[i]*C[i,k]*v[k])", "x",
         "u[i] = sum[n](B[i,n]*x[n]) + b[i]\nv[k] = sum[n](D[k,n]*x[n]) + d[k]\n"
         "G[n] = sum[i,k](B[i,n]*C[i,k]*v[k]) + sum[k,i](D[k,n]*C[i,k]*u[i])", "(B @ x + b) @ C @ (D @ x + d)"),
    case(79, "X[N,M], B[N,N]", "Y[k,l] = sum[p,q](X[p,k]*B[p,q]*X[q,l])", "X",
         "G[i,j] = sum[k,l](dY[k,l]*(where(l == j, sum[p](X[p,k]*B[p,i]), 0) + where(k == j, sum[q](B[i,q]*X[q,l]), 0)))  for j < M",
         "X.T @ B @ X", seeded=True),
    case(80, "X[N,M], B[N,N]", "Y[k,l] = sum[p,q](X[p,k]*B[p,q]*X[q,l])", "X",
         "G[i,j] = sum[k](dY[k,j]*sum[p](X[p,k]*B[p,i])) + sum[l](dY[j,l]*sum[q](B[i,q]*X[q,l]))", "X.T @ B @ X", seeded=True),
    case(81, "x[N], B[N,N]", "Y = sum[i,j](x[i]*B[i,j]*x[j])", "x", "G[i] = sum[j]((B[i,j] + B[j,i])*x[j])", "x @ B @ x"),
    case(82, "X[N,M], b[M], c[M], D[N,N]", "Y = sum[j,i,k,l](b[j]*X[i,j]*D[i,k]*X[k,l]*c[l])", "X",
         "G[i,j] = sum[k,l](D[k,i]*X[k,l]*b[l]*c[j]) + sum[k,l](D[i,k]*X[k,l]*c[l]*b[j])", "b @ X.T @ D @ X @ c"),
    case(83, "X[N,M], b[M], c[N], D[N,N]", "u[i] = sum[j](X[i,j]*b[j]) + c[i]\nY = sum[i,k](u[i]*D[i,k]*u[k])", "X",
         "u[i] = sum[j](X[i,j]*b[j]) + c[i]\nG[i,j] = sum[k]((D[i,k] + D[k,i])*u[k])*b[j]", "(X @ b + c) @ D @ (X @ b + c)"),
    case(84, QUADRATIC, f"{WEIGHTS}Y = sum[i,j](r[i]*W[i,j]*r[j])", "s", f"{WEIGHTS}G[k] = -2*sum[i,j](A[i,k]*W[i,j]*r[j])",
         "(x - A @ s) @ (S + S.T) @ (x - A @ s)", note="W = S + Sᵀ is any symmetric matrix"),
    case(85, "x[N], s[N], S[N,N]", "W[i,j] = S[i,j] + S[j,i]\nY = sum[i,j]((x[i] - s[i])*W[i,j]*(x[j] - s[j]))", "x",
         "W[i,j] = S[i,j] + S[j,i]\nG[i] = 2*sum[j](W[i,j]*(x[j] - s[j]))", "(x - s) @ (S + S.T) @ (x - s)"),
    case(86, "x[N], s[N], S[N,N]", "W[i,j] = S[i,j] + S[j,i]\nY = sum[i,j]((x[i] - s[i])*W[i,j]*(x[j] - s[j]))", "s",
         "W[i,j] = S[i,j] + S[j,i]\nG[i] = -2*sum[j](W[i,j]*(x[j] - s[j]))", "(x - s) @ (S + S.T) @ (x - s)"),
    case(87, QUADRATIC, f"{WEIGHTS}Y = sum[i,j](r[i]*W[i,j]*r[j])", "x", f"{WEIGHTS}G[i] = 2*sum[j](W[i,j]*r[j])",
         "(x - A @ s) @ (S + S.T) @ (x - A @ s)"),
    case(88, QUADRATIC, f"{WEIGHTS}Y = sum[i,j](r[i]*W[i,j]*r[j])", "A", f"{WEIGHTS}G[i,k] = -2*sum[j](W[i,j]*r[j])*s[k]",
         "(x - A @ s) @ (S + S.T) @ (x - A @ s)"),
    # 2.4.3 higher order; the power n is a size, so one program stands for every n
    case(90, FROM, f"{POWERS}Y[k,l] = P[T-1,k,l]", "X",
         f"{ALL_POWERS}G[i,j] = sum[r,k,l](dY[k,l]*Q[r,k,i]*Q[T-1-r,j,l])", f"{POWER}(X, len(u))", seeded=True),
    case(91, FROM, f"{POWERS}Y = sum[k,l](a[k]*P[T-1,k,l]*b[l])", "X",
         f"{ALL_POWERS}G[i,j] = sum[r](sum[k](Q[r,k,i]*a[k])*sum[l](b[l]*Q[T-1-r,j,l]))", f"a @ {POWER}(X, len(u)) @ b"),
    case(92, FROM, f"{POWERS}Y = sum[k,l,m](a[k]*P[T-1,m,k]*P[T-1,m,l]*b[l])", "X",
         f"{POWERS}{ALL_POWERS}p[m] = sum[k](P[T-1,m,k]*a[k])\nq[m] = sum[k](P[T-1,m,k]*b[k])\n"
         "G[i,j] = sum[r](sum[k](Q[T-1-r,j,k]*a[k])*sum[m](q[m]*Q[r,m,i])) + sum[r](sum[m](Q[r,m,i]*p[m])*sum[l](b[l]*Q[T-1-r,j,l]))",
         f"a @ {POWER}(X, len(u)).T @ {POWER}(X, len(u)) @ b"),
    case(93, "x[N], A[M,K], B[M,N], C[K,N]",
         "s[i] = tanh(sum[n](B[i,n]*x[n]))\nr[k] = sin(sum[n](C[k,n]*x[n]))\nY = sum[i,k](s[i]*A[i,k]*r[k])", "x",
         "s[i] = tanh(sum[n](B[i,n]*x[n]))\nr[k] = sin(sum[n](C[k,n]*x[n]))\nS[i,n] = (1 - s[i]**2)*B[i,n]\n"
         "R[k,n] = cos(sum[m](C[k,m]*x[m]))*C[k,n]\nG[n] = sum[i,k](S[i,n]*A[i,k]*r[k]) + sum[k,i](R[k,n]*A[i,k]*s[i])",
         "tanh(B @ x) @ A @ sin(C @ x)", note="for s = tanh(Bx), r = sin(Cx)"),
    case(94, "x[N], A[M,N], B[K,N]",
         "u[i] = sum[n](A[i,n]*x[n])\nv[k] = sum[n](B[k,n]*x[n])\nY = sum[i](u[i]*u[i])/sum[k](v[k]*v[k])", "x",
         "u[i] = sum[n](A[i,n]*x[n])\nv[k] = sum[n](B[k,n]*x[n])\np = sum[i](u[i]*u[i])\nq = sum[k](v[k]*v[k])\n"
         "G[n] = 2*sum[i](A[i,n]*u[i])/q - 2*p*sum[k](B[k,n]*v[k])/q**2", "(A @ x) @ (A @ x)/((B @ x) @ (B @ x))", extra=(95,)),
    # 2.4.4 gradient and Hessian
    case(97, "x[N], A[N,N], b[N]", "Y = sum[i,j](x[i]*A[i,j]*x[j]) + sum[i](b[i]*x[i])", "x",
         "G[i] = sum[j]((A[i,j] + A[j,i])*x[j]) + b[i]",
         "x @ A @ x + b @ x", extra=(96,), note="96 defines f"),
    case(98, "x[N], A[N,N], b[N]", "Y[i] = sum[j](A[i,j]*x[j]) + sum[j](A[j,i]*x[j]) + b[i]", "x", "G[i] = sum[j](dY[j]*(A[j,i] + A[i,j]))",
         "(A + A.T) @ x + b", seeded=True, note="the Hessian as the derivative of 97"),
    # 2.5 traces
    case(99, "X[N,N]", "Y = sum[i](X[i,i])", "X", "G[i,j] = where(i == j, 1, 0)  for i < N, j < N", "trace(X)"),
    case(100, "X[N,M], A[M,N]", "Y = sum[i,j](X[i,j]*A[j,i])", "X", "G[i,j] = A[j,i]", "trace(X @ A)"),
    case(101, "X[N,M], A[K,N], B[M,K]", "Y = sum[k,i,j](A[k,i]*X[i,j]*B[j,k])", "X", "G[i,j] = sum[k](A[k,i]*B[j,k])", "trace(A @ X @ B)"),
    case(102, "X[N,M], A[K,M], B[N,K]", "Y = sum[k,i,j](A[k,j]*X[i,j]*B[i,k])", "X",
         "G[i,j] = sum[k](B[i,k]*A[k,j])", "trace(A @ X.T @ B)"),
    case(103, "X[N,M], A[N,M]", "Y = sum[i,j](X[i,j]*A[i,j])", "X", "G[i,j] = A[i,j]", "trace(X.T @ A)"),
    case(104, "X[N,M], A[N,M]", "Y = sum[i,j](A[i,j]*X[i,j])", "X", "G[i,j] = A[i,j]", "trace(A @ X.T)"),
    case(105, "X[N,N], A[M,M]", "K[i,k,j,l] = A[i,j]*X[k,l]\nY = sum[i,k](K[i,k,i,k])", "X",
         "G[i,j] = sum[k](A[k,k])*where(i == j, 1, 0)  for i < N, j < N", "trace(__import__('torch').kron(A, X))"),
    case(106, SQUARES, "Y = sum[i,j](X[i,j]*X[j,i])", "X", "G[i,j] = 2*X[j,i]", "trace(X @ X)"),
    case(107, SQUARES, "Y = sum[i,j,k](X[i,j]*X[j,k]*B[k,i])", "X", "G[i,j] = sum[k](X[j,k]*B[k,i]) + sum[k](B[j,k]*X[k,i])",
         "trace(X @ X @ B)"),
    case(108, "X[N,M], B[N,N]", "Y = sum[i,j,k](X[i,k]*B[i,j]*X[j,k])", "X", "G[i,j] = sum[k](B[i,k]*X[k,j]) + sum[k](B[k,i]*X[k,j])",
         "trace(X.T @ B @ X)"),
    case(109, "X[N,M], B[N,N]", "Y = sum[i,j,k](B[i,j]*X[j,k]*X[i,k])", "X", "G[i,j] = sum[k](B[i,k]*X[k,j]) + sum[k](B[k,i]*X[k,j])",
         "trace(B @ X @ X.T)"),
    case(110, "X[N,M], B[N,N]", "Y = sum[i,j,k](X[i,k]*X[j,k]*B[j,i])", "X", "G[i,j] = sum[k](B[i,k]*X[k,j]) + sum[k](B[k,i]*X[k,j])",
         "trace(X @ X.T @ B)"),
    case(111, "X[N,M], B[M,M]", "Y = sum[i,j,k](X[i,j]*B[j,k]*X[i,k])", "X", "G[i,j] = sum[k](X[i,k]*B[j,k]) + sum[k](X[i,k]*B[k,j])",
         "trace(X @ B @ X.T)"),
    case(112, "X[N,M], B[M,M]", "Y = sum[i,j,k](B[j,k]*X[i,k]*X[i,j])", "X", "G[i,j] = sum[k](X[i,k]*B[j,k]) + sum[k](X[i,k]*B[k,j])",
         "trace(B @ X.T @ X)"),
    case(113, "X[N,M], B[M,M]", "Y = sum[i,j,k](X[i,j]*X[i,k]*B[k,j])", "X", "G[i,j] = sum[k](X[i,k]*B[j,k]) + sum[k](X[i,k]*B[k,j])",
         "trace(X.T @ X @ B)"),
    case(114, "X[N,M], A[M,N], B[M,N]", "Y = sum[i,j,k,l](A[l,i]*X[i,j]*B[j,k]*X[k,l])", "X",
         "G[i,j] = sum[k,l](A[l,i]*X[k,l]*B[j,k]) + sum[k,l](B[l,i]*X[k,l]*A[j,k])", "trace(A @ X @ B @ X)"),
    case(115, "X[N,M]", "Y = sum[i,j](X[i,j]*X[i,j])", "X", "G[i,j] = 2*X[i,j]", "trace(X.T @ X)"),
    case(116, "X[N,M], B[M,K], C[N,N]", "Z[i,k] = sum[j](X[i,j]*B[j,k])\nY = sum[i,j,k](Z[i,k]*C[i,j]*Z[j,k])", "X",
         "D[i,j] = sum[k](B[i,k]*B[j,k])\nG[i,j] = sum[k,l](C[k,i]*X[k,l]*D[l,j]) + sum[k,l](C[i,k]*X[k,l]*D[l,j])",
         "trace(B.T @ X.T @ C @ X @ B)"),
    case(117, "X[N,M], B[N,N], C[M,M]", "Y = sum[i,j,k,l](X[i,l]*B[i,j]*X[j,k]*C[k,l])", "X",
         "G[i,j] = sum[k,l](B[i,k]*X[k,l]*C[l,j]) + sum[k,l](B[k,i]*X[k,l]*C[j,l])", "trace(X.T @ B @ X @ C)"),
    case(118, "X[N,M], A[K,N], B[M,M], C[N,K]", "Y = sum[k,i,j,l,m](A[k,i]*X[i,j]*B[j,l]*X[m,l]*C[m,k])", "X",
         "G[i,j] = sum[k,m,l](A[k,i]*C[m,k]*X[m,l]*B[j,l]) + sum[k,m,l](C[i,k]*A[k,m]*X[m,l]*B[l,j])", "trace(A @ X @ B @ X.T @ C)"),
    case(119, "X[N,M], A[K,N], B[M,L], C[K,L]", "Z[k,l] = sum[i,j](A[k,i]*X[i,j]*B[j,l]) + C[k,l]\nY = sum[k,l](Z[k,l]*Z[k,l])", "X",
         "Z[k,l] = sum[i,j](A[k,i]*X[i,j]*B[j,l]) + C[k,l]\nG[i,j] = 2*sum[k,l](A[k,i]*Z[k,l]*B[j,l])",
         "trace((A @ X @ B + C) @ (A @ X @ B + C).T)"),
    case(120, "X[N,N]", "K[i,k,j,l] = X[i,j]*X[k,l]\nY = sum[i,k](K[i,k,i,k])", "X",
         "G[i,j] = 2*sum[k](X[k,k])*where(i == j, 1, 0)  for i < N, j < N", "trace(X)**2"),
    case(121, FROM, f"{POWERS}Y = sum[i](P[T-1,i,i])", "X", f"{ALL_POWERS}G[i,j] = T*Q[T-1,j,i]", f"trace({POWER}(X, len(u)))"),
    case(122, FROM, f"{POWERS}Y = sum[i,j](A[i,j]*P[T-1,j,i])", "X",
         f"{ALL_POWERS}G[i,j] = sum[r,k,l](Q[r,j,k]*A[k,l]*Q[T-1-r,l,i])", f"trace(A @ {POWER}(X, len(u)))"),
    case(123, "X[N,M], B[M,K], C[N,N]",
         "U[i,k] = sum[j,m](C[i,j]*X[j,m]*B[m,k])\nV[i,k] = sum[j,m](C[j,i]*X[j,m]*B[m,k])\n"
         "Y = sum[i,j,m,k](V[i,k]*X[i,m]*X[j,m]*U[j,k])", "X",
         "D[i,j] = sum[k](B[i,k]*B[j,k])\nE[i,j] = sum[m](X[i,m]*X[j,m])\nF[i,j] = sum[l,m](X[i,l]*D[l,m]*X[j,m])\n"
         "G[i,j] = sum[k,l,m,n](C[i,k]*E[k,l]*C[l,m]*X[m,n]*D[n,j]) + sum[k,l,m](C[k,i]*F[k,l]*C[m,l]*X[m,j])"
         " + sum[k,l,m](C[i,k]*F[k,l]*C[l,m]*X[m,j]) + sum[k,l,m,n](C[k,i]*E[k,l]*C[m,l]*X[m,n]*D[n,j])",
         "trace(B.T @ X.T @ C @ X @ X.T @ C @ X @ B)"),
    # 2.6, 2.7 norms
    case(129, "x[N], a[N]", "Y = sqrt(sum[i]((x[i] - a[i])**2))", "x", "n = sqrt(sum[i]((x[i] - a[i])**2))\nG[i] = (x[i] - a[i])/n",
         "((x - a)**2).sum().sqrt()"),
    case(130, "x[N], a[N]", "n = sqrt(sum[i]((x[i] - a[i])**2))\nY[i] = (x[i] - a[i])/n", "x",
         "n = sqrt(sum[i]((x[i] - a[i])**2))\nG[i] = sum[j](dY[j]*(where(i == j, 1, 0)/n - (x[i] - a[i])*(x[j] - a[j])/n**3))",
         "(x - a)/((x - a)**2).sum().sqrt()", seeded=True),
    case(131, "x[N]", "Y = sum[i](x[i]**2)", "x", "G[i] = 2*x[i]", "x @ x"),
    case(132, "X[N,M]", "Y = sum[i,j](X[i,j]**2)", "X", "G[i,j] = 2*X[i,j]", "(X**2).sum()", note="for real X"),
    # 2.8 structured matrices: the free entries are the input
    case(139, "S[N,N], A[N,N]", "X[i,j] = where(i >= j, S[i,j], S[j,i])\nY = sum[i,j](A[i,j]*X[j,i])", "S",
         "G[i,j] = where(i >= j, A[i,j] + A[j,i] - where(i == j, A[i,j], 0), 0)",
         "trace(A @ (S.tril() + S.tril(-1).T))", note="X symmetric; the lower triangle holds the free entries"),
    case(142, "x[N], A[N,N]", "X[i,j] = where(i == j, x[i], 0)  for j < N\nY = sum[i,j](A[i,j]*X[j,i])", "x", "G[i] = A[i,i]",
         "trace(A @ x.diag())", note="X diagonal; its diagonal holds the free entries"),
    case(143, "t[2*N-1], A[N,N]", "X[i,j] = t[i-j+N-1]  for i < N, j < N\nY = sum[i,j](A[i,j]*X[j,i])", "t",
         "G[k] = sum[j](A[j,j+k-N+1])  for k < 2*N-1, j < N",
         "(A*t[(__import__('torch').arange(len(A)) - __import__('torch').arange(len(A))[:, None]) + len(A) - 1]).sum()",
         note="X Toeplitz; one free entry for each diagonal, whose derivative is the sum of Aᵀ along it"),
    case(144, "t[N], A[N,N]", "X[i,j] = where(i >= j, t[i-j], t[j-i])  for i < N, j < N\nY = sum[i,j](A[i,j]*X[j,i])", "t",
         "G[k] = sum[j](A[j,j+k]) + where(k > 0, sum[j](A[j+k,j]), 0)  for k < N",
         "(A*t[(__import__('torch').arange(len(A)) - __import__('torch').arange(len(A))[:, None]).abs()]).sum()",
         note="X symmetric and Toeplitz; its first column holds the free entries"),
)

NOT_STATED = {
    "an inverse, a determinant or a pseudo-inverse has no definition in index notation":
        (*range(40, 44), *range(46, 65), 66, *range(124, 128), 140, 141),
    "eigenvalues and eigenvectors have no definition in index notation": (65, 67, 68),
    "complex conjugation": (45, 89),
    "a function of a matrix by its power series": (128,),
    "a general rule without a formula of its own: what the engine does everywhere": (*range(133, 139),),
}
FIRST, LAST = 32, 144


def counts() -> dict[str, int]:
    """How many of the numbered equations of section 2 are stated here (lines of one formula count each), and how many are not."""
    stated = sum(1 + len(c.extra) for c in CASES)
    return {"equations": LAST - FIRST + 1, "stated": stated, "cases": len(CASES), "not stated": sum(map(len, NOT_STATED.values()))}
