"""The nodes that docutils does not have."""

from docutils import nodes


class folded(nodes.General, nodes.Element):
    """Content under a line of its own ("summary"), opened on request; always open where nothing can be opened."""


class code_with_links(nodes.General, nodes.Element):
    """Emitted source; "tensors" maps a line to what it computes, "links" (filled in later) to (uri, number, title)."""


class badge(nodes.General, nodes.Element):
    """Stands for the evidence of the equation "label" until all pages are read."""


class used_in(nodes.General, nodes.Element):
    """Stands for the lines of code that compute the equation "label"."""


class try_link(nodes.General, nodes.Element):
    """A link that opens a definition in the live page; nothing where there is no live page."""


class all_checks(nodes.General, nodes.Element):
    """Stands for the table of all evidence in the book."""


class boundary(nodes.General, nodes.Element):
    """Where a solution begins or ends."""
