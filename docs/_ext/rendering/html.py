"""How the book's own nodes are written as HTML, for the site and for the EPUB."""

import re
from html import escape
from typing import Any

from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from . import kinds

COMMENT = re.compile(r'(<span class="c1">)(.*?)(</span>)')


def visit_folded(self: HTML5Translator, node: kinds.folded) -> None:
    if self.builder.name == "epub":
        self.body.append(self.starttag(node, "div", CLASS="folded"))
        self.body.append(f'<p class="summary">{escape(node["summary"])}</p>\n')
    else:
        self.body.append(self.starttag(node, "details", CLASS="folded"))
        self.body.append(f"<summary>{escape(node['summary'])}</summary>\n")


def depart_folded(self: HTML5Translator, node: kinds.folded) -> None:
    self.body.append("</div>\n" if self.builder.name == "epub" else "</details>\n")


def visit_code(self: HTML5Translator, node: kinds.code_with_links) -> None:
    highlighted = self.highlighter.highlight_block(node["source"], "python", location=node)
    before, pre, rest = highlighted.partition("<pre>")
    code, end, after = rest.rpartition("</pre>")
    lines = [line_of(node, k, text) for k, text in enumerate(code.split("\n"), start=1)]
    self.body.append(self.starttag(node, "div", CLASS="highlight-python notranslate"))
    self.body.append(before + pre + "\n".join(lines) + end + after + "</div>\n")


def line_of(node: kinds.code_with_links, k: int, text: str) -> str:
    """A line with an anchor if it computes something, and with a link if the equation is in the book."""
    if k in node["links"]:
        uri, number, title = node["links"][k]
        link = f'<a class="line-equation" href="{escape(uri)}" title="{escape(title)}">'
        shown = f' <a class="equation-number" href="{escape(uri)}">({number})</a>'
        text = COMMENT.sub(lambda m: f"{m[1]}{link}{m[2]}</a>{m[3]}{shown}", text, count=1)
    return f'<span id="{node["ids"][0]}-{k}"></span>{text}' if k in node["tensors"] else text


REPAIRS = {
    # A heading without a level is none for a screen reader.
    'role="heading">': 'role="heading" aria-level="2">',
    # Its children are entries of a bibliography, which a list may not hold.
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # Says less than the text that can be seen.
    ' aria-label="Toggle hidden content"': "",
}


def repaired(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """What theme and extensions write, with what keeps it from being read aloud put right."""
    for part in ("body", "furo_navigation_tree"):
        for wrong, right in REPAIRS.items():
            if isinstance(context.get(part), str):
                context[part] = context[part].replace(wrong, right)


def nothing(self: Any, node: Any) -> None:
    pass


def unresolved(self: Any, node: Any) -> None:
    raise AssertionError(f"{type(node).__name__} was never filled in")


def setup(app: Sphinx) -> None:
    others = {name: (nothing, nothing) for name in ("latex", "text", "man", "texinfo")}
    app.add_node(kinds.folded, html=(visit_folded, depart_folded), **others)
    app.add_node(kinds.code_with_links, html=(visit_code, nothing), **others)
    app.connect("html-page-context", repaired, priority=900)
    for placeholder in (kinds.badge, kinds.used_in, kinds.try_link, kinds.all_checks, kinds.boundary):
        app.add_node(placeholder, html=(unresolved, nothing), **others)
