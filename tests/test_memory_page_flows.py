"""The memory page: what a person can do with their memory in a browser, each flow once."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import opened, say
from tests.proxy_server import Proxy

pytestmark = pytest.mark.browser


def test_what_is_told_in_the_chat_stands_in_the_timeline(proxy: Proxy, browser: Browser, user: str) -> None:
    """With the words it rests on."""
    with opened(browser, proxy, user, "chat") as page:
        say(page, "Hello! My dog is called Bruno, by the way.")
        expect(page.locator(".learned")).to_contain_text("Bruno")
        page.get_by_role("link", name="Memories").click()
        fact = page.locator(".card.fact", has_text="Bruno")
        fact.locator(".words").click()
        expect(fact.locator("blockquote")).to_contain_text("My dog is called Bruno")
        expect(fact.locator(".details")).to_contain_text("model-a")
