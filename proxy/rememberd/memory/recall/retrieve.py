"""From a question's vectors to the block. It runs where the memories are: an embedded store is in another process,
and its 800 candidates need not come over to be ranked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from prometheus_client import Histogram

from rememberd.memory.recall.block import render
from rememberd.memory.recall.budget import Reason, pack, profile, without_repeats
from rememberd.memory.recall.dates import asked_about
from rememberd.memory.recall.needs import STYLE
from rememberd.memory.recall.rank import Feature, having, named, scored
from rememberd.memory.recall.relevance import asks_for_answers, of_topics, relevant, supports, worth
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import MemoryStore
from rememberd.search_results import Bools, Candidates
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
    what must stay with the operator is left out: what is marked, or about one of `classes`. `personal`: how clearly
    the question is about the asker's life, from 1 on; None: unknown. `needs`: the topics of standing facts that the
    question calls for, and how clearly; facts of the topics `sensitive` need a question for them. `gain` multiplies
    cosines; `offset` shifts times into the time zone of the user. `by_words`: there is no dense
    vector."""

    question: str
    left_out: Sequence[str]
    now: Millis
    turn_id: str | None
    conversation: str | None
    private: bool
    classes: Sequence[str]
    budget_tokens: int
    personal: float | None = None
    needs: Mapping[str, float] = {}
    sensitive: Sequence[str] = ()
    gain: float = 1.0
    offset: Millis = 0
    by_words: bool = False


class Retrieved(NamedTuple):
    """The block, "" for none, what it holds and costs, when the first of its memories expires (None: never), and why
    each of them is there.

    `speakers`, if any, are named in the question and ought to have been left out: they speak in the memories, and a
    name draws everything its bearer said. Then there is no block yet."""

    block: str = ""
    ids: Sequence[str] = ()
    tokens: int = 0
    speakers: Sequence[str] = ()
    until: Millis | None = None
    reasons: Sequence[Reason] = ()


_privacy = lru_cache(maxsize=8)(partial(Privacy, ()))

Retrieve = Callable[[Space, list[float], Sparse, Wanted], Awaitable[Retrieved]]


async def retrieve(store: MemoryStore, space: Space, dense: list[float], sparse: Sparse, wanted: Wanted) -> Retrieved:
    """Raises `StoreUnavailable`."""
    with Timed(SEARCH):
        found = await store.search(space, dense, sparse, now=wanted.now)
        found = replace(found, dense=found.dense * wanted.gain, at=found.at + wanted.offset)
    with Timed(RANK):
        speakers = named(wanted.question, found.speaker.present()).keys() - set(wanted.left_out)
        if speakers:
            return Retrieved(speakers=tuple(sorted(speakers)))
        answers = asks_for_answers(wanted.question)
        others = _recallable(found, wanted)
        if not answers:
            others = replace(others, tokens=others.tokens - others.answer_tokens)
        first = others.take(profile(others, wanted.needs))
        ranked, shown = _ranked(others, first, len(sparse.indices), wanted)
        by_words = supports(len(sparse.indices), ranked) > 2 * ranked.dense
        worded = set(ranked.take(shown & by_words).names())
        ranked = ranked.take(shown)
    memories, cost = await _fitting(store, space, ranked, wanted)
    if not memories:
        return Retrieved()
    block = render(memories, wanted.question, answers=answers, offset=wanted.offset)
    reasons = _reasons(memories, first, worded)
    ids = tuple(each.id for each in memories)
    return Retrieved(block, ids, cost, until=first_expiry(memories), reasons=reasons)


def _reasons(memories: Sequence[Memory], first: Candidates, worded: AbstractSet[str]) -> list[Reason]:
    """Why each memory is in the block: pinned, profile (how to answer), need, or by what most of its support is:
    words, for the ids `worded`, or meaning."""
    style = set(first.take(of_topics(first.topics, {STYLE})).names())
    needed = set(first.names())

    def reason(memory: Memory) -> Reason:
        if memory.pinned:
            return "pinned"
        if memory.id in needed:
            return "profile" if memory.id in style else "need"
        return "words" if memory.id in worded else "meaning"

    return [reason(each) for each in memories]


def first_expiry(memories: Sequence[Memory]) -> Millis | None:
    return min((each.expires_at for each in memories if each.expires_at is not None), default=None)


def _ranked(found: Candidates, first: Candidates, terms: int, wanted: Wanted) -> tuple[Candidates, Bools]:
    """The standing facts that the question calls for, `first`, then the others, best first; and which are worth
    showing."""
    near = relevant(wanted.question, terms, found, personal=wanted.personal, by_words=wanted.by_words)
    ranked, scores = scored(wanted.question, near, wanted.now + wanted.offset, wanted.conversation)
    shown = worth(
        wanted.question,
        terms,
        ranked,
        scores,
        wanted.sensitive,
        wanted.needs,
        personal=wanted.personal,
        by_words=wanted.by_words,
    )
    if not len(first):
        return ranked, shown
    rest = ~np.isin(ranked.ids, first.ids)
    ranked, shown = ranked.take(rest), shown[rest]
    return first.followed_by(ranked), np.append(np.ones(len(first), np.bool_), shown)


def _recallable(found: Candidates, wanted: Wanted) -> Candidates:
    retried = found.turn_id.named(wanted.turn_id) if wanted.turn_id else None
    others = found.take(~retried) if retried is not None and retried.any() else found
    return others if wanted.private else others.take(~having(Feature.PRIVATE, others))


async def _fitting(store: MemoryStore, space: Space, ranked: Candidates, wanted: Wanted) -> tuple[list[Memory], int]:
    """The best that fit, and what they cost at most. What turns out to be private, by its words, or to be told by
    another, makes room for others, a few times at most: then there is room left over."""
    privacy = _privacy(tuple(wanted.classes))
    memories: list[Memory] = []
    cost = 0
    for _ in range(ROUNDS):
        with Timed(RANK):
            ids, cost = pack(ranked, wanted.budget_tokens)
        with Timed(FETCH):
            found = await store.get(space, ids) if ids else []
        memories = found if wanted.private else [each for each in found if not privacy.keeps(space, each)]
        memories = without_repeats(memories, latest=asked_about(wanted.question, wanted.now + wanted.offset) is None)
        if len(memories) == len(found):
            break
        kept = {each.id.encode() for each in found} - {each.id.encode() for each in memories}
        ranked = ranked.take(~np.isin(ranked.ids, np.array(sorted(kept), np.bytes_)))
    return memories, cost
