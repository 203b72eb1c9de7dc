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


@pytest.mark.parametrize(("words", "equation"), [
    ("softmax gradient", "backpropagation.html#equation-softmax-dx"),
    ("batch norm backward", "transformer.html#equation-batch-dx"),
    ("layer norm backward", "transformer.html#equation-norm-dx"),
    ("conv2d backward", "convolution_backward.html#equation-conv-dx"),
    ("cross entropy gradient", "backpropagation.html#equation-cross-entropy-dz"),
    ("lstm backward", "rnn.html#equation-lstm-df")])
def test_a_backward_pass_is_found_by_the_words_of_those_who_look_for_it(desk: BrowserContext, words: str, equation: str) -> None:
    assert any(address.endswith(equation) for _, address in results(desk, words))


@pytest.mark.parametrize("words", ["col2im", "BPTT", "batchnorm", "layernorm", "maxpool", "RMSNorm", "numerical gradient check"])
def test_the_field_s_short_words_are_found(desk: BrowserContext, words: str) -> None:
    assert results(desk, words)


def test_what_is_found_is_shown_as_text(desk: BrowserContext) -> None:
    assert all("&" not in text for text, _ in results(desk, "Newton"))


def test_prose_is_found(desk: BrowserContext) -> None:
    assert any("convolution" in address for _, address in results(desk, "convolution"))


def test_nonsense_is_not_found(desk: BrowserContext) -> None:
    assert results(desk, "qwxyzzy") == []
