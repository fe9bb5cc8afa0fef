"""The memory page for those who see little, use no mouse, hold a phone, or want no movement; looked at by axe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browser import PHONE, WIDE, findings, in_each_look, opened, say, shot, small_targets
from tests.support.proxy_server import Proxy

pytestmark = pytest.mark.browser

VIEWS = (
    "memories", "memories/people", "memories/time", "memories/exchanges", "memories/review",
    "chat", "preview", "answers", "connect", "settings",
)  # fmt: skip


@pytest.fixture(scope="module")
def ada(proxy: Proxy, browser: Browser) -> str:
    """Somebody with every kind of memory: pinned, expiring, past, long, in two scripts, learned and added."""
    user = "ada of the page"
    with proxy.client(user) as client:
        for text in (
            "I live in Oslo.",
            "I live in Bergen.",
            "I speak Norwegian. أتكلم العربية قليلا",
            "I like figs.",
        ):
            client.post("/v1/memories", json={"text": text}).raise_for_status()
        pinned = {"text": "I am allergic to peanuts.", "pinned": True, "expires_at": "2031-05-09T00:00:00Z"}
        client.post("/v1/memories", json=pinned).raise_for_status()
        client.post("/v1/memories", json={"text": "Donaudampfschifffahrt" * 12}).raise_for_status()
    with opened(browser, proxy, user, "chat") as page:
        say(page, "My dog is called Bruno. Which snacks should I avoid?")
    return user


def fill(page: Page, view: str) -> None:
    """Show of each view as much as there is."""
    match view:
        case "memories":
            row = page.locator(".card.fact", has_text="Bergen").first
            row.locator(".words").click()
            row.get_by_role("button", name="Edit").click()
            page.locator(".pick input").first.check()
        case "memories/time":
            page.get_by_text("Filters", exact=True).click()
            page.get_by_label("Show past memories").check()
            page.locator(".card.past").first.wait_for()
        case "memories/people" | "memories/exchanges" | "memories/review":
            page.locator(".skeleton").first.wait_for(state="detached")
        case "chat":
            page.get_by_role("button", name="Side by side").click()
            say(page, "Which snacks should I avoid?")
            page.locator(".went summary").first.click()
            page.locator(".headers summary").first.click()
        case "preview":
            page.get_by_label("A message").fill("Which snacks should I avoid?")
            page.keyboard.press("Enter")
            page.locator(".verdict").wait_for()
            page.get_by_text("The exact text").click()
        case "answers":
            page.locator(".receipt summary").first.click()
        case "connect":
            page.locator("#client-settings").wait_for()
        case "settings":
            page.locator(".figures").wait_for()
            page.get_by_label("What another assistant wrote").fill("[2025-03-01] - I live in Rome.\nI like figs.")
            page.get_by_role("button", name="Show what would be imported").click()
            page.locator(".outcome").first.wait_for()


@in_each_look
def test_axe_finds_nothing_serious(
    proxy: Proxy, browser: Browser, ada: str, axe: str, scheme: str, size: Any, tmp_path: Path
) -> None:
    """In any view, light and dark, on a phone and on a desk; nothing is wider than the screen."""
    for view in VIEWS:
        with opened(browser, proxy, ada, view, viewport=size, color_scheme=scheme, reduced_motion="reduce") as page:
            fill(page, view)
            shot(page, f"{view}-{size['width']}-{scheme}", tmp_path)
            assert findings(page, axe) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], view


def test_axe_finds_nothing_serious_without_a_key_and_without_memories(
    proxy: Proxy, browser: Browser, axe: str, tmp_path: Path
) -> None:
    """The gate, and the ways to begin."""
    with opened(browser, proxy, forgiving=True) as page:
        shot(page, "gate-1280-light", tmp_path)
        assert findings(page, axe) == []
    with opened(browser, proxy, "somebody without memories", viewport=PHONE) as page:
        page.get_by_role("heading", name="Nothing remembered yet").wait_for()
        shot(page, "empty-390-light", tmp_path)
        assert findings(page, axe) == []


def ask_to_delete(page: Page) -> None:
    for box in page.locator(".pick input").all()[:2]:
        box.check()
    page.get_by_role("toolbar", name="Selected memories").get_by_role("button", name="Delete").click()


def ask_to_move(page: Page) -> None:
    page.locator(".pick input").first.check()
    page.get_by_role("toolbar", name="Selected memories").get_by_role("button", name="Move…").click()


# What opens each dialog of the page, and where the focus is once it was closed.
DIALOGS: dict[str, tuple[str, Callable[[Page], None], str]] = {
    "keys": (
        "memories",
        lambda page: page.get_by_role("button", name="Keyboard shortcuts").click(),
        "Keyboard shortcuts",
    ),
    "delete": ("memories", ask_to_delete, "Delete"),
    "move": ("memories", ask_to_move, "Move…"),
    "erase": (
        "settings",
        lambda page: page.get_by_role("button", name="Erase everything…").click(),
        "Erase everything…",
    ),
}


@in_each_look
def test_every_dialog_can_be_read_reached_and_left(
    proxy: Proxy, browser: Browser, ada: str, axe: str, scheme: str, size: Any, tmp_path: Path
) -> None:
    """Axe finds nothing, on a phone everything is large enough, Escape closes it, and the focus is where it was."""
    for name, (view, open_it, button) in DIALOGS.items():
        with opened(browser, proxy, ada, view, viewport=size, color_scheme=scheme, reduced_motion="reduce") as page:
            page.locator(".card, .figures").first.wait_for()
            open_it(page)
            page.get_by_role("dialog").wait_for()
            shot(page, f"dialog-{name}-{size['width']}-{scheme}", tmp_path)
            assert findings(page, axe) == [], name
            assert size != PHONE or small_targets(page, "dialog") == [], name
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(page.get_by_role("button", name=button, exact=True).and_(page.locator(":focus"))).to_be_visible()


def test_the_focus_is_never_lost(proxy: Proxy, browser: Browser, user: str) -> None:
    """What had it may be gone: then the next memory has it, or the view."""
    with proxy.client(user) as client:
        for text in ("I like figs.", "I like plums.", "I like pears."):
            client.post("/v1/memories", json={"text": text}).raise_for_status()
    with opened(browser, proxy, user) as page:
        for picked, done in (("Pin", "Pinned 2 memories"), ("Delete", "Deleted 2 memories")):
            expect(page.locator(".card")).to_have_count(3)  # all() waits for nothing
            for box in page.locator(".pick input").all()[:2]:
                box.check()
            page.get_by_role("toolbar", name="Selected memories").get_by_role("button", name=picked).press("Enter")
            if picked == "Delete":
                page.get_by_role("dialog").get_by_role("button", name="Delete all 2").press("Enter")
            page.get_by_text(done, exact=True).wait_for()
            expect(page.get_by_role("toolbar")).to_have_count(0)
            expect(page.locator("body:focus")).to_have_count(0)
            expect(page.locator("main:focus, main :focus")).to_have_count(1)
        page.keyboard.press("j")
        expect(page.locator(".card .words")).to_be_focused()


def test_the_keyboard_alone_is_enough(proxy: Proxy, browser: Browser, user: str) -> None:
    """From the skip link to an edit and back, and one always sees where one is."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I like figs."})
    with opened(browser, proxy, user) as page:
        page.locator(".card").wait_for()
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(12):
            page.keyboard.press("Tab")
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if page.evaluate("document.activeElement.className") == "words":
                break
        page.keyboard.press("Enter")
        expect(page.locator(".words")).to_have_attribute("aria-expanded", "true")
        page.get_by_role("button", name="Edit").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Control+a")
        page.keyboard.type("I like ripe figs.")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".words")).to_be_focused()
        expect(page.locator(".words")).to_contain_text("ripe")


