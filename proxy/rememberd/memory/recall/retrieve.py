"""Makes the block from a question's vectors. It runs in the process of the store, so that the 800 candidates of an
embedded store need not be sent to another process to be ranked."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from prometheus_client import Histogram

from rememberd.errors import StoreUnavailable
from rememberd.memory.recall.aliases import Pair, aliases_in, with_other_names
from rememberd.memory.recall.block import GROUPS_COST, render, sides
from rememberd.memory.recall.budget import Reason, pack, profile, without_repeats
from rememberd.memory.recall.dates import asked_about
from rememberd.memory.recall.names import named
from rememberd.memory.recall.needs import STYLE, asks_what_was_told
from rememberd.memory.recall.rank import Asked, Feature, Turns, best_first, by_id, having, scored
from rememberd.memory.recall.relevance import asks_for_answers, of_topics, relevant, supports, worth
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import MemoryStore
from rememberd.search_results import Candidates, Query
from rememberd.telemetry.metrics import Timed
from rememberd.types import Memory, Millis, Space, Sparse

ROUNDS = 4
# Memories of each branch of a search. With 100 of each group, three groups made a question cost 41 % more CPU, with
# 32 of each 23 %, with 20 22 % (`python -m loadtests.recall_cost`; later 19 % with 32). With 24 there are less than
# 20 % more memories to be ranked. A block has room for about 20.
OWN, OF_GROUP = 400, 24
TELLING_ALIASES = 8  # memories that are read for other names of what the question names

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
    cosines; `offset` shifts times into the time zone of the user. `by_words`: there is no dense vector. `groups`:
    whose memories are looked into beside the user's. `aliases`: other names of what the question names; it was
    embedded with them. `until`: nobody waits for the answer after this time of `time.monotonic`, which processes of
    one machine share."""

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
    groups: Sequence[str] = ()
    aliases: Sequence[Pair] = ()
    until: float | None = None


class Retrieved(NamedTuple):
    """The block, "" for none, its memories and cost, when the first of its memories expires (None: never), why each
    of them is there, and which groups have some of them.

    `speakers`, if any, are named in the question and should have been left out: they speak in the memories, and a
    name finds everything its bearer said. `aliases`, if any, are other names that should be added to the question. In
    both cases there is no block yet."""

    block: str = ""
    ids: Sequence[str] = ()
    tokens: int = 0
    speakers: Sequence[str] = ()
    until: Millis | None = None
    reasons: Sequence[Reason] = ()
    groups: Sequence[str] = ()
    aliases: Sequence[Pair] = ()


_privacy = lru_cache(maxsize=8)(partial(Privacy, ()))

Retrieve = Callable[[Space, list[float], Sparse, Wanted], Awaitable[Retrieved]]


async def retrieve(store: MemoryStore, space: Space, dense: list[float], sparse: Sparse, wanted: Wanted) -> Retrieved:
    """Raises `StoreUnavailable`, also after the question's deadline: work that nobody waits for would make others
    late."""
    if wanted.until is not None and time.monotonic() > wanted.until:
        raise StoreUnavailable("too many questions were asked before this one, and its deadline has passed")
    with Timed(SEARCH):
        spaces = [space, *map(Space.of_group, wanted.groups)]
        found = _usable(await _found(store, spaces, dense, sparse, wanted), wanted)
    read = partial(_read, store, spaces, found)
    if not wanted.aliases and (aliases := await aliases_of(wanted.question, found, read)):
        return Retrieved(aliases=aliases)
    question = with_other_names(wanted.question, wanted.aliases)
    with Timed(RANK):
        speakers = named(question, found.speaker.present())
        if unknown := speakers.keys() - set(wanted.left_out):
            return Retrieved(speakers=tuple(sorted(unknown)))
        span = asked_about(wanted.question, wanted.now + wanted.offset)
        asked = Asked(
            question,
            speakers,
            len(sparse.indices),
            span,
            wanted.personal,
            wanted.by_words,
            wanted.conversation,
            told_then=span is not None and asks_what_was_told(wanted.question),
        )
        answers = asks_for_answers(wanted.question)
        chosen = _ranked(asked, _recallable(found, wanted, answers), wanted)
    await asyncio.sleep(0)  # ranking takes a millisecond, packing half of one: others may come between
    before = "" if answers else wanted.question
    memories, cost = await _fitting(read, space, chosen.ranked, wanted, latest=asked.span is None, asked=before)
    if not memories:
        return Retrieved()
    typed = set(chosen.ranked.names(having(Feature.TYPED, chosen.ranked)))
    block = render(memories, question, answers=answers, offset=wanted.offset, typed=typed)
    ids = tuple(each.id for each in memories)
    reasons = [chosen.reason(each) for each in memories]
    groups = groups_of(memories)
    return Retrieved(block, ids, cost, until=first_expiry(memories), reasons=reasons, groups=groups)


async def aliases_of(
    question: str, found: Candidates, read: Callable[[Sequence[str]], Awaitable[list[Memory]]]
) -> list[Pair]:
    """Other names for the names in the question, from memories that tell them and share a word with it."""
    rows = np.flatnonzero(having(Feature.ALIAS, found) & (found.bm25 > 0))
    if not len(rows):
        return []
    best = rows[np.argsort(-found.bm25[rows], kind="stable")[:TELLING_ALIASES]]
    told = await read(found.names(best))
    pairs = [pair for each in told for pair in aliases_in(each.text if each.kind == "fact" else sides(each)[0])]
    return [pair for pair in dict.fromkeys(pairs) if with_other_names(question, [pair]) != question]


