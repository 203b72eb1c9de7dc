"""Exercises, and solutions that are folded, though code runs in them.

    ```{exercise} Which axis?
    :label: ex-axis
    What happens if the softmax takes the other axis?
    ```

    ```{solution-start} ex-axis
    ```
    Prose and cells, as many as needed.
    ```{solution-end}
    ```

A cell inside a directive is not executed; so a solution stands between two marks, and what stands there is folded afterwards.
"""

from typing import ClassVar

from docutils import nodes
from docutils.nodes import make_id
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from . import kinds

logger = logging.getLogger(__name__)


class Exercise(SphinxDirective):
    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"label": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        number = self.env.new_serialno("book-exercise") + 1
        shown = nodes.container("", classes=["exercise"])
        name = f"Exercise {number}" + (f": {self.arguments[0]}" if self.arguments else "")
        shown += nodes.paragraph("", "", nodes.strong("", name), classes=["exercise-head"])
        shown += self.parse_content_to_nodes()
        label = self.options.get("label", f"exercise-{number}")
        shown["ids"].append(make_id(label))
        self.state.document.note_explicit_target(shown)
        self.env.temp_data.setdefault("book-exercises", {})[label] = number
        return [shown]


class Mark(SphinxDirective):
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        opens = self.name == "solution-start"
        label = self.arguments[0] if self.arguments else ""
        known = self.env.temp_data.get("book-exercises", {})
        if opens and label not in known:
            raise self.error(f"there is no exercise {label!r} before this solution")
        summary = f"Solution of exercise {known.get(label, '')}"
        node = kinds.boundary("", opens=opens, summary=summary)
        self.set_source_info(node)
        return [node]


class Fold(SphinxTransform):
    """What stands between two marks goes into one folded node."""

    default_priority = 200

    def apply(self, **kwargs: object) -> None:
        for start in [m for m in self.document.findall(kinds.boundary) if m["opens"]]:
            siblings = start.parent.children
            first = siblings.index(start)
            ends = (k for k in range(first, len(siblings)) if isinstance(siblings[k], kinds.boundary) and not siblings[k]["opens"])
            last = next(ends, None)
            if last is None:
                logger.warning("a solution is not closed before its section ends: add {solution-end}", location=start)
                start.parent.remove(start)
                continue
            inside = siblings[first + 1 : last]
            parent = start.parent
            for node in siblings[first : last + 1]:
                parent.remove(node)
            parent.insert(first, kinds.folded("", *inside, summary=start["summary"], classes=["solution"]))
        for left in list(self.document.findall(kinds.boundary)):
            logger.warning("{solution-end} without {solution-start} in the same section", location=left)
            left.parent.remove(left)


def setup(app: Sphinx) -> None:
    app.add_directive("exercise", Exercise)
    app.add_directive("solution-start", Mark)
    app.add_directive("solution-end", Mark)
    app.add_transform(Fold)
