"""On the page a person copies the settings of a client, and switches what an app may do with their memory."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from rememberd.api.client_settings import client_settings
from tests.support.browser import PHONE, opened
from tests.support.proxy_server import Proxy, ask, eventually

pytestmark = pytest.mark.browser


def test_a_clients_settings_are_copied_with_address_and_key(proxy: Proxy, browser: Browser, user: str) -> None:
    """What is shown is what the command prints, for each client; the button puts it on the clipboard."""
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(browser, proxy, user, "connect", permissions=permissions) as page:
        shown = page.locator("#client-settings")
        for name, settings in client_settings().items():
            page.get_by_label("Client").select_option(name)
            page.get_by_label("Model").select_option("model-b")
            expect(shown).to_have_text(settings.filled(proxy.url, "sk-webui", "model-b"))
            expect(page.locator("main")).to_contain_text(settings.where)
        page.get_by_label("Client").select_option("curl")
        page.get_by_role("button", name="Copy").click()
        expect(page.locator(".toast")).to_contain_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == client_settings()["curl"].filled(proxy.url, "sk-webui", "model-b")


def test_an_app_is_switched_off_and_given_a_scope(proxy: Proxy, browser: Browser, user: str) -> None:
    """On a phone, too; it holds from the app's next request on."""
    with proxy.client(user, **{"User-Agent": "quill/1.2"}) as quill:
        quill.post("/v1/memories", json={"text": "I am allergic to peanuts."}).raise_for_status()
        assert ask(quill, "Am I allergic to peanuts?").headers["X-Memory-Status"] == "hit"
        eventually(lambda: quill.get("/v1/memories/apps").json()["data"])
        with opened(browser, proxy, user, "settings", viewport=PHONE) as page:
            app = page.locator(".apps li", has_text="quill")
            expect(app).to_contain_text("1 request")
            reads = page.get_by_role("switch", name="quill may read")
            expect(reads).to_be_checked()
            reads.uncheck()
            expect(page.locator(".toast").first).to_contain_text("Saved for quill")
            eventually(lambda: not quill.get("/v1/memories/apps").json()["data"][0]["reads"])
            assert ask(quill, "Am I allergic to peanuts?").headers["X-Memory-Status"] == "off"
            field = page.get_by_label("Scope of quill")
            field.fill("work")
            field.press("Tab")
            eventually(lambda: quill.get("/v1/memories/apps").json()["data"][0]["scope"] == "work")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_scope_that_is_none_is_refused_and_put_back(proxy: Proxy, browser: Browser, user: str) -> None:
    with proxy.client(user, **{"User-Agent": "quill/1.2"}) as quill:
        ask(quill, "Hello.")
        eventually(lambda: quill.get("/v1/memories/apps").json()["data"])
        with opened(browser, proxy, user, "settings", forgiving=True) as page:
            field = page.get_by_label("Scope of quill")
            field.fill("not a scope")
            field.press("Tab")
            expect(page.locator(".toast").first).to_contain_text("`scope` must be")
            expect(field).to_have_value("")