async def _found(
    store: MemoryStore, spaces: Sequence[Space], dense: list[float], sparse: Sparse, wanted: Wanted
) -> Candidates:
    """The result of the search in the user's own space and those of groups."""
    queries = [Query(spaces[0], dense, sparse, OWN)]
    queries += [Query(each, dense, sparse, OF_GROUP, standing=False) for each in spaces[1:]]
    found = await store.search_all(queries, now=wanted.now)
    # Whose standing facts they are nobody can tell: in the user's profile they would be taken for the user's. So they
    # are not asked for, and what is near of them is no standing fact here.
    return replace(found, topics=found.topics.without(found.query > 0)) if wanted.groups else found


async def _read(store: MemoryStore, spaces: Sequence[Space], found: Candidates, ids: Sequence[str]) -> list[Memory]:
    """The memories in the order of `ids`, which are among the `found`, in any space."""
    rows = np.flatnonzero(found.query)
    of_groups = dict(zip(found.names(rows), found.query[rows].tolist(), strict=True))
    if of_groups.keys().isdisjoint(ids):
        return await store.get(spaces[0], ids)
    places: dict[Space, list[str]] = {}
    for id_ in ids:
        places.setdefault(spaces[of_groups.get(id_, 0)], []).append(id_)
    memories = {each.id: each for each in await store.get_all(places)}
    return [memories[id_] for id_ in ids if id_ in memories]


class Chosen(NamedTuple):
    """The memories worth showing, in the order in which they are taken; and which ids are there because they say how
    to answer, because of a need, or by words more than by meaning."""

    ranked: Candidates
    style: AbstractSet[str]
    needed: AbstractSet[str]
    worded: AbstractSet[str]

    def reason(self, memory: Memory) -> Reason:
        if memory.pinned:
            return "pinned"
        if memory.id in self.needed:
            return "profile" if memory.id in self.style else "need"
        return "words" if memory.id in self.worded else "meaning"


def groups_of(memories: Sequence[Memory]) -> tuple[str, ...]:
    return tuple(sorted({each.group for each in memories if each.group}))


def first_expiry(memories: Sequence[Memory]) -> Millis | None:
    return min((each.expires_at for each in memories if each.expires_at is not None), default=None)


def _ranked(asked: Asked, found: Candidates, wanted: Wanted) -> Chosen:
    """The standing facts that the question calls for, then the others that are worth showing, best first."""
    own = supports(asked.terms, found)
    rows = np.flatnonzero(relevant(asked, found, own))
    near = found if len(rows) == len(found) else found.take(rows)
    turns = Turns.of(near)
    scores = scored(asked, near, turns)
    shown = worth(asked, near, own[rows], turns, scores, wanted.sensitive, wanted.needs)
    best = rows[shown][best_first(scores[shown])]
    worded = set(found.names(best[own[best] > 2 * found.dense[best]]))
    first = profile(found, wanted.needs)
    if not len(first):
        return Chosen(found.take(best), set(), set(), worded)
    style = set(found.names(first[of_topics(found.topics, {STYLE})[first]]))
    rest = best[~np.isin(best, first)]
    return Chosen(found.take(np.append(first, rest)), style, set(found.names(first)), worded)


def _usable(found: Candidates, wanted: Wanted) -> Candidates:
    """Without the memories of this turn, and without private ones if they must not be used."""
    kept = np.ones(len(found), np.bool_)
    if wanted.turn_id:
        kept &= ~found.turn_id.named(wanted.turn_id)
    if not wanted.private:
        kept &= ~having(Feature.PRIVATE, found)
    return found if kept.all() else found.take(kept)


def _recallable(found: Candidates, wanted: Wanted, answers: bool) -> Candidates:
    """By id, in the scale of cosines and the time zone of the user; a line costs more with the assistant's words."""
    found = by_id(found)
    tokens = found.tokens if answers else found.tokens - found.answer_tokens
    dense = found.dense if wanted.gain == 1 else found.dense * wanted.gain
    at = found.at + wanted.offset if wanted.offset else found.at
    return replace(found, dense=dense, at=at, tokens=tokens)


async def _fitting(
    read: Callable[[Sequence[str]], Awaitable[list[Memory]]],
    space: Space,
    ranked: Candidates,
    wanted: Wanted,
    *,
    latest: bool,
    asked: str,
) -> tuple[list[Memory], int]:
    """The best memories that fit, and their highest cost. A memory that is private by its words, or told by another
    one, is replaced by others, a few times at most: after that, space stays unused."""
    privacy = _privacy(tuple(wanted.classes))
    memories: list[Memory] = []
    cost = 0
    for _ in range(ROUNDS):
        with Timed(RANK):
            ids, cost = pack(ranked, wanted.budget_tokens - (GROUPS_COST if wanted.groups else 0))
        with Timed(FETCH):
            found = await read(ids) if ids else []
        memories = found if wanted.private else [each for each in found if not privacy.keeps(space, each)]
        memories = without_repeats(memories, latest=latest, asked=asked)
        if len(memories) == len(found):
            break
        dropped = {each.id for each in found}.difference(each.id for each in memories)
        ranked = ranked.take([name not in dropped for name in ranked.names()])
    return memories, cost + (GROUPS_COST if groups_of(memories) else 0)
