"""Receipts, cached blocks, preferences, apps, the memory tool's files, groups and sessions in Redis: shared by the
web processes of all hosts."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from rememberd.access.apps import ALL_RIGHTS, MOST_APPS, App, AppRights, Sighting
from rememberd.access.groups import Change, Group
from rememberd.encryption.groups import GroupCodec
from rememberd.errors import QueueUnavailable
from rememberd.ports import Preferences
from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.storage.sqlite.owned_objects import KEPT_S
from rememberd.storage.sqlite.receipts import receipt_from_json, receipt_to_json
from rememberd.types import EVERY_SCOPE, Millis, Receipt, Space

_SCRIPT = Path(__file__).with_suffix(".lua")
_TRIES = 20  # tries of a change while others change the same group


class _Records:
    def __init__(self, shared: RedisClient) -> None:
        self._run = shared.script(_SCRIPT)
        self._soon = shared.with_deadline(self._run)


class RedisReceipts(_Records):
    """A `ReceiptStore`."""

    async def put(self, receipt: Receipt) -> bool:
        body, written = receipt_to_json(receipt), "\n".join(receipt.written)
        values = (receipt.id, *receipt.space, receipt.created_at, receipt.turn_id or "", body, receipt.write, written)
        return bool(await self._run("put", *values))

    async def written(self, space: Space, receipt_id: str, ids: Sequence[str], outcome: str) -> None:
        await self._run("written", *space, receipt_id, outcome, *ids)

    async def get(self, space: Space, receipt_id: str) -> Receipt | None:
        found = await self._run("get", *space, receipt_id)
        return _receipt(*found) if found else None

    async def recent(self, space: Space, limit: int) -> list[Receipt]:
        return await self._recent(space, limit, imported=False)

    async def recalled(self, space: Space) -> tuple[Millis | None, frozenset[str]]:
        kept = await self._recent(space, 1_000_000_000, imported=True)
        ids = frozenset(each for receipt in kept for each in receipt.recalled)
        return min((receipt.created_at for receipt in kept), default=None), ids

    async def _recent(self, space: Space, limit: int, *, imported: bool) -> list[Receipt]:
        found = [_receipt(*each) for each in await self._run("recent", *space, limit, int(imported))]
        return sorted(found, key=lambda each: (-each.created_at, each.id))

    async def erase(self, user: str, at: Millis) -> int:
        return int(await self._run("erase", user, at))

    async def expire(self, older_than: Millis) -> int:
        return int(await self._run("expire", older_than))


class RedisBlockCache(_Records):
    """A `BlockCache`. A chat waits for `get`, which therefore has a deadline."""

    async def bump(self, space: Space) -> int:
        return int(await self._run("bump", *space))

    async def get(self, space: Space, key: str) -> tuple[int, tuple[int, bytes] | None]:
        now, found = await self._soon("get_block", *space, key)
        version, _, value = (found or b"").partition(b":")
        return int(now), (int(version), value) if version else None

    async def versions(self, spaces: Sequence[Space]) -> list[tuple[int, int]]:
        found = map(int, await self._soon("versions", *(name for space in spaces for name in space)))
        return list(zip(found, found, strict=True))

    async def put(
        self, space: Space, key: str, version: int, value: bytes, *, at: Millis, replaces: Millis = 0
    ) -> None:
        await self._run("put_block", *space, key, version, value, at, replaces)

    async def erase(self, user: str) -> int:
        return int(await self._run("erase_blocks", user))

    async def expire(self, older_than: Millis) -> int:
        return int(await self._run("expire_blocks", older_than))


class RedisPreferences(_Records):
    """A `PreferenceStore`. A chat waits for `of`, which therefore has a deadline. The queue itself refuses turns of
    users who have paused, so nothing is learned from a chat that could not read the pause."""

    async def of(self, space: Space) -> Preferences:
        paused, zone = await self._soon("preferences", *space)
        return Preferences(bool(paused), zone.decode() if zone else None)

    async def pause(self, space: Space) -> None:
        await self._run("pause", *space)

    async def resume(self, space: Space) -> None:
        await self._run("resume", *space)

    async def set_time_zone(self, space: Space, zone: str | None) -> None:
        await self._run("set_time_zone", *space, zone or "")

    async def erase(self, user: str, at: Millis) -> None:
        await self._run("set_time_zone", user, EVERY_SCOPE, "")


class RedisToolFiles(_Records):
    """A `ToolFileStore`."""

    async def get(self, space: Space) -> tuple[int, bytes]:
        version, _, body = (await self._run("get_files", *space) or b"0:").partition(b":")
        return int(version), body

    async def put(self, space: Space, version: int, body: bytes, *, at: Millis) -> bool:
        return bool(await self._run("put_files", *space, version, body, at))

    async def erase(self, user: str, at: Millis) -> None:
        await self._run("erase_files", user, at)


class RedisApps(_Records):
    """An `AppStore`. A chat waits for `rights`, which therefore has a deadline."""

    async def rights(self, user: str, app: str) -> AppRights:
        found = await self._soon("app_rights", user, app)
        return AppRights(*orjson.loads(found)) if found else ALL_RIGHTS

    async def set(self, user: str, app: str, rights: AppRights) -> bool:
        return bool(await self._run("set_app", user, app, b"" if rights == ALL_RIGHTS else orjson.dumps([*rights])))

    async def saw(self, user: str, sightings: Sequence[Sighting]) -> None:
        await self._run("saw_apps", user, MOST_APPS, *(value for each in sightings for value in each))

    async def all(self, user: str) -> list[App]:
        seen, limited = (dict(zip(found[::2], found[1::2], strict=True)) for found in await self._run("apps", user))
        apps = []
        for name, row in seen.items():
            key, *numbers = row.decode().split("\n")
            rights = AppRights(*orjson.loads(limited[name])) if name in limited else ALL_RIGHTS
            apps.append(App(Sighting(name.decode(), key, *map(int, numbers)), rights))
        return sorted(apps, key=lambda app: -app.seen.last_at)

    async def erase(self, user: str, at: Millis) -> None:
        await self._run("erase_apps", user, at)


class RedisOwnedObjects(_Records):
    """An `OwnedObjects`."""

    async def record(self, key: bytes) -> None:
        await self._run("own", key, KEPT_S)

    async def known(self, key: bytes) -> bool:
        return bool(await self._soon("owned", key))


def _receipt(body: bytes, write: bytes, written: bytes) -> Receipt:
    ids = tuple(written.decode().split("\n")) if written else ()
    return replace(receipt_from_json(body), write=write.decode(), written=ids)


class RedisGroups(_Records):
    """A `GroupStore`. A request waits for `version`, which therefore has a deadline."""

    def __init__(self, shared: RedisClient, codec: GroupCodec) -> None:
        super().__init__(shared)
        self.shared, self.codec = shared, codec

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


class RedisSessions:
    """A `SessionStore`. Redis itself drops the sessions that have expired."""

    def __init__(self, shared: RedisClient) -> None:
        self.shared = shared

    async def create(self, id: bytes, record: bytes, expires_at: Millis, owner: bytes = b"") -> bool:
        if owner:  # first, so that no session is missed by `end_all`
            await self.shared.ask(self.shared.client.sadd(_sessions_of(owner), id))
            await self.shared.ask(self.shared.client.pexpireat(_sessions_of(owner), expires_at))
        command = self.shared.client.set(_session(id), record, nx=True, pxat=expires_at)
        return await self.shared.ask(command) is not None

    async def get(self, id: bytes, now: Millis) -> bytes | None:
        found: bytes | None = await self.shared.ask(self.shared.client.get(_session(id)))
        return found

    async def end_all(self, owner: bytes) -> None:
        ids: set[bytes] = await self.shared.ask(self.shared.client.smembers(_sessions_of(owner)))
        await self.shared.ask(self.shared.client.delete(_sessions_of(owner), *map(_session, ids)))

    async def close(self) -> None:
        await self.shared.close()


def _session(id: bytes) -> str:
    return f"{PREFIX}session:{id.hex()}"


def _sessions_of(owner: bytes) -> str:
    return f"{PREFIX}sessions_of:{owner.hex()}"
