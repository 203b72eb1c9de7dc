"""The search, from a folder and without a network: equations and definitions are found by their names."""

import re

import pytest
from looking import BOOK, open_page
from playwright.sync_api import BrowserContext


def results(context: BrowserContext, words: str) -> list[tuple[str, str]]:
    """(text, address) of what the search finds."""
    page, complaints = open_page(context, f"{(BOOK / 'search.html').as_uri()}?q={words}")
    page.wait_for_function("() => /found|did not match/.test(document.querySelector('#search-results')?.textContent)")
    page.wait_for_timeout(300)
    found = page.eval_on_selector_all("#search-results li a", "es => es.map(a => [a.textContent, a.href])")
    page.close()
    assert complaints == []
    return [(text, address) for text, address in found]


@pytest.mark.parametrize("words", ["dW1", "mlp_cross_entropy.dW1", "mlp_cross_entropy"])
def test_an_equation_is_found_by_its_name(desk: BrowserContext, words: str) -> None:
    assert any(re.search(r"\.html#(equation|definition)-", address) for _, address in results(desk, words))


def test_prose_is_found(desk: BrowserContext) -> None:
    assert any("convolution" in address for _, address in results(desk, "convolution"))


def test_nonsense_is_not_found(desk: BrowserContext) -> None:
    assert results(desk, "qwxyzzy") == []
