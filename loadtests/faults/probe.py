"""Who watches: one user more, who asks whether memory is there again, and the proxy's own metrics."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict

from loadtests.exposition import Samples, parsed
from loadtests.faults.crowd import Crowd
from loadtests.faults.ledger import Verdict

PATIENCE_S = 120.0
LOST = 'rememberd_queue_puts_total{outcome="lost"}'
_DEPTH = "rememberd_queue_depth"
_EVERY_S = 0.5
_SETTLED_S = 20.0


class Probe:
    """`patience_s`: how long to wait for the queue to be empty, and for memory to be back."""

    def __init__(self, crowd: Crowd, patience_s: float = PATIENCE_S) -> None:
        self.crowd, self.user, self.patience_s = crowd, f"{crowd.name}-probe", patience_s
        self._seen: list[tuple[float, Samples]] = []
        self._asked = 0

    async def run(self) -> None:
        """Looks at the metrics all the time."""
        while True:
            if (found := await self._look()) is not None:
                self._seen.append((time.monotonic(), found))
            await asyncio.sleep(_EVERY_S)

    async def introduce(self) -> None:
        """Raises `TimeoutError` if memory does not work to begin with."""
        await self.crowd.ask(self.user, "I moved to Oslo on a trip long ago.")
        async with asyncio.timeout(PATIENCE_S):
            while not await self._hit():  # noqa: ASYNC110 - other processes know
                await asyncio.sleep(0.2)

    async def recovered(self, since: float, usual_depth: float) -> float | None:
        """Seconds from `since` until a question is a hit and no more turns wait than usual; None if it never was."""
        while time.monotonic() - since < self.patience_s:
            found = await self._look()
            if found is not None and found[_DEPTH] <= usual_depth and await self._hit():
                return round(time.monotonic() - since, 1)
            await asyncio.sleep(0.1)
        return None

    async def verdict(self) -> Verdict:
        """When nothing waits and all is accounted for, or has not been for a while. As long as fewer and fewer turns
        wait, it waits too: ten minutes of saturation leave work for half an hour."""
        until, fewest = time.monotonic() + self.patience_s, math.inf
        found: Verdict | None = None
        while time.monotonic() < until:
            metrics = await self._look()
            if metrics is not None and metrics[_DEPTH] < fewest:
                until, fewest = time.monotonic() + self.patience_s, metrics[_DEPTH]
            if metrics is not None and not metrics[_DEPTH] and not self.crowd.busy:
                if found is None:
                    until = time.monotonic() + _SETTLED_S
                found = await self.crowd.verdict()
                if found == Verdict():
                    break
            await asyncio.sleep(0.5)
        if found is None:
            raise TimeoutError("the memory API did not come back, or the queue was never empty")
        return found

    async def metrics(self) -> Samples:
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self._look()) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        return found

    def usual_depth(self, before: float) -> float:
        """The most turns that waited so far, or one for each person."""
        return max([self.crowd.people, *(found[_DEPTH] for at, found in self._seen if at < before)])

    def peak(self, gauge: str, since: float) -> float:
        return max((found[gauge] for at, found in self._seen if at >= since), default=0.0)

    async def _hit(self) -> bool:
        self._asked += 1  # a new question each time: the block of an old one is kept
        chatted, _ = await self.crowd.ask(
            self.user, f"Which city did I move to, question {self._asked}?", remember=False
        )
        return chatted.status == "hit"

    async def _look(self) -> Samples | None:
        """With the sum over all labels beside each sample; what is not there yet is 0."""
        text = await self.crowd.page("/metrics")
        if text is None:
            return None
        found: defaultdict[str, float] = defaultdict(float)
        for name, value in parsed(text.decode()).items():
            found[name] += value
            if "{" in name:
                found[name.partition("{")[0]] += value
        return found
