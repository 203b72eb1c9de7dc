"""The second method: differentials and the trace, for programs in matrix form.

    dJ = tr(Gᵀ dY)   →   tr(Gᵀ A dX B) = tr(B Gᵀ A dX)   →   the gradient by X is Aᵀ G Bᵀ

    differential    a tree of matrices -> its differential, linear in the differentials of its leaves
    trace           tr(Gᵀ D) -> tr(Hᵀ dX), one law of the trace at a time
    method          a program -> the steps, each confirmed, and the gradient, compared with the engine's
"""

from .method import by_differentials

__all__ = ["by_differentials"]
