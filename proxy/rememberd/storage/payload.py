"""How a memory is stored in a Qdrant point, the same in every adapter.

A living point has the payload key `space`, its tombstone has `buried` instead: one key that holds user and scope
together, so that no filter can name a user without a scope, and no filter on `space` ever meets a tombstone.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import groupby, islice
from typing import Any
from uuid import UUID

import orjson

from rememberd.memory.serialization import memory_of, memory_to_json
from rememberd.search_results import Candidate
from rememberd.types import Memory, Millis, Point, Space, Sparse

# Engines compare ranges as 64-bit floats, which are exact up to here.
_EXACT_BITS = 53
FAR_FUTURE = 2**_EXACT_BITS - 1
_HASH_BITS = 11
USER_ORDER_SINCE = 5  # the version of `memory/embedding/indexing.py`
_MAX_MILLIS = (1 << (_EXACT_BITS - _HASH_BITS)) - 1

PINNED_LIMIT = 100
STANDING_LIMIT = 200  # facts that may be recalled for any question: more than a profile shows of any class
NAMED_LIMIT = 16  # one is enough to know that the question is about something remembered

# The payload keys that ranking reads.
_NAMES = ["slot", "speaker", "conversation", "turn_id", "topics"]
LIGHT = ["id", "kind", "at", "tokens", "cues", "pinned", "answer", *_NAMES]


def space_key(space: Space) -> str:
    return orjson.dumps([space.user, space.scope]).decode()


def space_of(key: str) -> Space:
    """The inverse of `space_key`."""
    return Space(*orjson.loads(key))


def user_order(user: str) -> int:
    """Sorts users, so that they can be listed by pages: engines sort by numbers only."""
    return int.from_bytes(blake2b(user.encode(), digest_size=8).digest()) >> (64 - _EXACT_BITS)


def spaces_behind(spaces: Sequence[Space], after: str, limit: int) -> list[Space]:
    """Like `MemoryStore.users`, for all `spaces`."""
    place = (user_order(after), after) if after else (-1, "")
    placed = sorted(((user_order(space.user), space.user), space) for space in spaces)
    groups = (list(group) for user, group in groupby(placed, key=lambda each: each[0]) if user > place)
    return [space for group in islice(groups, limit) for _, space in group]


def point_id(space: Space, memory_id: str) -> UUID:
    """The id of the point for this memory in this space: the same memory id in another space is another point."""
    return UUID(bytes=blake2b(orjson.dumps([*space, memory_id]), digest_size=16).digest())


def point_of_payload(payload: Mapping[str, Any]) -> UUID:
    """The id of the point that has this payload."""
    return point_id(space_of(payload.get("space") or payload["buried"]), payload["id"])


def living(space: Space, point: Point) -> dict[str, Any]:
    memory, evidence = point.memory, point.memory.evidence
    payload = {
        "space": space_key(space),
        "user_id": space.user,
        "user_order": user_order(space.user),
        "order": order(memory, point_id(space, memory.id)),
        "until": until(memory),
        "id": memory.id,
        "kind": memory.kind,
        "at": memory.valid_from,
        "tokens": point.tokens,
        "cues": point.cues,
        "pinned": "yes" if memory.pinned else None,
        "slot": memory.slot,
        "speaker": memory.speaker or point.label,
        "conversation": memory.source.conversation,
        "turn_id": evidence and evidence.turn_id,
        "topics": point.topics,
        "standing": "yes" if point.topics and memory.kind == "fact" else None,
        "names": list(point.names) or None,
        "answer": point.answer_tokens or None,
        "memory": memory_to_json(memory).decode(),  # as text, which engines do not parse
    }
    return {key: value for key, value in payload.items() if value is not None}


def tombstone(space: Space, memory_id: str, at: Millis) -> dict[str, Any]:
    return {"buried": space_key(space), "user_id": space.user, "id": memory_id, "at": at}


def memory_in(payload: Mapping[str, Any]) -> Memory:
    return memory_of(orjson.loads(payload["memory"]))


def point_of(stored: Mapping[str, Any]) -> Point:
    """The `Point` from its JSON."""
    return Point(**{**stored, "memory": memory_of(stored["memory"]), "sparse": Sparse(*stored["sparse"])})


def candidate(payload: Mapping[str, Any], dense: float, bm25: float) -> Candidate:
    """A row of a search, for `Candidates.of`. The `LIGHT` keys of `payload` are enough; a point of an earlier version
    lacks `answer` and `topics`."""
    values: list[Any] = [payload.get(key) for key in LIGHT]
    memory_id, kind, at, tokens, cues, pinned, answer, *names = values
    row = (memory_id, dense, bm25, kind, at, tokens, cues, pinned is not None, *names, answer or 0, False)
    return Candidate._make(row)


def until(memory: Memory) -> Millis:
    """When a memory stops being current, whichever comes first: superseded or expired."""
    ends = (memory.valid_to, memory.expires_at)
    return min((end for end in ends if end is not None), default=FAR_FUTURE)


def order(memory: Memory, point: UUID) -> int:
    """Sorts like created_at. Eleven bits of the id keep groups of equals small, even after an import at one time."""
    at = max(-_MAX_MILLIS, min(memory.created_at, _MAX_MILLIS))
    return (at << _HASH_BITS) + point.int % (1 << _HASH_BITS)
