"""What the pages register, page by page, so that they can refer to each other and be listed together."""

from collections.abc import Iterable, Iterator, Set
from typing import Any, ClassVar

from sphinx.application import Sphinx
from sphinx.domains import Domain, ObjType

Entry = dict[str, Any]


class BookDomain(Domain):
    """Entries by page. Equations, definitions and errata are objects too: the search finds them by name."""

    name = "book"
    label = "The book"
    # The search looks for its words in these labels too: so "layer norm backward" and "softmax gradient" lead to an equation.
    object_types: ClassVar = {
        "equation": ObjType("gradient, from the backward pass"),
        "definition": ObjType("definition"),
        "erratum": ObjType("erratum"),
    }
    initial_data: ClassVar = {"pages": {}}
    data_version = 1

    @property
    def pages(self) -> dict[str, list[Entry]]:
        return self.data.setdefault("pages", {})

    def add(self, page: str, kind: str, anchor: str, **entry: Any) -> None:
        self.pages.setdefault(page, []).append({"kind": kind, "page": page, "anchor": anchor, **entry})

    def every(self, kind: str) -> Iterator[Entry]:
        """All entries of a kind, in the order of the pages' names."""
        return (e for page in sorted(self.pages) for e in self.pages[page] if e["kind"] == kind)

    def clear_doc(self, docname: str) -> None:
        self.pages.pop(docname, None)

    def merge_domaindata(self, docnames: Set[str], otherdata: dict[str, Any]) -> None:
        for docname in docnames:
            if docname in otherdata["pages"]:
                self.pages[docname] = otherdata["pages"][docname]

    def get_objects(self) -> Iterable[tuple[str, str, str, str, str, int]]:
        for kind in self.object_types:
            for e in self.every(kind):
                # The search would show a plain apostrophe as the letters of its HTML.
                name = e["name"].replace("'", "’")
                yield name, name, kind, e["page"], e["anchor"], 1

    def get_full_qualified_name(self, node: Any) -> None:
        return None


def setup(app: Sphinx) -> None:
    app.add_domain(BookDomain)
