"""The live page, in a browser: it derives and checks what is typed, points at mistakes, and helps where it cannot run."""

import pytest
from looking import BOOK, local
from playwright.sync_api import BrowserContext, Page, expect

import nnderiv as nd
from nnderiv import layers

DEFINITION = "X[N,I], W[I,O] -> Y\nY[n,o] = tanh(sum[i](X[n,i]*W[i,o]))"
COLD, EDIT = 60_000, 5_000  # after which it hangs; what was measured is printed, and shown with -rP


@pytest.fixture(scope="module")
def live(desk: BrowserContext, site: str) -> Page:
    """The page, with Python started in it."""
    page = desk.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/live.html")
    page.wait_for_selector("body[data-live-ready]", timeout=COLD)
    print(f"cold start: {page.get_attribute('body', 'data-live-ready')} s")
    assert [url for url in asked if not local(url)] == []
    return page


def derive(page: Page, text: str) -> int:
    """Type the text; the milliseconds until its gradients are typeset."""
    page.evaluate("() => { document.getElementById('live-results').dataset.milliseconds = '' }")
    page.fill("#live-text", text)
    page.wait_for_function("() => document.getElementById('live-results').dataset.milliseconds", timeout=EDIT)
    return int(page.get_attribute("#live-results", "data-milliseconds") or 0)


def test_what_is_typed_is_derived_and_checked(live: Page) -> None:
    derive(live, DEFINITION)
    expect(live.locator("#live-gradients details.derivation")).to_have_count(2)
    expect(live.locator("#live-gradients .gradient[data-name=dW] mjx-container")).to_have_count(2)
    expect(live.locator("#live-check p.verdict[data-ok=true]")).to_be_visible(timeout=COLD)
    expect(live.locator("#live-code pre")).to_contain_text("dW = X.T @ ")
    assert "def=X%5BN%2CI%5D" in live.url


def test_a_derivation_opens_on_request(live: Page) -> None:
    derive(live, DEFINITION)
    live.click("#live-gradients .gradient[data-name=dW] summary")
    first = live.locator("#live-gradients .gradient[data-name=dW] ol.steps > li").first
    expect(first).to_be_visible(timeout=COLD)
    expect(first.locator("p").first.locator("mjx-container").first).to_be_visible(timeout=COLD)  # what is said is typeset, too


def test_a_mistake_is_shown_at_its_place(live: Page) -> None:
    live.fill("#live-text", DEFINITION.replace("W[i,o]", "V[i,o]"))
    expect(live.locator("#live-mirror mark")).to_have_text("V")
    expect(live.locator("#live-error")).to_contain_text("Line 2, column 29")
    derive(live, DEFINITION)
    expect(live.locator("#live-error")).to_be_empty()


@pytest.mark.parametrize("name", ["dense", "mlp_cross_entropy", "elman", "conv2d", "scaled_dot_product_attention"])
def test_layers_of_the_book_follow_an_edit(live: Page, name: str) -> None:
    times = [derive(live, layers.ALL[name].text + "\n" * k) for k in range(3)]
    expect(live.locator("#live-gradients details.derivation")).to_have_count(len(nd.derive(layers.ALL[name].text).wrt))
    print(f"{name}: {min(times)} ms after an edit")


def test_a_link_of_the_book_opens_its_definition(desk: BrowserContext, site: str, live: Page) -> None:
    page = desk.new_page()
    page.goto(f"{site}/backpropagation.html")
    page.locator("a.try-it").first.click()
    page.wait_for_selector("#live-gradients .gradient mjx-container", timeout=COLD)
    assert page.input_value("#live-text") in {layer.text for layer in layers.ALL.values()}
    page.close()


def test_opened_from_a_folder_it_says_what_to_do(desk: BrowserContext) -> None:
    page = desk.new_page()
    page.goto((BOOK / "live.html").as_uri())
    expect(page.locator("#live-status")).to_contain_text("make serve")
    expect(page.locator("#live-status")).to_contain_text("python -m http.server")
    expect(page.locator("#live-gradients .gradient mjx-container").first).to_be_visible()
    expect(page.locator("#live-check p.verdict[data-ok=true]")).to_be_visible()
    page.close()
