"""Figures that follow the page: SVG inside the page, text and axes in the page's own colour, light or dark.

Importing this module sets Matplotlib's style. A cell then ends in ``show(fig, alt)``:

>>> import matplotlib.pyplot as plt
>>> from figures import show
>>> fig, ax = plt.subplots()
>>> _ = ax.plot([3, 2, 1])
>>> show(fig, "A loss that falls from 3 to 1 in two steps.")
<figure: A loss that falls from 3 to 1 in two steps.>

The same drawing always gives the same text, so that a rebuilt page differs only where its results do.
"""

import hashlib
import io
import re
from dataclasses import dataclass
from html import escape

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.text import Annotation

# Stands for the page's text colour until the SVG is written. Black would not do: Matplotlib leaves black out.
INK = "#010203"

# Each of these has a contrast of at least 3:1 against white and against the dark page, and a line style of its own,
# so that no curve is known by its colour alone.
COLOURS = ("#3b82d6", "#d9700f", "#2a9d63", "#a463d6", "#e0475b")
STYLES = ("-", "--", "-.", ":", (0, (1, 3)))

plt.rcParams.update(
    {
        "figure.figsize": (5.6, 3.4),
        "figure.facecolor": "none",
        "figure.constrained_layout.use": True,
        "axes.facecolor": "none",
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.prop_cycle": cycler(color=COLOURS, linestyle=STYLES),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": INK,
        "grid.alpha": 0.15,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "image.cmap": "viridis",
        "font.size": 11,
        "svg.fonttype": "path",
        "svg.hashsalt": "nnderiv",
    }
)


@dataclass(frozen=True)
class Shown:
    """A figure on a page: ``svg`` for those who see it, ``alt`` for those who do not."""

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        return f'<div class="figure">{self.svg}</div>'

    def __repr__(self) -> str:
        return f"<figure: {self.alt}>"


def show(fig: Figure, alt: str) -> Shown:
    """The figure, ready for the page; ``alt`` says in a sentence or two what can be seen in it."""
    if not alt.strip():
        raise ValueError("show(fig, alt): alt is empty. Say what can be seen, for those who cannot see it.")
    file = io.StringIO()
    fig.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    # Closed, or the notebook would show it a second time.
    plt.close(fig)
    if lost := words_outside(fig):
        raise ValueError(f"show(fig, alt): Matplotlib leaves out {', '.join(map(repr, lost))}, whose place is outside of its axes.")
    return Shown(inline(file.getvalue(), alt), alt)


def words_outside(fig: Figure) -> list[str]:
    """The words at places of the data that lie outside of the axes, as these were drawn: Matplotlib leaves them out, and says nothing."""
    return [note.get_text() for ax in fig.axes for note in ax.texts
            if isinstance(note, Annotation) and note.get_text() and note.xycoords == "data"
            and not ax.contains_point(ax.transData.transform(note.xy))]


def inline(svg: str, alt: str) -> str:
    """Matplotlib's SVG file as an element of a page: no prologue, a text alternative, ids that no other figure has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = "f" + hashlib.sha256((svg + alt).encode()).hexdigest()[:8]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    svg = svg.replace(INK, "currentColor")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
