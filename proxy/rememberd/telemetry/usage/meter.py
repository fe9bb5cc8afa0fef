"""Counts usage in this process and adds it once a second to the shared counts. A killed process loses the counts of
its last second."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from operator import add

from prometheus_client import Counter

from rememberd.errors import QueueUnavailable
from rememberd.telemetry.usage.answers import Tokens
from rememberd.telemetry.usage.counts import Counts, UsageKey, UsageStore, today
from rememberd.types import Deployment, Principal

EVERY_S = 1.0
RETRY_S = 5.0

REQUESTS = Counter("rememberd_usage_requests", "Answered requests to models.", ["key", "model"])
TOKENS = Counter("rememberd_usage_tokens", "Tokens of these; memory is a part of input.", ["key", "model", "kind"])
_KINDS = ("input", "cached", "output", "memory")

log = logging.getLogger("rememberd.telemetry.usage")


class UsageMeter:
    """`limited` is True if a key has a daily limit; only then are the shared counts read."""

    def __init__(self, store: UsageStore) -> None:
        self.store = store
        self.limited = False
        # The fields of a `UsageKey`, which itself takes longer to make, and the counts in the order of `FIELDS`.
        self._counted: dict[tuple[str, str, str, str, str], Sequence[int]] = {}
        self._spent: tuple[str, dict[str, int]] = ("", {})

    def note(self, principal: Principal, user: str, deployment: Deployment, tokens: Tokens, memory: int) -> None:
        """Count one answered request."""
        at = today(), principal.name, user, deployment.model_name, deployment.priced
        self._add(at, (1, int(tokens.estimated), tokens.input, tokens.cached, tokens.output, memory, 0))
        self.limited = self.limited or principal.tokens_per_day is not None

    def _add(self, at: tuple[str, str, str, str, str], counts: Sequence[int]) -> None:
        counted = self._counted.get(at)
        self._counted[at] = counts if counted is None else tuple(map(add, counted, counts))

    def spent(self, key: str) -> int:
        """Today's input and output tokens of `key`. Those of other processes may be a second old."""
        day, by_key = self._spent
        now = today()
        counted = (Counts(*each) for at, each in self._counted.items() if at[:2] == (now, key))
        own = sum(each.input + each.output for each in counted)
        return own + (by_key.get(key, 0) if day == now else 0)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.flush()
            except QueueUnavailable as error:
                log.warning("the usage cannot be stored; it is kept in this process and retried: %s", error)
                await asyncio.sleep(RETRY_S)

    async def flush(self) -> None:
        """Raises `QueueUnavailable`; then the counts are kept for the next flush."""
        counted = {UsageKey(*at): Counts(*counts) for at, counts in self._counted.items()}
        self._counted = {}
        if counted:
            try:
                await self.store.add(counted)
            except QueueUnavailable:
                for at, counts in counted.items():
                    self._add(at, counts.values())
                raise
            _observe(counted)
        if self.limited:
            day = today()
            self._spent = day, await self.store.spent(day)

    async def close(self) -> None:
        try:
            await self.flush()
        except QueueUnavailable as error:
            log.warning("the usage of the last second is not stored: %s", error)


def _observe(counted: Mapping[UsageKey, Counts]) -> None:
    for at, counts in counted.items():
        REQUESTS.labels(at.key, at.model).inc(counts.requests)
        for kind in _KINDS:
            TOKENS.labels(at.key, at.model, kind).inc(getattr(counts, kind))
