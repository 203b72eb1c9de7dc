"""Errata of the notes: what stands there, what is true, and the check that tells them apart.

    erratum("distance-shape", where="Section 1, vector form", says=r"\\theta_{(n+1)\\times 1}\\, x_{1\\times(n+1)} = 0",
            true=r"\\theta^\\top x = 0", refuted=says_shape != (), confirmed=true_shape == (), why="A column times a row is a matrix.")

``refuted`` and ``confirmed`` come from what the cell computed above: bools, results of ``nd.prove`` (anything with ``ok``), or
functions that are called. Both must be true, or the page is not built.
"""

from collections.abc import Callable
from typing import Any

from blocks import Block

from nnderiv import Gradient


def erratum(
    label: str,
    *,
    where: str,
    says: str,
    true: str | Gradient,
    refuted: Any,
    confirmed: Any,
    why: str = "",
    title: str = "",
    chapter: str = "",
) -> Block:
    """An entry: ``says`` and ``true`` are TeX (or ``true`` a gradient); ``why`` a sentence or two; ``chapter`` the page that explains."""
    if not holds(refuted):
        raise AssertionError(f"erratum {label}: what the notes say was not refuted")
    if not holds(confirmed):
        raise AssertionError(f"erratum {label}: what is claimed to be true was not confirmed")
    right = true.latex() if isinstance(true, Gradient) else true
    content = {"label": label, "title": title or label.replace("-", " ").capitalize(), "where": where, "says": says, "true": right,
               "why": why, "chapter": chapter}
    return Block("erratum", content, f"{where}: {says} -> {right}")


def holds(result: bool | Callable[[], Any] | Any) -> bool:
    """True for a true bool, for a function that returns one, and for a result that is ``ok`` (or ``holds``, or ``proved``)."""
    for name in ("ok", "holds", "proved"):
        if hasattr(result, name):
            return bool(getattr(result, name))
    return bool(result() if callable(result) else result)
