"""The folder of an embedded store: opening, writing, copying, and the points of all users in it.

The engine holds the GIL during every call, so a thread would gain nothing: calls are made directly, and the process
that has the store serves it to the others (`edge/server.py`).
"""

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import qdrant_edge as qdrant
from prometheus_client import Counter
from qdrant_edge import UpdateOperation

from rememberd.errors import StoreUnavailable
from rememberd.storage.edge import queries
from rememberd.storage.edge.points import bare_point, engine_id, stored_in
from rememberd.storage.edge.shard import (
    check_embedder,
    copy_folder,
    index_version,
    made_by,
    mark_indexed,
    mark_ready,
    open_shard,
    take_lock,
)
from rememberd.storage.migrate import Stored

# The engine writes through memory maps: on a full disk, SIGBUS kills the process, so the disk must never be full.
MIN_FREE_BYTES = 64 * 2**20
DELETIONS_MAY_USE = 0.75  # of that: on a full disk people can still delete
# Below this, searches are fast without an index (measured: 1 ms at 100k points), and building one stalls them.
OPTIMIZE_ABOVE = 200_000

# Here the engine's error message begins to quote its input, which may be a user's text.
_VALUE = re.compile(r'["`{\[\n]')
_REASON_CHARS = 200

log = logging.getLogger("rememberd.store")
failures = Counter("rememberd_store_errors_total", "Calls that the embedded store's engine refused")


class EdgeFolder:
    """Made by `open`. A subclass that caches points updates its cache in `_written`."""

    def __init__(self, shard: qdrant.EdgeShard, folder: Path, lock: int, min_free_bytes: int) -> None:
        self._shard: Any = shard  # its stubs allow more kinds of ids and payloads than our points have
        self._folder, self._lock, self._min_free_bytes = folder, lock, min_free_bytes
        self._changing = asyncio.Lock()  # for the files: one change at a time, none during a snapshot
        self._dirty = True  # the writes replayed from the write-ahead log are not flushed yet

    @classmethod
    def open(cls, folder: Path, *, dim: int, embedder: str, min_free_bytes: int = MIN_FREE_BYTES) -> Self:
        """Open or create the store in `folder`, for vectors of `dim` numbers made by the model `embedder`.

        With less than `min_free_bytes` free on its disk, it refuses writes but still searches. Raises
        `ConfigError` if another process has it open or another model filled it."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = take_lock(folder)
        try:
            check_embedder(folder, embedder, dim)
            with engine():
                shard = open_shard(folder / "shard", dim)
        except BaseException:
            os.close(lock)
            raise
        return cls(shard, folder, lock, min_free_bytes)

    @classmethod
    def reopen(cls, folder: Path) -> Self:
        """The store in `folder`, no matter which model filled it. Raises `ConfigError`, `StoreUnavailable`."""
        return cls.open(folder, **made_by(folder), min_free_bytes=0)

    async def size(self) -> int:
        with engine():
            points: int = self._shard.info().points_count
        return points

    async def scan(self, after: UUID | None, limit: int) -> list[Stored]:
        first = 0 if after is None else engine_id(after) + 1
        with engine():
            records = self._shard.scroll(queries.following(first, limit))[0] if first < 2**64 else []
        return [stored_in(record) for record in records]

    async def take(self, ids: Sequence[UUID]) -> list[Stored]:
        with engine():
            places = [engine_id(each) for each in ids]
            records = self._shard.retrieve(places, with_payload=True, with_vector=False) if ids else []
        wanted = set(ids)
        return [each for each in map(stored_in, records) if each.id in wanted]

    async def load(self, points: Sequence[Stored]) -> None:
        async with self._changing:
            self._upsert([bare_point(each.id, each.dense, each.sparse, each.payload) for each in points])

    async def drop(self, points: Sequence[Stored]) -> None:
        async with self._changing:
            if points:
                self._write(UpdateOperation.delete_points([engine_id(each.id) for each in points]), deletes=True)

    async def ping(self) -> None:
        self._require_space()
        with engine():
            self._shard.info()

    async def flush(self) -> None:
        async with self._changing:
            if self._dirty:
                self._require_space()
                with engine():
                    self._shard.flush()
                self._dirty = False

    async def snapshot(self, target: Path) -> int:
        """Copy the folder, flushed, to `target`, which does not exist yet. Writes wait meanwhile, searches do not.
        Returns the number of points, tombstones included."""
        async with self._changing:
            self._require_space(_size(self._folder))
            with engine():
                self._shard.flush()
                points: int = self._shard.info().points_count
            self._dirty = False
            await asyncio.to_thread(copy_folder, self._folder, target)
        return points

    async def mark_ready(self, ready: bool) -> None:
        """Record whether this store may replace the current store."""
        mark_ready(self._folder, ready)

    async def index_version(self) -> int:
        """The version of `memory/embedding/indexing.py` that has written all points; 0 for none."""
        return index_version(self._folder)

    async def mark_indexed(self, version: int) -> None:
        mark_indexed(self._folder, version)

    async def optimize(self, above: int = OPTIMIZE_ABOVE) -> bool:
        """Index the vectors and remove deleted ones from disk, if more than `above` points wait for it and a second
        copy fits on the disk. Blocks the process for seconds, with 500k points for a minute."""
        async with self._changing:
            info = self._shard.info()
            if 2 * info.points_count - info.indexed_vectors_count <= above:  # each point has two vectors
                return False
            self._require_space(_size(self._folder))
            with engine():
                self._shard.optimize()
            return True

    async def close(self) -> None:
        """Flush, and release the lock of the folder."""
        try:
            await self.flush()
        finally:
            self._shard.close()
            os.close(self._lock)

    def _upsert(self, points: list[qdrant.Point], *, deletes: bool = False) -> None:
        if points:
            self._write(UpdateOperation.upsert_points(points), deletes=deletes)
            for point in points:
                self._written(point)

    def _written(self, point: Any) -> None:
        """Called for each point that was written."""

    def _write(self, operation: UpdateOperation, *, deletes: bool = False) -> None:
        self._require_space(-int(self._min_free_bytes * DELETIONS_MAY_USE) if deletes else 0)
        self._dirty = True
        with engine():
            self._shard.update(operation)

    def _require_space(self, needed: int = 0) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._min_free_bytes + needed:
            raise StoreUnavailable(
                f"the disk of {self._folder} is full ({free // 2**20} MB free): nothing is written"
            )


@contextmanager
def engine() -> Iterator[None]:
    """Turns the engine's errors, which have no class of their own, into `StoreUnavailable`. Errors for a wrong
    argument are bugs of ours and are raised as they are."""
    try:
        yield
    except (TypeError, ValueError):
        raise
    except Exception as error:
        failures.inc()
        reason = _VALUE.split(str(error), maxsplit=1)[0].strip()[:_REASON_CHARS]
        log.error("the embedded store failed: %s", reason)
        raise StoreUnavailable(f"the embedded store failed: {reason}") from error


def _size(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*"))
