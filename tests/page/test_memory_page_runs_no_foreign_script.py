"""Whatever stands in a memory, in its source, or in a model's answer is shown as text and never run."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import opened, say
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import Proxy

pytestmark = pytest.mark.browser

ATTACKS = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 2'>",
    "<svg onload='window.ran = 3'></svg>",
    "<a href=\"javascript:window.ran = 4\">here</a>",
    "</textarea><iframe srcdoc='<script>parent.ran = 5</script>'></iframe>",
    "\"><body onpageshow=window.ran=6>",
    "[here](javascript:window.ran=7)",
    "{{constructor.constructor('window.ran=8')()}}",
)  # fmt: skip


def unharmed(page: Page) -> None:
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, main iframe, main script, main a[href^=javascript]").count() == 0


def test_an_attack_in_a_memory_is_text(proxy: Proxy, browser: Browser, user: str) -> None:
    """In its words, its evidence, its slot, and the names of the app, the model and the conversation."""
    with proxy.client(user) as client:
        lines = [
            json.dumps(
                {
                    "text": attack,
                    "slot": attack,
                    "evidence": {"text": attack, "role": attack, "turn_id": attack},
                    "source": {"client": attack, "model": attack, "conversation": attack},
                }
            )
            for attack in ATTACKS
        ]
        assert client.post("/v1/memories/import", content="\n".join(lines)).json()["added"] == len(ATTACKS)
    with opened(browser, proxy, user) as page:
        page.locator(".card").nth(len(ATTACKS) - 1).wait_for()
        for row in page.locator(".timeline .card").all():
            row.locator(".words").first.click()
            row.get_by_role("button", name="Earlier versions").click()
            row.get_by_role("button", name="Edit").click()
        shown = page.locator(".card .text").all_text_contents()
        assert set(ATTACKS) <= set(shown)
        page.get_by_label("Search your memories").fill(ATTACKS[1])
        expect(page.locator(".near .card .text").first).to_have_text(ATTACKS[1])
        page.locator(".near .card").first.get_by_role("button", name="Delete").first.click()
        expect(page.locator(".toast")).to_contain_text("<img src=x")
        unharmed(page)


def test_an_attack_in_an_answer_is_text(proxy: Proxy, upstream: FakeModel, browser: Browser, user: str) -> None:
    """And in the block, in what was learned from it, and in its receipt."""
    with opened(browser, proxy, user, "chat") as page:
        for attack in ATTACKS:
            upstream.script(Behaviour(answer=attack))
            say(page, f"My dog is called {attack}")
            expect(page.locator(".turn > .answer").last).to_have_text(attack)
        say(page, "What do you know about me?")
        page.locator(".went summary").last.click()
        unharmed(page)
        page.get_by_role("link", name="Answers").click()
        page.locator(".receipt summary").first.click()
        unharmed(page)


def test_an_attack_in_an_error_is_text(proxy: Proxy, upstream: FakeModel, browser: Browser, user: str) -> None:
    """A provider's message is shown, not obeyed."""
    body = json.dumps({"error": {"message": ATTACKS[1], "code": "x"}}).encode()
    upstream.script(Behaviour(status=400, body=body))
    with opened(browser, proxy, user, "chat", forgiving=True) as page:
        page.get_by_label("Your message").fill("Hello there.")
        page.keyboard.press("Enter")
        expect(page.locator(".answer.failed")).to_have_text(ATTACKS[1])
        unharmed(page)


def test_the_policy_stops_what_would_get_through(proxy: Proxy, browser: Browser, user: str) -> None:
    """Were there a hole: no markup from text, no inline script, no script and no picture from elsewhere, no frame."""
    with opened(browser, proxy, user, forgiving=True) as page:
        refused = page.evaluate(
            """async () => {
                const refused = [];
                const note = (event) => refused.push(event.effectiveDirective);
                document.addEventListener("securitypolicyviolation", note);
                try { document.body.innerHTML += "<img src=x onerror='window.ran = 1'>"; } catch { }
                const add = (tag, fields) => document.body.append(Object.assign(document.createElement(tag), fields));
                add("img", { src: "http://127.0.0.2:9/x.png" });
                add("iframe", { src: "/health/live" });
                fetch("http://127.0.0.2:9/steal").catch(() => 0);
                await new Promise((resolve) => setTimeout(resolve, 500));
                return refused;
            }"""
        )
        assert set(refused) == {"require-trusted-types-for", "img-src", "frame-src", "connect-src"}
        assert page.evaluate("window.ran") is None
