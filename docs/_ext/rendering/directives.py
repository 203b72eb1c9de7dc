"""The blocks of a page as nodes; each registers what others refer to."""

import json
from typing import Any

from docutils import nodes
from docutils.nodes import make_id
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import kinds
from .domain import BookDomain

FORMS = {"index": "", "matrix": "-matrix"}


class BlockDirective(SphinxDirective):
    """A directive whose content is JSON."""

    has_content = True

    @property
    def data(self) -> dict[str, Any]:
        return json.loads("\n".join(self.content))

    @property
    def page(self) -> str:
        return self.env.current_document.docname

    @property
    def book(self) -> BookDomain:
        domain = self.env.get_domain("book")
        assert isinstance(domain, BookDomain)
        return domain

    def formula(self, latex: str, label: str = "") -> list[nodes.Node]:
        """A displayed formula; numbered where it has a label."""
        node = nodes.math_block(latex, latex, docname=self.page, number=None, label=label or None, classes=[])
        node["no-wrap"] = node["nowrap"] = False
        self.set_source_info(node)
        if not label:
            return [node]
        math = self.env.domains.math_domain
        math.note_equation(self.page, label, location=node)
        node["number"] = math.get_equation_number_for(label)
        target = nodes.target("", "", ids=[make_id(f"equation-{label}")])
        self.state.document.note_explicit_target(target)
        return [target, node]

    def anchor(self, node: nodes.Element, name: str) -> str:
        node["ids"].append(make_id(name))
        self.state.document.note_explicit_target(node)
        return node["ids"][0]


def box(*children: nodes.Node, classes: tuple[str, ...]) -> nodes.container:
    node = nodes.container("", *children)
    node["classes"] += classes
    return node


def inline(text: str) -> list[nodes.Node]:
    """A sentence with formulas between dollars."""
    parts = enumerate(text.split("$"))
    return [nodes.math(part, part) if k % 2 else nodes.Text(part) for k, part in parts if part]


def steps_of(directive: BlockDirective, summary: str, steps: list[dict[str, Any]]) -> kinds.folded:
    """A derivation: its lines, each under its rule and its reason."""
    items = nodes.enumerated_list("", enumtype="arabic", prefix="", suffix=".", classes=["steps"])
    for s in steps:
        head = nodes.paragraph("", "", nodes.strong("", s["rule"]), nodes.Text(". "), *inline(s["said"]))
        tested = nodes.paragraph("", s["tested"], classes=["tested"])
        items += nodes.list_item("", head, *directive.formula(s["latex"]), tested)
    return kinds.folded("", items, summary=summary, classes=["derivation"])


class Equation(BlockDirective):
    def run(self) -> list[nodes.Node]:
        d = self.data
        shown = box(classes=("gradient",))
        first = ""
        for form, latex in d["formulas"].items():
            label = d["label"] + (FORMS[form] if "index" in d["formulas"] else "")
            first = first or label
            shown += self.formula(latex, label)
        notes = (kinds.badge("", label=first), kinds.used_in("", key=d["key"], tensor=d["tensor"]))
        shown += nodes.paragraph("", "", *notes, classes=["under-equation"])
        if d["steps"]:
            many = f"{len(d['steps'])} step" + "s" * (len(d["steps"]) > 1)
            shown += steps_of(self, f"Derivation of {d['tensor']} in {many}", d["steps"])
        name = f"{d['of']}.{d['tensor']}" if d["of"] else d["tensor"]
        self.book.add(self.page, "equation", make_id(f"equation-{first}"), name=name, label=first, tensor=d["tensor"], of=d["of"],
                      key=d["key"], text=d["text"], evidence=d["evidence"])
        return [shown]


class Steps(BlockDirective):
    def run(self) -> list[nodes.Node]:
        d = self.data
        self.book.add(self.page, "steps", "", tensor=d["tensor"], key=d["key"], count=len(d["steps"]))
        return [steps_of(self, d["summary"], d["steps"])]


