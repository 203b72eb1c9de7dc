"""Links into the live page: ``try_it(layers.dense)`` shows a definition with a link that opens it there.

    try_it(layers.dense)                 a layer, a program, or a text in the notation
    try_it(layers.dense, shown=False)    the link alone
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from blocks import Block

from nnderiv import Program, parse
from nnderiv.layers import Layer


def try_it(definition: Layer | Program | str, shown: bool = True) -> Block:
    """The definition, and a link that opens it in the live page, ready to be edited."""
    text = str(definition).strip()
    parse(text)
    return Block("try", {"text": text, "shown": shown, "result": session().everything(text)}, text)


def session() -> ModuleType:
    """The module that also runs in the browser: what it computes here is shown where no Python runs there."""
    path = Path(__file__).parents[1] / "_static" / "live" / "session.py"
    spec = importlib.util.spec_from_file_location("session", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
