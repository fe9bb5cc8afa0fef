"""The groups that were made, in Redis: a member who is added or removed on one host is so on all."""

from __future__ import annotations

import secrets
from pathlib import Path

from rememberd.access.groups import Change, Group
from rememberd.encryption.groups import GroupCodec
from rememberd.errors import QueueUnavailable
from rememberd.storage.redis.client import RedisClient

_SCRIPT = Path(__file__).with_name("records.lua")
_TRIES = 20


class RedisGroups:
    """A `GroupStore`. A request waits for `version`, which therefore has a deadline."""

    def __init__(self, shared: RedisClient, codec: GroupCodec) -> None:
        self.shared, self.codec = shared, codec
        self._run = shared.script(_SCRIPT)
        self._soon = shared.with_deadline(self._run)

    async def all(self) -> list[Group]:
        found = iter(await self._run("groups"))
        return [group for name in found if (group := self.codec.opened(name.decode(), next(found)))]

    async def change(self, name: str, change: Change) -> Group | None:
        place = self.codec.place(name)
        for _ in range(_TRIES):
            before: bytes = await self._run("group", place) or b""
            group = change(self.codec.opened(place, before) if before else None)
            after = b"" if group is None else self.codec.stored(group)
            if await self._run("swap_group", place, before, after, secrets.token_hex(8)):
                return group
        raise QueueUnavailable(f"the group {name} is being changed by others: try again")

    async def version(self) -> str:
        version: bytes = await self._soon("groups_version")
        return version.decode()

    async def close(self) -> None:
        await self.shared.close()
