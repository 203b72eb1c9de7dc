"""Mathematics as MathML, made at build time: for the EPUB, where no script runs. A formula that cannot be made is a warning.

The TeX stays beside it as the alternative text, for readers that know no MathML.
"""

import re
from html import escape, unescape

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)\w+;")
logger = logging.getLogger(__name__)
converter = LatexToMathML(xml_namespace=True, fancy_error=False)


def mathml(latex: str, display: bool, location: nodes.Node) -> str:
    """The formula; lines of a display are aligned at their ampersands, as MathJax shows them."""
    if display and (r"\\" in latex or "&" in latex) and not latex.lstrip().startswith(r"\begin{align"):
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    try:
        found = converter.convert_with_local_state(latex, displaystyle=display)
    except LatexError as problem:
        logger.warning("no MathML for %s: %s", latex, problem, location=location)
        return f"<code>{escape(latex)}</code>"
    # XHTML knows none of HTML's named characters but five.
    found = NAMED.sub(lambda name: unescape(name[0]), found)
    return found.replace("<math", f'<math alttext="{escape(latex)}"', 1)


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), False, node))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append(mathml(node.astext(), True, node) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
