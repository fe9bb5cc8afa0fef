"""A newcomer's first minutes, in a browser: `rememberd demo --page`, and what is remembered can be seen, used on
another model, corrected and forgotten."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browser import PHONE, WIDE, say, shot
from tests.support.proxy_server import PATIENCE

pytestmark = pytest.mark.browser


@contextmanager
def demo() -> Iterator[str]:
    """The page's URL, as the command prints it."""
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "rememberd", "demo", "--page"], stdout=subprocess.PIPE, text=True, env=plain
    )
    assert process.stdout is not None
    try:
        found = re.search(r"(http://\S+)", process.stdout.readline())
        assert found is not None
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        process.stdout.close()


def answer(page: Page, model: str, text: str) -> str:
    """The answer to a question in a new conversation."""
    page.get_by_role("link", name="Chat", exact=True).click()
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("Model").select_option(model)
    say(page, text)
    return page.locator(".turn > .answer").last.text_content() or ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
def test_told_to_one_model_known_to_another_corrected_and_forgotten(
    browser: Browser, size: ViewportSize, scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    """Without a key, without a network, without reading anything first."""
    with demo() as url, browser.new_context(viewport=size, color_scheme=scheme) as tab:
        page = tab.new_page()
        page.goto(url)
        page.locator(".card").first.wait_for()
        page.keyboard.press("End")  # on a phone the last ones are fetched when they are near
        expect(page.locator(".card")).to_have_count(12)
        page.get_by_role("button", name="Review", exact=True).click()
        pair = page.locator(".pair")
        expect(pair).to_contain_text("I work at Globex as a nurse.")
        expect(pair).to_contain_text("I also work at Initech.")
        shot(page, f"newcomer-review-{size['width']}-{scheme}", tmp_path)

        answer(page, "stand-in-a", "Hi, I collect stamps from Oslo.")
        expect(page.locator(".learned")).to_contain_text("I collect stamps from Oslo.")

        assert "I live in Oslo." in answer(page, "stand-in-b", "Where do I live?")
        page.locator(".went summary").click()
        expect(page.locator(".block")).to_contain_text("- I live in Oslo.")
        shot(page, f"newcomer-told-{size['width']}-{scheme}", tmp_path)

        page.get_by_role("link", name="Memories").click()
        fact = page.locator(".card.fact", has_text="I live in Oslo.")
        fact.locator(".words").click()
        fact.get_by_role("button", name="Edit").click()
        page.get_by_label("The memory’s text").fill("I live in Bergen.")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".card.fact", has_text="I live in Bergen.")).to_be_visible()

        assert "I live in Bergen." in answer(page, "stand-in-a", "In which city do I live?")

        page.get_by_role("link", name="Answers").click()
        page.locator(".receipt summary").first.click()
        expect(page.locator(".receipt[open]")).to_contain_text("I live in Bergen.")
        shot(page, f"newcomer-receipt-{size['width']}-{scheme}", tmp_path)

        page.get_by_role("link", name="Memories").click()
        fact = page.locator(".card.fact", has_text="Bergen")
        fact.locator(".words").click()
        fact.locator(".details").get_by_role("button", name="Delete").click()
        confirm = page.get_by_role("dialog").get_by_role("button", name=re.compile("Delete all"))
        confirm.or_(page.get_by_text("Deleted: I live in Bergen.").first).first.wait_for()
        if confirm.is_visible():
            confirm.click()
        expect(fact).to_have_count(0)
        assert "Bergen" not in answer(page, "stand-in-b", "Which city is my home?")
