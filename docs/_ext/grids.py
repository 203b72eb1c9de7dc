"""Matrices drawn as grids of numbers, with some of their cells marked.

>>> import matplotlib.pyplot as plt
>>> from grids import draw
>>> fig, ax = plt.subplots()
>>> draw(ax, [[1, 0], [0, 2]], "two on the diagonal", {(0, 0), (1, 1)})
"""

from collections.abc import Collection
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from figures import INK


def draw(ax: Any, values: Any, title: str, marks: Collection[tuple[int, int]] = (), colour: str = "C0", size: int = 9) -> None:
    """A matrix as a grid; marked cells are filled, zeros are pale."""
    values = np.asarray(values)
    rows, columns = values.shape
    ax.set(xlim=(-0.05, columns + 0.05), ylim=(rows + 0.05, -0.05), aspect="equal")
    ax.set_title(title, fontsize=9)
    ax.axis("off")
    for (i, j), value in np.ndenumerate(values):
        marked = (i, j) in marks
        ax.add_patch(plt.Rectangle((j, i), 1, 1, fc=colour if marked else "none", ec=INK, lw=0.8, alpha=0.35 if marked else 0.5))
        ax.text(j + 0.5, i + 0.52, value, ha="center", va="center", fontsize=size, alpha=1 if str(value) != "0" else 0.35)
