"""All is embedded anew while the old model's store answers; nothing is lost, nothing that was forgotten returns."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from rememberd.errors import ConfigError
from rememberd.memory.embedding.change_model import DualWriteStore, Reembedding
from rememberd.memory.embedding.embedder import PACKAGED
from rememberd.memory.embedding.indexing import to_point
from rememberd.ports import Embedder
from rememberd.settings.schema import Embedding, Memory, Settings, Store
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import copy_tombstones
from rememberd.types import Memory as Remembered
from rememberd.types import Space
from rememberd.wiring.store import embedded, for_writer
from tests.support.fake_model import FakeModel
from tests.support.fakes import EmbedderFake
from tests.support.proxy_server import ask, eventually, remembered, running
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.sealing import OLD
from tests.support.store_contract import ANN, NOW, listed

BOB, WORK = Space("bob"), Space("ann", "work")


class Old(EmbedderFake):
    name, dim = "old", 32


class New(EmbedderFake):
    """Counts what it embeds; `meanwhile` happens once, while it embeds its first text."""

    name, dim = "new", 16

    def __init__(self, meanwhile: Callable[[], Awaitable[Any]] | None = None) -> None:
        super().__init__()
        self.meanwhile, self.embedded = meanwhile, 0

    async def dense(self, text: str) -> list[float]:
        self.embedded += 1
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            await happens()
        await asyncio.sleep(0)  # as a real one
        return await super().dense(text)


@dataclass
class Change:
    """A change under way, on one kind of store."""

    store: Any
    following: Any
    new: New
    marks: list[bool]

    async def put(self, space: Space, *memories: Remembered, store: Any = None) -> None:
        points = [await to_point(memory, Old()) for memory in memories]
        await (store or self.store).put(space, points)

    @property
    def both(self) -> DualWriteStore:
        async def loaded() -> Embedder:
            return self.new

        return DualWriteStore(self.store, self.following, loaded)

    async def run(self) -> None:
        async def mark(ready: bool) -> None:
            self.marks.append(ready)
            await self.following.mark_ready(ready)

        work = Reembedding(
            self.store,
            self.following,
            self.new,
            bury=partial(copy_tombstones, self.store, self.following),
            mark_ready=mark,
            total=self.store.size,
        )
        async with asyncio.timeout(60):
            await work.run()


@pytest.fixture(params=["embedded", "server"])
async def change(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Change]:
    if request.param == "embedded":
        store = EdgeStore.open(tmp_path / "qdrant", dim=32, embedder="old")
        following = EdgeStore.open(tmp_path / "qdrant-next", dim=16, embedder="new")
        yield Change(store, following, New(), [])
        await store.close()
        await following.close()
        return
    async with QdrantDouble() as qdrant:
        at = Store(qdrant.url)
        old, new = server_store(at, Old(), "changing"), server_store(at, New(), "next")
        yield Change(old, new, New(), [])
        await old.close()
        await new.close()


def memory(id: str, text: str = "I like tea.", **fields: Any) -> Remembered:
    return replace(Remembered(id, text, "fact", NOW, NOW, NOW), **fields)


async def test_everything_comes_over(change: Change) -> None:
    """Every user's memories, past ones too, and the tombstones; only then it counts as ready."""
    await change.put(ANN, *(memory(f"m{i}", f"I like {i} teas.") for i in range(100)), memory("past", valid_to=NOW))
    await change.put(WORK, memory("w"))
    await change.put(BOB, memory("b"), memory("gone"))
    await change.store.delete(BOB, ["gone"], at=NOW)
    await change.run()
    for space in (ANN, WORK, BOB):
        ids = await listed(change.store, space, include_past=True)
        assert await listed(change.following, space, include_past=True) == ids
        assert await change.following.get(space, ids) == await change.store.get(space, ids)
    assert await change.following.deleted_at(BOB, ["gone"]) == {"gone": NOW}
    assert change.marks == [False, False, True]
    text = "I like 7 teas."
    found = await change.following.search(ANN, await New().dense(text), New().query(text), now=NOW, limit=1)
    assert "m7" in {each.id for each in found}


