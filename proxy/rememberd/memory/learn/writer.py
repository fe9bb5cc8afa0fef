"""The writer makes memories in the store from turns in the queue. One runs for a store, or any number with Redis.

A turn is claimed, stored, settled (the user's next one may come), and acked once the store was flushed. Every step
can be repeated: a killed writer leaves leases, and processing a turn twice stores nothing twice.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from prometheus_client import Histogram

from rememberd.errors import MemoryUnavailable, UpstreamUnavailable
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.ids import episode_id, fact_id
from rememberd.memory.learn.build_memories import episode, facts, redacted
from rememberd.memory.learn.carry_out import Reach, carry_out
from rememberd.memory.learn.corrections import correction
from rememberd.memory.learn.forget import take_back, unforgotten
from rememberd.memory.learn.forget_told import forget_turns
from rememberd.memory.learn.llm.llm_worker import offer
from rememberd.memory.learn.reconcile import merge
from rememberd.memory.learn.wishes.memory_commands import MemoryCommand, memory_command
from rememberd.memory.retry import delays, jittered
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import BlockCache, Embedder, ExtractionQueue, Extractor, MemoryStore, ReceiptStore, TurnQueue
from rememberd.ports.queues import Claim
from rememberd.telemetry import tracing
from rememberd.telemetry.clock import wall_clock
from rememberd.telemetry.metrics import counter
from rememberd.types import Fact, Memory, Millis, Space, Turn

T = TypeVar("T")

BATCH, POLL_S = 16, 0.1
# A flush of the embedded store blocks recalls (measured: 0.1 to 0.5 s), so it waits for a quiet moment. But turns
# that were not flushed are processed again by the next process. With a backlog there is no quiet moment: a writer
# that is killed repeatedly would process the same turns for ever. So then flushes may take a hundredth of its time.
QUIET_S = 0.5
ASKED_S = 0.05  # within this time after a question, memories are in demand; after a chat, the CPU is
FLUSH_EVERY_S, FLUSH_FIRST_S, FLUSH_SHARE = 300.0, 2.0, 0.01
MAX_ATTEMPTS = 5
MAX_DELAY_S = 300.0
MAX_OUTAGE_DELAY_S = 10.0
GROUP_DELAY_MS: Millis = 250  # a group's turn takes some 20 ms
STUCK_S = 120.0  # no step takes nearly as long: the longest call of an engine takes about a minute
HOUR_S, DAY_MS = 3600.0, 86_400_000
_OUTCOMES = ("written", "nothing", "forgotten", "erased", "retried", "dead")
TURNS = counter("rememberd_turns", "Turns by what became of them.", "outcome", *_OUTCOMES)
_PARTS = ("StoreUnavailable", "QueueUnavailable", "EmbedderUnavailable")
OUTAGES = counter("rememberd_writer_outages", "Times the writer waited for a part that was down.", "part", *_PARTS)
SECONDS = Histogram("rememberd_turn_write_seconds", "From claim to stored.")
LAG = Histogram(
    "rememberd_writer_lag_seconds",
    "From the end of an answer, about, to its turn being stored.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600),
)

log = logging.getLogger("rememberd.writer")


class Erased(Exception):
    """The turn's user was erased while it was being processed."""


class TooEarly(Exception):
    """The turn's wish is about something that may not be learned yet."""


