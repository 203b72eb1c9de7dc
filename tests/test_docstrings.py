"""The examples in the package's docstrings print what they say."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import nnderiv

ROOT = Path(nnderiv.__file__).parent
PROMPT = re.compile(r"^ *>>> ", re.MULTILINE)
TEXTS = {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}
NAMES = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): len(found)
         for path, text in TEXTS.items() if (found := PROMPT.findall(text))}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_in_a_docstring_prints_what_it_says(name: str) -> None:
    """Each docstring by itself; and each prompt stands where it is found."""
    module, output = importlib.import_module(name), list[str]()
    tests = doctest.DocTestFinder(exclude_empty=True).find(module)
    assert sum(len(test.examples) for test in tests) == NAMES[name]
    for test in tests:
        failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=output.append)
        assert not failed, "".join(output)
