"""The Sphinx side of the book: turns what cells hand over (see ``blocks``) into nodes, links them, and lists all evidence.

    domain      what every page registers: equations with their evidence, listings, checks, errata, definitions
    directives  book-equation, book-steps, book-check, book-listing, book-erratum, book-try; exercise, solution-start/-end
    linking     after all pages are read: badges, lines <-> equations, the page of all checks
    lexer       colours for the notation
    live        the frame of the live page, and its files
    mathml      mathematics where no script runs
    html        how the new nodes are written
"""

from typing import Any

from sphinx.application import Sphinx

from . import directives, domain, exercises, html, lexer, linking, live, mathml


def setup(app: Sphinx) -> dict[str, Any]:
    domain.setup(app)
    directives.setup(app)
    exercises.setup(app)
    linking.setup(app)
    html.setup(app)
    lexer.setup(app)
    live.setup(app)
    mathml.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
