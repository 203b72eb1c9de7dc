"""The README's session prints what it says. `python -m tests.test_readme` runs it and writes down what comes."""

from __future__ import annotations

import code
import contextlib
import io
import re
from pathlib import Path

import pytest

import nnderiv as nd

README = Path(__file__).resolve().parent.parent / "README.md"
SESSION = re.compile(r"(?<=```python\n)>>> .*?(?=```)", re.DOTALL)
EXAMPLES = re.compile(r"(?<=^```\n)[^`]*->[^`]*(?=^```$)", re.MULTILINE)
PROMPT = re.compile(r"^(?:>>> |\.\.\. ?)(.*)$", re.MULTILINE)


def typed(session: str) -> list[str]:
    """What a person types, statement by statement, prompts included."""
    return re.findall(r"^>>> .*\n(?:\.\.\..*\n)*", session, re.MULTILINE)


def run(session: str) -> str:
    """The session, with what its statements print now."""
    console, shown = code.InteractiveConsole(), ""
    for statement in typed(session):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            more = console.push("\n".join(PROMPT.findall(statement)))
        assert not more, statement
        shown += statement + printed.getvalue()
    return shown


def without_rounding(session: str) -> str:
    """Errors of the order of rounding differ between machines."""
    return re.sub(r"\d\.\de-\d\d", "#", session)


def test_the_session_in_the_readme_prints_what_it_says():
    session = SESSION.search(README.read_text(encoding="utf-8")).group()
    assert without_rounding(run(session)) == without_rounding(session)


@pytest.mark.parametrize("text", EXAMPLES.findall(README.read_text(encoding="utf-8")))
def test_an_example_in_the_readme_has_gradients(text):
    assert len(nd.derive(text)) > 0


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(SESSION.sub(lambda found: run(found.group()), text, 1), encoding="utf-8")
