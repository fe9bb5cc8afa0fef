"""`rememberd audit` tells the operator what is wrong with the memories, hides their text, and repairs on demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rememberd.cli.audit import audit
from rememberd.memory.audit import DAY_MS
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.settings.schema import Settings
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.socket_protocol import socket_path
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Memory, Receipt, Space
from tests.ops.test_demo_and_check import run
from tests.support.proxy_server import Proxy, remembered

ADA, WORK, BOB = Space("ada"), Space("ada", "work"), Space("bob")
KEY = "sk-proj-" + "a1B2c3D4" * 6
NOW = wall_clock()


def fact(id: str, text: str, days_ago: int, slot: str | None = None, expires_at: int | None = None) -> Memory:
    at = NOW - days_ago * DAY_MS
    return Memory(id, text, "fact", at, at, at, slot=slot, expires_at=expires_at)


DIRTY = [
    fact("tea-first-1", "I like tea.", 60),
    fact("tea-again-2", "I really love tea!", 50),
    fact("home-old-33", "I live at 17 Elm Street.", 40, "home"),
    fact("home-new-44", "I live in Rome.", 20, "home"),
    fact("secret-5555", f"My key is {KEY}.", 20),
    fact("expired-666", "I stay in room 1408.", 20, expires_at=NOW - DAY_MS),
    fact("question-77", "Do I like coffee?", 20),
]
FOUND = {
    "expired": {"expired-666"},
    "secret": {"secret-5555"},
    "duplicate": {"tea-again-2"},
    "contradiction": {"home-old-33"},
    "junk": {"question-77"},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"))


async def opened(settings: Settings) -> tuple[EdgeStore, FastEmbedder]:
    embedder = FastEmbedder()
    await embedder.start()
    return EdgeStore.open(settings.data_path / "qdrant", dim=embedder.dim, embedder=embedder.name), embedder


async def kept(settings: Settings, space: Space, memories: Sequence[Memory]) -> None:
    store, embedder = await opened(settings)
    await store.put(space, [await to_point(each, embedder) for each in memories])
    await store.close()
    embedder.close()


async def audited(settings: Settings, capsys: pytest.CaptureFixture[str], **options: Any) -> list[dict[str, Any]]:
    text = await shown(settings, capsys, as_json=True, **options)
    spaces: list[dict[str, Any]] = json.loads(text)["spaces"]
    return spaces


async def shown(settings: Settings, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    asked = {"user": None, "scope": None, "fix": False, "as_json": False, "show_text": False} | options
    assert await audit(settings, **asked) == 0
    return capsys.readouterr().out


def by_complaint(findings: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    return {
        each["complaint"]: {f["id"] for f in findings if f["complaint"] == each["complaint"]} for each in findings
    }


async def test_the_audit_names_what_is_wrong(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """With whole ids, the reason, and whether `--fix` would repair it; and changes nothing."""
    await kept(settings, ADA, DIRTY)
    (space,) = await audited(settings, capsys)
    assert (space["user"], space["scope"], space["facts"], space["past"]) == ("ada", "default", 7, 0)
    assert by_complaint(space["findings"]) == FOUND
    assert {each["id"] for each in space["findings"] if not each["safe"]} == {"question-77"}
    assert {each["id"]: each["other"] for each in space["findings"]}["tea-again-2"] == "tea-first-1"
    assert (await audited(settings, capsys))[0] == space


async def test_the_table_shows_no_text_and_fits(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator is not meant to read people's lives: with `--show-text` the first words, digits masked."""
    monkeypatch.setenv("COLUMNS", "100")
    await kept(settings, ADA, DIRTY)
    table = await shown(settings, capsys)
    assert table.splitlines()[0] == "ada / default: 7 facts, 0 episodes, 0 past"
    assert len(table.splitlines()) == 1 + 5
    assert max(map(len, table.splitlines())) <= 100
    assert not [word for word in ("tea", "Elm", "1408", KEY[:8]) if word in table.replace("tea-", "")]
    assert "tea" not in json.dumps((await audited(settings, capsys))[0]["findings"]).replace("tea-", "")
    monkeypatch.setenv("COLUMNS", "200")
    with_text = await shown(settings, capsys, show_text=True)
    assert "I live at •• Elm Street." in with_text
    assert KEY[:12] not in with_text