def test_keys_go_through_the_list(proxy: Proxy, browser: Browser, user: str) -> None:
    """Search, next, open, edit, delete, undo, and the list of keys; while somebody writes they are letters."""
    with proxy.client(user) as client:
        for text in ("I like figs.", "I like plums."):
            client.post("/v1/memories", json={"text": text}).raise_for_status()
    with opened(browser, proxy, user) as page:
        rows = page.locator(".card .words")
        expect(rows).to_have_count(2)
        page.keyboard.press("j")
        expect(rows.nth(0)).to_be_focused()
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(rows.nth(1)).to_be_focused()
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        expect(rows.nth(0)).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("e")
        expect(page.get_by_label("The memory’s text")).to_be_focused()
        page.keyboard.type("j")
        page.keyboard.press("Escape")
        rows.nth(0).focus()
        page.keyboard.press("#")
        expect(rows).to_have_count(1)
        page.keyboard.press("u")
        expect(rows).to_have_count(2)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("/")
        expect(page.get_by_label("Search your memories")).to_be_focused()


def test_on_a_phone_every_target_is_large_enough(proxy: Proxy, browser: Browser, ada: str) -> None:
    """44 pixels high; nothing that a finger is to meet is smaller."""
    small = {}
    for view in VIEWS:
        with opened(browser, proxy, ada, view, viewport=PHONE, reduced_motion="reduce") as page:
            fill(page, view)
            small[view] = small_targets(page)
    assert {view: found for view, found in small.items() if found} == {}


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
def test_the_last_answer_stands_above_the_field_for_the_next(
    proxy: Proxy, browser: Browser, user: str, size: ViewportSize
) -> None:
    """While it comes and once it is there, however long the talk is."""
    edges = """() => [document.querySelector(".turn:last-child").getBoundingClientRect().bottom,
        document.querySelector(".say > div").getBoundingClientRect().top]"""
    with opened(browser, proxy, user, "chat", viewport=size, reduced_motion="reduce") as page:
        for number in range(3):
            say(page, f"{number}. " + "Once upon a time there was a long question. " * 8)
            bottom, top = page.evaluate(edges)
            assert bottom <= top, number


def test_the_theme_can_be_chosen_and_is_kept(proxy: Proxy, browser: Browser, ada: str) -> None:
    """Against the system's; it stands before the first paint of the next visit."""
    paper = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, proxy, ada, color_scheme="light") as page:
        light = page.evaluate(paper)
        page.get_by_role("button", name="Switch between light and dark").click()
        dark = page.evaluate(paper)
        assert dark != light
        page.reload(wait_until="commit")
        page.wait_for_selector("body", state="attached")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.locator("h1").wait_for()
        assert page.evaluate(paper) == dark


def test_who_wants_no_movement_sees_none(proxy: Proxy, browser: Browser, ada: str) -> None:
    """Not even while something is loading."""
    with opened(browser, proxy, ada, reduced_motion="reduce") as page:
        page.route("**/v1/memories?*", lambda route: None)
        page.get_by_role("button", name="Time", exact=True).click()
        page.locator(".bone").first.wait_for()
        assert page.evaluate("document.getAnimations().length") == 0
        page.unroute_all(behavior="ignoreErrors")
