"""All texts of the page are in `strings.js`: a translation is one file."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import opened
from tests.support.proxy_server import Proxy, ask, remembered

pytestmark = pytest.mark.browser

VIEWS = ("memories", "memories/review", "chat", "preview", "answers", "connect", "settings")
# A translation into a language in which every text has brackets.
TRANSLATED = """
import * as texts from "./original-strings.js";
const marked = (value) =>
  typeof value === "string" ? `[${value}]`
  : Array.isArray(value) ? value.map(marked)
  : typeof value === "function" ? (...given) => marked(value(...given))
  : Object.fromEntries(Object.entries(value).map(([name, each]) => [name, marked(each)]));
"""
# Texts and labels without brackets. Data have a class or an element of their own, or are a number, a time or a name.
UNMARKED = """() => {
  const data = ".text, .block, .meta, blockquote, option, kbd, dd, .brand, .dot + span, .dot + span + span, "
    + ".apps strong, .mine, .answer, #client-settings, .receipt strong, .receipt .muted, "
    + "#client-settings ~ p, noscript, script";
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { parentElement, data: text } = walk.currentNode;
    if (!parentElement.closest(data) && parentElement.checkVisibility()) found.push(text);
  }
  for (const name of ["aria-label", "title", "placeholder"])
    for (const each of document.querySelectorAll(`[${name}]`)) found.push(each.getAttribute(name));
  return found.filter((text) => /\\p{L}{2}/u.test(text) && text !== "default" && !text.includes("["));
}"""


def translate(page: Page, exported: list[str]) -> None:
    def answer(route: Route) -> None:
        original = route.fetch(url=route.request.url.replace("original-strings.js", "strings.js"))
        if "original" in route.request.url:
            route.fulfill(response=original)
        else:
            names = "".join(f"export const {name} = marked(texts.{name});\n" for name in exported)
            route.fulfill(response=original, body=TRANSLATED + names)

    page.route("**/page/*strings.js", answer)


def test_every_text_comes_from_one_module(proxy: Proxy, browser: Browser, user: str) -> None:
    """Where that module is translated, nothing on the page stays as it was, in any view."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I am allergic to peanuts."}).raise_for_status()
        ask(client, "Which snacks should I avoid? I live in Lund.")
        remembered(client, "Lund", "fact")
        exported = re.findall(r"^export const (\w+)", client.get("/page/strings.js").text, re.MULTILINE)
    for view in VIEWS:
        with opened(browser, proxy, user) as page:
            page.locator(".card").first.wait_for()
            translate(page, exported)
            page.goto(f"{proxy.url}/?{view}#{view}")
            expect(page.locator("h1")).to_contain_text("[")
            expect(page.locator(".skeleton")).to_have_count(0)
            if view == "memories":
                page.locator(".card .words").first.click()
                page.locator(".filter summary").click()
                page.locator(".pick input").first.check()
            if view == "answers":
                page.locator(".receipt summary").first.click()
            assert page.evaluate(UNMARKED) == [], view
