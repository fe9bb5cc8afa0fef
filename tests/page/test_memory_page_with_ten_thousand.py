"""With 10,000 facts the page asks for little and shows little at a time, whatever a person does; how long it takes is
measured by `python -m tests.support.page_report`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.support.browser import PHONE, WIDE, opened
from tests.support.proxy_server import Proxy
from tests.support.ten_thousand import MANY, put_ten_thousand

pytestmark = pytest.mark.browser

PAGE = 50  # memories that a request brings
ELEMENTS = 6_000  # at any time: a few pages of memories
AT_THE_START = ["v1/memories/settings", "v1/memories/stats"]  # besides what a view itself asks for
GROUPED = ["v1/memories/groups", *["v1/memories"] * 4]  # the first ten of each of the groups that are open
# What each view may ask for, and how many memories it shows at first.
VIEWS = {
    "memories": (GROUPED, PAGE),
    "memories/people": (GROUPED, PAGE),
    "memories/time": (["v1/memories", "v1/memories"], 2 * PAGE),
    "memories/exchanges": (["v1/memories"], 0),
    "memories/review": (["v1/memories/review"], 2 * PAGE),
    "answers": (["v1/receipts"], 0),
}


@pytest.fixture(scope="module")
def hoarder(proxy: Proxy) -> str:
    user = "hoarder of the page"
    put_ten_thousand(proxy, user)
    return user


@contextmanager
def asked(page: Page) -> Iterator[list[str]]:
    """The paths of the API that the page asks for meanwhile, without the proxy's address and the query."""
    paths: list[str] = []

    def note(request: Request) -> None:
        if found := re.search(r"/(v1/[^?]*)", request.url):
            paths.append(found[1])

    page.on("request", note)
    yield paths
    page.wait_for_load_state("networkidle")
    page.remove_listener("request", note)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
def test_each_view_asks_for_little_and_shows_little(
    proxy: Proxy, browser: Browser, hoarder: str, size: object
) -> None:
    """And answers a key at once."""
    with opened(browser, proxy, hoarder, viewport=size) as page:
        for view, (wanted, cards) in VIEWS.items():
            with asked(page) as paths:
                page.goto(f"{proxy.url}/?{view}#{view}")  # another address, so that everything is loaded anew
                expect(page.locator(".skeleton")).to_have_count(0)
                page.locator(".card, .none, .empty").first.wait_for()
                page.keyboard.press("?")
                page.get_by_role("dialog").wait_for()
            left = [*AT_THE_START, *wanted]
            for path in paths:
                assert path in left, (view, paths)
                left.remove(path)
            assert page.locator(".card").count() <= cards, view
            assert page.evaluate("document.querySelectorAll('*').length") < ELEMENTS, view


def test_each_topic_has_its_count_and_is_read_when_it_is_opened(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """Together they are all of the facts; of each group ten are shown, and then as many as are asked for."""
    with opened(browser, proxy, hoarder) as page:
        page.locator("details.topic .card").first.wait_for()
        counts = page.locator("details.topic > summary .badge").all_text_contents()
        assert sum(int(count.replace(",", "")) for count in counts) == MANY
        last = page.locator("details.topic").last
        with asked(page) as paths:
            last.locator("summary").click()
            expect(last.locator(".card")).to_have_count(10)
            last.get_by_role("button", name="Show more").click()
            expect(last.locator(".card")).to_have_count(10 + PAGE)
        assert paths == ["v1/memories", "v1/memories"]


def test_it_stays_small_however_far_one_scrolls(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """Sixty pages down the elements are as few as at the top, and the way back up shows the newest again."""
    with opened(browser, proxy, hoarder, "memories/time") as page:
        expect(page.locator(".card").first).to_contain_text(f" {MANY - 1} ")
        elements = "document.querySelectorAll('*').length"
        with asked(page) as listed:
            for _ in range(60):
                page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
                page.wait_for_timeout(60)
                assert page.evaluate(elements) < ELEMENTS
        assert len(listed) > 20
        assert page.locator(".page").count() > 20
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator(".card").first).to_contain_text(f" {MANY - 1} ")
        assert page.evaluate(elements) < ELEMENTS


def test_a_rare_word_is_found_among_them(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """Also in the oldest, by two requests."""
    with opened(browser, proxy, hoarder, "memories/time") as page:
        page.locator(".card").first.wait_for()
        search = page.get_by_label("Search your memories")
        with asked(page) as paths:
            search.fill("project 3 about")
            expect(page.locator(".near .card").first).to_contain_text("project 3 about")
        assert sorted(paths) == ["v1/memories", "v1/memories/search", "v1/memories/stats"]
        assert page.locator(".card").count() <= 2 * PAGE


def test_many_are_selected_made_private_and_back(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """All that are shown, by one click."""
    with opened(browser, proxy, hoarder, "memories/time") as page:
        page.locator(".pick input").first.check()
        bar = page.get_by_role("toolbar", name="Selected memories")
        bar.get_by_role("button", name="Select all shown").click()
        shown = page.locator(".pick input").count()
        assert shown >= PAGE
        expect(bar).to_contain_text(f"{shown} selected")
        with asked(page) as paths:
            bar.get_by_role("button", name="Make private").click()
            expect(page.get_by_text(f"Made {shown} memories private", exact=True)).to_be_visible()
            page.get_by_role("button", name="Undo", exact=True).last.click()
            page.get_by_text("Undone").wait_for()
        marked = [path for path in paths if path == "v1/memories/edit"]
        assert len(marked) == 2, paths  # there and back


def test_its_scroll_bar_says_how_far_one_is(proxy: Proxy, browser: Browser, hoarder: str) -> None:
    """What was scrolled past keeps its height, so nothing jumps."""
    with opened(browser, proxy, hoarder, "memories/time") as page:
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
