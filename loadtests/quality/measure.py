"""Feeding conversations through the real write path and asking through the real recall path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from loadtests.quality.baselines import Chosen, VectorStore, chosen
from loadtests.quality.datasets.conversation import Conversation, Question
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.learn.writer import Writer
from rememberd.memory.recall.recall import Recall
from rememberd.ports import Embedder, MemoryStore
from rememberd.search_results import Candidates, Query
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.types import Kind, Memory, Millis, Space, Sparse

BUDGETS = (250, 500, 1000, 2000)
DEADLINE_MS = 10_000  # on a busy machine a benchmark must not drop questions
KINDS: dict[str, Kind | None] = {"product": None, "episodes only": "episode", "facts only": "fact"}
BY_WORDS = "by words alone"

NOTHING = Chosen("nothing", (), 0)  # of a multiple choice: what the question alone gives

Progress = Callable[[int], None]


class Answered(NamedTuple):
    """One question asked in one way: the share of its gold turns in the block, its tokens, the time."""

    way: str
    budget: int
    category: str
    found: float
    tokens: int
    ms: float


@dataclass(frozen=True, slots=True)
class Memories:
    """The store as the writer left it, and which turn each memory came from."""

    store: EdgeStore
    embedder: FastEmbedder
    vectors: VectorStore
    turn_of: dict[str, str]
    text_of: dict[str, str]
    counts: dict[str, int]

    async def of(self, spoken: Conversation) -> list[Memory]:
        """What holds at its end."""
        return await _all(self.store, spoken)

    async def score(self, question: Question, ids: Sequence[str], turns: bool = False) -> float:
        """The share of the gold turns among these. Of a multiple choice, 1 if the option nearest to their text and
        the question, by the embedder, is the right one, else 0. `ids` are of memories, or of turns."""
        if question.options:
            texts = [self.vectors.texts[each] if turns else self.text_of.get(each, "") for each in ids]
            return float(await self.vectors.nearest([question.text, *texts], question.options) == question.right)
        found = set(ids) if turns else {self.turn_of.get(each) for each in ids}
        return len(question.gold & found) / len(question.gold)


class OneKind:
    """A store whose searches show memories of one kind only; of both for None."""

    def __init__(self, store: EdgeStore, kind: Kind | None) -> None:
        self.store, self.kind = store, kind

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        """The hint is for searches of both kinds."""

    async def search(
        self, space: Space, dense: list[float], sparse: Sparse, *, now: Millis, limit: int = 400
    ) -> Candidates:
        return await self.store.search(space, dense, sparse, now=now, limit=limit, kind=self.kind)

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        return await self.store.search_all([each._replace(kind=self.kind) for each in queries], now=now)

    async def count(self, space: Space, *, now: Millis) -> int:
        return await self.store.count(space, now=now, kind=self.kind)

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        return await self.store.get(space, ids)


class Busy:
    """An embedder with so many texts waiting that the product recalls by words alone."""

    backlog_ms = float("inf")

    def __init__(self, embedder: FastEmbedder) -> None:
        self.name, self.dim, self.gain, self.query = embedder.name, embedder.dim, embedder.gain, embedder.query


@asynccontextmanager
async def written(folder: Path, conversations: Sequence[Conversation], progress: Progress) -> AsyncIterator[Memories]:
    """The conversations as memories in `folder`, through queue and writer, turn by turn."""
    embedder = FastEmbedder()
    await embedder.start()
    database = Database(folder / "queue.db")
    queue = SqliteQueue(database)
    store = EdgeStore.open(folder / "qdrant", dim=embedder.dim, embedder=embedder.name)
    writer = Writer(queue, store, embedder, [Rules()], SqliteReceipts(database), SqliteBlockCache(database))
    try:
        await _write(writer, conversations, progress)
        memories = [each for spoken in conversations for each in await _all(store, spoken)]
        vectors = VectorStore(embedder)
        for spoken in conversations:
            await vectors.add(spoken)
        texts = {each.id: each.text for each in memories}
        yield Memories(store, embedder, vectors, _turns(memories), texts, _counts(memories))
    finally:
        await queue.close()
        await store.close()
        embedder.close()


async def _write(writer: Writer, conversations: Sequence[Conversation], progress: Progress) -> None:
    turns = [turn for spoken in conversations for turn in spoken.turns]
    await asyncio.gather(*(writer.queue.put(turn) for turn in turns))
    stop = asyncio.Event()
    running = asyncio.create_task(writer.run(stop))
    depth = len(turns)
    while depth and not running.done():
        await asyncio.sleep(0.2)
        left = (await writer.queue.stats()).depth
        progress(depth - left)
        depth = left
    stop.set()
    await running


async def _all(store: EdgeStore, spoken: Conversation) -> list[Memory]:
    memories, cursor = await store.page(spoken.space, limit=1000, now=spoken.end)
    while cursor:
        more, cursor = await store.page(spoken.space, limit=1000, now=spoken.end, cursor=cursor)
        memories += more
    return memories


def _turns(memories: Sequence[Memory]) -> dict[str, str]:
    return {each.id: each.evidence.turn_id for each in memories if each.evidence and each.evidence.turn_id}


def _counts(memories: Sequence[Memory]) -> dict[str, int]:
    return {kind: sum(each.kind == kind for each in memories) for kind in ("episode", "fact")}


Recalls = dict[tuple[str, int], Recall]


def recalls(memories: Memories) -> Recalls:
    """The product's recall for each way and budget."""
    store, embedder = memories.store, memories.embedder
    ways = {way: (OneKind(store, kind), cast(Embedder, embedder)) for way, kind in KINDS.items()}
    ways[BY_WORDS] = OneKind(store, None), cast(Embedder, Busy(embedder))
    return {
        (way, budget): Recall(cast(MemoryStore, shown), by, budget, DEADLINE_MS)
        for way, (shown, by) in ways.items()
        for budget in BUDGETS
    }


async def asked(memories: Memories, ways: Recalls, spoken: Conversation, question: Question) -> list[Answered]:
    """`question` in every way and at every budget. Raises `RuntimeError` if a recall fails: its reason is logged."""
    answers = []
    for (way, budget), recall in ways.items():
        got = await recall.recall(spoken.space, question.text, now=spoken.end, turn_id=None, conversation=None)
        if got.status == "degraded":
            raise RuntimeError(f"the recall of {question.text!r} failed, so that nothing was measured")
        share = await memories.score(question, got.ids)
        answers.append(Answered(way, budget, question.category, share, got.tokens, got.ms))
    return answers + await _baselines(memories, spoken, question)


async def _baselines(memories: Memories, spoken: Conversation, question: Question) -> list[Answered]:
    dense = await memories.embedder.dense(question.text)
    sparse = memories.embedder.query(question.text)
    found = await memories.store.search(spoken.space, dense, sparse, now=spoken.end)
    nearest = await memories.vectors.chosen(spoken.space.user, question.text, BUDGETS)
    answers = []
    for budget, near in zip(BUDGETS, nearest, strict=True):
        for each in [*chosen(found, budget), near, *([NOTHING] if question.options else [])]:
            share = await memories.score(question, each.ids, each.turns)
            answers.append(Answered(each.way, budget, question.category, share, each.tokens, each.ms))
    return answers
