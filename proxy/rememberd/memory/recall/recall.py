"""Recall: embed the question, search, rank, fit the budget, under one deadline."""

import asyncio
import logging
import re
import time
from collections.abc import Coroutine, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

from prometheus_client import Counter

from rememberd.errors import MemoryUnavailable
from rememberd.memory.embedding.embedder import PACKAGED
from rememberd.memory.explain import ScoredMemory, explain
from rememberd.memory.learn.wishes.memory_commands import asks_what_is_known
from rememberd.memory.recall.aliases import Pair, with_other_names, without
from rememberd.memory.recall.block import FRAME_COST, HEADER_COST, line_cost, render, tokens
from rememberd.memory.recall.budget import Reason
from rememberd.memory.recall.lexicon import telling_words
from rememberd.memory.recall.names import NamesLeftOut, named
from rememberd.memory.recall.needs import Asked, is_english, known
from rememberd.memory.recall.retrieve import STAGE, Retrieve, Wanted, aliases_of, first_expiry, retrieve
from rememberd.memory.recall.timeline import overview, told_then
from rememberd.memory.retry import PUNCTUAL, Breaker, Crowd
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import Embedder, MemoryStore
from rememberd.telemetry import tracing
from rememberd.telemetry.metrics import Timed, count, counter
from rememberd.types import GROUP_SCOPE, Memory, Millis, Space

Status = Literal["hit", "miss", "degraded"]

PATIENCE = 0.5  # of the deadline may pass in the embedder's queue; after a longer wait, the search is by words alone
LEAST_MS = 2.0  # of the processor for a recall: more at a time than fit into the deadline cannot all end in time
LATE = 0.7  # if recalls take this much of it, the next search by words, too (`loadtests overload`)

_RECALLS = counter("rememberd_recall", "Recalls by outcome.", "status", *get_args(Status))
RECALLS = {status: _RECALLS.labels(status) for status in get_args(Status)}
BY_WORDS = Counter("rememberd_recalls_by_words", "Recalls without the embedder, which was too busy.")
CROWDED = Counter("rememberd_recalls_crowded", "Chats without memory because too many others were asking for it.")
EMBED = STAGE.labels("embed")

log = logging.getLogger("rememberd.recall")

_FOLLOW_UP = re.compile(
    r"^(and|or|but|also|what about|how about|then|why)\b"
    r"|\b(it|that|this|those|these|they|them|he|she|him|her|his|there|ones?|others?|same|else)\b",
    re.IGNORECASE,
)
_FOLLOW_UP_WORDS = 8
_END_CHARS = 500
_READABLE_CHARS = 300  # the vector of a longer message is mostly that of pasted text, not of the question


@dataclass(frozen=True, slots=True)
class Recalled:
    """`block` is "" unless `status` is "hit"; `tokens` is what the block costs at most; `ms` is how long the recall
    took; `until` is when the first memory of the block expires (None: never). `by_words`: the embedder was too busy,
    so that the memories were found by their words alone. `groups` are those that some of the memories are of. `room`
    is the number of tokens that the model's context left for the block, where these were fewer than the budget."""

    status: Status
    block: str = ""
    ids: tuple[str, ...] = ()
    tokens: int = 0
    ms: float = 0.0
    until: Millis | None = None
    by_words: bool = False
    reasons: tuple[Reason, ...] = ()
    groups: tuple[str, ...] = ()
    room: int | None = None


