"""The turn queue of many hosts, in Redis: any number of web processes, any number of writers."""

import logging
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Counter

from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports.queues import Claim, DeadLetter, QueueStats
from rememberd.storage.redis.client import RedisClient
from rememberd.types import Millis, Space, Turn

MISSING = Counter(
    "rememberd_turns_missing", "Turns that Redis has lost, perhaps evicted because its memory was full."
)

log = logging.getLogger("rememberd.queue")


class RedisQueue:
    """A `TurnQueue`. An append-only file with `appendfsync always` makes `put` survive a power cut, `everysec` a kill
    of Redis."""

    def __init__(self, shared: RedisClient, *, lease_ms: Millis = 30_000) -> None:
        self.shared = shared
        self._run = shared.script(Path(__file__).with_suffix(".lua"))
        self._leases = shared.leases(self._run, lease_ms)

    async def put(self, turn: Turn) -> bool:
        body = turn_to_json(turn)
        values = (turn.id, *turn.space, turn.began, 2 if turn.found else int(bool(turn.answer)), body)
        return bool(await self._run("put", *values))

    async def claim(self, limit: int) -> list[Claim]:
        missing, found = await self._run("claim", self._leases.owner, self._leases.lease_ms, limit)
        count_missing(missing)
        claims = [Claim(turn_from_json(body), attempts) for body, attempts in found]
        self._leases.hold(claim.turn.id for claim in claims)
        return claims

    async def settle(self, turn_ids: Sequence[str]) -> None:
        await self._run("settle", self._leases.owner, *turn_ids)

    async def ack(self, turn_ids: Sequence[str]) -> None:
        await self._run("ack", self._leases.owner, *turn_ids)
        self._leases.let_go(turn_ids)

    async def retry(self, turn_id: str, error: str, delay_ms: Millis) -> None:
        self._leases.let_go([turn_id])  # before the call: if Redis is away, the lease ends
        await self._run("retry", self._leases.owner, delay_ms, error, turn_id)

    async def defer(self, turn_id: str, delay_ms: Millis) -> None:
        self._leases.let_go([turn_id])
        await self._run("defer", self._leases.owner, delay_ms, turn_id)

    async def dead_letter(self, turn_id: str, error: str) -> None:
        await self._run("dead_letter", self._leases.owner, error, turn_id)
        self._leases.let_go([turn_id])

    async def release(self) -> int:
        held = tuple(self._leases.held)
        if not held:
            return 0
        released = int(await self._run("release", self._leases.owner, *held))
        self._leases.let_go(held)
        return released

    async def alive(self, turn_id: str) -> bool:
        return bool(await self._run("alive", turn_id))

    async def erase(self, user: str, at: Millis) -> int:
        return int(await self._run("erase", user, at))

    async def erased(self, user: str, since: Millis) -> bool:
        return bool(await self._run("erased", user, since))

    async def has_earlier(self, user: str, than: Millis) -> bool:
        return bool(await self._run("has_earlier", user, than))

    async def stats(self) -> QueueStats:
        return QueueStats(*await self._run("stats"))

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        return [letter(*fields) for fields in await self._run("dead", limit)]

    async def replay(self) -> int:
        return int(await self._run("replay"))

    async def close(self) -> None:
        await self.shared.close()


def count_missing(turns: int) -> None:
    if turns:
        MISSING.inc(turns)
        log.error("%d turns are gone from Redis: does it evict keys? set `maxmemory-policy noeviction`", turns)


def letter(turn_id: bytes, user: bytes, scope: bytes, at: bytes, attempts: bytes, error: bytes) -> DeadLetter:
    return DeadLetter(turn_id.decode(), Space(user.decode(), scope.decode()), int(at), int(attempts), error.decode())
