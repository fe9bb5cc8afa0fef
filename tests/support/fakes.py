"""Small stand-ins for the ports: the same promises, in memory, with switches to make them fail."""

from __future__ import annotations

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b

from rememberd.errors import EmbedderUnavailable, InputRejected, StoreUnavailable
from rememberd.ports import MemoryStore, PageQuery
from rememberd.search_results import Candidate, Candidates, Query
from rememberd.storage.payload import spaces_behind
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

_Kept = tuple[dict[Space, dict[str, Point]], dict[Space, dict[str, Millis]]]


class MemoryStoreFake(MemoryStore):
    """A `MemoryStore` in a dict. While `down` is True every call raises; a power cut undoes what was not flushed."""

    def __init__(self) -> None:
        self.points: dict[Space, dict[str, Point]] = {}
        self.tombstones: dict[Space, dict[str, Millis]] = {}
        self.down = False
        self._flushed: _Kept = ({}, {})

    def power_cut(self) -> None:
        self.points, self.tombstones = _copied(self._flushed)

    def memories(self, space: Space) -> list[Memory]:
        return [point.memory for point in self.points.get(space, {}).values()]

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        self._check()
        tombstones = self.tombstones.get(space, {})
        for point in points:
            if tombstones.get(point.memory.id, -1) < point.memory.updated_at:
                self.points.setdefault(space, {})[point.memory.id] = point
                tombstones.pop(point.memory.id, None)

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        self._check()
        mine = self.points.get(space, {})
        return [mine[each].memory for each in ids if each in mine]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        self._check()

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        return Candidates.joined([self._searched(each, now) for each in queries])

    def _searched(self, query: Query, now: Millis) -> Candidates:
        self._check()
        space, dense, sparse, limit, kind, _ = query
        current = [
            point
            for point in self.points.get(space, {}).values()
            if _current(point.memory, now) and kind in (None, point.memory.kind)
        ]
        cosines = {point.memory.id: _dot(point.dense, dense) for point in current}
        terms = {point.memory.id: _overlap(point.sparse, sparse) for point in current}
        best = sorted(cosines, key=lambda each: (-cosines[each], each))[:limit]
        best += sorted((each for each in terms if terms[each]), key=lambda each: (-terms[each], each))[:limit]
        pinned = [point.memory.id for point in current if point.memory.pinned][:100]
        mine = self.points.get(space, {})
        found = dict.fromkeys(best + pinned)
        return Candidates.of(_candidate(mine[each], cosines[each], terms[each]) for each in found)

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        self._check()
        limit, now, cursor, kind, slot, include_past = wanted
        after = _key_of(cursor) if cursor else (math.inf, "")
        found = sorted(
            (
                point.memory
                for point in self.points.get(space, {}).values()
                if (kind is None or point.memory.kind == kind)
                and (slot is None or point.memory.slot == slot)
                and (include_past or _current(point.memory, now))
                and (point.memory.created_at, point.memory.id) < after
            ),
            key=lambda memory: (memory.created_at, memory.id),
            reverse=True,
        )
        return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else None

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        everything = max(1, len(self.points.get(space, {})))
        return len((await self.page(space, limit=everything, now=now, kind=kind, include_past=include_past))[0])

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        self._check()
        mine = self.tombstones.get(space, {})
        return {each: mine[each] for each in ids if each in mine}

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        self._check()
        mine = self.points.get(space, {})
        gone = [each for each in ids if mine.pop(each, None) is not None]
        self.tombstones.setdefault(space, {}).update(dict.fromkeys(gone, at))
        return gone

    async def erase(self, user: str) -> int:
        self._check()
        count = sum(len(points) for space, points in self.points.items() if space.user == user)
        for kept in (self.points, self.tombstones):
            for space in [each for each in kept if each.user == user]:
                del kept[space]
        return count

    async def spaces(self, user: str | None = None) -> list[Space]:
        self._check()
        return sorted(space for space, points in self.points.items() if points and user in (None, space.user))

    async def users(self, after: str, limit: int) -> list[Space]:
        return spaces_behind(await self.spaces(), after, limit)

    async def ping(self) -> None:
        self._check()

    async def flush(self) -> None:
        self._check()
        self._flushed = _copied((self.points, self.tombstones))

    async def close(self) -> None:
        return

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake store is down")


class EmbedderFake:
    """An `Embedder` that hashes words: texts with the same words have the same vector."""

    name = "fake"
    dim = 32
    gain = 1.0
    backlog_ms = 0.0

    def __init__(self) -> None:
        self.down = False

    async def dense(self, text: str) -> list[float]:
        if self.down:
            raise EmbedderUnavailable("the fake embedder is down")
        vector = [1e-6] * self.dim
        for term in _terms(text):
            vector[term % self.dim] += 1.0 if term & 1024 else -1.0
        length = math.hypot(*vector)
        return [each / length for each in vector]

    def document(self, text: str) -> Sparse:
        terms = sorted(set(_terms(text)))
        return Sparse(terms, [1.0] * len(terms))

    def query(self, text: str) -> Sparse:
        return self.document(text)


def _copied(kept: _Kept) -> _Kept:
    """No point is ever changed."""
    points, tombstones = kept
    return {space: dict(mine) for space, mine in points.items()}, {s: dict(mine) for s, mine in tombstones.items()}


def _terms(text: str) -> list[int]:
    words = re.findall(r"\w+", text.casefold())
    return [int.from_bytes(blake2b(word.encode(), digest_size=4).digest()) for word in words]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _overlap(document: Sparse, query: Sparse) -> float:
    return float(len(set(document.indices) & set(query.indices)))


def _current(memory: Memory, now: Millis) -> bool:
    ends = [each for each in (memory.valid_to, memory.expires_at) if each is not None]
    return all(each > now for each in ends)


def _candidate(point: Point, dense: float, bm25: float) -> Candidate:
    memory = point.memory
    return Candidate(
        id=memory.id,
        dense=dense,
        bm25=bm25,
        kind=memory.kind,
        at=memory.valid_from,
        tokens=point.tokens,
        cues=point.cues,
        pinned=memory.pinned,
        slot=memory.slot,
        speaker=memory.speaker,
        conversation=memory.source.conversation,
        turn_id=memory.evidence.turn_id if memory.evidence else None,
    )


def _cursor(memory: Memory) -> str:
    return urlsafe_b64encode(f"{memory.created_at} {memory.id}".encode()).decode()


def _key_of(cursor: str) -> tuple[float, str]:
    try:
        at, memory_id = urlsafe_b64decode(cursor).decode().split(" ")
        return int(at), memory_id
    except ValueError as error:
        raise InputRejected("invalid_cursor", "Pass the next_cursor of the page before.") from error
