"""The second stage: a model reads what the rules have read before. It runs beside the writer and never delays it: an
episode and the facts by rules are stored by then, and the writer stores what is found here when it is found."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from proxy.errors import Unavailable, UpstreamUnavailable
from proxy.memory.extract.answers import BadAnswer
from proxy.memory.extract.llm import Answer, Model, cost
from proxy.memory.extract.pending import Pending
from proxy.memory.forget import unforgotten
from proxy.ports import MemoryStore
from proxy.types import Millis, Turn

CALLS = 4  # at the same time, each of another user
POLL_S = 0.5
MAX_DELAY_S = 300.0

log = logging.getLogger("rememberd.extract")


class Stage:
    """`daily_tokens` is what one user's extraction may cost a day (UTC)."""

    def __init__(self, pending: Pending, store: MemoryStore, model: Model, daily_tokens: int) -> None:
        self.pending, self.store, self.model, self.daily_tokens = pending, store, model, daily_tokens

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
        if self.pending.spent(turns[0].space.user) + cost(turns) > self.daily_tokens:
            await self.pending.postpone(turns, _tomorrow(now), "over_budget")
            return True
        try:
            # What was forgotten meanwhile is not shown to a model any more.
            wanted = await unforgotten(self.store, turns[0].space, turns)
            answer = await self.model.ask(wanted) if wanted else Answer({}, 0)
        except (Unavailable, UpstreamUnavailable):
            await self.pending.postpone(turns, now + delay_ms, "unavailable")
            raise
        except BadAnswer as error:
            await self._fail(turns, str(error), error.tokens)
        except Exception as error:  # noqa: BLE001 - whatever a model's answer breaks must not end the stage
            await self._fail(turns, f"{type(error).__name__}: {error}", cost(turns))
        else:
            await self.pending.answer(turns, *answer)
        return True

    async def _fail(self, turns: Sequence[Turn], reason: str, tokens: int) -> None:
        """The reason may quote the answer, so it goes into the queue's file only."""
        dead = await self.pending.fail(turns, reason[:500], tokens)
        log.warning("no usable answer for %d turns, %d of them dead letters now", len(turns), dead)


def _tomorrow(now: Millis) -> Millis:
    today = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((today + timedelta(days=1)).timestamp() * 1000)
