"""One collection on a Qdrant server, seen as the points of all users: for moving, copying and re-indexing them."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.ports import Embedder
from rememberd.storage.migrate import Stored
from rememberd.storage.payload import space_of
from rememberd.storage.qdrant import queries
from rememberd.storage.qdrant.collection import (
    Layout,
    Role,
    aliases_of,
    check_version,
    collection_of,
    drop_alias,
    index_version,
    open_collection,
    point_alias,
)
from rememberd.storage.qdrant.connection import PATIENCE_S, Connection
from rememberd.types import Space, Sparse

_SCOPES = 1000  # listed scopes of one user
_SLICE = 64  # points per request when many are copied: their JSON is built within 2 ms


class ServerPoints:
    """The `Points` of one collection. Finds or creates the collection at the first call that reaches the server."""

    def __init__(self, connection: Connection, layout: Layout, embedder: Embedder, role: Role = "alone") -> None:
        self.connection, self.layout = connection, layout
        self._embedder, self._role = embedder, role
        self._name = ""
        self.own_idf = True
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Raises `ConfigError` if another embedder made the memories there, or the server is too old."""
        async with self._opening:
            if self._name:
                return
            name = self.collection()
            own_idf = await check_version(self.connection)
            await open_collection(self.connection, self.layout, name, self._embedder.dim, self._role)
            self._name, self.own_idf = name, own_idf

    async def ask(self, method: str, path: str, body: Any = None, *, patience: float = PATIENCE_S) -> Any:
        """A request about the collection, once it is known to be ours. Raises `StoreUnavailable`."""
        name = await self.name()
        return await self.connection.ask(method, f"/collections/{name}{path}", body, patience=patience)

    async def scroll(self, body: dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
        """A page of points, and where the next one begins."""
        found = await self.ask("POST", "/points/scroll", {"with_payload": True} | body)
        return found["points"], found["next_page_offset"]

    async def count_points(self, shard: str | None = None, wanted: queries.Json | None = None) -> int:
        body = {"exact": True, "filter": wanted} | shard_key(shard)
        counted: int = (await self.ask("POST", "/points/count", body))["count"]
        return counted

    async def next_spaces(self, after: str) -> list[Space]:
        """The spaces of the user whose `user_order` follows that of `after`; of two users, if two have the same
        order."""
        asked = {"filter": queries.behind_user(after), "order_by": "user_order", "limit": 1}
        found, _ = await self.scroll(asked | {"with_payload": ["user_order"]})
        if not found:
            return []
        wanted = queries.at_user_order(found[0]["payload"]["user_order"])
        facet = {"key": "space", "filter": wanted, "limit": _SCOPES, "exact": True}
        hits = (await self.ask("POST", "/facet", facet))["hits"]
        return sorted(space_of(hit["value"]) for hit in hits if hit["count"])

    async def size(self) -> int:
        return await self.count_points()

    async def scan(self, after: UUID | None, limit: int) -> list[Stored]:
        following = None if after is None else str(UUID(int=after.int + 1))
        found, _ = await self.scroll({"limit": limit, "offset": following, "with_vector": True})
        return [_stored(each) for each in found]

    async def take(self, ids: Sequence[UUID]) -> list[Stored]:
        asked = {"ids": [str(each) for each in ids], "with_payload": True}
        return [_stored(each) for each in await self.ask("POST", "/points", asked)] if ids else []

    async def load(self, points: Sequence[Stored]) -> None:
        stamp = {"written_at": now_us()}
        for shard, group in self._by_shard(points):
            made = [point(str(e.id), queries.vectors(e.dense, e.sparse), e.payload | stamp) for e in group]
            await self.ask("PUT", "/points?wait=true", {"points": made} | shard_key(shard))

    async def drop(self, points: Sequence[Stored]) -> None:
        for shard, group in self._by_shard(points):
            ids = [str(each.id) for each in group]
            await self.ask("POST", "/points/delete?wait=true", {"points": ids} | shard_key(shard))

    def _by_shard(self, points: Sequence[Stored]) -> Iterator[tuple[str | None, list[Stored]]]:
        """The points by shard, in slices for one request each."""
        by_shard: dict[str | None, list[Stored]] = {}
        for each in points:
            by_shard.setdefault(self.shard_of(each.payload["user_id"]), []).append(each)
        for shard, group in by_shard.items():
            yield from ((shard, group[start : start + _SLICE]) for start in range(0, len(group), _SLICE))

    async def write(
        self, points: Sequence[queries.Json], shard: str | None, stamp: int, *, unless: Sequence[queries.Json] = ()
    ) -> None:
        """Replace points that were written before `stamp` and match none of `unless`; add points that do not exist.
        Because of the stamp, a delayed write of a hung node never undoes a later write."""
        body = {"points": [each | {"payload": each["payload"] | {"written_at": stamp}} for each in points]}
        only = {"must_not": [queries.written_since(stamp), *unless]}
        await self.ask("PUT", "/points?wait=true", body | shard_key(shard) | {"update_filter": only})

    async def existing(self, ids: Iterable[str], shard: str | None) -> dict[str, queries.Json]:
        """The points that exist, by id: whether they are tombstones, their time and their stamp."""
        asked = {"ids": list(ids), "with_payload": ["buried", "at", "written_at"]} | shard_key(shard)
        return {each["id"]: each["payload"] or {} for each in await self.ask("POST", "/points", asked)}

    async def mark_ready(self, is_ready: bool) -> None:
        """Record whether this store may replace the current store."""
        name, alias = await self.name(), self.layout.ready
        await (point_alias(self.connection, alias, name) if is_ready else drop_alias(self.connection, alias))

    async def index_version(self) -> int:
        """The version of `memory/embedding/indexing.py` that has written all points; 0 for none."""
        name = await self.name()
        return index_version(await aliases_of(self.connection), self.layout, name)

    async def mark_indexed(self, version: int) -> None:
        await point_alias(self.connection, f"{self.layout.indexed}{version}", await self.name())

    async def ping(self) -> None:
        if (await self.ask("GET", ""))["status"] == "red":
            raise StoreUnavailable(
                f"Qdrant at {self.connection.where} cannot write to {self._name}; its log says why"
            )

    async def flush(self) -> None:
        """Nothing to do: each write waits until it is in the server's log."""

    async def close(self) -> None:
        await self.connection.close()

    def shard_of(self, user: str) -> str | None:
        """The key of the shard that holds this user, if the collection is split by users."""
        if not self.layout.shard_by_user:
            return None
        number = int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) % self.layout.shards
        return f"users-{number}"

    def collection(self) -> str:
        """The name of our collection, whether or not it exists. Raises `StoreUnavailable` while the embedder is not
        loaded."""
        return collection_of(self.layout, self._embedder.name, self._embedder.dim)

    async def name(self) -> str:
        """The name of the collection."""
        if not self._name:
            try:
                await self.open()
            except (
                ConfigError
            ) as error:  # at the start this stops the process; a server that was away then is checked later
                raise StoreUnavailable(str(error)) from error
        return self._name


def point(id_: str, vector: queries.Json, payload: queries.Json) -> queries.Json:
    return {"id": id_, "vector": vector, "payload": payload}


def next_stamp(now: int, existing: Iterable[queries.Json]) -> int:
    """The stamp of a write, by which the writes of a point are ordered: microseconds since 1970, and more than the
    stamps of the points that it replaces, because a clock may have been set back. `now` was read before those
    points."""
    return max([now, *(int(payload.get("written_at", 0)) + 1 for payload in existing)])


def now_us() -> int:
    return time.time_ns() // 1000


def shard_key(shard: str | None) -> queries.Json:
    return {} if shard is None else {"shard_key": shard}


def _stored(record: dict[str, Any]) -> Stored:
    vectors = record.get("vector") or {}
    words = vectors.get("bm25")
    weights = words and Sparse(words["indices"], words["values"])
    return Stored(UUID(record["id"]), record["payload"], vectors.get("dense"), weights)
