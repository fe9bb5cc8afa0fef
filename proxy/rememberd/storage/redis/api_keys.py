"""The created API keys, in Redis: a key that one host creates or revokes is valid or invalid on all."""

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rememberd.access.api_keys import ApiKey, ApiKeyStore, made_key, name_taken, no_such_key
from rememberd.encryption.api_keys import ApiKeyCodec
from rememberd.errors import InputRejected
from rememberd.storage.redis.client import RedisClient
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis, Principal

log = logging.getLogger("rememberd.keys")


class RedisApiKeys:
    """An `ApiKeyStore`.

    `before` are the keys that this host created without Redis. They are moved to Redis and revoked in the file, so
    that none of them becomes valid again if the host returns to its file."""

    def __init__(self, shared: RedisClient, codec: ApiKeyCodec, before: ApiKeyStore | None) -> None:
        self.shared, self.codec, self.before = shared, codec, before
        self._run = shared.script(Path(__file__).with_suffix(".lua"))
        self._moved = False

    async def create(self, principal: Principal, at: Millis) -> tuple[ApiKey, str]:
        await self._move()
        made, key = made_key(principal, at)
        if not await self._add(made):
            raise name_taken(principal.name)
        return made, key

    async def revoke(self, id_or_name: str, at: Millis) -> ApiKey:
        await self._move()
        found = await self._run("revoke", id_or_name, self.codec.name(id_or_name), at, _version())
        if not found:
            raise no_such_key(id_or_name)
        return self._made(*found)

    async def rotate(self, id_or_name: str, at: Millis, until: Millis) -> tuple[ApiKey, str]:
        await self._move()
        found = await self._run("find", id_or_name, self.codec.name(id_or_name))
        old = self._made(*found) if found else None
        if old is None or not old.readable:
            raise no_such_key(id_or_name)
        made, key = made_key(old.principal, at)
        if not await self._run(
            "rotate", old.id, self.codec.stored(old.expiring(until)), made.id, *self._fields(made)
        ):
            raise no_such_key(id_or_name)  # another process has revoked or rotated it meanwhile
        return made, key

    async def record_uses(self, times: Mapping[bytes, Millis]) -> None:
        await self._run("record_uses", *(value for pair in times.items() for value in pair))

    async def all(self) -> list[ApiKey]:
        await self._move()
        return [self._made(*each) for each in await self._run("all")]

    async def version(self) -> str:
        await self._move()
        version: bytes = await self._run("version")
        return version.decode()

    async def close(self) -> None:
        await self.shared.close()
        if self.before is not None:
            await self.before.close()

    async def _move(self) -> None:
        """Running it again, or in two processes at once, changes nothing."""
        if self._moved or self.before is None:
            return
        moved = 0
        for key in await self.before.all():
            if not key.readable:
                continue
            if not await self._add(key):  # another host has used the name
                await self._add(replace(key, principal=replace(key.principal, name=f"{key.principal.name} {key.id}")))
            with suppress(InputRejected):  # it was revoked before
                await self.before.revoke(key.id, wall_clock())
                moved += 1
        self._moved = True
        if moved:
            log.warning("%d keys that were created on this host are in Redis now, valid at every host", moved)

    async def _add(self, key: ApiKey) -> bool:
        """False: a valid key has the name."""
        return bool(await self._run("add", key.id, *self._fields(key)))

    def _fields(self, key: ApiKey) -> tuple[str | bytes | int, ...]:
        revoked_at = "" if key.revoked_at is None else key.revoked_at
        name = self.codec.name(key.principal.name)
        return name, key.digest, self.codec.stored(key), key.created_at, revoked_at, _version()

    def _made(
        self, id: bytes, hashed: bytes, principal: bytes, created_at: bytes, revoked_at: bytes, used_at: bytes
    ) -> ApiKey:
        times = (int(at) if at else None for at in (revoked_at, used_at))
        return self.codec.key(id.decode(), hashed, principal, int(created_at), *times)


def _version() -> str:
    """Not a number: a Redis restored from an older copy would count up to the same number again."""
    return secrets.token_hex(8)
