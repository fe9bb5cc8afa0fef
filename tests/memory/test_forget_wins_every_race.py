"""What is deleted while something else is writing it stays deleted, whichever of the two comes to its end last."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import httpx
import pytest
from starlette.requests import Request

from rememberd.api.dependencies import CallerResolver
from rememberd.api.memories import Memories
from rememberd.api.memory_writes import MemoryWrites
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.learn.reconcile import merge
from rememberd.memory.recall.recall import Recall
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.types import Evidence, Memory, Space
from tests.support.fakes import EmbedderFake
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered

ADA = Space("ada")
SAID = Memory("m1", "I like tea.", "fact", 1_000, 1_000, 1_000, evidence=Evidence("I like tea.", "user", "t1"))


class SlowEmbedder(EmbedderFake):
    """A store that says when it was asked, and answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def dense(self, text: str) -> list[float]:
        self.asked.set()
        await self.go.wait()
        return await super().dense(text)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EdgeStore]:
    store = EdgeStore.open(tmp_path / "qdrant", dim=EmbedderFake().dim, embedder="fake")
    yield store
    await store.close()


async def test_a_fact_deleted_while_it_is_said_again_stays_deleted(store: EdgeStore) -> None:
    """The writer read the old memory, the user deletes it, the writer puts it back touched: not any more."""
    await store.put(ADA, [await to_point(SAID, EmbedderFake())])
    slow = SlowEmbedder()
    again = Memory("m1", "I like tea.", "fact", 2_000, 2_000, 2_000, evidence=SAID.evidence)
    writing = asyncio.create_task(merge(store, slow, ADA, [again], 2_000))
    await slow.asked.wait()
    assert await store.delete(ADA, ["m1"], at=3_000) == ["m1"]
    slow.go.set()
    await writing
    assert await store.get(ADA, ["m1"]) == []


class Owner:
    """Whoever asks may edit everything; `asked` is the body of their request."""

    def __init__(self, **asked: object) -> None:
        self.asked = asked

    def memories(self, _: Request) -> Space:
        return ADA

    async def fields(self, _: Request) -> dict[str, object]:
        return self.asked

    def refuse_others(self, *_: object) -> None: ...

    def refuse_to_members(self, *_: object) -> None: ...

    def told(self, _: Request, shown: dict[str, object]) -> dict[str, object]:
        return shown


async def nobody(_: str) -> int:
    return 0


async def test_an_edit_does_not_reopen_what_was_closed_meanwhile(store: EdgeStore, tmp_path: Path) -> None:
    """The edit read the old memory, the writer closes it, the edit puts it back: pinned, and closed."""
    await store.put(ADA, [await to_point(SAID, EmbedderFake())])
    slow, database = SlowEmbedder(), Database(tmp_path / "queue.db")
    writes = MemoryWrites(store, slow, SqliteQueue(database), SqliteBlockCache(database))
    handlers = Memories(cast(CallerResolver, Owner(pinned=True)), writes, Recall(store, slow), nobody)
    scope = {"type": "http", "method": "PATCH", "headers": [], "path_params": {"id": "m1"}}
    editing = asyncio.create_task(handlers.edit(Request(scope)))
    await slow.asked.wait()
    await store.put(ADA, [await to_point(replace(SAID, valid_to=5_000), EmbedderFake())])
    slow.go.set()
    assert (await editing).status_code == 200
    [kept] = await store.get(ADA, ["m1"])
    assert (kept.pinned, kept.valid_to) == (True, 5_000)
    await database.close()


@pytest.fixture
def importing(proxy: Proxy, user: str) -> Iterator[list[httpx.Response]]:
    """An import of 4,000 lines under way; the list gets its answer."""
    lines = "\n".join(json.dumps({"text": f"Note {n}: {n * 7919} is a number."}) for n in range(4_000))
    answers: list[httpx.Response] = []

    def send() -> None:
        with proxy.client(user) as client:
            answers.append(client.post("/v1/memories/import", content=lines, timeout=120))

    thread = threading.Thread(target=send)
    thread.start()
    yield answers
    thread.join()


def test_an_erasure_ends_an_import_under_way(proxy: Proxy, user: str, importing: list[httpx.Response]) -> None:
    """Nothing of it comes in behind the erasure, and the import says why; what is sent afterwards is kept."""
    with proxy.client(user) as client:
        eventually(lambda: memories(client))
        assert client.delete("/v1/memories").json()["deleted"] > 0
        answer = eventually(lambda: importing)[0]
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "user_erased")
        assert memories(client) == []
        assert client.post("/v1/memories/import", content='{"text":"Note 1: 7919 is a number."}').json()["added"] == 1


def test_an_edit_and_a_deletion_at_once_leave_nothing(proxy: Proxy, user: str) -> None:
    """Whoever is told `deleted` finds neither the memory nor what it said before its edit."""
    with proxy.client(user) as client, proxy.client(user) as other:
        for n in range(15):
            added = client.post("/v1/memories", json={"text": f"My locker number is {n}."}).json()["id"]
            edit = threading.Thread(
                target=lambda id=added, n=n: other.patch(f"/v1/memories/{id}", json={"text": f"My locker is {n}."})
            )
            edit.start()
            assert client.delete(f"/v1/memories/{added}").json()["deleted"]
            edit.join()
        assert client.get("/v1/memories", params={"include_past": "true"}).json()["data"] == []


def test_a_tool_loop_under_way_does_not_tell_it_again(proxy: Proxy, user: str) -> None:
    """Each step sends the user's words anew; what was deleted between two steps was not said again by that."""
    said: list[dict[str, object]] = [{"role": "user", "content": "I live in Tromsø. How warm is it there?"}]
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    with proxy.client(user) as client:
        client.post("/v1/chat/completions", json={"model": "model-a", "messages": said})
        client.delete(f"/v1/memories/{remembered(client, 'Tromsø', 'fact')['id']}").raise_for_status()
        said += [{"role": "assistant", "content": None, "tool_calls": [call]}]
        said += [{"role": "tool", "tool_call_id": "c1", "content": "4"}]
        step = client.post("/v1/chat/completions", json={"model": "model-a", "messages": said})
        receipt = f"/v1/receipts/{step.headers['X-Memory-Receipt']}"
        assert eventually(lambda: (w := client.get(receipt).json()["write"]) != "pending" and w) == "nothing"
        assert memories(client) == []


def test_a_fact_told_again_after_its_deletion_is_kept(proxy: Proxy, user: str) -> None:
    """Deletion holds against what was said before it, not against the user."""
    with proxy.client(user) as client:
        ask(client, "I live in Tromsø.")
        client.delete(f"/v1/memories/{remembered(client, 'Tromsø', 'fact')['id']}").raise_for_status()
        ask(client, "Hello again. I live in Tromsø.")
        remembered(client, "Tromsø", "fact")
