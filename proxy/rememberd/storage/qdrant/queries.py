"""The requests to a server, as JSON of its REST API. Every filter, except those of a user, is bound to one space."""

from collections.abc import Iterable, Sequence
from typing import Any

from rememberd.search_results import Query
from rememberd.storage.payload import NAMED_LIMIT, PINNED_LIMIT, STANDING_LIMIT, space_key, user_order
from rememberd.types import Kind, Millis, Space, Sparse

Json = dict[str, Any]
Conditions = list[Json]


def in_space(space: Space) -> Conditions:
    return [_equals("space", space_key(space))]


def listed(space: Space, kind: Kind | None, slot: str | None, now: Millis | None, since: int) -> Conditions:
    """The memories that are current at `now`; all if it is None. `since` is the lowest stamp, 0 for any."""
    given = [_equals(key, value) for key, value in (("kind", kind), ("slot", slot)) if value is not None]
    current = [] if now is None else [{"key": "until", "range": {"gt": now}}]
    return in_space(space) + given + current + ([written_since(since)] if since else [])


def of_user(user: str) -> Json:
    return {"must": [_equals("user_id", user)]}


def memories_of_user(user: str) -> Json:
    """The memories of the user, without tombstones."""
    return {"must": [_equals("user_id", user), _any("kind", ["fact", "episode"])]}


def buried(spaces: Iterable[Space]) -> Json:
    return _any("buried", sorted({space_key(space) for space in spaces}))


def older_of_user(user: str, stamp: int) -> Json:
    return of_user(user) | {"must_not": [written_since(stamp)]}


def older_of(ids: Sequence[str], stamp: int) -> Json:
    return {"must": [{"has_id": ids}], "must_not": [written_since(stamp)]}


def behind_user(after: str) -> Json:
    return {"must": [{"key": "user_order", "range": {"gt": user_order(after) if after else -1}}]}


def at_user_order(place: int) -> Json:
    return {"must": [_equals("user_order", place)]}


def written_since(stamp: int) -> Json:
    """True for points with this stamp or a later one (`points.next_stamp`). Points of an earlier version have no
    stamp, and do not match."""
    return {"key": "written_at", "range": {"gte": stamp}}


def search(query: Query, now: Millis, since: int, *, own_idf: bool, rescore: bool) -> list[Json]:
    """Searches by meaning, among all points and, if wanted, among the standing facts; for pinned points; by words;
    and for points with a name that is in the question (the ids of its terms are the same). Without words the last two
    are missing.

    `own_idf`: the rarity of a word is measured in this space, not over all users' memories. `rescore`: the server
    searches rounded vectors, and computes the scores from the exact ones."""
    space, dense, sparse, limit, kind, standing = query
    wanted = listed(space, kind, None, now, since)
    near: Json = {"query": dense, "using": "dense"}
    if rescore:
        near["params"] = {"quantization": {"rescore": True}}
    asked = [
        near | {"filter": {"must": wanted}, "limit": limit},
        *([near | {"filter": {"must": [*wanted, _equals("standing", "yes")]}, "limit": STANDING_LIMIT}] * standing),
        {"filter": {"must": [*wanted, _equals("pinned", "yes")]}, "limit": PINNED_LIMIT},
    ]
    if sparse.indices:
        words: Json = {"query": sparse_vector(sparse), "using": "bm25"}
        if own_idf:
            words["params"] = {"idf": {"corpus": {"must": in_space(space)}}}
        asked.append(words | {"filter": {"must": wanted}, "limit": limit})
        asked.append({"filter": {"must": [*wanted, _any("names", sparse.indices)]}, "limit": NAMED_LIMIT})
    return asked


def below(order: int | None) -> Conditions:
    return [] if order is None else [{"key": "order", "range": {"lt": order}}]


def at(order: int) -> Conditions:
    return [_equals("order", order)]


def vectors(dense: list[float] | None, sparse: Sparse | None) -> Json:
    return {} if dense is None or sparse is None else {"dense": dense, "bm25": sparse_vector(sparse)}


def sparse_vector(sparse: Sparse) -> Json:
    return {"indices": sparse.indices, "values": sparse.values}


def _equals(key: str, value: str | int) -> Json:
    return {"key": key, "match": {"value": value}}


def _any(key: str, values: Sequence[str] | Sequence[int]) -> Json:
    return {"key": key, "match": {"any": values}}
