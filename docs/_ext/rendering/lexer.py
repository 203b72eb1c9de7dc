"""Colours for the notation."""

from typing import ClassVar

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, Text
from sphinx.application import Sphinx

from nnderiv.expr import REDUCTIONS, UNARY


class NotationLexer(RegexLexer):
    name = "nnderiv"
    tokens: ClassVar = {
        "root": [
            (r"#.*", Comment.Single),
            (words(("int", "given", "for", "and", "or", "not"), suffix=r"\b"), Keyword),
            (words((*REDUCTIONS, *UNARY, "where"), suffix=r"\b"), Name.Builtin),
            (r"[^\W\d]\w*", Name),
            (r"\d+(\.\d+)?", Number),
            (r"->|\*\*|//|[<>=!]=|[-+*/%<>=]", Operator),
            (r"[][(),]", Punctuation),
            (r"\s+", Text),
        ]
    }


def setup(app: Sphinx) -> None:
    app.add_lexer("nnderiv", NotationLexer)
