"""What the requests of all hosts cost, in Redis: two hashes for each day, one of them with the tokens of each key."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.telemetry.usage.counts import FIELDS, KEPT_DAYS, Counts, UsageKey, days_before, today

_DAY_S = 86_400


class RedisUsage:
    """A `UsageStore`."""

    def __init__(self, shared: RedisClient) -> None:
        self.shared = shared

    async def add(self, counted: Mapping[UsageKey, Counts]) -> None:
        pipe = self.shared.client.pipeline(transaction=True)
        for at, counts in counted.items():
            for name in FIELDS:
                if count := getattr(counts, name):
                    pipe.hincrby(_usage(at.day), orjson.dumps([*at[1:], name]), count)
            pipe.hincrby(_spent(at.day), at.key, counts.input + counts.output)
        for day in {at.day for at in counted}:
            pipe.expire(_usage(day), KEPT_DAYS * _DAY_S)
            pipe.expire(_spent(day), 2 * _DAY_S)
        await self.shared.ask(pipe.execute())

    async def rows(self, since: str, until: str) -> dict[UsageKey, Counts]:
        found: dict[UsageKey, Counts] = {}
        async for day, fields in self._days(since, until):
            for name, count in fields.items():
                *at, field = orjson.loads(name)
                key = UsageKey(day, *at)
                found[key] = found.get(key, Counts()) + Counts(**{field: int(count)})
        return found

    async def spent(self, day: str) -> dict[str, int]:
        found = await self.shared.ask(self.shared.client.hgetall(_spent(day)))
        return {key.decode(): int(tokens) for key, tokens in found.items()}

    async def erase(self, user: str) -> None:
        if not user:
            return
        async for day, fields in self._days(days_before(today(), KEPT_DAYS), today()):
            named = {name: int(count) for name, count in fields.items() if orjson.loads(name)[1] == user}
            if not named:
                continue
            pipe = self.shared.client.pipeline(transaction=True)
            for name, count in named.items():
                key, _, *rest = orjson.loads(name)
                pipe.hincrby(_usage(day), orjson.dumps([key, "", *rest]), count)
                pipe.hincrby(_usage(day), name, -count)  # what is added meanwhile is erased by the next call
            await self.shared.ask(pipe.execute())
            await self.shared.ask(self.shared.client.hdel(_usage(day), *named))

    async def _days(self, since: str, until: str) -> AsyncIterator[tuple[str, dict[bytes, Any]]]:
        day = min(until, today())
        oldest = max(since, days_before(today(), KEPT_DAYS))
        while day >= oldest:
            if fields := await self.shared.ask(self.shared.client.hgetall(_usage(day))):
                yield day, fields
            day = days_before(day, 1)


def _usage(day: str) -> str:
    return f"{PREFIX}usage:{day}"


def _spent(day: str) -> str:
    return f"{PREFIX}spent:{day}"
