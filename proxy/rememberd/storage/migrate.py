"""Copies points unchanged from one store into another: sealed texts stay sealed, and nothing is embedded again."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import numpy as np
import orjson

from rememberd.types import Sparse

BATCH = 256
# Engines store 32-bit floats and may normalise a vector again, which changes a number by a thousandth of this.
_TOLERANCE = 1e-4


class Stored(NamedTuple):
    """A point with its whole payload. A tombstone has no vectors."""

    id: UUID
    payload: dict[str, Any]
    dense: list[float] | None
    sparse: Sparse | None


class Points(Protocol):
    """The points of all users in a store. Every method raises `StoreUnavailable`."""

    async def size(self) -> int:
        """The number of points, tombstones included."""

    async def scan(self, after: UUID | None, limit: int) -> list[Stored]:
        """The next points by id, tombstones included; [] at the end."""

    async def take(self, ids: Sequence[UUID]) -> list[Stored]:
        """The points that exist, without their vectors."""

    async def load(self, points: Sequence[Stored]) -> None:
        """Insert the points, or replace those of the same id."""

    async def drop(self, points: Sequence[Stored]) -> None:
        """Delete, without tombstones."""

    async def flush(self) -> None: ...


class MismatchError(Exception):
    """The two stores do not hold the same points."""


async def copy(source: Points, target: Points, after: UUID | None, moved: Callable[[UUID, int], None]) -> None:
    """Copy all points behind `after`. `moved` is called for each batch with its last id and its length. Copying twice
    does no harm."""
    while batch := await source.scan(after, BATCH):
        await target.load(batch)
        after = batch[-1].id
        moved(after, len(batch))
    await target.flush()


async def copy_tombstones(source: Points, target: Points) -> int:
    """Copy the tombstones that `target` lacks. Returns how many."""
    after, copied = None, 0
    while batch := await source.scan(after, BATCH):
        tombs = [each for each in batch if each.dense is None]
        there = {each.id: each.payload for each in await target.take([tomb.id for tomb in tombs])}
        missing = [tomb for tomb in tombs if _content(there.get(tomb.id)) != _content(tomb.payload)]
        await target.load(missing)
        copied += len(missing)
        after = batch[-1].id
    return copied


async def sync(source: Points, target: Points) -> int:
    """Make `target` hold what `source` holds, in one pass, while both are written to (in `source` first). Returns how
    many points were not the same."""
    after, changed = None, 0
    while batch := await source.scan(after, BATCH):
        there = {each.id: each.payload for each in await target.take([each.id for each in batch])}
        missing = [each for each in batch if _content(there.get(each.id)) != _content(each.payload)]
        await target.load(missing)
        changed, after = changed + len(missing), batch[-1].id
    after = None
    while batch := await target.scan(after, BATCH):
        known = {each.id for each in await source.take([each.id for each in batch])}
        erased = [each for each in batch if each.id not in known]
        await target.drop(erased)
        changed, after = changed + len(erased), batch[-1].id
    return changed


async def verify(source: Points, target: Points, seen: Callable[[UUID, int], None]) -> str:
    """The checksum of all ids and payloads, in any order. Raises `MismatchError` if the stores differ in any point,
    payload or vector."""
    after, total = None, 0
    while True:
        ours, theirs = await source.scan(after, BATCH), await target.scan(after, BATCH)
        for one, other in zip(ours, theirs, strict=False):
            if not same(one, other):
                raise MismatchError(f"point {min(one.id, other.id)} is not the same in both")
            total = (total + _digest(one)) % 2**64
        if len(ours) != len(theirs):
            raise MismatchError("one store has points that the other does not have")
        if not ours:
            return f"{total:016x}"
        after = ours[-1].id
        seen(after, len(ours))


def same(one: Stored, other: Stored) -> bool:
    """Vectors that differ only by rounding count as equal."""
    return (
        (one.id, _content(one.payload)) == (other.id, _content(other.payload))
        and _close(one.dense, other.dense)
        and _close(_weights(one), _weights(other))
    )


def _content(payload: dict[str, Any] | None) -> dict[str, Any] | None:
    """Without the stamp that a server gives to its own writes."""
    return payload and {key: value for key, value in payload.items() if key != "written_at"}


def _close(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    if one is None or other is None or len(one) != len(other):
        return one is other
    return bool(np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE))


def _weights(point: Stored) -> list[float] | None:
    """Term ids and weights in one list, sorted by term."""
    if point.sparse is None:
        return None
    return [number for pair in sorted(zip(*point.sparse, strict=True)) for number in pair]


def _digest(point: Stored) -> int:
    content = orjson.dumps([point.id, _content(point.payload)], option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(content, digest_size=8).digest())