async def test_what_is_written_meanwhile_is_written_to_both(change: Change) -> None:
    """New memories, newer versions and deletions, at the worst moment: while the old version is being embedded."""
    await change.put(ANN, memory("a"), memory("b"), memory("c"))

    async def meanwhile() -> None:
        await change.put(ANN, memory("a", updated_at=NOW + 1, pinned=True), memory("d"), store=change.both)
        await change.both.delete(ANN, ["b"], at=NOW + 1)

    change.new.meanwhile = meanwhile
    await change.run()
    assert sorted(await listed(change.following, ANN)) == ["a", "c", "d"]
    assert (await change.following.get(ANN, ["a"]))[0].pinned
    assert await change.following.deleted_at(ANN, ["b"]) == {"b": NOW + 1}


async def test_once_ready_it_keeps_up(change: Change) -> None:
    """No pass runs any more: each write itself has to reach both."""
    await change.put(ANN, memory("a"), memory("b"))
    await change.put(BOB, memory("c"))
    await change.run()
    await change.put(ANN, memory("d"), store=change.both)
    await change.both.delete(ANN, ["a"], at=NOW)
    await change.both.erase("bob")
    assert sorted(await listed(change.following, ANN)) == ["b", "d"]
    assert await listed(change.following, BOB) == []
    assert await change.following.deleted_at(ANN, ["a"]) == {"a": NOW}


async def test_a_user_erased_meanwhile_does_not_return(change: Change) -> None:
    """Not even what was on its way into the new store; what the user says afterwards is there."""
    await change.put(ANN, memory("a"), memory("b"))
    await change.put(BOB, memory("c"))

    async def meanwhile() -> None:
        await change.both.erase("ann")
        await change.put(ANN, memory("later"), store=change.both)

    change.new.meanwhile = meanwhile
    await change.run()
    assert await listed(change.following, ANN, include_past=True) == ["later"]
    assert await listed(change.following, BOB) == ["c"]
    assert await change.following.size() == await change.store.size() == 2


async def test_what_an_abandoned_change_left_is_put_right(change: Change) -> None:
    """The new store still has what was erased, deleted and changed while nobody wrote to it."""
    await change.put(ANN, memory("erased"))
    await change.put(BOB, memory("deleted"), memory("changed"))
    await change.run()
    await change.store.erase("ann")
    await change.store.delete(BOB, ["deleted"], at=NOW)
    await change.put(BOB, memory("changed", updated_at=NOW + 1, valid_to=NOW))
    await change.run()
    assert await change.following.spaces() == [BOB]
    assert await listed(change.following, BOB, include_past=True) == ["changed"]
    assert await listed(change.following, BOB) == []
    assert await change.following.size() == await change.store.size()


async def test_cut_short_it_goes_on(change: Change) -> None:
    """What is there is not embedded again."""
    await change.put(ANN, *(memory(f"m{i}") for i in range(200)))
    running = asyncio.create_task(change.run())
    while change.new.embedded < 100:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert True not in change.marks
    there = await change.following.size()
    assert 0 < there < 200
    change.new.embedded = 0
    await change.run()
    assert change.new.embedded == 200 - there
    assert await change.following.size() == 200


async def test_the_server_switches_when_all_is_ready() -> None:
    """Not before; in one step; and a process that goes on with the old model goes on with the old memories."""
    async with QdrantDouble() as qdrant:
        at = Store(qdrant.url)
        old, beside = server_store(at, Old(), "changing"), server_store(at, New(), "next")
        change = Change(old, beside, New(), [])
        await change.put(ANN, memory("a"))
        early = server_store(at, New())
        with pytest.raises(ConfigError, match="Changing the embedding model"):
            await early.open()
        await change.run()
        new = server_store(at, New())
        await new.open()
        assert await listed(new, ANN) == await listed(old, ANN) == ["a"]
        assert qdrant.nodes[0].client._client.aliases["rememberd"] == "rememberd-new-16"  # type: ignore[attr-defined]
        late = server_store(at, Old())
        with pytest.raises(ConfigError, match="rememberd-new-16"):
            await late.open()
        for store in (old, beside, early, new, late):
            await store.close()


async def test_a_change_given_up_is_no_longer_ready() -> None:
    """Whoever writes to the old store alone makes the new one stale: it must not take over any more."""
    async with QdrantDouble() as qdrant:
        at = Store(qdrant.url)
        change = Change(server_store(at, Old(), "changing"), server_store(at, New(), "next"), New(), [])
        await change.put(ANN, memory("a"))
        await change.run()
        alone, new = server_store(at, Old()), server_store(at, New())
        await change.put(ANN, memory("b"), store=alone)
        with pytest.raises(ConfigError, match="rememberd-old-32"):
            await new.open()
        for store in (change.store, change.following, alone, new):
            await store.close()


