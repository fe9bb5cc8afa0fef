"""A memory as a point of the embedded engine, and back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import qdrant_edge as qdrant

from rememberd.storage.migrate import Stored
from rememberd.storage.payload import living, point_id, point_of_payload, space_key
from rememberd.types import Point, Space, Sparse


def living_point(space: Space, point: Point) -> qdrant.Point:
    return bare_point(point_id(space, point.memory.id), point.dense, point.sparse, living(space, point))


def bare_point(id_: UUID, dense: list[float] | None, sparse: Sparse | None, payload: dict[str, Any]) -> qdrant.Point:
    vectors: Any = {}
    if dense is not None and sparse is not None:
        vectors = {"dense": dense, "bm25": qdrant.SparseVector(*sparse)}
    return qdrant.Point(engine_id(id_), vectors, payload)


def engine_id(point: UUID) -> int:
    """Half of the id: numpy and Python handle it ten times faster than a UUID. Among a million memories two share a
    number with a probability of 3e-8; then the later one is refused."""
    return point.int >> 64


def is_of(payload: Mapping[str, Any], space: Space, memory_id: str) -> bool:
    return payload["id"] == memory_id and space_key(space) in (payload.get("space"), payload.get("buried"))


def stored_in(record: Any) -> Stored:
    vectors = record.vector or {}
    words = vectors.get("bm25")
    payload = record.payload
    weights = words and Sparse(words.indices, words.values)
    return Stored(point_of_payload(payload), payload, vectors.get("dense"), weights)
