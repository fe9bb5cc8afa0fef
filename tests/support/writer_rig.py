"""A writer with real queue, receipts and blocks around fakes of the store and the embedder."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from rememberd.memory.learn.writer import Writer
from rememberd.ports import Extractor
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.storage.sqlite.tool_files import SqliteToolFiles
from rememberd.storage.sqlite.usage import SqliteUsage
from rememberd.types import Fact, Space, Turn
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.queue_contract import Clock

ADA = Space("ada")


class Sentences:
    """An extractor: each sentence that starts with "I " is a fact; "I live in …" fills the slot "home"."""

    async def facts(self, turn: Turn) -> list[Fact]:
        found = re.findall(r"\bI [^.]*\.", turn.user_text)
        return [Fact(each, each, "home" if each.startswith("I live in") else None) for each in found]


class Rig:
    def __init__(self, folder: Path, extractors: Sequence[Extractor] | None = None) -> None:
        self.clock = Clock()
        self.database = Database(folder / "queue.db")
        self.queue = SqliteQueue(self.database, clock=self.clock)
        self.receipts, self.block_cache = SqliteReceipts(self.database), SqliteBlockCache(self.database)
        self.usage = SqliteUsage(self.database)
        self.tool_files = SqliteToolFiles(self.database)
        self.store, self.embedder = MemoryStoreFake(), EmbedderFake()
        self.extractors = [Sentences()] if extractors is None else extractors

    def writer(self) -> Writer:
        return Writer(
            self.queue,
            self.store,
            self.embedder,
            self.extractors,
            self.receipts,
            self.block_cache,
            clock=self.clock,
        )

    async def drain(self) -> None:
        """Run a writer until no turn but dead letters is left; retries come due at once."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.writer().run(stop))
        try:
            async with asyncio.timeout(120):
                while self.database.read("SELECT 1 FROM turns WHERE state <> 'dead'") and not running.done():
                    await asyncio.sleep(0.01)
                    # Past any back-off, not past a lease.
                    self.clock.now += 10_000
        finally:
            stop.set()
            await running

    def texts(self, space: Space = ADA) -> list[str]:
        """Current facts and episodes, sorted."""
        return sorted(memory.text for memory in self.store.memories(space) if memory.valid_to is None)
