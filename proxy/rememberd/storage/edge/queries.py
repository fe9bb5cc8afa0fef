"""The requests of the embedded store to its engine. Every filter except `of_user` is bound to one space, and so is
every request except `spaces`."""

from typing import Any, NamedTuple

from qdrant_edge import (
    CountRequest,
    Direction,
    FacetRequest,
    FieldCondition,
    Filter,
    IdfParams,
    MatchAny,
    MatchValue,
    OrderBy,
    Query,
    QueryRequest,
    RangeFloat,
    ScrollRequest,
    SearchParams,
    SparseVector,
)

from rememberd.storage.payload import NAMED_LIMIT, PINNED_LIMIT, STANDING_LIMIT, space_key
from rememberd.types import Kind, Millis, Space, Sparse

Conditions = list[Any]


def in_space(space: Space) -> Conditions:
    return [_equals("space", space_key(space))]


def current(now: Millis) -> Conditions:
    return [FieldCondition("until", range=RangeFloat(gt=now))]


def matching(kind: Kind | None, slot: str | None) -> Conditions:
    return [_equals(key, value) for key, value in (("kind", kind), ("slot", slot)) if value is not None]


def of_user(user: str) -> Filter:
    return Filter(must=[_equals("user_id", user)])


def memories_of_user(user: str) -> CountRequest:
    living = FieldCondition("kind", match=MatchAny(["fact", "episode"]))
    return CountRequest(exact=True, filter=Filter(must=[_equals("user_id", user), living]))


def number(conditions: Conditions) -> CountRequest:
    return CountRequest(exact=True, filter=Filter(must=conditions))


def spaces(user: str | None, limit: int) -> FacetRequest:
    """Tombstones have no `space`, so they are not counted."""
    return FacetRequest("space", limit=limit, exact=True, filter=None if user is None else of_user(user))


def places_of(user: str, limit: int) -> ScrollRequest:
    """Points of a user, tombstones too."""
    return ScrollRequest(limit=limit, filter=of_user(user), with_payload=["space", "buried", "id"], with_vector=False)


class Branch(NamedTuple):
    """One of the queries of a search, which returns the ids and scores of `limit` points. The first condition is the
    one that the fewest points meet: this takes a quarter of the time."""

    limit: int
    conditions: Conditions
    query: Any = None
    params: Any = None

    def request(self, limit: int, now: Millis | None) -> QueryRequest:
        """`now`: leave out memories that are no longer current."""
        conditions = self.conditions if now is None else [*self.conditions, *current(now)]
        return QueryRequest(
            limit, query=self.query, filter=Filter(must=conditions), with_payload=False, params=self.params
        )


def vector_query(
    space: Space, dense: list[float], limit: int, kind: Kind | None, *, standing: bool = True
) -> list[Branch]:
    """Search by meaning: among all points and, if wanted, also among the standing facts."""
    wanted, by_meaning = in_space(space) + matching(kind, None), Query.Nearest(dense, using="dense")
    near = Branch(limit, wanted, by_meaning)
    return [near, Branch(STANDING_LIMIT, [_equals("standing", "yes"), *wanted], by_meaning)] if standing else [near]


def keyword_query(space: Space, sparse: Sparse, limit: int, kind: Kind | None) -> list[Branch]:
    """Search by words, for pinned points, and for points with a name that is in the question."""
    everything = in_space(space)
    wanted = everything + matching(kind, None)
    own_idf = SearchParams(idf=IdfParams(corpus=Filter(must=everything)))
    by_words = Query.Nearest(SparseVector(*sparse), using="bm25")
    return [
        Branch(limit, wanted, by_words, own_idf),
        Branch(PINNED_LIMIT, [_equals("pinned", "yes"), *wanted]),
        Branch(NAMED_LIMIT, [_names(sparse), *wanted]),
    ]


LISTED = ["order", "memory"]  # the payload keys that a list reads


def newest(conditions: Conditions, limit: int, before: int | None = None) -> ScrollRequest:
    """By `order`, descending, from just below `before`. Points of equal order come in any order."""
    below = [] if before is None else [FieldCondition("order", range=RangeFloat(lt=before))]
    return ScrollRequest(
        limit=limit,
        filter=Filter(must=conditions + below),
        with_payload=LISTED,
        order_by=OrderBy("order", Direction.Desc),
    )


def following(first: int, limit: int) -> ScrollRequest:
    """The points from the id `first` on, of all users."""
    return ScrollRequest(offset=first, limit=limit, with_payload=True, with_vector=True)


def tied(conditions: Conditions, order: int, limit: int) -> ScrollRequest:
    """Every point of one `order`."""
    return ScrollRequest(limit=limit, filter=Filter(must=[*conditions, _equals("order", order)]), with_payload=LISTED)


def _names(sparse: Sparse) -> FieldCondition:
    """Matches points with a name that is a term of the question: both have the same ids."""
    return FieldCondition("names", match=MatchAny(sparse.indices))


def _equals(key: str, value: str | int) -> FieldCondition:
    return FieldCondition(key, match=MatchValue(value))
