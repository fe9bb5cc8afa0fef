"""The memory page for people who sign in at an OpenID provider, and the admin's part of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from loadtests.servers import free_port
from tests.support.browser import PHONE, findings, in_each_look, shot, small_targets
from tests.support.fake_model import FakeModel
from tests.support.openid_provider import provider_running
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import PATIENCE, Proxy, ask, eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def own(upstream: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    with (
        provider_running() as provider,
        running_here(
            tmp_path_factory.mktemp("page"),
            {"model-a": upstream.url},
            server={"port": port},
            admin_key="sk-admin",
            sign_in=provider.client(home),
        ) as proxy,
    ):
        yield proxy


@pytest.fixture
def page(own: Proxy, browser: Browser) -> Iterator[Page]:
    with browser.new_context() as tab:
        tab.set_default_timeout(PATIENCE * 1000)
        page = tab.new_page()
        page.goto(own.url)
        yield page


def sign_in(page: Page, user: str) -> None:
    page.get_by_role("link", name="Sign in with your account").click()
    page.locator("input[name=login]").fill(user)
    page.locator("input[name=login]").press("Enter")
    page.locator("input[name=password]").fill(f"{user}-password")
    page.locator("input[name=password]").press("Enter")
    page.get_by_role("heading", name="Memories").wait_for()


def test_a_person_signs_in_adds_a_memory_and_signs_out(page: Page, own: Proxy) -> None:
    """No script can read the cookie, nothing is kept in the tab, and after signing out the page asks again."""
    sign_in(page, "bob")
    expect(page.get_by_role("link", name="Admin")).to_have_count(0)
    page.get_by_role("button", name="Add").first.click()
    page.get_by_label("Something to remember").fill("I keep bees.")
    page.get_by_role("button", name="Remember").click()
    expect(page.locator(".card", has_text="I keep bees.")).to_be_visible()
    assert page.evaluate("[sessionStorage.length, document.cookie]") == [0, ""]
    with page.expect_navigation():  # to the provider, which ends its session too
        page.get_by_role("button", name="Sign out").click()
    page.goto(own.url)
    page.get_by_role("link", name="Sign in with your account").wait_for()


def test_an_admin_sees_users_and_no_words_makes_keys_and_erases(page: Page, own: Proxy) -> None:
    """With the admin key the page has this part alone."""
    kitchen = {"name": "kitchen", "members": {"bob": "writer"}}
    with own.client(key="sk-admin") as admin:
        admin.post("/admin/groups", json=kitchen).raise_for_status()
    with own.client("carol-of-the-page") as carol:
        carol.post("/v1/memories", json={"text": "I collect zircons."}).raise_for_status()
        ask(carol, "Hello.")
        (app,) = eventually(lambda: carol.get("/v1/memories/apps").json()["data"])
    page.get_by_label("Your API key").fill("sk-admin")
    page.keyboard.press("Enter")
    users = page.get_by_role("region", name="Users")
    row = users.get_by_role("row", name="carol-of-the-page")
    expect(row).to_be_visible()
    expect(page.get_by_role("link", name="Memories")).to_have_count(0)
    assert "zircons" not in page.content()
    row.get_by_role("button", name="Apps").click()
    page.get_by_role("dialog").get_by_role("switch", name=f"{app['name']} may write").uncheck()
    expect(page.locator(".toast").first).to_contain_text(f"Saved for {app['name']}")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    keys = page.get_by_role("region", name="API keys")
    keys.get_by_label("Name").fill("carol's phone")
    keys.get_by_label("User").fill("carol-of-the-page")
    keys.get_by_role("button", name="Make a key").click()
    expect(page.locator(".toast", has_text="sk-")).to_be_visible()
    keys.get_by_role("row", name="carol's phone").get_by_role("button", name="Revoke").click()
    expect(keys.get_by_role("row", name="carol's phone")).to_contain_text("revoked")
    expect(page.get_by_role("region", name="Groups")).to_contain_text("bob (writer)")
    for part in ("Dead letters", "Health"):
        expect(page.get_by_role("region", name=part)).to_be_visible()
    row.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Erase", exact=True)).to_be_disabled()
    dialog.get_by_label("Type the user’s name").fill("carol-of-the-page")
    dialog.get_by_role("button", name="Erase", exact=True).click()
    expect(dialog).to_contain_text("Searched")
    dialog.get_by_role("button", name="Close").click()
    expect(users.get_by_role("row", name="carol-of-the-page")).to_have_count(0)


@in_each_look
def test_axe_finds_nothing_serious_before_signing_in_and_in_the_admins_part(
    own: Proxy, browser: Browser, axe: str, scheme: Any, size: ViewportSize, tmp_path: Path
) -> None:
    """Nor in its dialogs; on a phone everything is large enough, and only tables are wider than the screen."""
    with own.client("dan-of-the-page") as dan:
        dan.post("/v1/memories", json={"text": "I collect zircons."}).raise_for_status()
        ask(dan, "Hello.")
        eventually(lambda: dan.get("/v1/memories/apps").json()["data"])

    def looked_at(page: Page, name: str, within: str = "main, nav") -> None:
        shot(page, f"{name}-{size['width']}-{scheme}", tmp_path)
        assert findings(page, axe) == [], name
        assert size != PHONE or small_targets(page, f":is({within})") == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name

    with browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce") as tab:
        tab.set_default_timeout(PATIENCE * 1000)
        page = tab.new_page()
        page.goto(own.url)
        page.get_by_role("link", name="Sign in with your account").wait_for()
        looked_at(page, "sign-in")
        page.get_by_label("Your API key").fill("sk-admin")
        page.keyboard.press("Enter")
        row = page.locator("tr", has_text="dan-of-the-page")
        row.wait_for()
        expect(page.locator(".skeleton")).to_have_count(0)
        looked_at(page, "admin")
        for button in ("Apps…", "Erase…"):
            opener = row.get_by_role("button", name=button)
            opener.click()
            page.get_by_role("dialog").wait_for()
            looked_at(page, f"admin-{button[:-1].lower()}", "dialog")
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(opener).to_be_focused()
        page.get_by_role("link", name="Usage").click()
        page.locator("tbody th").first.wait_for()
        looked_at(page, "usage")


def test_the_admin_claim_adds_the_admins_part(page: Page) -> None:
    """Beside one's own memories."""
    sign_in(page, "ada")
    page.get_by_role("link", name="Admin").click()
    page.get_by_role("region", name="API keys").wait_for()
