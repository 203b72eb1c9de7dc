"""What can only be said when all pages are read: badges, lines of code and their equations, and the page of all checks."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from . import kinds
from .directives import box, row, table
from .domain import BookDomain, Entry

CHECKS = "all_checks"
WORDS = {"exact": "exact identity", "differences": "finite differences", "emitted": "emitted code", "slopes": "slopes of the code",
         "float32": "single precision"}

logger = logging.getLogger(__name__)


def domain(env: BuildEnvironment) -> BookDomain:
    found = env.get_domain("book")
    assert isinstance(found, BookDomain)
    return found


def number(env: BuildEnvironment, entry: Entry) -> str:
    """The number of an equation as the page shows it: 3.7"""
    figures = env.toc_fignumbers.get(entry["page"], {}).get("displaymath", {})
    return ".".join(map(str, figures.get(entry["anchor"], ())))


def words(evidence: list[Entry]) -> list[str]:
    """The kinds of evidence, in words."""
    return list(dict.fromkeys(WORDS.get(e["kind"], e["kind"]) for e in evidence))


class Linker:
    """Fills in the placeholders of one page."""

    def __init__(self, app: Sphinx, page: str):
        self.app, self.env, self.page, self.book = app, app.env, page, domain(app.env)

    def uri(self, page: str, anchor: str) -> str:
        relative = self.app.builder.get_relative_uri(self.page, page) if page != self.page else ""
        return f"{relative}#{anchor}"

    def link(self, text: str, page: str, anchor: str, **attributes: Any) -> nodes.reference:
        return nodes.reference("", text, internal=True, refuri=self.uri(page, anchor), **attributes)

    def badge(self, node: kinds.badge) -> None:
        entry = next(e for e in self.book.every("equation") if e["label"] == node["label"])
        trials = sum(e["trials"] for e in entry["evidence"])
        kinds_ = [w for w in words(entry["evidence"]) if w in ("exact identity", "finite differences") or w.startswith("oracle")]
        text = "✓ " + ", ".join(kinds_)
        hint = f"{', '.join(words(entry['evidence']))}: {trials} trials. Opens the page of all checks."
        node.replace_self(self.link(text, CHECKS, f"check-{entry['anchor']}", classes=["badge"], reftitle=hint))

    def used_in(self, node: kinds.used_in) -> None:
        """The lines that compute this equation: on this page, or failing that anywhere."""
        places = [(e, k) for e in self.book.every("listing") if e["key"] == node["key"]
                  for k, tensor in e["tensors"].items() if tensor == node["tensor"]]
        places = [p for p in places if p[0]["page"] == self.page] or places
        if not places:
            node.parent.remove(node)
            return
        links: list[nodes.Node] = [nodes.Text("code: ")]
        for entry, k in places:
            links += [self.link(f"line {k}", entry["page"], f"{entry['anchor']}-{k}"), nodes.Text(", ")]
        node.replace_self(nodes.inline("", "", *links[:-1], classes=["used-in"]))

    def code(self, node: kinds.code_with_links) -> None:
        """Each line that computes an equation of the book links to it; one on the same page comes first."""
        known: dict[str, Entry] = {}
        for e in self.book.every("equation"):
            if e["key"] == node["key"] and (e["tensor"] not in known or e["page"] == self.page):
                known.setdefault(e["tensor"], e) if e["page"] != self.page else known.update({e["tensor"]: e})
        for k, tensor in node["tensors"].items():
            if tensor in known:
                e = known[tensor]
                node["links"][k] = (self.uri(e["page"], e["anchor"]), number(self.env, e), e["text"])

    def try_link(self, node: kinds.try_link) -> None:
        if self.app.builder.format != "html" or self.app.builder.name == "epub" or "live" not in self.env.found_docs:
            node.parent.remove(node)
            return
        from urllib.parse import quote

        uri = self.uri("live", "def=" + quote(node["text"], safe=""))
        link = nodes.reference("", "Try it: edit this definition", internal=True, refuri=uri, classes=["try-it"])
        node.replace_self(nodes.paragraph("", "", link, classes=["try-line"]))

    def all_checks(self, node: kinds.all_checks) -> None:
        node.replace_self(overview(self))


def overview(linker: Linker) -> list[nodes.Node]:
    """Every equation of every page with its evidence, then every report."""
    book, env = linker.book, linker.env
    order = {page: k for k, page in enumerate(reading_order(env))}
    pages = sorted({e["page"] for kind in ("equation", "check") for e in book.every(kind)}, key=lambda p: (order.get(p, 10**6), p))
    equations, checks = list(book.every("equation")), list(book.every("check"))
    trials = sum(r["trials"] for e in equations for r in e["evidence"]) + sum(int(r[2]) for c in checks for r in c["rows"])
    total = f"{len(equations)} equations on {len(pages)} pages, {trials} trials. All agree, or this page would not exist."
    found: list[nodes.Node] = [nodes.paragraph("", total, classes=["verdict"])]
    for page in pages:
        found.append(nodes.rubric("", "", linker.link(env.titles[page].astext(), page, ""), classes=["page-of-checks"]))
        own = [e for e in equations if e["page"] == page]
        if own:
            found.append(of_page(linker, own))
        reports = [c for c in checks if c["page"] == page]
        if reports:
            links: list[nodes.Node] = [nodes.Text("Full reports: ")]
            for c in reports:
                links += [linker.link(c["of"] or "a definition of the page", page, c["anchor"]), nodes.Text(", ")]
            found.append(nodes.paragraph("", "", *links[:-1]))
    return found


def of_page(linker: Linker, entries: list[Entry]) -> nodes.container:
    """The table of one page; a line for each equation."""
    shown = table(("equation", "gradient", "of", "evidence", "trials", "worst error"), [])
    body = next(iter(shown.findall(nodes.tbody)))
    for e in entries:
        worst = max((r["error"] for r in e["evidence"] if r["kind"] != "float32"), key=float)
        line = row(([linker.link(f"({number(linker.env, e)})", e["page"], e["anchor"])], [nodes.literal("", e["tensor"])], e["of"] or "–",
                    ", ".join(words(e["evidence"])), str(sum(r["trials"] for r in e["evidence"])), worst))
        line["ids"].append(f"check-{e['anchor']}")
        body += line
    return shown


def reading_order(env: BuildEnvironment) -> list[str]:
    """The pages in the order of the table of contents."""
    found, waiting = [], [env.config.root_doc]
    while waiting:
        page = waiting.pop(0)
        if page not in found:
            found.append(page)
            waiting[:0] = env.toctree_includes.get(page, [])
    return found


def fill(app: Sphinx, doctree: nodes.document, page: str) -> None:
    linker = Linker(app, page)
    for kind, method in ((kinds.badge, linker.badge), (kinds.used_in, linker.used_in), (kinds.code_with_links, linker.code),
                         (kinds.try_link, linker.try_link), (kinds.all_checks, linker.all_checks)):
        for node in list(doctree.findall(kind)):
            method(node)


def consistent(app: Sphinx, env: BuildEnvironment) -> None:
    """Nothing is green by listing nothing; no equation without evidence, none listed twice."""
    equations = list(domain(env).every("equation"))
    if CHECKS in env.found_docs and not equations:
        logger.warning("the page of all checks would be empty: no page shows an equation", location=CHECKS)
    for e in equations:
        if not e["evidence"]:
            logger.warning("equation %s has no evidence", e["label"], location=e["page"])


def setup(app: Sphinx) -> None:
    app.connect("doctree-resolved", fill)
    app.connect("env-check-consistency", consistent)


__all__ = ["box", "setup"]
