"""Every kind of file is brought in on the page as by the command line: looked at first, with its progress, undone."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.memory.imports.test_portable_formats import EPISODE, FACT, PASTE, bundle, store, stored, zipped
from tests.support.browser import opened
from tests.support.proxy_server import Proxy, eventually, memories

pytestmark = pytest.mark.browser

DATA = Path(__file__).parents[1] / "data" / "imports"


def exported(folder: Path, vendor: str) -> Path:
    """A vendor's zip."""
    path = folder / f"{vendor}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(DATA / f"{vendor}.json", "conversations.json")
        archive.writestr("users.json", "[]")
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


MEM0 = [{"id": "1", "memory": "I keep two goats.", "created_at": "2025-06-01T08:00:00+00:00"}]
NDJSON = '{"text": "I keep two goats."}\n{"text": "I like figs."}\n'
# How each file is made, and a text that it brings.
FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "ChatGPT": (lambda folder: exported(folder, "chatgpt"), "I moved to Porto."),
    "Claude": (lambda folder: exported(folder, "claude"), "My sister is called Dana."),
    "Mem0": (lambda folder: written(folder / "mem0.json", json.dumps(MEM0)), "I keep two goats."),
    "NDJSON": (lambda folder: written(folder / "m.ndjson", NDJSON), "I like figs."),
    "text": (lambda folder: written(folder / "notes.md", (DATA / "notes.md").read_text()), "I live in Trondheim."),
    "pasted list": (lambda folder: written(folder / "list.txt", PASTE), "Is allergic to peanuts."),
    ".mem": (
        lambda folder: zipped(bundle(folder, {"items/episode.jsonl": [EPISODE], "items/fact.jsonl": [FACT]})),
        "Keeps two goats.",
    ),
    "PAM": (
        lambda folder: written(folder / "memory-store.json", json.dumps(store(stored("m1", "Has a boat.")))),
        "Has a boat.",
    ),
}


def test_each_kind_of_file_is_looked_at_brought_in_and_taken_back(
    proxy: Proxy, browser: Browser, user: str, tmp_path: Path
) -> None:
    """What it brings stands there before anything is written; a file that was cut in half says what to do."""

    def texts() -> list[str]:
        with proxy.client(user) as client:
            return [each["text"] for each in memories(client)]

    def brought(text: str) -> bool:
        """With all exchanges: nothing comes after it within two seconds."""
        found = texts()
        if not any(text in each for each in found):
            return False
        time.sleep(2)
        return texts() == found

    with opened(browser, proxy, user, "settings") as page:
        for number, (kind, (made, text)) in enumerate(FILES.items()):
            folder = tmp_path / str(number)
            folder.mkdir()
            path = made(folder)
            page.locator("#import").set_input_files(path)
            expect(page.locator(".outcome", has_text=text).first).to_be_attached()
            assert texts() == [], kind
            page.get_by_role("button", name="Import ").last.click()
            page.get_by_role("button", name="Undo this import").wait_for()
            eventually(partial(brought, text))
            while texts():
                page.get_by_role("button", name="Undo this import").click()
                page.get_by_text("Import undone").last.wait_for()
            if path.suffix in (".zip", ".json"):
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
                page.locator("#import").set_input_files(path)
                expect(page.get_by_role("alert")).to_contain_text("again")


def test_an_import_shows_how_far_it_is(proxy: Proxy, browser: Browser, user: str, tmp_path: Path) -> None:
    """While a request is under way, how many lines are in."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.post_data and '"Fact 60."' in route.request.post_data:
            held.append(route)
        else:
            route.continue_()

    lines = "".join(json.dumps({"text": f"Fact {number}."}) + "\n" for number in range(70))
    with opened(browser, proxy, user, "settings") as page:
        page.locator("#import").set_input_files(written(tmp_path / "m.ndjson", lines))
        page.get_by_role("button", name="Import 70", exact=True).wait_for()
        page.route("**/v1/memories/import?import_id=*", hold)
        page.get_by_role("button", name="Import 70", exact=True).click()
        expect(page.get_by_text("Imported 50 of 70 lines")).to_be_visible()
        expect(page.get_by_role("progressbar", name="Import")).to_have_attribute("value", "50")
        while not held:
            page.wait_for_timeout(10)
        held[0].continue_()
        expect(page.get_by_text("Imported: 70 added").first).to_be_visible()
