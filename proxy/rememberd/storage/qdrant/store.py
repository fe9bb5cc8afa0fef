"""Memories on a Qdrant server, for as many web and writer processes as there are."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from rememberd.ports import Embedder, MemoryStore, PageQuery
from rememberd.search_results import Candidates, Query
from rememberd.storage import cursors
from rememberd.storage.changes import ChangeLog, RecentChanges, Removal, UserChanges
from rememberd.storage.cursors import Place
from rememberd.storage.payload import LIGHT, USER_ORDER_SINCE, memory_in, point_id, space_of, spaces_behind
from rememberd.storage.qdrant import queries
from rememberd.storage.qdrant.collection import Layout, Role
from rememberd.storage.qdrant.connection import Connection
from rememberd.storage.qdrant.points import ServerPoints, shard_key
from rememberd.storage.qdrant.put_batches import PutBatches
from rememberd.storage.qdrant.reads import Reads, UserSearches
from rememberd.storage.qdrant.removals import Removals
from rememberd.storage.row_cache import Branches, MemoryCache, RowCache, ScoredIds, StaleCache
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

CACHED_ROWS, CACHED_MEMORIES = 100_000, 10_000
_PAGE = 1000
_ROWS_AT_ONCE, _ROWS_A_REQUEST = 64, 256  # 64 rows are cached within a millisecond
_NAMED_IDS = 1000  # ids of deleted points in a filter
_TRIES = 3


class QdrantStore(ServerPoints, MemoryStore):
    """The `MemoryStore` port. A search asks for ids and scores only: rows and recently read memories are cached here,
    and dropped when `changes` reports that they were rewritten."""

    def __init__(
        self, connection: Connection, layout: Layout, embedder: Embedder, role: Role, changes: ChangeLog
    ) -> None:
        super().__init__(connection, layout, embedder, role)
        self._rows, self._memories = RowCache(CACHED_ROWS), MemoryCache(CACHED_MEMORIES)
        self._changes = RecentChanges(changes, self._forget, self.collection)
        self.removals = Removals(self, self._changes)
        self._reads = Reads(self)
        self._batches = PutBatches(self, self._changes, self.removals)

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        await self._batches.put(space, points)

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        at = {id_: str(point_id(space, id_)) for id_ in ids}
        known, complete = await self._changes.of(space.user)
        usable = complete and known.erasing is None
        cached = {id_: self._memories.get(point) for id_, point in at.items()} if usable else {}
        found = {id_: memory for id_, memory in cached.items() if memory is not None}
        unread = [id_ for id_ in at if id_ not in found]
        for _ in range(_TRIES):
            unread = await self._read(space, unread, known, found)
            if not unread:
                break
            known, _ = await self._changes.of(space.user)
        return [found[id_] for id_ in at if id_ in found]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        """Does nothing: the server is asked once, for everything."""

    async def search_all(self, searches: Sequence[Query], *, now: Millis) -> Candidates:
        options: Any = {"own_idf": self.own_idf, "rescore": self.layout.quantize}
        known = [(await self._changes.of(each.space.user))[0] for each in searches]
        wanted = [
            queries.search(each, now, of_it.since, **options) for each, of_it in zip(searches, known, strict=True)
        ]
        users = [each.space.user for each in searches]
        answers = await self._reads.search([*map(UserSearches, users, known, wanted)])
        parts = [
            self._united(query.space, found if query.standing else [found[0], *found], changes)
            for query, found, changes in zip(searches, answers, known, strict=True)
        ]
        return await parts[0] if len(parts) == 1 else Candidates.joined(await asyncio.gather(*parts))

    async def _united(self, space: Space, answers: Sequence[Any], known: UserChanges) -> Candidates:
        for point in known.unsettled():
            self._rows.drop(point)
        hits = [_shown(each, known) for each in answers]
        near, standing, pinned, words, names = (*hits, _NONE, _NONE)[:5]  # without words the last two are missing
        for _ in range(_TRIES):
            with suppress(StaleCache):
                near, standing, words, pinned, names = await self._known_rows(
                    space, known, [near, standing, words, pinned, names]
                )
                rows = self._rows.union([Branches(*map(self._rows.placed, (near, standing, words, pinned, names)))])
                await asyncio.sleep(0)  # the caller ranks them
                return rows
        return Candidates.of([])

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        limit = wanted.limit
        after = cursors.decode(space, wanted.cursor) if wanted.cursor else None
        until = None if wanted.include_past else wanted.now
        known, _ = await self._changes.of(space.user, patient=True)
        conditions = queries.listed(space, wanted.kind, wanted.slot, until, known.since)
        records = await self._newest(space, known, conditions, after, limit)
        memories = [memory for each in records[:limit] if (memory := _memory(each["id"], each["payload"], known))]
        more = len(records) > limit
        return memories, cursors.encode(space, _place(records[limit - 1])) if more else None

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        known, _ = await self._changes.of(space.user)
        if known.erasing is not None:
            return 0
        gone = [point for point in known.last if known.is_gone(point)][-_NAMED_IDS:]
        wanted: queries.Json = {"must": queries.listed(space, kind, None, None if include_past else now, known.since)}
        if gone:
            wanted["must_not"] = [{"has_id": gone}]
        return await self._reads.count(space.user, known, wanted)

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        known, _ = await self._changes.of(space.user)
        found = await self._payloads(space, known, ids, ["buried", "id", "at"])
        recent = {id_: known.last.get(str(point_id(space, id_))) for id_ in ids}
        return {tomb["id"]: tomb["at"] for tomb in found if "buried" in tomb} | {
            id_: each.at for id_, each in recent.items() if each is not None and each.happened == "deleted"
        }

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        existing = [memory.id for memory in await self.get(space, ids)]
        if existing:
            await self.removals.delete(Removal(await self.name(), *space, existing, at))
        return existing

    async def erase(self, user: str) -> int:
        return await self.removals.erase(await self.name(), user)

    async def spaces(self, user: str | None = None) -> list[Space]:
        found: set[str] = set()
        body: queries.Json = {"limit": _PAGE, "with_payload": ["space"]}
        if user is not None:
            body |= {"filter": queries.of_user(user)} | shard_key(self.shard_of(user))
        following: Any = None
        while True:
            records, following = await self.scroll(body | {"offset": following})
            found.update(each["payload"].get("space", "") for each in records)
            if following is None:
                return sorted(space_of(key) for key in found - {""})

    async def users(self, after: str, limit: int) -> list[Space]:
        """Three short requests for each user. Points of an earlier version do not hold the order of their users:
        until all are written again, every point is read."""
        if await self.index_version() < USER_ORDER_SINCE:
            return spaces_behind(await self.spaces(), after, limit)
        found: list[Space] = []
        while len({space.user for space in found}) < limit and (users := await self.next_spaces(after)):
            found += users
            after = users[-1].user
        return found

    async def close(self) -> None:
        await self._batches.close()
        await self._changes.shared.close()
        await super().close()

    def _forget(self, point: str) -> None:
        self._memories.drop(point)
        self._rows.drop(point)

    async def _read(
        self, space: Space, ids: Sequence[str], known: UserChanges, found: dict[str, Memory]
    ) -> list[str]:
        """Add the existing points to `found`. Returns those whose answer was older than the known change: it came
        from a replica that was away."""
        old = []
        for payload in await self._payloads(space, known, ids, ["id", "space", "memory", "written_at"]):
            if "space" not in payload or payload.get("written_at", 0) < known.since:
                continue
            id_, point = payload["id"], str(point_id(space, payload["id"]))
            memory = _memory(point, payload, known)
            if memory is not None:
                found[id_] = memory
                self._memories.keep(point, memory)
            elif not known.is_gone(point):
                old.append(id_)
        return old

    async def _known_rows(self, space: Space, known: UserChanges, branches: Sequence[ScoredIds]) -> list[ScoredIds]:
        """The branches without deleted points, after the rows of all their points have been read."""
        wanted = list({point: None for branch in branches for point in branch.points})
        await asyncio.sleep(0)
        missing = self._rows.missing(wanted)
        if not missing:
            return list(branches)
        if not self._rows.room_for(len(missing)):
            self._rows.clear()
            missing = wanted
        for start in range(0, len(missing), _ROWS_A_REQUEST):
            wanted_now = missing[start : start + _ROWS_A_REQUEST]
            records = await self._reads.points(space.user, known, wanted_now, LIGHT, are_there=True)
            for number, record in enumerate(records):
                if number % _ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
                if record["payload"] and "kind" in record["payload"]:
                    self._rows.keep(record["id"], record["payload"])
        await asyncio.sleep(0)
        gone = set(self._rows.missing(wanted))
        return [_without(branch, gone) for branch in branches] if gone else list(branches)

    async def _payloads(
        self, space: Space, known: UserChanges, ids: Sequence[str], keys: list[str]
    ) -> list[dict[str, Any]]:
        """The payloads of those points that exist, in the order of `ids`, tombstones included."""
        wanted = list(dict.fromkeys(str(point_id(space, id_)) for id_ in ids))
        if not wanted:
            return []
        records = await self._reads.points(space.user, known, wanted, keys)
        found = {record["id"]: record["payload"] for record in records}
        return [found[point] for point in wanted if point in found]

    async def _newest(
        self, space: Space, known: UserChanges, conditions: queries.Conditions, after: Place | None, limit: int
    ) -> list[Any]:
        """At least `limit` + 1 records if there are that many, sorted by order descending, then by id.

        The server sorts by order alone, so the group of equals that a page may end in is fetched whole."""
        records = []
        if after is not None:
            tied = await self._tied(space, known, conditions, after.order)
            records = [each for each in tied if _id(each) > after.id]
        asked: queries.Json = {"filter": {"must": conditions + queries.below(after and after.order)}}
        asked |= {"limit": limit + 1, "order_by": {"key": "order", "direction": "desc"}}
        older, _ = await self._reads.scroll(space.user, known, asked)
        if len(older) > limit:
            last = _order(older[-1])
            older = [record for record in older if _order(record) > last]
            older += await self._tied(space, known, conditions, last)
        return sorted(records + older, key=lambda record: (-_order(record), _id(record)))

    async def _tied(self, space: Space, known: UserChanges, conditions: queries.Conditions, order: int) -> list[Any]:
        """Every point of one `order`."""
        found: list[Any] = []
        body = {"filter": {"must": conditions + queries.at(order)}, "limit": _PAGE}
        following: Any = None
        while True:
            records, following = await self._reads.scroll(space.user, known, body | {"offset": following})
            found += records
            if following is None:
                return found


_NONE = ScoredIds([], [])


def _shown(hits: Sequence[dict[str, Any]], known: UserChanges) -> ScoredIds:
    if known.erasing is not None:
        return _NONE
    shown = [hit for hit in hits if not known.is_gone(hit["id"])] if known.last else hits
    return ScoredIds([hit["id"] for hit in shown], [hit["score"] for hit in shown])


def _without(branch: ScoredIds, gone: set[str]) -> ScoredIds:
    left = [(point, score) for point, score in zip(*branch, strict=True) if point not in gone]
    return ScoredIds([point for point, _ in left], [score for _, score in left])


def _memory(point: str, payload: dict[str, Any], known: UserChanges) -> Memory | None:
    """None if it is deleted, or older than what was written last."""
    memory = memory_in(payload)
    return memory if known.is_shown(point, memory.updated_at, payload["memory"]) else None


def _order(record: Any) -> int:
    order: int = record["payload"]["order"]
    return order


def _id(record: Any) -> UUID:
    return UUID(record["id"])


def _place(record: Any) -> Place:
    return Place(_order(record), _id(record))
