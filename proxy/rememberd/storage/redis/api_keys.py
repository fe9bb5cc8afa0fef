"""The made API keys in Redis: made or revoked at one host, they are so at all."""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson

from rememberd.access.api_keys import ApiKey, ApiKeyStore, name_taken, no_such_key, stored_key
from rememberd.access.principals import digest, new_key
from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.errors import InputRejected
from rememberd.storage.redis.client import RedisClient
from rememberd.types import Millis, Principal

log = logging.getLogger("rememberd.keys")


class RedisApiKeys:
    """`MadeKeys`. With a `root` the names in them are sealed, and who can write to Redis alone makes no key.

    `before` are those that this host made without Redis: they come along, and are revoked where they were, so that
    none of them is in force again by any way back."""

    def __init__(self, shared: RedisClient, root: Cipher | None, before: ApiKeyStore) -> None:
        self.shared, self.root, self.before = shared, root, before
        self._run = shared.script(Path(__file__).with_suffix(".lua"))
        self._moved = False

    async def create(self, principal: Principal, at: Millis) -> tuple[ApiKey, str]:
        await self._move()
        key = new_key()
        made = ApiKey(f"key_{secrets.token_hex(8)}", digest(key), principal, at, None)
        if not await self._add(made):
            raise name_taken(principal.name)
        return made, key

    async def revoke(self, id_or_name: str, at: Millis) -> ApiKey:
        await self._move()
        found = await self._run("revoke", id_or_name, self._name(id_or_name), at, _version())
        if not found:
            raise no_such_key(id_or_name)
        return self._made(*found)

    async def all(self) -> list[ApiKey]:
        await self._move()
        return [self._made(*each) for each in await self._run("all")]

    async def version(self) -> str:
        await self._move()
        version: bytes = await self._run("version")
        return version.decode()

    async def close(self) -> None:
        await self.shared.close()
        await self.before.close()

    async def _move(self) -> None:
        """Done again, or by two processes at once, it changes nothing."""
        if self._moved:
            return
        moved = 0
        for key in await self.before.all():
            if not key.readable:
                continue
            if not await self._add(key):  # another host has used the name
                await self._add(replace(key, principal=replace(key.principal, name=f"{key.principal.name} {key.id}")))
            with suppress(InputRejected):  # it was revoked before
                await self.before.revoke(key.id, time.time_ns() // 1_000_000)
                moved += 1
        self._moved = True
        if moved:
            log.warning("%d keys that were made on this host are in Redis now, in force at every host", moved)

    async def _add(self, key: ApiKey) -> bool:
        """False: a key in force has the name."""
        data = orjson.dumps(key.principal)
        if self.root is not None:
            data = self.root.seal(data, _place(key.id, key.digest))
        revoked_at = "" if key.revoked_at is None else key.revoked_at
        values = (self._name(key.principal.name), key.digest, data, key.created_at, revoked_at, _version())
        return bool(await self._run("add", key.id, *values))

    def _name(self, name: str) -> str:
        return self.root.name(name) if self.root is not None else name

    def _made(self, id: bytes, hashed: bytes, principal: bytes, created_at: bytes, revoked_at: bytes) -> ApiKey:
        def opened() -> bytes:
            if self.root is None:
                return principal
            try:
                return self.root.open(principal, _place(id.decode(), hashed))
            except DecryptionError as error:
                raise ValueError("it was sealed with another key, or changed") from error

        return stored_key(id.decode(), hashed, opened, int(created_at), int(revoked_at) if revoked_at else None)


def _place(id: str, hashed: bytes) -> str:
    """What is sealed belongs to this very key."""
    return f"api key {id} {hashed.hex()}"


def _version() -> str:
    """No number: a Redis restored from an older copy would count up to the same one again."""
    return secrets.token_hex(8)
