"""However much is said twice, memory keeps it once; and what was said last holds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.learn.writer import Writer
from rememberd.ports import MemoryStore
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.types import Memory, Space, Turn
from tests.support.chatter import Said, chatter

ADA = Space("ada")
START, MINUTE = 1_750_000_000_000, 60_000
SEVERAL = {"phone": "contact", "diet": "diet"}  # attributes that may have several values, and their slots
NO = r"\b(?:hate|dislike|no longer)\b|n't\b"

# Not the product's own list: articles, pronouns, auxiliaries, prepositions, conjunctions and empty adverbs.
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the i my me we our you it is am are was be been being have has had do does did of in on at to for from "
        "with and or but so that this as by really very also just now currently actually still too quite lot any "
        "more m s ve re d ll",
    )
)


async def write(folder: Path, said: Sequence[Said], embedder: FastEmbedder) -> list[Memory]:
    """Every turn through the queue and the writer into the embedded store; all facts, past ones too."""
    database = Database(folder / "queue.db")
    queue = SqliteQueue(database)
    store = EdgeStore.open(folder / "store", dim=embedder.dim, embedder=embedder.name)
    writer = Writer(queue, store, embedder, [Rules()], SqliteReceipts(database), SqliteBlockCache(database))
    turns = [
        Turn(f"{n:032x}", ADA, START + n * MINUTE, each.text, each.answer, f"r{n}") for n, each in enumerate(said)
    ]
    try:
        for start in range(0, len(turns), 500):
            await asyncio.gather(*map(queue.put, turns[start : start + 500]))
        stop = asyncio.Event()
        running = asyncio.create_task(writer.run(stop))
        while (await queue.stats()).depth:
            await asyncio.sleep(0.05)
        stop.set()
        await running
        return await facts(store)
    finally:
        await queue.close()
        await store.close()


async def facts(store: MemoryStore) -> list[Memory]:
    found: list[Memory] = []
    cursor = None
    while True:
        page, cursor = await store.page(ADA, limit=500, now=START, cursor=cursor, kind="fact", include_past=True)
        found += page
        if cursor is None:
            return found


def near_duplicates(memories: Sequence[Memory], vectors: Sequence[Sequence[float]]) -> list[tuple[str, str]]:
    cosines = np.array(vectors) @ np.array(vectors).T
    pairs = combinations(range(len(memories)), 2)
    return [
        (memories[a].text, memories[b].text)
        for a, b in pairs
        if cosines[a, b] > 0.9 and words(memories[a].text) == words(memories[b].text)
    ]


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold())) - FUNCTION_WORDS


@pytest.mark.parametrize("turns", [400, 10_000])
@pytest.mark.slow
async def test_repetition_leaves_one_memory_and_corrections_win(tmp_path: Path, turns: int) -> None:
    """No exact duplicate, under 2 % near duplicates (same words but function words, cosine above .9), and of what
    changed only what was said last is current, or that too where one person may have several."""
    embedder = FastEmbedder()
    await embedder.start()
    said = list(chatter(turns))
    known = await write(tmp_path, said, embedder)
    current = [each for each in known if each.valid_to is None]
    plain = [" ".join(re.findall(r"\w+", each.text.casefold())) for each in known]
    near = near_duplicates(current, [await embedder.dense(each.text) for each in current])
    embedder.close()

    assert len(current) > 50
    assert len(plain) == len(set(plain))
    assert len(near) < 0.02 * len(current), near
    for attribute, value in {each.attribute: str(each.value) for each in said if each.attribute}.items():
        holding = [each.text for each in current if each.slot == SEVERAL.get(attribute, attribute)]
        assert any(value.casefold() in holds.casefold() for holds in holding), (attribute, value, holding)
        assert attribute in SEVERAL or len(holding) == 1
    for thing, likes in {each.thing: each.likes for each in said if each.thing}.items():
        [holds] = [each.text for each in current if re.search(rf"\b{thing}\b", each.text)]
        assert bool(re.search(NO, holds)) != likes
