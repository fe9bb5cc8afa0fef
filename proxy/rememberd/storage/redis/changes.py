"""The change log in Redis: a stream and a list of the newest writes for each user, which Redis forgets when they are
old, and the removals in a hash."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from rememberd.errors import QueueUnavailable
from rememberd.storage.changes import KEPT_MS, NEWEST, Change, News, Removal, Stamps, newest
from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.telemetry.clock import wall_clock

_REMOVALS = f"{PREFIX}removals"
_NAMES = f"{PREFIX}removal"
_PATIENCE_S = 2.0  # long, because a listing without the newest deletions could show deleted memories


class RedisChangeLog:
    """A `ChangeLog`. A chat waits for `since`, which therefore has a deadline."""

    def __init__(self, shared: RedisClient) -> None:
        self._shared = shared
        self._soon = shared.with_deadline(self._read)

    async def record(
        self, stream: str, changes: Sequence[Change], removal: Removal | None = None, written: Stamps | None = None
    ) -> str:
        client, key, last = self._shared.client, *_keys(stream)
        name = "" if removal is None else str(await self._shared.ask(client.incr(_NAMES)))
        oldest = wall_clock() - KEPT_MS
        async with client.pipeline(transaction=True) as together:
            if changes:
                together.xadd(key, {"changes": orjson.dumps(changes, default=list)}, minid=oldest, approximate=True)
                together.pexpire(key, KEPT_MS)
            if written:
                together.rpush(last, *map(orjson.dumps, newest({}, written).items()))
                together.ltrim(last, -NEWEST, -1)
                together.pexpire(last, KEPT_MS)
            if removal is not None:
                together.hset(_REMOVALS, name, orjson.dumps(removal, default=list))
            await self._shared.ask(together.execute())
        return name

    async def since(self, stream: str, place: str, *, patient: bool = False) -> News:
        begin = f"({place}" if place else "-"
        found, last = await (self._patiently if patient else self._soon)(stream, begin)
        changes = [Change(*each) for _, fields in found for each in orjson.loads(fields[b"changes"])]
        return News(found[-1][0].decode() if found else place, changes, dict(map(orjson.loads, last)))

    async def waiting(self) -> dict[str, Removal]:
        found = await self._shared.ask(self._shared.client.hgetall(_REMOVALS))
        return {name.decode(): Removal(*orjson.loads(found[name])) for name in sorted(found, key=int)}

    async def finished(self, removal: str) -> None:
        await self._shared.ask(self._shared.client.hdel(_REMOVALS, removal))

    async def close(self) -> None:
        await self._shared.close()

    async def _patiently(self, stream: str, begin: str) -> Any:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._read(stream, begin)
        except TimeoutError as error:
            raise QueueUnavailable(f"Redis did not answer within {_PATIENCE_S:.0f} s") from error

    async def _read(self, stream: str, begin: str) -> Any:
        key, last = _keys(stream)
        together = self._shared.client.pipeline(transaction=False)
        return await self._shared.ask(together.xrange(key, begin, "+").lrange(last, 0, -1).execute())


def _keys(stream: str) -> tuple[str, str]:
    return f"{PREFIX}changes:{stream}", f"{PREFIX}newest:{stream}"
