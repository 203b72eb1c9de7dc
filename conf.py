"""How the book is built from ``docs/``: every page is executed, and all that it shows can be read with no network.

``make book`` does it. By hand, once that has set up MathJax and Pyodide:
``sphinx-build -W --keep-going -c . -b html docs _build/html``
"""

import hashlib
import os
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

from jupyter_cache.executors import utils as executors

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
VENDOR = ROOT / "_build" / "vendor"

import executed  # noqa: E402 - it stands beside the book

if not all((VENDOR / name / ".complete").exists() for name in ("mathjax", "pyodide")):
    sys.exit("MathJax and Pyodide are not set up yet: run `make book`, or `python tools/fetch.py mathjax pyodide`.")


def fingerprint() -> str:
    """A name that changes whenever something changes, other than the page itself, on which a page's results depend."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted([*ROOT.glob("nnderiv/**/*"), *ROOT.glob("docs/_ext/*.py"), *ROOT.glob("docs/_static/live/*.py"),
                        *ROOT.glob("tests/suites/*.py")]):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"\0{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    for installed in sorted(f"{package.name}=={package.version}" for package in metadata.distributions()):
        digest.update(f"\0{installed}".encode())
    return digest.hexdigest()[:16]


project = "nnderiv"
author = "The nnderiv developers"
copyright = "The nnderiv developers"
release = version = metadata.version("nnderiv")

extensions = ["myst_nb", "sphinx_design", "sphinx_copybutton", "sphinxcontrib.bibtex", "rendering"]
exclude_patterns = ["_ext", "_static"]
nitpicky = True

# ---- pages: MyST Markdown, executed; equations, figures and tables numbered by chapter
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
numfig = True
math_numfig = True
math_eqref_format = "({number})"

# The cache of executed pages does not see that an imported module changed; its name does.
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "_build" / "cache" / fingerprint())
executed.prepare(Path(nb_execution_cache_path))
nb_execution_timeout = 300
# A kernel has as long to start. There is no setting for it, and on a loaded machine nbclient's 60 seconds can be too few.
executors.executenb = partial(executors.executenb, startup_timeout=nb_execution_timeout)
# `make page PAGE=rnn` executes one page, for those who write it.
if only := os.environ.get("NNDERIV_PAGE"):
    nb_execution_excludepatterns = [f"{path.stem}.md" for path in ROOT.glob("docs/*.md") if path.stem != only]
nb_execution_show_tb = True
nb_merge_streams = True
nb_render_markdown_format = "myst"  # what a helper hands over is a directive

# The kernels start in the folder of their page and find `figures` and its siblings by this.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "docs" / "_ext"), os.environ.get("PYTHONPATH")]))
# Kernels on two cores: one thread each. The debugger's remark on frozen modules is not the reader's concern.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

bibtex_bibfiles = ["docs/references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

# ---- appearance
html_theme = "furo"
html_title = "nnderiv"
html_static_path = ["docs/_static", str(VENDOR)]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": "defer"})]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch the pages, which a browser refuses where the book is opened from a folder
pygments_style = "default"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go, .equation-number"

# ---- mathematics: MathJax and its fonts from the book's own folder. Screen readers get MathML in the page, because
# MathJax's speech needs a Worker, which browsers do not start for a page opened from a folder.
html_math_renderer = "mathjax"  # named, because with two renderers Sphinx would take the other
mathjax_path = "mathjax/tex-chtml.js"
mathjax4_config = {
    "loader": {"load": ["a11y/assistive-mml"], "paths": {"fonts": "[mathjax]/fonts"}},
    "output": {"displayOverflow": "linebreak", "matchFontHeight": False, "scale": 1.12},
    "options": {
        "enableAssistiveMml": True,
        "enableEnrichment": False,
        "enableExplorer": False,
        "enableSpeech": False,
        "enableBraille": False,
        "menuOptions": {"settings": {"assistiveMml": True, "enrich": False, "speech": False, "braille": False}},
    },
}

# ---- EPUB: one file for readers without scripts; what the live page needs stays out of it
epub_basename = "nnderiv"
epub_title = "Gradients, derived"
epub_author = epub_publisher = author
epub_copyright = copyright
epub_description = "Gradients of neural networks: derived, explained, run and checked"
epub_language = "en"
epub_identifier = epub_uid = "nnderiv"
epub_scheme = "URN"
epub_show_urls = "no"
epub_tocdup = False
epub_css_files = ["epub.css"]
epub_exclude_files = ["search.html", "genindex.html"]
if tags.has("ebook"):  # noqa: F821 (Sphinx provides it)
    html_math_renderer = "mathml"
    html_static_path, html_css_files, html_js_files = ["docs/_static/epub.css"], [], []
    extensions.remove("sphinx_copybutton")
    suppress_warnings = ["epub.unknown_project_files"]
