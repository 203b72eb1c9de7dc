"""The built book as a whole: nothing is green by building nothing, every equation has its line among all checks, and back."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from looking import BOOK, ROOT, anchors

from tests.test_book import DOCS, EXPECTED, cells, page

CHECKS = (BOOK / "all_checks.html").read_text(encoding="utf-8")


def labels(name: str) -> list[str]:
    """The labels that a page gives to `equation(..., "label")` in its sources, where they are written out."""
    found = []
    for code in cells(page(name)):
        for call in ast.walk(ast.parse(re.sub(r"^%.*$", "", code, flags=re.MULTILINE))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "equation":
                found += [str(arg.value) for arg in call.args[1:2] if isinstance(arg, ast.Constant)]
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_every_equation_is_listed_among_all_checks_and_links_there_and_back(name: str) -> None:
    built = (BOOK / f"{name}.html").read_text(encoding="utf-8")
    wanted = labels(name)
    for label in wanted:
        anchor = "equation-" + re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
        assert f'id="check-{anchor}"' in CHECKS, label
        assert f'href="{name}.html#{anchor}"' in CHECKS, label
        assert f'href="all_checks.html#check-{anchor}"' in built, label
        assert anchor in anchors(BOOK / f"{name}.html").places, label


def test_all_checks_has_as_many_lines_as_the_book_has_badges() -> None:
    badges = sum(file.read_text(encoding="utf-8").count('class="badge reference') for file in BOOK.glob("*.html"))
    assert badges == len(re.findall(r'<tr[^>]* id="check-equation-', CHECKS)) >= 60


def test_code_and_equations_refer_to_each_other() -> None:
    pages = [file.read_text(encoding="utf-8") for file in BOOK.glob("*.html")]
    assert sum(text.count('class="line-equation"') for text in pages) >= 20
    assert sum(text.count('class="used-in"') for text in pages) >= 20


def test_the_live_page_has_what_it_needs() -> None:
    for file in ("live/nnderiv.zip", "live/session.py", "live/worker.mjs", "pyodide/pyodide.mjs", "pyodide/python.zip"):
        assert (BOOK / "_static" / file).stat().st_size > 1000
    known = json.loads((BOOK / "_static/live/prebuilt.js").read_text(encoding="utf-8").partition("=")[2])
    assert len(known["results"]) >= 10
    assert all(result["check"]["ok"] and result["gradients"]["gradients"] for result in known["results"].values())


def test_the_same_sources_give_the_same_pages(tmp_path: Path) -> None:
    """Built a second time from what was computed before; `_build/cache` holds the outputs of the cells."""
    command = [sys.executable, "-m", "sphinx", "-E", "-q", "-j", "2", "-c", ".", "-d", str(tmp_path / "trees"), "-b", "html", "docs"]
    subprocess.run([*command, str(tmp_path / "html")], cwd=ROOT, check=True, capture_output=True)
    files = [*sorted(file.relative_to(BOOK) for file in BOOK.glob("*.html")), Path("searchindex.js"), Path("_static/live/prebuilt.js")]
    assert len(files) > len(list(DOCS.glob("*.md")))
    assert [str(file) for file in files if (BOOK / file).read_bytes() != (tmp_path / "html" / file).read_bytes()] == []