async def test_the_folder_switches_when_all_is_ready(tmp_path: Path) -> None:
    """Not before, nor while the change was given up; also if the switch itself was cut short."""
    settings = Settings(data_dir=str(tmp_path))
    store, following = embedded(settings, Old(), "changing"), embedded(settings, New(), "next")
    change = Change(store, following, New(), [])
    await change.put(ANN, memory("a"))
    await store.close()
    with pytest.raises(ConfigError, match="Changing the embedding model"):
        embedded(settings, New(), "alone")
    change.store = store = embedded(settings, Old(), "changing")
    await change.run()
    await store.close()
    with pytest.raises(ConfigError, match="in use"):
        embedded(settings, New(), "alone")
    await following.close()
    shutil.copytree(tmp_path, tmp_path / "given-up")
    await embedded(Settings(data_dir=str(tmp_path / "given-up")), Old(), "alone").close()
    with pytest.raises(ConfigError, match="old"):
        embedded(Settings(data_dir=str(tmp_path / "given-up")), New(), "alone")
    (tmp_path / "qdrant").rename(tmp_path / "qdrant-before")
    with pytest.raises(ConfigError, match="was interrupted"):
        embedded(settings, Old(), "alone")
    new = embedded(settings, New(), "alone")
    assert await listed(new, ANN) == ["a"]
    assert not [each for each in ("qdrant-before", "qdrant-next", "qdrant/ready") if (tmp_path / each).exists()]
    await new.close()


async def test_the_model_in_use_is_no_change(tmp_path: Path) -> None:
    """The settings name the same one twice."""
    settings = Settings(data_dir=str(tmp_path), memory=Memory(embedding=Embedding(next_path=str(PACKAGED))))
    embedder = EmbedderFake()
    embedder.name, embedder.dim = PACKAGED.name, 384
    with pytest.raises(ConfigError, match="model in use"):
        async with for_writer(settings, embedder, lambda store: store):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embedded", "encrypted", "server"])
async def test_the_whole_proxy_changes_its_model(tmp_path: Path, upstream: FakeModel, kind: str) -> None:
    """With three starts: before, during and after; memories from before and during are recalled all the time."""
    async with QdrantDouble() as qdrant:
        store = {"url": qdrant.url} if kind == "server" else {}
        await asyncio.to_thread(_change_the_model, tmp_path, upstream, store, kind)
        if kind == "server":
            aliases: dict[str, str] = qdrant.nodes[0].client._client.aliases  # type: ignore[attr-defined]
            # Beside it may stand that the search fields of the old collection are made.
            in_force = {
                name: of
                for name, of in aliases.items()
                if not name.startswith(("rememberd-indexed-", "rememberd-format-"))
            }
            assert in_force == {"rememberd": "rememberd-another-384"}


def _change_the_model(tmp_path: Path, upstream: FakeModel, store: dict[str, Any], kind: str) -> None:
    shutil.copytree(PACKAGED, tmp_path / "another")
    another = str(tmp_path / "another")

    def proxy(**embedding: str) -> Any:
        sealed = {"encryption": {"master_key": OLD}} if kind == "encrypted" else {}
        memory = {"deadline_ms": 5000, "store": store, "embedding": embedding} | sealed
        return running(tmp_path / "p", {"model-a": upstream.url}, memory=memory)

    def recalled(client: Any, question: str) -> str:
        ask(client, question)
        return str(upstream.chats[-1].json["messages"][-1]["content"])

    with proxy() as before, before.client("ann") as client:
        ask(client, "I live in Oslo.")
        remembered(client, "Oslo", "fact")
    with proxy(next_path=another) as during, during.client("ann") as client:
        ask(client, "I work at Globex.")
        remembered(client, "Globex", "fact")
        client.post("/v1/memories", json={"text": "I play the oboe."}).raise_for_status()
        assert "Oslo" in recalled(client, "In which city do I live?")
        eventually(lambda: any("all memories are embedded with another too" in line for line in during.log))
    with proxy(path=another) as after, after.client("ann") as client:
        assert "Oslo" in recalled(client, "What is the city that I live in?")
        assert "Globex" in recalled(client, "Where do I work?")
        assert "oboe" in recalled(client, "Which instrument do I play?")
        if kind != "server":
            assert orjson.loads((after.data / "qdrant" / "embedder.json").read_bytes())["name"] == "another"
