"""The book's sources: what each page must contain, so that no build is green by building nothing; and its doctests.

The build itself executes the pages, and a failing assertion in a cell fails it.
"""

import ast
import contextlib
import doctest
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from figures import show
from torch.overrides import TorchFunctionMode

from benchmarks.layer_rows import LAYERS, Layer

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

# page: at least so many numbered equations from the engine, figures, and assertions in executed cells
EXPECTED = {
    "the_rule":        (12, 1, 24),
    "perceptron":      (6,  5, 30),
    "backpropagation": (39, 5, 43),
    "rnn":             (29, 4, 39),
    "convolution":     (2,  1, 15),
    "convolution_backward": (3, 3, 9),
    "im2col":          (4,  2, 28),
    "pooling":         (2,  4, 12),
    "attention":       (17, 4, 43),
    "transformer":     (32, 4, 32),
}

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYCON = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EQUATION = re.compile(r"^```\{glue:math\} (\S+)\n:label: (\S+)\n```$", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def cells(text: str) -> list[str]:
    """The code of the executed cells, without their options."""
    return [re.sub(r"\A(?::\w+:[^\n]*\n)+", "", code.lstrip("\n")) for code in CELL.findall(text)]


def calls(code: str, *names: str) -> int:
    """How often functions with these names are called, as `name(...)` or `x.y.name(...)`."""
    found = [n.func for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call)]
    return sum((f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")) in names for f in found)


def assertions(code: str) -> int:
    """What a cell cannot pass if it is wrong; the helpers `check` and `erratum` assert by themselves."""
    nodes = list(ast.walk(ast.parse(code)))
    helpers = sum(isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("check", "erratum") for n in nodes)
    return sum(isinstance(n, ast.Assert) for n in nodes) + calls(code, "assert_allclose") + helpers


def derived(code: str) -> int:
    """How many equations the helpers show: one for each `equation(...)`, and one for each name in `equations(...)`."""
    several = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "equations"]
    return calls(code, "equation") + sum(max(1, len(call.args) - 2) for call in several)


def test_every_page_stands_in_the_table_of_contents() -> None:
    chapters = re.search(r":caption: Chapters.*?```", page("index"), re.DOTALL)
    assert chapters is not None
    assert chapters[0].split("\n\n")[1].split()[: len(EXPECTED)] == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_page_has_its_equations_figures_and_checks(name: str) -> None:
    equations, figures, checks = EXPECTED[name]
    text, code = page(name), "\n".join(cells(page(name)))
    assert len(EQUATION.findall(text)) + derived(code) >= equations
    assert calls(code, "show") >= figures
    assert assertions(code) >= checks
    assert calls(code, "check") >= 1
    assert calls(code, "emitted", "listing") >= 1
    assert PYCON.search(text) or calls(code, "check") >= 1


@pytest.mark.parametrize("name", EXPECTED)
def test_every_engine_equation_is_numbered_under_its_own_name(name: str) -> None:
    assert [key for key, label in EQUATION.findall(page(name)) if key != label] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_every_figure_says_what_can_be_seen(name: str) -> None:
    for code in cells(page(name)):
        for call in ast.walk(ast.parse(code)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "show":
                assert len(call.args) == 2


# What a page claims to have reached, it asserts.
@pytest.mark.parametrize(("name", "claim"), [
    ("backpropagation", "assert min(reached.values()) >= 0.95"),
    ("pooling", "assert right.mean() >= 0.97"),
    ("attention", "assert right >= 0.99"),
    ("attention", "assert named >= 0.97 and L < before.L"),
    ("transformer", "assert bits < 0.75*blind"),
    ("rnn", "assert L/np.log(2) < 0.7*blind"),
    ("perceptron", "assert criterion[-1] == 0"),
])  # fmt: skip
def test_a_result_is_asserted_where_it_is_claimed(name: str, claim: str) -> None:
    assert claim in "\n".join(cells(page(name)))


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_reader_can_copy_runs(name: str) -> None:
    """Each block by itself, as it would be pasted."""
    for k, block in enumerate(PYCON.findall(page(name))):
        test = doctest.DocTestParser().get_doctest(block, {}, f"{name}[{k}]", f"docs/{name}.md", 0)
        output: list[str] = []
        assert doctest.DocTestRunner(verbose=False).run(test, out=output.append).failed == 0, "".join(output)


def test_a_page_of_which_only_the_record_is_cached_stops_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an interrupted build. And no page is deleted for the next one: of two that are added at once, the newer one might be."""
    from jupyter_cache.base import CacheBundleIn
    from jupyter_cache.cache.db import NbCacheRecord
    from nbformat.v4 import new_code_cell, new_notebook

    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    from executed import prepare

    cache = prepare(tmp_path)
    cache.change_cache_limit(1)
    for name in ("one", "two"):
        notebook = new_notebook(cells=[new_code_cell(name)], metadata={"kernelspec": {"name": "python3", "display_name": "Python"}})
        cache.cache_notebook_bundle(CacheBundleIn(notebook, f"{name}.md"), check_validity=False)
    NbCacheRecord.create_record(uri="half.md", hashkey="0"*32, db=cache.db)
    assert sorted(r.uri for r in prepare(tmp_path).list_cache_records()) == ["one.md", "two.md"]


class Calls(TorchFunctionMode):
    """Counts what Python asks PyTorch to do."""

    count = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return function(*args, **kwargs or {})


def calls_from_python(layer: Layer) -> int:
    inputs = layer.inputs(np.random.default_rng(0))
    tensors = {name: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for name, a in inputs.items()}
    with Calls() as calls:
        layer.torch(torch, **tensors)
    return calls.count


def test_the_page_on_speed_marks_what_pytorch_does_step_by_step_from_python() -> None:
    recorded = json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))["layers"]
    assert {r["row"]: r["loop"] for r in recorded} == {name: layer.loop for name, layer in LAYERS.items()}
    counted = {name: calls_from_python(layer) for name, layer in LAYERS.items()}
    assert {name for name, count in counted.items() if count >= 60} == {name for name, layer in LAYERS.items() if layer.loop}, counted


@pytest.mark.parametrize(("place", "kept"), [(0.5, True), (2, False)])
def test_a_figure_whose_words_matplotlib_leaves_out_is_refused(place: float, kept: bool) -> None:
    fig, ax = plt.subplots()
    ax.plot([0, 1], [0, 1])
    ax.annotate("a word", (place, 0.5))
    with contextlib.nullcontext() if kept else pytest.raises(ValueError, match="leaves out 'a word'"):
        show(fig, "A line, and a word.")
