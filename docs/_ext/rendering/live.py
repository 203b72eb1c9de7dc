"""The live page: its frame, and the files it needs: the package itself, and what was computed for each definition of the book."""

import json
import zipfile
from pathlib import Path

from docutils import nodes
from live import session
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

import nnderiv
from nnderiv import layers

from .linking import domain

FIRST = "dense"  # as in live.js
SCRIPTS = ("live/prebuilt.js", "live/live.js")
FRAME = """<div id="live" class="live">
<p class="live-bar"><label for="live-layer">Start from</label> <select id="live-layer"></select></p>
<div class="live-editor"><pre id="live-mirror" aria-hidden="true"></pre><textarea id="live-text" rows="4" wrap="off"
aria-label="Definition in the notation" aria-describedby="live-error" spellcheck="false" autocapitalize="off"
autocomplete="off"></textarea></div>
<div id="live-error" role="alert"></div>
<p id="live-status" role="status"></p>
<div id="live-results"></div>
<noscript><p>This page needs JavaScript.</p></noscript>
</div>
"""


class live_page(nodes.General, nodes.Element):
    """Where the live page is set up, by its script."""


class LivePage(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        # What the page begins with is known before Python has started, and where it never will.
        first = layers.ALL[FIRST].text
        domain(self.env).add(self.env.current_document.docname, "tried", "", text=first, result=session().everything(first))
        return [live_page("")]


def visit(self: HTML5Translator, node: live_page) -> None:
    if self.builder.name != "epub":
        self.body.append(FRAME)


def depart(self: HTML5Translator, node: live_page) -> None:
    pass


def scripts(app: Sphinx, page: str, template: str, context: dict[str, object], doctree: nodes.document | None) -> None:
    if doctree is not None and next(doctree.findall(live_page), None) is not None:
        for script in SCRIPTS:
            app.add_js_file(script, priority=900, loading_method="defer")


def write(app: Sphinx, error: Exception | None) -> None:
    """The package, as it is; and what is known of each definition."""
    if error or app.builder.format != "html" or app.builder.name == "epub":
        return
    folder = Path(app.outdir) / "_static" / "live"
    folder.mkdir(parents=True, exist_ok=True)
    package = Path(nnderiv.__file__).parent
    with zipfile.ZipFile(folder / "nnderiv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*.py")):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(package.parent))), file.read_bytes(), zipfile.ZIP_DEFLATED)
    results = {e["text"]: e["result"] for e in domain(app.env).every("tried")}
    known = {"layers": {name: layer.text for name, layer in layers.ALL.items()}, "results": results}
    (folder / "prebuilt.js").write_text(f"globalThis.nnderivPrebuilt = {json.dumps(known, sort_keys=True)}\n", encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_directive("live-page", LivePage)
    others = {name: (lambda self, node: None, depart) for name in ("latex", "text", "man", "texinfo")}
    app.add_node(live_page, html=(visit, depart), **others)
    app.connect("html-page-context", scripts)
    app.connect("build-finished", write)
