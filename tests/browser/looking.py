"""How the tests look at a page: in headless Chromium, with every other address blocked, listing what there is to complain about."""

import os
import shutil
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "_build" / "html"
AXE = ROOT / "_build" / "axe" / "axe.min.js"

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
    if (parent.closest('script, style, pre, code, mjx-container, template, textarea')) continue
    if (/\\[a-zA-Z]+[{_^ ]|\\[()[\]]|\$\$|\$\S[^$]*\$/.test(text.data)) complaints.push('raw TeX: ' + text.data.trim())
  }
  // A numbered equation and its wrapper have the same id: that is how MyST writes them, and links work.
  const ids = all('[id]:not(.math-wrapper)').filter(e => !e.closest('mjx-container')).map(e => e.id)
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) != i))) complaints.push('id used twice: ' + id)
  return complaints
}"""

# Figures and mathematics take the colour of the text around them, light or dark.
COLOURS = r"""() => {
  const colour = e => getComputedStyle(e).color
  const text = document.querySelector('article p, article')
  if (!text) return []
  const selector = 'article .figure svg, article p:not([class]) > .math mjx-container'
  return [...document.querySelectorAll(selector)]
    .filter(e => !e.closest('a') && colour(e) != colour(e.closest('div, section, article')))
    .map(e => 'not in the colour of the text: ' + e.outerHTML.slice(0, 120))
}"""

ASK_AXE = r"""async rules => {
  const options = { resultTypes: ['violations'], preload: false, ...(rules ? { runOnly: rules } : {}) }
  const found = await axe.run({ exclude: [['mjx-container']] }, options)
  return found.violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .map(v => `axe: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 120)).join(' | ')}`)
}"""

# What is unfolded fades in, and is pale until then.
SETTLED = "() => document.getAnimations().filter(a => a.effect.getComputedTiming().endTime < Infinity).forEach(a => a.finish())"

# Before axe is asked, what is inside drawings and typeset formulas is taken away: to it they are an image with a text, and
# MathML, and walking through their paths takes longer than all the rest.
BARE = """() => {
  for (const drawing of document.querySelectorAll('svg[role=img], mjx-container')) drawing.replaceChildren()
}"""

TOO_WIDE = r"""() => {
  const width = document.documentElement.clientWidth
  return document.documentElement.scrollWidth > width ? [`wider than ${width} pixels: ${document.documentElement.scrollWidth}`] : []
}"""

READY = """async () => {
  await globalThis.MathJax?.startup?.promise
  await document.fonts.ready
  for (const folded of document.querySelectorAll('details')) folded.open = true
}"""

UNFOLD = "open => { for (const folded of document.querySelectorAll('details')) folded.open = open }"


def launch(playwright: Playwright) -> Browser:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("NNDERIV_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("no Chromium found: install one, or name it in NNDERIV_CHROMIUM")
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


def local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("file", "data", "blob") or parts.hostname in ("127.0.0.1", "localhost")


def open_page(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """The page, complete with its mathematics and all that is folded, and what the browser had to complain about on the way."""
    page, complaints = context.new_page(), []

    def guard(route: Route) -> None:
        if local(route.request.url):
            route.continue_()
        else:
            complaints.append(f"asks for {route.request.url}")
            route.abort()

    page.route("**/*", guard)
    page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("requestfailed", lambda request: complaints.append(f"missing: {request.url}"))
    page.goto(url)
    page.evaluate(READY)
    return page, complaints


def ask_axe(page: Page, *rules: str) -> list[str]:
    """What axe-core finds to be serious or worse; only by these rules, if any are named."""
    if not page.evaluate("() => 'axe' in globalThis"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(ASK_AXE, list(rules) or None)


def every_complaint(context: BrowserContext, file: Path, shots: Path | None = None, name: str = "", axe: str = "light, dark") -> list[str]:
    """All that is wrong with a page at the width of this context, in light and in dark; ``axe``: in which of them it is asked.

    The screenshots show the page as it is when it is opened, all else is looked at with everything unfolded.
    """
    page, complaints = open_page(context, file.as_uri())
    complaints += page.evaluate(COMPLAINTS)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        complaints += page.evaluate(COLOURS) + page.evaluate(TOO_WIDE)
    for scheme in ("light", "dark") if shots else ():
        page.emulate_media(color_scheme=scheme)
        page.evaluate(UNFOLD, False)
        page.screenshot(path=shots / f"{name}-{scheme}.png", full_page=True)
    page.evaluate(BARE)
    page.evaluate(UNFOLD, True)
    page.evaluate(SETTLED)
    for scheme in axe.split(", "):
        page.emulate_media(color_scheme=scheme)
        complaints += ask_axe(page, *(["color-contrast"] if axe.find(scheme) else []))
    page.close()
    return complaints + broken_links(file)


# ---- links


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
        if urlsplit(url).scheme != "file" or place.startswith("def="):  # a definition for the live page is no place in it
            continue
        target = Path(unquote(urlsplit(url).path))
        known = target.is_file() and (not place or target.suffix != ".html" or unquote(place) in anchors(target).places)
        if not known:
            broken.append(f"broken link: {link}")
    return broken
