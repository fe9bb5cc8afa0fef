"""One Redis, shared by the processes of all hosts. Scripts read and change everything in it; Redis runs one at a
time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from rememberd import __version__
from rememberd.errors import ConfigError, QueueUnavailable, StoreUnavailable
from rememberd.memory.retry import Breaker
from rememberd.storage.format_version import FORMAT, refuse_newer
from rememberd.storage.redis.leases import Leases
from rememberd.types import Millis

# One hash tag: a cluster keeps all keys on one node, as scripts over several keys require.
PREFIX = "{rememberd}:"

_PRELUDE = Path(__file__).with_name("prelude.lua")

# About five seconds in all: enough for a restart of Redis, or a failover to a replica.
RETRIES = 8

_KEYRING_LOST = (
    "the keyring is gone from Redis: restore its key {rememberd}:keys from a backup; without it nothing that was"
    " remembered can be read"
)

Run = Callable[..., Awaitable[Any]]


class RedisClient:
    """A client of the Redis at `url` (redis://, rediss://, unix://). Without a `clock`, the time is that of Redis,
    because the clocks of hosts differ.

    Every call is tried for about five seconds, and then raises `QueueUnavailable` with the reason. A function of
    `with_deadline`, for which a chat waits, raises it after `soon_ms`."""

    def __init__(self, url: str, *, soon_ms: float = 50, clock: Callable[[], Millis] | None = None) -> None:
        try:
            self._pool: Any = BlockingConnectionPool.from_url(
                url,
                max_connections=32,
                timeout=5,
                socket_timeout=5,
                socket_connect_timeout=2,
                health_check_interval=15,
                retry=Retry(ExponentialBackoff(cap=1, base=0.05), RETRIES),
                retry_on_error=[ReadOnlyError],
            )
        except ValueError as error:
            raise ConfigError(f"memory.queue.url: {error}") from error
        self.client: Any = Redis(connection_pool=self._pool)
        self.soon_ms, self.clock = soon_ms, clock
        self.breaker = Breaker()
        self._leases: list[Leases] = []

    def script(self, path: Path) -> Run:
        """A function that runs an operation of the script: `await run("put", value, …)`."""
        source = self.client.register_script(_PRELUDE.read_text() + path.read_text())

        async def run(operation: str, *values: str | bytes | int) -> Any:
            now = self.clock() if self.clock else ""
            return await self.ask(source(keys=[PREFIX], args=[operation, now, *values]))

        return run

    def with_deadline(self, run: Run) -> Run:
        """The same function with a short deadline. If Redis keeps failing, it is not asked for a while."""

        async def run_soon(operation: str, *values: str | bytes | int) -> Any:
            if not (self.breaker.closed or self.breaker.may_probe()):
                raise QueueUnavailable("Redis did not answer recently")
            try:
                async with asyncio.timeout(self.soon_ms / 1000):
                    found = await run(operation, *values)
            except (QueueUnavailable, TimeoutError) as error:
                self.breaker.failure()
                raise QueueUnavailable(str(error) or f"Redis did not answer within {self.soon_ms:.0f} ms") from error
            self.breaker.success()
            return found

        return run_soon

    def leases(self, run: Run, lease_ms: Millis) -> Leases:
        """Closed together with this client."""
        leases = Leases(run, lease_ms)
        self._leases.append(leases)
        return leases

    async def require_format(self) -> None:
        """Write our format into a Redis that has none (it is empty, or 0.1 wrote it). Raises `ConfigError` for a
        newer format, and `QueueUnavailable`."""
        key = f"{PREFIX}format"
        await self.ask(self.client.setnx(key, f"{FORMAT} {__version__}"))
        number, _, version = (await self.ask(self.client.get(key))).decode().partition(" ")
        refuse_newer("what is in Redis", int(number), version)

    async def risks(self) -> list[str]:
        """Which settings of Redis could lose a turn, read by INFO, because CONFIG is often forbidden."""
        found = []
        info = await self.ask(self.client.info())
        if not info["aof_enabled"]:
            found.append("Redis keeps no append-only file: set `appendonly yes`")
        if info["maxmemory_policy"] != "noeviction":
            found.append(f"Redis evicts keys ({info['maxmemory_policy']}): set `maxmemory-policy noeviction`")
        return found

    async def ask(self, answer: Any) -> Any:
        """The answer to a command of `client`. Raises `StoreUnavailable` if the keyring is gone."""
        try:
            return await answer
        except ResponseError as error:
            if str(error).startswith("KEYRINGLOST"):
                raise StoreUnavailable(_KEYRING_LOST) from error
            raise QueueUnavailable(f"Redis: {error}") from error
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"Redis: {error}") from error

    async def close(self) -> None:
        for leases in self._leases:
            await leases.close()
        await self._pool.disconnect()
