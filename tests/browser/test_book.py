"""What a reader's browser shows, page by page: the book opened from its folder, with every other address blocked.

For every page: nothing is fetched from elsewhere, nothing is missing, the console is silent, all mathematics is
typeset and readable aloud, every link leads somewhere, and nothing is wider than a telephone.
"""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "_build" / "html"
SOURCES = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
PAGES = [source.with_suffix(".html") for source in SOURCES]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

# What the page itself can be asked. Each answer is a list of complaints.
COMPLAINTS = r"""() => {
  const complaints = []
  const all = selector => [...document.querySelectorAll(selector)]
  const short = element => element.outerHTML.slice(0, 120)
  for (const e of all('.math'))
    if (!e.querySelector('mjx-container')) complaints.push('mathematics not typeset: ' + short(e))
  for (const e of all('mjx-container'))
    if (!e.querySelector('mjx-assistive-mml math')) complaints.push('mathematics without MathML: ' + short(e))
  for (const e of all('mjx-merror, [data-mjx-error]')) complaints.push('error in TeX: ' + e.textContent)
  for (const e of all('img'))
    if (!e.alt) complaints.push('image without text: ' + short(e))
  for (const e of all('article svg'))
    if (e.getAttribute('role') != 'img' || !e.getAttribute('aria-label'))
      if (!e.closest('a, button, [aria-hidden]')) complaints.push('figure without text: ' + short(e))
  const prose = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (prose.nextNode()) {
    const text = prose.currentNode, parent = text.parentElement
    if (parent.closest('script, style, pre, code, mjx-container, template')) continue
    if (/\\[a-zA-Z]+[{_^ ]|\\[()[\]]|\$\$|\$\S[^$]*\$/.test(text.data)) complaints.push('raw TeX: ' + text.data.trim())
  }
  // A numbered equation and its wrapper have the same id: that is how MyST writes them, and links work.
  const ids = all('[id]:not(.math-wrapper)').filter(e => !e.closest('mjx-container')).map(e => e.id)
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) != i))) complaints.push('id used twice: ' + id)
  return complaints
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("NNDERIV_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("no Chromium found: install one, or name it in NNDERIV_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def open_page(browser: Browser, file: Path, **settings: object) -> tuple[Page, list[str]]:
    """The page, complete with its mathematics, and what the browser had to complain about on the way."""
    context = browser.new_context(**settings)  # type: ignore[arg-type]
    page, complaints = context.new_page(), []

    def guard(route) -> None:
        url = route.request.url
        if urlsplit(url).scheme in ("file", "data", "blob"):
            route.continue_()
        else:
            complaints.append(f"asks for {url}")
            route.abort()

    context.route("**/*", guard)
    page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("requestfailed", lambda request: complaints.append(f"missing: {request.url}"))
    page.goto(file.as_uri())
    page.evaluate("() => globalThis.MathJax?.startup?.promise")
    page.evaluate("() => document.fonts.ready")
    return page, complaints


class Anchors(HTMLParser):
    """Collects the links of a page and the places in it that a link can lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.places.update(value for key in ("id", "name") if (value := values.get(key)))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")


@cache
def anchors(file: Path) -> Anchors:
    parser = Anchors()
    parser.feed(file.read_text(encoding="utf-8"))
    return parser


def broken_links(file: Path) -> list[str]:
    """The links of the page that lead to no file, or to no place in it; other hosts' addresses are not followed."""
    broken = []
    for link in anchors(file).links:
        url, place = urldefrag(urljoin(file.as_uri(), link))
        if urlsplit(url).scheme != "file":
            continue
        target = Path(unquote(urlsplit(url).path))
        known = target.is_file() and (not place or target.suffix != ".html" or unquote(place) in anchors(target).places)
        if not known:
            broken.append(f"broken link: {link}")
    return broken


def complaints_about(browser: Browser, file: Path) -> list[str]:
    page, complaints = open_page(browser, file)
    complaints += page.evaluate(COMPLAINTS)
    page.context.close()
    return complaints + broken_links(file)


def test_every_source_became_a_page() -> None:
    assert len(SOURCES) >= 3
    assert [str(page) for page in PAGES if not (BOOK / page).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_reader_without_network_sees_a_whole_page(browser: Browser, page: Path) -> None:
    assert complaints_about(browser, BOOK / page) == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_page_is_wider_than_a_telephone(browser: Browser, page: Path) -> None:
    opened, _ = open_page(browser, BOOK / page, viewport={"width": 390, "height": 844})
    assert opened.evaluate("() => document.documentElement.scrollWidth") <= 390
    opened.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES, ids=str)
def test_figures_and_mathematics_take_the_colour_of_the_text(browser: Browser, page: Path, scheme: str) -> None:
    opened, _ = open_page(browser, BOOK / page, color_scheme=scheme)
    colour = "e => getComputedStyle(e).color"
    text = opened.eval_on_selector("article p, article", colour)
    found = opened.eval_on_selector_all("article .figure svg, article p mjx-container", f"es => es.map({colour})")
    assert set(found) <= {text}
    opened.context.close()


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
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_page_is_refused(browser: Browser, tmp_path: Path, fault: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title>A page</title><body>{FAULTS[fault]}")
    assert any(complaint.startswith(fault) for complaint in complaints_about(browser, file))
