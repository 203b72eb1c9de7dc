"""Emitted code that knows its equations: each commented line links to the equation it computes, and back.

    listing(d, "backward", label="mlp-code")      one function of the module, or several, or (none named) all of it
"""

import re

from blocks import Block, derivation_of, key, title
from book import emitted

from nnderiv import Derivation
from nnderiv.layers import Layer

COMMENT = re.compile(r"\s*# (\w+)(?:\[[^\]]*\])? \+?= ")


def listing(d: Derivation | Layer, *functions: str, label: str = "", caption: str = "") -> Block:
    """The emitted module, or the functions that are named. Where an equation of this derivation is on a page, its line links there."""
    d = derivation_of(d)
    source = emitted(d.numpy(), *functions).text
    name = title(d.forward)
    lines = {k: found[1] for k, line in enumerate(source.split("\n"), start=1) if (found := COMMENT.match(line))}
    own = re.sub(r"[^A-Za-z0-9]+", "-", f"{name or key(d.forward)}-{'-'.join(functions) or 'module'}")
    content = {"label": label or f"code-{own}", "key": key(d.forward), "of": name, "source": source, "tensors": lines, "caption": caption}
    return Block("listing", content, source)
