"""The tests here need the built book and a browser: they run by ``make browser``, and `make test` passes them by."""

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

collect_ignore_glob = [] if os.environ.get("NNDERIV_BROWSER") else ["test_*.py"]

if os.environ.get("NNDERIV_BROWSER"):
    from looking import BOOK, launch
    from playwright.sync_api import Browser, BrowserContext, sync_playwright

    @pytest.fixture(scope="session")
    def browser() -> Iterator[Browser]:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            yield browser
            browser.close()

    PATIENCE = 120_000  # milliseconds: a machine that is busy with other things is no fault of a page

    @pytest.fixture(scope="session")
    def desk(browser: Browser) -> BrowserContext:
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        context.set_default_timeout(PATIENCE)
        return context

    @pytest.fixture(scope="session")
    def telephone(browser: Browser) -> BrowserContext:
        context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
        context.set_default_timeout(PATIENCE)
        return context

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    @pytest.fixture(scope="session")
    def site() -> Iterator[str]:
        """The address of the book, served as files and nothing more."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(BOOK)))
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
