"""With 10,000 memories the page is at once usable: few requests, few elements, however far one scrolls."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.support.browser import opened
from tests.support.proxy_server import Proxy

pytestmark = pytest.mark.browser

MANY = 10_000
ELEMENTS = 6_000  # at any time: a few pages of 50 memories
LISTED = 2  # pages asked for before anybody scrolls


@pytest.fixture(scope="module")
def hoarder(proxy: Proxy) -> str:
    user = "hoarder of the page"
    first = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        json.dumps(
            {
                "text": f"User: Note {n}: shelf {n * 37} of the archive.\nAssistant: Noted.",
                "kind": "episode",
                "created_at": (first + timedelta(minutes=40 * n)).isoformat(),
            }
        )
        for n in range(MANY)
    ]
    with proxy.client(user) as client:
        client.timeout = 600
        reply = client.post("/v1/memories/import", content="\n".join(lines)).json()
    assert reply["added"] == MANY
    return user


def test_it_opens_at_once_and_stays_small(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """Sixty pages down the elements are as few as at the top, and the way back up shows the newest again."""
    with opened(browser, proxy, hoarder, "memories/exchanges") as page:
        listed: list[str] = []

        def count(request: Request) -> None:
            if "/v1/memories?" in request.url:
                listed.append(request.url)

        page.on("request", count)
        began = time.monotonic()
        page.reload()
        expect(page.locator(".card").first).to_contain_text(f"Note {MANY - 1}:")
        print(f"10,000 memories: usable after {time.monotonic() - began:.2f} s")
        page.wait_for_timeout(300)
        assert len(listed) <= LISTED
        elements = "document.querySelectorAll('*').length"
        for _ in range(60):
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            page.wait_for_timeout(60)
            assert page.evaluate(elements) < ELEMENTS
        assert len(listed) > 20
        assert page.locator(".page").count() > 20
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator(".card").first).to_contain_text(f"Note {MANY - 1}:")
        assert page.evaluate(elements) < ELEMENTS


def test_a_rare_word_is_found_among_them(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """Also the oldest."""
    with opened(browser, proxy, hoarder, "memories/exchanges") as page:
        page.get_by_label("Search your memories").fill("Note 3: shelf 111 ")
        expect(page.locator(".card").first).to_contain_text("Note 3:")


def test_its_scroll_bar_says_how_far_one_is(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """What was scrolled past keeps its height, so nothing jumps."""
    with opened(browser, proxy, hoarder, "memories/exchanges") as page:
        page.locator(".card").first.wait_for()
        for _ in range(6):
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            page.wait_for_timeout(150)
        expect(page.locator(".skeleton")).to_have_count(0)
        height = page.evaluate("document.documentElement.scrollHeight")
        page.evaluate("scrollTo(0, 0)")
        page.locator(".card").first.wait_for()
        page.wait_for_timeout(200)
        assert abs(page.evaluate("document.documentElement.scrollHeight") - height) < 0.02 * height
