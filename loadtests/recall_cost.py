"""`python -m loadtests.recall_cost [MEMORIES]`: what a recall costs beside the embedding of its question, in one
process; and what a question costs more when the memories of three groups are looked into as well. CPU time, medians
over rounds that ask the same questions in turn; compare the ratios, for machines differ."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

from loadtests.preload import REAL_VECTORS, Maker
from loadtests.prompts import USER, memory, question
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall import dates, needs
from rememberd.memory.recall.lexicon import asked_time
from rememberd.memory.recall.recall import Recall
from rememberd.memory.recall.retrieve import Retrieved, retrieve
from rememberd.search_results import Candidates, Query
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space

MEMORIES, BATCH, QUESTIONS, ROUNDS = 10_000, 500, 40, 15
_SPACE = Space(USER)
_GROUPS, OF_GROUP = ("one", "two", "three"), 1_000
_NO_HURRY_MS = 60_000

_spent: dict[str, float] = defaultdict(float)  # seconds of CPU, by stage

T = TypeVar("T")


class _Clocked(EdgeStore):
    """Notes the CPU of what a recall asks of it."""

    async def prefetch(self, *given: Any, **named: Any) -> None:
        await _counted("its words, looked up ahead", super().prefetch(*given, **named))

    async def search_all(self, queries: Sequence[Query], **named: Any) -> Candidates:
        stage = "search" if len(queries) == 1 else "search with groups"
        return await _counted(stage, super().search_all(queries, **named))

    async def get(self, *given: Any, **named: Any) -> list[Memory]:
        return await _counted("texts", super().get(*given, **named))


async def main(memories: int, rounds: int = ROUNDS) -> None:
    of_group = min(OF_GROUP, memories)
    embedder = FastEmbedder()
    await embedder.start()
    await needs.learn(embedder)
    with tempfile.TemporaryDirectory() as name:
        store = _Clocked.open(Path(name) / "qdrant", dim=embedder.dim, embedder=embedder.name)
        await _fill(store, embedder, _SPACE, memories)
        for name in _GROUPS:
            await _fill(store, embedder, Space.of_group(name), of_group)
        chance = random.Random(5)
        questions = [question(chance) for _ in range(QUESTIONS)]
        embedding = [await _cpu(embedder.dense(each)) for each in questions]  # from now on they are kept

        async def retrieving(*given: Any) -> Retrieved:
            return await _counted("from the search to the block", retrieve(store, *given))

        recall = Recall(store, embedder, deadline_ms=_NO_HURRY_MS, retrieving=retrieving)
        for groups in ((), _GROUPS):
            await _round(recall, questions, groups)
        pairs = [(await _round(recall, questions), await _round(recall, questions, _GROUPS)) for _ in range(rounds)]
        whole, shared = (median(each) for each in zip(*pairs, strict=True))
        once = median(embedding)
        _spent.clear()
        for _ in range(rounds):
            await _round(recall, questions)
        print(f"| a recall among {memories:,} memories | µs |\n|---|---|")
        print(f"| without the embedding, CPU | {whole * 1e6:.0f} |")
        for stage, seconds in sorted(_spent.items()):
            print(f"| … {stage} | {seconds / rounds / QUESTIONS * 1e6:.0f} |")
        print(f"| the embedding, CPU | {once * 1e6:.0f} |\n| recall / embedding | {whole / once:.2f} |")
        print(f"| with {len(_GROUPS)} groups of {of_group:,} memories, without the embedding | {shared * 1e6:.0f} |")
        print(f"| a question with groups / without, embedding included | {(shared + once) / (whole + once):.2f} |")
        await store.close()
    embedder.close()


async def _fill(store: EdgeStore, embedder: FastEmbedder, space: Space, memories: int) -> None:
    chance = random.Random(space.user)
    vectors = np.array([await embedder.dense(memory(chance)) for _ in range(min(REAL_VECTORS, memories))])
    maker = Maker(chance, embedder, vectors, time.time_ns() // 1_000_000)
    for start in range(0, memories, BATCH):
        await store.put(space, [maker.point(number) for number in range(start, min(start + BATCH, memories))])


async def _round(recall: Recall, questions: list[str], groups: Sequence[str] = ()) -> float:
    """Seconds of a question. A new question is in no cache but the embedder's."""
    spent = 0.0
    for each in questions:
        asked_time.cache_clear()
        dates.days_asked_about.cache_clear()
        now = time.time_ns() // 1_000_000
        spent += await _cpu(recall.recall(_SPACE, each, now=now, turn_id=None, conversation=None, groups=groups))
    return spent / len(questions)


async def _cpu(work: Awaitable[object]) -> float:
    began = time.process_time()
    await work
    return time.process_time() - began


async def _counted(stage: str, work: Awaitable[T]) -> T:
    began = time.process_time()
    try:
        return await work
    finally:
        _spent[stage] += time.process_time() - began


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else MEMORIES))
