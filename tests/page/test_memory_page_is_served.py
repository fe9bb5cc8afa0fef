"""The memory page comes from the proxy alone, small, under a policy that lets nothing else in."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from rememberd.api.page import FOLDER
from tests.support.proxy_server import Proxy
from tests.support.tables import each_row

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LARGEST = 155_000  # bytes; 200,000 are allowed


def test_a_browser_gets_the_page_and_everyone_else_a_line(proxy: Proxy) -> None:
    """Claude Code asks HEAD / before anything else."""
    page = httpx.get(proxy.url, headers=BROWSER)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    line = httpx.get(proxy.url)
    assert line.text.startswith("rememberd: a chat proxy with memory.")
    assert line.headers["Vary"] == page.headers["Vary"] == "Accept"
    assert httpx.head(proxy.url).status_code == 200


def test_every_file_is_under_the_strict_policy(proxy: Proxy) -> None:
    """Nothing inline, nothing from elsewhere, no frame around it, no type guessed."""
    for path in ("/", *(f"/page/{file.name}" for file in FOLDER.iterdir() if file.suffix in (".js", ".css"))):
        headers = httpx.get(proxy.url + path, headers=BROWSER).raise_for_status().headers
        rules = headers["Content-Security-Policy"].split("; ")
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"):
            assert rule in rules
        for rule in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
            assert rule in rules
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_file_is_sent_again_only_when_it_changed(proxy: Proxy) -> None:
    """304 for what the browser has."""
    first = httpx.get(f"{proxy.url}/page/app.js")
    again = httpx.get(f"{proxy.url}/page/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@each_row("name", ["nothing.js", "..%2f..%2fapp.py", "screenshot.png", "%2e%2e%2f__init__.py"])
def test_nothing_else_of_the_package_is_served(proxy: Proxy, name: str) -> None:
    """Only what is named."""
    assert httpx.get(f"{proxy.url}/page/{name}").status_code == 404


def test_the_page_is_small_and_needs_nobody_else(proxy: Proxy) -> None:
    """All its files together; the only addresses in them are names of XML dialects."""
    files = [file for file in FOLDER.iterdir() if file.suffix in (".html", ".js", ".css")]
    assert sum(file.stat().st_size for file in files) < LARGEST
    for file in files:
        found = re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}[\w/.-]*", _without_comments(file))
        assert {each for each in found if "www.w3.org/" not in each} == set(), file.name


def _without_comments(file: Path) -> str:
    return re.sub(r"^\s*//.*$", "", file.read_text(), flags=re.MULTILINE)
