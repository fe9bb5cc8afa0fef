"""Changes the embedding model or the location: copies all memories into a second store while the first one answers.
For another model they are embedded again.

Both stores receive every write from the start. Older memories are copied in passes, until a pass finds nothing to do.
Then the second store is ready to replace the first.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from prometheus_client import Gauge

from rememberd.errors import MemoryUnavailable
from rememberd.memory.embedding.indexing import to_point
from rememberd.ports import Embedder, MemoryStore, PageQuery
from rememberd.search_results import Candidates, Query
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

T = TypeVar("T")

PAGE = 64
PAUSE_S = 5.0
SAY_EVERY_S = 30.0

DONE = Gauge("rememberd_reembedded", "Memories embedded anew or found so, in this pass", multiprocess_mode="max")
READY = Gauge("rememberd_reembedding_ready", "1 when the next store holds all memories", multiprocess_mode="max")

log = logging.getLogger("rememberd.reembed")


class DualWriteStore(MemoryStore):
    """The `MemoryStore` port over the current store, which answers, and the next one, which is only written.

    A write that fails in the next store fails; it can be repeated safely. `load` returns the next embedder; None if
    it is the same one."""

    def __init__(
        self, store: MemoryStore, following: MemoryStore, load: Callable[[], Awaitable[Embedder]] | None = None
    ) -> None:
        self.store, self.following, self.load = store, following, load

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        # In this order: everything in the next store was in the first one before. `Reembedding` relies on it.
        await self.store.put(space, points)
        if self.load is not None:
            embedder = await self.load()
            points = [await to_point(point.memory, embedder) for point in points]
        await self.following.put(space, points)

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        return await self.store.get(space, ids)

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        await self.store.prefetch(space, sparse, now=now)

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        return await self.store.search_all(queries, now=now)

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        return await self.store.read_page(space, wanted)

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        return await self.store.count(space, now=now, kind=kind, include_past=include_past)

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        return await self.store.deleted_at(space, ids)

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        existed = await self.store.delete(space, ids, at=at)
        await self._loaded()
        await self.following.delete(space, ids, at=at)
        return existed

    async def erase(self, user: str) -> int:
        erased = await self.store.erase(user)
        await self._loaded()
        await self.following.erase(user)
        return erased

    async def spaces(self, user: str | None = None) -> list[Space]:
        return await self.store.spaces(user)

    async def users(self, after: str, limit: int) -> list[Space]:
        return await self.store.users(after, limit)

    async def ping(self) -> None:
        await self.store.ping()

    async def flush(self) -> None:
        await self.store.flush()
        await self.following.flush()

    async def close(self) -> None:
        await self.store.close()
        await self.following.close()

    async def _loaded(self) -> None:
        """The next store's name depends on its embedder."""
        if self.load is not None:
            await self.load()


async def fill(
    catch_up: Callable[[], Awaitable[int]],
    flush: Callable[[], Awaitable[None]],
    mark_ready: Callable[[bool], Awaitable[None]],
) -> None:
    """Run until the next store is ready. `catch_up` makes a pass over everything and returns the number of
    differences; 0 means that both stores hold the same. `mark_ready` records whether the next store may take over. An
    outage delays it; after a kill it starts again, and skips what is already copied."""

    async def unfinished() -> bool:
        await mark_ready(False)
        return await catch_up() > 0

    async def finish() -> None:
        await flush()
        await mark_ready(True)

    READY.set(0)
    while await _retried(unfinished):
        pass
    await _retried(finish)
    READY.set(1)


async def _retried(step: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await step()
        except MemoryUnavailable as error:
            log.warning("filling the next store waits %.0f s: %s", PAUSE_S, error)
        await asyncio.sleep(PAUSE_S)


class Reembedding:
    """Makes `following` hold what `store` holds. `bury` copies missing tombstones and returns their number;
    `mark_ready` records whether it may take over; `total` is the approximate number of points."""

    def __init__(
        self,
        store: MemoryStore,
        following: MemoryStore,
        embedder: Embedder,
        *,
        bury: Callable[[], Awaitable[int]],
        mark_ready: Callable[[bool], Awaitable[None]],
        total: Callable[[], Awaitable[int]],
    ) -> None:
        self.store, self.following, self.embedder = store, following, embedder
        self.dead_letter, self.mark_ready, self.total = bury, mark_ready, total
        self._said_at = time.monotonic()

    async def run(self) -> None:
        """Run until it is ready; see `fill`."""
        await fill(self.catch_up, self.following.flush, self.mark_ready)
        log.info(
            "all memories are embedded with %s too: set memory.embedding to it, drop memory.embedding.next_model and"
            " next_path, and restart",
            self.embedder.name,
        )

    async def catch_up(self) -> int:
        """One pass over everything. Returns the number of differences; 0: the next store holds the same."""
        changed, seen, total = await self.dead_letter(), 0, await self.total()
        async for space, memories in pages(self.store, PAGE):
            changed += await self._copy_batch(space, memories)
            seen += len(memories)
            DONE.set(seen)
            self._say(seen, total)
        return changed + await self._delete_orphans()

    async def _copy_batch(self, space: Space, memories: Sequence[Memory]) -> int:
        there = {memory.id: memory for memory in await self.following.get(space, [each.id for each in memories])}
        missing = [memory for memory in memories if there.get(memory.id) != memory]
        await self.following.put(space, [await to_point(memory, self.embedder) for memory in missing])
        return len(missing)

    async def _delete_orphans(self) -> int:
        """A memory that only the next store has, without a tombstone in the first, belongs to an erased user. New
        memories of this user are copied in the next pass."""
        dropped = 0
        async for space, memories in pages(self.following, PAGE):
            ids = [memory.id for memory in memories]
            known = {memory.id for memory in await self.store.get(space, ids)} | set(
                await self.store.deleted_at(space, ids)
            )
            if not known.issuperset(ids):
                dropped += await self.following.erase(space.user)
        return dropped

    def _say(self, seen: int, total: int) -> None:
        if time.monotonic() - self._said_at >= SAY_EVERY_S:
            self._said_at = time.monotonic()
            log.info("embedding anew with %s: %s of about %s memories", self.embedder.name, f"{seen:,}", f"{total:,}")


async def pages(store: MemoryStore, size: int) -> AsyncIterator[tuple[Space, list[Memory]]]:
    """All memories of all users, past ones too."""
    for space in await store.spaces():
        async for memories in store.pages(space, now=0, limit=size, include_past=True):
            yield space, memories