async def test_fix_repairs_the_safe_ones_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """All that was marked safe and nothing else; each repair is told, in the audit log too; the second run has
    nothing to do."""
    await kept(settings, ADA, DIRTY)
    (first,) = await audited(settings, capsys, fix=True)
    assert by_complaint(first["repairs"]) == {k: v for k, v in FOUND.items() if k != "junk"}
    assert by_complaint(first["findings"]) == {"junk": {"question-77"}}
    (second,) = await audited(settings, capsys, fix=True)
    assert (second["repairs"], second["findings"]) == ([], first["findings"])
    lines = [json.loads(line) for line in (settings.data_path / "audit.jsonl").read_text().splitlines()]
    repaired = len(first["repairs"])
    assert [(each["who"], each["did"], each["whose"], each["count"]) for each in lines] == [
        ("operator", "audit.fix", "ada", repaired),
        ("operator", "audit.fix", "ada", 0),
    ]
    store, embedder = await opened(settings)
    left = {each.id: each for each in (await store.page(ADA, limit=50, now=NOW, include_past=True))[0]}
    await store.close()
    embedder.close()
    assert set(left) == {each.id for each in DIRTY} - {"tea-again-2", "expired-666"}
    assert left["home-old-33"].valid_to == left["home-new-44"].valid_from
    assert left["tea-first-1"].updated_at == DIRTY[1].updated_at
    assert KEY not in left["secret-5555"].text


async def test_a_repair_reaches_the_running_workers(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Through the writer that has the store open; and no block from before the repair is used again."""
    await kept(settings, ADA, DIRTY)
    store, embedder = await opened(settings)
    database = Database(settings.data_path / "queue.db")
    cache = SqliteBlockCache(database)
    version = await cache.bump(ADA)
    await cache.put(ADA, "turn", version, b"block", at=1)
    async with serving(store, socket_path(settings.data_path)):
        await audited(settings, capsys, fix=True)
    assert await cache.get(ADA, "turn") == (version + 1, None)
    await database.close()
    assert [each.text for each in await store.get(ADA, ["secret-5555", "expired-666"])] == [
        "My key is [redacted: OpenAI key]."
    ]
    await store.close()
    embedder.close()


async def test_each_user_and_scope_is_judged_apart(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The same sentence of two people is no duplicate; `--user` and `--scope` narrow it down."""
    for space in (ADA, WORK, BOB):
        await kept(settings, space, DIRTY[:1])
    everything = await audited(settings, capsys)
    assert [(each["user"], each["scope"], each["findings"]) for each in everything] == [
        ("ada", "default", []),
        ("ada", "work", []),
        ("bob", "default", []),
    ]
    assert len(await audited(settings, capsys, user="ada")) == 2
    assert [each["user"] for each in await audited(settings, capsys, user="ada", scope="work")] == ["ada"]
    assert "no memories of that user" in await shown(settings, capsys, user="carol")


async def test_never_recalled_is_read_from_the_receipts(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same user and scope; what went into one answer of the kept time is in use."""
    await kept(settings, ADA, [fact("used-11111", "I ski.", 50), fact("unused-222", "I skate.", 50)])
    database = Database(settings.data_path / "queue.db")
    receipts = SqliteReceipts(database)
    for number, (whose, ids) in enumerate([(ADA, ("used-11111",)), (BOB, ("unused-222",))]):
        at = NOW - 29 * DAY_MS
        await receipts.put(Receipt(f"r{number}", whose, at, "hit", "gpt-4o", None, ids, 1, 1.0, "off"))
    await database.close()
    (space,) = await audited(settings, capsys)
    assert by_complaint(space["findings"]) == {"unused": {"unused-222"}}


def test_the_command_asks_the_running_proxy(proxy: Proxy, user: str) -> None:
    """The command as an operator types it, while a proxy runs."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "Do I like tea?"})
        kept = remembered(client, "Do I like tea?")
    config = str(proxy.data.parent / "rememberd.yaml")
    done = run("audit", "--config", config, "--user", user, COLUMNS="120")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert done.stdout.splitlines() == [
        f"{user} / default: 1 facts, 0 episodes, 0 past",
        f"  junk          {kept['id'][:8]}  fact     a question",
    ]