class Writer:
    """`pending` takes the turns that a model is to read as well; what it finds comes back through the queue.
    `quiet_for` tells for how many seconds nobody has asked the store for memories; None if a flush is free.
    `chats_ago` tells how many seconds ago this host got a request, for which no memories may be needed."""

    def __init__(
        self,
        queue: TurnQueue,
        store: MemoryStore,
        embedder: Embedder,
        extractors: Sequence[Extractor],
        receipts: ReceiptStore,
        block_cache: BlockCache,
        *,
        extraction_queue: ExtractionQueue | None = None,
        extracts_private: bool = False,
        privacy: Privacy = Privacy(),  # noqa: B008 - it does not change
        redact_too: Collection[str] = (),
        quiet_for: Callable[[], float] | None = None,
        chats_ago: Callable[[], float] = lambda: math.inf,
        keep_receipts_ms: Millis = 30 * DAY_MS,
        clock: Callable[[], Millis] = wall_clock,
    ) -> None:
        self.queue, self.store, self.embedder, self.extractors = queue, store, embedder, extractors
        self.receipts, self.block_cache, self.extraction_queue = receipts, block_cache, extraction_queue
        self.extracts_private, self.privacy, self.redact_too = extracts_private, privacy, redact_too
        self.quiet_for, self.chats_ago = quiet_for, chats_ago
        self.keep_receipts_ms, self.clock = keep_receipts_ms, clock
        self._settled: list[str] = []
        self._flushed_at = self._stepped_at = time.monotonic()
        self.flush_took = FLUSH_FIRST_S * FLUSH_SHARE
        self._expired_at = -HOUR_S

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then finish the current turns and flush. An outage delays it, and never raises."""
        while not stop.is_set():
            claims = await self._retried(stop, partial(self.queue.claim, BATCH)) or []
            await self._process_all(stop, claims)
            await self._retried(stop, partial(self._flush_when_due, idle=not claims, behind=len(claims) == BATCH))
            await self._retried(stop, self._expire_hourly)
            if not claims:
                await _wait(stop, POLL_S)
        try:
            await self._flush()
        except MemoryUnavailable as error:
            log.warning("stopping unflushed, the turns come back at the next start: %s", error)

    async def _process_all(self, stop: asyncio.Event, claims: Sequence[Claim]) -> None:
        """Concurrently: no two claims of a batch are of one user. While somebody chats or asks for memories, one by
        one, each followed by an equally long pause, so that chats and recalls get CPU time."""
        learning = []
        for claim in claims:
            began = time.monotonic()
            learning.append(asyncio.create_task(self._retried(stop, partial(self._process, claim))))
            await asyncio.sleep(0)  # recalls come between them
            if min(self.chats_ago(), self.quiet_for() if self.quiet_for else math.inf) < ASKED_S:
                await learning[-1]
                await _wait(stop, time.monotonic() - began)
        await asyncio.gather(*learning)

    def alive(self, patience_s: float = STUCK_S) -> bool:
        """False if a step has been running for longer than this."""
        return time.monotonic() - self._stepped_at < patience_s

    async def _process(self, claim: Claim) -> None:
        turn = claim.turn
        try:
            with SECONDS.time(), tracing.linked("remember", turn.trace):
                if turn.found:
                    outcome, ids = "written", await self._learn(turn)
                else:
                    if not turn.redacted:  # by an earlier version
                        turn = await asyncio.to_thread(redacted, turn, self.redact_too)
                    outcome, ids = await self._outcome_of(turn)
        except MemoryUnavailable:
            raise
        except Erased:
            TURNS.labels("erased").inc()
            await self.queue.ack([turn.id])
        except TooEarly:
            await self.queue.defer(turn.id, GROUP_DELAY_MS)
        except UpstreamUnavailable:  # a model that does not answer is not the turn's fault
            await self.queue.defer(turn.id, int(jittered(MAX_OUTAGE_DELAY_S) * 1000))
            TURNS.labels("retried").inc()
        except Exception as error:  # noqa: BLE001 - whatever one turn's content breaks must not stop the others
            await self._give_back(claim, error)
        else:
            await self._settle(turn, outcome, ids)

    async def _outcome_of(self, turn: Turn) -> tuple[str, list[str]]:
        """The outcome, and the ids concerned. A wish about the memory is carried out, not remembered: its text would
        contain what it asks to forget, or repeat known facts."""
        command = memory_command(turn.user_text)
        gone, learns = list(turn.forgotten), command is None or command.kind == "remember"
        if command == MemoryCommand("off_record"):
            gone += await forget_turns(self.store, self.embedder, turn.space, turn.earlier, turn.created_at)
        elif command and command.kind not in ("show", "remember"):  # again: earlier turns may be learned by now
            for group in turn.groups:  # the user's own are learned in order, what went to groups is not among them
                if await self.queue.has_earlier(Space.of_group(group).user, turn.created_at):
                    raise TooEarly
            reach, again = Reach.of(turn), bool(turn.forgotten)
            at, earlier = turn.created_at, turn.earlier
            done = await carry_out(self.store, self.embedder, reach, command, at, again=again, earlier=earlier)
            gone += done.gone
            await asyncio.gather(*(self.block_cache.erase(user) for user in done.users - {turn.space.user}))
            learns = not command.sure
        if learns and not gone:
            return ("written" if (ids := await self._remember(turn)) else "nothing"), ids
        return ("forgotten" if gone else "nothing"), list(dict.fromkeys(gone))

    async def _remember(self, turn: Turn) -> list[str]:
        """The ids written. The episode comes first, so that it is stored even if an extractor fails."""
        if not turn.user_text.strip():
            return []
        if turn.continues and not await unforgotten(self.store, turn.space, [turn]):
            return []  # deleted since the loop began
        exchange = await asyncio.to_thread(episode, turn)
        ids = await self._write(turn, [exchange])
        for extractor in () if turn.doubtful else self.extractors:
            stated = await correction(self.store, self.embedder, turn) or await extractor.facts(turn)
            if stated and (found := await asyncio.to_thread(facts, turn, stated)):
                ids += await self._write(turn, found, stated)
        await self._keep_private(turn, ids)
        readable = exchange.valid_to is None and (self.extracts_private or not self.privacy.keeps_turn(turn))
        if self.extraction_queue is not None and readable and not turn.doubtful:
            await offer(self.extraction_queue, turn)
        return list(dict.fromkeys(ids))

    async def _learn(self, turn: Turn) -> list[str]:
        """Store the facts that a model found in it. Nothing, if the exchange was deleted since."""
        wanted = await unforgotten(self.store, turn.space, [turn])
        found = turn.found if wanted else ()
        return await self._write(turn, await asyncio.to_thread(facts, turn, found), found)

    async def _keep_private(self, turn: Turn, ids: list[str]) -> None:
        """An exchange that says a private memory again, or whose answer may draw on one, is private too."""
        about = {each.id: each for each in await self.store.get(turn.space, [*ids, *turn.recalled])}
        exchange = about.get(episode_id(turn.space, turn.id))
        if exchange is None or exchange.private:
            return
        if any(self.privacy.keeps(turn.space, each) for each in about.values() if each is not exchange):
            await self.store.put(turn.space, [await to_point(replace(exchange, private=True), self.embedder)])

    async def _write(self, turn: Turn, memories: list[Memory], found: Sequence[Fact] = ()) -> list[str]:
        await self._undo_if_erased(turn, [memory.id for memory in memories])
        verdicts = {fact_id(turn.space, fact.text, contributor=turn.contributor): fact.verdicts for fact in found}
        outcome = await merge(self.store, self.embedder, turn.space, memories, self.clock(), verdicts)
        ids = [*outcome.added, *outcome.touched, *outcome.closed]
        await self._undo_if_erased(turn, ids)
        return ids

    async def _undo_if_erased(self, turn: Turn, ids: list[str]) -> None:
        """Called before a write as well: an earlier try may have failed half-way. The tombstones have the turn's own
        time, so that they do not block later statements of the user."""
        alive = await self.queue.alive(turn.id)
        if not alive or (turn.contributor and await self.queue.erased(turn.contributor, turn.began)):
            await take_back(self.store, turn.space, ids, turn.contributor if alive else None, turn.created_at)
            raise Erased

    async def _settle(self, turn: Turn, outcome: str, ids: list[str]) -> None:
        # What was forgotten must not come back in a tool loop that is under way either.
        cache = self.block_cache
        changed = cache.erase(turn.space.user) if outcome == "forgotten" else cache.bump(turn.space)
        written = self.receipts.written(turn.owner, turn.receipt, ids, outcome)
        await asyncio.gather(changed, written, self.queue.settle([turn.id]))
        self._settled.append(turn.id)
        if not turn.found:  # counted when it was remembered, long ago perhaps
            TURNS.labels(outcome).inc()
            LAG.observe((self.clock() - turn.began) / 1000)

    async def _give_back(self, claim: Claim, error: Exception) -> None:
        """The message may quote the turn, so it is stored in the queue only, not logged."""
        turn, kind, reason = claim.turn, type(error).__name__, f"{type(error).__name__}: {error}"[:500]
        if claim.attempts + 1 >= MAX_ATTEMPTS:
            await self.queue.dead_letter(turn.id, reason)
            if not turn.found:
                await self.receipts.written(turn.owner, turn.receipt, [], "lost")
            TURNS.labels("dead").inc()
            log.error("turn %s is a dead letter after %d attempts: %s", turn.id, claim.attempts + 1, kind)
            return
        delay = jittered(min(2.0**claim.attempts, MAX_DELAY_S))
        await self.queue.retry(turn.id, reason, int(delay * 1000))
        TURNS.labels("retried").inc()
        log.warning("turn %s failed, again in %.1f s: %s", turn.id, delay, kind)

    async def _flush_when_due(self, *, idle: bool, behind: bool) -> None:
        quiet = self.quiet_for is None or self.quiet_for() >= QUIET_S
        most = min(FLUSH_EVERY_S, self.flush_took / FLUSH_SHARE) if behind else FLUSH_EVERY_S
        if (idle and quiet) or time.monotonic() - self._flushed_at >= most:
            await self._flush()

    async def _flush(self) -> None:
        began = time.monotonic()
        await self.store.flush()
        self._flushed_at = time.monotonic()
        self.flush_took = self._flushed_at - began
        if self._settled:
            await self.queue.ack(self._settled)
            self._settled.clear()

    async def _expire_hourly(self) -> None:
        if time.monotonic() - self._expired_at >= HOUR_S:
            self._expired_at = time.monotonic()
            await self.receipts.expire(self.clock() - self.keep_receipts_ms)
            await self.block_cache.expire(self.clock() - DAY_MS)

    async def _retried(self, stop: asyncio.Event, step: Callable[[], Awaitable[T]]) -> T | None:
        """Repeat `step` while a part that it needs is down; None if `stop` was set before it succeeded."""
        for delay in delays(MAX_OUTAGE_DELAY_S):
            self._stepped_at = time.monotonic()
            try:
                return await step()
            except MemoryUnavailable as error:
                OUTAGES.labels(type(error).__name__).inc()
                log.warning("waiting %.1f s: %s: %s", delay, type(error).__name__, error)
            await _wait(stop, delay)
            if stop.is_set():
                break
        return None


async def _wait(stop: asyncio.Event, at_most_s: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), at_most_s)
