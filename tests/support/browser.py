"""The memory page in Debian's Chromium, driven by Playwright: no browser is downloaded."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.support.proxy_server import PATIENCE, Proxy

WIDE: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
LOOKS = [(scheme, size) for scheme in ("light", "dark") for size in (WIDE, PHONE)]
in_each_look = pytest.mark.parametrize(
    ("scheme", "size"), LOOKS, ids=[f"{scheme}-{size['width']}" for scheme, size in LOOKS]
)


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def add(proxy: Proxy, user: str, *texts: str) -> None:
    """What the user is to remember, by the API."""
    with proxy.client(user) as client:
        for text in texts:
            client.post("/v1/memories", json={"text": text}).raise_for_status()


@contextmanager
def opened(
    browser: Browser,
    proxy: Proxy,
    user: str | None = None,
    view: str = "memories",
    *,
    forgiving: bool = False,
    **context: Any,
) -> Iterator[Page]:
    """The page, signed in as `user` through the key that may name users. Errors, refused loads and failed requests
    in its console fail the test, unless it is `forgiving` because it provokes some."""
    with browser.new_context(**{"viewport": WIDE} | context) as tab:
        tab.set_default_timeout(PATIENCE * 1000)
        if user is not None:
            remember_key(tab, user)
        page = tab.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{proxy.url}/#{view}")
        page.locator("h1").wait_for()
        yield page
        assert forgiving or complaints == []


def remember_key(tab: BrowserContext, user: str) -> None:
    """As if `user` had signed in through the key that may name users."""
    kept = {"rememberd.key": "sk-webui", "rememberd.user": user}
    tab.add_init_script(f"for (const [k, v] of Object.entries({json.dumps(kept)})) sessionStorage.setItem(k, v)")


def findings(page: Page, axe: str) -> list[str]:
    """What axe calls serious or critical, with the places."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in serious]


def small_targets(page: Page, within: str = ":is(main, nav)") -> list[str]:
    """What a finger is to meet and is less than 44 pixels high."""
    fields = "input:not([type=checkbox], [type=file])"
    script = """targets => [...document.querySelectorAll(targets)]
        .filter(each => each.offsetParent && each.getBoundingClientRect().height < 43.5)
        .map(each => `${each.outerHTML.slice(0, 80)} ${each.getBoundingClientRect().height}`)"""
    found: list[str] = page.evaluate(script, f"{within} :is(button, a, select, summary, label.pick, {fields})")
    return found


def shot(page: Page, name: str, folder: Path) -> None:
    """Kept in the directory that `BROWSER_SCREENSHOTS` names, else with the test's other files."""
    place = Path(os.environ.get("BROWSER_SCREENSHOTS") or folder)
    place.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=place / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png")


def say(page: Page, text: str) -> None:
    """In the chat panel, and wait until the answer is whole and it is known what was learned from it."""
    turns = page.locator(".turn").count()
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")
    page.locator(".turn").nth(turns).wait_for()
    for unfinished in (".answer[aria-busy]", ".learned:empty", ".pulse"):
        expect(page.locator(unfinished)).to_have_count(0)
