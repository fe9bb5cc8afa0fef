"""From a question's vectors to the block. It runs where the memories are: an embedded store is in another process,
and its 800 candidates need not come over to be ranked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from prometheus_client import Histogram

from rememberd.memory.recall.block import render
from rememberd.memory.recall.budget import pack
from rememberd.memory.recall.rank import Feature, having, named, rank
from rememberd.memory.recall.relevance import relevant
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import MemoryStore
from rememberd.search_results import Candidates
from rememberd.telemetry.metrics import Timed
from rememberd.types import Memory, Millis, Space, Sparse

ROUNDS = 4

STAGE = Histogram(
    "rememberd_recall_stage_seconds",
    "The parts of a recall, in whichever process they run.",
    ["stage"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
)
SEARCH, RANK, FETCH = (STAGE.labels(name) for name in ("search", "rank", "fetch"))


class Wanted(NamedTuple):
    """A question whose vectors are known; the dense one was made without the names `left_out`.

    Memories of the turn `turn_id` are left out, those of `conversation` come after the others. Without `private`,
    what must stay with the operator is left out: what is marked, or about one of `classes`."""

    question: str
    left_out: Sequence[str]
    now: Millis
    turn_id: str | None
    conversation: str | None
    private: bool
    classes: Sequence[str]
    budget_tokens: int


class Retrieved(NamedTuple):
    """The block, "" for none, what it holds and costs, and when the first of its memories expires (None: never).

    `speakers`, if any, are named in the question and ought to have been left out: they speak in the memories, and a
    name draws everything its bearer said. Then there is no block yet."""

    block: str = ""
    ids: Sequence[str] = ()
    tokens: int = 0
    speakers: Sequence[str] = ()
    until: Millis | None = None


_privacy = lru_cache(maxsize=8)(partial(Privacy, ()))

Retrieve = Callable[[Space, list[float], Sparse, Wanted], Awaitable[Retrieved]]


async def retrieve(store: MemoryStore, space: Space, dense: list[float], sparse: Sparse, wanted: Wanted) -> Retrieved:
    """Raises `StoreUnavailable`."""
    with Timed(SEARCH):
        found = await store.search(space, dense, sparse, now=wanted.now)
    with Timed(RANK):
        speakers = named(wanted.question, found.speaker.present()) - set(wanted.left_out)
        if speakers:
            return Retrieved(speakers=tuple(sorted(speakers)))
        others = _recallable(found, wanted)
        near = relevant(wanted.question, len(sparse.indices), others)
        ranked = rank(wanted.question, near, wanted.now, wanted.conversation)
    memories, cost = await _fitting(store, space, ranked, wanted)
    if not memories:
        return Retrieved()
    return Retrieved(render(memories), tuple(each.id for each in memories), cost, until=first_expiry(memories))


def first_expiry(memories: Sequence[Memory]) -> Millis | None:
    return min((each.expires_at for each in memories if each.expires_at is not None), default=None)


def _recallable(found: Candidates, wanted: Wanted) -> Candidates:
    retried = found.turn_id.named(wanted.turn_id) if wanted.turn_id else None
    others = found.take(~retried) if retried is not None and retried.any() else found
    return others if wanted.private else others.take(~having(Feature.PRIVATE, others))


async def _fitting(store: MemoryStore, space: Space, ranked: Candidates, wanted: Wanted) -> tuple[list[Memory], int]:
    """The best that fit, and what they cost at most. What turns out to be private, by its words, makes room for
    others, a few times at most: then there is room left over."""
    privacy = _privacy(tuple(wanted.classes))
    memories: list[Memory] = []
    cost = 0
    for _ in range(ROUNDS):
        with Timed(RANK):
            ids, cost = pack(ranked, wanted.budget_tokens)
        with Timed(FETCH):
            found = await store.get(space, ids) if ids else []
        memories = found if wanted.private else [each for each in found if not privacy.keeps(space, each)]
        if len(memories) == len(found):
            break
        kept = {each.id.encode() for each in found} - {each.id.encode() for each in memories}
        ranked = ranked.take(~np.isin(ranked.ids, np.array(sorted(kept), np.bytes_)))
    return memories, cost
