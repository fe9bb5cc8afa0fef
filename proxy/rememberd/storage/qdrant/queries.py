"""What the server store asks: the questions of `edge_queries` in the client's types. Every filter but those of a
user is bound to one space."""

from __future__ import annotations

from typing import Any

from qdrant_client import models
from qdrant_client.models import FieldCondition, Filter, MatchAny, MatchValue, QueryRequest, Range, SearchParams

from rememberd.storage.payload import LIGHT, space_key
from rememberd.types import Kind, Millis, Space, Sparse

PINNED_LIMIT = 100
STANDING_LIMIT = 200
NAMED_LIMIT = 16

Conditions = list[Any]


def in_space(space: Space) -> Conditions:
    return [_equals("space", space_key(space))]


def listed(space: Space, kind: Kind | None, slot: str | None, now: Millis | None) -> Conditions:
    """Those current at `now`, or all."""
    given = [_equals(key, value) for key, value in (("kind", kind), ("slot", slot)) if value is not None]
    current = [] if now is None else [FieldCondition(key="until", range=Range(gt=now))]
    return in_space(space) + given + current


def of_user(user: str) -> Filter:
    return Filter(must=[_equals("user_id", user)])


def memories_of_user(user: str) -> Filter:
    """Without its tombstones."""
    living = FieldCondition(key="kind", match=MatchAny(any=["fact", "episode"]))
    return Filter(must=[_equals("user_id", user), living])


def not_buried(space: Space) -> Filter:
    return Filter(must_not=[_equals("buried", space_key(space))])


def vector_query(
    space: Space, dense: list[float], now: Millis, limit: int, kind: Kind | None, shard: str | None, rescore: bool
) -> QueryRequest:
    """By meaning. `rescore`: the server searches rounded vectors; the scores are to be those of the whole ones."""
    exactly = models.QuantizationSearchParams(rescore=True)
    return QueryRequest(
        query=dense,
        using="dense",
        filter=Filter(must=listed(space, kind, None, now)),
        params=SearchParams(quantization=exactly) if rescore else None,
        limit=limit,
        with_payload=LIGHT,
        shard_key=shard,
    )


def keyword_query(
    space: Space, sparse: Sparse, now: Millis, limit: int, kind: Kind | None, shard: str | None, own_idf: bool
) -> QueryRequest:
    """By words. `own_idf`: a word's rarity is that in this space, not that among everybody's memories."""
    corpus = models.IdfCorpusParams(corpus=Filter(must=in_space(space)))
    return QueryRequest(
        query=models.SparseVector(indices=sparse.indices, values=sparse.values),
        using="bm25",
        filter=Filter(must=listed(space, kind, None, now)),
        params=SearchParams(idf=corpus) if own_idf else None,
        limit=limit,
        with_payload=LIGHT,
        shard_key=shard,
    )


def pinned(space: Space, now: Millis, kind: Kind | None, shard: str | None) -> QueryRequest:
    wanted = [*listed(space, kind, None, now), _equals("pinned", "yes")]
    return QueryRequest(filter=Filter(must=wanted), limit=PINNED_LIMIT, with_payload=LIGHT, shard_key=shard)


def standing(
    space: Space, dense: list[float], now: Millis, kind: Kind | None, shard: str | None, rescore: bool
) -> QueryRequest:
    """The nearest facts that may be called for unasked."""
    asked = vector_query(space, dense, now, STANDING_LIMIT, kind, shard, rescore)
    wanted = [*listed(space, kind, None, now), _equals("standing", "yes")]
    return asked.model_copy(update={"filter": Filter(must=wanted)})


def named(space: Space, sparse: Sparse, now: Millis, kind: Kind | None, shard: str | None) -> QueryRequest:
    """What names something that the question names; the ids of its terms are the same."""
    condition = FieldCondition(key="names", match=MatchAny(any=sparse.indices))
    wanted = Filter(must=[*listed(space, kind, None, now), condition])
    return QueryRequest(filter=wanted, limit=NAMED_LIMIT, with_payload=LIGHT, shard_key=shard)


def below(order: int | None) -> Conditions:
    return [] if order is None else [FieldCondition(key="order", range=Range(lt=order))]


def at(order: int) -> Conditions:
    return [_equals("order", order)]


def _equals(key: str, value: str | int) -> FieldCondition:
    return FieldCondition(key=key, match=MatchValue(value=value))
