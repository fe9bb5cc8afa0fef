"""How fast the memory page is with 10,000 facts: `python -m tests.support.page_report [ROUNDS]` prints a table.

Each view is opened anew in a Chromium without a cache, 1,280 pixels wide. *Usable* is from the navigation until the
view shows its first row; *key* from the press of `?` until the list of keys stands there. Bytes are those of the
page's files and of the API's answers, as they were transferred, with their headers. Measure on a machine that does
nothing else."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

from tests.support.browser import WIDE, chromium, remember_key
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, running
from tests.support.ten_thousand import put_ten_thousand

USER = "hoarder"
ROUNDS = 5
# What the first row of each view is.
VIEWS = {
    "memories": ".card",
    "memories/people": ".card",
    "memories/time": ".card",
    "memories/review": ".card",
    "answers": ".empty",
    "settings": ".figures",
}
SEARCHES = ("violin", "what did my aunt give me", "nothingofthekind")


class Opened(NamedTuple):
    usable: float  # seconds
    key: float  # seconds
    requests: int
    files: int  # bytes
    answers: int  # bytes
    elements: int


def main(rounds: int) -> None:
    model = FakeModel(("model-a",))
    asyncio.run(model.__aenter__())
    with (
        TemporaryDirectory() as folder,
        running(Path(folder), {"model-a": model.url}) as proxy,
        chromium() as browser,
    ):
        put_ten_thousand(proxy, USER)
        print(
            "| view | usable, s | key, s | requests | bytes: files, answers | elements |\n|---|---|---|---|---|---|"
        )
        for view, row in VIEWS.items():
            print(line(view, [view_opened(browser, proxy, view, row) for _ in range(rounds + 1)][1:]))
        print("\n| what | seconds |\n|---|---|")
        for what, seconds in acted(browser, proxy).items():
            print(f"| {what} | {seconds:.2f} |")


def line(view: str, seen: list[Opened]) -> str:
    usable, key = (f"{median(each):.2f}" for each in zip(*((one.usable, one.key) for one in seen), strict=True))
    last = seen[-1]
    return f"| {view} | {usable} | {key} | {last.requests} | {last.files:,}, {last.answers:,} | {last.elements:,} |"


def view_opened(browser: Browser, proxy: Proxy, view: str, row: str) -> Opened:
    with browser.new_context(viewport=WIDE) as tab:
        remember_key(tab, USER)
        page = tab.new_page()
        urls: dict[str, str] = {}
        sizes: dict[str, int] = {}

        def sent(event: dict[str, Any]) -> None:
            urls[event["requestId"]] = event["request"]["url"]

        def ended(event: dict[str, Any]) -> None:
            sizes[event["requestId"]] = event["encodedDataLength"]

        network = tab.new_cdp_session(page)
        network.on("Network.requestWillBeSent", sent)
        network.on("Network.loadingFinished", ended)
        network.send("Network.enable")
        usable = seconds(lambda: go(page, f"{proxy.url}/#{view}", row))
        key = seconds(lambda: press(page, "?"))
        page.wait_for_load_state("networkidle")
        answers = sum(size for each, size in sizes.items() if "/v1/" in urls[each])
        elements = page.evaluate("document.querySelectorAll('*').length")
        return Opened(usable, key, len(urls), sum(sizes.values()) - answers, answers, elements)


def go(page: Page, url: str, row: str) -> None:
    page.goto(url, wait_until="commit")
    page.locator(row).first.wait_for()


def press(page: Page, key: str) -> None:
    page.keyboard.press(key)
    page.get_by_role("dialog").wait_for()


def acted(browser: Browser, proxy: Proxy) -> dict[str, float]:
    found = {}
    with browser.new_context(viewport=WIDE) as tab:
        remember_key(tab, USER)
        page = tab.new_page()
        go(page, f"{proxy.url}/#memories/time", ".card")
        for text in SEARCHES:
            page.get_by_label("Search your memories").fill(text)
            told = page.get_by_text("the best match first").or_(page.get_by_text(f"No memory matches “{text}”"))
            found[f"search: {text}"] = seconds(told.first.wait_for)
            page.get_by_label("Search your memories").fill("")
            page.locator(".timeline .card").first.wait_for()
        boxes = page.locator(".pick input")
        boxes.first.check()
        bar = page.get_by_role("toolbar", name="Selected memories")
        bar.get_by_role("button", name="Select all shown").click()
        bar.get_by_role("button", name="Pin").click()
        pinned = page.get_by_text(re.compile(r"^Pinned \d"))
        found[f"pin the {boxes.count()} that are shown"] = seconds(pinned.wait_for)
        return found


def seconds(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