class Check(BlockDirective):
    def run(self) -> list[nodes.Node]:
        d = self.data
        counted = {row[0] for row in d["rows"]} - {"forward"}
        trials = sum(int(row[2]) for row in d["rows"])
        verdict = f"All agree: {len(counted)} gradient{'s' * (len(counted) > 1)}, {trials} trials, seed {d['seed']}"
        head = ("tensor", "evidence", "trials", "sizes", "error", "allowed")
        evidence = kinds.folded("", table(head, d["rows"]), summary=verdict, classes=["evidence"])
        anchor = self.anchor(evidence, f"check-of-{d['of'] or d['key']}-{self.env.new_serialno('book-check')}")
        self.book.add(self.page, "check", anchor, of=d["of"], key=d["key"], rows=d["rows"], seed=d["seed"])
        found: list[nodes.Node] = [evidence]
        if d["doctest"]:
            found.append(nodes.literal_block(d["doctest"], d["doctest"], language="pycon", classes=["to-copy"]))
        return found


class ListingDirective(BlockDirective):
    def run(self) -> list[nodes.Node]:
        d = self.data
        tensors = {int(k): tensor for k, tensor in d["tensors"].items()}
        node = kinds.code_with_links("", source=d["source"], tensors=tensors, key=d["key"], links={}, classes=["emitted"])
        anchor = self.anchor(node, d["label"])
        self.book.add(self.page, "listing", anchor, key=d["key"], of=d["of"], tensors=tensors)
        caption = [nodes.paragraph("", d["caption"], classes=["code-caption"])] if d["caption"] else []
        return [*caption, node]


class Erratum(BlockDirective):
    def run(self) -> list[nodes.Node]:
        d = self.data
        shown = box(classes=("erratum",))
        anchor = self.anchor(shown, f"erratum-{d['label']}")
        head = (nodes.strong("", d["title"]), nodes.inline("", d["where"], classes=["where"]))
        shown += nodes.paragraph("", "", *head, classes=["erratum-head"])
        said = box(nodes.paragraph("", "The notes say"), *self.formula(d["says"]), classes=("says",))
        true = box(nodes.paragraph("", "What is true"), *self.formula(d["true"]), classes=("true",))
        shown += box(said, true, classes=("erratum-pair",))
        if d["why"]:
            shown += self.parse_text_to_nodes(d["why"])
        verdict = nodes.paragraph("", "The check above refutes the one and confirms the other.", classes=["tested"])
        if d["chapter"]:
            verdict += nodes.Text(" More in ")
            verdict += self.parse_inline(f"{{doc}}`{d['chapter']}`")[0]
            verdict += nodes.Text(".")
        shown += verdict
        self.book.add(self.page, "erratum", anchor, name=d["title"], label=d["label"], where=d["where"])
        return [shown]


class Try(BlockDirective):
    def run(self) -> list[nodes.Node]:
        d = self.data
        shown = box(classes=("definition",))
        if d["shown"]:
            shown += nodes.literal_block(d["text"], d["text"], language="nnderiv", classes=["definition-text"])
        shown += kinds.try_link("", text=d["text"])
        self.book.add(self.page, "tried", "", text=d["text"], result=d["result"])
        name = d["text"].removeprefix("# ").partition(":")[0] if d["text"].startswith("# ") else ""
        if name.isidentifier():
            anchor = self.anchor(shown, f"definition-{name}-{self.env.new_serialno('book-try')}")
            self.book.add(self.page, "definition", anchor, name=name)
        return [shown]


class AllChecks(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [kinds.all_checks("")]


def table(head: tuple[str, ...], rows: list[list[Any]], classes: tuple[str, ...] = ("checks",)) -> nodes.container:
    """A table in a box that scrolls by itself; a cell is a text or a list of inline nodes."""
    group = nodes.tgroup("", *(nodes.colspec("", colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", row(head))
    group += nodes.tbody("", *(row(cells) for cells in rows))
    whole = nodes.table("", group, classes=list(classes))
    return box(whole, classes=("table-scroll",))


def row(cells: Any) -> nodes.row:
    inline = [[nodes.Text(c)] if isinstance(c, str) else c for c in cells]
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *c)) for c in inline))


def setup(app: Sphinx) -> None:
    blocks = {"equation": Equation, "steps": Steps, "check": Check, "listing": ListingDirective, "erratum": Erratum, "try": Try}
    for name, directive in blocks.items():
        app.add_directive(f"book-{name}", directive)
    app.add_directive("all-checks", AllChecks)
