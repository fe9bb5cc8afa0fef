"""Memories in embedded Qdrant: the engine as a library, in one process."""

import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import qdrant_edge as qdrant
from qdrant_edge import QueryBatchRequest, QueryRequest, UpdateOperation

from rememberd.errors import InputRejected
from rememberd.memory.serialization import memory_of
from rememberd.ports import MemoryStore, PageQuery
from rememberd.search_results import Candidates, Query
from rememberd.storage import cursors
from rememberd.storage.cursors import Place
from rememberd.storage.edge import queries
from rememberd.storage.edge.folder import EdgeFolder, engine
from rememberd.storage.edge.points import bare_point, engine_id, is_of, living_point
from rememberd.storage.migrate import Stored
from rememberd.storage.payload import LIGHT, memory_in, point_id, space_of, spaces_behind, tombstone
from rememberd.storage.row_cache import Branches, MemoryCache, RowCache, RowRefs, ScoredIds, StaleCache
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

SEARCHED = 400  # points of each branch
SPARE = 16  # one more for every 16 is asked for, to replace those that are no longer current
CACHED_ROWS = 100_000
CACHED_MEMORIES = 10_000
DROPPED_SINGLY = 10_000  # rows of an erased user; with more, the whole cache is cleared, which is cheaper
AHEAD = 256  # results for questions that are still being embedded: 10 kB each


