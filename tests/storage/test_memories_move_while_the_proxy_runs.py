"""From the embedded store to a server and back, while both are written to: nothing is lost, what was forgotten stays
away, and no process starts on a place that lacks memories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rememberd.errors import ConfigError
from rememberd.memory.embedding.change_model import DualWriteStore, fill
from rememberd.memory.embedding.indexing import to_point
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Embedding, Settings, Store
from rememberd.settings.schema import Memory as MemorySettings
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import sync
from rememberd.types import Memory, Space
from rememberd.wiring.store_move import MOVING, begin_alone, check_move, next_place, place, record_move
from tests.support.change_log import LocalChangeLog
from tests.support.fake_model import FakeModel
from tests.support.fakes import EmbedderFake
from tests.support.proxy_server import ask, eventually, remembered, running
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.sealing import OLD
from tests.support.store_contract import ANN, NOW, listed

BOB = Space("bob", "work")


class Plain(EmbedderFake):
    name, dim = "plain", 32


@dataclass
class Move:
    here: Any
    there: Any
    marks: list[bool]

    @property
    def both(self) -> DualWriteStore:
        return DualWriteStore(self.here, self.there)

    async def run(self) -> None:
        async def mark(ready: bool) -> None:
            self.marks.append(ready)

        async with asyncio.timeout(120):
            await fill(lambda: sync(self.here, self.there), self.there.flush, mark)


SHARDS = pytest.param("to a server by shards", marks=pytest.mark.slow)


@pytest.fixture(params=["to a server", SHARDS, "back", "to more shards"])
async def move(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Move]:
    split = request.param == "to a server by shards"
    async with QdrantDouble() as qdrant:
        if request.param == "to more shards":
            next_one = {"next_collection": "more", "next_shards": 3, "next_shard_by_user": True}
            log, whole = LocalChangeLog(), settings(tmp_path, url=qdrant.url, **next_one)
            there = next_place(whole)
            assert there is not None
            places = [each.memory.store for each in (whole, there)]
            stores = [server_store(each, Plain(), changes=log) for each in places]
            yield Move(stores[0], stores[1], [])
            for store in stores:
                await store.close()
            return
        server = server_store(Store(qdrant.url, shards=2, shard_by_user=split), Plain())
        embedded = EdgeStore.open(tmp_path / "qdrant", dim=32, embedder="plain")
        yield Move(server, embedded, []) if request.param == "back" else Move(embedded, server, [])
        await server.close()
        await embedded.close()


async def put(store: MemoryStore, space: Space, *ids: str, **fields: Any) -> None:
    memories = [replace(Memory(id_, f"I like {id_}.", "fact", NOW, NOW, NOW), **fields) for id_ in ids]
    await store.put(space, [await to_point(memory, Plain()) for memory in memories])


async def test_everything_comes_over(move: Move) -> None:
    """Past memories, other scopes and tombstones too; what was there is found by its words and by its meaning."""
    await put(move.here, ANN, *(f"tea{n}" for n in range(300)))
    await put(move.here, ANN, "past", valid_to=NOW)
    await put(move.here, BOB, "rum", "gone")
    await move.here.delete(BOB, ["gone"], at=NOW)
    await move.run()
    for space in (ANN, BOB):
        ids = await listed(move.here, space, include_past=True)
        assert await listed(move.there, space, include_past=True) == ids
        assert await move.there.get(space, ids) == await move.here.get(space, ids)
    assert await move.there.deleted_at(BOB, ["gone"]) == {"gone": NOW}
    found = await move.there.search(BOB, await Plain().dense("rum"), Plain().query("rum"), now=NOW)
    assert {each.id for each in found} == {"rum"}
    assert move.marks == [False, False, True]


async def test_what_is_written_while_it_is_copied_is_the_same_in_both(move: Move) -> None:
    """New memories, newer versions, deletions and erasures, between the passes and within them."""
    await put(move.here, ANN, *(f"tea{n}" for n in range(300)))
    await put(move.here, BOB, "rum")

    async def write() -> None:
        for n in range(20):
            await put(move.both, ANN, f"new{n}")
            await put(move.both, ANN, f"tea{n}", updated_at=NOW + 1, pinned=True)
            await move.both.delete(ANN, [f"tea{100 + n}"], at=NOW + 1)
            await asyncio.sleep(0)
        await move.both.erase("bob")
        await put(move.both, BOB, "told again")

    await asyncio.gather(move.run(), write())
    await move.run()
    here = await listed(move.here, ANN, include_past=True)
    assert len(here) == 300
    assert sorted(await listed(move.there, ANN, include_past=True)) == sorted(here)
    assert await move.there.get(ANN, here) == await move.here.get(ANN, here)
    assert await listed(move.there, BOB) == ["told again"]
    await move.both.delete(ANN, ["new1"], at=NOW + 2)  # no pass runs any more
    assert await move.there.get(ANN, ["new1"]) == []


async def test_what_an_earlier_move_left_is_put_right(move: Move) -> None:
    """There is what was erased, deleted and changed here since."""
    await put(move.here, ANN, "tea", "milk")
    await put(move.here, BOB, "rum")
    await move.run()
    await move.here.erase("bob")
    await move.here.delete(ANN, ["milk"], at=NOW + 1)
    await put(move.here, ANN, "tea", updated_at=NOW + 1, private=True)
    await move.run()
    assert await move.there.spaces() == [ANN]
    assert [memory.private for memory in await move.there.get(ANN, ["tea", "milk"])] == [True]
    assert await move.there.size() == await move.here.size()


def settings(folder: Path, **store: Any) -> Settings:
    return Settings(data_dir=str(folder), memory=MemorySettings(store=Store(**store)))


def test_no_process_starts_on_a_place_that_lacks_memories(tmp_path: Path) -> None:
    """Nor on one that was complete once, and that others have not written to since."""
    begin_alone(tmp_path, "there")
    record_move(tmp_path, "there", ready=False)
    with pytest.raises(ConfigError, match="not all memories have been copied to there"):
        check_move(tmp_path, "there")
    check_move(tmp_path, "embedded")
    record_move(tmp_path, "there", ready=True)
    check_move(tmp_path, "there")
    begin_alone(tmp_path, "embedded")
    with pytest.raises(ConfigError, match="not all memories"):
        begin_alone(tmp_path, "there")
    record_move(tmp_path, "there", ready=True)
    begin_alone(tmp_path, "there")
    assert not (tmp_path / MOVING).exists()


def test_a_move_names_another_place(tmp_path: Path) -> None:
    """Not the one in use, and not together with another model; no password is shown."""
    at = "http://ann:secret@q:6333"
    there = next_place(settings(tmp_path, next_url=at))
    assert there is not None
    assert (there.memory.store.url, there.memory.store.next_url) == (at, None)
    assert place(there) == "http://q:6333/rememberd"
    back = next_place(settings(tmp_path, url=at, next_url="embedded"))
    assert back is not None
    assert back.memory.store.urls == []
    assert next_place(settings(tmp_path)) is None
    more = next_place(settings(tmp_path, url=at, next_collection="more", next_shards=4))
    assert more is not None
    assert (place(more), more.memory.store.shards, more.memory.store.next_shards) == ("http://q:6333/more", 4, None)
    for store in ({"next_url": "embedded"}, {"url": at, "next_url": at}, {"url": at, "next_shards": 4}):
        with pytest.raises(ConfigError, match="in use"):
            next_place(settings(tmp_path, **store))
    both = replace(settings(tmp_path, next_url=at).memory, embedding=Embedding(next_model="multilingual"))
    with pytest.raises(ConfigError, match="one after the other"):
        next_place(Settings(data_dir=str(tmp_path), memory=both))


@pytest.mark.slow
@pytest.mark.parametrize("sealed", [{}, {"encryption": {"master_key": OLD}}], ids=["plain", "encrypted"])
async def test_the_whole_proxy_moves_to_a_server_and_back(
    tmp_path: Path, upstream: FakeModel, sealed: dict[str, Any]
) -> None:
    """Five starts; what was told before and during each move is recalled, and what was deleted stays away."""
    async with QdrantDouble() as qdrant:
        await asyncio.to_thread(_there_and_back, tmp_path, upstream, qdrant.url, sealed)


def _there_and_back(tmp_path: Path, upstream: FakeModel, url: str, sealed: dict[str, Any]) -> None:
    def proxy(**store: str) -> Any:
        memory = {"deadline_ms": 5000, "store": store} | sealed
        return running(tmp_path / "p", {"model-a": upstream.url}, memory=memory)

    def recalled(client: Any, question: str) -> str:
        ask(client, question)
        return str(upstream.chats[-1].json["messages"][-1]["content"])

    def arrived(proxy: Any) -> None:
        eventually(lambda: any("all memories are in" in line for line in proxy.log))

    with proxy() as before, before.client("ann") as client:
        ask(client, "I live in Oslo.")
        remembered(client, "Oslo", "fact")
        client.post("/v1/memories", json={"text": "I play the oboe."}).raise_for_status()
    with proxy(next_url=url) as during, during.client("ann") as client:
        ask(client, "I work at Globex.")
        remembered(client, "Globex", "fact")
        assert "Oslo" in recalled(client, "In which city do I live?")
        (oboe,) = client.get("/v1/memories", params={"q": "oboe"}).json()["data"]
        client.delete(f"/v1/memories/{oboe['id']}").raise_for_status()
        arrived(during)
    with proxy(url=url) as after, after.client("ann") as client:
        assert "Oslo" in recalled(client, "What is the city that I live in?")
        assert "Globex" in recalled(client, "Where do I work?")
        assert client.get("/v1/memories", params={"q": "oboe"}).json()["data"] == []
        ask(client, "I moved to Rome.")
        remembered(client, "Rome", "fact")
    with proxy(url=url, next_url="embedded") as returning, returning.client("ann") as client:
        assert "Rome" in recalled(client, "In which city do I live now?")
        arrived(returning)
    with proxy() as home, home.client("ann") as client:
        assert "Rome" in recalled(client, "What city do I live in these days?")
        assert client.get("/v1/memories", params={"q": "oboe"}).json()["data"] == []
