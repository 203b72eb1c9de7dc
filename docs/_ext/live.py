"""Links into the live page: ``try_it(layers.dense)`` shows a definition with a link that opens it there.

    try_it(layers.dense)                 a layer, a program, or a text in the notation
    try_it(layers.dense, shown=False)    the link alone
"""

from blocks import Block

from nnderiv import Program, parse
from nnderiv.layers import Layer


def try_it(definition: Layer | Program | str, shown: bool = True) -> Block:
    """The definition, and a link that opens it in the live page, ready to be edited."""
    text = str(definition).strip()
    parse(text)
    return Block("try", {"text": text, "shown": shown}, text)