class EdgeStore(EdgeFolder, MemoryStore):
    """The `MemoryStore` port over one folder."""

    def __init__(self, shard: qdrant.EdgeShard, folder: Path, lock: int, min_free_bytes: int) -> None:
        super().__init__(shard, folder, lock, min_free_bytes)
        self._rows = RowCache(CACHED_ROWS)
        self._memories = MemoryCache(CACHED_MEMORIES)
        self._ahead: dict[Hashable, list[RowRefs]] = {}  # by words and pinned, for searches that will follow
        self._asked_at, self.dropped_singly = 0.0, DROPPED_SINGLY

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        async with self._changing:
            there = self._stored(space, [point.memory.id for point in points])
            if strange := [id_ for id_, payload in there.items() if not is_of(payload, space, id_)]:
                message = f"the place of the memory {strange[0]} is taken by another one: say it in other words"
                raise InputRejected("place_taken", message)
            buried = {id_: payload["at"] for id_, payload in there.items() if "buried" in payload}
            newer = [p for p in points if p.memory.id not in buried or buried[p.memory.id] < p.memory.updated_at]
            self._upsert([living_point(space, point) for point in newer])

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        found = {id_: self._memories.get((space, id_)) for id_ in ids}
        unread = [id_ for id_, memory in found.items() if memory is None]
        for payload in self._payloads(space, unread) if unread else ():
            if "space" in payload:
                found[payload["id"]] = memory = memory_in(payload)
                self._memories.keep((space, memory.id), memory)
        return [memory for memory in found.values() if memory is not None]

    async def get_all(self, asked: Mapping[Space, Sequence[str]]) -> list[Memory]:
        """Nothing here waits, so tasks would only cost CPU (0.2 ms for three spaces)."""
        return [memory for space, ids in asked.items() for memory in await self.get(space, ids)]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        found = self._queried(queries.keyword_query(space, sparse, SEARCHED, None), now)
        if len(self._ahead) >= AHEAD:
            del self._ahead[next(iter(self._ahead))]
        self._ahead[_words(space, sparse, now, SEARCHED, None)] = found

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        ahead = [
            self._ahead.pop(_words(each.space, each.sparse, now, each.limit, each.kind), None) for each in queries
        ]
        with suppress(StaleCache):
            return self._united(queries, ahead, now)
        return self._united(queries, [None] * len(queries), now)

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        stored, following = await self.stored_page(space, wanted)
        return [memory_of(orjson.loads(each)) for each in stored], following

    async def stored_page(self, space: Space, wanted: PageQuery) -> tuple[list[str], str | None]:
        """Like `read_page`, but each memory is the stored JSON: for another process, which decodes it anyway."""
        limit = wanted.limit
        after = cursors.decode(space, wanted.cursor) if wanted.cursor else None
        conditions = queries.in_space(space) + queries.matching(wanted.kind, wanted.slot)
        if not wanted.include_past:
            conditions += queries.current(wanted.now)
        with engine():
            records = self._newest(conditions, after, limit)
        stored = [record.payload["memory"] for record in records[:limit]]
        more = len(records) > limit
        return stored, cursors.encode(space, _place(records[limit - 1])) if more else None

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        conditions = queries.in_space(space) + queries.matching(kind, None)
        if not include_past:
            conditions += queries.current(now)
        with engine():
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
            with engine():
                count: int = self._shard.count(queries.memories_of_user(user))
                gone, _ = self._shard.scroll(queries.places_of(user, self.dropped_singly + 1))
            self._write(UpdateOperation.delete_points_by_filter(queries.of_user(user)), deletes=True)
            if len(gone) > self.dropped_singly:
                self._clear()
            for record in gone:
                self._drop(record.id, record.payload)
            return count

    async def drop(self, points: Sequence[Stored]) -> None:
        await super().drop(points)
        self._clear()

    async def spaces(self, user: str | None = None) -> list[Space]:
        with engine():
            hits = self._shard.facet(queries.spaces(user, limit=max(1, self._shard.info().points_count))).hits
        return sorted(space_of(hit.value) for hit in hits if hit.count)  # the engine also lists deleted values

    async def users(self, after: str, limit: int) -> list[Space]:
        return spaces_behind(await self.spaces(), after, limit)

    def _united(self, asked: Sequence[Query], ahead: Sequence[list[RowRefs] | None], now: Millis) -> Candidates:
        """All queries in one call of the engine, except those whose results were looked up `ahead`."""
        branches: list[queries.Branch] = []
        for each, known in zip(asked, ahead, strict=True):
            branches += queries.vector_query(each.space, each.dense, each.limit, each.kind, standing=each.standing)
            branches += [] if known else queries.keyword_query(each.space, each.sparse, each.limit, each.kind)
        found = iter(self._queried(branches, now))
        searches = []
        for each, known in zip(asked, ahead, strict=True):
            near = next(found)
            standing = next(found) if each.standing else near
            searches.append(Branches(near, standing, *(known or islice(found, 3))))
        return self._rows.union(searches)

    def asked(self) -> None:
        """Note that somebody waits for memories. Not called for the writer's own reads."""
        self._asked_at = time.monotonic()

    def quiet_for(self) -> float:
        """Seconds since somebody last asked for memories."""
        return time.monotonic() - self._asked_at

    def _written(self, point: Any) -> None:
        """Cache the row, for a search soon after the write. A tombstone has no row."""
        payload = point.payload
        self._drop(point.id, payload)
        if "space" in payload and self._rows.room_for(1):
            self._rows.keep(point.id, payload)

    def _drop(self, point: int, payload: Mapping[str, Any]) -> None:
        self._memories.drop((space_of(payload.get("space") or payload["buried"]), payload["id"]))
        self._rows.drop(point)

    def _clear(self) -> None:
        self._rows.clear()
        self._memories.clear()

    def _write(self, operation: UpdateOperation, *, deletes: bool = False) -> None:
        self._ahead.clear()
        super()._write(operation, deletes=deletes)

    def _payloads(self, space: Space, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The payloads of those points that exist, in the order of `ids`, tombstones included."""
        return [payload for id_, payload in self._stored(space, ids).items() if is_of(payload, space, id_)]

    def _stored(self, space: Space, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The payload stored under each id, if there is one."""
        places = {id_: engine_id(point_id(space, id_)) for id_ in ids}
        with engine():
            records = self._shard.retrieve(list(places.values()), with_payload=True, with_vector=False)
        found = {record.id: record.payload for record in records}
        return {id_: found[place] for id_, place in places.items() if place in found}

    def _queried(self, branches: Sequence[queries.Branch], now: Millis) -> list[RowRefs]:
        """The first current points of each branch.

        The engine takes as long to compare the times of 10,000 memories as to find those with a word. So it is first
        asked for a few more, without a time; it compares times only if too many of them are no longer current."""
        sizes = [each.limit + each.limit // SPARE for each in branches]
        found = self._placed([each.request(size, None) for each, size in zip(branches, sizes, strict=True)])
        shown = [self._rows.current(refs, now, each.limit) for each, refs in zip(branches, found, strict=True)]
        short = [
            at
            for at, (size, each) in enumerate(zip(sizes, branches, strict=True))
            if len(found[at].places) == size and len(shown[at].places) < each.limit
        ]
        if short:
            again = self._placed([branches[at].request(branches[at].limit, now) for at in short])
            for at, refs in zip(short, again, strict=True):
                shown[at] = refs
        return shown

    def _placed(self, wanted: list[QueryRequest]) -> list[RowRefs]:
        with engine():
            found = self._shard.query_batch(QueryBatchRequest(wanted))
            branches = [ScoredIds([hit.id for hit in hits], [hit.score for hit in hits]) for hits in found]
            try:
                return [self._rows.placed(branch) for branch in branches]
            except KeyError:
                self._read_rows([point for branch in branches for point in branch.points])
                return [self._rows.placed(branch) for branch in branches]

    def _read_rows(self, points: Sequence[int]) -> None:
        """Read the rows of `points` that are not in `_rows`."""
        missing = self._rows.missing(points)
        if not self._rows.room_for(len(missing)):
            self._rows.clear()
            missing = list(points)
        for record in self._shard.retrieve(missing, with_payload=[*LIGHT, "until"], with_vector=False):
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


def _words(space: Space, sparse: Sparse, now: Millis, limit: int, kind: Kind | None) -> Hashable:
    return space, tuple(sparse.indices), now, limit, kind


def _place(record: Any) -> Place:
    return Place(record.payload["order"], UUID(int=record.id << 64))


def _descending(record: Any) -> tuple[int, int]:
    return -record.payload["order"], record.id
