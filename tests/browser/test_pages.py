"""What a reader's browser shows, page by page: the book opened from its folder, with every other address blocked.

For every page, at the width of a desk and of a telephone, in light and in dark: nothing is fetched from elsewhere, nothing is
missing, the console is silent, all mathematics is typeset and readable aloud, every link leads somewhere, nothing is wider than
the window, and axe-core finds no serious problem. The screenshots are kept in ``_build/screenshots``.
"""

from pathlib import Path

import pytest
from looking import BOOK, ROOT, every_complaint
from playwright.sync_api import BrowserContext

SOURCES = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").glob("*.md"))
PAGES = [*(source.with_suffix(".html") for source in SOURCES), Path("search.html"), Path("genindex.html")]
SHOTS = ROOT / "_build" / "screenshots"


def test_every_source_became_a_page() -> None:
    assert len(SOURCES) >= 12
    assert [str(page) for page in PAGES if not (BOOK / page).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_whole_at_a_desk(desk: BrowserContext, page: Path) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert every_complaint(desk, BOOK / page, SHOTS, f"{page.stem}-1400") == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_whole_on_a_telephone(telephone: BrowserContext, page: Path) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert every_complaint(telephone, BOOK / page, SHOTS, f"{page.stem}-390", axe="dark") == []


# The check can fail: each page below is wrong in one way, and is refused for it.
FAULTS = {
    "raw TeX": r"<p>The sum \(\frac{1}{2}\) of it.</p>",
    "mathematics not typeset": r'<p class="math">x</p>',
    "asks for": '<img alt="a picture" src="https://example.org/picture.png">',
    "missing": '<img alt="a picture" src="nowhere.png">',
    "console": "<script>console.error('oh')</script>",
    "error": "<script>throw new Error('oh')</script>",
    "image without text": '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">',
    "figure without text": "<article><svg></svg></article>",
    "id used twice": '<p id="a"></p><p id="a"></p>',
    "broken link": '<a href="#nowhere">there</a>',
    "wider than": '<div style="width: 3000px">wide</div>',
    "axe: color-contrast": '<p style="color: #ccc; background: #fff">hardly to be seen</p>',
    "axe: link-name": '<a href="#top" id="top"></a>',
    "not in the colour": '<article><p>x</p><div class="figure"><svg style="color: red" role="img" aria-label="x"></svg></div></article>',
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_page_is_refused(desk: BrowserContext, tmp_path: Path, fault: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(f'<!doctype html><html lang="en"><title>A page</title><body>{FAULTS[fault]}')
    assert any(complaint.startswith(fault) for complaint in every_complaint(desk, file))
