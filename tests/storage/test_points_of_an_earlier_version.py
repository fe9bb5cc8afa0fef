"""Points that an earlier version wrote are written again, once, beside the chats, and nothing else changes."""

from __future__ import annotations

import asyncio
import hashlib
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rememberd.encryption.store import SealedStore
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import VERSION, to_point
from rememberd.memory.embedding.reindex import Reindexing
from rememberd.memory.recall import needs
from rememberd.memory.recall.relevance import of_topics
from rememberd.settings.schema import Store
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.types import Memory, Space
from tests.support.fake_model import FakeModel
from tests.support.fakes import EmbedderFake
from tests.support.proxy_server import KEYS, ask, eventually, memories, running
from tests.support.qdrant_double import QdrantDouble, server_store
from tests.support.sealing import opened
from tests.support.store_contract import ANN, NOW, listed

BOB = Space("bob")
FOLDERS = Path(__file__).parents[1] / "data" / "folders"


class Embedder(EmbedderFake):
    """`meanwhile` happens once, while it embeds its `after`-th text."""

    name, dim = "fake", 16
    embedded, after = 0, 1
    meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def dense(self, text: str) -> list[float]:
        self.embedded += 1
        if self.meanwhile is not None and self.embedded >= self.after:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return await super().dense(text)


@dataclass
class Rig:
    store: Any  # what the product writes to
    marked: Any  # the store behind it
    embedder: Embedder
    queue: SqliteQueue

    async def write_old(self, space: Space, *told: Memory) -> None:
        """As version 0.1 did: without the fields that came later."""
        points = [await to_point(each, self.embedder) for each in told]
        old = [replace(each, names=(), topics=None, label=None, answer_tokens=0) for each in points]
        await self.store.put(space, old)

    async def run(self) -> None:
        async with asyncio.timeout(60):
            await Reindexing(self.store, self.marked, self.embedder, self.queue).run()

    async def named(self, space: Space, question: str) -> list[str]:
        """The memories that name something that the question names."""
        words = self.embedder.query(question)
        found = await self.store.search(space, [0.0] * 16, words, now=NOW + 1)
        return sorted(found.take(found.named).names())


