"""What a question costs more when the memories of three groups are looked into as well, counted and not timed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from loadtests.prompts import memory as text_of
from loadtests.prompts import question
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.recall import Recall
from rememberd.ports import MemoryStore
from rememberd.search_results import Candidates, Query
from rememberd.settings.schema import Store
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import Node, QdrantDouble, server_store
from tests.support.retrieval_rig import ADA, NOW, Embedder, memory

OWN, OF_GROUP, QUESTIONS = 1_500, 150, 6
MOST = 1.2  # of what a question costs without groups
GROUPS = ("one", "two", "three")


class CountedServer(QdrantDouble):
    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    async def _answered(self, node: Node, request: web.Request, body: dict[str, Any]) -> Any:
        answer = await super()._answered(node, request, body)
        self.counts["searches" if request.path.endswith("/query/batch") else "other requests"] += 1
        self.counts["bytes"] += len(orjson.dumps(answer)) + len(orjson.dumps(body))
        return answer


class CountedStore(EdgeStore):
    """`counts` is set when it is open."""

    counts: Counter[str]

    async def search_all(self, queries: Sequence[Query], **named: Any) -> Candidates:
        found = await super().search_all(queries, **named)
        self.counts["searches"] += 1
        self.counts["memories ranked"] += len(found)
        return found

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        self.counts["memories read"] += len(ids)
        return await super().get(space, ids)


async def cost(store: MemoryStore, counts: Counter[str]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Of the same questions, without and with groups."""
    embedder = Embedder()
    for space, memories in ((ADA, OWN), *((Space.of_group(name), OF_GROUP) for name in GROUPS)):
        chance = random.Random(space.user)
        told = [replace(memory(text_of(chance), days_ago=n % 300), group=space.group) for n in range(memories)]
        for start in range(0, memories, 500):
            points = [await to_point(each, EmbedderFake()) for each in told[start : start + 500]]
            await store.put(space, points)
    recall = Recall(store, embedder, deadline_ms=60_000)
    chance = random.Random(5)
    questions = [question(chance) for _ in range(2 * QUESTIONS)]
    found = []
    for groups in ((), GROUPS):
        for number, asked in enumerate(questions):
            if number == QUESTIONS:  # what the store keeps of earlier answers is there by now
                counts.clear()
                embedder.asked.clear()
            recalled = await recall.recall(ADA, asked, now=NOW, turn_id=None, conversation=None, groups=groups)
            assert recalled.status == "hit"
        found.append({**counts, "texts embedded": len(embedder.asked)})
        counts.clear()
    return found[0], found[1]


async def test_in_the_embedded_store(tmp_path: Path) -> None:
    """One search whatever the number of groups, and about as many memories to be ranked and read."""
    store = CountedStore.open(tmp_path / "store", dim=EmbedderFake.dim, embedder="fake")
    store.counts = Counter()
    alone, shared = await cost(store, store.counts)
    await store.close()
    assert shared["searches"] == alone["searches"] == QUESTIONS
    assert shared["texts embedded"] == alone["texts embedded"]
    assert {what: (alone[what], shared[what]) for what in alone if shared[what] > MOST * alone[what]} == {}


async def test_on_a_server() -> None:
    """One search, too, and about as many bytes. What it found is read from each space, all at the same time."""
    async with CountedServer() as server:
        store = server_store(Store(server.url), EmbedderFake(), call_seconds=60.0)
        alone, shared = await cost(store, server.counts)
        await store.close()
    assert shared["searches"] == alone["searches"] == QUESTIONS
    assert shared["texts embedded"] == alone["texts embedded"]
    assert shared["bytes"] <= MOST * alone["bytes"]
    assert shared["other requests"] <= (1 + len(GROUPS)) * max(alone["other requests"], QUESTIONS)