class Recall:
    """Memories for a question. `budget_tokens` bounds the whole block, `deadline_ms` the whole call. `retrieving` is
    `retrieve` somewhere else, nearer to the store."""

    def __init__(
        self,
        store: MemoryStore,
        embedder: Embedder,
        budget_tokens: int = 600,
        deadline_ms: float = 150,
        privacy: Privacy = Privacy(),  # noqa: B008 - it does not change
        retrieving: Retrieve | None = None,
    ) -> None:
        self.store, self.embedder, self.privacy = store, embedder, privacy
        self.budget_tokens, self.deadline_ms = budget_tokens, deadline_ms
        self.retrieve = retrieving or partial(retrieve, store)
        self.breaker, self.crowd = Breaker(), Crowd(deadline_ms / LEAST_MS)
        self.names = NamesLeftOut(store, embedder)
        self._probing: asyncio.Task[Recalled] | None = None

    async def recall(
        self,
        space: Space,
        question: str,
        *,
        now: Millis,
        turn_id: str | None,
        conversation: str | None,
        previous: str | None = None,
        private: bool = True,
        offset: Millis = 0,
        groups: Sequence[str] = (),
        room: int | None = None,
        late: bool = False,
    ) -> Recalled:
        """The block for `question`. Never raises: a store or embedder that fails or is late gives "degraded".

        Memories of the turn `turn_id` are left out (a retry must not recall itself); those of `conversation`, the one
        being held, come after the others. `previous` is the user's message before this one: a short follow-up ("and
        the other one?") is looked up together with it. Without `private`, what must stay with the operator is left
        out: the block is for a model elsewhere. `offset` is that of the user's time zone. Memories of `groups` are
        looked into too. `room` is the most tokens that the block may have, if these are fewer than the budget. With
        `late`, there is no time for it: "degraded", too."""
        began = time.perf_counter()
        budget = self.budget_tokens if room is None else min(room, self.budget_tokens)
        asked = (space, standalone(question, previous), now, turn_id, conversation, private, offset, groups, budget)
        found = Recalled("degraded")
        if not self.breaker.closed:
            if self.breaker.may_probe():
                self._probe(self._recall(*asked))
        elif late or self.crowd.full:  # one more would be late, and make the others late
            CROWDED.inc()
        else:
            with self.crowd:
                found = await self._in_time(self._recall(*asked))
            self.crowd.ended((time.perf_counter() - began) * 1000 / self.deadline_ms)
        count(RECALLS[found.status])
        return replace(found, ms=(time.perf_counter() - began) * 1000)

    async def search(self, space: Space, query: str, *, now: Millis, limit: int) -> list[ScoredMemory]:
        """The best `limit` memories and what makes up their scores, best first, without a floor. Raises
        `MemoryUnavailable`."""
        query = gist(query)
        asked, read = query, partial(self.store.get, space)
        while True:
            left_out = await self.names.of(space, query, now)
            dense = await self.embedder.dense(without(asked, left_out))
            found = await self.store.search(space, dense, self.embedder.query(asked), now=now)
            speakers = named(asked, found.speaker.present()).keys()
            if not speakers <= left_out:
                self.names.learn(space, speakers)
            elif asked != query or not (aliases := await aliases_of(query, found, read)):
                break
            else:
                asked = with_other_names(query, aliases)
        needs = known(self.embedder)
        called = needs.asked(query, dense).topics if needs else {}
        scores = explain(asked, found, now, called, limit)
        return [ScoredMemory(each, scores[each.id]) for each in await self.store.get(space, list(scores))]

    def _probe(self, recalling: Coroutine[None, None, Recalled]) -> None:
        """In the background, so that no chat waits for a store that still hangs."""
        self._probing = asyncio.create_task(self._in_time(recalling))

    async def _in_time(self, recalling: Coroutine[None, None, Recalled]) -> Recalled:
        try:
            async with asyncio.timeout(PUNCTUAL * self.deadline_ms / 1000):
                found = await recalling
        except (MemoryUnavailable, TimeoutError) as error:
            log.warning("recall failed: %s", str(error) or "deadline passed")
        except Exception as error:  # a defect of ours must not fail the chat; it counts as degraded
            log.exception("recall failed: %s", type(error).__name__)  # the log shows no texts of exceptions
        else:
            self.breaker.success()
            return found
        self.breaker.failure()
        return Recalled("degraded")

    async def _recall(
        self,
        space: Space,
        question: str,
        now: Millis,
        turn_id: str | None,
        conversation: str | None,
        private: bool,
        offset: Millis,
        groups: Sequence[str],
        budget: int,
    ) -> Recalled:
        if not private and space.scope in self.privacy.scopes:
            return Recalled("miss")
        if asks_what_is_known(question):
            known_of_asker = await overview(self.store, space, now=now, budget=budget)
            return self._fitting(space, known_of_asker, private, offset, "profile", budget)
        then = await told_then(
            self.store, space, question, now=now, offset=offset, conversation=conversation, turn_id=turn_id
        )
        if then is not None:
            return self._fitting(space, then.exchanges, private, offset, "time", budget, then.outcomes)
        words = self.embedder.query(telling_words(question))
        backlog_ms = self.embedder.backlog_ms
        if not backlog_ms:  # two searches cost a tenth more than one: not while others wait for the processor
            await self.store.prefetch(space, words, now=now)
        by_words = backlog_ms > PATIENCE * self.deadline_ms or self.crowd.lately > LATE
        aliases: Sequence[Pair] = ()
        needs = None if by_words else known(self.embedder)
        until = time.monotonic() + self.deadline_ms / 1000
        while True:
            left_out = await self.names.of(space, question, now)
            with Timed(EMBED), tracing.span("embed"):
                text = without(with_other_names(question, aliases), left_out)
                dense = [0.0] * self.embedder.dim if by_words else await self.embedder.dense(text)
            asked = needs.asked(text, dense) if needs else Asked({}, None)
            # What an English model makes of another language is near to everything: there words alone count, unless
            # the question is surely about the asker or has a need.
            vague = not asked.topics and (asked.personal or 1.0) < 1
            foreign = vague and self.embedder.name == PACKAGED.name and not is_english(question)
            wanted = Wanted(
                question,
                tuple(left_out),
                now,
                turn_id,
                conversation,
                private,
                self.privacy.classes,
                budget,
                asked.personal if len(question) <= _READABLE_CHARS else None,
                asked.topics,
                sorted(needs.sensitive) if needs else (),
                0.0 if foreign else self.embedder.gain,
                offset,
                by_words or foreign,
                [each for each in groups if private or f"{GROUP_SCOPE}{each}" not in self.privacy.scopes],
                aliases,
                until,
            )
            with tracing.span("retrieve"):
                found = await self.retrieve(space, dense, words, wanted)
            if not found.speakers and not found.aliases:
                break
            self.names.learn(space, set(found.speakers))
            if found.aliases:
                aliases = found.aliases
                words = self.embedder.query(telling_words(with_other_names(question, aliases)))
        status: Status = "hit" if found.ids else "miss"
        if by_words:
            BY_WORDS.inc()
        return Recalled(
            status,
            found.block,
            tuple(found.ids),
            found.tokens,
            until=found.until,
            by_words=by_words,
            reasons=tuple(found.reasons),
            groups=tuple(found.groups),
        )

    def _fitting(
        self,
        space: Space,
        memories: Sequence[Memory],
        private: bool,
        offset: Millis,
        reason: Reason,
        budget: int,
        outcomes: AbstractSet[str] = frozenset(),
    ) -> Recalled:
        """As many as fit, in this order; with the answers of `outcomes`."""
        chosen: list[Memory] = []
        cost = FRAME_COST
        for each in memories:
            if not private and self.privacy.keeps(space, each):
                continue
            cost += line_cost(each, answers=each.id in outcomes) + HEADER_COST
            if cost > budget:
                break
            chosen.append(each)
        block = render(chosen, answers=outcomes, offset=offset)
        status: Status = "hit" if chosen else "miss"
        return Recalled(
            status,
            block,
            tuple(each.id for each in chosen),
            tokens(block),
            until=first_expiry(chosen),
            reasons=(reason,) * len(chosen),
        )


def standalone(question: str, previous: str | None) -> str:
    """`question`, with the message before it if it is too short to stand alone."""
    question = gist(question)
    short = len(question.split()) <= _FOLLOW_UP_WORDS and _FOLLOW_UP.search(question)
    return f"{gist(previous)}\n{question}" if previous and short else question


def gist(text: str) -> str:
    """Both ends of a long text, as much as the embedder reads (256 tokens): the question is before or after the
    pasted text."""
    return text if len(text) <= 2 * _END_CHARS else f"{text[:_END_CHARS]}\n{text[-_END_CHARS:]}"
