"""The turn queue of many hosts, in Redis: any number of web processes, any number of writers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from proxy.errors import QueueUnavailable
from proxy.memory.queue.codec import turn_from_json, turn_to_json
from proxy.memory.redis.client import Shared
from proxy.types import Claim, DeadLetter, Millis, QueueStats, Space, Turn

log = logging.getLogger("rememberd.queue")


class RedisQueue:
    """A `TurnQueue`. Its leases are short and renewed while this process lives: those of a dead one are soon free.

    An append-only file with `appendfsync always` makes `put` survive a power cut, `everysec` a kill of Redis."""

    def __init__(self, shared: Shared, *, lease_ms: Millis = 30_000) -> None:
        self.shared, self.lease_ms = shared, lease_ms
        self._run = shared.script(Path(__file__).with_suffix(".lua"))
        self._owner = uuid4().hex
        self._held: set[str] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def put(self, turn: Turn) -> bool:
        body = turn_to_json(turn)
        values = (turn.id, *turn.space, turn.began, int(bool(turn.answer)), body)
        return bool(await self._run("put", *values))

    async def claim(self, limit: int) -> list[Claim]:
        found = await self._run("claim", self._owner, self.lease_ms, limit)
        claims = [Claim(turn_from_json(body), attempts) for body, attempts in found]
        self._held.update(claim.turn.id for claim in claims)
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        return claims

    async def settle(self, turn_ids: Sequence[str]) -> None:
        await self._run("settle", self._owner, *turn_ids)

    async def ack(self, turn_ids: Sequence[str]) -> None:
        await self._run("ack", self._owner, *turn_ids)
        self._held.difference_update(turn_ids)

    async def retry(self, turn_id: str, error: str, delay_ms: Millis) -> None:
        self._held.discard(turn_id)  # first: if Redis is away, the lease lapses
        await self._run("retry", self._owner, delay_ms, error, turn_id)

    async def bury(self, turn_id: str, error: str) -> None:
        await self._run("bury", self._owner, error, turn_id)
        self._held.discard(turn_id)

    async def release(self) -> int:
        if not self._held:
            return 0
        released = int(await self._run("release", self._owner, *self._held))
        self._held.clear()
        return released

    async def alive(self, turn_id: str) -> bool:
        return bool(await self._run("alive", turn_id))

    async def erase(self, user: str, at: Millis) -> int:
        return int(await self._run("erase", user, at))

    async def erased(self, user: str, since: Millis) -> bool:
        return bool(await self._run("erased", user, since))

    async def stats(self) -> QueueStats:
        return QueueStats(*await self._run("stats"))

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        return [_letter(*fields) for fields in await self._run("dead", limit)]

    async def replay(self) -> int:
        return int(await self._run("replay"))

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        await self.shared.close()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease_ms / 3000)
            try:
                await self._run("renew", self._owner, self.lease_ms, *self._held)
            except QueueUnavailable as error:
                log.warning("leases may lapse, and their turns be done twice: %s", error)


def _letter(turn_id: bytes, user: bytes, scope: bytes, at: bytes, attempts: bytes, error: bytes) -> DeadLetter:
    return DeadLetter(turn_id.decode(), Space(user.decode(), scope.decode()), int(at), int(attempts), error.decode())
