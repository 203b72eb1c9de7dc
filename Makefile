# Needs make and Python 3.11 or newer, nothing else. The first run of a target installs what it needs into .venv
# (a stamp there remembers it); after that, no target touches the network.
#
#   make book    build the book, and say where it is
#   make serve   the book on http://localhost:8000, where its live page derives what you type
#   make epub    the book as one file, _build/nnderiv.epub
#   make page PAGE=rnn   one page of it, while writing
#   make test    lint, types, and all tests
#   make browser look at every page of the book in headless Chromium
#   make fuzz    the long run of random programs, of some near to real ones, and of gradients made wrong, which the check must catch
#   make documents   every layer's derivation as a LaTeX document, compiled (needs pdflatex): _build/documents
#   make bench   compare the speed with others (BENCH="rows --json run.json" for one table, recorded)
#   make clean   remove what was built, keep what was installed (make distclean removes that too)

PYTHON  ?= python3
PY      := .venv/bin/python
SPHINX  := $(PY) -m sphinx -W --keep-going -E -j auto -c . -d _build/doctrees
VENDOR  := _build/vendor/mathjax/.complete _build/vendor/pyodide/.complete

PROGRAMS ?= 10000
MUTANTS  ?= 40
SEED     ?= 0
LAWS     ?=

.PHONY: help book serve epub page test browser fuzz documents bench clean distclean
# Two targets install into the same .venv: one after the other.
.NOTPARALLEL:

help:
	@sed -n 's/^#   //p' Makefile

# -E reads every page again: a page that failed must fail the next build too. What it computed comes from the cache.
# The folder is made anew: no page of a source that is gone, and no word of it in the index of the search.
book: .venv/.book $(VENDOR)
	@rm -rf _build/html
	$(SPHINX) -b html docs _build/html
	@printf '\nThe book is ready: file://%s/_build/html/index.html\n' '$(CURDIR)'

serve: book
	@echo 'The book, with its live page: http://localhost:8000/live.html   (Ctrl+C ends it)'
	$(PY) -m http.server --bind 127.0.0.1 --directory _build/html 8000

# The date is fixed and the file is packed again: the same book gives the same file.
epub: export SOURCE_DATE_EPOCH = 315532800
epub: .venv/.book $(VENDOR)
	$(PY) -m sphinx -W --keep-going -E -j auto -q -t ebook -c . -d _build/epub-doctrees -b epub docs _build/epub
	$(PY) tools/epub.py _build/epub _build/nnderiv.epub

page: export NNDERIV_PAGE = $(PAGE)
page: .venv/.book $(VENDOR)
	$(PY) -m sphinx --keep-going -E -q -c . -d _build/page-doctrees -b html docs _build/page || true
	@printf '\nfile://%s/_build/page/%s.html\n' '$(CURDIR)' '$(PAGE)'

# One thread for each worker's linear algebra: the workers already fill the cores.
test: export OMP_NUM_THREADS = 1
test: .venv/.test
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/nnderiv regenerate --check
	$(PY) -m pytest -n auto

browser: export NNDERIV_BROWSER = 1
browser: .venv/.browser _build/axe/.complete book
	$(PY) -m pytest -n 2 -rP tests/browser

fuzz: NEAR = emitted,enlarged,emptied
fuzz: export OMP_NUM_THREADS = 1
fuzz: .venv/.test
	$(PY) -m tests.long_run --programs $(PROGRAMS) --seed $(SEED) $(if $(LAWS),--laws $(LAWS))
	$(PY) -m tests.long_run --near --programs $(PROGRAMS) --seed $(SEED) --laws $(or $(LAWS),$(NEAR))
	$(PY) -m tests.mutants --most $(MUTANTS) --seed $(SEED)

documents: .venv/.test
	$(PY) tools/documents.py _build/documents

bench: .venv/.bench
	$(PY) -m benchmarks $(BENCH)

clean:
	rm -rf _build/html _build/doctrees _build/page* _build/epub* _build/nnderiv.epub _build/screenshots _build/cache _build/jupyter_execute dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv _build

# ---- set-up

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "nnderiv needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one:  make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: it comes without ensurepip." >&2; \
	  echo "On Debian and Ubuntu:  apt install python3-venv" >&2; exit 1; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	@touch $@

EXTRAS_book    := book
EXTRAS_test    := book,test
EXTRAS_browser := book,test,browser
EXTRAS_bench   := test,bench

.venv/.book .venv/.test .venv/.browser .venv/.bench: .venv/.%: .venv/.made pyproject.toml
	$(PY) -m pip install --disable-pip-version-check -e '.[$(EXTRAS_$*)]'
	@touch $@

_build/vendor/%/.complete: tools/fetch.py tools/precompile.mjs | .venv/.made
	$(PY) tools/fetch.py $*

_build/axe/.complete: tools/fetch.py | .venv/.made
	$(PY) tools/fetch.py axe
