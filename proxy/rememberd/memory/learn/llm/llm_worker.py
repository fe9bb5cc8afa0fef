"""The second stage: a model reads the turns that the rules have read, and compares its facts with the memories. It
runs beside the writer and never delays it: the episode and the facts by rules are already stored. Its facts go back
through the queue, in the order of the user's turns, so that only the writer writes a user's memories."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from prometheus_client import Counter

from rememberd.errors import MemoryUnavailable, UpstreamUnavailable
from rememberd.memory.ids import found_id
from rememberd.memory.learn.forget import unforgotten
from rememberd.memory.learn.llm.llm_extract import Model, Prompt, cost, messages
from rememberd.memory.learn.llm.llm_output import BadAnswer
from rememberd.memory.learn.llm.llm_reconcile import DECISIONS, Pair, ambiguous_pairs, decide, question
from rememberd.memory.learn.llm.prefilter import is_personal, own_words
from rememberd.memory.retry import jittered
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import Embedder, ExtractionQueue, MemoryStore, TurnQueue
from rememberd.telemetry.background import keep_running
from rememberd.telemetry.clock import wall_clock
from rememberd.telemetry.usage.counts import Counts, UsageKey, UsageStore, today
from rememberd.types import Fact, Millis, Turn, Verdicts

CALLS = 4  # at the same time, each of another user
POLL_S = 0.5
DECISION_TRIES = 2
MAX_DELAY_S = 300.0

TURNS = Counter("rememberd_extractions", "Turns for model extraction by what became of them.", ["outcome"])
TOKENS = Counter("rememberd_extraction_tokens", "Tokens spent on model extraction.")

log = logging.getLogger("rememberd.extract")


async def offer(extraction_queue: ExtractionQueue, turn: Turn) -> None:
    """A redacted turn; one without anything personal in it is only counted."""
    text = own_words(turn.user_text)
    if not is_personal(text):
        TURNS.labels("impersonal").inc()
        return
    await extraction_queue.add(replace(turn, user_text=text, answer="", recalled=(), earlier=()))
    TURNS.labels("queued").inc()


@dataclass(eq=False)
class LlmWorker:
    """`daily_tokens` is the limit for one user's extraction per day (UTC); the model never sees `hidden` memories."""

    extraction_queue: ExtractionQueue
    queue: TurnQueue
    store: MemoryStore
    embedder: Embedder
    model: Model
    daily_tokens: int
    hidden: Privacy | None = None
    usage: UsageStore | None = None
    clock: Callable[[], Millis] = wall_clock

    async def run(self) -> None:
        """Run until cancelled; a cancelled call is repeated at the next start."""
        await asyncio.gather(*(keep_running("extraction", self._work) for _ in range(CALLS)))

    async def _work(self) -> None:
        delay = 1.0
        while True:
            try:
                asked = await self.step(int(delay * 1000))
            except (MemoryUnavailable, UpstreamUnavailable) as error:
                log.warning("extraction waits %.0f s: %s: %s", delay, type(error).__name__, error)
                await asyncio.sleep(jittered(delay))
                delay = min(2 * delay, MAX_DELAY_S)
                continue
            delay = 1.0
            if not asked:
                await asyncio.sleep(POLL_S)

    async def step(self, delay_ms: Millis = 1_000) -> bool:
        """Process one conversation that is due; False if none is. `delay_ms`: how long its turns wait if the provider
        cannot be reached, so that others come first. Raises `UpstreamUnavailable` and `MemoryUnavailable`."""
        turns = await self.extraction_queue.claim()
        if not turns:
            return False
        try:
            await self._try(turns)
        except (MemoryUnavailable, UpstreamUnavailable):
            await self._postpone(turns, delay_ms, "unavailable")
            raise
        return True

    async def _try(self, turns: Sequence[Turn]) -> None:
        try:
            await self._learn(turns)
        except (MemoryUnavailable, UpstreamUnavailable):
            raise
        except BadAnswer as error:
            await self._spend(turns, error.tokens)
            await self._fail(turns, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a model's answer breaks must not end the stage
            await self._spend(turns, cost(messages(turns)))
            await self._fail(turns, f"{type(error).__name__}: {error}")

    async def _learn(self, turns: Sequence[Turn]) -> None:
        # What was forgotten meanwhile is not shown to a model any more.
        wanted = await unforgotten(self.store, turns[0].space, turns)
        read = [turn for turn in wanted if turn.found]
        if wanted and not read:
            if (over_ms := await self._over_budget(turns, messages(wanted))) is not None:
                await self._postpone(turns, over_ms, "over_budget")
                return
            read = await self._read(turns, wanted)
        # The jobs first: after a kill in between they are put again, which is harmless because of their ids.
        for job in await self._judged(read):
            if not await self.queue.put(job):
                TURNS.labels("erased").inc()
        await self.extraction_queue.done(_ids(turns))

    async def _read(self, turns: Sequence[Turn], wanted: Sequence[Turn]) -> list[Turn]:
        """Those in which the model found something, with that."""
        found, tokens = await self.model.ask(wanted)
        await self._spend(turns, tokens)
        read = [replace(turn, found=tuple(found.get(turn.id, ()))) for turn in turns]
        await self.extraction_queue.keep(read)
        TURNS.labels("answered").inc(len(turns))
        return [turn for turn in read if turn.found]

    async def _judged(self, read: Sequence[Turn]) -> list[Turn]:
        """The jobs for the writer: facts, with the verdicts about them."""
        told = [(turn, fact) for turn in read for fact in turn.found]
        near = await ambiguous_pairs(self.store, self.embedder, told, now=self.clock())
        pairs = [each for each in near if not (self.hidden and self.hidden.keeps(each.turn.space, each.old))]
        verdicts = await self._decide(read, pairs) if pairs else {}
        return [
            replace(
                turn,
                id=found_id(turn.id),
                of=turn.id,
                found=tuple(replace(fact, verdicts=verdicts.get(fact, {})) for fact in turn.found),
            )
            for turn in read
        ]

    async def _decide(self, turns: Sequence[Turn], pairs: Sequence[Pair]) -> Mapping[Fact, Verdicts]:
        """The verdicts of the model. After two bad answers, or over the budget, there are none: the facts are
        remembered at once, as if there were no model."""
        outcome = "over_budget"
        for _ in range(DECISION_TRIES):
            if await self._over_budget(turns, question(pairs)) is not None:
                break
            try:
                verdicts, tokens = await decide(self.model, pairs)
            except BadAnswer as error:
                outcome = "bad_answer"
                await self._spend(turns, error.tokens)
            else:
                await self._spend(turns, tokens)
                return verdicts
        DECISIONS.labels(outcome).inc(len(pairs))
        log.warning("no decision about %d pairs of facts: %s", len(pairs), outcome)
        return {}

    async def _over_budget(self, turns: Sequence[Turn], prompt: Prompt) -> Millis | None:
        """The time left of the day, if this would exceed its budget."""
        spent = await self.extraction_queue.spent(turns[0].space.user)
        return spent.day_ends_in_ms if spent.tokens + cost(prompt) > self.daily_tokens else None

    async def _spend(self, turns: Sequence[Turn], tokens: int) -> None:
        """Called first after each call of the model, so that no other call is made meanwhile."""
        user = turns[0].space.user
        await self.extraction_queue.spend(user, tokens)
        TOKENS.inc(tokens)
        if self.usage is not None:
            asked = self.model.deployment(turns[0].source.model)
            at = UsageKey(today(), "", user, asked.model_name, asked.priced)
            await self.usage.add({at: Counts(extraction=tokens)})

    async def _postpone(self, turns: Sequence[Turn], delay_ms: Millis, outcome: str) -> None:
        await self.extraction_queue.defer(_ids(turns), delay_ms, outcome)
        TURNS.labels(outcome).inc(len(turns))

    async def _fail(self, turns: Sequence[Turn], reason: str) -> None:
        """The reason may quote the answer, so it is stored with the turns, not logged."""
        dead = await self.extraction_queue.fail(_ids(turns), reason[:500])
        TURNS.labels("dead").inc(dead)
        TURNS.labels("retried").inc(len(turns) - dead)
        log.warning("no usable answer for %d turns, %d of them dead letters now", len(turns), dead)


def _ids(turns: Sequence[Turn]) -> list[str]:
    return [turn.id for turn in turns]
