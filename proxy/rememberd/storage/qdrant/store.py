"""Memories on a Qdrant server, for as many web and writer processes as there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any
from uuid import UUID

from qdrant_client import models
from qdrant_client.models import Filter, PointStruct

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.ports import Embedder
from rememberd.search_results import Candidates
from rememberd.settings.schema import Store
from rememberd.storage import cursors
from rememberd.storage.cursors import Place
from rememberd.storage.migrate import Stored
from rememberd.storage.payload import candidate, living, memory_in, point_id, space_of, tombstone
from rememberd.storage.qdrant import queries
from rememberd.storage.qdrant.collection import (
    Role,
    aliases_of,
    collection_of,
    drop_alias,
    index_version,
    indexed,
    knows_own_idf,
    open_collection,
    point_alias,
    ready,
)
from rememberd.storage.qdrant.connection import CALL_SECONDS, Connection, connect
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

_PAGE = 1000


class QdrantStore:
    """The `MemoryStore` port. It finds or makes its collection at the first call that reaches the server."""

    def __init__(self, connection: Connection, settings: Store, embedder: Embedder, role: Role = "alone") -> None:
        self._connection, self._client = connection, connection.client
        self._settings, self._embedder, self._role = settings, embedder, role
        self._name = ""
        self._own_idf = True
        self._opening = asyncio.Lock()

    @classmethod
    def at(
        cls, settings: Store, embedder: Embedder, role: Role = "alone", call_seconds: float = CALL_SECONDS
    ) -> QdrantStore:
        """The one at `settings.url`; nothing is sent yet. Raises `ConfigError` for what is no URL."""
        return cls(connect(settings.url or "", settings.api_key, call_seconds), settings, embedder, role)

    async def open(self) -> None:
        """Raises `ConfigError` if another embedder made the memories there."""
        async with self._opening, self._connection.answered():
            if self._name:
                return
            if not self._embedder.dim:  # it is part of the collection's name
                raise StoreUnavailable("the embedding model is not loaded yet")
            name = collection_of(self._settings, self._embedder.name, self._embedder.dim)
            await open_collection(self._client, self._settings, name, self._embedder.dim, self._role)
            self._own_idf = await knows_own_idf(self._client)
            self._name = name

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        buried = await self.deleted_at(space, [point.memory.id for point in points])
        unburied = [point for point in points if point.memory.id not in buried]
        newer = [p for p in points if p.memory.id in buried and buried[p.memory.id] < p.memory.updated_at]
        # Another process may bury one of them meanwhile.
        await self._upsert(space, [_struct(space, point) for point in unburied], queries.not_buried(space))
        await self._upsert(space, [_struct(space, point) for point in newer])

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        return [memory_in(record.payload) for record in await self._records(space, ids) if "space" in record.payload]

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
        async with self._collection() as name:
            shard = self._shard(space.user)
            asked = [
                queries.vector_query(space, dense, now, limit, kind, shard, self._settings.quantize),
                queries.standing(space, dense, now, kind, shard, self._settings.quantize),
                queries.pinned(space, now, kind, shard),
            ]
            if sparse.indices:
                asked.append(queries.keyword_query(space, sparse, now, limit, kind, shard, self._own_idf))
                asked.append(queries.named(space, sparse, now, kind, shard))
            branches = [each.points for each in await self._client.query_batch_points(name, asked)]
        near, standing, _, by_words, by_names = branches if sparse.indices else [*branches, [], []]
        nearest = {hit.id: hit.score for hit in [*standing, *near]}
        worded = {hit.id: hit.score for hit in by_words}
        named = {hit.id for hit in by_names}
        found = {hit.id: hit.payload or {} for branch in branches for hit in branch}
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
        memories = [memory_in(record.payload) for record in records[:limit]]
        more = len(records) > limit
        return memories, cursors.encode(space, _place(records[limit - 1])) if more else None

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        wanted = Filter(must=queries.listed(space, kind, None, None if include_past else now))
        async with self._collection() as name:
            counted = await self._client.count(name, wanted, shard_key_selector=self._shard(space.user))
        return counted.count

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        tombs = (record.payload for record in await self._records(space, ids) if "buried" in record.payload)
        return {tomb["id"]: tomb["at"] for tomb in tombs}

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        existing = [memory.id for memory in await self.get(space, ids)]
        tombs = [(str(point_id(space, id_)), tombstone(space, id_, at)) for id_ in existing]
        await self._upsert(space, [PointStruct(id=id_, vector={}, payload=payload) for id_, payload in tombs])
        return existing

    async def erase(self, user: str) -> int:
        shard = self._shard(user)
        async with self._collection() as name:
            memories = await self._client.count(name, queries.memories_of_user(user), shard_key_selector=shard)
            await self._client.delete(name, queries.of_user(user), wait=True, shard_key_selector=shard)
        return memories.count

    async def spaces(self) -> list[Space]:
        points = await self.size()
        async with self._collection() as name:
            found = await self._client.facet(name, "space", limit=max(1, points), exact=True)
        return sorted(space_of(str(hit.value)) for hit in found.hits if hit.count)

    async def size(self) -> int:
        async with self._collection() as name:
            return (await self._client.count(name)).count

    async def scan(self, after: UUID | None, limit: int) -> list[Stored]:
        following = None if after is None else str(UUID(int=after.int + 1))
        async with self._collection() as name:
            records, _ = await self._client.scroll(name, limit=limit, offset=following, with_vectors=True)
        return [_stored(record) for record in records]

    async def take(self, ids: Sequence[UUID]) -> list[Stored]:
        async with self._collection() as name:
            records = await self._client.retrieve(name, [str(each) for each in ids]) if ids else []
        return [_stored(record) for record in records]

    async def load(self, points: Sequence[Stored]) -> None:
        by_shard: dict[str | None, list[PointStruct]] = {}
        for each in points:
            struct = PointStruct(id=str(each.id), vector=_vectors(each.dense, each.sparse), payload=each.payload)
            by_shard.setdefault(self._shard(each.payload["user_id"]), []).append(struct)
        for shard, structs in by_shard.items():
            async with self._collection() as name:
                await self._client.upsert(name, structs, wait=True, shard_key_selector=shard)

    async def mark_ready(self, is_ready: bool) -> None:
        """May this store take the place of the one in force?"""
        alias = ready(self._settings)
        async with self._collection() as name:
            await (point_alias(self._client, alias, name) if is_ready else drop_alias(self._client, alias))

    async def index_version(self) -> int:
        """The version of `memory/embedding/indexing.py` that has written all points; 0 for none."""
        async with self._collection() as name:
            return index_version(await aliases_of(self._client), self._settings, name)

    async def mark_indexed(self, version: int) -> None:
        async with self._collection() as name:
            await point_alias(self._client, f"{indexed(self._settings)}{version}", name)

    async def ping(self) -> None:
        async with self._collection() as name:
            status = (await self._client.get_collection(name)).status
        if status == models.CollectionStatus.RED:
            raise StoreUnavailable(f"Qdrant at {self._connection.where} cannot write to {name}; its log says why")

    async def flush(self) -> None:
        """Nothing to do: each write has waited until the server had it in its log."""

    async def close(self) -> None:
        await self._client.close()

    async def _upsert(self, space: Space, points: list[PointStruct], only: Filter | None = None) -> None:
        """`only` replaces what it matches; what is not there yet is always added."""
        if points:
            async with self._collection() as name:
                await self._client.upsert(
                    name, points, wait=True, update_filter=only, shard_key_selector=self._shard(space.user)
                )

    async def _records(self, space: Space, ids: Sequence[str]) -> list[Any]:
        """The points of these ids that exist, in the order asked; tombstones too."""
        wanted = list(dict.fromkeys(str(point_id(space, id_)) for id_ in ids))
        if not wanted:
            return []
        async with self._collection() as name:
            shard = self._shard(space.user)
            records = await self._client.retrieve(name, wanted, with_payload=True, shard_key_selector=shard)
        found = {str(record.id): record for record in records}
        return [found[point] for point in wanted if point in found]

    async def _newest(
        self, space: Space, conditions: queries.Conditions, after: Place | None, limit: int
    ) -> list[Any]:
        """At least `limit` + 1 records if there are that many, sorted by order descending, then by id.

        The server sorts by order alone, so the group of equals that a page may end in is fetched whole."""
        records = []
        if after is not None:
            records = [each for each in await self._tied(space, conditions, after.order) if _id(each) > after.id]
        async with self._collection() as name:
            older, _ = await self._client.scroll(
                name,
                Filter(must=conditions + queries.below(after and after.order)),
                limit=limit + 1,
                order_by=models.OrderBy(key="order", direction=models.Direction.DESC),
                shard_key_selector=self._shard(space.user),
            )
        if len(older) > limit:
            last = _order(older[-1])
            older = [record for record in older if _order(record) > last]
            older += await self._tied(space, conditions, last)
        return sorted(records + older, key=lambda record: (-_order(record), _id(record)))

    async def _tied(self, space: Space, conditions: queries.Conditions, order: int) -> list[Any]:
        """Every point of one `order`."""
        found: list[Any] = []
        following: Any = None
        async with self._collection() as name:
            while True:
                records, following = await self._client.scroll(
                    name,
                    Filter(must=conditions + queries.at(order)),
                    limit=_PAGE,
                    offset=following,
                    shard_key_selector=self._shard(space.user),
                )
                found += records
                if following is None:
                    return found

    def _shard(self, user: str) -> str | None:
        """The key of the shard that has all of this user, where the collection is split by users."""
        if not self._settings.shard_by_user:
            return None
        number = int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) % self._settings.shards
        return f"users-{number}"

    @asynccontextmanager
    async def _collection(self) -> AsyncIterator[str]:
        """Its name, once it is known to be ours."""
        if not self._name:
            try:
                await self.open()
            except ConfigError as error:  # stops the start; a server that was away then, shows it later
                raise StoreUnavailable(str(error)) from error
        async with self._connection.answered():
            yield self._name


def _struct(space: Space, point: Point) -> PointStruct:
    vectors = _vectors(point.dense, point.sparse)
    return PointStruct(id=str(point_id(space, point.memory.id)), vector=vectors, payload=living(space, point))


def _vectors(dense: list[float] | None, sparse: Sparse | None) -> Any:
    if dense is None or sparse is None:
        return {}
    return {"dense": dense, "bm25": models.SparseVector(indices=sparse.indices, values=sparse.values)}


def _stored(record: Any) -> Stored:
    vectors = record.vector or {}
    words = vectors.get("bm25")
    return Stored(_id(record), record.payload, vectors.get("dense"), words and Sparse(words.indices, words.values))


def _order(record: Any) -> int:
    order: int = record.payload["order"]
    return order


def _id(record: Any) -> UUID:
    return UUID(str(record.id))


def _place(record: Any) -> Place:
    return Place(_order(record), _id(record))