@pytest.fixture(params=["embedded", "sealed", "server"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    embedder, queue = Embedder(), SqliteQueue(Database(tmp_path / "queue.db"))
    if request.param == "server":
        async with QdrantDouble() as qdrant:
            server = server_store(Store(qdrant.url), embedder)
            yield Rig(server, server, embedder, queue)
            await server.close()
    else:
        edge = EdgeStore.open(tmp_path / "qdrant", dim=16, embedder="fake")
        async with opened(tmp_path) as keyring:
            yield Rig(SealedStore(edge, keyring) if request.param == "sealed" else edge, edge, embedder, queue)
        await edge.close()
    await queue.close()


def met(name: str, **fields: Any) -> Memory:
    return replace(Memory(f"met-{name}", f"I met {name} at the lake.", "fact", NOW, NOW, NOW), **fields)


NAMES = [f"{first}{second}" for first in ("Ka", "Lo", "Mi", "Ru") for second in ("fi", "ram", "sta", "vel", "zon")]


async def test_every_point_of_everybody_gets_its_fields_once(rig: Rig) -> None:
    """Past memories too. The memories stay what they are, and the second start embeds nothing."""
    past = met("Petra", valid_to=NOW + 1)
    await rig.write_old(ANN, *(met(name) for name in NAMES), past)
    await rig.write_old(BOB, met("Kofi"))
    assert await rig.named(ANN, "Do you know Kafi?") == []
    await rig.run()
    for name in NAMES:
        assert await rig.named(ANN, f"Do you know {name}?") == [f"met-{name}"]
    assert await rig.named(BOB, "Do you know Kofi?") == ["met-Kofi"]
    ids = [f"met-{name}" for name in NAMES]
    assert await rig.store.get(ANN, [*ids, "met-Petra"]) == [*(met(name) for name in NAMES), past]
    assert await rig.marked.index_version() == VERSION
    embedded = rig.embedder.embedded
    await rig.run()
    assert rig.embedder.embedded == embedded


async def test_what_changes_meanwhile_stays_changed(rig: Rig) -> None:
    """A memory that is edited, deleted or erased while it is embedded does not come back."""
    await rig.write_old(ANN, met("Edda"), met("Della"), met("Kofi"))
    await rig.write_old(BOB, met("Bo"))
    edited = met("Edda", text="I met Edda at the station.", updated_at=NOW + 5)

    async def change() -> None:
        await rig.store.put(ANN, [await to_point(edited, rig.embedder)])
        await rig.store.delete(ANN, ["met-Della"], at=NOW + 5)
        await rig.queue.erase("bob", NOW + 10**12)
        await rig.store.erase("bob")

    rig.embedder.after, rig.embedder.meanwhile = rig.embedder.embedded + 2, change
    await rig.run()
    assert rig.embedder.meanwhile is None
    assert await rig.store.get(ANN, ["met-Edda", "met-Della", "met-Kofi"]) == [edited, met("Kofi")]
    assert await listed(rig.store, BOB) == []
    assert await rig.named(ANN, "Do you know Edda?") == ["met-Edda"]


async def test_it_may_be_cut_short_anywhere(rig: Rig) -> None:
    """Without a mark, the next start does it all."""
    await rig.write_old(ANN, *(met(name) for name in NAMES))

    async def killed() -> None:
        raise asyncio.CancelledError

    for after in (1, 5, 18):
        rig.embedder.after, rig.embedder.meanwhile = rig.embedder.embedded + after, killed
        with pytest.raises(asyncio.CancelledError):
            await rig.run()
        assert await rig.marked.index_version() == 0
        assert len(await listed(rig.store, ANN)) == len(NAMES)
    await rig.run()
    assert [await rig.named(ANN, f"Do you know {name}?") for name in NAMES] == [[f"met-{name}"] for name in NAMES]


async def test_a_topic_that_is_taken_for_wrong_today_goes(tmp_path: Path) -> None:
    """A story stood in every block, because an earlier version took it for a wish about answers."""
    embedder, queue = FastEmbedder(), SqliteQueue(Database(tmp_path / "queue.db"))
    await embedder.start()
    edge = EdgeStore.open(tmp_path / "qdrant", dim=embedder.dim, embedder=embedder.name)
    story = met("Petra", text="For me, adoption is a way of giving back.", slot="instruction")
    wish = met("Kofi", text="Always answer in short sentences.", slot="instruction")
    points = [await to_point(each, embedder) for each in (story, wish)]
    await edge.put(ANN, [replace(each, topics=needs.STYLE) for each in points])
    await edge.mark_indexed(VERSION - 1)
    await Reindexing(edge, edge, embedder, queue).run()
    found = await edge.search(ANN, points[0].dense, embedder.query("adoption"), now=NOW + 1)
    wishes = found.take(of_topics(found.topics, {needs.STYLE})).names()
    await edge.close()
    await queue.close()
    embedder.close()
    assert list(wishes) == ["met-Kofi"]


DECIDE_TOPICS = ("english.json", "facts.json", "facts_meaning.json", "topics.toml")
THRESHOLDS = (needs.BOTH, needs.OF_TOPIC, needs.ENGLISH, needs.SURELY_STYLE, needs.STYLE_TOO)
WITH_TOPICS_OF = (12, "7bf66b024ff9637b")


def test_new_weights_make_a_new_version() -> None:
    """What decides the topics of a fact has changed: raise `VERSION`, so that stored memories get their new topics,
    and put both here."""
    files = [(Path(needs.__file__).parent / "data" / name).read_bytes() for name in DECIDE_TOPICS]
    digest = hashlib.sha256(b"\0".join([*files, repr(THRESHOLDS).encode()])).hexdigest()[:16]
    assert (VERSION, digest) == WITH_TOPICS_OF


@pytest.mark.slow
def test_a_folder_of_version_0_1_answers_by_need(tmp_path: Path, upstream: FakeModel) -> None:
    """Its store has no index for these fields; the first start makes it, and says nothing of lost memories."""
    with tarfile.open(FOLDERS / "0.1.0.tar.xz") as tar:
        tar.extractall(tmp_path / "data", filter="data")
    with running(tmp_path, {"model-a": upstream.url}, keys=KEYS) as proxy, proxy.client("ada") as client:
        assert any(each["text"] == "I live in Bergen." for each in memories(client))
        eventually(lambda: (tmp_path / "data" / "qdrant" / "indexed").exists(), 60)
        response = ask(client, "Do I need a coat today?")
        assert response.headers["x-memory-status"] == "hit"
        shown = client.post("/v1/memories/preview", json={"text": "Do I need a coat today?"}).json()
        assert "I live in Bergen." in shown["block"]
        assert "had lost its indexes" not in "".join(proxy.log)
