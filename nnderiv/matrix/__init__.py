"""Matrix form: an equation in index form as a tree of matrices, its LaTeX, its SymPy expression, and the way back.

    nodes       the tree                             axes      which axes are superscripts
    build       laws of the algebra                  graph     sums of products
    recognise   an equation -> its form
"""

from .axes import superscripts
from .build import hadamard, is_reciprocal, scaled, times, transposed
from .element import lower
from .form import MatrixForm, matrix_form, recognised
from .nodes import (
    Along,
    Correlate,
    Diag,
    Diagonal,
    Down,
    Elementwise,
    Extreme,
    Fill,
    Flip,
    Hadamard,
    Identity,
    Leaf,
    Node,
    Ones,
    Plus,
    Scalar,
    Scale,
    Shift,
    SumOver,
    Times,
    Trace,
    Transpose,
    Up,
    parts_of,
    transposes,
    walk,
)
from .reading import reading

__all__ = [
    "Along",
    "Correlate",
    "Diag",
    "Diagonal",
    "Down",
    "Elementwise",
    "Extreme",
    "Fill",
    "Flip",
    "Hadamard",
    "Identity",
    "Leaf",
    "MatrixForm",
    "Node",
    "Ones",
    "Plus",
    "Scalar",
    "Scale",
    "Shift",
    "SumOver",
    "Times",
    "Trace",
    "Transpose",
    "Up",
    "hadamard",
    "is_reciprocal",
    "lower",
    "matrix_form",
    "parts_of",
    "reading",
    "recognised",
    "scaled",
    "superscripts",
    "times",
    "transposed",
    "transposes",
    "walk",
]
