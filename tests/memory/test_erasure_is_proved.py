"""Erasing a user leaves nothing that could be read, and the proxy can show it: file by file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.erasure import erase, undo_interrupted
from rememberd.storage.disk_scan import scan
from rememberd.storage.spool import FileSpool
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.storage.sqlite.tool_files import SqliteToolFiles
from rememberd.storage.sqlite.usage import SqliteUsage
from rememberd.types import Memory, Space
from tests.support.fake_model import FakeModel
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, ask, memories, remembered
from tests.support.queue_contract import turn
from tests.support.sealing import OLD

ADA = Space("ada")
SAID = "I live in Zwitscherling."


@pytest.fixture(scope="module", params=["sealed", pytest.param("clear", marks=pytest.mark.slow)])
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel
) -> Iterator[Proxy]:
    """The two ways to keep memories."""
    memory = {"deadline_ms": 5000} | ({"encryption": {"master_key": OLD}} if request.param == "sealed" else {})
    with running_here(tmp_path_factory.mktemp(request.param), {"model-a": upstream.url}, memory=memory) as proxy:
        yield proxy


def run(proxy: Proxy, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rememberd", *arguments, "--config", str(proxy.data.parent / "rememberd.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def is_sealed(proxy: Proxy) -> bool:
    return (proxy.data / "keyring.db").exists()


@pytest.mark.slow
def test_what_is_left_is_found(proxy: Proxy) -> None:
    """Beside a running proxy. With a master key nothing is left of what was said, of the name, or of a turn; without
    one the search finds it in the engine's files, and says that it does."""
    with proxy.client("ada-of-lovelace") as client:
        ask(client, SAID)
        remembered(client, "Zwitscherling", "fact")
        done = run(proxy, "erase", "ada-of-lovelace", "--verify", "--marker", "Zwitscherling")
        assert done.stdout.startswith("erased: 2 memories of ada-of-lovelace")
        assert memories(client) == []
        if is_sealed(proxy):
            assert (done.returncode, done.stdout.count("LEFT")) == (0, 0)
            assert "nothing found" in done.stdout
        else:
            assert done.returncode == 1
            assert "the marker" in done.stdout
            assert "deleted text stays" in done.stdout


@pytest.mark.slow
def test_who_is_erased_is_forgotten_by_what_runs(proxy: Proxy) -> None:
    """Not recalled by a web process that knew it, not written by a late turn; what is told anew is remembered, and a
    second erasure takes that too."""
    with proxy.client("bea") as client:
        client.post("/v1/memories", json={"text": SAID})
        assert ask(client, "Where do I live?").headers["X-Memory-Status"] == "hit"
        assert run(proxy, "erase", "bea").returncode == 0
        assert ask(client, "Where do I live?").headers["X-Memory-Status"] == "miss"
        assert "X-Memory-Receipt" in ask(client, "I live in Oslo.").headers
        remembered(client, "Oslo", "fact")
        assert run(proxy, "erase", "bea").stdout.startswith("erased: ")
        assert memories(client) == []


def test_a_deleted_memory_does_not_come_back_by_an_import(proxy: Proxy) -> None:
    """An old transcript that says it again is older than the deletion; only what is said later counts."""
    with proxy.client("cleo") as client:
        added = client.post("/v1/memories", json={"text": SAID}).json()
        client.delete(f"/v1/memories/{added['id']}").raise_for_status()
        old = json.dumps({"text": SAID, "created_at": added["created_at"]})
        assert client.post("/v1/memories/import", content=old).json()["added"] == 0
        assert memories(client) == []
        new = json.dumps({"text": SAID, "created_at": "2999-01-01T00:00:00Z"})
        assert client.post("/v1/memories/import", content=new).json()["added"] == 1


def test_an_audit_knows_the_names(proxy: Proxy) -> None:
    """The operator's commands see users and scopes as they are called, sealed or not."""
    with proxy.client("dora", **{"X-Memory-Scope": "garden"}) as client:
        client.post("/v1/memories", json={"text": SAID}).raise_for_status()
        (space,) = json.loads(run(proxy, "audit", "--json", "--user", "dora").stdout)["spaces"]
        assert (space["scope"], space["facts"]) == ("garden", 1)


def test_the_keys_are_shown_and_rotated(proxy: Proxy) -> None:
    """By commands, while the proxy runs."""
    status = run(proxy, "encryption", "status")
    if is_sealed(proxy):
        assert status.returncode == 0
        assert "(the newest)" in status.stdout
        assert "0 keys encrypted with" in run(proxy, "encryption", "rotate").stdout
        assert "encrypted with the master key" in run(proxy, "check").stdout
    else:
        assert status.returncode == 2
        assert "not encrypted" in status.stderr


def test_a_text_is_found_wherever_it_stands_in_a_file(tmp_path: Path) -> None:
    """Across the reader's chunks, in JSON's form, in folders below; each file is told with what stands in it."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * (4 * 2**20 - 3) + b"needle" + b"y" * 100)
    (tmp_path / "b").write_bytes(json.dumps({"text": 'she said "hay"\n'}).encode())
    (tmp_path / "c").write_bytes(b"need le")
    found = {
        looked.path.name: looked.found for looked in scan([tmp_path], {"n": "needle", "h": 'said "hay"\n', "": ""})
    }
    assert found == {"a": ["n"], "b": ["h"], "c": []}


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[SqliteQueue]:
    queue = SqliteQueue(Database(tmp_path / "queue.db"))
    yield queue
    await queue.close()


async def test_a_writer_killed_at_its_last_step_leaves_nothing(queue: SqliteQueue, tmp_path: Path) -> None:
    """It put a memory just after its user's were erased, and died before it could look: the next writer undoes that,
    and nothing else."""
    store, embedder = MemoryStoreFake(), EmbedderFake()
    receipts, block_cache = SqliteReceipts(queue.database), SqliteBlockCache(queue.database)
    extraction_queue = SqliteExtractionQueue(queue.database, idle_ms=0)
    rest = FileSpool(tmp_path / "spool"), SqliteUsage(queue.database), SqliteToolFiles(queue.database)
    await queue.put(turn("t1", at=1_000))
    await queue.claim(1)
    await erase("ada", 2_000, queue, extraction_queue, store, receipts, block_cache, *rest)
    left = Memory("m1", SAID, "fact", 1_000, 1_000, 1_000)
    imported = Memory("m2", "I like tea.", "fact", 500, 500, 500)
    await store.put(ADA, [await to_point(each, embedder) for each in (left, imported)])
    assert not await queue.alive("t1")
    await undo_interrupted(store, queue.interrupted())
    await queue.clear_interrupted()
    assert [memory.id for memory in store.memories(ADA)] == ["m2"]
    assert queue.interrupted() == []


async def test_an_interrupted_turn_that_is_told_again_is_a_new_one(queue: SqliteQueue) -> None:
    """Its id is the same, its time is not: it is due at once, and no writer undoes it."""
    await queue.put(turn("t1", at=1_000))
    await queue.claim(1)
    await queue.erase("ada", 2_000)
    assert await queue.put(turn("t1", answer="", at=3_000))
    assert queue.interrupted() == []
    assert [claim.turn.created_at for claim in await queue.claim(1)] == [3_000]
