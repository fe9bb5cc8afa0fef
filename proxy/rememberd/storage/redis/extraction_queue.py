"""Turns that wait for a model, in Redis beside the queue: any number of writers, on any number of hosts."""

from collections.abc import Sequence
from pathlib import Path

import orjson

from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports.queues import DeadLetter, PendingStats, Spent
from rememberd.ports.retry_policy import BATCH, DONE_MS, FIRST_DELAY_MS, GIVE_UP_MS, LONGEST_WAIT, MAX_ATTEMPTS
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.queue import count_missing, letter
from rememberd.types import Millis, Turn


class RedisExtractionQueue:
    """`ExtractionQueue`. `idle_ms` is how long a conversation rests before its turns are read together."""

    def __init__(self, shared: RedisClient, *, idle_ms: Millis, lease_ms: Millis = 30_000) -> None:
        self.idle_ms = idle_ms
        self._run = shared.script(Path(__file__).with_suffix(".lua"))
        self._leases = shared.leases(self._run, lease_ms)

    async def add(self, turn: Turn) -> None:
        talk = orjson.dumps([turn.space.scope, turn.source.conversation])
        waits = (self.idle_ms, LONGEST_WAIT * self.idle_ms, DONE_MS, GIVE_UP_MS)
        values = (turn.id, *turn.space, talk, turn.created_at, turn.began, turn_to_json(turn), *waits)
        await self._run("add", *values)

    async def claim(self) -> list[Turn]:
        missing, found = await self._run("claim", self._leases.owner, self._leases.lease_ms, BATCH)
        count_missing(missing)
        turns = [turn_from_json(body) for body in found]
        if turns:
            self._leases.hold(turn.id for turn in turns)
        return turns

    async def keep(self, turns: Sequence[Turn]) -> None:
        bodies = [turn_to_json(turn) if turn.found else b"" for turn in turns]
        pairs = [value for turn, body in zip(turns, bodies, strict=True) for value in (turn.id, body)]
        await self._run("keep", self._leases.owner, *pairs)

    # Each of the following ends a lease. Its renewal stops before the call, so that it ends even if Redis is away.

    async def done(self, turn_ids: Sequence[str]) -> None:
        self._leases.let_go(turn_ids)
        await self._run("done", self._leases.owner, *turn_ids)

    async def fail(self, turn_ids: Sequence[str], error: str) -> int:
        self._leases.let_go(turn_ids)
        return int(await self._run("fail", self._leases.owner, error, FIRST_DELAY_MS, MAX_ATTEMPTS, *turn_ids))

    async def defer(self, turn_ids: Sequence[str], delay_ms: Millis, outcome: str) -> None:
        self._leases.let_go(turn_ids)
        await self._run("postpone", self._leases.owner, delay_ms, outcome, *turn_ids)

    async def release(self) -> int:
        held = tuple(self._leases.held)
        self._leases.let_go(held)
        return int(await self._run("release", self._leases.owner, *held)) if held else 0

    async def spent(self, user: str) -> Spent:
        return Spent(*await self._run("spent", user))

    async def spend(self, user: str, tokens: int) -> None:
        await self._run("spend", user, tokens)

    async def erase(self, user: str, at: Millis) -> None:
        await self._run("erase", user, at)

    async def stats(self) -> PendingStats:
        return PendingStats(*await self._run("stats"))

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        return [letter(*fields) for fields in await self._run("dead", limit)]

    async def replay(self) -> int:
        return int(await self._run("replay"))
