"""Writes every point again whose search fields an earlier version computed. Chats are answered meanwhile.

A search returns the points of an earlier version too, but it finds no topics, names or long texts in them.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from rememberd.errors import MemoryUnavailable
from rememberd.memory.embedding.change_model import pages
from rememberd.memory.embedding.indexing import VERSION, to_point
from rememberd.ports import Embedder, MemoryStore, TurnQueue
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Memory, Space

PAGE = 16  # memories; a question waits for the embedding of one of them at most
PAUSE_S = 5.0

log = logging.getLogger("rememberd.reindex")


class Marked(Protocol):
    """A store that keeps the version of `indexing.py` that has written all its points, 0 for none."""

    async def index_version(self) -> int: ...

    async def mark_indexed(self, version: int) -> None: ...


class Reindexing:
    """`marked` is the underlying store of `store`. After a kill, the next start begins again; writing a point twice
    does no harm."""

    def __init__(self, store: MemoryStore, marked: Marked, embedder: Embedder, queue: TurnQueue) -> None:
        self.store, self.marked, self.embedder, self.queue = store, marked, embedder, queue

    async def run(self) -> None:
        """Run until all is written. An outage delays it."""
        while True:
            try:
                if await self.marked.index_version() >= VERSION:
                    return
                await self._write_all()
                break
            except MemoryUnavailable as error:
                log.warning("writing the memories' search fields again waits %.0f s: %s", PAUSE_S, error)
            await asyncio.sleep(PAUSE_S)
        try:
            await self.marked.mark_indexed(VERSION)
        except MemoryUnavailable as error:
            log.warning("the next start writes the memories' search fields once more: %s", error)

    async def _write_all(self) -> None:
        written = 0
        async for space, memories in pages(self.store, PAGE):
            began = time.monotonic()
            written += await self._rewrite(space, memories)
            await asyncio.sleep(time.monotonic() - began)  # so that half of the embedder's time is left for questions
        await self.store.flush()
        if written:
            log.info("the search fields of %s memories of an earlier version are up to date", f"{written:,}")

    async def _rewrite(self, space: Space, memories: Sequence[Memory]) -> int:
        """Skips memories changed or deleted during the embedding; a change has already written all the fields."""
        began = wall_clock()
        points = [await to_point(memory, self.embedder) for memory in memories]
        there = {each.id: each for each in await self.store.get(space, [each.id for each in memories])}
        same = [point for point in points if there.get(point.memory.id) == point.memory]
        await self.store.put(space, same)
        if await self.queue.erased(space.user, began):
            await self.store.delete(space, [point.memory.id for point in same], at=0)
        return len(same)
