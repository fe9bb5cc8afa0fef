"""One Redis, shared by the processes of all hosts: everything in it is read and changed by scripts, which Redis runs
one at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ReadOnlyError, RedisError

from proxy.errors import ConfigError, QueueUnavailable
from proxy.types import Millis

# One hash tag, so that a cluster keeps all keys on one node, as scripts over several keys demand.
PREFIX = "{rememberd}:"

# Together some five seconds: a restart of Redis, or the failover to a replica that was made the primary.
RETRIES = 8


class Shared:
    """A client of the Redis at `url` (redis://, rediss://, unix://). Without a `clock` it is Redis that tells the
    time: the clocks of hosts differ.

    Everything raises `QueueUnavailable` with the reason, after it was tried for about five seconds."""

    def __init__(self, url: str, *, clock: Callable[[], Millis] | None = None) -> None:
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
        self.clock = clock

    def script(self, path: Path) -> Callable[..., Any]:
        """A function that runs an operation of the script: `await run("put", value, …)`."""
        source = self.client.register_script(path.read_text())

        async def run(operation: str, *values: str | bytes | int) -> Any:
            now = self.clock() if self.clock else ""
            return await self.ask(source(keys=[PREFIX], args=[operation, now, *values]))

        return run

    async def ask(self, answer: Any) -> Any:
        """What a command of `client` answers."""
        try:
            return await answer
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"Redis: {error}") from error

    async def close(self) -> None:
        await self._pool.disconnect()
