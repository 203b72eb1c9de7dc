"""Gradients of neural networks: formula, derivation, NumPy code and evidence, from a forward definition in index notation.

>>> import nnderiv as nd
>>> d = nd.derive('''
...     X[N,I], W[I,O], b[O] -> Y
...     Y[n,o] = sum[i](X[n,i]*W[i,o]) + b[o]
... ''')
>>> for gradient in d:
...     print(gradient)
dX[n,i] = sum[o](dY[n,o]*W[i,o])
dW[i,o] = sum[n](dY[n,o]*X[n,i])
db[o] = sum[n](dY[n,o])
"""

from . import layers
from .derivation import Derivation, Gradient, derive
from .errors import (
    CheckError,
    DefinitionError,
    DerivationError,
    EvaluationError,
    MatrixFormError,
    NNDerivError,
    NotationError,
)
from .evaluate import evaluate
from .parse import parse
from .program import Program
from .prove import Proof, prove

__version__ = "0.1.0"
__all__ = [
    "CheckError", "DefinitionError", "Derivation", "DerivationError", "EvaluationError", "Gradient", "MatrixFormError",
    "NNDerivError", "NotationError", "Program", "Proof", "derive", "evaluate", "layers", "parse", "prove",
]
