"""Sessions of browsers in Redis, where all hosts see them; Redis itself drops those that have expired."""

from __future__ import annotations

from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.types import Millis


class RedisSessions:
    """A `SessionStore`."""

    def __init__(self, shared: RedisClient) -> None:
        self.shared = shared

    async def create(self, id: bytes, record: bytes, expires_at: Millis, owner: bytes = b"") -> bool:
        if owner:  # first, so that no session is missed by `end_all`
            await self.shared.ask(self.shared.client.sadd(_owned(owner), id))
            await self.shared.ask(self.shared.client.pexpireat(_owned(owner), expires_at))
        command = self.shared.client.set(_key(id), record, nx=True, pxat=expires_at)
        return await self.shared.ask(command) is not None

    async def get(self, id: bytes, now: Millis) -> bytes | None:
        found: bytes | None = await self.shared.ask(self.shared.client.get(_key(id)))
        return found

    async def end_all(self, owner: bytes) -> None:
        ids: set[bytes] = await self.shared.ask(self.shared.client.smembers(_owned(owner)))
        await self.shared.ask(self.shared.client.delete(_owned(owner), *map(_key, ids)))

    async def close(self) -> None:
        await self.shared.close()


def _key(id: bytes) -> str:
    return f"{PREFIX}session:{id.hex()}"


def _owned(owner: bytes) -> str:
    return f"{PREFIX}sessions_of:{owner.hex()}"
