"""The second stage: a model reads what the rules have read before, and compares its finds with what is remembered. It
runs beside the writer and never delays it: an episode and the facts by rules are stored by then, and the writer
stores what is found here when it is found."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from proxy.errors import Unavailable, UpstreamUnavailable
from proxy.memory.extract.answers import BadAnswer
from proxy.memory.extract.decide import DECISIONS, Pair, decide, question, unclear
from proxy.memory.extract.llm import Model, Prompt, cost, messages
from proxy.memory.extract.pending import Found, Pending
from proxy.memory.forget import unforgotten
from proxy.memory.privacy import Privacy
from proxy.ports import Embedder, MemoryStore
from proxy.types import Fact, Millis, Turn, Verdicts

CALLS = 4  # at the same time, each of another user
POLL_S = 0.5
DECISION_TRIES = 2
MAX_DELAY_S = 300.0

log = logging.getLogger("rememberd.extract")


class Stage:
    """`daily_tokens` is what one user's extraction may cost a day (UTC); what is `hidden` the model does not see."""

    def __init__(
        self,
        pending: Pending,
        store: MemoryStore,
        embedder: Embedder,
        model: Model,
        daily_tokens: int,
        hidden: Privacy | None = None,
    ) -> None:
        self.pending, self.store, self.embedder = pending, store, embedder
        self.model, self.daily_tokens, self.hidden = model, daily_tokens, hidden

    async def run(self) -> None:
        """Until cancelled; a call that is cancelled is made again at the next start."""
        await asyncio.gather(*(self._work() for _ in range(CALLS)))

    async def _work(self) -> None:
        delay = 1.0
        while True:
            try:
                asked = await self.step(int(delay * 1000))
            except (Unavailable, UpstreamUnavailable) as error:
                log.warning("extraction waits %.0f s: %s: %s", delay, type(error).__name__, error)
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                delay = min(2 * delay, MAX_DELAY_S)
                continue
            delay = 1.0
            if not asked:
                await asyncio.sleep(POLL_S)

    async def step(self, delay_ms: Millis = 1_000) -> bool:
        """One conversation that is due; False if none is. `delay_ms`: how long its turns rest if the provider is out
        of reach, so that others get their turn. Raises `UpstreamUnavailable` and `Unavailable`."""
        turns = await self.pending.claim()
        if not turns:
            return False
        now = self.pending.clock()
        try:
            await self._learn(turns, now)
        except (Unavailable, UpstreamUnavailable):
            await self.pending.postpone(turns, now + delay_ms, "unavailable")
            raise
        except BadAnswer as error:
            await self._fail(turns, str(error), error.tokens)
        except Exception as error:  # noqa: BLE001 - whatever a model's answer breaks must not end the stage
            await self._fail(turns, f"{type(error).__name__}: {error}", cost(messages(turns)))
        return True

    async def _learn(self, turns: Sequence[Turn], now: Millis) -> None:
        # What was forgotten meanwhile is not shown to a model any more.
        wanted = await unforgotten(self.store, turns[0].space, turns)
        found: Found = {turn.id: facts for turn in wanted if (facts := await self.pending.facts(turn))}
        if wanted and not found:
            if not self._affords(turns, messages(wanted)):
                await self.pending.postpone(turns, _tomorrow(now), "over_budget")
                return
            found, tokens = await self.model.ask(wanted)
            await self.pending.found(turns, found, tokens)
        told = [(turn, fact) for turn in wanted for fact in found.get(turn.id, ())]
        near = await unclear(self.store, self.embedder, told, now=now)
        pairs = [each for each in near if not (self.hidden and self.hidden.keeps(each.turn.space, each.old))]
        verdicts, tokens = await self._decide(turns, pairs) if pairs else ({}, 0)
        judged = {
            key: [replace(fact, verdicts=verdicts.get(fact, {})) for fact in each] for key, each in found.items()
        }
        await self.pending.decided(turns, judged, tokens)

    async def _decide(self, turns: Sequence[Turn], pairs: Sequence[Pair]) -> tuple[Mapping[Fact, Verdicts], int]:
        """The verdicts of the model, and the tokens spent. After two bad answers, or over the budget, there are none,
        and the facts are remembered as if no model were there: nobody has to wait for tomorrow to be known today."""
        outcome = "over_budget"
        for _ in range(DECISION_TRIES):
            if not self._affords(turns, question(pairs)):
                break
            try:
                return await decide(self.model, pairs)
            except BadAnswer as error:
                outcome = "bad_answer"
                await self.pending.spend(turns, error.tokens)
        DECISIONS.labels(outcome).inc(len(pairs))
        log.warning("no decision about %d pairs of facts: %s", len(pairs), outcome)
        return {}, 0

    def _affords(self, turns: Sequence[Turn], prompt: Prompt) -> bool:
        return self.pending.spent(turns[0].space.user) + cost(prompt) <= self.daily_tokens

    async def _fail(self, turns: Sequence[Turn], reason: str, tokens: int) -> None:
        """The reason may quote the answer, so it goes into the queue's file only."""
        dead = await self.pending.fail(turns, reason[:500], tokens)
        log.warning("no usable answer for %d turns, %d of them dead letters now", len(turns), dead)


def _tomorrow(now: Millis) -> Millis:
    today = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((today + timedelta(days=1)).timestamp() * 1000)
