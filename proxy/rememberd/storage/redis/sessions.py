"""Sessions of browsers in Redis, where all hosts see them; Redis itself drops those that have expired."""

from __future__ import annotations

from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.types import Millis


class RedisSessions:
    """A `SessionStore`."""

    def __init__(self, shared: RedisClient) -> None:
        self.shared = shared

    async def create(self, id: bytes, record: bytes, expires_at: Millis) -> bool:
        command = self.shared.client.set(_key(id), record, nx=True, pxat=expires_at)
        return await self.shared.ask(command) is not None

    async def get(self, id: bytes, now: Millis) -> bytes | None:
        found: bytes | None = await self.shared.ask(self.shared.client.get(_key(id)))
        return found

    async def end(self, id: bytes) -> None:
        await self.shared.ask(self.shared.client.delete(_key(id)))

    async def close(self) -> None:
        await self.shared.close()


def _key(id: bytes) -> str:
    return f"{PREFIX}session:{id.hex()}"
