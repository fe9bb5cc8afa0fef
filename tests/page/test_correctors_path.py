"""Somebody sees a wrong answer: what went in is shown with it, is put right there, and stays right; in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import add, in_each_look, opened, say, shot
from tests.support.proxy_server import Proxy, ask, memories

pytestmark = pytest.mark.browser


def texts(proxy: Proxy, user: str) -> list[str]:
    with proxy.client(user) as client:
        return [memory["text"] for memory in memories(client, "fact")]


@in_each_look
def test_a_wrong_memory_is_corrected_where_its_answer_is_shown(
    proxy: Proxy, browser: Browser, user: str, scheme: str, size: Any, tmp_path: Path
) -> None:
    """The next answer gets what was put right; what was deleted there is gone, and can be had back."""
    add(proxy, user, "I am allergic to peanuts.", "I avoid liquorice snacks.")
    with proxy.client(user) as client:
        ask(client, "Which snacks should I avoid?")
    with opened(browser, proxy, user, "answers", viewport=size, color_scheme=scheme) as page:
        page.locator(".receipt summary").first.click()
        receipt = page.locator(".receipt[open]")
        expect(receipt).to_contain_text("Wrong? Open a memory to correct or delete it here.")
        row = receipt.locator(".card", has_text="peanuts")
        row.locator(".words").click()
        row.get_by_role("button", name="Edit").click()
        shot(page, f"corrector-answer-{size['width']}-{scheme}", tmp_path)
        row.get_by_label("The memory’s text").fill("I am allergic to walnuts.")
        row.get_by_role("button", name="Save").click()
        corrected = receipt.locator(".card", has_text="walnuts")
        expect(corrected).to_be_visible()
        corrected.get_by_role("button", name="Earlier versions").click()
        expect(corrected.locator(".history")).to_contain_text("peanuts")
        receipt.locator(".card", has_text="liquorice").get_by_role("button", name="Delete").click()
        expect(receipt.locator(".card", has_text="liquorice")).to_have_count(0)
        page.get_by_role("link", name="Chat", exact=True).click()
        say(page, "Which snacks should I avoid, please?")
        page.locator(".went summary").click()
        expect(page.locator(".block")).to_contain_text("walnuts")
        expect(page.locator(".block")).not_to_contain_text("peanuts")
        expect(page.locator(".block")).not_to_contain_text("liquorice")
        page.get_by_role("link", name="Memories").click()
        page.get_by_role("button", name="Undo: Deleted: I avoid liquorice snacks.").click()
        expect(page.locator(".card", has_text="liquorice").first).to_be_visible()
    assert sorted(texts(proxy, user)) == ["I am allergic to walnuts.", "I avoid liquorice snacks."]


@in_each_look
def test_of_a_contradiction_one_is_kept_or_both(
    proxy: Proxy, browser: Browser, user: str, scheme: str, size: Any, tmp_path: Path
) -> None:
    """Side by side; whoever keeps both is not asked again in this browser, and both are still there."""
    add(proxy, user, "I work at Globex as a nurse.", "I also work at Initech.")
    look = {"viewport": size, "color_scheme": scheme}
    with opened(browser, proxy, user, "memories/review", **look) as page:
        pair = page.locator(".pair")
        expect(pair).to_contain_text("Globex")
        expect(pair).to_contain_text("Initech")
        shot(page, f"corrector-review-{size['width']}-{scheme}", tmp_path)
        pair.get_by_role("button", name="Keep both").click()
        expect(pair).to_have_count(0)
        page.reload()
        page.get_by_role("region", name="New since your last visit").wait_for()
        expect(pair).to_have_count(0)
    assert len(texts(proxy, user)) == 2
    with opened(browser, proxy, user, "memories/review", **look) as page:
        page.locator(".pair > div", has_text="Initech").get_by_role("button", name="Keep this one").click()
        expect(page.locator(".pair")).to_have_count(0)
    assert texts(proxy, user) == ["I also work at Initech."]
