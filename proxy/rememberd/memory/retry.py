"""Retries with a deadline; a pause for a part that keeps failing; a limit for one that is busy."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from rememberd.errors import QueueUnavailable

T = TypeVar("T")

PATIENCE_S = 60.0  # longer than a failover of Redis

PUNCTUAL = 0.98  # of a deadline: a timer fires late, and the chat began before the recall
EASES = 0.05
FEWEST = 8.0  # calls at a time, so that after an outage all are tried again
FAILURES, PAUSE_S = 3, 1.0  # after this many failures in a row, the part is not called for this long

log = logging.getLogger("rememberd.queue")


async def retry_until(step: Callable[[], Awaitable[T]]) -> T:
    """Raises `QueueUnavailable` if `step` still does so after `PATIENCE_S`."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await step()
        except QueueUnavailable as error:
            if time.monotonic() > until:
                raise
            log.warning("the put of a turn is tried again: %s", error)
        await asyncio.sleep(1)


def delays(longest_s: float) -> Iterator[float]:
    """Seconds between tries, endless: the first is 0.1, each is twice as long as the one before."""
    delay = 0.1
    while True:
        yield jittered(delay)
        delay = min(2 * delay, longest_s)


def jittered(seconds: float) -> float:
    """Times a random factor between 0.5 and 1.5, so that processes that failed together do not retry together."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


class Breaker:
    """A circuit breaker. Opens after `FAILURES` in a row and `PAUSE_S` without a success: if some calls succeed, the
    part is busy, not down. A success closes it; while it is open, one call every `PAUSE_S` may probe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._failures = 0
        self._next_probe = 0.0
        self._succeeded = -math.inf

    @property
    def closed(self) -> bool:
        return self._failures < FAILURES or self.clock() - self._succeeded < PAUSE_S

    def may_probe(self) -> bool:
        if self.clock() < self._next_probe:
            return False
        self._next_probe = self.clock() + PAUSE_S
        return True

    def success(self) -> None:
        self._failures, self._succeeded = 0, self.clock()

    def failure(self) -> None:
        self._failures += 1
        if not self.closed:
            self._next_probe = self.clock() + PAUSE_S


class Crowd:
    """How many calls may be under way at a time so that they end in time: at most `most`; one more after as many that
    did, a tenth fewer after one that did not: TCP's additive increase and multiplicative decrease. `lately` is the
    share of their deadline that calls take: it rises at once, and falls slowly."""

    def __init__(self, most: float) -> None:
        self.most = self.limit = max(most, FEWEST)
        self.lately = 0.0
        self._under_way = 0

    @property
    def full(self) -> bool:
        return self._under_way >= self.limit

    def __enter__(self) -> None:
        self._under_way += 1

    def __exit__(self, *_: object) -> None:
        self._under_way -= 1

    def ended(self, share: float) -> None:
        """A call that took this share of its deadline has ended."""
        self.lately = max(share, self.lately + EASES * (share - self.lately))
        more, fewer = min(self.limit + 1 / self.limit, self.most), max(0.9 * self.limit, FEWEST)
        self.limit = more if share < PUNCTUAL else fewer
