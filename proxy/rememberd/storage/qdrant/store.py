"""Memories on a Qdrant server, for as many web and writer processes as there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rememberd.ports import Embedder
from rememberd.search_results import Candidates
from rememberd.storage import cursors
from rememberd.storage.cursors import Place
from rememberd.storage.payload import LIGHT, candidate, memory_in, point_id, space_of, tombstone
from rememberd.storage.qdrant import queries
from rememberd.storage.qdrant.collection import Layout, Role
from rememberd.storage.qdrant.connection import SEARCH_PATIENCE_S, Connection
from rememberd.storage.qdrant.points import ServerPoints, point, shard_key
from rememberd.storage.qdrant.put_batches import PutBatches
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

_PAGE = 1000


class QdrantStore(ServerPoints):
    """The `MemoryStore` port."""

    def __init__(self, connection: Connection, layout: Layout, embedder: Embedder, role: Role = "alone") -> None:
        super().__init__(connection, layout, embedder, role)
        self._batches = PutBatches(self)

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        await self._batches.put(space, points)

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        found = await self._payloads(space, ids, ["space", "memory"])
        return [memory_in(payload) for payload in found if "space" in payload]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        """The server is asked once, for everything."""

    async def search(
        self,
        space: Space,
        dense: list[float],
        sparse: Sparse,
        *,
        now: Millis,
        limit: int = 400,
        kind: Kind | None = None,
    ) -> Candidates:
        asked = queries.search(
            space, dense, sparse, now, limit, kind, own_idf=self.own_idf, rescore=self.layout.quantize
        )
        common = {"with_payload": LIGHT} | shard_key(self.shard_of(space.user))
        body = {"searches": [each | common for each in asked]}
        answers = await self.ask("POST", "/points/query/batch", body, patience=SEARCH_PATIENCE_S)
        branches: list[list[Any]] = [each["points"] for each in answers]
        near, standing, _, by_words, by_names = branches if sparse.indices else [*branches, [], []]
        nearest = {hit["id"]: hit["score"] for hit in [*standing, *near]}
        worded = {hit["id"]: hit["score"] for hit in by_words}
        named = {hit["id"] for hit in by_names}
        found = {hit["id"]: hit["payload"] or {} for branch in branches for hit in branch}
        return Candidates.of(
            candidate(payload, nearest.get(at, 0.0), worded.get(at, 0.0), named=at in named)
            for at, payload in found.items()
        )

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
        after = cursors.decode(space, cursor) if cursor else None
        conditions = queries.listed(space, kind, slot, None if include_past else now)
        records = await self._newest(space, conditions, after, limit)
        memories = [memory_in(record["payload"]) for record in records[:limit]]
        more = len(records) > limit
        return memories, cursors.encode(space, _place(records[limit - 1])) if more else None

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        wanted = {"must": queries.listed(space, kind, None, None if include_past else now)}
        return await self.count_points(self.shard_of(space.user), wanted)

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        found = await self._payloads(space, ids, ["buried", "id", "at"])
        return {tomb["id"]: tomb["at"] for tomb in found if "buried" in tomb}

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        existing = [memory.id for memory in await self.get(space, ids)]
        if existing:
            tombs = [point(str(point_id(space, id_)), {}, tombstone(space, id_, at)) for id_ in existing]
            await self.upsert(tombs, self.shard_of(space.user))
        return existing

    async def erase(self, user: str) -> int:
        shard = self.shard_of(user)
        erased = await self.count_points(shard, queries.memories_of_user(user))
        of_user = {"filter": queries.of_user(user), "limit": _PAGE, "with_payload": False} | shard_key(shard)
        # By ids: a deletion by a filter that a hung node carries out late would take what was told since.
        while found := (await self.scroll(of_user))[0]:
            ids = {"points": [each["id"] for each in found]}
            await self.ask("POST", "/points/delete?wait=true", ids | shard_key(shard))
        return erased

    async def spaces(self) -> list[Space]:
        points = await self.size()
        asked = {"key": "space", "limit": max(1, points), "exact": True}
        hits = (await self.ask("POST", "/facet", asked))["hits"]
        return sorted(space_of(str(hit["value"])) for hit in hits if hit["count"])

    async def close(self) -> None:
        await self._batches.close()
        await super().close()

    async def _payloads(self, space: Space, ids: Sequence[str], keys: list[str]) -> list[dict[str, Any]]:
        """Of the points of these ids that exist, in the order asked; tombstones too."""
        wanted = list(dict.fromkeys(str(point_id(space, id_)) for id_ in ids))
        if not wanted:
            return []
        body = {"ids": wanted, "with_payload": keys} | shard_key(self.shard_of(space.user))
        records = await self.ask("POST", "/points", body, patience=SEARCH_PATIENCE_S)
        found = {record["id"]: record["payload"] for record in records}
        return [found[point] for point in wanted if point in found]

    async def _newest(
        self, space: Space, conditions: queries.Conditions, after: Place | None, limit: int
    ) -> list[Any]:
        """At least `limit` + 1 records if there are that many, sorted by order descending, then by id.

        The server sorts by order alone, so the group of equals that a page may end in is fetched whole."""
        records = []
        if after is not None:
            records = [each for each in await self._tied(space, conditions, after.order) if _id(each) > after.id]
        older, _ = await self.scroll(
            {
                "filter": {"must": conditions + queries.below(after and after.order)},
                "limit": limit + 1,
                "order_by": {"key": "order", "direction": "desc"},
            }
            | shard_key(self.shard_of(space.user))
        )
        if len(older) > limit:
            last = _order(older[-1])
            older = [record for record in older if _order(record) > last]
            older += await self._tied(space, conditions, last)
        return sorted(records + older, key=lambda record: (-_order(record), _id(record)))

    async def _tied(self, space: Space, conditions: queries.Conditions, order: int) -> list[Any]:
        """Every point of one `order`."""
        found: list[Any] = []
        body = {"filter": {"must": conditions + queries.at(order)}, "limit": _PAGE}
        body |= shard_key(self.shard_of(space.user))
        following: Any = None
        while True:
            records, following = await self.scroll(body | {"offset": following})
            found += records
            if following is None:
                return found


def _order(record: Any) -> int:
    order: int = record["payload"]["order"]
    return order


def _id(record: Any) -> UUID:
    return UUID(record["id"])


def _place(record: Any) -> Place:
    return Place(_order(record), _id(record))
