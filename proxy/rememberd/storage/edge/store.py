"""Memories in embedded Qdrant: the engine as a library, in one process.

The engine holds the GIL during every call, so nothing here would gain from a thread: calls are made where they
stand, and the process that has the store serves it to the others (`edge_server`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as qdrant
from prometheus_client import Counter
from qdrant_edge import QueryBatchRequest, QueryRequest, UpdateOperation

from rememberd.errors import InputRejected, StoreUnavailable
from rememberd.search_results import Candidates
from rememberd.storage import cursors
from rememberd.storage.cursors import Place
from rememberd.storage.edge import queries
from rememberd.storage.edge.points import bare_point, engine_id, is_of, living_point, stored_in
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
from rememberd.storage.payload import LIGHT, memory_in, point_id, space_of, tombstone
from rememberd.storage.row_cache import MemoryCache, RowCache, RowRefs, ScoredIds, StaleCache
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

# The engine writes through memory maps: on a full disk it dies of SIGBUS, so it must never meet one.
MIN_FREE_BYTES = 64 * 2**20
DELETIONS_MAY_USE = 0.75  # of that: on a full disk people can still delete
SEARCHED = 400  # of each branch
CACHED_ROWS = 100_000
CACHED_MEMORIES = 10_000
LIKELY = 32  # of those with the question's words to be in its block, and read ahead
AHEAD = 256  # of questions that are being embedded: 10 kB each
# Below this, searches are fast without an index (measured: 1 ms at 100k points), and building one stalls them.
OPTIMIZE_ABOVE = 200_000

log = logging.getLogger("rememberd.store")
failures = Counter("rememberd_store_errors_total", "Calls that the embedded store's engine refused")


class EdgeStore:
    """The `MemoryStore` port over one folder; `open` makes one."""

    def __init__(self, shard: qdrant.EdgeShard, folder: Path, lock: int, min_free_bytes: int) -> None:
        self._shard: Any = shard  # its stubs allow ids and payloads that no point of ours has
        self._folder, self._lock, self._min_free_bytes = folder, lock, min_free_bytes
        self._rows = RowCache(CACHED_ROWS)
        self._memories = MemoryCache(CACHED_MEMORIES)
        self._ahead: dict[Hashable, list[RowRefs]] = {}  # by words and pinned, for searches that are about to come
        self._changing = asyncio.Lock()  # of the files: one change at a time, none during a snapshot
        self._dirty = True  # what the write-ahead log replayed is not flushed yet
        self._last_read = 0.0

    @classmethod
    def open(cls, folder: Path, *, dim: int, embedder: str, min_free_bytes: int = MIN_FREE_BYTES) -> EdgeStore:
        """Open or create the store in `folder`, for vectors of `dim` numbers made by the model `embedder`.

        With less than `min_free_bytes` free on its disk, it refuses writes and goes on searching. Raises
        `ConfigError` if another process has it open or another model filled it."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = take_lock(folder)
        try:
            check_embedder(folder, embedder, dim)
            with _engine():
                shard = open_shard(folder / "shard", dim)
        except BaseException:
            os.close(lock)
            raise
        return cls(shard, folder, lock, min_free_bytes)

    @classmethod
    def reopen(cls, folder: Path) -> EdgeStore:
        """The store in `folder`, whatever model filled it. Raises `ConfigError`, `StoreUnavailable`."""
        return cls.open(folder, **made_by(folder), min_free_bytes=0)

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        async with self._changing:
            there = self._lying(space, [point.memory.id for point in points])
            if strange := [id_ for id_, payload in there.items() if not is_of(payload, space, id_)]:
                message = f"the place of the memory {strange[0]} is taken by another one: say it in other words"
                raise InputRejected("place_taken", message)
            buried = {id_: payload["at"] for id_, payload in there.items() if "buried" in payload}
            newer = [p for p in points if p.memory.id not in buried or buried[p.memory.id] < p.memory.updated_at]
            self._upsert([living_point(space, point) for point in newer])

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        self._last_read = time.monotonic()
        found = {id_: self._memories.get((space, id_)) for id_ in ids}
        unread = [id_ for id_, memory in found.items() if memory is None]
        for payload in self._payloads(space, unread) if unread else ():
            if "space" in payload:
                found[payload["id"]] = memory = memory_in(payload)
                self._memories.keep((space, memory.id), memory)
        return [memory for memory in found.values() if memory is not None]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        found = self._queried(queries.keyword_query(space, sparse, now, SEARCHED, None))
        if len(self._ahead) >= AHEAD:
            del self._ahead[next(iter(self._ahead))]
        self._ahead[_words(space, sparse, now, SEARCHED, None)] = found
        await self.get(space, self._rows.ids(found[0].places[:LIKELY]))

    async def search(
        self,
        space: Space,
        dense: list[float],
        sparse: Sparse,
        *,
        now: Millis,
        limit: int = SEARCHED,
        kind: Kind | None = None,
    ) -> Candidates:
        self._last_read = time.monotonic()
        nearest = queries.vector_query(space, dense, now, limit, kind)
        if ahead := self._ahead.pop(_words(space, sparse, now, limit, kind), None):
            with suppress(StaleCache):
                return self._rows.union(*self._queried(nearest), *ahead)
        return self._rows.union(*self._queried([*nearest, *queries.keyword_query(space, sparse, now, limit, kind)]))

    async def page(
        self,
        space: Space,
        *,
        limit: int,
        now: Millis,
        cursor: str | None = None,
        kind: Kind | None = None,
        slot: str | None = None,
        include_past: bool = False,
    ) -> tuple[list[Memory], str | None]:
        self._last_read = time.monotonic()
        after = cursors.decode(space, cursor) if cursor else None
        conditions = queries.in_space(space) + queries.matching(kind, slot)
        if not include_past:
            conditions += queries.current(now)
        with _engine():
            records = self._newest(conditions, after, limit)
        memories = [memory_in(record.payload) for record in records[:limit]]
        more = len(records) > limit
        return memories, cursors.encode(space, _place(records[limit - 1])) if more else None

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        conditions = queries.in_space(space) + queries.matching(kind, None)
        if not include_past:
            conditions += queries.current(now)
        with _engine():
            counted: int = self._shard.count(queries.number(conditions))
        return counted

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        tombs = (payload for payload in self._payloads(space, ids) if "buried" in payload)
        return {tomb["id"]: tomb["at"] for tomb in tombs}

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        async with self._changing:
            existing = [memory.id for memory in await self.get(space, ids)]
            tombs = [bare_point(point_id(space, id_), None, None, tombstone(space, id_, at)) for id_ in existing]
            self._upsert(tombs, deletes=True)
            return existing

    async def erase(self, user: str) -> int:
        async with self._changing:
            with _engine():
                count: int = self._shard.count(queries.memories_of_user(user))
            self._write(UpdateOperation.delete_points_by_filter(queries.of_user(user)), deletes=True)
            self._rows.clear()
            self._memories.clear()
            return count

    async def spaces(self, user: str | None = None) -> list[Space]:
        with _engine():
            hits = self._shard.facet(queries.all_spaces(limit=max(1, self._shard.info().points_count))).hits
        spaces = [space_of(hit.value) for hit in hits if hit.count]  # it also lists values that are gone
        return sorted(space for space in spaces if user in (None, space.user))

    async def size(self) -> int:
        with _engine():
            points: int = self._shard.info().points_count
        return points

    async def scan(self, after: UUID | None, limit: int) -> list[Stored]:
        first = 0 if after is None else engine_id(after) + 1
        with _engine():
            records = self._shard.scroll(queries.following(first, limit))[0] if first < 2**64 else []
        return [stored_in(record) for record in records]

    async def take(self, ids: Sequence[UUID]) -> list[Stored]:
        with _engine():
            places = [engine_id(each) for each in ids]
            records = self._shard.retrieve(places, with_payload=True, with_vector=False) if ids else []
        wanted = set(ids)
        return [each for each in map(stored_in, records) if each.id in wanted]

    async def load(self, points: Sequence[Stored]) -> None:
        async with self._changing:
            self._upsert([bare_point(each.id, each.dense, each.sparse, each.payload) for each in points])

    async def ping(self) -> None:
        self._require_space()
        with _engine():
            self._shard.info()

    async def flush(self) -> None:
        async with self._changing:
            if self._dirty:
                self._require_space()
                with _engine():
                    self._shard.flush()
                self._dirty = False

    async def snapshot(self, target: Path) -> int:
        """Copy the folder, flushed, to `target`, which does not exist yet. Writes wait meanwhile, searches do not.
        Returns the number of points, tombstones included."""
        async with self._changing:
            self._require_space(_size(self._folder))
            with _engine():
                self._shard.flush()
                points: int = self._shard.info().points_count
            self._dirty = False
            await asyncio.to_thread(copy_folder, self._folder, target)
        return points

    async def mark_ready(self, ready: bool) -> None:
        """May this store take the place of the one in force?"""
        mark_ready(self._folder, ready)

    async def index_version(self) -> int:
        """The version of `memory/embedding/indexing.py` that has written all points; 0 for none."""
        return index_version(self._folder)

    async def mark_indexed(self, version: int) -> None:
        mark_indexed(self._folder, version)

    def quiet_for(self) -> float:
        """Seconds since the store was last asked for memories."""
        return time.monotonic() - self._last_read

    async def optimize(self, above: int = OPTIMIZE_ABOVE) -> bool:
        """Index the vectors and drop deleted ones from disk, if more than `above` points wait for it and a second
        copy fits on the disk. Stalls the process for seconds, at 500k points for a minute."""
        async with self._changing:
            info = self._shard.info()
            if 2 * info.points_count - info.indexed_vectors_count <= above:  # each point has two vectors
                return False
            self._require_space(_size(self._folder))
            with _engine():
                self._shard.optimize()
            return True

    async def close(self) -> None:
        """Flush and give the folder free."""
        try:
            await self.flush()
        finally:
            self._shard.close()
            os.close(self._lock)

    def _upsert(self, points: list[qdrant.Point], *, deletes: bool = False) -> None:
        if points:
            self._write(UpdateOperation.upsert_points(points), deletes=deletes)
            for point in points:
                self._keep_row(point)

    def _keep_row(self, point: Any) -> None:
        """A search soon after a write finds the row in memory; a tombstone has none."""
        payload = point.payload
        self._memories.drop((space_of(payload.get("space") or payload["buried"]), payload["id"]))
        if payload and "space" in payload and self._rows.room_for(1):
            self._rows.keep(point.id, payload)
        else:
            self._rows.drop(point.id)

    def _write(self, operation: UpdateOperation, *, deletes: bool = False) -> None:
        self._require_space(-int(self._min_free_bytes * DELETIONS_MAY_USE) if deletes else 0)
        self._dirty = True
        self._ahead.clear()
        with _engine():
            self._shard.update(operation)

    def _require_space(self, needed: int = 0) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._min_free_bytes + needed:
            raise StoreUnavailable(
                f"the disk of {self._folder} is full ({free // 2**20} MB free): nothing is written"
            )

    def _payloads(self, space: Space, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Of the points of these ids that exist, in the order asked; tombstones too."""
        return [payload for id_, payload in self._lying(space, ids).items() if is_of(payload, space, id_)]

    def _lying(self, space: Space, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The payload at the place of each id, if there is one."""
        places = {id_: engine_id(point_id(space, id_)) for id_ in ids}
        with _engine():
            records = self._shard.retrieve(list(places.values()), with_payload=True, with_vector=False)
        found = {record.id: record.payload for record in records}
        return {id_: found[place] for id_, place in places.items() if place in found}

    def _queried(self, wanted: list[QueryRequest]) -> list[RowRefs]:
        with _engine():
            found = self._shard.query_batch(QueryBatchRequest(wanted))
            branches = [ScoredIds([hit.id for hit in hits], [hit.score for hit in hits]) for hits in found]
            try:
                return [self._rows.placed(branch) for branch in branches]
            except KeyError:
                self._read_rows([point for branch in branches for point in branch.points])
                return [self._rows.placed(branch) for branch in branches]

    def _read_rows(self, points: Sequence[int]) -> None:
        """Until all of `points` are in `_rows`."""
        missing = self._rows.missing(points)
        if not self._rows.room_for(len(missing)):
            self._rows.clear()
            missing = list(points)
        for record in self._shard.retrieve(missing, with_payload=LIGHT, with_vector=False):
            self._rows.keep(record.id, record.payload)

    def _newest(self, conditions: queries.Conditions, after: Place | None, limit: int) -> list[Any]:
        """At least `limit` + 1 records if there are that many, sorted by order descending, then by id.

        The engine sorts by order alone, so the group of equals that a page may end in is fetched whole."""
        records = []
        if after is not None:
            first = engine_id(after.id) + 1
            records = [record for record in self._tied(conditions, after.order) if record.id >= first]
        older, _ = self._shard.scroll(queries.newest(conditions, limit + 1, after and after.order))
        if len(older) > limit:
            last = older[-1].payload["order"]
            older = [record for record in older if record.payload["order"] > last]
            older += self._tied(conditions, last)
        return sorted(records + older, key=_descending)

    def _tied(self, conditions: queries.Conditions, order: int) -> list[Any]:
        tied = queries.tied(conditions, order, limit=self._shard.info().points_count)
        records: list[Any] = self._shard.scroll(tied)[0]
        return records


@contextmanager
def _engine() -> Iterator[None]:
    """The engine raises bare exceptions. Those for a wrong argument are ours to fix and stay what they are."""
    try:
        yield
    except (TypeError, ValueError):
        raise
    except Exception as error:
        failures.inc()
        log.error("the embedded store failed: %s", error)
        raise StoreUnavailable(f"the embedded store failed: {error}") from error


def _words(space: Space, sparse: Sparse, now: Millis, limit: int, kind: Kind | None) -> Hashable:
    return space, tuple(sparse.indices), now, limit, kind


def _place(record: Any) -> Place:
    return Place(record.payload["order"], UUID(int=record.id << 64))


def _descending(record: Any) -> tuple[int, int]:
    return -record.payload["order"], record.id


def _size(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*"))
